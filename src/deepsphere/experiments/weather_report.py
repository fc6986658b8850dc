"""The report of the weather experiment: skill over lead time and on maps, and a forecast to see."""

from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from deepsphere.experiments.network_pages import draw_histories, write_rows
from deepsphere.experiments.output import FIGURE_FOLDER, RUN_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import Results, mean_and_error, summarize_claims
from deepsphere.experiments.training_run import MODEL_FILE
from deepsphere.experiments.weather_config import BASELINES, WeatherRecipe
from deepsphere.experiments.weather_data import WeatherParts, open_parts
from deepsphere.experiments.weather_example import Example, forecast_example
from deepsphere.experiments.weather_record import WeatherKey
from deepsphere.experiments.weather_rows import SCORES, WeatherMeasured, result_notes, table_rows
from deepsphere.experiments.weather_scores import MAPS_FILE
from deepsphere.plotting import Card, Report
from deepsphere.plotting.animation import animate_forecast
from deepsphere.plotting.coastlines import Coastlines
from deepsphere.plotting.hovmoller import plot_forecast_hovmoller
from deepsphere.plotting.skill import plot_lead_time_skill, plot_skill_maps
from deepsphere.plotting.time_globe import time_globe

FILM_FILE = "forecast.gif"
_DIGITS = 3


