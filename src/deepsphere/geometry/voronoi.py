"""Delaunay triangulation of points on the sphere, and the areas of their Voronoi cells."""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, KDTree

from deepsphere.geometry.points import angular_distance
from deepsphere.geometry.triangles import triangle_areas, triangle_circumcenters

# Flatter point sets are taken as lying in one plane: Qhull works with about this precision.
COPLANAR_TOLERANCE = 1e-12

# Closer points are one point for the convex hull: the height h²/8 of the sphere above a chord of
# this length, 1e-15, is below the precision of the hull.
MERGE_DISTANCE = 1e-7


def spherical_delaunay(points: Float[np.ndarray, "vertices 3"]) -> Int[np.ndarray, "triangles 3"]:
    """Delaunay triangulation of points on the sphere.

    The facets of the convex hull. They cover the sphere: where the points leave more than a
    hemisphere empty, the triangles across the hole are part of it.

    Parameters
    ----------
    points
        Unit vectors, at least four that do not lie in one plane.

    Returns
    -------
    Vertex indices of 2n − 4 triangles, counter-clockwise seen from outside.

    Raises
    ------
    ValueError
        If there are fewer than four points, if they lie in one plane, if two nearly coincide, or
        if one is not finite.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> spherical_delaunay(octahedron).shape
    (8, 3)

    References
    ----------
    Brown (1979), Voronoi diagrams from convex hulls.
    """
    _check_finite(points)
    _check_spans(points)
    close = KDTree(points).query_pairs(MERGE_DISTANCE, output_type="ndarray")
    triangles, missing = _hull(points)
    if len(close) or len(missing):
        first, second = close[0] if len(close) else (missing[0], _nearest_other(points, missing[0]))
        distance = float(angular_distance(points[first], points[second]))
        raise ValueError(
            f"points must be at least {MERGE_DISTANCE:g} radian apart, and farther in a dense "
            f"cluster, to be triangulated, got points {first} and {second} at {distance:.3g} "
            "radian; drop one of them"
        )
    return triangles


def merged_delaunay(
    points: Float[np.ndarray, "vertices 3"],
) -> tuple[Int[np.ndarray, "triangles 3"], Int[np.ndarray, "vertices"]]:
    """Delaunay triangulation of any points, those too close to be told apart taken as one.

    Parameters
    ----------
    points
        Unit vectors, at least four that do not lie in one plane.

    Returns
    -------
    triangles
        As of :func:`spherical_delaunay`, of those points that own themselves.
    owner
        The point that stands for each point, itself for nearly all.

    Raises
    ------
    ValueError
        If there are fewer than four points, if they lie in one plane, or if one is not finite.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> triangles, owner = merged_delaunay(np.concatenate([octahedron, octahedron[:1]]))
    >>> len(triangles), owner.tolist()
    (8, [0, 1, 2, 3, 4, 5, 0])
    """
    _check_finite(points)
    group, members = merge_close_points(points)
    _check_spans(points[members])
    triangles, missing = _hull(points[members])
    owner = _owners(points[members], missing) if len(missing) else np.arange(len(members))
    return members[triangles], members[owner[group]]


