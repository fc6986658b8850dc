"""Accuracy and F1 scores of a classification, as tables of results report them."""

from jaxtyping import Float, Int
from torch import Tensor


def classification_scores(
    scores: Float[Tensor, "signals classes"], labels: Int[Tensor, "signals"]
) -> dict[str, float]:
    """Accuracy and F1 of the predicted classes, averaged in three ways.

    The predicted class is the one with the largest score. The F1 score of a class is
    2 TP / (2 TP + FP + FN).

    ===========  ================================================================================
    accuracy     share of right predictions
    f1_micro     F1 of the counts of all classes together: the accuracy, as each signal has one
                 label and one prediction
    f1_macro     mean over the classes that are the label or the prediction of some signal
    f1_weighted  mean over the classes weighted by their numbers of labels; the F1 of DeepSphere's
                 table of SHREC'17
    ===========  ================================================================================

    Parameters
    ----------
    scores
        Shape (signals, classes): logits, probabilities, or anything that grows with them.
    labels
        Shape (signals,), in [0, classes).

    Returns
    -------
    dict[str, float]
        accuracy, f1_micro, f1_macro and f1_weighted, each in [0, 1].

    Raises
    ------
    ValueError
        If there is no signal, not one label for each signal, a label is out of range, or a score
        is NaN.

    Examples
    --------
    >>> import torch
    >>> scores = torch.eye(3)[[0, 0, 1, 0]]
    >>> result = classification_scores(scores, torch.tensor([0, 0, 0, 1]))
    >>> {name: round(value, 3) for name, value in result.items()}
    {'accuracy': 0.5, 'f1_micro': 0.5, 'f1_macro': 0.333, 'f1_weighted': 0.5}
    """
    from torchmetrics.functional.classification import multiclass_f1_score

    num_classes = scores.shape[1]
    if labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(
            f"labels must hold one label for each of one or more signals, got {len(labels)} labels "
            f"and {len(scores)} signals"
        )
    if (labels < 0).any() or (labels >= num_classes).any():
        raise ValueError(
            f"labels must be in [0, {num_classes}), the number of classes, got "
            f"{int(labels.min())} to {int(labels.max())}"
        )
    if scores.isnan().any():
        raise ValueError(f"scores must be numbers, got {int(scores.isnan().sum())} NaN")
    predicted = scores.argmax(dim=1)
    result = {"accuracy": float((predicted == labels).double().mean())}
    for average in ("micro", "macro", "weighted"):
        value = multiclass_f1_score(predicted, labels, num_classes, average=average)
        result[f"f1_{average}"] = float(value)
    return result
