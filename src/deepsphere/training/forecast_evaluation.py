"""Scores of a network that forecasts, beside those of forecasts that need none."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.windows import Windows, check_positive
from deepsphere.tasks.forecast_scores import (
    ForecastScores,
    Reference,
    forecast_scores,
    reference_forecasts,
)
from deepsphere.training.checkpoint import Metadata
from deepsphere.training.forecaster import Starts, as_starts
from deepsphere.training.rollout import AnyForecaster, Forecasts, advance, as_forecaster

NETWORK = "network"
REFERENCES: tuple[Reference, ...] = ("persistence", "anomaly_persistence", "climatology")


def evaluate_forecasts(
    forecaster: AnyForecaster,
    series: FieldSeries,
    *,
    climatology: Climatology,
    num_steps: int,
    starts: Starts | None = None,
    batch_size: int = 16,
    bands: Mapping[str, tuple[float, float]] | None = None,
    metadata: Metadata | None = None,
    advanced: Callable[[], None] = lambda: None,
) -> dict[str, ForecastScores]:
    """Scores of forecasts by a network and without one, from the same starts.

    Parameters
    ----------
    forecaster, metadata
        As of `deepsphere.training.rollout.rollout`.
    series
        What was observed: the test.
    climatology
        Of the training, with the channels of the network.
    num_steps
        How many steps ahead.
    starts
        Times of the series; all from which every step was observed, if not given.
    batch_size
        Starts that are forecast together.
    bands
        Regions, as of `ScoreSums`.
    advanced
        Called after each step of a batch, for a progress bar.

    Returns
    -------
    dict of ForecastScores
        "network", "persistence", "anomaly_persistence" and "climatology".

    Raises
    ------
    ValueError
        As `rollout`; or if there is no start, or the climatology is of other fields.
    """
    check_positive("batch_size", batch_size)
    found = as_forecaster(forecaster, metadata=metadata)
    fitting = found.fitting(series)
    shape = (fitting.sampling.num_vertices, fitting.num_channels)
    if climatology.means.shape[1:] != shape:
        raise ValueError(
            f"climatology must be of {shape[0]} vertices and {shape[1]} channels, as the network "
            f"forecasts, got {climatology.means.shape[1:]}; measure it on the training as it fits "
            "the network (Forecaster.fitting)"
        )
    step = found.task.step
    if starts is None:
        lags = found.task.input_lags
        windows = Windows(fitting, input_lags=lags, step=step, num_iterations=num_steps)
        indices = windows.starts
    else:
        indices = as_starts(fitting, starts)
    groups = np.split(indices, range(batch_size, len(indices), batch_size))

    def by_network() -> Iterator[Forecasts]:
        """Group after group."""
        for group in groups:
            for forecasts in advance(
                found, fitting, starts=group, first_step=0, num_steps=num_steps
            ):
                yield forecasts
                advanced()

    def by_reference(kind: Reference) -> Iterator[Any]:
        """Group after group."""
        for group in groups:
            yield from reference_forecasts(
                kind,
                fitting,
                starts=group,
                num_steps=num_steps,
                step=step,
                climatology=climatology,
            )

    options: dict[str, Any] = {"climatology": climatology, "num_steps": num_steps, "bands": bands}
    scores = {NETWORK: forecast_scores(by_network(), fitting, **options)}
    for kind in REFERENCES:
        scores[kind] = forecast_scores(by_reference(kind), fitting, **options)
    return scores
