"""Times in a regular step, with gaps: of hours, days or calendar months, in any calendar."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from deepsphere.data.calendars import (
    STANDARD,
    Times,
    as_times,
    calendar_fields,
    cftime_of_text,
    format_time,
    later,
    month_rule,
    months_later,
    to_seconds,
)

StepUnit = Literal["seconds", "months"]

_SIZES = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True)
class TimeStep:
    """The regular step of a time axis.

    Parameters
    ----------
    unit
        "seconds", or "months" where steps are calendar months of unequal length.
    length
        How many of them, at least 1.

    Raises
    ------
    ValueError
        If the unit is not one of these or the length is below 1.

    Examples
    --------
    >>> str(TimeStep("seconds", 21600)), str(TimeStep("months", 1))
    ('6 hours', '1 month')
    """

    unit: StepUnit
    length: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.unit not in ("seconds", "months"):
            raise ValueError(f"unit must be 'seconds' or 'months', got {self.unit!r}")
        if self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}")

    def __str__(self) -> str:
        """In words."""
        return self.times(1)

    def times(self, number: int) -> str:
        """So many steps, in words.

        Parameters
        ----------
        number
            Of steps.

        Returns
        -------
        str

        Examples
        --------
        >>> TimeStep("seconds", 21600).times(4)
        '1 day'
        """
        length, name = self.length * number, "month"
        if self.unit == "seconds":
            name, size = next((n, s) for n, s in _SIZES.items() if length % s == 0)
            length //= size
        return f"{length} {name}{'' if length == 1 else 's'}"

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint."""
        return {"unit": self.unit, "length": self.length}


