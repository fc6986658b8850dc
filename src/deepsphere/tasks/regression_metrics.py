"""Errors of a regression over all batches of an epoch, where targets were observed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from deepsphere.tasks.regression_losses import LossName


class ObservedMean(Metric):
    """The mean of the values of all batches, those that count; NaN where none does.

    Where all count alike it is that of the metrics of torchmetrics to the last bit.

    Parameters
    ----------
    power
        To which the mean is raised: 0.5 makes a mean square a root mean square.

    Examples
    --------
    >>> metric = ObservedMean()
    >>> metric.update(torch.tensor([1.0, float("nan"), 3.0]), torch.tensor([True, False, True]))
    >>> metric.compute()
    tensor(2.)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self, *, power: float = 1.0) -> None:
        super().__init__()
        self.power = power
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("weight", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Float[Tensor, "..."], weights: Shaped[Tensor, "..."]) -> None:
        """Take a batch into account.

        Parameters
        ----------
        values
            Anything where they do not count.
        weights
            Of the same shape: True where a value counts, or how much.
        """
        values = torch.where(weights > 0, values, 0)
        self.total = self.total + (values * weights).sum()
        self.weight = self.weight + weights.sum()

    def compute(self) -> Float[Tensor, ""]:
        """The mean of everything."""
        mean = self.total / self.weight
        return mean if self.power == 1 else mean**self.power


class ObservedDetermination(Metric):
    """Coefficient of determination, averaged over the quantities that were observed.

    It is 0 for a quantity whose targets are all the same, and 1 if they are met. Where all count
    alike it is the ``R2Score`` of torchmetrics to the last bit.

    Parameters
    ----------
    num_outputs
        Number of quantities.

    Examples
    --------
    >>> metric, targets = ObservedDetermination(1), torch.tensor([[0.0], [2.0], [float("nan")]])
    >>> metric.update(torch.tensor([[0.0], [1.0], [5.0]]), targets, ~targets.isnan())
    >>> metric.compute()
    tensor(0.5000)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    squares: Tensor
    residual: Tensor
    weight: Tensor

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        for name in ("total", "squares", "residual"):
            self.add_state(name, default=torch.zeros(num_outputs), dist_reduce_fx="sum")
        zeros = torch.zeros(num_outputs, dtype=torch.int64)
        self.add_state("weight", default=zeros, dist_reduce_fx="sum")

    def update(
        self,
        means: Float[Tensor, "samples outputs"],
        targets: Float[Tensor, "samples outputs"],
        weights: Shaped[Tensor, "samples outputs"],
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        means, targets
            What was predicted and what is true; anything where they do not count.
        weights
            True where they count, or how much.
        """
        targets, errors = (
            torch.where(weights > 0, values, 0) for values in (targets, targets - means)
        )
        self.total = self.total + (targets * weights).sum(dim=0)
        self.squares = self.squares + (targets * targets * weights).sum(dim=0)
        self.residual = self.residual + (errors * errors * weights).sum(dim=0)
        self.weight = self.weight + weights.sum(dim=0)

    def compute(self) -> Float[Tensor, ""]:
        """The mean over the quantities; NaN where none was observed."""
        variation = self.squares - self.total * (self.total / self.weight)
        is_met, is_same = (
            torch.isclose(values, torch.zeros_like(values), atol=1e-4)
            for values in (self.residual, variation)
        )
        scores = torch.where(is_same, 0.0, 1 - self.residual / variation)
        return torch.where(is_met, 1.0, scores)[self.weight > 0].mean()


def make_metrics(
    *, num_outputs: int, loss: LossName, names: Sequence[str] | None
) -> MetricCollection:
    """The metrics of a regression, see `Regression.metrics`.

    Parameters
    ----------
    num_outputs, loss, names
        Of the task.

    Returns
    -------
    MetricCollection
        To be fed one by one: those of a quantity see that quantity only.
    """
    metrics: dict[str, Metric | MetricCollection] = {
        "mse": ObservedMean(),
        "mae": ObservedMean(),
        "r2": ObservedDetermination(num_outputs),
    }
    metrics |= {f"rmse_{name}": ObservedMean(power=0.5) for name in names or ()}
    if loss == "gaussian":
        metrics |= {"chi_square": ObservedMean(), "coverage": ObservedMean()}
    return MetricCollection(metrics, compute_groups=False)
