"""The U-Net with skip connections: an output at every vertex from all scales."""

from collections.abc import Sequence
from copy import deepcopy
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
    Signals,
    check_missing,
    concatenate,
    observed_signals,
    values_of,
)
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName, UnpoolName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.trunk import level_operators
from deepsphere.sampling import Sampling


class UNet(nn.Module):
    r"""An output at every vertex: features of coarser and coarser levels, and back with skips.

    Encoder: two blocks on the finest level, one on each other level, the last of them linear;
    pooling between levels. Decoder, from the coarsest level but one to the finest: unpool, a
    block, append the encoder's output of that level (as it was before pooling), a block. The
    decoder leaves a level with as many channels as the encoder entered it with. A convolution
    gives the outputs.

    Parameters
    ----------
    pyramid : Pyramid
        As many levels as `channels`, at least 2.
    in_channels : int
    out_channels : int
        How many numbers (or logits) per vertex.
    channels : sequence of int
        Channels of the encoder's output on each level, from the finest.
    stem_channels : int
        Channels after the first of the two blocks on the finest level.
    kernel_size : int
    head_kernel_size : int
        Of the last convolution; 1 looks at each vertex alone.
    pooling, unpooling : str
        See `Pool` and `Unpool` (without "index").
    finest_skip : bool
        Append the encoder's output on the finest level too; the published network does not.
    conv, normalization, affine, bias, activation
        As in `ConvBlock`.
    head_bias : bool
        Bias of the last convolution.
    missing : "raise" or "renormalize"
        What to do with NaN in the signals, and whether there may be a mask. "raise": nothing, and
        no mask; `deepsphere.training.predict` raises at NaN. "renormalize": they are missing
        values, and all layers count what is valid alone (`deepsphere.layers.masked`).

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the channels, or (by `forward`) the
        signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20).pyramid(num_levels=2)
    >>> model = UNet(pyramid, in_channels=16, out_channels=3, channels=(4, 8), stem_channels=4)
    >>> model(torch.zeros(2, 192, 16)).shape
    torch.Size([2, 192, 3])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    appendix; Ronneberger, Fischer and Brox, "U-Net", 2015.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (32, 64, 128),
        stem_channels: int = 16,
        kernel_size: int = 5,
        head_kernel_size: int = 1,
        pooling: PoolName = "low_pass",
        unpooling: UnpoolName = "copy",
        finest_skip: bool = True,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
        head_bias: bool = True,
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

        coarsest = pyramid.num_levels - 1
        entered = [stem_channels, *channels[:-1]]
        self.stem = block(0, in_channels, stem_channels)
        self.encoder = nn.ModuleList(
            block(level, entered[level], channels[level]) for level in range(coarsest)
        )
        self.pools = nn.ModuleList(
            Pool(pyramid, level, method=pooling) for level in range(coarsest)
        )
        self.bottom = make_conv(
            conv,
            operators[coarsest],
            in_channels=entered[coarsest],
            out_channels=channels[coarsest],
            kernel_size=kernel_size,
            bias=bias,
        )
        self.decoder = nn.ModuleList()
        width_below = channels[coarsest]
        for level in reversed(range(coarsest)):
            width = entered[level]
            skipped = level > 0 or finest_skip
            stage = DecoderLevel(
                unpool=Unpool(pyramid, level, method=unpooling),
                up=block(level, width_below, width),
                merge=block(level, width + channels[level], width) if skipped else None,
            )
            self.decoder.append(stage)
            width_below = width
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
        return {"model": "unet", "pyramid": self.pyramid.spec, "config": deepcopy(self.config)}

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "UNet":
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
        features = observed_signals(signals, mask, missing=self.missing)
        features = run_layer(self.stem, features)
        skips: list[Signals] = []
        for encode, pool in zip(self.encoder, self.pools, strict=True):
            skips.append(run_layer(encode, features))
            features = run_layer(pool, skips[-1])
        features = run_layer(self.bottom, features)
        for decode in self.decoder:
            features = decode(features, skips.pop())
        return values_of(run_layer(self.head, features))


class DecoderLevel(nn.Module):
    """One level of a decoder: unpool, a block, append the skip, another block.

    Parameters
    ----------
    unpool : Module
        From the level below to this one.
    up : Module
        The block before the skip is appended.
    merge : Module or None
        The block after it; None: the skip is not used.
    """

    def __init__(self, *, unpool: nn.Module, up: nn.Module, merge: nn.Module | None) -> None:
        super().__init__()
        self.unpool = unpool
        self.up = up
        self.merge = merge

    def forward(self, below: Signals, skip: Signals) -> Signals:
        """The feature map of this level.

        Parameters
        ----------
        below : Tensor or MaskedSignals, shape (*batch, vertices below, channels below)
        skip : Tensor or MaskedSignals, shape (*batch, vertices, skip channels)

        Returns
        -------
        Tensor or MaskedSignals, shape (*batch, vertices, channels)
        """
        signals = run_layer(self.up, run_layer(self.unpool, below))
        if self.merge is None:
            return signals
        return run_layer(self.merge, concatenate([signals, skip]))


def check_unpooling(unpooling: UnpoolName) -> None:
    """Raise at an unpooling that needs as many channels below as were pooled.

    Parameters
    ----------
    unpooling : str

    Raises
    ------
    ValueError
        If it is "index".
    """
    if unpooling == "index":
        raise ValueError(
            "unpooling must not be 'index' in a U-Net, got it; the channels that come back are "
            "not those whose maxima were taken: use 'copy'"
        )


def _check_levels(num_levels: int, num_widths: int) -> None:
    """Raise if the channels do not name one width for each of at least two levels."""
    if num_levels < 2 or num_widths != num_levels:
        raise ValueError(
            "channels must have one entry for each of at least 2 levels of the pyramid "
            f"({num_levels}), got {num_widths}; change channels or num_levels"
        )
