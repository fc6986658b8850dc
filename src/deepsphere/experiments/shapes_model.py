"""A trained classifier of shapes, with all that it takes to describe more of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError
from torch import nn

from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.data.meshes import MESH_SUFFIXES
from deepsphere.data.shape_files import open_shapes
from deepsphere.data.shape_sources import MeshFile
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.experiments.shapes_config import Perturbation, ShapesData
from deepsphere.experiments.shapes_data import open_splits, project_part
from deepsphere.experiments.trainable import experiment_of_metadata
from deepsphere.sampling import Sampling
from deepsphere.training import (
    ChannelScaling,
    Metadata,
    ShapeOutputs,
    compute_outputs,
    load,
    read_metadata,
)
from deepsphere.training.checkpoint import model_sampling
from deepsphere.training.progress import open_bar

Split = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True, eq=False)
class ShapesModel:
    """A classifier of shapes, from a checkpoint.

    Parameters
    ----------
    model
        With `describe` and `classify`.
    sampling
        Where it takes its signals.
    scaling
        Of their channels.
    classes
        Names of its outputs.
    data
        How its data were split, and how far shapes were moved.
    perturbation
        How its training shapes were moved.
    notes
        What had to be guessed.
    """

    model: nn.Module
    sampling: Sampling
    scaling: ChannelScaling
    classes: tuple[str, ...]
    data: ShapesData
    perturbation: Perturbation
    notes: tuple[str, ...] = ()

    def project(
        self,
        shapes: ShapeSet,
        *,
        perturbation: Perturbation | None = None,
        num_views: int | None = None,
        progress: bool = False,
    ) -> ProjectedShapes:
        """The signals of shapes, as the test shapes of its experiment are projected.

        Parameters
        ----------
        shapes
            At least one.
        perturbation
            How they are moved; None for as in training.
        num_views
            How often; None for as often as test shapes (once where nothing is moved).
        progress
            Whether to show a bar.

        Returns
        -------
        ProjectedShapes

        Raises
        ------
        ValueError
            If several views would all be the same, or no shape can be projected.
        """
        perturbation = perturbation or self.perturbation
        if perturbation == "none" and (num_views or 1) > 1:
            raise ValueError(
                f"views must be 1 unless shapes are moved, got {num_views}: they would all be the "
                "same; choose another perturbation"
            )
        if num_views is None:
            num_views = 1 if perturbation == "none" else self.data.test_views
        with open_bar(shown=progress) as bar:
            return project_part(
                shapes,
                self.sampling,
                self.data,
                part="test",
                perturbation=perturbation,
                num_views=num_views,
                bar=bar,
            )

    def describe(self, projected: ProjectedShapes, *, progress: bool = False) -> ShapeOutputs:
        """Logits and descriptors of all views.

        Parameters
        ----------
        projected
            See `project`.
        progress
            Whether to show a bar.

        Returns
        -------
        ShapeOutputs
        """
        return compute_outputs(self.model, projected, self.scaling, progress=progress)

    def knows_classes(self, shapes: ShapeSet) -> bool:
        """Whether the labels of shapes are the outputs of the model.

        Parameters
        ----------
        shapes
            Any.

        Returns
        -------
        bool
        """
        return shapes.classes == self.classes

    def check_classes(self, shapes: ShapeSet) -> None:
        """Raise unless the labels of shapes are the outputs of the model.

        Parameters
        ----------
        shapes
            Any.

        Raises
        ------
        ValueError
            If they are of other classes.
        """
        if not self.knows_classes(shapes):
            raise ValueError(
                f"data must hold shapes of the {len(self.classes)} classes of the checkpoint "
                f"({_shortened(self.classes)}), got {len(shapes.classes)} of {shapes.name} "
                f"({_shortened(shapes.classes)}); name the data of its training with --data"
            )


def open_shapes_model(checkpoint: Path) -> ShapesModel:
    """The classifier of shapes in a checkpoint.

    Parameters
    ----------
    checkpoint
        Written by training: ``model.ckpt``, or ``last.ckpt`` or ``best.ckpt`` beside it.

    Returns
    -------
    ShapesModel
        In evaluation mode.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is damaged, or no classifier of shapes.
    """
    metadata = read_metadata(checkpoint)
    if experiment_of_metadata(metadata) != "shapes" or metadata.class_names is None:
        raise ValueError(
            f"checkpoint must hold a classifier of shapes, got one of "
            f"{_shortened(metadata.class_names or ('nothing',))}; "
            "train one with  deepsphere train shapes"
        )
    model = load(checkpoint)
    sampling = model_sampling(model)
    if sampling is None or not hasattr(model, "describe"):
        raise ValueError(
            f"checkpoint must hold a classifier with descriptors, got {type(model).__name__}; "
            "train one with  deepsphere train shapes"
        )
    data, perturbation, notes = _training_of(metadata)
    return ShapesModel(
        model=model.eval(),
        sampling=sampling,
        scaling=ChannelScaling.from_values(metadata.normalization),
        classes=metadata.class_names,
        data=data,
        perturbation=perturbation,
        notes=notes,
    )


def open_part(
    model: ShapesModel, data: Path | None, split: Split | None = None
) -> tuple[ShapeSet, Split]:
    """Shapes to be described: those of a split, split as in training.

    Parameters
    ----------
    model
        With the fractions and the seed of the split.
    data
        Where the shapes lie. The meshes of a folder without sub-folders have no class, and are
        not split. None for procedural shapes.
    split
        Which of them; None for the test shapes, or all where they are not split.

    Returns
    -------
    shapes : ShapeSet
        Not empty.
    split : str
        Which they are.

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_shapes`; or if the split is unknown or empty, or data are not given for a model
        of other than procedural shapes.
    """
    if split not in (None, *get_args(Split)):
        raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
    if data is None:
        _check_procedural(model)
    loose = None if data is None else _loose_meshes(data, model.classes)
    if loose is not None:
        if split not in (None, "all"):
            raise ValueError(
                f"split must be all for a folder without a sub-folder for each class, got {split}"
            )
        return loose, "all"
    split = split or "test"
    splits = open_splits(model.data, data)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    chosen = [*parts.values()] if split == "all" else [parts[split]]
    shapes = ShapeSet(
        splits.name,
        splits.classes,
        tuple(shape for part in chosen for shape in part.shapes),
        splits.notes,
    )
    if not len(shapes):
        filled = [name for name, part in parts.items() if len(part)]
        raise ValueError(
            f"split must hold shapes, got {split}, which is empty; choose {' or '.join(filled)}"
        )
    return shapes, split


def _check_procedural(model: ShapesModel) -> None:
    """Raise unless the model has learned procedural shapes, which need no data."""
    procedural = open_shapes(None, num_per_class=3).classes
    if model.classes != procedural:
        raise ValueError(
            f"data must be given for a classifier of {_shortened(model.classes)}, got none; "
            "name the data of its training with --data"
        )


def _loose_meshes(folder: Path, classes: tuple[str, ...]) -> ShapeSet | None:
    """The meshes of a folder that has no sub-folders of meshes, all of unknown class."""
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    is_nested = any(
        name.lower().endswith(MESH_SUFFIXES)
        for path in files
        if path.is_dir()
        for _, _, names in os.walk(path)
        for name in names
    )
    meshes = [path for path in files if path.is_file() and path.suffix.lower() in MESH_SUFFIXES]
    if is_nested or not meshes:
        return None
    shapes = tuple(Shape(path.name, None, MeshFile(os.path.abspath(path))) for path in meshes)
    return ShapeSet(folder.resolve().name, classes, shapes)


def _training_of(metadata: Metadata) -> tuple[ShapesData, Perturbation, tuple[str, ...]]:
    """How data were split and moved in training, as far as the checkpoint says it."""
    training = metadata.training or {}
    perturbation: Perturbation = next(
        (word for word in get_args(Perturbation) if word == training.get("perturbation")), "so3"
    )
    try:
        section = ShapesData.model_validate(training["recipe"]["data"])
    except (KeyError, TypeError, ValidationError):
        note = (
            "The checkpoint does not say how its data were split and moved: they are split as by "
            "default, in all rotations, and test shapes may have been trained on. model.ckpt says "
            "it."
        )
        return ShapesData(), perturbation, (note,)
    return section, perturbation, ()


def _shortened(names: tuple[str, ...]) -> str:
    """The first names."""
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
