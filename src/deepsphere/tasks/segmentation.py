"""Segmentation of signals: a class at every vertex, with classes of very different sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from jaxtyping import Float, Int, Num
from torch import Tensor

from deepsphere.sampling import sampling_from_spec
from deepsphere.tasks.classification import Classification
from deepsphere.tasks.segmentation_scores import count_segmentation
from deepsphere.tasks.valid_vertices import Averaging, areas_like, cross_entropy_loss

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

NOT_LABELLED = -1
"""The label of a vertex whose class is not known: it counts nowhere."""


@dataclass(frozen=True)
class Segmentation:
    r"""The task of telling to which of several classes each vertex of a signal belongs.

    The loss is the cross-entropy. With the weight w of each class and the negative logarithm l of
    the probability of the label y of a vertex, its mean over the labelled vertices i is

    ============  ==================================================================================
    averaging
    ============  ==================================================================================
    ``vertices``  :math:`\sum_i w_{y_i} l_i / \sum_i 1`: weights make gradients larger (the
                  published code of DeepSphere)
    ``weights``   :math:`\sum_i w_{y_i} l_i / \sum_i w_{y_i}`: the cross-entropy of torch, where
                  only ratios of weights count (Jiang et al.)
    ============  ==================================================================================

    Parameters
    ----------
    class_names
        Name of each class, at least two, all different.
    class_weights
        Of each class, positive; None: ones.
    averaging
        What the sum is divided by, see above; of no effect without weights.
    background
        Index of the class that is no event, whose average precision does not count; None: all do.
    sampling
        Specification of the sampling by whose areas the vertices weigh, in loss and scores; None:
        all vertices weigh the same.

    Raises
    ------
    ValueError
        If there are fewer than two classes, a name is repeated, there is not one positive weight
        for each class, the averaging is not one of these, the background is no class, or there is
        no such sampling.

    Examples
    --------
    >>> import torch
    >>> task = Segmentation(("sea", "land"), class_weights=(1.0, 3.0))
    >>> labels = torch.tensor([[0, 1, 1, -1]])
    >>> round(task.loss(torch.zeros(1, 4, 2), labels).item(), 4)  # 7 / 3 ln 2
    1.6173

    References
    ----------
    Jiang et al., "Spherical CNNs on unstructured grids", 2019; Defferrard, Milani, Gusset and
    Perraudin, "DeepSphere: a graph-based spherical CNN", 2020, section 4.3.
    """

    class_names: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None
    averaging: Averaging = "vertices"
    background: int | None = 0
    sampling: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        Classification(self.class_names)  # the same rules for names
        if self.averaging not in get_args(Averaging):
            raise ValueError(
                f"averaging must be one of {', '.join(get_args(Averaging))}, got {self.averaging!r}"
            )
        weights = self.class_weights
        if weights is not None:
            if len(weights) != self.num_classes:
                raise ValueError(
                    f"class_weights must be as many as the classes ({self.num_classes}), got "
                    f"{len(weights)}"
                )
            if not all(math.isfinite(weight) and weight > 0 for weight in weights):
                raise ValueError(f"class_weights must be finite and positive, got {weights}")
        if self.background is not None and not 0 <= self.background < self.num_classes:
            raise ValueError(
                f"background must be in [0, {self.num_classes}), the number of classes, or None, "
                f"got {self.background}"
            )
        if self.sampling is not None:
            sampling_from_spec(self.sampling)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def num_model_outputs(self) -> int:
        """Number of outputs of a model for the task, its `out_channels`: one for each class."""
        return self.num_classes

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the classes that are not the background."""
        return tuple(
            name for index, name in enumerate(self.class_names) if index != self.background
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values that rebuild the task with `tasks.task_from_spec`."""
        weights = self.class_weights
        return {
            "task": "segmentation",
            "class_names": list(self.class_names),
            "class_weights": None if weights is None else list(weights),
            "averaging": self.averaging,
            "background": self.background,
            "sampling": self.sampling,
        }

    def loss(
        self,
        logits: Float[Tensor, "*batch vertices classes"],
        labels: Int[Tensor, "*batch vertices"],
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy over the labelled vertices, in nats.

        Parameters
        ----------
        logits
            Shape (batch, vertices, classes).
        labels
            Shape (batch, vertices), in [0, classes), or −1 where nothing is labelled.

        Returns
        -------
        Float[Tensor, ""]
            See `Segmentation`; 0 where no vertex is labelled.
        """
        weights = self.class_weights
        return cross_entropy_loss(
            logits,
            labels,
            class_weights=None if weights is None else logits.new_tensor(weights),
            averaging=self.averaging,
            areas=self.areas_like(logits),
        )

    def areas_like(
        self, logits: Float[Tensor, "*batch vertices classes"]
    ) -> Float[Tensor, "vertices"] | None:
        """By what the vertices weigh, where the outputs are; None where all weigh the same.

        Parameters
        ----------
        logits
            Shape (batch, vertices, classes).

        Returns
        -------
        Float[Tensor, "vertices"] or None
            Areas, in the whole sampling of mean one.
        """
        return areas_like(logits, self.sampling)

    def check_targets(self, logits: Float[Tensor, "..."], labels: Int[Tensor, "..."]) -> None:
        """Raise unless the labels are classes or −1, one for each vertex with outputs.

        Parameters
        ----------
        logits
            What the model made, shape (batch, vertices, classes).
        labels
            Shape (batch, vertices).

        Raises
        ------
        ValueError
            If a shape or a label does not fit.
        """
        if logits.ndim != 3 or logits.shape[2] != self.num_classes:
            raise ValueError(
                f"logits must have shape (batch, vertices, {self.num_classes}), one for each class "
                f"at every vertex, got {tuple(logits.shape)}; take a model with an output at every "
                f"vertex, as UNet, with out_channels={self.num_classes}"
            )
        if labels.shape != logits.shape[:2]:
            raise ValueError(
                f"labels must have shape {tuple(logits.shape[:2])}, one for each vertex, got "
                f"{tuple(labels.shape)}"
            )
        is_outside = (labels < NOT_LABELLED) | (labels >= self.num_classes)
        if is_outside.any():
            signal, vertex = (int(i) for i in is_outside.nonzero()[0])
            raise ValueError(
                f"labels must be in [0, {self.num_classes}), the number of classes, or "
                f"{NOT_LABELLED} where nothing is labelled, got {int(labels[signal, vertex])} at "
                f"vertex {vertex} of signal {signal} of the batch"
            )

    def metrics(self) -> "MetricCollection":
        """Mean recall and mean average precision over all vertices of an epoch.

        =================  =========================================================================
        accuracy           mean over the classes of the share of their vertices that are found,
                           which is published as accuracy
        average_precision  mean over the classes but the background; from counts, as of
                           `SegmentationCounts`
        =================  =========================================================================

        Returns
        -------
        torchmetrics.MetricCollection
            Fresh metrics, to be fed by `update_metrics`.
        """
        from deepsphere.tasks.segmentation_metrics import segmentation_metrics

        return segmentation_metrics(num_classes=self.num_classes, background=self.background)

    def update_metrics(
        self,
        metrics: "MetricCollection",
        logits: Float[Tensor, "batch vertices classes"],
        labels: Int[Tensor, "batch vertices"],
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        metrics
            What `metrics` made; updated in place, which is what it is for.
        logits
            Shape (batch, vertices, classes).
        labels
            Shape (batch, vertices).
        """
        metrics.update(logits, labels, areas=self.areas_like(logits))

    def confusion_matrix(
        self,
        logits: Float[Tensor, "*batch vertices classes"],
        labels: Int[Tensor, "*batch vertices"],
    ) -> Int[Tensor, "classes classes"]:
        """Counts of labelled vertices, true class in the row and predicted class in the column.

        Parameters
        ----------
        logits
            Shape (batch, vertices, classes).
        labels
            Shape (batch, vertices).

        Returns
        -------
        Int[Tensor, "classes classes"]
            Counts, summing to the number of labelled vertices.
        """
        return count_segmentation(logits, labels).confusion.long()

    def probabilities(
        self, logits: Float[np.ndarray, "*batch classes"]
    ) -> Float[np.ndarray, "*batch classes"]:
        """The probability of each class, the softmax of the logits.

        With class weights they are those of a world in which the classes occur by their weights:
        rare ones come out far too likely, and are to be ranked rather than believed.

        Parameters
        ----------
        logits
            Shape (*batch, classes).

        Returns
        -------
        Float[np.ndarray, "*batch classes"]
            In the type of the logits; they sum to 1.
        """
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)


def balanced_weights(
    counts: Num[np.ndarray, "classes"] | Sequence[int] | Sequence[float],
) -> tuple[float, ...]:
    """Weights by which all classes weigh the same in a mean: n / (number of classes · count).

    Parameters
    ----------
    counts
        Number of vertices of each class, n in all.

    Returns
    -------
    tuple of float

    Raises
    ------
    ValueError
        If a class has none.

    Examples
    --------
    >>> balanced_weights([90, 10])
    (0.5555555555555556, 5.0)
    """
    numbers = np.asarray(counts, np.float64)
    if not (numbers > 0).all():
        raise ValueError(
            f"counts must be positive for each class, got {[float(number) for number in numbers]}; "
            "take more maps, or weights of your own"
        )
    return tuple(float(weight) for weight in numbers.sum() / (len(numbers) * numbers))
