"""What runs when a layer is called, and why."""

from typing import Any

import torch
from torch import Tensor, nn

from deepsphere.ops.backends import Choice, choose_backend, filter_type


def explain(layer: nn.Module, signal: Tensor) -> Choice:
    """The backend that a graph convolution runs on for a signal, and why.

    Parameters
    ----------
    layer : Module
        A convolution, such as ``ds.layers.ChebConv``.
    signal : Tensor, shape (*batch, vertices, in_channels)

    Returns
    -------
    Choice
        The pair (backend, reason).

    Raises
    ------
    TypeError
        If the layer does not filter on a graph by itself; its parts may.

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> conv = ds.layers.ChebConv(graph, in_channels=1, out_channels=1, kernel_size=3)
    >>> explain(conv, torch.zeros(48, 1)).backend in ("cpp", "csr")
    True
    """
    convolution: Any = layer
    if not hasattr(convolution, "chebyshev_weight"):
        parts = [name for name, part in layer.named_modules() if hasattr(part, "chebyshev_weight")]
        remedy = f"ask about one of its parts: {', '.join(parts)}" if parts else "use ChebConv"
        raise TypeError(f"layer must be a graph convolution, got {type(layer).__name__}; {remedy}")
    operator = convolution.operator.arrays()
    signal = signal.to(filter_type(signal, operator)).reshape(-1, *signal.shape[-2:])
    with torch.no_grad():
        weight = convolution.chebyshev_weight().to(signal.dtype)
    return choose_backend(signal, weight, operator.arrays(), convolution.backend)
