"""Scores of a trained classifier on images of the sphere, upright and rotated."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepsphere.data import ImageSplit, evaluation_rotations, stereographic_signals
from deepsphere.data.transforms import Fit
from deepsphere.sampling.protocol import Sampling
from deepsphere.tasks import Classification, relative_change


@dataclass(frozen=True, eq=False)
class ClassifierScores:
    """How well a classifier does on one set of images.

    Parameters
    ----------
    accuracy
        Share of right answers, in [0, 1].
    macro_f1
        Mean over classes of the F1 score, in [0, 1].
    confusion
        Counts, true class in the row, predicted class in the column.
    change
        Mean |f(Rx) − f(x)| / |f(x)| of the logits; None for images that were not rotated.
    """

    accuracy: float
    macro_f1: float
    confusion: Int[np.ndarray, "classes classes"]
    change: float | None


def evaluate_classifier(
    model: nn.Module,
    split: ImageSplit,
    sampling: Sampling,
    *,
    cap_deg: float = 90.0,
    fit: Fit = "edges",
    rotations_per_image: int = 3,
    batch_size: int = 128,
) -> tuple[ClassifierScores, ClassifierScores]:
    """Scores on the images as they are, and on the images under fixed random rotations.

    Every image is rotated `rotations_per_image` times; the rotations are those of
    `evaluation_rotations`, the same for every model.

    Parameters
    ----------
    model
        Maps (batch, vertices, 1) to (batch, classes); its mode is put back afterwards.
    split
        Images and labels.
    sampling
        Where the model takes its signals.
    cap_deg, fit
        Where on the sphere the images lie; see `stereographic_signals`.
    rotations_per_image
        At least one.
    batch_size
        Signals in a batch.

    Returns
    -------
    upright, rotated : ClassifierScores
        The second with the change of the logits.

    Raises
    ------
    ValueError
        If `rotations_per_image` is less than one or the model has not one output per class.
    """
    if rotations_per_image < 1:
        raise ValueError(f"rotations_per_image must be at least 1, got {rotations_per_image}")
    parameter = next(model.parameters(), torch.zeros(0))
    points = torch.tensor(sampling.points, dtype=parameter.dtype, device=parameter.device)
    images = torch.tensor(split.images, dtype=parameter.dtype)
    rotations = evaluation_rotations(len(split), per_image=rotations_per_image)
    views = [None, *torch.tensor(rotations, dtype=parameter.dtype).unbind(dim=1)]

    def logits_of(view: Tensor | None) -> Float[Tensor, "images classes"]:
        """Logits of all images under one rotation each."""
        outputs = []
        for start in range(0, len(images), batch_size):
            piece = slice(start, start + batch_size)
            signals = stereographic_signals(
                images[piece].to(points.device),
                points,
                None if view is None else view[piece],
                cap_deg=cap_deg,
                fit=fit,
            )
            outputs.append(model(signals).cpu())
        return torch.cat(outputs)

    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            upright, *rotated = [logits_of(view) for view in views]
    finally:
        model.train(was_training)
    labels = torch.tensor(split.labels, dtype=torch.int64)
    task = Classification(split.classes)
    task.check_targets(upright, labels)
    change = relative_change(torch.cat(rotated), upright.repeat(rotations_per_image, 1))
    return (
        _score(task, upright, labels, None),
        _score(task, torch.cat(rotated), labels.repeat(rotations_per_image), change),
    )


def _score(
    task: Classification, logits: Tensor, labels: Tensor, change: float | None
) -> ClassifierScores:
    """Scores of the logits of many signals."""
    metrics = task.metrics()
    task.update_metrics(metrics, logits, labels)
    values = {name: float(value) for name, value in metrics.compute().items()}
    confusion = task.confusion_matrix(logits, labels).numpy()
    return ClassifierScores(values["accuracy"], values["macro_f1"], confusion, change)
