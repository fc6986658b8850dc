"""Mean eigenvalues on harmonics, against harmonics; the fit of a beam."""

import numpy as np
import pytest

from deepsphere.graph.beam_filter import beam_errors, degree_curve, filter_order, fit_matrix
from deepsphere.graph.degree_eigenvalues import degree_eigenvalues, near_border
from deepsphere.graph.sphere_graph import build_graph
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Equiangular, Healpix


@pytest.mark.parametrize(
    ("sampling", "options"),
    [
        (Healpix(8), {"num_neighbors": 8, "weights": "gaussian"}),
        (Equiangular(nlat=12), {"num_neighbors": 8, "weights": "gaussian"}),
        (Healpix(8), {"num_neighbors": 8, "weights": "gaussian", "laplacian": "random_walk"}),
    ],
    ids=["healpix", "equiangular", "random-walk"],
)
def test_mean_eigenvalues_are_the_rayleigh_quotients_of_harmonics(sampling, options):
    graph = build_graph(sampling, **options)
    found, _ = degree_eigenvalues(graph, 8)
    values, areas = real_harmonics(sampling.points, 8), sampling.areas[:, None]
    energies = (areas * values * (graph.laplacian @ values)).sum(axis=0)
    sizes = (areas * values**2).sum(axis=0)
    for degree in range(9):
        orders = slice(degree**2, (degree + 1) ** 2)
        expected = energies[orders].sum() / sizes[orders].sum()
        assert found[degree] == pytest.approx(expected, rel=1e-9, abs=1e-9 * found[1])


def test_deviations_are_those_of_harmonics():
    sampling = Healpix(8)
    graph = build_graph(sampling, num_neighbors=8, weights="gaussian")
    eigenvalues, deviations = degree_eigenvalues(graph, 10)
    values = real_harmonics(sampling.points, 10)
    degrees = np.repeat(np.arange(11), 2 * np.arange(11) + 1)
    missed = graph.laplacian @ values - eigenvalues[degrees] * values
    for degree in range(1, 11):
        orders = slice(degree**2, (degree + 1) ** 2)
        expected = np.linalg.norm(missed[:, orders]) / np.linalg.norm(values[:, orders])
        # measured on a few zonal harmonics out of all
        assert deviations[degree] == pytest.approx(expected, rel=0.4)
    assert deviations[0] == pytest.approx(0, abs=1e-12)


def test_vertices_at_a_border_are_the_ones_that_miss_neighbors():
    sampling = Healpix(16)
    whole = build_graph(sampling, num_neighbors=8, weights="gaussian")
    part = build_graph(sampling.subset(np.arange(256)), num_neighbors=8, weights="gaussian")
    assert not near_border(whole).any()
    found = near_border(part)
    complete = np.diff(whole.adjacency[:256].indptr) == np.diff(part.adjacency.indptr)
    # all that miss neighbors but some corners of diamonds are found, and few others
    assert found[~complete].mean() > 0.8
    assert found.mean() < 0.5
    inner, _ = degree_eigenvalues(part, 24)
    outer, _ = degree_eigenvalues(whole, 24)
    np.testing.assert_allclose(inner[1:], outer[1:], rtol=0.02)


def test_polynomial_is_the_beam_at_each_degree():
    graph = build_graph(Healpix(8), num_neighbors=20)
    curve, sigma = degree_curve(graph), np.array([0.1, 0.2])
    order = filter_order(curve, sigma, tolerance=1e-3)
    transfer = np.exp(-0.5 * np.outer(curve.squared_degrees, sigma**2))
    coefficients = fit_matrix(curve, order) @ transfer
    eigenvalues, _ = degree_eigenvalues(graph, 16)
    places = 2 * eigenvalues / graph.lambda_max - 1
    for width, column in zip(sigma, coefficients.T, strict=True):
        found = np.polynomial.chebyshev.chebval(places, column)
        expected = [np.exp(-degree * (degree + 1) * width**2 / 2) for degree in range(17)]
        np.testing.assert_allclose(found, expected, atol=1.1e-3)
    assert (beam_errors(curve, sigma) < 0.01).all()


def test_what_has_no_mean_eigenvalues_is_rejected():
    graph = build_graph(Healpix(4), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match="max_degree must be at least 0, got -1"):
        degree_eigenvalues(graph, -1)
    options = {"num_neighbors": 8, "weights": "gaussian", "laplacian": "normalized"}
    with pytest.raises(ValueError, match=r"rows sum to zero, .* got laplacian='normalized'"):
        degree_eigenvalues(build_graph(Healpix(4), **options), 3)
    border = build_graph(Healpix(8).subset(np.arange(4)), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match="must have vertices that miss no neighbors, got 4 that"):
        degree_eigenvalues(border, 3)
