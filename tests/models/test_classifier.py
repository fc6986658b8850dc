"""The classifier: its parts in their order, its options, its errors."""

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.layers import LaplacianOperator, Pool, UpsampledNonlinearity
from deepsphere.models import CNN, FCN
from deepsphere.sampling import Equiangular, Healpix

SIZES = {"in_channels": 2, "out_channels": 3, "channels": (4, 6), "kernel_size": 3}


@pytest.fixture(scope="module")
def pyramids():
    """Pyramids of 1 to 3 levels (at index 1 to 3)."""
    finest = Healpix(nside=4)
    return [None] + [
        build_pyramid(finest, num_levels=num_levels, num_neighbors=8) for num_levels in (1, 2, 3)
    ]


@pytest.fixture
def signals():
    return torch.randn(5, 192, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _blocks(model):
    return [layer for layer in model.trunk.layers if not isinstance(layer, Pool)]


def test_fcn_is_blocks_and_pools_then_statistics_then_dense(pyramids, signals):
    model = FCN(
        pyramids[2], **SIZES, pooling="mean", readout="mean_max", last_upsampled=False
    ).eval()
    first, second = _blocks(model)
    pooled = first(signals).unflatten(1, (48, 4)).mean(dim=2)
    feature_map = second(pooled)
    features = torch.cat([feature_map.mean(dim=1), feature_map.amax(dim=1)], dim=-1)
    torch.testing.assert_close(model.describe(signals), features)
    torch.testing.assert_close(model(signals), model.head.dense(features))


def test_fcn_with_a_convolution_head_is_the_mean_of_the_last_convolution(pyramids, signals):
    model = FCN(pyramids[3], **SIZES, pooling="max", readout="mean", head="convolution").eval()
    feature_map = model.trunk(signals)
    assert feature_map.shape == (5, 12, 6)
    torch.testing.assert_close(model(signals), model.head.conv(feature_map).mean(dim=1))
    # there is nothing after the mean
    assert torch.equal(model.describe(signals), model(signals))


def test_cnn_is_a_dense_layer_on_the_flattened_map(pyramids, signals):
    model = CNN(pyramids[2], **SIZES).eval()
    feature_map = model.trunk(signals)
    assert feature_map.shape == (5, 48, 6)
    torch.testing.assert_close(model.describe(signals), feature_map.reshape(5, -1))
    torch.testing.assert_close(model(signals), model.dense(feature_map.reshape(5, -1)))


def test_statistics_are_weighted_by_the_areas_of_the_last_level():
    part = Equiangular(nlat=8).subset(np.arange(70))
    pyramid = build_pyramid(part, num_levels=2, num_neighbors=8)
    model = FCN(pyramid, **SIZES, readout="mean", last_upsampled=False)
    areas = torch.tensor(pyramid.areas(1))
    weights = model.double().head.readout.weights.weights
    assert areas.max() > 2 * areas.min()
    torch.testing.assert_close(weights, areas / areas.sum())


@pytest.mark.parametrize(("num_levels", "vertices"), [(1, 192), (2, 48), (3, 12)])
def test_pooling_follows_each_block_as_long_as_there_is_a_level(
    pyramids, num_levels, vertices, signals
):
    model = FCN(pyramids[num_levels], **SIZES, last_upsampled=False)
    assert sum(isinstance(layer, Pool) for layer in model.trunk.layers) == num_levels - 1
    assert model.trunk(signals).shape == (5, vertices, 6)


def test_last_activation_is_evaluated_on_the_next_finer_level(pyramids, signals):
    model = FCN(pyramids[2], **SIZES, activation="relu").eval()
    plain = FCN(pyramids[2], **SIZES, activation="relu", last_upsampled=False)
    feature_map = model.trunk(signals)
    assert feature_map.shape == (5, 192, 6)
    assert (feature_map >= 0).all()
    # the convolution before it is linear, and there is nothing more to learn
    *before, block, last = model.trunk.layers
    assert isinstance(last, UpsampledNonlinearity)
    assert (block(nn.Sequential(*before)(signals)) < 0).any()
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_layers_of_a_level_share_one_operator(pyramids):
    model = FCN(pyramids[2], **SIZES, readout="mean", head="convolution")
    # `modules` visits a shared module once: finest level, coarse level and head make two
    assert sum(isinstance(module, LaplacianOperator) for module in model.modules()) == 2


def test_weights_start_with_the_documented_deviations(pyramids):
    sizes = SIZES | {"channels": (64, 256), "out_channels": 200}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FCN(pyramids[2], **sizes, readout="mean")
    conv = _blocks(model)[1].conv
    # the deviation of n samples is known to 1/sqrt(2n): .4 % here, so 2 % is safe
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 3.5)) ** 0.5, rel=0.02)
    assert model.head.dense.weight.std().item() == pytest.approx(1 / 16, rel=0.02)
    assert not model.head.dense.bias.any()


