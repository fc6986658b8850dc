"""Graphs with optimal weights: which form a sampling gets, and what the rest of the library makes
of a Laplacian that is self-adjoint for no masses."""

import warnings
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence

from deepsphere.graph import (
    SphereGraph,
    build_graph,
    build_pyramid,
    differential_operator,
    dirichlet_energy,
    edge_weights,
    filter_bank,
    filter_bank_adjoint,
    filter_signal,
    fourier_basis,
    graph_fourier_transform,
    graph_from_spec,
    heat,
    interpolate,
    largest_real_part,
    low_pass_pooling_matrix,
    smoothing_matrix,
    spectrum,
    stiffness_matrix,
    total_variation,
)
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.graph.smoothness import _energy_weights
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


def stations(num: int = 240) -> Scattered:
    """Points that crowd in one half of the sphere."""
    rng = np.random.default_rng(5)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, num)))
    return Scattered(rng.beta(2, 6, num) * 360, lat)


EVEN = [Healpix(nside=4), Icosahedral(4), Fibonacci(200), CubedSphere(6)]
UNEVEN = [
    RandomUniform(240, seed=1),
    stations(),
    Equiangular(nlat=10, poles=2),
    Equiangular(nlat=10),
    GaussLegendre(nlat=10),
    GaussLegendre(nlat=10, nlon="octahedral"),
]


@lru_cache
def optimal(sampling: Sampling) -> SphereGraph:
    return build_graph(sampling, weights="optimal")


# of rounding, relative to the largest entry of the diagonal
ROUNDING = 1e-12


@pytest.fixture(params=[*EVEN, *UNEVEN], ids=repr)
def graph(request: pytest.FixtureRequest) -> SphereGraph:
    return optimal(request.param)


@pytest.fixture(params=UNEVEN, ids=repr)
def rows(request: pytest.FixtureRequest) -> SphereGraph:
    return optimal(request.param)


def relative_area(sampling: Sampling) -> np.ndarray:
    return sampling.areas / sampling.areas.mean()


@pytest.mark.parametrize("sampling", [*EVEN, *UNEVEN], ids=repr)
def test_even_samplings_get_the_symmetric_program_and_others_rows(sampling):
    options = optimal(sampling).options
    expected = ("optimal_symmetric", "balanced") if sampling in EVEN else ("optimal_rows", None)
    assert (options.weights, options.emphasis) == expected


@pytest.mark.parametrize(
    ("sampling", "neighborhood"),
    [(Equiangular(nlat=10), "grid"), (RandomUniform(200), "delaunay"), (Healpix(4), "pixel")],
)
def test_other_neighborhoods_get_the_symmetric_program_on_their_edges(sampling, neighborhood):
    graph = build_graph(sampling, weights="optimal", neighborhood=neighborhood)
    assert graph.options.weights == "optimal_symmetric"
    edges = neighbor_distances(sampling, neighborhood=neighborhood, num_neighbors=8)
    assert (edges.toarray()[graph.adjacency.nonzero()] > 0).all()


def test_each_form_can_be_named():
    symmetric = build_graph(UNEVEN[0], weights="optimal_symmetric")
    assert symmetric.vertex_mass is not None
    rows = build_graph(EVEN[0], weights="optimal_rows")
    assert rows.vertex_mass is None


def test_weights_are_positive_rows_sum_to_zero_and_the_walk_is_stochastic(graph):
    assert graph.adjacency.data.min() > 0
    assert not graph.adjacency.diagonal().any()
    largest = graph.laplacian.diagonal().max()
    assert np.abs(graph.laplacian @ np.ones(graph.num_vertices)).max() < ROUNDING * largest
    walk = np.eye(graph.num_vertices) - graph.laplacian.toarray() / largest
    assert walk.min() > -ROUNDING
    assert connected_components(graph.adjacency, directed=True, connection="weak")[0] == 1


def test_eigenvalues_have_real_parts_from_zero_to_lambda_max(graph):
    values = np.linalg.eigvals(graph.laplacian.toarray())
    assert values.real.min() > -1e-9 * graph.lambda_max
    assert values.real.max() <= graph.lambda_max <= 1.021 * values.real.max()
    scaled = np.linalg.eigvals(graph.rescaled_laplacian().toarray())
    assert np.abs(scaled.real).max() <= 1 + 1e-9


