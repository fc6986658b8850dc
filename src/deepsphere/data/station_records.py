"""What stations have measured: values at places that lie anywhere, in the course of time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from deepsphere.data.calendars import Times, format_time
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.field_sources import ArrayFields
from deepsphere.data.station_places import (
    merge_places,
    merge_times,
    station_axis,
    without_positions,
)
from deepsphere.data.time_axis import TimeAxis
from deepsphere.sampling import Scattered
from deepsphere.sampling.scattered import Degrees


@dataclass(frozen=True, eq=False)
class StationRecords:
    """Measurements of stations: one vertex for each place, NaN where a station was silent.

    `station_records` makes them of arrays, `deepsphere.data.station_tables.read_stations` of files
    and tables.

    Parameters
    ----------
    sampling
        Where the stations are.
    ids
        Of each station, all different.
    names
        Of each station in words, "" where it is not known.
    elevation_m
        Of each station above the sea, NaN where it is not known.
    axis
        The times. Days that no table has are gaps; a day on which all stations are silent is a
        time like any other.
    channel_names
        What is measured, all different: tmax, tmin, tavg, prcp, snow, snwd, or other names.
    units
        Of each channel, "" where it is not known.
    values
        float32, NaN where nothing was measured.
    notes
        What was dropped, merged or converted, in words.

    Raises
    ------
    ValueError
        If the parts do not fit each other, or a value is infinite.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> records = station_records([8.5, 6.1], [47.4, 46.2], np.ones((3, 2, 1)), days)
    >>> records
    StationRecords(2 stations, 3 times from 2020-01-01 to 2020-01-03, value)
    """

    sampling: Scattered
    ids: tuple[str, ...]
    names: tuple[str, ...]
    elevation_m: Float[np.ndarray, "stations"]
    axis: TimeAxis
    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    values: Float[np.ndarray, "times stations channels"]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what belongs together."""
        number = self.sampling.num_vertices
        for name, given in (
            ("ids", self.ids),
            ("names", self.names),
            ("elevation_m", self.elevation_m),
        ):
            if len(given) != number:
                raise ValueError(
                    f"{name} must be one for each of {number} places, got {len(given)}"
                )
        if len(set(self.ids)) < number or not all(self.ids):
            repeated = Counter(self.ids).most_common(1)[0][0] if all(self.ids) else ""
            raise ValueError(
                f"ids must be different and not empty, got {repeated!r}; each place needs its own"
            )
        names = self.channel_names
        if not names or len(set(names)) < len(names) or not all(names):
            raise ValueError(f"channel_names must be different and not empty, got {names}")
        if len(self.units) != len(names):
            raise ValueError(
                f"units must be one for each of {len(names)} channels, got {len(self.units)}; "
                'use "" where one is not known'
            )
        shape = (len(self.axis), number, len(names))
        if self.values.shape != shape or self.values.dtype != np.float32:
            raise ValueError(
                f"values must be float32 of shape (times, stations, channels) {shape}, got "
                f"{self.values.dtype} of {self.values.shape}"
            )
        _check_not_infinite(self)

    def __repr__(self) -> str:
        """The size, the times and what is measured."""
        channels = ", ".join(
            f"{name} in {unit}" if unit else name
            for name, unit in zip(self.channel_names, self.units, strict=True)
        )
        return (
            f"StationRecords({self.num_stations} stations, {len(self)} times from "
            f"{format_time(self.times[0])} to {format_time(self.times[-1])}, {channels})"
        )

    def __len__(self) -> int:
        """Number of times."""
        return len(self.axis)

    @property
    def num_stations(self) -> int:
        """Number of places."""
        return self.sampling.num_vertices

    @property
    def num_channels(self) -> int:
        """Number of channels."""
        return len(self.channel_names)

    @property
    def times(self) -> Times:
        """datetime64[s], or objects of cftime."""
        return self.axis.times

    @property
    def lon_deg(self) -> Float[np.ndarray, "stations"]:
        """Longitudes in [0, 360)."""
        return self.sampling.lon_deg

    @property
    def lat_deg(self) -> Float[np.ndarray, "stations"]:
        """Latitudes."""
        return self.sampling.lat_deg

    @property
    def observed(self) -> Bool[np.ndarray, "times stations channels"]:
        """Where something was measured."""
        return ~np.isnan(self.values)

    def column(self, name: str) -> Float[np.ndarray, "times stations"]:
        """Values of one channel.

        Parameters
        ----------
        name
            Of the channel.

        Returns
        -------
        Float[np.ndarray, "times stations"]
            A view.

        Raises
        ------
        ValueError
            If there is no such channel.
        """
        return self.values[..., self._channels([name])[0]]

    def select(self, channels: Sequence[str]) -> "StationRecords":
        """The records with some of their channels.

        Parameters
        ----------
        channels
            Names, in the order that is wanted.

        Returns
        -------
        StationRecords

        Raises
        ------
        ValueError
            If there is no such channel.
        """
        if tuple(channels) == self.channel_names:
            return self
        chosen = self._channels(channels)
        return replace(
            self,
            channel_names=tuple(channels),
            units=tuple(self.units[index] for index in chosen),
            values=self.values[..., chosen],
        )

    def take(
        self, stations: Int[np.ndarray, "chosen"] | Bool[np.ndarray, "stations"] | Sequence[int]
    ) -> "StationRecords":
        """The records of some stations.

        Parameters
        ----------
        stations
            Indices, in the order that is wanted, or a mask; at least one.

        Returns
        -------
        StationRecords

        Raises
        ------
        ValueError
            If a mask has another length, an index is out of range, or none is taken.
        """
        chosen = np.asarray(stations)
        if chosen.dtype == bool and chosen.shape != (self.num_stations,):
            raise ValueError(
                f"stations must be indices or a mask of {self.num_stations} stations, got a mask "
                f"of shape {chosen.shape}"
            )
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        if not len(chosen) or chosen.min() < 0 or chosen.max() >= self.num_stations:
            raise ValueError(
                f"stations must be at least one index from 0 to {self.num_stations - 1}, got "
                f"{chosen.tolist() if len(chosen) < 6 else [chosen.min(), chosen.max()]}"
            )
        return replace(
            self,
            sampling=Scattered(self.lon_deg[chosen], self.lat_deg[chosen]),
            ids=tuple(self.ids[index] for index in chosen),
            names=tuple(self.names[index] for index in chosen),
            elevation_m=self.elevation_m[chosen],
            values=self.values[:, chosen],
        )

    def take_times(self, indices: Sequence[int] | Int[np.ndarray, "chosen"]) -> "StationRecords":
        """The records at some of their times.

        Parameters
        ----------
        indices
            Increasing, at least one. Times that are left out between become a gap.

        Returns
        -------
        StationRecords
        """
        chosen = np.asarray(indices, np.int64)
        return replace(self, axis=self.axis.take(chosen), values=self.values[chosen])

    def between(self, start: Any = None, stop: Any = None) -> "StationRecords":
        """The records from one time to before another.

        Parameters
        ----------
        start, stop
            Times or texts, "2015" or "2015-01-31"; `stop` itself is left out. None: from the
            first, to the last.

        Returns
        -------
        StationRecords

        Raises
        ------
        ValueError
            If no time lies between.
        """
        return self.take_times(self.series().between(start, stop).frames)

    def at(self, times: Times | Sequence[Any]) -> Float[np.ndarray, "times stations channels"]:
        """Values at some times.

        Parameters
        ----------
        times
            Times of the records.

        Returns
        -------
        Float[np.ndarray, "times stations channels"]

        Raises
        ------
        ValueError
            If the records do not have one of them.
        """
        return self.series().at(times)

    def with_values(
        self,
        values: Float[np.ndarray, "_ stations _"],
        *,
        channel_names: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        times: Times | Sequence[Any] | None = None,
    ) -> "StationRecords":
        """Other values at the same stations, such as predictions.

        Parameters
        ----------
        values
            (times, stations, channels).
        channel_names, units
            Of the values; those of the records if not given.
        times
            Of the values; those of the records if not given.

        Returns
        -------
        StationRecords
        """
        if times is None:
            axis = self.axis
        else:
            found = self.axis.indices_of(times)
            is_part = (found >= 0).all() and (np.diff(found) > 0).all()
            axis = self.axis.take(found) if is_part else station_axis(times)
        return replace(
            self,
            axis=axis,
            channel_names=self.channel_names if channel_names is None else tuple(channel_names),
            units=self.units if units is None else tuple(units),
            values=np.asarray(values, np.float32),
        )

    def with_notes(self, *notes: str) -> "StationRecords":
        """The records with something more to say about them.

        Parameters
        ----------
        notes
            In words.

        Returns
        -------
        StationRecords
        """
        return replace(self, notes=(*self.notes, *notes)) if notes else self

    def series(self) -> FieldSeries:
        """The values as a series of signals on the places, without the elevation.

        Returns
        -------
        FieldSeries
            With the same values, which are not copied.
        """
        return FieldSeries(
            source=ArrayFields(self.values),
            frames=np.arange(len(self)),
            axis=self.axis,
            sampling=self.sampling,
            channel_names=self.channel_names,
            units=self.units,
            notes=self.notes,
        )

    def _channels(self, names: Sequence[str]) -> list[int]:
        """Index of each channel."""
        missing = [name for name in names if name not in self.channel_names]
        if missing or not names:
            raise ValueError(
                f"channels must be among {', '.join(self.channel_names)}, got "
                f"{repr(missing[0]) if missing else 'none'}"
            )
        return [self.channel_names.index(name) for name in names]


