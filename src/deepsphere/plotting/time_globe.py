"""The interactive globe of a field that changes: turned with the mouse, moved through time."""

import base64
import warnings
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib import colormaps
from plotly import graph_objects

from deepsphere.plotting.cells import checked_signal, color_limits
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.globe_traces import (
    globe_colors,
    globe_furniture,
    globe_layout,
    globe_mesh,
    light_mesh,
    whole_sampling,
)
from deepsphere.plotting.style import INK, MUTED, SEQUENTIAL
from deepsphere.plotting.times import TimesLike, time_labels
from deepsphere.sampling import Sampling

MAX_FRAME_VERTICES = 50_000
"""Vertices at most, however few the frames are."""
MAX_VALUES = 3_000_000
"""Values at most (frames times vertices): 16 megabytes as text, beside 5 of plotly.js."""
MAX_FRAMES = 1000
_SLOWEST_MS, _FASTEST_MS = 2000, 40
_VALUES_PER_BLANK_VERTEX = 7  # two triangles of three corners belong to a vertex, and its value


def time_globe(
    fields: Shaped[np.ndarray, "times vertices"],
    sampling: Sampling,
    *,
    times: TimesLike | None = None,
    start: int = 0,
    coastlines: CoastlinesLike | None = None,
    center: tuple[float | int, float | int] = (0.0, 20.0),
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
    frames_per_second: float | int = 4,
) -> graph_objects.Figure:
    """An interactive globe with a slider for the time and a button that plays it.

    All times share one triangulation; a frame holds the values alone, in single precision. 60
    frames of 50,000 vertices make a file of 26 megabytes, 5 of which are plotly.js; where
    there are more values the globe shows those nearest to fewer points, with a warning. Where
    blank vertices come and go, a frame holds its triangles as well, and the points are fewer.
    Hovering shows longitude, latitude and value.

    Parameters
    ----------
    fields
        Values of shape (times, vertices); NaN for blank.
    sampling
        The sampling of the fields.
    times
        Time of each frame, of any calendar; None to count them.
    start
        The frame that is shown first.
    coastlines
        As for :func:`deepsphere.plotting.plot_map`; a fill is not drawn.
    center, cmap, unit, title
        As for :func:`deepsphere.plotting.globe`.
    vmin, vmax
        Ends of the colour scale; None for the extremes over all times.
    frames_per_second
        Speed at which the button plays, 0.5 to 25; a browser may be slower.

    Returns
    -------
    graph_objects.Figure
        A plotly figure; ``figure.write_html(path, auto_play=False)`` writes a file that works
        offline, ``Report.interactive`` puts it into a report.

    Raises
    ------
    ValueError
        If the shape is not (times, vertices), there are no or more than 1000 times, the colour map
        is unknown, or the start or the speed is out of range.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=4)
    >>> waves = np.stack([np.cos(sampling.lon - turn) for turn in (0.0, 0.5, 1.0)])
    >>> figure = time_globe(waves, sampling, times=[0, 6, 12])
    >>> [step.label for step in figure.layout.sliders[0].steps]
    ['0', '6', '12']
    """
    if fields.shape[1:] != (sampling.num_vertices,):
        raise ValueError(
            f"fields must have shape (times, vertices) with {sampling.num_vertices} vertices, got "
            f"{fields.shape}; select one channel of one forecast"
        )
    if not 1 <= len(fields) <= MAX_FRAMES:
        raise ValueError(
            f"fields must hold from 1 to {MAX_FRAMES} times, got {len(fields)}; take every second "
            "one, or write a film"
        )
    if not 0 <= start < len(fields):
        raise ValueError(
            f"start must be a frame, from 0 to {len(fields) - 1}, got {start}; use one of these"
        )
    if not 1000 / _SLOWEST_MS <= frames_per_second <= 1000 / _FASTEST_MS:
        raise ValueError(
            f"frames_per_second must be between {1000 / _SLOWEST_MS:g} and "
            f"{1000 / _FASTEST_MS:g}, got {frames_per_second}; use 4 for instance"
        )
    if cmap not in colormaps:
        raise ValueError(f"cmap must name a matplotlib colour map, got {cmap!r}; try 'viridis'")
    labels = time_labels(times, len(fields))
    values = np.stack([checked_signal(field, sampling) for field in fields])
    colors = globe_colors(cmap, color_limits(values, vmin, vmax), unit)
    blank = np.isnan(values)
    moves = bool((blank != blank[0]).any())
    limit = MAX_VALUES // len(fields) // (_VALUES_PER_BLANK_VERTEX if moves else 1)
    limit = min(limit, MAX_FRAME_VERTICES)
    points, shown = light_mesh(sampling, values, max_vertices=limit)
    if limit < whole_sampling(sampling).num_vertices:
        warnings.warn(
            f"the globe shows the values nearest to {len(points)} points of the "
            f"{sampling.num_vertices} vertices of the sampling, to hold {len(fields)} times",
            stacklevel=2,
        )
    mesh, triangles = globe_mesh(points, shown[start], colors)
    changes = [_change(field, triangles if moves else None) for field in shown]
    frames = [
        graph_objects.Frame(data=[graph_objects.Mesh3d(**change)], name=str(index), traces=[0])
        for index, change in enumerate(changes)
    ]
    mesh.update(changes[start])
    figure = graph_objects.Figure(
        [mesh, *globe_furniture(coastlines)],
        layout=globe_layout(title, center),
        frames=frames,
    )
    figure.update_layout(
        sliders=[_slider(labels, start)],
        updatemenus=[_play_menu(1000 / frames_per_second)],
        margin={"b": 128},
        height=600,
    )
    # below the slider there is no room: the colour scale stands beside the globe
    figure.data[0].colorbar.update(  # pyright: ignore[reportAttributeAccessIssue]
        orientation="v", x=0.98, xanchor="right", y=0.5, yanchor="middle", len=0.7
    )
    return figure


