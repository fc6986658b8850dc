"""The residual U-Net that forecasts weather: it adds a change to the last state."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers import ConvBlock, Pool, Unpool
from deepsphere.layers.blocks import ActivationName, ConvName
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import (
    MaskedSignals,
    MissingName,
    Signals,
    add,
    check_missing,
    concatenate,
    observed_signals,
    values_of,
)
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.layers.pooling import PoolName, UnpoolName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.trunk import level_operators
from deepsphere.models.unet import check_unpooling
from deepsphere.sampling import Sampling

IncrementName = Literal["state", "none"]


class WeatherUNet(nn.Module):
    r"""Fields at every vertex one step ahead, from those at a few times before.

    Encoder: a residual block on each level, pooling between. Decoder: unpool, append the output of
    the encoder on that level, a residual block, from the coarsest level but one to the finest. One
    more residual block on the finest level makes the outputs.

    With increments, the output is

    .. math:: y = \gamma \odot x_{last} + \alpha\, f(x)

    where the last `out_channels` of the inputs are the newest state. α, one number, is
    `residual_scale` at first, and γ, one number for each channel, is 1: an untrained network with
    α = 0 forecasts persistence exactly. γ below 1 lets the memory of a state fade, as that of
    anomalies does over months, where a network that only adds to the state would have to learn its
    negative.

    Parameters
    ----------
    pyramid : Pyramid
        As many levels as `channels`; one level is a network without pooling.
    in_channels : int
    out_channels : int
        Fields that are forecast: the last of the inputs are their newest state.
    channels : sequence of int
        Channels of the encoder's output on each level, from the finest.
    hidden_channels : sequence of int, optional
        Channels between the two convolutions of the encoder's block on each level; as many as
        `channels` if not given. The decoder leaves the finest level with the first of them.
        Published: channels (128, 256, 256), hidden_channels (64, 192, 512).
    kernel_size : int
        1 looks at each vertex alone, but for what pooling brings: on one level, at nothing else.
    increment : "state" or "none"
        Whether the outputs are added to the newest state.
    residual_scale : float
        First value of α, and of the weights of all residuals (see `ScaledResidualBlock`).
    pooling, unpooling : str
        See `Pool` and `Unpool` (without "index").
    conv, normalization, affine, bias, activation
        As in `ConvBlock`.
    missing : "raise" or "renormalize"
        What to do with NaN in the signals, and whether there may be a mask. "raise": nothing, and
        no mask; forecasts then put the mean, zero, where a field is missing. "renormalize": a
        vertex where any field is missing does not count in any layer
        (`deepsphere.layers.masked`).

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the channels, there are fewer inputs
        than outputs to add to, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    >>> model = WeatherUNet(pyramid, in_channels=7, out_channels=2, channels=(4, 8)).eval()
    >>> states = torch.randn(5, 192, 7, generator=torch.Generator().manual_seed(0))
    >>> bool((model(states) == states[..., -2:]).all())
    True

    References
    ----------
    Defferrard, Feng, Ghiggi and Bertoli, deepsphere-weather (2021), its residual U-Net.
    Bachlechner et al., "ReZero is all you need", 2021. He et al., "Identity mappings in deep
    residual networks", 2016.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (64, 128, 256),
        hidden_channels: Sequence[int] | None = None,
        kernel_size: int = 3,
        increment: IncrementName = "state",
        residual_scale: float = 0.0,
        pooling: PoolName = "area",
        unpooling: UnpoolName = "copy",
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
        missing: MissingName = "raise",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_missing(missing)
        check_unpooling(unpooling)
        hidden = tuple(channels if hidden_channels is None else hidden_channels)
        _check_levels(pyramid.num_levels, len(channels), len(hidden))
        _check_increment(increment, in_channels=in_channels, out_channels=out_channels)
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.missing: MissingName = missing
        operators = level_operators(pyramid)

        def block(level: int, before: int, hidden: int, after: int) -> ScaledResidualBlock:
            return ScaledResidualBlock(
                operators[level],
                in_channels=before,
                hidden_channels=hidden,
                out_channels=after,
                kernel_size=kernel_size,
                scale=residual_scale,
                conv=conv,
                normalization=normalization,
                affine=affine,
                bias=bias,
                activation=activation,
            )

        coarsest = pyramid.num_levels - 1
        entered = [in_channels, *channels[:-1]]
        self.encoder = nn.ModuleList(
            block(level, entered[level], hidden[level], channels[level])
            for level in range(pyramid.num_levels)
        )
        self.pools = nn.ModuleList(
            Pool(pyramid, level, method=pooling) for level in range(coarsest)
        )
        self.unpools = nn.ModuleList()
        self.decoder = nn.ModuleList()
        below = channels[coarsest]  # what arrives at the next block
        for level in reversed(range(coarsest)):
            after = channels[level - 1] if level > 0 else hidden[0]
            self.unpools.append(Unpool(pyramid, level, method=unpooling))
            self.decoder.append(block(level, below + channels[level], channels[level], after))
            below = after
        self.head = block(0, below, below, out_channels)
        self.memory: nn.Parameter | None = None
        self.increment_scale: nn.Parameter | None = None
        if increment == "state":
            self.memory = nn.Parameter(torch.ones(out_channels))
            self.increment_scale = nn.Parameter(torch.tensor(float(residual_scale)))

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {
            "model": "weather_unet",
            "pyramid": self.pyramid.spec,
            "config": deepcopy(self.config),
        }

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "WeatherUNet":
        """The same network, with a copy of its weights, for signals on another sampling.

        See `deepsphere.models.retargeting.to_sampling`.
        """
        return to_sampling(self, sampling, disconnected=disconnected)

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`; for forecasts from physical
        fields, `deepsphere.training.rollout`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The fields at every vertex one step ahead.

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
        newest = values_of(features)[..., -self.out_channels :]
        skips: list[Signals] = []
        for level, encode in enumerate(self.encoder):
            features = encode(features)
            if level < len(self.pools):
                skips.append(features)
                features = run_layer(self.pools[level], features)
        for unpool, decode in zip(self.unpools, self.decoder, strict=True):
            features = decode(concatenate([run_layer(unpool, features), skips.pop()]))
        change = values_of(self.head(features))
        if self.memory is None or self.increment_scale is None:
            return change
        return self.memory * newest + self.increment_scale * change


class ScaledResidualBlock(nn.Module):
    r"""Two blocks beside a shortcut, of which nothing but the shortcut is there at first.

    .. math:: y = S x + \alpha\, \mathrm{norm}(g_2\, \sigma(\mathrm{norm}(g_1 x)))

    S is the signal itself where there are as many channels in as out, else a learned matrix, the
    same at every vertex. Nothing follows the sum. α is learned: one number, `scale` at first. With
    0, deep networks begin as linear ones and train fast; the scale of the last normalization must
    then not be zero as well, or neither would ever move.

    Parameters
    ----------
    graph : LaplacianOperator
    in_channels, hidden_channels, out_channels : int, at least 1
    kernel_size : int, at least 1
        Of both convolutions.
    scale : float
        First value of α.
    conv, normalization, affine, bias, activation
        As in `ConvBlock`.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> block = ScaledResidualBlock(
    ...     ds.layers.LaplacianOperator(graph),
    ...     in_channels=2,
    ...     hidden_channels=3,
    ...     out_channels=2,
    ...     kernel_size=3,
    ... )
    >>> signals = torch.ones(1, 48, 2)
    >>> bool((block(signals) == signals).all())
    True
    """

    def __init__(
        self,
        graph: LaplacianOperator,
        *,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        kernel_size: int,
        scale: float = 0.0,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
    ) -> None:
        super().__init__()
        self.first = ConvBlock(
            graph,
            in_channels=in_channels,
            out_channels=hidden_channels,
            kernel_size=kernel_size,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation=activation,
        )
        self.second = ConvBlock(
            graph,
            in_channels=hidden_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation="none",
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Linear(in_channels, out_channels, bias=False)
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, signals: Signals) -> Signals:
        """The signals after the block.

        Parameters
        ----------
        signals : Tensor or MaskedSignals, shape (*batch, vertices, in_channels)

        Returns
        -------
        Tensor or MaskedSignals, shape (*batch, vertices, out_channels)
        """
        residual = run_layer(self.second, run_layer(self.first, signals))
        if isinstance(residual, MaskedSignals):
            scaled: Signals = MaskedSignals(self.scale * residual.values, residual.valid)
        else:
            scaled = self.scale * residual
        return add(run_layer(self.shortcut, signals), scaled)


def _check_levels(num_levels: int, num_widths: int, num_hidden: int) -> None:
    """Raise if the channels do not name one width for each level."""
    if num_widths != num_levels:
        raise ValueError(
            f"channels must have one entry for each of {num_levels} levels of the pyramid, got "
            f"{num_widths}; change channels or num_levels"
        )
    if num_hidden != num_widths:
        raise ValueError(
            f"hidden_channels must have one entry for each of {num_widths} levels, got {num_hidden}"
        )


def _check_increment(increment: IncrementName, *, in_channels: int, out_channels: int) -> None:
    """Raise unless there is a newest state to add to."""
    if increment not in get_args(IncrementName):
        raise ValueError(
            f"increment must be one of {', '.join(get_args(IncrementName))}, got {increment!r}"
        )
    if increment == "state" and in_channels < out_channels:
        raise ValueError(
            f"in_channels must be at least out_channels ({out_channels}), of which the newest "
            f'state is added, got {in_channels}; use increment="none"'
        )
