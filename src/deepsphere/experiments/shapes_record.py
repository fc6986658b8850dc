"""Which trainings the shapes experiment has, and what each of them found out."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from deepsphere.experiments.shapes_config import NetworkSection, Perturbation
from deepsphere.experiments.training_record import NotNegative, TurnedRecord

Percent = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True)
class ShapesKey:
    """Which of the trainings.

    Parameters
    ----------
    network
        Who learns: name and slug.
    perturbation
        How the training shapes are moved.
    seed
        Of the first weights, and of the order of the signals.
    """

    network: NetworkSection
    perturbation: Perturbation
    seed: int

    def __hash__(self) -> int:
        """That of the folder: the network holds dicts, which have none."""
        return hash(self.folder)

    @property
    def title(self) -> str:
        """The training in words."""
        return f"{self.network.name}, {self.perturbation}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.network.slug}-{self.perturbation}-seed{self.seed}"


class ShapesScore(BaseModel):
    """How a network did on the test shapes, moved in one way.

    Parameters
    ----------
    accuracy, weighted_f1, macro_f1
        Over all views of all shapes, %. The weighted F1 is what was published.
    retrieval
        P@N, R@N, F1@N, mAP and NDCG in %, by ``"micro"`` and ``"macro"``, of lists by class
        probability.
    by_descriptor
        The same of lists by distance of descriptors, all other shapes in each.
    confusion
        Counts; rows are the true classes, columns the predicted ones.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    accuracy: Percent
    weighted_f1: Percent
    macro_f1: Percent
    retrieval: dict[str, dict[str, NotNegative]]
    by_descriptor: dict[str, dict[str, NotNegative]]
    confusion: list[list[int]]


class ShapesRecord(TurnedRecord):
    """What one training found out.

    Parameters
    ----------
    seconds_scoring
        Wall time.
    scores
        By how the test shapes are moved.
    descriptor_change
        Rotation error of the descriptors.
    projection
        What happened to the shapes when rays were cast, by part, in words.
    """

    seconds_scoring: NotNegative
    scores: dict[str, ShapesScore]
    descriptor_change: NotNegative
    projection: dict[str, str]
