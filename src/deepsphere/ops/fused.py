"""The polynomial filter with what surrounds it in a network: statistics, or all that follows.

Both are registered operators, which compute the same without compiled kernels.
"""

from typing import Any

import torch
from torch import Tensor

from deepsphere.ops import cpp, passes
from deepsphere.ops.backends import BackendName, select_module
from deepsphere.ops.chebyshev import ARRAYS, differentiate_filter, keep_for_filter, library
from deepsphere.ops.normalization import activate_and_pool
from deepsphere.ops.passes import ActivationKind, Normalization, PoolKind
from deepsphere.ops.sparse import SparseOperator

library.define(
    f"chebyshev_filter_statistics(Tensor signal, Tensor weight, {ARRAYS}, str backend)"
    " -> (Tensor, Tensor, Tensor)"
)
library.define(
    "chebyshev_filter_epilogue(Tensor signal, Tensor weight, Tensor scale, Tensor shift,"
    f" str activation, str pool, int group, {ARRAYS}, str backend) -> Tensor"
)


def _with_statistics(signal: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The filtered signal, and mean and variance of its channels."""
    *arrays, backend = rest
    num_channels = weight.shape[2]
    if signal.numel() == 0 or num_channels == 0:
        out = signal.new_zeros(*signal.shape[:2], num_channels)
        moments = signal.new_zeros(2, num_channels, dtype=torch.float64)
        return out, moments[0].clone(), moments[1].clone()
    module = select_module(backend, signal, weight, tuple(arrays))
    if module is cpp:
        return cpp.filter_with_statistics(signal, weight, tuple(arrays))
    out = module.filter_signal(signal, weight, tuple(arrays))
    # in the type of the signal: torch's algorithm keeps its digits
    variance, mean = torch.var_mean(out, (0, 1), unbiased=False)
    return out, mean.double(), variance.double()


def _statistics_shape(signal: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    out = signal.new_empty(signal.shape[0], signal.shape[1], weight.shape[2])
    moments = [signal.new_empty(weight.shape[2], dtype=torch.float64) for _ in range(2)]
    return out, moments[0], moments[1]


def _differentiate_statistics(
    ctx: Any, grad: Tensor, mean_grad: Tensor | None, variance_grad: Tensor | None
) -> tuple[Tensor | None, ...]:
    """The gradient through the signal alone: whoever normalizes counts that of the moments."""
    return differentiate_filter(ctx, grad)


def _keep_for_statistics(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    keep_for_filter(ctx, inputs, output[0])
    ctx.mark_non_differentiable(*output[1:])


def _with_epilogue(
    signal: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: ActivationKind,
    pool: PoolKind,
    group: int,
    *rest: Any,
) -> Tensor:
    """The filtered signal, scaled, shifted, activated and pooled."""
    *arrays, backend = rest
    arrays = tuple(arrays)
    if signal.numel() and weight.shape[2]:
        if backend in ("auto", "cpp"):
            pooled = cpp.filter_with_epilogue(
                signal,
                weight,
                arrays,
                scale=scale,
                shift=shift,
                activation=activation,
                pool=pool,
                group=group,
            )
            if pooled is not None:
                return pooled
        module = select_module(backend, signal, weight, arrays)
        out = module.filter_signal(signal, weight, arrays)
    else:
        out = signal.new_zeros(*signal.shape[:2], weight.shape[2])
    if passes.serves(out, group):
        normalization = Normalization(torch.zeros_like(scale), scale, shift)
        return passes.forward(out, normalization, activation, pool, group)
    return activate_and_pool(out * scale + shift, activation, pool, group)


def _epilogue_shape(
    signal: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    activation: str,
    pool: str,
    group: int,
    *rest: Any,
) -> Tensor:
    return signal.new_empty(signal.shape[0], signal.shape[1] // group, weight.shape[2])


for _name, _implementation, _shape in (
    ("chebyshev_filter_statistics", _with_statistics, _statistics_shape),
    ("chebyshev_filter_epilogue", _with_epilogue, _epilogue_shape),
):
    library.impl(_name, _implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(f"deepsphere::{_name}", _shape, lib=library)
torch.library.register_autograd(
    "deepsphere::chebyshev_filter_statistics",
    _differentiate_statistics,
    setup_context=_keep_for_statistics,
    lib=library,
)


def filter_with_statistics(
    signal: Tensor, weight: Tensor, operator: SparseOperator, *, backend: BackendName = "auto"
) -> tuple[Tensor, Tensor, Tensor]:
    """The filtered signal, and mean and variance of its channels over batch and vertices.

    The statistics come out of the filter's tiles, with the accuracy of a two-pass formula. No
    gradient flows through them: the normalization that uses them counts it.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels), float32 or float64
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    operator : SparseOperator
    backend : "auto" or the name of a backend but the reference

    Returns
    -------
    tuple of Tensor
        The filtered signal; mean and biased variance in float64, shape (out_channels,).
    """
    op = torch.ops.deepsphere.chebyshev_filter_statistics.default
    return op(signal, weight, *operator.arrays(), backend)


def filter_with_epilogue(
    signal: Tensor,
    weight: Tensor,
    operator: SparseOperator,
    *,
    scale: Tensor,
    shift: Tensor,
    activation: ActivationKind,
    pool: PoolKind,
    group: int,
    backend: BackendName = "auto",
) -> Tensor:
    """``pool(activation(filter * scale + shift))``, for inference: it has no gradient.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels), float32 or float64
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    operator : SparseOperator
    scale, shift : Tensor, shape (out_channels,)
    activation : "none", "relu" or "gelu"
    pool : "none", "max" or "mean"
    group : int
        Consecutive vertices that are pooled into one; 1 without pooling.
    backend : "auto" or the name of a backend but the reference

    Returns
    -------
    Tensor, shape (batch, vertices / group, out_channels)
    """
    after = (activation, pool, group)
    op = torch.ops.deepsphere.chebyshev_filter_epilogue.default
    return op(signal, weight, scale, shift, *after, *operator.arrays(), backend)
