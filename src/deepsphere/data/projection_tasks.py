"""The work of projecting one shape, and of many in several processes.

A mesh that kills the process that projects it costs that mesh.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from deepsphere.data.mesh_cleaning import normalize_mesh
from deepsphere.data.mesh_signals import MeshScene, MeshSignals, MissingRays
from deepsphere.data.projection_cache import read_view, view_path, write_view
from deepsphere.data.shapes import Shape
from deepsphere.data.view_poses import Perturbation, draw_pose
from deepsphere.data.worker_processes import call_in_processes


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
    # the task, with its many points, goes to each process once
    calls = call_in_processes(
        partial(project_shape, task=task),
        [(shape,) for shape in shapes[num_done:]],
        num_workers=num_workers,
        lost=_lost,
    )
    with closing(calls):
        for index, outcome in calls:
            yield num_done + index, outcome


def _lost(cause: str) -> ShapeOutcome:
    """What became of a shape whose process died."""
    return ShapeOutcome(problem=f"the process that projected it died ({cause})")


def _reason(error: Exception) -> str:
    """An error as one line; with its kind where that is not one of ours."""
    text = " ".join(str(error).split())
    is_ours = isinstance(error, ValueError | OSError) and text
    return text if is_ours else f"{type(error).__name__}: {text}".rstrip(": ")
