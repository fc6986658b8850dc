"""One forecast of a network beside what came, to be looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from deepsphere.data.time_axis import Times, format_time
from deepsphere.experiments.weather_config import WeatherRecipe
from deepsphere.experiments.weather_data import WeatherParts
from deepsphere.experiments.weather_scores import scored_starts
from deepsphere.plotting.animation import symmetric_limit
from deepsphere.training.forecaster import open_forecaster
from deepsphere.training.rollout import rollout

_FEWEST_STEPS, _MOST_STEPS = 8, 40
_EQUATOR_DEG = (-10.0, 10.0)


@dataclass(frozen=True, eq=False)
class Example:
    """A forecast and what came, of the first channel.

    Parameters
    ----------
    name, title, unit, caption
        Of what is shown.
    start
        The last time that the forecast knew.
    times
        Of the fields.
    truth, forecast
        Shape (times, vertices); anomalies where they are forecast.
    band_deg
        Latitudes of a Hovmöller diagram.
    limit
        End of a colour scale around zero; None for fields that have no sign.
    """

    name: str
    title: str
    unit: str
    caption: str
    start: str
    times: Times
    truth: Float[np.ndarray, "times vertices"]
    forecast: Float[np.ndarray, "times vertices"]
    band_deg: tuple[float, float]
    limit: float | None


def forecast_example(recipe: WeatherRecipe, parts: WeatherParts, checkpoint: Path) -> Example:
    """A forecast from the first start of the part that is scored, as far as it was observed.

    Parameters
    ----------
    recipe
        With the leads.
    parts
        With the fields.
    checkpoint
        Of the network.

    Returns
    -------
    Example
    """
    forecaster = open_forecaster(checkpoint)
    series = forecaster.fitting(parts.series)
    starts = scored_starts(recipe, parts)
    # no earlier than the last time that is not scored
    start = int(starts[min(np.searchsorted(starts, parts.scored[0] - 1), len(starts) - 1)])
    wanted = int(np.clip(4 * recipe.data.leads[-1], _FEWEST_STEPS, _MOST_STEPS))
    positions = series.axis.positions
    num_steps = min(wanted, int(positions[parts.scored[1] - 1] - positions[start]))
    made: list[Any] = list(
        rollout(forecaster, series, start=series.times[start], num_steps=num_steps)
    )
    times = np.empty(len(made), series.times.dtype)
    times[:] = [one.time for one in made]
    indices = series.axis.indices_of(times)
    observed = indices >= 0
    truth = np.full((len(made), series.sampling.num_vertices), np.nan)
    truth[observed] = series.read(indices[observed])[:, :, 0]
    forecast = np.stack([one.fields[:, 0] for one in made]).astype(np.float64)
    name, limit = series.channel_names[0], None
    title = name
    if recipe.data.forecast == "anomalies":
        usual = parts.usual.at(times)[:, :, 0]
        truth, forecast = truth - usual, forecast - usual
        limit, title = symmetric_limit(truth), f"anomaly of {name}"
    return Example(
        name=name,
        title=title,
        unit=series.units[0],
        caption=f"the forecast knows what was until {format_time(series.times[start])}.",
        start=format_time(series.times[start]),
        times=times,
        truth=truth,
        forecast=forecast,
        band_deg=_band(series.sampling.lat),
        limit=limit,
    )


def _band(lat: Float[np.ndarray, "vertices"]) -> tuple[float, float]:
    """The equator, or, where no vertex is near it, all latitudes."""
    degrees = np.degrees(lat)
    near = (degrees >= _EQUATOR_DEG[0]) & (degrees <= _EQUATOR_DEG[1])
    return _EQUATOR_DEG if near.any() else (float(degrees.min()), float(degrees.max()))
