"""Points in a part of the sphere, as a part of points on all of it: cells then have borders."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import farthest_points, lonlat_to_points, points_to_lonlat
from deepsphere.sampling.healpix import Healpix
from deepsphere.sampling.protocol import Sampling, nearest_membership
from deepsphere.sampling.scattered import MIN_COARSENED, Scattered
from deepsphere.sampling.subset import Subset

# How far it is to the so-manieth neighbor is the spacing of the points: on a square lattice the
# diagonal of a square, and for random points hardly ever less than half of a gap among them.
_NEIGHBOR = 6
# Nowhere on the sphere are points that cover it farther away than so many spacings.
_HOLE = 2.0
# Points are added wherever no point is within a spacing, as far from each other as this part of
# their distance to the region.
_GRADING = 0.7
# Points of a next row are new if they are this part of its step away from those of the grid, and
# this part of it from each other.
_NEW, _APART = 0.7, 0.3
# Cells in the outer so many rows and columns may repeat others, whose points are as near as this.
_HALO = 2
_SAME = 1e-6
# The finest pixels that are looked at have a side of 50 m.
_MAX_ORDER = 17


def scattered_part(
    lon_deg: Float[np.ndarray, "vertices"],
    lat_deg: Float[np.ndarray, "vertices"],
    *,
    around: tuple[Float[np.ndarray, "others 3"], Float[np.ndarray, "others"]] | None = None,
) -> Sampling:
    """Sampling of points of a file: `Scattered`, and where they leave a hole, a `Subset` of it.

    The cells of `Scattered` cover the whole sphere. Where there are no points (around a region, or
    on the land of an ocean model) points are added, the coarser the farther away, and left out by
    the subset: cells at the border are then not much larger than the others, and what is far away
    is missing.

    Parameters
    ----------
    lon_deg, lat_deg
        Of the points; they are the vertices in their order.
    around
        Points beyond the border which are known, the next rows of a grid, and how far each is from
        the last row; those that are nearer to other points are left out.

    Returns
    -------
    Scattered or Subset

    Raises
    ------
    ValueError
        If points are not distinct.

    Examples
    --------
    >>> lon, lat = np.meshgrid(np.arange(0, 20, 2.0), np.arange(40, 60, 2.0))
    >>> region = scattered_part(lon.ravel(), lat.ravel(), around=next_rows(lon, lat))
    >>> region.num_vertices, region.areas.sum().round(2)
    (100, np.float64(0.08))
    >>> scattered_part(np.rad2deg(Healpix(4).lon), np.rad2deg(Healpix(4).lat))
    Scattered(192 vertices)
    """
    given = Scattered(lon_deg, lat_deg)
    added = _added_points(given.points, around)
    if len(added) == 0:
        return given
    lon, lat = points_to_lonlat(added)
    whole = Scattered(
        np.concatenate([given.lon_deg, np.rad2deg(lon)]),
        np.concatenate([given.lat_deg, np.rad2deg(lat)]),
    )
    return Subset(whole, np.arange(given.num_vertices))


def quarter_of_part(part: Subset) -> tuple[Sampling, csr_matrix]:
    """A quarter of the points of a part of scattered points, chosen greedily among them alone.

    The points of a region are denser than those around it, which would be chosen before them.

    Parameters
    ----------
    part
        Of `Scattered`.

    Returns
    -------
    coarse : Scattered or Subset
        As of :func:`scattered_part`.
    membership : csr_matrix, shape (coarse vertices, vertices)
        A point belongs to the nearest one that is chosen.

    Raises
    ------
    ValueError
        If there are fewer than 16 points.

    Examples
    --------
    >>> lon, lat = np.meshgrid(np.arange(0, 20, 2.0), np.arange(40, 60, 2.0))
    >>> coarse, membership = quarter_of_part(scattered_part(lon.ravel(), lat.ravel()))
    >>> coarse.num_vertices, membership.shape
    (25, (25, 100))
    """
    base = part.base
    assert isinstance(base, Scattered)  # whose degrees are exact
    points = part.points
    if len(points) < MIN_COARSENED:
        raise ValueError(
            f"a sampling must have at least {MIN_COARSENED} vertices to be coarsened, "
            f"got {len(points)}; use fewer levels"
        )
    kept = np.sort(farthest_points(points, len(points) // 4))
    chosen = part.indices[kept]
    coarse = scattered_part(base.lon_deg[chosen], base.lat_deg[chosen])
    return coarse, nearest_membership(points, points[kept])


def next_rows(
    lon_deg: Float[np.ndarray, "y x"], lat_deg: Float[np.ndarray, "y x"]
) -> tuple[Float[np.ndarray, "others 3"], Float[np.ndarray, "others"]]:
    """Points one step beyond the four sides and corners of a curvilinear grid.

    Parameters
    ----------
    lon_deg, lat_deg
        Of the points of the grid, at least two in each direction.

    Returns
    -------
    points : ndarray, shape (others, 3)
    step : ndarray, shape (others,)
        Chord from each to the point of the grid next to it.

    Examples
    --------
    >>> lon, lat = np.meshgrid([10.0, 20.0], [0.0, 1e-9])
    >>> np.rad2deg(points_to_lonlat(next_rows(lon, lat)[0][6:8])[0]).round(6)
    array([30., 30.])
    """
    points = lonlat_to_points(np.deg2rad(lon_deg), np.deg2rad(lat_deg))
    sides = [
        (points[0], points[1]),
        (points[-1], points[-2]),
        (points[:, 0], points[:, 1]),
        (points[:, -1], points[:, -2]),
        (points[[0, 0, -1, -1], [0, -1, 0, -1]], points[[1, 1, -2, -2], [1, -2, 1, -2]]),
    ]
    # the inner row mirrored at the outer one
    mirrored = [2 * (inner * outer).sum(-1)[:, None] * outer - inner for outer, inner in sides]
    steps = [np.linalg.norm(outer - inner, axis=1) for outer, inner in sides]
    return np.concatenate(mirrored), np.concatenate(steps)


def halo_of_points(
    lon_deg: Float[np.ndarray, "*shape"], lat_deg: Float[np.ndarray, "*shape"]
) -> tuple[Int[np.ndarray, "*shape"], Bool[np.ndarray, "*shape"], tuple[str, ...]]:
    """Which cells of a curvilinear grid repeat points of others: the halo of a tripolar grid.

    Only repetitions in which a cell is in the outer two rows or columns are taken as a halo; others
    are left for a sampling to refuse.

    Parameters
    ----------
    lon_deg, lat_deg
        Of the cells, in [0, 360) and −90 .. 90.

    Returns
    -------
    vertex : ndarray
        Number of the point of each cell, counted along the cells that are not repetitions.
    copied : ndarray of bool
        The repetitions; of equal cells, the innermost is not one.
    notes : tuple of str

    Examples
    --------
    >>> lon, lat = np.meshgrid([350.0, 0, 10, 350], [0.0, 1.0])
    >>> halo_of_points(lon, lat)[0].tolist()
    [[0, 1, 2, 0], [3, 4, 5, 3]]
    """
    points = lonlat_to_points(np.deg2rad(lon_deg.ravel()), np.deg2rad(lat_deg.ravel()))
    places = np.indices(lon_deg.shape).reshape(lon_deg.ndim, -1)
    last = np.array(lon_deg.shape)[:, None] - 1
    inward = np.minimum(places, last - places).min(axis=0)
    pairs = KDTree(points).query_pairs(_SAME, output_type="ndarray")
    # the cell nearer to the border repeats the other, of two as near the later one
    first_is_outer = inward[pairs[:, 0]] < inward[pairs[:, 1]]
    outer = np.where(first_is_outer, pairs[:, 0], pairs[:, 1])
    inner = np.where(first_is_outer, pairs[:, 1], pairs[:, 0])
    is_halo = inward[outer] < _HALO
    outer, inner = outer[is_halo], inner[is_halo]
    copied = np.zeros(lon_deg.size, dtype=bool)
    copied[outer] = True
    vertex = np.cumsum(~copied) - 1
    kept = ~copied[inner]
    vertex[outer[kept]] = vertex[inner[kept]]
    note = f"{int(copied.sum())} cells at the border repeat others (halo): read once, written back"
    return (
        vertex.reshape(lon_deg.shape),
        copied.reshape(lon_deg.shape),
        (note,) if copied.any() else (),
    )


def _added_points(points: np.ndarray, around: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """Points on the part of the sphere that has none; none if there is no hole."""
    if len(points) <= _NEIGHBOR:
        return np.empty((0, 3))
    spacing = _spacing(points)
    added, has_hole = _fill(points, spacing)
    if not has_hole:
        return np.empty((0, 3))
    if around is None:
        return added
    others, step = around
    # a grid that closes upon itself goes on with its own points
    is_new = np.asarray(KDTree(points).query(others)[0]) > _NEW * step
    others, step = others[is_new], step[is_new]
    if len(others) == 0:
        return added
    pairs = KDTree(others).query_pairs(float(step.max()), output_type="ndarray")
    apart = np.linalg.norm(others[pairs[:, 0]] - others[pairs[:, 1]], axis=1)
    near = apart < _APART * step[pairs].min(axis=1)
    others = np.delete(others, np.unique(pairs[near].max(axis=1)), axis=0)
    joined = np.concatenate([points, others])
    return np.concatenate([others, _fill(joined, _spacing(joined))[0]])


def _spacing(points: np.ndarray) -> np.ndarray:
    """Chord around each point within which others are, if the points cover a neighborhood of it."""
    reach = np.asarray(KDTree(points).query(points, k=_NEIGHBOR + 1)[0])[:, -1]
    # of rows of points that are much nearer to each other than the rows, the mean over all points
    covered = min(np.pi * float((reach**2).sum()) / (_NEIGHBOR + 1), 4 * np.pi)
    return np.maximum(reach, (covered / len(points)) ** 0.5)


def _fill(points: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, bool]:
    """Centers of pixels without a point, small near the points; and whether there is a hole."""
    tree = KDTree(points)
    pixels, found, has_hole = np.arange(12), [], False
    for order in range(_MAX_ORDER + 1):
        centers = Healpix(2**order).subset(pixels).points
        distance, nearest = tree.query(centers)
        distance, limit = np.asarray(distance), spacing[nearest]
        has_hole |= bool((distance > _HOLE * limit).any())
        side = (np.pi / 3) ** 0.5 / 2**order
        small = side <= np.maximum(limit, _GRADING * distance)
        found.append(centers[small & (distance > limit)])
        # the spacing at the center is not that in all of a large pixel
        pixels = pixels[~small]
        if len(pixels) == 0:
            break
        pixels = (4 * pixels[:, None] + np.arange(4)).ravel()
    return np.concatenate(found), has_hole
