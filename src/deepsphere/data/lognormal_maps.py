"""Lognormal convergence maps, one by one."""

import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from deepsphere.data.convergence_spectra import convergence_spectra
from deepsphere.data.simulation_plan import SimulationPlan, plan_shifts
from deepsphere.sampling import Healpix

# Largest part of the variance in which the maps may miss the spectrum they were asked for.
_LARGEST_ERROR = 0.01
# Of the covariance of the Gaussian fields of a degree, relative to its largest eigenvalue.
_SMALLEST_EIGENVALUE = 1e-12


def lognormal_skewness(variance: float, shift: float) -> float:
    """Skewness of a lognormal variable with zero mean: v³ + 3 v, with v = σ / λ.

    Parameters
    ----------
    variance
        σ², not negative.
    shift
        λ, positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> lognormal_skewness(1.0, 1.0)
    4.0
    """
    if not (variance >= 0 and shift > 0):
        raise ValueError(
            f"variance must not be negative and shift be positive, got {variance:g} and {shift:g}"
        )
    ratio = math.sqrt(variance) / shift
    return ratio**3 + 3 * ratio


def target_spectra(
    plan: SimulationPlan, *, cosmology_index: int = 0
) -> Float[np.ndarray, "redshifts redshifts degrees"]:
    """Power spectra that the maps of a class are made to have, zoom and beam included.

    s² C_(s l) exp(−s l (s l + 1) σ²) for l > 0, with the zoom s and the beam σ, and 0 for l = 0.

    Parameters
    ----------
    plan
        The plan.
    cosmology_index
        The class; of no effect where spectra are common.

    Returns
    -------
    Float[np.ndarray, "redshifts redshifts degrees"]
        float64, for degrees 0 to `plan.max_degree`.

    Raises
    ------
    ImportError
        If CAMB is needed and not installed.
    IndexError
        If there is no such class.

    Examples
    --------
    >>> target_spectra(SimulationPlan(nside=16, num_maps=1)).shape
    (1, 1, 48)
    """
    members = plan.cosmologies if plan.spectra == "common" else (plan.cosmologies[cosmology_index],)
    zoom, degrees = plan.zoom, np.arange(plan.max_degree + 1)
    largest = max(1, math.ceil(zoom * plan.max_degree))
    raw = np.mean(
        [convergence_spectra(one, redshifts=plan.redshifts, max_degree=largest) for one in members],
        axis=0,
    )
    if zoom >= 1:
        spectra = zoom**2 * raw[..., (zoom * degrees).astype(np.int64)]
    else:
        places = np.log(np.arange(largest + 1) + 0.5)
        logarithms = np.apply_along_axis(
            lambda row: np.interp(np.log(zoom * degrees + 0.5), places, row), -1, np.log(raw)
        )
        spectra = zoom**2 * np.exp(logarithms)
    spread = np.deg2rad(plan.beam_arcmin / 60)
    spectra = spectra * np.exp(-zoom * degrees * (zoom * degrees + 1) * spread**2)
    spectra[..., 0] = 0.0
    return spectra


def gaussian_spectra(
    target: Float[np.ndarray, "redshifts redshifts degrees"], shifts: Float[np.ndarray, "redshifts"]
) -> Float[np.ndarray, "redshifts redshifts degrees"]:
    """Spectra of the Gaussian fields whose exponentials have the target spectra.

    κ_i = λ_i (exp(g_i − σ_i²/2) − 1) has the correlation λ_i λ_j (exp(ξ_ij) − 1) if ξ_ij is that of
    g_i and g_j. Found by the Gauss-Newton solver of GLASS, which counts with the degrees beyond the
    last that the exponential adds; the monopole is 0. Where no such fields exist, the nearest ones.

    Parameters
    ----------
    target
        Spectra of the maps.
    shifts
        The λ of each redshift.

    Returns
    -------
    Float[np.ndarray, "redshifts redshifts degrees"]
        float64; positive semidefinite at each degree.

    Raises
    ------
    ImportError
        If GLASS is not installed.
    ValueError
        If there are none with which a hundredth of the variance at most is missed, as with very
        small shifts.

    References
    ----------
    Tessore et al., "GLASS: Generator for Large Scale Structure", Open Journal of Astrophysics 6
    (2023). Xavier, Abdalla, Joachimi, "Improving lognormal models for cosmological fields", MNRAS
    459 (2016).
    """
    glass = _glass()
    from transformcl import cltocorr

    scales = np.outer(shifts, shifts)
    for (i, j), scale in np.ndenumerate(scales):
        if not (cltocorr(target[i, j]) > -scale).all():
            raise _out_of_reach(shifts, "the correlation lies below minus its square")
    fields = [glass.grf.Lognormal(float(shift)) for shift in shifts]
    order = _glass_order(len(shifts))
    with warnings.catch_warnings():
        # whether it came close enough is measured below
        warnings.filterwarnings("ignore", message=".*did not converge")
        solved = glass.solve_gaussian_spectra(fields, [target[i, j] for i, j in order])
    spectra = np.empty_like(target)
    for (i, j), spectrum in zip(order, solved, strict=True):
        spectra[i, j] = spectra[j, i] = spectrum
    spectra[..., 0] = 0.0
    values, vectors = np.linalg.eigh(np.moveaxis(spectra, -1, 0))
    # singular up to rounding would be indefinite to what draws the fields
    smallest = _SMALLEST_EIGENVALUE * np.maximum(values[:, -1:], 0)
    if (values < smallest).any():
        spectra = np.einsum("lik,lk,ljk->ijl", vectors, np.maximum(values, smallest), vectors)
    error = _spectrum_error(target, spectra, scales)
    if not error < _LARGEST_ERROR:
        raise _out_of_reach(shifts, f"the nearest spectra differ by {100 * error:.0f} %")
    return spectra


