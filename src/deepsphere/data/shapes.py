"""Labelled 3D shapes as values: where a mesh lies, one shape, a set of them, and its splits."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

if TYPE_CHECKING:
    from trimesh import Trimesh

UNKNOWN_LABEL = -1  # stands in arrays of labels for a shape whose class is not known


@runtime_checkable
class ShapeSource(Protocol):
    """Where the mesh of a shape comes from: small, picklable, read when it is asked for."""

    def read(self) -> "Trimesh":
        """Raw mesh; raises `data.meshes.MeshError` where there is none."""
        ...

    def digest(self) -> str:
        """Hexadecimal hash of what `read` depends on."""
        ...


@dataclass(frozen=True)
class Shape:
    """One labelled shape, whose mesh is read when it is asked for.

    A shape is a few strings and numbers, whatever the size of its mesh, so that a list of
    thousands goes to a worker process at no cost (a mesh given as arrays is the exception).

    Parameters
    ----------
    name
        Name, unique in its set: the identifier of a retrieval list, or the path in a folder.
    label
        Index of its class; None where it is unknown, as in the test set of SHREC'17.
    source
        Where its mesh comes from: one of `data.shape_sources`.
    subcategory
        Finer class, for the graded relevance of the retrieval score NDCG; None where there is
        none.

    Raises
    ------
    ValueError
        If the name is empty or the label negative.

    Examples
    --------
    >>> from deepsphere.data.shape_sources import MeshFile
    >>> Shape("chair_1", 3, MeshFile("chairs/chair_1.off")).label
    3
    """

    name: str
    label: int | None
    source: ShapeSource
    subcategory: str | None = None

    def __post_init__(self) -> None:
        """Check the rules of the class."""
        if not self.name:
            raise ValueError("name must not be empty, got ''; name the shape after its file")
        if self.label is not None and self.label < 0:
            raise ValueError(
                f"label must be 0 or more, got {self.label} for shape {self.name!r}; "
                "use None where the class is unknown"
            )

    def read(self) -> "Trimesh":
        """Raw mesh of the shape, as it lies in its source: not cleaned, centred or scaled.

        Returns
        -------
        trimesh.Trimesh
            Vertices and triangles.

        Raises
        ------
        deepsphere.data.meshes.MeshError
            If the file cannot be read or holds no triangle.
        """
        return self.source.read()

    def digest(self) -> str:
        """Hash of the content of the mesh (bytes of its file, or its arrays), for caches.

        Returns
        -------
        str
            Hexadecimal; equal for equal content, whatever the name of the shape.
        """
        return self.source.digest()


@dataclass(frozen=True)
class ShapeSet:
    """Shapes of several classes.

    Parameters
    ----------
    name
        Name of the set, for tables and reports.
    classes
        Name of each class, all different.
    shapes
        The shapes, with unique names and labels in [0, number of classes).
    notes
        What was left out or corrected when the set was read, one sentence each.

    Raises
    ------
    ValueError
        If there is no class, a class or the name of a shape is repeated, or a label is out of
        range.

    Examples
    --------
    >>> from deepsphere.data.shape_sources import MeshFile
    >>> shapes = [Shape(f"{i}", i % 2, MeshFile(f"{i}.off")) for i in range(4)]
    >>> pairs = ShapeSet("pairs", ("box", "cone"), tuple(shapes))
    >>> len(pairs), pairs.labels, pairs.take([3, 0]).shapes[0].name
    (4, array([0, 1, 0, 1]), '3')
    """

    name: str
    classes: tuple[str, ...]
    shapes: tuple[Shape, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the rules of the class."""
        if not self.classes:
            raise ValueError("classes must name at least one class, got none")
        _check_different("classes", self.classes)
        _check_different("names of shapes", (shape.name for shape in self.shapes))
        for shape in self.shapes:
            if shape.label is not None and shape.label >= len(self.classes):
                raise ValueError(
                    f"labels must be in [0, {len(self.classes)}), the number of classes, "
                    f"got {shape.label} for shape {shape.name!r}"
                )

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.shapes)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def labels(self) -> Int[np.ndarray, "shapes"]:
        """Label of each shape, −1 where it is unknown: int64, shape (shapes,)."""
        return np.array(
            [UNKNOWN_LABEL if shape.label is None else shape.label for shape in self.shapes],
            np.int64,
        )

    @property
    def class_counts(self) -> Int[np.ndarray, "classes"]:
        """Number of shapes of each class, those of unknown class left out: shape (classes,)."""
        labels = self.labels
        return np.bincount(labels[labels != UNKNOWN_LABEL], minlength=self.num_classes)

    def take(self, indices: Sequence[int] | Int[np.ndarray, "chosen"]) -> "ShapeSet":
        """Set of the shapes with these indices, in that order.

        Parameters
        ----------
        indices
            Each in [0, number of shapes), without repetition.

        Returns
        -------
        ShapeSet
            Of the same name and classes.
        """
        return replace(self, shapes=tuple(self.shapes[int(index)] for index in indices))


