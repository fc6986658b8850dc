"""Samplings of latitude-longitude grids: a named one where it fits, else any rectilinear one."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import roots_legendre

from deepsphere.graph.neighbors import ring_sizes
from deepsphere.sampling import Equiangular, GaussLegendre, Rectilinear, Sampling, Subset
from deepsphere.sampling.equiangular import Poles

# Coordinates of files have been rounded, to single precision or to a few decimals: a grid is the
# one of a formula if no row is farther from its place than this part of a step.
SHARE_OF_STEP = 0.01
# A grid goes around the circle, or up to the pole, if what is left is not larger than this many
# steps (a pole is half a step from the last border at most).
_CLOSED_STEPS = 1.5
_POLAR_STEPS = 1.0
# A turn, up to the rounding of sums.
_TURN_DEG = 360.0 + 1e-6
# Rows and columns of the same step around a region, before they grow by the factor.
_GUARDS = 2
_GROWTH = 1.5
# Kinds of equiangular rings, and how many more of them than steps there are from pole to pole.
_POLES: tuple[tuple[Poles, float], ...] = ((0, 0.0), (2, 1.0), (1, 0.0), ("south", 0.5))


@dataclass(frozen=True, eq=False)
class GridOfAxes:
    """A sampling, and which of its vertices each row and column of a file is.

    Attributes
    ----------
    sampling : Sampling
        Rings from north to south, each eastward from the meridian at or after 0.
    vertex : ndarray, shape (latitudes, longitudes)
        Vertex of each cell of the file, in its order.
    notes : tuple of str
        What was changed.
    copied_columns : ndarray of bool, shape (longitudes,)
        Columns that repeat others: the cyclic point.

    Examples
    --------
    >>> grid = grid_of_axes(np.array([-45.0, 45]), np.array([0.0, 120, 240, 360]))
    >>> grid.vertex.tolist(), grid.copied_columns.tolist()
    ([[3, 4, 5, 3], [0, 1, 2, 0]], [False, False, False, True])
    """

    sampling: Sampling
    vertex: Int[np.ndarray, "lat lon"]
    notes: tuple[str, ...]
    copied_columns: np.ndarray


@dataclass(frozen=True, eq=False)
class _Axis:
    """Angles of a whole axis, in order, and where those of the file stand among them."""

    whole_deg: np.ndarray
    place: np.ndarray


def grid_of_axes(
    lat_deg: Float[np.ndarray, "lat"], lon_deg: Float[np.ndarray, "lon"]
) -> GridOfAxes:
    """Sampling of a latitude-longitude grid given by its axes.

    `Equiangular` and `GaussLegendre` where the grid is one of them, up to the order of the rows and
    where the columns start; a `Subset` of `Equiangular` where only rows near the poles are missing;
    `Rectilinear` for all others, of which a region is a subset.

    Parameters
    ----------
    lat_deg
        Latitudes, increasing or decreasing.
    lon_deg
        Longitudes, eastward or westward, the last possibly the first again.

    Returns
    -------
    GridOfAxes

    Raises
    ------
    ValueError
        If the axes are not monotonic, repeat an angle, or are single points.

    Examples
    --------
    >>> import numpy as np
    >>> grid_of_axes(np.arange(-90, 91, 30.0), np.arange(-180, 180, 30.0)).sampling
    Equiangular(nlat=7, nlon=12, poles=2)
    >>> grid_of_axes(np.arange(75, -76, -30.0), np.arange(15, 360, 30.0)).sampling
    Rectilinear(6 latitudes, 12 longitudes)
    >>> grid_of_axes(np.arange(60, 30, -2.0), np.arange(0, 30, 2.0)).sampling
    Subset(Rectilinear(29 latitudes, 33 longitudes), 225 of 957 vertices)
    """
    distinct, notes = _distinct_columns(lon_deg)
    columns = lon_deg[distinct]
    _check_axis("latitude", lat_deg)
    if len(lat_deg) == 1 and len(columns) == 1:
        raise ValueError(
            f"a grid must have several latitudes or longitudes, got a single point at latitude "
            f"{lat_deg[0]:g}, longitude {columns[0]:g}; a point has no neighbors"
        )
    lon_steps = np.mod(np.diff(columns), 360.0)
    steps = [
        float(gaps.min())
        for gaps in (np.abs(np.diff(lat_deg)), np.minimum(lon_steps, 360.0 - lon_steps))
        if len(gaps)
    ]
    lat_step = steps[0]
    lon_step = steps[-1]
    meridians = _meridians(columns, lon_step)
    starts_at_zero = abs(meridians.whole_deg[0]) < SHARE_OF_STEP * lon_step
    is_even = _is_even(meridians.whole_deg)
    named = _named_sampling(
        lat_deg, len(meridians.whole_deg) if starts_at_zero and is_even else None
    )
    if named is not None:
        whole, ring = named
    else:
        parallels = _parallels(lat_deg, lat_step)
        whole, ring = Rectilinear(parallels.whole_deg, meridians.whole_deg), parallels.place
    vertex_of_column = np.empty(len(lon_deg), np.int64)
    vertex_of_column[distinct] = meridians.place
    copied = np.setdiff1d(np.arange(len(lon_deg)), distinct)
    # those that go on after a turn are the first ones again
    vertex_of_column[copied] = meridians.place[np.arange(len(copied))]
    size = np.array(ring_sizes(whole))
    start = np.cumsum(size) - size
    vertex = start[ring][:, None] + np.where(size[ring][:, None] == 1, 0, vertex_of_column)
    is_copy = np.zeros(len(lon_deg), dtype=bool)
    is_copy[copied] = True
    return _kept(whole, vertex, notes, is_copy)


def _kept(
    whole: Sampling, vertex: np.ndarray, notes: tuple[str, ...], copied: np.ndarray
) -> GridOfAxes:
    """The whole, or the part of it that some cell is."""
    is_used = np.zeros(whole.num_vertices, dtype=bool)
    is_used[vertex] = True
    if is_used.all():
        return GridOfAxes(whole, vertex, notes, copied)
    place = np.cumsum(is_used) - 1
    return GridOfAxes(Subset(whole, is_used), place[vertex], notes, copied)


def _distinct_columns(lon_deg: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns without those at the end that repeat the first ones."""
    _check_axis("longitude", _unwrapped(lon_deg))
    if len(lon_deg) < 3:
        return np.arange(len(lon_deg)), ()
    along = np.abs(_unwrapped(lon_deg) - lon_deg[0])
    step = np.diff(along).min()
    distinct = np.flatnonzero(along < 360.0 - SHARE_OF_STEP * step)
    extra = len(lon_deg) - len(distinct)
    if extra == 0:
        return distinct, ()
    away = along[len(distinct) :] - 360.0 - along[:extra]
    if np.abs(away).max() > SHARE_OF_STEP * step:
        raise ValueError(
            "longitudes must go around the circle once, got "
            f"{lon_deg[0]:g} to {lon_deg[-1]:g} in {len(lon_deg)} steps; leave out the columns "
            "that overlap others"
        )
    which = "column repeats" if extra == 1 else f"{extra} columns repeat"
    return distinct, (f"the last {which} the first (cyclic point): read once, written back",)


