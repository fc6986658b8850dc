"""The interactive globe: signals on a sphere that the reader turns with the mouse."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.colors import to_hex
from plotly import graph_objects
from scipy.sparse import triu

from deepsphere.geometry import lonlat_to_points, points_to_lonlat, spherical_delaunay
from deepsphere.graph import SphereGraph
from deepsphere.plotting.cells import checked_signal, color_limits, nearest_vertices
from deepsphere.plotting.style import BLANK, INK, LINE, MUTED, SEQUENTIAL
from deepsphere.sampling import Fibonacci, Sampling, Scattered, Subset

MAX_VERTICES = 15_000
"""Vertices that a browser turns smoothly and a report can afford (about one megabyte)."""
MAX_EDGES = 40_000
_CORE_RADIUS = 0.97
_CORE_RADIUS_OF_DOTS = 0.96  # deeper, so that it does not cut into the discs of the dots
_LIFT = 1.015  # of lines: browsers with 16 bits of depth tell no less apart
_LIFT_OF_DOTS = 1.02
_EYE_DISTANCE = 2.5
_SCENE_SIZE = 1.95  # of plotly's units: how much of its frame the globe fills
_HIGHEST_EYE_DEG = 89.0
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def globe(
    signals: Shaped[np.ndarray, "..."] | Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling,
    *,
    graph: SphereGraph | None = None,
    center: tuple[float | int, float | int] = (0.0, 20.0),
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
) -> graph_objects.Figure:
    """An interactive globe coloured by one signal, or by one of several chosen from a list.

    The sphere is the Delaunay triangulation of the vertices, coloured per vertex without any
    shading, so that colours are those of the scale. Scattered points are dots on a gray globe.
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
        graph has more than 40,000 edges.

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
    colors = {
        "colorscale": [[f, to_hex(colormaps[cmap](f))] for f in np.linspace(0, 1, 17).tolist()],
        "cmin": limits[0],
        "cmax": limits[1],
        "colorbar": {
            "title": {"text": unit, "side": "top"},
            "orientation": "h",
            "x": 0.5,
            "y": 0.0,
            "yanchor": "top",
            "len": 0.6,
            "thickness": 10,
            "outlinewidth": 0,
        },
    }
    if isinstance(_origin(sampling), Scattered):
        core = _CORE_RADIUS_OF_DOTS
        data, updates = _dots(np.asarray(sampling.points), values, colors)
    else:
        core = _CORE_RADIUS
        points, values = _light_mesh(sampling, values)
        data, updates = _surface(points, values, colors)
    traces = [data, _core(core), *_lines(graph)]
    figure = graph_objects.Figure(traces, layout=_layout(title, center))
    menus = [_signal_menu(list(named), updates)] if len(named) > 1 else []
    menus += [_edges_menu(len(traces) - 1)] if graph is not None else []
    figure.update_layout(updatemenus=menus)
    return figure


def _origin(sampling: Sampling) -> Sampling:
    """The sampling that a subset was cut from, or the sampling itself."""
    return sampling.base if isinstance(sampling, Subset) else sampling


def _light_mesh(
    sampling: Sampling, values: Float[np.ndarray, "signals n"]
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "signals m"]]:
    """Points that cover the sphere, few enough for a browser, and the values there."""
    origin = _origin(sampling)
    if origin is sampling and sampling.num_vertices <= MAX_VERTICES:
        return np.asarray(sampling.points), values
    if origin.num_vertices <= MAX_VERTICES:
        mesh = origin
    else:
        mesh = Fibonacci(MAX_VERTICES)
        warnings.warn(
            f"the globe shows the values nearest to {MAX_VERTICES} points of the "
            f"{origin.num_vertices} vertices of the sampling, to stay light",
            stacklevel=3,
        )
    points = np.asarray(mesh.points)
    nearest = nearest_vertices(sampling, points)
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    return points, padded[:, nearest]


