"""Sums of zonal harmonics over pairs of neighbors: what an operator does to each degree."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

# Pairs treated at once: their Chebyshev polynomials stay in the second-level cache, and products of
# matrices are too small for a BLAS to share among threads, which spin where other programs run.
_PAIRS_PER_CHUNK = 2**12
# Chebyshev polynomials are formed as products of one of these many low ones and one high one.
_LOW_POLYNOMIALS = 8
# Terms beyond those that the oscillations of P_l ask for: the rest of the series is below 1e-14.
_SPARE_TERMS = 30


def one_minus_legendre(
    squared_chord: Float[np.ndarray, "*pairs"], max_degree: int
) -> Float[np.ndarray, "degrees *pairs"]:
    r"""Legendre polynomials subtracted from one, without cancellation for near points.

    .. math:: Q_l(u) = 1 - P_l(1 - u/2), \quad u = |x - y|^2

    Parameters
    ----------
    squared_chord : ndarray
        u, from 0 to 4.
    max_degree : int
        Largest degree, at least 0.

    Returns
    -------
    ndarray, shape (max_degree + 1, \*pairs)
        From 0 to 2; accurate to rounding relative to u.

    Examples
    --------
    >>> one_minus_legendre(np.array([1e-20, 2.0]), 2)[:, 1]
    array([0. , 1. , 1.5])
    >>> one_minus_legendre(np.array([1e-20, 2.0]), 2)[:, 0] / 1e-20  # l (l + 1) / 4
    array([0. , 0.5, 1.5])
    """
    half = squared_chord / 2
    values = np.zeros((max_degree + 1, *half.shape))
    legendre, step = np.ones_like(half), np.zeros_like(half)
    for degree in range(max_degree):
        step = (degree * step - (2 * degree + 1) * half * legendre) / (degree + 1)
        legendre = legendre + step
        values[degree + 1] = values[degree] - step
    return values


def zonal_series(
    max_degree: int, largest_squared_chord: float
) -> Float[np.ndarray, "degrees terms"]:
    r"""Chebyshev coefficients of all :math:`Q_l(u) / u` on an interval that starts at 0.

    .. math:: Q_l(u) = u \sum_q C_{lq}\, T_q(2 u / u_{max} - 1), \quad 0 \le u \le u_{max}

    With :math:`\theta` the angle of the largest chord, :math:`Q_l` oscillates :math:`l \theta / 2`
    times in the Chebyshev angle; beyond, coefficients fall faster than any power. A polynomial of
    degree l - 1 never needs more than l.

    Parameters
    ----------
    max_degree : int
    largest_squared_chord : float
        :math:`u_{max}`, above 0, at most 4.

    Returns
    -------
    ndarray, shape (max_degree + 1, terms)

    Examples
    --------
    >>> series = zonal_series(3, 0.5)
    >>> value = 0.5 * series.sum(axis=1)  # every T_q(1) is one
    >>> bool(np.allclose(value, one_minus_legendre(np.array(0.5), 3)))
    True
    """
    angle = 2 * math.asin(min(1.0, math.sqrt(largest_squared_chord) / 2))
    terms = max(2, min(max_degree + 1, _SPARE_TERMS + math.ceil(0.65 * max_degree * angle)))
    node_angles = np.pi * (np.arange(terms) + 0.5) / terms
    nodes = largest_squared_chord * (np.cos(node_angles) + 1) / 2
    values = one_minus_legendre(nodes, max_degree) / nodes
    series = 2 / terms * values @ np.cos(np.outer(np.arange(terms), node_angles)).T
    series[:, 0] /= 2
    return series


def evaluate_series(
    coefficients: Float[np.ndarray, "terms"],
    squared_chord: Float[np.ndarray, "*pairs"],
    largest_squared_chord: float,
) -> Float[np.ndarray, "*pairs"]:
    r"""Sum of a series of :func:`zonal_series`, factor u included.

    .. math:: K(u) = u \sum_q c_q\, T_q(2 u / u_{max} - 1)

    Parameters
    ----------
    coefficients : ndarray, shape (terms,)
        c, for instance a mixture of the rows of :func:`zonal_series`.
    squared_chord : ndarray
        u, from 0 to the largest.
    largest_squared_chord : float

    Returns
    -------
    ndarray
        Of the shape of u.

    Examples
    --------
    >>> evaluate_series(np.array([3.0]), np.array([0.1, 0.2]), 0.5)
    array([0.3, 0.6])
    """
    # terms below the rounding of the sum are not worth a pass over the data
    significant = np.flatnonzero(np.abs(coefficients) > 1e-17 * np.abs(coefficients).max(initial=0))
    coefficients = coefficients[: significant[-1] + 1] if len(significant) else coefficients[:1]
    values = np.empty(squared_chord.shape)
    flat, out = squared_chord.reshape(-1), values.reshape(-1)
    for start in range(0, flat.size, _PAIRS_PER_CHUNK):
        u = flat[start : start + _PAIRS_PER_CHUNK]
        twice = (4 / largest_squared_chord) * u - 2
        last, before, spare = np.zeros_like(u), np.zeros_like(u), np.empty_like(u)
        for coefficient in coefficients[:0:-1]:  # the recurrence of Clenshaw
            np.multiply(twice, last, out=spare)
            spare -= before
            spare += coefficient
            before, last, spare = last, spare, before
        out[start : start + _PAIRS_PER_CHUNK] = u * (coefficients[0] + twice / 2 * last - before)
    return values


def symbol_and_gain(
    operator: csr_matrix,
    points: Float[np.ndarray, "vertices 3"],
    max_degree: int,
    *,
    areas: Float[np.ndarray, "rows"] | None = None,
    rows: Int[np.ndarray, "chosen"] | None = None,
    row_points: Float[np.ndarray, "rows 3"] | None = None,
) -> tuple[Float[np.ndarray, "degrees"], Float[np.ndarray, "degrees"]]:
    r"""What an operator does to harmonics of each degree, on average over orders and rotations.

    .. math:: \lambda_l &= \sum_i q_i \sum_j A_{ij} P_l(x_i \cdot x_j) \\
              s_l &= \sum_i q_i \sum_{jk} A_{ij} A_{ik} P_l(x_j \cdot x_k)

    The mean symbol :math:`\lambda_l` is the best multiple of the identity to stand for A on degree
    l; the gain :math:`s_l` is the mean square of what A makes of a harmonic of mean square one.
    Both are sums over pairs of vertices that meet in a row, hence local, and exact for the
    quadrature weights :math:`q`. They are formed from :math:`Q_l = 1 - P_l`, so that rows that sum
    to zero lose no digits, through the Chebyshev moments of the pairs, so that the cost does not
    depend on the number of degrees.

    Parameters
    ----------
    operator : csr_matrix, shape (rows, vertices)
        Any sparse operator on signals.
    points : ndarray, shape (vertices, 3)
        Unit vectors of the vertices.
    max_degree : int
        Largest degree, at least 0.
    areas : ndarray, shape (rows,), optional
        Quadrature weights up to a factor; equal if not given.
    rows : ndarray of int, optional
        The rows that count; all if not given.
    row_points : ndarray, shape (rows, 3), optional
        Unit vectors of the rows, where they are not the vertices (as for a pooling matrix).

    Returns
    -------
    symbol, gain : ndarray, shape (max_degree + 1,)

    Raises
    ------
    ValueError
        If no row counts, or only rows without area.

    Examples
    --------
    >>> from scipy.sparse import identity
    >>> from deepsphere.sampling import Healpix
    >>> points = Healpix(nside=2).points
    >>> symbol, gain = symbol_and_gain(3 * identity(48, format="csr"), points, 2)
    >>> symbol.round(12).tolist(), gain.round(12).tolist()
    ([3.0, 3.0, 3.0], [9.0, 9.0, 9.0])
    """
    chosen = np.arange(operator.indptr.size - 1) if rows is None else np.asarray(rows)
    weights = np.ones(len(chosen)) if areas is None else np.asarray(areas, dtype=float)[chosen]
    if not weights.sum() > 0:
        raise ValueError(
            f"rows must hold at least one row of positive area, got {len(chosen)} of total area "
            f"{weights.sum():g}; measure lower degrees, or all rows"
        )
    weights = weights / weights.sum()
    centers = points if row_points is None else row_points
    operator = csr_matrix(operator, dtype=np.float64)
    sums = np.asarray(operator.sum(axis=1)).reshape(-1)[chosen]
    largest = _largest_squared_chord(operator, points, centers)
    series = zonal_series(max_degree, largest)
    symbol_moments, gain_moments = np.zeros(series.shape[1]), np.zeros(series.shape[1])
    for place, columns, values in _rows_of_equal_length(operator, chosen):
        first = points[columns[:, 0]]  # pairs by differences from one neighbor stay accurate
        offsets = points[columns] - first[:, None]
        from_center = offsets - (centers[chosen[place]] - first)[:, None]
        own = np.einsum("rjc,rjc->rj", from_center, from_center)
        symbol_moments += _moments(
            own.ravel(), (weights[place, None] * values).ravel(), largest, len(symbol_moments)
        )
        j, k = np.triu_indices(columns.shape[1], 1)
        between = offsets[:, j] - offsets[:, k]
        apart = np.einsum("rpc,rpc->rp", between, between)
        products = 2 * weights[place, None] * values[:, j] * values[:, k]
        gain_moments += _moments(apart.ravel(), products.ravel(), largest, len(gain_moments))
    symbol = float(weights @ sums) - series @ symbol_moments
    gain = float(weights @ sums**2) - series @ gain_moments
    return symbol, gain


def _largest_squared_chord(
    operator: csr_matrix,
    points: Float[np.ndarray, "vertices 3"],
    centers: Float[np.ndarray, "rows 3"],
) -> float:
    """A bound of the squared chords between the center and the vertices of a row, and of these."""
    reach = points[operator.indices] - np.repeat(centers, np.diff(operator.indptr), axis=0)
    longest = float(np.einsum("ec,ec->e", reach, reach).max(initial=0.0))
    return min(4.0, 4.004 * longest + 1e-300)  # two vertices of a row are at most twice as far


def _rows_of_equal_length(
    operator: csr_matrix, chosen: Int[np.ndarray, "chosen"]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places in `chosen`, columns and values of rows with the same number of entries."""
    lengths = np.diff(operator.indptr)[chosen]
    for length in np.unique(lengths[lengths > 0]):
        places = np.flatnonzero(lengths == length)
        step = max(1, 8 * _PAIRS_PER_CHUNK // int(length) ** 2)
        for start in range(0, len(places), step):
            place = places[start : start + step]
            entries = operator.indptr[chosen[place]][:, None] + np.arange(length)
            yield place, operator.indices[entries], operator.data[entries]


def _moments(
    squared_chord: Float[np.ndarray, "pairs"],
    values: Float[np.ndarray, "pairs"],
    largest: float,
    terms: int,
) -> Float[np.ndarray, "terms"]:
    r"""Chebyshev moments of weighted pairs, :math:`\sum v u T_q(2 u / u_{max} - 1)`.

    Products :math:`T_a T_{b}` of few low and few high polynomials are summed by a matrix product,
    and :math:`2 T_a T_b = T_{a+b} + T_{|a-b|}` undoes them.
    """
    low = min(_LOW_POLYNOMIALS, terms)
    high = -(-terms // low)
    products = np.zeros((low, high))
    for start in range(0, squared_chord.size, _PAIRS_PER_CHUNK):
        u = squared_chord[start : start + _PAIRS_PER_CHUNK]
        x = (2 / largest) * u - 1
        # T_low starts the high ones: T_0, T_low, T_2low, ...
        first = _chebyshev(np.stack([np.ones_like(x), x]), low + 1, x)
        second = _chebyshev(np.stack([first[0], first[low]]), high, first[low])
        first[:low] *= values[start : start + _PAIRS_PER_CHUNK] * u
        products += first[:low] @ second.T
    moments = np.empty(low * high)
    moments[:low] = products[:, 0]
    for block in range(1, high):
        begin = block * low
        moments[begin] = products[0, block]
        for order in range(1, low):
            moments[begin + order] = 2 * products[order, block] - moments[begin - order]
    return moments[:terms]


def _chebyshev(
    start: Float[np.ndarray, "2 pairs"], number: int, variable: Float[np.ndarray, "pairs"]
) -> Float[np.ndarray, "number pairs"]:
    """The first polynomials of a Chebyshev recurrence in a variable, from its first two."""
    polynomials = np.empty((max(number, 2), start.shape[1]))
    polynomials[:2] = start
    twice = 2 * variable
    for order in range(2, number):
        np.multiply(twice, polynomials[order - 1], out=polynomials[order])
        polynomials[order] -= polynomials[order - 2]
    return polynomials[:number]
