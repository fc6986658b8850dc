"""Blocks: the order of their parts, their shortcuts, and the channels-first adapter."""

import jaxtyping
import pytest
import torch
from torch import nn

from deepsphere.graph.sphere_graph import build_graph
from deepsphere.layers.blocks import (
    ConvBlock,
    ResidualBlock,
    make_activation,
    make_conv,
)
from deepsphere.layers.channels_first import ChannelsFirst
from deepsphere.layers.conv import BernsteinConv, ChebConv, MonomialConv
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.layers.statistics import Max
from deepsphere.sampling import Healpix


@pytest.fixture(scope="module")
def graph():
    return build_graph(Healpix(nside=2), num_neighbors=8)


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def signals():
    return torch.randn(3, 48, 2, generator=torch.Generator().manual_seed(0))


def _num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_block_is_conv_then_normalization_then_bias_then_activation(graph, signals):
    block = ConvBlock(graph, in_channels=2, out_channels=5, kernel_size=3, affine=False, bias=True)
    nn.init.normal_(block.bias)
    rows = block.conv(signals).reshape(-1, 5)
    standardized = (rows - rows.mean(0)) / torch.sqrt(rows.var(0, unbiased=False) + 1e-5)
    expected = torch.clamp(standardized + block.bias, min=0).reshape(3, 48, 5)
    torch.testing.assert_close(block(signals), expected)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 3 * 2 * 5 + 2 * 5),
        ({"affine": False, "bias": True}, 3 * 2 * 5 + 5),
        ({"bias": True}, 3 * 2 * 5 + 3 * 5),
        ({"normalization": "none"}, 3 * 2 * 5),
        ({"normalization": "none", "bias": True}, 3 * 2 * 5 + 5),
    ],
)
def test_affine_and_bias_count_what_they_say(graph, options, expected):
    block = ConvBlock(graph, in_channels=2, out_channels=5, kernel_size=3, **options)
    assert _num_parameters(block) == expected


@pytest.mark.parametrize(
    ("name", "layer"),
    [("chebyshev", ChebConv), ("monomial", MonomialConv), ("bernstein", BernsteinConv)],
)
def test_convolution_by_name(graph, name, layer):
    assert type(make_conv(name, graph, in_channels=1, out_channels=1, kernel_size=2)) is layer


def test_activation_none_is_linear_in_the_scale_of_the_signal(graph, signals):
    block = ConvBlock(
        graph,
        in_channels=2,
        out_channels=5,
        kernel_size=3,
        normalization="none",
        activation="none",
    )
    torch.testing.assert_close(block(-2 * signals), -2 * block(signals))


def test_blocks_share_a_given_operator(graph):
    operator = LaplacianOperator(graph)
    block = ResidualBlock(operator, in_channels=2, out_channels=2, kernel_size=3)
    assert block.first.conv.operator is block.second.conv.operator is operator


def test_residual_block_without_its_residual_is_the_activated_shortcut(graph, signals):
    block = ResidualBlock(graph, in_channels=2, out_channels=2, kernel_size=3, alpha=0.5)
    nn.init.zeros_(block.second.norm.norm.weight)
    torch.testing.assert_close(block(signals), torch.clamp(0.5 * signals, min=0))


def test_residual_block_is_the_sum_of_its_branches(graph, signals):
    block = ResidualBlock(
        graph, in_channels=2, out_channels=4, kernel_size=3, shortcut="linear", alpha=2.0
    ).eval()
    branch = block.second.norm(block.second.conv(block.first(signals)))
    expected = torch.clamp(branch + 2.0 * signals @ block.shortcut.weight.T, min=0)
    torch.testing.assert_close(block(signals), expected)


def test_identity_shortcut_between_different_channels_is_rejected(graph):
    with pytest.raises(ValueError, match='identity shortcut, got 2 and 3; use shortcut="linear"'):
        ResidualBlock(graph, in_channels=2, out_channels=3, kernel_size=3)


@pytest.mark.usefixtures("unchecked")
def test_unknown_names_are_rejected(graph):
    sizes = {"in_channels": 2, "out_channels": 2, "kernel_size": 3}
    with pytest.raises(ValueError, match=r"conv must be one of chebyshev, .*, got 'cheby'"):
        make_conv("cheby", graph, **sizes)
    with pytest.raises(ValueError, match=r"activation must be one of relu, .*, got 'rellu'"):
        make_activation("rellu")
    with pytest.raises(ValueError, match="shortcut must be one of identity, linear, got 'none'"):
        ResidualBlock(graph, **sizes, shortcut="none")


def test_channels_first_is_the_same_layer_on_transposed_signals(graph, signals):
    block = ConvBlock(graph, in_channels=2, out_channels=5, kernel_size=3).eval()
    expected = block(signals).transpose(-1, -2)
    torch.testing.assert_close(ChannelsFirst(block)(signals.transpose(-1, -2)), expected)


def test_channels_first_passes_outputs_without_vertices(signals):
    readout = Max()
    torch.testing.assert_close(
        ChannelsFirst(readout)(signals.transpose(-1, -2)), signals.amax(dim=1)
    )
