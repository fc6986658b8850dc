"""Nonnegative rows that make a graph Laplacian equivariant on points that are spread unevenly.

Each vertex gets its own weights, from a small quadratic program: the Laplacian is not symmetric,
but nonnegative weights keep its spectrum in the right half plane.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import KDTree

from deepsphere.graph.neighbors import has_turned_rings, ring_sizes
from deepsphere.graph.nonnegative import solve_nonnegative
from deepsphere.graph.notice import announce
from deepsphere.graph.stencils import (
    Stencils,
    nearest_stencils,
    ring_stencils,
    thinned_stencils,
    vertex_spacing,
)
from deepsphere.graph.zonal import evaluate_series, zonal_series
from deepsphere.sampling import Sampling

# A row keeps about as many neighbors as asked for: 20 if their number is left open.
_NUM_NEIGHBORS = 20
# Candidates per neighbor: the nearest on even points; on others spread ones, and at most so many
# with those of the rings; on grids, where a row is solved once for its whole ring.
_NEAREST = 2.4
_SPREAD = 1.6
_SURROUNDING = 4.8
_GRID = 6.4
# Nearest vertices among which spread candidates are looked for, and their distance from each other
# in local spacings.
_NUM_WALKED = 400
_SEPARATION = 0.4
# On grids rows are solved once for each ring, and can afford denser candidates: the norms of high
# polynomials of the Laplacian, which is not symmetric, fall by half.
_GRID_SEPARATION = 0.2
_RINGS = 3
# Fewer points all over the sphere are too few to tell even from uneven ones; those within so many
# radians are a region of it.
_FEWEST_SURROUNDED, _REGION_RADIUS = 48, 1.0
# Points whose mean is this near to the center of the sphere have no middle.
_ALL_AROUND = 1e-6
# Points whose emptiest circle is within this many mean spacings are spread evenly.
_EVEN_SPACINGS = 4.0
# Width of the symbol to be reached, in squared mean spacings: it saturates beyond.
_SMOOTH = 0.3
# Flat share, cut and largest degree (in units of the cut) of the prior.
_FLAT_SHARE = 0.05
_BAND = 2.6
_BEYOND = 1.6
# White noise on center and neighbors, which keeps the weights of near-coincident points bounded.
_NUGGET = 0.1
_UNEVEN_NUGGET = 0.01
# Spacings beyond this are not resolved whatever the weights; radian. Nor are those beyond a share
# of the radius of all points: the empty rest of the sphere around a region is none of theirs.
_LARGEST_SPACING, _LARGEST_SHARE = 0.8, 0.5
# Regions of a smaller radius are flat, and are magnified to it: the number of degrees to be summed
# over grows as the spacing shrinks.
_FLAT_RADIUS = 0.02
# Added to the unit diagonals of the programs, which rounding must not make indefinite.
_ROUNDING = 1e-13
# Levels of spacing that share a kernel.
_NUM_LEVELS = 24
# Candidates that are nearer than this are all as near; radian.
_SHORTEST_REACH = 1e-9
# For the notice to those who wait: of a pair of candidates of a row.
_SECONDS_PER_PAIR = 1.5e-7
# Numbers in the matrices of the rows that are solved at once.
_CHUNK = 2**21


def nonnegative_rows(sampling: Sampling, *, num_neighbors: int | None = None) -> csr_matrix:
    r"""Nonnegative weights, row by row, with the smallest rotation error of each row.

    .. math:: (L f)_i = \sum_j w_{ij} (f_i - f_j), \quad w_{ij} \ge 0 \quad \text{minimize} \quad
              \sum_l p_{il} \, \mathbb{E} \, |(L f_l)_i / \tau_l - f_l(x_i)|^2

    for random signals :math:`f_l` of degree l, with noise on the vertices. The symbol to be
    reached, the same for all rows, is :math:`\tau_l = (1 - e^{-a l (l+1)}) / a`: that of the
    sphere's Laplacian, saturating where the points do not resolve a degree. The prior is
    :math:`p_{il} \propto 1 / (e_0^2 + (l h_i / 2.6)^4)` with the spacing :math:`h_i` around vertex
    i.

    L takes constants to zero; by Gershgorin's theorem its eigenvalues have no negative real part,
    and :math:`I - L / \max_i L_{ii}` is a stochastic matrix. It is self-adjoint for no masses.

    | points | candidates of a row | spacing |
    |---|---|---|
    | spread evenly | nearest | the mean one |
    | unevenly, as stations | spread around the vertex, and three Delaunay rings | local |
    | latitude-longitude grid | spread around the vertex, the same on a whole ring | the mean one |

    Parameters
    ----------
    sampling : Sampling
        The whole-sphere sampling.
    num_neighbors : int, optional
        20 if not given. The candidates are 2.4 times as many (at most 4.8 times on uneven points,
        6.4 times on grids), and up to 20 about as many of them get a positive weight; with more
        candidates the errors fall, but hardly any row keeps more.

    Returns
    -------
    csr_matrix
        W, (vertices, vertices), nothing on the diagonal; row i holds the weights of vertex i.

    Raises
    ------
    ValueError
        If there is a single vertex, or if vertices crowd so that they cannot be triangulated.

    Examples
    --------
    >>> from deepsphere.sampling import RandomUniform
    >>> weights = nonnegative_rows(RandomUniform(100, seed=0))
    >>> weights.shape, bool((weights.data > 0).all())
    ((100, 100), True)
    """
    if has_turned_rings(sampling):
        return _grid_rows(sampling, num_neighbors)
    points, size = sampling.points, sampling.num_vertices
    if size < 2:
        raise ValueError(
            f"sampling must have at least 2 vertices to have neighbors, got {size}; use a finer "
            "sampling"
        )
    spacing = math.sqrt(4 * math.pi / size)
    every, wanted = np.arange(size), num_neighbors or _NUM_NEIGHBORS
    nearest = min(math.ceil(_NEAREST * wanted), size - 1)
    widest = vertex_spacing(sampling)
    radius = _angular_radius(points)
    is_region = radius < _REGION_RADIUS
    # on a circle all spacings are π: there is no triangulation to surround a vertex with
    uneven = size > _FEWEST_SURROUNDED and widest.max() > _EVEN_SPACINGS * spacing
    uneven = (uneven or is_region) and widest.min() < math.pi
    if uneven or is_region:  # the mean over the sphere counts what is empty
        spacing = _median_spacing(points)
    if uneven:
        most = min(_LARGEST_SPACING, _LARGEST_SHARE * radius)
        local = np.clip(widest, spacing, max(spacing, most))
        stencils = _surrounding_stencils(points, local, wanted)
    else:
        local, stencils = np.full(size, spacing), nearest_stencils(points, nearest)
    nugget = _UNEVEN_NUGGET if uneven else _NUGGET
    pairs = float(((stencils >= 0).sum(axis=1) ** 2).sum())
    announce(f"optimal weights of {sampling!r}", _SECONDS_PER_PAIR * pairs)
    factor = max(1.0, _FLAT_RADIUS / radius)
    values = _solve_rows(
        _magnified(points, factor),
        every,
        stencils,
        factor * local,
        spacing_of_symbol=factor * spacing,
        nugget=nugget,
    )
    return _assembled(every, stencils, factor**2 * values, size)


def _angular_radius(points: Float[np.ndarray, "vertices 3"]) -> float:
    """How far the points reach from their middle, radian; π where they are all around."""
    middle = points.mean(axis=0)
    length = float(np.linalg.norm(middle))
    if length < _ALL_AROUND:
        return math.pi
    chord = float(np.linalg.norm(points - middle / length, axis=1).max())
    return 2 * math.asin(min(1.0, chord / 2))


def _magnified(
    points: Float[np.ndarray, "vertices 3"], factor: float
) -> Float[np.ndarray, "vertices 3"]:
    """The points, moved away from their middle to so many times their distance from it."""
    if factor == 1.0:
        return points
    middle = points.mean(axis=0)
    middle = middle / np.linalg.norm(middle)
    sideways = points - (points @ middle)[:, None] * middle
    sine = np.linalg.norm(sideways, axis=1, keepdims=True)
    angle = factor * np.arcsin(np.minimum(sine, 1.0))
    direction = sideways / np.where(sine > 0, sine, 1.0)
    return np.cos(angle) * middle + np.sin(angle) * direction


def _median_spacing(points: Float[np.ndarray, "vertices 3"]) -> float:
    """The median over vertices of the spacing that the nearest eight others have."""
    nearest = min(8, len(points) - 1)
    farthest = nearest_stencils(points, nearest)[:, -1]
    reach = np.linalg.norm(points - points[farthest], axis=1)
    return float(np.median(reach)) * math.sqrt(math.pi / (nearest + 1))


def _surrounding_stencils(
    points: Float[np.ndarray, "vertices 3"],
    spacing: Float[np.ndarray, "vertices"],
    num_neighbors: int,
) -> Stencils:
    """Candidates on all sides of each vertex: spread near ones, then those a few edges away."""
    every, gap = np.arange(len(points)), _SEPARATION * spacing
    near = nearest_stencils(points, min(_NUM_WALKED, len(points) - 1))
    num_spread = min(math.ceil(_SPREAD * num_neighbors), near.shape[1])
    spread = thinned_stencils(points, near, every, gap, num_spread)
    rings = ring_stencils(points, _RINGS)
    limit = max(num_spread, math.ceil(_SURROUNDING * num_neighbors))
    return thinned_stencils(points, rings, every, gap, limit, start=spread, relax=False)


@dataclass(frozen=True)
class Level:
    """The kernels of rows with about the same spacing."""

    kernel: Float[np.ndarray, "terms"]
    cross: Float[np.ndarray, "terms"]
    nugget: float
    largest_squared_chord: float


def row_level(spacing: float, mean_spacing: float, nugget: float, reach: float) -> Level:
    """The kernels of rows: their spacing, that of the symbol, noise, and how far neighbors are."""
    cut = _BAND / spacing
    degrees = np.arange(1, max(3, math.ceil(_BEYOND * cut)) + 1)
    width = _SMOOTH * mean_spacing**2
    symbol = -np.expm1(-width * degrees * (degrees + 1.0)) / width
    prior = 1 / (_FLAT_SHARE**2 + (degrees / cut) ** 4)
    prior /= prior.sum()
    largest = min(4.0, 4.004 * reach**2)
    series = zonal_series(int(degrees[-1]), largest)[1:]
    noise = nugget / symbol[min(len(symbol), math.ceil(cut)) - 1] ** 2
    return Level((prior / symbol**2) @ series, (prior / symbol) @ series, noise, largest)


def _solve_rows(
    points: Float[np.ndarray, "vertices 3"],
    centers: Int[np.ndarray, "centers"],
    stencils: Int[np.ndarray, "centers candidates"],
    spacing: Float[np.ndarray, "centers"],
    *,
    spacing_of_symbol: float,
    nugget: float,
) -> Float[np.ndarray, "centers candidates"]:
    """The weights of each row; zero where a stencil has no candidate."""
    group, levels = _spacing_levels(spacing)
    offsets = points[stencils] - points[centers][:, None]
    reach = np.where(stencils >= 0, np.linalg.norm(offsets, axis=2), 0.0).max(axis=1)
    number = (stencils >= 0).sum(axis=1)
    # a kernel needs the fewer terms the nearer the candidates of its rows are
    octave = np.ceil(np.log2(np.maximum(reach, _SHORTEST_REACH))).astype(int)
    values = np.zeros(stencils.shape)
    for chunk in _chunks(np.lexsort((number, octave, group)), octave, group, number):
        row_group, farthest, most = group[chunk[0]], float(reach[chunk].max()), number[chunk].max()
        level = row_level(float(levels[row_group]), spacing_of_symbol, nugget, farthest)
        present = stencils[chunk, :most] >= 0
        matrices, vectors, scales = row_problems(offsets[chunk, :most], present, level)
        values[chunk, :most] = scales * solve_nonnegative(matrices, vectors)
    return values


def _spacing_levels(
    spacing: Float[np.ndarray, "centers"],
) -> tuple[Int[np.ndarray, "centers"], Float[np.ndarray, "levels"]]:
    """For each row the number of its level of spacing, and the spacing of each level."""
    low, high = math.log(spacing.min()), math.log(spacing.max())
    group = np.zeros(len(spacing), dtype=int)
    if high - low > 1e-9:
        group = ((np.log(spacing) - low) / (high - low) * _NUM_LEVELS).astype(int)
        group = np.minimum(group, _NUM_LEVELS - 1)
    return group, np.exp(low + (high - low) * (np.arange(_NUM_LEVELS) + 0.5) / _NUM_LEVELS)


def _chunks(
    order: Int[np.ndarray, "centers"],
    octave: Int[np.ndarray, "centers"],
    group: Int[np.ndarray, "centers"],
    number: Int[np.ndarray, "centers"],
) -> Iterator[Int[np.ndarray, "_"]]:
    """Rows of one level and reach that are solved at once, those with few candidates first."""
    kinds = np.stack([octave[order], group[order]])
    borders = np.flatnonzero((np.diff(kinds, axis=1) != 0).any(axis=0)) + 1
    for rows in np.split(order, borders):
        start = 0
        while start < len(rows):
            # no row of the chunk has more candidates than its last one
            pairs = number[rows[start:]].astype(float) ** 2 * np.arange(1, len(rows) - start + 1)
            size = max(1, int(np.searchsorted(pairs, _CHUNK, side="right")))
            yield rows[start : start + size]
            start += size


def row_problems(
    offsets: Float[np.ndarray, "rows candidates 3"],
    present: Bool[np.ndarray, "rows candidates"],
    level: Level,
) -> tuple[
    Float[np.ndarray, "rows candidates candidates"],
    Float[np.ndarray, "rows candidates"],
    Float[np.ndarray, "rows candidates"],
]:
    r"""The quadratic programs of rows with about the same spacing.

    Parameters
    ----------
    offsets : ndarray, shape (rows, candidates, 3)
        From the vertex of each row to its candidates.
    present : ndarray of bool, shape (rows, candidates)
        Which candidates there are.
    level : Level
        From :func:`row_level`.

    Returns
    -------
    matrices, vectors : ndarray
        G and h of the objective :math:`v^T G v - 2 h^T v`, with ones on the diagonal of G.
    scales : ndarray
        The weights are scales · v.
    """
    offsets = np.where(present[:, :, None], offsets, 0.0)
    j, k = np.triu_indices(offsets.shape[1], 1)
    own = np.einsum("rjc,rjc->rj", offsets, offsets)
    apart = ((offsets[:, j] - offsets[:, k]) ** 2).sum(axis=2)
    largest = level.largest_squared_chord
    own_kernel = evaluate_series(level.kernel, own, largest)
    matrix = own_kernel[:, :, None] + own_kernel[:, None, :] + level.nugget
    between = evaluate_series(level.kernel, apart, largest)
    matrix[:, j, k] -= between
    matrix[:, k, j] -= between
    diagonal = np.arange(offsets.shape[1])
    matrix[:, diagonal, diagonal] += level.nugget
    scale = 1 / np.sqrt(matrix[:, diagonal, diagonal])
    matrix *= scale[:, :, None] * scale[:, None, :]
    both = present[:, :, None] & present[:, None, :]
    matrix = np.where(both, matrix, np.eye(len(diagonal)))
    matrix[:, diagonal, diagonal] += _ROUNDING
    vector = scale * evaluate_series(level.cross, own, largest)
    return matrix, vector * present, scale * present


def _assembled(
    centers: Int[np.ndarray, "centers"],
    stencils: Int[np.ndarray, "centers candidates"],
    values: Float[np.ndarray, "centers candidates"],
    size: int,
) -> csr_matrix:
    """The positive weights as a matrix."""
    positive = values > 0
    row = np.repeat(centers, positive.sum(axis=1))
    entries = (values[positive], (row, stencils[positive]))
    matrix = csr_matrix(coo_matrix(entries, shape=(size, size)))
    matrix.sort_indices()
    return matrix


def _grid_rows(sampling: Sampling, num_neighbors: int | None) -> csr_matrix:
    """The rows of a latitude-longitude grid: one for each ring, turned to the others of the ring.

    Where the grid is its own mirror image in the equator, so are the rows; and all are in their
    meridian. A vertex on a pole weighs the vertices of a ring alike.
    """
    points, size = sampling.points, sampling.num_vertices
    # that of the largest cells, at the equator: the mean one counts those that crowd at the poles
    spacing = math.sqrt(sampling.areas.max())
    sizes = np.array(ring_sizes(sampling))
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    mirrored = bool((sizes == sizes[::-1]).all()) and np.allclose(
        points[firsts, 2], -points[firsts[::-1], 2]
    )
    rings = np.arange((len(sizes) + 1) // 2 if mirrored else len(sizes))
    wanted = min(math.ceil(_GRID * (num_neighbors or _NUM_NEIGHBORS)), size - 1)
    stencils = _grid_stencils(points, firsts[rings], spacing, wanted)
    local = np.full(len(rings), spacing)
    values = _solve_rows(
        points, firsts[rings], stencils, local, spacing_of_symbol=spacing, nugget=_NUGGET
    )
    place, candidate = np.nonzero(values > 0)
    data, ring, target = values[place, candidate], rings[place], stencils[place, candidate]
    target_ring = np.searchsorted(firsts, target, side="right") - 1
    step = target - firsts[target_ring]
    data, ring, target_ring, step = _symmetrized(data, ring, target_ring, step, sizes)
    if mirrored:
        south = ring != len(sizes) - 1 - ring
        data = np.concatenate([data, data[south]])
        ring = np.concatenate([ring, len(sizes) - 1 - ring[south]])
        target_ring = np.concatenate([target_ring, len(sizes) - 1 - target_ring[south]])
        step = np.concatenate([step, step[south]])
    # every vertex of a ring sees what the first one sees, turned
    turns = sizes[ring]
    turn = np.arange(turns.sum()) - np.repeat(np.cumsum(turns) - turns, turns)
    data, ring, target_ring, step = (
        np.repeat(part, turns) for part in (data, ring, target_ring, step)
    )
    row = firsts[ring] + turn
    column = firsts[target_ring] + (step + turn) % sizes[target_ring]
    matrix = csr_matrix(coo_matrix((data, (row, column)), shape=(size, size)))
    matrix.sort_indices()
    return matrix


def _symmetrized(
    data: Float[np.ndarray, "entries"],
    ring: Int[np.ndarray, "entries"],
    target_ring: Int[np.ndarray, "entries"],
    step: Int[np.ndarray, "entries"],
    sizes: Int[np.ndarray, "rings"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means of the entries of first vertices and their images, where thinning broke a symmetry.

    East and west are exchanged, and a pole is turned. The objective is convex and has these
    symmetries: it does not rise.
    """
    images = np.where(sizes[ring] == 1, sizes[target_ring], 2)
    number = np.arange(images.sum()) - np.repeat(np.cumsum(images) - images, images)
    data, ring, target_ring, step = (
        np.repeat(part, images) for part in (data / images, ring, target_ring, step)
    )
    image = np.where(sizes[ring] == 1, step + number, np.where(number == 1, -step, step))
    return data, ring, target_ring, image % sizes[target_ring]


def _grid_stencils(
    points: Float[np.ndarray, "vertices 3"],
    centers: Int[np.ndarray, "centers"],
    spacing: float,
    num_candidates: int,
) -> Int[np.ndarray, "centers candidates"]:
    """Spread candidates of a few vertices of a grid, whose rings crowd at the poles."""
    tree = KDTree(points)
    # twice the radius that holds the candidates at the mean density
    reach = 2 * spacing * math.sqrt(num_candidates / math.pi)
    lists = []
    for center in centers:
        near = np.array(tree.query_ball_point(points[center], reach))
        near = near[near != center]
        if len(near) < num_candidates:
            near = np.delete(np.arange(len(points)), center)
        distance = np.linalg.norm(points[near] - points[center], axis=1)
        lists.append(near[np.lexsort((near, distance.round(9)))])
    candidates = np.full((len(centers), max(map(len, lists))), -1)
    for place, near in enumerate(lists):
        candidates[place, : len(near)] = near
    gap = np.full(len(centers), _GRID_SEPARATION * spacing)
    return thinned_stencils(points, candidates, centers, gap, num_candidates)
