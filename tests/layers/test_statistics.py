"""Statistics over the vertices against naive formulas, and their laws."""

import math
from typing import get_args

import jaxtyping
import numpy as np
import pytest
import torch

from deepsphere.layers.statistics import (
    CombinedReadout,
    LearnedHistogram,
    LogSumExp,
    Max,
    Mean,
    MeanVariance,
    ReadoutName,
    Variance,
    make_readout,
)

NUM_VERTICES, CHANNELS = 9, 3
NAMES = get_args(ReadoutName)
# what each statistic gives for the constant c
OF_A_CONSTANT = {
    "mean": lambda c: [c],
    "variance": lambda c: [0.0],
    "meanvar": lambda c: [c, 0.0],
    "max": lambda c: [c],
    "logsumexp": lambda c: [c],
    "mean_max": lambda c: [c, c],
    "mean_logsumexp": lambda c: [c, c],
}


@pytest.fixture
def areas():
    return np.random.default_rng(0).uniform(0.1, 2.0, NUM_VERTICES)


@pytest.fixture
def signals():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, NUM_VERTICES, CHANNELS, generator=generator, dtype=torch.float64)


def _naive(statistic, signals, areas):
    """A statistic of one number per channel, by a loop over maps and channels."""
    features = torch.empty(*signals.shape[:-2], CHANNELS, dtype=signals.dtype)
    for index in np.ndindex(*features.shape):
        values = signals[(*index[:-1], slice(None), index[-1])].tolist()
        features[index] = statistic(values, areas.tolist())
    return features


def _mean(values, areas):
    return sum(a * x for a, x in zip(areas, values, strict=True)) / sum(areas)


def _variance(values, areas):
    mean = _mean(values, areas)
    return _mean([(x - mean) ** 2 for x in values], areas)


def _logsumexp(values, areas):
    return math.log(_mean([math.exp(4 * x) for x in values], areas)) / 4


@pytest.mark.parametrize(
    ("layer", "naive"),
    [
        (Mean, _mean),
        (Variance, _variance),
        (lambda areas: LogSumExp(areas=areas), _logsumexp),
        (lambda areas: Max(), lambda values, areas: max(values)),
    ],
)
def test_statistic_matches_the_naive_formula(layer, naive, signals, areas):
    torch.testing.assert_close(layer(areas).double()(signals), _naive(naive, signals, areas))


@pytest.mark.parametrize("layer", [Mean, Variance, MeanVariance])
def test_no_areas_means_equal_areas(layer, signals):
    equal = layer(np.full(NUM_VERTICES, 7.0)).double()
    torch.testing.assert_close(layer()(signals), equal(signals))


def test_mean_variance_is_the_mean_and_then_the_variance(signals, areas):
    both = CombinedReadout(Mean(areas), Variance(areas)).double()
    torch.testing.assert_close(MeanVariance(areas).double()(signals), both(signals))


def test_logsumexp_lies_between_mean_and_max_and_rises_with_sharpness(signals, areas):
    bounds = [Mean(areas), *(LogSumExp(b, areas) for b in (0.5, 4.0, 32.0)), Max()]
    values = torch.stack([layer.double()(signals) for layer in bounds])
    assert (values.diff(dim=0) > 0).all()


def test_logsumexp_does_not_overflow():
    values = LogSumExp()(torch.tensor([[1e4], [-1e4]]))
    torch.testing.assert_close(values, torch.tensor([1e4 - math.log(2) / 4]))


def test_histogram_matches_the_naive_formula(signals, areas):
    layer = LearnedHistogram(CHANNELS, num_bins=4, initial_range=1.0, areas=areas).double()
    with torch.no_grad():
        layer.centers.add_(torch.randn_like(layer.centers))
        layer.slopes.mul_(-torch.rand_like(layer.slopes) * 3)
    features = layer(signals).unflatten(-1, (CHANNELS, 4))
    for bin_index in range(4):
        for channel in range(CHANNELS):
            center = layer.centers[channel, bin_index].item()
            slope = layer.slopes[channel, bin_index].item()

            def triangle(values, weights, center=center, slope=slope):
                return _mean([max(0, 1 - abs(slope) * abs(x - center)) for x in values], weights)

            # the first slopes are 4 initial_range / num_bins = 1, so there is no other factor
            expected = _naive(triangle, signals, areas)[..., channel]
            torch.testing.assert_close(features[..., channel, bin_index], expected)


