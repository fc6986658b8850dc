"""The dense task of the experiment on blocks: its fields, their gradients, its rotation error."""

import numpy as np
import pytest
import torch

from deepsphere.experiments.blocks_config import MapsSection
from deepsphere.experiments.blocks_maps import make_maps, squared_gradient, zonal_coefficients
from deepsphere.experiments.blocks_unet import rotation_error
from deepsphere.geometry import random_rotations
from deepsphere.harmonics import real_harmonics, synthesize
from deepsphere.sampling import Fibonacci, Healpix

STEP_ERROR = 1e-6  # of the central difference, relative to a gradient of order one


def test_squared_gradient_of_a_quadratic_polynomial():
    # f = x y on the sphere: |grad f|² = |(y, x, 0)|² - (x · (y, x, 0))² = x² + y² - 4 x² y²
    points = Fibonacci(50).points
    x, y, _ = points.T
    harmonics = real_harmonics(points, 2)
    coefficients = np.linalg.lstsq(harmonics, x * y, rcond=None)[0][:, None]
    expected = x**2 + y**2 - 4 * x**2 * y**2
    measured = squared_gradient(coefficients, points)[:, 0]
    np.testing.assert_allclose(measured, expected, atol=STEP_ERROR)


def test_squared_gradient_turns_with_the_field():
    points = Fibonacci(40).points
    coefficients = zonal_coefficients(1, max_degree=5, zonal_share=1.0, seed=3)[0]
    rotation = random_rotations(1, seed=4)[0]
    dense = Healpix(4).points
    # the coefficients of f(Rᵀ x), by a fit on other points
    turned = np.linalg.lstsq(
        real_harmonics(dense, 5), synthesize(coefficients, dense @ rotation), rcond=None
    )[0]
    np.testing.assert_allclose(
        squared_gradient(turned, points),
        squared_gradient(coefficients, points @ rotation),
        rtol=1e-5,
        atol=STEP_ERROR,
    )


def test_fields_have_unit_variance_shared_by_all_degrees():
    coefficients = zonal_coefficients(4000, max_degree=4, zonal_share=0.5, seed=0)[..., 0]
    degrees = np.repeat(np.arange(5), 2 * np.arange(5) + 1)
    # the mean over the sphere of Y² is 1 / 4π
    power = [(coefficients[:, degrees == degree] ** 2).sum(1).mean() for degree in range(5)]
    expected = 4 * np.pi * np.array([0, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(power, expected, rtol=0.1)


def test_orders_are_limited_by_the_share_of_the_degree():
    kept = zonal_coefficients(3, max_degree=6, zonal_share=1 / 3, seed=0)[..., 0].any(0)
    pairs = [(degree, order) for degree in range(7) for order in range(-degree, degree + 1)]
    expected = [degree > 0 and abs(order) <= degree / 3 for degree, order in pairs]
    assert kept.tolist() == expected


def test_more_fields_to_learn_from_leave_the_scored_ones_as_they_are():
    sampling = Healpix(2)
    few, many = (
        make_maps(MapsSection(max_degree=2, num_train=num, num_scored=3), sampling)
        for num in (4, 8)
    )
    # both are standardized by what is learned from, so up to a factor
    ratio = few.rotated[0] / many.rotated[0]
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.flatten()[0])))
    assert few.rotations.tolist() == many.rotations.tolist()


def test_maps_are_standardized_and_rotated_ones_are_not_learned_from():
    maps = make_maps(MapsSection(max_degree=3, num_train=20, num_scored=2), Healpix(4))
    for part in maps.train:
        assert part.shape == (20, 192, 1)
        assert float(part.std()) == pytest.approx(1.0, rel=1e-3)
    assert abs(float(maps.train[1].mean())) < 1e-4
    assert not torch.allclose(maps.unrotated[0], maps.rotated[0], atol=0.1)
    assert maps.target_degree == 6


def test_targets_of_the_maps_are_equivariant():
    sampling = Healpix(4)
    maps = make_maps(MapsSection(max_degree=3, num_train=20, num_scored=4), sampling)
    error = rotation_error(
        maps.unrotated[1],
        maps.rotated[1],
        maps.rotations,
        sampling,
        max_degree=maps.target_degree,
    )
    assert error < 1e-5  # float32


def test_rotation_error_of_a_known_disturbance():
    sampling = Healpix(4)
    maps = make_maps(MapsSection(max_degree=2, num_train=20, num_scored=4), sampling)
    fields, rotated = maps.unrotated[0], maps.rotated[0]
    disturbed = rotated * 1.25
    error = rotation_error(fields, disturbed, maps.rotations, sampling, max_degree=2)
    assert error == pytest.approx(0.25, rel=1e-4)
