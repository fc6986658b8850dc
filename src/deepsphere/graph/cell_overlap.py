"""The areas that the cells of two samplings have in common."""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import (
    Cells,
    Pixels,
    Polygons,
    Rectangles,
    angular_distance,
    triangle_areas,
)
from deepsphere.graph.cache import cached_matrix, sampling_identity
from deepsphere.graph.cell_borders import pixel_borders, polygon_borders
from deepsphere.graph.notice import announce
from deepsphere.graph.pixel_overlap import pixel_overlaps, polygon_pixel_overlaps
from deepsphere.graph.rectangle_overlap import Overlaps, border_overlaps, rectangle_overlaps
from deepsphere.sampling import Sampling, Subset

# Corners of polygons that are clipped at once.
_CORNERS_PER_BLOCK = 2**19
# Overlaps below this fraction of the smaller cell are rounding errors of common borders.
_ZERO_OVERLAP = 1e-12


def overlap_areas(source: Sampling, target: Sampling) -> csr_matrix:
    r"""The areas :math:`|C_t \cap C_s|` of the intersections of cells.

    The cells are those of :meth:`deepsphere.sampling.Sampling.cells`: rectangles between parallels
    and meridians, HEALPix pixels with their true borders, or polygons of great circles. No shape
    is approximated. Rows sum to the areas of the target, columns to those of the source, as far as
    the other sampling covers them. The cells of a subset are those that its vertices have in the
    whole.

    Parameters
    ----------
    source, target : Sampling

    Returns
    -------
    csr_matrix, shape (target vertices, source vertices)
        In steradians, positive.

    Raises
    ------
    ValueError
        If cells are Voronoi cells of less than four points, or of points in one plane.

    Examples
    --------
    >>> import deepsphere as ds
    >>> areas = overlap_areas(ds.Equiangular(4, 6), ds.Healpix(nside=1))
    >>> bool(abs(areas.sum(axis=1) * 3 / np.pi - 1).max() < 1e-12)
    True

    References
    ----------
    Jones (1999), First- and second-order conservative remapping schemes for grids in spherical
    coordinates, section 2. Sutherland, Hodgman (1974), Reentrant polygon clipping.
    """
    larger = source if source.num_vertices > target.num_vertices else target
    return cached_matrix(
        "overlap",
        larger,
        {"source": sampling_identity(source), "target": sampling_identity(target)},
        lambda: computed_overlap_areas(source, target),
    )


def computed_overlap_areas(source: Sampling, target: Sampling) -> csr_matrix:
    """The areas of :func:`overlap_areas`, computed whether or not they are kept on disk.

    Parameters
    ----------
    source, target : Sampling

    Returns
    -------
    csr_matrix, shape (target vertices, source vertices)

    Examples
    --------
    >>> import deepsphere as ds
    >>> computed_overlap_areas(ds.Healpix(nside=2), ds.Healpix(nside=1)).nnz
    48
    """
    (source_cells, source_kept), (target_cells, target_kept) = map(_cells_of, (source, target))
    pairs = (len(source_kept) ** 0.5 + len(target_kept) ** 0.5) ** 2
    announce(
        f"overlaps of the cells of {source!r} and {target!r}",
        pairs * _seconds_per_pair(source_cells, target_cells),
        quicker="method='barycentric'",
    )
    row, column, area = _overlaps(target_cells, target_kept, source_cells, source_kept)
    areas = csr_matrix((area, (row, column)), (_number(target_cells), _number(source_cells)))
    row_shares, column_shares = (
        _shares(sampling, cells)
        for sampling, cells in ((target, target_cells), (source, source_cells))
    )
    areas = csr_matrix(row_shares @ areas @ column_shares.T)
    smaller = np.minimum(
        np.repeat(target.areas, np.diff(areas.indptr)), source.areas[areas.indices]
    )
    areas.data[areas.data < _ZERO_OVERLAP * smaller] = 0
    areas.eliminate_zeros()
    return areas


def _seconds_per_pair(one: Cells, two: Cells) -> float:
    """Roughly, on one core, with the search for the pairs."""
    kinds = {type(one), type(two)}
    if kinds == {Polygons}:
        return 9e-5
    if kinds == {Polygons, Pixels}:
        return 6e-5
    return 2e-5 if Polygons in kinds else 4e-6


