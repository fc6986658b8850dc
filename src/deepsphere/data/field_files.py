"""Series of fields in netCDF files and Zarr stores, of which only what is asked for is read."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.calendars import format_time
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.field_sources import KnownFields
from deepsphere.data.time_axis import TimeAxis
from deepsphere.fields import Fields, from_xarray, open_dataset

if TYPE_CHECKING:
    import xarray as xr

# Chunks that stay in memory, in the hope that the next window needs them too.
_BYTES_OF_CHUNKS = 256 * 2**20


@dataclass(frozen=True, eq=False)
class FileFields:
    """Fields of a data set, read chunk by chunk; each process keeps the chunks it read last.

    Parameters
    ----------
    fields
        As `deepsphere.fields.from_xarray` gives them: time is the only dimension before the
        vertices.
    chunk_length
        Times that lie together in the file and are read together.
    """

    fields: Fields
    chunk_length: int = 1
    _kept: "OrderedDict[int, np.ndarray]" = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def __getstate__(self) -> dict[str, Any]:
        """Without the chunks that this process has read."""
        return {"fields": self.fields, "chunk_length": self.chunk_length}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process."""
        for name, value in (state | {"_kept": OrderedDict()}).items():
            object.__setattr__(self, name, value)

    def read(
        self, indices: Int[np.ndarray, "times"]
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields of some times."""
        indices = np.asarray(indices, np.int64)
        shape = (len(indices), self.fields.sampling.num_vertices, len(self.fields.channels))
        values = np.empty(shape, np.float32)
        numbers = indices // self.chunk_length
        for number in np.unique(numbers):
            chosen = numbers == number
            values[chosen] = self._chunk(int(number))[indices[chosen] % self.chunk_length]
        return values

    def _chunk(self, number: int) -> np.ndarray:
        """A chunk, from memory if it was read lately."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start = number * self.chunk_length
        stop = min(start + self.chunk_length, self.fields.batch_shape[0])
        chunk = np.asarray(self.fields.read(np.arange(start, stop)), np.float32)
        self._kept[number] = chunk
        while len(self._kept) > 1 and len(self._kept) * chunk.nbytes > _BYTES_OF_CHUNKS:
            self._kept.popitem(last=False)
        return chunk


def open_series(
    data: "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | xr.Dataset | xr.DataArray",
    *,
    variables: str | Sequence[str] | None = None,
    channel_dims: str | Sequence[str] = (),
    static: Sequence[str] = (),
    boundary: Sequence[str] = (),
) -> FieldSeries:
    """Series of fields in files, read as they are asked for.

    Parameters
    ----------
    data
        A netCDF file, a Zarr store, several of them, a pattern, or an open data set.
    variables
        Names of the variables that are forecast; by default all on the grid and in the course of
        time but those named below.
    channel_dims
        Dimensions whose places become channels, as "level".
    static
        Names of variables that stay the same, as orography; missing values become 0.
    boundary
        Names of variables that are known in advance, as insolation.

    Returns
    -------
    FieldSeries
        Missing values are NaN. Its notes say what of the times and the grid needs saying.

    Raises
    ------
    ImportError
        If xarray, or the library of the format, is missing.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the grid or the times are not recognised, a variable is not there, or a dimension is
        left over.

    Examples
    --------
    >>> import xarray as xr
    >>> coords = {
    ...     "time": np.arange("2010-01", "2010-05", dtype="datetime64[M]").astype("datetime64[ns]"),
    ...     "lat": [-45.0, 45.0],
    ...     "lon": [0.0, 90.0, 180.0, 270.0],
    ... }
    >>> data = xr.Dataset({"sst": (("time", "lat", "lon"), np.zeros((4, 2, 4)))}, coords)
    >>> series = open_series(data)
    >>> len(series), str(series.step), series.channel_names
    (4, '1 month', ('sst',))
    """
    dataset = _opened(data)
    time_dim = _time_dimension(dataset)
    dims = (channel_dims,) if isinstance(channel_dims, str) else tuple(channel_dims)
    beside = {*static, *boundary}
    absent = sorted(name for name in beside if name not in dataset.data_vars)
    if absent:
        raise ValueError(
            f"static and boundary must be among {', '.join(map(str, dataset.data_vars))}, got "
            f"{absent[0]!r}"
        )
    if variables is None:
        fields = from_xarray(dataset, channel_dims=dims)
        chosen = [
            name
            for name in dict.fromkeys(channel.variable for channel in fields.channels)
            if name not in beside and time_dim in dataset[name].dims
        ]
    else:
        chosen = [variables] if isinstance(variables, str) else list(variables)
    if not chosen:
        raise ValueError(
            f"data must have a variable on the grid with the dimension {time_dim}, got "
            f"{', '.join(map(str, dataset.data_vars)) or 'none'}"
        )
    series = _series(dataset, chosen, time_dim, dims)
    if static:
        series = _with_static(series, dataset, static, time_dim)
    if boundary:
        known: KnownFields = _series(dataset, list(boundary), time_dim, dims)
        series = replace(series, boundary=known)
    return series


def _opened(data: Any) -> "xr.Dataset":
    """The data set of whatever was given."""
    if hasattr(data, "data_vars"):
        return data
    if hasattr(data, "to_dataset"):
        return data.to_dataset(name=data.name or "field")
    return open_dataset(data)


def _time_dimension(dataset: "xr.Dataset") -> str:
    """Name of the dimension with dates."""
    for dim in dataset.dims:
        if dim in dataset.coords:
            values = dataset[dim]
            is_date = values.dtype.kind == "M" or (
                values.dtype == object and hasattr(values.values.flat[0], "calendar")
            )
            if is_date:
                return str(dim)
    raise ValueError(
        "data must have a dimension of dates to be a series, got "
        f"{', '.join(map(str, dataset.dims)) or 'none'}; give it a coordinate with units such as "
        "'hours since 2000-01-01'"
    )


def _series(
    dataset: "xr.Dataset", variables: Sequence[str], time_dim: str, channel_dims: Sequence[str]
) -> FieldSeries:
    """Series of some variables of a data set."""
    for name in variables:
        if name in dataset.data_vars and time_dim not in dataset[name].dims:
            raise ValueError(
                f"variables must change in the course of {time_dim}, got {name!r}, which does "
                "not; name it as static"
            )
    used = [dim for dim in channel_dims if any(dim in dataset[v].dims for v in variables)]
    fields = from_xarray(dataset, variables=list(variables), channel_dims=used)
    if fields.batch_dims != (time_dim,):
        others = [dim for dim in fields.batch_dims if dim != time_dim]
        raise ValueError(
            f"variables must have no dimension but {time_dim} and those of the grid, got "
            f"{', '.join(others)}; make channels of it by channel_dims, or select a place of it"
        )
    axis = TimeAxis(dataset[time_dim].values)
    names = fields.channel_names
    return FieldSeries(
        source=FileFields(fields, _chunk_length(dataset, variables[0], time_dim)),
        frames=np.arange(len(axis)),
        axis=axis,
        sampling=fields.sampling,
        channel_names=names,
        units=fields.units,
        layout=fields.layout,
        attributes={
            name: dict(dataset[channel.variable].attrs)
            for name, channel in zip(names, fields.channels, strict=True)
        },
        notes=(*fields.notes, *_gap_notes(axis)),
    )


def _with_static(
    series: FieldSeries, dataset: "xr.Dataset", names: Sequence[str], time_dim: str
) -> FieldSeries:
    """The series with static fields of the data set."""
    first = {time_dim: 0}
    columns = []
    for name in names:
        variable = dataset[name]
        if time_dim in variable.dims:
            variable = variable.isel(first)
        values = np.asarray(series.layout.flatten(variable), np.float64)
        if values.ndim != 1:
            raise ValueError(
                f"static must be fields on the grid alone, got {name!r} on "
                f"{', '.join(map(str, variable.dims))}"
            )
        columns.append(np.where(np.isnan(values), 0.0, values))
    static = np.stack(columns, axis=-1).astype(np.float32)
    return replace(series, static=static, static_names=tuple(names))


def _chunk_length(dataset: "xr.Dataset", name: str, time_dim: str) -> int:
    """Times in a chunk of a variable in its file; 1 where it has none."""
    variable = dataset[name]
    encoding: Mapping[str, Any] = variable.encoding
    preferred = encoding.get("preferred_chunks") or {}
    length = preferred.get(time_dim)
    if length is None and encoding.get("chunksizes"):
        place = variable.dims.index(time_dim)
        length = encoding["chunksizes"][place]
    if not isinstance(length, int | np.integer) or length < 1:
        return 1
    # a file in one chunk, contiguous, is read time by time
    size = variable.size // max(1, variable.sizes[time_dim]) * 4
    largest = max(1, _BYTES_OF_CHUNKS // 4 // max(1, size))
    return int(min(length, largest, max(1, variable.sizes[time_dim])))


def _gap_notes(axis: TimeAxis) -> tuple[str, ...]:
    """What is missing among the times, in words."""
    if not axis.gaps:
        return ()
    index, missing = axis.gaps[0]
    after = format_time(axis.times[index])
    if len(axis.gaps) == 1:
        return (f"{missing} {'time' if missing == 1 else 'times'} missing after {after}",)
    return (
        f"{sum(number for _, number in axis.gaps)} times missing in {len(axis.gaps)} gaps, the "
        f"first of {missing} after {after}",
    )
