"""Laplacians of a weighted graph."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, identity

# Rows handled at once.
_CHUNK = 2**16


def combinatorial_laplacian(
    adjacency: csr_matrix, *, mass: Float[np.ndarray, "vertices"] | None = None
) -> csr_matrix:
    """The combinatorial Laplacian L = D - W, or with masses L = M⁻¹ (D - W).

    (L f)_i = (1 / m_i) sum_j w_ij (f_i - f_j). Rows sum to zero. Where W >= 0, L is positive
    semidefinite for the inner product sum_i m_i f_i g_i, in which it is self-adjoint; it is a
    symmetric matrix if all masses are equal.

    Parameters
    ----------
    adjacency
        Symmetric weights W, nothing on the diagonal.
    mass
        m, positive; None for ones.

    Returns
    -------
    csr_matrix
        (vertices, vertices), float64, not rescaled.

    Examples
    --------
    >>> combinatorial_laplacian(csr_matrix([[0.0, 3.0], [3.0, 0.0]])).toarray()
    array([[ 3., -3.],
           [-3.,  3.]])
    """
    inverse = None if mass is None else 1.0 / mass

    def scaled(rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        return values if inverse is None else inverse[rows] * values

    degree = degrees(adjacency)
    return _assembled(adjacency, degree if inverse is None else inverse * degree, scaled)


def normalized_laplacian(adjacency: csr_matrix) -> csr_matrix:
    """The symmetrically normalized Laplacian L = I - D^(-1/2) W D^(-1/2).

    Symmetric, eigenvalues in [0, 2]. Its kernel holds the square root of the degrees, not the
    constants: rows do not sum to zero, but L sqrt(d) = 0. A vertex without edges has a zero row.

    Parameters
    ----------
    adjacency
        Symmetric weights W >= 0, nothing on the diagonal.

    Returns
    -------
    csr_matrix
        (vertices, vertices), float64.

    Examples
    --------
    >>> normalized_laplacian(csr_matrix([[0.0, 3.0], [3.0, 0.0]])).toarray()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    degree = degrees(adjacency)
    scale = 1.0 / np.sqrt(_positive(degree))

    def scaled(rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        # the product of the scales first: entries (i, j) and (j, i) are then equal to the last bit
        return values * (scale[rows] * scale[columns])

    return _assembled(adjacency, (degree > 0).astype(np.float64), scaled)


def random_walk_laplacian(adjacency: csr_matrix) -> csr_matrix:
    """The random-walk Laplacian L = I - D⁻¹ W.

    Rows sum to zero and eigenvalues lie in [0, 2]; it is not symmetric, but self-adjoint for the
    inner product sum_i d_i f_i g_i. A vertex without edges has a zero row.

    Parameters
    ----------
    adjacency
        Symmetric weights W >= 0, nothing on the diagonal.

    Returns
    -------
    csr_matrix
        (vertices, vertices), float64.

    Examples
    --------
    >>> random_walk_laplacian(csr_matrix([[0.0, 3.0], [3.0, 0.0]])).toarray()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    return combinatorial_laplacian(adjacency, mass=_positive(degrees(adjacency)))


def _assembled(
    adjacency: csr_matrix,
    diagonal: Float[np.ndarray, "vertices"],
    scaled: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> csr_matrix:
    """The matrix of a diagonal, without its zeros, minus the scaled weights; columns in order.

    Written row by row into the arrays of the result, as sums of sparse matrices would take several
    times their memory.
    """
    if not adjacency.has_sorted_indices:
        adjacency = adjacency.sorted_indices()
    before, size = adjacency.indptr, len(diagonal)
    has_diagonal = diagonal != 0
    starts = before.astype(np.int64)
    starts[1:] += np.cumsum(has_diagonal)
    index = np.int32 if starts[-1] <= np.iinfo(np.int32).max else np.int64
    columns = np.empty(starts[-1], dtype=index)
    data = np.empty(starts[-1])
    for first in range(0, size, _CHUNK):
        last = min(first + _CHUNK, size)
        old = slice(before[first], before[last])
        rows = np.repeat(np.arange(first, last), np.diff(before[first : last + 1]))
        beside = adjacency.indices[old]
        places = np.arange(old.start, old.stop) + (starts[rows] - before[rows])
        places += (beside > rows) & has_diagonal[rows]
        columns[places] = beside
        data[places] = -scaled(rows, beside, adjacency.data[old])
        own = np.arange(first, last)
        below = np.bincount(rows[beside < rows] - first, minlength=last - first)
        kept = has_diagonal[first:last]
        places = (starts[own] + below)[kept]
        columns[places] = own[kept]
        data[places] = diagonal[own[kept]]
    matrix = csr_matrix((data, columns, starts.astype(index)), shape=(size, size), copy=False)
    matrix.has_sorted_indices = True
    return matrix


def rescaled(
    laplacian: csr_matrix, scale: float, *, dtype: type[np.floating] = np.float64
) -> csr_matrix:
    """The matrix scale L - I.

    Parameters
    ----------
    laplacian
        L, any square matrix.
    scale
        The factor.
    dtype
        Of the result, rounded once from float64.

    Returns
    -------
    csr_matrix
        Where L has all of its diagonal, with the arrays of indices that L has, which are not
        copied: they must not be changed in place.

    Examples
    --------
    >>> rescaled(csr_matrix([[3.0, -3.0], [-3.0, 3.0]]), 1 / 3).toarray()
    array([[ 0., -1.],
           [-1.,  0.]])
    """
    starts, size = laplacian.indptr, len(laplacian.indptr) - 1
    data, num_diagonal = np.empty(laplacian.nnz, dtype=dtype), 0
    # in parts: an array of the rows of all entries would be as large as the matrix
    for first in range(0, size, _CHUNK):
        last = min(first + _CHUNK, size)
        part = slice(starts[first], starts[last])
        rows = np.repeat(np.arange(first, last), np.diff(starts[first : last + 1]))
        on_diagonal = np.flatnonzero(laplacian.indices[part] == rows)
        values = scale * laplacian.data[part]
        values[on_diagonal] -= 1.0
        data[part] = values
        num_diagonal += len(on_diagonal)
    if num_diagonal != size:  # a vertex without edges, or entries in several parts
        whole = scale * laplacian - identity(size, format="csr")
        return csr_matrix(whole, dtype=dtype)
    result = csr_matrix((data, laplacian.indices, starts), shape=laplacian.shape, copy=False)
    result.has_sorted_indices = laplacian.has_sorted_indices
    return result


def degrees(adjacency: csr_matrix) -> Float[np.ndarray, "vertices"]:
    """The weighted degree of every vertex: d_i = sum_j w_ij.

    Examples
    --------
    >>> degrees(csr_matrix([[0.0, 3.0], [3.0, 0.0]]))
    array([3., 3.])
    """
    return np.asarray(adjacency.sum(axis=1), dtype=np.float64).ravel()


def _positive(degree: Float[np.ndarray, "vertices"]) -> Float[np.ndarray, "vertices"]:
    """Degrees to divide by: 1 where a vertex has no edge, whose row is zero anyway."""
    return np.where(degree > 0, degree, 1.0)
