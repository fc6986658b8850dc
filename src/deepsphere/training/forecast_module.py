"""Autoregressive training: a network that forecasts from its own forecasts, bound to Lightning."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.tasks.forecasting import Forecasting
from deepsphere.training.checkpoint import Metadata, model_sampling
from deepsphere.training.field_preparation import FieldPreparation
from deepsphere.training.forecast_data import ForecastBatch, ForecastData
from deepsphere.training.module import SphereModule
from deepsphere.training.optimization import Optimization


class ForecastModule(SphereModule):
    """What Lightning trains to forecast: a network, its task and how fields are prepared for it.

    Logged are ``train_loss`` (of the iterations that are trained, as they are weighted),
    ``val_loss`` (of all iterations of the task with its own weights, so that numbers from before
    and after an `IterationSchedule` added one compare), ``val_loss_trained`` (the mean over the
    iterations that are trained, which the schedule looks at), and root mean square errors.

    Its checkpoints hold all that a forecast needs: see `deepsphere.training.rollout`.

    Parameters
    ----------
    model
        A network with `task.num_model_inputs` inputs and as many outputs as channels.
    data
        What it learns from, with the task.
    optimization
        How it learns.
    metadata
        What else the checkpoint shall say.

    Attributes
    ----------
    iteration_weights : Tensor
        Of the iterations that are trained; an `IterationSchedule` changes it.

    Raises
    ------
    ValueError
        If the network has other numbers of inputs or outputs than the task, or lives on another
        sampling.
    """

    areas: Tensor
    static: Tensor
    valid: Tensor
    scale: Tensor
    task: Forecasting
    preparation: FieldPreparation

    def __init__(
        self,
        model: nn.Module,
        data: ForecastData,
        *,
        optimization: Optimization | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        task = data.task
        check_model(model, task)
        sampling = model_sampling(model)
        if sampling is not None and sampling != data.sampling:
            raise ValueError(
                f"model must be on the sampling of the data, {data.sampling!r}, got {sampling!r}"
            )
        super().__init__(model, task, optimization=optimization, metadata=metadata)
        self.preparation = preparation = data.preparation
        tensors = {
            "areas": torch.tensor(data.sampling.areas, dtype=torch.float32),
            **_constants(preparation, data.sampling.num_vertices, task.num_model_outputs),
            "scale": torch.tensor(preparation.scaling.deviation, dtype=torch.float32),
        }
        for name, tensor in tensors.items():
            # the metadata hold them; in the state they would be taken for weights
            self.register_buffer(name, tensor, persistent=False)
        weights = task.iteration_weights or (1.0,) * task.num_iterations
        self.iteration_weights = torch.tensor(weights)

    def forward(self, signals: Float[Tensor, "batch vertices channels"]) -> Float[Tensor, "..."]:
        """Outputs of the network: the scaled forecast one step ahead."""
        return self.model(signals)

    def forecasts(
        self, batch: ForecastBatch, *, num_iterations: int
    ) -> Float[Tensor, "batch iterations vertices channels"]:
        """Forecasts from some windows, scaled.

        Parameters
        ----------
        batch
            Windows.
        num_iterations
            How many steps.

        Returns
        -------
        Float[Tensor, "batch iterations vertices channels"]
        """
        found = self.task.unroll(
            self.model,
            batch.states,
            boundary=batch.boundary,
            static=self.static,
            valid=self.valid,
            num_iterations=num_iterations,
        )
        return torch.stack(list(found), dim=1)

    @property
    def _num_trained(self) -> int:
        """Iterations up to the last that has a weight."""
        return int(self.iteration_weights.nonzero().max()) + 1

    def training_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: ForecastBatch, batch_index: int
    ) -> Float[Tensor, ""]:
        """Loss of a batch over the iterations that are trained, logged as train_loss."""
        number = self._num_trained
        weights = self.iteration_weights[:number]
        outputs, targets = (
            self.forecasts(batch, num_iterations=number),
            batch.targets[:, :number],
        )
        if batch_index == 0:  # not every time: the check waits for the device
            self.task.check_targets(outputs, targets)
        loss = self.task.loss(
            outputs, targets, areas=self.areas, valid=self.valid, weights=weights[:number]
        )
        self._log_loss("train_loss", loss, len(targets))
        return loss

    def validation_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: ForecastBatch, batch_index: int
    ) -> None:
        """Losses and metrics of a batch, logged with the prefix val_."""
        self._judge(batch, "val", self.validation_metrics)

    def test_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: ForecastBatch, batch_index: int
    ) -> None:
        """Losses and metrics of a batch, logged with the prefix test_."""
        self._judge(batch, "test", self.test_metrics)

    def _judge(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, batch: ForecastBatch, prefix: str, metrics: Any
    ) -> None:
        """Log the losses and the metrics of a batch that is not learned from."""
        targets = batch.targets
        outputs = self.forecasts(batch, num_iterations=self.task.num_iterations)
        self.task.check_targets(outputs, targets)
        known = {"areas": self.areas, "valid": self.valid}
        self._log_loss(f"{prefix}_loss", self.task.loss(outputs, targets, **known), len(targets))
        number = self._num_trained
        trained = self.task.iteration_losses(outputs[:, :number], targets[:, :number], **known)
        self._log_loss(f"{prefix}_loss_trained", trained.mean(), len(targets))
        self.task.update_metrics(metrics, outputs, targets, **known, scale=self.scale)
        self.log_dict(metrics, on_epoch=True, batch_size=len(targets))


def check_model(model: nn.Module, task: Forecasting) -> None:
    """Raise unless a network has as many inputs and outputs as its task, where it says how many.

    Parameters
    ----------
    model
        The network.
    task
        The task.

    Raises
    ------
    ValueError
        If it has not.
    """
    config = getattr(model, "config", {})
    for name, number in (
        ("in_channels", task.num_model_inputs),
        ("out_channels", task.num_model_outputs),
    ):
        if config.get(name, number) != number:
            raise ValueError(
                f"model must have {name}={number} for the task, got {config[name]}; build it with "
                f"{name}=task.num_model_{'inputs' if name == 'in_channels' else 'outputs'}"
            )


def _constants(
    preparation: FieldPreparation, num_vertices: int, num_channels: int
) -> dict[str, Tensor]:
    """Static fields and the valid vertices as tensors."""
    static, valid = preparation.static, preparation.valid
    return {
        "static": torch.zeros(num_vertices, 0) if static is None else torch.tensor(static),
        "valid": torch.ones(num_vertices, num_channels, dtype=torch.bool)
        if valid is None
        else torch.tensor(valid),
    }
