"""One training by hand: what a user asks for, the rules of its folder, and what came out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepsphere.data.view_poses import Perturbation
from deepsphere.experiments.networks_config import AnyNetwork, find_network, without_epochs
from deepsphere.experiments.reading import AnyRecipe, read_recipe
from deepsphere.experiments.training_run import LAST_FILE, MODEL_FILE
from deepsphere.models import num_parameters
from deepsphere.training import FitResult


@dataclass(frozen=True)
class TrainingRequest:
    """What a user asks for; None leaves a choice to the experiment.

    Parameters
    ----------
    recipe
        Name of a recipe, or path of a TOML file.
    quick
        Whether to take the short form of the recipe.
    overrides
        Values that replace those of the recipe, by dotted key.
    network
        Which one of the experiment's.
    rotate
        Whether what is learned from is rotated.
    perturbation
        How shapes are moved: a finer word than `rotate`, for those who know it.
    sampling
        Instead of the recipe's.
    objective
        What stations are asked, where that is not the first objective of the recipe.
    epochs
        Instead of the recipe's.
    seed
        Of the first weights, and of all that is drawn in training.
    data
        Where the data lie.
    """

    recipe: str | None = None
    quick: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    network: str | None = None
    rotate: bool | None = None
    perturbation: Perturbation | None = None
    sampling: str | None = None
    objective: str | None = None
    epochs: int | None = None
    seed: int = 0
    data: Path | None = None


@dataclass(frozen=True)
class TrainingSummary:
    """What came out of one training.

    Parameters
    ----------
    checkpoint
        The model.
    num_parameters
        Numbers that it learned.
    num_epochs
        Epochs, those before a resumption included.
    loss
        Training loss of the last epoch.
    seconds
        Wall time of the epochs.
    notes
        What a user has to know of the data.
    """

    checkpoint: Path
    num_parameters: int
    num_epochs: int
    loss: float
    seconds: float
    notes: tuple[str, ...] = ()


def refuse_unknown(
    request: TrainingRequest, unknown: Sequence[str], *, what: str, hint: str
) -> None:
    """Raise if something is asked for that only other experiments know.

    Parameters
    ----------
    request
        What a user asks for.
    unknown
        Attributes of the request that must not be given.
    what
        Is trained.
    hint
        What is so instead.

    Raises
    ------
    ValueError
        If one of them is given.
    """
    for name in unknown:
        given = getattr(request, name)
        if given is not None:
            raise ValueError(f"{name} must be left out for {what}, got {given}; {hint}")


def requested_recipe(
    request: TrainingRequest,
    recipe_type: type[AnyRecipe],
    *,
    default: str,
    unknown: Sequence[str],
    hint: str,
    overrides: Mapping[str, Any] | None = None,
) -> AnyRecipe:
    """The recipe of a table of networks that a user asks for, with the epochs asked for.

    Parameters
    ----------
    request
        What a user asks for.
    recipe_type
        That of the experiment.
    default
        The recipe where none is named.
    unknown
        Attributes of the request that only other experiments know.
    hint
        What is so instead, for whoever gives one of them.
    overrides
        More values that replace those of the recipe, by dotted key.

    Returns
    -------
    AnyRecipe

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_recipe`; or if something unknown is given.
    """
    refuse_unknown(request, unknown, what=default, hint=hint)
    values = {**request.overrides, **(overrides or {})}
    if request.epochs is not None:
        values["training.epochs"] = request.epochs
    return read_recipe(
        request.recipe or default, quick=request.quick, overrides=values, recipe_type=recipe_type
    )


def requested_network(
    request: TrainingRequest, networks: Sequence[AnyNetwork], *, default: AnyNetwork
) -> AnyNetwork:
    """The network that a user asks for, with the epochs asked for.

    Parameters
    ----------
    request
        What a user asks for.
    networks
        Those of the recipe.
    default
        That of them which is meant where none is named.

    Returns
    -------
    NamedNetwork
        Of the kind of the networks.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    network = default if request.network is None else find_network(networks, request.network)
    return network if request.epochs is None else without_epochs(network)


def summarize_training(
    result: FitResult, folder: Path, *, notes: Iterable[str] = ()
) -> TrainingSummary:
    """What came out of a training, from what Lightning's loop gave back.

    Parameters
    ----------
    result
        With at least one epoch.
    folder
        That has the model.
    notes
        What a user has to know of the data.

    Returns
    -------
    TrainingSummary
    """
    return TrainingSummary(
        checkpoint=folder / MODEL_FILE,
        num_parameters=num_parameters(result.module.model),
        num_epochs=len(result.history),
        loss=result.history[-1]["train_loss"],
        seconds=sum(row["seconds"] for row in result.history),
        notes=tuple(notes),
    )


def check_training_folder(output: Path, *, resume: bool, overwrite: bool) -> Path | None:
    """The checkpoint to go on from, where one is asked for; raises unless the folder allows it.

    To be called before anything is computed. Nothing is written or removed.

    Parameters
    ----------
    output
        The folder: new, empty, or one of the two below.
    resume
        Whether to go on with the interrupted training in the folder.
    overwrite
        Whether to replace the training in the folder.

    Returns
    -------
    Path or None

    Raises
    ------
    FileExistsError
        If the folder is not empty, and neither `resume` nor `overwrite` is given.
    FileNotFoundError
        If there is nothing to resume.
    ValueError
        If both are given.
    """
    if resume and overwrite:
        raise ValueError("resume and overwrite must not both be given, got both; choose one")
    last = output / LAST_FILE
    if resume and not last.is_file():
        raise FileNotFoundError(
            f"resume must find {LAST_FILE} in the output folder, got {output} without it; "
            "name the folder of the interrupted training"
        )
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"output must be a folder, got the file {output}; choose another")
    if output.is_dir() and any(output.iterdir()) and not (resume or overwrite):
        raise FileExistsError(
            f"output must be new or empty, got {output} with "
            f"{sum(1 for _ in output.iterdir())} entries; choose another, go on with --resume, or "
            "pass --overwrite"
        )
    return last if resume else None
