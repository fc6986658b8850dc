"""From the outputs of a network to ranked lists and scores, among all shapes that there are."""

from typing import Literal

import numpy as np
import torch

from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.data.shapes import ShapeSet
from deepsphere.experiments.shapes_record import ShapesScore
from deepsphere.tasks import (
    Classification,
    RankedLists,
    RetrievalScores,
    average_views,
    classification_scores,
    rank_by_class,
    rank_by_descriptor,
    score_shapes,
)
from deepsphere.training import ShapeOutputs

Ranking = Literal["class", "descriptor"]


def rank_outputs(
    outputs: ShapeOutputs, projected: ProjectedShapes, shapes: ShapeSet, *, by: Ranking
) -> RankedLists:
    """Ranked lists of the shapes that could be projected, in the numbers of all of them.

    A shape that was skipped is in no list and missing in all, as one that a system did not
    retrieve: scores do not profit from what could not be read.

    Parameters
    ----------
    outputs
        Of the projected shapes.
    projected
        Those of `shapes` that could be projected.
    shapes
        All.
    by
        The predicted class, or the distance of the descriptors.

    Returns
    -------
    RankedLists
    """
    if by == "class":
        lists = rank_by_class(average_views(outputs.logits.numpy(), mean="arithmetic"))
    else:
        lists = rank_by_descriptor(outputs.mean_descriptors.numpy())
    places = {shape.name: place for place, shape in enumerate(shapes.shapes)}
    kept = np.array([places[shape.name] for shape in projected.shapes.shapes], np.int64)
    return lists.renumber(kept, num_shapes=len(shapes))


def score_outputs(
    outputs: ShapeOutputs, projected: ProjectedShapes, shapes: ShapeSet
) -> ShapesScore:
    """The scores of the outputs for labelled shapes.

    Parameters
    ----------
    outputs
        Of the projected shapes.
    projected
        Those of `shapes` that could be projected.
    shapes
        All that should have been: the skipped ones are missing in the ranked lists.

    Returns
    -------
    ShapesScore
        In %.
    """
    labels = torch.from_numpy(projected.labels)
    num_views = outputs.logits.shape[1]
    each_label = labels.repeat_interleave(num_views)
    logits = outputs.logits.flatten(0, 1)
    values = classification_scores(logits, each_label)
    by_class = rank_outputs(outputs, projected, shapes, by="class")
    by_descriptor = rank_outputs(outputs, projected, shapes, by="descriptor")
    confusion = Classification(shapes.classes).confusion_matrix(logits, each_label)
    return ShapesScore(
        accuracy=100 * values["accuracy"],
        weighted_f1=100 * values["f1_weighted"],
        macro_f1=100 * values["f1_macro"],
        retrieval=percent(score_shapes(by_class, shapes)),
        by_descriptor=percent(score_shapes(by_descriptor, shapes)),
        confusion=confusion.tolist(),
    )


def percent(scores: RetrievalScores) -> dict[str, dict[str, float]]:
    """Both averages in %.

    Parameters
    ----------
    scores
        In [0, 1].

    Returns
    -------
    dict
        By ``"micro"`` and ``"macro"``, then by the name of the score.
    """
    return {
        average: {name: 100 * value for name, value in values.items()}
        for average, values in (("micro", scores.micro), ("macro", scores.macro))
    }
