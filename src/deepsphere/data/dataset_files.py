"""Writing data sets with coordinates to netCDF and Zarr, in one piece."""

import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepsphere.data.files import write_atomically, write_folder_atomically
from deepsphere.fields import is_dataset_path
from deepsphere.fields.recognition import as_dataset

if TYPE_CHECKING:
    import xarray as xr

# what every format understands of an encoding, beside how the file was laid out
_KEPT = {"units", "calendar", "dtype", "scale_factor", "add_offset", "_FillValue", "missing_value"}


def write_dataset(
    path: str | os.PathLike[str], data: "xr.Dataset | xr.DataArray", *, overwrite: bool = False
) -> None:
    """Write a data set in one piece or not at all: netCDF (.nc), or Zarr (.zarr, .zarr.zip).

    Of the encoding of the variables, the packing, the missing value and the units of times are
    kept; netCDF keeps compression and chunks too.

    Parameters
    ----------
    path
        The file or store; its suffix tells the format.
    data
        A data set, or one variable, which is called `values` if it has no name.
    overwrite
        Replace what is there.

    Raises
    ------
    FileExistsError
        If it exists and `overwrite` is false.
    ValueError
        If the suffix is unknown.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> path = Path(tempfile.mkdtemp()) / "t.zarr"
    >>> write_dataset(path, xr.Dataset({"t": ("lat", [1.0, 2.0])}, {"lat": [-45.0, 45.0]}))
    >>> xr.open_zarr(path)["t"].values
    array([1., 2.])
    """
    keep_file_layout = ".zarr" not in Path(path).name.lower()
    write_encoded(
        path, _bare(as_dataset(data), keep_file_layout=keep_file_layout), overwrite=overwrite
    )


def write_encoded(
    path: str | os.PathLike[str],
    data: "xr.Dataset",
    *,
    overwrite: bool = False,
    encoding: Mapping[Any, Any] | None = None,
) -> None:
    """Write a data set whose encodings suit the format, in one piece or not at all.

    Parameters
    ----------
    path
        As for :func:`write_dataset`.
    data
        The data set; what is lazy is computed part by part.
    overwrite
        Replace what is there.
    encoding
        Of variables, beside what they have.

    Raises
    ------
    FileExistsError, ValueError
        As :func:`write_dataset`.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> path = Path(tempfile.mkdtemp()) / "t.nc"
    >>> data = xr.Dataset({"t": ("lat", [1.0, 2.0])}, {"lat": [-45.0, 45.0]})
    >>> write_encoded(path, data, encoding={"t": {"dtype": "int16", "_FillValue": -1}})
    >>> xr.open_dataset(path, mask_and_scale=False)["t"].dtype
    dtype('int16')
    """
    path = Path(path)
    name = path.name.lower()
    if not is_dataset_path(path):
        raise ValueError(f"path must end in .nc or .zarr, got {path}; rename it")
    if name.endswith(".zarr"):
        with write_folder_atomically(path, overwrite=overwrite) as store:
            data.to_zarr(store, encoding=encoding, zarr_format=2, consolidated=True)
    elif name.endswith(".zarr.zip"):
        # a store that is written into an archive at once repeats its metadata there
        with write_atomically(path, overwrite=overwrite) as temporary:
            folder = temporary.with_suffix(".zarr")
            try:
                data.to_zarr(folder, encoding=encoding, zarr_format=2, consolidated=True)
                _pack(folder, temporary)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    else:
        with write_atomically(path, overwrite=overwrite) as temporary:
            data.to_netcdf(temporary, encoding=encoding)


def _pack(folder: Path, path: Path) -> None:
    """All files of a folder in a zip file, uncompressed as they are compressed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())


def _bare(data: "xr.Dataset", *, keep_file_layout: bool) -> "xr.Dataset":
    """The data set with encodings that can be written."""
    copy = data.copy()
    for variable in copy.variables.values():
        encoding = dict(variable.encoding)
        # files with two numbers for missing values are read, but not written
        if {"_FillValue", "missing_value"} <= encoding.keys():
            encoding.pop("missing_value")
        if not keep_file_layout:
            encoding = {key: value for key, value in encoding.items() if key in _KEPT}
        variable.encoding = encoding
    return copy
