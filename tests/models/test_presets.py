"""The published configurations: their sizes, their samplings, their blocks."""

import jaxtyping
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
    shrec17,
)
from deepsphere.models import presets as presets_module
from deepsphere.sampling import Fibonacci, Healpix


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
        *("shrec17", "cosmology", "climate", "climate_jiang", "ghcn"),
        *("cnn2d_shapes", "cube_shapes", "cohen_simplified", "cohen_full", "esteves"),
        *("ugscnn_mnist", "ugscnn_modelnet40"),
    }
    assert all(getattr(presets_module, name) is preset for name, preset in PRESETS.items())


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("preset", "valid"),
    [
        (cosmology, "fcn, cnn"),
        (climate, "table, code, appendix"),
        (lambda variant: ghcn(Fibonacci(100), variant=variant), "dense, global"),
    ],
)
def test_unknown_variant_is_rejected(preset, valid):
    with pytest.raises(ValueError, match=f"variant must be one of {valid}, got 'best'"):
        preset(variant="best")


@pytest.mark.parametrize(("nside", "order"), [(16, 1), (32, 2), (32, 0)])
def test_parts_too_small_for_five_poolings_are_rejected(nside, order):
    with pytest.raises(ValueError, match=rf"nside must be a multiple of 32 order .*got {nside}"):
        cosmology(nside=nside, order=order)
