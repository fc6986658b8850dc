"""Laplacians, against their definitions on small graphs."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepsphere.graph import laplacian as laplacian_module
from deepsphere.graph.laplacian import (
    combinatorial_laplacian,
    degrees,
    normalized_laplacian,
    random_walk_laplacian,
    rescaled,
)


def random_adjacency(num_vertices: int = 12, *, isolated: bool = False) -> np.ndarray:
    rng = np.random.default_rng(4)
    upper = np.triu(rng.uniform(0.1, 2, (num_vertices, num_vertices)), k=1)
    upper *= rng.uniform(size=upper.shape) < 0.6
    if isolated:
        upper[:, 3] = upper[3] = 0
    return upper + upper.T


def test_combinatorial_laplacian_is_degree_minus_adjacency():
    weights = random_adjacency()
    expected = np.diag(weights.sum(axis=1)) - weights
    np.testing.assert_allclose(combinatorial_laplacian(csr_matrix(weights)).toarray(), expected)


def test_combinatorial_laplacian_divides_rows_by_mass():
    weights, mass = random_adjacency(), np.linspace(1, 2, 12)
    laplacian = combinatorial_laplacian(csr_matrix(weights), mass=mass).toarray()
    expected = (np.diag(weights.sum(axis=1)) - weights) / mass[:, None]
    np.testing.assert_allclose(laplacian, expected)


def test_normalized_laplacian_is_its_definition_and_kills_root_degrees():
    weights = random_adjacency()
    degree = weights.sum(axis=1)
    laplacian = normalized_laplacian(csr_matrix(weights)).toarray()
    expected = np.eye(12) - np.diag(degree**-0.5) @ weights @ np.diag(degree**-0.5)
    np.testing.assert_allclose(laplacian, expected, atol=1e-15)
    np.testing.assert_allclose(laplacian @ np.sqrt(degree), 0, atol=1e-14)
    assert np.array_equal(laplacian, laplacian.T)


def test_random_walk_laplacian_is_its_definition():
    weights = random_adjacency()
    expected = np.eye(12) - weights / weights.sum(axis=1, keepdims=True)
    laplacian = random_walk_laplacian(csr_matrix(weights)).toarray()
    np.testing.assert_allclose(laplacian, expected, atol=1e-15)


@pytest.mark.parametrize(
    "build", [combinatorial_laplacian, normalized_laplacian, random_walk_laplacian]
)
def test_isolated_vertex_has_a_zero_row_and_column(build):
    laplacian = build(csr_matrix(random_adjacency(isolated=True))).toarray()
    assert np.isfinite(laplacian).all()
    assert not laplacian[3].any()
    assert not laplacian[:, 3].any()


def test_degrees_are_sums_of_weights():
    weights = random_adjacency()
    np.testing.assert_allclose(degrees(csr_matrix(weights)), weights.sum(axis=1))


@pytest.mark.parametrize("rows_at_once", [7, 2**16])
def test_rescaled_is_scale_times_laplacian_minus_identity(monkeypatch, rows_at_once):
    monkeypatch.setattr(laplacian_module, "_CHUNK", rows_at_once)
    laplacian = combinatorial_laplacian(csr_matrix(random_adjacency()))
    found = rescaled(laplacian, 0.3)
    expected = 0.3 * laplacian.toarray() - np.eye(laplacian.shape[0])
    assert np.array_equal(found.toarray(), expected)
    assert np.shares_memory(found.indices, laplacian.indices)
    assert not np.shares_memory(found.data, laplacian.data)


def test_rescaled_adds_what_is_missing_of_the_diagonal():
    laplacian = csr_matrix([[0.0, 2.0, 0.0], [0.0, 3.0, 1.0], [0.0, 0.0, 0.0]])
    expected = [[-1.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, -1.0]]
    assert np.array_equal(rescaled(laplacian, 0.5).toarray(), expected)
