"""Records of stations from tables of pandas: a row for each station and time, or wide ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.station_channels import ChannelOptions, Column, read_channels
from deepsphere.data.station_columns import (
    OWN_ROLES,
    as_texts,
    date_parts,
    day_and_clock,
    find_roles,
    is_beside,
    is_date_header,
)
from deepsphere.data.station_dates import is_clock, parse_times, times_of_parts, with_clock
from deepsphere.data.station_lists import Places, listed_places, no_places, row_places
from deepsphere.data.station_numbers import OddTexts, as_numbers
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.data.station_services import trusted_values
from deepsphere.data.station_units import is_sentinel, recognise_quantity

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableOptions:
    """What a user says about a table.

    Parameters
    ----------
    channels
        Names and units of what was measured.
    columns
        Header of each role that is not recognised.
    stations
        The list of stations, if it is another table.
    times
        Of the rows, where the table holds none.
    time_format
        As of `strptime`.
    variable
        What a wide table holds.
    is_own
        Whether this library wrote the table: nothing is recognised, all is as it stands.
    headers
        All that the table has; those of the table itself if not given.
    attributes
        Unit by header, where it stands beside the table.
    """

    channels: ChannelOptions
    columns: dict[str, str]
    stations: "pd.DataFrame | None" = None
    times: Any = None
    time_format: str | None = None
    variable: str = "value"
    is_own: bool = False
    headers: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


def frame_records(frame: "pd.DataFrame", options: TableOptions) -> StationRecords:
    """Records of a table, whatever its form.

    Parameters
    ----------
    frame
        Is not modified.
    options
        What is known of it.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If the table says not where or when, or has no numbers.
    """
    import pandas as pd

    if not len(frame):
        raise ValueError("table must have rows, got none; write what was measured below the header")
    if isinstance(frame.columns, pd.MultiIndex):
        return _wide_variables(_plain_index(frame), options)
    table = _plain_index(frame)
    told: list[str] = []
    if not options.is_own:
        table, told = trusted_values(table)
    options = replace(options, headers=tuple(map(str, table.columns)))
    return _records_of_form(table, options).with_notes(*told)


def _records_of_form(table: "pd.DataFrame", options: TableOptions) -> StationRecords:
    """Records of a table with one row of headers, of whatever form."""
    headers = list(table.columns)
    if len(set(headers)) < len(headers):
        repeated = next(one for one in headers if headers.count(one) > 1)
        raise ValueError(f"table must have different headers, got {repeated!r} twice; rename one")
    if options.is_own:
        return _long(table, OWN_ROLES, options)
    roles = find_roles(headers, options.columns)
    days = [header for header in headers if is_date_header(header)]
    if "time" not in roles and len(days) >= 2:
        return _date_columns(table, days, roles, options)
    if "station" not in options.columns and _is_wide(table, roles, options):
        return _wide(table, roles, options)
    return _long(table, roles, options)


def _plain_index(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table with what its index says as columns."""
    import pandas as pd

    index = frame.index
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex):
        index = index.rename(index.name or "time")
    names = [name for name in index.names if name is not None]
    if not names:
        return frame
    has_levels = isinstance(frame.columns, pd.MultiIndex)
    table = frame.set_axis(index, axis=0)
    keep = [name for name in names if has_levels or name not in frame.columns]
    gone = [level for level, name in enumerate(index.names) if name not in keep]
    if len(gone) == index.nlevels:
        return frame
    return table.reset_index(level=gone, drop=True).reset_index()


def _times(table: "pd.DataFrame", roles: dict[str, Any], options: TableOptions) -> np.ndarray:
    """The time of each row."""
    if options.times is not None:
        times = parse_times(options.times, options.time_format)
        if len(times) != len(table):
            raise ValueError(f"times must be one for each of {len(table)} rows, got {len(times)}")
        return times
    parts = date_parts(table.columns)
    header, clock = day_and_clock(table.columns, roles.get("time"))
    if header != roles.get("time") and not is_clock(table[clock]):
        header, clock = roles.get("time"), None
    if parts and (header is None or header in parts.values()):
        numbers = {part: as_numbers(table[each])[0] for part, each in parts.items()}
        days = times_of_parts(numbers["year"], numbers.get("month"), numbers.get("day"))
        return days if clock is None else with_clock(days, table[clock])
    if header is None:
        raise ValueError(
            "table must say when, got the columns "
            f"{', '.join(map(str, table.columns[:12]))}; name the one with the dates, "
            "columns={'time': ...}, or give times="
        )
    days = parse_times(table[header], options.time_format)
    return days if clock is None else with_clock(days, table[clock])


