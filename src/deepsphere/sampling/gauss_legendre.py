"""Gauss-Legendre sampling: rings at the roots of a Legendre polynomial, full or reduced."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import roots_legendre

from deepsphere.geometry import Rectangles
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.protocol import Sampling
from deepsphere.sampling.rings import ring_cells, ring_points


@dataclass(frozen=True)
class GaussLegendre(Sampling):
    """Rings at the latitudes of Gauss-Legendre quadrature, from north to south.

    The sines of the latitudes are the roots of the Legendre polynomial of degree nlat. The areas
    are the weights of the quadrature, 2π w_ring / (size of the ring): they integrate exactly every
    polynomial up to the degree 2 nlat − 1, as long as the rings are fine enough.

    Parameters
    ----------
    nlat
        Number of rings.
    nlon
        Number of points of every ring, at least 3; twice nlat if not given. ``"octahedral"``: the
        reduced grid of ECMWF, whose ring i from the nearer pole (from 1) has 4i + 16 points; it
        needs an even nlat and is called O(nlat / 2) there.

    Raises
    ------
    ValueError
        If an argument is not an integer or out of range, or nlat is odd in the octahedral grid.

    Examples
    --------
    >>> GaussLegendre(nlat=16).num_vertices
    512
    >>> GaussLegendre(nlat=48, nlon="octahedral").num_vertices  # O24
    3168

    References
    ----------
    Doroshkevich et al. (2005), Gauss-Legendre sky pixelization. Malardel et al. (2016), A new grid
    for the IFS, ECMWF Newsletter 146.
    """

    nlat: int
    nlon: int | Literal["octahedral"] | None = None

    kind: ClassVar[str] = "gauss_legendre"

    def __post_init__(self) -> None:
        nlat = as_integer("nlat", self.nlat, at_least=1)
        object.__setattr__(self, "nlat", nlat)
        if self.nlon == "octahedral":
            if nlat % 2:
                raise ValueError(
                    f"nlat must be even in the octahedral grid, got {nlat}; use nlat={nlat + 1}"
                )
            return
        if isinstance(self.nlon, str):
            raise ValueError(f"nlon must be an integer or 'octahedral', got {self.nlon!r}")
        # two points on a single ring would not make a ring
        nlon = max(2 * nlat, 3) if self.nlon is None else self.nlon
        object.__setattr__(self, "nlon", as_integer("nlon", nlon, at_least=3))

    @property
    def num_vertices(self) -> int:
        """Number of points."""
        return int(self._ring_sizes().sum())

    def coarsen(self) -> "GaussLegendre":
        """Grid of half as many rings (an even number in the octahedral grid) and meridians.

        Raises
        ------
        ValueError
            If nlat is less than 4, or nlon less than 6.
        """
        if self.nlat < 4 or (isinstance(self.nlon, int) and self.nlon < 6):
            raise ValueError(
                f"nlat must be at least 4 and nlon at least 6 to be coarsened, got "
                f"nlat={self.nlat}, nlon={self.nlon}; use fewer levels or a finer grid"
            )
        if isinstance(self.nlon, int):
            return GaussLegendre(self.nlat // 2, self.nlon // 2)
        return GaussLegendre(self.nlat // 4 * 2, "octahedral")

    def cells(self) -> Rectangles:
        """Rectangles whose areas are the weights of the quadrature.

        The parallels between them are where the weights of the rings to the north are used up; each
        ring lies within its zone (theorem of Chebyshev, Markov and Stieltjes).
        """
        below = np.append(np.cumsum(self._rings()[1][::-1])[::-1], 0.0)
        # from the nearer pole, where a colatitude is sensitive to rounding
        height = np.minimum(below, below[::-1])
        bounds = 2 * np.arcsin(np.sqrt(height / 2))
        bounds[: len(bounds) // 2] = bounds[::-1][: len(bounds) // 2]
        colatitudes = np.where(below > 1, bounds, np.pi - bounds)
        colatitudes[0], colatitudes[-1] = 0.0, np.pi
        return ring_cells(colatitudes, self._ring_sizes())

    def _rings(self) -> tuple[Float[np.ndarray, "nlat"], Float[np.ndarray, "nlat"]]:
        """Sine of the latitude and quadrature weight of each ring; the weights sum to 2."""
        roots, weights = roots_legendre(self.nlat)
        return roots[::-1], weights[::-1]

    def _ring_sizes(self) -> np.ndarray:
        if isinstance(self.nlon, int):
            return np.full(self.nlat, self.nlon)
        north = 4 * np.arange(1, self.nlat // 2 + 1) + 16
        return np.concatenate([north, north[::-1]])

    def _compute_points(self) -> np.ndarray:
        return ring_points(np.arccos(self._rings()[0]), self._ring_sizes())

    def _compute_areas(self) -> np.ndarray:
        sizes = self._ring_sizes()
        return np.repeat(2 * np.pi * self._rings()[1] / sizes, sizes)
