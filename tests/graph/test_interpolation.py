"""Completion of signals, against dense minimisation."""

import numpy as np
import pytest

from deepsphere.graph import build_graph, interpolate
from deepsphere.sampling import Healpix, RandomUniform

GRAPHS = {
    "combinatorial": lambda: build_graph(Healpix(nside=4)),
    "random walk": lambda: build_graph(
        Healpix(nside=4), weights="gaussian", laplacian="random_walk"
    ),
    "voronoi mass": lambda: build_graph(RandomUniform(192, seed=0), weights="cotangent"),
}


def partly_known() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    known = rng.uniform(size=192) < 0.4
    signals = rng.standard_normal((2, 192, 3))
    signals[:, ~known] = np.nan
    return signals, known


@pytest.mark.parametrize("strength", [0.1, 10.0])
@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS.keys())
def test_interpolate_minimises_its_objective(build, strength):
    graph = build()
    signals, known = partly_known()
    mass = np.diag(graph.vertex_mass)
    system = mass @ np.diag(known) + strength * mass @ graph.laplacian.toarray()
    right = mass @ np.where(known[:, None], signals, 0.0)
    completed = interpolate(graph, signals, known, strength=strength)
    np.testing.assert_allclose(completed, np.linalg.solve(system, right), atol=1e-6)


def test_interpolate_with_strength_zero_keeps_known_and_is_harmonic_elsewhere():
    graph = GRAPHS["combinatorial"]()
    signals, known = partly_known()
    completed = interpolate(graph, signals, known)
    assert np.array_equal(completed[:, known], signals[:, known])
    np.testing.assert_allclose((graph.laplacian @ completed[0])[~known], 0, atol=1e-7)


def test_interpolate_with_strength_zero_is_the_limit():
    graph = GRAPHS["voronoi mass"]()
    signals, known = partly_known()
    limit = interpolate(graph, signals, known)
    np.testing.assert_allclose(interpolate(graph, signals, known, strength=1e-9), limit, atol=1e-4)


def test_interpolate_with_all_known_returns_them():
    graph = GRAPHS["combinatorial"]()
    signals = np.random.default_rng(0).standard_normal((192, 1))
    assert np.array_equal(interpolate(graph, signals, np.ones(192, bool)), signals)


def test_known_of_wrong_length_is_rejected():
    with pytest.raises(ValueError, match=r"known must have one value per vertex \(192,\)"):
        interpolate(GRAPHS["combinatorial"](), np.zeros((192, 1)), np.ones(100, bool))


def test_component_without_known_vertex_is_rejected():
    with pytest.raises(ValueError, match=r"every component of the graph, got 1 of 1 without"):
        interpolate(GRAPHS["combinatorial"](), np.zeros((192, 1)), np.zeros(192, bool))


def test_known_value_that_is_not_finite_is_rejected():
    signal = np.zeros((192, 1))
    signal[7] = np.nan
    with pytest.raises(ValueError, match=r"signals must be finite, got 1 NaN"):
        interpolate(GRAPHS["combinatorial"](), signal, np.ones(192, bool))


def test_negative_strength_is_rejected():
    with pytest.raises(ValueError, match=r"strength must be at least 0, got -1.0"):
        interpolate(
            GRAPHS["combinatorial"](), np.zeros((192, 1)), np.ones(192, bool), strength=-1.0
        )
