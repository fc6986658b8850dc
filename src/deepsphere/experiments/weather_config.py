"""The recipe of the weather experiment: the fields, what is forecast, the rows of the table."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    KnownSampling,
    Positive,
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
    NetworkTraining,
    check_networks_differ,
    training_with,
)

ModelName = Literal["weather_unet", "dense_regressor", "unet"]
BaselineName = Literal["climatology", "persistence", "anomaly persistence", "damped persistence"]
PositionName = Literal["sin_lat", "cos_lat", "sin_lon", "cos_lon"]
CalendarName = Literal[
    "sin_year", "cos_year", "sin_local_time", "cos_local_time", "insolation", "daily_insolation"
]
ScoredPart = Literal["validation", "test"]

BASELINES: tuple[BaselineName, ...] = (
    "climatology",
    "persistence",
    "anomaly persistence",
    "damped persistence",
)
"""Forecasts without a network, with which all networks are compared."""


def _increasing(numbers: tuple[float | int, ...]) -> tuple[float | int, ...]:
    """The numbers, if each is larger than the one before."""
    if any(after <= before for before, after in pairwise(numbers)):
        raise ValueError(f"must increase, got {list(numbers)}")
    return numbers


_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Name, ...], BeforeValidator(tuple_of_list)]
_Date = Annotated[str, Field(min_length=4)]
_Lag = Annotated[int, Field(le=0)]
_Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
_Lags = Annotated[
    tuple[_Lag, ...],
    BeforeValidator(tuple_of_list),
    Field(min_length=1),
    AfterValidator(_increasing),
]
_Leads = Annotated[
    tuple[Count, ...],
    BeforeValidator(tuple_of_list),
    Field(min_length=1),
    AfterValidator(_increasing),
]
_Band = Annotated[
    tuple[_Latitude, _Latitude], BeforeValidator(tuple_of_list), AfterValidator(_increasing)
]


class WeatherSection(Section):
    """The weather that is simulated where no file is named.

    Parameters
    ----------
    sampling
        Where, e.g. ``"healpix:16"``.
    num_times, step_hours
        How many fields, and the time between them.
    max_degree, wind_deg, planetary_deg, memory, num_channels, land_fraction, seed
        As of `deepsphere.data.simulated_weather.WeatherPlan`.
    """

    sampling: KnownSampling = "healpix:8"
    num_times: Count = 1200
    step_hours: Count = 6
    max_degree: Count = 10
    wind_deg: Annotated[float, Field(allow_inf_nan=False)] = 15.0
    planetary_deg: Annotated[float, Field(allow_inf_nan=False)] = 30.0
    memory: Positive = 20.0
    num_channels: Literal[1, 2] = 2
    land_fraction: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    seed: Seed = 0


class FieldsSection(Section):
    """Which fields are learned from, and which are scored.

    Parameters
    ----------
    variables
        Of the file that are forecast; all on the grid and in the course of time if none is given.
    channel_dims
        Dimensions of the file whose places become channels, as ``["level"]``.
    channels
        Which of the channels are forecast, as ``["z_500", "t_850"]``; all if none is given.
    static, boundary
        Variables of the file that stay the same, and those that are known in advance.
    positions, calendar
        Computed fields that a network sees beside: where a vertex is, and the time of the year.
    vertices
        ``"all"``, or ``"observed"``: those at which no training time is without a value, as the sea
        is of a sea-surface temperature. The graphs are then of these vertices alone.
    start, stop
        Of the file, times from the one to before the other; all if not given.
    forecast
        What networks see and forecast: ``"fields"`` as they are, or ``"anomalies"``, from the
        climatology of the times that are learned from.
    climatology
        Means of these times by ``"month"``, by ``"day"`` of the year (and hour), or one ``"mean"``
        of all where they cover less than a year.
    smoothing_days
        Of a climatology of days: means over so many days before and after.
    validation_start, test_start
        First time of each part; by the fractions where not given.
    validation_fraction, test_fraction
        Parts of the times, at the end.
    learned_until
        ``"validation"``, or ``"test"``: the validation part is learned from too, once all has been
        chosen.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test times. What is scored on is never learned from.
    leads
        Steps ahead that have rows in the results; curves are of all steps up to the last one.
    bands_deg
        Bands of latitude that are scored apart, by name: southern and northern border.
    """

    variables: _Names = ()
    channel_dims: _Names = ()
    channels: _Names = ()
    static: _Names = ()
    boundary: _Names = ()
    positions: Annotated[tuple[PositionName, ...], BeforeValidator(tuple_of_list)] = (
        "sin_lat",
        "cos_lat",
    )
    calendar: Annotated[tuple[CalendarName, ...], BeforeValidator(tuple_of_list)] = ()
    vertices: Literal["all", "observed"] = "all"
    start: _Date | None = None
    stop: _Date | None = None
    forecast: Literal["fields", "anomalies"] = "fields"
    climatology: Literal["month", "day", "mean"] = "month"
    smoothing_days: Annotated[int, Field(ge=0, le=182)] = 0
    validation_start: _Date | None = None
    test_start: _Date | None = None
    validation_fraction: _Share = 0.15
    test_fraction: _Share = 0.15
    learned_until: ScoredPart = "validation"
    scored_on: ScoredPart = "test"
    leads: _Leads = (1, 4, 12)
    bands_deg: dict[_Name, _Band] = Field(
        default_factory=lambda: {
            "north of 20°N": (20.0, 90.0),
            "tropics": (-20.0, 20.0),
            "south of 20°S": (-90.0, -20.0),
        }
    )

    @model_validator(mode="after")
    def _name_fields_once(self) -> "FieldsSection":
        check_names_differ("positions", self.positions)
        check_names_differ("calendar", self.calendar)
        if self.boundary and self.calendar:
            raise ValueError(
                "calendar must be left out beside boundary fields of a file, got both: a forecast "
                "takes its boundary fields from one place; write the calendar into the file"
            )
        return self


class WeatherTraining(NetworkTraining):
    """How a network is trained to forecast.

    Parameters
    ----------
    batch_size
        Windows in a batch.
    input_lags
        Times that it sees, in steps up to the start: ``[-2, -1, 0]``.
    num_iterations
        Steps that are forecast in training, each from those before.
    gradient
        ``"through"`` the iterations, or ``"detached"``; see `deepsphere.tasks.Forecasting`.
    loss
        ``"l2"`` or ``"l1"``.
    initial_iterations
        Iterations at the beginning; one more whenever the validation has stopped improving.
        None: all from the first epoch.
    iteration_patience
        Epochs without improvement before one is added.
    num_workers
        Processes that read windows of fields that are too large to be kept in memory; of no other
        effect.
    """

    epochs: Count = 10
    batch_size: Count = 8
    input_lags: _Lags = (-2, -1, 0)
    num_iterations: Count = 1
    gradient: Literal["through", "detached"] = "through"
    loss: Literal["l2", "l1"] = "l2"
    initial_iterations: Count | None = None
    iteration_patience: Count = 3
    num_workers: Annotated[int, Field(ge=0)] = 0


class WeatherNetwork(NamedNetwork):
    """A network of the table.

    Parameters
    ----------
    model
        ``"weather_unet"``, ``"dense_regressor"`` or ``"unet"``.
    """

    model: ModelName = "weather_unet"

    @model_validator(mode="after")
    def _have_a_graph(self) -> "WeatherNetwork":
        if self.graph is None:
            raise ValueError("graph must be given, got none; add one, as { num_levels = 3 }")
        return self


class WeatherRecipe(Recipe):
    """Everything that the weather experiment needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One training of each network for each; the printed numbers are their means.
    simulation
        The weather, where no file is named by ``--data``.
    needs_data
        Where to find the file that ``--data`` has to name; empty where weather is simulated.
    data, training, networks, comparisons
        The parts above.

    Examples
    --------
    >>> network = WeatherNetwork(name="U-Net", graph={"num_levels": 2})
    >>> recipe = WeatherRecipe(experiment="weather", title="a trial", networks=(network,))
    >>> recipe.training_of(network).input_lags
    (-2, -1, 0)
    """

    experiment: Literal["weather"]
    seeds: Seeds = (0,)
    simulation: WeatherSection = WeatherSection()
    needs_data: str = ""
    data: FieldsSection = FieldsSection()
    training: WeatherTraining = WeatherTraining()
    networks: Annotated[
        tuple[WeatherNetwork, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    comparisons: Annotated[tuple[Comparison, ...], BeforeValidator(tuple_of_list)] = ()

    @model_validator(mode="after")
    def _name_everything_once(self) -> "WeatherRecipe":
        check_networks_differ(self.networks)
        names = [network.name for network in self.networks]
        check_names_differ("networks and forecasts without one", [*names, *BASELINES])
        check_names_differ("seeds", map(str, self.seeds))
        for network in self.networks:
            training = self.training_of(network)
            if training.initial_iterations is not None and self.learned_until != "validation":
                raise ValueError(
                    "initial_iterations must be left out where the validation part is learned "
                    f"from, got {training.initial_iterations}: nothing is left to decide when "
                    "one is added; set data.learned_until = 'validation'"
                )
        for comparison in self.comparisons:
            comparison.check(names, BASELINES)
        return self

    @property
    def learned_until(self) -> ScoredPart:
        """The part that is not learned from any more: what is scored on never is."""
        return "validation" if self.data.scored_on == "validation" else self.data.learned_until

    def training_of(self, network: WeatherNetwork) -> WeatherTraining:
        """How a network is trained: the common values with its own.

        Parameters
        ----------
        network
            One of the recipe.

        Returns
        -------
        WeatherTraining
        """
        return training_with(self.training, network)
