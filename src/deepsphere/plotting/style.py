"""The visual style that all pictures share: colours, sizes, and dressed matplotlib axes.

Figures are built without ``pyplot`` and without touching ``rcParams``, so that drawing leaves no
trace in the state of the caller. The grays below are the only ones used for text, axes and empty
regions: the report finds them in an SVG and replaces them with the colours of the reader's theme.
"""

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure

INK = "#1c2733"
"""Text and outlines."""
MUTED = "#66717f"
"""Secondary text, ticks."""
LINE = "#c9d0d9"
"""Grids, graticules, spines."""
BLANK = "#e1e6ec"
"""The part of a sphere where nothing is known."""

PALETTE = ("#0077bb", "#ee7733", "#009988", "#cc3311", "#9467bd", "#ddaa33", "#33bbee", "#ee3377")
"""Line colours that people with any common colour deficiency tell apart (after P. Tol, 2021)."""
SEQUENTIAL = "viridis"
"""Colour map of quantities which have an order only."""
DIVERGING = "RdBu_r"
"""Colour map of quantities in which zero is special; use it with limits symmetric about zero."""

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 11, 9, 8


def new_figure(
    width: float | int,
    height: float | int,
    layout: Literal["constrained", "compressed"] = "constrained",
) -> Figure:
    """An empty figure of the given size in inches, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def style_axes(
    axes: Axes,
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    grid: Literal["x", "y", "both", "none"] = "y",
) -> None:
    """Dress the axes of a chart: two spines, a light grid behind the data, muted ticks."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(which="both", color=LINE, labelcolor=MUTED, labelsize=SMALL_SIZE)
    axes.set_axisbelow(True)
    if grid != "none":
        axes.grid(axis=grid, color=LINE, linewidth=0.6, alpha=0.6)
    if xlabel:
        axes.set_xlabel(xlabel, color=INK, fontsize=TEXT_SIZE)
    if ylabel:
        axes.set_ylabel(ylabel, color=INK, fontsize=TEXT_SIZE)
    set_title(axes, title)


def set_title(axes: Axes, title: str) -> None:
    """Write the title of one panel, if there is any."""
    if title:
        axes.set_title(title, color=INK, fontsize=TITLE_SIZE, pad=8)


def add_legend(axes: Axes, **options) -> None:
    """Add a frameless legend in the house font when at least one artist is labelled."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=SMALL_SIZE, labelcolor=INK, **options)


def add_colorbar(
    figure: Figure,
    mappable,
    axes: Axes | Sequence[Axes],
    *,
    unit: str = "",
    extend: str = "neither",
    shrink: float | int = 0.55,
    place: Axes | None = None,
) -> Colorbar:
    """Add a thin horizontal colour bar below the axes, or on axes of its own, with its unit."""
    room: dict[str, Any] = {"ax": axes, "shrink": shrink, "aspect": 34, "pad": 0.03}
    if place is not None:
        room = {"cax": place}
    colorbar = figure.colorbar(
        mappable,
        orientation="horizontal",
        extend=extend,
        **room,
    )
    colorbar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    colorbar.ax.tick_params(color=LINE, labelcolor=MUTED, labelsize=SMALL_SIZE, length=2)
    colorbar.ax.xaxis.get_offset_text().set(color=MUTED, fontsize=SMALL_SIZE)
    if unit:
        colorbar.set_label(unit, color=INK, fontsize=TEXT_SIZE)
    return colorbar
