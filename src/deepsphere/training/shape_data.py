"""Signals of shapes, batch by batch: a few views of each, which the epochs take in turn."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from deepsphere.data.mesh_projection import ProjectedShapes
from deepsphere.sampling import Sampling
from deepsphere.training.channel_scaling import ChannelScaling, measure_scaling
from deepsphere.training.data_module import EpochLoader, SphereData


class EpochViews(Sampler[int]):
    """Order of the signals in an epoch: some views of every shape, others in the next epoch.

    The order depends on the seed and the epoch alone, so that a training that is resumed sees
    what it would have seen. Lightning announces the epoch by `set_epoch`.

    Parameters
    ----------
    num_shapes, num_views
        The signal of view v of shape i has the index ``i num_views + v``.
    views_per_epoch
        Views of each shape in an epoch, at most all.
    seed
        Seed of the training.

    Raises
    ------
    ValueError
        If there are not as many views.

    Examples
    --------
    >>> views = EpochViews(2, 3, views_per_epoch=1, seed=0)
    >>> sorted(index // 3 for index in views)
    [0, 1]
    """

    def __init__(self, num_shapes: int, num_views: int, *, views_per_epoch: int, seed: int) -> None:
        if not 1 <= views_per_epoch <= num_views:
            raise ValueError(
                f"views_per_epoch must be between 1 and num_views ({num_views}), got "
                f"{views_per_epoch}; project more views"
            )
        self.num_shapes = num_shapes
        self.num_views = num_views
        self.views_per_epoch = views_per_epoch
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
        """Number of signals in an epoch."""
        return self.num_shapes * self.views_per_epoch

    def __iter__(self) -> Iterator[int]:
        """Indices of the signals in the order of the epoch."""
        first = np.random.default_rng((self.seed, 0x51E3)).integers(
            self.num_views, size=self.num_shapes
        )
        turns = self.epoch * self.views_per_epoch + np.arange(self.views_per_epoch)
        views = (first[:, None] + turns) % self.num_views
        indices = (np.arange(self.num_shapes)[:, None] * self.num_views + views).ravel()
        np.random.default_rng((self.seed, self.epoch, 0x0DE2)).shuffle(indices)
        yield from indices.tolist()


class _Signals(Dataset[tuple[Tensor, int]]):
    """Signal and label of view ``index % num_views`` of shape ``index // num_views``."""

    def __init__(self, projected: ProjectedShapes) -> None:
        self._projected = projected
        self._labels = projected.labels.tolist()

    def __len__(self) -> int:
        return len(self._projected) * self._projected.num_views

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        shape, view = divmod(index, self._projected.num_views)
        return torch.from_numpy(self._projected.signal(shape, view)), self._labels[shape]


class SphericalShapes(SphereData):
    """Shapes as signals on the sphere, scaled channel by channel.

    Signals are read from the cache when their batch is made, scaled on the device.

    Parameters
    ----------
    train
        What is learned from; every label known.
    validation
        What is validated on, each view of it; nothing if not given.
    test
        What is tested on, each view of it; nothing if not given.
    batch_size
        Signals in a batch.
    views_per_epoch
        Views of each training shape in an epoch.
    scaling
        Of the channels; measured on the training signals if not given. Validation and test
        signals are scaled as the training signals are.
    seed
        Of order and views.
    num_workers
        Processes that read signals; 0 reads in this one.

    Raises
    ------
    ValueError
        If a number is out of its range, a label is unknown, or the samplings differ.
    """

    def __init__(
        self,
        train: ProjectedShapes,
        *,
        validation: ProjectedShapes | None = None,
        test: ProjectedShapes | None = None,
        batch_size: int = 32,
        views_per_epoch: int = 1,
        scaling: ChannelScaling | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        for name, projected in (("train", train), ("validation", validation), ("test", test)):
            if projected is not None:
                _check_labels(name, projected)
                _check_sampling(name, projected, train.sampling)
        self.sampling = train.sampling
        self.train = train
        self.validation = validation if validation is not None and len(validation) else None
        self.test = test
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.scaling = measure_scaling(train) if scaling is None else scaling
        self._order = EpochViews(
            len(train), train.num_views, views_per_epoch=views_per_epoch, seed=seed
        )

    @property
    def projection(self) -> dict[str, Any]:
        """How shapes are put on the sphere, for the metadata of a checkpoint."""
        return {"kind": "rays"}

    @property
    def normalization(self) -> dict[str, Any]:
        """How the channels are scaled, for the metadata of a checkpoint."""
        return self.scaling.values

    def train_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        """Batches (signals, labels) in the order of the epoch."""
        return self._loader(self.train, self._order)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, int]] | list[Any]:
        """Batches of all validation signals; none when there are none."""
        return [] if self.validation is None else self._loader(self.validation, None)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, int]] | list[Any]:
        """Batches of all test signals; none when there are none."""
        return [] if self.test is None else self._loader(self.test, None)

    def _loader(
        self, projected: ProjectedShapes, order: Sampler[int] | None
    ) -> DataLoader[tuple[Tensor, int]]:
        """Batches of the signals, in an order or as they stand."""
        return EpochLoader(
            _Signals(projected),
            batch_size=self.batch_size,
            sampler=order,
            shuffle=False if order is None else None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def on_after_batch_transfer(
        self, batch: list[Tensor], dataloader_idx: int
    ) -> tuple[Float[Tensor, "batch vertices channels"], Int[Tensor, "batch"]]:
        """Scaled signals and labels of a batch that has reached the device.

        Parameters
        ----------
        batch
            Signals (batch, vertices, channels), labels (batch,).
        dataloader_idx
            Of no effect.

        Returns
        -------
        signals, labels
            Of the same shapes.
        """
        signals, labels = batch
        return self.scaling.apply(signals), labels


def _check_labels(name: str, projected: ProjectedShapes) -> None:
    """Raise unless there are signals to learn from and every label is known."""
    if name == "train" and not len(projected):
        raise ValueError("train must hold at least one shape, got none; look at what was skipped")
    num_unknown = int((projected.labels < 0).sum())
    if num_unknown:
        raise ValueError(
            f"{name} must hold shapes of known class, got {num_unknown} of {len(projected)} "
            "without one; leave them out"
        )


def _check_sampling(name: str, projected: ProjectedShapes, sampling: Sampling) -> None:
    """Raise unless the shapes are sampled as the training shapes are."""
    if projected.sampling != sampling:
        raise ValueError(
            f"{name} must be sampled as train is, on {sampling.spec}, got "
            f"{projected.sampling.spec}; project both on one sampling"
        )
