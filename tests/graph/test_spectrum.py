"""Largest eigenvalue, Fourier basis and transform."""

import numpy as np
import pytest
import scipy.linalg
from scipy.sparse import csr_matrix, diags

from deepsphere.graph import (
    build_graph,
    fourier_basis,
    graph_fourier_transform,
    inverse_graph_fourier_transform,
    largest_eigenvalue,
    spectrum,
)
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Equiangular, Healpix, RandomUniform

GRAPHS = {
    "combinatorial": lambda: build_graph(Healpix(nside=4)),
    "normalized": lambda: build_graph(Healpix(nside=4), weights="gaussian", laplacian="normalized"),
    "random walk": lambda: build_graph(
        Healpix(nside=4), weights="gaussian", laplacian="random_walk"
    ),
    "unit mass": lambda: build_graph(Healpix(nside=4), weights="cotangent"),
    "voronoi mass": lambda: build_graph(RandomUniform(150, seed=0), weights="cotangent"),
}


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS.keys())
def test_fourier_basis_diagonalizes_and_is_orthonormal(build):
    graph = build()
    eigenvalues, vectors = fourier_basis(graph)
    scale = graph.lambda_max
    assert (np.diff(eigenvalues) >= 0).all()
    np.testing.assert_allclose(graph.laplacian @ vectors, vectors * eigenvalues, atol=1e-11 * scale)
    gram = vectors.T @ (graph.vertex_mass[:, None] * vectors)
    np.testing.assert_allclose(gram, np.eye(graph.num_vertices), atol=1e-11)
    assert eigenvalues[-1] <= scale <= eigenvalues[-1] * (1 + 1e-10)


def test_fourier_basis_signs_are_fixed():
    _, vectors = fourier_basis(GRAPHS["combinatorial"]())
    assert (vectors.max(axis=0) >= -vectors.min(axis=0)).all()


def test_fourier_basis_of_the_lowest_is_part_of_the_whole():
    graph = build_graph(RandomUniform(150, seed=0), weights="gaussian")
    whole, part = fourier_basis(graph), fourier_basis(graph, 7)
    assert np.array_equal(part[0], whole[0][:7])
    assert np.array_equal(part[1], whole[1][:, :7])


