"""From a file of fields to a store of the fields that are forecast from it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from deepsphere.data.field_series import FieldSeries
from deepsphere.data.time_axis import format_time
from deepsphere.experiments.weather_config import FieldsSection
from deepsphere.training.checkpoint import Metadata, read_metadata
from deepsphere.training.forecaster import Forecaster, open_forecaster
from deepsphere.training.progress import open_bar
from deepsphere.training.rollout_files import rollout_progress, write_rollout


@dataclass(frozen=True)
class ForecastSummary:
    """What was forecast.

    Parameters
    ----------
    channels
        Fields of each time.
    start
        The last time that was known.
    num_steps
        How many steps, and how many of them had been made before.
    num_before
        Of the steps.
    step
        Between two of them, in words.
    path
        Where the forecast is.
    notes
        What a user has to know of the file.
    """

    channels: tuple[str, ...]
    start: str
    num_steps: int
    num_before: int
    step: str
    path: Path
    notes: tuple[str, ...] = ()


def forecast_file(
    checkpoint: Path,
    source: Path,
    target: Path,
    *,
    start: str | None = None,
    num_steps: int,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> ForecastSummary:
    """Forecast from the fields of a file, step by step into a Zarr store with its coordinates.

    Parameters
    ----------
    checkpoint
        Of a network that forecasts, written by training.
    source
        netCDF or Zarr, with the fields that the network knows until the start.
    target
        The store. Of the same forecast, interrupted, it is gone on with.
    start
        A time of the file, the last one that the forecast knows; that of the file if not given.
    num_steps
        How many steps.
    resume
        Whether there must be a forecast to go on with.
    overwrite
        Whether to replace another forecast.
    progress
        Whether to show a bar.

    Returns
    -------
    ForecastSummary

    Raises
    ------
    FileNotFoundError
        If a file is not there, or there is nothing to resume.
    FileExistsError
        If something else is where the store shall be.
    ImportError
        If xarray or zarr is missing.
    ValueError
        If the checkpoint is not of a network that forecasts, the file does not fit it, or a field
        before the start is missing.
    """
    if target.suffix != ".zarr":
        raise ValueError(f"OUTPUT must be a Zarr store, got {target}; name it with .zarr")
    if resume and overwrite:
        raise ValueError("--resume and --overwrite must not both be given, got both; choose one")
    if resume and not target.is_dir():
        raise FileNotFoundError(
            f"--resume must find a forecast that was interrupted, got no {target}; leave it out"
        )
    forecaster = open_forecaster(checkpoint)
    series = _open_source(source, forecaster, read_metadata(checkpoint))
    begun = format_time(series.times[-1] if start is None else series.axis.parse(start))
    num_before = _num_done(target)
    with open_bar(shown=progress) as bar:
        task = bar.add_task("forecasting", total=num_steps)
        write_rollout(
            forecaster,
            series,
            target,
            start=series.times[-1] if start is None else start,
            num_steps=num_steps,
            advanced=lambda: bar.advance(task),
            overwrite=overwrite,
        )
    return ForecastSummary(
        channels=forecaster.task.channel_names,
        start=begun,
        num_steps=num_steps,
        num_before=0 if overwrite else num_before,
        step=str(forecaster.preparation.step.times(forecaster.task.step)),
        path=target,
        notes=series.notes,
    )


def _open_source(source: Path, forecaster: Forecaster, metadata: Metadata) -> FieldSeries:
    """The fields of a file that a network asks for, by the words of its recipe."""
    from deepsphere.data.field_files import open_series

    section = _section_of(metadata)
    computed = forecaster.preparation.boundary_computed is not None
    return open_series(
        source,
        variables=section.variables or _variables(forecaster, section),
        channel_dims=section.channel_dims,
        boundary=() if computed else forecaster.task.boundary_names,
    )


def _variables(forecaster: Forecaster, section: FieldsSection) -> tuple[str, ...] | None:
    """The channels, where they are variables of a file; None where they are parts of them."""
    return None if section.channel_dims else forecaster.task.channel_names


def _section_of(metadata: Metadata) -> FieldsSection:
    """Which fields of a file the network learned from; all where the checkpoint does not say."""
    training: dict[str, Any] = metadata.training or {}
    try:
        return FieldsSection.model_validate_json(json.dumps(training["recipe"]["data"]))
    except (KeyError, TypeError, ValidationError):
        return FieldsSection()


def _num_done(target: Path) -> int:
    """Steps of a forecast that are there."""
    try:
        return rollout_progress(target)[0]
    except ValueError:
        return 0
