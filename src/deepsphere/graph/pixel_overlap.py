"""The areas that HEALPix pixels have in common with each other and with polygons."""

import numpy as np
from jaxtyping import Int

from deepsphere.geometry import Pixels, Polygons
from deepsphere.graph.cell_borders import (
    FACE_COLUMN,
    FACE_ROW,
    Borders,
    are_poles,
    polygon_borders,
)
from deepsphere.graph.face_paths import (
    Paths,
    Places,
    crossings,
    cut_paths,
    integrals,
    places,
    region_and_side,
)
from deepsphere.graph.rectangle_overlap import Overlaps, expand_ranges

_NUM_FACES = 12
# Sides of polygons that are worked on at once.
_SIDES_PER_BLOCK = 2**17
# Faces are looked up with this margin, so that rounding hides none; radian.
_MARGIN = 1e-9


def pixel_overlaps(one: Pixels, two: Pixels) -> Overlaps:
    """Common areas of the pixels of two resolutions, in any order and of any nside.

    The base faces are mapped to squares with areas kept, and pixels are squares in them.

    Parameters
    ----------
    one, two
        All pixels of a sphere, each.

    Returns
    -------
    one, two, area
        Of the pairs that overlap, in steradian.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> areas = pixel_overlaps(Healpix(2).cells(), Healpix(3, ordering="ring").cells())[2]
    >>> len(areas), round(float(areas.sum() / np.pi), 12)
    (192, 4.0)
    """
    first, second = one.nside, two.nside
    edges = np.unique(
        np.concatenate([np.arange(first + 1) * second, np.arange(second + 1) * first])
    )
    begin, length = edges[:-1], np.diff(edges) / (first * second)
    i, j = begin // second, begin // first
    x, y = (part.ravel() for part in np.meshgrid(np.arange(len(begin)), np.arange(len(begin))))
    area = np.pi / 3 * length[x] * length[y]
    cell, other = _index(one), _index(two)
    shift = np.arange(_NUM_FACES)[:, None]
    rows = cell[shift * first**2 + i[y] * first + i[x]]
    columns = other[shift * second**2 + j[y] * second + j[x]]
    return rows.ravel(), columns.ravel(), np.tile(area, _NUM_FACES)


def _index(pixels: Pixels) -> np.ndarray:
    """The pixel of each square, numbered face by face, row by row."""
    index = np.empty(len(pixels.face), np.int64)
    index[(pixels.face * pixels.nside + pixels.y) * pixels.nside + pixels.x] = np.arange(len(index))
    return index


def polygon_pixel_overlaps(
    polygons: Polygons, pixels: Pixels, kept: Int[np.ndarray, " kept"]
) -> Overlaps:
    r"""Common areas of polygons and the pixels of HEALPix.

    In the square of a face, the part of a polygon P in a pixel is
    :math:`-\tfrac{\pi}{3} \oint_{\partial P} (\min(\max(y, y_0), y_1) - y_0)\, dx` over the part of
    the border with x in the pixel. Sides are cut where they cross the lines of the grid; each part
    so belongs to a pixel, and to all pixels below it with their full height.

    Parameters
    ----------
    polygons
        Of a sphere.
    pixels
        All pixels of a sphere.
    kept
        The polygons that are wanted.

    Returns
    -------
    polygon, pixel, area
        In steradian. A pair may come several times, and its areas are to be added.

    Examples
    --------
    >>> from deepsphere.geometry import convex_polygons
    >>> from deepsphere.sampling import Healpix
    >>> octant = convex_polygons(np.eye(3)[None])
    >>> areas = polygon_pixel_overlaps(octant, Healpix(4).cells(), np.arange(1))[2]
    >>> round(float(areas.sum() / np.pi), 12)
    0.5
    """
    borders = polygon_borders(polygons)
    cell, face = _touched_faces(borders, kept)
    counts = np.diff(polygons.offsets)[cell]
    reached = np.cumsum(counts)
    parts, start = [], 0
    while start < len(cell):
        before = reached[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(reached, before + _SIDES_PER_BLOCK)))
        block = slice(start, stop)
        parts.append(_face_overlaps(polygons, borders, cell[block], face[block], pixels.nside))
        start = stop
    rows, squares, areas = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, _index(pixels)[squares], areas


