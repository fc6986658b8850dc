"""One network of digits: trained alone, and scored from its checkpoint alone."""

import time
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from deepsphere.data import ImageSplit, load_mnist
from deepsphere.experiments.digits_config import DataSection, DigitsRecipe
from deepsphere.experiments.digits_data import load_images
from deepsphere.experiments.digits_record import NETWORKS, NetworkName, RunKey
from deepsphere.experiments.digits_run import (
    build_domain,
    sampling_of,
    train_network,
)
from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.results import Results, make_row, write_results
from deepsphere.experiments.training_request import (
    TrainingRequest,
    TrainingSummary,
    check_training_folder,
    refuse_unknown,
    summarize_training,
)
from deepsphere.experiments.training_run import check_machine
from deepsphere.training import (
    ClassifierScores,
    Metadata,
    evaluate_classifier,
    load,
    read_metadata,
)


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network of digits that a user asks for.

    Parameters
    ----------
    request
        By default DeepSphere with rotations, by the recipe digits, or mnist where there are data.
    output, resume, overwrite, options
        See `train_one`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `read_recipe` and `train_one`; or if the request is about shapes, or there is no such
        network.
    """
    hint = "images are classified, as they are (--no-rotate) or rotated (--rotate)"
    refuse_unknown(request, ("perturbation", "objective"), what="digits", hint=hint)
    networks: dict[str, NetworkName] = {name: name for name in NETWORKS}
    network = networks.get(request.network or NETWORKS[0])
    if network is None:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {request.network!r}")
    named = {"graph.sampling": request.sampling, "training.epochs": request.epochs}
    given = {key: value for key, value in named.items() if value is not None}
    recipe = read_recipe(
        request.recipe or ("digits" if request.data is None else "mnist"),
        quick=request.quick,
        overrides={**request.overrides, **given},
        recipe_type=DigitsRecipe,
    )
    return train_one(
        recipe,
        RunKey(request.seed, network, rotated=request.rotate is not False),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
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
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    digits = load_images(recipe.data, data)
    domain = build_domain(recipe, key.network)
    result, _ = train_network(
        recipe,
        key,
        digits,
        domain=domain,
        folder=output,
        options=options,
        resume=last,
    )
    return summarize_training(result, output)


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
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
    progress
        Whether to show that something is being done.

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
    check_no_results(output, overwrite=overwrite)
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
    num_threads = None if recipe is None else recipe.training.num_threads
    with Console(stderr=True, quiet=not progress).status("scoring"), cpu_threads(num_threads):
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
    ]
    results = evaluation_results(
        rows, model, title=f"{checkpoint} on {len(images):,} images", command=command
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
    from deepsphere.experiments.pages import save_confusion

    save_confusion(output, "confusion-nr", unrotated.confusion, classes, title="images as they are")
    save_confusion(output, "confusion-r", rotated.confusion, classes, title="rotated images")
