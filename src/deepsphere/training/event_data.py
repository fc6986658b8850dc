"""Maps of extreme events, batch by batch: single, stacked as channels, or as sequences in time."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from deepsphere.data.axis_symmetries import AxisMotions, axis_symmetries
from deepsphere.data.climate_channels import CHANNEL_NAMES, CHANNELS
from deepsphere.data.event_sets import EventSet, FrameWindows, frame_windows
from deepsphere.training.channel_scaling import ChannelScaling, measure_signals
from deepsphere.training.data_module import SphereData
from deepsphere.training.map_noise import check_seed, keyed_generator
from deepsphere.training.map_samples import Split, epoch_loader

Frames = Literal["single", "stacked", "sequence"]
"""One map; some as channels of one signal, the earliest first; or some along a dimension."""

# Sets that take less together are read once and kept.
_BYTES_IN_MEMORY = 2**32
# Maps that the scaling is measured on, evenly chosen.
_NUM_MEASURED = 200
_SYMMETRY = 0x5A05  # last number of the keys of its stream

# Winds towards the north, which change their sign in a mirror at the equator.
_MERIDIONAL = ("V850", "VBOT")


class SphericalEvents(SphereData):
    """Maps of the atmosphere with a class for each vertex, scaled channel by channel.

    Vertices where a frame has no value keep NaN in their signals and have the label −1 (not
    labelled), as those do of which nobody knows the class.

    Parameters
    ----------
    train
        What is learned from.
    validation
        What is validated on; nothing if not given.
    test
        What is tested on; nothing if not given.
    frames
        "single", "stacked" (batch, vertices, frames channels) or "sequence" (batch, frames,
        vertices, channels).
    num_frames
        Of stacks and sequences: windows of consecutive maps of one run, see `frame_windows`.
    shift
        How many steps after the last frame the labels are; of stacks and sequences.
    batch_size
        Signals in a batch.
    scaling
        Of the channels of a map; measured on up to 200 training maps if not given. See
        `published_scaling`.
    symmetries
        How training samples are moved exactly, anew in each epoch: "none", "turns" (about the axis
        of the Earth) or "flips" (also mirrored at the equator, where meridional winds change their
        sign). Those that the sampling has, see `axis_symmetries`.
    seed
        Of order and motions of the training, in [0, 2³²).
    num_workers
        Processes that read maps; 0 reads them in this one.

    Attributes
    ----------
    sampling
        Of the signals.
    scaling
        Of the channels of a map.
    in_channels
        Of the signals: of a map, or of all frames together if they are stacked.
    class_names
        Of the labels.
    windows
        For each split, the windows whose frames are samples.

    Raises
    ------
    ValueError
        If a number or word is out of its range, the sets differ in sampling, channels or classes,
        or there are no windows.

    Examples
    --------
    >>> from deepsphere.data.climate_events import EventPlan, simulated_events
    >>> events = simulated_events(EventPlan(sampling="icosahedral:2", num_maps=4))
    >>> data = SphericalEvents(events, batch_size=2)
    >>> [list(one.shape) for one in next(iter(data.train_dataloader()))]
    [[2, 42, 16], [2, 42]]
    """

    def __init__(
        self,
        train: EventSet,
        validation: EventSet | None = None,
        test: EventSet | None = None,
        *,
        frames: Frames = "single",
        num_frames: int = 3,
        shift: int = 0,
        batch_size: int = 8,
        scaling: ChannelScaling | None = None,
        symmetries: AxisMotions = "none",
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        check_seed("seed", seed)
        if frames not in get_args(Frames):
            raise ValueError(f"frames must be one of {', '.join(get_args(Frames))}, got {frames!r}")
        given: dict[Split, EventSet | None] = {
            "train": train,
            "validation": validation,
            "test": test,
        }
        splits: dict[Split, EventSet] = {
            name: events for name, events in given.items() if events is not None
        }
        for name, events in splits.items():
            _check_same(name, events, train)
        if symmetries == "flips" and not set(train.channel_names) <= set(CHANNEL_NAMES):
            unknown = sorted(set(train.channel_names) - set(CHANNEL_NAMES))
            raise ValueError(
                f"symmetries must not be flips with channels of which nobody knows whether a "
                f"mirror changes their sign, got {', '.join(unknown)}; use turns"
            )
        axis_symmetries(train.sampling, symmetries)  # now, rather than in a worker
        if sum(events.num_bytes for events in splits.values()) <= _BYTES_IN_MEMORY:
            splits = {name: events.in_memory() for name, events in splits.items()}
        self.train = splits["train"]
        self.validation = splits.get("validation")
        self.test = splits.get("test")
        self.sampling = train.sampling
        self.class_names = train.class_names
        self.frames: Frames = frames
        self.num_frames = 1 if frames == "single" else num_frames
        self.shift = 0 if frames == "single" else shift
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.symmetries: AxisMotions = symmetries
        self.scaling = measure_events(self.train) if scaling is None else scaling
        if len(self.scaling.mean) != train.num_channels:
            raise ValueError(
                f"scaling must have {train.num_channels} means and deviations, got "
                f"{len(self.scaling.mean)}"
            )
        self._order_seed = seed
        self.windows: dict[Split, FrameWindows] = {
            name: frame_windows(events, self.num_frames, self.shift)
            for name, events in splits.items()
        }
        self._samples = {
            name: EventSamples(
                windows,
                frames=frames,
                scaling=self.scaling,
                symmetries=symmetries if name == "train" else "none",
                seed=seed,
            )
            for name, windows in self.windows.items()
        }

    @property
    def in_channels(self) -> int:
        """Channels of the signals in the batches."""
        return len(self.channel_names)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel of the signals; of stacked frames with their lag in hours."""
        names = self.train.channel_names
        if self.frames != "stacked":
            return names
        step = int(self.train.step / np.timedelta64(1, "h"))
        lags = [step * (frame - self.num_frames + 1) for frame in range(self.num_frames)]
        return tuple(f"{name}({lag:+d}h)" if lag else name for lag in lags for name in names)

    @property
    def projection(self) -> dict[str, Any]:
        """What signals and labels are, for the metadata of a checkpoint."""
        return {
            "kind": "events",
            "frames": self.frames,
            "num_frames": self.num_frames,
            "shift": self.shift,
            "symmetries": self.symmetries,
            "channel_names": list(self.channel_names),
            "class_names": list(self.class_names),
        }

    @property
    def normalization(self) -> dict[str, Any]:
        """How the channels are scaled, for the metadata of a checkpoint."""
        times = self.num_frames if self.frames == "stacked" else 1
        return ChannelScaling(self.scaling.mean * times, self.scaling.deviation * times).values

    def split_signals(
        self, split: Split
    ) -> Iterator[tuple[Float[np.ndarray, "..."], Int[np.ndarray, "batch vertices"]]]:
        """What networks see of a split, batch by batch as arrays, in the order of its windows.

        Parameters
        ----------
        split
            "train", "validation" or "test".

        Yields
        ------
        signals : Float[np.ndarray, "..."]
            Scaled, float32, not moved.
        labels : Int[np.ndarray, "batch vertices"]
            int64, −1 where not labelled.

        Raises
        ------
        ValueError
            If there is no such split.
        """
        if split not in self._samples:
            raise ValueError(
                f"split must be one of those that were given, {', '.join(self._samples)}, "
                f"got {split!r}"
            )
        samples = self._samples[split]
        for start in range(0, len(samples), self.batch_size):
            numbers = range(start, min(start + self.batch_size, len(samples)))
            signals, labels = zip(*(samples.sample(number) for number in numbers), strict=True)
            yield np.stack(signals), np.stack(labels)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Batches (signals, labels) in the order of the epoch."""
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
    ) -> tuple[Float[Tensor, "batch ..."], Int[Tensor, "batch vertices"]]:
        """Signals and labels of a batch that has reached the device.

        Parameters
        ----------
        batch
            Signals (batch, vertices, channels) or (batch, frames, vertices, channels), labels
            (batch, vertices).
        dataloader_idx
            Of no effect.

        Returns
        -------
        signals, labels
            The same.
        """
        signals, labels = batch
        return signals, labels


class EventSamples(Dataset[tuple[Tensor, Tensor]]):
    """Signals and labels of windows, each a function of its number, the epoch and the seed.

    Samples are asked for by (epoch, number), so that the epoch reaches processes which live longer
    than it.

    Parameters
    ----------
    windows
        What is read.
    frames
        How the frames of a window make a signal.
    scaling
        Of the channels of a map.
    symmetries
        How samples are moved.
    seed
        Of the motions.
    """

    def __init__(
        self,
        windows: FrameWindows,
        *,
        frames: Frames,
        scaling: ChannelScaling,
        symmetries: AxisMotions,
        seed: int,
    ) -> None:
        self.windows = windows
        self.frames: Frames = frames
        self.symmetries: AxisMotions = symmetries
        self.seed = seed
        self._mean = np.array(scaling.mean)
        self._deviation = np.array(scaling.deviation)
        names = windows.events.channel_names
        self._odd = np.array([name in _MERIDIONAL for name in names])

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.windows)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Signal and labels of a sample in an epoch."""
        epoch, number = key
        symmetries = axis_symmetries(self.windows.events.sampling, self.symmetries)
        element = 0
        if len(symmetries) > 1:
            generator = keyed_generator((self.seed, epoch, number, _SYMMETRY))
            element = int(generator.integers(len(symmetries)))
        signal, labels = self.sample(number, element=element)
        return torch.from_numpy(signal), torch.from_numpy(labels)

    def sample(
        self, number: int, *, element: int = 0
    ) -> tuple[Float[np.ndarray, "..."], Int[np.ndarray, "vertices"]]:
        """Scaled signal and labels of a sample, moved by a symmetry.

        Parameters
        ----------
        number
            Of the window.
        element
            Of the symmetries; 0 moves nothing.

        Returns
        -------
        signal, labels
            (vertices, channels) or (frames, vertices, channels), float32; int64.

        Raises
        ------
        ValueError
            If a value is infinite.
        """
        events = self.windows.events
        indices = self.windows.frames[number]
        stack = np.stack([events.read(int(index))[0] for index in indices])
        labels = events.read(int(self.windows.targets[number]))[1].astype(np.int64)
        if np.isinf(stack).any():
            raise ValueError(
                f"maps must be finite, or NaN where missing, got {int(np.isinf(stack).sum())} "
                f"infinite values around {events.names[int(indices[-1])]}"
            )
        labels[np.isnan(stack).any(axis=(0, 2))] = -1
        if element:
            symmetries = axis_symmetries(events.sampling, self.symmetries)
            sources = symmetries.sources(element)
            stack, labels = stack[:, sources], labels[sources]
            if symmetries.is_mirrored(element):
                stack = np.where(self._odd, -stack, stack)
        scaled = ((stack - self._mean) / self._deviation).astype(np.float32)
        if self.frames == "sequence":
            return scaled, labels
        return np.ascontiguousarray(np.concatenate(list(scaled), axis=1)), labels


