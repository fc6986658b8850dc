"""UGSCNN: its convolution against the formula, its sizes, its symmetry, its errors."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.models import UGSCNN, num_parameters, ugscnn_mnist, ugscnn_modelnet40
from deepsphere.models.rivals.mesh_operators import mesh_derivatives, mesh_laplacian
from deepsphere.models.rivals.ugscnn import MeshConv, ResidualBlock
from deepsphere.sampling import Icosahedral

SIZES = {"in_channels": 2, "out_channels": 3, "channels": (4, 6)}


def _signals(sampling, *batch, channels=2):
    generator = torch.Generator().manual_seed(0)
    shape = (*batch, sampling.num_vertices, channels)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _turns(sampling):
    """The vertex to which each turn by a multiple of 72° about the axis takes each vertex."""
    turns = [
        moved
        for moved in vertex_permutations(sampling)
        if np.abs(sampling.points[moved, 2] - sampling.points[:, 2]).max() < 1e-6
    ]
    matrices = [
        np.linalg.lstsq(sampling.points, sampling.points[moved], rcond=None)[0] for moved in turns
    ]
    turns = [
        moved for moved, matrix in zip(turns, matrices, strict=True) if np.linalg.det(matrix) > 0
    ]
    assert len(turns) == 5
    return turns


def _turned(signals, moved):
    turned = torch.empty_like(signals)
    turned[..., moved, :] = signals
    return turned


@pytest.mark.parametrize("num_out_vertices", [None, 42])
def test_convolution_is_a_combination_of_derivatives(num_out_vertices):
    sampling = Icosahedral(level=2)
    conv = MeshConv(
        sampling, in_channels=2, out_channels=3, num_out_vertices=num_out_vertices
    ).double()
    signals = _signals(sampling, 5)
    east, north = mesh_derivatives(sampling)
    laplacian = 4 * np.pi / sampling.num_vertices * mesh_laplacian(sampling)
    expected = torch.zeros(5, sampling.num_vertices, 3, dtype=torch.float64)
    operators = [np.eye(sampling.num_vertices), *(m.toarray() for m in (east, north, laplacian))]
    for operator, weight in zip(operators, conv.weight, strict=True):
        expected += torch.from_numpy(operator) @ signals @ weight
    torch.testing.assert_close(conv(signals), expected[:, :num_out_vertices])


def test_weights_start_within_the_published_bounds():
    conv = MeshConv(Icosahedral(level=0), in_channels=16, out_channels=100)
    assert conv.weight.abs().max() <= 1 / 8
    assert conv.weight.abs().max() > 0.99 / 8


@pytest.mark.parametrize("out_channels", [2, 5])
def test_residual_block_is_two_ways_on_the_first_vertices(out_channels):
    fine, coarse = Icosahedral(level=2), Icosahedral(level=1)
    block = ResidualBlock(coarse, in_channels=2, out_channels=out_channels).double().eval()
    signals = _signals(fine, 3)
    kept = signals[:, :42]
    first, _, _, conv, _, _, last, _ = block.long_way
    # normalization by running averages of zero and one
    scale = (1 + 1e-5) ** -0.5
    hidden = (conv((first(kept) * scale).relu()) * scale).relu()
    short = kept if out_channels == 2 else block.short_way[0](kept) * scale
    expected = (last(hidden) * scale + short).relu()
    torch.testing.assert_close(block(signals), expected)
    assert (len(block.short_way) == 0) == (out_channels == 2)


def test_presets_are_the_published_sizes_less_their_idle_biases():
    # a bias before a normalization: one per output of each of the layers that it follows
    for preset, published, widths in [
        (ugscnn_mnist, 61_658, (16, 64, 256)),
        (ugscnn_modelnet40, 3_737_160, (32, 128, 512, 2048)),
    ]:
        idle = widths[0]
        for before, after in pairwise(widths):
            idle += 2 * before + 2 * after
        model = preset()
        assert num_parameters(model) + idle == published
        assert model.head.dropout.p == 0.5


def test_modelnet_preset_ends_on_level_1_and_mnist_on_level_2():
    assert len(ugscnn_modelnet40().head.readout.weights.weights) == 42
    assert len(ugscnn_mnist().head.readout.weights.weights) == 162
    model = ugscnn_mnist(Icosahedral(level=2), in_channels=3, out_channels=7)
    assert model(torch.zeros(2, 162, 3)).shape == (2, 7)


def test_first_level_says_where_the_first_convolution_is_evaluated():
    sampling = Icosahedral(level=3)
    model = UGSCNN(sampling, **SIZES, first_level=1).eval().double()
    finest = UGSCNN(sampling, **SIZES).eval().double()
    finest.load_state_dict(model.state_dict())
    signals = _signals(sampling, 2)
    first = model.layers[:3](signals)
    assert first.shape == (2, 162, 4)
    torch.testing.assert_close(first, finest.layers[:3](signals)[:, :162])
    assert model.layers(signals).shape == (2, 42, 6)


@pytest.mark.parametrize("first_level", [0, 1])
def test_turns_about_the_axis_by_72_degrees_change_nothing(first_level):
    sampling = Icosahedral(level=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = UGSCNN(sampling, **SIZES, first_level=first_level).double().eval()
    signals = _signals(sampling, 2)
    expected = model(signals)
    for moved in _turns(sampling):
        torch.testing.assert_close(model(_turned(signals, moved)), expected)


def test_without_derivatives_the_network_is_invariant_to_the_rotations_of_the_icosahedron():
    sampling = Icosahedral(level=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = UGSCNN(sampling, **SIZES).double().eval()
    signals = _signals(sampling, 2)
    rotations = [
        moved
        for moved in vertex_permutations(sampling)
        if np.linalg.det(np.linalg.lstsq(sampling.points, sampling.points[moved], rcond=None)[0])
        > 0
    ]
    assert len(rotations) == 60

    def change():
        expected = model(signals)
        return max((model(_turned(signals, each)) - expected).abs().max() for each in rotations)

    assert change() > 1e-3
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, MeshConv):
                module.weight[1:3] = 0
    assert change() < 1e-10


def test_operators_are_rounded_from_double_precision():
    conv = MeshConv(Icosahedral(level=1), in_channels=1, out_channels=1)
    exact = MeshConv(Icosahedral(level=1), in_channels=1, out_channels=1).double()
    assert torch.equal(conv.double().operators.values, exact.operators.values)
    assert not [key for key in conv.state_dict() if key.startswith("operators")]


@pytest.mark.parametrize(
    ("sampling", "options", "message"),
    [
        (Icosahedral(level=1, dual=True), {}, "must be the vertices of an icosahedral mesh for"),
        (Icosahedral(level=0), {}, r"must be at least 1 for 2 widths from first_level=0, got 0"),
        (Icosahedral(level=1), {"first_level": 1}, r"got 1; use Icosahedral\(level=2\)"),
        (Icosahedral(level=1), {"channels": ()}, "channels must name at least one layer, got none"),
    ],
)
def test_meshes_that_do_not_fit_are_rejected(sampling, options, message):
    with pytest.raises(ValueError, match=message):
        UGSCNN(sampling, **(SIZES | options))


@pytest.mark.usefixtures("unchecked")
def test_other_first_levels_are_rejected():
    with pytest.raises(ValueError, match="first_level must be 0 or 1, got 2"):
        UGSCNN(Icosahedral(level=3), **SIZES, first_level=2)
