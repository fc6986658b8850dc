"""Opening files of fields: netCDF and Zarr, one or several, read when values are asked for."""

import os
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from deepsphere.fields.recognition import require_xarray

if TYPE_CHECKING:
    import xarray as xr

NETCDF_SUFFIXES = (".nc", ".nc4", ".cdf", ".netcdf", ".h5netcdf")
ZARR_SUFFIXES = (".zarr", ".zarr.zip")
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zmetadata", ".zattrs")
_MONTHS = {"months since": "M", "month since": "M", "years since": "Y", "year since": "Y"}

_DATE = re.compile(r"(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def open_dataset(path: Paths) -> "xr.Dataset":
    """Data set of a netCDF file, of a Zarr store (a folder or a .zip), or of several files.

    Values are read when they are asked for. Missing values (`_FillValue`, `missing_value`) become
    NaN, packed values (`scale_factor`, `add_offset`) are unpacked, and times become dates, of
    other calendars as cftime objects; where times cannot be read they stay numbers, with a warning.

    Parameters
    ----------
    path
        A file or store; a list of files, or a pattern with ``*``, is joined along the coordinates.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ImportError
        If xarray, or the library of the format, is missing.
    FileNotFoundError
        If there is no such file.
    ValueError
        If a file is damaged or of another format.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> path = Path(tempfile.mkdtemp()) / "t.nc"
    >>> xr.Dataset({"t": ("lat", [1.0, 2.0])}, {"lat": [-45.0, 45.0]}).to_netcdf(path)
    >>> open_dataset(path)["t"].values
    array([1., 2.])
    """
    require_xarray()
    paths = _paths(path)
    for each in paths:
        if not each.exists():
            raise FileNotFoundError(f"path must name a file of fields, got {each}, which is not")
    if len(paths) == 1:
        return _opened(paths[0])
    return _joined(paths)


def is_dataset_path(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a netCDF file or a Zarr store.

    Parameters
    ----------
    path
        A name; the file need not exist.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_dataset_path("sst.nc"), is_dataset_path("era5.zarr"), is_dataset_path("map.npy")
    (True, True, False)
    """
    return str(path).rstrip("/").lower().endswith(NETCDF_SUFFIXES + ZARR_SUFFIXES)


def _paths(path: Paths) -> list[Path]:
    """The files of a name, a pattern or a list."""
    if isinstance(path, str | os.PathLike):
        text = os.fspath(path)
        if "*" in text and not Path(text).exists():
            found = sorted(Path(text).parent.glob(Path(text).name))
            if not found:
                raise FileNotFoundError(f"path must match files of fields, got {text}: none")
            return found
        return [Path(text)]
    if not path:
        raise ValueError("path must name at least one file of fields, got an empty list")
    return [Path(each) for each in path]


def _engine(path: Path) -> str | None:
    """The reader of a format; None lets xarray choose."""
    name = path.name.lower()
    is_zarr = name.endswith(ZARR_SUFFIXES) or any((path / mark).exists() for mark in _ZARR_MARKS)
    if is_zarr or (name.endswith(".zip") and path.is_file()):
        return "zarr"
    if name.endswith(NETCDF_SUFFIXES):
        return None
    if path.is_dir():
        raise ValueError(
            f"{path} must be a netCDF file or a Zarr store, got a folder without Zarr metadata "
            f"({', '.join(_ZARR_MARKS[:2])}); name the files in it, as in {path}/*.nc"
        )
    if name.endswith((".grib", ".grib2", ".grb", ".grb2")):
        raise ValueError(
            f"{path} must be netCDF or Zarr, got GRIB; convert it, as by cdo -f nc4 copy, or open "
            "it by xarray with the engine cfgrib and give the data set"
        )
    return None


def _opened(path: Path) -> "xr.Dataset":
    """One file, with times decoded where that is possible."""
    xr = require_xarray()
    engine = _engine(path)
    source = path
    if engine == "zarr" and path.is_file():
        from zarr.storage import ZipStore

        _refuse_packed_netcdf(path)
        source = ZipStore(path, mode="r")

    def read(decode_times: bool = True) -> "xr.Dataset":
        with warnings.catch_warnings():
            # a store without a summary of its metadata is read all the same
            warnings.filterwarnings("ignore", message=".*consolidated", category=RuntimeWarning)
            return xr.open_dataset(cast(str, source), engine=engine, decode_times=decode_times)

    try:
        _check_whole_classic(path)
        try:
            return read()
        except (ValueError, OverflowError) as error:
            if "decode" not in str(error) and "time" not in str(error).lower():
                raise
            return _with_months(read(decode_times=False), path)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} needs a reader: pip install 'deepsphere-torch[climate]' ({error})"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be a complete netCDF file or Zarr store, got one that cannot be read: "
            f"{_one_line(error)}"
        ) from error


def _check_whole_classic(path: Path) -> None:
    """Raise where a file of the classic format is shorter than it says: it would be read as 0."""
    from scipy.io import netcdf_file  # loads more than an import of the package should

    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(4) not in (b"CDF\x01", b"CDF\x02"):
            return
    try:
        # the variables are mapped to memory, not read
        netcdf_file(path, "r", mmap=True).close()
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError("the file is shorter than its header says") from error


def _refuse_packed_netcdf(path: Path) -> None:
    """Raise where an archive holds netCDF files, as downloads do."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.lower().endswith(NETCDF_SUFFIXES)]
    if inside:
        raise ValueError(
            f"{path} must be a netCDF file or a Zarr store, got an archive of "
            f"{', '.join(inside[:3])}; unpack it and name these"
        )


def _joined(paths: list[Path]) -> "xr.Dataset":
    """Several files as one data set."""
    xr = require_xarray()
    try:
        parts = [_opened(each).chunk() for each in paths]
        return cast("xr.Dataset", xr.combine_by_coords(parts, combine_attrs="override"))
    except ImportError as error:
        raise ImportError(
            "several files are joined by dask: pip install 'deepsphere-torch[climate]'"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"the {len(paths)} files must join along their coordinates, got {_one_line(error)}; "
            "open them one by one"
        ) from error


def _with_months(data: "xr.Dataset", path: Path) -> "xr.Dataset":
    """Times in whole months or years as dates; others stay numbers, with a warning."""
    for name in list(data.coords):
        units = str(data[name].attrs.get("units", "")).lower()
        for words, unit in _MONTHS.items():
            if units.startswith(words):
                data = _dated(data, str(name), units.removeprefix(words).strip(), unit)
    xr = require_xarray()
    try:
        return xr.decode_cf(data)
    except (ValueError, OverflowError) as error:
        warnings.warn(
            f"times of {path} stay numbers: {_one_line(error)}; correct the attribute units",
            stacklevel=4,
        )
        return data


def _dated(data: "xr.Dataset", name: str, since: str, unit: str) -> "xr.Dataset":
    """A coordinate in whole months since a date, as dates."""
    values = np.asarray(data[name].values)
    if not (values == np.rint(values)).all():
        return data
    found = _DATE.match(since)
    if found is None or not 1 <= int(found["month"]) <= 12:
        return data
    start = np.datetime64(f"{int(found['year']):04}-{int(found['month']):02}", "M")
    months = start + values.astype(np.int64) * (12 if unit == "Y" else 1)
    days = months.astype("datetime64[D]") + (int(found["day"]) - 1)
    # of a day that a shorter month lacks, its last one
    dates = np.minimum(days, (months + 1).astype("datetime64[D]") - 1).astype("datetime64[s]")
    attrs = {key: value for key, value in data[name].attrs.items() if key != "units"}
    attrs.pop("calendar", None)
    return data.assign_coords({name: (data[name].dims, dates, attrs)})


def _one_line(error: Exception) -> str:
    """First line of a message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