def _unwrapped(lon_deg: np.ndarray) -> np.ndarray:
    """Longitudes without the jump at 0 or 180, once around; as they are where they go in order."""
    steps = np.diff(lon_deg)
    if len(steps) == 0 or (steps == 0).any() or len(np.unique(np.sign(steps))) == 1:
        return lon_deg
    nearest = np.mod(steps + 180.0, 360.0) - 180.0
    # a gap of more than half of the circle goes in the direction of the other steps
    for taken, most in (
        (nearest, np.inf),
        (np.mod(steps, 360.0), _TURN_DEG),
        (-np.mod(-steps, 360.0), _TURN_DEG),
    ):
        if len(np.unique(np.sign(taken))) == 1 and abs(taken.sum()) <= most:
            return lon_deg[0] + np.append(0.0, np.cumsum(taken))
    return lon_deg


def _check_axis(name: str, angles: np.ndarray) -> None:
    """Raise unless angles go in one direction, without a repetition."""
    steps = np.diff(angles)
    repeated = np.flatnonzero(steps == 0)
    if len(repeated):
        raise ValueError(
            f"{name}s must be distinct, got {angles[repeated[0]]:g} twice, at {repeated[0]} and "
            f"{repeated[0] + 1}; leave one of the rows out, as in data.drop_duplicates(dim)"
        )
    if len(steps) and not ((steps > 0).all() or (steps < 0).all()):
        turn = int(np.flatnonzero(np.sign(steps) != np.sign(steps[0]))[0])
        raise ValueError(
            f"{name}s must increase or decrease along their dimension, got {angles[turn]:g} then "
            f"{angles[turn + 1]:g} at {turn}; sort them, as in data.sortby(name)"
        )


