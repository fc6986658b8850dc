"""Which vertices are joined by an edge, and how far apart they are.

Every function returns a symmetric CSR matrix of chord distances: entry (i, j) is |x_i - x_j| where
an edge exists. Weights are put on those edges in `weights.py`.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import spherical_delaunay
from deepsphere.graph.healpix_neighbors import healpix_nearest_neighbors
from deepsphere.graph.pixel_neighbors import pixel_neighbors
from deepsphere.native import num_threads
from deepsphere.sampling import (
    Equiangular,
    GaussLegendre,
    Healpix,
    Rectilinear,
    Sampling,
    Subset,
)

Neighborhood = Literal["knn", "grid", "pixel", "delaunay"]

# Distances that agree to this relative precision are the same distance up to rounding; the mirror
# images of a symmetric sampling differ by about 1e-13 at a million vertices.
TIE_TOLERANCE = 1e-7
# Nearest neighbors asked for beyond k, so that most ties are seen at the first query.
_TIE_MARGIN = 4
# Vertices per query of the tree: bounds the memory of a query to about 100 MB at k = 20.
_CHUNK = 2**18


def neighbor_distances(
    sampling: Sampling, *, neighborhood: Neighborhood = "knn", num_neighbors: int = 20
) -> csr_matrix:
    """Chord distances between the neighbors of a sampling.

    The graph of a `Subset` is the graph of its base restricted to the kept vertices, so that no
    edge crosses a hole.

    Parameters
    ----------
    sampling
        The vertices.
    neighborhood
        "knn": the nearest neighbors, and on a latitude-longitude grid its four neighbors too, as
        all the nearest of a vertex near a pole lie on its own ring; "grid": the neighbors on such a
        grid alone;
        "pixel": the eight neighbors of a HEALPix pixel; "delaunay": the edges of the spherical
        Delaunay triangulation.
    num_neighbors
        The number k of nearest neighbors, 1 to vertices - 1, for "knn"; 8 for the diagonals of
        "grid" too. Not used by the others.

    Returns
    -------
    csr_matrix
        Symmetric (vertices, vertices), float64, chord lengths in (0, 2], nothing on the diagonal.

    Raises
    ------
    ValueError
        If the sampling has no such neighborhood.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> neighbor_distances(Healpix(nside=1), neighborhood="pixel").getnnz(axis=1)[0].item()
    6
    """
    root, kept = root_and_indices(sampling)
    if neighborhood == "knn":
        nearest = _nearest(root, num_neighbors, kept)
        if not is_grid(root):
            return nearest
        # near a pole all the nearest of a vertex lie on its own ring: rings must still be joined
        return csr_matrix(nearest.maximum(_edge_distances(root.points, grid_edges(root), kept)))
    if neighborhood == "grid":
        edges = grid_edges(root, 8 if num_neighbors == 8 else 4)
    elif neighborhood == "pixel":
        if not isinstance(root, Healpix):
            raise ValueError(
                "neighborhood='pixel' must be used with a Healpix sampling, got "
                f"{type(root).__name__}; use neighborhood='knn' or 'delaunay'"
            )
        edges = _pixel_edges(root, kept)
    else:
        edges = triangle_edges(spherical_delaunay(root.points))
    return _edge_distances(root.points, edges, kept)


def root_and_indices(sampling: Sampling) -> tuple[Sampling, Int[np.ndarray, "kept"] | None]:
    """The whole-sphere sampling behind a subset (of a subset) and the indices kept of it.

    The indices are None where nothing was left out.
    """
    kept = None
    while isinstance(sampling, Subset):
        indices = np.asarray(sampling.indices)
        kept = indices if kept is None else indices[kept]
        sampling = sampling.base
    return sampling, kept


def _nearest(
    root: Sampling, num_neighbors: int, kept: Int[np.ndarray, "kept"] | None
) -> csr_matrix:
    """The nearest neighbors by the arithmetic of a sampling if there is one, else by a tree."""
    if isinstance(root, Healpix):
        graph = healpix_nearest_neighbors(
            root, num_neighbors, tie_tolerance=TIE_TOLERANCE, kept=kept
        )
        if graph is not None:
            return graph
    return nearest_neighbors(root.points, num_neighbors, kept=kept)


def nearest_neighbors(
    points: Float[np.ndarray, "vertices 3"],
    num_neighbors: int,
    *,
    kept: Int[np.ndarray, "kept"] | None = None,
) -> csr_matrix:
    """Chord distances of the k-nearest-neighbor graph, symmetrised by union.

    Vertices i and j are joined if j is among the k nearest of i *or* i among the k nearest of j.
    All vertices at the distance of the k-th are kept (relative tolerance 1e-7), so that the graph
    has the symmetries of the sampling; a vertex can therefore have more than k neighbors.

    Parameters
    ----------
    points
        Distinct unit vectors.
    num_neighbors
        k, 1 to vertices - 1.
    kept
        Restrict the graph of all points to these (increasing indices). The result equals
        ``nearest_neighbors(points, k)[kept][:, kept]`` and costs as much as the kept points do.

    Returns
    -------
    csr_matrix
        Symmetric, (vertices, vertices) or (kept, kept).

    Examples
    --------
    >>> import numpy as np
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> nearest_neighbors(octahedron, 1).getnnz(axis=1).tolist()  # four are tied
    [4, 4, 4, 4, 4, 4]
    """
    num_points = len(points)
    if kept is None:
        rows, columns, distances = _query(points, np.arange(num_points), num_neighbors)
        size = num_points
    else:
        rows, columns, distances = _query_kept(points, kept, num_neighbors)
        position = _positions(kept, num_points)
        columns = position[columns]
        inside = columns >= 0
        rows, columns, distances = position[rows[inside]], columns[inside], distances[inside]
        size = len(kept)
    directed = coo_matrix((distances, (rows, columns)), shape=(size, size)).tocsr()
    return csr_matrix(directed.maximum(directed.T))


def _query_kept(
    points: Float[np.ndarray, "vertices 3"], kept: Int[np.ndarray, "kept"], num_neighbors: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest neighbors, among all points, of the kept points alone.

    Space is cut in cubes with a side beyond the expected reach of k neighbors. A tree of the points
    in the cubes that hold kept points and in the 26 around each answers exactly wherever the k-th
    distance found is shorter than a side; the other points (sparse places) ask a tree of all.
    """
    expected_reach = 4.0 * np.sqrt((num_neighbors + 1) / len(points))
    num_cubes = int(np.clip(2.0 / expected_reach, 1, 128))
    side = 2.0 / num_cubes
    cubes = np.clip(((points + 1.0) / side).astype(np.int32), 0, num_cubes - 1)
    marked = np.zeros((num_cubes + 2,) * 3, dtype=bool)
    x, y, z = cubes[kept].T
    for shift in np.ndindex(3, 3, 3):
        marked[x + shift[0], y + shift[1], z + shift[2]] = True
    x, y, z = cubes.T
    candidates = np.flatnonzero(marked[x + 1, y + 1, z + 1])
    found = _query(points[candidates], np.searchsorted(candidates, kept), num_neighbors, reach=side)
    rows, columns, distances = (candidates[found[0]], candidates[found[1]], found[2])
    answered = np.zeros(len(points), dtype=bool)
    answered[rows] = True
    unanswered = kept[~answered[kept]]
    if len(unanswered) == 0:
        return rows, columns, distances
    rest = _query(points, unanswered, num_neighbors)
    joined = [np.concatenate(pair) for pair in zip((rows, columns, distances), rest, strict=True)]
    return joined[0], joined[1], joined[2]


