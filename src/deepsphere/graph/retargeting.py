"""The pyramid of a network on another sampling, such that its filters stay the same functions."""

import warnings
from dataclasses import asdict, replace

import numpy as np
from scipy.spatial import KDTree

from deepsphere.graph.coarsening import Pyramid, build_pyramid
from deepsphere.graph.low_pass import low_pass_power
from deepsphere.graph.neighbors import root_and_indices
from deepsphere.graph.options import Disconnected, GraphOptions
from deepsphere.graph.sphere_graph import SphereGraph, build_graph
from deepsphere.sampling import Sampling, Scattered

# How far beyond the number that rescales it the largest eigenvalue may lie: the Chebyshev
# polynomial of order 4 is at most 5.6 there. The borders of a part stay within it.
_LARGEST_EXCESS = 1.1
# Vertices that are nearer than so many radians, a few centimeters, are one.
_SAME_PLACE = 1e-8
# Parts of fewer vertices are all border: their largest eigenvalue says nothing of others.
_FEWEST_VERTICES = 100


def pyramid_on_sampling(
    pyramid: Pyramid, sampling: Sampling, *, disconnected: Disconnected | None = None
) -> Pyramid:
    r"""The pyramid with the same choices on another sampling, for filters learned on the first.

    A learned filter is a polynomial of :math:`2 L / \lambda_{max} - I`. The largest eigenvalue
    belongs to a few vertices, on a part of the sphere to those on its border: patch and sphere
    differ by a tenth in it, though their Laplacians have the same rows inside. Hence each level
    keeps the number that it had, so that the filter is the same polynomial of L: on two parts of
    one sphere what it gives is the same wherever both see the same vertices. Between samplings that
    are spread evenly that number is scaled with the median of the diagonal of L. Anti-aliasing
    keeps its exponents likewise. From or to a sampling of uneven density no number means the same,
    nor from or to a level of less than 100 vertices: there all follows from the new graphs.

    Where stations are added to those of a single level, or left out, so that half of either remain,
    the kernel width stays the one in use and so does the number: filters change around the others
    only.

    Kernel widths that were given grow with the area of a cell, those that were left to their
    tuned value are tuned anew.

    Parameters
    ----------
    pyramid : Pyramid
        Of the network.
    sampling : Sampling
        The finest level of the result: a part or the whole of the same sphere, another
        resolution, another kind.
    disconnected : "raise" or "allow", optional
        What to do about several components, as in `build_graph`; if not given, what the pyramid
        does.

    Returns
    -------
    Pyramid
        With as many levels; the same one if the sampling is its own.

    Raises
    ------
    ValueError
        If the sampling does not have so many coarser levels, or no graph with these choices.

    Warns
    -----
    UserWarning
        Where an eigenvalue lies so far beyond that the filters would grow, as those of two
        vertices alone under a normalized Laplacian may, so that they are changed.

    Examples
    --------
    >>> import deepsphere as ds
    >>> sky = ds.Healpix(nside=16)
    >>> patch = ds.build_graph(sky.subset(np.arange(256)), num_neighbors=12).pyramid(num_levels=2)
    >>> whole = pyramid_on_sampling(patch, sky)
    >>> [graph.num_vertices for graph in whole.graphs]
    [3072, 768]
    >>> whole.graphs[0].lambda_max == patch.graphs[0].lambda_max
    True
    """
    finest = pyramid.graphs[0]
    if sampling == finest.sampling and disconnected in (None, finest.options.disconnected):
        return pyramid
    options = _options_on(finest, sampling)
    shares = pyramid.num_levels == 1 and _shares_vertices(finest.sampling, sampling)
    if shares:  # the mean distance, and the eigenvalue, are of all stations
        given = finest.options.weights in ("gaussian", "perraudin")
        options = replace(options, kernel_width=finest.kernel_width if given else None)
    if disconnected is not None:
        options = replace(options, disconnected=disconnected)
    own = build_graph(sampling, **asdict(options))
    try:
        fresh = build_pyramid(own, num_levels=pyramid.num_levels, steps=pyramid.steps)
    except ValueError as error:
        raise ValueError(
            f"sampling must have the {pyramid.num_levels} levels of the network, got "
            f"{sampling!r}: {error}"
        ) from error
    if shares and 0 not in (own.lambda_max, finest.lambda_max):
        return replace(fresh, graphs=(_rescaled_by(fresh.graphs[0], finest.lambda_max),))
    if not _are_alike(sampling, finest.sampling):
        return fresh
    graphs = tuple(
        _with_scale_of(graph, like)
        for graph, like in zip(fresh.graphs, pyramid.graphs, strict=True)
    )
    powers = tuple(
        power if _are_comparable(graph, like) else None
        for power, graph, like in zip(_powers(pyramid), graphs, pyramid.graphs, strict=False)
    )
    return replace(fresh, graphs=graphs, low_pass_powers=powers)


