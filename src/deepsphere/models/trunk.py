"""What classifiers and regressors share: blocks with pooling between them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.layers import ConvBlock, LaplacianOperator, Pool, UpsampledNonlinearity
from deepsphere.layers.blocks import ActivationName, BlockSequence, ConvName
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import Signals
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName


class Trunk(nn.Module):
    r"""Convolution blocks, each followed by pooling as long as the pyramid has a next level.

    Block i runs on level i; where the pyramid has fewer levels than there are blocks, the last
    blocks stay on its coarsest level. A pyramid with one level more than blocks is pooled after
    the last one too.

    Parameters
    ----------
    pyramid : Pyramid
        At most `len(channels) + 1` levels.
    operators : sequence of LaplacianOperator
        One per level, from `level_operators`.
    in_channels : int
    channels : sequence of int
        Channels after each block, at least one.
    last_upsampled : bool
        Evaluate the last activation at twice the resolution (see `UpsampledNonlinearity`), where
        the output then stays.
    kernel_size, pooling, conv, normalization, affine, bias, activation
        As in `ConvBlock` and `Pool`.

    Attributes
    ----------
    out_channels : int
    out_level : int
        Level of the output.

    Raises
    ------
    ValueError
        If there are no channels, more levels than can be reached, or no finer level for the last
        activation.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        operators: Sequence[LaplacianOperator],
        *,
        in_channels: int,
        channels: Sequence[int],
        kernel_size: int,
        pooling: PoolName,
        conv: ConvName,
        normalization: NormalizationName,
        affine: bool,
        bias: bool,
        activation: ActivationName,
        last_upsampled: bool = False,
    ) -> None:
        super().__init__()
        _check_levels(pyramid, len(channels), last_upsampled)
        self.layers = BlockSequence()
        level = 0
        for block, width in enumerate(channels):
            upsampled = last_upsampled and block == len(channels) - 1
            convolution = ConvBlock(
                operators[level],
                in_channels=in_channels,
                out_channels=width,
                kernel_size=kernel_size,
                conv=conv,
                normalization=normalization,
                affine=affine,
                bias=bias,
                activation="none" if upsampled else activation,
            )
            self.layers.append(convolution)
            if upsampled:
                self.layers.append(UpsampledNonlinearity(pyramid, level, activation))
                level -= 1
            elif level + 1 < pyramid.num_levels:
                self.layers.append(Pool(pyramid, level, method=pooling))
                level += 1
            in_channels = width
        self.out_channels = in_channels
        self.out_level = level

    def forward(self, signals: Signals) -> Signals:
        """The feature map of the last block, on the output level.

        Parameters
        ----------
        signals : Tensor or MaskedSignals, shape (*batch, vertices, in_channels)

        Returns
        -------
        Tensor or MaskedSignals, shape (*batch, out_vertices, out_channels)
        """
        return run_layer(self.layers, signals)


def level_operators(pyramid: Pyramid) -> list[LaplacianOperator]:
    """The operator of each level, made once so that all layers of a level share its memory.

    Parameters
    ----------
    pyramid : Pyramid

    Returns
    -------
    list of LaplacianOperator
        From the finest level to the coarsest.

    Raises
    ------
    TypeError
        If it is not a pyramid.
    """
    if not isinstance(pyramid, Pyramid):
        raise TypeError(
            f"pyramid must be a Pyramid, got {type(pyramid).__name__}; "
            "make one of a graph with graph.pyramid(num_levels=3)"
        )
    return [LaplacianOperator(graph) for graph in pyramid.graphs]


def level_areas(pyramid: Pyramid, level: int) -> Float[np.ndarray, "vertices"]:
    """The areas that the vertices of a level stand for, in steradian.

    Parameters
    ----------
    pyramid : Pyramid
    level : int

    Returns
    -------
    ndarray, shape (vertices,)
    """
    return pyramid.areas(level)


def allows_upsampled_end(pyramid: Pyramid, num_blocks: int) -> bool:
    """Whether the last activation of a trunk can be evaluated at twice the resolution.

    It can after a pooling, and before no other: in a pyramid of at least 2 levels and at most as
    many as there are blocks.

    Parameters
    ----------
    pyramid : Pyramid
    num_blocks : int

    Returns
    -------
    bool
    """
    return 2 <= pyramid.num_levels <= num_blocks


def _check_levels(pyramid: Pyramid, num_blocks: int, last_upsampled: bool) -> None:
    """Raise if the blocks and the levels of the pyramid do not fit together."""
    num_levels = pyramid.num_levels
    if num_blocks == 0:
        raise ValueError("channels must name at least one block, got none; use channels=(16,)")
    if num_levels > num_blocks + 1:
        raise ValueError(
            f"pyramid must have at most one level more than blocks ({num_blocks}), got "
            f"{num_levels} levels; use fewer levels or more channels"
        )
    if last_upsampled and not allows_upsampled_end(pyramid, num_blocks):
        raise ValueError(
            "last_upsampled must come with a pyramid of at least 2 levels and at most as many as "
            f"blocks ({num_blocks}), got {num_levels}; the last activation needs a finer level "
            "and no pooling after it"
        )
