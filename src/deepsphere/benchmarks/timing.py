"""Times of several variants of the same work, interleaved, and whether they agree."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from deepsphere.benchmarks.record import Measurement
from deepsphere.benchmarks.setting import Setting
from deepsphere.experiments.timing import interleave

Call = Callable[[], Sequence[Tensor]]
"""Does the work once and returns what is compared among variants."""

# Outputs that differ by more than this share of the largest value are not of the same work.
AGREEMENT = 1e-4
# What a variant that cannot do the work raises; anything else is a fault of the benchmark.
_FAILURES = (RuntimeError, ValueError, TypeError, ImportError, MemoryError)


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
    timed = {name: calls[name] for name in calls if name not in refused}
    times = interleave(timed, setting)
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
    >>> import torch
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


def _first_line(failure: BaseException) -> str:
    """What went wrong, in one line."""
    text = str(failure).strip() or type(failure).__name__
    return text.splitlines()[0]
