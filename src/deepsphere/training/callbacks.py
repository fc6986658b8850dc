"""What is done at the ends of steps and epochs, beside training."""

import math
import time
from typing import Any

import lightning
import torch
from rich.progress import Progress, TaskID, TextColumn

from deepsphere.training.progress import make_bar

Row = dict[str, int | float]
"""Numbers of one epoch by name."""


class History(lightning.Callback):
    """Losses and metrics of each epoch as plain numbers; saved in the checkpoint and resumed.

    Attributes
    ----------
    rows : list of dict
        For each epoch: `epoch` from 0, `learning_rate` of its last step, `seconds`, `train_loss`,
        and, where there is a validation set, `val_loss` and the metrics of the task as `val_...`.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._start = 0.0
        self._learning_rate = 0.0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Look at the clock."""
        self._start = time.perf_counter()

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Note the learning rate that is used: when the epoch ends, it is that of the next step."""
        self._learning_rate = float(optimizer.param_groups[0]["lr"])

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Note the numbers of the epoch, validation included; stop where the loss is lost."""
        loss = float(trainer.callback_metrics["train_loss"])
        if not math.isfinite(loss):  # before the last good checkpoint is replaced
            raise ValueError(
                f"train_loss must stay finite, got {loss} in epoch {trainer.current_epoch}; "
                "use a smaller learning_rate or more precision"
            )
        row: Row = {
            "epoch": trainer.current_epoch,
            "learning_rate": self._learning_rate,
            "seconds": time.perf_counter() - self._start,
        }
        row |= {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        self.rows.append(row)

    def state_dict(self) -> dict[str, Any]:
        """Rows for the checkpoint."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Rows of the training that is resumed."""
        self.rows = [dict(row) for row in state_dict["rows"]]


class SeedEachEpoch(lightning.Callback):
    """Seed of the global generator of torch from the number of the epoch.

    Dropout draws from it; so a resumed training draws what an uninterrupted one would.

    Parameters
    ----------
    seed
        Seed of the training.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Seed at the first batch; every process on its own, for their batches differ."""
        # not at the start of the epoch: loaders draw from the generator too, in the first epoch
        # of a run before that and in the others after it
        if batch_idx > 0:
            return
        key = (self.seed * 1_000_003 + trainer.current_epoch) * 4096 + trainer.global_rank
        torch.manual_seed(key)


class TrainingBar(lightning.Callback):
    """One progress bar over all steps of the training, with the epoch and the newest numbers."""

    def __init__(self) -> None:
        self._bar: Progress | None = None  # made late: it cannot be sent to another process
        self._task = TaskID(0)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the bar, from where a resumed training stands."""
        if not trainer.is_global_zero:
            return
        num_batches = int(trainer.num_training_batches)
        self._bar = make_bar(TextColumn("{task.fields[numbers]}"))
        self._task = self._bar.add_task(
            "training",
            total=num_batches * (trainer.max_epochs or 1),
            completed=num_batches * trainer.current_epoch,
            numbers="",
        )
        self._bar.start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Advance by a step."""
        description = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=description)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the loss and the metrics of the epoch."""
        numbers = "  ".join(
            f"{name} {float(value):.3g}" for name, value in sorted(trainer.callback_metrics.items())
        )
        if self._bar is not None:
            self._bar.update(self._task, numbers=numbers)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Take the bar away before the error is shown."""
        self._stop()

    def _stop(self) -> None:
        """Take the bar away, if it is there."""
        if self._bar is not None:
            self._bar.stop()
