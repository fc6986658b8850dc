"""SHREC'17's files: official splits, labels of all forms, and reports of what is missing."""

import gzip
import zipfile
from pathlib import Path

import pytest

from deepsphere.data.shape_files import open_shapes
from deepsphere.data.shape_sources import MeshFile, ZipMember
from deepsphere.data.shrec17 import is_shrec17, read_shrec17

OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/2 3/3\n"
HEADER = "id,synsetId,subSynsetId,modelId,split"
ROWS = {
    "train": ["000007,03001627,03001627", "000002,02691156,02690373", "000003,03001627,04099969"],
    "val": ["000011,02691156,02691156"],
    "test": ["000021,03001627,04099969", "000022,02691156,02690373"],
}


def lines(split: str) -> list[str]:
    return [f"{row},{i:032x},{split}" for i, row in enumerate(ROWS[split])]


def write_models(folder: Path, split: str, *, pose: str = "perturbed", zipped: bool = True) -> None:
    ids = [row.split(",")[0] for row in ROWS[split]]
    if zipped:
        with zipfile.ZipFile(folder / f"{split}_{pose}.zip", "w") as archive:
            archive.writestr(f"{split}_{pose}/", "")
            for name in ids:
                archive.writestr(f"{split}_{pose}/{name}.obj", OBJ)
                archive.writestr(f"__MACOSX/{split}_{pose}/._{name}.obj", "resource fork")
    else:
        (folder / f"{split}_{pose}").mkdir(parents=True)
        for name in ids:
            (folder / f"{split}_{pose}" / f"{name}.obj").write_text(OBJ)
            (folder / f"{split}_{pose}" / f"{name}.mtl").write_text("")


