"""The width of the Gaussian edge weights that makes a graph most equivariant."""

import math
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix

from deepsphere.equivariance.exact import default_max_degree
from deepsphere.graph.neighbors import neighbor_distances, root_and_indices
from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.graph.weights import gaussian_weights
from deepsphere.graph.zonal import symbol_and_gain
from deepsphere.sampling import Sampling

Objective = Literal["log", "red", "white"]

# The search spans these multiples of (1.6 + 0.14 k) / n, on a grid and then between the neighbors
# of its best point. At the upper end all weights are nearly equal, at the lower nearly all are 0.
_SPAN, _NUM_WIDTHS = (1 / 8, 64.0), 19
# Relative precision of the width; its effect on the error is of second order.
_PRECISION = 1e-3
# Rows, not symmetric to each other, beyond which the error is averaged over a sample of them.
_MOST_ROWS = 16384
# Spectrum C_l ~ l^-3 of the published search for widths.
_RED_EXPONENT = -3.0


def tune_kernel_width(
    sampling: Sampling,
    num_neighbors: int,
    *,
    objective: Objective = "log",
    max_degree: int | None = None,
) -> float:
    r"""The width t of the Gaussian edge weights that makes the Laplacian most equivariant.

    It minimizes one of

    .. math:: \text{log}: \frac{1}{l_{max}} \sum_l \log E_l, \quad
              \text{red, white}:
              2\, \frac{\sum_l C_l (2l + 1) (s_l - \lambda_l^2)}{\sum_l C_l (2l + 1)\, s_l}

    over the exact errors :math:`E_l = 2 (1 - \lambda_l^2 / s_l)` of
    :func:`deepsphere.equivariance_error`: their geometric mean, or the error of random signals with
    :math:`C_l \propto l^{-3}` or :math:`C_l = 1`. Larger widths serve high degrees at the cost of
    low ones. Where the density of vertices varies a lot, as on latitude-longitude grids, no width
    is good, and the best makes nearly all weights equal. The search goes from 1/8 to 64 times
    (1.6 + 0.14 k) / n and is deterministic; large samplings are judged by a sample of their
    vertices.

    Parameters
    ----------
    sampling : Sampling
        The vertices; of a part of the sphere, the whole sampling that it is a part of is used.
    num_neighbors : int
        k of the nearest-neighbor graph, 1 to vertices - 1.
    objective : "log", "red" or "white"
    max_degree : int, optional
        Largest degree that counts; :func:`default_max_degree` if not given.

    Returns
    -------
    float
        t, squared radians, for ``build_graph(sampling, weights="gaussian", kernel_width=t)``.

    Raises
    ------
    ValueError
        If the objective is unknown, the degree below 1, or there are too few vertices.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=8)
    >>> round(768 * tune_kernel_width(sampling, 8), 1)
    3.0

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN, section
    3 (there by a search with sampled errors).
    """
    if objective not in get_args(Objective):
        raise ValueError(
            f"objective must be one of {', '.join(get_args(Objective))}, got {objective!r}"
        )
    largest = default_max_degree(sampling) if max_degree is None else max_degree
    if largest < 1:
        raise ValueError(f"max_degree must be at least 1, got {largest}")
    root, _ = root_and_indices(sampling)
    if not 1 <= num_neighbors < root.num_vertices:
        raise ValueError(
            f"num_neighbors must be at least 1 and smaller than the number of vertices "
            f"({root.num_vertices}), got {num_neighbors}"
        )
    rows, areas = _representatives(root)
    distances = csr_matrix(neighbor_distances(root, num_neighbors=num_neighbors)[rows])
    centers = root.points[rows]

    def cost(log_width: float) -> float:
        operator = _laplacian_rows(distances, rows, math.exp(log_width))
        symbol, gain = symbol_and_gain(
            operator, root.points, largest, areas=areas, row_points=centers
        )
        return _cost(symbol[1:], gain[1:], objective)

    center = math.log((1.6 + 0.14 * num_neighbors) / root.num_vertices)
    low, high = (center + math.log(multiple) for multiple in _SPAN)
    widths = np.linspace(low, high, _NUM_WIDTHS)
    best = int(np.argmin([cost(width) for width in widths]))
    low, high = widths[max(best - 1, 0)], widths[min(best + 1, _NUM_WIDTHS - 1)]
    found = minimize_scalar(
        cost, bounds=(low, high), method="bounded", options={"xatol": _PRECISION}
    )
    return math.exp(float(found.x))


def _cost(
    symbol: Float[np.ndarray, "degrees"], gain: Float[np.ndarray, "degrees"], objective: Objective
) -> float:
    """The objective, from the symbol and gain of degrees 1 and up."""
    degree = np.arange(1, len(gain) + 1)
    if objective == "log":
        # a graph with the symmetries of the sampling may be exact at a degree, up to rounding
        return float(np.log(np.maximum(1 - symbol**2 / gain, 1e-15)).mean())
    exponent = _RED_EXPONENT if objective == "red" else 0.0
    weight = (2 * degree + 1) * degree**exponent
    return float(weight @ (gain - symbol**2) / (weight @ gain))


def _laplacian_rows(distances: csr_matrix, rows: np.ndarray, width: float) -> csr_matrix:
    """The rows of the Laplacian of the Gaussian weights, from the distances in them."""
    weights = gaussian_weights(distances, width)
    num_rows = len(rows)
    sums = np.asarray(weights.sum(axis=1)).reshape(-1)
    shape = distances.shape
    diagonal = csr_matrix((sums, (np.arange(num_rows), rows)), shape=shape)
    return csr_matrix(diagonal - weights)


def _representatives(
    sampling: Sampling,
) -> tuple[Int[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """One vertex of each class of vertices that a symmetry exchanges, and the area of the class.

    The nearest neighbors have the symmetries of the sampling, as ties are kept. Of very many
    classes a fixed sample.
    """
    first = vertex_permutations(sampling).min(axis=0)
    rows, orbit = np.unique(first, return_inverse=True)
    areas = np.bincount(orbit, weights=sampling.areas)
    if len(rows) > _MOST_ROWS:
        draw = np.random.default_rng(sampling.num_vertices)
        kept = np.sort(draw.choice(len(rows), _MOST_ROWS, replace=False))
        rows, areas = rows[kept], areas[kept]
    return rows, areas
