"""The polynomial graph filter on torch's CSR product: no build, little memory, any device.

Three things make it faster than the recurrence written out in tensors: each step is one fused
multiply-add into memory that exists already; the product with the weights follows while a block of
rows is in cache; and one basis of the output's gradient serves both gradients, so that nothing but
input and weight is kept between the passes.

The public functions are those of :class:`deepsphere.ops.backends.Backend`.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from deepsphere.ops.sparse import csr_tensor

# Rows x columns of a block that stays in a 2 MB second-level cache as float32.
_BLOCK_ELEMENTS = 2**19
# Above this many values an item's signal leaves the cache, and items one by one (no transposition
# of the batch) beat all items side by side; measured between nside 8 and nside 64.
_WIDE_ELEMENTS = 2**16
# Clenshaw's recurrence on the output side pays from about this ratio of channels on.
_CLENSHAW_RATIO = 3
# Scratch memory up to this size stays with its thread from call to call: one panel of a map of a
# million vertices and 16 channels.
_KEPT_BYTES = 2**26
_KEPT = threading.local()


class _Block(NamedTuple):
    """Rows start..stop of an operator."""

    start: int
    stop: int
    rows: Tensor


def _row_blocks(crow: Tensor, col: Tensor, values: Tensor, num_columns: int) -> list[_Block]:
    """The operator in blocks of rows that fit the cache when the panel has `num_columns`."""
    num_rows = crow.shape[0] - 1
    height = max(_BLOCK_ELEMENTS // max(num_columns, 1), 256)
    # slicing needs offsets on the host; on an accelerator that would wait for the device
    if crow.device.type != "cpu" or num_rows <= height:
        return [_Block(0, num_rows, csr_tensor(crow, col, values, num_rows))]
    blocks = []
    for start in range(0, num_rows, height):
        stop = min(start + height, num_rows)
        first, last = int(crow[start]), int(crow[stop])
        offsets = crow[start : stop + 1] - first
        rows = csr_tensor(offsets, col[first:last], values[first:last], num_rows)
        blocks.append(_Block(start, stop, rows))
    return blocks


def _visit_basis(
    blocks: list[_Block],
    panel: Tensor,
    num_orders: int,
    visit: Callable[[int, int, int, Tensor], None],
) -> None:
    """Call ``visit(order, start, stop, rows of B_order panel)`` for every order and block.

    ``B_k = T_k(L)``, but the last is ``B_{K-1} = L T_{K-2}(L)`` from three orders on: without the
    difference of the recurrence it needs no copy, and :func:`_fold` moves the difference to the
    weights. Orders come in ascending order for each block, each as late as memory allows, so that
    several meet while the block is in cache. The panel (vertices, columns) is only read. At most
    two panels of scratch: the last order lives in one block, the others overwrite the order before
    the previous one.
    """
    if num_orders == 1:
        for start, stop, _ in blocks:
            visit(0, start, stop, panel[start:stop])
        return
    before, previous = panel, panel
    # made once: fresh memory for every block would cost as much as the product that fills it
    block = panel.new_empty(max(stop - start for start, stop, _ in blocks), panel.shape[1])
    scratch = iter(_scratch(min(num_orders - 2, 2), panel))
    for order in range(1, num_orders):
        last = order == num_orders - 1
        # up to order 2 `before` is the caller's panel, which must survive
        current = before if order > 2 or last else next(scratch)
        for start, stop, rows in blocks:
            if order > 1:
                visit(order - 2, start, stop, before[start:stop])
            if last:
                visit(order - 1, start, stop, previous[start:stop])
                visit(order, start, stop, _product(rows, previous, block[: stop - start]))
                continue
            target = current[start:stop]
            if order == 1:
                _product(rows, previous, target)
            else:
                if current is not before:
                    target.copy_(before[start:stop])
                target.addmm_(rows, previous, beta=-1, alpha=2)
        before, previous = previous, current


def _scratch(num_panels: int, panel: Tensor) -> Tensor:
    """Panels like one, uninitialized; valid until the next call in this thread.

    On CPU small ones are kept and reused: the system's first touch of fresh memory costs a third as
    much as the product that fills it.
    """
    size = num_panels * panel.numel()
    if panel.device.type != "cpu" or size * panel.element_size() > _KEPT_BYTES:
        return panel.new_empty(num_panels, *panel.shape)
    kept: Tensor | None = getattr(_KEPT, "memory", None)
    if kept is None or kept.numel() < size * panel.element_size():
        kept = torch.empty(size * panel.element_size(), dtype=torch.uint8)
        _KEPT.memory = kept
    return kept[: size * panel.element_size()].view(panel.dtype).view(num_panels, *panel.shape)


def _product(rows: Tensor, panel: Tensor, out: Tensor) -> Tensor:
    """``rows @ panel`` in memory that exists; `torch.mm` would fill as much again with zeros."""
    return out.addmm_(rows, panel, beta=0)


def _fold(weight: Tensor) -> Tensor:
    """Weights for the basis of :func:`_visit_basis`: ``T_{K-1} = 2 B_{K-1} - B_{K-3}``."""
    if weight.shape[0] < 3:
        return weight.contiguous()
    folded = weight.clone(memory_format=torch.contiguous_format)
    folded[-1] *= 2
    folded[-3] -= weight[-1]
    return folded


def _unfold(gradient: Tensor) -> Tensor:
    """The gradient of the weights, from that of the folded ones: the adjoint of :func:`_fold`."""
    if gradient.shape[0] >= 3:
        gradient[-1].mul_(2).sub_(gradient[-3])
    return gradient


def _clenshaw(blocks: list[_Block], source: Tensor, weight: Tensor, out: Tensor) -> None:
    """Write ``sum_k T_k(L) x W_k`` to `out`, on panels as wide as the result.

    The recurrence ``b_k = x W_k + 2 L b_{k+1} - b_{k+2}`` runs downwards, the result is
    ``x W_0 + L b_1 - b_2``. A term replaces the one after the next, which only its own rows need:
    even ones live in `out`, odd ones in one panel of scratch.
    """
    num_orders, _, out_channels = weight.shape
    even, odd = _flat(out), torch.empty_like(_flat(out))
    for order in range(num_orders - 1, -1, -1):
        current, following = (odd, even) if order % 2 else (even, odd)
        for start, stop, rows in blocks:
            target = current[start:stop]
            if order + 2 >= num_orders:
                target.zero_()
            if order + 1 < num_orders:
                target.addmm_(rows, following, beta=-1, alpha=2 if order else 1)
            target.view(-1, out_channels).addmm_(_rows(source, start, stop), weight[order])


def _is_wide(*signals: Tensor) -> bool:
    """Whether the items of a batch are filtered side by side."""
    return all(
        signal.shape[0] > 1 and (signal.device.type != "cpu" or signal[0].numel() < _WIDE_ELEMENTS)
        for signal in signals
    )


def _to_panels(signal: Tensor, *, wide: bool) -> Tensor:
    """A signal (batch, vertices, channels) as (panels, vertices, items, channels).

    Side by side it is a copy; one by one it is a view, contiguous where the signal is.
    """
    if wide:
        return signal.transpose(0, 1).contiguous().unsqueeze(0)
    return signal.unsqueeze(2)


def _from_panels(panels: Tensor) -> Tensor:
    """The inverse of :func:`_to_panels`, contiguous."""
    count, vertices, items, channels = panels.shape
    return panels.transpose(1, 2).contiguous().view(count * items, vertices, channels)


def _rows(panel: Tensor, start: int, stop: int) -> Tensor:
    """Rows of a panel (vertices, items, channels) as a matrix (rows x items, channels)."""
    return panel[start:stop].reshape(-1, panel.shape[2])


def _flat(panel: Tensor) -> Tensor:
    """A panel (vertices, items, channels) as a matrix (vertices, items x channels)."""
    return panel.contiguous().view(panel.shape[0], -1)


def _accumulator(target: Tensor, folded: Tensor) -> Callable[[int, int, int, Tensor], None]:
    """Adds ``(B_order x) W_order`` to rows of the result; order 0 comes first and overwrites."""

    def add(order: int, start: int, stop: int, values: Tensor) -> None:
        rows, basis = _rows(target, start, stop), values.reshape(-1, folded.shape[1])
        if order == 0:
            torch.mm(basis, folded[0], out=rows)
        else:
            rows.addmm_(basis, folded[order])

    return add


def _filter_on_input(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal by a basis of the input."""
    num_orders, in_channels, out_channels = weight.shape
    panels = _to_panels(signal, wide=_is_wide(signal))
    out = panels.new_empty(*panels.shape[:3], out_channels)
    blocks = _row_blocks(*arrays[:3], num_columns=panels.shape[2] * in_channels)
    folded = _fold(weight)
    for source, target in zip(panels, out, strict=True):
        _visit_basis(blocks, _flat(source), num_orders, _accumulator(target, folded))
    return _from_panels(out)


