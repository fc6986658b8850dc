"""The elements of GHCN-Daily: what their whole numbers count, and in which units."""

import re
from collections.abc import Sequence

# What the original experiments read, in their order.
ORIGINAL_ELEMENTS = ("PRCP", "TMIN", "TMAX", "SNOW", "SNWD")

# Unit, and how many of what is stored make one of it. From the readme of GHCN-Daily, section III.
_TENTHS = {
    "°C": "TMAX TMIN TAVG TAXN TOBS MDTN MDTX MNPN MXPN ADPT AWBT",
    "mm": "PRCP EVAP MDPR MDEV WESD WESF THIC",
    "m/s": "AWND WSF1 WSF2 WSF5 WSFG WSFI WSFM",
    "hPa": "ASLP ASTP",
}
_WHOLE = {
    "mm": "SNOW SNWD MDSF",
    "°": "AWDR WDF1 WDF2 WDF5 WDFG WDFI WDFM",
    "%": "ACMC ACMH ACSC ACSH PSUN RHAV RHMN RHMX",
    "cm": "FRGB FRGT FRTH GAHT",
    "km": "WDMV MDWM",
    "min": "TSUN",
    "d": "DAEV DAPR DASF DATN DATX DAWM DWPR",
}
_UNITS = {
    name: (unit, divisor)
    for table, divisor in ((_TENTHS, 10), (_WHOLE, 1))
    for unit, names in table.items()
    for name in names.split()
}
_SOIL = re.compile(r"S[NX]\d\d")
_WEATHER = re.compile(r"W[TV]\d\d")
_FORM = re.compile(r"[A-Z][A-Z0-9]{3}|W[TV]\*\*")
# Of the types of weather, "WT01" to "WT22", and of weather in the vicinity.
_NUM_TYPES = 22


def element_unit(element: str) -> tuple[str, int]:
    """Unit of an element, and the number by which what is stored is divided.

    Parameters
    ----------
    element
        Four characters, as in the files.

    Returns
    -------
    unit
        "" for what has none (types of weather, times of day) and for what is not known.
    divisor
        10 for what is stored in tenths, else 1.

    Examples
    --------
    >>> element_unit("TMAX"), element_unit("SNOW"), element_unit("WT01")
    (('°C', 10), ('mm', 1), ('', 1))
    """
    if _SOIL.fullmatch(element):
        return "°C", 10
    return _UNITS.get(element, ("", 1))


def is_weather_type(element: str) -> bool:
    """Whether an element says that there was such weather: 1, and nothing where there was none.

    Parameters
    ----------
    element
        Four characters.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_weather_type("WT03"), is_weather_type("WV20"), is_weather_type("WESD")
    (True, True, False)
    """
    return _WEATHER.fullmatch(element) is not None


def check_elements(elements: Sequence[str]) -> tuple[str, ...]:
    """Elements in capitals, each once, with all types of weather for "WT**" or "WV**".

    Parameters
    ----------
    elements
        At least one, of four characters each.

    Returns
    -------
    tuple of str
        In the order given.

    Raises
    ------
    ValueError
        If there is none, or one is none.

    Examples
    --------
    >>> check_elements(["tmax", "PRCP", "TMAX"])
    ('TMAX', 'PRCP')
    """
    names = (elements,) if isinstance(elements, str) else tuple(elements)
    upper = [name.strip().upper() for name in names]
    wrong = [name for name, form in zip(names, upper, strict=True) if not _FORM.fullmatch(form)]
    if wrong or not upper:
        raise ValueError(
            "elements must be codes of GHCN-Daily of four characters, such as TMAX, TMIN, PRCP, "
            f"SNOW, SNWD, TAVG or WT**, got {wrong[0] if wrong else 'none'!r}; its readme.txt "
            "lists them"
        )
    found: dict[str, None] = {}
    for name in upper:
        if name.endswith("**"):
            found |= {f"{name[:2]}{number:02d}": None for number in range(1, _NUM_TYPES + 1)}
        else:
            found[name] = None
    return tuple(found)
