"""Columns of numbers become channels: chosen, named, in their units, without fill values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from deepsphere.data.station_numbers import OddTexts
from deepsphere.data.station_places import some
from deepsphere.data.station_services import Service, service_of, service_quantity
from deepsphere.data.station_units import (
    TEMPERATURES,
    Quantity,
    canonical_units,
    is_converted,
    is_sentinel,
    recognise_quantity,
    unique_quantities,
)

# No air was ever hotter, in °C; larger numbers without a unit are °F, K or tenths.
_HOTTEST = 60.0


class Column(NamedTuple):
    """Numbers of a table under a header.

    Attributes
    ----------
    header
        As it stands in the table.
    values
        float64 of any shape, NaN where no number stands.
    odd
        The texts that were no numbers, if there were any.
    unit
        As an attribute says; None where none does.
    """

    header: str
    values: np.ndarray
    odd: OddTexts | None = None
    unit: str | None = None


class Channels(NamedTuple):
    """What was measured.

    Attributes
    ----------
    names, units
        Of each.
    values
        Of each, in its unit.
    notes
        What was done.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: list[np.ndarray]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ChannelOptions:
    """What a user says about the channels.

    Parameters
    ----------
    names
        Those that are wanted, by name or header, in this order; None for all.
    units
        Unit in the file by name or header, for those that it does not say or says wrongly.
    """

    names: tuple[str, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)


def read_channels(
    columns: Sequence[Column],
    options: ChannelOptions,
    *,
    is_own: bool = False,
    table_headers: Sequence[str] = (),
) -> Channels:
    """Channels of columns of numbers.

    Parameters
    ----------
    columns
        Of a table.
    options
        Which are wanted, and their units.
    is_own
        Whether this library wrote the table: names, units and values are as they stand.
    table_headers
        All that the table has, by which that of a weather service is known; those of the columns
        if not given.

    Returns
    -------
    Channels

    Raises
    ------
    ValueError
        If there is no number, a channel is not there, or a unit is given for none.
    """
    notes: list[str] = []
    service = None if is_own else service_of(table_headers or [each.header for each in columns])
    texts: list[str] = []
    if is_own:
        quantities = [
            _own(each.header) if each.unit is None else Quantity(each.header, each.unit)
            for each in columns
        ]
    else:
        texts = [each.header for each in columns if _is_text(each)]
        columns = [each for each in columns if not _is_text(each)]
        quantities = _recognised(columns, service)
        if texts:
            notes.append(f"columns left out, which hold texts: {', '.join(texts)}")
    if not columns:
        got = f"only texts in {', '.join(texts)}" if texts else "none"
        raise ValueError(
            f"table must have a column of numbers beside places and times, got {got}; write what "
            "was measured as numbers with a point"
        )
    names = [quantity.name for quantity in quantities]
    headers = [each.header for each in columns]
    given = {_find(name, names, headers, "units"): unit for name, unit in options.units.items()}
    order = range(len(columns))
    if options.names is not None:
        order = [_find(name, names, headers, "channels") for name in options.names]
    units, values = [], []
    for index in order:
        quantity = quantities[index]._replace(unit=given.get(index, quantities[index].unit))
        if is_own and index not in given:
            array, unit = columns[index].values, quantity.unit
        elif is_own:
            array, unit = canonical_units(columns[index].values, *quantity)
        else:
            known = service_quantity(columns[index].header, service)
            fill = None if known is None else known[1]
            array, unit = _converted(columns[index], quantity, fill, notes)
        units.append(unit)
        values.append(array)
    return Channels(tuple(names[index] for index in order), tuple(units), values, tuple(notes))


def _converted(
    column: Column, quantity: Quantity, fill: float | None, notes: list[str]
) -> tuple[np.ndarray, str]:
    """Values without numbers that stand for nothing, in their unit; notes are added to."""
    name, unit = quantity
    array = column.values
    if column.odd is not None:
        notes.append(
            f"{name}: texts that are no numbers became {column.odd.number} missing values, as "
            f"{column.odd.first!r}"
        )
    nothing = is_sentinel(array, name, unit)
    if fill is not None:
        nothing |= array == fill
    if nothing.any():
        told = some([f"{one:g}" for one in np.unique(array[nothing]).tolist()])
        notes.append(
            f"{name}: {np.count_nonzero(nothing)} values of {told} became missing values, which "
            "stand for nothing measured"
        )
        array = np.where(nothing, np.nan, array)
    array, canonical = canonical_units(array, name, unit)
    if is_converted(name, unit):
        notes.append(f"{name}: converted from {_shown(unit)} to {canonical}")
    if not canonical and name in TEMPERATURES:
        notes.extend(_doubt(array, name))
    return array, canonical


def _shown(unit: str) -> str:
    """A unit as it is written: "f" of a name is °F."""
    return {"f": "°F", "k": "K"}.get(unit.lower(), unit)


def own_header(name: str, unit: str) -> str:
    """Header of a channel in a file that this library writes.

    Parameters
    ----------
    name, unit
        Of the channel.

    Returns
    -------
    str

    Examples
    --------
    >>> own_header("tmax", "°C"), own_header("value", "")
    ('tmax (°C)', 'value')
    """
    return f"{name} ({unit})" if unit or name.endswith(")") else name


def _own(header: str) -> Quantity:
    """Name and unit of a header of `own_header`."""
    if not header.endswith(")"):
        return Quantity(header, "")
    name, _, unit = header[:-1].rpartition(" (")
    return Quantity(name, unit)


def _is_text(column: Column) -> bool:
    """Whether a column holds rather texts than numbers."""
    num_numbers = int(np.count_nonzero(~np.isnan(column.values)))
    return column.odd is not None and column.odd.number > num_numbers


def _recognised(columns: Sequence[Column], service: Service | None) -> list[Quantity]:
    """Names and units of the columns of a table of anybody."""
    headers = [each.header for each in columns]
    found = []
    for each in columns:
        quantity = recognise_quantity(each.header)
        if each.unit is not None:
            quantity = quantity._replace(unit=each.unit)
        known = service_quantity(each.header, service)
        if known is not None:
            quantity = known[0]
        found.append(quantity)
    return unique_quantities(found, headers)


def _find(name: str, names: Sequence[str], headers: Sequence[str], argument: str) -> int:
    """Index of a channel by its name or header."""
    if name in names:
        return list(names).index(name)
    if name in headers:
        return list(headers).index(name)
    raise ValueError(f"{argument} must be among {', '.join(names)}, got {name!r}")


def _doubt(values: np.ndarray, name: str) -> list[str]:
    """What to say of temperatures without a unit that cannot be °C."""
    present = values[~np.isnan(values)]
    if not len(present) or np.abs(present).max() <= _HOTTEST:
        return []
    return [
        f"{name} has no unit and reaches {present.max():g}, which is not in °C; say its unit, "
        f"units={{{name!r}: 'F'}}, 'K' or 'tenths °C', to have it converted"
    ]
