"""Arrays as printable text, for specifications."""

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import DTypeLike


def encode_array(array: np.ndarray) -> str:
    """Text of a one-dimensional array: little-endian bytes, compressed, in URL-safe base 64."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return base64.urlsafe_b64encode(zlib.compress(little.tobytes(), 9)).decode("ascii")


def decode_array(text: str, dtype: DTypeLike) -> np.ndarray:
    """Array of a text by :func:`encode_array`.

    Raises
    ------
    ValueError
        If the text is not such an array, for instance because it was cut off.
    """
    kind = np.dtype(dtype)
    try:
        data = zlib.decompress(
            base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        )
        return np.frombuffer(data, kind.newbyteorder("<")).astype(kind)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise ValueError(f"damaged array in a sampling specification: {error}") from error
