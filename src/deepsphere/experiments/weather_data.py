"""The fields of the weather experiment: simulated or read, split in time, and cut into windows."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from deepsphere.data.climatology import Climatology, climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.known_fields import ComputedFields, position_fields
from deepsphere.data.series_splits import split_series
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.data.time_axis import calendar_fields, format_time
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.weather_config import (
    FieldsSection,
    WeatherRecipe,
    WeatherSection,
    WeatherTraining,
)
from deepsphere.sampling import Sampling, Subset, sampling_from_spec
from deepsphere.tasks import Forecasting
from deepsphere.training.field_preparation import FieldPreparation
from deepsphere.training.forecast_data import ForecastData

# Fields that tell one file from another.
_DIGESTED_FIELDS = 16


@dataclass(frozen=True, eq=False)
class WeatherParts:
    """The fields of an experiment, and where in time its parts begin.

    Parameters
    ----------
    series
        All of them, with what is known beside.
    validation_start, test_start
        Index of the first time of each part.
    learned_until
        Index of the first time that is not learned from.
    scored
        Indices of the first time that is scored, and of that after the last one.
    usual
        Climatology of the times that are learned from.
    """

    series: FieldSeries
    validation_start: int
    test_start: int
    learned_until: int
    scored: tuple[int, int]
    usual: Climatology

    @property
    def train(self) -> FieldSeries:
        """What is learned from."""
        return self.series.take(range(self.learned_until))

    @property
    def whole_sampling(self) -> Sampling:
        """The sampling of the file, of which the fields may be a part."""
        sampling = self.series.sampling
        return sampling.base if isinstance(sampling, Subset) else sampling

    @property
    def sea(self) -> Bool[np.ndarray, "vertices"] | None:
        """Which vertices of the whole sampling have fields; None where all have."""
        sampling = self.series.sampling
        sea = np.zeros(self.whole_sampling.num_vertices, bool)
        if isinstance(sampling, Subset):
            sea[sampling.indices] = True
        else:
            some = self.series.read([self.scored[0]])[0]
            sea[:] = ~np.isnan(some).all(axis=1)
        return None if sea.all() else sea

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the scores has to know of the fields."""
        series, times = self.series, self.series.times

        def span(start: int, stop: int) -> str:
            return f"{format_time(times[start])} to {format_time(times[stop - 1])}"

        first, last = self.scored
        return (
            f"{self.learned_until:,} times to learn from ({span(0, self.learned_until)}), "
            f"{last - first:,} to score on ({span(first, last)}), every {series.step}, "
            f"{series.sampling.num_vertices:,} vertices.",
            *series.notes,
        )


def simulated_series(section: WeatherSection) -> FieldSeries:
    """The weather that a recipe describes.

    Parameters
    ----------
    section
        Of the recipe.

    Returns
    -------
    FieldSeries

    Raises
    ------
    ValueError
        If its numbers do not go together.
    """
    plan = WeatherPlan(
        **section.model_dump(exclude={"sampling", "num_times", "step_hours"}),
    )
    return simulated_weather(
        plan,
        sampling_from_spec(section.sampling),
        num_times=section.num_times,
        step_hours=section.step_hours,
    )


def check_data(recipe: WeatherRecipe, data: Path | None) -> None:
    """Raise where a recipe is about a file that is not named.

    Parameters
    ----------
    recipe
        That may be about a file.
    data
        The file; None where weather is simulated.

    Raises
    ------
    ValueError
        If so.
    """
    if recipe.needs_data and data is None:
        raise ValueError(
            "data must name the file of this recipe, got none; pass --data FILE. "
            f"{recipe.needs_data}"
        )


