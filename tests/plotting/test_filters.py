"""Responses and shapes of Chebyshev filters against naive formulas."""

import numpy as np
import pytest
import torch

from deepsphere.graph import build_graph
from deepsphere.plotting import (
    chebyshev_response,
    degree_eigenvalues,
    filter_coefficients,
    localized_filter,
    plot_angular_profile,
    plot_spectral_response,
)
from deepsphere.sampling import Healpix

GRAPH = build_graph(Healpix(nside=4), num_neighbors=8)
RNG = np.random.default_rng(0)


def naive_chebyshev(order, x):
    return np.cos(order * np.arccos(np.clip(x, -1, 1)))


def test_response_is_the_polynomial():
    weights = RNG.normal(size=(5, 2, 3))
    eigenvalues = np.linspace(0, 3.7, 50)
    expected = sum(
        naive_chebyshev(k, 2 * eigenvalues / 3.7 - 1)[:, None, None] * weights[k] for k in range(5)
    )
    answer = chebyshev_response(eigenvalues, weights, lambda_max=3.7)
    np.testing.assert_allclose(answer, expected, atol=1e-12)


def test_response_of_kernel_size_one_is_constant():
    answer = chebyshev_response(np.linspace(0, 2, 9), np.array([0.3]), lambda_max=2.0)
    np.testing.assert_allclose(answer, 0.3)


def test_response_of_graph_without_edges_is_rejected():
    with pytest.raises(ValueError, match=r"lambda_max must be positive, got 0\.0"):
        chebyshev_response(np.zeros(3), np.ones(2), lambda_max=0.0)


def test_localized_filter_is_a_column_of_the_dense_filter():
    weights = RNG.normal(size=(4, 2))
    values, vectors = np.linalg.eigh(GRAPH.laplacian.toarray())
    for column in range(2):
        response = sum(
            weights[k, column] * naive_chebyshev(k, 2 * values / GRAPH.lambda_max - 1)
            for k in range(4)
        )
        dense = (vectors * response) @ vectors.T
        answer = localized_filter(GRAPH, weights, vertex=17)[:, column]
        np.testing.assert_allclose(answer, dense[:, 17], atol=1e-10)


def test_localized_filter_at_no_vertex_is_rejected():
    with pytest.raises(ValueError, match="vertex must be from 0 to 191, got -1"):
        localized_filter(GRAPH, np.ones(2), vertex=-1)


def test_eigenvalue_of_degree_lies_within_the_spectrum_and_grows():
    quotients = list(degree_eigenvalues(GRAPH, range(6)).values())
    assert quotients[0] == pytest.approx(0, abs=1e-12)
    assert (np.diff(quotients) > 0).all()
    assert quotients[-1] <= GRAPH.lambda_max


def test_coefficients_of_layer_are_a_copy():
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.arange(24.0).reshape(4, 2, 3))
    coefficients = filter_coefficients(layer)
    coefficients[0] = 100
    assert layer.weight[0].max() < 100
    assert coefficients.dtype == np.float64


@pytest.mark.parametrize("layer", [torch.nn.ReLU(), torch.nn.Linear(2, 3)])
def test_layer_without_filters_is_rejected(layer):
    with pytest.raises(TypeError, match=r"layer must have a weight of shape \(kernel_size, in"):
        filter_coefficients(layer)


def test_spectral_curve_is_the_polynomial():
    weights = np.array([0.5, -1.0, 0.25])
    axes = plot_spectral_response(GRAPH, weights).axes[0]
    x, y = axes.lines[0].get_data()
    z = 2 * x / GRAPH.lambda_max - 1
    np.testing.assert_allclose(y, 0.5 - z + 0.25 * (2 * z**2 - 1), atol=1e-12)
    assert (x[0], x[-1]) == (0, GRAPH.lambda_max)


def test_spectral_picture_of_many_filters_draws_the_largest_and_their_mean():
    weights = RNG.normal(size=(3, 10, 10))
    axes = plot_spectral_response(2.0, weights).axes[0]
    labels = [line.get_label() for line in axes.lines]
    assert "the 64 largest of 100 filters" in labels
    mean = axes.lines[labels.index("root mean square")].get_ydata()
    at_zero = (weights * np.array([1, -1, 1])[:, None, None]).sum(axis=0)
    assert mean[0] == pytest.approx(np.sqrt((at_zero**2).mean()))


def test_degree_axis_stands_at_the_given_eigenvalues():
    figure = plot_spectral_response(2.0, np.ones(2), degrees={0: 0.0, 1: 0.01, 3: 1.0, 9: 5.0})
    (top,) = figure.axes[0].child_axes
    # degree 1 would overlap with 0, and 9 lies beyond the spectrum
    np.testing.assert_allclose(top.get_xticks(), [0.0, 1.0])
    assert [text.get_text() for text in top.get_xticklabels()] == ["0", "3"]


def test_angular_profile_shows_values_at_their_distance():
    weights = np.array([0.4, -0.4, 0.2])
    figure = plot_angular_profile(GRAPH, weights, vertex=5)
    x, y = figure.axes[0].lines[0].get_data()
    points = np.asarray(GRAPH.sampling.points)
    distance = np.degrees(np.arccos(np.clip(points @ points[5], -1, 1)))
    kernel = localized_filter(GRAPH, weights, vertex=5)
    pairs = np.stack([distance, kernel], axis=1)
    gaps = np.abs(pairs[None] - np.stack([x, y], axis=1)[:, None]).max(axis=2).min(axis=1)
    assert len(x) > 8
    assert gaps.max() < 1e-5


def test_angular_profile_draws_the_filters_of_largest_norm():
    weights = np.zeros((2, 2, 2))
    weights[:, 1, 0], weights[:, 0, 1] = 5.0, 3.0
    figure = plot_angular_profile(GRAPH, weights, num_filters=2)
    titles = [axes.get_title() for axes in figure.axes[1:3]]
    assert titles == ["1 → 0", "0 → 1"]


def test_angular_profile_without_filters_is_rejected():
    with pytest.raises(ValueError, match="num_filters must be at least 1, got 0"):
        plot_angular_profile(GRAPH, np.ones(2), num_filters=0)


def test_coefficients_without_axis_are_rejected():
    with pytest.raises(ValueError, match=r"coefficients must have shape \(kernel_size,\)"):
        plot_spectral_response(2.0, np.zeros((0, 2)))


def test_coefficients_that_are_not_finite_are_rejected():
    with pytest.raises(ValueError, match="coefficients must be finite"):
        plot_angular_profile(GRAPH, np.array([1.0, np.nan]))
