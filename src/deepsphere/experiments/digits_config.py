"""The recipe of the digits experiment: every number of it, checked before anything runs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepsphere.experiments.config import (
    Count,
    Fraction,
    GraphSection,
    NotNegative,
    Pooling,
    Positive,
    Readout,
    Recipe,
    Section,
    Seed,
    Seeds,
    Widths,
)


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
    latitude_padding: Literal["zeros", "reflect", "pole"] = "zeros"
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


class DigitsRecipe(Recipe):
    """Everything that the spherical digits experiment needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    seeds
        One complete run of the experiment for each; the printed numbers are their means.
    data, graph, model, rival, training
        The parts above, and the graph on which DeepSphere works.

    Examples
    --------
    >>> DigitsRecipe(experiment="digits", title="a trial").model.kernel_size
    8
    """

    experiment: Literal["digits"]
    seeds: Seeds = (0,)
    data: DataSection = DataSection()
    graph: GraphSection = GraphSection()
    model: ModelSection = ModelSection()
    rival: RivalSection = RivalSection()
    training: TrainingSection = TrainingSection()

    @model_validator(mode="after")
    def _name_seeds_once(self) -> "DigitsRecipe":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ, got {list(self.seeds)}; name each one once")
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
