"""Any list of points: stations, buoys, random points."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import healpix
import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import farthest_points, lonlat_to_points, voronoi_areas
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.encoding import decode_array, encode_array
from deepsphere.sampling.healpix import Healpix
from deepsphere.sampling.protocol import Sampling, nearest_membership, read_only

# anything that numpy makes an array of: lists, arrays, columns of a table
Degrees = Iterable[float | int] | np.ndarray

Coarsening = Literal["farthest", "healpix"]

# Points closer than this are the same: 6 mm on the Earth, and a million times the rounding of the
# conversion from degrees.
MIN_SEPARATION = 1e-9

# Fewer vertices have no coarser level: a quarter of them would be fewer than 4 points.
MIN_COARSENED = 16


class PointSet(Sampling):
    """A sampling without a structure to coarsen by: cells are Voronoi, levels are chosen points."""

    def coarsen(self, method: Coarsening = "farthest") -> Sampling:
        """Sampling of about a quarter of the vertices.

        Parameters
        ----------
        method
            ``"farthest"``: a quarter of the points, chosen greedily to be far from each other.
            ``"healpix"``: those pixels of a HEALPix sampling that hold a point, at the finest
            resolution at which they are at most a quarter of the points.

        Returns
        -------
        A :class:`Scattered` sampling, or a subset of a :class:`Healpix` sampling.

        Raises
        ------
        ValueError
            If there are fewer than 16 vertices, or the method is unknown.
        """
        if self.num_vertices < MIN_COARSENED:
            raise ValueError(
                f"a sampling must have at least {MIN_COARSENED} vertices to be coarsened, "
                f"got {self.num_vertices}; use fewer levels"
            )
        if method == "farthest":
            return _farthest_quarter(self)
        if method == "healpix":
            return _occupied_pixels(self)[0]
        raise ValueError(f"method must be 'farthest' or 'healpix', got {method!r}")

    def membership(self, method: Coarsening = "farthest") -> csr_matrix:
        """Share of each vertex that belongs to each vertex of `coarsen(method)`.

        Parameters
        ----------
        method
            ``"farthest"``: a vertex belongs to the nearest chosen point. ``"healpix"``: to the
            pixel that holds it.

        Returns
        -------
        Matrix (coarse vertices, vertices) of zeros and ones; its columns sum to 1 and no row is
        empty.

        Raises
        ------
        ValueError
            If there are fewer than 16 vertices, or the method is unknown.
        """
        coarse = self.coarsen(method)
        if method == "farthest":
            return nearest_membership(self.points, coarse.points)
        row = _occupied_pixels(self)[1]
        shape = (coarse.num_vertices, self.num_vertices)
        return csr_matrix((np.ones(len(row)), (row, np.arange(len(row)))), shape=shape)

    def _compute_areas(self) -> np.ndarray:
        return voronoi_areas(self.points)


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Scattered(PointSet):
    """Points given by longitude and latitude in degree, in any order.

    The areas are those of the Voronoi cells, which cover the whole sphere: where the points leave
    a large hole, its border points own it.

    Parameters
    ----------
    lon_deg
        Longitudes in degree, in −180 .. 180 or 0 .. 360; stored in [0, 360).
    lat_deg
        Latitudes in degree, −90 .. 90.

    Raises
    ------
    ValueError
        If the lengths differ, nothing is given, a value is not finite or out of range, or two
        points are the same (a pole has every longitude).

    Examples
    --------
    >>> stations = Scattered([8.55, 6.14, -0.13], [47.37, 46.20, 51.51])
    >>> stations
    Scattered(3 vertices)
    >>> stations.lon_deg.tolist()
    [8.55, 6.14, 359.87]
    """

    lon_deg: Float[np.ndarray, "vertices"]
    lat_deg: Float[np.ndarray, "vertices"]
    _digest: bytes

    kind: ClassVar[str] = "scattered"
    has_short_form: ClassVar[bool] = False

    def __init__(self, lon_deg: Degrees, lat_deg: Degrees) -> None:
        lon, lat = _check_lonlat(lon_deg, lat_deg)
        object.__setattr__(self, "lon_deg", read_only(lon))
        object.__setattr__(self, "lat_deg", read_only(lat))
        content = np.concatenate([lon, lat]).astype("<f8").tobytes()
        object.__setattr__(self, "_digest", hashlib.blake2b(content, digest_size=16).digest())
        _check_distinct(self)

    def __repr__(self) -> str:
        return f"Scattered({self.num_vertices} vertices)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scattered) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, bytes]:
        return self.num_vertices, self._digest

    @property
    def num_vertices(self) -> int:
        """Number of points."""
        return len(self.lon_deg)

    @property
    def spec(self) -> str:
        """Printable text from which :func:`sampling_from_spec` rebuilds the sampling."""
        return f"scattered:lonlat={encode_array(np.concatenate([self.lon_deg, self.lat_deg]))}"

    @classmethod
    def _option_names(cls) -> tuple[list[str], list[str]]:
        return ["lonlat"], ["lonlat"]

    @classmethod
    def _from_options(cls, options: dict[str, str]) -> "Scattered":
        lonlat = decode_array(options["lonlat"], np.float64)
        if len(lonlat) % 2:
            raise ValueError(f"lonlat must hold an even number of values, got {len(lonlat)}")
        return cls(*np.split(lonlat, 2))

    def _compute_points(self) -> np.ndarray:
        return lonlat_to_points(np.deg2rad(self.lon_deg), np.deg2rad(self.lat_deg))


@dataclass(frozen=True)
class RandomUniform(PointSet):
    """Independent points of the uniform distribution on the sphere.

    Normalized Gaussian vectors. The areas are those of the Voronoi cells.

    Parameters
    ----------
    num_vertices
        Number of points, at least 1.
    seed
        Seed of the generator, from 0 to 2³² − 1. Each is another sampling.

    Raises
    ------
    ValueError
        If an argument is not an integer or out of range.

    Examples
    --------
    >>> RandomUniform(1000, seed=1) == RandomUniform(1000, seed=2)
    False
    """

    num_vertices: int  # pyright: ignore[reportIncompatibleMethodOverride]
    seed: int = 0

    kind: ClassVar[str] = "random_uniform"

    def __post_init__(self) -> None:
        number = as_integer("num_vertices", self.num_vertices, at_least=1)
        object.__setattr__(self, "num_vertices", number)
        seed = as_integer("seed", self.seed, at_least=0, at_most=2**32 - 1)
        object.__setattr__(self, "seed", seed)

    def _compute_points(self) -> np.ndarray:
        # The streams of numpy's generators may change with its version, that of the old class may
        # not, and a specification must mean the same points for good.
        generator = np.random.RandomState(self.seed)
        points = generator.standard_normal((self.num_vertices, 3))
        return points / np.linalg.norm(points, axis=1, keepdims=True)


@lru_cache(maxsize=8)
def _farthest_quarter(sampling: PointSet) -> Scattered:
    """A quarter of the points, chosen greedily, as they stand in the original order."""
    chosen = np.sort(farthest_points(sampling.points, sampling.num_vertices // 4))
    if isinstance(sampling, Scattered):
        return Scattered(sampling.lon_deg[chosen], sampling.lat_deg[chosen])
    lon, lat = np.rad2deg(sampling.lon[chosen]), np.rad2deg(sampling.lat[chosen])
    return Scattered(lon, np.clip(lat, -90, 90))


def _occupied_pixels(sampling: PointSet) -> tuple[Sampling, np.ndarray]:
    """Pixels that hold a point, at most a quarter as many as points, and the rank of each's."""
    x, y, z = sampling.points.T
    pixels, row, nside = np.empty(0), np.empty(0, np.int64), 0
    for order in range(14):
        finer, finer_row = np.unique(
            healpix.vec2pix(2**order, x, y, z, nest=True), return_inverse=True
        )
        if order > 0 and 4 * len(finer) > sampling.num_vertices:
            break
        pixels, row, nside = finer, finer_row, 2**order
    return Healpix(nside).subset(pixels), row


