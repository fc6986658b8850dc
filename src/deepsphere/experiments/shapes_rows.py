"""The rows of the shapes experiment: scores, costs, and how the networks compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from deepsphere.experiments.network_costs import TableCosts, works_of
from deepsphere.experiments.results import ResultRow, make_row
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    Perturbation,
    Protocol,
    ShapesRecipe,
    perturbations_of,
)
from deepsphere.experiments.shapes_record import ShapesKey, ShapesRecord, ShapesScore


@dataclass(frozen=True)
class ShapesMeasured:
    """What the experiment found out.

    Parameters
    ----------
    records
        Of every training.
    costs
        Of the networks; None where they were not measured.
    notes
        About the data: what was left out.
    """

    records: Mapping[ShapesKey, ShapesRecord]
    costs: TableCosts | None
    notes: tuple[str, ...]

    def of(self, network: NetworkSection, protocol: Protocol) -> list[ShapesScore]:
        """The scores of a network under a protocol.

        Parameters
        ----------
        network, protocol
            One of its own.

        Returns
        -------
        list of ShapesScore
            One per seed, in %.
        """
        train, test = perturbations_of(protocol)
        return [record.scores[test] for record in self.trainings(network, train)]

    def trainings(self, network: NetworkSection, train: Perturbation) -> list[ShapesRecord]:
        """The records of a network whose training shapes were moved in one way.

        Parameters
        ----------
        network, train
            Which network, moved how.

        Returns
        -------
        list of ShapesRecord
            One per seed.
        """
        return [
            record
            for key, record in self.records.items()
            if key.network.name == network.name and key.perturbation == train
        ]


@dataclass(frozen=True)
class ScoreMeasure:
    """One column of scores: what is read off one of them.

    Parameters
    ----------
    name
        As it is printed.
    read
        The number, in %.
    """

    name: str
    read: Callable[[ShapesScore], float]


SCORE_MEASURES = (
    ScoreMeasure("F1", lambda score: score.weighted_f1),
    ScoreMeasure("accuracy", lambda score: score.accuracy),
    ScoreMeasure("mAP", lambda score: score.retrieval["micro"]["mAP"]),
    ScoreMeasure("NDCG", lambda score: score.retrieval["micro"]["NDCG"]),
    ScoreMeasure("P@N", lambda score: score.retrieval["micro"]["P@N"]),
    ScoreMeasure("R@N", lambda score: score.retrieval["micro"]["R@N"]),
    ScoreMeasure("F1@N", lambda score: score.retrieval["micro"]["F1@N"]),
    ScoreMeasure("macro mAP", lambda score: score.retrieval["macro"]["mAP"]),
)
CHANGE = "rotation error of the logits"
DESCRIPTOR_CHANGE = "rotation error of the descriptor"


def result_rows(recipe: ShapesRecipe, measured: ShapesMeasured) -> list[ResultRow]:
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
        Scores in %, rotation errors, times in ms, memory in MB, numbers of parameters; then how
        the networks compare.
    """
    return [
        make_row(name, values, unit=unit, seconds=seconds, claims=recipe.claims)
        for (name, unit), values, seconds in _Rows(recipe, measured).all
    ]