def _options_on(finest: SphereGraph, sampling: Sampling) -> GraphOptions:
    """The options of a graph, as they read for another sampling."""
    root, _ = root_and_indices(sampling)
    own_root, _ = root_and_indices(finest.sampling)
    options = replace(finest.options, lambda_max=None)
    if options.kernel_width is not None:
        growth = own_root.num_vertices / root.num_vertices
        options = replace(options, kernel_width=options.kernel_width * growth)
    if options.neighborhood == "knn" and options.num_neighbors is not None:
        # a few stations have no more neighbors than there are others
        most = max(1, root.num_vertices - 1)
        options = replace(options, num_neighbors=min(options.num_neighbors, most))
    if not root.quasi_uniform:  # the emphasis is a choice on other samplings only
        options = replace(options, emphasis=None)
    if type(root) is not type(own_root):
        options = replace(options, mass=None)
    return options


def _are_alike(one: Sampling, other: Sampling) -> bool:
    """Whether a part of the spectrum means the same on two samplings."""
    roots = [root_and_indices(sampling)[0] for sampling in (one, other)]
    return roots[0] == roots[1] or all(root.quasi_uniform for root in roots)


def _shares_vertices(one: Sampling, other: Sampling) -> bool:
    """Whether half of the vertices of each of two scattered samplings are those of the other."""
    if not (isinstance(one, Scattered) and isinstance(other, Scattered)):
        return False
    distances = KDTree(one.points).query(other.points)[0]
    num_shared = np.count_nonzero(distances < _SAME_PLACE)
    return bool(2 * num_shared >= max(one.num_vertices, other.num_vertices))


def _with_scale_of(graph: SphereGraph, like: SphereGraph) -> SphereGraph:
    """The graph rescaled as another one, as far as its filters then do not grow."""
    if not _are_comparable(graph, like) or 0 in (graph.lambda_max, like.lambda_max):
        return graph
    scale = like.lambda_max
    root, _ = root_and_indices(graph.sampling)
    if root != root_and_indices(like.sampling)[0]:
        scale *= _typical_entry(graph) / _typical_entry(like)
    return _rescaled_by(graph, scale)


def _rescaled_by(graph: SphereGraph, scale: float) -> SphereGraph:
    """The graph with a number for its largest eigenvalue, as far as filters then do not grow."""
    least = graph.lambda_max / _LARGEST_EXCESS
    if scale < least:
        warnings.warn(
            f"the largest eigenvalue on {graph.sampling!r} is {graph.lambda_max / scale:.2f} times "
            "the one of the graph that the network was trained on, beyond which its filters would "
            f"grow; they are stretched by {least / scale - 1:.0%} in the spectrum. A few vertices "
            "alone have such eigenvalues: leave small islands out of the mask",
            UserWarning,
            stacklevel=5,
        )
        scale = least
    return graph.with_lambda_max(scale)


def _are_comparable(*graphs: SphereGraph) -> bool:
    """Whether two levels have vertices that are far from all borders."""
    return all(graph.num_vertices >= _FEWEST_VERTICES for graph in graphs)


def _typical_entry(graph: SphereGraph) -> float:
    """The median of the diagonal of L over the vertices that have edges."""
    diagonal = graph.laplacian.diagonal()
    return float(np.median(diagonal[diagonal > 0]))


def _powers(pyramid: Pyramid) -> tuple[int, ...]:
    """The exponents of the low-passes of a pyramid."""
    given = pyramid.low_pass_powers or (None,) * len(pyramid.steps)
    return tuple(
        low_pass_power(fine, coarse.num_vertices) if power is None else power
        for power, fine, coarse in zip(given, pyramid.graphs, pyramid.graphs[1:], strict=False)
    )
