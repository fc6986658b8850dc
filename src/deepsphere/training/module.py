"""A model, its task and its optimization, bound to Lightning."""

from dataclasses import replace
from functools import partial
from typing import Any

import lightning
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from deepsphere.tasks import Regression, Task, TripletClassification
from deepsphere.training.checkpoint import ENTRY, Metadata, checkpoint_entry
from deepsphere.training.optimization import Optimization

Batch = tuple[Float[Tensor, "batch *places channels"], Shaped[Tensor, "batch ..."]]
"""Signals, for each a place is a vertex, or a frame and a vertex; and targets."""


class SphereModule(lightning.LightningModule):
    """What Lightning trains: a model on the sphere with a task and an optimization.

    Its checkpoints can be given to `deepsphere.load`.

    Parameters
    ----------
    model
        A model with a `spec`; see `deepsphere.models`.
    task
        What it learns.
    optimization
        How it learns.
    metadata
        What the checkpoint shall say about inputs, outputs and the training; task, class names and
        optimization are filled in.

    Raises
    ------
    TypeError
        If the model cannot say how to rebuild it, or the metadata are not plain values.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        *,
        optimization: Optimization | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.optimization = optimization or Optimization()
        metadata = metadata or Metadata()
        self.metadata = replace(
            metadata,
            task=task.spec,
            class_names=None if isinstance(task, Regression) else task.class_names,
            training={**(metadata.training or {}), **self.optimization.values},
        )
        checkpoint_entry(model, self.metadata)  # now, rather than after the first epoch
        self.save_hyperparameters(self.optimization.values)
        self.validation_metrics = task.metrics().clone(prefix="val_")
        self.test_metrics = task.metrics().clone(prefix="test_")

    def forward(self, signals: Float[Tensor, "batch *places channels"]) -> Float[Tensor, "..."]:
        """Outputs of the model.

        Parameters
        ----------
        signals
            Shape (batch, vertices, channels), or (batch, frames, vertices, channels) for a model on
            sequences.

        Returns
        -------
        Float[Tensor, "..."]
            What the model makes of them.
        """
        return self.model(signals)

    def training_step(self, batch: Batch, batch_index: int) -> Float[Tensor, ""]:
        """Loss of a batch, logged as train_loss (mean over the epoch)."""
        signals, targets = batch
        # not every time: the check waits for the device
        _, loss = self._outputs_and_loss(signals, targets, checked=batch_index == 0)
        self._log_loss("train_loss", loss, len(signals))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and metrics of a batch, logged with the prefix val_."""
        self._judge(batch, "val", self.validation_metrics)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Loss and metrics of a batch, logged with the prefix test_."""
        self._judge(batch, "test", self.test_metrics)

    def _judge(self, batch: Batch, prefix: str, metrics: Any) -> None:
        """Log the loss and the metrics of a batch that is not learned from."""
        signals, targets = batch
        outputs, loss = self._outputs_and_loss(signals, targets, checked=True)
        self.task.update_metrics(metrics, outputs, targets)
        self._log_loss(f"{prefix}_loss", loss, len(signals))
        self.log_dict(metrics, on_epoch=True, batch_size=len(signals))

    def _outputs_and_loss(
        self, signals: Tensor, targets: Tensor, *, checked: bool
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the model, and their loss, for which a task may want descriptors too."""
        if isinstance(self.task, TripletClassification):
            classifier: Any = self.model
            descriptors = classifier.describe(signals)
            outputs = classifier.classify(descriptors)
            loss_of = partial(self.task.loss, descriptors=descriptors)
        else:
            outputs, loss_of = self.model(signals), self.task.loss
        if checked:
            self.task.check_targets(outputs, targets)
        return outputs, loss_of(outputs, targets)

    def _log_loss(self, name: str, loss: Float[Tensor, ""], batch_size: int) -> None:
        """Log a loss as its mean over the epoch and over all processes."""
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=batch_size, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Optimizer and schedule over all steps of the trainer."""
        num_steps = int(self.trainer.estimated_stepping_batches)
        return self.optimization.configure(self.model, num_steps=num_steps)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model and says what it means."""
        training = {**(self.metadata.training or {}), "max_epochs": self.trainer.max_epochs}
        checkpoint[ENTRY] = checkpoint_entry(self.model, replace(self.metadata, training=training))
