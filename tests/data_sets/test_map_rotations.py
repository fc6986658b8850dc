"""Rotations of maps with resampling: exact where they can be, close to the rotated function."""

import healpy
import numpy as np
import pytest

from deepsphere.data.map_rotations import bilinear_weights, rotate_maps, rotated_values
from deepsphere.geometry import random_rotations, rotation_zyz
from deepsphere.sampling import Healpix


def random_points(num: int, *, seed: int = 0) -> np.ndarray:
    """Points everywhere, and some close to the poles and at the corners of the axes."""
    points = np.random.default_rng(seed).normal(size=(num, 3))
    points[: num // 4] *= (1e-2, 1e-2, 1)
    points = np.concatenate([points, np.eye(3), -np.eye(3)])
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def polar_error(nside: int) -> float:
    """Largest error where the gradient is one: on the ring of four pixels around a pole.

    Half-way between two of them, that are a quarter turn apart, the chord misses the circle.
    """
    return float(np.sqrt(2 / 3) / nside * (1 - np.cos(np.pi / 4)))


@pytest.mark.parametrize("nside", [1, 2, 4, 64])
def test_interpolation_is_that_of_healpy(nside):
    points = random_points(2000)
    signal = np.random.default_rng(1).normal(size=12 * nside**2)
    pixels, weights = bilinear_weights(nside, points)
    expected = healpy.get_interp_val(signal, *healpy.vec2ang(points), nest=True)
    # longitudes of both lose digits in proportion to the number of pixels of a ring
    np.testing.assert_allclose((signal[pixels] * weights).sum(axis=1), expected, atol=1e-9)


@pytest.mark.parametrize("nside", [1, 2, 16])
def test_weights_are_means_of_different_pixels(nside):
    pixels, weights = bilinear_weights(nside, random_points(1000))
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-14)
    ordered = np.sort(pixels, axis=1)
    assert (ordered[:, 1:] != ordered[:, :-1]).all()


@pytest.mark.parametrize("nside", [1, 2, 32])
def test_pixel_centers_take_their_own_value(nside):
    points = Healpix(nside).points
    signal = np.random.default_rng(1).normal(size=len(points))
    pixels, weights = bilinear_weights(nside, points)
    np.testing.assert_allclose((signal[pixels] * weights).sum(axis=1), signal, atol=1e-9)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_symmetry_of_the_sphere_permutes_the_pixels(ordering):
    """A quarter turn about the axis, which needs no interpolation."""
    sampling = Healpix(8, ordering=ordering)
    maps = np.random.default_rng(0).normal(size=(2, sampling.num_vertices, 3))
    turn = rotation_zyz(np.pi / 2, 0.0, 0.0)
    rotated = rotate_maps(maps, sampling, np.stack([turn, turn.T]))
    images = healpy.vec2pix(8, *(sampling.points @ turn.T).T, nest=ordering == "nested")
    np.testing.assert_allclose(rotated[0][images], maps[0], atol=1e-9)
    np.testing.assert_allclose(rotated[1], maps[1][images], atol=1e-9)


def test_rotated_map_is_that_of_healpy_in_harmonic_space():
    """A band-limited map: what is left is the smoothing, small at degrees far below nside."""
    nside, max_degree = 64, 8
    generator = np.random.default_rng(0)
    num = healpy.Alm.getsize(max_degree)
    alm = generator.normal(size=num) + 1j * generator.normal(size=num)
    alm[: max_degree + 1] = alm[: max_degree + 1].real
    alpha, beta, gamma = 0.7, 1.1, -0.4
    signal = healpy.alm2map(alm, nside)
    turned = alm.copy()
    healpy.rotate_alm(turned, gamma, beta, alpha)  # about z by gamma first
    expected = healpy.alm2map(turned, nside)
    rotation = rotation_zyz(alpha, beta, gamma)
    sampling = Healpix(nside, ordering="ring")
    rotated = rotate_maps(signal[None, :, None], sampling, rotation[None])[0, :, 0]
    # linear interpolation errs by up to h² f'' / 8 in each direction, f'' up to l (l + 1) f
    bound = 2 * np.pi / 3 / nside**2 / 8 * max_degree * (max_degree + 1)
    error = rotated - expected
    assert error.std() < bound * expected.std()
    assert bound < 0.005
    assert np.abs(error).max() < polar_error(nside) * max_degree * np.abs(expected).max()
    assert np.abs(signal - expected).max() > 0.5 * np.abs(expected).max()


def test_rotation_follows_the_rotated_function():
    points = Healpix(32).points
    rotations = random_rotations(3, seed=4)
    direction = np.array([0.6, 0.0, 0.8])
    maps = np.repeat((points @ direction)[None, :, None], 3, axis=0)
    rotated = rotate_maps(maps, Healpix(32), rotations)[..., 0]
    expected = points @ (rotations @ direction).T
    np.testing.assert_allclose(rotated, expected.T, atol=polar_error(32))
    assert (rotated - expected.T).std() < 2e-4


def test_pixels_of_a_rotated_map_are_those_of_the_whole():
    signal = np.random.default_rng(0).normal(size=(12 * 64**2, 2)).astype(np.float32)
    rotation = random_rotations(1, seed=0)
    whole = rotate_maps(signal[None], Healpix(64), rotation)[0]
    pixels = np.random.default_rng(1).permutation(len(signal))[:1000]
    part = rotated_values(signal, rotation[0], pixels)
    assert part.dtype == whole.dtype == np.float32
    np.testing.assert_array_equal(part, whole[pixels])


def test_maps_are_smoothed_as_stated():
    """Power that is left at l = nside."""
    nside = 32
    spectrum = np.zeros(3 * nside)
    spectrum[nside - 1 : nside + 2] = 1
    alm = np.zeros(healpy.Alm.getsize(3 * nside - 1), complex)
    degree, _ = healpy.Alm.getlm(3 * nside - 1)
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(2, len(alm)))
    alm[:] = np.sqrt(spectrum[degree]) * (noise[0] + 1j * noise[1])
    signal = healpy.alm2map(alm, nside)
    rotations = random_rotations(4, seed=0)
    maps = np.repeat(signal[None, :, None], 4, axis=0)
    rotated = rotate_maps(maps, Healpix(nside, ordering="ring"), rotations)
    assert 0.78 < rotated.var() / signal.var() < 0.84


def test_impossible_rotations_are_rejected(unchecked):
    maps = np.zeros((2, 48, 1))
    good = random_rotations(2, seed=0)
    with pytest.raises(ValueError, match="sampling must be a whole HEALPix sphere, got Subset"):
        rotate_maps(maps, Healpix(2).subset(np.arange(4)), good)
    with pytest.raises(ValueError, match=r"shape \(maps, 192 vertices, channels\), got \(2, 48"):
        rotate_maps(maps, Healpix(4), good)
    with pytest.raises(ValueError, match=r"rotations must have the shape \(2, 3, 3\).*\(1, 3, 3\)"):
        rotate_maps(maps, Healpix(2), good[:1])
    for bad in (2 * good, -good):
        with pytest.raises(ValueError, match="rotations must be orthogonal matrices"):
            rotate_maps(maps, Healpix(2), bad)
