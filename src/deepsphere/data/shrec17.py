"""SHREC'17: 51,300 models of 55 categories of ShapeNet, with official splits, as published."""

import csv
import gzip
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepsphere.data.shape_sources import MeshFile, ZipMember, open_zip
from deepsphere.data.shapes import Shape, ShapeSet, ShapeSource

# name of each split in the files, and here
SPLITS = {"train": "train", "val": "validation", "test": "test"}
# the poses in which the models were published, the one of the protocol first
POSES = ("perturbed", "normal")
COLUMNS = ("id", "synsetId", "subSynsetId", "modelId", "split")
REQUIRED_COLUMNS = ("id", "synsetId")
ID_LENGTH, SYNSET_LENGTH = 6, 8  # digits, with leading zeros


def is_shrec17(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds training models in the layout of SHREC'17, labels or not.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    bool
        True if it holds train_perturbed or train_normal, as a folder or as a zip.
    """
    return any(_find_models(Path(folder), "train", pose) is not None for pose in POSES)


def read_shrec17(folder: str | os.PathLike[str]) -> dict[str, ShapeSet]:
    """The three official splits of SHREC'17, from the published files.

    The folder holds `train_perturbed.zip`, `val_perturbed.zip` and `test_perturbed.zip` (models
    in random poses), or the same with `_normal` (aligned models), or these unpacked; and
    `train.csv`, `val.csv` and, where it was made, `test.csv`. The evaluator's `all.csv` (or
    `all.csv.gz`), which names all splits, stands in for those that are absent: the labels of the
    test set are published there only. The columns are id (six digits, the name of the .obj
    file), synsetId (the category), subSynsetId (the subcategory, which may be absent), modelId
    and split; quoted or not, in any order.

    Classes are the sorted synsets of the training labels, 55 in the published files. A shape is
    named after its id, and its `subcategory` is its subSynsetId; the order is that of the csv, on
    which the retrieval score NDCG depends (`tasks.retrieval_scores`).

    Parameters
    ----------
    folder
        The folder with these files.

    Returns
    -------
    dict[str, ShapeSet]
        "train", "test", and "validation" if its models are there. Without labels, the shapes of
        "test" have the label None; without models, it is empty. `notes` say so, and how many
        models that a csv names are missing, and how many it does not name.

    Raises
    ------
    FileNotFoundError
        If there are no training models or no training labels.
    ValueError
        If a csv lacks a column, names a model twice or a category that is not in training, or
        names none of the models.

    References
    ----------
    Savva et al., "SHREC'17 track: large-scale 3D shape retrieval from ShapeNet Core55", 3DOR 2017.
    """
    folder = Path(folder)
    pose = next((pose for pose in POSES if _find_models(folder, "train", pose)), None)
    if pose is None:
        raise FileNotFoundError(
            f"{folder} must hold train_perturbed.zip or train_normal.zip, or one of them "
            "unpacked, got neither"
        )
    tables = {split: _read_labels(folder, split) for split in SPLITS}
    if tables["train"] is None:
        raise FileNotFoundError(
            f"{folder} must hold train.csv (or all.csv) beside the training models, got neither"
        )
    classes = tuple(sorted({row.synset for row in tables["train"].rows.values()}))
    sets = {}
    for split, name in SPLITS.items():
        models = _find_models(folder, split, pose)
        if models is not None:
            sets[name] = _make_set(models, tables[split], classes, split=split)
    if "test" not in sets:
        note = f"{folder} has no test_{pose}.zip: there is no shape to test on."
        sets["test"] = ShapeSet("shrec17", classes, (), (note,))
    return sets


@dataclass(frozen=True)
class _Row:
    """What a csv says of a model."""

    synset: str
    subsynset: str | None


@dataclass(frozen=True)
class _Labels:
    """What a csv says of the models of a split, by their ids."""

    path: Path
    rows: dict[str, _Row]


def _find_models(folder: Path, split: str, pose: str) -> Path | None:
    """Folder or zip of the models of a split, if it is there."""
    for name in (f"{split}_{pose}", f"{split}_{pose}.zip"):
        if (folder / name).exists():
            return folder / name
    return None


def _read_labels(folder: Path, split: str) -> _Labels | None:
    """Labels of a split, from its own csv or from that of all splits."""
    for name in (f"{split}.csv", "all.csv", "all.csv.gz"):
        path = folder / name
        if path.exists():
            rows = _read_rows(path, split)
            if rows or name == f"{split}.csv":
                return _Labels(path, rows)
    return None


def _read_rows(path: Path, split: str) -> dict[str, _Row]:
    """Rows of a csv that belong to the split, by the id of the model."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} must be a csv file, got one that cannot be read ({error})"
        ) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    header = [(name or "").strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(COLUMNS)}, got none named "
            f"{', '.join(missing)} but {', '.join(header) or 'an empty file'}; "
            "download it again"
        )
    rows: dict[str, _Row] = {}
    for row in reader:
        values = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
        if not values["id"] or not values["synsetId"]:
            raise ValueError(
                f"{path} must name an id and a synset on every line, got neither or one on line "
                f"{reader.line_num}; download it again"
            )
        if values.get("split", split) != split:
            if path.name.startswith("all."):
                continue
            raise ValueError(
                f"{path} must hold models of {split} only, got one of {values['split']!r} on line "
                f"{reader.line_num}; is it the csv of another split?"
            )
        name = values["id"].zfill(ID_LENGTH)
        if name in rows:
            raise ValueError(f"{path} must name each model once, got {name} twice")
        subsynset = values.get("subSynsetId") or None
        rows[name] = _Row(
            values["synsetId"].zfill(SYNSET_LENGTH),
            None if subsynset is None else subsynset.zfill(SYNSET_LENGTH),
        )
    return rows


