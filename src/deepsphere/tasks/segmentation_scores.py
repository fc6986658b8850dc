r"""Recall and average precision of every class over the vertices of many maps.

Average precision is that of scikit-learn, :math:`\sum_n (R_n - R_{n-1}) P_n` over the thresholds
on the probability of a class, from the highest: exactly, from the outputs of all maps at once; or
from counts, which are added up map by map, with bounds that hold the exact value.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from scipy.special import digamma
from torch import Tensor

# Vertices are counted by the logarithm of the odds of a class, in bins of equal width between
# -LARGEST_LOG_ODDS and LARGEST_LOG_ODDS; what lies outside is in the first or last.
NUM_BINS = 8192
LARGEST_LOG_ODDS = 24.0


@dataclass(frozen=True, eq=False)
class SegmentationScores:
    """How well every class is found.

    Parameters
    ----------
    recall
        Share of the vertices of each class that are predicted to be of it, in [0, 1]; NaN for a
        class that no vertex is of.
    average_precision
        Of each class against all others, in [0, 1]; NaN for a class that no vertex is of.
    lowest_average_precision, highest_average_precision
        What the exact average precision is not below and not above: equal to it where it is exact.
    confusion
        Vertices, or their areas, by true class (row) and predicted class (column).
    """

    recall: Float[np.ndarray, "classes"]
    average_precision: Float[np.ndarray, "classes"]
    lowest_average_precision: Float[np.ndarray, "classes"]
    highest_average_precision: Float[np.ndarray, "classes"]
    confusion: Num[np.ndarray, "classes classes"]

    @property
    def accuracy(self) -> float:
        """Mean of the recalls of the classes that occur, which is published as accuracy."""
        return _mean_of_known(self.recall)

    def mean_average_precision(self, background: int | None = 0) -> float:
        """Mean of the average precisions of the events that occur.

        Parameters
        ----------
        background
            Index of the class that is no event; None if all are.

        Returns
        -------
        float
            NaN if none occurs.
        """
        events = [c for c in range(len(self.average_precision)) if c != background]
        return _mean_of_known(self.average_precision[events])


@dataclass(frozen=True, eq=False)
class SegmentationCounts:
    """Vertices counted by class and score: all that scores of any number of maps need.

    Counts of several parts add up to those of the whole.

    Parameters
    ----------
    confusion
        Vertices, or their areas, by true class (row) and predicted class (column).
    histogram
        Vertices, or their areas: others (0) and those of the class (1), by class, by bin of the
        score, from the lowest.
    """

    confusion: Float[Tensor, "classes classes"]
    histogram: Float[Tensor, "2 classes bins"]

    def __add__(self, other: "SegmentationCounts") -> "SegmentationCounts":
        """The counts of both."""
        return SegmentationCounts(
            self.confusion + other.confusion, self.histogram + other.histogram
        )

    def scores(self) -> SegmentationScores:
        """The scores, with average precisions to within the width of a bin.

        Vertices in one bin count as tied. Whatever their true order is, the exact average precision
        is between the two bounds.

        Returns
        -------
        SegmentationScores
        """
        found = [_binned_average_precision(*of) for of in self._by_class()]
        tied, lowest, highest = np.array(found).T
        confusion = self.confusion.numpy()
        return SegmentationScores(_recall(confusion), tied, lowest, highest, confusion)

    def precision_recall(
        self, class_index: int, *, num_points: int = 200
    ) -> tuple[Float[np.ndarray, "points"], Float[np.ndarray, "points"]]:
        """The curve of precision over recall, at thresholds from the highest.

        Parameters
        ----------
        class_index
            Of the class.
        num_points
            At most so many points, evenly spread over recall.

        Returns
        -------
        recall, precision : ndarray, shape (points,)
            Empty for a class that no vertex is of.
        """
        others, positives = self._by_class()[class_index]
        if not positives.sum():
            return np.zeros(0), np.zeros(0)
        true, false = positives.cumsum(), others.cumsum()
        reached = np.flatnonzero(positives)
        recall, precision = true[reached] / true[-1], (true / np.maximum(true + false, 1e-300))
        chosen = np.searchsorted(recall, np.linspace(0, 1, num_points))
        chosen = np.unique(np.minimum(chosen, len(reached) - 1))
        return recall[chosen], precision[reached][chosen]

    def _by_class(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Others and positives of each class by bin, from the highest score."""
        others, positives = self.histogram.numpy()[..., ::-1]
        return list(zip(others, positives, strict=True))


