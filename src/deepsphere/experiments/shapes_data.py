"""The shapes of the experiment, and their signals on a sampling."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.progress import Progress

from deepsphere.data.mesh_projection import ProjectedShapes, ProjectionReport, project_shapes
from deepsphere.data.shape_files import open_shapes
from deepsphere.data.shapes import ShapeSet, ShapeSplits
from deepsphere.experiments.shapes_config import Perturbation, ShapesData
from deepsphere.sampling import Sampling
from deepsphere.training.progress import open_bar

# The digest of a mesh needs all of its file: of larger sets, names and classes have to do.
_MOST_DIGESTED = 10_000
Part = Literal["train", "validation", "test"]
# what is chosen on must not be the rotations that are learned or scored
_SEED_OFFSETS: dict[Part, int] = {"train": 0, "validation": 1, "test": 2}


def open_splits(section: ShapesData, data: Path | None) -> ShapeSplits:
    """The shapes of a recipe, split.

    Parameters
    ----------
    section
        How.
    data
        Where they lie; procedural shapes if there is no place.

    Returns
    -------
    ShapeSplits

    Raises
    ------
    ValueError, FileNotFoundError
        See `open_shapes`.
    """
    return open_shapes(
        data,
        seed=section.split_seed,
        validation_fraction=section.validation_fraction,
        test_fraction=section.test_fraction,
        num_per_class=section.num_per_class,
    )


def digest_of_shapes(splits: ShapeSplits) -> str:
    """A short hash of all shapes: of their names, classes and, up to 10,000 of them, contents.

    Parameters
    ----------
    splits
        The data.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    parts = (splits.train, splits.validation, splits.test)
    is_small = sum(map(len, parts)) <= _MOST_DIGESTED
    digest = hashlib.sha256(repr(splits.classes).encode())
    for part in parts:
        for shape in part.shapes:
            content = shape.digest() if is_small else ""
            digest.update(repr((shape.name, shape.label, content)).encode())
        digest.update(b"/")
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class SplitSignals:
    """The signals of one network under one protocol.

    Parameters
    ----------
    train, validation
        Moved as in training.
    tests
        By how the test shapes (or those that are scored in their place) are moved.
    scored
        All shapes that are scored, those that could not be projected among them.
    """

    train: ProjectedShapes
    validation: ProjectedShapes | None
    tests: Mapping[Perturbation, ProjectedShapes]
    scored: ShapeSet

    @property
    def reports(self) -> dict[str, ProjectionReport]:
        """What happened when they were projected, by part."""
        parts = {"train": self.train, "validation": self.validation}
        parts |= {f"test, {name}": projected for name, projected in self.tests.items()}
        return {name: part.report for name, part in parts.items() if part is not None}


def project_splits(
    splits: ShapeSplits,
    sampling: Sampling,
    section: ShapesData,
    *,
    train: Perturbation,
    tests: tuple[Perturbation, ...],
    progress: bool,
) -> SplitSignals:
    """The signals of training, validation and test shapes; those in the cache are not cast again.

    Parameters
    ----------
    splits
        The shapes.
    sampling
        Where.
    section
        How many views, and how far they are moved.
    train, tests
        How training and validation shapes are moved, and in which ways the scored ones are.
    progress
        Show a bar.

    Returns
    -------
    SplitSignals
    """
    scored = splits.test if section.scored_on == "test" else splits.validation
    with open_bar(shown=progress) as bar:

        def project(
            part: Part, shapes: ShapeSet, perturbation: Perturbation, num_views: int
        ) -> ProjectedShapes:
            return project_part(
                shapes,
                sampling,
                section,
                part=part,
                perturbation=perturbation,
                num_views=num_views,
                bar=bar,
            )

        validation = splits.validation
        return SplitSignals(
            train=project("train", splits.train, train, section.num_views),
            validation=project("validation", validation, train, 1) if len(validation) else None,
            tests={test: project("test", scored, test, section.test_views) for test in tests},
            scored=scored,
        )


def project_part(
    shapes: ShapeSet,
    sampling: Sampling,
    section: ShapesData,
    *,
    part: Part,
    perturbation: Perturbation,
    num_views: int,
    bar: Progress,
) -> ProjectedShapes:
    """The signals of some shapes, with rotations and translations that no other part has.

    Parameters
    ----------
    shapes
        At least one.
    sampling
        Where.
    section
        With the seed and how far they are moved.
    part
        As what they are used.
    perturbation, num_views
        How they are moved, and how often.
    bar
        Advances with the shapes.

    Returns
    -------
    ProjectedShapes
    """
    task = bar.add_task(f"casting rays, {part}, {sampling.spec}", total=len(shapes))
    return project_shapes(
        shapes,
        sampling,
        perturbation=perturbation,
        max_translation=section.max_translation,
        num_views=num_views,
        seed=section.split_seed + _SEED_OFFSETS[part],
        advance=lambda: bar.advance(task),
    )
