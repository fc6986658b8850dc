"""Which trainings the weather experiment has, and what each of them found out."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from deepsphere.experiments.training_record import NotNegative, TrainingRecord
from deepsphere.experiments.weather_config import WeatherNetwork


@dataclass(frozen=True)
class WeatherKey:
    """Which of the trainings.

    Parameters
    ----------
    network
        Who learns.
    seed
        Of the first weights and the order of the windows.
    """

    network: WeatherNetwork
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


Curves = dict[str, list[list[float | None]]]
"""By channel, then band, then steps ahead."""


class LeadScores(BaseModel):
    """How good forecasts are, by steps ahead.

    Parameters
    ----------
    num_starts
        Forecasts that were scored, one, two, ... steps ahead.
    bands
        Bands of latitude, the globe first.
    rmse, acc, bias
        By channel, then band, then steps ahead: root mean square error and mean error in the unit
        of the channel, and anomaly correlation; None where there is none.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    num_starts: list[int]
    bands: list[str]
    rmse: Curves
    acc: Curves
    bias: Curves


class BaselineRecord(BaseModel):
    """How good the forecasts without a network are.

    Parameters
    ----------
    fingerprint
        Of the recipe and the data.
    seconds
        Wall time.
    scores
        By name.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    fingerprint: str
    seconds: NotNegative
    scores: dict[str, LeadScores]


class WeatherRecord(TrainingRecord):
    """What one training found out.

    Parameters
    ----------
    seconds_scoring
        Wall time.
    scores
        Of the part that is scored.
    """

    seconds_scoring: NotNegative
    scores: LeadScores
