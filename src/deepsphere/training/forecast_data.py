"""Windows of fields, batch by batch, as networks that forecast see them."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepsphere.data.calendars import seconds_since
from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.windows import Windows, check_positive
from deepsphere.tasks.forecasting import Forecasting
from deepsphere.training.data_module import EpochLoader, EpochShuffle, SphereData
from deepsphere.training.field_preparation import FieldPreparation, measure_preparation

Split = Literal["train", "validation", "test"]


class ForecastBatch(NamedTuple):
    """Some windows, scaled.

    Attributes
    ----------
    states
        Fields at the lags, oldest first; NaN where a value is missing.
    targets
        Fields at each iteration; NaN where a value is missing.
    boundary
        Boundary fields of each iteration, all of the first lag first; no channels where there are
        none.
    """

    states: Float[Tensor, "batch lags vertices channels"]
    targets: Float[Tensor, "batch iterations vertices channels"]
    boundary: Float[Tensor, "batch iterations vertices boundary"]


class WindowBatches(Dataset[ForecastBatch]):
    """Windows of a series, read together as they are asked for, and scaled.

    Parameters
    ----------
    windows
        Which there are.
    task
        What is forecast.
    preparation
        How fields are scaled.
    """

    def __init__(
        self, windows: Windows, *, task: Forecasting, preparation: FieldPreparation
    ) -> None:
        self.windows = windows
        self.task = task
        self.preparation = preparation

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.windows)

    def __getitem__(self, window: int) -> ForecastBatch:
        """One window, as a batch."""
        return self.__getitems__([window])

    def __getitems__(self, windows: list[int]) -> ForecastBatch:
        """Some windows; every field is read once."""
        inputs = self.windows.input_indices(windows)
        targets = self.windows.target_indices(windows)
        needed, places = np.unique(np.concatenate([inputs, targets], axis=1), return_inverse=True)
        series = self.windows.series
        fields = self.preparation.prepare(series.read(needed), series.times[needed])
        chosen = torch.from_numpy(fields[places.reshape(len(windows), -1)])
        num_lags = inputs.shape[1]
        boundary = self._boundary(self.windows.starts[np.asarray(windows, np.int64)])
        return ForecastBatch(chosen[:, :num_lags], chosen[:, num_lags:], boundary)

    def _boundary(self, starts: np.ndarray) -> Tensor:
        """Boundary fields of all iterations."""
        series, task = self.windows.series, self.task
        number = self.windows.num_iterations
        if series.boundary is None:
            return torch.zeros(len(starts), number, series.sampling.num_vertices, 0)
        times = boundary_times(series, starts, task=task, num_iterations=number)
        # most are shared by several windows
        _, first, places = np.unique(seconds_since(times), return_index=True, return_inverse=True)
        fields = self.preparation.prepare_boundary(series.boundary, times[first])
        chosen = torch.from_numpy(fields)[torch.from_numpy(places)]
        shaped = chosen.unflatten(0, (len(starts), number, len(task.boundary_lags)))
        return shaped.transpose(2, 3).flatten(-2)


def boundary_times(
    series: FieldSeries, starts: np.ndarray, *, task: Forecasting, num_iterations: int
) -> np.ndarray:
    """Times of the boundary fields of all iterations, from some starts on.

    Parameters
    ----------
    series
        Whose times are taken.
    starts
        Indices in the series.
    task
        Which lags there are.
    num_iterations
        How many steps are forecast.

    Returns
    -------
    ndarray
        Shape (starts · iterations · lags,), in this order.
    """
    offsets = [
        iteration * task.step + lag
        for iteration in range(num_iterations)
        for lag in task.boundary_lags
    ]
    times = np.empty(len(starts) * len(offsets), series.times.dtype)
    times[:] = [series.axis.after(int(start), offset) for start in starts for offset in offsets]
    return times


class ForecastData(SphereData):
    """Fields to learn forecasting from, scaled by numbers of the training alone.

    Series that take less than 2 GiB are read once and kept; from others the windows of a batch are
    read as it is made, in `num_workers` processes.

    Parameters
    ----------
    train
        What is learned from.
    task
        What is forecast, from which lags.
    validation
        What is validated on; nothing if not given.
    test
        What is tested on; nothing if not given. See `split_series` for parts that leak nothing.
    climatology
        Of the training, to learn anomalies from it; None to learn the fields as they are.
    batch_size
        Windows in a batch.
    preparation
        How fields are scaled; measured on the training if not given.
    seed
        Of the order in each epoch.
    num_workers
        Processes that read; 0 reads in this one.

    Attributes
    ----------
    sampling
        Of the fields.
    preparation
        As it was given or measured.
    windows
        Of each part, by name.
    notes
        What was left out, in words.

    Raises
    ------
    ValueError
        If a number is out of its range, the parts differ in sampling, channels or step, a series
        does not have the channels of the task, or no window is complete.
    """

    def __init__(
        self,
        train: FieldSeries,
        *,
        task: Forecasting,
        validation: FieldSeries | None = None,
        test: FieldSeries | None = None,
        climatology: Climatology | None = None,
        batch_size: int = 16,
        preparation: FieldPreparation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        check_positive("batch_size", batch_size)
        given: dict[Split, FieldSeries | None] = {
            "train": train,
            "validation": validation,
            "test": test,
        }
        self.task = task
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        parts = {
            name: _fitting(series, name=name, task=task, train=train)
            for name, series in given.items()
            if series is not None
        }
        if all(series.is_small for series in parts.values()):
            parts = {name: series.in_memory().without_empty() for name, series in parts.items()}
        self.preparation = preparation or measure_preparation(
            parts["train"], climatology=climatology
        )
        self.windows = {
            name: Windows(
                series,
                input_lags=task.input_lags,
                step=task.step,
                num_iterations=task.num_iterations,
            )
            for name, series in parts.items()
        }
        self.train = parts["train"]
        self.validation = parts.get("validation")
        self.test = parts.get("test")
        self.sampling = train.sampling
        self.notes = tuple(
            f"{name}: {note}"
            for name, windows in self.windows.items()
            for note in (*windows.series.notes, *windows.notes)
        )

    @property
    def projection(self) -> dict[str, Any]:
        """What a network sees beside the fields, for the metadata of a checkpoint."""
        return self.preparation.projection

    @property
    def normalization(self) -> dict[str, Any]:
        """How the fields are scaled, for the metadata of a checkpoint."""
        return self.preparation.normalization

    def batches(self, split: Split) -> Iterator[ForecastBatch]:
        """All windows of a part in their order, batch by batch.

        Parameters
        ----------
        split
            "train", "validation" or "test".

        Yields
        ------
        ForecastBatch

        Raises
        ------
        ValueError
            If there is no such part.
        """
        dataset = self._dataset(split)
        for start in range(0, len(dataset), self.batch_size):
            yield dataset.__getitems__([*range(start, min(start + self.batch_size, len(dataset)))])

    def train_dataloader(self) -> DataLoader[ForecastBatch]:
        """Batches in the order of the epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[ForecastBatch] | list[Any]:
        """Batches of all windows of the validation; none when there is none."""
        return [] if self.validation is None else self._loader("validation")

    def test_dataloader(self) -> DataLoader[ForecastBatch] | list[Any]:
        """Batches of all windows of the test; none when there is none."""
        return [] if self.test is None else self._loader("test")

    def _dataset(self, split: Split) -> WindowBatches:
        """The windows of a part."""
        if split not in self.windows:
            raise ValueError(
                f"split must be one of those that were given, {', '.join(self.windows)}, got "
                f"{split!r}"
            )
        return WindowBatches(self.windows[split], task=self.task, preparation=self.preparation)

    def _loader(self, split: Split) -> DataLoader[ForecastBatch]:
        """Batches of the windows of a part, shuffled for the training."""
        dataset = self._dataset(split)
        order = EpochShuffle(len(dataset), seed=self.seed) if split == "train" else None
        return EpochLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=order,
            shuffle=False if order is None else None,
            collate_fn=_as_it_is,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )


def _as_it_is(batch: Any) -> ForecastBatch:
    """What was read together is a batch."""
    return batch


def _fitting(
    series: FieldSeries, *, name: str, task: Forecasting, train: FieldSeries
) -> FieldSeries:
    """The channels of the task, of a series that fits."""
    missing = [one for one in task.channel_names if one not in series.channel_names]
    if missing:
        raise ValueError(
            f"{name} must have the channels of the task, {', '.join(task.channel_names)}, got "
            f"{', '.join(series.channel_names)}"
        )
    boundary = () if series.boundary is None else series.boundary.channel_names
    for what, expected, found in (
        ("sampling", train.sampling, series.sampling),
        ("step", str(train.step), str(series.step or train.step)),
        ("static fields", task.static_names, series.static_names),
        ("boundary fields", task.boundary_names, boundary),
    ):
        if found != expected:
            raise ValueError(
                f"{name} must have the {what} of the training and the task, {expected}, got "
                f"{found}; make the parts with split_series and the task with Forecasting.of_series"
            )
    return series.select(task.channel_names)
