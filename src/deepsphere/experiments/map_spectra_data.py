"""The maps whose spectra are measured, and what theory says of them where it says anything."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepsphere.data.lognormal_maps import lognormal_map, lognormal_skewness, target_spectra
from deepsphere.data.map_sets import MapSet, open_maps
from deepsphere.data.map_sources import values_digest
from deepsphere.data.simulated_maps import MANIFEST, SPECTRA, plan_indices, read_plan
from deepsphere.data.simulation_plan import SimulationPlan, plan_shifts
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.cosmology_config import SimulationSection
from deepsphere.experiments.cosmology_data import plan_of
from deepsphere.experiments.map_spectra_config import SMALLEST_NSIDE, MapSpectraRecipe
from deepsphere.version import __version__

PHYSICAL_SUFFIX = ", physical sky"
# Maps of each class without which nobody knows how much they scatter.
_FEWEST_MAPS = 2


@dataclass(frozen=True, eq=False)
class Theory:
    """What maps were made to be.

    Parameters
    ----------
    plan
        Of the simulation.
    target
        Spectra of each class and pair of channels, (0, 0), (0, 1), …, (1, 1), …, from degree 0 on.
    shifts
        Of the lognormal fields, by class and channel.
    """

    plan: SimulationPlan
    target: Float[np.ndarray, "classes pairs degrees"]
    shifts: Float[np.ndarray, "classes channels"]

    def moments(self) -> Float[np.ndarray, "classes channels 3"]:
        """Mean, standard deviation and skewness of the pixels: 0, that of the spectrum, lognormal.

        σ² = Σ (2l + 1) C_l / 4π.

        Returns
        -------
        Float[np.ndarray, "classes channels 3"]
        """
        first, second = np.triu_indices(self.shifts.shape[1])
        autos = self.target[:, first == second]
        weights = 2 * np.arange(autos.shape[-1]) + 1
        variance = autos @ weights / (4 * np.pi)
        skewness = np.vectorize(lognormal_skewness)(variance, self.shifts)
        return np.stack([np.zeros_like(variance), np.sqrt(variance), skewness], axis=-1)


@dataclass(frozen=True, eq=False)
class StudiedMaps:
    """Maps of several classes, and what they were made to be.

    Parameters
    ----------
    name
        Of the folder that their measurements are kept in.
    title
        In the report.
    suffix
        Of the names of their rows.
    maps
        The maps; two of each class at least.
    theory
        None where nothing is known.
    fingerprint
        What has to be equal for finished measurements to be kept.
    """

    name: str
    title: str
    suffix: str
    maps: MapSet
    theory: Theory | None
    fingerprint: str

    def __post_init__(self) -> None:
        """Check that there is something to measure."""
        counts = np.bincount(self.maps.labels, minlength=len(self.maps.class_names))
        if counts.min() < _FEWEST_MAPS:
            scarce = self.maps.class_names[int(counts.argmin())]
            raise ValueError(
                f"maps must be at least {_FEWEST_MAPS} of each class, got {counts.min()} of "
                f"{scarce}; what one map scatters by is not known (--set simulation.num_maps=40)"
            )
        if self.maps.nside < SMALLEST_NSIDE:
            raise ValueError(
                f"nside must be at least {SMALLEST_NSIDE}, got {self.maps.nside}; coarser maps "
                "have no degrees over which spectra could be averaged"
            )
        if self.theory is None and len(counts) < 2:
            raise ValueError(
                f"maps must be of two classes or come with their target spectra, got one class "
                f"({self.maps.class_names[0]}) without; there is nothing to compare them with"
            )

    @property
    def num_maps(self) -> int:
        """Maps of the smallest class."""
        return int(np.bincount(self.maps.labels).min())


def studied_maps(recipe: MapSpectraRecipe, data: Path | None) -> list[StudiedMaps]:
    """The maps of a recipe, or those in a folder.

    Parameters
    ----------
    recipe
        With the simulations.
    data
        Where maps lie; None where they are simulated.

    Returns
    -------
    list of StudiedMaps
        No map is read or made before it is asked for.

    Raises
    ------
    FileNotFoundError
        If there are no maps.
    ImportError
        If CAMB is needed and not installed.
    ValueError
        If maps cannot be read or simulated, or are too few.
    """
    if data is not None:
        return [_named_maps(data)]
    studied = [_simulated_maps(recipe.simulation, "simulation", "")]
    if recipe.physical is not None:
        studied.append(_simulated_maps(recipe.physical, "physical", PHYSICAL_SUFFIX))
    return studied


@dataclass(frozen=True)
class _PlannedMap:
    """A map that is simulated when it is asked for; the last one is kept.

    Parameters
    ----------
    plan
        Of the simulation.
    cosmology_index, map_index
        Which map.
    """

    plan: SimulationPlan
    cosmology_index: int
    map_index: int

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels, float32, in NESTED order."""
        return _drawn(self.plan, self.cosmology_index, self.map_index)[start:stop]

    def digest(self) -> str:
        """Of the values."""
        return values_digest(_drawn(self.plan, self.cosmology_index, self.map_index))


