"""Nonnegative rows: optimality row by row, symmetry, stability, and the errors that they reach."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.sparse import csr_matrix, diags
from scipy.spatial import KDTree
from scipy.special import eval_legendre

from deepsphere.equivariance import equivariance_error
from deepsphere.graph import build_graph, chebyshev_norms
from deepsphere.graph.neighbors import ring_sizes
from deepsphere.graph.nonnegative import solve_nonnegative
from deepsphere.graph.optimal_rows import nonnegative_rows, row_level, row_problems
from deepsphere.graph.spectrum import largest_real_part
from deepsphere.graph.stability import operator_chebyshev_norms
from deepsphere.graph.stencils import nearest_stencils, resolved_rows
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Sampling,
    Scattered,
)

# of rounding, relative to the largest weight
ROUNDING = 1e-12


def scattered(points: np.ndarray) -> Scattered:
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    lon, lat = np.arctan2(points[:, 1], points[:, 0]), np.arcsin(points[:, 2])
    return Scattered(np.degrees(lon), np.degrees(lat))


def stations(num: int = 240) -> Scattered:
    """Half of the points in one octant, the others everywhere."""
    points = np.random.default_rng(5).standard_normal((num, 3))
    points[::2] = np.abs(points[::2])
    return scattered(points)


@lru_cache
def rows_of(sampling: Sampling, num_neighbors: int | None = None) -> csr_matrix:
    return nonnegative_rows(sampling, num_neighbors=num_neighbors)


def laplacian(weights: csr_matrix) -> csr_matrix:
    return csr_matrix(diags(weights.sum(axis=1).A1) - weights)


def errors_of(sampling: Sampling, degrees, **options) -> np.ndarray:
    return equivariance_error(laplacian(rows_of(sampling)), sampling, degrees, **options)


CASES = [
    RandomUniform(240, seed=1),
    RandomUniform(40),
    RandomUniform(5),
    RandomUniform(2),
    stations(),
    Healpix(nside=4),
    Icosahedral(4),
    CubedSphere(4),
    Fibonacci(100),
    Equiangular(nlat=10, poles=2),
    Equiangular(nlat=9, poles=2),
    Equiangular(nlat=8, poles=1),
    Equiangular(nlat=8, nlon=9, poles="south"),
    Equiangular(nlat=2),
    GaussLegendre(nlat=10),
    GaussLegendre(nlat=8, nlon="octahedral"),
]


@pytest.fixture(params=CASES, ids=repr)
def sampling(request: pytest.FixtureRequest) -> Sampling:
    return request.param


# --- laws of every matrix ---


@pytest.mark.parametrize("num_neighbors", [None, 1, 8])
def test_weights_are_positive_and_every_vertex_has_some(sampling, num_neighbors):
    weights = rows_of(sampling, num_neighbors)
    assert weights.shape == (sampling.num_vertices, sampling.num_vertices)
    assert weights.data.min() > 0
    assert np.isfinite(weights.data).all()
    assert not weights.diagonal().any()
    assert np.diff(weights.indptr).min() > 0
    assert weights.has_canonical_format


def test_walk_is_stochastic_and_spectrum_is_in_the_right_half_plane(sampling):
    matrix = laplacian(rows_of(sampling)).toarray()
    largest = matrix.diagonal().max()
    walk = np.eye(len(matrix)) - matrix / largest
    assert walk.min() >= 0
    np.testing.assert_allclose(walk.sum(axis=1), 1, atol=1e-13)
    assert np.abs(np.linalg.matrix_power(walk, 50)).sum(axis=1).max() < 1 + 1e-12
    eigenvalues = np.linalg.eigvals(matrix)
    assert eigenvalues.real.min() > -1e-10 * largest
    # Gershgorin: discs around the diagonal through zero
    assert np.abs(eigenvalues.imag).max() <= largest
    assert eigenvalues.real.max() <= 2 * largest


def test_rows_are_the_same_each_time(sampling):
    again = nonnegative_rows(sampling)
    assert again.data.tobytes() == rows_of(sampling).data.tobytes()
    assert np.array_equal(again.indices, rows_of(sampling).indices)


def test_num_neighbors_sets_the_candidates_of_which_rows_keep_about_as_many():
    sampling = RandomUniform(300)
    order = np.argsort(np.linalg.norm(sampling.points[:, None] - sampling.points, axis=2), axis=1)
    rank = np.argsort(order, axis=1)
    for num_neighbors in (4, 8, 20):
        weights = rows_of(sampling, num_neighbors)
        assert rank[weights.nonzero()].max() <= np.ceil(2.4 * num_neighbors)
        assert 0.7 * num_neighbors < np.diff(weights.indptr).mean() < 1.4 * num_neighbors
    assert np.diff(rows_of(sampling, 60).indptr).mean() < 20
    assert (rows_of(sampling, 20) != rows_of(sampling)).nnz == 0


# --- optimality ---


def naive_row(points: np.ndarray, center: int, num_candidates: int) -> np.ndarray:
    """A row on evenly spread points by its definition: least squares over signals and noise."""
    size = len(points)
    spacing = np.sqrt(4 * np.pi / size)
    cut = 2.6 / spacing
    degrees = np.arange(1, max(3, int(np.ceil(1.6 * cut))) + 1)
    width = 0.3 * spacing**2
    symbol = (1 - np.exp(-width * degrees * (degrees + 1))) / width
    prior = 1 / (0.05**2 + (degrees / cut) ** 4)
    prior /= prior.sum()
    distance = np.linalg.norm(points - points[center], axis=1)
    others = np.argsort(distance)[1 : num_candidates + 1]
    near = np.concatenate([[center], others])
    factors, rights = [], []
    for degree, target, weight in zip(degrees, symbol, prior, strict=True):
        covariance = eval_legendre(degree, np.clip(points[near] @ points[near].T, -1, 1))
        values, vectors = np.linalg.eigh(covariance)
        signals = vectors * np.sqrt(np.maximum(values, 0))  # columns f with E f fᵀ = P_l
        factors.append(np.sqrt(weight) / target * (signals[0] - signals[1:]).T)
        rights.append(np.sqrt(weight) * signals[0])
    # white noise on the center and on the neighbors
    noise = np.sqrt(0.1) / symbol[int(np.ceil(cut)) - 1]
    count = len(others)
    factors += [noise * np.ones((1, count)), noise * np.eye(count)]
    rights += [np.zeros(1 + count)]
    row = np.zeros(size)
    row[others] = nnls(np.concatenate(factors), np.concatenate(rights), maxiter=1000)[0]
    return row


@pytest.mark.parametrize("num_neighbors", [4, 20])
@pytest.mark.parametrize("sampling", [RandomUniform(40), RandomUniform(100, seed=3)], ids=repr)
def test_rows_on_even_points_are_the_minima_written_out(sampling, num_neighbors):
    weights = rows_of(sampling, num_neighbors).toarray()
    candidates = min(int(np.ceil(2.4 * num_neighbors)), sampling.num_vertices - 1)
    for center in (0, 17, 39):
        expected = naive_row(sampling.points, center, candidates)
        np.testing.assert_allclose(weights[center], expected, atol=1e-6 * expected.max())


def test_error_of_low_degrees_is_far_below_the_gaussian():
    sampling = RandomUniform(600, seed=2)
    gaussian = build_graph(sampling, weights="gaussian", num_neighbors=20)
    ratio = errors_of(sampling, [1, 2, 5]) / equivariance_error(gaussian, degrees=[1, 2, 5])
    assert ratio.max() < 0.1
    assert errors_of(sampling, [1, 2]).max() < 0.04


def test_mean_symbol_of_low_degrees_is_that_of_the_sphere():
    """L x ≈ 2 x for the three coordinates, in each row; the noise makes it a few percent less."""
    sampling = RandomUniform(600, seed=2)
    images = laplacian(rows_of(sampling)) @ sampling.points
    assert np.abs(images - 2 * sampling.points).max() < 0.3
    assert np.sqrt(((images / 2 - sampling.points) ** 2).sum(axis=1).mean()) < 0.05


# --- grids ---


def turned(sampling: Sampling, steps: int) -> np.ndarray:
    """The vertex that lies where a turn takes each vertex, poles included."""
    sizes = np.array(ring_sizes(sampling))
    firsts = np.cumsum(sizes) - sizes
    ring = np.repeat(np.arange(len(sizes)), sizes)
    step = np.arange(len(ring)) - firsts[ring]
    return firsts[ring] + (step + steps) % sizes[ring]


GRIDS = [
    Equiangular(nlat=10, poles=2),
    Equiangular(nlat=32, nlon=64, poles=2),
    Equiangular(nlat=33, nlon=64, poles=2),
    Equiangular(nlat=16, poles=1),
    Equiangular(nlat=16, poles="south"),
    Equiangular(nlat=32, nlon=64),
    GaussLegendre(nlat=16),
    GaussLegendre(nlat=25, nlon=49),
]


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_rows_of_a_grid_commute_with_its_turns(grid, steps):
    weights, image = rows_of(grid), turned(grid, steps)
    assert abs(weights[image][:, image] - weights).max() < ROUNDING * weights.max()


@pytest.mark.parametrize("grid", GRIDS, ids=repr)
def test_rows_of_a_grid_are_mirrored_east_to_west(grid):
    weights = rows_of(grid)
    image = KDTree(grid.points).query(grid.points * [1, -1, 1])[1]
    assert sorted(image) == list(range(grid.num_vertices))
    assert abs(weights[image][:, image] - weights).max() < ROUNDING * weights.max()


@pytest.mark.parametrize("grid", [g for g in GRIDS if g.nlat != 16 or "Gauss" in repr(g)], ids=repr)
def test_rows_of_a_grid_are_mirrored_north_to_south(grid):
    weights = rows_of(grid)
    image = KDTree(grid.points).query(grid.points * [1, 1, -1])[1]
    assert sorted(image) == list(range(grid.num_vertices))
    assert abs(weights[image][:, image] - weights).max() < ROUNDING * weights.max()


def test_rows_of_a_pole_weigh_a_ring_alike():
    grid = Equiangular(nlat=32, nlon=64, poles=2)
    row = rows_of(grid)[0].toarray()[0, 1:-1].reshape(30, 64)
    assert (np.ptp(row, axis=1) < ROUNDING * row.max()).all()
    assert (row[:, 0] > 0).any()


def test_error_of_a_grid_with_poles_is_small():
    grid = Equiangular(nlat=32, nlon=64, poles=2)
    assert errors_of(grid, [1, 5]).max() < 0.02


# --- locality and order ---


@pytest.mark.parametrize(
    "points", [RandomUniform(240, seed=1).points, stations().points], ids=["even", "stations"]
)
def test_order_of_the_points_does_not_matter(points):
    order = np.random.default_rng(0).permutation(len(points))
    weights, moved = rows_of(scattered(points)), rows_of(scattered(points[order]))
    assert abs(weights[order][:, order] - moved).max() < 1e-9 * weights.data.max()


def test_a_point_more_changes_the_rows_around_it_alone():
    """The rest follows the mean spacing of all points, which changes by one part in n."""
    points = RandomUniform(1000, seed=6).points
    more = np.concatenate([points, [[0.0, 0.0, 1.0]]])
    before, after = rows_of(scattered(points)), rows_of(scattered(more))[:1000][:, :1000]
    change = (
        abs(after - before).max(axis=1).toarray().ravel() / before.max(axis=1).toarray().ravel()
    )
    distance = np.linalg.norm(points - [0, 0, 1], axis=1)
    spacing = np.sqrt(4 * np.pi / 1000)
    assert change[distance > 6 * spacing].max() < 0.01
    assert change[distance < 2 * spacing].max() > 0.1
    neighbors = rows_of(scattered(more)).tocsc()[:, 1000].nonzero()[0]
    assert distance[neighbors].max() < 6 * spacing


# --- edge cases ---


def test_points_on_a_circle_have_rows():
    longitudes = np.arange(60) * 6.0
    for latitude in (0.0, 50.0):
        weights = rows_of(Scattered(longitudes, np.full(60, latitude)))
        assert weights.data.min() > 0
        moved = np.roll(np.arange(60), 1)
        assert abs(weights[moved][:, moved] - weights).max() < 1e-6 * weights.max()


def test_points_in_a_hemisphere_have_rows():
    points = np.random.default_rng(0).standard_normal((200, 3))
    points[:, 2] = np.abs(points[:, 2]) + 0.05
    matrix = laplacian(rows_of(scattered(points))).toarray()
    assert np.linalg.eigvals(matrix).real.min() > -1e-10 * matrix.max()
    assert (matrix.diagonal() > 0).all()


@pytest.mark.parametrize("distance", [1e-3, 1e-6])
def test_nearly_coincident_points_have_bounded_weights(distance):
    """Without the nugget two points at a distance d would have weights like 1 / d²."""
    points = RandomUniform(300, seed=1).points
    twins = points[:20] + distance * np.random.default_rng(0).standard_normal((20, 3))
    weights = rows_of(scattered(np.concatenate([points, twins])))
    alone = rows_of(scattered(points))
    assert laplacian(weights).diagonal().max() < 3 * laplacian(alone).diagonal().max()


@pytest.mark.parametrize("num", [20, 60, 200])
def test_rows_of_a_small_region_do_not_depend_on_its_scale(num):
    """The sphere is flat there; a tenth of the distances makes weights a hundred times as large."""
    random = np.random.default_rng(0)
    east, north = random.uniform(-0.5, 0.5, (2, num))
    rows = [rows_of(Scattered(scale * east, scale * north)) for scale in (1.0, 0.1, 0.02)]
    for smaller, scale in zip(rows[1:], (0.1, 0.02), strict=True):
        assert abs(scale**2 * smaller - rows[0]).max() < 2e-3 * rows[0].max()


@pytest.mark.parametrize("kilometers", [3000, 300, 30, 3])
def test_vertices_at_the_border_of_a_region_are_joined_to_it(kilometers):
    """Nothing but the sea lies beyond: the spacing there is not that of the empty hemisphere."""
    random = np.random.default_rng(0)
    extent = np.degrees(kilometers / 6371)
    region = Scattered(*(center + extent * random.uniform(size=150) for center in (7.0, 46.0)))
    weights = rows_of(region)
    assert np.diff(weights.indptr).min() > 0
    matrix = laplacian(weights).toarray()
    assert np.isfinite(matrix).all()
    assert np.linalg.eigvals(matrix).real.min() > -1e-10 * matrix.max()
    assert matrix.diagonal().min() > 2e-4 * np.median(matrix.diagonal())


def test_single_vertex_is_rejected():
    message = "sampling must have at least 2 vertices to have neighbors, got 1; use a finer"
    with pytest.raises(ValueError, match=message):
        nonnegative_rows(RandomUniform(1))


# --- published sizes ---


@pytest.mark.slow
def test_errors_of_3000_random_points():
    errors = errors_of(RandomUniform(3000), [1, 5, 10])
    assert (errors <= [0.02, 0.02, 0.045]).all()


@pytest.mark.slow
def test_errors_of_10000_random_points():
    assert errors_of(RandomUniform(10_000), np.arange(1, 11)).max() <= 0.02


@pytest.mark.slow
def test_errors_and_spectrum_of_a_grid_of_64_by_128_with_poles():
    graph = build_graph(Equiangular(nlat=64, nlon=128, poles=2), weights="optimal")
    assert (equivariance_error(graph, degrees=[10, 20]) <= [0.004, 0.016]).all()
    assert graph.lambda_max <= 2 * np.median(graph.laplacian.diagonal())


@pytest.mark.slow
def test_errors_of_crowded_points_where_they_are_resolved():
    """One in ten everywhere, the others in a cap: rows that resolve a degree are right there."""
    rng = np.random.default_rng(0)
    cap = rng.standard_normal((2700, 3)) * [0.4, 0.4, 0.1] + [0, 0, 1]
    sampling = scattered(np.concatenate([cap, rng.standard_normal((300, 3))]))
    for degree, bound in ((1, 0.04), (5, 0.1), (20, 0.1)):
        rows = resolved_rows(sampling, degree)
        assert rows.mean() > 0.3
        assert errors_of(sampling, [degree], rows=rows)[0] <= bound


def test_stations_of_one_region_are_surrounded():
    rng = np.random.default_rng(0)
    region = Scattered(rng.uniform(110, 150, 400), rng.uniform(-40, -12, 400))
    counted = resolved_rows(region, 10)
    assert counted.mean() > 0.5
    nearest = laplacian(_rows_of_nearest(region))
    graph = build_graph(region)
    error = equivariance_error(graph, degrees=10, rows=counted)
    assert 3 * error[0] < equivariance_error(nearest, region, 10, rows=counted)[0]
    norm = operator_chebyshev_norms(nearest, largest_real_part(nearest)).max()
    assert chebyshev_norms(graph).max() < 13 < norm


def _rows_of_nearest(sampling: Sampling) -> csr_matrix:
    """Rows on the nearest candidates, as of points that are spread evenly."""
    points, spacing = sampling.points, np.sqrt(4 * np.pi / sampling.num_vertices)
    stencils = nearest_stencils(points, 48)
    offsets = points[stencils] - points[:, None]
    level = row_level(spacing, spacing, 0.1, float(np.linalg.norm(offsets, axis=2).max()))
    matrices, vectors, scales = row_problems(offsets, np.ones(stencils.shape, dtype=bool), level)
    values = scales * solve_nonnegative(matrices, vectors)
    rows = np.repeat(np.arange(len(points)), 48)
    return csr_matrix((values.ravel(), (rows, stencils.ravel())))
