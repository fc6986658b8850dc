"""Forecasts without a network: naive formulas, and no look at the future."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from deepsphere.data.ridge import PENALTIES, shrunken_fit
from deepsphere.data.station_baselines import (
    anomaly_persistence,
    fit_anomaly_ridge,
    fit_ridge,
    persistence,
    station_climatology,
)
from deepsphere.data.station_records import StationRecords, station_records

NUM_DAYS, NUM_STATIONS = 900, 4
DAYS = np.arange("2018-01-01", "2025-01-01", dtype="datetime64[D]")[:NUM_DAYS]


def weather(seed: int = 0) -> np.ndarray:
    """Seasons and red noise, (days, stations, 2 channels)."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=(NUM_DAYS, NUM_STATIONS, 2))
    for day in range(1, NUM_DAYS):
        noise[day] += 0.8 * noise[day - 1]
    season = np.cos(2 * np.pi * np.arange(NUM_DAYS) / 365.25)[:, None, None]
    return noise + season * np.array([10.0, -10.0, 5.0, 0.0])[:, None] + np.array([15.0, 3.0])


def records_of(values: np.ndarray, days: np.ndarray = DAYS) -> StationRecords:
    return station_records(10.0 * np.arange(NUM_STATIONS), np.zeros(NUM_STATIONS), values, days)


def with_gaps(values: np.ndarray, share: float = 0.1) -> np.ndarray:
    return np.where(np.random.default_rng(9).random(values.shape) < share, np.nan, values)


RECORDS = records_of(with_gaps(weather()))
TRAIN, TEST = RECORDS.take_times(np.arange(700)), RECORDS.take_times(np.arange(700, 900))
USUAL = station_climatology(TRAIN)
FORECASTS = {
    "climatology": lambda records: USUAL.at(records.times),
    "persistence": lambda records: persistence(records, USUAL),
    "anomaly_persistence": lambda records: anomaly_persistence(records, USUAL),
    "ridge": fit_ridge(TRAIN, USUAL).predict,
    "anomaly_ridge": fit_anomaly_ridge(TRAIN, USUAL).predict,
}
EVERY = pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)


@EVERY
def test_the_day_itself_and_later_ones_are_not_read(forecast):
    found = forecast(TEST)
    for day in (0, 1, 60, 199):
        garbage = TEST.values.copy()
        garbage[day:] = np.where(np.isnan(garbage[day:]), 77.0, np.nan)
        garbage[day:, 1] = -500.0
        assert np.array_equal(forecast(TEST.with_values(garbage))[: day + 1], found[: day + 1])


@EVERY
def test_everything_is_predicted_also_where_all_were_silent(forecast):
    values = TEST.values.copy()
    values[50:70] = np.nan
    values[:, 2] = np.nan
    found = forecast(TEST.with_values(values))
    assert found.shape == values.shape
    assert np.isfinite(found).all()


@EVERY
def test_times_that_are_absent_are_gaps(forecast):
    kept = np.delete(np.arange(200), [50, 51, 52, 120])
    values = TEST.values.copy()
    values[[50, 51, 52, 120]] = np.nan
    absent, silent = TEST.take_times(kept), TEST.with_values(values)
    np.testing.assert_allclose(forecast(absent), forecast(silent)[kept], rtol=1e-6)


def naive_last(values: np.ndarray, day: int, history: int, otherwise: float) -> float:
    for earlier in range(day - 1, max(day - history, 0) - 1, -1):
        if not np.isnan(values[earlier]):
            return float(values[earlier])
    return otherwise


@pytest.mark.parametrize("history", [1, 5])
def test_persistence_is_the_last_value_seen(history):
    found, usual = persistence(TEST, USUAL, history=history), USUAL.at(TEST.times)
    shifted = anomaly_persistence(TEST, USUAL, history=history)
    for day in range(0, 200, 7):
        for station in range(NUM_STATIONS):
            index = day, station, 1
            expected = naive_last(TEST.values[:, station, 1], day, history, usual[index])
            assert found[index] == pytest.approx(expected)
            anomalies = (TEST.values - usual)[:, station, 1]
            expected = usual[index] + naive_last(anomalies, day, history, 0.0)
            assert shifted[index] == pytest.approx(expected, abs=1e-5)


def test_climatology_is_the_mean_of_the_dates_nearby():
    date = np.datetime64("2019-06-15")
    day = (DAYS[:700] - DAYS[:700].astype("datetime64[Y]")).astype(int)
    own = (date - date.astype("datetime64[Y]")).astype(int)
    mean = np.nanmean(TRAIN.values[np.abs(day - own) <= 15], axis=0)
    np.testing.assert_allclose(USUAL.at(np.array([date], "datetime64[s]"))[0], mean, rtol=1e-5)


def test_climatology_fills_what_was_never_seen_from_the_nearest_time_of_the_year():
    days = np.arange("2020-12-01", "2021-03-01", dtype="datetime64[D]")
    values = np.arange(90.0)[:, None] + np.zeros((90, NUM_STATIONS))
    values[:, 1] = np.nan
    values[30:, 2] = np.nan
    usual = station_climatology(records_of(values, days), smoothing_days=0)

    def at(text: str) -> np.ndarray:
        return usual.at(np.array([text], "datetime64[s]"))[0, :, 0]

    # the first of December is nearer to September than the end of February
    assert at("2023-09-20")[[0, 3]].tolist() == [0.0, 0.0]
    assert at("2023-04-01")[0] == 89.0
    assert at("2023-01-15")[2] == 29.0
    # a station without any value takes the mean of those that have one
    assert at("2021-01-15")[1] == pytest.approx((45 + 29 + 45) / 3)


