"""Text files of tables: what they are packed with, where the header is, and what is between."""

import bz2
import csv
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deepsphere.data.station_columns import date_parts, find_roles
from deepsphere.data.station_libraries import require_pandas

if TYPE_CHECKING:
    import pandas as pd

TEXTS = (".csv", ".tsv", ".txt", ".dat", ".psv")
"""Suffixes of text files."""

PACKED = (".gz", ".bz2", ".xz")
"""Suffixes that may follow them."""

# first bytes, what opens it, what pandas calls it
_PACKINGS = (
    (b"\x1f\x8b", gzip.open, "gzip"),
    (b"BZh", bz2.open, "bz2"),
    (b"\xfd7zXZ\x00", lzma.open, "xz"),
)
_OF_SUFFIX = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError, KeyError)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_NUM_LOOKED_AT = 200  # lines before the header, of those files that begin with a description
_ENOUGH_ROLES = 2  # that a line must name to be a header behind others
_LONGEST_ROW = 1 << 16  # bytes
_WORTH_SAYING = 60  # characters of a wrong line
_SEPARATED = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # of Excel
_COMMENTS = ("#", "%")

# What stands in columns of numbers where there is none.
_NOTHING = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "M", "-", "--"]


class StationFileError(ValueError):
    """A file of stations that is cut or damaged: the message names it."""


class Header(NamedTuple):
    """The first line of a table.

    Attributes
    ----------
    words
        The headers.
    skipped
        How many lines come before it.
    separator
        What is between the words; None for blanks.
    encoding
        Of the file.
    packing
        As pandas calls it; None for none.
    num_values
        Of the line below; 0 if there is none.
    is_open
        Whether values of the line below end with a separator, behind which there is nothing.
    """

    words: list[str]
    skipped: int
    separator: str | None
    encoding: str
    packing: str | None
    num_values: int
    is_open: bool


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Whatever a library raises over a damaged file becomes one error that names it.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    StationFileError
        If it is damaged.
    ValueError
        If it holds objects of Python.

    Examples
    --------
    >>> with undamaged(Path("a.npz")):
    ...     raise EOFError("too short")
    Traceback (most recent call last):
        ...
    deepsphere.data.station_texts.StationFileError: a.npz must be a complete file, got a damaged \
