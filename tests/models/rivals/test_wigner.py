"""Wigner's d-matrices against their definition, their laws and another code."""

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from deepsphere.models.rivals.wigner import wigner_d

ANGLES = np.array([0.0, 1e-3, 0.1, 1.0, np.pi / 2, 2.5, np.pi - 1e-3, np.pi])


def _exponential(degree, angle):
    """exp(-i β J_y), by the eigenvalues of J_y, which are the whole numbers from -l to l."""
    order = np.arange(-degree, degree)
    ladder = np.diag(np.sqrt(degree * (degree + 1) - order * (order + 1.0)), k=-1)
    generator = (ladder - ladder.T) / 2j
    values, vectors = np.linalg.eigh(generator)
    return (vectors * np.exp(-1j * angle * values.round())) @ vectors.conj().T


def _from_complex_to_real(degree):
    """Rows: real harmonics without the phase of Condon and Shortley; columns: complex ones."""
    matrix = np.zeros((2 * degree + 1, 2 * degree + 1), dtype=complex)
    matrix[degree, degree] = 1
    for order in range(1, degree + 1):
        phase = (-1.0) ** order
        matrix[degree + order, [degree + order, degree - order]] = phase, 1
        matrix[degree - order, [degree + order, degree - order]] = -1j * phase, 1j
        matrix[[degree + order, degree - order]] /= np.sqrt(2)
    return matrix


@pytest.mark.parametrize("degree", [1, 2, 7, 40, 128])
def test_matrices_are_exponentials_of_the_generator(degree):
    matrices = wigner_d(ANGLES, degree + 1)[degree]
    expected = np.stack([_exponential(degree, angle) for angle in ANGLES])
    np.testing.assert_allclose(matrices, expected, atol=1e-12)


def test_first_degrees_match_their_formulas():
    cos, sin = np.cos(ANGLES), np.sin(ANGLES)
    constant, linear, square = wigner_d(ANGLES, 3)
    assert (constant == 1).all()
    np.testing.assert_allclose(linear[:, 1, 1], cos, atol=1e-15)
    np.testing.assert_allclose(linear[:, 2, 1], -sin / np.sqrt(2), atol=1e-15)
    np.testing.assert_allclose(linear[:, 2, 0], (1 - cos) / 2, atol=1e-15)
    np.testing.assert_allclose(square[:, 2, 2], (3 * cos**2 - 1) / 2, atol=1e-15)
    np.testing.assert_allclose(square[:, 4, 2], np.sqrt(3 / 8) * sin**2, atol=1e-15)
    np.testing.assert_allclose(square[:, 3, 3], (1 + cos) * (2 * cos - 1) / 2, atol=1e-15)


def test_matrices_are_orthogonal_at_high_degrees():
    for degree in (0, 64, 127):
        matrices = wigner_d(ANGLES, 128)[degree]
        identity = np.broadcast_to(np.eye(2 * degree + 1), matrices.shape)
        np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), identity, atol=1e-12)


def test_turns_about_one_axis_add_up():
    for one, other, both in zip(
        *(wigner_d(np.array([angle]), 60) for angle in (0.4, 1.1, 1.5)), strict=True
    ):
        np.testing.assert_allclose(one[0] @ other[0], both[0], atol=1e-12)


def test_symmetries():
    degree = 9
    matrices = wigner_d(ANGLES, degree + 1)[degree]
    orders = np.arange(-degree, degree + 1)
    signs = (-1.0) ** np.abs(orders[:, None] - orders)
    np.testing.assert_allclose(matrices[:, ::-1, ::-1], signs * matrices, atol=1e-13)
    np.testing.assert_allclose(matrices.swapaxes(1, 2), signs * matrices, atol=1e-13)


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_rotations_of_real_harmonics_match_e3nn(degree):
    alpha, beta, gamma = 0.3, 1.2, -0.7
    orders = np.arange(-degree, degree + 1)
    small = wigner_d(np.array([beta]), degree + 1)[degree][0]
    matrix = np.exp(-1j * orders[:, None] * alpha) * small * np.exp(-1j * orders * gamma)
    # harmonics f_m(R⁻¹x) = Σ D_nm(R) f_n(x), for coefficients of real harmonics
    to_real = _from_complex_to_real(degree)
    real = to_real.conj() @ matrix @ to_real.T
    np.testing.assert_allclose(real.imag, 0, atol=1e-12)
    # e3nn's y axis is our z axis, and its z axis our x axis
    turn = Rotation.from_euler("ZYZ", [alpha, beta, gamma]).as_matrix()
    cycle = np.eye(3)[[1, 2, 0]]
    rotation = torch.as_tensor(cycle @ turn @ cycle.T)
    angles = o3.matrix_to_angles(rotation)
    np.testing.assert_allclose(real.real, o3.wigner_D(degree, *angles).numpy(), atol=1e-6)


def test_angles_beyond_pi_are_rejected():
    with pytest.raises(ValueError, match=r"angles must be between 0 and pi, got -0\.5; a turn by"):
        wigner_d(np.array([1.0, -0.5]), 3)


def test_no_degree_is_rejected():
    with pytest.raises(ValueError, match="num_degrees must be"):
        wigner_d(ANGLES, 0)
