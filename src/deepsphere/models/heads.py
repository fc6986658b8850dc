"""What turns a feature map into outputs of the whole map."""

import math
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.layers.blocks import ConvName, make_conv
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import Signals
from deepsphere.layers.masked_statistics import run_readout
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.layers.statistics import ReadoutName, make_readout


@runtime_checkable
class Classifier(Protocol):
    """A network in two steps: a descriptor of each map, and outputs of the descriptor.

    ``model(signals)`` is ``model.classify(model.describe(signals))``. Descriptors are what maps
    are compared by, in retrieval and in losses on distances.
    """

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: what the last dense layer takes, before dropout."""
        ...

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for such descriptors."""
        ...


class DenseHead(nn.Module):
    """Statistics of a feature map over the vertices, then a dense layer.

    Parameters
    ----------
    in_channels, out_channels : int
    readout : str
        See `make_readout`.
    areas : ndarray, shape (vertices,)
        Areas of the vertices of the feature map.
    dropout : float, in [0, 1)
        Applied to the statistics, while training.
    bias : bool

    Examples
    --------
    >>> import numpy as np, torch
    >>> head = DenseHead(8, 3, readout="mean_max", areas=np.ones(12), dropout=0.0, bias=True)
    >>> head(torch.zeros(5, 12, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        readout: ReadoutName,
        areas: Float[np.ndarray, "vertices"],
        dropout: float,
        bias: bool,
    ) -> None:
        super().__init__()
        self.readout = make_readout(readout, in_channels, areas)
        self.dropout = nn.Dropout(dropout)
        self.dense = make_dense(self.readout.num_features(in_channels), out_channels, bias=bias)

    def describe(self, feature_map: Signals) -> Float[Tensor, "*batch features"]:
        """The statistics, of the valid vertices."""
        return run_readout(self.readout, feature_map)

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for such statistics."""
        return self.dense(self.dropout(features))

    def forward(self, feature_map: Signals) -> Float[Tensor, "*batch out_channels"]:
        """The outputs, one row per map."""
        return self.classify(self.describe(feature_map))


class ConvolutionHead(nn.Module):
    """A graph convolution to the outputs, then one statistic of each of them over the vertices.

    Parameters
    ----------
    operator : LaplacianOperator
        Of the level of the feature map.
    in_channels, out_channels : int
    kernel_size : int
    conv : str
        See `make_conv`.
    readout : str
        One that makes one feature per channel; see `make_readout`.
    areas : ndarray, shape (vertices,)
        Areas of the vertices of the feature map.
    dropout : float, in [0, 1)
        Applied to the feature map, while training.
    bias : bool

    Raises
    ------
    ValueError
        If the readout makes more than one feature per channel.
    """

    def __init__(
        self,
        operator: LaplacianOperator,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        conv: ConvName,
        readout: ReadoutName,
        areas: Float[np.ndarray, "vertices"],
        dropout: float,
        bias: bool,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.conv = make_conv(
            conv,
            operator,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            bias=bias,
        )
        self.readout = make_readout(readout, out_channels, areas)
        num_features = self.readout.num_features(out_channels)
        if num_features != out_channels:
            raise ValueError(
                "readout must make one feature per channel after a convolution head, got "
                f'{readout!r}, which makes {num_features} of {out_channels}; use "mean" or '
                'head="dense"'
            )

    def describe(self, feature_map: Signals) -> Float[Tensor, "*batch out_channels"]:
        """The outputs: there is no layer after the statistics, so that they describe the map."""
        logits = run_layer(self.conv, run_layer(self.dropout, feature_map))
        return run_readout(self.readout, logits)

    def classify(
        self, features: Float[Tensor, "*batch out_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The same."""
        return features

    def forward(self, feature_map: Signals) -> Float[Tensor, "*batch out_channels"]:
        """The outputs, one row per map."""
        return self.classify(self.describe(feature_map))


def make_dense(in_features: int, out_features: int, *, bias: bool) -> nn.Linear:
    """A dense layer whose weights are drawn with standard deviation 1/√in_features.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Zero at first.

    Returns
    -------
    Linear

    Examples
    --------
    >>> make_dense(64, 10, bias=False)
    Linear(in_features=64, out_features=10, bias=False)
    """
    dense = nn.Linear(in_features, out_features, bias=bias)
    nn.init.normal_(dense.weight, std=1 / math.sqrt(in_features))
    if bias:
        nn.init.zeros_(dense.bias)
    return dense
