"""The cosmology experiment: networks on patches of convergence maps, told apart by their model."""

from functools import partial
from pathlib import Path

from deepsphere.experiments.config import short_hash
from deepsphere.experiments.cosmology_baselines import BaselineRun, run_baseline
from deepsphere.experiments.cosmology_config import CosmologyRecipe
from deepsphere.experiments.cosmology_costs import Patches, measure_cosmology_costs
from deepsphere.experiments.cosmology_data import (
    MapParts,
    digest_of_maps,
    open_map_splits,
    sampling_of,
    settings_of,
)
from deepsphere.experiments.cosmology_record import CosmologyKey, CosmologyRecord
from deepsphere.experiments.cosmology_rows import CosmologyMeasured, row_names
from deepsphere.experiments.cosmology_run import num_outputs_of, run_network
from deepsphere.experiments.network_costs import TableCosts
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.experiments.run_progress import RunProgress
from deepsphere.experiments.table_run import run_table
from deepsphere.experiments.training_record import kept, read_record, training_fingerprint
from deepsphere.experiments.training_run import check_machine


def check_run(recipe: CosmologyRecipe, options: RunOptions, data: Path | None) -> None:
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
        If a claim is about nothing that is measured, or the machine has no such accelerator.
    """
    check_claim_names(recipe.claims, [name for name, _ in row_names(recipe)])
    check_machine(options)


def experiment_fingerprint(recipe: CosmologyRecipe, data: Path | None) -> str:
    """What has to be equal for the finished trainings in a folder to be kept.

    Parameters
    ----------
    recipe
        Its rows, settings, seeds, title and claims do not count: more may be compared later.
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
    section = recipe.data.model_dump(mode="json", exclude={"orders", "noises"})
    return f"{short_hash(section)}-{digest_of_maps(recipe, data)}"


def run_keys(recipe: CosmologyRecipe) -> list[CosmologyKey]:
    """The trainings of a recipe, all networks before the next seed.

    Parameters
    ----------
    recipe
        With its networks, settings and seeds.

    Returns
    -------
    list of CosmologyKey
    """
    return [
        CosmologyKey(network, setting, seed)
        for seed in recipe.seeds
        for setting in settings_of(recipe)
        for network in recipe.networks
    ]


def measure_cosmology(
    recipe: CosmologyRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> CosmologyMeasured:
    """All trainings and linear models of a recipe, and the costs; what is finished is kept.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each training has its own in ``runs``, simulated maps are in ``maps``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Where the maps lie; None where they are simulated.
    options
        How this machine computes.

    Returns
    -------
    CosmologyMeasured
    """
    runs = output / RUN_FOLDER
    expected = {
        key: training_fingerprint(recipe, key.network, fingerprint) for key in run_keys(recipe)
    }

    def prepare(
        progress: RunProgress, any_missing: bool
    ) -> tuple[MapParts, TableCosts | None, dict[str, CosmologyRecord]]:
        parts = open_map_splits(recipe, output, data=data, announce=progress.announce)
        costs = _costs(recipe, runs, parts, fingerprint, progress)
        return parts, costs, _baselines(recipe, runs, parts, fingerprint, progress)

    records, (parts, costs, baselines) = run_table(
        expected,
        runs,
        record_type=CosmologyRecord,
        num_epochs=max(recipe.training_of(network).epochs for network in recipe.networks),
        prepare=prepare,
        run=lambda key, prepared, **how: run_network(recipe, key, prepared[0], **how),
        options=options,
    )
    return CosmologyMeasured(
        records=records,
        baselines=baselines,
        costs=costs,
        class_names=tuple(parts.train.class_names),
        num_maps=tuple(len(part) for part in (parts.train, parts.validation, parts.test)),
        notes=tuple(parts.train.notes),
    )


def _costs(
    recipe: CosmologyRecipe,
    runs: Path,
    parts: MapParts,
    fingerprint: str,
    progress: RunProgress,
) -> TableCosts | None:
    """The costs in the folder, or measured now: before anything is trained on this machine."""
    if recipe.costs is None:
        return None
    maps = parts.train
    sampling = sampling_of(parts, recipe.data.orders[0])
    patches = Patches(sampling.spec, maps.num_channels, num_outputs_of(recipe, maps))
    networks = [network.model_dump(mode="json") for network in recipe.networks]
    expected = f"{short_hash([recipe.costs.model_dump(mode='json'), networks])}-{fingerprint}"
    measure = partial(
        measure_cosmology_costs,
        recipe,
        recipe.costs,
        patches,
        fingerprint=expected,
        announce=progress.announce,
    )
    return kept(runs / "costs.json", expected, TableCosts, measure)


def _baselines(
    recipe: CosmologyRecipe,
    runs: Path,
    parts: MapParts,
    fingerprint: str,
    progress: RunProgress,
) -> dict[str, CosmologyRecord]:
    """The linear models, those in the folder or fitted now, by their titles."""
    found = {}
    for baseline in recipe.baselines:
        expected = f"{short_hash(baseline.model_dump(mode='json', exclude={'name'}))}-{fingerprint}"
        for setting in settings_of(recipe):
            run = BaselineRun(recipe, baseline, setting)
            path = runs / f"{baseline.feature}-{setting.slug}.json"
            record = read_record(path, expected, CosmologyRecord)
            if record is None:
                progress.announce(run.title)
                record = run_baseline(run, parts, path=path, fingerprint=expected)
            found[run.title] = record
    return found
