"""The plain definition of the polynomial graph filter; every other backend is held against it."""

import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.ops.sparse import SparseOperator


def chebyshev_filter(
    signal: Float[Tensor, "batch vertices in_channels"],
    weight: Float[Tensor, "kernel_size in_channels out_channels"],
    operator: SparseOperator,
) -> Float[Tensor, "batch vertices out_channels"]:
    """The signal filtered by Chebyshev polynomials of the operator.

    ``y = sum_k T_k(L) x W_k`` with ``T_0 = I``, ``T_1 = L``, ``T_k = 2 L T_{k-1} - T_{k-2}``.
    Readable and differentiable any number of times; it keeps every basis signal in memory.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels)
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    operator : SparseOperator
        Its spectrum should lie in [-1, 1]; otherwise the polynomials grow.

    Returns
    -------
    Tensor, shape (batch, vertices, out_channels)

    References
    ----------
    Defferrard, Bresson, Vandergheynst (2016), Convolutional neural networks on graphs with fast
    localized spectral filtering, equation 4.
    """
    rows = torch.repeat_interleave(
        torch.arange(operator.num_vertices, device=signal.device),
        (operator.crow[1:] - operator.crow[:-1]).long(),
    )
    columns = operator.col.long()

    def apply(values: Tensor) -> Tensor:
        contributions = operator.values[:, None] * values[:, columns]
        return torch.zeros_like(values).index_add(1, rows, contributions)

    basis = [signal]
    for order in range(1, weight.shape[0]):
        step = apply(basis[-1])
        basis.append(step if order == 1 else 2 * step - basis[-2])
    return torch.einsum("kbvi,kio->bvo", torch.stack(basis), weight)
