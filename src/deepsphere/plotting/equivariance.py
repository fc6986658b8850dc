"""Charts of rotation errors by harmonic degree, in the manner of the published figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from deepsphere.plotting.style import (
    INK,
    MUTED,
    PALETTE,
    SMALL_SIZE,
    new_figure,
    style_axes,
)

Stroke = Literal["solid", "dashed", "dotted"]
MARKERS = "vxo^sD"
"""Shapes of the samplings, in the order of their appearance."""
_NUM_MARKERS = 12  # on a curve of many degrees
_DEGREE_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_Item = TypeVar("_Item")


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """The rotation error of one graph on one sampling by harmonic degree.

    Parameters
    ----------
    graph
        Name of the graph: curves of one name have one colour.
    sampling
        Name of the sampling: curves of one name have one marker.
    degrees
        Harmonic degrees, ascending.
    errors
        Error of each degree; NaN and 0 are left out.
    color
        Index into the palette, or ``"ink"`` for the colour of text; by default that of the graph's
        first appearance.
    stroke
        How the line is drawn.
    is_marked
        Whether it carries the markers of its sampling.

    Raises
    ------
    ValueError
        If there is not one error for each degree.

    Examples
    --------
    >>> ErrorCurve("k = 20", "healpix:8", np.array([1, 2]), np.array([0.1, 0.05])).stroke
    'solid'
    """

    graph: str
    sampling: str
    degrees: Int[np.ndarray, "degrees"]
    errors: Float[np.ndarray, "numbers"]
    color: int | Literal["ink"] | None = None
    stroke: Stroke = "solid"
    is_marked: bool = True

    def __post_init__(self) -> None:
        if len(self.degrees) != len(self.errors):
            raise ValueError(
                f"errors must hold one number for each of the {len(self.degrees)} degrees, got "
                f"{len(self.errors)} for {self.graph!r}"
            )


def plot_equivariance_error(
    curves: Sequence[ErrorCurve],
    *,
    title: str = "",
    ylabel: str = "equivariance error",
    smallest_degree: int = 1,
) -> Figure:
    """Error against degree on logarithmic scales: colours by graph, markers by sampling.

    Parameters
    ----------
    curves
        What to draw, in the order of the legend.
    title
        Title of the chart.
    ylabel
        Name of the error.
    smallest_degree
        Where the axis of degrees begins.

    Returns
    -------
    Figure
        One axes; the legend names graphs, and samplings where there are several.

    Raises
    ------
    ValueError
        If there is nothing to draw.

    Examples
    --------
    >>> degrees = np.arange(1, 24)
    >>> curve = ErrorCurve("k = 20", "healpix:8", degrees, 0.1 / degrees)
    >>> plot_equivariance_error([curve]).axes[0].get_xscale()
    'log'

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN,
    figure 2.
    """
    _check_not_empty(curves)
    figure = new_figure(7.4, 4.8)
    axes = figure.add_subplot()
    samplings = _distinct(curve.sampling for curve in curves)
    _draw(axes, curves, _colors(curves), samplings, smallest_degree)
    _style(axes, title, ylabel)
    handles = _graph_handles(curves)
    if len(samplings) > 1:
        handles += [
            Line2D([], [], color=MUTED, linestyle="none", marker=mark, markersize=5, label=name)
            for name, mark in zip(samplings, _marks(samplings), strict=True)
        ]
    _outside_legend(figure, handles)
    return figure


def plot_equivariance_by_sampling(
    curves: Sequence[ErrorCurve],
    *,
    title: str = "",
    ylabel: str = "equivariance error",
    smallest_degree: int = 1,
) -> Figure:
    """Error against degree on logarithmic scales, one panel for each sampling on a common scale.

    Parameters
    ----------
    curves, title, ylabel, smallest_degree
        As of `plot_equivariance_error`, the title above all panels.

    Returns
    -------
    Figure
        One axes for each sampling, titled by its name.

    Raises
    ------
    ValueError
        If there is nothing to draw.

    Examples
    --------
    >>> degrees = np.arange(1, 24)
    >>> curves = [ErrorCurve("k = 20", name, degrees, 0.1 / degrees) for name in "ab"]
    >>> [axes.get_title() for axes in plot_equivariance_by_sampling(curves).axes]
    ['a', 'b']
    """
    _check_not_empty(curves)
    samplings = _distinct(curve.sampling for curve in curves)
    figure = new_figure(max(4.6, min(3.6 * len(samplings), 11.7)), 4.6)
    panels = figure.subplots(1, len(samplings), sharey=True, squeeze=False)[0]
    colors = _colors(curves)
    for axes, name in zip(panels, samplings, strict=True):
        own = [curve for curve in curves if curve.sampling == name]
        _draw(axes, own, colors, [], smallest_degree)
        _style(axes, name, ylabel if axes is panels[0] else "")
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    _outside_legend(figure, _graph_handles(curves))
    return figure


def _check_not_empty(curves: Sequence[ErrorCurve]) -> None:
    """Refuse a figure of nothing."""
    if not curves:
        raise ValueError("curves must hold at least one curve, got none; pass [ErrorCurve(...)]")


def _distinct(items: Iterable[_Item]) -> list[_Item]:
    """The items in the order of their first appearance."""
    return list(dict.fromkeys(items))


def _colors(curves: Sequence[ErrorCurve]) -> dict[str, str]:
    """The colour of each graph: the one asked for, or one by order."""
    chosen: dict[str, str] = {}
    for curve in curves:
        index = len(chosen) if curve.color is None else curve.color
        color = INK if index == "ink" else PALETTE[index % len(PALETTE)]
        chosen.setdefault(curve.graph, color)
    return chosen


def _marks(samplings: Sequence[str]) -> list[str]:
    """The marker of each sampling."""
    return [MARKERS[index % len(MARKERS)] for index in range(len(samplings))]


def _draw(
    axes: Axes,
    curves: Sequence[ErrorCurve],
    colors: dict[str, str],
    samplings: Sequence[str],
    smallest_degree: int,
) -> None:
    """Lines of the curves, with markers where several samplings share the axes."""
    marks = dict(zip(samplings, _marks(samplings), strict=True))
    for curve in curves:
        shown = (curve.degrees >= smallest_degree) & (curve.errors > 0)
        degrees, errors = curve.degrees[shown], curve.errors[shown]
        axes.plot(
            degrees,
            errors,
            linestyle=curve.stroke,
            color=colors[curve.graph],
            marker=marks.get(curve.sampling, "") if curve.is_marked else "",
            markevery=_spread_evenly(degrees),
            markersize=4,
            linewidth=1.5 if curve.stroke == "solid" else 1.0,
        )


def _style(axes: Axes, title: str, ylabel: str) -> None:
    """Logarithmic axes of degrees and errors, with their names."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_xlim()
    ticks = [tick for tick in _DEGREE_TICKS if low <= tick <= high]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(numticks=12))
    axes.yaxis.set_minor_formatter(NullFormatter())
    style_axes(axes, title=title, xlabel="degree", ylabel=ylabel, grid="both")


def _spread_evenly(degrees: Int[np.ndarray, "degrees"]) -> list[int]:
    """Indices of a few degrees at about equal distances on the logarithmic scale."""
    if len(degrees) <= _NUM_MARKERS:
        return list(range(len(degrees)))
    wanted = np.geomspace(degrees[0], degrees[-1], _NUM_MARKERS)
    return np.unique(np.searchsorted(degrees, wanted).clip(max=len(degrees) - 1)).tolist()


def _graph_handles(curves: Sequence[ErrorCurve]) -> list[Line2D]:
    """One line of the legend for each graph and stroke."""
    colors = _colors(curves)
    seen: list[tuple[str, Stroke]] = _distinct((curve.graph, curve.stroke) for curve in curves)
    return [
        Line2D([], [], color=colors[graph], linestyle=stroke, label=graph) for graph, stroke in seen
    ]


def _outside_legend(figure: Figure, handles: list[Line2D]) -> None:
    """A frameless legend to the right of all axes, which covers no curve."""
    figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        fontsize=SMALL_SIZE,
        labelcolor=INK,
    )
