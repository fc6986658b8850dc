"""Networks and blocks on the layers of others: torch's normalization, activation and pooling."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepsphere.benchmarks.variants import LayerVariant
from deepsphere.models import FCN
from deepsphere.ops import SparseOperator

_CHILDREN = 4  # of a vertex on the next coarser level, side by side in NESTED order


class PlainBlock(nn.Module):
    """A convolution followed by batch normalization, ReLU and maximum over children, one by one.

    Torch wants channels before vertices, hence the transposed views, as in the published code.

    Parameters
    ----------
    convolution
        Any layer on (batch, vertices, channels).
    out_channels
        Of it.
    """

    def __init__(self, convolution: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.convolution = convolution
        self.normalization = nn.BatchNorm1d(out_channels)

    def forward(self, signals: Tensor) -> Tensor:
        """The signals of the next coarser level."""
        signals = self.convolution(signals)
        signals = torch.relu(self.normalization(signals.transpose(1, 2)))
        return nn.functional.max_pool1d(signals, _CHILDREN).transpose(1, 2)


class PlainNetwork(nn.Module):
    """Blocks, the mean over the vertices, and a dense layer.

    Parameters
    ----------
    blocks
        From the finest level to the coarsest.
    dense
        From the channels of the last block to the classes.
    """

    def __init__(self, blocks: Sequence[PlainBlock], dense: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.dense = dense

    def forward(self, signals: Tensor) -> Tensor:
        """The logits, one row per map."""
        return self.dense(self.blocks(signals).mean(dim=1))


def plain_copy(model: FCN, operators: Sequence[SparseOperator], variant: LayerVariant) -> nn.Module:
    """A network of ours built on the layer of another, with the same weights.

    Parameters
    ----------
    model
        Blocks of batch normalization and ReLU, maximum pooling after each, mean, dense head.
    operators
        Of the levels of the blocks.
    variant
        Whose layer.

    Returns
    -------
    Module
    """
    blocks = []
    weights = convolution_weights(model)
    for operator, weight in zip(operators, weights, strict=True):
        convolution = variant.make(operator, weight.detach())
        blocks.append(PlainBlock(convolution, weight.shape[2]))
    dense = nn.Linear(weights[-1].shape[2], dense_layer(model).out_features)
    dense.load_state_dict(dense_layer(model).state_dict())
    return PlainNetwork(blocks, dense).to(weights[0].device)


def convolution_weights(model: nn.Module) -> list[nn.Parameter]:
    """The weights (kernel_size, in, out) of the convolutions of a network of ours, in order."""
    return [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim == 3 and name.endswith("weight")
    ]


def dense_layer(model: nn.Module) -> nn.Linear:
    """The last dense layer of a network."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return layers[-1]
