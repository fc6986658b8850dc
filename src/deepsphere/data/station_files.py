"""Files of tables and arrays: opened, and refused with one error where they are damaged."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepsphere.data.station_columns import OWN_ROLES, date_parts, find_roles, is_date_header
from deepsphere.data.station_libraries import require_pandas, require_parquet
from deepsphere.data.station_texts import (
    PACKED,
    TEXTS,
    StationFileError,
    find_header,
    read_text,
    undamaged,
)

if TYPE_CHECKING:
    import pandas as pd

# First columns of the tables that this library writes, by which it knows them again.
OWN_COLUMNS = tuple(OWN_ROLES.values())
# Name of the array in .npz files, and of the attribute in others, that says the same.
OWN_MARK = "deepsphere_stations"

_TABLES = (*TEXTS, ".parquet", ".pq")


def read_table(path: Path) -> "pd.DataFrame":
    """Table of a file, or those of a folder one below the other.

    Parameters
    ----------
    path
        .csv, .tsv, .txt (also .gz, .bz2, .xz), .parquet; or a folder of these.

    Returns
    -------
    pd.DataFrame
        Identifiers are texts, with the zeros that they begin with.

    Raises
    ------
    ImportError
        If pandas or pyarrow is missing.
    StationFileError
        If a file is damaged.
    ValueError
        If the kind is unknown, or a folder has no tables.
    """
    pandas = require_pandas()
    if path.is_dir():
        files = [each for each in _tables_of(path) if _holds(each, {"time"})]
        if not files:
            raise ValueError(
                f"{path} must hold tables ({', '.join(_TABLES)}) that say when, got a folder "
                "without; name one of its files, or write such a table"
            )
        return pandas.concat([read_table(each) for each in files], ignore_index=True)
    suffix = _suffix(path)
    if suffix in TEXTS:
        return read_text(path)
    if suffix in _TABLES:
        return _read_parquet(path)
    raise ValueError(
        f"{path} must be a table (.csv, .tsv, .txt, .parquet, also .csv.gz), arrays (.npz), or a "
        f"data set (.nc, .zarr), got {suffix or 'a name without a suffix'}; rename or convert it"
    )


def holds_tables(folder: Path) -> bool:
    """Whether a folder holds a table that says where and when, or one of each.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    bool
    """
    files = [each for each in _tables_of(folder) if _holds(each, {"time"})]
    return bool(files) and (
        any(_holds(each, {"lon", "lat"}) for each in files) or find_list(folder) is not None
    )


def find_list(path: Path) -> Path | None:
    """The list of the stations of a folder, if there is one: it says where, and not when.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    Path or None
        That which is called after stations, if there are several.
    """
    files = [
        each
        for each in _tables_of(path)
        if _holds(each, {"lon", "lat"}) and not _holds(each, {"time"})
    ]
    files.sort(key=lambda each: ("station" not in each.name.lower(), each.name))
    return files[0] if files else None


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], bool]:
    """Arrays of an .npz file, and whether this library wrote it.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    arrays, is_own

    Raises
    ------
    StationFileError
        If it is damaged.
    """
    if not zipfile.is_zipfile(path):
        raise StationFileError(
            f"{path} must be a complete archive of arrays, got something else or a part of one; "
            "fetch or write it again, by numpy.savez"
        )
    with undamaged(path), path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, arrays.pop(OWN_MARK, None) is not None


def _tables_of(folder: Path) -> list[Path]:
    """The tables in a folder."""
    return sorted(each for each in folder.iterdir() if each.is_file() and _suffix(each) in _TABLES)


def _holds(path: Path, roles: set[str]) -> bool:
    """Whether a table has columns of some roles; a damaged one may, and is told when it is read."""
    try:
        if _suffix(path) in TEXTS:
            headers = find_header(path).words
        else:
            with undamaged(path):
                headers = require_parquet()[1].read_schema(path).names
    except StationFileError:
        return "time" in roles
    found = find_roles(headers).keys() | ({"time"} if date_parts(headers) else set())
    is_by_date = "time" in roles and sum(is_date_header(each) for each in headers) > 1
    return is_by_date or roles <= found


def _suffix(path: Path) -> str:
    """Suffix in lower case, without that of the compression."""
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _read_parquet(path: Path) -> "pd.DataFrame":
    """Table of a parquet file."""
    _, parquet = require_parquet()
    with undamaged(path):
        table = parquet.read_table(path)
        metadata = table.schema.metadata or {}
        frame = table.to_pandas()
    if OWN_MARK.encode() in metadata:
        import json

        frame.attrs["notes"] = json.loads(metadata[OWN_MARK.encode()])
    return frame
