"""Tables of weather services whose units, and numbers for nothing, are told elsewhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepsphere.data.station_libraries import require_pandas
from deepsphere.data.station_numbers import number_or_nan
from deepsphere.data.station_units import Quantity

if TYPE_CHECKING:
    import pandas as pd


class Service(NamedTuple):
    """A kind of table that is known by its columns.

    Attributes
    ----------
    title
        What it is called.
    marks
        Columns that it has, all of them, in capitals.
    strangers
        Columns that it has not, none of them.
    quantities
        Name and unit of its columns, and the number that stands for nothing.
    """

    title: str
    marks: tuple[str, ...]
    strangers: tuple[str, ...]
    quantities: dict[str, tuple[str, str, float]]


def _quantities(text: str) -> dict[str, tuple[str, str, float]]:
    """Of lines of column, name, unit and number for nothing."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {row[0]: (row[1], row[2].replace("_", " "), float(row[3])) for row in rows}


# NCEI, Global Summary of the Day: readme.txt of gsod
_SUMMARY = _quantities("""
    TEMP  tavg  F   9999.9
    MAX   tmax  F   9999.9
    MIN   tmin  F   9999.9
    DEWP  dewp  F   9999.9
    PRCP  prcp  in  99.99
    SNDP  snwd  in  999.9
    SLP   slp   hPa 9999.9
    STP   stp   hPa 999.9
    VISIB visib mi  999.9
    WDSP  wdsp  kn  999.9
    MXSPD mxspd kn  999.9
    MXPSD mxspd kn  999.9
    GUST  gust  kn  999.9
""")
# the package GSODR of R has the same columns in other units
_METRIC = {"F": "C", "in": "mm", "mi": "km", "kn": "m/s"}
_SUMMARY_OF_R = {
    column: (name, _METRIC.get(unit, unit), nothing)
    for column, (name, unit, nothing) in _SUMMARY.items()
}
# European Climate Assessment & Dataset: the heads of its files
_ASSESSMENT = _quantities("""
    TG tavg 0.1_°C   -9999
    TX tmax 0.1_°C   -9999
    TN tmin 0.1_°C   -9999
    RR prcp 0.1_mm   -9999
    SD snwd cm       -9999
    PP slp  0.1_hPa  -9999
    HU rh   %        -9999
    FG wdsp 0.1_m/s  -9999
    FX gust 0.1_m/s  -9999
    SS sun  0.1_h    -9999
    CC cloud oktas   -9999
    QQ radiation W/m² -9999
""")
# Deutscher Wetterdienst, daily and hourly: its DESCRIPTION files
_GERMAN = _quantities("""
    TMK     tavg °C -999
    TXK     tmax °C -999
    TNK     tmin °C -999
    TGK     tgk  °C -999
    TT_TU   tavg °C -999
    RSK     prcp mm -999
    SHK_TAG snwd cm -999
    PM      stp  hPa -999
    FM      wdsp m/s -999
    FX      gust m/s -999
    UPM     rh   %  -999
    SDK     sun  h  -999
""")
# Météo-France, daily: the descriptions of the fields beside its files
_FRENCH = _quantities("""
    RR   prcp mm -9999
    TN   tmin °C -9999
    TX   tmax °C -9999
    TM   tavg °C -9999
    FFM  wdsp m/s -9999
""")

SERVICES = (
    Service(
        "Global Summary of the Day",
        ("TEMP", "DEWP", "MXSPD"),
        ("YDAY", "STNID", "I_FOG", "CTRY"),
        _SUMMARY,
    ),
    Service("Global Summary of the Day, of BigQuery", ("TEMP", "DEWP", "MXPSD"), (), _SUMMARY),
    Service(
        "Global Summary of the Day, from GSODR",
        ("TEMP", "DEWP", "MXSPD", "STNID"),
        (),
        _SUMMARY_OF_R,
    ),
    Service("European Climate Assessment", ("STAID", "SOUID", "DATE"), (), _ASSESSMENT),
    Service("Deutscher Wetterdienst", ("STATIONS_ID", "MESS_DATUM"), (), _GERMAN),
    Service("Météo-France", ("NUM_POSTE", "AAAAMMJJ"), (), _FRENCH),
)

