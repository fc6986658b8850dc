"""Windows of a series: the times a forecast begins from, and those that it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int

from deepsphere.data.calendars import format_time
from deepsphere.data.field_series import FieldSeries


@dataclass(frozen=True, eq=False, init=False)
class Windows:
    """All windows of a series in which no time is missing.

    A window has a start: the last time that a forecast knows. Its inputs are the fields at the
    start plus each of the lags, its targets those at the start plus one, two, ... times `step`.
    Lags and step count steps of the series: with a step of 6 hours, lags (-2, -1, 0) are fields
    of the last 12 hours.

    Parameters
    ----------
    series
        What they are cut from.
    input_lags
        Increasing, not positive, the last one 0.
    step
        Steps of the series between a start and the first target, at least 1.
    num_iterations
        How many targets, at least 1.

    Attributes
    ----------
    starts
        Index of the start of each window in the series.
    num_left_out
        Windows within the series that a gap makes incomplete.
    notes
        The same in words.

    Raises
    ------
    ValueError
        If a number is out of its range, or no window is complete.

    Examples
    --------
    >>> from deepsphere.data.field_series import array_series
    >>> from deepsphere.sampling import Healpix
    >>> hours = np.array([0, 6, 12, 18, 30, 36, 42]) * np.timedelta64(1, "h")
    >>> series = array_series(np.zeros((7, 12, 1)), np.datetime64("2020-01-01") + hours, Healpix(1))
    >>> windows = Windows(series, input_lags=(-1, 0), step=1, num_iterations=1)
    >>> windows.starts.tolist(), windows.num_left_out
    ([1, 2, 5], 3)
    >>> windows.input_indices([0]).tolist(), windows.target_indices([0]).tolist()
    ([[0, 1]], [[2]])
    """

    series: FieldSeries
    input_lags: tuple[int, ...]
    step: int
    num_iterations: int
    starts: Int[np.ndarray, "windows"]
    num_left_out: int

    def __init__(
        self,
        series: FieldSeries,
        *,
        input_lags: Sequence[int] = (-2, -1, 0),
        step: int = 1,
        num_iterations: int = 1,
    ) -> None:
        lags = check_lags(input_lags)
        check_positive("step", step)
        check_positive("num_iterations", num_iterations)
        offsets = (*lags, *(step * number for number in range(1, num_iterations + 1)))
        positions = series.axis.positions
        # windows of a series without gaps, of which some are not complete
        whole = np.arange(-lags[0], int(positions[-1]) - offsets[-1] + 1)
        index_of = np.full(int(positions[-1]) + 1, -1)
        index_of[positions] = np.arange(len(positions))
        complete = np.ones(len(whole), bool)
        for offset in offsets:
            complete &= index_of[whole + offset] >= 0
        if not complete.any():
            raise ValueError(_why_none(series, offsets, len(whole)))
        values: dict[str, Any] = {
            "series": series,
            "input_lags": lags,
            "step": step,
            "num_iterations": num_iterations,
            "starts": index_of[whole[complete]],
            "num_left_out": int(np.count_nonzero(~complete)),
            "_index_of": index_of,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.starts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in words; empty if nothing was."""
        if not self.num_left_out:
            return ()
        index, missing = self.series.axis.gaps[0]
        return (
            f"{self.num_left_out} of {len(self) + self.num_left_out} windows left out, which "
            f"span a gap: {len(self.series.axis.gaps)} in the times, the first of "
            f"{missing} after {format_time(self.series.times[index])}",
        )

    def input_indices(
        self, windows: Sequence[int] | Int[np.ndarray, "chosen"]
    ) -> Int[np.ndarray, "chosen lags"]:
        """Indices in the series of the inputs of some windows.

        Parameters
        ----------
        windows
            Which.

        Returns
        -------
        Int[np.ndarray, "chosen lags"]
            All at or before the start.
        """
        return self._indices(windows, self.input_lags)

    def target_indices(
        self, windows: Sequence[int] | Int[np.ndarray, "chosen"]
    ) -> Int[np.ndarray, "chosen iterations"]:
        """Indices in the series of the targets of some windows.

        Parameters
        ----------
        windows
            Which.

        Returns
        -------
        Int[np.ndarray, "chosen iterations"]
            All after the start.
        """
        leads = [self.step * number for number in range(1, self.num_iterations + 1)]
        return self._indices(windows, leads)

    def _indices(self, windows: Any, offsets: Sequence[int]) -> np.ndarray:
        """Indices in the series of the times that lie so far from the starts."""
        positions = self.series.axis.positions[self.starts[np.asarray(windows, np.int64)]]
        index_of: np.ndarray = self.__dict__["_index_of"]
        return index_of[positions[:, None] + np.asarray(offsets, np.int64)]


def check_lags(input_lags: Sequence[int]) -> tuple[int, ...]:
    """The lags of the inputs, checked.

    Parameters
    ----------
    input_lags
        In steps of a series.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If they do not increase to 0.
    """
    lags = tuple(int(lag) for lag in input_lags)
    if not lags or lags[-1] != 0 or any(b <= a for a, b in pairwise(lags)):
        raise ValueError(
            f"input_lags must increase to 0, the last time that is known, got {tuple(input_lags)};"
            " use (-2, -1, 0), for example"
        )
    return lags


def check_positive(name: str, value: int) -> None:
    """Raise unless a number is at least 1.

    Parameters
    ----------
    name
        What it is called.
    value
        The number.

    Raises
    ------
    ValueError
        If it is not.
    """
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")


def _why_none(series: FieldSeries, offsets: tuple[int, ...], num_whole: int) -> str:
    """Why no window is complete."""
    span = offsets[-1] - offsets[0] + 1
    message = f"series must hold {span} times in a row for a window, got {len(series)} times"
    gaps = series.axis.gaps
    if num_whole < 1:
        span_there = int(series.axis.positions[-1]) + 1
        return f"{message} over {span_there} steps; use fewer lags or iterations, or more times"
    index, missing = gaps[0]
    return (
        f"{message} with {len(gaps)} gaps, the first of {missing} missing after "
        f"{format_time(series.times[index])}; use fewer lags or iterations, or fill the gaps"
    )
