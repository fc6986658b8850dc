"""Files of stations that read as what was written."""

import gzip
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepsphere.data.calendars import STANDARD
from deepsphere.data.files import write_atomically
from deepsphere.data.station_channels import own_header
from deepsphere.data.station_files import OWN_COLUMNS, OWN_MARK
from deepsphere.data.station_libraries import require_pandas, require_parquet
from deepsphere.data.station_records import StationRecords
from deepsphere.fields import is_dataset_path

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz", ".nc", ".zarr")
_SECONDS_OF_DAY = 86400
_RESERVED = {*OWN_COLUMNS, OWN_MARK, "notes", "file"}


def write_stations(
    path: str | os.PathLike[str], records: StationRecords, *, overwrite: bool = False
) -> None:
    """Write records, in one piece or not at all; `read_stations` gives the same back.

    ==========  ====================================================================================
    .csv        A row for each station and time (also .csv.gz): station, name, lon_deg, lat_deg,
                elevation_m, time, and a column for each channel, as `tmax (°C)`. Without the notes.
    .parquet    The same table, with the notes; small and fast.
    .npz        Arrays (times, stations) by name, with the notes.
    .nc, .zarr  A data set of dimensions time and station, after the CF conventions.
    ==========  ====================================================================================

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    records
        The records.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is false.
    ImportError
        If the library of the format is missing.
    ValueError
        If the suffix is unknown, a channel has the name of another column, or the format has no
        room for the calendar.

    Examples
    --------
    >>> import tempfile
    >>> from deepsphere.data.station_records import station_records
    >>> from deepsphere.data.station_tables import read_stations
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> records = station_records([8.5, 6.1], [47.4, 46.2], np.ones((3, 2)), days)
    >>> path = Path(tempfile.mkdtemp()) / "stations.csv"
    >>> write_stations(path, records)
    >>> read_stations(path)
    StationRecords(2 stations, 3 times from 2020-01-01 to 2020-01-03, value)
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith(_SUFFIXES) and not is_dataset_path(path):
        raise ValueError(f"path must end in one of {', '.join(_SUFFIXES)}, got {path}; rename it")
    reserved = _RESERVED & set(records.channel_names)
    if reserved:
        raise ValueError(
            f"channel_names must not be {', '.join(sorted(_RESERVED))}, which say something else "
            f"in a file, got {min(reserved)!r}; rename it by with_values"
        )
    if is_dataset_path(path):
        from deepsphere.data.station_datasets import write_station_dataset

        write_station_dataset(path, records, overwrite=overwrite)
        return
    if records.axis.calendar != STANDARD:
        raise ValueError(
            f"path must end in .nc or .zarr for times of the calendar {records.axis.calendar!r}, "
            f"got {path}"
        )
    with write_atomically(path, overwrite=overwrite) as temporary:
        if name.endswith(".npz"):
            _write_arrays(temporary, records)
        elif name.endswith(".parquet"):
            _write_parquet(temporary, records)
        else:
            _write_text(temporary, records)


def station_table(records: StationRecords) -> "pd.DataFrame":
    """The records as a table with a row for each time and station, stations first.

    Parameters
    ----------
    records
        The records.

    Returns
    -------
    pd.DataFrame

    Raises
    ------
    ImportError
        If pandas is missing.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]")
    >>> records = station_records([8.5, 6.1], [47.4, 46.2], np.ones((3, 2)), days)
    >>> station_table(records).columns.tolist()
    ['station', 'name', 'lon_deg', 'lat_deg', 'elevation_m', 'time', 'value']
    """
    pandas = require_pandas()
    rows = np.tile(np.arange(records.num_stations), len(records))
    unique, names = np.unique(records.names, return_inverse=True)
    columns = {
        "station": pandas.Categorical.from_codes(rows, np.array(records.ids, object)),
        "name": pandas.Categorical.from_codes(names[rows], unique.astype(object)),
        "lon_deg": records.lon_deg[rows],
        "lat_deg": records.lat_deg[rows],
        "elevation_m": records.elevation_m[rows],
        "time": np.repeat(records.times, records.num_stations),
    }
    for index, (name, unit) in enumerate(zip(records.channel_names, records.units, strict=True)):
        columns[own_header(name, unit)] = records.values[..., index].reshape(-1)
    return pandas.DataFrame(columns)


def _write_text(path: Path, records: StationRecords) -> None:
    """A .csv or .csv.gz file."""
    table = station_table(records)
    seconds = records.axis.seconds
    unit = "D" if (seconds % _SECONDS_OF_DAY == 0).all() else "s"
    texts = np.datetime_as_string(records.times.astype(f"datetime64[{unit}]"))
    pandas = require_pandas()
    codes = np.repeat(np.arange(len(records)), records.num_stations)
    table["time"] = pandas.Categorical.from_codes(codes, texts.astype(object))
    with path.open("wb") as raw:
        if path.suffix.lower() == ".gz":
            # without the time and the name of the file, the same records are the same bytes
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                table.to_csv(packed, index=False, lineterminator="\n")
        else:
            table.to_csv(raw, index=False, lineterminator="\n")


def _write_parquet(path: Path, records: StationRecords) -> None:
    """A .parquet file."""
    pyarrow, parquet = require_parquet()
    table = pyarrow.Table.from_pandas(station_table(records), preserve_index=False)
    metadata = {**(table.schema.metadata or {}), OWN_MARK: json.dumps(records.notes)}
    parquet.write_table(table.replace_schema_metadata(metadata), path)


def _write_arrays(path: Path, records: StationRecords) -> None:
    """An .npz file."""
    channels = {
        own_header(name, unit): records.values[..., index]
        for index, (name, unit) in enumerate(zip(records.channel_names, records.units, strict=True))
    }
    np.savez_compressed(
        path,
        station=np.array(records.ids),
        name=np.array(records.names),
        lon_deg=records.lon_deg,
        lat_deg=records.lat_deg,
        elevation_m=records.elevation_m,
        time=records.times,
        notes=np.array(records.notes, str),
        **{OWN_MARK: np.array(1), **channels},  # pyright: ignore[reportArgumentType]
    )
