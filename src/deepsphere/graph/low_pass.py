"""Anti-aliased pooling: a low-pass filter and the sub-sampling that follows it, as one matrix."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import scipy.special
from jaxtyping import Float
from scipy.sparse import csr_matrix, identity, vstack
from scipy.spatial import KDTree

from deepsphere.graph.pooling_matrices import matrix_size, mean_pooling_matrix
from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.graph.zonal import symbol_and_gain
from deepsphere.sampling import Sampling

# Rows of the pooling matrix computed at once: bounds the memory of the wide intermediate rows.
_ROWS_PER_BLOCK = 8192
# The mean symbol is an average over vertices: this many drawn ones determine it within a percent.
_SYMBOL_ROWS = 2048
# Of a cell to the median one; Voronoi cells of independent points stay below about 5.
_MAX_AREA_RATIO = 10.0
# An intermediate entry this small against the dropping threshold cannot come back above it.
_INTERMEDIATE_SHARE = 0.01
# Terms of the heat kernel's series are summed until this much of its mass is missing.
_SERIES_TAIL = 1e-8


def cutoff_degree(num_coarse: int, total_area: int | float = 4 * math.pi) -> float:
    r"""The harmonic degree that a coarse sampling should no longer receive.

    .. math:: l_c = \sqrt{n_c / 3}, \quad n_c = 4 \pi\, \text{num\_coarse} / \text{total\_area},

    which is ``2 nside`` on HEALPix. A part of the sphere counts by its density.

    Parameters
    ----------
    num_coarse : int
        Number of vertices of the coarse sampling.
    total_area : float
        Solid angle covered by them, in steradians.

    Returns
    -------
    float

    Examples
    --------
    >>> cutoff_degree(12 * 8**2)
    16.0
    """
    return math.sqrt(num_coarse * (4 * math.pi / total_area) / 3)


def mean_symbol(graph: SphereGraph, degree: int | float) -> float:
    r"""The eigenvalue that a graph's Laplacian has on average for harmonics of one degree.

    .. math:: \lambda_l = \sum_i q_i \sum_j L_{ij} P_l(x_i \cdot x_j),

    as in :func:`deepsphere.graph.zonal.symbol_and_gain`, with the areas divided by their sum as
    :math:`q`. Between two integer degrees it is interpolated linearly. Large graphs are measured on
    2048 vertices, drawn always alike.

    Parameters
    ----------
    graph : SphereGraph
    degree : float
        Degree of the harmonics, not negative.

    Returns
    -------
    float
        In the units of the Laplacian, which is not rescaled.

    Raises
    ------
    ValueError
        If the degree is negative.

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20)
    >>> bool(0 < mean_symbol(graph, 1) < mean_symbol(graph, 2) < graph.lambda_max)
    True
    """
    if degree < 0:
        raise ValueError(f"degree must not be negative, got {degree}; harmonics start at degree 0")
    points, areas = graph.sampling.points, _covered_areas(graph.sampling.areas)
    rows = np.arange(graph.num_vertices)
    if graph.num_vertices > _SYMBOL_ROWS:
        # drawn, not strided: a stride would see one child position of a hierarchical order only
        rows = np.random.default_rng(0).choice(graph.num_vertices, _SYMBOL_ROWS, replace=False)
    below, above = math.floor(degree), math.ceil(degree)
    symbol, _ = symbol_and_gain(
        graph.laplacian[rows], points, above, areas=areas[rows], row_points=points[rows]
    )
    return float(symbol[below] + (degree - below) * (symbol[above] - symbol[below]))


def low_pass_power(graph: SphereGraph, num_coarse: int, *, attenuation: float = 0.4) -> int:
    r"""The exponent q for which :math:`(I - L/\lambda_{max})^q` prepares for a coarse sampling.

    .. math:: q = \frac{\ln(1/e)}{-\ln(1 - \lambda_{l_c} / \lambda_{max})}

    rounded to an integer of at least 1, so that harmonics of the degree :math:`l_c` of
    :func:`cutoff_degree` are multiplied by the attenuation e, whatever the graph.

    Parameters
    ----------
    graph : SphereGraph
        The fine graph.
    num_coarse : int
        Number of vertices of the coarse sampling.
    attenuation : float
        e, between 0 and 1.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the attenuation is not between 0 and 1.

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=8), num_neighbors=20)
    >>> low_pass_power(graph, 12 * 4**2), low_pass_power(graph, 12 * 4**2, attenuation=0.2)
    (2, 4)
    """
    _check_attenuation(attenuation)
    share = _share_at_cutoff(graph, num_coarse)
    if share >= 1:
        return 1
    return max(1, round(math.log(attenuation) / math.log1p(-share)))


def _covered_areas(areas: Float[np.ndarray, " vertices"]) -> Float[np.ndarray, " vertices"]:
    """Areas in which the cells that reach around the sphere are cut to what the points cover.

    The Voronoi cells of stations in one region share out the whole sphere, most of it to those on
    the border; no sampling that covers the sphere has cells so far from the median.
    """
    return np.minimum(areas, _MAX_AREA_RATIO * np.median(areas))


def _share_at_cutoff(graph: SphereGraph, num_coarse: int) -> float:
    """The mean symbol over the largest eigenvalue at the degree that should be attenuated."""
    degree = cutoff_degree(num_coarse, float(_covered_areas(graph.sampling.areas).sum()))
    symbol = mean_symbol(graph, degree)
    # without edges there is nothing to filter: one step of the identity
    return symbol / _largest(graph) if symbol > 0 else 1.0


def _largest(graph: SphereGraph) -> float:
    r"""The :math:`\lambda_{max}` of the smoothing step, for which no entry of it is negative.

    The diagonal of a self-adjoint Laplacian never exceeds its largest eigenvalue, that of another
    may.
    """
    if graph.vertex_mass is not None:
        return graph.lambda_max
    return max(graph.lambda_max, float(graph.laplacian.diagonal().max()))


def _check_attenuation(attenuation: float) -> None:
    if not 0 < attenuation < 1:
        raise ValueError(
            f"attenuation must lie between 0 and 1, got {attenuation}; 0.4 suits most networks, "
            "0.2 is smoother"
        )


def smoothing_matrix(graph: SphereGraph) -> csr_matrix:
    r"""The operator :math:`I - L/\lambda_{max}`: one step of smoothing on a graph.

    No entry is negative, and rows sum to one with the combinatorial Laplacian. Where L is
    self-adjoint for no masses, the largest entry of its diagonal stands for :math:`\lambda_{max}`
    if it is larger, here and in all functions that use this step.

    Parameters
    ----------
    graph : SphereGraph

    Returns
    -------
    csr_matrix, shape (vertices, vertices)

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> bool(abs(smoothing_matrix(graph).sum(axis=1) - 1).max() < 1e-12)
    True
    """
    whole = identity(graph.num_vertices, format="csr")
    largest = _largest(graph)
    scale = 1 / largest if largest > 0 else 0.0
    return csr_matrix(whole - scale * graph.laplacian)


def low_pass_pooling_matrix(
    graph: SphereGraph,
    membership: csr_matrix,
    *,
    attenuation: float = 0.4,
    method: Literal["power", "heat"] = "power",
    power: int | None = None,
    threshold: int | float = 0.01,
) -> csr_matrix:
    r"""The mean over the children of a signal that was low-passed on its graph.

    :math:`D\, h(L)`, with D the mean over the children and h one of

    - ``"power"``: :math:`(I - L/\lambda_{max})^q`, q by :func:`low_pass_power`;
    - ``"heat"``: :math:`e^{-sL}` with :math:`s = \ln(1/e) / \lambda_{l_c}`.

    Both multiply harmonics of the degree of :func:`cutoff_degree` by the attenuation e. The heat
    kernel is summed as :math:`\sum_k p_k (I - L/\lambda_{max})^k` with the Poisson
    probabilities :math:`p_k` of mean :math:`s \lambda_{max}`, whose terms never cancel.
    Entries below the threshold are dropped and rows are scaled to sum to one: constants are kept.

    Parameters
    ----------
    graph : SphereGraph
        The fine graph.
    membership : csr_matrix, shape (coarse vertices, fine vertices)
        Share of each fine vertex that belongs to each coarse vertex.
    attenuation : float
        e, between 0 and 1. Smaller is smoother.
    method : {"power", "heat"}
    power : int, optional
        q itself, for the method ``"power"``, instead of the one that follows from `attenuation`.
    threshold : float
        Entries below this fraction of their row's largest are dropped; 0 keeps all.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)

    Raises
    ------
    ValueError
        If an argument is out of range, or if a power is given to the heat kernel.

    Examples
    --------
    >>> import deepsphere as ds
    >>> sampling = ds.Healpix(nside=4)
    >>> graph = ds.build_graph(sampling, num_neighbors=20)
    >>> pooling = low_pass_pooling_matrix(graph, sampling.membership())
    >>> pooling.shape, bool(abs(pooling.sum(axis=1) - 1).max() < 1e-12)
    ((48, 192), True)

    References
    ----------
    Zhang (2019), Making convolutional networks shift-invariant again. Jensen (1953), Markoff
    chains as an aid in the study of Markoff processes, for the series of the heat kernel.
    """
    _check_attenuation(attenuation)
    if not 0 <= threshold < 1:
        raise ValueError(
            f"threshold must be at least 0 and below 1, got {threshold}; 0.01 drops 1 % of a row"
        )
    if method not in ("power", "heat"):
        raise ValueError(f"method must be 'power' or 'heat', got {method!r}; choose one of them")
    if power is not None and (method != "power" or power < 0):
        raise ValueError(
            f"power must be None or a nonnegative integer with method 'power', got {power} with "
            f"{method!r}; the width of 'heat' follows from attenuation alone"
        )
    num_coarse, _ = matrix_size(membership)
    if method == "heat":
        coefficients = _poisson(-math.log(attenuation) / _share_at_cutoff(graph, num_coarse))
    else:
        if power is None:
            power = low_pass_power(graph, num_coarse, attenuation=attenuation)
        coefficients = np.eye(power + 1)[power]
    children = mean_pooling_matrix(membership)
    step = smoothing_matrix(graph)
    blocks = [
        _filtered_rows(children[start : start + _ROWS_PER_BLOCK], step, coefficients, threshold)
        for start in range(0, num_coarse, _ROWS_PER_BLOCK)
    ]
    return csr_matrix(vstack(blocks, format="csr"))


def _poisson(mean: float) -> Float[np.ndarray, " terms"]:
    """Poisson probabilities up to the term after which a negligible mass is left."""
    count = np.arange(math.ceil(mean + 8 * math.sqrt(mean) + 20))
    probabilities = np.exp(count * math.log(mean) - mean - scipy.special.gammaln(count + 1))
    missing = 1 - np.cumsum(probabilities)
    return probabilities[: int(np.argmax(missing < _SERIES_TAIL)) + 1]


def _filtered_rows(
    rows: csr_matrix,
    step: csr_matrix,
    coefficients: Float[np.ndarray, " terms"],
    threshold: int | float,
) -> csr_matrix:
    """Rows of ``D sum_k c_k step^k``, without their small entries, summing to one."""
    # what an entry of a term can still add to the sum, in this and in all later terms
    remaining = np.cumsum(coefficients[::-1])[::-1]
    total = coefficients[0] * rows
    for coefficient, mass in zip(coefficients[1:], remaining[1:], strict=True):
        rows = csr_matrix(rows @ step)
        largest = np.maximum(_row_maxima(total), mass * _row_maxima(rows))
        rows = _without_small(rows, threshold * _INTERMEDIATE_SHARE * largest / mass)
        total = csr_matrix(total + coefficient * rows)
    return mean_pooling_matrix(_without_small(total, threshold * _row_maxima(total)))


def _row_maxima(matrix: csr_matrix) -> Float[np.ndarray, " rows"]:
    """The largest magnitude in each row."""
    return abs(matrix).max(axis=1).toarray().ravel()


def _without_small(matrix: csr_matrix, bounds: Float[np.ndarray, " rows"]) -> csr_matrix:
    """The matrix without the entries below a bound for each row."""
    kept = np.abs(matrix.data) >= np.repeat(bounds, np.diff(matrix.indptr))
    data = np.where(kept, matrix.data, 0.0)
    smaller = csr_matrix((data, matrix.indices.copy(), matrix.indptr.copy()), matrix.shape)
    smaller.eliminate_zeros()
    return smaller


def gaussian_pooling_matrix(
    fine_sampling: Sampling,
    coarse_sampling: Sampling,
    *,
    attenuation: float = 0.2,
    num_points_per_ratio: int = 15,
) -> csr_matrix:
    r"""The Gaussian average of a signal around each coarse point; it needs no graph.

    .. math:: D_{ij} \propto a_j\, e^{-|x_i - x_j|^2 / 4t}, \quad
              t = \frac{\ln(1/e)}{l_c (l_c + 1)},

    over the nearest fine vertices, with their areas a and rows that sum to one. Harmonics of the
    degree :math:`l_c` of :func:`cutoff_degree` are multiplied by about the attenuation e. Meant
    for samplings of even density: where points crowd (the poles of a latitude-longitude grid) the
    nearest ones do not reach the radius of the Gaussian.

    Parameters
    ----------
    fine_sampling, coarse_sampling : Sampling
        Where the signal is, and where its averages go.
    attenuation : float
        e, between 0 and 1. Smaller is smoother.
    num_points_per_ratio : int
        Each row takes this number times the ratio of vertex counts (60 where a vertex has four
        children): about two standard deviations.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pooling = gaussian_pooling_matrix(ds.Healpix(nside=4), ds.Healpix(nside=2))
    >>> pooling.shape, pooling.nnz // 48
    ((48, 192), 60)
    """
    _check_attenuation(attenuation)
    if num_points_per_ratio < 1:
        raise ValueError(
            f"num_points_per_ratio must be at least 1, got {num_points_per_ratio}; 15 reaches two "
            "standard deviations"
        )
    num_fine, num_coarse = fine_sampling.num_vertices, coarse_sampling.num_vertices
    degree = cutoff_degree(num_coarse, float(_covered_areas(coarse_sampling.areas).sum()))
    time = -math.log(attenuation) / (degree * (degree + 1))
    num_points = min(num_fine, max(1, round(num_points_per_ratio * num_fine / num_coarse)))
    blocks = [
        _gaussian_rows(fine_sampling, centers, num_points, time)
        for centers in _row_blocks(coarse_sampling.points)
    ]
    return csr_matrix(vstack(blocks, format="csr"))


def _row_blocks(points: Float[np.ndarray, "vertices 3"]) -> Iterator[np.ndarray]:
    for start in range(0, len(points), _ROWS_PER_BLOCK):
        yield points[start : start + _ROWS_PER_BLOCK]


def _gaussian_rows(
    fine: Sampling, centers: Float[np.ndarray, "rows 3"], num_points: int, time: float
) -> csr_matrix:
    """The rows of the Gaussian average around some centers."""
    distance, nearest = KDTree(fine.points).query(centers, k=num_points)
    # a single neighbor comes without an axis of its own
    distance = np.reshape(distance, (len(centers), num_points))
    nearest = np.reshape(nearest, (len(centers), num_points))
    # relative to the nearest vertex: far from every vertex the exponential would underflow
    exponent = -(distance**2 - distance[:, :1] ** 2) / (4 * time)
    weights = np.exp(exponent) * _covered_areas(fine.areas)[nearest]
    offsets = np.arange(0, nearest.size + 1, num_points)
    shape = (len(centers), fine.num_vertices)
    rows = csr_matrix((weights.ravel(), nearest.ravel(), offsets), shape=shape)
    rows.sort_indices()
    return mean_pooling_matrix(rows)
