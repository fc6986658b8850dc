"""Times that take turns, and outputs that must be the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepsphere.benchmarks.setting import Setting, limited_threads
from deepsphere.benchmarks.timing import measure, relative_error
from deepsphere.experiments import timing
from deepsphere.experiments.timing import Times, interleave

positive = st.floats(1e-3, 1e6)


@given(st.lists(positive, min_size=1, max_size=30))
def test_quartiles_are_those_of_numpy(values):
    times = Times(tuple(values))
    np.testing.assert_allclose(
        [times.quartiles[0], times.median, times.quartiles[1]],
        np.quantile(values, [0.25, 0.5, 0.75]),
    )


def fake_clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until its single value is changed."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_variants_take_turns(setting, monkeypatch):
    now, order = fake_clock(monkeypatch), []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        now[0] += seconds

    calls = {"slow": lambda: call("slow", 2.0), "fast": lambda: call("fast", 0.5)}
    times = interleave(calls, setting)
    assert order == ["slow", "fast"] * (1 + setting.min_repeats)
    assert times["slow"].milliseconds == (2000.0,) * setting.min_repeats
    assert times["fast"].milliseconds == (500.0,) * setting.min_repeats


def test_rounds_go_on_until_the_time_is_over(tmp_path, monkeypatch):
    now = fake_clock(monkeypatch)

    def call() -> None:
        now[0] += 1.0

    setting = Setting(folder=tmp_path, min_repeats=2, seconds=9.5)
    assert len(interleave({"one": call}, setting)["one"].milliseconds) == 10


def test_short_call_is_repeated_and_its_mean_reported(setting, monkeypatch):
    now, num_calls = fake_clock(monkeypatch), [0]

    def call() -> None:
        num_calls[0] += 1
        now[0] += 1 / 128  # a binary fraction, so that sums are exact

    times = interleave({"short": call}, setting)["short"]
    assert num_calls[0] == 1 + 3 * setting.min_repeats  # three make a turn of 20 ms
    np.testing.assert_allclose(times.milliseconds, 1000 / 128)


def test_agreeing_variants_are_timed(setting):
    value = torch.tensor([1.0, -2.0])
    found = list(
        measure("a case", "work", {"first": lambda: [value], "same": lambda: [value * 1]}, setting)
    )
    assert [row.variant for row in found] == ["first", "same"]
    for row in found:
        assert row.median is not None
        assert row.median > 0
        assert row.num_repeats == setting.min_repeats
        assert row.error == 0
        assert not row.disagrees


@pytest.mark.parametrize(
    ("value", "error"), [(-2.1, 0.05), (math.nan, None), (-2.000001, 0.0000005)]
)
def test_variant_with_other_numbers_is_refused(value, error, setting):
    calls = {
        "first": lambda: [torch.tensor([1.0, -2.0])],
        "other": lambda: [torch.tensor([1.0, value])],
    }
    first, other = measure("a case", "work", calls, setting)
    assert first.median is not None
    if error == 0.0000005:  # rounding
        assert other.median is not None
        return
    assert other.median is None
    assert other.disagrees
    assert other.note.startswith("disagrees with first: relative error")
    assert other.error == (None if error is None else pytest.approx(error, rel=1e-5))


def test_variant_of_another_shape_is_refused(setting):
    calls = {"first": lambda: [torch.ones(3)], "other": lambda: [torch.ones(1, 3)]}
    _, other = measure("a case", "work", calls, setting)
    assert other.disagrees


def test_variant_that_fails_is_reported_with_its_reason(setting):
    def fail() -> list[torch.Tensor]:
        raise RuntimeError("out of memory\nmore about it")

    calls = {"broken": fail, "working": lambda: [torch.ones(1)]}
    broken, working = measure("a case", "work", calls, setting)
    assert broken.median is None
    assert broken.note == "failed: out of memory"
    assert not broken.disagrees
    assert working.median is not None


def test_fault_of_the_benchmark_is_not_hidden(setting):
    def fail() -> list[torch.Tensor]:
        raise KeyError("nobody expects this")

    with pytest.raises(KeyError):
        list(measure("a case", "work", {"broken": fail}, setting))


def test_variants_with_another_purpose_are_not_compared(setting):
    calls = {"first": lambda: [torch.ones(3)], "other": lambda: [torch.zeros(7)]}
    found = list(measure("a case", "work", calls, setting, compare=False))
    assert all(row.median is not None and row.error is None for row in found)


def test_error_is_relative_to_the_largest_expected_value():
    outputs = [torch.tensor([1.0, 10.0]), torch.tensor([[3.0]])]
    expected = [torch.tensor([0.0, 10.0]), torch.tensor([[4.0]])]
    assert relative_error(outputs, expected) == 0.25
    assert relative_error([torch.ones(2)], [torch.zeros(2)]) == math.inf
    assert relative_error([torch.ones(0)], [torch.ones(0)]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_threads": 0}, "num_threads must be at least 1, got 0"),
        ({"min_repeats": 0}, "min_repeats must be at least 1, got 0"),
        ({"seconds": -1.0}, "seconds must not be negative, got -1"),
        ({"device": "tpu"}, "device must be 'cpu' or 'cuda', got 'tpu'"),
    ],
)
def test_impossible_setting_is_rejected(options, message, tmp_path, unchecked):
    with pytest.raises(ValueError, match=message):
        Setting(folder=tmp_path, **options)


def test_device_that_is_not_there_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="got 'cuda' where there is none; use 'cpu'"):
        Setting(folder=tmp_path, device="cuda")


def test_threads_are_as_before_after_the_block():
    before = torch.get_num_threads()
    with limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
