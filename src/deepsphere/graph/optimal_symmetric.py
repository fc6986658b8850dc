"""Symmetric edge weights that make the graph Laplacian as equivariant to rotations as edges allow.

On given edges, a convex quadratic program finds the weights whose Laplacian is nearest to one that
multiplies every harmonic degree by a number. It is solved for whole orbits of edges where the
sampling has symmetries.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix

from deepsphere.graph.neighbors import is_grid, ring_sizes
from deepsphere.graph.nonnegative import minimize_nonnegative
from deepsphere.graph.notice import announce
from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.graph.weights import tuned_kernel_width
from deepsphere.graph.zonal import evaluate_series, symbol_and_gain, zonal_series
from deepsphere.sampling import Equiangular, GaussLegendre, Healpix, Sampling

Emphasis = Literal["low", "balanced", "no_worse"]

# Degrees below this share of the largest one weigh alike (e0 of the prior).
_FLAT_SHARE: dict[str, float] = {"low": 0.03, "balanced": 0.1}
# Rounds in which the symbol to be reached follows the weights, and products with the Hessian each.
_ROUNDS = 4
_PRODUCTS = 350
# "no_worse": rounds of raising the degrees that are worse than the Gaussian, and how far below it
# they are to come.
_RAISING_ROUNDS = 12
_RAISING_POWER = 8
_MARGIN = 0.97
_NEAR_MARGIN = 0.98
# Squared errors that are nothing but rounding.
_NO_ERROR = 1e-14
# For the notice to those who wait: of a pair of neighbors of a representative row.
_SECONDS_PER_PAIR = 2.5e-6
# Representative rows treated at once: bounds the memory of the offsets between their neighbors.
_ROWS_PER_GROUP = 2**14
# On points that are not spread evenly: width of the smooth symbol to be reached in mean cell areas,
# flat share of the prior, its cut in degrees per mean spacing, and the ridge in units of the
# diagonal. It keeps the weights of near-coincident points bounded; grids have none.
_SMOOTH_AREAS = 0.3
_UNEVEN_FLAT_SHARE = 0.05
_UNEVEN_BAND = 2.6
_SCATTERED_RIDGE = 1e-2
_GRID_RIDGE = 1e-5
_UNEVEN_PRODUCTS = 1500


def symmetric_weights(
    sampling: Sampling,
    distances: csr_matrix,
    *,
    emphasis: Emphasis = "balanced",
    kernel_width: float | None = None,
) -> csr_matrix:
    r"""Nonnegative symmetric edge weights with the smallest rotation error on given edges.

    .. math:: (L f)_i = \frac{1}{m_i} \sum_j w_{ij} (f_i - f_j), \quad
              w_{ij} = w_{ji} \ge 0 \quad \text{minimize} \quad
              \sum_l p_l \min_c \mathbb{E} \|L f_l - c f_l\|^2 c_l^2

    with random signals :math:`f_l` of degree l and the masses :math:`m_i` of
    :func:`vertex_masses`. On samplings that are spread evenly :math:`c_l = \lambda_l / s_l` follows
    the weights from round to round, which decreases the sum of :math:`p_l E_l` over the errors of
    :func:`deepsphere.equivariance.equivariance_error`, with :math:`p_l \propto 1 / (e_0^2 + (l /
    l_{max})^4)`. On others :math:`1 / c_l = (1 - e^{-a l (l+1)}) / a`, a symbol like that of the
    sphere's Laplacian which saturates where points do not resolve it, with a ridge.

    Parameters
    ----------
    sampling : Sampling
        The whole-sphere sampling.
    distances : csr_matrix
        Symmetric, (vertices, vertices): chord lengths of the edges.
    emphasis : {"low", "balanced", "no_worse"}
        Where the error is to be small: at low degrees (:math:`e_0 = .03`), at low and middle ones
        (:math:`e_0 = .1`), or at no degree above that of Gaussian weights on the same edges, if the
        edges allow it. Makes no difference on samplings that are not spread evenly.
    kernel_width : float, optional
        t of those Gaussian weights, with which the search starts; tuned for the mean number of
        neighbors if not given.

    Returns
    -------
    csr_matrix
        W, (vertices, vertices), on those edges whose weight is not zero. Scaled so that harmonics
        of degree 1 have the mean symbol 2, as under the Laplacian of the sphere.

    Examples
    --------
    >>> import deepsphere as ds
    >>> from deepsphere.graph.neighbors import neighbor_distances
    >>> sampling = ds.Healpix(nside=4)
    >>> weights = symmetric_weights(sampling, neighbor_distances(sampling, num_neighbors=8))
    >>> bool((weights.data > 0).all()), float(abs(weights - weights.T).max())
    (True, 0.0)
    """
    program = _program(sampling, distances)
    pairs = float((np.diff(program.entries.indptr).astype(float) ** 2).sum())
    announce(f"optimal weights of {sampling!r}", _SECONDS_PER_PAIR * pairs)
    squared = program.entries.data**2
    if not sampling.quasi_uniform:
        weights = _solved_for_fixed_symbol(program, sampling, _mean_gaussian(squared))
    else:
        if kernel_width is None:
            num_neighbors = round(distances.data.size / sampling.num_vertices)
            kernel_width = tuned_kernel_width(sampling, num_neighbors)
        gaussian = np.exp(-squared / (4 * kernel_width))
        if emphasis == "no_worse":
            weights = _solved_no_worse(program, program.mean_of_orbits(gaussian))
        else:
            degrees = np.arange(program.max_degree + 1)
            flat = _FLAT_SHARE[emphasis]
            prior = 1 / (flat**2 + (degrees / program.max_degree) ** 4)
            weights = program.mean_of_orbits(gaussian)
            for _ in range(_ROUNDS):
                symbol, gain = program.symbol_and_gain(weights)
                weights = program.solve(prior, _ratio(symbol, gain), weights)
    symbol, _ = program.symbol_and_gain(weights)
    return program.expand(weights * (2 / symbol[1]))


def vertex_masses(sampling: Sampling) -> Float[np.ndarray, "vertices"]:
    """The masses m for which the optimal symmetric Laplacian is self-adjoint.

    Areas divided by their mean; exactly ones where all areas are equal.

    Parameters
    ----------
    sampling
        The whole-sphere sampling.

    Returns
    -------
    ndarray, shape (vertices,)

    Examples
    --------
    >>> vertex_masses(Healpix(nside=1)).tolist() == [1.0] * 12
    True
    """
    areas = sampling.areas
    if np.ptp(areas) < 1e-9 * areas.max():
        return np.ones(len(areas))
    return areas / areas.mean()


def resolved_degree(sampling: Sampling) -> int:
    """The largest degree for which weights are optimized.

    ``3 nside - 1`` on HEALPix; one less than half the vertices of a ring (or than the rings) on
    latitude-longitude grids; else 0.85 times the square root of the number of vertices.

    Examples
    --------
    >>> resolved_degree(Healpix(nside=32)), resolved_degree(Equiangular(nlat=64, nlon=64))
    (95, 31)
    """
    if isinstance(sampling, Healpix):
        return 3 * sampling.nside - 1
    if is_grid(sampling):
        sizes = ring_sizes(sampling)
        return max(1, min(len(sizes), max(sizes) // 2) - 1)
    return max(1, math.floor(0.85 * math.sqrt(sampling.num_vertices)))


def _ratio(
    symbol: Float[np.ndarray, "degrees"], gain: Float[np.ndarray, "degrees"]
) -> Float[np.ndarray, "degrees"]:
    """The c of least |c L f - f|: symbol over gain, zero for degree 0."""
    return np.divide(symbol, gain, out=np.zeros_like(symbol), where=np.arange(len(gain)) > 0)


def _squared_errors(
    symbol: Float[np.ndarray, "degrees"], gain: Float[np.ndarray, "degrees"]
) -> Float[np.ndarray, "degrees"]:
    """E of each degree; zero for degree 0."""
    return np.maximum(0.0, 2 - 2 * _ratio(symbol, gain) * symbol) * (np.arange(len(gain)) > 0)


def _mean_gaussian(squared: Float[np.ndarray, "entries"]) -> Float[np.ndarray, "entries"]:
    """A start that no solution depends on: weight 1/2 at the root mean square distance."""
    return np.exp(-math.log(2) * squared / squared.mean())


def _solved_no_worse(
    program: "_Program", gaussian: Float[np.ndarray, "orbits"]
) -> Float[np.ndarray, "orbits"]:
    """Weights whose error is below that of the Gaussian at every degree, if there are any."""
    reference = _squared_errors(*program.symbol_and_gain(gaussian, unit_mass=True))
    prior = np.divide(1.0, reference, out=np.zeros_like(reference), where=reference > _NO_ERROR)
    if not prior.any():  # as on Platonic solids
        return gaussian
    weights, best, least = gaussian, gaussian, math.inf
    for round_number in range(_ROUNDS + _RAISING_ROUNDS):
        symbol, gain = program.symbol_and_gain(weights)
        errors = _squared_errors(symbol, gain)[1:]
        # degrees of which symmetry leaves no error to either ask for nothing
        ratio = np.divide(
            errors, reference[1:], out=np.zeros_like(errors), where=reference[1:] > _NO_ERROR
        )
        ratio = np.sqrt(ratio)
        if ratio.max() < least:
            best, least = weights, ratio.max()
        if round_number >= _ROUNDS:
            if ratio.max() <= _NEAR_MARGIN:
                break
            prior[1:] *= np.maximum(1.0, ratio / _MARGIN) ** _RAISING_POWER
        weights = program.solve(prior, _ratio(symbol, gain), weights)
    return best


def _solved_for_fixed_symbol(
    program: "_Program", sampling: Sampling, start: Float[np.ndarray, "entries"]
) -> Float[np.ndarray, "orbits"]:
    """Weights for points that are not spread evenly: one solve, for a smooth symbol."""
    degrees = np.arange(program.max_degree + 1)
    area = 4 * math.pi / sampling.num_vertices
    eigenvalues = degrees * (degrees + 1.0)
    width = _SMOOTH_AREAS * area
    target = -np.expm1(-width * eigenvalues) / width
    inverse = np.divide(1.0, target, out=np.zeros_like(target), where=degrees > 0)
    prior = 1 / (_UNEVEN_FLAT_SHARE**2 + (degrees * math.sqrt(area) / _UNEVEN_BAND) ** 4)
    return program.solve(
        prior,
        inverse,
        program.mean_of_orbits(start),
        ridge=_GRID_RIDGE
        if isinstance(sampling, Equiangular | GaussLegendre)
        else _SCATTERED_RIDGE,
        max_products=_UNEVEN_PRODUCTS,
    )


@dataclass(frozen=True)
class _RowGroup:
    """Representative rows with the same number of neighbors."""

    rows: Int[np.ndarray, "rows"]
    orbits: Int[np.ndarray, "rows neighbors"]
    own: Float[np.ndarray, "rows neighbors"]
    between: Float[np.ndarray, "rows pairs"]


@dataclass(frozen=True)
class _Program:
    """The quadratic program of a sampling and edges: one row per orbit of vertices.

    Attributes
    ----------
    sampling
        The vertices.
    max_degree
        Largest degree that counts.
    permutations
        Symmetries, (elements, vertices).
    representatives
        A vertex of each orbit.
    entries
        Distances from the representatives, (representatives, vertices).
    orbit_of_entry
        The orbit of edges of each stored entry.
    shares
        Share of the sphere of each orbit of vertices; sums to one.
    inverse_mass
        1 / m of the representatives.
    """

    sampling: Sampling
    max_degree: int
    permutations: Int[np.ndarray, "elements vertices"]
    representatives: Int[np.ndarray, "rows"]
    entries: csr_matrix
    orbit_of_entry: Int[np.ndarray, "entries"]
    shares: Float[np.ndarray, "rows"]
    inverse_mass: Float[np.ndarray, "rows"]

    @property
    def num_orbits(self) -> int:
        """Number of unknowns."""
        return int(self.orbit_of_entry.max(initial=-1)) + 1

    @property
    def largest_squared_chord(self) -> float:
        """Of two vertices that meet in a row."""
        return min(4.0, 4.004 * float(self.entries.data.max()) ** 2)

    def mean_of_orbits(self, values: Float[np.ndarray, "entries"]) -> Float[np.ndarray, "orbits"]:
        """One value for each orbit of edges from those of its entries."""
        return np.bincount(self.orbit_of_entry, values) / np.bincount(self.orbit_of_entry)

    def symbol_and_gain(
        self, weights: Float[np.ndarray, "orbits"], *, unit_mass: bool = False
    ) -> tuple[Float[np.ndarray, "degrees"], Float[np.ndarray, "degrees"]]:
        """Mean symbol and gain of the Laplacian with these weights."""
        rows, starts = len(self.representatives), self.entries.indptr
        inverse = np.ones(rows) if unit_mass else self.inverse_mass
        values = weights[self.orbit_of_entry] * np.repeat(inverse, np.diff(starts))
        across = csr_matrix((values, self.entries.indices, starts), shape=self.entries.shape)
        sums = np.asarray(across.sum(axis=1)).reshape(-1)
        diagonal = csr_matrix(
            (sums, (np.arange(rows), self.representatives)), shape=self.entries.shape
        )
        points = self.sampling.points
        return symbol_and_gain(
            csr_matrix(diagonal - across),
            points,
            self.max_degree,
            areas=self.shares,
            row_points=points[self.representatives],
        )

    def solve(
        self,
        prior: Float[np.ndarray, "degrees"],
        inverse_symbol: Float[np.ndarray, "degrees"],
        start: Float[np.ndarray, "orbits"],
        *,
        ridge: float = 0.0,
        max_products: int = _PRODUCTS,
    ) -> Float[np.ndarray, "orbits"]:
        """The weights whose Laplacian comes nearest to a symbol, in the mean over degrees."""
        prior = prior * (np.arange(len(prior)) > 0)
        prior = prior / prior.sum()
        series = zonal_series(self.max_degree, self.largest_squared_chord)
        kernel, cross = (prior * inverse_symbol**2) @ series, (prior * inverse_symbol) @ series
        size = self.num_orbits
        linear, diagonal, blocks = np.zeros(size), np.zeros(size), []
        for group in self._groups():
            block, vector = self._block(group, kernel, cross)
            blocks.append((group.orbits, block))
            linear += np.bincount(group.orbits.ravel(), vector.ravel(), size)
            own = np.einsum("rjj->rj", block)
            diagonal += np.bincount(group.orbits.ravel(), own.ravel(), size)

        def hessian(weights: Float[np.ndarray, "orbits"]) -> Float[np.ndarray, "orbits"]:
            image = ridge * diagonal * weights
            for orbits, block in blocks:
                local = np.matmul(block, weights[orbits][:, :, None])
                image += np.bincount(orbits.ravel(), local.ravel(), size)
            return image

        # the best multiple of the start
        start = start * ((linear @ start) / (start @ hessian(start)))
        return minimize_nonnegative(
            hessian,
            linear,
            diagonal=(1 + ridge) * diagonal,
            start=start,
            max_products=max_products,
        )

    def _groups(self) -> Iterator[_RowGroup]:
        """Rows by number of neighbors, with squared chords."""
        starts, points = self.entries.indptr, self.sampling.points
        lengths = np.diff(starts)
        for length in np.unique(lengths[lengths > 0]):
            j, k = np.triu_indices(length, 1)
            alike = np.flatnonzero(lengths == length)
            for begin in range(0, len(alike), _ROWS_PER_GROUP):
                rows = alike[begin : begin + _ROWS_PER_GROUP]
                place = starts[rows][:, None] + np.arange(length)
                offsets = points[self.entries.indices[place]]
                offsets = offsets - points[self.representatives[rows]][:, None]
                own = np.einsum("rjc,rjc->rj", offsets, offsets)
                between = offsets[:, j] - offsets[:, k]
                apart = np.einsum("rpc,rpc->rp", between, between)
                yield _RowGroup(rows, self.orbit_of_entry[place], own, apart)

    def _block(
        self,
        group: _RowGroup,
        kernel: Float[np.ndarray, "terms"],
        cross: Float[np.ndarray, "terms"],
    ) -> tuple[Float[np.ndarray, "rows neighbors neighbors"], Float[np.ndarray, "rows neighbors"]]:
        """Quadratic and linear part of the objective for rows of one length."""
        largest = self.largest_squared_chord
        own = evaluate_series(kernel, group.own, largest)
        apart = evaluate_series(kernel, group.between, largest)
        block = own[:, :, None] + own[:, None, :]
        j, k = np.triu_indices(own.shape[1], 1)
        block[:, j, k] -= apart
        block[:, k, j] -= apart
        inverse = self.inverse_mass[group.rows, None]
        share = self.shares[group.rows, None]
        block *= (share * inverse**2)[:, :, None]
        return block, share * inverse * evaluate_series(cross, group.own, largest)

    def expand(self, weights: Float[np.ndarray, "orbits"]) -> csr_matrix:
        """The adjacency matrix of weights that are equal along orbits."""
        size, starts = self.sampling.num_vertices, self.entries.indptr
        positive = weights[self.orbit_of_entry] > 0
        values, column = weights[self.orbit_of_entry[positive]], self.entries.indices[positive]
        row = np.repeat(np.arange(len(self.representatives)), np.diff(starts))[positive]
        lengths = np.bincount(row, minlength=len(self.representatives))
        place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        # each vertex gets the row of its representative through the first element that reaches it
        first = self._first_elements()
        indptr = np.zeros(size + 1, dtype=np.int64)
        for element, fresh in zip(self.permutations, first, strict=True):
            indptr[element[self.representatives[fresh]] + 1] = lengths[fresh]
        np.cumsum(indptr, out=indptr)
        data = np.empty(indptr[-1])
        indices = np.empty(indptr[-1], dtype=np.int32)
        for element, fresh in zip(self.permutations, first, strict=True):
            kept = fresh[row]
            target = indptr[element[self.representatives]][row[kept]] + place[kept]
            data[target] = values[kept]
            indices[target] = element[column[kept]]
        if len(data) < np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        adjacency = csr_matrix((data, indices, indptr), shape=(size, size))
        adjacency.sort_indices()
        return adjacency

    def _first_elements(self) -> list[Bool[np.ndarray, "rows"]]:
        """For each symmetry the representatives that it takes where none before did."""
        done = np.zeros(self.sampling.num_vertices, dtype=bool)
        first = []
        for element in self.permutations:
            image = element[self.representatives]
            first.append(~done[image])
            done[image] = True
        return first


def _program(sampling: Sampling, distances: csr_matrix) -> _Program:
    """The program, with the symmetries of the sampling if the edges have them too."""
    permutations = vertex_permutations(sampling)
    program = _program_of_group(sampling, distances, permutations)
    if len(permutations) > 1:
        ones = program.expand(np.ones(program.num_orbits))
        same = ones.nnz == distances.nnz and (ones.indices == distances.indices).all()
        if not same:
            program = _program_of_group(sampling, distances, permutations[:1])
    return program


def _program_of_group(
    sampling: Sampling, distances: csr_matrix, permutations: Int[np.ndarray, "elements vertices"]
) -> _Program:
    """The program of one row for each orbit of vertices under a group of permutations."""
    size = sampling.num_vertices
    first = permutations.min(axis=0)
    representatives = np.flatnonzero(first == np.arange(size))
    entries = csr_matrix(distances[representatives])
    rows = np.repeat(representatives, np.diff(entries.indptr))
    name = np.full(len(rows), np.iinfo(np.int64).max)
    for element in permutations:
        one, other = element[rows].astype(np.int64), element[entries.indices].astype(np.int64)
        np.minimum(name, np.minimum(one, other) * size + np.maximum(one, other), out=name)
    orbit_of_entry = np.unique(name, return_inverse=True)[1].reshape(-1)
    masses = vertex_masses(sampling)
    shares = np.bincount(first, masses, size)[representatives]
    return _Program(
        sampling=sampling,
        max_degree=resolved_degree(sampling),
        permutations=permutations,
        representatives=representatives,
        entries=entries,
        orbit_of_entry=orbit_of_entry,
        shares=shares / shares.sum(),
        inverse_mass=1 / masses[representatives],
    )
