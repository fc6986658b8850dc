"""The report of the climate experiment: the table, curves of precision and recall, an example."""

from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from deepsphere.experiments.climate_config import ClimateNetwork, ClimateRecipe
from deepsphere.experiments.climate_data import (
    batches_of,
    first_windows,
    maps_of,
    open_parts,
    scaling_of,
)
from deepsphere.experiments.climate_record import ClimateKey
from deepsphere.experiments.climate_rows import ClimateMeasured, result_notes
from deepsphere.experiments.climate_scores import MEAN_ACCURACY, MEAN_PRECISION, score_names
from deepsphere.experiments.network_costs import inference_work
from deepsphere.experiments.network_pages import (
    CostedScore,
    cost_table,
    draw_histories,
    draw_scores_and_costs,
    write_reference,
    write_rows,
)
from deepsphere.experiments.output import FIGURE_FOLDER, RUN_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import Results, mean_and_error, summarize_claims
from deepsphere.experiments.training_run import MODEL_FILE
from deepsphere.plotting import Card, Report, plot_confusion
from deepsphere.plotting.events import plot_events
from deepsphere.plotting.style import PALETTE, new_figure, set_title, style_axes
from deepsphere.training import load, read_metadata

_NUM_LOOKED_AT = 24  # maps among which the example is that with the most of the rarest class


