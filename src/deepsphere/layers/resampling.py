"""Fixed sparse matrices as layers: linear maps from the vertices of one sampling to another."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from deepsphere.graph.coarsening import matrix_size
from deepsphere.ops import compressed_rows
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
        torch.mm(matrix, panel, out=out)
        return out.view(num_rows, batch, channels).transpose(0, 1).contiguous()
    out = signal.new_empty(batch, num_rows, channels)
    for item, target in zip(signal, out, strict=True):
        # a product allocated by torch may come back column-major; this one is written in place
        torch.mm(matrix, item.contiguous(), out=target)
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

_ARRAY_NAMES = ("crow", "col", "values", "crow_t", "col_t", "values_t")


def check_vertices(x: Tensor, num_vertices: list[int], level: int) -> None:
    """Refuse a signal that is not on a level of a pyramid, naming the level that it is on.

    Parameters
    ----------
    x : Tensor
    num_vertices : list of int
        Of each level.
    level : int
        The level on which the signal must be.

    Raises
    ------
    ValueError
        If it is not.
    """
    if x.ndim >= 2 and x.shape[-2] == num_vertices[level]:
        return
    received, remedy = f"the shape {tuple(x.shape)}", "signals are (*batch, vertices, channels)"
    if x.ndim >= 2:
        received = str(x.shape[-2])
        if x.shape[-2] in num_vertices:
            remedy = f"that is a signal of level {num_vertices.index(x.shape[-2])}"
        elif x.shape[-1] == num_vertices[level]:
            remedy = f"transpose it: {remedy}"
    raise ValueError(
        f"signal must have {num_vertices[level]} vertices at level {level} of this pyramid, got "
        f"{received}; {remedy}"
    )


class Resample(nn.Module):
    r"""The product of a fixed sparse matrix with a signal, :math:`y = A x`.

    It has no parameters, and its buffers are not saved in a ``state_dict``. The matrix is kept in
    float64 and rounded once to the type in use; half precision signals are computed in float32 and
    returned in their own type.

    Parameters
    ----------
    matrix : scipy.sparse.csr_matrix, shape (rows, columns)
        For example from :func:`deepsphere.graph.transfer.transfer_matrix`.

    Examples
    --------
    >>> import deepsphere as ds
    >>> import torch
    >>> from deepsphere.graph.transfer import transfer_matrix
    >>> layer = Resample(transfer_matrix(ds.Fibonacci(100), ds.Healpix(nside=2), "barycentric"))
    >>> layer(torch.ones(5, 100, 3)).shape
    torch.Size([5, 48, 3])
    """

    crow: Tensor
    col: Tensor
    values: Tensor
    crow_t: Tensor
    col_t: Tensor
    values_t: Tensor

    def __init__(self, matrix: csr_matrix) -> None:
        super().__init__()
        self._matrix = csr_matrix(matrix)
        self._register(torch.get_default_dtype(), torch.device("cpu"))

    @property
    def num_in_vertices(self) -> int:
        """Number of vertices that a signal must have."""
        return matrix_size(self._matrix)[1]

    @property
    def num_out_vertices(self) -> int:
        """Number of vertices of the result."""
        return matrix_size(self._matrix)[0]

    def forward(
        self, x: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch out_vertices channels"]:
        """The resampled signal.

        Parameters
        ----------
        x : Tensor, shape (*batch, vertices, channels)

        Returns
        -------
        Tensor, shape (*batch, rows of the matrix, channels)

        Raises
        ------
        ValueError
            If the signal has another number of vertices.
        """
        if x.ndim < 2 or x.shape[-2] != self.num_in_vertices:
            raise ValueError(
                f"signal must have {self.num_in_vertices} vertices, got the shape {tuple(x.shape)}"
                "; signals are (*batch, vertices, channels)"
            )
        dtype = torch.promote_types(x.dtype, torch.float32)
        values, values_t = self.values.to(dtype), self.values_t.to(dtype)
        arrays = (self.crow, self.col, values, self.crow_t, self.col_t, values_t)
        flat = x.to(dtype).reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
        out = _product_op(flat, *arrays)
        return out.reshape(*x.shape[:-2], *out.shape[-2:]).to(x.dtype)

    def extra_repr(self) -> str:
        """The size of the matrix, in a network's printout."""
        rows, columns = matrix_size(self._matrix)
        return f"{columns} -> {rows} vertices, {self._matrix.nnz} weights"

    def _register(self, dtype: torch.dtype, device: torch.device) -> None:
        """Register the matrix and its transpose as unsaved buffers."""
        # sparse products in half precision are not supported everywhere
        dtype = torch.promote_types(dtype, torch.float32)
        arrays = (
            *compressed_rows(self._matrix, dtype=dtype, device=device),
            *compressed_rows(self._matrix.T, dtype=dtype, device=device),
        )
        for name, array in zip(_ARRAY_NAMES, arrays, strict=True):
            self.register_buffer(name, array, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Resample":
        """Follow ``.to()``; a new floating type is rounded from float64, not from the old one."""
        before = self.values.dtype
        super()._apply(fn, recurse)
        if self.values.dtype != before:
            self._register(self.values.dtype, self.values.device)
        return self
