"""Calls in other processes: what is sent, what comes back, and that no process stays behind."""

import importlib
import math
import operator
import os
import shutil
import signal
import sys
import time
from functools import partial

import pytest

from deepsphere.data import worker_processes
from deepsphere.data.worker_processes import call_in_processes


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    found = []
    start = worker_processes._start
    monkeypatch.setattr(worker_processes, "_start", lambda: found.append(start()) or found[-1])
    return found


class Sent:
    """A number that counts how often it is sent."""

    def __init__(self, value: int):
        self.value, self.times = value, []

    def __reduce__(self):
        self.times.append(None)
        return int, (self.value,)

    def __add__(self, other):
        return self.value + other


def test_what_a_partial_holds_is_sent_once_to_each_process(started):
    held, own = Sent(100), Sent(7)
    add = partial(operator.add, held)
    found = dict(call_in_processes(add, [(0,), (1,), (2,), (3,), (own,)], num_workers=2))
    assert found == {0: 100, 1: 101, 2: 102, 3: 103, 4: 107}
    assert len(held.times) == len(started) <= 2
    assert len(own.times) == 1


def test_below_two_processes_nothing_is_sent(started):
    held = Sent(100)
    found = dict(call_in_processes(partial(operator.add, held), [(0,), (1,)], num_workers=1))
    assert found == {0: 100, 1: 101}
    assert not held.times
    assert not started


def test_a_single_call_is_made_by_this_process():
    assert list(call_in_processes(os.getpid, [()], num_workers=8)) == [(0, os.getpid())]
    assert os.getpid() not in dict(call_in_processes(os.getpid, [(), ()], num_workers=8)).values()
    assert list(call_in_processes(os.getpid, [], num_workers=8)) == []


def test_errors_are_handed_back():
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        dict(call_in_processes(math.sqrt, [(4.0,), (-1.0,)], num_workers=2))


def test_a_process_that_dies_is_an_error(started):
    with pytest.raises(ChildProcessError, match=r"a process ended .*\(status 3\); .*fewer workers"):
        dict(call_in_processes(os._exit, [(3,), (3,)], num_workers=2))
    assert all(process.poll() is not None for process in started)


def test_a_process_that_dies_costs_its_call_only_if_something_stands_for_the_answer():
    # an interruption, which all processes of a terminal get, ends none of them
    signals = [signal.SIGINT, signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGINT]
    calls = [(number,) for number in signals]
    found = dict(call_in_processes(signal.raise_signal, calls, num_workers=2, lost=str.upper))
    assert found == {0: None, 1: "SIGNAL 9", 2: None, 3: "SIGNAL 9", 4: None}


@pytest.mark.parametrize("lost", [None, "lost: {}".format])
def test_a_process_that_does_not_start_is_one_that_dies(lost, monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    # more than fits into a pipe that nobody reads
    calls = call_in_processes(
        partial(operator.concat, bytes(10**6)), [(b"",), (b"",)], num_workers=2, lost=lost
    )
    if lost is None:
        with pytest.raises(ChildProcessError, match=r"\(status 1\)"):
            list(calls)
    else:
        assert dict(calls) == {0: "lost: status 1", 1: "lost: status 1"}


def test_processes_start_when_they_are_needed_and_end_with_the_generator(started):
    calls = call_in_processes(time.sleep, [(0,), (600,), (600,), (600,)], num_workers=2)
    assert not started
    assert next(calls) == (0, None)
    calls.close()
    assert 1 <= len(started) <= 2
    assert all(process.poll() == -signal.SIGKILL for process in started)


def test_what_is_printed_does_not_get_into_the_answers(capfd):
    say = partial(print, flush=True)
    assert dict(call_in_processes(say, [("one",), ("two",)], num_workers=2)) == {0: None, 1: None}
    written, complained = capfd.readouterr()
    assert not written
    assert sorted(complained.split()) == ["one", "two"]


def test_processes_use_one_thread_each(monkeypatch):
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "DEEPSPHERE_CACHE"]
    for name in names:
        monkeypatch.setenv(name, "5")
    found = dict(call_in_processes(os.getenv, [(name,) for name in names], num_workers=2))
    assert [found[index] for index in range(4)] == ["1", "1", "1", "5"]


def test_processes_find_the_modules_of_the_caller_and_load_no_more(tmp_path, monkeypatch):
    (tmp_path / "a_module_of_the_user.py").write_text(
        "import sys\n\ndef is_loaded(name):\n    return name in sys.modules\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("a_module_of_the_user")
    names = ["a_module_of_the_user", "deepsphere.data.worker_processes", "torch", "numpy"]
    found = dict(call_in_processes(module.is_loaded, [(name,) for name in names], num_workers=2))
    assert [found[index] for index in range(4)] == [True, True, False, False]
