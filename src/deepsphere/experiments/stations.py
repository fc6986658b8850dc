"""The stations experiment: networks that learn where measurements are, and simpler answers."""

import time
from pathlib import Path

from deepsphere.experiments.config import short_hash
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.experiments.run_progress import RunProgress
from deepsphere.experiments.stations_config import StationsRecipe
from deepsphere.experiments.stations_data import (
    ObjectiveParts,
    StationsParts,
    open_parts,
)
from deepsphere.experiments.stations_record import BaselineRecord, StationKey, StationsRecord
from deepsphere.experiments.stations_records import check_data, digest_of_records
from deepsphere.experiments.stations_rows import StationsMeasured, row_names
from deepsphere.experiments.stations_run import run_network, training_of
from deepsphere.experiments.stations_scores import score_baselines
from deepsphere.experiments.table_run import run_table
from deepsphere.experiments.training_record import kept, training_fingerprint
from deepsphere.experiments.training_run import check_machine
from deepsphere.version import __version__


def check_run(recipe: StationsRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes.
    data
        The records; read later, by `experiment_fingerprint`. None where they are simulated.

    Raises
    ------
    ValueError
        If a claim is about nothing that is measured, the recipe is about records that are not
        named, or the machine has no such accelerator.
    """
    check_claim_names(recipe.claims, row_names(recipe))
    check_machine(options)
    check_data(recipe, data)


def experiment_fingerprint(recipe: StationsRecipe, data: Path | None) -> str:
    """What has to be equal for the finished trainings in a folder to be kept.

    Parameters
    ----------
    recipe
        Its objectives, networks, seeds, title and claims do not count: more may be compared later.
    data
        The records; None where they are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no records, or none that the recipe is about.
    """
    section = recipe.data.model_dump(mode="json")
    return f"{short_hash(section)}-{digest_of_records(recipe, data)}"


def run_keys(recipe: StationsRecipe, parts: StationsParts) -> list[StationKey]:
    """The trainings of a recipe, all objectives and networks before the next seed.

    Parameters
    ----------
    recipe
        With its networks and seeds.
    parts
        With the objectives that the records allow.

    Returns
    -------
    list of StationKey
    """
    return [
        StationKey(objective.section, network, seed)
        for seed in recipe.seeds
        for objective in parts.objectives.values()
        for network in recipe.networks
    ]


def key_fingerprint(
    recipe: StationsRecipe, key: StationKey, parts: ObjectiveParts, data: str
) -> str:
    """The fingerprint of a training.

    Parameters
    ----------
    recipe, data
        As of `training_fingerprint`.
    key
        Which of the trainings.
    parts
        The records of its objective, whose number decides about the epochs.

    Returns
    -------
    str
    """
    beside = [*_decisive(recipe, key.objective.name), training_of(recipe, key, parts).epochs]
    return training_fingerprint(recipe.of(key.objective), key.network, data, beside=beside)


def measure_stations(
    recipe: StationsRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> StationsMeasured:
    """All trainings of a recipe, and the answers without a network; what is finished is kept.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each training has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        The records; None where they are simulated.
    options
        How this machine computes.

    Returns
    -------
    StationsMeasured
    """
    runs = output / RUN_FOLDER
    parts = open_parts(recipe, data=data)
    keys = run_keys(recipe, parts)

    def prepare(progress: RunProgress, any_missing: bool) -> dict[str, BaselineRecord]:
        return {
            name: _baselines(recipe, runs, of, fingerprint, progress)
            for name, of in parts.objectives.items()
        }

    parts_of = {key: parts.objectives[key.objective.name] for key in keys}
    records, baselines = run_table(
        {key: key_fingerprint(recipe, key, of, fingerprint) for key, of in parts_of.items()},
        runs,
        record_type=StationsRecord,
        num_epochs=max(training_of(recipe, key, of).epochs for key, of in parts_of.items()),
        prepare=prepare,
        run=lambda key, _, **how: run_network(recipe, key, parts_of[key], **how),
        options=options,
    )
    return StationsMeasured(
        records=records,
        baselines=baselines,
        units={name: of.unit for name, of in parts.objectives.items()},
        notes=parts.notes,
    )


def _decisive(recipe: StationsRecipe, name: str) -> list[object]:
    """What decides about all rows of an objective: the objective, and the graph that fills gaps."""
    section = next(of for of in recipe.objectives if of.name == name)
    beside = [section.model_dump(mode="json", exclude={"name", "training", "optional"})]
    graph = recipe.networks[0].model_dump(mode="json", include={"graph"})
    return [*beside, graph if recipe.data.rule == "filled" else None]


def _baselines(
    recipe: StationsRecipe,
    runs: Path,
    parts: ObjectiveParts,
    fingerprint: str,
    progress: RunProgress,
) -> BaselineRecord:
    """The answers without a network, those in the folder or made now."""
    section = parts.section
    graph = recipe.networks[0].model_dump(mode="json", include={"graph"})
    values = short_hash([*_decisive(recipe, section.name), graph])
    expected = f"{values}-{fingerprint}-{__version__}"

    def make() -> BaselineRecord:
        start = time.perf_counter()
        scores, left_out = score_baselines(recipe, parts, announce=progress.announce)
        return BaselineRecord(
            fingerprint=expected,
            seconds=time.perf_counter() - start,
            scores=scores,
            left_out=left_out,
        )

    return kept(runs / f"{section.slug}-baselines.json", expected, BaselineRecord, make)