def _query(
    points: Float[np.ndarray, "vertices 3"],
    asking: Int[np.ndarray, "asking"],
    num_neighbors: int,
    *,
    reach: float = np.inf,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and distances of the k nearest of some points, ties kept.

    A point whose k-th neighbor is farther than `reach` gets no row.
    """
    # the points are spread evenly enough for the faster construction of an unbalanced tree
    tree = KDTree(points, balanced_tree=False, compact_nodes=False)
    parts = []
    for start in range(0, len(asking), _CHUNK):
        remaining = asking[start : start + _CHUNK]
        width = num_neighbors + 1 + _TIE_MARGIN
        while len(remaining):
            part, remaining = _query_once(tree, remaining, num_neighbors, width, reach)
            parts.append(part)
            width *= 2
    rows, columns, distances = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(distances)


def _query_once(
    tree: KDTree, asking: Int[np.ndarray, "asking"], num_neighbors: int, width: int, reach: float
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """One query for `width` neighbors, and the points whose ties did not fit in it."""
    width = min(width, tree.n)
    if width <= num_neighbors:  # too few candidates around: out of reach for all
        empty = np.empty(0, dtype=np.int32)
        return (empty, empty, np.empty(0)), asking[:0]
    workers = num_threads() if len(asking) > 10_000 else 1
    found = tree.query(tree.data[asking], k=width, workers=workers)
    distances, columns = np.asarray(found[0]), np.asarray(found[1])
    # column 0 is the point itself, at distance 0
    cutoff = distances[:, num_neighbors] * (1.0 + TIE_TOLERANCE)
    complete = (distances[:, -1] > cutoff) | (width == tree.n)
    keep = (distances <= cutoff[:, None]) & (columns != asking[:, None])
    keep &= (complete & (cutoff < reach))[:, None]
    local = np.nonzero(keep)[0]
    part = (asking[local].astype(np.int32), columns[keep].astype(np.int32), distances[keep])
    return part, asking[~complete & (cutoff < reach)]


def _positions(kept: Int[np.ndarray, "kept"], num_points: int) -> Int[np.ndarray, "vertices"]:
    """The position of every point among the kept ones, -1 where it is left out."""
    position = np.full(num_points, -1, dtype=np.int32)
    position[kept] = np.arange(len(kept), dtype=np.int32)
    return position


def grid_edges(sampling: Sampling, num_neighbors: Literal[4, 8] = 4) -> Int[np.ndarray, "edges 2"]:
    """Edges of the graph of the four or eight neighbors on a latitude-longitude grid.

    North, south, east and west; rings are closed across longitude 0, and a vertex on a pole is
    joined to the whole ring beside it. With eight neighbors the diagonals too, and where no vertex
    lies on a pole the edges cross it: a vertex of the last ring is joined to the one half a turn
    away and to the two beside that.

    Parameters
    ----------
    sampling
        An `Equiangular`, a `Rectilinear` or a full `GaussLegendre` sampling.
    num_neighbors
        4 or 8.

    Returns
    -------
    ndarray
        Pairs of vertices, each edge once or more, in no order.

    Raises
    ------
    ValueError
        If the sampling is not such a grid.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> len(grid_edges(Equiangular(nlat=4, nlon=8)))  # 4 rings of 8 and 3 gaps of 8
    56

    References
    ----------
    Khasanova and Frossard, 2017, Graph-based classification of omnidirectional images, section 3.
    """
    sizes = ring_sizes(sampling)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    edges = []
    for ring, size in enumerate(sizes):
        here = starts[ring] + np.arange(size)
        if size > 1:
            edges.append(np.stack([here, np.roll(here, -1)], axis=1))
        if ring + 1 < len(sizes):
            below = starts[ring + 1] + np.arange(sizes[ring + 1])
            edges += _between(here, below, num_neighbors)
        if num_neighbors == 8 and ring in (0, len(sizes) - 1):
            edges += _across_the_pole(here)
    return np.concatenate(edges)


def _between(here: np.ndarray, below: np.ndarray, num_neighbors: int) -> list[np.ndarray]:
    """Edges between two rings, a pole (one vertex) repeated to the size of the other."""
    size = max(len(here), len(below))
    here, below = np.resize(here, size), np.resize(below, size)
    shifts = (-1, 0, 1) if num_neighbors == 8 else (0,)
    return [np.stack([here, np.roll(below, shift)], axis=1) for shift in shifts]


def _across_the_pole(ring: np.ndarray) -> list[np.ndarray]:
    """Edges to the vertices half a turn away and beside it; of a pole, only to itself."""
    # on a ring of an odd size two vertices are nearest to half a turn away
    half = {len(ring) // 2, (len(ring) + 1) // 2}
    turns = range(min(half) - 1, max(half) + 2) if len(half) == 1 else half
    return [np.stack([ring, np.roll(ring, -turn)], axis=1) for turn in turns]


def is_grid(sampling: Sampling) -> bool:
    """Whether all rings of latitude of a sampling have the same longitudes, the poles aside.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular, GaussLegendre
    >>> is_grid(Equiangular(nlat=4)), is_grid(GaussLegendre(nlat=4, nlon="octahedral"))
    (True, False)
    """
    return isinstance(sampling, Equiangular | Rectilinear) or (
        isinstance(sampling, GaussLegendre) and sampling.nlon != "octahedral"
    )


def has_turned_rings(sampling: Sampling) -> bool:
    """Whether a sampling is a grid whose rings are turned into themselves by a step of longitude.

    Examples
    --------
    >>> from deepsphere.sampling import Rectilinear
    >>> has_turned_rings(Rectilinear([50, 0, -20], [60, 180, 300]))
    True
    >>> has_turned_rings(Rectilinear([50, 0, -20], [0, 180, 300]))
    False
    """
    if isinstance(sampling, Rectilinear):
        return sampling.has_even_meridians
    return is_grid(sampling)


def ring_sizes(sampling: Sampling) -> list[int]:
    """The number of vertices on each ring of a grid, in their order."""
    if isinstance(sampling, Equiangular):
        sizes = [int(sampling.nlon or 2 * sampling.nlat)] * sampling.nlat
        if sampling.poles in (1, 2):
            sizes[0] = 1
        if sampling.poles in (2, "south"):
            sizes[-1] = 1
        return sizes
    if isinstance(sampling, Rectilinear):
        return np.where(np.abs(sampling.lat_deg) == 90, 1, len(sampling.lon_deg)).tolist()
    if isinstance(sampling, GaussLegendre) and is_grid(sampling):
        return [int(sampling.nlon or 2 * sampling.nlat)] * sampling.nlat
    raise ValueError(
        "neighborhood='grid' must be used with an Equiangular or a full GaussLegendre sampling, "
        f"or a Rectilinear one, got {sampling.spec}; use neighborhood='knn' or 'delaunay'"
    )


def triangle_edges(triangles: Int[np.ndarray, "triangles 3"]) -> Int[np.ndarray, "edges 2"]:
    """The sides of triangles as pairs of vertices; a side shared by two triangles comes twice.

    Examples
    --------
    >>> triangle_edges(np.array([[0, 1, 2]]))
    array([[0, 1],
           [1, 2],
           [2, 0]])
    """
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _pixel_edges(sampling: Healpix, kept: np.ndarray | None) -> Int[np.ndarray, "edges 2"]:
    """Pairs of a (kept) HEALPix pixel and one of its eight neighbors."""
    pixels = np.arange(sampling.num_vertices) if kept is None else kept
    neighbors = pixel_neighbors(sampling.nside, pixels, ordering=sampling.ordering)
    exists: Bool[np.ndarray, "pixels 8"] = neighbors >= 0
    return np.stack([np.repeat(pixels, exists.sum(axis=1)), neighbors[exists]], axis=1)


def _edge_distances(
    points: Float[np.ndarray, "vertices 3"],
    edges: Int[np.ndarray, "edges 2"],
    kept: Int[np.ndarray, "kept"] | None,
) -> csr_matrix:
    """Symmetric CSR matrix of the chord lengths of edges, restricted to the kept vertices."""
    size = len(points)
    if kept is not None:
        edges = _positions(kept, size)[edges]
        edges = edges[(edges >= 0).all(axis=1)]
        points, size = points[kept], len(kept)
    distances = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    # an edge may be listed twice or in both directions: keep each once before mirroring it
    low, high = edges.min(axis=1).astype(np.int64), edges.max(axis=1).astype(np.int64)
    _, first = np.unique(low * size + high, return_index=True)
    first = first[low[first] != high[first]]
    upper = coo_matrix((distances[first], (low[first], high[first])), shape=(size, size)).tocsr()
    return csr_matrix(upper + upper.T)
