"""Writing data sets with coordinates to netCDF and Zarr, in one piece."""

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from deepsphere.data.files import require_writable, write_atomically
from deepsphere.fields import is_dataset_path
from deepsphere.fields.recognition import as_dataset

if TYPE_CHECKING:
    import xarray as xr

# what an encoding says of the file that it was read from, which another format does not know
_KEPT_OF_NETCDF = {"units", "calendar", "dtype", "scale_factor", "add_offset", "_FillValue"}


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
    >>> xr.open_dataset(path, engine="zarr", consolidated=False)["t"].values
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
        from zarr.storage import ZipStore

        with ZipStore(temporary, mode="w") as store:
            dataset.to_zarr(store, mode="w", consolidated=False)


def _bare(data: "xr.Dataset", *, keep_file_layout: bool) -> "xr.Dataset":
    """The data set with the encodings that any format understands."""
    if keep_file_layout:
        return data
    copy = data.copy()
    for variable in copy.variables.values():
        kept = variable.encoding.items()
        variable.encoding = {key: value for key, value in kept if key in _KEPT_OF_NETCDF}
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
        data.to_zarr(temporary, mode="w", consolidated=False)
        if path.exists():
            os.replace(path, replaced)
        os.replace(temporary, path)
    finally:
        for left in (temporary, replaced):
            shutil.rmtree(left, ignore_errors=True)
