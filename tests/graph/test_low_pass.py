"""Anti-aliased pooling matrices against dense formulas."""

import numpy as np
import pytest
import scipy.linalg
from scipy.special import eval_legendre

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.graph.low_pass import (
    cutoff_degree,
    gaussian_pooling_matrix,
    low_pass_pooling_matrix,
    low_pass_power,
    mean_symbol,
    smoothing_matrix,
)
from deepsphere.graph.pooling_matrices import mean_pooling_matrix
from deepsphere.graph.sphere_graph import build_graph
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Scattered


def symbol(matrix, rows, columns, degree, areas=None):
    """``sum_i q_i sum_j A_ij P_l(x_i . x_j)`` written out."""
    share = np.full(len(rows), 1 / len(rows)) if areas is None else areas / areas.sum()
    return share @ (matrix * eval_legendre(degree, rows @ columns.T)).sum(axis=1)


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized"])
@pytest.mark.parametrize(
    "sampling", [Healpix(nside=4), Equiangular(nlat=10, nlon=20, poles=1)], ids=repr
)
def test_mean_symbol_is_the_sum_of_its_definition(sampling, laplacian):
    graph = build_graph(sampling, num_neighbors=8, weights="gaussian", laplacian=laplacian)
    dense, points = graph.laplacian.toarray(), sampling.points
    for degree in (0, 1, 5, 9):
        expected = symbol(dense, points, points, degree, sampling.areas)
        assert mean_symbol(graph, degree) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_mean_symbol_is_linear_between_degrees():
    graph = build_graph(Healpix(nside=4), num_neighbors=8)
    between = 0.75 * mean_symbol(graph, 3) + 0.25 * mean_symbol(graph, 4)
    assert mean_symbol(graph, 3.25) == pytest.approx(between)


def test_mean_symbol_of_a_large_graph_is_near_that_of_all_vertices():
    graph = build_graph(Healpix(nside=16), num_neighbors=20, weights="gaussian")
    points = graph.sampling.points
    exact = symbol(graph.laplacian.toarray(), points, points, 16)
    assert mean_symbol(graph, 16) == pytest.approx(exact, rel=0.01)


def test_cutoff_counts_a_part_by_its_density():
    whole = Healpix(nside=8)
    north = whole.subset(whole.points[:, 2] > 0)
    share = float(north.areas.sum())
    assert cutoff_degree(north.num_vertices, share) == pytest.approx(cutoff_degree(768))
    assert cutoff_degree(768) == 16


@pytest.mark.parametrize(
    ("nside", "num_neighbors", "power"), [(16, 20, 4), (8, 20, 4), (16, 8, 7), (8, 8, 7)]
)
def test_power_is_that_of_the_published_rule(nside, num_neighbors, power):
    graph = build_graph(Healpix(nside=nside), num_neighbors=num_neighbors, weights="gaussian")
    assert low_pass_power(graph, 3 * nside**2, attenuation=0.2) == power


def test_power_attenuates_the_cutoff_by_what_was_asked():
    graph = build_graph(Healpix(nside=8), num_neighbors=8)
    share = mean_symbol(graph, 8) / graph.lambda_max
    for attenuation in (0.4, 0.2, 0.05):
        power = low_pass_power(graph, 192, attenuation=attenuation)
        # rounding the exponent moves the logarithm by at most half a factor
        assert np.log((1 - share) ** power) == pytest.approx(
            np.log(attenuation), abs=-0.5 * np.log(1 - share)
        )


def test_power_is_at_least_one():
    graph = build_graph(Healpix(nside=4), num_neighbors=8)
    assert low_pass_power(graph, 192, attenuation=0.99) == 1


@pytest.mark.parametrize("laplacian", ["combinatorial", "random_walk"])
@pytest.mark.parametrize("sampling", [Healpix(nside=4), Icosahedral(subdivisions=4)], ids=repr)
def test_power_is_the_mean_of_the_filtered_signal(sampling, laplacian):
    graph = build_graph(sampling, num_neighbors=8, weights="gaussian", laplacian=laplacian)
    membership = sampling.membership()
    step = np.eye(sampling.num_vertices) - graph.laplacian.toarray() / graph.lambda_max
    expected = mean_pooling_matrix(membership).toarray() @ np.linalg.matrix_power(step, 3)
    pooling = low_pass_pooling_matrix(graph, membership, power=3, threshold=0)
    np.testing.assert_allclose(pooling.toarray(), expected, atol=1e-14)


