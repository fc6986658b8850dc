"""Reading files of NOAA, gzipped or not, and saying what is wrong with those that cannot be."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with the name of a file, how many of its bytes are done, and how many there are."""

AGAIN = "download it again ( deepsphere download ghcn FOLDER --years ... )"
"""What to do with a file that is damaged."""

# What the ends and the middle of a damaged gzip file raise.
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile)

_GZIP = b"\x1f\x8b"
_WORTH_SAYING = 60  # characters of a wrong line


@contextmanager
def open_packed(path: Path) -> Iterator[tuple[BufferedReader, BufferedReader]]:
    """A file, unpacked where it is gzipped, and the one that lies on the disk.

    What is gzipped is told by its first bytes: some programs unpack what they fetch and leave the
    name as it is.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    file, raw
        Both open for reading bytes; the position in the second tells how far reading has come.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is empty, or when the block comes to a place where it is cut or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a file, got nothing there; {AGAIN}")
    with path.open("rb") as raw:
        start = raw.read(len(_GZIP))
        raw.seek(0)
        if not start:
            raise ValueError(f"{path} must hold values of GHCN-Daily, got an empty file; {AGAIN}")
        if start != _GZIP:
            yield raw, raw
            return
        try:
            with gzip.open(raw) as file:
                yield BufferedReader(file), raw  # pyright: ignore[reportArgumentType]
        except _DAMAGE as error:
            what = "a truncated" if isinstance(error, EOFError) else "a damaged"
            raise ValueError(
                f"{path} must be a whole gzip file, got {what} one; {AGAIN}"
            ) from error


def shown(line: bytes | str) -> str:
    """The beginning of a line, as errors quote it.

    Parameters
    ----------
    line
        Any text.

    Returns
    -------
    str

    Examples
    --------
    >>> shown(b"<html>")
    "'<html>'"
    """
    text = line.decode("latin-1") if isinstance(line, bytes) else line
    return repr(text[:_WORTH_SAYING])
