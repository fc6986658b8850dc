"""The recipe of the cosmology experiment: the maps, the rows of the table, their training."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    NotNegative,
    Positive,
    Recipe,
    Section,
    Seed,
    Seeds,
    check_names_differ,
    tuple_of_list,
)
from deepsphere.experiments.networks_config import (
    CostsSection,
    NamedNetwork,
    NetworkTraining,
    check_networks_differ,
    training_with,
)

Target = Literal["class", "parameters"]
ModelName = Literal["fcn", "cnn", "planar_cnn"]
Feature = Literal["spectrum", "histogram"]


def _power_of_two(number: int) -> int:
    """The number, if patches or maps can be of this order or resolution."""
    if number & (number - 1):
        raise ValueError(f"must be a power of two, got {number}")
    return number


PowerOfTwo = Annotated[int, Field(ge=1), AfterValidator(_power_of_two)]
Order = Annotated[int, Field(ge=0), AfterValidator(_power_of_two)]
"""0 for whole maps, or a power of two: the patches are the 12 order² equal parts of the sphere."""

_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
_Pair = Annotated[tuple[Positive, Positive], BeforeValidator(tuple_of_list)]
_Noises = Annotated[tuple[NotNegative, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]
_Orders = Annotated[tuple[Order, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]


class SimulationSection(Section):
    """The maps that are simulated where no others are named.

    Parameters
    ----------
    nside, num_maps
        Resolution, and maps of each cosmology.
    cosmologies
        Pairs of matter density Ω_m and fluctuation amplitude σ_8, the classes. Of no effect where
        a prior is given.
    prior
        Ranges of Ω_m and σ_8 from which as many cosmologies are drawn as `num_cosmologies` says.
    num_cosmologies
        Of the prior.
    spectra
        ``"common"``: all maps have one power spectrum, the mean of those of the cosmologies, so
        that only what is not Gaussian tells them apart. ``"own"``: each has that of its cosmology.
    redshifts
        Of the source planes, one channel for each.
    scale
        ``"zoom"``: the spectrum is rescaled so that a pixel keeps the statistics that it has at
        nside 1024, which is no physical sky. ``"physical"``: as it is.
    contrast
        R: the ratio of the shifts of the two lognormal fields, whose geometric mean stays. The
        physical ratio where it is not given.
    shifts
        Of the lognormal fields, one for each cosmology, instead of the physical ones and of any
        contrast.
    beam_arcmin
        Standard deviation of the beam.
    seed
        Of the maps.
    """

    nside: PowerOfTwo = 128
    num_maps: Count = 100
    cosmologies: Annotated[tuple[_Pair, ...], BeforeValidator(tuple_of_list)] = (
        (0.31, 0.82),
        (0.26, 0.91),
    )
    prior: Annotated[tuple[_Pair, _Pair], BeforeValidator(tuple_of_list)] | None = None
    num_cosmologies: Count = 64
    spectra: Literal["common", "own"] = "common"
    redshifts: Annotated[tuple[Positive, ...], BeforeValidator(tuple_of_list)] = (1.0,)
    scale: Literal["physical", "zoom"] = "zoom"
    contrast: Positive | None = None
    shifts: Annotated[tuple[Positive, ...], BeforeValidator(tuple_of_list)] | None = None
    beam_arcmin: NotNegative = 3.0
    seed: Seed = 0


class MapsData(Section):
    """How maps are split, cut into patches, and made noisy.

    Parameters
    ----------
    target
        ``"class"``: which of the cosmologies a map is of. ``"parameters"``: Ω_m and σ_8.
    orders
        Orders of the patches, each a column of its own of the results; 0 for whole maps.
    mask
        A file of the pixels that were surveyed: zeros and ones, or weights of which those above
        one half count. Maps are then taken whole (``orders = [0]``), and may be anything outside.
    noises
        Standard deviations of the white noise that is added to the pixels, relative to that of the
        noiseless training maps; each a column of its own.
    validation_fraction, test_fraction
        Parts of the maps of each class, or, where parameters are learned, of the universes. All
        patches of a map are in one part.
    num_train
        At most so many training maps of a class; all where it is not given.
    split_seed
        Of the split. It is the same for every training seed, so that all are compared on the same
        patches.
    noise_seed
        Of the noise of validation and test maps, which is the same for all trainings.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test maps.
    """

    target: Target = "class"
    orders: _Orders = (1,)
    mask: Annotated[str, Field(min_length=1)] | None = None
    noises: _Noises = (3.5,)
    validation_fraction: _Share = 0.1
    test_fraction: _Share = 0.4
    num_train: Count | None = None
    split_seed: Seed = 0
    noise_seed: Seed = 0
    scored_on: Literal["test", "validation"] = "test"

    @model_validator(mode="after")
    def _take_masked_maps_whole(self) -> "MapsData":
        if self.mask is not None and self.orders != (0,):
            raise ValueError(
                f"orders must be [0] with a mask, got {list(self.orders)}: the parts of a mask in "
                "patches have no common shape; leave out the one or the other"
            )
        return self


class CosmologyTraining(NetworkTraining):
    """How a network is trained on patches.

    Parameters
    ----------
    batch_size
        Patches of order 1 in a batch; at order o there are o² times as many, which cover as much
        of the sky, so that all orders make as many steps.
    noise_warmup_epochs
        Epochs over which the noise grows to its level; 0 for the full noise from the first.
    symmetries
        ``"turns"`` or ``"flips"``: every training patch is moved by a random one of the exact
        rotations, or rotations and reflections, of HEALPix, anew in every epoch. ``"none"``:
        patches are taken as they are.
    loss
        Of parameters: mean squared error, mean absolute error, or the negative logarithm of a
        normal likelihood whose width is learned too.
    """

    batch_size: Count = 16
    noise_warmup_epochs: Annotated[int, Field(ge=0)] = 0
    symmetries: Literal["none", "turns", "flips"] = "none"
    loss: Literal["l2", "l1", "gaussian"] = "l2"


class CosmologyNetwork(NamedNetwork):
    """A network of the table.

    Parameters
    ----------
    model
        ``"fcn"``, ``"cnn"`` (both with a graph), or ``"planar_cnn"``.
    """

    model: ModelName = "fcn"

    @model_validator(mode="after")
    def _give_graphs_to_graph_networks(self) -> "CosmologyNetwork":
        if (self.graph is None) != (self.model == "planar_cnn"):
            remedy = "leave it out" if self.graph is not None else "add one, as { weights = ... }"
            raise ValueError(
                "graph must be given for fcn and cnn, and for no other model, got "
                f"{self.graph} for {self.model}; {remedy}"
            )
        return self


class BaselineSection(Section):
    """A linear classifier, or a ridge regression, of classical statistics of the patches.

    Parameters
    ----------
    name
        As it is printed.
    feature
        ``"spectrum"``: the angular power spectrum. ``"histogram"``: that of the pixels.
    repeats
        How often each training patch is used, every time with other noise.
    num_bins
        Of the histogram.
    most_patches
        Of each part, so many at most are used, those of the first maps: spectra of many small
        patches take long. One map of each class is used at least.
    """

    name: Annotated[str, Field(min_length=1)]
    feature: Feature
    repeats: Count = 2
    num_bins: Count = 100
    most_patches: Count = 6000


class Comparison(Section):
    """Two networks whose scores and costs are compared.

    Parameters
    ----------
    network, rival
        Names of networks or baselines.
    """

    network: str
    rival: str


class CosmologyRecipe(Recipe):
    """Everything that the cosmology experiment needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One training of each network for each; the printed numbers are their means.
    simulation
        The maps, where none are named by ``--data``.
    data, training, networks, baselines, costs, comparisons
        The parts above.
    reference
        Rows of the published table, by name, each with numbers by column.
    reference_source
        Where these numbers stand.

    Examples
    --------
    >>> network = CosmologyNetwork(name="2D", model="planar_cnn")
    >>> recipe = CosmologyRecipe(experiment="cosmology", title="a trial", networks=(network,))
    >>> recipe.training_of(network).batch_size
    16
    """

    experiment: Literal["cosmology"]
    seeds: Seeds = (0,)
    simulation: SimulationSection = SimulationSection()
    data: MapsData = MapsData()
    training: CosmologyTraining = CosmologyTraining()
    networks: Annotated[
        tuple[CosmologyNetwork, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    baselines: Annotated[tuple[BaselineSection, ...], BeforeValidator(tuple_of_list)] = ()
    costs: CostsSection | None = None
    comparisons: Annotated[tuple[Comparison, ...], BeforeValidator(tuple_of_list)] = ()
    reference: dict[str, dict[str, float | str]] = Field(default_factory=dict)
    reference_source: str = ""

    @model_validator(mode="after")
    def _name_everything_once(self) -> "CosmologyRecipe":
        check_networks_differ(self.networks)
        names = [row.name for row in (*self.networks, *self.baselines)]
        check_names_differ("networks and baselines", names)
        check_names_differ("seeds", map(str, self.seeds))
        check_names_differ("data.orders", map(str, self.data.orders))
        check_names_differ("data.noises", map(str, self.data.noises))
        for network in self.networks:
            self.training_of(network)
        for comparison in self.comparisons:
            for name in (comparison.network, comparison.rival):
                if name not in names:
                    raise ValueError(
                        f"comparisons must be between {', '.join(names)}, got {name!r}"
                    )
        return self

    def training_of(self, network: CosmologyNetwork) -> CosmologyTraining:
        """How a network is trained: the common values with its own.

        Parameters
        ----------
        network
            One of the recipe.

        Returns
        -------
        CosmologyTraining
        """
        return training_with(self.training, network)
