"""The published configurations: their sizes, their samplings, their blocks."""

import jaxtyping
import numpy as np
import pytest
import scipy.sparse
import torch
from torch import nn

from deepsphere.graph.coarsening import Pyramid, build_pyramid
from deepsphere.graph.sphere_graph import build_graph
from deepsphere.layers import ConvBlock, Pool, Unpool
from deepsphere.models import (
    PRESETS,
    ClimateUNet,
    DenseRegressor,
    Regressor,
    UNet,
    climate,
    climate_jiang,
    cosmology,
    ghcn,
    num_parameters,
    planar_cosmology,
    shrec17,
)
from deepsphere.models import presets as presets_module
from deepsphere.sampling import Fibonacci, Healpix
from deepsphere.tasks import Regression


@pytest.fixture(scope="module")
def flat_pyramid():
    """Six times the same 1024 vertices: sizes do not depend on the geometry."""
    graph = build_graph(Fibonacci(1024), num_neighbors=8, weights="gaussian")
    identity = scipy.sparse.identity(1024, format="csr")
    return Pyramid((graph,) * 6, (scipy.sparse.csr_matrix(identity),) * 5, (1,) * 5)


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def test_shrec17_has_the_published_size_and_levels():
    model = shrec17()
    assert num_parameters(model) == 189_040
    assert [sampling.nside for sampling in model.pyramid.samplings] == [32, 16, 8, 4, 2, 1]
    assert model(torch.zeros(2, 12_288, 6)).shape == (2, 55)


def test_published_block_is_conv_normalization_bias_relu_max():
    layers = shrec17(build_pyramid(Healpix(nside=4), num_levels=3, num_neighbors=8)).trunk.layers
    assert [type(layer) for layer in layers] == [ConvBlock, Pool, ConvBlock, Pool] + [ConvBlock] * 3
    for layer in layers:
        if isinstance(layer, Pool):
            assert layer.method == "max"
        else:
            assert layer.conv.bias is None
            assert not list(layer.norm.parameters())
            assert layer.bias.shape == (layer.conv.out_channels,)
            assert isinstance(layer.activation, nn.ReLU)


@pytest.mark.parametrize(("variant", "size"), [("fcn", 54_720), ("cnn", 185_152)])
def test_cosmology_has_the_published_sizes(flat_pyramid, variant, size):
    model = cosmology(flat_pyramid, variant=variant)
    assert num_parameters(model) == size
    assert model(torch.zeros(2, 1024, 1)).shape == (2, 2)


def test_cosmology_is_built_on_parts_of_the_sphere():
    model = cosmology(nside=64, order=2)
    sizes = [sampling.num_vertices for sampling in model.pyramid.samplings]
    assert sizes == [1024, 256, 64, 16, 4, 1]
    assert model.pyramid.samplings[0].base == Healpix(nside=64)
    # the parts are 1/48 of the sphere, 4 pi
    assert model.pyramid.samplings[0].areas.sum() * 12 / torch.pi == pytest.approx(1)


@pytest.mark.slow
def test_cosmology_at_full_resolution_has_the_published_sizes():
    fcn = cosmology()
    assert num_parameters(fcn) == 54_720
    assert [graph.num_vertices for graph in fcn.pyramid.graphs][::5] == [1024**2, 1024]
    assert num_parameters(cosmology(fcn.pyramid, variant="cnn")) == 185_152


@pytest.mark.parametrize(
    ("variant", "size"), [("table", 12_926_432), ("code", 12_932_608), ("appendix", 7_681_027)]
)
def test_climate_has_the_published_sizes(variant, size):
    model = climate(variant=variant)
    assert num_parameters(model) == size
    assert type(model) is (UNet if variant == "appendix" else ClimateUNet)
    sizes = [graph.num_vertices for graph in model.pyramid.graphs]
    assert sizes == [10_242, 2_562, 642, 162, 42, 12]
    assert {layer.method for layer in model.modules() if isinstance(layer, Pool)} == {"keep_first"}
    assert {layer.method for layer in model.modules() if isinstance(layer, Unpool)} == {"pad_ones"}


