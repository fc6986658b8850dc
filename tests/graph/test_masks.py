"""What a survey mask leaves: holes, islands, single pixels, coarse pixels that are not whole."""

import numpy as np
import pytest
import torch

from deepsphere.graph import (
    build_graph,
    build_pyramid,
    pyramid_from_spec,
    pyramid_on_sampling,
    sphere_graph,
)
from deepsphere.layers import LaplacianOperator, Pool, Unpool
from deepsphere.models import FCN, UNet
from deepsphere.sampling import Equiangular, Healpix, Icosahedral

SKY = Healpix(8)
NUM = SKY.num_vertices
MASKS = {
    "islands": np.r_[0:64, 200, 300, 301, 500:503],
    "single": np.array([77]),
    "pair": np.array([76, 77]),
    "far apart": np.array([0, 200, 400, 600]),
    "speckles": np.flatnonzero(np.random.default_rng(0).random(NUM) < 0.05),
    "holes": np.flatnonzero(np.random.default_rng(0).random(NUM) > 0.3),
}
OPTIONS = [
    *[
        {"weights": "gaussian", "num_neighbors": 20, "laplacian": laplacian}
        for laplacian in ("combinatorial", "normalized", "random_walk")
    ],
    {"weights": "gaussian", "num_neighbors": 8, "laplacian": "normalized"},
    {"weights": "gaussian", "neighborhood": "delaunay"},
    {"weights": "optimal", "num_neighbors": 12},
    {"weights": "optimal_rows"},
    {"weights": "optimal_symmetric", "neighborhood": "pixel"},
    {"weights": "inverse_distance", "num_neighbors": 8},
    {"weights": "perraudin"},
    {"weights": "perraudin_unweighted", "laplacian": "normalized"},
    {"weights": "cotangent"},
    {"weights": "cotangent", "mass": "voronoi"},
]
POOLINGS = ["mean", "area", "max", "low_pass", "gaussian", "subsample"]


@pytest.fixture(params=MASKS)
def part(request):
    return SKY.subset(MASKS[request.param])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_component_is_filtered_as_if_it_were_alone(part, options):
    """With all numbers finite, whatever is left, and nothing that passes between components."""
    pyramid = build_pyramid(part, num_levels=3, disconnected="allow", **options)
    for graph in pyramid.graphs:
        matrix = graph.rescaled_laplacian()
        assert np.isfinite(matrix.data).all()
        lonely = np.flatnonzero(np.diff(graph.adjacency.indptr) == 0)
        expected = -np.eye(graph.num_vertices)[lonely]
        np.testing.assert_array_equal(matrix[lonely].toarray(), expected)
    sizes = {"in_channels": 1, "out_channels": 2, "channels": (3, 3, 3), "kernel_size": 3}
    signals = torch.randn(2, part.num_vertices, 1, generator=torch.Generator().manual_seed(0))
    for pooling in ("max", "low_pass"):
        model = FCN(pyramid, pooling=pooling, **sizes).train()
        output = model(signals)
        output.square().sum().backward()
        assert output.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert UNet(pyramid, unpooling="adjoint", **sizes)(signals).isfinite().all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings_of_what_is_left_keep_constants(part, pooling):
    pyramid = build_pyramid(part, num_levels=3, num_neighbors=8, disconnected="allow")
    for level in (0, 1):
        constant = torch.full((pyramid.graphs[level].num_vertices, 1), 3.0)
        pooled = Pool(pyramid, level, pooling)(constant)
        torch.testing.assert_close(pooled, torch.full_like(pooled, 3.0))


@pytest.mark.parametrize("base", [SKY, Healpix(8, ordering="ring"), Icosahedral(8)], ids=repr)
def test_area_pooling_keeps_the_mean_of_what_is_left(base):
    """Coarse vertices count as much as they have inside, through all levels."""
    kept = np.random.default_rng(1).random(base.num_vertices) > 0.3
    pyramid = build_pyramid(base.subset(kept), num_levels=3, num_neighbors=8, disconnected="allow")
    signal = np.random.default_rng(2).normal(size=(kept.sum(), 1))
    values = torch.from_numpy(signal)
    for level in (0, 1):
        values = Pool(pyramid, level, "area").double()(values)
        areas = pyramid.areas(level + 1)
        assert areas.sum() == pytest.approx(base.areas[kept].sum())
        expected = base.areas[kept] @ signal[:, 0] / base.areas[kept].sum()
        assert areas @ values[:, 0].numpy() / areas.sum() == pytest.approx(expected)
    if base != Icosahedral(8):  # whose coarse vertices share children: constants on average only
        ones = torch.ones(pyramid.graphs[1].num_vertices, 1, dtype=torch.float64)
        back = Unpool(pyramid, 0, "adjoint").double()(ones)
        torch.testing.assert_close(back, torch.ones_like(back))


