"""The records of the stations experiment: simulated or read, cut, and shuffled for a control."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from deepsphere.data.calendars import format_time
from deepsphere.data.station_records import StationRecords
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.stations_config import TEMPERATURE, RecordsSection, StationsRecipe

# In the order in which they stand for the temperature of a day.
_TEMPERATURES = ("tavg", "tmax", "tmin")
_SHUFFLED = 0x5717  # a stream of its own for the control


def check_data(recipe: StationsRecipe, data: Path | None) -> None:
    """Raise where a recipe is about a file that is not named.

    Parameters
    ----------
    recipe
        That may be about a file.
    data
        The file; None where stations are simulated.

    Raises
    ------
    ValueError
        If so.
    """
    if recipe.needs_data and data is None:
        raise ValueError(
            "data must name the records of this recipe, got none; pass --data FILE. "
            f"{recipe.needs_data}"
        )


def open_records(recipe: StationsRecipe, data: Path | None) -> StationRecords:
    """The records of a recipe: the variables, days and stations that it may be about.

    Parameters
    ----------
    recipe
        With the simulation, or the names of variables.
    data
        A file or folder of stations; None where they are simulated.

    Returns
    -------
    StationRecords

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds no such records.
    """
    check_data(recipe, data)
    section = recipe.data
    if data is None:
        from deepsphere.data.simulated_stations import SimulatedStationsPlan, simulated_stations

        records = simulated_stations(SimulatedStationsPlan(**recipe.simulation.model_dump()))
    else:
        records = _read(data, _state(data))
    known = set(variables_of(recipe, records))
    records = records.select([name for name in records.channel_names if name in known])
    if section.start is not None or section.stop is not None:
        records = records.between(section.start, section.stop)
    if section.most_days is not None and len(records) > section.most_days:
        records = records.take_times(range(len(records) - section.most_days, len(records)))
    # a station that is silent all the time is no place to learn about
    reporting = np.flatnonzero(records.observed.any(axis=(0, 2)))
    if section.most_stations is not None and len(reporting) > section.most_stations:
        generator = np.random.default_rng(section.hidden_seed)
        reporting = np.sort(generator.permutation(reporting)[: section.most_stations])
    if not len(reporting):
        raise ValueError(
            f"data must hold measurements of {', '.join(records.channel_names)}, got none in these "
            "days; choose others with --set data.start and data.stop"
        )
    return records if len(reporting) == records.num_stations else records.take(reporting)


def variables_of(recipe: StationsRecipe, records: StationRecords) -> tuple[str, ...]:
    """Variables of the records that the objectives are about.

    Parameters
    ----------
    recipe
        With its objectives.
    records
        With their variables.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If there is none.
    """
    asked = [name for objective in recipe.chosen for name in objective.all_names]
    found = dict.fromkeys(named_variable(name, records, recipe.data) for name in asked)
    known = tuple(name for name in found if name in records.channel_names)
    if not known:
        raise ValueError(
            f"data must hold one of {', '.join(dict.fromkeys(asked))}, got "
            f"{', '.join(records.channel_names)}; say which is a temperature: "
            f"--set data.temperature={records.channel_names[0]}"
        )
    return known


def named_variable(name: str, records: StationRecords, section: RecordsSection) -> str:
    """The variable that a name in a recipe means.

    Parameters
    ----------
    name
        Of a recipe.
    records
        With their variables.
    section
        With the variable that a temperature is.

    Returns
    -------
    str
        Not always one that the records have.
    """
    if name != TEMPERATURE or TEMPERATURE in records.channel_names:
        return name
    if section.temperature != "auto":
        return section.temperature
    return next((one for one in _TEMPERATURES if one in records.channel_names), TEMPERATURE)


def digest_of_records(recipe: StationsRecipe, data: Path | None) -> str:
    """A short hash of all records.

    Parameters
    ----------
    recipe
        With the simulation.
    data
        The file; None where stations are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ValueError
        See `open_records`.
    """
    if data is None:
        check_data(recipe, data)
        return short_hash(recipe.simulation.model_dump(mode="json"))
    records = open_records(recipe, data)
    decisive = [
        records.sampling.spec,
        list(records.channel_names),
        [format_time(time) for time in records.times],
        [
            hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()
            for numbers in (records.values, records.elevation_m)
        ],
    ]
    return short_hash(decisive)


def shuffled_records(records: StationRecords, lengths: Sequence[int]) -> StationRecords:
    """Records with the values of each variable permuted over the days and stations of each part.

    Where nothing was measured, nothing is. What is known and what is to be told come from the same
    table, so that whoever looks at the answer finds it, while nothing honest can.

    Parameters
    ----------
    records
        The true ones.
    lengths
        Days of each part.

    Returns
    -------
    StationRecords

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]")
    >>> records = station_records([0, 9], [0, 0], np.arange(8.0).reshape(4, 2), days)
    >>> found = shuffled_records(records, [3, 1]).column("value")
    >>> sorted(found[:3].ravel().tolist()), sorted(found[3].tolist())
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0])
    """
    generator = np.random.default_rng(_SHUFFLED)
    values = records.values.copy()
    for part in np.split(values, np.cumsum(lengths)[:-1]):
        for channel in range(part.shape[2]):
            column = part[:, :, channel]
            there = ~np.isnan(column)
            column[there] = generator.permutation(column[there])
    return replace(records, values=values)


@lru_cache(maxsize=1)
def _read(data: Path, state: object) -> StationRecords:
    """The records of a file that is in some state, read once for all that is asked of it."""
    from deepsphere.data.station_tables import read_stations

    return read_stations(data)


def _state(data: Path) -> tuple[tuple[str, int, int], ...]:
    """Sizes and times of the files at a path."""
    files = sorted(data.iterdir()) if data.is_dir() else [data]
    states = [(path.name, path.stat()) for path in files if path.exists()]
    return tuple((name, state.st_mtime_ns, state.st_size) for name, state in states)
