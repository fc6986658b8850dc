"""The fit that rotates outputs, against the one by orthogonal factors."""

import numpy as np
import pytest

from deepsphere.equivariance import harmonic_fit
from deepsphere.equivariance.harmonic_fit import HarmonicFit, harmonic_values
from deepsphere.geometry import random_rotations
from deepsphere.harmonics import analyze, rotate_signal, synthesize
from deepsphere.sampling import Equiangular, Healpix, RandomUniform, Subset

SAMPLINGS = [
    (Healpix(nside=4), 11),
    (Equiangular(nlat=12, poles=2), 9),
    (RandomUniform(400, seed=0), 11),
]
RANDOM = np.random.default_rng(0)


@pytest.fixture(params=["factored", "iterated"])
def way(request, monkeypatch):
    """Both ways of solving the normal equations."""
    if request.param == "iterated":
        monkeypatch.setattr(harmonic_fit, "_MOST_FACTORED", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("sampling", "degree"), SAMPLINGS, ids=lambda value: str(value))
def test_fit_is_the_least_squares_solution(sampling, degree, monkeypatch):
    monkeypatch.setattr(harmonic_fit, "_VALUES_AT_ONCE", 5000)  # several blocks
    signals = RANDOM.standard_normal((2, sampling.num_vertices, 3))
    expected = analyze(signals, sampling.points, sampling.areas, degree)
    found = HarmonicFit(sampling, degree).coefficients(signals)
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


def test_signals_rotated_together_are_those_rotated_alone():
    sampling = Healpix(nside=4)
    fit = HarmonicFit(sampling, 8)
    signals = [RANDOM.standard_normal((2, 192, 3)), RANDOM.standard_normal((1, 192, 5))]
    (rotation,) = random_rotations(1, seed=0)
    together = fit.rotated([fit.coefficients(each) for each in signals], rotation)
    for each, rotated in zip(signals, together, strict=True):
        alone = rotate_signal(each, sampling.points, rotation, max_degree=8, areas=sampling.areas)
        assert np.allclose(rotated, alone, atol=1e-10)


def test_values_are_those_of_the_synthesis(monkeypatch):
    monkeypatch.setattr(harmonic_fit, "_VALUES_AT_ONCE", 100)
    coefficients = RANDOM.standard_normal((2, 16, 3))
    points = Healpix(nside=2).points
    assert np.allclose(harmonic_values(coefficients, points), synthesize(coefficients, points))


@pytest.mark.usefixtures("way")
def test_points_with_a_large_hole_are_rejected():
    cap = Subset(Healpix(nside=8), Healpix(nside=8).points[:, 2] > 0.5)
    with pytest.raises(ValueError, match="do not determine the harmonics up to degree 10"):
        HarmonicFit(cap, 10).coefficients(RANDOM.standard_normal((cap.num_vertices, 1)))


def test_more_harmonics_than_vertices_are_rejected():
    with pytest.raises(ValueError, match="between 0 and 5 on 48 vertices, got 6"):
        HarmonicFit(Healpix(nside=2), 6)
