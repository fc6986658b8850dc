"""The classifier of the DeepSphere papers in its two variants: FCN and CNN."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers.blocks import ActivationName, ConvName
from deepsphere.layers.masked_signals import (
    MissingName,
    check_missing,
    observed_signals,
    values_of,
)
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import ConvolutionHead, DenseHead, make_dense
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.trunk import Trunk, allows_upsampled_end, level_areas, level_operators
from deepsphere.sampling import Sampling

HeadName = Literal["dense", "convolution"]


class FCN(nn.Module):
    r"""The classifier that is invariant to rotations: statistics of a feature map as features.

    Blocks of convolution, normalization, activation and pooling, then one number per channel and
    statistic for the whole map, so that turning the map changes the output only by the error of
    the discretization. The head is either dense, after the statistics (SHREC'17), or one more
    graph convolution to the classes, whose statistics are the logits (cosmology).

    The defaults are the block with the smallest rotation error that keeps the accuracy: a smooth
    activation, a low-pass before each subsampling, the last activation at twice the resolution,
    then mean and logsumexp (`deepsphere reproduce blocks`). Convolutions start from a normal
    distribution of variance ``2 / (in_channels (kernel_size + 1/2))``, dense layers from
    ``1 / in_features``.

    Parameters
    ----------
    pyramid : Pyramid
        At most ``len(channels) + 1`` levels. There is a pooling after each block as long as
        there is a next level; blocks beyond the last level stay on it.
    in_channels : int
    out_channels : int
        Number of classes.
    channels : sequence of int
        Channels after each block.
    kernel_size : int
        Number of coefficients of each filter. Low-passed features need longer filters: 8 where
        accuracy matters, not below 5.
    pooling : str
        "mean", "area", "max", "low_pass", "gaussian", "subsample"; see `Pool`.
    readout : str
        "mean", "max", "mean_max", "mean_logsumexp", "meanvar", "histogram", ...: statistics
        over the vertices, weighted by area; see `make_readout`. A convolution head needs one
        feature per channel.
    conv : "chebyshev", "monomial" or "bernstein"
    normalization : "batch", "layer", "group" or "none"
    affine : bool
        Learn a scale and a shift in the normalization.
    bias : bool
        Learn a bias after each normalization (the published block, with ``affine=False``).
    activation : "relu", "gelu", "silu", ...
    dropout : float, in [0, 1)
        Applied to the input of the head, while training.
    last_upsampled : bool, optional
        Evaluate the last activation at twice the resolution, right before the statistics. If not
        given: where it can be, in a pyramid of 2 to ``len(channels)`` levels with a dense head.
    head : "dense" or "convolution"
        What makes logits: a dense layer after the statistics, or a convolution before them.
    head_bias : bool
    missing : "raise" or "renormalize"
        What to do with NaN in the signals, and whether there may be a mask. "raise": nothing, and
        no mask; `deepsphere.training.predict` raises at NaN. "renormalize": they are missing
        values, and all layers count what is valid alone (`deepsphere.layers.masked`).

    Raises
    ------
    ValueError
        If a name is not one of these, the levels do not fit the blocks, the readout does not fit
        a convolution head, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20).pyramid(num_levels=2)
    >>> model = FCN(pyramid, in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 192, 1)).shape
    torch.Size([3, 10])

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019;
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 5,
        pooling: PoolName = "low_pass",
        readout: ReadoutName = "mean_logsumexp",
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "gelu",
        dropout: float = 0.0,
        last_upsampled: bool | None = None,
        head: HeadName = "dense",
        head_bias: bool = True,
        missing: MissingName = "raise",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_missing(missing)
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.missing: MissingName = missing
        operators = level_operators(pyramid)
        if last_upsampled is None:
            last_upsampled = head == "dense" and allows_upsampled_end(pyramid, len(channels))
        self.trunk = Trunk(
            pyramid,
            operators,
            in_channels=in_channels,
            channels=channels,
            kernel_size=kernel_size,
            pooling=pooling,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation=activation,
            last_upsampled=last_upsampled,
        )
        width, level = self.trunk.out_channels, self.trunk.out_level
        areas = level_areas(pyramid, level)
        if head == "dense":
            self.head = DenseHead(
                width, out_channels, readout=readout, areas=areas, dropout=dropout, bias=head_bias
            )
        elif head == "convolution":
            _check_linear_end(last_upsampled)
            self.head = ConvolutionHead(
                operators[level],
                in_channels=width,
                out_channels=out_channels,
                kernel_size=kernel_size,
                conv=conv,
                readout=readout,
                areas=areas,
                dropout=dropout,
                bias=head_bias,
            )
        else:
            raise ValueError(f"head must be one of {', '.join(get_args(HeadName))}, got {head!r}")

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "fcn", "pyramid": self.pyramid.spec, "config": deepcopy(self.config)}

    def to_sampling(self, sampling: Sampling, *, disconnected: Disconnected | None = None) -> "FCN":
        """The same network, with a copy of its weights, for signals on another sampling.

        See `deepsphere.models.retargeting.to_sampling`.
        """
        return to_sampling(self, sampling, disconnected=disconnected)

    def describe(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: the statistics of its last feature map.

        With a convolution head no layer follows the statistics: there the descriptor is the
        logits.
        """
        check_signals(
            signals,
            num_vertices=self.pyramid.graphs[0].num_vertices,
            in_channels=self.in_channels,
        )
        features = observed_signals(signals, mask, missing=self.missing)
        return self.head.describe(self.trunk(features))

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits for descriptors, by dropout and the dense layer."""
        return self.head.classify(features)

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits of the classes, one row per map.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)
        mask : Tensor of bool, optional
            Of a shape that broadcasts to (*batch, vertices), True where a vertex is valid; only
            with ``missing="renormalize"``. A vertex with NaN is never valid.

        Returns
        -------
        Tensor, shape (*batch, out_channels)
            Of a map without valid vertices: those of zero features.
        """
        return self.classify(self.describe(signals, mask))


class CNN(nn.Module):
    r"""The classifier that knows where on the sphere a feature is: flatten, then a dense layer.

    The same blocks as `FCN`, but the last feature map goes to the dense layer as it is, one
    weight per vertex, channel and class. It is not invariant to rotations; it suits signals
    with a fixed orientation, as on the Earth, and few vertices at the last level.

    Parameters
    ----------
    pyramid : Pyramid
        At most ``len(channels) + 1`` levels; the coarser the last, the smaller the dense layer.
    in_channels : int
    out_channels : int
        Number of classes.
    channels, kernel_size, pooling, conv, normalization, affine, bias, activation
        As in `FCN`.
    dropout : float, in [0, 1)
        Applied to the flattened feature map, while training.
    head_bias : bool
    missing : "raise" or "renormalize"
        As in `FCN`; features are zero at vertices that nothing valid is in reach of.

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the blocks, or (by `forward`) the
        signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20).pyramid(num_levels=2)
    >>> model = CNN(pyramid, in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 192, 1)).shape
    torch.Size([3, 10])

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019.
    """

    tied_to_vertices = True

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 5,
        pooling: PoolName = "low_pass",
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        head_bias: bool = True,
        missing: MissingName = "raise",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_missing(missing)
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.missing: MissingName = missing
        self.trunk = Trunk(
            pyramid,
            level_operators(pyramid),
            in_channels=in_channels,
            channels=channels,
            kernel_size=kernel_size,
            pooling=pooling,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation=activation,
        )
        num_vertices = pyramid.graphs[self.trunk.out_level].num_vertices
        self.dropout = nn.Dropout(dropout)
        self.dense = make_dense(
            num_vertices * self.trunk.out_channels, out_channels, bias=head_bias
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "cnn", "pyramid": self.pyramid.spec, "config": deepcopy(self.config)}

    def to_sampling(self, sampling: Sampling, *, disconnected: Disconnected | None = None) -> "CNN":
        """The network itself, for its own sampling: a dense layer belongs to the vertices.

        Others raise a ValueError. See `deepsphere.models.retargeting.to_sampling`.
        """
        return to_sampling(self, sampling, disconnected=disconnected)

    def describe(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: its last feature map, vertices and channels in one axis."""
        check_signals(
            signals,
            num_vertices=self.pyramid.graphs[0].num_vertices,
            in_channels=self.in_channels,
        )
        features = observed_signals(signals, mask, missing=self.missing)
        return values_of(self.trunk(features)).flatten(-2)

    def classify(
        self, features: Float[Tensor, "*batch features"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits for descriptors, by dropout and the dense layer."""
        return self.dense(self.dropout(features))

    def predict(self, data: Data, **options: Any) -> Data:
        """Predictions for fields with coordinates, or for an array, as data of the same kind.

        See `deepsphere.models.field_prediction.predict_fields`.
        """
        return predict_fields(self, data, **options)

    def forward(
        self,
        signals: Float[Tensor, "*batch vertices in_channels"],
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits of the classes, one row per map.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)
        mask : Tensor of bool, optional
            Of a shape that broadcasts to (*batch, vertices), True where a vertex is valid; only
            with ``missing="renormalize"``. A vertex with NaN is never valid.

        Returns
        -------
        Tensor, shape (*batch, out_channels)
            Of a map without valid vertices: those of zero features.
        """
        return self.classify(self.describe(signals, mask))


def _check_linear_end(last_upsampled: bool) -> None:
    """Raise if an activation is to be upsampled that the statistics do not follow."""
    if last_upsampled:
        raise ValueError(
            'last_upsampled must be False with head="convolution", got True; there the '
            "statistics follow a linear convolution, which makes nothing to oversample"
        )
