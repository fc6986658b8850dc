"""Tensor operations worth a kernel: sparse operators and dense tensors, no sphere."""

from deepsphere.ops.backends import BACKENDS, choose_backend
from deepsphere.ops.chebyshev import chebyshev_filter
from deepsphere.ops.explanation import explain
from deepsphere.ops.memory import release_memory
from deepsphere.ops.product import sparse_product
from deepsphere.ops.sparse import SparseOperator, compressed_rows, csr_tensor, sparse_operator

__all__ = [
    "BACKENDS",
    "SparseOperator",
    "chebyshev_filter",
    "choose_backend",
    "compressed_rows",
    "csr_tensor",
    "explain",
    "release_memory",
    "sparse_operator",
    "sparse_product",
]
