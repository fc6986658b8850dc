"""Pyramids, and the pooling matrices that follow from who belongs to whom."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepsphere.graph.coarsening import build_pyramid, pyramid_from_spec
from deepsphere.graph.pooling_matrices import (
    adjoint_unpooling_matrix,
    area_unpooling_matrix,
    contiguous_group_size,
    keep_first_matrix,
    mean_pooling_matrix,
    subsampling_matrix,
    unpooling_matrix,
)
from deepsphere.graph.sphere_graph import build_graph
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Scattered

MEMBERSHIP = csr_matrix([[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 0.25], [0.0, 0.0, 0.0, 0.75]])


def scattered(num: int, seed: int = 0) -> Scattered:
    generator = np.random.default_rng(seed)
    lat = np.rad2deg(np.arcsin(generator.uniform(-1, 1, num)))
    return Scattered(generator.uniform(0, 360, num), lat)


def test_mean_is_the_weighted_mean_of_the_children():
    x, areas = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0])
    mean = [(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 3 + 0.25 * 4) / 1.75, 4]
    weighted = [(1 + 1 * 2) / 2, (1 * 2 + 3 * 3 + 1 * 4) / 5, 4]
    np.testing.assert_allclose(mean_pooling_matrix(MEMBERSHIP) @ x, mean)
    np.testing.assert_allclose(mean_pooling_matrix(MEMBERSHIP, areas) @ x, weighted)


def test_pooling_does_not_change_its_argument():
    before = MEMBERSHIP.toarray()
    mean_pooling_matrix(MEMBERSHIP, np.arange(1.0, 5.0))
    unpooling_matrix(MEMBERSHIP)
    np.testing.assert_array_equal(MEMBERSHIP.toarray(), before)


def test_copy_takes_the_shares():
    np.testing.assert_allclose(unpooling_matrix(MEMBERSHIP) @ [2.0, 4.0, 8.0], [2, 3, 4, 7])


def test_adjoint_unpooling_is_adjoint_to_area_pooling():
    generator = np.random.default_rng(0)
    fine, coarse = generator.uniform(1, 2, 4), generator.uniform(1, 2, 3)
    x, y = generator.standard_normal(4), generator.standard_normal(3)
    pooled = mean_pooling_matrix(MEMBERSHIP, fine) @ x
    spread = adjoint_unpooling_matrix(MEMBERSHIP, fine_areas=fine, coarse_areas=coarse) @ y
    assert np.sum(coarse * pooled * y) == pytest.approx(np.sum(fine * x * spread))
    assert np.sum(coarse * y) == pytest.approx(np.sum(fine * spread))


def test_area_unpooling_weighs_the_parents_by_area():
    areas = np.array([1.0, 3.0, 2.0])
    shares = MEMBERSHIP.toarray().T * areas
    expected = shares @ [2.0, 4.0, 8.0] / shares.sum(axis=1)
    spread = area_unpooling_matrix(MEMBERSHIP, coarse_areas=areas)
    np.testing.assert_allclose(spread @ [2.0, 4.0, 8.0], expected)


def test_subsampling_takes_the_coincident_vertex():
    fine, coarse = Icosahedral(subdivisions=4), Icosahedral(subdivisions=2)
    chosen = subsampling_matrix(fine.membership(), fine=fine, coarse=coarse)
    np.testing.assert_allclose(fine.points[chosen.indices], coarse.points, atol=1e-12)
    first = keep_first_matrix(fine=fine, coarse=coarse)
    np.testing.assert_array_equal(chosen.toarray(), first.toarray())


def test_subsampling_takes_the_first_child_where_none_coincides():
    fine = Healpix(nside=4)
    chosen = subsampling_matrix(fine.membership(), fine=fine, coarse=fine.coarsen())
    np.testing.assert_array_equal(chosen.indices, np.arange(0, 192, 4))


def test_subsampling_prefers_the_largest_share():
    fine, coarse = Fibonacci(4), Fibonacci(3)
    membership = csr_matrix([[0.2, 0.8, 0.3, 0], [0.8, 0.2, 0, 0], [0, 0, 0.7, 1]])
    chosen = subsampling_matrix(membership, fine=fine, coarse=coarse)
    np.testing.assert_array_equal(chosen.indices, [1, 0, 3])


@pytest.mark.parametrize(
    ("sampling", "size"),
    [
        (Healpix(nside=4), 4),
        (Healpix(nside=4, ordering="ring"), None),
        (Icosahedral(subdivisions=2), None),
        (Icosahedral(subdivisions=2, dual=True), 4),
        (Equiangular(nlat=8, nlon=16, poles=0), None),
        (Healpix(nside=4).subset(np.arange(8)), 4),
        (Healpix(nside=4).subset(np.arange(7)), None),
    ],
    ids=repr,
)
def test_groups_are_recognized(sampling, size):
    assert contiguous_group_size(sampling.membership()) == size


def test_groups_in_another_order_are_not_contiguous():
    assert contiguous_group_size(csr_matrix([[1.0, 0, 1, 0], [0, 1, 0, 1]])) is None
    assert contiguous_group_size(csr_matrix([[0.0, 0, 1, 1], [1, 1, 0, 0]])) is None


def test_pyramid_has_a_graph_on_every_level():
    pyramid = build_pyramid(Healpix(nside=8), num_levels=4, num_neighbors=8)
    assert pyramid.num_levels == 4
    assert pyramid.samplings == tuple(Healpix(nside=nside) for nside in (8, 4, 2, 1))
    for level, membership in enumerate(pyramid.memberships):
        expected = pyramid.samplings[level].membership()
        np.testing.assert_array_equal(membership.toarray(), expected.toarray())
        single = build_graph(pyramid.samplings[level], num_neighbors=8)
        assert abs(pyramid.graphs[level].laplacian - single.laplacian).max() == 0


def test_num_neighbors_is_reduced_where_a_level_is_small():
    pyramid = build_pyramid(Healpix(nside=4), num_levels=3)
    assert [graph.options.num_neighbors for graph in pyramid.graphs] == [20, 20, 11]


def test_kernel_width_grows_with_the_cells():
    pyramid = build_pyramid(
        Healpix(nside=8), num_levels=3, num_neighbors=8, weights="gaussian", kernel_width=0.004
    )
    widths = [graph.options.kernel_width for graph in pyramid.graphs]
    np.testing.assert_allclose(widths, [0.004, 0.016, 0.064])


def test_steps_multiply_memberships():
    one = build_pyramid(Icosahedral(subdivisions=8), num_levels=4, num_neighbors=5)
    two = build_pyramid(Icosahedral(subdivisions=8), num_levels=3, steps=(2, 1), num_neighbors=5)
    assert two.samplings == (one.samplings[0], one.samplings[2], one.samplings[3])
    product = one.memberships[1].toarray() @ one.memberships[0].toarray()
    np.testing.assert_allclose(two.memberships[0].toarray(), product, atol=1e-15)
    np.testing.assert_allclose(two.memberships[0].toarray().sum(axis=0), 1, atol=1e-15)


def test_pyramid_of_a_graph_keeps_the_graph():
    graph = build_graph(
        Healpix(nside=4), num_neighbors=8, weights="gaussian", laplacian="normalized"
    )
    pyramid = graph.pyramid(num_levels=2)
    assert pyramid.graphs[0] is graph
    assert pyramid.graphs[1].options == graph.options


@pytest.mark.parametrize("steps", [1, (2, 1)])
@pytest.mark.parametrize(
    "sampling",
    [
        Healpix(nside=8),
        Healpix(nside=8).subset(np.flatnonzero(Healpix(nside=8).points[:, 2] > 0)),
        scattered(300),
    ],
    ids=["healpix", "subset", "scattered"],
)
def test_spec_rebuilds_the_pyramid(sampling, steps):
    pyramid = build_pyramid(sampling, num_levels=3, steps=steps, num_neighbors=8)
    rebuilt = pyramid_from_spec(json.loads(json.dumps(pyramid.spec)))
    assert rebuilt.spec == pyramid.spec
    assert rebuilt.samplings == pyramid.samplings
    for one, other in zip(pyramid.graphs, rebuilt.graphs, strict=True):
        assert abs(one.laplacian - other.laplacian).max() == 0
    for one, other in zip(pyramid.memberships, rebuilt.memberships, strict=True):
        assert abs(one - other).max() == 0


def test_scattered_points_have_a_pyramid():
    pyramid = build_pyramid(build_graph(scattered(200), num_neighbors=20), num_levels=3)
    counts = [graph.num_vertices for graph in pyramid.graphs]
    assert counts[0] == 200
    assert counts[0] > counts[1] > counts[2]
    assert pyramid.graphs[2].options.num_neighbors == min(20, counts[2] - 1)
    for level, membership in enumerate(pyramid.memberships):
        assert membership.shape == (counts[level + 1], counts[level])


def test_pooling_on_a_subset_averages_the_children_inside():
    whole = Healpix(nside=8)
    north = np.linalg.norm(whole.points - [0, 0, 1], axis=1)
    mask = (north < 1.2) & (north > 0.4)  # a cap with a hole
    subset = whole.subset(mask)
    pyramid = build_pyramid(subset, num_levels=2, num_neighbors=8)
    parents = np.flatnonzero(mask) // 4
    x = np.random.default_rng(0).standard_normal(subset.num_vertices)
    expected = [x[parents == parent].mean() for parent in np.unique(parents)]
    np.testing.assert_allclose(mean_pooling_matrix(pyramid.memberships[0]) @ x, expected)
    assert any(np.bincount(parents)[np.unique(parents)] < 4)


def test_coarse_vertex_without_child_is_rejected():
    with pytest.raises(ValueError, match="every coarse vertex a child, got none for 1 of 2, the f"):
        mean_pooling_matrix(csr_matrix([[1.0, 1.0], [0.0, 0.0]]))


def test_wrong_number_of_areas_is_rejected():
    with pytest.raises(ValueError, match="one value for each of the 4 fine vertices, got 3"):
        mean_pooling_matrix(MEMBERSHIP, np.ones(3))


def test_keep_first_is_rejected_on_other_orders():
    with pytest.raises(ValueError, match=r"first of the fine ones.*use 'subsample'"):
        keep_first_matrix(fine=Healpix(nside=2), coarse=Healpix(nside=1))
    with pytest.raises(ValueError, match="first of the fine ones"):
        keep_first_matrix(fine=Healpix(nside=1), coarse=Healpix(nside=2))


def test_too_many_levels_are_rejected():
    with pytest.raises(ValueError, match=r"num_levels must be at most 2 above Healpix\(nside=2"):
        build_pyramid(Healpix(nside=2), num_levels=3, num_neighbors=8)


def test_level_without_graph_is_named():
    with pytest.raises(ValueError, match=r"level 1 of the pyramid, Fibonacci\(.*connected"):
        build_pyramid(Fibonacci(65), num_levels=2, num_neighbors=2)


def test_number_of_levels_is_checked():
    with pytest.raises(ValueError, match="num_levels must be at least 1, got 0"):
        build_pyramid(Healpix(nside=2), num_levels=0)


@pytest.mark.parametrize("steps", [0, (1,), (1, 0)])
def test_steps_are_checked(steps):
    with pytest.raises(ValueError, match="one for each of the 2 transitions between 3 levels"):
        build_pyramid(Healpix(nside=4), num_levels=3, steps=steps)


def test_graph_options_beside_a_graph_are_rejected():
    graph = build_graph(Healpix(nside=2), num_neighbors=8)
    with pytest.raises(ValueError, match="given with a sampling only, got num_neighbors with a"):
        build_pyramid(graph, num_levels=2, num_neighbors=8)


def test_spec_with_other_keys_is_rejected():
    with pytest.raises(ValueError, match=r"keys 'graph' and 'steps', got \['graph'\]"):
        pyramid_from_spec({"graph": {}})
