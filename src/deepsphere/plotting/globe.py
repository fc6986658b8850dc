"""The interactive globe: signals on a sphere that the reader turns with the mouse."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped
from matplotlib import colormaps
from plotly import graph_objects

from deepsphere.graph import SphereGraph
from deepsphere.plotting.cells import checked_signal, color_limits, nearest_vertices
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.globe_traces import (
    dots_trace,
    globe_colors,
    globe_furniture,
    globe_layout,
    light_mesh,
    surface_trace,
    whole_sampling,
)
from deepsphere.plotting.style import MUTED, SEQUENTIAL
from deepsphere.sampling import Fibonacci, Sampling, Scattered

MAX_VERTICES = 15_000
"""Vertices that a browser turns smoothly and a report can afford (about one megabyte)."""
MAX_EDGES = 250_000
"""Edges that a browser still turns: those of 20 neighbors of 15,000 scattered points."""
_MOST_DOTS = 2000  # that tell where the points are, even if they cover the globe


def globe(
    signals: Shaped[np.ndarray, "..."] | Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling,
    *,
    graph: SphereGraph | None = None,
    coastlines: CoastlinesLike | None = None,
    center: tuple[float | int, float | int] = (0.0, 20.0),
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
) -> graph_objects.Figure:
    """An interactive globe coloured by one signal, or by one of several chosen from a list.

    The sphere is the Delaunay triangulation of the vertices, coloured per vertex without any
    shading, so that colours are those of the scale. Scattered points are dots on a gray globe,
    unless they cover it densely, as the nodes of a model do.
    Hovering shows longitude, latitude and value.

    Parameters
    ----------
    signals
        Values of shape (vertices,), or several of them by name; NaN for blank.
    sampling
        The sampling of the signals; above 15,000 vertices the globe shows the values nearest to
        the points of a Fibonacci lattice, with a warning.
    graph
        A graph (of any sampling) whose edges a button shows and hides; None for no button.
    coastlines
        As for :func:`deepsphere.plotting.plot_map`; a fill is not drawn.
    center
        Longitude and latitude of the point that faces the reader first, degrees.
    cmap
        Name of a matplotlib colour map.
    vmin, vmax
        Ends of the colour scale of all signals; None for the extremes over all of them.
    unit
        Label of the colour scale.
    title
        Title above the globe.

    Returns
    -------
    graph_objects.Figure
        A plotly figure; ``figure.write_html(path)`` writes it alone, ``Report.interactive`` puts
        it into a report.

    Raises
    ------
    ValueError
        If there is no signal, one does not fit the sampling, the colour map is unknown, or the
        graph has more than 250,000 edges.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=2)
    >>> figure = globe({"lat": sampling.lat, "x": sampling.points[:, 0]}, sampling)
    >>> [button.label for button in figure.layout.updatemenus[0].buttons]
    ['lat', 'x']
    """
    named = signals if isinstance(signals, Mapping) else {unit or "value": signals}
    if not named:
        raise ValueError("signals must hold at least one signal, got none; pass {name: signal}")
    if cmap not in colormaps:
        raise ValueError(f"cmap must name a matplotlib colour map, got {cmap!r}; try 'viridis'")
    if graph is not None and graph.num_edges > MAX_EDGES:
        raise ValueError(
            f"graph must have at most {MAX_EDGES} edges to be drawn on a globe, got "
            f"{graph.num_edges}; build it on a coarser sampling or leave it out"
        )
    values = np.stack([checked_signal(signal, sampling) for signal in named.values()])
    limits = color_limits(values, vmin, vmax)
    colors = globe_colors(cmap, limits, unit)
    whole = whole_sampling(sampling)
    if isinstance(whole, Scattered) and not _is_dense(whole):
        data, updates = dots_trace(np.asarray(sampling.points), values, colors)
        furniture = globe_furniture(coastlines, graph, below="dots")
    else:
        points, values = light_mesh(sampling, values, max_vertices=MAX_VERTICES)
        if whole.num_vertices > MAX_VERTICES:
            warnings.warn(
                f"the globe shows the values nearest to {MAX_VERTICES} points of the "
                f"{whole.num_vertices} vertices of the sampling, to stay light",
                stacklevel=2,
            )
        data, updates = surface_trace(points, values, colors)
        furniture = globe_furniture(coastlines, graph)
    traces = [data, *furniture]
    figure = graph_objects.Figure(traces, layout=globe_layout(title, center))
    menus = [_signal_menu(list(named), updates)] if len(named) > 1 else []
    menus += [_edges_menu(len(traces) - 1)] if graph is not None else []
    figure.update_layout(updatemenus=menus)
    return figure


def _is_dense(points: Scattered) -> bool:
    """Whether points are too many for dots, or so many that they leave no gap."""
    if points.num_vertices > MAX_VERTICES:
        return True
    places = np.asarray(Fibonacci(1000).points)
    return points.num_vertices > _MOST_DOTS and bool((nearest_vertices(points, places) >= 0).all())


def _signal_menu(names: list[str], updates: list[dict[str, Any]]) -> dict[str, Any]:
    """The drop-down list that chooses the signal."""
    buttons = [
        {"label": name, "method": "restyle", "args": [update, [0]]}
        for name, update in zip(names, updates, strict=True)
    ]
    return {
        "buttons": buttons,
        "x": 0.01,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        **_MENU,
    }


def _edges_menu(trace: int) -> dict[str, Any]:
    """The button that shows and hides the edges of the graph."""
    button = {
        "label": "edges",
        "method": "restyle",
        "args": [{"visible": True}, [trace]],
        "args2": [{"visible": False}, [trace]],
    }
    return {
        "type": "buttons",
        "buttons": [button],
        "active": -1,
        "x": 0.99,
        "xanchor": "right",
        "y": 1.0,
        "yanchor": "bottom",
        **_MENU,
    }


_MENU = {"bgcolor": "rgba(255,255,255,0.6)", "bordercolor": MUTED, "borderwidth": 1}
