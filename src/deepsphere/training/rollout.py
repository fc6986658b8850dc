"""Forecasts, step after step, from what was observed until a start."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from deepsphere.data.calendars import Times, format_time
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.field_sources import KnownFields
from deepsphere.data.windows import check_positive
from deepsphere.training.checkpoint import Metadata
from deepsphere.training.forecaster import (
    Forecaster,
    Starts,
    as_starts,
    forecaster_of,
    open_forecaster,
)

AnyForecaster = Forecaster | nn.Module | str | os.PathLike[str]
Recent = Callable[[int], Float[np.ndarray, "starts vertices channels"]]


class Forecast(NamedTuple):
    """Fields that were forecast.

    Attributes
    ----------
    time
        Of the fields; datetime64 or cftime, as the series has it.
    fields
        float32, in the units of the series; NaN where there is no field.
    """

    time: Any
    fields: Float[np.ndarray, "vertices channels"]


class Forecasts(NamedTuple):
    """Fields that were forecast from several starts, all the same number of steps ahead.

    Attributes
    ----------
    step
        How many steps, from 1.
    times
        Of the fields of each start.
    fields
        float32, in the units of the series; NaN where there is no field.
    """

    step: int
    times: Times
    fields: Float[np.ndarray, "starts vertices channels"]


def rollout(
    forecaster: AnyForecaster,
    series: FieldSeries,
    *,
    start: Any,
    num_steps: int,
    metadata: Metadata | None = None,
) -> Iterator[Forecast]:
    """Forecast from a start, step after step, each from those before it.

    Parameters
    ----------
    forecaster
        A checkpoint, a `Forecaster`, a module in training, or a model with `metadata`.
    series
        Observed fields up to the start and, unless they are computed, boundary fields beyond it.
    start
        The last time that the forecast knows: a time of the series, or a text.
    num_steps
        How many steps.
    metadata
        Of the checkpoint, where a model is given.

    Yields
    ------
    Forecast
        As soon as it is made.

    Raises
    ------
    ValueError
        If the series does not fit the network, a field before the start is missing, the steps
        cannot follow each other, or a forecast does not stay finite.

    Examples
    --------
    >>> import deepsphere as ds
    >>> from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
    >>> from deepsphere.tasks import Forecasting
    >>> from deepsphere.training.forecast_data import ForecastData
    >>> from deepsphere.training.forecast_module import ForecastModule
    >>> series = simulated_weather(WeatherPlan(), ds.Healpix(4), num_times=12)
    >>> data = ForecastData(series, task=Forecasting.of_series(series))
    >>> pyramid = ds.build_graph(ds.Healpix(4), num_neighbors=8).pyramid(num_levels=2)
    >>> model = ds.models.WeatherUNet(pyramid, in_channels=6, out_channels=2, channels=(4, 8))
    >>> module = ForecastModule(model, data)  # which `fit` trains
    >>> forecasts = rollout(module, series, start="2000-01-02", num_steps=2)
    >>> [str(forecast.time) for forecast in forecasts]
    ['2000-01-02T06:00:00', '2000-01-02T12:00:00']
    """
    found = as_forecaster(forecaster, metadata=metadata)
    for _, times, fields in rollouts(found, series, starts=[start], num_steps=num_steps):
        yield Forecast(times[0], fields[0])


def rollouts(
    forecaster: AnyForecaster,
    series: FieldSeries,
    *,
    starts: Starts,
    num_steps: int,
    metadata: Metadata | None = None,
) -> Iterator[Forecasts]:
    """Forecasts from several starts at once.

    Parameters
    ----------
    forecaster, series, num_steps, metadata
        As of `rollout`.
    starts
        Times of the series, which are in memory together.

    Yields
    ------
    Forecasts
        All one step ahead, all two steps ahead, ...

    Raises
    ------
    ValueError
        As `rollout`.
    """
    found = as_forecaster(forecaster, metadata=metadata)
    fitting = found.fitting(series)
    yield from advance(
        found, fitting, starts=as_starts(fitting, starts), first_step=0, num_steps=num_steps
    )


def advance(
    forecaster: Forecaster,
    series: FieldSeries,
    *,
    starts: Int[np.ndarray, "starts"],
    first_step: int,
    num_steps: int,
    recent: Recent | None = None,
) -> Iterator[Forecasts]:
    """Forecasts from several starts, some steps of which are made already.

    Parameters
    ----------
    forecaster
        The network.
    series
        One that fits it.
    starts
        Indices in the series.
    first_step
        How many steps are made.
    num_steps
        How many shall be made in all.
    recent
        Gives the fields that were forecast so many steps ahead, from 1; needed after the first
        step.

    Yields
    ------
    Forecasts

    Raises
    ------
    ValueError
        As `rollout`.
    """
    task, preparation = forecaster.task, forecaster.preparation
    check_positive("num_steps", num_steps)
    if num_steps > 1:
        task.check_iterable()
    boundary = forecaster.boundary(series)
    constants: dict[str, Any] = forecaster.constants()
    states = [
        preparation.prepare(
            _known(series, starts, first_step, lag, task.step, recent),
            times_after(series, starts, first_step * task.step + lag),
        )
        for lag in task.input_lags
    ]
    was_training = forecaster.model.training
    for step in range(first_step, num_steps):
        known = None
        if boundary is not None:
            known = _boundary_inputs(forecaster, series, boundary, starts, step)
        inputs = torch.from_numpy(np.stack(states, axis=1)).to(forecaster.device)
        # around each step and not around all: the caller may do anything between two of them
        try:
            forecaster.model.eval()
            with torch.no_grad():
                (output,) = task.unroll(
                    forecaster.model, inputs, boundary=known, num_iterations=1, **constants
                )
        finally:
            forecaster.model.train(was_training)
        times = times_after(series, starts, (step + 1) * task.step)
        fields = preparation.restore(output.cpu().numpy(), times)
        _check_finite(fields, forecaster, step + 1)
        yield Forecasts(step + 1, times, fields)
        states = [*states[1:], preparation.prepare(fields, times)]


def digest_of_inputs(
    forecaster: Forecaster,
    series: FieldSeries,
    *,
    starts: Int[np.ndarray, "starts"],
    num_steps: int,
) -> str:
    """Digest of the fields of a series from which forecasts are made.

    Parameters
    ----------
    forecaster, series, starts, num_steps
        As of `advance`.

    Returns
    -------
    str
        Hexadecimal SHA-256 of the fields before each start, and of the boundary fields that are
        read and not computed.

    Raises
    ------
    ValueError
        If one of them is not there.
    """
    task, digest = forecaster.task, hashlib.sha256()
    boundary = forecaster.boundary(series)
    is_read = boundary is not None and forecaster.preparation.boundary_computed is None
    for start in starts:
        one = np.array([start])
        for lag in task.input_lags:
            digest.update(_known(series, one, 0, lag, task.step, None).tobytes())
        if boundary is not None and is_read:
            for step in range(num_steps):
                known = _boundary_inputs(forecaster, series, boundary, one, step)
                digest.update(known.numpy(force=True).tobytes())
    return digest.hexdigest()


def as_forecaster(forecaster: AnyForecaster, *, metadata: Metadata | None = None) -> Forecaster:
    """The forecaster of whatever can be one.

    Parameters
    ----------
    forecaster
        A checkpoint, a `Forecaster`, a module in training, or a model with `metadata`.
    metadata
        Of the checkpoint, where a model is given.

    Returns
    -------
    Forecaster
    """
    if isinstance(forecaster, Forecaster):
        return forecaster
    if isinstance(forecaster, nn.Module):
        return forecaster_of(forecaster, metadata)
    return open_forecaster(forecaster)


def times_after(series: FieldSeries, starts: Int[np.ndarray, "starts"], offset: int) -> Times:
    """The times so many steps of a series after each start.

    Parameters
    ----------
    series
        Whose steps they are.
    starts
        Indices in the series.
    offset
        Steps of the series.

    Returns
    -------
    Times
    """
    times = np.empty(len(starts), series.times.dtype)
    times[:] = [series.axis.after(int(start), offset) for start in starts]
    return times


def _known(
    series: FieldSeries,
    starts: np.ndarray,
    first_step: int,
    lag: int,
    step: int,
    recent: Recent | None,
) -> np.ndarray:
    """Fields at a lag: observed, or forecast before."""
    offset = first_step * step + lag
    if offset > 0:
        assert recent is not None, "needed after the first step"
        return recent(offset // step)
    wanted = series.axis.positions[starts] + offset
    found = np.searchsorted(series.axis.positions, wanted)
    is_there = series.axis.positions[found] == wanted
    if not is_there.all() or (wanted < 0).any():
        start = series.times[starts[np.argmin(is_there & (wanted >= 0))]]
        raise ValueError(
            f"series must have the field {-offset} steps before each start, got none before "
            f"{format_time(start)}; choose a later start, or fill the gap"
        )
    fields = series.read(found)
    empty = np.isnan(fields).all(axis=1)
    if empty.any():
        row, channel = np.argwhere(empty)[0]
        raise ValueError(
            f"fields before a start must have values, got no {series.channel_names[channel]} at "
            f"{format_time(series.times[found[row]])}; choose another start"
        )
    return fields


def _boundary_inputs(
    forecaster: Forecaster,
    series: FieldSeries,
    boundary: KnownFields,
    starts: np.ndarray,
    step: int,
) -> torch.Tensor:
    """Boundary fields of a step, (starts, 1, vertices, lags · channels)."""
    task = forecaster.task
    parts = [
        forecaster.preparation.prepare_boundary(
            boundary, times_after(series, starts, step * task.step + lag)
        )
        for lag in task.boundary_lags
    ]
    return torch.from_numpy(np.concatenate(parts, axis=-1)[:, None]).to(forecaster.device)


def _check_finite(fields: np.ndarray, forecaster: Forecaster, step: int) -> None:
    """Raise where a forecast blew up."""
    valid = forecaster.preparation.valid
    counted = np.isfinite(fields) if valid is None else np.isfinite(fields) | ~valid
    if not counted.all():
        lost = forecaster.task.channel_names[int(np.argwhere(~counted)[0][2])]
        raise ValueError(
            f"forecasts must stay finite, got {int((~counted).sum())} values of {lost} that are "
            f"not {step} steps ahead; train with more iterations, or forecast fewer steps"
        )
