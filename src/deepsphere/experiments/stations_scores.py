"""How good answers about stations are, those of networks and those without one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from deepsphere.data.calendars import Times
from deepsphere.data.drift_kriging import drift_kriging
from deepsphere.data.files import write_atomically
from deepsphere.data.ridge import shrunken_fit
from deepsphere.data.season_baselines import fit_season_ridge
from deepsphere.data.station_baselines import (
    RidgeForecast,
    fit_anomaly_ridge,
    fit_ridge,
    persistence,
    station_climatology,
)
from deepsphere.data.station_elevation import (
    ElevationInterpolation,
    fit_lapse_rate,
    known_elevations,
)
from deepsphere.data.station_interpolation import (
    GraphInterpolation,
    StationInterpolation,
    inverse_distance,
    nearest_station,
)
from deepsphere.data.station_kriging import fit_covariance, local_kriging
from deepsphere.data.station_objectives import day_windows, seasons
from deepsphere.data.station_records import StationRecords
from deepsphere.experiments.stations_config import BASELINES, BaselineName, StationsRecipe
from deepsphere.experiments.stations_data import ObjectiveParts, graph_options
from deepsphere.experiments.stations_record import Scores
from deepsphere.experiments.stations_rows import SCORES, SHIFTED
from deepsphere.graph import build_graph
from deepsphere.tasks.station_scores import (
    StationScores,
    shifted_station_scores,
    station_scores,
)
from deepsphere.training.station_predictor import StationPredictor

SCORED_FILE = "scored.npz"
Values = Float[np.ndarray, "times stations targets"]
"""Targets or predictions; of the day of the year there is one station."""

# Why records may not allow an answer.
_NEEDS: dict[BaselineName, str] = {
    "kriging with lapse rate": "as no elevation is known",
}
# Days that a station needs, times the number of variables, for coefficients of its own.
_DAYS_PER_COEFFICIENT = 10


@dataclass(frozen=True, eq=False)
class ScoredTargets:
    """What is to be told, the same for all methods.

    Parameters
    ----------
    times
        Of the days that are scored: those that follow as many days as an objective needs.
    rows
        Their indices in the scored part.
    values
        What was measured; NaN where nothing was, or where a station was not hidden.
    """

    times: Times
    rows: np.ndarray
    values: Values


def scored_targets(parts: ObjectiveParts) -> ScoredTargets:
    """What is to be told of the part that is scored.

    Parameters
    ----------
    parts
        The records of an objective.

    Returns
    -------
    ScoredTargets
    """
    windows = day_windows(parts.scored.axis, parts.objective)
    windows = windows.take(windows.targets >= 0)
    rows = windows.targets
    if parts.objective.is_global:
        seen = np.flatnonzero(np.any(parts.scored.observed, axis=(1, 2))[rows])
        rows, times = rows[seen], windows.times[seen]
        return ScoredTargets(times, rows, seasons(times)[:, None, None])
    values = parts.scored.select(parts.objective.targets).values[rows]
    if parts.hidden is not None:
        # nobody can tell anything on a day on which all others are silent
        told = ~np.isnan(values[:, ~parts.hidden]).all(axis=1, keepdims=True)
        values = np.where(parts.hidden[:, None] & told, values, np.float32(np.nan))
    return ScoredTargets(windows.times, rows, values)


def predict_scored(predictor: StationPredictor, parts: ObjectiveParts) -> Values:
    """What a network says of what is scored.

    Parameters
    ----------
    predictor
        The network.
    parts
        The records of the objective that it was trained for.

    Returns
    -------
    Values
        Of `scored_targets`.
    """
    targets = scored_targets(parts)
    if parts.objective.is_global:
        times, values = predictor.predict_signals(parts.scored)
        return values[np.isin(times, targets.times), None]
    found = predictor.predict(parts.scored, hidden=parts.hidden)
    return found.select(parts.objective.targets).at(targets.times)


def score(predicted: Values, parts: ObjectiveParts) -> Scores:
    """Scores of all targets together.

    Parameters
    ----------
    predicted
        As of `predict_scored`.
    parts
        The records of the objective.

    Returns
    -------
    Scores
    """
    targets = scored_targets(parts)
    found = dict(_scores(predicted, targets.values, usual=_usual(parts, targets)).values)
    if parts.objective.kind == "next_day" and len(predicted) > 1:
        found[SHIFTED] = shifted_station_scores(_rows(predicted), _rows(targets.values)).r2
    return {
        name: float(found[name]) if np.isfinite(found.get(name, np.nan)) else None
        for name in SCORES
        if name in found
    }


def save_scored(path: Path, predicted: Values, parts: ObjectiveParts) -> None:
    """Write what the pictures of a report are drawn from.

    Parameters
    ----------
    path
        An ``.npz`` file; an older one is replaced.
    predicted
        As of `predict_scored`.
    parts
        The records of the objective.
    """
    targets = scored_targets(parts)
    arrays: dict[str, Any] = {"mae": _scores(predicted, targets.values).mae_map}
    if parts.objective.is_global:
        arrays |= {"predicted": predicted.ravel(), "observed": targets.values.ravel()}
    with write_atomically(path, overwrite=True) as temporary:
        np.savez_compressed(temporary, **arrays)


def score_baselines(
    recipe: StationsRecipe,
    parts: ObjectiveParts,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Scores], dict[str, str]]:
    """Scores of the answers without a network.

    Parameters
    ----------
    recipe
        With the graph of the first network.
    parts
        The records of an objective.
    announce
        Told what is being done.

    Returns
    -------
    scores : dict of Scores
        By name.
    left_out : dict of str
        Why, by the name of those that the records do not allow.
    """
    found, left_out = {}, {}
    answers = baselines_of(recipe, parts)
    for name in BASELINES[parts.objective.kind]:
        announce(f"{parts.section.name}: {name}")
        if name in answers:
            found[name] = score(answers[name](), parts)
        else:
            left_out[name] = _NEEDS[name]
    return found, left_out


def baselines_of(
    recipe: StationsRecipe, parts: ObjectiveParts
) -> Mapping[BaselineName, Callable[[], Values]]:
    """The answers without a network that the records allow.

    Parameters
    ----------
    recipe
        With the graph of the first network.
    parts
        The records of an objective.

    Returns
    -------
    dict of callables
        Each gives what `predict_scored` gives of a network.
    """
    kind = parts.objective.kind
    if kind == "day_of_year":
        return {"linear": partial(_linear_season, parts)}
    if kind == "imputation":
        return _interpolations(recipe, parts)
    targets = scored_targets(parts)
    usual = station_climatology(parts.splits.train.select(parts.objective.targets))
    answers: dict[BaselineName, Callable[[], Values]] = {
        "climatology": lambda: usual.at(targets.times),
        "ridge": partial(_same_day_ridge, parts),
    }
    if kind == "same_day":
        return answers
    train = parts.splits.train.select(parts.objective.targets)
    scored = parts.scored.select(parts.objective.targets)
    history = parts.objective.history

    def ridge(fit: Callable[..., RidgeForecast]) -> Values:
        return fit(train, usual, history=history).predict(scored)[targets.rows]

    answers["persistence"] = lambda: persistence(scored, usual, history=history)[targets.rows]
    answers["ridge"] = partial(ridge, fit_ridge)
    answers["anomaly ridge"] = partial(ridge, fit_anomaly_ridge)
    return answers


def _linear_season(parts: ObjectiveParts) -> Values:
    """The day of the year by ridge regression from all stations."""
    objective = parts.objective
    train = parts.splits.train.select(objective.inputs)
    validation = parts.splits.validation
    chosen = None if validation is None else validation.select(objective.inputs)
    ridge = fit_season_ridge(
        train,
        seasons(train.times),
        validation=chosen,
        validation_seasons=None if chosen is None else seasons(chosen.times),
    )
    told = ridge.predict(parts.scored.select(objective.inputs))
    return told[scored_targets(parts).rows, None, None]


def _same_day_ridge(parts: ObjectiveParts) -> Values:
    """Ridge regressions at each station from its inputs of the day; gaps hold what is usual."""
    objective, rows = parts.objective, scored_targets(parts).rows
    train = parts.splits.train
    usual = station_climatology(train.select(objective.inputs))

    def features(records: StationRecords) -> np.ndarray:
        values = records.select(objective.inputs).values
        filled = np.where(np.isnan(values), usual.at(records.times), values)
        return np.nan_to_num(filled.astype(np.float64)).transpose(1, 0, 2)

    known, asked = features(train), features(parts.scored)[:, rows]
    least = _DAYS_PER_COEFFICIENT * len(objective.inputs)
    columns = []
    for name in objective.targets:
        truth = train.column(name).T.astype(np.float64)
        fit = shrunken_fit([(known, truth, ~np.isnan(truth))], least_samples=least)
        columns.append(np.einsum("stc,sc->ts", asked, fit[0]) + fit[1])
    return np.stack(columns, axis=-1)


def _interpolations(
    recipe: StationsRecipe, parts: ObjectiveParts
) -> Mapping[BaselineName, Callable[[], Values]]:
    """What neighbors tell of hidden stations; all is fitted to the others and to training days."""
    assert parts.hidden is not None, "of an imputation"
    sampling, shown = parts.scored.sampling, ~parts.hidden
    elevation = known_elevations(parts.scored.elevation_m, sampling)
    train = parts.splits.train.take(np.flatnonzero(shown))

    def kriging(name: str) -> StationInterpolation:
        return local_kriging(sampling, fit_covariance(train.sampling, train.column(name)))

    def lifted(name: str) -> StationInterpolation:
        rate = fit_lapse_rate(train.sampling, train.column(name), train.elevation_m)
        effect = (rate * elevation[shown]).astype(np.float32)
        covariance = fit_covariance(train.sampling, train.column(name) - effect)
        return ElevationInterpolation(local_kriging(sampling, covariance), elevation, rate)

    def graph(name: str) -> StationInterpolation:
        return GraphInterpolation(
            build_graph(sampling, **graph_options(recipe.networks[0], sampling.num_vertices))
        )

    makers: dict[BaselineName, Callable[[str], StationInterpolation]] = {
        "nearest": lambda _: nearest_station(sampling),
        "inverse distance": lambda _: inverse_distance(sampling),
        "kriging": kriging,
        "kriging with drift": lambda _: drift_kriging(sampling, elevation / 1000),
        "graph": graph,
    }
    if np.isfinite(parts.scored.elevation_m).any():
        makers["kriging with lapse rate"] = lifted
    return {name: partial(_interpolated, parts, make) for name, make in makers.items()}


def _interpolated(parts: ObjectiveParts, make: Callable[[str], StationInterpolation]) -> Values:
    """All stations from those that are not hidden, variable by variable."""
    assert parts.hidden is not None, "of an imputation"
    rows = scored_targets(parts).rows
    columns = []
    for name in parts.objective.targets:
        values = parts.scored.column(name)[rows]
        observed = ~np.isnan(values) & ~parts.hidden
        columns.append(make(name)(values, observed))
    return np.stack(columns, axis=-1)


def _usual(parts: ObjectiveParts, targets: ScoredTargets) -> Values | None:
    """The climatology of what is scored; None of the day of the year."""
    if parts.objective.is_global:
        return None
    usual = station_climatology(parts.splits.train.select(parts.objective.targets))
    return usual.at(targets.times)


def _scores(predicted: Values, observed: Values, *, usual: Values | None = None) -> StationScores:
    """Scores of all targets together."""
    expected = None if usual is None else _rows(usual)
    return station_scores(_rows(predicted), _rows(observed), usual=expected)


def _rows(values: Values) -> Float[np.ndarray, "samples stations"]:
    """The targets one after the other, each with all its days."""
    return np.concatenate(list(np.moveaxis(values, 2, 0))).astype(np.float64)
