"""Flat ΛCDM universes, and how empty a line of sight through them can be."""

import math
from dataclasses import dataclass, fields

import numpy as np
from scipy.integrate import quad

SPEED_OF_LIGHT = 299792.458  # km/s
# The fit of Hilbert et al. (2011): its coefficients of z, z², z³, z⁴, the matter of the simulation
# it was made on, and as far as that simulation was looked at.
_FITTED_SHIFT = (8e-3, 2.9e-2, -7.9e-3, 6.5e-4)
_FITTED_OMEGA_M = 0.25
LARGEST_REDSHIFT = 4.0
# What a number is taken for where it makes no universe that CAMB can follow.
_RANGES = {
    "sigma_8": (0.05, 3.0),
    "hubble": (20.0, 200.0),
    "omega_b": (0.005, 0.5),
    "spectral_index": (0.5, 1.5),
}


@dataclass(frozen=True)
class Cosmology:
    """A flat ΛCDM universe without massive neutrinos.

    Parameters
    ----------
    omega_m
        Density of all matter, relative to the critical density; more than `omega_b`, at most 1.
    sigma_8
        Standard deviation of the linear matter density today in spheres of 8 Mpc/h.
    hubble
        Expansion rate today, km/s/Mpc.
    omega_b
        Density of baryons, a part of `omega_m`.
    spectral_index
        Of the primordial fluctuations.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> Cosmology(0.31, 0.82).name
    'omega_m 0.31, sigma_8 0.82'
    """

    omega_m: float | int
    sigma_8: float | int
    hubble: float | int = 70.0
    omega_b: float | int = 0.045
    spectral_index: float | int = 0.96

    def __post_init__(self) -> None:
        """Check the numbers."""
        for field in fields(self):
            object.__setattr__(self, field.name, float(getattr(self, field.name)))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low:g}, {high:g}], got {value:g}")
        if not self.omega_b < self.omega_m <= 1:
            raise ValueError(
                f"omega_m must be larger than omega_b ({self.omega_b:g}) and at most 1 (the "
                f"universe is flat), got {self.omega_m:g}; it counts all matter, baryons included"
            )

    @property
    def name(self) -> str:
        """The two numbers by which universes are told apart here."""
        return f"omega_m {self.omega_m:g}, sigma_8 {self.sigma_8:g}"


DEFAULT_COSMOLOGIES = (Cosmology(0.31, 0.82), Cosmology(0.26, 0.91))
"""The two universes of the published experiment, nearly the same in their power spectra."""


def empty_beam_convergence(cosmology: Cosmology, redshift: float | int) -> float:
    """Magnitude of the convergence of a line of sight without any matter: none is below minus it.

    κ_empty = (3/2) Ω_m (H_0/c)² ∫ (1 + z) χ (1 − χ/χ_s) dχ from 0 to the comoving distance χ_s of
    the source plane, the Born approximation with a density contrast of −1 everywhere.

    Parameters
    ----------
    cosmology
        The universe.
    redshift
        Of the source plane, positive.

    Returns
    -------
    float
        Positive.

    Raises
    ------
    ValueError
        If the redshift is out of range.

    Examples
    --------
    >>> [round(empty_beam_convergence(universe, 1.0), 4) for universe in DEFAULT_COSMOLOGIES]
    [0.0657, 0.0588]

    References
    ----------
    Jain, Seljak, White, "Ray-tracing simulations of weak lensing by large-scale structure", ApJ
    530 (2000), section 4.
    """
    _check_redshift(redshift)
    # in units of c/H_0: twice integrated, once for the distance of each redshift
    source = _distance(cosmology, redshift)

    def weight(z: float) -> float:
        distance = _distance(cosmology, z)
        return (1 + z) * distance * (1 - distance / source) / _expansion(cosmology, z)

    return 1.5 * cosmology.omega_m * quad(weight, 0.0, redshift, epsabs=0, epsrel=1e-9)[0]


