"""The harmonic transform of the rivals, against the library's own harmonics."""

import copy

import numpy as np
import pytest
import torch

from deepsphere import harmonics
from deepsphere.geometry import rotation_zyz
from deepsphere.models.rivals.sphere_transform import (
    SphereTransform,
    legendre_functions,
    quadrature_weights,
)
from deepsphere.sampling import Equiangular

EXACT = 1e-10  # of float64 sums over a few thousand terms of size one
SINGLE = 1e-5


def _coefficients(transform, *batch, seed=0):
    """Random coefficients of real maps: only m ≤ l, and order 0 real."""
    size = transform.max_degree + 1
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*batch, size, size, dtype=torch.complex128, generator=generator).tril()
    values[..., 0] = values[..., 0].real.to(values.dtype)
    return values


def _real_of_complex(coefficients):
    """In the order of `deepsphere.harmonics`: column l² + l + m."""
    size = coefficients.shape[-1]
    real = np.zeros((*coefficients.shape[:-2], size**2))
    for degree in range(size):
        center = degree**2 + degree
        real[..., center] = coefficients[..., degree, 0].real
        for order in range(1, degree + 1):
            value = np.sqrt(2) * coefficients[..., degree, order].numpy()
            real[..., center + order] = value.real
            real[..., center - order] = -value.imag
    return real


@pytest.mark.parametrize("bandwidth", [1, 2, 5, 16])
def test_quadrature_integrates_polynomials_below_twice_the_bandwidth(bandwidth):
    weights = quadrature_weights(bandwidth)
    z = np.cos(Equiangular(2 * bandwidth).colatitudes)
    for degree in range(2 * bandwidth):
        expected = 2 / (degree + 1) if degree % 2 == 0 else 0
        assert weights @ z**degree == pytest.approx(expected, abs=1e-13)
    # the Chebyshev polynomial of the next degree is zero on all rings, and its integral is not
    assert weights @ np.cos(2 * bandwidth * np.arccos(z)) == pytest.approx(0, abs=1e-13)
    assert (weights > 0).all()


@pytest.mark.parametrize(("bandwidth", "max_degree"), [(1, 0), (2, 1), (6, 5), (8, 3), (32, 31)])
def test_analysis_inverts_synthesis(bandwidth, max_degree):
    transform = SphereTransform(bandwidth, max_degree=max_degree).double()
    coefficients = _coefficients(transform, 2, 3)
    back = transform.analyze(transform.synthesize(coefficients))
    torch.testing.assert_close(back, coefficients, atol=EXACT, rtol=0)
    single = SphereTransform(bandwidth, max_degree=max_degree)
    back = single.analyze(single.synthesize(coefficients.to(torch.complex64)))
    torch.testing.assert_close(back, coefficients.to(torch.complex64), atol=SINGLE, rtol=SINGLE)


@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3)])
def test_synthesis_and_analysis_are_those_of_the_harmonics(shape):
    transform = SphereTransform(5).double()
    sampling = Equiangular.soft(5)
    coefficients = _coefficients(transform, *shape)
    maps = transform.synthesize(coefficients)
    assert maps.shape == (*shape, 10, 10)
    real = _real_of_complex(coefficients)
    expected = harmonics.synthesize(real[..., None], sampling.points)[..., 0]
    np.testing.assert_allclose(maps.flatten(-2), expected, atol=EXACT)
    if 0 not in shape:
        analyzed = harmonics.analyze(expected[..., None], sampling.points, None, 4)[..., 0]
        np.testing.assert_allclose(_real_of_complex(transform.analyze(maps)), analyzed, atol=EXACT)


def test_columns_hold_the_real_harmonics():
    transform = SphereTransform(4, max_degree=2).double()
    sampling = Equiangular.soft(4)
    coefficients = np.random.default_rng(0).normal(size=(9, 3))
    maps = torch.from_numpy(harmonics.synthesize(coefficients, sampling.points)).view(8, 8, 3)
    maps = maps.transpose(0, 1).contiguous()  # longitude first
    columns = transform.analyze_columns(maps)
    expected = torch.zeros(6, 3, 3, dtype=torch.float64)
    for degree in range(3):
        for order in range(-degree, degree + 1):
            wave = 2 * order if order >= 0 else -2 * order + 1
            row = coefficients[degree**2 + degree + order]
            expected[wave, degree] = torch.from_numpy(row)
    torch.testing.assert_close(columns, expected, atol=EXACT, rtol=0)
    torch.testing.assert_close(transform.synthesize_columns(columns), maps)


