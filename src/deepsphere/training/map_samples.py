"""Samples of maps: which pixels they take, how these are moved, scaled and made noisy."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from deepsphere.data.map_rotations import rotated_values
from deepsphere.data.map_sets import MapSet
from deepsphere.data.map_symmetries import MapSymmetries, Symmetries
from deepsphere.geometry import random_rotations
from deepsphere.sampling import Healpix, Sampling
from deepsphere.sampling.healpix_patches import num_patches, patch_sampling, patch_slice
from deepsphere.training.channel_scaling import ChannelScaling, measure_signals
from deepsphere.training.data_module import EpochLoader, EpochShuffle
from deepsphere.training.map_noise import (
    MapNoise,
    add_evaluation_noise,
    add_training_noise,
    keyed_generator,
)

Split = Literal["train", "validation", "test"]
Rotations = Literal["none", "uniform"]
"""Maps as they are, or rotated by any angle and resampled."""

# Last numbers of the keys of streams, apart from those of the noise.
_ROTATION = {"train": 0x5A01, "validation": 0x5A02, "test": 0x5A03}
_SYMMETRY = 0x5A04


@dataclass(frozen=True, eq=False)
class MapCut:
    """Which pixels of a map are samples.

    Parameters
    ----------
    nside
        Of the maps, a power of two.
    order
        Of the patches; 0 takes the whole sphere, or what the mask leaves of it.
    kept
        NESTED indices of the pixels that a mask keeps, ascending; None where there is no mask.
    """

    nside: int
    order: int
    kept: Int[np.ndarray, "vertices"] | None = None

    @property
    def sampling(self) -> Sampling:
        """Where the signals of all samples are taken to lie."""
        if self.kept is not None:
            return Healpix(self.nside).subset(self.kept)
        return patch_sampling(self.nside, self.order)

    @property
    def num_patches(self) -> int:
        """Number of samples of a map."""
        return num_patches(self.order)

    def pixels(
        self, patch: int, sources: Int[np.ndarray, "pixels"] | None = None
    ) -> Int[np.ndarray, "vertices"]:
        """The pixels of a map that a sample takes, in the order in which it takes them.

        Parameters
        ----------
        patch
            Number of the patch, from 0.
        sources
            Of a symmetry that moves the map, or the patch, before; see `MapSymmetries`.

        Returns
        -------
        Int[np.ndarray, "vertices"]
            NESTED indices.
        """
        if self.kept is not None:
            return self.kept if sources is None else sources[self.kept]
        where = patch_slice(self.nside, self.order, patch)
        return np.arange(where.start, where.stop) if sources is None else where.start + sources

    def read(
        self, maps: MapSet, index: int, patch: int, sources: Int[np.ndarray, "pixels"] | None = None
    ) -> Float[np.ndarray, "vertices channels"]:
        """The values of a sample; of a map on disk, nothing else is read where there is no mask.

        Parameters
        ----------
        maps
            What is read.
        index, patch
            Number of the map and of the patch.
        sources
            Of a symmetry.

        Returns
        -------
        Float[np.ndarray, "vertices channels"]
            Float32.
        """
        if self.kept is None and sources is None:
            where = patch_slice(self.nside, self.order, patch)
            return maps.read(index, where.start, where.stop)
        pixels = self.pixels(patch, sources)
        first = int(pixels.min())
        return maps.read(index, first, int(pixels.max()) + 1)[pixels - first]


@dataclass(frozen=True)
class Motions:
    """How maps are moved.

    Parameters
    ----------
    symmetries
        Of training samples, exactly: "none", "turns" or "flips", see `MapSymmetries`.
    rotations
        Of all maps, by any angle, resampled: "none" or "uniform".
    """

    symmetries: Symmetries = "none"
    rotations: Rotations = "none"


class MapSamples(Dataset[tuple[Tensor, Tensor]]):
    """Signals and targets, each a function of its number, the epoch and the seed.

    Sample s is patch ``s % num_patches`` of map ``s // num_patches``. Samples are asked for by
    (epoch, number), so that the epoch reaches processes which live longer than it.

    Parameters
    ----------
    maps
        What is read.
    targets
        One for each map.
    cut
        Which pixels of a map are samples.
    motions
        How the maps are moved.
    scaling
        Of the channels.
    noise
        That is added last.
    split
        "train" moves and noise differ in each epoch; the others have those of their number alone,
        of rotations and noise at its last level.
    seed
        Of motions and noise.
    """

    def __init__(
        self,
        maps: MapSet,
        targets: Shaped[Tensor, "maps ..."],
        *,
        cut: MapCut,
        motions: Motions,
        scaling: ChannelScaling,
        noise: MapNoise,
        split: Split,
        seed: int,
    ) -> None:
        self.maps = maps
        self.targets = targets.repeat_interleave(cut.num_patches, dim=0)
        self.cut = cut
        self.motions = motions
        self.noise = noise
        self.split: Split = split
        self.seed = seed
        self._mean = np.array(scaling.mean, np.float32)
        self._deviation = np.array(scaling.deviation, np.float32)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.targets)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Signal and target of a sample in an epoch."""
        epoch, sample = key
        return torch.from_numpy(self.signal(sample, epoch=epoch)), self.targets[sample]

    def signal(self, sample: int, *, epoch: int) -> Float[np.ndarray, "vertices channels"]:
        """Scaled and noisy signal of a sample.

        Parameters
        ----------
        sample
            Its number, from 0.
        epoch
            From 0; without effect on fixed samples.

        Returns
        -------
        Float[np.ndarray, "vertices channels"]
            Float32.

        Raises
        ------
        ValueError
            If a value is not finite.
        """
        index, patch = divmod(sample, self.cut.num_patches)
        values = self._moved(index, patch, epoch if self.split == "train" else 0)
        _check_finite(values, self.maps.names[index])
        scaled = values - self._mean
        scaled /= self._deviation
        if self.split == "train":
            return add_training_noise(
                scaled, self.noise.level(epoch), seed=self.seed, epoch=epoch, sample=sample
            )
        return add_evaluation_noise(
            scaled, self.noise.final, seed=self.seed, split=self.split, sample=sample
        )

    def _moved(self, index: int, patch: int, epoch: int) -> Float[np.ndarray, "vertices channels"]:
        """Values of a patch of a map that was moved as a whole."""
        sources = None
        if self.split == "train" and len(self._symmetries) > 1:
            key = (self.seed, epoch, index * self.cut.num_patches + patch, _SYMMETRY)
            element = int(keyed_generator(key).integers(len(self._symmetries)))
            sources = self._symmetries.sources(element) if element > 0 else None
        if self.motions.rotations == "none":
            return self.cut.read(self.maps, index, patch, sources)
        # of the map and not of the sample: all patches are cut from one rotated map
        generator = keyed_generator((self.seed, epoch, index, _ROTATION[self.split]))
        rotation = random_rotations(1, seed=generator)[0]
        return rotated_values(self.maps.read(index), rotation, self.cut.pixels(patch, sources))

    @cached_property
    def _symmetries(self) -> MapSymmetries:
        """Those of a sample; of the whole sphere where it is cut by a mask afterwards."""
        return MapSymmetries(self.cut.nside, self.cut.order, self.motions.symmetries)


