"""Types of numbers: which fit, and which look like missing values."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

# what files write for missing values, and what stays where their attribute _FillValue is forgotten
_FILL_NUMBERS = (-999.0, -9999.0, -99999.0, -32768.0, -32767.0)
_FILL_SIZE = 1e19


def as_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in a dtype where they fit it: floats always, integers where all are integers in range.

    Parameters
    ----------
    values
        Floating point.
    dtype
        Wanted.

    Returns
    -------
    ndarray
        Of the dtype, else as they are.

    Examples
    --------
    >>> import numpy as np
    >>> as_dtype(np.array([1.0, 2.0]), np.dtype("int8")).dtype
    dtype('int8')
    >>> as_dtype(np.array([1.5, np.nan]), np.dtype("int8")).dtype
    dtype('float64')
    """
    if np.issubdtype(dtype, np.floating):
        return values.astype(dtype, copy=False)
    if dtype.kind == "b":
        return values == 1 if np.isin(values, (0, 1)).all() else values
    limits = np.iinfo(dtype)
    fits = np.isfinite(values).all() and (values == np.rint(values)).all()
    fits = fits and values.min() >= limits.min and values.max() <= limits.max
    return values.astype(dtype) if fits else values


def float_type(variable: "xr.DataArray") -> np.dtype:
    """float64 for itself and for integers that float32 does not hold, else float32.

    Parameters
    ----------
    variable
        Of numbers.

    Returns
    -------
    dtype

    Examples
    --------
    >>> import xarray as xr
    >>> float_type(xr.DataArray(np.int16(3))), float_type(xr.DataArray(np.int32(3)))
    (dtype('float32'), dtype('float64'))
    """
    wide = variable.dtype.itemsize > (4 if variable.dtype.kind == "f" else 2)
    return np.dtype(np.float64 if wide else np.float32)


def warn_of_fills(name: str, values: np.ndarray) -> None:
    """Warn of numbers that look like missing ones which no attribute declares.

    Parameters
    ----------
    name
        Of the variable, for the message.
    values
        Whose extremes are looked at.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     warn_of_fills("t2m", np.array([280.0, -9999.0]))
    >>> len(told)
    1
    """
    if values.dtype.kind not in "fi" or values.size == 0:
        return
    suspects = np.abs(values.astype(np.float64)) >= _FILL_SIZE
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else np.nan
    if lowest in _FILL_NUMBERS:
        is_lowest = values == lowest
        others = values[~is_lowest & ~suspects & np.isfinite(values)]
        # one of many values of a field is not alone at the end of its range
        if len(others) and others.min() > lowest / 2:
            suspects |= is_lowest
    count = int(suspects.sum())
    if count:
        warnings.warn(
            f"variable {name} has {count} values such as {values[suspects].flat[0]:g}, which look "
            "like missing ones and are taken as numbers; declare them, as in "
            "data.where(data != value), or by the attribute _FillValue of the file",
            stacklevel=4,
        )
