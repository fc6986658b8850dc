"""Which frames are drawn: numbers and dates as they are typed."""

import numpy as np
import pytest

from deepsphere.experiments.frame_choice import choose_frames, coordinate_text, places_between

HOURS = np.arange("2018-01-01T00", "2018-01-03T00", 6, dtype="datetime64[h]").astype(
    "datetime64[ns]"
)
MONTHS = np.arange("2010-01", "2020-09", dtype="datetime64[M]").astype("datetime64[ns]")


def chosen(known, times):
    return choose_frames(known, len(known), times=times).tolist()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("2018-01-01T06", [1]),
        ("2018-01-01 06:00", [1]),
        ("2018-01-02", [4, 5, 6, 7]),
        ("2018", list(range(8))),
        ("2018-01-01T12:00:2018-01-02T00:00", [2, 3, 4]),
        ("2018-01-01T12:2018-01-02", [2, 3, 4, 5, 6, 7]),
        ("2018-01-02T06:", [5, 6, 7]),
        (":2018-01-01T06", [0, 1]),
        ("all", list(range(8))),
    ],
)
def test_dates_are_as_fine_as_they_are_written(times, expected):
    assert chosen(HOURS, times) == expected


def test_both_ends_of_a_range_are_drawn():
    dates = MONTHS.astype("datetime64[M]")
    wanted = (dates >= np.datetime64("2012-01")) & (dates <= np.datetime64("2014-12"))
    assert chosen(MONTHS, "2012:2014") == np.flatnonzero(wanted).tolist()
    assert chosen(MONTHS, "2014-12") == [59]
    assert choose_frames(MONTHS, len(MONTHS), index="0:11").tolist() == list(range(12))
    assert choose_frames(MONTHS, len(MONTHS), index="126:").tolist() == [126, 127]
    assert choose_frames(None, 3, index=2).tolist() == [2]
    assert choose_frames(None, 3) is None


def test_dates_of_other_calendars():
    cftime = pytest.importorskip("cftime")
    days = [cftime.datetime(2001, 2, day, calendar="360_day") for day in (28, 29, 30)]
    known = np.array(days, dtype=object)
    assert chosen(known, "2001-02-29:2001-02-30") == [1, 2]
    assert coordinate_text(known[2]) == "2001-02-30"


def test_times_that_are_no_dates():
    assert chosen(np.arange(1, 13), "7") == [6]
    assert chosen(np.arange(1, 13), "2:4") == [1, 2, 3]
    assert chosen(np.array(["a", "b", "c"]), "b:") == [1, 2]
    leads = np.arange(0, 30, 6).astype("timedelta64[h]").astype("timedelta64[ns]")
    assert chosen(leads, "12:24h") == [2, 3, 4]
    assert coordinate_text(leads[3]) == "18 h"
    assert places_between(np.array(["a"]), "x", "x") is None


@pytest.mark.parametrize(
    ("known", "options", "message"),
    [
        (MONTHS, {"times": "2021"}, r"times of the file, got 2021; it has 128, from 2010-01-01 to"),
        (MONTHS, {"times": "2015:2014"}, r"must name some of the times of the file, got 2015:2014"),
        (MONTHS, {"times": "May"}, r"must be a date such as 2020-01, FROM:TO, or all, got May"),
        (np.arange(3.0), {"times": "May"}, r"--times must be a number, FROM:TO, or all, got May"),
        (np.array(["a"]), {"times": "b"}, r"--times must be one of the labels, FROM:TO, or all"),
        (HOURS - HOURS[0], {"times": "b"}, r"--times must be a number of hours, FROM:TO, or all"),
        (None, {"times": "2015"}, r"--times must come with a file that has times, got 2015 and a"),
        (None, {"times": "2015", "index": 0}, r"--index and --times must not both be given, got 0"),
        (None, {"index": "first"}, r"index must be a number, FROM:TO or all, got 'first'"),
        (None, {"index": "3"}, r"index must be between 0 and 2, got 3"),
        (None, {"index": "2:1"}, r"index must not end before it begins, got 2:1"),
    ],
)
def test_frames_that_are_not_there_are_named(known, options, message):
    with pytest.raises(ValueError, match=message):
        choose_frames(known, 3 if known is None else len(known), **options)
