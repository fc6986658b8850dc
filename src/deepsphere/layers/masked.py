"""Any layer on signals of which not every vertex is known."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from deepsphere.layers.blocks import ConvBlock, ResidualBlock
from deepsphere.layers.conv import ChebConv
from deepsphere.layers.masked_filter import extend, masked_convolution
from deepsphere.layers.masked_normalization import masked_normalization
from deepsphere.layers.masked_pooling import masked_pooling, masked_unpooling, masked_upsampling
from deepsphere.layers.masked_signals import MaskedSignals, Signals, add, settled
from deepsphere.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from deepsphere.layers.pooling import Pool, Unpool
from deepsphere.layers.smoothing import UpsampledNonlinearity

# What acts at each vertex alone.
_POINTWISE = (
    nn.Linear,
    nn.Dropout,
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Tanh,
)


def run_layer(layer: nn.Module, signals: Signals) -> Signals:
    """The signals after a layer: ``layer(signals)`` if they are a tensor, or what it is for masked.

    ====================  ======================================================================
    convolution           the filter on the graph of the valid vertices
                          (`deepsphere.layers.masked_filter`); the result is then extended to the
                          vertices within its reach, ``kernel_size - 1`` hops
    `ConvBlock`           the filter, normalization, bias, activation; then extended, and pooled
    normalization         statistics of the valid vertices
    pooling, unpooling    over the valid ones, divided by their share of the weights
    sum of two signals    valid where either is; the other counts as zero
    ====================  ======================================================================

    So the mask widens from layer to layer. As soon as all is valid the signals are a plain tensor
    and the layers run as they always do, the fused ones fused. Hooks on layers wait for that too.

    Parameters
    ----------
    layer : Module
        For masked signals one of `deepsphere.layers`, or one of torch that acts on each vertex
        alone.
    signals : Tensor or MaskedSignals

    Returns
    -------
    Tensor or MaskedSignals

    Raises
    ------
    TypeError
        If it is not known what the layer is for masked signals.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> block = ConvBlock(graph, in_channels=1, out_channels=4, kernel_size=3)
    >>> valid = torch.arange(48) < 40
    >>> out = run_layer(block, MaskedSignals(valid[:, None].float(), valid))
    >>> out.shape  # every vertex is within two hops of a valid one
    torch.Size([48, 4])

    References
    ----------
    Liu et al. (2018), Image inpainting for irregular holes using partial convolutions, for masks
    that widen.
    """
    if isinstance(signals, Tensor):
        return layer(signals)
    if isinstance(layer, nn.Identity):
        return signals
    for kind, run in _LAYERS:
        if isinstance(layer, kind):
            return run(layer, signals)
    raise TypeError(
        "layer must be one of deepsphere.layers or act at each vertex alone for signals with "
        f"missing values, got {type(layer).__name__}; run its parts with run_layer"
    )


def _convolution(conv: ChebConv, signals: MaskedSignals) -> Signals:
    out = masked_convolution(conv, signals)
    return extend(out, conv.operator, num_hops=conv.kernel_size - 1)


def _block(block: ConvBlock, signals: MaskedSignals) -> Signals:
    conv: Any = block.conv
    out = run_layer(block.norm, masked_convolution(conv, signals))
    if block.bias is not None and isinstance(out, MaskedSignals):
        out = settled(out.values + block.bias, out.valid)
    out = run_layer(block.activation, out)
    out = extend(out, conv.operator, num_hops=conv.kernel_size - 1)
    return out if block.pool is None else run_layer(block.pool, out)


def _residual(block: ResidualBlock, signals: MaskedSignals) -> Signals:
    residual = run_layer(block.second, run_layer(block.first, signals))
    shortcut = run_layer(block.shortcut, signals)
    return run_layer(block.activation, add(residual, shortcut, weight=block.alpha))


def _sequence(sequence: nn.Sequential, signals: MaskedSignals) -> Signals:
    current: Signals = signals
    for index, layer in enumerate(sequence):
        if isinstance(current, Tensor):
            return sequence[index:](current)  # what is fused may be fused from here on
        current = run_layer(layer, current)
    return current


def _pointwise(layer: nn.Module, signals: MaskedSignals) -> Signals:
    return settled(layer(signals.values), signals.valid)


_LAYERS: tuple[tuple[Any, Callable[[Any, MaskedSignals], Signals]], ...] = (
    (ConvBlock, _block),
    (ResidualBlock, _residual),
    (nn.Sequential, _sequence),
    (ChebConv, _convolution),
    ((BatchNorm, GroupNorm, LayerNorm), masked_normalization),
    (Pool, masked_pooling),
    (Unpool, masked_unpooling),
    (UpsampledNonlinearity, masked_upsampling),
    (_POINTWISE, _pointwise),
)
