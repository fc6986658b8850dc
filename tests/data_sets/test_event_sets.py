"""Sets of labelled maps in time: splits that do not leak, windows that do not jump."""

from dataclasses import replace

import numpy as np
import pytest

from deepsphere.data.event_sets import EventSet, array_events, frame_windows, split_events
from deepsphere.sampling import Icosahedral

HOUR = np.timedelta64(1, "h")


def make_events(hours: list[int], runs: list[int] | None = None) -> EventSet:
    """Maps at hours of the year 2000, each full of its number."""
    num = len(hours)
    values = np.arange(num, dtype=np.float32)[:, None, None] * np.ones((1, 12, 2), np.float32)
    return array_events(
        values,
        np.zeros((num, 12), np.int8),
        sampling=Icosahedral(1),
        channel_names=("TMQ", "V850"),
        class_names=("background", "storm"),
        dates=np.datetime64("2000-01-01T00", "h") + np.array(hours),
        runs=runs,
    )


def test_read_gives_the_map_and_take_its_order() -> None:
    events = make_events([0, 3, 6]).take([2, 0])
    assert [float(events.read(index)[0][0, 0]) for index in range(2)] == [2.0, 0.0]
    assert events.names == ("map 2", "map 0")


def test_segments_end_at_gaps_and_runs() -> None:
    events = make_events([6, 0, 3, 12, 15, 0, 3], [1, 1, 1, 1, 1, 2, 2])
    assert [one.tolist() for one in events.segments()] == [[1, 2, 0], [3, 4], [5, 6]]
    assert events.step == 3 * HOUR


def test_missing_dates_are_those_between_maps_of_a_run() -> None:
    events = make_events([0, 3, 12, 0, 30], [1, 1, 1, 2, 2])
    found = [
        (run, int((date - np.datetime64("2000-01-01T00")) / HOUR))
        for run, date in events.missing_dates()
    ]
    assert found == [(1, 6), (1, 9), *((2, hour) for hour in range(3, 30, 3))]


def test_windows_are_consecutive_and_within_a_run() -> None:
    events = make_events([0, 3, 6, 9, 15, 18, 21, 0, 3, 6], [1] * 7 + [2] * 3)
    windows = frame_windows(events, 3)
    assert windows.frames.tolist() == [[0, 1, 2], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert windows.targets.tolist() == [2, 3, 6, 9]
    assert windows.num_left_out == 6
    for frames in windows.frames:
        assert (np.diff(events.dates[frames]) == events.step).all()
        assert len(set(events.runs[frames])) == 1


def test_targets_of_windows_are_shifted() -> None:
    windows = frame_windows(make_events([0, 3, 6, 9]), 2, 1)
    assert windows.frames.tolist() == [[0, 1], [1, 2]]
    assert windows.targets.tolist() == [2, 3]


def test_windows_of_shuffled_maps_are_in_time() -> None:
    events = make_events([0, 3, 6, 9, 12]).take([3, 0, 4, 2, 1])
    for frames in frame_windows(events, 3).frames:
        assert (np.diff(events.dates[frames]) == events.step).all()


def test_splits_hold_each_map_at_most_once_and_keep_apart() -> None:
    events = make_events(list(range(0, 3000, 3)))
    parts = split_events(events, (0.6, 0.2, 0.2), 1, block_hours=240, gap_hours=48)
    names = [set(part.names) for part in parts if part is not None]
    assert len(names) == 3
    assert len(set.union(*names)) == sum(len(one) for one in names)
    dates = [part.dates for part in parts if part is not None]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        apart = np.abs(dates[first][:, None] - dates[second][None]).min()
        assert apart > 48 * HOUR
    # no more is left out than what is near: two gaps on each side of each of 5 blocks, at most
    assert len(events) - sum(len(one) for one in names) <= 5 * 2 * 17


def test_splits_of_separate_runs_leave_nothing_out() -> None:
    runs = [run for run in range(20) for _ in range(4)]
    events = make_events([0, 3, 6, 9] * 20, runs)
    parts = split_events(events, (0.5, 0.2, 0.3), 0)
    assert [len(part) for part in parts if part is not None] == [40, 16, 24]
    held = [set(part.runs.tolist()) for part in parts if part is not None]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


def test_splits_depend_on_the_seed_alone() -> None:
    events = make_events([0, 3] * 10, [run for run in range(10) for _ in range(2)])
    first, again, other = (split_events(events, seed=seed) for seed in (0, 0, 1))
    assert first.train.names == again.train.names
    assert first.test is not None
    assert other.test is not None
    assert first.test.names != other.test.names


def test_split_without_validation_is_none() -> None:
    events = make_events([0, 3] * 10, [run for run in range(10) for _ in range(2)])
    assert split_events(events, (0.8, 0.0, 0.2)).validation is None


def test_class_counts_leave_out_what_is_not_labelled() -> None:
    events = array_events(
        np.zeros((1, 12, 1), np.float32),
        np.array([[0] * 5 + [1] * 4 + [-1] * 3]),
        sampling=Icosahedral(1),
        channel_names=("TMQ",),
        class_names=("a", "b", "c"),
    )
    assert events.class_counts().tolist() == [[5, 4, 0]]


def test_digest_is_that_of_values_and_dates() -> None:
    events = make_events([0, 3])
    assert events.digest() == make_events([0, 3]).digest() == events.in_memory().digest()
    others = [make_events([0, 6]), make_events([0, 3], [2, 2]), events.take([0])]
    assert len({events.digest(), *(one.digest() for one in others)}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "maps must be at least one, got none"),
        ({"names": ("a",)}, "names must be one for each of 2 maps, got 1"),
        ({"dates": np.zeros(2, "datetime64[h]")}, "dates must differ within a run"),
    ],
)
def test_set_that_does_not_belong_together_is_rejected(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_events([0, 3]), **changes)  # type: ignore[arg-type]


def test_map_of_another_shape_is_rejected() -> None:
    events = replace(make_events([0, 3]), sampling=Icosahedral(2))
    with pytest.raises(ValueError, match=r"map 0 must hold signals of shape \(42, 2\)"):
        events.read(0)


def test_label_that_is_no_class_is_rejected() -> None:
    events = replace(make_events([0, 3]), class_names=())
    with pytest.raises(ValueError, match=r"map 1 must hold labels in \[0, 0\)"):
        events.read(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fractions": (0.5, 0.2, 0.2)}, "fractions must be those of training"),
        ({"fractions": (0.0, 0.5, 0.5)}, "fractions must leave something to train on"),
        ({"block_hours": 0}, "block_hours must be at least 1 and gap_hours at least 0"),
        ({"fractions": (0.1, 0.5, 0.4), "block_hours": 9999}, "maps must make more blocks"),
        ({"gap_hours": 10**6}, "gap_hours must leave maps to train and validate on"),
    ],
)
def test_split_that_is_impossible_is_rejected(arguments: dict[str, object], message: str) -> None:
    events = make_events(list(range(0, 2400, 3)))
    with pytest.raises(ValueError, match=message):
        split_events(events, **arguments)  # type: ignore[arg-type]


def test_windows_that_do_not_fit_are_rejected() -> None:
    events = make_events([0, 3, 9])
    with pytest.raises(ValueError, match="num_frames must be at least 1 and shift at least 0"):
        frame_windows(events, 0)
    with pytest.raises(ValueError, match="of which there are 2, got 3 and 0"):
        frame_windows(events, 3)
