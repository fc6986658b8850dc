"""Dates of tables: of every kind that is beyond doubt, and of a format that is named."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from deepsphere.data.station_libraries import require_pandas

_ISO = re.compile(
    r"\d{4}-\d{1,2}(-\d{1,2}([T ]\d{1,2}(:\d{2}){0,2}(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?$"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?")
_NAMED_MONTH = re.compile(r"\d{1,2}([-/ ])[A-Za-z]{3}\1\d{4}")
_PARTED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{4}")
_DIGITS = {12: "%Y%m%d%H%M", 10: "%Y%m%d%H", 8: "%Y%m%d", 6: "%Y%m", 4: "%Y"}
# Seconds since 1970 have ten digits too, and began with less until 2028.
_FIRST_HOUR = 1830
_YEARS = (1500, 2400)


def parse_times(values: Any, time_format: str | None = None) -> Shaped[np.ndarray, "rows"]:
    """Times of a column: dates, ISO 8601, YYYYMMDD, or of a format that is named.

    Parameters
    ----------
    values
        A column of anything.
    time_format
        As of `strptime`, "%d/%m/%Y"; None where the order of day and month is beyond doubt.

    Returns
    -------
    Shaped[np.ndarray, "rows"]
        datetime64[s], NaT where nothing stands. The clock is that of the table: a time zone is
        left out where it is the same in all rows.

    Raises
    ------
    ValueError
        If a text is no date, or could be two.

    Examples
    --------
    >>> parse_times([20200131, 20200201])
    array(['2020-01-31T00:00:00', '2020-02-01T00:00:00'], dtype='datetime64[s]')
    """
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.reshape(-1).astype("datetime64[s]")
    pd = require_pandas()
    column = pd.Series(values).reset_index(drop=True)
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    zone = getattr(getattr(column.dtype, "pyarrow_dtype", column.dtype), "tz", None)
    if zone is not None and hasattr(column.dtype, "pyarrow_dtype"):
        # whose clock is that of UTC in pandas 2
        column = column.astype(pd.DatetimeTZDtype("us", zone))
    if zone is not None:
        column = column.dt.tz_localize(None)
    if column.dtype.kind == "M":
        return column.to_numpy().astype("datetime64[s]")
    codes, unique = pd.factorize(column)
    unique = [one.decode("latin-1") if isinstance(one, bytes) else one for one in unique]
    parsed = _parse_unique(list(unique), time_format)
    return np.append(parsed, np.datetime64("NaT", "s"))[codes]


def times_of_parts(
    year: Float[np.ndarray, "rows"],
    month: Float[np.ndarray, "rows"] | None,
    day: Float[np.ndarray, "rows"] | None,
) -> Shaped[np.ndarray, "rows"]:
    """Times of numbers of years, months and days.

    Parameters
    ----------
    year
        Of each row, NaN where nothing stands.
    month
        From 1; None for the first.
    day
        Of the month, or of the year where there is no month, from 1; None for the first.

    Returns
    -------
    Shaped[np.ndarray, "rows"]
        datetime64[s], NaT where nothing stands.

    Raises
    ------
    ValueError
        If they are no date.

    Examples
    --------
    >>> times_of_parts(np.array([2020.0]), None, np.array([60.0]))
    array(['2020-02-29T00:00:00'], dtype='datetime64[s]')
    """
    parts = [year, np.ones_like(year) if month is None else month]
    parts.append(np.ones_like(year) if day is None else day)
    known = np.isfinite(parts).all(axis=0)
    times = np.full(len(year), np.datetime64("NaT", "s"))
    years, months, days = (each[known].astype(np.int64) for each in parts)
    starts = (12 * (years - 1970) + months - 1).astype("datetime64[M]")
    dates = starts.astype("datetime64[D]") + (days - 1)
    unit = "Y" if month is None else "M"
    wrong = (months < 1) | (months > 12) | (days < 1)
    wrong |= dates.astype(f"datetime64[{unit}]") != starts.astype(f"datetime64[{unit}]")
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            "year, month and day must be dates, got "
            f"{years[first]}, {months[first]} and {days[first]}; mend or leave out such rows"
        )
    times[known] = dates
    return times


def is_clock(column: Any) -> bool:
    """Whether texts are times of the day, "06:00".

    Parameters
    ----------
    column
        Of anything.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_clock(["06:00", "18:00"]), is_clock(["2020-01-31"])
    (True, False)
    """
    known = require_pandas().Series(column).dropna()
    return bool(len(known)) and _CLOCK.fullmatch(str(known.iloc[0]).strip()) is not None


def with_clock(days: Shaped[np.ndarray, "rows"], column: Any) -> Shaped[np.ndarray, "rows"]:
    """Days at the time of the day that stands beside them.

    Parameters
    ----------
    days
        datetime64[s]; they are as they are if any is not at midnight.
    column
        Of texts such as "06:00", of hours from 0 to 24, or of numbers such as 1830.

    Returns
    -------
    Shaped[np.ndarray, "rows"]
        NaT where the time is not known.

    Examples
    --------
    >>> with_clock(np.array(["2020-01-31"], "datetime64[s]"), ["06:30"])
    array(['2020-01-31T06:30:00'], dtype='datetime64[s]')
    """
    known = days[~np.isnat(days)]
    if (known != known.astype("datetime64[D]")).any():
        return days
    codes, unique = require_pandas().factorize(require_pandas().Series(column))
    seconds = np.array([*(_seconds_of(one) for one in unique), np.nan])[codes]
    times = np.full(len(days), np.datetime64("NaT", "s"))
    found = np.isfinite(seconds)
    times[found] = days[found] + seconds[found].astype(np.int64)
    return times


def _seconds_of(clock: Any) -> float:
    """Seconds of the day; NaN for what is no time of it."""
    parts = _CLOCK.fullmatch(str(clock).strip())
    if parts:
        hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    else:
        try:
            number = float(clock)
        except (TypeError, ValueError):
            return float("nan")
        hours, minutes, seconds = (number, 0, 0) if number <= 24 else (*divmod(number, 100), 0)
    in_range = 0 <= hours <= 24 and minutes < 60 and seconds < 60
    return float(3600 * hours + 60 * minutes + seconds) if in_range else float("nan")


def _parse_unique(values: Sequence[Any], time_format: str | None) -> np.ndarray:
    """Times of different values that are all of one kind."""
    pd = require_pandas()
    if not values:
        return np.empty(0, "datetime64[s]")
    if all(isinstance(one, int | float | np.number) for one in values):
        values = [str(int(one)) if float(one).is_integer() else str(one) for one in values]
    elif not all(isinstance(one, str) for one in values):
        try:
            return pd.to_datetime(pd.Series(values)).to_numpy().astype("datetime64[s]")
        except (TypeError, ValueError) as error:
            raise _no_time(values[0], str(error)) from error
    texts = [one.strip() for one in values]
    known = [text for text in texts if text.lower() not in ("", "nan", "nat", "na", "none")]
    chosen, utc = time_format, False
    if chosen is None and known:
        chosen, utc = _format_of(known)
    parsed = {text: np.datetime64("NaT", "s") for text in texts}
    if known:
        try:
            stamps = pd.to_datetime(pd.Series(known), format=chosen, utc=utc, errors="coerce")
        except (TypeError, ValueError) as error:
            raise _no_time(known[0], str(error).split(". ")[0]) from error
        wrong = np.flatnonzero(stamps.isna())
        if len(wrong):
            raise _no_time(known[wrong[0]], f"no day of the format {chosen}")
        if isinstance(stamps.dtype, pd.DatetimeTZDtype):
            stamps = stamps.dt.tz_localize(None)
        parsed.update(zip(known, stamps.to_numpy().astype("datetime64[s]"), strict=True))
    return np.array([parsed[text] for text in texts], "datetime64[s]")


def _format_of(texts: Sequence[str]) -> tuple[str, bool]:
    """Format of texts that are all written alike, and whether they are of several time zones."""
    if all(_ISO.match(text) for text in texts):
        zones = {
            found[1] for text in texts if (found := re.search(r"(Z|[+-]\d\d:?\d\d)$", text[10:]))
        }
        return "ISO8601", len(zones) > 1
    if all(re.fullmatch(r"\d{4}/\d{1,2}/\d{1,2}", text) for text in texts):
        return "%Y/%m/%d", False
    separator = texts[0].strip("0123456789")[:1]
    if all(_NAMED_MONTH.fullmatch(text) and separator in text for text in texts):
        return separator.join(("%d", "%b", "%Y")), False
    if all(_PARTED.fullmatch(text) and separator in text for text in texts):
        numbers = [[int(part) for part in text.split(separator)[:2]] for text in texts]
        first, second = (max(each) for each in zip(*numbers, strict=True))
        # with points the day comes first; else one of them must be beyond 12
        if second <= 12 and (first > 12 or separator == "."):
            return separator.join(("%d", "%m", "%Y")), False
        if first <= 12 < second and separator != ".":
            return separator.join(("%m", "%d", "%Y")), False
    length = len(texts[0])
    if length in _DIGITS and all(re.fullmatch(rf"\d{{{length}}}", text) for text in texts):
        years = [int(text[:4]) for text in texts]
        first_year = _FIRST_HOUR if length > 8 else _YEARS[0]
        if first_year <= min(years) and max(years) <= _YEARS[1]:
            return _DIGITS[length], False
    odd = next((text for text in texts if not _ISO.match(text)), texts[0])
    raise _no_time(odd, "")


def _no_time(value: Any, reason: str) -> ValueError:
    """The error of something that is no date, or could be two."""
    because = f" ({reason})" if reason else ""
    return ValueError(
        f"time must be a date such as 2020-01-31 or 20200131, got {value!r}{because}; name the "
        "format of others: time_format='%d/%m/%Y' where the day comes first, '%m/%d/%Y' where the "
        "month does"
    )
