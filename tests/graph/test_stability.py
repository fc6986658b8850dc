"""Norms of Chebyshev polynomials, against dense singular values."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepsphere.graph import (
    SphereGraph,
    build_graph,
    chebyshev_norms,
    operator_chebyshev_norms,
    stability,
)
from deepsphere.graph.stability import chebyshev_norm
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, RandomUniform, Sampling

# of a power iteration with a fixed number of steps, from below
CONVERGENCE = 0.02


def rows(sampling: Sampling) -> SphereGraph:
    return build_graph(sampling, weights="optimal_rows")


def dense_norms(graph: SphereGraph, max_order: int, weights: np.ndarray) -> np.ndarray:
    """Largest singular values of the dense polynomials in the norm of some weights."""
    operator = graph.rescaled_laplacian().toarray()
    root = np.sqrt(weights)
    previous, current, norms = np.eye(len(operator)), operator, []
    for _ in range(max_order):
        norms.append(np.linalg.norm(root[:, None] * current / root, 2))
        previous, current = current, 2 * operator @ current - previous
    return np.array(norms)


@pytest.mark.parametrize("norm", ["euclidean", "area"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: rows(RandomUniform(250, seed=4)),
        lambda: rows(Equiangular(nlat=12, poles=2)),
        lambda: build_graph(RandomUniform(250, seed=4), weights="optimal_symmetric"),
        lambda: build_graph(
            RandomUniform(250, seed=4), weights="gaussian", laplacian="random_walk"
        ),
    ],
    ids=["random", "grid", "symmetric", "random walk"],
)
def test_norms_are_the_dense_ones_from_below(build, norm):
    graph = build()
    found = chebyshev_norms(graph, 6, norm=norm)
    areas = graph.sampling.areas if norm == "area" else np.ones(graph.num_vertices)
    exact = dense_norms(graph, 6, areas)
    assert (found <= exact * (1 + 1e-9)).all()
    np.testing.assert_allclose(found, exact, rtol=CONVERGENCE)


def test_norms_are_one_where_the_laplacian_is_self_adjoint():
    symmetric = build_graph(Healpix(nside=4))
    assert np.array_equal(chebyshev_norms(symmetric, 20), np.ones(20))
    assert np.array_equal(chebyshev_norms(symmetric, 20, norm="area"), np.ones(20))
    weighted = build_graph(Fibonacci(200), weights="optimal_symmetric")
    assert not weighted.symmetric
    assert np.array_equal(chebyshev_norms(weighted, 8, norm="area"), np.ones(8))
    np.testing.assert_allclose(dense_norms(weighted, 8, weighted.sampling.areas), 1, atol=1e-9)
    assert (chebyshev_norms(weighted, 8) >= 1 - CONVERGENCE).all()


def test_norms_are_the_same_each_time_and_for_each_length():
    graph = rows(RandomUniform(250, seed=4))
    norms = chebyshev_norms(graph, 5)
    assert np.array_equal(norms, chebyshev_norms(graph, 8)[:5])


def test_norm_of_one_order_is_kept_with_the_graph(monkeypatch):
    graph = rows(RandomUniform(250, seed=4))
    norm = chebyshev_norm(graph, 6)
    assert norm == pytest.approx(dense_norms(graph, 6, np.ones(250))[5], rel=CONVERGENCE)
    monkeypatch.setattr(stability, "_norms", None)
    assert chebyshev_norm(graph, 6) == norm
    assert chebyshev_norm(build_graph(Fibonacci(200), weights="optimal_symmetric"), 30) == 1


def test_norms_of_a_plain_operator():
    # eigenvalues 0, 1 and 2 of a symmetric operator go to -1, 0 and 1
    norms = operator_chebyshev_norms(csr_matrix(np.diag([0.0, 1.0, 2.0])), 2.0, max_order=4)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


def test_nilpotent_operator_has_norm_zero_where_its_polynomial_is():
    # T_1(A) = A with A² = 0, T_2(A) = -1
    operator = csr_matrix(np.array([[1.0, 3.0], [0.0, 1.0]]))
    np.testing.assert_allclose(operator_chebyshev_norms(operator, 2.0, max_order=2), [3, 1])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda graph: chebyshev_norms(graph, 0), r"order must be at least 1, got 0; use 8"),
        (lambda graph: chebyshev_norm(graph, -2), r"order must be at least 1, got -2"),
        (lambda graph: chebyshev_norms(graph, norm="max"), r"'euclidean' or 'area', got 'max'"),
        (
            lambda graph: operator_chebyshev_norms(graph.laplacian, 0.0),
            r"lambda_max must be positive, got 0.0; give the largest real part",
        ),
    ],
)
def test_invalid_arguments_are_rejected(call, message):
    with pytest.raises(ValueError, match=message):
        call(build_graph(Healpix(nside=2), num_neighbors=8))
