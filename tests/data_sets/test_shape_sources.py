"""Meshes from files, zips and arrays: the same mesh and the same hash, in every process."""

import os
import pickle
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.meshes import MeshError
from deepsphere.data.shape_sources import MeshArrays, MeshFile, ZipMember, open_zip
from deepsphere.data.shapes import Shape

TETRAHEDRON = """OFF
4 4 0
0 0 0
1 0 0
0 1 0
0 0 1
3 0 2 1
3 0 1 3
3 0 3 2
3 1 2 3
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "meshes.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"a/{number}.off", TETRAHEDRON.replace("1", str(number + 1), 1))
        file.writestr("a/good.off", TETRAHEDRON)
        file.writestr("a/cut.off", TETRAHEDRON[:50])
    return path


def volume(shape: Shape) -> float:
    return float(shape.read().volume)


def test_mesh_is_read_from_file_zip_and_arrays_alike(tmp_path: Path, archive: Path) -> None:
    path = tmp_path / "solid.off"
    path.write_text(TETRAHEDRON)
    file, member = MeshFile(str(path)), ZipMember(str(archive), "a/good.off")
    mesh = file.read()
    arrays = MeshArrays(np.array(mesh.vertices), np.array(mesh.faces))
    for source in (file, member, arrays):
        again = source.read()
        np.testing.assert_array_equal(again.vertices, mesh.vertices)
        np.testing.assert_array_equal(again.faces, mesh.faces)
    assert mesh.volume == pytest.approx(1 / 6)


def test_hash_is_of_the_content(tmp_path: Path, archive: Path) -> None:
    first, second = tmp_path / "first.off", tmp_path / "SECOND.OFF"
    for path in (first, second):
        path.write_text(TETRAHEDRON)
    digest = MeshFile(str(first)).digest()
    assert MeshFile(str(second)).digest() == digest
    assert ZipMember(str(archive), "a/good.off").digest() == digest
    second.write_text(TETRAHEDRON + "\n")
    assert MeshFile(str(second)).digest() != digest
    # the same bytes are another mesh if they are read as another format
    first.rename(tmp_path / "first.obj")
    assert MeshFile(str(tmp_path / "first.obj")).digest() != digest


def test_hash_of_arrays_is_of_their_values() -> None:
    vertices, faces = np.eye(3), np.array([[0, 1, 2]])
    digest = MeshArrays(vertices, faces).digest()
    assert MeshArrays(vertices.astype(np.float32), faces.astype(np.int32)).digest() == digest
    assert MeshArrays(np.asfortranarray(vertices), faces).digest() == digest
    assert MeshArrays(vertices * 2, faces).digest() != digest
    assert MeshArrays(vertices, faces[:, ::-1]).digest() != digest


def test_reading_leaves_the_arrays_alone() -> None:
    vertices = np.eye(3)
    source = MeshArrays(vertices, np.array([[0, 1, 2]]))
    source.read().vertices[:] = 7
    np.testing.assert_array_equal(source.vertices, np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        source.vertices[0, 0] = 7
    vertices[0, 0] = 1  # the caller's own array is not locked


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_shapes_in_a_zip_are_read_in_worker_processes(archive: Path, method: str) -> None:
    shapes = [Shape(str(i), 0, ZipMember(str(archive), "a/good.off")) for i in range(20)]
    assert volume(shapes[0]) == pytest.approx(1 / 6)  # this process has opened the zip already
    assert len(pickle.dumps(shapes[0])) < 400
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        assert list(pool.map(volume, shapes)) == pytest.approx([1 / 6] * 20)


def test_zip_is_opened_once_and_again_when_it_changes(archive: Path) -> None:
    assert open_zip(archive) is open_zip(str(archive))
    source = ZipMember(str(archive), "a/good.off")
    before = source.digest()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/good.off", TETRAHEDRON.replace("0 0 1\n", "0 0 2\n"))
    os.utime(archive, ns=(1, 1))
    assert source.digest() != before
    assert source.read().volume == pytest.approx(1 / 3)


def test_errors_name_the_file_or_member(tmp_path: Path, archive: Path) -> None:
    missing = MeshFile(str(tmp_path / "nowhere.off"))
    for action in (missing.read, missing.digest):
        with pytest.raises(MeshError, match=r"nowhere\.off"):
            action()
    with pytest.raises(MeshError, match=r"meshes\.zip:a/cut\.off"):
        ZipMember(str(archive), "a/cut.off").read()
    with pytest.raises(MeshError, match=r"meshes\.zip:a/none\.off cannot be read"):
        ZipMember(str(archive), "a/none.off").read()
    with pytest.raises(MeshError, match=r"gone\.zip:x\.off cannot be read"):
        ZipMember(str(tmp_path / "gone.zip"), "x.off").digest()


def test_cut_and_false_zips_are_rejected(tmp_path: Path, archive: Path) -> None:
    cut = tmp_path / "cut.zip"
    cut.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"cut\.zip must be a complete zip"):
        open_zip(cut)
    with pytest.raises(MeshError, match="complete zip"):
        ZipMember(str(cut), "a/good.off").read()


def test_damaged_member_is_a_mesh_error(tmp_path: Path, archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as file:
        start = file.getinfo("a/good.off").header_offset + 30 + len("a/good.off")
    content[start : start + 20] = b"\xff" * 20
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(content)
    with pytest.raises(MeshError, match=r"damaged\.zip:a/good\.off cannot be read"):
        ZipMember(str(damaged), "a/good.off").read()


def test_wrong_arrays_are_rejected() -> None:
    with pytest.raises(ValueError, match="vertices must be finite"):
        MeshArrays(np.full((3, 3), np.nan), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match=r"faces must hold indices in \[0, 3\).*got 0 to 3"):
        MeshArrays(np.eye(3), np.array([[0, 1, 3]]))
    with pytest.raises(MeshError, match="at least one face, got none"):
        MeshArrays(np.eye(3), np.zeros((0, 3), np.int64)).read()