class EpochSamples(Sampler[tuple[int, int]]):
    """Keys (epoch, number) of all samples: shuffled anew in each epoch, or as they stand.

    Lightning announces the epoch by `set_epoch`.

    Parameters
    ----------
    num_samples
        Number of samples.
    seed
        Of the order; None for samples as they stand, whose epoch is always 0.

    Examples
    --------
    >>> list(EpochSamples(3, seed=None))
    [(0, 0), (0, 1), (0, 2)]
    """

    def __init__(self, num_samples: int, *, seed: int | None) -> None:
        self._order = None if seed is None else EpochShuffle(num_samples, seed=seed)
        self.num_samples = num_samples

    def set_epoch(self, epoch: int) -> None:
        """Announce the number of the epoch that begins.

        Parameters
        ----------
        epoch
            From 0.
        """
        if self._order is not None:
            self._order.set_epoch(epoch)

    def __len__(self) -> int:
        """Number of samples."""
        return self.num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Keys in the order of the epoch."""
        if self._order is None:
            yield from ((0, sample) for sample in range(self.num_samples))
        else:
            # the epoch as it is when the order is drawn, also for samples that are fetched ahead
            epoch = self._order.epoch
            yield from ((epoch, sample) for sample in self._order)


def epoch_loader(
    samples: Dataset[tuple[Tensor, Tensor]],
    *,
    batch_size: int,
    num_workers: int = 0,
    seed: int | None = None,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of samples with keys (epoch, number).

    Parameters
    ----------
    samples
        With a length.
    batch_size
        Samples in a batch.
    num_workers
        Processes that make samples, which stay for all epochs.
    seed
        Of the order, see `EpochSamples`; None for samples as they stand.

    Returns
    -------
    DataLoader
    """
    sized: Any = samples
    return EpochLoader(
        samples,
        batch_size=batch_size,
        sampler=EpochSamples(len(sized), seed=seed),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )


def measure_maps(maps: MapSet, cut: MapCut) -> ChannelScaling:
    """Mean and standard deviation of the channels over all samples of maps, without noise.

    Parameters
    ----------
    maps
        One or more.
    cut
        Which pixels of a map are samples.

    Returns
    -------
    ChannelScaling

    Raises
    ------
    ValueError
        If a value is not finite.
    """

    def checked() -> Iterator[np.ndarray]:
        """All samples, one after the other."""
        for index in range(len(maps)):
            for patch in range(cut.num_patches):
                values = cut.read(maps, index, patch)
                _check_finite(values, maps.names[index])
                yield values

    return measure_signals(checked())


def _check_finite(values: Float[np.ndarray, "vertices channels"], name: str) -> None:
    """Raise unless the values of a sample are finite."""
    is_finite = np.isfinite(values)
    if not is_finite.all():
        raise ValueError(
            f"maps must be finite where they are used, got {name!r} with "
            f"{int((~is_finite).sum())} values that are not; mask these pixels, and leave out "
            "symmetries and rotations, which bring pixels from outside into a mask"
        )