def _long(table: "pd.DataFrame", roles: dict[str, Any], options: TableOptions) -> StationRecords:
    """A row for each station and time, or for each of these and a variable."""
    row_times = _times(table, roles, options)
    codes, places = row_places(table, roles, row_times, options.stations)
    known = (codes >= 0) & ~np.isnat(row_times)
    notes: list[str] = []
    if not known.all():
        if not known.any():
            raise ValueError("table must have a row with a station and a date, got none")
        notes.append(
            f"{np.count_nonzero(~known)} of {len(known)} rows dropped, without a station or a date"
        )
    times, time_codes = np.unique(row_times[known], return_inverse=True)
    shape = (len(times), len(places.ids))
    cells = _Cells(time_codes * shape[1] + codes[known], shape)
    if "variable" in roles and "value" in roles:
        columns, num_repeated = _stacked(table, roles, known, cells)
    else:
        beside = {*roles.values(), *([] if options.is_own else date_parts(table.columns).values())}
        num_repeated = cells.num_repeated
        columns = [
            Column(
                str(header),
                *_numbers(table[header], known),
                options.attributes.get(str(header)),
            )
            for header in table.columns
            if header not in beside and not (is_beside(header) and not options.is_own)
        ]
    if num_repeated:
        notes.append(f"{num_repeated} rows repeat a station and a time, and were averaged")
    return _records(places, times, columns, cells.fill, options, notes)


