"""The rival that flattens a part of the sphere: a 2D CNN on a block of HEALPix pixels."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import make_dense
from deepsphere.models.rivals.healpix_image import block_vertices
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.sampling import Subset

PlanarHeadName = Literal["dense", "mean"]

STRIDE = 2
PLANAR_CHANNELS = (8, 16, 32, 32, 16)


class PlanarCNN(nn.Module):
    r"""The 2D CNN on a part of the sphere that is projected to a square image.

    Blocks of a convolution of stride 2, batch normalization, a bias and ReLU. The part is one block
    of the NESTED pixels of HEALPix, whose indices hold the bits of the column and of the row in
    turns (:func:`block_image`): a diamond on the sphere, at most one of the twelve base pixels.
    The image has no pixels repeated or interpolated, but its rows and columns meet at angles that
    change from place to place, and it ends at the borders of the block, where filters see zeros.
    Nothing else knows of the sphere: this is the baseline.

    As in TensorFlow's padding "SAME", an image of even width gets fewer zeros before its first row
    and column (1 for filters of width 5) than after its last (2). Convolutions start from Glorot's
    uniform distribution, the dense layer from a normal distribution of variance
    ``1 / in_features``.

    Parameters
    ----------
    sampling : Subset
        Of a HEALPix sphere with the pixels of one block, in any order.
    in_channels : int
    out_channels : int
    channels : sequence of int
        Channels after each block, each of which halves the width of the image.
    kernel_size : int, odd
        Width of the square filters, in pixels.
    head : "dense" or "mean"
        What makes the outputs: the last feature map flattened and a dense layer (the published
        "CNN-2d"), or one more convolution, to the outputs, and their mean over the pixels
        ("FCN-2d").
    head_bias : bool

    Raises
    ------
    ValueError
        If the sampling is not one block, is too small for so many channels, the kernel size is
        even, the head is not one of these, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import numpy as np, torch, deepsphere as ds
    >>> patch = ds.Healpix(nside=8).subset(np.arange(64))
    >>> model = PlanarCNN(patch, in_channels=1, out_channels=2, channels=(4, 8))
    >>> model(torch.zeros(3, 64, 1)).shape
    torch.Size([3, 2])

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019, and its code.
    """

    image_vertices: Tensor

    def __init__(
        self,
        sampling: Subset,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = PLANAR_CHANNELS,
        kernel_size: int = 5,
        head: PlanarHeadName = "dense",
        head_bias: bool = True,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        vertices = block_vertices(sampling)
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        self.width = len(vertices)
        out_width = _width_after(self.width, len(channels))
        # a copy, because torch warns of arrays that are read-only
        self.register_buffer(
            "image_vertices", torch.from_numpy(vertices.ravel().copy()), persistent=False
        )
        self.layers = nn.Sequential()
        width_before = in_channels
        for width in channels:
            self.layers.append(PlanarBlock(width_before, width, kernel_size=kernel_size))
            width_before = width
        self.head = _make_head(
            head,
            width_before,
            out_channels,
            image_width=out_width,
            kernel_size=kernel_size,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {
            "model": "planar_cnn",
            "sampling": self.sampling.spec,
            "config": deepcopy(self.config),
        }

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: what the dense layer takes, or with "mean" the outputs."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        flat = signals.reshape(math.prod(batch), *signals.shape[-2:])
        images = flat.index_select(1, self.image_vertices).unflatten(1, (self.width, self.width))
        features = self.head.describe(self.layers(images.movedim(-1, 1)))
        return features.reshape(*batch, features.shape[-1])

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for descriptors, by the dense layer; with "mean" the same."""
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


