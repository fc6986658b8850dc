"""Statistics over the vertices: what turns a feature map into features of the whole map.

Each layer maps (*batch, vertices, channels) to (*batch, features), is unchanged when signals and
areas are permuted together, and tells how many features it makes by `num_features(channels)`.
"""

from collections.abc import Callable
from typing import Literal, Protocol, cast, get_args, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

ReadoutName = Literal[
    "mean",
    "variance",
    "meanvar",
    "max",
    "logsumexp",
    "histogram",
    "mean_max",
    "mean_logsumexp",
]


@runtime_checkable
class Readout(Protocol):
    """What maps signals to features: a statistic, or several of them side by side."""

    def num_features(self, channels: int) -> int:
        """The number of features made of signals of that many channels."""
        ...

    def __call__(self, signals: Tensor) -> Tensor:
        """The features (*batch, features) of signals (*batch, vertices, channels)."""
        ...


class VertexWeights(nn.Module):
    """The weights of the vertices in an average: areas divided by their sum, or all equal.

    They are part of the sampling, so they are not saved with the parameters.

    Parameters
    ----------
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,), nonnegative, in any unit; None: equal areas, and any
        number of vertices.

    Raises
    ------
    ValueError
        If an area is negative or not finite, or all are zero; by `forward`, if the signals have
        another number of vertices.

    Examples
    --------
    >>> import numpy as np, torch
    >>> VertexWeights(np.array([1.0, 3.0]))(torch.zeros(5, 2, 7))
    tensor([0.2500, 0.7500])
    """

    weights: Tensor | None

    def __init__(self, areas: Float[np.ndarray, "vertices"] | None = None) -> None:
        super().__init__()
        self._shares = None if areas is None else _shares(areas)
        self._register(torch.get_default_dtype(), torch.device("cpu"))

    def forward(self, signals: Float[Tensor, "*batch vertices channels"]) -> Tensor:
        """The weights (vertices,), of sum 1, for those signals."""
        num_vertices = signals.shape[-2]
        if self.weights is None:
            return signals.new_full((num_vertices,), 1 / num_vertices)
        if num_vertices != self.weights.shape[0]:
            raise ValueError(
                f"signals must have {self.weights.shape[0]} vertices (the number of areas), got "
                f"shape {tuple(signals.shape)}; the layout is (*batch, vertices, channels)"
            )
        return self.weights.to(signals.dtype)

    def _register(self, dtype: torch.dtype, device: torch.device) -> None:
        """Register the weights as an unsaved buffer."""
        weights = self._shares
        if weights is not None:
            weights = torch.as_tensor(weights, dtype=dtype, device=device)
        self.register_buffer("weights", weights, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "VertexWeights":
        """Follow ``.to()``; a new floating type is rounded from float64, not from the old one."""
        before = self.weights
        super()._apply(fn, recurse)
        if self.weights is not None and before is not None and self.weights.dtype != before.dtype:
            self._register(self.weights.dtype, self.weights.device)
        return self


class Mean(nn.Module):
    r"""The average of each channel over the sphere, :math:`\sum_i a_i x_i / \sum_i a_i`.

    Parameters
    ----------
    areas : ndarray, shape (vertices,), optional
        Areas a of the vertices (vertices,); None: equal areas.

    Examples
    --------
    >>> import numpy as np, torch
    >>> Mean(np.array([1.0, 3.0]))(torch.tensor([[[4.0], [8.0]]]))
    tensor([[7.]])
    """

    def __init__(self, areas: Float[np.ndarray, "vertices"] | None = None) -> None:
        super().__init__()
        self.weights = VertexWeights(areas)

    def num_features(self, channels: int) -> int:
        """As many as `channels`."""
        return channels

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """The features of the signals."""
        return torch.einsum("...vc,v->...c", signals, self.weights(signals))


class Variance(nn.Module):
    r"""The variance of each channel over the sphere, :math:`\sum_i w_i (x_i - \bar x)^2`.

    The weights w are the areas divided by their sum: no correction for the degrees of freedom.

    Parameters
    ----------
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,); None: equal areas.

    Examples
    --------
    >>> import torch
    >>> Variance()(torch.tensor([[[1.0], [3.0]]]))
    tensor([[1.]])
    """

    def __init__(self, areas: Float[np.ndarray, "vertices"] | None = None) -> None:
        super().__init__()
        self.weights = VertexWeights(areas)

    def num_features(self, channels: int) -> int:
        """As many as `channels`."""
        return channels

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """The features of the signals."""
        return _weighted_moments(signals, self.weights(signals))[1]


class MeanVariance(nn.Module):
    """The mean and then the variance of each channel over the sphere.

    Parameters
    ----------
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,); None: equal areas.

    Examples
    --------
    >>> import torch
    >>> MeanVariance()(torch.tensor([[[1.0], [3.0]]]))
    tensor([[2., 1.]])
    """

    def __init__(self, areas: Float[np.ndarray, "vertices"] | None = None) -> None:
        super().__init__()
        self.weights = VertexWeights(areas)

    def num_features(self, channels: int) -> int:
        """Twice `channels`."""
        return 2 * channels

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The features of the signals."""
        return torch.cat(_weighted_moments(signals, self.weights(signals)), dim=-1)


class Max(nn.Module):
    """The largest value of each channel.

    Examples
    --------
    >>> import torch
    >>> Max()(torch.tensor([[[1.0, 5.0], [3.0, 2.0]]]))
    tensor([[3., 5.]])
    """

    def num_features(self, channels: int) -> int:
        """As many as `channels`."""
        return channels

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """The features of the signals."""
        return signals.amax(dim=-2)


class LogSumExp(nn.Module):
    r"""A smooth maximum of each channel, :math:`\frac1b \ln \sum_i w_i e^{b x_i}`.

    It lies between the mean (b → 0) and the maximum (b → ∞), gives constants back exactly, and
    depends much less than the maximum on where the vertices lie under a peak. The weights w are
    the areas divided by their sum.

    Parameters
    ----------
    sharpness : float
        The b of the formula, positive; in units of one over the signal.
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,); None: equal areas.

    Raises
    ------
    ValueError
        If the sharpness is not positive.

    Examples
    --------
    >>> import torch
    >>> LogSumExp()(torch.tensor([[[0.0], [1.0], [1.0]]]))
    tensor([[0.9009]])
    """

    def __init__(
        self, sharpness: float = 4.0, areas: Float[np.ndarray, "vertices"] | None = None
    ) -> None:
        super().__init__()
        if not sharpness > 0:
            raise ValueError(
                f"sharpness must be positive, got {sharpness}; use Mean for the limit 0"
            )
        self.sharpness = sharpness
        self.weights = VertexWeights(areas)

    def num_features(self, channels: int) -> int:
        """As many as `channels`."""
        return channels

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch channels"]:
        """The features of the signals."""
        log_weights = self.weights(signals).log().unsqueeze(-1)
        return torch.logsumexp(self.sharpness * signals + log_weights, dim=-2) / self.sharpness


class LearnedHistogram(nn.Module):
    r"""A histogram per channel whose triangular bins are learned.

    Bin j of channel c is

    .. math:: h_{jc} = \frac{1}{s_0} \sum_i w_i \max(0, 1 - |s_{jc}| \, |x_{ic} - m_{jc}|)

    with learned centers m, at first `num_bins` equidistant values over ±`initial_range`, and
    learned slopes s, at first :math:`s_0 = 4 \cdot` `initial_range / num_bins` (0.4 for the
    published 20 bins over ±2). The original calls s "widths" but multiplies by it, as here: a
    bin is 1/|s| wide on each side (2.5 at first), so bins overlap far more than by half.

    Parameters
    ----------
    channels : int
        Number of channels.
    num_bins : int
        Number of bins per channel, at least 2.
    initial_range : float
        Largest center at first, positive, in units of the signal.
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,), from which the weights w of sum 1; None: equal areas.

    Raises
    ------
    ValueError
        If there are fewer than 2 bins or the range is not positive.

    Examples
    --------
    >>> import torch
    >>> LearnedHistogram(3)(torch.zeros(5, 12, 3)).shape
    torch.Size([5, 60])

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019, and its code.
    """

    def __init__(
        self,
        channels: int,
        num_bins: int = 20,
        initial_range: float = 2.0,
        areas: Float[np.ndarray, "vertices"] | None = None,
    ) -> None:
        super().__init__()
        if num_bins < 2:
            raise ValueError(
                f"num_bins must be at least 2, got {num_bins}; use Mean for a single feature"
            )
        if not initial_range > 0:
            raise ValueError(
                f"initial_range must be positive, got {initial_range}; it is the largest center"
            )
        self.num_bins = num_bins
        self.initial_slope = 4 * initial_range / num_bins
        centers = torch.linspace(-initial_range, initial_range, num_bins)
        self.centers = nn.Parameter(centers.repeat(channels, 1))
        self.slopes = nn.Parameter(torch.full((channels, num_bins), self.initial_slope))
        self.weights = VertexWeights(areas)

    def num_features(self, channels: int) -> int:
        """As many as `channels` times the number of bins."""
        return channels * self.num_bins

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The features of the signals."""
        distances = (signals.unsqueeze(-1) - self.centers).abs()
        bins = torch.relu(1 - self.slopes.abs() * distances)
        histogram = torch.einsum("...vcb,v->...cb", bins, self.weights(signals))
        return histogram.flatten(-2) / self.initial_slope


