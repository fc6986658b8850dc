"""Classification whose descriptors are drawn together within a class: for retrieval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor

from deepsphere.tasks.classification import Classification
from deepsphere.tasks.triplet import semihard_triplet_loss

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass(frozen=True)
class TripletClassification:
    """The task of telling classes, with descriptors that are nearer within a class than across.

    The loss is cross-entropy plus a multiple of the semi-hard triplet loss on the descriptors,
    which are what the last dense layer of a model takes (`describe` of the classifiers).

    Parameters
    ----------
    class_names
        Name of each class, at least two, all different.
    triplet_weight
        Factor of the triplet loss, positive.
    margin
        By how much the squared distance to another class shall be larger, positive.

    Raises
    ------
    ValueError
        If the names do not make a classification or a number is not positive.

    Examples
    --------
    >>> TripletClassification(("chair", "table")).num_classes
    2

    References
    ----------
    Schroff, Kalenichenko, Philbin, "FaceNet: a unified embedding for face recognition and
    clustering", CVPR 2015.
    """

    class_names: tuple[str, ...]
    triplet_weight: float = 1.0
    margin: float = 1.0

    def __post_init__(self) -> None:
        """Check names and numbers."""
        Classification(self.class_names)
        for name in ("triplet_weight", "margin"):
            if not getattr(self, name) > 0:
                raise ValueError(
                    f"{name} must be positive, got {getattr(self, name)}; use Classification to "
                    "do without triplets"
                )

    @property
    def classification(self) -> Classification:
        """The same task without triplets, by which it is judged."""
        return Classification(self.class_names)

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
        return {
            "task": "triplet_classification",
            "class_names": list(self.class_names),
            "triplet_weight": self.triplet_weight,
            "margin": self.margin,
        }

    def loss(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
        *,
        descriptors: Float[Tensor, "batch features"],
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy, plus the weighted triplet loss of the batch.

        Parameters
        ----------
        logits
            Shape (batch, classes).
        labels
            Shape (batch,), in [0, classes).
        descriptors
            Shape (batch, features), of any length: the triplet loss normalizes them.

        Returns
        -------
        Float[Tensor, ""]
            In nats.
        """
        triplets = semihard_triplet_loss(descriptors, labels, margin=self.margin)
        return self.classification.loss(logits, labels) + self.triplet_weight * triplets

    def check_targets(self, logits: Float[Tensor, "..."], labels: Int[Tensor, "..."]) -> None:
        """Raise unless the labels are classes; see `Classification.check_targets`."""
        self.classification.check_targets(logits, labels)

    def metrics(self) -> "MetricCollection":
        """Accuracy and macro_f1; see `Classification.metrics`."""
        return self.classification.metrics()

    def update_metrics(
        self,
        metrics: "MetricCollection",
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
    ) -> None:
        """Take a batch into account; see `Classification.update_metrics`."""
        self.classification.update_metrics(metrics, logits, labels)
