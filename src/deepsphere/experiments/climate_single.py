"""One network of the climate experiment: trained alone, and scored from its checkpoint alone."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from deepsphere.experiments.climate_config import ClimateNetwork, ClimateRecipe
from deepsphere.experiments.climate_data import (
    EventParts,
    first_windows,
    keep_parts,
    maps_of,
    open_parts,
    scaling_of,
)
from deepsphere.experiments.climate_record import ClimateKey
from deepsphere.experiments.climate_run import score_network, train_network
from deepsphere.experiments.climate_scores import score_names
from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
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
from deepsphere.sampling import Icosahedral, Sampling, sampling_from_spec
from deepsphere.tasks import Segmentation, task_from_spec
from deepsphere.training import Metadata, load, read_metadata
from deepsphere.training.checkpoint import model_sampling

DEFAULT_RECIPE = "climate"


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network on events that a user asks for.

    Parameters
    ----------
    request
        By default the first U-Net of the recipe climate; where a sampling is asked for, the first
        that can be on it.
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
    overrides = {}
    if request.sampling is not None:
        if request.data is not None:
            raise ValueError(
                f"sampling must be left out with --data, got {request.sampling}; the maps have a "
                "sampling of their own"
            )
        overrides["simulation.sampling"] = request.sampling
    recipe = requested_recipe(
        request,
        ClimateRecipe,
        default=DEFAULT_RECIPE,
        unknown=("rotate", "perturbation", "objective"),
        hint="maps are moved by --set training.symmetries=flips",
        overrides=overrides,
    )
    named, chosen = request.network is not None, request.sampling is not None
    first = recipe.networks[0] if named else _first_network(recipe, chosen=chosen)
    network = requested_network(request, recipe.networks, default=first)
    return train_one(
        recipe,
        ClimateKey(network, request.seed),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
    )


def _first_network(recipe: ClimateRecipe, *, chosen: bool) -> ClimateNetwork:
    """The first network that looks around, of those for which a chosen sampling will do."""
    graphs = [network for network in recipe.networks if network.model != "dense_regressor"]
    graphs = graphs or list(recipe.networks)
    if not chosen:
        return graphs[0]
    sampling = sampling_from_spec(recipe.simulation.sampling)
    if not isinstance(sampling, Icosahedral):
        # whose coarse vertices alone are the first of the fine ones
        others = [one for one in graphs if one.config.get("pooling") != "keep_first"]
        graphs = others or graphs
    num_levels = [one.graph.num_levels for one in graphs if one.graph is not None]
    there = _count_levels(sampling, max(num_levels))
    if there < min(num_levels):
        raise ValueError(
            f"sampling must have {min(num_levels)} levels for a network of {recipe.title!r}, got "
            f"{recipe.simulation.sampling}, which has {there}; take a finer one, or name a recipe "
            "of yours whose networks have fewer num_levels with --recipe"
        )
    return next(one for one, num in zip(graphs, num_levels, strict=True) if num <= there)


def _count_levels(sampling: Sampling, most: int) -> int:
    """A sampling and those that are coarser and coarser, as far as they go."""
    for number in range(1, most):
        try:
            sampling = sampling.coarsen()
        except ValueError:
            return number
    return most


def train_one(
    recipe: ClimateRecipe,
    key: ClimateKey,
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
        Which network, from which seed.
    output
        The folder: new, empty, or one of the two below.
    data
        Where the maps lie; None simulates them.
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
        See `check_training_folder` and `open_parts`; or if the training to resume is another one.
    """
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    recipe = recipe.on_maps_of(data)
    parts = _made_parts(recipe, data=data, progress=options.progress)
    maps = maps_of(recipe, parts, key.network, recipe.training_of(key.network), seed=key.seed)
    result = train_network(recipe, key, maps, folder=output, options=options, resume=last)
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
    """Score the network of a checkpoint on the test maps of its training, or on others.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        Where the maps lie; None for the simulated ones of the training, which are made again.
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
    recipe = _training_of(metadata)
    model = load(checkpoint)
    parts = open_parts(recipe, data=data)
    _check_maps(parts, metadata, model)
    start = time.perf_counter()
    # nothing is asked of the other parts
    few = first_windows(parts, recipe, num=1)
    maps = maps_of(
        recipe,
        EventParts(few.train, few.validation, parts.test),
        recipe.networks[0],
        recipe.training,
        seed=0,
        scaling=scaling_of(metadata, parts.test.num_channels),
    )
    task = task_from_spec(metadata.task or {})
    assert isinstance(task, Segmentation)  # `_training_of` has seen that
    most_exact = recipe.data.most_exact_vertices
    tested = score_network(model, task, maps, "test", most_exact=most_exact)
    seconds = time.perf_counter() - start
    rows = [
        make_row(name, [tested.scores[name]], unit="%", seconds=seconds if index == 0 else 0.0)
        for index, name in enumerate(score_names(task.class_names))
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

        save_confusion(
            output,
            "confusion",
            np.array(tested.confusion),
            task.class_names,
            title="vertices of the test maps",
        )
        write_results(output / RESULTS_FILE, results)
    return results


def _made_parts(recipe: ClimateRecipe, *, data: Path | None, progress: bool) -> EventParts:
    """The maps, with a bar for as long as they are simulated or read."""
    with run_progress(1, 1, shown=progress) as bar:
        return keep_parts(open_parts(recipe, data=data), bar.announce)


def _training_of(metadata: Metadata) -> ClimateRecipe:
    """The recipe of a training as far as its data go, with its network."""
    training: dict[str, Any] = metadata.training or {}
    try:
        network = {**training["network"], "graph": {}}
        text = json.dumps({**training["recipe"], "experiment": "climate", "networks": [network]})
        recipe = ClimateRecipe.model_validate_json(text)
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(
            "checkpoint must say what maps it was trained on, got one that does not; evaluate the "
            "model.ckpt of  deepsphere train climate"
        ) from error
    if (metadata.task or {}).get("task") != "segmentation":
        raise ValueError(
            "checkpoint must be of a network that segments, got one with the task "
            f"{(metadata.task or {}).get('task')!r}"
        )
    return recipe


def _check_maps(parts: EventParts, metadata: Metadata, model: Any) -> None:
    """Raise unless the maps are such as the network was trained on."""
    sampling = model_sampling(model)
    if parts.test.sampling != sampling:
        raise ValueError(
            f"data must hold maps on {sampling!r}, as the checkpoint was trained on, got "
            f"{parts.test.sampling!r}; name those of its training with --data"
        )
    projection = metadata.projection or {}
    expected = {
        # of stacked frames the last one, whose names say no lag
        "channels": tuple(projection.get("channel_names", ()))[-parts.test.num_channels :],
        "classes": metadata.class_names,
    }
    given = {"channels": parts.test.channel_names, "classes": parts.test.class_names}
    for name, of_test in given.items():
        if expected[name] != of_test:
            raise ValueError(
                f"data must hold maps with the {name} {', '.join(expected[name] or ())}, got "
                f"{', '.join(of_test)}; name those of its training with --data"
            )
