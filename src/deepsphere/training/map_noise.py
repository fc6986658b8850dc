"""White noise on maps: fresh in every epoch of a training, fixed where networks are judged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Level = float | tuple[float, ...]
"""Standard deviation of the noise in that of the signal: of all channels, or of each."""

EvaluationSplit = Literal["validation", "test"]

# Keys of streams that must not meet, at the end of the key since zeros there say nothing.
_TRAINING_NOISE = 0x401E
_EVALUATION_NOISE = {"validation": 0xE7A1, "test": 0xE7A2}
_LARGEST_SEED = 2**32 - 1
# Vertices whose noise is made at once, so that it is added before it leaves the processor's cache.
_VERTICES_PER_PIECE = 2**14


@dataclass(frozen=True)
class MapNoise:
    """How strong the noise is in each epoch, relative to the standard deviation of the signal.

    Parameters
    ----------
    levels
        That of each epoch, one or more; the last one stays, and is that of all that is validated
        and tested on. A tuple in place of a number has one for each channel.

    Raises
    ------
    ValueError
        If there is none, or one is negative or not finite.

    Examples
    --------
    >>> curriculum = MapNoise((0.0, 1.0, 2.0, 3.5))
    >>> curriculum.level(1), curriculum.level(50), curriculum.final
    (1.0, 3.5, 3.5)
    """

    levels: tuple[Level, ...]

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not self.levels:
            raise ValueError("levels must be one or more, got none; MapNoise((0.0,)) is silent")
        for level in self.levels:
            numbers = level if isinstance(level, tuple) else (level,)
            if not numbers or not all(math.isfinite(x) and x >= 0 for x in numbers):
                raise ValueError(
                    f"levels of noise must be finite and not negative, got {level}; "
                    "they are relative to the standard deviation of the signal"
                )

    @classmethod
    def growing(cls, level: Level, *, num_epochs: int) -> "MapNoise":
        """Noise that grows linearly from none in the first epoch to its level.

        Parameters
        ----------
        level
            That is reached.
        num_epochs
            After how many epochs; 0 for noise that is constant.

        Returns
        -------
        MapNoise

        Raises
        ------
        ValueError
            If the number of epochs or the level is negative.

        Examples
        --------
        >>> MapNoise.growing(3.0, num_epochs=3).levels
        (0.0, 1.0, 2.0, 3.0)
        """
        if num_epochs < 0:
            raise ValueError(f"num_epochs must not be negative, got {num_epochs}")
        steps = [epoch / num_epochs for epoch in range(num_epochs)]
        return cls((*(_times(level, step) for step in steps), level))

    @property
    def final(self) -> Level:
        """The level that stays."""
        return self.levels[-1]

    def level(self, epoch: int) -> Level:
        """The level of an epoch.

        Parameters
        ----------
        epoch
            From 0.

        Returns
        -------
        float or tuple of float
        """
        return self.levels[min(epoch, len(self.levels) - 1)]

    @property
    def values(self) -> list[Any]:
        """Plain values, for the metadata of a checkpoint."""
        return [list(level) if isinstance(level, tuple) else level for level in self.levels]

    def check_channels(self, num_channels: int) -> None:
        """Raise unless every level is one number or one for each channel.

        Parameters
        ----------
        num_channels
            Of the maps.

        Raises
        ------
        ValueError
            If there are more or fewer.
        """
        for level in self.levels:
            if isinstance(level, tuple) and len(level) != num_channels:
                raise ValueError(
                    f"levels of noise must be one number, or one for each of the {num_channels} "
                    f"channels of the maps, got {level}"
                )


def add_training_noise(
    signal: Float[np.ndarray, "vertices channels"],
    level: Level,
    *,
    seed: int,
    epoch: int,
    sample: int,
) -> Float[np.ndarray, "vertices channels"]:
    """A training signal with noise, which depends on the seed, the epoch and the sample alone.

    Parameters
    ----------
    signal
        Scaled to unit variance; float32.
    level
        Standard deviation of the noise.
    seed
        Of the training.
    epoch
        From 0.
    sample
        Number of the signal in the training set.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        The signal itself where there is no noise.
    """
    return _add_noise(signal, level, (seed, epoch, sample, _TRAINING_NOISE))


def add_evaluation_noise(
    signal: Float[np.ndarray, "vertices channels"],
    level: Level,
    *,
    seed: int,
    split: EvaluationSplit,
    sample: int,
) -> Float[np.ndarray, "vertices channels"]:
    """A signal to judge on with noise, which depends on the sample alone.

    It is the same for every network, every seed of training and (but for its strength) every
    level.

    Parameters
    ----------
    signal
        Scaled to unit variance; float32.
    level
        Standard deviation of the noise.
    seed
        Of the noise, apart from that of the training.
    split
        "validation" or "test", which have different noise.
    sample
        Number of the signal in the split.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        The signal itself where there is no noise.
    """
    return _add_noise(signal, level, (seed, 0, sample, _EVALUATION_NOISE[split]))


def keyed_generator(key: Sequence[int]) -> np.random.Generator:
    """Generator of random numbers that depend on a key alone, fast to make and to draw from.

    Parameters
    ----------
    key
        Up to four numbers in [0, 2³²), the last of which is not 0.

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(key)))


def check_seed(name: str, seed: int) -> None:
    """Raise unless a seed is one of those whose streams never meet.

    Parameters
    ----------
    name
        Of the argument.
    seed
        Its value.

    Raises
    ------
    ValueError
        If it is not in [0, 2³²).
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise ValueError(f"{name} must be in [0, 2**32), got {seed}")


def _add_noise(signal: np.ndarray, level: Level, key: Sequence[int]) -> np.ndarray:
    """The signal with the noise of a key."""
    levels = np.asarray(level, np.float32)
    if not levels.any():
        return signal
    generator = keyed_generator(key)
    noisy = np.empty_like(signal)
    for start in range(0, len(signal), _VERTICES_PER_PIECE):
        piece = noisy[start : start + _VERTICES_PER_PIECE]
        generator.standard_normal(out=piece, dtype=np.float32)
        piece *= levels
        piece += signal[start : start + _VERTICES_PER_PIECE]
    return noisy


def _times(level: Level, factor: float) -> Level:
    """A level, every channel of it scaled."""
    if isinstance(level, tuple):
        return tuple(factor * number for number in level)
    return factor * level
