"""Time axes: steps of every calendar, gaps, and times that are refused."""

import pickle

import cftime
import numpy as np
import pytest

from deepsphere.data.calendars import (
    as_times,
    calendar_fields,
    cftime_of_text,
    format_time,
    seconds_since,
    year_fractions,
)
from deepsphere.data.time_axis import TimeAxis, TimeStep


def every(hours: int, number: int, start: str = "2020-02-27") -> np.ndarray:
    return np.datetime64(start, "s") + np.arange(number) * np.timedelta64(hours, "h")


def model_times(calendar: str, number: int, *, hours: int = 6) -> np.ndarray:
    start = cftime.datetime(2000, 2, 27, calendar=calendar)
    numbers = cftime.date2num(start, "hours since 2000-01-01", calendar=calendar)
    return cftime.num2date(
        numbers + np.arange(number) * hours, "hours since 2000-01-01", calendar=calendar
    )


def model_months(calendar: str, number: int, day: int = 1) -> np.ndarray:
    return np.array(
        [
            cftime.datetime(2000 + month // 12, month % 12 + 1, day, calendar=calendar)
            for month in range(number)
        ]
    )


# steps


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "1 hour"), (6, "6 hours"), (24, "1 day"), (120, "5 days")]
)
def test_step_of_hours_is_recognised(hours, words):
    axis = TimeAxis(every(hours, 9))
    assert axis.step == TimeStep("seconds", hours * 3600)
    assert str(axis.step) == words
    assert axis.positions.tolist() == list(range(9))
    assert axis.gaps == ()


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "all_leap", "julian", "standard"])
def test_steps_of_model_calendars_are_recognised(calendar):
    axis = TimeAxis(model_times(calendar, 20))
    assert (axis.calendar, str(axis.step)) == (calendar, "6 hours")
    assert axis.positions.tolist() == list(range(20))
    axis = TimeAxis(model_months(calendar, 30))
    assert str(axis.step) == "1 month"
    assert axis.positions.tolist() == list(range(30))


def test_months_of_unequal_days_are_one_step():
    months = np.arange("2019-11", "2021-04", dtype="datetime64[M]")
    starts = months.astype("datetime64[s]")
    ends = (months + 1).astype("datetime64[s]")
    middles = starts + (ends - starts) // 2
    lasts = ends - np.timedelta64(1, "D")
    for times in (months, starts, middles, lasts, starts + np.timedelta64(19, "D")):
        axis = TimeAxis(times)
        assert axis.step == TimeStep("months", 1)
        assert axis.positions.tolist() == list(range(len(months)))


def test_years_are_twelve_months():
    axis = TimeAxis((np.arange(1890, 1900) - 1970).astype("datetime64[Y]"))
    assert str(axis.step) == "12 months"


def test_days_without_29_february_have_a_gap_in_the_gregorian_calendar_alone():
    days = np.arange("2020-02-25", "2020-03-05", dtype="datetime64[D]")
    kept = days[days != np.datetime64("2020-02-29")]
    assert TimeAxis(kept).gaps == ((3, 1),)
    fields = calendar_fields(kept)
    noleap = np.array([cftime.DatetimeNoLeap(*row[:3]) for row in fields.tolist()])
    assert TimeAxis(noleap).gaps == ()


def test_times_off_by_microseconds_are_on_the_step():
    times = every(6, 5).astype("datetime64[ns]")
    times = times + np.array([0, 3, -4, 250, 0]) * np.timedelta64(1000, "ns")
    axis = TimeAxis(times)
    assert np.array_equal(axis.times, every(6, 5))


def test_gaps_are_where_times_are_missing():
    axis = TimeAxis(np.delete(every(6, 12), [2, 3, 8]))
    assert axis.gaps == ((1, 2), (5, 1))
    assert axis.positions.tolist() == [0, 1, 4, 5, 6, 7, 9, 10, 11]


def test_single_time_has_no_step():
    axis = TimeAxis(every(6, 1))
    assert axis.step is None
    with pytest.raises(ValueError, match=r"times must be at least two, to know their step, got"):
        axis.after(0, 1)


# times of the axis and beyond


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard"])
def test_times_after_the_end_are_those_that_a_longer_axis_has(calendar):
    for times in (model_times(calendar, 40), model_months(calendar, 30), every(12, 30)):
        axis, whole = TimeAxis(times[:20]), TimeAxis(times)
        for number in (-3, 0, 1, 5, 9):
            assert axis.after(19, number) == whole.times[19 + number]


def test_months_after_the_end_stay_at_their_place_in_the_month():
    months = np.arange("2019-10", "2020-04", dtype="datetime64[M]")
    starts = months.astype("datetime64[s]")
    ends = (months + 1).astype("datetime64[s]")
    lasts = ends - np.timedelta64(1, "D")
    middles = starts + (ends - starts) // 2
    for times in (starts, lasts, middles):
        axis = TimeAxis(times[:4])
        assert [axis.after(3, n) for n in (1, 2)] == list(times[4:])
    # a day that the month does not have
    axis = TimeAxis(np.array(["2019-10-30", "2019-11-30", "2019-12-30"], "datetime64[s]"))
    assert axis.after(2, 2) == np.datetime64("2020-02-29")