def open_fields(recipe: WeatherRecipe, data: Path | None) -> FieldSeries:
    """The fields of a recipe, all of them, with what a network sees beside.

    Parameters
    ----------
    recipe
        With the simulation, or the names of variables.
    data
        A netCDF file or a Zarr store; None where weather is simulated.

    Returns
    -------
    FieldSeries

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it does not hold such fields.
    """
    check_data(recipe, data)
    section = recipe.data
    if data is None:
        series = simulated_series(recipe.simulation)
        if section.variables:
            series = series.select(section.variables)
    else:
        from deepsphere.data.field_files import open_series

        series = open_series(
            data,
            variables=section.variables or None,
            channel_dims=section.channel_dims,
            static=section.static,
            boundary=section.boundary,
        )
    if section.channels:
        series = series.select(section.channels)
    if section.start is not None or section.stop is not None:
        series = series.between(section.start, section.stop)
    if series.step is None:
        raise ValueError(
            f"data must hold fields of at least two times, got {len(series)}; name a longer file"
        )
    return with_computed_fields(series, section)


def with_computed_fields(series: FieldSeries, section: FieldsSection) -> FieldSeries:
    """The series with the positions and the calendar that a network sees beside.

    Parameters
    ----------
    series
        Of a file, or simulated.
    section
        With the names.

    Returns
    -------
    FieldSeries
    """
    if section.positions:
        places = position_fields(series.sampling, section.positions)
        static = places if series.static is None else np.hstack([series.static, places])
        names = (*series.static_names, *section.positions)
        series = replace(series, static=static, static_names=names)
    if section.calendar:
        calendar = ComputedFields(section.calendar, series.sampling)
        series = replace(series, boundary=calendar)
    return series


def digest_of_fields(recipe: WeatherRecipe, data: Path | None) -> str:
    """A short hash of the fields, of which some are read.

    Parameters
    ----------
    recipe
        With the simulation.
    data
        The file; None where weather is simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_fields`.
    """
    if data is None:
        check_data(recipe, data)
        simulated_series(recipe.simulation)
        return short_hash(recipe.simulation.model_dump(mode="json"))
    series = open_fields(recipe, data)
    some = np.unique(np.linspace(0, len(series) - 1, _DIGESTED_FIELDS).astype(int))
    decisive = [
        [format_time(time) for time in series.times],
        list(series.channel_names),
        str(series.sampling.spec),
        [hashlib.sha256(series.read([int(index)]).tobytes()).hexdigest() for index in some],
    ]
    return short_hash(decisive)


def open_parts(
    recipe: WeatherRecipe,
    *,
    data: Path | None,
    announce: Callable[[str], None] = lambda _: None,
) -> WeatherParts:
    """The fields of a recipe, and what is learned from and scored.

    Parameters
    ----------
    recipe
        With simulation and split.
    data
        A netCDF file or a Zarr store; None where weather is simulated.
    announce
        Told what is being done.

    Returns
    -------
    WeatherParts
        In memory where they are small.

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_fields`; or if the parts are not one after the other, or no vertex is observed.
    """
    series = open_fields(recipe, data)
    if series.is_small:
        announce("reading fields" if data is not None else "simulating weather")
        series = series.in_memory().without_empty()
    section = recipe.data
    starts = _starts(series, section)
    parts = split_series(series, validation_start=starts[0], test_start=starts[1])
    assert parts.validation is not None
    validation_start = len(parts.train)
    test_start = validation_start + len(parts.validation)
    learned_until = validation_start if recipe.learned_until == "validation" else test_start
    train = series.take(range(learned_until))
    if section.vertices == "observed":
        announce("looking for missing values")
        observed = observed_vertices(train)
        if not observed.all():
            series, train = series.subset(observed), train.subset(observed)
    announce("computing the climatology")
    _check_months(series, train, section)
    on_test = section.scored_on == "test"
    return WeatherParts(
        series=series,
        validation_start=validation_start,
        test_start=test_start,
        learned_until=learned_until,
        scored=(test_start, len(series)) if on_test else (validation_start, test_start),
        usual=climatology_of(train, section),
    )


def observed_vertices(series: FieldSeries) -> Bool[np.ndarray, "vertices"]:
    """Where no value of any channel is missing at any time.

    Parameters
    ----------
    series
        Read once.

    Returns
    -------
    Bool[np.ndarray, "vertices"]

    Raises
    ------
    ValueError
        If that is nowhere.
    """
    observed = np.ones(series.sampling.num_vertices, bool)
    for index in range(len(series)):
        observed &= ~np.isnan(series.read([index])[0]).any(axis=1)
    if not observed.any():
        raise ValueError(
            "data must hold values at some vertex at all times, for vertices = 'observed', got "
            "none; set data.vertices = 'all'"
        )
    return observed


