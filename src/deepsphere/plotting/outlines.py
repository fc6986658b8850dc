"""Outlines: smooth closed curves between the vertices inside and outside of a region."""

from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.spatial import KDTree

from deepsphere.geometry import spherical_delaunay
from deepsphere.plotting.cells import scattered_reach
from deepsphere.sampling import Sampling, Scattered, Subset

_LARGE = 100_000  # vertices: of more, those far from the border are not triangulated
_REACH = 5.0  # of the border, in mean distances between vertices
_CLOSEST_TO_VERTEX = 0.2  # share of an edge that a curve keeps from both of its ends


def outlines(
    inside: Bool[np.ndarray, "vertices"],
    sampling: Sampling,
    *,
    known: Bool[np.ndarray, "vertices"] | None = None,
    smoothing: int = 1,
) -> list[Float[np.ndarray, "points 3"]]:
    """The border of a region given on the vertices of any sampling, as curves on the sphere.

    A curve crosses every edge of the Delaunay triangulation between a vertex inside and one
    outside, and no other (marching triangles), so that it separates them however it is smoothed.
    Seen from outside of the sphere, the region lies on its left. Curves are closed, but where they
    run into vertices that are not known, the outside of a subset, or a hole between scattered
    points.

    Parameters
    ----------
    inside
        True for the vertices of the region, shape (vertices,).
    sampling
        The sampling of these vertices.
    known
        False for vertices of which nobody knows whether they are inside; None: all are known.
    smoothing
        Rounds of smoothing: each averages the region over neighbours before the edges are cut, and
        cuts the corners of the curves after. With 0, the curves join the middles of the edges.

    Returns
    -------
    list[Float[np.ndarray, "points 3"]]
        Unit vectors along each curve, shape (points, 3), the longest curve first. The first point
        of a closed curve is repeated at its end.

    Raises
    ------
    ValueError
        If a shape is not that of the sampling, ``smoothing`` is negative, or the points cannot be
        triangulated.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=8)
    >>> (circle,) = outlines(sampling.lat > 0.5, sampling)
    >>> bool(np.all(np.abs(circle[:, 2] - np.sin(0.5)) < 0.1))
    True

    References
    ----------
    Chaikin (1974), An algorithm for high-speed curve generation.
    """
    for name, values in (("inside", inside), ("known", known)):
        if values is not None and values.shape != (sampling.num_vertices,):
            raise ValueError(
                f"{name} must have shape (vertices,) = ({sampling.num_vertices},) on {sampling!r}, "
                f"got {values.shape}; pass the sampling that the mask belongs to"
            )
    if smoothing < 0:
        raise ValueError(f"smoothing must be at least 0, got {smoothing}; use 0 for none")
    if inside.all() or not inside.any():
        return []
    points, triangles, inside, known = _triangulated(sampling, inside, known)
    height = _smooth_heights(inside, triangles, known, smoothing)
    triangles = triangles[known[triangles].all(axis=1)]
    triangles = triangles[_is_mixed(triangles, inside)]
    if len(triangles) == 0:
        return []
    ends, entry, leave = _crossed_edges(triangles, inside)
    a, b = ends.T  # a inside, b outside
    share = (height[a] - 0.5) / (height[a] - height[b])
    share = np.clip(share, _CLOSEST_TO_VERTEX, 1 - _CLOSEST_TO_VERTEX)[:, None]
    crossings = _normalized((1 - share) * points[a] + share * points[b])
    curves = [crossings[chain] for chain in _chains(entry, leave, len(ends))]
    for _ in range(smoothing):
        curves = [_cut_corners(curve) for curve in curves]
    return sorted(curves, key=len, reverse=True)


def _triangulated(
    sampling: Sampling,
    inside: Bool[np.ndarray, "vertices"],
    known: Bool[np.ndarray, "vertices"] | None,
) -> tuple[np.ndarray, Int[np.ndarray, "triangles 3"], np.ndarray, np.ndarray]:
    """Points, their triangles, and what is inside and known there; a large sampling is thinned."""
    known = np.ones(sampling.num_vertices, bool) if known is None else known
    whole = sampling
    if isinstance(sampling, Subset):
        whole = sampling.base
        inside, known = (_spread(values, sampling) for values in (inside, known))
    points = np.asarray(whole.points)
    if isinstance(whole, Scattered):
        triangles = _all_triangles(whole)
        return points, triangles[_bridges_no_hole(whole, triangles)], inside, known
    if len(points) > _LARGE and inside.any() and not inside.all():
        near, reach = _near_border(points, inside)
        triangles = spherical_delaunay(points[near])
        mixed = triangles[_is_mixed(triangles, inside[near])]
        corners = points[near][mixed]
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(initial=0.0)
        # a triangle over what was left out would be as long as the reach
        if longest < reach / 2:
            return points[near], triangles, inside[near], known[near]
    return points, _all_triangles(whole), inside, known


def _near_border(
    points: Float[np.ndarray, "vertices 3"], inside: Bool[np.ndarray, "vertices"]
) -> tuple[Int[np.ndarray, "near"], float]:
    """Vertices within a reach of one on the other side, and the reach.

    The triangles of all vertices that have corners on both sides are triangles of these vertices:
    their circles are empty of all.
    """
    reach = _REACH * np.sqrt(4 * np.pi / len(points))
    is_near = np.zeros(len(points), bool)
    for side in (inside, ~inside):
        there, here = np.flatnonzero(side), np.flatnonzero(~side)
        tree = KDTree(points[there], balanced_tree=False, compact_nodes=False)
        distance, _ = tree.query(points[here], distance_upper_bound=reach)
        is_near[here] = np.isfinite(distance)
    return np.flatnonzero(is_near), reach


