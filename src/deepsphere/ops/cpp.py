"""The polynomial graph filter in C++: all orders of a tile of vertices while it is in cache.

A tile and its halo are read once; the basis signals, the product with the weights and what follows
it never leave the second-level cache. The backward pass makes one basis of the output's gradient,
which serves both gradients, so that nothing but input and weight is kept between the passes.

The public functions are those of :class:`deepsphere.ops.backends.Backend`.
"""

import ctypes
from functools import cache

import torch
from torch import Tensor

from deepsphere.native import load_library, why_absent
from deepsphere.ops import csr
from deepsphere.ops.memory import CACHE_LINE, empty_output
from deepsphere.ops.plans import DTYPES, Plan, check_status, find_plan

LARGEST_KERNEL_SIZE = 32
ACTIVATIONS = {"none": 0, "relu": 1, "gelu": 2}
POOLS = {"none": 0, "max": 1, "mean": 2}

# Work of a product with the operator against that of a product with the weights, per
# multiplication: the former waits for memory.
_PRODUCT_COST = 3.0
# Multiplications with the weights by Clenshaw's recurrence, which makes them for the halo too.
_HALO_COST = 0.3
# Products with the weights are made first where they are so many times fewer than the channels of a
# signal that is no small one; three to nine times as fast for one output.
_FEW_PRODUCTS, _SMALL_VALUES = 2, 2**16
# Scalars of a row in the basis of a tile, items side by side.
_ROW_VALUES = 32
_SIDE_INPUT, _SIDE_OUTPUT = 0, 1
# Groups that a tile and a chunk of its rows (kernels/filter.h) hold without a rest.
_POOLED_GROUPS = (2, 4, 8, 16, 32)
# Larger outputs have left the last-level cache before anybody reads them.
_CACHED_BYTES = 2**25

_Long = ctypes.c_int64


class _FilterArguments(ctypes.Structure):
    """`FilterArguments` of kernels/filter_arguments.h."""

    _fields_ = [
        *((name, _Long) for name in ("batch", "num_vertices", "out_vertices")),
        *((name, _Long) for name in ("in_channels", "out_channels", "orders")),
        ("signal", ctypes.c_void_p),
        ("signal_strides", _Long * 3),
        ("weight", ctypes.c_void_p),
        ("weight_strides", _Long * 3),
        *((name, ctypes.c_void_p) for name in ("out", "scale", "shift", "mean", "variance")),
        ("group", _Long),
        *((name, ctypes.c_int32) for name in ("pool", "activation", "side", "threads", "is_final")),
    ]


class _GradientArguments(ctypes.Structure):
    """`GradientArguments` of kernels/filter_arguments.h."""

    _fields_ = [
        *((name, _Long) for name in ("batch", "num_vertices", "other_channels")),
        *((name, _Long) for name in ("spread_channels", "orders")),
        ("spread", ctypes.c_void_p),
        ("spread_strides", _Long * 3),
        *((name, ctypes.c_void_p) for name in ("other", "weight")),
        ("weight_strides", _Long * 3),
        *((name, ctypes.c_void_p) for name in ("other_gradient", "correlation")),
        *((name, ctypes.c_int32) for name in ("threads", "is_final")),
    ]


