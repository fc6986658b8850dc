"""The report of the stations experiment: scores, where the errors are, the season as it is told."""

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from deepsphere.data.calendars import format_time
from deepsphere.experiments.network_pages import draw_histories, write_reference, write_rows
from deepsphere.experiments.output import FIGURE_FOLDER, RUN_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import Results, mean_and_error, summarize_claims
from deepsphere.experiments.stations_config import StationsRecipe
from deepsphere.experiments.stations_data import ObjectiveParts, graph_options, open_parts
from deepsphere.experiments.stations_record import StationKey
from deepsphere.experiments.stations_rows import (
    SCORES,
    StationsMeasured,
    methods_of,
    result_notes,
    scores_of,
    unit_of,
)
from deepsphere.experiments.stations_scores import SCORED_FILE
from deepsphere.graph import build_graph
from deepsphere.plotting import Card, Report
from deepsphere.plotting.globe import globe
from deepsphere.plotting.stations import plot_station_maps, plot_stations
from deepsphere.plotting.style import MUTED, PALETTE, new_figure, style_axes

_DIGITS = 3
# Edges of larger graphs are not seen one by one, and make a page heavy.
_MOST_EDGES = 40_000
_CARD_SCORES = {"day_of_year": "r2", "imputation": "mae"}
_EXPLANATION = (
    "Stations stand where people live: nothing here is on a grid. A graph connects each station "
    "with its neighbors, and the networks are convolutions on it. A kernel of one coefficient "
    "(P = 0) looks at each station alone, one of five (P = 4) at its neighbors up to four edges "
    "away. Both are compared with answers that need no network."
)


