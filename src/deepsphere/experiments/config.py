"""The typed contents of a recipe: every number of an experiment, checked before anything runs."""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)


def _known_sampling(spec: str) -> str:
    """The specification, if a sampling can be built from it."""
    # help texts list recipes and must not wait for what samplings need
    from deepsphere.sampling import sampling_from_spec

    sampling_from_spec(spec)
    return spec


def _tuple_of_list(value: object) -> object:
    """TOML knows arrays only; frozen sections hold tuples."""
    return tuple(value) if isinstance(value, list) else value


Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Widths = Annotated[tuple[Count, ...], BeforeValidator(_tuple_of_list), Field(min_length=1)]

Pooling = Literal["mean", "area", "max", "low_pass", "gaussian", "subsample"]
Readout = Literal[
    "mean",
    "variance",
    "meanvar",
    "max",
    "logsumexp",
    "histogram",
    "mean_max",
    "mean_logsumexp",
]


class Section(BaseModel):
    """A part of a recipe: frozen, without coercion, and closed to keys that it does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Claim(Section):
    """What a measure has to reach, or what others have published for it.

    A claim is *met* when the measure is at least (``better = "higher"``) or at most
    (``better = "lower"``) the required number, or else the published one less the tolerance. A
    published number without a tolerance is shown beside ours and decides nothing.

    Parameters
    ----------
    name
        Name of the row of results, as the experiment prints it.
    required
        The number to reach, in the unit of the row.
    published, source
        A number that others printed, and where: authors, year, table.
    tolerance
        How far on the wrong side of the number is still accepted, in the unit of the row.
    better
        Which side is the right one.
    """

    name: Annotated[str, Field(min_length=1)]
    required: Annotated[float, Field(allow_inf_nan=False)] | None = None
    published: Annotated[float, Field(allow_inf_nan=False)] | None = None
    source: Annotated[str, Field(min_length=1)] | None = None
    tolerance: NotNegative | None = None
    better: Literal["higher", "lower"] = "higher"

    @model_validator(mode="after")
    def _say_what_and_where(self) -> "Claim":
        if self.required is None and self.published is None:
            raise ValueError("must hold required or published, got neither; add one")
        if (self.published is None) != (self.source is None):
            raise ValueError("must hold published and source together, got one; add the other")
        return self

    def is_met(self, measured: float) -> bool | None:
        """Whether the measure reaches the claim; None where nothing is claimed."""
        number = self.required if self.required is not None else self.published
        if number is None or (self.required is None and self.tolerance is None):
            return None
        slack = self.tolerance or 0.0
        if self.better == "higher":
            return measured >= number - slack
        return measured <= number + slack


class DataSection(Section):
    """Which digits, how they are put on the sphere, and which of them are scored.

    Parameters
    ----------
    source
        ``"digits"`` (1,797 images of 8 × 8 that come with scikit-learn) or ``"mnist"`` (28 × 28,
        from a folder of IDX files).
    num_train, num_test
        Number of images; classes keep their proportions.
    cap_deg
        Angle from the north pole, in degrees, at which the image ends. The stereographic
        projection maps the image into this polar cap.
    fit
        Whether the ``"edges"`` of the image touch the end of the cap from inside, or its
        ``"corners"``.
    test_rotations
        Random rotations per scored image.
    split_seed
        Seed of the choice of images and of the rotations of the scored images. It is the same
        for every training seed, so that they are compared on the same images.
    validation_fraction
        Part of the training images that is set aside, drawn anew for each training seed; for
        early stopping, and to score on.
    scored_on
        ``"test"``, or ``"validation"``: to choose the other values of a recipe without looking at
        the test images.
    """

    source: Literal["digits", "mnist"] = "digits"
    num_train: Count = 1257
    num_test: Count = 540
    cap_deg: Annotated[float, Field(gt=0, lt=180, allow_inf_nan=False)] = 90.0
    fit: Literal["edges", "corners"] = "edges"
    test_rotations: Count = 3
    split_seed: Seed = 0
    validation_fraction: Fraction = 0.0
    scored_on: Literal["test", "validation"] = "test"


class GraphSection(Section):
    """The sampling and the graph on which DeepSphere works.

    Parameters
    ----------
    sampling
        A sampling in the short form, e.g. ``"healpix:8"``; ``deepsphere list`` shows them.
    num_neighbors, weights, kernel_width
        As in `deepsphere.build_graph`, which chooses what is not given.
    """

    sampling: Annotated[str, Field(min_length=1), AfterValidator(_known_sampling)] = "healpix:8"
    num_neighbors: Count | None = None
    weights: Literal[
        "gaussian", "inverse_distance", "perraudin", "perraudin_unweighted", "cotangent"
    ] = "gaussian"
    kernel_width: Positive | None = None


class ModelSection(Section):
    """The DeepSphere classifier: the arguments of `deepsphere.models.FCN`.

    Parameters
    ----------
    channels
        Features after each convolution; the sphere is coarsened between two of them.
    kernel_size
        Number of polynomial coefficients of a filter; its reach in edges is one less.
    pooling
        How the sphere is coarsened.
    readout
        How the last map becomes features, without regard to the place.
    conv, normalization, activation, dropout
        The block.
    last_upsampled
        Whether the last activation is evaluated at twice the resolution.
    """

    channels: Widths = (16, 32, 64)
    kernel_size: Count = 8
    pooling: Pooling = "low_pass"
    readout: Readout = "mean_logsumexp"
    conv: Literal["chebyshev", "monomial", "bernstein"] = "chebyshev"
    normalization: Literal["batch", "layer", "group", "none"] = "batch"
    activation: Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "none"] = "relu"
    dropout: Fraction = 0.0
    last_upsampled: bool = False


class RivalSection(Section):
    """The 2D CNN on the latitude-longitude image: the arguments of `deepsphere.models.CNN2d`.

    Parameters
    ----------
    nlat, nlon
        Rows and columns of its image of the sphere.
    channels, kernel_size, pooling, latitude_padding, readout, dropout
        Its blocks; the image is periodic in longitude.
    """

    nlat: Count = 24
    nlon: Count = 48
    channels: Widths = (16, 32, 56)
    kernel_size: Count = 3
    pooling: Literal["mean", "max"] = "mean"
    latitude_padding: Literal["zeros", "reflect"] = "zeros"
    readout: Readout = "mean_logsumexp"
    dropout: Fraction = 0.0


class TrainingSection(Section):
    """How both networks are trained.

    Parameters
    ----------
    epochs, batch_size
        Passes over the training images, and images a step.
    learning_rate, weight_decay
        Peak of the step of AdamW, and its decay of the weights.
    schedule
        ``"one_cycle"``: up to the peak and down to nothing, once; ``"cosine"``: down from the
        peak; ``"constant"``.
    early_stopping
        Epochs without a smaller validation loss after which the training ends.
    num_threads
        Threads of the CPU among which torch divides one operation, in training and in scoring;
        its own choice where this is not given. Small networks gain little from a second thread,
        and lose much where another program wants the same core.
    """

    epochs: Count = 20
    batch_size: Count = 32
    learning_rate: Positive = 5e-3
    weight_decay: NotNegative = 1e-2
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    early_stopping: Count | None = None
    num_threads: Count | None = None


class DigitsRecipe(Section):
    """Everything that the spherical digits experiment needs to know.

    Parameters
    ----------
    experiment
        Which experiment reads this recipe.
    title
        One line for people.
    seeds
        One complete run of the experiment for each; the printed numbers are their means.
    data, graph, model, rival, training
        The parts above.
    claims
        What the results are compared with.

    Examples
    --------
    >>> DigitsRecipe(experiment="digits", title="a trial").model.kernel_size
    8
    """

    experiment: Literal["digits"]
    title: Annotated[str, Field(min_length=1)]
    seeds: Annotated[tuple[Seed, ...], BeforeValidator(_tuple_of_list), Field(min_length=1)] = (0,)
    data: DataSection = DataSection()
    graph: GraphSection = GraphSection()
    model: ModelSection = ModelSection()
    rival: RivalSection = RivalSection()
    training: TrainingSection = TrainingSection()
    claims: Annotated[tuple[Claim, ...], BeforeValidator(_tuple_of_list)] = ()

    @model_validator(mode="after")
    def _name_things_once(self) -> "DigitsRecipe":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}; name each one once")
        names = [claim.name for claim in self.claims]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"claims must differ in name, got {twice[0]!r} twice; remove one")
        return self

    @model_validator(mode="after")
    def _set_images_aside(self) -> "DigitsRecipe":
        is_needed = self.data.scored_on == "validation" or self.training.early_stopping is not None
        if is_needed and self.data.validation_fraction == 0:
            raise ValueError(
                "data.validation_fraction must be positive for early stopping and to score on "
                f"validation images, got {self.data.validation_fraction}; e.g. 0.2"
            )
        return self

    def fingerprint(self) -> str:
        """A short hash of all that decides what one run does: not the seeds, title or claims.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        decisive = self.model_dump(mode="json", exclude={"title", "seeds", "claims"})
        text = json.dumps(decisive, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


RECIPE_TYPES: dict[str, type[DigitsRecipe]] = {"digits": DigitsRecipe}
"""The type of recipe of each experiment."""
