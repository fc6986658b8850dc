"""Candidate neighbors that surround a vertex, where the nearest ones lie to one side."""

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import (
    merge_close_points,
    spherical_delaunay,
    triangle_circumcenters,
)
from deepsphere.sampling import Sampling

# Stencils: candidates of a vertex, the nearest first; -1 where there are fewer.
Stencils = Int[np.ndarray, "_ _"]

# Points that are this near to one plane, in radian, are on a circle.
_FLAT = 1e-9
# Vertices whose candidates are thinned at once: bounds the memory to some 100 MB.
_CHUNK = 4096
# When too few candidates lie apart, the distance asked for shrinks by this factor, this often.
_RELAXATION = 0.7
_MAX_RELAXATIONS = 12


def nearest_stencils(points: Float[np.ndarray, "vertices 3"], num_candidates: int) -> Stencils:
    """The nearest other vertices of each vertex.

    Parameters
    ----------
    points
        Distinct unit vectors.
    num_candidates
        1 to vertices - 1.

    Returns
    -------
    ndarray of int, shape (vertices, num_candidates)

    Examples
    --------
    >>> nearest_stencils(np.array([[1.0, 0, 0], [0, 1.0, 0], [0.6, 0.8, 0]]), 1).ravel().tolist()
    [2, 2, 1]
    """
    workers = -1 if len(points) > 10_000 else 1
    found = np.asarray(KDTree(points).query(points, k=num_candidates + 1, workers=workers)[1])
    other = found != np.arange(len(points))[:, None]
    # of points so near that rounding hides which is which, drop the farthest instead of the point
    other[other.all(axis=1), -1] = False
    return found[other].reshape(len(points), num_candidates)


