"""The report of the spectra of maps: figures, tables, and a file with every number."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from deepsphere.data import write_atomically
from deepsphere.experiments.map_spectra_config import MapSpectraRecipe
from deepsphere.experiments.map_spectra_figures import (
    MOST_CLASSES,
    draw_histograms,
    draw_ratios,
    draw_spectra,
    draw_universes,
    universe_spectra,
)
from deepsphere.experiments.map_spectra_rows import MeasuredMaps, result_notes
from deepsphere.experiments.output import FIGURE_FOLDER, NUMBERS_FILE
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import Results, format_number, summarize_claims, tabulate
from deepsphere.plotting import Card, Report, plot_maps
from deepsphere.sampling import Healpix

_COLOR_PERCENTILE = 99.5
_ASKED_DEGREES = (10, 100, 1000)


def write_report(
    output: Path,
    recipe: MapSpectraRecipe,
    measured: Sequence[MeasuredMaps],
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
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.
    results
        The rows.
    data
        Where the maps lie; None where they were simulated.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    _write_numbers(output / NUMBERS_FILE, measured)
    report = Report("Power spectra of maps of the sky", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    sections = [partial(_write_summary, report, recipe, measured, results)]
    for of in measured:
        sections += [
            partial(_write_spectra, page, of),
            partial(_write_pixels, page, of),
        ]
    sections += [
        partial(_write_universes, page, measured),
        partial(_write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def moment_table(measured: MeasuredMaps) -> tuple[list[str], list[list[str]]]:
    """Mean, standard deviation and skewness of each class beside theory.

    Parameters
    ----------
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    maps, theory = measured.studied.maps, measured.studied.theory
    columns = ["class", "channel", "mean", "standard deviation", "skewness"]
    if theory is not None:
        columns += ["standard deviation, theory", "skewness, theory", "shift"]
    rows = []
    for label, name in enumerate(maps.class_names):
        for channel in range(maps.num_channels):
            place = (label, channel)
            means, errors = measured.moments.mean[place], measured.moments.error[place]
            row = [name, str(channel)]
            row += [f"{mean:.4g} ± {error:.1g}" for mean, error in zip(means, errors, strict=True)]
            if theory is not None:
                _, deviation, skewness = theory.moments()[place]
                row += [f"{deviation:.4g}", f"{skewness:.4g}", f"{theory.shifts[place]:.4g}"]
            rows.append(row)
    if maps.num_channels == 1:
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    return columns, rows


def _write_summary(
    report: Report, recipe: MapSpectraRecipe, measured: Sequence[MeasuredMaps], results: Results
) -> None:
    """What was asked, and the numbers that count."""
    report.paragraph(
        "Do the maps have the power spectra that they shall have, and does a power spectrum tell "
        "the classes apart? The spectra of all maps are measured, averaged over bins of degrees, "
        "and compared with theory where it is known, and with each other. Errors are standard "
        "errors of the mean, from the scatter of the maps; bands hold two of three maps."
    )
    cards = []
    for row in results.rows:
        if row.ok is not None:
            state = "good" if row.ok else "bad"
            note = f"required: at most {format_number(row.required or 0.0, row.unit)}"
            cards.append(Card(row.name, format_number(row.measured, row.unit), note, state))
    if cards:
        report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in result_notes(recipe, list(measured)):
        report.paragraph(note)


def _write_spectra(page: ReportPage, measured: MeasuredMaps) -> None:
    """The spectra, and what they deviate by."""
    studied, bins = measured.studied, measured.bins
    page.report.section(studied.title)
    for note in studied.maps.notes:
        page.report.paragraph(f"{note[:1].upper()}{note[1:]}.")
    of_channel = "" if studied.maps.num_channels == 1 else " The first channel."
    of_theory = " Dashed: what they were made to have." if studied.theory is not None else ""
    page.figure(
        draw_spectra(measured),
        f"{studied.name}-spectra",
        alt="Power spectra of each class against the degree, with the band of single maps",
        caption=f"Mean spectra of {studied.num_maps} maps of each class, and the bands of two of "
        f"three single maps.{of_theory} Dotted: the first degree that the numbers are about."
        f"{of_channel}",
    )
    sizes = np.diff(bins)
    what = "Spectra less theory, in units of theory" if studied.theory is not None else "Spectra"
    page.figure(
        draw_ratios(measured),
        f"{studied.name}-ratios",
        alt="Deviations of the spectra from theory and from each other against the degree",
        caption=f"{what}, in {len(sizes)} bins of {sizes.min()} to {sizes.max()} degrees from "
        f"{bins[0]} to {bins[-1] - 1}: means with standard errors, bands of single maps, and "
        "dashed the lines at ± 5 %. Below, the difference of the classes in units of their mean."
        f"{of_channel}",
    )


