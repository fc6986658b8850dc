"""Forecasts in a Zarr store, written as they are made and gone on with after an interruption."""

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.calendars import format_time
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.files import write_atomically
from deepsphere.data.map_folders import only_writer
from deepsphere.data.windows import check_positive
from deepsphere.training.checkpoint import Metadata
from deepsphere.training.forecaster import Forecaster, Starts, as_starts
from deepsphere.training.rollout import (
    AnyForecaster,
    advance,
    as_forecaster,
    digest_of_inputs,
    times_after,
)

if TYPE_CHECKING:
    import xarray as xr

PROGRESS = "rollout.json"
_FORMAT = 2
_START, _STEP = "start", "step"
_SOURCE = "forecast by deepsphere"
_DIFFERENCES = {
    "digest": "of another network",
    "fields": "from other fields",
    "grid": "with other coordinates",
    "format": "of another version",
    "starts": "from another start",
    "num_steps": "of another number of steps",
}


def write_rollout(
    forecaster: AnyForecaster,
    series: FieldSeries,
    path: str | os.PathLike[str],
    *,
    start: Any,
    num_steps: int,
    metadata: Metadata | None = None,
    advanced: Callable[[], None] = lambda: None,
    overwrite: bool = False,
) -> Path:
    """Write a forecast from one start to a Zarr store, step by step as it is made.

    The store looks like the file of the series: the same dimensions, coordinates and attributes,
    with the times that are forecast. Every step is a chunk, which is there whole or not at all; a
    step that was not reached yet is missing (NaN). A call that was killed and is repeated goes on
    where it was, and leaves the same bytes as one that was not. ``rollout.json`` in the store says
    how far it is.

    Parameters
    ----------
    forecaster, series, start, num_steps, metadata
        As of `rollout`.
    path
        The store, by custom ending in ``.zarr``: new, or of the same forecast.
    advanced
        Called after each step, also one that was there already, for a progress bar.
    overwrite
        Replace a store of another forecast.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    FileExistsError
        If something else is there, or another process writes to it.
    ImportError
        If xarray, zarr or dask is missing.
    ValueError
        As `rollout`.
    """
    work = _Work.of(forecaster, series, [start], num_steps=num_steps, metadata=metadata)
    return _write(work, Path(path), single=True, advanced=advanced, overwrite=overwrite)


def write_rollouts(
    forecaster: AnyForecaster,
    series: FieldSeries,
    path: str | os.PathLike[str],
    *,
    starts: Starts,
    num_steps: int,
    batch_size: int = 8,
    metadata: Metadata | None = None,
    advanced: Callable[[], None] = lambda: None,
    overwrite: bool = False,
) -> Path:
    """Write forecasts from many starts to a Zarr store, as they are made.

    As `write_rollout`, with the dimensions ``start`` and ``step`` (from 1) in place of time, and
    the coordinate ``time`` of both. Every start and step is a chunk.

    Parameters
    ----------
    forecaster, series, num_steps, metadata
        As of `rollout`.
    path, advanced, overwrite
        As of `write_rollout`; `advanced` is called for each start and step.
    starts
        Times of the series.
    batch_size
        Starts that are forecast together.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError, ImportError, ValueError
        As `write_rollout`.
    """
    check_positive("batch_size", batch_size)
    work = _Work.of(
        forecaster, series, starts, num_steps=num_steps, metadata=metadata, batch_size=batch_size
    )
    return _write(work, Path(path), single=False, advanced=advanced, overwrite=overwrite)


def rollout_progress(path: str | os.PathLike[str]) -> tuple[int, int]:
    """How many fields of a forecast are written, and how many there will be.

    Parameters
    ----------
    path
        A store of `write_rollout` or `write_rollouts`.

    Returns
    -------
    int, int

    Raises
    ------
    ValueError
        If it is no such store.
    """
    found = _read_progress(Path(path))
    if found is None:
        raise ValueError(f"{path} must be a store of write_rollout, got one without {PROGRESS}")
    return int(found["done"]), int(found["total"])


