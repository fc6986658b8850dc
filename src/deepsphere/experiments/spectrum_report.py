"""The report of the spectrum experiment: figure, tables, and a file with every number."""

import json
from collections.abc import Sequence
from pathlib import Path

from deepsphere.data import write_atomically
from deepsphere.experiments.curve_record import CurveRecord
from deepsphere.experiments.output import FIGURE_FOLDER, NUMBERS_FILE, REPORT_FILE
from deepsphere.experiments.pages import ReportPage, write_reproduction
from deepsphere.experiments.results import Results, summarize_claims, tabulate
from deepsphere.experiments.spectrum_config import SpectrumRecipe
from deepsphere.plotting import Report, plot_spectrum

_TABLES = {
    "misalignment": "1 − alignment: one less the mean squared cosine of the principal angles",
    "smallest cosine": "Cosine of the largest principal angle",
    "eigenvalue": "Mean eigenvalue over l (l + 1), relative to degree 1",
    "spread": "Relative width of the eigenvalues of a degree",
}


def write_report(
    output: Path,
    recipe: SpectrumRecipe,
    records: Sequence[CurveRecord],
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
        What was measured.
    records
        See `deepsphere.experiments.spectrum.measure_spectra`.
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
    _write_numbers(output / NUMBERS_FILE, records)
    report = Report("Graph spectra and spherical harmonics", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    report.paragraph(
        "On the sphere, the Laplacian has the eigenvalue l (l + 1) with the 2l + 1 harmonics of "
        "degree l. A graph Laplacian that commuted with rotations would have eigenspaces of 2l + 1 "
        "dimensions that are spanned by them, whatever its eigenvalues are. Its eigenvectors, in "
        "the order of their eigenvalues and 2l + 1 at a time, are compared with the harmonics on "
        f"the {recipe.sampling} vertices: the alignment is 1 where both span the same space."
    )
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    report.section("By degree")
    names = [record.curve for record in records]
    page.figure(
        plot_spectrum(
            {record.curve: record.values["alignment"] for record in records},
            {record.curve: record.values["eigenvalue"] for record in records},
            colors=[graph.color for graph in recipe.graphs],
            dashed=[graph.name for graph in recipe.graphs if graph.weights == "gaussian"],
        ),
        "spectrum",
        alt="Misalignment with harmonics and eigenvalues over l (l + 1) by degree",
        caption="Left: share of the span of 2l + 1 eigenvectors that lies outside the harmonics of "
        "degree l. Where the eigenvalues of two degrees cross, their vectors change groups, and "
        "that share rises. Right: how the eigenvalues bend away from l (l + 1).",
    )
    degrees = [degree for degree in recipe.degrees if degree <= recipe.max_degree]
    for key, heading in _TABLES.items():
        report.subsection(heading)
        report.table(
            ["degree", *names],
            [
                [str(degree), *(_value(record, key, degree) for record in records)]
                for degree in degrees
            ],
        )
    report.section("Claims")
    report.table(*tabulate(results.rows))
    write_reproduction(report, results)
    return report.write(output / REPORT_FILE, overwrite=True)


def _value(record: CurveRecord, key: str, degree: int) -> str:
    """One number of a table, in words."""
    if key == "misalignment":
        return f"{1.0 - record.values['alignment'][degree - 1]:.2g}"
    return f"{record.values[key][degree - 1]:.3f}"


def _write_numbers(path: Path, records: Sequence[CurveRecord]) -> None:
    """Every number as JSON."""
    numbers = {
        "quantities": {"alignment": "mean squared cosine of the principal angles", **_TABLES},
        "graphs": [record.model_dump(exclude={"fingerprint"}) for record in records],
    }
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
