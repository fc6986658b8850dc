"""The areas that cells have in common with rectangles of latitude and longitude, in closed form."""

import numpy as np
from jaxtyping import Float, Int

from deepsphere.geometry import Rectangles
from deepsphere.graph.cell_borders import CURVES, Borders

_TURN = 2 * np.pi
# Sides of cells that are worked on at once, each beside one rectangle.
_SIDES_PER_BLOCK = 2**19
# Cells are looked up with this margin, so that rounding hides no neighbor; radian.
_MARGIN = 1e-9

Overlaps = tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]


def border_overlaps(
    borders: Borders, rectangles: Rectangles, kept: Int[np.ndarray, " kept"]
) -> Overlaps:
    """Common areas of cells of any shape and rectangles.

    Parameters
    ----------
    borders
        Of the cells.
    rectangles
        All rectangles of a sphere.
    kept
        The cells that are wanted.

    Returns
    -------
    cell, rectangle, area
        Of the pairs that may overlap, in steradian.

    Examples
    --------
    >>> from deepsphere.geometry import Polygons, convex_polygons
    >>> from deepsphere.graph.cell_borders import polygon_borders
    >>> from deepsphere.sampling import Equiangular
    >>> octant = polygon_borders(convex_polygons(np.eye(3)[None]))
    >>> areas = border_overlaps(octant, Equiangular(4, 6).cells(), np.arange(1))[2]
    >>> round(float(areas.sum() / np.pi), 12)
    0.5
    """
    cell, rectangle = _pairs(
        borders.south[kept],
        borders.north[kept],
        borders.west_end[kept],
        borders.east_end[kept] - borders.west_end[kept],
        rectangles=rectangles,
    )
    cell = kept[cell]
    areas = np.empty(len(cell))
    sides = np.cumsum(np.diff(borders.offsets)[cell])
    start = 0
    while start < len(cell):
        reached = sides[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(sides, reached + _SIDES_PER_BLOCK)))
        block = slice(start, stop)
        areas[block] = _border_areas(borders, cell[block], rectangles, rectangle[block])
        start = stop
    return cell, rectangle, areas


def rectangle_overlaps(
    cells: Rectangles, rectangles: Rectangles, kept: Int[np.ndarray, " kept"]
) -> Overlaps:
    """Common areas of rectangles of two grids.

    Parameters
    ----------
    cells, rectangles
        All rectangles of a sphere, each.
    kept
        The rectangles of the first that are wanted.

    Returns
    -------
    cell, rectangle, area
        Of the pairs that may overlap, in steradian.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> grids = Equiangular(4, 6).cells(), Equiangular(3, 5).cells()
    >>> areas = rectangle_overlaps(*grids, np.arange(24))[2]
    >>> round(float(areas.sum() / np.pi), 12)
    4.0
    """
    part = Rectangles(*(values[kept] for values in cells))
    one, two = _pairs(part.south, part.north, part.west, part.width, rectangles=rectangles)
    south = np.maximum(part.south[one], rectangles.south[two])
    north = np.maximum(south, np.minimum(part.north[one], rectangles.north[two]))
    offset = np.mod(part.west[one] - rectangles.west[two], _TURN)
    end = offset + part.width[one]
    width = rectangles.width[two]
    # once around, the second may begin again
    common = np.maximum(np.minimum(end, width) - offset, 0.0)
    common += np.maximum(np.minimum(end - _TURN, width), 0.0)
    return kept[one], two, _heights(south, north) * common


def _heights(south: np.ndarray, north: np.ndarray) -> np.ndarray:
    """sin(north) − sin(south), without cancellation."""
    return 2 * np.cos((north + south) / 2) * np.sin((north - south) / 2)


