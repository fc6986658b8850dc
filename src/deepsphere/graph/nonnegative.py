"""Minima of convex quadratic functions over nonnegative variables."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

# Exchanges of all infeasible variables that may fail to make them fewer before single exchanges.
_FULL_EXCHANGES = 3
# Variables that are free at first: about as many as a row keeps, the first ones.
_FIRST_FREE = 16
# Rounds of exchanges per variable before a row is left with what it has; ten rounds are usual.
_EXCHANGES_PER_VARIABLE = 5
# Relative size of the gradient below which a solution counts as found: rounding of the products.
_CONVERGED = 1e-12
# Variables of a smaller relative diagonal are lost in the rounding of the products.
_NEGLIGIBLE = 1e-12
# Balance between moving within the free variables and freeing others (Gamma of the reference).
_PROPORTION = 1.0
# With fewer negative variables than this share, the search with bounds gets this share of products.
_FEW_NEGATIVE = 1e-2
_SHARE_FOR_FEW = 0.2
# Products with the Hessian spent on the estimate of its norm.
_NORM_ITERATIONS = 15


def minimize_nonnegative(
    hessian: Callable[[Float[np.ndarray, "variables"]], Float[np.ndarray, "variables"]],
    linear: Float[np.ndarray, "variables"],
    *,
    diagonal: Float[np.ndarray, "variables"],
    start: Float[np.ndarray, "variables"],
    max_products: int,
) -> Float[np.ndarray, "variables"]:
    r"""The nonnegative minimum of a quadratic function known by products with its Hessian.

    .. math:: \min_{w \ge 0} \; w^T H w - 2 b^T w

    Conjugate gradients, scaled by the diagonal, first without the bounds. If variables come out
    negative they are set to zero, and conjugate gradients among the positive variables alternate
    with projected gradient steps that bind several variables at once, and with steps that free
    variables that want to be positive.

    Parameters
    ----------
    hessian : callable
        w to H w; symmetric, positive semidefinite.
    linear : ndarray
        b.
    diagonal : ndarray
        Diagonal of H; variables where it is zero, or below 1e-12 of the largest, keep their start.
    start : ndarray
        First guess, not negative.
    max_products : int
        Products with the Hessian before the search is stopped where it is: once without the bounds,
        and again with them if they bind.

    Returns
    -------
    ndarray
        w, not negative.

    Examples
    --------
    >>> H = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> minimize_nonnegative(
    ...     H.dot, np.array([1.0, -1.0]), diagonal=np.diag(H), start=np.ones(2), max_products=20
    ... ).round(12)
    array([0.5, 0. ])

    References
    ----------
    Dostál and Schöberl, 2005, Minimizing quadratic functions subject to bound constraints with the
    rate of convergence and finite termination (algorithm 5.8).
    """
    counts = diagonal > _NEGLIGIBLE * diagonal.max(initial=0.0)
    scale = np.zeros_like(diagonal)
    scale[counts] = 1 / np.sqrt(diagonal[counts])

    def product(scaled: Float[np.ndarray, "variables"]) -> Float[np.ndarray, "variables"]:
        return scale * hessian(scale * scaled)

    fixed = np.where(counts, 0.0, start)
    right = scale * (linear - hessian(fixed)) if fixed.any() else scale * linear
    first = np.where(counts, start * np.sqrt(np.where(counts, diagonal, 1.0)), 0.0)
    solution = _conjugate_gradients(product, right, first, max_products)
    negative = np.count_nonzero(solution < 0)
    if negative:
        # to bind a few variables moves the others little
        share = 1.0 if negative > _FEW_NEGATIVE * len(solution) else _SHARE_FOR_FEW
        limit = math.ceil(share * max_products)
        solution = _bound_gradients(product, right, np.maximum(solution, 0.0), limit)
    return np.where(counts, scale * solution, start)


def _conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    right: Float[np.ndarray, "variables"],
    solution: Float[np.ndarray, "variables"],
    max_products: int,
) -> Float[np.ndarray, "variables"]:
    """Minimum without bounds, or what is reached of it."""
    residual = right - product(solution)
    direction, square = residual, _dot(residual, residual)
    smallest = _CONVERGED**2 * _dot(right, right)
    for _ in range(max_products):
        if square <= smallest:
            break
        image = product(direction)
        curvature = _dot(direction, image)
        if curvature <= 0:  # the rest is rounding
            break
        solution = solution + (square / curvature) * direction
        residual = residual - (square / curvature) * image
        before, square = square, _dot(residual, residual)
        direction = residual + (square / before) * direction
    return solution


def _bound_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    right: Float[np.ndarray, "variables"],
    solution: Float[np.ndarray, "variables"],
    max_products: int,
) -> Float[np.ndarray, "variables"]:
    """Minimum over nonnegative variables, or what is reached of it."""
    step = 1.0 / _norm(product, len(right))
    smallest = _CONVERGED * math.sqrt(_dot(right, right))
    gradient = product(solution) - right
    free = solution > 0
    direction = np.where(free, gradient, 0.0)
    products = _NORM_ITERATIONS + 1
    while products < max_products:
        inside = np.where(free, gradient, 0.0)
        outside = np.where(free, 0.0, np.minimum(gradient, 0.0))
        if math.sqrt(_dot(inside, inside) + _dot(outside, outside)) <= smallest:
            break
        reduced = np.where(free, np.minimum(gradient, solution / step), 0.0)
        if _dot(outside, outside) > _PROPORTION**2 * max(_dot(reduced, inside), 0.0):
            direction = outside  # free the variables that want to grow
        image = product(direction)
        products += 1
        curvature = _dot(direction, image)
        if curvature <= 0:
            break
        length = (_dot(gradient, direction)) / curvature
        falling = direction > 0
        room = (solution[falling] / direction[falling]).min(initial=np.inf)
        if length <= room:
            solution = np.maximum(solution - length * direction, 0.0)  # rounding at a bound
            gradient = gradient - length * image
            free = solution > 0
            inside = np.where(free, gradient, 0.0)
            direction = inside - _dot(inside, image) / curvature * direction
            direction = np.where(free, direction, 0.0)
        else:  # go to the first bound, then a projected step that may bind many
            solution = np.maximum(solution - room * direction, 0.0)
            gradient = gradient - room * image
            solution = np.maximum(solution - step * np.where(solution > 0, gradient, 0.0), 0.0)
            gradient = product(solution) - right
            products += 1
            free = solution > 0
            direction = np.where(free, gradient, 0.0)
    return solution


def _dot(one: Float[np.ndarray, "variables"], other: Float[np.ndarray, "variables"]) -> float:
    """The inner product, on one thread: those of a BLAS spin where other programs run."""
    return float(np.einsum("i,i->", one, other))


def _norm(product: Callable[[np.ndarray], np.ndarray], size: int) -> float:
    """The largest eigenvalue of a positive semidefinite matrix, by power iteration, from above."""
    vector = np.random.default_rng(0).standard_normal(size)
    value = 1.0
    for _ in range(_NORM_ITERATIONS):
        image = product(vector / math.sqrt(_dot(vector, vector)))
        value = math.sqrt(_dot(image, image))
        if value == 0.0:
            return 1.0
        vector = image
    return 1.1 * value


def solve_nonnegative(
    matrices: Float[np.ndarray, "problems size size"], vectors: Float[np.ndarray, "problems size"]
) -> Float[np.ndarray, "problems size"]:
    r"""The nonnegative minima of many small quadratic functions.

    .. math:: \min_{w \ge 0} \; w^T G w - 2 h^T w

    By block principal pivoting: the variables are split in free and zero ones, the free ones
    solved for, and those with the wrong sign (of the variable, or of its gradient) change sides,
    all at once as long as they get fewer.

    Parameters
    ----------
    matrices : ndarray, shape (problems, size, size)
        G, symmetric positive definite, with ones on the diagonal.
    vectors : ndarray, shape (problems, size)
        h.

    Returns
    -------
    ndarray, shape (problems, size)
        w, not negative.

    Examples
    --------
    >>> G = np.array([[[1.0, 0.5], [0.5, 1.0]]])
    >>> solve_nonnegative(G, np.array([[1.0, -1.0]]))
    array([[1., 0.]])

    References
    ----------
    Kim and Park, 2011, Fast nonnegative matrix factorization: an active-set-like method and
    comparisons, SIAM J. Sci. Comput. 33 (algorithm 2).
    """
    num, size = vectors.shape
    tolerance = 1e-11 * np.abs(vectors).max(axis=1, initial=0.0)
    free = np.tile(np.arange(size) < _FIRST_FREE, (num, 1))
    fewest, patience = np.full(num, size + 1), np.full(num, _FULL_EXCHANGES)
    solution, open_rows = np.zeros((num, size)), np.arange(num)
    for _ in range(_EXCHANGES_PER_VARIABLE * size + 10):
        part = free[open_rows]
        values = _solve_free(matrices[open_rows], vectors[open_rows], part)
        gradient = np.matmul(matrices[open_rows], values[:, :, None])[:, :, 0] - vectors[open_rows]
        slack = tolerance[open_rows, None]
        wrong = np.where(part, values < 0, gradient < -slack)
        solution[open_rows] = np.maximum(values, 0.0)
        open_rows, wrong = open_rows[wrong.any(axis=1)], wrong[wrong.any(axis=1)]
        if len(open_rows) == 0:
            break
        count = wrong.sum(axis=1)
        fewer = count < fewest[open_rows]
        patience[open_rows] = np.where(fewer, _FULL_EXCHANGES, patience[open_rows] - 1)
        fewest[open_rows] = np.where(fewer, count, fewest[open_rows])
        single = patience[open_rows] < 0
        last = size - 1 - np.argmax(wrong[:, ::-1], axis=1)
        only = np.zeros_like(wrong)
        only[np.arange(len(wrong)), last] = True
        free[open_rows] ^= np.where(single[:, None], only, wrong)
    return solution


def _solve_free(
    matrices: Float[np.ndarray, "problems size size"],
    vectors: Float[np.ndarray, "problems size"],
    free: np.ndarray,
) -> Float[np.ndarray, "problems size"]:
    """Solutions of the systems of the free variables, zero elsewhere."""
    # the free variables moved to the front: systems as small as the largest of them
    most = int(free.sum(axis=1).max())
    front = np.argsort(~free, axis=1, kind="stable")[:, :most]
    used = np.take_along_axis(free, front, axis=1)
    problems = np.arange(len(free))[:, None]
    both = used[:, :, None] & used[:, None, :]
    small = matrices[problems[:, :, None], front[:, :, None], front[:, None, :]]
    small = np.where(both, small, np.eye(most))
    right = np.where(used, vectors[problems, front], 0.0)
    solution = np.zeros(vectors.shape)
    solution[problems, front] = np.linalg.solve(small, right[:, :, None])[:, :, 0]
    return solution
