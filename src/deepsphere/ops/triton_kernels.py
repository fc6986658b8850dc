# Triton's language is typed at compile time: a checker of Python's types sees only constants.
# pyright: basic, reportAttributeAccessIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportIndexIssue=false, reportCallIssue=false
"""The two kernels of the graph filter on a GPU; :mod:`deepsphere.ops.triton` launches them.

Both compute a step ``alpha L x - z + a`` of the recurrence, on a block of rows of the operator and
a block of columns of the signal. A signal (items, vertices, channels) may lie inside a larger one
whose vertices are `stride` values apart: order k of a basis (items, vertices, orders, channels).

Importing this module imports Triton. ``no_type_check``: the runtime checks of the test suite would
wrap the functions that Triton has to read.
"""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def _product(
    source,
    offsets,
    inside,
    rows,
    num_vertices,
    crow,
    col,
    values,
    STRIDE: tl.constexpr,
    ROWS: tl.constexpr,
    NEIGHBORS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SUM: tl.constexpr,
):
    """Rows of ``L x``, shape (ROWS, COLUMNS), summed in the type SUM.

    NEIGHBORS neighbors of each row are read side by side, by neighboring threads: their indices lie
    next to each other in compressed rows, so these are read in whole sectors without another format
    of the operator, and four times as many reads are on their way. Their sums meet at the end.
    """
    first = tl.load(crow + rows, mask=rows < num_vertices, other=0)
    degree = tl.load(crow + rows + 1, mask=rows < num_vertices, other=0) - first
    lane = tl.arange(0, NEIGHBORS)
    total = tl.zeros((ROWS, NEIGHBORS, COLUMNS), SUM)
    for start in range(0, tl.max(degree, axis=0), NEIGHBORS):
        present = start + lane[None, :] < degree[:, None]
        edge = first[:, None] + start + lane[None, :]
        # vertices times channels exceed 32 bits before vertices do
        vertex = tl.load(col + edge, mask=present, other=0).to(tl.int64)
        factor = tl.load(values + edge, mask=present, other=0).to(SUM)
        neighbors = tl.load(
            source + (vertex * STRIDE)[:, :, None] + offsets[None, None, :],
            mask=present[:, :, None] & inside[None, None, :],
            other=0,
        )
        total += factor[:, :, None] * neighbors.to(SUM)
    return tl.sum(total, axis=1)


