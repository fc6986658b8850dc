"""What the reports of tables of networks have in common: costs, curves, what was published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from deepsphere.experiments.network_costs import TableCosts
from deepsphere.experiments.results import Results, tabulate
from deepsphere.plotting import Report
from deepsphere.plotting.style import INK, MUTED, PALETTE, add_legend, new_figure, style_axes

History = Sequence[Mapping[str, float | int]]
"""Metrics by epoch."""


@dataclass(frozen=True)
class CostedScore:
    """A network in the picture of what its score costs.

    Parameters
    ----------
    name
        In the legend.
    values
        Scores, one per seed.
    milliseconds
        What it costs.
    is_rival
        Whether it is none of the networks on graphs.
    """

    name: str
    values: Sequence[float]
    milliseconds: float
    is_rival: bool


def cost_table(costs: TableCosts) -> tuple[list[str], list[list[str]]]:
    """What the networks cost: one row for each, in the order in which they were measured.

    Parameters
    ----------
    costs
        Of all of them.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    works = [*next(iter(costs.networks.values())).milliseconds]
    columns = ["network", "parameters", *(f"{work} [ms]" for work in works), "memory [MB]"]
    rows = []
    for name, of_network in costs.networks.items():
        times = [of_network.median(work) for work in works]
        shown_times = [f"{time:,.0f}" if time >= 100 else f"{time:.3g}" for time in times]
        megabytes = f"{of_network.step_megabytes:,.0f}"
        rows.append([name, f"{of_network.num_parameters:,}", *shown_times, megabytes])
    return columns, rows


def draw_scores_and_costs(points: Sequence[CostedScore], *, cost: str, score: str) -> Figure:
    """Scores against time, both axes labelled, one standard error over the seeds shown.

    Parameters
    ----------
    points
        One for each network.
    cost, score
        Labels of the axes.

    Returns
    -------
    Figure
    """
    figure = new_figure(8.6, 3.8)
    axes = figure.subplots()
    for index, point in enumerate(points):
        num_seeds = len(point.values)
        axes.errorbar(
            point.milliseconds,
            fmean(point.values),
            yerr=stdev(point.values) / num_seeds**0.5 if num_seeds > 1 else 0.0,
            fmt="s" if point.is_rival else "o",
            color=PALETTE[index % len(PALETTE)],
            ecolor=MUTED,
            elinewidth=1,
            label=point.name,
        )
    axes.set_xscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(plain)
    axes.margins(x=0.1, y=0.15)
    style_axes(axes, xlabel=cost, ylabel=score, grid="both")
    add_legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_histories(histories: Mapping[str, History], metrics: Mapping[str, str]) -> Figure:
    """Metrics over the epochs, one panel for each, one colour for each training.

    Parameters
    ----------
    histories
        By name of the training.
    metrics
        Name of each metric in the histories, and its label.

    Returns
    -------
    Figure
    """
    figure = new_figure(9.6, 3.2 + 0.12 * len(histories))
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, (metric, label) in zip(panels, metrics.items(), strict=True):
        for index, (name, history) in enumerate(histories.items()):
            rows = [row for row in history if metric in row]
            axes.plot(
                [row["epoch"] + 1 for row in rows],
                [row[metric] for row in rows],
                color=PALETTE[index % len(PALETTE)],
                linestyle="-" if index < len(PALETTE) else "--",
                # a line of one epoch is nothing to see
                marker="o" if len(rows) == 1 else "",
                label=name,
            )
        style_axes(axes, xlabel="epoch", ylabel=label, grid="both")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(
        lines, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK
    )
    return figure


def write_reference(
    report: Report, reference: Mapping[str, Mapping[str, float | str]], *, caption: str
) -> None:
    """Append the published table, if there is one.

    Parameters
    ----------
    report
        The page under construction.
    reference
        Numbers by column, by system.
    caption
        Where they stand, and what they can be compared with.
    """
    if not reference:
        return
    report.section("What was published")
    columns = list(dict.fromkeys(name for row in reference.values() for name in row))
    rows = [
        [name, *(str(row.get(column, "–")) for column in columns)]
        for name, row in reference.items()
    ]
    report.table(["system", *columns], rows, caption=caption)


def write_rows(report: Report, results: Results) -> None:
    """Append all rows as they are in the file.

    Parameters
    ----------
    report
        The page under construction.
    results
        The measured rows.
    """
    report.section("All results")
    report.table(
        *tabulate(results.rows),
        caption="Spread is the standard deviation over the seeds; seconds are of all seeds.",
    )