@lru_cache(maxsize=1)
def _drawn(plan: SimulationPlan, cosmology_index: int, map_index: int) -> np.ndarray:
    """One map of a plan."""
    return lognormal_map(plan, cosmology_index=cosmology_index, map_index=map_index)


def _simulated_maps(section: SimulationSection, name: str, suffix: str) -> StudiedMaps:
    """The maps that a section describes."""
    plan = plan_of(section)
    indices = sorted(plan_indices(plan))
    maps = MapSet(
        sources=tuple(_PlannedMap(plan, *index) for index in indices),
        nside=plan.nside,
        num_channels=len(plan.redshifts),
        labels=np.array([label for label, _ in indices], np.int64),
        class_names=plan.class_names,
        names=tuple(f"map {index} of {plan.class_names[label]}" for label, index in indices),
        notes=plan.notes,
    )
    target = np.array([target_spectra(plan, cosmology_index=k) for k in _classes_of(plan)])
    return StudiedMaps(
        name=name,
        title=_title_of(plan),
        suffix=suffix,
        maps=maps,
        theory=_theory(plan, target, plan_shifts(plan)),
        fingerprint=_fingerprint(section.model_dump(mode="json")),
    )


def _named_maps(data: Path) -> StudiedMaps:
    """The maps in a folder or file, with the spectra that they were made to have, if known."""
    maps = open_maps(data)
    theory = None
    if (data / MANIFEST).exists():
        with np.load(data / SPECTRA, allow_pickle=False) as file:
            theory = _theory(read_plan(data), file["target"], file["shifts"])
    return StudiedMaps(
        name="data",
        title=f"Maps in {data.name}" if theory is None else _title_of(theory.plan),
        suffix="",
        maps=maps,
        theory=theory,
        fingerprint=_fingerprint(maps.digest()),
    )


def _classes_of(plan: SimulationPlan) -> range:
    """The classes that have a target spectrum of their own."""
    return range(1 if plan.spectra == "common" else len(plan.cosmologies))


def _theory(plan: SimulationPlan, target: np.ndarray, shifts: np.ndarray) -> Theory:
    """Theory with the spectra of each class, pair by pair."""
    first, second = np.triu_indices(target.shape[1])
    pairs = target[:, first, second]
    whole = np.broadcast_to(pairs, (len(shifts), *pairs.shape[1:]))
    return Theory(plan, whole, shifts)


def _title_of(plan: SimulationPlan) -> str:
    """A simulation in a few words."""
    scale = f"zoomed {plan.zoom:g} times" if plan.scale == "zoom" else "physical sky"
    return f"Simulated maps, nside {plan.nside}, {scale}"


def _fingerprint(content: object) -> str:
    """A short hash of all that decides what is measured on each map."""
    return short_hash([content, __version__])