@dataclass(frozen=True, eq=False)
class _Work:
    """What is to be forecast."""

    forecaster: Forecaster
    series: FieldSeries
    starts: np.ndarray
    num_steps: int
    batch_size: int

    @classmethod
    def of(
        cls,
        forecaster: AnyForecaster,
        series: FieldSeries,
        starts: Starts,
        *,
        num_steps: int,
        metadata: Metadata | None,
        batch_size: int = 1,
    ) -> "_Work":
        """Checked."""
        check_positive("num_steps", num_steps)
        found = as_forecaster(forecaster, metadata=metadata)
        fitting = found.fitting(series)
        return cls(found, fitting, as_starts(fitting, starts), num_steps, batch_size)

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What the forecast depends on, found before anything is written."""
        inputs = digest_of_inputs(
            self.forecaster, self.series, starts=self.starts, num_steps=self.num_steps
        )
        return {
            "format": _FORMAT,
            "digest": self.forecaster.digest(),
            "fields": inputs,
            "grid": _digest_of_grid(self.series),
            "starts": [format_time(self.series.times[start]) for start in self.starts],
            "num_steps": self.num_steps,
            "batch_size": self.batch_size,
            "total": len(self.starts) * self.num_steps,
        }

    @property
    def groups(self) -> list[np.ndarray]:
        """Places of the starts that are forecast together."""
        number = len(self.starts)
        return np.split(np.arange(number), range(self.batch_size, number, self.batch_size))


def _write(
    work: _Work,
    path: Path,
    *,
    single: bool,
    advanced: Callable[[], None],
    overwrite: bool,
) -> Path:
    """Forecast what is not there, and write it."""
    _require_climate()
    _prepare_store(work, path, single=single, overwrite=overwrite)
    with only_writer(path):
        _remove_unfinished(path)
        progress = _read_progress(path)
        assert progress is not None, "written with the store"
        store = _Store(work, path, single=single)
        done = int(progress["done"])
        for _ in range(done):
            advanced()
        for group in work.groups:
            before = int(group[0]) * work.num_steps
            there = min(max(0, done - before) // len(group), work.num_steps)
            if there == work.num_steps:
                continue
            forecasts = advance(
                work.forecaster,
                work.series,
                starts=work.starts[group],
                first_step=there,
                num_steps=work.num_steps,
                recent=lambda step, group=group: store.read(group, step),
            )
            for step, _, fields in forecasts:
                store.write(group, step, fields)
                _write_progress(path, progress | {"done": before + step * len(group)})
                for _ in group:
                    advanced()
    return path


class _Store:
    """The arrays of a store."""

    def __init__(self, work: _Work, path: Path, *, single: bool) -> None:
        import zarr

        self.single = single
        self.layout = work.series.layout
        names = work.forecaster.task.channel_names
        self.arrays: list[Any] = [zarr.open_array(path / name, mode="r+") for name in names]

    def write(self, group: np.ndarray, step: int, fields: np.ndarray) -> None:
        """Write the fields of some starts, so many steps ahead."""
        for channel, array in enumerate(self.arrays):
            for place, start in enumerate(group):
                array[self._place(int(start), step)] = self._grid(fields[place, :, channel])

    def read(self, group: np.ndarray, step: int) -> np.ndarray:
        """The fields of some starts, as they were written."""
        grids = [
            [self._vertices(np.asarray(array[self._place(int(start), step)])) for start in group]
            for array in self.arrays
        ]
        return np.moveaxis(np.array(grids, np.float32), 0, -1)

    def _place(self, start: int, step: int) -> Any:
        """Where a field lies."""
        return (step - 1,) if self.single else (start, step - 1)

    def _grid(self, values: np.ndarray) -> np.ndarray:
        """Values as they lie in the file."""
        return values if self.layout is None else self.layout.restore(values).values

    def _vertices(self, grid: np.ndarray) -> np.ndarray:
        """Values as they lie on the sampling."""
        if self.layout is None:
            return grid
        import xarray as xr

        return self.layout.flatten(xr.DataArray(grid, dims=self.layout.spatial_dims))


def _prepare_store(work: _Work, path: Path, *, single: bool, overwrite: bool) -> None:
    """Make an empty store, unless one of the same forecast is there."""
    plan = work.plan
    if path.exists():
        found = _read_progress(path) if path.is_dir() else None
        difference = None if found is None else _difference(found, plan)
        if found is not None and difference is None:
            return
        if not overwrite or found is None:
            what = "something else" if found is None else f"another one ({difference})"
            raise FileExistsError(
                f"{path} must be new or hold the same forecast, got {what}; choose another name"
                + ("" if found is None else ", or replace it (overwrite=True, --overwrite)")
            )
        shutil.rmtree(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(path.parent)) from error
    for stale in path.parent.glob(f".{path.name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        _empty_dataset(work, single=single).to_zarr(
            temporary, mode="w", compute=False, zarr_format=2, consolidated=True
        )
        _write_progress(temporary, plan | {"done": 0})
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _empty_dataset(work: _Work, *, single: bool) -> "xr.Dataset":
    """Data set of the store, whose fields are not there yet."""
    import dask.array
    import xarray as xr

    series, step = work.series, work.forecaster.task.step
    times = np.stack(
        [times_after(series, work.starts, step * (n + 1)) for n in range(work.num_steps)], axis=1
    )
    example, coords = _spatial(series)
    batch = ("time",) if single else (_START, _STEP)
    sizes = times.shape[1:] if single else times.shape
    shape = (*sizes, *example.shape)
    variables = {}
    for name, unit in zip(series.channel_names, series.units, strict=True):
        attributes = _plain_attributes({"units": unit, **series.attributes.get(name, {})})
        empty = dask.array.full(
            shape, np.nan, dtype=np.float32, chunks=((1,) * len(sizes)) + tuple(example.shape)
        )
        variables[name] = ((*batch, *example.dims), empty, attributes, {"_FillValue": np.nan})
    if single:
        start = _writable(series.times[work.starts])[0]
        own = {"time": ("time", _writable(times[0])), _START: start}
    else:
        own = {
            _START: (_START, _writable(series.times[work.starts])),
            _STEP: (_STEP, np.arange(1, work.num_steps + 1)),
            "time": ((_START, _STEP), _writable(times)),
        }
    attributes = {"source": _SOURCE, "forecast_step": _step_name(work)}
    dataset = xr.Dataset(variables, {**coords, **own}, attributes)
    for name in coords:
        # how a coordinate lay in the file, of another format, is not how it will lie in the store
        dataset[name].encoding = {}
    return dataset


def _spatial(series: FieldSeries) -> tuple["xr.DataArray", dict[str, Any]]:
    """A field as it lies in the file, and the coordinates along its dimensions."""
    import xarray as xr

    if series.layout is not None:
        field = series.layout.restore(np.zeros(series.sampling.num_vertices, np.float32))
        return field, dict(field.coords)
    sampling = series.sampling
    coords = {
        "lon": ("cell", np.rad2deg(sampling.lon), {"units": "degrees_east"}),
        "lat": ("cell", np.rad2deg(sampling.lat), {"units": "degrees_north"}),
    }
    return xr.DataArray(np.zeros(sampling.num_vertices, np.float32), dims=("cell",)), coords


def _digest_of_grid(series: FieldSeries) -> str:
    """Digest of how the vertices lie in the store: two files of one grid may differ in it."""
    import xarray as xr

    example, coords = _spatial(series)
    digest = hashlib.sha256(repr((example.dims, example.shape)).encode())
    for name, coordinate in sorted(xr.Dataset(coords=coords).coords.items(), key=str):
        digest.update(repr((name, coordinate.dims, coordinate.values.tolist())).encode())
    return digest.hexdigest()


def _step_name(work: _Work) -> str:
    """The step of the forecast, in words."""
    return work.forecaster.preparation.step.times(work.forecaster.task.step)


def _writable(times: np.ndarray) -> np.ndarray:
    """Times as xarray takes them."""
    return times.astype("datetime64[ns]") if times.dtype.kind == "M" else times


def _plain_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes that can be written as JSON; others do not describe what is forecast."""
    kept = {}
    for name, value in attributes.items():
        plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        # ranges of the observed values, which forecasts need not keep
        if isinstance(plain, str | int | float) and not name.startswith("_"):
            kept[name] = plain
    return kept


