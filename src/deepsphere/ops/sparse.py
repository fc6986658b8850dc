"""A sparse operator as plain tensors: what every backend of the graph filter receives."""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from torch import Tensor

SparseMatrix = (
    scipy.sparse.csr_matrix
    | scipy.sparse.csr_array
    | scipy.sparse.csc_matrix
    | scipy.sparse.csc_array
)


@dataclass(frozen=True, eq=False)
class SparseOperator:
    """A square sparse matrix in compressed rows, with its transpose at hand.

    A symmetric operator names the same tensors twice, so the transpose costs nothing.

    Parameters
    ----------
    crow, col, values : Tensor
        Compressed sparse rows: offsets of shape (vertices + 1,), columns and values of shape
        (nonzeros,). Offsets and columns are int32 where they fit, which halves their traffic.
    crow_t, col_t, values_t : Tensor
        The same for the transposed matrix; backward passes run on it.
    """

    crow: Int[Tensor, " offsets"]
    col: Int[Tensor, " nonzeros"]
    values: Float[Tensor, " nonzeros"]
    crow_t: Int[Tensor, " offsets"]
    col_t: Int[Tensor, " nonzeros"]
    values_t: Float[Tensor, " nonzeros"]

    @property
    def num_vertices(self) -> int:
        """Number of rows (and columns)."""
        return self.crow.shape[0] - 1

    def arrays(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The six tensors in the order of the registered operators."""
        return self.crow, self.col, self.values, self.crow_t, self.col_t, self.values_t


@cache
def _accept_beta_layout() -> None:
    """Let torch say here, once and unheard, that its CSR layout is in beta: we rely on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        zero = torch.zeros(2, dtype=torch.int32)
        torch.sparse_csr_tensor(zero, zero[:0], torch.zeros(0), (1, 1), check_invariants=False)


def csr_tensor(crow: Tensor, col: Tensor, values: Tensor, num_columns: int) -> Tensor:
    """A torch CSR view of compressed rows; nothing is copied."""
    _accept_beta_layout()
    size = (crow.shape[0] - 1, num_columns)
    # the arrays come from SciPy in canonical form: checking them again would cost a pass a call
    return torch.sparse_csr_tensor(crow, col, values, size, check_invariants=False)


def compressed_rows(
    matrix: SparseMatrix,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets, columns and values of a SciPy matrix as tensors, in canonical order.

    Offsets and columns are those of the matrix itself, not copies, where they can be: neither may
    be changed in place.

    Parameters
    ----------
    matrix : sparse matrix or array of SciPy, by rows or by columns, shape (rows, columns)
    dtype : torch.dtype
        Floating type of the values.
    device : torch.device

    Returns
    -------
    tuple of Tensor
        ``crow`` (rows + 1,), ``col`` (nonzeros,), ``values`` (nonzeros,).
    """
    rows = scipy.sparse.csr_array(matrix)
    if not (rows.has_canonical_format and rows.indices.flags.writeable):
        rows = scipy.sparse.csr_array(rows, copy=True)
        rows.sum_duplicates()
    num_rows, num_columns = matrix.shape  # pyright: ignore[reportGeneralTypeIssues]
    fits = max(rows.nnz, num_rows, num_columns) < np.iinfo(np.int32).max
    index = torch.int32 if fits else torch.int64
    return (
        torch.as_tensor(rows.indptr, dtype=index, device=device),
        torch.as_tensor(rows.indices, dtype=index, device=device),
        torch.tensor(rows.data, dtype=dtype, device=device),
    )


def sparse_operator(
    matrix: SparseMatrix,
    *,
    symmetric: bool,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> SparseOperator:
    """The operator of a square SciPy matrix.

    Parameters
    ----------
    matrix : sparse matrix or array of SciPy, by rows or by columns, shape (vertices, vertices)
    symmetric : bool
        Whether the matrix equals its transpose; then the transpose shares its memory.
    dtype : torch.dtype
    device : torch.device

    Returns
    -------
    SparseOperator

    Raises
    ------
    ValueError
        If the matrix is not square.

    Examples
    --------
    >>> import scipy.sparse
    >>> operator = sparse_operator(scipy.sparse.eye_array(3, format="csr"), symmetric=True)
    >>> operator.num_vertices
    3
    """
    num_rows, num_columns = matrix.shape  # pyright: ignore[reportGeneralTypeIssues]
    if num_rows != num_columns:
        raise ValueError(
            f"matrix must be square, got shape {matrix.shape}; a pooling matrix belongs in "
            "layers.Resample"
        )
    forward = compressed_rows(matrix, dtype=dtype, device=device)
    backward = forward if symmetric else compressed_rows(matrix.T, dtype=dtype, device=device)
    return SparseOperator(*forward, *backward)
