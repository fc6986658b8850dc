"""The rival on charts: a 2D CNN on the six faces of the cube, which see each other's pixels."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from deepsphere.layers.resampling import Resample
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.field_prediction import Data, predict_fields
from deepsphere.models.heads import DenseHead
from deepsphere.models.rivals.cnn2d import SHAPES_CHANNELS, GridPooling, make_grid_pool
from deepsphere.models.specification import check_sampling, check_signals, plain_arguments
from deepsphere.sampling import CubedSphere

NUM_FACES = 6


class CubeCNN(nn.Module):
    r"""A classifier of signals on a cubed sphere by 2D convolutions of its faces.

    Convolution, batch normalization and ReLU, with pooling of 2 by 2 within faces between blocks
    (not after the last), then the same area-weighted statistics and dense layer as `CNN2d` and
    `FCN`. All faces have the same filters and the same running averages; each is continued by the
    pixels of its neighbors (:func:`cube_padding_matrix`). Rows run from north to south on the four
    faces around the equator. A turn of the sphere by 90° about the axis permutes these four, but
    turns the filters against the two polar faces: the network is invariant to the 24 rotations of
    the cube only as far as its filters are unchanged by quarter turns.

    Parameters
    ----------
    sampling : CubedSphere
        The number of cells along an edge can be halved between blocks.
    in_channels : int
    out_channels : int
    channels : sequence of int
        Channels after each block.
    kernel_size : int, odd
        Width of the square filters, in cells.
    pooling : "mean" or "max"
    readout : str
        Statistics over the cells, weighted by area; see `make_readout`.
    dropout : float, in [0, 1)
        Applied to the statistics, while training.
    head_bias : bool

    Raises
    ------
    ValueError
        If the sampling is no cubed sphere or has an edge that cannot be halved as often, a name is
        not one of these, the kernel size is even, or (by `forward`) the signals have another shape.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> model = CubeCNN(ds.CubedSphere(8), in_channels=1, out_channels=10, channels=(4, 8))
    >>> model(torch.zeros(3, 384, 1)).shape
    torch.Size([3, 10])

    References
    ----------
    Weyn, Durran and Caruana (2020), Improving data-driven global weather prediction using deep
    convolutional neural networks on a cubed sphere (there the polar faces have their own filters).
    """

    def __init__(
        self,
        sampling: CubedSphere,
        *,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int] = (16, 32, 64),
        kernel_size: int = 3,
        pooling: GridPooling = "mean",
        readout: ReadoutName = "mean_logsumexp",
        dropout: float = 0.0,
        head_bias: bool = True,
    ) -> None:
        config = plain_arguments(locals())
        super().__init__()
        check_sampling(sampling, CubedSphere, "cube_cnn")
        self.sampling = sampling
        self.config = config
        self.in_channels = in_channels
        self.layers, pool = nn.Sequential(), make_grid_pool(pooling)
        level, width_before = sampling, in_channels
        for index, width in enumerate(channels):
            if index > 0:
                self.layers.append(pool)
                level = level.coarsen()
            convolution = FaceConv(
                width_before, width, subdivisions=level.subdivisions, kernel_size=kernel_size
            )
            self.layers.extend([convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])
            width_before = width
        self.head = DenseHead(
            width_before,
            out_channels,
            readout=readout,
            areas=level.areas,
            dropout=dropout,
            bias=head_bias,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `model_from_spec` rebuilds the model, without its weights."""
        return {
            "model": "cube_cnn",
            "sampling": self.sampling.spec,
            "config": deepcopy(self.config),
        }

    def describe(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch features"]:
        """The descriptor of each map: the statistics of its last feature map."""
        check_signals(
            signals, num_vertices=self.sampling.num_vertices, in_channels=self.in_channels
        )
        batch = signals.shape[:-2]
        flat = signals.reshape(math.prod(batch), *signals.shape[-2:])
        feature_map = self.layers(_as_faces(flat, self.sampling.subdivisions))
        features = self.head.describe(_as_signals(feature_map))
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


class FaceConv(nn.Module):
    """A 2D convolution of the faces of a cube, each continued by its neighbors, same size out.

    Its bias is left to the normalization that follows. Weights are drawn with variance
    ``2 / (in_channels kernel_size²)``.

    Parameters
    ----------
    in_channels, out_channels : int
    subdivisions : int
        Cells along an edge.
    kernel_size : int, odd

    Raises
    ------
    ValueError
        If the kernel size is even.

    Examples
    --------
    >>> import torch
    >>> conv = FaceConv(1, 2, subdivisions=4, kernel_size=3)
    >>> conv(torch.zeros(5 * 6, 1, 4, 4)).shape
    torch.Size([30, 2, 4, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, subdivisions: int, kernel_size: int
    ) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, got {kernel_size}; an even filter has no center"
            )
        margin = kernel_size // 2
        self.padded_width = subdivisions + 2 * margin
        self.padding = Resample(cube_padding_matrix(subdivisions, margin))
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(
        self, faces: Float[Tensor, "faces in_channels width width"]
    ) -> Float[Tensor, "faces out_channels width width"]:
        """The convolved faces, six for each map."""
        return self.conv(_as_faces(self.padding(_as_signals(faces)), self.padded_width))


def cube_shapes(
    sampling: CubedSphere | None = None, *, in_channels: int = 6, out_channels: int = 55
) -> CubeCNN:
    """The CNN on the faces of a cube for projected 3D shapes, with the layers of `cnn2d_shapes`.

    Parameters
    ----------
    sampling : CubedSphere, optional
        48 cells along an edge (13,824 vertices), if not given.
    in_channels : int
    out_channels : int
        Number of classes.

    Returns
    -------
    CubeCNN

    Examples
    --------
    >>> from deepsphere.models import num_parameters
    >>> num_parameters(cube_shapes())
    188119
    """
    return CubeCNN(
        CubedSphere(48) if sampling is None else sampling,
        in_channels=in_channels,
        out_channels=out_channels,
        channels=SHAPES_CHANNELS,
        pooling="max",
        readout="mean",
    )


def cube_padding_matrix(subdivisions: int, margin: int) -> csr_matrix:
    r"""The faces of a cube, each with a margin of its neighbors' cells, as a sparse matrix.

    A padded cell is where one arrives by walking straight on over the edge, from cell to cell.
    Beyond a corner, where three faces meet, there is no such cell: what lies a rows and b columns
    beyond is the mean of the two cells reached by walking rows first or columns first. The matrix
    commutes with all symmetries of the cube. Lines of cells bend at an edge: seen in the plane of
    a face, the first cells of its neighbors are where its grid continues with equiangular
    spacing, but shifted along the edge, from nothing in its middle to half a cell at its ends.

    Parameters
    ----------
    subdivisions : int
        Number m of cells along an edge.
    margin : int
        Number p of cells to add on each side.

    Returns
    -------
    csr_matrix, shape (6 (m + 2p)², 6 m²)
        Rows sum to 1. Faces, rows and columns as in :class:`deepsphere.CubedSphere`.

    Examples
    --------
    >>> cube_padding_matrix(4, 1).shape
    (216, 96)
    """
    steps = np.arange(-margin, subdivisions + margin)
    inside = np.clip(steps, 0, subdivisions - 1)
    face, row, column = (
        index.ravel() for index in np.meshgrid(np.arange(NUM_FACES), steps, steps, indexing="ij")
    )
    start = (face * subdivisions + inside[row + margin]) * subdivisions + inside[column + margin]
    south, east, normal = (axes[face] for axes in _face_axes())
    southward = (row - inside[row + margin], south)
    eastward = (column - inside[column + margin], east)
    cells = _cube_cells(subdivisions)
    rows, columns = [], []
    for first, second in ((southward, eastward), (eastward, southward)):
        place = _walk(cells[start], normal, *first, subdivisions=subdivisions)
        place = _walk(*place, *second, subdivisions=subdivisions)
        rows.append(np.arange(len(start)))
        columns.append(_find(cells, place[0], subdivisions))
    entries = (np.full(2 * len(start), 0.5), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(len(start), len(cells)))


def _walk(
    cells: Int[np.ndarray, "walkers 3"],
    normals: Int[np.ndarray, "walkers 3"],
    num_steps: Int[np.ndarray, "walkers"],
    headings: Int[np.ndarray, "walkers 3"],
    *,
    subdivisions: int,
) -> tuple[Int[np.ndarray, "walkers 3"], Int[np.ndarray, "walkers 3"]]:
    """Cells and normals after steps along headings, backward if negative, straight over edges."""
    headings = headings * np.sign(num_steps)[:, None]
    for step in range(int(np.abs(num_steps).max())):
        walks = (step < np.abs(num_steps))[:, None]
        leaves = walks & ((cells * headings).sum(axis=1, keepdims=True) == subdivisions - 1)
        stays = walks & ~leaves
        cells = cells + leaves * (headings - normals) + stays * 2 * headings
        normals, headings = (
            np.where(leaves, headings, normals),
            np.where(leaves, -normals, headings),
        )
    return cells, normals


def _cube_cells(subdivisions: int) -> Int[np.ndarray, "cells 3"]:
    """Centers of the cells on the cube of half-width m: one coordinate is ±m, two differ by 2."""
    points = CubedSphere(subdivisions, spacing="equidistant").points
    largest = np.abs(points).max(axis=1, keepdims=True)
    return np.rint(points / largest * subdivisions).astype(np.int64)


def _face_axes() -> tuple[Int[np.ndarray, "6 3"], ...]:
    """Directions of rows and columns of each face, and its normal."""
    cells = _cube_cells(2).reshape(NUM_FACES, 2, 2, 3)
    south = (cells[:, 1, 0] - cells[:, 0, 0]) // 2
    east = (cells[:, 0, 1] - cells[:, 0, 0]) // 2
    return south, east, cells.sum(axis=(1, 2)) // 8


def _find(
    cells: Int[np.ndarray, "cells 3"], wanted: Int[np.ndarray, "wanted 3"], subdivisions: int
) -> Int[np.ndarray, "wanted"]:
    """The vertex of each center of a cell."""
    places = (2 * subdivisions + 1) ** np.arange(3)
    keys, order = cells @ places, np.argsort(cells @ places)
    return order[np.searchsorted(keys[order], wanted @ places)]


def _as_faces(
    signals: Float[Tensor, "maps vertices channels"], width: int
) -> Float[Tensor, "faces channels width width"]:
    """Signals as images of faces, six for each map; a view, channels last in memory."""
    images = signals.reshape(signals.shape[0] * NUM_FACES, width, width, signals.shape[-1])
    return images.movedim(-1, 1)


def _as_signals(
    faces: Float[Tensor, "faces channels width width"],
) -> Float[Tensor, "maps vertices channels"]:
    """Images of faces as signals; a view where channels are last in memory."""
    num_maps, width = faces.shape[0] // NUM_FACES, faces.shape[-1]
    return faces.movedim(1, -1).reshape(num_maps, NUM_FACES * width**2, faces.shape[1])
