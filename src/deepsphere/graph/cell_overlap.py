"""The areas that the Voronoi cells of two samplings have in common."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import (
    angular_distance,
    spherical_delaunay,
    triangle_areas,
    triangle_circumcenters,
)
from deepsphere.sampling import Sampling, Subset

# Corners of polygons that are clipped at once.
_CORNERS_PER_BLOCK = 2**19


class _Cells(NamedTuple):
    """Convex cells: corner k of a cell lies between its half-spaces k and k + 1."""

    centers: Float[np.ndarray, "cells 3"]
    offsets: Int[np.ndarray, " offsets"]
    corners: Float[np.ndarray, "sides 3"]
    normals: Float[np.ndarray, "sides 3"]  # a cell is where no product with a normal is negative
    radii: Float[np.ndarray, " cells"]  # angle within which the cell lies around its center


def overlap_areas(source: Sampling, target: Sampling) -> csr_matrix:
    r"""The areas :math:`|V_t \cap V_s|` of the intersections of Voronoi cells.

    The convex spherical polygons are clipped exactly (Sutherland-Hodgman on great circles). On
    whole spheres rows sum to the areas of the target's Voronoi cells, columns to the source's. The
    cells of a subset are those that its vertices have in the whole sampling.

    Parameters
    ----------
    source, target : Sampling
        Each of at least four points that do not lie in one plane.

    Returns
    -------
    csr_matrix, shape (target vertices, source vertices)
        In steradians.

    Raises
    ------
    ValueError
        If the points cannot be triangulated.

    Examples
    --------
    >>> import deepsphere as ds
    >>> areas = overlap_areas(ds.Healpix(nside=1), ds.Fibonacci(10))
    >>> round(float(areas.sum() / 3.141592653589793), 9)
    4.0

    References
    ----------
    Sutherland, Hodgman (1974), Reentrant polygon clipping.
    """
    source_cells, target_cells = _voronoi_cells(source), _voronoi_cells(target)
    rows, columns = _candidate_pairs(source_cells, target_cells)
    sides = np.diff(source_cells.offsets)[columns] + np.diff(target_cells.offsets)[rows]
    order = np.argsort(-sides, kind="stable")
    rows, columns, sides = rows[order], columns[order], sides[order]
    areas, start = np.zeros(len(rows)), 0
    while start < len(rows):
        # the largest come first, so the first of a block tells how many fit
        stop = min(len(rows), start + max(1, _CORNERS_PER_BLOCK // int(sides[start])))
        block = slice(start, stop)
        areas[block] = _intersection_areas(target_cells, rows[block], source_cells, columns[block])
        start = stop
    shape = (target.num_vertices, source.num_vertices)
    matrix = csr_matrix((areas, (rows, columns)), shape)
    matrix.eliminate_zeros()
    return matrix


def _voronoi_cells(sampling: Sampling) -> _Cells:
    """The Voronoi cells of a sampling."""
    if isinstance(sampling, Subset):
        return _selected(_voronoi_cells(sampling.base), sampling.indices)
    points = sampling.points
    triangles = spherical_delaunay(points)
    corners = triangle_circumcenters(points, triangles)
    # each triangle (v, a, b) gives its circumcenter to the cell of v, and the side towards a
    vertices = triangles.ravel()
    neighbors = triangles[:, [1, 2, 0]].ravel()
    # seen along a line into the hull, where the sides follow each other around the vertex; along
    # the radius they need not, where the points leave more than a hemisphere empty
    axes = (points - points.mean(axis=0))[vertices]
    bearings = _bearings(axes, points[neighbors] - points[vertices])
    order = np.lexsort((bearings, vertices))
    vertices, neighbors, triangle = vertices[order], neighbors[order], order // 3
    offsets = np.searchsorted(vertices, np.arange(len(points) + 1))
    normals = points[vertices] - points[neighbors]
    reach = np.maximum.reduceat(angular_distance(points[vertices], corners[triangle]), offsets[:-1])
    # beyond a hemisphere a side may bulge farther than its corners
    radii = np.where(reach < np.pi / 2, reach, np.pi)
    return _Cells(points, offsets, corners[triangle], normals, radii)


def _bearings(
    axes: Float[np.ndarray, "pairs 3"], directions: Float[np.ndarray, "pairs 3"]
) -> Float[np.ndarray, " pairs"]:
    """The angles of directions around axes, counter-clockwise, from any zero fixed for the axis."""
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    # the coordinate axis least aligned with it makes a well-conditioned frame across
    east = np.cross(np.eye(3)[np.argmin(np.abs(axes), axis=1)], axes)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    north = np.cross(axes, east)
    return np.arctan2(np.sum(directions * north, axis=1), np.sum(directions * east, axis=1))


def _selected(cells: _Cells, indices: Int[np.ndarray, " kept"]) -> _Cells:
    """Some of the cells."""
    counts = np.diff(cells.offsets)[indices]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    sides = np.repeat(cells.offsets[indices], counts) + within
    return _Cells(
        cells.centers[indices],
        offsets,
        cells.corners[sides],
        cells.normals[sides],
        cells.radii[indices],
    )


def _candidate_pairs(
    source: _Cells, target: _Cells
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Pairs (target, source) of cells close enough to overlap."""
    all_rows, all_columns = [], []
    # classes of size, so that a few large cells do not widen the search for all others
    sizes = np.floor(np.log2(source.radii))
    for size in np.unique(sizes):
        members = np.flatnonzero(sizes == size)
        reach = np.minimum(target.radii + source.radii[members].max(), np.pi)
        tree = KDTree(source.centers[members])
        # the chord of the angle, with room for rounding
        near = tree.query_ball_point(target.centers, 2 * np.sin(reach / 2) + 1e-12)
        counts = np.array([len(found) for found in near])
        columns = members[np.concatenate(near).astype(np.int64)]
        rows = np.repeat(np.arange(len(near)), counts)
        distance = angular_distance(target.centers[rows], source.centers[columns])
        close = distance <= target.radii[rows] + source.radii[columns] + 1e-12
        all_rows.append(rows[close])
        all_columns.append(columns[close])
    return np.concatenate(all_rows), np.concatenate(all_columns)


