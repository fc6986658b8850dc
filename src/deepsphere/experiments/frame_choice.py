"""Which frames of a file are drawn: chosen by numbers or dates, as a user types them."""

import re
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from deepsphere.data.calendars import as_times, calendar_fields, format_time

_CLOCK = r"(?:[T ](\d\d?)(?::(\d\d)(?::(\d\d))?)?)?"
_DATE = re.compile(rf"(-?\d{{1,6}})(?:-(\d\d?)(?:-(\d\d?){_CLOCK})?)?Z?")
# two dates: the colon before a year, as clocks have colons too
_RANGE = re.compile(r"(.*?\S)\s*:\s*(-?\d{4,6}(?:-.*)?)")


def choose_frames(
    known: np.ndarray | None,
    count: int,
    *,
    index: int | str | None = None,
    times: str | None = None,
) -> Int[np.ndarray, "chosen"] | None:
    """Which frames are asked for, in the order of the file; None where nothing is asked.

    Parameters
    ----------
    known
        The times of the file: dates of any calendar, numbers or texts; None where it has none.
    count
        How many frames there are.
    index
        A number from 0, ``"FROM:TO"`` with both ends, or ``"all"``.
    times
        A date, which takes all times that begin with it (a year, a month, a day), a number where
        the times are numbers, ``"FROM:TO"`` with both ends, or ``"all"``.

    Returns
    -------
    Int[np.ndarray, "chosen"] or None

    Raises
    ------
    ValueError
        If both are given, there is no such frame, or the file has no times.

    Examples
    --------
    >>> months = np.arange("2019-11", "2020-12", dtype="datetime64[M]")
    >>> choose_frames(months, len(months), times="2020-03:2020-05")
    array([4, 5, 6])
    >>> len(choose_frames(months, len(months), times="2020"))
    11
    """
    if index is not None and times is not None:
        raise ValueError(
            f"--index and --times must not both be given, got {index} and {times}; choose one"
        )
    if index == "all" or times == "all":
        return np.arange(count)
    if index is not None:
        return _indices(str(index), count)
    if times is None:
        return None
    if known is None:
        raise ValueError(
            f"--times must come with a file that has times, got {times} and a file without; use "
            "--index"
        )
    first, last = _ends(times)
    chosen = places_between(known, first, last)
    if chosen is None:
        raise ValueError(
            f"--times must be {_kind_of(known)}, FROM:TO, or all, got {times}; {_span(known)}"
        )
    if not chosen.any():
        raise ValueError(
            f"--times must name some of the times of the file, got {times}; {_span(known)}"
        )
    return np.flatnonzero(chosen)


def _ends(text: str) -> tuple[str, str]:
    """Both ends of a range, which are the same where one time is named."""
    found = _RANGE.fullmatch(text)
    if found is not None:
        return found[1], found[2]
    if _DATE.fullmatch(text) is None and text.count(":") == 1:
        first, _, last = text.partition(":")
        return first.strip(), last.strip()
    return text, text


def places_between(times: np.ndarray, first: str, last: str) -> Bool[np.ndarray, "times"] | None:
    """Which coordinates lie between two texts, with both.

    Parameters
    ----------
    times
        Dates, numbers, lead times or texts.
    first, last
        Dates as far as they are written: a year is all that lies in it. "" for no end.

    Returns
    -------
    Bool[np.ndarray, "times"] or None
        None where the texts are not of the kind of the coordinates.

    Examples
    --------
    >>> places_between(np.array([1000.0, 850.0, 500.0]), "500", "850")
    array([False,  True,  True])
    """
    dates = dates_of(times)
    if dates is not None:
        low, high = _date_of(first), _date_of(last)
        if low is None or high is None:
            return None
        # a year is all of its months: compared as far as it is written
        return np.array(
            [low <= date[: len(low)] and date[: len(high)] <= high for date in dates], bool
        )
    if times.dtype.kind == "m":  # lead times, in hours
        times = times / np.timedelta64(1, "h")
        first, last = first.removesuffix("h").strip(), last.removesuffix("h").strip()
    if times.dtype.kind in "iuf":
        try:
            low, high = float(first or -np.inf), float(last or np.inf)
        except ValueError:
            return None
        near = np.isclose(times, low) | np.isclose(times, high)
        return near | ((times >= low) & (times <= high))
    words = [str(time) for time in times]
    first, last = first or words[0], last or words[-1]
    if first not in words or last not in words:
        return None
    places = np.arange(len(words))
    return (places >= words.index(first)) & (places <= words.index(last))


def dates_of(times: np.ndarray) -> list[tuple[int, ...]] | None:
    """Year, month, day, hour, minute and second of each time.

    Parameters
    ----------
    times
        Of any kind.

    Returns
    -------
    list of tuple of int, or None
        None if they are no dates.

    Examples
    --------
    >>> dates_of(np.array(["2020-02-29T06:00"], "datetime64[s]"))
    [(2020, 2, 29, 6, 0, 0)]
    """
    if times.dtype.kind not in "MO":
        return None
    try:
        fields = calendar_fields(times)
    except (TypeError, ValueError):
        return None
    return [
        (year, month, day, second // 3600, second // 60 % 60, second % 60)
        for year, month, day, second in fields.tolist()
    ]


def _date_of(text: str) -> tuple[int, ...] | None:
    """Year, month and so on of a text, as far as it goes; nothing of an open end."""
    if not text:
        return ()
    found = _DATE.fullmatch(text.strip())
    return None if found is None else tuple(int(part) for part in found.groups() if part)


def _kind_of(times: np.ndarray) -> str:
    """What a user types to name one of the times."""
    if dates_of(times) is not None:
        return "a date such as 2020-01"
    if times.dtype.kind == "m":
        return "a number of hours"
    return "a number" if times.dtype.kind in "iuf" else "one of the labels"


def _span(known: np.ndarray) -> str:
    """From when to when a file goes."""
    first, last = (coordinate_text(time) for time in known[[0, -1]])
    return f"it has {len(known)}, from {first} to {last}"


def _indices(text: str, count: int) -> Int[np.ndarray, "chosen"]:
    """The frames of a number or a range of numbers, with both ends."""
    first, colon, last = text.partition(":")
    words = [first.strip() or "0", last.strip() or str(count - 1)] if colon else [text.strip()]
    if not all(word.isdigit() for word in words):
        raise ValueError(f"index must be a number, FROM:TO or all, got {text!r}; e.g. --index 0:11")
    ends = [int(word) for word in words]
    for end in ends:
        if end >= count:
            raise ValueError(f"index must be between 0 and {count - 1}, got {end}")
    if ends[0] > ends[-1]:
        raise ValueError(f"index must not end before it begins, got {text}; exchange the ends")
    return np.arange(ends[0], ends[-1] + 1)


def coordinate_text(value: Any) -> str:
    """A coordinate as a short text.

    Parameters
    ----------
    value
        A number, a date or a text.

    Returns
    -------
    str

    Examples
    --------
    >>> coordinate_text(500.0), coordinate_text(np.datetime64("2020-01-01T00:00:00"))
    ('500', '2020-01-01')
    """
    if isinstance(value, np.timedelta64):
        return f"{value / np.timedelta64(1, 'h'):g} h"
    if isinstance(value, int | float | np.integer | np.floating):
        return f"{value:g}"
    try:
        return format_time(as_times(np.array([value]))[0][0])
    except (TypeError, ValueError):
        return str(value)
