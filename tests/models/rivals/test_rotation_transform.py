"""The Fourier transform on the rotations: exactness, normalization, real functions, rows."""

import numpy as np
import pytest
import torch

from deepsphere.geometry import rotation_zyz
from deepsphere.harmonics import real_harmonics, synthesize
from deepsphere.models.rivals.rotation_transform import RotationTransform
from deepsphere.models.rivals.sphere_transform import (
    SphereTransform,
    quadrature_weights,
    ring_colatitudes,
)
from deepsphere.models.rivals.wigner import wigner_d

SIZES = [(1, 1), (4, 4), (6, 3), (16, 10), (32, 22)]


def random_coefficients(num_degrees, *batch, seed=0):
    """Coefficients of real functions, as `RotationTransform.analyze` gives them."""
    num = num_degrees
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*batch, num, num, 2 * num - 1, dtype=torch.complex128, generator=generator)
    degree, row, column = torch.meshgrid(
        torch.arange(num), torch.arange(num), torch.arange(1 - num, num), indexing="ij"
    )
    values = values * ((row <= degree) & (column.abs() <= degree))
    signs = (-1.0) ** torch.arange(num)
    positive = values[..., 0, num - 1 :].clone()
    positive[..., 0] = positive[..., 0].real.to(positive.dtype)
    values[..., 0, num - 1 :] = positive
    values[..., 0, :num] = (signs * positive.conj()).flip(-1)
    return values


@pytest.mark.parametrize(("bandwidth", "num_degrees"), SIZES)
def test_analysis_inverts_synthesis(bandwidth, num_degrees):
    transform = RotationTransform(bandwidth, num_degrees=num_degrees).double()
    coefficients = random_coefficients(num_degrees, 2)
    samples = transform.synthesize(coefficients)
    torch.testing.assert_close(transform.analyze(samples), coefficients, atol=1e-10, rtol=0)
    single = RotationTransform(bandwidth, num_degrees=num_degrees)
    error = single.analyze(samples.float()) - coefficients
    assert error.abs().max() < 1e-5 * samples.abs().max()


def test_samples_match_the_sum_of_all_orders():
    bandwidth = 4
    coefficients = random_coefficients(bandwidth)
    samples = RotationTransform(bandwidth).double().synthesize(coefficients)
    angles = np.arange(2 * bandwidth) * np.pi / bandwidth
    expected = np.zeros((2 * bandwidth,) * 3, dtype=complex)
    for degree, matrices in enumerate(wigner_d(ring_colatitudes(bandwidth), bandwidth)):
        for row, column in np.ndindex(2 * degree + 1, 2 * degree + 1):
            m, n = row - degree, column - degree
            kept = coefficients[degree, abs(m), bandwidth - 1 + (n if m >= 0 else -n)].item()
            value = kept if m >= 0 else (-1) ** (m - n) * np.conj(kept)
            waves = np.exp(1j * (m * angles[:, None] + n * angles))
            expected += value * matrices[:, row, column, None, None] * waves
    np.testing.assert_allclose(expected.imag, 0, atol=1e-12)
    np.testing.assert_allclose(samples, expected.real, atol=1e-12)


def test_fewer_degrees_are_not_disturbed_by_the_others():
    samples = RotationTransform(7).double().synthesize(random_coefficients(7))
    some = RotationTransform(7, num_degrees=3).double().analyze(samples)
    torch.testing.assert_close(some, random_coefficients(7)[:3, :3, 4:9], atol=1e-12, rtol=0)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_batch_axes_are_kept(batch):
    transform = RotationTransform(3)
    coefficients = transform.analyze(torch.zeros(*batch, 6, 6, 6))
    assert coefficients.shape == (*batch, 3, 3, 5)
    assert transform.synthesize(coefficients).shape == (*batch, 6, 6, 6)


