"""One network of shapes: trained alone, and scored from its checkpoint alone."""

import time
from pathlib import Path

import numpy as np

from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.results import Results, make_row, write_results
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    Perturbation,
    ShapesRecipe,
)
from deepsphere.experiments.shapes_data import open_splits, project_splits
from deepsphere.experiments.shapes_model import open_part, open_shapes_model
from deepsphere.experiments.shapes_record import ShapesKey
from deepsphere.experiments.shapes_run import build_domain, train_network
from deepsphere.experiments.shapes_scores import score_outputs
from deepsphere.experiments.training_request import (
    TrainingRequest,
    TrainingSummary,
    check_training_folder,
    refuse_unknown,
    summarize_training,
)
from deepsphere.experiments.training_run import check_machine
from deepsphere.sampling import sampling_from_spec

DEFAULT_RECIPE = "shrec17"


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network of shapes that a user asks for.

    Parameters
    ----------
    request
        By default the first network of the recipe shrec17, on shapes in all rotations.
    output, resume, overwrite, options
        See `train_one`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `read_recipe` and `train_one`; or if there is no such network, or rotations are asked
        for in two ways.
    """
    refuse_unknown(request, ("objective",), what="shapes", hint="they are classified")
    recipe = read_recipe(
        request.recipe or DEFAULT_RECIPE,
        quick=request.quick,
        overrides=request.overrides,
        recipe_type=ShapesRecipe,
    )
    network = recipe.networks[0] if request.network is None else recipe.network(request.network)
    network = _changed(network, sampling=request.sampling, epochs=request.epochs)
    return train_one(
        recipe,
        ShapesKey(network, _perturbation(request), request.seed),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
    )


def train_one(
    recipe: ShapesRecipe,
    key: ShapesKey,
    output: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    options: RunOptions | None = None,
) -> TrainingSummary:
    """Train one network of a recipe; the folder gets its checkpoints and logs.

    Parameters
    ----------
    recipe
        How.
    key
        Which network, from which seed, and how its shapes are moved.
    output
        The folder: new, empty, or one of the two below.
    data
        Where the shapes lie; procedural shapes if there is no place.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.
    options
        How this machine computes.

    Returns
    -------
    TrainingSummary
        Its notes say what became of the shapes.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `check_training_folder` and `open_shapes`; or if the training to resume is another
        one, or none of the shapes can be projected.
    """
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    splits = open_splits(recipe.data, data)
    domain = build_domain(key.network)
    signals = project_splits(
        splits,
        sampling_from_spec(key.network.sampling),
        recipe.data,
        train=key.perturbation,
        tests=(),
        progress=options.progress,
    )
    result, _ = train_network(
        recipe,
        key,
        signals,
        classes=splits.classes,
        domain=domain,
        folder=output,
        options=options,
        resume=last,
    )
    reports = (f"{part}: {report.summary()}" for part, report in signals.reports.items())
    return summarize_training(result, output, notes=(*splits.notes, *reports))


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Results:
    """Score the classifier of a checkpoint on the test shapes, moved as those of its training.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        Where the shapes lie, split as in training; procedural shapes if there is no place.
    output
        Folder for ``results.json`` and the confusion matrix; None writes nothing.
    overwrite
        Whether to replace results in `output`.
    progress
        Whether to show bars.

    Returns
    -------
    Results

    Raises
    ------
    FileNotFoundError
        If `checkpoint` or the data are not there.
    FileExistsError
        If `output` holds results that may not be replaced.
    ValueError
        If the checkpoint is damaged or no classifier of shapes, or the data are of other classes
        or of unknown ones.
    """
    check_no_results(output, overwrite=overwrite)
    model = open_shapes_model(checkpoint)
    shapes, _ = open_part(model, data, "test")
    model.check_classes(shapes)
    if (shapes.labels < 0).any():
        raise ValueError(
            f"data must hold test shapes of known class, got {int((shapes.labels < 0).sum())} of "
            f"{len(shapes)} without one; deepsphere retrieve lists what is found for them"
        )
    start = time.perf_counter()
    projected = model.project(shapes, progress=progress)
    score = score_outputs(model.describe(projected, progress=progress), projected, shapes)
    seconds = time.perf_counter() - start
    moved = model.perturbation
    measured = {
        f"accuracy, {moved}": score.accuracy,
        f"F1, {moved}": score.weighted_f1,
        f"macro F1, {moved}": score.macro_f1,
        f"mAP, {moved}": score.retrieval["micro"]["mAP"],
        f"NDCG, {moved}": score.retrieval["micro"]["NDCG"],
    }
    rows = [make_row(name, [value], unit="%", seconds=seconds) for name, value in measured.items()]
    results = evaluation_results(
        rows,
        model.model,
        title=f"{checkpoint} on {len(shapes):,} test shapes of {shapes.name}",
        command=command,
        notes=[*shapes.notes, *model.notes, projected.report.summary()],
    )
    if output is not None:
        from deepsphere.experiments.pages import save_confusion

        save_confusion(
            output,
            "confusion",
            np.array(score.confusion),
            shapes.classes,
            title="test shapes, every view",
        )
        write_results(output / RESULTS_FILE, results)
    return results


def _perturbation(request: TrainingRequest) -> Perturbation:
    """How shapes are moved; all rotations if nothing is said."""
    if request.perturbation is None:
        return "translation" if request.rotate is False else "so3"
    if request.rotate is not None:
        given = "--rotate" if request.rotate else "--no-rotate"
        raise ValueError(
            f"perturbation and rotate must not both be given, got {request.perturbation} and "
            f"{given}; leave out {given}"
        )
    return request.perturbation


def _changed(
    network: NetworkSection, *, sampling: str | None, epochs: int | None
) -> NetworkSection:
    """The network with another sampling and other epochs, where they are given."""
    changes = {}
    if sampling is not None:
        sampling_from_spec(sampling)  # its own error says more than that of a recipe
        changes["sampling"] = sampling
    if epochs is not None:
        changes["training"] = {**network.training, "epochs": epochs}
    return network.model_copy(update=changes)
