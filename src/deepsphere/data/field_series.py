"""Fields in the course of time, read when they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.calendars import Times, format_time
from deepsphere.data.field_sources import ArrayFields, ChosenFields, FieldSource, KnownFields
from deepsphere.data.time_axis import TimeAxis, TimeStep
from deepsphere.sampling import Sampling

# Series that take no more memory than this are read once and kept.
_BYTES_IN_MEMORY = 2 * 2**30


@dataclass(frozen=True, eq=False)
class FieldSeries:
    """Fields on a sampling of the sphere at increasing times, with what is known beside them.

    Only what is asked for is read, in whichever process asks. `array_series` makes a series of
    arrays, `deepsphere.data.field_files.open_series` one of files.

    Parameters
    ----------
    source
        Where the fields lie.
    frames
        Of each time of the series, the index in the source.
    axis
        The times.
    sampling
        Of the fields.
    channel_names
        Name of each channel, all different.
    units
        Unit of each channel, "" where it is not known.
    static
        Fields that stay the same, finite: orography, land, latitude.
    static_names
        Name of each of them.
    boundary
        Fields that are known in advance at every time, as insolation or sea ice.
    layout
        How the vertices lie in the file (`deepsphere.fields.GridLayout`), with which forecasts are
        written as the series was read; None for arrays.
    attributes
        Of each channel in the file, by name.
    notes
        What a user should know about the series, in words.

    Raises
    ------
    ValueError
        If names, units, static or boundary fields do not fit.
    """

    source: FieldSource
    frames: Int[np.ndarray, "times"]
    axis: TimeAxis
    sampling: Sampling
    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    static: Float[np.ndarray, "vertices static"] | None = None
    static_names: tuple[str, ...] = ()
    boundary: KnownFields | None = None
    layout: Any = None
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if len(self.frames) != len(self.axis):
            raise ValueError(
                f"times must be one for each of {len(self.frames)} fields, got {len(self.axis)}"
            )
        names = self.channel_names
        if not names or len(set(names)) < len(names) or not all(names):
            raise ValueError(f"channel_names must be different and not empty, got {names}")
        if len(self.units) != len(names):
            raise ValueError(
                f"units must be one for each of {len(names)} channels, got {len(self.units)}; "
                'use "" where one is not known'
            )
        _check_static(self.static, self.static_names, self.sampling)
        if self.boundary is not None and self.boundary.sampling != self.sampling:
            raise ValueError(
                f"boundary must be sampled as the series is, on {self.sampling!r}, got "
                f"{self.boundary.sampling!r}; regrid one of them"
            )

    def __len__(self) -> int:
        """Number of times."""
        return len(self.axis)

    @property
    def times(self) -> Times:
        """datetime64[s], or objects of cftime."""
        return self.axis.times

    @property
    def step(self) -> TimeStep | None:
        """The regular step between the times; None for a single one."""
        return self.axis.step

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_names)

    @property
    def num_bytes(self) -> int:
        """Memory that the fields take as float32."""
        return 4 * len(self) * self.sampling.num_vertices * self.num_channels

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, "chosen"]
    ) -> Float[np.ndarray, "chosen vertices channels"]:
        """Fields of some times.

        Parameters
        ----------
        indices
            From 0, in any order; one may come several times.

        Returns
        -------
        Float[np.ndarray, "chosen vertices channels"]
            float32; NaN where a value is missing.

        Raises
        ------
        ValueError
            If an index is out of range, or a value is infinite.
        """
        chosen = np.asarray(indices, np.int64).reshape(-1)
        outside = chosen[(chosen < 0) | (chosen >= len(self))]
        if len(outside):
            raise ValueError(f"indices must be between 0 and {len(self) - 1}, got {outside[0]}")
        shape = (len(chosen), self.sampling.num_vertices, self.num_channels)
        if not len(chosen):
            return np.empty(shape, np.float32)
        values = np.asarray(self.source.read(self.frames[chosen]), np.float32)
        if values.shape != shape:
            raise ValueError(f"source must give fields of shape {shape}, got {values.shape}")
        if np.isinf(values).any():
            time, _, channel = np.argwhere(np.isinf(values))[0]
            raise ValueError(
                f"fields must be finite or NaN, got an infinite {self.channel_names[channel]} at "
                f"{format_time(self.times[chosen[time]])}; mark what is missing by NaN"
            )
        return values

    def at(self, times: Times | Sequence[Any]) -> Float[np.ndarray, "times vertices channels"]:
        """Fields at some times.

        Parameters
        ----------
        times
            Times of the series.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]

        Raises
        ------
        ValueError
            If the series does not have one of them.
        """
        indices = self.axis.indices_of(times)
        missing = np.flatnonzero(indices < 0)
        if len(missing):
            raise ValueError(
                f"times must be among those of {', '.join(self.channel_names)}, "
                f"{format_time(self.times[0])} to {format_time(self.times[-1])}, got "
                f"{format_time(np.asarray(times)[missing[0]])}; take a longer series, or fewer "
                "steps"
            )
        return self.read(indices)

    def take(self, indices: Sequence[int] | Int[np.ndarray, "chosen"]) -> "FieldSeries":
        """The series at some of its times.

        Parameters
        ----------
        indices
            Increasing, at least one. Times that are left out between become a gap.

        Returns
        -------
        FieldSeries
        """
        chosen = np.asarray(indices, np.int64)
        return replace(self, frames=self.frames[chosen], axis=self.axis.take(chosen))

    def between(self, start: Any = None, stop: Any = None) -> "FieldSeries":
        """The series from one time to before another.

        Parameters
        ----------
        start, stop
            Times or texts, "2015" or "2015-01-31T12:00"; `stop` itself is left out. None: from
            the first, to the last.

        Returns
        -------
        FieldSeries

        Raises
        ------
        ValueError
            If no time lies between.
        """
        keep = np.ones(len(self), bool)
        if start is not None:
            keep &= self.times >= self.axis.parse(start)
        if stop is not None:
            keep &= self.times < self.axis.parse(stop)
        if not keep.any():
            raise ValueError(
                f"start and stop must leave a time of {format_time(self.times[0])} to "
                f"{format_time(self.times[-1])}, got {start} and {stop}"
            )
        return self.take(np.flatnonzero(keep))

    def select(self, names: Sequence[str]) -> "FieldSeries":
        """The series with some of its channels.

        Parameters
        ----------
        names
            Of the channels, in the order that is wanted.

        Returns
        -------
        FieldSeries

        Raises
        ------
        ValueError
            If there is no such channel.
        """
        if tuple(names) == self.channel_names:
            return self
        missing = [name for name in names if name not in self.channel_names]
        if missing:
            raise ValueError(
                f"names must be among {', '.join(self.channel_names)}, got {missing[0]!r}"
            )
        channels = np.array([self.channel_names.index(name) for name in names], np.int64)
        return replace(
            self,
            source=ChosenFields(self.source, channels=channels),
            channel_names=tuple(names),
            units=tuple(self.units[index] for index in channels),
        )

    def subset(
        self, selection: Bool[np.ndarray, "vertices"] | Int[np.ndarray, "kept"]
    ) -> "FieldSeries":
        """The series at some of its vertices, as those over the sea; static fields included.

        Parameters
        ----------
        selection
            A mask, or indices.

        Returns
        -------
        FieldSeries
            On a `Subset` of the sampling.
        """
        sampling = self.sampling.subset(selection)
        selection = np.asarray(selection)
        kept = np.flatnonzero(selection) if selection.dtype == bool else selection.astype(np.int64)
        boundary = self.boundary
        if boundary is not None:
            # of a class of its own: fields that are computed know how to leave vertices out
            boundary = boundary.subset(selection)  # pyright: ignore[reportAttributeAccessIssue]
        layout = self.layout
        if layout is not None:
            # a layout keeps the order of the grid, which indices in another order do not
            layout = layout.subset(np.isin(np.arange(self.sampling.num_vertices), kept))
            layout = layout if layout.sampling == sampling else None
        return replace(
            self,
            source=ChosenFields(self.source, vertices=kept),
            sampling=sampling,
            static=None if self.static is None else self.static[kept],
            boundary=boundary,
            layout=layout,
        )

    def in_memory(self) -> "FieldSeries":
        """The same series, read once and kept: 4 bytes for each value.

        Returns
        -------
        FieldSeries
        """
        if isinstance(self.source, ArrayFields) and not isinstance(self.source.values, np.memmap):
            return self
        values = self.read(np.arange(len(self)))
        return replace(self, source=ArrayFields(values), frames=np.arange(len(self)))

    @property
    def is_small(self) -> bool:
        """Whether the series fits in memory without a thought, in less than 2 GiB."""
        return self.num_bytes <= _BYTES_IN_MEMORY

    def without_empty(self) -> "FieldSeries":
        """The series without times at which a channel has no value at all; everything is read.

        Returns
        -------
        FieldSeries
            With a note where some were left out. They are gaps now.

        Raises
        ------
        ValueError
            If none is left.
        """
        empty = [
            index
            for index in range(len(self))
            if np.isnan(self.read([index])).all(axis=(0, 1)).any()
        ]
        if not empty:
            return self
        if len(empty) == len(self):
            raise ValueError(
                f"fields must have values, got a channel of {', '.join(self.channel_names)} that "
                "is missing at all times; leave it out"
            )
        note = (
            f"{len(empty)} of {len(self)} times left out, at which a channel has no value; the "
            f"first is {format_time(self.times[empty[0]])}"
        )
        kept = self.take(np.setdiff1d(np.arange(len(self)), empty))
        return replace(kept, notes=(*self.notes, note))


def array_series(
    values: Float[np.ndarray, "times vertices channels"],
    times: Times | Sequence[Any],
    sampling: Sampling,
    *,
    channel_names: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
    static: Float[np.ndarray, "vertices static"] | None = None,
    static_names: Sequence[str] | None = None,
    boundary: KnownFields | None = None,
) -> FieldSeries:
    """Series of fields in memory, or in an array that is mapped into it.

    Parameters
    ----------
    values
        Fields, NaN where a value is missing.
    times
        Of each field, increasing on a regular step; some may be missing.
    sampling
        Of the fields.
    channel_names, units
        Of the channels; field_0, field_1, ... and "" if not given.
    static, static_names
        Fields that stay the same, and their names; static_0, ... if not given.
    boundary
        Fields that are known in advance at all times.

    Returns
    -------
    FieldSeries

    Raises
    ------
    TypeError
        If times are none.
    ValueError
        If something does not fit, or the times do not increase on a regular step.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> times = np.datetime64("2020-01-01T00") + np.arange(4) * np.timedelta64(6, "h")
    >>> series = array_series(np.zeros((4, 12, 1)), times, Healpix(1), channel_names=("t2m",))
    >>> len(series), str(series.step), series.read([0, 3]).shape
    (4, '6 hours', (2, 12, 1))
    """
    if values.ndim != 3 or values.shape[1] != sampling.num_vertices:
        raise ValueError(
            f"values must have shape (times, {sampling.num_vertices} vertices, channels), got "
            f"{values.shape}"
        )
    num_static = 0 if static is None else static.shape[-1]
    number = values.shape[2]
    return FieldSeries(
        source=ArrayFields(values),
        frames=np.arange(len(values)),
        axis=TimeAxis(times),
        sampling=sampling,
        channel_names=tuple(channel_names or (f"field_{index}" for index in range(number))),
        units=("",) * number if units is None else tuple(units),
        static=None if static is None else np.asarray(static, np.float32),
        static_names=tuple(static_names or (f"static_{index}" for index in range(num_static))),
        boundary=boundary,
    )


def _check_static(static: np.ndarray | None, names: tuple[str, ...], sampling: Sampling) -> None:
    """Raise unless static fields fit the sampling and their names."""
    if static is None:
        if names:
            raise ValueError(f"static_names must come with static fields, got {names} alone")
        return
    if static.ndim != 2 or static.shape != (sampling.num_vertices, len(names)):
        raise ValueError(
            f"static must have shape ({sampling.num_vertices} vertices, {len(names)} fields), got "
            f"{static.shape}; give one name for each field"
        )
    if not np.isfinite(static).all():
        raise ValueError(
            "static must be finite, got "
            f"{np.count_nonzero(~np.isfinite(static))} values that are not; fill them, or take "
            "a subset of the vertices"
        )
