"""The adapter for code that keeps channels before vertices, as 2D convolutions do."""

from jaxtyping import Float
from torch import Tensor, nn


class ChannelsFirst(nn.Module):
    """A layer or model of this package that takes (*batch, channels, vertices).

    The axes are swapped on the way in and, where the output still has a vertex axis, on the way
    out; features or logits (one axis fewer than the input) pass as they are. Nothing is copied
    but what the wrapped module copies.

    Parameters
    ----------
    module : Module
        What maps (*batch, vertices, channels) to (*batch, vertices, channels) or to
        (*batch, features).

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(4, 2, 12)  # (batch, channels, vertices)
    >>> ChannelsFirst(torch.nn.Linear(2, 5))(x).shape
    torch.Size([4, 5, 12])
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, signals: Float[Tensor, "*batch channels vertices"]) -> Float[Tensor, "..."]:
        """The output of the module, channels before vertices where it has vertices."""
        output = self.module(signals.transpose(-1, -2))
        return output.transpose(-1, -2) if output.ndim == signals.ndim else output