def climatology_of(series: FieldSeries, section: FieldsSection) -> Climatology:
    """What is usual at a time of the year, or at all.

    Parameters
    ----------
    series
        What is learned from.
    section
        With the kind.

    Returns
    -------
    Climatology
    """
    if section.climatology != "mean":
        return climatology(series, kind=section.climatology, smoothing_days=section.smoothing_days)
    shape = (series.sampling.num_vertices, series.num_channels)
    total, count = np.zeros(shape), np.zeros(shape)
    for index in range(len(series)):
        values = series.read([index])[0]
        there = ~np.isnan(values)
        total += np.where(there, values, 0.0)
        count += there
    mean = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return Climatology("month", mean[None].astype(np.float32), np.zeros(12, np.int64))


def task_of(training: WeatherTraining, series: FieldSeries) -> Forecasting:
    """What a network learns.

    Parameters
    ----------
    training
        With lags, iterations and loss.
    series
        With the names of channels and of what is known beside.

    Returns
    -------
    Forecasting
    """
    return Forecasting.of_series(
        series,
        input_lags=training.input_lags,
        num_iterations=training.num_iterations,
        loss=training.loss,
        gradient=training.gradient,
    )


def windows_of(
    recipe: WeatherRecipe,
    parts: WeatherParts,
    training: WeatherTraining,
    *,
    seed: int,
    preparation: FieldPreparation | None = None,
) -> ForecastData:
    """What a network learns from, batch by batch.

    Parameters
    ----------
    recipe
        With what is forecast.
    parts
        The fields.
    training
        With the task and the size of the batches.
    seed
        Of the order.
    preparation
        How fields are scaled; measured on what is learned from if not given.

    Returns
    -------
    ForecastData
        With validation where that part is not learned from.
    """
    task = task_of(training, parts.series)
    validation = None
    if parts.learned_until == parts.validation_start:
        first = max(0, parts.validation_start - task.history)
        validation = parts.series.take(range(first, parts.test_start))
    return ForecastData(
        parts.train,
        task=task,
        validation=validation,
        climatology=parts.usual if recipe.data.forecast == "anomalies" else None,
        batch_size=training.batch_size,
        preparation=preparation,
        seed=seed,
        num_workers=training.num_workers,
    )


def _check_months(series: FieldSeries, train: FieldSeries, section: FieldsSection) -> None:
    """Raise where a month is forecast of which there is no climatology."""
    months, learned = (set(calendar_fields(of.times)[:, 1].tolist()) for of in (series, train))
    if section.climatology != "mean" and not months <= learned:
        raise ValueError(
            "data must hold every month among the times that are learned from, for climatology = "
            f"{section.climatology!r}, got none of month {min(months - learned)}; name a longer "
            "file, or --set data.climatology=mean"
        )


def _starts(series: FieldSeries, section: FieldsSection) -> tuple[Any, Any]:
    """The first times of validation and test, as they are given or by the fractions."""
    num_test = round(section.test_fraction * len(series))
    if section.test_start is not None:
        test: Any = section.test_start
        before = int((series.times < series.axis.parse(test)).sum())
    else:
        before = len(series) - num_test
        if not 0 < before < len(series):
            raise ValueError(
                f"data must hold times for training, validation and test, got {len(series)}; name "
                "a longer file, or other fractions: --set data.test_fraction=0.3"
            )
        test = series.times[before]
    if section.validation_start is not None:
        return section.validation_start, test
    num_validation = round(section.validation_fraction * len(series))
    if not 0 < num_validation < before:
        raise ValueError(
            f"data must hold times for training, validation and test, got {len(series)}, of which "
            f"{before} before the test and {num_validation} for validation; name a longer file, or "
            f"other fractions: --set data.validation_fraction={0.1 if num_validation else 0.3}"
        )
    return series.times[before - num_validation], test
