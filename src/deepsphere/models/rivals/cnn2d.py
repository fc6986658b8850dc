"""The rival that ignores the sphere: a 2D CNN on the latitude-longitude image."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import DenseHead
from deepsphere.models.specification import check_sampling, check_signals, plain_arguments
from deepsphere.sampling import Equiangular

LatitudePadding = Literal["zeros", "reflect", "pole"]
GridPooling = Literal["mean", "max"]

# Five blocks of 9 coefficients that are as large as those of `shrec17` with 4.
SHAPES_CHANNELS = (12, 24, 48, 96, 144)


class CNN2d(nn.Module):
    r"""A classifier of signals on a latitude-longitude grid by ordinary 2D convolutions.

    Convolution, batch normalization and ReLU, with pooling of 2 by 2 between blocks (not after
    the last), then the same area-weighted statistics and dense layer as `FCN`. The image is
    periodic in longitude. Nothing else knows of the sphere: this is the baseline.

    Parameters
    ----------
    sampling : Equiangular
        Each pole, where it is one vertex, is repeated along its row of the image.
    in_channels : int
    out_channels : int
    channels : sequence of int
        Channels after each block.
    kernel_size : int, odd
        Width of the square filters, in grid points.
    pooling : "mean" or "max"
    latitude_padding : "zeros", "reflect" or "pole"
        What lies beyond the first and the last row: nothing, the rows mirrored, or what lies
        beyond the pole on the sphere, the rows mirrored and turned by 180° (a south pole that is
        not sampled, as with ``poles=1``, is passed over).
    readout : str
        Statistics over the grid, weighted by area; see `make_readout`.
    dropout : float, in [0, 1)
        Applied to the statistics, while training.
    head_bias : bool

    Raises
    ------
    ValueError
        If the sampling is no such grid, a name is not one of these, the kernel size is even or too
        large for the last level, filters across the pole find no meridian opposite to each one, or
        (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> model = CNN2d(ds.Equiangular(nlat=8), in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 128, 1)).shape
    torch.Size([3, 10])
    """

    grid_vertices: Tensor

    def __init__(
        self,
        sampling: Equiangular,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 3,
        pooling: GridPooling = "mean",
        latitude_padding: LatitudePadding = "zeros",
        readout: ReadoutName = "mean_logsumexp",
        dropout: float = 0.0,
        head_bias: bool = True,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_sampling(sampling, Equiangular, "cnn2d")
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        vertices = sampling.to_grid(np.arange(sampling.num_vertices)[:, None])[..., 0]
        self.register_buffer("grid_vertices", torch.from_numpy(vertices.ravel()), persistent=False)
        # a vertex shown several times shares its area
        areas = (sampling.areas / np.bincount(vertices.ravel()))[vertices]
        self.grid_shape = areas.shape
        pole_rows = _pole_rows(sampling)
        self.layers, pool = nn.Sequential(), make_grid_pool(pooling)
        width_before = in_channels
        for index, width in enumerate(channels):
            if index > 0:
                self.layers.append(pool)
                # only an odd last row is pooled alone
                pole_rows = (0, pole_rows[1] * (areas.shape[0] % 2))
                areas = _sum_two_by_two(areas)
            _check_filter_fits(areas.shape, kernel_size // 2, latitude_padding, pole_rows)
            convolution = GridConv(
                width_before,
                width,
                kernel_size=kernel_size,
                latitude_padding=latitude_padding,
                pole_rows=pole_rows,
            )
            self.layers.extend([convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])
            width_before = width
        self.head = DenseHead(
            width_before,
            out_channels,
            readout=readout,
            areas=areas.ravel(),
            dropout=dropout,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "cnn2d", "sampling": self.sampling.spec, "config": deepcopy(self.config)}

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: the statistics of its last feature map."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        shown = signals.index_select(-2, self.grid_vertices)
        images = shown.reshape(math.prod(batch), *self.grid_shape, self.in_channels)
        feature_map = self.layers(images.movedim(-1, 1))
        features = self.head.describe(feature_map.movedim(1, -1).flatten(1, 2))
        return features.reshape(*batch, features.shape[-1])

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for descriptors, by dropout and the dense layer."""
        return self.head.classify(features)

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


