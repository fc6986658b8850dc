"""The climate experiment: networks that find cyclones and atmospheric rivers, told apart by AP."""

from functools import partial
from pathlib import Path

from deepsphere.experiments.climate_config import ClimateRecipe
from deepsphere.experiments.climate_costs import TimedMaps, measure_climate_costs
from deepsphere.experiments.climate_data import (
    EventParts,
    check_data,
    digest_of_maps,
    keep_parts,
    open_parts,
)
from deepsphere.experiments.climate_record import ClimateKey, ClimateRecord
from deepsphere.experiments.climate_rows import ClimateMeasured, row_names
from deepsphere.experiments.climate_run import run_network
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.network_costs import TableCosts
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.experiments.run_progress import RunProgress
from deepsphere.experiments.table_run import run_table
from deepsphere.experiments.training_record import kept, training_fingerprint
from deepsphere.experiments.training_run import check_machine


def check_run(recipe: ClimateRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes.
    data
        Where the maps lie; looked into later, by `experiment_fingerprint`.

    Raises
    ------
    ValueError
        If a claim is about nothing that is measured, the recipe is about maps that are not named,
        or the machine has no such accelerator.
    """
    check_claim_names(recipe.claims, [name for name, _ in row_names(recipe)])
    check_data(recipe, data)
    check_machine(options)


def experiment_fingerprint(recipe: ClimateRecipe, data: Path | None) -> str:
    """What has to be equal for the finished trainings in a folder to be kept.

    Parameters
    ----------
    recipe
        Its rows, seeds, title and claims do not count: more may be compared later.
    data
        Where the maps lie; None where they are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no maps, or they cannot be simulated.
    """
    section = recipe.data.model_dump(mode="json")
    return f"{short_hash(section)}-{digest_of_maps(recipe, data)}"


def run_keys(recipe: ClimateRecipe) -> list[ClimateKey]:
    """The trainings of a recipe, all networks before the next seed.

    Parameters
    ----------
    recipe
        With its networks and seeds.

    Returns
    -------
    list of ClimateKey
    """
    return [ClimateKey(network, seed) for seed in recipe.seeds for network in recipe.networks]


def measure_climate(
    recipe: ClimateRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> ClimateMeasured:
    """All trainings of a recipe, and the costs; what is finished is kept.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each training has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Where the maps lie; None where they are simulated.
    options
        How this machine computes.

    Returns
    -------
    ClimateMeasured
    """
    recipe = recipe.on_maps_of(data)
    runs = output / RUN_FOLDER
    expected = {
        key: training_fingerprint(recipe, key.network, fingerprint) for key in run_keys(recipe)
    }

    def prepare(progress: RunProgress, any_missing: bool) -> tuple[EventParts, TableCosts | None]:
        parts = open_parts(recipe, data=data)
        costs = _costs(recipe, runs, parts, fingerprint, progress)
        return (keep_parts(parts, progress.announce) if any_missing else parts), costs

    records, (parts, costs) = run_table(
        expected,
        runs,
        record_type=ClimateRecord,
        num_epochs=max(recipe.training_of(network).epochs for network in recipe.networks),
        prepare=prepare,
        run=lambda key, prepared, **how: run_network(recipe, key, prepared[0], **how),
        options=options,
    )
    return ClimateMeasured(
        records=records,
        costs=costs,
        class_names=tuple(parts.train.class_names),
        num_maps=parts.num_maps,
        notes=tuple(parts.train.notes),
    )


def _costs(
    recipe: ClimateRecipe,
    runs: Path,
    parts: EventParts,
    fingerprint: str,
    progress: RunProgress,
) -> TableCosts | None:
    """The costs in the folder, or measured now: before anything is trained on this machine."""
    if recipe.costs is None:
        return None
    train = parts.train
    maps = TimedMaps(train.sampling.spec, train.num_channels, len(train.class_names))
    networks = [network.model_dump(mode="json") for network in recipe.networks]
    expected = f"{short_hash([recipe.costs.model_dump(mode='json'), networks])}-{fingerprint}"
    measure = partial(
        measure_climate_costs,
        recipe,
        recipe.costs,
        maps,
        fingerprint=expected,
        announce=progress.announce,
    )
    return kept(runs / "costs.json", expected, TableCosts, measure)