def result_notes(recipe: ShapesRecipe, measured: ShapesMeasured) -> list[str]:
    """What was left out of the data, and what the scores mean.

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
    projections = {
        f"{record.projection[part]} ({part}, {key.network.sampling})": None
        for key, record in measured.records.items()
        for part in record.projection
        if "skipped" in record.projection[part]
    }
    return [*measured.notes, *projections]


class _Rows:
    """The rows of a recipe; values where there are measurements."""

    def __init__(self, recipe: ShapesRecipe, measured: ShapesMeasured) -> None:
        self.recipe = recipe
        self.measured = measured

    @cached_property
    def all(self) -> list[tuple[tuple[str, str], list[float], float]]:
        """Name and unit, one value per seed, seconds of the trainings behind it."""
        values = {**self._scores, **self._costs, **self._comparisons}
        return [
            ((name, unit), values[name], self._seconds.get(name, 0.0))
            for name, unit in row_names(self.recipe)
        ]

    @cached_property
    def _scores(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for network in self.recipe.networks:
            for protocol in network.protocols:
                for measure in SCORE_MEASURES:
                    found[f"{network.name}, {measure.name} {shown(protocol)}"] = [
                        measure.read(score) for score in self.measured.of(network, protocol)
                    ]
            for train in trained_under(network):
                records = self.measured.trainings(network, train)
                for name, read in (
                    (CHANGE, lambda record: record.change),
                    (DESCRIPTOR_CHANGE, lambda record: record.descriptor_change),
                ):
                    found[f"{network.name}, {name} after {train}"] = [*map(read, records)]
        return found

    @cached_property
    def _seconds(self) -> dict[str, float]:
        """Time behind the first row of each protocol."""
        return {
            f"{network.name}, {SCORE_MEASURES[0].name} {shown(protocol)}": sum(
                record.seconds_training + record.seconds_scoring
                for record in self.measured.trainings(network, perturbations_of(protocol)[0])
            )
            for network in self.recipe.networks
            for protocol in network.protocols
        }

    @cached_property
    def _costs(self) -> dict[str, list[float]]:
        if self.measured.costs is None:
            return {}
        found = {}
        for network in self.recipe.networks:
            costs = self.measured.costs.networks[network.name]
            found[f"{network.name}, parameters"] = [float(costs.num_parameters)]
            for work in costs.milliseconds:
                found[f"{network.name}, {work}"] = [costs.median(work)]
            found[f"{network.name}, memory of a training step"] = [costs.step_megabytes]
        return found

    @cached_property
    def _comparisons(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        costs = self.measured.costs
        if costs is not None and self.recipe.costs is not None:
            for rival, own in _compared(self.recipe):
                for work in works_of(self.recipe.costs):
                    theirs = costs.networks[rival.name].median(work)
                    found[_ratio(rival, own, work)] = [
                        theirs / costs.networks[own.name].median(work)
                    ]
        for protocol in _contested(self.recipe):
            best = {
                is_rival: max(
                    self._f1(network, protocol)
                    for network in self.recipe.networks
                    if (network.model != "fcn") == is_rival and protocol in network.protocols
                )
                for is_rival in (False, True)
            }
            found[_ahead(protocol)] = [best[False] - best[True]]
        for network in self.recipe.networks:
            if {"so3/so3", "z/so3"} <= set(network.protocols):
                lost = self._f1(network, "so3/so3") - self._f1(network, "z/so3")
                found[_lost(network)] = [lost]
        return found

    def _f1(self, network: NetworkSection, protocol: Protocol) -> float:
        return fmean(score.weighted_f1 for score in self.measured.of(network, protocol))


def row_names(recipe: ShapesRecipe) -> list[tuple[str, str]]:
    """Name and unit of every row of a recipe.

    Parameters
    ----------
    recipe
        With its networks and what is measured of them.

    Returns
    -------
    list of (str, str)
    """
    names: list[tuple[str, str]] = []
    for network in recipe.networks:
        for protocol in network.protocols:
            names += [
                (f"{network.name}, {measure.name} {shown(protocol)}", "%")
                for measure in SCORE_MEASURES
            ]
        for train in trained_under(network):
            names += [
                (f"{network.name}, {name} after {train}", "")
                for name in (CHANGE, DESCRIPTOR_CHANGE)
            ]
        if recipe.costs is not None:
            names.append((f"{network.name}, parameters", ""))
            names += [(f"{network.name}, {work}", "ms") for work in works_of(recipe.costs)]
            names.append((f"{network.name}, memory of a training step", "MB"))
    names += [
        (_ratio(rival, own, work), "")
        for rival, own in _compared(recipe)
        for work in works_of(recipe.costs)
    ]
    names += [(_ahead(protocol), "%") for protocol in _contested(recipe)]
    names += [
        (_lost(network), "%")
        for network in recipe.networks
        if {"so3/so3", "z/so3"} <= set(network.protocols)
    ]
    return names


def shown(protocol: Protocol) -> str:
    """A protocol as it is printed.

    Parameters
    ----------
    protocol
        As in recipes.

    Returns
    -------
    str

    Examples
    --------
    >>> shown("z/so3")
    'z/SO3'
    """
    return protocol.upper().replace("X", "x").replace("Z", "z")


def _ratio(network: NetworkSection, ours: NetworkSection, work: str) -> str:
    return f"{network.name} over {ours.name}, {work}"


def _contested(recipe: ShapesRecipe) -> list[Protocol]:
    """The protocols of the first network under which there are graph networks and rivals."""
    return [
        protocol
        for protocol in recipe.networks[0].protocols
        if len({n.model == "fcn" for n in recipe.networks if protocol in n.protocols}) > 1
    ]


def _ahead(protocol: Protocol) -> str:
    return f"F1 {shown(protocol)}, best graph network less best rival"


def _lost(network: NetworkSection) -> str:
    return f"{network.name}, F1 SO3/SO3 less z/SO3"


def _compared(recipe: ShapesRecipe) -> list[tuple[NetworkSection, NetworkSection]]:
    """The pairs of a rival and a network whose times are compared."""
    if recipe.costs is None:
        return []
    own = [recipe.network(name) for name in recipe.costs.beside] or [recipe.networks[0]]
    rivals = [network for network in recipe.networks if network.model != "fcn"]
    return [(rival, network) for network in own for rival in rivals if rival.name != network.name]


def trained_under(network: NetworkSection) -> list[Perturbation]:
    """How training shapes are moved for a network, each way once.

    Parameters
    ----------
    network
        With its protocols.

    Returns
    -------
    list of str

    Examples
    --------
    >>> trained_under(NetworkSection(name="one", protocols=("z/z", "z/so3")))
    ['z']
    """
    return list(dict.fromkeys(perturbations_of(protocol)[0] for protocol in network.protocols))
