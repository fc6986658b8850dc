"""Which options go together, and the message where they do not."""

import numpy as np
import pytest

from deepsphere.graph import GraphOptions, build_graph, graph_from_spec
from deepsphere.sampling import Equiangular, Fibonacci, GaussLegendre, Healpix

HEALPIX = Healpix(nside=4)
GRID = Equiangular(nlat=8)
GAUSSIAN = {"weights": "gaussian"}


def test_defaults_are_optimal_weights_on_twenty_neighbors():
    options = build_graph(HEALPIX).options
    assert options == GraphOptions()
    assert (options.num_neighbors, options.weights) == (20, "optimal_symmetric")
    assert (options.emphasis, options.neighborhood) == ("balanced", "knn")
    assert (options.laplacian, options.mass, options.kernel_width) == ("combinatorial", None, None)


@pytest.mark.parametrize(
    ("sampling", "weights", "neighborhood"),
    [
        (HEALPIX, "gaussian", "knn"),
        (GRID, "gaussian", "knn"),
        (HEALPIX, "inverse_distance", "knn"),
        (GRID, "inverse_distance", "grid"),
        (GaussLegendre(nlat=6), "inverse_distance", "grid"),
        (GaussLegendre(nlat=6, nlon="octahedral"), "inverse_distance", "knn"),
        (GRID.subset(GRID.lat > 0), "inverse_distance", "grid"),
        (HEALPIX, "perraudin", "pixel"),
        (HEALPIX, "perraudin_unweighted", "pixel"),
        (GRID, "cotangent", "delaunay"),
    ],
)
def test_neighborhood_is_the_one_of_the_paper(sampling, weights, neighborhood):
    options = build_graph(sampling, weights=weights).options
    assert options.neighborhood == neighborhood
    expected = {"knn": 20, "grid": 4, "pixel": None, "delaunay": None}
    assert options.num_neighbors == expected[neighborhood]


@pytest.mark.parametrize("neighborhood", ["knn", "pixel", "delaunay"])
@pytest.mark.parametrize("weights", ["gaussian", "inverse_distance"])
def test_neighborhood_can_be_chosen(weights, neighborhood):
    graph = build_graph(HEALPIX, weights=weights, neighborhood=neighborhood)
    assert graph.options.neighborhood == neighborhood


def test_true_number_of_neighbors_is_accepted():
    assert build_graph(HEALPIX, weights="perraudin", num_neighbors=8).options.num_neighbors is None
    assert (
        build_graph(GRID, weights="inverse_distance", num_neighbors=4).num_edges == 8 * 16 + 7 * 16
    )


def test_grid_has_four_neighbors_or_eight():
    def degrees(**options):
        return np.diff(build_graph(GRID, neighborhood="grid", **options).adjacency.indptr)

    assert set(degrees(weights="gaussian")) == {3, 4}
    assert set(degrees(weights="gaussian", num_neighbors=8)) == {8}
    assert set(degrees(weights="inverse_distance", num_neighbors=8)) == {8}
    options = build_graph(GRID, neighborhood="grid", weights="optimal").options
    assert options.num_neighbors == 8


def test_mass_is_unit_where_areas_are_equal():
    assert build_graph(HEALPIX, weights="cotangent").options.mass == "unit"
    assert build_graph(GRID, weights="cotangent").options.mass == "voronoi"