def _cells_of(sampling: Sampling) -> tuple[Cells, Int[np.ndarray, " kept"]]:
    """All cells of the whole sphere, and those that the vertices own."""
    root = sampling.base if isinstance(sampling, Subset) else sampling
    cells = root.cells()
    owner = cells.owner if isinstance(cells, Polygons) else np.arange(root.num_vertices)
    return cells, np.unique(owner[sampling.indices] if isinstance(sampling, Subset) else owner)


def _number(cells: Cells) -> int:
    """How many cells there are."""
    return len(cells.face if isinstance(cells, Pixels) else cells[0])


def _shares(sampling: Sampling, cells: Cells) -> csr_matrix:
    """The part (vertices, cells) that each vertex has of each cell."""
    root = sampling.base if isinstance(sampling, Subset) else sampling
    owner = cells.owner if isinstance(cells, Polygons) else np.arange(root.num_vertices)
    parts = 1.0 / np.bincount(owner)[owner]
    if isinstance(sampling, Subset):
        owner, parts = owner[sampling.indices], parts[sampling.indices]
    return csr_matrix((parts, owner, np.arange(len(owner) + 1)), (len(owner), _number(cells)))


def _overlaps(
    one: Cells, one_kept: Int[np.ndarray, " kept"], two: Cells, two_kept: Int[np.ndarray, " others"]
) -> Overlaps:
    """Pairs of cells and their common areas, by what is known of their shapes."""
    if isinstance(two, Rectangles):
        if isinstance(one, Rectangles):
            return rectangle_overlaps(one, two, one_kept)
        borders = pixel_borders(one) if isinstance(one, Pixels) else polygon_borders(one)
        return border_overlaps(borders, two, one_kept)
    if isinstance(one, Polygons) and isinstance(two, Polygons):
        return _polygon_overlaps(one, one_kept, two, two_kept)
    if isinstance(one, Pixels) and isinstance(two, Pixels):
        return pixel_overlaps(one, two)
    if isinstance(one, Polygons) and isinstance(two, Pixels):
        return polygon_pixel_overlaps(one, two, one_kept)
    columns, rows, areas = _overlaps(two, two_kept, one, one_kept)
    return rows, columns, areas


def _polygon_overlaps(
    one: Polygons,
    one_kept: Int[np.ndarray, " kept"],
    two: Polygons,
    two_kept: Int[np.ndarray, " others"],
) -> Overlaps:
    """Common areas of polygons, which are clipped exactly."""
    rows, columns = _candidate_pairs(two, two_kept, one, one_kept)
    sides = np.diff(two.offsets)[columns] + np.diff(one.offsets)[rows]
    order = np.argsort(-sides, kind="stable")
    rows, columns, sides = rows[order], columns[order], sides[order]
    areas, start = np.zeros(len(rows)), 0
    while start < len(rows):
        # the largest come first, so the first of a block tells how many fit
        stop = min(len(rows), start + max(1, _CORNERS_PER_BLOCK // int(sides[start])))
        block = slice(start, stop)
        areas[block] = _intersection_areas(one, rows[block], two, columns[block])
        start = stop
    return rows, columns, areas


def _candidate_pairs(
    source: Polygons,
    source_kept: Int[np.ndarray, " kept"],
    target: Polygons,
    target_kept: Int[np.ndarray, " others"],
) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]]:
    """Pairs (target, source) of cells close enough to overlap."""
    all_rows, all_columns = [], []
    # classes of size, so that a few large cells do not widen the search for all others
    source_sizes, target_sizes = (
        np.floor(np.log2(np.maximum(cells.radii[kept], 1e-9)))
        for cells, kept in ((source, source_kept), (target, target_kept))
    )
    for size in np.unique(source_sizes):
        members = source_kept[source_sizes == size]
        tree = KDTree(source.centers[members])
        for target_size in np.unique(target_sizes):
            others = target_kept[target_sizes == target_size]
            reach = min(target.radii[others].max() + source.radii[members].max(), np.pi)
            # the chord of the angle, with room for rounding
            near = tree.query_ball_point(target.centers[others], 2 * np.sin(reach / 2) + 1e-12)
            counts = np.array([len(found) for found in near])
            columns = members[np.concatenate(near).astype(np.int64)]
            rows = np.repeat(others, counts)
            distance = angular_distance(target.centers[rows], source.centers[columns])
            close = distance <= target.radii[rows] + source.radii[columns] + 1e-12
            all_rows.append(rows[close])
            all_columns.append(columns[close])
    return np.concatenate(all_rows), np.concatenate(all_columns)


