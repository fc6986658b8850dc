"""What a measurement from samples says: an error, its interval, and what they rest on."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from deepsphere.equivariance.per_layer import LayerError

Reference = Literal["size", "spread"]

# Resamples of the bootstrap: its quantiles are stable to a few percent of the interval's length.
_NUM_RESAMPLES = 2000


@dataclass(frozen=True)
class EquivarianceMeasurement:
    """A rotation error with its uncertainty.

    Attributes
    ----------
    error : float
        Root of the ratio of mean squares; see :func:`measure_equivariance`.
    interval : tuple of float
        Bootstrap confidence interval of the error.
    confidence : float
        Its level.
    unresolved : float
        ``|F(x) - P F(x)| / |F(x)|``: the part of the outputs that the harmonic fit misses, which is
        counted in the error twice (squared); 0 for features without vertices.
    per_rotation : tuple of float
        The error of each rotation, over all signals.
    invariant : bool
        Whether the outputs have no vertices, so that a rotation leaves them as they are.
    num_signals, num_channels : int
        How many signals, and how many channels or features the outputs have.
    max_degree : int or None
        Degree of the harmonic fit of the outputs; None for features without vertices.
    relative_to : "size" or "spread"
        What the difference is divided by.
    layers : tuple of LayerError
        The error of each layer, if asked for.
    """

    error: float
    interval: tuple[float, float]
    confidence: float
    unresolved: float
    per_rotation: tuple[float, ...]
    invariant: bool
    num_signals: int
    num_channels: int
    max_degree: int | None
    relative_to: Reference = "size"
    layers: tuple[LayerError, ...] = ()

    @property
    def num_rotations(self) -> int:
        """How many rotations."""
        return len(self.per_rotation)

    def __str__(self) -> str:
        low, high = self.interval
        lines = [
            f"rotation error {self.error:.3g} ({100 * self.confidence:g} % interval {low:.3g} to "
            f"{high:.3g}), relative to the {self.relative_to} of the output"
        ]
        if self.invariant:
            lines.append(f"invariant: {self.num_channels} features without vertices")
        else:
            lines.append(
                f"dense: {self.num_channels} channels on the vertices; the harmonic fit to degree "
                f"{self.max_degree} misses {self.unresolved:.3g} of the output"
            )
        lines.append(f"{self.num_signals} signals, {self.num_rotations} rotations")
        lines += [f"{each.error:10.4f}  {each.name} ({each.kind})" for each in self.layers]
        return "\n".join(lines)


def bootstrap_interval(
    differences: Float[np.ndarray, "rotations signals"],
    norms: Float[np.ndarray, "signals"],
    *,
    confidence: float,
    seed: int | np.random.Generator,
) -> tuple[float, float]:
    r"""Percentile interval of :math:`\sqrt{\sum_{rs} d_{rs} / \sum_{rs} n_s}`.

    Rotations and signals are resampled independently of each other, as every signal meets every
    rotation; for such tables the variance is not underestimated.

    Parameters
    ----------
    differences : ndarray, shape (rotations, signals)
        d, not negative.
    norms : ndarray, shape (signals,)
        n, positive.
    confidence : float
        Level, between 0 and 1.
    seed : int or Generator

    Returns
    -------
    tuple of float
        Its ends.

    Examples
    --------
    >>> bootstrap_interval(np.ones((4, 3)), np.full(3, 4.0), confidence=0.9, seed=0)
    (0.5, 0.5)

    References
    ----------
    Owen (2007), The pigeonhole bootstrap.
    """
    num_rotations, num_signals = differences.shape
    draw = np.random.default_rng(seed).multinomial
    rotations = draw(num_rotations, np.full(num_rotations, 1 / num_rotations), _NUM_RESAMPLES)
    signals = draw(num_signals, np.full(num_signals, 1 / num_signals), _NUM_RESAMPLES)
    sums = np.einsum("br,rs,bs->b", rotations, differences, signals)
    errors = np.sqrt(sums / (num_rotations * signals @ norms))
    low, high = np.quantile(errors, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def check_reference(relative_to: str) -> None:
    """Refuse what an error cannot be divided by.

    Raises
    ------
    ValueError
        If it is neither "size" nor "spread".
    """
    if relative_to not in get_args(Reference):
        raise ValueError(
            f"relative_to must be one of {', '.join(get_args(Reference))}, got {relative_to!r}"
        )
