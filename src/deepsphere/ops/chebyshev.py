"""The registered operators of the polynomial filter: its value, its gradients, and theirs.

One family of operators serves all backends; which one runs is decided when they do, so that a
program compiled or exported on one machine runs on another. Nothing but input, weight and operator
is kept between the passes.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.ops import reference
from deepsphere.ops.backends import BackendName, choose_backend, select_module
from deepsphere.ops.sparse import SparseOperator

# Types that the backend of last resort takes: "auto" need not look at others before it runs.
_REGISTERED_TYPES = (torch.float32, torch.float64)
ARRAYS = ", ".join(
    f"Tensor {name}" for name in ("crow", "col", "values", "crow_t", "col_t", "values_t")
)
library = torch.library.Library("deepsphere", "FRAGMENT")
library.define(f"chebyshev_filter(Tensor signal, Tensor weight, {ARRAYS}, str backend) -> Tensor")
library.define(
    f"chebyshev_gradients(Tensor grad, Tensor signal, Tensor weight, {ARRAYS}, str backend)"
    " -> (Tensor, Tensor)"
)
library.define(
    f"chebyshev_weight_gradient(Tensor grad, Tensor signal, SymInt num_orders, {ARRAYS},"
    " str backend) -> Tensor"
)
_filter_op = torch.ops.deepsphere.chebyshev_filter.default
_gradients_op = torch.ops.deepsphere.chebyshev_gradients.default
_weight_gradient_op = torch.ops.deepsphere.chebyshev_weight_gradient.default


def _filter(signal: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    """The filtered signal, by the backend that suits the call."""
    *arrays, backend = rest
    num_channels = weight.shape[2]
    if signal.numel() == 0 or num_channels == 0:
        return signal.new_zeros(*signal.shape[:2], num_channels)
    module = select_module(backend, signal, weight, tuple(arrays))
    return module.filter_signal(signal, weight, tuple(arrays))


def _filter_shape(signal: Tensor, weight: Tensor, *rest: Any) -> Tensor:
    return signal.new_empty(signal.shape[0], signal.shape[1], weight.shape[2])


def _gradients(grad: Tensor, signal: Tensor, weight: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    """Gradients of signal and weight."""
    *arrays, backend = rest
    if signal.numel() == 0 or grad.numel() == 0:
        return torch.zeros_like(signal), torch.zeros_like(weight)
    module = select_module(backend, signal, weight, tuple(arrays))
    return module.signal_and_weight_gradients(grad, signal, weight, tuple(arrays))


def _gradients_shape(
    grad: Tensor, signal: Tensor, weight: Tensor, *rest: Any
) -> tuple[Tensor, Tensor]:
    return signal.new_empty(signal.shape), weight.new_empty(weight.shape)


def _weight_gradient(grad: Tensor, signal: Tensor, num_orders: int, *rest: Any) -> Tensor:
    """The gradient of the weight alone, for inputs that need none."""
    *arrays, backend = rest
    shape = (num_orders, signal.shape[2], grad.shape[2])
    if signal.numel() == 0 or grad.numel() == 0:
        return signal.new_zeros(shape)
    module = select_module(backend, signal, signal.new_empty(shape), tuple(arrays))
    return module.weight_gradient(grad, signal, num_orders, tuple(arrays))


def _weight_gradient_shape(grad: Tensor, signal: Tensor, num_orders: int, *rest: Any) -> Tensor:
    return signal.new_empty(num_orders, signal.shape[2], grad.shape[2])


def keep_for_filter(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep input, weight and the operator: no basis signal outlives the forward pass."""
    *tensors, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def differentiate_filter(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    signal, weight, *arrays = ctx.saved_tensors
    needs_signal, needs_weight = ctx.needs_input_grad[:2]
    swapped = (*arrays[3:], *arrays[:3])
    signal_gradient = weight_gradient = None
    # a graph of the gradient itself (double backward) needs operators that know their derivative
    if needs_signal and needs_weight and not torch.is_grad_enabled():
        signal_gradient, weight_gradient = _gradients_op(grad, signal, weight, *arrays, ctx.backend)
    else:
        if needs_signal:
            signal_gradient = _filter_op(grad, weight.transpose(1, 2), *swapped, ctx.backend)
        if needs_weight:
            weight_gradient = _weight_gradient_op(
                grad, signal, weight.shape[0], *arrays, ctx.backend
            )
    return signal_gradient, weight_gradient, *[None] * 7


def _keep_for_weight_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    grad, signal, _, *arrays, ctx.backend = inputs
    ctx.save_for_backward(grad, signal, *arrays)


def _differentiate_weight_gradient(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
    grad, signal, *arrays = ctx.saved_tensors
    grad_gradient = signal_gradient = None
    if ctx.needs_input_grad[0]:
        grad_gradient = _filter_op(signal, cotangent, *arrays, ctx.backend)
    if ctx.needs_input_grad[1]:
        swapped = (*arrays[3:], *arrays[:3])
        signal_gradient = _filter_op(grad, cotangent.transpose(1, 2), *swapped, ctx.backend)
    return grad_gradient, signal_gradient, *[None] * 8


for _name, _implementation, _shape in (
    ("chebyshev_filter", _filter, _filter_shape),
    ("chebyshev_gradients", _gradients, _gradients_shape),
    ("chebyshev_weight_gradient", _weight_gradient, _weight_gradient_shape),
):
    library.impl(_name, _implementation, "CompositeExplicitAutograd")
    torch.library.register_fake(f"deepsphere::{_name}", _shape, lib=library)
torch.library.register_autograd(
    "deepsphere::chebyshev_filter",
    differentiate_filter,
    setup_context=keep_for_filter,
    lib=library,
)
torch.library.register_autograd(
    "deepsphere::chebyshev_weight_gradient",
    _differentiate_weight_gradient,
    setup_context=_keep_for_weight_gradient,
    lib=library,
)


def chebyshev_filter(
    signal: Float[Tensor, "batch vertices in_channels"],
    weight: Float[Tensor, "kernel_size in_channels out_channels"],
    operator: SparseOperator,
    *,
    backend: BackendName = "auto",
) -> Float[Tensor, "batch vertices out_channels"]:
    """The signal filtered by Chebyshev polynomials of a sparse operator.

    ``y = sum_k T_k(L) x W_k`` with ``T_0 = I``, ``T_1 = L``, ``T_k = 2 L T_{k-1} - T_{k-2}``.
    The cost is linear in the number of vertices. Differentiable any number of times.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels)
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    operator : SparseOperator
        Spectrum in [-1, 1]; need not be symmetric: the backward pass runs on the transpose.
    backend : "auto", "cpp", "csr", "triton" or "reference"

    Returns
    -------
    Tensor, shape (batch, vertices, out_channels)

    Raises
    ------
    ValueError
        If a backend is asked for by name that cannot serve the call.

    References
    ----------
    Defferrard et al. (2020), DeepSphere: a graph-based spherical CNN, section 2.
    """
    arrays = operator.arrays()
    # "auto" chooses when it runs; only what has no kernel at all must be known now
    if backend != "auto" or not (signal.is_cuda or signal.dtype in _REGISTERED_TYPES):
        chosen = choose_backend(signal, weight, arrays, backend).backend
        if chosen == "reference":
            return reference.chebyshev_filter(signal, weight, operator)
    return _filter_op(signal, weight, *arrays, backend)
