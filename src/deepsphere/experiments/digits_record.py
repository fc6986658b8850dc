"""Which runs the digits experiment has, and what each of them found out."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from deepsphere.experiments.training_record import NotNegative, TurnedRecord

NetworkName = Literal["deepsphere", "cnn2d"]
NETWORKS: tuple[NetworkName, ...] = get_args(NetworkName)
TITLES: dict[NetworkName, str] = {"deepsphere": "DeepSphere", "cnn2d": "2D CNN"}


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


class RunRecord(TurnedRecord):
    """What one run found out.

    Parameters
    ----------
    seconds_scoring
        Wall time.
    unrotated, rotated
        Scores on the images as they are (NR), and on the rotated ones (R).
    change
        Mean of |logits(Rx) - logits(x)| / |logits(x)| over images and rotations.
    """

    seconds_scoring: NotNegative
    unrotated: Score
    rotated: Score
