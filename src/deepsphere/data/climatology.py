"""What is usual at a time of the year: the mean fields from which anomalies are measured."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.calendars import Times, calendar_fields, format_time
from deepsphere.data.field_series import FieldSeries
from deepsphere.sampling.encoding import decode_array, encode_array

ClimatologyKind = Literal["month", "day"]

_SECONDS_OF_DAY = 86400
# A year in which every date has a place: 29 February too, and 30 February for climate models
# whose months all have 30 days. Of no effect on the others.
_DAYS_OF_MONTH = 31
_READ_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Climatology:
    """Mean fields of each time of the year: of each month, or of each day and hour.

    Parameters
    ----------
    kind
        "month" or "day".
    means
        One mean field for each time of the year that there are data of; NaN where there are none.
    bins
        Of each month (12), or of each date and hour (12 · 31 · `num_hours`), the index of its mean
        field; −1 where there is none.
    num_hours
        Of how many parts of the day there are means; 1 for months.

    Raises
    ------
    ValueError
        If the numbers do not fit.
    """

    kind: ClimatologyKind
    means: Float[np.ndarray, "bins vertices channels"]
    bins: Int[np.ndarray, "times_of_year"]
    num_hours: int = 1

    def __post_init__(self) -> None:
        """Check what belongs together."""
        check_kind(self.kind)
        expected = 12 if self.kind == "month" else 12 * _DAYS_OF_MONTH * self.num_hours
        if self.bins.shape != (expected,):
            raise ValueError(f"bins must be {expected} for {self.kind!r}, got {self.bins.shape}")
        if self.bins.max(initial=-1) >= len(self.means):
            raise ValueError(
                f"bins must be below the number of means, {len(self.means)}, got {self.bins.max()}"
            )

    def at(self, times: Times) -> Float[np.ndarray, "times vertices channels"]:
        """The mean fields at some times.

        Parameters
        ----------
        times
            datetime64 or cftime.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
            float32; NaN where a value was never there.

        Raises
        ------
        ValueError
            If there were no data of a time of the year.
        """
        keys = _time_of_year(times, self.kind, self.num_hours)
        found = self.bins[keys]
        missing = np.flatnonzero(found < 0)
        if len(missing):
            raise ValueError(
                "times must be at a time of the year of which there are data, got "
                f"{format_time(times[missing[0]])}, for which the climatology has none; measure it "
                "on a series of at least a year"
            )
        return self.means[found]

    def anomalies(
        self, values: Float[np.ndarray, "times vertices channels"], times: Times
    ) -> Float[np.ndarray, "times vertices channels"]:
        """How fields differ from what is usual.

        Parameters
        ----------
        values
            Fields at the times.
        times
            datetime64 or cftime.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
        """
        return values - self.at(times)

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint; the means as compressed text."""
        return {
            "kind": self.kind,
            "num_hours": self.num_hours,
            "bins": encode_array(self.bins.astype(np.int64)),
            "shape": list(self.means.shape),
            "means": encode_array(self.means.astype(np.float32).ravel()),
        }

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "Climatology":
        """The climatology that `values` describes.

        Parameters
        ----------
        values
            Plain values.

        Returns
        -------
        Climatology
        """
        means = decode_array(values["means"], np.float32).reshape(values["shape"])
        bins = decode_array(values["bins"], np.int64)
        return cls(values["kind"], means, bins, values["num_hours"])


