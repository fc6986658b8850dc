"""Cotangent weights, against angles and integrals."""

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from deepsphere.geometry import spherical_delaunay
from deepsphere.graph import build_graph
from deepsphere.graph.cotangent import cotangent_weights
from deepsphere.graph.laplacian import combinatorial_laplacian
from deepsphere.sampling import CubedSphere, Equiangular, Fibonacci, Healpix, Icosahedral

# the law of the order: eigenvalues within 2 % of l (l + 1) for l <= 5 at 10,000 vertices
EIGENVALUE_TOLERANCE = 0.02


def naive_weights(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Half the sum of the cotangents of the angles opposite to each edge."""
    weights = np.zeros((len(points), len(points)))
    for triangle in triangles:
        for i in range(3):
            apex, left, right = (triangle[(i + shift) % 3] for shift in range(3))
            a, b = points[left] - points[apex], points[right] - points[apex]
            angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
            weights[left, right] += 0.5 / np.tan(angle)
            weights[right, left] += 0.5 / np.tan(angle)
    return weights


@pytest.mark.parametrize("sampling", [Healpix(nside=4), Fibonacci(100), Icosahedral(2)])
def test_cotangent_weights_are_half_sums_of_cotangents(sampling):
    triangles = spherical_delaunay(sampling.points)
    weights = cotangent_weights(sampling.points, triangles)
    np.testing.assert_allclose(
        weights.toarray(), naive_weights(sampling.points, triangles), atol=1e-11
    )
    assert weights.data.min() > 0


def test_stiffness_is_exact_for_linear_functions():
    """f·(D - W) f is the Dirichlet integral of the linear interpolation, here of f(x) = n·x."""
    sampling = Fibonacci(200)
    triangles = spherical_delaunay(sampling.points)
    direction = np.array([0.3, -0.5, 0.8])
    stiffness = combinatorial_laplacian(cotangent_weights(sampling.points, triangles))
    values = sampling.points @ direction
    integral = 0.0
    for triangle in triangles:
        a, b, c = sampling.points[triangle]
        normal = np.cross(b - a, c - a)
        area = np.linalg.norm(normal) / 2
        normal /= 2 * area
        gradient = direction - (direction @ normal) * normal
        integral += area * gradient @ gradient
    assert values @ (stiffness @ values) == pytest.approx(integral, rel=1e-12)


def test_co_circular_points_get_no_diagonal():
    # a rectangle of a grid can be cut either way; neither diagonal has a weight
    graph = build_graph(Equiangular(nlat=8, nlon=16, poles=2), weights="cotangent")
    degree = graph.adjacency.getnnz(axis=1)
    assert set(degree[1:-1]) == {4}
    assert degree[0] == degree[-1] == 16


def test_points_in_a_cap_give_no_negative_weight():
    rng = np.random.default_rng(0)
    points = np.column_stack([0.2 * rng.normal(size=(200, 2)), np.ones(200)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert cotangent_weights(points, spherical_delaunay(points)).data.min() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "sampling",
    [
        Healpix(nside=29, ordering="ring"),
        Icosahedral(32),
        Icosahedral(16, dual=True),
        CubedSphere(41),
        CubedSphere(41, spacing="equidistant"),
        Fibonacci(10_000),
        Equiangular(nlat=71),
        Equiangular(nlat=71, poles=2),
    ],
    ids=lambda sampling: sampling.spec,
)
def test_cotangent_eigenvalues_are_those_of_the_sphere(sampling):
    graph = build_graph(sampling, weights="cotangent", mass="voronoi")
    root = np.sqrt(graph.vertex_mass)
    symmetric = graph.laplacian.multiply(root[:, None]).multiply(1 / root[None]).tocsc()
    start = np.random.default_rng(0).standard_normal(len(root))
    values = np.sort(eigsh(symmetric, k=36, sigma=-1.0, v0=start, return_eigenvectors=False))
    expected = np.concatenate([[degree * (degree + 1)] * (2 * degree + 1) for degree in range(6)])
    assert abs(values[0]) < 1e-8
    np.testing.assert_allclose(values[1:], expected[1:], rtol=EIGENVALUE_TOLERANCE)
