"""The rows of the stations experiment: scores by objective and method, and comparisons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from deepsphere.experiments.results import ResultRow, make_row
from deepsphere.experiments.stations_config import BASELINES, ObjectiveSection, StationsRecipe
from deepsphere.experiments.stations_record import (
    BaselineRecord,
    Scores,
    StationKey,
    StationsRecord,
)

_Row = tuple[str, str, list[float], float]
"""Name, unit, one value per seed, seconds of the trainings behind it."""
COMPARED = ("mse", "mae")
SHIFTED = "shifted_r2"
SCORES = {
    "mse": "MSE",
    "mae": "MAE",
    "r2": "R²",
    "anomaly_r2": "R² of anomalies",
    "explained_variance": "explained variance",
    "mre": "MRE",
    SHIFTED: "R² shifted by a sample",
}
"""Scores, and how they are printed."""
_OF_ALL = ("mse", "mae", "r2")


@dataclass(frozen=True)
class StationsMeasured:
    """What the experiment found out.

    Parameters
    ----------
    records
        Of every training.
    baselines
        Of the answers without a network, by the name of the objective.
    units
        Of the targets, by the name of the objective; objectives that the records do not allow are
        in none of the three.
    notes
        About the records.
    """

    records: Mapping[StationKey, StationsRecord]
    baselines: Mapping[str, BaselineRecord]
    units: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def objectives(self, recipe: StationsRecipe) -> list[ObjectiveSection]:
        """What was learned.

        Parameters
        ----------
        recipe
            What was run.

        Returns
        -------
        list of ObjectiveSection
        """
        return [objective for objective in recipe.chosen if objective.name in self.units]

    def trainings(self, objective: ObjectiveSection, network: str) -> list[StationsRecord]:
        """The records of a network, one per seed.

        Parameters
        ----------
        objective
            What was learned.
        network
            Name of the network.

        Returns
        -------
        list of StationsRecord
        """
        return [
            record
            for key, record in self.records.items()
            if key.network.name == network and key.objective.name == objective.name
        ]

    def values(self, objective: ObjectiveSection, method: str, score: str) -> list[float]:
        """One score of a row of the table.

        Parameters
        ----------
        objective
            What was learned.
        method
            Name of a network, or of an answer without one.
        score
            One of `SCORES`.

        Returns
        -------
        list of float
            One per seed, or one; none where there is no such score.
        """
        found: list[Scores] = [record.scores for record in self.trainings(objective, method)]
        baselines = self.baselines.get(objective.name)
        if baselines is not None and method in baselines.scores:
            found = [baselines.scores[method]]
        values = [scores.get(score) for scores in found]
        return [value for value in values if value is not None]


def methods_of(recipe: StationsRecipe, objective: ObjectiveSection) -> list[str]:
    """Names of the rows of the table of an objective, those without a network first.

    Parameters
    ----------
    recipe
        With its networks.
    objective
        One of the recipe.

    Returns
    -------
    list of str
    """
    return [*BASELINES[objective.kind], *(network.name for network in recipe.networks)]


def scores_of(objective: ObjectiveSection) -> list[str]:
    """Names of the scores of a network.

    Parameters
    ----------
    objective
        What is learned.

    Returns
    -------
    list of str
    """
    none = {
        "day_of_year": ("anomaly_r2", SHIFTED),
        "next_day": (),
    }.get(objective.kind, (SHIFTED,))
    return [score for score in SCORES if score not in none]


def unit_of(score: str, unit: str) -> str:
    """Unit of a score.

    Parameters
    ----------
    score
        One of `SCORES`.
    unit
        Of the target.

    Returns
    -------
    str

    Examples
    --------
    >>> unit_of("mse", "°C"), unit_of("mae", "mm"), unit_of("mre", "°C"), unit_of("r2", "°C")
    ('°C²', 'mm', '%', '')
    """
    squared = f"{unit}²" if unit else ""
    return {"mse": squared, "mae": unit, "mre": "%"}.get(score, "")


def row_names(recipe: StationsRecipe) -> list[str]:
    """Name of every row that the results can have: a file may not allow some of them.

    Parameters
    ----------
    recipe
        With objectives and networks.

    Returns
    -------
    list of str
    """
    return [name for name, *_ in _rows(recipe, None)]


def result_rows(recipe: StationsRecipe, measured: StationsMeasured) -> list[ResultRow]:
    """The scores of every row of the table over the seeds.

    Parameters
    ----------
    recipe
        With its claims.
    measured
        Of all trainings.

    Returns
    -------
    list of ResultRow
        Objective by objective: the scores, how they compare, and the sizes of the networks.
        Objectives that the records do not allow, and scores that do not exist, are left out.
    """
    return [
        make_row(name, values, unit=unit, seconds=seconds, claims=recipe.claims)
        for name, unit, values, seconds in _rows(recipe, measured)
        if values
    ]


def result_notes(recipe: StationsRecipe, measured: StationsMeasured) -> list[str]:
    """What a reader of the rows has to know of the records.

    Parameters
    ----------
    recipe
        What was run.
    measured
        Of all trainings.

    Returns
    -------
    list of str
    """
    notes = list(measured.notes)
    if recipe.data.targets == "shuffled":
        notes.append("A control: all values are shuffled, scores have to be those of chance.")
    for objective in measured.objectives(recipe):
        for name, reason in measured.baselines[objective.name].left_out.items():
            notes.append(f"{objective.name}: without {name}, {reason}")
    return notes


def _rows(recipe: StationsRecipe, measured: StationsMeasured | None) -> Iterator[_Row]:
    """All rows, their values empty where nothing is measured."""
    for objective in recipe.objectives:
        if measured is None or objective.name in measured.units:
            yield from _rows_of(recipe, objective, measured)


def _rows_of(
    recipe: StationsRecipe, objective: ObjectiveSection, measured: StationsMeasured | None
) -> Iterator[_Row]:
    """The rows of one objective."""
    unit = "" if measured is None else measured.units[objective.name]
    methods = methods_of(recipe, objective)
    networks = [network.name for network in recipe.networks]

    def found(method: str, score: str) -> list[float]:
        return [] if measured is None else measured.values(objective, method, score)

    for method in methods:
        seconds = 0.0 if measured is None else _seconds(measured, objective, method)
        for score in scores_of(objective) if method in networks else _OF_ALL:
            name = f"{objective.name}, {method}, {SCORES[score]}"
            yield name, unit_of(score, unit), found(method, score), seconds
            seconds = 0.0
    for comparison in recipe.comparisons:
        if comparison.rival not in methods:
            continue
        for score in COMPARED:
            first, second = (found(of, score) for of in (comparison.network, comparison.rival))
            # seed by seed; an answer without a network has one value for all
            ratio = [
                value / second[index % len(second)] for index, value in enumerate(first) if second
            ]
            name = f"{objective.name}, {comparison.network} over {comparison.rival}, "
            yield name + SCORES[score], "", ratio, 0.0
    for network in networks:
        of = [] if measured is None else measured.trainings(objective, network)
        count = [fmean(record.num_parameters for record in of)] if of else []
        yield f"{objective.name}, {network}, parameters", "", count, 0.0


def _seconds(measured: StationsMeasured, objective: ObjectiveSection, method: str) -> float:
    """Time of all trainings of a row, or of the answers without a network."""
    baselines = measured.baselines[objective.name]
    if method in baselines.scores:
        return baselines.seconds / len(baselines.scores)
    trainings = measured.trainings(objective, method)
    return sum(record.seconds_training + record.seconds_scoring for record in trainings)
