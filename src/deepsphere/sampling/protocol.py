"""What every sampling offers, and what a new one has to say.

A sampling is a frozen value of a few plain numbers: two that are equal are the same points in the
same order. The arrays that follow from it are computed by its methods and kept outside of it, in
caches of bounded size.
"""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import Cells, points_to_lonlat, voronoi_cells

if TYPE_CHECKING:
    from deepsphere.sampling.subset import Subset

# Above this number of vertices only the last two samplings stay cached: the points of a HEALPix
# sampling of nside 1024 take 300 MB.
LARGE_NUM_VERTICES = 200_000


# An abstract class and not a typing.Protocol: before Python 3.12, `isinstance` with a protocol
# evaluates its properties, which here means all points and areas.
@dataclass(frozen=True)
class Sampling(ABC):
    """A discretization of the sphere: points in a fixed order, each with an area.

    The areas sum to 4π, except for those of a :class:`Subset`. A new sampling is a frozen
    dataclass that says its `num_vertices`, `_compute_points`, `_compute_areas` and `coarsen`, and
    is listed in `SAMPLINGS`.

    Attributes
    ----------
    kind : str
        The word for it in specifications.
    quasi_uniform : bool
        Whether all cells have about the same area and shape.
    has_short_form : bool
        Whether a specification may give the main option alone, as in ``healpix:32``.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci
    >>> sampling = Fibonacci(100)
    >>> sampling.points.shape, sampling.spec
    ((100, 3), 'fibonacci:num_vertices=100')
    """

    kind: ClassVar[str]
    quasi_uniform: ClassVar[bool] = False
    has_short_form: ClassVar[bool] = True

    if TYPE_CHECKING:
        # only declared: a field of some samplings, a property of the others

        @property
        def num_vertices(self) -> int:
            """Number of points."""
            ...

    @abstractmethod
    def _compute_points(self) -> np.ndarray:
        """Unit vectors, (vertices, 3) float64."""

    @abstractmethod
    def _compute_areas(self) -> np.ndarray:
        """Areas in steradian, (vertices,) float64."""

    @abstractmethod
    def coarsen(self) -> "Sampling":
        """Sampling of the next coarser level, with about a quarter of the vertices.

        Returns
        -------
        A sampling of the same kind.

        Raises
        ------
        ValueError
            If there is none.
        """

    @property
    def points(self) -> Float[np.ndarray, "vertices 3"]:
        """Unit vectors, read-only."""
        large = self.num_vertices > LARGE_NUM_VERTICES
        return (_few_points if large else _many_points)(self)

    @property
    def areas(self) -> Float[np.ndarray, "vertices"]:
        """Areas in steradian, read-only."""
        large = self.num_vertices > LARGE_NUM_VERTICES
        return (_few_areas if large else _many_areas)(self)

    @property
    def lon(self) -> Float[np.ndarray, "vertices"]:
        """Longitudes in [0, 2π)."""
        return points_to_lonlat(self.points)[0]

    @property
    def lat(self) -> Float[np.ndarray, "vertices"]:
        """Latitudes in [−π/2, π/2]."""
        return points_to_lonlat(self.points)[1]

    @property
    def spec(self) -> str:
        """Printable text from which :func:`sampling_from_spec` rebuilds the sampling."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"{self.kind}:" + ",".join(f"{name}={_spell(value)}" for name, value in values)

    @classmethod
    def _option_names(cls) -> tuple[list[str], list[str]]:
        """Options that a specification may give, and those that it must."""
        parameters = inspect.signature(cls).parameters
        required = [name for name, p in parameters.items() if p.default is p.empty]
        return list(parameters), required

    @classmethod
    def _from_options(cls, options: dict[str, str]) -> "Sampling":
        """Sampling of the options of a specification."""
        return cls(**{name: _read(value) for name, value in options.items()})

    @classmethod
    def _from_short(cls, text: str) -> "Sampling":
        """Sampling of a specification that gives the values of the first options, as in 16x32."""
        values, names = text.split("x"), cls._option_names()[0]
        if len(values) > len(names):
            example = "x".join(["16", "32", "0"][: len(names)])
            raise ValueError(
                f"{cls.kind} takes at most {len(names)} values, as in {example}, got {text!r}"
            )
        return cls(**{name: _read(value) for name, value in zip(names, values, strict=False)})

    def membership(self) -> csr_matrix:
        """Share of each vertex that belongs to each vertex of the next coarser level.

        Unless the sampling knows its own hierarchy, a vertex belongs to the nearest coarse vertex,
        and a coarse vertex which so gets none shares the vertex nearest to it.

        Returns
        -------
        Matrix (coarse vertices, vertices) of float64, not negative; its columns sum to 1 and no row
        is empty.

        Raises
        ------
        ValueError
            If there is no coarser level.
        """
        return nearest_membership(self.points, self.coarsen().points)

    def cells(self) -> Cells:
        """The part of the sphere that each vertex stands for, for conservative regridding.

        Unless the sampling knows better, the Voronoi cells. Their areas are `areas`.

        Returns
        -------
        Polygons, rectangles between parallels and meridians, or HEALPix pixels.

        Raises
        ------
        ValueError
            If they are Voronoi cells and the points cannot be triangulated.
        """
        return voronoi_cells(self.points)

    def subset(self, selection: Bool[np.ndarray, "vertices"] | Int[np.ndarray, "kept"]) -> "Subset":
        """Part of the sampling that is selected by a mask or by indices.

        Parameters
        ----------
        selection
            A boolean mask of all vertices, or the indices of those to keep, in their order.

        Returns
        -------
        The kept vertices, with the areas that they have in the whole sampling.

        Raises
        ------
        ValueError
            If nothing is selected, or an index is out of range or repeated.
        """
        from deepsphere.sampling.subset import Subset

        return Subset(self, selection)

    def _points_at(self, indices: np.ndarray) -> np.ndarray:
        """Points of some vertices; overridden where that is cheaper than all."""
        return self.points[indices]

    def _areas_at(self, indices: np.ndarray) -> np.ndarray:
        """Areas of some vertices; overridden where that is cheaper than all."""
        return self.areas[indices]

    def _membership_at(self, indices: np.ndarray) -> csr_matrix:
        """Columns of the membership; overridden where that is cheaper than all."""
        return csr_matrix(self.membership()[:, indices])


def nearest_membership(
    points: Float[np.ndarray, "fine 3"], coarse_points: Float[np.ndarray, "coarse 3"]
) -> csr_matrix:
    """Matrix that gives each point to the nearest coarse point.

    Parameters
    ----------
    points, coarse_points
        Unit vectors.

    Returns
    -------
    Matrix (coarse, fine), not negative; its columns sum to 1. A coarse point that is nearest to
    none shares the point nearest to it in equal parts, so that no row is empty.
    """
    _, owner = KDTree(coarse_points).query(points)
    empty = np.setdiff1d(np.arange(len(coarse_points)), owner)
    rows, columns = owner, np.arange(len(points))
    if len(empty):
        _, shared = KDTree(points).query(coarse_points[empty])
        rows, columns = np.concatenate([rows, empty]), np.concatenate([columns, shared])
    share = 1.0 / np.bincount(columns)
    return csr_matrix((share[columns], (rows, columns)), shape=(len(coarse_points), len(points)))


def read_only(array: np.ndarray) -> np.ndarray:
    """The array itself, locked against writing, so that a cache can hand it out."""
    array.setflags(write=False)
    return array


@lru_cache(maxsize=32)
def _many_points(sampling: Sampling) -> np.ndarray:
    return read_only(sampling._compute_points())


@lru_cache(maxsize=2)
def _few_points(sampling: Sampling) -> np.ndarray:
    return read_only(sampling._compute_points())


@lru_cache(maxsize=32)
def _many_areas(sampling: Sampling) -> np.ndarray:
    return read_only(sampling._compute_areas())


@lru_cache(maxsize=2)
def _few_areas(sampling: Sampling) -> np.ndarray:
    return read_only(sampling._compute_areas())


def _spell(value: object) -> str:
    """Value of an option as it stands in a specification."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(text: str) -> int | bool | str:
    """Value of an option from its text: a number, true or false, else a word."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() else text
