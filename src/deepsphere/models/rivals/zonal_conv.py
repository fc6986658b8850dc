"""Convolutions with zonal filters that are defined by their spectrum, on maps of two branches."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from deepsphere.models.rivals.rounded_arrays import RoundedArrays
from deepsphere.models.rivals.sphere_transform import (
    SphereTransform,
    analyze_columns,
    legendre_functions,
    quadrature_weights,
    real_waves,
    ring_colatitudes,
)

BatchOrNone = Literal["batch", "none"]
PreluOrNone = Literal["prelu", "none"]

INITIAL_SLOPE = 0.1  # of the rectifier, as in the authors' code
EPSILON = 1e-5  # added to variances, as in torch's batch normalization
MOMENTUM = 0.1  # of the running averages, as there
CONSTANT = math.sqrt(4 * math.pi)  # the coefficient of degree 0 of the map that is 1


class AveragedAnalysis(nn.Module):
    r"""The harmonic coefficients of a map after weighted average pooling of 2 by 2 points.

    The pooled map has the mean of four points, weighted by the sine of their colatitudes, and is
    a map on the grid of half the bandwidth. Both steps are linear along the rings and along the
    meridians, so that their product costs one analysis. Because the grid is exact only for
    pointwise values, not for means of cells, this is equivariant up to an error of its own.

    Parameters
    ----------
    bandwidth : int, even
        Of the map before it is pooled.

    Examples
    --------
    >>> ones = torch.ones(8, 8, 1)
    >>> coefficients = AveragedAnalysis(4).analyze_columns(ones)
    >>> coefficients.shape, round(coefficients[0, 0].item() ** 2 / torch.pi, 4)
    (torch.Size([4, 2, 1]), 4.0)
    """

    def __init__(self, bandwidth: int) -> None:
        super().__init__()
        self.fixed = RoundedArrays(partial(_averaged_matrices, bandwidth))

    def analyze_columns(
        self, columns: Float[Tensor, "meridians rings columns"]
    ) -> Float[Tensor, "waves degrees columns"]:
        """The coefficients, as `SphereTransform.analyze_columns` gives those of the pooled map."""
        return analyze_columns(columns, self.fixed["waves"], self.fixed["legendre"])


class ZonalConv(nn.Module):
    r"""A convolution of two branches of features with zonal filters, then what follows it.

    .. math:: h_{lm,o} = 2 \pi \sqrt{\frac{4 \pi}{2 l + 1}} \sum_i \hat f_{lm,i} \, \hat k_{l,io}

    (Driscoll and Healy's theorem), for coefficients of harmonics that are orthonormal. The
    spectrum :math:`\hat k` of each filter is interpolated linearly between few anchors that are
    spread evenly over the degrees: being smooth, it belongs to a filter that is localized.

    The channels of both branches lie side by side, so that one transform serves both and one
    product of matrices per degree all pairs of channels. Normalization is done in the spectrum
    too: the mean of a channel is in its coefficient of degree 0, and by Parseval's theorem its
    variance is the sum of the squares of all others. That is batch normalization with the
    averages over the grid weighted by area; unweighted ones, as in the authors' code, count the
    surroundings of the poles many times and depend on the rotation of the map.

    Parameters
    ----------
    transform : SphereTransform
        Synthesis of the output; its degrees are those of the filters.
    rows : two sequences of int
        Input channels that the first branch takes, and those of the second.
    in_channels : int
        Of both branches together.
    out_channels : int
        Of each branch.
    num_anchors : int
        Not more than there are degrees are used.
    normalization : "batch" or "none"
        With a learned shift, without a learned scale; "none" has the shift only.
    activation : "prelu" or "none"
        With one slope per channel, of initially 0.1.

    References
    ----------
    Driscoll and Healy (1994), Computing Fourier transforms and convolutions on the 2-sphere,
    theorem 1; Esteves, Allen-Blanchette, Makadia and Daniilidis (2018), "Learning SO(3)
    equivariant representations with spherical CNNs", section 4.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        transform: SphereTransform,
        *,
        rows: tuple[Sequence[int], Sequence[int]],
        in_channels: int,
        out_channels: int,
        num_anchors: int,
        normalization: BatchOrNone = "batch",
        activation: PreluOrNone = "prelu",
    ) -> None:
        super().__init__()
        self.transform = transform
        self.rows = tuple(_as_slice(indices) for indices in rows)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.normalized = normalization == "batch"
        num_degrees = transform.max_degree + 1
        num_anchors = min(num_anchors, num_degrees)
        self.first = nn.Parameter(torch.empty(num_anchors, len(rows[0]), out_channels))
        self.second = nn.Parameter(torch.empty(num_anchors, len(rows[1]), out_channels))
        self.bias = nn.Parameter(torch.zeros(2 * out_channels))
        self.slope = (
            nn.Parameter(torch.full((2 * out_channels,), INITIAL_SLOPE))
            if activation == "prelu"
            else None
        )
        self.fixed = RoundedArrays(partial(_spread, num_anchors, num_degrees))
        if self.normalized:
            self.register_buffer("running_mean", torch.zeros(2 * out_channels))
            self.register_buffer("running_var", torch.ones(2 * out_channels))
            self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the filters anew, from the truncated normal distribution of the authors' code."""
        for weight in (self.first, self.second):
            fan_in = (self.transform.max_degree + 1) * weight.shape[1]
            deviation = 1 / (math.pi * math.sqrt(fan_in))
            nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)

    def filters(
        self, scale: Float[Tensor, "out_channels"] | None = None
    ) -> Float[Tensor, "degrees in_channels out_channels"]:
        """What coefficients of each degree are multiplied with; zero between unjoined branches.

        Parameters
        ----------
        scale : Tensor, shape (2 out_channels,), optional
            Factor of each output channel.

        Returns
        -------
        Tensor, shape (degrees, in_channels, 2 out_channels)
        """
        spread = self.fixed["spread"]
        filters = spread.new_zeros(len(spread), self.in_channels, 2 * self.out_channels)
        for branch, weight in enumerate((self.first, self.second)):
            columns = slice(branch * self.out_channels, (branch + 1) * self.out_channels)
            scaled = weight if scale is None else weight * scale[columns]
            values = torch.mm(spread, scaled.flatten(1)).view(-1, *weight.shape[1:])
            filters[:, self.rows[branch], columns] = values
        return filters

    def forward(
        self, coefficients: Float[Tensor, "waves degrees columns"]
    ) -> Float[Tensor, "meridians rings out_columns"]:
        """The maps (2 bandwidth, 2 bandwidth, maps times channels) of given coefficients.

        Parameters
        ----------
        coefficients : Tensor, shape (waves, degrees, maps times in_channels)
            Of all maps of a batch, the channels fastest, as from `analyze_columns`.

        Returns
        -------
        Tensor, shape (2 bandwidth, 2 bandwidth, maps times 2 out_channels)
        """
        num_waves, num_degrees, num_columns = coefficients.shape
        num_maps = num_columns // self.in_channels
        by_degree = coefficients.transpose(0, 1).reshape(num_degrees, -1, self.in_channels)
        shape = (num_degrees, num_waves, num_maps, 2 * self.out_channels)
        if not self.normalized:
            filtered, shift = torch.bmm(by_degree, self.filters()).view(shape), self.bias
        elif self.training and num_maps > 0:
            filtered = torch.bmm(by_degree, self.filters()).view(shape)
            mean, variance = _mean_and_variance(filtered)
            self._track(mean, variance)
            scale = torch.rsqrt(variance + EPSILON)
            filtered, shift = filtered * scale, self.bias - mean * scale
        else:
            scale = torch.rsqrt(self.running_var + EPSILON)
            filtered = torch.bmm(by_degree, self.filters(scale)).view(shape)
            shift = self.bias - self.running_mean * scale
        # a constant is a coefficient of degree 0
        filtered[0, 0].add_(shift * CONSTANT)
        maps = self.transform.synthesize_columns(filtered.flatten(2).transpose(0, 1))
        if self.slope is None:
            return maps
        by_channel = maps.view(-1, 2 * self.out_channels)
        return functional.prelu(by_channel, self.slope).view(maps.shape)

    def extra_repr(self) -> str:
        """The sizes, in a network's printout."""
        anchors, first, channels = self.first.shape
        return f"{first} and {self.second.shape[1]} -> 2 x {channels}, num_anchors={anchors}"

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running averages."""
        with torch.no_grad():
            self.running_mean.lerp_(mean, MOMENTUM)
            self.running_var.lerp_(variance, MOMENTUM)
            self.num_batches_tracked.add_(1)


def filter_spread(num_anchors: int, num_degrees: int) -> Float[np.ndarray, "degrees anchors"]:
    r"""The factor of each anchor in each degree of a filter.

    Linear interpolation between anchors that are spread evenly from degree 0 to the last, times
    the factor :math:`2 \pi \sqrt{4 \pi / (2 l + 1)}` of the convolution.

    Parameters
    ----------
    num_anchors, num_degrees : int

    Returns
    -------
    Matrix (num_degrees, num_anchors), float64.
    """
    places = np.linspace(0, num_degrees - 1, num_anchors)
    degrees = np.arange(num_degrees)
    interpolation = np.stack(
        [np.interp(degrees, places, anchor) for anchor in np.eye(num_anchors)], axis=1
    )
    return interpolation * (2 * np.pi * np.sqrt(4 * np.pi / (2 * degrees + 1)))[:, None]


def _spread(num_anchors: int, num_degrees: int) -> dict[str, np.ndarray]:
    """That of anchors, by name."""
    return {"spread": filter_spread(num_anchors, num_degrees)}


def _averaged_matrices(bandwidth: int) -> dict[str, np.ndarray]:
    """The matrices of an analysis at half the bandwidth, times those of the averages."""
    pooled = bandwidth // 2
    longitudes = np.arange(2 * pooled) * (np.pi / pooled)
    areas = quadrature_weights(pooled) * (np.pi / pooled)
    legendre = legendre_functions(pooled, pooled - 1).repeat(2, axis=0) * areas
    sines = np.sin(ring_colatitudes(bandwidth)).reshape(-1, 2)
    shares = sines / sines.sum(1, keepdims=True)
    return {
        "waves": real_waves(longitudes, pooled - 1).repeat(2, axis=1) / 2,
        "legendre": legendre.repeat(2, axis=2) * shares.ravel(),
    }


def _mean_and_variance(
    coefficients: Float[Tensor, "degrees waves maps channels"],
) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
    """Of each channel over the sphere and all maps."""
    constants = coefficients[0, 0] / CONSTANT
    mean = constants.mean(0)
    power = coefficients[1:].square().flatten(0, 2).sum(0) / (len(constants) * CONSTANT**2)
    return mean, power + (constants - mean).square().mean(0)


def _as_slice(indices: Sequence[int]) -> slice | list[int]:
    """Consecutive indices as a slice, which is faster."""
    first = indices[0]
    if list(indices) == list(range(first, first + len(indices))):
        return slice(first, first + len(indices))
    return list(indices)
