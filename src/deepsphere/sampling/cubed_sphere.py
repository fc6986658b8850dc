"""Cubed sphere: the six faces of a cube, each cut in squares, projected to the sphere."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_matrix

from deepsphere.geometry import Polygons, convex_polygons, triangle_areas
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.protocol import Sampling

NUM_FACES = 6


@dataclass(frozen=True)
class CubedSphere(Sampling):
    """Centers of the 6 m² cells of a cube whose faces are projected from the center.

    Faces come in the order north, longitude 0, 90, 180, 270, south. The vertex of row i and column
    j of a face is ``face * m**2 + i * m + j``; on the four faces around the equator rows run from
    north to south and columns eastward. The areas of the cells are exact.

    Parameters
    ----------
    subdivisions
        Number m of cells along an edge of the cube, at least 1.
    spacing
        ``"equiangular"``: the borders of the cells are at equal angles seen from the center, so
        that areas differ by at most √2 or so. ``"equidistant"``: at equal distances on the cube.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> sampling = CubedSphere(8)
    >>> sampling.num_vertices, sampling.coarsen()
    (384, CubedSphere(subdivisions=4, spacing='equiangular'))

    References
    ----------
    Sadourny (1972), Conservative finite-difference approximations on quasi-uniform spherical grids.
    Ronchi, Iacono and Paolucci (1996), The "cubed sphere", J. Comput. Phys. 124.
    """

    subdivisions: int
    spacing: Literal["equiangular", "equidistant"] = "equiangular"

    kind: ClassVar[str] = "cubed_sphere"
    quasi_uniform: ClassVar[bool] = True

    def __post_init__(self) -> None:
        subdivisions = as_integer("subdivisions", self.subdivisions, at_least=1)
        object.__setattr__(self, "subdivisions", subdivisions)
        if self.spacing not in ("equiangular", "equidistant"):
            raise ValueError(
                f"spacing must be 'equiangular' or 'equidistant', got {self.spacing!r}"
            )

    @property
    def num_vertices(self) -> int:
        """Number of cells, 6 m²."""
        return NUM_FACES * self.subdivisions**2

    def coarsen(self) -> "CubedSphere":
        """Cubed sphere of half as many cells along each edge.

        Raises
        ------
        ValueError
            If the number of cells along an edge is odd.
        """
        if self.subdivisions % 2:
            raise ValueError(
                f"subdivisions must be even to be coarsened, got {self.subdivisions}; "
                "use fewer levels or a power of two"
            )
        return CubedSphere(self.subdivisions // 2, self.spacing)

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices) with ones for each block of two by two cells.

        Raises
        ------
        ValueError
            If there is no coarser level.
        """
        coarse, m = self.coarsen(), self.subdivisions
        face, row, column = np.unravel_index(np.arange(self.num_vertices), (NUM_FACES, m, m))
        parent = (face * (m // 2) + row // 2) * (m // 2) + column // 2
        return csr_matrix(
            (np.ones(len(parent)), (parent, np.arange(len(parent)))),
            shape=(coarse.num_vertices, self.num_vertices),
        )

    def cells(self) -> Polygons:
        """The projected squares, whose sides are great circles."""
        corners = self._on_sphere(np.arange(self.subdivisions + 1.0))
        around = [
            corners[:, :-1, :-1],
            corners[:, 1:, :-1],
            corners[:, 1:, 1:],
            corners[:, :-1, 1:],
        ]
        return convex_polygons(np.stack(around, axis=3).reshape(-1, 4, 3))

    def _compute_points(self) -> np.ndarray:
        return self._on_sphere(np.arange(self.subdivisions) + 0.5).reshape(-1, 3)

    def _compute_areas(self) -> np.ndarray:
        corners = self._on_sphere(np.arange(self.subdivisions + 1.0))[0]
        north_west, north_east = corners[:-1, :-1], corners[:-1, 1:]
        south_west, south_east = corners[1:, :-1], corners[1:, 1:]
        areas = triangle_areas(north_west, south_west, south_east)
        areas += triangle_areas(north_west, south_east, north_east)
        return np.tile(areas.ravel(), NUM_FACES)

    def _on_sphere(self, steps: np.ndarray) -> np.ndarray:
        """Points (face, row, column, 3) at steps from 0 to m along the edges of each face."""
        position = 2 * steps / self.subdivisions - 1
        if self.spacing == "equiangular":
            position = np.tan(np.pi / 4 * position)
        south, east = np.meshgrid(position, position, indexing="ij")
        up = np.ones_like(east)
        faces = [
            (south, east, up),
            (up, east, -south),
            (-east, up, -south),
            (-up, -east, -south),
            (east, -up, -south),
            (-south, east, -up),
        ]
        cube = np.stack([np.stack(face, axis=-1) for face in faces])
        return cube / np.linalg.norm(cube, axis=-1, keepdims=True)
