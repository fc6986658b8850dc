"""The exact rotation error of a sparse operator, for each harmonic degree."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix, issparse, sparray, spmatrix

from deepsphere.graph import SphereGraph
from deepsphere.graph.zonal import symbol_and_gain
from deepsphere.sampling import Healpix, Sampling, Subset


def equivariance_error(
    laplacian_or_graph: SphereGraph | spmatrix | sparray | Float[np.ndarray, "vertices vertices"],
    sampling: Sampling | None = None,
    degrees: Sequence[int] | Int[np.ndarray, "degrees"] | int | None = None,
    *,
    rows: Int[np.ndarray, "chosen"] | Bool[np.ndarray, "vertices"] | None = None,
    squared: bool = False,
) -> Float[np.ndarray, "degrees"]:
    r"""The rotation error of an operator on random signals of one harmonic degree each.

    .. math:: E_l = \frac{\mathbb{E}\, \|R A f - A R f\|^2}{\mathbb{E}\, \|A f\|^2}
              = 2 \left(1 - \frac{\lambda_l^2}{s_l}\right)

    over Haar rotations R and isotropic random signals f of degree l, with the mean symbol λ and
    the gain s of :func:`deepsphere.graph.zonal.symbol_and_gain`. It needs no rotation, no harmonic
    transform and no random number, and holds for any sparse operator on any sampling, symmetric or
    not. It is also twice the best relative consistency error,
    :math:`2 \min_c \mathbb{E} \|A f - c f\|^2 / \mathbb{E} \|A f\|^2`: an operator commutes with
    rotations exactly if it multiplies every degree by a number. It assumes that the areas of the
    sampling integrate products of harmonics of degree l and of what A makes of them.

    Parameters
    ----------
    laplacian_or_graph : SphereGraph, sparse matrix or ndarray
        A graph, whose Laplacian is measured, or any operator (vertices, vertices).
    sampling : Sampling, optional
        The vertices; to be given unless a graph is, which brings its own.
    degrees : sequence of int, optional
        Degrees, at least 0; 1 to :func:`default_max_degree` if not given.
    rows : ndarray of int or bool, optional
        The vertices over which the error is averaged, such as those away from a border, or a mask
        of them; all if not given.
    squared : bool
        Whether to return :math:`E_l` as in the paper's equation, instead of
        :math:`\sqrt{E_l}` as in its figure.

    Returns
    -------
    ndarray, shape (degrees,)
        Dimensionless: 0 is equivariant, :math:`\sqrt 2` unrelated. NaN where A takes a degree to
        zero, as a Laplacian does with degree 0.

    Raises
    ------
    TypeError
        If the operator is no matrix, or no sampling is known.
    ValueError
        If the operator does not fit the sampling or is not finite and real, if a degree is out of
        range, or if rows are no vertices or none.

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=8), weights="gaussian", num_neighbors=20)
    >>> equivariance_error(graph, degrees=[2, 8]).round(3)
    array([0.069, 0.022])

    References
    ----------
    Defferrard et al. (2020), DeepSphere: a graph-based spherical CNN, section 4 (equation of the
    normalized equivariance error, there estimated from samples).
    """
    operator, sampling = _operator_and_sampling(laplacian_or_graph, sampling)
    wanted = _checked_degrees(degrees, sampling)
    chosen = _checked_rows(rows, sampling.num_vertices)
    symbol, gain = symbol_and_gain(
        operator, sampling.points, int(wanted.max()), areas=sampling.areas, rows=chosen
    )
    symbol, gain = symbol[wanted], gain[wanted]
    # what rounding leaves of a degree that the operator takes to zero
    scale = float(abs(operator).sum(axis=1).max()) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(gain > 1e-28 * scale, 2 * (1 - symbol**2 / gain), np.nan)
    error = np.clip(error, 0, 2)
    return error if squared else np.sqrt(error)


def default_max_degree(sampling: Sampling) -> int:
    """The largest degree at which a sampling is measured: about the highest that it can hold.

    ``3 nside - 1`` on HEALPix, else 0.85 times the square root of the number of vertices; that of
    the whole sphere for a part of it.

    Parameters
    ----------
    sampling : Sampling

    Returns
    -------
    int

    Examples
    --------
    >>> default_max_degree(Healpix(nside=32))
    95
    """
    while isinstance(sampling, Subset):
        sampling = sampling.base
    if isinstance(sampling, Healpix):
        return 3 * sampling.nside - 1
    return max(1, math.floor(0.85 * math.sqrt(sampling.num_vertices)))


def _operator_and_sampling(
    laplacian_or_graph: object, sampling: Sampling | None
) -> tuple[csr_matrix, Sampling]:
    """The matrix to measure, and where its vertices lie."""
    if isinstance(laplacian_or_graph, SphereGraph):
        sampling = sampling or laplacian_or_graph.sampling
        operator = laplacian_or_graph.laplacian
    elif issparse(laplacian_or_graph) or isinstance(laplacian_or_graph, np.ndarray):
        operator = csr_matrix(laplacian_or_graph)
    else:
        raise TypeError(
            "laplacian_or_graph must be a graph or a matrix, got a value of "
            f"{type(laplacian_or_graph).__name__}; use measure_equivariance for other maps"
        )
    if sampling is None:
        raise TypeError(
            "sampling must be given with a matrix, got None; pass the sampling of its vertices"
        )
    num_vertices = sampling.num_vertices
    if operator.shape != (num_vertices, num_vertices):
        raise ValueError(
            f"laplacian_or_graph must have the shape ({num_vertices}, {num_vertices}) of the "
            f"sampling's vertices, got {operator.shape}; pass the sampling on which it acts"
        )
    if np.iscomplexobj(operator.data) or not np.isfinite(operator.data).all():
        raise ValueError(
            "laplacian_or_graph must hold finite real numbers, got "
            f"{'complex ones' if np.iscomplexobj(operator.data) else 'infinity or NaN'}; use an "
            "operator that takes real signals to real ones"
        )
    return operator, sampling


def _checked_degrees(
    degrees: Sequence[int] | np.ndarray | int | None, sampling: Sampling
) -> Int[np.ndarray, "degrees"]:
    """Degrees as an array of integers."""
    if degrees is None:
        return np.arange(1, default_max_degree(sampling) + 1)
    wanted = np.atleast_1d(np.asarray(degrees))
    integers = wanted.size > 0 and np.issubdtype(wanted.dtype, np.integer)
    if wanted.ndim != 1 or not integers or wanted.min() < 0:
        raise ValueError(
            f"degrees must be nonnegative integers, at least one, got {degrees!r}; leave them out "
            f"for 1 to {default_max_degree(sampling)}"
        )
    return wanted


def _checked_rows(rows: np.ndarray | None, num_vertices: int) -> Int[np.ndarray, "chosen"] | None:
    """Rows as indices of vertices."""
    if rows is None:
        return None
    chosen = np.asarray(rows)
    if chosen.dtype == bool and chosen.shape == (num_vertices,):
        return np.flatnonzero(chosen)
    if chosen.size == 0:
        return np.zeros(0, dtype=int)
    integers = chosen.ndim == 1 and np.issubdtype(chosen.dtype, np.integer)
    if not integers or chosen.min() < 0 or chosen.max() >= num_vertices:
        raise ValueError(
            f"rows must be indices of vertices, from 0 to {num_vertices - 1}, or a mask of all of "
            f"them, got {rows!r}; leave them out for all vertices"
        )
    return chosen