def test_symmetry_is_as_promised(graph):
    asymmetry = abs(graph.laplacian - graph.laplacian.T).max()
    assert (asymmetry == 0) == graph.symmetric
    if graph.options.weights == "optimal_rows":
        assert graph.vertex_mass is None
        assert abs(graph.adjacency - graph.adjacency.T).max() > 0
        return
    assert abs(graph.adjacency - graph.adjacency.T).max() == 0
    np.testing.assert_allclose(graph.vertex_mass, relative_area(graph.sampling), rtol=1e-9)
    if graph.symmetric:
        assert np.array_equal(graph.vertex_mass, np.ones(graph.num_vertices))
    weighted = graph.laplacian.multiply(graph.vertex_mass[:, None])
    assert abs(weighted - weighted.T).max() < ROUNDING * abs(weighted).max()


def test_graph_is_the_same_each_time(graph):
    edge_weights._small_whole_weights.cache_clear()
    again = build_graph(graph.sampling, weights="optimal")
    assert again.laplacian.data.tobytes() == graph.laplacian.data.tobytes()
    assert np.array_equal(again.laplacian.indices, graph.laplacian.indices)
    assert again.lambda_max == graph.lambda_max


def test_spec_names_the_form_and_rebuilds_the_graph(graph):
    assert graph.spec["weights"] in ("optimal_symmetric", "optimal_rows")
    again = graph_from_spec(graph.spec)
    assert again.options == graph.options
    assert (again.laplacian != graph.laplacian).nnz == 0


def test_subset_has_the_weights_of_its_whole(graph):
    kept = np.random.default_rng(0).permutation(graph.num_vertices)[:120]
    part = build_graph(graph.sampling.subset(kept), weights="optimal", disconnected="allow")
    assert (graph.adjacency[kept][:, kept] != part.adjacency).nnz == 0
    mass = np.ones(len(kept)) if graph.vertex_mass is None else graph.vertex_mass[kept]
    expected = np.diag(part.adjacency.sum(axis=1).A1) - part.adjacency.toarray()
    np.testing.assert_allclose(part.laplacian.toarray() * mass[:, None], expected, atol=1e-9)
    assert (part.vertex_mass is None) == (graph.vertex_mass is None)


@pytest.mark.parametrize(
    ("sampling", "turn"),
    [
        (Healpix(nside=8), np.pi / 2),
        (Equiangular(nlat=10, poles=2), np.pi / 10),
        (GaussLegendre(nlat=10), np.pi / 10),
        (Icosahedral(4), 2 * np.pi / 5),
        (CubedSphere(6), np.pi / 2),
    ],
    ids=repr,
)
def test_graph_has_the_symmetry_of_its_sampling(sampling, turn):
    graph = build_graph(sampling, weights="optimal")
    cos, sin = np.cos(turn), np.sin(turn)
    turned = sampling.points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    distance = np.linalg.norm(turned[:, None] - sampling.points[None], axis=2)
    if distance.min(axis=1).max() > 1e-9:
        pytest.skip("no symmetry about this axis")
    image = distance.argmin(axis=1)
    assert sorted(image) == list(range(sampling.num_vertices))
    moved = graph.laplacian[image][:, image]
    assert abs(moved - graph.laplacian).max() < 1e-6 * graph.lambda_max


def test_edges_count_joined_pairs(rows):
    pairs = {tuple(sorted(pair)) for pair in zip(*rows.adjacency.nonzero(), strict=True)}
    assert rows.num_edges == len(pairs)
    assert f"edges={len(pairs)}, weights='optimal_rows'" in repr(rows)


# --- spectra and filters ---


def test_largest_real_part_is_just_above_dense_for_large_operators():
    graph = build_graph(RandomUniform(700, seed=2), weights="optimal")
    exact = np.linalg.eigvals(graph.laplacian.toarray()).real.max()
    assert exact * 1.01 <= graph.lambda_max <= exact * 1.03


def test_largest_real_part_without_convergence_is_the_gershgorin_bound(monkeypatch):
    def eigs(*_, **__):
        raise ArpackNoConvergence("%s", np.empty(0), np.empty((0, 0)))

    laplacian = build_graph(RandomUniform(700, seed=2), weights="optimal").laplacian
    monkeypatch.setattr(spectrum, "eigs", eigs)
    assert largest_real_part(laplacian) == abs(laplacian).sum(axis=1).max()


