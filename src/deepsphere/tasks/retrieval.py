"""Scores of ranked lists, in the definition of SHREC'17's evaluator."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.shapes import ShapeSet
from deepsphere.tasks.ranking import MAX_LENGTH, PADDING, RankedLists

SCORE_NAMES = ("P@N", "R@N", "F1@N", "mAP", "NDCG")
# relevance of a retrieved shape of the category of the query: of its subcategory, filed directly
# under the category, or of another subcategory
SAME_SUBCATEGORY, CATEGORY_ITSELF, OTHER_SUBCATEGORY = 3, 2, 1


@dataclass(frozen=True, eq=False)
class RetrievalScores:
    """Scores of each query, and their averages.

    Parameters
    ----------
    labels
        Shape (queries,), the category of each query.
    values
        Shape (queries, 5): precision, recall and F1 of the whole list, average precision, and
        normalized discounted cumulative gain, in the order of `SCORE_NAMES`.
    classes
        Name of each category.
    """

    labels: Int[np.ndarray, "queries"]
    values: Float[np.ndarray, "queries 5"]
    classes: tuple[str, ...]

    @property
    def micro(self) -> dict[str, float]:
        """Mean over the queries of each score: P@N, R@N, F1@N, mAP, NDCG."""
        return dict(zip(SCORE_NAMES, self.values.mean(axis=0).tolist(), strict=True))

    @property
    def macro(self) -> dict[str, float]:
        """Mean over the categories that have queries of the mean over their queries."""
        table = np.array([list(scores.values()) for scores in self.per_class.values()])
        return dict(zip(SCORE_NAMES, table.mean(axis=0).tolist(), strict=True))

    @property
    def per_class(self) -> dict[str, dict[str, float]]:
        """Mean over the queries of each category that has some, by its name."""
        return {
            self.classes[label]: dict(
                zip(
                    SCORE_NAMES,
                    self.values[self.labels == label].mean(axis=0).tolist(),
                    strict=True,
                )
            )
            for label in np.unique(self.labels)
        }


def retrieval_scores(
    lists: RankedLists,
    labels: Int[np.ndarray, "shapes"],
    *,
    classes: Sequence[str],
    subcategories: Sequence[str | None] | None = None,
) -> RetrievalScores:
    r"""Precision, recall, F1, average precision and NDCG of each query, as SHREC'17 defines them.

    Take a query of category c, of which there are n_c shapes, the query among them, and the N
    shapes retrieved for it, of which at most the first 1,000 count. A retrieved shape is relevant
    if it is of category c; r_k = 1 for relevant shapes and 0 for others, at place k = 1 to N, and
    R = min(n_c, 1000). Then

    .. math::

        P = \frac1N \sum_{k=1}^N r_k, \quad
        R@N = \frac1R \sum_{k=1}^N r_k, \quad
        F_1 = \frac{2 P \cdot R@N}{P + R@N}, \quad
        AP = \frac1R \sum_{k=1}^N r_k \frac1k \sum_{j=1}^k r_j, \quad
        NDCG = \frac{\sum_{k=1}^{\min(N, R)} g_k / d_k}{\sum_{k=1}^R g^*_k / d_k}

    with the discount d_1 = 1 and d_k = log2 k (so that the first two places count alike) and the
    grade g_k = 3 for a shape of the subcategory of the query, 2 for one that lies directly under
    the category (its subcategory is called as its category), 1 for one of another subcategory,
    and 0 for another category. The ideal grades g* are those of the first R shapes of the
    category, in the order in which the shapes are given, sorted in decreasing order. For a
    category of more than 1,000 shapes they may be lower than the best R grades, and NDCG may
    exceed 1; this is how the evaluator does it. Without subcategories every relevant shape has
    the grade 3, and NDCG is that of binary relevance.

    An empty list scores 0 (the evaluator gives NaN). The query counts if it is retrieved, and
    as a missing shape if it is not. The averages are `RetrievalScores.micro`, over the queries,
    and `RetrievalScores.macro`, over the categories. In both, queries without a list have no
    weight.

    Parameters
    ----------
    lists
        What was retrieved for each query.
    labels
        Shape (shapes,), the true category of each shape.
    classes
        Name of each category, which the grade 2 refers to.
    subcategories
        Name of the subcategory of each shape; None where there is none.

    Returns
    -------
    RetrievalScores
        Scores of the queries in the order of `lists`.

    Raises
    ------
    ValueError
        If there is no list, not one label or subcategory for each shape, or a label is unknown.

    Notes
    -----
    Certain: these are the formulas in the code of the evaluator as of its last correction (23
    February 2017), since which AP and NDCG are divided by what could be retrieved and not by what
    was; on random lists both give the same averages to the last digits. That the query is part of
    what is searched is an answer of the organizers (2016) and what the evaluator counts. Inferred
    is nothing but the meaning of the grades 2 and 1, which the code does not explain.

    References
    ----------
    Savva et al., "SHREC'17 track: large-scale 3D shape retrieval from ShapeNet Core55", 3DOR
    2017, section 4, and its evaluator (evaluate.js, lib/Evaluator.js, lib/Metrics.js).

    Examples
    --------
    Two of the three shapes of category 0 are retrieved for shape 0, in the places 1 and 3:

    >>> lists = RankedLists(np.array([0]), np.array([[0, 3, 1]]), num_shapes=4)
    >>> scores = retrieval_scores(lists, np.array([0, 0, 0, 1]), classes=("chair", "table"))
    >>> {name: round(value, 3) for name, value in scores.micro.items()}
    {'P@N': 0.667, 'R@N': 0.667, 'F1@N': 0.667, 'mAP': 0.556, 'NDCG': 0.62}
    """
    _check_inputs(lists, labels, classes, subcategories)
    groups = _subcategory_numbers(subcategories, classes, len(labels))
    items = lists.items[:, :MAX_LENGTH]
    is_item = items != PADDING
    query_labels, query_groups = labels[lists.queries], groups[0][lists.queries]
    # the padding -1 takes the last shape, which is_item leaves out
    is_relevant = (labels[items] == query_labels[:, None]) & is_item
    found = groups[0][items]
    grades = np.where(
        found == query_groups[:, None],
        SAME_SUBCATEGORY,
        np.where(found == groups[1][query_labels][:, None], CATEGORY_ITSELF, OTHER_SUBCATEGORY),
    )
    grades = grades * is_relevant
    num_relevant = np.minimum(np.bincount(labels, minlength=len(classes)), MAX_LENGTH)
    num_relevant = num_relevant[query_labels]
    hits = np.cumsum(is_relevant, axis=1)
    num_hits = is_relevant.sum(axis=1)
    places = np.arange(1, items.shape[1] + 1)
    precision = num_hits / np.maximum(is_item.sum(axis=1), 1)
    recall = num_hits / num_relevant
    f1 = 2 * precision * recall / np.where(num_hits > 0, precision + recall, 1)
    average_precision = (hits / places * is_relevant).sum(axis=1) / num_relevant
    gains = grades * _discounts(items.shape[1]) * (places <= num_relevant[:, None])
    ideal = _ideal_gains(query_labels, query_groups, labels, groups)
    ndcg = gains.sum(axis=1) / ideal
    values = np.stack([precision, recall, f1, average_precision, ndcg], axis=1)
    return RetrievalScores(query_labels, values, tuple(classes))


def score_shapes(lists: RankedLists, shapes: ShapeSet) -> RetrievalScores:
    """Scores of lists of the shapes of a set, by their labels and subcategories.

    Parameters
    ----------
    lists
        What was retrieved for each query.
    shapes
        The set, all of known class.

    Returns
    -------
    RetrievalScores
        As of `retrieval_scores`.

    Raises
    ------
    ValueError
        If the class of a shape is unknown, or the lists are of another number of shapes.
    """
    return retrieval_scores(
        lists,
        shapes.labels,
        classes=shapes.classes,
        subcategories=[shape.subcategory for shape in shapes.shapes],
    )


def _check_inputs(
    lists: RankedLists,
    labels: Int[np.ndarray, "shapes"],
    classes: Sequence[str],
    subcategories: Sequence[str | None] | None,
) -> None:
    """Raise unless there is one known label (and one subcategory) for each shape."""
    if not len(lists):
        raise ValueError("lists must hold the list of at least one query, got none")
    for name, values in (("labels", labels), ("subcategories", subcategories)):
        if values is not None and len(values) != lists.num_shapes:
            raise ValueError(
                f"{name} must be as many as the shapes ({lists.num_shapes}), got {len(values)}"
            )
    is_outside = (labels < 0) | (labels >= len(classes))
    if is_outside.any():
        index = int(is_outside.argmax())
        raise ValueError(
            f"labels must be in [0, {len(classes)}), the number of classes, got {labels[index]} "
            f"for shape {index}; without all true labels there are no scores"
        )


def _subcategory_numbers(
    subcategories: Sequence[str | None] | None, classes: Sequence[str], num_shapes: int
) -> tuple[Int[np.ndarray, "shapes"], Int[np.ndarray, "classes"]]:
    """Number of the subcategory of each shape, and of that which is called as each class."""
    names = [None] * num_shapes if subcategories is None else subcategories
    numbers: dict[str | None, int] = {name: -1 - label for label, name in enumerate(classes)}
    for name in names:
        numbers.setdefault(name, len(numbers))
    return (
        np.array([numbers[name] for name in names], np.int64),
        np.array([numbers[name] for name in classes], np.int64),
    )


def _discounts(length: int) -> Float[np.ndarray, "length"]:
    """Weights 1 / log2 k of the places k, and 1 of the first."""
    return 1 / np.log2(np.maximum(np.arange(1, length + 1), 2))


def _ideal_gains(
    query_labels: Int[np.ndarray, "queries"],
    query_groups: Int[np.ndarray, "queries"],
    labels: Int[np.ndarray, "shapes"],
    groups: tuple[Int[np.ndarray, "shapes"], Int[np.ndarray, "classes"]],
) -> Float[np.ndarray, "queries"]:
    """Discounted cumulative gain of the ideal list of each query."""
    pairs, inverse = np.unique(
        np.stack([query_labels, query_groups], axis=1), axis=0, return_inverse=True
    )
    ideal = np.empty(len(pairs))
    for place, (label, group) in enumerate(pairs):
        members = groups[0][np.flatnonzero(labels == label)[:MAX_LENGTH]]
        grades = np.where(
            members == group,
            SAME_SUBCATEGORY,
            np.where(members == groups[1][label], CATEGORY_ITSELF, OTHER_SUBCATEGORY),
        )
        ideal[place] = np.sort(grades)[::-1] @ _discounts(len(members))
    return ideal[inverse.reshape(-1)]
