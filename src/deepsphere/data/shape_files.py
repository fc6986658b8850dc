"""Labelled shapes from folders and zips of mesh files, and from whatever a user points at."""

import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from deepsphere.data.meshes import MESH_SUFFIXES
from deepsphere.data.packed_meshes import read_packed_meshes
from deepsphere.data.procedural_shapes import make_procedural_shapes
from deepsphere.data.shape_sources import MeshFile, ZipMember, open_zip
from deepsphere.data.shapes import (
    Shape,
    ShapeSet,
    ShapeSource,
    ShapeSplits,
    check_fractions,
    split_shapes,
)
from deepsphere.data.shrec17 import is_shrec17, read_shrec17

NUM_PROCEDURAL = 40  # shapes of each family that `open_shapes` makes when nothing is said
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
WHAT_IS_READ = (
    "a folder (or zip) with one sub-folder of OFF, OBJ, PLY or STL files for each class, with or "
    "without train and test folders inside, as in ModelNet; a SHREC'17 folder with train.csv and "
    "train_perturbed.zip (or train_normal.zip, or the unpacked folder); an archive of packed "
    "meshes (.npz, .npz.xz)"
)


def open_shapes(
    source: str | os.PathLike[str] | None,
    *,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    num_per_class: int | None = None,
) -> ShapeSplits:
    """Shapes to learn from and to be judged by, from whatever lies at `source`.

    =========================================  =================================================
    what lies there                            splits
    =========================================  =================================================
    SHREC'17 folder (`read_shrec17`)           the official ones
    folder or zip, class/train and class/test  the official ones; validation is taken out of
    (ModelNet's layout)                        train where it has no folder of its own
    folder or zip, one sub-folder per class    `split_shapes`
    packed meshes, .npz or .npz.xz             `split_shapes`
    nothing (None): procedural shapes          `split_shapes`
    =========================================  =================================================

    Parameters
    ----------
    source
        A folder or a file; None makes procedural shapes, which need no data.
    seed
        Seed of the splits, of the choice of `num_per_class`, and of procedural shapes.
    validation_fraction
        Share to validate on (of the training shapes where the test shapes are given), for what
        has no validation shapes of its own.
    test_fraction
        Share to test on, for what has no test shapes of its own.
    num_per_class
        At most so many shapes of each class, chosen before the split, or in each of the official
        splits. None takes all, and makes 40 of each family of procedural shapes.

    Returns
    -------
    ShapeSplits
        Its `notes` say what was left out.

    Raises
    ------
    FileNotFoundError
        If nothing lies at `source`.
    ValueError
        If what lies there is none of the above or contradicts itself, or an argument is out of
        range.

    Examples
    --------
    >>> splits = open_shapes(None, num_per_class=10)
    >>> len(splits.classes), len(splits.train), len(splits.validation), len(splits.test)
    (12, 84, 12, 24)
    """
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    if num_per_class is not None and num_per_class < 1:
        raise ValueError(f"num_per_class must be 1 or more, got {num_per_class}; None takes all")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    if source is None:
        shapes = make_procedural_shapes(num_per_class=num_per_class or NUM_PROCEDURAL, seed=seed)
        parts = {"all": shapes}
    else:
        parts = _read_parts(Path(source))
    if num_per_class is not None:
        parts = {
            name: choose_per_class(shapes, num_per_class, seed=seed)
            for name, shapes in parts.items()
        }
    fractions = {"validation_fraction": validation_fraction, "test_fraction": test_fraction}
    if "all" in parts:
        return split_shapes(parts["all"], seed=seed, **fractions)
    validation, test = parts.get("validation"), parts.get("test")
    if validation is not None and test is not None:
        return ShapeSplits(parts["train"], validation, test)
    fractions["validation_fraction"] *= validation is None
    fractions["test_fraction"] *= test is None
    drawn = split_shapes(parts["train"], seed=seed, **fractions)
    # an empty set that was given (labels to come) is not replaced by a drawn one
    return ShapeSplits(
        drawn.train,
        drawn.validation if validation is None else validation,
        drawn.test if test is None else test,
    )