@dataclass(frozen=True)
class ShapeSplits:
    """Shapes to learn from, to make choices with, and to be judged by.

    Parameters
    ----------
    train
        What a network learns from: not empty, every shape of known class.
    validation
        What choices are made with.
    test
        What the final numbers are computed on, and nothing else.

    Raises
    ------
    ValueError
        If the sets differ in classes, a shape is in two of them, a training or validation label
        is unknown, or there is no training shape.

    Examples
    --------
    >>> from deepsphere.data.shape_sources import MeshFile
    >>> shapes = [Shape(f"{i}", 0, MeshFile(f"{i}.off")) for i in range(3)]
    >>> parts = [ShapeSet("boxes", ("box",), (shape,)) for shape in shapes]
    >>> ShapeSplits(*parts).classes
    ('box',)
    """

    train: ShapeSet
    validation: ShapeSet
    test: ShapeSet

    def __post_init__(self) -> None:
        """Check that the sets belong together."""
        for name, part in (("validation", self.validation), ("test", self.test)):
            if part.classes != self.train.classes:
                raise ValueError(
                    f"train and {name} must have the same classes, got {self.train.num_classes} "
                    f"and {part.num_classes}: {_difference(self.train.classes, part.classes)}"
                )
        if not self.train.shapes:
            raise ValueError("train must hold at least one shape, got none")
        for name, part in (("train", self.train), ("validation", self.validation)):
            num_unknown = int((part.labels == UNKNOWN_LABEL).sum())
            if num_unknown:
                raise ValueError(
                    f"{name} must hold shapes of known class only, got {num_unknown} of "
                    f"{len(part)} without a label"
                )
        counts = Counter(
            shape.name for part in (self.train, self.validation, self.test) for shape in part.shapes
        )
        shared = sorted(name for name, count in counts.items() if count > 1)
        if shared:
            raise ValueError(
                f"train, validation and test must share no shape, got {len(shared)} in two of "
                f"them, {shared[0]!r} for example"
            )

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.train.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.train.classes

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or corrected when the sets were read, one sentence each."""
        parts = (self.train, self.validation, self.test)
        return tuple(dict.fromkeys(note for part in parts for note in part.notes))


def split_shapes(
    shapes: ShapeSet, *, validation_fraction: float, test_fraction: float, seed: int
) -> ShapeSplits:
    """Shapes parted in three, every class in its proportion.

    Within a class of n shapes, n·test_fraction of them, rounded to the nearest whole (halves up),
    are drawn for testing, then n·validation_fraction for validation, and the others are for
    training. A class that is too small for that keeps at least one training shape: validation
    gives its shapes back first, then testing. The draw depends on the seed, on the labels and on
    the *names* of the shapes, not on their order, and a class draws on its own: adding a class
    leaves the splits of the others as they are.

    Parameters
    ----------
    shapes
        Shapes of known class.
    validation_fraction
        Share of each class to validate on, in [0, 1).
    test_fraction
        Share of each class to test on, in [0, 1); both together below 1.
    seed
        Seed of the draw, 0 or more.

    Returns
    -------
    ShapeSplits
        Disjoint, together all shapes, each in the order of `shapes`.

    Raises
    ------
    ValueError
        If a fraction or the seed is out of range, a class has no shape, or the class of a shape is
        unknown.

    Examples
    --------
    >>> from deepsphere.data.shape_sources import MeshFile
    >>> shapes = [Shape(f"{i}", i % 2, MeshFile(f"{i}.off")) for i in range(20)]
    >>> pairs = ShapeSet("pairs", ("box", "cone"), tuple(shapes))
    >>> parts = split_shapes(pairs, validation_fraction=0.1, test_fraction=0.2, seed=0)
    >>> parts.train.class_counts, parts.validation.class_counts, parts.test.class_counts
    (array([7, 7]), array([1, 1]), array([2, 2]))
    """
    check_fractions(validation_fraction=validation_fraction, test_fraction=test_fraction)
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    labels = shapes.labels
    if (labels == UNKNOWN_LABEL).any():
        raise ValueError(
            "shapes must all be of known class to be split, got "
            f"{int((labels == UNKNOWN_LABEL).sum())} of {len(shapes)} without a label"
        )
    empty = [shapes.classes[label] for label in np.flatnonzero(shapes.class_counts == 0)]
    if empty:
        raise ValueError(
            f"every class must have at least one shape, got none of {', '.join(empty)}; "
            "leave the class out"
        )
    parts = np.zeros(len(shapes), np.int64)  # 0: training, 1: validation, 2: testing
    for label, class_name in enumerate(shapes.classes):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort([shapes.shapes[index].name for index in members])]
        order = _class_generator(seed, class_name).permutation(members)
        num_test = min(_round_half_up(len(members) * test_fraction), len(members) - 1)
        num_validation = min(
            _round_half_up(len(members) * validation_fraction), len(members) - 1 - num_test
        )
        parts[order[:num_test]] = 2
        parts[order[num_test : num_test + num_validation]] = 1
    return ShapeSplits(*(shapes.take(np.flatnonzero(parts == part)) for part in range(3)))


def check_fractions(*, validation_fraction: float, test_fraction: float) -> None:
    """Raise unless both fractions are in [0, 1) and leave something to learn from.

    Parameters
    ----------
    validation_fraction
        Share to validate on.
    test_fraction
        Share to test on.

    Raises
    ------
    ValueError
        If one is out of range, or their sum is not below 1.
    """
    for name, fraction in (
        ("validation_fraction", validation_fraction),
        ("test_fraction", test_fraction),
    ):
        if not 0 <= fraction < 1:
            raise ValueError(f"{name} must be in [0, 1), got {fraction}")
    if validation_fraction + test_fraction >= 1:
        raise ValueError(
            "validation_fraction and test_fraction must sum to less than 1, so that training "
            f"shapes are left, got {validation_fraction} + {test_fraction}"
        )


def _class_generator(seed: int, class_name: str) -> np.random.Generator:
    """Generator that depends on the seed and on the name of the class alone."""
    return np.random.default_rng([seed, *class_name.encode()])


def _round_half_up(number: float) -> int:
    """Nearest whole number; the larger of two that are equally near (up to rounding errors)."""
    return int(np.floor(number + 0.5 + 1e-9))


def _check_different(what: str, names: Iterable[str]) -> None:
    """Raise when a name is there twice."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{what} must be different, got {len(repeated)} more than once, "
            f"{repeated[0]!r} for example"
        )


def _difference(first: tuple[str, ...], second: tuple[str, ...]) -> str:
    """Where two tuples of classes differ, in words."""
    missing = [name for name in first if name not in second]
    added = [name for name in second if name not in first]
    if not missing and not added:
        return "the same names in another order"
    parts = [f"{', '.join(missing)} only in the first"] * bool(missing)
    return " and ".join([*parts, *[f"{', '.join(added)} only in the second"] * bool(added)])
