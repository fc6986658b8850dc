"""One training of the climate experiment: one network, trained once and scored."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from deepsphere.data.climate_channels import CLASS_NAMES, CLASS_WEIGHTS
from deepsphere.experiments.climate_config import (
    ClimateNetwork,
    ClimateRecipe,
    ClimateTraining,
)
from deepsphere.experiments.climate_data import EventParts, batches_of, maps_of
from deepsphere.experiments.climate_record import ClimateKey, ClimateRecord
from deepsphere.experiments.climate_scores import TestedMaps, score_maps
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
from deepsphere.tasks import Segmentation, balanced_weights
from deepsphere.training import FitResult, seeded
from deepsphere.training.event_data import SphericalEvents
from deepsphere.training.map_samples import Split


def build_domain(network: ClimateNetwork, sampling: Sampling) -> Pyramid:
    """The graphs of the samplings on which a network lives.

    Parameters
    ----------
    network
        With its graph.
    sampling
        Of the maps.

    Returns
    -------
    Pyramid
    """
    assert network.graph is not None  # the recipe says so
    options: dict[str, Any] = network.graph.model_dump(exclude_none=True)
    return build_pyramid(sampling, **options)


def build_network(
    network: ClimateNetwork, domain: Pyramid, *, in_channels: int, num_outputs: int
) -> nn.Module:
    """The network of a row, with fresh weights.

    Parameters
    ----------
    network
        Its numbers.
    domain
        See `build_domain`.
    in_channels, num_outputs
        Of the maps (all frames, where they are stacked) and the task.

    Returns
    -------
    Module
        Maps signals (batch, vertices, channels), or (batch, frames, vertices, channels), to
        (batch, vertices, outputs).

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


def in_channels_of(recipe: ClimateRecipe, network: ClimateNetwork, num_channels: int) -> int:
    """Channels of what a network takes.

    Parameters
    ----------
    recipe
        With the number of frames.
    network
        With how it takes them.
    num_channels
        Of a map.

    Returns
    -------
    int
    """
    return num_channels * (recipe.data.num_frames if network.frames == "stacked" else 1)


def task_of(training: ClimateTraining, data: SphericalEvents) -> Segmentation:
    """What a network learns.

    Parameters
    ----------
    training
        With the weights.
    data
        With the classes, and the maps by which they are balanced.

    Returns
    -------
    Segmentation

    Raises
    ------
    ValueError
        If published weights are asked for and the classes are others, or a class that is to be
        balanced occurs on no training map.
    """
    names = tuple(data.train.class_names)
    weights: tuple[float, ...] | None = None
    if training.class_weights == "published":
        if names != CLASS_NAMES:
            raise ValueError(
                f"class_weights must not be 'published' for the classes {', '.join(names)}, they "
                f"are those of {', '.join(CLASS_NAMES)}; use 'balanced'"
            )
        weights = CLASS_WEIGHTS
    elif training.class_weights == "balanced":
        weights = balanced_weights(data.train.class_counts().sum(axis=0))
    return Segmentation(
        names,
        class_weights=weights,
        averaging=training.averaging,
        sampling=data.sampling.spec if training.area_weighted else None,
    )


def train_network(
    recipe: ClimateRecipe,
    key: ClimateKey,
    data: SphericalEvents,
    *,
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
        Which network.
    data
        The maps.
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
    task = task_of(training, data)
    with seeded(key.seed):
        model = build_network(
            key.network,
            build_domain(key.network, data.sampling),
            in_channels=in_channels_of(recipe, key.network, data.train.num_channels),
            num_outputs=task.num_model_outputs,
        )
    origin = {
        "recipe": recipe.model_dump(
            mode="json", include={"title", "data", "simulation", "needs_data"}
        ),
        "network": key.network.model_dump(mode="json", include={"name", "model", "frames"}),
        "seed": key.seed,
        "fingerprint": fingerprint,
    }
    return train_and_save(
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


def run_network(
    recipe: ClimateRecipe,
    key: ClimateKey,
    parts: EventParts,
    *,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> ClimateRecord:
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
    ClimateRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    training = recipe.training_of(key.network)
    data = maps_of(recipe, parts, key.network, training, seed=key.seed)
    result = train_network(
        recipe,
        key,
        data,
        folder=folder,
        options=options,
        fingerprint=fingerprint,
        resume=resumable(folder / LAST_FILE, fingerprint),
        callbacks=callbacks,
    )
    start = time.perf_counter()
    module = result.module
    assert isinstance(module.task, Segmentation)
    with cpu_threads(training.num_threads):
        tested = score_network(
            module.model,
            module.task,
            data,
            recipe.data.scored_on,
            most_exact=recipe.data.most_exact_vertices,
        )
    record = ClimateRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(module.model),
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        scores=tested.scores,
        uncertainty=tested.uncertainty,
        confusion=tested.confusion,
        curves=tested.curves,
    )
    record.write(folder / RECORD_FILE)
    return record


def score_network(
    model: nn.Module,
    task: Segmentation,
    data: SphericalEvents,
    part: Split,
    *,
    most_exact: int,
) -> TestedMaps:
    """The scores of a network on a part of the maps.

    Parameters
    ----------
    model
        Trained; left in evaluation mode.
    task
        What it learned.
    data
        With the part.
    part
        "test", "validation" or "train".
    most_exact
        Average precisions are exact for up to so many vertices.

    Returns
    -------
    TestedMaps
    """
    return score_maps(
        _outputs(model, data, part),
        task,
        num_vertices=len(data.windows[part]) * data.sampling.num_vertices,
        most_exact=most_exact,
    )


def _outputs(
    model: nn.Module, data: SphericalEvents, part: Split
) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs and labels of all maps of a part, batch by batch, on the CPU."""
    parameter = next(model.parameters())
    model.eval()
    with torch.inference_mode():
        for signals, labels in batches_of(data, part):
            yield model(signals.to(parameter)).float().cpu(), labels
