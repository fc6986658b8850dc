"""Scores of a segmentation as metrics of an epoch, which share their counts."""

from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from deepsphere.tasks.segmentation_scores import (
    NUM_BINS,
    SegmentationCounts,
    count_segmentation,
)

ScoreName = Literal["accuracy", "average_precision"]

# Counts are whole numbers of so small parts of a vertex: areas add up to the same sum in any order,
# and every device has such numbers.
_PARTS = 2**20


class CountedScore(Metric):
    """A score of all batches of an epoch, from counts that are added up.

    Parameters
    ----------
    score
        "accuracy" (mean recall) or "average_precision" (mean over the events).
    num_classes
        Number of classes.
    background
        Index of the class that is no event; None if all are.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion: Tensor
    histogram: Tensor

    def __init__(self, score: ScoreName, *, num_classes: int, background: int | None) -> None:
        super().__init__()
        self.score: ScoreName = score
        self.background = background
        sizes = {"confusion": (num_classes, num_classes), "histogram": (2, num_classes, NUM_BINS)}
        for name, size in sizes.items():
            zeros = torch.zeros(size, dtype=torch.int64)
            self.add_state(name, default=zeros, dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor, areas: Tensor | None = None) -> None:
        """Count the vertices of a batch.

        Parameters
        ----------
        logits
            Shape (batch, vertices, classes).
        labels
            Shape (batch, vertices); negative ones are left out.
        areas
            Of the vertices, by which they count; None: one each.
        """
        counts = count_segmentation(logits, labels, areas=areas)
        self.confusion = self.confusion + _parts(counts.confusion, like=self.confusion)
        self.histogram = self.histogram + _parts(counts.histogram, like=self.histogram)

    def compute(self) -> Tensor:
        """The score; 0 where no vertex is of a class that counts."""
        counts = SegmentationCounts(
            self.confusion.cpu().double() / _PARTS, self.histogram.cpu().double() / _PARTS
        )
        scores = counts.scores()
        value = (
            scores.accuracy
            if self.score == "accuracy"
            else scores.mean_average_precision(self.background)
        )
        return torch.tensor(value, dtype=torch.float32).nan_to_num()


def _parts(counts: Tensor, *, like: Tensor) -> Tensor:
    """Counts in parts of a vertex, where the sum is."""
    return (counts * _PARTS).round().long().to(like.device)


def segmentation_metrics(*, num_classes: int, background: int | None) -> MetricCollection:
    """Both scores; each batch is counted once for both.

    Parameters
    ----------
    num_classes, background
        See `CountedScore`.

    Returns
    -------
    MetricCollection
        Under the names accuracy and average_precision.
    """
    names: tuple[ScoreName, ...] = ("accuracy", "average_precision")
    metrics: dict[str, Any] = {
        name: CountedScore(name, num_classes=num_classes, background=background) for name in names
    }
    return MetricCollection(metrics, compute_groups=[list(names)])
