"""Times of several variants of the same work, interleaved, and whether they agree."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepsphere.benchmarks.record import Measurement
from deepsphere.benchmarks.setting import Setting

Call = Callable[[], Sequence[Tensor]]
"""Does the work once and returns what is compared among variants."""

# Outputs that differ by more than this share of the largest value are not of the same work.
AGREEMENT = 1e-4
# A call shorter than this is repeated until it lasts so long: what ran before it, such as a large
# peer that empties the caches, then counts as little for a short call as for a long one.
_TURN_SECONDS = 0.02
# What a variant that cannot do the work raises; anything else is a fault of the benchmark.
_FAILURES = (RuntimeError, ValueError, TypeError, ImportError, MemoryError)


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


def interleave(calls: Mapping[str, Callable[[], object]], setting: Setting) -> dict[str, Times]:
    """The times of calls that take turns.

    In each round every variant has one turn. The first round warms up and shows how many calls
    make a turn; then come at least ``min_repeats`` rounds, and more until ``seconds`` are over.

    Parameters
    ----------
    calls
        By name of the variant.
    setting
        Device and repetitions.

    Returns
    -------
    dict of Times
    """
    wait = torch.cuda.synchronize if setting.device == "cuda" else _do_nothing
    per_turn = {name: _calls_per_turn(_seconds(call, 1, wait)) for name, call in calls.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()  # a collection would fall on whoever has its turn
    try:
        start = time.perf_counter()
        num_rounds = 0
        while num_rounds < setting.min_repeats or time.perf_counter() - start < setting.seconds:
            for name, call in calls.items():
                found[name].append(1e3 * _seconds(call, per_turn[name], wait))
            num_rounds += 1
    finally:
        gc.enable()
    return {name: Times(tuple(values)) for name, values in found.items()}


def measure(
    case: str,
    work: str,
    calls: Mapping[str, Call],
    setting: Setting,
    *,
    notes: Mapping[str, str] | None = None,
    compare: bool = True,
) -> Iterator[Measurement]:
    """Times of variants that do the same work, and the reasons of those that do not.

    Before anything is timed, the outputs of every variant are compared with those of the first;
    one that differs by more than 1e-4 of the largest value is refused.

    Parameters
    ----------
    case, work
        What is done.
    calls
        By name of the variant; the first one is what the others are compared with.
    setting
        Device and repetitions.
    notes
        A remark by variant.
    compare
        False where the variants have the same purpose but other numbers.

    Yields
    ------
    Measurement
        In milliseconds.
    """
    notes = notes or {}
    expected: Sequence[Tensor] = ()
    first, errors, refused = "", {}, {}
    for name, call in calls.items():
        try:
            outputs = call()
        except _FAILURES as failure:
            refused[name] = f"failed: {_first_line(failure)}"
            continue
        if not compare:
            continue
        if not expected:
            first, expected = name, outputs
        errors[name] = error = relative_error(outputs, expected)
        if not error < AGREEMENT:
            refused[name] = f"disagrees with {first}: relative error {error:.2g}"
    del expected
    times = interleave({name: calls[name] for name in calls if name not in refused}, setting)
    for name in calls:
        yield Measurement(
            case=case,
            work=work,
            variant=name,
            unit="ms",
            median=times[name].median if name in times else None,
            quartiles=times[name].quartiles if name in times else None,
            num_repeats=len(times[name].milliseconds) if name in times else 0,
            error=None if not math.isfinite(errors.get(name, math.nan)) else errors[name],
            disagrees=name in refused and name in errors,
            note=refused.get(name, notes.get(name, "")),
        )


def relative_error(outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference over the largest expected value, the worst of all outputs.

    Parameters
    ----------
    outputs, expected
        As many, of the same shapes.

    Returns
    -------
    float
        Infinite where numbers or shapes of the outputs differ; NaN where an output is.

    Examples
    --------
    >>> relative_error([torch.tensor([1.0, 5.0])], [torch.tensor([2.0, 4.0])])
    0.25
    """
    if [output.shape for output in outputs] != [output.shape for output in expected]:
        return math.inf
    worst = 0.0
    for output, wanted in zip(outputs, expected, strict=True):
        if not wanted.numel():
            continue
        difference = float((output.detach() - wanted.detach()).abs().max())
        if math.isnan(difference):
            return math.nan
        scale = float(wanted.detach().abs().max())
        worst = max(worst, difference / scale if scale else math.inf if difference else 0.0)
    return worst


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


def _first_line(failure: BaseException) -> str:
    """What went wrong, in one line."""
    text = str(failure).strip() or type(failure).__name__
    return text.splitlines()[0]
