"""Records of stations from data sets of xarray, netCDF files and Zarr stores, and back."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.calendars import STANDARD
from deepsphere.data.dataset_files import write_encoded
from deepsphere.data.station_channels import ChannelOptions, Column, read_channels
from deepsphere.data.station_columns import find_roles, is_beside
from deepsphere.data.station_dates import parse_times
from deepsphere.data.station_files import OWN_MARK
from deepsphere.data.station_frames import TableOptions, frame_records
from deepsphere.data.station_numbers import as_text, elevations_m
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.fields import open_dataset
from deepsphere.fields.recognition import as_dataset

if TYPE_CHECKING:
    import xarray as xr

# Attributes of channels in files of this library. Zarr forgets the order of variables.
_NAME, _UNIT, _INDEX = "channel_name", "channel_unit", "channel_index"

_UNITS_OF_TIME = {"days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "D", "h"}


def open_station_dataset(path: Path, options: Mapping[str, Any]) -> StationRecords:
    """Records of a netCDF file or a Zarr store.

    Parameters
    ----------
    path
        The file or store.
    options
        Arguments of `dataset_records`.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If it is damaged, or stations or times are not recognised.
    """
    with open_dataset(path) as data:
        return dataset_records(data, **options)


def dataset_records(
    data: "xr.Dataset | xr.DataArray",
    *,
    channels: ChannelOptions,
    columns: Mapping[str, str] | None = None,
    times: Any = None,
    time_format: str | None = None,
) -> StationRecords:
    """Records of a data set with one dimension of stations and one of times.

    A data set in which stations and times share one dimension, with a row for each measurement, is
    read as a table.

    Parameters
    ----------
    data
        Latitudes and longitudes lie along the dimension of the stations. Units are taken from the
        attribute `units`.
    channels
        What is wanted.
    columns
        Name of each role that is not recognised.
    times
        Where the data set holds none.
    time_format
        As of `strptime`, for times that are texts.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If stations or times are not recognised, or nothing lies along both.
    """
    data = _decoded(as_dataset(data))
    roles = _roles(data, columns)
    lon, lat = data[roles["lon"]], data[roles["lat"]]
    if lon.dims != lat.dims or lon.ndim > 1:
        raise ValueError(
            "data must have longitudes and latitudes along one dimension, that of the stations, "
            f"got {lon.dims} and {lat.dims}; fields on a grid are read by open_series"
        )
    if not lon.dims:  # a single station
        data = _with_station_dimension(data, roles)
        lon, lat = data[roles["lon"]], data[roles["lat"]]
    station_dim = lon.dims[0]
    if "time" in roles and data[roles["time"]].dims == lon.dims and times is None:
        rows = [name for name in data.variables if data[name].dims == lon.dims]
        return _rows_records(data[rows], str(station_dim), channels, columns, time_format)
    index = _row_index(data, str(station_dim))
    if index is not None and times is None:
        rows_dim, stations = index
        rows = [name for name in data.variables if data[name].dims == (rows_dim,)]
        placed = {
            name: (rows_dim, data[name].to_numpy()[stations], data[name].attrs)
            for name in data.variables
            if data[name].dims == (station_dim,) and name != station_dim
        }
        table = data[rows].reset_coords().assign(placed)
        return _rows_records(table, rows_dim, channels, columns, time_format)
    time_dim, dates = _times(data, roles, str(station_dim), times, time_format)
    measured, is_own = [], OWN_MARK in data.attrs
    beside = set(data.dims) - {station_dim, time_dim}
    alone = [dim for dim in beside if data.sizes[dim] == 1]
    variables = list(data.squeeze(alone).data_vars.items())
    if is_own:
        variables.sort(key=lambda pair: pair[1].attrs.get(_INDEX, len(variables)))
    for name, variable in variables:
        if set(variable.dims) == {station_dim, time_dim} and variable.dtype.kind in "fiub":
            header = str(variable.attrs.get(_NAME, name)) if is_own else str(name)
            unit = variable.attrs.get(_UNIT if is_own else "units")
            values = variable.transpose(time_dim, station_dim).to_numpy().astype(np.float64)
            if is_own or not is_beside(header):
                unit = None if unit is None else str(unit)
                measured.append(Column(header, values, None, unit))
    if not measured:
        raise ValueError(
            f"data must have a variable along {time_dim} and {station_dim}, got "
            + ", ".join(f"{name} {variable.dims}" for name, variable in data.data_vars.items())
            + "; choose one place along the others, as by isel"
        )
    read = read_channels(measured, channels, is_own=is_own)
    texts = {
        role: [as_text(one) for one in data[roles[role]].to_numpy().tolist()]
        for role in ("station", "name")
        if role in roles and data[roles[role]].dims == (station_dim,)
    }
    ids = texts.get("station", texts.get("name"))
    elevation = None
    if "elevation" in roles and data[roles["elevation"]].dims == (station_dim,):
        height = data[roles["elevation"]]
        elevation = elevations_m(
            height.to_numpy(), f"{roles['elevation']} ({height.attrs.get('units', 'm')})"
        )
    return station_records(
        _degrees(lon),
        _degrees(lat),
        np.stack([each.astype(np.float32) for each in read.values], axis=-1),
        dates,
        ids=ids if ids and len(set(ids)) == len(ids) and all(ids) else None,
        names=texts.get("name"),
        elevation_m=elevation,
        channel_names=read.names,
        units=read.units,
        notes=(*read.notes, *_notes(data)),
    )


def records_dataset(records: StationRecords) -> "xr.Dataset":
    """The records as a data set of xarray, after the CF conventions for time series at points.

    Parameters
    ----------
    records
        The records.

    Returns
    -------
    xr.Dataset
        Dimensions time and station.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> records = station_records([8.5, 6.1], [47.4, 46.2], np.ones((3, 2)), days)
    >>> dict(records_dataset(records).sizes)
    {'time': 3, 'station': 2}
    """
    import xarray as xr

    times = records.times
    if records.axis.calendar == STANDARD:
        times = times.astype("datetime64[ns]")
    coords = {
        "time": ("time", times, {"standard_name": "time"}),
        "station_id": ("station", np.array(records.ids, object), {"cf_role": "timeseries_id"}),
        "station_name": ("station", np.array(records.names, object), {"long_name": "station name"}),
        "lon": ("station", records.lon_deg, _attributes("longitude", "degrees_east")),
        "lat": ("station", records.lat_deg, _attributes("latitude", "degrees_north")),
        "elevation": ("station", records.elevation_m, _attributes("surface_altitude", "m")),
    }
    variables = {}
    for index, (name, unit) in enumerate(zip(records.channel_names, records.units, strict=True)):
        key = (
            name if name.isidentifier() and name not in {*coords, "station"} else f"channel_{index}"
        )
        attributes = {_NAME: name, _UNIT: unit, _INDEX: index}
        if unit and unit not in _UNITS_OF_TIME:  # which would be read as durations
            attributes["units"] = unit
        variables[key] = (("time", "station"), records.values[..., index], attributes)
    return xr.Dataset(
        variables,
        coords,
        {
            "Conventions": "CF-1.8",
            "featureType": "timeSeries",
            OWN_MARK: "1",
            **({"notes": "\n".join(records.notes)} if records.notes else {}),
        },
    )


def write_station_dataset(
    path: str | os.PathLike[str], records: StationRecords, *, overwrite: bool = False
) -> None:
    """Write records to a netCDF file or a Zarr store.

    Parameters
    ----------
    path
        The suffix tells which.
    records
        The records.
    overwrite
        Replace what is there.

    Raises
    ------
    FileExistsError
        If something is there and `overwrite` is false.
    """
    times = {"units": "seconds since 1970-01-01", "dtype": "int64"}
    write_encoded(path, records_dataset(records), overwrite=overwrite, encoding={"time": times})


def _roles(data: "xr.Dataset", columns: Mapping[str, str] | None) -> dict[str, str]:
    """Name of the variable of each role, by name or by attribute."""
    one = [name for name in data.variables if data[name].ndim < 2]
    roles = find_roles(one, columns)
    marks = {"longitude": "lon", "latitude": "lat", "time": "time", "timeseries_id": "station"}
    for name in one:
        attributes = data[name].attrs
        for key in ("standard_name", "cf_role"):
            role = marks.get(str(attributes.get(key)))
            if role is not None and (role not in roles or key == "cf_role"):
                roles[role] = name if role not in (columns or {}) else roles[role]
    missing = [role for role in ("lon", "lat") if role not in roles]
    if missing:
        raise ValueError(
            "data must say where the stations are, got the variables "
            f"{', '.join(map(str, data.variables))} without {missing[0]}; name it, "
            "columns={'lon': ..., 'lat': ...}"
        )
    return roles


def _decoded(data: "xr.Dataset") -> "xr.Dataset":
    """A data set whose times are dates, which "days since 2020-01-01" becomes."""
    import xarray as xr

    if any(" since " in str(data[name].attrs.get("units", "")) for name in data.variables):
        try:
            return xr.decode_cf(data)
        except (ValueError, OverflowError):  # they stay numbers, which are refused as times
            return data
    return data


def _row_index(data: "xr.Dataset", station_dim: str) -> tuple[str, np.ndarray] | None:
    """The dimension of the rows of a ragged array, after the CF conventions, and their stations."""
    for name in data.variables:
        variable = data[name]
        if variable.attrs.get("instance_dimension") == station_dim and variable.ndim == 1:
            return str(variable.dims[0]), variable.to_numpy().astype(np.int64)
        rows_dim = variable.attrs.get("sample_dimension")
        if rows_dim in data.dims and variable.dims == (station_dim,):
            counts = variable.to_numpy().astype(np.int64)
            return str(rows_dim), np.repeat(np.arange(len(counts)), counts)
    return None


def _rows_records(
    data: "xr.Dataset",
    rows_dim: str,
    channels: ChannelOptions,
    columns: Mapping[str, str] | None,
    time_format: str | None,
) -> StationRecords:
    """Records of a data set with a row for each measurement."""
    table = data.to_dataframe().reset_index(drop=True)
    dropped = [
        name
        for name in table
        if name == rows_dim or {"instance_dimension", "sample_dimension"} & data[name].attrs.keys()
    ]
    units = {str(name): str(data[name].attrs["units"]) for name in table if _has_units(data, name)}
    return frame_records(
        table.drop(columns=dropped),
        TableOptions(channels, dict(columns or {}), time_format=time_format, attributes=units),
    )


def _has_units(data: "xr.Dataset", name: Any) -> bool:
    """Whether a variable says its unit."""
    return name in data.variables and "units" in data[name].attrs


def _times(
    data: "xr.Dataset", roles: Mapping[str, str], station_dim: str, times: Any, text_format: Any
) -> tuple[str, Any]:
    """The dimension of the times, and the times."""
    others = [str(dim) for dim in data.dims if dim != station_dim]
    if times is not None:
        dates = parse_times(times, text_format)
        fitting = [dim for dim in others if data.sizes[dim] == len(dates)]
        if not fitting:
            raise ValueError(
                f"times must be one for each place along a dimension, got {len(dates)} where there "
                f"are {dict(data.sizes)}"
            )
        return fitting[0], dates
    if "time" not in roles or data[roles["time"]].ndim != 1:
        raise ValueError(
            f"data must have times along one dimension beside {station_dim}, got the dimensions "
            f"{', '.join(others) or 'none'}; name them, columns={{'time': ...}}, or give times="
        )
    variable = data[roles["time"]]
    dates = variable.to_numpy()
    is_dates = dates.dtype.kind == "M" or (
        dates.dtype == object and hasattr(dates.reshape(-1)[0], "calendar")
    )
    return str(variable.dims[0]), dates if is_dates else parse_times(dates, text_format)


def _with_station_dimension(data: "xr.Dataset", roles: Mapping[str, str]) -> "xr.Dataset":
    """A data set of one station with a dimension for it."""
    scalars = {roles[role] for role in roles if role != "time" and not data[roles[role]].dims}
    bare = data.drop_vars(scalars | ({"station"} & set(data.variables)))
    dims = [name for name in bare.data_vars if bare[name].dims]
    coords = {
        name: ("station", data[name].to_numpy().reshape(1), data[name].attrs) for name in scalars
    }
    return bare[dims].expand_dims("station").assign_coords(coords)


def _degrees(angles: "xr.DataArray") -> np.ndarray:
    """Angles in degree."""
    values = angles.to_numpy().astype(np.float64)
    is_radians = str(angles.attrs.get("units", "")).lower().startswith("rad")
    return np.rad2deg(values) if is_radians else values


def _notes(data: "xr.Dataset") -> list[str]:
    """Notes that were written with the data set."""
    if OWN_MARK not in data.attrs or "notes" not in data.attrs:
        return []
    return str(data.attrs["notes"]).split("\n")


def _attributes(standard_name: str, units: str) -> dict[str, str]:
    """Attributes of a coordinate."""
    return {"standard_name": standard_name, "units": units}