class CombinedReadout(nn.Module):
    """Several statistics of the same signals, one after the other on the feature axis.

    Parameters
    ----------
    *statistics : Module
        The layers, at least one.

    Examples
    --------
    >>> import torch
    >>> CombinedReadout(Mean(), Max())(torch.tensor([[[1.0], [3.0]]]))
    tensor([[2., 3.]])
    """

    def __init__(self, *statistics: nn.Module) -> None:
        super().__init__()
        self.statistics = nn.ModuleList(statistics)

    def num_features(self, channels: int) -> int:
        """The sum of the numbers of features of the statistics."""
        return sum(cast(Readout, part).num_features(channels) for part in self.statistics)

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The features of the signals."""
        return torch.cat([part(signals) for part in self.statistics], dim=-1)


def make_readout(
    name: ReadoutName, channels: int, areas: Float[np.ndarray, "vertices"] | None = None
) -> Readout:
    """The readout of that name.

    Parameters
    ----------
    name : str
        "mean", "variance", "meanvar" (mean and variance), "max", "logsumexp", "histogram"
        (learned), "mean_max" or "mean_logsumexp".
    channels : int
        Number of channels of the signals.
    areas : ndarray, shape (vertices,), optional
        Areas of the vertices (vertices,), by which averages are weighted; None: equal areas.

    Returns
    -------
    Readout
        An `nn.Module` from (*batch, vertices, channels) to (*batch, num_features(channels)).

    Raises
    ------
    ValueError
        If the name is not one of these.

    Examples
    --------
    >>> make_readout("mean_logsumexp", 64).num_features(64)
    128
    """
    if name == "mean":
        return Mean(areas)
    if name == "variance":
        return Variance(areas)
    if name == "meanvar":
        return MeanVariance(areas)
    if name == "max":
        return Max()
    if name == "logsumexp":
        return LogSumExp(areas=areas)
    if name == "histogram":
        return LearnedHistogram(channels, areas=areas)
    if name == "mean_max":
        return CombinedReadout(Mean(areas), Max())
    if name == "mean_logsumexp":
        return CombinedReadout(Mean(areas), LogSumExp(areas=areas))
    raise ValueError(f"readout must be one of {', '.join(get_args(ReadoutName))}, got {name!r}")


def _shares(areas: Float[np.ndarray, "vertices"]) -> Float[np.ndarray, "vertices"]:
    """The areas divided by their sum."""
    if not (np.all(np.isfinite(areas)) and np.all(areas >= 0) and areas.sum() > 0):
        raise ValueError(
            "areas must be finite, nonnegative and not all zero, got values between "
            f"{areas.min()} and {areas.max()}; use None for equal areas"
        )
    return areas / areas.sum()


def _weighted_moments(signals: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """mean and variance (*batch, channels) under weights (vertices,) of sum 1."""
    mean = torch.einsum("...vc,v->...c", signals, weights)
    deviations = signals - mean.unsqueeze(-2)
    return mean, torch.einsum("...vc,v->...c", deviations.square(), weights)
