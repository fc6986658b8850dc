"""One training of the shapes experiment: one network, trained once and scored under its tests."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import nn

from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    ShapesRecipe,
    ShapesTraining,
)
from deepsphere.experiments.shapes_data import SplitSignals
from deepsphere.experiments.shapes_record import ShapesKey, ShapesRecord
from deepsphere.experiments.shapes_scores import score_outputs
from deepsphere.experiments.training_run import (
    LAST_FILE,
    RECORD_FILE,
    resumable,
    train_and_save,
)
from deepsphere.graph import Pyramid, build_pyramid
from deepsphere.models import MODELS, num_parameters
from deepsphere.sampling import Sampling, sampling_from_spec
from deepsphere.tasks import Classification, TripletClassification, relative_change
from deepsphere.training import (
    FitResult,
    SphericalShapes,
    compute_outputs,
    seeded,
)

IN_CHANNELS = 6


def build_domain(network: NetworkSection) -> Pyramid | Sampling:
    """Where a network lives: the graphs of its levels, or its sampling.

    Parameters
    ----------
    network
        Which one.

    Returns
    -------
    Pyramid or Sampling
    """
    sampling = sampling_from_spec(network.sampling)
    if network.graph is None:
        return sampling
    options: dict[str, Any] = network.graph.model_dump(exclude_none=True)
    return build_pyramid(sampling, **options)


def build_network(
    network: NetworkSection, domain: Pyramid | Sampling, *, num_classes: int
) -> nn.Module:
    """The network of a row, with fresh weights.

    Parameters
    ----------
    network
        Its numbers.
    domain
        See `build_domain`.
    num_classes
        Outputs.

    Returns
    -------
    Module
        Maps signals (batch, vertices, 6) to logits (batch, classes).

    Raises
    ------
    ValueError
        If the model has no such argument.
    """
    build: Any = MODELS[network.model]
    try:
        return build(domain, in_channels=IN_CHANNELS, out_channels=num_classes, **network.config)
    except TypeError as error:
        raise ValueError(
            f"networks.config of {network.name!r} must hold arguments of {network.model}: {error}"
        ) from error


def train_network(
    recipe: ShapesRecipe,
    key: ShapesKey,
    signals: SplitSignals,
    *,
    classes: Sequence[str],
    domain: Pyramid | Sampling,
    folder: Path,
    options: RunOptions,
    fingerprint: str | None = None,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> tuple[FitResult, SphericalShapes]:
    """A network, trained by a recipe and written to ``folder/model.ckpt``, and its data.

    Parameters
    ----------
    recipe
        How it is trained.
    key
        Which network, and how its shapes are moved.
    signals
        What it learns from.
    classes
        Names of the classes.
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
    result : FitResult
    data : SphericalShapes
    """
    training = recipe.training_of(key.network)
    with seeded(key.seed):
        model = build_network(key.network, domain, num_classes=len(classes))
    data = SphericalShapes(
        signals.train,
        validation=signals.validation,
        batch_size=training.batch_size,
        views_per_epoch=training.views_per_epoch,
        seed=key.seed,
    )
    origin = {
        "recipe": recipe.model_dump(mode="json", include={"title", "data"}),
        "network": key.network.model_dump(mode="json", include={"name"}),
        "perturbation": key.perturbation,
        "seed": key.seed,
        "fingerprint": fingerprint,
    }
    result = train_and_save(
        model,
        _task(training, classes),
        data,
        training,
        origin=origin,
        seed=key.seed,
        folder=folder,
        options=options,
        resume=resume,
        callbacks=callbacks,
    )
    return result, data


def run_network(
    recipe: ShapesRecipe,
    key: ShapesKey,
    signals: SplitSignals,
    *,
    turned: ProjectedShapes,
    classes: Sequence[str],
    domain: Pyramid | Sampling,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> ShapesRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, signals, classes, domain, folder, options, callbacks
        See `train_network`.
    turned
        Scored shapes in two or more rotations and in place: on them the rotation error is
        measured.
    fingerprint
        Of recipe and data.

    Returns
    -------
    ShapesRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    result, data = train_network(
        recipe,
        key,
        signals,
        classes=classes,
        domain=domain,
        folder=folder,
        options=options,
        fingerprint=fingerprint,
        resume=resumable(folder / LAST_FILE, fingerprint),
        callbacks=callbacks,
    )
    model, start = result.module.model, time.perf_counter()
    training = recipe.training_of(key.network)
    with cpu_threads(training.num_threads):
        scores = {
            name: score_outputs(compute_outputs(model, test, data.scaling), test, signals.scored)
            for name, test in signals.tests.items()
        }
        outputs = compute_outputs(model, turned, data.scaling)
    record = ShapesRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(model),
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        change=change_between_views(outputs.logits),
        descriptor_change=change_between_views(outputs.descriptors),
        scores=dict(scores),
        projection={name: report.summary() for name, report in signals.reports.items()},
    )
    record.write(folder / RECORD_FILE)
    return record


def change_between_views(outputs: torch.Tensor) -> float:
    """Mean of |f(Rx) − f(x)| / |f(x)|, x the first view of a shape and Rx the others.

    Parameters
    ----------
    outputs
        Shape (shapes, views, outputs), two views or more.

    Returns
    -------
    float

    Examples
    --------
    >>> change_between_views(torch.tensor([[[2.0], [2.5], [1.0]]]))
    0.375
    """
    first, others = outputs[:, :1], outputs[:, 1:]
    return relative_change(others, first.expand_as(others))


def _task(
    training: ShapesTraining, classes: Sequence[str]
) -> Classification | TripletClassification:
    """What a network learns."""
    if training.triplet_weight > 0:
        return TripletClassification(tuple(classes), training.triplet_weight, training.margin)
    return Classification(tuple(classes))
