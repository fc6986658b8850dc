r"""Sides of polygons in the squares of the HEALPix base faces.

A base face is mapped to the unit square with areas kept up to a factor: with the row t (0 at the
north pole, 1 to 3 in the belt around the equator, 4 at the south pole) and the longitude
:math:`\varphi` from the middle of the face,

.. math:: x + y = F - t, \quad x - y = \tfrac{4}{\pi} \varphi \min(t, 1, 4 - t),

where F is 2, 3 or 4 for the three rows of faces. The formulas reach beyond the square, over the
whole sphere but for the meridian opposite to the face. Along a great circle
:math:`\int y \, dx` has a closed form; where it crosses a line of the grid is a root to be found.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NORTH, BELT, SOUTH = range(3)
# The latitude between the belt and a cap has this sine.
_CAP = 2 / 3
# Sides are cut so that x and y turn at most once in each piece; radian.
_LONGEST = 0.25
_NUM_BISECTIONS = 60
_NUM_SECANTS = 100


class Paths(NamedTuple):
    """Pieces of great circles in the frame of a face: from a share to another one of a chord.

    Attributes
    ----------
    chart
        Which cell in which face a piece belongs to.
    one, two
        Ends of the chord, turned so that the middle of the face has longitude 0.
    row
        F of the face.
    begin, end
        Shares of the chord.
    """

    chart: Int[np.ndarray, " pieces"]
    one: Float[np.ndarray, "pieces 3"]
    two: Float[np.ndarray, "pieces 3"]
    row: Float[np.ndarray, " pieces"]
    begin: Float[np.ndarray, " pieces"]
    end: Float[np.ndarray, " pieces"]

    def take(self, index: np.ndarray) -> "Paths":
        """Some of the pieces, or all of them again."""
        return Paths(*(values[index] for values in self))


class Places(NamedTuple):
    """Points of paths in the frame of a face.

    Attributes
    ----------
    lon, sine
        Longitude from the middle of the face, and sine of the latitude.
    size
        min(t, 1, 4 - t) of the row t.
    along, across
        x + y and x - y.
    """

    lon: np.ndarray
    sine: np.ndarray
    size: np.ndarray
    along: np.ndarray
    across: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """To the north-east."""
        return (self.along + self.across) / 2

    @property
    def y(self) -> np.ndarray:
        """To the north-west."""
        return (self.along - self.across) / 2


def region_and_side(paths: Paths) -> tuple[np.ndarray, np.ndarray]:
    """Cap or belt of each piece, and 1 if it is east of the middle of the face, -1 if west.

    Parameters
    ----------
    paths
        Cut by `cut_paths`.

    Returns
    -------
    region
        `NORTH`, `BELT` or `SOUTH`.
    side

    Examples
    --------
    >>> end = np.array([[0.0, 0.6, 0.8]])
    >>> zero, one = np.zeros(1), np.ones(1)
    >>> region_and_side(Paths(np.zeros(1, int), end, end, 2 * one, zero, one))
    (array([0]), array([1.]))
    """
    middle = _chord(paths, (paths.begin + paths.end) / 2)
    sine = middle[:, 2] / np.linalg.norm(middle, axis=1)
    region = np.where(sine > _CAP, NORTH, np.where(sine < -_CAP, SOUTH, BELT))
    return region, np.where(middle[:, 1] < 0, -1.0, 1.0)


def places(paths: Paths, share: np.ndarray, region: np.ndarray, side: np.ndarray) -> Places:
    """The points at shares of the chords.

    Parameters
    ----------
    paths
        Cut by `cut_paths`.
    share
        One for each piece.
    region, side
        Of `region_and_side`.

    Returns
    -------
    Places

    Examples
    --------
    >>> middle = np.array([[1.0, 0.0, 0.0]])  # of a face at the equator
    >>> zero, one = np.zeros(1), np.ones(1)
    >>> path = Paths(np.zeros(1, int), middle, middle, 3 * one, zero, one)
    >>> place = places(path, zero, *region_and_side(path))
    >>> place.x, place.y
    (array([0.5]), array([0.5]))
    """
    point = _chord(paths, share)
    length = np.linalg.norm(point, axis=1)
    flat = np.hypot(point[:, 0], point[:, 1])
    sine = point[:, 2] / length
    lon = side * np.arctan2(np.abs(point[:, 1]), point[:, 0])
    # √(3 (1 − |z|)) without cancellation
    cap = np.sqrt(3 / (1 + np.abs(sine))) * flat / length
    size = np.where(region == BELT, 1.0, cap)
    row = np.where(region == BELT, 2 - 1.5 * sine, np.where(region == NORTH, cap, 4 - cap))
    return Places(lon, sine, size, paths.row - row, 4 / np.pi * lon * size)


def integrals(start: Places, stop: Places, region: np.ndarray) -> np.ndarray:
    """∫ (y − y of the start) dx along pieces of great circles.

    Parameters
    ----------
    start, stop
        The ends of the pieces.
    region
        Of `region_and_side`.

    Returns
    -------
    Signed areas in the square of the face.

    Examples
    --------
    >>> ends = (np.array([[1.0, -0.1, 0.0]]), np.array([[1.0, 0.1, 0.0]]))
    >>> path = cut_paths(Paths(np.zeros(1, int), *ends, np.full(1, 3.0), np.zeros(1), np.ones(1)))
    >>> where = region_and_side(path)
    >>> start, stop = (places(path, share, *where) for share in (path.begin, path.end))
    >>> bool(np.allclose(integrals(start, stop, where[0]), -((stop.x - start.x) ** 2) / 2))
    True
    """
    delta = stop.lon - start.lon
    one, two = (np.arctan2(p.sine, np.sqrt((1 - p.sine) * (1 + p.sine))) for p in (start, stop))
    # ∫ sin(latitude) d(longitude)
    below = 2 * np.arctan2(
        np.sin(delta / 2) * np.sin((one + two) / 2), np.cos(delta / 2) * np.cos((one - two) / 2)
    )
    along, across = stop.along - start.along, stop.across - start.across
    quarter = 4 / np.pi
    belt = quarter * 1.5 * (below - start.sine * delta)
    product = stop.across * stop.size - start.across * start.size
    cap = np.where(region == NORTH, delta - below, delta + below)
    # ∫ (size − size of the start) d(across)
    swept = product / 2 + 1.5 * quarter * cap - start.size * across
    turned = np.where(region == BELT, belt, np.where(region == NORTH, -swept, swept))
    return (along**2 - across**2) / 8 + (2 * turned - along * across) / 4


def cut_paths(paths: Paths) -> Paths:
    """The pieces, cut where a formula of them changes or x or y turns.

    Parameters
    ----------
    paths
        Whole sides, less than half a turn long.

    Returns
    -------
    Paths
        In the order along the sides.

    Examples
    --------
    >>> ends = (np.array([[1.0, 0.0, -1.0]]), np.array([[1.0, 0.0, 1.0]])) / np.sqrt(2)
    >>> side = Paths(np.zeros(1, int), *ends, np.full(1, 3.0), np.zeros(1), np.ones(1))
    >>> sorted(set(region_and_side(cut_paths(side))[0].tolist()))
    [0, 1, 2]
    """
    y_one, y_two = paths.one[:, 1], paths.two[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(y_one * y_two < 0, y_one / (y_one - y_two), np.nan)
        chord = paths.two - paths.one
        slope, square = np.sum(paths.one * chord, axis=1), np.sum(chord**2, axis=1)
        top = -(chord[:, 2] - paths.one[:, 2] * slope) / (
            chord[:, 2] * slope - paths.one[:, 2] * square
        )
    paths = _cut(paths, np.stack([middle, top], axis=1))
    sines = [_sine(paths, share) for share in (paths.begin, paths.end)]
    roots = []
    for level in (_CAP, -_CAP):
        crosses = np.flatnonzero((sines[0] > level) != (sines[1] > level))
        root = np.full(len(paths.chart), np.nan)
        some = paths.take(crosses)
        root[crosses] = _bisected(lambda share, p=some, z=level: _sine(p, share) - z, some)
        roots.append(root)
    paths = _cut(paths, np.stack(roots, axis=1))
    paths = _shortened(paths)
    region, side = region_and_side(paths)
    roots = []
    for sign in (1.0, -1.0):
        ends = [_turning(paths, s, region, side, sign) for s in (paths.begin, paths.end)]
        turns = np.flatnonzero((ends[0] > 0) != (ends[1] > 0))
        root = np.full(len(paths.chart), np.nan)
        some = paths.take(turns)

        def turning(share, p=some, r=region[turns], e=side[turns], sign=sign):
            return _turning(p, share, r, e, sign)

        root[turns] = _bisected(turning, some)
        roots.append(root)
    return _cut(paths, np.stack(roots, axis=1))


def crossings(
    paths: Paths,
    region: np.ndarray,
    side: np.ndarray,
    level: np.ndarray,
    *,
    is_x: bool,
) -> Float[np.ndarray, " pieces"]:
    """Shares at which x, or y, takes a value between those at the ends of each piece.

    Parameters
    ----------
    paths, region, side
        Of `cut_paths` and `region_and_side`.
    level
        The value for each piece.
    is_x
        Which of the two.

    Returns
    -------
    Shares of the chords, to rounding.

    Examples
    --------
    >>> ends = (np.array([[1.0, -0.1, 0.0]]), np.array([[1.0, 0.1, 0.0]]))
    >>> path = cut_paths(Paths(np.zeros(1, int), *ends, np.full(1, 3.0), np.zeros(1), np.ones(1)))
    >>> where, level = region_and_side(path), np.array([0.45, 0.55])
    >>> places(path, crossings(path, *where, level, is_x=True), *where).x.round(12).tolist()
    [0.45, 0.55]
    """

    def height(share: np.ndarray) -> np.ndarray:
        place = places(paths, share, region, side)
        return (place.x if is_x else place.y) - level

    low, high = paths.begin.copy(), paths.end.copy()
    low_value, high_value = height(low), height(high)
    share = low
    # false position, with the value of an end that stays halved (Illinois)
    last = np.zeros(len(low))
    for _ in range(_NUM_SECANTS):
        span = high_value - low_value
        share = np.where(
            span == 0, low, low - low_value * (high - low) / np.where(span == 0, 1.0, span)
        )
        share = np.clip(share, low, high)
        value = height(share)
        is_low = (value > 0) == (low_value > 0)
        done = (np.abs(value) < 1e-16) | (high - low < 4e-16)
        if done.all():
            break
        halves_high, halves_low = is_low & (last > 0), ~is_low & (last < 0)
        low, low_value = np.where(is_low, share, low), np.where(is_low, value, low_value)
        high, high_value = np.where(is_low, high, share), np.where(is_low, high_value, value)
        high_value = np.where(halves_high, high_value / 2, high_value)
        low_value = np.where(halves_low, low_value / 2, low_value)
        last = np.where(is_low, 1.0, -1.0)
    return share


def _chord(paths: Paths, share: np.ndarray) -> np.ndarray:
    return (1 - share)[:, None] * paths.one + share[:, None] * paths.two


def _sine(paths: Paths, share: np.ndarray) -> np.ndarray:
    point = _chord(paths, share)
    return point[:, 2] / np.linalg.norm(point, axis=1)


def _turning(
    paths: Paths, share: np.ndarray, region: np.ndarray, side: np.ndarray, sign: float
) -> np.ndarray:
    """The derivative of twice x (sign 1) or y (sign -1) along the chord, up to its scale."""
    point, chord = _chord(paths, share), paths.two - paths.one
    square = np.sum(point**2, axis=1)
    flat = np.maximum(point[:, 0] ** 2 + point[:, 1] ** 2, 1e-300)
    lon = (point[:, 0] * chord[:, 1] - point[:, 1] * chord[:, 0]) / flat
    sine = (chord[:, 2] * square - point[:, 2] * np.sum(point * chord, axis=1)) / square**1.5
    place = places(paths, share, region, side)
    row = -1.5 * sine / np.maximum(place.size, 1e-150)
    size = np.where(region == BELT, 0.0, np.where(region == NORTH, row, -row))
    return -row + sign * 4 / np.pi * (lon * place.size + place.lon * size)


def _bisected(function, paths: Paths) -> np.ndarray:
    """The share between the ends of pieces at which a function changes its sign."""
    low, high = paths.begin.copy(), paths.end.copy()
    sign = function(low) > 0
    for _ in range(_NUM_BISECTIONS if len(low) else 0):
        middle = (low + high) / 2
        is_low = (function(middle) > 0) == sign
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


def _cut(paths: Paths, roots: Float[np.ndarray, "pieces roots"]) -> Paths:
    """The pieces cut at shares inside of them; others, and NaN, are ignored."""
    begin, end = paths.begin[:, None], paths.end[:, None]
    with np.errstate(invalid="ignore"):
        inner = np.where((roots > begin) & (roots < end), roots, begin)
    bounds = np.concatenate([begin, np.sort(inner, axis=1), end], axis=1)
    piece, part = np.nonzero(bounds[:, 1:] > bounds[:, :-1])
    cut = paths.take(piece)
    return cut._replace(begin=bounds[piece, part], end=bounds[piece, part + 1])


def _shortened(paths: Paths) -> Paths:
    """The pieces in equal parts that are short, in longitude too."""
    one, two = _chord(paths, paths.begin), _chord(paths, paths.end)
    delta = np.abs(
        np.arctan2(
            one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0],
            one[:, 0] * two[:, 0] + one[:, 1] * two[:, 1],
        )
    )
    straight = np.linalg.norm(two - one, axis=1)
    num = np.maximum(np.ceil(np.maximum(delta, straight) / _LONGEST), 1).astype(int)
    piece = np.repeat(np.arange(len(num)), num)
    rank = np.arange(len(piece)) - np.repeat(np.cumsum(num) - num, num)
    many = paths.take(piece)
    step = (many.end - many.begin) / num[piece]
    end = np.where(rank + 1 == num[piece], many.end, many.begin + (rank + 1) * step)
    return many._replace(begin=many.begin + rank * step, end=end)
