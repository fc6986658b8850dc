"""Outputs of a map, with or without vertices, and what they are after a rotation."""

from collections.abc import Iterable
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from deepsphere.equivariance.harmonic_fit import HarmonicFit
from deepsphere.sampling import Sampling

OutputKind = Literal["dense", "invariant"]


class Outputs:
    r"""Outputs F(x) of several signals, and how far other outputs are from them rotated.

    Dense outputs are rotated through their harmonic fit P, invariant ones stay as they are.

    Parameters
    ----------
    values : ndarray, shape (signals, vertices, channels) or (signals, features)
        A dense output of one channel may lack the channels.
    sampling : Sampling or None
        Its vertices; None for an invariant output, of any shape.
    max_degree : int or None
        Degree of the fit; None for an invariant output.

    Raises
    ------
    ValueError
        If the outputs are not finite.

    Examples
    --------
    >>> outputs = Outputs(np.array([[1.0, 2.0]]), None, None)
    >>> outputs.squared_differences(np.array([[1.0, 4.0]]), np.eye(3))
    array([4.])
    """

    def __init__(
        self,
        values: Float[np.ndarray, "signals ..."],
        sampling: Sampling | None,
        max_degree: int | None,
    ) -> None:
        self.max_degree = max_degree
        num_rows = 1 if sampling is None else sampling.num_vertices
        self._values = _finite(values).reshape(len(values), num_rows, -1)
        areas = np.ones(1) if sampling is None else sampling.areas
        self._shares = areas / areas.sum()
        self._fit = None
        if sampling is not None and max_degree is not None:
            self._fit = HarmonicFit(sampling, max_degree)
            self._coefficients = self._fit.coefficients(self._values)

    def squared_differences(
        self, turned: Float[np.ndarray, "signals ..."], rotation: Float[np.ndarray, "3 3"]
    ) -> Float[np.ndarray, "signals"]:
        r""":math:`\|F(R x) - R P F(x)\|^2 + \|F(x) - P F(x)\|^2` of each signal."""
        difference = _finite(turned).reshape(self._values.shape) - self._rotated(rotation)
        return self._squares(difference) + self.unresolved

    @cached_property
    def unresolved(self) -> Float[np.ndarray, "signals"]:
        r""":math:`\|F(x) - P F(x)\|^2` of each signal."""
        return self._squares(self._values - self._rotated(np.eye(3)))

    @property
    def squared_norms(self) -> Float[np.ndarray, "signals"]:
        r""":math:`\|F(x)\|^2` of each signal."""
        return self._squares(self._values)

    @property
    def squared_spreads(self) -> Float[np.ndarray, "signals"]:
        """The same of the deviation from the mean over signals and vertices."""
        mean = np.einsum("svc,v->c", self._values, self._shares) / len(self._values)
        return self._squares(self._values - mean)

    def _rotated(self, rotation: Float[np.ndarray, "3 3"]) -> np.ndarray:
        """The outputs rotated."""
        if self._fit is None:
            return self._values
        return self._fit.rotated([self._coefficients], rotation)[0]

    def _squares(self, values: np.ndarray) -> Float[np.ndarray, "signals"]:
        """Squared norm of each signal, vertices weighted by their shares of the sphere."""
        return np.einsum("svc,svc,v->s", values, values, self._shares)


def output_sampling_of(
    values: Float[np.ndarray, "..."],
    kind: OutputKind | None,
    *,
    samplings: Iterable[Sampling],
    output_sampling: Sampling | None,
) -> Sampling | None:
    """The sampling on which outputs lie; None for outputs without vertices.

    Parameters
    ----------
    values : ndarray
        The outputs of all signals.
    kind : "dense", "invariant" or None
        None: recognized by the shape.
    samplings : iterable of Sampling
        Among which that of dense outputs is looked for, by its number of vertices; that of the
        inputs first. No more are made than needed.
    output_sampling : Sampling or None
        What it is, if that is known.

    Raises
    ------
    ValueError
        If the shape fits neither kind, or both.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> levels = [Healpix(nside=2), Healpix(nside=1)]
    >>> output_sampling_of(np.zeros((5, 12, 3)), None, samplings=levels, output_sampling=None)
    Healpix(nside=1, ordering='nested')
    """
    if kind not in (None, *get_args(OutputKind)):
        raise ValueError(f"output must be one of {', '.join(get_args(OutputKind))}, got {kind!r}")
    if kind == "invariant":
        return None
    known = iter(samplings if output_sampling is None else [output_sampling])
    if values.ndim == 2 and kind is None and output_sampling is None:
        if values.shape[1] != next(known).num_vertices:
            return None
        raise ValueError(
            f"output must be named for outputs of the shape {values.shape}, which may be "
            f"{values.shape[1]} features or one channel on as many vertices, got None; pass "
            "output='invariant' or output='dense'"
        )
    tried: list[str] = []
    found = None
    for each in known:
        tried.append(str(each.num_vertices))
        if values.ndim in (2, 3) and each.num_vertices == values.shape[1]:
            found = each
            break
    if found is None:
        raise ValueError(
            "outputs must have the shape (signals, vertices, channels) with "
            f"{' or '.join(tried)} vertices, or (signals, features), got {values.shape}; pass "
            "output_sampling if they lie on another sampling"
        )
    return found


def _finite(values: np.ndarray) -> np.ndarray:
    """The values, if they are numbers."""
    if not np.isfinite(values).all():
        raise ValueError(
            "outputs must be finite to be compared, got infinite values or NaN; choose other inputs"
        )
    return values
