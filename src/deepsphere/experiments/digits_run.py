"""One run of the digits experiment: one network, trained once and scored on two sets."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import lightning
import numpy as np
from lightning.fabric.utilities.exceptions import MisconfigurationException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from deepsphere.data import (
    Digits,
    ImageSplit,
    load_digits,
    load_mnist,
    stratified_choice,
    write_atomically,
)
from deepsphere.experiments.config import DataSection, DigitsRecipe
from deepsphere.experiments.options import RunOptions
from deepsphere.graph import build_graph
from deepsphere.graph.coarsening import Pyramid
from deepsphere.models import FCN, CNN2d, num_parameters
from deepsphere.sampling import Equiangular, Sampling, sampling_from_spec
from deepsphere.tasks import Classification
from deepsphere.training import (
    ClassifierScores,
    FitResult,
    Metadata,
    Optimization,
    SphereModule,
    SphericalImages,
    evaluate_classifier,
    fit,
    read_spec,
    save,
    seeded,
)
from deepsphere.training.quiet import quiet_lightning

NetworkName = Literal["deepsphere", "cnn2d"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)
TITLES: dict[NetworkName, str] = {"deepsphere": "DeepSphere", "cnn2d": "2D CNN"}

MODEL_FILE = "model.ckpt"
RECORD_FILE = "run.json"
_LAST_FILE = "last.ckpt"

_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class RunKey:
    """Which of the runs of an experiment.

    Parameters
    ----------
    seed
        Of the first weights, the order of the images and their rotations.
    network
        Who learns.
    rotated
        Whether the training images are rotated: R, otherwise NR.

    Examples
    --------
    >>> key = RunKey(0, "cnn2d", rotated=False)
    >>> key.title, key.folder
    ('2D CNN NR, seed 0', 'seed0-cnn2d-nr')
    """

    seed: int
    network: NetworkName
    rotated: bool

    @property
    def protocol(self) -> str:
        """The first half of the name of a protocol, R or NR."""
        return "R" if self.rotated else "NR"

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{TITLES[self.network]} {self.protocol}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of the folder of the run."""
        return f"seed{self.seed}-{self.network}-{self.protocol.lower()}"


class Score(BaseModel):
    """How a network did on one set of images.

    Parameters
    ----------
    accuracy
        Share of right answers, %.
    confusion
        Counts; rows are the true classes, columns the predicted ones.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    accuracy: Annotated[float, Field(ge=0, le=100)]
    confusion: list[list[int]]


class RunRecord(BaseModel):
    """What one run found out.

    Parameters
    ----------
    fingerprint
        Of the recipe and the data that it belongs to.
    num_parameters
        Numbers that the network learned.
    seconds_training, seconds_scoring
        Wall time.
    history
        Metrics by epoch.
    unrotated, rotated
        Scores on the images as they are (NR), and on the rotated ones (R).
    change
        Mean of |logits(Rx) - logits(x)| / |logits(x)| over images and rotations.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    fingerprint: str
    num_parameters: Annotated[int, Field(ge=1)]
    seconds_training: _NotNegative
    seconds_scoring: _NotNegative
    history: list[dict[str, float | int]]
    unrotated: Score
    rotated: Score
    change: _NotNegative

    def write(self, path: Path) -> None:
        """Write the record as JSON, complete or not at all.

        Parameters
        ----------
        path
            Where to; an older file is replaced.
        """
        with write_atomically(path, overwrite=True) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_record(path: Path, fingerprint: str) -> RunRecord | None:
    """The record in a file, or None where there is no complete one of this recipe and data.

    Parameters
    ----------
    path
        Written by `RunRecord.write`.
    fingerprint
        That it has to have.

    Returns
    -------
    RunRecord or None
    """
    try:
        record = RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.fingerprint == fingerprint else None


