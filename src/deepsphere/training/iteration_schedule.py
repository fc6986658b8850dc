"""More iterations of a forecast as the training goes on."""

import math
from typing import Any

import lightning
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from deepsphere.data.windows import check_positive
from deepsphere.training.forecast_module import ForecastModule

_MONITOR = "val_loss_trained"


class IterationSchedule(lightning.Callback):
    """Trains few iterations first, and one more whenever the validation stops improving.

    The weight of the iteration that is added grows linearly from `weight_per_step` with every step
    of the optimizer until it is that of the task. When an iteration has been added, patience
    begins anew: the loss over more iterations is another loss. Saved with a checkpoint, so that a
    training that is resumed goes on as if it had not been interrupted.

    Parameters
    ----------
    initial
        Iterations at the beginning, at least 1.
    patience
        Epochs without improvement before one is added, at least 1.
    min_improvement
        A smaller decrease of the loss is none; not negative.
    weight_per_step
        By how much of its final weight the newest iteration grows with each step, in (0, 1].
    min_epochs
        No iteration is added before so many epochs, nor so soon after the last.

    Attributes
    ----------
    num_iterations : int
        How many are trained now.

    Raises
    ------
    ValueError
        If a number is out of its range; when training begins, if there is no validation, or
        fewer iterations in the task than there shall be.

    Examples
    --------
    >>> schedule = IterationSchedule(patience=2)
    >>> schedule.weights(torch.ones(3))
    tensor([1., 0., 0.])
    """

    def __init__(
        self,
        *,
        initial: int = 1,
        patience: int = 5,
        min_improvement: float = 1e-4,
        weight_per_step: float = 5e-4,
        min_epochs: int = 1,
    ) -> None:
        check_positive("initial", initial)
        check_positive("patience", patience)
        check_positive("min_epochs", min_epochs)
        if not min_improvement >= 0:
            raise ValueError(f"min_improvement must not be negative, got {min_improvement}")
        if not 0 < weight_per_step <= 1:
            raise ValueError(f"weight_per_step must be in (0, 1], got {weight_per_step}")
        self.patience = patience
        self.min_improvement = min_improvement
        self.weight_per_step = weight_per_step
        self.min_epochs = min_epochs
        self.num_iterations = initial
        self._newest_weight = 1.0
        self._best = math.inf
        self._epochs_since_best = 0
        self._epochs_since_added = 0

    def weights(self, full: Tensor) -> Tensor:
        """Weights of the iterations now.

        Parameters
        ----------
        full
            Those of the task, shape (iterations,).

        Returns
        -------
        Tensor
            The same for the older ones, a part for the newest, zero for those that are to come.
        """
        weights = full.clone()
        weights[self.num_iterations :] = 0
        weights[self.num_iterations - 1] *= self._newest_weight
        return weights

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Check that there is something to schedule."""
        module = _forecast_module(pl_module)
        if not trainer.limit_val_batches:
            raise ValueError(
                "data must have a validation part for an IterationSchedule to look at, got none; "
                "use split_series with validation_start"
            )
        if self.num_iterations > module.task.num_iterations:
            raise ValueError(
                f"initial must be at most the {module.task.num_iterations} iterations of the task, "
                f"got {self.num_iterations}"
            )

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Give the module the weights of the step."""
        module = _forecast_module(pl_module)
        module.iteration_weights = self.weights(_full_weights(module))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Let the newest iteration grow."""
        self._newest_weight = min(1.0, self._newest_weight + self.weight_per_step)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add an iteration where the loss no longer falls."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        loss = float(trainer.callback_metrics[_MONITOR])
        self._epochs_since_added += 1
        if loss < self._best - self.min_improvement:
            self._best, self._epochs_since_best = loss, 0
        else:
            self._epochs_since_best += 1
        waited = self._epochs_since_best >= self.patience
        if not waited or self._epochs_since_added < self.min_epochs:
            return
        module = _forecast_module(pl_module)
        if self.num_iterations < module.task.num_iterations:
            self.num_iterations += 1
            self._newest_weight = self.weight_per_step
            self._best, self._epochs_since_best, self._epochs_since_added = math.inf, 0, 0
            module.iteration_weights = self.weights(_full_weights(module))

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule stands, for the checkpoint."""
        return {
            "num_iterations": self.num_iterations,
            "newest_weight": self._newest_weight,
            "best": self._best,
            "epochs_since_best": self._epochs_since_best,
            "epochs_since_added": self._epochs_since_added,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Where the schedule of the training that is resumed stood."""
        self.num_iterations = int(state_dict["num_iterations"])
        self._newest_weight = float(state_dict["newest_weight"])
        self._best = float(state_dict["best"])
        self._epochs_since_best = int(state_dict["epochs_since_best"])
        self._epochs_since_added = int(state_dict["epochs_since_added"])


def _forecast_module(module: lightning.LightningModule) -> ForecastModule:
    """The module, which must forecast."""
    if not isinstance(module, ForecastModule):
        raise TypeError(
            f"module must be a ForecastModule to have iterations, got {type(module).__name__}"
        )
    return module


def _full_weights(module: ForecastModule) -> Tensor:
    """Weights of the iterations when all are trained."""
    return torch.tensor(module.task.iteration_weights or (1.0,) * module.task.num_iterations)