def _write_pixels(page: ReportPage, measured: MeasuredMaps) -> None:
    """Histograms, moments and one map of each class."""
    studied = measured.studied
    page.report.subsection("Pixels")
    caption = "Densities of the pixels of all maps"
    if studied.theory is not None:
        caption += " and, dashed, the lognormal ones of the same variance and shift"
    page.figure(
        draw_histograms(measured),
        f"{studied.name}-histograms",
        alt="Histograms of the pixels of each class on a logarithmic axis",
        caption=f"{caption}: what tells the classes apart.",
    )
    page.report.table(
        *moment_table(measured),
        caption="Of the pixels of all maps of a class together. Standard errors are from leaving "
        "out one map after the other. Skewness in theory: v³ + 3 v with v the standard deviation "
        "over the shift."
        if studied.theory is not None
        else "Of the pixels of all maps of a class together.",
    )
    maps = studied.maps
    firsts = {
        name: maps.read(int(np.argmax(maps.labels == label)))[:, 0].copy()
        for label, name in enumerate(maps.class_names[:MOST_CLASSES])
    }
    pixels = np.concatenate(list(firsts.values()))
    middle = float(np.median(pixels))
    limit = float(np.percentile(np.abs(pixels - middle), _COLOR_PERCENTILE))
    page.figure(
        plot_maps(
            firsts,
            Healpix(maps.nside),
            vmin=middle - limit,
            vmax=middle + limit,
            east="left",
            num_columns=2,
        ),
        f"{studied.name}-maps",
        alt="One map of each class",
        caption=f"The first map of each class, nside {maps.nside}.",
    )


def _write_universes(page: ReportPage, measured: Sequence[MeasuredMaps]) -> None:
    """The spectra of the universes before they were made the same."""
    theory = measured[0].studied.theory
    if theory is None:
        return
    page.report.section("The universes as they are")
    plan = theory.plan
    try:
        raw = universe_spectra(plan)
    except ImportError as error:
        page.report.paragraph(f"Their spectra are not shown: {error}.")
        return
    caption = "Spectra of the convergence of the universes"
    if plan.zoom != 1:
        caption += f", at degrees of the sky, which are {plan.zoom:g} times those of the maps"
    deviations = np.ptp(raw, axis=0) / raw.mean(axis=0)
    degrees = [degree for degree in _ASKED_DEGREES if degree < len(deviations)]
    words = ", ".join(f"{100 * deviations[degree]:.0f} % at l = {degree}" for degree in degrees)
    page.figure(
        draw_universes(theory),
        "universes",
        alt="Power spectra of the convergence of the universes, and what they differ by",
        caption=f"{caption}. Between the universes they differ by {words}.",
    )


def _write_rows(report: Report, results: Results) -> None:
    """All rows."""
    report.section("All results")
    report.table(
        *tabulate(results.rows),
        caption="Each the largest over classes, channels and bins. Seconds are those of measuring "
        "all maps that were not there before.",
    )


def _write_numbers(path: Path, measured: Sequence[MeasuredMaps]) -> None:
    """Every number as JSON."""
    numbers = [_numbers_of(of) for of in measured]
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def _numbers_of(measured: MeasuredMaps) -> dict[str, object]:
    """Numbers of one set of maps, by name; lists by class, then pair of channels or channel."""
    studied = measured.studied
    numbers: dict[str, object] = {
        "maps": studied.title,
        "notes": list(studied.maps.notes),
        "classes": list(studied.maps.class_names),
        "maps of each class": [len(of.moments) for of in measured.by_class],
        "first degrees of the bins, and the degree after the last": measured.bins.tolist(),
        "mean C_l": measured.powers.mean.tolist(),
        "standard error of C_l": measured.powers.error.tolist(),
        "mean, standard deviation, skewness": measured.moments.mean.tolist(),
        "standard errors of these": measured.moments.error.tolist(),
    }
    if measured.from_theory is not None and studied.theory is not None:
        numbers["deviation from theory"] = measured.from_theory.mean.tolist()
        numbers["standard error of the deviation"] = measured.from_theory.error.tolist()
        numbers["shifts"] = studied.theory.shifts.tolist()
        numbers["mean, standard deviation, skewness in theory"] = studied.theory.moments().tolist()
    if measured.between_classes is not None:
        numbers["difference of the classes"] = measured.between_classes.mean.tolist()
        numbers["standard error of the difference"] = measured.between_classes.error.tolist()
    return numbers