def read_shape_folder(path: str | os.PathLike[str]) -> ShapeSet:
    """Shapes of a folder, or of a zip of it, with one sub-folder for each class.

    A mesh belongs to the class whose sub-folder it lies in, at any depth. Its name is its path
    inside the folder. Hidden files are passed over; files of other types are counted in `notes`.
    A zip is read in place, nothing is unpacked to disk.

    Parameters
    ----------
    path
        The folder or the zip. A single folder around the folders of the classes is passed over.

    Returns
    -------
    ShapeSet
        Classes and shapes in the order of their names. Official splits are put together;
        `read_official_splits` keeps them apart.

    Raises
    ------
    FileNotFoundError
        If nothing lies there.
    ValueError
        If there is no mesh, a mesh lies beside the folders of the classes, or a class has none.
    """
    tree = _list_files(Path(path))
    return _make_set(tree, tree.meshes, [parts[0] for parts in tree.meshes])


def read_official_splits(path: str | os.PathLike[str]) -> dict[str, ShapeSet]:
    """Shapes of a folder, or of a zip of it, that come with splits, as those of ModelNet do.

    The layout is class/split/file, as in ModelNet, or split/class/file, where split is train,
    test, or val (or validation); upper and lower case are the same.

    Parameters
    ----------
    path
        The folder or the zip. A single folder around the others is passed over.

    Returns
    -------
    dict[str, ShapeSet]
        What is there of "train", "validation" and "test"; empty if there is no training folder.

    Raises
    ------
    FileNotFoundError
        If nothing lies there.
    ValueError
        If there is no mesh, or a class has no training mesh.

    References
    ----------
    Wu et al., "3D ShapeNets: a deep representation for volumetric shapes", CVPR 2015 (ModelNet).
    """
    tree = _list_files(Path(path))
    for split_place, class_place in ((1, 0), (0, 1)):
        splits = [
            SPLIT_FOLDERS.get(parts[split_place].lower()) if len(parts) > 2 else None
            for parts in tree.meshes
        ]
        if "train" in splits and None not in splits:
            classes = [parts[class_place] for parts in tree.meshes]
            whole = _make_set(tree, tree.meshes, classes)
            chosen = {
                split: whole.take([i for i, other in enumerate(splits) if other == split])
                for split in dict.fromkeys(splits)
                if split is not None
            }
            without = [
                whole.classes[label] for label in np.flatnonzero(chosen["train"].class_counts == 0)
            ]
            if without:
                raise ValueError(
                    f"every class must have a training mesh, got none in {tree.path} of "
                    f"{', '.join(without)}; remove the class or add meshes"
                )
            return chosen
    return {}


def choose_per_class(shapes: ShapeSet, num: int, *, seed: int) -> ShapeSet:
    """Set with at most so many shapes of each class, drawn by the seed.

    Parameters
    ----------
    shapes
        The shapes; those of unknown class count as a class of their own.
    num
        How many of each class at most, 1 or more.
    seed
        Seed of the draw.

    Returns
    -------
    ShapeSet
        In the order of `shapes`. A larger `num` adds shapes to those of a smaller one.
    """
    labels = shapes.labels
    order = np.random.default_rng(seed).permutation(len(shapes))
    chosen = [order[labels[order] == label][:num] for label in np.unique(labels)]
    return shapes.take(np.sort(np.concatenate(chosen))) if chosen else shapes


@dataclass(frozen=True)
class _Tree:
    """Files below a folder or in a zip, as tuples of the names on the way to them."""

    path: Path
    is_zip: bool
    prefix: tuple[str, ...]  # the single folder around the others, if there is one
    meshes: tuple[tuple[str, ...], ...]
    folders: frozenset[str]  # those at the top
    other_suffixes: Counter[str]

    def source(self, parts: tuple[str, ...]) -> ShapeSource:
        """Where the mesh with these names on its way lies."""
        member = "/".join((*self.prefix, *parts))
        if self.is_zip:
            return ZipMember(os.path.abspath(self.path), member)
        return MeshFile(os.path.join(os.path.abspath(self.path), *self.prefix, *parts))


