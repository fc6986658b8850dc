"""The rival that ignores the sphere: a 2D CNN on the latitude-longitude image."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.heads import DenseHead
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.sampling import Equiangular

LatitudePadding = Literal["zeros", "reflect"]
GridPooling = Literal["mean", "max"]


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
    latitude_padding : "zeros" or "reflect"
        What lies beyond the first and the last row.
    readout : str
        Statistics over the grid, weighted by area; see `make_readout`.
    dropout : float, in [0, 1)
        Applied to the statistics, while training.
    head_bias : bool

    Raises
    ------
    ValueError
        If a name is not one of these, the kernel size is even, or (by `forward`) the signals have
        another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> model = CNN2d(ds.Equiangular(nlat=8), in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 128, 1)).shape
    torch.Size([3, 10])
    """

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
        if pooling not in get_args(GridPooling):
            raise ValueError(
                f"pooling must be one of {', '.join(get_args(GridPooling))}, got {pooling!r}"
            )
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        areas = _grid_areas(sampling)
        self.layers = nn.Sequential()
        width_before = in_channels
        for index, width in enumerate(channels):
            if index > 0:
                self.layers.append(_make_grid_pool(pooling))
                areas = _sum_two_by_two(areas)
            convolution = GridConv(
                width_before, width, kernel_size=kernel_size, latitude_padding=latitude_padding
            )
            self.layers.extend([convolution, nn.BatchNorm2d(width), nn.ReLU()])
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

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs, one row per map."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        images = self.sampling.to_grid(signals).movedim(-1, -3)
        feature_map = self.layers(images.reshape(batch.numel(), *images.shape[-3:]))
        outputs = self.head(feature_map.flatten(-2).transpose(-1, -2))
        return outputs.reshape(*batch, outputs.shape[-1])


class GridConv(nn.Module):
    """A 2D convolution of latitude-longitude images, periodic in longitude, same size out as in.

    Its bias is left to the normalization that follows. Weights are drawn with variance
    ``2 / (in_channels kernel_size²)``.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int, odd
    latitude_padding : "zeros" or "reflect"

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
        self.latitude_mode = "constant" if latitude_padding == "zeros" else "reflect"
        self.margin = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(
        self, images: Float[Tensor, "batch in_channels nlat nlon"]
    ) -> Float[Tensor, "batch out_channels nlat nlon"]:
        """The convolved images."""
        images = functional.pad(images, (self.margin, self.margin, 0, 0), mode="circular")
        images = functional.pad(images, (0, 0, self.margin, self.margin), mode=self.latitude_mode)
        return self.conv(images)


def _make_grid_pool(name: GridPooling) -> nn.Module:
    """Pooling of 2 by 2 grid points; an odd last row or column is pooled alone."""
    if name == "mean":
        return nn.AvgPool2d(2, ceil_mode=True)
    return nn.MaxPool2d(2, ceil_mode=True)


def _grid_areas(sampling: Equiangular) -> Float[np.ndarray, "nlat nlon"]:
    """The area of each point of the image: a vertex shown several times shares its own."""
    vertices = sampling.to_grid(np.arange(sampling.num_vertices)[:, None])[..., 0]
    return (sampling.areas / np.bincount(vertices.ravel()))[vertices]


def _sum_two_by_two(areas: Float[np.ndarray, "nlat nlon"]) -> Float[np.ndarray, "rows columns"]:
    """The areas after pooling."""
    rows = np.add.reduceat(areas, np.arange(0, areas.shape[0], 2), axis=0)
    return np.add.reduceat(rows, np.arange(0, areas.shape[1], 2), axis=1)