def load_images(section: DataSection, folder: Path | None) -> Digits:
    """The images of a recipe.

    Parameters
    ----------
    section
        Which ones.
    folder
        Of the MNIST files; for that source only.

    Returns
    -------
    Digits

    Raises
    ------
    ValueError
        If there is no folder where one is needed or one where none is, or there are fewer images
        than asked for.
    FileNotFoundError
        If the folder does not hold the files.

    Examples
    --------
    >>> len(load_images(DataSection(num_train=100, num_test=50), None).train)
    100
    """
    numbers = {"num_train": section.num_train, "num_test": section.num_test}
    if section.source == "mnist":
        if folder is None:
            raise ValueError(
                "data must be a folder with the four MNIST files, got none; pass --data DIR"
            )
        return load_mnist(folder, seed=section.split_seed, **numbers)
    if folder is not None:
        raise ValueError(
            f"data must be left out for the digits of scikit-learn, got {folder}; "
            "take the recipe mnist to use it"
        )
    whole = load_digits(seed=section.split_seed)
    parts = [
        _part(split, num, name=name, seed=section.split_seed)
        for split, (name, num) in zip((whole.train, whole.test), numbers.items(), strict=True)
    ]
    return Digits(*parts, whole.name)


def _part(split: ImageSplit, num: int, *, name: str, seed: int) -> ImageSplit:
    """So many images of a split, in the proportions of their classes."""
    if num > len(split):
        raise ValueError(
            f"data.{name} must be at most {len(split)}, the images that there are, got {num}"
        )
    return split.take(stratified_choice(split.labels, num, seed=seed))


def digest_of_images(digits: Digits) -> str:
    """A short hash of all images and labels.

    Parameters
    ----------
    digits
        The data.

    Returns
    -------
    str
        Sixteen hexadecimal digits.
    """
    digest = hashlib.sha256()
    for split in (digits.train, digits.test):
        for array in (split.images, split.labels):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def build_domain(recipe: DigitsRecipe, network: NetworkName) -> Pyramid | Equiangular:
    """Where a network lives: the graphs of its levels, or its grid.

    Parameters
    ----------
    recipe
        The numbers.
    network
        Which one.

    Returns
    -------
    Pyramid or Equiangular
    """
    if network == "cnn2d":
        return Equiangular(nlat=recipe.rival.nlat, nlon=recipe.rival.nlon)
    options: dict[str, Any] = recipe.graph.model_dump(exclude={"sampling"}, exclude_none=True)
    graph = build_graph(sampling_from_spec(recipe.graph.sampling), **options)
    return graph.pyramid(num_levels=len(recipe.model.channels))


def build_network(
    recipe: DigitsRecipe, domain: Pyramid | Equiangular, *, num_classes: int
) -> FCN | CNN2d:
    """The network of a recipe that lives there, with fresh weights.

    Parameters
    ----------
    recipe
        Its numbers.
    domain
        See `build_domain`.
    num_classes
        Outputs.

    Returns
    -------
    FCN or CNN2d
        Maps signals (batch, vertices, 1) to logits (batch, classes).

    Examples
    --------
    >>> recipe = DigitsRecipe(experiment="digits", title="a trial")
    >>> grid = build_domain(recipe, "cnn2d")
    >>> type(build_network(recipe, grid, num_classes=10)).__name__
    'CNN2d'
    """
    if isinstance(domain, Equiangular):
        config = recipe.rival.model_dump(exclude={"nlat", "nlon"})
        return CNN2d(domain, in_channels=1, out_channels=num_classes, **config)
    return FCN(domain, in_channels=1, out_channels=num_classes, **recipe.model.model_dump())


def sampling_of(model: nn.Module) -> Sampling:
    """Where a network of this experiment wants its signals.

    Parameters
    ----------
    model
        An `FCN` or a `CNN2d`.

    Returns
    -------
    Sampling
    """
    pyramid = getattr(model, "pyramid", None)
    return model.sampling if pyramid is None else pyramid.graphs[0].sampling  # pyright: ignore


