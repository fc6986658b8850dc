"""The recipe of the shapes experiment: the data, the networks of the table, their training."""

from typing import Annotated, Literal

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
    check_names_differ,
    tuple_of_list,
)
from deepsphere.experiments.networks_config import (
    CostsSection,
    NamedNetwork,
    NetworkTraining,
    check_networks_differ,
    find_network,
    training_with,
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


class ShapesTraining(NetworkTraining):
    """How a network is trained on shapes.

    Parameters
    ----------
    views_per_epoch
        Views of each shape in one epoch; the epochs take turns over all of them.
    triplet_weight, margin
        Of the triplet loss on the descriptor; no triplets where the weight is 0.
    """

    views_per_epoch: Count = 1
    triplet_weight: NotNegative = 0.0
    margin: Positive = 1.0


class NetworkSection(NamedNetwork):
    """One row of the table.

    Parameters
    ----------
    model
        Which network, by its name in `deepsphere.models.MODELS`; an ``"fcn"`` has a graph.
    sampling
        Where the shapes are sampled, e.g. ``"healpix:32"``.
    protocols
        Under which it is trained and tested. None at all: it is timed and weighed, not trained.
    """

    model: ModelName = "fcn"
    sampling: KnownSampling = "healpix:32"
    protocols: Annotated[tuple[Protocol, ...], BeforeValidator(tuple_of_list)] = ("so3/so3",)

    @model_validator(mode="after")
    def _give_graphs_to_graph_networks(self) -> "NetworkSection":
        if self.graph is not None and self.model != "fcn":
            raise ValueError(
                f"graph must be left out for {self.model}, which has none; got {self.graph}"
            )
        check_names_differ("protocols", self.protocols)
        return self


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
    >>> network = NetworkSection(name="DeepSphere", sampling="healpix:16")
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
        check_networks_differ(self.networks)
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
        return find_network(self.networks, name)

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
        return training_with(self.training, network)
