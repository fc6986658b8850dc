"""Images on the sphere, batch by batch, under the protocols of the field."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import lightning
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, TensorDataset

from deepsphere.data import (
    Digits,
    ImageSplit,
    epoch_rotations,
    evaluation_rotations,
    stereographic_signals,
)
from deepsphere.data.transforms import Fit
from deepsphere.sampling.protocol import Sampling

VALIDATION_SEED = 1  # not that of the test rotations, which nothing is chosen on


class SphereData(lightning.LightningDataModule):
    """What `fit` asks of data: where they are sampled, and what a checkpoint shall say of them.

    Attributes
    ----------
    sampling
        Of the signals in the batches.
    validation
        What is validated on; None where nothing is.
    """

    sampling: Sampling
    validation: Any

    @property
    def projection(self) -> dict[str, Any] | None:
        """How things are put on the sphere, as plain values; None where nothing is."""
        return None

    @property
    def normalization(self) -> dict[str, Any] | None:
        """How signals are scaled, as plain values; None where they are taken as they are."""
        return None


class EpochLoader(DataLoader[Any]):
    """Loader that fetches nothing before its first batch is asked for.

    Lightning asks for the iterator of the first epoch before it announces that epoch, upon which
    worker processes would fetch samples of an epoch 0, also for a training that is resumed later.
    """

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Batches of the epoch that was announced last."""
        yield from super().__iter__()


