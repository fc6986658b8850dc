"""Packed meshes: round trip, the bound on rounding, and damaged archives."""

import io
import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.meshes import MeshError
from deepsphere.data.packed_meshes import (
    PackedMeshes,
    open_packed_meshes,
    read_packed_meshes,
    write_packed_meshes,
)
from deepsphere.data.procedural_shapes import make_procedural_shapes
from deepsphere.data.shape_sources import MeshArrays, PackedMesh
from deepsphere.data.shapes import Shape, ShapeSet


@pytest.fixture
def shapes() -> ShapeSet:
    solids = make_procedural_shapes(num_per_class=1)
    unknown = Shape("stranger", None, solids.shapes[0].source)
    return ShapeSet("solids", solids.classes, (*solids.shapes[::-1], unknown))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


@pytest.mark.parametrize("suffix", [".npz", ".npz.xz"])
def test_written_meshes_are_read_again(tmp_path: Path, shapes: ShapeSet, suffix: str) -> None:
    path = tmp_path / f"solids{suffix}"
    steps: list[None] = []
    write_packed_meshes(path, shapes, advance=lambda: steps.append(None))
    assert len(steps) == len(shapes)
    again = read_packed_meshes(path)
    assert (again.name, again.classes) == ("solids", shapes.classes)
    for shape, other in zip(shapes.shapes, again.shapes, strict=True):
        assert (shape.name, shape.label) == (other.name, other.label)
        mesh, packed = shape.read(), other.read()
        np.testing.assert_array_equal(packed.faces, mesh.faces)
        # half a step of the 65,535 across the largest extent
        bound = mesh.extents.max() / 65535 / 2
        assert np.abs(packed.vertices - mesh.vertices).max() <= bound * (1 + 1e-9)


def test_second_round_trip_changes_nothing(tmp_path: Path, shapes: ShapeSet) -> None:
    write_packed_meshes(tmp_path / "first.npz", shapes)
    first = read_packed_meshes(tmp_path / "first.npz")
    write_packed_meshes(tmp_path / "second.npz", first)
    second = read_packed_meshes(tmp_path / "second.npz")
    for one, other in zip(first.shapes, second.shapes, strict=True):
        np.testing.assert_allclose(one.read().vertices, other.read().vertices, atol=1e-12)


