"""Classification of whole signals: loss, metrics, checks, and the effect of rotations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass(frozen=True)
class Classification:
    """The task of telling to which of several classes a signal belongs.

    Parameters
    ----------
    class_names
        Name of each class, at least two, all different.

    Raises
    ------
    ValueError
        If there are fewer than two classes or a name is repeated.

    Examples
    --------
    >>> task = Classification(("sea", "land"))
    >>> round(task.loss(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0])).item(), 4)  # ln 2
    0.6931
    """

    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the names."""
        if len(self.class_names) < 2:
            raise ValueError(f"class_names must be two or more, got {len(self.class_names)}")
        repeated = {name for name in self.class_names if self.class_names.count(name) > 1}
        if repeated:
            raise ValueError(
                f"class_names must be different, got {', '.join(sorted(repeated))} more than once"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def num_model_outputs(self) -> int:
        """Number of outputs of a model for the task, its `out_channels`: one for each class."""
        return self.num_classes

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values that rebuild the task with `tasks.task_from_spec`."""
        return {"task": "classification", "class_names": list(self.class_names)}

    def loss(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy −log softmax(logits)[label], in nats.

        Parameters
        ----------
        logits
            Shape (batch, classes).
        labels
            Shape (batch,), in [0, classes).

        Returns
        -------
        Float[Tensor, ""]
            The mean over the batch.
        """
        return torch.nn.functional.cross_entropy(logits, labels)

    def check_targets(self, logits: Float[Tensor, "..."], labels: Int[Tensor, "..."]) -> None:
        """Raise unless the labels are classes, one for each row of logits.

        Parameters
        ----------
        logits
            What the model made, shape (batch, classes).
        labels
            Shape (batch,), in [0, classes).

        Raises
        ------
        ValueError
            If a shape or a label does not fit.
        """
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise ValueError(
                f"logits must have shape (batch, {self.num_classes}), one for each class, got "
                f"{tuple(logits.shape)}; build the model with out_channels={self.num_classes}"
            )
        if labels.shape != logits.shape[:1]:
            raise ValueError(
                f"labels must have shape ({len(logits)},), one for each signal, "
                f"got {tuple(labels.shape)}"
            )
        is_outside = (labels < 0) | (labels >= self.num_classes)
        if is_outside.any():
            index = int(is_outside.int().argmax())
            raise ValueError(
                f"labels must be in [0, {self.num_classes}), the number of classes, "
                f"got {int(labels[index])} at index {index} of the batch"
            )

    def metrics(self) -> "MetricCollection":
        """Accuracy (share of right labels) and macro_f1 (mean over classes of the F1 score).

        Returns
        -------
        torchmetrics.MetricCollection
            Fresh metrics, to be fed by `update_metrics`.
        """
        from torchmetrics import MetricCollection
        from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(self.num_classes, average="micro"),
                "macro_f1": MulticlassF1Score(self.num_classes, average="macro"),
            }
        )

    def update_metrics(
        self,
        metrics: "MetricCollection",
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        metrics
            What `metrics` made; updated in place, which is what it is for.
        logits
            Shape (batch, classes).
        labels
            Shape (batch,).
        """
        metrics.update(logits, labels)

    def confusion_matrix(
        self, logits: Float[Tensor, "signals classes"], labels: Int[Tensor, "signals"]
    ) -> Int[Tensor, "classes classes"]:
        """Counts of signals, with the true class in the row and the predicted in the column.

        Parameters
        ----------
        logits
            Shape (signals, classes).
        labels
            Shape (signals,).

        Returns
        -------
        Int[Tensor, "classes classes"]
            Counts, summing to the number of signals.
        """
        from torchmetrics.functional.classification import multiclass_confusion_matrix

        return multiclass_confusion_matrix(logits, labels, self.num_classes)


def relative_change(
    rotated: Float[Tensor, "*batch outputs"], reference: Float[Tensor, "*batch outputs"]
) -> float:
    """Mean of |f(Rx) − f(x)| / |f(x)|: how much a rotation of the input changes the outputs.

    It is zero for an invariant model, and about √2 for outputs that are unrelated.

    Parameters
    ----------
    rotated
        Outputs for the rotated signals, shape (*batch, outputs).
    reference
        Outputs for the signals as they were, of the same shape.

    Returns
    -------
    float
        Mean over the batch of the Euclidean norms' ratio.

    Raises
    ------
    ValueError
        If the shapes differ or a reference output is zero.

    Examples
    --------
    >>> relative_change(torch.tensor([[3.0, 4.5]]), torch.tensor([[3.0, 4.0]]))
    0.1
    """
    norms = torch.linalg.vector_norm(reference.double(), dim=-1)
    if not (norms > 0).all():
        raise ValueError(
            f"reference must have no zero outputs, got {int((norms == 0).sum())} of "
            f"{norms.numel()} that are zero; the relative change is not defined there"
        )
    change = torch.linalg.vector_norm(rotated.double() - reference.double(), dim=-1)
    return float((change / norms).mean())
