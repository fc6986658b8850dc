"""Functions of the eigenvalues of a Laplacian, which define filters of signals on its graph.

Each takes its parameters and returns a callable on an array of eigenvalues; a filter bank is a
tuple of them.
"""

from collections.abc import Callable

import numpy as np

SpectralFunction = Callable[[np.ndarray], np.ndarray]

# The low-pass of the Mexican hat bank covers the eigenvalues below this part of the largest, and
# its shape: values of Hammond et al. (2011), section 8.1, as in PyGSP.
_LOWEST_PART = 1.0 / 20.0
_LOW_PASS_HEIGHT = 1.2 * np.exp(-1.0)
_LOW_PASS_WIDTH = 0.4


def heat(time: float) -> SpectralFunction:
    """The heat kernel g(λ) = exp(-time λ): diffusion on the graph for some time.

    It keeps the mean of a signal (with the combinatorial Laplacian).

    Parameters
    ----------
    time
        At least 0, in units of 1 / λ.

    Raises
    ------
    ValueError
        If time is negative.

    Examples
    --------
    >>> heat(2.0)(np.array([0.0, 1.0])).round(3)
    array([1.   , 0.135])
    """
    _check_at_least_zero("time", time)
    return lambda eigenvalues: np.exp(-time * eigenvalues)


def tikhonov(strength: float) -> SpectralFunction:
    """The smoother g(λ) = 1 / (1 + strength λ).

    The filtered signal x minimises |x - y|² + strength x·L x for the input y.

    Parameters
    ----------
    strength
        At least 0, in units of 1 / λ.

    Raises
    ------
    ValueError
        If strength is negative.

    Examples
    --------
    >>> tikhonov(1.0)(np.array([0.0, 1.0, 3.0]))
    array([1.  , 0.5 , 0.25])
    """
    _check_at_least_zero("strength", strength)
    return lambda eigenvalues: 1.0 / (1.0 + strength * eigenvalues)


def ideal_low_pass(cutoff: float) -> SpectralFunction:
    """The projection on eigenvalues up to a cutoff: g(λ) = 1 if λ <= cutoff, else 0.

    Its jump has no good polynomial approximation: filter with ``method="exact"``.

    Parameters
    ----------
    cutoff
        At least 0.

    Raises
    ------
    ValueError
        If cutoff is negative.

    Examples
    --------
    >>> ideal_low_pass(1.0)(np.array([0.0, 1.0, 3.0]))
    array([1., 1., 0.])
    """
    _check_at_least_zero("cutoff", cutoff)
    return lambda eigenvalues: (eigenvalues <= cutoff).astype(np.float64)


def gaussian_band(center: float, bandwidth: float) -> SpectralFunction:
    """The band-pass g(λ) = exp(-(λ - center)² / (2 bandwidth²)).

    Parameters
    ----------
    center
        The eigenvalue let through unchanged.
    bandwidth
        Standard deviation, positive.

    Raises
    ------
    ValueError
        If bandwidth is not positive.

    Examples
    --------
    >>> gaussian_band(1.0, 0.5)(np.array([0.5, 1.0])).round(3)
    array([0.607, 1.   ])
    """
    if not bandwidth > 0:
        raise ValueError(
            f"bandwidth must be positive, got {bandwidth}; "
            "use a part of graph.lambda_max, for example a tenth"
        )
    return lambda eigenvalues: np.exp(-((eigenvalues - center) ** 2) / (2.0 * bandwidth**2))


def mexican_hat(lambda_max: float, *, num_filters: int = 6) -> tuple[SpectralFunction, ...]:
    """A bank of wavelets g(sλ) = sλ exp(-sλ) at scales s, after a low-pass: the Mexican hat frame.

    The first function is the low-pass, 1.2 e⁻¹ exp(-(λ / 0.4 λ_min)⁴) with λ_min = λ_max / 20; the
    others go from the largest scale, 2 / λ_min, to the smallest, 1 / λ_max, in a geometric series.

    Parameters
    ----------
    lambda_max
        The largest eigenvalue, positive.
    num_filters
        Low-pass and wavelets together, at least 2.

    Returns
    -------
    tuple of callables
        The low-pass and num_filters - 1 wavelets.

    Raises
    ------
    ValueError
        If num_filters is less than 2 or lambda_max not positive.

    Examples
    --------
    >>> [g(np.zeros(1)).round(3).item() for g in mexican_hat(2.0, num_filters=3)]
    [0.441, 0.0, 0.0]

    References
    ----------
    Hammond, Vandergheynst and Gribonval, 2011, Wavelets on graphs via spectral graph theory.
    """
    _check_bank(lambda_max, num_filters)
    lowest = _LOWEST_PART * lambda_max

    def low_pass(eigenvalues: np.ndarray) -> np.ndarray:
        return _LOW_PASS_HEIGHT * np.exp(-((eigenvalues / (_LOW_PASS_WIDTH * lowest)) ** 4))

    def wavelet(scale: float) -> SpectralFunction:
        return lambda eigenvalues: scale * eigenvalues * np.exp(-scale * eigenvalues)

    scales = np.geomspace(2.0 / lowest, 1.0 / lambda_max, num_filters - 1)
    return (low_pass, *(wavelet(float(scale)) for scale in scales))


def itersine(lambda_max: float, *, num_filters: int = 6) -> tuple[SpectralFunction, ...]:
    """A bank of overlapping bands whose squares sum to one: the itersine tight frame.

    g_i(λ) = k(λ / 2Δ - i / 2), k(x) = sin(π/2 cos²(πx)) for |x| < 1/2, with Δ = λ_max /
    (num_filters - 1). Filtering keeps the energy, and filtering the outputs again with the same
    functions and adding them gives the signal back.

    Parameters
    ----------
    lambda_max
        The largest eigenvalue, positive.
    num_filters
        At least 2.

    Returns
    -------
    tuple of callables
        From the lowest band to the highest.

    Raises
    ------
    ValueError
        If num_filters is less than 2 or lambda_max not positive.

    Examples
    --------
    >>> bank = itersine(2.0, num_filters=4)
    >>> sum(g(np.array([0.1, 1.234])) ** 2 for g in bank).round(12)
    array([1., 1.])

    References
    ----------
    Perraudin et al., 2014, GSPBOX: a toolbox for signal processing on graphs, section 5.
    """
    _check_bank(lambda_max, num_filters)
    spacing = lambda_max / (num_filters - 1)

    def band(index: int) -> SpectralFunction:
        def function(eigenvalues: np.ndarray) -> np.ndarray:
            position = eigenvalues / (2.0 * spacing) - index / 2.0
            inside = np.abs(position) < 0.5
            return np.where(inside, np.sin(0.5 * np.pi * np.cos(np.pi * position) ** 2), 0.0)

        return function

    return tuple(band(index) for index in range(num_filters))


def _check_at_least_zero(name: str, value: float) -> None:
    """Refuse a negative (or NaN) parameter."""
    if not value >= 0:
        raise ValueError(f"{name} must be at least 0, got {value}; use a positive number")


def _check_bank(lambda_max: float, num_filters: int) -> None:
    """Refuse a bank of fewer than two filters or on no interval."""
    if num_filters < 2:
        raise ValueError(f"num_filters must be at least 2, got {num_filters}; use 6, the default")
    if not lambda_max > 0:
        raise ValueError(f"lambda_max must be positive, got {lambda_max}; use graph.lambda_max")