def thinned_stencils(
    points: Float[np.ndarray, "vertices 3"],
    candidates: Stencils,
    centers: Int[np.ndarray, "centers"],
    separation: Float[np.ndarray, "centers"],
    num_kept: int,
    *,
    start: Stencils | None = None,
    relax: bool = True,
) -> Stencils:
    """Candidates that keep a distance from the center and from each other.

    A walk over the candidates, which keeps those that are far enough from all kept before; where
    the distance shrinks, further walks add others.

    Parameters
    ----------
    points
        Unit vectors.
    candidates
        For each center, by distance; -1 where there are fewer.
    centers
        The vertices that ask.
    separation
        Smallest chord between two of center and kept candidates.
    num_kept
        How many to keep at most.
    start
        Candidates that are kept already; none if not given.
    relax
        Whether to shrink the separation by .7 again and again where too few are found.

    Returns
    -------
    ndarray of int, shape (centers, num_kept)
        In the order in which they were kept: the nearest of a walk first. -1 at the end where
        fewer are found.

    Examples
    --------
    >>> angle = np.array([0.0, 0.1, 0.11, 0.2, 0.21])
    >>> circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    >>> others, zero = np.array([[1, 2, 3, 4]]), np.array([0])
    >>> thinned_stencils(circle, others, zero, np.array([0.05]), 2).tolist()
    [[1, 3]]
    """
    kept = np.full((len(centers), num_kept), -1)
    if start is not None:
        kept[:, : start.shape[1]] = start[:, :num_kept]
    for begin in range(0, len(centers), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        gap = separation[part].copy()
        for _ in range(_MAX_RELAXATIONS if relax else 1):
            _keep_apart(points, candidates[part], centers[part], gap, kept[part])
            gap = np.where((kept[part] >= 0).all(axis=1), gap, gap * _RELAXATION)
            if (kept[part] >= 0).all():
                break
    return kept


def _keep_apart(
    points: Float[np.ndarray, "vertices 3"],
    candidates: Stencils,
    centers: Int[np.ndarray, "centers"],
    gap: Float[np.ndarray, "centers"],
    kept: Stencils,
) -> None:
    """One walk over the candidates, filling the free places of `kept`."""
    count = (kept >= 0).sum(axis=1)
    # places that are free yet stand far away from everything
    places = np.where((kept >= 0)[:, :, None], points[kept], 9.0)
    for column in candidates.T:
        asking = np.flatnonzero((count < kept.shape[1]) & (column >= 0))
        if len(asking) == 0:
            continue
        here, there = points[centers[asking]], points[column[asking]]
        far = ((there - here) ** 2).sum(axis=1) >= gap[asking] ** 2
        asking, there = asking[far], there[far]
        if len(asking) == 0:
            continue
        most = int(count[asking].max())
        between = ((places[asking, :most] - there[:, None]) ** 2).sum(axis=2)
        far = (between >= gap[asking, None] ** 2).all(axis=1)
        asking, there = asking[far], there[far]
        kept[asking, count[asking]] = column[asking]
        places[asking, count[asking]] = there
        count[asking] += 1


def ring_stencils(points: Float[np.ndarray, "vertices 3"], rings: int) -> Stencils:
    """The vertices within some edges of each vertex in the Delaunay triangulation, nearest first.

    Parameters
    ----------
    points
        Unit vectors, not on one circle. Of those closer than 1e-7 radian one stands for all.
    rings
        Number of edges, at least 1.

    Returns
    -------
    ndarray of int, shape (vertices, most)
        -1 at the end where there are fewer.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> points = Icosahedral(subdivisions=2).points
    >>> ring_stencils(points, 1).shape
    (42, 6)
    """
    group, members = merge_close_points(points)
    vertices, size = points[members], len(members)
    triangles = spherical_delaunay(vertices)
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    sides = np.concatenate([sides, sides[:, ::-1]])
    joined = coo_matrix((np.ones(len(sides)), tuple(sides.T)), shape=(size, size)).tocsr()
    reach = joined
    for _ in range(rings - 1):
        reach = csr_matrix((reach @ joined + joined) > 0, dtype=float)
    reach = coo_matrix(reach)
    other = reach.row != reach.col
    row, column = reach.row[other], reach.col[other]
    order = np.lexsort((((vertices[row] - vertices[column]) ** 2).sum(axis=1), row))
    row, column = row[order], column[order]
    number = np.bincount(row, minlength=size)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    stencils = np.full((size, int(number.max(initial=1))), -1)
    stencils[row, rank] = members[column]
    return stencils[group]


def circumradii(
    points: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> Float[np.ndarray, "vertices"]:
    """The largest radius of the empty circles through a vertex and two others.

    Parameters
    ----------
    points
        Unit vectors.
    triangles
        Their Delaunay triangulation.

    Returns
    -------
    ndarray, shape (vertices,)
        Radian: how far from the vertex a place without any vertex can lie.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> float(np.degrees(circumradii(octahedron, spherical_delaunay(octahedron))[0]).round(4))
    54.7356
    """
    corners = points[triangles]
    centers = triangle_circumcenters(points, triangles)
    chords = np.linalg.norm(corners[:, 0] - centers, axis=1)
    radius = np.zeros(len(points))
    for corner in triangles.T:
        np.maximum.at(radius, corner, 2 * np.arcsin(np.minimum(1.0, chords / 2)))
    return radius


def vertex_spacing(sampling: Sampling) -> Float[np.ndarray, "vertices"]:
    r"""How far apart the vertices around each vertex are, where they are sparsest.

    :math:`\sqrt 2` times :func:`circumradii`: the distance between neighbors on a square lattice.
    The distance to the nearest neighbors would hide that a coast lies beside an empty sea.

    Parameters
    ----------
    sampling
        A whole-sphere sampling.

    Returns
    -------
    ndarray, shape (vertices,)
        Radian; :math:`\pi` where all vertices lie on one circle, beside two empty caps.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> float(vertex_spacing(Healpix(nside=4)).mean().round(3))
    0.255
    """
    points = sampling.points
    if np.linalg.matrix_rank(points - points.mean(axis=0), tol=_FLAT) < 3:
        return np.full(len(points), math.pi)
    group, members = merge_close_points(points)
    triangles = spherical_delaunay(points[members])
    return math.sqrt(2) * circumradii(points[members], triangles)[group]


def resolved_rows(sampling: Sampling, degree: int | float) -> Bool[np.ndarray, "vertices"]:
    """The vertices around which the others lie densely enough for harmonics of a degree.

    Those with degree · spacing at most 1, with :func:`vertex_spacing`: six vertices in a wave
    length. Elsewhere no operator on these vertices can be right.

    Parameters
    ----------
    sampling
        A whole-sphere sampling.
    degree
        Of the harmonics.

    Returns
    -------
    ndarray of bool, shape (vertices,)

    Examples
    --------
    >>> from deepsphere.sampling import RandomUniform
    >>> sampling = RandomUniform(1000, seed=0)
    >>> [int(resolved_rows(sampling, degree).sum()) for degree in (1, 8, 1000)][::2]
    [1000, 0]
    """
    return degree * vertex_spacing(sampling) <= 1
