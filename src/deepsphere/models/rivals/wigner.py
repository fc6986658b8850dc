"""Wigner's d-matrices: how the harmonics of a degree mix in a turn about the y axis."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from deepsphere.sampling.checks import as_integer


def wigner_d(
    angles: Float[np.ndarray, "angles"], num_degrees: int
) -> tuple[Float[np.ndarray, "angles rows columns"], ...]:
    r"""Wigner's small d-matrices of all degrees below a number, in float64.

    .. math:: d^l_{mn}(\beta) = \langle l m | e^{-i \beta J_y} | l n \rangle, \quad
              D^l_{mn}(\alpha, \beta, \gamma)
              = e^{-i m \alpha} \, d^l_{mn}(\beta) \, e^{-i n \gamma}

    with the phases of Condon and Shortley, so that :math:`D^l(Q R) = D^l(Q) D^l(R)`,
    :math:`d^1_{10}(\beta) = -\sin(\beta) / \sqrt 2`, and :math:`d^l_{m0}` are the associated
    Legendre functions. The matrices are orthogonal, and

    .. math:: d^l_{-m,-n} = (-1)^{m - n} d^l_{mn} = d^l_{nm}.

    By the three-term recurrence in the degree, which starts, where the degree is the larger of
    the two orders, from square roots of binomial probabilities. Entries are exact to 1e-12 up to
    degree 128 at least; those too small for a float are zero.

    Parameters
    ----------
    angles : ndarray, shape (angles,)
        β in radian, from 0 to π.
    num_degrees : int
        At least 1.

    Returns
    -------
    For each degree l from 0 to num_degrees - 1 the matrices (angles, 2 l + 1, 2 l + 1); orders
    run from -l to l, m along the rows and n along the columns.

    Raises
    ------
    ValueError
        If an angle is outside of [0, π] or there is no degree.

    Examples
    --------
    >>> constant, linear = wigner_d(np.array([np.pi / 2]), 2)
    >>> linear[0].round(4).tolist()
    [[0.5, 0.7071, 0.5], [-0.7071, 0.0, 0.7071], [0.5, -0.7071, 0.5]]

    References
    ----------
    Varshalovich, Moskalev and Khersonskii (1988), Quantum theory of angular momentum, section
    4.8; Kostelec and Rockmore (2008), FFTs on the rotation group, section 3.
    """
    num_degrees = as_integer("num_degrees", num_degrees, at_least=1)
    if not ((angles >= 0) & (angles <= np.pi)).all():
        raise ValueError(
            "angles must be between 0 and pi, got "
            f"{float(angles[~((angles >= 0) & (angles <= np.pi))][0])!r}; a turn by a negative "
            "angle is the transposed matrix"
        )
    return tuple(_matrices(angles, num_degrees))


def _matrices(angles: np.ndarray, num_degrees: int) -> Iterator[np.ndarray]:
    """The matrices, degree after degree."""
    before = np.zeros((len(angles), 0, 0))
    now = np.ones((len(angles), 1, 1))
    edges = _edges(angles)
    yield now
    for degree in range(1, num_degrees):
        inner = np.arange(1 - degree, degree)
        next(edges)
        after = np.empty((len(angles), 2 * degree + 1, 2 * degree + 1))
        after[:, 1:-1, 1:-1] = _next_degree(before, now, np.cos(angles), inner)
        _fill_edges(after, next(edges))
        before, now = now, after
        yield now


def _next_degree(
    before: np.ndarray, now: np.ndarray, cosines: np.ndarray, inner: np.ndarray
) -> np.ndarray:
    """The orders below the degree, from the two degrees before."""
    degree = len(inner) // 2 + 1
    if degree == 1:
        return cosines[:, None, None] * now
    last = degree - 1
    product = np.outer(inner, inner)
    reach = degree**2 - inner**2
    scale = last * np.sqrt(np.outer(reach, reach))
    middle = (2 * degree - 1) * (last * degree * cosines[:, None, None] - product) * now
    # the degree before the last has no orders as large as the last
    reach = last**2 - inner[1:-1] ** 2
    middle[:, 1:-1, 1:-1] -= degree * np.sqrt(np.outer(reach, reach)) * before
    return middle / scale


def _edges(angles: np.ndarray) -> Iterator[np.ndarray]:
    """sqrt(binom(2l, k)) cos(β/2)^(2l-k) sin(β/2)^k for 2l = 1, 2, ..., one row for each angle.

    Their squares are the chances of k successes in 2l trials, each that of one trial fewer with
    one more success or failure: sums of positive numbers.
    """
    success = np.sin(angles[:, None] / 2) ** 2
    failure = np.cos(angles[:, None] / 2) ** 2
    chances = np.ones((len(angles), 1))
    while True:
        chances = np.pad(failure * chances, ((0, 0), (0, 1))) + np.pad(
            success * chances, ((0, 0), (1, 0))
        )
        yield np.sqrt(chances)


def _fill_edges(matrices: np.ndarray, edge: np.ndarray) -> None:
    """The outermost rows and columns, by the symmetries of the matrices."""
    signs = (-1.0) ** np.arange(edge.shape[1])
    matrices[:, -1, ::-1] = signs * edge  # m = l, n from l to -l
    matrices[:, ::-1, -1] = edge  # n = l, m from l to -l
    matrices[:, 0, :] = edge  # m = -l, n from -l to l
    matrices[:, :, 0] = signs * edge  # n = -l, m from -l to l