def test_times_are_found_by_text_and_by_date():
    axis = TimeAxis(every(6, 12))
    assert axis.index_of("2020-02-28T06:00") == 5
    assert axis.index_of("2020-02-28 06") == 5
    assert axis.index_of(np.datetime64("2020-02-28")) == 4
    model = TimeAxis(model_times("360_day", 20))
    assert model.times[model.index_of("2000-02-30T12")] == model.times[14]
    assert axis.indices_of(every(6, 3, "2020-02-29T12")).tolist() == [10, 11, -1]


def test_part_of_an_axis_keeps_the_step_and_survives_pickling():
    axis = TimeAxis(every(6, 12))
    part = pickle.loads(pickle.dumps(axis.take(np.array([3, 6, 9]))))
    assert str(part.step) == "6 hours"
    assert part.positions.tolist() == [0, 3, 6]
    assert part.gaps == ((0, 2), (1, 2))


def test_year_fractions_are_shares_of_years_of_their_length():
    assert year_fractions(np.array(["2020-07-02"], "datetime64[s]")) == 183 / 366
    times = np.array([cftime.Datetime360Day(2001, 4, 1), cftime.Datetime360Day(2001, 1, 1)])
    np.testing.assert_allclose(year_fractions(times), [0.25, 0.0])


def test_dates_are_taken_apart():
    times = np.array(["1969-12-31T23:59:58", "2000-02-29"], "datetime64[s]")
    assert calendar_fields(times).tolist() == [[1969, 12, 31, 86398], [2000, 2, 29, 0]]
    days = np.array([cftime.Datetime360Day(2000, 2, 30, 1, 1, 1)])
    assert calendar_fields(days).tolist() == [[2000, 2, 30, 3661]]
    assert format_time(days[0]) == "2000-02-30T01:01:01"
    assert seconds_since(times).tolist() == [-2, 951782400]


# what is refused


def test_repeated_and_unsorted_times_are_rejected_with_their_index():
    times = every(6, 5)
    with pytest.raises(
        ValueError, match=r"times must increase, got 2020-02-27T06:00 at index 2, which is the same"
    ):
        TimeAxis(times[[0, 1, 1, 2]])
    with pytest.raises(ValueError, match=r"got 2020-02-27T06:00 at index 3, which is before"):
        TimeAxis(times[[0, 2, 3, 1]])


def test_irregular_times_are_rejected_with_their_index():
    times = np.append(every(6, 5), np.datetime64("2020-02-28T01"))
    with pytest.raises(ValueError, match=r"regular step, got 1 hour from 2020-02-28 at index 4 to"):
        TimeAxis(times)


def test_what_is_no_time_is_rejected(unchecked):
    with pytest.raises(TypeError, match=r"datetime64 or cftime dates, got int64 .*years become"):
        TimeAxis(np.arange(1890, 1900))
    with pytest.raises(ValueError, match=r"times must be a list of at least one, got shape \(0,\)"):
        TimeAxis(np.array([], "datetime64[s]"))
    with pytest.raises(ValueError, match=r"times must be known, got none \(NaT\) at index 1"):
        TimeAxis(np.array(["2020-01-01", "NaT"], "datetime64[s]"))
    mixed = [cftime.DatetimeNoLeap(2000, 1, 1), cftime.Datetime360Day(2000, 1, 2)]
    with pytest.raises(ValueError, match=r"times must be of one calendar, got 360_day, noleap"):
        as_times(np.array(mixed))


def test_time_that_is_not_there_is_rejected():
    axis = TimeAxis(every(6, 5))
    with pytest.raises(ValueError, match=r"one of 2020-02-27 to 2020-02-28 in steps of 6 hours"):
        axis.index_of("2020-02-27T07")
    with pytest.raises(
        ValueError, match=r"time must be one of the calendar 'standard', got 'soon'"
    ):
        axis.index_of("soon")
    with pytest.raises(ValueError, match=r"calendar 'standard', got 'noleap'; use the times"):
        axis.indices_of(model_times("noleap", 2))
    model = TimeAxis(model_times("noleap", 5))
    with pytest.raises(ValueError, match=r"calendar 'noleap', got '2000-02-30'"):
        model.index_of("2000-02-30")
    with pytest.raises(ValueError, match="not in the form of ISO 8601"):
        cftime_of_text("next-year", "noleap")


def test_part_out_of_order_is_rejected():
    with pytest.raises(ValueError, match=r"indices must be increasing, at least one, got \[1, 1\]"):
        TimeAxis(every(6, 5)).take(np.array([1, 1]))


def test_step_out_of_range_is_rejected(unchecked):
    with pytest.raises(ValueError, match="unit must be 'seconds' or 'months', got 'weeks'"):
        TimeStep("weeks", 1)
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        TimeStep("months", 0)
