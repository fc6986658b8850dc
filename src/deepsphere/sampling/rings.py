"""Points, cells and overlaps of samplings made of rings of constant latitude."""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from deepsphere.geometry import Rectangles

# Smaller shares of a cell are rounding at a common border.
MIN_SHARE = 1e-9

Rings = tuple[np.ndarray, np.ndarray]


def ring_points(
    colatitudes: Float[np.ndarray, "rings"], sizes: Int[np.ndarray, "rings"]
) -> Float[np.ndarray, "vertices 3"]:
    """Points of rings, ring by ring, each from longitude 0 eastward in equal steps.

    Parameters
    ----------
    colatitudes
        Colatitude of each ring, in radian.
    sizes
        Number of points of each ring; 1 at a pole.

    Returns
    -------
    Unit vectors.
    """
    column = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lon = 2 * np.pi * column / np.repeat(sizes, sizes)
    horizontal, z = (np.repeat(f(colatitudes), sizes) for f in (np.sin, np.cos))
    # sin(π) is 1e-16, which is rounding
    horizontal[np.abs(horizontal) < 1e-15] = 0.0
    return np.stack([horizontal * np.cos(lon), horizontal * np.sin(lon), z], axis=1)


def ring_areas(
    bounds: Float[np.ndarray, "bounds"], sizes: Int[np.ndarray, "rings"]
) -> Float[np.ndarray, "vertices"]:
    """Areas of cells between parallels, each ring cut in equal parts, in steradian.

    Parameters
    ----------
    bounds
        Colatitudes between the rings, from 0 to π, one more than rings.
    sizes
        Number of cells of each ring.

    Returns
    -------
    Area of each cell; they sum to 4π.
    """
    return np.repeat(2 * np.pi * _heights(bounds[:-1], bounds[1:]) / sizes, sizes)


def ring_cells(bounds: Float[np.ndarray, "bounds"], sizes: Int[np.ndarray, "rings"]) -> Rectangles:
    """Cells between parallels, each ring cut in equal parts, the first centered at longitude 0.

    Parameters
    ----------
    bounds
        Colatitudes between the rings, from 0 to π, one more than rings.
    sizes
        Number of cells of each ring.

    Returns
    -------
    Rectangles
    """
    column = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = 2 * np.pi / np.repeat(sizes, sizes)
    lat = np.pi / 2 - bounds
    lat[0], lat[-1] = np.pi / 2, -np.pi / 2
    return Rectangles(
        np.repeat(lat[1:], sizes), np.repeat(lat[:-1], sizes), (column - 0.5) * width, width
    )


def ring_overlaps(fine: Rings, coarse: Rings, *, paired: bool = False) -> csr_matrix:
    """Share, by area, of each fine cell that lies in each coarse cell.

    Parameters
    ----------
    fine, coarse
        Bounds and sizes of the rings, as for :func:`ring_areas`.
    paired
        Whether cells 2i and 2i + 1 of a ring form the coarse cell i, rather than cells being
        centered at multiples of their width.

    Returns
    -------
    Matrix (coarse cells, fine cells) whose columns sum to 1.
    """
    (fine_bounds, fine_sizes), (coarse_bounds, coarse_sizes) = fine, coarse
    fine_start = np.cumsum(fine_sizes) - fine_sizes
    coarse_start = np.cumsum(coarse_sizes) - coarse_sizes
    north = np.maximum(fine_bounds[:-1], coarse_bounds[:-1, None])
    south = np.minimum(fine_bounds[1:], coarse_bounds[1:, None])
    shares = _heights(north, np.maximum(north, south)) / _heights(fine_bounds[:-1], fine_bounds[1:])
    shares[shares < MIN_SHARE] = 0.0
    shares /= shares.sum(axis=0)
    rows, columns, values = [], [], []
    for coarse_ring, ring in zip(*np.nonzero(shares), strict=True):
        row, column, part = _arc_overlaps(
            int(fine_sizes[ring]), int(coarse_sizes[coarse_ring]), paired=paired
        )
        rows.append(coarse_start[coarse_ring] + row)
        columns.append(fine_start[ring] + column)
        values.append(shares[coarse_ring, ring] * part)
    return csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(coarse_sizes.sum(), fine_sizes.sum()),
    )


def _heights(north: np.ndarray, south: np.ndarray) -> np.ndarray:
    """cos(north) − cos(south), without cancellation."""
    return 2 * np.sin((north + south) / 2) * np.sin((south - north) / 2)


def _arc_overlaps(
    fine: int, coarse: int, *, paired: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coarse arc, fine arc, and the share of the fine in the coarse, on a circle cut in arcs."""
    arc = np.arange(fine)
    if coarse == 1:
        return np.zeros(fine, np.int64), arc, np.ones(fine)
    if paired:
        return arc // 2, arc, np.ones(fine)
    # In units of 1/(2 fine coarse) of a turn, and turned by half a coarse arc, fine arc k spans
    # (2k ± 1) coarse + fine, and coarse arc K spans 2 K fine to 2 (K + 1) fine.
    start = (2 * arc - 1) * coarse + fine
    first, last = start // (2 * fine), (start + 2 * coarse - 1) // (2 * fine)
    rows, columns, values = [], [], []
    for step in range(int((last - first).max()) + 1):
        here = first + step
        overlap = np.minimum(start + 2 * coarse, 2 * fine * (here + 1)) - np.maximum(
            start, 2 * fine * here
        )
        inside = overlap > 0
        rows.append(here[inside] % coarse)
        columns.append(arc[inside])
        values.append(overlap[inside] / (2 * coarse))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)
