"""Writing data sets with coordinates to netCDF and Zarr, in one piece."""

import os
import secrets
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from deepsphere.data.files import require_writable, write_atomically
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
    path = Path(path)
    if not is_dataset_path(path):
        raise ValueError(f"path must end in .nc or .zarr, got {path}; rename it")
    dataset = _bare(as_dataset(data), keep_file_layout=".zarr" not in path.name.lower())
    name = path.name.lower()
    if name.endswith(".zarr"):
        _write_store(path, dataset, overwrite=overwrite)
        return
    with write_atomically(path, overwrite=overwrite) as temporary:
        if not name.endswith(".zarr.zip"):
            dataset.to_netcdf(temporary)
            return
        # a store that is written into an archive at once repeats its metadata there
        folder = temporary.with_suffix(".zarr")
        try:
            dataset.to_zarr(folder, mode="w", zarr_format=2, consolidated=True)
            with zipfile.ZipFile(temporary, "w") as archive:
                for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                    archive.write(file, file.relative_to(folder).as_posix())
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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


def _write_store(path: Path, data: "xr.Dataset", *, overwrite: bool) -> None:
    """Write a folder aside and move it into place."""
    if not path.is_dir():
        require_writable(path, overwrite=overwrite)
    elif not overwrite:
        raise FileExistsError(
            f"{path} must not exist yet, got an existing store; "
            "choose another name or overwrite it (overwrite=True, --overwrite)"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    temporary = path.with_name(f".{path.stem}-{mark}.zarr")
    replaced = path.with_name(f".{path.stem}-{mark}-replaced.zarr")
    try:
        data.to_zarr(temporary, mode="w", zarr_format=2, consolidated=True)
        if path.exists():
            os.replace(path, replaced)
        os.replace(temporary, path)
    finally:
        for left in (temporary, replaced):
            shutil.rmtree(left, ignore_errors=True)
