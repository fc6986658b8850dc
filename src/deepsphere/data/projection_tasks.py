"""The work of projecting one shape, and processes that do it for many.

A process is started by this module and not by `multiprocessing`: that one runs the user's script
again in each process, and forgets all others when one dies. Here a mesh that kills its process
costs that mesh.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from deepsphere.data.mesh_cleaning import normalize_mesh
from deepsphere.data.mesh_signals import MeshScene, MeshSignals, MissingRays
from deepsphere.data.projection_cache import read_view, view_path, write_view
from deepsphere.data.shapes import Shape
from deepsphere.data.view_poses import Perturbation, draw_pose

# What a process begins with. The package around this module gathers all of its modules, and with
# them torch, which takes five times the time and four times the memory of those that are needed
# here; it is loaded only if somebody asks it for a name.
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
from {module} import answer_requests
answer_requests()
"""


@dataclass(frozen=True, eq=False)
class ProjectionTask:
    """All that is the same for every shape.

    Parameters
    ----------
    points
        Unit vectors of the sampling.
    folder
        Where the signals go.
    key
        Of the settings.
    perturbation, max_translation, seed
        As for :func:`deepsphere.data.view_poses.draw_pose`.
    num_views
        Views of each shape.
    missing
        As for :func:`deepsphere.data.mesh_signals.mesh_signals`.
    """

    points: np.ndarray
    folder: Path
    key: str
    perturbation: Perturbation
    max_translation: float
    seed: int
    num_views: int
    missing: MissingRays


@dataclass(frozen=True)
class ShapeOutcome:
    """What became of one shape.

    Parameters
    ----------
    digest
        Of its content; empty where it cannot be read.
    num_cast, num_cached, num_damaged
        Views cast now, those found, and of the former those whose file was damaged.
    num_missing, num_missing_hull
        Rays of all views that hit nothing; of the hulls where there is one.
    num_hulls_failed
        Views without a hull: all or none.
    problem
        Why the shape was left out; empty where it was not.
    """

    digest: str = ""
    num_cast: int = 0
    num_cached: int = 0
    num_damaged: int = 0
    num_missing: int = 0
    num_missing_hull: int = 0
    num_hulls_failed: int = 0
    problem: str = ""


def find_shape(shape: Shape, task: ProjectionTask) -> ShapeOutcome | None:
    """What is known of a shape without casting a ray.

    Parameters
    ----------
    shape
        The shape.
    task
        What to do with it.

    Returns
    -------
    ShapeOutcome or None
        None if a view is wanting; a problem if the shape cannot be read.

    Raises
    ------
    ImportError
        If an extra is not installed.
    """
    try:
        digest = shape.digest()
    except ImportError:
        raise
    except Exception as error:  # of any source of shapes
        return ShapeOutcome(problem=_reason(error))
    found, wanting, _ = _find_views(digest, task)
    return None if wanting else _sum(digest, found, num_cast=0, num_damaged=0)


def project_shape(shape: Shape, task: ProjectionTask) -> ShapeOutcome:
    """Put the views of a shape that are not there yet into the folder.

    The mesh is read, cleaned and built for rays once, and only if a view is wanting.

    Parameters
    ----------
    shape
        The shape.
    task
        What to do with it.

    Returns
    -------
    ShapeOutcome
        With a problem where the shape cannot be projected, whatever the reason.

    Raises
    ------
    ImportError
        If an extra is not installed.
    OSError
        If a file cannot be written.
    """
    try:
        digest = shape.digest()
        found, wanting, num_damaged = _find_views(digest, task)
        cast = cast_views(shape, digest, wanting, task) if wanting else []
    except ImportError:
        raise
    except Exception as error:  # a mesh may be wrong in any way
        return ShapeOutcome(problem=_reason(error))
    for view, signals in zip(wanting, cast, strict=True):
        write_view(view_path(task.folder, digest, task.key, view), task.key, signals)
    return _sum(digest, [*found, *cast], num_cast=len(cast), num_damaged=num_damaged)


def _find_views(digest: str, task: ProjectionTask) -> tuple[list[MeshSignals], list[int], int]:
    """Views in the folder, the numbers of those that are not, and how many of these are damaged."""
    found: list[MeshSignals] = []
    wanting: list[int] = []
    num_damaged = 0
    for view in range(task.num_views):
        path = view_path(task.folder, digest, task.key, view)
        try:
            signals = read_view(path, task.key, num_vertices=len(task.points))
        except FileNotFoundError:
            wanting.append(view)
            continue
        if signals is None:
            num_damaged += 1
            wanting.append(view)
        else:
            found.append(signals)
    return found, wanting, num_damaged


