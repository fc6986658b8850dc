"""Tensor operations worth a kernel: sparse operators and dense tensors, no sphere."""

from deepsphere.ops.backends import BACKENDS, chebyshev_filter, choose_backend
from deepsphere.ops.product import sparse_product
from deepsphere.ops.sparse import SparseOperator, compressed_rows, csr_tensor, sparse_operator

__all__ = [
    "BACKENDS",
    "SparseOperator",
    "chebyshev_filter",
    "choose_backend",
    "compressed_rows",
    "csr_tensor",
    "sparse_operator",
    "sparse_product",
]
