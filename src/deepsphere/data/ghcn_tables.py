"""The values of GHCN-Daily in tables, of a year or of a station: `.csv`, `.csv.gz`."""

import os
import re
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepsphere.data.ghcn_elements import check_elements
from deepsphere.data.ghcn_packed import AGAIN, Progress, open_packed, shown
from deepsphere.data.ghcn_values import FLAGGED, MISSING, DailyValues, ValueTable, day_of_year

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("station", "date", "element", "value", "mflag", "qflag", "sflag", "time")
_REQUIRED = _COLUMNS[:4]
# The headings of the newer files, without what is neither letter nor digit, and of their kin.
_HEADINGS = {
    "id": "station",
    "station": "station",
    "stationid": "station",
    "date": "date",
    "yearmonthday": "date",
    "element": "element",
    "datavalue": "value",
    "value": "value",
    "mflag": "mflag",
    "qflag": "qflag",
    "sflag": "sflag",
    "obstime": "time",
}
_FIRST_ROW = re.compile(r'"?[A-Z]{2}[A-Z0-9_\-]{9}"?\s*,\s*"?\d{4}-?\d\d-?\d\d"?\s*,')
_INTEGER = r"^\s*[+-]?\d{1,9}\s*$"
_BLOCK = 1 << 24  # bytes, half a million rows


