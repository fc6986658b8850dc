"""Rectilinear sampling: any latitudes times any longitudes, as grids of models and of files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_matrix, csr_matrix

from deepsphere.geometry import Rectangles, lonlat_to_points
from deepsphere.sampling.encoding import decode_array, encode_array
from deepsphere.sampling.protocol import Sampling, read_only
from deepsphere.sampling.rings import MIN_SHARE

Degrees = Iterable[float | int] | np.ndarray

# Latitudes this near to a pole are the pole: 11 cm on the Earth, and a tenth of the rounding of a
# latitude in single precision.
POLE_TOLERANCE_DEG = 1e-6
# Meridians and parallels must be this far apart for the points to be distinct.
MIN_STEP_DEG = 1e-6


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Rectilinear(Sampling):
    """Every given latitude with every given longitude, on the whole sphere.

    The cells are bounded by the parallels and meridians halfway between the vertices, and by the
    poles; their areas are exact and sum to 4π. A latitude of ±90 is a single vertex. Vertices run
    along the longitudes, then along the latitudes, both as they are given.

    Parameters
    ----------
    lat_deg
        Latitudes in degree, −90 .. 90, all increasing or all decreasing.
    lon_deg
        Longitudes in degree, at least 3, once around the circle eastward or westward, starting
        anywhere, in −180 .. 180 or 0 .. 360 or beyond; stored in [0, 360).

    Raises
    ------
    ValueError
        If a value is not finite or out of range, if latitudes are not monotonic, or if longitudes
        are repeated or do not go once around.

    Examples
    --------
    >>> grid = Rectilinear([60, 20, -20, -70], [-135, -45, 45, 135])
    >>> grid
    Rectilinear(4 latitudes, 4 longitudes)
    >>> grid.num_vertices, grid.lon_deg.tolist()
    (16, [225.0, 315.0, 45.0, 135.0])
    >>> Rectilinear([-90, 0, 90], [0, 90, 180, 270]).num_vertices  # 1 ring and 2 poles
    6
    """

    lat_deg: Float[np.ndarray, "nlat"]
    lon_deg: Float[np.ndarray, "nlon"]
    _digest: bytes

    kind: ClassVar[str] = "rectilinear"
    has_short_form: ClassVar[bool] = False

    def __init__(self, lat_deg: Degrees, lon_deg: Degrees) -> None:
        lat, lon = _checked_latitudes(lat_deg), _checked_longitudes(lon_deg)
        object.__setattr__(self, "lat_deg", read_only(lat))
        object.__setattr__(self, "lon_deg", read_only(lon))
        content = np.concatenate([lat, lon]).astype("<f8").tobytes()
        object.__setattr__(self, "_digest", hashlib.blake2b(content, digest_size=16).digest())

    def __repr__(self) -> str:
        return f"Rectilinear({len(self.lat_deg)} latitudes, {len(self.lon_deg)} longitudes)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rectilinear) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, int, bytes]:
        return len(self.lat_deg), len(self.lon_deg), self._digest

    @property
    def num_vertices(self) -> int:
        """Number of points, latitudes times longitudes less the repetitions of the poles."""
        return int(self._ring_sizes().sum())

    @property
    def has_even_meridians(self) -> bool:
        """Whether the longitudes are equal steps, so that a ring is turned into itself.

        Up to 1e-9 of a step: rounding of the steps, and nothing else.
        """
        lon = _unwrapped(self.lon_deg)
        step = 360.0 / len(lon)
        return bool(np.abs(np.abs(np.diff(lon)) - step).max() <= 1e-9 * step)

    @property
    def spec(self) -> str:
        """Printable text from which :func:`sampling_from_spec` rebuilds the sampling."""
        return f"rectilinear:lat={encode_array(self.lat_deg)},lon={encode_array(self.lon_deg)}"

    @classmethod
    def _option_names(cls) -> tuple[list[str], list[str]]:
        return ["lat", "lon"], ["lat", "lon"]

    @classmethod
    def _from_options(cls, options: dict[str, str]) -> "Rectilinear":
        lat, lon = (decode_array(options[name], np.float64) for name in ("lat", "lon"))
        return cls(lat, lon)

    def coarsen(self) -> "Rectilinear":
        """Grid of half as many latitudes and half as many longitudes.

        Neighbors are replaced by the one in their middle, so that coarse cells of an even grid
        are unions of four; a pole stays.

        Raises
        ------
        ValueError
            If fewer than 2 latitudes (3 with both poles), or 3 longitudes, would be left.
        """
        first, last = self._is_pole()[[0, -1]].tolist()
        nlat, nlon = len(self.lat_deg), len(self.lon_deg)
        num_rings = (nlat + 1) // 2 if first and last else nlat // 2
        if num_rings < max(2, 1 + int(first) + int(last)) or nlon < 6:
            raise ValueError(
                f"a grid must have at least {5 if first and last else 4} latitudes and 6 "
                f"longitudes to be coarsened, got {nlat} and {nlon}; use fewer levels or a finer "
                "grid"
            )
        lat = np.interp(_middles(nlat, num_rings, first, last), np.arange(nlat), self.lat_deg)
        around = _unwrapped(self.lon_deg)
        # the first meridian again after the last, for an odd number
        around = np.append(around, around[0] + 360.0 * np.sign(around[1] - around[0]))
        lon = np.interp(_middles(nlon, nlon // 2), np.arange(nlon + 1), around)
        return Rectilinear(lat, np.mod(lon, 360.0))

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices) of the shares, by area, of each cell in coarse cells.

        Membership times areas is the coarse areas.

        Raises
        ------
        ValueError
            If there is no coarser level.
        """
        coarse = self.coarsen()
        bands = _shares(self._bounds(), coarse._bounds(), measure=_zone)
        arcs = _arc_shares(self.lon_deg, coarse.lon_deg)
        # every pair of a share of a ring and a share of an arc
        band, arc = np.divmod(np.arange(bands.nnz * arcs.nnz), arcs.nnz)
        ring, coarse_ring = bands.col[band], bands.row[band]
        size, coarse_size = self._ring_sizes(), coarse._ring_sizes()
        is_pole = size[ring] == 1
        # all meridians of a pole are its one vertex, of which an arc has its part of the circle
        part = np.where(is_pole, _arc_widths(self.lon_deg)[arcs.col[arc]], 1.0)
        row = (np.cumsum(coarse_size) - coarse_size)[coarse_ring]
        row += np.where(coarse_size[coarse_ring] == 1, 0, arcs.row[arc])
        column = (np.cumsum(size) - size)[ring] + np.where(is_pole, 0, arcs.col[arc])
        matrix = csr_matrix(
            (bands.data[band] * arcs.data[arc] * part, (row, column)),
            shape=(coarse.num_vertices, self.num_vertices),
        )
        matrix.sum_duplicates()
        matrix.data /= np.asarray(matrix.sum(axis=0)).ravel()[matrix.indices]
        return matrix

    def cells(self) -> Rectangles:
        """Rectangles bounded by the parallels and meridians halfway between the vertices."""
        size, nlon = self._ring_sizes(), len(self.lon_deg)
        column = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        lat, lon = self._bounds(), np.deg2rad(_arc_bounds(self.lon_deg))
        west, width = np.minimum(lon[:-1], lon[1:]), np.abs(np.diff(lon))
        is_pole = np.repeat(size == 1, size)
        return Rectangles(
            np.repeat(np.minimum(lat[:-1], lat[1:]), size),
            np.repeat(np.maximum(lat[:-1], lat[1:]), size),
            west[column % nlon],
            np.where(is_pole, 2 * np.pi, width[column % nlon]),
        )

    def _is_pole(self) -> np.ndarray:
        return np.abs(self.lat_deg) == 90.0

    def _ring_sizes(self) -> np.ndarray:
        return np.where(self._is_pole(), 1, len(self.lon_deg))

    def _bounds(self) -> np.ndarray:
        """Latitudes in radian between which the cells lie, from pole to pole as the rings run."""
        lat = np.deg2rad(self.lat_deg)
        start = np.pi / 2 if len(lat) == 1 or lat[0] > lat[1] else -np.pi / 2
        return np.concatenate([[start], (lat[1:] + lat[:-1]) / 2, [-start]])

    def _compute_points(self) -> np.ndarray:
        size, nlon = self._ring_sizes(), len(self.lon_deg)
        column = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        lat = np.repeat(np.deg2rad(self.lat_deg), size)
        points = lonlat_to_points(np.deg2rad(self.lon_deg[column % nlon]), lat)
        pole = np.repeat(self._is_pole(), size)
        points[pole] = np.sign(points[pole]) * np.array([0.0, 0.0, 1.0])
        return points

    def _compute_areas(self) -> np.ndarray:
        size, bounds = self._ring_sizes(), self._bounds()
        zone = 4 * np.pi * np.abs(_zone(bounds[:-1], bounds[1:]))
        width = _arc_widths(self.lon_deg)
        return np.concatenate(
            [
                area * (width if count > 1 else 1.0) * np.ones(count)
                for area, count in zip(zone, size, strict=True)
            ]
        )


