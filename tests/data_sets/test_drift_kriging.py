"""Kriging with a drift: what others tell is what leaving a station out tells, by plain algebra."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from deepsphere.data.drift_kriging import (
    MOST_STATIONS,
    DriftKriging,
    LocalDriftKriging,
    drift_kriging,
)
from deepsphere.sampling import Fibonacci, RandomUniform, Scattered

STATIONS = RandomUniform(40)
ELEVATION = np.random.default_rng(1).normal(size=40)
EVERY = [DriftKriging(STATIONS, ELEVATION), LocalDriftKriging(STATIONS, ELEVATION, num_neighbors=7)]


def naive(values: np.ndarray, seen: np.ndarray, station: int, *, num_neighbors: int = 40) -> float:
    """The posterior mean at a station, given the nearest others, by one dense system."""
    points = STATIONS.points
    others = np.flatnonzero(seen & (np.arange(40) != station))
    others = others[np.argsort(-points[others] @ points[station])][:num_neighbors]
    drift = np.stack([np.ones(40), points[:, 2], points[:, 2] ** 2, ELEVATION], axis=1)
    angles = np.arccos(np.clip(points @ points.T, -1, 1))
    covariance = np.exp(-angles * 6371 / 4000) + 3 * drift @ drift.T
    center = values[others].mean()
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


@pytest.mark.parametrize("num_neighbors", [1, 7, 30])
def test_what_the_nearest_tell_is_that_of_a_dense_system(num_neighbors: int) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(3, 40)) + 300
    observed = generator.random((3, 40)) < 0.6
    usable = np.arange(40) < 31
    kriging = LocalDriftKriging(STATIONS, ELEVATION, usable, num_neighbors)
    told = kriging.of_others(values, observed)
    for day in range(3):
        seen = observed[day] & usable
        expected = [
            naive(values[day], seen, station, num_neighbors=num_neighbors) for station in range(40)
        ]
        np.testing.assert_allclose(told[day], expected, rtol=0, atol=1e-6)


def test_all_as_neighbors_tell_what_all_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsphere.data.drift_kriging._AT_ONCE", 11)  # and in pieces
    generator = np.random.default_rng(4)
    values = generator.normal(size=(2, 3, 40))
    observed = generator.random((2, 3, 40)) < 0.5
    local = LocalDriftKriging(STATIONS, ELEVATION, num_neighbors=45)
    exact = DriftKriging(STATIONS, ELEVATION)
    np.testing.assert_allclose(
        local.of_others(values, observed), exact.of_others(values, observed), atol=1e-8
    )
    np.testing.assert_allclose(local(values, observed), exact(values, observed), atol=1e-8)


@pytest.mark.parametrize("kriging", EVERY)
def test_others_tell_of_a_station_what_they_would_if_it_were_silent(
    kriging: DriftKriging | LocalDriftKriging,
) -> None:
    generator = np.random.default_rng(2)
    values = generator.normal(size=40)
    observed = generator.random(40) < 0.7
    told = kriging.of_others(values, observed)
    for station in np.flatnonzero(observed):
        others = observed & (np.arange(40) != station)
        assert kriging(values, others)[station] == pytest.approx(told[station], abs=1e-9)


@pytest.mark.parametrize("kriging", EVERY)
def test_values_of_silent_and_unusable_stations_are_never_read(
    kriging: DriftKriging | LocalDriftKriging,
) -> None:
    generator = np.random.default_rng(3)
    values = generator.normal(size=(4, 40)).astype(np.float32)
    observed = generator.random((4, 40)) < 0.6
    hidden = np.arange(40) >= 33
    kriging = replace(kriging, usable=~hidden)
    garbage = np.where(observed & ~hidden, values, np.float32(1e30))
    garbage[:, ::2][~observed[:, ::2]] = np.inf
    told = kriging.of_others(values, observed)
    assert told.dtype == np.float32
    np.testing.assert_array_equal(told, kriging.of_others(garbage, observed))
    filled = kriging(values, observed)
    np.testing.assert_array_equal(filled[observed], values[observed])
    np.testing.assert_array_equal(filled[~observed], kriging(garbage, observed)[~observed])
    np.testing.assert_array_equal(told, kriging.of_others(values, observed))


@pytest.mark.parametrize("make", [DriftKriging, LocalDriftKriging])
def test_stations_that_nearly_coincide_stay_solvable(
    make: Callable[..., DriftKriging | LocalDriftKriging],
) -> None:
    # two times 20 stations within a few meters, at the pole and across the date line
    number = np.arange(20)
    lon = np.concatenate([18.0 * number, 180 + 1e-6 * (number - 10)])
    stations = Scattered(lon, np.concatenate([90 - 1e-6 * (number + 1), np.zeros(20)]))
    values = np.concatenate([np.full(20, -30.0), np.full(20, 30.0)])
    values += np.random.default_rng(0).uniform(-1, 1, size=40)
    told = make(stations, np.zeros(40)).of_others(values, np.ones(40, bool))
    np.testing.assert_allclose(told, np.sign(values) * 30, atol=1)


def test_only_stations_that_are_asked_for_are_told() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40))
    observed, asked = np.ones((2, 40), bool), np.arange(80).reshape(2, 40) % 3 == 0
    kriging = LocalDriftKriging(STATIONS, ELEVATION)
    told = kriging.of_others(values, observed, asked=asked)
    expected = np.where(asked, kriging.of_others(values, observed), np.nan)
    np.testing.assert_array_equal(told, expected)


def test_drift_is_met_where_its_slopes_are_free(monkeypatch) -> None:
    drift = 5 + 3 * STATIONS.points[:, 2] - 2 * STATIONS.points[:, 2] ** 2 + ELEVATION
    observed = np.arange(40) < 25
    errors = []
    for variance in (1e-6, 3.0, 1e2):  # of the slopes before anything is known
        monkeypatch.setattr(import_module(DriftKriging.__module__), "_DRIFT_VARIANCE", variance)
        errors.append(np.abs(DriftKriging(STATIONS, ELEVATION)(drift, observed) - drift).max())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02  # it varies by 10


@pytest.mark.parametrize("kriging", EVERY)
def test_days_with_one_report_or_none(kriging: DriftKriging | LocalDriftKriging) -> None:
    values = np.full((2, 40), np.nan)
    values[1, 7] = 3.0
    told = kriging.of_others(values, ~np.isnan(values))
    assert np.isnan(told[0]).all()
    assert np.isnan(told[1, 7])
    np.testing.assert_allclose(np.delete(told[1], 7), 3.0)


def test_numbers_out_of_range_are_refused() -> None:
    number = MOST_STATIONS + 1
    with pytest.raises(ValueError, match="sampling must have at most 2000 stations for kriging"):
        DriftKriging(Fibonacci(number), np.zeros(number))
    with pytest.raises(ValueError, match="elevation must be one for each of 40 stations, got 3"):
        DriftKriging(STATIONS, np.zeros(3))
    with pytest.raises(ValueError, match="elevation must be one for each of 40 stations, got 3"):
        LocalDriftKriging(STATIONS, np.zeros(3))
    unknown = np.where(np.arange(40) < 2, np.nan, ELEVATION)
    with pytest.raises(ValueError, match="elevation must be finite, got 2 that are not; known_el"):
        drift_kriging(STATIONS, unknown)
    with pytest.raises(ValueError, match="num_neighbors must be at least 1, got 0"):
        LocalDriftKriging(STATIONS, ELEVATION, num_neighbors=0)