def test_areas_of_whole_groups_are_those_of_the_coarse_sampling():
    pyramid = build_pyramid(SKY.subset(np.arange(256)), num_levels=3, num_neighbors=8)
    for level in range(3):
        assert np.array_equal(pyramid.areas(level), pyramid.samplings[level].areas)
    grid = build_pyramid(Equiangular(16), num_levels=3, num_neighbors=8)
    assert np.array_equal(grid.areas(2), grid.samplings[2].areas)


def test_more_neighbors_than_a_component_has():
    graph = build_graph(
        SKY.subset(np.r_[0:3, 400:405]), num_neighbors=20, weights="gaussian", disconnected="allow"
    )
    assert np.diff(graph.adjacency.indptr).tolist() == [2] * 3 + [4] * 5


# the number that stands for the largest eigenvalue


def test_given_lambda_max_rescales():
    options = {"num_neighbors": 8, "weights": "gaussian"}
    own, given = build_graph(SKY, **options), build_graph(SKY, lambda_max=7.0, **options)
    assert given.lambda_max == 7.0
    difference = given.rescaled_laplacian() - (2 / 7 * own.laplacian)
    np.testing.assert_allclose(difference.toarray(), -np.eye(NUM), atol=1e-14)
    assert given.spec == own.spec | {"lambda_max": 7.0}
    assert own.with_lambda_max(7.0).spec == given.spec
    assert own.with_lambda_max(7.0).lambda_max == 7.0
    assert own.lambda_max != 7.0
    assert "lambda_max" not in own.spec


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, "2"])
def test_impossible_lambda_max_is_rejected(unchecked, value):
    with pytest.raises(ValueError, match=r"lambda_max must be positive and finite, got .*; leave"):
        build_graph(SKY, num_neighbors=8, weights="gaussian", lambda_max=value)


def test_pyramid_on_another_sampling_is_rebuilt_from_its_specification():
    options = {"num_levels": 3, "num_neighbors": 8, "weights": "gaussian"}
    pyramid = build_pyramid(SKY.subset(np.arange(64)), **options)
    moved = pyramid_on_sampling(build_pyramid(Healpix(16), **options), SKY)
    again = pyramid_from_spec(moved.spec)
    assert again.spec == moved.spec
    assert [graph.lambda_max for graph in again.graphs] == [g.lambda_max for g in moved.graphs]
    assert set(pyramid.spec) == {"graph", "steps"}
    broken = moved.spec | {"lambda_max": [1.0]}
    with pytest.raises(
        ValueError, match=r"must have 3 lambda_max and 2 low_pass_powers .* got 1 an"
    ):
        pyramid_from_spec(broken)
    del broken["lambda_max"]
    with pytest.raises(ValueError, match="must have the keys 'graph' and 'steps', got "):
        pyramid_from_spec(broken)


# graphs of so many vertices that matrices are gigabytes


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_large_graph_gives_its_matrices_when_asked(monkeypatch, options):
    kept = build_graph(SKY, **options)
    monkeypatch.setattr(sphere_graph, "MAX_STORED_VERTICES", NUM - 1)
    large = build_graph(SKY, **options)
    assert large.is_large
    layer = LaplacianOperator(large)
    assert not {"adjacency", "laplacian"} & set(vars(large))
    assert (large.laplacian != kept.laplacian).nnz == 0
    assert (large.adjacency != kept.adjacency).nnz == 0
    assert large.num_edges == kept.num_edges
    assert large.lambda_max == kept.lambda_max
    expected = LaplacianOperator(kept)
    for ours, theirs in zip(layer.buffers(), expected.buffers(), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(layer.double().values, expected.double().values)
    assert {"adjacency", "laplacian"} <= set(vars(kept))
    with pytest.raises(AttributeError, match="'SphereGraph' object has no attribute 'edges'"):
        _ = large.edges