def write_report(
    output: Path,
    recipe: WeatherRecipe,
    measured: WeatherMeasured,
    results: Results,
    *,
    data: Path | None,
    progress: bool = False,
) -> Path:
    """Write ``report.html``, its figures and a film into the folder of a finished experiment.

    Parameters
    ----------
    output
        The folder.
    recipe
        What was run.
    measured
        Of all trainings.
    results
        The measured rows.
    data
        The file of the fields; None where weather was simulated.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    report = Report("Forecasts", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    parts = open_parts(recipe, data=data)
    key = WeatherKey(_best(recipe, measured), recipe.seeds[0])
    folder = output / RUN_FOLDER / key.folder
    example = forecast_example(recipe, parts, folder / MODEL_FILE)
    sections = [
        partial(_write_summary, report, recipe, measured, results),
        partial(_write_table, page, recipe, measured),
        partial(_write_curves, page, recipe, measured),
        partial(_write_bands, page, recipe, measured),
        partial(_write_skill_maps, page, recipe, measured, parts, folder / MAPS_FILE, key),
        partial(_write_example, page, parts, example, output / FIGURE_FOLDER, key),
        partial(_write_training, page, recipe, measured),
        partial(write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def score_table(
    recipe: WeatherRecipe, measured: WeatherMeasured
) -> tuple[list[str], list[list[str]]]:
    """The scores over the globe: one row for each network or forecast without one, and channel.

    Parameters
    ----------
    recipe
        With its networks.
    measured
        Of all trainings.

    Returns
    -------
    columns : list of str
    rows : list of list of str
        Means over the seeds with their standard errors.
    """
    names = measured.names
    columns = ["", "field"]
    columns += [
        f"{shown}, {names.step.times(lead)}"
        for shown in SCORES.values()
        for lead in recipe.data.leads
    ]
    rows = []
    for row in table_rows(recipe):
        for channel, unit in zip(names.channels, names.units, strict=True):
            cells = [row, f"{channel} [{unit}]" if unit else channel]
            for score in SCORES:
                for lead in recipe.data.leads:
                    found = measured.values(row, score, channel, lead)
                    known = [value for value in found if value is not None]
                    cells.append(mean_and_error(known, digits=_DIGITS) if known else "–")
            rows.append(cells)
    return columns, rows


def _best(recipe: WeatherRecipe, measured: WeatherMeasured):
    """The network with the smallest error of the first channel at the first lead."""
    channel, lead = measured.names.channels[0], recipe.data.leads[0]

    def error(name: str) -> float:
        values = measured.values(name, "rmse", channel, lead)
        return fmean(value for value in values if value is not None)

    return min(recipe.networks, key=lambda network: error(network.name))


def _write_summary(
    report: Report, recipe: WeatherRecipe, measured: WeatherMeasured, results: Results
) -> None:
    """What was asked, and the numbers that count."""
    report.paragraph(
        "What will the fields be? Networks forecast one step from the last few fields, and go on "
        "from what they forecast. They are compared with forecasts that need no network: what is "
        "usual at the time of the year (climatology), the last field (persistence), the last "
        "anomaly on top of what is usual (anomaly persistence), and the last anomaly as it has "
        "faded at that place before (damped persistence)."
    )
    channel, lead = measured.names.channels[0], recipe.data.leads[0]
    unit = measured.names.units[0]
    cards = []
    for row in (_best(recipe, measured).name, *BASELINES):
        values = measured.values(row, "rmse", channel, lead)
        known = [value for value in values if value is not None]
        if known:
            cards.append(
                Card(
                    f"RMSE, {measured.names.step.times(lead)}",
                    f"{mean_and_error(known, digits=_DIGITS)} {unit}".strip(),
                    note=row,
                )
            )
    report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in result_notes(recipe, measured):
        report.paragraph(note)


def _write_table(page: ReportPage, recipe: WeatherRecipe, measured: WeatherMeasured) -> None:
    """The scores."""
    page.report.section("The table")
    page.report.table(
        *score_table(recipe, measured),
        caption="Root mean square error, anomaly correlation and mean error over the globe, "
        "weighted by area. Means over the seeds ± standard errors.",
    )


def _curves(
    recipe: WeatherRecipe, measured: WeatherMeasured, row: str, score: str, channel: str
) -> list[float]:
    """A score at every step ahead, the mean over the seeds; NaN where there is none."""
    found = []
    for lead in range(1, recipe.data.leads[-1] + 1):
        values = measured.values(row, score, channel, lead)
        known = [value for value in values if value is not None]
        found.append(fmean(known) if known else np.nan)
    return found


def _write_curves(page: ReportPage, recipe: WeatherRecipe, measured: WeatherMeasured) -> None:
    """Error and correlation over lead time, a figure for each channel."""
    page.report.section("Skill over lead time")
    names = measured.names
    number, _, unit = names.step.times(1).partition(" ")
    leads = [int(number) * lead for lead in range(1, recipe.data.leads[-1] + 1)]
    # beside anomalies, that of the whole field would be far above all others
    is_anomaly = recipe.data.forecast == "anomalies"
    shown_baselines = [row for row in BASELINES if not (is_anomaly and row == "persistence")]
    for channel, channel_unit in zip(names.channels, names.units, strict=True):

        def scores(rows, channel=channel):
            return {
                shown: {
                    row: _curves(recipe, measured, row, score, channel)
                    for row in rows
                    if not (row == "climatology" and score == "acc")
                }
                for score, shown in SCORES.items()
                if score != "bias"
            }

        page.figure(
            plot_lead_time_skill(
                scores([network.name for network in recipe.networks]),
                leads,
                baselines=scores(shown_baselines),
                units={"RMSE": channel_unit},
                lead_unit=f"{unit.removesuffix('s')}s",
                title=channel,
            ),
            f"skill-{_slug(channel)}",
            alt=f"Error and anomaly correlation of {channel} over the lead time, for every row",
            caption="Forecasts without a network are gray.",
        )


def _write_bands(page: ReportPage, recipe: WeatherRecipe, measured: WeatherMeasured) -> None:
    """Errors by band of latitude."""
    bands = next(iter(measured.baselines.scores.values())).bands
    if len(bands) < 2:
        return
    names = measured.names
    leads = recipe.data.leads
    columns = ["", "field"]
    columns += [f"{band}, {names.step.times(lead)}" for band in bands[1:] for lead in leads]
    rows = []
    for row in table_rows(recipe):
        for channel, unit in zip(names.channels, names.units, strict=True):
            cells = [row, f"{channel} [{unit}]" if unit else channel]
            for index in range(1, len(bands)):
                for lead in leads:
                    values = measured.values(row, "rmse", channel, lead, band=index)
                    known = [value for value in values if value is not None]
                    cells.append(mean_and_error([fmean(known)], digits=_DIGITS) if known else "–")
            rows.append(cells)
    page.report.subsection("By latitude")
    page.report.table(columns, rows, caption="Root mean square errors, means over the seeds.")


def _write_skill_maps(
    page: ReportPage,
    recipe: WeatherRecipe,
    measured: WeatherMeasured,
    parts: WeatherParts,
    path: Path,
    key: WeatherKey,
) -> None:
    """Where the errors of a network are."""
    page.report.section("Where the errors are")
    with np.load(path) as file:
        errors = file["rmse"]
    names = measured.names
    for index, (channel, unit) in enumerate(zip(names.channels, names.units, strict=True)):
        maps = {names.step.times(lead): errors[lead - 1, :, index] for lead in recipe.data.leads}
        page.figure(
            plot_skill_maps(maps, parts.series.sampling, unit=unit, coastlines=_coastlines(parts)),
            f"errors-{_slug(channel)}",
            alt=f"Maps of the error of {channel} at several lead times",
            caption=f"Root mean square error of {channel} at every vertex, by {key.title}.",
        )


def _write_example(
    page: ReportPage, parts: WeatherParts, example: Example, folder: Path, key: WeatherKey
) -> None:
    """One forecast beside what came: a Hovmöller diagram, a film and a globe."""
    page.report.section("A forecast")
    sampling = parts.series.sampling
    title = f"{example.name} from {example.start}"
    page.figure(
        plot_forecast_hovmoller(
            example.truth,
            example.forecast,
            sampling,
            times=example.times,
            band_deg=example.band_deg,
            cmap="RdBu_r" if example.limit else "viridis",
            vmin=-example.limit if example.limit else None,
            vmax=example.limit,
            unit=example.unit,
            title=example.title,
        ),
        "hovmoller",
        alt=f"Longitude and time of {example.title}: truth, forecast and their difference",
        caption=f"Means between {example.band_deg[0]:g}° and {example.band_deg[1]:g}° of latitude; "
        f"{example.caption} By {key.title}.",
    )
    film = animate_forecast(
        example.truth,
        example.forecast,
        sampling,
        folder / FILM_FILE,
        times=example.times,
        cmap="RdBu_r" if example.limit else "viridis",
        vmin=-example.limit if example.limit else None,
        vmax=example.limit,
        unit=example.unit,
        title=title,
        coastlines=_coastlines(parts),
        frames_per_second=4,
        overwrite=True,
    )
    page.report.paragraph(f"The same as a film: {film.parent.name}/{film.name}.")
    page.report.interactive(
        time_globe(
            example.forecast,
            sampling,
            times=example.times,
            coastlines=_coastlines(parts),
            cmap="RdBu_r" if example.limit else "viridis",
            vmin=-example.limit if example.limit else None,
            vmax=example.limit,
            unit=example.unit,
        ),
        alt=f"A globe with the forecast of {example.title}, one time after the other",
        caption=f"{example.title}: the forecast. Drag to turn, and move through time below.",
    )


def _write_training(page: ReportPage, recipe: WeatherRecipe, measured: WeatherMeasured) -> None:
    """How the networks learned."""
    page.report.section("Training")
    first = {
        key.network.name: record.history
        for key, record in measured.records.items()
        if key.seed == recipe.seeds[0]
    }
    metrics = {"train_loss": "training loss"}
    if all("val_loss" in row for history in first.values() for row in history):
        metrics["val_loss"] = "validation loss"
    page.figure(
        draw_histories(first, metrics),
        "training",
        alt="Losses of every network over the epochs",
        caption=f"Seed {recipe.seeds[0]}.",
    )


def _coastlines(parts: WeatherParts) -> Coastlines | None:
    """Lines around the vertices that are left out; None where none are."""
    sampling = parts.whole_sampling
    sea = parts.sea
    return None if sea is None else Coastlines(sea, sampling)


def _slug(channel: str) -> str:
    """The channel as a part of a file name."""
    return "".join(letter if letter.isalnum() else "-" for letter in channel.lower())
