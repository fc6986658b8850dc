"""Labels and places of times, of any calendar."""

from datetime import date, datetime
from itertools import pairwise

import numpy as np
import pytest

from deepsphere.plotting.times import time_labels, time_positions, time_ticks


class NoLeapDate:
    """A date of a calendar without leap years, as climate models have."""

    def __init__(self, year, month, day, hour=0):
        self.year, self.month, self.day, self.hour = year, month, day, hour
        self.minute = self.second = 0
        self._common = datetime(2001, month, day, hour)

    def __sub__(self, other):
        years = datetime(2002, 1, 1) - datetime(2001, 1, 1)
        return self._common - other._common + (self.year - other.year) * years


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (np.array(["2020-01", "2021-12"], "datetime64[M]"), ["2020-01", "2021-12"]),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[ns]"), ["2020-01-01", "2020-01-02"]),
        ([datetime(2020, 1, 1, 6, 30)], ["2020-01-01 06:30"]),
        ([date(2020, 3, 5)], ["2020-03-05"]),
        ([NoLeapDate(2000, 2, 28, 18), NoLeapDate(2000, 3, 1, 0)],
         ["2000-02-28 18:00", "2000-03-01 00:00"]),
        ([0, 6.5, np.int64(12)], ["0", "6.5", "12"]),
        (["spring", "summer"], ["spring", "summer"]),
        (None, ["1", "2", "3"]),
    ],
)  # fmt: skip
def test_labels_are_as_fine_as_the_times(times, labels):
    assert time_labels(times, len(labels)) == labels


def test_positions_are_days_in_the_calendar_of_the_dates():
    gregorian = [datetime(2000, 2, 28), datetime(2000, 3, 1, 12)]
    np.testing.assert_allclose(time_positions(gregorian, 2), [0, 2.5])
    without_leap_years = [NoLeapDate(2000, 2, 28), NoLeapDate(2000, 3, 1, 12)]
    np.testing.assert_allclose(time_positions(without_leap_years, 2), [0, 1.5])
    np.testing.assert_allclose(time_positions([6, 12, 30], 3), [6, 12, 30])
    np.testing.assert_allclose(time_positions(["a", "b"], 2), [1, 2])


@pytest.mark.parametrize(
    ("first", "last", "step"),
    [
        ("2010-01", "2020-09", "1M"),
        ("2010-04", "2012-09", "1M"),
        ("1890-07", "1999-07", "12M"),
        ("2020-01-01T00", "2020-01-11T00", "6h"),
        ("2020-02-27T06", "2020-03-03T12", "6h"),
        ("2015-12-30", "2016-03-05", "1D"),
        ("2020-01-01T00", "2020-01-01T09", "1h"),
    ],
)
def test_ticks_stand_at_equal_periods_and_are_few(first, last, step):
    unit = step[-1]
    width = np.timedelta64(int(step[:-1]), unit)
    times = np.arange(np.datetime64(first, unit), np.datetime64(last, unit), width)
    positions, labels = time_ticks(times, len(times))
    assert 2 <= len(labels) <= 7
    assert len(set(labels)) == len(labels)
    gaps = [b - a for a, b in pairwise(positions)]
    assert max(gaps) <= 1.35 * min(gaps)
    everything = time_positions(times, len(times))
    assert set(positions) <= set(everything)


def test_years_are_labelled_as_such():
    times = np.arange("2010-01", "2020-09", dtype="datetime64[M]")
    assert time_ticks(times, len(times))[1] == ["2010", "2012", "2014", "2016", "2018", "2020"]


@pytest.mark.parametrize("function", [time_labels, time_positions])
def test_wrong_number_of_times_is_rejected(function):
    with pytest.raises(
        ValueError, match="times must hold one time for each of the 3 frames, got 2"
    ):
        function([1, 2], 3)


@pytest.mark.parametrize("times", [[1, 1], [datetime(2020, 1, 2), datetime(2020, 1, 1)]])
def test_times_that_do_not_increase_are_rejected(times):
    with pytest.raises(ValueError, match=r"times must increase, got .* at index 1"):
        time_positions(times, 2)
