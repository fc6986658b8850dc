"""A map in an HDF5 file: checked when it is read, and the same bytes whenever it is written."""

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from deepsphere.data.files import write_atomically

DATASET = "maps"
_FORMAT = 1
_HEADER_BYTES = 512  # the smallest block that HDF5 leaves to users
# What h5py raises for files that are cut, overwritten or not ours.
_DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError)


class MapFileError(ValueError):
    """A map file that is missing, cut or changed: the message names it and says what to do."""


def write_map_file(
    path: Path,
    values: Float[np.ndarray, "vertices channels"],
    *,
    settings: str,
    attributes: Mapping[str, str | int | float] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a map, in one piece or not at all.

    The dataset ``maps`` lies in one piece in the file, so that a part of it is read without the
    rest. The SHA-256 of its bytes (little-endian float32) is its attribute ``sha256``. That of all
    bytes of the file stands before them, in the block of 512 that HDF5 leaves to users. No time is
    written.

    Parameters
    ----------
    path
        The file.
    values
        float32, pixels in NESTED order.
    settings
        What the map was made from, as JSON; an attribute of the file.
    attributes
        More attributes of the file.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is false.
    ImportError
        If h5py is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "map.h5"
    >>> write_map_file(path, np.zeros((12, 1), np.float32), settings="{}")
    >>> read_map_file(path, 4, 8).shape
    (4, 1)
    """
    h5py = _h5py()
    stored = np.ascontiguousarray(values, "<f4")
    with write_atomically(path, overwrite=overwrite) as temporary:
        # a fixed version of the format: another one would be other bytes
        layout = {"libver": ("v110", "v110"), "userblock_size": _HEADER_BYTES}
        with h5py.File(temporary, "w", **layout) as file:
            maps = file.create_dataset(DATASET, data=stored, track_times=False)
            maps.attrs["sha256"] = values_digest(stored)
            maps.attrs["ordering"] = "nested"
            file.attrs["format"] = _FORMAT
            file.attrs["settings"] = settings
            for name, value in (attributes or {}).items():
                file.attrs[name] = value
        with temporary.open("r+b") as raw:
            header = _header(raw)
            raw.seek(0)
            raw.write(header)


def read_map_file(
    path: Path, start: int = 0, stop: int | None = None, *, settings: str | None = None
) -> Float[np.ndarray, "vertices channels"]:
    """Pixels of a map; the first time, each process checks the whole file.

    Parameters
    ----------
    path
        The file.
    start, stop
        First pixel and the one after the last; None for the end.
    settings
        What the map must have been made from; None for anything.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        float32, NESTED.

    Raises
    ------
    MapFileError
        If the file is missing, cut, changed, or made from something else.
    ImportError
        If h5py is not installed.
    """
    h5py = _h5py()
    try:
        status = os.stat(path)
        _check_once(os.fspath(path), status.st_size, status.st_mtime_ns)
        with h5py.File(path, "r") as file:
            found = str(file.attrs["settings"])
            values = np.asarray(file[DATASET][start:stop], np.float32)
    except FileNotFoundError:
        raise MapFileError(
            f"{path} must be there, got no such file; run the command that made the folder again, "
            "which writes what is missing"
        ) from None
    except MapFileError:
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if settings is not None and found != settings:
        raise MapFileError(
            f"{path} must be a map of this folder, got one that was made otherwise; run the "
            "command that made the folder again, which replaces it"
        )
    return values


def is_intact(path: Path, *, settings: str) -> bool:
    """Whether a file is there, whole, and made from these settings.

    Parameters
    ----------
    path
        The file.
    settings
        As in :func:`write_map_file`.

    Returns
    -------
    bool

    Raises
    ------
    ImportError
        If h5py is not installed.

    Examples
    --------
    >>> is_intact(Path("no such file.h5"), settings="{}")
    False
    """
    try:
        read_map_file(path, 0, 1, settings=settings)
    except MapFileError:
        return False
    return True


def values_digest(values: np.ndarray) -> str:
    """SHA-256 of values as little-endian float32.

    Parameters
    ----------
    values
        Any shape.

    Returns
    -------
    str
        Hexadecimal.

    Examples
    --------
    >>> values_digest(np.zeros(3)) == values_digest(np.zeros(3, np.float32))
    True
    """
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").data).hexdigest()


@lru_cache(maxsize=65536)
def _check_once(path: str, size: int, modified: int) -> None:
    """Raise unless a file, which was last changed at this time, fits its digest.

    Before HDF5 sees it, which does not end for some damaged files.
    """
    with open(path, "rb") as raw:
        header = _header(raw)
        raw.seek(0)
        if raw.read(_HEADER_BYTES) != header:
            raise _damaged(Path(path), "its content does not fit its SHA-256")


def _header(raw: BinaryIO) -> bytes:
    """What stands before the bytes of HDF5 in an open file: the digest of these."""
    raw.seek(_HEADER_BYTES)
    digest = hashlib.sha256()
    while piece := raw.read(1 << 22):
        digest.update(piece)
    text = f"deepsphere map, SHA-256 of what follows: {digest.hexdigest()}\n"
    return text.encode().ljust(_HEADER_BYTES, b"\0")


def _damaged(path: Path, reason: object) -> MapFileError:
    """The error of a file that is not whole."""
    lines = str(reason).splitlines() or [type(reason).__name__]
    return MapFileError(
        f"{path} must be a complete map file, got a damaged one ({lines[0]}); run the command that "
        "made the folder again, which replaces it"
    )


def _h5py() -> Any:
    """The package h5py, or how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "maps in HDF5 files need h5py, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    return h5py