@triton.jit
@no_type_check
def step(
    source,
    previous,
    addend,
    target,
    crow,
    col,
    values,
    num_vertices,
    num_items,
    alpha,
    CHANNELS: tl.constexpr,
    SOURCE_STRIDE: tl.constexpr,
    PREVIOUS_STRIDE: tl.constexpr,
    ADDEND_STRIDE: tl.constexpr,
    TARGET_STRIDE: tl.constexpr,
    ROWS: tl.constexpr,
    NEIGHBORS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SUM: tl.constexpr,
):
    """``target = alpha L source - previous + addend``; a stride of zero leaves a term out.

    Columns are the channels of all items in a row, so that few channels still fill a block. Blocks
    of columns come before blocks of rows: indices are read from memory once, then from cache. The
    addend may be the target itself.
    """
    num_blocks = tl.cdiv(num_items * CHANNELS, COLUMNS)
    block = tl.program_id(0)
    rows = (block // num_blocks).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = (block % num_blocks) * COLUMNS + tl.arange(0, COLUMNS)
    item, channel = (column // CHANNELS).to(tl.int64), column % CHANNELS
    # the item, not the column, is compared: its value is the same in all that is read at once
    inside = item < num_items
    mask = (rows < num_vertices)[:, None] & inside[None, :]
    start = item * num_vertices
    result = alpha * _product(
        source,
        start * SOURCE_STRIDE + channel,
        inside,
        rows,
        num_vertices,
        crow,
        col,
        values,
        SOURCE_STRIDE,
        ROWS,
        NEIGHBORS,
        COLUMNS,
        SUM,
    )
    # what is read or written once should not push neighbors out of the cache
    if PREVIOUS_STRIDE > 0:
        own = (rows * PREVIOUS_STRIDE)[:, None] + (start * PREVIOUS_STRIDE + channel)[None, :]
        result -= tl.load(previous + own, mask, other=0, eviction_policy="evict_first").to(SUM)
    if ADDEND_STRIDE > 0:
        own = (rows * ADDEND_STRIDE)[:, None] + (start * ADDEND_STRIDE + channel)[None, :]
        result += tl.load(addend + own, mask, other=0, eviction_policy="evict_first").to(SUM)
    own = (rows * TARGET_STRIDE)[:, None] + (start * TARGET_STRIDE + channel)[None, :]
    tl.store(target + own, result.to(target.dtype.element_ty), mask)


@triton.jit
@no_type_check
def _mix(
    total,
    tile,
    weight,
    channel,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``total`` plus the product of a tile (rows, channels) with rows of a weight (IN, OUT).

    Its factors are rounded to the type of the weight, then multiplied in the type DOT.
    """
    column = tl.arange(0, BLOCK_OUT)
    mask = (channel < IN)[:, None] & (column < OUT)[None, :]
    block = tl.load(weight + channel[:, None] * OUT + column[None, :], mask, other=0)
    return tl.dot(tile.to(block.dtype).to(DOT), block.to(DOT), total, input_precision=PRECISION)


@triton.jit
@no_type_check
def mixing_step(
    source,
    previous,
    target,
    weight,
    out,
    crow,
    col,
    values,
    num_vertices,
    num_items,
    alpha,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    MIXED: tl.constexpr,
    HAS_PREVIOUS: tl.constexpr,
    STORES: tl.constexpr,
    ADDS: tl.constexpr,
    ROWS: tl.constexpr,
    NEIGHBORS: tl.constexpr,
    BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A step ``target = alpha L source - previous`` whose rows go to the output while at hand.

    ``out = [out +] previous W_0 + source W_1 + target W_2``, the last MIXED of these terms (1 to
    3), with `weight` at the first of them. Without STORES the step itself is not kept, with ADDS
    the output goes on from what it is. Signals are contiguous (items, vertices, IN) and
    (items, vertices, OUT); a program has all channels of its rows of one item.
    """
    block = tl.program_id(0)
    rows = (block // num_items).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    start = (block % num_items).to(tl.int64) * num_vertices
    present = rows < num_vertices
    column = tl.arange(0, BLOCK_OUT)
    own_out = ((start + rows) * OUT)[:, None] + column[None, :]
    mask_out = present[:, None] & (column < OUT)[None, :]
    total = tl.zeros((ROWS, BLOCK_OUT), tl.float32)
    if ADDS:
        total += tl.load(out + own_out, mask_out, other=0, eviction_policy="evict_first")
    for first in range(0, IN, BLOCK_IN):
        channel = first + tl.arange(0, BLOCK_IN)
        inside = channel < IN
        own = ((start + rows) * IN)[:, None] + channel[None, :]
        mask = present[:, None] & inside[None, :]
        result = alpha * _product(
            source,
            start * IN + channel,
            inside,
            rows,
            num_vertices,
            crow,
            col,
            values,
            IN,
            ROWS,
            NEIGHBORS,
            BLOCK_IN,
            tl.float32,
        )
        if HAS_PREVIOUS:
            before = tl.load(previous + own, mask, other=0, eviction_policy="evict_first")
            result -= before.to(tl.float32)
            if MIXED > 2:
                total = _mix(total, before, weight, channel, IN, OUT, BLOCK_OUT, DOT, PRECISION)
        if MIXED > 1:
            tile = tl.load(source + own, mask, other=0)
            order = weight + (MIXED - 2) * IN * OUT
            total = _mix(total, tile, order, channel, IN, OUT, BLOCK_OUT, DOT, PRECISION)
        order = weight + (MIXED - 1) * IN * OUT
        total = _mix(total, result, order, channel, IN, OUT, BLOCK_OUT, DOT, PRECISION)
        if STORES:
            tl.store(target + own, result.to(target.dtype.element_ty), mask)
    tl.store(out + own_out, total.to(out.dtype.element_ty), mask_out)
