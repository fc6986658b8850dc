"""What a Laplacian does to harmonics of each degree, averaged over the sphere."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix

from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.graph.zonal import one_minus_legendre
from deepsphere.sampling import Subset

# Legendre polynomials evaluated at most: beyond, only some vertices are looked at.
_MAX_EVALUATIONS = 2**24
# Zonal harmonics on which deviations are measured, each around a vertex of its own.
_NUM_CENTERS = 6
# Those evaluated at once.
_EVALUATIONS_PER_CHUNK = 2**22
# Rows of a Laplacian sum to zero up to rounding, relative to the diagonal.
_ZERO_SUM = 1e-9
# A vertex whose edges pull to one side by more than this part of their strength is at a border: it
# is .6 at a straight one, and below .1 inside of samplings that are spread evenly.
_BORDER_PULL = 0.25


def degree_eigenvalues(
    graph: SphereGraph, max_degree: int
) -> tuple[Float[np.ndarray, "degrees"], Float[np.ndarray, "degrees"]]:
    r"""The mean eigenvalue of a Laplacian on harmonics of each degree, and how far it is from one.

    .. math:: \lambda_l = \frac{1}{2l + 1} \sum_m
              \frac{\langle Y_{lm}, L\, Y_{lm} \rangle}{\langle Y_{lm}, Y_{lm} \rangle}
              = \sum_i \frac{a_i}{\sum_k a_k} \sum_j w_{ij} (1 - P_l(x_i \cdot x_j)), \qquad
              \delta_l = \frac{\lVert L Z_l - \lambda_l Z_l \rVert}{\lVert Z_l \rVert}

    with the areas a and the entries -w of L: by the addition theorem the mean over orders of the
    Rayleigh quotients needs no harmonics, only the angles between neighbors. On the sphere
    eigenvalues are proportional to l (l + 1), and there are no deviations; these are root mean
    squares over zonal harmonics Z around some of the vertices.

    On a part of a sphere, vertices that miss neighbors, and those that look at them, are left out.
    On large graphs it is the mean over some of the vertices, always the same.

    Parameters
    ----------
    graph
        With a Laplacian whose rows sum to zero: "combinatorial" or "random_walk".
    max_degree
        Largest degree, at least 0.

    Returns
    -------
    eigenvalues
        λ, (max_degree + 1,), the first is 0.
    deviations
        δ, (max_degree + 1,), the first is 0.

    Raises
    ------
    ValueError
        If the degree is negative, rows do not sum to zero, or every vertex is near a border.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=16), num_neighbors=20)
    >>> eigenvalues, deviations = degree_eigenvalues(graph, 3)
    >>> (eigenvalues / eigenvalues[1] * 2).round(1)  # l (l + 1), at low degrees
    array([ 0. ,  2. ,  6. , 11.9])
    >>> bool((deviations[1:] / eigenvalues[1:] < 0.01).all())
    True

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 3 (eigenvectors of the graph and harmonics).
    """
    if max_degree < 0:
        raise ValueError(f"max_degree must be at least 0, got {max_degree}")
    laplacian = graph.laplacian
    sums = laplacian @ np.ones(graph.num_vertices)
    if np.abs(sums).max() > _ZERO_SUM * laplacian.diagonal().max():
        raise ValueError(
            "graph must have a Laplacian whose rows sum to zero, as constants are harmonics too, "
            f"got laplacian={graph.options.laplacian!r}; build it with laplacian='combinatorial'"
        )
    inner = np.flatnonzero(~near_border(graph))
    if not len(inner):
        raise ValueError(
            f"graph must have vertices that miss no neighbors, got {graph.num_vertices} that are "
            "all near a border; use a larger part of the sphere"
        )
    eigenvalues = _mean_eigenvalues(graph, _some(graph, inner, max_degree), max_degree)
    vertices = _some(graph, inner, _NUM_CENTERS * (max_degree + 1))
    return eigenvalues, _deviations(graph, vertices, eigenvalues)


def _mean_eigenvalues(
    graph: SphereGraph, vertices: np.ndarray, max_degree: int
) -> Float[np.ndarray, "degrees"]:
    """The mean over vertices of what each does to its own zonal harmonics."""
    areas, points = graph.sampling.areas[vertices], graph.sampling.points
    shares, mean = areas / areas.sum(), np.zeros(max_degree + 1)
    for piece in _pieces(graph, len(vertices), max_degree):
        rows, owner = _rows(graph, vertices[piece])
        steps = points[rows.indices] - points[vertices[piece][owner]]
        values = one_minus_legendre(np.einsum("pd,pd->p", steps, steps), max_degree)
        mean -= values @ (np.asarray(rows.data) * shares[piece][owner])
    return mean


def _deviations(
    graph: SphereGraph, vertices: np.ndarray, eigenvalues: np.ndarray
) -> Float[np.ndarray, "degrees"]:
    """Root mean square of L Z - λ Z over vertices and over zonal harmonics, relative to Z."""
    areas, points = graph.sampling.areas[vertices], graph.sampling.points
    max_degree = len(eigenvalues) - 1
    centers = np.random.default_rng(1).choice(vertices, _NUM_CENTERS, p=areas / areas.sum())
    missed, size = np.zeros((2, _NUM_CENTERS, max_degree + 1))
    for piece in _pieces(graph, len(vertices), max_degree):
        rows, owner = _rows(graph, vertices[piece])
        entries = (np.asarray(rows.data), (owner, np.arange(len(owner))))
        row_sums = csr_matrix(entries, (len(vertices[piece]), len(owner)))
        for index, center in enumerate(centers):
            around = points[rows.indices] - points[center]
            here = points[vertices[piece]] - points[center]
            # rows of L sum to zero: what it does to 1 - Z, it does to -Z
            applied = -(row_sums @ one_minus_legendre((around**2).sum(axis=1), max_degree).T)
            zonal = 1 - one_minus_legendre((here**2).sum(axis=1), max_degree).T
            missed[index] += areas[piece] @ (applied - eigenvalues * zonal) ** 2
            size[index] += areas[piece] @ zonal**2
    return np.sqrt((missed / size).mean(axis=0))


def _pieces(graph: SphereGraph, num_vertices: int, max_degree: int) -> Iterator[slice]:
    """Parts of vertices whose polynomials fit in memory."""
    per_vertex = (max_degree + 1) * _pairs_per_vertex(graph)
    length = max(int(_EVALUATIONS_PER_CHUNK / per_vertex), 1)
    for start in range(0, num_vertices, length):
        yield slice(start, min(start + length, num_vertices))


def _rows(graph: SphereGraph, vertices: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """Rows of the Laplacian, and to which of them each entry belongs."""
    rows = csr_matrix(graph.laplacian[vertices])
    return rows, np.repeat(np.arange(len(vertices)), np.diff(rows.indptr))


def near_border(graph: SphereGraph) -> Bool[np.ndarray, "vertices"]:
    """Which vertices of a part of a sphere miss neighbors, or look at some that do.

    Found by the pull of the edges: where it is not balanced, there is nothing on one side.

    Parameters
    ----------
    graph
        With a Laplacian whose rows sum to zero.

    Returns
    -------
    ndarray
        (vertices,); none on a whole sphere.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=8).subset(np.arange(64)), num_neighbors=8)
    >>> int((~near_border(graph)).sum())  # 6 × 6 and less of 8 × 8
    16
    """
    if not isinstance(graph.sampling, Subset):
        return np.zeros(graph.num_vertices, bool)
    laplacian, points = graph.laplacian, graph.sampling.points
    pull = laplacian @ points
    inward = np.einsum("vd,vd->v", points, pull)
    sideways = np.linalg.norm(pull - inward[:, None] * points, axis=-1)
    # sum of w d is at most √(sum of w · sum of w d²)
    strength = np.sqrt(laplacian.diagonal() * 2 * np.maximum(inward, 0.0))
    at_border = sideways > _BORDER_PULL * strength
    at_border |= strength == 0
    return abs(laplacian) @ at_border.astype(np.float64) > 0


def _some(graph: SphereGraph, inner: np.ndarray, per_pair: int) -> np.ndarray:
    """As many vertices as can be afforded at so many polynomials per pair, always the same."""
    affordable = int(_MAX_EVALUATIONS / (per_pair + 1) / _pairs_per_vertex(graph))
    if affordable >= len(inner):
        return inner
    chosen = np.random.default_rng(0).choice(len(inner), max(affordable, 1), replace=False)
    return inner[np.sort(chosen)]


def _pairs_per_vertex(graph: SphereGraph) -> float:
    """Mean number of entries in a row of the Laplacian."""
    return max(graph.laplacian.nnz / graph.num_vertices, 1.0)
