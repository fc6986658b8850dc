"""Batch normalization, activation and pooling of a filtered signal, in one pass.

The pass reads the signal once and writes what remains of it. Its gradient reads it twice: once for
sums per channel, once to write the result. Nothing between signal and output is kept.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from deepsphere.ops import passes
from deepsphere.ops.passes import ActivationKind, Normalization, PoolKind

_DEFINITIONS = {
    "none": lambda x: x,
    "relu": functional.relu,
    "gelu": functional.gelu,
}


def activate_and_pool(
    x: Float[Tensor, "batch vertices channels"],
    activation: ActivationKind,
    pool: PoolKind,
    group: int,
) -> Float[Tensor, "batch coarse_vertices channels"]:
    """What the passes compute after the normalization, in torch's own operations.

    Parameters
    ----------
    x : Tensor, shape (batch, vertices, channels)
    activation : "none", "relu" or "gelu"
    pool : "none", "max" or "mean"
        The gradient of a maximum is spread evenly over the vertices where it is.
    group : int
        Consecutive vertices that are pooled into one; 1 without pooling.

    Returns
    -------
    Tensor, shape (batch, vertices / group, channels)
    """
    x = _DEFINITIONS[activation](x)
    if pool == "none":
        return x
    groups = x.unflatten(-2, (x.shape[-2] // group, group))
    return groups.amax(dim=-2) if pool == "max" else groups.mean(dim=-2)


def normalize_activate_pool(
    z: Float[Tensor, "batch vertices channels"],
    mean: Float[Tensor, " channels"],
    variance: Float[Tensor, " channels"],
    gamma: Float[Tensor, " channels"] | None,
    beta: Float[Tensor, " channels"] | None,
    *,
    eps: float,
    activation: ActivationKind,
    pool: PoolKind,
    group: int,
) -> Float[Tensor, "batch coarse_vertices channels"]:
    r"""A signal normalized by its own statistics, activated and pooled.

    .. math:: y = \mathrm{pool}\Big(\sigma\Big(\gamma \frac{z - \mu}{\sqrt{v + \epsilon}} + \beta
              \Big)\Big)

    Parameters
    ----------
    z : Tensor, shape (batch, vertices, channels)
    mean, variance : Tensor, shape (channels,)
        Of `z`, over batch and vertices, the variance with the number of values as divisor; of the
        type of `z` or float64. The gradient takes them for the functions of `z` that they are.
    gamma, beta : Tensor, shape (channels,), or None
        None for one and zero.
    eps : float
        Added to the variance.
    activation : "none", "relu" or "gelu"
    pool : "none", "max" or "mean"
        The gradient of a maximum is spread evenly over the vertices where it is.
    group : int
        Consecutive vertices that are pooled into one; 1 without pooling.

    Returns
    -------
    Tensor, shape (batch, vertices / group, channels)
    """
    return _forward_op(
        z, mean.detach(), variance.detach(), gamma, beta, eps, activation, pool, group
    )


def _normalization(
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float,
    dtype: torch.dtype,
) -> Normalization:
    """The map of a batch normalization with these statistics, in the type of the signal."""
    scale = torch.rsqrt(variance + eps)
    if gamma is not None:
        scale = scale * gamma
    shift = mean.new_zeros(mean.shape, dtype=dtype) if beta is None else beta
    parts = (mean.to(dtype), scale.to(dtype), shift.to(dtype))
    return Normalization(*(part.contiguous() for part in parts))


@torch.library.custom_op("deepsphere::normalize_activate_pool", mutates_args=())
def _forward_op(
    z: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float,
    activation: str,
    pool: str,
    group: int,
) -> Tensor:
    """The registered operator."""
    normalization = _normalization(mean, variance, gamma, beta, eps, z.dtype)
    if passes.serves(z, group):
        return passes.forward(z.contiguous(), normalization, activation, pool, group)
    center, scale, shift = normalization
    after: Any = (activation, pool, group)
    return activate_and_pool((z - center) * scale + shift, *after)


@_forward_op.register_fake
def _(
    z: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float,
    activation: str,
    pool: str,
    group: int,
) -> Tensor:
    return z.new_empty(z.shape[0], z.shape[1] // group, z.shape[2])


@torch.library.custom_op("deepsphere::normalize_activate_pool_gradients", mutates_args=())
def _gradients_op(
    grad: Tensor,
    z: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float,
    activation: str,
    pool: str,
    group: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of z, gamma and beta, by the compiled passes."""
    normalization = _normalization(mean, variance, gamma, beta, eps, z.dtype)
    z, grad = z.contiguous(), grad.contiguous()
    pooling = (activation, pool, group)
    of_shift, of_scale = passes.sums(grad, z, normalization, *pooling)
    inverse = torch.rsqrt(variance.double() + eps)
    num_rows = max(z.shape[0] * z.shape[1], 1)
    losses = (of_shift / num_rows).to(z.dtype), (of_scale * inverse**2 / num_rows).to(z.dtype)
    z_grad = passes.gradient(grad, z, normalization, losses, *pooling)
    return z_grad, (of_scale * inverse).to(z.dtype), of_shift.to(z.dtype)


@_gradients_op.register_fake
def _(
    grad: Tensor,
    z: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    eps: float,
    activation: str,
    pool: str,
    group: int,
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(z), z.new_empty(z.shape[2]), z.new_empty(z.shape[2])


def _definition(
    z: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, *after: Any
) -> Tensor:
    """The operator in torch's own operations, statistics included: differentiable at will."""
    rows = functional.batch_norm(z.flatten(0, 1), None, None, gamma, beta, True, 0.0, eps)
    return activate_and_pool(rows.view(z.shape), *after)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the signal before the normalization, and what is small."""
    ctx.save_for_backward(*inputs[:5])
    ctx.options = inputs[5:]


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    z, mean, variance, gamma, beta = ctx.saved_tensors
    # a graph of the gradient itself (double backward) needs operations that torch can differentiate
    if torch.is_grad_enabled() or not passes.serves(z, ctx.options[-1]):
        z_grad, gamma_grad, beta_grad = _gradients_of_definition(ctx, grad)
    else:
        statistics = (mean, variance, gamma, beta)
        z_grad, gamma_grad, beta_grad = _gradients_op(grad, z, *statistics, *ctx.options)
        gamma_grad = None if gamma is None else gamma_grad
        beta_grad = None if beta is None else beta_grad
    return z_grad, None, None, gamma_grad, beta_grad, *[None] * len(ctx.options)


def _gradients_of_definition(ctx: Any, grad: Tensor) -> list[Tensor | None]:
    """The gradients of z, gamma and beta as torch finds them, with a graph if one is wanted."""
    z, _, _, gamma, beta = ctx.saved_tensors
    needed = (ctx.needs_input_grad[0], *ctx.needs_input_grad[3:5])
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs: list[Any] = [z, gamma, beta]
        if not create_graph:
            inputs = [
                tensor if tensor is None else tensor.detach().requires_grad_(need)
                for tensor, need in zip(inputs, needed, strict=True)
            ]
        y = _definition(*inputs, *ctx.options)
        wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need]
        found = iter(torch.autograd.grad(y, wanted, grad, create_graph=create_graph))
    return [next(found) if need else None for need in needed]


_forward_op.register_autograd(_differentiate, setup_context=_keep)