def _checked_latitudes(lat_deg: Degrees) -> np.ndarray:
    """A copy of the latitudes, those at a pole exactly there."""
    lat = _finite("lat_deg", lat_deg, at_least=1)
    outside = np.flatnonzero(np.abs(lat) > 90 + POLE_TOLERANCE_DEG)
    if len(outside):
        raise ValueError(
            f"lat_deg must be between -90 and 90, got {lat[outside[0]]:g} at {outside[0]}; the "
            "order is Rectilinear(lat_deg, lon_deg), in degrees"
        )
    lat[np.abs(lat) > 90 - POLE_TOLERANCE_DEG] = 90.0 * np.sign(
        lat[np.abs(lat) > 90 - POLE_TOLERANCE_DEG]
    )
    if len(lat) == 1 and abs(lat[0]) == 90:
        raise ValueError("lat_deg must have a latitude that is not a pole, got a pole alone")
    steps = np.diff(lat)
    wrong = np.flatnonzero(steps * np.sign(lat[-1] - lat[0]) < MIN_STEP_DEG)
    if len(wrong):
        raise ValueError(
            "lat_deg must all increase or all decrease, got "
            f"{lat[wrong[0]]:g} then {lat[wrong[0] + 1]:g} at {wrong[0]}; sort the rows of the grid"
        )
    return lat


