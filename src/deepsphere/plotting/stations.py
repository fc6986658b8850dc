"""Maps of weather stations: coloured dots, on the part of the Earth that they are in."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from deepsphere.geometry import points_to_lonlat
from deepsphere.graph import SphereGraph
from deepsphere.plotting.cells import checked_signal, color_limits
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.graphs import VECTOR_EDGES, front_edges
from deepsphere.plotting.maps import draw_map, extension
from deepsphere.plotting.projections import View, Window, cut_line
from deepsphere.plotting.style import INK, MUTED, SEQUENTIAL, add_colorbar, new_figure
from deepsphere.sampling import Sampling

# Stations within this angle of their middle are shown on a map of their region alone.
_REGION_DEG = 50.0
# Stations beyond it that do not count: a few islands do not make a region the globe.
_OUTSIDE = 0.01
# What is left free around a region, as a part of its longer side; and the least of such a side.
_MARGIN, _LEAST_SIDE = 0.06, 0.02
# Edges that are longer bend visibly, or may cross the border of the map.
_STRAIGHT_DEG = 6.0


def station_view(sampling: Sampling) -> tuple[View, Window | None]:
    """The map on which stations are seen best, and the part of it they fill.

    Stations of one region are seen from above its middle, where angles are true and areas nearly
    so; stations of the world on a whole Mollweide map.

    Parameters
    ----------
    sampling
        The places of the stations.

    Returns
    -------
    tuple[View, Window or None]
        None for all of the map.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci, Scattered
    >>> station_view(Fibonacci(100))
    (View(projection='mollweide', center=(0.0, 0.0), east='right'), None)
    >>> view, window = station_view(Scattered([5.0, 7.0, 6.0], [46.0, 46.0, 47.0]))
    >>> view.projection
    'orthographic'
    """
    points = np.asarray(sampling.points)
    middle = points.mean(axis=0)
    length = float(np.linalg.norm(middle))
    far = np.cos(np.radians(_REGION_DEG))
    if length < 1e-6 or np.mean(points @ middle < far * length) > _OUTSIDE:
        return View("mollweide"), None
    lon, lat = points_to_lonlat((middle / length)[None])
    lon_deg = float(np.degrees(lon[0]))
    center = (round(lon_deg - 360 * (lon_deg > 180), 6), round(float(np.degrees(lat[0])), 6))
    view = View("orthographic", center=center)
    shown = view.project(points[points @ middle >= far * length])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = _MARGIN * (high - low).max()
    half = np.maximum((high - low) / 2 + margin, _LEAST_SIDE / 2)
    half = np.maximum(half, half.max() / 3)  # a strip of land is no line
    left, bottom = (low + high) / 2 - half
    right, top = (low + high) / 2 + half
    return view, (float(left), float(right), float(bottom), float(top))


def plot_stations(
    values: Shaped[np.ndarray, "..."],
    sampling: Sampling,
    *,
    graph: SphereGraph | None = None,
    marked: Bool[np.ndarray, "..."] | None = None,
    view: View | None = None,
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
) -> Figure:
    """Stations coloured by their values, silent ones as small rings, and the edges between them.

    Parameters
    ----------
    values
        One for each station, shape (stations,); NaN where it is silent.
    sampling
        The places of the stations.
    graph
        A graph on them whose edges are drawn below the stations; None for no edges.
    marked
        Stations with a ring around them, such as those that were hidden, shape (stations,).
    view
        The map; None for that of `station_view`, on which a region fills the picture.
    cmap
        Name of a matplotlib colour map.
    vmin, vmax
        Ends of the colour scale; None for the extremes of the values.
    unit
        Label of the colour scale.
    title
        Title of the map.
    coastlines
        As for :func:`deepsphere.plotting.plot_map`.

    Returns
    -------
    Figure
        Its collections are labelled ``"edges"``, ``"silent"`` and ``"marked"``, where there are.

    Raises
    ------
    ValueError
        If values, marks or graph do not fit the sampling, or a choice is unknown.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> stations = Scattered([8.55, 6.14, 7.44], [47.37, 46.20, 46.95])
    >>> figure = plot_stations(np.array([3.5, 6.0, np.nan]), stations, unit="°C")
    >>> len(figure.axes)
    2
    """
    return _plot_panels(
        {title: values},
        sampling,
        graph=graph,
        marked=marked,
        view=view,
        cmap=cmap,
        limits=color_limits(checked_signal(values, sampling), vmin, vmax),
        unit=unit,
        coastlines=coastlines,
    )


def plot_station_maps(
    values: Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling,
    *,
    graph: SphereGraph | None = None,
    marked: Bool[np.ndarray, "..."] | None = None,
    view: View | None = None,
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
) -> Figure:
    """Several maps of the same stations on one colour scale: days, or the errors of methods.

    Parameters
    ----------
    values
        By title, each of shape (stations,); NaN where there is none.
    sampling, graph, marked, view, cmap, vmin, vmax, unit, coastlines
        As for `plot_stations`; the colour scale spans all maps.
    title
        Above the maps.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no map, values, marks or graph do not fit the sampling, or a choice is unknown.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci
    >>> stations = Fibonacci(50)
    >>> figure = plot_station_maps({"x": stations.points[:, 0], "z": stations.lat}, stations)
    >>> len(figure.axes)
    3
    """
    if not values:
        raise ValueError("values must hold at least one map, got none; pass {title: values}")
    pooled = np.concatenate([checked_signal(one, sampling) for one in values.values()])
    figure = _plot_panels(
        values,
        sampling,
        graph=graph,
        marked=marked,
        view=view,
        cmap=cmap,
        limits=color_limits(pooled, vmin, vmax),
        unit=unit,
        coastlines=coastlines,
    )
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def draw_edges(axes: Axes, graph: SphereGraph, view: View) -> LineCollection:
    """Draw the edges of a graph on a map, as arcs that are cut where they leave it.

    Parameters
    ----------
    axes
        Axes of the map.
    graph
        Any graph on the sphere.
    view
        The projection and its centre.

    Returns
    -------
    LineCollection
        The lines, labelled ``"edges"``.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> graph = build_graph(Icosahedral(subdivisions=2), num_neighbors=6)
    >>> lines = draw_edges(Figure().subplots(), graph, View("orthographic"))
    >>> 0 < len(lines.get_paths()) < graph.num_edges
    True
    """
    points = np.asarray(graph.sampling.points)
    ends, _ = front_edges(graph, view)
    positions = view.project(points)
    segments = positions[ends]
    chords = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    torn = np.linalg.norm(segments[:, 0] - segments[:, 1], axis=1) > 4 * chords
    bent = torn | (chords > np.radians(_STRAIGHT_DEG))
    pieces = [piece for pair in ends[bent] for piece in cut_line(view, points[pair])]
    # thinner lines where there are many, so that the map does not turn into one blot
    density = float(np.clip(np.sqrt(2500 / max(len(ends), 1)), 0.15, 1.0))
    lines = LineCollection(
        [*segments[~bent], *pieces],
        colors=MUTED,
        linewidths=0.7 * density,
        alpha=0.25 + 0.5 * density,
        zorder=1.8,
        label="edges",
    )
    lines.set_rasterized(len(ends) > VECTOR_EDGES)
    axes.add_collection(lines, autolim=False)
    return lines


def _plot_panels(
    values: Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling,
    *,
    graph: SphereGraph | None,
    marked: Bool[np.ndarray, "..."] | None,
    view: View | None,
    cmap: str,
    limits: tuple[float, float],
    unit: str,
    coastlines: CoastlinesLike | None,
) -> Figure:
    """Maps beside each other, with one colour scale below."""
    _check_fit(sampling, graph, marked)
    view, window = station_view(sampling) if view is None else (view, None)
    left, right, bottom, top = window or view.window
    ratio = (right - left) / (top - bottom)
    columns = min(len(values), 1 if ratio > 2.4 else 2 if len(values) < 5 else 3)
    rows = -(-len(values) // columns)
    width = np.sqrt(34.0 * ratio) if len(values) == 1 else np.sqrt(20.0 * ratio)
    has_title = any(values)
    figure = new_figure(
        float(columns * width),
        float(rows * (width / ratio + 0.35 * has_title) + 0.6),
        layout="constrained" if len(values) == 1 else "compressed",
    )
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (title, of_panel) in zip(panels, values.items(), strict=False):
        draw_map(
            axes,
            of_panel,
            sampling,
            view,
            mark="dots",
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            title=title,
            coastlines=coastlines,
            window=window,
        )
        if graph is not None:
            draw_edges(axes, graph, view)
        _draw_rings(axes, checked_signal(of_panel, sampling), sampling, view, marked)
    for axes in panels[len(values) :]:
        axes.remove()
    shown = list(panels[: len(values)])
    pooled = np.concatenate([checked_signal(one, sampling) for one in values.values()])
    mappable = ScalarMappable(Normalize(*limits), cmap)
    add_colorbar(figure, mappable, shown, unit=unit, extend=extension(pooled, *limits))
    return figure


def _check_fit(
    sampling: Sampling, graph: SphereGraph | None, marked: Bool[np.ndarray, "..."] | None
) -> None:
    """Raise unless the graph and the marks are of these stations."""
    if graph is not None and graph.num_vertices != sampling.num_vertices:
        raise ValueError(
            f"graph must be of these {sampling.num_vertices} stations, got one of "
            f"{graph.num_vertices} vertices; build it on their sampling"
        )
    if marked is not None and marked.shape != (sampling.num_vertices,):
        raise ValueError(
            f"marked must hold {sampling.num_vertices} booleans, one for each station, got shape "
            f"{marked.shape}"
        )


def _draw_rings(
    axes: Axes,
    values: Float[np.ndarray, "stations"],
    sampling: Sampling,
    view: View,
    marked: Bool[np.ndarray, "..."] | None,
) -> None:
    """Rings for stations that are silent, and around those that are marked."""
    points = np.asarray(sampling.points)
    size = float(np.clip(9000 / max(len(values), 1), 3, 36))
    facing = view.faces_viewer(points)
    rings = {"silent": (np.isnan(values), size / 3, MUTED, 1.9)}
    if marked is not None:
        rings["marked"] = (marked, 2.2 * size, INK, 2.2)
    for label, (chosen, of_ring, color, order) in rings.items():
        if (chosen & facing).any():
            axes.scatter(
                *view.project(points[chosen & facing]).T,
                s=of_ring,
                facecolors="none",
                edgecolors=color,
                linewidths=0.5 if label == "silent" else 0.9,
                zorder=order,
                label=label,
            )
