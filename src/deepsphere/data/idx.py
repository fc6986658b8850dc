"""Reader of the IDX format, in which MNIST and its relatives are published."""

import gzip
import os
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08  # the code of the element type in the third byte of an IDX file


def read_idx(path: str | os.PathLike[str], *, num_axes: int) -> UInt8[np.ndarray, "..."]:
    """Array of bytes that an IDX file holds, gzipped or not (told apart by content).

    The layout is two zero bytes, a byte for the element type (08: unsigned byte), a byte for the
    number of axes, the sizes as big-endian 32-bit integers, and the elements in C order.

    Parameters
    ----------
    path
        The file.
    num_axes
        How many axes the array must have: 3 for images, 1 for labels.

    Returns
    -------
    UInt8[np.ndarray, "..."]
        The array, read-only.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the magic number is another one, if the file holds fewer or more bytes than its sizes
        say, or if its gzip stream is broken.

    References
    ----------
    LeCun, Cortes, Burges, "The MNIST database of handwritten digits", section on file formats.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path, num_axes=1)
    array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    content = _read_bytes(path)
    expected_magic = bytes([0, 0, UNSIGNED_BYTE, num_axes])
    if content[:4] != expected_magic:
        raise ValueError(
            f"{path} must begin with the IDX magic number {expected_magic.hex(' ')} (unsigned "
            f"bytes, {num_axes} axes), got {content[:4].hex(' ') or 'an empty file'}; "
            "download it again or give the right file"
        )
    header_size = 4 + 4 * num_axes
    if len(content) < header_size:
        raise ValueError(
            f"{path} must hold a header of {header_size} bytes, got {len(content)} bytes; "
            "the file is truncated, download it again"
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=num_axes, offset=4))
    expected_size = header_size + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected_size:
        fault = "truncated" if len(content) < expected_size else "damaged"
        raise ValueError(
            f"{path} must hold {expected_size} bytes for its sizes {shape}, got {len(content)} "
            f"bytes; the file is {fault}, download it again"
        )
    return np.frombuffer(content, np.uint8, offset=header_size).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    """Content of the file, decompressed when it is a gzip stream."""
    if not path.is_file():
        raise FileNotFoundError(f"path must name an IDX file, got {path}, which does not exist")
    content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(
            f"{path} must be a complete gzip stream, got {len(content)} bytes that cannot be "
            f"decompressed ({error}); the file is truncated or damaged, download it again"
        ) from error
