"""One network of the weather experiment: trained alone, and scored from its checkpoint alone."""

import json
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deepsphere.experiments.evaluation import evaluation_results
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
from deepsphere.experiments.results import Results, make_row, write_results
from deepsphere.experiments.run_progress import run_progress
from deepsphere.experiments.training_request import (
    TrainingRequest,
    TrainingSummary,
    check_training_folder,
    requested_network,
    requested_recipe,
    summarize_training,
)
from deepsphere.experiments.training_run import check_machine
from deepsphere.experiments.weather_config import WeatherRecipe
from deepsphere.experiments.weather_data import (
    WeatherParts,
    check_data,
    open_parts,
    simulated_series,
    windows_of,
)
from deepsphere.experiments.weather_record import LeadScores, WeatherKey
from deepsphere.experiments.weather_rows import FieldNames, score_columns
from deepsphere.experiments.weather_run import train_network
from deepsphere.experiments.weather_scores import (
    lead_scores,
    score_baselines,
    score_forecaster,
)
from deepsphere.tasks import Forecasting
from deepsphere.training import Metadata, read_metadata
from deepsphere.training.forecast_data import ForecastData
from deepsphere.training.forecaster import Forecaster, open_forecaster

DEFAULT_RECIPE = "weather"


def train_request(
    request: TrainingRequest, output: Path, *, resume: bool, overwrite: bool, options: RunOptions
) -> TrainingSummary:
    """Train the network of forecasts that a user asks for.

    Parameters
    ----------
    request
        By default the first network of the recipe weather.
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
    recipe = requested_recipe(
        request,
        WeatherRecipe,
        default=DEFAULT_RECIPE,
        unknown=("rotate", "perturbation", "sampling", "objective"),
        hint="fields have a sampling of their own (deepsphere regrid, "
        "--set simulation.sampling=healpix:16)",
    )
    network = requested_network(request, recipe.networks, default=recipe.networks[0])
    return train_one(
        recipe,
        WeatherKey(network, request.seed),
        output,
        data=request.data,
        resume=resume,
        overwrite=overwrite,
        options=options,
    )


def train_one(
    recipe: WeatherRecipe,
    key: WeatherKey,
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
        Which network, from which seed.
    output
        The folder: new, empty, or one of the two below.
    data
        A netCDF file or a Zarr store; None simulates weather.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.
    options
        How this machine computes.

    Returns
    -------
    TrainingSummary
        Its notes say what the fields are.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        See `check_training_folder` and `open_parts`; or if the training to resume is another one.
    """
    last = check_training_folder(output, resume=resume, overwrite=overwrite)
    options = options or RunOptions()
    check_machine(options)
    parts = _open_parts(recipe, data=data, progress=options.progress)
    windows = windows_of(recipe, parts, recipe.training_of(key.network), seed=key.seed)
    result = train_network(recipe, key, windows, folder=output, options=options, resume=last)
    return summarize_training(result, output, notes=_notes(parts, windows))


def evaluate_one(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Results:
    """Score the network of a checkpoint on the test times, beside forecasts without a network.

    Parameters
    ----------
    checkpoint
        Written by training.
    command
        What a reader has to type to do it again.
    data
        The file that it was trained on, or a longer one; None for simulated weather.
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
    metadata = read_metadata(checkpoint)
    recipe = _training_of(metadata)
    forecaster = open_forecaster(checkpoint)
    if data is None:
        _check_simulated(recipe, forecaster)
    parts = _open_parts(recipe, data=data, progress=progress)
    start = time.perf_counter()
    scores = {"network": lead_scores(score_forecaster(recipe, forecaster, parts))}
    seconds = time.perf_counter() - start
    scores |= {name: lead_scores(of) for name, of in score_baselines(recipe, parts).items()}
    rows = []
    for name, of_name in scores.items():
        for column in score_columns(recipe, FieldNames.of(parts.series)):
            value = _value(of_name, column.score, column.channel, column.lead)
            if value is not None:
                title = f"{name}, {column.title}"
                rows.append(make_row(title, [value], unit=column.unit, seconds=seconds))
                seconds = 0.0
    results = evaluation_results(
        rows,
        forecaster.model,
        title=f"{checkpoint} on {parts.scored[1] - parts.scored[0]:,} times",
        command=command,
        notes=parts.notes,
    )
    if output is not None:
        write_results(output / RESULTS_FILE, results)
    return results


def _notes(parts: WeatherParts, windows: ForecastData) -> tuple[str, ...]:
    """What a user has to know, each of it once: the windows tell of their fields as well."""
    own = (note for note in windows.notes if note.partition(": ")[2] not in parts.series.notes)
    return (*parts.notes, *own)


def _check_simulated(recipe: WeatherRecipe, forecaster: Forecaster) -> None:
    """Raise where a network was not trained on the weather that its recipe simulates."""
    check_data(recipe, None)
    try:
        forecaster.fitting(simulated_series(recipe.simulation))
    except ValueError as error:
        raise ValueError(
            "data must name the file of the fields that the network forecasts, "
            f"{', '.join(forecaster.task.channel_names)}, got none; pass --data FILE"
        ) from error


def _value(scores: LeadScores, score: str, channel: str, lead: int) -> float | None:
    """One score of the globe."""
    return getattr(scores, score)[channel][0][lead - 1]


def _open_parts(recipe: WeatherRecipe, *, data: Path | None, progress: bool) -> WeatherParts:
    """The fields, with a bar for as long as they are simulated or read."""
    with run_progress(1, 1, shown=progress) as bar:
        return open_parts(recipe, data=data, announce=bar.announce)


def _training_of(metadata: Metadata) -> WeatherRecipe:
    """The recipe of a training as far as its data and its lags go."""
    training: dict[str, Any] = metadata.training or {}
    try:
        task = Forecasting.from_spec(metadata.task or {})
        network = {"name": training["network"]["name"], "graph": {}}
        values = {
            **training["recipe"],
            "experiment": "weather",
            "networks": [network],
            "training": {"input_lags": list(task.input_lags)},
        }
        return WeatherRecipe.model_validate_json(json.dumps(values))
    except (KeyError, TypeError, ValidationError) as error:
        raise ValueError(
            "checkpoint must say what fields it was trained on, got one that does not; evaluate "
            "the model.ckpt of  deepsphere train weather"
        ) from error
