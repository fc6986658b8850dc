"""Files of fields, carried from one sampling to another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from deepsphere.data import read_signals
from deepsphere.data.dataset_files import write_encoded
from deepsphere.data.files import file_suffix, require_writable, write_atomically
from deepsphere.data.healpix_fits import write_healpix_fits
from deepsphere.experiments.signal_files import check_not_a_source
from deepsphere.fields import (
    GridLayout,
    from_xarray,
    is_dataset_path,
    layout_of_dataset,
    open_dataset,
)
from deepsphere.fields.sampling_layouts import layout_of_sampling
from deepsphere.graph.regridding import apply_weights, regrid
from deepsphere.graph.transfer import Method, transfer_weights
from deepsphere.sampling import Sampling, sampling_from_spec

if TYPE_CHECKING:
    import xarray as xr

Move = Callable[[np.ndarray], np.ndarray]

ARRAY_SUFFIXES = (".npz", ".npy", ".fits")
# Values of the target that are in memory at a time.
_VALUES_PER_CHUNK = 2**23


@dataclass(frozen=True)
class RegridSummary:
    """What was regridded.

    Parameters
    ----------
    source, target
        The samplings.
    names
        Of the variables, or of the channels.
    path
        The file that was written.
    """

    source: Sampling
    target: Sampling
    names: tuple[str, ...]
    path: Path


def regrid_file(
    source: Path,
    target: Path,
    *,
    to: str,
    sampling: str | None = None,
    method: Method = "conservative",
    variables: Sequence[str] | None = None,
    min_valid: float = 0.5,
    overwrite: bool = False,
    command: str = "",
) -> RegridSummary:
    """Carry the fields of a file to another sampling.

    Parameters
    ----------
    source
        netCDF, Zarr, or signals as for `deepsphere.data.read_signals`.
    target
        ``.nc`` or ``.zarr`` (``.zarr.zip``), with the names, attributes, times and other dimensions
        of the source; or ``.npz``, ``.npy`` or ``.fits`` (HEALPix) with channels.
    to
        Specification of a sampling, as ``"healpix:64"``, or a netCDF file or Zarr store whose grid
        and coordinates the result has.
    sampling
        Specification of the sampling of the source; None takes what the file says.
    method
        As of `deepsphere.graph.transfer_matrix`.
    variables
        Names of the variables, or of the channels; None takes all that are on the grid.
    min_valid
        The least valid part of a target cell, as of `deepsphere.graph.regrid`.
    overwrite
        Whether to replace `target`.
    command
        What to write in the history of the file; by default the call.

    Returns
    -------
    RegridSummary

    Raises
    ------
    FileNotFoundError
        If `source` is not there.
    FileExistsError
        If `target` is there and may not be replaced.
    ImportError
        If a format needs a library that is missing.
    ValueError
        If the grid of the source is not recognised, the suffix is unknown, there is no such
        variable, or the target is the source.
    """
    is_dataset = is_dataset_path(target)
    if not is_dataset and file_suffix(target) not in ARRAY_SUFFIXES:
        raise ValueError(
            f"OUTPUT must end in .nc, .zarr, {', '.join(ARRAY_SUFFIXES)}, got {target.name}; "
            "rename it"
        )
    check_not_a_source(target, {"INPUT": source, "--to": Path(to) if is_dataset_path(to) else None})
    if not is_dataset:
        require_writable(target, overwrite=overwrite)
    elif target.exists() and not overwrite:
        raise FileExistsError(
            f"{target} must not exist yet, got an existing file; choose another name or overwrite "
            "it (overwrite=True, --overwrite)"
        )
    history = command or f"deepsphere regrid {source} {target} --to {to} --method {method}"
    if is_dataset:
        wanted = layout_of_dataset(open_dataset(to)) if is_dataset_path(to) else None
        wanted = wanted or layout_of_sampling(sampling_from_spec(to))
        dataset, layout = _dataset_of(source, sampling, variables)
        names = _names(dataset, layout, variables)
        weights = transfer_weights(layout.sampling, wanted.sampling, method)
        move = partial(apply_weights, weights=weights, min_valid=min_valid)
        result = _regridded(dataset, layout, wanted, names, move)
        result.attrs["history"] = _history(dataset.attrs.get("history"), history)
        _write_dataset(target, result, overwrite=overwrite)
        return RegridSummary(layout.sampling, wanted.sampling, names, target)
    where = (
        layout_of_dataset(open_dataset(to)).sampling
        if is_dataset_path(to)
        else sampling_from_spec(to)
    )
    signals, start, names = _signals_of(source, sampling, variables)
    moved = regrid(signals, start, where, method=method, min_valid=min_valid)
    _write_signals(target, moved, where, names, overwrite=overwrite)
    return RegridSummary(start, where, names, target)


def _dataset_of(
    source: Path, spec: str | None, variables: Sequence[str] | None
) -> tuple["xr.Dataset", GridLayout]:
    """The fields of a file as a data set, and how they lie on a sampling."""
    if is_dataset_path(source) or source.is_dir():
        dataset = open_dataset(source)
        if spec is None:
            # of several grids in a file, that of the variables
            chosen = (
                dataset if variables is None else from_xarray(dataset, variables=variables).dataset
            )
            return chosen, layout_of_dataset(chosen)
        return dataset, _named_layout(dataset, sampling_from_spec(spec))
    import xarray as xr

    signals, where, names = _signals_of(source, spec, None)
    layout = layout_of_sampling(where)
    batch = {} if len(signals) == 1 else {"signal": None}
    values = signals[0] if len(signals) == 1 else signals
    arrays = {
        name: layout.restore(values[..., channel], batch=batch)
        for channel, name in enumerate(names)
    }
    return xr.Dataset(arrays), layout


def _named_layout(dataset: "xr.Dataset", sampling: Sampling) -> GridLayout:
    """The layout of a sampling that the user named: of one dimension, or of a grid's two."""
    like = layout_of_sampling(sampling)
    sizes = {str(dim): size for dim, size in dataset.sizes.items()}
    for name in dataset.data_vars:
        dims = tuple(map(str, dataset[name].dims))
        for spatial in (dims[-1:], dims[-len(like.shape) :]):
            if tuple(sizes[dim] for dim in spatial) == like.shape:
                return GridLayout(sampling, spatial, like.shape, like.vertex)
            if len(spatial) == 1 and sizes[spatial[0]] == sampling.num_vertices:
                vertex = np.arange(sampling.num_vertices)
                return GridLayout(sampling, spatial, vertex.shape, vertex)
    raise ValueError(
        f"the sampling of INPUT must have the size of its last dimensions, got {sampling!r} of "
        f"{sampling.num_vertices} vertices for the dimensions {sizes}; name another, or none"
    )