def test_formula_of_the_format_is_the_documented_one(tmp_path: Path) -> None:
    vertices = np.array([[1.0, 2, 3], [2, 2, 3], [1, 6, 3], [1, 2, 5]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    shape = Shape("solid", 1, MeshArrays(vertices, faces))
    write_packed_meshes(tmp_path / "one.npz", ShapeSet("one", ("a", "b"), (shape,)))
    arrays = read_arrays(tmp_path / "one.npz")
    i = 0
    rows = arrays["vertices_q"][arrays["voff"][i] : arrays["voff"][i + 1]]
    np.testing.assert_allclose(
        rows / 65535 * arrays["box"][i, 3] + arrays["box"][i, :3], vertices, atol=4 / 131070
    )
    np.testing.assert_array_equal(arrays["faces"][arrays["foff"][i] : arrays["foff"][i + 1]], faces)
    assert arrays["box"][0].tolist() == [1, 2, 3, 4]
    assert arrays["classes"][arrays["label"][i]] == "b"
    assert arrays["names"].tolist() == ["solid"]


def test_shapes_hold_no_arrays_and_hashes_are_of_the_mesh(tmp_path: Path, shapes: ShapeSet) -> None:
    write_packed_meshes(tmp_path / "a.npz", shapes)
    write_packed_meshes(tmp_path / "b.npz.xz", shapes.take([3, 2, 1]))
    first, second = (
        read_packed_meshes(tmp_path / "a.npz"),
        read_packed_meshes(tmp_path / "b.npz.xz"),
    )
    assert len(pickle.dumps(first.shapes[0])) < 500
    assert first.shapes[2].digest() == second.shapes[1].digest()
    assert len({shape.digest() for shape in first.shapes}) == len(first) - 1  # the stranger's twin


def test_many_vertices_need_wider_indices(tmp_path: Path) -> None:
    vertices = np.random.default_rng(0).random((70000, 3))
    faces = np.array([[0, 1, 69999]])
    shape = Shape("large", 0, MeshArrays(vertices, faces))
    write_packed_meshes(tmp_path / "large.npz", ShapeSet("large", ("a",), (shape,)))
    again = read_packed_meshes(tmp_path / "large.npz").shapes[0].read()
    assert again.faces.tolist() == [[0, 1, 69999]]


def test_mesh_of_one_point_is_kept(tmp_path: Path) -> None:
    shape = Shape("point", 0, MeshArrays(np.full((3, 3), 2.5), np.array([[0, 1, 2]])))
    write_packed_meshes(tmp_path / "point.npz", ShapeSet("point", ("a",), (shape,)))
    assert (read_packed_meshes(tmp_path / "point.npz").shapes[0].read().vertices == 2.5).all()


def test_archive_is_read_once_and_again_when_it_changes(tmp_path: Path, shapes: ShapeSet) -> None:
    path = tmp_path / "solids.npz"
    write_packed_meshes(path, shapes)
    first = open_packed_meshes(path)
    assert open_packed_meshes(str(path)) is first
    write_packed_meshes(path, shapes.take([0]), overwrite=True)
    assert len(open_packed_meshes(path)) == 1


@pytest.mark.parametrize("suffix", [".npz", ".npz.xz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_cut_archives_are_rejected(
    tmp_path: Path, shapes: ShapeSet, suffix: str, share: float
) -> None:
    path = tmp_path / f"solids{suffix}"
    write_packed_meshes(path, shapes)
    content = path.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"cut\.npz.* must be a complete archive.*download it ag"):
        read_packed_meshes(cut)
    with pytest.raises(MeshError, match=r"mesh 0 cannot be read.*complete archive"):
        PackedMesh(str(cut), 0).read()


def test_other_files_are_rejected(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("this is not an archive")
    array = tmp_path / "array.npz"
    with array.open("wb") as file:
        np.save(file, np.zeros(3))
    objects = tmp_path / "objects.npz"
    np.savez(objects, names=np.array([None, "a"], dtype=object))
    for path in (text, array, objects):
        with pytest.raises(ValueError, match=f"{path.name} must be a complete archive"):
            read_packed_meshes(path)
    signals = tmp_path / "signals.npz"
    np.savez(signals, values=np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold the keys vertices_q.*got none named vert"):
        read_packed_meshes(signals)
    xz = tmp_path / "signals.npz.xz"
    xz.write_bytes(lzma.compress(signals.read_bytes()))
    with pytest.raises(ValueError, match="must hold the keys"):
        read_packed_meshes(xz)
    with pytest.raises(FileNotFoundError):
        read_packed_meshes(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("box", np.zeros((2, 4)), r"box must have shape \(13, 4\), got \(2, 4\)"),
        ("label", np.zeros(12, np.int64), r"label must have shape \(13,\)"),
        ("voff", np.arange(14), "voff must increase from 0 to"),
        ("foff", np.zeros(14, np.int64), "foff must increase from 0 to"),
        ("vertices_q", np.zeros((5, 3)), r"vertices_q must be integers.*float64 \(5, 3\)"),
        ("faces", np.zeros(6, np.int64), r"faces must be integers of shape \(n, 3\)"),
        ("box", np.full((13, 4), np.nan), "box must be finite"),
    ],
)
def test_arrays_that_contradict_each_other_are_rejected(
    tmp_path: Path, shapes: ShapeSet, key: str, value: np.ndarray, message: str
) -> None:
    write_packed_meshes(tmp_path / "solids.npz", shapes)
    arrays = read_arrays(tmp_path / "solids.npz") | {key: value}
    with pytest.raises(ValueError, match=f"solids is damaged: {message}"):
        PackedMeshes("solids", arrays)


def test_wrong_meshes_and_labels_are_rejected(tmp_path: Path, shapes: ShapeSet) -> None:
    write_packed_meshes(tmp_path / "solids.npz", shapes)
    arrays = read_arrays(tmp_path / "solids.npz")
    packed = PackedMeshes("solids", arrays)
    with pytest.raises(ValueError, match=r"index must be in \[0, 13\), got 13"):
        packed.mesh(13)
    with pytest.raises(ValueError, match="solids is damaged: faces of mesh 0 must name its"):
        PackedMeshes("solids", arrays | {"faces": arrays["faces"] + np.uint16(5000)}).mesh(0)
    buffer = io.BytesIO()
    np.savez(buffer, **(arrays | {"label": np.full(13, 40)}))  # pyright: ignore[reportArgumentType]
    (tmp_path / "labels.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"labels must be in \[0, 12\)"):
        read_packed_meshes(tmp_path / "labels.npz")


def test_wrong_targets_are_rejected(tmp_path: Path, shapes: ShapeSet) -> None:
    with pytest.raises(ValueError, match=r"path must end with \.npz or \.npz\.xz, got .*zip"):
        write_packed_meshes(tmp_path / "solids.zip", shapes)
    with pytest.raises(ValueError, match="at least one shape, got none"):
        write_packed_meshes(tmp_path / "solids.npz", shapes.take([]))
    (tmp_path / "solids.npz").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_packed_meshes(tmp_path / "solids.npz", shapes)
    assert (tmp_path / "solids.npz").read_text() == "mine"
