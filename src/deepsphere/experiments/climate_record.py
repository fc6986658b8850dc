"""Which trainings the climate experiment has, and what each of them found out."""

from dataclasses import dataclass

from deepsphere.experiments.climate_config import ClimateNetwork
from deepsphere.experiments.training_record import NotNegative, TrainingRecord


@dataclass(frozen=True)
class ClimateKey:
    """Which of the trainings.

    Parameters
    ----------
    network
        Who learns.
    seed
        Of the first weights and the order of the maps.
    """

    network: ClimateNetwork
    seed: int

    def __hash__(self) -> int:
        """That of the folder: the network holds dicts, which have none."""
        return hash(self.folder)

    @property
    def title(self) -> str:
        """The training in words."""
        return f"{self.network.name}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.network.slug}-seed{self.seed}"


class ClimateRecord(TrainingRecord):
    """What one training found out.

    Parameters
    ----------
    seconds_scoring
        Wall time.
    scores
        By name; see `deepsphere.experiments.climate_scores`.
    uncertainty
        How far an average precision is from the exact one at most, in %; 0 where they are exact.
    confusion
        Counts of vertices; rows are the true classes, columns the predicted ones.
    curves
        Recall and precision of each event at thresholds from the highest, by its name.
    """

    seconds_scoring: NotNegative
    scores: dict[str, float]
    uncertainty: NotNegative
    confusion: list[list[int]]
    curves: dict[str, tuple[list[float], list[float]]]
