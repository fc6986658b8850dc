"""The report of the shapes experiment: the table, what accuracy costs, and what networks see."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from deepsphere.data.mesh_signals import VIEW_RADIUS
from deepsphere.data.meshes import MeshError
from deepsphere.experiments.network_costs import TableCosts, inference_work
from deepsphere.experiments.output import FIGURE_FOLDER, REPORT_FILE
from deepsphere.experiments.pages import ReportPage, write_reproduction
from deepsphere.experiments.results import (
    Results,
    mean_and_error,
    summarize_claims,
    tabulate,
)
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    ShapesRecipe,
    perturbations_of,
)
from deepsphere.experiments.shapes_data import open_splits
from deepsphere.experiments.shapes_record import ShapesRecord
from deepsphere.experiments.shapes_rows import SCORE_MEASURES, ShapesMeasured, shown
from deepsphere.plotting import Card, Report, plot_confusion
from deepsphere.plotting.meshes import plot_mesh_signals
from deepsphere.plotting.style import INK, MUTED, PALETTE, add_legend, new_figure, style_axes
from deepsphere.sampling import sampling_from_spec
from deepsphere.training.progress import track

_TABLE_MEASURES = SCORE_MEASURES[:4]  # the others are among all results below
_NUM_PICTURES = 3
_MOST_CLASSES_SHOWN = 20  # of a confusion matrix that can be read


def write_report(
    output: Path,
    recipe: ShapesRecipe,
    measured: ShapesMeasured,
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
        Where the shapes lie.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    report = Report("3D shapes on the sphere", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    sections = [
        partial(_write_summary, report, recipe, measured, results),
        partial(_write_table, page, recipe, measured),
        partial(_write_signals, page, recipe, data),
        partial(_write_training, page, recipe, measured, data),
        partial(_write_reference, report, recipe),
        partial(_write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    shown = track(sections, "writing the report", total=len(sections)) if progress else sections
    for write_section in shown:
        write_section()
    return report.write(output / REPORT_FILE, overwrite=True)


def score_table(
    recipe: ShapesRecipe, measured: ShapesMeasured
) -> tuple[list[str], list[list[str]]]:
    """The scores: one row for each network and protocol.

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
    columns = ["network", "protocol", *(f"{measure.name} [%]" for measure in _TABLE_MEASURES)]
    columns += ["rotation error", "parameters"]
    rows = []
    for network in recipe.networks:
        for protocol in network.protocols:
            train, _ = perturbations_of(protocol)
            records, scores = measured.trainings(network, train), measured.of(network, protocol)
            means = [
                mean_and_error([measure.read(score) for score in scores], "%")
                for measure in _TABLE_MEASURES
            ]
            change = fmean(record.descriptor_change for record in records)
            size = f"{records[0].num_parameters:,}"
            rows.append([network.name, shown(protocol), *means, f"{change:.3g}", size])
    return columns, rows


