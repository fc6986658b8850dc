"""Ranked lists against naive sorting."""

import numpy as np
import pytest

from deepsphere.tasks.ranking import (
    RankedLists,
    average_views,
    rank_by_class,
    rank_by_descriptor,
    rank_by_descriptor_within,
)


@pytest.fixture
def probabilities() -> np.ndarray:
    # few different values, so that many are equal
    return np.random.default_rng(0).integers(1, 6, (40, 4)) / 10


@pytest.fixture
def descriptors() -> np.ndarray:
    random = np.random.default_rng(1)
    return random.standard_normal((40, 3))[random.integers(0, 25, 40)]  # some of them equal


def naive_lists(lists: RankedLists) -> list[list[int]]:
    return [[int(item) for item in row if item >= 0] for row in lists.items]


def test_rank_by_class_is_the_rule_of_the_protocol(probabilities: np.ndarray) -> None:
    predicted = [max(range(4), key=lambda c: row[c]) for row in probabilities]
    expected = []
    for i in range(40):
        members = [j for j in range(40) if predicted[j] == predicted[i]]
        expected.append(sorted(members, key=lambda j: (-probabilities[j][predicted[j]], j)))
    assert naive_lists(rank_by_class(probabilities)) == expected
    short = rank_by_class(probabilities, max_length=3)
    assert naive_lists(short) == [members[:3] for members in expected]


def test_rank_by_descriptor_is_the_order_of_cosine_distances(descriptors: np.ndarray) -> None:
    units = descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)
    # rounded: equal descriptors are to be equally near
    distance = np.round(1 - units @ units.T, 9)
    expected = []
    for i in range(40):
        others = sorted((j for j in range(40) if j != i), key=lambda j: (distance[i, j], j))
        expected.append([i, *others])
    assert naive_lists(rank_by_descriptor(descriptors)) == expected
    assert naive_lists(rank_by_descriptor(7.5 * descriptors, max_length=5)) == [
        members[:5] for members in expected
    ]


def test_rank_within_classes_keeps_the_order_and_drops_the_others(descriptors: np.ndarray) -> None:
    predicted = np.arange(40) % 3
    everything = naive_lists(rank_by_descriptor(descriptors))
    expected = [[j for j in everything[i] if j % 3 == i % 3] for i in range(40)]
    assert naive_lists(rank_by_descriptor_within(descriptors, predicted)) == expected
    short = rank_by_descriptor_within(descriptors, predicted, max_length=4)
    assert naive_lists(short) == [members[:4] for members in expected]


def test_many_rows_are_ranked_in_blocks_as_one() -> None:
    descriptors = np.random.default_rng(2).standard_normal((600, 2)).astype(np.float32)
    units = descriptors / np.linalg.norm(descriptors.astype(float), axis=1, keepdims=True)
    lists = rank_by_descriptor(descriptors, max_length=20)
    similarity = units @ units.T
    np.fill_diagonal(similarity, np.inf)
    nearest = np.sort(similarity, axis=1)[:, ::-1][:, 1:20]
    found = np.take_along_axis(similarity, lists.items[:, 1:], axis=1)
    np.testing.assert_array_equal(lists.items[:, 0], np.arange(600))
    np.testing.assert_allclose(found, nearest, atol=1e-6)  # near neighbors may swap in float32


def test_descriptor_of_zeros_is_orthogonal_to_all() -> None:
    lists = rank_by_descriptor(np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.1], [1.0, 0.1]]))
    assert lists.items[0].tolist() == [0, 1, 2, 3]
    assert lists.items[1].tolist() == [1, 3, 0, 2]


