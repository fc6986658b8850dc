"""Filtering of graph signals by functions of the Laplacian."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

from deepsphere.graph.signals import check_signals, from_columns, to_columns
from deepsphere.graph.spectral_functions import SpectralFunction
from deepsphere.graph.spectrum import (
    MAX_DENSE_VERTICES,
    fourier_basis,
    graph_fourier_transform,
    inverse_graph_fourier_transform,
)
from deepsphere.graph.sphere_graph import SphereGraph

Method = Literal["auto", "exact", "chebyshev"]

# Up to this size "auto" filters exactly: the basis takes about a second.
_AUTO_EXACT_VERTICES = 1000


def filter_signal(
    graph: SphereGraph,
    signals: Float[np.ndarray, "*batch vertices channels"],
    function: SpectralFunction,
    *,
    method: Method = "auto",
    order: int = 30,
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Signals filtered by a function of the Laplacian: y = g(L) x = U g(Λ) Uᵀ diag(m) x.

    A Laplacian that is self-adjoint for no masses (weights "optimal_rows") has no such basis and is
    filtered by a polynomial: keep the order low, as its Chebyshev polynomials may grow with their
    order (`chebyshev_norms`).

    Parameters
    ----------
    graph
        A graph.
    signals
        Values on its vertices.
    function
        g, a callable on arrays of eigenvalues; ready-made: `heat`, `tikhonov`, `ideal_low_pass`,
        `gaussian_band`.
    method
        "exact" uses the Fourier basis (at most 5,000 vertices, time cubic in their number),
        "chebyshev" a polynomial of L that approximates g on [0, lambda_max] (any size, time
        linear), "auto" the first up to 1,000 vertices where there is a basis.
    order
        Degree of the polynomial of "chebyshev", at least 0.

    Returns
    -------
    ndarray
        (*batch, vertices, channels), float64.

    Raises
    ------
    ValueError
        If the signals are not finite or not on the vertices of the graph, if order is negative, or
        if the exact method has too many vertices or no orthonormal basis.

    Examples
    --------
    >>> from deepsphere.graph import build_graph, heat
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=4))
    >>> north = np.zeros((192, 1))
    >>> north[3] = 1.0
    >>> warm = filter_signal(graph, north, heat(1.0))
    >>> round(float(warm.sum()), 9)
    1.0

    References
    ----------
    Hammond, Vandergheynst and Gribonval, 2011, Wavelets on graphs via spectral graph theory,
    section 6 (the Chebyshev approximation).
    """
    return filter_bank(graph, signals, [function], method=method, order=order)[0]


def filter_bank(
    graph: SphereGraph,
    signals: Float[np.ndarray, "*batch vertices channels"],
    functions: Sequence[SpectralFunction],
    *,
    method: Method = "auto",
    order: int = 30,
) -> Float[np.ndarray, "filters *batch vertices channels"]:
    """Signals filtered by each of several functions: the analysis operator of a filter bank.

    Parameters
    ----------
    graph
        A graph.
    signals
        Values on its vertices.
    functions
        Callables on arrays of eigenvalues, for example from `mexican_hat` or `itersine`.
    method, order
        As in `filter_signal`.

    Returns
    -------
    ndarray
        (filters, *batch, vertices, channels), float64.

    Raises
    ------
    ValueError
        As `filter_signal`.

    Examples
    --------
    >>> from deepsphere.graph import build_graph, itersine
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> signal = np.arange(48.0)[:, None]
    >>> bands = filter_bank(graph, signal, itersine(graph.lambda_max))
    >>> bands.shape, bool(np.isclose((bands**2).sum(), (signal**2).sum()))
    ((6, 48, 1), True)
    """
    check_signals(graph, signals)
    if _is_exact(graph, method, order):
        eigenvalues, vectors = fourier_basis(graph)
        spectrum = graph_fourier_transform(graph, signals, vectors)
        filtered = [
            inverse_graph_fourier_transform(function(eigenvalues)[:, None] * spectrum, vectors)
            for function in functions
        ]
        return np.stack(filtered)
    coefficients = np.stack(
        [chebyshev_coefficients(function, graph.lambda_max, order) for function in functions]
    )
    return _chebyshev_sums(graph, signals, coefficients)


def filter_bank_adjoint(
    graph: SphereGraph,
    bands: Float[np.ndarray, "filters *batch vertices channels"],
    functions: Sequence[SpectralFunction],
    *,
    method: Method = "auto",
    order: int = 30,
) -> Float[np.ndarray, "*batch vertices channels"]:
    """The sum of bands, each filtered by its function: the synthesis operator of a filter bank.

    sum_i g_i(L) y_i is the adjoint of `filter_bank` in the inner product in which L is
    self-adjoint, and its inverse if the functions form a tight frame, sum_i g_i² = 1.

    Parameters
    ----------
    graph
        A graph.
    bands
        One signal per function.
    functions
        Callables on arrays of eigenvalues.
    method, order
        As in `filter_signal`.

    Returns
    -------
    ndarray
        (*batch, vertices, channels), float64.

    Raises
    ------
    ValueError
        If there is not one band per function; else as `filter_signal`.

    Examples
    --------
    >>> from deepsphere.graph import build_graph, itersine
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> signal, bank = np.arange(48.0)[:, None], itersine(graph.lambda_max)
    >>> bands = filter_bank(graph, signal, bank)
    >>> bool(np.allclose(filter_bank_adjoint(graph, bands, bank), signal))
    True
    """
    if len(bands) != len(functions):
        raise ValueError(
            f"bands must hold one signal per function ({len(functions)}), got {len(bands)}; "
            "use the functions that made the bands"
        )
    check_signals(graph, bands)
    if _is_exact(graph, method, order):
        eigenvalues, vectors = fourier_basis(graph)
        spectra = graph_fourier_transform(graph, bands, vectors)
        gains = np.stack([function(eigenvalues) for function in functions])
        total = np.einsum("fn,f...nc->...nc", gains, spectra)
        return inverse_graph_fourier_transform(total, vectors)
    total = np.zeros(bands.shape[1:])
    for band, function in zip(bands, functions, strict=True):
        total += filter_signal(graph, band, function, method="chebyshev", order=order)
    return total