def _is_mixed(
    triangles: Int[np.ndarray, "triangles 3"], inside: Bool[np.ndarray, "vertices"]
) -> Bool[np.ndarray, "triangles"]:
    """Triangles with corners on both sides."""
    corners = inside[triangles]
    return np.logical_and(corners.any(axis=1), ~corners.all(axis=1))


def _spread(values: Bool[np.ndarray, "kept"], subset: Subset) -> Bool[np.ndarray, "vertices"]:
    """Values on the whole of a subset, false outside of it."""
    whole = np.zeros(subset.base.num_vertices, bool)
    whole[subset.indices] = values
    return whole


@lru_cache(maxsize=4)
def _all_triangles(sampling: Sampling) -> Int[np.ndarray, "triangles 3"]:
    """The Delaunay triangulation of a sampling, read-only."""
    triangles = spherical_delaunay(np.asarray(sampling.points))
    triangles.flags.writeable = False
    return triangles


def _bridges_no_hole(
    sampling: Scattered, triangles: Int[np.ndarray, "triangles 3"]
) -> Bool[np.ndarray, "triangles"]:
    """Triangles whose edges are no longer than the points at their ends reach together.

    The points of a grid are closer along the parallels than along the meridians: edges up to twice
    the diameter of an equal share of the sphere are kept anyway.
    """
    points = np.asarray(sampling.points)
    reach = np.maximum(scattered_reach(sampling), 4 / np.sqrt(len(points)))
    fits = [
        np.linalg.norm(points[a] - points[b], axis=1) <= reach[a] + reach[b]
        for a, b in ((triangles[:, k], triangles[:, k - 1]) for k in range(3))
    ]
    return np.logical_and.reduce(fits)


def _smooth_heights(
    inside: Bool[np.ndarray, "vertices"],
    triangles: Int[np.ndarray, "triangles 3"],
    known: Bool[np.ndarray, "vertices"],
    rounds: int,
) -> Float[np.ndarray, "vertices"]:
    """A function above 1/2 inside and below it outside, averaged over known neighbours."""
    height = inside.astype(np.float64)
    if rounds == 0:
        return height
    start, end = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    both = known[start] & known[end]
    shape = (len(inside), len(inside))
    neighbors = coo_array((np.ones(both.sum()), (start[both], end[both])), shape).tocsr()
    degree = np.maximum(neighbors.sum(axis=1), 1)
    for _ in range(rounds):
        height = (height + neighbors @ height / degree) / 2
    # a vertex stays on its side, also an island of one vertex
    return np.where(inside, np.maximum(height, 0.55), np.minimum(height, 0.45))


def _crossed_edges(
    triangles: Int[np.ndarray, "triangles 3"], inside: Bool[np.ndarray, "vertices"]
) -> tuple[Int[np.ndarray, "edges 2"], Int[np.ndarray, "triangles"], Int[np.ndarray, "triangles"]]:
    """Edges (inside, outside) of mixed triangles, and where the curve enters and leaves each one.

    Counter-clockwise around a triangle, one edge goes out of the region and one comes back; a
    curve from the first to the second has the region on its left.
    """
    start, end = triangles, np.roll(triangles, -1, axis=1)
    out, back = inside[start] & ~inside[end], ~inside[start] & inside[end]
    pairs = np.concatenate(
        [np.stack([start[out], end[out]], axis=1), np.stack([end[back], start[back]], axis=1)]
    )
    ends, number = np.unique(pairs, axis=0, return_inverse=True)
    number = number.reshape(-1)  # a version of numpy returns a column
    return ends, number[: len(triangles)], number[len(triangles) :]


def _chains(
    entry: Int[np.ndarray, "triangles"], leave: Int[np.ndarray, "triangles"], num_edges: int
) -> list[list[int]]:
    """Edges in the order of the curves; the first is repeated at the end of a closed one."""
    after = np.full(num_edges, -1)
    after[entry] = leave
    is_first = np.ones(num_edges, bool)
    is_first[leave] = False
    following, seen = after.tolist(), np.zeros(num_edges, bool).tolist()
    chains = []
    # open curves begin where no other piece ends; what is left are closed ones
    for first in [*np.flatnonzero(is_first).tolist(), *range(num_edges)]:
        if seen[first]:
            continue
        chain, edge = [], first
        while edge >= 0 and not seen[edge]:
            seen[edge] = True
            chain.append(edge)
            edge = following[edge]
        chains.append([*chain, first] if edge == first else chain)
    return chains


def _cut_corners(curve: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "m 3"]:
    """One round of Chaikin's corner cutting; the ends of an open curve stay."""
    first, last = curve[:-1], curve[1:]
    cut = np.stack([0.75 * first + 0.25 * last, 0.25 * first + 0.75 * last], axis=1).reshape(-1, 3)
    is_closed = len(curve) > 2 and np.array_equal(curve[0], curve[-1])
    whole = [cut, cut[:1]] if is_closed else [curve[:1], cut, curve[-1:]]
    return _normalized(np.concatenate(whole))


def _normalized(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Points moved onto the sphere."""
    return points / np.linalg.norm(points, axis=1, keepdims=True)
