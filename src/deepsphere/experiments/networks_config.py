"""What recipes say of the networks of a table: their graphs, their training, their costs."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field

from deepsphere.experiments.config import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Section,
    WeightsName,
    check_names_differ,
    tuple_of_list,
)


class NetworkGraph(Section):
    """The graphs of a network on a pyramid.

    Parameters
    ----------
    weights, num_neighbors, laplacian, disconnected
        As in `deepsphere.build_pyramid`, which chooses what is not given. ``"allow"`` takes
        samplings in several pieces, as masks leave them.
    num_levels
        Samplings of the pyramid, each coarser than the one before.
    """

    weights: WeightsName = "optimal"
    num_neighbors: Count | None = None
    laplacian: Literal["combinatorial", "normalized"] | None = None
    disconnected: Literal["raise", "allow"] | None = None
    num_levels: Count = 6


class NetworkTraining(Section):
    """How a network is trained; experiments add their own numbers.

    Parameters
    ----------
    epochs, batch_size
        Passes over the training data, and signals a step.
    most_epochs
        No network is trained longer, whatever its own values say; no bound where it is not given.
    learning_rate, weight_decay, schedule, step_epochs, step_factor
        As in `deepsphere.training.Optimization`.
    optimizer, epsilon, momentum, smoothing
        As in `deepsphere.training.Optimization`.
    num_threads
        Threads of the CPU; torch's own choice where it is not given.
    """

    epochs: Count = 20
    most_epochs: Count | None = None
    batch_size: Count = 32
    learning_rate: Positive = 5e-3
    weight_decay: NotNegative = 1e-2
    schedule: Literal["one_cycle", "cosine", "constant", "step"] = "one_cycle"
    optimizer: Literal["adamw", "sgd", "rmsprop"] = "adamw"
    epsilon: Positive = 1e-8
    momentum: Fraction = 0.9
    smoothing: Fraction = 0.99
    step_epochs: Count = 10
    step_factor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    num_threads: Count | None = None


AnyTraining = TypeVar("AnyTraining", bound=NetworkTraining)


class NamedNetwork(Section):
    """One row of a table of networks; experiments add what else is to be said of it.

    Parameters
    ----------
    name
        As it is printed.
    graph
        Of a network on graphs.
    config
        Keyword arguments of the model beside its channels in and out.
    training
        Values that differ from those of ``[training]``.
    """

    name: Annotated[str, Field(min_length=1)]
    graph: NetworkGraph | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name as a part of a file name.

        Examples
        --------
        >>> NamedNetwork(name="Cohen et al., b = 64").slug
        'cohen-et-al.-b-64'
        """
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")


AnyNetwork = TypeVar("AnyNetwork", bound=NamedNetwork)


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


class Comparison(Section):
    """Two rows of the table whose errors are compared.

    Parameters
    ----------
    network
        Name of a network.
    rival
        Name of another one, or of an answer without a network.
    """

    network: str
    rival: str

    def check(self, networks: Sequence[str], others: Sequence[str]) -> None:
        """Raise unless both are rows of the table.

        Parameters
        ----------
        networks
            Names of all networks.
        others
            Names of the rows without one.

        Raises
        ------
        ValueError
            If one is not.
        """
        if self.network not in networks:
            raise ValueError(f"comparisons must be of {', '.join(networks)}, got {self.network!r}")
        known = [*networks, *others]
        if self.rival not in known:
            raise ValueError(f"comparisons must be with {', '.join(known)}, got {self.rival!r}")


def check_networks_differ(networks: Sequence[NamedNetwork]) -> None:
    """Raise unless names, and the folders that are named after them, are all different.

    Parameters
    ----------
    networks
        Of a recipe.

    Raises
    ------
    ValueError
        If one occurs twice.
    """
    check_names_differ("networks", (network.name for network in networks))
    check_names_differ("networks", (network.slug for network in networks))


def find_network(networks: Sequence[AnyNetwork], name: str) -> AnyNetwork:
    """The network of that name.

    Parameters
    ----------
    networks
        Of a recipe.
    name
        As it is printed, or its slug.

    Returns
    -------
    NamedNetwork

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> find_network([NamedNetwork(name="A B")], "a-b").name
    'A B'
    """
    for network in networks:
        if name in (network.name, network.slug):
            return network
    known = ", ".join(repr(network.slug) for network in networks)
    raise ValueError(f"network must be one of {known}, got {name!r}")


def without_epochs(network: AnyNetwork) -> AnyNetwork:
    """A network that is trained for as many epochs as the others, for whom a user says how many.

    Parameters
    ----------
    network
        Whose own training may say otherwise.

    Returns
    -------
    NamedNetwork
        Of the kind of `network`.

    Examples
    --------
    >>> network = NamedNetwork(name="fast", training={"epochs": 50, "batch_size": 8})
    >>> without_epochs(network).training
    {'batch_size': 8}
    """
    own = {name: value for name, value in network.training.items() if name != "epochs"}
    return network.model_copy(update={"training": own})


def training_with(common: AnyTraining, network: NamedNetwork) -> AnyTraining:
    """How a network is trained: the common values with its own.

    Parameters
    ----------
    common
        The values of ``[training]``.
    network
        With its own.

    Returns
    -------
    NetworkTraining
        Of the kind of `common`.

    Examples
    --------
    >>> network = NamedNetwork(name="fast", training={"epochs": 50})
    >>> training_with(NetworkTraining(most_epochs=30), network).epochs
    30
    """
    training = type(common).model_validate({**common.model_dump(), **network.training})
    epochs = min(training.epochs, training.most_epochs or training.epochs)
    return training.model_copy(update={"epochs": epochs})
