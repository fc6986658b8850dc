"""Files of the climate data set: their names, dates and runs, and the lists of its splits."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

SPLIT_LISTS = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}
"""Names of lists, and of folders, of the splits."""

_NAME = re.compile(r"data-(\d{4})-(\d{2})-(\d{2})-(\d{2})-(\d+)")
_STEP_HOURS = 3  # between maps


def climate_key(name: str) -> str:
    """What names a map in the name of its file: ``data-YYYY-MM-DD-HH-R``.

    Parameters
    ----------
    name
        Of a file or in a list, with whatever comes before and after.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such part.

    Examples
    --------
    >>> climate_key("data_5_all/data-1996-06-01-04-2-mesh.npz")
    'data-1996-06-01-04-2'
    """
    found = _NAME.search(Path(name).name)
    if found is None:
        raise ValueError(
            f"files must be named like data-1996-06-01-04-2-mesh.npz, by date, hour and run, got "
            f"{name!r}"
        )
    return found.group(0)


def climate_dates(
    keys: Sequence[str],
) -> tuple[Shaped[np.ndarray, "maps"], Int[np.ndarray, "maps"]]:
    """Dates and runs of maps from their names.

    The fourth number is the hour, or the number of one of the eight steps of a day: that is it
    where none is above 7 and some are no multiples of 3.

    Parameters
    ----------
    keys
        See `climate_key`.

    Returns
    -------
    dates : Shaped[np.ndarray, "maps"]
        datetime64, by hour.
    runs : Int[np.ndarray, "maps"]

    Raises
    ------
    ValueError
        If a date is not in the calendar.

    Examples
    --------
    >>> dates, runs = climate_dates(["data-1996-06-01-00-2", "data-1996-06-01-01-2"])
    >>> [str(date) for date in dates], runs.tolist()
    (['1996-06-01T00', '1996-06-01T03'], [2, 2])
    """
    numbers = np.array([_numbers(key) for key in keys], np.int64)
    count = numbers[:, 3]
    if count.max() <= 7 and (count % _STEP_HOURS).any():
        count = count * _STEP_HOURS
    try:
        days = [f"{year:04d}-{month:02d}-{day:02d}" for year, month, day in numbers[:, :3].tolist()]
        dates = np.array(days, "datetime64[D]").astype("datetime64[h]") + count
    except ValueError as error:
        raise ValueError(f"names must hold dates of the calendar, got {error}") from None
    return dates, numbers[:, 4]


def _numbers(key: str) -> list[int]:
    """The numbers in the name of a map."""
    found = _NAME.fullmatch(key)
    if found is None:
        raise ValueError(f"names must be like data-1996-06-01-04-2, got {key!r}")
    return [int(number) for number in found.groups()]


def find_files(folder: Path, suffix: str) -> dict[str, Path]:
    """Files of maps in a folder and its sub-folders, by their key, in the order of these.

    Parameters
    ----------
    folder
        Where to look.
    suffix
        With its dot.

    Returns
    -------
    dict of Path

    Raises
    ------
    FileNotFoundError
        If the folder is not there, or no file.
    ValueError
        If two files are of one map.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"path must name a folder of climate maps, got {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"data-*{suffix}")):
        key = climate_key(path.name)
        if key in found:
            raise ValueError(f"each map must be in one file, got {found[key]} and {path}")
        found[key] = path
    if not found:
        raise FileNotFoundError(
            f"path must hold files data-*{suffix}, got {folder} without any; unpack the archive"
        )
    return dict(sorted(found.items()))


def read_split_lists(folder: Path) -> dict[str, list[str]]:
    """Keys of the maps of each split, from lists in a folder, beside it or just inside it.

    Parameters
    ----------
    folder
        Of the maps.

    Returns
    -------
    dict of list of str
        By "train", "validation" and "test"; what has no list is left out.

    Raises
    ------
    ValueError
        If a list is no text, is empty, names no map or one twice, or a map is in two lists.
    """
    inside = sorted(one for one in folder.iterdir() if one.is_dir())
    lists: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for split, names in SPLIT_LISTS.items():
        places = [
            place / f"{name}.txt" for place in (folder, folder.parent, *inside) for name in names
        ]
        path = next((one for one in places if one.is_file()), None)
        if path is None:
            continue
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError:
            raise ValueError(
                f"{path} must be a list of names of maps, one a line, got a file that is no text"
            ) from None
        lists[split] = [climate_key(line) for line in lines if line]
        if not lists[split]:
            raise ValueError(f"{path} must name at least one map, got none")
        for key in lists[split]:
            if key in owner:
                raise ValueError(
                    f"each map must be in one split once, got {key} in {owner[key]} and {split}"
                )
            owner[key] = split
    return lists


def check_numbers(path: Path, **arrays: np.ndarray) -> None:
    """Raise unless the arrays of a file hold real numbers.

    Parameters
    ----------
    path
        The file.
    arrays
        By name.

    Raises
    ------
    ValueError
        If one holds texts or complex numbers.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{path} must hold real numbers as {name}, got {array.dtype}")


def listed_files(
    files: Mapping[str, Path], keys: Sequence[str], *, split: str, folder: str | os.PathLike[str]
) -> list[str]:
    """Keys of the maps of a list for which there are files.

    Parameters
    ----------
    files
        By key.
    keys
        Of the list.
    split, folder
        For messages.

    Returns
    -------
    list of str
        In the order of the list.

    Raises
    ------
    ValueError
        If a file is missing.
    """
    missing = [key for key in keys if key not in files]
    if missing:
        raise ValueError(
            f"{folder} must hold the {len(keys)} maps of the list for {split}, got "
            f"{len(keys) - len(missing)} ({missing[0]} is missing); unpack all of the archive, or "
            "shorten the list"
        )
    return list(keys)
