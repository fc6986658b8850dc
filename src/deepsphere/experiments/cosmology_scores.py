"""How well outputs for patches tell what the maps are of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.map_sets import PARAMETER_NAMES

ACCURACY = "accuracy"
MAP_ACCURACY = "accuracy of whole maps"


@dataclass(frozen=True)
class ScoreName:
    """A score as it is printed.

    Parameters
    ----------
    name
        One of those that the functions below give.
    unit
        "%", or empty.
    is_higher_better
        Which side is the right one.
    """

    name: str
    unit: str
    is_higher_better: bool


CLASS_SCORES = (ScoreName(ACCURACY, "%", True), ScoreName(MAP_ACCURACY, "%", True))
PARAMETER_SCORES = tuple(
    ScoreName(f"{score} {name}", "", score == "R²")
    for name in PARAMETER_NAMES
    for score in ("RMSE", "MAE", "R²")
)

CALIBRATION_SCORES = tuple(ScoreName(f"χ² {name}", "", False) for name in PARAMETER_NAMES)
"""Of networks that say how sure they are; 1 where they are right about it."""


def score_classes(
    logits: Float[np.ndarray, "patches classes"],
    labels: Int[np.ndarray, "patches"],
    *,
    num_patches: int,
) -> tuple[dict[str, float], list[list[int]]]:
    """Accuracy of patches, and of maps by the mean of the logits of their patches.

    Parameters
    ----------
    logits
        Shape (patches, classes); the patches of a map one after the other.
    labels
        True classes, shape (patches,).
    num_patches
        Of each map.

    Returns
    -------
    scores : dict
        In %, under `ACCURACY` and `MAP_ACCURACY`.
    confusion : list of list of int
        Of patches; rows are the true classes.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 3.0]])
    >>> score_classes(logits, np.array([0, 0, 1, 1]), num_patches=2)[0]
    {'accuracy': 75.0, 'accuracy of whole maps': 100.0}
    """
    predicted = logits.argmax(axis=1)
    of_maps = logits.reshape(-1, num_patches, logits.shape[1]).mean(axis=1).argmax(axis=1)
    confusion = np.zeros((logits.shape[1], logits.shape[1]), int)
    np.add.at(confusion, (labels, predicted), 1)
    scores = {
        ACCURACY: 100 * float((predicted == labels).mean()),
        MAP_ACCURACY: 100 * float((of_maps == labels[::num_patches]).mean()),
    }
    return scores, confusion.tolist()


def score_parameters(
    predicted: Float[np.ndarray, "patches quantities"],
    true: Float[np.ndarray, "patches quantities"],
    *,
    names: Sequence[str],
    deviations: Float[np.ndarray, "patches quantities"] | None = None,
) -> dict[str, float]:
    """Errors of each quantity over the patches, and the part of its variance that is explained.

    Parameters
    ----------
    predicted, true
        Shape (patches, quantities), in physical units.
    names
        Of the quantities.
    deviations
        Standard deviations of the errors as they were predicted.

    Returns
    -------
    dict
        Root mean squared error, mean absolute error and coefficient of determination by name;
        where deviations are given also χ², the mean of squared errors over predicted variances.

    Examples
    --------
    >>> score_parameters(np.array([[1.0], [3.0]]), np.array([[0.0], [4.0]]), names=["x"])
    {'RMSE x': 1.0, 'MAE x': 1.0, 'R² x': 0.75}
    """
    error = predicted - true
    scores = {}
    for index, name in enumerate(names):
        squared = float((error[:, index] ** 2).mean())
        scores[f"RMSE {name}"] = squared**0.5
        scores[f"MAE {name}"] = float(np.abs(error[:, index]).mean())
        scores[f"R² {name}"] = 1 - squared / float(true[:, index].var())
        if deviations is not None:
            scores[f"χ² {name}"] = float(((error / deviations)[:, index] ** 2).mean())
    return scores
