"""Values of GHCN-Daily on disk as parquet, so that tables of gigabytes are read once."""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.files import write_atomically
from deepsphere.data.ghcn_values import DAYS, DailyValues

if TYPE_CHECKING:
    import pyarrow as pa

# The files whose text decides what is read; a change of any makes the cache another one.
_SOURCES = ("ghcn_access", "ghcn_cache", "ghcn_dly", "ghcn_elements", "ghcn_tables", "ghcn_values")
_KEY = b"deepsphere"
_KINDS = (np.dtype("<i2"), np.dtype("<i4"))
_ENDS = 1 << 16  # bytes at both ends of a file that must be the same; a gzip ends with its checksum


def ghcn_cache_folder() -> Path | None:
    """Folder of the user for the values of GHCN-Daily, beside that of graphs.

    The subfolder ``ghcn`` of what the environment variable DEEPSPHERE_CACHE names, or else of the
    folder that the system has for caches.

    Returns
    -------
    Path or None
        None where the variable is empty or "off".

    Examples
    --------
    >>> folder = ghcn_cache_folder()
    >>> folder is None or folder.name == "ghcn"
    True
    """
    from deepsphere.graph.cache import cache_folder

    return cache_folder("ghcn")


def clear_ghcn_cache() -> int:
    """Remove all values of GHCN-Daily from the cache on disk; the files of NOAA stay.

    Returns
    -------
    int
        The number of files removed.

    Raises
    ------
    PermissionError
        If a file must not be removed.

    Examples
    --------
    >>> clear_ghcn_cache() >= 0
    True
    """
    folder = ghcn_cache_folder()
    paths = sorted(folder.glob("*.parquet")) if folder is not None and folder.is_dir() else []
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def cached_values(
    paths: Sequence[Path], elements: Sequence[str], read: Callable[[], DailyValues]
) -> DailyValues:
    """Values of files, from the cache on disk, or else read and put there.

    The cache belongs to the names, sizes, times of change and ends of the files, the elements and
    the code that reads. A damaged one is replaced; one that cannot be written is not: the cache
    never decides whether files can be read.

    Parameters
    ----------
    paths
        The files.
    elements
        That are read.
    read
        Reads them.

    Returns
    -------
    DailyValues

    Warns
    -----
    UserWarning
        Where a file is damaged, and once for a folder that cannot be written.
    """
    folder = ghcn_cache_folder()
    # files of fixed columns are read without pyarrow
    if folder is None or find_spec("pyarrow") is None:
        return read()
    key = _key(paths, elements)
    path = folder / f"{paths[0].name.partition('.')[0]}-{key[:32]}.parquet"
    found = _read(path, key)
    if found is not None:
        return found
    values = read()
    _write(path, key, values)
    return values


def _key(paths: Sequence[Path], elements: Sequence[str]) -> str:
    """Digest of all that the values depend on."""
    digest = hashlib.sha256(json.dumps([_code_version(), *elements]).encode())
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name} {status.st_size} {status.st_mtime_ns} ".encode())
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(0, status.st_size - _ENDS))
            digest.update(file.read(_ENDS))
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _code_version() -> str:
    """Digest of the code that reads: nobody has to remember to count a version up."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        path = Path(__file__).with_name(f"{name}.py")
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _read(path: Path, key: str) -> DailyValues | None:
    """The values in a file; None, with a warning if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
        header = json.loads((table.schema.metadata or {})[_KEY])
        values = _of_table(table, header)
        if header["key"] != key or header["digest"] != _digest(values):
            raise ValueError("other values")
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        warnings.warn(
            f"the cached values {path} are damaged ({type(error).__name__}); they are read again "
            "from the files of NOAA",
            UserWarning,
            stacklevel=4,
        )
        return None
    return values


def _digest(values: DailyValues) -> str:
    """Digest of all that is kept."""
    names = [values.stations, values.elements, sorted(values.counts.items())]
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=32)
    for array in (values.station_indices, values.element_indices, values.years, values.values):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _of_table(table: "pa.Table", header: dict[str, Any]) -> DailyValues:
    """The values in a table."""
    columns = [table[name].to_numpy() for name in ("station", "element", "year")]
    kind = np.dtype(header["dtype"])
    if kind not in _KINDS or table["values"].type.byte_width != DAYS * kind.itemsize:
        raise ValueError("values of another size")
    chunks = [
        np.frombuffer(chunk.buffers()[1], kind)[DAYS * chunk.offset :][: DAYS * len(chunk)]
        for chunk in table["values"].chunks
    ]
    flat = np.concatenate([np.zeros(0, kind), *chunks])
    return DailyValues(
        tuple(header["stations"]),
        tuple(header["elements"]),
        *columns,
        values=flat.reshape(len(table), DAYS),
        counts=header["counts"],
    )


def _write(path: Path, key: str, values: DailyValues) -> None:
    """Put values in a file that is complete as soon as it exists."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    header = {
        "key": key,
        "stations": values.stations,
        "elements": values.elements,
        "counts": dict(values.counts),
        "dtype": values.values.dtype.newbyteorder("<").str,
        "digest": _digest(values),
    }
    days = np.ascontiguousarray(values.values, header["dtype"])
    width = DAYS * days.itemsize
    table = pa.table(
        {
            "station": values.station_indices,
            "element": values.element_indices,
            "year": values.years,
            # one word for a year: as lists of numbers they take ten times as long to read
            "values": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(width), len(values), [None, pa.py_buffer(days)]
            ),
        }
    ).replace_schema_metadata({_KEY: json.dumps(header)})
    try:
        with write_atomically(path, overwrite=True) as temporary:
            pq.write_table(
                table,
                temporary,
                compression="zstd",
                use_dictionary=False,
                write_statistics=False,
            )
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _warn_unwritable(path.parent, error.strerror or type(error).__name__)


@lru_cache(maxsize=64)
def _warn_unwritable(folder: Path, reason: str) -> None:
    """Say once per folder that nothing is kept in it."""
    warnings.warn(
        f"values of GHCN-Daily cannot be cached in {folder} ({reason}) and will be read from the "
        "files each time; set DEEPSPHERE_CACHE to a folder that can be written, or to 'off'",
        UserWarning,
        stacklevel=5,
    )
