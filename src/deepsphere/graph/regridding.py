"""Fields with missing values, carried from one sampling to another."""

import numpy as np
from jaxtyping import Num, Shaped
from scipy.sparse import csr_matrix

from deepsphere.graph.pooling_matrices import matrix_size
from deepsphere.graph.transfer import Method, transfer_weights
from deepsphere.sampling import Sampling

# Values of a field that are worked on at once.
_VALUES_PER_BLOCK = 2**24
# Rounding of the valid part of a cell.
_TOLERANCE = 1e-9


def regrid(
    values: Num[np.ndarray, "..."],
    source: Sampling,
    target: Sampling,
    *,
    method: Method = "conservative",
    min_valid: float = 0.5,
) -> Shaped[np.ndarray, "..."]:
    r"""A field on another sampling, where NaN are values that are missing.

    .. math:: y_t = \sum_s W_{ts} m_s x_s / \textstyle\sum_s W_{ts} m_s

    with the weights W of :func:`transfer_matrix` and m = 1 where the source has a value. The result
    is NaN where the valid part :math:`\sum_s W_{ts} m_s` is less than `min_valid`. What a subset
    lacks is missing, too. The conservative method keeps the integral over the common valid part.

    Parameters
    ----------
    values
        Shape (vertices,) or (\*batch, vertices, channels), on `source`.
    source, target
        Samplings or subsets of them.
    method : {"nearest", "barycentric", "conservative"}
        As of :func:`transfer_matrix`.
    min_valid
        The least valid part of a target vertex (of its cell, for the conservative method) for it to
        have a value, above 0 and up to 1. With 1, anything missing makes NaN.

    Returns
    -------
    Array of shape (target vertices,) or (\*batch, target vertices, channels)
        float32 of float32, else float64.

    Raises
    ------
    ValueError
        If the values are on another number of vertices or not real, `min_valid` is out of range, or
        the method is unknown.

    Examples
    --------
    >>> import deepsphere as ds
    >>> sky = ds.Healpix(nside=2)
    >>> field = np.where(np.arange(48) < 2, np.nan, sky.areas)
    >>> regrid(field, sky, ds.Healpix(nside=1))[0].round(4)
    np.float64(0.2618)
    >>> regrid(field, sky, ds.Healpix(nside=1), min_valid=1.0)[0]
    np.float64(nan)
    """
    return apply_weights(values, transfer_weights(source, target, method), min_valid=min_valid)


def apply_weights(
    values: Num[np.ndarray, "..."], weights: csr_matrix, *, min_valid: float = 0.5
) -> Shaped[np.ndarray, "..."]:
    """A field on another sampling, where NaN are values that are missing.

    Parameters
    ----------
    values
        Shape (vertices,) or (\\*batch, vertices, channels).
    weights
        Shape (target vertices, vertices), of `deepsphere.graph.transfer.transfer_weights`.
    min_valid
        As of `regrid`.

    Returns
    -------
    Array of shape (target vertices,) or (\\*batch, target vertices, channels)

    Raises
    ------
    ValueError
        If the values have another number of vertices or are not real, or `min_valid` is out of
        range.

    Examples
    --------
    >>> mean = csr_matrix([[0.5, 0.5]])
    >>> apply_weights(np.array([1.0, 3.0]), mean), apply_weights(np.array([1.0, np.nan]), mean)
    (array([2.]), array([1.]))
    """
    num_target, num_source = matrix_size(weights)
    if not 0 < min_valid <= 1:
        raise ValueError(f"min_valid must be above 0 and at most 1, got {min_valid}; e.g. 0.5")
    if not np.issubdtype(values.dtype, np.integer) and not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"values must be real numbers, got {values.dtype}; regrid each part")
    is_single = values.ndim == 1
    field = values[:, None] if is_single else values
    if field.ndim < 2 or field.shape[-2] != num_source:
        raise ValueError(
            f"values must have the shape (..., {num_source} vertices, channels) of the "
            f"source, got {values.shape}; the vertices are the last but one axis"
        )
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    maps = field.reshape(-1, *field.shape[-2:])
    result = np.empty((len(maps), num_target, field.shape[-1]), dtype)
    step = max(1, _VALUES_PER_BLOCK // (max(num_source, num_target) * max(field.shape[-1], 1)))
    for start in range(0, len(maps), step):
        block = slice(start, start + step)
        result[block] = _regridded(maps[block], weights, min_valid)
    result = result.reshape(*field.shape[:-2], *result.shape[1:])
    return result[:, 0] if is_single else result


def _regridded(maps: np.ndarray, weights: csr_matrix, min_valid: float) -> np.ndarray:
    """The maps (maps, vertices, channels) on the target."""
    columns = np.moveaxis(maps, 0, 1).reshape(maps.shape[1], -1).astype(np.float64)
    is_missing = np.isnan(columns)
    # land is the same at all times: one product for all columns
    same = bool((is_missing == is_missing[:, :1]).all())
    valid = ~is_missing[:, :1] if same else ~is_missing
    parts = weights @ valid.astype(np.float64)
    sums = weights @ np.where(is_missing, 0.0, columns)
    enough = (parts >= min_valid - _TOLERANCE) & (parts > 0)
    result = np.where(enough, sums / np.where(enough, parts, 1.0), np.nan)
    return np.moveaxis(result.reshape(-1, len(maps), maps.shape[2]), 0, 1)
