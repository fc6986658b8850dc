"""Other convolutions on the sphere, on as many pixels: not the same numbers, the same purpose."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import signature

import numpy as np
import torch
from torch import Tensor

from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape
from deepsphere.benchmarks.timing import Call


@dataclass(frozen=True)
class Convolution:
    """A peer on its own grid.

    Parameters
    ----------
    name, description
        In tables.
    package
        What has to be installed.
    prepare
        From shape and device to a call, and a remark on what it does.
    largest_nside
        Beyond, its tables do not fit, or take minutes to make.
    on_cuda
        Whether it runs there.
    """

    name: str
    description: str
    package: str
    prepare: Callable[[LayerShape, str], tuple[Call, str]]
    largest_nside: int
    on_cuda: bool = True

    def why_not(self, setting: Setting, *, nside: int) -> str | None:
        """Why it is not measured, or None if it is.

        Parameters
        ----------
        setting
            Of the run.
        nside
            Of the case.

        Returns
        -------
        str or None
        """
        if not setting.with_peers:
            return "peers were not asked for; pass --peers"
        if find_spec(self.package) is None:
            return f"{self.package} is not installed; pip install {self.package.replace('_', '-')}"
        if setting.device == "cuda" and not self.on_cuda:
            return "runs on a CPU only"
        if nside > self.largest_nside:
            return f"left out above nside {self.largest_nside}"
        return None


def grid_of(num_vertices: int) -> tuple[int, int]:
    """Rings and meridians of the grid with twice as many meridians that has most nearly so many.

    Parameters
    ----------
    num_vertices
        Of the HEALPix sampling beside it.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> grid_of(786_432)
    (627, 1254)
    """
    rings = round(math.sqrt(num_vertices / 2))
    return rings, 2 * rings


def _prepare_disco(kernel_shape: int) -> Callable[[LayerShape, str], tuple[Call, str]]:
    """The discrete-continuous convolution of a given radial resolution, in its fastest form."""

    def prepare(shape: LayerShape, device: str) -> tuple[Call, str]:
        from torch_harmonics import (  # pyright: ignore[reportMissingImports]
            DiscreteContinuousConvS2,
        )

        grid = grid_of(shape.num_vertices)
        parameters = signature(DiscreteContinuousConvS2).parameters
        fastest = {"fused": True} if "fused" in parameters else {}
        layer = DiscreteContinuousConvS2(
            shape.in_channels,
            shape.out_channels,
            grid,
            grid,
            kernel_shape=kernel_shape,
            grid_in="equiangular",
            grid_out="equiangular",
            bias=False,
            **fastest,
        ).to(device)
        signal = _grid_signal(shape, device)
        fast = "optimized kernel" if getattr(layer, "optimized_kernel", False) else "slow kernel"
        remark = f"grid {grid[0]} × {grid[1]}, {fast}, {_support(layer, grid)}"
        return (lambda: [layer(signal)]), remark

    return prepare


def _support(layer: torch.nn.Module, grid: Sequence[int]) -> str:
    """How many pixels a filter of a discrete-continuous convolution sees, in the mean."""
    for name, buffer in layer.named_buffers():
        if name.endswith("psi_col_idx"):  # entries (basis function, ring, pixel)
            rings = dict(layer.named_buffers())[name.replace("col", "row")].cpu().numpy()
            distinct = np.unique(np.stack([rings, buffer.cpu().numpy()]), axis=1).shape[1]
            return f"filter of {distinct / grid[0]:.0f} pixels"
    return "filter of an unknown number of pixels"


def _prepare_spectral(shape: LayerShape, device: str) -> tuple[Call, str]:
    """Transform, multiply each degree by a matrix of the channels, transform back."""
    from torch_harmonics import InverseRealSHT, RealSHT  # pyright: ignore[reportMissingImports]

    rings, meridians = grid_of(shape.num_vertices)
    analysis = RealSHT(rings, meridians, grid="legendre-gauss").to(device)
    synthesis = InverseRealSHT(
        rings, meridians, lmax=analysis.lmax, mmax=analysis.mmax, grid="legendre-gauss"
    ).to(device)
    signal = _grid_signal(shape, device)
    generator = torch.Generator().manual_seed(0)
    size = (analysis.lmax, shape.in_channels, shape.out_channels)
    weight = torch.randn(size, generator=generator).to(device, torch.complex64)
    remark = f"Gauss-Legendre {rings} × {meridians}, degrees below {analysis.lmax}"

    def call() -> Sequence[Tensor]:
        coefficients = torch.einsum("bilm,lio->bolm", analysis(signal), weight)
        return [synthesis(coefficients)]

    return call, remark


def _prepare_healpy(shape: LayerShape, device: str) -> tuple[Call, str]:
    """Spherical harmonic analysis without iteration, and synthesis, of one map."""
    import healpy

    degree = 2 * shape.nside
    values = np.random.default_rng(0).standard_normal(shape.num_vertices)

    def call() -> Sequence[Tensor]:
        coefficients = healpy.map2alm(values, lmax=degree, iter=0)
        return [torch.from_numpy(healpy.alm2map(coefficients, shape.nside, lmax=degree))]

    return call, f"one channel, degrees to {degree}, float64"


def _grid_signal(shape: LayerShape, device: str) -> Tensor:
    """Random signals (batch, channels, rings, meridians)."""
    generator = torch.Generator().manual_seed(0)
    size = (shape.batch, shape.in_channels, *grid_of(shape.num_vertices))
    return torch.randn(size, generator=generator).to(device)


HEALPY_PAIR = Convolution(
    "harmonic transforms",
    "healpy's map2alm without iteration and alm2map, one channel",
    "healpy",
    _prepare_healpy,
    largest_nside=1024,
    on_cuda=False,
)
SPECTRAL = Convolution(
    "spectral convolution",
    "torch-harmonics' transforms and a matrix of the channels for each degree",
    "torch_harmonics",
    _prepare_spectral,
    largest_nside=128,
)
# Kernel shapes 4 and 5 have two and three radial functions; three are as many weights as ours has.
DISCO_SMALL = Convolution(
    "DISCO, 2 functions",
    "torch-harmonics' discrete-continuous convolution, fewer weights than ours",
    "torch_harmonics",
    _prepare_disco(4),
    largest_nside=256,
)
DISCO_LARGE = Convolution(
    "DISCO, 3 functions",
    "torch-harmonics' discrete-continuous convolution, as many weights as ours",
    "torch_harmonics",
    _prepare_disco(5),
    largest_nside=256,
)
