"""Forecasts for the next day that need no network: persistence, climatology and ridge regression.

All predict the values of each time of records from the times before it, at every station and time,
so that methods are compared on the same values. None reads the day that it predicts.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from deepsphere.data.climatology import Climatology, climatology
from deepsphere.data.ridge import shrunken_fit
from deepsphere.data.station_records import StationRecords

# A station needs so many complete windows, times the number of coefficients, to have its own.
_WINDOWS_PER_COEFFICIENT = 10
# Stations whose windows are in memory at once, and columns of the climatology.
_AT_ONCE = 256
_COLUMNS_AT_ONCE = 4096


def station_climatology(train: StationRecords, *, smoothing_days: int = 15) -> Climatology:
    """What is usual at each station and time of the year, everywhere and always.

    The mean over the years and over some days around each date. Where a station has no value of a
    time of the year it is that of the nearest time of which it has one, and where it has none at
    all the mean of the other stations. Those of networks, which move to other stations, are in
    `deepsphere.training.station_climatology`.

    Parameters
    ----------
    train
        The times that are learned from, and no others.
    smoothing_days
        See `deepsphere.data.climatology`.

    Returns
    -------
    Climatology
        Without gaps, but for channels that were never observed anywhere.

    Raises
    ------
    ValueError
        If the number of days is out of its range.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    >>> winter = station_records([0, 1], [0, 0], np.array([[1.0, np.nan], [3.0, np.nan]]), days)
    >>> station_climatology(winter).at(np.array(["2021-07-01"], "datetime64[s]")).ravel()
    array([2., 2.], dtype=float32)
    """
    usual = climatology(train.series(), smoothing_days=smoothing_days)
    hours = usual.num_hours
    by_hour = usual.bins.reshape(-1, hours)
    means, bins = [], np.empty_like(by_hour)
    for hour in range(hours):
        there = np.flatnonzero(by_hour[:, hour] >= 0)
        # an hour of which there is nothing takes what there is of the others
        source = by_hour[there, hour] if len(there) else usual.bins[usual.bins >= 0]
        place = there if len(there) else np.flatnonzero(usual.bins >= 0) // hours
        filled = _filled_around_the_year(usual.means[source], place, len(by_hour))
        bins[:, hour] = len(by_hour) * hour + np.arange(len(by_hour))
        means.append(filled)
    return replace(usual, means=np.concatenate(means), bins=bins.ravel())


def persistence(
    records: StationRecords, usual: Climatology, *, history: int = 5
) -> Float[np.ndarray, "times stations channels"]:
    """The last value that was seen before each time.

    Parameters
    ----------
    records
        What is predicted, time by time, from the times before.
    usual
        Takes its place where nothing was seen within the history, see `station_climatology`.
    history
        Steps that are looked back, at least 1.

    Returns
    -------
    Float[np.ndarray, "times stations channels"]
        float32.

    Raises
    ------
    ValueError
        If the history is below 1, or the climatology is of other stations.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]")
    >>> records = station_records([0], [0], np.array([[1.0], [2.0], [np.nan], [4.0]]), days)
    >>> persistence(records, station_climatology(records)).ravel()[1:]
    array([1., 2., 2.], dtype=float32)
    """
    expected = _expected(records, usual)
    windows = _Windows(records.values, records.axis.positions, history)
    return _or_else(windows.last(), expected)


def anomaly_persistence(
    records: StationRecords, usual: Climatology, *, history: int = 5
) -> Float[np.ndarray, "times stations channels"]:
    """What is usual, plus how much the last value that was seen differed from it.

    Parameters
    ----------
    records, usual, history
        As of `persistence`.

    Returns
    -------
    Float[np.ndarray, "times stations channels"]
        float32.

    Raises
    ------
    ValueError
        As `persistence`.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]")
    >>> records = station_records([0], [0], np.array([[1.0], [2.0], [np.nan], [4.0]]), days)
    >>> anomaly_persistence(records, station_climatology(records)).ravel()[1:]
    array([1., 2., 2.], dtype=float32)
    """
    expected = _expected(records, usual)
    windows = _Windows(records.values - expected, records.axis.positions, history)
    return _or_else(windows.last(), 0.0) + expected


@dataclass(frozen=True, eq=False)
class RidgeForecast:
    """Ridge regression of each station's anomalies, or values, on its last days.

    `fit_ridge` and `fit_anomaly_ridge` make it.

    Parameters
    ----------
    usual
        The climatology, which stands where nothing was seen.
    reference
        What the regression is about the differences from: the climatology for anomalies, zeros
        for values.
    coefficients
        Of the values 1, 2, ... steps before, by station and channel.
    intercepts
        By station and channel.
    """

    usual: Climatology
    reference: Climatology
    coefficients: Float[np.ndarray, "stations channels history"]
    intercepts: Float[np.ndarray, "stations channels"]

    def predict(self, records: StationRecords) -> Float[np.ndarray, "times stations channels"]:
        """Predictions of each time from the times before it.

        A value that is missing takes the last one seen within the history before it, and if there
        is none what is usual then.

        Parameters
        ----------
        records
            Of the stations and channels that it was fitted to.

        Returns
        -------
        Float[np.ndarray, "times stations channels"]
            float32.

        Raises
        ------
        ValueError
            If the stations or channels are others.
        """
        reference = _expected(records, self.reference)
        gaps = _expected(records, self.usual) - reference
        windows = _Windows(
            records.values - reference, records.axis.positions, self.coefficients.shape[-1]
        )
        predicted = reference + self.intercepts.astype(np.float32)
        for step in range(self.coefficients.shape[-1]):
            # the climatology of the day that is predicted is that of a few days before, nearly
            known = _or_else(windows.last(step + 1), gaps)
            predicted += known * self.coefficients[..., step].astype(np.float32)
        return predicted


def fit_ridge(train: StationRecords, usual: Climatology, *, history: int = 5) -> RidgeForecast:
    """Ridge regression of the next value of each station on its last ones.

    Fitted to windows without gaps, with an intercept; the strength of the penalty is chosen for
    each station by generalized cross-validation. Stations with few windows share coefficients that
    are fitted to those of all.

    Parameters
    ----------
    train
        The times that are learned from, and no others.
    usual
        The climatology of the same times, for gaps; see `station_climatology`.
    history
        Steps that are looked back, at least 1.

    Returns
    -------
    RidgeForecast

    Raises
    ------
    ValueError
        If the history is below 1, or the climatology is of other stations.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]")
    >>> waves = 10 + np.sin(np.arange(91.0))[:, None]
    >>> records = station_records([0], [0], waves, days)
    >>> ridge = fit_ridge(records, station_climatology(records), history=2)
    >>> bool(np.abs(ridge.predict(records)[2:] - records.values[2:]).max() < 0.01)
    True
    """
    nothing = replace(usual, means=np.zeros_like(usual.means))
    return _fit(train, usual, nothing, history)


def fit_anomaly_ridge(
    train: StationRecords, usual: Climatology, *, history: int = 5
) -> RidgeForecast:
    """As `fit_ridge`, of the differences from what is usual.

    Parameters
    ----------
    train, usual, history
        As of `fit_ridge`.

    Returns
    -------
    RidgeForecast

    Raises
    ------
    ValueError
        As `fit_ridge`.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]")
    >>> records = station_records([0], [0], np.sin(np.arange(91.0))[:, None], days)
    >>> fit_anomaly_ridge(records, station_climatology(records)).coefficients.shape
    (1, 1, 5)
    """
    return _fit(train, usual, usual, history)


def _fit(
    train: StationRecords, usual: Climatology, reference: Climatology, history: int
) -> RidgeForecast:
    """The regression on the differences from a reference."""
    differences = train.values - _expected(train, reference)
    windows = _Windows(differences, train.axis.positions, history)
    number, channels = train.num_stations, train.num_channels
    coefficients = np.zeros((number, channels, history))
    intercepts = np.zeros((number, channels))
    for channel in range(channels):
        fit = shrunken_fit(
            (
                windows.complete(slice(start, start + _AT_ONCE), channel)
                for start in range(0, number, _AT_ONCE)
            ),
            least_samples=_WINDOWS_PER_COEFFICIENT * history,
        )
        coefficients[:, channel], intercepts[:, channel] = fit
    return RidgeForecast(usual, reference, coefficients, intercepts)


class _Windows:
    """The values before each time, on an axis without gaps."""

    def __init__(self, values: np.ndarray, positions: np.ndarray, history: int) -> None:
        if history < 1:
            raise ValueError(f"history must be at least 1, got {history}")
        self.history = history
        self.positions = positions
        # so many times before the first, at which nothing was seen
        shape = (history + int(positions[-1]) + 1, *values.shape[1:])
        self.values = np.full(shape, np.nan, np.float32)
        self.values[history + positions] = values

    def last(self, steps: int = 1) -> np.ndarray:
        """The last value seen so many steps before each time or, within the history, earlier."""
        found = self.values[self.history + self.positions - steps]
        for earlier in range(steps + 1, self.history + 1):
            found = _or_else(found, self.values[self.history + self.positions - earlier])
        return found

    def complete(self, stations: slice, channel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows (stations, times, history), what follows, and where all of it was seen."""
        rows = self.history + self.positions
        chosen = self.values[:, stations, channel].astype(np.float64)
        targets = chosen[rows].T
        inputs = np.stack([chosen[rows - step].T for step in range(1, self.history + 1)], axis=-1)
        return inputs, targets, np.isfinite(targets) & np.isfinite(inputs).all(axis=-1)


