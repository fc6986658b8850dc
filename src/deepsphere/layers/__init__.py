"""Layers on signals (*batch, vertices, channels): convolution, pooling, normalization, readout."""

from deepsphere.layers.beam import BeamSmoothing
from deepsphere.layers.blocks import (
    BlockSequence,
    ConvBlock,
    ResidualBlock,
    make_activation,
    make_conv,
)
from deepsphere.layers.channels_first import ChannelsFirst
from deepsphere.layers.conv import BernsteinConv, ChebConv, MonomialConv
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import MaskedSignals, observed_signals, valid_of, values_of
from deepsphere.layers.masked_statistics import run_readout
from deepsphere.layers.normalization import BatchNorm, GroupNorm, LayerNorm, make_normalization
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.layers.pooling import Pool, Unpool
from deepsphere.layers.regrid import Regrid
from deepsphere.layers.resampling import Resample
from deepsphere.layers.smoothing import UpsampledNonlinearity
from deepsphere.layers.statistics import (
    CombinedReadout,
    LearnedHistogram,
    LogSumExp,
    Max,
    Mean,
    MeanVariance,
    Readout,
    Variance,
    make_readout,
)

__all__ = [
    "BatchNorm",
    "BeamSmoothing",
    "BernsteinConv",
    "BlockSequence",
    "ChannelsFirst",
    "ChebConv",
    "CombinedReadout",
    "ConvBlock",
    "GroupNorm",
    "LaplacianOperator",
    "LayerNorm",
    "LearnedHistogram",
    "LogSumExp",
    "MaskedSignals",
    "Max",
    "Mean",
    "MeanVariance",
    "MonomialConv",
    "Pool",
    "Readout",
    "Regrid",
    "Resample",
    "ResidualBlock",
    "Unpool",
    "UpsampledNonlinearity",
    "Variance",
    "make_activation",
    "make_conv",
    "make_normalization",
    "make_readout",
    "observed_signals",
    "run_layer",
    "run_readout",
    "valid_of",
    "values_of",
]
