"""Functions of the eigenvalues, against their formulas."""

import numpy as np
import pytest

from deepsphere.graph import (
    gaussian_band,
    heat,
    ideal_low_pass,
    itersine,
    mexican_hat,
    tikhonov,
)

EIGENVALUES = np.linspace(0, 7, 1001)


def test_functions_are_their_formulas():
    np.testing.assert_allclose(heat(0.3)(EIGENVALUES), np.e ** (-0.3 * EIGENVALUES))
    np.testing.assert_allclose(tikhonov(2.0)(EIGENVALUES) * (1 + 2 * EIGENVALUES), 1)
    assert ideal_low_pass(3.0)(EIGENVALUES).sum() == (EIGENVALUES <= 3).sum()
    band = gaussian_band(2.0, 0.5)(np.array([1.5, 2.0, 2.5]))
    np.testing.assert_allclose(band, [np.exp(-0.5), 1, np.exp(-0.5)])


@pytest.mark.parametrize("num_filters", [2, 3, 6, 11])
def test_itersine_is_a_tight_frame(num_filters):
    bank = itersine(7.0, num_filters=num_filters)
    assert len(bank) == num_filters
    np.testing.assert_allclose(sum(g(EIGENVALUES) ** 2 for g in bank), 1, atol=1e-14)


def test_itersine_bands_are_centered_in_order():
    centers = [EIGENVALUES[g(EIGENVALUES).argmax()] for g in itersine(7.0, num_filters=8)]
    np.testing.assert_allclose(centers, np.arange(8.0), atol=0.01)


def test_mexican_hat_is_a_low_pass_and_wavelets_without_mean():
    bank = mexican_hat(7.0, num_filters=5)
    assert len(bank) == 5
    zero = np.array([0.0])
    assert bank[0](zero)[0] == pytest.approx(1.2 / np.e)
    assert all(g(zero)[0] == 0 for g in bank[1:])
    # s λ exp(-s λ) is largest, 1/e, at 1/s: from λ_min / 2 = 0.175 up to λ_max
    peaks = [EIGENVALUES[g(EIGENVALUES).argmax()] for g in bank[1:]]
    assert peaks == sorted(peaks)
    assert (peaks[0], peaks[-1]) == (pytest.approx(0.175, abs=0.01), pytest.approx(7))


def test_mexican_hat_covers_the_spectrum():
    power = sum(g(EIGENVALUES) ** 2 for g in mexican_hat(7.0))
    assert power.min() > 0.05


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: heat(-1.0), r"time must be at least 0, got -1.0"),
        (lambda: tikhonov(-2.0), r"strength must be at least 0, got -2.0"),
        (lambda: ideal_low_pass(float("nan")), r"cutoff must be at least 0, got nan"),
        (lambda: gaussian_band(1.0, 0.0), r"bandwidth must be positive, got 0.0"),
        (lambda: itersine(2.0, num_filters=1), r"num_filters must be at least 2, got 1"),
        (lambda: mexican_hat(0.0), r"lambda_max must be positive, got 0.0"),
    ],
)
def test_bad_parameter_is_rejected(build, message):
    with pytest.raises(ValueError, match=message):
        build()
