import numpy as np
import pytest
from scipy.special import eval_legendre, sph_harm_y

from deepsphere.geometry import points_to_lonlat, random_rotations, rotation_zyz
from deepsphere.harmonics import (
    analyze,
    power_spectrum,
    real_harmonics,
    rotate_signal,
    synthesize,
)
from deepsphere.sampling import Equiangular, GaussLegendre, Healpix, Icosahedral

# The recurrence loses about one unit of rounding per degree.
ROUNDING = 1e-13


def random_points(num: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((num, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def random_coefficients(max_degree: int, *batch: int, seed: int = 0) -> np.ndarray:
    shape = (*batch[:-1], (max_degree + 1) ** 2, batch[-1])
    return np.random.default_rng(seed).standard_normal(shape)


def test_harmonics_equal_those_of_scipy():
    points = np.concatenate([random_points(50), np.eye(3), -np.eye(3)])
    lon, lat = points_to_lonlat(points)
    harmonics = real_harmonics(points, 12)
    for degree in range(13):
        for order in range(-degree, degree + 1):
            # scipy has the Condon-Shortley phase (−1)^m
            wave = sph_harm_y(degree, abs(order), np.pi / 2 - lat, lon) * (-1) ** order
            expected = (
                wave.real if order == 0 else np.sqrt(2) * (wave.real if order > 0 else wave.imag)
            )
            column = harmonics[:, degree * degree + degree + order]
            np.testing.assert_allclose(column, expected, atol=ROUNDING)


def test_harmonics_are_orthonormal():
    max_degree = 20
    quadrature = GaussLegendre(nlat=max_degree + 1, nlon=2 * max_degree + 1)
    harmonics = real_harmonics(quadrature.points, max_degree)
    gram = harmonics.T @ (quadrature.areas[:, None] * harmonics)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=ROUNDING * max_degree)


@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40, 300])
def test_addition_theorem(degree):
    x, y = random_points(20, seed=1), random_points(20, seed=2)
    block = slice(degree**2, (degree + 1) ** 2)
    sums = real_harmonics(x, degree)[:, block] @ real_harmonics(y, degree)[:, block].T
    legendre = eval_legendre(degree, np.clip(x @ y.T, -1, 1))
    np.testing.assert_allclose(
        sums, (2 * degree + 1) / (4 * np.pi) * legendre, atol=ROUNDING * (degree + 1) ** 2
    )


def test_sum_of_squares_is_constant_up_to_high_degree():
    points = np.concatenate([random_points(3), [[0, 0, 1.0], [1e-8, 0, 1], [1e-3, 0, 1]]])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    harmonics = real_harmonics(points, 1000)
    squares = np.sum(harmonics[:, 1000**2 :] ** 2, axis=1)
    np.testing.assert_allclose(squares, 2001 / (4 * np.pi), rtol=1e-9)


@pytest.mark.parametrize("max_degree", [-1, 1501])
def test_degree_out_of_range_is_rejected(max_degree):
    with pytest.raises(
        ValueError, match=f"max_degree must be between 0 and 1500, got {max_degree}"
    ):
        real_harmonics(random_points(2), max_degree)


@pytest.mark.parametrize(
    "sampling", [Healpix(4), Equiangular(12), Icosahedral(4), GaussLegendre(10)], ids=repr
)
@pytest.mark.parametrize("weighted", [True, False])
def test_analysis_inverts_synthesis(sampling, weighted):
    coefficients = random_coefficients(6, 2, 3)
    signals = synthesize(coefficients, sampling.points)
    assert signals.shape == (2, sampling.num_vertices, 3)
    areas = sampling.areas if weighted else None
    np.testing.assert_allclose(
        analyze(signals, sampling.points, areas, 6), coefficients, atol=1e-12
    )


def test_analysis_is_the_weighted_least_squares():
    sampling = Equiangular(8)
    signals = np.random.default_rng(0).standard_normal((sampling.num_vertices, 1))
    fit = analyze(signals, sampling.points, sampling.areas, 3)
    harmonics = real_harmonics(sampling.points, 3)
    # the residual is orthogonal, with the areas as weights, to every harmonic
    residual = signals - harmonics @ fit
    np.testing.assert_allclose(harmonics.T @ (sampling.areas[:, None] * residual), 0, atol=1e-13)


