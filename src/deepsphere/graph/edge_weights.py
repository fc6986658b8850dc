"""Weighted edges of a sampling, as its options ask for them."""

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

from deepsphere.geometry import spherical_delaunay
from deepsphere.graph.cache import MIN_CACHED_VERTICES, cached_matrix
from deepsphere.graph.cotangent import cotangent_weights
from deepsphere.graph.neighbors import neighbor_distances, root_and_indices
from deepsphere.graph.optimal_rows import nonnegative_rows
from deepsphere.graph.optimal_symmetric import symmetric_weights, vertex_masses
from deepsphere.graph.options import DEFAULT_NUM_NEIGHBORS, GraphOptions
from deepsphere.graph.pixel_neighbors import mean_squared_pixel_distance
from deepsphere.graph.weights import (
    gaussian_weights_in_place,
    inverse_distance_weights,
    mean_distance_kernel_width,
    tuned_kernel_width,
    unit_weights,
)
from deepsphere.sampling import Healpix, Sampling


def weighted_edges(sampling: Sampling, options: GraphOptions) -> tuple[csr_matrix, float | None]:
    """Adjacency of a graph, and the width of its Gaussian kernel if it has one.

    A subset has the edges of its whole sampling, with their weights, between the kept vertices.

    Parameters
    ----------
    sampling
        The vertices.
    options
        As resolved by `resolve_options`.

    Returns
    -------
    adjacency
        (vertices, vertices), not negative, symmetric but for "optimal_rows".
    kernel_width
        Squared radians; None for weights without a kernel.

    Raises
    ------
    ValueError
        If the sampling has no such neighborhood.

    Examples
    --------
    >>> adjacency, width = weighted_edges(Healpix(nside=2), GraphOptions(8, "gaussian", None))
    >>> adjacency.shape, width
    ((48, 48), 0.0577...)
    """
    root, kept = root_and_indices(sampling)
    if options.weights in ("cotangent", "optimal_symmetric", "optimal_rows"):
        if root.num_vertices <= MIN_CACHED_VERTICES:
            weights = _small_whole_weights(root, options).copy()
        else:
            weights = _whole_weights(root, options)
        return _restricted(weights, kept), None
    choice = _edges_of(options)
    distances = neighbor_distances(sampling, **choice)
    if options.weights == "inverse_distance":
        return inverse_distance_weights(distances), None
    if options.weights == "perraudin_unweighted":
        return unit_weights(distances), None
    if options.kernel_width is not None:
        width = options.kernel_width
    elif options.weights == "perraudin":
        assert isinstance(root, Healpix)  # neighbor_distances refuses others
        width = mean_squared_pixel_distance(root.nside) / 2.0
    elif _has_tuned_width(root, options):
        width = tuned_kernel_width(root, choice["num_neighbors"])
    else:
        whole = distances if kept is None else neighbor_distances(root, **choice)
        width = mean_distance_kernel_width(whole)
    return gaussian_weights_in_place(distances, width), width


def _has_tuned_width(root: Sampling, options: GraphOptions) -> bool:
    """Whether there is a rule for the kernel width of Gaussian weights on these edges."""
    return options.neighborhood == "knn" and root.quasi_uniform


def relative_areas(sampling: Sampling) -> Float[np.ndarray, "vertices"]:
    """Areas as multiples of the mean area in the whole sampling, exactly 1 where all are equal.

    Examples
    --------
    >>> relative_areas(Healpix(nside=1)).round(12)[:3]
    array([1., 1., 1.])
    """
    root, kept = root_and_indices(sampling)
    masses = vertex_masses(root)
    return masses if kept is None else masses[kept]


def _edges_of(options: GraphOptions) -> dict[str, Any]:
    """The keywords with which `neighbor_distances` gives the edges."""
    return {
        "neighborhood": options.neighborhood,
        "num_neighbors": options.num_neighbors or DEFAULT_NUM_NEIGHBORS,
    }


def _restricted(adjacency: csr_matrix, kept: np.ndarray | None) -> csr_matrix:
    """The edges between kept vertices."""
    return adjacency if kept is None else csr_matrix(adjacency[kept][:, kept])


@lru_cache(maxsize=64)
def _small_whole_weights(root: Sampling, options: GraphOptions) -> csr_matrix:
    """Those of a small sampling, which are not cached on disk but in memory."""
    return _whole_weights(root, options)


def _whole_weights(root: Sampling, options: GraphOptions) -> csr_matrix:
    """Adjacency of a whole sphere whose weights depend on all of it."""
    if options.weights == "cotangent":
        return cotangent_weights(root.points, spherical_delaunay(root.points))
    if options.weights == "optimal_rows":
        return cached_matrix(
            "rows",
            root,
            {"num_neighbors": options.num_neighbors},
            lambda: nonnegative_rows(root, num_neighbors=options.num_neighbors),
        )
    emphasis, choice = options.emphasis or "balanced", _edges_of(options)
    return cached_matrix(
        "symmetric",
        root,
        {**choice, "emphasis": emphasis},
        lambda: _symmetric_weights(root, options),
    )


def _symmetric_weights(root: Sampling, options: GraphOptions) -> csr_matrix:
    """Optimal symmetric weights, compared with the Gaussian ones of the same edges."""
    choice = _edges_of(options)
    distances = neighbor_distances(root, **choice)
    if _has_tuned_width(root, options):
        width = tuned_kernel_width(root, choice["num_neighbors"])
    else:
        width = mean_distance_kernel_width(distances)
    return symmetric_weights(
        root, distances, emphasis=options.emphasis or "balanced", kernel_width=width
    )