def _sum(
    digest: str, views: Sequence[MeshSignals], *, num_cast: int, num_damaged: int
) -> ShapeOutcome:
    """Counts of the views of a shape."""
    return ShapeOutcome(
        digest,
        num_cast,
        len(views) - num_cast,
        num_damaged,
        sum(signals.num_missing for signals in views),
        sum(signals.num_missing_hull for signals in views if not signals.hull_failed),
        sum(signals.hull_failed for signals in views),
    )


def cast_views(
    shape: Shape, digest: str, views: Sequence[int], task: ProjectionTask
) -> list[MeshSignals]:
    """Signals of some views of a shape.

    Parameters
    ----------
    shape
        The shape.
    digest
        Of its content.
    views
        Numbers of the views.
    task
        How they are drawn.

    Returns
    -------
    list of MeshSignals
    """
    scene = MeshScene(normalize_mesh(shape.read()))
    poses = (
        draw_pose(
            scene,
            identity=digest,
            perturbation=task.perturbation,
            max_translation=task.max_translation,
            seed=task.seed,
            view=view,
        )
        for view in views
    )
    return [scene.look(task.points, pose, missing=task.missing) for pose in poses]


def project_all(
    shapes: Sequence[Shape], task: ProjectionTask, *, num_workers: int
) -> Iterator[tuple[int, ShapeOutcome]]:
    """Project shapes, one after the other in this process or several at a time in others.

    What is in the folder already is found by this process; others are started when there is
    something to cast.

    Parameters
    ----------
    shapes
        The shapes.
    task
        What to do with each.
    num_workers
        Number of processes; below 2 this one does it.

    Yields
    ------
    tuple of int and ShapeOutcome
        Index of a shape and what became of it, as soon as it is known, in any order.

    Raises
    ------
    ImportError
        If an extra is not installed.
    OSError
        If a file cannot be written.
    """
    num_done = 0
    for shape in shapes:
        outcome = find_shape(shape, task)
        if outcome is None:
            break
        yield num_done, outcome
        num_done += 1
    rest = dict(enumerate(shapes[num_done:], start=num_done))
    num_workers = min(num_workers, len(rest))
    if num_workers < 2:
        for index, shape in rest.items():
            yield index, project_shape(shape, task)
        return
    crew = _Crew(task)
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="projection")
    try:
        futures = {pool.submit(crew.project, shape): i for i, shape in rest.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        # threads wait for their processes: those end first
        pool.shutdown(wait=False, cancel_futures=True)
        crew.dismiss()
        pool.shutdown(wait=True)


@dataclass(eq=False)
class _Crew:
    """Processes, one for each thread that asks for work to be done."""

    task: ProjectionTask
    _own: threading.local = field(default_factory=threading.local)
    _all: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _is_dismissed: bool = False

    def project(self, shape: Shape) -> ShapeOutcome:
        """What became of a shape in the process of this thread."""
        worker = self._worker()
        try:
            _send(worker.stdin, shape)
            answer = _receive(worker.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            self._own.worker = None
            worker.kill()
            status = worker.wait()
            cause = f"signal {-status}" if status < 0 else f"status {status}"
            return ShapeOutcome(problem=f"the process that projected it died ({cause})")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _worker(self) -> "subprocess.Popen[bytes]":
        """The process of this thread, started where there is none."""
        worker = getattr(self._own, "worker", None)
        if worker is None:
            with self._lock:
                if self._is_dismissed:
                    raise RuntimeError("projection was stopped")
                worker = self._own.worker = _start()
                self._all.append(worker)
            with suppress(OSError):  # a process that does not start is found out by `project`
                _send(worker.stdin, self.task)
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
    """A process that waits for a task and then for shapes."""
    code = _BOOTSTRAP.format(path=sys.path, package=__package__, module=__name__)
    # one thread each: they are as many as the processors
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **single},
    )


def answer_requests() -> None:
    """Project shapes from the standard input until it ends; what a started process does."""
    # an interruption is the business of the process that asks, which then closes the pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get into the answers
    requests = sys.stdin.buffer
    with suppress(EOFError):
        task = _receive(requests)
        while True:
            shape = _receive(requests)
            try:
                answer: object = project_shape(shape, task)
            except Exception as error:
                answer = error
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


def _reason(error: Exception) -> str:
    """An error as one line; with its kind where that is not one of ours."""
    text = " ".join(str(error).split())
    is_ours = isinstance(error, ValueError | OSError) and text
    return text if is_ours else f"{type(error).__name__}: {text}".rstrip(": ")
