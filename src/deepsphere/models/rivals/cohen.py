"""The rival of Cohen et al. (2018): correlations on the sphere and on the rotations."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import make_dense
from deepsphere.models.rivals.rotation_convolution import (
    RotationConvolution,
    RowMoments,
    SphereConvolution,
    crossed_filters,
    series_moments,
)
from deepsphere.models.rivals.rotation_relu import relu_of_filtered_series, relu_of_rows
from deepsphere.models.rivals.rotation_transform import RotationTransform
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.sampling import Equiangular

RotationReadout = Literal["mean", "max"]


class Cohen(nn.Module):
    r"""A classifier by correlations on the sphere, then on the group of rotations.

    The correlation of maps with filters makes functions of rotations, which are correlated with
    filters on rotations; each is followed by batch normalization and ReLU. At the end their mean
    or maximum over all rotations, and a dense layer. All filters are rings, as in the published
    code (`SphereConvolution`, `RotationConvolution`), and each layer keeps the degrees below its
    bandwidth. The linear layers commute with rotations exactly; the ReLU makes degrees that the
    grid aliases. There are no biases before the normalizations, which would take them away again
    (the code has them: 200 of the 402,955 parameters of its smaller network).

    The functions of rotations are those of the published code, computed in another order: the
    filters of a ring are products for each order, batch normalization is done on the
    coefficients, and the samples, 8 b³ values for each map and channel, exist piece by piece
    only, in training too.

    Parameters
    ----------
    sampling : Equiangular
        As many meridians as rings, without poles: the grid of bandwidth ``nlat // 2``.
    in_channels : int
    out_channels : int
        Number of classes.
    channels : sequence of int
        Channels after each correlation, the first of which is that of maps.
    bandwidths : sequence of int
        Degrees kept by each, at most as many as before.
    readout : "mean" or "max"
        The integral over rotations, or the maximum over their grid followed by a batch
        normalization without parameters.

    Raises
    ------
    ValueError
        If the grid is another one, the numbers do not fit, or (by `forward`) the signals have
        another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> grid = ds.Equiangular.soft(8)
    >>> model = Cohen(grid, in_channels=1, out_channels=10, channels=(4, 8), bandwidths=(4, 2))
    >>> model(torch.zeros(3, 256, 1)).shape
    torch.Size([3, 10])

    References
    ----------
    Cohen, Geiger, Köhler and Welling (2018), Spherical CNNs, ICLR, and its code.
    """

    def __init__(
        self,
        sampling: Equiangular,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (100, 100),
        bandwidths: Sequence[int] = (16, 10),
        readout: RotationReadout = "mean",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        _check(sampling, channels, bandwidths, readout)
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        self.sphere_conv = SphereConvolution(
            in_channels,
            channels[0],
            bandwidth_in=sampling.nlat // 2,
            bandwidth_out=bandwidths[0],
        )
        convolutions = [
            RotationConvolution(
                channels[index],
                channels[index + 1],
                bandwidth_in=bandwidths[index],
                bandwidth_out=bandwidths[index + 1],
            )
            for index in range(len(channels) - 1)
        ]
        transforms = [RotationTransform(bandwidth) for bandwidth in bandwidths]
        # what follows each ReLU: the degrees of the next correlation, or the mean
        analyses = [
            RotationTransform(bandwidth, num_degrees=num_degrees)
            for bandwidth, num_degrees in zip(bandwidths, [*bandwidths[1:], 1], strict=True)
        ]
        norms = [FoldedNormalization(width) for width in channels]
        moments = [RowMoments(bandwidth) for bandwidth in bandwidths[1:]]
        # the type of their members is lost in a list of modules
        self.rotation_convs = cast("Sequence[RotationConvolution]", nn.ModuleList(convolutions))
        self.transforms = cast("Sequence[RotationTransform]", nn.ModuleList(transforms))
        self.analyses = cast("Sequence[RotationTransform]", nn.ModuleList(analyses))
        self.norms = cast("Sequence[FoldedNormalization]", nn.ModuleList(norms))
        self.moments = cast("Sequence[RowMoments]", nn.ModuleList(moments))
        self.readout = readout
        self.readout_norm = (
            nn.BatchNorm1d(channels[-1], affine=False) if readout == "max" else nn.Identity()
        )
        self.dense = make_dense(channels[-1], out_channels, bias=True)

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "cohen", "sampling": self.sampling.spec, "config": deepcopy(self.config)}

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: the mean or maximum of the last functions of rotations."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        images = self.sampling.to_grid(signals.reshape(batch.numel(), *signals.shape[-2:]))
        rows = self._rectified_correlation(images)
        *inner, last = range(len(self.rotation_convs))
        for index in inner:
            rows, shift = self._normalized_correlation(rows, index)
            transform, analysis = self.transforms[index + 1], self.analyses[index + 1]
            rows = relu_of_rows(rows, shift, transform.synthesis, analysis.analysis)
        rows, shift = self._normalized_correlation(rows, last)
        features = self._read_out(rows, shift)
        return features.reshape(*batch, features.shape[-1])

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits of the classes for such descriptors."""
        return self.dense(features)

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits of the classes, one row per map."""
        return self.classify(self.describe(signals))

    def _rectified_correlation(
        self, images: Float[Tensor, "maps rings meridians channels"]
    ) -> Float[Tensor, "rows maps out_channels"]:
        """The coefficients of the rectified, normalized correlation of maps."""
        transform, convolution = self.transforms[0], self.sphere_conv
        series = convolution.series(images, transform)
        filters = crossed_filters(convolution.filters())
        num_samples = len(images) * (2 * transform.bandwidth) ** 3
        scale, shift = self.norms[0](lambda: series_moments(series, filters), num_samples)
        # order 0 has no imaginary part: a one in its place takes the constant along
        series[0, ..., self.in_channels] = 1
        filters = filters * scale
        filters[1, 0] = 0
        filters[1, 0, self.in_channels] = shift
        orders = transform.bandwidth
        gamma_synthesis = transform.matrices["gamma_synthesis"].view(-1, orders, 2).mT.flatten(1)
        gamma_synthesis[:, orders] = 1
        return relu_of_filtered_series(series, filters, gamma_synthesis, self.analyses[0].analysis)

    def _normalized_correlation(
        self, rows: Float[Tensor, "rows maps in_channels"], index: int
    ) -> tuple[Float[Tensor, "rows_out maps channels"], Float[Tensor, "channels"]]:
        """The coefficients of a normalized correlation of such functions, and a constant."""
        convolution, moments = self.rotation_convs[index], self.moments[index]
        rows = convolution(rows)
        num_samples = rows.shape[1] * (2 * moments.bandwidth) ** 3
        scale, shift = self.norms[index + 1](lambda: moments(rows), num_samples)
        return rows * scale, shift

    def _read_out(
        self, rows: Float[Tensor, "rows maps channels"], shift: Float[Tensor, "channels"]
    ) -> Float[Tensor, "maps channels"]:
        """The mean or the maximum of the rectified functions."""
        transform, analysis = self.transforms[-1], self.analyses[-1]
        if self.readout == "mean":
            return relu_of_rows(rows, shift, transform.synthesis, analysis.analysis)[0]
        samples = transform.synthesize_columns(transform.coefficients_of_rows(rows))
        # the maximum of what is rectified is the rectified maximum
        largest = samples.flatten(0, 2).amax(0).view(rows.shape[1:])
        return self.readout_norm(torch.relu(largest + shift))


class FoldedNormalization(nn.Module):
    """Batch normalization as a scale and a shift, which its neighbors take into their own.

    The same numbers, state and defaults as `torch.nn.BatchNorm3d`, given the mean and the
    variance of a batch in place of the batch.

    Parameters
    ----------
    channels : int
    eps : float
        Added to the variance.
    momentum : float
        Weight of a batch in the running averages.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(
        self,
        moments: Callable[[], tuple[Tensor, Tensor]],
        num_samples: int,
    ) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
        """Scale and shift of the values.

        Parameters
        ----------
        moments : callable
            Gives mean and variance of the values; called while training only.
        num_samples : int
            Number of values of a channel.
        """
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return scale, self.bias - scale * self.running_mean
        mean, variance = moments()
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * (num_samples / (num_samples - 1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return scale, self.bias - scale * mean


def cohen_simplified(
    sampling: Equiangular | None = None, *, in_channels: int = 6, out_channels: int = 55
) -> Cohen:
    """The smaller network for 3D shapes (SHREC'17), of the published code: 402,755 parameters.

    Correlations to 100 and 100 channels with bandwidths 16 and 10, the mean over rotations, a
    dense layer. On the grid of bandwidth 64, if no other is given, with which the number of
    parameters changes.

    Parameters
    ----------
    sampling : Equiangular, optional
    in_channels, out_channels : int

    Returns
    -------
    Cohen

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(cohen_simplified())
    402755

    References
    ----------
    Cohen, Geiger, Köhler and Welling (2018), Spherical CNNs, the code of its section 5.3.
    """
    return Cohen(
        Equiangular.soft(64) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
    )


def cohen_full(
    sampling: Equiangular | None = None, *, in_channels: int = 6, out_channels: int = 55
) -> Cohen:
    """The network of the paper for 3D shapes (SHREC'17): 1,399,045 parameters.

    Correlations to 50, 70 and 350 channels with bandwidths 32, 22 and 7, the maximum over
    rotations, batch normalization without parameters, a dense layer. On the grid of bandwidth
    128, if no other is given, with which the number of parameters changes.

    Parameters
    ----------
    sampling : Equiangular, optional
    in_channels, out_channels : int

    Returns
    -------
    Cohen

    References
    ----------
    Cohen, Geiger, Köhler and Welling (2018), Spherical CNNs, section 5.3.
    """
    return Cohen(
        Equiangular.soft(128) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(50, 70, 350),
        bandwidths=(32, 22, 7),
        readout="max",
    )


def _check(
    sampling: Equiangular,
    channels: Sequence[int],
    bandwidths: Sequence[int],
    readout: RotationReadout,
) -> None:
    """Raise if the arguments of a network do not fit each other."""
    if sampling.poles != 0 or sampling.nlon != sampling.nlat or sampling.nlat % 2:
        raise ValueError(
            "sampling must be a grid of 2b rings without poles and 2b meridians, got "
            f"{sampling.spec}; use Equiangular.soft(b)"
        )
    if len(channels) != len(bandwidths) or len(channels) < 2:
        raise ValueError(
            "channels and bandwidths must name the same correlations, two at least, got "
            f"{len(channels)} and {len(bandwidths)}"
        )
    steps = [sampling.nlat // 2, *bandwidths]
    if min(bandwidths) < 1:
        raise ValueError(f"bandwidths must be at least 1, got {tuple(bandwidths)}")
    if any(after > before for before, after in pairwise(steps)):
        raise ValueError(
            f"bandwidths must not grow from that of the grid ({steps[0]}) on, got "
            f"{tuple(bandwidths)}; use a finer grid"
        )
    if readout not in get_args(RotationReadout):
        raise ValueError(
            f"readout must be one of {', '.join(get_args(RotationReadout))}, got {readout!r}"
        )
