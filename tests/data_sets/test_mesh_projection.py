"""Sets of shapes: what is cast, kept, counted, skipped, and the same in any order."""

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import trimesh

from deepsphere.data import (
    mesh_projection,
    projection_cache,
    projection_tasks,
    worker_processes,
)
from deepsphere.data.mesh_cleaning import normalize_mesh
from deepsphere.data.mesh_projection import ProjectionReport, project_shapes
from deepsphere.data.mesh_signals import MeshScene, MeshSignals, Pose
from deepsphere.data.meshes import MeshError
from deepsphere.data.projection_cache import projection_folder, read_view, write_view
from deepsphere.data.shape_sources import MeshArrays, MeshFile
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.data.view_poses import draw_pose
from deepsphere.sampling import Equiangular, Healpix

SAMPLING = Healpix(nside=4)


def arrays(mesh: trimesh.Trimesh) -> MeshArrays:
    return MeshArrays(np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64))


def shape_set(*sources) -> ShapeSet:
    shapes = tuple(Shape(f"shape {i}", i % 2, source) for i, source in enumerate(sources))
    return ShapeSet("solids", ("even", "odd"), shapes)


def solids() -> ShapeSet:
    return shape_set(
        arrays(trimesh.creation.box(extents=(1, 2, 3))),
        arrays(trimesh.creation.cone(radius=1, height=2)),
        arrays(trimesh.creation.torus(1, 0.3)),
    )


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


@dataclass(frozen=True)
class Deadly:
    """A mesh that takes its process with it."""

    home: int

    def read(self):
        if os.getpid() == self.home:
            raise AssertionError("read by the process of the test")
        os.kill(os.getpid(), signal.SIGKILL)

    def digest(self) -> str:
        return "d" * 64


@dataclass(frozen=True)
class Forbidden:
    """A mesh that needs something that is not installed."""

    def read(self):
        raise ImportError("pip install it")

    def digest(self) -> str:
        return "f" * 64


def test_signals_are_those_of_the_pose_that_seed_mesh_and_view_give(tmp_path):
    shapes = solids()
    found = project_shapes(
        shapes, SAMPLING, perturbation="so3", num_views=2, seed=5, cache=tmp_path, num_workers=0
    )
    assert (len(found), found.num_views) == (3, 2)
    assert found.labels.tolist() == [0, 1, 0]
    for index, shape in enumerate(shapes.shapes):
        scene = MeshScene(normalize_mesh(shape.read()))
        for view in range(2):
            pose = draw_pose(scene, identity=shape.digest(), perturbation="so3", seed=5, view=view)
            expected = scene.look(SAMPLING.points, pose).values
            assert np.array_equal(found.signal(index, view), expected)
    assert np.array_equal(found.signals(1)[2], found.signal(2, 1))


def test_second_run_casts_nothing(tmp_path, monkeypatch):
    first = project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    assert (first.report.num_cast, first.report.num_cached) == (3, 0)
    monkeypatch.setattr(projection_tasks, "normalize_mesh", None)  # nothing is read again
    second = project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    assert (second.report.num_cast, second.report.num_cached) == (0, 3)
    assert second.report.num_missing == first.report.num_missing > 0
    assert np.array_equal(first.signals(), second.signals())


def test_interrupted_run_goes_on_where_it_was(tmp_path):
    calls = []

    def interrupt():
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt

    options = {"perturbation": "z", "cache": tmp_path, "num_workers": 0}
    with pytest.raises(KeyboardInterrupt):
        project_shapes(solids(), SAMPLING, advance=interrupt, **options)
    report = project_shapes(solids(), SAMPLING, **options).report
    assert (report.num_cast, report.num_cached) == (1, 2)