def cost_table(recipe: ShapesRecipe, costs: TableCosts) -> tuple[list[str], list[list[str]]]:
    """What the networks cost: one row for each, trained or not.

    Parameters
    ----------
    recipe
        With its networks.
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
    for network in recipe.networks:
        of_network = costs.networks[network.name]
        times = [of_network.median(work) for work in works]
        shown_times = [f"{time:,.0f}" if time >= 100 else f"{time:.3g}" for time in times]
        megabytes = f"{of_network.step_megabytes:,.0f}"
        rows.append([network.name, f"{of_network.num_parameters:,}", *shown_times, megabytes])
    return columns, rows


def _write_summary(
    report: Report, recipe: ShapesRecipe, measured: ShapesMeasured, results: Results
) -> None:
    """What was asked, and the numbers that count."""
    report.paragraph(
        "A shape is seen from a sphere around it: from every point a ray goes to the centre, and "
        "where it first hits, distance and angle of the surface become channels, for the mesh "
        "and for its convex hull. Networks learn the class of a shape from these signals, "
        "whatever way it is turned."
    )
    ours = recipe.networks[0]
    cards = []
    for protocol in ours.protocols:
        values = [score.weighted_f1 for score in measured.of(ours, protocol)]
        cards.append(Card(f"F1 {shown(protocol)}", f"{fmean(values):.1f} %", note=ours.name))
    if measured.costs is not None:
        costs = measured.costs.networks[ours.name]
        work = inference_work(max(recipe.costs.batch_sizes) if recipe.costs else 1)
        cards.append(Card(work, f"{costs.median(work):.3g} ms", note=ours.name))
        cards.append(Card("parameters", f"{costs.num_parameters:,}", note=ours.name))
    report.cards(cards)
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")
    for note in results.notes:
        report.paragraph(note)


def _write_table(page: ReportPage, recipe: ShapesRecipe, measured: ShapesMeasured) -> None:
    """The scores, what they cost, and both in one picture."""
    page.report.section("The networks")
    page.report.table(
        *score_table(recipe, measured),
        caption="Protocol: how shapes are turned in training / in the test (x: not at all, z: "
        "about the vertical, SO3: in all ways). F1 is weighted by class; mAP and NDCG are those "
        "of SHREC'17, over lists by class probability. Means over the seeds ± standard errors. "
        "The rotation error is the mean of |f(Rx) − f(x)| / |f(x)| of the descriptor f.",
    )
    if measured.costs is None:
        return
    page.report.table(
        *cost_table(recipe, measured.costs),
        caption="Times are medians, all networks in turns; memory is what one training step adds "
        "to that of a process at its peak.",
    )
    page.figure(
        _draw_accuracy_and_cost(recipe, measured, measured.costs),
        "accuracy-and-cost",
        alt="F1 of every network against the time of an inference",
        caption="What accuracy costs: up and to the left is better. Circles are networks on "
        "graphs, squares their rivals; lines show one standard error over the seeds.",
    )


def _draw_accuracy_and_cost(
    recipe: ShapesRecipe, measured: ShapesMeasured, costs: TableCosts
) -> Figure:
    """F1 under the first protocol of each network against the time of its largest inference."""
    work = inference_work(max(recipe.costs.batch_sizes) if recipe.costs else 1)
    figure = new_figure(8.6, 3.8)
    axes = figure.subplots()
    for index, network in enumerate(recipe.networks):
        if not network.protocols:
            continue
        values = [score.weighted_f1 for score in measured.of(network, network.protocols[0])]
        axes.errorbar(
            costs.networks[network.name].median(work),
            fmean(values),
            yerr=stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0,
            fmt="o" if network.model == "fcn" else "s",
            color=PALETTE[index % len(PALETTE)],
            ecolor=MUTED,
            elinewidth=1,
            label=f"{network.name}, {shown(network.protocols[0])}",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.1, y=0.15)
    style_axes(axes, xlabel=f"{work} [ms]", ylabel="F1 [%]", grid="both")
    add_legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _write_signals(page: ReportPage, recipe: ShapesRecipe, data: Path | None) -> None:
    """Some shapes and what is seen of them."""
    from deepsphere.data.mesh_cleaning import normalize_mesh, scale_mesh
    from deepsphere.data.mesh_signals import mesh_signals

    page.report.section("What the networks see")
    sampling = sampling_from_spec(recipe.networks[0].sampling)
    splits = open_splits(recipe.data, data)
    scored = splits.test if recipe.data.scored_on == "test" else splits.validation
    chosen = np.unique(np.linspace(0, len(scored) - 1, _NUM_PICTURES + 2)[1:-1].astype(int))
    for index in chosen.tolist():
        shape = scored.shapes[index]
        try:
            mesh = scale_mesh(normalize_mesh(shape.read()), radius=VIEW_RADIUS)
        except MeshError:
            continue  # it was skipped, which the notes say
        name = scored.classes[shape.label] if shape.label is not None else "unknown class"
        figure = plot_mesh_signals(
            mesh, mesh_signals(mesh, sampling.points).values, sampling, title=name
        )
        page.figure(
            figure,
            f"signals-{index}",
            alt=f"A mesh of the class {name} and its six channels on the sphere",
            caption=f"{shape.name}, {len(mesh.faces):,} faces, on {sampling.spec}.",
        )


def _write_training(
    page: ReportPage, recipe: ShapesRecipe, measured: ShapesMeasured, data: Path | None
) -> None:
    """How the networks learned, and what the first one confuses."""
    page.report.section("Training")
    first = {key: of for key, of in measured.records.items() if key.seed == recipe.seeds[0]}
    if first:
        page.figure(
            _draw_histories(
                {f"{key.network.name}, {key.perturbation}": first[key] for key in first}
            ),
            "training",
            alt="Training loss and validation accuracy of every network over the epochs",
            caption=f"Seed {recipe.seeds[0]}; how training shapes are moved stands after the name. "
            "The validation shapes are not the test shapes.",
        )
    ours = recipe.networks[0]
    if ours.protocols:
        _write_confusions(page, measured, ours, open_splits(recipe.data, data).classes)


def _draw_histories(records: Mapping[str, ShapesRecord]) -> Figure:
    """Loss and accuracy over the epochs, one colour for each training."""
    figure = new_figure(9.6, 3.2 + 0.12 * len(records))
    panels = figure.subplots(1, 2)
    for axes, metric, label in zip(
        panels,
        ("train_loss", "val_accuracy"),
        ("training loss", "validation accuracy"),
        strict=True,
    ):
        for index, (name, record) in enumerate(records.items()):
            rows = [row for row in record.history if metric in row]
            axes.plot(
                [row["epoch"] + 1 for row in rows],
                [row[metric] for row in rows],
                color=PALETTE[index % len(PALETTE)],
                linestyle="-" if index < len(PALETTE) else "--",
                label=name,
            )
        style_axes(axes, xlabel="epoch", ylabel=label, grid="both")
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(
        lines, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK
    )
    return figure


def _write_confusions(
    page: ReportPage, measured: ShapesMeasured, network: NetworkSection, classes: Sequence[str]
) -> None:
    """The confusion matrix, or the most frequent confusions where there are many classes."""
    scores = measured.of(network, network.protocols[0])
    confusion = np.sum([np.array(score.confusion) for score in scores], axis=0)
    page.report.subsection(f"What {network.name} confuses")
    if len(classes) <= _MOST_CLASSES_SHOWN:
        figure = plot_confusion(confusion, classes)
        page.figure(figure, "confusion", alt="True classes against predicted classes")
        return
    wrong = confusion - np.diag(np.diag(confusion))
    shares = wrong / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    order = np.argsort(-shares, axis=None, kind="stable")[:12]
    rows = [
        [classes[true], classes[predicted], f"{100 * shares[true, predicted]:.0f} %"]
        for true, predicted in (np.unravel_index(place, shares.shape) for place in order)
        if wrong[true, predicted]
    ]
    page.report.table(
        ["shape", "taken for", "share of its views"],
        rows,
        caption="The most frequent confusions, over all seeds.",
    )


def _write_reference(report: Report, recipe: ShapesRecipe) -> None:
    """The published table."""
    if not recipe.reference:
        return
    report.section("What was published")
    columns = list(dict.fromkeys(name for row in recipe.reference.values() for name in row))
    report.table(
        ["system", *columns],
        [
            [name, *(str(row.get(column, "–")) for column in columns)]
            for name, row in recipe.reference.items()
        ],
        caption=f"{recipe.reference_source} Another data set and another machine, unless this "
        "is SHREC'17.",
    )


def _write_rows(report: Report, results: Results) -> None:
    """All rows as they are in the file."""
    report.section("All results")
    report.table(
        *tabulate(results.rows),
        caption="Spread is the standard deviation over the seeds; seconds are of all seeds.",
    )