one (too short); fetch or write it again
    """
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


def find_header(path: Path) -> Header:
    """Where the header of a text file is: its first line, or one behind a description.

    Parameters
    ----------
    path
        The file, which may be packed, whatever its suffix.

    Returns
    -------
    Header

    Raises
    ------
    StationFileError
        If it is empty, damaged, or no text.
    """
    with path.open("rb") as raw:
        start = raw.read(6)
    packing = next((each for each in _PACKINGS if start.startswith(each[0])), None)
    asked = _OF_SUFFIX.get(path.suffix.lower())
    if start and asked is not None and (packing is None or packing[2] != asked):
        raise StationFileError(
            f"{path} must be a complete file, got a damaged one (it is not packed by {asked}); "
            "fetch or write it again"
        )
    opened = open if packing is None else packing[1]
    with undamaged(path), opened(path, "rb") as file:
        start = file.read(1 << 16)
    encoding = _encoding(path, start)
    with undamaged(path), opened(path, "rt", encoding=encoding, errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in islice(file, _NUM_LOOKED_AT)]
    numbers = [
        number
        for number, line in enumerate(lines)
        if line.strip() and not line.lstrip().startswith(_COMMENTS)
    ]
    if not numbers:
        raise StationFileError(
            f"{path} must hold a table, got an empty file; fetch or write it again"
        )
    found = numbers[0]
    if _num_roles(lines[found]) < _ENOUGH_ROLES:
        found = next(
            (
                here
                for here, below in zip(numbers, [*numbers[1:], None], strict=True)
                if _num_roles(lines[here]) >= _ENOUGH_ROLES
                and (below is None or _fits(lines[here], lines[below]))
            ),
            found,
        )
    line = lines[found]
    separator = _separator(line)
    below = next((lines[number] for number in numbers if number > found), "")
    values = _words(below, separator) if below else []
    return Header(
        _words(line, separator),
        found,
        separator,
        encoding,
        None if packing is None else packing[2],
        len(values),
        len(values) > 1 and not values[-1],
    )


def read_text(path: Path) -> "pd.DataFrame":
    """Table of a text file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    pd.DataFrame
        Identifiers are texts, with the zeros that they begin with.

    Raises
    ------
    StationFileError
        If it is empty, damaged, or has no header.
    """
    header = find_header(path)
    _check_header(path, header)
    _check_end(path, header)
    try:
        return _read_encoded(path, header)
    except UnicodeDecodeError:
        return _read_encoded(path, header._replace(encoding="latin-1"))


def _read_encoded(path: Path, header: Header) -> "pd.DataFrame":
    """Table of a text file whose encoding is known."""
    pandas = require_pandas()
    options: dict[str, Any] = {
        "sep": header.separator or r"\s+",
        "skiprows": header.skipped,
        "skipinitialspace": True,
        "encoding": header.encoding,
        "compression": header.packing,
    }
    if header.is_open and header.num_values == len(header.words) + 1:
        # lines end with a separator, which the header does not
        options |= {"index_col": False, "usecols": range(len(header.words))}
    with undamaged(path):
        headers = list(pandas.read_csv(path, nrows=0, **options).columns)
        roles = find_roles(headers)
        # "NA" is a station in Namibia, and 00123 is not 123
        texts = {roles[role] for role in ("station", "name", "variable") if role in roles}
        if "time" in roles and roles["time"] not in date_parts(headers).values():
            texts.add(roles["time"])
        if [int(part) for part in pandas.__version__.split(".")[:2]] < [3, 1]:
            options["float_precision"] = "round_trip"  # the only one since then
        table = pandas.read_csv(
            path,
            dtype=dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values={each: _NOTHING for each in headers if each not in texts},
            low_memory=False,
            **options,
        )
    if header.separator == ",":
        return table
    decimals = {  # where commas are not between the columns, they are those of decimals
        each: table[each].replace(r"^\s*([+-]?\d+),(\d+)\s*$", r"\1.\2", regex=True)
        for each in table.columns
        if each not in texts and not pandas.api.types.is_numeric_dtype(table[each].dtype)
    }
    return table.assign(**decimals)


def _check_header(path: Path, header: Header) -> None:
    """Raise where the first line names no columns, or not those below."""
    words = header.words
    numbers = [word for word in words if re.fullmatch(r"[+-]?\d+([.,-]\d+)*", word.strip())]
    if 2 * len(numbers) > len(words) and _roles_of(words) == 0:
        shown = " ".join(words)[:_WORTH_SAYING]
        raise StationFileError(
            f"{path} must name its columns in the first line, got {shown!r}; write a line of "
            "names above, such as station, date, lat, lon, tmax"
        )
    surplus = header.num_values - len(words)
    if surplus > 1 or (surplus == 1 and header.separator is None and "" in words):
        raise StationFileError(
            f"{path} must have a value for each column, got {header.num_values} values below "
            f"{len(words)} headers; name each column"
        )


def _check_end(path: Path, header: Header) -> None:
    """Raise where a file that is not packed ends within a row."""
    if header.packing is not None or header.encoding == "utf-16" or header.num_values == 0:
        return
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _LONGEST_ROW), 2)
        end = file.read().decode("latin-1")
    if end.endswith(("\n", "\r")):
        return
    lines = end.splitlines()
    if lines[-1].count('"') % 2:  # the end of a text of several lines
        return
    values = _words(lines[-1], header.separator)
    is_first = len(lines) == header.skipped + 2  # and only: no other tells how long rows are
    whole = len(header.words) if is_first else min(len(header.words), header.num_values)
    if len(lines) > 1 and len(values) < whole:
        raise StationFileError(
            f"{path} must be a complete file, got one that ends within a row "
            f"({lines[-1][:_WORTH_SAYING]!r}); fetch or write it again"
        )


def _encoding(path: Path, start: bytes) -> str:
    """How the characters of a file are written."""
    if start.startswith(_UTF_16):
        return "utf-16"
    if b"\x00" in start or start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1")):
        raise StationFileError(
            f"{path} must be a text file, got bytes that are no text; give it the suffix of what "
            "it is, or write it as .csv"
        )
    return "utf-8-sig"


def _separator(line: str) -> str | None:
    """What is between the words of a line; None for blanks."""
    bare = re.sub(r'"[^"]*"', "", line)
    separator = max((",", ";", "\t", "|"), key=bare.count)
    return separator if separator in bare else None


def _words(line: str, separator: str | None) -> list[str]:
    """The words of a line."""
    words = next(csv.reader([line], delimiter=separator or " ", skipinitialspace=True), [])
    if separator is None:
        words = [word for word in words if word]
    return [word.strip() for word in words]


def _num_roles(line: str) -> int:
    """How many roles the words of a line name."""
    return 0 if _SEPARATED.fullmatch(line) else _roles_of(_words(line, _separator(line)))


def _roles_of(words: list[str]) -> int:
    """How many roles words name."""
    return len(find_roles(words)) + bool(date_parts(words))


def _fits(line: str, below: str) -> bool:
    """Whether a line may be the header of the one below."""
    separator = _separator(line)
    number = len(_words(line, separator))
    return number > 1 and 0 <= len(_words(below, separator)) - number <= 1
