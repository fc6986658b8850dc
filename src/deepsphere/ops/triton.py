"""The polynomial graph filter on a GPU, in Triton: 16-bit, single or double precision.

What a layer costs on a GPU is what it moves. With d neighbors (8 d bytes of indices and values of
the operator), s bytes a value, C channels in, O out and K >= 3 orders, a vertex of an item moves

    a basis and one product with the weights   (4 K - 2) C s + O s + 8 d (K - 1)
    mixing steps                               (3 K - 5) C s + O s + 8 d (K - 1)
                                               and 2 O s for every three orders after the third

if neighbors are read from memory once: vertices that are close in NESTED order share them in cache.
For 16 to 32 channels, K = 3, d = 20 and float32 that is 1.1 kB and 0.7 kB, where a sparse and a
dense product for every order move 1.5 kB: counted, not measured.

- :func:`_filter_by_mixing`: the step that makes an order adds up to three orders to the output. For
  the usual channels, in K - 1 launches.
- :func:`_basis`: all orders side by side, (vertices, orders, channels), and one dense product. For
  thin, wide and double precision signals, and for gradients: the basis of the output's gradient
  serves both. Nothing but input and weight is kept between the passes.
- :func:`_filter_on_output`: Clenshaw's recurrence where the output is much narrower.

The operator stays in compressed rows (see :func:`deepsphere.ops.triton_kernels._product`): a padded
format would cost a second copy and the padding, from a tenth at degrees 20 to 22 to a half where a
border has 30. Sums are in float32, or float64 for float64; their order is fixed, so that results
repeat. Signals are addressed by 64-bit offsets.

The public functions are those of :class:`deepsphere.ops.backends.Backend`.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache, reduce
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

_TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# Neighbors of a row that are read side by side; degrees are 20 to 22 for 20 nearest neighbors.
_NEIGHBORS = 4
# Columns of a block fill a cache line of 128 bytes.
_LINE_BYTES = 128
# Rows of a block and warps that share it. More rows find more of each other's neighbors in cache;
# but while rows x neighbors stay below the number of threads, Triton lets each thread read the
# indices it needs, where more would be passed through shared memory in every round. Few columns
# leave threads idle, so they take more rows. Products with the weights on 16 rows by 4 warps are
# split over the warps without repetition (seen in the compiled code; none of it measured).
_ROWS, _WARPS = 32, 8
_THIN_ROWS, _THIN_COLUMNS = 64, 4
_MIXED_ROWS, _MIXED_WARPS = 16, 4
# Clenshaw's recurrence on the output side pays from about this ratio of channels on.
_CLENSHAW_RATIO = 3
# A mixing step reads the weights of a block of rows from cache: they must be small beside it. Below
# 16 channels its blocks would be half empty.
_MIXED_CHANNELS = 16
_MIXED_OUT_CHANNELS = 128
_MIXED_WEIGHTS = 2**12
# A basis is made for as many items at a time.
_BASIS_BYTES = 2**30
# Rows that a dense product over all vertices sums before the sums meet, where it is small.
_SUMMED_ROWS = 2**12
_SMALL_PRODUCT = 2**16
# What Triton and its bfloat16 ask of a device of NVIDIA.
_CAPABILITY = (7, 0)
_CAPABILITY_BFLOAT16 = (8, 0)


@cache
def _kernels() -> ModuleType:
    """The compiled kernels; importing them imports Triton."""
    from deepsphere.ops import triton_kernels

    return triton_kernels


@cache
def _is_installed() -> bool:
    """Whether Triton can be imported; it is not, until a kernel runs."""
    return find_spec("triton") is not None


def _is_interpreted() -> bool:
    """Whether Triton runs its kernels in Python, on CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def why_not(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> str | None:
    """Why these kernels cannot filter a signal, with the remedy; None if they can."""
    device, dtype = signal.device, signal.dtype
    if device.type != "cuda" and not (_is_interpreted() and device.type == "cpu"):
        return f"signal must be on a GPU, got {device}; move layer and signal with .to('cuda')"
    if not _is_installed():
        return "triton is not installed; pip install triton (torch's builds for CUDA bring it)"
    if dtype not in _TYPES:
        return f"signal must be float16, bfloat16, float32 or float64, got {dtype}; cast it"
    if weight.dtype != dtype:
        return f"weight must have the type of the signal ({dtype}), got {weight.dtype}; cast one"
    elsewhere = [tensor.device for tensor in (weight, *arrays) if tensor.device != device]
    if elsewhere:
        return f"weight and operator must be on {device}, got {elsewhere[0]}; move the layer"
    if device.type == "cuda" and torch.version.hip is None:
        return _why_not_capability(torch.cuda.get_device_capability(device), dtype)
    return None


def _why_not_capability(capability: tuple[int, int], dtype: torch.dtype) -> str | None:
    """Why a device of NVIDIA of some compute capability is too old for a type."""
    needed = _CAPABILITY_BFLOAT16 if dtype == torch.bfloat16 else _CAPABILITY
    if capability >= needed:
        return None
    needed, got = (".".join(map(str, version)) for version in (needed, capability))
    remedy = "use float16" if dtype == torch.bfloat16 else 'use backend="csr"'
    return f"the GPU must have compute capability {needed} for {dtype}, got {got}; {remedy}"


def _on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    """Launches go to the current device: make it the tensor's, on whose current stream they run."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _sum_type(dtype: torch.dtype) -> Any:
    """Triton's type of the sums over signals of a type."""
    language = _kernels().tl
    return language.float64 if dtype == torch.float64 else language.float32


def _dot_type(dtype: torch.dtype) -> Any:
    """Triton's type of the factors of dense products; its interpreter cannot multiply bfloat16."""
    language = _kernels().tl
    if dtype == torch.float16:
        return language.float16
    exact = dtype == torch.bfloat16 and not _is_interpreted()
    return language.bfloat16 if exact else language.float32


def _power_of_two(number: int) -> int:
    """The smallest power of two that is not below a number."""
    return 1 << (number - 1).bit_length()


def _vertex_stride(signal: Tensor) -> int:
    """Values from a vertex to the next, so that items are that times the vertices apart."""
    # a dimension of one may have any stride: with a single vertex, items tell
    return signal.stride(1) if signal.shape[1] > 1 else signal.stride(0)


def _step(
    half: tuple[Tensor, ...],
    source: Tensor,
    target: Tensor,
    *,
    alpha: int,
    previous: Tensor | None = None,
    addend: Tensor | None = None,
) -> None:
    """``target = alpha L source - previous + addend`` for signals (batch, vertices, channels).

    Each is contiguous, or one order of a contiguous basis (batch, vertices, orders, channels).
    """
    batch, num_vertices, channels = source.shape
    num_columns = batch * channels
    columns = min(_power_of_two(num_columns), _LINE_BYTES // source.element_size())
    rows = _THIN_ROWS if columns <= _THIN_COLUMNS else _ROWS
    num_blocks = -(-num_vertices // rows) * -(-num_columns // columns)
    with _on_device(source):
        _kernels().step[(num_blocks,)](
            source,
            source if previous is None else previous,
            source if addend is None else addend,
            target,
            *half,
            num_vertices,
            batch,
            float(alpha),
            CHANNELS=channels,
            SOURCE_STRIDE=_vertex_stride(source),
            PREVIOUS_STRIDE=0 if previous is None else _vertex_stride(previous),
            ADDEND_STRIDE=0 if addend is None else _vertex_stride(addend),
            TARGET_STRIDE=_vertex_stride(target),
            ROWS=rows,
            NEIGHBORS=_NEIGHBORS,
            COLUMNS=columns,
            SUM=_sum_type(source.dtype),
            num_warps=_WARPS,
            enable_fp_fusion=True,
        )


def _groups(batch: int, item_bytes: int) -> Iterator[slice]:
    """Items of a batch, so many at a time that what they need fits the memory of a basis."""
    size = max(_BASIS_BYTES // max(item_bytes, 1), 1)
    for start in range(0, batch, size):
        yield slice(start, min(start + size, batch))


def _basis(signal: Tensor, num_orders: int, half: tuple[Tensor, ...]) -> Tensor:
    """``T_0(L) x, T_1(L) x, ...`` side by side, shape (batch, vertices, num_orders, channels)."""
    batch, num_vertices, channels = signal.shape
    basis = signal.new_empty(batch, num_vertices, num_orders, channels)
    basis[:, :, 0] = signal
    for order in range(1, num_orders):
        previous = basis[:, :, order - 2] if order > 1 else None
        # the first step reads the signal itself, whose vertices lie closer together
        source = basis[:, :, order - 1] if order > 1 else signal
        alpha = 2 if order > 1 else 1
        _step(half, source, basis[:, :, order], alpha=alpha, previous=previous)
    return basis


def _filter_on_input(signal: Tensor, weight: Tensor, half: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal by a basis of the input."""
    num_orders, in_channels, out_channels = weight.shape
    out = signal.new_empty(*signal.shape[:2], out_channels)
    for items in _groups(len(signal), num_orders * signal[0].nbytes):
        basis = _basis(signal[items], num_orders, half)
        flat = basis.view(-1, num_orders * in_channels)
        torch.mm(flat, weight.flatten(0, 1), out=out[items].view(-1, out_channels))
    return out


def _filter_on_output(signal: Tensor, weight: Tensor, half: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal by Clenshaw's recurrence on the output.

    ``b_k = x W_k + 2 L b_{k+1} - b_{k+2}`` replaces ``x W_k``, downwards; the result is
    ``x W_0 + L b_1 - b_2``.
    """
    num_orders, in_channels, out_channels = weight.shape
    # (in_channels, orders x out_channels): all products with the weights in one
    side_by_side = weight.transpose(0, 1).reshape(in_channels, -1)
    out = signal.new_empty(*signal.shape[:2], out_channels)
    for items in _groups(len(signal), num_orders * out[0].nbytes):
        products = torch.mm(signal[items].view(-1, in_channels), side_by_side)
        terms = products.view(*out[items].shape[:2], num_orders, out_channels).unbind(2)
        for order in range(num_orders - 2, -1, -1):
            _step(
                half,
                terms[order + 1],
                terms[order] if order else out[items],
                alpha=2 if order else 1,
                previous=terms[order + 2] if order + 2 < num_orders else None,
                addend=terms[order],
            )
    return out


def _can_mix(weight: Tensor) -> bool:
    """Whether mixing steps suit the channels and the type."""
    _, in_channels, out_channels = weight.shape
    return (
        weight.dtype != torch.float64
        and in_channels >= _MIXED_CHANNELS
        and out_channels <= _MIXED_OUT_CHANNELS
        and in_channels * out_channels <= _MIXED_WEIGHTS
    )


def _dot_precision() -> str:
    """How Triton multiplies float32: by three products in TF32, about as exact as one in float32.

    By one where the user lets torch do so; see ``torch.set_float32_matmul_precision``.
    """
    if torch.version.hip is not None:
        return "ieee"
    matmul = torch.backends.cuda.matmul
    # torch 2.9 has a new name for this, and an error for who reads the old one after setting it
    if hasattr(matmul, "fp32_precision"):
        return "tf32" if matmul.fp32_precision == "tf32" else "tf32x3"
    return "tf32" if matmul.allow_tf32 else "tf32x3"


def _mixing_step(
    half: tuple[Tensor, ...],
    source: Tensor,
    target: Tensor | None,
    weights: Tensor,
    out: Tensor,
    *,
    alpha: int,
    previous: Tensor | None,
    adds: bool,
) -> None:
    """``target = alpha L source - previous``, and ``out = [out +] sum_j z_j W_j`` of its rows.

    The z are the last of `previous`, `source` and `target`, as many as there are weights.
    """
    batch, num_vertices, in_channels = source.shape
    num_mixed, _, out_channels = weights.shape
    widest, padded = _LINE_BYTES // source.element_size(), -(-in_channels // 16) * 16
    with _on_device(source):
        _kernels().mixing_step[(-(-num_vertices // _MIXED_ROWS) * batch,)](
            source,
            source if previous is None else previous,
            source if target is None else target,
            weights,
            out,
            *half,
            num_vertices,
            batch,
            float(alpha),
            IN=in_channels,
            OUT=out_channels,
            MIXED=num_mixed,
            HAS_PREVIOUS=previous is not None,
            STORES=target is not None,
            ADDS=adds,
            ROWS=_MIXED_ROWS,
            NEIGHBORS=_NEIGHBORS,
            # the widest that leaves no more of the last block empty than the narrowest
            BLOCK_IN=max(n for n in (16, 32, 64) if n <= widest and padded % n == 0),
            BLOCK_OUT=max(_power_of_two(out_channels), 16),
            DOT=_dot_type(source.dtype),
            PRECISION=_dot_precision(),
            num_warps=_MIXED_WARPS,
            enable_fp_fusion=True,
        )


def _filter_by_mixing(signal: Tensor, weight: Tensor, half: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal by steps of which every third, and the last, adds to the output."""
    num_orders = weight.shape[0]
    out = signal.new_empty(*signal.shape[:2], weight.shape[2])
    # three: a step may not overwrite the two orders it reads
    panels = [torch.empty_like(signal) for _ in range(min(num_orders - 2, 3))]
    before, previous = None, signal
    for order in range(1, num_orders):
        is_last = order == num_orders - 1
        current = panels[(order - 1) % 3] if not is_last else None
        alpha = 1 if before is None else 2
        if current is not None and order % 3 != 2:
            _step(half, previous, current, alpha=alpha, previous=before)
        else:
            # orders that no step has added yet
            weights = weight[order // 3 * 3 : order + 1]
            _mixing_step(
                half,
                previous,
                current,
                weights,
                out,
                alpha=alpha,
                previous=before,
                adds=order > 2,
            )
        if current is not None:
            before, previous = previous, current
    return out


def filter_signal(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal ``sum_k T_k(L) x W_k``, on the side and in the form that moves least."""
    num_orders, in_channels, out_channels = weight.shape
    if signal.numel() == 0 or weight.numel() == 0:
        return signal.new_zeros(*signal.shape[:2], out_channels)
    signal, weight = signal.contiguous(), weight.contiguous()
    if num_orders == 1:
        return signal @ weight[0]
    if in_channels >= _CLENSHAW_RATIO * out_channels:
        return _filter_on_output(signal, weight, arrays[:3])
    if _can_mix(weight):
        return _filter_by_mixing(signal, weight, arrays[:3])
    return _filter_on_input(signal, weight, arrays[:3])


def _correlate(left: Tensor, right: Tensor) -> Tensor:
    """``left^T right`` over all vertices of all items: matrices of few columns and many rows.

    A small product is summed in parts, which meet in float32 at least: a dense product library may
    else give so few results to as few multiprocessors, or round half-precision sums on the way.
    """
    left, right = left.view(-1, left.shape[-1]), right.view(-1, right.shape[-1])
    size = left.shape[1] * right.shape[1]
    split = len(left) // _SUMMED_ROWS * _SUMMED_ROWS if size <= _SMALL_PRODUCT else 0
    sum_dtype = torch.promote_types(left.dtype, torch.float32)
    total = torch.mm(left[split:].t(), right[split:]).to(sum_dtype)
    if split:
        parts = [matrix[:split].view(-1, _SUMMED_ROWS, matrix.shape[1]) for matrix in (left, right)]
        total += torch.bmm(parts[0].transpose(1, 2), parts[1]).sum(0, dtype=sum_dtype)
    return total


def weight_gradient(
    grad: Tensor, signal: Tensor, num_orders: int, arrays: tuple[Tensor, ...]
) -> Tensor:
    """``dW_k = (T_k(L) x)^T g = x^T T_k(L^T) g``, from a basis of the narrower one."""
    in_channels, out_channels = signal.shape[2], grad.shape[2]
    if signal.numel() == 0 or grad.numel() == 0:
        return signal.new_zeros(num_orders, in_channels, out_channels)
    grad, signal = grad.contiguous(), signal.contiguous()
    parts = []
    if in_channels <= out_channels:
        for items in _groups(len(signal), num_orders * signal[0].nbytes):
            basis = _basis(signal[items], num_orders, arrays[:3])
            parts.append(_correlate(basis.flatten(2), grad[items]))
        total = reduce(torch.add, parts).view(num_orders, in_channels, out_channels)
        return total.to(signal.dtype)
    for items in _groups(len(signal), num_orders * grad[0].nbytes):
        basis = _basis(grad[items], num_orders, arrays[3:])
        parts.append(_correlate(signal[items], basis.flatten(2)))
    return _by_order(reduce(torch.add, parts), num_orders).to(signal.dtype)


def _by_order(side_by_side: Tensor, num_orders: int) -> Tensor:
    """(in_channels, orders x out_channels) as (orders, in_channels, out_channels)."""
    return side_by_side.view(len(side_by_side), num_orders, -1).transpose(0, 1).contiguous()


def signal_and_weight_gradients(
    grad: Tensor, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Gradients of signal and weight, ``sum_k T_k(L^T) g W_k^T`` and ``x^T T_k(L^T) g``.

    One basis of the gradient serves both. Where the output is twice as wide as the input or more, a
    basis of the signal for the weight and a Clenshaw sum for the signal cost less.
    """
    num_orders, in_channels, out_channels = weight.shape
    if signal.numel() == 0 or weight.numel() == 0:
        return torch.zeros_like(signal), torch.zeros_like(weight)
    grad, signal = grad.contiguous(), signal.contiguous()
    transposed = weight.transpose(1, 2).contiguous()
    if num_orders > 1 and out_channels >= 2 * in_channels:
        weight_part = weight_gradient(grad, signal, num_orders, arrays)
        return _filter_on_output(grad, transposed, arrays[3:]), weight_part
    signal_gradient = torch.empty_like(signal)
    parts = []
    for items in _groups(len(signal), num_orders * grad[0].nbytes):
        basis = _basis(grad[items], num_orders, arrays[3:]).flatten(2)
        flat = basis.view(-1, num_orders * out_channels)
        target = signal_gradient[items].view(-1, in_channels)
        torch.mm(flat, transposed.flatten(0, 1), out=target)
        parts.append(_correlate(signal[items], basis))
    return signal_gradient, _by_order(reduce(torch.add, parts), num_orders).to(weight.dtype)
