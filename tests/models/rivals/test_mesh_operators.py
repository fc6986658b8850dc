"""Derivatives on the icosahedral mesh: against those of known functions."""

import numpy as np
import pytest

from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.harmonics import real_harmonics
from deepsphere.models.rivals.mesh_operators import mesh_derivatives, mesh_laplacian
from deepsphere.sampling import Icosahedral

LEVELS = (2, 3, 4, 5)


def _tangents(sampling):
    """Unit vectors to the east and to the north at the vertices."""
    cos, sin = np.cos, np.sin
    lon, lat = sampling.lon, sampling.lat
    east = np.stack([-sin(lon), cos(lon), 0 * lon], axis=1)
    north = np.stack([-sin(lat) * cos(lon), -sin(lat) * sin(lon), cos(lat)], axis=1)
    return east, north


def _away_from_poles(sampling):
    """Vertices where triangles agree on where east is, the better the finer the mesh."""
    return np.abs(sampling.lat) < np.pi / 3


def _root_mean_square(values, areas):
    return np.sqrt(np.average(values**2, weights=areas))


@pytest.mark.parametrize("level", LEVELS)
def test_constants_have_no_derivative(level):
    sampling = Icosahedral(level=level)
    ones = np.ones(sampling.num_vertices)
    for operator in (*mesh_derivatives(sampling), sampling.areas.mean() * mesh_laplacian(sampling)):
        np.testing.assert_allclose(operator @ ones, 0, atol=1e-12)


def test_derivatives_of_linear_functions_converge_to_their_gradients():
    direction = np.array([0.3, -0.5, 0.8])
    errors = []
    for level in LEVELS:
        sampling = Icosahedral(level=level)
        far = _away_from_poles(sampling)
        errors.append(
            [
                np.abs(operator @ (sampling.points @ direction) - tangent @ direction)[far].max()
                for operator, tangent in zip(
                    mesh_derivatives(sampling), _tangents(sampling), strict=True
                )
            ]
        )
    errors = np.array(errors)
    assert errors[0].max() < 0.06
    # the spacing halves
    assert (errors[1:] < 0.75 * errors[:-1]).all()


def test_derivatives_of_harmonics_converge_to_those_by_differences():
    rms = []
    for level in LEVELS:
        sampling = Icosahedral(level=level)
        far = _away_from_poles(sampling)
        signals = real_harmonics(sampling.points, 3)
        found = []
        for operator, tangent in zip(mesh_derivatives(sampling), _tangents(sampling), strict=True):
            step = 1e-4
            ahead, behind = (
                np.cos(step) * sampling.points + sign * np.sin(step) * tangent for sign in (1, -1)
            )
            exact = (real_harmonics(ahead, 3) - real_harmonics(behind, 3)) / (2 * step)
            error = (operator @ signals - exact)[far].ravel()
            found.append(np.sqrt(np.mean(error**2) / np.mean(exact[far] ** 2)))
        rms.append(found)
    rms = np.array(rms)
    assert rms[-1].max() < 0.01
    assert (rms[1:] < 0.6 * rms[:-1]).all()


def test_derivatives_at_the_poles_vanish_with_refinement():
    # there the mean is over all longitudes, and that of a linear function is zero
    sizes = []
    for level in LEVELS:
        sampling = Icosahedral(level=level)
        poles = np.flatnonzero(np.abs(sampling.points[:, 2]) > 1 - 1e-9)
        assert len(poles) == 2
        east, north = (operator[poles] @ sampling.points for operator in mesh_derivatives(sampling))
        np.testing.assert_allclose(east, 0, atol=1e-12)
        sizes.append(np.abs(north).max())
    assert sizes[-1] < 0.03
    assert (np.array(sizes[1:]) < 0.6 * np.array(sizes[:-1])).all()


def test_eigenvalues_of_the_laplacian_are_those_of_the_sphere():
    errors = []
    for level in LEVELS:
        sampling = Icosahedral(level=level)
        laplacian, areas = mesh_laplacian(sampling), sampling.areas
        harmonics = real_harmonics(sampling.points, 4)
        degree = np.repeat(np.arange(5), 2 * np.arange(5) + 1)
        image = laplacian @ harmonics
        expected = -degree * (degree + 1)
        rayleigh = (areas @ (harmonics * image)) / (areas @ harmonics**2)
        errors.append(
            [
                np.abs(rayleigh[1:] / expected[1:] - 1).max(),
                _root_mean_square(image - expected * harmonics, areas[:, None] + 0 * image)
                / _root_mean_square(expected * harmonics, areas[:, None] + 0 * image),
            ]
        )
    errors = np.array(errors)
    assert errors[-1, 0] < 0.004
    assert errors[-1, 1] < 0.006
    # in the mean of second order
    assert (errors[1:, 0] < 0.35 * errors[:-1, 0]).all()
    assert (errors[1:, 1] < 0.5 * errors[:-1, 1]).all()


def test_laplacian_is_symmetric_in_the_product_weighted_by_area():
    sampling = Icosahedral(level=3)
    weighted = (mesh_laplacian(sampling).multiply(sampling.areas[:, None])).toarray()
    np.testing.assert_allclose(weighted, weighted.T, atol=1e-12)


def test_operators_see_neighbors_only():
    sampling = Icosahedral(level=3)
    spacing = np.sqrt(4 * np.pi / sampling.num_vertices)
    for operator in (*mesh_derivatives(sampling), mesh_laplacian(sampling)):
        rows, columns = operator.nonzero()
        distances = np.linalg.norm(sampling.points[rows] - sampling.points[columns], axis=1)
        assert distances.max() < 1.4 * spacing
        assert np.diff(operator.indptr).max() <= 7


def test_laplacian_commutes_with_all_symmetries_and_derivatives_with_turns_about_the_axis():
    sampling = Icosahedral(level=3)
    points = sampling.points
    signals = np.random.default_rng(0).standard_normal((sampling.num_vertices, 2))
    east, north = mesh_derivatives(sampling)
    laplacian = sampling.areas.mean() * mesh_laplacian(sampling)

    def commutator(operator, moved):
        turned = np.empty_like(signals)
        turned[moved] = signals
        expected = np.empty_like(signals)
        expected[moved] = operator @ signals
        return np.abs(operator @ turned - expected).max()

    num_turns = 0
    for moved in vertex_permutations(sampling):
        matrix = np.linalg.lstsq(points, points[moved], rcond=None)[0].T
        if np.linalg.det(matrix) < 0:
            continue
        assert commutator(laplacian, moved) < 1e-10
        about_axis = np.abs(matrix[2, 2] - 1) < 1e-6
        num_turns += about_axis
        errors = [commutator(operator, moved) for operator in (east, north)]
        assert max(errors) < 1e-10 if about_axis else min(errors) > 0.1
    assert num_turns == 5