@pytest.mark.slow
def test_fourier_basis_of_a_large_graph_spans_the_harmonics():
    graph = build_graph(Healpix(nside=32), weights="cotangent")
    eigenvalues, vectors = fourier_basis(graph, 9)
    np.testing.assert_allclose(eigenvalues, [0, 2, 2, 2, 6, 6, 6, 6, 6], rtol=0.01, atol=1e-8)
    harmonics = real_harmonics(graph.sampling.points, 2) * np.sqrt(4 * np.pi / graph.num_vertices)
    # cosines of the angles between both spaces of nine dimensions
    cosines = np.linalg.svd(vectors.T @ harmonics, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


@pytest.mark.parametrize("num", [0, 193])
def test_fourier_basis_rejects_num_out_of_range(num):
    with pytest.raises(ValueError, match=rf"num must be from 1 to .* \(192\), got {num}"):
        fourier_basis(build_graph(Healpix(nside=4)), num)


def test_fourier_basis_rejects_too_many_of_a_large_graph():
    graph = build_graph(Healpix(nside=32), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match=r"num must be at most a tenth of the vertices \(1228\)"):
        fourier_basis(graph)


@pytest.mark.parametrize("build", GRAPHS.values(), ids=GRAPHS.keys())
def test_fourier_transform_inverts_and_keeps_energy(build):
    graph = build()
    _, vectors = fourier_basis(graph)
    signals = np.random.default_rng(1).standard_normal((2, 3, graph.num_vertices, 4))
    spectra = graph_fourier_transform(graph, signals, vectors)
    np.testing.assert_allclose(
        inverse_graph_fourier_transform(spectra, vectors), signals, atol=1e-10
    )
    energy = (graph.vertex_mass[:, None] * signals**2).sum(axis=-2)
    np.testing.assert_allclose((spectra**2).sum(axis=-2), energy)


def dense_largest_eigenvalue(graph) -> float:
    """The largest λ of the symmetric problem diag(m) L v = λ diag(m) v."""
    mass = np.diag(graph.vertex_mass)
    return scipy.linalg.eigh(mass @ graph.laplacian.toarray(), mass, eigvals_only=True)[-1]


@pytest.mark.parametrize("kind", ["combinatorial", "normalized", "random_walk"])
@pytest.mark.parametrize("num_vertices", [120, 450])
def test_largest_eigenvalue_is_just_above_dense(kind, num_vertices):
    graph = build_graph(RandomUniform(num_vertices, seed=0), weights="gaussian", laplacian=kind)
    exact = dense_largest_eigenvalue(graph)
    assert exact * (1 - 1e-12) <= graph.lambda_max <= exact * (1 + 2e-6)


@pytest.mark.parametrize("mass", ["unit", "voronoi"])
def test_largest_eigenvalue_with_masses_is_just_above_dense(mass):
    graph = build_graph(Equiangular(nlat=14), weights="cotangent", mass=mass)
    exact = dense_largest_eigenvalue(graph)
    assert exact * (1 - 1e-12) <= graph.lambda_max <= exact * (1 + 2e-6)


def test_largest_eigenvalue_without_convergence_is_the_gershgorin_bound():
    laplacian = build_graph(Healpix(nside=8)).laplacian
    bound = largest_eigenvalue(laplacian, max_iterations=1)
    assert bound == pytest.approx(2 * laplacian.diagonal().max())
    assert bound >= np.linalg.eigvalsh(laplacian.toarray())[-1]


@pytest.fixture
def plain_iteration(monkeypatch):
    """The iteration of graphs with hundreds of thousands of vertices, on small ones."""
    monkeypatch.setattr(spectrum, "_PLAIN_ITERATION_VERTICES", 0)


@pytest.mark.usefixtures("plain_iteration")
@pytest.mark.parametrize("mass", ["unit", "voronoi"])
def test_plain_iteration_is_just_above_dense(mass):
    graph = build_graph(Equiangular(nlat=14), weights="cotangent", mass=mass)
    exact = dense_largest_eigenvalue(graph)
    assert exact * (1 - 1e-12) <= graph.lambda_max <= exact * (1 + 2e-6)


@pytest.mark.usefixtures("plain_iteration")
def test_plain_iteration_is_above_dense_at_the_tolerance_of_large_graphs(monkeypatch):
    monkeypatch.setattr(spectrum, "_tolerance", lambda num_vertices: 1e-3)
    graph = build_graph(RandomUniform(800, seed=0), weights="gaussian")
    exact = dense_largest_eigenvalue(graph)
    assert exact <= graph.lambda_max <= exact * (1 + 1e-3)


@pytest.mark.usefixtures("plain_iteration")
def test_plain_iteration_without_convergence_is_the_gershgorin_bound(monkeypatch):
    monkeypatch.setattr(spectrum, "_MOST_STEPS", 4)
    laplacian = build_graph(Healpix(nside=8)).laplacian
    assert largest_eigenvalue(laplacian) == pytest.approx(2 * laplacian.diagonal().max())


@pytest.mark.usefixtures("plain_iteration")
def test_plain_iteration_ends_where_a_vector_spans_an_invariant_space():
    assert largest_eigenvalue(csr_matrix(diags(np.full(50, 2.0)))) == pytest.approx(2, rel=1e-12)


def test_gershgorin_bound_does_not_depend_on_the_parts(monkeypatch):
    laplacian = build_graph(Healpix(nside=4)).laplacian
    monkeypatch.setattr(spectrum, "_CHUNK", 50)
    assert spectrum._gershgorin(laplacian) == abs(laplacian).sum(axis=1).max()


def test_largest_eigenvalue_without_edges_is_zero():
    assert largest_eigenvalue(csr_matrix((400, 400))) == 0


def test_largest_eigenvalue_of_known_matrix():
    values = np.linspace(0, 3, 500)
    assert largest_eigenvalue(csr_matrix(diags(values))) == pytest.approx(3, rel=1e-12)
