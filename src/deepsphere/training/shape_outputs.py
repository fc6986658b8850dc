"""What a classifier makes of shapes, view by view: logits and descriptors."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.training.channel_scaling import ChannelScaling


@dataclass(frozen=True, eq=False)
class ShapeOutputs:
    """Outputs of a classifier for every view of every shape.

    Parameters
    ----------
    logits
        Shape (shapes, views, classes).
    descriptors
        What the last dense layer took, shape (shapes, views, features).
    """

    logits: Float[Tensor, "shapes views classes"]
    descriptors: Float[Tensor, "shapes views features"]

    @property
    def mean_descriptors(self) -> Float[Tensor, "shapes features"]:
        """Descriptors, averaged over the views of a shape."""
        return self.descriptors.double().mean(dim=1)


def compute_outputs(
    model: nn.Module,
    projected: ProjectedShapes,
    scaling: ChannelScaling,
    *,
    batch_size: int = 32,
    progress: bool = False,
) -> ShapeOutputs:
    """Outputs of a classifier for every view of every shape, in evaluation mode.

    Parameters
    ----------
    model
        A classifier with `describe` and `classify`, on the sampling of the shapes; its mode is put
        back afterwards.
    projected
        At least one shape.
    scaling
        Of the channels, as in training.
    batch_size
        Signals in memory of the device at a time.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    ShapeOutputs
        On the CPU, float32.

    Raises
    ------
    ValueError
        If there is no shape or no positive batch size.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if not len(projected):
        raise ValueError("projected must hold at least one shape, got none; see what was skipped")
    num_views = projected.num_views
    num_signals = len(projected) * num_views
    starts: Iterable[int] = range(0, num_signals, batch_size)
    if progress:
        from deepsphere.training.progress import track

        starts = track(starts, "describing shapes", total=-(-num_signals // batch_size))
    classifier: Any = model
    parameter = next(model.parameters(), torch.zeros(0))
    logits, descriptors = [], []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for start in starts:
                indices = range(start, min(start + batch_size, num_signals))
                signals = np.stack([projected.signal(*divmod(i, num_views)) for i in indices])
                scaled = scaling.apply(torch.from_numpy(signals).to(parameter))
                described = classifier.describe(scaled)
                descriptors.append(described.float().cpu())
                logits.append(classifier.classify(described).float().cpu())
    finally:
        model.train(was_training)
    return ShapeOutputs(
        logits=torch.cat(logits).unflatten(0, (len(projected), num_views)),
        descriptors=torch.cat(descriptors).unflatten(0, (len(projected), num_views)),
    )
