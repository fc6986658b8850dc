"""One network of the stations experiment: trained alone, and scored from its checkpoint alone."""

import json
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
from deepsphere.experiments.results import ResultRow, Results, make_row, write_results
from deepsphere.experiments.run_progress import run_progress
from deepsphere.experiments.stations_config import StationsRecipe
from deepsphere.experiments.stations_data import ObjectiveParts, objective_parts
from deepsphere.experiments.stations_record import Scores, StationKey
from deepsphere.experiments.stations_records import open_records
from deepsphere.experiments.stations_rows import SCORES, unit_of
from deepsphere.experiments.stations_run import data_of, train_network
from deepsphere.experiments.stations_scores import predict_scored, score, score_baselines
from deepsphere.experiments.training_request import (
    TrainingRequest,
    TrainingSummary,
    check_training_folder,
    requested_network,
    requested_recipe,
    summarize_training,
)
from deepsphere.experiments.training_run import check_machine
from deepsphere.training import Metadata, read_metadata
from deepsphere.training.station_predictor import open_station_predictor

DEFAULT_RECIPE = "ghcn"


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network of stations that a user asks for.

    Parameters
    ----------
    request
        By default the first network of the recipe ghcn, for its first objective.
    output, resume, overwrite, options
        See `train_one`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `read_recipe` and `train_one`; or if there is no such network, or something is asked
        for that only other experiments know.
    """
    overrides = {} if request.objective is None else {"only": request.objective}
    if request.epochs is not None:
        overrides |= {"training.least_steps": 1}
    recipe = requested_recipe(
        request,
        StationsRecipe,
        default=DEFAULT_RECIPE,
        unknown=("rotate", "perturbation", "sampling"),
        hint="stations are where they are (--set simulation.num_stations=500)",
        overrides=overrides,
    )
    network = requested_network(request, recipe.networks, default=recipe.networks[0])
    objective = recipe.chosen[0]
    if request.epochs is not None:  # so many for whomever, not as many as steps are needed
        objective = objective.model_copy(update={"training": _without_length(objective.training)})
        network = network.model_copy(update={"training": _without_length(network.training)})
    return train_one(
        recipe,
        StationKey(objective, network, request.seed),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
    )


def train_one(
    recipe: StationsRecipe,
    key: StationKey,
    output: Path,
    *,
    data: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    options: RunOptions | None = None,
) -> TrainingSummary:
    """Train one network of a recipe; the folder gets its checkpoints and logs.

    Parameters
    ----------
    recipe
        How.
    key
        Which network, for which objective, from which seed.
    output
        The folder: new, empty, or one of the two below.
    data
        A file or folder of stations; None simulates them.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.
    options
        How this machine computes.

    Returns
    -------
    TrainingSummary
        Its notes say what the records are.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `check_training_folder` and `objective_parts`; or if the training to resume is another
        one.
    """
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    parts, notes = _open_objective(recipe, data, progress=options.progress)
    days = data_of(recipe, parts, key)
    result = train_network(recipe, key, parts, days, folder=output, options=options, resume=last)
    return summarize_training(result, output, notes=dict.fromkeys([*notes, *days.notes]))


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Results:
    """Score the network of a checkpoint on the test days, beside answers without a network.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        The records that it was trained on, or longer ones, or other stations; None for simulated
        ones.
    output
        Folder for ``results.json``; None writes nothing.
    overwrite
        Whether to replace results in `output`.
    progress
        Whether to show bars.

    Returns
    -------
    Results

    Raises
    ------
    FileNotFoundError
        If `checkpoint` or the data are not there.
    FileExistsError
        If `output` holds results that may not be replaced.
    ValueError
        If the checkpoint is damaged, does not say what it was trained on, or the data are others
        than the network takes.
    """
    check_no_results(output, overwrite=overwrite)
    recipe = _training_of(read_metadata(checkpoint))
    predictor = open_station_predictor(checkpoint)
    parts, notes = _open_objective(recipe, data, progress=progress)
    moved = parts.scored.sampling != predictor.sampling
    if moved and data is None:
        raise ValueError(
            "data must name the records that the network was trained on, got none; pass --data FILE"
        )
    if moved:
        notes.append(
            "These are not the stations of the training: the filters are taken to their graph."
        )
    start = time.perf_counter()
    found = {"network": score(predict_scored(predictor, parts), parts)}
    seconds = time.perf_counter() - start
    found |= score_baselines(recipe, parts)[0]
    rows = [row for name, scores in found.items() for row in _rows(name, scores, parts.unit)]
    results = evaluation_results(
        [rows[0].model_copy(update={"seconds": seconds}), *rows[1:]],
        predictor.model,
        title=f"{checkpoint}: {parts.section.name}",
        command=command,
        notes=notes,
    )
    if output is not None:
        write_results(output / RESULTS_FILE, results)
    return results


def _without_length(training: dict[str, Any]) -> dict[str, Any]:
    """Values of a training that do not say how long it is."""
    return {name: of for name, of in training.items() if name not in ("epochs", "least_steps")}


def _rows(name: str, scores: Scores, unit: str) -> list[ResultRow]:
    """The scores of a network, or of an answer without one."""
    return [
        make_row(f"{name}, {SCORES[of]}", [value], unit=unit_of(of, unit), seconds=0.0)
        for of, value in scores.items()
        if value is not None
    ]


def _open_objective(
    recipe: StationsRecipe, data: Path | None, *, progress: bool
) -> tuple[ObjectiveParts, list[str]]:
    """The records of the first objective, which they must allow, and what is to be said of them."""
    with run_progress(1, 1, shown=progress) as bar:
        bar.announce("reading stations" if data is not None else "simulating stations")
        records = open_records(recipe, data)
        parts = objective_parts(recipe, recipe.chosen[0], records)
    return parts, list(dict.fromkeys([parts.note, *records.notes, *parts.splits.train.notes]))


def _training_of(metadata: Metadata) -> StationsRecipe:
    """The recipe of a training as far as its records and its objective go."""
    training: dict[str, Any] = metadata.training or {}
    try:
        values = {
            **training["recipe"],
            "experiment": "stations",
            "objectives": [training["objective"]],
            "networks": [training["network"]],
        }
        return StationsRecipe.model_validate_json(json.dumps(values))
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(
            "checkpoint must say what stations it was trained on, got one that does not; evaluate "
            "the model.ckpt of  deepsphere train stations"
        ) from error
