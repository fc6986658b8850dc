"""Errors of forecasts while a network is trained."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepsphere.tasks.valid_vertices import weighted_mean

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


def make_metrics(channel_names: Sequence[str], iterations: Sequence[int]) -> "MetricCollection":
    """Root mean square errors of some iterations, called ``rmse_<channel>_<iteration>``.

    Parameters
    ----------
    channel_names
        Of the channels.
    iterations
        From 0; they are counted from 1 in the names.

    Returns
    -------
    torchmetrics.MetricCollection
        Fresh metrics, to be fed by `feed_metrics`.
    """
    from torchmetrics import MeanSquaredError, Metric, MetricCollection

    metrics: dict[str, Metric | MetricCollection] = {
        _name(channel, iteration): MeanSquaredError(squared=False)
        for iteration in iterations
        for channel in channel_names
    }
    # they are fed one by one: those of a channel see that channel only
    return MetricCollection(metrics, compute_groups=False)


def feed_metrics(
    metrics: "MetricCollection",
    squares: Float[Tensor, "batch vertices channels"],
    *,
    channel_names: Sequence[str],
    iteration: int,
    areas: Float[Tensor, "vertices"] | None,
    valid: Bool[Tensor, "batch vertices channels"],
    scale: Float[Tensor, "channels"] | None,
) -> None:
    """Take the squared errors of an iteration into account.

    Parameters
    ----------
    metrics
        What `make_metrics` made; updated in place.
    squares
        Squared differences, scaled.
    channel_names, iteration
        Whose they are.
    areas, valid
        What counts, and how much.
    scale
        By what each channel was divided; 1 if not given.
    """
    means = weighted_mean(squares, areas=areas, valid=valid)
    means = means if scale is None else means * scale.square()
    for index, channel in enumerate(channel_names):
        # a sample without a valid vertex has no mean
        found = means[:, index][valid[..., index].any(dim=-1)]
        if len(found):
            metrics[_name(channel, iteration)].update(found.sqrt(), torch.zeros_like(found))


def _name(channel: str, iteration: int) -> str:
    """Of the metric of a channel and an iteration."""
    return f"rmse_{channel}_{iteration + 1}"
