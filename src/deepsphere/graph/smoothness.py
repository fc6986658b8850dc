"""How much a signal varies over a graph: gradient, Dirichlet energy, total variation."""

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, triu

from deepsphere.graph.signals import check_signals, to_columns
from deepsphere.graph.sphere_graph import SphereGraph


def dirichlet_energy(
    graph: SphereGraph, signals: Float[np.ndarray, "*batch vertices channels"]
) -> Float[np.ndarray, "*batch channels"]:
    """How much signals vary over the graph: x · diag(m) L x.

    With the combinatorial Laplacian it is the sum over edges of w_ij (x_i - x_j)².

    Parameters
    ----------
    graph
        A graph; m is its ``vertex_mass``, ones if L is symmetric.
    signals
        Values on its vertices.

    Returns
    -------
    ndarray
        (*batch, channels), at least 0 (up to rounding).

    Raises
    ------
    ValueError
        If the signals are not finite or not on the vertices of the graph.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=4), weights="cotangent")
    >>> height = graph.sampling.points[:, 2:]
    >>> area = 4 * np.pi / 192
    >>> round(float(dirichlet_energy(graph, height)[0]) * area, 2)  # integral: 8π/3 = 8.38
    8.24
    """
    check_signals(graph, signals)
    columns = to_columns(signals)
    energy = (graph.vertex_mass[:, None] * columns * (graph.laplacian @ columns)).sum(axis=0)
    return energy.reshape(*signals.shape[:-2], signals.shape[-1])


def differential_operator(graph: SphereGraph) -> csr_matrix:
    """The gradient of the graph: (D x)_e = sqrt(w_ij) (x_j - x_i) for each edge e = (i, j), i < j.

    DᵀD is the combinatorial Laplacian without masses, -Dᵀ the divergence of a flow along the edges.

    Parameters
    ----------
    graph
        A graph.

    Returns
    -------
    csr_matrix
        (edges, vertices), edges in the order of the upper triangle of the adjacency, float64.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> gradient = differential_operator(graph)
    >>> bool(abs(gradient.T @ gradient - graph.laplacian).max() < 1e-12)
    True
    """
    upper = triu(csr_matrix(graph.adjacency), k=1).tocoo()
    edge = np.arange(upper.nnz)
    root = np.sqrt(upper.data)
    rows, columns = np.concatenate([edge, edge]), np.concatenate([upper.row, upper.col])
    values = np.concatenate([-root, root])
    return csr_matrix((values, (rows, columns)), shape=(upper.nnz, graph.num_vertices))


def total_variation(
    graph: SphereGraph, signals: Float[np.ndarray, "*batch vertices channels"]
) -> Float[np.ndarray, "*batch channels"]:
    """The sum over edges of sqrt(w_ij) |x_i - x_j|: small for signals that are constant in pieces.

    Parameters
    ----------
    graph
        A graph.
    signals
        Values on its vertices.

    Returns
    -------
    ndarray
        (*batch, channels), at least 0.

    Raises
    ------
    ValueError
        If the signals are not finite or not on the vertices of the graph.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> total_variation(graph, np.ones((48, 1)))
    array([0.])
    """
    check_signals(graph, signals)
    variation = abs(differential_operator(graph) @ to_columns(signals)).sum(axis=0)
    return variation.reshape(*signals.shape[:-2], signals.shape[-1])
