"""Pooling and unpooling between two levels as sparse matrices, from who belongs to whom."""

from typing import cast

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.sampling import Sampling

# Points this close (chord of the unit sphere) are the same point computed twice.
_COINCIDENT = 1e-9


def mean_pooling_matrix(
    membership: csr_matrix, areas: Float[np.ndarray, " fine"] | None = None
) -> csr_matrix:
    r"""The average of a signal over the children of each coarse vertex.

    :math:`P_{cf} \propto M_{cf}`, or :math:`P_{cf} \propto M_{cf} a_f` with areas, which keeps
    the area-weighted mean of the signal where the fine cells fill the coarse ones. Rows sum to one,
    so constants are kept.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    areas : array of shape (fine vertices,), optional
        Positive areas of the fine vertices, in any unit.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child, or if the number of areas is wrong.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> membership = csr_matrix([[1, 1, 0.5], [0, 0, 0.5]])
    >>> mean_pooling_matrix(membership).toarray()
    array([[0.4, 0.4, 0.2],
           [0. , 0. , 1. ]])
    """
    shares = _shares(membership)
    if areas is not None:
        num_fine = matrix_size(shares)[1]
        if len(areas) != num_fine:
            raise ValueError(
                f"areas must hold one value for each of the {num_fine} fine vertices, got "
                f"{len(areas)}; pass the areas of the sampling that is pooled"
            )
        shares.data = shares.data * areas[shares.indices]
    totals = np.add.reduceat(shares.data, shares.indptr[:-1])
    shares.data = shares.data / np.repeat(totals, np.diff(shares.indptr))
    return shares


def unpooling_matrix(membership: csr_matrix) -> csr_matrix:
    r"""The copy of a coarse signal to the children of each vertex.

    :math:`U = M^T`: a fine vertex which is shared takes the mean of its coarse vertices, weighted
    by the shares. Rows sum to one, so constants are kept.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)

    Returns
    -------
    csr_matrix, shape (fine vertices, coarse vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> unpooling_matrix(csr_matrix([[1, 1, 0.5], [0, 0, 0.5]])).toarray()
    array([[1. , 0. ],
           [1. , 0. ],
           [0.5, 0.5]])
    """
    return csr_matrix(_shares(membership).T)


def area_unpooling_matrix(
    membership: csr_matrix, *, coarse_areas: Float[np.ndarray, " coarse"]
) -> csr_matrix:
    r"""The mean of the parents of every fine vertex, weighted by their areas; keeps constants.

    .. math:: U_{fc} = M_{cf} A_c / \textstyle\sum_{c'} M_{c'f} A_{c'}.

    Where every vertex has one parent it is the copy of :func:`unpooling_matrix`.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    coarse_areas : array of shape (coarse vertices,)
        In any unit.

    Returns
    -------
    csr_matrix, shape (fine vertices, coarse vertices)
        Rows sum to one.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> shares = csr_matrix([[1.0, 0.5], [0.0, 0.5]])
    >>> area_unpooling_matrix(shares, coarse_areas=np.array([3.0, 1.0])).toarray()
    array([[1.  , 0.  ],
           [0.75, 0.25]])
    """
    return mean_pooling_matrix(csr_matrix(membership.T), coarse_areas)


def adjoint_unpooling_matrix(
    membership: csr_matrix,
    *,
    fine_areas: Float[np.ndarray, " fine"],
    coarse_areas: Float[np.ndarray, " coarse"],
) -> csr_matrix:
    r"""The spreading of a coarse signal over the children that keeps its area integral.

    .. math:: U = M^T \operatorname{diag}(A_c / \textstyle\sum_f M_{cf} a_f).

    It is the adjoint of area pooling P in the inner products weighted by the areas,
    :math:`\langle P x, y \rangle_A = \langle x, U y \rangle_a`; hence
    :math:`\sum_f a_f (U y)_f = \sum_c A_c y_c`. Where the children fill their coarse cells exactly
    it is the copy of :func:`unpooling_matrix`; elsewhere constants are kept on average only.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    fine_areas, coarse_areas : arrays of shape (fine vertices,), (coarse vertices,)
        In one unit.

    Returns
    -------
    csr_matrix, shape (fine vertices, coarse vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> areas = {"fine_areas": np.array([1.0, 1.0]), "coarse_areas": np.array([3.0])}
    >>> adjoint_unpooling_matrix(csr_matrix([[1, 1]]), **areas).toarray()
    array([[1.5],
           [1.5]])
    """
    copies = unpooling_matrix(membership)
    scale = coarse_areas / (membership @ fine_areas)
    copies.data = copies.data * scale[copies.indices]
    return copies


