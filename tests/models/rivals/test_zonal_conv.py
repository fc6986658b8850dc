"""Zonal convolutions, their normalization and weighted average pooling, against plain formulas."""

from typing import Any

import numpy as np
import pytest
import torch

from deepsphere import harmonics
from deepsphere.models.rivals.sphere_transform import SphereTransform, quadrature_weights
from deepsphere.models.rivals.zonal_conv import AveragedAnalysis, ZonalConv, filter_spread
from deepsphere.sampling import Equiangular

EXACT = 1e-10


def _conv(bandwidth=4, **options: Any) -> ZonalConv:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes: dict[str, Any] = {"in_channels": 5, "out_channels": 3, "num_anchors": 3} | options
        transform = SphereTransform(bandwidth)
        return ZonalConv(transform, rows=((0, 2), (1, 3, 4)), **sizes).double()


def _columns(bandwidth, maps, channels, seed=0):
    """Band-limited columns (meridians, rings, maps times channels), and the signals."""
    points = Equiangular.soft(bandwidth).points
    generator = np.random.default_rng(seed)
    coefficients = generator.normal(size=(maps, bandwidth**2, channels))
    signals = harmonics.synthesize(coefficients, points)
    return _to_columns(signals, bandwidth), coefficients


def _to_columns(signals, bandwidth):
    grid = signals.reshape(-1, 2 * bandwidth, 2 * bandwidth, signals.shape[-1])
    return torch.from_numpy(np.ascontiguousarray(grid.transpose(2, 1, 0, 3))).flatten(2)


def test_convolution_is_a_product_for_each_degree():
    conv = _conv(normalization="none", activation="none")
    conv.bias.data = torch.arange(6, dtype=torch.float64)
    columns, coefficients = _columns(4, 2, 5)
    outputs = conv(conv.transform.analyze_columns(columns))

    filtered = np.zeros((2, 16, 6))
    for degree in range(4):
        place = degree / 3 * 2  # among the 3 anchors
        low = min(int(place), 1)
        factor = 2 * np.pi * np.sqrt(4 * np.pi / (2 * degree + 1))
        for branch, weight, rows in ((0, conv.first, [0, 2]), (1, conv.second, [1, 3, 4])):
            anchors = weight.detach().numpy()
            spectrum = anchors[low] + (place - low) * (anchors[low + 1] - anchors[low])
            for order in range(-degree, degree + 1):
                index = degree**2 + degree + order
                values = factor * coefficients[:, index, rows] @ spectrum
                filtered[:, index, 3 * branch : 3 * branch + 3] = values
    expected = harmonics.synthesize(filtered, Equiangular.soft(4).points) + np.arange(6)
    torch.testing.assert_close(outputs, _to_columns(expected, 4), atol=EXACT, rtol=0)


def test_a_localized_filter_averages_around_each_point():
    # the zonal function whose spectrum is that of a delta at the pole returns the map
    conv = _conv(num_anchors=4, normalization="none", activation="none")
    degrees = torch.arange(4, dtype=torch.float64)
    delta = torch.sqrt((2 * degrees + 1) / (4 * torch.pi)) / (2 * torch.pi)
    conv.first.data = delta[:, None, None] * torch.eye(2, 3, dtype=torch.float64)
    columns, _ = _columns(4, 1, 5)
    outputs = conv(conv.transform.analyze_columns(columns))
    torch.testing.assert_close(outputs[..., :2], columns[..., [0, 2]], atol=EXACT, rtol=0)


@pytest.mark.parametrize(("anchors", "degrees"), [(1, 1), (1, 4), (4, 4), (3, 8), (8, 32)])
def test_anchors_are_interpolated_linearly(anchors, degrees):
    factor = 2 * np.pi * np.sqrt(4 * np.pi / (2 * np.arange(degrees) + 1))
    interpolation = filter_spread(anchors, degrees) / factor[:, None]
    np.testing.assert_allclose(interpolation.sum(1), 1, atol=1e-13)
    assert interpolation.min() >= 0
    if anchors > 1:  # reproduces straight lines, and the anchors at both ends
        line = interpolation @ np.linspace(0, 1, anchors)
        np.testing.assert_allclose(line, np.linspace(0, 1, degrees), atol=1e-13)


def test_filters_have_no_more_anchors_than_degrees():
    assert _conv(bandwidth=4, num_anchors=8).first.shape == (4, 2, 3)


def test_averaged_analysis_is_the_analysis_of_the_pooled_map():
    generator = torch.Generator().manual_seed(0)
    columns = torch.randn(16, 16, 3, dtype=torch.float64, generator=generator)
    sines = torch.from_numpy(np.sin(Equiangular.soft(8).colatitudes))
    pooled = torch.zeros(8, 8, 3, dtype=torch.float64)
    for meridian, ring in np.ndindex(8, 8):
        rings = [2 * ring, 2 * ring + 1]
        cells = columns[2 * meridian : 2 * meridian + 2][:, rings].mean(0)
        pooled[meridian, ring] = (sines[rings] @ cells) / sines[rings].sum()
    expected = SphereTransform(4).double().analyze_columns(pooled)
    coefficients = AveragedAnalysis(8).double().analyze_columns(columns)
    torch.testing.assert_close(coefficients, expected, atol=EXACT, rtol=0)


def test_normalized_maps_have_mean_zero_and_variance_one_by_area():
    conv = _conv(activation="none").train()
    columns, _ = _columns(4, 3, 5)
    outputs = conv(conv.transform.analyze_columns(100 + columns)).detach().numpy()
    areas = np.tile(quadrature_weights(4)[None] / 16, (8, 1))
    maps = outputs.reshape(8, 8, 3, 6)
    mean = np.einsum("krbc,kr->c", maps, areas) / 3
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    power = np.einsum("krbc,kr->c", maps**2, areas) / 3
    np.testing.assert_allclose(power, 1, rtol=1e-4)  # the constant added to variances


def test_evaluation_normalizes_with_the_running_averages():
    conv = _conv(activation="none")
    coefficients = conv.transform.analyze_columns(_columns(4, 3, 5)[0])
    for _ in range(299):
        conv.train()(coefficients)
    trained = conv(coefficients)
    torch.testing.assert_close(conv.eval()(coefficients), trained, atol=1e-6, rtol=1e-6)
    assert conv.num_batches_tracked.item() == 300
    empty = coefficients[..., :0]
    before = conv.running_mean.clone()
    assert conv.train()(empty).shape == (8, 8, 0)
    assert torch.equal(conv.running_mean, before)


def test_rectifier_has_one_slope_per_channel():
    conv, linear = _conv(), _conv(activation="none")
    assert conv.slope is not None
    conv.slope.data = torch.linspace(0, 1, 6, dtype=torch.float64)
    coefficients = conv.transform.analyze_columns(_columns(4, 1, 5)[0])
    values = linear.eval()(coefficients)
    expected = torch.where(values > 0, values, conv.slope * values)
    torch.testing.assert_close(conv.eval()(coefficients), expected)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_right(training):
    conv = _conv(bandwidth=2).train(training)
    columns, _ = _columns(2, 2, 5)
    coefficients = conv.transform.analyze_columns(columns).requires_grad_()
    parameters = [conv.first, conv.second, conv.bias, conv.slope]
    assert torch.autograd.gradcheck(
        lambda values, *_: conv(values), (coefficients, *parameters), fast_mode=True
    )