@dataclass(frozen=True, eq=False, init=False)
class TimeAxis:
    """Increasing times on a regular step, some of which may be missing.

    The step is recognised: calendar months where every time is in a month of its own and at the
    same place of it (the same day and hour, its middle or its last day), else the most frequent
    difference.

    Parameters
    ----------
    times
        datetime64 or objects of cftime, at least one.

    Attributes
    ----------
    times
        datetime64[s], or objects of cftime.
    calendar
        "standard", or that of cftime.
    step
        None where there is one time only.
    positions
        Number of steps from the first time to each; they jump at a gap.

    Raises
    ------
    TypeError
        If they are no times.
    ValueError
        If they are not increasing, of several calendars, or not on a regular step; the message
        names the first that is not.

    Examples
    --------
    >>> axis = TimeAxis(np.array(["2020-01-16", "2020-02-15", "2020-04-16"], "datetime64[s]"))
    >>> str(axis.step), axis.positions, axis.gaps
    ('1 month', array([0, 1, 3]), ((1, 1),))
    """

    times: Times
    calendar: str
    step: TimeStep | None
    positions: Int[np.ndarray, "times"]

    def __init__(self, times: Times | Sequence[Any]) -> None:
        checked, calendar = as_times(times)
        seconds = to_seconds(checked, calendar)
        _check_increasing(checked, seconds)
        step, positions = _recognise(checked, seconds)
        checked.setflags(write=False)
        positions.setflags(write=False)
        for name, value in (
            ("times", checked),
            ("calendar", calendar),
            ("step", step),
            ("positions", positions),
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of times."""
        return len(self.times)

    @property
    def gaps(self) -> tuple[tuple[int, int], ...]:
        """For each gap, the index of the last time before it and how many times are missing."""
        missing = np.diff(self.positions) - 1
        return tuple((int(index), int(missing[index])) for index in np.flatnonzero(missing))

    @cached_property
    def seconds(self) -> Int[np.ndarray, "times"]:
        """Seconds since 1970 in the calendar."""
        return to_seconds(self.times, self.calendar)

    def take(self, indices: Int[np.ndarray, "chosen"]) -> "TimeAxis":
        """Some of the times, on the step of all of them.

        Parameters
        ----------
        indices
            Increasing, at least one.

        Returns
        -------
        TimeAxis
            Its positions begin with 0.

        Raises
        ------
        ValueError
            If there is none, or they are not increasing.
        """
        indices = np.asarray(indices, np.int64)
        if not len(indices) or (np.diff(indices) <= 0).any():
            raise ValueError(
                f"indices must be increasing, at least one, got {indices[:5].tolist()}; "
                "take times in their order"
            )
        part = object.__new__(TimeAxis)
        positions = self.positions[indices] - self.positions[indices[0]]
        for name, value in (
            ("times", self.times[indices]),
            ("calendar", self.calendar),
            ("step", self.step),
            ("positions", positions),
        ):
            object.__setattr__(part, name, value)
        return part

    def indices_of(self, times: Times | Sequence[Any]) -> Int[np.ndarray, "times"]:
        """Index of each time, −1 for those that are not on the axis.

        Parameters
        ----------
        times
            datetime64 or cftime, in any order, of the same calendar.

        Returns
        -------
        Int[np.ndarray, "times"]

        Raises
        ------
        ValueError
            If they are of another calendar.
        """
        wanted, calendar = as_times(times)
        if calendar != self.calendar:
            raise ValueError(
                f"times must be of the calendar {self.calendar!r}, got {calendar!r}; use the "
                "times of the series"
            )
        seconds = to_seconds(wanted, calendar)
        found = np.searchsorted(self.seconds, seconds).clip(max=len(self) - 1)
        return np.where(self.seconds[found] == seconds, found, -1)

    def index_of(self, time: Any) -> int:
        """Index of a time.

        Parameters
        ----------
        time
            datetime64, cftime, or a text such as "2020-01-16" or "2020-01-16T12:00".

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If it is not on the axis.
        """
        parsed = self.parse(time)
        index = int(self.indices_of([parsed])[0])
        if index < 0:
            raise ValueError(
                f"time must be one of {format_time(self.times[0])} to "
                f"{format_time(self.times[-1])} in steps of {self.step}, got "
                f"{format_time(parsed)}; give one that is there"
            )
        return index

    def parse(self, time: Any) -> Any:
        """A time in the calendar of the axis.

        Parameters
        ----------
        time
            A time, or a text in ISO 8601 as far as it is given: "2020", "2020-01".

        Returns
        -------
        datetime64 or cftime

        Raises
        ------
        ValueError
            If the text is no time of this calendar.
        """
        if not isinstance(time, str):
            return time
        try:
            if self.calendar == STANDARD and self.times.dtype.kind == "M":
                return np.datetime64(time.removesuffix("Z"), "s")
            return cftime_of_text(time, self.calendar)
        except ValueError as error:
            raise ValueError(
                f"time must be one of the calendar {self.calendar!r}, got {time!r} ({error}); "
                "write it like 2020-01-31T12:00"
            ) from error

    def after(self, index: int, num_steps: int) -> Any:
        """The time so many steps after one of the axis, also beyond its ends.

        Parameters
        ----------
        index
            Of the time to begin at.
        num_steps
            Negative for a time before.

        Returns
        -------
        datetime64 or cftime
            That of the axis where there is one.

        Raises
        ------
        ValueError
            If the step is not known.
        """
        if self.step is None:
            raise ValueError(
                f"times must be at least two, to know their step, got {format_time(self.times[0])}"
                " alone; take a longer series"
            )
        wanted = self.positions[index] + num_steps
        found = np.searchsorted(self.positions, wanted)
        if found < len(self) and self.positions[found] == wanted:
            return self.times[found]
        start = self.times[index]
        if self.step.unit == "seconds":
            return later(start, self.step.length * num_steps)
        return months_later(self.times, start, self.step.length * num_steps)


def _check_increasing(times: np.ndarray, seconds: np.ndarray) -> None:
    """Raise unless every time is later than the one before."""
    wrong = np.flatnonzero(np.diff(seconds) <= 0)
    if not len(wrong):
        return
    index = int(wrong[0]) + 1
    now, before = format_time(times[index]), format_time(times[index - 1])
    what = "is the same as" if now == before else "is before"
    raise ValueError(
        f"times must increase, got {now} at index {index}, which {what} {before} at index "
        f"{index - 1}; sort them (dataset.sortby) and drop repeated ones "
        "(dataset.drop_duplicates)"
    )


def _recognise(times: np.ndarray, seconds: np.ndarray) -> tuple[TimeStep | None, np.ndarray]:
    """The step of increasing times, and the positions in units of it."""
    if len(times) == 1:
        return None, np.zeros(1, np.int64)
    dates = calendar_fields(times)
    months = dates[:, 0] * 12 + dates[:, 1] - 1
    if (np.diff(months) > 0).all() and month_rule(times) is not None:
        return _regular(times, months, "months")
    return _regular(times, seconds, "seconds")


def _regular(times: np.ndarray, numbers: np.ndarray, unit: StepUnit) -> tuple[TimeStep, np.ndarray]:
    """The most frequent difference, of which all others must be multiples."""
    differences = np.diff(numbers)
    lengths, counts = np.unique(differences, return_counts=True)
    step = TimeStep(unit, int(lengths[counts.argmax()]))
    wrong = np.flatnonzero(differences % step.length)
    if len(wrong):
        index = int(wrong[0])
        raise ValueError(
            f"times must be on a regular step, got {TimeStep(unit, int(differences[index]))} from "
            f"{format_time(times[index])} at index {index} to {format_time(times[index + 1])} "
            f"where most steps are {step}; resample them, or leave out the times between"
        )
    return step, (numbers - numbers[0]) // step.length
