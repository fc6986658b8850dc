"""Linear maps that carry signals from any sampling of the sphere to any other."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.geometry import spherical_delaunay
from deepsphere.graph.cell_overlap import overlap_areas
from deepsphere.graph.pooling_matrices import mean_pooling_matrix
from deepsphere.sampling import Sampling, Subset

# Barycentric weights below this are rounding errors of zero: a vertex then takes its own value.
_ZERO_WEIGHT = 1e-12
# A point this little outside of a triangle, in barycentric weight, is on its edge.
_EDGE_TOLERANCE = 1e-9
# Beyond this weight a point is not on the edge but elsewhere.
_FLAT_TOLERANCE = 1e-6
# A triangle whose plane passes this close to the center spans no cone.
_FLAT_VOLUME = 1e-15
# The triangle around a point is looked for at so many of its nearest vertices, then among all.
_NUM_NEAREST = 4
# Pairs of points and triangles (or edges) that are worked on at once.
_PAIRS_PER_BLOCK = 2**20
Method = Literal["nearest", "barycentric", "conservative"]
TRANSFERS = get_args(Method)


def transfer_matrix(
    source: Sampling, target: Sampling, method: Method = "barycentric"
) -> csr_matrix:
    r"""The map from a signal on one sampling to its values at the vertices of another.

    - ``"nearest"``: the value at the nearest source vertex.
    - ``"barycentric"``: linear interpolation in the spherical Delaunay triangle of the source
      around each target vertex, exact where the two samplings share a vertex. Target vertices that
      no triangle contains (beyond the border of points in a part of the sphere) take the nearest
      value.
    - ``"conservative"``: the mean over the target's cell of the signal that is constant on the
      source's cells, :math:`T_{ts} = |C_t \cap C_s| / |C_t|` (first order). It keeps the integral,
      :math:`\sum_t |C_t| (T x)_t = \sum_s |C_s| x_s`, where the cells are those whose areas the
      samplings have, so that ``target.areas @ T == source.areas``.

    No weight is negative and rows sum to one, so constants are kept.

    Vertices that a subset of the source lacks count as missing: the weights of the others are
    divided by their sum, which keeps the integral over the part that is covered. A target vertex
    that the subset does not reach has an empty row.

    Overlaps of large samplings are kept on disk, see :func:`deepsphere.graph.cache_info`.

    Parameters
    ----------
    source, target : Sampling
    method : {"nearest", "barycentric", "conservative"}

    Returns
    -------
    csr_matrix, shape (target vertices, source vertices)

    Raises
    ------
    ValueError
        If the method is none of these, or if the points cannot be triangulated.

    Examples
    --------
    >>> import deepsphere as ds
    >>> source, target = ds.Equiangular(nlat=6, nlon=12), ds.Healpix(nside=2)
    >>> matrix = transfer_matrix(source, target, "conservative")
    >>> matrix.shape, bool(abs(target.areas @ matrix - source.areas).max() < 1e-12)
    ((48, 72), True)

    References
    ----------
    Jones (1999), First- and second-order conservative remapping schemes for grids in spherical
    coordinates, section 2.
    """
    weights = transfer_weights(source, target, method)
    totals = np.asarray(weights.sum(axis=1)).ravel()
    weights.data /= np.repeat(totals, np.diff(weights.indptr))
    return weights


def transfer_weights(source: Sampling, target: Sampling, method: Method) -> csr_matrix:
    """The weights of the values that a source has, where those of a whole sphere sum to one.

    Parameters
    ----------
    source, target : Sampling
    method : {"nearest", "barycentric", "conservative"}

    Returns
    -------
    csr_matrix, shape (target vertices, source vertices)
        The sum of a row is the part of the target vertex that a subset reaches: of its cell, for
        the conservative method.

    Raises
    ------
    ValueError
        As :func:`transfer_matrix`.

    Examples
    --------
    >>> import deepsphere as ds
    >>> sky = ds.Healpix(nside=2)
    >>> transfer_weights(sky.subset(np.arange(3)), ds.Healpix(nside=1), "conservative").sum()
    np.float64(0.75)
    """
    if method not in TRANSFERS:
        raise ValueError(
            f"method must be one of {', '.join(TRANSFERS)}, got {method!r}; choose one"
        )
    if method == "conservative":
        weights = overlap_areas(source, target)
        weights.data /= np.repeat(target.areas, np.diff(weights.indptr))
        return weights
    whole = source.base if isinstance(source, Subset) else source
    weights = (_nearest if method == "nearest" else _barycentric)(whole.points, target.points)
    if isinstance(source, Subset):
        weights = csr_matrix(weights[:, source.indices])
    return weights


def _nearest(
    source: Float[np.ndarray, "source 3"], target: Float[np.ndarray, "target 3"]
) -> csr_matrix:
    """The map that takes the value at the nearest source point."""
    _, nearest = KDTree(source).query(target)
    offsets = np.arange(len(target) + 1)
    return csr_matrix((np.ones(len(target)), nearest, offsets), (len(target), len(source)))


def _barycentric(
    source: Float[np.ndarray, "source 3"], target: Float[np.ndarray, "target 3"]
) -> csr_matrix:
    """The map that interpolates linearly in the triangle around each target point."""
    triangles = spherical_delaunay(source)
    # the hull of a part of the sphere also has triangles that turn their inside to the center
    triangles = triangles[np.linalg.det(source[triangles]) > _FLAT_VOLUME]
    num_nearest = min(_NUM_NEAREST, len(source))
    nearest = np.reshape(KDTree(source).query(target, k=num_nearest)[1], (len(target), -1))
    columns = np.repeat(nearest[:, :1], 3, axis=1)
    weights = np.tile([1.0, 0.0, 0.0], (len(target), 1))
    inside = np.flatnonzero(_is_inside(source, triangles, target))
    if len(inside):
        found = _locate(source, triangles, target[inside], nearest[inside])
        inner = _weights(source[triangles[found]], target[inside])
        # where triangles are so flat that none was found, the nearest vertex stands in
        good = inner.min(axis=1) > -_FLAT_TOLERANCE
        columns[inside[good]] = triangles[found[good]]
        weights[inside[good]] = inner[good]
    weights[weights < _ZERO_WEIGHT] = 0
    offsets = np.arange(0, columns.size + 1, 3)
    shape = (len(target), len(source))
    matrix = csr_matrix((weights.ravel(), columns.ravel(), offsets), shape)
    return mean_pooling_matrix(matrix)


def _weights(
    corners: Float[np.ndarray, "pairs 3 3"], points: Float[np.ndarray, "pairs 3"]
) -> Float[np.ndarray, "pairs 3"]:
    """Barycentric weights where the ray through each point meets the plane of its triangle."""
    # by differences to the point, whose products do not cancel in small triangles
    a, b, c = np.moveaxis(corners - points[:, None], 1, 0)
    crosses = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    volumes = np.einsum("pkx,px->pk", crosses, points)
    totals = volumes.sum(axis=1, keepdims=True)
    # behind the center: the ray does not meet the triangle
    return np.where(totals > 0, volumes / np.where(totals > 0, totals, 1.0), -np.inf)


def _is_inside(
    source: Float[np.ndarray, "source 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    target: Float[np.ndarray, "target 3"],
) -> Bool[np.ndarray, " target"]:
    """Whether some triangle contains each point: the convex region that they cover."""
    starts, ends = triangles.ravel(), triangles[:, [1, 2, 0]].ravel()
    num = len(source)
    border = ~np.isin(starts * num + ends, ends * num + starts)
    normals = np.cross(source[starts[border]], source[ends[border]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    inside = np.ones(len(target), bool)
    for block in _blocks(len(target), len(normals)):
        inside[block] = np.all(target[block] @ normals.T >= -_EDGE_TOLERANCE, axis=1)
    return inside


def _blocks(num_rows: int, width: int) -> list[slice]:
    """Slices of rows which with so many columns make a block of bounded size."""
    height = max(1, _PAIRS_PER_BLOCK // max(width, 1))
    return [slice(start, start + height) for start in range(0, num_rows, height)]


def _locate(
    source: Float[np.ndarray, "source 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    target: Float[np.ndarray, "target 3"],
    nearest: Int[np.ndarray, "target nearest"],
) -> Int[np.ndarray, " target"]:
    """The triangle that contains each point, or the one that it misses least."""
    order = np.argsort(triangles.ravel(), kind="stable")
    offsets = np.searchsorted(triangles.ravel()[order], np.arange(len(source) + 1))
    incident = order // 3
    found = np.zeros(len(target), np.int64)
    margin = np.full(len(target), -np.inf)
    for round_ in range(nearest.shape[1]):
        left = np.flatnonzero(margin < -_EDGE_TOLERANCE)
        vertices = nearest[left, round_]
        counts = offsets[vertices + 1] - offsets[vertices]
        rows = np.repeat(left, counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        candidates = incident[np.repeat(offsets[vertices], counts) + within]
        _keep_best(source[triangles], target, rows, candidates, found=found, margin=margin)
    for point in np.flatnonzero(margin < -_EDGE_TOLERANCE):
        everything = np.arange(len(triangles))
        rows = np.full(len(triangles), point)
        _keep_best(source[triangles], target, rows, everything, found=found, margin=margin)
    return found


def _keep_best(
    corners: Float[np.ndarray, "triangles 3 3"],
    target: Float[np.ndarray, "target 3"],
    rows: Int[np.ndarray, " pairs"],
    candidates: Int[np.ndarray, " pairs"],
    *,
    found: Int[np.ndarray, " target"],
    margin: Float[np.ndarray, " target"],
) -> None:
    """Write to `found` the candidate with the largest smallest weight, and it to `margin`."""
    for block in _blocks(len(rows), 1):
        part, triangle = rows[block], candidates[block]
        smallest = _weights(corners[triangle], target[part]).min(axis=1)
        order = np.lexsort((smallest, part))
        part, triangle, smallest = part[order], triangle[order], smallest[order]
        last = np.append(part[1:] != part[:-1], True)
        part, triangle, smallest = part[last], triangle[last], smallest[last]
        better = smallest > margin[part]
        found[part[better]] = triangle[better]
        margin[part[better]] = smallest[better]
