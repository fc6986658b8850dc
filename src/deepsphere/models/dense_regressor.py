"""Regression of a few numbers per vertex, without pooling."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers.blocks import ActivationName, ConvBlock, ConvName, make_conv
from deepsphere.layers.masked import run_layer
from deepsphere.layers.masked_signals import (
    MissingName,
    check_missing,
    observed_signals,
    values_of,
)
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.operator import LaplacianOperator
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.sampling import Sampling


class DenseRegressor(nn.Module):
    r"""Real numbers at every vertex, from the vertices within reach: blocks on a single graph.

    The network of the weather stations: GC50-GC100-GC100-GC1, where only the last convolution has
    neither normalization nor activation.

    Parameters
    ----------
    pyramid : Pyramid
        Only its finest level is used: ``graph.pyramid(num_levels=1)`` is enough.
    in_channels : int
    out_channels : int
        How many numbers per vertex.
    channels : sequence of int
        Channels after each block, before the last convolution.
    kernel_size : int
        Of every convolution. With 1 the network looks at each vertex alone.
    conv, normalization, affine, bias, activation
        As in `ConvBlock`.
    head_bias : bool
        Bias of the last convolution.
    missing : "raise" or "renormalize"
        As in `UNet`.

    Raises
    ------
    ValueError
        If a name is not a valid one, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Fibonacci(100), num_neighbors=5).pyramid(num_levels=1)
    >>> model = DenseRegressor(pyramid, in_channels=5, out_channels=1)
    >>> model(torch.zeros(3, 100, 5)).shape
    torch.Size([3, 100, 1])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4 (dense regression).
    """

    def __init__(
        self,
        pyramid: Pyramid,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (50, 100, 100),
        kernel_size: int = 5,
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
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.missing: MissingName = missing
        operator = LaplacianOperator(pyramid.graphs[0])
        self.blocks = nn.Sequential()
        width_before = in_channels
        for width in channels:
            block = ConvBlock(
                operator,
                in_channels=width_before,
                out_channels=width,
                kernel_size=kernel_size,
                conv=conv,
                normalization=normalization,
                affine=affine,
                bias=bias,
                activation=activation,
            )
            self.blocks.append(block)
            width_before = width
        self.head = make_conv(
            conv,
            operator,
            in_channels=width_before,
            out_channels=out_channels,
            kernel_size=kernel_size,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        config = deepcopy(self.config)
        return {"model": "dense_regressor", "pyramid": self.pyramid.spec, "config": config}

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "DenseRegressor":
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
        """The numbers at every vertex.

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
        return values_of(run_layer(self.head, run_layer(self.blocks, features)))
