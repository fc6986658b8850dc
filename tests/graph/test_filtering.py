"""Filters of signals: exact, by Chebyshev polynomials, and in banks."""

import numpy as np
import pytest
import scipy.linalg

from deepsphere.graph import (
    build_graph,
    chebyshev_coefficients,
    filter_bank,
    filter_bank_adjoint,
    filter_signal,
    heat,
    ideal_low_pass,
    itersine,
    localize,
    mexican_hat,
    tikhonov,
)
from deepsphere.sampling import Healpix, RandomUniform

GRAPHS = {
    "combinatorial": lambda: build_graph(Healpix(nside=4)),
    "normalized": lambda: build_graph(Healpix(nside=4), weights="gaussian", laplacian="normalized"),
    "random walk": lambda: build_graph(
        RandomUniform(150, seed=0), weights="gaussian", laplacian="random_walk"
    ),
    "voronoi mass": lambda: build_graph(RandomUniform(150, seed=0), weights="cotangent"),
}


def random_signals(graph, *batch: int, num_channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((*batch, graph.num_vertices, num_channels))


@pytest.mark.parametrize("method", ["exact", "chebyshev"])
@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS.keys())
def test_heat_is_the_matrix_exponential(build, method):
    graph = build()
    signals = random_signals(graph, 3)
    time = 5 / graph.lambda_max
    expected = scipy.linalg.expm(-time * graph.laplacian.toarray()) @ signals
    filtered = filter_signal(graph, signals, heat(time), method=method)
    np.testing.assert_allclose(filtered, expected, atol=1e-9)


@pytest.mark.parametrize("name", ["combinatorial", "random walk", "voronoi mass"])
def test_heat_keeps_the_mean(name):
    graph = GRAPHS[name]()
    signals = random_signals(graph)
    filtered = filter_signal(graph, signals, heat(0.3))
    mass = graph.vertex_mass[:, None]
    np.testing.assert_allclose((mass * filtered).sum(0), (mass * signals).sum(0), atol=1e-9)


def test_heat_converges_to_the_mean():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph)
    filtered = filter_signal(graph, signals, heat(1e4))
    np.testing.assert_allclose(filtered, np.broadcast_to(signals.mean(0), signals.shape), atol=1e-9)


def test_tikhonov_solves_its_linear_system():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph)
    system = np.eye(graph.num_vertices) + 0.7 * graph.laplacian.toarray()
    filtered = filter_signal(graph, signals, tikhonov(0.7))
    np.testing.assert_allclose(filtered, np.linalg.solve(system, signals), atol=1e-10)


def test_ideal_low_pass_is_a_projection():
    graph = GRAPHS["combinatorial"]()
    once = filter_signal(graph, random_signals(graph), ideal_low_pass(1.0))
    twice = filter_signal(graph, once, ideal_low_pass(1.0))
    np.testing.assert_allclose(once, twice, atol=1e-10)
    assert np.abs(once).max() > 0.1


def test_chebyshev_converges_with_order():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph)
    exact = filter_signal(graph, signals, tikhonov(0.05), method="exact")
    errors = [
        np.abs(
            filter_signal(graph, signals, tikhonov(0.05), method="chebyshev", order=n) - exact
        ).max()
        for n in (0, 5, 10, 20, 40)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-9


def test_chebyshev_is_exact_for_polynomials():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph, 2, 2)
    filtered = filter_signal(graph, signals, lambda x: 1 + x - x**3, method="chebyshev", order=3)
    matrix = graph.laplacian.toarray()
    expected = signals + matrix @ signals - matrix @ matrix @ matrix @ signals
    np.testing.assert_allclose(filtered, expected, atol=1e-10)


def test_auto_is_exact_for_small_and_chebyshev_for_large():
    small, large = build_graph(Healpix(nside=4)), build_graph(Healpix(nside=16), num_neighbors=12)
    for graph, method in [(small, "exact"), (large, "chebyshev")]:
        signals = random_signals(graph)
        assert np.array_equal(
            filter_signal(graph, signals, heat(1.0)),
            filter_signal(graph, signals, heat(1.0), method=method),
        )


