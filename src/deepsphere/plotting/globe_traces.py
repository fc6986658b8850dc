"""The parts of an interactive globe: coloured surface or dots, lines, and the scene around them."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.colors import to_hex
from plotly import graph_objects
from scipy.sparse import triu

from deepsphere.geometry import lonlat_to_points, points_to_lonlat, spherical_delaunay
from deepsphere.graph import SphereGraph
from deepsphere.plotting.cells import nearest_vertices
from deepsphere.plotting.coastlines import Coastlines, CoastlinesLike, curves_of
from deepsphere.plotting.projections import refined
from deepsphere.plotting.style import BLANK, INK, LINE, MUTED
from deepsphere.sampling import Fibonacci, Sampling, Scattered, Subset

# deeper below dots, so that it does not cut into their discs
_CORE_RADII = {"surface": 0.97, "dots": 0.96}
_LIFT = 1.015  # of lines: browsers with 16 bits of depth tell no less apart
_LIFT_OF_COASTLINES = 1.006  # as near as leaves no gap to the colours they border
_LIFT_OF_DOTS = 1.02
_LONGEST_STRAIGHT = 0.2  # radian: the middle of a lifted line of this length is above the surface
_EYE_DISTANCE = 2.5
_SCENE_SIZE = 1.95  # of plotly's units: how much of its frame the globe fills
_HIGHEST_EYE_DEG = 89.0
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"


def whole_sampling(sampling: Sampling) -> Sampling:
    """The sampling that a subset was cut from, or the sampling itself.

    Parameters
    ----------
    sampling
        Any sampling.

    Returns
    -------
    Sampling
        Never a subset.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> whole_sampling(Healpix(nside=1).subset(np.arange(3)))
    Healpix(nside=1, ordering='nested')
    """
    return sampling.base if isinstance(sampling, Subset) else sampling


def globe_colors(cmap: str, limits: tuple[float, float], unit: str) -> dict[str, Any]:
    """The colour scale of a globe as plotly knows it.

    Parameters
    ----------
    cmap
        Name of a matplotlib colour map.
    limits
        Ends of the scale.
    unit
        Label of the scale.

    Returns
    -------
    dict[str, Any]
        Options of a trace or marker.

    Examples
    --------
    >>> globe_colors("gray", (0.0, 1.0), "m")["colorscale"][0]
    [0.0, '#000000']
    """
    return {
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


def light_mesh(
    sampling: Sampling, values: Float[np.ndarray, "signals n"], *, max_vertices: int
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "signals m"]]:
    """Points that cover the sphere, few enough for a browser, and the values there.

    Parameters
    ----------
    sampling
        Any sampling.
    values
        Signals on it, shape (signals, vertices).
    max_vertices
        The most points; where there are more vertices, values are those nearest to the points of a
        Fibonacci lattice.

    Returns
    -------
    tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "signals m"]]
        Unit vectors, and signals there, NaN where there is no vertex.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> light_mesh(Healpix(nside=4), np.zeros((1, 192)), max_vertices=100)[0].shape
    (100, 3)
    """
    origin = whole_sampling(sampling)
    fits = origin.num_vertices <= max_vertices
    if origin is sampling and fits and not isinstance(origin, Scattered):
        return np.asarray(sampling.points), values
    # the triangulation of scattered points would bridge the holes between them
    mesh = origin if fits and not isinstance(origin, Scattered) else Fibonacci(max_vertices)
    points = np.asarray(mesh.points)
    nearest = nearest_vertices(sampling, points)
    padded = np.concatenate([values, np.full((len(values), 1), np.nan)], axis=1)
    return points, padded[:, nearest]


def globe_mesh(
    points: Float[np.ndarray, "n 3"], signal: Float[np.ndarray, "n"], colors: dict[str, Any]
) -> tuple[graph_objects.Mesh3d, Int[np.ndarray, "triangles 3"]]:
    """The coloured triangulation of one signal, without the triangles that have a blank corner.

    Parameters
    ----------
    points
        Unit vectors, shape (n, 3).
    signal
        Values there; NaN for blank.
    colors
        Of :func:`globe_colors`.

    Returns
    -------
    tuple[graph_objects.Mesh3d, Int[np.ndarray, "triangles 3"]]
        The trace, and all triangles.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> mesh, triangles = globe_mesh(octahedron, np.append(np.ones(5), np.nan), {})
    >>> len(triangles), len(mesh.i)
    (8, 4)
    """
    triangles = spherical_delaunay(points)
    kept = triangles[~np.isnan(signal)[triangles].any(axis=1)]
    mesh = graph_objects.Mesh3d(
        **dict(zip("xyz", points.T.astype(np.float32), strict=True)),
        **dict(zip("ijk", kept.T.astype(np.int32), strict=True)),
        intensity=_plain(signal),
        customdata=_degrees(points),
        hovertemplate="lon %{customdata[0]:.2f}°, lat %{customdata[1]:.2f}°"
        "<br><b>%{intensity:.4g}</b><extra></extra>",
        lighting={"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0, "roughness": 1},
        name="signal",
        **colors,
    )
    return mesh, triangles


def globe_furniture(
    coastlines: CoastlinesLike | None = None,
    graph: SphereGraph | None = None,
    *,
    below: Literal["surface", "dots"] = "surface",
) -> list[graph_objects.Scatter3d | graph_objects.Mesh3d]:
    """What a globe has besides its signal: a gray sphere, coastlines, graticule, and a graph.

    Parameters
    ----------
    coastlines, graph
        As for :func:`deepsphere.plotting.globe`; the edges of the graph come last, and hidden.
    below
        What the gray sphere is to lie below.

    Returns
    -------
    list
        Traces of plotly.

    Examples
    --------
    >>> [trace.name for trace in globe_furniture()]
    ['blank', 'graticule']
    """
    return [_core(_CORE_RADII[below]), *_coast(coastlines), *_lines(graph)]


def surface_trace(
    points: Float[np.ndarray, "n 3"], values: Float[np.ndarray, "signals n"], colors: dict
) -> tuple[graph_objects.Mesh3d, list[dict[str, Any]]]:
    """The coloured triangulation, and for each signal what has to be changed to show it.

    Parameters
    ----------
    points
        Unit vectors, shape (n, 3).
    values
        Signals there, shape (signals, n); NaN for blank.
    colors
        Of :func:`globe_colors`.

    Returns
    -------
    tuple[graph_objects.Mesh3d, list[dict[str, Any]]]
        The trace of the first signal, and arguments of plotly's ``restyle`` for each.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> mesh, updates = surface_trace(octahedron, np.arange(12.0).reshape(2, 6), {})
    >>> updates[1]["intensity"]
    [[6.0, 7.0, 8.0, 9.0, 10.0, 11.0]]
    """
    mesh, triangles = globe_mesh(points, values[0], colors)
    blank = np.isnan(values)
    moves = bool((blank != blank[0]).any())
    updates = []
    for signal, hole in zip(values, blank, strict=True):
        update: dict[str, Any] = {"intensity": [_plain(signal)]}
        if moves:
            # a triangle with a blank corner has no colour: the gray core shows through
            kept = triangles[~hole[triangles].any(axis=1)]
            update |= {name: [kept[:, k].tolist()] for k, name in enumerate("ijk")}
        updates.append(update)
    return mesh, updates


def dots_trace(
    points: Float[np.ndarray, "n 3"], values: Float[np.ndarray, "signals n"], colors: dict
) -> tuple[graph_objects.Scatter3d, list[dict[str, Any]]]:
    """Scattered points as coloured dots, and what has to be changed to show each signal.

    Parameters
    ----------
    points
        Unit vectors, shape (n, 3).
    values
        Signals there, shape (signals, n); a dot whose value is NaN is not drawn.
    colors
        Of :func:`globe_colors`.

    Returns
    -------
    tuple[graph_objects.Scatter3d, list[dict[str, Any]]]
        The trace of the first signal, and arguments of plotly's ``restyle`` for each.

    Examples
    --------
    >>> dots, updates = dots_trace(np.eye(3), np.array([[1.0, 2.0, np.nan]]), {})
    >>> updates[0]["x"][0][2] is None
    True
    """
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


def _coast(coastlines: CoastlinesLike | None) -> list[graph_objects.Scatter3d]:
    """The coastlines as a trace, if there are any."""
    curves = curves_of(coastlines)
    color = coastlines.color if isinstance(coastlines, Coastlines) else INK
    if not curves:
        return []
    near = [_LIFT_OF_COASTLINES / _LIFT * curve for curve in curves]
    return [_polylines(near, name="coastlines", color=to_hex(color), width=2, opacity=1.0)]


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
    traces = [_polylines(curves, name="graticule", color=LINE, width=1, opacity=0.6)]
    if graph is not None:
        upper = triu(graph.adjacency.maximum(graph.adjacency.T), k=1).tocoo()
        segments = np.asarray(graph.sampling.points)[np.stack([upper.row, upper.col], axis=1)]
        # a long straight line would dive below the surface
        is_long = np.linalg.norm(segments[:, 0] - segments[:, 1], axis=1) > _LONGEST_STRAIGHT
        curves = [refined(segment, _LONGEST_STRAIGHT) for segment in segments[is_long]]
        width = float(np.clip(np.sqrt(5000 / max(len(segments), 1)), 0.3, 1)) * 1.5
        edges = _polylines(
            [*segments[~is_long], *curves], name="edges", color=INK, width=width, opacity=0.8
        )
        edges.visible = False
        traces.append(edges)
    return traces


def _polylines(
    curves: Sequence[Float[np.ndarray, "_ 3"]],
    *,
    name: str,
    color: str,
    width: float | int,
    opacity: float,
) -> graph_objects.Scatter3d:
    """Curves as one trace, separated by gaps, a little above the surface."""
    gap = np.full((1, 3), np.nan)
    parts = [part for curve in curves for part in (_LIFT * curve, gap)]
    path = np.concatenate(parts).astype(np.float32) if parts else gap
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


def globe_layout(title: str, center: tuple[float | int, float | int]) -> dict[str, Any]:
    """A scene without axes on a transparent ground, looking at the centre.

    Parameters
    ----------
    title
        Title above the globe.
    center
        Longitude and latitude that face the reader first, degrees.

    Returns
    -------
    dict[str, Any]
        Options of the layout of a figure.

    Examples
    --------
    >>> globe_layout("", (0.0, 0.0))["scene"]["camera"]["eye"]["x"]
    2.5
    """
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