class _Cells:
    """Where the rows of a table lie among the times and stations."""

    def __init__(self, cells: np.ndarray, shape: tuple[int, int]) -> None:
        self.cells, self.shape = cells, shape
        taken = np.zeros(shape[0] * shape[1], bool)
        taken[cells] = True
        self.num_repeated = len(cells) - int(np.count_nonzero(taken))

    def fill(self, values: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """(times, stations) with the mean of what stands in the rows of each."""
        if values.ndim == 2:
            return values.astype(dtype)
        table = np.full(self.shape[0] * self.shape[1], np.nan, dtype)
        if not self.num_repeated:
            table[self.cells] = values
            return table.reshape(self.shape)
        present = ~np.isnan(values)
        cells, inverse, counts = np.unique(
            self.cells[present], return_inverse=True, return_counts=True
        )
        table[cells] = np.bincount(inverse, values[present], len(cells)) / counts
        return table.reshape(self.shape)


def _stacked(
    table: "pd.DataFrame", roles: dict[str, Any], known: np.ndarray, cells: _Cells
) -> tuple[list[Column], int]:
    """Columns (times, stations) of a table with a row for each variable, and its repeated rows."""
    import pandas as pd

    variables, names = pd.factorize(as_texts(table[roles["variable"]])[known])
    values, odd = _numbers(table[roles["value"]], known)
    columns, num_repeated = [], 0
    for index, name in enumerate(names):
        rows = np.flatnonzero(variables == index)
        part = _Cells(cells.cells[rows], cells.shape)
        num_repeated += part.num_repeated
        numbers = values[rows]
        if part.num_repeated:  # before the mean, which would hide them
            nothing = is_sentinel(numbers, *recognise_quantity(str(name)))
            numbers = np.where(nothing, np.nan, numbers)
        columns.append(Column(str(name), part.fill(numbers, np.float64), odd))
    return columns, num_repeated


def _is_wide(table: "pd.DataFrame", roles: dict[str, Any], options: TableOptions) -> bool:
    """Whether the columns are stations."""
    if "lon" in roles and "lat" in roles:
        return False
    if options.stations is None:
        return "station" not in roles
    places = listed_places(options.stations, options.columns)
    if "station" not in roles and "name" in roles:
        named = {text for text in as_texts(table[roles["name"]]) if text is not None}
        if named & {*places.ids, *places.names}:
            return False
    headers = set(as_texts([header for header in table.columns if header not in roles.values()]))
    listed = set(places.ids) | set(places.names)
    return len(headers & listed) > len(headers) / 2 or "station" not in roles


def _wide(table: "pd.DataFrame", roles: dict[str, Any], options: TableOptions) -> StationRecords:
    """A row for each time, a column for each station."""
    times = _times(table, roles, options)
    beside = [roles.get("time"), *date_parts(table.columns).values()]
    headers = [header for header in table.columns if header not in beside]
    places = _listed(headers, options)
    values, odd = _block([table[header] for header in headers])
    return _by_time(times, places, [Column(options.variable, values, odd)], options)


def _wide_variables(table: "pd.DataFrame", options: TableOptions) -> StationRecords:
    """A row for each time, columns by station and variable in either order."""
    import pandas as pd

    headers = list(table.columns)
    first = [header for header in headers if all(part == "" for part in header[1:])]
    named = {header[0]: header for header in first}
    roles = find_roles(named, options.columns)
    flat = pd.DataFrame({name: table[header] for name, header in named.items()})
    times = _times(flat if len(flat.columns) else table, roles, options)
    pairs = [header[:2] for header in headers if header not in first]
    levels = [list(dict.fromkeys(pair[level] for pair in pairs)) for level in (0, 1)]
    if options.stations is None:
        raise no_places(levels[0])
    listed = listed_places(options.stations, options.columns)
    known = {*listed.ids, *listed.names}
    level = int(
        sum(str(one) in known for one in levels[1]) > sum(str(one) in known for one in levels[0])
    )
    places = _listed(levels[level], options)
    by_pair = dict(zip(pairs, [h for h in headers if h not in first], strict=True))
    columns = []
    empty = pd.Series(np.full(len(table), np.nan))
    for variable in levels[1 - level]:
        keys = [
            (station, variable) if level == 0 else (variable, station) for station in levels[level]
        ]
        columns.append(
            Column(
                str(variable),
                *_block([table[by_pair[key]] if key in by_pair else empty for key in keys]),
            )
        )
    return _by_time(times, places, columns, options)


def _date_columns(
    table: "pd.DataFrame", days: list[Any], roles: dict[str, Any], options: TableOptions
) -> StationRecords:
    """A row for each station, a column for each time."""
    times = parse_times([str(day) for day in days], options.time_format)
    no_times = np.full(len(table), np.datetime64("1970-01-01", "s"))
    codes, places = row_places(table, roles, no_times, options.stations)
    if len(set(codes.tolist())) < len(codes) or (codes < 0).any():
        raise ValueError(
            "table with a column for each time must have one row for each station, got "
            f"{len(codes)} rows of {len(set(codes[codes >= 0].tolist()))} stations"
        )
    values, odd = _block([table[day] for day in days])
    return _by_time(times, places, [Column(options.variable, values.T, odd)], options)


def _by_time(
    times: np.ndarray, places: Places, columns: list[Column], options: TableOptions
) -> StationRecords:
    """Records of columns that are (times, stations) already; rows without a time are dropped."""
    known = ~np.isnat(times)
    notes = []
    if not known.all():
        notes.append(f"{np.count_nonzero(~known)} of {len(known)} rows dropped, without a date")
        columns = [each._replace(values=each.values[known]) for each in columns]
    return _records(
        places, times[known], columns, lambda values: values.astype(np.float32), options, notes
    )


def _records(
    places: Places,
    times: np.ndarray,
    columns: list[Column],
    fill: Any,
    options: TableOptions,
    notes: Sequence[str],
) -> StationRecords:
    """Records of columns of numbers."""
    channels = read_channels(
        columns, options.channels, is_own=options.is_own, table_headers=options.headers
    )
    values = np.stack([fill(each) for each in channels.values], axis=-1)
    return station_records(
        places.lon_deg,
        places.lat_deg,
        values,
        times,
        ids=places.ids,
        names=places.names,
        elevation_m=places.elevation_m,
        channel_names=channels.names,
        units=channels.units,
        notes=(*notes, *channels.notes, *places.notes),
    )


def _listed(headers: Sequence[Any], options: TableOptions) -> Places:
    """Where the stations are that columns are called after."""
    if options.stations is None:
        raise no_places(headers)
    ids = [text or str(header) for text, header in zip(as_texts(headers), headers, strict=True)]
    return listed_places(options.stations, options.columns).of(ids)


def _numbers(column: "pd.Series", known: np.ndarray) -> tuple[np.ndarray, OddTexts | None]:
    """Numbers in the rows that are known."""
    values, odd = as_numbers(column)
    return (values if known.all() else values[known]), odd


def _block(columns: "list[pd.Series]") -> tuple[np.ndarray, OddTexts | None]:
    """Columns of numbers side by side."""
    read = [as_numbers(column) for column in columns]
    odds = [each for _, each in read if each is not None]
    odd = OddTexts(odds[0].first, sum(each.number for each in odds)) if odds else None
    return np.stack([values for values, _ in read], axis=1), odd
