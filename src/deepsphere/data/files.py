"""Writing a file so that nobody ever sees half of it."""

import os
import secrets
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
