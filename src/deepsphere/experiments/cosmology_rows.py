"""The rows of the cosmology experiment: scores, costs, and how the networks compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from deepsphere.experiments.cosmology_baselines import BaselineRun
from deepsphere.experiments.cosmology_config import (
    BaselineSection,
    CosmologyNetwork,
    CosmologyRecipe,
)
from deepsphere.experiments.cosmology_data import settings_of
from deepsphere.experiments.cosmology_record import CosmologyKey, CosmologyRecord, Setting
from deepsphere.experiments.cosmology_scores import (
    ACCURACY,
    CALIBRATION_SCORES,
    CLASS_SCORES,
    PARAMETER_SCORES,
    ScoreName,
)
from deepsphere.experiments.network_costs import TableCosts, works_of
from deepsphere.experiments.results import ResultRow, make_row

AnyRow = CosmologyNetwork | BaselineSection
_Row = tuple[str, str, list[float], float]
"""Name, unit, one value per seed, seconds of the trainings behind it."""


@dataclass(frozen=True)
class CosmologyMeasured:
    """What the experiment found out.

    Parameters
    ----------
    records
        Of every training.
    baselines
        Of every linear model, by its title.
    costs
        Of the networks; None where they were not measured.
    class_names
        Of the maps.
    num_maps
        Maps for training, validation and test, all classes together.
    notes
        About the maps.
    """

    records: Mapping[CosmologyKey, CosmologyRecord]
    baselines: Mapping[str, CosmologyRecord]
    costs: TableCosts | None
    class_names: tuple[str, ...]
    num_maps: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def of(self, recipe: CosmologyRecipe, row: AnyRow, setting: Setting) -> list[CosmologyRecord]:
        """The records of a row of the table in a setting.

        Parameters
        ----------
        recipe
            What was run.
        row, setting
            Of the recipe.

        Returns
        -------
        list of CosmologyRecord
            One per seed for a network, one for a linear model.
        """
        if isinstance(row, BaselineSection):
            return [self.baselines[BaselineRun(recipe, row, setting).title]]
        return [
            record
            for key, record in self.records.items()
            if key.network.name == row.name and key.setting == setting
        ]

    def scores(
        self, recipe: CosmologyRecipe, row: AnyRow, setting: Setting, score: str
    ) -> list[float]:
        """One score of a row in a setting.

        Parameters
        ----------
        recipe, row, setting
            See `of`.
        score
            Its name.

        Returns
        -------
        list of float
            One per seed.
        """
        return [record.scores[score] for record in self.of(recipe, row, setting)]


def score_names(recipe: CosmologyRecipe, row: AnyRow | None = None) -> tuple[ScoreName, ...]:
    """What is scored.

    Parameters
    ----------
    recipe
        With the target.
    row
        A row of the table, which may have scores that others have not; None for what all have.

    Returns
    -------
    tuple of ScoreName
    """
    if recipe.data.target == "class":
        return CLASS_SCORES
    if isinstance(row, CosmologyNetwork) and recipe.training_of(row).loss == "gaussian":
        return (*PARAMETER_SCORES, *CALIBRATION_SCORES)
    return PARAMETER_SCORES


def all_rows(recipe: CosmologyRecipe) -> list[AnyRow]:
    """The rows of the table, those without a network first.

    Parameters
    ----------
    recipe
        With both.

    Returns
    -------
    list
    """
    return [*recipe.baselines, *recipe.networks]


def row_names(recipe: CosmologyRecipe) -> list[tuple[str, str]]:
    """Name and unit of every row of the results.

    Parameters
    ----------
    recipe
        With its networks and what is measured of them.

    Returns
    -------
    list of (str, str)
    """
    return [(name, unit) for name, unit, _, _ in _rows(recipe, None)]


def result_rows(recipe: CosmologyRecipe, measured: CosmologyMeasured) -> list[ResultRow]:
    """The measures of every network and linear model over the seeds.

    Parameters
    ----------
    recipe
        With its claims.
    measured
        Of all trainings.

    Returns
    -------
    list of ResultRow
        Scores; times in ms, memory in MB, numbers of parameters; then how the networks compare.
    """
    return [
        make_row(name, values, unit=unit, seconds=seconds, claims=recipe.claims)
        for name, unit, values, seconds in _rows(recipe, measured)
    ]


def result_notes(recipe: CosmologyRecipe, measured: CosmologyMeasured) -> list[str]:
    """What a reader of the rows has to know of the maps.

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
    train, validation, test = measured.num_maps
    split = (
        f"{train} maps for training, {validation} for validation and {test} for the test, "
        f"of {len(measured.class_names)} classes; scored on the {recipe.data.scored_on} maps."
    )
    return [split, *measured.notes]