def chebyshev_coefficients(
    function: SpectralFunction, lambda_max: float, order: int
) -> Float[np.ndarray, "kernel_size"]:
    """Coefficients c_k of the polynomial that interpolates a function at Chebyshev nodes.

    g(λ) ~ sum_k c_k T_k(2 λ / lambda_max - 1) on [0, lambda_max]: the weights of a `ChebConv` with
    kernel_size = order + 1 that filters alike.

    Parameters
    ----------
    function
        g, a callable on arrays of eigenvalues.
    lambda_max
        End of the interval, positive.
    order
        Degree of the polynomial, at least 0.

    Returns
    -------
    ndarray
        (order + 1,), float64.

    Raises
    ------
    ValueError
        If order is negative.

    Examples
    --------
    >>> chebyshev_coefficients(lambda eigenvalues: eigenvalues**2, 2.0, 3).round(12) + 0.0
    array([1.5, 2. , 0.5, 0. ])
    """
    if order < 0:
        raise ValueError(f"order must be at least 0, got {order}; use 30, the default")
    size = order + 1
    angles = np.pi * (np.arange(size) + 0.5) / size
    values = function(0.5 * lambda_max * (np.cos(angles) + 1.0))
    # c_k = (2 - [k = 0]) / size * sum_j g_j cos(k angle_j)
    coefficients = 2.0 / size * np.cos(np.outer(np.arange(size), angles)) @ values
    coefficients[0] *= 0.5
    return coefficients


def localize(
    graph: SphereGraph,
    function: SpectralFunction,
    vertex: int,
    *,
    method: Method = "auto",
    order: int = 30,
) -> Float[np.ndarray, "vertices"]:
    """The filter centered on a vertex: g(L) δ, the answer to one at the vertex and zero elsewhere.

    (PyGSP multiplies it by the square root of the number of vertices.)

    Parameters
    ----------
    graph
        A graph.
    function
        g, a callable on arrays of eigenvalues.
    vertex
        Index, 0 to vertices - 1.
    method, order
        As in `filter_signal`.

    Returns
    -------
    ndarray
        (vertices,), float64.

    Raises
    ------
    ValueError
        If there is no such vertex; else as `filter_signal`.

    Examples
    --------
    >>> from deepsphere.graph import build_graph, heat
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> int(localize(graph, heat(1.0), 17).argmax())
    17
    """
    if not 0 <= vertex < graph.num_vertices:
        raise ValueError(
            f"vertex must be from 0 to {graph.num_vertices - 1}, got {vertex}; "
            "choose a vertex of the graph"
        )
    impulse = np.zeros((graph.num_vertices, 1))
    impulse[vertex] = 1.0
    return filter_signal(graph, impulse, function, method=method, order=order)[:, 0]


def _is_exact(graph: SphereGraph, method: Method, order: int) -> bool:
    """Whether to filter in the Fourier basis, once the method fits the graph."""
    if method == "auto":
        return graph.vertex_mass is not None and graph.num_vertices <= _AUTO_EXACT_VERTICES
    if method == "exact" and graph.num_vertices > MAX_DENSE_VERTICES:
        raise ValueError(
            f"method='exact' must be used with at most {MAX_DENSE_VERTICES} vertices, got "
            f"{graph.num_vertices}; use method='chebyshev' with a higher order (now {order})"
        )
    if method not in ("exact", "chebyshev"):
        raise ValueError(f"method must be one of auto, exact, chebyshev, got {method!r}; use auto")
    return method == "exact"


def _chebyshev_sums(
    graph: SphereGraph,
    signals: Float[np.ndarray, "*batch vertices channels"],
    coefficients: Float[np.ndarray, "filters kernel_size"],
) -> Float[np.ndarray, "filters *batch vertices channels"]:
    """sum_k c_k T_k(2 L / lambda_max - I) x for several lists of coefficients at once."""
    operator = graph.rescaled_laplacian()
    columns = to_columns(signals)
    previous, current = columns, operator @ columns
    sums = coefficients[:, 0, None, None] * columns
    for k in range(1, coefficients.shape[1]):
        sums += coefficients[:, k, None, None] * current
        previous, current = current, 2.0 * (operator @ current) - previous
    return np.stack([from_columns(one, signals.shape) for one in sums])
