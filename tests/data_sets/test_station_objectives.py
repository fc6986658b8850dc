"""Objectives: what belongs together, which days a window takes, and what the season is."""

from typing import Any

import numpy as np
import pytest

from deepsphere.data.station_objectives import (
    StationObjective,
    day_of_year,
    day_windows,
    imputation,
    next_day,
    same_day,
    seasons,
)
from deepsphere.data.time_axis import TimeAxis

ALL = (
    next_day("tavg"),
    next_day("tmin", "tmax", history=3, variables="separate"),
    same_day("tmin", targets=("tmax", "prcp")),
    day_of_year("prcp"),
    imputation("tmin", "tmax"),
)


def axis_of(numbers: list[int]) -> TimeAxis:
    """Days by their numbers."""
    return TimeAxis(np.datetime64("2020-02-25", "s") + np.array(numbers) * np.timedelta64(1, "D"))


@pytest.mark.parametrize("objective", ALL, ids=lambda one: one.kind)
def test_objective_is_rebuilt_from_its_values(objective: StationObjective) -> None:
    assert StationObjective.from_values(objective.values) == objective


def test_windows_hold_consecutive_days_and_the_next() -> None:
    numbers = [0, 1, 2, 3, 5, 6, 7, 8, 11]
    windows = day_windows(axis_of(numbers), next_day("tavg", history=3))
    expected = [
        ([numbers.index(day) for day in range(start, start + 3)], start + 3)
        for start in range(12)
        if {start, start + 1, start + 2} <= set(numbers)
    ]
    assert windows.inputs.tolist() == [known for known, _ in expected]
    targets = [numbers.index(day) if day in numbers else -1 for _, day in expected]
    assert windows.targets.tolist() == targets
    days = (windows.times - np.datetime64("2020-02-25", "s")) / np.timedelta64(1, "D")
    assert days.tolist() == [day for _, day in expected]
    # of days 3 to 11 all but 3 and 8, which follow three others
    assert windows.num_left_out == 7


def test_windows_end_with_the_day_after_the_last() -> None:
    windows = day_windows(axis_of([0, 1, 2]), next_day("tavg", history=2))
    assert windows.targets.tolist() == [2, -1]
    assert str(windows.times[-1]) == "2020-02-28T00:00:00"
    assert not len(day_windows(axis_of([0, 1]), next_day("tavg", history=3)))


def test_other_objectives_take_each_time_alone() -> None:
    monthly = TimeAxis(np.array(["2020-01-01", "2020-02-01", "2020-03-01"], "datetime64[s]"))
    for objective in (same_day("tmin", targets=("tmax",)), day_of_year("t"), imputation("t")):
        windows = day_windows(monthly, objective)
        assert windows.inputs.tolist() == [[0], [1], [2]]
        assert windows.targets.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="records must be daily for next_day, got a step of 1 mon"):
        day_windows(monthly, next_day("tavg"))


def test_season_is_that_of_the_day_of_the_year() -> None:
    times = np.arange("2019-12-30", "2021-01-03", dtype="datetime64[D]")
    ordinals = [int(str(day.astype(object).timetuple().tm_yday)) for day in times]
    expected = (1 - np.cos(2 * np.pi * np.array(ordinals) / 365.25)) / 2
    np.testing.assert_allclose(seasons(times.astype("datetime64[s]")), expected, atol=1e-12)
    cftime = pytest.importorskip("cftime")
    assert seasons(np.array([cftime.DatetimeNoLeap(2020, 1, 1)]))[0] == pytest.approx(expected[2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "next_week"}, "kind must be one of next_day, same_day, day_of_year, imputation"),
        ({"variables": "mixed"}, "variables must be one of together, separate, got 'mixed'"),
        ({"inputs": ()}, "inputs must be different names of variables, at least one"),
        ({"targets": ("a", "a")}, "targets must be different names of variables"),
        ({"history": 0}, "history must be at least 1, got 0"),
        ({"kind": "imputation", "history": 2}, "history must be 1 but for next_day, got 2"),
        ({"targets": ("b",)}, "targets must be among the inputs, a, for next_day, got b"),
        ({"kind": "same_day"}, "targets must be other variables than the inputs for same_day"),
        ({"kind": "day_of_year"}, r"targets must be \('season',\) for day_of_year, got"),
        (
            {"kind": "imputation", "variables": "separate"},
            "variables must be together but for next_day with the inputs as targets",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(
    values: dict[str, Any], message: str, unchecked: None
) -> None:
    given = {"kind": "next_day", "inputs": ("a",), "targets": ("a",)} | values
    with pytest.raises(ValueError, match=message):
        StationObjective(**given)
