"""Real spherical harmonics at any points: analysis, synthesis, rotation, power spectra.

Float64 throughout. Coefficients are (*batch, (max_degree + 1)², channels); that of degree l and
order m, from −l to l, is at l² + l + m.
"""

import numpy as np
import scipy.linalg
from jaxtyping import Float

# Beyond, the sectoral harmonics that start the recurrence underflow where later ones do not.
LARGEST_DEGREE = 1500

# Smaller relative diagonals of the triangular factor mean that the points cannot tell harmonics
# apart: the coefficients would lose half of the digits.
MIN_RELATIVE_PIVOT = 1e-8


def real_harmonics(
    points: Float[np.ndarray, "vertices 3"], max_degree: int
) -> Float[np.ndarray, "vertices harmonics"]:
    """Values of the real spherical harmonics, orthonormal on the sphere.

    Y_lm = √2 P_lm(z) cos(m lon) for m > 0, P_l0(z) for m = 0, √2 P_l|m|(z) sin(|m| lon) for m < 0,
    with the normalized associated Legendre functions without the Condon-Shortley phase, by the
    three-term recurrence in l. So Y_00 = 1/√(4π), and Y_1 = √(3/4π) (y, z, x).

    Parameters
    ----------
    points
        Unit vectors.
    max_degree
        Largest degree l, from 0 to 1500.

    Returns
    -------
    Matrix (vertices, (max_degree + 1)²); the column of (l, m) is l² + l + m.

    Raises
    ------
    ValueError
        If the degree is out of range.

    Examples
    --------
    >>> Y = real_harmonics(np.eye(3), 1)
    >>> (Y[:, 1:] * np.sqrt(4 * np.pi / 3)).round(12).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]

    References
    ----------
    Holmes and Featherstone (2002), J. Geodesy 76, eq. 11 to 13.
    """
    _check_degree(max_degree)
    x, y, z = (points[:, axis, None] for axis in range(3))
    horizontal = np.hypot(x, y)
    safe = np.where(horizontal > 0, horizontal, 1.0)
    turn = np.where(horizontal > 0, (x + 1j * y) / safe, 1.0)
    turns = np.cumprod(np.repeat(turn, max(max_degree, 1), axis=1), axis=1)  # exp(i m lon), m > 0

    harmonics = np.empty((len(points), (max_degree + 1) ** 2))
    before = np.zeros((len(points), max_degree + 1))  # P of degree l − 1, for m = 0 .. max_degree
    legendre = np.zeros_like(before)
    legendre[:, 0] = np.sqrt(1 / (4 * np.pi))
    harmonics[:, 0] = legendre[:, 0]
    for degree in range(1, max_degree + 1):
        order = np.arange(degree)
        up = np.sqrt((4.0 * degree**2 - 1) / (degree**2 - order**2))
        # 0 / 3 for degree 1, which has no degree before the last
        down = np.sqrt(((degree - 1.0) ** 2 - order**2) / abs(4.0 * (degree - 1) ** 2 - 1))
        after = np.zeros_like(before)
        after[:, :degree] = up * (z * legendre[:, :degree] - down * before[:, :degree])
        after[:, degree] = (
            np.sqrt((2 * degree + 1) / (2 * degree)) * horizontal[:, 0] * legendre[:, degree - 1]
        )
        before, legendre = legendre, after
        zonal = degree * (degree + 1)
        harmonics[:, zonal] = legendre[:, 0]
        waves = np.sqrt(2) * legendre[:, 1 : degree + 1] * turns[:, :degree]
        harmonics[:, zonal + 1 : zonal + degree + 1] = waves.real
        harmonics[:, zonal - degree : zonal] = waves.imag[:, ::-1]
    return harmonics