def lognormal_shift(cosmology: Cosmology, redshift: float | int) -> float:
    """Physical shift λ of the lognormal convergence: κ > −λ, and the smaller λ, the more skewed.

    λ(z) = λ_fit(z) κ_empty(z) / κ_empty(z; Ω_m = 0.25)

    The fit λ_fit = .008 z + .029 z² − .0079 z³ + .00065 z⁴ was made to ray-traced maps of a
    simulation with Ω_m = 0.25. It is about half of the convergence of an empty beam, since matter
    is nowhere absent all the way. To other universes it is carried by the ratio of the empty beams.

    Parameters
    ----------
    cosmology
        The universe.
    redshift
        Of the source plane, in (0, 4].

    Returns
    -------
    float
        Positive, of the same unit as the convergence (none).

    Raises
    ------
    ValueError
        If the redshift is out of range.

    Examples
    --------
    >>> [round(lognormal_shift(universe, 1.0), 4) for universe in DEFAULT_COSMOLOGIES]
    [0.0341, 0.0305]

    References
    ----------
    Hilbert, Hartlap, Schneider, "Cosmic shear covariance: the log-normal approximation", A&A 536
    (2011), section 4.
    """
    _check_redshift(redshift)
    fitted = sum(factor * redshift**power for power, factor in enumerate(_FITTED_SHIFT, start=1))
    # the empty beam of a flat universe depends on nothing but Ω_m and the redshift
    of_the_fit = Cosmology(_FITTED_OMEGA_M, cosmology.sigma_8)
    ratio = empty_beam_convergence(cosmology, redshift) / empty_beam_convergence(
        of_the_fit, redshift
    )
    return fitted * ratio


def draw_cosmologies(
    num: int,
    *,
    omega_m: tuple[float | int, float | int] = (0.1, 0.5),
    sigma_8: tuple[float | int, float | int] = (0.5, 1.2),
    seed: int = 0,
) -> tuple[Cosmology, ...]:
    """Universes spread evenly over a rectangle of (Ω_m, σ_8): the prior of a regression.

    Points of a Sobol sequence, shifted at random (modulo the rectangle), rounded to six digits. The
    first of more points are the points of fewer.

    Parameters
    ----------
    num
        How many, at least 1.
    omega_m, sigma_8
        Smallest and largest value of each.
    seed
        Of the shift.

    Returns
    -------
    tuple of Cosmology

    Raises
    ------
    ValueError
        If there are none, a range is empty, or it holds no universe.

    Examples
    --------
    >>> universes = draw_cosmologies(8, omega_m=(0.2, 0.4), sigma_8=(0.7, 0.9), seed=1)
    >>> len(universes), all(0.2 <= universe.omega_m <= 0.4 for universe in universes)
    (8, True)
    """
    if num < 1:
        raise ValueError(f"num must be at least 1, got {num}")
    ranges = {"omega_m": omega_m, "sigma_8": sigma_8}
    for name, (low, high) in ranges.items():
        if not low < high:
            raise ValueError(
                f"{name} must be a smaller and a larger number, got ({low:g}, {high:g})"
            )
    for corner in zip(omega_m, sigma_8, strict=True):
        Cosmology(*corner)  # what lies between valid values is valid
    from scipy.stats import qmc

    # a number of points that is no power of two is a warning of scipy, so the rest is cut off
    points = qmc.Sobol(2, scramble=False).random_base2(math.ceil(math.log2(num)))[:num]
    unit = (points + np.random.default_rng(seed).random(2)) % 1.0
    low, high = np.array(list(ranges.values()), np.float64).T
    drawn = np.round(low + unit * (high - low), 6)
    return tuple(Cosmology(float(matter), float(clumping)) for matter, clumping in drawn)


def _check_redshift(redshift: float | int) -> None:
    """Raise unless the redshift is one that the fit was made for."""
    if not 0 < redshift <= LARGEST_REDSHIFT:
        raise ValueError(
            f"redshift must be in (0, {LARGEST_REDSHIFT:g}], got {redshift:g}; lensing needs a "
            "source that is not here"
        )


def _expansion(cosmology: Cosmology, redshift: float) -> float:
    """H(z) / H_0 of matter and a cosmological constant."""
    return math.sqrt(cosmology.omega_m * (1 + redshift) ** 3 + 1 - cosmology.omega_m)


def _distance(cosmology: Cosmology, redshift: float) -> float:
    """Comoving distance in units of c/H_0."""
    return quad(lambda z: 1 / _expansion(cosmology, z), 0.0, redshift, epsabs=0, epsrel=1e-11)[0]
