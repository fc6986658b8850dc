"""Times of any calendar on axes and in titles."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from jaxtyping import Float

TimesLike = Sequence[Any] | np.ndarray
"""Numbers, datetime64, datetime, dates of cftime, or texts, in the order of the frames."""

_MAX_TICKS = 7
_DAY = timedelta(days=1)
_DAY_PERIODS = (1 / 24, 0.125, 0.25, 0.5, 1, 2, 5, 10)
_MONTH_PERIODS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)


def time_labels(times: TimesLike | None, num_times: int) -> list[str]:
    """Each time as a short text: a month, a day or a minute, as fine as the times differ.

    Parameters
    ----------
    times
        Times of any kind; None to number them.
    num_times
        How many there must be.

    Returns
    -------
    list[str]
        One label for each time.

    Raises
    ------
    ValueError
        If there are more or fewer times.

    Examples
    --------
    >>> time_labels(np.array(["2020-01", "2020-02"], "datetime64[M]"), 2)
    ['2020-01', '2020-02']
    >>> time_labels(np.array(["2020-01-01T06", "2020-01-01T12"], "datetime64[h]"), 2)
    ['2020-01-01 06:00', '2020-01-01 12:00']
    >>> time_labels(None, 2)
    ['1', '2']
    """
    if times is None:
        return [str(index + 1) for index in range(num_times)]
    if len(times) != num_times:
        raise ValueError(
            f"times must hold one time for each of the {num_times} frames, got {len(times)}; pass "
            "as many, or None to number them"
        )
    dates = _dates(times)
    if dates is None:
        return [f"{time:g}" if _is_number(time) else str(time) for time in times]
    at_midnight = all((d.hour, d.minute, d.second) == (0, 0, 0) for d in dates)
    first_days = at_midnight and all(d.day == 1 for d in dates) and len(dates) > 1
    length = 7 if first_days else 10 if at_midnight else 16
    return [
        f"{d.year:04d}-{d.month:02d}-{d.day:02d} {d.hour:02d}:{d.minute:02d}"[:length]
        for d in dates
    ]


def time_positions(times: TimesLike | None, num_times: int) -> Float[np.ndarray, "times"]:
    """Where each time lies on an axis: days since the first date, numbers as they are, or a count.

    Parameters
    ----------
    times
        Times of any kind, increasing; None to count them from 1, as texts are.
    num_times
        How many there must be.

    Returns
    -------
    Float[np.ndarray, "times"]
        Positions, increasing.

    Raises
    ------
    ValueError
        If there are more or fewer times, or they do not increase.

    Examples
    --------
    >>> time_positions(np.array(["2020-01", "2020-02", "2020-03"], "datetime64[M]"), 3)
    array([ 0., 31., 60.])
    """
    if times is not None and len(times) != num_times:
        time_labels(times, num_times)
    dates = None if times is None else _dates(times)
    if dates is not None:
        positions = np.array([(date - dates[0]) / _DAY for date in dates])
    elif times is not None and all(_is_number(time) for time in times):
        positions = np.asarray(times, np.float64)
    else:
        positions = np.arange(1.0, num_times + 1)
    steps = np.diff(positions)
    if not (steps > 0).all():
        place = int(np.argmin(steps > 0))
        raise ValueError(
            f"times must increase, got {times[place + 1]} after {times[place]} at index "  # pyright: ignore[reportOptionalSubscript]
            f"{place + 1}; sort the frames by time and drop repeated ones"
        )
    return positions


def time_ticks(
    times: TimesLike | None, num_times: int, *, max_ticks: int = _MAX_TICKS
) -> tuple[Float[np.ndarray, "ticks"], list[str]]:
    """Positions and labels of a few of the times: where a year, a month or a day begins.

    Parameters
    ----------
    times, num_times
        As for :func:`time_positions`.
    max_ticks
        The most ticks that an axis has room for.

    Returns
    -------
    tuple[Float[np.ndarray, "ticks"], list[str]]
        Positions and labels.

    Examples
    --------
    >>> time_ticks([0, 6, 12, 18], 4, max_ticks=2)
    (array([ 0., 12.]), ['0', '12'])
    >>> months = np.arange("2019-11", "2022-03", dtype="datetime64[M]")
    >>> time_ticks(months, len(months), max_ticks=3)
    (array([ 61., 427., 792.]), ['2020', '2021', '2022'])
    """
    positions, labels = time_positions(times, num_times), time_labels(times, num_times)
    dates = None if times is None else _dates(times)
    kept = None if dates is None else _beginnings(dates, positions, max_ticks)
    if kept is None:
        kept = np.arange(0, num_times, max(-(-num_times // max_ticks), 1))
    labels = [labels[index] for index in kept]
    if all(len(label) == 7 and label.endswith("-01") for label in labels):
        labels = [label[:4] for label in labels]
    return positions[kept], labels


def _beginnings(
    dates: list[Any], positions: Float[np.ndarray, "times"], max_ticks: int
) -> np.ndarray | None:
    """The dates at which a period begins, of the shortest that begin no more often than allowed."""
    first = dates[0]
    midnight = (first.hour + first.minute / 60 + first.second / 3600) / 24
    days = positions + midnight
    months = np.array([12 * date.year + date.month - 1 for date in dates]) + np.array(
        [(date.day - 1 + (day % 1)) / 32 for date, day in zip(dates, days, strict=True)]
    )
    for clock, periods in ((days, _DAY_PERIODS), (months, _MONTH_PERIODS)):
        for period in periods:
            number = np.floor(clock / period + 1e-9)
            begins = np.diff(number, prepend=np.nan) != 0
            # the first date begins a period only if it stands where the period does
            begins[0] = abs(clock[0] / period - number[0]) < 1e-6
            if 2 <= begins.sum() <= max_ticks:
                return np.flatnonzero(begins)
    return None


def _dates(times: TimesLike) -> list[Any] | None:
    """Dates with year, month and so on, which can be subtracted; None if the times are others."""
    values = np.asarray(times)
    if np.issubdtype(values.dtype, np.datetime64):
        # NaT becomes None, which has no label
        known = values.astype("datetime64[us]").astype(object).tolist()
        return known if all(isinstance(value, datetime) for value in known) else None
    if values.dtype == object and all(hasattr(time, "month") for time in times):
        return [t if hasattr(t, "hour") else datetime(t.year, t.month, t.day) for t in times]
    return None


def _is_number(time: object) -> bool:
    return isinstance(time, int | float | np.integer | np.floating)
