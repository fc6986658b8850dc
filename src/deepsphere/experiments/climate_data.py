"""The maps of the climate experiment: simulated or read, split, and handed out in batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deepsphere.data.climate_channels import CHANNEL_NAMES
from deepsphere.data.climate_events import EventPlan, simulated_events
from deepsphere.data.event_sets import EventSet, EventSplits, frame_windows
from deepsphere.experiments.climate_config import (
    ClimateNetwork,
    ClimateRecipe,
    ClimateTraining,
    EventSection,
)
from deepsphere.experiments.config import short_hash
from deepsphere.sampling import sampling_from_spec
from deepsphere.training import ChannelScaling, Metadata
from deepsphere.training.event_data import SphericalEvents, published_scaling
from deepsphere.training.map_samples import Split

# Maps that take less together are made once for all trainings.
_BYTES_IN_MEMORY = 2**32


@dataclass(frozen=True, eq=False)
class EventParts:
    """The maps of an experiment, those of one run all in one part.

    Parameters
    ----------
    train, validation, test
        At least one map each.
    """

    train: EventSet
    validation: EventSet
    test: EventSet

    @property
    def num_maps(self) -> tuple[int, int, int]:
        """Of the three parts."""
        return len(self.train), len(self.validation), len(self.test)


def plan_of(section: EventSection) -> EventPlan:
    """The simulation that a recipe describes: whole runs for each of the three parts.

    Parameters
    ----------
    section
        Of the recipe.

    Returns
    -------
    EventPlan

    Examples
    --------
    >>> section = EventSection(num_train=5, num_validation=1, num_test=2, steps_per_run=4)
    >>> plan_of(section).num_maps  # 2 + 1 + 1 runs
    16
    """
    runs = sum(-(-num // section.steps_per_run) for num in _sizes(section))
    return EventPlan(
        sampling=section.sampling,
        num_maps=runs * section.steps_per_run,
        seed=section.seed,
        frequencies=section.frequencies,
        steps_per_run=section.steps_per_run,
        step_hours=section.step_hours,
    )


def digest_of_maps(recipe: ClimateRecipe, data: Path | None) -> str:
    """A short hash of the maps, before they are simulated.

    Parameters
    ----------
    recipe
        With the simulation.
    data
        Where maps lie; None where they are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_parts`.
    """
    if data is None:
        check_data(recipe, data)
        return short_hash(plan_of(recipe.simulation).digest())
    parts = open_parts(recipe, data=data)
    return short_hash([part.digest() for part in (parts.train, parts.validation, parts.test)])


def check_data(recipe: ClimateRecipe, data: Path | None) -> None:
    """Raise where a recipe is about maps that are not named.

    Parameters
    ----------
    recipe
        That may be about the original maps.
    data
        Where maps lie; None where they are simulated.

    Raises
    ------
    ValueError
        If so.
    """
    if recipe.needs_data and data is None:
        raise ValueError(
            "data must name the folder of the original maps for this recipe, got none; pass "
            "--data FOLDER, or run  deepsphere reproduce climate  on simulated maps"
        )


def open_parts(recipe: ClimateRecipe, *, data: Path | None) -> EventParts:
    """The maps of a recipe, made or read when they are asked for.

    Parameters
    ----------
    recipe
        With the simulation.
    data
        Where maps lie; None where they are simulated.

    Returns
    -------
    EventParts

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such maps, they are damaged, or a part is missing.
    """
    check_data(recipe, data)
    if data is not None:
        splits = open_event_folder(data, sampling=recipe.data.sampling)
        if splits.validation is None or splits.test is None:
            raise ValueError(
                f"data must hold maps for validation and test, got {data} without; complete its "
                "lists of maps"
            )
        return EventParts(splits.train, splits.validation, splits.test)
    section = recipe.simulation
    events = simulated_events(plan_of(section))
    chosen, start = [], 0
    for num in _sizes(section):
        chosen.append(events.take(np.arange(start, start + num)))
        start += -(-num // section.steps_per_run) * section.steps_per_run
    return EventParts(*chosen)


def open_event_folder(folder: Path, *, sampling: str | None = None) -> EventSplits:
    """The maps of a folder, in the one or the other of the published formats.

    Parameters
    ----------
    folder
        With ``.npz`` files on the icosahedral grid, or with ``.h5`` files in full resolution.
    sampling
        Specification of another one, to which those in full resolution are averaged.

    Returns
    -------
    EventSplits

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are no such files in it, or they are damaged.
    """
    from deepsphere.data.climate_folders import open_climate_folder
    from deepsphere.data.climate_hdf5 import open_climate_hdf5

    if not folder.is_dir():
        raise FileNotFoundError(f"data must name a folder of maps, got {folder}, which is none")
    if next(folder.rglob("*.h5"), None) is not None:
        target = None if sampling is None else sampling_from_spec(sampling)
        return open_climate_hdf5(folder, target=target)
    return open_climate_folder(folder)


def keep_parts(parts: EventParts, announce: Callable[[str], None]) -> EventParts:
    """Maps that are small enough together, made or read once for all trainings.

    Parameters
    ----------
    parts
        Of maps.
    announce
        Told what is being done.

    Returns
    -------
    EventParts
        In memory, or the same.
    """
    named = {"training": parts.train, "validation": parts.validation, "test": parts.test}
    if sum(part.num_bytes for part in named.values()) > _BYTES_IN_MEMORY:
        return parts
    kept = []
    for name, part in named.items():
        announce(f"making {len(part):,} {name} maps")
        kept.append(part.in_memory())
    return EventParts(*kept)


def maps_of(
    recipe: ClimateRecipe,
    parts: EventParts,
    network: ClimateNetwork,
    training: ClimateTraining,
    *,
    seed: int,
    scaling: ChannelScaling | None = None,
) -> SphericalEvents:
    """What a network sees of the maps, batch by batch.

    All networks of a recipe learn the labels of the same maps, also those which look at one frame
    only.

    Parameters
    ----------
    recipe
        With the windows.
    parts
        The maps.
    network
        With how it takes the frames.
    training
        With the size of the batches and the symmetries.
    seed
        Of the order and the motions.
    scaling
        Of the channels; what the recipe says if not given.

    Returns
    -------
    SphericalEvents

    Raises
    ------
    ValueError
        If published scaling is asked for and the channels are others.
    """
    num_frames, shift = recipe.data.num_frames, recipe.data.shift
    sets = (parts.train, parts.validation, parts.test)
    frames = network.frames
    if frames == "single" and (num_frames > 1 or shift):
        sets = tuple(_without_first(events, num_frames, shift) for events in sets)
        # one frame, and the labels of some steps later
        frames, num_frames = "stacked", 1
    train, validation, test = sets
    if scaling is None and recipe.data.scaling == "published":
        if train.channel_names != CHANNEL_NAMES:
            raise ValueError(
                f"data.scaling must not be 'published' for the channels "
                f"{', '.join(train.channel_names)}, it is that of {', '.join(CHANNEL_NAMES)}; use "
                "'measured'"
            )
        scaling = published_scaling()
    return SphericalEvents(
        train,
        validation,
        test,
        frames=frames,
        num_frames=num_frames,
        shift=shift,
        batch_size=training.batch_size,
        scaling=scaling,
        symmetries=training.symmetries,
        seed=seed,
    )


def first_windows(parts: EventParts, recipe: ClimateRecipe, *, num: int) -> EventParts:
    """The first windows of each part, for what does not need all maps.

    Parameters
    ----------
    parts
        The maps.
    recipe
        With the windows.
    num
        At most so many of each part.

    Returns
    -------
    EventParts
    """

    def few(events: EventSet) -> EventSet:
        windows = frame_windows(events, recipe.data.num_frames, recipe.data.shift)
        return events.take(np.union1d(windows.frames[:num], windows.targets[:num]))

    return EventParts(few(parts.train), few(parts.validation), few(parts.test))


def scaling_of(metadata: Metadata, num_channels: int) -> ChannelScaling | None:
    """The scaling of a map in the training of a checkpoint, also where it stacked several.

    Parameters
    ----------
    metadata
        Of the checkpoint.
    num_channels
        Of a map.

    Returns
    -------
    ChannelScaling or None
        None where the checkpoint does not say.
    """
    if metadata.normalization is None:
        return None
    values = ChannelScaling.from_values(metadata.normalization)
    return ChannelScaling(values.mean[:num_channels], values.deviation[:num_channels])


def batches_of(data: SphericalEvents, part: Split) -> Iterator[tuple[Tensor, Tensor]]:
    """Signals and labels of a part, in their order, as tensors.

    Parameters
    ----------
    data
        With the part.
    part
        "train", "validation" or "test".

    Yields
    ------
    signals, labels : Tensor
    """
    for signals, labels in data.split_signals(part):
        yield torch.from_numpy(signals), torch.from_numpy(labels)


def _without_first(events: EventSet, num_frames: int, shift: int) -> EventSet:
    """The last frames of all windows of a set, and the maps whose labels belong to them."""
    windows = frame_windows(events, num_frames, shift)
    return events.take(np.union1d(windows.frames[:, -1], windows.targets))


def _sizes(section: EventSection) -> tuple[int, int, int]:
    """Maps of each part."""
    return section.num_train, section.num_validation, section.num_test