def climatology(
    series: FieldSeries, *, kind: ClimatologyKind | None = None, smoothing_days: int = 0
) -> Climatology:
    """Mean fields of a series for each time of the year.

    Give it the years that are learned from and no others: a climatology that knows the test is not
    one that a forecast could have known.

    Parameters
    ----------
    series
        Read once. Missing values do not count.
    kind
        "month", or "day": every date and, for steps below a day, every hour. None: "month" where
        the step is in months, else "day".
    smoothing_days
        Mean over so many days before and after each date, the end of the year meeting its
        beginning; of no effect on months. A few decades need about 15.

    Returns
    -------
    Climatology

    Raises
    ------
    ValueError
        If there is no such kind, or the number of days is out of its range.

    Examples
    --------
    >>> from deepsphere.data.field_series import array_series
    >>> from deepsphere.sampling import Healpix
    >>> months = np.arange("2010-01", "2012-01", dtype="datetime64[M]")
    >>> values = np.ones((24, 12, 1)) * np.repeat([1.0, 3.0], 12)[:, None, None]
    >>> usual = climatology(array_series(values, months, Healpix(1)))
    >>> usual.at(months[:1])[0, 0]
    array([2.], dtype=float32)
    """
    if kind is None:
        kind = "month" if series.step is not None and series.step.unit == "months" else "day"
    check_kind(kind)
    if not 0 <= smoothing_days <= 182:
        raise ValueError(f"smoothing_days must be between 0 and 182, got {smoothing_days}")
    num_hours = 1 if kind == "month" else _num_hours(series)
    keys = _time_of_year(series.times, kind, num_hours)
    present, bins_of = np.unique(keys, return_inverse=True)
    shape = (len(present), series.sampling.num_vertices, series.num_channels)
    sums, counts = np.zeros(shape), np.zeros(shape, np.int64)
    for start in range(0, len(series), _READ_AT_ONCE):
        indices = np.arange(start, min(start + _READ_AT_ONCE, len(series)))
        values = series.read(indices)
        is_there = ~np.isnan(values)
        np.add.at(sums, bins_of[indices], np.where(is_there, values, 0.0))
        np.add.at(counts, bins_of[indices], is_there)
    if kind == "day":
        sums, counts = _smoothed(sums, counts, present, num_hours, smoothing_days)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    bins = np.full(12 if kind == "month" else 12 * _DAYS_OF_MONTH * num_hours, -1)
    bins[present] = np.arange(len(present))
    return Climatology(kind, means.astype(np.float32), _with_leap_day(bins, num_hours), num_hours)


def check_kind(kind: str) -> None:
    """Raise unless there is such a climatology.

    Parameters
    ----------
    kind
        Its name.

    Raises
    ------
    ValueError
        If it is not one of "month" and "day".
    """
    if kind not in get_args(ClimatologyKind):
        raise ValueError(
            f"kind must be one of {', '.join(get_args(ClimatologyKind))}, got {kind!r}"
        )


def _num_hours(series: FieldSeries) -> int:
    """Into how many parts the day falls."""
    step = series.step
    if step is None or step.unit == "months" or step.length >= _SECONDS_OF_DAY:
        return 1
    return max(1, _SECONDS_OF_DAY // step.length)


def _time_of_year(times: Times, kind: ClimatologyKind, num_hours: int) -> np.ndarray:
    """The month, or the date and hour, of each time as one number."""
    dates = calendar_fields(times)
    if kind == "month":
        return dates[:, 1] - 1
    day = (dates[:, 1] - 1) * _DAYS_OF_MONTH + dates[:, 2] - 1
    return day * num_hours + dates[:, 3] * num_hours // _SECONDS_OF_DAY


def _smoothed(
    sums: np.ndarray, counts: np.ndarray, present: np.ndarray, num_hours: int, num_days: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums and counts over the dates nearby, at the same hour."""
    if num_days == 0:
        return sums, counts
    smooth_sums, smooth_counts = np.zeros_like(sums), np.zeros_like(counts)
    day = _day_of_year(present // num_hours)
    for index, key in enumerate(present):
        distance = np.abs(day - day[index])
        near = np.minimum(distance, 366 - distance) <= num_days
        near &= present % num_hours == key % num_hours
        smooth_sums[index] = sums[near].sum(axis=0)
        smooth_counts[index] = counts[near].sum(axis=0)
    return smooth_sums, smooth_counts


def _day_of_year(date: np.ndarray) -> np.ndarray:
    """Number in a leap year, from 0, of the dates month · 31 + day."""
    starts = np.cumsum([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30])
    return starts[date // _DAYS_OF_MONTH] + date % _DAYS_OF_MONTH


def _with_leap_day(bins: np.ndarray, num_hours: int) -> np.ndarray:
    """The means of 28 February also for the 29th, where no such day was seen."""
    if len(bins) == 12:
        return bins
    filled = bins.copy().reshape(12, _DAYS_OF_MONTH, num_hours)
    leap = filled[1, 28]
    filled[1, 28] = np.where(leap < 0, filled[1, 27], leap)
    return filled.ravel()
