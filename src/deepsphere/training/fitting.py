"""Training from the first epoch to the last, or from a checkpoint on."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import lightning
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from deepsphere.training.callbacks import History, Row, SeedEachEpoch, TrainingBar
from deepsphere.training.checkpoint import (
    checkpoint_entry,
    model_sampling,
    read_metadata,
    read_spec,
)
from deepsphere.training.data_module import SphereData
from deepsphere.training.module import SphereModule
from deepsphere.training.quiet import quiet_lightning
from deepsphere.training.seeding import seeded

Precision = Literal["32-true", "16-mixed", "bf16-mixed", "64-true"]
MONITOR = "val_loss"


@dataclass(frozen=True, eq=False)
class FitResult:
    """A trained module and how it came about.

    Parameters
    ----------
    module
        The module that was given, with the weights of the last epoch.
    history
        A dict of numbers for each epoch; see `History`.
    last, best
        Checkpoints after the last epoch and after the one with the smallest validation loss; None
        where nothing was written or nothing validated on.
    seconds
        Wall time of this call.
    """

    module: SphereModule
    history: list[Row]
    last: Path | None
    best: Path | None
    seconds: float


def fit(
    module: SphereModule,
    data: SphereData,
    *,
    max_epochs: int,
    seed: int = 0,
    accelerator: str = "auto",
    devices: str | int | Sequence[int] = "auto",
    precision: Precision = "32-true",
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: str | os.PathLike[str] | None = None,
    early_stopping: int | None = None,
    progress: bool = True,
    callbacks: Sequence[lightning.Callback] = (),
) -> FitResult:
    """Trained module, with the history of its training.

    On one CPU the weights are a function of the first weights, the data and the seed alone,
    whether or not the training was interrupted and resumed.

    Parameters
    ----------
    module
        What is trained, in place.
    data
        What it is trained and validated on.
    max_epochs
        Number of epochs, those before a resumption included.
    seed
        Seed of what is random within the model; the global generators are put back.
    accelerator, devices, precision
        As of `lightning.Trainer`.
    output
        Folder for `last.ckpt`, `best.ckpt` and the logs `csv/` and `tensorboard/`; None writes
        nothing.
    overwrite
        Replace the checkpoints of an earlier training in that folder.
    resume
        Checkpoint to go on from.
    early_stopping
        Stop after so many epochs without a smaller validation loss.
    progress
        Show a progress bar.
    callbacks
        More callbacks of Lightning.

    Returns
    -------
    FitResult
        The module, its history and its checkpoints.

    Raises
    ------
    FileExistsError
        If `output` holds a training already and neither `overwrite` nor `resume` is given.
    ValueError
        If a number is out of its range, `early_stopping` lacks a validation set, model and data
        are sampled differently, the checkpoint is of another model or another optimization, or
        the loss does not stay finite.
    """
    _check(data, max_epochs=max_epochs, early_stopping=early_stopping)
    _check_sampling(module, data)
    folder = None if output is None else Path(output)
    if folder is not None and (folder / "last.ckpt").exists() and not (overwrite or resume):
        raise FileExistsError(
            f"output must not hold a training yet, got {folder}, which has a last.ckpt; "
            "resume from it, choose another folder or overwrite it (overwrite=True, --overwrite)"
        )
    if resume is not None:
        _check_resume(Path(resume), module, max_epochs=max_epochs)
    module.metadata = replace(
        module.metadata,
        projection=module.metadata.projection or data.projection,
        normalization=module.metadata.normalization or data.normalization,
        fields=module.metadata.fields or _named_channels(data),
    )
    history = History()
    start = time.perf_counter()
    with quiet_lightning(), seeded(seed):
        checkpoints = _checkpoint_callbacks(folder, data)
        trainer = lightning.Trainer(
            max_epochs=max_epochs,
            accelerator=accelerator,
            devices=devices if isinstance(devices, str | int) else list(devices),
            precision=precision,
            logger=_loggers(folder),
            callbacks=[
                *callbacks,
                history,
                SeedEachEpoch(seed),
                *([TrainingBar()] if progress else []),
                *_early_stopping(early_stopping),
                *checkpoints,
            ],
            enable_checkpointing=bool(checkpoints),
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            limit_val_batches=0 if data.validation is None else 1.0,
        )
        path = None if resume is None else str(resume)
        trainer.fit(module, datamodule=data, ckpt_path=path)
    return FitResult(
        module=module,
        history=history.rows,
        last=None if folder is None else folder / "last.ckpt",
        best=None if folder is None or data.validation is None else folder / "best.ckpt",
        seconds=time.perf_counter() - start,
    )


def _named_channels(data: SphereData) -> dict[str, list[str]] | None:
    """What the channels of the data are called, for `model.predict` to find them by."""
    names = getattr(data, "channel_names", None)
    return None if names is None else {"channel_names": list(names)}


def _check(data: SphereData, *, max_epochs: int, early_stopping: int | None) -> None:
    """Raise unless the numbers make sense together."""
    if max_epochs < 1:
        raise ValueError(f"max_epochs must be at least 1, got {max_epochs}")
    if early_stopping is None:
        return
    if early_stopping < 1:
        raise ValueError(f"early_stopping must be at least 1 epoch, got {early_stopping}")
    if data.validation is None:
        raise ValueError(
            f"early_stopping must have a validation set to look at, got {early_stopping} epochs "
            "and validation_fraction=0; set validation_fraction, e.g. to 0.1"
        )


def _check_sampling(module: SphereModule, data: SphereData) -> None:
    """Raise unless the data are sampled where the model takes them."""
    sampling = model_sampling(module.model)
    if sampling is not None and sampling != data.sampling:
        raise ValueError(
            f"data must be sampled as the model is, on {sampling!r}, got {data.sampling!r}; "
            "give both the same sampling"
        )


def _check_resume(path: Path, module: SphereModule, *, max_epochs: int) -> None:
    """Raise unless the training in the checkpoint can be gone on with."""
    if read_spec(path) != checkpoint_entry(module.model)["model"]:
        raise ValueError(
            f"resume must be a checkpoint of the same model, got {path}, whose specification "
            "differs; build the model as it was, or train anew"
        )
    before: dict[str, Any] = read_metadata(path).training or {}
    now = module.optimization.values
    for name, value in now.items():
        if before.get(name, value) != value:
            raise ValueError(
                f"{name} must be the {before[name]} of the checkpoint {path} that is resumed, "
                f"got {value}"
            )
    planned = before.get("max_epochs", max_epochs)
    if module.optimization.depends_on_length and planned != max_epochs:
        raise ValueError(
            f"max_epochs must be the {planned} of the checkpoint {path} that is resumed, since "
            f"the schedule {module.optimization.schedule} depends on it, got {max_epochs}"
        )


def _loggers(folder: Path | None) -> list[Any] | bool:
    """Loggers to CSV and TensorBoard below the folder, each run in a version of its own."""
    if folder is None:
        return False
    return [
        CSVLogger(folder, name="csv"),
        TensorBoardLogger(folder, name="tensorboard", default_hp_metric=False),
    ]


def _checkpoint_callbacks(folder: Path | None, data: SphereData) -> list[ModelCheckpoint]:
    """Writers of last.ckpt and, with a validation set, best.ckpt."""
    if folder is None:
        return []
    last = ModelCheckpoint(
        folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
    )
    best = ModelCheckpoint(folder, filename="best", monitor=MONITOR, enable_version_counter=False)
    return [last] if data.validation is None else [last, best]


def _early_stopping(patience: int | None) -> list[EarlyStopping]:
    """The callback, when it is asked for."""
    if patience is None:
        return []
    return [EarlyStopping(MONITOR, patience=patience, check_finite=True)]