def count_segmentation(
    logits: Float[Tensor, "*batch vertices classes"],
    labels: Int[Tensor, "*batch vertices"],
    *,
    areas: Float[Tensor, "vertices"] | None = None,
) -> SegmentationCounts:
    """Vertices counted by class and score.

    Parameters
    ----------
    logits : Tensor, shape (*batch, vertices, classes)
    labels : Tensor of integers, shape (*batch, vertices)
        Negative ones are left out.
    areas : Tensor, shape (vertices,), optional
        Of the vertices, which then count by them; None: one each.

    Returns
    -------
    SegmentationCounts
        Float64, on the CPU.

    Raises
    ------
    ValueError
        If a logit of a vertex that counts is NaN.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    >>> counts = count_segmentation(logits, torch.tensor([0, 0, 1, -1]))
    >>> counts.confusion.tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    >>> (counts + counts).scores().recall.tolist()
    [0.5, 1.0]
    """
    num_classes = logits.shape[-1]
    counted = labels >= 0
    chosen, true = logits[counted].float(), labels[counted].long()
    num_bad = int(chosen.isnan().sum())
    if num_bad:
        raise ValueError(
            f"logits must be numbers, got {num_bad} NaN; where maps have missing values, networks "
            "are built with missing='renormalize', and else the training blew up: use a smaller "
            "learning_rate"
        )
    weights = None
    if areas is not None:
        # the one device without float64
        dtype = torch.float32 if logits.device.type == "mps" else torch.float64
        weights = areas.to(logits.device, dtype).expand(labels.shape)[counted]

    def count(cells: Tensor, size: int) -> Tensor:
        return torch.bincount(cells, weights=weights, minlength=size).cpu().double()

    confusion = count(true * num_classes + chosen.argmax(dim=-1), num_classes**2)
    histograms = []
    for index in range(num_classes):
        bins = _bins_of(log_odds(chosen, index))
        cells = bins + NUM_BINS * (true == index)
        histograms.append(count(cells, 2 * NUM_BINS).reshape(2, NUM_BINS))
    return SegmentationCounts(
        confusion.reshape(num_classes, num_classes), torch.stack(histograms, dim=1)
    )


def log_odds(logits: Float[Tensor, "*batch classes"], class_index: int) -> Float[Tensor, "*batch"]:
    """Logarithm of the odds of a class, log p − log(1 − p) with its probability p.

    It grows with the probability, and tells apart what lies so near to 1 that probabilities do not.

    Parameters
    ----------
    logits : Tensor, shape (*batch, classes)
    class_index : int

    Returns
    -------
    Tensor, shape (*batch)

    Examples
    --------
    >>> log_odds(torch.tensor([[3.0, 1.0]]), 0).item()
    2.0
    """
    others = [index for index in range(logits.shape[-1]) if index != class_index]
    return logits[..., class_index] - logits[..., others].logsumexp(dim=-1)


