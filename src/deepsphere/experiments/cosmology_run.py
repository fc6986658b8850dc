"""One training of the cosmology experiment: one network, trained once and scored."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn

from deepsphere.data.map_sets import MapSet
from deepsphere.experiments.cosmology_config import (
    CosmologyNetwork,
    CosmologyRecipe,
    CosmologyTraining,
)
from deepsphere.experiments.cosmology_data import MapParts, patches_of
from deepsphere.experiments.cosmology_record import CosmologyKey, CosmologyRecord
from deepsphere.experiments.cosmology_scores import score_classes, score_parameters
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.training_run import (
    LAST_FILE,
    RECORD_FILE,
    resumable,
    train_and_save,
)
from deepsphere.graph import Pyramid, build_pyramid
from deepsphere.models import MODELS, num_parameters
from deepsphere.sampling import Sampling
from deepsphere.sampling.healpix_patches import num_patches
from deepsphere.tasks import Classification, Regression
from deepsphere.training import FitResult, seeded
from deepsphere.training.map_data import SphericalMaps
from deepsphere.training.map_samples import Split


def build_domain(network: CosmologyNetwork, sampling: Sampling) -> Pyramid | Sampling:
    """Where a network lives: the graphs of a patch on its levels, or the patch.

    Parameters
    ----------
    network
        With its graph, if it has one.
    sampling
        Of the patches.

    Returns
    -------
    Pyramid or Sampling
    """
    if network.graph is None:
        return sampling
    options: dict[str, Any] = network.graph.model_dump(exclude_none=True)
    return build_pyramid(sampling, **options)


def build_network(
    network: CosmologyNetwork,
    domain: Pyramid | Sampling,
    *,
    in_channels: int,
    num_outputs: int,
) -> nn.Module:
    """The network of a row, with fresh weights.

    Parameters
    ----------
    network
        Its numbers.
    domain
        See `build_domain`.
    in_channels, num_outputs
        Of the maps and the task.

    Returns
    -------
    Module
        Maps signals (batch, vertices, channels) to (batch, outputs).

    Raises
    ------
    ValueError
        If the model has no such argument.
    """
    build: Any = MODELS[network.model]
    try:
        return build(domain, in_channels=in_channels, out_channels=num_outputs, **network.config)
    except TypeError as error:
        raise ValueError(
            f"networks.config of {network.name!r} must hold arguments of {network.model}: {error}"
        ) from error


def num_outputs_of(recipe: CosmologyRecipe, maps: MapSet) -> int:
    """Outputs of a network of the recipe: one for each class, or for what the loss asks for.

    Parameters
    ----------
    recipe
        With target and loss.
    maps
        With classes and parameters.

    Returns
    -------
    int
    """
    if recipe.data.target == "class":
        return len(maps.class_names)
    return Regression(len(maps.parameter_names), loss=recipe.training.loss).num_model_outputs


def task_of(
    recipe: CosmologyRecipe, training: CosmologyTraining, data: SphericalMaps
) -> Classification | Regression:
    """What a network learns.

    Parameters
    ----------
    recipe, training
        With target and loss.
    data
        With the names of the classes, or the scaling of the parameters.

    Returns
    -------
    Classification or Regression
    """
    if recipe.data.target == "class":
        return Classification(tuple(data.train.class_names))
    return Regression.standardizing(
        np.asarray(data.train.parameters, np.float64),
        loss=training.loss,
        names=data.train.parameter_names,
    )


def train_network(
    recipe: CosmologyRecipe,
    key: CosmologyKey,
    data: SphericalMaps,
    *,
    domain: Pyramid | Sampling,
    folder: Path,
    options: RunOptions,
    fingerprint: str | None = None,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> FitResult:
    """A network, trained by a recipe and written to ``folder/model.ckpt``.

    Parameters
    ----------
    recipe
        How it is trained.
    key
        Which network, on what.
    data
        The patches.
    domain
        Where it lives, see `build_domain`.
    folder
        For checkpoints and logs; those of an earlier training are replaced.
    options
        How this machine computes.
    fingerprint
        Of recipe and data, for the checkpoints.
    resume
        A checkpoint of the same training to go on from.
    callbacks
        More of Lightning's.

    Returns
    -------
    FitResult
    """
    training = recipe.training_of(key.network)
    task = task_of(recipe, training, data)
    with seeded(key.seed):
        model = build_network(
            key.network,
            domain,
            in_channels=data.train.num_channels,
            num_outputs=task.num_model_outputs,
        )
    origin = {
        "recipe": recipe.model_dump(mode="json", include={"title", "data", "simulation"}),
        "network": key.network.model_dump(mode="json", include={"name"}),
        "order": key.setting.order,
        "noise": key.setting.noise,
        "seed": key.seed,
        "fingerprint": fingerprint,
    }
    result = train_and_save(
        model,
        task,
        data,
        training,
        origin=origin,
        seed=key.seed,
        folder=folder,
        options=options,
        resume=resume,
        callbacks=callbacks,
    )
    return result


def run_network(
    recipe: CosmologyRecipe,
    key: CosmologyKey,
    parts: MapParts,
    *,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> CosmologyRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, folder, options, callbacks
        See `train_network`.
    parts
        The maps.
    fingerprint
        Of recipe and data.

    Returns
    -------
    CosmologyRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    training = recipe.training_of(key.network)
    data = patches_of(recipe, parts, key.setting, training, seed=key.seed)
    result = train_network(
        recipe,
        key,
        data,
        domain=build_domain(key.network, data.sampling),
        folder=folder,
        options=options,
        fingerprint=fingerprint,
        resume=resumable(folder / LAST_FILE, fingerprint),
        callbacks=callbacks,
    )
    start = time.perf_counter()
    module = result.module
    with cpu_threads(training.num_threads):
        scores, confusion = score_network(
            module.model, module.task, data, recipe.data.scored_on, order=key.setting.order
        )
    record = CosmologyRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(module.model),
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        scores=scores,
        confusion=confusion,
    )
    record.write(folder / RECORD_FILE)
    return record


def score_network(
    model: nn.Module,
    task: Any,
    data: SphericalMaps,
    part: Split,
    *,
    order: int,
) -> tuple[dict[str, float], list[list[int]] | None]:
    """The scores of a network on a part of the data.

    Parameters
    ----------
    model
        Trained.
    task
        What it learned.
    data
        With the part.
    part
        "test", "validation" or "train".
    order
        Of the patches.

    Returns
    -------
    scores : dict
    confusion : list of list of int or None
        None for parameters.
    """
    outputs, targets = _outputs(model, data, part)
    if isinstance(task, Classification):
        return score_classes(outputs.numpy(), targets.numpy(), num_patches=num_patches(order))
    quantities = task.quantities(outputs)
    names = task.quantity_names
    predicted = np.stack([quantities[name].numpy() for name in names], axis=1)
    deviations = [quantities[name].numpy() for name in quantities if name not in names]
    scores = score_parameters(
        predicted,
        targets.numpy(),
        names=names,
        deviations=np.stack(deviations, axis=1) if deviations else None,
    )
    return scores, None


def _outputs(
    model: nn.Module, data: SphericalMaps, part: Split
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets of all patches of a part, in their order, on the CPU."""
    parameter = next(model.parameters())
    model.eval()
    outputs, targets = [], []
    with torch.inference_mode():
        for signals, of_batch in data.split_signals(part):
            outputs.append(model(torch.from_numpy(signals).to(parameter)).float().cpu())
            targets.append(torch.from_numpy(of_batch))
    return torch.cat(outputs), torch.cat(targets)
