"""Charts of benchmarks: cost as the sphere grows, and how many times longer others take."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from deepsphere.plotting.style import (
    INK,
    LINE,
    MUTED,
    PALETTE,
    SMALL_SIZE,
    add_legend,
    new_figure,
    style_axes,
)

# Of variants beyond as many as there are colours.
_MARKERS = ("o", "s", "^")


def plot_cost(
    costs: Mapping[str, Mapping[int, float]], *, title: str = "", emphasized: str = ""
) -> Figure:
    """Time against the number of vertices on logarithmic axes, beside the slopes n and n^(3/2).

    Parameters
    ----------
    costs
        By variant: milliseconds by number of vertices.
    title
        Of the figure.
    emphasized
        Variants whose names begin so have thicker lines.

    Returns
    -------
    Figure
        One axes.

    Raises
    ------
    ValueError
        If there is no time at all.

    Examples
    --------
    >>> plot_cost({"ours": {768: 0.1, 3072: 0.4}}).axes[0].get_ylabel()
    'milliseconds'
    """
    if not any(costs.values()):
        raise ValueError("costs must hold a time, got none; measure a case first")
    figure = new_figure(7.6, 4.8)
    axes = figure.subplots()
    for index, (name, by_size) in enumerate(costs.items()):
        if not by_size:
            continue
        is_ours = bool(emphasized) and name.startswith(emphasized)
        axes.plot(
            sorted(by_size),
            [by_size[size] for size in sorted(by_size)],
            marker="o",
            markersize=4,
            linewidth=2.2 if is_ours else 1.3,
            color=PALETTE[index % len(PALETTE)],
            label=name,
        )
    sizes = np.array(sorted({size for by_size in costs.values() for size in by_size}), dtype=float)
    times = [time for by_size in costs.values() for time in by_size.values()]
    for power, label in ((1.0, "∝ n"), (1.5, "∝ n^1.5")):
        slope = 0.6 * min(times) * (sizes / sizes[0]) ** power
        axes.plot(sizes, slope, color=MUTED, linewidth=0.9, linestyle="dotted", zorder=0)
        axes.annotate(
            label,
            (sizes[-1], slope[-1]),
            xytext=(4, 0),
            textcoords="offset points",
            color=MUTED,
            fontsize=SMALL_SIZE,
            va="center",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    style_axes(axes, title=title, xlabel="vertices n", ylabel="milliseconds", grid="both")
    add_legend(axes, loc="upper left")
    return figure


def plot_ratios(
    ratios: Mapping[str, Mapping[str, float]],
    *,
    required: Mapping[str, Mapping[str, float]] | None = None,
    variants: Sequence[str] = (),
    xlabel: str = "times as long as ours",
    title: str = "",
) -> Figure:
    """A row of dots for each case: what others take, in units of ours, on a logarithmic axis.

    Parameters
    ----------
    ratios
        By case, then by variant: a positive number; ours is 1.
    required
        The least ratios, by case and variant; a small bar in the colour of the variant.
    variants
        All that several figures show, so that each has the same colour in all of them; others
        follow.
    xlabel
        What the numbers are.
    title
        Of the figure.

    Returns
    -------
    Figure
        One axes.

    Raises
    ------
    ValueError
        If there is no case.

    Examples
    --------
    >>> plot_ratios({"a layer": {"COO": 15.0}}).axes[0].get_xscale()
    'log'
    """
    if not ratios:
        raise ValueError("ratios must hold a case, got none; measure one first")
    required = required or {}
    shown = {name for row in ratios.values() for name in row}
    order = list(dict.fromkeys([*variants, *(name for row in ratios.values() for name in row)]))
    figure = new_figure(8.8, 1.3 + 0.42 * len(ratios))
    axes = figure.subplots()
    places = np.arange(len(ratios))[::-1]
    for index, name in enumerate(order):
        if name not in shown:
            continue
        color = PALETTE[index % len(PALETTE)]
        marker = _MARKERS[index // len(PALETTE) % len(_MARKERS)]
        rows = list(zip(ratios, places, strict=True))
        found = [(ratios[case][name], y) for case, y in rows if name in ratios[case]]
        axes.scatter(
            *zip(*found, strict=True), s=42, color=color, marker=marker, label=name, zorder=3
        )
        for case, y in rows:
            if name in required.get(case, {}):
                least = required[case][name]
                axes.plot([least, least], [y - 0.3, y + 0.3], color=color, linewidth=1.6)
    axes.axvline(1.0, color=INK, linewidth=1.4)
    axes.set_xscale("log")
    low, high = _range([*_all(ratios), *_all(required), 1.0])
    axes.set_xlim(low, high)
    axes.set_ylim(-0.7, len(ratios) - 0.3)
    axes.set_yticks(places, list(ratios), color=INK, fontsize=SMALL_SIZE)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    style_axes(axes, title=title, xlabel=xlabel, grid="x")
    for y in places:
        axes.axhline(y, color=LINE, linewidth=0.5, zorder=0)
    if shown:
        add_legend(axes, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _all(table: Mapping[str, Mapping[str, float]]) -> list[float]:
    """Every number of a table."""
    return [value for row in table.values() for value in row.values()]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Limits of a logarithmic axis with some room at both ends."""
    return 0.8 * min(values), 1.35 * max(values)