def published_scaling() -> ChannelScaling:
    """Published mean and standard deviation of the sixteen channels.

    Returns
    -------
    ChannelScaling

    Examples
    --------
    >>> published_scaling().mean[0]
    26.160023
    """
    return ChannelScaling(
        tuple(channel.mean for channel in CHANNELS),
        tuple(channel.deviation for channel in CHANNELS),
    )


def measure_events(events: EventSet) -> ChannelScaling:
    """Mean and standard deviation of the channels over vertices that have all values.

    Parameters
    ----------
    events
        Of which up to 200 maps, evenly chosen, are measured.

    Returns
    -------
    ChannelScaling

    Raises
    ------
    ValueError
        If no vertex of these maps has all values.
    """

    def complete() -> Iterator[np.ndarray]:
        """Values of the vertices that have all, map after map."""
        chosen = np.unique(np.linspace(0, len(events) - 1, min(len(events), _NUM_MEASURED)).round())
        for index in chosen:
            signals = events.read(int(index))[0]
            is_complete = np.isfinite(signals).all(axis=1)
            if is_complete.any():
                yield signals[is_complete]

    signals = complete()
    first = next(signals, None)
    if first is None:
        raise ValueError(
            "maps must have vertices with values of all channels, got none; leave out channels "
            "that are missing everywhere"
        )
    return measure_signals(chain([first], signals))


def _check_same(name: str, events: EventSet, train: EventSet) -> None:
    """Raise unless the maps of a split can be used together with those of the training."""
    for what in ("sampling", "channel_names", "class_names"):
        expected, given = getattr(train, what), getattr(events, what)
        if given != expected:
            raise ValueError(
                f"{name} must have the {what} of train, {expected}, got {given}; "
                "split one set of maps with split_events"
            )
