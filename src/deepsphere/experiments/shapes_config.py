"""The recipe of the shapes experiment: the data, the networks of the table, their training."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    Fraction,
    KnownSampling,
    NotNegative,
    Positive,
    Recipe,
    Section,
    Seed,
    Seeds,
    WeightsName,
    check_names_differ,
    tuple_of_list,
)

Perturbation = Literal["none", "translation", "z", "so3"]
Protocol = Literal["x/x", "z/z", "so3/so3", "z/so3", "so3/x"]
ModelName = Literal["fcn", "cnn2d", "cohen", "esteves", "cube_cnn", "ugscnn"]

_PERTURBATIONS: dict[str, Perturbation] = {"x": "translation", "z": "z", "so3": "so3"}


def perturbations_of(protocol: Protocol) -> tuple[Perturbation, Perturbation]:
    """How shapes are moved in training and in the test, by the two halves of a protocol.

    Parameters
    ----------
    protocol
        Trained under / tested under: no rotations (x), about the vertical axis (z), or all (so3).

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> perturbations_of("z/so3")
    ('z', 'so3')
    """
    train, test = protocol.split("/")
    return _PERTURBATIONS[train], _PERTURBATIONS[test]


class ShapesData(Section):
    """Which shapes, how they are split and moved, and how often each is seen.

    Parameters
    ----------
    validation_fraction, test_fraction
        Parts of each class, where the data have no official split.
    num_per_class
        At most so many shapes of a class, split into the same parts; all where it is not given.
    split_seed
        Of the split and of the rotations and translations. It is the same for every training
        seed, so that all networks are compared on the same signals.
    num_views
        Random rotations and translations of each training shape, drawn once and cached.
    test_views
        Those of each test shape. Probabilities are averaged over them for retrieval.
    max_translation
        Largest random translation, in units of the radius of the shape.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test shapes.
    """

    validation_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.3
    num_per_class: Count | None = None
    split_seed: Seed = 0
    num_views: Count = 8
    test_views: Count = 2
    max_translation: NotNegative = 0.1
    scored_on: Literal["test", "validation"] = "test"


class ShapesTraining(Section):
    """How a network is trained.

    Parameters
    ----------
    epochs, batch_size
        Passes over the training shapes, and signals a step.
    most_epochs
        No network is trained longer, whatever its own values say; no bound where it is not given.
    views_per_epoch
        Views of each shape in one epoch; the epochs take turns over all of them.
    learning_rate, weight_decay, schedule, optimizer, epsilon, momentum, step_epochs, step_factor
        As in `deepsphere.training.Optimization`.
    triplet_weight, margin
        Of the triplet loss on the descriptor; no triplets where the weight is 0.
    num_threads
        Threads of the CPU; torch's own choice where it is not given.
    """

    epochs: Count = 20
    most_epochs: Count | None = None
    batch_size: Count = 32
    views_per_epoch: Count = 1
    learning_rate: Positive = 5e-3
    weight_decay: NotNegative = 1e-2
    schedule: Literal["one_cycle", "cosine", "constant", "step"] = "one_cycle"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    epsilon: Positive = 1e-8
    momentum: Fraction = 0.9
    step_epochs: Count = 10
    step_factor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    triplet_weight: NotNegative = 0.0
    margin: Positive = 1.0
    num_threads: Count | None = None


class NetworkGraph(Section):
    """The graphs of a network on a pyramid.

    Parameters
    ----------
    weights, num_neighbors, laplacian
        As in `deepsphere.build_pyramid`, which chooses what is not given.
    num_levels
        Samplings of the pyramid, each coarser than the one before.
    """

    weights: WeightsName = "optimal"
    num_neighbors: Count | None = None
    laplacian: Literal["combinatorial", "normalized"] | None = None
    num_levels: Count = 6


class NetworkSection(Section):
    """One row of the table.

    Parameters
    ----------
    name
        As it is printed.
    model
        Which network, by its name in `deepsphere.models.MODELS`.
    sampling
        Where the shapes are sampled, e.g. ``"healpix:32"``.
    graph
        Of an ``"fcn"``.
    config
        Keyword arguments of the model beside its channels in and out.
    training
        Values that differ from those of ``[training]``.
    protocols
        Under which it is trained and tested. None at all: it is timed and weighed, not trained.
    """

    name: Annotated[str, Field(min_length=1)]
    model: ModelName = "fcn"
    sampling: KnownSampling = "healpix:32"
    graph: NetworkGraph | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    protocols: Annotated[tuple[Protocol, ...], BeforeValidator(tuple_of_list)] = ("so3/so3",)

    @property
    def slug(self) -> str:
        """The name as a part of a file name.

        Examples
        --------
        >>> NetworkSection(name="Cohen et al., b = 64", model="cohen").slug
        'cohen-et-al.-b-64'
        """
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")

    @model_validator(mode="after")
    def _give_graphs_to_graph_networks(self) -> "NetworkSection":
        if self.graph is not None and self.model != "fcn":
            raise ValueError(
                f"graph must be left out for {self.model}, which has none; got {self.graph}"
            )
        check_names_differ("protocols", self.protocols)
        return self


class CostsSection(Section):
    """How time and memory of the networks are measured.

    Parameters
    ----------
    batch_sizes
        Of inference; the last one is also that of the training step.
    min_repeats, seconds
        Each network has at least so many turns, and more until the time is over.
    num_threads
        Threads of the CPU; torch's own choice where it is not given.
    beside
        Names of the networks with whose times those of the rivals are compared; the first network
        where none is given.
    """

    batch_sizes: Annotated[tuple[Count, ...], BeforeValidator(tuple_of_list)] = (1, 32)
    min_repeats: Count = 3
    seconds: NotNegative = 20.0
    num_threads: Count | None = None
    beside: Annotated[tuple[str, ...], BeforeValidator(tuple_of_list)] = ()


class ShapesRecipe(Recipe):
    """Everything that the experiment on 3D shapes needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One training of each network for each; the printed numbers are their means.
    data, training, networks, costs
        The parts above.
    reference
        What else a reader should know of the published numbers: rows of the published table, by
        name, each with numbers by column.
    reference_source
        Where these numbers stand.

    Examples
    --------
    >>> network = NetworkSection(name="DeepSphere", graph=NetworkGraph(num_neighbors=8))
    >>> recipe = ShapesRecipe(experiment="shapes", title="a trial", networks=(network,))
    >>> recipe.training_of(network).epochs
    20
    """

    experiment: Literal["shapes"]
    seeds: Seeds = (0,)
    data: ShapesData = ShapesData()
    training: ShapesTraining = ShapesTraining()
    networks: Annotated[
        tuple[NetworkSection, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    costs: CostsSection | None = None
    reference: dict[str, dict[str, float | str]] = Field(default_factory=dict)
    reference_source: str = ""

    @model_validator(mode="after")
    def _name_networks_once(self) -> "ShapesRecipe":
        check_names_differ("networks", (network.name for network in self.networks))
        # folders are named after them
        check_names_differ("networks", (network.slug for network in self.networks))
        check_names_differ("seeds", map(str, self.seeds))
        for network in self.networks:
            self.training_of(network)
        for name in self.costs.beside if self.costs is not None else ():
            self.network(name)
        return self

    def network(self, name: str) -> NetworkSection:
        """The network of that name.

        Parameters
        ----------
        name
            As it is printed, or its `slug`.

        Returns
        -------
        NetworkSection

        Raises
        ------
        ValueError
            If there is none.
        """
        for network in self.networks:
            if name in (network.name, network.slug):
                return network
        known = ", ".join(repr(network.slug) for network in self.networks)
        raise ValueError(f"network must be one of {known}, got {name!r}")

    def training_of(self, network: NetworkSection) -> ShapesTraining:
        """How a network is trained: the common values with its own.

        Parameters
        ----------
        network
            One of the recipe.

        Returns
        -------
        ShapesTraining
        """
        values = {**self.training.model_dump(), **network.training}
        training = ShapesTraining.model_validate(values)
        epochs = min(training.epochs, training.most_epochs or training.epochs)
        return training.model_copy(update={"epochs": epochs})
