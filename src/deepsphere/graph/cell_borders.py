r"""The borders of cells, as curves under which areas have closed forms.

The part of a cell P between the latitudes with sines s and n and between two meridians is

.. math:: -\oint_{\partial P} (\min(\max(z, s), n) - \tfrac{s + n}{2})\, d\varphi

over the part of the border between the meridians, plus half the height of the zone times the
difference of the meridians for each pole in P (Green's theorem with the area form
:math:`d\varphi\, dz`). Great circles, and the lines and hyperbolas that bound HEALPix pixels, have
closed forms of it, so that neither shapes are approximated nor polygons clipped.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.geometry import Pixels, Polygons

# A corner this near to a pole is the pole.
_POLE_RADIUS = 1e-14
# A pole on the border is told from one inside by how the border goes around it.
_CLEARLY_INSIDE = 1e-9
# Column and row of the middle of each base face, in eighths of a turn and quarters from the north.
FACE_COLUMN = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])
FACE_ROW = np.repeat([2, 3, 4], 4)


class Borders(NamedTuple):
    """Sides of cells, cut where the latitude turns, and what the cells lie within.

    Along a side the longitude is ``west`` plus an offset from 0 to ``width``, and z = sin(latitude)
    falls with the variable u = ``start + direction * offset``.

    Attributes
    ----------
    offsets
        The sides of cell i are those from offset i to offset i + 1.
    west, width
        Where the side is.
    sign
        1 where the cell lies to the north of it, -1 where to the south.
    kind
        Index in `CURVES` of what z is of u.
    start, direction
        Of the variable u.
    first, second
        Parameters of the curve.
    south, north, west_end, east_end
        Of each cell: latitudes and longitudes between which it lies.
    has_north, has_south
        Whether each cell contains a pole.
    """

    offsets: Int[np.ndarray, " offsets"]
    west: Float[np.ndarray, " sides"]
    width: Float[np.ndarray, " sides"]
    sign: Float[np.ndarray, " sides"]
    kind: Int[np.ndarray, " sides"]
    start: Float[np.ndarray, " sides"]
    direction: Float[np.ndarray, " sides"]
    first: Float[np.ndarray, " sides"]
    second: Float[np.ndarray, " sides"]
    south: Float[np.ndarray, " cells"]
    north: Float[np.ndarray, " cells"]
    west_end: Float[np.ndarray, " cells"]
    east_end: Float[np.ndarray, " cells"]
    has_north: Bool[np.ndarray, " cells"]
    has_south: Bool[np.ndarray, " cells"]


class _Curve(NamedTuple):
    """What z is of u: where it is sin(latitude), its latitude, and its integral."""

    crossing: Callable[..., np.ndarray]
    latitude: Callable[..., np.ndarray]
    integral: Callable[..., np.ndarray]


def _great_circle_crossing(latitude, sine, cosine):
    """Great circles tan(latitude) = (sine / cosine) cos(u), of an inclination."""
    ratio = np.sin(latitude) * cosine / np.maximum(np.cos(latitude) * sine, 1e-300)
    return np.arccos(np.clip(ratio, -1.0, 1.0))


def _great_circle_latitude(u, sine, cosine):
    return np.arctan2(sine * np.cos(u), cosine)


def _great_circle_integral(begin, end, sine, cosine):
    """The area between the arc and the equator, by the excess of the quadrilateral."""
    one, two = (_great_circle_latitude(u, sine, cosine) for u in (begin, end))
    half = (end - begin) / 2
    return 2 * np.arctan2(
        np.sin(half) * np.sin((one + two) / 2), np.cos(half) * np.cos((one - two) / 2)
    )


def _line_crossing(latitude, slope, height):
    """Lines z = height - slope u."""
    return (height - np.sin(latitude)) / slope


def _line_latitude(u, slope, height):
    return np.arcsin(np.clip(height - slope * u, -1.0, 1.0))


def _line_integral(begin, end, slope, height):
    return (end - begin) * (height - slope * (begin + end) / 2)


def _hyperbola_crossing(latitude, scale, pole):
    """Curves |z| = 1 - t²/3 with t = scale / |u|, u before the north and behind the south pole."""
    # 1 - |z| without cancellation
    root = np.sqrt(6.0) * np.abs(np.sin((np.pi / 2 - pole * latitude) / 2))
    return -pole * scale / np.maximum(root, 1e-300)


def _hyperbola_latitude(u, scale, pole):
    return pole * (np.pi / 2 - 2 * np.arcsin(np.minimum(scale / np.abs(u) / np.sqrt(6.0), 1.0)))


def _hyperbola_integral(begin, end, scale, pole):
    return (end - begin) * pole * (1 - scale**2 / (3 * begin * end))


GREAT_CIRCLE, LINE, HYPERBOLA = range(3)
CURVES = (
    _Curve(_great_circle_crossing, _great_circle_latitude, _great_circle_integral),
    _Curve(_line_crossing, _line_latitude, _line_integral),
    _Curve(_hyperbola_crossing, _hyperbola_latitude, _hyperbola_integral),
)


def polygon_borders(cells: Polygons) -> Borders:
    """The borders of polygons.

    Parameters
    ----------
    cells
        Bounded by great circles.

    Returns
    -------
    Borders

    Examples
    --------
    >>> from deepsphere.geometry import convex_polygons
    >>> octant = polygon_borders(convex_polygons(np.eye(3)[None]))
    >>> octant.has_north.tolist(), octant.north.round(6).tolist()
    ([False], [1.570796])
    """
    offsets, corners = _without_double_poles(cells)
    counts = np.diff(offsets)
    cell = np.repeat(np.arange(len(counts)), counts)
    preceding, following = _neighbors_around(offsets)
    ends = corners[following]
    is_pole = are_poles(corners)
    delta = np.arctan2(
        corners[:, 0] * ends[:, 1] - corners[:, 1] * ends[:, 0],
        corners[:, 0] * ends[:, 0] + corners[:, 1] * ends[:, 1],
    )
    delta[is_pole | is_pole[following]] = 0.0
    lon = np.arctan2(corners[:, 1], corners[:, 0])
    turn = np.zeros(len(lon))
    change = (lon[following] - lon[preceding])[is_pole]
    # counter-clockwise around the cell is westward at the north pole, eastward at the south pole
    west, east = -np.mod(-change, 2 * np.pi), np.mod(change, 2 * np.pi)
    turn[is_pole] = np.where(corners[is_pole, 2] > 0, west, east)
    # a corner at a pole has the longitude of the side that ends there
    lon[is_pole] = lon[preceding[is_pole]]
    sides = _great_circle_sides(cell, lon, delta, corners, ends)
    at_pole = np.flatnonzero(is_pole)
    turns = _pole_sides(cell[at_pole], lon[at_pole], turn[at_pole], corners[at_pole, 2])
    sides = [np.concatenate(parts) for parts in zip(*sides, *turns, strict=False)]
    west_end, east_end = _longitudes(offsets, lon, turn, delta)
    winding = np.rint(np.add.reduceat(turn + delta, offsets[:-1]) / (2 * np.pi)).astype(int)
    # a cell that goes around neither pole holds none, or both
    inward = cells.normals[:, 2] / np.maximum(np.linalg.norm(cells.normals, axis=1), 1e-300)
    has_both = np.minimum.reduceat(inward, cells.offsets[:-1]) > _CLEARLY_INSIDE
    has_both |= np.maximum.reduceat(inward, cells.offsets[:-1]) < -_CLEARLY_INSIDE
    has_both &= winding == 0
    has_north, has_south = (winding > 0) | has_both, (winding < 0) | has_both
    borders = _assembled(len(counts), sides, west_end, east_end)
    whole = has_north | has_south
    return borders._replace(
        south=np.where(has_south, -np.pi / 2, borders.south),
        north=np.where(has_north, np.pi / 2, borders.north),
        west_end=np.where(whole, 0.0, west_end),
        east_end=np.where(whole, 2 * np.pi, east_end),
        has_north=has_north,
        has_south=has_south,
    )


def pixel_borders(cells: Pixels) -> Borders:
    """The borders of HEALPix pixels, whose sides are straight in longitude and z or hyperbolas.

    Parameters
    ----------
    cells
        Pixels.

    Returns
    -------
    Borders

    Examples
    --------
    >>> first = np.zeros(1, np.int64)
    >>> base = pixel_borders(Pixels(1, first, first, first))
    >>> base.south.tolist(), base.north.round(6).tolist()
    ([0.0], [1.570796])

    References
    ----------
    Gorski et al. (2005), HEALPix, section 5.2.
    """
    num = len(cells.face)
    x, y = (np.stack([part, part + 1]) / cells.nside for part in (cells.x, cells.y))
    around = ((0, 0), (1, 0), (1, 1), (0, 1))
    points = [_face_point(cells.face, x[i], y[j]) for i, j in around]
    cell, quarter = np.arange(num), np.pi / 4
    parts = []
    for side in range(4):
        (lon, row), (next_lon, next_row) = points[side], points[(side + 1) % 4]
        along_x = side % 2 == 0
        # a side that ends at a pole is a meridian, whatever longitude the pole is given
        meets_pole = (np.minimum(row, next_row) == 0) | (np.maximum(row, next_row) == 4)
        fixed = (y[0], x[1], y[1], x[0])[side]
        is_meridian = ((row + next_row < 2) & (fixed == 1)) | ((row + next_row > 6) & (fixed == 0))
        delta = np.where(meets_pole | is_meridian, 0.0, next_lon - lon)
        middle = (row + next_row) / 2
        pole = np.where(middle < 2, 1.0, -1.0)
        in_cap = np.abs(middle - 2) > 1
        # where the hyperbola goes to the pole, and how far from there it is
        toward = np.where(along_x, -1.0, 1.0) * pole
        at = quarter * (FACE_COLUMN[cells.face] + toward)
        reach = 2 * quarter * np.where(pole > 0, 1 - fixed, fixed)
        west = np.minimum(lon, next_lon)
        line_start = np.zeros(num)
        falls_east = np.where(delta > 0, next_row > row, row > next_row)
        direction = np.where(falls_east, 1.0, -1.0)
        slope = np.full(num, 8 / (3 * np.pi))
        height = 2 / 3 * (2 - np.where(delta > 0, row, next_row))
        distance = np.abs(west - at)
        # u is -|lon - at| in the north and |lon - at| in the south
        start = np.where(in_cap, -pole * distance, line_start)
        side_of = np.where(west + np.abs(delta) / 2 > at, 1.0, -1.0)
        direction = np.where(in_cap, -pole * side_of, direction)
        kind = np.where(in_cap, HYPERBOLA, LINE)
        sign = np.sign(delta)
        parts.append(
            (
                cell,
                west,
                np.abs(delta),
                sign,
                kind,
                start,
                direction,
                np.where(in_cap, reach, slope),
                np.where(in_cap, pole, height),
            )
        )
    for corner, pole in ((2, 1.0), (0, -1.0)):
        row = points[corner][1]
        at_pole = np.flatnonzero(row == (0.0 if pole > 0 else 4.0))
        west = quarter * (FACE_COLUMN[cells.face[at_pole]] - 1)
        eastern = west + 2 * quarter
        lon = eastern if pole > 0 else west
        turn = np.full(len(at_pole), -pole * 2 * quarter)
        parts.extend(_pole_sides(at_pole, lon, turn, np.full(len(at_pole), pole)))
    sides = [np.concatenate(values) for values in zip(*parts, strict=True)]
    sides = [values[sides[2] > 0] for values in sides]
    ends = np.stack([lon for lon, _ in points])
    west_end, east_end = ends.min(axis=0), ends.max(axis=0)
    return _assembled(num, sides, west_end, east_end)


def _face_point(face: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude of a point of a base face, and its row: 0 at the north pole, 4 at the south."""
    row = FACE_ROW[face] - x - y
    size = np.clip(np.minimum(row, 4 - row), None, 1.0)
    # all longitudes meet at a pole; the sides that end there are meridians
    lon = np.pi / 4 * (FACE_COLUMN[face] + (x - y) / np.where(size > 0, size, 1.0))
    return lon, row


