"""Which trainings the cosmology experiment has, and what each of them found out."""

from dataclasses import dataclass

from deepsphere.experiments.cosmology_config import CosmologyNetwork
from deepsphere.experiments.training_record import NotNegative, TrainingRecord


@dataclass(frozen=True)
class Setting:
    """One column of the results.

    Parameters
    ----------
    order
        Of the patches; 0 for whole maps.
    noise
        Relative to the standard deviation of the signal.
    """

    order: int
    noise: float

    @property
    def title(self) -> str:
        """The setting in words.

        Examples
        --------
        >>> Setting(2, 3.5).title, Setting(0, 0.0).title
        ('1/48 of the sphere, noise 3.5', 'whole maps, noise 0')
        """
        return f"{shown_order(self.order)}, noise {self.noise:g}"

    @property
    def slug(self) -> str:
        """The setting as a part of a file name."""
        return f"order{self.order}-noise{self.noise:g}"


@dataclass(frozen=True)
class CosmologyKey:
    """Which of the trainings.

    Parameters
    ----------
    network
        Who learns.
    setting
        From what.
    seed
        Of the first weights, the order of the patches and the noise.
    """

    network: CosmologyNetwork
    setting: Setting
    seed: int

    def __hash__(self) -> int:
        """That of the folder: the network holds dicts, which have none."""
        return hash(self.folder)

    @property
    def title(self) -> str:
        """The training in words."""
        return f"{self.network.name}, {self.setting.title}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.network.slug}-{self.setting.slug}-seed{self.seed}"


class CosmologyRecord(TrainingRecord):
    """What one training, or one linear model, found out.

    Parameters
    ----------
    num_parameters
        Numbers that it learned.
    seconds_scoring
        Wall time.
    scores
        By name; see `deepsphere.experiments.cosmology_scores`.
    confusion
        Counts; rows are the true classes, columns the predicted ones. None for parameters.
    """

    seconds_scoring: NotNegative
    scores: dict[str, float]
    confusion: list[list[int]] | None = None


def shown_order(order: int) -> str:
    """The part of the sphere that a patch covers.

    Parameters
    ----------
    order
        0 for whole maps, or what a mask keeps of them.

    Returns
    -------
    str

    Examples
    --------
    >>> shown_order(1)
    '1/12 of the sphere'
    """
    return "whole maps" if order == 0 else f"1/{12 * order**2} of the sphere"
