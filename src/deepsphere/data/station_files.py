"""Files of tables and arrays: opened, and refused with one error where they are damaged."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.station_columns import OWN_ROLES, date_parts, find_roles
from deepsphere.data.station_libraries import require_pandas, require_parquet

if TYPE_CHECKING:
    import pandas as pd

# First columns of the tables that this library writes, by which it knows them again.
OWN_COLUMNS = tuple(OWN_ROLES.values())
# Name of the array in .npz files, and of the attribute in others, that says the same.
OWN_MARK = "deepsphere_stations"

_TEXTS = (".csv", ".tsv", ".txt", ".dat", ".psv")
_TABLES = (*_TEXTS, ".parquet", ".pq")
_PACKED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError, KeyError)

# What stands in columns of numbers where there is none.
_NOTHING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "M", "-", "--"]


class StationFileError(ValueError):
    """A file of stations that is cut or damaged: the message names it."""


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
        files = sorted(each for each in path.iterdir() if _suffix(each) in _TABLES)
        if not files:
            raise ValueError(
                f"{path} must hold tables ({', '.join(_TABLES)}), got a folder without"
            )
        return pandas.concat([read_table(each) for each in files], ignore_index=True)
    suffix = _suffix(path)
    if suffix in _TEXTS:
        return _read_text(path)
    if suffix in _TABLES:
        return _read_parquet(path)
    raise ValueError(
        f"{path} must be a table (.csv, .tsv, .txt, .parquet, also .csv.gz), arrays (.npz), or a "
        f"data set (.nc, .zarr), got {suffix or 'a name without a suffix'}; rename or convert it"
    )


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
    with _undamaged(path), path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, arrays.pop(OWN_MARK, None) is not None


def read_headers(path: Path) -> list[str]:
    """Words of the first line of a text file.

    Parameters
    ----------
    path
        The file, which may be packed (.gz, .bz2, .xz).

    Returns
    -------
    list of str

    Raises
    ------
    StationFileError
        If it is empty or damaged.
    """
    line, _ = _first_line(path)
    separator = _separator(line)
    return [word.strip().strip('"') for word in line.split(separator)]


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Whatever a library raises over a damaged file becomes one error that names it."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, StationFileError | PermissionError | UnicodeDecodeError):
            raise
        if isinstance(error, ValueError) and "allow_pickle" in str(error):
            raise ValueError(
                f"{path} must hold arrays of numbers, texts and dates, got one of Python objects; "
                "write texts as arrays of dtype str"
            ) from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise StationFileError(
            f"{path} must be a complete file, got a damaged one ({lines[0]}); fetch or write it "
            "again"
        ) from error


def _suffix(path: Path) -> str:
    """Suffix in lower case, without that of the compression."""
    name = path.name.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def _first_line(path: Path) -> tuple[str, int]:
    """The first line that is no comment, and how many come before it."""
    opened = _PACKED.get(path.suffix.lower(), open)
    with _undamaged(path), opened(path, "rb") as file:
        for number, line in enumerate(file):
            if line.strip() and not line.lstrip(b"\xef\xbb\xbf ").startswith(b"#"):
                return line.decode("latin-1"), number
    raise StationFileError(f"{path} must hold a table, got an empty file; fetch or write it again")


def _separator(line: str) -> str | None:
    """What is between the words of a line; None for blanks."""
    separator = max((",", ";", "\t", "|"), key=line.count)
    return separator if separator in line else None


def _read_text(path: Path) -> "pd.DataFrame":
    """Table of a text file."""
    try:
        return _read_encoded(path, "utf-8-sig")
    except UnicodeDecodeError:
        return _read_encoded(path, "latin-1")


def _read_encoded(path: Path, encoding: str) -> "pd.DataFrame":
    """Table of a text file of an encoding."""
    pandas = require_pandas()
    line, skipped = _first_line(path)
    options: dict[str, Any] = {
        "sep": _separator(line) or r"\s+",
        "skiprows": skipped,
        "skipinitialspace": True,
        "encoding": encoding,
    }
    with _undamaged(path):
        headers = list(pandas.read_csv(path, nrows=0, **options).columns)
        roles = find_roles(headers)
        # "NA" is a station in Namibia, and 00123 is not 123
        texts = {roles[role] for role in ("station", "name", "variable") if role in roles}
        if "time" in roles and roles["time"] not in date_parts(headers).values():
            texts.add(roles["time"])
        if [int(part) for part in pandas.__version__.split(".")[:2]] < [3, 1]:
            options["float_precision"] = "round_trip"  # the only one since then
        return pandas.read_csv(
            path,
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values={header: _NOTHING for header in headers if header not in texts},
            low_memory=False,
            **options,
        )


def _read_parquet(path: Path) -> "pd.DataFrame":
    """Table of a parquet file."""
    require_pandas()
    _, parquet = require_parquet()
    with _undamaged(path):
        table = parquet.read_table(path)
        metadata = table.schema.metadata or {}
        frame = table.to_pandas()
    if OWN_MARK.encode() in metadata:
        import json

        frame.attrs["notes"] = json.loads(metadata[OWN_MARK.encode()])
    return frame
