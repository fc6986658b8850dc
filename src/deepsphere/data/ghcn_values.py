"""What the files of GHCN-Daily hold: whole numbers by station, element, year and day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int, Integer

MISSING = -9999  # NOAA's number for a value that is not there
DAYS = 366  # of a year; the last is empty in most

# Dates outside of this are mistakes: the oldest record begins in 1763.
_FIRST_YEAR, _LAST_YEAR = 1700, 2199
_MANY_ELEMENTS = 4096  # more than there are
_MONTH_STARTS = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365])

# What may be wrong with a row, and how notes say it.
FLAGGED = "flag "
PROBLEMS = {
    "repeated": "values of days that were there already (the last one counts)",
    "dates": "values with a day that does not exist",
    "values": "values that are not whole numbers",
    "rows": "lines with a wrong number of columns",
}


@dataclass(frozen=True, eq=False)
class DailyValues:
    """Values of days, a row for each year of an element at a station.

    Attributes
    ----------
    stations, elements
        The names to which the indices lead.
    station_indices, element_indices, years
        Of each row.
    values
        As stored (tenths of °C, ...); −9999 where there is none. Day 0 is 1 January.
    counts
        How many values were left out and why: "flag X" for each quality flag, and the keys of
        `PROBLEMS`.
    """

    stations: tuple[str, ...]
    elements: tuple[str, ...]
    station_indices: Int[np.ndarray, "rows"]
    element_indices: Int[np.ndarray, "rows"]
    years: Int[np.ndarray, "rows"]
    values: Integer[np.ndarray, "rows 366"]
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.years)

    @cached_property
    def numbers(self) -> Int[np.ndarray, "rows"]:
        """Number of values of each row that are there."""
        return np.count_nonzero(self.values != MISSING, axis=1)

    @property
    def num_values(self) -> int:
        """Number of values that are there."""
        return int(self.numbers.sum())


def day_of_year(
    years: Int[np.ndarray, "dates"],
    months: Int[np.ndarray, "dates"],
    days: Int[np.ndarray, "dates"],
) -> Int[np.ndarray, "dates"]:
    """Number of days since 1 January; −1 for a date that does not exist.

    Parameters
    ----------
    years, months, days
        Of the Gregorian calendar; months and days from 1.

    Returns
    -------
    Int[np.ndarray, "dates"]

    Examples
    --------
    >>> day_of_year(np.array([2020, 2021, 2021]), np.array([3, 3, 2]), np.array([1, 1, 29]))
    array([60, 59, -1])
    """
    is_leap = (years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))
    exists = (months >= 1) & (months <= 12) & (years >= _FIRST_YEAR) & (years <= _LAST_YEAR)
    month = np.where(exists, months, 1)
    length = _MONTH_STARTS[month] - _MONTH_STARTS[month - 1] + (is_leap & (month == 2))
    exists &= (days >= 1) & (days <= length)
    return np.where(exists, _MONTH_STARTS[month - 1] + (is_leap & (month > 2)) + days - 1, -1)


class ValueTable:
    """Gathers the values of files, block by block.

    Parameters
    ----------
    elements
        Which to keep; None keeps all.
    """

    def __init__(self, elements: Sequence[str] | None) -> None:
        self.counts: dict[str, int] = {}
        self._keeps_all = elements is None
        self._elements = {name: index for index, name in enumerate(elements or ())}
        self._stations: dict[str, int] = {}
        # station, element and year in one number, in order, and the row of each
        self._keys = np.zeros(0, np.int64)
        self._rows = np.zeros(0, np.int64)
        self._values = np.full((1024, DAYS), MISSING, np.int32)

    def element_index(self, name: str) -> int:
        """Index of an element; −1 for one that is not kept.

        Parameters
        ----------
        name
            Its four characters.
        """
        if self._keeps_all and name and len(self._elements) < _MANY_ELEMENTS:
            return self._elements.setdefault(name, len(self._elements))
        return self._elements.get(name, -1)

    def station_index(self, name: str) -> int:
        """Index of a station.

        Parameters
        ----------
        name
            Its eleven characters.
        """
        return self._stations.setdefault(name, len(self._stations))

    def count(self, problem: str, number: int | np.integer) -> None:
        """Remember that values were left out.

        Parameters
        ----------
        problem
            A key of `DailyValues.counts`.
        number
            How many.
        """
        if number:
            self.counts[problem] = self.counts.get(problem, 0) + int(number)

    def add(
        self,
        stations: Int[np.ndarray, "values"],
        elements: Int[np.ndarray, "values"],
        years: Int[np.ndarray, "values"],
        days: Int[np.ndarray, "values"],
        values: Int[np.ndarray, "values"],
    ) -> None:
        """Put values in their places; of several for a place, the last.

        Parameters
        ----------
        stations, elements
            Their indices; elements are kept.
        years
            Of the dates.
        days
            Of the years, from 0; those that are −1 are counted as wrong and left out.
        values
            As stored.
        """
        exists = days >= 0
        self.count("dates", len(days) - np.count_nonzero(exists))
        keep = exists & (values != MISSING)
        if not keep.any():
            return
        stations, elements, years, days, values = (
            each[keep].astype(np.int64) for each in (stations, elements, years, days, values)
        )
        keys = (stations * _MANY_ELEMENTS + elements) * (_LAST_YEAR + 1) + years
        unique, inverse = np.unique(keys, return_inverse=True)
        rows = self._rows_of(unique)
        places = rows[inverse] * DAYS + days
        flat = self._values.reshape(-1)
        was_there = flat[places] != MISSING
        order = np.arange(len(places), dtype=np.int32)
        flat[places] = order
        is_last = flat[places] == order
        self.count("repeated", np.count_nonzero(was_there | ~is_last))
        flat[places[is_last]] = values[is_last]

    def finish(self) -> DailyValues:
        """All that was gathered.

        Returns
        -------
        DailyValues
            Rows in the order of stations, elements and years.
        """
        rest, years = np.divmod(self._keys, _LAST_YEAR + 1)
        stations, elements = np.divmod(rest, _MANY_ELEMENTS)
        values = self._values[: len(self._keys)]
        small = np.iinfo(np.int16)
        if not len(values) or (small.min <= values.min() and values.max() <= small.max):
            values = values.astype(np.int16)
        return DailyValues(
            tuple(self._stations),
            tuple(self._elements),
            stations,
            elements,
            years,
            values[self._rows],
            counts=dict(self.counts),
        )

    def _rows_of(self, keys: Int[np.ndarray, "keys"]) -> Int[np.ndarray, "keys"]:
        """Rows of keys, which are in order and each once; made where there are none."""
        places = np.searchsorted(self._keys, keys)
        inside = places < len(self._keys)
        inside[inside] = self._keys[places[inside]] == keys[inside]
        found = keys[~inside]
        if len(found):
            before, number = len(self._keys), len(self._keys) + len(found)
            merged = np.concatenate([self._keys, found])
            order = np.argsort(merged, kind="stable")
            rows = np.concatenate([self._rows, np.arange(before, number)])
            self._keys, self._rows = merged[order], rows[order]
            if number > len(self._values):
                # in place: two copies of a year would be a gigabyte
                size = len(self._values)
                self._values.resize((max(2 * size, number), DAYS), refcheck=False)
                self._values[size:] = MISSING
        return self._rows[np.searchsorted(self._keys, keys)]
