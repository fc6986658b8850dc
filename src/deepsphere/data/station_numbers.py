"""Numbers of tables, however they are written: decimal commas, degrees and minutes, feet."""

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from deepsphere.data.station_libraries import require_pandas

_UNKNOWN_ELEVATIONS = (-999.0, -999.9, -9999.0, -9999.9, 9999.0, 9999.9, 99999.0, -99999.0)
_METERS = (
    (re.compile(r"(ft|feet|foot)[)\]]?$"), 0.3048),
    (re.compile(r"(\b|_)km[)\]]?$"), 1000.0),
)

# words for nothing, and a trace of rain, which is less than can be measured
_NOTHING = {"", "m", "na", "n/a", "nan", "null", "none", "-", "--", ".", "missing", "*", "**", "//"}
_NOTHING |= {"<na>", "nat", "#n/a"}
_TRACE = {"t", "tr", "trace"}

_GROUPS_OF_COMMAS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_GROUPS_OF_POINTS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(0|[1-9]\d*|[1-9]\d{0,2}(\.\d{3})+),\d+")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_ANGLE = re.compile(r"[\s\d.,:+\-°º˚dhms'’′\"”″]+", re.IGNORECASE)

Comma = Literal["decimal", "thousands"]


class OddTexts(NamedTuple):
    """Texts among numbers.

    Attributes
    ----------
    first
        The first.
    number
        How many there are.
    """

    first: str
    number: int


def as_numbers(
    column: Any, *, either: Comma | None = None
) -> tuple[Float[np.ndarray, "rows"], OddTexts | None]:
    """Numbers of a column, NaN for what is none.

    Commas are those of decimals or of thousands, as all numbers of the column allow. Numbers that
    could be either ("1,013") are none.

    Parameters
    ----------
    column
        Of numbers, or of texts some of which are numbers.
    either
        What commas are in a column where they could be either; None where such are no numbers.

    Returns
    -------
    values, odd
        float64, and the texts that are no numbers and no customary words for nothing.

    Raises
    ------
    ValueError
        If numbers are complex.

    Examples
    --------
    >>> as_numbers(["1,5", "M", "x"])
    (array([1.5, nan, nan]), OddTexts(first='x', number=1))
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.astype(np.float64), None
    pd = require_pandas()
    series = pd.Series(column).reset_index(drop=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if pd.api.types.is_complex_dtype(series.dtype):
        raise ValueError("values must be real, got complex ones; give their real parts or moduli")
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(np.float64, na_value=np.nan), None
    try:
        codes, unique = pd.factorize(series)
    except TypeError:  # lists and other things that are no values of a table
        return np.full(len(series), np.nan), OddTexts(str(series.iloc[0]), len(series))
    texts = [as_text(one) for one in unique]
    comma = _comma_of(texts, either)
    numbers = [_as_number(text, comma) for text in texts]
    odd = np.array([*(number is None for number in numbers), False])[codes]
    values = np.array([*(np.nan if one is None else one for one in numbers), np.nan], np.float64)
    if not odd.any():
        return values[codes], None
    return values[codes], OddTexts(texts[codes[np.argmax(odd)]], int(np.count_nonzero(odd)))


def as_degrees(column: Any) -> Float[np.ndarray, "rows"]:
    """Longitudes or latitudes of a column in degree, NaN for what is none.

    Parameters
    ----------
    column
        Of numbers, or of texts such as "5.63N", "-014:48:30" or "14°48'30\"W".

    Returns
    -------
    Float[np.ndarray, "rows"]

    Examples
    --------
    >>> as_degrees(["5.63N", "10,5", "-00:30:00", "x", None])
    array([ 5.63, 10.5 , -0.5 ,   nan,   nan])
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.astype(np.float64)
    pd = require_pandas()
    series = pd.Series(column).reset_index(drop=True)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if pd.api.types.is_numeric_dtype(series.dtype):
        return as_numbers(series)[0]
    codes, unique = pd.factorize(series)
    return np.array([*(_as_angle(as_text(one)) for one in unique), np.nan])[codes]


def elevations_m(column: Any, header: object) -> np.ndarray:
    """Elevations in meters, NaN for the customary numbers that stand for nothing.

    Parameters
    ----------
    column
        Of elevations.
    header
        What the column is called; feet and kilometers are recognised.

    Returns
    -------
    ndarray
        float64.

    Examples
    --------
    >>> elevations_m([10.0, -999.9], "elev_ft")
    array([3.048,   nan])
    """
    values, _ = as_numbers(column, either="thousands")
    values = np.where(np.isin(values, _UNKNOWN_ELEVATIONS) | ~np.isfinite(values), np.nan, values)
    name = str(header).strip().lower()
    return values * next((factor for unit, factor in _METERS if unit.search(name)), 1.0)


def as_text(value: Any) -> str:
    """A value as a text, without the blanks around it.

    Parameters
    ----------
    value
        Anything; bytes are UTF-8.

    Returns
    -------
    str

    Examples
    --------
    >>> as_text(b" 012 ")
    '012'
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip()


def number_or_nan(text: str) -> float:
    """The number that a text of digits and a point is.

    Parameters
    ----------
    text
        Of a field; blanks around the number are left out.

    Returns
    -------
    float
        NaN where it is none.

    Examples
    --------
    >>> number_or_nan(" 47.4"), number_or_nan("M")
    (47.4, nan)
    """
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _comma_of(texts: Sequence[str], either: Comma | None) -> Comma | None:
    """What commas are between the digits of a column; None for none, or what cannot be told."""
    with_commas = [text for text in texts if "," in text and re.fullmatch(r"[+-]?[\d.,]+", text)]
    if not with_commas:
        return None
    if all(_GROUPS_OF_COMMAS.fullmatch(text) for text in with_commas):
        is_sure = any("." in text or text.count(",") > 1 for text in with_commas)
        is_sure_not = any(not _EITHER.fullmatch(text) for text in with_commas) and not is_sure
        if is_sure:
            return "thousands"
        if not is_sure_not:
            return either
    is_decimal = all(_DECIMAL_COMMA.fullmatch(text) for text in with_commas)
    return "decimal" if is_decimal else None


def _as_number(text: str, comma: Comma | None) -> float | None:
    """A number, NaN for nothing, None for another text."""
    if text.lower() in _NOTHING:
        return float("nan")
    if text.lower() in _TRACE:
        return 0.0
    if comma == "thousands":
        text = text.replace(",", "")
    elif comma == "decimal" and ("," in text or _GROUPS_OF_POINTS.fullmatch(text)):
        text = text.replace(".", "").replace(",", ".")
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def _as_angle(text: str) -> float:
    """An angle in degree, of degrees, minutes and seconds; NaN where there is none."""
    found = re.match(r"[NSEWnsew](?=[\s\d])", text) or re.search(r"[NSEWnsew]$", text)
    side = "" if found is None else found[0].upper()
    bare = text if found is None else (text[: found.start()] + text[found.end() :]).strip()
    try:
        degrees = float(bare.replace(",", "."))
    except ValueError:
        parts = [float(part.replace(",", ".")) for part in re.findall(r"\d+(?:[.,]\d+)?", bare)]
        if not (1 <= len(parts) <= 3 and _ANGLE.fullmatch(bare)) or max(parts[1:], default=0) > 60:
            return float("nan")
        degrees = sum(part / 60**index for index, part in enumerate(parts))
        degrees = -degrees if bare.strip().startswith("-") else degrees
    return -abs(degrees) if side in ("S", "W") else degrees
