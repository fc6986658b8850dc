"""The experiments of which one network can be trained and scored alone, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.results import Results
from deepsphere.experiments.training_request import TrainingRequest, TrainingSummary
from deepsphere.training.checkpoint import Metadata, read_metadata


@runtime_checkable
class _Train(Protocol):
    """Trains one network in a folder that may be used."""

    def __call__(
        self,
        request: TrainingRequest,
        output: Path,
        /,
        *,
        resume: bool,
        overwrite: bool,
        options: RunOptions,
    ) -> TrainingSummary: ...


@runtime_checkable
class _Evaluate(Protocol):
    """Scores a checkpoint."""

    def __call__(
        self,
        checkpoint: Path,
        /,
        *,
        command: str,
        data: Path | None,
        output: Path | None,
        overwrite: bool,
        progress: bool,
    ) -> Results: ...


@dataclass(frozen=True)
class Trainable:
    """What `train` and `evaluate` ask of an experiment.

    Parameters
    ----------
    train
        Trains what a user asks for; writes ``model.ckpt`` last.
    evaluate
        Scores such a checkpoint on what its training has not seen.
    next_command
        The command that a user types after a training.
    """

    train: _Train
    evaluate: _Evaluate
    next_command: str


def _digits() -> Trainable:
    """Spherical digits."""
    from deepsphere.experiments import single

    return Trainable(single.train_request, single.evaluate_one, "evaluate")


def _shapes() -> Trainable:
    """3D shapes."""
    from deepsphere.experiments import shapes_single

    return Trainable(shapes_single.train_request, shapes_single.evaluate_one, "retrieve")


def _cosmology() -> Trainable:
    """Maps of the sky."""
    from deepsphere.experiments import cosmology_single

    return Trainable(cosmology_single.train_request, cosmology_single.evaluate_one, "evaluate")


def _climate() -> Trainable:
    """Extreme events on maps of the atmosphere."""
    from deepsphere.experiments import climate_single

    return Trainable(climate_single.train_request, climate_single.evaluate_one, "evaluate")


def _weather() -> Trainable:
    """Forecasts of fields."""
    from deepsphere.experiments import weather_single

    return Trainable(weather_single.train_request, weather_single.evaluate_one, "evaluate")


def _stations() -> Trainable:
    """Weather stations."""
    from deepsphere.experiments import stations_single

    return Trainable(stations_single.train_request, stations_single.evaluate_one, "evaluate")


TRAINED: dict[str, Callable[[], Trainable]] = {
    "digits": _digits,
    "shapes": _shapes,
    "cosmology": _cosmology,
    "climate": _climate,
    "weather": _weather,
    "stations": _stations,
}
"""The experiments that train a network which is worth keeping, in the words of the command."""

# how signals came to be on the sphere tells the experiments apart
_PROJECTIONS = {
    "stereographic": "digits",
    "rays": "shapes",
    "patches": "cosmology",
    "events": "climate",
    "forecast": "weather",
    "stations": "stations",
}


def trainable(name: str) -> Trainable:
    """The experiment of that name.

    Parameters
    ----------
    name
        What a user wants to train.

    Returns
    -------
    Trainable

    Raises
    ------
    ValueError
        If it is not one that trains a network which is worth keeping.

    Examples
    --------
    >>> trainable("digits").next_command
    'evaluate'
    """
    if name not in TRAINED:
        raise ValueError(
            f"experiment must be one of {', '.join(TRAINED)}, got {name!r}; "
            "name a recipe of it with --recipe"
        )
    return TRAINED[name]()


def trainable_of(checkpoint: Path) -> Trainable:
    """The experiment that a checkpoint comes from; that of digits where it does not say.

    Parameters
    ----------
    checkpoint
        Written by training.

    Returns
    -------
    Trainable

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is damaged.
    """
    return TRAINED[experiment_of_metadata(read_metadata(checkpoint))]()


def experiment_of_metadata(metadata: Metadata) -> str:
    """Name of the experiment that metadata speak of; that of digits where they do not say.

    Parameters
    ----------
    metadata
        Of a checkpoint.

    Returns
    -------
    str

    Examples
    --------
    >>> experiment_of_metadata(Metadata(projection={"kind": "rays"}))
    'shapes'
    """
    projection: dict[str, Any] = metadata.projection or {}
    return _PROJECTIONS.get(str(projection.get("kind")), "digits")
