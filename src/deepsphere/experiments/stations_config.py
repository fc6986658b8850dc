"""The recipe of the stations experiment: the records, what is learned, the rows of the table."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    Fraction,
    Recipe,
    Section,
    Seed,
    Seeds,
    check_names_differ,
    tuple_of_list,
)
from deepsphere.experiments.networks_config import (
    Comparison,
    NamedNetwork,
    NetworkGraph,
    NetworkTraining,
    check_networks_differ,
    training_with,
)

ObjectiveKind = Literal["next_day", "same_day", "day_of_year", "imputation"]
BaselineName = Literal[
    "persistence",
    "climatology",
    "ridge",
    "anomaly ridge",
    "linear",
    "nearest",
    "inverse distance",
    "kriging",
    "kriging with lapse rate",
    "kriging with drift",
    "graph",
]
FeatureName = Literal[
    "x",
    "y",
    "z",
    "sin_lat",
    "cos_lat",
    "sin_lon",
    "cos_lon",
    "elevation",
    "sin_year",
    "cos_year",
    "climatology",
    "observed",
    "departure",
    "residual",
    "spread",
    "distance",
    "elevation_difference",
]
ReferenceName = Literal["none", "last", "interpolated", "kriging"]
FillingName = Literal["masked", "interpolated", "usual"]
TEMPERATURE = "temperature"
"""In a recipe, that temperature which a file has."""

BASELINES: dict[ObjectiveKind, tuple[BaselineName, ...]] = {
    "next_day": ("persistence", "climatology", "ridge", "anomaly ridge"),
    "same_day": ("climatology", "ridge"),
    "day_of_year": ("linear",),
    "imputation": (
        "nearest",
        "inverse distance",
        "kriging",
        "kriging with lapse rate",
        "kriging with drift",
        "graph",
    ),
}
"""Answers without a network, with which the networks are compared, by what is learned."""


def _one_or_more(value: object) -> object:
    """One name, or an array of them, as a tuple."""
    return (value,) if isinstance(value, str) else tuple_of_list(value)


_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], BeforeValidator(tuple_of_list)]
_SomeNames = Annotated[tuple[_Name, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]
_Date = Annotated[str, Field(min_length=4)]


class SimulatedSection(Section):
    """The stations that are simulated where no file is named.

    Parameters
    ----------
    num_stations, num_days, start, missing, outliers, seed
        As of `deepsphere.data.simulated_stations.SimulatedStationsPlan`.
    """

    num_stations: Annotated[int, Field(ge=8)] = 200
    num_days: Count = 1461
    start: _Date = "2010-01-01"
    missing: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = 0.05
    outliers: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1e-5
    seed: Seed = 0


class RecordsSection(Section):
    """Which records are learned from, and which are scored.

    Parameters
    ----------
    start, stop
        Times from the one to before the other; all if not given.
    most_days, most_stations
        At most so many: the last days, and stations drawn at random.
    temperature
        The variable that ``"temperature"`` means in the objectives; ``"auto"``: the daily mean
        where the file has it, else the maximum, else the minimum.
    rule
        Which stations: ``"all"`` that ever report, those with ``"complete"`` records, or those that
        report often enough with their gaps ``"filled"`` by interpolation on the graph of the first
        network.
    min_fraction
        Share of the days that a station has to report, for ``"filled"``.
    validation_start, test_start
        First time of each part; by the fractions where not given.
    validation_fraction, test_fraction
        Parts of the times, at the end. Of the validation it may be 0: what is scored then begins
        where what is learned from ends.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test times. What is scored on is never learned from.
    hidden_fraction, hidden_seed
        Share of the stations that no imputation learns from, and which of them.
    targets
        ``"true"``, or ``"shuffled"``: every variable is permuted over the days and stations of
        each part, so that nothing is left to be learned. Whoever does better than chance then has
        seen what is to be told.
    """

    start: _Date | None = None
    stop: _Date | None = None
    most_days: Count | None = None
    most_stations: Count | None = None
    temperature: _Name = "auto"
    rule: Literal["all", "complete", "filled"] = "all"
    min_fraction: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.75
    validation_start: _Date | None = None
    test_start: _Date | None = None
    validation_fraction: Fraction = 0.15
    test_fraction: _Share = 0.15
    scored_on: Literal["test", "validation"] = "test"
    hidden_fraction: _Share = 0.2
    hidden_seed: Seed = 0
    targets: Literal["true", "shuffled"] = "true"

    @model_validator(mode="after")
    def _have_what_is_scored(self) -> "RecordsSection":
        has_validation = self.validation_start is not None or self.validation_fraction > 0
        if self.scored_on == "validation" and not has_validation:
            raise ValueError(
                "scored_on must be 'test' without a validation, got 'validation'; set a "
                "validation_fraction"
            )
        return self


class StationTraining(NetworkTraining):
    """How a network is trained on stations.

    Parameters
    ----------
    batch_size
        Days in a batch.
    least_steps
        Few days are seen in so many epochs more that there are that many steps at least.
    loss
        ``"l2"`` or ``"l1"``.
    features, reference, filling
        What a network sees beside the values, what it learns the difference from, and what it sees
        of a silent station, see `deepsphere.training.station_preparation.StationPreparation`;
        what is usual for the objective where they are not given.
    masked_fraction
        Of imputation: between which shares of the stations are hidden in a sample of the training.
    corrections
        What a network adds to its reference: ``"learned"``, or ``"shrunken"`` afterwards to the
        share of it that is right on the validation, see
        `deepsphere.training.station_shrinkage.shrink_correction`.
    """

    epochs: Count = 10
    batch_size: Count = 32
    least_steps: Count = 1
    loss: Literal["l2", "l1"] = "l2"
    features: Annotated[tuple[FeatureName, ...], BeforeValidator(tuple_of_list)] | None = None
    reference: ReferenceName | None = None
    filling: FillingName | None = None
    masked_fraction: Annotated[tuple[_Share, _Share], BeforeValidator(tuple_of_list)] = (0.2, 0.2)

    corrections: Literal["learned", "shrunken"] = "learned"

    @model_validator(mode="after")
    def _name_features_once(self) -> "StationTraining":
        check_names_differ("features", self.features or ())
        return self


class ObjectiveSection(Section):
    """One thing to learn.

    Parameters
    ----------
    name
        As it is printed.
    kind
        ``"next_day"`` from the days before, ``"same_day"``: one variable from others,
        ``"day_of_year"`` from all stations of a day, or ``"imputation"`` of hidden stations.
    inputs, targets
        Variables; targets are the inputs where none is given. ``"temperature"`` is that of the
        file.
    history
        Days that are seen before the next.
    variables
        Of ``"next_day"``: several ``"together"`` as channels of one sample, or each as a
        ``"separate"`` sample.
    optional
        Whether a file without these variables, or of too few days, is run without this objective;
        an error otherwise.
    graph
        That of all networks for this objective, in place of their own.
    config
        Keyword arguments of all networks, where they have none of their own.
    training
        Values that differ from those of ``[training]``.
    """

    name: _Name
    kind: ObjectiveKind
    inputs: _SomeNames = (TEMPERATURE,)
    targets: _Names = ()
    history: Count = 5
    variables: Literal["together", "separate"] = "together"
    optional: bool = True
    graph: NetworkGraph | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fit_the_kind(self) -> "ObjectiveSection":
        check_names_differ("inputs", self.inputs)
        check_names_differ("targets", self.targets)
        if self.kind == "same_day" and (not self.targets or set(self.targets) & set(self.inputs)):
            raise ValueError(
                "targets must be other variables than the inputs for same_day, got "
                f"{list(self.targets)} from {list(self.inputs)}"
            )
        if self.kind == "day_of_year" and self.targets:
            raise ValueError(
                f"targets must be left out for day_of_year, got {list(self.targets)}: the day is "
                "told"
            )
        return self

    @property
    def slug(self) -> str:
        """The name as a part of a file name."""
        return NamedNetwork(name=self.name).slug

    def is_called(self, name: str) -> bool:
        """Whether a name is its name, as it is printed or in a file name, or its kind."""
        return name in (self.name, self.slug, self.kind)

    @property
    def all_names(self) -> tuple[str, ...]:
        """All variables that it is about, each once."""
        return tuple(dict.fromkeys((*self.inputs, *self.targets)))


class StationNetwork(NamedNetwork):
    """A network of the table, which learns every objective.

    Parameters
    ----------
    config
        Keyword arguments of `deepsphere.training.station_data.StationData.network`, as
        ``kernel_size``.
    """

    @model_validator(mode="after")
    def _have_a_graph(self) -> "StationNetwork":
        if self.graph is None:
            raise ValueError("graph must be given, got none; add one, as { num_neighbors = 5 }")
        return self


class StationsRecipe(Recipe):
    """Everything that the stations experiment needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One training of each network for each; the printed numbers are their means.
    simulation
        The stations, where no file is named by ``--data``.
    needs_data
        Where to find the file that ``--data`` has to name; empty where stations are simulated.
    only
        Names, or kinds, of the objectives that are run; all where none is given.
    data, training, objectives, networks, comparisons
        The parts above.
    reference
        Published numbers by column, by system.
    reference_source
        Where they stand, and what they can be compared with.

    Examples
    --------
    >>> network = StationNetwork(name="P = 4", graph={"num_neighbors": 5})
    >>> objective = ObjectiveSection(name="day", kind="next_day", training={"epochs": 3})
    >>> recipe = StationsRecipe(
    ...     experiment="stations", title="a trial", objectives=(objective,), networks=(network,)
    ... )
    >>> recipe.of(objective).training_of(network).epochs
    3
    """

    experiment: Literal["stations"]
    seeds: Seeds = (0,)
    simulation: SimulatedSection = SimulatedSection()
    needs_data: str = ""
    only: Annotated[tuple[_Name, ...], BeforeValidator(_one_or_more)] = ()
    data: RecordsSection = RecordsSection()
    training: StationTraining = StationTraining()
    objectives: Annotated[
        tuple[ObjectiveSection, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    networks: Annotated[
        tuple[StationNetwork, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    comparisons: Annotated[tuple[Comparison, ...], BeforeValidator(tuple_of_list)] = ()
    reference: dict[str, dict[str, float | str]] = Field(default_factory=dict)
    reference_source: str = ""

    @model_validator(mode="after")
    def _name_everything_once(self) -> "StationsRecipe":
        check_networks_differ(self.networks)
        names = [network.name for network in self.networks]
        known = list(dict.fromkeys(name for of in BASELINES.values() for name in of))
        check_names_differ("networks and answers without one", [*names, *known])
        check_names_differ("objectives", (objective.slug for objective in self.objectives))
        check_names_differ("seeds", map(str, self.seeds))
        for name in self.only:
            if not any(objective.is_called(name) for objective in self.objectives):
                known = ", ".join(repr(objective.slug) for objective in self.objectives)
                raise ValueError(f"only must be some of {known}, got {name!r}")
        for objective in self.objectives:
            for network in self.networks:
                self.of(objective).training_of(network)
        for comparison in self.comparisons:
            comparison.check(names, known)
        return self

    @property
    def chosen(self) -> tuple[ObjectiveSection, ...]:
        """The objectives that are run."""
        if not self.only:
            return self.objectives
        return tuple(of for of in self.objectives if any(map(of.is_called, self.only)))

    def of(self, objective: ObjectiveSection) -> "StationsRecipe":
        """The recipe for one objective alone, its values of the training the common ones.

        Parameters
        ----------
        objective
            One of the recipe.

        Returns
        -------
        StationsRecipe
        """
        own = {**self.training.model_dump(), **objective.training}
        training = StationTraining.model_validate(own)
        return self.model_copy(update={"training": training, "objectives": (objective,)})

    def training_of(self, network: StationNetwork) -> StationTraining:
        """How a network is trained: the common values with its own.

        Parameters
        ----------
        network
            One of the recipe.

        Returns
        -------
        StationTraining
        """
        return training_with(self.training, network)
