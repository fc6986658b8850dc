"""The polynomial of a Laplacian that smooths as a Gaussian beam does."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float
from numpy.polynomial.chebyshev import chebvander
from scipy.interpolate import CubicSpline

from deepsphere.graph.degree_eigenvalues import degree_eigenvalues
from deepsphere.graph.sphere_graph import SphereGraph

# Degrees looked at, as a multiple of √(vertices / 12), the nside of HEALPix: eigenvalues cease to
# rise at 3 of it (k = 8 to 40).
_DEGREES_PER_NSIDE = 4
# Where eigenvalues rise this much slower with l (l + 1) than at first, they hardly tell degrees.
_LEAST_SLOPE = 0.1
# As many places are fitted at most, the denser the lower the degree.
_MAX_PLACES = 600
# Beyond the degrees there is nothing to be right about: the polynomial only has to stay low.
_NUM_BEYOND = 400
_WEIGHT_BEYOND = 0.015
# Combinations of polynomials that are smaller on all places, relative to the largest, are left out.
_SMALLEST_PART = 1e-6
# Largest order of a polynomial: a beam for it is some hundred vertices wide.
MAX_ORDER = 200
# Degrees of the signal for which the error is estimated, as a multiple of the same.
_JUDGED_PER_NSIDE = 1.5
# Larger relative errors are refused.
LARGEST_ERROR = 0.1
# Eigenvalues between degrees, per degree: the polynomial shall not swing there.
_PLACES_PER_DEGREE = 4


@dataclass(frozen=True)
class DegreeCurve:
    """Which degree each eigenvalue of a graph stands for: pairs that are fitted.

    Attributes
    ----------
    places
        Rescaled eigenvalues, in [-1, 1], increasing.
    squared_degrees
        The l (l + 1) of each.
    weights
        Of each, in a fit: 1 for those that harmonics have.
    deviations
        How far the Laplacian is from having this eigenvalue with harmonics of this degree, as a
        deviation of l (l + 1); 0 for degrees that do not count.
    """

    places: Float[np.ndarray, "places"]
    squared_degrees: Float[np.ndarray, "places"]
    weights: Float[np.ndarray, "places"]
    deviations: Float[np.ndarray, "places"]


# of graphs that still exist: it takes a second, and graphs never change
_CURVES: WeakKeyDictionary[SphereGraph, DegreeCurve] = WeakKeyDictionary()


def vertex_distance(graph: SphereGraph) -> float:
    """The square root of the mean area of vertices, in radians.

    Parameters
    ----------
    graph

    Returns
    -------
    float

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> round(vertex_distance(build_graph(Healpix(nside=8))) * 8, 3)  # √(pi / 3)
    1.023
    """
    return math.sqrt(float(graph.sampling.areas.mean()))


def degree_curve(graph: SphereGraph) -> DegreeCurve:
    """Which degree each eigenvalue of a graph stands for.

    The mean eigenvalue of each degree (:func:`degree_eigenvalues`), up to the degree where it
    hardly rises; a straight line from there to the largest eigenvalue, of little weight.

    Parameters
    ----------
    graph
        With a Laplacian whose rows sum to zero.

    Returns
    -------
    DegreeCurve

    Raises
    ------
    ValueError
        If the Laplacian is another one, or every vertex is near a border.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> curve = degree_curve(build_graph(Healpix(nside=16), num_neighbors=20))
    >>> curve.squared_degrees[:9:4]
    array([0., 2., 6.])
    """
    if graph in _CURVES:
        return _CURVES[graph]
    nside = math.sqrt(4 * math.pi / 12) / vertex_distance(graph)
    max_degree = max(math.ceil(_DEGREES_PER_NSIDE * nside), 2)
    eigenvalues, deviations = degree_eigenvalues(graph, max_degree)
    degrees = np.arange(max_degree + 1.0)
    slopes = np.diff(eigenvalues) / np.diff(degrees * (degrees + 1))
    flat = np.flatnonzero(slopes < _LEAST_SLOPE * slopes[0])
    last = int(flat[0]) if len(flat) else max_degree
    end, slope = eigenvalues[last], slopes[last - 1]
    # the cosine puts places where polynomials can swing: at the largest eigenvalue
    whole = max(graph.lambda_max, end)
    angles = np.linspace(math.acos(1 - 2 * end / whole), math.pi, _NUM_BEYOND + 1)
    beyond = whole * (1 - np.cos(angles[1:])) / 2
    between = np.linspace(0, last, min(_PLACES_PER_DEGREE * last, _MAX_PLACES) + 1)
    kept = slice(last + 1)
    inside = CubicSpline(degrees[kept], eigenvalues[kept])(between)
    judged = between <= _JUDGED_PER_NSIDE * nside
    rise = np.interp(between, degrees[1 : last + 1] - 0.5, slopes[:last])
    errors = np.interp(between, degrees[kept], deviations[kept]) / rise
    _CURVES[graph] = DegreeCurve(
        np.concatenate([inside, beyond]) * (2 / graph.lambda_max) - 1,
        np.concatenate([between * (between + 1), last * (last + 1) + (beyond - end) / slope]),
        np.concatenate([np.ones(len(inside)), np.full(_NUM_BEYOND, _WEIGHT_BEYOND)]),
        np.concatenate([np.where(judged, errors, 0.0), np.zeros(_NUM_BEYOND)]),
    )
    return _CURVES[graph]


def beam_errors(
    curve: DegreeCurve, sigma: Float[np.ndarray, "widths"]
) -> Float[np.ndarray, "widths"]:
    r"""About how far a function of a Laplacian is from the beam, for a signal that is white.

    To first order, an operator that misses the eigenvalue of a harmonic by δ makes
    :math:`|g'(\lambda)| \delta` of it. Summed over the degrees up to 1.5 nside, relative to the
    smoothed signal.

    Parameters
    ----------
    curve
    sigma
        Standard deviation of each beam, in radians.

    Returns
    -------
    ndarray
        (widths,), root mean squares.

    Examples
    --------
    >>> curve = DegreeCurve(np.linspace(-1, 1, 9), np.arange(9.0), np.ones(9), np.zeros(9))
    >>> beam_errors(curve, np.array([0.1]))
    array([0.])
    """
    transfer = np.exp(-0.5 * np.outer(curve.squared_degrees, sigma**2))
    missed = transfer * 0.5 * np.outer(curve.deviations, sigma**2)
    # as many harmonics as l (l + 1) grows by
    counts = np.gradient(curve.squared_degrees)[:, None] * (curve.weights == 1)[:, None]
    return np.sqrt((counts * missed**2).sum(axis=0) / (counts * transfer**2).sum(axis=0))


def fit_matrix(curve: DegreeCurve, order: int) -> Float[np.ndarray, "size places"]:
    """From values at the places of a curve to the Chebyshev coefficients that fit them best.

    Parameters
    ----------
    curve
    order
        Degree of the polynomial, at least 0.

    Returns
    -------
    ndarray
        (order + 1, places), of the weighted least squares.

    Examples
    --------
    >>> curve = DegreeCurve(np.linspace(-1, 1, 9), np.arange(9.0), np.ones(9), np.zeros(9))
    >>> (fit_matrix(curve, 2) @ curve.places**2).round(12) + 0.0
    array([0.5, 0. , 0.5])
    """
    basis = chebvander(curve.places, order)
    # finer combinations would be rounding errors of 32 bits
    return np.linalg.pinv(curve.weights[:, None] * basis, rcond=_SMALLEST_PART) * curve.weights


def filter_order(
    curve: DegreeCurve, sigma: Float[np.ndarray, "widths"], *, tolerance: float
) -> int:
    """The least order of polynomials that are Gaussian beams, up to a tolerance at each degree.

    Parameters
    ----------
    curve
    sigma
        Standard deviation of each beam, in radians.
    tolerance
        Largest error of a transfer function.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is above `MAX_ORDER`.

    Examples
    --------
    >>> places, ones = np.linspace(-1, 1, 99), np.ones(99)
    >>> curve = DegreeCurve(places, 1 + places, ones, 0 * ones)
    >>> filter_order(curve, np.array([1.0]), tolerance=1e-3)
    3
    """
    transfer = np.exp(-0.5 * np.outer(curve.squared_degrees, sigma**2))
    basis = chebvander(curve.places, MAX_ORDER)
    counts = curve.weights == 1

    def error(order: int) -> float:
        fitted = basis[counts, : order + 1] @ (fit_matrix(curve, order) @ transfer)
        return float(np.abs(fitted - transfer[counts]).max())

    order = bisect_left(range(MAX_ORDER + 1), True, key=lambda order: error(order) <= tolerance)
    if order <= MAX_ORDER:
        return order
    widest = float(sigma.max()) * math.sqrt(8 * math.log(2)) * 60 * 180 / math.pi
    raise ValueError(
        f"the beam must be one that a polynomial of order {MAX_ORDER} can be on this graph, got a "
        f"full width of up to {widest:.4g} arcminutes, which errs by {error(MAX_ORDER):.2g}; "
        "smooth on a coarser sampling, or allow a larger tolerance"
    )