def _change(
    field: Float[np.ndarray, "n"], triangles: Int[np.ndarray, "triangles 3"] | None
) -> dict[str, Any]:
    """The values of one frame, and its triangles without a blank corner if they are given."""
    blank = np.isnan(field)
    update: dict[str, Any] = {"intensity": packed(np.where(blank, 0, field).astype(np.float32))}
    if triangles is not None:
        kept = triangles[~blank[triangles].any(axis=1)].astype(np.int32)
        update |= {name: packed(kept[:, k]) for k, name in enumerate("ijk")}
    return update


def packed(values: Shaped[np.ndarray, "n"]) -> dict[str, str]:
    """An array as plotly reads it from a file: its type and its bytes as text.

    Parameters
    ----------
    values
        Single precision or 32-bit integers.

    Returns
    -------
    dict[str, str]
        The type, and the bytes in base 64.

    Examples
    --------
    >>> packed(np.zeros(1, np.float32))
    {'dtype': 'f4', 'bdata': 'AAAAAA=='}
    """
    kind = {"f": "f4", "i": "i4"}[values.dtype.kind]
    raw = np.ascontiguousarray(values, "<" + kind).tobytes()
    return {"dtype": kind, "bdata": base64.b64encode(raw).decode("ascii")}


def _slider(labels: list[str], start: int) -> dict[str, Any]:
    """The slider: a step shows its frame at once."""
    at_once = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": True},
        "transition": {"duration": 0},
    }
    return {
        "active": start,
        "steps": [
            {"label": label, "method": "animate", "args": [[str(index)], at_once]}
            for index, label in enumerate(labels)
        ],
        "currentvalue": {"xanchor": "center", "font": {"size": 14, "color": INK}},
        "x": 0.12,
        "len": 0.83,
        "y": 0,
        "yanchor": "top",
        "pad": {"t": 12, "b": 8},
        "tickcolor": MUTED,
        "font": {"color": MUTED, "size": 10},
        "bordercolor": MUTED,
        "ticklen": 4,
        # names of all frames would lie on top of each other
        "minorticklen": 0,
    }


def _play_menu(duration: float) -> dict[str, Any]:
    """The button that plays and the one that stops."""
    play = {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": duration, "redraw": True},
        "transition": {"duration": 0},
    }
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    return {
        "type": "buttons",
        "direction": "left",
        "showactive": False,
        "buttons": [
            {"label": "▶", "method": "animate", "args": [None, play]},
            {"label": "❚❚", "method": "animate", "args": [[None], stop]},
        ],
        "x": 0.0,
        "xanchor": "left",
        "y": 0,
        "yanchor": "top",
        "pad": {"t": 34, "l": 8},
        "bgcolor": "rgba(255,255,255,0.6)",
        "bordercolor": MUTED,
        "borderwidth": 1,
    }
