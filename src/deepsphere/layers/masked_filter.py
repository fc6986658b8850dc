r"""Graph convolution of masked signals: the polynomial filter on the graph of what is valid.

Among the valid vertices the Laplacian of a graph with weights W and masses M is

.. math:: L_m x = M^{-1} \big( (W m) \circ x - W (m \circ x) \big),

that of the whole graph without the edges to vertices that are not valid: the degrees are those of
what is there, so constants stay in its kernel. It is the Laplacian of the `Subset` of the valid
vertices, for each sample another one.

Filters stay as stable as on the whole graph. Where L is self-adjoint, :math:`x^T M L_m x` is a sum
over edges of which some are left out, so the eigenvalues of :math:`L_m` lie in
:math:`[0, \lambda_{max}]` for every mask. Where it is not (weights "optimal_rows"), they stay in
the discs of Gershgorin of L, which shrink. Multiplying by :math:`d / (W m)` on top, so that few
neighbors weigh as much as all, would break this: a pair of valid vertices has the eigenvalue
:math:`2 d > \lambda_{max}`, and :math:`T_4` amplifies some signals a hundred times.
"""

import math
from contextlib import nullcontext

import torch
from torch import Tensor

from deepsphere.graph.laplacian import degrees
from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.layers.conv import ChebConv
from deepsphere.layers.masked_signals import MaskedSignals, Signals, settled
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.ops import SparseOperator, chebyshev_filter, sparse_product
from deepsphere.ops.backends import HALF_TYPES, is_autocast

# Weights of the rescaled Laplacian, which are about one over the number of neighbors, below this
# are no connection: a mean over nothing but them would be a mean over rounding errors.
_LEAST_WEIGHT = 1e-12


def masked_convolution(conv: ChebConv, signals: MaskedSignals) -> Signals:
    """The signals convolved on the graph of their valid vertices, which stay the valid ones.

    Parameters
    ----------
    conv : ChebConv
        Or in another basis of the same filters.
    signals : MaskedSignals

    Returns
    -------
    MaskedSignals

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> conv = ds.layers.ChebConv(graph, in_channels=1, out_channels=1, kernel_size=3, bias=False)
    >>> valid = torch.arange(48) % 3 > 0
    >>> out = masked_convolution(conv, MaskedSignals(valid[:, None].float(), valid))
    >>> gain = conv.weight[0] - conv.weight[1] + conv.weight[2]  # of a constant
    >>> bool(torch.allclose(out.values[valid], gain.expand(32, 1), atol=1e-5))
    True
    """
    operator, device = conv.operator.arrays(), signals.values.device.type
    arrays, dtype = operator.arrays(), operator.values.dtype
    batch = signals.valid.shape[:-1]
    values = signals.values.to(dtype).reshape(math.prod(batch), *signals.values.shape[-2:])
    valid = signals.valid.reshape(*values.shape[:2], 1)
    with torch.autocast(device, enabled=False) if is_autocast(device) else nullcontext():
        weight = conv.chebyshev_weight().to(dtype)
        flat, mask = _constants(conv.operator.graph, values), valid.to(dtype)
        if _has_missing_neighbors(mask, flat, arrays):
            out = _masked_filter(values, mask, weight, arrays, flat=flat)
        else:
            out = chebyshev_filter(values, weight, operator, backend=conv.backend)
        if conv.bias is not None:
            out = out + conv.bias.to(dtype)
    if conv.weight.dtype in HALF_TYPES:
        out = out.to(conv.weight.dtype)
    return settled(out.reshape(*batch, *out.shape[-2:]), signals.valid)


def extend(signals: Signals, operator: LaplacianOperator, *, num_hops: int) -> Signals:
    """The signals with values at further vertices, those within so many hops of valid ones.

    Hop by hop, a vertex beside valid ones takes the mean of their values, weighted as the graph
    does, and is valid from then on. Values at valid vertices stay, constants too.

    Parameters
    ----------
    signals : Tensor or MaskedSignals
    operator : LaplacianOperator
        Of their graph.
    num_hops : int
        Not negative.

    Returns
    -------
    Tensor or MaskedSignals

    Examples
    --------
    >>> import deepsphere as ds
    >>> operator = ds.layers.LaplacianOperator(ds.build_graph(ds.Healpix(nside=2), num_neighbors=8))
    >>> valid = torch.arange(48) > 0
    >>> extend(MaskedSignals(valid[:, None].float(), valid), operator, num_hops=1).shape
    torch.Size([48, 1])
    """
    arrays = operator.arrays()
    for _ in range(num_hops):
        if isinstance(signals, Tensor):
            break
        values, valid = signals
        known, dtype = valid.unsqueeze(-1), arrays.values.dtype
        # the diagonal meets zeros at the vertices that are asked for, the other entries are < 0
        weights = _product(known.to(dtype), arrays)
        reached = (weights < -_LEAST_WEIGHT) & ~known
        if not reached.any():
            break
        means = _product(values.to(dtype), arrays) / torch.where(reached, weights, -1)
        values = torch.where(reached, means.to(values.dtype), values)
        signals = settled(values, valid | reached.squeeze(-1))
    return signals


def _product(values: Tensor, operator: SparseOperator) -> Tensor:
    """The product of an operator with signals of any batch."""
    flat = values.reshape(math.prod(values.shape[:-2]), *values.shape[-2:])
    return sparse_product(flat, operator.arrays()).reshape(values.shape)


def _has_missing_neighbors(mask: Tensor, flat: Tensor, arrays: tuple[Tensor, ...]) -> bool:
    """Whether any valid vertex has lost a neighbor; else its graph is that of all vertices.

    So it is once a mask has widened to all but the vertices that no edge joins to others, as far
    stations of Gaussian weights.
    """
    lost = mask * sparse_product((1 - mask) * flat, arrays)
    return bool((lost.abs() > _LEAST_WEIGHT).any())


def _masked_filter(
    signal: Tensor,
    mask: Tensor,
    weight: Tensor,
    arrays: tuple[Tensor, ...],
    *,
    flat: Tensor,
) -> Tensor:
    """The Chebyshev polynomials on the graph of what is valid (1, not 0, in the mask)."""
    # A and A_m are -1 on what a Laplacian takes to zero: what A makes of the rest of it is put back
    # on the diagonal, which leaves that of the valid neighbors only
    diagonal = mask * (-1 - sparse_product(mask * flat, arrays) / flat)

    def apply(values: Tensor) -> Tensor:
        return mask * torch.addcmul(sparse_product(values, arrays), diagonal, values)

    basis = [signal]
    for order in range(1, weight.shape[0]):
        step = apply(basis[-1])
        basis.append(step if order == 1 else 2 * step - basis[-2])
    if weight.shape[1] < weight.shape[2]:  # one product, where the basis is the smaller part
        return torch.cat(basis, dim=-1) @ weight.flatten(0, 1)
    out = (signal @ weight[0]).flatten(0, 1)
    for values, factor in zip(basis[1:], weight[1:], strict=True):
        out = torch.addmm(out, values.flatten(0, 1), factor)
    return out.view(*signal.shape[:2], -1)


def _constants(graph: SphereGraph, like: Tensor) -> Tensor:
    """What the Laplacian of the whole graph takes to zero, (vertices, 1), positive: mostly ones."""
    if graph.options.laplacian != "normalized":
        return like.new_ones(graph.num_vertices, 1)
    roots = torch.from_numpy(degrees(graph.adjacency)).sqrt()
    return torch.where(roots > 0, roots, 1).to(like).unsqueeze(-1)
