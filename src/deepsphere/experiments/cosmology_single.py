"""One network of the cosmology experiment: trained alone, and scored from its checkpoint alone."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from deepsphere.data.simulated_maps import read_plan
from deepsphere.experiments.cosmology_config import CosmologyRecipe
from deepsphere.experiments.cosmology_data import (
    MapParts,
    open_map_splits,
    patches_of,
    plan_of,
    settings_of,
)
from deepsphere.experiments.cosmology_record import CosmologyKey, Setting
from deepsphere.experiments.cosmology_rows import score_names
from deepsphere.experiments.cosmology_run import build_domain, score_network, train_network
from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import (
    MAP_FOLDER,
    RESULTS_FILE,
    check_no_results,
)
from deepsphere.experiments.results import Results, make_row, write_results
from deepsphere.experiments.run_progress import run_progress
from deepsphere.experiments.training_request import (
    TrainingRequest,
    TrainingSummary,
    check_training_folder,
    requested_network,
    requested_recipe,
    summarize_training,
)
from deepsphere.experiments.training_run import check_machine
from deepsphere.tasks import task_from_spec
from deepsphere.training import ChannelScaling, Metadata, load, read_metadata
from deepsphere.training.checkpoint import model_sampling

DEFAULT_RECIPE = "cosmology"
_MOST_PARENTS = 3  # of a checkpoint, in which the maps of its training are looked for


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network of patches that a user asks for.

    Parameters
    ----------
    request
        By default the first fully convolutional network of the recipe cosmology, on its first
        order and noise.
    output, resume, overwrite, options
        See `train_one`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `read_recipe` and `train_one`; or if there is no such network, or something is asked
        for that only other experiments know.
    """
    recipe = requested_recipe(
        request,
        CosmologyRecipe,
        default=DEFAULT_RECIPE,
        unknown=("rotate", "perturbation", "sampling", "objective"),
        hint="maps have a sampling of their own (--set simulation.nside=64, --set data.orders=[2]) "
        "and are moved by --set training.symmetries=flips",
    )
    graphs = [network for network in recipe.networks if network.model == "fcn"]
    network = requested_network(request, recipe.networks, default=(graphs or recipe.networks)[0])
    return train_one(
        recipe,
        CosmologyKey(network, settings_of(recipe)[0], request.seed),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
    )


def train_one(
    recipe: CosmologyRecipe,
    key: CosmologyKey,
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
        Which network, from which seed, on which patches.
    output
        The folder: new, empty, or one of the two below.
    data
        Where the maps lie; None simulates them, in the folder ``maps`` of `output`.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.
    options
        How this machine computes.

    Returns
    -------
    TrainingSummary
        Its notes say what the maps are.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `check_training_folder` and `open_map_splits`; or if the training to resume is another
        one.
    """
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    parts = _open_parts(recipe, output, data=data, progress=options.progress)
    training = recipe.training_of(key.network)
    patches = patches_of(recipe, parts, key.setting, training, seed=key.seed)
    result = train_network(
        recipe,
        key,
        patches,
        domain=build_domain(key.network, patches.sampling),
        folder=output,
        options=options,
        resume=last,
    )
    return summarize_training(result, output, notes=parts.train.notes)


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Results:
    """Score the network of a checkpoint on the test maps, split and made noisy as in training.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        Where the maps lie; None for the simulated ones of the training, which are made again
        beside the checkpoint if they are gone.
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
        If the checkpoint is damaged, does not say what it was trained on, or the data are other
        maps than those that its network takes.
    """
    check_no_results(output, overwrite=overwrite)
    metadata = read_metadata(checkpoint)
    recipe, setting = _training_of(metadata)
    model = load(checkpoint)
    folder = _folder_of_maps(checkpoint, recipe) if data is None else checkpoint.parent
    parts = _open_parts(recipe, folder, data=data, progress=progress)
    _check_maps(parts, metadata, model)
    start = time.perf_counter()
    patches = patches_of(
        recipe,
        parts,
        setting,
        recipe.training,
        seed=0,
        scaling=ChannelScaling.from_values(metadata.normalization),
    )
    task = task_from_spec(metadata.task or {})
    scores, confusion = score_network(model, task, patches, "test", order=setting.order)
    seconds = time.perf_counter() - start
    rows = [
        make_row(f"{score.name}, {setting.title}", [scores[score.name]], unit=score.unit, seconds=s)
        for score, s in zip(score_names(recipe), [seconds] + [0.0] * len(scores), strict=False)
    ]
    results = evaluation_results(
        rows,
        model,
        title=f"{checkpoint} on {len(parts.test):,} test maps",
        command=command,
        notes=parts.test.notes,
    )
    if output is not None:
        from deepsphere.experiments.pages import save_confusion

        if confusion is not None:
            save_confusion(
                output,
                "confusion",
                np.array(confusion),
                parts.test.class_names,
                title="patches of the test maps",
            )
        write_results(output / RESULTS_FILE, results)
    return results


def _open_parts(
    recipe: CosmologyRecipe, folder: Path, *, data: Path | None, progress: bool
) -> MapParts:
    """The maps, split, with a bar for as long as they are simulated."""
    with run_progress(1, 1, shown=progress) as bar:
        return open_map_splits(recipe, folder, data=data, announce=bar.announce)


def _training_of(metadata: Metadata) -> tuple[CosmologyRecipe, Setting]:
    """The recipe of a training as far as its data go, and the patches that it was on."""
    training: dict[str, Any] = metadata.training or {}
    try:
        values = training["recipe"]
        setting = Setting(int(training["order"]), float(training["noise"]))
        network = {"name": training["network"]["name"], "model": "planar_cnn"}
        text = json.dumps({**values, "experiment": "cosmology", "networks": [network]})
        recipe = CosmologyRecipe.model_validate_json(text)
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(
            "checkpoint must say what maps it was trained on, got one that does not; evaluate the "
            "model.ckpt of  deepsphere train cosmology"
        ) from error
    return recipe, setting


def _folder_of_maps(checkpoint: Path, recipe: CosmologyRecipe) -> Path:
    """The folder that holds the simulated maps of a training; that of the checkpoint if none."""
    plan = plan_of(recipe.simulation)
    for folder in list(checkpoint.resolve().parents)[:_MOST_PARENTS]:
        try:
            if read_plan(folder / MAP_FOLDER) == plan:
                return folder
        except (OSError, ValueError):
            continue
    return checkpoint.parent


def _check_maps(parts: MapParts, metadata: Metadata, model: Any) -> None:
    """Raise unless the maps are such as the network was trained on."""
    projection = metadata.projection or {}
    sampling = model_sampling(model)
    nside = projection.get("nside")
    if sampling is None or parts.test.nside != nside:
        raise ValueError(
            f"data must hold maps at nside {nside}, as the checkpoint was trained on, got "
            f"{parts.test.nside}; name those of its training with --data"
        )
    if metadata.class_names is not None and parts.test.class_names != metadata.class_names:
        raise ValueError(
            f"data must hold maps of the classes {', '.join(metadata.class_names)}, got "
            f"{', '.join(parts.test.class_names)}; name those of its training with --data"
        )
