"""Signals as functions: the least-squares harmonic fit by which an output is rotated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from jaxtyping import Float

from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Sampling

# Values of harmonics computed at once: 8 MB, of which the working arrays stay in the cache.
_VALUES_AT_ONCE = 2**20
# Below this number of harmonics the normal equations are factored, beyond solved by iteration.
_MOST_FACTORED = 2500
# Relative residual at which the iteration ends, and the largest that is an answer.
_TOLERANCE, _LARGEST_RESIDUAL = 1e-11, 1e-8
_MAX_ITERATIONS = 400


@dataclass(frozen=True)
class HarmonicFit:
    r"""The fit of signals on a sampling by spherical harmonics up to a degree.

    The coefficients a that minimize :math:`\sum_i q_i |f(x_i) - \sum_{lm} a_{lm} Y_{lm}(x_i)|^2`
    with the areas q of the sampling, by the normal equations: for the well-placed points and
    moderate degrees of a measurement; :func:`deepsphere.harmonics.analyze` is for all others.
    Memory is bounded whatever the sampling.

    Parameters
    ----------
    sampling : Sampling
    max_degree : int
        Largest degree L of the fit; :math:`(L + 1)^2` at most the number of vertices.

    Raises
    ------
    ValueError
        If the vertices are fewer than the harmonics, or (by `coefficients`) do not determine them.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> fit = HarmonicFit(Healpix(nside=2), max_degree=3)
    >>> height = fit.sampling.points[:, 2:]
    >>> turned = fit.rotated([fit.coefficients(height)], np.diag([1.0, -1.0, -1.0]))[0]
    >>> bool(np.allclose(turned, -height))
    True
    """

    sampling: Sampling
    max_degree: int

    def __post_init__(self) -> None:
        largest = int(np.sqrt(self.sampling.num_vertices)) - 1
        if not 0 <= self.max_degree <= largest:
            raise ValueError(
                f"the degree of the harmonic fit must be between 0 and {largest} on "
                f"{self.sampling.num_vertices} vertices, got {self.max_degree}; use a finer "
                "sampling or signals of lower degrees"
            )

    def coefficients(
        self, signals: Float[np.ndarray, "*batch vertices channels"]
    ) -> Float[np.ndarray, "*batch harmonics channels"]:
        """The coefficients (*batch, (max_degree + 1)², channels) of signals on the sampling."""
        columns = np.moveaxis(signals, -2, 0).reshape(signals.shape[-2], -1)
        right = self._adjoint(columns)
        if len(right) <= _MOST_FACTORED:
            solution = scipy.linalg.cho_solve(self._factor, right)
        else:
            solution = self._solve(right)
        shape = (len(solution), *signals.shape[:-2], signals.shape[-1])
        return np.moveaxis(solution.reshape(shape), 0, -2)

    def values(
        self,
        coefficients: Float[np.ndarray, "*batch harmonics channels"],
        points: Float[np.ndarray, "points 3"],
    ) -> Float[np.ndarray, "*batch points channels"]:
        """The values (*batch, points, channels) of fitted functions at any unit vectors."""
        return harmonic_values(coefficients, points)

    def rotated(
        self,
        coefficients: Sequence[Float[np.ndarray, "..."]],
        rotation: Float[np.ndarray, "3 3"],
    ) -> list[Float[np.ndarray, "..."]]:
        """Several fitted functions after a rotation, each (*batch, vertices, channels).

        Together, so that the harmonics at the rotated points are computed once.
        """
        flat = [np.moveaxis(each, -2, 0).reshape(each.shape[-2], -1) for each in coefficients]
        joined = harmonic_values(np.concatenate(flat, axis=1), self.sampling.points @ rotation)
        parts = np.split(joined, np.cumsum([each.shape[1] for each in flat])[:-1], axis=1)
        return [
            np.moveaxis(part.reshape(len(part), *each.shape[:-2], each.shape[-1]), 0, -2)
            for part, each in zip(parts, coefficients, strict=True)
        ]

    @cached_property
    def _factor(self) -> tuple[np.ndarray, bool]:
        """Cholesky factor of the matrix of the normal equations."""
        size = (self.max_degree + 1) ** 2
        gram = np.zeros((size, size))
        for part, harmonics in _blocks(self.sampling.points, self.max_degree):
            gram += harmonics.T @ (self.sampling.areas[part, None] * harmonics)
        try:
            factor, lower = scipy.linalg.cho_factor(gram)
        except scipy.linalg.LinAlgError:
            raise self._undetermined() from None
        pivots = np.diag(factor)
        # what is left of the digits is the square root of the pivots' ratio, squared once more
        if pivots.min() < np.sqrt(_LARGEST_RESIDUAL) * pivots.max():
            raise self._undetermined()
        return factor, lower

    def _solve(self, right: Float[np.ndarray, "harmonics columns"]) -> np.ndarray:
        """The normal equations by conjugate gradients, each column with its own steps."""
        solution, residual = np.zeros_like(right), right.copy()
        direction = residual.copy()
        size = start = np.einsum("hc,hc->c", residual, residual)
        for _ in range(_MAX_ITERATIONS):
            if np.all(size <= _TOLERANCE**2 * start):
                break
            image = np.zeros_like(direction)
            for part, harmonics in _blocks(self.sampling.points, self.max_degree):
                weighted = self.sampling.areas[part, None] * (harmonics @ direction)
                image += harmonics.T @ weighted
            curvature = np.einsum("hc,hc->c", direction, image)
            step = np.divide(size, curvature, out=np.zeros_like(size), where=curvature > 0)
            solution += step * direction
            residual -= step * image
            before, size = size, np.einsum("hc,hc->c", residual, residual)
            growth = np.divide(size, before, out=np.zeros_like(size), where=before > 0)
            direction = residual + growth * direction
        if np.any(size > _LARGEST_RESIDUAL**2 * start):
            raise self._undetermined()
        return solution

    def _adjoint(
        self, columns: Float[np.ndarray, "vertices columns"]
    ) -> Float[np.ndarray, "harmonics columns"]:
        """The sums of signals times harmonics times areas."""
        sums = np.zeros(((self.max_degree + 1) ** 2, columns.shape[1]))
        for part, harmonics in _blocks(self.sampling.points, self.max_degree):
            sums += harmonics.T @ (self.sampling.areas[part, None] * columns[part])
        return sums

    def _undetermined(self) -> ValueError:
        """The error of points that leave coefficients open."""
        return ValueError(
            f"the vertices of {self.sampling.spec} do not determine the harmonics up to degree "
            f"{self.max_degree}, as where they leave a large hole; use a lower degree, or a "
            "sampling of the whole sphere"
        )


def resolved_degree(sampling: Sampling) -> int:
    """The degree that a sampling resolves: harmonics number a third of the vertices.

    2 nside on HEALPix.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> resolved_degree(Healpix(nside=8))
    16
    """
    return int(np.sqrt(sampling.num_vertices // 3))


def harmonic_values(
    coefficients: Float[np.ndarray, "*batch harmonics channels"],
    points: Float[np.ndarray, "points 3"],
) -> Float[np.ndarray, "*batch points channels"]:
    """Values of functions at points, as :func:`deepsphere.harmonics.synthesize`, in bounded memory.

    Examples
    --------
    >>> harmonic_values(np.eye(4)[:, 2:3], np.array([[0.0, 0.0, 1.0]])).round(3)
    array([[0.489]])
    """
    max_degree = int(np.sqrt(coefficients.shape[-2])) - 1
    values = np.empty((*coefficients.shape[:-2], len(points), coefficients.shape[-1]))
    for part, harmonics in _blocks(points, max_degree):
        values[..., part, :] = harmonics @ coefficients
    return values


def _blocks(
    points: Float[np.ndarray, "points 3"], max_degree: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """The harmonics at all points, a few points at a time."""
    step = max(1, _VALUES_AT_ONCE // (max_degree + 1) ** 2)
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        yield part, real_harmonics(points[part], max_degree)