def read_ghcn_year(
    path: str | os.PathLike[str],
    *,
    elements: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> DailyValues:
    """The values of a yearly table, or of that of a station: `by_year/2014.csv.gz`.

    Lines of station, date (20140131), element, value and three flags, with a header or without.
    Values with a quality flag, which have failed a check of NOAA, are left out and counted; so are
    lines that make no sense. The file is read in blocks: what is in memory are two bytes for each
    day of each row.

    Parameters
    ----------
    path
        A `.csv` or `.csv.gz`.
    elements
        Which to keep, such as ("TMAX", "WT**"); all by default.
    progress
        Is told the bytes read.

    Returns
    -------
    DailyValues

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is empty, cut, damaged or something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "2014.csv"
    >>> rows = ["SZ000006717,20140101,TMAX,-31,,,E,", "SZ000006717,20140102,TMAX,999,,X,E,"]
    >>> _ = path.write_text("\\n".join(rows))
    >>> values = read_ghcn_year(path)
    >>> values.values[0, :2].tolist(), values.counts
    ([-31, -9999], {'flag X': 1})
    """
    path = Path(path)
    table = ValueTable(None if elements is None else check_elements(elements))
    add_table(table, path, progress=progress)
    return table.finish()


def looks_like_table(path: Path) -> bool:
    """Whether the first lines of a file are those of a table of GHCN-Daily.

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
    >>> looks_like_table(Path("no such file.csv"))
    False
    """
    try:
        with open_packed(path) as (file, _):
            _layout_of(path, file)
    except (OSError, ValueError):
        return False
    return True


def check_table(path: Path) -> None:
    """Read a table to its end, so that its checksum is compared; nothing is kept.

    Parameters
    ----------
    path
        A `.csv` or `.csv.gz`.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_ghcn_year`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "2014.csv"
    >>> _ = path.write_text("SZ000006717,20140101,TMAX,-31,,,E,")
    >>> check_table(path)
    """
    with open_packed(path) as (file, _):
        _layout_of(path, file)
        while file.read(_BLOCK):
            pass


def add_table(table: ValueTable, path: Path, *, progress: Progress | None = None) -> None:
    """Gather the values of a `.csv` or `.csv.gz`.

    Parameters
    ----------
    table
        Where to.
    path
        The file.
    progress
        Is told the bytes read.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read_ghcn_year`.
    """
    size = path.stat().st_size if path.is_file() else 0
    with open_packed(path) as (file, raw):
        layout = _layout_of(path, file)
        if layout.has_header:
            file.readline()
        rest = b""
        while True:
            block = file.read(_BLOCK)
            ready = rest + block
            cut = ready.rfind(b"\n") + 1 if block else len(ready)
            rest = ready[cut:]
            if ready[:cut].strip():
                try:
                    _add_block(table, ready[:cut], layout)
                except ValueError as error:  # such as quotes that do not end
                    raise ValueError(
                        f"{path} must be a table of GHCN-Daily, got something else ({error}); "
                        f"{AGAIN}"
                    ) from error
            if progress is not None:
                progress(path.name, raw.tell(), size)
            if not block:
                break


class _Layout(NamedTuple):
    """How a table is written."""

    columns: tuple[str, ...]
    has_header: bool
    # those of NOAA have no quotes: one that strays in would swallow thousands of lines
    has_quotes: bool


def _layout_of(path: Path, file: BufferedReader) -> _Layout:
    """What the first line tells; the file is rewound."""
    line = file.readline(4096).decode("utf-8-sig", "replace").strip()
    file.seek(0)
    if not line:
        raise ValueError(f"{path} must hold values of GHCN-Daily, got an empty file; {AGAIN}")
    if _FIRST_ROW.match(line):
        num = line.count(",") + 1
        columns = (*_COLUMNS, *(f"more{index}" for index in range(num)))[:num]
        return _Layout(columns, has_header=False, has_quotes='"' in line)
    headings = [re.sub(r"[^a-z]", "", word.lower()) for word in line.split(",")]
    columns = tuple(_HEADINGS.get(word, f"other{index}") for index, word in enumerate(headings))
    if not {*_REQUIRED} <= {*columns} or len({*columns}) < len(columns):
        raise ValueError(
            f"{path} must be a table of GHCN-Daily with the columns station, date, element and "
            f"value, got {shown(line)} in its first line; {AGAIN}"
        )
    return _Layout(columns, has_header=True, has_quotes='"' in line)


def _add_block(table: ValueTable, block: bytes, layout: _Layout) -> None:
    """Gather the values of some whole lines."""
    names, flags = table.station_index, None
    rows, num_wrong = _parsed(block, layout)
    table.count("rows", num_wrong)
    elements = _decoded(rows["element"], table.element_index)
    is_kept = elements >= 0
    is_value = _valid(rows["value"]) & _valid(rows["date"])
    table.count("values", np.count_nonzero(is_kept & ~is_value))
    is_kept &= is_value
    values, dates = (rows[name].fill_null(MISSING).to_numpy() for name in ("value", "date"))
    is_kept &= values != MISSING
    if "qflag" in rows.column_names:
        words: dict[str, int] = {"": 0}
        flags = _decoded(rows["qflag"], lambda word: words.setdefault(word, len(words)))
        for word, index in words.items():
            if index:
                table.count(f"{FLAGGED}{word}", np.count_nonzero(is_kept & (flags == index)))
        is_kept &= flags == 0
    stations = _decoded(rows["station"].filter(_mask(is_kept)), names)
    dates = dates[is_kept].astype(np.int64)
    years, months, days = dates // 10000, dates // 100 % 100, dates % 100
    table.add(stations, elements[is_kept], years, day_of_year(years, months, days), values[is_kept])


def _parsed(block: bytes, layout: _Layout) -> tuple["pa.Table", int]:
    """The columns that count, and the number of lines with too few or too many."""
    pa, csv, pc = _arrow()
    wrong = 0

    def skip(_: Any) -> str:
        nonlocal wrong
        wrong += 1
        return "skip"

    def parse(number: "pa.DataType") -> "pa.Table":
        nonlocal wrong
        wrong = 0
        words = pa.dictionary(pa.int32(), pa.string())
        kept = [name for name in layout.columns if name in (*_REQUIRED, "qflag")]
        types = {name: number if name in ("date", "value") else words for name in kept}
        return csv.read_csv(
            pa.BufferReader(block),
            csv.ReadOptions(
                column_names=list(layout.columns), use_threads=False, encoding="latin-1"
            ),
            csv.ParseOptions(
                quote_char='"' if layout.has_quotes else False, invalid_row_handler=skip
            ),
            csv.ConvertOptions(column_types=types, include_columns=kept),
        ).combine_chunks()

    try:
        return parse(pa.int32()), wrong
    except pa.ArrowInvalid:
        rows = parse(pa.string())
    for name in ("date", "value"):
        text = rows[name]
        if name == "date":
            text = pc.replace_substring(text, "-", "")
        text = pc.if_else(pc.match_substring_regex(text, _INTEGER), text, None)
        numbers = pc.cast(pc.utf8_trim_whitespace(text), pa.int32())
        rows = rows.set_column(rows.column_names.index(name), name, numbers)
    return rows, wrong


def _decoded(column: Any, index_of: Callable[[str], int]) -> np.ndarray:
    """Indices of the words of a column, each word looked up once."""
    array = column.combine_chunks()
    parts = array.chunks if hasattr(array, "chunks") else [array]
    indices = [
        np.array([index_of(str(word or "").strip()) for word in part.dictionary.to_pylist()], int)[
            part.indices.to_numpy(zero_copy_only=False)
        ]
        for part in parts
        if len(part)
    ]
    return np.concatenate(indices) if indices else np.zeros(0, int)


def _valid(column: Any) -> np.ndarray:
    """Where a column has a value."""
    return column.is_valid().to_numpy()


def _mask(keep: np.ndarray) -> Any:
    """Booleans, as pyarrow has them."""
    return _arrow()[0].array(keep)


def _arrow() -> tuple[Any, Any, Any]:
    """The package pyarrow, its reader of tables, and its functions."""
    try:
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv
    except ImportError as error:
        raise ImportError(
            "tables of GHCN-Daily need pyarrow; install it with  "
            "pip install 'deepsphere-torch[stations]'"
        ) from error
    return pa, csv, pc
