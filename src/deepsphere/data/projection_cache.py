"""Signals of meshes on disk: a checked file for each view of each shape."""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from deepsphere.data.files import write_atomically
from deepsphere.data.mesh_signals import CHANNELS, MeshSignals

# The files whose text decides what a signal is; a change of any makes other signals.
_SOURCES = ("meshes", "mesh_cleaning", "mesh_signals", "view_poses")
# What reading a file that is cut, overwritten or not ours can raise.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_COUNTS = ("num_missing", "num_missing_hull", "hull_failed")


def projection_folder() -> Path | None:
    """Folder of the user for projected shapes, beside that of graphs.

    The subfolder ``shapes`` of what the environment variable DEEPSPHERE_CACHE names, or else of the
    folder that the system has for caches.

    Returns
    -------
    Path or None
        None where the variable is empty or "off".

    Examples
    --------
    >>> folder = projection_folder()
    >>> folder is None or folder.name == "shapes"
    True
    """
    from deepsphere.graph.cache import cache_folder

    return cache_folder("shapes")


def projection_key(**settings: str | int | float | None) -> str:
    """Digest of all that the signals of a mesh depend on besides the mesh and the view.

    Parameters
    ----------
    settings
        Plain values by name.

    Returns
    -------
    str
        Hexadecimal; another one for another version of the code.

    Examples
    --------
    >>> projection_key(sampling="healpix:1") == projection_key(sampling="healpix:2")
    False
    """
    text = json.dumps({**settings, "version": _code_version()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def view_path(folder: Path, digest: str, key: str, view: int) -> Path:
    """File of a view of a mesh.

    Parameters
    ----------
    folder
        The cache.
    digest
        Of the mesh.
    key
        Of the settings, see :func:`projection_key`.
    view
        Number of the view.

    Returns
    -------
    Path
        In one of 256 subfolders: a hundred thousand files in a folder make some systems slow.

    Examples
    --------
    >>> view_path(Path("shapes"), "abcd", "0123", 2).as_posix()
    'shapes/ab/abcd-0123-2.npz'
    """
    return folder / digest[:2] / f"{digest[:40]}-{key[:24]}-{view}.npz"


def write_view(path: Path, key: str, signals: MeshSignals) -> None:
    """Write signals, in one piece or not at all, over whatever is there.

    Parameters
    ----------
    path
        See :func:`view_path`.
    key
        Kept in the file.
    signals
        What to keep.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    counts: dict[str, Any] = {name: np.array(getattr(signals, name)) for name in _COUNTS}
    with write_atomically(path, overwrite=True) as temporary:
        np.savez(temporary, key=np.array(key), values=signals.values, **counts)


def read_view(path: Path, key: str, *, num_vertices: int) -> MeshSignals | None:
    """Signals in a file, whose zip format holds a checksum of every byte of them.

    Parameters
    ----------
    path
        See :func:`view_path`.
    key
        That the file must hold.
    num_vertices
        That the signals must have.

    Returns
    -------
    MeshSignals or None
        None if the file is damaged, or not what its name says.

    Raises
    ------
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "view.npz"
    >>> write_view(path, "key", MeshSignals(np.zeros((12, 6), np.float32), 3, 0, hull_failed=False))
    >>> read_view(path, "key", num_vertices=12).num_missing
    3
    """
    try:
        # opened here: numpy leaves a file open that is no archive
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            values = file["values"]
            num_missing, num_missing_hull, hull_failed = (int(file[name]) for name in _COUNTS)
    except FileNotFoundError:
        raise
    except _DAMAGE:
        return None
    if values.shape != (num_vertices, len(CHANNELS)) or values.dtype != np.float32:
        return None
    return MeshSignals(values, num_missing, num_missing_hull, bool(hull_failed))


def _code_version() -> str:
    """Digest of the code that computes signals: nobody has to remember to count a version up."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        path = Path(__file__).with_name(f"{name}.py")
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()
