"""Dates of any calendar: what they are made of, and reckoning with them.

Times are NumPy's datetime64 (the Gregorian calendar) or objects of cftime, for the calendars of
climate models (noleap, 360_day, ...).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

Times = Shaped[np.ndarray, "times"]
MonthRule = Literal["same", "middle", "last"]

STANDARD = "standard"
_EPOCH = "seconds since 1970-01-01"
_SECONDS_OF_DAY = 86400
# Means over months are dated by their middle, which is the 15th or 16th (14th in February).
_MIDDLE_DAYS = (14, 17)


def seconds_since(times: Times) -> Int[np.ndarray, "times"]:
    """Seconds since 1970 in the calendar of the times.

    Parameters
    ----------
    times
        datetime64 or cftime.

    Returns
    -------
    Int[np.ndarray, "times"]

    Examples
    --------
    >>> seconds_since(np.array(["1970-01-02"], "datetime64[D]"))
    array([86400])
    """
    return to_seconds(*as_times(times))


def year_fractions(times: Times) -> Float[np.ndarray, "times"]:
    """Share of its year that has passed at each time, in [0, 1), whatever the calendar.

    Parameters
    ----------
    times
        datetime64 or cftime.

    Returns
    -------
    Float[np.ndarray, "times"]

    Examples
    --------
    >>> year_fractions(np.array(["2021-01-01", "2021-07-02T12"], "datetime64[s]"))
    array([0. , 0.5])
    """
    times, calendar = as_times(times)
    years = calendar_fields(times)[:, 0]
    now = to_seconds(times, calendar)
    unique, inverse = np.unique(years, return_inverse=True)
    starts = [_year_start(int(year), times, calendar) for year in (*unique, *(unique + 1))]
    first, last = np.split(to_seconds(_pack(starts, times), calendar), 2)
    return (now - first[inverse]) / (last - first)[inverse]


def calendar_fields(times: Times) -> Int[np.ndarray, "times 4"]:
    """Year, month (from 1), day (from 1) and second of the day of each time.

    Parameters
    ----------
    times
        datetime64 or cftime.

    Returns
    -------
    Int[np.ndarray, "times 4"]

    Examples
    --------
    >>> calendar_fields(np.array(["2020-02-29T06:00"], "datetime64[s]"))
    array([[ 2020,     2,    29, 21600]])
    """
    times, _ = as_times(times)
    if times.dtype.kind == "M":
        months, days = times.astype("datetime64[M]"), times.astype("datetime64[D]")
        columns = (
            months.astype("datetime64[Y]").astype(np.int64) + 1970,
            months.astype(np.int64) % 12 + 1,
            (days - months).astype(np.int64) + 1,
            (times - days).astype(np.int64),
        )
        return np.stack(columns, axis=1)
    return np.array(
        [
            (time.year, time.month, time.day, time.hour * 3600 + time.minute * 60 + time.second)
            for time in times
        ],
        np.int64,
    ).reshape(-1, 4)


def format_time(time: Any) -> str:
    """A time in ISO 8601, as short as it can be.

    Parameters
    ----------
    time
        datetime64 or cftime.

    Returns
    -------
    str

    Examples
    --------
    >>> format_time(np.datetime64("2020-01-16T00:00:00"))
    '2020-01-16'
    """
    text = (
        str(time.astype("datetime64[s]")) if isinstance(time, np.datetime64) else time.isoformat()
    )
    text = text.split(".")[0]
    return text.removesuffix(":00").removesuffix("T00:00")


def as_times(times: Times | Sequence[Any]) -> tuple[Times, str]:
    """Times to the second, and their calendar.

    Parameters
    ----------
    times
        datetime64, datetime, cftime, or texts in ISO 8601.

    Returns
    -------
    times, calendar
        datetime64[s] and "standard", or objects of cftime and their calendar.

    Raises
    ------
    TypeError
        If they are no times.
    ValueError
        If there is none, one is not known, or they are of several calendars.
    """
    array = np.asarray(times)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"times must be a list of at least one, got shape {array.shape}")
    if array.dtype.kind == "U":
        array = array.astype("datetime64[s]")
    if array.dtype.kind == "M":
        missing = np.flatnonzero(np.isnat(array))
        if len(missing):
            raise ValueError(f"times must be known, got none (NaT) at index {missing[0]}")
        # to the nearest second: decoded floating point numbers of days are off by microseconds
        fine = array.astype("datetime64[ms]").astype(np.int64)
        return ((fine + 500) // 1000).astype("datetime64[s]"), STANDARD
    if array.dtype == object and all(isinstance(time, datetime) for time in array):
        return as_times(array.astype("datetime64[us]"))
    calendars = {str(getattr(time, "calendar", "")) for time in array.tolist()}
    if array.dtype != object or "" in calendars:
        raise TypeError(
            "times must be datetime64 or cftime dates, got "
            f"{type(array[0]).__name__} ({array[0]!r}); years become times with "
            "(years - 1970).astype('datetime64[Y]')"
        )
    if len(calendars) > 1:
        raise ValueError(f"times must be of one calendar, got {', '.join(sorted(calendars))}")
    return array.copy(), calendars.pop()


def to_seconds(times: Times, calendar: str) -> Int[np.ndarray, "times"]:
    """Seconds since 1970 of checked times.

    Parameters
    ----------
    times, calendar
        As `as_times` gives them.

    Returns
    -------
    Int[np.ndarray, "times"]
    """
    if times.dtype.kind == "M":
        return times.astype(np.int64)
    import cftime

    numbers = cftime.date2num(times, _EPOCH, calendar=calendar)
    return np.asarray(np.rint(np.asarray(numbers, np.float64)), np.int64)


def month_rule(times: Times) -> MonthRule | None:
    """Where in their months times are, if all are in the same place.

    Parameters
    ----------
    times
        As `as_times` gives them.

    Returns
    -------
    "same", "middle", "last" or None
        On the same day and hour, in the middle, on the last day, or here and there.
    """
    dates = calendar_fields(times)
    days, clock = dates[:, 2], dates[:, 3]
    if (days == days[0]).all() and (clock == clock[0]).all():
        return "same"
    if (days >= _MIDDLE_DAYS[0]).all() and (days <= _MIDDLE_DAYS[1]).all():
        return "middle"
    if all(
        _month_start(time, 1) == _month_start(later(time, _SECONDS_OF_DAY), 0) for time in times
    ):
        return "last"
    return None


def months_later(times: Times, start: Any, number: int) -> Any:
    """The time in a later month at the place where all times are in theirs.

    Parameters
    ----------
    times
        As `as_times` gives them.
    start
        One of them.
    number
        Of months; negative for a month before.

    Returns
    -------
    datetime64 or cftime
    """
    rule = month_rule(times)
    first, following = _month_start(start, number), _month_start(start, number + 1)
    length = _difference(following, first)
    into = _difference(start, _month_start(start, 0))
    if rule == "middle":
        return later(first, length // 2)
    if rule == "last":
        return later(following, into % _SECONDS_OF_DAY - _SECONDS_OF_DAY)
    return later(first, min(into, length - _SECONDS_OF_DAY + into % _SECONDS_OF_DAY))


def later(time: Any, seconds: int) -> Any:
    """The time so many seconds later.

    Parameters
    ----------
    time
        datetime64 or cftime.
    seconds
        Negative for a time before.

    Returns
    -------
    datetime64 or cftime
    """
    if isinstance(time, np.datetime64):
        return time.astype("datetime64[s]") + np.timedelta64(seconds, "s")
    return time + timedelta(seconds=int(seconds))


def cftime_of_text(text: str, calendar: str) -> Any:
    """A date of a calendar from a text in ISO 8601.

    Parameters
    ----------
    text
        As far as it is given: "2020", "2020-01", "2020-01-31T12:00".
    calendar
        Of cftime.

    Returns
    -------
    cftime.datetime

    Raises
    ------
    ValueError
        If it is none.
    """
    import cftime

    date, _, clock = text.replace(" ", "T").removesuffix("Z").partition("T")
    try:
        numbers = [int(part) for part in date.split("-")] + [1, 1]
        clocks = [int(part) for part in clock.split(":")] if clock else []
    except ValueError:
        raise ValueError("not in the form of ISO 8601") from None
    hour, minute, second = [*clocks, 0, 0, 0][:3]
    return cftime.datetime(*numbers[:3], hour, minute, second, calendar=calendar)


def _month_start(time: Any, number: int) -> Any:
    """Midnight of the first day of a month, so many after that of the time."""
    if isinstance(time, np.datetime64):
        return (time.astype("datetime64[M]") + number).astype("datetime64[s]")
    month = time.year * 12 + time.month - 1 + number
    return time.replace(
        year=month // 12, month=month % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0
    )


def _difference(end: Any, start: Any) -> int:
    """Seconds between two times."""
    difference = end - start
    if isinstance(difference, np.timedelta64):
        return int(difference.astype("timedelta64[s]").astype(np.int64))
    return round(difference.total_seconds())


def _year_start(year: int, times: np.ndarray, calendar: str) -> Any:
    """The first moment of a year."""
    if times.dtype.kind == "M":
        return np.datetime64(year - 1970, "Y").astype("datetime64[s]")
    import cftime

    return cftime.datetime(year, 1, 1, calendar=calendar)


def _pack(items: list[Any], like: np.ndarray) -> np.ndarray:
    """Times as an array of the same kind."""
    array = np.empty(len(items), like.dtype)
    array[:] = items
    return array