# NCEI, Integrated Surface Data: a number, a comma and a code of quality in each field
_HOURLY_MARKS = {"STATION", "DATE", "REPORT_TYPE", "QUALITY_CONTROL"}
_HOURLY = {"TMP": ("tavg", 10.0), "DEW": ("dewp", 10.0), "SLP": ("slp", 10.0)}
_HOURLY_NOTHING = (9999.0, 99999.0)
_HOURLY_WRONG = {"2", "3", "6", "7"}  # suspect, or known to be wrong


def service_of(headers: Sequence[Any]) -> Service | None:
    """The service that a table is of.

    Parameters
    ----------
    headers
        Of the table.

    Returns
    -------
    Service or None

    Examples
    --------
    >>> service_of(["STAID", " SOUID", "    DATE", "   TG", " Q_TG"]).title
    'European Climate Assessment'
    >>> service_of(["id", "date", "tmax"]) is None
    True
    """
    known = {_plain(header) for header in headers}
    for service in SERVICES:
        if known >= set(service.marks) and not known & set(service.strangers):
            return service
    return None


def service_quantity(header: Any, service: Service | None) -> tuple[Quantity, float] | None:
    """What a column of a service holds, and its number for nothing; None where it is not known.

    Parameters
    ----------
    header
        Of the column.
    service
        Of the table.

    Returns
    -------
    Quantity, number

    Examples
    --------
    >>> service_quantity("TG", service_of(["STAID", "SOUID", "DATE", "TG"]))
    (Quantity(name='tavg', unit='0.1 °C'), -9999.0)
    """
    found = None if service is None else service.quantities.get(_plain(header))
    return None if found is None else (Quantity(*found[:2]), found[2])


def trusted_values(table: "pd.DataFrame") -> tuple["pd.DataFrame", list[str]]:
    """A table of a service without the values that the service does not trust.

    Fields of the Integrated Surface Data are unpacked: air temperature, dew point and pressure.
    Values of the European Climate Assessment with another code than 0, valid, become missing.

    Parameters
    ----------
    table
        Of any kind; it is not modified.

    Returns
    -------
    table, notes
        The same table where there is nothing to be done.
    """
    by_key = {_plain(header): header for header in table.columns}
    if set(by_key) >= _HOURLY_MARKS:
        return _unpacked(table, by_key)
    notes = []
    if {"STAID", "SOUID"} <= set(by_key):
        for key, header in by_key.items():
            quality = by_key.get(f"Q_{key}")
            if quality is None:
                continue
            codes = require_pandas().to_numeric(table[quality], errors="coerce")
            wrong = ~np.isin(np.asarray(codes, np.float64), (0.0, 9.0))
            if wrong.any():
                table = table.assign(**{header: table[header].astype(float).mask(wrong)})
                notes.append(
                    f"{key}: {np.count_nonzero(wrong)} values left out, whose code {quality} is "
                    "not 0, valid"
                )
    return table, notes


def _unpacked(table: "pd.DataFrame", by_key: dict[str, Any]) -> tuple["pd.DataFrame", list[str]]:
    """A table of the Integrated Surface Data with a number in each field."""
    places = ("STATION", "DATE", "LATITUDE", "LONGITUDE", "ELEVATION", "NAME")
    columns = {by_key[key]: table[by_key[key]] for key in places if key in by_key}
    num_wrong = 0
    for key, (name, divisor) in _HOURLY.items():
        if key not in by_key:
            continue
        parts = table[by_key[key]].astype(str).str.split(",")
        numbers = np.array([number_or_nan(part[0]) for part in parts])
        codes = np.array([part[1].strip() if len(part) > 1 else "" for part in parts])
        numbers[np.isin(np.abs(numbers), _HOURLY_NOTHING)] = np.nan
        wrong = np.isin(codes, sorted(_HOURLY_WRONG)) & ~np.isnan(numbers)
        num_wrong += int(np.count_nonzero(wrong))
        columns[f"{name} ({'hPa' if name == 'slp' else '°C'})"] = (
            np.where(wrong, np.nan, numbers) / divisor
        )
    notes = ["Integrated Surface Data: of the packed fields TMP, DEW and SLP are read"]
    if num_wrong:
        notes.append(f"{num_wrong} values left out, which are suspect or wrong by their codes")
    return type(table)(columns), notes


def _plain(header: Any) -> str:
    """A header in capitals, without spaces around it."""
    return str(header).strip().upper()
