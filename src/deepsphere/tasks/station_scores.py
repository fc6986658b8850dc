"""How good predictions at stations are: errors over all of them and station by station."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

_YEAR = 365.25

# The relative error of the published tables divides by no less than one unit.
_LEAST_DIVISOR = 1.0


@dataclass(frozen=True, eq=False)
class StationScores:
    r"""Errors of predictions ŷ of observations y, over all that were observed.

    ===================  ===========================================================================
    mse, rmse            mean of (ŷ − y)², and its root
    mae                  mean of \|ŷ − y\|
    bias                 mean of ŷ − y
    r2                   1 − Σ (ŷ − y)² / Σ (y − mean y)², with one mean over all stations and times
    explained_variance   1 − variance of (y − ŷ) / variance of y
    mre                  mean of \|ŷ − y\| / max(y, 1), in percent, as published
    anomaly_r2           1 − Σ (ŷ − y)² / Σ (y − u)², with what is usual u: how much better than the
                         climatology; NaN where none was given
    ===================  ===========================================================================

    `r2` of temperature is high for every method, as most of the variance is that of the climate:
    compare it with the one of the baselines, or take `anomaly_r2`.

    Parameters
    ----------
    num_observed
        How many values were compared.
    mse, rmse, mae, bias, r2, explained_variance, mre, anomaly_r2
        See above; NaN where nothing was observed.
    count_map
        How many values were compared, by station.
    mse_map, mae_map, bias_map
        By station; NaN where nothing was observed.
    r2_map
        By station, with its own mean.
    """

    num_observed: int
    mse: float
    rmse: float
    mae: float
    bias: float
    r2: float
    explained_variance: float
    mre: float
    anomaly_r2: float
    count_map: Float[np.ndarray, "stations"]
    mse_map: Float[np.ndarray, "stations"]
    mae_map: Float[np.ndarray, "stations"]
    bias_map: Float[np.ndarray, "stations"]
    r2_map: Float[np.ndarray, "stations"]

    @property
    def values(self) -> dict[str, Any]:
        """The numbers without the maps, for a table."""
        return {
            name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)
        }


def station_scores(
    predicted: Float[np.ndarray, "*times stations"],
    observed: Float[np.ndarray, "*times stations"],
    *,
    usual: Float[np.ndarray, "*times stations"] | None = None,
    weights: Float[np.ndarray, "..."] | None = None,
) -> StationScores:
    """Scores of predictions of one quantity.

    What was not observed does not count, whatever was predicted there.

    Parameters
    ----------
    predicted
        Predictions. They must exist wherever something was observed, so that methods are compared
        on the same values; a weight of 0 says where they need not.
    observed
        What was measured, in the same units; NaN where nothing was.
    usual
        The climatology at the same times, for `anomaly_r2`.
    weights
        How much an observation counts, at least 0, of the shape of the observations or of the
        stations alone; 1 if not given.

    Returns
    -------
    StationScores

    Raises
    ------
    ValueError
        If the shapes do not fit, a prediction is missing or infinite, or a weight is negative.

    Examples
    --------
    >>> observed = np.array([[10.0, np.nan], [12.0, 20.0]])
    >>> scores = station_scores(np.array([[11.0, 0.0], [12.0, 18.0]]), observed)
    >>> round(scores.mse, 3), scores.mae, scores.bias, round(scores.r2, 3), round(scores.mre, 2)
    (1.667, 1.0, -0.333..., 0.911, 6.67)
    """
    if predicted.shape != observed.shape or not observed.ndim:
        raise ValueError(
            "predicted and observed must have one shape (*times, stations), got "
            f"{predicted.shape} and {observed.shape}"
        )
    truth = np.asarray(observed, np.float64).reshape(-1, observed.shape[-1])
    guess = np.asarray(predicted, np.float64).reshape(truth.shape)
    weight = _weights(weights, observed.shape) * np.isfinite(truth)
    _check_predicted(guess, weight)
    counts = weight > 0
    truth, error = np.where(counts, truth, 0.0), np.where(counts, guess - truth, 0.0)
    mean_truth, mean_error = _mean(truth, weight), _mean(error, weight)
    square = _mean(error**2, weight)
    variance = _mean((truth - mean_truth) ** 2, weight)
    noise = _mean((error - mean_error) ** 2, weight)
    relative = np.abs(error) / np.maximum(truth, _LEAST_DIVISOR)
    departure = np.nan
    if usual is not None:
        departure = _departure(truth, weight, usual, shape=observed.shape)
    by_station = weight.sum(axis=0)
    station_square = _ratio((error**2 * weight).sum(axis=0), by_station)
    station_mean = _ratio((truth * weight).sum(axis=0), by_station)
    station_variance = _ratio(((truth - station_mean) ** 2 * weight).sum(axis=0), by_station)
    return StationScores(
        num_observed=int(np.count_nonzero(counts)),
        mse=square,
        rmse=float(np.sqrt(square)),
        mae=_mean(np.abs(error), weight),
        bias=mean_error,
        r2=_determination(square, variance),
        explained_variance=_determination(noise, variance),
        mre=100 * _mean(relative, weight),
        anomaly_r2=_determination(square, departure),
        count_map=counts.sum(axis=0).astype(np.float64),
        mse_map=station_square,
        mae_map=_ratio((np.abs(error) * weight).sum(axis=0), by_station),
        bias_map=_ratio((error * weight).sum(axis=0), by_station),
        r2_map=np.array(
            [_determination(*pair) for pair in zip(station_square, station_variance, strict=True)]
        ),
    )


def shifted_station_scores(
    predicted: Float[np.ndarray, "times *more"],
    observed: Float[np.ndarray, "times *more"],
    *,
    weights: Float[np.ndarray, "..."] | None = None,
) -> StationScores:
    """Scores of each prediction against the observation of the sample before.

    What the evaluation of the published experiment computed: observations without the last sample
    are compared with predictions without the first. For comparison with its numbers only.

    Parameters
    ----------
    predicted, observed
        (samples, ..., stations), in the order in which the experiment has them.
    weights
        As of `station_scores`, by station alone.

    Returns
    -------
    StationScores

    Raises
    ------
    ValueError
        If there are fewer than two samples, or as `station_scores`.

    Examples
    --------
    >>> days = np.arange(5.0)[:, None]
    >>> shifted_station_scores(days, days).mae  # of a prediction that is right
    1.0

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4.
    """
    if len(predicted) < 2 or len(observed) < 2:
        raise ValueError(
            f"predicted and observed must have at least 2 samples to be shifted, got "
            f"{len(predicted)} and {len(observed)}"
        )
    return station_scores(predicted[1:], observed[:-1], weights=weights)


def season_days(season: Float[np.ndarray, "*times"]) -> Float[np.ndarray, "*times"]:
    """Days from the turn of the year, before or after it, of a season (1 − cos 2πd/365.25)/2.

    Parameters
    ----------
    season
        From 0 to 1; predictions beyond are taken as 0 or 1.

    Returns
    -------
    Float[np.ndarray, "*times"]
        From 0 to 182.6: the season does not tell spring from autumn.

    Examples
    --------
    >>> season_days(np.array([0.0, 0.5, 1.2])).round(1)
    array([  0. ,  91.3, 182.6])
    """
    return np.arccos(1 - 2 * np.clip(season, 0.0, 1.0)) / (2 * np.pi) * _YEAR


def season_error_days(
    predicted: Float[np.ndarray, "times"], observed: Float[np.ndarray, "times"]
) -> float:
    """How many days predictions of the season are wrong by, on average.

    Parameters
    ----------
    predicted, observed
        Seasons, see `season_days`.

    Returns
    -------
    float
        In the half of the year in which the day is; NaN without any.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> round(season_error_days(np.array([0.5]), np.array([0.0])), 1)
    91.3
    """
    if predicted.shape != observed.shape:
        raise ValueError(
            f"predicted and observed must have one shape, got {predicted.shape} and "
            f"{observed.shape}"
        )
    if not len(observed):
        return float("nan")
    return float(np.abs(season_days(predicted) - season_days(observed)).mean())


def _weights(weights: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Weights as float64 in the shape (times, stations)."""
    given = np.ones(()) if weights is None else np.asarray(weights, np.float64)
    if weights is not None and given.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"weights must have the shape of the observations {shape} or of the stations "
            f"{shape[-1:]}, got {given.shape}"
        )
    if not (np.isfinite(given) & (given >= 0)).all():
        raise ValueError(f"weights must be finite and at least 0, got {given.min()}")
    return np.broadcast_to(given, shape).reshape(-1, shape[-1])