def _checked_longitudes(lon_deg: Degrees) -> np.ndarray:
    """A copy of the longitudes in [0, 360)."""
    lon = np.mod(_finite("lon_deg", lon_deg, at_least=3), 360.0)
    lon[lon >= 360.0 - MIN_STEP_DEG / 2] = 0.0
    steps = np.mod(np.diff(lon, append=lon[0]), 360.0)
    steps = steps if steps.sum() < 540 else 360.0 - steps
    if (steps < MIN_STEP_DEG).any() or (360.0 - steps < MIN_STEP_DEG).any():
        at = int(np.flatnonzero((steps < MIN_STEP_DEG) | (360.0 - steps < MIN_STEP_DEG))[0])
        raise ValueError(
            f"lon_deg must be distinct, got {lon[at]:g} and {lon[(at + 1) % len(lon)]:g} next to "
            "each other; leave out the last meridian where it repeats the first"
        )
    if abs(steps.sum() - 360.0) > 1e-6:
        raise ValueError(
            "lon_deg must go once around the circle, eastward or westward, got "
            f"{lon[0]:g}, {lon[1]:g}, ..., {lon[-1]:g}; sort the columns of the grid"
        )
    return lon


def _finite(name: str, angles: Degrees, *, at_least: int) -> np.ndarray:
    """A copy of angles as float64, one-dimensional and finite."""
    try:
        values = np.array(angles, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers in degrees, got {angles!r:.60}") from error
    if values.ndim != 1 or len(values) < at_least:
        raise ValueError(
            f"{name} must be a list of at least {at_least} angles, got the shape {values.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{name} must be finite, got {values[bad[0]]} at {bad[0]}; leave out rows and columns "
            "without a position"
        )
    return values


def _middles(fine: int, coarse: int, first: bool = False, last: bool = False) -> np.ndarray:
    """Places of coarse rings among fine ones, counted from 0; a pole keeps its place.

    In steps of the fine rings, these fill -1/2 .. fine - 1/2, or start or end at a pole.
    """
    place = np.arange(coarse)
    if first and last:
        return place * ((fine - 1) / (coarse - 1))
    if first:
        return place * (fine / coarse)
    if last:
        return fine - 1 - place[::-1] * (fine / coarse)
    return (place + 0.5) * (fine / coarse) - 0.5


def _zone(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """sin(stop) − sin(start) over 2, without cancellation: a zone's part of the sphere."""
    return np.cos((start + stop) / 2) * np.sin((stop - start) / 2)


def _shares(fine: np.ndarray, coarse: np.ndarray, *, measure) -> coo_matrix:
    """Share of each fine interval in each coarse one, of intervals in one direction."""
    if fine[0] > fine[-1]:
        fine, coarse = -fine, -coarse
    start = np.maximum(fine[:-1], coarse[:-1, None])
    stop = np.maximum(start, np.minimum(fine[1:], coarse[1:, None]))
    shares = measure(start, stop) / measure(fine[:-1], fine[1:])
    shares[shares < MIN_SHARE] = 0.0
    return coo_matrix(shares / shares.sum(axis=0))


def _unwrapped(lon_deg: np.ndarray) -> np.ndarray:
    """Longitudes that go on beyond a full turn, eastward or westward, whatever their gaps."""
    steps = np.mod(np.diff(lon_deg, append=lon_deg[0]), 360.0)
    steps = steps if steps.sum() < 540 else steps - 360.0
    return lon_deg[0] + np.concatenate([[0.0], np.cumsum(steps[:-1])])


def _arc_bounds(lon_deg: np.ndarray) -> np.ndarray:
    """Unwrapped longitudes between the cells, one more than cells, over one turn eastward."""
    lon = _unwrapped(lon_deg)
    before = lon[-1] - 360.0 if lon[1] > lon[0] else lon[-1] + 360.0
    middle = (np.concatenate([[before], lon[:-1]]) + lon) / 2
    return np.append(middle, middle[0] + (360.0 if lon[1] > lon[0] else -360.0))


def _arc_widths(lon_deg: np.ndarray) -> np.ndarray:
    """Part of the circle that each meridian has."""
    return np.abs(np.diff(_arc_bounds(lon_deg))) / 360.0


def _arc_shares(fine_deg: np.ndarray, coarse_deg: np.ndarray) -> coo_matrix:
    """Share of each fine arc in each coarse arc of the circle."""
    fine, coarse = _arc_bounds(fine_deg), _arc_bounds(coarse_deg)
    if fine[0] > fine[-1]:
        fine, coarse = -fine, -coarse
    # coarse arcs over three turns, of which one surely covers the fine ones
    coarse += 360.0 * np.round((fine[0] - coarse[0]) / 360.0)
    num = len(coarse) - 1
    turns = np.concatenate([coarse[:-1] + 360.0 * turn for turn in (-1, 0, 1)])
    turns = np.append(turns, coarse[-1] + 360.0)
    shares = _shares(fine, turns, measure=lambda start, stop: stop - start)
    folded = coo_matrix(
        (shares.data, (shares.row % num, shares.col)), shape=(num, len(fine) - 1)
    ).tocsr()
    folded.sum_duplicates()
    return coo_matrix(folded)
