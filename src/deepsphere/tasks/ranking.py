"""Ranked lists: what a system retrieves for each shape, the best first."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

MAX_LENGTH = 1000  # what SHREC'17's evaluator reads of a list
PADDING = -1
ROWS_AT_ONCE = 256  # of similarities: 10 MB for the 10,265 test shapes of SHREC'17


@dataclass(frozen=True, eq=False)
class RankedLists:
    """For each query, the shapes retrieved for it, the best first.

    Parameters
    ----------
    queries
        Shape (queries,), the index of each query in the set of shapes, all different.
    items
        Shape (queries, longest), indices of the retrieved shapes, without repetition in a row;
        −1 fills the rows of shorter lists at their end.
    num_shapes
        How many shapes there are.

    Raises
    ------
    ValueError
        If an index is out of range or repeated, or a shape follows the padding.

    Examples
    --------
    >>> lists = RankedLists(np.array([0, 1]), np.array([[0, 2], [1, -1]]), num_shapes=3)
    >>> lists.lengths
    array([2, 1])
    """

    queries: Int[np.ndarray, "queries"]
    items: Int[np.ndarray, "queries longest"]
    num_shapes: int

    def __post_init__(self) -> None:
        """Check the rules of the class and protect the arrays."""
        if len(self.queries) != len(self.items):
            raise ValueError(
                "queries and items must be as many, "
                f"got {len(self.queries)} queries and {len(self.items)} lists"
            )
        for name, array, lowest in (("queries", self.queries, 0), ("items", self.items, PADDING)):
            if array.size and not lowest <= array.min() <= array.max() < self.num_shapes:
                raise ValueError(
                    f"{name} must be in [{lowest}, {self.num_shapes}), the number of shapes, "
                    f"got {array.min()} to {array.max()}"
                )
        if len(np.unique(self.queries)) < len(self.queries):
            raise ValueError("queries must be different, got one twice")
        is_padding = self.items == PADDING
        if (is_padding[:, :-1] & ~is_padding[:, 1:]).any():
            raise ValueError("items must end with the padding -1, got a shape behind it")
        ordered = np.sort(self.items, axis=1)
        is_repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING)
        if is_repeated.any():
            query = int(is_repeated.any(axis=1).argmax())
            raise ValueError(
                f"items must hold each shape once for each query, got one twice in list {query}"
            )
        for name in ("queries", "items"):
            view = getattr(self, name).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.queries)

    @property
    def lengths(self) -> Int[np.ndarray, "queries"]:
        """Number of shapes in each list: shape (queries,)."""
        return (self.items != PADDING).sum(axis=1)

    def renumber(self, indices: Int[np.ndarray, "shapes"], *, num_shapes: int) -> "RankedLists":
        """The same lists in a larger set, where shape i of this one has the index indices[i].

        For scores that also count the shapes which a system could not read: they are in no list,
        and missing in all.

        Parameters
        ----------
        indices
            Shape (num_shapes of these lists,), all different.
        num_shapes
            Number of shapes of the larger set.

        Returns
        -------
        RankedLists
            Of the same queries, in the same order.

        Raises
        ------
        ValueError
            If there is not one index for each shape, or indices are repeated or out of range.

        Examples
        --------
        >>> lists = RankedLists(np.array([0, 1]), np.array([[1, 0], [1, -1]]), num_shapes=2)
        >>> lists.renumber(np.array([3, 5]), num_shapes=6).items
        array([[ 5,  3],
               [ 5, -1]])
        """
        if len(indices) != self.num_shapes:
            raise ValueError(
                f"indices must be as many as the shapes ({self.num_shapes}), got {len(indices)}"
            )
        if len(np.unique(indices)) < len(indices):
            raise ValueError("indices must be different, got one twice")
        if not len(indices):
            return RankedLists(self.queries, self.items, num_shapes)
        items = np.where(self.items == PADDING, PADDING, indices[self.items])
        return RankedLists(indices[self.queries], items, num_shapes)


def average_views(
    logits: Float[np.ndarray, "shapes views classes"], *, mean: Literal["arithmetic", "geometric"]
) -> Float[np.ndarray, "shapes classes"]:
    """Class probabilities of each shape: the mean over its views of softmax(logits).

    The geometric mean exp(mean of log softmax) is not scaled to sum to one: its sum is smaller
    for shapes whose views disagree, which puts them further down in the ranked lists.

    Parameters
    ----------
    logits
        Shape (shapes, views, classes), at least one view.
    mean
        The arithmetic mean of the probabilities (as in DeepSphere's experiment), or their
        geometric mean, the mean of logarithms (as in that of Cohen et al.).

    Returns
    -------
    Float[np.ndarray, "shapes classes"]
        float64, in [0, 1].

    Raises
    ------
    ValueError
        If there is no view, a logit is NaN or infinite, or the mean is unknown.

    Examples
    --------
    >>> logits = np.log([[[0.9, 0.1], [0.4, 0.6]]])
    >>> average_views(logits, mean="arithmetic").round(2), average_views(logits, mean="geometric")
    (array([[0.65, 0.35]]), array([[0.6       , 0.24494897]]))
    """
    if not logits.shape[1]:
        raise ValueError("logits must have at least one view, got none")
    if not np.isfinite(logits).all():
        raise ValueError(
            f"logits must be finite, got {int((~np.isfinite(logits)).sum())} NaN or infinite values"
        )
    values = logits.astype(np.float64)
    values = values - values.max(axis=-1, keepdims=True)
    logs = values - np.log(np.exp(values).sum(axis=-1, keepdims=True))
    if mean == "arithmetic":
        return np.exp(logs).mean(axis=1)
    if mean == "geometric":
        return np.exp(logs.mean(axis=1))
    raise ValueError(f"mean must be arithmetic or geometric, got {mean!r}")


def rank_by_class(
    probabilities: Float[np.ndarray, "shapes classes"], *, max_length: int = MAX_LENGTH
) -> RankedLists:
    """Lists of the shapes that are predicted to be of the class of the query, the surest first.

    With c_i = argmax p_i, the list of shape i is all j with c_j = c_i in decreasing order of
    p_j[c_j], which is the rule of Cohen et al. and of DeepSphere's experiment. The query is among
    them. Equal probabilities are put in the order of the shapes.

    Parameters
    ----------
    probabilities
        Shape (shapes, classes); any scores that grow with the probability give the same order.
    max_length
        Where to cut the lists.

    Returns
    -------
    RankedLists
        One list for each shape.

    Raises
    ------
    ValueError
        If a probability is NaN or infinite.

    References
    ----------
    Cohen, Geiger, Köhler, Welling, "Spherical CNNs", ICLR 2018, section 5.3.

    Examples
    --------
    >>> rank_by_class(np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1]])).items
    array([[ 2,  0],
           [ 1, -1],
           [ 2,  0]])
    """
    _check_finite("probabilities", probabilities)
    predicted = probabilities.argmax(axis=1)
    score = probabilities.max(axis=1)
    lists = {
        label: (members := np.flatnonzero(predicted == label))[
            np.argsort(-score[members], kind="stable")[:max_length]
        ]
        for label in np.unique(predicted)
    }
    longest = max(map(len, lists.values()), default=0)
    items = np.full((len(probabilities), longest), PADDING, np.int64)
    for label, members in lists.items():
        items[predicted == label, : len(members)] = members
    return RankedLists(np.arange(len(probabilities)), items, len(probabilities))


def rank_by_descriptor(
    descriptors: Float[np.ndarray, "shapes features"], *, max_length: int = MAX_LENGTH
) -> RankedLists:
    """Lists of the shapes with the descriptors nearest to that of the query, by cosine distance.

    The query itself comes first; equal distances are put in the order of the shapes. A descriptor
    of zeros is as far from all others as an orthogonal one.

    Parameters
    ----------
    descriptors
        Shape (shapes, features), of any length: directions are compared.
    max_length
        Where to cut the lists.

    Returns
    -------
    RankedLists
        One list for each shape.

    Raises
    ------
    ValueError
        If a component is NaN or infinite.

    Examples
    --------
    >>> rank_by_descriptor(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])).items
    array([[0, 2, 1],
           [1, 2, 0],
           [2, 0, 1]])
    """
    return rank_by_descriptor_within(
        descriptors, np.zeros(len(descriptors), np.int64), max_length=max_length
    )


def rank_by_descriptor_within(
    descriptors: Float[np.ndarray, "shapes features"],
    predicted: Int[np.ndarray, "shapes"],
    *,
    max_length: int = MAX_LENGTH,
) -> RankedLists:
    """Lists by the distance of descriptors, among the shapes predicted to be of the same class.

    Parameters
    ----------
    descriptors
        Shape (shapes, features), as for `rank_by_descriptor`.
    predicted
        Shape (shapes,), the class that is predicted for each shape.
    max_length
        Where to cut the lists.

    Returns
    -------
    RankedLists
        One list for each shape.

    Raises
    ------
    ValueError
        If a component is NaN or infinite, or there is not one class for each descriptor.

    Examples
    --------
    >>> descriptors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    >>> rank_by_descriptor_within(descriptors, np.array([0, 1, 0])).items
    array([[ 0,  2],
           [ 1, -1],
           [ 2,  0]])
    """
    _check_finite("descriptors", descriptors)
    if len(predicted) != len(descriptors):
        raise ValueError(
            "predicted must hold one class for each descriptor, "
            f"got {len(predicted)} classes and {len(descriptors)} descriptors"
        )
    norms = np.linalg.norm(descriptors.astype(np.float64), axis=1, keepdims=True)
    directions = (descriptors / np.where(norms > 0, norms, 1)).astype(np.float32)
    num = len(descriptors)
    longest = min(int(np.bincount(predicted).max()) if num else 0, max_length)
    items = np.full((num, longest), PADDING, np.int64)
    for label in np.unique(predicted):
        members = np.flatnonzero(predicted == label)
        length = min(len(members), longest)
        for start in range(0, len(members), ROWS_AT_ONCE):
            rows = members[start : start + ROWS_AT_ONCE]
            similarity = directions[rows] @ directions[members].T
            similarity[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
            items[rows, :length] = members[_largest(similarity, length)]
    return RankedLists(np.arange(num), items, num)


def _largest(values: Float[np.ndarray, "rows columns"], num: int) -> Int[np.ndarray, "rows num"]:
    """Places of the largest values of each row in decreasing order, equal ones by their place."""
    # a single integer for both: the bits of a float order like it, for the negative ones reversed
    bits = (0.0 - values.astype(np.float32)).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, ~bits & 0x7FFFFFFF | -0x80000000, bits)
    keys = (ordered << 32) + np.arange(values.shape[1])
    if num < values.shape[1]:
        keys = np.partition(keys, num - 1, axis=1)[:, :num]
    return np.sort(keys, axis=1) & 0xFFFFFFFF


def _check_finite(name: str, values: Float[np.ndarray, "..."]) -> None:
    """Raise when a value is NaN or infinite."""
    num_bad = int((~np.isfinite(values)).sum())
    if num_bad:
        raise ValueError(f"{name} must be finite, got {num_bad} NaN or infinite values")
