"""The report of the digits experiment: everything that there is to see, in one HTML file."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from deepsphere.data import Digits, ImageSplit, evaluation_rotations, stereographic_signals
from deepsphere.equivariance import LayerError, layer_rotation_errors
from deepsphere.experiments.digits import Records
from deepsphere.experiments.digits_config import DataSection, DigitsRecipe
from deepsphere.experiments.digits_data import load_images
from deepsphere.experiments.digits_record import NETWORKS, TITLES, RunKey
from deepsphere.experiments.digits_run import build_domain, sampling_of
from deepsphere.experiments.output import FIGURE_FOLDER, RUN_FOLDER
from deepsphere.experiments.pages import ReportPage, write_reproduction, write_sections
from deepsphere.experiments.results import (
    ResultRow,
    Results,
    format_number,
    summarize_claims,
    tabulate,
)
from deepsphere.experiments.training_run import MODEL_FILE
from deepsphere.graph import Pyramid
from deepsphere.layers import ChebConv
from deepsphere.plotting import (
    Card,
    Report,
    filter_coefficients,
    globe,
    plot_accuracy_table,
    plot_angular_profile,
    plot_confusion,
    plot_graph,
    plot_map,
    plot_maps,
    plot_rotation_error,
    plot_spectral_response,
    plot_training_curves,
)
from deepsphere.sampling import Healpix, Sampling
from deepsphere.training import load

_PROTOCOLS = {"NR/NR": (False, False), "R/R": (True, True), "NR/R": (False, True)}
_NUM_DRAWN = 4
_FINE = Healpix(nside=32)  # on which people recognise the digits
_NUM_MEASURED_IMAGES = 20
_NUM_MEASURED_ROTATIONS = 3
_POLE_IN_VIEW = (-90.0, 90.0)  # longitude and latitude: the digit upright, seen from above
_STEPS = {
    "ChebConv": "conv",
    "MonomialConv": "conv",
    "BernsteinConv": "conv",
    "BatchNorm": "norm",
    "LayerNorm": "norm",
    "GroupNorm": "norm",
    "Pool": "pool",
    "Resample": "upsample",  # where it is not the work of a pooling
    "Linear": "logits",
}


def write_report(
    output: Path,
    recipe: DigitsRecipe,
    records: Records,
    results: Results,
    *,
    data: Path | None,
    progress: bool = False,
) -> Path:
    """Write ``report.html`` and its figures into the folder of a finished experiment.

    Parameters
    ----------
    output
        The folder, with the trained models in ``runs``.
    recipe
        What was run.
    records
        Of all runs.
    results
        The measured rows.
    data
        Folder of the MNIST files, where the recipe needs one.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    digits = load_images(recipe.data, data)
    report = Report("Spherical digits", subtitle=recipe.title)
    page = ReportPage(report, output / FIGURE_FOLDER)
    sections = [
        partial(_write_summary, report, results),
        partial(_write_accuracies, page, results),
        partial(_write_digits, page, recipe, digits),
        partial(_write_training, page, recipe, records),
        partial(_write_confusions, page, records, digits.classes),
        partial(_write_graph, page, recipe),
        partial(_write_filters, page, output, recipe),
        partial(_write_rotation_errors, page, output, recipe, digits),
        partial(write_reproduction, report, results),
    ]
    return write_sections(report, sections, output, progress=progress)


def _write_summary(report: Report, results: Results) -> None:
    """What was asked and what came out, in a few numbers."""
    report.paragraph(
        "Handwritten digits lie on the sphere by stereographic projection. DeepSphere, a graph "
        "network on the sphere, learns them beside a 2D CNN on the latitude-longitude image with "
        "about as many parameters. NR/R is the hard protocol: learned without rotations, tested "
        "with random rotations in SO(3), a network must owe its invariance to how it is built."
    )
    rows = {row.name: row for row in results.rows}
    measures = (
        "accuracy NR/NR",
        "accuracy R/R",
        "accuracy NR/R",
        "change after NR",
        "parameters",
    )
    report.cards([_card(measure, rows) for measure in measures])
    report.paragraph(f"Claims: {summarize_claims(results.rows)}.")