def write_csv(folder: Path, split: str) -> None:
    (folder / f"{split}.csv").write_text("\n".join([HEADER, *lines(split)]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ROWS:
        write_models(tmp_path, split)
        write_csv(tmp_path, split)
    return tmp_path


def test_official_splits_labels_and_subcategories_are_read(folder: Path) -> None:
    assert is_shrec17(folder)
    splits = open_shapes(folder, seed=3, validation_fraction=0.5, test_fraction=0.1)
    assert splits.name == "shrec17"
    assert splits.classes == ("02691156", "03001627")
    train = [(shape.name, shape.label, shape.subcategory) for shape in splits.train.shapes]
    # in the order of the csv
    assert train == [
        ("000007", 1, "03001627"),
        ("000002", 0, "02690373"),
        ("000003", 1, "04099969"),
    ]
    assert [shape.name for shape in splits.validation.shapes] == ["000011"]
    assert splits.test.labels.tolist() == [1, 0]
    assert splits.notes == ()
    assert isinstance(splits.train.shapes[0].source, ZipMember)


def test_unpacked_folders_are_read_as_the_zips(folder: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    for split in ROWS:
        write_models(unpacked, split, zipped=False)
        write_csv(unpacked, split)
    one, other = open_shapes(folder), open_shapes(unpacked)
    for part in ("train", "validation", "test"):
        pairs = zip(getattr(one, part).shapes, getattr(other, part).shapes, strict=True)
        for packed, file in pairs:
            assert isinstance(file.source, MeshFile)
            assert (packed.name, packed.label) == (file.name, file.label)
            assert packed.digest() == file.digest()


def test_faces_with_broken_texture_indices_are_read(folder: Path) -> None:
    assert open_shapes(folder).train.shapes[0].read().faces.tolist() == [[0, 1, 2]]


def test_aligned_models_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    for split in ROWS:
        write_models(tmp_path, split, pose="normal")
        write_csv(tmp_path, split)
    assert "train_normal" in str(open_shapes(tmp_path).train.shapes[0].source)
    for split in ROWS:
        write_models(tmp_path, split)
    assert "train_perturbed" in str(open_shapes(tmp_path).train.shapes[0].source)


def test_labels_of_the_test_set_are_unknown_without_a_csv(folder: Path) -> None:
    (folder / "test.csv").unlink()
    test = open_shapes(folder).test
    assert [shape.name for shape in test.shapes] == ["000021", "000022"]
    assert test.labels.tolist() == [-1, -1]
    assert len(test.notes) == 1
    assert "no test.csv and no all.csv: the test labels are unknown" in test.notes[0]


@pytest.mark.parametrize("name", ["all.csv", "all.csv.gz"])
def test_table_of_the_evaluator_stands_in(folder: Path, name: str) -> None:
    expected = open_shapes(folder)
    text = "\n".join([HEADER, *lines("test"), *lines("val"), *lines("train")])
    for split in ROWS:
        (folder / f"{split}.csv").unlink()
    content = text.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert open_shapes(folder) == expected


def test_csv_of_other_programs_is_read(folder: Path) -> None:
    expected = open_shapes(folder)
    # a byte order mark, Windows line ends, other order, quotes, and lost leading zeros
    rows = [row.split(",") for row in ROWS["train"]]
    body = [f'"{synset}", {int(name)},{int(sub)}' for name, synset, sub in rows]
    text = "\r\n".join(["synsetId, id,subSynsetId", *body, ""])
    (folder / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert open_shapes(folder) == expected


def test_subcategories_may_be_absent(folder: Path) -> None:
    body = [",".join(row.split(",")[:2]) for row in ROWS["train"]]
    (folder / "train.csv").write_text("\n".join(["id,synsetId", *body]))
    shapes = open_shapes(folder).train.shapes
    assert [shape.subcategory for shape in shapes] == [None] * 3


def test_missing_and_unnamed_models_are_reported(folder: Path) -> None:
    with (folder / "train.csv").open("a") as file:
        file.write("000098,03001627,03001627,x,train\n000099,03001627,03001627,x,train\n")
    with zipfile.ZipFile(folder / "train_perturbed.zip", "a") as archive:
        archive.writestr("train_perturbed/000500.obj", OBJ)
    splits = open_shapes(folder)
    assert len(splits.train) == 3
    assert len(splits.notes) == 2
    assert "2 of the 5 models that" in splits.notes[0]
    assert "000098 for example" in splits.notes[0]
    assert "1 models in" in splits.notes[1]
    assert "000500 for example" in splits.notes[1]


def test_validation_is_drawn_where_its_models_are_absent(folder: Path) -> None:
    (folder / "val_perturbed.zip").unlink()
    assert set(read_shrec17(folder)) == {"train", "test"}
    splits = open_shapes(folder, validation_fraction=0.5, test_fraction=0.4)
    assert len(splits.train) + len(splits.validation) == 3
    assert len(splits.validation) == 1
    assert len(splits.test) == 2


def test_absent_test_models_leave_an_empty_set(folder: Path) -> None:
    (folder / "test_perturbed.zip").unlink()
    splits = open_shapes(folder)
    assert len(splits.test) == 0
    assert len(splits.train) == 3
    assert "has no test_perturbed.zip" in splits.notes[0]


def test_absent_files_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not is_shrec17(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"must hold train_perturbed\.zip or train_normal"):
        read_shrec17(tmp_path / "empty")
    (folder / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"val\.csv \(or all\.csv\) beside val_perturb"):
        open_shapes(folder)
    (folder / "train.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.csv \(or all\.csv\) beside the training"):
        open_shapes(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"columns id, synsetId.*got none named id, synsetId but an empty file"),
        ("number,kind\n1,2\n", r"got none named id, synsetId but number, kind; download it again"),
        ("id,modelId\n000007,2\n", "got none named synsetId but id, modelId"),
        (f"{HEADER}\n000007,,x,y,train\n", "name an id and a synset on every line.*line 2"),
        (f"{HEADER}\n000007\n", "name an id and a synset on every line.*line 2"),
        (f"{HEADER}\n000007,1,1,y,val\n", r"models of train only, got one of 'val' on line 2"),
        (f"{HEADER}\n000007,1,1,y,train\n7,1,1,y,train\n", "each model once, got 000007 twice"),
        (f"{HEADER}\n900000,03001627,1,y,train\n", "must name the models in .*got none of its 3"),
        (
            f"{HEADER}\n000007,03001627,1,y,train\n",
            r"must name the 1 categories.*02691156",
        ),
    ],
)
def test_broken_tables_are_rejected(folder: Path, content: str, message: str) -> None:
    (folder / "train.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        open_shapes(folder)


def test_files_that_are_no_tables_are_rejected(folder: Path) -> None:
    (folder / "train.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=r"train\.csv must be a csv file, got one that cannot"):
        open_shapes(folder)
    (folder / "train.csv").unlink()
    (folder / "all.csv.gz").write_bytes(gzip.compress(b"id,synsetId\n")[:-6])
    with pytest.raises(ValueError, match=r"all\.csv\.gz must be a csv file"):
        open_shapes(folder)


def test_folder_without_models_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "train_perturbed").mkdir()
    write_csv(tmp_path, "train")
    with pytest.raises(ValueError, match=r"train_perturbed must hold \.obj files, got none"):
        open_shapes(tmp_path)
