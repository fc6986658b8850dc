"""The rescaled Laplacian of a graph as a module, so that it follows a network across devices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.ops import SparseOperator, compressed_rows

_ARRAY_NAMES = ("crow", "col", "values")


class LaplacianOperator(nn.Module):
    r"""The operator :math:`2 L / \lambda_{max} - I` of a graph, held as buffers.

    Layers on one graph may share it: ``ChebConv`` takes a graph or an operator. Its buffers are not
    saved in a ``state_dict``; the specification of the graph is what a checkpoint holds. A change
    of floating type starts from the float64 Laplacian each time, so ``.float().double()`` loses
    nothing; 16-bit types would lose the smallest eigenvalues, so the values stay in float32 there.

    Parameters
    ----------
    graph : SphereGraph

    Examples
    --------
    >>> import deepsphere as ds
    >>> LaplacianOperator(ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)).num_vertices
    48
    """

    crow: Tensor
    col: Tensor
    values: Tensor

    def __init__(self, graph: SphereGraph) -> None:
        super().__init__()
        self.graph = graph
        self._register(torch.get_default_dtype(), torch.device("cpu"))

    @property
    def num_vertices(self) -> int:
        """Number of vertices of the graph."""
        return self.graph.num_vertices

    def arrays(self) -> SparseOperator:
        """The operator and its transpose as the filter's backends take them."""
        suffix = "" if self.graph.symmetric else "_t"
        names = (*_ARRAY_NAMES, *(f"{name}{suffix}" for name in _ARRAY_NAMES))
        buffers: dict[str, Any] = self._buffers  # attributes take torch longer to find
        return SparseOperator(*[buffers[name] for name in names])

    def extra_repr(self) -> str:
        """The graph, in a network's printout."""
        return repr(self.graph)

    def _register(self, dtype: torch.dtype, device: torch.device) -> None:
        """Register the matrix, and its transpose where it differs, as unsaved buffers."""
        dtype = torch.promote_types(dtype, torch.float32)
        rounded = np.float32 if dtype == torch.float32 else np.float64
        matrix = self.graph.rescaled_laplacian(rounded)
        sides = {"": matrix} if self.graph.symmetric else {"": matrix, "_t": matrix.T}
        for suffix, side in sides.items():
            arrays = compressed_rows(side, dtype=dtype, device=device)
            for name, array in zip(_ARRAY_NAMES, arrays, strict=True):
                self.register_buffer(f"{name}{suffix}", array, persistent=False)
        self.graph.forget_laplacian()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "LaplacianOperator":
        """Follow ``.to()``; a new floating type is rounded from float64, not from the old one."""
        before = self.values.dtype
        super()._apply(fn, recurse)
        if self.values.dtype != before:
            self._register(self.values.dtype, self.values.device)
        return self


def as_operator(graph: SphereGraph | LaplacianOperator) -> LaplacianOperator:
    """The operator of a graph, or the operator itself.

    Parameters
    ----------
    graph : SphereGraph or LaplacianOperator

    Returns
    -------
    LaplacianOperator

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(graph, LaplacianOperator):
        return graph
    if isinstance(graph, SphereGraph):
        return LaplacianOperator(graph)
    raise TypeError(
        f"graph must be a SphereGraph or a LaplacianOperator, got {type(graph).__name__}; "
        "build one with build_graph(sampling)"
    )