@pytest.mark.parametrize("make", [FCN, CNN])
def test_dropout_acts_while_training_only(make, pyramids, signals):
    model = make(pyramids[2], **SIZES, normalization="none", dropout=0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(model(signals), model(signals))
        # the descriptor comes before it
        assert torch.equal(model.describe(signals), model.describe(signals))
    model.eval()
    assert torch.equal(model(signals), model(signals))


@pytest.mark.parametrize("make", [FCN, CNN])
def test_head_bias_can_be_left_out(make, pyramids):
    assert make(pyramids[2], **SIZES, head_bias=False).state_dict().keys() == {
        key for key in make(pyramids[2], **SIZES).state_dict() if not key.endswith("dense.bias")
    }


def test_no_blocks_are_rejected(pyramids):
    with pytest.raises(ValueError, match="channels must name at least one block, got none"):
        FCN(pyramids[2], **(SIZES | {"channels": ()}))


def test_levels_that_no_block_reaches_are_rejected(pyramids):
    message = r"at most one level more than blocks \(1\), got 3 levels; use fewer levels"
    with pytest.raises(ValueError, match=message):
        CNN(pyramids[3], **(SIZES | {"channels": (4,)}))


@pytest.mark.parametrize("num_levels", [1, 3])
def test_upsampling_without_a_finer_level_or_before_a_pool_is_rejected(pyramids, num_levels):
    message = rf"as many as blocks \(2\), got {num_levels}; the last activation needs a finer"
    with pytest.raises(ValueError, match=message):
        FCN(pyramids[num_levels], **SIZES, last_upsampled=True)


def test_upsampling_before_a_convolution_head_is_rejected(pyramids):
    with pytest.raises(ValueError, match='last_upsampled must be False with head="convolution"'):
        FCN(pyramids[2], **SIZES, readout="mean", head="convolution", last_upsampled=True)


def test_several_statistics_after_a_convolution_head_are_rejected(pyramids):
    message = "one feature per channel after a convolution head, got 'mean_max', which makes 6 of 3"
    with pytest.raises(ValueError, match=message):
        FCN(pyramids[2], **SIZES, readout="mean_max", head="convolution")


@pytest.mark.usefixtures("unchecked")
def test_unknown_head_is_rejected(pyramids):
    with pytest.raises(ValueError, match="head must be one of dense, convolution, got 'linear'"):
        FCN(pyramids[2], **SIZES, head="linear")


def test_signals_that_are_no_tensor_are_rejected(unchecked):
    pyramid = build_pyramid(Healpix(nside=2), num_levels=2, num_neighbors=8)
    model = FCN(pyramid, in_channels=1, out_channels=2, channels=(4, 8), kernel_size=2)
    message = r"must be a torch tensor, got ndarray; use torch\.from_numpy, or deepsphere\.training"
    with pytest.raises(TypeError, match=message):
        model(np.zeros((1, 48, 1)))


def test_graph_in_place_of_a_pyramid_is_rejected(unchecked):
    graph = build_pyramid(Healpix(nside=2), num_levels=1, num_neighbors=8).graphs[0]
    with pytest.raises(
        TypeError, match=r"Pyramid, got SphereGraph; make one of .*graph\.pyramid\("
    ):
        FCN(graph, in_channels=1, out_channels=2, channels=(4, 8))  # pyright: ignore[reportArgumentType]
