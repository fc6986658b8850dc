"""A set of maps whose vertices are labelled, in time, which are read when they are asked for."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from deepsphere.sampling.protocol import Sampling

UNLABELLED = -1
"""Label of vertices of which nobody knows the class."""

EventMap = tuple[Float[np.ndarray, "vertices channels"], Int[np.ndarray, "vertices"]]


@runtime_checkable
class EventSource(Protocol):
    """Where one map comes from; can be sent to another process."""

    def read(self) -> EventMap:
        """Signals (vertices, channels), float32, and labels (vertices,), −1 where unknown."""
        ...

    def digest(self) -> str:
        """Text that is another one for another map."""
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """A map in memory.

    Parameters
    ----------
    signals
        Shape (vertices, channels).
    labels
        Shape (vertices,).
    """

    signals: Float[np.ndarray, "vertices channels"]
    labels: Int[np.ndarray, "vertices"]

    def read(self) -> EventMap:
        """Signals and labels, not to be written to.

        Returns
        -------
        signals, labels
        """
        return self.signals, self.labels

    def digest(self) -> str:
        """SHA-256 of the values.

        Returns
        -------
        str
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.signals, "<f4").data)
        digest.update(np.ascontiguousarray(self.labels, "i1").data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class EventSet:
    """Maps with a class for each vertex, which are read when they are asked for.

    Parameters
    ----------
    sources
        The maps.
    sampling
        Where their vertices are.
    channel_names, class_names
        Of all maps.
    dates
        Of each map, datetime64.
    runs
        Number of the model run which each map is of. Maps of one run that follow each other by the
        step of the set are consecutive.
    names
        Of each map, for messages.
    notes
        What a reader of results on these maps must know.

    Raises
    ------
    ValueError
        If there is no map, something is not given for each map, or a date occurs twice in a run.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> events = array_events(
    ...     np.zeros((3, 12, 2)), np.zeros((3, 12), int), sampling=Icosahedral(level=0),
    ...     channel_names=("PSL", "TMQ"), class_names=("background", "storm"),
    ... )
    >>> len(events), events.read(2)[0].shape, str(events.dates[1])
    (3, (12, 2), '2000-01-01T03')
    """

    sources: tuple[EventSource, ...]
    sampling: Sampling
    channel_names: tuple[str, ...]
    class_names: tuple[str, ...]
    dates: Shaped[np.ndarray, "maps"]
    runs: Int[np.ndarray, "maps"]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that all belongs together."""
        num = len(self.sources)
        if not num:
            raise ValueError("maps must be at least one, got none")
        for name in ("dates", "runs", "names"):
            if len(getattr(self, name)) != num:
                raise ValueError(
                    f"{name} must be one for each of {num} maps, got {len(getattr(self, name))}"
                )
        object.__setattr__(self, "dates", np.asarray(self.dates, "datetime64[h]"))
        order = np.lexsort((self.dates, self.runs))
        same = (np.diff(self.dates[order]) == np.timedelta64(0, "h")) & (
            np.diff(self.runs[order]) == 0
        )
        if same.any():
            first, second = order[same.argmax()], order[same.argmax() + 1]
            raise ValueError(
                f"dates must differ within a run, got {self.dates[first]} of run "
                f"{self.runs[first]} for {self.names[first]} and {self.names[second]}"
            )

    def __len__(self) -> int:
        """Number of maps."""
        return len(self.sources)

    @property
    def num_channels(self) -> int:
        """Of each map."""
        return len(self.channel_names)

    @property
    def num_bytes(self) -> int:
        """Memory that the maps take as float32, and their labels as int8."""
        return len(self) * self.sampling.num_vertices * (4 * self.num_channels + 1)

    @property
    def step(self) -> np.timedelta64:
        """Time between consecutive maps: the smallest between two of one run.

        That of single maps is three hours, as in the published data set.
        """
        order = np.lexsort((self.dates, self.runs))
        steps = np.diff(self.dates[order])[np.diff(self.runs[order]) == 0]
        return steps.min() if len(steps) else np.timedelta64(3, "h")

    def read(self, index: int) -> EventMap:
        """One map.

        Parameters
        ----------
        index
            Of the map.

        Returns
        -------
        signals : Float[np.ndarray, "vertices channels"]
            Float32, NaN where missing. Not to be written to.
        labels : Int[np.ndarray, "vertices"]
            Number of the class, −1 where unknown.

        Raises
        ------
        ValueError
            If a file is damaged, or does not hold what the set says.
        """
        signals, labels = self.sources[index].read()
        expected = (self.sampling.num_vertices, self.num_channels)
        if signals.shape != expected or labels.shape != expected[:1]:
            raise ValueError(
                f"{self.names[index]} must hold signals of shape {expected} and a label for each "
                f"vertex, got shapes {signals.shape} and {labels.shape}"
            )
        if labels.min() < UNLABELLED or labels.max() >= len(self.class_names):
            raise ValueError(
                f"{self.names[index]} must hold labels in [0, {len(self.class_names)}), or −1 "
                f"where unknown, got {labels.min()} to {labels.max()}"
            )
        return signals, labels

    def take(self, indices: Sequence[int] | Int[np.ndarray, "chosen"]) -> "EventSet":
        """The maps with these indices, in that order.

        Parameters
        ----------
        indices
            At least one.

        Returns
        -------
        EventSet
        """
        chosen = np.asarray(indices, np.int64)
        return replace(
            self,
            sources=tuple(self.sources[index] for index in chosen),
            dates=self.dates[chosen],
            runs=self.runs[chosen],
            names=tuple(self.names[index] for index in chosen),
        )

    def in_memory(self) -> "EventSet":
        """The same maps, read once and kept; `num_bytes` of memory.

        Returns
        -------
        EventSet
        """
        return replace(self, sources=tuple(self._kept(index) for index in range(len(self))))

    def _kept(self, index: int) -> ArraySource:
        """A map that is kept in memory."""
        source = self.sources[index]
        if isinstance(source, ArraySource):
            return source
        signals, labels = self.read(index)
        return ArraySource(np.array(signals, np.float32), np.array(labels, np.int8))

    def class_counts(self) -> Int[np.ndarray, "maps classes"]:
        """Labelled vertices of each class on each map, all of which are read.

        Returns
        -------
        Int[np.ndarray, "maps classes"]
        """
        counts = np.zeros((len(self), len(self.class_names)), np.int64)
        for index in range(len(self)):
            labels = self.read(index)[1]
            counts[index] = np.bincount(labels[labels >= 0], minlength=len(self.class_names))
        return counts

    def segments(self) -> list[Int[np.ndarray, "maps"]]:
        """Indices of consecutive maps: of one run, each a step after the one before.

        Returns
        -------
        list of Int[np.ndarray, "maps"]
            All maps, by run and date.
        """
        order = np.lexsort((self.dates, self.runs))
        breaks = np.diff(self.dates[order]) != self.step
        breaks |= np.diff(self.runs[order]) != 0
        return np.split(order, np.flatnonzero(breaks) + 1)

    def missing_dates(self) -> list[tuple[int, np.datetime64]]:
        """Runs and dates between the first and the last map of a run for which there is no map.

        Counted in steps of the set from the former map on.

        Returns
        -------
        list of tuple of int and numpy.datetime64
        """
        missing = []
        segments = self.segments()
        for before, after in itertools.pairwise(segments):
            last, first = before[-1], after[0]
            if self.runs[last] == self.runs[first]:
                num = int(np.ceil((self.dates[first] - self.dates[last]) / self.step))
                dates = self.dates[last] + self.step * np.arange(1, max(num, 2))
                missing += [(int(self.runs[last]), date) for date in dates]
        return missing

    def digest(self) -> str:
        """Digest of all maps, their dates, runs, channels, classes and sampling.

        Returns
        -------
        str
            Hexadecimal SHA-256. Maps in files count by the names and sizes of these.
        """
        heads = (self.sampling.spec, self.channel_names, self.class_names)
        digest = hashlib.sha256(repr(heads).encode())
        digest.update(self.dates.astype("<M8[h]").tobytes())
        digest.update(np.ascontiguousarray(self.runs, "<i8").data)
        for source in self.sources:
            digest.update(source.digest().encode())
        return digest.hexdigest()


def array_events(
    signals: Float[np.ndarray, "maps vertices channels"],
    labels: Int[np.ndarray, "maps vertices"],
    *,
    sampling: Sampling,
    channel_names: Sequence[str],
    class_names: Sequence[str],
    dates: Sequence[object] | np.ndarray | None = None,
    runs: Sequence[int] | np.ndarray | None = None,
) -> EventSet:
    """Set of maps that are in memory.

    Parameters
    ----------
    signals
        Values.
    labels
        Numbers of classes, −1 where unknown.
    sampling
        Where the vertices are.
    channel_names, class_names
        One for each.
    dates
        Of each map; every three hours from the year 2000 on if not given.
    runs
        Of each map; one if not given.

    Returns
    -------
    EventSet

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> maps, labels = np.zeros((2, 12, 1)), np.full((2, 12), -1)
    >>> events = array_events(
    ...     maps, labels, sampling=Healpix(1), channel_names=("TMQ",), class_names=("a", "b")
    ... )
    >>> events.class_counts().tolist()
    [[0, 0], [0, 0]]
    """
    num = len(signals)
    if dates is None:
        dates = np.datetime64("2000-01-01T00", "h") + 3 * np.arange(num)
    return EventSet(
        sources=tuple(
            ArraySource(np.asarray(one, np.float32), np.asarray(label, np.int8))
            for one, label in zip(signals, labels, strict=True)
        ),
        sampling=sampling,
        channel_names=tuple(channel_names),
        class_names=tuple(class_names),
        dates=np.asarray(dates, "datetime64[h]"),
        runs=np.ones(num, np.int64) if runs is None else np.asarray(runs, np.int64),
        names=tuple(f"map {index}" for index in range(num)),
    )
