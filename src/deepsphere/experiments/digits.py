"""The spherical digits experiment: two networks, trained without and with rotations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsphere.experiments.digits_config import DigitsRecipe
from deepsphere.experiments.digits_data import digest_of_images, load_images
from deepsphere.experiments.digits_record import (
    NETWORKS,
    TITLES,
    RunKey,
    RunRecord,
)
from deepsphere.experiments.digits_run import build_domain, run_network
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import ResultRow, check_claim_names, make_row
from deepsphere.experiments.run_progress import run_progress
from deepsphere.experiments.training_record import read_record
from deepsphere.experiments.training_run import RECORD_FILE, check_machine
from deepsphere.version import __version__

PROTOCOLS = ("NR/NR", "R/R", "NR/R")
"""Trained without or with rotations / scored without or with rotations."""

Records = Mapping[RunKey, RunRecord]


def experiment_fingerprint(recipe: DigitsRecipe, data: Path | None) -> str:
    """What has to be equal for a finished run to be kept: recipe, images, version.

    Parameters
    ----------
    recipe
        Its seeds, title and claims do not count.
    data
        Folder of the MNIST files, where the recipe needs one.

    Returns
    -------
    str

    Raises
    ------
    ValueError, FileNotFoundError
        See `load_images`.
    """
    digest = digest_of_images(load_images(recipe.data, data))
    return f"{recipe.fingerprint()}-{digest}-{__version__}"


def run_keys(recipe: DigitsRecipe) -> list[RunKey]:
    """The runs of a recipe, one seed after the other.

    Parameters
    ----------
    recipe
        With its seeds.

    Returns
    -------
    list of RunKey
    """
    return [
        RunKey(seed, network, rotated)
        for seed in recipe.seeds
        for network in NETWORKS
        for rotated in (False, True)
    ]


def run_digits(
    recipe: DigitsRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> dict[RunKey, RunRecord]:
    """All runs of a recipe; those that are finished in the folder are not run again.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each run has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Folder of the MNIST files, where the recipe needs one.
    options
        How this machine computes.

    Returns
    -------
    dict of RunKey to RunRecord
    """
    folders = {key: output / RUN_FOLDER / key.folder for key in run_keys(recipe)}
    records = {
        key: record
        for key, folder in folders.items()
        if (record := read_record(folder / RECORD_FILE, fingerprint, RunRecord)) is not None
    }
    missing = [key for key in folders if key not in records]
    if not missing:
        return records
    digits = load_images(recipe.data, data)
    quiet = RunOptions(options.accelerator, options.devices, options.precision)
    with run_progress(len(missing), recipe.training.epochs, shown=options.progress) as progress:
        progress.announce("building the graphs")
        domains = {network: build_domain(recipe, network) for network in NETWORKS}
        for key in missing:
            records[key] = run_network(
                recipe,
                key,
                digits,
                domain=domains[key.network],
                folder=folders[key],
                fingerprint=fingerprint,
                options=quiet,
                callbacks=[progress.callback(key.title)],
            )
    return {key: records[key] for key in folders}


@dataclass(frozen=True)
class _Measure:
    """What is read off the records of one network after one kind of training."""

    name: str
    unit: str
    rotated: bool
    is_timed: bool
    read: Callable[[RunRecord], float]


_MEASURES = (
    _Measure("accuracy NR/NR", "%", False, True, lambda record: record.unrotated.accuracy),
    _Measure("accuracy R/R", "%", True, True, lambda record: record.rotated.accuracy),
    _Measure("accuracy NR/R", "%", False, True, lambda record: record.rotated.accuracy),
    _Measure("change after NR", "", False, True, lambda record: record.change),
    _Measure("change after R", "", True, True, lambda record: record.change),
    _Measure("parameters", "", False, False, lambda record: float(record.num_parameters)),
)


def check_run(recipe: DigitsRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes.
    data
        Folder of the MNIST files; looked into later, by `experiment_fingerprint`.

    Raises
    ------
    ValueError
        See `check_claims` and `check_machine`.
    """
    check_claims(recipe)
    check_machine(options)


def check_claims(recipe: DigitsRecipe) -> None:
    """Raise unless every claim of the recipe is about a row of the results.

    Parameters
    ----------
    recipe
        With its claims.

    Raises
    ------
    ValueError
        If one is not.
    """
    names = [f"{TITLES[network]}, {measure.name}" for network in NETWORKS for measure in _MEASURES]
    check_claim_names(recipe.claims, names)


def result_rows(recipe: DigitsRecipe, records: Records) -> list[ResultRow]:
    """The measures of the experiment over the seeds, for each network.

    Parameters
    ----------
    recipe
        With its claims.
    records
        Of all its runs.

    Returns
    -------
    list of ResultRow
        Accuracies under `PROTOCOLS` in %, relative changes of the logits under rotations after
        training without and with them, and numbers of parameters.
    """
    rows = []
    for network in NETWORKS:
        for measure in _MEASURES:
            behind = [
                record
                for key, record in records.items()
                if key.network == network and key.rotated == measure.rotated
            ]
            seconds = sum(record.seconds_training + record.seconds_scoring for record in behind)
            row = make_row(
                f"{TITLES[network]}, {measure.name}",
                [measure.read(record) for record in behind],
                unit=measure.unit,
                seconds=seconds if measure.is_timed else 0.0,
                claims=recipe.claims,
            )
            rows.append(row)
    return rows
