"""Normalization layers against formulas written out, and their laws."""

import jaxtyping
import pytest
import torch

from deepsphere.layers.normalization import BatchNorm, GroupNorm, LayerNorm, make_normalization

SHAPE = (4, 3, 12, 6)  # two batch axes, vertices, channels
NAMES = ("batch", "layer", "group", "none")


@pytest.fixture
def signals():
    generator = torch.Generator().manual_seed(0)
    return 2 + 3 * torch.randn(*SHAPE, generator=generator, dtype=torch.float64)


def _standardized(signals, dims):
    mean = signals.mean(dim=dims, keepdim=True)
    variance = ((signals - mean) ** 2).mean(dim=dims, keepdim=True)
    return (signals - mean) / torch.sqrt(variance + 1e-5)


def test_batch_norm_standardizes_over_batch_and_vertices(signals):
    expected = _standardized(signals, (0, 1, 2))
    torch.testing.assert_close(BatchNorm(6).double()(signals), expected)


def test_batch_norm_momentum_is_the_share_of_the_batch(signals):
    layer = BatchNorm(6, momentum=0.25).double()
    layer(signals)
    expected = 0.25 * signals.mean(dim=(0, 1, 2))
    torch.testing.assert_close(layer.norm.running_mean, expected)


def test_batch_norm_in_evaluation_uses_the_running_averages(signals):
    layer = BatchNorm(6, momentum=1.0).double()
    layer(signals)
    rows = signals.reshape(-1, 6)
    expected = (signals[:1] - rows.mean(0)) / torch.sqrt(rows.var(0) + 1e-5)
    torch.testing.assert_close(layer.eval()(signals[:1]), expected)


def test_layer_norm_standardizes_over_channels(signals):
    torch.testing.assert_close(LayerNorm(6).double()(signals), _standardized(signals, (-1,)))


def test_group_norm_standardizes_over_vertices_and_the_channels_of_a_group(signals):
    groups = signals.unflatten(-1, (2, 3))
    expected = _standardized(groups, (-3, -1)).flatten(-2)
    torch.testing.assert_close(GroupNorm(2, 6).double()(signals), expected)


@pytest.mark.parametrize("name", NAMES)
def test_normalization_commutes_with_permutations_of_the_vertices(name, signals):
    layer = make_normalization(name, 6).double()
    order = torch.randperm(SHAPE[-2], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(signals[..., order, :]), layer(signals)[..., order, :])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [(), (0,), (5,), (2, 3)])
def test_normalization_in_evaluation_keeps_every_shape(name, batch):
    layer = make_normalization(name, 6).eval()
    assert layer(torch.zeros(*batch, 12, 6)).shape == (*batch, 12, 6)


@pytest.mark.parametrize(
    ("name", "affine", "expected"),
    [("batch", True, 12), ("layer", True, 12), ("group", True, 12), ("batch", False, 0)],
)
def test_affine_learns_a_scale_and_a_shift_per_channel(name, affine, expected):
    layer = make_normalization(name, 6, affine=affine)
    assert sum(parameter.numel() for parameter in layer.parameters()) == expected


@pytest.mark.parametrize(("channels", "num_groups"), [(6, 6), (16, 8), (7, 7), (11, 1), (20, 5)])
def test_group_normalization_by_name_takes_the_largest_divisor_up_to_eight(channels, num_groups):
    assert make_normalization("group", channels).norm.num_groups == num_groups


def test_groups_that_do_not_divide_the_channels_are_rejected():
    with pytest.raises(ValueError, match=r"num_groups must divide .* \(6\), got 4; use 1"):
        GroupNorm(4, 6)


@pytest.mark.parametrize("layer", [BatchNorm(6), LayerNorm(6), GroupNorm(2, 6)])
def test_another_number_of_channels_is_rejected(layer):
    with pytest.raises(ValueError, match=r"must have 6 channels .* got shape \(2, 6, 12\)"):
        layer(torch.zeros(2, 6, 12))


def test_unknown_normalization_is_rejected(monkeypatch):
    # the run-time checks of the test suite would refuse the name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="must be one of batch, layer, group, none, got 'bach'"):
        make_normalization("bach", 6)
