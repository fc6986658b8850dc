"""Samples of stations, and which stations are hidden in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepsphere.training.data_module import EpochLoader
from deepsphere.training.map_noise import keyed_generator
from deepsphere.training.map_samples import EpochSamples, Split
from deepsphere.training.station_signals import StationSignals

# Last numbers of the keys of the streams of hidden stations.
_HIDDEN = {"train": 0x57A1, "validation": 0x57A2, "test": 0x57A3}
_NEVER_SEEN = 0x57A4
_VALIDATION = 0x57A5
_FEWEST_TO_DRAW_FROM = 10


class StationSamples(Dataset[tuple[Tensor, Tensor]]):
    """Signals and targets, made together for a batch as they are asked for by (epoch, number).

    Parameters
    ----------
    signals
        Of a part of the records.
    seed
        Of the stations that are hidden.
    split
        Which part.
    always_hidden
        Stations that are hidden in all samples, in place of others in each; None where there are
        none, or nothing is hidden.
    never_hidden
        Stations that are hidden in none; None where there are none.
    """

    def __init__(
        self,
        signals: StationSignals,
        *,
        seed: int,
        split: Split,
        always_hidden: Bool[np.ndarray, "stations"] | None = None,
        never_hidden: Bool[np.ndarray, "stations"] | None = None,
    ) -> None:
        self.signals = signals
        self.seed = seed
        self.split: Split = split
        self.always_hidden = always_hidden
        self.never_hidden = never_hidden
        self.numbers = signals.counted

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.numbers)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """One sample."""
        signals, targets = self.__getitems__([key])
        return signals[0], targets[0]

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Signals and targets of some samples."""
        numbers = self.numbers[[number for _, number in keys]]
        batch = self.signals.batch(numbers, hidden=self.hidden(keys))
        return torch.from_numpy(batch.signals), torch.from_numpy(batch.targets)

    def hidden(self, keys: Sequence[tuple[int, int]]) -> Bool[np.ndarray, "batch stations"] | None:
        """Which stations are hidden in some samples; None where none ever is.

        Parameters
        ----------
        keys
            Epoch and number of each.

        Returns
        -------
        Bool[np.ndarray, "batch stations"] or None
        """
        if self.signals.objective.kind != "imputation":
            return None
        numbers = self.numbers[[number for _, number in keys]]
        if self.always_hidden is not None:
            return np.repeat(self.always_hidden[None], len(keys), axis=0)
        observed = self.signals.observed(numbers)
        if self.never_hidden is not None:
            observed = observed & ~self.never_hidden
        return np.stack(
            [
                self._drawn(row, (self.seed, epoch, int(number), _HIDDEN[self.split]))
                for row, (epoch, _), number in zip(observed, keys, numbers, strict=True)
            ]
        )

    def _drawn(
        self, observed: Bool[np.ndarray, "stations"], key: Sequence[int]
    ) -> Bool[np.ndarray, "stations"]:
        """A share of the stations that report and may be hidden, of which at least one is left."""
        generator = keyed_generator(key)
        low, high = self.signals.preparation.hidden_fraction
        share = low + (high - low) * generator.random()
        there = np.flatnonzero(observed)
        number = min(max(round(share * len(there)), 1), len(there) - 1)
        hidden = np.zeros(len(observed), bool)
        hidden[generator.permutation(there)[: max(number, 0)]] = True
        return hidden


def draw_hidden(num_stations: int, *, share: float, seed: int) -> Bool[np.ndarray, "stations"]:
    """Stations of which nothing is seen before the test.

    Parameters
    ----------
    num_stations
        Of which they are drawn.
    share
        How many of them, in (0, 1): at least one, and two are left.
    seed
        In [0, 2³²).

    Returns
    -------
    Bool[np.ndarray, "stations"]

    Raises
    ------
    ValueError
        If the share is out of its range, or there are fewer than three stations.

    Examples
    --------
    >>> int(draw_hidden(10, share=0.2, seed=0).sum())
    2
    """
    if not 0 < share < 1:
        raise ValueError(
            f"hidden must be a share of the stations between 0 and 1, got {share}; give a mask to "
            "say which"
        )
    if num_stations < 3:
        raise ValueError(
            f"records must be of at least 3 stations to hide one from two, got {num_stations}"
        )
    number = min(max(round(share * num_stations), 1), num_stations - 2)
    mask = np.zeros(num_stations, bool)
    mask[keyed_generator((seed, _NEVER_SEEN)).permutation(num_stations)[:number]] = True
    return mask


def draw_validation(
    hidden: Bool[np.ndarray, "stations"] | None, *, num_stations: int, share: float, seed: int
) -> Bool[np.ndarray, "stations"] | None:
    """Stations that are hidden in the validation and never asked for in the training.

    A network remembers the places that it is asked for; how well it does elsewhere is only seen
    elsewhere.

    Parameters
    ----------
    hidden
        Those of the test, which are not drawn; None for none.
    num_stations
        In all.
    share
        How many of the others.
    seed
        In [0, 2³²).

    Returns
    -------
    Bool[np.ndarray, "stations"] or None
        None where fewer than 10 stations are left to draw from.

    Examples
    --------
    >>> drawn = draw_validation(np.arange(50) < 10, num_stations=50, share=0.2, seed=0)
    >>> int(drawn.sum()), bool(drawn[:10].any())
    (8, False)
    """
    rest = np.arange(num_stations) if hidden is None else np.flatnonzero(~hidden)
    if len(rest) < _FEWEST_TO_DRAW_FROM:
        return None
    generator = keyed_generator((seed, _VALIDATION))
    mask = np.zeros(num_stations, bool)
    mask[generator.permutation(rest)[: max(round(share * len(rest)), 1)]] = True
    return mask


def sample_loader(
    samples: StationSamples, *, batch_size: int, num_workers: int = 0, seed: int | None = None
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of samples, each made as a whole.

    Parameters
    ----------
    samples
        Of a part.
    batch_size
        Samples in a batch.
    num_workers
        Processes that make them, which stay for all epochs.
    seed
        Of the order, see `EpochSamples`; None for samples as they stand.

    Returns
    -------
    DataLoader
    """
    return EpochLoader(
        samples,
        batch_size=batch_size,
        sampler=EpochSamples(len(samples), seed=seed),
        collate_fn=_as_it_is,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )


def _as_it_is(batch: Any) -> Any:
    """What was made together is a batch."""
    return batch
