"""The choice among implementations of the polynomial graph filter, in one place."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.ops import csr, reference
from deepsphere.ops.sparse import SparseOperator

BackendName = Literal["auto", "csr", "reference"]

BACKENDS: dict[str, Callable[[Tensor, Tensor, SparseOperator], Tensor]] = {
    "csr": csr.chebyshev_filter,
    "reference": reference.chebyshev_filter,
}


def choose_backend(signal: Tensor, backend: BackendName = "auto") -> tuple[str, str]:
    """The backend that will filter a signal, and why.

    Parameters
    ----------
    signal : Tensor
    backend : "auto" or a key of ``BACKENDS``

    Returns
    -------
    tuple of str
        Name and reason.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> choose_backend(torch.zeros(1, 12, 1))
    ('csr', 'fused CSR products serve every device and floating type of this signal')
    """
    if backend == "auto":
        if signal.dtype in (torch.float32, torch.float64):
            return "csr", "fused CSR products serve every device and floating type of this signal"
        return "reference", f"the CSR product of torch does not take {signal.dtype}"
    if backend not in BACKENDS:
        raise ValueError(
            f"backend must be one of {', '.join(['auto', *BACKENDS])}, got {backend!r}; "
            'use "auto" unless you compare backends'
        )
    return backend, "asked for by name"


def chebyshev_filter(
    signal: Float[Tensor, "batch vertices in_channels"],
    weight: Float[Tensor, "kernel_size in_channels out_channels"],
    operator: SparseOperator,
    *,
    backend: BackendName = "auto",
) -> Float[Tensor, "batch vertices out_channels"]:
    """The signal filtered by Chebyshev polynomials of a sparse operator.

    ``y = sum_k T_k(L) x W_k`` with ``T_0 = I``, ``T_1 = L``, ``T_k = 2 L T_{k-1} - T_{k-2}``.
    The cost is linear in the number of vertices.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels)
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    operator : SparseOperator
        Spectrum in [-1, 1]; need not be symmetric.
    backend : "auto", "csr" or "reference"

    Returns
    -------
    Tensor, shape (batch, vertices, out_channels)

    References
    ----------
    Defferrard et al. (2020), DeepSphere: a graph-based spherical CNN, section 2.
    """
    name, _ = choose_backend(signal, backend)
    return BACKENDS[name](signal, weight, operator)