def _expected(records: StationRecords, usual: Climatology) -> np.ndarray:
    """The climatology at the times of the records."""
    expected = (records.num_stations, records.num_channels)
    if usual.means.shape[1:] != expected:
        raise ValueError(
            f"the climatology must be of {expected[0]} stations and {expected[1]} channels, got "
            f"{usual.means.shape[1]} and {usual.means.shape[2]}; measure it on the training part "
            "of the same records"
        )
    return usual.at(records.times)


def _or_else(values: np.ndarray, other: np.ndarray | float) -> np.ndarray:
    """Values, and others where they are missing."""
    return np.where(np.isnan(values), other, values).astype(np.float32)


def _filled_around_the_year(means: np.ndarray, places: np.ndarray, number: int) -> np.ndarray:
    """Means at all places of the year, (places, stations, channels), without gaps."""
    columns = means.reshape(len(means), -1)
    filled = np.full((number, columns.shape[1]), np.nan, np.float32)
    filled[places] = columns
    for start in range(0, columns.shape[1], _COLUMNS_AT_ONCE):
        part = filled[:, start : start + _COLUMNS_AT_ONCE]
        part[:] = np.take_along_axis(part, _nearest_there(np.isfinite(part)), axis=0)
    filled = filled.reshape(number, *means.shape[1:])
    counts = np.isfinite(filled).sum(axis=1, keepdims=True)
    sums = np.nansum(filled, axis=1, keepdims=True)
    common = np.divide(sums, counts, out=np.full(sums.shape, np.nan, np.float32), where=counts > 0)
    return np.where(np.isnan(filled), common, filled)


def _nearest_there(there: np.ndarray) -> np.ndarray:
    """Index on the circle, for each place of each column, of the nearest that is there."""
    number = len(there)
    thrice, index = np.tile(there, (3, 1)), np.arange(3 * number)[:, None]
    before = np.maximum.accumulate(np.where(thrice, index, -number))
    after = np.minimum.accumulate(np.where(thrice, index, 5 * number)[::-1])[::-1]
    own = slice(number, 2 * number)
    is_before = index[own] - before[own] <= after[own] - index[own]
    return np.where(is_before, before[own], after[own]) % number