def _names(
    dataset: "xr.Dataset", layout: GridLayout, variables: Sequence[str] | None
) -> tuple[str, ...]:
    """The variables to carry over."""
    if variables is not None:
        unknown = [name for name in variables if name not in dataset.data_vars]
        if unknown or not variables:
            raise ValueError(
                f"variables must be among {', '.join(map(str, dataset.data_vars))}, got "
                f"{', '.join(unknown) or 'none'}"
            )
    spatial = set(layout.spatial_dims)
    found = tuple(
        str(name)
        for name, variable in dataset.data_vars.items()
        if spatial <= set(map(str, variable.dims)) and variable.dtype.kind in "fiub"
    )
    if variables is None and layout.coords:
        found = tuple(dict.fromkeys(channel.variable for channel in from_xarray(dataset).channels))
    wanted = tuple(variables) if variables is not None else found
    off = [name for name in wanted if name not in found]
    if off or not wanted:
        raise ValueError(
            f"variables must be numbers on the dimensions {', '.join(layout.spatial_dims)} of the "
            f"grid, got {', '.join(off) or 'none'}; there are {', '.join(found) or 'none'}"
        )
    return wanted


def _regridded(
    dataset: "xr.Dataset",
    layout: GridLayout,
    wanted: GridLayout,
    names: tuple[str, ...],
    move: Move,
) -> "xr.Dataset":
    """The data set on the other sampling, computed part by part when it is written."""
    spatial = set(layout.spatial_dims)
    kept = {
        name: dataset[name]
        for name in dataset.variables
        if not spatial & set(map(str, dataset[name].dims))
    }
    kept = {
        str(name): variable
        for name, variable in kept.items()
        if str(variable.attrs.get("grid_mapping_name", "")).lower() != "healpix"
    }
    result = dataset.drop_vars(list(dataset.variables)).assign_coords(
        {name: kept[name] for name in kept if name in dataset.coords}
    )
    result = result.assign({name: kept[name] for name in kept if name not in dataset.coords})
    result = result.assign_coords(dict(wanted.coords))
    for name in names:
        result[name] = _regridded_variable(dataset[name], layout, wanted, move)
    result.attrs = {key: value for key, value in dataset.attrs.items() if key != "dggs"}
    unlimited = set(dataset.encoding.get("unlimited_dims", ())) & set(result.dims)
    result.encoding = {"unlimited_dims": unlimited} if unlimited else {}
    return result


