"""The recipe of the climate experiment: the maps, the rows of the table, their training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    KnownSampling,
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

ModelName = Literal["unet", "climate_unet", "dense_regressor", "recurrent_unet"]
FramesName = Literal["single", "stacked", "sequence"]
_Frequency = Annotated[float, Field(ge=0, le=0.05, allow_inf_nan=False)]


class EventSection(Section):
    """The maps that are simulated where no others are named.

    Parameters
    ----------
    sampling
        Where, e.g. ``"icosahedral:32"``.
    num_train, num_validation, num_test
        Maps of each part.
    frequencies
        Shares of the sphere that are tropical cyclones and atmospheric rivers.
    steps_per_run, step_hours
        Consecutive maps of one weather, and the time between them. All maps of a run are in one
        part.
    seed
        Of the maps.
    """

    sampling: KnownSampling = "icosahedral:32"
    num_train: Count = 2000
    num_validation: Count = 200
    num_test: Count = 400
    frequencies: Annotated[tuple[_Frequency, _Frequency], BeforeValidator(tuple_of_list)] = (
        0.001,
        0.022,
    )
    steps_per_run: Count = 4
    step_hours: Count = 3
    seed: Seed = 0


class WindowsSection(Section):
    """How maps are read and scaled, what networks that look at several see, and what is scored.

    Parameters
    ----------
    sampling
        Another sampling, to whose cells maps in full resolution are averaged when they are read,
        e.g. ``"equiangular:192x288"``; that of the files where it is not given. Of no effect on
        others.
    scaling
        Channels are scaled by mean and standard deviation: ``"measured"`` on the training maps, or
        those that are ``"published"`` for the original ones.
    num_frames
        Consecutive maps of a window, the last of which is segmented: what networks see that stack
        them or take sequences. Others see the last one, so that all learn and are scored on the
        same maps.
    shift
        So many steps after the last frame are the labels: 0 segments, more forecasts.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test maps.
    most_exact_vertices
        Average precisions are exact for up to so many labelled vertices, which are then all in
        memory; beyond, they are of counts, and the record holds their bounds.
    """

    sampling: KnownSampling | None = None
    scaling: Literal["measured", "published"] = "measured"
    num_frames: Count = 1
    shift: Annotated[int, Field(ge=0)] = 0
    scored_on: Literal["test", "validation"] = "test"
    most_exact_vertices: Count = 30_000_000


class ClimateTraining(NetworkTraining):
    """How a network is trained on maps.

    Parameters
    ----------
    class_weights
        ``"none"``; ``"published"``: those of the published data set; ``"balanced"``: by which all
        classes of the training maps weigh the same.
    averaging
        What the weighted cross-entropy is divided by: the number of ``"vertices"``, or their
        ``"weights"``; see `deepsphere.tasks.Segmentation`.
    area_weighted
        Whether vertices weigh by their areas, in the loss and the metrics of the epochs.
    symmetries
        ``"turns"`` or ``"flips"``: every training map is moved by a random one of the rotations, or
        rotations and reflections, about the axis of the Earth that the sampling has, anew in every
        epoch. ``"none"``: maps are taken as they are.
    """

    class_weights: Literal["none", "published", "balanced"] = "none"
    averaging: Literal["vertices", "weights"] = "vertices"
    area_weighted: bool = False
    symmetries: Literal["none", "turns", "flips"] = "none"


class ClimateNetwork(NamedNetwork):
    """A network of the table.

    Parameters
    ----------
    model
        ``"unet"``, ``"climate_unet"``, ``"recurrent_unet"``, or ``"dense_regressor"``, which with
        kernel_size 1 sees each vertex alone.
    frames
        ``"single"``: the last frame; ``"stacked"``: all of them as channels; ``"sequence"``: one
        after the other.
    """

    model: ModelName = "unet"
    frames: FramesName = "single"

    @model_validator(mode="after")
    def _have_a_graph_and_its_frames(self) -> "ClimateNetwork":
        if self.graph is None:
            raise ValueError("graph must be given, got none; add one, as { num_levels = 4 }")
        if (self.frames == "sequence") != (self.model == "recurrent_unet"):
            raise ValueError(
                "frames must be 'sequence' for recurrent_unet and for no other model, got "
                f"{self.frames!r} for {self.model}"
            )
        return self


class Comparison(Section):
    """Two networks whose scores are compared.

    Parameters
    ----------
    network, rival
        Their names.
    """

    network: str
    rival: str


class ClimateRecipe(Recipe):
    """Everything that the climate experiment needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One training of each network for each; the printed numbers are their means.
    simulation
        The maps, where none are named by ``--data``.
    needs_data
        Whether the recipe is about maps that ``--data`` has to name.
    data, training, networks, costs, comparisons
        The parts above.
    reference
        Rows of the published table, by name, each with numbers by column.
    reference_source
        Where these numbers stand.

    Examples
    --------
    >>> network = ClimateNetwork(name="U-Net", graph={"num_levels": 4})
    >>> recipe = ClimateRecipe(experiment="climate", title="a trial", networks=(network,))
    >>> recipe.training_of(network).class_weights
    'none'
    """

    experiment: Literal["climate"]
    seeds: Seeds = (0,)
    simulation: EventSection = EventSection()
    needs_data: bool = False
    data: WindowsSection = WindowsSection()
    training: ClimateTraining = ClimateTraining()
    networks: Annotated[
        tuple[ClimateNetwork, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    costs: CostsSection | None = None
    comparisons: Annotated[tuple[Comparison, ...], BeforeValidator(tuple_of_list)] = ()
    reference: dict[str, dict[str, float | str]] = Field(default_factory=dict)
    reference_source: str = ""

    @model_validator(mode="after")
    def _name_everything_once(self) -> "ClimateRecipe":
        check_networks_differ(self.networks)
        check_names_differ("seeds", map(str, self.seeds))
        for network in self.networks:
            self.training_of(network)
            if network.frames != "single" and self.data.num_frames == 1:
                raise ValueError(
                    f"data.num_frames must be 2 or more for {network.name!r}, which sees several "
                    "frames, got 1; set it, e.g. to 3"
                )
        names = [network.name for network in self.networks]
        for comparison in self.comparisons:
            for name in (comparison.network, comparison.rival):
                if name not in names:
                    raise ValueError(
                        f"comparisons must be between {', '.join(names)}, got {name!r}"
                    )
        return self

    def training_of(self, network: ClimateNetwork) -> ClimateTraining:
        """How a network is trained: the common values with its own.

        Parameters
        ----------
        network
            One of the recipe.

        Returns
        -------
        ClimateTraining
        """
        return training_with(self.training, network)

    def on_maps_of(self, data: Path | None) -> "ClimateRecipe":
        """The recipe of a training on these maps, which says whether it needs them.

        Checkpoints hold it: whoever scores a network that learned from a folder has to name one.

        Parameters
        ----------
        data
            Where the maps lie; None where they are simulated.

        Returns
        -------
        ClimateRecipe
        """
        return self if data is None else self.model_copy(update={"needs_data": True})