def test_chebyshev_coefficients_interpolate_at_the_nodes():
    order, end = 9, 3.0
    coefficients = chebyshev_coefficients(np.exp, end, order)
    nodes = np.cos(np.pi * (np.arange(order + 1) + 0.5) / (order + 1))
    values = np.polynomial.chebyshev.chebval(nodes, coefficients)
    np.testing.assert_allclose(values, np.exp(end * (nodes + 1) / 2), rtol=1e-13)


@pytest.mark.parametrize("method", ["exact", "chebyshev"])
def test_tight_frame_keeps_energy_and_reconstructs(method):
    graph = GRAPHS["voronoi mass"]()
    signals = random_signals(graph, 2)
    bank = itersine(graph.lambda_max, num_filters=4)
    # the bands are smooth but not polynomials: order 200 brings the error to about 1e-6
    bands = filter_bank(graph, signals, bank, method=method, order=200)
    assert bands.shape == (4, *signals.shape)
    mass = graph.vertex_mass[:, None]
    tolerance = 1e-10 if method == "exact" else 1e-4
    np.testing.assert_allclose(
        (mass * bands**2).sum(axis=(0, -2)), (mass * signals**2).sum(axis=-2), rtol=tolerance
    )
    again = filter_bank_adjoint(graph, bands, bank, method=method, order=200)
    np.testing.assert_allclose(again, signals, atol=100 * tolerance)


def test_filter_bank_adjoint_is_the_adjoint():
    graph = GRAPHS["combinatorial"]()
    bank = mexican_hat(graph.lambda_max)
    signals = random_signals(graph)
    bands = np.random.default_rng(1).standard_normal((6, *signals.shape))
    left = (filter_bank(graph, signals, bank) * bands).sum()
    right = (signals * filter_bank_adjoint(graph, bands, bank)).sum()
    assert left == pytest.approx(right, rel=1e-10)


@pytest.mark.parametrize("method", ["exact", "chebyshev"])
def test_localize_is_a_column_of_the_filter(method):
    graph = GRAPHS["combinatorial"]()
    matrix = scipy.linalg.expm(-graph.laplacian.toarray())
    np.testing.assert_allclose(
        localize(graph, heat(1.0), 5, method=method), matrix[:, 5], atol=1e-9
    )


def test_filters_leave_their_input_alone():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph)
    before = signals.copy()
    for method in ("exact", "chebyshev"):
        filter_signal(graph, signals, heat(1.0), method=method)
    assert np.array_equal(signals, before)


def test_float32_is_filtered_in_float64():
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph).astype(np.float32)
    for method in ("exact", "chebyshev"):
        assert filter_signal(graph, signals, heat(1.0), method=method).dtype == np.float64


def test_signals_of_wrong_shape_are_rejected():
    graph = GRAPHS["combinatorial"]()
    with pytest.raises(ValueError, match=r"shape \(\*batch, 192, channels\), got \(3, 100, 2\)"):
        filter_signal(graph, np.zeros((3, 100, 2)), heat(1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_signals_that_are_not_finite_are_rejected(bad):
    graph = GRAPHS["combinatorial"]()
    signals = random_signals(graph)
    signals[3:5, 1] = bad
    with pytest.raises(ValueError, match=r"signals must be finite, got 2 NaN or infinite"):
        filter_signal(graph, signals, heat(1.0))


def test_negative_order_is_rejected():
    graph = GRAPHS["combinatorial"]()
    with pytest.raises(ValueError, match=r"order must be at least 0, got -1"):
        filter_signal(graph, random_signals(graph), heat(1.0), method="chebyshev", order=-1)


def test_exact_on_a_large_graph_is_rejected():
    graph = build_graph(Healpix(nside=32), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match=r"at most 5000 vertices, got 12288; use .*chebyshev"):
        filter_signal(graph, random_signals(graph), heat(1.0), method="exact")


def test_band_without_function_is_rejected():
    graph = GRAPHS["combinatorial"]()
    bands = np.zeros((3, graph.num_vertices, 1))
    with pytest.raises(ValueError, match=r"one signal per function \(2\), got 3"):
        filter_bank_adjoint(graph, bands, [heat(1.0), heat(2.0)])


@pytest.mark.parametrize("vertex", [-1, 192])
def test_vertex_out_of_range_is_rejected(vertex):
    with pytest.raises(ValueError, match=rf"vertex must be from 0 to 191, got {vertex}"):
        localize(GRAPHS["combinatorial"](), heat(1.0), vertex)