def _regridded_variable(
    variable: "xr.DataArray",
    layout: GridLayout,
    wanted: GridLayout,
    move: Move,
) -> "xr.DataArray":
    """A variable on the other sampling, lazily along its first dimension."""
    import dask.array as da
    import xarray as xr

    batch = [str(dim) for dim in variable.dims if str(dim) not in layout.spatial_dims]
    ordered = variable.transpose(*batch, *layout.spatial_dims)
    dtype = np.float32 if variable.dtype == np.float32 else np.float64

    def part(index: slice) -> np.ndarray:
        values = layout.flatten(ordered[index] if batch else ordered)
        if values.dtype.kind in "ub":
            values = values.astype(np.float32)
        moved = move(values[..., None])
        return wanted.restore(moved[..., 0], batch=dict.fromkeys(batch)).values.astype(dtype)

    shape = (*(variable.sizes[dim] for dim in batch), *wanted.shape)
    if not batch:
        values = part(slice(None))
    else:
        per_index = max(
            int(np.prod(shape[1:], dtype=np.int64)), ordered.size // max(shape[0], 1), 1
        )
        if 0 in shape:
            raise ValueError(
                f"variable {variable.name} must have values, got the sizes {dict(variable.sizes)}; "
                "was everything selected away?"
            )
        step = max(1, _VALUES_PER_CHUNK // per_index)
        values = da.concatenate(
            [
                da.from_array(
                    _Part(part, slice(start, min(start + step, shape[0])), shape, np.dtype(dtype)),
                    chunks=cast(Any, -1),  # what dask declares is narrower
                    name=False,
                )
                for start in range(0, shape[0], step)
            ]
        )
    attrs = {
        key: value
        for key, value in variable.attrs.items()
        if key not in ("_FillValue", "missing_value", "valid_range", "valid_min", "valid_max")
        and key not in ("grid_mapping", "coordinates", "cell_measures", "actual_range")
    }
    array = xr.DataArray(values, dims=[*batch, *wanted.spatial_dims], attrs=attrs)
    coords = {
        name: coord
        for name, coord in variable.coords.items()
        if not set(layout.spatial_dims) & set(map(str, coord.dims))
    }
    return array.assign_coords(coords).assign_coords(dict(wanted.coords))


class _Part:
    """A part of a variable, as an array that is computed when it is read."""

    def __init__(self, part: Any, index: slice, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._part, self._index = part, index
        self.shape = (index.stop - index.start, *shape[1:])
        self.ndim, self.dtype = len(shape), dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._part(self._index)[key]


def _history(before: str | None, command: str) -> str:
    """The lines of the history, the newest first."""
    line = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ} {command}"
    return line if not before else f"{line}\n{before}"


def _write_dataset(path: Path, dataset: "xr.Dataset", *, overwrite: bool) -> None:
    """Write a data set beside its place, part by part, and move it there."""
    from dask import config

    encoding = {
        name: {"_FillValue": dataset[name].dtype.type(np.nan)}
        for name in dataset.data_vars
        if dataset[name].dtype.kind == "f"
    }
    for variable in dataset.variables.values():
        # how the source was packed and chunked does not fit any more
        packing = ("units", "calendar", "dtype")
        variable.encoding = {
            key: value
            for key, value in variable.encoding.items()
            if key in packing and (key != "dtype" or variable.dtype.kind in "mMO")
        }
    with config.set(scheduler="synchronous"):
        write_encoded(path, dataset, overwrite=overwrite, encoding=encoding)


def _signals_of(
    source: Path, spec: str | None, variables: Sequence[str] | None
) -> tuple[np.ndarray, Sampling, tuple[str, ...]]:
    """Signals (signals, vertices, channels) of any file, their sampling, and names of channels."""
    if is_dataset_path(source) or source.is_dir():
        dataset, layout = _dataset_of(source, spec, variables)
        names = _names(dataset, layout, variables)
        columns = [layout.flatten(dataset[name]) for name in names]
        shape = np.broadcast_shapes(*(column.shape for column in columns))
        stacked = np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)
        return stacked.reshape(-1, *stacked.shape[-2:]), layout.sampling, names
    file = read_signals(source, missing="keep")
    text = spec or file.sampling
    if text is None:
        raise ValueError(
            f"the sampling of INPUT must be given, got none: {source} does not say on which one "
            f"its {file.signals.shape[1]} vertices lie; e.g. --from healpix:32"
        )
    where = sampling_from_spec(text)
    if where.num_vertices != file.signals.shape[1]:
        raise ValueError(
            f"the sampling must have the {file.signals.shape[1]} vertices of {source}, got "
            f"{where.num_vertices} of {text[:200]}; name the sampling of the file"
        )
    count = file.signals.shape[2]
    names = file.channel_names or tuple(
        ["signal"] if count == 1 else [f"channel_{i}" for i in range(count)]
    )
    if variables is None:
        return file.signals, where, names
    unknown = [name for name in variables if name not in names]
    if unknown:
        raise ValueError(f"variables must be among {', '.join(names)}, got {', '.join(unknown)}")
    return file.signals[..., [names.index(name) for name in variables]], where, tuple(variables)


def _write_signals(
    path: Path, signals: np.ndarray, where: Sampling, names: tuple[str, ...], *, overwrite: bool
) -> None:
    """Write an array with what its format can say of the sampling."""
    with write_atomically(path, overwrite=overwrite) as temporary:
        suffix = file_suffix(path)
        if suffix == ".npy":
            np.save(temporary, signals, allow_pickle=False)
        elif suffix == ".npz":
            np.savez_compressed(
                temporary, signals=signals, sampling=where.spec, channel_names=np.array(names)
            )
        else:
            if len(signals) != 1:
                raise ValueError(
                    f"a FITS file must hold one field, got {len(signals)}; write .nc or .npz"
                )
            write_healpix_fits(temporary, signals[0], where, names)
