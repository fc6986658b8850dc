"""Folders that maps are written to: one writer at a time, no trace of one that was killed."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from deepsphere.version import __version__

# Of the files that `write_atomically` writes aside, by how the names of those we write begin.
_UNFINISHED = (".map-", ".spectra-", ".simulation-", ".prepared-")


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder against other processes; the system lets it go however this one ends.

    Parameters
    ----------
    folder
        One that is there.

    Yields
    ------
    None

    Raises
    ------
    FileExistsError
        If another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> with only_writer(Path(tempfile.mkdtemp())):
    ...     pass
    """
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(
                f"{folder} must not be written to by another process, got one at work; "
                "wait for its end"
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def is_unfinished(path: Path) -> bool:
    """Whether a file is one that a process which was killed was writing.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_unfinished(Path("maps/.map-000-00003-1a2b3c4d.h5")), is_unfinished(Path("map.h5"))
    (True, False)
    """
    return path.name.startswith(_UNFINISHED)


def remove_unfinished(folder: Path) -> None:
    """Remove files that a process which was killed was writing.

    Parameters
    ----------
    folder
        Which no other process writes to.
    """
    for path in folder.iterdir():
        if is_unfinished(path):
            path.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str
        Hexadecimal.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """Versions of this library and of others, "none" where one is not installed.

    Parameters
    ----------
    names
        Of the other packages.

    Returns
    -------
    dict

    Examples
    --------
    >>> package_versions(["no-such-package"])["no-such-package"]
    'none'
    """
    found = {"deepsphere": __version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found
