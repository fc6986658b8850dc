"""Splits of labelled maps that do not leak, and windows of consecutive frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from deepsphere.data.labelled_events import UNLABELLED, EventSet, EventSource, array_events

__all__ = [
    "UNLABELLED",
    "EventSet",
    "EventSource",
    "EventSplits",
    "FrameWindows",
    "array_events",
    "frame_windows",
    "split_events",
]


class EventSplits(NamedTuple):
    """Three parts of a set of maps.

    Attributes
    ----------
    train
        What is learned from.
    validation
        What choices are made on; None where there is none.
    test
        What the final numbers are computed on; None where there is none.
    """

    train: EventSet
    validation: EventSet | None
    test: EventSet | None


def split_events(
    events: EventSet,
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    *,
    block_hours: int = 240,
    gap_hours: int = 72,
) -> EventSplits:
    """Parts of a set by blocks of time, so that no part holds the weather of another.

    Consecutive maps are cut into blocks, which are dealt to the parts. Weather does not end with a
    block: maps of the training within `gap_hours` of a map of the other parts, in the same run, are
    left out, and so are those of the validation within that of a test map.

    Parameters
    ----------
    events
        The whole.
    fractions
        Of the blocks for training, validation and test; they sum to 1. Positive ones get at least
        one block.
    seed
        Of the choice.
    block_hours
        Longest block.
    gap_hours
        Time in which the weather is forgotten.

    Returns
    -------
    EventSplits

    Raises
    ------
    ValueError
        If fractions are no shares, numbers of hours are out of range, or the blocks do not suffice.

    Examples
    --------
    >>> from deepsphere.data.climate_events import EventPlan, simulated_events
    >>> events = simulated_events(EventPlan(sampling="icosahedral:2", num_maps=40))
    >>> [len(part) for part in split_events(events, (0.5, 0.2, 0.3))]
    [20, 8, 12]
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(
            "fractions must be those of training, validation and test, not negative and with the "
            f"sum 1, got {tuple(fractions)}"
        )
    if fractions[0] == 0:
        raise ValueError(f"fractions must leave something to train on, got {tuple(fractions)}")
    if block_hours < 1 or gap_hours < 0:
        raise ValueError(
            "block_hours must be at least 1 and gap_hours at least 0, got "
            f"{block_hours} and {gap_hours}"
        )
    blocks = list(_blocks(events, block_hours))
    nums = [max(1, round(one * len(blocks))) if one > 0 else 0 for one in fractions[1:]]
    if sum(nums) >= len(blocks):
        raise ValueError(
            f"maps must make more blocks than the {sum(nums)} for validation and test, got "
            f"{len(blocks)} of at most {block_hours} hours; take more maps or shorter blocks"
        )
    order = np.random.default_rng(seed).permutation(len(blocks))
    test, validation, train = (
        np.sort(np.concatenate([blocks[one] for one in part])) if len(part) else np.empty(0, int)
        for part in np.split(order, [nums[1], nums[1] + nums[0]])
    )
    validation = _far_from(events, validation, test, gap_hours)
    train = _far_from(events, train, np.concatenate([validation, test]), gap_hours)
    if not len(train) or (nums[0] and not len(validation)):
        raise ValueError(
            f"gap_hours must leave maps to train and validate on, got {gap_hours} with blocks of "
            f"{block_hours} hours; make the gap shorter or the blocks longer"
        )
    return EventSplits(
        events.take(train),
        events.take(validation) if len(validation) else None,
        events.take(test) if len(test) else None,
    )


def _blocks(events: EventSet, hours: int) -> Iterator[Int[np.ndarray, "maps"]]:
    """Consecutive maps, cut into about equal parts that are not longer than so many hours."""
    step = int(events.step / np.timedelta64(1, "h"))
    longest = max(1, hours // step)
    for segment in events.segments():
        yield from np.array_split(segment, -(-len(segment) // longest))


def _far_from(
    events: EventSet, chosen: Int[np.ndarray, "maps"], others: Int[np.ndarray, "kept"], hours: int
) -> Int[np.ndarray, "far"]:
    """Those of some maps that are more than so many hours from all others of their run."""
    dates = events.dates.astype(np.int64)
    far = np.ones(len(chosen), bool)
    for run in np.unique(events.runs[others]):
        taken = np.sort(dates[others[events.runs[others] == run]])
        mine = np.flatnonzero(events.runs[chosen] == run)
        after = np.searchsorted(taken, dates[chosen[mine]])
        before = taken[np.maximum(after - 1, 0)]
        nearest = np.minimum(
            np.abs(dates[chosen[mine]] - before),
            np.abs(taken[np.minimum(after, len(taken) - 1)] - dates[chosen[mine]]),
        )
        far[mine] = nearest > hours
    return chosen[far]


@dataclass(frozen=True, eq=False)
class FrameWindows:
    """Consecutive frames, and the map whose labels belong to them.

    Attributes
    ----------
    events
        The maps.
    frames
        Indices (windows, frames) of maps, in the order of time.
    targets
        Index (windows,) of the map whose labels are to be found.
    num_left_out
        Maps which are the last frame of no window: at the begin of a run or after a gap, or with
        no map at the time of the labels.
    """

    events: EventSet
    frames: Int[np.ndarray, "windows frames"]
    targets: Int[np.ndarray, "windows"]
    num_left_out: int

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.targets)


def frame_windows(events: EventSet, num_frames: int = 3, shift: int = 0) -> FrameWindows:
    """All windows of consecutive frames of a set.

    Parameters
    ----------
    events
        The maps.
    num_frames
        Maps in a window.
    shift
        How many steps after the last frame the labels are.

    Returns
    -------
    FrameWindows
        By the place of their last frames in the set.

    Raises
    ------
    ValueError
        If a number is out of its range, or there is no window.

    Examples
    --------
    >>> from deepsphere.data.climate_events import EventPlan, simulated_events
    >>> events = simulated_events(EventPlan(sampling="icosahedral:2", num_maps=8))
    >>> frame_windows(events, 3).frames.tolist()
    [[0, 1, 2], [1, 2, 3], [4, 5, 6], [5, 6, 7]]
    """
    if num_frames < 1 or shift < 0:
        raise ValueError(
            f"num_frames must be at least 1 and shift at least 0, got {num_frames} and {shift}"
        )
    frames, targets = [], []
    for segment in events.segments():
        num = len(segment) - num_frames - shift + 1
        for start in range(num):
            frames.append(segment[start : start + num_frames])
            targets.append(segment[start + num_frames - 1 + shift])
    if not frames:
        longest = max(len(segment) for segment in events.segments())
        raise ValueError(
            f"num_frames and shift must fit into consecutive maps, of which there are {longest}, "
            f"got {num_frames} and {shift}; use fewer frames or longer runs"
        )
    indices = np.array(frames)
    order = np.argsort(indices[:, -1], kind="stable")
    return FrameWindows(
        events, indices[order], np.array(targets)[order], len(events) - len(indices)
    )