def _padded(
    values: Float[np.ndarray, "sides 3"],
    offsets: Int[np.ndarray, " offsets"],
    cells: Int[np.ndarray, " pairs"],
) -> tuple[Float[np.ndarray, "pairs width 3"], Int[np.ndarray, " pairs"]]:
    """The values of each cell side by side, the last one repeated, and their number."""
    counts = offsets[cells + 1] - offsets[cells]
    within = np.minimum(np.arange(counts.max()), counts[:, None] - 1)
    return values[offsets[cells][:, None] + within], counts


def _intersection_areas(
    subjects: Polygons,
    rows: Int[np.ndarray, " pairs"],
    clips: Polygons,
    columns: Int[np.ndarray, " pairs"],
) -> Float[np.ndarray, " pairs"]:
    """Areas of the intersections of pairs of cells."""
    polygons, counts = _padded(subjects.corners, subjects.offsets, rows)
    normals, _ = _padded(clips.normals, clips.offsets, columns)
    areas, alive = np.zeros(len(rows)), np.arange(len(rows))
    for side in range(normals.shape[1]):
        polygons, counts = _clip(polygons, counts, normals[alive, side])
        kept = counts >= 3
        polygons, counts, alive = polygons[kept], counts[kept], alive[kept]
        if len(alive) == 0:
            return areas
    areas[alive] = _polygon_areas(polygons, counts)
    return areas


def _clip(
    polygons: Float[np.ndarray, "pairs width 3"],
    counts: Int[np.ndarray, " pairs"],
    normals: Float[np.ndarray, "pairs 3"],
) -> tuple[Float[np.ndarray, "pairs new_width 3"], Int[np.ndarray, " pairs"]]:
    """The part of each polygon in a half-space through the center, and its number of corners."""
    index = np.arange(polygons.shape[1])
    valid = index < counts[:, None]
    following = np.where(index + 1 < counts[:, None], index + 1, 0)
    height = np.einsum("pkx,px->pk", polygons, normals)
    next_height = np.take_along_axis(height, following, axis=1)
    inside = height >= 0
    crosses = valid & (inside != (next_height >= 0))
    ahead = np.take_along_axis(polygons, following[:, :, None], axis=1)
    fraction = height / np.where(crosses, height - next_height, 1.0)
    crossing = polygons + fraction[:, :, None] * (ahead - polygons)
    # each corner is followed by the point where the side that it begins crosses the circle
    emitted = np.stack([valid & inside, crosses], axis=2).reshape(len(polygons), -1)
    corners = np.stack([polygons, crossing], axis=2).reshape(len(polygons), -1, 3)
    position = np.cumsum(emitted, axis=1) - 1
    new_counts = emitted.sum(axis=1)
    clipped = np.zeros((len(polygons), max(int(new_counts.max()), 1), 3))
    pair, slot = np.nonzero(emitted)
    corner = corners[pair, slot]
    norm = np.linalg.norm(corner, axis=1, keepdims=True)
    clipped[pair, position[pair, slot]] = corner / norm
    return clipped, new_counts


def _polygon_areas(
    polygons: Float[np.ndarray, "pairs width 3"], counts: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """Areas of convex polygons, as fans of triangles around their first corner."""
    index = np.minimum(np.arange(polygons.shape[1]), counts[:, None] - 1)
    corners = np.take_along_axis(polygons, index[:, :, None], axis=1)
    fans = triangle_areas(corners[:, :1], corners[:, 1:-1], corners[:, 2:])
    return np.maximum(fans.sum(axis=1), 0.0)