def _card(measure: str, rows: Mapping[str, ResultRow]) -> Card:
    """The number of DeepSphere with that of the rival below it."""
    ours, rival = (rows[f"{TITLES[network]}, {measure}"] for network in NETWORKS)
    note = f"{TITLES['cnn2d']}: {format_number(rival.measured, rival.unit)}"
    state = "plain" if ours.ok is None else "good" if ours.ok else "bad"
    return Card(measure, format_number(ours.measured, ours.unit), note=note, state=state)


def _write_accuracies(page: ReportPage, results: Results) -> None:
    """Bars of the accuracies, and the table of all rows."""
    page.report.section("Results")
    rows = {row.name: row for row in results.rows}
    table = {
        TITLES[network]: {
            protocol: rows[f"{TITLES[network]}, accuracy {protocol}"] for protocol in _PROTOCOLS
        }
        for network in NETWORKS
    }
    spreads = {name: {k: row.spread or 0.0 for k, row in of.items()} for name, of in table.items()}
    figure = plot_accuracy_table(
        {name: {key: row.measured for key, row in of.items()} for name, of in table.items()},
        spread=spreads if any(any(of.values()) for of in spreads.values()) else None,
    )
    page.figure(
        figure,
        "accuracy",
        alt="Accuracy of both networks under the three protocols",
        caption="Training / test without (NR) and with (R) random rotations. Mean over the seeds; "
        "lines show one standard deviation.",
    )
    page.report.table(
        *tabulate(results.rows),
        caption="The change is the mean of |f(Rx) − f(x)| / |f(x)| of the logits f, over test "
        "images x and rotations R. Seconds are those of the runs behind a row, all seeds together.",
    )
    for source in sorted({row.source for row in results.rows if row.source}):
        page.report.paragraph(f"Published: {source}.")


def _write_digits(page: ReportPage, recipe: DigitsRecipe, digits: Digits) -> None:
    """Digits as the networks see them, flat and on a globe."""
    page.report.section("Digits on the sphere")
    sampling = _pyramid(recipe).graphs[0].sampling
    chosen = _one_of_each_class(digits.test, _NUM_DRAWN)
    names = [digits.classes[label] for label in chosen.labels]
    rotations = evaluation_rotations(len(chosen))[:, 0]
    upright = _signals(chosen, sampling, recipe.data)
    maps = dict(zip([f"{name}, NR" for name in names], upright, strict=True))
    rotated = _signals(chosen, sampling, recipe.data, rotations)
    maps |= dict(zip([f"{name}, R" for name in names], rotated, strict=True))
    fine = dict(zip(names, _signals(chosen, _FINE, recipe.data), strict=True))
    figure = plot_maps(
        fine | maps,
        [_FINE] * len(fine) + [sampling] * len(maps),
        num_columns=len(names),
        projection="orthographic",
        center=_POLE_IN_VIEW,
        vmin=0.0,
        vmax=1.0,
        unit="ink",
    )
    page.figure(
        figure,
        "digits",
        alt="Digits at the north pole, finely sampled and as the network sees them",
        caption=f"Test images seen from above the north pole. Above: finely sampled. Middle: on "
        f"{sampling.spec}, as the network sees them without rotations (NR). Below: under random "
        "rotations (R), which carry some over the edge. The sampling points are rotated, not the "
        "map, so that a rotation is exact.",
    )
    first, signal = next(iter(maps.items()))
    page.report.interactive(
        globe(
            maps,
            sampling,
            graph=_pyramid(recipe).graphs[0],
            center=_POLE_IN_VIEW,
            vmin=0.0,
            vmax=1.0,
            unit="ink",
        ),
        alt="A globe that can be turned, with a list of digits",
        fallback=plot_map(
            signal, sampling, projection="orthographic", center=_POLE_IN_VIEW, title=first
        ),
        caption="Turn it with the mouse; the list chooses a digit, the button shows the edges.",
    )


