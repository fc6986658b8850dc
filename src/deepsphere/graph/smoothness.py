"""How much a signal varies over a graph: gradient, Dirichlet energy, total variation."""

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, diags, triu

from deepsphere.graph.edge_weights import relative_areas
from deepsphere.graph.laplacian import combinatorial_laplacian
from deepsphere.graph.signals import check_signals, to_columns
from deepsphere.graph.sphere_graph import SphereGraph


def dirichlet_energy(
    graph: SphereGraph, signals: Float[np.ndarray, "*batch vertices channels"]
) -> Float[np.ndarray, "*batch channels"]:
    """How much signals vary over the graph: x · S x with the `stiffness_matrix` S.

    With the combinatorial Laplacian it is the sum over edges of w_ij (x_i - x_j)². Where edges have
    directions (weights "optimal_rows"), it is the sum of m_i w_ij (x_i - x_j)² / 2 over all i and
    j, with the area of a cell over the mean area as m.

    Parameters
    ----------
    graph
        A graph.
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
    energy = (columns * (stiffness_matrix(graph) @ columns)).sum(axis=0)
    return energy.reshape(*signals.shape[:-2], signals.shape[-1])


def stiffness_matrix(graph: SphereGraph) -> csr_matrix:
    """The symmetric positive semidefinite matrix S of the Dirichlet energy x · S x.

    S = diag(m) L with the masses for which L is self-adjoint. Where there are none, it is the
    Laplacian of the weights (m_i w_ij + m_j w_ji) / 2, with the area of a cell over the mean area
    as m: every edge counts by the area of the vertex that looks along it.

    Parameters
    ----------
    graph
        A graph.

    Returns
    -------
    csr_matrix
        (vertices, vertices), float64.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import RandomUniform
    >>> graph = build_graph(RandomUniform(60), weights="optimal_rows")
    >>> matrix = stiffness_matrix(graph)
    >>> float(abs(matrix - matrix.T).max()), bool(abs(matrix @ np.ones(60)).max() < 1e-9)
    (0.0, True)
    """
    if graph.vertex_mass is not None:
        return csr_matrix(diags(graph.vertex_mass) @ graph.laplacian)
    return combinatorial_laplacian(_energy_weights(graph))


def _energy_weights(graph: SphereGraph) -> csr_matrix:
    """Symmetric weights of the edges in the Dirichlet energy."""
    if graph.vertex_mass is not None:
        return graph.adjacency
    weighted = csr_matrix(diags(relative_areas(graph.sampling)) @ graph.adjacency)
    return csr_matrix((weighted + weighted.T) / 2)


def differential_operator(graph: SphereGraph) -> csr_matrix:
    """The gradient of the graph: (D x)_e = sqrt(w_ij) (x_j - x_i) for each edge e = (i, j), i < j.

    DᵀD is the combinatorial Laplacian without masses, -Dᵀ the divergence of a flow along the edges.
    Where edges have directions, w_ij are the symmetric weights of the `stiffness_matrix`, which is
    then DᵀD.

    Parameters
    ----------
    graph
        A graph.

    Returns
    -------
    csr_matrix
        (edges, vertices), in the order of the upper triangle of the symmetric weights, float64.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> gradient = differential_operator(graph)
    >>> bool(abs(gradient.T @ gradient - graph.laplacian).max() < 1e-12)
    True
    """
    upper = triu(_energy_weights(graph), k=1).tocoo()
    edge = np.arange(upper.nnz)
    root = np.sqrt(upper.data)
    rows, columns = np.concatenate([edge, edge]), np.concatenate([upper.row, upper.col])
    values = np.concatenate([-root, root])
    return csr_matrix((values, (rows, columns)), shape=(upper.nnz, graph.num_vertices))


def total_variation(
    graph: SphereGraph, signals: Float[np.ndarray, "*batch vertices channels"]
) -> Float[np.ndarray, "*batch channels"]:
    """The sum over edges of sqrt(w_ij) |x_i - x_j|: small for signals that are constant in pieces.

    The weights are those of the `differential_operator`.

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
