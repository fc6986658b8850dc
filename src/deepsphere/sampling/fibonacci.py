"""Fibonacci spiral: any number of nearly uniform points."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepsphere.geometry import voronoi_areas
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.protocol import Sampling

GOLDEN_RATIO = (1 + 5**0.5) / 2


@dataclass(frozen=True)
class Fibonacci(Sampling):
    """Points on a spiral from pole to pole, with golden-angle steps of longitude.

    sin(lat_i) = 1 − (2i + 1)/n and lon_i = 2π i / φ, where φ is the golden ratio. The areas are
    those of the Voronoi cells.

    Parameters
    ----------
    num_vertices
        Number n of points, at least 1.

    Raises
    ------
    ValueError
        If the number is not a positive integer.

    Examples
    --------
    >>> sampling = Fibonacci(1000)
    >>> bool(sampling.areas.max() < 1.2 * sampling.areas.min())
    True

    References
    ----------
    Swinbank and Purser (2006), Fibonacci grids, Q. J. R. Meteorol. Soc. 132.
    """

    num_vertices: int  # pyright: ignore[reportIncompatibleMethodOverride]

    kind: ClassVar[str] = "fibonacci"
    quasi_uniform: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number = as_integer("num_vertices", self.num_vertices, at_least=1)
        object.__setattr__(self, "num_vertices", number)

    def coarsen(self) -> "Fibonacci":
        """Spiral of a quarter of the points, rounded down; membership is by the nearest.

        Raises
        ------
        ValueError
            If there are fewer than 16 vertices.
        """
        if self.num_vertices < 16:
            raise ValueError(
                f"num_vertices must be at least 16 to be coarsened, got {self.num_vertices}; "
                "use fewer levels or more vertices"
            )
        return Fibonacci(self.num_vertices // 4)

    def _compute_points(self) -> np.ndarray:
        i = np.arange(self.num_vertices)
        z = 1 - (2 * i + 1) / self.num_vertices
        # the whole turns are dropped before they cost digits of the angle
        angle = 2 * np.pi * np.mod(i / GOLDEN_RATIO, 1.0)
        horizontal = np.sqrt((1 - z) * (1 + z))
        return np.stack([horizontal * np.cos(angle), horizontal * np.sin(angle), z], axis=1)

    def _compute_areas(self) -> np.ndarray:
        return voronoi_areas(self.points)