def test_more_views_are_added_to_those_that_are_there(tmp_path):
    options = {"perturbation": "so3", "cache": tmp_path, "num_workers": 0}
    two = project_shapes(solids(), SAMPLING, num_views=2, **options)
    three = project_shapes(solids(), SAMPLING, num_views=3, **options)
    assert (three.report.num_cast, three.report.num_cached) == (3, 6)
    assert np.array_equal(two.signals(1), three.signals(1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_another(path: Path) -> None:
    signals = MeshSignals(np.zeros((192, 6), np.float32), 0, 0, hull_failed=False)
    write_view(path, "another key", signals)


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty, replace_by_another])
def test_damaged_file_is_cast_again_and_counted(damage, tmp_path):
    whole = project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    expected = whole.signals()
    damage(files(tmp_path)[1])
    # by the one who reads
    assert np.array_equal(whole.signals(), expected)
    damage(files(tmp_path)[1])
    # and by the next projection
    again = project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    assert (again.report.num_cast, again.report.num_damaged, again.report.num_cached) == (1, 1, 2)
    assert np.array_equal(again.signals(), expected)
    assert project_shapes(solids(), SAMPLING, cache=tmp_path).report.num_damaged == 0


def test_file_that_was_removed_is_cast_again(tmp_path):
    found = project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    expected = found.signal(1)
    for path in files(tmp_path):
        path.unlink()
    assert np.array_equal(found.signal(1), expected)
    assert len(files(tmp_path)) == 1


def test_file_of_another_size_is_not_taken(tmp_path):
    signals = MeshSignals(np.zeros((12, 6), np.float32), 0, 0, hull_failed=False)
    write_view(tmp_path / "view.npz", "key", signals)
    assert read_view(tmp_path / "view.npz", "key", num_vertices=12) is not None
    assert read_view(tmp_path / "view.npz", "key", num_vertices=48) is None


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"perturbation": "z"},
        {"max_translation": 0.05},
        {"missing": "far"},
        {"sampling": Healpix(nside=4, ordering="ring")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_not_mixed(change, tmp_path):
    settings = {"sampling": SAMPLING, "perturbation": "so3", "seed": 0, "num_workers": 0}
    project_shapes(solids(), cache=tmp_path, **settings)
    report = project_shapes(solids(), cache=tmp_path, **{**settings, **change}).report
    assert (report.num_cast, report.num_cached) == (3, 0)


def test_mesh_that_changed_is_cast_again(tmp_path):
    path = tmp_path / "mesh.off"
    trimesh.creation.box().export(path)
    shapes, options = shape_set(MeshFile(str(path))), {"cache": tmp_path, "num_workers": 0}
    project_shapes(shapes, SAMPLING, **options)
    trimesh.creation.box(extents=(1, 1, 2)).export(path)
    report = project_shapes(shapes, SAMPLING, **options).report
    assert (report.num_cast, report.num_cached) == (1, 0)


def test_other_code_is_not_mixed(tmp_path, monkeypatch):
    project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)
    monkeypatch.setattr(projection_cache, "_code_version", lambda: "changed")
    assert project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0).report.num_cast == 3


def test_poses_do_not_depend_on_sampling_or_order_or_other_shapes(tmp_path):
    options = {"perturbation": "so3", "cache": tmp_path, "num_workers": 0}
    shapes = solids()
    found = project_shapes(shapes, SAMPLING, **options)
    fewer = project_shapes(shapes.take([2, 0]), SAMPLING, **options)
    assert np.array_equal(fewer.signal(0), found.signal(2))
    # a grid that shares points with HEALPix: those of a subset
    part = SAMPLING.subset(np.arange(0, 192, 5))
    there = project_shapes(shapes, part, **options)
    assert np.allclose(there.signals(), found.signals()[:, ::5], atol=1e-6)


def test_without_perturbation_all_views_are_one(tmp_path):
    found = project_shapes(solids(), SAMPLING, num_views=3, cache=tmp_path, num_workers=0)
    assert (found.num_views, found.report.num_cast) == (3, 3)
    assert np.array_equal(found.signal(1, 2), found.signal(1, 0))
    again = project_shapes(solids(), SAMPLING, seed=9, cache=tmp_path, num_workers=0)
    assert again.report.num_cached == 3
    scene = MeshScene(normalize_mesh(solids().shapes[0].read()))
    expected = scene.look(SAMPLING.points, Pose(np.eye(3), np.zeros(3), 0.99)).values
    assert np.abs(again.signal(0) - expected).max() < 1e-6


