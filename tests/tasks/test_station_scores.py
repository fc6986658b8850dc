"""Scores at stations: those of scikit-learn on what was observed."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import (
    explained_variance_score,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
)

from deepsphere.tasks.station_scores import (
    season_days,
    season_error_days,
    shifted_station_scores,
    station_scores,
)

GENERATOR = np.random.default_rng(0)
TRUTH = GENERATOR.normal(5, 10, size=(60, 7))
OBSERVED = np.where(GENERATOR.random((60, 7)) < 0.3, np.nan, TRUTH)
PREDICTED = TRUTH + GENERATOR.normal(0.5, 3, size=(60, 7))
VALID = ~np.isnan(OBSERVED)


def test_scores_are_those_of_scikit_learn_on_what_was_observed():
    scores = station_scores(PREDICTED, OBSERVED)
    truth, guess = OBSERVED[VALID], PREDICTED[VALID]
    assert scores.num_observed == len(truth)
    assert scores.mse == pytest.approx(mean_squared_error(truth, guess))
    assert scores.rmse == pytest.approx(np.sqrt(mean_squared_error(truth, guess)))
    assert scores.mae == pytest.approx(mean_absolute_error(truth, guess))
    assert scores.r2 == pytest.approx(r2_score(truth, guess))
    assert scores.explained_variance == pytest.approx(explained_variance_score(truth, guess))
    assert scores.bias == pytest.approx((guess - truth).mean())
    relative = np.abs(truth - guess) / np.clip(truth, 1, None)
    assert scores.mre == pytest.approx(100 * relative.mean())


def test_scores_are_those_of_scikit_learn_with_weights():
    weights = GENERATOR.random(7)
    everywhere = np.broadcast_to(weights, OBSERVED.shape)
    scores = station_scores(PREDICTED, OBSERVED, weights=weights)
    truth, guess, weight = OBSERVED[VALID], PREDICTED[VALID], everywhere[VALID]
    assert scores.mse == pytest.approx(mean_squared_error(truth, guess, sample_weight=weight))
    assert scores.r2 == pytest.approx(r2_score(truth, guess, sample_weight=weight))
    expected = explained_variance_score(truth, guess, sample_weight=weight)
    assert scores.explained_variance == pytest.approx(expected)
    again = station_scores(PREDICTED, OBSERVED, weights=np.array(everywhere))
    assert again.values == pytest.approx(scores.values, nan_ok=True)


def test_maps_are_the_scores_of_each_station():
    scores = station_scores(PREDICTED, OBSERVED)
    for station in range(7):
        there = VALID[:, station]
        truth, guess = OBSERVED[there, station], PREDICTED[there, station]
        assert scores.count_map[station] == there.sum()
        assert scores.mse_map[station] == pytest.approx(mean_squared_error(truth, guess))
        assert scores.mae_map[station] == pytest.approx(mean_absolute_error(truth, guess))
        assert scores.bias_map[station] == pytest.approx((guess - truth).mean())
        assert scores.r2_map[station] == pytest.approx(r2_score(truth, guess))
    mean = (scores.mse_map * scores.count_map).sum() / scores.count_map.sum()
    assert scores.mse == pytest.approx(mean)


def test_what_was_not_observed_does_not_count_whatever_was_predicted():
    scores = station_scores(PREDICTED, OBSERVED).values
    for garbage in (np.nan, np.inf, 1e9):
        guess = np.where(VALID, PREDICTED, garbage)
        assert station_scores(guess, OBSERVED).values == pytest.approx(scores, nan_ok=True)
    # nor does a weight of 0
    truth = np.where(VALID, OBSERVED, 0.0)
    weighed = station_scores(PREDICTED, truth, weights=VALID.astype(float))
    assert weighed.values == pytest.approx(scores, nan_ok=True)


def test_silent_stations_have_no_score_and_do_not_spoil_the_others():
    silent = OBSERVED.copy()
    silent[:, 2] = np.nan
    scores = station_scores(PREDICTED, silent)
    assert np.isnan(scores.mae_map[2])
    assert scores.count_map[2] == 0
    kept = np.arange(7) != 2
    assert scores.mse == pytest.approx(station_scores(PREDICTED[:, kept], silent[:, kept]).mse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = station_scores(PREDICTED, np.full_like(OBSERVED, np.nan))
    assert nothing.num_observed == 0
    assert np.isnan([nothing.mse, nothing.r2, nothing.mre]).all()


def test_anomalies_are_measured_from_what_is_usual():
    usual = np.broadcast_to(TRUTH.mean(axis=0), TRUTH.shape)
    scores = station_scores(PREDICTED, OBSERVED, usual=usual)
    error = ((PREDICTED - OBSERVED)[VALID] ** 2).sum()
    assert scores.anomaly_r2 == pytest.approx(1 - error / ((OBSERVED - usual)[VALID] ** 2).sum())
    itself = station_scores(usual, OBSERVED, usual=usual)
    assert itself.anomaly_r2 == pytest.approx(0)
    assert np.isnan(station_scores(PREDICTED, OBSERVED).anomaly_r2)


def test_constant_observations_have_the_score_of_scikit_learn():
    same = np.full((5, 1), 3.0)
    assert station_scores(same, same).r2 == r2_score(same, same) == 1.0
    assert station_scores(same + 1, same).r2 == r2_score(same, same + 1) == 0.0


def test_shifted_scores_compare_with_the_sample_before():
    scores = shifted_station_scores(PREDICTED, OBSERVED)
    assert scores.values == pytest.approx(
        station_scores(PREDICTED[1:], OBSERVED[:-1]).values, nan_ok=True
    )
    perfect = shifted_station_scores(TRUTH, TRUTH)
    assert perfect.mse == pytest.approx(mean_squared_error(TRUTH[:-1], TRUTH[1:]))


def test_season_is_turned_into_days():
    for day in (0, 1, 50, 182, 300, 365):
        season = (1 - np.cos(2 * np.pi * day / 365.25)) / 2
        assert season_days(np.array([season]))[0] == pytest.approx(min(day, 365.25 - day))
    days = np.array([10.0, 100.0])
    moved = days + np.array([3.0, -5.0])
    truth, guess = ((1 - np.cos(2 * np.pi * d / 365.25)) / 2 for d in (days, moved))
    assert season_error_days(guess, truth) == pytest.approx(4.0)
    assert np.isnan(season_error_days(np.empty(0), np.empty(0)))


def test_what_cannot_be_compared_is_rejected(unchecked):
    with pytest.raises(ValueError, match=r"predicted and observed must have one shape"):
        station_scores(PREDICTED[:5], OBSERVED)
    holes = PREDICTED.copy()
    holes[VALID.nonzero()[0][0], VALID.nonzero()[1][0]] = np.nan
    with pytest.raises(
        ValueError, match="predicted must be finite wherever something was observed"
    ):
        station_scores(holes, OBSERVED)
    with pytest.raises(ValueError, match=r"weights must have the shape of the observations"):
        station_scores(PREDICTED, OBSERVED, weights=np.ones(3))
    with pytest.raises(ValueError, match="weights must be finite and at least 0, got -1"):
        station_scores(PREDICTED, OBSERVED, weights=-np.ones(7))
    with pytest.raises(ValueError, match="usual must have the shape of the observations"):
        station_scores(PREDICTED, OBSERVED, usual=TRUTH[:3])
    with pytest.raises(ValueError, match="usual must be finite wherever something was observed"):
        station_scores(PREDICTED, OBSERVED, usual=np.full_like(TRUTH, np.nan))
    with pytest.raises(ValueError, match="must have at least 2 samples to be shifted, got 1 and 1"):
        shifted_station_scores(PREDICTED[:1], OBSERVED[:1])
    with pytest.raises(ValueError, match="predicted and observed must have one shape"):
        season_error_days(np.zeros(3), np.zeros(2))
