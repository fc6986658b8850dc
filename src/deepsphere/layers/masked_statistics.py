"""Statistics over the valid vertices: what turns masked feature maps into features."""

from typing import Any

import torch
from torch import Tensor, nn

from deepsphere.layers.masked_signals import MaskedSignals, Signals
from deepsphere.layers.statistics import (
    CombinedReadout,
    LearnedHistogram,
    LogSumExp,
    Max,
    Mean,
    MeanVariance,
    Variance,
)


def run_readout(readout: Any, signals: Signals) -> Tensor:
    """The features of signals: over the valid vertices alone, whose weights sum to one again.

    All features of a sample without valid vertices are zero.

    Parameters
    ----------
    readout : Readout
        One of `deepsphere.layers.statistics`; any, if nothing is missing.
    signals : Tensor or MaskedSignals

    Returns
    -------
    Tensor, shape (*batch, features)

    Raises
    ------
    TypeError
        If something is missing, and the readout is not one of these.

    Examples
    --------
    >>> values, valid = torch.tensor([[1.0], [0.0], [3.0]]), torch.tensor([True, False, True])
    >>> run_readout(MeanVariance(), MaskedSignals(values, valid))
    tensor([2., 1.])
    """
    if isinstance(signals, Tensor):
        return readout(signals)
    if isinstance(readout, CombinedReadout):
        return torch.cat([run_readout(part, signals) for part in readout.statistics], dim=-1)
    return torch.where(signals.valid.any(dim=-1, keepdim=True), _features(readout, signals), 0)


def _features(readout: nn.Module, signals: MaskedSignals) -> Tensor:
    """The features; finite numbers of no meaning where nothing is valid."""
    values, valid = signals
    if isinstance(readout, Max):
        # zeros of a sample without valid vertices are as good as any
        some = valid.any(dim=-1, keepdim=True)
        return torch.where((valid | ~some).unsqueeze(-1), values, -torch.inf).amax(dim=-2)
    if isinstance(readout, Mean | Variance | MeanVariance):
        mean, variance = _moments(values, _weights(readout.weights, signals))
        if isinstance(readout, Mean):
            return mean
        return variance if isinstance(readout, Variance) else torch.cat([mean, variance], dim=-1)
    if isinstance(readout, LogSumExp):
        weights = _weights(readout.weights, signals)
        weights = torch.where(weights.sum(dim=-1, keepdim=True) > 0, weights, 1)
        sharpened = readout.sharpness * values + weights.log().unsqueeze(-1)
        return torch.logsumexp(sharpened, dim=-2) / readout.sharpness
    if isinstance(readout, LearnedHistogram):
        distances = (values.unsqueeze(-1) - readout.centers).abs()
        bins = torch.relu(1 - readout.slopes.abs() * distances)
        histogram = torch.einsum("...vcb,...v->...cb", bins, _weights(readout.weights, signals))
        return histogram.flatten(-2) / readout.initial_slope
    raise TypeError(
        "readout must be one of Mean, Variance, MeanVariance, Max, LogSumExp, LearnedHistogram and "
        f"CombinedReadout for signals with missing values, got {type(readout).__name__}; use "
        "make_readout"
    )


def _weights(weights: nn.Module, signals: MaskedSignals) -> Tensor:
    """The weights (*batch, vertices) of the valid vertices, of sum one; zero where none is."""
    masked = weights(signals.values) * signals.valid
    total = masked.sum(dim=-1, keepdim=True)
    return masked / torch.where(total > 0, total, 1)


def _moments(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (*batch, channels) under weights (*batch, vertices)."""
    mean = torch.einsum("...vc,...v->...c", values, weights)
    deviations = values - mean.unsqueeze(-2)
    return mean, torch.einsum("...vc,...v->...c", deviations.square(), weights)
