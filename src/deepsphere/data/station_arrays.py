"""Records of stations from named arrays, as .npz files hold them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepsphere.data.station_channels import ChannelOptions, Column, read_channels
from deepsphere.data.station_columns import (
    OWN_ROLES,
    find_roles,
    is_beside,
    station_headers,
)
from deepsphere.data.station_dates import parse_times
from deepsphere.data.station_numbers import as_degrees, as_numbers, elevations_m
from deepsphere.data.station_records import StationRecords, station_records


def array_records(
    arrays: Mapping[str, Any],
    *,
    channels: ChannelOptions,
    columns: Mapping[str, str] | None = None,
    times: Any = None,
    time_format: str | None = None,
    is_own: bool = False,
) -> StationRecords:
    """Records of arrays by name: lat, lon, dates, and values of shape (dates, stations).

    Parameters
    ----------
    arrays
        One-dimensional ones of the stations and the dates, two-dimensional ones of what was
        measured; also (stations, dates) where the two numbers differ.
    channels
        What is wanted.
    columns
        Name of each role that is not recognised.
    times
        Where the arrays hold none.
    time_format
        As of `strptime`.
    is_own
        Whether this library wrote the arrays.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If there are no longitudes, latitudes or dates, or nothing of their shape.
    """
    found = {name: _as_array(array) for name, array in arrays.items()}
    roles = OWN_ROLES if is_own else find_roles(found, columns)
    missing = [role for role in ("lon", "lat") if role not in roles]
    if missing:
        raise ValueError(
            f"arrays must say where the stations are, got {', '.join(found)} without {missing[0]}; "
            "name it, columns={'lon': ..., 'lat': ...}"
        )
    lon, lat = (as_degrees(found[roles[role]].reshape(-1)) for role in ("lon", "lat"))
    if times is None and "time" not in roles:
        raise ValueError(
            f"arrays must say when, got {', '.join(found)} without dates; give them, "
            "times=np.arange('2001-01', '2002-01', dtype='datetime64[M]') for the months of a year"
        )
    dates = parse_times(found[roles["time"]] if times is None else times, time_format)
    is_known = ~np.isnat(dates)
    shape = (len(dates), len(lon))
    measured = []
    for name, array in found.items():
        if name in roles.values() or (is_beside(name) and not is_own):
            continue
        if array.ndim == 3 and array.shape[:2] == shape and array.dtype.kind in "fiub":
            measured.extend(_layers(name, array, found))
        if array.ndim != 2 or array.dtype.kind not in "fiubSUO":
            continue
        if array.dtype.kind in "SUO" and array.shape not in (shape, shape[::-1]):
            continue
        if array.shape not in (shape, shape[::-1]):
            raise ValueError(
                f"{name} must have shape (times, stations) {shape}, got {array.shape}; leave it "
                "out, or give the times that belong to it"
            )
        numbers, odd = as_numbers(array.reshape(-1))
        numbers = numbers.reshape(array.shape)
        measured.append(Column(name, numbers if array.shape == shape else numbers.T, odd))
    if not measured:
        raise ValueError(
            f"arrays must hold one of shape (times, stations) {shape}, got "
            f"{', '.join(f'{name} {array.shape}' for name, array in found.items())}"
        )
    if not is_known.all():
        measured = [each._replace(values=each.values[is_known]) for each in measured]
    read = read_channels(measured, channels, is_own=is_own)
    notes = [*read.notes]
    if not is_known.all():
        notes.append(f"{np.count_nonzero(~is_known)} of {len(is_known)} times dropped, not known")
    per_station = {name: each for name, each in found.items() if each.shape == (len(lon),)}
    elevation = None
    if roles.get("elevation") in per_station:
        elevation = elevations_m(per_station[roles["elevation"]], roles["elevation"])
    names = per_station.get(roles.get("name", ""))
    ids = _unique_texts(per_station, station_headers(per_station, roles), names)
    return station_records(
        lon,
        lat,
        np.stack([each.astype(np.float32) for each in read.values], axis=-1),
        dates[is_known],
        ids=ids,
        names=None if names is None else [str(one).strip() for one in names],
        elevation_m=elevation,
        channel_names=read.names,
        units=read.units,
        notes=notes,
    )


def _as_array(values: Any) -> np.ndarray:
    """An array; what is masked is missing, and bytes are texts."""
    if isinstance(values, np.ma.MaskedArray):
        if values.dtype.kind not in "fiub":
            return values
        return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    array = np.asarray(values)
    return np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array


def _layers(name: str, array: np.ndarray, arrays: Mapping[str, np.ndarray]) -> list[Column]:
    """Columns of an array (times, stations, channels), called by an array of as many names."""
    number = array.shape[2]
    headers = [f"{name}_{index}" for index in range(number)]
    for key in ("channel_names", "channels", "variables"):
        if key in arrays and arrays[key].shape == (number,):
            headers = [str(one) for one in arrays[key]]
    return [
        Column(header, array[..., index].astype(np.float64)) for index, header in enumerate(headers)
    ]


def _unique_texts(
    arrays: Mapping[str, np.ndarray], candidates: Sequence[str], names: Any
) -> list[str] | None:
    """Identifiers of the first array that has a different one for each station."""
    for each in (*(arrays[name] for name in candidates if name in arrays), names):
        texts = [] if each is None else [str(one).strip() for one in each]
        if texts and len(set(texts)) == len(texts) and all(texts):
            return texts
    return None
