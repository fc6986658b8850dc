"""The report of the cosmology experiment: the table, noise and patches, costs, and the maps."""

from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from matplotlib.figure import Figure

from deepsphere.experiments.cosmology_config import CosmologyRecipe
from deepsphere.experiments.cosmology_data import (
    MapParts,
    open_map_splits,
    patches_of,
    sampling_of,
    settings_of,
)
from deepsphere.experiments.cosmology_record import Setting, shown_order
from deepsphere.experiments.cosmology_rows import (
    CosmologyMeasured,
    all_rows,
    result_notes,
    score_names,
)
from deepsphere.experiments.cosmology_scores import ACCURACY
from deepsphere.experiments.network_costs import TableCosts, inference_work
from deepsphere.experiments.network_pages import (
    CostedScore,
    cost_table,
    draw_histories,
    draw_scores_and_costs,
    write_reference,
    write_rows,
)
from deepsphere.experiments.output import FIGURE_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import Results, mean_and_error, summarize_claims
from deepsphere.plotting import Card, Report, plot_confusion, plot_maps
from deepsphere.plotting.style import PALETTE, add_legend, new_figure, set_title, style_axes


def write_report(
    output: Path,
    recipe: CosmologyRecipe,
    measured: CosmologyMeasured,
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
    report = Report("Universes told apart on patches of the sky", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    parts = open_map_splits(recipe, output, data=data, announce=lambda _: None)
    sections = [
        partial(_write_summary, report, recipe, measured, results),
        partial(_write_table, page, recipe, measured),
        partial(_write_noise_and_order, page, recipe, measured),
        partial(_write_costs, page, recipe, measured),
        partial(_write_maps, page, recipe, parts),
        partial(_write_training, page, recipe, measured),
        partial(
            write_reference,
            report,
            recipe.reference,
            caption=f"{recipe.reference_source} Other maps: not to be compared one to one.",
        ),
        partial(write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def score_table(
    recipe: CosmologyRecipe, measured: CosmologyMeasured
) -> tuple[list[str], list[list[str]]]:
    """The scores: one row for each network or linear model and setting.

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
    scores = score_names(recipe)
    columns = ["", "patches", "noise"]
    columns += [f"{score.name} [{score.unit}]" if score.unit else score.name for score in scores]
    columns.append("parameters")
    rows = []
    for setting in settings_of(recipe):
        for row in all_rows(recipe):
            records = measured.of(recipe, row, setting)
            means = [
                mean_and_error([record.scores[score.name] for record in records], score.unit)
                for score in scores
            ]
            size = f"{records[0].num_parameters:,}"
            where = [shown_order(setting.order), f"{setting.noise:g}"]
            rows.append([row.name, *where, *means, size])
    return columns, rows


def _write_summary(
    report: Report, recipe: CosmologyRecipe, measured: CosmologyMeasured, results: Results
) -> None:
    """What was asked, and the numbers that count."""
    if recipe.data.target == "class":
        report.paragraph(
            "Which universe is a patch of the sky of? Maps of the lensing convergence of several "
            "cosmological models, with noise in every pixel, are told apart by networks on the "
            "graph of the patch, by a 2D network on the patch as an image, and by linear models "
            "of the power spectrum and of the histogram."
        )
    else:
        report.paragraph(
            "What universe is a patch of the sky of? Networks read the density of matter Ω_m and "
            "the amplitude of its fluctuations σ_8 off noisy maps of the lensing convergence."
        )
    score, setting = score_names(recipe)[0], settings_of(recipe)[0]
    best = (max if score.is_higher_better else min)(
        recipe.networks,
        key=lambda network: fmean(measured.scores(recipe, network, setting, score.name)),
    )
    value = mean_and_error(measured.scores(recipe, best, setting, score.name), score.unit)
    cards = [Card(f"best {score.name}", value, note=f"{best.name}; {setting.title}")]
    for row in (*recipe.baselines, recipe.networks[0]):
        value = mean_and_error(measured.scores(recipe, row, setting, score.name), score.unit)
        cards.append(Card(score.name, value, note=row.name))
    report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in result_notes(recipe, measured):
        report.paragraph(note)


def _write_table(page: ReportPage, recipe: CosmologyRecipe, measured: CosmologyMeasured) -> None:
    """The scores."""
    page.report.section("The table")
    page.report.table(
        *score_table(recipe, measured),
        caption="Noise is relative to the standard deviation of the signal. Whole maps are "
        "classified by the mean of the outputs of their patches. Means over the seeds ± standard "
        "errors; linear models have one solution.",
    )


def _write_noise_and_order(
    page: ReportPage, recipe: CosmologyRecipe, measured: CosmologyMeasured
) -> None:
    """Scores against noise, a panel for each order, where there are several."""
    if len(recipe.data.noises) < 2:
        return
    score = score_names(recipe)[0]
    orders = recipe.data.orders
    figure = new_figure(3.2 * len(orders) + 2.6, 3.4)
    panels = figure.subplots(1, len(orders), sharey=True, squeeze=False)[0]
    for axes, order in zip(panels, orders, strict=True):
        for index, row in enumerate(all_rows(recipe)):
            values = [
                measured.scores(recipe, row, Setting(order, noise), score.name)
                for noise in recipe.data.noises
            ]
            axes.errorbar(
                recipe.data.noises,
                [fmean(of) for of in values],
                yerr=[stdev(of) / len(of) ** 0.5 if len(of) > 1 else 0.0 for of in values],
                color=PALETTE[index % len(PALETTE)],
                linestyle="-" if row in recipe.networks else "--",
                marker="o",
                markersize=3.5,
                label=row.name,
            )
        set_title(axes, shown_order(order))
        is_first = axes is panels[0]
        label = f"{score.name} [{score.unit}]" if score.unit else score.name
        style_axes(axes, xlabel="noise", ylabel=label if is_first else "", grid="both")
    add_legend(panels[-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
    page.figure(
        figure,
        "noise-and-order",
        alt=f"{score.name} against the noise, one panel for each size of the patches",
        caption="The smaller the patch and the stronger the noise, the less it tells. Dashed: "
        "linear models.",
    )


def _write_costs(page: ReportPage, recipe: CosmologyRecipe, measured: CosmologyMeasured) -> None:
    """What the networks cost, and what accuracy costs."""
    if measured.costs is None or recipe.costs is None:
        return
    order = recipe.data.orders[0]
    page.report.section("What it costs")
    page.report.table(
        *cost_table(measured.costs),
        caption=f"Patches of {shown_order(order)}. Times are medians, all networks in turns; "
        "memory is what one training step adds to that of a process at its peak.",
    )
    page.figure(
        _draw_scores_and_costs(recipe, measured, measured.costs),
        "accuracy-and-cost",
        alt="Score of every network against the time of an inference",
        caption="What accuracy costs. Circles are networks on graphs, squares their rivals; lines "
        "show one standard error over the seeds.",
    )


def _draw_scores_and_costs(
    recipe: CosmologyRecipe, measured: CosmologyMeasured, costs: TableCosts
) -> Figure:
    """The first score in the first setting against the time of the largest inference."""
    work = inference_work(max(recipe.costs.batch_sizes) if recipe.costs else 1)
    score, setting = score_names(recipe)[0], settings_of(recipe)[0]
    points = [
        CostedScore(
            name=network.name,
            values=measured.scores(recipe, network, setting, score.name),
            milliseconds=costs.networks[network.name].median(work),
            is_rival=network.model != "fcn",
        )
        for network in recipe.networks
    ]
    label = f"{score.name} [{score.unit}]" if score.unit else score.name
    return draw_scores_and_costs(points, cost=f"{work} [ms]", score=label)


def _write_maps(page: ReportPage, recipe: CosmologyRecipe, parts: MapParts) -> None:
    """A map of each class, what is left of it in a patch under noise, and the histograms."""
    page.report.section("What the networks see")
    setting = settings_of(recipe)[0]
    maps = parts.test if recipe.data.scored_on == "test" else parts.validation
    chosen = [int(np.flatnonzero(maps.labels == label)[0]) for label in np.unique(maps.labels)[:2]]
    whole = sampling_of(parts, 0)
    kept = slice(None) if parts.mask is None else parts.mask
    wholes = {maps.class_names[maps.labels[index]]: maps.read(index)[kept, 0] for index in chosen}
    first = next(iter(wholes.values()))
    limit = float(np.quantile(np.abs(first), 0.995))
    page.figure(
        plot_maps(wholes, whole, vmin=-limit, vmax=limit),
        "maps",
        alt="One map of the convergence for each of two classes",
        caption=f"The convergence without noise, at nside {maps.nside}.",
    )
    data = patches_of(recipe, parts, setting, recipe.training, seed=0)
    clean = first[: data.sampling.num_vertices]
    noisy = next(iter(data.split_signals(recipe.data.scored_on)))[0][0, :, 0]
    page.figure(
        plot_maps(
            {
                "without noise": (clean - data.scaling.mean[0]) / data.scaling.deviation[0],
                f"noise {setting.noise:g}": noisy,
            },
            data.sampling,
            projection="orthographic",
            center=_center_of(data.sampling.points),
        ),
        "patch",
        alt="A patch without and with noise",
        caption="A patch as it is, and one as a network sees it, in standard deviations of the "
        "signal.",
    )
    page.figure(
        _draw_histograms(wholes),
        "histograms",
        alt="Histogram of the pixels of a map of each class",
        caption="Pixels of the maps above: what is not Gaussian is what tells them apart.",
    )


def _center_of(points: np.ndarray) -> tuple[float, float]:
    """Longitude and latitude of the middle of some points, in degrees."""
    x, y, z = points.mean(axis=0)
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _draw_histograms(wholes: dict[str, np.ndarray]) -> Figure:
    """Densities of pixels on a logarithmic axis."""
    figure = new_figure(6.4, 3.2)
    axes = figure.subplots()
    pixels = np.concatenate(list(wholes.values()))
    low, high = np.quantile(pixels, [1e-5, 1 - 1e-5])
    edges = np.linspace(low, high, 80)
    for index, (name, values) in enumerate(wholes.items()):
        axes.stairs(
            np.histogram(values, edges, density=True)[0],
            edges,
            color=PALETTE[index % len(PALETTE)],
            label=name,
        )
    axes.set_yscale("log")
    style_axes(axes, xlabel="convergence", ylabel="density", grid="both")
    add_legend(axes)
    return figure


def _write_training(page: ReportPage, recipe: CosmologyRecipe, measured: CosmologyMeasured) -> None:
    """How the networks learned, and what the best one confuses."""
    page.report.section("Training")
    setting = settings_of(recipe)[0]
    first = {
        key.network.name: record.history
        for key, record in measured.records.items()
        if key.seed == recipe.seeds[0] and key.setting == setting
    }
    metrics = {"train_loss": "training loss", "val_loss": "validation loss"}
    if recipe.data.target == "class":
        metrics["val_accuracy"] = "validation accuracy"
    page.figure(
        draw_histories(first, metrics),
        "training",
        alt="Losses of every network over the epochs",
        caption=f"Seed {recipe.seeds[0]}; {setting.title}. Validation maps are not test maps.",
    )
    if recipe.data.target == "class":
        best = max(
            recipe.networks,
            key=lambda network: fmean(measured.scores(recipe, network, setting, ACCURACY)),
        )
        counts = [np.array(record.confusion) for record in measured.of(recipe, best, setting)]
        page.figure(
            plot_confusion(np.sum(counts, axis=0), measured.class_names),
            "confusion",
            alt="True classes against predicted classes",
            caption=f"Patches by {best.name}, all seeds.",
        )
