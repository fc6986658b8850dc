"""What must hold for the graph of every registered sampling with every kind of weights."""

import numpy as np
import pytest
import scipy.linalg

from deepsphere.graph import SphereGraph, build_graph, graph_from_spec
from deepsphere.sampling import SAMPLINGS, Healpix, Rectilinear, Sampling, sampling_from_spec

# one small sampling of each kind, large enough for 20 neighbors
SPECS = {
    "cubed_sphere": "cubed_sphere:subdivisions=6",
    "equiangular": "equiangular:nlat=10,nlon=16,poles=2",
    "fibonacci": "fibonacci:num_vertices=200",
    "gauss_legendre": "gauss_legendre:nlat=10",
    "healpix": "healpix:nside=4,ordering=nested",
    "icosahedral": "icosahedral:subdivisions=4",
    "random_uniform": "random_uniform:num_vertices=200,seed=3",
    "rectilinear": Rectilinear(np.arange(81, -90, -18), np.arange(11.25, 360, 22.5)).spec,
}
WEIGHTS = [
    "optimal_symmetric",
    "gaussian",
    "inverse_distance",
    "cotangent",
    "perraudin",
    "perraudin_unweighted",
]
LAPLACIANS = ["combinatorial", "normalized", "random_walk"]

# of rounding, relative to the largest eigenvalue
ROUNDING = 1e-12


def sampling_of(kind: str) -> Sampling:
    if kind == "scattered":
        rng = np.random.default_rng(1)
        lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 180)))
        return SAMPLINGS[kind](rng.uniform(0, 360, 180), lat)
    if kind == "subset":
        whole = Healpix(nside=8)
        return whole.subset(whole.points[:, 2] > 0.3)
    return sampling_from_spec(SPECS[kind])


CASES = [
    pytest.param((kind, weights, laplacian), id=f"{kind}-{weights}-{laplacian}")
    for kind in SAMPLINGS
    for weights in WEIGHTS
    for laplacian in LAPLACIANS
    if not weights.startswith("perraudin") or kind in ("healpix", "subset")
    if weights != "optimal_symmetric" or laplacian == "combinatorial"
]


@pytest.fixture(scope="module", params=CASES)
def graph(request: pytest.FixtureRequest) -> SphereGraph:
    kind, weights, laplacian = request.param
    return build_graph(sampling_of(kind), weights=weights, laplacian=laplacian)


def test_every_kind_of_sampling_is_tested():
    assert {*SPECS, "scattered", "subset"} == set(SAMPLINGS)


def test_adjacency_is_symmetric_and_positive_without_loops(graph):
    assert abs(graph.adjacency - graph.adjacency.T).max() == 0
    assert graph.adjacency.data.min() > 0
    assert not graph.adjacency.diagonal().any()
    assert graph.adjacency.shape == (graph.num_vertices,) * 2


def test_laplacian_rows_sum_to_zero(graph):
    kernel = np.ones(graph.num_vertices)
    if graph.options.laplacian == "normalized":
        # its kernel holds the root of the degrees
        kernel = np.sqrt(np.asarray(graph.adjacency.sum(axis=1)).ravel())
        kernel /= kernel.max()
    assert np.abs(graph.laplacian @ kernel).max() < ROUNDING * graph.lambda_max


def test_laplacian_is_self_adjoint_and_symmetric_where_promised(graph):
    weighted = graph.laplacian.multiply(graph.vertex_mass[:, None])
    assert abs(weighted - weighted.T).max() < ROUNDING * abs(weighted).max()
    asymmetry = abs(graph.laplacian - graph.laplacian.T).max()
    if graph.symmetric:
        assert asymmetry == 0
        assert np.array_equal(graph.vertex_mass, np.ones(graph.num_vertices))
    else:
        assert asymmetry > 0


def test_laplacian_is_positive_semidefinite_and_lambda_max_its_largest_eigenvalue(graph):
    mass = np.diag(graph.vertex_mass)
    eigenvalues = scipy.linalg.eigh(mass @ graph.laplacian.toarray(), mass, eigvals_only=True)
    assert eigenvalues[0] > -ROUNDING * eigenvalues[-1]
    # connected: one eigenvalue 0 only
    assert eigenvalues[1] > 1e-6 * eigenvalues[-1]
    assert graph.lambda_max >= eigenvalues[-1] * (1 - ROUNDING)
    assert graph.lambda_max <= eigenvalues[-1] * (1 + 1e-5)


def test_laplacian_is_float64_csr(graph):
    assert graph.laplacian.format == "csr"
    assert graph.laplacian.dtype == np.float64
    assert np.isfinite(graph.laplacian.data).all()


def test_spec_round_trip_gives_the_same_graph(graph):
    again = graph_from_spec(graph.spec)
    assert (again.laplacian != graph.laplacian).nnz == 0
    assert (again.adjacency != graph.adjacency).nnz == 0
    assert again.lambda_max == graph.lambda_max
    assert again.spec == graph.spec
