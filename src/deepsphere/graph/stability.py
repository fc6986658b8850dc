"""How much the Chebyshev polynomials of an operator can amplify a signal."""

from collections.abc import Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, diags, identity

from deepsphere.graph.edge_weights import relative_areas
from deepsphere.graph.sphere_graph import SphereGraph

# Products with T_kᵀ T_k per order, and vectors multiplied together: within a percent of the norm.
_ITERATIONS = 15
_VECTORS = 4
# Norms that a filter has asked for, by order.
_KNOWN: WeakKeyDictionary[SphereGraph, dict[int, float]] = WeakKeyDictionary()


def chebyshev_norms(
    graph: SphereGraph, max_order: int = 8, *, norm: Literal["euclidean", "area"] = "euclidean"
) -> Float[np.ndarray, "orders"]:
    r"""The norms of the Chebyshev polynomials of a graph's rescaled Laplacian.

    .. math:: \|T_k(2 L / \lambda_{max} - I)\|, \quad k = 1, \dots, \text{max\_order}

    They are 1 in the inner product in which the Laplacian is self-adjoint. Where it is self-adjoint
    in none (weights "optimal_rows") they may grow with the order, and with them what a filter can
    do to rounding errors and to single vertices.

    Parameters
    ----------
    graph
        A graph.
    max_order
        Largest k, at least 1: one less than the kernel_size of a filter.
    norm
        How signals are measured: "euclidean" by their sum of squares, "area" by the integral of
        their square over the sphere, :math:`\sum_i a_i x_i^2`.

    Returns
    -------
    ndarray
        (max_order,). 1 where theory says so, else an estimate from below by power iteration, from
        always the same start.

    Raises
    ------
    ValueError
        If max_order is below 1 or the norm is neither.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> chebyshev_norms(build_graph(Healpix(nside=2), num_neighbors=8), max_order=3)
    array([1., 1., 1.])
    """
    if norm not in ("euclidean", "area"):
        raise ValueError(f"norm must be 'euclidean' or 'area', got {norm!r}; choose one of them")
    orders, mass = _orders(max_order), graph.vertex_mass
    areas = relative_areas(graph.sampling) if norm == "area" else np.ones(graph.num_vertices)
    # self-adjoint for masses that are a multiple of the weights of the norm; 0 is an eigenvalue,
    # and T_k(-1) has modulus 1
    if mass is not None and np.ptp(mass / areas) <= 1e-9 * (mass / areas).max():
        return np.ones(max_order)
    return operator_chebyshev_norms(
        graph.laplacian, graph.lambda_max, max_order=len(orders), areas=areas
    )


def operator_chebyshev_norms(
    operator: csr_matrix,
    lambda_max: float,
    *,
    max_order: int = 8,
    areas: Float[np.ndarray, "vertices"] | None = None,
) -> Float[np.ndarray, "orders"]:
    r"""The norms of :math:`T_k(2 A / \lambda_{max} - I)` for any sparse operator A.

    Parameters
    ----------
    operator
        A, (vertices, vertices).
    lambda_max
        Positive; the largest real part of an eigenvalue of a Laplacian.
    max_order
        Largest k, at least 1.
    areas
        Positive weights a of the norm :math:`(\sum_i a_i x_i^2)^{1/2}`; ones if not given.

    Returns
    -------
    ndarray
        (max_order,), k = 1 .. max_order, estimates from below by power iteration on
        :math:`T_k^\top T_k`, each started from the vectors of the order before.

    Raises
    ------
    ValueError
        If max_order is below 1 or lambda_max is not positive.

    Examples
    --------
    >>> rotation = csr_matrix([[1.0, -0.5], [0.5, 1.0]])  # 2 A / 2 - I turns and halves
    >>> operator_chebyshev_norms(rotation, 2.0, max_order=2).round(6)
    array([0.5, 1.5])
    """
    if not lambda_max > 0:
        raise ValueError(
            f"lambda_max must be positive, got {lambda_max}; give the largest real part of an "
            "eigenvalue"
        )
    orders = _orders(max_order)
    matrix = csr_matrix(
        (2.0 / lambda_max) * operator - identity(operator.get_shape()[0], format="csr")
    )
    if areas is not None:
        root = np.sqrt(areas)
        matrix = csr_matrix(diags(root) @ matrix @ diags(1.0 / root))
    return _norms(matrix, orders)


def chebyshev_norm(graph: SphereGraph, order: int) -> float:
    """The norm of one Chebyshev polynomial of a graph's rescaled Laplacian; kept with the graph.

    Parameters
    ----------
    graph
        A graph.
    order
        At least 1.

    Returns
    -------
    float
        At least 1 for a Laplacian that takes constants to zero. In the norm in which the Laplacian
        is self-adjoint, else in that of the sum of squares, from below.

    Raises
    ------
    ValueError
        If the order is below 1.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> chebyshev_norm(build_graph(Healpix(nside=2), num_neighbors=8), 20)
    1.0
    """
    _orders(order)
    if graph.vertex_mass is not None or graph.lambda_max == 0:
        return 1.0
    known = _KNOWN.setdefault(graph, {})
    if order not in known:
        known[order] = float(_norms(graph.rescaled_laplacian(), [order])[0])
    return known[order]


def _orders(max_order: int) -> range:
    """The orders up to a largest one, which must be at least 1."""
    if max_order < 1:
        raise ValueError(f"the order must be at least 1, got {max_order}; use 8, the default")
    return range(1, max_order + 1)


def _norms(matrix: csr_matrix, orders: Sequence[int]) -> Float[np.ndarray, "orders"]:
    """Largest singular values of T_k(matrix), by power iteration on a few vectors together."""
    transposed = csr_matrix(matrix.T)
    size = matrix.get_shape()[0]
    generator = np.random.default_rng(0)
    # constants, which polynomials of a Laplacian keep, are the maximum if nothing is amplified
    block = np.column_stack([np.ones(size), generator.standard_normal((size, _VECTORS - 2))])
    norms = np.zeros(len(orders))
    for index, order in enumerate(orders):
        # the order before leads the way, a random vector finds what is not on it
        fresh = generator.standard_normal(size)
        block = np.column_stack([block[:, : _VECTORS - 1], fresh])
        for _ in range(_ITERATIONS):
            block = np.linalg.qr(block)[0]
            left, values, _ = np.linalg.svd(_polynomial(matrix, block, order), full_matrices=False)
            norms[index] = max(norms[index], values[0])
            block = _polynomial(transposed, left * values, order)
    return norms


def _polynomial(
    matrix: csr_matrix, block: Float[np.ndarray, "vertices vectors"], order: int
) -> Float[np.ndarray, "vertices vectors"]:
    """T_k(matrix) times a few vectors, k at least 1."""
    previous, current = block, matrix @ block
    for _ in range(order - 1):
        previous, current = current, 2.0 * (matrix @ current) - previous
    return current
