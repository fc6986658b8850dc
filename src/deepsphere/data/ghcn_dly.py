"""The values of a station of GHCN-Daily in fixed columns, `.dly`."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from deepsphere.data.ghcn_elements import check_elements
from deepsphere.data.ghcn_packed import AGAIN, open_packed, shown
from deepsphere.data.ghcn_values import FLAGGED, MISSING, DailyValues, ValueTable, day_of_year

# ID 1-11, year 12-15, month 16-17, element 18-21, then 31 times a value of 5 and three flags
_DLY_HEAD, _DLY_DAYS, _DLY_DAY, _DLY_VALUE = 21, 31, 8, 5
_DLY_WIDTH = _DLY_HEAD + _DLY_DAYS * _DLY_DAY


def read_ghcn_dly(
    path: str | os.PathLike[str], *, elements: Sequence[str] | None = None
) -> DailyValues:
    """The values of a station, from a file of fixed columns: `SZ000006717.dly`.

    A line for each month of an element: ID 1–11, year 12–15, month 16–17, element 18–21, then for
    each of 31 days a value of five characters, and flags of measurement, quality and source.

    Parameters
    ----------
    path
        The file.
    elements
        Which to keep; all by default.

    Returns
    -------
    DailyValues

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is empty or something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "SZ000006717.dly"
    >>> days = "  -31  E  999 XE" + "-9999   " * 29
    >>> _ = path.write_text(f"SZ000006717201401TMAX{days}")
    >>> values = read_ghcn_dly(path)
    >>> values.values[0, :2].tolist(), values.counts
    ([-31, -9999], {'flag X': 1})
    """
    table = ValueTable(None if elements is None else check_elements(elements))
    add_dly(table, Path(path))
    return table.finish()


def add_dly(table: ValueTable, path: Path) -> None:
    """Gather the values of a `.dly`.

    Parameters
    ----------
    table
        Where to.
    path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_ghcn_dly`.
    """
    with open_packed(path) as (file, _):
        lines = [line for line in file.read().splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{path} must hold values of a station, got an empty file; {AGAIN}")
    if not re.fullmatch(rb"[A-Z]{2}[A-Z0-9_\-]{9}\d{6}[A-Z][A-Z0-9]{3}", lines[0][:_DLY_HEAD]):
        raise ValueError(
            f"{path} must be a .dly file of GHCN-Daily, got {shown(lines[0])} in its first "
            f"line; {AGAIN}"
        )
    whole = _DLY_WIDTH - (_DLY_DAY - _DLY_VALUE)
    if len(lines[-1]) < whole:
        raise ValueError(
            f"{path} must end with a whole month, got {len(lines[-1])} of {whole} characters in "
            f"its last line; {AGAIN}"
        )
    # trailing spaces are flags, and editors remove them
    padded = b"".join(line[:_DLY_WIDTH].ljust(_DLY_WIDTH) for line in lines)
    text = np.frombuffer(padded, "S1").reshape(len(lines), _DLY_WIDTH)
    elements = _mapped(_text(text[:, 17:21]), table.element_index)
    text, elements = text[elements >= 0], elements[elements >= 0]
    dates, is_date = _integers(_text(text[:, 11:17]))
    table.count("rows", np.count_nonzero(~is_date))
    text, elements, dates = text[is_date], elements[is_date], dates[is_date]
    if not len(text):
        return
    days = text[:, _DLY_HEAD:].reshape(len(text), _DLY_DAYS, _DLY_DAY)
    values, is_value = _integers(_text(days[:, :, :5].reshape(-1, 5)))
    flags = np.char.strip(days[:, :, 6].reshape(-1))
    table.count("values", np.count_nonzero(~is_value))
    _count_flags(table, flags[is_value & (values != MISSING)])
    keep = is_value & (values != MISSING) & (flags == b"")
    stations = _mapped(_text(text[:, :11]), table.station_index)
    years, months = (np.repeat(each, _DLY_DAYS) for each in divmod(dates, 100))
    numbers = np.tile(np.arange(1, _DLY_DAYS + 1), len(text))
    table.add(
        np.repeat(stations, _DLY_DAYS)[keep],
        np.repeat(elements, _DLY_DAYS)[keep],
        years[keep],
        day_of_year(years, months, numbers)[keep],
        values[keep],
    )


def _text(characters: np.ndarray) -> np.ndarray:
    """Words of equal length from an array of characters, (words, length)."""
    length = characters.shape[1]
    return np.ascontiguousarray(characters).view(f"S{length}").reshape(-1)


def _mapped(words: np.ndarray, index_of: Callable[[str], int]) -> np.ndarray:
    """Indices of words, each looked up once."""
    unique, inverse = np.unique(words, return_inverse=True)
    found = [index_of(word.decode("latin-1").strip()) for word in unique.tolist()]
    return np.array(found, np.int64)[inverse] if len(words) else np.zeros(0, np.int64)


def _integers(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The whole numbers that words are, and which are such."""
    try:
        return words.astype(np.int64), np.ones(len(words), bool)
    except ValueError:
        unique, inverse = np.unique(words, return_inverse=True)
        is_number = np.array([bool(re.fullmatch(rb"\s*[+-]?\d+\s*", word)) for word in unique])
        numbers = np.array([int(w) if n else 0 for w, n in zip(unique, is_number, strict=True)])
        return numbers[inverse].astype(np.int64), is_number[inverse]


def _count_flags(table: ValueTable, flags: np.ndarray) -> None:
    """Count the values with each quality flag."""
    for flag, number in zip(*np.unique(flags, return_counts=True), strict=True):
        if flag:
            table.count(f"{FLAGGED}{flag.decode('latin-1')}", int(number))
