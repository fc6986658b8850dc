"""Which columns of a table say where, when and which station, and what dates they hold."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from deepsphere.data.station_libraries import require_pandas
from deepsphere.data.station_numbers import as_text

if TYPE_CHECKING:
    import pandas as pd

Role = Literal["station", "name", "time", "lon", "lat", "elevation", "variable", "value"]
ROLES: tuple[Role, ...] = get_args(Role)

# Headers of tables that this library writes: exactly these come first, and channels follow.
OWN_ROLES: dict[str, str] = {
    "station": "station",
    "name": "name",
    "lon": "lon_deg",
    "lat": "lat_deg",
    "elevation": "elevation_m",
    "time": "time",
}

# Letters and digits of headers, in lower case; the first that a table has is taken.
_HEADERS: dict[str, str] = {
    "station": "station stationid stationsid id staid stnid stn ghcnid ghcnd wmo wmoid wmono "
    "wmonumber usaf stationcode stationnumber stationno idstation site siteid sitecode siteno "
    "locationid platform platformid sensorid souid code fileid stationidentifier "
    "bureauofmeteorologystationnumber numposte stationsnummer",
    "name": "name stationname stname sitename city town location longname label nom station "
    "staname stationsname nomusuel ort",
    "time": "time date datetime dt datum yearmoda messdatum aaaammjj fecha "
    "timestamp dates obsdate obstime yyyymmdd dateutc datelocal valid "
    "validtime observationdate observationtime day ymd",
    "lon": "lon longitude long lng londeg longdeg longitudedeg londd londegrees longitudedegrees "
    "longitudedegreeseast decimallongitude stationlon stationlongitude "
    "geolnge geolaenge lnge laenge longitud",
    "lat": "lat latitude latdeg latitudedeg latdd latdegrees latitudedegrees "
    "latitudedegreesnorth decimallatitude stationlat stationlatitude geobreite breite latitud",
    "elevation": "elevation elev elevm elevationm alt altm altitude altitudem height heightm "
    "elevft elevationft altft altitudeft heightft elevationfeet altitudefeet elevationmeters masl "
    "elevkm elevationkm altkm hght stationshhe stationshoehe hhe hoehe alti",
    "variable": "element variable parameter datatype elem",
    "value": "value datavalue",
}
_DATE_PARTS = {
    "year": ("year", "yr", "yyyy"),
    "month": ("month", "mon", "mo"),
    "day": ("day", "dy", "dd", "dom", "da"),
    "day_of_year": ("doy", "dayofyear", "yday", "jday", "julianday"),
}
_HOURS = ("hour", "hr", "hh", "hourutc", "stunde", "heure")
_CLOCKS = ("time", "obstime", "timeutc", "timelocal", "observationtime")

_DATE_HEADER = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?$|\d{8}$")
# Columns that say more of the station or the day, and are nothing that was measured.
_BESIDE = re.compile(
    r"^(unnamed.*|index|level_\d|year|yr|month|mon|mo|day|dy|doy|yday|hour|hr|begin|end|eor|week|season|country.*|state|"
    r"province|region|continent|source|source_?id|souid|network|wban|usaf|wmo.*|icao|gsn.*|hcn.*|"
    r"id|name|qn_?\d+|rskf|.*_?(id|name|flag|flags|attributes|attribute|qc|qflag|mflag|sflag|quality)|q_.*|"
    r"time|date|lon|lat|longitude|latitude|elev.*|alt|altitude|frshtt|report_type)$"
)


def find_roles(headers: Iterable[Any], given: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Which column plays which role.

    Parameters
    ----------
    headers
        Of the table.
    given
        Roles that are known: {"lon": "X"}.

    Returns
    -------
    dict
        Header of each role that is there.

    Raises
    ------
    ValueError
        If a role is unknown, or the table has no such column.

    Examples
    --------
    >>> find_roles(["STATION", "DATE", "LONGITUDE", "LATITUDE", "TMAX"])["lon"]
    'LONGITUDE'
    """
    headers = list(headers)
    roles: dict[str, Any] = {}
    for role, header in (given or {}).items():
        if role not in ROLES:
            raise ValueError(f"columns must name roles of {', '.join(ROLES)}, got {role!r}")
        if header not in headers:
            raise ValueError(
                f"columns must be among {', '.join(map(str, headers))}, got {header!r} for {role}"
            )
        roles[role] = header
    keys: dict[str, Any] = {}
    for header in headers:
        if header not in roles.values():
            keys.setdefault(_key(header), header)
    for role, text in _HEADERS.items():
        if role in roles:
            continue
        for alias in text.split():
            key = alias if alias in keys else f"{alias}s"
            if key in keys and keys[key] not in roles.values():
                roles[role] = keys[key]
                break
    if not {"variable", "value"} <= roles.keys():  # one is nothing without the other
        for role in {"variable", "value"} - set(given or {}):
            roles.pop(role, None)
    return roles