def _filter_on_output(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal by Clenshaw's recurrence on the output."""
    panels = _to_panels(signal, wide=_is_wide(signal))
    out = panels.new_empty(*panels.shape[:3], weight.shape[2])
    blocks = _row_blocks(*arrays[:3], num_columns=out.shape[2] * out.shape[3])
    for source, target in zip(panels, out, strict=True):
        _clenshaw(blocks, source, weight.contiguous(), target)
    return _from_panels(out)


def why_not(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> str | None:
    """Why torch's CSR products cannot filter a signal; None if they can."""
    if signal.dtype not in (torch.float32, torch.float64):
        return f"the CSR product of torch does not take {signal.dtype}"
    return None


def filter_signal(signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]) -> Tensor:
    """The filtered signal, by the side that costs less."""
    num_orders, in_channels, out_channels = weight.shape
    if num_orders > 1 and in_channels >= _CLENSHAW_RATIO * out_channels:
        return _filter_on_output(signal, weight, arrays)
    return _filter_on_input(signal, weight, arrays)


def weight_gradient(
    grad: Tensor, signal: Tensor, num_orders: int, arrays: tuple[Tensor, ...]
) -> Tensor:
    """The gradient of the weight, ``(T_k(L) x)^T g = x^T T_k(L^T) g``, by the narrower side."""
    in_channels, out_channels = signal.shape[2], grad.shape[2]
    gradient = signal.new_zeros(num_orders, in_channels, out_channels)
    wide = _is_wide(signal, grad)
    sources, grads = _to_panels(signal, wide=wide), _to_panels(grad, wide=wide)
    on_signal = in_channels <= out_channels
    spread, kept = (sources, grads) if on_signal else (grads, sources)
    half = arrays[:3] if on_signal else arrays[3:]
    blocks = _row_blocks(*half, num_columns=spread.shape[2] * spread.shape[3])
    for panel, other in zip(spread, kept, strict=True):

        def correlate(
            order: int, start: int, stop: int, basis: Tensor, other: Tensor = other
        ) -> None:
            rows, fixed = basis.reshape(-1, spread.shape[3]), _rows(other, start, stop)
            left, right = (rows, fixed) if on_signal else (fixed, rows)
            gradient[order].addmm_(left.t(), right)

        _visit_basis(blocks, _flat(panel), num_orders, correlate)
    return _unfold(gradient)


def _shared_gradients(
    grad: Tensor, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Both gradients from one basis of the output's: ``sum_k T_k g W_k^T`` and ``x^T T_k g``."""
    gradient, folded = torch.zeros_like(weight), _fold(weight.transpose(1, 2))
    wide = _is_wide(signal, grad)
    sources, grads = _to_panels(signal, wide=wide), _to_panels(grad, wide=wide)
    signal_gradient = sources.new_empty(sources.shape)
    blocks = _row_blocks(*arrays[3:], num_columns=grads.shape[2] * grads.shape[3])
    for source, out_grad, target in zip(sources, grads, signal_gradient, strict=True):
        accumulate = _accumulator(target, folded)

        def correlate(
            order: int,
            start: int,
            stop: int,
            basis: Tensor,
            source: Tensor = source,
            accumulate: Callable[[int, int, int, Tensor], None] = accumulate,
        ) -> None:
            rows = _rows(source, start, stop)
            gradient[order].addmm_(rows.t(), basis.reshape(-1, weight.shape[2]))
            accumulate(order, start, stop, basis)

        _visit_basis(blocks, _flat(out_grad), weight.shape[0], correlate)
    return _from_panels(signal_gradient), _unfold(gradient)


def signal_and_weight_gradients(
    grad: Tensor, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Both gradients, by the side that costs less.

    A basis of the output's gradient has ``out_channels`` and serves both; a basis of the signal for
    the weight and a Clenshaw sum for the signal have ``in_channels`` each. Where both cost the same
    the second one is taken, for its panels are half as wide.
    """
    if weight.shape[2] < 2 * weight.shape[1]:
        return _shared_gradients(grad, signal, weight, arrays)
    gradient = weight_gradient(grad, signal, weight.shape[0], arrays)
    return _filter_on_output(grad, weight.transpose(1, 2), arrays[3:]), gradient
