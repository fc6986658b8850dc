"""The layers that are timed, as values, and their graphs and inputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix, identity
from torch import Tensor

from deepsphere.data.files import write_atomically
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.ops import SparseOperator, sparse_operator
from deepsphere.sampling import Healpix, Sampling

Part = Literal["sphere", "base pixel"]

# Edges that are scaled at a time: a copy for all of a full sphere would be a gigabyte.
_BLOCK = 2**22
# Vertices of which a mean is taken.
_NUM_DRAWN = 300


@dataclass(frozen=True)
class LayerShape:
    """One graph convolution: where, how many signals, channels, and the size of the filter.

    Parameters
    ----------
    nside
        Of the HEALPix sampling.
    batch
        Number of signals.
    in_channels, out_channels, kernel_size, num_neighbors
        As in `ChebConv` and `build_graph`.
    part
        The whole sphere, or the first of its twelve base pixels.

    Examples
    --------
    >>> LayerShape(nside=256, batch=1, in_channels=16, out_channels=32).num_vertices
    786432
    """

    nside: int
    batch: int
    in_channels: int
    out_channels: int
    kernel_size: int = 3
    num_neighbors: int = 20
    part: Part = "sphere"

    @property
    def num_vertices(self) -> int:
        """Vertices of the sampling."""
        return self.nside**2 * (12 if self.part == "sphere" else 1)

    @property
    def title(self) -> str:
        """The shape in one line."""
        where = "" if self.part == "sphere" else "1/12 of "
        return (
            f"{where}nside {self.nside} ({self.num_vertices:,} vertices), batch {self.batch}, "
            f"{self.in_channels} → {self.out_channels}, kernel_size {self.kernel_size}, "
            f"k = {self.num_neighbors}"
        )

    @property
    def largest_signal(self) -> int:
        """Values of the wider of input and output."""
        return self.batch * self.num_vertices * max(self.in_channels, self.out_channels)

    def sampling(self) -> Sampling:
        """The vertices.

        Returns
        -------
        Sampling
        """
        whole = Healpix(nside=self.nside)
        if self.part == "sphere":
            return whole
        return whole.subset(np.arange(self.num_vertices))  # NESTED: base pixels are contiguous


def layer_operator(shape: LayerShape, folder: Path, *, device: str = "cpu") -> SparseOperator:
    """The operator of the graph of a shape, built once per folder.

    Nearest neighbors joined in both directions, Gaussian weights that are one half at the mean
    distance, and −D^(-1/2) W D^(-1/2), which is the rescaled normalized Laplacian if its largest
    eigenvalue is taken to be 2: the convention of the code of the DeepSphere papers, and the only
    one that PyTorch Geometric computes without further edges.

    Parameters
    ----------
    shape
        Only its graph matters.
    folder
        Where the arrays are kept.
    device
        Where they are used.

    Returns
    -------
    SparseOperator
        Float32.
    """
    name = f"healpix-{shape.nside}-{shape.part.replace(' ', '-')}-{shape.num_neighbors}.npz"
    file = folder / name
    if not file.is_file():
        distances = neighbor_distances(shape.sampling(), num_neighbors=shape.num_neighbors)
        matrix = _normalized_gaussian(distances)
        with write_atomically(file, overwrite=True) as temporary:
            np.savez(temporary, crow=matrix.indptr, col=matrix.indices, values=matrix.data)
    with np.load(file) as arrays:
        tensors = [torch.from_numpy(arrays[key]).to(device) for key in ("crow", "col", "values")]
    return SparseOperator(*tensors, *tensors)


def tiny_operator() -> SparseOperator:
    """The operator of a graph of 192 vertices, on which libraries load their parts.

    Returns
    -------
    SparseOperator
    """
    distances = neighbor_distances(Healpix(nside=4), num_neighbors=8)
    return sparse_operator(_normalized_gaussian(distances), symmetric=True)


def layer_inputs(shape: LayerShape, *, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Random signal, weight, and gradient of the output.

    Parameters
    ----------
    shape
        Decides their shapes.
    device
        Where they are used.

    Returns
    -------
    tuple of Tensor
        Float32: (batch, vertices, in_channels), (kernel_size, in_channels, out_channels) and
        (batch, vertices, out_channels).
    """
    generator = torch.Generator().manual_seed(0)
    sizes = (
        (shape.batch, shape.num_vertices, shape.in_channels),
        (shape.kernel_size, shape.in_channels, shape.out_channels),
        (shape.batch, shape.num_vertices, shape.out_channels),
    )
    signal, weight, grad = (torch.randn(size, generator=generator).to(device) for size in sizes)
    return signal, weight, grad


def filter_support(operator: SparseOperator, kernel_size: int) -> float:
    """How many vertices a filter sees, in the mean over some vertices.

    Parameters
    ----------
    operator
        Of the graph, on a CPU.
    kernel_size
        Of the filter: it reaches one hop less.

    Returns
    -------
    float

    Examples
    --------
    >>> filter_support(tiny_operator(), kernel_size=1)
    1.0
    """
    size = operator.num_vertices
    arrays = (array.numpy() for array in (operator.values, operator.col, operator.crow))
    neighbors = abs(csr_matrix(tuple(arrays), shape=(size, size))) + identity(size, format="csr")
    drawn = np.linspace(0, size - 1, min(size, _NUM_DRAWN)).astype(int)
    reached = csr_matrix(identity(size, format="csr"))[drawn]
    for _ in range(kernel_size - 1):
        reached = reached @ neighbors
    return reached.nnz / len(drawn)


def _normalized_gaussian(distances: csr_matrix) -> csr_matrix:
    """−D^(-1/2) W D^(-1/2) in float32; arrays of a full sphere leave no room for copies."""
    squared = distances.data.astype(np.float32)
    weights = csr_matrix((squared, distances.indices, distances.indptr), shape=distances.shape)
    scale = np.float32(-np.log(2) / squared.mean() ** 2)
    np.square(squared, out=squared)
    squared *= scale
    np.exp(squared, out=squared)
    roots = 1 / np.sqrt(np.asarray(weights.sum(axis=1)).ravel())
    for start in range(0, len(squared), _BLOCK):
        block = slice(start, start + _BLOCK)
        squared[block] *= roots[weights.indices[block]]
    squared *= np.repeat(-roots, np.diff(weights.indptr))
    return weights
