"""Sets of shapes as spherical signals: several views each, cached, cast in parallel."""

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from deepsphere.data.mesh_signals import CHANNELS, VIEW_RADIUS, MissingRays
from deepsphere.data.meshes import MeshError
from deepsphere.data.projection_cache import (
    projection_folder,
    projection_key,
    read_view,
    view_path,
    write_view,
)
from deepsphere.data.projection_tasks import (
    ProjectionTask,
    ShapeOutcome,
    cast_views,
    project_all,
)
from deepsphere.data.shapes import ShapeSet
from deepsphere.data.view_poses import MAX_TRANSLATION, Perturbation, check_perturbation
from deepsphere.data.worker_processes import num_processors
from deepsphere.sampling import Sampling

# Below this number of views a process takes longer to start than to do its share.
_VIEWS_PER_PROCESS = 50


@dataclass(frozen=True)
class ProjectionReport:
    """What a projection did, counted: nothing is left out in silence.

    Parameters
    ----------
    num_shapes
        Shapes that were asked for.
    num_views
        Different views of each.
    num_cast
        Views cast now.
    num_cached
        Views found in the cache.
    num_damaged
        Files of the cache that were damaged; their views are among those cast.
    skipped
        Name of each shape that was left out, and why.
    num_rays
        Rays of all views that are there now, as many again for the hulls.
    num_missing, num_missing_hull
        Rays among them that hit nothing; of the hulls where there is one.
    num_hulls_failed
        Views of meshes without a convex hull (flat ones), which stand for their hulls themselves.

    Examples
    --------
    >>> report = ProjectionReport(3, 1, 2, 0, 0, (("chair", "no face"),), 1536, 384, 0, 0)
    >>> report.missing_share
    0.25
    >>> print(report.summary())
    2 of 3 shapes projected (2 views cast, 0 from the cache); 25.0 % of rays miss the mesh; \
1 shape skipped (chair: no face)
    """

    num_shapes: int
    num_views: int
    num_cast: int
    num_cached: int
    num_damaged: int
    skipped: tuple[tuple[str, str], ...]
    num_rays: int
    num_missing: int
    num_missing_hull: int
    num_hulls_failed: int

    @property
    def num_projected(self) -> int:
        """Shapes that are there now."""
        return self.num_shapes - len(self.skipped)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each of the shapes that were skipped was, with its name, in one line."""
        return tuple(
            reason if name in reason else f"{name}: {reason}" for name, reason in self.skipped
        )

    @property
    def missing_share(self) -> float:
        """Share of rays that miss their mesh."""
        return self.num_missing / self.num_rays if self.num_rays else 0.0

    def summary(self) -> str:
        """One sentence for people, with the first of the shapes that were skipped."""
        parts = [
            f"{self.num_projected:,} of {self.num_shapes:,} shapes projected "
            f"({self.num_cast:,} view{'' if self.num_cast == 1 else 's'} cast, "
            f"{self.num_cached:,} from the cache)",
            f"{100 * self.missing_share:.1f} % of rays miss the mesh",
        ]
        if self.num_missing_hull:
            share = 100 * self.num_missing_hull / self.num_rays
            parts.append(f"{share:.2g} % miss the convex hull")
        if self.num_hulls_failed:
            plural = "" if self.num_hulls_failed == 1 else "s"
            parts.append(
                f"{self.num_hulls_failed:,} view{plural} without a convex hull (flat mesh, which "
                "stands for it)"
            )
        if self.num_damaged:
            parts.append(f"{self.num_damaged:,} damaged files of the cache replaced")
        if self.skipped:
            more = len(self.skipped) - 1
            parts.append(
                f"{len(self.skipped):,} shape{'s' if more else ''} skipped ({self.reasons[0]})"
                + (f", and {more:,} more" if more else "")
            )
        return "; ".join(parts)


@dataclass(frozen=True, eq=False)
class ProjectedShapes:
    """Signals of the views of shapes, read from disk when they are asked for.

    Made by :func:`project_shapes`. It can be pickled, for processes that load data, as long as the
    one that made it lives or a cache is used.

    Attributes
    ----------
    sampling
        Where the values lie.
    shapes
        The shapes that could be projected, in their order.
    num_views
        Views of each.
    report
        What was counted.
    """

    sampling: Sampling
    shapes: ShapeSet
    num_views: int
    report: ProjectionReport
    _digests: tuple[str, ...] = field(repr=False)
    _task: ProjectionTask = field(repr=False)

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.shapes)

    @property
    def labels(self) -> Int[np.ndarray, "shapes"]:
        """Labels of the shapes, −1 where unknown."""
        return self.shapes.labels

    def signal(self, shape: int, view: int = 0) -> Float32[np.ndarray, "vertices 6"]:
        """Values of one view of one shape, in the order of `CHANNELS`.

        Should its file have been damaged or removed meanwhile, it is cast again.

        Parameters
        ----------
        shape
            In [0, number of shapes).
        view
            In [0, number of views).

        Returns
        -------
        Shape (vertices, 6), float32.

        Raises
        ------
        IndexError
            If there is no such shape or view.
        """
        for name, index, size in (("shape", shape, len(self)), ("view", view, self.num_views)):
            if not 0 <= index < size:
                raise IndexError(f"{name} must be in [0, {size}), got {index}")
        digest, task = self._digests[shape], self._task
        view = min(view, task.num_views - 1)
        path = view_path(task.folder, digest, task.key, view)
        signals = None
        with suppress(FileNotFoundError):
            signals = read_view(path, task.key, num_vertices=len(task.points))
        if signals is None:
            (signals,) = cast_views(self.shapes.shapes[shape], digest, [view], task)
            write_view(path, task.key, signals)
        return signals.values

    def signals(self, view: int = 0) -> Float32[np.ndarray, "shapes vertices 6"]:
        """One view of all shapes, in memory.

        Parameters
        ----------
        view
            In [0, number of views).

        Returns
        -------
        Shape (shapes, vertices, 6), float32.
        """
        values = np.empty((len(self), self.sampling.num_vertices, len(CHANNELS)), np.float32)
        for index in range(len(self)):
            values[index] = self.signal(index, view)
        return values


def project_shapes(
    shapes: ShapeSet,
    sampling: Sampling,
    *,
    perturbation: Perturbation = "none",
    max_translation: float | int = MAX_TRANSLATION,
    num_views: int = 1,
    seed: int = 0,
    missing: MissingRays = "zero",
    cache: str | os.PathLike[str] | None = None,
    num_workers: int | None = None,
    advance: Callable[[], object] | None = None,
) -> ProjectedShapes:
    """Signals of several views of each shape, on any sampling.

    Each mesh is cleaned, centred and scaled to radius 1, then held in a pose for each view and
    scaled to radius 0.99 (:func:`deepsphere.data.view_poses.draw_pose`), and looked at along rays
    (:func:`deepsphere.data.mesh_signals.mesh_signals`). The poses of a shape follow from the seed
    and from the content of its mesh, whatever the sampling, the other shapes and their order.

    What is in the cache is not cast again, so that a projection which was interrupted goes on where
    it was; a damaged file is replaced. Several processes may share a cache.

    Parameters
    ----------
    shapes
        The shapes. One that cannot be projected is left out and reported.
    sampling
        Where the rays begin.
    perturbation
        How views differ from the mesh as it is.
    max_translation
        Longest shift, in radii of the mesh, in [0, 1); 0 turns without shifting. Of no effect where
        the perturbation is "none".
    num_views
        Views of each shape, at least 1. Where the perturbation is "none" they are the same one,
        which is cast once.
    seed
        Seed of the poses, 0 or more.
    missing
        Distance of rays that hit nothing.
    cache
        Folder; None for that of the user (subfolder ``shapes`` of DEEPSPHERE_CACHE). Where that
        variable is "off" the signals are in a temporary folder that lives as long as the result.
    num_workers
        Number of processes; None for that of the processors, or less where there is little to do;
        0 or 1 for this process alone. The result is the same bit for bit.
    advance
        Called after each shape, for a progress bar.

    Returns
    -------
    ProjectedShapes

    Raises
    ------
    ValueError
        If an argument is out of its range.
    MeshError
        If none of the shapes can be projected.
    ImportError
        If trimesh or embreex are not installed.
    OSError
        If a file cannot be written.

    Warns
    -----
    UserWarning
        Where the cache of the user cannot be written: a temporary folder takes its place.

    Examples
    --------
    >>> from deepsphere.data.shape_sources import MeshArrays
    >>> from deepsphere.data.shapes import Shape
    >>> from deepsphere.sampling import Healpix
    >>> faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    >>> corner = MeshArrays(np.eye(4)[:, :3], faces)
    >>> corners = ShapeSet("corners", ("corner",), (Shape("one", 0, corner),))
    >>> views = project_shapes(
    ...     corners, Healpix(nside=2), perturbation="so3", num_views=3, num_workers=0
    ... )
    >>> views.signal(0, view=2).shape, views.report.skipped
    ((48, 6), ())
    """
    check_perturbation(perturbation, max_translation=max_translation, seed=seed)
    _check_counts(len(shapes), num_views, num_workers)
    is_drawn = perturbation != "none"
    folder, is_temporary = _open_folder(cache)
    task = ProjectionTask(
        points=np.array(sampling.points),
        folder=folder,
        key=projection_key(
            sampling=sampling.spec,
            perturbation=perturbation,
            # of no effect otherwise: then all seeds share a file
            max_translation=float(max_translation) if is_drawn else None,
            seed=seed if is_drawn else None,
            missing=missing,
            radius=VIEW_RADIUS,
        ),
        perturbation=perturbation,
        max_translation=float(max_translation),
        seed=seed,
        num_views=num_views if is_drawn else 1,
        missing=missing,
    )
    outcomes: dict[int, ShapeOutcome] = {}
    if num_workers is None:
        num_workers = min(num_processors(), len(shapes) * task.num_views // _VIEWS_PER_PROCESS)
    try:
        for index, outcome in project_all(shapes.shapes, task, num_workers=num_workers):
            outcomes[index] = outcome
            if advance is not None:
                advance()
        found = [outcomes[index] for index in range(len(shapes))]
        report = _count(shapes, found, task)
        kept = [index for index, outcome in enumerate(found) if not outcome.problem]
        if not kept:
            if len(shapes) == 1:
                raise MeshError(report.reasons[0])
            raise MeshError(
                f"shapes must hold at least one mesh that can be projected, got {len(shapes)} that "
                f"cannot; the first: {report.reasons[0]}"
            )
    except BaseException:
        if is_temporary:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    digests = tuple(found[index].digest for index in kept)
    projected = ProjectedShapes(sampling, shapes.take(kept), num_views, report, digests, task)
    if is_temporary:
        weakref.finalize(projected, _remove, folder, os.getpid())
    return projected


def _check_counts(num_shapes: int, num_views: int, num_workers: int | None) -> None:
    """Raise unless the numbers make sense."""
    if not num_shapes:
        raise ValueError("shapes must hold at least one shape, got none")
    if num_views < 1:
        raise ValueError(f"num_views must be at least 1, got {num_views}")
    if num_workers is not None and num_workers < 0:
        raise ValueError(
            f"num_workers must not be negative, got {num_workers}; None takes all processors"
        )


def _open_folder(cache: str | os.PathLike[str] | None) -> tuple[Path, bool]:
    """Folder that can be written, and whether it is a temporary one."""
    if cache is not None:
        folder = Path(cache)
        folder.mkdir(parents=True, exist_ok=True)
        return folder, False
    folder = projection_folder()
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder, False
        except OSError as error:
            warnings.warn(
                f"projected shapes cannot be cached in {folder} ({error.strerror}) and will be "
                "cast each time; set DEEPSPHERE_CACHE to a folder that can be written, or to 'off'",
                UserWarning,
                stacklevel=3,
            )
    return Path(tempfile.mkdtemp(prefix="deepsphere-shapes-")), True


def _remove(folder: Path, process: int) -> None:
    """Remove a temporary folder, in the process that made it: a forked one still reads it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _count(
    shapes: ShapeSet, outcomes: list[ShapeOutcome], task: ProjectionTask
) -> ProjectionReport:
    """Sum of what became of the shapes."""
    total = ShapeOutcome()
    for outcome in outcomes:
        if not outcome.problem:
            total = replace(
                total,
                num_cast=total.num_cast + outcome.num_cast,
                num_cached=total.num_cached + outcome.num_cached,
                num_damaged=total.num_damaged + outcome.num_damaged,
                num_missing=total.num_missing + outcome.num_missing,
                num_missing_hull=total.num_missing_hull + outcome.num_missing_hull,
                num_hulls_failed=total.num_hulls_failed + outcome.num_hulls_failed,
            )
    skipped = tuple(
        (shape.name, outcome.problem)
        for shape, outcome in zip(shapes.shapes, outcomes, strict=True)
        if outcome.problem
    )
    return ProjectionReport(
        num_shapes=len(shapes),
        num_views=task.num_views,
        num_cast=total.num_cast,
        num_cached=total.num_cached,
        num_damaged=total.num_damaged,
        skipped=skipped,
        num_rays=(len(shapes) - len(skipped)) * task.num_views * len(task.points),
        num_missing=total.num_missing,
        num_missing_hull=total.num_missing_hull,
        num_hulls_failed=total.num_hulls_failed,
    )