def test_broken_shapes_are_skipped_and_counted(tmp_path):
    (tmp_path / "empty.obj").write_text("")
    flat = trimesh.Trimesh(np.eye(4)[:, :3], [[0, 1, 2]], process=False)
    line = MeshArrays(np.outer(np.arange(3.0), np.ones(3)), np.array([[0, 1, 2]]))
    shapes = shape_set(
        MeshFile(str(tmp_path / "missing.off")),
        arrays(trimesh.creation.box()),
        MeshFile(str(tmp_path / "empty.obj")),
        line,
        arrays(flat),
    )
    counted = []
    found = project_shapes(
        shapes, SAMPLING, cache=tmp_path, num_workers=0, advance=lambda: counted.append(None)
    )
    report = found.report
    assert len(counted) == 5
    assert [shape.name for shape in found.shapes.shapes] == ["shape 1", "shape 4"]
    assert found.labels.tolist() == [1, 0]
    assert (report.num_shapes, report.num_projected, report.num_hulls_failed) == (5, 2, 1)
    assert [name for name, _ in report.skipped] == ["shape 0", "shape 2", "shape 3"]
    assert "No such file" in report.skipped[0][1]
    assert "empty file" in report.skipped[1][1]
    assert "must have a face with an area" in report.skipped[2][1]
    assert report.num_rays == 2 * 192
    assert found.signal(1).shape == (192, 6)
    text = report.summary()
    assert text.startswith("2 of 5 shapes projected (2 views cast, 0 from the cache); ")
    assert "1 view without a convex hull (flat mesh, which stands for it)" in text
    assert "3 shapes skipped (shape 0: " in text
    assert text.endswith("), and 2 more")


def test_summary_names_what_there_is_only():
    report = ProjectionReport(2, 3, 6, 0, 2, (), 1000, 0, 25, 0)
    assert report.missing_share == 0
    assert report.summary() == (
        "2 of 2 shapes projected (6 views cast, 0 from the cache); 0.0 % of rays miss the mesh; "
        "2.5 % miss the convex hull; 2 damaged files of the cache replaced"
    )


def test_processes_give_the_same_bits_and_only_cost_the_mesh_that_kills_them(tmp_path):
    good = solids().shapes
    shapes = shape_set(
        good[0].source,
        MeshFile(str(tmp_path / "missing.off")),
        good[1].source,
        Deadly(os.getpid()),
        good[2].source,
    )
    options = {"perturbation": "so3", "num_views": 2}
    # the class of the deadly mesh is found by its module's name, from here
    found = project_shapes(shapes, SAMPLING, cache=tmp_path / "many", num_workers=2, **options)
    alone = project_shapes(solids(), SAMPLING, cache=tmp_path / "one", num_workers=0, **options)
    assert [name for name, _ in found.report.skipped] == ["shape 1", "shape 3"]
    assert found.report.skipped[1][1] == "the process that projected it died (signal 9)"
    for view in range(2):
        assert np.array_equal(found.signals(view), alone.signals(view))
    assert found.report.num_missing == alone.report.num_missing
    assert found.report.num_cast == alone.report.num_cast == 6


@pytest.mark.parametrize("num_workers", [0, 2])
def test_missing_extra_is_an_error_and_no_skip(num_workers, tmp_path):
    shapes = shape_set(Forbidden(), solids().shapes[0].source)
    with pytest.raises(ImportError, match="pip install it"):
        project_shapes(shapes, SAMPLING, cache=tmp_path, num_workers=num_workers)


def test_processes_end_when_the_caller_stops(tmp_path, monkeypatch):
    started = []
    start = worker_processes._start
    monkeypatch.setattr(worker_processes, "_start", lambda: started.append(start()) or started[-1])

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=2, advance=stop)
    assert started
    assert all(process.poll() is not None for process in started)


def test_processes_do_not_load_torch():
    code = worker_processes._BOOTSTRAP.format(
        path=sys.path, package="deepsphere.data", module="deepsphere.data.worker_processes"
    )
    check = (
        "\nimport deepsphere.data.projection_tasks"
        "\nassert 'torch' not in sys.modules"
        "\nfrom deepsphere.data import read_signals"  # whoever asks for a name gets the package
        "\nassert read_signals.__module__ == 'deepsphere.data.readers'"
    )
    subprocess.run([sys.executable, "-c", code + check], stdin=subprocess.DEVNULL, check=True)


