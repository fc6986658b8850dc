"""Blocks of HEALPix pixels as square images: the bits of the NESTED index, in turns."""

import math

import healpix
import numpy as np
from jaxtyping import Int

from deepsphere.models.specification import check_sampling
from deepsphere.sampling import Healpix, Sampling, Subset


def block_image(width: int) -> Int[np.ndarray, "width width"]:
    """The NESTED indices within a block of HEALPix pixels, as a square image.

    The bits of the column are the even bits of the index, those of the row the odd ones: pixels
    next to each other in the image share an edge on the sphere.

    Parameters
    ----------
    width : int
        Pixels along an edge of the block, a power of two.

    Returns
    -------
    ndarray, shape (width, width)
        Index of the pixel in each row and column, int64.

    Raises
    ------
    ValueError
        If the width is not a power of two.

    Examples
    --------
    >>> block_image(4)
    array([[ 0,  1,  4,  5],
           [ 2,  3,  6,  7],
           [ 8,  9, 12, 13],
           [10, 11, 14, 15]])

    References
    ----------
    Gorski et al. (2005), HEALPix, ApJ 622, section 4.2.
    """
    if width < 1 or width & (width - 1):
        raise ValueError(f"width must be a power of two, got {width}; blocks are quartered")
    places = np.arange(width, dtype=np.int64)
    spread = np.zeros(width, np.int64)
    for bit in range(width.bit_length()):
        spread |= (places >> bit & 1) << 2 * bit
    return 2 * spread[:, None] + spread


def block_vertices(sampling: Sampling) -> Int[np.ndarray, "width width"]:
    """The vertices of a block of HEALPix pixels, as a square image.

    Parameters
    ----------
    sampling : Subset
        Of a HEALPix sphere in either ordering. Its pixels are, in any order, those of one block:
        a base pixel, or one of the parts that quartering it again and again makes.

    Returns
    -------
    ndarray, shape (width, width)
        The vertex of the sampling in each row and column, int64.

    Raises
    ------
    ValueError
        If the sampling is something else.

    Examples
    --------
    >>> block_vertices(Healpix(nside=8).subset(np.arange(16, 20)))
    array([[0, 1],
           [2, 3]])
    """
    check_sampling(sampling, Subset, "planar_cnn")
    base = sampling.base if isinstance(sampling, Subset) else sampling
    if not isinstance(base, Healpix) or not isinstance(sampling, Subset):
        raise ValueError(
            f"sampling must be a part of a HEALPix sphere for planar_cnn, got one of {base!r}; "
            "only there a square image of whole pixels exists"
        )
    pixels = sampling.indices
    if base.ordering == "ring":
        pixels = np.asarray(healpix.ring2nest(Healpix(base.nside).nside, pixels), np.int64)
    num_pixels, first = len(pixels), int(pixels.min())
    width = math.isqrt(num_pixels)
    is_square = width**2 == num_pixels and not width & (width - 1)
    is_run = int(pixels.max()) - first == num_pixels - 1
    if not (is_square and is_run and first % num_pixels == 0) or width > base.nside:
        raise ValueError(
            "sampling must hold the pixels of one block for planar_cnn, (nside / order)² in a row "
            f"that start at a multiple of their number in the nested ordering, got {num_pixels} "
            f"pixels from {first} to {int(pixels.max())} of nside {base.nside}; a union of "
            "blocks or a mask makes no square image: take one block, or a network on graphs"
        )
    vertex_of = np.empty(num_pixels, np.int64)
    vertex_of[pixels - first] = np.arange(num_pixels)
    return vertex_of[block_image(width)]