def are_poles(corners: np.ndarray) -> np.ndarray:
    """Which points are a pole."""
    return np.hypot(corners[:, 0], corners[:, 1]) < _POLE_RADIUS


def _neighbors_around(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corner before and the corner after each, around its cell."""
    index = np.arange(offsets[-1])
    preceding, following = index - 1, index + 1
    preceding[offsets[:-1]], following[offsets[1:] - 1] = offsets[1:] - 1, offsets[:-1]
    return preceding, following


def _without_double_poles(cells: Polygons) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and corners where no corner at a pole follows another one."""
    preceding, _ = _neighbors_around(cells.offsets)
    is_pole = are_poles(cells.corners)
    kept = ~(is_pole & is_pole[preceding])
    offsets = np.concatenate(
        [[0], np.cumsum(np.add.reduceat(kept.astype(int), cells.offsets[:-1]))]
    )
    return offsets, cells.corners[kept]


def _great_circle_sides(cell, lon, delta, corners, ends) -> list[tuple]:
    """The sides of polygons, each cut in two at its turning point."""
    eastward = delta > 0
    west = np.where(eastward, lon, lon + delta)
    one = np.where(eastward[:, None], corners, ends)
    two = np.where(eastward[:, None], ends, corners)
    normal = np.cross(one, two - one)
    horizontal = np.hypot(normal[:, 0], normal[:, 1])
    length = np.maximum(np.hypot(horizontal, normal[:, 2]), 1e-300)
    top = np.arctan2(-normal[:, 1], -normal[:, 0])
    sine, cosine = horizontal / length, np.abs(normal[:, 2]) / length
    begin = np.mod(west - top + np.pi, 2 * np.pi) - np.pi
    width = np.abs(delta)
    # where the latitude turns, from the western end: at the top or at the bottom of the circle
    turning = np.where(begin < 0, -begin, np.pi - begin)
    parts = []
    for is_beyond, first, last in (
        (False, np.zeros_like(width), np.minimum(width, turning)),
        (True, turning, width),
    ):
        kept = np.flatnonzero(last > first)
        from_top = begin[kept] < 0 if is_beyond else begin[kept] >= 0
        at_turn = np.where(from_top, 0.0, np.pi)
        start = at_turn if is_beyond else np.abs(begin[kept])
        parts.append(
            (
                cell[kept],
                west[kept] + first[kept],
                (last - first)[kept],
                np.where(eastward, 1.0, -1.0)[kept],
                np.full(len(kept), GREAT_CIRCLE),
                start,
                np.where(from_top, 1.0, -1.0),
                sine[kept],
                cosine[kept],
            )
        )
    return parts


def _pole_sides(cell, lon, turn, pole) -> list[tuple]:
    """Sides of no length at a pole, in two halves: the top or the bottom of a meridian circle."""
    num, half = len(cell), np.abs(turn) / 2
    west = np.minimum(lon, lon + turn)
    north, upright = pole > 0, (np.ones(num), np.zeros(num))
    common = (np.sign(turn), np.full(num, GREAT_CIRCLE))
    zero = np.zeros(num)
    return [
        (
            *(cell, west, half, *common),
            np.where(north, half, np.pi - half),
            np.where(north, -1.0, 1.0),
            *upright,
        ),
        (
            *(cell, west + half, half, *common),
            np.where(north, zero, np.pi),
            np.where(north, 1.0, -1.0),
            *upright,
        ),
    ]


def _longitudes(
    offsets: np.ndarray, lon: np.ndarray, turn: np.ndarray, delta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest longitude of each cell, counted around its border."""
    first, counts = offsets[:-1], np.diff(offsets)
    total = np.cumsum(turn + delta)
    before = np.repeat(total[first] - (turn + delta)[first], counts)
    after = np.repeat(lon[first], counts) + total - before
    middle = after - delta
    west = np.minimum.reduceat(np.minimum(after, middle), first)
    east = np.maximum.reduceat(np.maximum(after, middle), first)
    return np.minimum(west, lon[first]), np.maximum(east, lon[first])


def _assembled(
    num: int, sides: list[np.ndarray], west_end: np.ndarray, east_end: np.ndarray
) -> Borders:
    """Borders of sides in any order, with the latitudes that they reach."""
    order = np.argsort(sides[0], kind="stable")
    cell, *rest = (values[order] for values in sides)
    west, width, sign, kind, start, direction, first, second = rest
    south, north = np.full(num, np.pi / 2), np.full(num, -np.pi / 2)
    for number, curve in enumerate(CURVES):
        some = np.flatnonzero(kind == number)
        for offset in (np.zeros(len(some)), width[some]):
            u = start[some] + direction[some] * offset
            latitude = curve.latitude(u, first[some], second[some])
            np.minimum.at(south, cell[some], latitude)
            np.maximum.at(north, cell[some], latitude)
    offsets = np.searchsorted(cell, np.arange(num + 1))
    none = np.zeros(num, bool)
    return Borders(
        offsets=offsets,
        west=west,
        width=width,
        sign=sign,
        kind=kind,
        start=start,
        direction=direction,
        first=first,
        second=second,
        south=south,
        north=north,
        west_end=west_end,
        east_end=east_end,
        has_north=none,
        has_south=none,
    )
