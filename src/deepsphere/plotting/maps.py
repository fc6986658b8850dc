"""Maps: a signal on any sampling, drawn as the cells of its vertices or as dots."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from deepsphere.plotting.cells import (
    checked_signal,
    color_limits,
    raster_vertices,
)
from deepsphere.plotting.coastlines import CoastlinesLike, draw_coastlines
from deepsphere.plotting.projections import (
    EastSide,
    ProjectionName,
    View,
    Window,
    graticule_lines,
)
from deepsphere.plotting.style import (
    BLANK,
    INK,
    LINE,
    MUTED,
    SEQUENTIAL,
    add_colorbar,
    new_figure,
    set_title,
)
from deepsphere.sampling import Sampling

Mark = Literal["cells", "dots"]


def plot_map(
    signal: Shaped[np.ndarray, "..."],
    sampling: Sampling,
    *,
    projection: ProjectionName = "mollweide",
    center: tuple[float | int, float | int] = (0.0, 0.0),
    east: EastSide = "right",
    mark: Mark = "cells",
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    colorbar: bool = True,
    unit: str = "",
    title: str = "",
    graticule: bool = True,
    coastlines: CoastlinesLike | None = None,
    max_distance_deg: float | int | None = None,
    num_rows: int = 480,
) -> Figure:
    """A map of one signal on any sampling.

    Every pixel shows the value of the nearest vertex, so that cells stay crisp at any size. NaN
    values, the outside of a subset and regions far from all scattered points are gray.

    Parameters
    ----------
    signal
        Real values, shape (vertices,); NaN for blank.
    sampling
        The sampling that the signal lives on.
    projection
        ``"mollweide"``, ``"orthographic"`` (front half only) or ``"equirectangular"``.
    center
        Longitude and latitude of the centre of the map, degrees.
    east
        ``"right"`` as on maps of the Earth, ``"left"`` as on maps of the sky.
    mark
        ``"cells"`` fills the map, ``"dots"`` draws one dot per vertex (few scattered points).
    cmap
        Name of a matplotlib colour map.
    vmin, vmax
        Ends of the colour scale; None for the extremes of the signal.
    colorbar
        Whether to draw the colour scale.
    unit
        Label of the colour scale.
    title
        Title of the map.
    graticule
        Whether to draw meridians and parallels every 30 degrees.
    coastlines
        :class:`~deepsphere.plotting.Coastlines` of a land mask on any sampling, or curves of unit
        vectors of shape (points, 3); None for none.
    max_distance_deg
        Distance from a vertex beyond which the map is blank, degrees; None for the rule of
        :func:`deepsphere.plotting.nearest_vertices`.
    num_rows
        Height of the image in pixels.

    Returns
    -------
    Figure
        A figure that no window or global state holds; save it with ``figure.savefig``.

    Raises
    ------
    ValueError
        If the signal does not fit the sampling or a choice is unknown.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=4)
    >>> figure = plot_map(sampling.lat, sampling, unit="rad", num_rows=60)
    >>> len(figure.axes)
    2
    """
    view = View(projection, center=center, east=east)
    values = checked_signal(signal, sampling)
    width = 3.4 * view.half_width
    figure = new_figure(width, 3.4 * view.half_height + 0.35 * bool(title) + 0.6 * colorbar)
    axes = figure.add_subplot()
    mappable = draw_map(
        axes,
        signal,
        sampling,
        view,
        mark=mark,
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        title=title,
        graticule=graticule,
        coastlines=coastlines,
        max_distance_deg=max_distance_deg,
        num_rows=num_rows,
    )
    if colorbar:
        extend = extension(values, *mappable.get_clim())
        add_colorbar(figure, mappable, axes, unit=unit, extend=extend)
    return figure


def plot_maps(
    signals: Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling | Sequence[Sampling],
    *,
    num_columns: int | None = None,
    projection: ProjectionName = "mollweide",
    center: tuple[float | int, float | int] = (0.0, 0.0),
    east: EastSide = "right",
    mark: Mark = "cells",
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    colorbar: bool = True,
    unit: str = "",
    title: str = "",
    graticule: bool = True,
    coastlines: CoastlinesLike | None = None,
    num_rows: int = 240,
) -> Figure:
    """A grid of maps with one colour scale in common.

    Parameters
    ----------
    signals
        The signals by title, each of shape (vertices,).
    sampling
        The sampling of all signals, or one sampling for each.
    num_columns
        Maps per row; None for at most four orthographic or three other maps.
    projection, center, east, mark, cmap, vmin, vmax, colorbar, unit, graticule
        As for :func:`plot_map`; the colour scale spans all signals.
    title
        Title above the grid.
    coastlines, num_rows
        As for :func:`plot_map`.

    Returns
    -------
    Figure
        A figure with one axes per signal, and one for the colour scale.

    Raises
    ------
    ValueError
        If there is no signal, a signal does not fit its sampling, or the number of samplings is
        not the number of signals.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> signals = {"x": sampling.points[:, 0], "y": sampling.points[:, 1]}
    >>> len(plot_maps(signals, sampling, num_rows=40, colorbar=False).axes)
    2
    """
    if not signals:
        raise ValueError("signals must hold at least one signal, got none; pass {title: signal}")
    samplings = list(sampling) if isinstance(sampling, Sequence) else [sampling] * len(signals)
    if len(samplings) != len(signals):
        raise ValueError(
            f"sampling must be one sampling or one for each of the {len(signals)} signals, got "
            f"{len(samplings)}; pass as many"
        )
    view = View(projection, center=center, east=east)
    pairs = list(zip(signals.items(), samplings, strict=True))
    pooled = np.concatenate([checked_signal(signal, where) for (_, signal), where in pairs])
    low, high = color_limits(pooled, vmin, vmax)
    most = 4 if projection == "orthographic" else 3
    columns = min(len(signals), num_columns or most)
    rows = -(-len(signals) // columns)
    cell_width = 2.3 if projection == "orthographic" else 3.3
    cell_height = cell_width * view.half_height / view.half_width + 0.35
    height = rows * cell_height + 0.6 * colorbar + 0.35 * bool(title)
    figure = new_figure(columns * cell_width, height, layout="compressed")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, ((name, signal), where) in zip(grid, pairs, strict=False):
        draw_map(
            axes,
            signal,
            where,
            view,
            mark=mark,
            cmap=cmap,
            vmin=low,
            vmax=high,
            title=name,
            graticule=graticule,
            coastlines=coastlines,
            num_rows=num_rows,
        )
    for axes in grid[len(pairs) :]:
        axes.remove()
    if colorbar:
        norm = Normalize(low, high)
        extend = extension(pooled, low, high)
        mappable = ScalarMappable(norm, cmap)
        add_colorbar(
            figure, mappable, list(grid[: len(pairs)]), unit=unit, extend=extend, shrink=0.4
        )
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def draw_map(
    axes: Axes,
    signal: Shaped[np.ndarray, "..."],
    sampling: Sampling,
    view: View,
    *,
    mark: Mark = "cells",
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    title: str = "",
    graticule: bool = True,
    coastlines: CoastlinesLike | None = None,
    max_distance_deg: float | int | None = None,
    num_rows: int = 480,
    window: Window | None = None,
) -> ScalarMappable:
    """The drawing of one map on axes of yours, for figures composed by hand.

    Parameters
    ----------
    axes
        Axes to draw on; their frame is replaced by the border of the map.
    signal, sampling, mark, cmap, vmin, vmax, title, graticule, coastlines
        As for :func:`plot_map`.
    view
        The projection and its centre.
    max_distance_deg, num_rows
        As for :func:`plot_map`.
    window
        The part of the map to be shown (left, right, bottom, top, in map coordinates), `num_rows`
        pixels high; None for all of it.

    Returns
    -------
    ScalarMappable
        What a colour bar needs.

    Raises
    ------
    ValueError
        If the signal does not fit the sampling, a choice is unknown, or the window is empty.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=2)
    >>> draw_map(Figure().subplots(), sampling.lat, sampling, View(), num_rows=20).get_array().shape
    (20, 40)
    """
    values = checked_signal(signal, sampling)
    if mark not in ("cells", "dots"):
        raise ValueError(f"mark must be 'cells' or 'dots', got {mark!r}; choose one")
    if cmap not in colormaps:
        raise ValueError(
            f"cmap must name a matplotlib colour map, got {cmap!r}; for instance 'viridis' or "
            f"'RdBu_r', all of them: matplotlib.colormaps"
        )
    if window is not None and not (window[0] < window[1] and window[2] < window[3]):
        raise ValueError(
            f"window must be (left, right, bottom, top) in map coordinates, got {window}; "
            "exchange the ends that are in the wrong order"
        )
    norm = Normalize(*color_limits(values, vmin, vmax))
    border = draw_frame(axes, view, title=title, graticule=graticule)
    if coastlines is not None:
        draw_coastlines(
            axes, coastlines, view, border=border, window=window, num_rows=max(num_rows, 720)
        )
        _set_window(axes, view, window)
    if mark == "dots":
        _set_window(axes, view, window)
        shown = view.faces_viewer(sampling.points) & np.isfinite(values)
        size = float(np.clip(9000 / max(len(values), 1), 3, 36))
        return axes.scatter(
            *view.project(sampling.points[shown]).T,
            s=size,
            c=values[shown],
            cmap=cmap,
            norm=norm,
            linewidths=0.3,
            edgecolors=MUTED,  # keeps dots apart from a ground of the same lightness
            zorder=2,
        )
    vertex = raster_vertices(sampling, view, num_rows, max_distance_deg, window)
    image = axes.imshow(
        np.ma.masked_invalid(np.append(values, np.nan)[vertex]),
        origin="lower",
        extent=window or view.window,
        cmap=cmap,
        norm=norm,
        interpolation="none",
        zorder=1,
    )
    image.set_clip_path(border)
    _set_window(axes, view, window)
    return image


def draw_frame(axes: Axes, view: View, *, title: str = "", graticule: bool = True) -> Polygon:
    """Draw an empty map, its border and its graticule; return the border."""
    outline = view.outline()
    axes.set_axis_off()
    axes.add_patch(Polygon(outline, closed=True, facecolor=BLANK, edgecolor="none", zorder=0))
    border = Polygon(
        outline, closed=True, facecolor="none", edgecolor=MUTED, linewidth=0.8, zorder=4
    )
    axes.add_patch(border)
    if graticule:
        lines = LineCollection(
            graticule_lines(view), colors=LINE, linewidths=0.4, alpha=0.55, zorder=3
        )
        axes.add_collection(lines, autolim=False)
    _set_window(axes, view, None)
    axes.set_aspect("equal")
    set_title(axes, title)
    return border


def _set_window(axes: Axes, view: View, window: Window | None) -> None:
    """Show a part of the map, or all of it and a hair more, so that its border is not cut."""
    left, right, bottom, top = window or tuple(1.01 * side for side in view.window)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def extension(values: np.ndarray, low: float, high: float) -> str:
    """Which ends of the colour bar are pointed, because values lie beyond them."""
    finite = values[np.isfinite(values)]
    below, above = bool(np.any(finite < low)), bool(np.any(finite > high))
    names = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    return names.get((below, above), "both")
