"""Which trainings the stations experiment has, and what each of them found out."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from deepsphere.experiments.stations_config import ObjectiveSection, StationNetwork
from deepsphere.experiments.training_record import NotNegative, TrainingRecord


@dataclass(frozen=True)
class StationKey:
    """Which of the trainings.

    Parameters
    ----------
    objective
        What is learned.
    network
        Who learns.
    seed
        Of the first weights, the order of the days and the stations that are hidden in training.
    """

    objective: ObjectiveSection
    network: StationNetwork
    seed: int

    def __hash__(self) -> int:
        """That of the folder: objective and network hold dicts, which have none."""
        return hash(self.folder)

    @property
    def title(self) -> str:
        """The training in words."""
        return f"{self.objective.name}, {self.network.name}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.objective.slug}-{self.network.slug}-seed{self.seed}"


Scores = dict[str, float | None]
"""By name, see `stations_rows.SCORES`; None where there is none."""


class StationsRecord(TrainingRecord):
    """What one training found out.

    Parameters
    ----------
    seconds_scoring
        Wall time.
    scores
        Of the part that is scored.
    """

    seconds_scoring: NotNegative
    scores: Scores


class BaselineRecord(BaseModel):
    """How good the answers without a network are, for one objective.

    Parameters
    ----------
    fingerprint
        Of the recipe and the data.
    seconds
        Wall time.
    scores
        By name.
    left_out
        Why, by the name of those that these records do not allow.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    fingerprint: str
    seconds: NotNegative
    scores: dict[str, Scores]
    left_out: dict[str, str]