def segmentation_scores(
    logits: Float[np.ndarray, "*batch vertices classes"],
    labels: Int[np.ndarray, "*batch vertices"],
    *,
    areas: Float[np.ndarray, "vertices"] | None = None,
) -> SegmentationScores:
    """Exact scores of the outputs for many maps.

    Parameters
    ----------
    logits
        Shape (*batch, vertices, classes).
    labels
        True classes, shape (*batch, vertices); negative ones are left out.
    areas
        Of the vertices, which then weigh by them; None: all the same.

    Returns
    -------
    SegmentationScores
        Average precisions are those of `sklearn.metrics.average_precision_score` for the
        probabilities (softmax of the logits in double precision).

    Raises
    ------
    ValueError
        If there are not as many labels as outputs, no vertex is labelled, a label is not a class,
        or a logit is NaN.

    Examples
    --------
    >>> logits = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    >>> scores = segmentation_scores(logits, np.array([0, 1, 0, 1]))
    >>> scores.average_precision.round(3).tolist()
    [0.833, 0.833]
    """
    num_classes = logits.shape[-1]
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels must have shape {logits.shape[:-1]}, one for each vertex, got {labels.shape}"
        )
    counted = labels >= 0
    if not counted.any():
        raise ValueError("labels must tell the class of one vertex at least, got none that does")
    if labels.max() >= num_classes:
        raise ValueError(
            f"labels must be in [0, {num_classes}), the number of classes, or negative where "
            f"nothing is labelled, got {labels.max()}"
        )
    chosen, true = logits[counted].astype(np.float64), labels[counted]
    if np.isnan(chosen).any():
        raise ValueError(f"logits must be numbers, got {np.isnan(chosen).sum()} NaN")
    weights = np.ones(len(true))
    if areas is not None:
        weights = np.broadcast_to(areas, labels.shape)[counted].astype(np.float64)
    confusion = np.zeros((num_classes, num_classes), np.float64 if areas is not None else np.int64)
    np.add.at(confusion, (true, chosen.argmax(axis=-1)), 1 if areas is None else weights)
    shifted = np.exp(chosen - chosen.max(axis=-1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=-1, keepdims=True)
    precisions = np.array(
        [
            average_precision(probabilities[:, index], true == index, weights=weights)
            for index in range(num_classes)
        ]
    )
    return SegmentationScores(_recall(confusion), precisions, precisions, precisions, confusion)


def average_precision(
    scores: Float[np.ndarray, "samples"],
    is_positive: Bool[np.ndarray, "samples"],
    *,
    weights: Float[np.ndarray, "samples"] | None = None,
) -> float:
    r"""The area below the steps of precision over recall, :math:`\sum_n (R_n - R_{n-1}) P_n`.

    Thresholds are the scores that occur, from the highest; equal scores are passed at once.

    Parameters
    ----------
    scores
        Shape (samples,): the higher, the more likely positive.
    is_positive
        Shape (samples,).
    weights
        Of the samples, nonnegative; None: ones.

    Returns
    -------
    float
        In [0, 1]; NaN where nothing is positive.

    Examples
    --------
    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]) > 0), 4)
    0.8333
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    weight = np.ones(len(scores)) if weights is None else weights[order].astype(np.float64)
    positive = np.cumsum(weight * is_positive[order])
    if not len(positive) or not positive[-1]:
        return float("nan")
    total = np.cumsum(weight)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true, passed = positive[ends], total[ends]
    precision = true / np.where(passed > 0, passed, 1)
    return float((np.diff(true, prepend=0.0) * precision).sum() / true[-1])


def _binned_average_precision(
    others: np.ndarray, positives: np.ndarray
) -> tuple[float, float, float]:
    """Average precision with bins as ties, and what the exact one is not below and not above."""
    total = positives.sum()
    if not total:
        return float("nan"), float("nan"), float("nan")
    occupied = positives > 0
    true, false = positives.cumsum()[occupied], others.cumsum()[occupied]
    new_true, new_false = positives[occupied], others[occupied]
    before, worst = true - new_true, false
    tied = (new_true * true / (true + false)).sum()
    # all positives of the bin first and tied: the largest precision that any of them can have
    highest = (new_true * true / (true + false - new_false)).sum()
    # each after all others of the bin: the sum of (before + i) / (before + i + worst) over i
    start = before + worst
    harmonic = digamma(start + new_true + 1) - digamma(start + 1)
    lowest = (new_true - worst * harmonic).sum()
    return float(tied / total), float(min(lowest, tied) / total), float(highest / total)


def _bins_of(values: Tensor) -> Tensor:
    """The bin of each score."""
    scaled = (values + LARGEST_LOG_ODDS) * (NUM_BINS / (2 * LARGEST_LOG_ODDS))
    return scaled.clamp(0, NUM_BINS - 1).long()


def _recall(confusion: np.ndarray) -> np.ndarray:
    """Share of each class on the diagonal; NaN for an empty row."""
    totals = confusion.sum(axis=1)
    return np.where(totals > 0, confusion.diagonal() / np.where(totals > 0, totals, 1), np.nan)


def _mean_of_known(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