def _spectrum_error(target: np.ndarray, gaussian: np.ndarray, scales: np.ndarray) -> float:
    """Variance in which the spectra of the maps miss the target, relative, the largest of all."""
    from transformcl import cltocorr, corrtocl

    num_degrees = target.shape[-1]
    weights = 2 * np.arange(num_degrees) + 1
    weights[0] = 0
    errors = np.zeros_like(scales)
    for (i, j), scale in np.ndenumerate(scales):
        # room for the degrees that the exponential adds
        padded = np.pad(gaussian[i, j], (0, 2 * num_degrees))
        reached = corrtocl(scale * np.expm1(cltocorr(padded)))[:num_degrees]
        total = math.sqrt((weights @ target[i, i]) * (weights @ target[j, j]))
        errors[i, j] = weights @ np.abs(reached - target[i, j]) / total
    return float(errors.max())


def _out_of_reach(shifts: np.ndarray, reason: str) -> ValueError:
    """The error of shifts with which there are no maps."""
    return ValueError(
        "shifts must be large enough for a lognormal field with these spectra, got "
        f"{np.round(shifts, 6).tolist()}, for which {reason}; use larger shifts or a smaller "
        "contrast"
    )


def _glass_order(num: int) -> list[tuple[int, int]]:
    """Pairs of fields in the order of GLASS: (0, 0), (1, 1), (1, 0), (2, 2) …"""
    return [(i, j) for i in range(num) for j in range(i, -1, -1)]


def lognormal_map(
    plan: SimulationPlan, *, cosmology_index: int, map_index: int
) -> Float[np.ndarray, "vertices channels"]:
    """One convergence map of a plan, always the same, whatever others are made and in which order.

    Parameters
    ----------
    plan
        What to make.
    cosmology_index
        Index of the class.
    map_index
        Index within the class, not necessarily below `plan.num_maps`.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        float32, NESTED, a channel for each redshift.

    Raises
    ------
    ImportError
        If GLASS or CAMB are needed and not installed.
    ValueError
        If there is no such class, or no map with such shifts.

    Examples
    --------
    >>> plan = SimulationPlan(nside=8, num_maps=1, scale="zoom")
    >>> kappa = lognormal_map(plan, cosmology_index=0, map_index=0)
    >>> kappa.shape, bool(kappa.min() > -0.0341)
    ((768, 1), True)
    """
    if not 0 <= cosmology_index < len(plan.cosmologies) or map_index < 0:
        raise ValueError(
            f"cosmology_index must be in [0, {len(plan.cosmologies)}) and map_index not negative, "
            f"got {cosmology_index} and {map_index}"
        )
    gaussian, shifts = _solved(plan, cosmology_index)
    return draw_map(plan, gaussian, shifts, cosmology_index=cosmology_index, map_index=map_index)


def draw_map(
    plan: SimulationPlan,
    gaussian: Float[np.ndarray, "redshifts redshifts degrees"],
    shifts: Float[np.ndarray, "redshifts"],
    *,
    cosmology_index: int,
    map_index: int,
) -> Float[np.ndarray, "vertices channels"]:
    """One convergence map with given spectra of its Gaussian fields.

    Parameters
    ----------
    plan
        Of which the resolution and the seed matter.
    gaussian
        See :func:`gaussian_spectra`.
    shifts
        The λ of each redshift.
    cosmology_index, map_index
        What the random numbers depend on, besides the seed.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        float32, NESTED.

    Raises
    ------
    ImportError
        If GLASS is not installed.
    """
    glass = _glass()
    fields = [glass.grf.Lognormal(float(shift)) for shift in shifts]
    sequence = np.random.SeedSequence(plan.seed, spawn_key=(cosmology_index, map_index))
    maps = glass.generate(
        fields,
        [gaussian[i, j] for i, j in _glass_order(len(shifts))],
        plan.nside,
        rng=np.random.default_rng(sequence),
    )
    channels = np.stack([np.asarray(one, np.float32) for one in maps], axis=-1)
    return Healpix(plan.nside, ordering="ring").reorder(channels, "nested")


@lru_cache(maxsize=8)
def _solved(plan: SimulationPlan, cosmology_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian spectra and shifts of a class."""
    shifts = plan_shifts(plan)[cosmology_index]
    target = target_spectra(plan, cosmology_index=cosmology_index)
    return gaussian_spectra(target, shifts), shifts


def _glass() -> Any:
    """GLASS, or how to install it."""
    try:
        import glass
        import glass.grf
    except ImportError as error:
        raise ImportError(
            "simulating maps needs GLASS, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    return glass
