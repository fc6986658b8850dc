"""One training of the stations experiment: one network, trained once for one objective."""

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from deepsphere.data.station_objectives import day_windows
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.stations_config import StationsRecipe, StationTraining
from deepsphere.experiments.stations_data import ObjectiveParts, graph_options
from deepsphere.experiments.stations_record import StationKey, StationsRecord
from deepsphere.experiments.stations_scores import (
    SCORED_FILE,
    predict_scored,
    save_scored,
    score,
)
from deepsphere.experiments.training_run import (
    LAST_FILE,
    RECORD_FILE,
    fit_and_save,
    optimization_of,
    resumable,
)
from deepsphere.models import num_parameters
from deepsphere.training import FitResult, Metadata, SphereModule
from deepsphere.training.station_data import StationData
from deepsphere.training.station_predictor import station_predictor_of
from deepsphere.training.station_preparation import measure_stations
from deepsphere.training.station_shrinkage import shrink_correction


def training_of(recipe: StationsRecipe, key: StationKey, parts: ObjectiveParts) -> StationTraining:
    """How a network is trained on some records.

    Parameters
    ----------
    recipe
        With the numbers of the training.
    key
        Which network, for which objective.
    parts
        The records.

    Returns
    -------
    StationTraining
        With the epochs that its number of steps needs, in smaller batches where those do not
        suffice.
    """
    training = recipe.of(key.objective).training_of(key.network)
    objective = parts.objective
    days = int(np.count_nonzero(day_windows(parts.splits.train.axis, objective).targets >= 0))
    samples = days * (len(objective.inputs) if objective.variables == "separate" else 1)
    size, most = training.batch_size, training.most_epochs
    if most is not None and most * math.ceil(samples / size) < training.least_steps:
        # of a few days there are enough steps in smaller batches alone
        size = max(1, min(size, most * samples // training.least_steps))
    batches = math.ceil(samples / size)
    epochs = max(training.epochs, math.ceil(training.least_steps / batches))
    return training.model_copy(
        update={"batch_size": size, "epochs": epochs if most is None else min(epochs, most)}
    )


def data_of(recipe: StationsRecipe, parts: ObjectiveParts, key: StationKey) -> StationData:
    """What a network learns from, batch by batch.

    Parameters
    ----------
    recipe
        With the numbers of the training.
    parts
        The records.
    key
        Which network, and its seed.

    Returns
    -------
    StationData
        Validated on what is neither learned from nor scored, or on what is scored where that is
        the validation.
    """
    training = training_of(recipe, key, parts)
    train = parts.splits.train
    preparation = measure_stations(
        train,
        parts.objective,
        known=None if parts.hidden is None else ~parts.hidden,
        features=training.features,
        reference=training.reference,
        filling=training.filling,
        hidden_fraction=training.masked_fraction,
    )
    return StationData(
        train,
        objective=parts.objective,
        validation=parts.splits.validation,
        hidden=parts.hidden,
        preparation=preparation,
        batch_size=training.batch_size,
        seed=key.seed,
        graph=graph_options(key.network, train.num_stations, objective=key.objective),
    )


def build_module(
    training: StationTraining, key: StationKey, data: StationData, *, metadata: Metadata
) -> SphereModule:
    """The network of a row, with fresh weights, and what it learns.

    Parameters
    ----------
    training
        See `training_of`.
    key
        Which network.
    data
        See `data_of`.
    metadata
        What its checkpoints shall say.

    Returns
    -------
    SphereModule

    Raises
    ------
    ValueError
        If the network has no such argument.
    """
    try:
        return data.module(
            loss=training.loss,
            optimization=optimization_of(training),
            metadata=metadata,
            **{**key.objective.config, **key.network.config},
        )
    except TypeError as error:
        raise ValueError(
            f"networks.config of {key.network.name!r}, and objectives.config of "
            f"{key.objective.name!r}, must hold arguments of the network: {error}"
        ) from error


def train_network(
    recipe: StationsRecipe,
    key: StationKey,
    parts: ObjectiveParts,
    data: StationData,
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
        Which network, for which objective.
    parts, data
        The records, and the days of them, see `data_of`.
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
    training = training_of(recipe, key, parts)
    origin: dict[str, Any] = {
        "recipe": recipe.model_dump(
            mode="json", include={"title", "data", "simulation", "needs_data"}
        ),
        "objective": key.objective.model_dump(mode="json", exclude={"training"}),
        "network": key.network.model_dump(mode="json", include={"name", "graph"}),
        "seed": key.seed,
        "fingerprint": fingerprint,
    }
    module = build_module(training, key, data, metadata=Metadata(training=dict(origin)))
    shrunken = training.corrections == "shrunken"
    return fit_and_save(
        module,
        data,
        training,
        origin=origin,
        seed=key.seed,
        folder=folder,
        options=options,
        resume=resume,
        callbacks=callbacks,
        finish=partial(shrink_correction, data=data) if shrunken else None,
    )


def run_network(
    recipe: StationsRecipe,
    key: StationKey,
    parts: ObjectiveParts,
    *,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> StationsRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, folder, options, callbacks
        See `train_network`.
    parts
        The records of the objective.
    fingerprint
        Of recipe and data.

    Returns
    -------
    StationsRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    data = data_of(recipe, parts, key)
    result = train_network(
        recipe,
        key,
        parts,
        data,
        folder=folder,
        options=options,
        fingerprint=fingerprint,
        resume=resumable(folder / LAST_FILE, fingerprint),
        callbacks=callbacks,
    )
    start = time.perf_counter()
    with cpu_threads(training_of(recipe, key, parts).num_threads):
        predicted = predict_scored(station_predictor_of(result.module), parts)
    save_scored(folder / SCORED_FILE, predicted, parts)
    record = StationsRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(result.module.model),
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        scores=score(predicted, parts),
    )
    record.write(folder / RECORD_FILE)
    return record
