"""The two U-Nets: what is skipped where, and their errors."""

import pytest
import torch

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.layers import LaplacianOperator
from deepsphere.models import ClimateUNet, UNet
from deepsphere.sampling import Healpix, Icosahedral

SIZES = {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "pooling": "max"}


@pytest.fixture(scope="module")
def pyramid():
    return build_pyramid(Healpix(nside=4), num_levels=3, num_neighbors=8)


@pytest.fixture
def signals():
    return torch.randn(5, 192, 2, generator=torch.Generator().manual_seed(0))


def _pooled(signals):
    return signals.unflatten(1, (-1, 4)).amax(dim=2)


def _copied(signals):
    return signals.repeat_interleave(4, dim=1)


@pytest.mark.parametrize("finest_skip", [True, False])
def test_unet_skips_the_encoder_before_pooling(pyramid, signals, finest_skip):
    model = UNet(
        pyramid, **SIZES, channels=(4, 6, 8), stem_channels=5, finest_skip=finest_skip
    ).eval()
    finest = model.encoder[0](model.stem(signals))
    middle = model.encoder[1](_pooled(finest))
    bottom = model.bottom(_pooled(middle))
    below, above = model.decoder
    up = below.merge(torch.cat([below.up(_copied(bottom)), middle], dim=-1))
    assert up.shape == (5, 48, 4)
    up = above.up(_copied(up))
    assert up.shape == (5, 192, 5)
    if finest_skip:
        up = above.merge(torch.cat([up, finest], dim=-1))
    torch.testing.assert_close(model(signals), model.head(up))


@pytest.mark.parametrize("input_skip", [True, False])
def test_climate_unet_skips_what_each_encoder_layer_received(pyramid, signals, input_skip):
    model = ClimateUNet(pyramid, **SIZES, channels=(4, 5, 6, 8), input_skip=input_skip).eval()
    first = model.encoder[0](signals)
    second = _pooled(model.encoder[1](first))
    third = _pooled(model.encoder[2](second))
    up = model.bottom(third)
    skips = (third, second, first, signals)
    for stage, skip in zip(model.decoder, skips, strict=True):
        up = stage.up(up if up.shape[1] == skip.shape[1] else _copied(up))
        if stage.merge is not None:
            up = stage.merge(torch.cat([up, skip], dim=-1))
    assert (stage.merge is not None) == input_skip
    torch.testing.assert_close(model(signals), model.head(up))


def test_climate_unet_may_have_one_layer_per_level(pyramid, signals):
    model = ClimateUNet(pyramid, **SIZES, channels=(4, 6, 8))
    assert model(signals).shape == (5, 192, 3)


@pytest.mark.parametrize(
    ("make", "channels"), [(UNet, (4, 6, 8)), (ClimateUNet, (4, 6, 8)), (ClimateUNet, (4, 4, 6, 8))]
)
def test_layers_of_a_level_share_one_operator(pyramid, make, channels):
    model = make(pyramid, **SIZES, channels=channels)
    assert sum(isinstance(module, LaplacianOperator) for module in model.modules()) == 3


@pytest.mark.parametrize("make", [UNet, ClimateUNet])
def test_published_pooling_of_the_icosahedron(make):
    pyramid = build_pyramid(Icosahedral(subdivisions=4), num_levels=3, num_neighbors=6)
    model = make(
        pyramid,
        in_channels=2,
        out_channels=3,
        channels=(4, 6, 8),
        pooling="keep_first",
        unpooling="pad_ones",
    )
    assert model(torch.zeros(5, 162, 2)).isfinite().all()


@pytest.mark.parametrize("channels", [(4, 6), (4, 6, 8, 8)])
def test_unet_channels_must_match_the_levels(pyramid, channels):
    message = rf"one entry for each of at least 2 levels .* \(3\), got {len(channels)}; change"
    with pytest.raises(ValueError, match=message):
        UNet(pyramid, **SIZES, channels=channels)


def test_climate_unet_channels_must_reach_the_levels(pyramid):
    message = r"at least one entry for each of at least 2 levels .* \(3\), got 2; change"
    with pytest.raises(ValueError, match=message):
        ClimateUNet(pyramid, **SIZES, channels=(4, 6))


@pytest.mark.parametrize("make", [UNet, ClimateUNet])
def test_a_single_level_is_rejected(make):
    pyramid = build_pyramid(Healpix(nside=2), num_levels=1, num_neighbors=8)
    with pytest.raises(ValueError, match=r"at least 2 levels .* \(1\), got 1"):
        make(pyramid, **SIZES, channels=(4,))


@pytest.mark.parametrize("make", [UNet, ClimateUNet])
def test_unpooling_by_index_is_rejected(pyramid, make):
    with pytest.raises(ValueError, match="unpooling must not be 'index' in a U-Net, got it"):
        make(pyramid, **SIZES, channels=(4, 6, 8), unpooling="index")