def test_low_degrees_of_a_finer_map_are_those_of_its_coarser_map():
    fine, coarse = SphereTransform(8, max_degree=3).double(), SphereTransform(4).double()
    full = SphereTransform(8).double()
    coefficients = _coefficients(full)
    low = fine.analyze(full.synthesize(coefficients))
    torch.testing.assert_close(low, coefficients[:4, :4], atol=EXACT, rtol=0)
    maps = coarse.synthesize(low)
    torch.testing.assert_close(coarse.analyze(maps), low, atol=EXACT, rtol=0)


def test_energy_of_a_map_is_that_of_its_coefficients():
    bandwidth = 6
    transform = SphereTransform(bandwidth, max_degree=5).double()
    coefficients = _coefficients(transform)
    maps = transform.synthesize(coefficients).numpy()
    energy = quadrature_weights(bandwidth) @ (maps**2).sum(-1) * np.pi / bandwidth
    twice = np.where(np.arange(6) > 0, 2, 1)  # orders m and −m
    assert energy == pytest.approx((twice * coefficients.abs().numpy() ** 2).sum(), rel=1e-12)


def test_turning_about_the_poles_is_a_phase():
    transform = SphereTransform(6).double()
    coefficients = _coefficients(transform)
    maps = transform.synthesize(coefficients)
    phases = torch.exp(-1j * np.pi / 6 * 2 * torch.arange(6, dtype=torch.float64))
    turned = transform.synthesize(coefficients * phases)
    torch.testing.assert_close(turned, maps.roll(2, dims=-1), atol=EXACT, rtol=0)


def test_rotated_maps_have_the_coefficients_of_the_rotated_function():
    bandwidth = 5
    transform = SphereTransform(bandwidth).double()
    sampling = Equiangular.soft(bandwidth)
    rotation = rotation_zyz(0.3, 1.1, -0.7)
    coefficients = _coefficients(transform)
    maps = transform.synthesize(coefficients)
    signals = maps.reshape(-1, 1).numpy()
    rotated = harmonics.rotate_signal(signals, sampling.points, rotation, max_degree=4)
    analyzed = transform.analyze(torch.from_numpy(rotated).view(10, 10))
    # a rotation mixes orders within a degree: its power stays
    real, turned = _real_of_complex(coefficients), _real_of_complex(analyzed)
    before, after = (harmonics.power_spectrum(values[:, None]) for values in (real, turned))
    np.testing.assert_allclose(after, before, atol=EXACT)
    expected = harmonics.synthesize(real[:, None], sampling.points @ rotation)
    np.testing.assert_allclose(transform.synthesize(analyzed).reshape(-1, 1), expected, atol=EXACT)


def test_what_has_no_harmonic_is_ignored():
    transform = SphereTransform(4).double()
    coefficients = _coefficients(transform)
    noisy = coefficients + torch.ones(4, 4, dtype=torch.complex128).triu(1)
    noisy[:, 0] += 3j
    torch.testing.assert_close(transform.synthesize(noisy), transform.synthesize(coefficients))


def test_legendre_functions_are_orthonormal_on_the_rings():
    functions = legendre_functions(6, 4)
    products = np.einsum("mlj,mkj,j->mlk", functions, functions, quadrature_weights(6))
    for order in range(5):
        expected = np.diag(np.arange(5) >= order) / (2 * np.pi)
        np.testing.assert_allclose(products[order], expected, atol=1e-13)


def test_gradients_are_right():
    transform = SphereTransform(3, max_degree=1).double()
    maps = torch.randn(2, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform.analyze, maps)
    coefficients = torch.randn(2, 2, 2, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(transform.synthesize, coefficients)


def test_double_precision_is_computed_anew_and_nothing_is_saved():
    transform = SphereTransform(8)
    assert transform.state_dict() == {}
    twice = copy.deepcopy(transform).double()
    assert torch.equal(twice.float().fixed["legendre"], transform.fixed["legendre"])
    exact = torch.from_numpy(legendre_functions(8, 7))
    assert torch.equal(transform.double().fixed["legendre"][::2], exact)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidth": 0}, "bandwidth must be at least 1, got 0"),
        ({"bandwidth": 4, "max_degree": 4}, "max_degree must be between 0 and 3, got 4"),
        ({"bandwidth": 4, "max_degree": -1}, "max_degree must be between 0 and 3, got -1"),
    ],
)
def test_sizes_out_of_range_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        SphereTransform(**arguments)
    with pytest.raises(ValueError, match="bandwidth must be at least 1, got 0"):
        quadrature_weights(0)


def test_other_shapes_are_rejected():
    transform = SphereTransform(4, max_degree=2)
    with pytest.raises(ValueError, match=r"maps must have shape \(\*batch, 8 rings, 8 meridians\)"):
        transform.analyze(torch.zeros(3, 8, 16))
    with pytest.raises(ValueError, match=r"shape \(\*batch, 3 degrees, 3 orders\), got \(4, 4\)"):
        transform.synthesize(torch.zeros(4, 4, dtype=torch.complex64))
