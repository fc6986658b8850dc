"""The twelve base faces of HEALPix, for any nside: which pixel lies where in which face."""

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from deepsphere.sampling.protocol import read_only


@lru_cache(maxsize=2)
def face_numberings(nside: int) -> tuple[Int[np.ndarray, "vertices"], Int[np.ndarray, "vertices"]]:
    """RING index of every cell, and the cell of every RING index; cached for calls on parts.

    Parameters
    ----------
    nside
        Pixels along the side of a base face, at least 1.

    Returns
    -------
    Read-only permutations of 12 nside²; cells are numbered face by face, row (y) by row.

    Examples
    --------
    >>> face_numberings(1)[0]
    array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11])
    """
    ring_of_cell = _cell_to_ring(nside, np.arange(12 * nside**2))
    cell_of_ring = np.empty_like(ring_of_cell)
    cell_of_ring[ring_of_cell] = np.arange(len(ring_of_cell))
    return read_only(ring_of_cell), read_only(cell_of_ring)


def split_cells(
    cell: Int[np.ndarray, "cells"], nside: int
) -> tuple[Int[np.ndarray, "cells"], Int[np.ndarray, "cells"], Int[np.ndarray, "cells"]]:
    """Face, y and x of cells numbered face by face, row by row.

    Parameters
    ----------
    cell
        Numbers from 0 to 12 nside² - 1.
    nside
        Pixels along the side of a base face.

    Returns
    -------
    Three arrays. In a face, x grows to the north-east and y to the north-west.

    Examples
    --------
    >>> split_cells(np.array([5]), nside=2)
    (array([1]), array([0]), array([1]))
    """
    return cell // nside**2, cell // nside % nside, cell % nside


def _cell_to_ring(nside: int, cell: Int[np.ndarray, "cells"]) -> Int[np.ndarray, "cells"]:
    """RING index of cells (face, y, x), for any nside (Gorski et al. 2005, section 5)."""
    face, y, x = split_cells(cell, nside)
    row, column = face // 4, face % 4
    ring = (row + 2) * nside - x - y - 1  # 1 (north) to 4 nside - 1 (south)
    # a ring of the caps has 4 pixels per distance to the pole, a ring between them 4 nside
    quarter = np.minimum(np.minimum(ring, 4 * nside - ring), nside)
    # middle of a face in units of half pixels of this ring: 45° in the caps, 0° at the equator
    middle = (2 * column + (row != 1)) * quarter
    shifted = (quarter == nside) & ((ring - nside) % 2 == 1)
    position = (middle + x - y + shifted) // 2 % (4 * quarter)
    north = 2 * ring * (ring - 1)
    belt = 2 * nside * (nside - 1) + (ring - nside) * 4 * nside
    south = 12 * nside**2 - 2 * quarter * (quarter + 1)
    start = np.where(ring < nside, north, np.where(ring <= 3 * nside, belt, south))
    return start + position
