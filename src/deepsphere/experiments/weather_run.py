"""One training of the weather experiment: one network, trained once and scored."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from torch import nn

from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.training_run import (
    LAST_FILE,
    RECORD_FILE,
    fit_and_save,
    optimization_of,
    resumable,
)
from deepsphere.experiments.weather_config import WeatherNetwork, WeatherRecipe, WeatherTraining
from deepsphere.experiments.weather_data import WeatherParts, windows_of
from deepsphere.experiments.weather_record import WeatherKey, WeatherRecord
from deepsphere.experiments.weather_scores import (
    MAPS_FILE,
    lead_scores,
    save_maps,
    score_forecaster,
)
from deepsphere.graph import Pyramid, build_pyramid
from deepsphere.models import MODELS, num_parameters
from deepsphere.sampling import Sampling, Subset
from deepsphere.tasks import Forecasting
from deepsphere.training import FitResult, Metadata, seeded
from deepsphere.training.forecast_data import ForecastData
from deepsphere.training.forecast_module import ForecastModule
from deepsphere.training.forecaster import forecaster_of
from deepsphere.training.iteration_schedule import IterationSchedule


def build_domain(network: WeatherNetwork, sampling: Sampling) -> Pyramid:
    """The graphs of the samplings on which a network lives.

    Parameters
    ----------
    network
        With its graph.
    sampling
        Of the fields. Seas and lakes that are not connected are taken as they are.

    Returns
    -------
    Pyramid
    """
    assert network.graph is not None  # the recipe says so
    options: dict[str, Any] = network.graph.model_dump(exclude_none=True)
    if isinstance(sampling, Subset):
        options.setdefault("disconnected", "allow")
    return build_pyramid(sampling, **options)


def build_network(network: WeatherNetwork, domain: Pyramid, task: Forecasting) -> nn.Module:
    """The network of a row, with fresh weights.

    Parameters
    ----------
    network
        Its numbers.
    domain
        See `build_domain`.
    task
        With the numbers of inputs and outputs.

    Returns
    -------
    Module
        Maps inputs (batch, vertices, inputs) to fields (batch, vertices, outputs).

    Raises
    ------
    ValueError
        If the model has no such argument.
    """
    build: Any = MODELS[network.model]
    try:
        return build(
            domain,
            in_channels=task.num_model_inputs,
            out_channels=task.num_model_outputs,
            **network.config,
        )
    except TypeError as error:
        raise ValueError(
            f"networks.config of {network.name!r} must hold arguments of {network.model}: {error}"
        ) from error


def train_network(
    recipe: WeatherRecipe,
    key: WeatherKey,
    data: ForecastData,
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
        The windows.
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
    with seeded(key.seed):
        model = build_network(key.network, build_domain(key.network, data.sampling), data.task)
    origin = {
        "recipe": recipe.model_dump(
            mode="json", include={"title", "data", "simulation", "needs_data"}
        ),
        "network": key.network.model_dump(mode="json", include={"name", "model"}),
        "seed": key.seed,
        "fingerprint": fingerprint,
    }
    module = ForecastModule(
        model,
        data,
        optimization=optimization_of(training),
        metadata=Metadata(training=dict(origin)),
    )
    return fit_and_save(
        module,
        data,
        training,
        origin=origin,
        seed=key.seed,
        folder=folder,
        options=options,
        resume=resume,
        callbacks=[*callbacks, *_schedule(training)],
    )


def run_network(
    recipe: WeatherRecipe,
    key: WeatherKey,
    parts: WeatherParts,
    *,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> WeatherRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, folder, options, callbacks
        See `train_network`.
    parts
        The fields.
    fingerprint
        Of recipe and data.

    Returns
    -------
    WeatherRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    training = recipe.training_of(key.network)
    data = windows_of(recipe, parts, training, seed=key.seed)
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
    with cpu_threads(training.num_threads):
        scores = score_forecaster(recipe, forecaster_of(module), parts)
    save_maps(folder / MAPS_FILE, scores)
    record = WeatherRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(module.model),
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        scores=lead_scores(scores),
    )
    record.write(folder / RECORD_FILE)
    return record


def _schedule(training: WeatherTraining) -> list[lightning.Callback]:
    """What adds iterations, where the recipe asks for it."""
    if training.initial_iterations is None:
        return []
    return [
        IterationSchedule(initial=training.initial_iterations, patience=training.iteration_patience)
    ]
