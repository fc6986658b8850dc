"""Times of several calls that take turns."""

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

# A call shorter than this is repeated until it lasts so long: what ran before it, such as a large
# peer that empties the caches, then counts as little for a short call as for a long one.
_TURN_SECONDS = 0.02


@dataclass(frozen=True)
class Times:
    """Times of one variant in milliseconds, one per turn.

    Parameters
    ----------
    milliseconds
        At least one.

    Examples
    --------
    >>> Times((1.0, 2.0, 4.0)).median
    2.0
    """

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle time."""
        return float(np.median(self.milliseconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Times that a quarter and three quarters stay below."""
        low, high = np.percentile(self.milliseconds, [25, 75])
        return float(low), float(high)


@runtime_checkable
class Repetitions(Protocol):
    """How often calls are timed, and where they compute.

    Attributes
    ----------
    device
        "cpu", or "cuda", which is waited for.
    min_repeats
        Every call has at least so many turns.
    seconds
        Rounds go on until so much time has passed.
    """

    @property
    def device(self) -> str: ...

    @property
    def min_repeats(self) -> int: ...

    @property
    def seconds(self) -> float: ...


def interleave(
    calls: Mapping[str, Callable[[], object]], repetitions: Repetitions
) -> dict[str, Times]:
    """The times of calls that take turns.

    In each round every variant has one turn. The first round warms up and shows how many calls
    make a turn; then come at least ``min_repeats`` rounds, and more until ``seconds`` are over.

    Parameters
    ----------
    calls
        By name of the variant.
    repetitions
        How often.

    Returns
    -------
    dict of Times
    """
    wait = torch.cuda.synchronize if repetitions.device == "cuda" else _do_nothing
    per_turn = {name: _calls_per_turn(_seconds(call, 1, wait)) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()  # a collection would fall on whoever has its turn
    try:
        start = time.perf_counter()
        num_rounds, least = 0, repetitions.min_repeats
        while num_rounds < least or time.perf_counter() - start < repetitions.seconds:
            for name, call in calls.items():
                found[name].append(1e3 * _seconds(call, per_turn[name], wait))
            num_rounds += 1
    finally:
        gc.enable()
    return {name: Times(tuple(values)) for name, values in found.items()}


def _seconds(call: Callable[[], object], num_calls: int, wait: Callable[[], object]) -> float:
    """Mean duration of a call."""
    wait()
    start = time.perf_counter()
    for _ in range(num_calls):
        call()
    wait()
    return (time.perf_counter() - start) / num_calls


def _calls_per_turn(seconds: float) -> int:
    """How many calls of such a duration make a turn."""
    return max(1, math.ceil(_TURN_SECONDS / max(seconds, 1e-6)))


def _do_nothing() -> None:
    """Nobody has to be waited for."""