def test_largest_real_part_of_nothing_is_zero():
    assert largest_real_part(csr_matrix((5, 5))) == 0


def test_largest_real_part_is_within_the_gershgorin_bound():
    # a directed ring, with eigenvalues 1 - exp(2πi k / n): 2 is both the largest and the bound
    ring = csr_matrix(np.eye(400) - np.roll(np.eye(400), 1, axis=1))
    assert largest_real_part(ring) == pytest.approx(2.0, rel=1e-9)


def test_rows_have_no_fourier_basis():
    graph = optimal(UNEVEN[0])
    message = r"graph must have a Laplacian that is self-adjoint, .* got weights='optimal_rows'; .*"
    message += "weights='optimal_symmetric'"
    with pytest.raises(ValueError, match=message):
        fourier_basis(graph, 3)
    ones = np.ones((graph.num_vertices, 2))
    with pytest.raises(ValueError, match=message):
        graph_fourier_transform(graph, ones, ones)


def test_exact_filter_on_rows_is_rejected_and_auto_is_chebyshev():
    graph = optimal(UNEVEN[0])
    signal = np.random.default_rng(0).standard_normal((graph.num_vertices, 1))
    with pytest.raises(ValueError, match="must have a Laplacian that is self-adjoint"):
        filter_signal(graph, signal, heat(0.1), method="exact")
    auto = filter_signal(graph, signal, heat(0.1))
    assert np.array_equal(auto, filter_signal(graph, signal, heat(0.1), method="chebyshev"))


def test_polynomial_filter_on_rows_is_the_matrix_polynomial(rows):
    signal = np.random.default_rng(0).standard_normal((2, rows.num_vertices, 3))
    dense = rows.laplacian.toarray()

    def cubic(eigenvalues):
        return 1 - eigenvalues / rows.lambda_max + (eigenvalues / rows.lambda_max) ** 3

    relative = dense / rows.lambda_max
    expected = signal - relative @ signal + relative @ relative @ relative @ signal
    np.testing.assert_allclose(filter_signal(rows, signal, cubic, order=4), expected, atol=1e-10)


def test_tight_frame_of_polynomials_on_rows_is_inverted():
    graph = optimal(UNEVEN[0])
    signal = np.random.default_rng(0).standard_normal((graph.num_vertices, 1))
    bank = [lambda v: 0.6 + 0 * v, lambda v: 0.8 + 0 * v]
    bands = filter_bank(graph, signal, bank)
    np.testing.assert_allclose(filter_bank_adjoint(graph, bands, bank), signal, atol=1e-12)


# --- energies ---


def naive_energy(graph, signal: np.ndarray) -> float:
    """sum over i and j of m_i w_ij (x_i - x_j)² / 2, one by one."""
    weights, mass = graph.adjacency.toarray(), relative_area(graph.sampling)
    size = range(graph.num_vertices)
    return sum(
        mass[i] * weights[i, j] * (signal[i] - signal[j]) ** 2 / 2 for i, j in product(size, size)
    )


def test_dirichlet_energy_of_rows_is_a_sum_over_directed_edges_with_areas():
    graph = optimal(UNEVEN[0])
    signal = np.random.default_rng(0).standard_normal((graph.num_vertices, 1))
    assert dirichlet_energy(graph, signal)[0] == pytest.approx(naive_energy(graph, signal[:, 0]))


def test_dirichlet_energies_of_both_forms_are_of_the_same_size():
    """Both approximate the integral of |∇f|² for f = z, up to the number of vertices over 4π."""
    sampling = RandomUniform(600, seed=3)
    height = sampling.points[:, 2:]
    energies = [
        dirichlet_energy(build_graph(sampling, weights=weights), height)[0]
        for weights in ("optimal_rows", "optimal_symmetric")
    ]
    expected = 8 * np.pi / 3 * 600 / (4 * np.pi)
    np.testing.assert_allclose(energies, expected, rtol=0.1)