def test_climatology_of_a_channel_that_nobody_measures_is_missing():
    values = np.stack([weather()[..., 0], np.full((NUM_DAYS, NUM_STATIONS), np.nan)], axis=-1)
    usual = station_climatology(records_of(values)).at(TEST.times)
    assert np.isfinite(usual[..., 0]).all()
    assert np.isnan(usual[..., 1]).all()


def test_climatology_of_hours_keeps_them_apart():
    hours = np.arange("2020-01-01", "2020-02-01", np.timedelta64(12, "h"), "datetime64[h]")
    values = np.tile([5.0, 9.0], len(hours) // 2)[:, None] + np.zeros(NUM_STATIONS)
    usual = station_climatology(records_of(values, hours.astype("datetime64[s]")))
    times = np.array(["2020-07-01T00", "2020-07-01T12"], "datetime64[s]")
    assert usual.at(times)[:, 0, 0].tolist() == [5.0, 9.0]


def windows(values: np.ndarray, history: int) -> tuple[np.ndarray, np.ndarray]:
    """Complete windows of one station, the last day first, and what follows."""
    inputs = np.stack(
        [values[history - step : len(values) - step] for step in range(1, history + 1)], axis=1
    )
    targets = values[history:]
    complete = np.isfinite(targets) & np.isfinite(inputs).all(axis=1)
    return inputs[complete].astype(np.float64), targets[complete].astype(np.float64)


def test_ridge_is_that_of_scikit_learn():
    ridge = fit_ridge(TRAIN, USUAL, history=3)
    for station in range(NUM_STATIONS):
        inputs, targets = windows(TRAIN.values[:, station, 0], 3)
        # with that many days the penalty hardly matters
        expected = RidgeCV(alphas=np.logspace(-6, 3, 30)).fit(inputs, targets)
        np.testing.assert_allclose(ridge.coefficients[station, 0], expected.coef_, atol=0.01)
        assert ridge.intercepts[station, 0] == pytest.approx(expected.intercept_, abs=0.1)


def test_ridge_of_stations_with_few_days_is_that_of_all():
    values = TRAIN.values.copy()
    values[:, 3] = np.nan
    ridge = fit_ridge(TRAIN.with_values(values), USUAL, history=2)
    pairs = [windows(values[:, station, 0], 2) for station in range(3)]
    inputs, targets = (np.concatenate(part) for part in zip(*pairs, strict=True))
    expected = RidgeCV(alphas=np.logspace(-6, 3, 30)).fit(inputs, targets)
    np.testing.assert_allclose(ridge.coefficients[3, 0], expected.coef_, atol=0.01)


def test_ridge_without_any_window_is_persistence():
    days = TRAIN.take_times(np.arange(3))
    found = fit_ridge(days, USUAL, history=5).predict(TEST)
    np.testing.assert_allclose(found, persistence(TEST, USUAL, history=5), rtol=1e-6)


def test_ridge_beats_persistence_and_climatology_where_noise_is_red():
    errors = {
        name: np.nanmean((forecast(TEST) - TEST.values) ** 2)
        for name, forecast in FORECASTS.items()
    }
    # of red noise with the coefficient 0.8 and variance 1 of what is new
    assert errors["anomaly_ridge"] < errors["persistence"]
    assert errors["anomaly_ridge"] < errors["climatology"]
    assert 0.8 < errors["anomaly_ridge"] < 1.3


def test_small_regressions_are_those_of_their_penalty():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(3, 40, 2))
    targets = features @ np.array([1.0, 0.5]) + generator.normal(size=(3, 40)) + 4
    counts = generator.random((3, 40)) > 0.2
    found, intercepts = shrunken_fit([(features, targets, counts)], least_samples=5)
    for problem in range(3):
        x, y = features[problem, counts[problem]], targets[problem, counts[problem]]
        centred = x - x.mean(axis=0)
        scale = np.linalg.eigvalsh(centred.T @ centred).mean()
        scores, fits = [], []
        for penalty in scale * PENALTIES:
            fit = Ridge(alpha=penalty).fit(x, y)
            hat = centred @ np.linalg.inv(centred.T @ centred + penalty * np.eye(2)) @ centred.T
            freedom = 1 + np.trace(hat)
            scores.append(((fit.predict(x) - y) ** 2).sum() / (len(y) - freedom) ** 2)
            fits.append(fit)
        best = fits[int(np.argmin(scores))]
        np.testing.assert_allclose(found[problem], best.coef_, rtol=1e-8)
        assert intercepts[problem] == pytest.approx(best.intercept_, rel=1e-8)


def test_regression_of_features_that_do_not_vary_is_the_mean():
    features, targets = np.full((1, 30, 2), 3.0), np.arange(30.0)[None]
    found, intercept = shrunken_fit([(features, targets, np.ones((1, 30), bool))], least_samples=5)
    np.testing.assert_allclose(features[0] @ found[0] + intercept[0], targets.mean(), rtol=1e-9)


def test_history_and_other_stations_are_rejected():
    with pytest.raises(ValueError, match="history must be at least 1, got 0"):
        persistence(TEST, USUAL, history=0)
    few = TEST.take([0, 1])
    with pytest.raises(ValueError, match="the climatology must be of 2 stations and 2 channels"):
        persistence(few, USUAL)
    with pytest.raises(ValueError, match="the climatology must be of 2 stations"):
        fit_ridge(TRAIN, USUAL).predict(few)
