"""Shapes, sets and splits: their rules, and what a split depends on."""

import pickle

import numpy as np
import pytest

from deepsphere.data.shape_sources import MeshFile
from deepsphere.data.shapes import Shape, ShapeSet, ShapeSource, ShapeSplits, split_shapes

CLASSES = ("box", "cone", "ring")


def make_set(counts: list[int], *, name: str = "set", prefix: str = "") -> ShapeSet:
    shapes = tuple(
        Shape(f"{prefix}{CLASSES[label]}_{i}", label, MeshFile(f"{label}/{i}.off"))
        for label, count in enumerate(counts)
        for i in range(count)
    )
    return ShapeSet(name, CLASSES[: len(counts)], shapes)


def names(shapes: ShapeSet) -> set[str]:
    return {shape.name for shape in shapes.shapes}


def test_labels_and_counts_of_a_set() -> None:
    shapes = make_set([2, 0, 1])
    assert shapes.labels.dtype == np.int64
    assert shapes.labels.tolist() == [0, 0, 2]
    assert shapes.class_counts.tolist() == [2, 0, 1]
    unknown = ShapeSet("set", CLASSES, (*shapes.shapes, Shape("x", None, MeshFile("x.off"))))
    assert unknown.labels.tolist() == [0, 0, 2, -1]
    assert unknown.class_counts.tolist() == [2, 0, 1]


def test_take_keeps_order_name_and_notes() -> None:
    shapes = ShapeSet("set", CLASSES, make_set([3]).shapes, ("one file was left out",))
    taken = shapes.take(np.array([2, 0]))
    assert [shape.name for shape in taken.shapes] == ["box_2", "box_0"]
    assert (taken.name, taken.classes, taken.notes) == (shapes.name, CLASSES, shapes.notes)


def test_shapes_travel_to_other_processes_at_no_cost() -> None:
    splits = split_shapes(make_set([400, 400]), validation_fraction=0.1, test_fraction=0.2, seed=0)
    content = pickle.dumps(splits)
    assert pickle.loads(content) == splits
    assert len(content) < 100 * 800
    assert isinstance(splits.train.shapes[0].source, ShapeSource)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("fractions", [(0.1, 0.2), (0.0, 0.5), (0.3, 0.0), (0.3, 0.5)])
def test_split_parts_every_class_in_proportion(seed: int, fractions: tuple[float, float]) -> None:
    shapes = make_set([40, 7, 20])
    splits = split_shapes(
        shapes, validation_fraction=fractions[0], test_fraction=fractions[1], seed=seed
    )
    parts = [splits.train, splits.validation, splits.test]
    assert sum(map(len, parts)) == len(shapes)
    assert set.union(*map(names, parts)) == names(shapes)
    for label, count in enumerate([40, 7, 20]):
        for part, fraction in zip(parts[1:], fractions, strict=True):
            assert abs(part.class_counts[label] - fraction * count) <= 0.5 + 1e-9
        assert splits.train.class_counts[label] >= 1
    for part in parts:
        places = [shapes.shapes.index(shape) for shape in part.shapes]
        assert places == sorted(places)


@pytest.mark.parametrize("count", range(1, 8))
def test_small_classes_keep_a_training_shape(count: int) -> None:
    splits = split_shapes(make_set([count]), validation_fraction=0.3, test_fraction=0.6, seed=0)
    sizes = len(splits.train), len(splits.validation), len(splits.test)
    test = min(int(0.6 * count + 0.5), count - 1)
    assert sizes[0] >= 1
    assert sizes[2] == test
    assert sizes[1] == min(int(0.3 * count + 0.5), count - 1 - test)


def test_split_is_a_function_of_the_seed_and_the_names() -> None:
    shapes = make_set([30, 30])
    options = {"validation_fraction": 0.2, "test_fraction": 0.2}
    first = split_shapes(shapes, seed=1, **options)
    assert split_shapes(shapes, seed=1, **options) == first
    assert names(split_shapes(shapes, seed=2, **options).test) != names(first.test)
    backwards = shapes.take(np.arange(60)[::-1])
    assert names(split_shapes(backwards, seed=1, **options).test) == names(first.test)


