"""How a block is computed: its parts one after the other, or the filter and all else in one go.

The parts are the definition. They are fused where nothing can tell the difference but a clock: in
training the filter hands over the statistics of its output, and one pass normalizes, activates and
pools; in evaluation the normalization is a scale and a shift, and all of it happens in the tiles
of the filter.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from deepsphere.layers.conv import BernsteinConv, ChebConv, MonomialConv
from deepsphere.layers.normalization import BatchNorm
from deepsphere.layers.pooling import Pool
from deepsphere.native import why_absent
from deepsphere.ops.fused import filter_with_epilogue, filter_with_statistics
from deepsphere.ops.normalization import normalize_activate_pool

# Exact types: a subclass may compute something else.
_CONVOLUTIONS = (ChebConv, MonomialConv, BernsteinConv)
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


class Parts(NamedTuple):
    """The parts of a block, in the order in which they run.

    Parameters
    ----------
    conv, norm : Module
    bias : Tensor or None
        Added after the normalization.
    activation : Module
    pool : Module or None
    """

    conv: nn.Module
    norm: nn.Module
    bias: Tensor | None
    activation: nn.Module
    pool: nn.Module | None


def run_separately(parts: Parts, signals: Tensor) -> Tensor:
    """The parts one after the other: what a block is.

    Parameters
    ----------
    parts : Parts
    signals : Tensor, shape (*batch, vertices, in_channels)

    Returns
    -------
    Tensor, shape (*batch, out_vertices, out_channels)
    """
    signals = parts.norm(parts.conv(signals))
    if parts.bias is not None:
        signals = signals + parts.bias
    signals = parts.activation(signals)
    return signals if parts.pool is None else parts.pool(signals)


def run_fused(parts: Parts, signals: Tensor) -> Tensor:
    """The same numbers in one go; only where :func:`why_separate` has no objection.

    Parameters
    ----------
    parts : Parts
    signals : Tensor, shape (*batch, vertices, in_channels)

    Returns
    -------
    Tensor, shape (*batch, out_vertices, out_channels)
    """
    conv, norm, bias, activation, pool = parts
    assert isinstance(conv, ChebConv)
    grouping = pool.grouping if isinstance(pool, Pool) else None
    method, group = grouping or ("none", 1)
    batch = signals.shape[:-2]
    flat = signals if len(batch) == 1 else signals.reshape(math.prod(batch), *signals.shape[-2:])
    weight, operator = conv.chebyshev_weight(), conv.operator.arrays()
    after = {"activation": _activation_name(activation), "pool": method, "group": group}
    if isinstance(norm, BatchNorm) and norm.takes_statistics:
        out, mean, variance = filter_with_statistics(flat, weight, operator, backend=conv.backend)
        norm.record(mean, variance, out.shape[0] * out.shape[1])
        gamma, beta = norm.norm.weight, norm.norm.bias
        if bias is not None:
            beta = bias if beta is None else beta + bias
        out = normalize_activate_pool(out, mean, variance, gamma, beta, eps=norm.norm.eps, **after)
    else:
        scale, shift = _fixed_map(norm, bias, conv)
        out = filter_with_epilogue(
            flat, weight, operator, scale=scale, shift=shift, backend=conv.backend, **after
        )
    out = out if len(batch) == 1 else out.reshape(*batch, *out.shape[1:])
    return out if pool is None or grouping is not None else pool(out)


def why_separate(parts: Parts, signals: Tensor) -> str | None:
    """Why a block is computed part by part; None if it is fused.

    Parameters
    ----------
    parts : Parts
    signals : Tensor, shape (*batch, vertices, in_channels)

    Returns
    -------
    str or None
    """
    return (
        _why_not_these_parts(parts)
        or _why_not_this_signal(parts, signals)
        or _why_not_this_mode(parts, signals)
    )


def has_hooks(module: nn.Module) -> bool:
    """Whether something waits for the calls of a module, which must then happen.

    Parameters
    ----------
    module : Module

    Returns
    -------
    bool
    """
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _why_not_these_parts(parts: Parts) -> str | None:
    """What about the parts forbids to fuse them."""
    conv, norm, _, activation, pool = parts
    if type(conv) not in _CONVOLUTIONS or conv.bias is not None:
        return "its convolution is not one without bias in a basis of this package"
    if conv.backend == "reference":
        return "its convolution was asked to run by its definition"
    if not (type(norm) is nn.Identity or (type(norm) is BatchNorm and norm.is_plain)):
        return "its normalization is not that of the batch (nor none)"
    if _activation_name(activation) is None:
        return "its activation is not 'relu', 'gelu' or 'none'"
    modules = [conv, norm, activation, *_children(conv), *_children(norm)]
    if isinstance(pool, Pool) and pool.grouping is not None:
        modules += [pool, pool.operation]
    if any(map(has_hooks, modules)) or any(getattr(torch_module, name) for name in _GLOBAL_HOOKS):
        return "there are hooks on its parts"
    return None


def _why_not_this_signal(parts: Parts, signals: Tensor) -> str | None:
    """What about the signal forbids to fuse the parts; the parts know what is wrong with it."""
    conv, norm, bias, _, _ = parts
    assert isinstance(conv, ChebConv)
    shape = signals.shape[-2:] if isinstance(signals, Tensor) else ()
    (operator,) = _children(conv)
    if tuple(shape) != (operator.num_vertices, conv.in_channels):
        return "the signals are not of the right shape"
    dtype = signals.dtype
    for module in (conv, operator, *_children(norm)):
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and tensor.dtype != dtype and tensor.is_floating_point():
                return "signals and parameters are not of one type"
    if bias is not None and bias.dtype != dtype:
        return "signals and parameters are not of one type"
    if signals.device.type != "cpu" or dtype not in (torch.float32, torch.float64):
        return "there are compiled kernels for float32 and float64 on the CPU alone"
    # a trace cannot look for the kernels; without them the operators compute the same
    return None if torch.compiler.is_compiling() else why_absent()


def _why_not_this_mode(parts: Parts, signals: Tensor) -> str | None:
    """What training, evaluation or gradients forbid."""
    conv, norm, bias, _, _ = parts
    if isinstance(norm, BatchNorm) and norm.takes_statistics:
        if math.prod(signals.shape[:-1]) < 2:
            return "there is no variance of less than two values"
        return None
    if not torch.is_grad_enabled():
        return None
    parameters = [*conv.parameters(), *norm.parameters(), *([] if bias is None else [bias])]
    if signals.requires_grad or any(parameter.requires_grad for parameter in parameters):
        return "gradients may be wanted of its fixed normalization; torch.no_grad() says otherwise"
    return None


def _children(module: nn.Module) -> list[nn.Module]:
    """The submodules; faster than `children()`, which this many calls would feel."""
    return [child for child in module._modules.values() if child is not None]


def _activation_name(activation: nn.Module) -> str | None:
    """The name that the kernels have for an activation, if they know it."""
    if type(activation) is nn.ReLU:
        return "relu"
    if type(activation) is nn.GELU and activation.approximate == "none":
        return "gelu"
    return "none" if type(activation) is nn.Identity else None


def _fixed_map(norm: nn.Module, bias: Tensor | None, conv: ChebConv) -> tuple[Tensor, Tensor]:
    """Normalization and bias as a scale and a shift per channel."""
    if isinstance(norm, BatchNorm):
        scale, shift = norm.fixed_map()
        return scale, shift if bias is None else shift + bias
    weight = conv.weight
    shift = weight.new_zeros(conv.out_channels) if bias is None else bias
    return weight.new_ones(conv.out_channels), shift