def write_report(
    output: Path,
    recipe: ClimateRecipe,
    measured: ClimateMeasured,
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
        Where the maps lie; None where they were simulated.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    report = Report("Cyclones and atmospheric rivers", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    sections = [
        partial(_write_summary, report, recipe, measured, results),
        partial(_write_table, page, recipe, measured),
        partial(_write_curves, page, recipe, measured),
        partial(_write_example, page, recipe, measured, output, data),
        partial(_write_costs, page, recipe, measured),
        partial(_write_training, page, recipe, measured),
        partial(
            write_reference,
            report,
            recipe.reference,
            caption=f"Published, measured on the original data. {recipe.reference_source}"
            + ("" if data is not None else " Not to be compared one to one with simulated maps."),
        ),
        partial(write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def score_table(
    recipe: ClimateRecipe, measured: ClimateMeasured
) -> tuple[list[str], list[list[str]]]:
    """The scores: one row for each network.

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
    scores = score_names(measured.class_names)
    rows = []
    for network in recipe.networks:
        means = [mean_and_error(measured.scores(network, score), "%") for score in scores]
        loss = {"none": "non-weighted"}.get(recipe.training_of(network).class_weights, "weighted")
        size = f"{measured.of(network)[0].num_parameters:,}"
        rows.append([network.name, loss, *means, size])
    return ["", "loss", *(f"{score} [%]" for score in scores), "parameters"], rows


def best_network(recipe: ClimateRecipe, measured: ClimateMeasured) -> ClimateNetwork:
    """The network with the highest mean average precision.

    Parameters
    ----------
    recipe
        With its networks.
    measured
        Of all trainings.

    Returns
    -------
    ClimateNetwork
    """
    return max(recipe.networks, key=lambda network: fmean(measured.scores(network, MEAN_PRECISION)))


def _write_summary(
    report: Report, recipe: ClimateRecipe, measured: ClimateMeasured, results: Results
) -> None:
    """What was asked, and the numbers that count."""
    names = " and ".join(measured.class_names[1:])
    report.paragraph(
        f"Where on a map of the atmosphere is a {names.replace(' and ', ' or an ')}? Networks tell "
        "the class of every vertex from the variables of a climate model there and around. Few "
        "vertices are events, so that accuracy says little: what counts is average precision."
    )
    best = best_network(recipe, measured)
    cards = []
    for score in (MEAN_PRECISION, MEAN_ACCURACY):
        value = mean_and_error(measured.scores(best, score), "%")
        cards.append(Card(score, value, note=best.name))
    for network in recipe.networks:
        if network.name != best.name:
            value = mean_and_error(measured.scores(network, MEAN_PRECISION), "%")
            cards.append(Card(MEAN_PRECISION, value, note=network.name))
    report.cards(cards[:6])
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in result_notes(recipe, measured):
        report.paragraph(note)


def _write_table(page: ReportPage, recipe: ClimateRecipe, measured: ClimateMeasured) -> None:
    """The scores, and what the best network confuses."""
    page.report.section("The table")
    page.report.table(
        *score_table(recipe, measured),
        caption="Accuracy of a class is the share of its vertices that are found. A weighted loss "
        "finds more of the rare ones, and reports more that are none. Means over the seeds ± "
        "standard errors.",
    )
    best = best_network(recipe, measured)
    counts = np.sum([np.array(record.confusion) for record in measured.of(best)], axis=0)
    page.figure(
        plot_confusion(counts, measured.class_names),
        "confusion",
        alt="True classes against predicted classes",
        caption=f"Vertices of the {recipe.data.scored_on} maps by {best.name}, all seeds.",
    )


def _write_curves(page: ReportPage, recipe: ClimateRecipe, measured: ClimateMeasured) -> None:
    """Precision over recall, a panel for each event."""
    events = measured.class_names[1:]
    figure = new_figure(4.6 * len(events), 3.6 + 0.18 * len(recipe.networks))
    panels = figure.subplots(1, len(events), squeeze=False, sharey=True)[0]
    for axes, event in zip(panels, events, strict=True):
        for index, network in enumerate(recipe.networks):
            recall, precision = measured.of(network)[0].curves[event]
            axes.plot(
                100 * np.array(recall),
                100 * np.array(precision),
                color=PALETTE[index % len(PALETTE)],
                linestyle="-" if index < len(PALETTE) else "--",
                label=network.name,
            )
        axes.set_ylim(0, 103)
        set_title(axes, event)
        label = "precision [%]" if axes is panels[0] else ""
        style_axes(axes, xlabel="recall [%]", ylabel=label, grid="both")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    page.report.section("Precision and recall")
    page.figure(
        figure,
        "precision-recall",
        alt="Precision against recall of every network, a panel for each event",
        caption=f"Seed {recipe.seeds[0]}. The area below a curve is the average precision.",
    )


def _write_example(
    page: ReportPage,
    recipe: ClimateRecipe,
    measured: ClimateMeasured,
    output: Path,
    data: Path | None,
) -> None:
    """A map with its events, and what the best network finds there."""
    best = best_network(recipe, measured)
    part = recipe.data.scored_on
    parts = first_windows(open_parts(recipe, data=data), recipe, num=_NUM_LOOKED_AT)
    checkpoint = output / RUN_FOLDER / ClimateKey(best, recipe.seeds[0]).folder / MODEL_FILE
    maps = maps_of(
        recipe,
        parts,
        best,
        recipe.training_of(best),
        seed=0,
        scaling=scaling_of(read_metadata(checkpoint), parts.train.num_channels),
    )
    counts = maps.windows[part].events.class_counts()[maps.windows[part].targets]
    chosen = int(counts[:, 1].argmax())
    batches = list(batches_of(maps, part))
    signals = torch.cat([signals for signals, _ in batches])[chosen : chosen + 1]
    labels = torch.cat([labels for _, labels in batches])[chosen].numpy()
    with torch.inference_mode():
        predicted = load(checkpoint)(signals)[0].argmax(dim=-1).numpy()
    index = int(maps.windows[part].targets[chosen])
    events = maps.windows[part].events
    field = events.read(index)[0][:, 0]
    page.report.section("An example")
    page.figure(
        plot_events(
            field,
            labels,
            maps.sampling,
            measured.class_names,
            predicted=predicted,
            title=f"{events.channel_names[0]}, {events.names[index]}",
        ),
        "example",
        alt="A map with the events of its labels and those that a network finds outlined",
        caption=f"Solid: labels. Dashed: what {best.name} finds, on a map it has not learned from.",
    )


def _write_costs(page: ReportPage, recipe: ClimateRecipe, measured: ClimateMeasured) -> None:
    """What the networks cost, and what average precision costs."""
    if measured.costs is None or recipe.costs is None:
        return
    page.report.section("What it costs")
    page.report.table(
        *cost_table(measured.costs),
        caption="Times are medians, all networks in turns; memory is what one training step adds "
        "to that of a process at its peak.",
    )
    work = inference_work(max(recipe.costs.batch_sizes))
    points = [
        CostedScore(
            name=network.name,
            values=measured.scores(network, MEAN_PRECISION),
            milliseconds=measured.costs.networks[network.name].median(work),
            is_rival=network.model == "dense_regressor",
        )
        for network in recipe.networks
    ]
    page.figure(
        draw_scores_and_costs(points, cost=f"{work} [ms]", score=f"{MEAN_PRECISION} [%]"),
        "precision-and-cost",
        alt="Mean average precision of every network against the time of an inference",
        caption="What average precision costs. Circles are networks on graphs, squares look at "
        "each vertex alone.",
    )


def _write_training(page: ReportPage, recipe: ClimateRecipe, measured: ClimateMeasured) -> None:
    """Losses and scores over the epochs."""
    page.report.section("Training")
    first = {network.name: measured.of(network)[0].history for network in recipe.networks}
    metrics = {
        "train_loss": "training loss",
        "val_accuracy": "validation accuracy (mean recall)",
        "val_average_precision": "validation mean AP",
    }
    page.figure(
        draw_histories(first, metrics),
        "training",
        alt="Loss and scores of every network over the epochs",
        caption=f"Seed {recipe.seeds[0]}. Weighted and non-weighted losses are not to be compared. "
        "Validation maps are not test maps.",
    )
