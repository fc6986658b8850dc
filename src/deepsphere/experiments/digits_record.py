"""Which runs the digits experiment has, and what each of them found out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepsphere.data import write_atomically

NetworkName = Literal["deepsphere", "cnn2d"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)
TITLES: dict[NetworkName, str] = {"deepsphere": "DeepSphere", "cnn2d": "2D CNN"}

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
