"""Writing a file so that nobody ever sees half of it."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_atomically(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Temporary path beside `path` that takes its place when the block ends without an error.

    The temporary name lies in the same folder and ends with the same suffix, so that the move is
    a rename within one file system and writers which look at the suffix behave. When the block
    raises, the temporary file is removed and whatever `path` held is untouched.

    Parameters
    ----------
    path
        The file to write. Missing parent folders are created.
    overwrite
        Replace an existing file.

    Yields
    ------
    pathlib.Path
        Where to write.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is false, before the block is entered.
    ValueError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with write_atomically(folder / "greeting.txt") as temporary:
    ...     _ = temporary.write_text("hello")
    >>> (folder / "greeting.txt").read_text()
    'hello'
    """
    target = Path(path)
    require_writable(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield temporary
        # the block may have taken hours: somebody else may have written the file meanwhile
        require_writable(target, overwrite=overwrite)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def write_folder_atomically(
    path: str | os.PathLike[str], *, overwrite: bool = False
) -> Iterator[Path]:
    """Temporary folder beside `path` that takes its place when the block ends without an error.

    When the block raises, or the folder cannot be moved, what `path` held is there as before.

    Parameters
    ----------
    path
        The folder to write. Missing parent folders are created.
    overwrite
        Replace an existing folder or file.

    Yields
    ------
    pathlib.Path
        Where to write; the block makes the folder.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is false, before the block is entered or after it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with write_folder_atomically(folder / "store") as temporary:
    ...     temporary.mkdir()
    >>> [each.name for each in folder.iterdir()]
    ['store']
    """
    target = Path(path)
    _require_free(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    temporary = target.with_name(f".{target.stem}-{mark}{target.suffix}")
    replaced = target.with_name(f".{target.stem}-{mark}-replaced{target.suffix}")
    try:
        yield temporary
        _require_free(target, overwrite=overwrite)
        if target.exists():
            os.replace(target, replaced)
        try:
            os.replace(temporary, target)
        except OSError:
            if replaced.exists():
                os.replace(replaced, target)
            raise
        _remove(replaced)
    finally:
        _remove(temporary)


def _require_free(path: Path, *, overwrite: bool) -> None:
    """Raise where something is and may not be replaced."""
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} must not exist yet, got an existing {'store' if path.is_dir() else 'file'}; "
            "choose another name or overwrite it (overwrite=True, --overwrite)"
        )


def _remove(path: Path) -> None:
    """Remove a folder or a file if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def require_writable(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raise unless `path` may be written: to be called before a long computation begins.

    Parameters
    ----------
    path
        The file that will be written.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    FileExistsError
        If `path` exists and `overwrite` is false.
    ValueError
        If `path` is a folder.

    Examples
    --------
    >>> require_writable("a file that does not exist.npz")
    """
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"path must name a file, got the folder {target}; add a file name")
    if target.exists() and not overwrite:
        raise FileExistsError(
            f"{target} must not exist yet, got an existing file; "
            "choose another name or overwrite it (overwrite=True, --overwrite)"
        )


def file_suffix(path: str | os.PathLike[str]) -> str:
    """Suffix of a file name in lower case; that before it for a gzipped FITS file.

    Parameters
    ----------
    path
        The file name.

    Returns
    -------
    str
        With its dot; empty when there is none.

    Examples
    --------
    >>> file_suffix("Map.FITS.gz"), file_suffix("v1.2/signals.NPZ"), file_suffix("v1.2/signals")
    ('.fits', '.npz', '')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if suffixes[-2:] == [".fits", ".gz"]:
        return ".fits"
    return suffixes[-1] if suffixes else ""
