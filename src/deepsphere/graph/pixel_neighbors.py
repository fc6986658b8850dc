"""The eight neighbors of a HEALPix pixel, by arithmetic on the twelve base faces."""

from typing import Literal

import healpix
import numpy as np
from jaxtyping import Int

from deepsphere.sampling.healpix_faces import face_numberings, split_cells

# Pixels handled at once.
_CHUNK = 2**18
# (x, y) steps to the neighbors of a pixel, clockwise from the south-west. In a face, x grows to the
# north-east and y to the north-west; pixel (0, 0) is the southern corner.
_STEPS = np.array([(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)])


def pixel_neighbors(
    nside: int, pixels: Int[np.ndarray, "pixels"], *, ordering: Literal["nested", "ring"]
) -> Int[np.ndarray, "pixels 8"]:
    """The pixels that share a side or a corner with each given HEALPix pixel.

    Columns go around from the south-west: SW, W, NW, N, NE, E, SE, S. Where three faces meet a
    corner neighbor is missing: 24 pixels have 7 neighbors (for nside 1, all 12 have 6).

    Parameters
    ----------
    nside
        Pixels along the side of a base face, at least 1; a power of two in nested ordering.
    pixels
        Pixel indices, 0 to 12 nside² - 1.
    ordering
        The numbering of the indices, given and returned.

    Returns
    -------
    ndarray
        Indices in the same ordering, -1 where there is no neighbor.

    Examples
    --------
    >>> pixel_neighbors(1, np.array([0]), ordering="ring")
    array([[ 4, -1,  3,  2,  1, -1,  5,  8]])

    References
    ----------
    Gorski et al., 2005, HEALPix, section 5 and figures 3 and 4 (the layout of the faces).
    """
    ring_of_cell, cell_of_ring = face_numberings(nside)
    ring = healpix.nest2ring(nside, pixels) if ordering == "nested" else pixels
    face, y, x = split_cells(cell_of_ring[ring], nside)
    face = np.repeat(face[:, None], 8, axis=1)
    x, y = x[:, None] + _STEPS[:, 0], y[:, None] + _STEPS[:, 1]
    outside = (x < 0) | (x >= nside) | (y < 0) | (y >= nside)
    face[outside], x[outside], y[outside] = _wrap(face[outside], x[outside], y[outside], nside)
    exists = face >= 0
    neighbors = np.full(face.shape, -1, dtype=np.int64)
    found = ring_of_cell[(face[exists] * nside + y[exists]) * nside + x[exists]]
    neighbors[exists] = healpix.ring2nest(nside, found) if ordering == "nested" else found
    return neighbors


def _wrap(
    face: Int[np.ndarray, "cells"],
    x: Int[np.ndarray, "cells"],
    y: Int[np.ndarray, "cells"],
    nside: int,
) -> tuple[Int[np.ndarray, "cells"], Int[np.ndarray, "cells"], Int[np.ndarray, "cells"]]:
    """Faces and coordinates inside of them for cells one step outside of a face.

    Crossing a side is a shift by nside, except between two faces of the same cap, whose axes are
    turned by a quarter. Crossing a corner where only three faces meet gives face -1.
    """
    row, column = face // 4, face % 4
    east, west, opposite = (column + 1) % 4, (column - 1) % 4, (column + 2) % 4
    step_x = (x >= nside).astype(int) - (x < 0)
    step_y = (y >= nside).astype(int) - (y < 0)
    shift_x, shift_y = x - step_x * nside, y - step_y * nside
    last = np.full_like(x, nside - 1)
    # (row, step_x, step_y) of a side (NE, NW, SW, SE) or a corner (N, S, E, W) -> face, x, y beyond
    crossings = {
        (0, 1, 0): (east, y, last),
        (0, 0, 1): (west, last, x),
        (0, -1, 0): (4 + column, shift_x, y),
        (0, 0, -1): (4 + east, x, shift_y),
        (0, 1, 1): (opposite, last, last),
        (0, -1, -1): (8 + column, shift_x, shift_y),
        (1, 1, 0): (column, shift_x, y),
        (1, 0, 1): (west, x, shift_y),
        (1, -1, 0): (8 + west, shift_x, y),
        (1, 0, -1): (8 + column, x, shift_y),
        (1, 1, -1): (4 + east, shift_x, shift_y),
        (1, -1, 1): (4 + west, shift_x, shift_y),
        (2, 1, 0): (4 + east, shift_x, y),
        (2, 0, 1): (4 + column, x, shift_y),
        (2, -1, 0): (8 + west, y, 0 * last),
        (2, 0, -1): (8 + east, 0 * last, x),
        (2, 1, 1): (column, shift_x, shift_y),
        (2, -1, -1): (8 + opposite, 0 * last, 0 * last),
    }
    beyond = np.full_like(face, -1), np.zeros_like(x), np.zeros_like(y)
    for (start, along_x, along_y), target in crossings.items():
        crossed = (row == start) & (step_x == along_x) & (step_y == along_y)
        for value, new in zip(beyond, target, strict=True):
            value[crossed] = new[crossed]
    return beyond


def mean_squared_pixel_distance(nside: int) -> float:
    """The mean of d² over all HEALPix pixels and their eight neighbors, d the chord distance.

    Parameters
    ----------
    nside
        Pixels along the side of a base face, at least 1.

    Returns
    -------
    float
        Squared radians; half of it is the kernel width of Perraudin et al. (2019).

    Examples
    --------
    >>> round(mean_squared_pixel_distance(32) / 2, 7)
    0.000814
    """
    ring_of_cell, _ = face_numberings(nside)
    total, count = 0.0, 0
    # turns and the mirror at the equator map the eight faces of the caps on each other, and the
    # four on the equator
    for face, copies in ((0, 8), (4, 4)):
        # in parts, so that memory stays small for millions of pixels
        for start in range(face * nside**2, (face + 1) * nside**2, _CHUNK):
            pixels = ring_of_cell[start : min(start + _CHUNK, (face + 1) * nside**2)]
            neighbors = pixel_neighbors(nside, pixels, ordering="ring")
            exists = neighbors >= 0
            pairs = np.repeat(pixels, exists.sum(axis=1)), neighbors[exists]
            here, there = (np.stack(healpix.pix2vec(nside, pair)) for pair in pairs)
            total += copies * float(((here - there) ** 2).sum())
            count += copies * len(pairs[0])
    return total / count
