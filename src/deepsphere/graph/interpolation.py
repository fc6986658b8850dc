"""Completion of signals that are known on a part of the vertices."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import cg

from deepsphere.graph.edge_weights import relative_areas
from deepsphere.graph.signals import check_signals, from_columns, to_columns
from deepsphere.graph.smoothness import stiffness_matrix
from deepsphere.graph.sphere_graph import SphereGraph

# Relative residual of the linear systems.
_SOLVER_TOLERANCE = 1e-10


def interpolate(
    graph: SphereGraph,
    signals: Float[np.ndarray, "*batch vertices channels"],
    known: Bool[np.ndarray, "_"],
    *,
    strength: float = 0.0,
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Signals completed where they are not known, as smoothly as the graph allows.

    Minimises sum over known vertices of m_i (x_i - y_i)² + strength x · S x (Tikhonov inpainting),
    with the Dirichlet energy of the `stiffness_matrix` S. The masses m are those for which L is
    self-adjoint; where there are none (weights "optimal_rows"), the area of a cell over the mean
    area. Strength 0 is the limit in which known values are kept and the others make the energy
    least.

    Parameters
    ----------
    graph
        A graph.
    signals
        Values y on its vertices; what stands at unknown vertices is not read (NaN is fine).
    known
        (vertices,), true where the value is known; at least one vertex in each component of the
        graph.
    strength
        At least 0; the larger, the smoother.

    Returns
    -------
    ndarray
        (*batch, vertices, channels), float64.

    Raises
    ------
    ValueError
        If the shape of signals or known is wrong, a known value is not finite, a component has no
        known vertex, or strength is negative.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=4))
    >>> signal = np.full((192, 1), 7.0)
    >>> signal[50:60] = np.nan
    >>> interpolate(graph, signal, np.isfinite(signal[:, 0]))[50:53, 0].round(6)
    array([7., 7., 7.])

    References
    ----------
    Pesenson, 2009, Variational splines and Paley-Wiener spaces on combinatorial graphs.
    """
    if not strength >= 0:
        raise ValueError(f"strength must be at least 0, got {strength}; use 0 to keep known values")
    if known.shape != (graph.num_vertices,):
        raise ValueError(
            f"known must have one value per vertex ({graph.num_vertices},), got shape "
            f"{known.shape}; use a boolean mask of the vertices"
        )
    _check_known_somewhere(graph, known)
    filled = np.where(known[:, None], signals, 0.0)
    check_signals(graph, filled)
    columns = to_columns(filled)
    mass = graph.vertex_mass
    if mass is None:
        mass = relative_areas(graph.sampling)
    stiffness = stiffness_matrix(graph)
    if strength == 0:
        unknown = ~known
        free = stiffness[unknown]
        columns[unknown] = _solve(free[:, unknown], -(free[:, known] @ columns[known]))
    else:
        fidelity = mass * known
        columns = _solve(
            csr_matrix(diags(fidelity) + strength * stiffness), mass[:, None] * columns
        )
    return from_columns(columns, filled.shape)


def _check_known_somewhere(graph: SphereGraph, known: Bool[np.ndarray, "vertices"]) -> None:
    """Refuse a graph with a component on which nothing is known."""
    num_components, labels = connected_components(graph.adjacency, directed=False)
    num_without = num_components - len(np.unique(labels[known]))
    if num_without:
        raise ValueError(
            "known must hold at least one vertex of every component of the graph, got "
            f"{num_without} of {num_components} without; add known vertices or leave these out"
        )


def _solve(
    matrix: csr_matrix, right: Float[np.ndarray, "unknowns columns"]
) -> Float[np.ndarray, "unknowns columns"]:
    """Solutions of symmetric positive definite systems, by conjugate gradients."""
    # with a diagonal of ones, known and unknown vertices count alike however small the strength
    scale = np.reciprocal(np.sqrt(matrix.diagonal()))
    scaled = csr_matrix(diags(scale) @ matrix @ diags(scale))
    solution = np.empty_like(right)
    for column in range(right.shape[1]):
        found, failure = cg(scaled, scale * right[:, column], rtol=_SOLVER_TOLERANCE)
        assert failure == 0, "conjugate gradients converge on a positive definite system"
        solution[:, column] = scale * found
    return solution