def _touched_faces(borders: Borders, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of cells and base faces that may overlap."""
    middle = np.pi / 4 * FACE_COLUMN
    edge = np.arcsin(2 / 3)
    south = np.repeat([0.0, -edge, -np.pi / 2], 4)
    north = -south[::-1]
    width = (borders.east_end - borders.west_end)[kept, None]
    from_west = np.mod(borders.west_end[kept, None] - (middle - np.pi / 4), 2 * np.pi)
    meets = (from_west <= np.pi / 2 + _MARGIN) | (from_west + width >= 2 * np.pi - _MARGIN)
    meets &= borders.south[kept, None] <= north + _MARGIN
    meets &= borders.north[kept, None] >= south - _MARGIN
    cell, face = np.nonzero(meets)
    return kept[cell], face


def _face_overlaps(
    polygons: Polygons, borders: Borders, cell: np.ndarray, face: np.ndarray, nside: int
) -> Overlaps:
    """Areas of polygons in faces, each beside one of them."""
    sides, jump_chart, jump_sign, jump_row = _sides_in_faces(polygons, cell, face)
    paths = cut_paths(sides)
    region, side = region_and_side(paths)
    start, stop = (places(paths, s, region, side) for s in (paths.begin, paths.end))
    # the lowest line of the grid that anything of the polygon can lie above
    lowest = np.full(len(cell), nside)
    floor = np.floor(nside * np.minimum(start.y, stop.y)).astype(int)
    np.minimum.at(lowest, paths.chart, np.clip(floor, 0, nside))
    # around the south pole alone is westward over the opposite meridian, all jumps taken together
    net = np.bincount(jump_chart, jump_sign, minlength=len(cell))
    has_both = (borders.has_north & borders.has_south)[cell]
    south = np.flatnonzero((net < -0.5) | has_both)
    jump_chart = np.concatenate([jump_chart, south])
    jump_sign = np.concatenate([jump_sign, np.ones(len(south))])
    jump_row = np.concatenate([jump_row, np.full(len(south), 4.0)])
    lowest[jump_chart] = 0
    found = [_within_pixels(paths, region, side, start, stop, nside=nside, lowest=lowest)]
    found.append(_jumps(jump_chart, jump_sign, jump_row, FACE_ROW[face[jump_chart]], nside))
    chart, x, y, area = (np.concatenate(part) for part in zip(*found, strict=True))
    square = (face[chart] * nside + y) * nside + x
    return cell[chart], square, np.pi / 3 * area


def _sides_in_faces(
    polygons: Polygons, cell: np.ndarray, face: np.ndarray
) -> tuple[Paths, np.ndarray, np.ndarray, np.ndarray]:
    """Sides in the frame of faces, and where they pass the meridian opposite to the face.

    Of each passage: the pair of cell and face, 1 if eastward and -1 if westward, and the row.
    """
    counts = np.diff(polygons.offsets)[cell]
    chart, corner = expand_ranges(polygons.offsets[cell], polygons.offsets[cell + 1])
    first = np.cumsum(counts) - counts
    following = np.arange(1, len(chart) + 1)
    following[first + counts - 1] = first
    angle = np.pi / 4 * FACE_COLUMN[face[chart]]
    x, y, z = polygons.corners[corner].T
    turned = np.stack(
        [x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle), z], axis=1
    )
    turned[are_poles(turned), :2] = 0.0
    one, two = turned, turned[following]
    num = len(chart)
    sides = Paths(chart, one, two, FACE_ROW[face[chart]].astype(float), np.zeros(num), np.ones(num))
    # which side of the opposite meridian: from west to east is negative after positive
    east_one, east_two = one[:, 1] >= 0, two[:, 1] >= 0
    passes = east_one != east_two
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(passes, one[:, 1] / (one[:, 1] - two[:, 1]), 0.0)
    point = one + share[:, None] * (two - one)
    passes &= point[:, 0] < 0
    at_south = are_poles(turned) & (z < 0)
    sign = np.where(east_one, 1.0, -1.0)
    row = _rows(point)
    found = np.flatnonzero(passes)
    south = np.flatnonzero(at_south)
    if len(south):
        preceding = np.empty_like(following)
        preceding[following] = np.arange(num)
        before, after = turned[preceding[south]], turned[following[south]]
        lon_before = np.arctan2(before[:, 1], before[:, 0])
        lon_after = np.arctan2(after[:, 1], after[:, 0])
        # eastward around the cell, over the opposite meridian
        is_pole = are_poles(before) | are_poles(after)
        south = south[(lon_after < lon_before) & ~is_pole]
    at = np.concatenate([found, south])
    return (
        sides,
        chart[at],
        np.concatenate([sign[found], np.ones(len(south))]),
        np.concatenate([row[found], np.full(len(south), 4.0)]),
    )


def _rows(points: np.ndarray) -> np.ndarray:
    """The rows of points, from 0 at the north pole to 4 at the south pole."""
    length = np.linalg.norm(points, axis=1)
    sine = points[:, 2] / length
    # √(3 (1 − |z|)) without cancellation
    cap = np.sqrt(3 / (1 + np.abs(sine))) * np.hypot(points[:, 0], points[:, 1]) / length
    return np.where(np.abs(sine) < 2 / 3, 2 - 1.5 * sine, np.where(sine > 0, cap, 4 - cap))


def _within_pixels(
    paths: Paths,
    region: np.ndarray,
    side: np.ndarray,
    start: Places,
    stop: Places,
    *,
    nside: int,
    lowest: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Chart, x, y of pixels, and what the paths add to their areas."""
    pieces = [np.arange(len(region)), np.arange(len(region))]
    shares = [paths.begin, paths.end]
    for is_x, (one, two) in ((True, (start.x, stop.x)), (False, (start.y, stop.y))):
        low, high = nside * np.minimum(one, two), nside * np.maximum(one, two)
        first = np.clip(np.floor(low) + 1, 0, nside + 1).astype(int)
        last = np.clip(np.ceil(high), 0, nside + 1).astype(int)
        piece, line = expand_ranges(first, last)
        pieces.append(piece)
        crossed = crossings(paths.take(piece), region[piece], side[piece], line / nside, is_x=is_x)
        shares.append(crossed)
    piece, share = np.concatenate(pieces), np.concatenate(shares)
    order = np.lexsort((share, piece))
    piece, share = piece[order], share[order]
    part = np.flatnonzero((piece[1:] == piece[:-1]) & (share[1:] > share[:-1]))
    piece, begin, end = piece[part], share[part], share[part + 1]
    some, where, east = paths.take(piece), region[piece], side[piece]
    middle = places(some, (begin + end) / 2, where, east)
    x, y = (np.floor(nside * values).astype(int) for values in (middle.x, middle.y))
    # to the left and to the right of the face, and below it, is nothing to add to
    inside = np.flatnonzero((x >= 0) & (x < nside) & (y >= 0))
    some, where, east, x, y = some.take(inside), where[inside], east[inside], x[inside], y[inside]
    one, two = (places(some, s[inside], where, east) for s in (begin, end))
    width = two.x - one.x
    in_face = np.flatnonzero(y < nside)
    area = (one.y - y / nside) * width + integrals(one, two, where)
    below, row = expand_ranges(lowest[some.chart], np.minimum(y, nside))
    return (
        np.concatenate([some.chart[in_face], some.chart[below]]),
        np.concatenate([x[in_face], x[below]]),
        np.concatenate([y[in_face], row]),
        -np.concatenate([area[in_face], width[below] / nside]),
    )


def _jumps(
    chart: np.ndarray, sign: np.ndarray, row: np.ndarray, face_row: np.ndarray, nside: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What is added where a path jumps over the opposite meridian, around the north pole."""
    jump, x = expand_ranges(np.zeros(len(chart), int), np.full(len(chart), nside))
    reach = (face_row - 5 * np.minimum(row, 1.0))[jump] / 2
    width = np.clip((x + 1) / nside - np.maximum(reach, x / nside), 0.0, None)
    some = np.flatnonzero(width > 0)
    again, y = expand_ranges(np.zeros(len(some), int), np.full(len(some), nside))
    some = some[again]
    return chart[jump[some]], x[some], y, sign[jump[some]] * width[some] / nside
