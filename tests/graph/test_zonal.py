"""Symbol and gain against sums written naively, and against projections on harmonics."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix, diags
from scipy.sparse import random as random_sparse
from scipy.special import eval_legendre

from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.graph.weights import unit_weights
from deepsphere.graph.zonal import (
    evaluate_series,
    one_minus_legendre,
    symbol_and_gain,
    zonal_series,
)
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import GaussLegendre, Healpix, RandomUniform

# rounding of some hundred terms of a recurrence or a sum, relative to the largest of them
ROUNDING = 1e-11

DEGREES = 25
SAMPLING = RandomUniform(60, seed=3)
POINTS, AREAS = SAMPLING.points, SAMPLING.areas


def graph_laplacian(num_neighbors: int = 6) -> csr_matrix:
    adjacency = unit_weights(neighbor_distances(SAMPLING, num_neighbors=num_neighbors))
    return csr_matrix(diags(adjacency.sum(axis=1).A1) - adjacency)


def shuffled_identity() -> csr_matrix:
    """Rows of one entry each, most of them far from their own vertex."""
    order = np.random.default_rng(1).permutation(60)
    return csr_matrix((np.ones(60), (np.arange(60), order)), shape=(60, 60))


def with_empty_rows() -> csr_matrix:
    return csr_matrix(random_sparse(60, 60, 0.02, random_state=0))


OPERATORS = {
    "laplacian": graph_laplacian(),
    "dense": csr_matrix(np.random.default_rng(0).standard_normal((60, 60))),
    "permutation": shuffled_identity(),
    "empty rows": with_empty_rows(),
    "nothing": csr_matrix((60, 60)),
    "diagonal": csr_matrix(diags(np.arange(60.0))),
    "single precision": graph_laplacian().astype(np.float32),
    "integers": graph_laplacian().astype(np.int64),
}


def naive_sums(operator, points, max_degree, *, weights=None, centers=None):
    """The two double sums of the definition, all pairs of vertices, from plain polynomials."""
    matrix = operator.toarray().astype(float)
    share = np.full(len(matrix), 1 / len(matrix)) if weights is None else weights / weights.sum()
    centers = points if centers is None else centers
    symbol, gain = [], []
    for degree in range(max_degree + 1):
        own = eval_legendre(degree, np.clip(centers @ points.T, -1, 1))
        pairs = eval_legendre(degree, np.clip(points @ points.T, -1, 1))
        symbol.append(share @ (matrix * own).sum(axis=1))
        gain.append(share @ ((matrix @ pairs) * matrix).sum(axis=1))
    return np.array(symbol), np.array(gain)


def assert_close(got, expected, scale=None):
    for one, other in zip(got, expected, strict=True):
        size = np.abs(other).max() if scale is None else scale
        np.testing.assert_allclose(one, other, atol=ROUNDING * max(size, 1e-300), rtol=0)


# --- polynomials and series ---


@pytest.mark.parametrize("degree", [0, 1, 2, 17, 300])
def test_one_minus_legendre_is_one_minus_the_polynomial(degree):
    u = np.linspace(0, 4, 401)
    values = one_minus_legendre(u, degree)
    assert values.shape == (degree + 1, 401)
    expected = 1 - eval_legendre(degree, 1 - u / 2)
    np.testing.assert_allclose(values[degree], expected, atol=ROUNDING)


def test_one_minus_legendre_of_near_points_loses_no_digits():
    """Q_l(u) = l (l + 1) u / 4 - (l - 1) l (l + 1) (l + 2) u² / 64 + ..."""
    degree, u = np.arange(41)[:, None], np.array([1e-300, 1e-20, 1e-12])
    product = degree * (degree + 1.0)
    expected = product * u / 4 * (1 - (product - 2) * u / 16)
    np.testing.assert_allclose(one_minus_legendre(u, 40), expected, rtol=1e-13)


@pytest.mark.parametrize("largest", [4.0, 1.0, 1e-2, 1e-10])
@pytest.mark.parametrize("max_degree", [0, 1, 2, 30, 400])
def test_series_are_the_polynomials_on_their_interval(max_degree, largest):
    u = largest * np.linspace(0, 1, 201)
    series = zonal_series(max_degree, largest)
    expected = one_minus_legendre(u, max_degree)
    # relative to u l (l + 1) / 4, of which Q_l is a part: sums of cancelling terms are no worse
    scale = max(1.0, max_degree * (max_degree + 1) / 4) * u + 1e-320
    for row, values in zip(series, expected, strict=True):
        got = evaluate_series(row, u, largest)
        assert np.abs((got - values) / scale).max() < ROUNDING


def test_series_is_short_on_short_intervals():
    assert zonal_series(1000, 1e-4).shape[1] < 50
    assert zonal_series(5, 4.0).shape == (6, 6)


def test_evaluated_series_is_a_chebyshev_sum_times_its_argument():
    rng = np.random.default_rng(0)
    # more than are evaluated at once
    coefficients, u = rng.standard_normal(20), rng.uniform(0, 0.3, (17, 1000))
    expected = u * np.polynomial.chebyshev.chebval(2 * u / 0.3 - 1, coefficients)
    np.testing.assert_allclose(evaluate_series(coefficients, u, 0.3), expected, atol=1e-13)


def test_series_of_zeros_is_zero():
    assert not evaluate_series(np.zeros(4), np.array([0.1, 0.2]), 0.5).any()


# --- symbol and gain ---


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("areas", [None, AREAS], ids=["equal", "areas"])
def test_symbol_and_gain_are_the_sums_over_all_pairs(name, areas):
    operator = OPERATORS[name]
    expected = naive_sums(operator, POINTS, DEGREES, weights=areas)
    assert_close(symbol_and_gain(operator, POINTS, DEGREES, areas=areas), expected)


def test_symbol_and_gain_of_chosen_rows_are_those_of_these_rows():
    operator, rows = OPERATORS["laplacian"], np.array([50, 3, 17])
    expected = naive_sums(operator[rows], POINTS, 9, weights=AREAS[rows], centers=POINTS[rows])
    assert_close(symbol_and_gain(operator, POINTS, 9, areas=AREAS, rows=rows), expected)


def test_parts_of_the_rows_average_to_the_whole():
    operator, share = OPERATORS["laplacian"], AREAS / AREAS.sum()
    parts = np.split(np.random.default_rng(2).permutation(60), [20, 37])
    each = [symbol_and_gain(operator, POINTS, 9, areas=AREAS, rows=part) for part in parts]
    mean = sum(share[part].sum() * np.array(one) for part, one in zip(parts, each, strict=True))
    assert_close(symbol_and_gain(operator, POINTS, 9, areas=AREAS), mean)


def test_rows_at_other_points_are_compared_with_these():
    centers = RandomUniform(11, seed=8).points
    operator = csr_matrix(random_sparse(11, 60, 0.2, random_state=4))
    expected = naive_sums(operator, POINTS, 9, centers=centers)
    assert_close(symbol_and_gain(operator, POINTS, 9, row_points=centers), expected)


def test_order_and_repetition_of_entries_do_not_matter():
    operator, order = OPERATORS["laplacian"], np.random.default_rng(5).permutation(60)
    symbol, gain = symbol_and_gain(operator, POINTS, 9, areas=AREAS)
    moved = csr_matrix(operator[order][:, order])
    assert_close(symbol_and_gain(moved, POINTS[order], 9, areas=AREAS[order]), (symbol, gain))
    twice = csr_matrix(
        (
            np.repeat(operator.data / 2, 2),
            np.repeat(operator.indices, 2),
            2 * operator.indptr,
        ),
        shape=operator.shape,
    )
    assert_close(symbol_and_gain(twice, POINTS, 9, areas=AREAS), (symbol, gain))


def test_operator_is_not_modified():
    operator = graph_laplacian()
    before = operator.data.copy(), operator.indices.copy()
    symbol_and_gain(operator, POINTS, 5, areas=AREAS)
    assert np.array_equal(operator.data, before[0])
    assert np.array_equal(operator.indices, before[1])


@pytest.mark.parametrize("sampling", [GaussLegendre(nlat=12), Healpix(nside=4)], ids=repr)
def test_symbol_and_gain_are_trace_and_norm_of_the_blocks_on_harmonics(sampling):
    """Symbol tr(M^ll) / (2 l + 1), gain ‖M^l‖² / (2 l + 1) with M = Yᵀ A Y."""
    laplacian = neighbor_distances(sampling, num_neighbors=8)
    laplacian = csr_matrix(diags(laplacian.sum(axis=1).A1) - laplacian)
    harmonics = real_harmonics(sampling.points, 6)
    weighted = sampling.areas[:, None] * harmonics
    images = laplacian @ harmonics
    traces = np.einsum("nh,nh->h", weighted, images)
    norms = sampling.areas @ images**2
    degree_of = np.floor(np.sqrt(np.arange(49))).astype(int)
    number = 2 * np.arange(7) + 1
    expected = (np.bincount(degree_of, traces) / number, np.bincount(degree_of, norms) / number)
    got = symbol_and_gain(laplacian, sampling.points, 6, areas=sampling.areas)
    assert_close(got, expected)


def test_symbol_and_gain_of_a_matrix_in_harmonics_are_those_of_its_blocks():
    """A = Y B Yᵀ Q takes harmonics to harmonics where the quadrature Q is exact."""
    sampling = GaussLegendre(nlat=6)
    harmonics = real_harmonics(sampling.points, 4)
    block = np.random.default_rng(0).standard_normal((25, 25))
    operator = csr_matrix(harmonics @ block @ (harmonics * sampling.areas[:, None]).T)
    symbol, gain = symbol_and_gain(operator, sampling.points, 4, areas=sampling.areas)
    for degree in range(5):
        part = slice(degree**2, (degree + 1) ** 2)
        number = 2 * degree + 1
        assert symbol[degree] == pytest.approx(np.trace(block[part, part]) / number, abs=1e-11)
        assert gain[degree] == pytest.approx((block[:, part] ** 2).sum() / number, rel=1e-11)


def test_low_degrees_of_a_fine_laplacian_lose_no_digits():
    """Rows that sum to zero over a millionth of a radian: 16 digits cancel in P, none in Q."""
    step = 1e-6
    angle = np.stack([np.array([0.0, step, -step, 0, 0]), np.array([0.0, 0, 0, step, -step])])
    points = np.stack([np.cos(angle[0]) * np.cos(angle[1]), np.sin(angle[0]), np.sin(angle[1])])
    points = (points / np.linalg.norm(points, axis=0)).T
    row = csr_matrix(np.array([[4.0, -1, -1, -1, -1]]) / step**2)
    symbol, gain = symbol_and_gain(row, points, 3, row_points=points[:1])
    degrees = np.arange(4)
    np.testing.assert_allclose(symbol, degrees * (degrees + 1.0), rtol=1e-9)
    np.testing.assert_allclose(gain, symbol**2, rtol=1e-3)


@pytest.mark.parametrize("rows", [np.array([], dtype=int), np.array([1, 2])])
def test_rows_without_area_are_rejected(rows):
    areas = np.where(np.arange(60) < 10, 0.0, AREAS)
    message = rf"rows must hold at least one row of positive area, got {len(rows)} of total area 0"
    with pytest.raises(ValueError, match=message + "; measure lower degrees, or all rows"):
        symbol_and_gain(OPERATORS["laplacian"], POINTS, 3, areas=areas, rows=rows)