@pytest.mark.parametrize(
    ("sampling", "options", "message"),
    [
        (
            Healpix(nside=1),
            {},
            r"num_neighbors must be smaller than the number of vertices \(12\), got 20; "
            r"use Healpix\(nside >= 2\) or fewer neighbors",
        ),
        (
            Fibonacci(30),
            {"num_neighbors": 30},
            r"number of vertices \(30\), got 30; use a finer sampling or fewer neighbors",
        ),
        (HEALPIX, {"num_neighbors": True}, r"num_neighbors must be an integer .*, got True"),
        (HEALPIX, {"num_neighbors": 0}, r"num_neighbors must be an integer of at least 1, got 0"),
        (
            HEALPIX,
            {"weights": "perraudin", "num_neighbors": 20},
            r"with neighborhood='knn' only, got 20 with neighborhood='pixel'",
        ),
        (
            GRID,
            {"neighborhood": "grid", "num_neighbors": 6},
            r"neighborhood='knn' only \(or 4 or 8 with 'grid'\), got 6 with neighborhood='grid'",
        ),
        (
            HEALPIX,
            {"weights": "gaussian", "emphasis": "low"},
            r"emphasis must be given with weights='optimal_symmetric' on samplings that are spread "
            r"evenly only, got emphasis='low' with weights='gaussian' on Healpix; leave emphasis",
        ),
        (
            GRID,
            {"weights": "optimal_symmetric", "emphasis": "no_worse"},
            r"evenly only, got emphasis='no_worse' with .*_symmetric' on Equiangular; leave",
        ),
        (
            GRID,
            {"weights": "optimal", "emphasis": "low"},
            r"evenly only, got emphasis='low' with weights='optimal_rows' on Equiangular",
        ),
        (
            HEALPIX,
            {"weights": "optimal", "laplacian": "normalized"},
            r"laplacian must be 'combinatorial' with optimal weights, .* got 'normalized' with "
            r"weights='optimal_symmetric'; leave laplacian out or use weights='gaussian'",
        ),
        (
            GRID,
            {"weights": "optimal_rows", "laplacian": "random_walk"},
            r"laplacian must be 'combinatorial' .* got 'random_walk' with weights='optimal_rows'",
        ),
        (
            GRID,
            {"weights": "optimal_rows", "neighborhood": "grid"},
            r"neighborhood must be left out with weights='optimal_rows', .* got 'grid'; use "
            r"weights='optimal_symmetric'",
        ),
        (
            HEALPIX,
            {"weights": "optimal", "mass": "unit"},
            r"mass must be given with weights='cotangent' .* only, got mass='unit' with",
        ),
        (
            HEALPIX,
            {"weights": "optimal", "kernel_width": 0.1},
            r"weights='gaussian' only, got 0.1 with weights='optimal_symmetric'",
        ),
        (
            Fibonacci(30),
            {"weights": "optimal_rows", "num_neighbors": 30},
            r"number of vertices \(30\), got 30; use a finer sampling or fewer neighbors",
        ),
        (
            HEALPIX,
            {"weights": "cotangent", "neighborhood": "knn"},
            r"neighborhood must be 'delaunay' with weights='cotangent', got 'knn'",
        ),
        (
            HEALPIX,
            {"weights": "perraudin", "kernel_width": 0.1},
            r"weights='gaussian' only, got 0.1 with weights='perraudin'",
        ),
        (
            HEALPIX,
            {**GAUSSIAN, "kernel_width": 0.0},
            r"kernel_width must be positive and finite, got 0.0",
        ),
        (
            HEALPIX,
            {**GAUSSIAN, "kernel_width": "wide"},
            r"must be positive and finite, got 'wide'; leave",
        ),
        (
            HEALPIX,
            {**GAUSSIAN, "kernel_width": float("nan")},
            r"must be positive and finite, got nan",
        ),
        (HEALPIX, {"mass": "unit"}, r"mass must be given with weights='cotangent' and .* only"),
        (
            HEALPIX,
            {"weights": "cotangent", "mass": "unit", "laplacian": "normalized"},
            r"laplacian='combinatorial' only, got mass='unit' with weights='cotangent'",
        ),
        (GRID, {"weights": "perraudin"}, r"must be used with a Healpix sampling, got Equiangular"),
        (HEALPIX, {"neighborhood": "grid"}, r"must be used with an Equiangular or a full Gauss"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_options_that_do_not_go_together_are_rejected(sampling, options, message):
    with pytest.raises(ValueError, match=message):
        build_graph(sampling, **options)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("sampling", "received"),
    [(HEALPIX.points, "a value of ndarray"), ("healpix:8", "a value of str"), (Healpix, "the cla")],
)
def test_something_else_than_a_sampling_is_rejected(sampling, received):
    with pytest.raises(TypeError, match=rf"such as Healpix\(nside=32\), got {received}"):
        build_graph(sampling)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("weights", "gausian", r"weights must be one of optimal, .*, got 'gausian'; .*'gaussian'"),
        (
            "emphasis",
            "lows",
            r"emphasis must be one of low, balanced, no_worse, got 'lows'; .*'low'",
        ),
        ("weights", None, r"weights must be one of .*, got None"),
        ("neighborhood", "pixels", r"one of knn, grid, pixel, delaunay, got 'pixels'; .*'pixel'"),
        ("laplacian", "normalised", r"got 'normalised'; did you mean 'normalized'"),
        ("mass", "voronoy", r"mass must be one of unit, voronoi, got 'voronoy'"),
        ("disconnected", "ignore", r"disconnected must be one of raise, allow, got 'ignore'"),
    ],
)
def test_unknown_choice_is_rejected(option, value, message):
    with pytest.raises(ValueError, match=message):
        graph_from_spec({"sampling": "healpix:nside=4", option: value})
