"""The weather experiment: networks that forecast fields, beside forecasts without a network."""

import time
from pathlib import Path

from deepsphere.experiments.config import short_hash
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.experiments.run_progress import RunProgress
from deepsphere.experiments.table_run import run_table
from deepsphere.experiments.training_record import kept, training_fingerprint
from deepsphere.experiments.training_run import check_machine
from deepsphere.experiments.weather_config import WeatherNetwork, WeatherRecipe
from deepsphere.experiments.weather_data import (
    WeatherParts,
    digest_of_fields,
    open_fields,
    open_parts,
)
from deepsphere.experiments.weather_record import BaselineRecord, WeatherKey, WeatherRecord
from deepsphere.experiments.weather_rows import FieldNames, WeatherMeasured, row_names
from deepsphere.experiments.weather_run import run_network
from deepsphere.experiments.weather_scores import lead_scores, score_baselines
from deepsphere.version import __version__

BASELINE_FILE = "baselines.json"


def check_run(recipe: WeatherRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes.
    data
        The file of the fields; None where weather is simulated.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file does not hold such fields, a claim is about nothing that is measured, or the
        machine has no such accelerator.
    """
    check_machine(options)
    names = FieldNames.of(open_fields(recipe, data))
    check_claim_names(recipe.claims, [name for name, _ in row_names(recipe, names)])


def experiment_fingerprint(recipe: WeatherRecipe, data: Path | None) -> str:
    """What has to be equal for the finished trainings in a folder to be kept.

    Parameters
    ----------
    recipe
        Its networks, seeds, title and claims do not count: more may be compared later.
    data
        The file of the fields; None where weather is simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it does not hold such fields, or they cannot be simulated.
    """
    section = recipe.data.model_dump(mode="json")
    return f"{short_hash(section)}-{digest_of_fields(recipe, data)}"


def network_fingerprint(recipe: WeatherRecipe, network: WeatherNetwork, data: str) -> str:
    """The fingerprint of a training; all networks are scored from where the longest memory can be.

    Parameters
    ----------
    recipe, network, data
        As of `training_fingerprint`.

    Returns
    -------
    str
    """
    return training_fingerprint(recipe, network, data, beside=[_known_lags(recipe)])


def run_keys(recipe: WeatherRecipe) -> list[WeatherKey]:
    """The trainings of a recipe, all networks before the next seed.

    Parameters
    ----------
    recipe
        With its networks and seeds.

    Returns
    -------
    list of WeatherKey
    """
    return [WeatherKey(network, seed) for seed in recipe.seeds for network in recipe.networks]


def measure_weather(
    recipe: WeatherRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> WeatherMeasured:
    """All trainings of a recipe, and the forecasts without a network; what is finished is kept.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each training has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        The file of the fields; None where weather is simulated.
    options
        How this machine computes.

    Returns
    -------
    WeatherMeasured
    """
    runs = output / RUN_FOLDER
    expected = {
        key: network_fingerprint(recipe, key.network, fingerprint) for key in run_keys(recipe)
    }

    def prepare(progress: RunProgress, any_missing: bool) -> tuple[WeatherParts, BaselineRecord]:
        parts = open_parts(recipe, data=data, announce=progress.announce)
        progress.announce("forecasts without a network")
        return parts, _baselines(recipe, runs / BASELINE_FILE, parts, fingerprint)

    records, (parts, baselines) = run_table(
        expected,
        runs,
        record_type=WeatherRecord,
        num_epochs=max(recipe.training_of(network).epochs for network in recipe.networks),
        prepare=prepare,
        run=lambda key, prepared, **how: run_network(recipe, key, prepared[0], **how),
        options=options,
    )
    return WeatherMeasured(
        records=records,
        baselines=baselines,
        names=FieldNames.of(parts.series),
        notes=parts.notes,
    )


def _known_lags(recipe: WeatherRecipe) -> list[int]:
    """Lags of all networks, which decide from where all of them are scored."""
    lags = [recipe.training_of(network).input_lags for network in recipe.networks]
    return sorted({lag for of_network in lags for lag in of_network})


def _baselines(
    recipe: WeatherRecipe, path: Path, parts: WeatherParts, fingerprint: str
) -> BaselineRecord:
    """The forecasts without a network, those in the file or made now."""
    expected = f"{short_hash(_known_lags(recipe))}-{fingerprint}-{__version__}"

    def score() -> BaselineRecord:
        start = time.perf_counter()
        scores = score_baselines(recipe, parts)
        return BaselineRecord(
            fingerprint=expected,
            seconds=time.perf_counter() - start,
            scores={name: lead_scores(of_name) for name, of_name in scores.items()},
        )

    return kept(path, expected, BaselineRecord, score)
