"""The compiled kernels: found, refused with a reason, and on the threads of torch."""

import _ctypes
import json
import os
import subprocess
import sys

import pytest

from deepsphere.native import (
    describe_kernels,
    instruction_set_name,
    library,
    load_library,
    num_threads,
    why_absent,
)

needs_kernels = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """The library is looked for once per process: in each of these tests anew."""
    library._load.cache_clear()
    yield
    monkeypatch.undo()
    library._load.cache_clear()


def run(code: str, **environment: str) -> str:
    """What a process of its own prints."""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@needs_kernels
def test_library_loads_and_tells_its_instruction_set():
    assert load_library() is load_library() is not None
    assert instruction_set_name() in ("portable", "avx2", "avx512")
    described = describe_kernels()
    assert described["state"] == "loaded"
    assert described["instruction set"] == instruction_set_name()


@needs_kernels
def test_instruction_set_can_be_lowered_but_not_raised():
    code = "from deepsphere.native import instruction_set_name as name; print(name())"
    assert run(code, DEEPSPHERE_ISA="portable") == "portable"
    best = run(code)
    assert run(code, DEEPSPHERE_ISA="avx512") == best
    assert run(code, DEEPSPHERE_ISA="no such thing") == best


def test_library_is_switched_off(monkeypatch):
    monkeypatch.setenv("DEEPSPHERE_LIBRARY", "off")
    assert load_library() is None
    assert instruction_set_name() is None
    assert why_absent() == "switched off by DEEPSPHERE_LIBRARY=off; unset that variable"
    assert describe_kernels() == {"state": f"none: {why_absent()}"}


def test_library_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPSPHERE_LIBRARY", str(tmp_path / "missing.so"))
    assert load_library() is None
    assert "must be the path of a file, got " in str(why_absent())


def test_library_that_does_not_load_is_told_with_the_words_of_the_linker(monkeypatch, tmp_path):
    (tmp_path / "text.so").write_text("no library")
    monkeypatch.setenv("DEEPSPHERE_LIBRARY", str(tmp_path / "text.so"))
    assert load_library() is None
    assert "does not load: " in str(why_absent())
    assert "text.so" in str(why_absent())


def test_library_of_something_else_is_refused(monkeypatch):
    monkeypatch.setenv("DEEPSPHERE_LIBRARY", _ctypes.__file__)
    assert load_library() is None
    assert "must be a library of kernels of deepsphere" in str(why_absent())


@needs_kernels
def test_library_of_another_interface_is_refused(monkeypatch):
    monkeypatch.setattr(library, "INTERFACE_VERSION", -1)
    assert load_library() is None
    assert "of the interface, this package needs -1; reinstall: pip install" in str(why_absent())


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (None, "the kernels were not built, or their library was removed; reinstall: pip install"),
        ("damaged", "the kernels were not built, or their library was removed; reinstall: pip"),
        (
            json.dumps({"reason": "no C++ compiler was found", "remedy": "install g++"}),
            "no C++ compiler was found; install g++, then reinstall: pip install",
        ),
    ],
    ids=["no record", "damaged record", "no compiler"],
)
def test_what_the_installation_wrote_is_told(monkeypatch, tmp_path, record, told):
    monkeypatch.delenv("DEEPSPHERE_LIBRARY", raising=False)
    monkeypatch.setattr(library, "_LIBRARY", tmp_path / "kernels.so")
    monkeypatch.setattr(library, "_RECORD", tmp_path / "record.json")
    if record is not None:
        (tmp_path / "record.json").write_text(record)
    assert str(why_absent()).startswith(told)


def test_record_of_the_installation_is_part_of_the_description(monkeypatch, tmp_path):
    monkeypatch.delenv("DEEPSPHERE_LIBRARY", raising=False)
    if load_library() is None:
        pytest.skip(str(why_absent()))
    (tmp_path / "record.json").write_text(json.dumps({"compiler": "g++ 1", "threading": "OpenMP"}))
    monkeypatch.setattr(library, "_RECORD", tmp_path / "record.json")
    assert describe_kernels()["compiler"] == "g++ 1"
    assert describe_kernels()["threading"] == "OpenMP"


@pytest.mark.parametrize(
    ("asked", "number"), [("3", 3), ("2,4", 2), (" 1 ", 1), ("", None), ("0", None), ("x", None)]
)
def test_threads_follow_the_environment_and_the_cores(monkeypatch, asked, number):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    assert num_threads() == (number or cores)


RUNTIMES = """
import re
from deepsphere.native import load_library, num_threads
from deepsphere.sampling import Healpix
from deepsphere.graph.healpix_neighbors import healpix_nearest_neighbors
healpix_nearest_neighbors(Healpix(nside=32), 8, tie_tolerance=1e-7)
torch.set_num_threads(2)
torch.rand(300, 300) @ torch.rand(300, 300)
with open("/proc/self/maps") as maps:
    print(len({line.split()[-1] for line in maps if re.search(r"/lib(g|i)?omp", line)}))
"""


@needs_kernels
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("first", ["torch", "kernels"])
def test_process_has_one_openmp_runtime(first):
    """Two would each keep threads that spin while those of the other compute."""
    load = "from deepsphere.native import load_library; assert load_library() is not None\n"
    code = f"import torch\n{load}" if first == "torch" else f"{load}import torch\n"
    assert run(code + RUNTIMES, OMP_NUM_THREADS="2") == "1"
