"""How well events are found: the scores of the published table, in %."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from deepsphere.tasks import Segmentation, count_segmentation, segmentation_scores
from deepsphere.tasks.segmentation_scores import SegmentationCounts, SegmentationScores

MEAN_ACCURACY = "mean accuracy"
MEAN_PRECISION = "mean AP"


@dataclass(frozen=True, eq=False)
class TestedMaps:
    """What the outputs for all maps of a part are worth.

    Parameters
    ----------
    scores
        In %, by name, see `score_names`.
    uncertainty
        How far an average precision is from the exact one at most, in %.
    confusion
        Vertices by true class (row) and predicted class (column).
    curves
        Recall and precision of each event, by its name.
    """

    scores: dict[str, float]
    uncertainty: float
    confusion: list[list[int]]
    curves: dict[str, tuple[list[float], list[float]]]


def score_names(class_names: Sequence[str]) -> list[str]:
    """Names of all scores.

    Parameters
    ----------
    class_names
        The background first.

    Returns
    -------
    list of str
        The share of the vertices of each class that are found, published as accuracy; its mean;
        the average precision of each event; its mean.

    Examples
    --------
    >>> score_names(("background", "storm"))
    ['accuracy of background', 'accuracy of storm', 'mean accuracy', 'AP of storm', 'mean AP']
    """
    accuracies = [f"accuracy of {name}" for name in class_names]
    precisions = [f"AP of {name}" for name in class_names[1:]]
    return [*accuracies, MEAN_ACCURACY, *precisions, MEAN_PRECISION]


def score_maps(
    outputs: Iterable[tuple[Tensor, Tensor]],
    task: Segmentation,
    *,
    num_vertices: int,
    most_exact: int,
) -> TestedMaps:
    """The scores of the outputs for many maps, every labelled vertex counting the same.

    Parameters
    ----------
    outputs
        Batches of logits (batch, vertices, classes) and labels (batch, vertices), on the CPU.
    task
        With the names of the classes.
    num_vertices
        Of all maps together.
    most_exact
        Average precisions are exact for up to so many vertices, whose outputs are then kept; of
        more, they are of counts.

    Returns
    -------
    TestedMaps

    Raises
    ------
    ValueError
        If a class occurs nowhere: there is nothing to be found of it.
    """
    is_exact = num_vertices <= most_exact
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    counts: SegmentationCounts | None = None
    for logits, labels in outputs:
        of_batch = count_segmentation(logits, labels)
        counts = of_batch if counts is None else counts + of_batch
        if is_exact:
            counted = labels >= 0
            kept.append((logits[counted].numpy(), labels[counted].numpy()))
    if counts is None:
        raise ValueError("data must hold maps to be scored on, got none")
    _check_classes(counts, task)
    found = counts.scores()
    if is_exact:
        logits, labels = (np.concatenate(of) for of in zip(*kept, strict=True))
        found = segmentation_scores(logits, labels)
    width = np.maximum(
        found.highest_average_precision - found.average_precision,
        found.average_precision - found.lowest_average_precision,
    )
    return TestedMaps(
        scores=_percentages(found, task),
        uncertainty=100 * float(width[1:].max()),
        confusion=counts.confusion.round().to(torch.int64).tolist(),
        curves={
            name: _rounded(counts.precision_recall(index))
            for index, name in enumerate(task.class_names)
            if index != task.background
        },
    )


def _check_classes(counts: SegmentationCounts, task: Segmentation) -> None:
    """Raise where a class occurs nowhere."""
    totals = counts.confusion.sum(dim=1)
    for name, total in zip(task.class_names, totals.tolist(), strict=True):
        if not total:
            raise ValueError(
                f"data must hold vertices of every class where they are scored, got no {name} in "
                f"{int(totals.sum()):,} vertices; score on more maps"
            )


def _percentages(found: SegmentationScores, task: Segmentation) -> dict[str, float]:
    """All scores by name."""
    values = [
        *found.recall,
        found.accuracy,
        *found.average_precision[1:],
        found.mean_average_precision(task.background),
    ]
    names = score_names(task.class_names)
    return {name: 100 * float(value) for name, value in zip(names, values, strict=True)}


def _rounded(curve: tuple[np.ndarray, np.ndarray]) -> tuple[list[float], list[float]]:
    """A curve as plain numbers of few digits."""
    recall, precision = (of.round(5).tolist() for of in curve)
    return recall, precision
