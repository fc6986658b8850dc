"""The rows of the weather experiment: errors and correlations by lead time, and comparisons."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from deepsphere.data.field_series import FieldSeries
from deepsphere.data.time_axis import TimeStep
from deepsphere.experiments.results import ResultRow, make_row
from deepsphere.experiments.weather_config import BASELINES, WeatherRecipe
from deepsphere.experiments.weather_record import (
    BaselineRecord,
    Curves,
    LeadScores,
    WeatherKey,
    WeatherRecord,
)

_Row = tuple[str, str, list[float], float]
"""Name, unit, one value per seed, seconds of the trainings behind it."""
_CLIMATOLOGY = "climatology"
SCORES = {"rmse": "RMSE", "acc": "ACC", "bias": "bias"}
"""Scores of forecasts, and how they are printed."""


@dataclass(frozen=True)
class FieldNames:
    """What is forecast, as it is printed.

    Parameters
    ----------
    channels, units
        Of the fields.
    step
        Between two of them.
    """

    channels: tuple[str, ...]
    units: tuple[str, ...]
    step: TimeStep

    @classmethod
    def of(cls, series: FieldSeries) -> "FieldNames":
        """Those of a series.

        Parameters
        ----------
        series
            Of at least two times.

        Returns
        -------
        FieldNames
        """
        assert series.step is not None, "checked where the series was opened"
        return cls(series.channel_names, series.units, series.step)


@dataclass(frozen=True)
class WeatherMeasured:
    """What the experiment found out.

    Parameters
    ----------
    records
        Of every training.
    baselines
        Of the forecasts without a network.
    names
        What is forecast.
    notes
        About the fields.
    """

    records: Mapping[WeatherKey, WeatherRecord]
    baselines: BaselineRecord
    names: FieldNames
    notes: tuple[str, ...] = ()

    def of(self, name: str) -> list[LeadScores]:
        """The scores of a row of the table.

        Parameters
        ----------
        name
            Of a network, or of a forecast without one.

        Returns
        -------
        list of LeadScores
            One per seed, or one.
        """
        if name in self.baselines.scores:
            return [self.baselines.scores[name]]
        return [record.scores for key, record in self.records.items() if key.network.name == name]

    def values(
        self, name: str, score: str, channel: str, lead: int, *, band: int = 0
    ) -> list[float | None]:
        """One score of a row of the table.

        Parameters
        ----------
        name
            Of a network, or of a forecast without one.
        score
            ``"rmse"``, ``"acc"`` or ``"bias"``.
        channel
            Name of a field.
        lead
            Steps ahead.
        band
            Index of a band of latitude; 0 is the globe.

        Returns
        -------
        list of float or None
            One per seed, or one; None where there is no such score.
        """
        found: list[Curves] = [getattr(scores, score) for scores in self.of(name)]
        return [curves[channel][band][lead - 1] for curves in found]


def table_rows(recipe: WeatherRecipe) -> list[str]:
    """Names of the rows of the table, those without a network first.

    Parameters
    ----------
    recipe
        With its networks.

    Returns
    -------
    list of str
    """
    return [*BASELINES, *(network.name for network in recipe.networks)]


@dataclass(frozen=True)
class ScoreColumn:
    """A score of one field at one lead time.

    Parameters
    ----------
    score
        ``"rmse"``, ``"acc"`` or ``"bias"``.
    title
        As it is printed, with the field where there are several, and the lead time.
    channel, unit
        The field, and the unit of the score.
    lead
        Steps ahead.
    """

    score: str
    title: str
    channel: str
    unit: str
    lead: int


def score_columns(recipe: WeatherRecipe, names: FieldNames) -> list[ScoreColumn]:
    """All that is printed of a row of the table.

    Parameters
    ----------
    recipe
        With the leads.
    names
        What is forecast.

    Returns
    -------
    list of ScoreColumn
    """
    columns = []
    for score, shown in SCORES.items():
        for channel, unit in zip(names.channels, names.units, strict=True):
            for lead in recipe.data.leads:
                which = "" if len(names.channels) == 1 else f" {channel}"
                title = f"{shown}{which}, {names.step.times(lead)}"
                unit_of_score = "" if score == "acc" else unit
                columns.append(ScoreColumn(score, title, channel, unit_of_score, lead))
    return columns


def row_names(recipe: WeatherRecipe, names: FieldNames) -> list[tuple[str, str]]:
    """Name and unit of every row of the results.

    Parameters
    ----------
    recipe
        With its networks and leads.
    names
        What is forecast.

    Returns
    -------
    list of (str, str)
    """
    return [(name, unit) for name, unit, _, _ in _rows(recipe, names, None)]


def result_rows(recipe: WeatherRecipe, measured: WeatherMeasured) -> list[ResultRow]:
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
        Root mean square errors, anomaly correlations and biases of the globe at the leads of the
        recipe, then how the errors compare; scores that do not exist are left out.
    """
    return [
        make_row(name, values, unit=unit, seconds=seconds, claims=recipe.claims)
        for name, unit, values, seconds in _rows(recipe, measured.names, measured)
        if values
    ]


def result_notes(recipe: WeatherRecipe, measured: WeatherMeasured) -> list[str]:
    """What a reader of the rows has to know of the fields.

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
    first, *others = measured.notes
    of_part = f"{first} Scored on the {recipe.data.scored_on} part, weighted by area."
    return [of_part, *others]


def _rows(
    recipe: WeatherRecipe, names: FieldNames, measured: WeatherMeasured | None
) -> Iterator[_Row]:
    """All rows, their values empty where nothing is measured."""
    for row in table_rows(recipe):
        seconds = 0.0 if measured is None else _seconds(measured, row)
        for column in score_columns(recipe, names):
            if row == _CLIMATOLOGY and column.score == "acc":
                continue  # its anomalies do not vary
            values: list[float] = []
            if measured is not None:
                found = measured.values(row, column.score, column.channel, column.lead)
                values = [value for value in found if value is not None]
            yield f"{row}, {column.title}", column.unit, values, seconds
            seconds = 0.0
    for comparison in recipe.comparisons:
        for column in score_columns(recipe, names):
            if column.score != "rmse":
                continue
            ratio: list[float] = []
            if measured is not None:
                first, second = (
                    _known(measured.values(row, column.score, column.channel, column.lead))
                    for row in (comparison.network, comparison.rival)
                )
                # seed by seed; a forecast without a network has one value for all
                ratio = [value / second[i % len(second)] for i, value in enumerate(first)]
            yield f"{comparison.network} over {comparison.rival}, {column.title}", "", ratio, 0.0
    for network in recipe.networks:
        count: list[float] = []
        if measured is not None:
            of = [r for key, r in measured.records.items() if key.network.name == network.name]
            count = [fmean(float(record.num_parameters) for record in of)]
        yield f"{network.name}, parameters", "", count, 0.0


def _known(values: list[float | None]) -> list[float]:
    """The values, all of which must be there."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise ValueError(
            "data must hold observed fields at all leads that are compared, got none at one of "
            "them; choose other leads: --set data.leads=[1]"
        )
    return known


def _seconds(measured: WeatherMeasured, row: str) -> float:
    """Time of all trainings of a row, or of the forecasts without a network."""
    if row in measured.baselines.scores:
        return measured.baselines.seconds / len(measured.baselines.scores)
    return sum(
        record.seconds_training + record.seconds_scoring
        for key, record in measured.records.items()
        if key.network.name == row
    )