def test_stiffness_of_rows_is_symmetric_positive_and_factored_by_the_gradient(rows):
    matrix = stiffness_matrix(rows)
    assert abs(matrix - matrix.T).max() == 0
    eigenvalues = np.linalg.eigvalsh(matrix.toarray())
    assert abs(eigenvalues[0]) < 1e-9 * eigenvalues[-1] < 1e-3 * eigenvalues[-1]
    assert eigenvalues[1] > 1e-12 * eigenvalues[-1]
    gradient = differential_operator(rows)
    assert gradient.shape == (rows.num_edges, rows.num_vertices)
    assert abs(gradient.T @ gradient - matrix).max() < 1e-9 * matrix.diagonal().max()
    signal = np.random.default_rng(0).standard_normal((rows.num_vertices, 1))
    assert total_variation(rows, signal)[0] == pytest.approx(np.abs(gradient @ signal).sum())


def test_stiffness_of_self_adjoint_graphs_is_mass_times_laplacian():
    graph = optimal(EVEN[1])
    expected = graph.vertex_mass[:, None] * graph.laplacian.toarray()
    np.testing.assert_allclose(stiffness_matrix(graph).toarray(), expected, rtol=1e-12)
    assert _energy_weights(graph) is graph.adjacency


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_interpolation_on_rows_minimises_its_objective(strength):
    graph = optimal(UNEVEN[0])
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((graph.num_vertices, 1))
    known = rng.uniform(size=graph.num_vertices) < 0.5
    completed = interpolate(graph, signal, known, strength=strength)
    mass = relative_area(graph.sampling)

    def objective(x: np.ndarray) -> float:
        fit = (mass * known * (x - signal[:, 0]) ** 2).sum()
        return naive_energy(graph, x) if strength == 0 else fit + strength * naive_energy(graph, x)

    least = objective(completed[:, 0])
    for _ in range(3):
        step = 1e-3 * rng.standard_normal(graph.num_vertices) * (~known if strength == 0 else 1)
        ahead, back = objective(completed[:, 0] + step), objective(completed[:, 0] - step)
        assert ahead > least < back
        assert ahead - back == pytest.approx(0, abs=1e-5 * (ahead + back - 2 * least))
    if strength == 0:
        assert np.array_equal(completed[known], signal[known])


def test_low_pass_pooling_on_rows_keeps_constants_and_signs(rows):
    step = smoothing_matrix(rows).toarray()
    assert step.min() > -ROUNDING
    np.testing.assert_allclose(step.sum(axis=1), 1, atol=1e-12)
    for method in ("power", "heat"):
        pooling = low_pass_pooling_matrix(rows, rows.sampling.membership(), method=method)
        np.testing.assert_allclose(pooling.sum(axis=1), 1, atol=1e-12)
        assert pooling.data.min() > -ROUNDING


# --- pyramids and warnings ---


@pytest.mark.parametrize("sampling", [Equiangular(nlat=16), RandomUniform(600)], ids=repr)
def test_pyramid_of_rows_has_rows_at_each_level(sampling):
    pyramid = build_pyramid(sampling, num_levels=3, weights="optimal")
    assert {graph.options.weights for graph in pyramid.graphs} == {"optimal_rows"}
    assert all(graph.vertex_mass is None for graph in pyramid.graphs)


def test_pyramid_on_grid_neighbors_keeps_their_number():
    pyramid = build_pyramid(
        Equiangular(nlat=8), num_levels=3, weights="optimal", neighborhood="grid"
    )
    assert [graph.options.num_neighbors for graph in pyramid.graphs] == [8, 8, 8]


def test_few_neighbors_warn_once_with_the_number_that_helps():
    message = (
        r"num_neighbors=8 leaves .* 12 is the smallest .* 0.57 .* 1.15 with 8\); use num_neigh"
    )
    sampling = Healpix(nside=16)
    with pytest.warns(UserWarning, match=message) as record:
        pyramid = build_pyramid(sampling, num_levels=5, num_neighbors=8, weights="optimal")
    assert len(record) == 1
    assert pyramid.graphs[-1].options.num_neighbors == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_graph(sampling, num_neighbors=12, weights="optimal")
        build_graph(sampling, num_neighbors=8, weights="optimal", emphasis="low")
        build_graph(sampling, num_neighbors=8, weights="gaussian")
        build_graph(Healpix(nside=8), num_neighbors=8, weights="optimal")
        build_graph(sampling, weights="optimal", neighborhood="pixel")
        graph_from_spec(pyramid.graphs[0].spec)


def test_reduced_neighbors_of_coarse_levels_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyramid = build_pyramid(Healpix(nside=16), num_levels=5, weights="optimal")
    assert pyramid.graphs[-1].options.num_neighbors == 11