def _pairs(
    south: Float[np.ndarray, " cells"],
    north: Float[np.ndarray, " cells"],
    west: Float[np.ndarray, " cells"],
    width: Float[np.ndarray, " cells"],
    *,
    rectangles: Rectangles,
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Pairs of cells, given by what they lie within, and rectangles that may overlap."""
    zone_south, zone = np.unique(rectangles.south, return_inverse=True)
    zone_north = np.maximum.reduceat(
        rectangles.north[np.argsort(zone, kind="stable")],
        np.searchsorted(np.sort(zone), np.arange(len(zone_south))),
    )
    first = np.searchsorted(zone_north, south - _MARGIN)
    last = np.searchsorted(zone_south, north + _MARGIN)
    cell, zones = expand_ranges(first, last)
    # the rectangles of a zone from west to east, twice around, one zone after the other
    begin = np.mod(rectangles.west, _TURN)
    order = np.lexsort((begin, zone))
    counts = np.bincount(zone, minlength=len(zone_south))
    starts = np.cumsum(counts) - counts
    pace = 3 * _TURN
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    twice = np.empty(2 * len(order))
    place = 2 * np.repeat(starts, counts) + rank
    key = pace * zone[order] + begin[order]
    twice[place], twice[place + np.repeat(counts, counts)] = key, key + _TURN
    lon = np.mod(west[cell] - _MARGIN, _TURN) + pace * zones
    length = np.minimum(width[cell] + 2 * _MARGIN, _TURN)
    entered = np.searchsorted(twice, lon, side="right") - 1 - 2 * starts[zones]
    left = np.searchsorted(twice, lon + length, side="left") - 2 * starts[zones]
    # before the first is the last
    left = np.minimum(left, entered + counts[zones])
    pair, step = expand_ranges(entered, left)
    in_zone = zones[pair]
    return cell[pair], order[starts[in_zone] + step % counts[in_zone]]


def expand_ranges(
    first: Int[np.ndarray, " rows"], last: Int[np.ndarray, " rows"]
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Rows repeated, and beside them the integers from first to before last of each."""
    counts = np.maximum(last - first, 0)
    rows = np.repeat(np.arange(len(first)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + first[rows]


def _border_areas(
    borders: Borders,
    cell: Int[np.ndarray, " pairs"],
    rectangles: Rectangles,
    rectangle: Int[np.ndarray, " pairs"],
) -> Float[np.ndarray, " pairs"]:
    """Common areas of pairs."""
    pair, side = expand_ranges(borders.offsets[cell], borders.offsets[cell + 1])
    south, north = rectangles.south[rectangle], rectangles.north[rectangle]
    half_height = _heights(south, north) / 2
    offset = np.mod(borders.west[side] - rectangles.west[rectangle[pair]], _TURN)
    width, end = rectangles.width[rectangle[pair]], offset + borders.width[side]
    # the parts of a side in the rectangle, on the way around and after it
    one = np.flatnonzero(offset < np.minimum(end, width))
    two = np.flatnonzero(end > _TURN)
    begin = np.concatenate([np.zeros(len(one)), _TURN - offset[two]])
    stop = np.concatenate(
        [
            np.minimum(end, width)[one] - offset[one],
            np.minimum(end, width + _TURN)[two] - offset[two],
        ]
    )
    some = np.concatenate([one, two])
    pair, side = pair[some], side[some]
    num_poles = borders.has_north[cell].astype(int) + borders.has_south[cell]
    areas = half_height * rectangles.width[rectangle] * num_poles
    for kind, curve in enumerate(CURVES):
        at = np.flatnonzero(borders.kind[side] == kind)
        on, of = side[at], pair[at]
        ends = [borders.start[on] + borders.direction[on] * place[at] for place in (begin, stop)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        parameters = borders.first[on], borders.second[on]
        # above the zone, within it, below it
        enters = np.clip(curve.crossing(north[of], *parameters), low, high)
        leaves = np.clip(curve.crossing(south[of], *parameters), low, high)
        leaves = np.maximum(leaves, enters)
        middle = (np.sin(north[of]) + np.sin(south[of])) / 2
        within = curve.integral(enters, leaves, *parameters) - middle * (leaves - enters)
        outside = half_height[of] * ((enters - low) - (high - leaves))
        value = borders.sign[on] * (within + outside)
        areas -= np.bincount(of, value, minlength=len(areas))
    return areas
