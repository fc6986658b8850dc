"""Graphs of samplings: what is in them, their subsets, and their specifications."""

import copy
import dataclasses

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from deepsphere.graph import build_graph, graph_from_spec
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.graph.weights import mean_distance_kernel_width
from deepsphere.sampling import (
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    RandomUniform,
    Scattered,
)

HEALPIX = Healpix(nside=8)


def test_gaussian_graph_is_the_formula_on_nearest_neighbors():
    graph = build_graph(HEALPIX, num_neighbors=20, weights="gaussian", kernel_width=0.004)
    distances = neighbor_distances(HEALPIX, num_neighbors=20).toarray()
    weights = np.where(distances > 0, np.exp(-(distances**2) / (4 * 0.004)), 0.0)
    np.testing.assert_allclose(graph.adjacency.toarray(), weights)
    expected = np.diag(weights.sum(axis=1)) - weights
    np.testing.assert_allclose(graph.laplacian.toarray(), expected, atol=1e-13)
    assert graph.num_edges == np.count_nonzero(np.triu(weights))
    assert graph.num_vertices == 768


def test_perraudin_graph_is_its_formula():
    graph = build_graph(HEALPIX, weights="perraudin")
    squared = neighbor_distances(HEALPIX, neighborhood="pixel").power(2)
    expected = squared.copy()
    expected.data = np.exp(-squared.data / (2 * squared.data.mean()))
    assert abs(graph.adjacency - expected).max() < 1e-13
    assert graph.kernel_width == pytest.approx(0.01281, abs=5e-6)  # published


def test_unweighted_perraudin_graph_has_eight_ones_per_row():
    graph = build_graph(HEALPIX, weights="perraudin_unweighted")
    assert np.array_equal(np.unique(graph.adjacency.data), [1.0])
    assert sorted(set(graph.laplacian.diagonal())) == [7, 8]
    assert graph.kernel_width is None


@pytest.mark.parametrize(
    "sampling", [Equiangular(nlat=12), RandomUniform(300, seed=0)], ids=lambda s: s.kind
)
def test_uneven_sampling_gets_the_width_of_the_mean_distance(sampling):
    graph = build_graph(sampling, weights="gaussian")
    assert graph.kernel_width == mean_distance_kernel_width(neighbor_distances(sampling))


def test_other_neighborhoods_get_the_width_of_the_mean_distance():
    graph = build_graph(HEALPIX, weights="gaussian", neighborhood="pixel")
    distances = neighbor_distances(HEALPIX, neighborhood="pixel")
    assert graph.kernel_width == mean_distance_kernel_width(distances)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_neighbors": 8},
        {"weights": "gaussian"},
        {"weights": "inverse_distance"},
        {"weights": "cotangent", "mass": "voronoi"},
        {"neighborhood": "delaunay"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "sampling", [HEALPIX, Equiangular(nlat=12), RandomUniform(400, seed=0)], ids=lambda s: s.kind
)
def test_graph_of_subset_is_graph_of_base_restricted(sampling, options):
    indices = np.random.default_rng(0).permutation(sampling.num_vertices)[:200]
    whole = build_graph(sampling, **options)
    part = build_graph(sampling.subset(indices), disconnected="allow", **options)
    assert (whole.adjacency[indices][:, indices] != part.adjacency).nnz == 0
    assert part.kernel_width == whole.kernel_width
    if options.get("mass") == "voronoi":
        assert np.array_equal(part.vertex_mass, whole.vertex_mass[indices])


@pytest.mark.parametrize("weights", ["perraudin", "perraudin_unweighted"])
@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_pixel_graph_of_subset_is_graph_of_base_restricted(weights, ordering):
    sampling = Healpix(nside=8, ordering=ordering)
    indices = np.flatnonzero(sampling.lat > 0.2)
    whole = build_graph(sampling, weights=weights)
    part = build_graph(sampling.subset(indices), weights=weights)
    assert (whole.adjacency[indices][:, indices] != part.adjacency).nnz == 0


def test_graph_of_subset_of_subset_is_graph_of_base_restricted():
    north = HEALPIX.subset(HEALPIX.lat > 0)
    part = north.subset(north.lon < np.pi)
    kept = np.flatnonzero(HEALPIX.lat > 0)[north.lon < np.pi]
    whole = build_graph(HEALPIX)
    assert (whole.adjacency[kept][:, kept] != build_graph(part).adjacency).nnz == 0


def test_disconnected_graph_is_rejected_with_its_components():
    caps = HEALPIX.subset(np.abs(HEALPIX.lat) > 1.0)
    message = r"got 2 components \(sizes, smallest first: (\d+), \1\); use more neighbors, or disc"
    with pytest.raises(ValueError, match=message):
        build_graph(caps)
    graph = build_graph(caps, disconnected="allow")
    assert np.isfinite(graph.laplacian.data).all()
    assert graph.lambda_max > 0


@pytest.mark.parametrize(
    "sampling",
    [Equiangular(nlat=8, nlon=400), Equiangular(nlat=19, poles=2), GaussLegendre(nlat=64)],
    ids=repr,
)
def test_rings_near_a_pole_are_joined(sampling):
    # the eight nearest of a vertex beside the pole are all on its ring
    nearest = build_graph(sampling, num_neighbors=8, weights="gaussian").adjacency
    assert connected_components(nearest)[0] == 1
    grid = build_graph(sampling, weights="gaussian", neighborhood="grid").adjacency
    assert (nearest[grid.nonzero()] > 0).all()


