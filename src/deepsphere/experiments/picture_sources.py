"""Fields of files as the frames of pictures: read when they are drawn, named by their times."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data import SignalFile, read_signals
from deepsphere.data.readers import Ordering, read_flags
from deepsphere.data.station_recognition import holds_stations
from deepsphere.data.station_tables import read_stations
from deepsphere.experiments.frame_choice import coordinate_text, dates_of, places_between
from deepsphere.fields import Fields, from_xarray, is_dataset_path, open_dataset
from deepsphere.fields.values import is_time
from deepsphere.plotting.times import time_labels
from deepsphere.sampling import Healpix, Sampling, sampling_from_spec

_BYTES_AT_A_TIME = 64 * 2**20
_NUM_NAMED = 8


@dataclass(frozen=True, eq=False)
class FieldFrames:
    """A field of a file at each of its times, or each of its signals, to be drawn.

    Parameters
    ----------
    sampling
        Where the values are.
    name
        Of the variable or channel, "" where the file names none.
    long_name
        What the file calls the quantity; the name where it says no more.
    unit
        Of the values, "" where the file says none.
    place
        Where in the other dimensions of the file, such as "level 500 hPa".
    dim
        What the frames are counted by, such as "time".
    times
        Coordinates of the frames: dates, numbers or texts; None where there are none.
    labels
        A short text for each frame, "" where there is nothing to tell.
    load
        Gives the frames at some indices, shape (n, vertices); missing values are NaN.
    are_stations
        Whether the vertices are stations, to be drawn as dots where they stand.
    """

    sampling: Sampling
    name: str
    long_name: str
    unit: str
    place: str
    dim: str
    times: np.ndarray | None
    labels: tuple[str, ...]
    load: Callable[[Int[np.ndarray, "n"]], Float[np.ndarray, "n vertices"]]
    are_stations: bool = False

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.labels)

    def take(self, indices: Int[np.ndarray, "n"]) -> "FieldFrames":
        """Some of the frames.

        Parameters
        ----------
        indices
            Which ones.

        Returns
        -------
        FieldFrames
        """
        return replace(
            self,
            times=None if self.times is None else self.times[indices],
            labels=tuple(self.labels[index] for index in indices),
            load=lambda chosen: self.load(indices[chosen]),
        )

    def read(self) -> Float[np.ndarray, "frames vertices"]:
        """All frames at once."""
        return self.load(np.arange(len(self)))

    def __iter__(self) -> Iterator[Float[np.ndarray, "vertices"]]:
        """One frame after the other; a few are in memory."""
        length = max(1, _BYTES_AT_A_TIME // (8 * self.sampling.num_vertices))
        for start in range(0, len(self), length):
            yield from self.load(np.arange(start, min(start + length, len(self))))

    def in_memory(self) -> "FieldFrames":
        """The same frames, read once where they are few."""
        if 8 * len(self) * self.sampling.num_vertices > _BYTES_AT_A_TIME:
            return self
        values = self.read()
        return replace(self, load=lambda indices: values[indices])

    def label(self, width: int) -> str:
        """Quantity and unit in one line, for a colour scale: in the words of the file if they fit.

        Parameters
        ----------
        width
            Of the line in characters.

        Returns
        -------
        str
        """
        unit = f" [{self.unit}]" if self.unit not in ("", "1") else ""
        line = f"{self.long_name}{unit}"
        return line if len(line) <= width else f"{self.name}{unit}"

    @property
    def name_and_place(self) -> str:
        """What all frames have in common."""
        return ", ".join(word for word in (self.name, self.place) if word)

    def title(self, index: int) -> str:
        """Name, time and place of a frame, as far as the file tells.

        Parameters
        ----------
        index
            Which frame.

        Returns
        -------
        str
        """
        return ", ".join(word for word in (self.name, self.labels[index], self.place) if word)


@dataclass(frozen=True)
class FrameStatistics:
    """What of all frames a picture needs to know before the first is drawn.

    Parameters
    ----------
    low, high
        Extremes of the values, NaN where all are missing.
    present
        Vertices that have a value in some frame, shape (vertices,).
    """

    low: float
    high: float
    present: Bool[np.ndarray, "vertices"]


def frame_statistics(
    frames: FieldFrames, *, advance: Callable[[], object] = lambda: None
) -> FrameStatistics:
    """Extremes of all frames, and where there are values; a few frames are in memory at a time.

    Parameters
    ----------
    frames
        The frames.
    advance
        Called after each of them.

    Returns
    -------
    FrameStatistics
    """
    low, high = np.inf, -np.inf
    present = np.zeros(frames.sampling.num_vertices, bool)
    for values in frames:
        finite = np.isfinite(values)
        low = min(low, float(values.min(initial=np.inf, where=finite)))
        high = max(high, float(values.max(initial=-np.inf, where=finite)))
        present |= finite
        advance()
    return FrameStatistics(*((low, high) if low <= high else (np.nan, np.nan)), present=present)


def open_frames(
    source: Path,
    *,
    channel: int | str = 0,
    sampling: str | None = None,
    ordering: Ordering | None = None,
    at: Mapping[str, str] | None = None,
    flags: bool = False,
) -> FieldFrames:
    """The frames of a file: times of fields with coordinates, signals of other files.

    Parameters
    ----------
    source
        Signals (`deepsphere.data.read_signals`), or a file of stations (`read_stations`). Of
        netCDF files and Zarr stores only what is drawn is read.
    channel
        Name of the variable or channel, or its number.
    sampling
        Where the signals lie; None takes what the file says.
    ordering
        Order of HEALPix pixels; None takes what the file or the sampling says.
    at
        Places along other dimensions of fields, by name: a coordinate, or an index where there are
        none. The first place of those that are left out.
    flags
        Whether an array of booleans is taken, as zeros and ones.

    Returns
    -------
    FieldFrames

    Raises
    ------
    FileNotFoundError, ImportError
        If the file or its reader is not there.
    ValueError
        If the sampling is not known or does not fit, or there is no such channel or place.
    """
    if is_dataset_path(source) and sampling is None and ordering is None:
        return _frames_of_dataset(source, str(channel), dict(at or {}))
    if not at and sampling is None and holds_stations(source):
        return _frames_of_stations(source, channel)
    if at:
        raise ValueError(
            f"--at must come with a .nc or .zarr file, whose dimensions have names, got {source}; "
            "leave it out"
        )
    file = read_flags(source) if flags else read_signals(source, missing="keep")
    where = _sampling_of(file, source, sampling, ordering)
    number = _channel_number(channel, file.channel_names or (), file.signals.shape[2])
    name = file.channel_names[number] if file.channel_names else ""
    values = file.signals[..., number]
    labels = [f"signal {index}" for index in range(len(values))] if len(values) > 1 else [""]
    return FieldFrames(
        where, name, name, "", "", "signal", None, tuple(labels), lambda indices: values[indices]
    )


def _frames_of_dataset(source: Path, channel: str, at: dict[str, str]) -> FieldFrames:
    """The frames of a variable of a netCDF file or a Zarr store."""
    data = open_dataset(source)
    names = from_xarray(data).channel_names
    name = names[_channel_number(channel, names, len(names))]
    fields = from_xarray(data, variables=name)
    unknown = [dim for dim in at if dim not in fields.batch_dims]
    if unknown:
        raise ValueError(
            f"--at must name a dimension of {name} beside those of its grid, "
            f"{', '.join(fields.batch_dims) or 'of which there is none'}, got {unknown[0]}"
        )
    dim = next((dim for dim in fields.batch_dims if dim not in at), "")
    chosen = {
        other: _place_of(fields.dataset, other, at.get(other))
        for other in fields.batch_dims
        if other != dim
    }
    places = [_coordinate(fields.dataset, other, index) for other, index in chosen.items()]
    fields = replace(
        fields, dataset=fields.dataset.isel({other: [index] for other, index in chosen.items()})
    )
    count = fields.dataset.sizes[dim] if dim else 1
    if count == 0:
        raise ValueError(f"{source} must hold a field, got none along {dim}")
    times = data[dim].values if dim in data.coords else None
    return FieldFrames(
        fields.sampling,
        name,
        _long_name(data[name]),
        str(data[name].attrs.get("units", "")).strip(),
        ", ".join(places + _single_places(data[name])),
        dim,
        times,
        _labels(data, dim, count),
        lambda indices: _read_variable(fields, dim, indices),
    )


def _frames_of_stations(source: Path, channel: int | str) -> FieldFrames:
    """The frames of a channel of stations: the times of their records."""
    records = read_stations(source)
    number = _channel_number(channel, records.channel_names, records.num_channels)
    name = records.channel_names[number]
    return FieldFrames(
        records.sampling,
        name,
        name,
        records.units[number],
        "",
        "time",
        records.times,
        tuple(time_labels(records.times, len(records))),
        lambda indices: records.values[indices, :, number].astype(np.float64),
        are_stations=True,
    )


def _read_variable(
    fields: Fields, dim: str, indices: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n vertices"]:
    """Some of the frames of the only channel, with one place in all other dimensions."""
    if dim:
        fields = replace(fields, dataset=fields.dataset.isel({dim: indices}))
    return fields.signals.reshape(-1, fields.sampling.num_vertices)


def _labels(data: Any, dim: str, count: int) -> tuple[str, ...]:
    """A short text for each frame: dates are written as finely as they differ."""
    if dim in data.coords and dates_of(data[dim].values) is not None:
        return tuple(time_labels(data[dim].values, count))
    if count == 1 and dim not in data.coords:
        return ("",)
    return tuple(_coordinate(data, dim, index) for index in range(count))


def _single_places(variable: Any) -> list[str]:
    """Coordinates without a dimension: the date or the height of all values."""
    places = []
    for name, coord in variable.coords.items():
        if coord.ndim == 0 and dates_of(coord.values.reshape(1)) is not None:
            places.append(coordinate_text(coord.values[()]))
        elif coord.ndim == 0 and coord.dtype.kind in "iuf" and coord.attrs.get("units"):
            places.append(f"{name} {coordinate_text(coord.values[()])} {coord.attrs['units']}")
    return places


def _long_name(variable: Any) -> str:
    """What a variable is, from its attributes."""
    words = str(variable.attrs.get("long_name") or variable.attrs.get("standard_name") or "")
    return words.replace("_", " ").strip() or str(variable.name)


def _place_of(data: Any, dim: str, word: str | None) -> int:
    """The index along a dimension of what was typed; the first where nothing was."""
    if word is None:
        return 0
    values = data[dim].values if dim in data.coords else np.arange(data.sizes[dim])
    found = places_between(values, word, word)
    if found is None or not found.any():
        some = ", ".join(coordinate_text(value) for value in values[:_NUM_NAMED])
        more = ", ..." if len(values) > _NUM_NAMED else ""
        raise ValueError(f"--at {dim} must be one of {some}{more}, got {word}")
    return int(found.argmax())


def _coordinate(data: Any, dim: str, index: int) -> str:
    """A place along a dimension, with its unit."""
    if dim not in data.coords:
        return f"{dim} {index}"
    coord = data[dim]
    # of times that are numbers the unit says from when they are counted
    with_unit = coord.dtype.kind in "iuf" and not is_time(data, dim)
    unit = f" {coord.attrs['units']}" if with_unit and coord.attrs.get("units") else ""
    return f"{dim} {coordinate_text(coord.values[index])}{unit}"


def _channel_number(channel: int | str, names: tuple[str, ...], count: int) -> int:
    """Which channel is meant."""
    if isinstance(channel, str):
        if channel not in names and not channel.isdigit():
            raise ValueError(
                f"channel must be one of {', '.join(names) or 'the numbers'} or 0 to "
                f"{count - 1}, got {channel!r}"
            )
        channel = names.index(channel) if channel in names else int(channel)
    if not 0 <= channel < count:
        listed = f" ({', '.join(names)})" if names else ""
        raise ValueError(f"channel must be between 0 and {count - 1}{listed}, got {channel}")
    return channel


def _sampling_of(
    file: SignalFile, source: Path, spec: str | None, ordering: Ordering | None
) -> Sampling:
    """The sampling of the signals, as said by the caller or by the file."""
    spec = spec or file.sampling
    if spec is None:
        raise ValueError(
            f"sampling must be given, got none: {source} does not say on which one its "
            f"{file.signals.shape[1]} vertices lie; e.g. --sampling healpix:32"
        )
    where = sampling_from_spec(spec)
    if isinstance(where, Healpix) and (ordering or file.ordering):
        where = Healpix(nside=where.nside, ordering=ordering or file.ordering)
    elif ordering is not None:
        raise ValueError(
            f"ordering must not be given for {spec[:60]}, got {ordering}; only HEALPix has "
            "orderings"
        )
    if where.num_vertices != file.signals.shape[1]:
        raise ValueError(
            f"sampling must have the {file.signals.shape[1]} vertices of {source}, got "
            f"{where.num_vertices} of {spec[:60]}; name the sampling of the file"
        )
    return where