def subsampling_matrix(membership: csr_matrix, *, fine: Sampling, coarse: Sampling) -> csr_matrix:
    """The choice of one fine vertex for each coarse vertex.

    The fine vertex at the same place where there is one, else the first child: among those with
    the largest share, the one of lowest index. Its transpose puts values there and zeros elsewhere.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    fine, coarse : Sampling
        Of the two levels.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)
        One entry, 1, in each row.

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> import deepsphere as ds
    >>> fine, coarse = ds.Healpix(nside=2), ds.Healpix(nside=1)
    >>> subsampling_matrix(fine.membership(), fine=fine, coarse=coarse).indices.tolist()
    [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]
    """
    shares = _shares(membership)
    largest = np.maximum.reduceat(shares.data, shares.indptr[:-1])
    is_largest = shares.data >= np.repeat(largest, np.diff(shares.indptr)) * (1 - _COINCIDENT)
    candidates = np.where(is_largest, shares.indices, fine.num_vertices)
    children = np.minimum.reduceat(candidates, shares.indptr[:-1])
    distance, nearest = KDTree(fine.points).query(coarse.points)
    return _choice(np.where(distance < _COINCIDENT, nearest, children), fine.num_vertices)


def keep_first_matrix(*, fine: Sampling, coarse: Sampling) -> csr_matrix:
    """The choice of the first fine vertices, which are the coarse vertices.

    What the original DeepSphere calls pooling on the icosahedron.

    Parameters
    ----------
    fine, coarse : Sampling
        Of the two levels; the points of the coarse one are the first points of the fine one.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)
        One entry, 1, in each row, on the diagonal.

    Raises
    ------
    ValueError
        If the first points of the fine sampling are not those of the coarse one.

    Examples
    --------
    >>> import deepsphere as ds
    >>> fine, coarse = ds.Icosahedral(subdivisions=2), ds.Icosahedral(subdivisions=1)
    >>> keep_first_matrix(fine=fine, coarse=coarse).shape
    (12, 42)

    References
    ----------
    Defferrard, Milani, Gusset, Perraudin (2020), DeepSphere: a graph-based spherical CNN.
    """
    num_coarse = coarse.num_vertices
    first = fine.points[:num_coarse]
    if len(first) < num_coarse or np.abs(first - coarse.points).max() > _COINCIDENT:
        raise ValueError(
            "keep_first must be used where the coarse points are the first of the fine ones "
            f"(Icosahedral), got {fine.spec} above {coarse.spec}; use 'subsample'"
        )
    return _choice(np.arange(num_coarse), fine.num_vertices)


def contiguous_group_size(membership: csr_matrix) -> int | None:
    """How many consecutive fine vertices make each coarse vertex, where it is so simple.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)

    Returns
    -------
    int or None
        The size g of the groups if coarse vertex c owns exactly the fine vertices gc .. gc + g - 1,
        as on nested HEALPix, so that pooling is a reshape; else None.

    Examples
    --------
    >>> import deepsphere as ds
    >>> contiguous_group_size(ds.Healpix(nside=2).membership())
    4
    """
    num_coarse, num_fine = matrix_size(membership)
    size, remainder = divmod(num_fine, num_coarse)
    shares = _shares(membership)
    if remainder or shares.nnz != num_fine or not np.all(np.diff(shares.indptr) == size):
        return None
    return size if np.array_equal(shares.indices, np.arange(num_fine)) else None


def matrix_size(matrix: csr_matrix) -> tuple[int, int]:
    """The numbers of rows and columns of a sparse matrix.

    Parameters
    ----------
    matrix : csr_matrix

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> matrix_size(csr_matrix([[1, 2, 3]]))
    (1, 3)
    """
    # what type checkers infer from SciPy's sources includes None
    return cast(tuple[int, int], matrix.shape)


def _shares(membership: csr_matrix) -> csr_matrix:
    """A canonical copy of a membership, none of whose rows is empty."""
    shares = csr_matrix(membership, dtype=np.float64, copy=True)
    shares.sum_duplicates()
    shares.eliminate_zeros()
    empty = np.flatnonzero(np.diff(shares.indptr) == 0)
    if len(empty):
        raise ValueError(
            f"membership must give every coarse vertex a child, got none for {len(empty)} of "
            f"{matrix_size(shares)[0]}, the first being {empty[0]}; drop those coarse vertices"
        )
    return shares


def _choice(indices: np.ndarray, num_columns: int) -> csr_matrix:
    """Rows with a single 1 each."""
    offsets = np.arange(len(indices) + 1)
    return csr_matrix((np.ones(len(indices)), indices, offsets), (len(indices), num_columns))