def test_means_of_views_are_their_definitions() -> None:
    logits = np.random.default_rng(3).standard_normal((5, 3, 4)).astype(np.float32)
    softmax = np.exp(logits.astype(float))
    softmax /= softmax.sum(axis=-1, keepdims=True)
    arithmetic = average_views(logits, mean="arithmetic")
    np.testing.assert_allclose(arithmetic, softmax.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(arithmetic.sum(axis=1), 1, rtol=1e-12)
    geometric = average_views(logits, mean="geometric")
    np.testing.assert_allclose(geometric, softmax.prod(axis=1) ** (1 / 3), rtol=1e-12)
    assert (geometric.sum(axis=1) < 1).all()


def test_means_of_one_view_agree_and_large_logits_do_not_overflow() -> None:
    logits = np.array([[[1000.0, 0.0]], [[-1000.0, 1000.0]]])
    expected = [[1.0, 0.0], [0.0, 1.0]]
    assert average_views(logits, mean="arithmetic").tolist() == expected
    assert average_views(logits, mean="geometric").tolist() == expected


@pytest.mark.usefixtures("unchecked")
def test_wrong_lists_are_rejected() -> None:
    cases = [
        ([0], [[0], [1]], "as many, got 1 queries and 2 lists"),
        ([5], [[0]], r"queries must be in \[0, 3\).*got 5 to 5"),
        ([0], [[3]], r"items must be in \[-1, 3\).*got 3 to 3"),
        ([1, 1], [[0], [1]], "queries must be different"),
        ([0], [[-1, 2]], "got a shape behind it"),
        ([0, 1], [[0, 1, 2], [2, 0, 2]], "once for each query, got one twice in list 1"),
    ]
    for queries, items, message in cases:
        with pytest.raises(ValueError, match=message):
            RankedLists(np.array(queries), np.array(items), num_shapes=3)


def test_lists_are_protected() -> None:
    lists = rank_by_class(np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        lists.items[0, 0] = 2


def test_renumbered_lists_name_the_same_shapes(probabilities: np.ndarray) -> None:
    lists = rank_by_class(probabilities)
    indices = np.random.default_rng(4).permutation(50)[:40]
    larger = lists.renumber(indices, num_shapes=50)
    assert larger.num_shapes == 50
    assert larger.queries.tolist() == indices.tolist()
    expected = [[int(indices[item]) for item in row] for row in naive_lists(lists)]
    assert naive_lists(larger) == expected
    nothing = RankedLists(np.zeros(0, np.int64), np.zeros((0, 0), np.int64), num_shapes=0)
    assert len(nothing.renumber(np.zeros(0, np.int64), num_shapes=3)) == 0
    with pytest.raises(ValueError, match=r"indices must be as many as the shapes \(40\), got 39"):
        lists.renumber(indices[1:], num_shapes=50)
    with pytest.raises(ValueError, match="indices must be different"):
        lists.renumber(np.zeros(40, np.int64), num_shapes=50)
    with pytest.raises(ValueError, match=r"queries must be in \[0, 20\)"):
        lists.renumber(indices, num_shapes=20)


@pytest.mark.usefixtures("unchecked")
def test_values_that_cannot_be_ranked_are_rejected() -> None:
    with pytest.raises(ValueError, match="probabilities must be finite, got 1 NaN"):
        rank_by_class(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="descriptors must be finite, got 2 NaN"):
        rank_by_descriptor(np.array([[np.nan, np.inf]]))
    with pytest.raises(ValueError, match="got 2 classes and 1 descriptors"):
        rank_by_descriptor_within(np.ones((1, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match="at least one view"):
        average_views(np.ones((2, 0, 3)), mean="arithmetic")
    with pytest.raises(ValueError, match="logits must be finite, got 1 NaN"):
        average_views(np.array([[[np.nan, 0.0]]]), mean="arithmetic")


@pytest.mark.usefixtures("unchecked")
def test_unknown_mean_is_rejected() -> None:
    with pytest.raises(ValueError, match="arithmetic or geometric, got 'median'"):
        average_views(np.ones((1, 1, 2)), mean="median")  # pyright: ignore[reportArgumentType]
