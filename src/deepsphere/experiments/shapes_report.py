"""The report of the shapes experiment: the table, what accuracy costs, and what networks see."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from deepsphere.data.mesh_signals import VIEW_RADIUS
from deepsphere.data.meshes import MeshError
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
from deepsphere.experiments.results import (
    Results,
    mean_and_error,
    summarize_claims,
)
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    ShapesRecipe,
    perturbations_of,
)
from deepsphere.experiments.shapes_data import open_splits
from deepsphere.experiments.shapes_rows import SCORE_MEASURES, ShapesMeasured, shown
from deepsphere.plotting import Card, Report, plot_confusion
from deepsphere.plotting.meshes import plot_mesh_signals
from deepsphere.sampling import sampling_from_spec

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
        partial(
            write_reference,
            report,
            recipe.reference,
            caption=f"{recipe.reference_source} Another data set and another machine, unless this "
            "is SHREC'17.",
        ),
        partial(write_rows, report, results),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


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
        *cost_table(measured.costs),
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
    points = [
        CostedScore(
            name=f"{network.name}, {shown(network.protocols[0])}",
            values=[score.weighted_f1 for score in measured.of(network, network.protocols[0])],
            milliseconds=costs.networks[network.name].median(work),
            is_rival=network.model != "fcn",
        )
        for network in recipe.networks
        if network.protocols
    ]
    return draw_scores_and_costs(points, cost=f"{work} [ms]", score="F1 [%]")


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
            draw_histories(
                {f"{key.network.name}, {key.perturbation}": first[key].history for key in first},
                {"train_loss": "training loss", "val_accuracy": "validation accuracy"},
            ),
            "training",
            alt="Training loss and validation accuracy of every network over the epochs",
            caption=f"Seed {recipe.seeds[0]}; how training shapes are moved stands after the name. "
            "The validation shapes are not the test shapes.",
        )
    ours = recipe.networks[0]
    if ours.protocols:
        _write_confusions(page, measured, ours, open_splits(recipe.data, data).classes)


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
