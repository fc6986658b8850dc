"""The report of the equivariance experiment, its figures, and a file with every number."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepsphere.data import write_atomically
from deepsphere.experiments.equivariance import MeasuredCurve
from deepsphere.experiments.equivariance_config import EquivarianceRecipe
from deepsphere.experiments.output import FIGURE_FOLDER, NUMBERS_FILE, REPORT_FILE
from deepsphere.experiments.pages import ReportPage, write_reproduction
from deepsphere.experiments.published_curves import published_source
from deepsphere.experiments.results import Results, format_number, summarize_claims, tabulate
from deepsphere.plotting import (
    Card,
    ErrorCurve,
    Report,
    plot_equivariance_by_sampling,
    plot_equivariance_error,
)
from deepsphere.plotting.equivariance import Stroke
from deepsphere.sampling import Equiangular, sampling_from_spec

_SMALLEST_DEGREE_DRAWN = 10  # as in the published figure
_NOT_REPRODUCED = (
    "The published curve of Khasanova & Frossard is not reproduced: with their weights 1/d the "
    "error is a third of it, whether the rotation is exact or of limited bandwidth, norms are over "
    "areas or grid points, the Laplacian is normalized or not, and neighbors are joined across the "
    "poles or not. Errors of its size appear where distances are squared twice before they are "
    "inverted, w = 1 / (d⁴ + 10⁻⁸), and norms are over grid points: 1.5 to 0.8 on the grid of 64 × "
    "64 points, where 1.4 to 1.0 was published."
)


def write_report(
    output: Path,
    recipe: EquivarianceRecipe,
    measured: Sequence[MeasuredCurve],
    results: Results,
    *,
    data: Path | None,
    progress: bool = False,
) -> Path:
    """Write ``report.html``, its figures and ``numbers.json``.

    Parameters
    ----------
    output
        The folder of the experiment.
    recipe
        What was measured.
    measured
        See `deepsphere.experiments.equivariance.measure_curves`.
    results
        The rows.
    data
        None.
    progress
        Of no effect: the report takes a second or two.

    Returns
    -------
    Path
        The report.
    """
    _write_numbers(output / NUMBERS_FILE, measured)
    report = Report("Rotation equivariance of graphs", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    _write_summary(report, measured, results)
    _write_exact(page, recipe, measured)
    _write_published(page, measured)
    _write_ratios(page, recipe, measured)
    report.section("Claims")
    report.table(*tabulate(results.rows)) if results.rows else report.paragraph("None.")
    write_reproduction(report, results)
    return report.write(output / REPORT_FILE, overwrite=True)


def _write_numbers(path: Path, measured: Sequence[MeasuredCurve]) -> None:
    """Every number of every curve as JSON."""
    curves = []
    for curve in measured:
        entry = {
            "graph": curve.section.name,
            "sampling": curve.sampling,
            "facts": curve.exact.facts,
            "seconds": curve.exact.seconds,
            "exact": _columns(curve.exact.degrees, curve.exact.values["error"]),
        }
        if curve.sampled is not None:
            entry["sampled"] = _columns(curve.sampled.degrees, curve.sampled.values["error"])
        if curve.published is not None:
            degrees, errors = curve.published
            entry["published"] = _columns(degrees.tolist(), errors.tolist())
        curves.append(entry)
    numbers = {
        "quantity": "mean of |R L f - L R f| / |L f| over rotations R and functions f of one "
        "degree, not squared",
        "exact": "root of the ratio of the mean squares, in closed form",
        "sampled": "mean over sampled functions and rotations in the published convention",
        "published": published_source(),
        "curves": curves,
    }
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def _columns(degrees: list[int], errors: list[float]) -> dict[str, list[int] | list[float]]:
    """Two columns of numbers."""
    return {"degree": degrees, "error": errors}


def _write_summary(report: Report, measured: Sequence[MeasuredCurve], results: Results) -> None:
    """What was asked and what came out."""
    report.paragraph(
        "A filter that is a polynomial of a graph Laplacian L commutes with rotations as well as L "
        "does. The error of a degree is |R L f − L R f| / |L f| for functions f of that degree and "
        "rotations R: 0 for an operator that commutes, 1.41 for one whose outputs before and after "
        "a rotation have nothing to do with each other."
    )
    deviations = [
        float(np.abs(curve.ratios[1] - 1).max()) for curve in measured if curve.ratios is not None
    ]
    cards = [
        Card(
            "curves measured exactly",
            str(len(measured)),
            note=f"{sum(len(curve.exact.degrees) for curve in measured):,} degrees in "
            f"{sum(sum(curve.exact.seconds.values()) for curve in measured):.0f} s",
        )
    ]
    if deviations:
        cards.append(
            Card(
                "largest deviation from the published figure",
                format_number(100 * max(deviations), "%"),
                note=f"{len(deviations)} curves, all published degrees",
            )
        )
    report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in results.notes:
        report.paragraph(note)


def _write_exact(
    page: ReportPage, recipe: EquivarianceRecipe, measured: Sequence[MeasuredCurve]
) -> None:
    """Exact errors, all graphs, one panel for each resolution, and their table."""
    page.report.section("Exact errors")
    page.report.paragraph(
        "In closed form: an expectation over all rotations and all functions of a degree, without "
        "a rotation, a harmonic transform or a random number. Lines that are drawn through are "
        "optimal weights, dashed ones Gaussian weights, dotted ones older graphs. In the tables, "
        "per row is the mean number of entries of a row, which a product with L costs."
    )
    on_healpix = [curve for curve in measured if not _is_grid(curve.sampling)]
    curves = [
        ErrorCurve(
            curve.section.name,
            curve.sampling,
            np.array(curve.exact.degrees),
            np.array(curve.exact.values["error"]),
            color=curve.section.color,
            stroke=_stroke(curve.section.weights),
        )
        for curve in on_healpix
    ]
    if curves:
        page.figure(
            plot_equivariance_by_sampling(curves),
            "exact",
            alt="Exact equivariance error by degree, one panel for each resolution",
            caption="Exact error by degree. With Gaussian weights the error at a fixed degree "
            "grows with the resolution.",
        )
    for sampling in dict.fromkeys(curve.sampling for curve in measured):
        own = [curve for curve in measured if curve.sampling == sampling]
        degrees = [degree for degree in recipe.degrees if degree in own[0].exact.degrees]
        rows = [
            [
                curve.section.name,
                f"{curve.exact.facts['entries per row']:.1f}",
                *(_error(curve.exact_at(degree)) for degree in degrees),
            ]
            for curve in own
        ]
        page.report.subsection(sampling)
        page.report.table(["graph", "per row", *(f"l = {degree}" for degree in degrees)], rows)


def _write_published(page: ReportPage, measured: Sequence[MeasuredCurve]) -> None:
    """The figure of the paper, ours over theirs."""
    page.report.section("The published figure")
    theirs, ours = [], []
    sizes: dict[int, str] = {}
    for curve in measured:
        if curve.published is None:
            continue
        degrees, errors = curve.published
        place = curve.section.samplings.index(curve.sampling)
        name = sizes.setdefault(place, curve.sampling)
        theirs.append(
            ErrorCurve(
                "published",
                name,
                degrees,
                errors,
                color="ink",
                stroke="dashed",
                is_marked=curve.sampled is None,
            )
        )
        source = curve.sampled or (curve.exact if _is_grid(curve.sampling) else None)
        if source is not None:
            shown = np.array(source.degrees), np.array(source.values["error"])
            title = curve.section.name + ("" if curve.sampled else ", exact")
            ours.append(ErrorCurve(title, name, *shown, color=curve.section.color))
    if not theirs:
        page.report.paragraph("No curve of this recipe was published.")
        return
    page.figure(
        plot_equivariance_error([*ours, *theirs], smallest_degree=_SMALLEST_DEGREE_DRAWN),
        "published",
        alt="The figure of the paper with the published curves over the measured ones",
        caption="Dashed in black: as published. In colours: measured here in the published "
        "convention, and exactly for Khasanova & Frossard, whose markers are grids of about as "
        "many points.",
    )
    page.report.paragraph(f"Published: {published_source()}.")
    page.report.paragraph(
        "The convention: five functions and five rotations from the seed 1994, norms not squared, "
        "rotations by harmonic transforms of one pass with pixel weights. What these transforms "
        "get wrong counts as error of the graph; the exact errors above are lower."
    )
    if any(_is_grid(curve.sampling) and curve.published is not None for curve in measured):
        page.report.paragraph(_NOT_REPRODUCED)


def _write_ratios(
    page: ReportPage, recipe: EquivarianceRecipe, measured: Sequence[MeasuredCurve]
) -> None:
    """Measured over published errors by degree."""
    compared = [curve for curve in measured if curve.ratios is not None]
    if not compared:
        return
    page.report.section("Measured over published")
    for sampling in dict.fromkeys(curve.sampling for curve in compared):
        own = [curve for curve in compared if curve.sampling == sampling]
        columns = [curve.ratios for curve in own if curve.ratios is not None]
        degrees = columns[0][0].tolist()
        page.report.subsection(sampling)
        page.report.table(
            ["degree", *(curve.section.name for curve in own)],
            [
                [str(degree), *(f"{ratios[row]:.3f}" for _, ratios in columns)]
                for row, degree in enumerate(degrees)
            ],
        )


def _is_grid(spec: str) -> bool:
    """Whether a sampling is an equiangular grid."""
    return isinstance(sampling_from_spec(spec), Equiangular)


def _stroke(weights: str) -> Stroke:
    """How the line of a graph is drawn."""
    if weights.startswith("optimal"):
        return "solid"
    return "dashed" if weights in ("gaussian", "cotangent") else "dotted"


def _error(value: float | None) -> str:
    """An error with two digits that count."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.2g}"