def test_user_folder_is_used_and_can_be_turned_off(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path))
    found = project_shapes(solids(), SAMPLING, num_workers=0)
    assert projection_folder() == tmp_path / "shapes"
    assert len(files(tmp_path / "shapes")) == 3
    monkeypatch.setenv("DEEPSPHERE_CACHE", "off")
    assert projection_folder() is None
    temporary = project_shapes(solids(), SAMPLING, num_workers=0)
    folder = temporary._task.folder
    assert temporary.report.num_cast == 3
    assert np.array_equal(temporary.signals(), found.signals())
    copy = pickle.loads(pickle.dumps(temporary))
    assert np.array_equal(copy.signal(2), found.signal(2))
    del copy
    assert folder.is_dir()
    del temporary
    assert not folder.exists()


def test_default_folder_is_that_of_the_system(monkeypatch):
    monkeypatch.delenv("DEEPSPHERE_CACHE")
    folder = projection_folder()
    assert folder is not None
    assert folder.name == "shapes"
    assert "deepsphere" in str(folder.parent)


def test_user_folder_that_cannot_be_written_is_warned_of(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"cannot be cached in .*file.shapes .* set DEEPSPHERE_C"):
        found = project_shapes(solids(), SAMPLING, num_workers=0)
    assert found.signal(0).shape == (192, 6)


def test_folder_that_is_asked_for_and_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        project_shapes(solids(), SAMPLING, cache=tmp_path / "file", num_workers=0)


def test_disk_that_is_full_is_an_error_and_no_skip(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projection_tasks, "write_view", fail)
    with pytest.raises(OSError, match="No space left"):
        project_shapes(solids(), SAMPLING, cache=tmp_path, num_workers=0)


def test_only_broken_shapes_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSPHERE_CACHE", "off")
    made = []
    make = mesh_projection.tempfile.mkdtemp
    monkeypatch.setattr(
        mesh_projection.tempfile, "mkdtemp", lambda **words: made.append(make(**words)) or made[-1]
    )
    missing = [MeshFile(str(tmp_path / f"{i}.off")) for i in range(2)]
    with pytest.raises(MeshError, match="at least one mesh that can be projected, got 2 that cann"):
        project_shapes(shape_set(*missing), SAMPLING, num_workers=0)
    with pytest.raises(MeshError, match=r"^shape 0: .*0.off cannot be read: No such file"):
        project_shapes(shape_set(missing[0]), SAMPLING, num_workers=0)
    assert len(made) == 2
    assert not any(Path(folder).exists() for folder in made)


def test_arguments_out_of_range_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="shapes must hold at least one shape, got none"):
        project_shapes(solids().take([]), SAMPLING, cache=tmp_path)
    with pytest.raises(ValueError, match="num_views must be at least 1, got 0"):
        project_shapes(solids(), SAMPLING, num_views=0, cache=tmp_path)
    with pytest.raises(ValueError, match="num_workers must not be negative, got -1"):
        project_shapes(solids(), SAMPLING, num_workers=-1, cache=tmp_path)
    found = project_shapes(solids(), Equiangular(nlat=4, nlon=8), cache=tmp_path, num_workers=0)
    with pytest.raises(IndexError, match=r"shape must be in \[0, 3\), got 3"):
        found.signal(3)
    with pytest.raises(IndexError, match=r"view must be in \[0, 1\), got -1"):
        found.signal(0, -1)


def test_equal_meshes_share_a_file_and_a_pose(tmp_path):
    box = arrays(trimesh.creation.box(extents=(1, 2, 3)))
    found = project_shapes(
        shape_set(box, box), SAMPLING, perturbation="so3", cache=tmp_path, num_workers=0
    )
    assert (found.report.num_cast, found.report.num_cached) == (1, 1)
    assert np.array_equal(found.signal(0), found.signal(1))
    # nothing else is left behind
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]
