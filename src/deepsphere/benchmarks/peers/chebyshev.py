"""The same polynomial of the same operator, as other libraries compute it.

Each is a module with its own parameters, made from the weight (kernel_size, in, out) of ours, and
gives the gradients of its parameters back in that shape.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from deepsphere.ops import SparseOperator, chebyshev_filter, csr_tensor
from deepsphere.ops.backends import BackendName


class LayerOfWeight(nn.Module):
    """A layer without bias made from a weight.

    Parameters
    ----------
    operator
        Of the graph.
    weight
        Initial value of the parameter, (kernel_size, in_channels, out_channels).
    """

    def __init__(self, operator: SparseOperator, weight: Tensor) -> None:
        super().__init__()
        self.operator = operator
        self.weight = nn.Parameter(weight.clone())

    def weight_gradient(self, gradients: Sequence[Tensor]) -> Tensor:
        """Gradients of the parameters, in order, as that of one weight.

        Returns
        -------
        Tensor, shape (kernel_size, in_channels, out_channels)
        """
        return gradients[0]


class OwnFilter(LayerOfWeight):
    """This library, by the default backend or by one that is named."""

    def __init__(
        self, operator: SparseOperator, weight: Tensor, *, backend: BackendName = "auto"
    ) -> None:
        super().__init__(operator, weight)
        self.backend: BackendName = backend

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered signal."""
        return chebyshev_filter(signal, self.weight, self.operator, backend=self.backend)


class EagerCSR(LayerOfWeight):
    """The recurrence as one writes it first: CSR products, autograd keeps every intermediate."""

    def __init__(self, operator: SparseOperator, weight: Tensor) -> None:
        super().__init__(operator, weight)
        arrays = operator.crow, operator.col, operator.values
        self.matrix = csr_tensor(*arrays, operator.num_vertices)

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered signal."""
        batch, vertices, channels = signal.shape
        basis = [signal.transpose(0, 1).reshape(vertices, batch * channels)]
        for order in range(1, self.weight.shape[0]):
            step = self.matrix @ basis[-1]
            basis.append(step if order == 1 else 2 * step - basis[-2])
        stacked = torch.stack(basis).view(len(basis), vertices, batch, channels)
        return torch.einsum("kvbi,kio->bvo", stacked, self.weight)


class PublishedCOO(LayerOfWeight):
    """The layer of deepsphere-pytorch: coordinate products, all orders beside each other.

    The panel is (vertices, channels · batch). The orders are appended one by one, brought to
    (batch · vertices, channels · kernel_size), and mixed in one product. Its weight is in the order
    of that product, which costs the permutation of a few thousand numbers here.
    """

    def __init__(self, operator: SparseOperator, weight: Tensor) -> None:
        super().__init__(operator, weight)
        lengths = operator.crow.diff().long()
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        size = (operator.num_vertices, operator.num_vertices)
        self.matrix = torch.sparse_coo_tensor(
            torch.stack([rows, operator.col.long()]),
            operator.values,
            size,
            is_coalesced=True,
            check_invariants=False,
        )

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered signal."""
        batch, vertices, channels = signal.shape
        kernel_size, _, out_channels = self.weight.shape
        before = signal.permute(1, 2, 0).reshape(vertices, channels * batch)
        orders = before[None]
        if kernel_size > 1:
            current = torch.sparse.mm(self.matrix, before)
            orders = torch.cat([orders, current[None]])
            for _ in range(2, kernel_size):
                before, current = current, 2 * torch.sparse.mm(self.matrix, current) - before
                orders = torch.cat([orders, current[None]])
        columns = orders.view(kernel_size, vertices, channels, batch).permute(3, 1, 2, 0)
        mixing = self.weight.transpose(0, 1).reshape(channels * kernel_size, out_channels)
        flat = columns.reshape(batch * vertices, channels * kernel_size)
        return (flat @ mixing).view(batch, vertices, out_channels)


class GeometricConv(nn.Module):
    """``ChebConv`` of PyTorch Geometric, favored: its Laplacian is computed once, here.

    It computes the Laplacian anew in each forward pass, which is most of a small layer's time.
    """

    def __init__(self, operator: SparseOperator, weight: Tensor) -> None:
        from torch_geometric.nn import ChebConv  # pyright: ignore[reportMissingImports]

        super().__init__()
        kernel_size, in_channels, out_channels = weight.shape
        self.conv = ChebConv(in_channels, out_channels, K=kernel_size, bias=False)
        for linear, matrix in zip(self.conv.lins, weight, strict=True):
            linear.weight = nn.Parameter(matrix.T.clone())
        lengths = operator.crow.diff().long()
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
        edges = torch.stack([operator.col.long(), rows])  # from the neighbor to the vertex
        values = operator.values
        self.edges = edges
        self.conv.__norm__ = lambda *_, **__: (edges, values)

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered signal."""
        return self.conv(signal, self.edges)

    def weight_gradient(self, gradients: Sequence[Tensor]) -> Tensor:
        """The gradients of its matrices (out, in), one per order, as that of one weight."""
        return torch.stack([gradient.T for gradient in gradients])


class ScipyFilter(LayerOfWeight):
    """The recurrence in NumPy and SciPy; it has no gradients and one thread for sparse products."""

    def __init__(self, operator: SparseOperator, weight: Tensor) -> None:
        super().__init__(operator, weight)
        arrays = (array.numpy() for array in (operator.values, operator.col, operator.crow))
        size = (operator.num_vertices, operator.num_vertices)
        self.matrix = scipy.sparse.csr_array(tuple(arrays), shape=size)

    def forward(self, signal: Tensor) -> Tensor:
        """The filtered signal."""
        values, weight = signal.detach().numpy(), self.weight.detach().numpy()
        batch, vertices, channels = values.shape
        basis = [np.ascontiguousarray(values.swapaxes(0, 1)).reshape(vertices, -1)]
        for order in range(1, len(weight)):
            step = self.matrix @ basis[-1]
            basis.append(step if order == 1 else 2 * step - basis[-2])
        out = sum(
            panel.reshape(vertices, batch, channels) @ matrix
            for panel, matrix in zip(basis, weight, strict=True)
        )
        return torch.from_numpy(np.ascontiguousarray(np.swapaxes(out, 0, 1)))