def test_nearest_neighbors_of_scattered_points_may_be_disconnected():
    lon = np.r_[np.linspace(0, 9, 10), np.linspace(180, 189, 10)]
    clusters = Scattered(lon, np.tile([0.0, 1.0], 10))
    with pytest.raises(ValueError, match=r"got 2 components \(sizes, smallest first: 10, 10\)"):
        build_graph(clusters, num_neighbors=4, weights="gaussian")
    assert build_graph(clusters, neighborhood="delaunay", disconnected="allow").num_edges > 0


def test_narrow_kernel_disconnects():
    message = (
        r"got 768 components .* 1, 1, 1, 1, 1, \.\.\.\); use more .*, or a larger kernel_width"
    )
    with pytest.raises(ValueError, match=message):
        build_graph(HEALPIX, weights="gaussian", kernel_width=1e-7)


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized", "random_walk"])
def test_isolated_vertices_give_zero_rows_not_nan(laplacian):
    part = HEALPIX.subset(np.r_[0:100, 700])
    graph = build_graph(
        part, num_neighbors=8, weights="gaussian", laplacian=laplacian, disconnected="allow"
    )
    assert graph.adjacency[100].nnz == 0
    assert not graph.laplacian[100].toarray().any()
    assert np.isfinite(graph.rescaled_laplacian().data).all()
    assert (graph.vertex_mass > 0).all()


def test_graph_without_edges_rescales_to_minus_identity():
    graph = build_graph(HEALPIX.subset(np.array([5])))
    assert graph.lambda_max == 0
    assert np.array_equal(graph.rescaled_laplacian().toarray(), [[-1.0]])


@pytest.mark.parametrize("laplacian", ["combinatorial", "normalized", "random_walk"])
def test_rescaled_laplacian_has_eigenvalues_from_minus_one_to_one(laplacian):
    graph = build_graph(Healpix(nside=4), weights="gaussian", laplacian=laplacian)
    values = np.sort(np.linalg.eigvals(graph.rescaled_laplacian().toarray()).real)
    assert values[0] == pytest.approx(-1, abs=1e-10)
    assert 1 - 1e-9 < values[-1] <= 1 + 1e-12


def test_voronoi_masses_are_voronoi_areas():
    graph = build_graph(Fibonacci(300), weights="cotangent", mass="voronoi")
    assert graph.vertex_mass.sum() == pytest.approx(4 * np.pi)
    assert not graph.symmetric
    unit = build_graph(Fibonacci(300), weights="cotangent", mass="unit")
    assert unit.symmetric
    restored = unit.laplacian * (4 * np.pi / 300)
    weighted = graph.laplacian.multiply(graph.vertex_mass[:, None])
    assert abs(restored - weighted).max() < 1e-11


def test_spec_rebuilds_the_graph():
    rng = np.random.default_rng(0)
    stations = Scattered(rng.uniform(-180, 180, 200), rng.uniform(-90, 90, 200))
    graph = build_graph(
        stations.subset(np.arange(150)),
        num_neighbors=12,
        weights="gaussian",
        laplacian="random_walk",
    )
    again = graph_from_spec(graph.spec)
    assert again.options == graph.options
    assert (again.laplacian != graph.laplacian).nnz == 0
    assert again.spec == graph.spec


def test_spec_is_plain_values():
    spec = build_graph(HEALPIX, weights="gaussian", kernel_width=1.0).spec
    assert all(isinstance(value, str | int | float | None) for value in spec.values())


def test_spec_with_unknown_key_is_rejected():
    with pytest.raises(ValueError, match=r"got 'neighbors'; did you mean 'num_neighbors'"):
        graph_from_spec({"sampling": "healpix:nside=4", "neighbors": 8})


def test_spec_without_sampling_is_rejected():
    with pytest.raises(ValueError, match=r"must have the key 'sampling', got only \['weights'\]"):
        graph_from_spec({"weights": "gaussian"})


def test_graph_is_frozen_and_printed_with_its_size():
    graph = build_graph(HEALPIX, num_neighbors=8, weights="gaussian")
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.symmetric = False
    text = repr(graph)
    assert text.startswith("SphereGraph(Healpix(nside=8")
    assert f"vertices=768, edges={graph.num_edges}, weights='gaussian')" in text


def test_lambda_max_is_computed_once():
    graph = build_graph(HEALPIX)
    assert graph.lambda_max is graph.lambda_max


def test_pyramid_starts_with_the_graph():
    graph = build_graph(HEALPIX, num_neighbors=8)
    pyramid = graph.pyramid(3)
    assert pyramid.graphs[0] is graph
    assert [level.num_vertices for level in pyramid.graphs] == [768, 192, 48]


@pytest.mark.slow
def test_subset_of_a_huge_sampling_matches_the_neighbors_of_its_pixels():
    """A patch of 4,096 pixels of nside 1024, whose base has 12.6 million."""
    sampling = Healpix(nside=1024).subset(np.arange(8 * 4096, 9 * 4096))
    graph = build_graph(sampling, num_neighbors=8, weights="gaussian")
    # inside of a base pixel the 8 neighbors are the 8 nearest, but for strong shear
    pixels = build_graph(sampling, weights="perraudin_unweighted")
    common = graph.adjacency.multiply(pixels.adjacency).nnz
    assert common > 0.9 * pixels.adjacency.nnz
    assert graph.adjacency.max() <= 1


def test_copy_of_a_layer_shares_the_graph():
    graph = build_graph(Healpix(nside=2), num_neighbors=8)
    assert copy.deepcopy({"graph": graph})["graph"] is graph
    pyramid = graph.pyramid(num_levels=2)
    assert copy.deepcopy([pyramid])[0] is pyramid
