"""Losses, metrics and checks of what a network is trained to do."""

from typing import Any

from deepsphere.tasks.classification import Classification, relative_change
from deepsphere.tasks.classification_scores import classification_scores
from deepsphere.tasks.forecasting import Forecasting
from deepsphere.tasks.ranked_list_files import read_ranked_lists, write_ranked_lists
from deepsphere.tasks.ranking import (
    RankedLists,
    average_views,
    rank_by_class,
    rank_by_descriptor,
    rank_by_descriptor_within,
)
from deepsphere.tasks.regression import Regression
from deepsphere.tasks.retrieval import RetrievalScores, retrieval_scores, score_shapes
from deepsphere.tasks.segmentation import NOT_LABELLED, Segmentation, balanced_weights
from deepsphere.tasks.segmentation_scores import (
    SegmentationCounts,
    SegmentationScores,
    average_precision,
    count_segmentation,
    segmentation_scores,
)
from deepsphere.tasks.station_scores import StationScores, season_error_days, station_scores
from deepsphere.tasks.triplet import semihard_triplet_loss
from deepsphere.tasks.triplet_classification import TripletClassification
from deepsphere.tasks.valid_vertices import (
    batch_mean,
    cross_entropy_loss,
    difference_loss,
    weighted_mean,
    weighted_sums,
)

Task = Classification | TripletClassification | Regression | Segmentation | Forecasting
"""Any task: loss, metrics and a check of the targets."""

TASKS: dict[str, type[Task]] = {
    "classification": Classification,
    "triplet_classification": TripletClassification,
    "regression": Regression,
    "segmentation": Segmentation,
    "forecasting": Forecasting,
}


def task_from_spec(spec: dict[str, Any]) -> Task:
    """Task that the plain values of its `spec` describe.

    Parameters
    ----------
    spec
        What the `spec` of a task gave.

    Returns
    -------
    Classification, TripletClassification, Regression, Segmentation or Forecasting
        An equal task.

    Raises
    ------
    ValueError
        If the name of the task is unknown.

    Examples
    --------
    >>> task_from_spec(Regression(3).spec)
    Regression(num_outputs=3)
    """
    if spec.get("task") not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {spec.get('task')!r}")
    if spec["task"] == "regression":
        described = {
            key: value for key, value in spec.items() if key not in ("task", "num_outputs")
        }
        return Regression(int(spec["num_outputs"]), **described)
    if spec["task"] == "forecasting":
        return Forecasting.from_spec(spec)
    class_names = tuple(spec["class_names"])
    if spec["task"] == "segmentation":
        weights = spec["class_weights"]
        return Segmentation(
            class_names,
            class_weights=None if weights is None else tuple(map(float, weights)),
            averaging=spec["averaging"],
            background=spec["background"],
            sampling=spec["sampling"],
        )
    if spec["task"] == "classification":
        return Classification(class_names)
    return TripletClassification(class_names, spec["triplet_weight"], spec["margin"])


__all__ = [
    "NOT_LABELLED",
    "TASKS",
    "Classification",
    "Forecasting",
    "RankedLists",
    "Regression",
    "RetrievalScores",
    "Segmentation",
    "SegmentationCounts",
    "SegmentationScores",
    "StationScores",
    "Task",
    "TripletClassification",
    "average_precision",
    "average_views",
    "balanced_weights",
    "batch_mean",
    "classification_scores",
    "count_segmentation",
    "cross_entropy_loss",
    "difference_loss",
    "rank_by_class",
    "rank_by_descriptor",
    "rank_by_descriptor_within",
    "read_ranked_lists",
    "relative_change",
    "retrieval_scores",
    "score_shapes",
    "season_error_days",
    "segmentation_scores",
    "semihard_triplet_loss",
    "station_scores",
    "task_from_spec",
    "weighted_mean",
    "weighted_sums",
    "write_ranked_lists",
]
