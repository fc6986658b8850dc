"""The report of the experiment on blocks: a table and a figure for each of the two tasks."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from deepsphere.experiments.blocks import (
    BEHIND_BEST,
    DIGITS_MEASURES,
    MAPS_MEASURES,
    BlockRecords,
    points_behind_best,
)
from deepsphere.experiments.blocks_config import Block, BlocksRecipe
from deepsphere.experiments.output import FIGURE_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import (
    Results,
    mean_and_error,
    summarize_claims,
    tabulate,
)
from deepsphere.plotting import Report
from deepsphere.plotting.style import INK, MUTED, PALETTE, add_legend, new_figure, style_axes

Columns = Mapping[str, Sequence[float]]
"""The values over the seeds by the name of their measure."""

_UNITS = {measure.name: measure.unit for measure in (*DIGITS_MEASURES, *MAPS_MEASURES)}
_UNITS[BEHIND_BEST] = "%"
_SCORES = {
    "digits": ("accuracy NR/NR", "accuracy NR/R"),
    "maps": ("explained NR/NR", "explained NR/R"),
}
_CHANGES = {"digits": "change", "maps": "rotation error"}


def write_report(
    output: Path,
    recipe: BlocksRecipe,
    records: BlockRecords,
    results: Results,
    *,
    data: Path | None,
    progress: bool = False,
) -> Path:
    """Write ``report.html`` and its figures into the folder of a finished experiment.

    Parameters
    ----------
    output
        The folder.
    recipe
        What was run.
    records
        Of all runs.
    results
        The measured rows.
    data
        Of no effect.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    report = Report("Blocks of invariant networks", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    sections = [
        partial(_write_summary, report, results),
        partial(_write_task, page, "digits", recipe.blocks, digits_columns(recipe, records)),
        *(
            [partial(_write_task, page, "maps", recipe.unet_blocks, maps_columns(recipe, records))]
            if recipe.unet_blocks
            else []
        ),
        partial(_write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def digits_columns(recipe: BlocksRecipe, records: BlockRecords) -> dict[str, Columns]:
    """What the table of the digits shows: by block and measure, one value per seed.

    Parameters
    ----------
    recipe
        With the blocks.
    records
        Of all runs.

    Returns
    -------
    dict of str to dict
        With the seconds of one training as the last measure.
    """
    return {
        block.name: {
            **{
                measure.name: [measure.read(record) for record in records.digits[block.name]]
                for measure in DIGITS_MEASURES
            },
            BEHIND_BEST: points_behind_best(recipe, records, block),
            "seconds": [record.seconds_training for record in records.digits[block.name]],
        }
        for block in recipe.blocks
    }


def maps_columns(recipe: BlocksRecipe, records: BlockRecords) -> dict[str, Columns]:
    """What the table of the maps shows: by block and measure, one value per seed.

    Parameters
    ----------
    recipe
        With the blocks.
    records
        Of all runs.

    Returns
    -------
    dict of str to dict
        With the seconds of one training as the last measure.
    """
    return {
        block.name: {
            **{
                measure.name: [measure.read(record) for record in records.maps[block.name]]
                for measure in MAPS_MEASURES
            },
            "seconds": [record.seconds_training for record in records.maps[block.name]],
        }
        for block in recipe.unet_blocks
    }


def _write_summary(report: Report, results: Results) -> None:
    """What was asked."""
    report.paragraph(
        "A block is what a network repeats: a graph convolution, an activation, a way to coarsen "
        "the sphere, and at the end the statistics that forget the place. All blocks learn the "
        "same without rotations (NR) and are scored without and with random rotations (R) in "
        "SO(3). What a rotation changes in their outputs is the error of the discretization, and "
        "it depends on the block."
    )
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")


def _write_task(
    page: ReportPage, task: str, blocks: Sequence[Block], columns: Mapping[str, Columns]
) -> None:
    """The figure and the table of one task."""
    captions = {
        "digits": "Handwritten digits on the sphere. The change is the mean of "
        "|f(Rx) − f(x)| / |f(x)| of the logits f.",
        "maps": "U-Nets that learn the squared gradient of random fields drawn out along the "
        "circles of latitude. Explained is the share of the variance of the targets; the rotation "
        "error is that of the output maps.",
    }
    page.report.section({"digits": "Digits", "maps": "Maps"}[task])
    figure = new_figure(9.6, 1.4 + 0.34 * len(blocks))
    scores, changes = figure.subplots(1, 2, sharey=True, width_ratios=[1.2, 1])
    names = [block.name for block in blocks]
    for index, measure in enumerate(_SCORES[task]):
        _dots(scores, [columns[name][measure] for name in names], index, label=measure)
    _dots(changes, [columns[name][_CHANGES[task]] for name in names], 0)
    style_axes(scores, xlabel="%", grid="both")
    style_axes(changes, xlabel=_CHANGES[task], grid="both")
    changes.set_xscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:.2g}")
    changes.xaxis.set_major_formatter(plain)
    changes.xaxis.set_minor_formatter(plain)
    scores.set_yticks(range(len(names)), names)
    scores.tick_params(axis="y", labelcolor=INK, length=0)
    scores.set_ylim(len(names) - 0.5, -0.5)
    add_legend(scores, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
    page.figure(
        figure,
        f"blocks-{task}",
        alt=f"Scores and rotation errors of every block on the {task}",
        caption=f"{captions[task]} Means over the seeds; lines show one standard error.",
    )
    measures = list(next(iter(columns.values())))
    page.report.table(
        ["block", *(f"{name} [%]" if _UNITS.get(name) == "%" else name for name in measures)],
        [
            [name, *(mean_and_error(values, _UNITS.get(m, "")) for m, values in of.items())]
            for name, of in columns.items()
        ],
        caption="Mean over the seeds ± its standard error. Seconds are those of one training.",
    )


def _dots(axes: Axes, values: Sequence[Sequence[float]], index: int, *, label: str = "") -> None:
    """One dot for each block, with its standard error."""
    means = [fmean(of) for of in values]
    errors = [stdev(of) / len(of) ** 0.5 if len(of) > 1 else 0.0 for of in values]
    axes.errorbar(
        means,
        range(len(means)),
        xerr=errors,
        fmt="os"[index],
        color=PALETTE[index],
        ecolor=MUTED,
        elinewidth=1,
        label=label,
    )


def _write_rows(report: Report, results: Results) -> None:
    """All rows as they are in the file."""
    report.section("All results")
    report.table(
        *tabulate(results.rows),
        caption="Spread is the standard deviation over the seeds; seconds are of all seeds.",
    )
