"""The product of a fixed sparse matrix with a batch of signals, compiled or on torch's product."""

import ctypes
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.native import load_library
from deepsphere.ops.memory import empty_output
from deepsphere.ops.plans import DTYPES
from deepsphere.ops.sparse import csr_tensor

# On torch's product, items side by side (at the price of two transpositions) beat one item after
# the other while they are small, or have so few channels that a product alone is bound by the
# indices; measured between nside 4 and nside 64.
_WIDE_VALUES = 2**13
_WIDE_CHANNELS = 3
# The compiled product takes items one after the other, unless they have so few channels that most
# of a vector would be idle.
_IDLE_CHANNELS = 3


@cache
def _library() -> ctypes.CDLL | None:
    """The compiled kernels with the signature of the product, or None."""
    found = load_library()
    if found is not None:
        found.ds_sparse_product.argtypes = [
            ctypes.c_int,
            *[ctypes.c_int64] * 4,
            *[ctypes.c_void_p] * 5,
            ctypes.c_int,
        ]
        found.ds_sparse_product.restype = None
    return found


def _compiled_product(signal: Tensor, crow: Tensor, col: Tensor, values: Tensor) -> Tensor:
    """The product by the compiled kernel: sums stay in registers, and nothing is transposed."""
    batch, num_columns, channels = signal.shape
    num_rows = crow.shape[0] - 1
    if batch > 1 and channels <= _IDLE_CHANNELS:
        panel = signal.transpose(0, 1).reshape(1, num_columns, batch * channels)
        out = _compiled_product(panel, crow, col, values)
        return out.view(num_rows, batch, channels).transpose(0, 1).contiguous()
    signal = signal.contiguous()
    out = empty_output(signal, batch, num_rows, channels)
    library = _library()
    assert library is not None
    library.ds_sparse_product(
        DTYPES[signal.dtype],
        batch,
        num_rows,
        num_columns,
        channels,
        crow.data_ptr(),
        col.data_ptr(),
        values.data_ptr(),
        signal.data_ptr(),
        out.data_ptr(),
        torch.get_num_threads(),
    )
    return out


def _is_compiled(signal: Tensor, crow: Tensor, values: Tensor) -> bool:
    """Whether the compiled kernel takes this product."""
    return (
        signal.device.type == "cpu"
        and signal.dtype in DTYPES
        and values.dtype == signal.dtype
        and crow.dtype == torch.int32
        and _library() is not None
    )


def _product(signal: Tensor, crow: Tensor, col: Tensor, values: Tensor) -> Tensor:
    """The product (batch, rows, channels) with each item of a signal (batch, columns, channels)."""
    batch, num_columns, channels = signal.shape
    num_rows = crow.shape[0] - 1
    if signal.numel() == 0:
        return signal.new_zeros(batch, num_rows, channels)
    if _is_compiled(signal, crow, values):
        return _compiled_product(signal, crow, col, values)
    matrix = csr_tensor(crow, col, values, num_columns)
    small = channels <= _WIDE_CHANNELS or channels * num_columns <= _WIDE_VALUES
    if signal.device.type != "cpu" or small:
        panel = signal.transpose(0, 1).reshape(num_columns, batch * channels)
        out = torch.empty(num_rows, batch * channels, dtype=signal.dtype, device=signal.device)
        # `torch.mm` would fill as much memory again with zeros
        out.addmm_(matrix, panel, beta=0)
        return out.view(num_rows, batch, channels).transpose(0, 1).contiguous()
    out = signal.new_empty(batch, num_rows, channels)
    for item, target in zip(signal, out, strict=True):
        # a product allocated by torch may come back column-major; this one is written in place
        target.addmm_(matrix, item.contiguous(), beta=0)
    return out


@torch.library.custom_op("deepsphere::sparse_product", mutates_args=())
def _product_op(
    signal: Tensor,
    crow: Tensor,
    col: Tensor,
    values: Tensor,
    crow_t: Tensor,
    col_t: Tensor,
    values_t: Tensor,
) -> Tensor:
    """The registered operator: a sparse matrix, with its transpose for the backward pass."""
    return _product(signal, crow, col, values)


@_product_op.register_fake
def _(
    signal: Tensor,
    crow: Tensor,
    col: Tensor,
    values: Tensor,
    crow_t: Tensor,
    col_t: Tensor,
    values_t: Tensor,
) -> Tensor:
    return signal.new_empty(signal.shape[0], crow.shape[0] - 1, signal.shape[2])


def _keep_matrix(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the matrix alone: a linear map needs no signal to be differentiated."""
    ctx.save_for_backward(*inputs[1:])


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    arrays = ctx.saved_tensors
    return _product_op(grad, *arrays[3:], *arrays[:3]), *[None] * 6


_product_op.register_autograd(_differentiate, setup_context=_keep_matrix)


def sparse_product(
    signal: Float[Tensor, "batch columns channels"], arrays: tuple[Tensor, ...]
) -> Float[Tensor, "batch rows channels"]:
    """The product ``A x`` of a sparse matrix with every item of a batch.

    Nothing but the matrix is kept for the backward pass, which is the product with its transpose.

    Parameters
    ----------
    signal : Tensor, shape (batch, columns, channels)
    arrays : tuple of six Tensor
        ``crow, col, values`` of the matrix (rows, columns), then those of its transpose; see
        :func:`deepsphere.ops.compressed_rows`.

    Returns
    -------
    Tensor, shape (batch, rows, channels)
    """
    return _product_op(signal, *arrays)
