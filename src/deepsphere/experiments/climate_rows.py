"""The rows of the climate experiment: scores, costs, and how the networks compare."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deepsphere.data.climate_channels import CLASS_NAMES
from deepsphere.experiments.climate_config import ClimateNetwork, ClimateRecipe
from deepsphere.experiments.climate_record import ClimateKey, ClimateRecord
from deepsphere.experiments.climate_scores import MEAN_ACCURACY, MEAN_PRECISION, score_names
from deepsphere.experiments.network_costs import TableCosts, works_of
from deepsphere.experiments.results import ResultRow, make_row

_Row = tuple[str, str, list[float], float]
"""Name, unit, one value per seed, seconds of the trainings behind it."""


@dataclass(frozen=True)
class ClimateMeasured:
    """What the experiment found out.

    Parameters
    ----------
    records
        Of every training.
    costs
        Of the networks; None where they were not measured.
    class_names
        Of the maps.
    num_maps
        Maps for training, validation and test.
    notes
        About the maps.
    """

    records: Mapping[ClimateKey, ClimateRecord]
    costs: TableCosts | None
    class_names: tuple[str, ...]
    num_maps: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def of(self, network: ClimateNetwork) -> list[ClimateRecord]:
        """The records of a network, one per seed.

        Parameters
        ----------
        network
            Of the recipe.

        Returns
        -------
        list of ClimateRecord
        """
        return [record for key, record in self.records.items() if key.network.name == network.name]

    def scores(self, network: ClimateNetwork, score: str) -> list[float]:
        """One score of a network.

        Parameters
        ----------
        network
            Of the recipe.
        score
            Its name.

        Returns
        -------
        list of float
            One per seed, in %.
        """
        return [record.scores[score] for record in self.of(network)]


def row_names(recipe: ClimateRecipe) -> list[tuple[str, str]]:
    """Name and unit of every row of the results, of maps with the published classes.

    Parameters
    ----------
    recipe
        With its networks and what is measured of them.

    Returns
    -------
    list of (str, str)
    """
    return [(name, unit) for name, unit, _, _ in _rows(recipe, None)]


def result_rows(recipe: ClimateRecipe, measured: ClimateMeasured) -> list[ResultRow]:
    """The measures of every network over the seeds.

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


def result_notes(recipe: ClimateRecipe, measured: ClimateMeasured) -> list[str]:
    """What a reader of the rows has to know of the maps and of the scores.

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
    notes = [
        f"{train:,} maps for training, {validation:,} for validation and {test:,} for the test; "
        f"scored on the {recipe.data.scored_on} maps. Accuracy is the share of the vertices of a "
        "class that are found; AP is average precision over all vertices, its mean that of the "
        "events."
    ]
    uncertainty = max(record.uncertainty for record in measured.records.values())
    if uncertainty:
        notes.append(
            f"average precisions are of counts in bins: the exact ones are within {uncertainty:.2g}"
            " % of them"
        )
    return [*notes, *measured.notes]


def _rows(recipe: ClimateRecipe, measured: ClimateMeasured | None) -> Iterator[_Row]:
    """All rows, their values empty where nothing is measured yet."""
    class_names = CLASS_NAMES if measured is None else measured.class_names
    for network in recipe.networks:
        records = [] if measured is None else measured.of(network)
        seconds = sum(of.seconds_training + of.seconds_scoring for of in records)
        for index, score in enumerate(score_names(class_names)):
            values = [record.scores[score] for record in records]
            yield f"{network.name}, {score}", "%", values, seconds if index == 0 else 0.0
        counts = [float(record.num_parameters) for record in records[:1]]
        yield f"{network.name}, parameters", "", counts, 0.0
    yield from _comparison_rows(recipe, measured)
    if recipe.costs is not None:
        yield from _cost_rows(recipe, None if measured is None else measured.costs)


def _comparison_rows(recipe: ClimateRecipe, measured: ClimateMeasured | None) -> Iterator[_Row]:
    """How far a network is ahead of another, seed by seed."""
    networks = {network.name: network for network in recipe.networks}
    for comparison in recipe.comparisons:
        for score in (MEAN_PRECISION, MEAN_ACCURACY):
            ahead: list[float] = []
            if measured is not None:
                first, second = (
                    measured.scores(networks[name], score)
                    for name in (comparison.network, comparison.rival)
                )
                ahead = [a - b for a, b in zip(first, second, strict=True)]
            yield f"{comparison.network} less {comparison.rival}, {score}", "%", ahead, 0.0


def _cost_rows(recipe: ClimateRecipe, costs: TableCosts | None) -> Iterator[_Row]:
    """Times and memory."""
    for network in recipe.networks:
        of = None if costs is None else costs.networks[network.name]
        for work in works_of(recipe.costs):
            yield f"{network.name}, {work}", "ms", [] if of is None else [of.median(work)], 0.0
        megabytes = [] if of is None else [of.step_megabytes]
        yield f"{network.name}, memory of a training step", "MB", megabytes, 0.0