def _write_training(page: ReportPage, recipe: DigitsRecipe, records: Records) -> None:
    """The course of the trainings of the first seed."""
    page.report.section("Training curves")
    seed = recipe.seeds[0]
    hidden = {"epoch", "learning_rate", "seconds"}
    histories = {
        f"{TITLES[key.network]} {key.protocol}": [
            {"epoch": number} | {name: value for name, value in row.items() if name not in hidden}
            for number, row in enumerate(record.history, start=1)
        ]
        for key, record in records.items()
        if key.seed == seed
    }
    page.figure(
        plot_training_curves(histories),
        "training",
        alt="Loss by epoch of every training",
        caption=f"Seed {seed}. The last epoch is scored, whatever it is: nothing is chosen by "
        "looking at test images.",
    )


def _write_confusions(page: ReportPage, records: Records, classes: tuple[str, ...]) -> None:
    """One matrix for each network and protocol."""
    page.report.section("Confusion matrices")
    for network in NETWORKS:
        page.report.subsection(TITLES[network])
        pictures = []
        for protocol, (train_rotated, test_rotated) in _PROTOCOLS.items():
            matrices = [
                (record.rotated if test_rotated else record.unrotated).confusion
                for key, record in records.items()
                if key.network == network and key.rotated == train_rotated
            ]
            figure = plot_confusion(np.sum(matrices, axis=0), classes, title=protocol)
            name = f"confusion-{network}-{protocol.replace('/', '-').lower()}"
            alt = f"Confusion matrix of {TITLES[network]} under {protocol}"
            pictures.append(page.picture(figure, name, alt=alt))
        page.report.row(pictures)
    page.report.paragraph("Rows are true digits, columns are answers; all seeds together.")


def _write_graph(page: ReportPage, recipe: DigitsRecipe) -> None:
    """The graph on which the filters act."""
    graph = _pyramid(recipe).graphs[0]
    page.report.section("The graph")
    vertex = int(np.argmax(graph.sampling.points[:, 0]))
    page.figure(
        plot_graph(graph, highlight=vertex),
        "graph",
        alt="The front half of the graph with its edges",
        caption=f"{graph.num_vertices:,} vertices of {graph.sampling.spec} and "
        f"{graph.num_edges:,} edges, {graph.options.weights} weights; the edges of one vertex "
        "are drawn stronger.",
    )


def _write_filters(page: ReportPage, output: Path, recipe: DigitsRecipe) -> None:
    """What the first and the last convolution have learned."""
    page.report.section("Learned filters")
    page.report.paragraph(
        "A filter is a polynomial of the graph Laplacian: a function of the eigenvalue, and so of "
        "the degree of spherical harmonics (above), or of the distance from a vertex (below)."
    )
    model = _trained(output, RunKey(recipe.seeds[0], "deepsphere", rotated=False))
    convolutions = [module for module in model.modules() if isinstance(module, ChebConv)]
    graphs = _pyramid(recipe).graphs
    for index in sorted({0, len(convolutions) - 1}):
        weights = filter_coefficients(convolutions[index])
        graph, name = graphs[index], f"convolution {index + 1}"
        response = plot_spectral_response(graph, weights, title=f"{name}: spectral response")
        profile = plot_angular_profile(graph, weights, title=f"{name}: angular profile")
        page.figure(
            response,
            f"filters-{index + 1}-spectral",
            alt=f"Response of the filters of {name} by eigenvalue",
        )
        page.figure(
            profile,
            f"filters-{index + 1}-angular",
            alt=f"Filters of {name} by angular distance",
        )