def _is_even(whole_deg: np.ndarray) -> bool:
    """Whether meridians that go around are equal steps."""
    step = 360.0 / len(whole_deg)
    places = whole_deg[0] + step * np.arange(len(whole_deg))
    return bool(np.abs(whole_deg - places).max() <= SHARE_OF_STEP * step)


def _meridians(lon_deg: np.ndarray, step: float) -> _Axis:
    """All longitudes around the circle, from the one at or after 0 eastward."""
    lon = np.mod(lon_deg, 360.0)
    lon[lon > 360.0 - SHARE_OF_STEP * step] -= 360.0
    order = np.argsort(lon)
    east = lon[order]
    gaps = np.append(np.diff(east), east[0] + 360.0 - east[-1])
    widest = int(gaps.argmax())
    others = np.delete(gaps, widest)
    others = others if len(others) else np.array([step])
    largest = float(others.max())
    if gaps[widest] > _CLOSED_STEPS * largest:
        whole = _around(east, widest, float(gaps[widest]), others)
    else:
        whole = east
    whole = np.sort(np.mod(whole + SHARE_OF_STEP * step, 360.0) - SHARE_OF_STEP * step)
    place = np.searchsorted(whole, east - SHARE_OF_STEP * step)
    back = np.empty(len(lon), np.int64)
    back[order] = place
    return _Axis(_evened(whole), back)


def _evened(whole_deg: np.ndarray) -> np.ndarray:
    """Longitudes of equal steps without the rounding of the file, the others as they are."""
    if not _is_even(whole_deg):
        return whole_deg
    step = 360.0 / len(whole_deg)
    offset = float(np.mean(whole_deg - step * np.arange(len(whole_deg)))) / step
    for simple in (0.0, 0.5):
        if abs(offset - simple) < SHARE_OF_STEP:
            offset = simple
    return (offset + np.arange(len(whole_deg))) * step


def _around(east: np.ndarray, widest: int, gap: float, others: np.ndarray) -> np.ndarray:
    """Longitudes of a region completed around the circle, beyond its widest gap."""
    step = float(others.max())
    num = gap / step
    filled = round(num) - 1
    is_regular = np.ptp(others) <= SHARE_OF_STEP * step
    last, following = east[widest], east[(widest + 1) % len(east)]
    if is_regular and abs(num - round(num)) < SHARE_OF_STEP * len(east) and filled <= len(east):
        between = gap / (filled + 1) * np.arange(1, filled + 1)
        return np.concatenate([east, last + between])
    half = gap / 2
    onward = _growing(step, half)
    return np.concatenate([east, last + onward, following - onward])


def _growing(step: float, reach: float) -> np.ndarray:
    """Distances beyond the border of a region: a few equal steps, then growing ones."""
    places, at, width = [], 0.0, step
    while at + 1.5 * width <= reach:
        at += width
        places.append(at)
        width *= _GROWTH if len(places) >= _GUARDS else 1.0
    return np.array(places)


