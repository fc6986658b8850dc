"""Values of GHCN-Daily become records: the stations that report enough, day by day."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepsphere.data.ghcn_elements import element_unit, is_weather_type
from deepsphere.data.ghcn_stations import STATION_LIST, GhcnStations
from deepsphere.data.ghcn_values import DAYS, MISSING, DailyValues
from deepsphere.data.station_places import some
from deepsphere.data.station_records import StationRecords, station_records

_CHUNK = 4096  # rows, which fit in the cache of a processor


@dataclass(frozen=True, eq=False)
class _Part:
    """Values, and the place of each of their stations in the list, −1 for those not listed."""

    values: DailyValues
    places: np.ndarray


def records_of(
    parts: list[DailyValues],
    stations: GhcnStations,
    elements: tuple[str, ...],
    min_fraction: float,
    notes: list[str],
) -> StationRecords:
    """Records of the stations that report enough.

    Parameters
    ----------
    parts
        Values of the files.
    stations
        Where the stations are.
    elements
        The channels, in this order; those that no station reports are left out.
    min_fraction
        Of the days on which a station must report each element, in [0, 1].
    notes
        What is known already; what is left out here is added.

    Returns
    -------
    StationRecords
        From the first to the last day on which a station reports.

    Raises
    ------
    ValueError
        If no station reports any of the elements, or none enough.
    """
    listed = {name: place for place, name in enumerate(stations.ids)}
    placed = [
        _Part(part, np.array([listed.get(name, -1) for name in part.stations], np.int64))
        for part in parts
    ]
    unlisted = {
        name
        for part in placed
        for name, place in zip(part.values.stations, part.places, strict=True)
        if place < 0
    }
    if unlisted:
        notes.append(
            f"{len(unlisted)} stations left out, which have values and are not in {STATION_LIST}: "
            f"{some(sorted(unlisted))}"
        )
    days = _Days(placed)
    counts = np.zeros((len(stations), len(elements)), np.int64)
    for part in placed:
        rows = part.places[part.values.station_indices]
        number = part.values.numbers
        known = rows >= 0
        np.add.at(counts, (rows[known], part.values.element_indices[known]), number[known])
    kept = _kept_stations(counts, elements, days, min_fraction, notes)
    channels = np.flatnonzero(counts[kept].sum(axis=0))
    absent = [name for name in elements if name not in {elements[index] for index in channels}]
    absent = [name for name in absent if not is_weather_type(name)]
    if absent:
        notes.append(f"{', '.join(absent)} left out, which no station reports")
    values = days.values(placed, kept, channels, elements)
    return station_records(
        stations.lon_deg[kept],
        stations.lat_deg[kept],
        values,
        days.dates,
        ids=[stations.ids[place] for place in kept],
        names=[stations.names[place] for place in kept],
        elevation_m=stations.elevation_m[kept],
        channel_names=[elements[index].lower() for index in channels],
        units=[element_unit(elements[index])[0] for index in channels],
        notes=notes,
    )


def _kept_stations(
    counts: np.ndarray,
    elements: tuple[str, ...],
    days: "_Days",
    min_fraction: float,
    notes: list[str],
) -> np.ndarray:
    """Places in the list of the stations that report enough."""
    reporting = counts.any(axis=1)
    if not reporting.any():
        told = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(
            f"elements must be among those that a station of the list reports, got "
            f"{', '.join(elements)}{told}; choose others, or other years"
        )
    silent = len(counts) - np.count_nonzero(reporting)
    if silent:
        notes.append(f"{silent} of {len(counts)} stations of the list report none of the elements")
    if not min_fraction:
        return np.flatnonzero(reporting)
    asked = [
        index
        for index, name in enumerate(elements)
        if not is_weather_type(name) and counts[:, index].any()
    ]
    shares = counts[:, asked].min(axis=1, initial=len(days.dates)) / len(days.dates)
    enough = reporting & (shares >= min_fraction)
    if not enough.any():
        raise ValueError(
            f"min_fraction must leave a station, got {min_fraction:g} where the best station "
            f"reports each of {', '.join(elements[index] for index in asked)} on "
            f"{shares.max():.3g} of the {len(days.dates)} days; choose a smaller one, or fewer "
            "elements"
        )
    left_out = np.count_nonzero(reporting & ~enough)
    if left_out:
        notes.append(
            f"{left_out} of {np.count_nonzero(reporting)} stations left out, which report on "
            f"fewer than {min_fraction:.4g} of the {len(days.dates)} days"
        )
    return np.flatnonzero(enough)


class _Days:
    """The days from the first to the last on which a station of the list reports."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        reported: dict[int, np.ndarray] = {}
        for part in parts:
            known = part.places[part.values.station_indices] >= 0
            for year in np.unique(part.values.years[known]).tolist():
                rows = np.flatnonzero(known & (part.values.years == year))
                there = reported.setdefault(year, np.zeros(DAYS, bool))
                for start in range(0, len(rows), _CHUNK):
                    chunk = part.values.values[rows[start : start + _CHUNK]]
                    there |= (chunk != MISSING).any(axis=0)
        self.starts: dict[int, int] = {}
        dates, is_reported = [np.zeros(0, "datetime64[D]")], [np.zeros(0, bool)]
        total = 0
        for year in sorted(reported):
            whole = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
            self.starts[year] = total
            total += len(whole)
            dates.append(whole)
            is_reported.append(reported[year][: len(whole)])
        self._lengths = {year: len(each) for year, each in zip(self.starts, dates[1:], strict=True)}
        found = np.flatnonzero(np.concatenate(is_reported))
        self.first, self.stop = (found[0], found[-1] + 1) if len(found) else (0, total)
        self.dates = np.concatenate(dates)[self.first : self.stop]

    def values(
        self,
        parts: Sequence[_Part],
        kept: np.ndarray,
        channels: np.ndarray,
        elements: tuple[str, ...],
    ) -> np.ndarray:
        """Values of the kept stations in their units, (days, stations, channels)."""
        result = np.full((len(self.dates), len(kept), len(channels)), np.nan, np.float32)
        columns = {int(place): column for column, place in enumerate(kept)}
        for part in parts:
            of_station = np.array([columns.get(int(place), -1) for place in part.places])
            for channel, element in enumerate(channels):
                divisor = element_unit(elements[element])[1]
                for year, start in self.starts.items():
                    rows = (part.values.element_indices == element) & (part.values.years == year)
                    rows = np.flatnonzero(rows)
                    targets = of_station[part.values.station_indices[rows]]
                    rows, targets = rows[targets >= 0], targets[targets >= 0]
                    low = max(start, self.first)
                    high = min(start + self._lengths[year], self.stop)
                    block = part.values.values[rows, low - start : high - start].T
                    numbers = block.astype(np.float32)
                    numbers /= divisor
                    numbers[block == MISSING] = np.nan
                    result[low - self.first : high - self.first, targets, channel] = numbers
        _fill_weather(result, [elements[index] for index in channels])
        return result


def _fill_weather(values: np.ndarray, elements: Sequence[str]) -> None:
    """0 for weather that there was not: the station reports that day, and that type some day."""
    types = [index for index, name in enumerate(elements) if is_weather_type(name)]
    if not types:
        return
    reports = ~np.isnan(values).all(axis=-1)
    for index in types:
        column = values[..., index]
        observes = ~np.isnan(column).all(axis=0)
        column[np.isnan(column) & reports & observes] = 0
