"""Laplacians of a weighted graph."""

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, diags, identity

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
    laplacian = csr_matrix(diags(degrees(adjacency)) - adjacency)
    if mass is not None:
        laplacian = csr_matrix(diags(1.0 / mass) @ laplacian)
    laplacian.sort_indices()  # else the first product that wants them in order would
    return laplacian


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
    scaled = adjacency.tocoo(copy=True)
    # the product of the scales first: entries (i, j) and (j, i) are then equal to the last bit
    scaled.data *= scale[scaled.row] * scale[scaled.col]
    return csr_matrix(diags((degree > 0).astype(np.float64)) - scaled.tocsr())


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


def rescaled(laplacian: csr_matrix, scale: float) -> csr_matrix:
    """The matrix scale L - I.

    Parameters
    ----------
    laplacian
        L, any square matrix.
    scale
        The factor.

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
    on_diagonal = []
    # in parts: an array of the rows of all entries would be as large as the matrix
    for first in range(0, size, _CHUNK):
        last = min(first + _CHUNK, size)
        columns = laplacian.indices[starts[first] : starts[last]]
        rows = np.repeat(np.arange(first, last), np.diff(starts[first : last + 1]))
        on_diagonal.append(np.flatnonzero(columns == rows) + starts[first])
    diagonal = np.concatenate(on_diagonal)
    if len(diagonal) != size:  # a vertex without edges, or entries in several parts
        return csr_matrix(scale * laplacian - identity(size, format="csr"))
    data = scale * laplacian.data
    data[diagonal] -= 1.0
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