def test_analysis_without_batch():
    signals = Healpix(2).points
    assert analyze(signals, signals, None, 2).shape == (9, 3)


@pytest.mark.parametrize("shape", [(47, 2), (48,), (2, 48)])
def test_signals_of_other_points_are_rejected(shape):
    with pytest.raises((ValueError, TypeError), match="vertices"):
        analyze(np.zeros(shape), Healpix(2).points, None, 2)


def test_more_coefficients_than_points_are_rejected():
    with pytest.raises(ValueError, match=r"must be at most 5 for 48 points.*got 6"):
        analyze(np.zeros((48, 1)), Healpix(2).points, None, 6)


def test_points_that_do_not_determine_the_fit_are_rejected():
    cap = Healpix(8).points[Healpix(8).points[:, 2] > 0.9]
    with pytest.raises(ValueError, match="do not determine the harmonics up to max_degree=4"):
        analyze(np.zeros((len(cap), 1)), cap, None, 4)


@pytest.mark.parametrize("degree", [0, 1, 5])
def test_rotation_stays_within_the_degree(degree):
    sampling = Healpix(8)
    coefficients = np.zeros((64, 1))
    block = slice(degree**2, (degree + 1) ** 2)
    coefficients[block] = np.random.default_rng(0).standard_normal((2 * degree + 1, 1))
    signals = synthesize(coefficients, sampling.points)
    rotation = random_rotations(1, seed=3)[0]
    rotated = rotate_signal(signals, sampling.points, rotation, max_degree=7)
    spectrum = power_spectrum(analyze(rotated, sampling.points, None, 7))
    np.testing.assert_allclose(spectrum, power_spectrum(coefficients), atol=1e-13)


def test_rotated_signal_is_the_function_at_the_turned_back_points():
    sampling, rotation = Healpix(4), random_rotations(1, seed=4)[0]

    def function(points):
        x, y, z = points.T
        return (x * y + z**3 - 0.3 * y)[:, None]

    rotated = rotate_signal(
        function(sampling.points), sampling.points, rotation, max_degree=3, areas=sampling.areas
    )
    turned_back = np.array([np.linalg.inv(rotation) @ point for point in sampling.points])
    np.testing.assert_allclose(rotated, function(turned_back), atol=1e-13)


def test_rotations_compose():
    sampling = Icosahedral(4)
    first, second = random_rotations(2, seed=5)
    signals = synthesize(random_coefficients(4, 2, 1), sampling.points)

    def rotate(signals, rotation):
        return rotate_signal(signals, sampling.points, rotation, max_degree=4)

    np.testing.assert_allclose(
        rotate(rotate(signals, first), second), rotate(signals, second @ first), atol=1e-12
    )


def test_rotation_about_the_axis_is_a_shift_of_the_grid():
    grid = Equiangular(nlat=10, nlon=20)
    signals = synthesize(random_coefficients(4, 1), grid.points)
    turn = rotation_zyz(3 * 2 * np.pi / 20, 0.0, 0.0)
    shifted = np.roll(grid.to_grid(signals), 3, axis=1)
    rotated = rotate_signal(signals, grid.points, turn, max_degree=4, areas=grid.areas)
    np.testing.assert_allclose(grid.to_grid(rotated), shifted, atol=1e-12)


def test_power_spectrum_is_the_mean_square_of_each_degree():
    coefficients = random_coefficients(3, 2, 1)
    spectrum = power_spectrum(coefficients)
    assert spectrum.shape == (2, 4, 1)
    for degree in range(4):
        block = coefficients[:, degree**2 : (degree + 1) ** 2]
        np.testing.assert_allclose(spectrum[:, degree], np.mean(block**2, axis=1))


@pytest.mark.parametrize("shape", [(5, 1), (0, 1)])
def test_number_of_coefficients_that_is_no_square_is_rejected(shape):
    with pytest.raises(ValueError, match=r"\(max_degree \+ 1\)², channels\), got \(\d, 1\)"):
        power_spectrum(np.zeros(shape))
