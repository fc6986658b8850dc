"""The report of the kernel widths: figure, tables, and a file with every number."""

import json
from collections.abc import Sequence
from pathlib import Path

from deepsphere.data import write_atomically
from deepsphere.experiments.kernel_widths import TunedWidth, scaled_rule
from deepsphere.experiments.kernel_widths_config import KernelWidthsRecipe
from deepsphere.experiments.output import FIGURE_FOLDER, NUMBERS_FILE, REPORT_FILE
from deepsphere.experiments.pages import ReportPage, write_reproduction
from deepsphere.experiments.published_curves import published_source
from deepsphere.experiments.results import Results, summarize_claims, tabulate
from deepsphere.plotting import Report, plot_kernel_widths

_OBJECTIVES = {
    "log": "the geometric mean of the errors of all degrees",
    "red": "the error of signals with the spectrum C_l ~ l^-3",
    "white": "the error of signals with the spectrum C_l = 1",
}


def write_report(
    output: Path,
    recipe: KernelWidthsRecipe,
    tuned: Sequence[TunedWidth],
    results: Results,
    *,
    data: Path | None,
    progress: bool = False,
) -> Path:
    """Write ``report.html``, its figure and ``numbers.json``.

    Parameters
    ----------
    output
        The folder of the experiment.
    recipe
        What was tuned.
    tuned
        See `deepsphere.experiments.kernel_widths.tune_widths`.
    results
        The rows.
    data
        None.
    progress
        Of no effect: the report takes a second.

    Returns
    -------
    Path
        The report.
    """
    _write_numbers(output / NUMBERS_FILE, tuned)
    report = Report("Widths of Gaussian edge weights", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    minimized = "; ".join(f"{name}: {_OBJECTIVES[name]}" for name in recipe.objectives)
    report.paragraph(
        "A graph of k nearest neighbors with the weights exp(−d² / 4t) commutes with rotations "
        f"best at one width t. Here it is searched with exact errors. Minimized is, {minimized}."
    )
    report.paragraph(
        "The width falls with the number of vertices n as t = c(k) / n, hence n t is shown: "
        "curves of several resolutions lie near each other where that holds. The rule is "
        "n t = 1.6 + 0.14 k, which build_graph uses where no published width is known."
    )
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    report.section("Tuned widths")
    numbers = [min(recipe.num_neighbors), max(recipe.num_neighbors)]
    page.figure(
        plot_kernel_widths(
            {
                objective: {
                    spec: {w.num_neighbors: w.scaled_width for w in _of(tuned, objective, spec)}
                    for spec in recipe.samplings
                }
                for objective in recipe.objectives
            },
            rule=[(float(k), scaled_rule(k)) for k in numbers],
            published=_published(tuned),
        ),
        "kernel-widths",
        alt="Tuned kernel widths by number of neighbors, with the rule and published widths",
        caption="Lines: tuned. Open circles: published. Dashed: the rule.",
    )
    for objective in recipe.objectives:
        report.subsection(f"n t for the objective {objective}")
        report.table(["k", *recipe.samplings, "rule"], _table(recipe, tuned, objective))
    if _published(tuned):
        report.subsection("Published widths, as n t")
        named = _published(tuned)
        rows = [
            [str(k), *(f"{widths[k]:.2f}" if k in widths else "–" for widths in named.values())]
            for k in recipe.num_neighbors
            if any(k in widths for widths in named.values())
        ]
        report.table(["k", *named], rows)
        report.paragraph(f"Published: {published_source()}.")
    report.section("Claims")
    report.table(*tabulate(results.rows))
    write_reproduction(report, results)
    return report.write(output / REPORT_FILE, overwrite=True)


def _of(tuned: Sequence[TunedWidth], objective: str, spec: str) -> list[TunedWidth]:
    """The widths for one objective on one sampling."""
    return [width for width in tuned if (width.objective, width.sampling) == (objective, spec)]


def _published(tuned: Sequence[TunedWidth]) -> dict[str, dict[int, float]]:
    """Published n t by sampling and number of neighbors, where there are any."""
    published: dict[str, dict[int, float]] = {}
    for width in tuned:
        if width.published is not None:
            published.setdefault(width.sampling, {})[width.num_neighbors] = width.published
    return published


def _table(
    recipe: KernelWidthsRecipe, tuned: Sequence[TunedWidth], objective: str
) -> list[list[str]]:
    """n t by number of neighbors and sampling, the rule last."""
    columns = [_of(tuned, objective, spec) for spec in recipe.samplings]
    return [
        [
            str(k),
            *(f"{column[row].scaled_width:.2f}" for column in columns),
            f"{scaled_rule(k):.2f}",
        ]
        for row, k in enumerate(recipe.num_neighbors)
    ]


def _write_numbers(path: Path, tuned: Sequence[TunedWidth]) -> None:
    """Every width as JSON."""
    numbers = {
        "quantity": "n t: number of vertices times the width t of the weights exp(-d^2 / 4t)",
        "published": published_source(),
        "widths": [
            {
                "sampling": width.sampling,
                "num_neighbors": width.num_neighbors,
                "objective": width.objective,
                "tuned": width.scaled_width,
                "published": width.published,
                "rule": scaled_rule(width.num_neighbors),
                "seconds": width.seconds,
            }
            for width in tuned
        ],
    }
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