def test_wider_climate_network_is_the_published_52_million():
    with torch.device("meta"):
        # only the learned numbers are counted: the graphs stay where they are
        wide = climate(
            build_pyramid(Healpix(nside=32), num_levels=6, num_neighbors=8, weights="gaussian"),
            width=2,
            pooling="mean",
            unpooling="copy",
        )
    assert round(num_parameters(wide), -6) == 52_000_000


def test_jiang_widths_give_the_size_of_the_code():
    model = climate_jiang()
    assert num_parameters(model) == 547_584
    assert model(torch.zeros(1, 10_242, 16)).shape == (1, 10_242, 3)


@pytest.mark.parametrize(
    ("variant", "kernel_size", "kind", "size"),
    [
        ("dense", 5, DenseRegressor, 25 * 50 + 250 * 100 + 500 * 100 + 500 + 250),
        ("dense", 1, DenseRegressor, 5 * 50 + 50 * 100 + 100 * 100 + 100 + 250),
        ("global", 5, Regressor, 25 * 50 + 250 * 100 + 500 * 100 + 100 + 1 + 250),
    ],
)
def test_ghcn_has_50_100_100_channels(variant, kernel_size, kind, size):
    model = ghcn(Fibonacci(100), variant=variant, kernel_size=kernel_size)
    assert type(model) is kind
    assert num_parameters(model) == size
    assert model.pyramid.graphs[0].options.num_neighbors == 5


def test_ghcn_takes_a_graph_of_ones_own():
    pyramid = build_pyramid(Fibonacci(100), num_levels=1, num_neighbors=10)
    assert ghcn(pyramid).pyramid is pyramid


def test_every_preset_is_on_the_shelf():
    assert set(PRESETS) == {
        *("shrec17", "cosmology", "climate", "climate_jiang", "ghcn", "planar_cosmology"),
        *("cnn2d_shapes", "cube_shapes", "cohen_simplified", "cohen_full", "esteves"),
        *("ugscnn_mnist", "ugscnn_modelnet40"),
    }
    assert all(getattr(presets_module, name) is preset for name, preset in PRESETS.items())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("preset", "valid"),
    [
        (cosmology, "fcn, cnn"),
        (planar_cosmology, "cnn, fcn, cnn_big, fcn_big"),
        (climate, "table, code, appendix"),
        (lambda variant: ghcn(Fibonacci(100), variant=variant), "dense, global"),
    ],
)
def test_unknown_variant_is_rejected(preset, valid):
    with pytest.raises(ValueError, match=f"variant must be one of {valid}, got 'best'"):
        preset(variant="best")


@pytest.mark.parametrize("preset", [cosmology, planar_cosmology])
@pytest.mark.parametrize(("nside", "order"), [(16, 1), (32, 2), (32, 0)])
def test_parts_too_small_for_five_poolings_are_rejected(preset, nside, order):
    with pytest.raises(ValueError, match=rf"nside must be a multiple of 32 order .*got {nside}"):
        preset(nside=nside, order=order)


# five blocks with their biases, without a layer after them
COSMOLOGY_BLOCKS = 5 * (16 + 16 * 32 + 32 * 64 + 2 * 64 * 64) + 16 + 32 + 3 * 64


@pytest.mark.parametrize(
    ("readout", "num_features", "num_learned"),
    [
        ("mean", 64, 0),
        ("variance", 64, 0),
        ("meanvar", 128, 0),
        ("max", 64, 0),
        ("histogram", 20 * 64, 2 * 20 * 64),
    ],
)
def test_cosmology_with_other_statistics_has_a_dense_layer(
    flat_pyramid, readout, num_features, num_learned
):
    model = cosmology(flat_pyramid, readout=readout, out_channels=3)
    assert num_parameters(model) == COSMOLOGY_BLOCKS + num_learned + 3 * num_features
    signals = torch.randn(2, 1024, 1, generator=torch.Generator().manual_seed(0))
    features = model.eval().describe(signals)
    assert features.shape == (2, num_features)
    torch.testing.assert_close(model(signals), features @ model.head.dense.weight.T)