def why_not(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> str | None:
    """Why the compiled kernels cannot filter a signal, with the remedy; None if they can."""
    reason = why_absent()
    if reason is not None:
        return reason
    if signal.device.type != "cpu":
        return f"signal must be on the CPU, got {signal.device}"
    if signal.dtype not in DTYPES:
        return f"signal must be float32 or float64, got {signal.dtype}; cast it"
    for name, values in (("weight", weight), ("operator", arrays[2])):
        if values.dtype != signal.dtype or values.device != signal.device:
            return (
                f"{name} must be {signal.dtype} on {signal.device} like the signal, got "
                f"{values.dtype} on {values.device}; move the layer"
            )
    if weight.shape[0] > LARGEST_KERNEL_SIZE:
        return f"kernel_size must be at most {LARGEST_KERNEL_SIZE}, got {weight.shape[0]}"
    if arrays[0].dtype != torch.int32:
        return "the operator has more than 2^31 edges"
    return None


def can_serve(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> bool:
    """Whether the compiled kernels have no objection to a call and tiles for it.

    Parameters
    ----------
    signal, weight, arrays
        As of :func:`why_not`.

    Returns
    -------
    bool
    """
    return why_not(signal, weight, arrays) is None and why_no_plan(signal, weight, arrays) is None


def plan_of(arrays: tuple[Tensor, ...], num_orders: int, channels: int, batch: int) -> Plan | str:
    """The tiles for a basis of some channels of an operator, or why there are none.

    Parameters
    ----------
    arrays : tuple of Tensor
        The operator, ``crow, col, values`` first.
    num_orders : int
    channels : int
        Of the signal whose basis is made.
    batch : int

    Returns
    -------
    Plan or str
    """
    crow, col, values = arrays[:3]
    # a small batch of a small graph is work for several threads only in smaller tiles
    num_groups = -(-batch * channels // (2 * _ROW_VALUES))
    num_tiles = max(torch.get_num_threads() // max(num_groups, 1), 1)
    row_bytes = _width(channels, batch) * values.element_size()
    half = (crow, col, values)
    return find_plan(half, num_orders - 1, row_bytes=row_bytes, num_tiles=num_tiles)


def _width(channels: int, batch: int) -> int:
    """Scalars of a row in a tile: thin signals lie side by side, so that one plan serves many."""
    if channels * batch <= _ROW_VALUES:
        return _ROW_VALUES
    return max(channels, 2 * _ROW_VALUES)


def why_no_plan(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> str | None:
    """Why there are no tiles for a filter; None if there are.

    Parameters
    ----------
    signal, weight, arrays
        As of :func:`why_not`, which must have no objection.

    Returns
    -------
    str or None
    """
    plan = _forward_plan(signal, weight, arrays)[1]
    return plan if isinstance(plan, str) else None


def filter_signal(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal, by the side that costs less."""
    side, plan = _forward_plan(signal, weight, arrays)
    if side == _SIDE_OUTPUT and _has_few_products(signal, weight):
        products, selection = _products_with_weights(signal, weight)
        if why_no_plan(products, selection, arrays) is None:
            signal, weight = products, selection
            side, plan = _forward_plan(signal, weight, arrays)
    batch, num_vertices, _ = signal.shape
    out = empty_output(signal, batch, num_vertices, weight.shape[2])
    arguments = _filter_arguments(signal, weight, out)
    _run_filter(arguments, side, plan)
    return out


def _has_few_products(signal: Tensor, weight: Tensor) -> bool:
    """Whether the products with the weights of all orders are much fewer than the channels."""
    num_orders, in_channels, out_channels = weight.shape
    is_large = signal.numel() > _SMALL_VALUES
    return is_large and _FEW_PRODUCTS * num_orders * out_channels <= in_channels


def _products_with_weights(signal: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """All ``x W_k`` side by side, and the weights that take each to its order.

    The filter of these is the filter of the signal, and halos have fewer channels.
    """
    num_orders, in_channels, out_channels = weight.shape
    num_products = num_orders * out_channels
    products = empty_output(signal, *signal.shape[:2], num_products)
    # into memory that exists: the product that allocates would follow autocast
    factor = weight.transpose(0, 1).reshape(in_channels, num_products)
    torch.mm(signal.reshape(-1, in_channels), factor, out=products.view(-1, num_products))
    identity = torch.eye(num_products, dtype=weight.dtype)
    return products, identity.view(num_products, num_orders, out_channels).transpose(0, 1)


def filter_with_statistics(
    signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """The filtered signal, and mean and variance of its channels over batch and vertices.

    Parameters
    ----------
    signal, weight, arrays
        As of :func:`filter_signal`.

    Returns
    -------
    tuple of Tensor
        The filtered signal; mean and (biased) variance in float64, shape (out_channels,).
    """
    batch, num_vertices, _ = signal.shape
    out = empty_output(signal, batch, num_vertices, weight.shape[2])
    mean, variance = torch.zeros(2, weight.shape[2], dtype=torch.float64)
    arguments = _filter_arguments(signal, weight, out)
    arguments.mean, arguments.variance = mean.data_ptr(), variance.data_ptr()
    _run_filter(arguments, *_forward_plan(signal, weight, arrays))
    return out, mean, variance


def filter_with_epilogue(
    signal: Tensor,
    weight: Tensor,
    arrays: tuple[Tensor, ...],
    *,
    scale: Tensor,
    shift: Tensor,
    activation: str,
    pool: str,
    group: int,
) -> Tensor | None:
    """The filtered signal, scaled, shifted, activated and pooled before it leaves the cache.

    Parameters
    ----------
    signal, weight, arrays
        As of :func:`why_not`.
    scale, shift : Tensor, shape (out_channels,)
    activation : "none", "relu" or "gelu"
    pool : "none", "max" or "mean"
    group : int
        Number of consecutive vertices that are pooled; 1 for none.

    Returns
    -------
    Tensor, shape (batch, vertices / group, out_channels), or None
        None where the kernels cannot serve the call, or pool only elsewhere than in their tiles: if
        the group is not a power of two up to 32, or tiles are not runs of consecutive vertices.
    """
    if why_not(signal, weight, arrays) is not None:
        return None
    batch, num_vertices, _ = signal.shape
    side, plan = _forward_plan(signal, weight, arrays)
    if isinstance(plan, str):
        return None
    fits = group in _POOLED_GROUPS and num_vertices % group == 0
    if group > 1 and not (plan.is_ordered and fits):
        return None
    out = empty_output(signal, batch, num_vertices // group, weight.shape[2])
    scale, shift = scale.contiguous(), shift.contiguous()
    arguments = _filter_arguments(signal, weight, out)
    arguments.scale, arguments.shift = scale.data_ptr(), shift.data_ptr()
    arguments.activation, arguments.pool = ACTIVATIONS[activation], POOLS[pool]
    arguments.group = group
    _run_filter(arguments, side, plan)
    return out


def weight_gradient(
    grad: Tensor, signal: Tensor, num_orders: int, arrays: tuple[Tensor, ...]
) -> Tensor:
    """The gradient of the weight, ``x^T T_k(L^T) g``, from a basis of the narrower of the two."""
    if signal.shape[2] < grad.shape[2]:
        gradient = _correlate(signal, grad, None, num_orders, arrays[:3])
        if gradient is not None:
            return gradient[1].transpose(1, 2).contiguous()
    else:
        gradient = _correlate(grad, signal, None, num_orders, arrays[3:])
        if gradient is not None:
            return gradient[1]
    return csr.weight_gradient(grad, signal, num_orders, arrays)


def signal_and_weight_gradients(
    grad: Tensor, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Both gradients from one basis of the output's gradient.

    For thin inputs a basis of the input for the weight and Clenshaw's recurrence for the signal
    would be as narrow as the input, but measured slower down to one channel in and 64 out.
    """
    gradients = _correlate(grad, signal, weight, weight.shape[0], arrays[3:])
    if gradients is None:
        return csr.signal_and_weight_gradients(grad, signal, weight, arrays)
    return gradients


def _filter_arguments(signal: Tensor, weight: Tensor, out: Tensor) -> _FilterArguments:
    arguments = _FilterArguments()
    arguments.batch, arguments.num_vertices, arguments.in_channels = signal.shape
    arguments.orders, _, arguments.out_channels = weight.shape
    arguments.signal, arguments.weight = signal.data_ptr(), weight.data_ptr()
    arguments.signal_strides[:] = signal.stride()
    arguments.weight_strides[:] = weight.stride()
    arguments.out, arguments.out_vertices = out.data_ptr(), out.shape[1]
    arguments.group = 1
    arguments.threads = torch.get_num_threads()
    arguments.is_final = _is_final(out)
    return arguments


def _is_final(out: Tensor) -> bool:
    """Whether an output is better written past the caches: it is larger, and its rows fit lines."""
    row_bytes = out.shape[2] * out.element_size()
    fits = row_bytes % CACHE_LINE == 0 and out.data_ptr() % CACHE_LINE == 0
    return fits and out.numel() * out.element_size() > _CACHED_BYTES


def _forward_plan(
    signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[int, Plan | str]:
    """The side on which the filter costs less, and the tiles for it."""
    num_orders, in_channels, out_channels = weight.shape
    degree = arrays[1].shape[0] / max(arrays[0].shape[0] - 1, 1)
    saved = (num_orders - 1) * degree * (in_channels - out_channels) * _PRODUCT_COST
    spent = _HALO_COST * num_orders * in_channels * out_channels
    side = _SIDE_OUTPUT if num_orders > 1 and saved > spent else _SIDE_INPUT
    channels = out_channels if side == _SIDE_OUTPUT else in_channels
    return side, plan_of(arrays, num_orders, channels, signal.shape[0])


def _run_filter(arguments: _FilterArguments, side: int, plan: Plan | str) -> None:
    """Run the filter on a side; the caller keeps the tensors alive."""
    assert isinstance(plan, Plan), plan
    arguments.side = side
    check_status(_library().ds_filter(plan.handle, ctypes.byref(arguments)))


def _correlate(
    spread: Tensor,
    other: Tensor,
    weight: Tensor | None,
    num_orders: int,
    half: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor] | None:
    """``sum_k T_k(L) spread W_k^T``, empty without weight, and ``other^T T_k(L) spread``.

    None where there are no tiles for L.
    """
    batch, num_vertices, spread_channels = spread.shape
    other_channels = other.shape[2]
    plan = plan_of(half, num_orders, spread_channels, batch)
    if isinstance(plan, str):
        return None
    correlation = spread.new_empty(num_orders, other_channels, spread_channels)
    target = other.new_empty(0) if weight is None else empty_output(other, *other.shape)
    other = other.contiguous()
    arguments = _GradientArguments()
    arguments.batch, arguments.num_vertices = batch, num_vertices
    arguments.other_channels, arguments.spread_channels = other_channels, spread_channels
    arguments.orders, arguments.threads = num_orders, torch.get_num_threads()
    arguments.spread, arguments.other = spread.data_ptr(), other.data_ptr()
    arguments.spread_strides[:] = spread.stride()
    arguments.correlation = correlation.data_ptr()
    if weight is not None:
        arguments.weight, arguments.other_gradient = weight.data_ptr(), target.data_ptr()
        order, row, column = weight.stride()
        arguments.weight_strides[:] = (order, column, row)
        arguments.is_final = _is_final(target)
    check_status(_library().ds_gradients(plan.handle, ctypes.byref(arguments)))
    return target, correlation


@cache
def _library() -> ctypes.CDLL:
    """The library with the signatures of its functions."""
    library = load_library()
    assert library is not None, "callers ask `why_not` before"
    library.ds_filter.argtypes = [ctypes.c_void_p, ctypes.POINTER(_FilterArguments)]
    library.ds_gradients.argtypes = [ctypes.c_void_p, ctypes.POINTER(_GradientArguments)]
    return library
