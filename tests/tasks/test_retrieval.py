"""Retrieval scores against lists worked by hand, the official evaluator, and naive loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsphere.data.shape_sources import MeshFile
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.tasks.ranking import RankedLists
from deepsphere.tasks.retrieval import RetrievalScores, retrieval_scores, score_shapes

CLASSES = ("chair", "table")


def scores_of(items: list[int], labels: list[int], subcategories: list[str] | None = None):
    """Scores of the list of shape 0."""
    lists = RankedLists(np.array([0]), np.array([items]), num_shapes=len(labels))
    result = retrieval_scores(lists, np.array(labels), classes=CLASSES, subcategories=subcategories)
    return result.values[0].tolist()


def test_perfect_list_scores_one() -> None:
    # shapes 0, 1, 2 are chairs: all of them, and no other, in the order of their grades
    subcategories = ["stool", "stool", "chair", "desk"]
    assert scores_of([0, 1, 2], [0, 0, 0, 1], subcategories) == pytest.approx([1, 1, 1, 1, 1])


def test_list_worked_by_hand() -> None:
    # Query 0 is a stool. There are five chairs: R = 5. Retrieved, with their grades:
    #   place 1: shape 4, armchair              grade 1, precision so far 1/1
    #   place 2: shape 5, a table               grade 0
    #   place 3: shape 0, stool                 grade 3, precision so far 2/3
    #   place 4: shape 3, filed under "chair"   grade 2, precision so far 3/4
    subcategories = ["stool", "stool", "stool", "chair", "armchair", "desk"]
    precision = 3 / 4
    recall = 3 / 5
    f1 = 2 * 0.75 * 0.6 / 1.35
    average_precision = (1 + 2 / 3 + 3 / 4) / 5
    gain = 1 + 0 / 1 + 3 / math.log2(3) + 2 / 2  # discounts 1, log2 2 = 1, log2 3, log2 4 = 2
    ideal = 3 + 3 / 1 + 3 / math.log2(3) + 2 / 2 + 1 / math.log2(5)
    assert scores_of([4, 5, 0, 3], [0, 0, 0, 0, 0, 1], subcategories) == pytest.approx(
        [precision, recall, f1, average_precision, gain / ideal], rel=1e-14
    )


def test_gains_count_up_to_the_number_of_relevant_shapes() -> None:
    # Two chairs, R = 2: the chair in place 3 counts for recall and mAP, but not for NDCG.
    assert scores_of([0, 2, 1], [0, 0, 1]) == pytest.approx(
        [2 / 3, 1, 0.8, (1 + 2 / 3) / 2, 3 / (3 + 3)]
    )


def test_list_without_relevant_shapes_and_empty_list_score_zero() -> None:
    assert scores_of([2, 3], [0, 0, 1, 1]) == [0, 0, 0, 0, 0]
    assert scores_of([-1, -1], [0, 0, 1, 1]) == [0, 0, 0, 0, 0]


def test_query_that_is_not_retrieved_is_missing() -> None:
    assert scores_of([1], [0, 0, 1])[:2] == [1, 0.5]


def test_averages_worked_by_hand() -> None:
    # Two chairs whose queries have P 1 and 0, and one table with P 1/2:
    # micro (1 + 0 + 1/2) / 3, macro ((1 + 0)/2 + 1/2) / 2.
    values = np.array([[1.0] * 5, [0.0] * 5, [0.5] * 5])
    scores = RetrievalScores(np.array([0, 0, 2]), values, ("chair", "lamp", "table"))
    assert scores.micro["P@N"] == pytest.approx(0.5)
    assert scores.macro["NDCG"] == pytest.approx(0.5)
    assert {name: row["mAP"] for name, row in scores.per_class.items()} == {
        "chair": 0.5,
        "table": 0.5,
    }
    unequal = RetrievalScores(np.array([0, 0, 2]), values[[0, 0, 1]], scores.classes)
    assert unequal.micro["R@N"] == pytest.approx(2 / 3)
    assert unequal.macro["R@N"] == pytest.approx(1 / 2)


def test_small_lists_score_as_by_the_official_evaluator() -> None:
    # 30 shapes in three categories with uneven subcategories, half of them with lists of different
    # lengths; the numbers are those which the evaluator of 2017-02-23 gave for these files.
    num = 30
    labels = np.arange(num) % 3
    subcategories = [f"c{i % 3}" if i % 4 == 0 else f"s{i % 5}" for i in range(num)]
    queries = np.arange(0, num, 2)
    items = np.full((len(queries), num), -1)
    for row, query in zip(items, queries, strict=True):
        places = [(int(query) * 7 + k * k * 3 + k) % 31 for k in range(3 + int(query))]
        found = [place for place in dict.fromkeys(places) if place < num]
        row[: len(found)] = found
    scores = retrieval_scores(
        RankedLists(queries, items, num),
        labels,
        classes=("c0", "c1", "c2"),
        subcategories=subcategories,
    )
    assert list(scores.micro.values()) == pytest.approx(
        [0.33904761904761904, 0.38, 0.342020979020979, 0.18954808154808153, 0.2553873722565297],
        rel=1e-12,
    )


def test_long_lists_score_as_by_the_official_evaluator() -> None:
    # A category of 1,200 shapes and one of 100, and lists of 1,250, of which 1,000 count: so do
    # at most 1,000 relevant shapes, and those for the ideal gain are the first ones.
    num = 1300
    labels = (np.arange(num) % 13 == 0).astype(np.int64)
    subcategories = [
        "b" if label else "a" if i % 4 == 0 else f"s{i // 500}" for i, label in enumerate(labels)
    ]
    queries = np.array([0, 1, 5, 700, 1299])
    items = (queries[:, None] + 37 * np.arange(1250)) % num
    scores = retrieval_scores(
        RankedLists(queries, items, num), labels, classes=("a", "b"), subcategories=subcategories
    )
    micro = [0.754, 0.8926, 0.7666, 0.6973772957907608, 0.7110010996728172]
    macro = [0.500125, 0.846625, 0.531625, 0.4628108320967, 0.484181343787417]
    assert list(scores.micro.values()) == pytest.approx(micro, rel=1e-12)
    assert list(scores.macro.values()) == pytest.approx(macro, rel=1e-12)


def naive_scores(query: int, items: list[int], labels: list[int], names: list[str]) -> list[float]:
    """The definition, one step after the other."""

    def grade(item: int) -> int:
        if labels[item] != labels[query]:
            return 0
        if names[item] == names[query]:
            return 3
        return 2 if names[item] == CLASSES[labels[query]] else 1

    def gain(grades: list[int]) -> float:
        return sum(g / (1 if k == 0 else math.log2(k + 1)) for k, g in enumerate(grades))

    everything = [grade(item) for item in range(len(labels)) if labels[item] == labels[query]]
    grades = [grade(item) for item in items]
    hits = sum(g > 0 for g in grades)
    if not hits:
        return [0.0] * 5
    precision, recall = hits / len(items), hits / len(everything)
    precisions = [
        sum(g > 0 for g in grades[: k + 1]) / (k + 1) for k, g in enumerate(grades) if g > 0
    ]
    return [
        precision,
        recall,
        2 * precision * recall / (precision + recall),
        sum(precisions) / len(everything),
        gain(grades[: len(everything)]) / gain(sorted(everything, reverse=True)),
    ]


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], list[str], list[int], list[list[int]]]:
    """Labels and subcategories of some shapes, some queries and their lists."""
    num = draw(st.integers(2, 12))
    labels = draw(st.lists(st.integers(0, 1), min_size=num, max_size=num))
    name = st.sampled_from(["chair", "table", "stool", "desk"])
    names = draw(st.lists(name, min_size=num, max_size=num))
    shapes = st.integers(0, num - 1)
    queries = draw(st.lists(shapes, min_size=1, unique=True))
    lists = [draw(st.lists(shapes, unique=True)) for _ in queries]
    return labels, names, queries, lists


@settings(deadline=None, max_examples=60)
@given(problems())
def test_random_lists_score_as_the_definition_says(
    problem: tuple[list[int], list[str], list[int], list[list[int]]],
) -> None:
    labels, names, queries, lists = problem
    items = np.full((len(queries), len(labels)), -1)
    for row, found in zip(items, lists, strict=True):
        row[: len(found)] = found
    scores = retrieval_scores(
        RankedLists(np.array(queries), items, len(labels)),
        np.array(labels),
        classes=CLASSES,
        subcategories=names,
    )
    for query, found, values in zip(queries, lists, scores.values, strict=True):
        expected = naive_scores(query, found, labels, names)
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)
    assert ((scores.values >= 0) & (scores.values <= 1 + 1e-12)).all()


def test_scores_do_not_change_when_shapes_are_renumbered() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 12)
    items = np.stack([random.permutation(12)[:7] for _ in range(12)])
    order = random.permutation(12)
    place = np.argsort(order)
    first = retrieval_scores(RankedLists(np.arange(12), items, 12), labels, classes=CLASSES)
    second = retrieval_scores(RankedLists(place, place[items], 12), labels[order], classes=CLASSES)
    np.testing.assert_allclose(first.values, second.values, rtol=1e-14)


def test_shapes_of_a_set_are_scored_by_their_labels_and_subcategories() -> None:
    subcategories = ["stool", "chair", "armchair", "desk"]
    shapes = tuple(
        Shape(str(i), label, MeshFile(f"{i}.obj"), subcategory=subcategories[i])
        for i, label in enumerate([0, 0, 0, 1])
    )
    lists = RankedLists(np.arange(4), np.array([[2, 1, 0, 3]] * 4), num_shapes=4)
    from_set = score_shapes(lists, ShapeSet("set", CLASSES, shapes))
    direct = retrieval_scores(
        lists, np.array([0, 0, 0, 1]), classes=CLASSES, subcategories=subcategories
    )
    np.testing.assert_array_equal(from_set.values, direct.values)
    assert from_set.classes == CLASSES


def test_shapes_that_could_not_be_read_are_missing_in_the_lists() -> None:
    # chairs 0, 1, 2, of which 1 could not be read: the perfect list of the others has recall 2/3
    lists = RankedLists(np.array([0, 1]), np.array([[0, 1], [0, 1]]), num_shapes=2)
    labels = np.array([0, 0, 0, 1])
    scores = retrieval_scores(
        lists.renumber(np.array([0, 2]), num_shapes=4), labels, classes=CLASSES
    )
    ideal = 3 + 3 + 3 / math.log2(3)
    expected = [1, 2 / 3, 0.8, 2 / 3, 6 / ideal]
    np.testing.assert_allclose(scores.values, [expected, expected])


def test_wrong_arguments_are_rejected() -> None:
    lists = RankedLists(np.array([0]), np.array([[1]]), num_shapes=2)
    with pytest.raises(ValueError, match=r"labels must be as many as the shapes \(2\), got 3"):
        retrieval_scores(lists, np.array([0, 0, 1]), classes=CLASSES)
    with pytest.raises(ValueError, match=r"subcategories must be as many.*got 1"):
        retrieval_scores(lists, np.array([0, 0]), classes=CLASSES, subcategories=["x"])
    with pytest.raises(ValueError, match="got -1 for shape 1; without all true labels"):
        retrieval_scores(lists, np.array([0, -1]), classes=CLASSES)
    nothing = RankedLists(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), num_shapes=2)
    with pytest.raises(ValueError, match="at least one query, got none"):
        retrieval_scores(nothing, np.array([0, 1]), classes=CLASSES)