def _difference(found: dict[str, Any], plan: dict[str, Any]) -> str | None:
    """In what the plan of a store differs, in words."""
    for name, value in plan.items():
        if found.get(name) != value:
            return _DIFFERENCES.get(name, f"with another {name}")
    return None


def _read_progress(path: Path) -> dict[str, Any] | None:
    """Plan of a store and how far it is; None where there is none."""
    try:
        found = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) and {"done", "total"} <= found.keys() else None


def _write_progress(path: Path, progress: dict[str, Any]) -> None:
    """Say how far a store is."""
    with write_atomically(path / PROGRESS, overwrite=True) as temporary:
        temporary.write_text(json.dumps(progress, indent=1) + "\n", encoding="utf-8")


def _remove_unfinished(path: Path) -> None:
    """Remove what a process that was killed was writing."""
    for pattern in ("**/*.partial", f".{Path(PROGRESS).stem}-*"):
        for left in path.glob(pattern):
            left.unlink(missing_ok=True)


def _require_climate() -> None:
    """Raise unless what writes Zarr stores is installed."""
    try:
        import dask.array  # noqa: F401
        import xarray  # noqa: F401
        import zarr  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "forecasts are written by xarray, zarr and dask: pip install "
            f"'deepsphere-torch[climate]' ({error})"
        ) from error
