"""What a training found out, in a file that tells whether it still belongs to the recipe."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepsphere.data import write_atomically
from deepsphere.experiments.config import short_hash
from deepsphere.version import __version__

# Of networks and trainings, what does not decide what a training finds out.
_NOT_OF_NETWORKS = {"name", "protocols", "training"}
_NOT_OF_TRAININGS = {"num_threads", "most_epochs", "num_workers"}

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TrainingRecord(BaseModel):
    """What all trainings find out; experiments add their scores.

    Parameters
    ----------
    fingerprint
        Of the recipe and the data that it belongs to.
    num_parameters
        Numbers that the network learned.
    seconds_training
        Wall time.
    history
        Metrics by epoch.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    fingerprint: str
    num_parameters: Annotated[int, Field(ge=1)]
    seconds_training: NotNegative
    history: list[dict[str, float | int]]

    def write(self, path: Path) -> None:
        """Write the record as JSON, complete or not at all.

        Parameters
        ----------
        path
            Where to; an older file is replaced.
        """
        with write_atomically(path, overwrite=True) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class TurnedRecord(TrainingRecord):
    """What trainings find out where signals can be turned.

    Parameters
    ----------
    change
        How much rotations of the input change what should not change with them.
    """

    change: NotNegative


@runtime_checkable
class TableRecipe(Protocol):
    """A recipe that trains networks, each with values of its own."""

    def training_of(self, network: Any, /) -> BaseModel:
        """How a network is trained."""
        ...


def training_fingerprint(
    recipe: TableRecipe, network: BaseModel, data: str, *, beside: Sequence[Any] = ()
) -> str:
    """What has to be equal for a finished training of a network to be kept.

    Parameters
    ----------
    recipe, network
        All that decides what the training does.
    data
        Fingerprint of the experiment.
    beside
        Plain values that decide it too.

    Returns
    -------
    str
    """
    decisive = [
        network.model_dump(mode="json", exclude=_NOT_OF_NETWORKS),
        recipe.training_of(network).model_dump(mode="json", exclude=_NOT_OF_TRAININGS),
        *beside,
    ]
    return f"{short_hash(decisive)}-{data}-{__version__}"


_Record = TypeVar("_Record", bound=TrainingRecord)


def read_record(path: Path, fingerprint: str, record_type: type[_Record]) -> _Record | None:
    """The record in a file, or None where there is no complete one of this recipe and data.

    Parameters
    ----------
    path
        Written by `TrainingRecord.write`.
    fingerprint
        That it has to have.
    record_type
        Kind of record.

    Returns
    -------
    TrainingRecord or None
        Of the kind.
    """
    try:
        record = record_type.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.fingerprint == fingerprint else None


_Kept = TypeVar("_Kept", bound=BaseModel)


def kept(path: Path, fingerprint: str, kind: type[_Kept], make: Callable[[], _Kept]) -> _Kept:
    """What is in a file, or, where it is not there or of another recipe or data, made and written.

    Parameters
    ----------
    path
        Of the file, JSON.
    fingerprint
        That it has to have.
    kind
        A model with a ``fingerprint``.
    make
        Called where there is none.

    Returns
    -------
    BaseModel
        Of the kind.
    """
    try:
        found = kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        found = None
    if found is not None and getattr(found, "fingerprint", None) == fingerprint:
        return found
    made = make()
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return made
