"""The season told by linear regression from the values of all stations of a day.

One problem with as many features as values of a day; many small ones are in `ridge.py`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from deepsphere.data.station_interpolation import StationInterpolation, inverse_distance
from deepsphere.data.station_records import StationRecords

# Penalties that are tried, in units of the mean eigenvalue of the covariance of the features.
_PENALTIES = np.logspace(-4, 4, 25)


@dataclass(frozen=True, eq=False)
class SeasonRidge:
    """Ridge regression of the season on all values of a day; `fit_season_ridge` makes it.

    Parameters
    ----------
    interpolation
        Of the values of silent stations, from those of the same day.
    means, deviations
        Of each station and channel over the training days.
    coefficients
        Of the standardized values.
    intercept
        The mean season of the training days.
    penalty
        That was chosen.
    """

    interpolation: StationInterpolation
    means: Float[np.ndarray, "stations channels"]
    deviations: Float[np.ndarray, "stations channels"]
    coefficients: Float[np.ndarray, "stations channels"]
    intercept: float
    penalty: float

    def predict(self, records: StationRecords) -> Float[np.ndarray, "times"]:
        """The season of each day, between 0 and 1.

        Parameters
        ----------
        records
            Of the stations and channels that it was fitted to.

        Returns
        -------
        Float[np.ndarray, "times"]
            The mean season on days on which all are silent.

        Raises
        ------
        ValueError
            If the stations or channels are others.
        """
        if records.values.shape[1:] != self.means.shape:
            raise ValueError(
                f"records must be of {self.means.shape[0]} stations and {self.means.shape[1]} "
                f"channels, got {records.num_stations} and {records.num_channels}; select those "
                "that it was fitted to"
            )
        features = _standardized(
            records.values, self.means, self.deviations, interpolation=self.interpolation
        )
        linear = np.einsum("tsc,sc->t", features, self.coefficients) + self.intercept
        return np.clip(linear, 0.0, 1.0)


def fit_season_ridge(
    train: StationRecords,
    seasons: Float[np.ndarray, "times"],
    *,
    validation: StationRecords | None = None,
    validation_seasons: Float[np.ndarray, "days"] | None = None,
) -> SeasonRidge:
    """Ridge regression of the season on the values of all stations of a day.

    Values are standardized by station; those that are missing are interpolated from the others of
    the day. The penalty is the one with the least squared error on the validation days, or on the
    last fifth of the training days where none are given.

    Parameters
    ----------
    train
        The days that are learned from.
    seasons
        Of those days, see `deepsphere.data.station_objectives.seasons`.
    validation, validation_seasons
        Days, and their seasons, on which the penalty is chosen.

    Returns
    -------
    SeasonRidge

    Raises
    ------
    ValueError
        If there are fewer than five days, or not one season per day.

    Examples
    --------
    >>> from deepsphere.data.station_objectives import seasons
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2019-01-01", "2021-01-01", dtype="datetime64[D]")
    >>> temperature = 10 + 20 * seasons(days)[:, None]
    >>> records = station_records([8.5], [47.4], temperature, days)
    >>> ridge = fit_season_ridge(records, seasons(days))
    >>> bool(np.abs(ridge.predict(records) - seasons(days)).max() < 0.02)
    True
    """
    _check_days(train, seasons)
    if (validation is None) != (validation_seasons is None):
        raise ValueError("validation must come with validation_seasons, got one of them alone")
    if validation is not None and validation_seasons is not None:
        _check_days(validation, validation_seasons)
        inner, inner_seasons = train, seasons
    else:
        split = len(train) - max(1, len(train) // 5)
        inner, inner_seasons = train.take_times(np.arange(split)), seasons[:split]
        validation = train.take_times(np.arange(split, len(train)))
        validation_seasons = seasons[split:]
    candidates = _fits(inner, inner_seasons, _PENALTIES)
    errors = [
        np.mean((candidate.predict(validation) - validation_seasons) ** 2)
        for candidate in candidates
    ]
    best = int(np.argmin(errors))
    return candidates[best] if inner is train else _fits(train, seasons, _PENALTIES[best:][:1])[0]


def _fits(train: StationRecords, seasons: np.ndarray, penalties: np.ndarray) -> list[SeasonRidge]:
    """The regressions with some penalties."""
    known = np.isfinite(train.values)
    counts = known.sum(axis=0)
    values = np.where(known, train.values, 0.0).astype(np.float64)
    means = np.divide(values.sum(axis=0), counts, out=np.zeros(counts.shape), where=counts > 0)
    squares = np.where(known, (values - means) ** 2, 0.0).sum(axis=0)
    deviations = np.sqrt(np.divide(squares, counts, out=np.zeros(counts.shape), where=counts > 0))
    interpolation = inverse_distance(train.sampling)
    features = _standardized(train.values, means, deviations, interpolation=interpolation)
    matrix = features.reshape(len(features), -1)
    intercept = float(seasons.mean())
    departures = seasons - intercept
    if matrix.shape[0] >= matrix.shape[1]:
        squares, vectors = np.linalg.eigh(matrix.T @ matrix)
        right, turned = vectors, vectors.T @ (matrix.T @ departures)
    else:
        # the same solution, from products of days in place of features
        squares, vectors = np.linalg.eigh(matrix @ matrix.T)
        right, turned = matrix.T @ vectors, vectors.T @ departures
    squares = np.maximum(squares, 0.0)
    scale = squares.mean() or 1.0
    return [
        SeasonRidge(
            interpolation,
            means,
            deviations,
            (right @ (turned / (squares + scale * penalty))).reshape(means.shape),
            intercept,
            float(penalty),
        )
        for penalty in penalties
    ]


def _standardized(
    values: np.ndarray,
    means: np.ndarray,
    deviations: np.ndarray,
    *,
    interpolation: StationInterpolation,
) -> np.ndarray:
    """Values by mean and deviation of their station, without gaps; 0 where nothing is known."""
    divisors = np.where(deviations > 0, deviations, np.inf)
    scaled = (values.astype(np.float64) - means) / divisors
    # a station without training days has no deviation: what it says cannot be told
    known = np.isfinite(scaled) & (deviations > 0)
    filled = np.empty_like(scaled)
    for channel in range(scaled.shape[-1]):
        filled[..., channel] = interpolation(scaled[..., channel], known[..., channel])
    return np.where(np.isfinite(filled) & (deviations > 0), filled, 0.0)


def _check_days(records: StationRecords, seasons: np.ndarray) -> None:
    """Raise unless there are days with one season each."""
    if seasons.shape != (len(records),):
        raise ValueError(
            f"seasons must be one for each of {len(records)} days, got shape {seasons.shape}"
        )
    if len(records) < 5:
        raise ValueError(f"records must have at least 5 days, got {len(records)}")
