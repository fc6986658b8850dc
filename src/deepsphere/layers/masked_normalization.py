"""Normalization of masked signals: statistics of what is valid alone."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from deepsphere.layers.masked_signals import MaskedSignals, Signals, settled
from deepsphere.layers.normalization import BatchNorm, GroupNorm, LayerNorm


def masked_normalization(
    norm: BatchNorm | GroupNorm | LayerNorm, signals: MaskedSignals
) -> Signals:
    """The normalized signals; what is not valid has no part in means and variances.

    A training batch with fewer than two valid vertices has no variance of its own: it is normalized
    by the running averages, which it does not change.

    Parameters
    ----------
    norm : BatchNorm, GroupNorm or LayerNorm
    signals : MaskedSignals

    Returns
    -------
    MaskedSignals

    Examples
    --------
    >>> values, valid = torch.tensor([[[1.0], [0.0], [3.0]]]), torch.tensor([[True, False, True]])
    >>> signals = MaskedSignals(values, valid)
    >>> masked_normalization(BatchNorm(1, affine=False), signals).values.ravel()
    tensor([-1.0000,  0.0000,  1.0000])
    """
    values, valid = signals
    if isinstance(norm, GroupNorm):
        return settled(_groups(norm.norm, values, valid), valid)
    inner = norm.norm
    if isinstance(inner, _BatchNorm) and inner.training and isinstance(norm, BatchNorm):
        return settled(_batch(inner, values, valid), valid)
    return settled(norm(values), valid)


def _batch(norm: _BatchNorm, values: Tensor, valid: Tensor) -> Tensor:
    """The normalization of the valid vertices as if they were all."""
    chosen = values[valid]
    synchronized = isinstance(norm, nn.SyncBatchNorm)  # the other processes wait for this one
    if len(chosen) < 2 and norm.running_mean is not None and not synchronized:
        mean, variance = norm.running_mean, norm.running_var
        normalized = nn.functional.batch_norm(
            chosen, mean, variance, norm.weight, norm.bias, training=False, eps=norm.eps
        )
    else:
        normalized = norm(chosen)
    out = normalized.new_zeros(values.shape)
    out[valid] = normalized
    return out


def _groups(norm: nn.GroupNorm, values: Tensor, valid: Tensor) -> Tensor:
    """Groups of channels of mean 0 and variance 1 over the valid vertices of each sample."""
    mask = valid[..., None, None].to(values.dtype)
    grouped = values.unflatten(-1, (norm.num_groups, -1))
    count = mask.sum(dim=-3, keepdim=True).clamp(min=1) * grouped.shape[-1]
    mean = grouped.sum(dim=(-3, -1), keepdim=True) / count
    deviations = mask * (grouped - mean)
    variance = deviations.square().sum(dim=(-3, -1), keepdim=True) / count
    out = (deviations * torch.rsqrt(variance + norm.eps)).flatten(-2)
    return out if norm.weight is None else out * norm.weight + norm.bias
