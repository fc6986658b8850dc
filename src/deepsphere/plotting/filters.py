"""Pictures of Chebyshev filters: their spectral response and their shape on the sphere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.special import eval_legendre

from deepsphere.geometry import angular_distance, points_to_lonlat
from deepsphere.graph import SphereGraph
from deepsphere.plotting.maps import draw_map
from deepsphere.plotting.projections import View
from deepsphere.plotting.style import (
    DIVERGING,
    INK,
    LINE,
    MUTED,
    PALETTE,
    SMALL_SIZE,
    TEXT_SIZE,
    add_colorbar,
    add_legend,
    new_figure,
    style_axes,
)

MAX_CURVES = 64
"""More curves than this in one picture are not told apart; the largest filters are drawn."""
MANY_DOTS = 400
"""More dots than this are stored in a vector file as an image, which is then smaller."""
REACH = 0.01
"""The profile ends where filters fall below this part of their largest value beside the centre."""


def filter_coefficients(layer: Any) -> Float[np.ndarray, "kernel_size in out"]:
    """The Chebyshev coefficients of a convolution layer as an array.

    Parameters
    ----------
    layer
        A layer with a ``weight`` tensor of shape (kernel_size, in, out), such as ``ChebConv``.

    Returns
    -------
    Float[np.ndarray, "kernel_size in out"]
        A float64 copy on the CPU.

    Raises
    ------
    TypeError
        If the object has no ``weight`` with three axes.

    Examples
    --------
    >>> import torch
    >>> class Layer:
    ...     weight = torch.ones(4, 2, 3)
    >>> filter_coefficients(Layer()).shape
    (4, 2, 3)
    """
    weight = getattr(layer, "weight", None)
    if weight is None or getattr(weight, "ndim", None) != 3:
        raise TypeError(
            "layer must have a weight of shape (kernel_size, in, out), got "
            f"{type(layer).__name__}; pass a ChebConv, for instance one of model.modules()"
        )
    return np.array(weight.detach().cpu().double().numpy(), dtype=np.float64)


def chebyshev_response(
    eigenvalues: Float[np.ndarray, "n"],
    coefficients: Num[np.ndarray, "kernel_size *filters"],
    *,
    lambda_max: float | int,
) -> Float[np.ndarray, "n *filters"]:
    """The factor by which filters multiply each eigenvector of the Laplacian.

    ``h(λ) = Σ_k w_k T_k(2 λ / λ_max - 1)``.

    Parameters
    ----------
    eigenvalues
        Where to evaluate, in [0, lambda_max], shape (n,).
    coefficients
        Coefficients w of the Chebyshev polynomials, shape (kernel_size, \\*filters).
    lambda_max
        The largest eigenvalue, to which the Laplacian was rescaled.

    Returns
    -------
    Float[np.ndarray, "n *filters"]
        Responses, shape (n, \\*filters).

    Raises
    ------
    ValueError
        If ``lambda_max`` is not positive.

    Examples
    --------
    >>> chebyshev_response(np.array([0.0, 1.0, 2.0]), np.array([1.0, 1.0]), lambda_max=2.0)
    array([0., 1., 2.])
    """
    if not lambda_max > 0:
        raise ValueError(
            f"lambda_max must be positive, got {lambda_max}; pass graph.lambda_max of a graph with "
            "edges"
        )
    values = np.polynomial.chebyshev.chebval(2 * eigenvalues / lambda_max - 1, coefficients)
    return np.moveaxis(np.asarray(values, dtype=np.float64), -1, 0)


def degree_eigenvalues(graph: SphereGraph, degrees: Sequence[int]) -> dict[int, float]:
    """The Rayleigh quotient of the Laplacian at zonal harmonics: where a degree sits on its axis.

    ``λ(l) = ⟨p, L p⟩ / ⟨p, p⟩`` with ``p(x) = P_l(x · e)``, averaged over the three axes e.

    Parameters
    ----------
    graph
        Any graph on the sphere.
    degrees
        Degrees l >= 0 of harmonics.

    Returns
    -------
    dict[int, float]
        Approximate eigenvalue of each degree.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> graph = build_graph(Icosahedral(subdivisions=4), num_neighbors=6)
    >>> quotients = degree_eigenvalues(graph, [0, 1, 2])
    >>> quotients[0] < 1e-12 < quotients[1] < quotients[2]
    True
    """
    quotients = {}
    for degree in degrees:
        zonal = eval_legendre(degree, np.asarray(graph.sampling.points))
        smoothed = graph.laplacian @ zonal
        quotients[int(degree)] = float((zonal * smoothed).sum() / (zonal**2).sum())
    return quotients


def plot_spectral_response(
    graph: SphereGraph | float | int,
    coefficients: Num[np.ndarray, "kernel_size *filters"],
    *,
    degrees: Mapping[int, float | int] | None = None,
    title: str = "",
) -> Figure:
    """The responses of filters against the eigenvalues of the Laplacian.

    One thin curve for each pair of channels and a strong one for their root mean square. The axis
    above tells which degree of spherical harmonics an eigenvalue belongs to.

    Parameters
    ----------
    graph
        The graph of the layer, or only its largest eigenvalue (then ``degrees`` is needed for the
        axis above).
    coefficients
        Chebyshev coefficients, shape (kernel_size,) or (kernel_size, in, out).
    degrees
        Eigenvalue by degree for the axis above; None to take :func:`degree_eigenvalues`.
    title
        Title of the chart.

    Returns
    -------
    Figure
        The figure.

    Raises
    ------
    ValueError
        If the coefficients have no axis or are not finite.

    Examples
    --------
    >>> figure = plot_spectral_response(2.0, np.array([1.0, -0.5, 0.25]))
    >>> float(figure.axes[0].get_xlim()[1])
    2.0
    """
    weights = _flat_filters(coefficients)
    lambda_max = float(graph) if isinstance(graph, float | int) else graph.lambda_max
    eigenvalues = np.linspace(0, lambda_max, 201)
    responses = chebyshev_response(eigenvalues, weights, lambda_max=lambda_max)
    figure = new_figure(6.4, 3.6)
    axes = figure.add_subplot()
    style_axes(axes, xlabel="eigenvalue λ", ylabel="response h(λ)")
    _draw_curves(axes, eigenvalues, responses)
    axes.set_xlim(0, lambda_max)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    if degrees is None and not isinstance(graph, float | int):
        # a sampling of n vertices resolves degrees up to about sqrt(n)
        largest = max(int(np.sqrt(graph.num_vertices)), 2)
        wanted = [0, *np.unique(np.geomspace(1, largest, 16).round().astype(int)).tolist()]
        degrees = degree_eigenvalues(graph, wanted)
    if degrees:
        _draw_degree_axis(axes, degrees, lambda_max)
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure


def localized_filter(
    graph: SphereGraph,
    coefficients: Num[np.ndarray, "kernel_size *filters"],
    *,
    vertex: int,
) -> Float[np.ndarray, "vertices *filters"]:
    """The kernel of filters around one vertex: the answer h(L) δ to a unit impulse there.

    Parameters
    ----------
    graph
        The graph of the layer.
    coefficients
        Chebyshev coefficients, shape (kernel_size, \\*filters).
    vertex
        Where the impulse is.

    Returns
    -------
    Float[np.ndarray, "vertices *filters"]
        Values at every vertex, shape (vertices, \\*filters).

    Raises
    ------
    ValueError
        If ``vertex`` is not a vertex of the graph.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> graph = build_graph(Icosahedral(subdivisions=1), num_neighbors=5)
    >>> identity = localized_filter(graph, np.array([1.0]), vertex=3)
    >>> int(identity.argmax()), float(identity.sum())
    (3, 1.0)
    """
    if not 0 <= vertex < graph.num_vertices:
        raise ValueError(
            f"vertex must be from 0 to {graph.num_vertices - 1}, got {vertex}; use one of these"
        )
    operator = graph.rescaled_laplacian()
    previous = np.zeros(graph.num_vertices)
    previous[vertex] = 1.0
    current = operator @ previous
    answer = np.multiply.outer(previous, coefficients[0]).astype(np.float64)
    for weight in coefficients[1:]:
        answer = answer + np.multiply.outer(current, weight)
        previous, current = current, 2 * (operator @ current) - previous
    return answer


def plot_angular_profile(
    graph: SphereGraph,
    coefficients: Num[np.ndarray, "kernel_size *filters"],
    *,
    vertex: int | None = None,
    num_filters: int = 3,
    title: str = "",
) -> Figure:
    """Filters as functions of the angular distance, and on the globe around their vertex.

    An isotropic filter has one value per distance: the scatter of the dots at the same distance
    shows how far the graph is from that. Where several filters are given, those of largest norm
    are drawn.

    Parameters
    ----------
    graph
        The graph of the layer.
    coefficients
        Chebyshev coefficients, shape (kernel_size,) or (kernel_size, in, out).
    vertex
        Where the filters are localised; None for the vertex nearest to (0°, 30°), away from the
        special points of most samplings.
    num_filters
        Number of filters to draw, at least 1.
    title
        Title of the figure.

    Returns
    -------
    Figure
        The chart of profiles followed by one small globe per filter.

    Raises
    ------
    ValueError
        If ``num_filters`` is less than 1, or ``vertex`` is not a vertex of the graph.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> graph = build_graph(Icosahedral(subdivisions=2), num_neighbors=6)
    >>> figure = plot_angular_profile(graph, np.array([0.5, -0.5, 0.1]))
    >>> len(figure.axes)
    3
    """
    if num_filters < 1:
        raise ValueError(f"num_filters must be at least 1, got {num_filters}; use 3 for instance")
    points = np.asarray(graph.sampling.points)
    if vertex is None:
        vertex = int(np.argmax(points @ [np.cos(np.pi / 6), 0, np.sin(np.pi / 6)]))
    flat = _flat_filters(coefficients)
    largest = np.argsort(-np.linalg.norm(flat, axis=0), kind="stable")[:num_filters]
    names = _filter_names(coefficients, largest)
    kernels = localized_filter(graph, flat[:, largest], vertex=vertex)
    distance = np.degrees(angular_distance(points, points[vertex]))
    figure = new_figure(4.2 + 2.0 * len(largest), 3.1 + 0.3 * bool(title))
    panels = figure.subplots(1, 1 + len(largest), width_ratios=[2.1] + [1.0] * len(largest))
    panels = np.atleast_1d(panels)
    _draw_profiles(panels[0], distance, kernels, names)
    lon, lat = points_to_lonlat(points[vertex])
    view = View("orthographic", center=(float(np.degrees(lon)), float(np.degrees(lat))))
    for index, axes in enumerate(panels[1:]):
        # the impulse itself would hide everything else: the scale ends at the next ring
        others = np.abs(np.delete(kernels[:, index], vertex))
        limit = float(others.max(initial=0)) or 1.0
        drawn = draw_map(
            axes,
            kernels[:, index],
            graph.sampling,
            view,
            cmap=DIVERGING,
            vmin=-limit,
            vmax=limit,
            title=names[index],
            num_rows=200,
        )
        colorbar = add_colorbar(figure, drawn, axes, extend="both", shrink=0.85)
        colorbar.locator = MaxNLocator(3)
        colorbar.update_ticks()
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure


def _flat_filters(coefficients: np.ndarray) -> Float[np.ndarray, "kernel_size filters"]:
    """Coefficients as a matrix with one column per filter."""
    if coefficients.ndim == 0 or coefficients.size == 0:
        raise ValueError(
            "coefficients must have shape (kernel_size,) or (kernel_size, in, out), got "
            f"{coefficients.shape}; pass filter_coefficients(layer)"
        )
    if not np.isfinite(coefficients).all():
        raise ValueError(
            "coefficients must be finite, got NaN or infinite values; look at the training that "
            "made them"
        )
    return np.reshape(coefficients, (coefficients.shape[0], -1)).astype(np.float64)


def _filter_names(coefficients: np.ndarray, columns: np.ndarray) -> list[str]:
    """How the drawn filters are called: by their pair of channels."""
    if coefficients.ndim == 1:
        return ["filter"]
    pairs = np.stack(np.unravel_index(columns, coefficients.shape[1:]), axis=1)
    return [" → ".join(str(int(channel)) for channel in pair) for pair in pairs]


def _draw_curves(axes: Axes, eigenvalues: np.ndarray, responses: np.ndarray) -> None:
    """Draw thin curves for single filters and a strong one for their root mean square."""
    num_filters = responses.shape[1]
    energy = np.square(responses).mean(axis=0)
    drawn = np.sort(np.argsort(-energy, kind="stable")[:MAX_CURVES])
    if num_filters == 1:
        axes.plot(eigenvalues, responses[:, 0], color=PALETTE[0], linewidth=2)
        return
    alpha = float(np.clip(16 / len(drawn), 0.15, 0.6))
    curves = axes.plot(
        eigenvalues, responses[:, drawn], color=PALETTE[0], linewidth=0.8, alpha=alpha
    )
    label = f"{num_filters} filters"
    if len(drawn) < num_filters:
        label = f"the {len(drawn)} largest of {num_filters} filters"
    curves[0].set_label(label)
    total = np.sqrt(np.square(responses).mean(axis=1))
    axes.plot(eigenvalues, total, color=PALETTE[1], linewidth=2.2, label="root mean square")
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.14 * (high - low), high)  # room for the legend
    add_legend(axes, loc="lower right", ncols=2)
    for handle in axes.get_legend().legend_handles:  # pyright: ignore[reportOptionalMemberAccess]
        handle.set_alpha(1)  # pyright: ignore[reportOptionalMemberAccess]


def _draw_degree_axis(
    axes: Axes, degrees: Mapping[int, float | int], lambda_max: float | int
) -> None:
    """Mark the places of degrees above the chart, leaving out those that would overlap."""
    top = axes.secondary_xaxis("top")
    ticks: dict[int, float] = {}
    for degree, eigenvalue in sorted(degrees.items()):
        last = max(ticks.values(), default=-np.inf)
        if eigenvalue <= lambda_max and eigenvalue - last > 0.045 * lambda_max:
            ticks[degree] = eigenvalue
    top.set_xticks(list(ticks.values()), [str(degree) for degree in ticks])
    top.set_xlabel("degree ℓ of spherical harmonics", color=MUTED, fontsize=TEXT_SIZE)
    top.tick_params(color=LINE, labelcolor=MUTED, labelsize=SMALL_SIZE)
    top.spines["top"].set_color(LINE)


def _draw_profiles(
    axes: Axes, distance: np.ndarray, kernels: np.ndarray, names: Sequence[str]
) -> None:
    """Draw every vertex as a dot, as far as the filters reach."""
    style_axes(axes, xlabel="angular distance [°]", ylabel="value of the filter")
    center = int(np.argmin(distance))
    others = np.arange(len(distance)) != center
    strength = np.abs(kernels).max(axis=1)
    reached = others & (strength > REACH * strength[others].max(initial=0.0))
    farthest = float(distance[reached].max(initial=0.0)) or 180.0
    near = others & (distance <= 1.05 * farthest)
    for index, name in enumerate(names):
        # the impulse itself is often far larger than all the rest: it is told, not drawn
        label = f"{name}  (at 0°: {kernels[center, index]:.3g})"
        color = PALETTE[index % len(PALETTE)]
        x, y = distance[near], kernels[near, index]
        axes.plot(
            x,
            y,
            ".",
            color=color,
            markersize=3.5,
            alpha=0.6,
            label=label,
            rasterized=len(x) > MANY_DOTS,
        )
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.set_xlim(0, 1.05 * farthest)
    add_legend(axes, markerscale=2)