def test_parseval():
    bandwidth = 6
    coefficients = random_coefficients(bandwidth).numpy()
    transform = RotationTransform(bandwidth, num_degrees=bandwidth).double()
    finer = RotationTransform(2 * bandwidth, num_degrees=bandwidth).double()
    degrees = np.arange(bandwidth)[:, None]
    power = np.abs(coefficients) ** 2
    # m < 0 are conjugates
    both = power[:, 0].sum(-1) + 2 * power[:, 1:].sum((-1, -2))
    norm = (both / (2 * degrees[:, 0] + 1)).sum()
    squares = finer.synthesize(torch.from_numpy(coefficients)) ** 2
    weights = quadrature_weights(2 * bandwidth) / 2
    assert (squares.mean((-1, -2)).numpy() @ weights) == pytest.approx(norm, rel=1e-12)
    mean = RotationTransform(2 * bandwidth, num_degrees=1).double().analyze(squares)
    assert mean.real.item() == pytest.approx(norm, rel=1e-12)
    assert transform.analyze(torch.ones(12, 12, 12).double())[0, 0, 5].real.item() == pytest.approx(
        1
    )


def test_functions_of_a_direction_have_the_coefficients_of_maps():
    bandwidth = 5
    generator = np.random.default_rng(0)
    real = generator.normal(size=(bandwidth**2, 1))
    angles = np.arange(2 * bandwidth) * np.pi / bandwidth
    rotations = np.array(
        [
            [[rotation_zyz(alpha, beta, gamma) for gamma in angles] for alpha in angles]
            for beta in ring_colatitudes(bandwidth)
        ]
    )
    samples = (real_harmonics(rotations[..., 2].reshape(-1, 3), bandwidth - 1) @ real)[:, 0]
    transform = RotationTransform(bandwidth).double()
    coefficients = transform.analyze(torch.from_numpy(samples.reshape((2 * bandwidth,) * 3)))
    zonal = coefficients[..., bandwidth - 1]
    torch.testing.assert_close(coefficients.abs().sum(), zonal.abs().sum())
    maps = torch.from_numpy(samples.reshape((2 * bandwidth,) * 3)[:, :, 0])
    of_map = SphereTransform(bandwidth).double().analyze(maps)
    degree = torch.arange(bandwidth, dtype=torch.float64)[:, None]
    signs = (-1.0) ** torch.arange(bandwidth)
    torch.testing.assert_close(zonal, of_map * signs * ((2 * degree + 1) / (4 * np.pi)).sqrt())
    assert synthesize(real, rotations[0, 0, 0][None, :, 2]).item() == pytest.approx(samples[0])


def test_rows_hold_each_coefficient_once():
    num = 5
    transform = RotationTransform(num)
    used = transform.coefficient_of_degree_row
    assert len(used) == sum(4 * (degree + 1) ** 2 for degree in range(num))
    assert len(used.unique()) == len(used)
    numbers = torch.full((4 * num**3,), -1)
    numbers[used] = used
    by_order = numbers[transform.coefficient_of_order_row]
    back = by_order[transform.order_row_of_coefficient]
    torch.testing.assert_close(back[used], used)
    # left-over slots name a place that no coefficient has
    assert set(by_order[by_order >= 0].tolist()) == set(used.tolist())


def test_double_precision_is_computed_again():
    transform = RotationTransform(3).double()
    expected = RotationTransform(3).to(torch.float64)
    torch.testing.assert_close(
        transform.matrices["beta_analysis"], expected.matrices["beta_analysis"], atol=0, rtol=0
    )
    rounded = RotationTransform(3).matrices["beta_analysis"].double()
    assert not torch.equal(rounded, transform.matrices["beta_analysis"])


def test_transform_has_nothing_to_save():
    assert RotationTransform(3).state_dict() == {}


def test_more_degrees_than_the_bandwidth_are_rejected():
    with pytest.raises(ValueError, match="num_degrees must"):
        RotationTransform(4, num_degrees=5)


def test_samples_of_another_grid_are_rejected():
    message = r"samples must have shape \(\*batch, 8 β, 8 α, 8 γ\), got \(8, 8, 6\); sample them"
    with pytest.raises(ValueError, match=message):
        RotationTransform(4).analyze(torch.zeros(8, 8, 6))


def test_coefficients_of_other_degrees_are_rejected():
    with pytest.raises(ValueError, match=r"4 degrees, 4 orders m, 7 orders n\), got \(3, 3, 5\)"):
        RotationTransform(4).synthesize(torch.zeros(3, 3, 5, dtype=torch.complex64))
