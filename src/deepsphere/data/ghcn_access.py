"""The files of GHCN-Daily with a line for each day, in which the place of the station stands too.

NOAA has them in `access/SZ000006717.csv`: the columns STATION, DATE, LATITUDE, LONGITUDE, ELEVATION
and NAME, and two for each element: its number, whole as in all files of GHCN-Daily, and its flags
of measurement, quality and source between commas ("PRCP", "PRCP_ATTRIBUTES").
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

import numpy as np

from deepsphere.data.ghcn_packed import open_packed
from deepsphere.data.ghcn_stations import STATION_ID, UNKNOWN_ELEVATION, GhcnStations
from deepsphere.data.ghcn_values import FLAGGED, ValueTable, day_of_year
from deepsphere.data.station_numbers import number_or_nan

_PLACE = {"STATION", "DATE", "LATITUDE", "LONGITUDE"}
_FLAGS = "_ATTRIBUTES"
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_NUM_LOOKED_AT = 100  # lines
_WIDTH = 5  # characters of a number, with spaces before it


def looks_like_access(path: Path) -> bool:
    """Whether the first lines of a file are those of a file of `access`.

    Exports of NOAA's web pages have the same columns, and numbers in the units that were asked for
    there. They are told apart by the form of the numbers: whole, in five characters.

    Parameters
    ----------
    path
        A `.csv` or `.csv.gz`.

    Returns
    -------
    bool
        False too for one that cannot be read.

    Examples
    --------
    >>> looks_like_access(Path("no such file.csv"))
    False
    """
    try:
        rows = list(islice(_rows(path), _NUM_LOOKED_AT))
    except (OSError, ValueError, csv.Error):
        return False
    if not rows or not rows[0].keys() >= _PLACE or not STATION_ID.fullmatch(rows[0]["STATION"]):
        return False
    values = [row[name] or "" for row in rows for name in _elements(rows[0])]
    values = [value for value in values if value.strip()]
    return bool(values) and all(
        len(value) >= _WIDTH and _INTEGER.fullmatch(value.strip()) for value in values
    )


def add_access(table: ValueTable, path: Path) -> None:
    """Gather the values of a file of `access`.

    Parameters
    ----------
    table
        Where to.
    path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is absent, empty or damaged.
    """
    found: list[tuple[int, int, int, int, int, int]] = []
    for row in _rows(path):
        date = _DATE.fullmatch((row["DATE"] or "").strip())
        station = table.station_index(row["STATION"].strip())
        for name in _elements(row):
            value, flags = (row[name] or "").strip(), (row[name + _FLAGS] or "").split(",")
            element = table.element_index(name)
            if not value or element < 0:
                continue
            if not _INTEGER.fullmatch(value) or date is None:
                table.count("values" if date else "dates", 1)
            elif len(flags) > 1 and flags[1].strip():
                table.count(f"{FLAGGED}{flags[1].strip()}", 1)
            else:
                year, month, day = map(int, date.groups())
                found.append((station, element, year, month, day, int(value)))
    if found:
        stations, elements, years, months, days, values = np.array(found, np.int64).T
        table.add(stations, elements, years, day_of_year(years, months, days), values)


def access_stations(paths: Sequence[Path]) -> GhcnStations:
    """The places of the stations of files of `access`.

    Parameters
    ----------
    paths
        The files.

    Returns
    -------
    GhcnStations
        Each where the last line has it.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is absent, empty or damaged.
    """
    places: dict[str, Mapping[str, str]] = {}
    for path in paths:
        places |= {row["STATION"].strip(): row for row in _rows(path)}
    lon, lat, elevation = (
        np.array([number_or_nan(row.get(name) or "") for row in places.values()], float)
        for name in ("LONGITUDE", "LATITUDE", "ELEVATION")
    )
    names = tuple((row.get("NAME") or "").strip() for row in places.values())
    elevation[elevation <= UNKNOWN_ELEVATION] = np.nan
    return GhcnStations(tuple(places), lon, lat, elevation, names, ("",) * len(places))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """The lines of a file by the names of its columns."""
    with open_packed(path) as (file, _):
        text = TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        try:
            yield from csv.DictReader(text)
        finally:
            text.detach()


def _elements(names: Iterable[str]) -> list[str]:
    """The columns that have one of flags."""
    return [name[: -len(_FLAGS)] for name in names if name and name.endswith(_FLAGS)]
