"""Mean and standard deviation of the targets of a regression."""

import numpy as np
from jaxtyping import Float


def target_moments(
    targets: Float[np.ndarray, "*batch outputs"],
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each quantity, over everything that was observed.

    Parameters
    ----------
    targets
        Of whole signals, shape (batch, outputs), or at vertices, shape (*batch, vertices, outputs)
        with at least three axes: there NaN was not observed.

    Returns
    -------
    tuple of list of float
        Both with twelve digits, so that two values as 0.2 and 0.4 do not leave 0.30000000000000004
        in files.

    Raises
    ------
    ValueError
        If there is no target of a quantity, one is not finite (but NaN at a vertex), or a quantity
        is the same everywhere.

    Examples
    --------
    >>> target_moments(np.array([[0.2], [0.4]]))
    ([0.3], [0.1])
    >>> target_moments(np.array([[[0.2], [np.nan], [0.4]]]))
    ([0.3], [0.1])
    """
    flat = np.asarray(targets, np.float64).reshape(-1, targets.shape[-1])
    is_missing = np.isnan(flat) & (targets.ndim > 2)
    columns = [column[~missing] for column, missing in zip(flat.T, is_missing.T, strict=True)]
    num_bad = np.count_nonzero(~np.isfinite(flat) & ~is_missing)
    fewest = min(map(len, columns), default=0)
    if not fewest or num_bad:
        raise ValueError(
            f"targets must be finite numbers, at least one of each quantity, got {fewest} "
            f"of each and {num_bad} NaN or infinite values"
        )
    constant = [index for index, column in enumerate(columns) if np.ptp(column) == 0]
    if constant:
        raise ValueError(
            f"targets must vary, got {columns[constant[0]][0]:g} for every signal in quantity "
            f"{constant[0]}; leave it out, there is nothing to learn"
        )
    mean, deviation = np.nanmean(flat, axis=0), np.nanstd(flat, axis=0)
    return [_short(value) for value in mean], [_short(value) for value in deviation]


def _short(value: float) -> float:
    """Twelve digits of a value."""
    return float(f"{value:.12g}")
