"""Calling a function many times in several processes, which end with the one that asked."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

Answer = TypeVar("Answer")

# What a process begins with. Neither multiprocessing's fork, which OpenMP does not survive, nor
# its spawn, which runs the script of the user again and forgets all processes when one dies: a
# process that imports what it is told to. The package around this module gathers all of its
# modules, and with them torch, which takes several times the time and memory of what a function
# may need; it is loaded only if somebody asks it for a name.
_BOOTSTRAP = """
import importlib.util, sys
sys.path[:] = {path!r}
spec = importlib.util.find_spec({package!r})
package = importlib.util.module_from_spec(spec)
def load(name):
    if name.startswith("__"):
        raise AttributeError(name)
    del package.__getattr__
    spec.loader.exec_module(package)
    return getattr(package, name)
package.__getattr__ = load
sys.modules[{package!r}] = package
from {module} import answer_calls
answer_calls()
"""


def call_in_processes(
    function: Callable[..., Answer],
    arguments: Sequence[tuple[Any, ...]],
    *,
    num_workers: int,
    lost: Callable[[str], Answer] | None = None,
) -> Generator[tuple[int, Answer], None, None]:
    """Results of a function for many arguments, in this process or in several others.

    Others start with the first result that is asked for, and end when the generator is closed.

    Parameters
    ----------
    function
        One that a module defines by name, or a :func:`functools.partial` of it: what that holds is
        sent to each process once and not with each call.
    arguments
        Of each call.
    num_workers
        Number of processes, each on one thread; below 2 this process does it all.
    lost
        What stands for the answer of a call whose process died, given how, as "signal 9"; another
        process goes on with the other calls. None to raise an error.

    Yields
    ------
    tuple of int and Answer
        Index of a call and what it returned, in any order.

    Raises
    ------
    ChildProcessError
        If a process dies, as when memory runs out, and `lost` is None.
    Exception
        Whatever the function raises.

    Examples
    --------
    >>> import math
    >>> sorted(call_in_processes(math.gcd, [(4, 6), (9, 6)], num_workers=0))
    [(0, 2), (1, 3)]
    """
    num_workers = min(num_workers, len(arguments))
    if num_workers < 2:
        for index, one in enumerate(arguments):
            yield index, function(*one)
        return
    crew = _Crew(function, lost)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="worker")
    try:
        futures = {pool.submit(crew.call, one): index for index, one in enumerate(arguments)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        # threads wait for their processes: those end first
        pool.shutdown(wait=False, cancel_futures=True)
        crew.dismiss()
        pool.shutdown(wait=True)


def num_processors() -> int:
    """Processors that this process may use.

    Returns
    -------
    int

    Examples
    --------
    >>> num_processors() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(eq=False)
class _Crew:
    """Processes, one for each thread that asks for work to be done."""

    function: Callable[..., Any]
    lost: Callable[[str], Any] | None
    _own: threading.local = field(default_factory=threading.local)
    _all: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_dismissed: bool = False

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """What the function returns in the process of this thread."""
        worker = self._worker()
        try:
            _send(worker.stdin, arguments)
            answer, problem = _receive(worker.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            self._own.worker = None
            worker.kill()
            status = worker.wait()
            cause = f"signal {-status}" if status < 0 else f"status {status}"
            if self.lost is not None:
                return self.lost(cause)
            raise ChildProcessError(
                f"a process ended before its work was done ({cause}); "
                "if memory ran out, ask for fewer workers"
            ) from None
        if problem is not None:
            raise problem
        return answer

    def _worker(self) -> "subprocess.Popen[bytes]":
        """The process of this thread, started where there is none."""
        worker = getattr(self._own, "worker", None)
        if worker is None:
            with self._lock:
                if self._is_dismissed:
                    raise RuntimeError("the work was stopped")
                worker = self._own.worker = _start()
                self._all.append(worker)
            with suppress(OSError):  # a process that does not start is found out by `call`
                _send(worker.stdin, self.function)
        return worker

    def dismiss(self) -> None:
        """End all processes."""
        with self._lock:
            self._is_dismissed = True
            workers, self._all = self._all, []
        for worker in workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()


def _start() -> "subprocess.Popen[bytes]":
    """A process that waits for a function and then for the arguments of calls."""
    code = _BOOTSTRAP.format(path=sys.path, package=__package__, module=__name__)
    # one thread each: they are as many as the processors
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **single},
    )


def answer_calls() -> None:
    """Call the function on the standard input until that ends, as when its writer died."""
    # an interruption is the business of the process that asks, which then ends this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get into the answers
    with suppress(EOFError, BrokenPipeError):
        function = _receive(sys.stdin.buffer)
        while True:
            arguments = _receive(sys.stdin.buffer)
            try:
                answer: tuple[Any, Exception | None] = (function(*arguments), None)
            except Exception as error:
                answer = (None, error)
            _send(answers, answer)


def _send(pipe: IO[Any] | None, value: object) -> None:
    """Write a value to a process."""
    if pipe is None:
        raise EOFError
    pickle.dump(value, pipe)
    pipe.flush()


def _receive(pipe: IO[Any] | None) -> Any:
    """Read a value from a process of ours."""
    if pipe is None:
        raise EOFError
    return pickle.load(pipe)
