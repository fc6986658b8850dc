"""The product of a fixed sparse matrix with a batch of signals, on torch's CSR product."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.ops.sparse import csr_tensor

# Items side by side (at the price of two transpositions) beat one item after the other while they
# are small, or have so few channels that a product alone is bound by the indices; measured between
# nside 4 and nside 64.
_WIDE_VALUES = 2**13
_WIDE_CHANNELS = 3


def _product(signal: Tensor, crow: Tensor, col: Tensor, values: Tensor) -> Tensor:
    """The product (batch, rows, channels) with each item of a signal (batch, columns, channels)."""
    batch, num_columns, channels = signal.shape
    num_rows = crow.shape[0] - 1
    if signal.numel() == 0:
        return signal.new_zeros(batch, num_rows, channels)
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
