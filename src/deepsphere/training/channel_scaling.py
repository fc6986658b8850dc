"""The scaling of channels to zero mean and unit variance, measured once and kept with a model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from deepsphere.data.mesh_projection import ProjectedShapes

# Shapes that mean and standard deviation are measured on: the standard error of the mean is then
# below 3 % of the spread among shapes.
_NUM_MEASURED = 1000
# A channel whose deviation is a smaller part of its largest mean is constant but for rounding.
_SMALLEST_DEVIATION = 1e-6


@dataclass(frozen=True)
class ChannelScaling:
    """Mean and standard deviation by which channels are scaled.

    Parameters
    ----------
    mean, deviation
        One number per channel, the deviations positive.

    Raises
    ------
    ValueError
        If they are not as many, or a deviation is not positive.

    Examples
    --------
    >>> import torch
    >>> scaling = ChannelScaling(mean=(1.0,), deviation=(2.0,))
    >>> scaling.apply(torch.tensor([[5.0], [1.0]])).ravel()
    tensor([2., 0.])
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the numbers."""
        if len(self.mean) != len(self.deviation):
            raise ValueError(
                f"mean and deviation must be as many, got {len(self.mean)} and "
                f"{len(self.deviation)}"
            )
        if not all(deviation > 0 for deviation in self.deviation):
            raise ValueError(f"deviations must be positive, got {self.deviation}")

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint."""
        return {"kind": "channels", "mean": list(self.mean), "deviation": list(self.deviation)}

    @classmethod
    def from_values(cls, values: Mapping[str, Any] | None) -> "ChannelScaling":
        """The scaling that `values` describes.

        Parameters
        ----------
        values
            Entry `normalization` of the metadata of a checkpoint.

        Returns
        -------
        ChannelScaling

        Raises
        ------
        ValueError
            If they describe none.
        """
        if values is None or values.get("kind") != "channels":
            raise ValueError(
                f"normalization must be a scaling of channels, got {values!r}; take the "
                "checkpoint of a network that was trained on scaled signals"
            )
        return cls(tuple(values["mean"]), tuple(values["deviation"]))

    def apply(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The scaled signals.

        Parameters
        ----------
        signals
            With as many channels.

        Returns
        -------
        Float[Tensor, "*batch vertices channels"]
            ``(signals - mean) / deviation``.
        """
        return (signals - signals.new_tensor(self.mean)) / signals.new_tensor(self.deviation)

    def undo(self, scaled: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
        """The signals, or the quantities, that were scaled.

        Parameters
        ----------
        scaled
            With as many channels.

        Returns
        -------
        Float[Tensor, "*batch channels"]
            ``scaled * deviation + mean``.
        """
        return scaled * scaled.new_tensor(self.deviation) + scaled.new_tensor(self.mean)


def measure_scaling(projected: ProjectedShapes) -> ChannelScaling:
    """Mean and standard deviation of the channels over shapes and vertices.

    Parameters
    ----------
    projected
        At least one shape; the first view of up to 1,000 of them, evenly chosen, is measured.

    Returns
    -------
    ChannelScaling
    """
    num_shapes = len(projected)
    chosen = np.unique(np.linspace(0, num_shapes - 1, min(num_shapes, _NUM_MEASURED)).round())
    return measure_signals(projected.signal(index, 0) for index in chosen.astype(int).tolist())


def measure_signals(signals: Iterable[Float[np.ndarray, "vertices channels"]]) -> ChannelScaling:
    """Mean and standard deviation of the channels over signals and vertices.

    Parameters
    ----------
    signals
        One or more, of equal shape, read one after the other.

    Returns
    -------
    ChannelScaling
        The deviation of a channel that is constant is 1: it is only shifted.

    Examples
    --------
    >>> measure_signals([np.array([[1.0], [3.0]]), np.array([[5.0], [7.0]])])
    ChannelScaling(mean=(4.0,), deviation=(2.23606797749979,))
    """
    means, variances = [], []
    for signal in signals:
        means.append(signal.mean(axis=0, dtype=np.float64))
        variances.append(signal.var(axis=0, dtype=np.float64))
    mean = np.mean(means, axis=0)
    # within the signals and among them: nothing cancels, however far the mean is from zero
    deviation = np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))
    is_constant = deviation <= _SMALLEST_DEVIATION * np.abs(means).max(axis=0)
    deviation = np.where(is_constant, 1.0, deviation)
    return ChannelScaling(tuple(mean.tolist()), tuple(deviation.tolist()))
