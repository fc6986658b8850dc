"""Maps of events, such as cyclones: labels and predictions outlined over a field."""

from collections.abc import Sequence
from itertools import pairwise
from string import ascii_lowercase

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from deepsphere.geometry import points_to_lonlat
from deepsphere.plotting.cells import checked_signal, color_limits
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.maps import Window, draw_map
from deepsphere.plotting.outlines import outlines
from deepsphere.plotting.projections import EastSide, ProjectionName, View, cut_line
from deepsphere.plotting.style import INK, PALETTE, SMALL_SIZE, add_colorbar, new_figure
from deepsphere.sampling import Sampling

EVENT_COLORS = (PALETTE[3], PALETTE[0], PALETTE[2], PALETTE[4], PALETTE[1], PALETTE[7])
"""Colours of the classes after the background, over a gray field; then from the start again."""
FIELD_COLORS = "bone_r"
"""A colour map in grays, on which the colours of the outlines stand out."""
_LABEL_WIDTH, _PREDICTION_WIDTH = 1.3, 1.5  # points
_DASHES = (0, (3.0, 1.6))
_ZOOM_ROWS = 300


def plot_events(
    signal: Shaped[np.ndarray, "..."],
    labels: Int[np.ndarray, "..."],
    sampling: Sampling,
    class_names: Sequence[str],
    *,
    predicted: Int[np.ndarray, "..."] | None = None,
    background: int = 0,
    zooms: Sequence[tuple[float | int, float | int]] = (),
    zoom_width_deg: float | int = 40.0,
    projection: ProjectionName = "equirectangular",
    center: tuple[float | int, float | int] = (180.0, 0.0),
    east: EastSide = "right",
    cmap: str = FIELD_COLORS,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
    graticule: bool = True,
    smoothing: int = 1,
    num_rows: int = 480,
) -> Figure:
    """A field with the events in it outlined, one colour per class.

    Solid lines are labels, dashed lines are predictions. Magnified parts of the map are
    orthographic, and thus undistorted.

    Parameters
    ----------
    signal
        The field in the background, such as total precipitable water, shape (vertices,).
    labels
        The class of each vertex, shape (vertices,); −1 where nobody labelled it.
    sampling
        The sampling of all three.
    class_names
        Names of the classes, by number.
    predicted
        The predicted class of each vertex, shape (vertices,); None for labels only.
    background
        The class that is not outlined.
    zooms
        Longitude and latitude (degrees) of the middles of parts to be magnified.
    zoom_width_deg
        Width of these parts, degrees, more than 0 and at most 120.
    projection, center, east, cmap, vmin, vmax, unit, title, coastlines, graticule, num_rows
        As for :func:`deepsphere.plotting.plot_map`.
    smoothing
        Of the outlines, see :func:`deepsphere.plotting.outlines.outlines`.

    Returns
    -------
    Figure
        The map, the magnified parts, and the colour scale.

    Raises
    ------
    ValueError
        If a shape is not that of the sampling, a class has no name, a zoom is not on the sphere
        or too wide, or there are more than 26.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=8)
    >>> labels = (sampling.points[:, 0] > 0.9).astype(np.int64)
    >>> figure = plot_events(sampling.lat, labels, sampling, ("none", "storm"), num_rows=40)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['storm']
    """
    values = checked_signal(signal, sampling)
    _check_classes("labels", labels, sampling, class_names)
    if predicted is not None:
        _check_classes("predicted", predicted, sampling, class_names)
    if not 0 < zoom_width_deg <= 120:
        raise ValueError(
            f"zoom_width_deg must be more than 0 and at most 120, got {zoom_width_deg}; use 40"
        )
    if len(zooms) > len(ascii_lowercase):
        raise ValueError(
            f"zooms must be at most {len(ascii_lowercase)}, got {len(zooms)}; draw several figures"
        )
    view = View(projection, center=center, east=east)
    parts = [View("orthographic", center=place, east=east) for place in zooms]
    low, high = color_limits(values, vmin, vmax)
    curves = _event_curves(labels, predicted, sampling, background, len(class_names), smoothing)
    figure, axes, insets = _event_layout(view, len(parts))
    reach = float(np.sin(np.radians(zoom_width_deg) / 2))
    window = (-reach, reach, -reach, reach)
    style = {"cmap": cmap, "vmin": low, "vmax": high}
    style |= {"graticule": graticule, "coastlines": coastlines}
    scale = draw_map(axes, signal, sampling, view, num_rows=num_rows, **style)
    _draw_outlines(axes, curves, view, magnification=1.0)
    for letter, inset, part in zip(ascii_lowercase, insets, parts, strict=False):
        name = f"{letter}   {_place_name(part)}"
        rows = min(num_rows, _ZOOM_ROWS)
        draw_map(inset, signal, sampling, part, title=name, num_rows=rows, window=window, **style)
        _draw_outlines(inset, curves, part, magnification=1.5)
        _mark_part(axes, view, part, window, letter)
    add_colorbar(figure, scale, [axes, *insets], unit=unit, shrink=0.4)
    _add_event_legend(figure, class_names, background, curves)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def _check_classes(
    name: str, classes: Int[np.ndarray, "..."], sampling: Sampling, class_names: Sequence[str]
) -> None:
    """Raise unless there is one class with a name, or −1, for each vertex."""
    if classes.shape != (sampling.num_vertices,):
        raise ValueError(
            f"{name} must have shape (vertices,) = ({sampling.num_vertices},), got "
            f"{classes.shape}; select one sample, and take argmax over the channels of outputs"
        )
    if classes.min() < -1 or classes.max() >= len(class_names):
        raise ValueError(
            f"{name} must be classes from 0 to {len(class_names) - 1}, or -1 for none, got "
            f"{int(classes.min())} to {int(classes.max())}; name all classes in class_names"
        )