def _padded(
    values: Float[np.ndarray, "sides 3"],
    offsets: Int[np.ndarray, " offsets"],
    cells: Int[np.ndarray, " pairs"],
) -> tuple[Float[np.ndarray, "pairs width 3"], Int[np.ndarray, " pairs"]]:
    """The values of each cell side by side, the last one repeated, and their number."""
    counts = offsets[cells + 1] - offsets[cells]
    within = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
    return values[offsets[cells][:, None] + within], counts


def _intersection_areas(
    subjects: _Cells,
    rows: Int[np.ndarray, " pairs"],
    clips: _Cells,
    columns: Int[np.ndarray, " pairs"],
) -> Float[np.ndarray, " pairs"]:
    """Areas of the intersections of pairs of cells."""
    polygons, counts = _padded(subjects.corners, subjects.offsets, rows)
    normals, _ = _padded(clips.normals, clips.offsets, columns)
    areas, alive = np.zeros(len(rows)), np.arange(len(rows))
    for side in range(normals.shape[1]):
        polygons, counts = _clip(polygons, counts, normals[alive, side])
        kept = counts >= 3
        polygons, counts, alive = polygons[kept], counts[kept], alive[kept]
        if len(alive) == 0:
            return areas
    areas[alive] = _polygon_areas(polygons, counts)
    return areas


def _clip(
    polygons: Float[np.ndarray, "pairs width 3"],
    counts: Int[np.ndarray, " pairs"],
    normals: Float[np.ndarray, "pairs 3"],
) -> tuple[Float[np.ndarray, "pairs new_width 3"], Int[np.ndarray, " pairs"]]:
    """The part of each polygon in a half-space through the center, and its number of corners."""
    index = np.arange(polygons.shape[1])
    valid = index < counts[:, None]
    following = np.where(index + 1 < counts[:, None], index + 1, 0)
    height = np.einsum("pkx,px->pk", polygons, normals)
    next_height = np.take_along_axis(height, following, axis=1)
    inside = height >= 0
    crosses = valid & (inside != (next_height >= 0))
    ahead = np.take_along_axis(polygons, following[:, :, None], axis=1)
    fraction = height / np.where(crosses, height - next_height, 1.0)
    crossing = polygons + fraction[:, :, None] * (ahead - polygons)
    # each corner is followed by the point where the side that it begins crosses the circle
    emitted = np.stack([valid & inside, crosses], axis=2).reshape(len(polygons), -1)
    corners = np.stack([polygons, crossing], axis=2).reshape(len(polygons), -1, 3)
    position = np.cumsum(emitted, axis=1) - 1
    new_counts = emitted.sum(axis=1)
    clipped = np.zeros((len(polygons), max(int(new_counts.max()), 1), 3))
    pair, slot = np.nonzero(emitted)
    corner = corners[pair, slot]
    norm = np.linalg.norm(corner, axis=1, keepdims=True)
    clipped[pair, position[pair, slot]] = corner / norm
    return clipped, new_counts


def _polygon_areas(
    polygons: Float[np.ndarray, "pairs width 3"], counts: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """Areas of convex polygons, as fans of triangles around their first corner."""
    index = np.minimum(np.arange(polygons.shape[1]), counts[:, None] - 1)
    corners = np.take_along_axis(polygons, index[:, :, None], axis=1)
    fans = triangle_areas(corners[:, :1], corners[:, 1:-1], corners[:, 2:])
    return np.maximum(fans.sum(axis=1), 0.0)
