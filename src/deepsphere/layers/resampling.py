"""Fixed sparse matrices as layers: linear maps from the vertices of one sampling to another."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from deepsphere.graph.pooling_matrices import matrix_size
from deepsphere.ops import compressed_rows, sparse_product

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
        out = sparse_product(flat, arrays)
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