def _check_lonlat(lon_deg: Degrees, lat_deg: Degrees) -> tuple[np.ndarray, np.ndarray]:
    """Copies of longitude, in [0, 360), and latitude, after checking each value."""
    lon, lat = _as_numbers("lon_deg", lon_deg), _as_numbers("lat_deg", lat_deg)
    if lon.ndim != 1 or lat.ndim != 1 or len(lon) != len(lat):
        raise ValueError(
            "lon_deg and lat_deg must be lists of the same length, got the shapes "
            f"{lon.shape} and {lat.shape}"
        )
    if len(lon) == 0:
        raise ValueError("lon_deg and lat_deg must hold at least one point, got none")
    for name, values in (("lon_deg", lon), ("lat_deg", lat)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ValueError(
                f"{name} must be finite, got {values[bad[0]]} at point {bad[0]}"
                + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
                + "; drop the points without a position"
            )
    outside = np.flatnonzero(np.abs(lat) > 90)
    if len(outside):
        hint = "are the arguments swapped? It is" if np.all(np.abs(lon) <= 90) else "the order is"
        raise ValueError(
            f"lat_deg must be between -90 and 90, got {lat[outside[0]]:g} at point {outside[0]}; "
            f"{hint} Scattered(lon_deg, lat_deg)"
        )
    outside = np.flatnonzero((lon < -180) | (lon > 360))
    if len(outside):
        raise ValueError(
            f"lon_deg must be between -180 and 180 or between 0 and 360, got "
            f"{lon[outside[0]]:g} at point {outside[0]}"
        )
    lon = np.mod(lon, 360.0)
    lon[lon >= 360] = 0.0  # the modulo of a tiny negative number rounds up
    return lon, lat


def _as_numbers(name: str, angles: Degrees) -> np.ndarray:
    """A copy of the angles as float64, unless they are not real numbers."""
    values = np.asarray(angles)
    try:
        if np.iscomplexobj(values):
            raise ValueError("they are complex")
        return np.array(values, np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be real numbers in degrees, got {values.dtype} values: {error}; "
            "convert columns of text first"
        ) from error


def _check_distinct(sampling: Scattered) -> None:
    """Raise an error that names a pair of equal points."""
    pairs = KDTree(sampling.points).query_pairs(MIN_SEPARATION, output_type="ndarray")
    if len(pairs) == 0:
        return
    first, second = min(map(tuple, np.sort(pairs, axis=1).tolist()))
    lon, lat = sampling.lon_deg[first], sampling.lat_deg[first]
    raise ValueError(
        f"points must be distinct, but points {first} and {second} are the same: "
        f"lon {lon:.6g}, lat {lat:.6g}"
        + (f"; so are {len(pairs) - 1} more pairs" if len(pairs) > 1 else "")
        + "; merge their signals and keep one"
    )
