"""Universes, how empty their lines of sight can be, and draws from a prior."""

import numpy as np
import pytest

from deepsphere.data.cosmologies import (
    DEFAULT_COSMOLOGIES,
    Cosmology,
    draw_cosmologies,
    empty_beam_convergence,
    lognormal_shift,
)


def naive_empty_beam(omega_m: float, redshift: float) -> float:
    """Trapezoids on a fine grid of redshifts, in units of c/H_0."""
    z = np.linspace(0, redshift, 20001)
    slowness = 1 / np.sqrt(omega_m * (1 + z) ** 3 + 1 - omega_m)
    step = z[1]
    distance = np.concatenate([[0], np.cumsum((slowness[1:] + slowness[:-1]) / 2) * step])
    weight = (1 + z) * distance * (1 - distance / distance[-1]) * slowness
    return 1.5 * omega_m * float(((weight[1:] + weight[:-1]) / 2).sum() * step)


@pytest.mark.parametrize(("omega_m", "redshift"), [(0.31, 1.0), (0.26, 1.0), (0.4, 0.3), (1, 2.5)])
def test_empty_beam_is_the_integral(omega_m, redshift):
    found = empty_beam_convergence(Cosmology(omega_m, 0.8), redshift)
    assert found == pytest.approx(naive_empty_beam(omega_m, redshift), rel=1e-6)


def test_shifts_of_the_published_universes():
    shifts = [lognormal_shift(universe, 1.0) for universe in DEFAULT_COSMOLOGIES]
    assert shifts == pytest.approx([0.0341, 0.0305], abs=5e-5)
    assert shifts[0] / shifts[1] == pytest.approx(1.117, abs=5e-4)


def test_shift_is_the_fit_in_the_universe_of_the_fit():
    for z in (0.5, 1.0, 2.0):
        fit = 0.008 * z + 0.029 * z**2 - 0.0079 * z**3 + 0.00065 * z**4
        assert lognormal_shift(Cosmology(0.25, 0.9), z) == pytest.approx(fit, rel=1e-12)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"omega_m": 0.04, "sigma_8": 0.8}, r"omega_m must be larger than omega_b \(0.045\)"),
        ({"omega_m": 1.2, "sigma_8": 0.8}, "omega_m must be larger .* got 1.2; it counts all"),
        ({"omega_m": float("nan"), "sigma_8": 0.8}, "omega_m must be .* got nan"),
        ({"omega_m": 0.3, "sigma_8": 0.0}, r"sigma_8 must be in \[0.05, 3\], got 0"),
        ({"omega_m": 0.3, "sigma_8": 0.8, "hubble": 0.7}, r"hubble must be in \[20, 200\]"),
        ({"omega_m": 0.3, "sigma_8": 0.8, "omega_b": -1.0}, "omega_b must be in"),
        ({"omega_m": 0.3, "sigma_8": 0.8, "spectral_index": 9.0}, "spectral_index must be in"),
    ],
)
def test_numbers_that_make_no_universe_are_rejected(numbers, message):
    with pytest.raises(ValueError, match=message):
        Cosmology(**numbers)


@pytest.mark.parametrize("redshift", [0.0, -1.0, 4.5, float("nan")])
@pytest.mark.parametrize("function", [empty_beam_convergence, lognormal_shift])
def test_redshift_out_of_range_is_rejected(function, redshift):
    with pytest.raises(ValueError, match=r"redshift must be in \(0, 4\], got"):
        function(DEFAULT_COSMOLOGIES[0], redshift)


def test_draws_fill_the_rectangle_evenly():
    universes = draw_cosmologies(64, omega_m=(0.2, 0.4), sigma_8=(0.6, 1.0), seed=3)
    points = np.array([[one.omega_m, one.sigma_8] for one in universes])
    unit = (points - [0.2, 0.6]) / [0.2, 0.4]
    assert (unit >= 0).all()
    assert (unit <= 1).all()
    # of 64 points of a shifted Sobol sequence about 4 fall in each of 16 boxes, never none
    counts = np.histogram2d(*unit.T, bins=4, range=[[0, 1], [0, 1]])[0]
    assert counts.min() >= 1
    assert counts.max() <= 8


def test_fewer_draws_are_the_first_of_more_and_the_seed_matters():
    many = draw_cosmologies(20, seed=1)
    assert draw_cosmologies(5, seed=1) == many[:5]
    assert draw_cosmologies(20, seed=2) != many
    assert len(set(many)) == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num": 0}, "num must be at least 1, got 0"),
        ({"num": 4, "omega_m": (0.4, 0.2)}, "omega_m must be a smaller and a larger number"),
        ({"num": 4, "sigma_8": (0.8, 0.8)}, "sigma_8 must be a smaller and a larger number"),
        ({"num": 4, "omega_m": (0.01, 0.2)}, "omega_m must be larger than omega_b"),
    ],
)
def test_draws_from_no_range_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        draw_cosmologies(**options)
