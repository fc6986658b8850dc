"""The U-Net whose results on climate segmentation were published ("13M", "52M")."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers import ConvBlock, Pool, Unpool
from deepsphere.layers.blocks import ActivationName, ConvName, make_conv
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import (
    MissingName,
    check_missing,
    observed_signals,
    values_of,
)
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName, UnpoolName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.trunk import level_operators
from deepsphere.models.unet import DecoderLevel, check_unpooling
from deepsphere.sampling import Sampling


class ClimateUNet(nn.Module):
    r"""An output at every vertex, by the network that the published code trained.

    It differs from `UNet`, which the appendix of the paper describes: a skip is the *pooled*
    output of the encoder (the input of the layer on that level); the decoder mirrors every
    layer of the encoder, also the last, without changing level there; the first of the two
    convolutions of a decoder level is linear.

    Encoder layer j has ``channels[j]`` channels; the first ones are on the finest level, one on
    each other level, and the last is a linear convolution. Decoder layer i = 1, 2, ... returns
    to the level of the i-th encoder layer from the end: unpool (not for i = 1), a convolution
    with bias, append what that encoder layer received, a block.

    Parameters
    ----------
    pyramid : Pyramid
        At least 2 levels.
    in_channels : int
    out_channels : int
        How many numbers (or logits) per vertex.
    channels : sequence of int
        Channels of each encoder layer: as many as levels, or more to begin with several layers on
        the finest level.
    kernel_size : int
    head_kernel_size : int
        Of the last convolution, to the outputs.
    pooling, unpooling : str
        See `Pool` and `Unpool` (without "index"); published: "keep_first" and "pad_ones".
    input_skip : bool
        Append the input itself at the last decoder layer, and merge it by a block. The committed
        code does (12,932,608 parameters); the table of the paper does not (12,926,432).
    conv, normalization, affine, bias, activation
        As in `ConvBlock`.
    head_bias : bool
        Bias of the last convolution.
    missing : "raise" or "renormalize"
        As in `UNet`.

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the channels, or (by `forward`) the
        signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Icosahedral(4), num_neighbors=6).pyramid(num_levels=3)
    >>> model = ClimateUNet(pyramid, in_channels=16, out_channels=3, channels=(4, 8, 8, 8))
    >>> model(torch.zeros(2, 162, 16)).shape
    torch.Size([2, 162, 3])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.3, and its code.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (32, 64, 128, 256, 512, 512, 512),
        kernel_size: int = 4,
        head_kernel_size: int = 1,
        pooling: PoolName = "low_pass",
        unpooling: UnpoolName = "copy",
        input_skip: bool = False,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = False,
        bias: bool = True,
        activation: ActivationName = "relu",
        head_bias: bool = False,
        missing: MissingName = "raise",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_missing(missing)
        check_unpooling(unpooling)
        _check_levels(pyramid.num_levels, len(channels))
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.missing: MissingName = missing
        operators = level_operators(pyramid)

        def block(level: int, width_before: int, width: int) -> ConvBlock:
            return ConvBlock(
                operators[level],
                in_channels=width_before,
                out_channels=width,
                kernel_size=kernel_size,
                conv=conv,
                normalization=normalization,
                affine=affine,
                bias=bias,
                activation=activation,
            )

        def linear(level: int, width_before: int, width: int, *, bias: bool) -> nn.Module:
            return make_conv(
                conv,
                operators[level],
                in_channels=width_before,
                out_channels=width,
                kernel_size=kernel_size,
                bias=bias,
            )

        num_layers = len(channels)
        first_pooled = num_layers - pyramid.num_levels
        levels = [max(0, layer - first_pooled) for layer in range(num_layers)]
        entered = [in_channels, *channels[:-1]]
        self.encoder = nn.ModuleList(
            block(levels[layer], entered[layer], channels[layer]) for layer in range(num_layers - 1)
        )
        self.pools = nn.ModuleList(
            Pool(pyramid, level, method=pooling) if below > level else nn.Identity()
            for level, below in pairwise(levels)
        )
        self.bottom = linear(levels[-1], entered[-1], channels[-1], bias=False)
        self.decoder = nn.ModuleList()
        level_below, width_below = levels[-1], channels[-1]
        for layer in reversed(range(num_layers)):
            level, width = levels[layer], channels[layer]
            merged = layer > 0 or input_skip
            stage = DecoderLevel(
                unpool=Unpool(pyramid, level, method=unpooling)
                if level < level_below
                else nn.Identity(),
                up=linear(level, width_below, width, bias=bias),
                merge=block(level, width + entered[layer], width) if merged else None,
            )
            self.decoder.append(stage)
            level_below, width_below = level, width
        self.head = make_conv(
            conv,
            operators[0],
            in_channels=width_below,
            out_channels=out_channels,
            kernel_size=head_kernel_size,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {
            "model": "climate_unet",
            "pyramid": self.pyramid.spec,
            "config": deepcopy(self.config),
        }

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "ClimateUNet":
        """The same network, with a copy of its weights, for signals on another sampling.

        See `deepsphere.models.retargeting.to_sampling`.
        """
        return to_sampling(self, sampling, disconnected=disconnected)

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The outputs at every vertex.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)
        mask : Tensor of bool, optional
            Of a shape that broadcasts to (*batch, vertices), True where a vertex is valid; only
            with ``missing="renormalize"``. A vertex with NaN is never valid.

        Returns
        -------
        Tensor, shape (*batch, vertices, out_channels)
            At every vertex within reach of a valid one; 0 at others.
        """
        check_signals(
            signals,
            num_vertices=self.pyramid.graphs[0].num_vertices,
            in_channels=self.in_channels,
        )
        received = [observed_signals(signals, mask, missing=self.missing)]
        for encode, pool in zip(self.encoder, self.pools, strict=True):
            received.append(run_layer(pool, run_layer(encode, received[-1])))
        features = run_layer(self.bottom, received[-1])
        for decode in self.decoder:
            features = decode(features, received.pop())
        return values_of(run_layer(self.head, features))


def _check_levels(num_levels: int, num_layers: int) -> None:
    """Raise if the encoder's layers cannot be spread over the levels."""
    if num_levels < 2 or num_layers < num_levels:
        raise ValueError(
            "channels must have at least one entry for each of at least 2 levels of the pyramid "
            f"({num_levels}), got {num_layers}; change channels or num_levels"
        )
