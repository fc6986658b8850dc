"""What decides every byte of simulated convergence maps."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from deepsphere.data.cosmologies import (
    DEFAULT_COSMOLOGIES,
    LARGEST_REDSHIFT,
    Cosmology,
    lognormal_shift,
)
from deepsphere.sampling.checks import is_power_of_two

SpectraChoice = Literal["common", "own"]
Scale = Literal["physical", "zoom"]
LARGEST_NSIDE = 8192


@dataclass(frozen=True, kw_only=True)
class SimulationPlan:
    """What decides every byte of simulated convergence maps.

    Parameters
    ----------
    nside
        Resolution of the maps, a power of two.
    num_maps
        Of each cosmology.
    cosmologies
        The universes, each one a class.
    redshifts
        Of the source planes, each one a channel; channels of a map are correlated as they should.
    spectra
        ``"common"``: all classes have one power spectrum, the mean of theirs, so that only what is
        not Gaussian tells them apart. ``"own"``: each class has its own spectrum.
    beam_arcmin
        Standard deviation of the Gaussian beam which the spectrum is multiplied with; 0 for none.
    reference_nside
        Resolution whose pixels are imitated where the scale is ``"zoom"``.
    scale
        ``"physical"``: the sky. ``"zoom"``: C_l is replaced by s² C_(s l) with s = reference_nside
        / nside, beam included, so that pixels have the statistics of those at the reference. Not a
        physical sky: its structures are s times too large.
    contrast
        Ratio of the largest to the smallest of the shifts, to which the physical shifts are
        stretched about their geometric mean; None for the physical ones.
    shifts
        The lognormal shifts themselves, one for each cosmology, or for each cosmology one for each
        redshift; None for the physical ones.
    seed
        Of all random numbers.

    Raises
    ------
    ValueError
        If a value is out of range or values contradict each other.

    Examples
    --------
    >>> plan = SimulationPlan(nside=64, num_maps=40, scale="zoom", contrast=2.0)
    >>> plan.zoom, plan.max_degree, len(plan.cosmologies)
    (16.0, 191, 2)
    """

    nside: int
    num_maps: int
    cosmologies: Sequence[Cosmology] = DEFAULT_COSMOLOGIES
    redshifts: Sequence[float | int] = (1.0,)
    spectra: SpectraChoice = "common"
    beam_arcmin: float | int = 3.0
    reference_nside: int = 1024
    scale: Scale = "physical"
    contrast: float | int | None = None
    shifts: Sequence[float | int] | Sequence[Sequence[float | int]] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values, and make them what can be compared and hashed."""
        self._set("cosmologies", tuple(self.cosmologies))
        self._set("redshifts", tuple(float(redshift) for redshift in self.redshifts))
        self._set("beam_arcmin", float(self.beam_arcmin))
        for name in ("nside", "reference_nside"):
            value = getattr(self, name)
            if not (is_power_of_two(value) and 2 <= value <= LARGEST_NSIDE):
                raise ValueError(
                    f"{name} must be a power of two from 2 to {LARGEST_NSIDE}, got {value}"
                )
        if self.num_maps < 1:
            raise ValueError(f"num_maps must be at least 1, got {self.num_maps}")
        if not self.cosmologies:
            raise ValueError("cosmologies must hold at least one, got none")
        planes = self.redshifts
        if not planes or any(not 0 < z <= LARGEST_REDSHIFT for z in planes):
            raise ValueError(
                f"redshifts must be in (0, {LARGEST_REDSHIFT:g}], at least one, got {planes}"
            )
        if len(set(planes)) < len(planes):
            raise ValueError(f"redshifts must differ, got {planes}; name each once")
        if self.spectra not in ("common", "own"):
            raise ValueError(f"spectra must be 'common' or 'own', got {self.spectra!r}")
        if self.scale not in ("physical", "zoom"):
            raise ValueError(f"scale must be 'physical' or 'zoom', got {self.scale!r}")
        if not 0 <= self.beam_arcmin <= 600:
            raise ValueError(
                f"beam_arcmin must be from 0 to 600 arc minutes, got {self.beam_arcmin:g}"
            )
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        self._check_shifts()

    def _set(self, name: str, value: object) -> None:
        """Replace a value during construction."""
        object.__setattr__(self, name, value)

    def _check_shifts(self) -> None:
        """Check what decides the shifts."""
        if self.contrast is not None:
            if self.shifts is not None:
                raise ValueError("contrast must be None where shifts are given; choose one of them")
            if not self.contrast >= 1:
                raise ValueError(
                    f"contrast must be at least 1 (the largest over the smallest shift), "
                    f"got {self.contrast:g}"
                )
            if len(self.cosmologies) < 2:
                raise ValueError(
                    "contrast must come with at least two cosmologies, got one; give shifts"
                )
            self._set("contrast", float(self.contrast))
        if self.shifts is not None:
            rows = [row if isinstance(row, Sequence) else (row,) for row in self.shifts]
            rows = tuple(tuple(float(shift) for shift in row) for row in rows)
            lengths = {len(row) for row in rows}
            if len(rows) != len(self.cosmologies) or lengths != {len(self.redshifts)}:
                raise ValueError(
                    f"shifts must be one for each of {len(self.cosmologies)} cosmologies and "
                    f"{len(self.redshifts)} redshifts, got {self.shifts}"
                )
            if not all(0 < shift < math.inf for row in rows for shift in row):
                raise ValueError(f"shifts must be positive, got {self.shifts}")
            self._set("shifts", rows)

    @property
    def zoom(self) -> float:
        """How many times larger than in the sky structures are."""
        return self.reference_nside / self.nside if self.scale == "zoom" else 1.0

    @property
    def max_degree(self) -> int:
        """Largest degree of the Gaussian fields: the last that HEALPix maps carry well."""
        return 3 * self.nside - 1

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each cosmology, numbered where two are the same."""
        names = [cosmology.name for cosmology in self.cosmologies]
        return tuple(
            name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
            for index, name in enumerate(names)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results on these maps must know; nothing for a physical sky."""
        notes = []
        if self.scale == "zoom":
            notes.append(f"zoomed {self.zoom:g} times: not a physical sky")
        if self.contrast is not None:
            notes.append(f"shifts stretched to a ratio of {self.contrast:g}: not physical")
        if self.shifts is not None:
            notes.append("shifts given: not physical")
        return tuple(notes)