def _list_models(models: Path) -> dict[str, ShapeSource]:
    """Where each model of a folder or zip lies, by its id."""
    if models.is_dir():
        files = sorted(models.rglob("*.obj"))
        return {file.stem.zfill(ID_LENGTH): MeshFile(os.path.abspath(file)) for file in files}
    archive = os.path.abspath(models)
    names = [PurePosixPath(name) for name in open_zip(models).namelist()]
    return {
        name.stem.zfill(ID_LENGTH): ZipMember(archive, str(name))
        for name in sorted(names)
        if name.suffix == ".obj" and not name.name.startswith(".")
    }


def _make_set(
    models: Path, labels: _Labels | None, classes: tuple[str, ...], *, split: str
) -> ShapeSet:
    """Shapes of a split, with the labels that its csv gives."""
    sources = _list_models(models)
    if not sources:
        raise ValueError(f"{models} must hold .obj files, got none; unpack or download it again")
    if labels is None:
        if split != "test":
            raise FileNotFoundError(
                f"{models.parent} must hold {split}.csv (or all.csv) beside {models.name}, "
                "got neither"
            )
        note = f"{models.parent} has no test.csv and no all.csv: the test labels are unknown."
        shapes = tuple(Shape(name, None, source) for name, source in sources.items())
        return ShapeSet("shrec17", classes, shapes, (note,))
    index = {name: label for label, name in enumerate(classes)}
    unknown = sorted({row.synset for row in labels.rows.values()} - set(classes))
    if unknown:
        raise ValueError(
            f"{labels.path} must name the {len(classes)} categories of training only, got "
            f"{', '.join(unknown)}"
        )
    named = [name for name in labels.rows if name in sources]
    if not named:
        raise ValueError(
            f"{labels.path} must name the models in {models}, got none of its {len(sources)}, "
            f"{next(iter(sources))} for example"
        )
    shapes = tuple(
        Shape(
            name,
            index[labels.rows[name].synset],
            sources[name],
            subcategory=labels.rows[name].subsynset,
        )
        for name in named
    )
    return ShapeSet("shrec17", classes, shapes, _notes(models, labels, sources=list(sources)))


def _notes(models: Path, labels: _Labels, *, sources: Sequence[str]) -> tuple[str, ...]:
    """Sentences on models without a label and labels without a model."""
    absent = sorted(labels.rows.keys() - set(sources))
    unnamed = sorted(set(sources) - labels.rows.keys())
    notes = []
    if absent:
        notes.append(
            f"{len(absent)} of the {len(labels.rows)} models that {labels.path} names are missing "
            f"in {models}, {absent[0]} for example."
        )
    if unnamed:
        notes.append(
            f"{len(unnamed)} models in {models} were left out, because {labels.path} does not "
            f"name them, {unnamed[0]} for example."
        )
    return tuple(notes)