def test_cosmology_statistics_are_those_of_the_fifth_block(flat_pyramid):
    models = {
        name: cosmology(flat_pyramid, readout=name).eval()
        for name in ("variance", "meanvar", "max", "histogram")
    }
    signals = torch.randn(2, 1024, 1, generator=torch.Generator().manual_seed(0))
    trunk = models["max"].trunk
    for model in models.values():
        model.trunk.load_state_dict(trunk.state_dict())
    feature_map = trunk(signals)
    areas = torch.tensor(flat_pyramid.samplings[-1].areas, dtype=torch.float32)
    shares = (areas / areas.sum())[:, None]
    mean = (feature_map * shares).sum(dim=1)
    variance = ((feature_map - mean[:, None]).square() * shares).sum(dim=1)
    # the published bins: 20 triangles with centers over ±2, multiplied by the slope 0.4
    centers = torch.linspace(-2, 2, 20)
    triangles = (1 - 0.4 * (feature_map[..., None] - centers).abs()).clamp(min=0)
    histogram = (triangles * shares[..., None]).sum(dim=1) * (20 / 2 / 4)
    for name, expected in {
        "variance": variance,
        "meanvar": torch.cat([mean, variance], dim=-1),
        "max": feature_map.amax(dim=1),
        "histogram": histogram.flatten(1),
    }.items():
        torch.testing.assert_close(models[name].describe(signals), expected)


@pytest.mark.parametrize("variant", ["fcn", "cnn"])
def test_cosmology_regresses_quantities_from_several_redshifts(flat_pyramid, variant):
    task = Regression(2, loss="gaussian", names=("omega_m", "sigma_8"))
    model = cosmology(
        flat_pyramid, variant=variant, in_channels=5, out_channels=task.num_model_outputs
    )
    published = {"fcn": 54_720, "cnn": 185_152}[variant]
    # four more channels in, two more outputs: a convolution of 64 channels, or all that is left
    head = 2 * 64 * (5 if variant == "fcn" else 1024)
    assert num_parameters(model) == published + 5 * 4 * 16 + head
    signals = torch.randn(2, 1024, 5, generator=torch.Generator().manual_seed(0))
    outputs, targets = model(signals), torch.tensor([[0.3, 0.8], [0.26, 0.91]])
    task.check_targets(outputs, targets)
    task.loss(outputs, targets).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert task.quantities(outputs.detach())["sigma_8_std"].shape == (2,)


def test_readout_of_the_network_that_flattens_is_rejected():
    with pytest.raises(ValueError, match=r'readout must be left out for variant="cnn", got \'max'):
        cosmology(variant="cnn", readout="max")


@pytest.mark.parametrize(
    ("variant", "width", "size"),
    [
        ("cnn", 1024, 87_472),
        ("cnn", 32, 54_736),
        ("fcn", 64, 55_504),
        ("cnn_big", 1024, 400_512),
        ("cnn_big", 32, 269_568),
        ("fcn_big", 64, 272_640),
    ],
)
def test_planar_cosmology_has_the_sizes_that_its_layers_add_up_to(variant, width, size):
    channels = (16, 32, 64, 64, 64) if variant.endswith("_big") else (8, 16, 32, 32, 16)
    filters = [25 * a * b for a, b in zip((1, *channels), channels, strict=False)]
    head = 25 if variant.startswith("fcn") else (width // 32) ** 2
    assert sum(filters) + sum(channels) + 2 * head * channels[-1] == size
    assert num_parameters(planar_cosmology(variant=variant, nside=width)) == size


def test_planar_cosmology_takes_a_block_of_ones_own():
    block = Healpix(nside=64).subset(np.arange(1024, 2048))
    model = planar_cosmology(block, in_channels=3, out_channels=4)
    assert model.sampling is block
    assert model.eval()(torch.zeros(2, 1024, 3)).shape == (2, 4)
