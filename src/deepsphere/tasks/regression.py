"""Regression of quantities, of a whole signal or at every vertex."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass(frozen=True)
class Regression:
    """The task of predicting real quantities, for each signal or for each of its vertices.

    Parameters
    ----------
    num_outputs
        Number of quantities, at least one.

    Raises
    ------
    ValueError
        If `num_outputs` is less than one.

    Examples
    --------
    >>> Regression(1).loss(torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])).item()
    5.0
    """

    num_outputs: int = 1

    def __post_init__(self) -> None:
        """Check the number of quantities."""
        if self.num_outputs < 1:
            raise ValueError(f"num_outputs must be at least 1, got {self.num_outputs}")

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values that rebuild the task with `tasks.task_from_spec`."""
        return {"task": "regression", "num_outputs": self.num_outputs}

    def loss(
        self, outputs: Float[Tensor, "*batch outputs"], targets: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, ""]:
        """Mean squared error.

        Parameters
        ----------
        outputs, targets
            Shape (batch, outputs) or (batch, vertices, outputs).

        Returns
        -------
        Float[Tensor, ""]
            The mean over everything.
        """
        return torch.nn.functional.mse_loss(outputs, targets)

    def check_targets(self, outputs: Float[Tensor, "..."], targets: Float[Tensor, "..."]) -> None:
        """Raise unless the targets are finite and shaped as the outputs.

        Parameters
        ----------
        outputs
            What the model made, shape (batch, outputs) or (batch, vertices, outputs).
        targets
            Of the same shape.

        Raises
        ------
        ValueError
            If a shape does not fit or a target is NaN or infinite.
        """
        if outputs.ndim not in (2, 3) or outputs.shape[-1] != self.num_outputs:
            raise ValueError(
                f"outputs must have shape (batch, {self.num_outputs}) or "
                f"(batch, vertices, {self.num_outputs}), got {tuple(outputs.shape)}; "
                f"build the model with out_channels={self.num_outputs}"
            )
        if targets.shape != outputs.shape:
            raise ValueError(
                f"targets must have the shape of the outputs {tuple(outputs.shape)}, "
                f"got {tuple(targets.shape)}"
            )
        is_finite = torch.isfinite(targets)
        if not is_finite.all():
            raise ValueError(
                f"targets must be finite, got {int((~is_finite).sum())} NaN or infinite values "
                f"of {targets.numel()} in the batch"
            )

    def metrics(self) -> "MetricCollection":
        """Mean squared error mse, mean absolute error mae, coefficient of determination r2.

        Each is computed over all signals and vertices of each output, and averaged over outputs.

        Returns
        -------
        torchmetrics.MetricCollection
            Fresh metrics, to be fed by `update_metrics`.
        """
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection, R2Score

        return MetricCollection(
            {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()}
        )

    def update_metrics(
        self,
        metrics: "MetricCollection",
        outputs: Float[Tensor, "*batch outputs"],
        targets: Float[Tensor, "*batch outputs"],
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        metrics
            What `metrics` made; updated in place, which is what it is for.
        outputs, targets
            Shape (batch, outputs) or (batch, vertices, outputs).
        """
        # every vertex counts as a sample of its own
        metrics.update(outputs.reshape(-1, self.num_outputs), targets.reshape(-1, self.num_outputs))
