"""The station list and the inventory of GHCN-Daily, `ghcnd-stations.txt` and its sister."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.ghcn_packed import shown
from deepsphere.data.station_numbers import number_or_nan

STATION_LIST = "ghcnd-stations.txt"
INVENTORY = "ghcnd-inventory.txt"

# "-999.9", where an elevation is not known; a few stations of the list have -999.0.
UNKNOWN_ELEVATION = -999.0
STATION_ID = re.compile(r"[A-Z]{2}[A-Z0-9_\-]{9}")


@dataclass(frozen=True, eq=False)
class GhcnStations:
    """Where the stations of GHCN-Daily are.

    Attributes
    ----------
    ids
        Eleven characters each: country, network and number.
    lon_deg, lat_deg
        Degrees; as listed, NaN where they are not numbers.
    elevation_m
        Metres above the sea, NaN where it is not known.
    names
        As listed, without the spaces around them.
    states
        Of the United States and Canada; "" elsewhere.
    notes
        What was left out, in words.
    """

    ids: tuple[str, ...]
    lon_deg: Float[np.ndarray, "stations"]
    lat_deg: Float[np.ndarray, "stations"]
    elevation_m: Float[np.ndarray, "stations"]
    names: tuple[str, ...]
    states: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of stations."""
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class GhcnInventory:
    """From when to when each station reports each element.

    Attributes
    ----------
    ids, elements
        Of each entry.
    first_years, last_years
        Both included.
    """

    ids: tuple[str, ...]
    elements: tuple[str, ...]
    first_years: Int[np.ndarray, "entries"]
    last_years: Int[np.ndarray, "entries"]

    def __len__(self) -> int:
        """Number of entries."""
        return len(self.ids)


def read_ghcn_stations(path: str | os.PathLike[str]) -> GhcnStations:
    """The stations of a `ghcnd-stations.txt`.

    Columns by their place in the line: ID 1–11, latitude 13–20, longitude 22–30, elevation 32–37,
    state 39–40, name 42–71.

    Parameters
    ----------
    path
        The file, or a folder that holds it.

    Returns
    -------
    GhcnStations
        In the order of the file; of a station that is listed twice, the first line.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is empty or something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ghcnd-stations.txt"
    >>> line = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD"
    >>> _ = path.write_text(line)
    >>> stations = read_ghcn_stations(path)
    >>> stations.ids, stations.names, stations.elevation_m
    (('SZ000006717',), ('COL DU GRAND ST-BERNARD',), array([2472.]))
    """
    path = _file(path, STATION_LIST)
    rows: dict[str, tuple[float, float, float, str, str]] = {}
    num_repeated = num_unplaced = 0
    for line in _lines(path, "a station list of GHCN-Daily", STATION_LIST):
        identifier = line[:11]
        if identifier in rows:
            num_repeated += 1
            continue
        # numbers end at the right of their columns: those of a line that is cut are not whole
        lat, lon, elevation = (
            number_or_nan(line[a:b] if len(line) >= b else "")
            for a, b in ((12, 20), (21, 30), (31, 37))
        )
        num_unplaced += not (np.isfinite(lat) and np.isfinite(lon))
        if elevation <= UNKNOWN_ELEVATION:
            elevation = np.nan
        rows[identifier] = (lon, lat, elevation, line[41:71].strip(), line[38:40].strip())
    notes = []
    if num_repeated:
        notes.append(f"{path.name} lists stations again in {num_repeated} lines: the first counts")
    if num_unplaced:
        notes.append(f"{path.name} has {num_unplaced} stations without coordinates")
    lon, lat, elevation, names, states = zip(*rows.values(), strict=True)
    return GhcnStations(
        tuple(rows),
        np.array(lon, float),
        np.array(lat, float),
        np.array(elevation, float),
        names,
        states,
        tuple(notes),
    )


def read_ghcn_inventory(path: str | os.PathLike[str]) -> GhcnInventory:
    """The entries of a `ghcnd-inventory.txt`.

    Columns by their place in the line: ID 1–11, element 32–35, first year 37–40, last year 42–45.

    Parameters
    ----------
    path
        The file, or a folder that holds it.

    Returns
    -------
    GhcnInventory
        In the order of the file; lines whose years are no numbers are left out.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is empty or something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ghcnd-inventory.txt"
    >>> _ = path.write_text("SZ000006717  45.8700    7.1700 TMAX 1864 2024")
    >>> inventory = read_ghcn_inventory(path)
    >>> inventory.elements, inventory.first_years, inventory.last_years
    (('TMAX',), array([1864]), array([2024]))
    """
    path = _file(path, INVENTORY)
    entries = []
    for line in _lines(path, "an inventory of GHCN-Daily", INVENTORY):
        first, last = line[36:40], line[41:45]
        if first.isdigit() and last.isdigit():
            entries.append((line[:11], line[31:35], int(first), int(last)))
    if not entries:
        raise ValueError(
            f"{path} must be an inventory of GHCN-Daily, got lines without years; download "
            f"{INVENTORY} again"
        )
    ids, elements, first_years, last_years = zip(*entries, strict=True)
    return GhcnInventory(ids, elements, np.array(first_years), np.array(last_years))


def _file(path: str | os.PathLike[str], name: str) -> Path:
    """The file itself, or that of the name in a folder."""
    path = Path(path)
    path = path / name if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must be a file, got nothing there; fetch it with  deepsphere download ghcn "
            f"{path.parent} --years 2010:2014"
        )
    return path


def _lines(path: Path, what: str, name: str) -> Iterator[str]:
    """The lines of a file whose first column are identifiers of stations."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    is_empty = True
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if not STATION_ID.fullmatch(line[:11]) or line[11:12] not in (" ", ""):
            raise ValueError(
                f"{path} must be {what}, got {shown(line)} in line {number}; download {name} again"
            )
        is_empty = False
        yield line
    if is_empty:
        raise ValueError(f"{path} must be {what}, got an empty file; download {name} again")
