"""Regression of a few numbers per map."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.layers.blocks import ActivationName, ConvName
from deepsphere.layers.masked_signals import MissingName, check_missing, observed_signals
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import DenseHead
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.specification import check_signals, plain_arguments
from deepsphere.models.trunk import Trunk, allows_upsampled_end, level_areas, level_operators
from deepsphere.sampling import Sampling

VertexWeightsName = Literal["areas", "equal"]


class Regressor(nn.Module):
    r"""Real numbers of a whole map, such as the parameters of the process that made it.

    The blocks and the statistics of `FCN` with a dense head; its outputs are not squashed, and
    are invariant to rotations up to the error of the discretization.

    Parameters
    ----------
    pyramid : Pyramid
        At most ``len(channels) + 1`` levels; a single one for a network without pooling.
    in_channels : int
    out_channels : int
        How many numbers per map.
    channels, kernel_size, pooling, readout, conv, normalization, affine, bias, activation
        As in `FCN`.
    dropout, last_upsampled, head_bias, missing
        As in `FCN`.
    vertex_weights : "areas" or "equal"
        How vertices weigh in the readout. Areas make it an integral over the sphere; where the
        vertices are unevenly spread measurements, a few of them own most of the area, and equal
        weights use all of them.

    Raises
    ------
    ValueError
        If a name is not a valid one, the levels do not fit the blocks, or (by `forward`) the
        signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=20).pyramid(num_levels=2)
    >>> model = Regressor(pyramid, in_channels=1, out_channels=2, channels=(4, 8))
    >>> model(torch.zeros(3, 192, 1)).shape
    torch.Size([3, 2])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4 (global regression).
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
        head_bias: bool = True,
        missing: MissingName = "raise",
        vertex_weights: VertexWeightsName = "areas",
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_missing(missing)
        if vertex_weights not in get_args(VertexWeightsName):
            raise ValueError(f"vertex_weights must be 'areas' or 'equal', got {vertex_weights!r}")
        self.pyramid = pyramid
        self.config = config
        self.in_channels = in_channels
        self.missing: MissingName = missing
        operators = level_operators(pyramid)
        if last_upsampled is None:
            last_upsampled = allows_upsampled_end(pyramid, len(channels))
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
        areas = level_areas(pyramid, self.trunk.out_level)
        self.head = DenseHead(
            self.trunk.out_channels,
            out_channels,
            readout=readout,
            areas=areas if vertex_weights == "areas" else np.ones_like(areas),
            dropout=dropout,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "regressor", "pyramid": self.pyramid.spec, "config": deepcopy(self.config)}

    def to_sampling(
        self, sampling: Sampling, *, disconnected: Disconnected | None = None
    ) -> "Regressor":
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
    ) -> Float[Tensor, "*batch out_channels"]:
        """The numbers, one row per map.

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
        check_signals(
            signals,
            num_vertices=self.pyramid.graphs[0].num_vertices,
            in_channels=self.in_channels,
        )
        features = observed_signals(signals, mask, missing=self.missing)
        return self.head(self.trunk(features))
