"""Kriging with a drift: what others tell is what leaving a station out tells, by plain algebra."""

import numpy as np
import pytest

from deepsphere.data.drift_kriging import MOST_STATIONS, DriftKriging
from deepsphere.sampling import Fibonacci, RandomUniform

STATIONS = RandomUniform(40)
ELEVATION = np.random.default_rng(1).normal(size=40)


def naive(values: np.ndarray, seen: np.ndarray, station: int) -> float:
    """The posterior mean at a station, given the others, by one dense system."""
    points = STATIONS.points
    others = np.flatnonzero(seen & (np.arange(40) != station))
    drift = np.stack([np.ones(40), points[:, 2], points[:, 2] ** 2, ELEVATION], axis=1)
    angles = np.arccos(np.clip(points @ points.T, -1, 1))
    covariance = np.exp(-angles * 6371 / 4000) + 100 * drift @ drift.T
    center = values[seen].mean()
    system = covariance[np.ix_(others, others)] + 0.01 * np.eye(len(others))
    weights = np.linalg.solve(system, covariance[others, station])
    return float(center + weights @ (values[others] - center))


@pytest.mark.parametrize("num_usable", [40, 31])
def test_what_others_tell_is_that_of_a_dense_system(num_usable: int) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, 40)) + 300
    observed = generator.random((3, 40)) < 0.6
    usable = np.arange(40) < num_usable
    kriging = DriftKriging(STATIONS, ELEVATION, usable)
    told = kriging.of_others(values, observed)
    for day in range(3):
        seen = observed[day] & usable
        expected = [naive(values[day], seen, station) for station in range(40)]
        np.testing.assert_allclose(told[day], expected, rtol=0, atol=1e-6)
    filled = kriging(values, observed)
    np.testing.assert_array_equal(filled[observed], values[observed])
    np.testing.assert_array_equal(filled[~observed], told[~observed])


def test_drift_is_met_far_from_all_that_report() -> None:
    drift = 5 + 3 * STATIONS.points[:, 2] - 2 * STATIONS.points[:, 2] ** 2 + ELEVATION
    observed = np.arange(40) < 25
    found = DriftKriging(STATIONS, ELEVATION)(drift, observed)
    np.testing.assert_allclose(found, drift, atol=0.02)


def test_days_with_one_report_or_none() -> None:
    values = np.full((2, 40), np.nan)
    values[1, 7] = 3.0
    told = DriftKriging(STATIONS, ELEVATION).of_others(values, ~np.isnan(values))
    assert np.isnan(told[0]).all()
    assert np.isnan(told[1, 7])
    np.testing.assert_allclose(np.delete(told[1], 7), 3.0)


def test_too_many_stations_are_refused() -> None:
    number = MOST_STATIONS + 1
    with pytest.raises(ValueError, match="sampling must have at most 2000 stations for kriging"):
        DriftKriging(Fibonacci(number), np.zeros(number))
    with pytest.raises(ValueError, match="elevation must be one for each of 40 stations, got 3"):
        DriftKriging(STATIONS, np.zeros(3))
