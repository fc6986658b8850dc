"""Names and units of what stations measure, and numbers that stand for nothing."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

TEMPERATURES = ("tmax", "tmin", "tavg")
WATER = ("prcp", "snow", "snwd")

# What columns are called, without anything but letters and digits, in lower case.
_ALIASES = {
    "tmax": "tmax tempmax maxtemp temperaturemax maxtemperature maximumtemperature "
    "temperaturemaximum tx tasmax airtemperaturemax temperature2mmax dailymaximumtemperature "
    "temperaturehigh hightemp hightemperature",
    "tmin": "tmin tempmin mintemp temperaturemin mintemperature minimumtemperature "
    "temperatureminimum tn tasmin airtemperaturemin temperature2mmin dailyminimumtemperature "
    "temperaturelow lowtemp lowtemperature",
    "tavg": "tavg tmean temp temperature tempmean tempavg temperaturemean temperatureavg meantemp "
    "avgtemp averagetemp meantemperature averagetemperature avgtemperature temperatur "
    "dailymeantemperature tg tas t2m tair "
    "airtemp airtemperature airtemperaturemean temperature2m temperature2mmean",
    "prcp": "prcp prec precip precipitation pr rr rain rainfall rainfallamount ppt pcp "
    "precipitationsum precipitationtotal totalprecipitation precipitationamount rainsum",
    "snow": "snow snowfall newsnow snowfallsum",
    "snwd": "snwd snowdepth sndp",
}
_CANONICAL = {alias: name for name, text in _ALIASES.items() for alias in text.split()}
_TEMPERATURE_WORDS = re.compile(r"temp|dew|sst|wetbulb|drybulb|^t(max|min|avg|mean|2m|as)")
_WATER_WORDS = re.compile(r"prcp|prec|rain|snow|snwd|ppt|evap")

_SHORTEST = 4  # letters of a name that a unit may follow without anything between

_CELSIUS, _MILLIMETERS = "°C", "mm"
_TEMPERATURE_UNITS = {
    "c": (1.0, 0.0),
    "celsius": (1.0, 0.0),
    "centigrade": (1.0, 0.0),
    "f": (5 / 9, -160 / 9),
    "fahrenheit": (5 / 9, -160 / 9),
    "k": (1.0, -273.15),
    "kelvin": (1.0, -273.15),
    "kelvins": (1.0, -273.15),
}
_LENGTH_UNITS = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("mm/day", "mm/d", "mmday1", "mmd1", "kgm2", "kg/m2", "l/m2"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("in", "inch", "inches", '"'), 25.4),
    **dict.fromkeys(("kgm2s1", "kg/m2/s", "mm/s", "mms1"), 86400.0),
}
_TENTHS = re.compile(
    r"tenths?(\s+of)?(\s+an?)?|10ths?|(?<![\d.])(0?\.1|1e-0?1)(?!\d)|[/*x×]\s*10\b|10\s*[*x×]"
)
_HUNDREDTHS = re.compile(r"hundredths?(\s+of)?(\s+an?)?|100ths?|(?<![\d.])(0?\.01|1e-0?2)(?!\d)")

# Units at the end of a name, behind an underscore.
_SUFFIXES = ("tenths_c", "tenths_mm", "tenths", "deg_c", "deg_f", "deg_k", "degc", "degf", "degk")
_SUFFIXES += ("celsius", "fahrenheit", "kelvin", "inches", "inch", "mm", "cm", "in", "c", "f", "k")

# Numbers that files write where nothing was measured. None can be measured as such.
_NEVER = (-9999.0, -9999.9, -99999.0, -99999.9, -999.9, -32768.0, 9999.9, 99999.0, 99999.9)
_FILL_VALUES = 9.0e35  # the smallest of the customary ones is 9.97e36
# Those that could be one in some unit count only far from all that else stands in the column.
_ALONE = {
    "temperature": (-99.0, -99.9, -999.0, 999.0, 999.9, 9999.0, -8888.0),
    "water": (-99.0, -99.9, -999.0, -99.99, -9.99, 9999.0, 999.9, 999.99, -8888.0),
    "other": (-999.0, 9999.0),
}
_ALONE_BY = 0.25


class Quantity(NamedTuple):
    """What a column holds.

    Attributes
    ----------
    name
        tmax, tmin, tavg, prcp, snow or snwd where it is one, else the name in lower case.
    unit
        As it stands there, "" where none does.
    """

    name: str
    unit: str


def recognise_quantity(column: str) -> Quantity:
    """Name and unit of a column, from its header.

    Parameters
    ----------
    column
        The header: "TMAX", "temp_maxc", "Rain (in)", "tavg_f".

    Returns
    -------
    Quantity

    Examples
    --------
    >>> for column in ("TMAX (F)", "temp_maxc", "tavg_f", "Rainfall [inches]", "wind_ms"):
    ...     print(*recognise_quantity(column))
    tmax F
    tmax c
    tavg f
    prcp inches
    wind_ms
    """
    text = column.strip()
    bracketed = re.fullmatch(r"(.+?)\s*[(\[]([^()\[\]]*)[)\]]", text)
    if bracketed:
        return Quantity(_plain(bracketed[1]), bracketed[2].strip())
    if _letters(text) in _CANONICAL:
        return Quantity(_CANONICAL[_letters(text)], "")
    lower = re.sub(r"[\s.\-]+", "_", text.lower())
    for suffix in _SUFFIXES:
        base = lower.removesuffix("_" + suffix)
        if base != lower and base and _is_unit_of(suffix, base):
            return Quantity(_plain(base), suffix.replace("_", " "))
    # tempc, temp_maxc: only where what is left is known
    base = _letters(lower[:-1])
    is_long = len(base) >= _SHORTEST  # TXK and TGK are codes of DWD
    if lower[-1:] in ("c", "f", "k") and is_long and _CANONICAL.get(base) in TEMPERATURES:
        return Quantity(_CANONICAL[base], lower[-1])
    return Quantity(lower, "")


def unique_quantities(quantities: Sequence[Quantity], columns: Sequence[str]) -> list[Quantity]:
    """The same with each name once: the column that has the name keeps it, else the first.

    Parameters
    ----------
    quantities
        Of some columns.
    columns
        Their headers.

    Returns
    -------
    list of Quantity
        The others go by their header in lower case.

    Examples
    --------
    >>> columns = ["temp", "TAVG"]
    >>> [each.name for each in unique_quantities(list(map(recognise_quantity, columns)), columns)]
    ['temp', 'tavg']
    """
    owners: dict[str, int] = {}
    for index, (quantity, column) in enumerate(zip(quantities, columns, strict=True)):
        exact = column.strip().lower() == quantity.name
        if quantity.name not in owners or exact:
            owners[quantity.name] = index
    unique, taken = [], set(owners)
    for index, (quantity, column) in enumerate(zip(quantities, columns, strict=True)):
        name = quantity.name
        if owners[name] != index:
            name = column.strip().lower()
            while name in taken:
                name += "_"
            taken.add(name)
        unique.append(Quantity(name, quantity.unit))
    return unique


def canonical_units(
    values: Float[np.ndarray, "*shape"], name: str, unit: str
) -> tuple[Float[np.ndarray, "*shape"], str]:
    """Temperatures in °C, precipitation and snow in mm; anything else as it is.

    Parameters
    ----------
    values
        In the unit.
    name
        Of what they are.
    unit
        "F", "degC", "K", "tenths of degrees C", "0.1 mm", "inches", "kg m-2", …; "" where it is
        not known.

    Returns
    -------
    values, unit
        "°C", "mm", or the unit that was given.

    Examples
    --------
    >>> canonical_units(np.array([32.0, 212.0]), "tmax", "°F")
    (array([  0., 100.]), '°C')
    >>> canonical_units(np.array([253.0]), "tmax", "tenths of degrees C")
    (array([25.3]), '°C')
    >>> canonical_units(np.array([1013.0]), "slp", "hPa")
    (array([1013.]), 'hPa')
    """
    found = _conversion(name, unit)
    if found is None:
        return values, unit
    scale, offset, canonical = found
    if (scale, offset) == (1.0, 0.0):
        return values, canonical
    # 253 tenths are 25.3, which 253 × 0.1 is not
    scaled = values / round(1 / scale) if scale in (0.1, 0.01) else values * scale
    return scaled + offset, canonical


def is_converted(name: str, unit: str) -> bool:
    """Whether values in a unit become others in °C or mm.

    Parameters
    ----------
    name, unit
        As for `canonical_units`.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_converted("tmax", "degF"), is_converted("tmax", "degC"), is_converted("slp", "hPa")
    (True, False, False)
    """
    found = _conversion(name, unit)
    return found is not None and found[:2] != (1.0, 0.0)


def is_sentinel(
    values: Num[np.ndarray, "*shape"], name: str, unit: str = ""
) -> Bool[np.ndarray, "*shape"]:
    """Where a number stands for nothing measured, as −9999 does.

    Numbers that might be measured in some unit (−99 °F at the South Pole) count only where nothing
    else in the column is near them.

    Parameters
    ----------
    values
        Of one column as it stands in the file.
    name
        Of what they are.
    unit
        As it stands there, "" where none does.

    Returns
    -------
    Bool[np.ndarray, "*shape"]

    Examples
    --------
    >>> is_sentinel(np.array([61.0, -9999.0, -99.0, 45.0]), "tavg", "F").tolist()
    [False, True, True, False]
    >>> is_sentinel(np.array([61.0, -99.0, -97.0, -45.0]), "tavg", "F").any()
    np.False_
    """
    with np.errstate(invalid="ignore"):
        found = np.isin(values, _NEVER) | (np.isfinite(values) & (np.abs(values) >= _FILL_VALUES))
        negative_is_nothing = _kind(name, unit) == "water"
        candidates = _ALONE[_kind(name, unit)]
        for candidate in candidates:
            here = values == candidate
            if not here.any():
                continue
            rest = values[~here & ~found & ~np.isin(values, candidates)]
            impossible = negative_is_nothing and candidate < 0
            near = np.abs(rest - candidate) <= max(_ALONE_BY * abs(candidate), 1.0)
            if impossible or not near.any():
                found |= here
    return found


def _plain(text: str) -> str:
    """The known name of what a text means, else the text in lower case."""
    return _CANONICAL.get(_letters(text), re.sub(r"[\s.\-]+", "_", text.strip().lower()))


def _letters(text: str) -> str:
    """Letters and digits only."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _is_unit_of(suffix: str, base: str) -> bool:
    """Whether the end of a name is a unit: one letter is only for temperatures."""
    if suffix in ("c", "f", "k"):
        return _CANONICAL.get(_letters(base)) in TEMPERATURES or bool(
            _TEMPERATURE_WORDS.search(base)
        )
    if suffix in ("in", "cm", "mm", "inch", "inches", "tenths mm"):
        return _CANONICAL.get(_letters(base)) in WATER or bool(_WATER_WORDS.search(base))
    return True


