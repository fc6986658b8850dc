"""UGSCNN: convolutions as linear combinations of derivatives on the icosahedral mesh."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_matrix, eye_array, vstack
from torch import Tensor, nn

from deepsphere.layers.normalization import BatchNorm
from deepsphere.layers.resampling import Resample
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import DenseHead
from deepsphere.models.rivals.mesh_operators import mesh_derivatives, mesh_laplacian
from deepsphere.models.specification import check_sampling, check_signals, plain_arguments
from deepsphere.sampling import Icosahedral

NUM_OPERATORS = 4
"""Identity, derivatives to the east and to the north, Laplacian."""


class UGSCNN(nn.Module):
    r"""The classifier of Jiang et al. on the icosahedral mesh: residual blocks of `MeshConv`.

    A convolution, then residual blocks, each on the next coarser level, whose vertices are the
    first of the finer one; then statistics and a dense layer. The derivatives know where north is,
    so that the network is invariant to a turn about the axis by 72°, which maps the mesh to itself,
    but to no other rotation.

    Biases right before a normalization, which takes them away, are left out, and the mean is
    weighted by area; all else is as published.

    Parameters
    ----------
    sampling : Icosahedral
        Vertices (not the dual) with as many coarser levels as there are steps down.
    in_channels : int
    out_channels : int
        Number of classes.
    channels : sequence of int
        Channels after the first convolution and after each block.
    first_level : 0 or 1
        Level of the output of the first convolution; with 1 it looks at the finest level from the
        vertices of the next.
    readout : str
        Statistics over the vertices, weighted by area; see `make_readout`.
    dropout : float, in [0, 1)
        Applied to the statistics, while training.
    head_bias : bool

    Raises
    ------
    ValueError
        If the sampling is no icosahedral mesh or has too few levels, there are no channels, an
        argument is out of range, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> model = UGSCNN(ds.Icosahedral(level=2), in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 162, 1)).shape
    torch.Size([3, 10])

    References
    ----------
    Jiang, Huang, Kashinath, Prabhat, Marcus and Niessner (2019), Spherical CNNs on unstructured
    grids.
    """

    def __init__(
        self,
        sampling: Icosahedral,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 64, 256),
        first_level: Literal[0, 1] = 0,
        readout: ReadoutName = "mean",
        dropout: float = 0.0,
        head_bias: bool = True,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_sampling(sampling, Icosahedral, "ugscnn")
        if first_level not in (0, 1):
            raise ValueError(f"first_level must be 0 or 1, got {first_level!r}")
        _check_levels(sampling, len(channels), first_level)
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        level = sampling if first_level == 0 else sampling.coarsen()
        width = channels[0]
        self.layers = nn.Sequential(
            MeshConv(
                sampling,
                in_channels=in_channels,
                out_channels=width,
                num_out_vertices=level.num_vertices,
            ),
            BatchNorm(width),
            nn.ReLU(inplace=True),
        )
        for next_width in channels[1:]:
            level = level.coarsen()
            self.layers.append(ResidualBlock(level, in_channels=width, out_channels=next_width))
            width = next_width
        self.head = DenseHead(
            width,
            out_channels,
            readout=readout,
            areas=level.areas,
            dropout=dropout,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {"model": "ugscnn", "sampling": self.sampling.spec, "config": deepcopy(self.config)}

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: the statistics of its last feature map."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        return self.head.describe(self.layers(signals))

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
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_channels"]:
        """The logits of the classes, one row per map."""
        return self.classify(self.describe(signals))


class MeshConv(nn.Module):
    r"""A linear combination of a signal and its derivatives on the mesh.

    .. math:: y_o = \sum_i w_{0io} x_i + w_{1io} \partial_{east} x_i + w_{2io} \partial_{north} x_i
              + w_{3io} \bar a \Delta x_i

    with derivatives per radian and the Laplacian in units of the mean area :math:`\bar a` of the
    vertices, as published. The operators are one sparse matrix, whose product is followed by one
    dense product. The bias is left to the normalization that follows. Weights are drawn uniformly
    within :math:`\pm 1 / \sqrt{4\, \mathrm{in\_channels}}`.

    Parameters
    ----------
    sampling : Icosahedral
    in_channels, out_channels : int
    num_out_vertices : int, optional
        Compute the output at that many of the first vertices only.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> conv = MeshConv(ds.Icosahedral(level=1), in_channels=2, out_channels=3)
    >>> conv(torch.zeros(5, 42, 2)).shape, conv.weight.shape
    (torch.Size([5, 42, 3]), torch.Size([4, 2, 3]))

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 3.2.
    """

    def __init__(
        self,
        sampling: Icosahedral,
        *,
        in_channels: int,
        out_channels: int,
        num_out_vertices: int | None = None,
    ) -> None:
        super().__init__()
        self.operators = Resample(interleaved_operators(sampling, num_out_vertices))
        self.weight = nn.Parameter(torch.empty(NUM_OPERATORS, in_channels, out_channels))
        largest = 1 / math.sqrt(NUM_OPERATORS * in_channels)
        nn.init.uniform_(self.weight, -largest, largest)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_vertices out_channels"]:
        """The convolved signals."""
        derivatives = self.operators(signals)
        # the four rows of a vertex lie one after the other, as the first two axes of the weights
        weight = self.weight.flatten(0, 1)
        num_vertices = derivatives.shape[-2] // NUM_OPERATORS
        columns = derivatives.reshape(*signals.shape[:-2], num_vertices, len(weight))
        return columns @ weight


class ResidualBlock(nn.Module):
    """A bottleneck of a dense layer, a mesh convolution and a dense layer beside a short way.

    The signal comes from the next finer level, of which the first vertices are kept. Each layer is
    followed by batch normalization and, but for the last, a ReLU, and so is the sum of the two
    ways. The short way is a dense layer and batch normalization where the number of channels
    changes, else nothing.

    Parameters
    ----------
    sampling : Icosahedral
        Of the output.
    in_channels, out_channels : int

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> block = ResidualBlock(ds.Icosahedral(level=1), in_channels=2, out_channels=3)
    >>> block(torch.zeros(5, 162, 2)).shape
    torch.Size([5, 42, 3])
    """

    def __init__(self, sampling: Icosahedral, *, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.num_vertices = sampling.num_vertices
        self.long_way = nn.Sequential(
            nn.Linear(in_channels, in_channels, bias=False),
            BatchNorm(in_channels),
            nn.ReLU(inplace=True),
            MeshConv(sampling, in_channels=in_channels, out_channels=in_channels),
            BatchNorm(in_channels),
            nn.ReLU(inplace=True),
            nn.Linear(in_channels, out_channels, bias=False),
            BatchNorm(out_channels),
        )
        self.short_way = nn.Sequential()
        if in_channels != out_channels:
            self.short_way.extend(
                [nn.Linear(in_channels, out_channels, bias=False), BatchNorm(out_channels)]
            )
        self.activation = nn.ReLU(inplace=True)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_vertices out_channels"]:
        """The feature map on the coarser level."""
        kept = signals[..., : self.num_vertices, :]
        return self.activation(self.long_way(kept) + self.short_way(kept))


def ugscnn_modelnet40(
    sampling: Icosahedral | None = None, *, in_channels: int = 6, out_channels: int = 40
) -> UGSCNN:
    """The classifier of 3D shapes (ModelNet40) of Jiang et al.: 3,730,408 parameters.

    The published code has 3,737,160, of which 6,752 are biases before a normalization.

    Parameters
    ----------
    sampling : Icosahedral, optional
        Level 5 (10,242 vertices), if not given; at least 4 levels above the icosahedron.
    in_channels : int
        Three of the mesh and three of its convex hull: distance, cosine, sine.
    out_channels : int
        Number of classes.

    Returns
    -------
    UGSCNN

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(ugscnn_modelnet40())
    3730408

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 4.2 and its code.
    """
    return UGSCNN(
        Icosahedral(level=5) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(32, 128, 512, 2048),
        first_level=1,
        dropout=0.5,
    )


def ugscnn_mnist(
    sampling: Icosahedral | None = None, *, in_channels: int = 1, out_channels: int = 10
) -> UGSCNN:
    """The classifier of digits on the sphere of Jiang et al.: 60,842 parameters.

    The published code has 61,658, of which 816 are biases before a normalization.

    Parameters
    ----------
    sampling : Icosahedral, optional
        Level 4 (2,562 vertices), if not given; at least 2 levels above the icosahedron.
    in_channels, out_channels : int

    Returns
    -------
    UGSCNN

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(ugscnn_mnist())
    60842

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 4.1 and its code.
    """
    return UGSCNN(
        Icosahedral(level=4) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=(16, 64, 256),
        dropout=0.5,
    )


def interleaved_operators(sampling: Icosahedral, num_out_vertices: int | None = None) -> csr_matrix:
    r"""Identity, derivatives to the east and to the north, and Laplacian, as one sparse matrix.

    Rows 4v to 4v + 3 are those of vertex v, in this order; the Laplacian in units of the mean area
    of the vertices.

    Parameters
    ----------
    sampling : Icosahedral
    num_out_vertices : int, optional
        Only the first vertices; all if not given.

    Returns
    -------
    csr_matrix, shape (4 out vertices, vertices)

    Examples
    --------
    >>> interleaved_operators(Icosahedral(level=0)).shape
    (48, 12)
    """
    num_vertices = sampling.num_vertices
    num_rows = num_vertices if num_out_vertices is None else num_out_vertices
    east, north = mesh_derivatives(sampling)
    laplacian = sampling.areas.mean() * mesh_laplacian(sampling)
    stacked = csr_matrix(vstack([eye_array(num_vertices), east, north, laplacian]))
    order = np.arange(num_rows)[:, None] + num_vertices * np.arange(NUM_OPERATORS)
    return stacked[order.ravel()]


def _check_levels(sampling: Icosahedral, num_widths: int, first_level: int) -> None:
    """Raise unless the sampling is a mesh with a level for every layer."""
    if sampling.dual:
        raise ValueError(
            f"sampling must be the vertices of an icosahedral mesh for ugscnn, got {sampling}; use "
            "dual=False"
        )
    if num_widths == 0:
        raise ValueError("channels must name at least one layer, got none; use channels=(16,)")
    needed = first_level + num_widths - 1
    if sampling.level < needed:
        raise ValueError(
            f"the level of the sampling must be at least {needed} for {num_widths} widths from "
            f"first_level={first_level}, got {sampling.level}; use Icosahedral(level={needed})"
        )
