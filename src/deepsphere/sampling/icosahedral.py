"""Icosahedral sampling: vertices or faces of a repeatedly halved icosahedron."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from deepsphere.geometry import (
    Polygons,
    convex_polygons,
    triangle_areas,
    voronoi_areas,
    voronoi_cells,
)
from deepsphere.sampling.checks import as_integer, is_power_of_two, nearest_power_of_two
from deepsphere.sampling.protocol import Sampling, read_only

MAX_SUBDIVISIONS = 1024  # 10 million vertices

GOLDEN_RATIO = (1 + 5**0.5) / 2

# Corners of three golden rectangles and the twenty faces, in the order of UGSCNN and PyGSP.
CORNERS = [
    (-1, GOLDEN_RATIO, 0),
    (1, GOLDEN_RATIO, 0),
    (-1, -GOLDEN_RATIO, 0),
    (1, -GOLDEN_RATIO, 0),
    (0, -1, GOLDEN_RATIO),
    (0, 1, GOLDEN_RATIO),
    (0, -1, -GOLDEN_RATIO),
    (0, 1, -GOLDEN_RATIO),
    (GOLDEN_RATIO, 0, -1),
    (GOLDEN_RATIO, 0, 1),
    (-GOLDEN_RATIO, 0, -1),
    (-GOLDEN_RATIO, 0, 1),
]
FACES = [
    *[(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11)],
    *[(1, 5, 9), (5, 11, 4), (11, 10, 2), (10, 7, 6), (7, 1, 8)],
    *[(3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9)],
    *[(4, 9, 5), (2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)],
]
NORTH_CORNER, MERIDIAN_CORNER = 11, 2

# The order of new vertices is that of their coordinates rounded to this many digits, less a little
# so that noise around zero cannot decide.
ORDER_DIGITS, ORDER_SHIFT = 8, 1e-6


class IcosahedralMesh(NamedTuple):
    """Mesh of a subdivided icosahedron, all arrays read-only.

    Attributes
    ----------
    vertices
        Unit vectors (10 m² + 2, 3); those of coarser levels come first.
    faces
        Corners (20 m², 3), counter-clockwise seen from outside; the children of face f of the next
        coarser level are 4f .. 4f + 3, three at its corners and the middle one.
    parents
        Ends (new vertices, 2) of the edge whose middle is each vertex that this level added.
    """

    vertices: np.ndarray
    faces: np.ndarray
    parents: np.ndarray


@dataclass(frozen=True, init=False, repr=False)
class Icosahedral(Sampling):
    """Vertices, or face centers, of an icosahedron whose edges are halved again and again.

    New vertices are projected to the sphere after each halving and appended in the order of UGSCNN
    (and of its climate data set), so that the vertices of a coarser level are the first ones.
    Vertex 11 is the north pole. The areas are Voronoi cells, for the dual the faces themselves.

    Parameters
    ----------
    subdivisions
        Number m of parts of each edge, a power of two; n = 10 m² + 2 vertices, or 20 m² faces.
    level
        log2(subdivisions), given instead.
    dual
        Whether the points are the centers of the faces.

    Raises
    ------
    ValueError
        If not exactly one of subdivisions and level is given, or it is no power of two or out of
        range.

    Examples
    --------
    >>> Icosahedral(level=5).num_vertices
    10242
    >>> Icosahedral(subdivisions=4, dual=True).num_vertices
    320

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 3.1. Baumgardner and
    Frederickson (1985), Icosahedral discretization of the two-sphere.
    """

    subdivisions: int
    dual: bool

    kind: ClassVar[str] = "icosahedral"
    quasi_uniform: ClassVar[bool] = True

    def __init__(
        self, subdivisions: int | None = None, *, dual: bool = False, level: int | None = None
    ) -> None:
        object.__setattr__(self, "subdivisions", _resolve_subdivisions(subdivisions, level))
        if not isinstance(dual, bool | np.bool_):
            raise ValueError(f"dual must be True or False, got {dual!r}")
        object.__setattr__(self, "dual", bool(dual))

    def __repr__(self) -> str:
        return f"Icosahedral(subdivisions={self.subdivisions}, dual={self.dual})"

    @property
    def level(self) -> int:
        """log2(subdivisions): how often the edges were halved."""
        return self.subdivisions.bit_length() - 1

    @property
    def num_vertices(self) -> int:
        """Number of points, 10 m² + 2, or 20 m² for the dual."""
        return 20 * self.subdivisions**2 if self.dual else 10 * self.subdivisions**2 + 2

    def coarsen(self) -> "Icosahedral":
        """Sampling before the last halving.

        Raises
        ------
        ValueError
            If it is the icosahedron itself.
        """
        if self.subdivisions == 1:
            raise ValueError(
                "subdivisions must be at least 2 to be coarsened, got 1; the icosahedron has no "
                "coarser level, use fewer levels or more subdivisions"
            )
        return Icosahedral(self.subdivisions // 2, dual=self.dual)

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices) of the hierarchy.

        A vertex that the coarser level has belongs to itself, the middle of an edge by halves to
        its two ends. For the dual, a face belongs to the one it is a part of.

        Raises
        ------
        ValueError
            If there is no coarser level.
        """
        num_coarse = self.coarsen().num_vertices
        if self.dual:
            fine = np.arange(self.num_vertices)
            rows, columns, shares = fine // 4, fine, np.ones(len(fine))
        else:
            ends = icosahedral_mesh(self.level).parents.ravel()
            kept, added = np.arange(num_coarse), np.arange(num_coarse, self.num_vertices)
            rows = np.concatenate([kept, ends])
            columns = np.concatenate([kept, np.repeat(added, 2)])
            shares = np.concatenate([np.ones(num_coarse), np.full(len(ends), 0.5)])
        return csr_matrix((shares, (rows, columns)), shape=(num_coarse, self.num_vertices))

    def cells(self) -> Polygons:
        """The Voronoi cells, for the dual the faces."""
        if not self.dual:
            return voronoi_cells(self.points)
        mesh = icosahedral_mesh(self.level)
        return convex_polygons(mesh.vertices[mesh.faces])

    def _compute_points(self) -> np.ndarray:
        mesh = icosahedral_mesh(self.level)
        if not self.dual:
            return mesh.vertices
        centers = mesh.vertices[mesh.faces].sum(axis=1)
        return centers / np.linalg.norm(centers, axis=1, keepdims=True)

    def _compute_areas(self) -> np.ndarray:
        mesh = icosahedral_mesh(self.level)
        if not self.dual:
            return voronoi_areas(mesh.vertices, mesh.faces)
        a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
        return triangle_areas(a, b, c)