def synthesize(
    coefficients: Float[np.ndarray, "*batch harmonics channels"],
    points: Float[np.ndarray, "vertices 3"],
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Values at points of the functions with given harmonic coefficients.

    f(x) = Σ_lm a_lm Y_lm(x).

    Parameters
    ----------
    coefficients
        Coefficients (*batch, (max_degree + 1)², channels).
    points
        Unit vectors.

    Returns
    -------
    Signals (*batch, vertices, channels).

    Raises
    ------
    ValueError
        If the number of coefficients is not the square of an integer.

    Examples
    --------
    >>> north = synthesize(np.eye(4)[:, 2:3], np.array([[0.0, 0.0, 1.0]]))
    >>> float((north[0, 0] / np.sqrt(3 / (4 * np.pi))).round(12))
    1.0
    """
    return real_harmonics(points, _degree_of(coefficients)) @ coefficients


def analyze(
    signals: Float[np.ndarray, "*batch vertices channels"],
    points: Float[np.ndarray, "points 3"],
    areas: Float[np.ndarray, "points"] | None,
    max_degree: int,
) -> Float[np.ndarray, "*batch harmonics channels"]:
    """Harmonic coefficients of signals, by weighted least squares.

    The a that minimizes Σ_i area_i |f(x_i) − Σ_lm a_lm Y_lm(x_i)|²: exact, on any points that
    determine them, for signals without higher degrees.

    Parameters
    ----------
    signals
        Signals (*batch, vertices, channels).
    points
        Unit vectors, at least (max_degree + 1)² of them.
    areas
        Areas of the vertices in steradian, not negative; None weights all equally.
    max_degree
        Largest degree l, from 0 to 1500.

    Returns
    -------
    Coefficients (*batch, (max_degree + 1)², channels).

    Raises
    ------
    ValueError
        If shapes do not match, the degree is out of range, or the points do not determine the
        coefficients.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(8)
    >>> coefficients = analyze(sampling.points[:, 2:], sampling.points, sampling.areas, 4)
    >>> float(coefficients[2, 0].round(6)), float(np.sqrt(4 * np.pi / 3).round(6))
    (2.046653, 2.046653)
    """
    _check_degree(max_degree)
    if signals.ndim < 2 or signals.shape[-2] != len(points):
        raise ValueError(
            f"signals must have the shape (..., {len(points)} vertices, channels), "
            f"got {signals.shape}"
        )
    if (max_degree + 1) ** 2 > len(points):
        raise ValueError(
            f"max_degree must be at most {int(len(points) ** 0.5) - 1} for {len(points)} points, "
            f"which determine no more coefficients, got {max_degree}"
        )
    weight = np.ones(len(points)) if areas is None else np.sqrt(areas)
    q, r = np.linalg.qr(weight[:, None] * real_harmonics(points, max_degree))
    pivots = np.abs(np.diag(r))
    if pivots.min() < MIN_RELATIVE_PIVOT * pivots.max():
        raise ValueError(
            f"the points do not determine the harmonics up to max_degree={max_degree}, as where "
            "they leave a large hole; use a smaller max_degree"
        )
    columns = np.moveaxis(signals, -2, 0).reshape(len(points), -1)
    solution = scipy.linalg.solve_triangular(r, q.T @ (weight[:, None] * columns))
    shape = (len(solution), *signals.shape[:-2], signals.shape[-1])
    return np.moveaxis(solution.reshape(shape), 0, -2)


def rotate_signal(
    signals: Float[np.ndarray, "*batch vertices channels"],
    points: Float[np.ndarray, "points 3"],
    rotation: Float[np.ndarray, "3 3"],
    *,
    max_degree: int,
    areas: Float[np.ndarray, "points"] | None = None,
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Signals of rotated functions, on the same points.

    (R f)(x) = f(R⁻¹ x), where f is the least-squares fit of the signal by harmonics: exact for
    signals without degrees above max_degree; higher degrees are lost or aliased.

    Parameters
    ----------
    signals
        Signals (*batch, vertices, channels).
    points
        Unit vectors, at least (max_degree + 1)² of them.
    rotation
        Active rotation matrix.
    max_degree
        Largest degree of the fit.
    areas
        Weights of the fit, in steradian; None weights all vertices equally.

    Returns
    -------
    Rotated signals, of the same shape.

    Raises
    ------
    ValueError
        If shapes do not match, or the points do not determine the fit.

    Examples
    --------
    >>> from deepsphere.geometry import rotation_zyz
    >>> from deepsphere.sampling import Healpix
    >>> x, y, z = np.split(Healpix(4).points, 3, axis=1)
    >>> eastward = rotation_zyz(np.pi / 2, 0.0, 0.0)  # takes the x axis to the y axis
    >>> rotated = rotate_signal(x, Healpix(4).points, eastward, max_degree=3)
    >>> bool(np.allclose(rotated, y))
    True
    """
    coefficients = analyze(signals, points, areas, max_degree)
    return synthesize(coefficients, points @ rotation)


def power_spectrum(
    coefficients: Float[np.ndarray, "*batch harmonics channels"],
) -> Float[np.ndarray, "*batch degrees channels"]:
    """Angular power spectrum of harmonic coefficients.

    C_l = Σ_m a_lm² / (2l + 1).

    Parameters
    ----------
    coefficients
        Coefficients (*batch, (max_degree + 1)², channels).

    Returns
    -------
    Spectra (*batch, max_degree + 1, channels), not negative.

    Raises
    ------
    ValueError
        If the number of coefficients is not the square of an integer.

    Examples
    --------
    >>> power_spectrum(np.ones((9, 1))).ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    degree = np.arange(_degree_of(coefficients) + 1)
    sums = np.add.reduceat(coefficients**2, degree**2, axis=-2)
    return sums / (2 * degree[:, None] + 1)


def _check_degree(max_degree: int) -> None:
    if not 0 <= max_degree <= LARGEST_DEGREE:
        raise ValueError(f"max_degree must be between 0 and {LARGEST_DEGREE}, got {max_degree}")


def _degree_of(coefficients: np.ndarray) -> int:
    """Largest degree of coefficients."""
    number = coefficients.shape[-2] if coefficients.ndim >= 2 else 0
    degree = int(np.sqrt(number)) - 1
    if number == 0 or (degree + 1) ** 2 != number:
        raise ValueError(
            "coefficients must have the shape (..., (max_degree + 1)², channels), "
            f"got {coefficients.shape}"
        )
    return degree
