"""Folders and zips of mesh files: layouts, official splits, and what cannot be read."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.packed_meshes import write_packed_meshes
from deepsphere.data.procedural_shapes import make_procedural_shapes
from deepsphere.data.shape_files import (
    choose_per_class,
    open_shapes,
    read_official_splits,
    read_shape_folder,
)
from deepsphere.data.shape_sources import ZipMember
from deepsphere.data.shapes import ShapeSet

OFF = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"


def fill(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OFF)
    return folder


def zip_of(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def names(shapes: ShapeSet) -> list[str]:
    return [shape.name for shape in shapes.shapes]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    files = [f"{kind}/{kind}_{i}.off" for kind in ("lamp", "chair") for i in range(10)]
    return fill(tmp_path / "plain", *files)


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    files = [f"{kind}/train/{kind}_{i:04d}.off" for kind in ("sofa", "bed") for i in range(10)]
    files += [f"{kind}/test/{kind}_{i:04d}.off" for kind in ("sofa", "bed") for i in range(10, 13)]
    return fill(tmp_path / "ModelNet2", *files)


def test_sub_folders_are_classes(plain: Path) -> None:
    shapes = read_shape_folder(plain)
    assert (shapes.name, shapes.classes, shapes.notes) == ("plain", ("chair", "lamp"), ())
    assert names(shapes)[:2] == ["chair/chair_0.off", "chair/chair_1.off"]
    assert shapes.labels.tolist() == [0] * 10 + [1] * 10


def test_files_of_all_formats_and_depths_are_found(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1.OFF", "a/deep/er/2.obj", "b/3.ply", "b/4.stl", "b/.5.off")
    fill(tmp_path, ".hidden/6.off", "__MACOSX/a/7.off", "b/8.mtl", "b/9.MTL", "b/LICENSE")
    shapes = read_shape_folder(folder)
    assert shapes.classes == ("a", "b")
    assert names(shapes) == ["a/1.OFF", "a/deep/er/2.obj", "b/3.ply", "b/4.stl"]
    assert len(shapes.notes) == 1
    assert "no meshes were left out: 2 .mtl, 1 LICENSE" in shapes.notes[0]


def test_folder_around_the_classes_is_passed_over(plain: Path) -> None:
    around = read_shape_folder(plain.parent)
    inside = read_shape_folder(plain)
    assert around.name == "plain"
    assert (around.classes, names(around)) == (inside.classes, names(inside))
    assert around.shapes[0].source == inside.shapes[0].source


def test_one_class_is_not_taken_for_a_folder_around(tmp_path: Path) -> None:
    assert read_shape_folder(fill(tmp_path / "one", "box/1.off", "box/2.off")).classes == ("box",)
    only = fill(tmp_path / "two", "box/train/1.off", "box/test/2.off")
    assert set(read_official_splits(only)) == {"train", "test"}


def test_splits_of_a_plain_folder_are_drawn(plain: Path) -> None:
    splits = open_shapes(plain, seed=1)
    assert splits.train.class_counts.tolist() == [7, 7]
    assert splits.validation.class_counts.tolist() == [1, 1]
    assert splits.test.class_counts.tolist() == [2, 2]
    assert open_shapes(plain, seed=1) == splits
    assert open_shapes(plain, seed=2) != splits


def test_official_splits_are_kept(modelnet: Path) -> None:
    splits = open_shapes(modelnet, validation_fraction=0.2, test_fraction=0.5)
    assert splits.name == "ModelNet2"
    assert splits.classes == ("bed", "sofa")
    assert all("/test/" in name for name in names(splits.test))
    assert len(splits.test) == 6
    assert all("/train/" in name for name in [*names(splits.train), *names(splits.validation)])
    assert splits.validation.class_counts.tolist() == [2, 2]
    assert splits.train.class_counts.tolist() == [8, 8]
    other = open_shapes(modelnet, validation_fraction=0.2, seed=3)
    assert names(other.test) == names(splits.test)
    assert names(other.validation) != names(splits.validation)


def test_splits_may_lie_above_the_classes_and_have_a_validation(tmp_path: Path) -> None:
    folder = fill(tmp_path, "Train/a/1.off", "Train/b/2.off", "val/a/3.off", "test/b/4.off")
    splits = open_shapes(folder)
    assert splits.classes == ("a", "b")
    assert names(splits.train) == ["Train/a/1.off", "Train/b/2.off"]
    assert names(splits.validation) == ["val/a/3.off"]
    assert names(splits.test) == ["test/b/4.off"]


def test_lone_training_folder_is_split(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", *[f"train/{c}/{i}.off" for c in "ab" for i in range(10)])
    splits = open_shapes(folder)
    assert splits.classes == ("a", "b")
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [14, 2, 4]


def test_class_called_train_is_a_class(tmp_path: Path) -> None:
    folder = fill(tmp_path, "car/1.off", "train/2.off", "plane/3.off")
    assert read_official_splits(folder) == {}
    assert open_shapes(folder).classes == ("car", "plane", "train")


@pytest.mark.parametrize("which", ["plain", "modelnet"])
def test_zip_is_read_as_the_folder_in_it(
    request: pytest.FixtureRequest, tmp_path: Path, which: str
) -> None:
    folder: Path = request.getfixturevalue(which)
    fill(folder.parent / "__MACOSX", "._ignored.off")
    archive = zip_of(folder, tmp_path / "archive.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(f"__MACOSX/{folder.name}/._chair.off", "resource fork")
    before = sorted(tmp_path.rglob("*"))
    from_zip, from_folder = open_shapes(archive), open_shapes(folder)
    assert from_zip.name == from_folder.name
    for part in ("train", "validation", "test"):
        assert names(getattr(from_zip, part)) == names(getattr(from_folder, part))
        for one, other in zip(
            getattr(from_zip, part).shapes, getattr(from_folder, part).shapes, strict=True
        ):
            assert isinstance(one.source, ZipMember)
            assert one.digest() == other.digest()
            assert one.label == other.label
    assert sorted(tmp_path.rglob("*")) == before


def test_packed_meshes_are_recognized(tmp_path: Path) -> None:
    solids = make_procedural_shapes(num_per_class=5)
    for suffix in (".npz", ".npz.xz"):
        write_packed_meshes(tmp_path / f"solids{suffix}", solids)
        splits = open_shapes(tmp_path / f"solids{suffix}", test_fraction=0.4)
        assert splits.name == "solids"
        assert splits.test.class_counts.tolist() == [2] * 12


def test_without_a_source_shapes_are_procedural() -> None:
    splits = open_shapes(None, seed=7, num_per_class=20)
    assert splits.name == "procedural"
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [168, 24, 48]
    assert {shape.digest() for shape in splits.test.take([0]).shapes} == {
        splits.test.shapes[0].digest()
    }
    assert len(open_shapes(None).train) == 28 * 12


def test_number_per_class_is_a_limit(plain: Path, modelnet: Path) -> None:
    splits = open_shapes(plain, num_per_class=5)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [6, 2, 2]
    official = open_shapes(modelnet, num_per_class=4, validation_fraction=0.25)
    assert official.train.class_counts.tolist() == [3, 3]
    assert official.validation.class_counts.tolist() == [1, 1]
    assert official.test.class_counts.tolist() == [3, 3]


def test_smaller_choice_is_part_of_a_larger_one() -> None:
    shapes = make_procedural_shapes(num_per_class=9)
    chosen = [choose_per_class(shapes, num, seed=1) for num in (2, 5, 9)]
    assert [part.class_counts.tolist() for part in chosen] == [[n] * 12 for n in (2, 5, 9)]
    assert set(names(chosen[0])) < set(names(chosen[1])) < set(names(chosen[2]))
    assert chosen[2] == shapes
    assert choose_per_class(shapes, 2, seed=2) != chosen[0]
    empty = shapes.take(np.zeros(0, np.int64))
    assert choose_per_class(empty, 2, seed=0) == empty


def test_what_cannot_be_read_is_said_with_what_can(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; give a folder.*SHREC'17"):
        open_shapes(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_shape_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty must hold OFF, OBJ.*got nothing; give a folder"):
        open_shapes(tmp_path / "empty")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    with pytest.raises(ValueError, match=r"texts must hold OFF, OBJ.*got 1 \.txt; give"):
        open_shapes(tmp_path / "texts")
    with pytest.raises(ValueError, match=r"source must be a folder, a zip.*a\.txt; give a folder"):
        open_shapes(tmp_path / "texts" / "a.txt")
    (tmp_path / "false.zip").write_text("not a zip")
    with pytest.raises(ValueError, match=r"false\.zip must be a complete zip"):
        open_shapes(tmp_path / "false.zip")


def test_folders_that_contradict_themselves_are_rejected(tmp_path: Path) -> None:
    loose = fill(tmp_path / "loose", "a/1.off", "2.off")
    with pytest.raises(ValueError, match=r"got 1 meshes beside the sub-.*, 2\.off for example"):
        open_shapes(loose)
    flat = fill(tmp_path / "flat", "1.off", "2.off")
    with pytest.raises(ValueError, match="one sub-folder for each class, got 2 meshes beside"):
        open_shapes(flat)
    gap = fill(tmp_path / "gap", "a/1.off", "b/2.off")
    (gap / "c").mkdir()
    (gap / "c" / "notes.txt").write_text("later")
    with pytest.raises(ValueError, match=r"class must have a mesh, got none in .*folders c of"):
        open_shapes(gap)
    with pytest.raises(ValueError, match="every class must have a mesh"):
        open_shapes(zip_of(gap, tmp_path / "gap.zip"))
    untrained = fill(tmp_path / "untrained", "a/train/1.off", "a/test/2.off", "b/test/3.off")
    with pytest.raises(ValueError, match=r"must have a training mesh, got none in .* of b; remove"):
        open_shapes(untrained)


def test_wrong_numbers_are_rejected(plain: Path) -> None:
    with pytest.raises(ValueError, match="num_per_class must be 1 or more, got 0; None takes all"):
        open_shapes(plain, num_per_class=0)
    with pytest.raises(ValueError, match=r"test_fraction must be in \[0, 1\)"):
        open_shapes(plain, test_fraction=1.5)
    with pytest.raises(ValueError, match="seed must be 0 or more, got -3"):
        open_shapes(plain, seed=-3)
