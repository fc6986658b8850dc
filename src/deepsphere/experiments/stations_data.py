"""What each objective of the stations experiment takes of the records: stations, parts in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from deepsphere.data.calendars import format_time
from deepsphere.data.station_objectives import SEASON, StationObjective, day_windows
from deepsphere.data.station_records import StationRecords
from deepsphere.data.station_rules import complete_stations
from deepsphere.data.station_splits import RecordSplits, split_records
from deepsphere.experiments.stations_config import (
    ObjectiveSection,
    RecordsSection,
    StationNetwork,
    StationsRecipe,
)
from deepsphere.experiments.stations_records import (
    named_variable,
    open_records,
    shuffled_records,
)
from deepsphere.graph import build_graph

_YEAR = np.timedelta64(365, "D")


@dataclass(frozen=True, eq=False)
class ObjectiveParts:
    """What one objective learns from, and what it is scored on.

    Parameters
    ----------
    section
        The objective as the recipe says it.
    objective
        The same with the variables of the records.
    splits
        The records of its variables, at the stations of the rule, one part after the other. The
        parts for validation and test begin with the days that their first target is told from.
    scored
        That of the parts which is scored, with gaps where nothing was measured.
    hidden
        Stations that an imputation does not learn from, and is scored at; None for others.
    """

    section: ObjectiveSection
    objective: StationObjective
    splits: RecordSplits
    scored: StationRecords
    hidden: Bool[np.ndarray, "stations"] | None

    @property
    def unit(self) -> str:
        """Of the targets; that of the first if they have several."""
        if self.objective.kind == "day_of_year":
            return ""
        return self.scored.select(self.objective.targets).units[0]

    @property
    def num_before(self) -> int:
        """Days at the beginning of the scored part that are only known."""
        return self.objective.history if self.objective.lead else 0

    @property
    def note(self) -> str:
        """What a reader of the scores has to know of the records, in a sentence."""

        def span(records: StationRecords, first: int = 0) -> str:
            times = records.times[first:]
            return f"{len(times):,} days from {format_time(times[0])} to {format_time(times[-1])}"

        objective, train = self.objective, self.splits.train
        told = " and ".join(objective.targets)
        told = "day of the year" if told == SEASON else told
        hidden = "" if self.hidden is None else f", {self.hidden.sum():,} of them hidden"
        return (
            f"{self.section.name}: {told} from {' and '.join(objective.inputs)} at "
            f"{train.num_stations:,} stations{hidden}; learned from {span(train)}, scored on "
            f"{span(self.scored, self.num_before)}."
        )


@dataclass(frozen=True, eq=False)
class StationsParts:
    """What all objectives learn from.

    Parameters
    ----------
    objectives
        Those that the records allow, by name.
    notes
        What a reader of the scores has to know of the records, and which objectives they do not
        allow.
    """

    objectives: dict[str, ObjectiveParts]
    notes: tuple[str, ...]


def open_parts(recipe: StationsRecipe, *, data: Path | None) -> StationsParts:
    """What every objective of a recipe learns from, and is scored on.

    Parameters
    ----------
    recipe
        With objectives, rule and split.
    data
        A file or folder of stations; None where they are simulated.

    Returns
    -------
    StationsParts

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_records`; or if an objective that is not optional, or every one, has not the
        variables or days that it needs.
    """
    records = open_records(recipe, data)
    found: dict[str, ObjectiveParts] = {}
    notes = list(records.notes)
    reasons = []
    for section in recipe.chosen:
        try:
            parts = objective_parts(recipe, section, records)
        except ValueError as error:
            if not section.optional:
                raise
            reasons.append(f"{section.name} is left out: {error}.")
            continue
        found[section.name] = parts
        own = (note for note in parts.splits.train.notes if note not in records.notes)
        notes += [parts.note, *(f"{section.name}: {note}" for note in own)]
    if not found:
        raise ValueError(
            f"data must allow one of the objectives of the recipe, got none: {' '.join(reasons)}"
        )
    return StationsParts(found, tuple(dict.fromkeys([*notes, *reasons])))


def objective_parts(
    recipe: StationsRecipe, section: ObjectiveSection, records: StationRecords
) -> ObjectiveParts:
    """What one objective learns from, and is scored on.

    Parameters
    ----------
    recipe
        With rule and split.
    section
        The objective.
    records
        See `open_records`.

    Returns
    -------
    ObjectiveParts

    Raises
    ------
    ValueError
        If the records have not the variables or days that it needs.
    """
    objective = _objective_of(section, records, recipe.data)
    chosen = records.select(_present(objective.channel_names, records))
    chosen = chosen.take(np.flatnonzero(chosen.observed.any(axis=(0, 2))))
    if recipe.data.rule != "all":
        fraction = 1.0 if recipe.data.rule == "complete" else recipe.data.min_fraction
        chosen = complete_stations(chosen, fraction=fraction)
    if recipe.data.targets == "shuffled":
        chosen = shuffled_records(chosen, _lengths(chosen, recipe.data))
    history = objective.history if objective.lead else 0
    splits = _splits(chosen, recipe.data, history)
    if section.kind == "day_of_year":
        _check_year(splits.train)
    on_test = recipe.data.scored_on == "test"
    scored = splits.test if on_test else splits.validation
    assert scored is not None, "checked where the recipe was read"
    for part in (splits.train, scored):
        if not (day_windows(part.axis, objective).targets >= 0).any():
            raise ValueError(
                f"data must hold {objective.history + objective.lead} days in a row in every part, "
                f"got {len(part)} days from {format_time(part.times[0])} without"
            )
    for part in filter(None, splits):
        silent = np.flatnonzero(~part.observed.any(axis=(0, 1)))
        if len(silent):
            raise ValueError(
                f"data must hold {part.channel_names[silent[0]]} in every part, got {len(part)} "
                f"days from {format_time(part.times[0])} without"
            )
    hidden = None
    if section.kind == "imputation":
        hidden = hidden_stations(chosen.num_stations, recipe.data)
    elif recipe.data.rule == "filled":
        splits = _splits(_filled(recipe, chosen), recipe.data, history)
    return ObjectiveParts(section, objective, splits, scored, hidden)


def graph_options(
    network: StationNetwork, num_stations: int, *, objective: ObjectiveSection | None = None
) -> dict[str, Any]:
    """Keywords of `build_graph` for a network.

    Parameters
    ----------
    network
        With its graph.
    num_stations
        Of all: a station has no more neighbors than there are others.
    objective
        What is learned: its graph takes the place of that of the network.

    Returns
    -------
    dict
        Stations that fall apart are taken as they are unless the recipe says otherwise.
    """
    graph = network.graph if objective is None or objective.graph is None else objective.graph
    assert graph is not None  # the recipe says so
    own = graph.model_dump(exclude_none=True, exclude={"num_levels"})
    if "num_neighbors" in own:
        own["num_neighbors"] = min(own["num_neighbors"], num_stations - 1)
    return {"disconnected": "allow", **own}


def hidden_stations(num_stations: int, section: RecordsSection) -> Bool[np.ndarray, "stations"]:
    """Which stations an imputation does not learn from.

    Parameters
    ----------
    num_stations
        Of all.
    section
        With share and seed.

    Returns
    -------
    Bool[np.ndarray, "stations"]

    Raises
    ------
    ValueError
        If none would be hidden, or all.
    """
    number = round(section.hidden_fraction * num_stations)
    if not 0 < number < num_stations:
        raise ValueError(
            f"hidden_fraction must hide some of {num_stations} stations and not all, got "
            f"{section.hidden_fraction}; choose another with --set data.hidden_fraction"
        )
    order = np.random.default_rng(section.hidden_seed).permutation(num_stations)
    hidden = np.zeros(num_stations, bool)
    hidden[order[:number]] = True
    return hidden


def _objective_of(
    section: ObjectiveSection, records: StationRecords, data: RecordsSection
) -> StationObjective:
    """The objective, of variables that the records have."""
    inputs, targets = (
        tuple(dict.fromkeys(named_variable(name, records, data) for name in names))
        for names in (section.inputs, section.targets)
    )
    if section.kind == "day_of_year":
        targets = (SEASON,)
    history = section.history if section.kind == "next_day" else 1
    return StationObjective(section.kind, inputs, targets or inputs, history, section.variables)


def _present(names: Sequence[str], records: StationRecords) -> list[str]:
    """The variables, all of which must be measured."""
    for name in names:
        if name not in records.channel_names or np.isnan(records.column(name)).all():
            raise ValueError(
                f"data must hold measurements of {name}, got {', '.join(records.channel_names)}"
            )
    return list(names)


def _splits(records: StationRecords, section: RecordsSection, history: int) -> RecordSplits:
    """The parts in time."""
    return split_records(
        records,
        validation_start=section.validation_start,
        test_start=section.test_start,
        validation_fraction=section.validation_fraction,
        test_fraction=section.test_fraction,
        history=history,
    )


def _lengths(records: StationRecords, section: RecordsSection) -> list[int]:
    """Days of each part."""
    return [len(part) for part in _splits(records, section, 0) if part is not None]


def _check_year(train: StationRecords) -> None:
    """Raise where days of the year are asked for that were never seen."""
    covered = train.times[-1] - train.times[0]
    if covered < _YEAR:
        raise ValueError(
            f"data must hold a year to learn from for day_of_year, got {len(train)} days from "
            f"{format_time(train.times[0])} to {format_time(train.times[-1])}"
        )


def _filled(recipe: StationsRecipe, records: StationRecords) -> StationRecords:
    """The records with their gaps filled on the graph of the first network."""
    from deepsphere.data.station_rules import filled_stations

    options = graph_options(recipe.networks[0], records.num_stations)
    return filled_stations(records, graph=build_graph(records.sampling, **options))