class EpochShuffle(Sampler[int]):
    """Order of the samples in an epoch, which depends on the seed and the epoch alone.

    A training that is resumed so sees the order that it would have seen. Lightning announces the
    epoch by `set_epoch`.

    Parameters
    ----------
    num_samples
        Number of samples.
    seed
        Seed of the training.

    Examples
    --------
    >>> sorted(EpochShuffle(4, seed=0))
    [0, 1, 2, 3]
    """

    def __init__(self, num_samples: int, *, seed: int) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Announce the number of the epoch that begins.

        Parameters
        ----------
        epoch
            From 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of samples."""
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        """Indices of all samples in the order of the epoch."""
        # two streams must not meet: (seed, epoch) pairs are spread by a large odd number
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        yield from torch.randperm(self.num_samples, generator=generator).tolist()


class SphericalImages(SphereData):
    """Images of a data set, put on the sphere when their batch is made.

    What is kept and moved about are the plane images; the batch is projected on the device, at
    the points of the sampling. With rotations, every training image gets a fresh one in each
    epoch; every validation image has one of its own, and every test image a few, all fixed.

    Parameters
    ----------
    digits
        Training and test images.
    sampling
        Where the spherical images are sampled.
    rotate_train
        Rotate the images that are trained and validated on: the first R of R/R.
    rotate_test
        Rotate the test images: the second R of R/R.
    batch_size
        Images in a batch.
    validation_fraction
        Share of the training images to validate on, in [0, 1); 0 validates on nothing.
    cap_deg, fit
        Where on the sphere the images lie; see `stereographic_signals`.
    rotations_per_image
        How many rotations of each test image are judged.
    seed
        Of the split, the order and the rotations.
    num_workers
        Processes that load images; projecting is done in this one anyway.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    def __init__(
        self,
        digits: Digits,
        sampling: Sampling,
        *,
        rotate_train: bool,
        rotate_test: bool,
        batch_size: int = 32,
        validation_fraction: float = 0.0,
        cap_deg: float = 90.0,
        fit: Fit = "edges",
        rotations_per_image: int = 3,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if rotations_per_image < 1:
            raise ValueError(f"rotations_per_image must be at least 1, got {rotations_per_image}")
        if not 0 <= validation_fraction < 1:
            raise ValueError(f"validation_fraction must be in [0, 1), got {validation_fraction}")
        self.digits = digits
        self.sampling = sampling
        self.rotate_train = rotate_train
        self.rotate_test = rotate_test
        self.batch_size = batch_size
        self.cap_deg = cap_deg
        self.fit: Fit = fit
        self.rotations_per_image = rotations_per_image
        self.seed = seed
        self.num_workers = num_workers
        self.train: ImageSplit = digits.train
        self.validation: ImageSplit | None = None
        if validation_fraction > 0:
            self.train, self.validation = digits.validation_split(validation_fraction, seed=seed)
        if self.validation is not None and not len(self.validation):
            raise ValueError(
                f"validation_fraction must give at least one of {len(digits.train)} images, "
                f"got {validation_fraction}"
            )
        self._points = torch.tensor(sampling.points, dtype=torch.float32)
        self._epoch_rotations: tuple[int, Tensor] | None = None

    @property
    def projection(self) -> dict[str, Any]:
        """How images are put on the sphere, for the metadata of a checkpoint."""
        return {"kind": "stereographic", "cap_deg": float(self.cap_deg), "fit": self.fit}

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Batches (images, labels, indices) in the order of the epoch."""
        return self._loader(self.train, EpochShuffle(len(self.train), seed=self.seed))

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]] | list[Any]:
        """Batches of the validation images; none when there are none."""
        return [] if self.validation is None else self._loader(self.validation, None)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Batches of the test images, each as often as it is rotated."""
        return self._loader(self.digits.test, None, repeats=self._num_test_views())

    def _num_test_views(self) -> int:
        """How often each test image is judged."""
        return self.rotations_per_image if self.rotate_test else 1

    def _loader(
        self, split: ImageSplit, order: Sampler[int] | None, *, repeats: int = 1
    ) -> DataLoader[tuple[Tensor, ...]]:
        """Loader of (images, labels, indices), where index i is a view of image i // repeats."""
        images = torch.tensor(split.images, dtype=torch.float32)
        labels = torch.tensor(split.labels, dtype=torch.int64)
        indices = torch.arange(len(split) * repeats)
        dataset = TensorDataset(
            images.repeat_interleave(repeats, dim=0), labels.repeat_interleave(repeats), indices
        )
        return EpochLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=order,
            shuffle=False if order is None else None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def on_after_batch_transfer(
        self, batch: Sequence[Tensor], dataloader_idx: int
    ) -> tuple[Float[Tensor, "batch vertices 1"], Int[Tensor, "batch"]]:
        """Signals on the sphere and labels of a batch that has reached the device.

        Parameters
        ----------
        batch
            Images (batch, height, width), labels (batch,), indices (batch,).
        dataloader_idx
            Of no effect.

        Returns
        -------
        signals, labels
            Shapes (batch, vertices, 1) and (batch,).

        Raises
        ------
        ValueError
            If there is no trainer.
        """
        images, labels, indices = batch
        rotations = self._rotations()
        if rotations is not None:
            rotations = rotations[indices.cpu()].to(images)
        self._points = self._points.to(images.device)
        signals = stereographic_signals(
            images, self._points, rotations, cap_deg=self.cap_deg, fit=self.fit
        )
        return signals, labels

    def _rotations(self) -> Float[Tensor, "samples 3 3"] | None:
        """Rotations of all samples at this stage of the trainer, None where none are applied."""
        trainer = self.trainer
        if trainer is None:
            raise ValueError(
                "the data must be driven by a trainer, which tells the epoch and the stage, got "
                "none; use fit, or stereographic_signals for single images"
            )
        if trainer.testing:
            return self._test_rotations if self.rotate_test else None
        if not self.rotate_train:
            return None
        if trainer.validating or trainer.sanity_checking:
            return self._validation_rotations
        epoch = trainer.current_epoch
        if self._epoch_rotations is None or self._epoch_rotations[0] != epoch:
            rotations = epoch_rotations(len(self.train), seed=self.seed, epoch=epoch)
            self._epoch_rotations = (epoch, torch.tensor(rotations, dtype=torch.float32))
        return self._epoch_rotations[1]

    @cached_property
    def _test_rotations(self) -> Float[Tensor, "views 3 3"]:
        """Rotation of every view of every test image, the same for all seeds of training."""
        num_images = len(self.digits.test)
        rotations = evaluation_rotations(num_images, per_image=self.rotations_per_image)
        return torch.tensor(rotations, dtype=torch.float32).flatten(0, 1)

    @cached_property
    def _validation_rotations(self) -> Float[Tensor, "images 3 3"]:
        """Rotation of every validation image."""
        num_images = 0 if self.validation is None else len(self.validation)
        rotations = evaluation_rotations(num_images, per_image=1, seed=VALIDATION_SEED)
        return torch.tensor(rotations, dtype=torch.float32).flatten(0, 1)