def _rows(recipe: CosmologyRecipe, measured: CosmologyMeasured | None) -> Iterator[_Row]:
    """All rows, their values empty where nothing is measured yet."""
    for setting in settings_of(recipe):
        for row in all_rows(recipe):
            for index, score in enumerate(score_names(recipe, row)):
                name = f"{row.name}, {score.name}, {setting.title}"
                if measured is None:
                    yield name, score.unit, [], 0.0
                    continue
                records = measured.of(recipe, row, setting)
                seconds = sum(of.seconds_training + of.seconds_scoring for of in records)
                values = [record.scores[score.name] for record in records]
                yield name, score.unit, values, seconds if index == 0 else 0.0
        if recipe.data.target == "class":
            yield from _class_rows(recipe, measured, setting)
    if recipe.costs is not None:
        yield from _cost_rows(recipe, None if measured is None else measured.costs)


def _class_rows(
    recipe: CosmologyRecipe, measured: CosmologyMeasured | None, setting: Setting
) -> Iterator[_Row]:
    """How the accuracies of a setting compare."""

    def accuracies(row: AnyRow) -> list[float]:
        return [] if measured is None else measured.scores(recipe, row, setting, ACCURACY)

    for baseline in recipe.baselines:
        chance = 100 / len(measured.class_names) if measured is not None else 0.0
        distance = [abs(value - chance) for value in accuracies(baseline)]
        yield f"{baseline.name}, distance from chance, {setting.title}", "%", distance, 0.0
    graph_networks = [network for network in recipe.networks if network.model == "fcn"]
    if graph_networks:
        of_networks = [accuracies(network) for network in graph_networks]
        best = [] if measured is None else max(of_networks, key=fmean)
        yield f"best fully convolutional network, {ACCURACY}, {setting.title}", "%", best, 0.0
    rows = {row.name: row for row in all_rows(recipe)}
    for comparison in recipe.comparisons:
        first, second = (accuracies(rows[name]) for name in (comparison.network, comparison.rival))
        # seed by seed; a linear model has one value for all
        seeds = range(max(len(first), len(second)))
        ahead = [first[i % len(first)] - second[i % len(second)] for i in seeds]
        name = f"{comparison.network} less {comparison.rival}, {ACCURACY}, {setting.title}"
        yield name, "%", ahead, 0.0


def _cost_rows(recipe: CosmologyRecipe, costs: TableCosts | None) -> Iterator[_Row]:
    """Times, memory and parameters, and how those of compared networks compare."""
    works = works_of(recipe.costs)
    for network in recipe.networks:
        of = None if costs is None else costs.networks[network.name]
        count = [] if of is None else [float(of.num_parameters)]
        yield f"{network.name}, parameters", "", count, 0.0
        for work in works:
            yield f"{network.name}, {work}", "ms", [] if of is None else [of.median(work)], 0.0
        megabytes = [] if of is None else [of.step_megabytes]
        yield f"{network.name}, memory of a training step", "MB", megabytes, 0.0
    timed = {network.name for network in recipe.networks}
    for comparison in recipe.comparisons:
        if {comparison.network, comparison.rival} <= timed:
            for work in works:
                name = f"{comparison.network} over {comparison.rival}, {work}"
                ratio: list[float] = []
                if costs is not None:
                    first, second = (
                        costs.networks[of].median(work)
                        for of in (comparison.network, comparison.rival)
                    )
                    ratio = [first / second]
                yield name, "", ratio, 0.0
