"""What all trainings of experiments have in common: their files, and a machine that can do them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from deepsphere.experiments.networks_config import NetworkTraining
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.tasks import Task
from deepsphere.training import (
    FitResult,
    Metadata,
    Optimization,
    SphereModule,
    fit,
    read_metadata,
    read_spec,
    save,
)
from deepsphere.training.data_module import SphereData
from deepsphere.training.quiet import quiet_lightning

MODEL_FILE = "model.ckpt"
LAST_FILE = "last.ckpt"
RECORD_FILE = "run.json"


def check_machine(options: RunOptions) -> None:
    """Raise unless this machine can compute as the options say.

    To be called before anything is removed or begun.

    Parameters
    ----------
    options
        What a user asked for.

    Raises
    ------
    ValueError
        If there is no such accelerator, or not as many devices.
    """
    try:
        with quiet_lightning():
            lightning.Trainer(
                accelerator=options.accelerator,
                devices=options.devices_for_lightning,
                precision=options.precision,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except (MisconfigurationException, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        raise ValueError(
            "accelerator, devices and precision must be those of this machine, got "
            f"{options.accelerator}, {options.devices} and {options.precision}: {reason}; "
            "deepsphere doctor shows what there is"
        ) from error


def fit_with_options(
    module: SphereModule,
    data: SphereData,
    *,
    epochs: int,
    seed: int,
    folder: Path,
    options: RunOptions,
    num_threads: int | None,
    early_stopping: int | None = None,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> FitResult:
    """A module trained by the numbers of a recipe, on the machine that the options name.

    Parameters
    ----------
    module, data
        What is trained, on what.
    epochs, seed, early_stopping
        As in `fit`.
    folder
        For checkpoints and logs; those of an earlier training are replaced, and its model is gone.
    options
        How this machine computes.
    num_threads
        Threads of the CPU; torch's own choice if None.
    resume
        A checkpoint of the same training to go on from.
    callbacks
        More of Lightning's.

    Returns
    -------
    FitResult
    """
    folder.mkdir(parents=True, exist_ok=True)
    # until the training is over, there is nothing that looks like its model
    (folder / MODEL_FILE).unlink(missing_ok=True)
    with cpu_threads(num_threads):
        return fit(
            module,
            data,
            max_epochs=epochs,
            seed=seed,
            accelerator=options.accelerator,
            devices=options.devices_for_lightning,
            precision=options.precision,
            output=folder,
            overwrite=True,
            resume=resume,
            early_stopping=early_stopping,
            progress=options.progress,
            callbacks=callbacks,
        )


def train_and_save(
    model: nn.Module,
    task: Task,
    data: SphereData,
    training: NetworkTraining,
    *,
    origin: Mapping[str, Any],
    seed: int,
    folder: Path,
    options: RunOptions,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> FitResult:
    """A network of a table, trained by its numbers and written to ``folder/model.ckpt``.

    Parameters
    ----------
    model
        With fresh weights.
    task, data
        What it learns, from what.
    training
        Its numbers.
    origin
        What every checkpoint shall say of the training, in plain values: whoever scores one has to
        know what it was not trained on.
    seed, folder, options, resume, callbacks
        See `fit_with_options`.

    Returns
    -------
    FitResult
    """
    module = SphereModule(
        model,
        task,
        optimization=optimization_of(training),
        metadata=Metadata(training=dict(origin)),
    )
    return fit_and_save(
        module,
        data,
        training,
        origin=origin,
        seed=seed,
        folder=folder,
        options=options,
        resume=resume,
        callbacks=callbacks,
    )


def fit_and_save(
    module: SphereModule,
    data: SphereData,
    training: NetworkTraining,
    *,
    origin: Mapping[str, Any],
    seed: int,
    folder: Path,
    options: RunOptions,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
    finish: Callable[[SphereModule], object] | None = None,
) -> FitResult:
    """A module, trained by the numbers of a table and written to ``folder/model.ckpt``.

    Parameters
    ----------
    module
        With fresh weights, and the origin in its metadata.
    data, training, origin, seed, folder, options, resume, callbacks
        See `train_and_save`.
    finish
        Called with the trained module before it is written.

    Returns
    -------
    FitResult
    """
    result = fit_with_options(
        module,
        data,
        epochs=training.epochs,
        seed=seed,
        folder=folder,
        options=options,
        num_threads=training.num_threads,
        resume=resume,
        callbacks=callbacks,
    )
    if finish is not None:
        finish(result.module)
    values = {**origin, "optimization": training.model_dump(mode="json")}
    metadata = replace(module.metadata, training=values)
    save(folder / MODEL_FILE, module.model, metadata=metadata, overwrite=True)
    return result


def optimization_of(training: NetworkTraining) -> Optimization:
    """How weights are stepped.

    Parameters
    ----------
    training
        With all its numbers.

    Returns
    -------
    Optimization
    """
    return Optimization(
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        schedule=training.schedule,
        step_epochs=training.step_epochs,
        step_factor=training.step_factor,
        optimizer=training.optimizer,
        epsilon=training.epsilon,
        momentum=training.momentum,
        smoothing=training.smoothing,
    )


def resumable(path: Path, fingerprint: str | None = None) -> Path | None:
    """The checkpoint, where there is a whole one.

    Parameters
    ----------
    path
        Where one may be.
    fingerprint
        Of the training that it has to be of; any if not given.

    Returns
    -------
    Path or None
    """
    try:
        read_spec(path)
    except (OSError, ValueError):
        return None
    if fingerprint is None:
        return path
    training = read_metadata(path).training or {}
    return path if training.get("fingerprint") == fingerprint else None
