"""Ridge regression of many small problems at once, each with a penalty of its own.

That of one problem with many features, whose penalty is chosen on later days, is in
`season_baselines.py`.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float

# Penalties that are tried, in units of the mean eigenvalue of the covariance of the features.
PENALTIES = np.logspace(-6, 2, 17)

Problems = tuple[
    Float[np.ndarray, "problems samples features"],
    Float[np.ndarray, "problems samples"],
    Bool[np.ndarray, "problems samples"],
]


def shrunken_fit(
    parts: Iterable[Problems], *, least_samples: int
) -> tuple[Float[np.ndarray, "problems features"], Float[np.ndarray, "problems"]]:
    """Coefficients and intercepts of many ridge regressions, each with a penalty of its own.

    The penalty is the one with the least error of generalized cross-validation. Problems with few
    samples share the coefficients and the intercept of one regression on the samples of all.

    Parameters
    ----------
    parts
        Features, targets, and which samples count, of some problems at a time.
    least_samples
        How many samples a problem needs for coefficients of its own.

    Returns
    -------
    coefficients, intercepts
        Persistence, a one for the first feature alone, where no problem has any sample.

    Examples
    --------
    >>> features = np.random.default_rng(0).normal(size=(1, 50, 2))
    >>> targets = features @ np.array([1.0, -2.0]) + 3
    >>> fit = shrunken_fit([(features, targets, np.ones((1, 50), bool))], least_samples=10)
    >>> [value.round(3).tolist() for value in fit]
    [[[1.0, -2.0]], [3.0]]

    References
    ----------
    Golub, Heath and Wahba, 1979, Generalized cross-validation as a method for choosing a good ridge
    parameter.
    """
    moments = [_moments(*part) for part in parts]
    counts, x, y, xx, xy, yy = (np.concatenate(each) for each in zip(*moments, strict=True))
    coefficients, intercepts = _solve(counts, x, y, xx, xy, yy)
    shared = _solve(*(total.sum(axis=0, keepdims=True) for total in (counts, x, y, xx, xy, yy)))
    if counts.sum() < 2:
        shared = np.eye(1, x.shape[1]), np.zeros(1)
    few = counts < least_samples
    coefficients[few], intercepts[few] = shared[0], shared[1]
    return coefficients, intercepts


def _moments(
    features: np.ndarray, targets: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Sums over the samples that count, of everything that least squares need."""
    features = np.where(counts[..., None], features, 0.0)
    targets = np.where(counts, targets, 0.0)
    transposed = features.transpose(0, 2, 1)
    return (
        counts.sum(axis=1).astype(np.float64),
        features.sum(axis=1),
        targets.sum(axis=1),
        transposed @ features,
        (transposed @ targets[..., None])[..., 0],
        (targets**2).sum(axis=1),
    )


def _solve(
    counts: np.ndarray, x: np.ndarray, y: np.ndarray, xx: np.ndarray, xy: np.ndarray, yy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regressions from sums, the intercept not penalized."""
    number = np.maximum(counts, 1.0)
    mean_x, mean_y = x / number[:, None], y / number
    gram = xx - number[:, None, None] * mean_x[:, :, None] * mean_x[:, None, :]
    cross = xy - number[:, None] * mean_x * mean_y[:, None]
    total = np.maximum(yy - number * mean_y**2, 0.0)
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    turned = np.einsum("pfe,pf->pe", vectors, cross)
    mean_value = values.mean(axis=1)
    scale = np.where(mean_value > 0, mean_value, 1.0)
    penalties = scale[:, None] * PENALTIES
    shrunk = 1 / (values[:, None, :] + penalties[:, :, None])
    residual = total[:, None] - (
        turned[:, None, :] ** 2 * shrunk * (2 - values[:, None, :] * shrunk)
    ).sum(axis=2)
    freedom = 1 + (values[:, None, :] * shrunk).sum(axis=2)
    left = np.maximum(number[:, None] - freedom, 1e-9)
    best = np.argmin(np.maximum(residual, 0.0) / left**2, axis=1)
    chosen = shrunk[np.arange(len(best)), best]
    coefficients = np.einsum("pfe,pe->pf", vectors, turned * chosen)
    return coefficients, mean_y - (coefficients * mean_x).sum(axis=1)
