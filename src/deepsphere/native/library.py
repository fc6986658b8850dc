"""The shared library of compiled kernels, through its C interface."""

import ctypes
import importlib.util
import json
import os
import sys
from functools import cache
from pathlib import Path

# What the functions of the library take; a library built from other sources has another number.
INTERFACE_VERSION = 1

_FOLDER = Path(__file__).parent
_LIBRARY = _FOLDER / "libdeepsphere_kernels.so"
# written by setup.py: whether the kernels were built, with what, and why not
_RECORD = _FOLDER / "kernels_build.json"
_REINSTALL = "reinstall: pip install --force-reinstall --no-deps --no-cache-dir deepsphere-torch"
_INSTRUCTION_SETS = ("portable", "avx2", "avx512")


def load_library() -> ctypes.CDLL | None:
    """The library of compiled kernels, loaded at the first call.

    Returns
    -------
    ctypes.CDLL or None
        None where there is none or it cannot be used; `why_absent` says why.
    """
    return _load()[0]


def why_absent() -> str | None:
    """Why there are no compiled kernels, and what to do about it.

    Returns
    -------
    str or None
        None if there are.
    """
    return _load()[1]


def instruction_set_name() -> str | None:
    """The instructions for which the kernels in use were compiled.

    Returns
    -------
    str or None
        "avx512", "avx2" or "portable"; None without compiled kernels.
    """
    library = load_library()
    return None if library is None else _INSTRUCTION_SETS[library.ds_instruction_set()]


def describe_kernels() -> dict[str, str]:
    """What there is to know of the compiled kernels, in words.

    Returns
    -------
    dict of str
        ``state``: loaded, or why not; then the instruction set, compiler and kind of threads.

    Examples
    --------
    >>> next(iter(describe_kernels()))
    'state'
    """
    reason = why_absent()
    if reason is not None:
        return {"state": f"none: {reason}"}
    described = {
        "state": "loaded",
        "instruction set": str(instruction_set_name()),
        "threads for graphs": str(num_threads()),
    }
    asked = os.environ.get("DEEPSPHERE_LIBRARY")
    if asked:
        return described | {"library": asked}
    record = _build_record()
    return described | {key: record[key] for key in ("compiler", "threading") if key in record}


def num_threads() -> int:
    """Threads for work outside of torch: OMP_NUM_THREADS, else the cores this process may use.

    Returns
    -------
    int
        At least 1.
    """
    # the variable may list one number for each level of nested loops
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _load() -> tuple[ctypes.CDLL | None, str | None]:
    """The library, or why there is none."""
    asked = os.environ.get("DEEPSPHERE_LIBRARY")
    if asked == "off":
        return None, "switched off by DEEPSPHERE_LIBRARY=off; unset that variable"
    path = Path(asked) if asked else _LIBRARY
    remedy = "set DEEPSPHERE_LIBRARY to a library of kernels, or unset it" if asked else _REINSTALL
    if not path.is_file():
        if asked:
            return None, f"DEEPSPHERE_LIBRARY must be the path of a file, got {asked!r}; {remedy}"
        return None, _why_not_built()
    _load_openmp()
    try:
        library = ctypes.CDLL(str(path.resolve()))
    except OSError as error:
        return None, f"the library of kernels does not load: {error}; {remedy}"
    try:
        version = library.ds_interface_version()
    except AttributeError:
        return None, f"{path} must be a library of kernels of deepsphere; {remedy}"
    if version != INTERFACE_VERSION:
        return None, (
            f"the library of kernels has version {version} of the interface, this package needs "
            f"{INTERFACE_VERSION}; {remedy}"
        )
    return library, None


def _why_not_built() -> str:
    """What the installation wrote down, and the remedy."""
    record = _build_record()
    reason = record.get("reason", "the kernels were not built, or their library was removed")
    remedy = record.get("remedy")
    return f"{reason}; {f'{remedy}, then ' if remedy else ''}{_REINSTALL}"


def _build_record() -> dict[str, str]:
    """What the installation wrote down; empty if it did not."""
    try:
        return json.loads(_RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _load_openmp() -> None:
    """Load the OpenMP runtime of torch, so that the process has one pool of threads and not two.

    The kernels name no runtime of their own: they take the functions of whichever is loaded for all
    to see. It must be the one of torch, whether torch is imported before or after (or never).
    """
    if sys.platform != "linux":
        return
    for name in (*_torch_runtimes(), "libgomp.so.1"):
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return


def _torch_runtimes() -> list[str]:
    """OpenMP runtimes that torch brings along, under whatever name; without importing it."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):  # a torch that is being imported, or was replaced
        return []
    if spec is None or spec.origin is None:
        return []
    return sorted(str(path) for path in (Path(spec.origin).parent / "lib").glob("libgomp*.so*"))