def test_heat_is_the_matrix_exponential():
    sampling = Healpix(nside=4)
    graph, membership = build_graph(sampling, num_neighbors=8), sampling.membership()
    time = np.log(1 / 0.3) / mean_symbol(graph, cutoff_degree(48))
    heat = scipy.linalg.expm(-time * graph.laplacian.toarray())
    pooling = low_pass_pooling_matrix(
        graph, membership, method="heat", attenuation=0.3, threshold=0
    )
    expected = mean_pooling_matrix(membership).toarray() @ heat
    # the tail of the series that is left out has a mass of 1e-8
    np.testing.assert_allclose(pooling.toarray(), expected, atol=2e-8)


def test_heat_of_a_long_time_is_summed():
    sampling = Healpix(nside=8)
    membership = build_pyramid(sampling, num_levels=2, steps=3).memberships[0]
    graph = build_graph(sampling)
    pooling = low_pass_pooling_matrix(graph, membership, method="heat", attenuation=1e-3)
    np.testing.assert_allclose(pooling.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", ["power", "heat"])
def test_small_entries_are_dropped(method):
    sampling = Healpix(nside=8)
    graph, membership = build_graph(sampling), sampling.membership()
    options = {"method": method, "attenuation": 0.2}
    whole = low_pass_pooling_matrix(graph, membership, threshold=0, **options).toarray()
    pooling = low_pass_pooling_matrix(graph, membership, **options).toarray()
    largest = whole.max(axis=1, keepdims=True)
    expected = np.where(whole >= 0.01 * largest, whole, 0)
    expected /= expected.sum(axis=1, keepdims=True)
    # an entry at the threshold may fall to either side: intermediate ones were dropped too
    assert np.abs(pooling - expected).max() < 0.011 * largest.max()
    np.testing.assert_allclose(pooling.sum(axis=1), 1, atol=1e-12)
    assert (pooling > 0).sum() < 0.5 * (whole > 0).sum()
    assert 1 - np.minimum(pooling, whole).sum(axis=1).min() < 0.03  # little mass is lost


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized", "random_walk"])
def test_low_pass_keeps_constants(laplacian):
    graph = build_graph(Fibonacci(300), num_neighbors=8, weights="gaussian", laplacian=laplacian)
    pooling = low_pass_pooling_matrix(graph, graph.sampling.membership())
    np.testing.assert_allclose(pooling.sum(axis=1), 1, atol=1e-12)
    assert pooling.data.min() > 0


def gain(pooling, fine, degree):
    """Root of the mean squared gain for harmonics of a degree."""
    legendre = eval_legendre(degree, fine.points @ fine.points.T)
    dense = pooling.toarray()
    return np.sqrt(((dense @ legendre) * dense).sum(axis=1).mean())


def test_gain_is_the_published_one():
    fine = Healpix(nside=16)
    graph = build_graph(fine)
    pooling = low_pass_pooling_matrix(graph, fine.membership(), attenuation=0.2)
    # the published column is for other weights on the same edges, whose symbol differs by 5 %
    for degree, published in ((4, 0.881), (8, 0.634), (16, 0.174), (24, 0.020)):
        assert gain(pooling, fine, degree) == pytest.approx(published, abs=0.03)


def test_gaussian_is_the_normalized_kernel_of_the_nearest():
    fine, coarse = Equiangular(nlat=12, nlon=24, poles=0), Fibonacci(72)
    pooling = gaussian_pooling_matrix(fine, coarse, attenuation=0.3, num_points_per_ratio=5)
    degree = np.sqrt(72 / 3)
    time = np.log(1 / 0.3) / (degree * (degree + 1))
    squared = ((coarse.points[:, None] - fine.points) ** 2).sum(axis=2)
    for row in range(72):
        nearest = np.argsort(squared[row])[:20]
        weight = fine.areas[nearest] * np.exp(-squared[row, nearest] / (4 * time))
        np.testing.assert_allclose(
            pooling.toarray()[row, nearest], weight / weight.sum(), rtol=1e-9
        )
        assert pooling[[row]].nnz == 20


def test_gaussian_gain_is_the_published_one():
    fine, coarse = Healpix(nside=8), Healpix(nside=4)
    pooling = gaussian_pooling_matrix(fine, coarse, attenuation=0.1)
    for degree, published in ((4, 0.591), (8, 0.107), (12, 0.006), (16, 0.014)):
        assert gain(pooling, fine, degree) == pytest.approx(published, abs=0.01)


def test_gaussian_takes_every_vertex_of_a_small_sampling():
    pooling = gaussian_pooling_matrix(Healpix(nside=2), Healpix(nside=1))
    assert pooling.nnz == 12 * 48


def test_smoothing_matrix_is_one_step():
    graph = build_graph(Healpix(nside=2), num_neighbors=8)
    expected = np.eye(48) - graph.laplacian.toarray() / graph.lambda_max
    np.testing.assert_allclose(smoothing_matrix(graph).toarray(), expected)


def test_graph_without_edges_is_left_as_it_is():
    pair = Healpix(nside=4).subset(np.array([0, 100]))
    graph = build_graph(pair, num_neighbors=8, disconnected="allow")
    np.testing.assert_array_equal(smoothing_matrix(graph).toarray(), np.eye(2))
    for method in ("power", "heat"):
        pooling = low_pass_pooling_matrix(graph, pair.membership(), method=method)
        np.testing.assert_allclose(pooling.toarray(), np.eye(2))


@pytest.fixture
def graph():
    return build_graph(Healpix(nside=2), num_neighbors=8)


def test_negative_degree_is_rejected(graph):
    with pytest.raises(ValueError, match="degree must not be negative, got -1"):
        mean_symbol(graph, -1)


@pytest.mark.parametrize("attenuation", [0.0, 1.0])
def test_attenuation_is_checked(graph, attenuation):
    membership = graph.sampling.membership()
    with pytest.raises(ValueError, match="attenuation must lie between 0 and 1"):
        low_pass_pooling_matrix(graph, membership, attenuation=attenuation)
    with pytest.raises(ValueError, match="attenuation must lie between 0 and 1"):
        low_pass_power(graph, 12, attenuation=attenuation)
    with pytest.raises(ValueError, match="attenuation must lie between 0 and 1"):
        gaussian_pooling_matrix(Healpix(nside=2), Healpix(nside=1), attenuation=attenuation)


def test_threshold_is_checked(graph):
    with pytest.raises(ValueError, match="threshold must be at least 0 and below 1, got 1"):
        low_pass_pooling_matrix(graph, graph.sampling.membership(), threshold=1.0)


def test_power_belongs_to_its_method(graph):
    with pytest.raises(ValueError, match="power must be None or a nonnegative integer"):
        low_pass_pooling_matrix(graph, graph.sampling.membership(), method="heat", power=2)
    with pytest.raises(ValueError, match="power must be None or a nonnegative integer"):
        low_pass_pooling_matrix(graph, graph.sampling.membership(), power=-1)


def test_number_of_points_is_checked():
    with pytest.raises(ValueError, match="num_points_per_ratio must be at least 1, got 0"):
        gaussian_pooling_matrix(Healpix(nside=2), Healpix(nside=1), num_points_per_ratio=0)


def test_stations_of_a_region_are_smoothed_as_such():
    """The power depends on the density of points, not on how much of the sphere is empty."""
    generator = np.random.default_rng(0)
    lon, lat = generator.uniform(-3, 3, 300), generator.uniform(-3, 3, 300)
    powers = []
    for width in (1.0, 0.1):
        graph = build_graph(Scattered(width * lon, width * lat), num_neighbors=8)
        powers.append(low_pass_power(graph, 75))
    assert 1 <= powers[0] <= 30
    assert abs(powers[1] - powers[0]) <= 0.1 * powers[0] + 1
