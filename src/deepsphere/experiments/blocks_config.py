"""The recipe of the experiment on blocks: what is compared, and on which two tasks."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    GraphSection,
    Pooling,
    Readout,
    Recipe,
    Section,
    Seeds,
    WeightsName,
    Widths,
    tuple_of_list,
)
from deepsphere.experiments.digits_config import (
    DataSection,
    DigitsRecipe,
    ModelSection,
    TrainingSection,
)

Unpooling = Literal["copy", "area", "adjoint", "zeros"]

_Part = TypeVar("_Part", bound=Section)

_GRAPH_KEYS = ("weights", "num_neighbors")


class Block(Section):
    """One network of the comparison, by what it does unlike the tables that all of them share.

    Parameters
    ----------
    name
        As it is printed.
    num_neighbors, weights
        Instead of those of ``[graph]``.
    channels, kernel_size, activation, pooling
        Instead of those of the network of its task.
    """

    name: Annotated[str, Field(min_length=1)]
    num_neighbors: Count | None = None
    weights: WeightsName | None = None
    channels: Widths | None = None
    kernel_size: Count | None = None
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "none"] | None = None
    pooling: Pooling | None = None

    @property
    def slug(self) -> str:
        """The name as a part of a file name.

        Examples
        --------
        >>> Block(name="Low-pass, k = 20").slug
        'low-pass-k-20'
        """
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")

    def changes(self, *, of_graph: bool) -> dict[str, Any]:
        """What is given, either for the graph or for the network.

        Parameters
        ----------
        of_graph
            Which of the two.

        Returns
        -------
        dict
        """
        given = self.model_dump(exclude={"name"}, exclude_none=True)
        return {key: value for key, value in given.items() if (key in _GRAPH_KEYS) == of_graph}


class ClassifierBlock(Block):
    """A block of the classifier of digits.

    Parameters
    ----------
    readout, last_upsampled
        Instead of those of ``[model]``.
    """

    readout: Readout | None = None
    last_upsampled: bool | None = None


class UNetBlock(Block):
    """A block of the U-Net of the maps.

    Parameters
    ----------
    unpooling
        Instead of that of ``[unet]``.
    """

    unpooling: Unpooling | None = None


class UNetSection(Section):
    """The network of the dense task: arguments of `deepsphere.models.UNet`.

    Parameters
    ----------
    channels, stem_channels, kernel_size, pooling, unpooling, activation
        See there.
    """

    channels: Widths = (16, 32, 64)
    stem_channels: Count = 8
    kernel_size: Count = 5
    pooling: Pooling = "low_pass"
    unpooling: Unpooling = "copy"
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "none"] = "relu"


class MapsSection(Section):
    """The dense task: the squared gradient of random band-limited fields.

    Parameters
    ----------
    max_degree
        Largest harmonic degree of the fields.
    zonal_share
        Largest order over degree, |m| / l: the smaller, the more the fields that are learned from
        are drawn out along the circles of latitude. Rotated ones are not.
    num_train, num_scored
        Number of fields.
    seed
        Of the fields and of the rotations; fields are scored that no network has learned from, and
        every network is scored on the same ones.
    """

    max_degree: Count = 6
    zonal_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1 / 3
    num_train: Count = 256
    num_scored: Count = 48
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0


class MapsTraining(TrainingSection):
    """How the U-Nets are trained, see `TrainingSection`."""

    epochs: Count = 20
    batch_size: Count = 8

    @model_validator(mode="after")
    def _take_the_last_epoch(self) -> "MapsTraining":
        if self.early_stopping is not None:
            raise ValueError(
                f"early_stopping must be left out, got {self.early_stopping}; the maps have no "
                "validation set"
            )
        return self


class BlocksRecipe(Recipe):
    """Everything that the experiment on blocks needs to know.

    Parameters
    ----------
    experiment
        Which experiment reads this recipe.
    seeds
        Every block is trained once for each.
    graph
        Of both tasks, where a block does not say otherwise.
    data, model, training
        Of the digits, as in the recipe of that experiment; trained without rotations.
    blocks
        The classifiers to compare; those of one kernel_size with each other.
    maps, unet, maps_training
        Of the dense task.
    unet_blocks
        The U-Nets to compare; none leaves the dense task out.

    Examples
    --------
    >>> recipe = BlocksRecipe(experiment="blocks", title="a trial", blocks=[{"name": "plain"}])
    >>> recipe.digits_recipe(recipe.blocks[0]).model.pooling
    'low_pass'
    """

    experiment: Literal["blocks"]
    seeds: Seeds = (0,)
    graph: GraphSection = GraphSection()
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    training: TrainingSection = TrainingSection()
    blocks: Annotated[
        tuple[ClassifierBlock, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ]
    maps: MapsSection = MapsSection()
    unet: UNetSection = UNetSection()
    maps_training: MapsTraining = MapsTraining()
    unet_blocks: Annotated[tuple[UNetBlock, ...], BeforeValidator(tuple_of_list)] = ()

    @model_validator(mode="after")
    def _name_things_once(self) -> "BlocksRecipe":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}; name each one once")
        for blocks in (self.blocks, self.unet_blocks):
            slugs = [block.slug for block in blocks]
            twice = [
                block.name for block in blocks if slugs.count(block.slug) > 1 or not block.slug
            ]
            if twice:
                raise ValueError(
                    "blocks must differ in the letters and numbers of their names, got "
                    f"{twice[0]!r}; give it another name"
                )
        return self

    @model_validator(mode="after")
    def _be_complete(self) -> "BlocksRecipe":
        for block in self.blocks:
            self.digits_recipe(block)
        return self

    def digits_recipe(self, block: ClassifierBlock) -> DigitsRecipe:
        """The recipe of the digits experiment that trains this block.

        Parameters
        ----------
        block
            One of `blocks`.

        Returns
        -------
        DigitsRecipe
        """
        return DigitsRecipe(
            experiment="digits",
            title=block.name,
            seeds=self.seeds,
            data=self.data,
            graph=self.graph_of(block),
            model=_changed(self.model, block.changes(of_graph=False)),
            training=self.training,
        )

    def graph_of(self, block: Block) -> GraphSection:
        """The sampling and the graph of a block.

        Parameters
        ----------
        block
            One of `blocks` or of `unet_blocks`.

        Returns
        -------
        GraphSection
        """
        return _changed(self.graph, block.changes(of_graph=True))

    def unet_of(self, block: UNetBlock) -> UNetSection:
        """The network of a block of the dense task.

        Parameters
        ----------
        block
            One of `unet_blocks`.

        Returns
        -------
        UNetSection
        """
        return _changed(self.unet, block.changes(of_graph=False))

    def fingerprint(self) -> str:
        """A short hash of what all runs share: blocks may be added without losing finished ones.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        shared = self.model_copy(update={"blocks": (), "unet_blocks": ()})
        return super(BlocksRecipe, shared).fingerprint()


def _changed(section: _Part, changes: dict[str, Any]) -> _Part:
    """A section with other values, checked again."""
    return type(section).model_validate({**section.model_dump(), **changes})
