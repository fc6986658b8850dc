"""Equiangular sampling: the latitude-longitude grid, with its named sampling theorems."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

from deepsphere.geometry import Rectangles
from deepsphere.sampling.arrays import Array
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.protocol import Sampling
from deepsphere.sampling.rings import ring_areas, ring_cells, ring_overlaps, ring_points

Poles = Literal[0, 1, 2, "south"]


@dataclass(frozen=True)
class Equiangular(Sampling):
    """Grid of equal steps in latitude and in longitude.

    Rings run from north to south, vertices of a ring from longitude 0 eastward. With the step h of
    colatitude, ring j is at

    - (j + 1/2) h, h = π / nlat, without poles (``poles=0``),
    - j h, h = π / nlat, with the north pole (``poles=1``),
    - j h, h = π / (nlat − 1), with both poles (``poles=2``),
    - (j + 1/2) h, h = π / (nlat − 1/2), with the south pole (``poles="south"``).

    A pole is a single vertex. The cells are bounded by the parallels and meridians halfway between
    the vertices, and their areas are exact.

    Parameters
    ----------
    nlat
        Number of rings, poles included, at least one more than the poles.
    nlon
        Number of vertices of a ring, at least 3; twice nlat if not given.
    poles
        Which poles are sampled: 0, 1 (the north pole), 2, or "south".

    Raises
    ------
    ValueError
        If an argument is not an integer or out of range.

    Examples
    --------
    >>> Equiangular(nlat=16).num_vertices
    512
    >>> Equiangular(nlat=5, nlon=8, poles=2).num_vertices  # 3 rings and 2 poles
    26

    References
    ----------
    Driscoll and Healy (1994), Computing Fourier transforms and convolutions on the 2-sphere.
    Kostelec and Rockmore (2008), FFTs on the rotation group (SOFT). McEwen and Wiaux (2011), A
    novel sampling theorem on the sphere.
    """

    nlat: int
    nlon: int | None = None
    poles: Poles = 0

    kind: ClassVar[str] = "equiangular"

    def __post_init__(self) -> None:
        if isinstance(self.poles, bool) or self.poles not in (0, 1, 2, "south"):
            raise ValueError(f"poles must be 0, 1, 2 or 'south', got {self.poles!r}")
        if not isinstance(self.poles, str):
            object.__setattr__(self, "poles", int(self.poles))
        nlat = as_integer("nlat", self.nlat, at_least=self._num_poles + 1)
        object.__setattr__(self, "nlat", nlat)
        # two points on a single ring would not make a ring
        nlon = max(2 * self.nlat, 3) if self.nlon is None else self.nlon
        object.__setattr__(self, "nlon", as_integer("nlon", nlon, at_least=3))

    @classmethod
    def driscoll_healy(cls, bandwidth: int, *, poles: Literal[0, 1] = 0) -> "Equiangular":
        """Grid of the theorem of Driscoll and Healy: 2L × 2L, exact for degrees below L."""
        bandwidth = as_integer("bandwidth", bandwidth, at_least=2)
        if poles not in (0, 1):
            raise ValueError(f"poles must be 0 or 1 for Driscoll-Healy, got {poles!r}")
        return cls(2 * bandwidth, 2 * bandwidth, poles)

    @classmethod
    def soft(cls, bandwidth: int) -> "Equiangular":
        """Grid of Kostelec and Rockmore: 2L × 2L without poles."""
        bandwidth = as_integer("bandwidth", bandwidth, at_least=2)
        return cls(2 * bandwidth, 2 * bandwidth, 0)

    @classmethod
    def clenshaw_curtis(cls, bandwidth: int) -> "Equiangular":
        """Grid of Clenshaw-Curtis quadrature: (2L − 1) × 2L with both poles."""
        bandwidth = as_integer("bandwidth", bandwidth, at_least=2)
        return cls(2 * bandwidth - 1, 2 * bandwidth, 2)

    @classmethod
    def mcewen_wiaux(cls, bandwidth: int) -> "Equiangular":
        """Grid of McEwen and Wiaux: L × (2L − 1) with the south pole."""
        bandwidth = as_integer("bandwidth", bandwidth, at_least=2)
        return cls(bandwidth, 2 * bandwidth - 1, "south")

    @property
    def num_vertices(self) -> int:
        """Number of points, nlat nlon less the repetitions of the poles."""
        return self.nlat * self._columns - self._num_poles * (self._columns - 1)

    @property
    def colatitudes(self) -> Float[np.ndarray, "nlat"]:
        """Colatitude of each ring, from north to south."""
        ring = np.arange(self.nlat)
        if self.poles == 0:
            return (ring + 0.5) * (np.pi / self.nlat)
        if self.poles == "south":
            return (ring + 0.5) * (np.pi / (self.nlat - 0.5))
        return ring * (np.pi / (self.nlat - self.poles + 1))

    def coarsen(self) -> "Equiangular":
        """Grid of half as many rings and half as many meridians.

        With both poles the rings are the even ones, (nlat + 1) / 2 of them.

        Raises
        ------
        ValueError
            If fewer than 2 rings, or 3 vertices on a ring, would be left.
        """
        nlat = (self.nlat + 1) // 2 if self.poles == 2 else self.nlat // 2
        nlon = self._columns // 2
        if nlat < max(2, self._num_poles + 1) or nlon < 3:
            raise ValueError(
                f"nlat must be at least {5 if self.poles == 2 else 4} and nlon at least 6 to be "
                f"coarsened, got nlat={self.nlat}, nlon={self.nlon}; use fewer levels or a finer "
                "grid"
            )
        return Equiangular(nlat, nlon, self.poles)

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices) of the shares of each cell in the coarse cells.

        Blocks of two by two where there are no poles and nlat and nlon are even; else the overlap
        of the cells, by area, so that membership times areas is the coarse areas.

        Raises
        ------
        ValueError
            If there is no coarser level.
        """
        coarse = self.coarsen()
        paired = self.poles == 0 and self.nlat % 2 == 0 and self._columns % 2 == 0
        return ring_overlaps(
            (self._bounds(), self._ring_sizes()),
            (coarse._bounds(), coarse._ring_sizes()),
            paired=paired,
        )

    def cells(self) -> Rectangles:
        """Rectangles bounded by the parallels and meridians halfway between the vertices."""
        return ring_cells(self._bounds(), self._ring_sizes())

    def to_grid(self, signals: Array) -> Array:
        """Signals as images: (*batch, vertices, channels) to (*batch, nlat, nlon, channels).

        Parameters
        ----------
        signals
            numpy array or torch tensor on the vertices.

        Returns
        -------
        Images of the same kind; the value of a pole is repeated along its row.

        Raises
        ------
        ValueError
            If the signals have another number of vertices.
        """
        shape = tuple(signals.shape)
        if len(shape) < 2 or shape[-2] != self.num_vertices:
            raise ValueError(
                f"signals must have the shape (..., {self.num_vertices} vertices, channels), "
                f"got {shape}"
            )
        columns, sizes = np.arange(self._columns), self._ring_sizes()
        start = np.cumsum(sizes) - sizes
        index = start[:, None] + np.where(sizes[:, None] == 1, 0, columns)
        return signals[..., index, :]

    def from_grid(self, grid: Array) -> Array:
        """Images as signals: (*batch, nlat, nlon, channels) to (*batch, vertices, channels).

        Parameters
        ----------
        grid
            numpy array or torch tensor of images.

        Returns
        -------
        Signals of the same kind; the value of a pole is the mean of its row.

        Raises
        ------
        ValueError
            If the images have another size.
        """
        shape = tuple(grid.shape)
        if len(shape) < 3 or shape[-3:-1] != (self.nlat, self.nlon):
            raise ValueError(
                f"a grid must have the shape (..., {self.nlat} rings, {self.nlon} meridians, "
                f"channels), got {shape}"
            )
        sizes = self._ring_sizes()
        row = np.repeat(np.arange(self.nlat), sizes)
        column = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        signals = grid[..., row, column, :]
        for pole in np.flatnonzero(sizes == 1):
            vertex = 0 if pole == 0 else -1
            signals[..., vertex, :] = grid[..., pole, :, :].mean(-2)
        return signals

    @property
    def _columns(self) -> int:
        return 2 * self.nlat if self.nlon is None else self.nlon

    @property
    def _num_poles(self) -> int:
        return 1 if self.poles == "south" else self.poles

    def _ring_sizes(self) -> np.ndarray:
        sizes = np.full(self.nlat, self._columns)
        if self.poles in (1, 2):
            sizes[0] = 1
        if self.poles in ("south", 2):
            sizes[-1] = 1
        return sizes

    def _bounds(self) -> np.ndarray:
        """Colatitudes between which the cells of the rings lie, from 0 to π."""
        colatitudes = self.colatitudes
        return np.concatenate([[0.0], (colatitudes[1:] + colatitudes[:-1]) / 2, [np.pi]])

    def _compute_points(self) -> np.ndarray:
        return ring_points(self.colatitudes, self._ring_sizes())

    def _compute_areas(self) -> np.ndarray:
        return ring_areas(self._bounds(), self._ring_sizes())