def _check_predicted(guess: np.ndarray, weight: np.ndarray) -> None:
    """Raise unless there is a prediction of everything that counts."""
    missing = (weight > 0) & ~np.isfinite(guess)
    if missing.any():
        raise ValueError(
            f"predicted must be finite wherever something was observed, got "
            f"{np.count_nonzero(missing)} values of {np.count_nonzero(weight > 0)} that are not; "
            "give them the weight 0 for every method that is compared"
        )


def _departure(
    truth: np.ndarray, weight: np.ndarray, usual: np.ndarray, *, shape: tuple[int, ...]
) -> float:
    """Mean squared difference of the observations from what is usual."""
    if usual.shape != shape:
        raise ValueError(
            f"usual must have the shape of the observations {shape}, got {usual.shape}"
        )
    expected = np.asarray(usual, np.float64).reshape(truth.shape)
    if not np.isfinite(expected[weight > 0]).all():
        raise ValueError(
            "usual must be finite wherever something was observed; complete the climatology"
        )
    return _mean(np.where(weight > 0, truth - expected, 0.0) ** 2, weight)


def _mean(values: np.ndarray, weight: np.ndarray) -> float:
    """Weighted mean; NaN where nothing counts."""
    total = weight.sum()
    return float((values * weight).sum() / total) if total > 0 else float("nan")


def _ratio(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Values by weights; NaN where there is no weight."""
    return np.divide(values, weights, out=np.full(values.shape, np.nan), where=weights > 0)


def _determination(error: float, variance: float) -> float:
    """Share of a variance that is explained; of what does not vary, 1 if it is met, else 0."""
    if variance == 0:
        return 1.0 if error == 0 else 0.0
    return float(1 - error / variance)
