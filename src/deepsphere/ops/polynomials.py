"""Bases of polynomials written in Chebyshev polynomials, so that one kernel serves them all."""

from math import comb

import numpy as np
from jaxtyping import Float
from numpy.polynomial import chebyshev


def monomials_in_chebyshev(num_terms: int) -> Float[np.ndarray, "chebyshev monomials"]:
    """The matrix whose column j holds the Chebyshev coefficients of ``t^j``.

    Parameters
    ----------
    num_terms : int, at least 1

    Returns
    -------
    ndarray, shape (num_terms, num_terms), float64

    Examples
    --------
    >>> monomials_in_chebyshev(3)[:, 2]  # t² = (T_0 + T_2) / 2
    array([0.5, 0. , 0.5])
    """
    matrix = np.zeros((num_terms, num_terms))
    for power in range(num_terms):
        coefficients = chebyshev.poly2cheb([0.0] * power + [1.0])
        matrix[: len(coefficients), power] = coefficients
    return matrix


def bernstein_in_chebyshev(num_terms: int) -> Float[np.ndarray, "chebyshev bernstein"]:
    """The matrix whose column j holds the Chebyshev coefficients of a Bernstein polynomial.

    ``B_j(t) = binom(P, j) s^j (1 - s)^(P - j)`` with ``s = (1 + t) / 2`` and ``P = num_terms - 1``.

    Parameters
    ----------
    num_terms : int, at least 1

    Returns
    -------
    ndarray, shape (num_terms, num_terms), float64

    Examples
    --------
    >>> bernstein_in_chebyshev(2)  # (1 - t) / 2 and (1 + t) / 2
    array([[ 0.5,  0.5],
           [-0.5,  0.5]])
    """
    order = num_terms - 1
    matrix = np.zeros((num_terms, num_terms))
    for index in range(num_terms):
        rising = chebyshev.chebpow([0.5, 0.5], index)
        falling = chebyshev.chebpow([0.5, -0.5], order - index)
        coefficients = comb(order, index) * chebyshev.chebmul(rising, falling)
        matrix[: len(coefficients), index] = coefficients
    return matrix
