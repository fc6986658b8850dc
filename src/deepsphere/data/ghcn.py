"""Opening GHCN-Daily: a folder with files of NOAA becomes records of stations."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepsphere.data.ghcn_access import access_stations, add_access, looks_like_access
from deepsphere.data.ghcn_cache import cached_values
from deepsphere.data.ghcn_dly import add_dly
from deepsphere.data.ghcn_elements import (
    ORIGINAL_ELEMENTS,
    check_elements,
)
from deepsphere.data.ghcn_packed import Progress
from deepsphere.data.ghcn_records import records_of
from deepsphere.data.ghcn_stations import STATION_LIST, GhcnStations, read_ghcn_stations
from deepsphere.data.ghcn_tables import add_table, looks_like_table
from deepsphere.data.ghcn_values import FLAGGED, PROBLEMS, DailyValues, ValueTable
from deepsphere.data.station_places import some
from deepsphere.data.station_records import StationRecords

_YEAR = re.compile(r"(\d{4})\.csv(\.gz)?", re.IGNORECASE)
_STATION = re.compile(r"[A-Z]{2}[A-Z0-9_\-]{9}\.(dly|csv|csv\.gz)", re.IGNORECASE)
# Where NOAA has the files, and those who unpack its archives.
_FOLDERS = (
    "",
    "by_year",
    "by_station",
    "access",
    "ghcnd_all",
    "ghcnd_gsn",
    "ghcnd_hcn",
    "all",
    "gsn",
    "hcn",
)


def is_ghcn(path: str | os.PathLike[str]) -> bool:
    """Whether a path is GHCN-Daily: a folder with its station list, or a file of values.

    Parameters
    ----------
    path
        A folder, a yearly table, that of a station, or a `.dly`.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_ghcn("SZ000006717.dly"), is_ghcn("stations.csv")
    (True, False)
    """
    path = Path(path)
    if path.is_dir():
        files = _find(path, None, required=False)
        first = next(iter((*files.by_year.values(), *files.others)), None)
        return (path / STATION_LIST).is_file() or (first is not None and is_ghcn(first))
    if path.suffix.lower() == ".dly":
        return True
    if not path.name.lower().endswith((".csv", ".csv.gz")):
        return False
    named = _YEAR.fullmatch(path.name) or _STATION.fullmatch(path.name)
    return (named is not None and looks_like_table(path)) or looks_like_access(path)


def open_ghcn(
    path: str | os.PathLike[str],
    *,
    years: Iterable[int] | int | None = None,
    elements: Sequence[str] = ORIGINAL_ELEMENTS,
    min_fraction: float = 0.0,
    stations: str | os.PathLike[str] | GhcnStations | None = None,
    progress: Progress | None = None,
) -> StationRecords:
    """Records of the stations of GHCN-Daily.

    A folder holds `ghcnd-stations.txt` and yearly tables (`2014.csv.gz`), or else files of stations
    (`SZ000006717.dly`, `SZ000006717.csv.gz`), also in the subfolders that NOAA has them in. Those
    of `access` tell where their stations are and need no list. Values are in °C and mm. Those with
    a quality flag are missing; `notes` tell how many there were, and what else was left out. What
    is read is kept as parquet in the cache of the user.

    Types of weather (WT**) are reported where there was such weather. They are 1 there, and 0 on
    the other days on which the station reports one of the elements, if it reports that type at all.

    Parameters
    ----------
    path
        The folder, or one of the files of values; then the station list lies beside it or above.
    years
        Which to open; by default all that are there. The days of the records are those from the
        first to the last on which a station reports, without the years that are not opened.
    elements
        Channels by the codes of NOAA; "WT**" for all types of weather. Those that no station
        reports are left out.
    min_fraction
        Share of the days on which a station must report each of the elements, types of weather
        aside: 1 for complete records. Stations without any value are left out in any case.
    stations
        The station list, or the folder that holds it, where it lies elsewhere; or what was read
        of it.
    progress
        Is told the name of a file, how many of its bytes are read, and how many there are.

    Returns
    -------
    StationRecords
        Channels are the codes in lower case; stations in the order of the list.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no station list or no values.
    ValueError
        If a file is damaged or something else, years or elements are not there, `min_fraction` is
        out of range, or no station is left.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> line = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD"
    >>> _ = (folder / "ghcnd-stations.txt").write_text(line)
    >>> rows = "SZ000006717,20140101,TMAX,-31,,,E,\\nSZ000006717,20140102,TMAX,12,,,E,"
    >>> _ = (folder / "2014.csv").write_text(rows)
    >>> records = open_ghcn(folder, years=2014, elements=["TMAX"])
    >>> records
    StationRecords(1 stations, 2 times from 2014-01-01 to 2014-01-02, tmax in °C)
    >>> records.column("tmax")[:, 0]
    array([-3.1,  1.2], dtype=float32)

    References
    ----------
    Menne, Durre, Vose, Gleason and Houston, 2012, An overview of the Global Historical Climatology
    Network-Daily database, Journal of Atmospheric and Oceanic Technology 29.
    """
    path = Path(path)
    elements = check_elements(elements)
    chosen = _check_years(years)
    if not 0 <= min_fraction <= 1:
        raise ValueError(f"min_fraction must be between 0 and 1, got {min_fraction}")
    files = _find(path, chosen)
    if isinstance(stations, GhcnStations):
        listed = stations
    elif stations is None and files.others and looks_like_access(files.others[0]):
        listed = access_stations(files.others)
    else:
        listed = read_ghcn_stations(_station_list(path) if stations is None else stations)
    notes = [*listed.notes, files.summary()]
    parts = _read_parts(files, elements, chosen, notes, progress)
    return records_of(parts, listed, elements, min_fraction, notes)


@dataclass(frozen=True)
class _Files:
    """Files of values: by year, or all together."""

    by_year: Mapping[int, Path]
    others: tuple[Path, ...] = ()

    def summary(self) -> str:
        """What is read, in words."""
        if self.by_year:
            names = [path.name for path in self.by_year.values()]
            return f"GHCN-Daily, from {some(names)}"
        return f"GHCN-Daily, from {some([path.name for path in self.others])}"


def _check_years(years: Iterable[int] | int | None) -> tuple[int, ...] | None:
    """Years in order, each once."""
    if years is None:
        return None
    chosen = (years,) if isinstance(years, int | np.integer) else tuple(years)
    if not chosen:
        raise ValueError("years must be at least one, got none; leave it out for all")
    return tuple(sorted({int(year) for year in chosen}))


def _find(path: Path, years: tuple[int, ...] | None, *, required: bool = True) -> _Files:
    """The files of values of a folder, or the one that is named."""
    if path.is_file():
        year = _YEAR.fullmatch(path.name)
        return _of_chosen(path, {int(year[1]): path}, years) if year else _Files({}, (path,))
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} must be a folder with files of GHCN-Daily, got nothing there; fetch them "
            f"with  deepsphere download ghcn {path} --years 2010:2014"
        )
    by_year: dict[int, Path] = {}
    others: dict[str, Path] = {}
    for folder in (path / name for name in _FOLDERS if (path / name).is_dir()):
        # compressed ones first, which are those of NOAA
        for file in sorted(folder.iterdir(), key=lambda file: (file.suffix != ".gz", file.name)):
            year = _YEAR.fullmatch(file.name)
            if year:
                by_year.setdefault(int(year[1]), file)
            elif _STATION.fullmatch(file.name):
                others.setdefault(file.name[:11].upper(), file)
    if not (by_year or others) and required:
        raise FileNotFoundError(
            f"{path} must hold files of GHCN-Daily such as 2014.csv.gz or SZ000006717.dly, got "
            f"none; fetch them with  deepsphere download ghcn {path} --years 2010:2014"
        )
    if not by_year:
        return _Files({}, tuple(others[name] for name in sorted(others)))
    return _of_chosen(path, by_year, years)


def _of_chosen(path: Path, by_year: Mapping[int, Path], years: tuple[int, ...] | None) -> _Files:
    """The yearly tables that are asked for."""
    if years is None:
        years = tuple(sorted(by_year))
    missing = [year for year in years if year not in by_year]
    if missing:
        raise ValueError(
            f"years must be among those that {path} holds ({some(sorted(by_year))}), got "
            f"{missing[0]}; fetch it with  deepsphere download ghcn FOLDER --years {missing[0]}"
        )
    return _Files({year: by_year[year] for year in years})


def _station_list(path: Path) -> Path:
    """The station list of a folder, or of that in which a file lies."""
    folders = (path,) if path.is_dir() else ()
    folders += (path.resolve().parent, path.resolve().parent.parent)
    for folder in folders:
        if (folder / STATION_LIST).is_file():
            return folder / STATION_LIST
    place = folders[0]
    raise FileNotFoundError(
        f"{place} must hold {STATION_LIST}, which tells where the stations are, got none there; "
        f"fetch it with  deepsphere download ghcn {place} --years 2010:2014"
    )


def _read_parts(
    files: _Files,
    elements: tuple[str, ...],
    years: tuple[int, ...] | None,
    notes: list[str],
    progress: Progress | None,
) -> list[DailyValues]:
    """The values of the years in question, and notes about what was left out."""
    parts = []
    num_other = 0
    for year, file in files.by_year.items():
        values = cached_values(
            [file], elements, lambda file=file: _read([file], elements, progress)
        )
        parts.append(_of_years(values, (year,)))
        num_other += values.num_values - parts[-1].num_values
    if num_other:
        notes.append(f"{num_other} values left out, which are not of the year of their file")
    if files.others:
        values = cached_values(
            files.others, elements, lambda: _read(files.others, elements, progress)
        )
        if years is not None:
            values = _of_years(values, years)
            missing = sorted({*years} - {*values.years.tolist()})
            if missing:
                raise ValueError(
                    f"years must be among those that the files of stations hold, got {missing[0]}"
                )
        parts.append(values)
    counts: dict[str, int] = {}
    for part in parts:
        for name, number in part.counts.items():
            counts[name] = counts.get(name, 0) + number
    flags = {name: number for name, number in counts.items() if name.startswith(FLAGGED)}
    if flags:
        shown = ", ".join(f"{name[len(FLAGGED) :]} {flags[name]}" for name in sorted(flags))
        notes.append(f"{sum(flags.values())} values left out, which have a quality flag: {shown}")
    notes.extend(f"{counts[name]} {text}" for name, text in PROBLEMS.items() if name in counts)
    return parts


def _read(
    paths: Sequence[Path], elements: tuple[str, ...], progress: Progress | None
) -> DailyValues:
    """The values of some files."""
    table = ValueTable(elements)
    for number, path in enumerate(paths, start=1):
        if path.suffix.lower() == ".dly":
            add_dly(table, path)
        elif looks_like_access(path):
            add_access(table, path)
        else:
            add_table(table, path, progress=progress if len(paths) == 1 else None)
        if progress is not None and len(paths) > 1:
            progress("files of stations", number, len(paths))
    return table.finish()


def _of_years(values: DailyValues, years: tuple[int, ...]) -> DailyValues:
    """The rows of some years."""
    keep = np.isin(values.years, years)
    if keep.all():
        return values
    return DailyValues(
        values.stations,
        values.elements,
        values.station_indices[keep],
        values.element_indices[keep],
        values.years[keep],
        values.values[keep],
        values.counts,
    )