def test_histogram_starts_with_the_published_bins():
    layer = LearnedHistogram(1)
    expected = torch.linspace(-2, 2, 20)[None]
    torch.testing.assert_close(layer.centers.detach(), expected)
    torch.testing.assert_close(layer.slopes.detach(), torch.full((1, 20), 0.4))
    # at a center the triangle is 1, scaled by 20 / 2 / 4
    value = layer(layer.centers.detach()[:, 3:4])[3]
    torch.testing.assert_close(value, torch.tensor(2.5))


@pytest.mark.parametrize("name", sorted(OF_A_CONSTANT))
def test_readout_of_a_constant(name, areas):
    layer = make_readout(name, 1, areas)
    features = layer(torch.full((2, NUM_VERTICES, 1), 1.75))
    expected = torch.tensor(OF_A_CONSTANT[name](1.75)).expand(2, -1)
    torch.testing.assert_close(features, expected)


@pytest.mark.parametrize("name", NAMES)
def test_readout_is_unchanged_when_signals_and_areas_are_permuted(name, signals, areas):
    order = np.random.default_rng(1).permutation(NUM_VERTICES)
    layer = make_readout(name, CHANNELS, areas).double()
    permuted = make_readout(name, CHANNELS, areas[order]).double()
    torch.testing.assert_close(permuted(signals[..., order, :]), layer(signals))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [(), (0,), (5,), (2, 3)])
def test_readout_makes_the_announced_number_of_features(name, batch, areas):
    layer = make_readout(name, CHANNELS, areas)
    features = layer(torch.zeros(*batch, NUM_VERTICES, CHANNELS))
    assert features.shape == (*batch, layer.num_features(CHANNELS))


@pytest.mark.parametrize("name", NAMES)
def test_readout_gradients(name, areas):
    layer = make_readout(name, CHANNELS, areas).double()
    generator = torch.Generator().manual_seed(2)
    signals = torch.randn(2, NUM_VERTICES, CHANNELS, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(layer, signals.requires_grad_())


def test_weights_are_rounded_from_float64_whatever_came_before(areas):
    layer = Mean(areas).double().float().half().double()
    expected = torch.from_numpy(areas / areas.sum())
    torch.testing.assert_close(layer.weights.weights, expected, rtol=1e-15, atol=0)


def test_areas_are_not_saved(areas):
    assert not Mean(areas).state_dict()


@pytest.mark.parametrize(
    "wrong", [np.array([1.0, -1.0, 3.0]), np.zeros(3), np.array([1.0, np.nan, 1.0])]
)
def test_areas_that_are_no_weights_are_rejected(wrong):
    with pytest.raises(ValueError, match="areas must be finite, nonnegative and not all zero"):
        Mean(wrong)


def test_another_number_of_vertices_is_rejected(areas):
    with pytest.raises(ValueError, match=r"must have 9 vertices .* got shape \(2, 8, 3\)"):
        Mean(areas)(torch.zeros(2, 8, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogSumExp(sharpness=0.0), "sharpness must be positive, got 0.0; use Mean"),
        (lambda: LearnedHistogram(2, num_bins=1), "num_bins must be at least 2, got 1"),
        (lambda: LearnedHistogram(2, initial_range=-1.0), "initial_range must be positive, got"),
    ],
)
def test_sizes_out_of_range_are_rejected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_readout_is_rejected(monkeypatch):
    # the run-time checks of the test suite would refuse the name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"readout must be one of mean, .*, got 'median'"):
        make_readout("median", 3)