def _kind(name: str, unit: str) -> str:
    """Whether something is a temperature, an amount of water, or something else."""
    found = _conversion(name, unit)
    if found is not None:
        return "temperature" if found[2] == _CELSIUS else "water"
    if name in TEMPERATURES or _TEMPERATURE_WORDS.search(name):
        return "temperature"
    return "water" if name in WATER or _WATER_WORDS.search(name) else "other"


def _conversion(name: str, unit: str) -> tuple[float, float, str] | None:
    """Factor, offset and canonical unit; None for units that are kept."""
    text = unit.lower().replace("º", "°").replace("℃", "c").replace("℉", "f").strip()
    scale = 1.0
    for pattern, factor in ((_HUNDREDTHS, 0.01), (_TENTHS, 0.1)):
        if pattern.search(text):
            text, scale = pattern.sub("", text), factor
            break
    core = re.sub(r"degrees?|deg|°|[\s_^*()\-]|of", "", text.replace("**", "")).strip(".")
    is_water = name in WATER or bool(_WATER_WORDS.search(name))
    if not core and scale != 1.0:
        if name in TEMPERATURES or _TEMPERATURE_WORDS.search(name):
            core = "c"
        elif is_water:
            core = "mm"
    if core in _TEMPERATURE_UNITS:
        factor, offset = _TEMPERATURE_UNITS[core]
        return scale * factor, offset, _CELSIUS
    if core in _LENGTH_UNITS and is_water:
        return scale * _LENGTH_UNITS[core], 0.0, _MILLIMETERS
    return None