def station_headers(headers: Iterable[Any], roles: Mapping[str, Any]) -> list[Any]:
    """Headers that may be those of identifiers, the likeliest first.

    Parameters
    ----------
    headers
        Of the table.
    roles
        Of columns, that which plays the one of the station first.

    Returns
    -------
    list

    Examples
    --------
    >>> station_headers(["city", "wmo", "id"], {"name": "city"})
    ['id', 'wmo']
    """
    keys = {_key(header): header for header in headers if header != roles.get("name")}
    first = [roles["station"]] if roles.get("station") in keys.values() else []
    rest = [keys[alias] for alias in _HEADERS["station"].split() if alias in keys]
    return list(dict.fromkeys([*first, *rest]))


def date_parts(headers: Iterable[Any]) -> dict[str, Any]:
    """Headers of the columns of year, month and day, as far as a table has them in this order.

    A day without a month is that of the year.

    Parameters
    ----------
    headers
        Of the table.

    Returns
    -------
    dict

    Examples
    --------
    >>> date_parts(["id", "YEAR", "MO", "DY", "T2M"])
    {'year': 'YEAR', 'month': 'MO', 'day': 'DY'}
    >>> date_parts(["id", "year", "doy"])
    {'year': 'year', 'day': 'doy'}
    """
    keys = {_key(header): header for header in headers}
    found = {
        part: keys[next(name for name in names if name in keys)]
        for part, names in _DATE_PARTS.items()
        if any(name in keys for name in names)
    }
    if "year" not in found:
        return {}
    if "month" in found:
        found.pop("day_of_year", None)
        return found
    found.pop("day", None)
    return {"day" if part == "day_of_year" else part: each for part, each in found.items()}


def day_and_clock(headers: Iterable[Any], time: Any) -> tuple[Any, Any]:
    """Headers of the columns of the day and of the time of the day; None where there is none.

    Parameters
    ----------
    headers
        Of the table.
    time
        That of the times.

    Returns
    -------
    day, clock

    Examples
    --------
    >>> day_and_clock(["id", "Date", "Time"], "Time")
    ('Date', 'Time')
    >>> day_and_clock(["id", "date", "hour"], "date")
    ('date', 'hour')
    """
    keys = {_key(header): header for header in headers}
    if time is not None and _key(time) in _CLOCKS and keys.get("date", time) != time:
        return keys["date"], time
    return time, next((keys[name] for name in _HOURS if name in keys), None)


def is_beside(header: Any) -> bool:
    """Whether a column says more of the station or the day, and is nothing that was measured.

    Parameters
    ----------
    header
        Of the column.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_beside("tmax_qc"), is_beside("tmax")
    (True, False)
    """
    return _BESIDE.match(str(header).strip().lower().replace(" ", "_")) is not None


def is_date_header(header: Any) -> bool:
    """Whether a header is a date.

    Parameters
    ----------
    header
        Of a column.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_date_header("2020-01-31"), is_date_header("20200131"), is_date_header("date")
    (True, True, False)
    """
    return isinstance(header, date | np.datetime64) or (
        isinstance(header, str) and _DATE_HEADER.match(header.strip()) is not None
    )


def as_texts(column: Any) -> "pd.Series":
    """Identifiers as texts, whole numbers without a fraction, None where nothing stands.

    Parameters
    ----------
    column
        Of identifiers or names.

    Returns
    -------
    pd.Series

    Examples
    --------
    >>> as_texts([7.0, None, " 012 "]).tolist()
    ['7', None, '012']
    """
    pd = require_pandas()
    codes, unique = pd.factorize(pd.Series(column))
    texts = [_identifier(one) for one in unique]
    values = np.array([*(text or None for text in texts), None], object)
    return pd.Series(values[codes], dtype=object)


def _key(header: Any) -> str:
    """Letters and digits of a header, without a unit in brackets."""
    text = str(header).lower()
    if not re.search(r"(ft|feet)[)\]]$", text):
        text = re.sub(r"[(\[].*[)\]]", "", text)
    return re.sub(r"[^a-z0-9]", "", text)


def _identifier(value: Any) -> str:
    """An identifier as a text."""
    if isinstance(value, float | np.floating) and value == int(value):
        value = int(value)
    return as_text(value)
