"""From files of meshes to a file of signals and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepsphere.data import require_writable, write_atomically
from deepsphere.data.files import file_suffix
from deepsphere.data.mesh_cleaning import normalize_mesh
from deepsphere.data.mesh_projection import ProjectedShapes, ProjectionReport, project_shapes
from deepsphere.data.mesh_signals import CHANNELS, MeshScene
from deepsphere.data.meshes import mesh_suffix
from deepsphere.data.shape_sources import MeshFile
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.data.view_poses import Perturbation, draw_pose
from deepsphere.sampling import Healpix, Sampling
from deepsphere.training.progress import open_bar

SIGNAL_SUFFIXES = (".npz", ".npy")
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def project_files(
    meshes: Sequence[Path],
    target: Path,
    sampling: Sampling,
    *,
    rotate: int | None = None,
    views: int = 1,
    picture: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> ProjectionReport:
    """Project files of meshes onto a sampling and write the signals, and a picture of the first.

    Parameters
    ----------
    meshes
        OBJ, OFF, PLY or STL; see `deepsphere.data.meshes.read_mesh`. Of several, those that cannot
        be projected are left out and reported.
    target
        ``.npz`` with `signals` (signals, vertices, 6), the names `channels`, the file `meshes` and
        the number `views` of each signal, and the `sampling` and its `ordering`; ``.npy`` with the
        signals alone. The views of a mesh follow each other.
    sampling
        Where the rays begin.
    rotate
        Seed of a uniform rotation of each view of each mesh; None leaves them as they are.
    views
        Views of each mesh.
    picture
        ``.png``, ``.svg`` or ``.pdf`` of the first mesh and its signals; None for none.
    overwrite
        Whether to replace files.
    progress
        Show a bar on a terminal.

    Returns
    -------
    ProjectionReport

    Raises
    ------
    FileExistsError
        If a file is there and may not be replaced.
    ValueError
        If a suffix is unknown, a mesh is named twice, there are views without a rotation, the
        target is one of the meshes, or no mesh can be projected.
    """
    _check(meshes, target, picture, rotate, views)
    for path in (target, picture):
        if path is not None:
            require_writable(path, overwrite=overwrite)
    perturbation: Perturbation = "none" if rotate is None else "so3"
    shapes = ShapeSet(
        "meshes",
        ("unknown",),
        tuple(Shape(str(path), None, MeshFile(str(path))) for path in meshes),
    )
    with open_bar(shown=progress) as bar:
        task = bar.add_task("casting rays", total=len(shapes))
        projected = project_shapes(
            shapes,
            sampling,
            perturbation=perturbation,
            max_translation=0,
            num_views=views,
            seed=rotate or 0,
            advance=lambda: bar.advance(task),
        )
    _write(target, projected, overwrite=overwrite)
    if picture is not None:
        _draw(picture, projected, perturbation, rotate or 0, overwrite=overwrite)
    return projected.report


def _check(
    meshes: Sequence[Path], target: Path, picture: Path | None, rotate: int | None, views: int
) -> None:
    """Raise unless the words of the command make sense."""
    for path in meshes:
        mesh_suffix(path)
    repeated = [str(path) for index, path in enumerate(meshes) if path in meshes[:index]]
    if repeated:
        raise ValueError(f"meshes must be named once, got {repeated[0]} twice")
    if file_suffix(target) not in SIGNAL_SUFFIXES:
        raise ValueError(
            f"output must end in one of {', '.join(SIGNAL_SUFFIXES)}, got {target.name}; rename it"
        )
    if picture is not None and picture.suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"picture must end in one of {', '.join(PICTURE_SUFFIXES)}, got {picture.name}; "
            "rename it"
        )
    if views > 1 and rotate is None:
        raise ValueError(
            f"views must be 1 unless meshes are rotated, got {views}: they would all be the same; "
            "add --rotate SEED"
        )


def _write(target: Path, projected: ProjectedShapes, *, overwrite: bool) -> None:
    """Write the signals of all views."""
    num_shapes, num_views = len(projected), projected.num_views
    sampling = projected.sampling
    signals = np.stack(
        [projected.signal(shape, view) for shape in range(num_shapes) for view in range(num_views)]
    )
    with write_atomically(target, overwrite=overwrite) as temporary:
        if file_suffix(target) == ".npy":
            np.save(temporary, signals, allow_pickle=False)
            return
        content: dict[str, Any] = {
            "signals": signals,
            "channels": np.array(CHANNELS),
            "meshes": np.repeat([shape.name for shape in projected.shapes.shapes], num_views),
            "views": np.tile(np.arange(num_views), num_shapes),
            "sampling": np.array(sampling.spec),
        }
        if isinstance(sampling, Healpix):
            content["ordering"] = np.array(sampling.ordering)
        np.savez_compressed(temporary, **content)


def _draw(
    path: Path,
    projected: ProjectedShapes,
    perturbation: Perturbation,
    seed: int,
    *,
    overwrite: bool,
) -> None:
    """Draw the first view of the first mesh, held as it was when it was looked at."""
    from deepsphere.plotting.meshes import plot_mesh_signals

    shape = projected.shapes.shapes[0]
    mesh = normalize_mesh(shape.read())
    pose = draw_pose(
        MeshScene(mesh),
        identity=shape.digest(),
        perturbation=perturbation,
        max_translation=0,
        seed=seed,
        view=0,
    )
    mesh.vertices = pose.scale * (mesh.vertices + pose.translation) @ pose.rotation.T
    figure = plot_mesh_signals(
        mesh, projected.signal(0), projected.sampling, title=Path(shape.name).name
    )
    with write_atomically(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=150)