def plan_shifts(plan: SimulationPlan) -> Float[np.ndarray, "cosmologies redshifts"]:
    """Lognormal shifts of the classes of a plan, by redshift.

    Without more, those of :func:`~deepsphere.data.cosmologies.lognormal_shift`. With a contrast R,
    their logarithms are stretched about the mean of each redshift until the largest shift is R
    times the smallest; for two classes that is λ R^±½ with the geometric mean λ.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    Float[np.ndarray, "cosmologies redshifts"]
        Positive.

    Raises
    ------
    ValueError
        If all physical shifts are the same, which cannot be stretched.

    Examples
    --------
    >>> plan = SimulationPlan(nside=64, num_maps=1, contrast=2.0)
    >>> plan_shifts(plan)[:, 0].round(4).tolist()
    [0.0456, 0.0228]
    """
    if plan.shifts is not None:
        return np.array(plan.shifts, np.float64)
    shifts = np.array(
        [
            [lognormal_shift(one, redshift) for redshift in plan.redshifts]
            for one in plan.cosmologies
        ]
    )
    if plan.contrast is None:
        return shifts
    logarithms = np.log(shifts)
    spread = np.ptp(logarithms, axis=0)
    if not (spread > 1e-9).all():
        raise ValueError(
            "contrast must come with cosmologies of different physical shifts, got the same; "
            "give shifts instead"
        )
    mean = logarithms.mean(axis=0)
    return np.exp(mean + (logarithms - mean) * math.log(plan.contrast) / spread)


def plan_content(plan: SimulationPlan) -> dict[str, Any]:
    """A plan as plain values, for a file.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    dict

    Examples
    --------
    >>> plan_content(SimulationPlan(nside=64, num_maps=40))["cosmologies"][0]["sigma_8"]
    0.82
    """
    return asdict(plan)


def plan_from_content(content: dict[str, Any]) -> SimulationPlan:
    """The plan of which these are the plain values.

    Parameters
    ----------
    content
        See :func:`plan_content`.

    Returns
    -------
    SimulationPlan

    Raises
    ------
    TypeError
        If a name is unknown or missing.
    ValueError
        If the values make no plan.

    Examples
    --------
    >>> plan = SimulationPlan(nside=64, num_maps=40, contrast=2.0)
    >>> plan_from_content(plan_content(plan)) == plan
    True
    """
    cosmologies = tuple(Cosmology(**one) for one in content["cosmologies"])
    return SimulationPlan(**{**content, "cosmologies": cosmologies})
