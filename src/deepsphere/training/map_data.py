"""Maps of the sky, batch by batch: patches or masked spheres under noise, scaled and moved."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.utils.data import DataLoader

from deepsphere.data.labelled_maps import MapSet, keep_small
from deepsphere.data.map_symmetries import MapSymmetries, Symmetries
from deepsphere.training.channel_scaling import ChannelScaling
from deepsphere.training.data_module import SphereData
from deepsphere.training.map_noise import MapNoise, check_seed
from deepsphere.training.map_samples import (
    MapCut,
    MapSamples,
    Motions,
    Rotations,
    Split,
    epoch_loader,
    measure_maps,
)

Target = Literal["class", "parameters"]


class SphericalMaps(SphereData):
    """Parts of maps as signals on the sphere, scaled channel by channel, with white noise.

    What a network sees of a training map is new in every epoch, a function of seed, epoch and
    sample alone: the same after a resumption, for every number of workers and size of batch. What
    it is validated and tested on is fixed, a function of `noise_seed` and sample: the same for
    all networks, seeds of training and (but for its strength) levels of noise.

    Signals are scaled by mean and standard deviation over the training maps without noise, in
    units of which the noise is.

    Parameters
    ----------
    train
        What is learned from.
    validation
        What is validated on; nothing if not given.
    test
        What is tested on; nothing if not given.
    order
        Maps are cut into 12 order² patches, each a sample; 0 takes whole maps. None takes whole
        maps where there is a mask, and order 1 where there is none.
    mask
        The pixels of the whole sphere that a sample has, in NESTED order; needs order 0 or None.
    noise
        Standard deviation, relative to that of the training maps; or one for each epoch or
        channel, see `MapNoise`.
    noise_warmup_epochs
        Over so many epochs the noise grows linearly from none to its level.
    symmetries
        How training samples are moved exactly: "none", "turns" (rotations) or "flips" (rotations
        and reflections): 8 or 16 of the whole sphere, 2 or 4 of a patch. See `MapSymmetries`.
    rotations
        "uniform" rotates whole maps by any angle and resamples them before samples are cut; see
        `rotate_maps` for what it smooths. Training maps are rotated anew in each epoch, the others
        once, so that what is judged is as smooth as what is learned from. Costs .2 s for a
        million pixels of samples, and reads whole maps.
    target
        "class", or "parameters" of the maps, in their own units: `Regression.standardizing` is the
        task that scales them.
    batch_size
        Signals in a batch.
    scaling
        Of the channels; measured on the training maps if not given.
    seed
        Of order, motions and noise of the training, in [0, 2³²).
    noise_seed
        Of motions and noise of what is validated and tested on, in [0, 2³²).
    num_workers
        Processes that make signals; 0 makes them in this one.

    Attributes
    ----------
    sampling
        Of the signals: the first patch, or what the mask keeps.
    order
        As it was understood.
    noise
        As `MapNoise`.
    scaling
        Of the signals.

    Raises
    ------
    ValueError
        If a number or word is out of its range, the maps of the splits differ in nside, channels,
        classes or parameters, parameters are asked for and not there, or a mask does not fit.
    """

    def __init__(
        self,
        train: MapSet,
        *,
        validation: MapSet | None = None,
        test: MapSet | None = None,
        order: int | None = None,
        mask: Bool[np.ndarray, "pixels"] | None = None,
        noise: float | MapNoise = 0.0,
        noise_warmup_epochs: int = 0,
        symmetries: Symmetries = "none",
        rotations: Rotations = "none",
        target: Target = "class",
        batch_size: int = 16,
        scaling: ChannelScaling | None = None,
        seed: int = 0,
        noise_seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        check_seed("seed", seed)
        check_seed("noise_seed", noise_seed)
        _check_word("target", target, get_args(Target))
        _check_word("rotations", rotations, get_args(Rotations))
        given: dict[Split, MapSet | None] = {
            "train": train,
            "validation": validation,
            "test": test,
        }
        splits: dict[Split, MapSet] = {
            name: maps for name, maps in given.items() if maps is not None
        }
        for name, maps in splits.items():
            _check_maps(name, maps, train, target)
        self._cut = _make_cut(train.nside, order, mask)
        self.order = self._cut.order
        self.sampling = self._cut.sampling
        self.noise = _as_noise(noise, noise_warmup_epochs)
        self.noise.check_channels(train.num_channels)
        self._motions = Motions(symmetries, rotations)
        MapSymmetries(train.nside, self.order, symmetries)  # now, rather than in a worker
        splits = keep_small(splits)
        self.train = splits["train"]
        self.validation = splits.get("validation")
        self.test = splits.get("test")
        self.target: Target = target
        self.batch_size = batch_size
        self.noise_seed = noise_seed
        self.num_workers = num_workers
        self.scaling = measure_maps(self.train, self._cut) if scaling is None else scaling
        _check_scaling(self.scaling, train.num_channels)
        self._order_seed = seed
        self._samples = {
            name: self._make_samples(name, maps, seed if name == "train" else noise_seed)
            for name, maps in splits.items()
        }

    def _make_samples(self, split: Split, maps: MapSet, seed: int) -> MapSamples:
        """The samples of a split."""
        targets = torch.from_numpy(np.array(maps.labels, np.int64))
        if self.target == "parameters":
            targets = torch.from_numpy(np.array(maps.parameters, np.float32))
        return MapSamples(
            maps,
            targets,
            cut=self._cut,
            motions=self._motions,
            scaling=self.scaling,
            noise=self.noise,
            split=split,
            seed=seed,
        )

    @property
    def projection(self) -> dict[str, Any]:
        """How maps are cut and made noisy, for the metadata of a checkpoint."""
        values: dict[str, Any] = {
            "kind": "patches",
            "nside": self._cut.nside,
            "order": self.order,
            "noise": self.noise.values,
            "noise_seed": self.noise_seed,
            "symmetries": self._motions.symmetries,
            "rotations": self._motions.rotations,
            "target": self.target,
        }
        if self.target == "parameters":
            values["target_names"] = list(self.train.parameter_names)
        return values

    @property
    def normalization(self) -> dict[str, Any]:
        """How the channels are scaled, for the metadata of a checkpoint."""
        return self.scaling.values

    def targets(self, split: Split) -> Shaped[np.ndarray, "samples ..."]:
        """Targets of all samples of a split, without reading a map.

        Parameters
        ----------
        split
            "train", "validation" or "test".

        Returns
        -------
        Shaped[np.ndarray, "samples ..."]
            Labels (samples,), int64, or parameters (samples, parameters), float32.

        Raises
        ------
        ValueError
            If there is no such split.
        """
        return self._samples_of(split).targets.numpy().copy()

    def split_signals(
        self, split: Split, *, epoch: int = 0
    ) -> Iterator[tuple[Float[np.ndarray, "batch vertices channels"], Shaped[np.ndarray, "..."]]]:
        """What networks see of a split, batch by batch as arrays, map after map.

        Parameters
        ----------
        split
            "train", "validation" or "test".
        epoch
            Whose motions and noise training samples have; without effect on the others.

        Yields
        ------
        signals : Float[np.ndarray, "batch vertices channels"]
            Scaled and noisy, float32.
        targets : Shaped[np.ndarray, "batch ..."]
            As of `targets`.

        Raises
        ------
        ValueError
            If there is no such split, or the epoch is negative.
        """
        samples = self._samples_of(split)
        if epoch < 0:
            raise ValueError(f"epoch must not be negative, got {epoch}")
        for start in range(0, len(samples), self.batch_size):
            numbers = range(start, min(start + self.batch_size, len(samples)))
            signals = np.stack([samples.signal(number, epoch=epoch) for number in numbers])
            yield signals, samples.targets[numbers.start : numbers.stop].numpy().copy()

    def _samples_of(self, split: Split) -> MapSamples:
        """The samples of a split that is there."""
        if split not in self._samples:
            raise ValueError(
                f"split must be one of those that were given, {', '.join(self._samples)}, "
                f"got {split!r}"
            )
        return self._samples[split]

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches (signals, targets) in the order of the epoch."""
        return self._loader("train", seed=self._order_seed)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[Any]:
        """Batches of all validation samples; none when there are none."""
        return [] if self.validation is None else self._loader("validation")

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]] | list[Any]:
        """Batches of all test samples; none when there are none."""
        return [] if self.test is None else self._loader("test")

    def _loader(
        self, split: Split, *, seed: int | None = None
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches of the samples of a split, shuffled by a seed or as they stand."""
        return epoch_loader(
            self._samples[split],
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            seed=seed,
        )

    def on_after_batch_transfer(
        self, batch: list[Tensor], dataloader_idx: int
    ) -> tuple[Float[Tensor, "batch vertices channels"], Shaped[Tensor, "batch ..."]]:
        """Signals and targets of a batch that has reached the device.

        Parameters
        ----------
        batch
            Signals (batch, vertices, channels), targets (batch, ...).
        dataloader_idx
            Of no effect.

        Returns
        -------
        signals, targets
            The same.
        """
        signals, targets = batch
        return signals, targets


def _check_word(name: str, word: str, words: tuple[str, ...]) -> None:
    """Raise unless a word is one of those that there are."""
    if word not in words:
        raise ValueError(f"{name} must be one of {', '.join(words)}, got {word!r}")


def _check_maps(name: str, maps: MapSet, train: MapSet, target: Target) -> None:
    """Raise unless the maps of a split can be used together with those of the training."""
    for what in ("nside", "num_channels", "class_names"):
        expected, given = getattr(train, what), getattr(maps, what)
        if given != expected:
            raise ValueError(
                f"{name} must have the {what} of train, {expected}, got {given}; "
                "split one set of maps with split_maps"
            )
    if target == "parameters" and maps.parameters is None:
        raise ValueError(
            f"{name} must hold maps with parameters to learn them, got maps without; "
            "give them to array_maps, or learn classes"
        )
    if target == "parameters" and maps.parameter_names != train.parameter_names:
        raise ValueError(
            f"{name} must have the parameters of train, {', '.join(train.parameter_names)}, "
            f"got {', '.join(maps.parameter_names)}"
        )


def _make_cut(nside: int, order: int | None, mask: np.ndarray | None) -> MapCut:
    """The pixels of samples, checked."""
    if mask is None:
        cut = MapCut(nside, 1 if order is None else order)
        _ = cut.sampling
        return cut
    mask = np.asarray(mask)
    if order not in (None, 0):
        raise ValueError(
            f"order must be 0 with a mask, where each map is one sample, got {order}; "
            "the parts of a mask in patches have no common shape"
        )
    if mask.dtype != bool or mask.shape != (12 * nside**2,):
        raise ValueError(
            f"mask must be boolean of shape ({12 * nside**2},), one value for each pixel in NESTED "
            f"order, got {mask.dtype} of shape {mask.shape}; of another nside, use healpy.ud_grade "
            "and a threshold"
        )
    if not mask.any():
        raise ValueError("mask must keep at least one pixel, got none that is True")
    return MapCut(nside, 0, np.flatnonzero(mask))


def _as_noise(noise: float | MapNoise, num_epochs: int) -> MapNoise:
    """The noise of each epoch."""
    if not isinstance(noise, MapNoise):
        return MapNoise.growing(noise, num_epochs=num_epochs)
    if num_epochs:
        raise ValueError(
            f"noise_warmup_epochs must be 0 with noise that says its levels, got {num_epochs}; "
            "use MapNoise.growing"
        )
    return noise


def _check_scaling(scaling: ChannelScaling, num: int) -> None:
    """Raise unless there are as many numbers as channels."""
    if len(scaling.mean) != num:
        raise ValueError(f"scaling must have {num} means and deviations, got {len(scaling.mean)}")