Curves = list[tuple[str, bool, list[Float[np.ndarray, "_ 3"]]]]


def _event_curves(
    labels: Int[np.ndarray, "vertices"],
    predicted: Int[np.ndarray, "vertices"] | None,
    sampling: Sampling,
    background: int,
    num_classes: int,
    smoothing: int,
) -> Curves:
    """The outlines of each class of labels and of predictions, with their colour."""
    curves: Curves = []
    for is_label, classes in ((True, labels), (False, predicted)):
        if classes is None:
            continue
        known = classes >= 0
        for order, number in enumerate(n for n in range(num_classes) if n != background):
            lines = outlines(classes == number, sampling, known=known, smoothing=smoothing)
            curves.append((EVENT_COLORS[order % len(EVENT_COLORS)], is_label, lines))
    return curves


def _event_layout(view: View, num_parts: int) -> tuple[Figure, Axes, list[Axes]]:
    """A map above a row of square parts."""
    width = 4.6 * view.half_width if view.half_width > 1 else 5.6
    height = width * view.half_height / view.half_width
    columns = max(num_parts, 1)
    side = min(width / max(num_parts, 3), 3.2)
    figure = new_figure(width, height + bool(num_parts) * (side + 0.3) + 1.55)
    rows = figure.add_gridspec(
        1 + bool(num_parts), columns, height_ratios=[height, side][: 1 + bool(num_parts)]
    )
    axes = figure.add_subplot(rows[0, :])
    return figure, axes, [figure.add_subplot(rows[1, k]) for k in range(num_parts)]


def _draw_outlines(axes: Axes, curves: Curves, view: View, *, magnification: float) -> None:
    """Outlines of all classes; those of labels have a light rim against a dark ground."""
    for color, is_label, lines in curves:
        width = magnification * (_LABEL_WIDTH if is_label else _PREDICTION_WIDTH)
        collection = LineCollection(
            [piece for line in lines for piece in cut_line(view, line)],
            colors=color,
            linewidths=width,
            linestyles="solid" if is_label else [_DASHES],
            zorder=3.2 if is_label else 3.4,
            label="labels" if is_label else "predictions",
        )
        if is_label:
            rim = Stroke(linewidth=width + 1.2, foreground="white", alpha=0.7)
            collection.set_path_effects([rim, Normal()])
        axes.add_collection(collection, autolim=False)


def _mark_part(axes: Axes, view: View, part: View, window: Window, letter: str) -> None:
    """The frame of a magnified part on the map, with its letter."""
    left, right, bottom, top = window
    side = np.linspace(0, 1, 13)
    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    frame = np.concatenate(
        [np.outer(1 - side, first) + np.outer(side, second) for first, second in pairwise(corners)]
    )
    curve = part.unproject(frame)
    curve = curve[np.isfinite(curve).all(axis=1)]
    lines = LineCollection(cut_line(view, curve), colors=INK, linewidths=0.9, zorder=3.6)
    axes.add_collection(lines, autolim=False)
    corner = part.unproject(np.array([[left, top]]))
    corner = corner if np.isfinite(corner).all() else part.unproject(np.zeros((1, 2)))
    if view.faces_viewer(corner)[0]:
        axes.annotate(
            letter,
            tuple(view.project(corner)[0]),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            color=INK,
            fontsize=SMALL_SIZE,
            fontweight="bold",
            zorder=3.7,
            path_effects=[Stroke(linewidth=2, foreground="white", alpha=0.8), Normal()],
        )


def _place_name(part: View) -> str:
    """The middle of a part, as on charts."""
    # the view has taken any longitude
    lon, lat = points_to_lonlat(part.rotation[:1])
    lon_deg, lat_deg = float(np.degrees(lon[0])), float(np.degrees(lat[0]))
    lon_deg = lon_deg - 360 if lon_deg > 180 else lon_deg
    sides = "E" if lon_deg >= 0 else "W", "N" if lat_deg >= 0 else "S"
    return f"{abs(lat_deg):.0f}°{sides[1]} {abs(lon_deg):.0f}°{sides[0]}"


def _add_event_legend(
    figure: Figure, class_names: Sequence[str], background: int, curves: Curves
) -> None:
    """Names of the classes, and what solid and dashed lines are if there are both."""
    names = [name for number, name in enumerate(class_names) if number != background]
    handles = [
        Line2D([], [], color=color, linewidth=_LABEL_WIDTH + 0.6, label=name)
        for (color, _, _), name in zip(curves, names, strict=False)
    ]
    if any(not is_label for _, is_label, _ in curves):
        handles += [
            Line2D([], [], color=INK, linewidth=_LABEL_WIDTH, label="labels"),
            Line2D(
                [],
                [],
                color=INK,
                linewidth=_PREDICTION_WIDTH,
                linestyle=_DASHES,
                label="predictions",
            ),
        ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=max(len(handles), 1),
        frameon=False,
        fontsize=SMALL_SIZE + 1,
        labelcolor=INK,
    )