def _parallels(lat_deg: np.ndarray, step: float) -> _Axis:
    """All latitudes from north to south, those of the file among them."""
    order = np.argsort(-lat_deg)
    south = lat_deg[order].copy()
    steps = np.abs(np.diff(south)) if len(south) > 1 else np.array([step])
    for end, sign in ((0, 1.0), (-1, -1.0)):
        if abs(90.0 * sign - south[end]) < SHARE_OF_STEP * steps[end]:
            south[end] = 90.0 * sign
    named = _equiangular_rings(lat_deg)
    if named is not None:
        grid, rings = named
        return _Axis(90.0 - np.rad2deg(grid.colatitudes), rings)
    before, after = 90.0 - south[0], south[-1] + 90.0
    north = _growing(steps[0], before) if before > _POLAR_STEPS * steps[0] else np.empty(0)
    below = _growing(steps[-1], after) if after > _POLAR_STEPS * steps[-1] else np.empty(0)
    whole = np.concatenate([south[0] + north[::-1], south, south[-1] - below])
    place = np.empty(len(lat_deg), np.int64)
    place[order] = len(north) + np.arange(len(south))
    return _Axis(whole, place)


def _named_sampling(lat_deg: np.ndarray, nlon: int | None) -> tuple[Sampling, np.ndarray] | None:
    """`Equiangular` or `GaussLegendre` of which these are rings, and which; None for none."""
    if nlon is None or nlon < 3:
        return None
    named = _equiangular_rings(lat_deg)
    if named is not None:
        return Equiangular(named[0].nlat, nlon, named[0].poles), named[1]
    gaussian = _gaussian_latitudes(len(lat_deg))
    order = np.argsort(-lat_deg)
    if len(lat_deg) < 2 or _far(lat_deg[order], gaussian):
        return None
    ring = np.empty(len(lat_deg), np.int64)
    ring[order] = np.arange(len(lat_deg))
    return GaussLegendre(len(lat_deg), nlon), ring


def _equiangular_rings(lat_deg: np.ndarray) -> tuple[Equiangular, np.ndarray] | None:
    """The equiangular rings among which all of these are, missing at most as many."""
    if len(lat_deg) < 2:
        return None
    step = abs(lat_deg[-1] - lat_deg[0]) / (len(lat_deg) - 1)
    order = np.argsort(-lat_deg)
    found: list[tuple[Equiangular, int]] = []
    for poles, extra in _POLES:
        nlat = round(180.0 / step + extra)
        if not max(2, len(lat_deg)) <= nlat <= 2 * len(lat_deg):
            continue
        grid = Equiangular(nlat, 3, poles)
        rings_deg = 90.0 - np.rad2deg(grid.colatitudes)
        first = int(np.abs(rings_deg - lat_deg.max()).argmin())
        candidates = rings_deg[first : first + len(lat_deg)]
        if len(candidates) == len(lat_deg) and not _far(lat_deg[order], candidates):
            found.append((grid, first))
    if not found:
        return None
    # a grid with the north pole alone is also one with both, less a row: that which is complete
    grid, first = min(found, key=lambda pair: pair[0].nlat > len(lat_deg))
    ring = np.empty(len(lat_deg), np.int64)
    ring[order] = first + np.arange(len(lat_deg))
    return grid, ring


def _far(south: np.ndarray, expected: np.ndarray) -> bool:
    """Whether some ring is not where it is expected."""
    return bool(np.abs(south - expected).max() > SHARE_OF_STEP * np.abs(np.diff(expected)).min())


@lru_cache(maxsize=8)
def _gaussian_latitudes(num: int) -> np.ndarray:
    """Latitudes of Gauss-Legendre quadrature, from north to south, in degree."""
    return np.rad2deg(np.arcsin(roots_legendre(num)[0][::-1]))
