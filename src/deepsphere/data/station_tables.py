"""Records of stations from files and tables of any form: one entry, and one way to write them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepsphere.data.ghcn import is_ghcn, open_ghcn
from deepsphere.data.ghcn_stations import STATION_LIST, GhcnStations
from deepsphere.data.station_arrays import array_records
from deepsphere.data.station_channels import ChannelOptions
from deepsphere.data.station_files import OWN_COLUMNS, find_list, read_arrays, read_table
from deepsphere.data.station_frames import TableOptions, frame_records
from deepsphere.data.station_lists import Places, listed_places
from deepsphere.data.station_records import StationRecords

if TYPE_CHECKING:
    import pandas as pd


def read_stations(
    source: Any,
    *,
    channels: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    stations: Any = None,
    times: Any = None,
    time_format: str | None = None,
    variable: str = "value",
) -> StationRecords:
    """Records of stations, from whatever holds them.

    Columns are recognised by their names, whatever their case: station, id, wmo, …; date, time, or
    year, month and day; lon, longitude, lng, …; elevation, altitude, …. All other columns of
    numbers are channels. Temperatures become °C, precipitation and snow mm, where the unit is known
    from the name ("tavg_f", "TMAX (F)", "temp_maxc"), an attribute, or `units`. Numbers that stand
    for nothing measured, as −9999, become NaN. What was done stands in the notes.

    Parameters
    ----------
    source
        A path: a folder or file of GHCN-Daily as NOAA ships it, .csv, .tsv or .txt (also .gz),
        .parquet, .npz, .nc or .zarr, a folder of tables. Or a DataFrame, a Dataset or DataArray of
        xarray, or arrays by name. A table has a row for each station and time, or for each of
        these and a variable; or a row for each time and a column for each station; or a row for
        each station and a column for each date.
    channels
        Those that are wanted, by name or header, in this order; by default all.
    units
        Unit in the file, by name or header of a channel.
    columns
        Header of a role that is not recognised: station, name, time, lon, lat, elevation, variable,
        value.
    stations
        A list of stations with their positions, path or DataFrame, where the table has none. That
        of a folder of tables may lie there too, as `stations.txt`.
    times
        Of the rows, or of the arrays, where they have none.
    time_format
        As of `strptime`, "%d/%m/%Y", for dates that could be two.
    variable
        What a table holds that has a column for each station or date: "tavg_f".

    Returns
    -------
    StationRecords

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If pandas, or what reads the format, is missing.
    TypeError
        If the source is none of these.
    ValueError
        If the file is damaged, of an unknown kind, or does not say where or when.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame(
    ...     {
    ...         "id": ["a", "b", "a"],
    ...         "date": ["2020-01-01", "2020-01-01", "2020-01-02"],
    ...         "lat": [47.4, 46.2, 47.4],
    ...         "lon": [8.5, 6.1, 8.5],
    ...         "tmax_f": [50.0, 59.0, 41.0],
    ...     }
    ... )
    >>> records = read_stations(table)
    >>> records
    StationRecords(2 stations, 2 times from 2020-01-01 to 2020-01-02, tmax in °C)
    >>> records.column("tmax").round(3).tolist()
    [[10.0, 15.0], [5.0, nan]]
    """
    options = {
        "channels": ChannelOptions(
            None if channels is None else tuple(channels), dict(units or {})
        ),
        "columns": dict(columns or {}),
        "times": times,
        "time_format": time_format,
    }
    if isinstance(source, StationRecords):
        return source if channels is None else source.select(channels)
    if isinstance(source, str | os.PathLike):
        return _file_records(Path(source), options, stations, variable)
    if _is_of(source, "pandas", "DataFrame"):
        return _table_records(source, options, stations, variable)
    if _is_of(source, "xarray", "Dataset", "DataArray"):
        from deepsphere.data.station_datasets import dataset_records

        return dataset_records(source, **options)
    if isinstance(source, Mapping):
        return array_records(source, **options)
    raise TypeError(
        "source must be a path, a DataFrame, a data set of xarray or arrays by name, got "
        f"{type(source).__name__}"
    )


def _file_records(
    path: Path, options: dict[str, Any], stations: Any, variable: str
) -> StationRecords:
    """Records of a file or folder."""
    if not path.exists():
        raise FileNotFoundError(f"{path} must be a file or folder of stations, got no such file")
    if is_ghcn(path):
        return _ghcn_records(path, options, stations)
    name = path.name.lower()
    if name.endswith(".npz"):
        arrays, is_own = read_arrays(path)
        notes = tuple(map(str, arrays.pop("notes", ()))) if is_own else ()
        return array_records(arrays, is_own=is_own, **options).with_notes(*notes)
    if name.endswith((".nc", ".nc4", ".cdf", ".zarr", ".zarr.zip")):
        from deepsphere.data.station_datasets import open_station_dataset

        return open_station_dataset(path, options)
    if stations is None and path.is_dir():
        stations = find_list(path)
    return _table_records(read_table(path), options, stations, variable)


def _ghcn_records(path: Path, options: dict[str, Any], stations: Any) -> StationRecords:
    """Records of GHCN-Daily, whose columns, dates and units are known."""
    given = {**options, "units": options["channels"].units}
    superfluous = [name for name in ("columns", "times", "time_format", "units") if given[name]]
    if superfluous:
        raise ValueError(
            f"{superfluous[0]} must be left out for GHCN-Daily, whose format says all of it, got "
            f"{given[superfluous[0]]}"
        )
    if stations is not None and not _is_ghcn_list(stations):
        table = read_table(Path(stations)) if isinstance(stations, str | os.PathLike) else stations
        stations = _as_ghcn_list(listed_places(table))
    names = options["channels"].names
    if names is None:
        return open_ghcn(path, stations=stations)
    records = open_ghcn(path, elements=[name.upper() for name in names], stations=stations)
    return records.select([name.lower() for name in names])


def _is_ghcn_list(stations: Any) -> bool:
    """Whether something is the path of a list of GHCN-Daily, or of a folder that may hold it."""
    if not isinstance(stations, str | os.PathLike):
        return False
    return Path(stations).is_dir() or Path(stations).name == STATION_LIST


def _as_ghcn_list(places: Places) -> GhcnStations:
    """Places as a list of GHCN-Daily."""
    states = ("",) * len(places.ids)
    return GhcnStations(
        places.ids,
        places.lon_deg,
        places.lat_deg,
        places.elevation_m,
        places.names,
        states,
        places.notes,
    )


def _table_records(
    table: "pd.DataFrame", options: dict[str, Any], stations: Any, variable: str
) -> StationRecords:
    """Records of a table."""
    if isinstance(stations, str | os.PathLike):
        stations = read_table(Path(stations))
    is_own = tuple(table.columns[: len(OWN_COLUMNS)]) == OWN_COLUMNS
    records = frame_records(
        table,
        TableOptions(
            channels=options["channels"],
            columns=options["columns"],
            stations=stations,
            times=options["times"],
            time_format=options["time_format"],
            variable=variable,
            is_own=is_own,
        ),
    )
    return records.with_notes(*table.attrs.get("notes", ())) if is_own else records


def _is_of(value: Any, package: str, *names: str) -> bool:
    """Whether a value is of a class of a package, which is not imported for it."""
    return any(
        kind.__name__ in names and kind.__module__.split(".")[0] == package
        for kind in type(value).__mro__
    )
