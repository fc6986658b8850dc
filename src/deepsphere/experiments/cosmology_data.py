"""The maps of the cosmology experiment: simulated or read, split, and cut into noisy patches."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from deepsphere.data.cosmologies import Cosmology, draw_cosmologies
from deepsphere.data.labelled_maps import MapSet, keep_small
from deepsphere.data.map_sets import MapSplits, open_maps, split_maps
from deepsphere.data.map_sources import map_nside
from deepsphere.data.readers import read_flags
from deepsphere.data.simulated_maps import simulate_maps
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.cosmology_config import (
    CosmologyRecipe,
    CosmologyTraining,
    SimulationSection,
)
from deepsphere.experiments.cosmology_record import Setting
from deepsphere.experiments.output import MAP_FOLDER
from deepsphere.experiments.signal_selection import read_mask
from deepsphere.sampling import Healpix, Sampling
from deepsphere.sampling.healpix_patches import patch_sampling
from deepsphere.training import ChannelScaling
from deepsphere.training.map_data import SphericalMaps


@dataclass(frozen=True, eq=False)
class MapParts:
    """The maps of an experiment, each in one part with all of its patches.

    Parameters
    ----------
    train, validation, test
        At least one map each.
    mask
        Which pixels of the whole sphere count, NESTED; None for all.
    """

    train: MapSet
    validation: MapSet
    test: MapSet
    mask: Bool[np.ndarray, "pixels"] | None = None


def plan_of(section: SimulationSection) -> SimulationPlan:
    """The simulation that a recipe describes.

    Parameters
    ----------
    section
        Of the recipe.

    Returns
    -------
    SimulationPlan

    Raises
    ------
    ValueError
        If its numbers do not go together.
    """
    if section.prior is None:
        universes = tuple(Cosmology(*pair) for pair in section.cosmologies)
    else:
        omega_m, sigma_8 = section.prior
        universes = draw_cosmologies(
            section.num_cosmologies, omega_m=omega_m, sigma_8=sigma_8, seed=section.seed
        )
    return SimulationPlan(
        nside=section.nside,
        cosmologies=universes,
        num_maps=section.num_maps,
        redshifts=section.redshifts,
        spectra=section.spectra,
        beam_arcmin=section.beam_arcmin,
        scale=section.scale,
        # named ones say it all, also beside the contrast of a recipe
        contrast=section.contrast if section.shifts is None else None,
        shifts=section.shifts,
        seed=section.seed,
    )


def digest_of_maps(recipe: CosmologyRecipe, data: Path | None) -> str:
    """A short hash of the maps, before they are simulated.

    Parameters
    ----------
    recipe
        With the simulation.
    data
        Where maps lie; None where they are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_maps` and `plan_of`.
    """
    mask = None if recipe.data.mask is None else Path(recipe.data.mask)
    if data is not None:
        return _open(data, mask)[0].digest()
    plan_of(recipe.simulation)
    decisive: list[object] = [recipe.simulation.model_dump(mode="json")]
    if mask is not None:
        kept = _read_mask(mask, recipe.simulation.nside)
        decisive.append(np.packbits(kept).tobytes().hex())
    return short_hash(decisive)


def open_map_splits(
    recipe: CosmologyRecipe,
    output: Path,
    *,
    data: Path | None,
    announce: Callable[[str], None],
) -> MapParts:
    """The maps of a recipe, simulated where there are no others, and split.

    Parameters
    ----------
    recipe
        With simulation and split.
    output
        The folder of the experiment; simulated maps go to its folder ``maps``, and those that
        are there already are kept.
    data
        Where maps lie; None where they are simulated.
    announce
        Told what is being done.

    Returns
    -------
    MapParts

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_maps`, `simulate_maps` and `split_maps`.
    """
    if data is None:
        plan = plan_of(recipe.simulation)
        num_maps, done = plan.num_maps * len(plan.cosmologies), 0

        def advance() -> None:
            nonlocal done
            done += 1
            announce(f"simulating maps, {done}/{num_maps}")

        announce("computing power spectra")
        folder = simulate_maps(plan, output / MAP_FOLDER, advance=advance)
    else:
        folder = data
    maps, mask = _open(folder, None if recipe.data.mask is None else Path(recipe.data.mask))
    check_target(recipe, maps)
    section = recipe.data
    split = split_maps if section.target == "class" else split_universes
    train, validation, test = split(
        maps,
        validation_fraction=section.validation_fraction,
        test_fraction=section.test_fraction,
        seed=section.split_seed,
    )
    if validation is None or test is None:
        raise ValueError(
            f"data must hold maps for validation and test, got {len(maps)} in all; name more, or "
            "larger fractions: --set data.test_fraction=0.3"
        )
    if section.num_train is not None:
        places = (np.flatnonzero(train.labels == label) for label in np.unique(train.labels))
        few = np.concatenate([of_class[: section.num_train] for of_class in places])
        train = train.take(np.sort(few))
    # once for all trainings
    kept = keep_small({"train": train, "validation": validation, "test": test})
    return MapParts(**kept, mask=mask)


def sampling_of(parts: MapParts, order: int) -> Sampling:
    """Where the signals of patches are: on a patch, or on what a mask keeps of the sphere.

    Parameters
    ----------
    parts
        The maps, and their mask.
    order
        Of the patches; 0 for whole maps.

    Returns
    -------
    Sampling
    """
    sampling = patch_sampling(parts.train.nside, order)
    return sampling if parts.mask is None else sampling.subset(parts.mask)


def _open(folder: Path, mask: Path | None) -> tuple[MapSet, np.ndarray | None]:
    """Maps and their mask, which is at the resolution of the maps."""
    if mask is None:
        return open_maps(folder), None
    kept = _read_mask(mask)
    return open_maps(folder, mask=kept), kept


def _read_mask(path: Path, nside: int | None = None) -> Bool[np.ndarray, "pixels"]:
    """Which pixels a file keeps, NESTED, at its own resolution or the one that is needed."""
    if nside is None:
        num_pixels = read_flags(path).signals.shape[1]
        nside = map_nside(num_pixels, name=str(path))
    return read_mask(path, Healpix(nside))


def split_universes(
    maps: MapSet, *, validation_fraction: float, test_fraction: float, seed: int
) -> MapSplits:
    """Parts of a set, all maps of a universe in one of them: what is tested on is interpolated.

    Parameters
    ----------
    maps
        Each class is a universe.
    validation_fraction, test_fraction
        Parts of the universes, rounded.
    seed
        Of the choice.

    Returns
    -------
    MapSplits
        Parts without a universe are None.

    Raises
    ------
    ValueError
        If no universe is left for training.
    """
    universes = np.random.default_rng((seed, 0x0517)).permutation(np.unique(maps.labels))
    num_test, num_validation = (
        round(fraction * len(universes)) for fraction in (test_fraction, validation_fraction)
    )
    if num_test + num_validation >= len(universes):
        raise ValueError(
            f"data must hold more than {num_test + num_validation} universes, got "
            f"{len(universes)}, of which {num_test} are for the test and {num_validation} for "
            "validation; simulate more, or set smaller fractions"
        )
    chosen = np.split(universes, [num_test, num_test + num_validation])
    test, validation, train = (np.flatnonzero(np.isin(maps.labels, of)) for of in chosen)
    return MapSplits(
        maps.take(train),
        maps.take(validation) if len(validation) else None,
        maps.take(test) if len(test) else None,
    )


def check_target(recipe: CosmologyRecipe, maps: MapSet) -> None:
    """Raise unless maps tell what shall be learned from them.

    Parameters
    ----------
    recipe
        With the target.
    maps
        Of a simulation, or of others.

    Raises
    ------
    ValueError
        If they do not.
    """
    if recipe.data.target == "parameters" and maps.parameters is None:
        raise ValueError(
            "data must hold the cosmological parameters of every map for target = 'parameters', "
            "got maps without; learn their classes: --set data.target=class"
        )
    if recipe.data.target == "class" and len(maps.class_names) < 2:
        raise ValueError(
            f"data must hold maps of two classes or more, got {len(maps.class_names)}; simulate "
            "more cosmologies, or learn the parameters: --set data.target=parameters"
        )


def patches_of(
    recipe: CosmologyRecipe,
    parts: MapParts,
    setting: Setting,
    training: CosmologyTraining,
    *,
    seed: int,
    scaling: ChannelScaling | None = None,
) -> SphericalMaps:
    """Noisy patches of the maps, batch by batch.

    Parameters
    ----------
    recipe
        With noise seed and target.
    parts
        The maps.
    setting
        Order of the patches, and noise.
    training
        With batch size, curriculum and symmetries.
    seed
        Of order, noise and symmetries.
    scaling
        Of the channels; measured on the training maps if not given.

    Returns
    -------
    SphericalMaps
    """
    return SphericalMaps(
        parts.train,
        validation=parts.validation,
        test=parts.test,
        order=setting.order,
        mask=parts.mask,
        noise=setting.noise,
        noise_warmup_epochs=training.noise_warmup_epochs,
        symmetries=training.symmetries,
        target=recipe.data.target,
        batch_size=batch_size_at(training.batch_size, setting.order),
        scaling=scaling,
        seed=seed,
        noise_seed=recipe.data.noise_seed,
    )


def batch_size_at(batch_size: int, order: int) -> int:
    """Patches in a batch that covers as much of the sky as one of order 1.

    Parameters
    ----------
    batch_size
        Of order 1.
    order
        Of the patches; 0 for whole maps, of which there is at least one.

    Returns
    -------
    int

    Examples
    --------
    >>> [batch_size_at(16, order) for order in (0, 1, 2)]
    [1, 16, 64]
    """
    return batch_size * order**2 if order else max(1, batch_size // 12)


def settings_of(recipe: CosmologyRecipe) -> list[Setting]:
    """The columns of the results: every order with every noise.

    Parameters
    ----------
    recipe
        With both.

    Returns
    -------
    list of Setting
    """
    return [Setting(order, noise) for order in recipe.data.orders for noise in recipe.data.noises]
