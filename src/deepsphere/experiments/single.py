"""One network: trained alone, and scored from its checkpoint alone."""

import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from deepsphere.data import ImageSplit, load_mnist
from deepsphere.experiments.digits_config import DataSection, DigitsRecipe
from deepsphere.experiments.digits_data import load_images
from deepsphere.experiments.digits_record import RunKey
from deepsphere.experiments.digits_run import (
    build_domain,
    sampling_of,
    train_network,
)
from deepsphere.experiments.machine import describe_machine, describe_versions
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.output import FIGURE_FOLDER, RESULTS_FILE
from deepsphere.experiments.results import Results, make_row, write_results
from deepsphere.experiments.training_run import LAST_FILE, MODEL_FILE, check_machine
from deepsphere.models import num_parameters
from deepsphere.training import (
    ClassifierScores,
    Metadata,
    evaluate_classifier,
    load,
    read_metadata,
)

TRAINED = ("digits",)
"""The experiments of which a network can be trained alone."""


@dataclass(frozen=True)
class TrainingSummary:
    """What came out of one training.

    Parameters
    ----------
    checkpoint
        The model.
    num_parameters
        Numbers that it learned.
    num_epochs
        Epochs, those before a resumption included.
    loss
        Training loss of the last epoch.
    seconds
        Wall time of the epochs.
    """

    checkpoint: Path
    num_parameters: int
    num_epochs: int
    loss: float
    seconds: float


def check_experiment(name: str) -> None:
    """Raise unless there is such an experiment.

    Parameters
    ----------
    name
        What a user wants to train.

    Raises
    ------
    ValueError
        If it is not one that trains a network which is worth keeping.
    """
    if name not in TRAINED:
        raise ValueError(
            f"experiment must be one of {', '.join(TRAINED)}, got {name!r}; "
            "name a recipe of it with --recipe"
        )


def train_one(
    recipe: DigitsRecipe,
    key: RunKey,
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
        Which network, from which seed, with or without rotations.
    output
        The folder: new, empty, or one of the two below.
    data
        Folder of the MNIST files, where the recipe needs one.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.
    options
        How this machine computes.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    FileExistsError
        If the folder is not empty, and neither `resume` nor `overwrite` is given.
    FileNotFoundError
        If there is nothing to resume, or the data are not there.
    ValueError
        If both are given, or the training to resume is another one.
    """
    if resume and overwrite:
        raise ValueError("resume and overwrite must not both be given, got both; choose one")
    last = output / LAST_FILE
    if resume and not last.is_file():
        raise FileNotFoundError(
            f"resume must find {LAST_FILE} in the output folder, got {output} without it; "
            "name the folder of the interrupted training"
        )
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"output must be a folder, got the file {output}; choose another")
    if output.is_dir() and any(output.iterdir()) and not (resume or overwrite):
        raise FileExistsError(
            f"output must be new or empty, got {output} with "
            f"{sum(1 for _ in output.iterdir())} entries; choose another, go on with --resume, or "
            "pass --overwrite"
        )
    options = options or RunOptions()
    check_machine(options)
    digits = load_images(recipe.data, data)
    domain = build_domain(recipe, key.network)
    output.mkdir(parents=True, exist_ok=True)
    # until the training is over, there is nothing that looks like its model
    (output / MODEL_FILE).unlink(missing_ok=True)
    result, _ = train_network(
        recipe,
        key,
        digits,
        domain=domain,
        folder=output,
        options=options,
        resume=last if resume else None,
    )
    return TrainingSummary(
        checkpoint=output / MODEL_FILE,
        num_parameters=num_parameters(result.module.model),
        num_epochs=len(result.history),
        loss=result.history[-1]["train_loss"],
        seconds=sum(row["seconds"] for row in result.history),
    )


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
) -> Results:
    """Score the classifier of a checkpoint on test images as they are, and on rotated ones.

    The images are those that the recipe of its training sets aside for that; a folder of MNIST
    files given for a network that learned other digits is scored whole.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        Folder of the MNIST files.
    output
        Folder for ``results.json`` and the confusion matrices; None writes nothing.
    overwrite
        Whether to replace results in `output`.

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
        If the checkpoint is damaged, or no classifier of digits.
    """
    if output is not None and (output / RESULTS_FILE).exists() and not overwrite:
        raise FileExistsError(
            f"output must not hold results, got {output / RESULTS_FILE}; "
            "choose another folder or pass --overwrite"
        )
    metadata = read_metadata(checkpoint)
    recipe = _recipe_of(metadata)
    section, images = _scored_images(metadata, recipe, data)
    if metadata.class_names != images.classes:
        raise ValueError(
            f"checkpoint must hold a classifier of {', '.join(images.classes)}, got one of "
            f"{', '.join(metadata.class_names or ('nothing',))}; evaluate takes models of digits"
        )
    model = load(checkpoint)
    start = time.perf_counter()
    with cpu_threads(None if recipe is None else recipe.training.num_threads):
        unrotated, rotated = evaluate_classifier(
            model,
            images,
            sampling_of(model),
            cap_deg=section.cap_deg,
            fit=section.fit,
            rotations_per_image=section.test_rotations,
        )
    seconds = time.perf_counter() - start
    is_rotated = (metadata.training or {}).get("rotated")
    trained = "" if is_rotated is None else "R/" if is_rotated else "NR/"
    rows = [
        make_row(f"accuracy {trained}NR", [100 * unrotated.accuracy], unit="%", seconds=seconds),
        make_row(f"accuracy {trained}R", [100 * rotated.accuracy], unit="%", seconds=seconds),
        make_row("change under R", [rotated.change or 0.0], seconds=seconds),
        make_row("parameters", [float(num_parameters(model))], seconds=0.0),
    ]
    results = Results(
        rows=rows,
        recipe={"title": f"{checkpoint} on {len(images):,} images"},
        command=command,
        machine=describe_machine(),
        versions=describe_versions(),
    )
    if output is not None:
        _write_confusions(output, unrotated, rotated, images.classes)
        write_results(output / RESULTS_FILE, results)
    return results


def _scored_images(
    metadata: Metadata, recipe: DigitsRecipe | None, folder: Path | None
) -> tuple[DataSection, ImageSplit]:
    """The images that no training of this model has seen, and how to put them on the sphere."""
    if recipe is None:
        projection = metadata.projection or {}
        values = {name: projection[name] for name in ("cap_deg", "fit") if name in projection}
        section = DataSection(**values)
    else:
        section = recipe.data
    if folder is not None and section.source == "digits":
        return section, load_mnist(folder).test
    return section, load_images(section, folder).test


def _recipe_of(metadata: Metadata) -> DigitsRecipe | None:
    """The recipe that a checkpoint of this experiment holds."""
    try:
        return DigitsRecipe.model_validate((metadata.training or {}).get("recipe"))
    except ValidationError:
        return None


def _write_confusions(
    output: Path, unrotated: ClassifierScores, rotated: ClassifierScores, classes: tuple[str, ...]
) -> None:
    """The confusion matrices as pictures."""
    from deepsphere.plotting import plot_confusion

    folder = output / FIGURE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, scores in (
        ("confusion-nr", "images as they are", unrotated),
        ("confusion-r", "rotated images", rotated),
    ):
        figure = plot_confusion(scores.confusion, classes, title=title)
        figure.savefig(folder / f"{name}.png", dpi=160)