@lru_cache(maxsize=16)
def icosahedral_mesh(level: int) -> IcosahedralMesh:
    """Mesh of the icosahedron whose edges were halved `level` times.

    Parameters
    ----------
    level
        From 0, the icosahedron.

    Returns
    -------
    The mesh that :class:`Icosahedral` takes its points from.

    Examples
    --------
    >>> icosahedral_mesh(1).faces.shape
    (80, 3)
    """
    if level == 0:
        mesh = IcosahedralMesh(_upright_corners(), np.array(FACES), np.empty((0, 2), np.int64))
    else:
        mesh = _halve(icosahedral_mesh(level - 1))
    return IcosahedralMesh(*(read_only(array) for array in mesh))


def _upright_corners() -> np.ndarray:
    """Corners of the icosahedron, turned so that one is the north pole and a neighbor at x = 0."""
    corners = np.array(CORNERS, np.float64)
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    up, toward = corners[NORTH_CORNER], corners[MERIDIAN_CORNER]
    north = toward - (toward @ up) * up
    north /= np.linalg.norm(north)
    return corners @ np.stack([np.cross(north, up), north, up], axis=1)


def _halve(mesh: IcosahedralMesh) -> IcosahedralMesh:
    """Mesh with a new vertex in the middle of each edge, projected to the sphere."""
    vertices, faces, _ = mesh
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    middles = vertices[edges].mean(axis=1)
    # Each edge is seen from its two faces: sort by the order key, then drop the second.
    keys = _order_keys(middles)
    order = np.lexsort(keys[::-1])
    is_new = np.ones(len(order), bool)
    is_new[1:] = (keys[:, order[1:]] != keys[:, order[:-1]]).any(axis=0)
    first = order[is_new]
    label = np.empty(len(order), np.int64)
    label[order] = len(vertices) + np.cumsum(is_new) - 1

    new = middles[first] / np.linalg.norm(middles[first], axis=1, keepdims=True)
    middle01, middle12, middle20 = label.reshape(3, -1)
    corner0, corner1, corner2 = faces.T
    children = [
        *[corner0, middle01, middle20],
        *[middle01, corner1, middle12],
        *[middle20, middle12, corner2],
        *[middle01, middle12, middle20],
    ]
    return IcosahedralMesh(
        np.concatenate([vertices, new]), np.stack(children, axis=1).reshape(-1, 3), edges[first]
    )


def _order_keys(middles: np.ndarray) -> np.ndarray:
    """Keys (3, edges) by which UGSCNN sorts new vertices, the first being the most significant.

    It rounds the coordinates to 32-bit integers and compares their bytes as they lie in the memory
    of a little-endian machine, that is, as big-endian numbers.
    """
    rounded = np.round(middles * 10**ORDER_DIGITS - ORDER_SHIFT).astype("<i4")
    return np.ascontiguousarray(rounded.T).view(">u4").astype(np.int64)


def _resolve_subdivisions(subdivisions: int | None, level: int | None) -> int:
    """Number of parts of an edge from exactly one of its synonyms."""
    if (subdivisions is None) == (level is None):
        raise ValueError(
            "the size must be given exactly once, as subdivisions or as its logarithm level, "
            f"got subdivisions={subdivisions}, level={level}; use Icosahedral(subdivisions=32)"
        )
    name, value = ("level", level) if subdivisions is None else ("subdivisions", subdivisions)
    smallest = 0 if name == "level" else 1
    largest = MAX_SUBDIVISIONS.bit_length() - 1 if name == "level" else MAX_SUBDIVISIONS
    value = as_integer(name, value, at_least=smallest, at_most=largest)
    if name == "subdivisions" and not is_power_of_two(value):
        raise ValueError(
            f"subdivisions must be a power of two, got {value}; "
            f"use subdivisions={nearest_power_of_two(value)}"
        )
    return 2**value if name == "level" else value
