"""The spherical CNN with zonal filters in the spectrum, of Esteves et al. (2018)."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import make_dense
from deepsphere.models.rivals.rounded_arrays import RoundedArrays
from deepsphere.models.rivals.sphere_transform import (
    SphereTransform,
    quadrature_weights,
)
from deepsphere.models.rivals.zonal_conv import (
    INITIAL_SLOPE,
    AveragedAnalysis,
    BatchOrNone,
    PreluOrNone,
    ZonalConv,
)
from deepsphere.models.specification import check_sampling, check_signals, plain_arguments
from deepsphere.sampling import Equiangular
from deepsphere.sampling.checks import as_integer

SpherePooling = Literal["weighted_average", "spectral"]

# Maps that go through the network together in evaluation: more do not fit into a cache.
MAPS_AT_ONCE = 4

# The maps that the authors classified have 64 by 64 points.
PUBLISHED_BANDWIDTH = 32


class Esteves(nn.Module):
    r"""A classifier by convolutions with zonal filters, in two branches.

    One branch sees the distances, the other the angles. Each layer is a convolution in the
    spectrum, batch normalization and a rectifier with learned slope on the grid; at some layers
    the first branch is given the features of the second beside its own, and the maps are pooled to
    half the bandwidth. At the end come the average over the sphere of both branches, a dense
    layer to the descriptor, and one to the classes.

    Convolution and spectral pooling commute with rotations exactly, weighted average pooling and
    the rectifier as well as the grid allows. In evaluation a few maps at a time go through the
    network, which is faster than all at once.

    It differs from the authors' code in this: averages over the sphere (in the normalization and
    at the end) have the weights of the quadrature, there none and the sine of the colatitude; the
    weights of the average pooling sum to one, there to the cosine of a quarter of a cell; with
    spectral pooling the anchors span the degrees that are left, there all; and there is no
    auxiliary loss on the second branch.

    Parameters
    ----------
    sampling : Equiangular
        The SOFT grid of 2b by 2b points without poles, ``Equiangular.soft(b)``.
    in_channels : int
    out_channels : int
        Number of classes.
    channels : sequence of int
        Channels of each branch after each layer.
    bandwidth : int, optional
        Of the first layer: the input's degrees below it are used, which is a low-pass of a finer
        map. That of the sampling, b, if not given; the published network has 32.
    pool_layers : sequence of int, optional
        Layers, counted from 0, where the branches are joined and whose maps are pooled; not the
        last. Every second one from the third if not given, as published: (2, 4, 6) of 8.
    pooling : "weighted_average" or "spectral"
        The mean of 2 by 2 points weighted by the sine of the colatitude, after the rectifier; or
        half the degrees, before it. The filters of the latter have only these degrees.
    num_anchors : int
        Values from which each filter's spectrum is interpolated. A filter of fewer degrees has as
        many as degrees.
    distance_channels, angle_channels : sequence of int, optional
        Which channels the first and the second branch take. If not given, of 3 or 6 channels
        (distance, cosine, sine of a mesh, then of its hull) the distances and the others; else
        the first channel and the others; a single one goes to both.
    descriptor_size : int
    normalization : "batch" or "none"
    activation : "prelu" or "none"
        Without both the network up to the descriptor is affine, for tests of its equivariance.
    dropout : float, in [0, 1)
        Applied to the descriptor, while training.

    Raises
    ------
    ValueError
        If the sampling is another one, the bandwidth is larger than its, cannot be halved often
        enough, a layer or a channel does not exist, a name is none of these, or (by the methods)
        the signals have another shape.

    Examples
    --------
    >>> import deepsphere as ds
    >>> model = Esteves(ds.Equiangular.soft(4), in_channels=2, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 64, 2)).shape
    torch.Size([3, 10])

    References
    ----------
    Esteves, Allen-Blanchette, Makadia and Daniilidis (2018), "Learning SO(3) equivariant
    representations with spherical CNNs", and their code, which decides where the text is silent.
    """

    def __init__(
        self,
        sampling: Equiangular,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 16, 32, 32, 64, 64, 128, 128),
        bandwidth: int | None = None,
        pool_layers: Sequence[int] | None = None,
        pooling: SpherePooling = "weighted_average",
        num_anchors: int = 8,
        distance_channels: Sequence[int] | None = None,
        angle_channels: Sequence[int] | None = None,
        descriptor_size: int = 64,
        normalization: BatchOrNone = "batch",
        activation: PreluOrNone = "prelu",
        dropout: float = 0.0,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        _check_names(pooling, normalization, activation)
        num_anchors = as_integer("num_anchors", num_anchors, at_least=1)
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        grid = _bandwidth_of(sampling)
        bandwidth = grid if bandwidth is None else bandwidth
        bandwidth = as_integer("bandwidth", bandwidth, at_least=2, at_most=grid)
        joined = _pool_layers(len(channels), pool_layers, bandwidth)
        transforms = _transforms(grid, bandwidth, len(channels), joined, pooling)
        rows = _input_rows(in_channels, distance_channels, angle_channels)
        width_before = in_channels
        self.analyses, self.layers = nn.ModuleList(), nn.ModuleList()
        for layer, (width, (analysis, synthesis)) in enumerate(
            zip(channels, transforms, strict=True)
        ):
            if layer > 0:
                half = width_before // 2
                rows = (range(width_before if layer in joined else half), range(half, 2 * half))
            self.analyses.append(analysis)
            self.layers.append(
                ZonalConv(
                    synthesis,
                    rows=rows,
                    in_channels=width_before,
                    out_channels=width,
                    num_anchors=num_anchors,
                    normalization=normalization,
                    activation=activation,
                )
            )
            width_before = 2 * width
        self.out_bandwidth = bandwidth // 2 ** len(joined)
        self.fixed = RoundedArrays(partial(_area_shares, self.out_bandwidth))
        self.dense = make_dense(width_before, descriptor_size, bias=True)
        self.activation = (
            nn.PReLU(descriptor_size, init=INITIAL_SLOPE)
            if activation == "prelu"
            else nn.Identity()
        )
        self.dropout = nn.Dropout(dropout)
        self.classes = make_dense(descriptor_size, out_channels, bias=True)

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "esteves", "sampling": self.sampling.spec, "config": deepcopy(self.config)}

    @property
    def out_sampling(self) -> Equiangular:
        """The grid of the last feature map."""
        return Equiangular.soft(self.out_bandwidth)

    def feature_map(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_vertices features"]:
        """The last feature map, of both branches, on `out_sampling`.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)

        Returns
        -------
        Tensor, shape (*batch, vertices of out_sampling, 2 channels[-1])
        """
        return self._in_parts(signals, self._to_feature_map)

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: a dense layer of the average feature, and its rectifier."""
        return self._in_parts(signals, self._to_descriptor)

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for descriptors, by dropout and the last dense layer."""
        return self.classes(self.dropout(features))

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs, one row per map."""
        return self.classify(self.describe(signals))

    def _in_parts(self, signals: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """The function of the signals, of a few maps at a time where they do not interact."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        maps = signals.reshape(batch.numel(), *signals.shape[-2:])
        together = self.training or len(maps) <= MAPS_AT_ONCE
        parts = [maps] if together else maps.split(MAPS_AT_ONCE)
        outputs = torch.cat([function(part) for part in parts])
        return outputs.reshape(*batch, *outputs.shape[1:])

    def _last_columns(self, maps: Tensor) -> Tensor:
        """The last feature map (meridians, rings, maps times channels)."""
        rings = self.sampling.nlat  # without poles the vertices are the grid, ring after ring
        columns = maps.unflatten(1, (rings, rings)).permute(2, 1, 0, 3).flatten(2)
        for analysis, layer in zip(self.analyses, self.layers, strict=True):
            coefficients = cast(SphereTransform, analysis).analyze_columns(columns)
            del columns  # the largest array, no longer needed
            columns = layer(coefficients)
        return columns

    def _to_feature_map(self, maps: Tensor) -> Tensor:
        """The last feature map (maps, vertices, channels)."""
        columns = self._last_columns(maps)
        by_map = columns.view(*columns.shape[:2], len(maps), self.dense.in_features)
        return by_map.permute(2, 1, 0, 3).flatten(1, 2)

    def _to_descriptor(self, maps: Tensor) -> Tensor:
        """The dense layer of the average of the last feature map (maps, descriptor_size)."""
        averages = torch.mm(self.fixed["shares"], self._last_columns(maps).flatten(0, 1))
        return self.activation(self.dense(averages.view(len(maps), self.dense.in_features)))


def esteves(
    sampling: Equiangular | None = None,
    *,
    in_channels: int = 6,
    out_channels: int = 55,
    bandwidth: int = PUBLISHED_BANDWIDTH,
    pooling: SpherePooling = "weighted_average",
) -> Esteves:
    """The network of Esteves et al. for 3D shapes: 497,911 parameters, published as 0.5 M.

    Eight layers of 16 to 128 channels in each of two branches, from bandwidth 32 (maps of 64 by
    64 points, which gives the published number of parameters; from 64 it would be 628,983) to 4,
    a descriptor of 64 numbers. Maps on a finer grid are used up to degree 31.

    Parameters
    ----------
    sampling : Equiangular, optional
        The SOFT grid of 128 by 128 points if not given.
    in_channels : int
        6 (of the mesh and of its convex hull: distance, cosine, sine), or 2 (distance and sine)
        as in the paper.
    out_channels : int
        Number of classes.
    bandwidth : int
        Of the first layer.
    pooling : "weighted_average" or "spectral"
        The latter is the faster, exactly equivariant, and has 399,607 parameters.

    Returns
    -------
    Esteves

    Examples
    --------
    >>> from deepsphere.models.registry import num_parameters
    >>> num_parameters(esteves()), num_parameters(esteves(Equiangular.soft(32), in_channels=2))
    (497911, 497399)

    References
    ----------
    Esteves, Allen-Blanchette, Makadia and Daniilidis (2018), "Learning SO(3) equivariant
    representations with spherical CNNs", section 5.
    """
    return Esteves(
        Equiangular.soft(64) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        bandwidth=bandwidth,
        pooling=pooling,
    )


def _transforms(
    grid: int, bandwidth: int, num_layers: int, pooled: Sequence[int], pooling: SpherePooling
) -> list[tuple[nn.Module, SphereTransform]]:
    """What analyzes the input of each layer, and what synthesizes its output."""
    transforms: list[tuple[nn.Module, SphereTransform]] = []
    averaged = False
    for layer in range(num_layers):
        halved = averaged or (layer in pooled and pooling == "spectral")
        bandwidth = bandwidth // 2 if halved else bandwidth
        before = transforms[-1][1] if transforms else None
        if before is not None and not halved:
            transforms.append((before, before))
        else:
            analysis = (
                AveragedAnalysis(grid)
                if averaged
                else SphereTransform(grid, max_degree=bandwidth - 1)
            )
            transforms.append((analysis, SphereTransform(bandwidth)))
        grid = bandwidth
        averaged = layer in pooled and pooling == "weighted_average"
    return transforms


def _area_shares(bandwidth: int) -> dict[str, np.ndarray]:
    """The share of each point of the SOFT grid in the sphere, meridian after meridian, a row."""
    size = 2 * bandwidth
    return {"shares": np.tile(quadrature_weights(bandwidth) / (2 * size), size)[None]}


def _bandwidth_of(sampling: Equiangular) -> int:
    """That of a SOFT grid."""
    check_sampling(sampling, Equiangular, "esteves")
    nlat = sampling.nlat
    if nlat % 2 or sampling.nlon != nlat or sampling.poles != 0:
        raise ValueError(
            "sampling must be a SOFT grid of 2b by 2b points without poles for esteves, got "
            f"{sampling.spec!r}; use Equiangular.soft({max(2, nlat // 2)})"
        )
    return nlat // 2


def _pool_layers(num_layers: int, layers: Sequence[int] | None, bandwidth: int) -> tuple[int, ...]:
    """The layers that join and pool, checked."""
    if num_layers == 0:
        raise ValueError("channels must name at least one layer, got none")
    layers = tuple(range(2, num_layers - 1, 2)) if layers is None else tuple(layers)
    if len(set(layers)) < len(layers) or not all(0 < layer < num_layers - 1 for layer in layers):
        raise ValueError(
            f"pool_layers must be different layers between the first and the last of {num_layers} "
            f"(1 to {num_layers - 2}), got {list(layers)}"
        )
    times = 2 ** len(layers)
    if bandwidth % times or bandwidth < 2 * times:
        raise ValueError(
            f"bandwidth must be a multiple of {times}, at least {2 * times}, to be halved at "
            f"{len(layers)} layers, got {bandwidth}; use another grid or fewer pool_layers"
        )
    return layers


def _input_rows(
    in_channels: int, distances: Sequence[int] | None, angles: Sequence[int] | None
) -> tuple[Sequence[int], Sequence[int]]:
    """The channels of the input that each branch takes, checked."""
    step = 3 if in_channels in (3, 6) else max(in_channels, 1)
    first = tuple(range(0, in_channels, step)) if distances is None else tuple(distances)
    others = tuple(channel for channel in range(in_channels) if channel not in first)
    second = (others or first) if angles is None else tuple(angles)
    for name, rows in (("distance_channels", first), ("angle_channels", second)):
        if not rows or len(set(rows)) < len(rows) or not set(rows) <= set(range(in_channels)):
            raise ValueError(
                f"{name} must be different channels, at least one, from 0 to {in_channels - 1}, "
                f"got {list(rows)}"
            )
    return first, second


def _check_names(pooling: str, normalization: str, activation: str) -> None:
    """Raise at a name that is not one of the choices."""
    for name, value, choices in (
        ("pooling", pooling, get_args(SpherePooling)),
        ("normalization", normalization, get_args(BatchOrNone)),
        ("activation", activation, get_args(PreluOrNone)),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