def station_records(
    lon_deg: Degrees,
    lat_deg: Degrees,
    values: Num[np.ndarray, "times stations *channels"],
    times: Times | Sequence[Any],
    *,
    ids: Iterable[object] | None = None,
    names: Iterable[object] | None = None,
    elevation_m: Degrees | None = None,
    channel_names: Sequence[str] | None = None,
    units: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> StationRecords:
    """Records of stations from arrays, in order: each place once, each time once.

    What had to be done for it stands in the notes. Stations without a position (NaN, a latitude
    beyond ±90, a longitude outside −180 … 360, several at exactly 0° N 0° E) are dropped. Stations
    at the same place become one, with the mean of what they report, the id and name of the first,
    and the first elevation that is known. Values of the same time are averaged. Times are sorted.

    Parameters
    ----------
    lon_deg, lat_deg
        Of each station in degree; longitudes in −180 … 180 or 0 … 360.
    values
        (times, stations, channels), or (times, stations) for one channel; NaN where a station was
        silent.
    times
        datetime64, datetime, cftime, or texts in ISO 8601, in any order.
    ids
        Of the stations, all different; "0", "1", … if not given.
    names
        Of the stations, in words.
    elevation_m
        Of the stations, NaN where it is not known.
    channel_names
        "value" for one channel, "value_0", … for several if not given.
    units
        Of the channels; "" if not given.
    notes
        What is known already.

    Returns
    -------
    StationRecords

    Raises
    ------
    TypeError
        If times are none.
    ValueError
        If lengths differ, a value is infinite, ids are repeated, no station has a position,
        longitudes and latitudes are swapped, or the times have no regular step.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> temperature = np.array([[1.0, 3.0, 9.0], [2.0, np.nan, 9.0], [3.0, 5.0, 9.0]])
    >>> records = station_records(
    ...     [180.0, -180.0, np.nan], [10.0, 10.0, 0.0], temperature, days, channel_names=["tavg"]
    ... )
    >>> records.column("tavg").tolist()
    [[2.0], [2.0], [4.0]]
    >>> for note in records.notes:
    ...     print(note)
    1 of 3 stations dropped, which have no position: 2
    1 station merged with another at the same place, with the mean of what they report: 1 into 0
    """
    with np.errstate(over="ignore"):  # what is too large for float32 is refused as infinite
        array = np.ma.filled(np.ma.asarray(values, dtype=np.float32), np.nan)
    array = array[..., None] if array.ndim == 2 else array
    lon, lat = np.asarray(lon_deg, np.float64), np.asarray(lat_deg, np.float64)
    if array.ndim != 3 or lon.ndim != 1 or lon.shape != lat.shape or array.shape[1] != len(lon):
        raise ValueError(
            "values must have shape (times, stations, channels) with a longitude and a latitude "
            f"for each station, got {array.shape}, {lon.shape} and {lat.shape}"
        )
    number, num_channels = array.shape[1:]
    elevation = np.full(number, np.nan)
    if elevation_m is not None:
        elevation = np.array(elevation_m, np.float64)
    keys = tuple(str(one).strip() for one in (range(number) if ids is None else ids))
    texts = ("",) * number if names is None else tuple(str(one).strip() for one in names)
    for name, given in (("ids", keys), ("names", texts), ("elevation_m", elevation)):
        if len(given) != number:
            raise ValueError(f"{name} must be one for each of {number} stations, got {len(given)}")
    if channel_names is None:
        several = tuple(f"value_{index}" for index in range(num_channels))
        channel_names = ("value",) if num_channels == 1 else several
    axis, array, time_notes = merge_times(times, array)
    kept, drop_notes = without_positions(lon, lat, keys)
    first, array, elevation, merge_notes = merge_places(
        lon[kept], lat[kept], array[:, kept], elevation[kept], [keys[index] for index in kept]
    )
    order = kept[first]
    return StationRecords(
        sampling=Scattered(lon[order], lat[order]),
        ids=tuple(keys[index] for index in order),
        names=tuple(texts[index] for index in order),
        elevation_m=elevation,
        axis=axis,
        channel_names=tuple(channel_names),
        units=("",) * num_channels if units is None else tuple(units),
        values=array,
        notes=(*notes, *time_notes, *drop_notes, *merge_notes),
    )


def _check_not_infinite(records: StationRecords) -> None:
    """Raise where a value is infinite."""
    if not np.isinf(records.values).any():
        return
    time, station, channel = np.argwhere(np.isinf(records.values))[0]
    raise ValueError(
        f"values must be finite or NaN, got an infinite {records.channel_names[channel]} of "
        f"station {records.ids[station]} at {format_time(records.times[time])}; mark what is "
        "missing by NaN"
    )
