"""How good forecasts are at every lead time, those of networks and those without one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.files import write_atomically
from deepsphere.data.windows import Windows
from deepsphere.experiments.weather_config import BASELINES, BaselineName, WeatherRecipe
from deepsphere.experiments.weather_data import WeatherParts
from deepsphere.experiments.weather_record import Curves, LeadScores
from deepsphere.tasks.forecast_scores import (
    ForecastScores,
    Reference,
    forecast_scores,
    reference_forecasts,
)
from deepsphere.training.forecaster import Forecaster
from deepsphere.training.rollout import advance

GLOBE = "globe"
MAPS_FILE = "maps.npz"
_REFERENCES: dict[BaselineName, Reference] = {
    "climatology": "climatology",
    "persistence": "persistence",
    "anomaly persistence": "anomaly_persistence",
}
_STARTS_AT_ONCE = 16
# Of a long series, so many times tell how fast anomalies fade.
_MOST_FITTED = 2000


def scored_starts(recipe: WeatherRecipe, parts: WeatherParts) -> Int[np.ndarray, "starts"]:
    """From where forecasts begin, the same for all rows: all times before one that is scored.

    Parameters
    ----------
    recipe
        With the lags of all networks.
    parts
        With the times that are scored.

    Returns
    -------
    Int[np.ndarray, "starts"]
        Indices of times at which all networks know the fields that they need; of the times that
        follow, at least one is scored.

    Raises
    ------
    ValueError
        If there is none.
    """
    lags = [recipe.training_of(network).input_lags for network in recipe.networks]
    known = tuple(sorted({lag for of_network in lags for lag in of_network}))
    starts = Windows(parts.series, input_lags=known, num_iterations=1).starts
    positions = parts.series.axis.positions
    first, last = parts.scored
    longest = recipe.data.leads[-1]
    is_needed = (positions[starts] + longest >= positions[first]) & (starts < last - 1)
    return starts[is_needed]


def score_forecaster(
    recipe: WeatherRecipe, forecaster: Forecaster, parts: WeatherParts
) -> ForecastScores:
    """Scores of a network.

    Parameters
    ----------
    recipe
        With leads and bands.
    forecaster
        The network.
    parts
        With the times that are scored.

    Returns
    -------
    ForecastScores
        At every step up to the last of the leads.
    """
    series = forecaster.fitting(parts.series)
    num_steps = recipe.data.leads[-1]

    def forecasts() -> Iterator[Any]:
        for group in _groups(scored_starts(recipe, parts)):
            yield from advance(forecaster, series, starts=group, first_step=0, num_steps=num_steps)

    return _scores(recipe, parts, forecasts())


def score_baselines(recipe: WeatherRecipe, parts: WeatherParts) -> dict[str, ForecastScores]:
    """Scores of forecasts without a network.

    Parameters
    ----------
    recipe
        With leads and bands.
    parts
        With the times that are scored, and those that are learned from.

    Returns
    -------
    dict of ForecastScores
        By name.
    """
    num_steps = recipe.data.leads[-1]
    fading = fit_fading(parts.train, parts.usual, num_steps=num_steps)

    def forecasts(name: BaselineName) -> Iterator[Any]:
        for group in _groups(scored_starts(recipe, parts)):
            kind = _REFERENCES.get(name, "anomaly_persistence")
            for step, times, fields in reference_forecasts(
                kind, parts.series, starts=group, num_steps=num_steps, climatology=parts.usual
            ):
                if name == "damped persistence":
                    usual = parts.usual.at(times)
                    yield step, times, usual + fading[step - 1] * (fields - usual)
                else:
                    yield step, times, fields

    return {name: _scores(recipe, parts, forecasts(name)) for name in BASELINES}


def fit_fading(
    series: FieldSeries, usual: Climatology, *, num_steps: int
) -> Float[np.ndarray, "steps vertices channels"]:
    r"""What is left of an anomaly after one step, two, ...: a linear regression at each vertex.

    .. math:: b_h = \sum_t a_t a_{t+h} \Big/ \sum_t a_t^2

    over the times at which both anomalies are known: the best multiple of the anomaly now.

    Parameters
    ----------
    series
        What is learned from.
    usual
        Its climatology.
    num_steps
        How many steps ahead.

    Returns
    -------
    Float[np.ndarray, "steps vertices channels"]
        Zero where nothing is known.

    Examples
    --------
    >>> from deepsphere.data.climatology import climatology
    >>> from deepsphere.data.field_series import array_series
    >>> from deepsphere.sampling import Healpix
    >>> months = np.arange("2010-01", "2012-01", dtype="datetime64[M]")
    >>> waves = np.cos(np.pi * np.arange(24) / 3)[:, None, None] * np.ones((1, 12, 1))
    >>> usual = Climatology("month", np.zeros((1, 12, 1), np.float32), np.zeros(12, int))
    >>> fading = fit_fading(array_series(waves, months, Healpix(1)), usual, num_steps=3)
    >>> fading[:, 0, 0].round(1).tolist()  # cos(π h / 3)
    [0.5, -0.5, -1.0]
    """
    shape = (num_steps, series.sampling.num_vertices, series.num_channels)
    products, squares = np.zeros(shape), np.zeros(shape)
    positions = series.axis.positions
    stride = -(-len(series) // _MOST_FITTED)
    for index in range(0, len(series), stride):
        wanted = positions[index] + np.arange(num_steps + 1)
        found = np.flatnonzero(np.isin(positions, wanted))
        fields = series.read(found).astype(np.float64)
        anomalies = usual.anomalies(fields, series.times[found])
        now = anomalies[0]
        for place, later in zip(
            positions[found[1:]] - positions[index], anomalies[1:], strict=True
        ):
            there = np.isfinite(now) & np.isfinite(later)
            products[place - 1] += np.where(there, now * later, 0.0)
            squares[place - 1] += np.where(there, now**2, 0.0)
    return np.divide(products, squares, out=np.zeros(shape), where=squares > 0)


def lead_scores(scores: ForecastScores) -> LeadScores:
    """The scores but for their maps, in plain values.

    Parameters
    ----------
    scores
        Of forecasts.

    Returns
    -------
    LeadScores
    """

    def curves(values: Float[np.ndarray, "steps bands channels"]) -> Curves:
        return {
            name: [
                [None if np.isnan(number) else float(number) for number in of_band]
                for of_band in values[:, :, channel].T
            ]
            for channel, name in enumerate(scores.channel_names)
        }

    return LeadScores(
        num_starts=scores.num_starts.tolist(),
        bands=list(scores.bands),
        rmse=curves(scores.rmse),
        acc=curves(scores.acc),
        bias=curves(scores.bias),
    )


def save_maps(path: Path, scores: ForecastScores) -> None:
    """Write the errors at every vertex.

    Parameters
    ----------
    path
        An ``.npz`` file; an older one is replaced.
    scores
        With ``rmse_map`` and ``bias_map``, (steps, vertices, channels).
    """
    with write_atomically(path, overwrite=True) as temporary:
        np.savez_compressed(
            temporary,
            rmse=scores.rmse_map.astype(np.float32),
            bias=scores.bias_map.astype(np.float32),
        )


def _scores(recipe: WeatherRecipe, parts: WeatherParts, forecasts: Iterator[Any]) -> ForecastScores:
    """Scores of forecasts at the times that are scored."""
    bands = {GLOBE: (-90.0, 90.0), **recipe.data.bands_deg}
    return forecast_scores(
        forecasts,
        parts.series.take(range(*parts.scored)),
        climatology=parts.usual,
        num_steps=recipe.data.leads[-1],
        bands=bands,
    )


def _groups(starts: Int[np.ndarray, "starts"]) -> list[np.ndarray]:
    """Starts that are forecast together."""
    return np.split(starts, range(_STARTS_AT_ONCE, len(starts), _STARTS_AT_ONCE))
