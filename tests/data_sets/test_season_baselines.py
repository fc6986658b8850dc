"""The season from a map, by linear regression."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepsphere.data.season_baselines import fit_season_ridge
from deepsphere.data.station_objectives import seasons
from deepsphere.data.station_records import StationRecords, station_records

DAYS = np.arange("2018-01-01", "2021-01-01", dtype="datetime64[D]")
SEASON = seasons(DAYS)


def records_of(noise: float, *, num_stations: int = 12) -> StationRecords:
    generator = np.random.default_rng(0)
    amplitude = generator.normal(size=num_stations)
    values = (
        10
        + 8 * SEASON[:, None] * amplitude
        + noise * generator.normal(size=(len(DAYS), num_stations))
    )
    return station_records(10.0 * np.arange(num_stations), np.zeros(num_stations), values, DAYS)


RECORDS = records_of(2.0)
TRAIN, TEST = RECORDS.take_times(np.arange(730)), RECORDS.take_times(np.arange(730, 1096))


def test_coefficients_are_those_of_scikit_learn():
    ridge = fit_season_ridge(TRAIN, SEASON[:730], validation=TEST, validation_seasons=SEASON[730:])
    values = TRAIN.column("value").astype(np.float64)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    strength = ridge.penalty * (np.linalg.svd(scaled, compute_uv=False) ** 2).mean()
    expected = Ridge(alpha=strength).fit(scaled, SEASON[:730])
    np.testing.assert_allclose(ridge.coefficients[:, 0], expected.coef_, rtol=1e-6)
    later = (TEST.column("value") - values.mean(axis=0)) / values.std(axis=0)
    np.testing.assert_allclose(
        ridge.predict(TEST), np.clip(expected.predict(later), 0, 1), atol=1e-6
    )


def test_few_days_of_many_stations_have_the_same_solution():
    days = TRAIN.take_times(np.arange(0, 100, 12))
    ridge = fit_season_ridge(
        days, SEASON[:100:12], validation=TEST, validation_seasons=SEASON[730:]
    )
    values = days.column("value").astype(np.float64)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    assert scaled.shape[0] < scaled.shape[1]
    squares = np.linalg.svd(scaled, compute_uv=False) ** 2
    expected = Ridge(alpha=ridge.penalty * squares.mean()).fit(scaled, SEASON[:100:12])
    np.testing.assert_allclose(ridge.coefficients[:, 0], expected.coef_, rtol=1e-4, atol=1e-6)


def test_season_is_told_and_a_shuffled_one_is_not():
    variance = SEASON[730:].var()
    found = fit_season_ridge(TRAIN, SEASON[:730]).predict(TEST)
    assert np.mean((found - SEASON[730:]) ** 2) < 0.1 * variance
    shuffled = np.random.default_rng(1).permutation(SEASON[:730])
    guess = fit_season_ridge(TRAIN, shuffled).predict(TEST)
    assert np.mean((guess - SEASON[730:]) ** 2) > 0.8 * variance


def test_days_are_told_one_by_one_whatever_is_silent():
    ridge = fit_season_ridge(TRAIN, SEASON[:730])
    values = TEST.values.copy()
    values[5, :6], values[6] = np.nan, np.nan
    found = ridge.predict(TEST.with_values(values))
    np.testing.assert_allclose(np.delete(found, [5, 6]), np.delete(ridge.predict(TEST), [5, 6]))
    assert abs(found[5] - SEASON[735]) < 0.4
    assert found[6] == pytest.approx(SEASON[:730].mean())


def test_stations_that_are_silent_in_training_do_not_speak():
    values = RECORDS.values.copy()
    values[:730, 3] = np.nan
    ridge = fit_season_ridge(RECORDS.with_values(values).take_times(np.arange(730)), SEASON[:730])
    one = ridge.predict(TEST)
    values[:, 3] = 1e6
    other = ridge.predict(RECORDS.with_values(values).take_times(np.arange(730, 1096)))
    assert np.array_equal(one, other)


def test_what_does_not_fit_is_rejected():
    with pytest.raises(ValueError, match=r"seasons must be one for each of 730 days, got shape"):
        fit_season_ridge(TRAIN, SEASON)
    with pytest.raises(ValueError, match="records must have at least 5 days, got 3"):
        fit_season_ridge(TRAIN.take_times(np.arange(3)), SEASON[:3])
    with pytest.raises(ValueError, match="validation must come with validation_seasons"):
        fit_season_ridge(TRAIN, SEASON[:730], validation=TEST)
    ridge = fit_season_ridge(TRAIN, SEASON[:730])
    with pytest.raises(ValueError, match="records must be of 12 stations and 1 channels, got 2"):
        ridge.predict(TEST.take([0, 1]))