def test_another_class_leaves_the_split_of_the_others() -> None:
    options = {"validation_fraction": 0.2, "test_fraction": 0.3, "seed": 4}
    two = split_shapes(make_set([20, 20]), **options)
    three = split_shapes(make_set([20, 20, 20]), **options)
    assert names(two.test) == {name for name in names(three.test) if "ring" not in name}


def test_wrong_shapes_are_rejected() -> None:
    with pytest.raises(ValueError, match="name must not be empty"):
        Shape("", 0, MeshFile("x.off"))
    with pytest.raises(ValueError, match=r"label must be 0 or more, got -1 for shape 'x'.*None"):
        Shape("x", -1, MeshFile("x.off"))


def test_wrong_sets_are_rejected() -> None:
    shapes = make_set([1, 1]).shapes
    with pytest.raises(ValueError, match="at least one class, got none"):
        ShapeSet("set", (), ())
    with pytest.raises(ValueError, match="classes must be different, got 1 more than once, 'box'"):
        ShapeSet("set", ("box", "box"), ())
    with pytest.raises(ValueError, match=r"names of shapes must be different.*'box_0'"):
        ShapeSet("set", CLASSES, (*shapes, shapes[0]))
    with pytest.raises(ValueError, match=r"\[0, 1\), the number of classes, got 1 for .*'cone_0'"):
        ShapeSet("set", ("box",), shapes)


def test_wrong_splits_are_rejected() -> None:
    first, second, third = (make_set([2, 2], prefix=prefix) for prefix in "abc")
    assert len(ShapeSplits(first, second, third).train) == 4
    with pytest.raises(ValueError, match="got 2 in two of them, 'abox_0' for example"):
        ShapeSplits(first, second, first.take([0, 1]))
    with pytest.raises(ValueError, match="at least one shape, got none"):
        ShapeSplits(first.take([]), second, third)
    with pytest.raises(ValueError, match=r"test must have the same classes.*ring only in the sec"):
        ShapeSplits(first, second, make_set([1, 1, 1]))
    with pytest.raises(ValueError, match=r"validation must .*cone only in the first$"):
        ShapeSplits(first, make_set([1]), third)
    swapped = ShapeSet("set", ("cone", "box"), ())
    with pytest.raises(ValueError, match="the same names in another order"):
        ShapeSplits(first, second, swapped)
    unknown = ShapeSet("set", first.classes, (Shape("x", None, MeshFile("x.off")),))
    assert ShapeSplits(first, second, unknown).test.labels.tolist() == [-1]
    with pytest.raises(ValueError, match=r"validation must hold shapes of known class.*1 of 1"):
        ShapeSplits(first, unknown, third)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((-0.1, 0.2), r"validation_fraction must be in \[0, 1\), got -0.1"),
        ((0.1, 1.0), r"test_fraction must be in \[0, 1\), got 1.0"),
        ((0.5, 0.5), "must sum to less than 1.*got 0.5 [+] 0.5"),
        ((0.1, float("nan")), "test_fraction must be"),
    ],
)
def test_wrong_fractions_are_rejected(fractions: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_shapes(
            make_set([4]), validation_fraction=fractions[0], test_fraction=fractions[1], seed=0
        )


def test_sets_that_cannot_be_split_are_rejected() -> None:
    options = {"validation_fraction": 0.1, "test_fraction": 0.2, "seed": 0}
    with pytest.raises(ValueError, match="every class must have at least one shape, got none of c"):
        split_shapes(make_set([3, 0, 2]), **options)
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        split_shapes(make_set([3]), validation_fraction=0.1, test_fraction=0.2, seed=-1)
    unknown = ShapeSet("set", ("box",), (Shape("x", None, MeshFile("x.off")),))
    with pytest.raises(ValueError, match="known class to be split, got 1 of 1"):
        split_shapes(unknown, **options)