class GridConv(nn.Module):
    """A 2D convolution of latitude-longitude images, periodic in longitude, same size out as in.

    Its bias is left to the normalization that follows. Weights are drawn with variance
    ``2 / (in_channels kernel_size²)``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int, odd
    latitude_padding : "zeros", "reflect" or "pole"
        See `CNN2d`; for "pole" the number of columns is even.
    pole_rows : tuple of int
        How many rows at the north and at the south, 0 or 1, are the pole itself, so that they are
        not seen again beyond it.

    Raises
    ------
    ValueError
        If the kernel size is even or the padding is not one of these.

    Examples
    --------
    >>> import torch
    >>> conv = GridConv(1, 2, kernel_size=3, latitude_padding="zeros")
    >>> conv(torch.zeros(5, 1, 8, 16)).shape
    torch.Size([5, 2, 8, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        latitude_padding: LatitudePadding,
        pole_rows: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {kernel_size}; an even filter has no center"
            )
        if latitude_padding not in get_args(LatitudePadding):
            raise ValueError(
                f"latitude_padding must be one of {', '.join(get_args(LatitudePadding))}, got "
                f"{latitude_padding!r}"
            )
        self.latitude_padding = latitude_padding
        self.pole_rows = pole_rows
        self.margin = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(
        self, images: Float[Tensor, "batch in_channels nlat nlon"]
    ) -> Float[Tensor, "batch out_channels nlat nlon"]:
        """The convolved images."""
        images = self._pad_latitude(images)
        if self.margin > 0:
            # unlike circular padding by torch, this keeps channels last in memory
            west, east = images[..., -self.margin :], images[..., : self.margin]
            images = torch.cat([west, images, east], dim=-1)
        return self.conv(images)

    def _pad_latitude(self, images: Tensor) -> Tensor:
        """The images with rows beyond the first and the last."""
        margin = self.margin
        if self.latitude_padding != "pole" or margin == 0:
            mode = "reflect" if self.latitude_padding == "reflect" else "constant"
            return functional.pad(images, (0, 0, margin, margin), mode=mode)
        opposite = images.shape[-1] // 2
        north, south = self.pole_rows
        end = images.shape[-2] - south
        beyond_north = images[..., north : north + margin, :].flip(-2).roll(opposite, -1)
        beyond_south = images[..., end - margin : end, :].flip(-2).roll(opposite, -1)
        return torch.cat([beyond_north, images, beyond_south], dim=-2)


def cnn2d_shapes(
    sampling: Equiangular | None = None, *, in_channels: int = 6, out_channels: int = 55
) -> CNN2d:
    """The 2D CNN for projected 3D shapes, as large as the classifier of `shrec17`.

    Five blocks of 3 by 3 filters and maximum pooling, then the mean and a dense layer: 188,119
    parameters. Beyond each pole the image continues as on the sphere.

    Parameters
    ----------
    sampling : Equiangular, optional
        The grid of bandwidth 64 (128 × 128), if not given.
    in_channels : int
    out_channels : int
        Number of classes.

    Returns
    -------
    CNN2d

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(cnn2d_shapes())
    188119
    """
    return CNN2d(
        Equiangular.soft(64) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=SHAPES_CHANNELS,
        pooling="max",
        latitude_padding="pole",
        readout="mean",
    )


def make_grid_pool(name: GridPooling) -> nn.Module:
    """Pooling of 2 by 2 points of images; an odd last row or column is pooled alone.

    Parameters
    ----------
    name : "mean" or "max"

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If the name is not one of these.

    Examples
    --------
    >>> make_grid_pool("max")(torch.zeros(1, 4, 5, 6)).shape
    torch.Size([1, 4, 3, 3])
    """
    if name not in get_args(GridPooling):
        raise ValueError(f"pooling must be one of {', '.join(get_args(GridPooling))}, got {name!r}")
    if name == "mean":
        return nn.AvgPool2d(2, ceil_mode=True)
    return nn.MaxPool2d(2, ceil_mode=True)


def _pole_rows(sampling: Equiangular) -> tuple[int, int]:
    """How many rows of the image are the north and the south pole."""
    return int(sampling.poles in (1, 2)), int(sampling.poles in ("south", 2))


def _check_filter_fits(
    shape: tuple[int, ...], margin: int, padding: LatitudePadding, pole_rows: tuple[int, int]
) -> None:
    """Raise if an image does not have what filters see beyond its borders."""
    rows, columns = shape
    if padding == "pole" and columns % 2:
        raise ValueError(
            'the number of meridians must be even on every level with latitude_padding="pole", got '
            f'{columns}; use latitude_padding="reflect" or another nlon'
        )
    mirrored = {"zeros": margin, "reflect": rows - 1, "pole": rows - max(pole_rows)}
    largest = min(columns, mirrored.get(padding, margin))
    if margin > largest:
        raise ValueError(
            f"kernel_size must be at most {2 * largest + 1} on a level of {rows} x {columns} "
            f'points with latitude_padding="{padding}", got {2 * margin + 1}; use fewer blocks or '
            "a larger grid"
        )


def _sum_two_by_two(areas: Float[np.ndarray, "nlat nlon"]) -> Float[np.ndarray, "rows columns"]:
    """The areas after pooling."""
    rows = np.add.reduceat(areas, np.arange(0, areas.shape[0], 2), axis=0)
    return np.add.reduceat(rows, np.arange(0, areas.shape[1], 2), axis=1)
