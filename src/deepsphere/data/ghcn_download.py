"""Fetching GHCN-Daily from NOAA: the station list, the inventory and yearly tables."""

import datetime
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deepsphere.data.ghcn_manifest import Manifest, check_digest, read_manifest
from deepsphere.data.ghcn_packed import Progress
from deepsphere.data.ghcn_stations import (
    INVENTORY,
    STATION_LIST,
    read_ghcn_inventory,
    read_ghcn_stations,
)
from deepsphere.data.ghcn_tables import check_table
from deepsphere.data.ghcn_transfer import Fetched, Patience, fetch_file, file_sha256

NOAA = "https://www.ncei.noaa.gov/pub/data/ghcn/daily/"
README = "readme.txt"
_BY_YEAR = "by_year"
# A mirror may lack them: nothing that is computed depends on them.
_OPTIONAL = (INVENTORY, README)
# The oldest record, of Milan, begins in 1763; the oldest file of NOAA is of 1750.
_FIRST_YEAR = 1750


@dataclass(frozen=True)
class GhcnDownload:
    """What a download has done.

    Attributes
    ----------
    folder
        Where the files are.
    fetched
        Names of those that came from the server.
    kept
        Names of those that were there and intact.
    notes
        What was noticed, in words.
    """

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...] = ()


def download_ghcn(
    folder: str | os.PathLike[str],
    years: Iterable[int] | int,
    *,
    url: str = NOAA,
    checksums: Mapping[str, str] | None = None,
    overwrite: bool = False,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> GhcnDownload:
    """Fetch what is missing of GHCN-Daily: the lists of stations and a table for each year.

    An interrupted download goes on where it was, if the file has not changed at its source
    meanwhile. What has arrived is read to its end, which compares the checksum that a gzip file
    carries, before it takes its place; NOAA publishes no other. SHA-256 of all files are kept in
    `ghcn-downloads.json`; the next call compares them, and fetches again what has changed on the
    disk. A year takes 100 to 200 MB.

    Parameters
    ----------
    folder
        Where the files go, flat; those that lie in its subfolder `by_year` are found.
    years
        Which tables.
    url
        The folder of the server, which has the tables in `by_year`.
    checksums
        SHA-256 of files by name, where they are known; see
        `deepsphere.data.ghcn_manifest.read_checksums`.
    overwrite
        Fetch also what is there, as NOAA corrects and extends its tables.
    patience
        How long to try.
    progress
        Is told the name of a file, how many of its bytes are here, and how many there will be.

    Returns
    -------
    GhcnDownload

    Raises
    ------
    FileNotFoundError
        If the server has no such file.
    ConnectionError
        If it cannot be reached, or refuses.
    OSError
        If the disk is full.
    ValueError
        If a year is none of the data set, or a file is not what it should be.

    Examples
    --------
    >>> download_ghcn("ghcn", range(1740, 1760))
    Traceback (most recent call last):
    ...
    ValueError: years must be at least one from 1750 to ..., got 1740
    """
    folder = Path(folder)
    chosen = check_years(years)
    digests = {name: check_digest(name, one) for name, one in (checksums or {}).items()}
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {folder}; choose another name")
    folder.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(folder)
    fetched: list[str] = []
    kept: list[str] = []
    notes: list[str] = []
    for name, address, check in _wanted(url, chosen):
        place = _place(folder, name)
        status = "absent" if overwrite else _status(place, manifest, digests.get(name), check)
        if status in ("known", "found"):
            kept.append(name)
            if status == "found":
                notes.append(f"{name} was there already, and is intact")
                found = Fetched("", place.stat().st_size, file_sha256(place))
                manifest = manifest.with_file(name, found)
            continue
        if status != "absent":
            notes.append(f"{name} {status}, and was fetched again")
        try:
            one = fetch_file(
                address,
                place,
                sha256=digests.get(name),
                check=check,
                patience=patience,
                progress=progress,
            )
        except FileNotFoundError as error:
            if name in _OPTIONAL:
                notes.append(f"the server has no {name}, which is not needed")
                continue
            raise FileNotFoundError(
                f"{error}; choose years that are there, or another address"
            ) from error
        manifest = manifest.with_file(name, one)
        fetched.append(name)
    today = datetime.datetime.now(datetime.timezone.utc).year
    growing = [name for name in kept if name.startswith(f"{today}.")]
    notes.extend(
        f"{name} ends where it was fetched, and is kept; --overwrite (overwrite=True) fetches it "
        "anew"
        for name in growing
    )
    return GhcnDownload(folder, tuple(fetched), tuple(kept), tuple(notes))


def check_years(years: Iterable[int] | int) -> tuple[int, ...]:
    """Years that GHCN-Daily may have, in order, each once.

    Parameters
    ----------
    years
        At least one.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If there is none, or one is before the first record or in the future.

    Examples
    --------
    >>> check_years([2012, 2010, 2012])
    (2010, 2012)
    """
    chosen = sorted({int(year) for year in ((years,) if isinstance(years, int) else years)})
    last = datetime.datetime.now(datetime.timezone.utc).year
    wrong = [year for year in chosen if not _FIRST_YEAR <= year <= last]
    if wrong or not chosen:
        raise ValueError(
            f"years must be at least one from {_FIRST_YEAR} to {last}, got "
            f"{wrong[0] if wrong else 'none'}"
        )
    return tuple(chosen)


def _wanted(url: str, years: tuple[int, ...]) -> list[tuple[str, str, Callable[[Path], object]]]:
    """Name, address and check of each file; the small ones first."""
    base = url.rstrip("/")
    return [
        (README, f"{base}/{README}", _check_text),
        (STATION_LIST, f"{base}/{STATION_LIST}", read_ghcn_stations),
        (INVENTORY, f"{base}/{INVENTORY}", read_ghcn_inventory),
        *((f"{y}.csv.gz", f"{base}/{_BY_YEAR}/{y}.csv.gz", check_table) for y in years),
    ]


def _place(folder: Path, name: str) -> Path:
    """Where a file is, or goes."""
    nested = folder / _BY_YEAR / name
    return nested if nested.is_file() else folder / name


def _status(
    place: Path, manifest: Manifest, digest: str | None, check: Callable[[Path], object]
) -> str:
    """Whether a file is "absent", "known", "found" intact, or in words what is wrong with it."""
    if not place.is_file():
        return "absent"
    known = manifest.files.get(place.name)
    if known is not None or digest is not None:
        # a size tells without reading
        same_size = known is None or place.stat().st_size == known.num_bytes
        actual = file_sha256(place) if same_size else ""
        if known is not None and actual != known.sha256:
            return "had changed on the disk"
        if digest is not None and actual != digest:
            return "was not the file of the given SHA-256"
        if known is not None:
            return "known"
    try:
        check(place)
    except ValueError:
        return "was there already, but damaged"
    return "found"


def _check_text(path: Path) -> None:
    """Raise for a page of the web instead of a text."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start or start.startswith(b"<"):
        raise ValueError(f"{path} must be a text, got {start!r}")