def _surface(
    points: Float[np.ndarray, "n 3"], values: Float[np.ndarray, "signals n"], colors: dict
) -> tuple[graph_objects.Mesh3d, list[dict[str, Any]]]:
    """The coloured triangulation, and for each signal what has to be changed to show it."""
    triangles = spherical_delaunay(points)
    blank = np.isnan(values)
    moves = bool((blank != blank[0]).any())
    updates = []
    # a triangle with a blank corner has no colour: the gray core shows through
    coloured = [triangles[~hole[triangles].any(axis=1)] for hole in blank]
    for signal, kept in zip(values, coloured, strict=True):
        update: dict[str, Any] = {"intensity": [_plain(signal)]}
        if moves:
            update |= {name: [kept[:, k].tolist()] for k, name in enumerate("ijk")}
        updates.append(update)
    mesh = graph_objects.Mesh3d(
        **dict(zip("xyz", points.T.astype(np.float32), strict=True)),
        **dict(zip("ijk", coloured[0].T.astype(np.int32), strict=True)),
        intensity=updates[0]["intensity"][0],
        customdata=_degrees(points),
        hovertemplate="lon %{customdata[0]:.2f}°, lat %{customdata[1]:.2f}°"
        "<br><b>%{intensity:.4g}</b><extra></extra>",
        lighting={"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0, "roughness": 1},
        name="signal",
        **colors,
    )
    return mesh, updates


def _dots(
    points: Float[np.ndarray, "n 3"], values: Float[np.ndarray, "signals n"], colors: dict
) -> tuple[graph_objects.Scatter3d, list[dict[str, Any]]]:
    """Scattered points as coloured dots, and what has to be changed to show each signal."""
    x, y, z = _LIFT_OF_DOTS * points.T
    # a dot without value is one without place
    updates = [
        {
            "x": [_plain(np.where(np.isnan(signal), np.nan, x))],
            "marker.color": [_plain(np.nan_to_num(signal))],
        }
        for signal in values
    ]
    marker = {
        **colors,
        "color": updates[0]["marker.color"][0],
        "size": float(np.clip(150 / np.sqrt(len(points)), 2.5, 8)),
    }
    dots = graph_objects.Scatter3d(
        x=updates[0]["x"][0],
        y=y.astype(np.float32),
        z=z.astype(np.float32),
        mode="markers",
        marker=marker,
        customdata=_degrees(points),
        hovertemplate="lon %{customdata[0]:.2f}°, lat %{customdata[1]:.2f}°"
        "<br><b>%{marker.color:.4g}</b><extra></extra>",
        name="signal",
        showlegend=False,
    )
    return dots, updates


def _core(radius: float | int) -> graph_objects.Mesh3d:
    """A gray sphere just below the surface, seen where nothing is known."""
    points = np.asarray(Fibonacci(2000).points)
    return graph_objects.Mesh3d(
        **dict(zip("xyz", (radius * points).T.astype(np.float32), strict=True)),
        **dict(zip("ijk", spherical_delaunay(points).T.astype(np.int32), strict=True)),
        color=BLANK,
        hoverinfo="skip",
        lighting={"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0, "roughness": 1},
        name="blank",
    )


def _lines(graph: SphereGraph | None) -> list[graph_objects.Scatter3d]:
    """The graticule and, at first hidden, the edges of the graph."""
    along = np.linspace(-np.pi, np.pi, 121)
    curves = [
        lonlat_to_points(along, np.full_like(along, lat))
        for lat in np.radians([-60, -30, 0, 30, 60])
    ]
    curves += [
        lonlat_to_points(np.full_like(along, lon), along / 2)
        for lon in np.radians(np.arange(0, 360, 30))
    ]
    traces = [_polylines(np.stack(curves), name="graticule", color=LINE, width=1, opacity=0.6)]
    if graph is not None:
        upper = triu(graph.adjacency.maximum(graph.adjacency.T), k=1).tocoo()
        segments = np.asarray(graph.sampling.points)[np.stack([upper.row, upper.col], axis=1)]
        edges = _polylines(segments, name="edges", color=INK, width=1.5, opacity=0.8)
        edges.visible = False
        traces.append(edges)
    return traces


def _polylines(
    curves: Float[np.ndarray, "curves points 3"],
    *,
    name: str,
    color: str,
    width: float | int,
    opacity: float,
) -> graph_objects.Scatter3d:
    """Curves of equal length as one trace, separated by gaps, a little above the surface."""
    gaps = np.full((len(curves), 1, 3), np.nan)
    path = np.concatenate([_LIFT * curves, gaps], axis=1).reshape(-1, 3).astype(np.float32)
    return graph_objects.Scatter3d(
        **dict(zip("xyz", path.T, strict=True)),
        mode="lines",
        line={"color": color, "width": width},
        opacity=opacity,
        hoverinfo="skip",
        name=name,
        showlegend=False,
    )


def _degrees(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    """Longitude in (-180, 180] and latitude in degrees."""
    lon, lat = points_to_lonlat(points)
    lon = np.where(lon > np.pi, lon - 2 * np.pi, lon)
    return np.degrees(np.stack([lon, lat], axis=1)).astype(np.float32)


def _plain(signal: Float[np.ndarray, "n"]) -> list[float | None]:
    """Values with the five digits that a colour can show, as JSON writes them shortest."""
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in signal.tolist()]


def _layout(title: str, center: tuple[float | int, float | int]) -> dict[str, Any]:
    """A scene without axes on a transparent ground, looking at the centre."""
    # exactly above a pole there would be no way up
    lon, lat = np.radians([center[0], np.clip(center[1], -_HIGHEST_EYE_DEG, _HIGHEST_EYE_DEG)])
    eye = _EYE_DISTANCE * lonlat_to_points(np.array([lon]), np.array([lat]))[0]
    hidden = {"visible": False, "showspikes": False, "range": [-1.05, 1.05]}
    return {
        "title": {"text": title, "x": 0.5, "xanchor": "center", "font": {"size": 16}},
        "font": {"family": _FONT, "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 0, "r": 0, "b": 64, "t": 56 if title else 40},
        "height": 520,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        "scene": {
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "manual",
            "aspectratio": dict.fromkeys("xyz", _SCENE_SIZE),
            "dragmode": "turntable",
            "bgcolor": "rgba(0,0,0,0)",
            "camera": {
                "eye": dict(zip("xyz", eye.tolist(), strict=True)),
                "projection": {"type": "orthographic"},
            },
        },
    }


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
