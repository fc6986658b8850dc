"""Whether a file holds records of stations, without reading all of it."""

import os
import zipfile
from pathlib import Path

from deepsphere.data.ghcn import is_ghcn
from deepsphere.data.station_columns import date_parts, find_roles
from deepsphere.data.station_files import OWN_MARK, holds_tables
from deepsphere.data.station_texts import TEXTS, find_header


def holds_stations(path: str | os.PathLike[str]) -> bool:
    """Whether `read_stations` is what reads a file: it says where and when by name.

    Parameters
    ----------
    path
        Files of GHCN-Daily, a parquet table, a text table with columns of time and of stations or
        their longitudes and latitudes, arrays (.npz) of such names, or a folder with such tables.
        Text files that nothing else reads (.csv.gz, .txt) are of stations, even where they are
        damaged. Fields with coordinates (.nc, .zarr) are none.

    Returns
    -------
    bool
        False as well where there is no such file, or it cannot be opened.

    Examples
    --------
    >>> holds_stations("SZ000006717.dly"), holds_stations("maps.npy")
    (True, False)
    """
    path = Path(path)
    try:
        if is_ghcn(path):
            return True
        if path.is_dir():
            return path.suffix.lower() != ".zarr" and holds_tables(path)
        if not path.is_file():
            return False
        if any(suffix.lower() in TEXTS for suffix in path.suffixes[-2:-1]) or (
            path.suffix.lower() in TEXTS and path.suffix.lower() != ".csv"
        ):
            return True
        if path.suffix.lower() in (".parquet", ".pq"):
            return True
        if path.suffix.lower() == ".npz":
            names = _archive_names(path)
        elif path.suffix.lower() in TEXTS:
            names = find_header(path).words
        else:
            return False
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    roles = find_roles(names)
    has_time = "time" in roles or len(date_parts(names)) == 3
    has_place = {"lon", "lat"} <= roles.keys() or bool({"station", "name"} & roles.keys())
    return OWN_MARK in names or (has_time and has_place)


def _archive_names(path: Path) -> list[str]:
    """Names of the arrays of an archive."""
    with zipfile.ZipFile(path) as archive:
        return [Path(name).stem for name in archive.namelist()]