def check_machine(options: RunOptions) -> None:
    """Raise unless this machine can compute as the options say.

    To be called before anything is removed or begun.

    Parameters
    ----------
    options
        What a user asked for.

    Raises
    ------
    ValueError
        If there is no such accelerator, or not as many devices.
    """
    try:
        with quiet_lightning():
            lightning.Trainer(
                accelerator=options.accelerator,
                devices=options.devices_for_lightning,
                precision=options.precision,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except (MisconfigurationException, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        raise ValueError(
            "accelerator, devices and precision must be those of this machine, got "
            f"{options.accelerator}, {options.devices} and {options.precision}: {reason}; "
            "deepsphere doctor shows what there is"
        ) from error


def train_network(
    recipe: DigitsRecipe,
    key: RunKey,
    digits: Digits,
    *,
    domain: Pyramid | Equiangular,
    folder: Path,
    options: RunOptions,
    resume: Path | None = None,
    callbacks: Sequence[lightning.Callback] = (),
) -> tuple[FitResult, SphericalImages]:
    """A network, trained by a recipe and written to ``folder/model.ckpt``, and its images.

    Parameters
    ----------
    recipe
        How it is trained.
    key
        Which network, and under which half of a protocol.
    digits
        What it learns from.
    domain
        Where it lives, see `build_domain`.
    folder
        For checkpoints and logs; those of an earlier training are replaced.
    options
        How this machine computes.
    resume
        A checkpoint of the same training to go on from.
    callbacks
        More of Lightning's.

    Returns
    -------
    result : FitResult
    images : SphericalImages
        With the validation images that were set aside.
    """
    with seeded(key.seed):
        model = build_network(recipe, domain, num_classes=len(digits.classes))
    training = recipe.training
    images = SphericalImages(
        digits,
        sampling_of(model),
        rotate_train=key.rotated,
        rotate_test=True,
        batch_size=training.batch_size,
        validation_fraction=recipe.data.validation_fraction,
        cap_deg=recipe.data.cap_deg,
        fit=recipe.data.fit,
        rotations_per_image=recipe.data.test_rotations,
        seed=key.seed,
    )
    module = SphereModule(
        model,
        Classification(digits.classes),
        optimization=Optimization(
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            schedule=training.schedule,
        ),
        metadata=Metadata(projection=images.projection),
    )
    result = fit(
        module,
        images,
        max_epochs=training.epochs,
        seed=key.seed,
        accelerator=options.accelerator,
        devices=options.devices_for_lightning,
        precision=options.precision,
        output=folder,
        overwrite=True,
        resume=resume,
        early_stopping=training.early_stopping,
        progress=options.progress,
        callbacks=callbacks,
    )
    _save_model(folder, module, recipe, key)
    return result, images


def _save_model(folder: Path, module: SphereModule, recipe: DigitsRecipe, key: RunKey) -> None:
    """Write the model with the recipe by which it was trained."""
    values = {
        "recipe": recipe.model_dump(mode="json", exclude={"claims"}),
        "seed": key.seed,
        "rotated": key.rotated,
    }
    metadata = Metadata(
        class_names=module.metadata.class_names,
        projection=module.metadata.projection,
        task=module.metadata.task,
        training=values,
    )
    save(folder / MODEL_FILE, module.model, metadata=metadata, overwrite=True)


def run_network(
    recipe: DigitsRecipe,
    key: RunKey,
    digits: Digits,
    *,
    domain: Pyramid | Equiangular,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    callbacks: Sequence[lightning.Callback] = (),
) -> RunRecord:
    """Train a network and score it; the record in ``folder/run.json`` is written last.

    A training that was interrupted goes on from its last whole epoch.

    Parameters
    ----------
    recipe, key, digits, domain, folder, options, callbacks
        See `train_network`.
    fingerprint
        Of recipe and data.

    Returns
    -------
    RunRecord
    """
    (folder / RECORD_FILE).unlink(missing_ok=True)
    result, images = train_network(
        recipe,
        key,
        digits,
        domain=domain,
        folder=folder,
        options=options,
        resume=_resumable(folder / _LAST_FILE),
        callbacks=callbacks,
    )
    is_test = recipe.data.scored_on == "test" or images.validation is None
    start = time.perf_counter()
    unrotated, rotated = evaluate_classifier(
        result.module.model,
        digits.test if is_test else images.validation,
        images.sampling,
        cap_deg=recipe.data.cap_deg,
        fit=recipe.data.fit,
        rotations_per_image=recipe.data.test_rotations,
    )
    record = RunRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(result.module.model),
        # of the epochs, not of this call: an interrupted training took longer than its rest
        seconds_training=sum(row["seconds"] for row in result.history),
        seconds_scoring=time.perf_counter() - start,
        history=result.history,
        unrotated=_score(unrotated),
        rotated=_score(rotated),
        change=rotated.change or 0.0,
    )
    record.write(folder / RECORD_FILE)
    return record


def _score(scores: ClassifierScores) -> Score:
    """The part of the scores that is recorded."""
    return Score(accuracy=100 * scores.accuracy, confusion=scores.confusion.tolist())


def _resumable(path: Path) -> Path | None:
    """The checkpoint, where there is a whole one."""
    try:
        read_spec(path)
    except (OSError, ValueError):
        return None
    return path
