"""One run of the digits experiment: one network, trained once and scored on two sets."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from torch import nn

from deepsphere.data import Digits
from deepsphere.experiments.digits_config import DigitsRecipe
from deepsphere.experiments.digits_record import NetworkName, RunKey, RunRecord, Score
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.training_run import (
    LAST_FILE,
    MODEL_FILE,
    RECORD_FILE,
    fit_with_options,
    resumable,
)
from deepsphere.graph import Pyramid, build_graph
from deepsphere.models import FCN, CNN2d, num_parameters
from deepsphere.sampling import Equiangular, Sampling, sampling_from_spec
from deepsphere.tasks import Classification
from deepsphere.training import (
    ClassifierScores,
    FitResult,
    Metadata,
    Optimization,
    SphereModule,
    SphericalImages,
    evaluate_classifier,
    save,
    seeded,
)


def build_domain(recipe: DigitsRecipe, network: NetworkName) -> Pyramid | Equiangular:
    """Where a network lives: the graphs of its levels, or its grid.

    Parameters
    ----------
    recipe
        The numbers.
    network
        Which one.

    Returns
    -------
    Pyramid or Equiangular
    """
    if network == "cnn2d":
        return Equiangular(nlat=recipe.rival.nlat, nlon=recipe.rival.nlon)
    options: dict[str, Any] = recipe.graph.model_dump(exclude={"sampling"}, exclude_none=True)
    graph = build_graph(sampling_from_spec(recipe.graph.sampling), **options)
    return graph.pyramid(num_levels=len(recipe.model.channels))


def build_network(
    recipe: DigitsRecipe, domain: Pyramid | Equiangular, *, num_classes: int
) -> FCN | CNN2d:
    """The network of a recipe that lives there, with fresh weights.

    Parameters
    ----------
    recipe
        Its numbers.
    domain
        See `build_domain`.
    num_classes
        Outputs.

    Returns
    -------
    FCN or CNN2d
        Maps signals (batch, vertices, 1) to logits (batch, classes).

    Examples
    --------
    >>> recipe = DigitsRecipe(experiment="digits", title="a trial")
    >>> grid = build_domain(recipe, "cnn2d")
    >>> type(build_network(recipe, grid, num_classes=10)).__name__
    'CNN2d'
    """
    if isinstance(domain, Equiangular):
        config = recipe.rival.model_dump(exclude={"nlat", "nlon"})
        return CNN2d(domain, in_channels=1, out_channels=num_classes, **config)
    return FCN(domain, in_channels=1, out_channels=num_classes, **recipe.model.model_dump())


def sampling_of(model: nn.Module) -> Sampling:
    """Where a network of this experiment wants its signals.

    Parameters
    ----------
    model
        An `FCN` or a `CNN2d`.

    Returns
    -------
    Sampling
    """
    pyramid = getattr(model, "pyramid", None)
    return model.sampling if pyramid is None else pyramid.graphs[0].sampling  # pyright: ignore


def train_network(
    recipe: DigitsRecipe,
    key: RunKey,
    digits: Digits,
    *,
    domain: Pyramid | Equiangular,
    folder: Path,
    options: RunOptions,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> tuple[FitResult, SphericalImages]:
    """A network, trained by a recipe and written to ``folder/model.ckpt``, and its images.

    Parameters
    ----------
    recipe
        How it is trained.
    key
        Which network, and under which half of a protocol.
    digits
        What it learns from.
    domain
        Where it lives, see `build_domain`.
    folder
        For checkpoints and logs; those of an earlier training are replaced.
    options
        How this machine computes.
    resume
        A checkpoint of the same training to go on from.
    callbacks
        More of Lightning's.

    Returns
    -------
    result : FitResult
    images : SphericalImages
        With the validation images that were set aside.
    """
    with seeded(key.seed):
        model = build_network(recipe, domain, num_classes=len(digits.classes))
    training = recipe.training
    images = SphericalImages(
        digits,
        sampling_of(model),
        rotate_train=key.rotated,
        rotate_test=True,
        batch_size=training.batch_size,
        validation_fraction=recipe.data.validation_fraction,
        cap_deg=recipe.data.cap_deg,
        fit=recipe.data.fit,
        rotations_per_image=recipe.data.test_rotations,
        seed=key.seed,
    )
    module = SphereModule(
        model,
        Classification(digits.classes),
        optimization=Optimization(
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            schedule=training.schedule,
        ),
        metadata=Metadata(projection=images.projection),
    )
    result = fit_with_options(
        module,
        images,
        epochs=training.epochs,
        seed=key.seed,
        folder=folder,
        options=options,
        num_threads=training.num_threads,
        early_stopping=training.early_stopping,
        resume=resume,
        callbacks=callbacks,
    )
    _save_model(folder, module, recipe, key)
    return result, images


def _save_model(folder: Path, module: SphereModule, recipe: DigitsRecipe, key: RunKey) -> None:
    """Write the model with the recipe by which it was trained."""
    values = {
        "recipe": recipe.model_dump(mode="json", exclude={"claims"}),
        "seed": key.seed,
        "rotated": key.rotated,
    }
    metadata = Metadata(
        class_names=module.metadata.class_names,
        projection=module.metadata.projection,
        task=module.metadata.task,
        training=values,
    )
    save(folder / MODEL_FILE, module.model, metadata=metadata, overwrite=True)


def run_network(
    recipe: DigitsRecipe,
    key: RunKey,
    digits: Digits,
    *,
    domain: Pyramid | Equiangular,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> RunRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, digits, domain, folder, options, callbacks
        See `train_network`.
    fingerprint
        Of recipe and data.

    Returns
    -------
    RunRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    result, images = train_network(
        recipe,
        key,
        digits,
        domain=domain,
        folder=folder,
        options=options,
        resume=resumable(folder / LAST_FILE),
        callbacks=callbacks,
    )
    scored = digits.test
    if recipe.data.scored_on == "validation" and images.validation is not None:
        scored = images.validation
    start = time.perf_counter()
    with cpu_threads(recipe.training.num_threads):
        unrotated, rotated = evaluate_classifier(
            result.module.model,
            scored,
            images.sampling,
            cap_deg=recipe.data.cap_deg,
            fit=recipe.data.fit,
            rotations_per_image=recipe.data.test_rotations,
        )
    record = RunRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(result.module.model),
        # of the epochs, not of this call: an interrupted training took longer than its rest
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        unrotated=_score(unrotated),
        rotated=_score(rotated),
        change=rotated.change or 0.0,
    )
    record.write(folder / RECORD_FILE)
    return record


def _score(scores: ClassifierScores) -> Score:
    """The part of the scores that is recorded."""
    return Score(accuracy=100 * scores.accuracy, confusion=scores.confusion.tolist())
