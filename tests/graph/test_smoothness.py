"""Dirichlet energy, gradient and total variation, as sums over edges."""

import numpy as np
import pytest

from deepsphere.graph import build_graph, differential_operator, dirichlet_energy, total_variation
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Healpix, RandomUniform


def sum_over_edges(graph, function) -> float:
    """sum of function(weight, i, j) over undirected edges, one by one."""
    weights = graph.adjacency.toarray()
    return sum(
        function(weights[i, j], i, j) for i, j in zip(*np.triu(weights).nonzero(), strict=True)
    )


@pytest.mark.parametrize("weights", ["gaussian", "cotangent"])
def test_dirichlet_energy_is_a_sum_over_edges(weights):
    graph = build_graph(RandomUniform(100, seed=0), weights=weights)
    signals = np.random.default_rng(0).standard_normal((2, 100, 3))
    energy = dirichlet_energy(graph, signals)
    assert energy.shape == (2, 3)
    f = signals[1, :, 2]
    expected = sum_over_edges(graph, lambda w, i, j: w * (f[i] - f[j]) ** 2)
    assert energy[1, 2] == pytest.approx(expected)


def test_dirichlet_energy_of_harmonics_is_their_eigenvalue():
    graph = build_graph(Healpix(nside=16), weights="cotangent", mass="voronoi")
    energy = dirichlet_energy(graph, real_harmonics(graph.sampling.points, 3))
    expected = [degree * (degree + 1) for degree in range(4) for _ in range(2 * degree + 1)]
    np.testing.assert_allclose(energy, expected, rtol=0.02, atol=1e-10)


def test_total_variation_is_a_sum_over_edges():
    graph = build_graph(RandomUniform(80, seed=0), num_neighbors=6, weights="gaussian")
    signal = np.random.default_rng(0).standard_normal((80, 1))
    f = signal[:, 0]
    expected = sum_over_edges(graph, lambda w, i, j: np.sqrt(w) * abs(f[i] - f[j]))
    assert total_variation(graph, signal)[0] == pytest.approx(expected)


def test_differential_operator_factors_the_laplacian():
    graph = build_graph(Healpix(nside=4))
    gradient = differential_operator(graph)
    assert gradient.shape == (graph.num_edges, graph.num_vertices)
    assert abs(gradient.T @ gradient - graph.laplacian).max() < 1e-13
    assert np.abs(gradient @ np.ones(192)).max() == 0


@pytest.mark.parametrize("measure", [dirichlet_energy, total_variation])
def test_signals_of_wrong_shape_are_rejected(measure):
    with pytest.raises(ValueError, match=r"signals must have shape \(\*batch, 48, channels\)"):
        measure(build_graph(Healpix(nside=2), num_neighbors=8), np.zeros((3, 48)))