def _write_rotation_errors(
    page: ReportPage, output: Path, recipe: DigitsRecipe, digits: Digits
) -> None:
    """Where in the network the invariance is lost."""
    errors = {
        f"{TITLES[network]} {'R' if rotated else 'NR'}": dict(
            _errors_by_step(output, recipe, digits, RunKey(recipe.seeds[0], network, rotated))
        )
        for network in NETWORKS
        for rotated in (False, True)
    }
    names = list(dict.fromkeys(name for of in errors.values() for name in of))
    page.report.section("Rotation error per layer")
    page.figure(
        plot_rotation_error(
            names,
            {model: [of.get(name, np.nan) for name in names] for model, of in errors.items()},
        ),
        "rotation-error",
        alt="Relative rotation error after each layer",
        caption="|F(R x) − R F(x)| / |R F(x)| after each layer F, in the order in which they run, "
        "root mean square over "
        f"{_NUM_MEASURED_IMAGES} test images and {_NUM_MEASURED_ROTATIONS} rotations. A map is "
        "rotated by a fit of spherical harmonics, and what the grid does not determine counts as "
        "error. Of the 2D CNN, whose maps live on another grid, the logits alone are shown.",
    )
    page.report.table(
        ["layer", *errors],
        [
            [name, *(f"{of[name]:.3f}" if name in of else "–" for of in errors.values())]
            for name in names
        ],
    )


def _errors_by_step(
    output: Path, recipe: DigitsRecipe, digits: Digits, key: RunKey
) -> Iterator[tuple[str, float]]:
    """The rotation errors of a trained network, by names that two networks share."""
    model = _trained(output, key)
    sampling = sampling_of(model)
    chosen = digits.test.take(np.arange(min(_NUM_MEASURED_IMAGES, len(digits.test))))
    levels = (
        [graph.sampling for graph in _pyramid(recipe).graphs]
        if key.network == "deepsphere"
        else [sampling]
    )
    measured = layer_rotation_errors(
        model,
        lambda rotation: torch.tensor(
            _signals(
                chosen,
                sampling,
                recipe.data,
                None if rotation is None else np.repeat(rotation[None], len(chosen), axis=0),
            )
        )[..., None],
        samplings=levels,
        rotations=evaluation_rotations(_NUM_MEASURED_ROTATIONS, per_image=1)[:, 0],
    )
    # the maps of the 2D CNN are images, of which the errors would start at the statistics
    shown = measured if key.network == "deepsphere" else measured[-1:]
    counts: dict[str, int] = {}
    for layer in shown:
        step = _step(model, layer)
        counts[step] = counts.get(step, 0) + 1
        yield (step if layer.invariant else f"{step} {counts[step]}"), layer.error


def _step(model: nn.Module, layer: LayerError) -> str:
    """What a layer is called: by the class of the pooling whose work it does, or by its own."""
    parent = model.get_submodule(layer.name.rpartition(".")[0])
    for kind in (type(parent).__name__, layer.kind):
        if kind in _STEPS:
            return _STEPS[kind]
    return layer.kind.lower()


def _trained(output: Path, key: RunKey) -> nn.Module:
    """The model of a finished run."""
    return load(output / RUN_FOLDER / key.folder / MODEL_FILE)


def _pyramid(recipe: DigitsRecipe) -> Pyramid:
    """The levels of DeepSphere."""
    domain = build_domain(recipe, "deepsphere")
    assert isinstance(domain, Pyramid)
    return domain


def _one_of_each_class(split: ImageSplit, num: int) -> ImageSplit:
    """The first image of each of the first classes that there are."""
    first: Int[np.ndarray, " classes"] = np.unique(split.labels, return_index=True)[1]
    return split.take(first[:num])


def _signals(
    split: ImageSplit,
    sampling: Sampling,
    section: DataSection,
    rotations: Float[np.ndarray, "images 3 3"] | None = None,
) -> Float[np.ndarray, "images vertices"]:
    """Images on a sampling, each under its rotation."""
    signals = stereographic_signals(
        torch.tensor(split.images),
        torch.tensor(sampling.points, dtype=torch.float32),
        None if rotations is None else torch.tensor(rotations, dtype=torch.float32),
        cap_deg=section.cap_deg,
        fit=section.fit,
    )
    return signals[..., 0].numpy()
