"""Nearest neighbors with ties, grids, triangles, and no edge across a hole."""

import numpy as np
import pytest

from deepsphere.graph.neighbors import (
    grid_edges,
    is_grid,
    nearest_neighbors,
    neighbor_distances,
    triangle_edges,
)
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Scattered,
)

ROUNDING = 1e-14


def naive_nearest_neighbors(points: np.ndarray, num_neighbors: int) -> np.ndarray:
    """Dense distances of the union of k nearest neighbors and their ties; 0 where no edge is."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    joined = np.zeros(distances.shape, bool)
    for vertex, row in enumerate(distances):
        others = np.sort(np.delete(row, vertex))
        joined[vertex] = row <= others[num_neighbors - 1] * (1 + 1e-7)
        joined[vertex, vertex] = False
    return np.where(joined | joined.T, distances, 0.0)


@pytest.mark.parametrize("num_neighbors", [1, 5, 8, 20])
@pytest.mark.parametrize(
    "sampling",
    [
        Healpix(nside=4),
        Icosahedral(4),
        CubedSphere(5),
        Equiangular(nlat=8, nlon=12, poles=2),
        RandomUniform(150, seed=3),
    ],
    ids=lambda sampling: type(sampling).__name__,
)
def test_nearest_neighbors_match_exhaustive_search(sampling, num_neighbors):
    distances = nearest_neighbors(sampling.points, num_neighbors).toarray()
    expected = naive_nearest_neighbors(sampling.points, num_neighbors)
    assert np.array_equal(distances > 0, expected > 0)
    np.testing.assert_allclose(distances, expected, atol=ROUNDING)


def test_nearest_neighbors_keep_all_ties():
    # a pole of a grid is equally far from all 32 vertices of the ring beside it
    sampling = Equiangular(nlat=9, nlon=32, poles=1)
    distances = nearest_neighbors(sampling.points, 3)
    assert set(range(1, 33)) <= set(distances[0].indices)


def test_neighbor_distances_are_symmetric_to_the_last_bit():
    distances = neighbor_distances(RandomUniform(500, seed=0), num_neighbors=8)
    assert abs(distances - distances.T).max() == 0
    assert distances.diagonal().max() == 0


SUBSETS = {
    "random": lambda n: np.random.default_rng(0).choice(n, n // 3, replace=False),
    "one vertex": lambda n: np.array([n // 2]),
    "three far apart": lambda n: np.array([0, n // 2, n - 1]),
    "block": lambda n: np.arange(n // 4, n // 2),
    "all but one": lambda n: np.delete(np.arange(n), n // 3),
}


@pytest.mark.parametrize("kept", SUBSETS.values(), ids=SUBSETS.keys())
@pytest.mark.parametrize("num_neighbors", [6, 20, 150])
@pytest.mark.parametrize(
    "sampling",
    [Healpix(nside=8), Fibonacci(700), Equiangular(nlat=16, poles=2), RandomUniform(600, seed=1)],
    ids=lambda sampling: type(sampling).__name__,
)
def test_subset_of_nearest_neighbors_is_restricted_whole(sampling, num_neighbors, kept):
    indices = kept(sampling.num_vertices)
    whole = nearest_neighbors(sampling.points, num_neighbors)
    part = nearest_neighbors(sampling.points, num_neighbors, kept=indices)
    assert (whole[indices][:, indices] != part).nnz == 0


def test_subset_of_clustered_points_is_restricted_whole():
    # stations: a dense city and a sparse rest, whose neighbors are farther than expected
    rng = np.random.default_rng(5)
    points = np.concatenate(
        [rng.normal(size=(60, 3)), [4, 0, 0] + 0.05 * rng.normal(size=(900, 3))]
    )
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    indices = rng.permutation(len(points))[:400]
    whole = nearest_neighbors(points, 12)
    part = nearest_neighbors(points, 12, kept=indices)
    assert (whole[indices][:, indices] != part).nnz == 0


@pytest.mark.parametrize("neighborhood", ["knn", "pixel", "delaunay"])
def test_subset_has_no_edge_across_a_hole(neighborhood):
    sampling = Healpix(nside=16)
    longest = neighbor_distances(sampling, neighborhood=neighborhood, num_neighbors=8).max()
    # a belt is cut out: what is left north and south of it is farther apart than any neighbors
    outside = np.abs(sampling.points[:, 2]) > 0.3
    part = sampling.subset(outside)
    distances = neighbor_distances(part, neighborhood=neighborhood, num_neighbors=8)
    north = part.points[:, 2] > 0
    assert distances[north][:, ~north].nnz == 0
    assert distances.max() <= longest
    # while neighbors sought inside of the part alone do cross: the vertices of a thin ring
    ring = sampling.subset(np.abs(sampling.points[:, 2]) < 0.02)
    assert nearest_neighbors(ring.points, 8).max() > 2 * longest


def test_grid_edges_are_four_neighbors_periodic_in_longitude():
    nlat, nlon = 5, 8
    distances = neighbor_distances(Equiangular(nlat=nlat, nlon=nlon), neighborhood="grid")
    expected = np.zeros((nlat * nlon, nlat * nlon), bool)
    for row in range(nlat):
        for column in range(nlon):
            here = row * nlon + column
            expected[here, row * nlon + (column + 1) % nlon] = True
            expected[here, row * nlon + (column - 1) % nlon] = True
            if row > 0:
                expected[here, here - nlon] = True
            if row < nlat - 1:
                expected[here, here + nlon] = True
    assert np.array_equal(distances.toarray() > 0, expected)


@pytest.mark.parametrize("nlon", [7, 8])
def test_eight_grid_edges_are_diagonals_too_and_cross_the_poles(nlon):
    nlat = 5
    distances = neighbor_distances(
        Equiangular(nlat=nlat, nlon=nlon), neighborhood="grid", num_neighbors=8
    )
    # half a turn away and one to each side of it; an odd ring has two nearest to half a turn away
    across = [3, 4, 5] if nlon == 8 else [3, 4]
    expected = np.zeros((nlat * nlon, nlat * nlon), bool)
    for row, column in np.ndindex(nlat, nlon):
        here = row * nlon + column
        for other in {row - 1, row, row + 1} & {*range(nlat)}:
            for step in (-1, 0, 1):
                expected[here, other * nlon + (column + step) % nlon] = True
        if row in (0, nlat - 1):
            expected[here, [row * nlon + (column + step) % nlon for step in across]] = True
        expected[here, here] = False
    assert np.array_equal(distances.toarray() > 0, expected)


def test_eight_grid_edges_join_the_pole_to_its_ring_and_cross_nothing():
    sampling = Equiangular(nlat=6, nlon=8, poles=2)
    degree = neighbor_distances(sampling, neighborhood="grid", num_neighbors=8).getnnz(axis=1)
    # beside a pole: two on the ring, three towards the equator and the pole
    assert degree.tolist() == [8, *[6] * 8, *[8] * 16, *[6] * 8, 8]


@pytest.mark.parametrize(
    ("poles", "north", "south"), [(1, 8, 4), (2, 8, 8), ("south", 4, 8)], ids=["1", "2", "south"]
)
def test_grid_pole_is_joined_to_its_whole_ring(poles, north, south):
    distances = neighbor_distances(Equiangular(nlat=6, nlon=8, poles=poles), neighborhood="grid")
    degree = distances.getnnz(axis=1)
    assert degree[0] == (north if poles != "south" else 3)
    assert degree[-1] == (south if poles != 1 else 3)
    assert distances.diagonal().max() == 0


def test_grid_of_gauss_legendre():
    assert neighbor_distances(GaussLegendre(nlat=4, nlon=8), neighborhood="grid").nnz == 2 * 56


def test_is_grid():
    assert is_grid(Equiangular(nlat=4))
    assert not is_grid(GaussLegendre(nlat=4, nlon="octahedral"))
    assert not is_grid(Healpix(nside=2))


@pytest.mark.parametrize("sampling", [Healpix(nside=2), GaussLegendre(nlat=4, nlon="octahedral")])
def test_grid_of_other_sampling_is_rejected(sampling):
    with pytest.raises(ValueError, match=r"neighborhood='grid' must be used with an Equiangular"):
        grid_edges(sampling)


def test_pixels_of_other_sampling_are_rejected():
    with pytest.raises(ValueError, match=r"must be used with a Healpix sampling, got Fibonacci"):
        neighbor_distances(Fibonacci(50), neighborhood="pixel")


def test_delaunay_has_three_n_minus_six_edges():
    # Euler's formula for a triangulation of the sphere
    sampling = Fibonacci(500)
    assert neighbor_distances(sampling, neighborhood="delaunay").nnz == 2 * (3 * 500 - 6)


def test_triangle_edges_are_their_sides():
    edges = triangle_edges(np.array([[0, 1, 2], [2, 1, 3]]))
    sides = {frozenset(edge) for edge in edges.tolist()}
    assert sides == {frozenset(side) for side in [(0, 1), (1, 2), (0, 2), (1, 3), (2, 3)]}


def test_stations_have_at_least_k_neighbors():
    rng = np.random.default_rng(2)
    stations = Scattered(rng.uniform(-180, 180, 100), rng.uniform(-80, 80, 100))
    assert neighbor_distances(stations, num_neighbors=5).getnnz(axis=1).min() >= 5