def _list_files(path: Path) -> _Tree:
    """Meshes below a folder or in a zip, without hidden files, sorted; at least one."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give {WHAT_IS_READ}")
    is_zip = path.is_file()
    if is_zip:
        names = open_zip(path).namelist()
        files = [PurePosixPath(name).parts for name in names if not name.endswith("/")]
        folders = [PurePosixPath(name).parts for name in names if name.endswith("/")]
    else:
        files, folders = [], []
        for folder, _, inside in os.walk(path, followlinks=True):
            parts = Path(folder).relative_to(path).parts
            folders.append(parts)
            files.extend((*parts, name) for name in inside)
    # __MACOSX: what the archiver of macOS adds, in ModelNet40.zip too
    files = sorted(p for p in files if not any(n.startswith((".", "__MACOSX")) for n in p))
    meshes = [p for p in files if p[-1].lower().endswith(MESH_SUFFIXES)]
    others = Counter(PurePosixPath(p[-1]).suffix.lower() or p[-1] for p in files)
    for suffix in MESH_SUFFIXES:
        others.pop(suffix, None)
    if not meshes:
        found = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5))
        raise ValueError(
            f"{path} must hold OFF, OBJ, PLY or STL files, got {found or 'nothing'}; "
            f"give {WHAT_IS_READ}"
        )
    prefix = _common_prefix(meshes)
    depth = len(prefix)
    tops = {
        p[depth]
        for p in [*folders, *(p[:-1] for p in meshes)]
        if p[:depth] == prefix and len(p) > depth
    }
    shown = frozenset(name for name in tops if not name.startswith((".", "__MACOSX")))
    return _Tree(path, is_zip, prefix, tuple(p[depth:] for p in meshes), shown, others)


def _common_prefix(meshes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Folders that hold nothing but the folder which holds everything."""
    depth = 0
    while (
        len({parts[depth] for parts in meshes}) == 1
        and all(len(parts) > depth + 2 for parts in meshes)
        and not all(parts[depth + 1].lower() in SPLIT_FOLDERS for parts in meshes)
        and not all(parts[depth].lower() in SPLIT_FOLDERS for parts in meshes)
    ):
        depth += 1
    return meshes[0][:depth]


def _make_set(tree: _Tree, meshes: Sequence[tuple[str, ...]], classes: Sequence[str]) -> ShapeSet:
    """Set of these meshes, of which each one is of that class."""
    loose = ["/".join(parts) for parts in meshes if len(parts) < 2]
    if loose:
        raise ValueError(
            f"{tree.path} must hold one sub-folder for each class, got {len(loose)} meshes beside "
            f"the sub-folders, {loose[0]} for example; put each into the folder of its class"
        )
    names = sorted(set(classes))
    splits = {name for name in tree.folders if name.lower() in SPLIT_FOLDERS}
    empty = sorted(tree.folders - set(names) - splits)
    if empty:
        raise ValueError(
            f"every class must have a mesh, got none in the sub-folders {', '.join(empty)} of "
            f"{tree.path}; remove them or add OFF, OBJ, PLY or STL files"
        )
    index = {name: label for label, name in enumerate(names)}
    shapes = tuple(
        Shape("/".join(parts), index[name], tree.source(parts))
        for parts, name in zip(meshes, classes, strict=True)
    )
    notes = ()
    if tree.other_suffixes:
        kinds = ", ".join(f"{count} {kind}" for kind, count in tree.other_suffixes.most_common(5))
        notes = (f"Files in {tree.path} that are no meshes were left out: {kinds}.",)
    title = tree.prefix[-1] if tree.prefix else Path(os.path.abspath(tree.path)).stem
    return ShapeSet(title, tuple(names), shapes, notes)


def _read_parts(path: Path) -> dict[str, ShapeSet]:
    """Official splits of what lies there, or "all" of it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give {WHAT_IS_READ}")
    if path.is_dir():
        if is_shrec17(path):
            return read_shrec17(path)
    elif path.name.endswith((".npz", ".npz.xz")):
        return {"all": read_packed_meshes(path)}
    elif path.suffix.lower() != ".zip" and not zipfile.is_zipfile(path):
        raise ValueError(
            f"source must be a folder, a zip or an archive of meshes, got {path}; "
            f"give {WHAT_IS_READ}"
        )
    return read_official_splits(path) or {"all": read_shape_folder(path)}