def voronoi_areas(
    points: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"] | None = None
) -> Float[np.ndarray, "vertices"]:
    """Areas of the spherical Voronoi cells of points, in steradian.

    A cell has the circumcenters of the Delaunay triangles around its point as corners, and is cut
    in triangles at the point. They sum to 4π.

    Parameters
    ----------
    points
        Distinct unit vectors. Points closer than 1e-7 radian share one cell equally. If all lie in
        one plane, the cells are lunes.
    triangles
        Their Delaunay triangulation, counter-clockwise seen from outside, where it is at hand.

    Returns
    -------
    Areas, not negative.

    Raises
    ------
    ValueError
        If a point is not finite, or the triangles are not a closed surface.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> (voronoi_areas(octahedron) / (4 * np.pi) * 6).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    _check_finite(points)
    if triangles is None:
        group, members = merge_close_points(points)
        if _coplanar(points[members]):
            return (_lune_areas(points[members]) / np.bincount(group))[group]
        triangles, owner = merged_delaunay(points)
        shares = np.maximum(np.bincount(owner, minlength=len(points)), 1)
        return (voronoi_areas(points, triangles) / shares)[owner]
    start, end = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    along, against = start * len(points) + end, end * len(points) + start
    edge, opposite = np.argsort(along), np.argsort(against)
    if not np.array_equal(along[edge], against[opposite]):
        raise ValueError(
            "triangles must form a closed surface, counter-clockwise seen from outside, got an "
            "edge that is not shared by two; use spherical_delaunay"
        )
    center = triangle_circumcenters(points, triangles)
    left, right = center[edge // 3], center[opposite // 3]
    sectors = triangle_areas(points[start[edge]], right, left)
    # the sector between four points on one circle comes out as ±1e-17
    return np.maximum(np.bincount(start[edge], sectors, len(points)), 0.0)


def _check_finite(points: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(points))
    if len(bad):
        vertex, axis = bad[0]
        raise ValueError(f"points must be finite, got {points[vertex, axis]} at point {vertex}")


def _check_spans(points: np.ndarray) -> None:
    if _coplanar(points):
        raise ValueError(
            f"a triangulation needs at least 4 points that do not lie in one plane, got "
            f"{len(points)} points{' in one plane' if len(points) > 3 else ''}; add points"
        )


def _coplanar(points: np.ndarray) -> bool:
    """Whether fewer than four points, or all of them in one plane."""
    if len(points) < 4:
        return True
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(spread[-1] <= COPLANAR_TOLERANCE * np.sqrt(len(points)))


def _lune_areas(points: np.ndarray) -> np.ndarray:
    """Voronoi areas of points on one circle: each owns the lune between the middles of its gaps."""
    if len(points) == 1:
        return np.array([4 * np.pi])
    if len(points) == 2:
        return np.full(2, 2 * np.pi)
    _, _, frame = np.linalg.svd(points - points.mean(axis=0))
    angle = np.arctan2(points @ frame[1], points @ frame[0])
    order = np.argsort(angle)
    gaps = np.diff(angle[order], append=angle[order[0]] + 2 * np.pi)
    areas = np.empty(len(points))
    areas[order] = gaps + np.roll(gaps, 1)
    return areas


def _hull(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the convex hull, counter-clockwise, and the points that are not on it."""
    hull = ConvexHull(points)
    triangles = hull.simplices.astype(np.int64)
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    inward = np.sum(np.cross(b - a, c - a) * hull.equations[:, :3], axis=1) < 0
    triangles[inward] = triangles[inward][:, [0, 2, 1]]
    return triangles, np.setdiff1d(np.arange(len(points)), triangles)


def merge_close_points(
    points: Float[np.ndarray, "vertices 3"],
) -> tuple[Int[np.ndarray, "vertices"], Int[np.ndarray, "groups"]]:
    """Points closer than 1e-7 radian as one, so that they can be triangulated.

    Parameters
    ----------
    points
        Unit vectors.

    Returns
    -------
    group
        The group of each point.
    members
        A point of each group.

    Examples
    --------
    >>> group, members = merge_close_points(np.array([[1.0, 0, 0], [0, 1.0, 0], [1.0, 1e-9, 0]]))
    >>> group.tolist(), members.tolist()
    ([0, 1, 0], [0, 1])
    """
    close = KDTree(points).query_pairs(MERGE_DISTANCE, output_type="ndarray")
    graph = coo_array((np.ones(len(close)), (close[:, 0], close[:, 1])), (len(points),) * 2)
    _, group = connected_components(graph, directed=False)
    _, members = np.unique(group, return_index=True)
    return group, members


def _owners(points: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Point that owns the cell of each: itself, for one that the hull is missing the nearest."""
    owner = np.arange(len(points))
    kept = np.setdiff1d(owner, missing)
    owner[missing] = kept[KDTree(points[kept]).query(points[missing])[1]]
    return owner


def _nearest_other(points: np.ndarray, index: int) -> int:
    """Point that is nearest to a point."""
    _, nearest = KDTree(points).query(points[index], k=2)
    return int(np.setdiff1d(nearest, index)[0])