class SameConv2d(nn.Module):
    """A 2D convolution with as many zeros around as TensorFlow's padding "SAME" has.

    An image of width w becomes one of width ⌈w / stride⌉. The zeros that this needs are shared
    between the two sides; of an odd number the larger half comes after the image.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int, odd
    stride : int
    bias : bool

    Raises
    ------
    ValueError
        If the kernel size is even.

    Examples
    --------
    >>> import torch
    >>> SameConv2d(1, 2, kernel_size=5, stride=2, bias=False)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 2, 4, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int, bias: bool
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {kernel_size}; an even filter has no center"
            )
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, bias=bias)
        nn.init.xavier_uniform_(self.conv.weight)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(
        self, images: Float[Tensor, "batch in_channels rows columns"]
    ) -> Float[Tensor, "batch out_channels out_rows out_columns"]:
        """The convolved images."""
        (kernel_size, _), (stride, _) = self.conv.kernel_size, self.conv.stride
        margins: list[int] = []
        for width in (images.shape[-1], images.shape[-2]):
            missing = max((-(-width // stride) - 1) * stride + kernel_size - width, 0)
            margins += [missing // 2, missing - missing // 2]
        return self.conv(functional.pad(images, margins))


class PlanarBlock(nn.Module):
    """A convolution of stride 2, then batch normalization without a scale, a bias and ReLU.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int, odd

    Examples
    --------
    >>> import torch
    >>> PlanarBlock(1, 2, kernel_size=5)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 2, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int) -> None:
        super().__init__()
        self.conv = SameConv2d(
            in_channels, out_channels, kernel_size=kernel_size, stride=STRIDE, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels, affine=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(
        self, images: Float[Tensor, "batch in_channels rows columns"]
    ) -> Float[Tensor, "batch out_channels out_rows out_columns"]:
        """The activated images, of half the width."""
        return functional.relu(self.norm(self.conv(images)) + self.bias[:, None, None])


class FlatHead(nn.Module):
    """A dense layer of all pixels and channels of the last feature map.

    Parameters
    ----------
    in_channels, out_channels : int
    image_width : int
        Of the feature map.
    bias : bool

    Examples
    --------
    >>> import torch
    >>> head = FlatHead(8, 3, image_width=2, bias=True)
    >>> head.classify(head.describe(torch.zeros(5, 8, 2, 2))).shape
    torch.Size([5, 3])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, image_width: int, bias: bool
    ) -> None:
        super().__init__()
        self.dense = make_dense(in_channels * image_width**2, out_channels, bias=bias)

    def describe(
        self, images: Float[Tensor, "batch channels width width"]
    ) -> Float[Tensor, "batch features"]:
        """The feature map, channels and pixels in one axis."""
        return images.flatten(1)

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The outputs for such features."""
        return self.dense(features)


class MeanHead(nn.Module):
    """A convolution to the outputs, then the mean of each over the pixels.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int, odd
    bias : bool

    Examples
    --------
    >>> import torch
    >>> head = MeanHead(8, 3, kernel_size=5, bias=True)
    >>> head.classify(head.describe(torch.zeros(5, 8, 2, 2))).shape
    torch.Size([5, 3])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, bias: bool
    ) -> None:
        super().__init__()
        self.conv = SameConv2d(
            in_channels, out_channels, kernel_size=kernel_size, stride=1, bias=bias
        )

    def describe(
        self, images: Float[Tensor, "batch channels width width"]
    ) -> Float[Tensor, "batch out_channels"]:
        """The outputs: there is no layer after the mean, so that they describe the map."""
        return self.conv(images).mean(dim=(-2, -1))

    def classify(
        self, features: Float[Tensor, "*batch out_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The same."""
        return features


def _width_after(width: int, num_blocks: int) -> int:
    """Width of the last feature map."""
    if width < STRIDE**num_blocks:
        raise ValueError(
            f"sampling must be at least {STRIDE**num_blocks} pixels wide for {num_blocks} "
            f"convolutions of stride {STRIDE}, got {width}; use a finer nside, a larger part of "
            "the sphere or fewer channels"
        )
    return width // STRIDE**num_blocks


def _make_head(
    name: PlanarHeadName,
    in_channels: int,
    out_channels: int,
    *,
    image_width: int,
    kernel_size: int,
    bias: bool,
) -> FlatHead | MeanHead:
    """The head of that name."""
    if name == "dense":
        return FlatHead(in_channels, out_channels, image_width=image_width, bias=bias)
    if name == "mean":
        return MeanHead(in_channels, out_channels, kernel_size=kernel_size, bias=bias)
    raise ValueError(f"head must be one of {', '.join(get_args(PlanarHeadName))}, got {name!r}")