def write_report(
    output: Path,
    recipe: StationsRecipe,
    measured: StationsMeasured,
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
    measured
        Of all trainings.
    results
        The measured rows.
    data
        The records; None where they were simulated.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    report = Report("Weather stations", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    parts = open_parts(recipe, data=data).objectives
    sections = [
        partial(_write_summary, report, recipe, measured, results),
        *(
            partial(_write_objective, page, recipe, measured, of, output / RUN_FOLDER)
            for of in parts.values()
        ),
        partial(_write_stations, page, recipe, next(iter(parts.values()))),
        partial(_write_training, page, recipe, measured),
        partial(write_reference, report, recipe.reference, caption=recipe.reference_source),
        partial(write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def score_table(
    recipe: StationsRecipe, measured: StationsMeasured, parts: ObjectiveParts
) -> tuple[list[str], list[list[str]]]:
    """The scores of an objective: one row for each network or answer without one.

    Parameters
    ----------
    recipe
        With its networks.
    measured
        Of all trainings.
    parts
        The objective.

    Returns
    -------
    columns : list of str
    rows : list of list of str
        Means over the seeds with their standard errors.
    """
    section = parts.section
    scores = scores_of(section)
    units = [unit_of(score, parts.unit) for score in scores]
    columns = [""]
    columns += [
        f"{SCORES[score]} [{unit}]" if unit else SCORES[score]
        for score, unit in zip(scores, units, strict=True)
    ]
    rows = []
    for method in methods_of(recipe, section):
        found = [measured.values(section, method, score) for score in scores]
        if any(found):
            cells = [mean_and_error(of, digits=_DIGITS) if of else "–" for of in found]
            rows.append([method, *cells])
    return columns, rows


def draw_seasons(told: dict[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """The season of every day as it was told, against what it is, a panel for each network.

    Parameters
    ----------
    told
        Predicted and observed seasons by name.

    Returns
    -------
    Figure
    """
    figure = new_figure(3.6 * len(told), 3.6)
    panels = figure.subplots(1, len(told), sharex=True, sharey=True, squeeze=False)[0]
    for index, (axes, (name, (predicted, observed))) in enumerate(
        zip(panels, told.items(), strict=True)
    ):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        axes.plot(observed, predicted, ".", markersize=3, color=PALETTE[index % len(PALETTE)])
        style_axes(axes, title=name, xlabel="season", grid="both")
    panels[0].set_ylabel("as it was told")
    return figure


def _write_summary(
    report: Report, recipe: StationsRecipe, measured: StationsMeasured, results: Results
) -> None:
    """What was asked, and the numbers that count."""
    report.paragraph(_EXPLANATION)
    cards = []
    for objective in measured.objectives(recipe):
        score = _CARD_SCORES.get(objective.kind, "mse")
        unit = unit_of(score, measured.units[objective.name])
        for network in recipe.networks:
            values = measured.values(objective, network.name, score)
            if values:
                shown = f"{mean_and_error(values, digits=_DIGITS)} {unit}".strip()
                cards.append(Card(f"{objective.name}, {SCORES[score]}", shown, note=network.name))
    report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in result_notes(recipe, measured):
        report.paragraph(note)


def _write_objective(
    page: ReportPage,
    recipe: StationsRecipe,
    measured: StationsMeasured,
    parts: ObjectiveParts,
    runs: Path,
) -> None:
    """The scores of one objective, and where its errors are."""
    section = parts.section
    page.report.section(section.name.capitalize())
    page.report.paragraph(parts.note)
    page.report.table(
        *score_table(recipe, measured, parts),
        caption="Of all values that were observed on the scored days, each counting the same. "
        "Means over the seeds ± standard errors.",
    )
    scored = {}
    for network in recipe.networks:
        folder = runs / StationKey(section, network, recipe.seeds[0]).folder
        with np.load(folder / SCORED_FILE) as file:
            scored[network.name] = dict(file)
    if parts.objective.is_global:
        told = {name: (of["predicted"], of["observed"]) for name, of in scored.items()}
        page.figure(
            draw_seasons(told),
            f"{section.slug}-seasons",
            alt="Season as it was told against the season as it is, for every network",
            caption=f"0 is the turn of the year, 1 the middle of it. Seed {recipe.seeds[0]}.",
        )
        return
    maps = {name: of["mae"] for name, of in scored.items()}
    if not any(np.isfinite(of).any() for of in maps.values()):
        return
    page.figure(
        plot_station_maps(maps, parts.scored.sampling, vmin=0.0, unit=parts.unit),
        f"{section.slug}-errors",
        alt=f"Maps of the error of {section.name} at every station, for every network",
        caption=f"Mean absolute error at every station. Seed {recipe.seeds[0]}.",
    )


def _write_stations(page: ReportPage, recipe: StationsRecipe, parts: ObjectiveParts) -> None:
    """Where the stations are, what they report on a day, and their graph."""
    records = parts.scored
    name = parts.objective.inputs[0]
    column = records.column(name)
    day = int(np.argmax(np.count_nonzero(~np.isnan(column), axis=1)))
    unit = records.select([name]).units[0]
    graph = build_graph(records.sampling, **graph_options(recipe.networks[0], records.num_stations))
    few = graph if graph.num_edges <= _MOST_EDGES else None
    title = f"{name} on {format_time(records.times[day])}"
    page.report.section("The stations")
    page.figure(
        plot_stations(column[day], records.sampling, graph=few, unit=unit, title=title),
        "stations",
        alt=f"Map of the stations, coloured by {title}, with the edges of the graph",
        caption=f"{records.num_stations:,} stations, {graph.num_edges:,} edges of the graph of "
        f"{recipe.networks[0].name}.",
    )
    page.report.interactive(
        globe(column[day], records.sampling, graph=few, unit=unit, title=title),
        alt=f"A globe with the stations, coloured by {title}",
        caption=f"{title}. Drag to turn.",
    )


def _write_training(page: ReportPage, recipe: StationsRecipe, measured: StationsMeasured) -> None:
    """How the networks learned."""
    page.report.section("Training")
    for objective in measured.objectives(recipe):
        first = {
            key.network.name: record.history
            for key, record in measured.records.items()
            if key.seed == recipe.seeds[0] and key.objective.name == objective.name
        }
        metrics = {"train_loss": "training loss"}
        if all("val_loss" in row for history in first.values() for row in history):
            metrics["val_loss"] = "validation loss"
        page.figure(
            draw_histories(first, metrics),
            f"{objective.slug}-training",
            alt=f"Losses of every network over the epochs, {objective.name}",
            caption=f"{objective.name}, seed {recipe.seeds[0]}.",
        )
