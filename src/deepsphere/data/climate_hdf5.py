"""The climate data set at its full resolution: HDF5 files on a latitude-longitude grid."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from deepsphere.data.climate_channels import CHANNEL_NAMES, CLASS_NAMES
from deepsphere.data.climate_files import (
    SPLIT_LISTS,
    check_numbers,
    climate_dates,
    find_files,
    read_split_lists,
)
from deepsphere.data.climate_folders import split_by_lists
from deepsphere.data.event_sets import UNLABELLED, EventSet, EventSplits
from deepsphere.graph.transfer import transfer_matrix
from deepsphere.sampling import Equiangular, Sampling

_DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError)
_STATISTICS = "stats.h5"


@dataclass(frozen=True)
class GridMap:
    """A map in an HDF5 file, read, and averaged to other cells, whenever it is asked for.

    Parameters
    ----------
    path
        The file: ``climate/data`` (channels, latitudes, longitudes), from south to north, and
        ``climate/labels`` (latitudes, longitudes): 0 background, 1 cyclone, 2 river.
    grid
        Of the file.
    target
        Sampling of the result.
    """

    path: Path
    grid: Equiangular
    target: Sampling

    def read(self) -> tuple[Float[np.ndarray, "vertices channels"], Int[np.ndarray, "vertices"]]:
        """Signals and labels, from north to south.

        Returns
        -------
        signals, labels
            Float32; int8, −1 where unknown. Other cells have the class that covers most of them.

        Raises
        ------
        ValueError
            If the file is missing, cut, damaged, or of another grid.
        """
        h5py = _h5py()
        try:
            with h5py.File(self.path, "r") as file:
                data, labels = file["climate/data"][...], file["climate/labels"][...]
        except _DAMAGE as error:
            reason = str(error).splitlines() or [type(error).__name__]
            raise ValueError(
                f"{self.path} must be a complete file of climate/data and climate/labels, got a "
                f"damaged one ({reason[0]}); fetch it again"
            ) from None
        check_numbers(self.path, data=data, labels=labels)
        shape = (self.grid.nlat, self.grid.nlon)
        if data.ndim != 3 or data.shape[1:] != shape or labels.shape != shape:
            raise ValueError(
                f"{self.path} must hold data (channels, {shape[0]}, {shape[1]}) and labels "
                f"({shape[0]}, {shape[1]}), got shapes {data.shape} and {labels.shape}"
            )
        signals = np.moveaxis(data[:, ::-1], 0, 2).reshape(-1, len(data)).astype(np.float32)
        numbers = labels[::-1].ravel()
        if numbers.dtype.kind == "f":
            numbers = np.where(np.isnan(numbers), UNLABELLED, numbers)
        numbers = numbers.astype(np.int8)
        if self.target == self.grid:
            return signals, numbers
        matrix = _averaging(self.grid, self.target)
        classes = range(UNLABELLED, len(CLASS_NAMES))
        shares = np.stack([matrix @ (numbers == one).astype(np.float32) for one in classes])
        return matrix @ signals, (shares.argmax(axis=0) + UNLABELLED).astype(np.int8)

    def digest(self) -> str:
        """Name and size of the file, and the grid.

        Returns
        -------
        str
        """
        return f"{self.path.name}-{self.path.stat().st_size}-{self.target.spec}"


def read_climate_hdf5(path: str | os.PathLike[str], *, target: Sampling | None = None) -> EventSet:
    """All maps of a folder of full-resolution files, by date and run.

    Files are named ``data-YYYY-MM-DD-HH-R.h5``. They are read, by whichever process asks, one at a
    time. The grid is that of the original work, without poles; rows of the files run from south to
    north, those of the sampling from north to south.

    Parameters
    ----------
    path
        The folder, or one above.
    target
        Another sampling, to whose cells those of the grid are averaged by area, as
        ``Equiangular(192, 288)`` or ``Icosahedral(level=5)``; the grid of the files if not given.

    Returns
    -------
    EventSet

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ImportError
        If h5py is not installed.
    ValueError
        If the first file is damaged or has other channels.
    """
    files = find_files(Path(path), ".h5")
    keys = list(files)
    first = files[keys[0]]
    num_channels, nlat, nlon = _shape_of(first)
    if num_channels != len(CHANNEL_NAMES):
        raise ValueError(f"{first} must hold {len(CHANNEL_NAMES)} channels, got {num_channels}")
    grid = Equiangular(nlat, nlon)
    chosen = grid if target is None else target
    dates, runs = climate_dates(keys)
    return EventSet(
        sources=tuple(GridMap(files[key], grid, chosen) for key in keys),
        sampling=chosen,
        channel_names=CHANNEL_NAMES,
        class_names=CLASS_NAMES,
        dates=dates,
        runs=runs,
        names=tuple(keys),
    )


def open_climate_hdf5(
    path: str | os.PathLike[str], *, target: Sampling | None = None
) -> EventSplits:
    """Splits of full-resolution maps, by lists of names or by folders.

    Parameters
    ----------
    path
        Folder with ``train.txt``, ``val.txt`` and ``test.txt``, as for the original data set; or
        with folders ``train``, ``validation`` and ``test``.
    target
        See `read_climate_hdf5`.

    Returns
    -------
    EventSplits

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If there are neither lists nor folders, or a file is damaged.
    """
    folder = Path(path)
    events = read_climate_hdf5(folder, target=target)
    if read_split_lists(folder):
        return split_by_lists(events, folder)
    names = {
        split: [one for one in names if (folder / one).is_dir()]
        for split, names in SPLIT_LISTS.items()
    }
    if not names["train"]:
        raise ValueError(
            f"{folder} must hold lists of the splits, train.txt, val.txt and test.txt, or folders "
            "train, validation and test, got neither; or split all maps with split_events"
        )
    parts = []
    for split in SPLIT_LISTS:
        inside = {one for name in names[split] for one in find_files(folder / name, ".h5")}
        chosen = [index for index, key in enumerate(events.names) if key in inside]
        parts.append(events.take(chosen) if chosen else None)
    return EventSplits(*parts)


def read_climate_statistics(
    path: str | os.PathLike[str],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the channels, from ``stats.h5``.

    Parameters
    ----------
    path
        The file, or its folder: ``climate/stats`` (channels, numbers) with the mean first and the
        deviation last.

    Returns
    -------
    mean, deviation : tuple of float
        One for each channel.

    Raises
    ------
    ValueError
        If the file is missing or does not hold them.
    """
    path = Path(path)
    path = path / _STATISTICS if path.is_dir() else path
    try:
        with _h5py().File(path, "r") as file:
            values = np.array(file["climate/stats"], np.float64)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} must hold climate/stats, got {str(error).splitlines()[0]}"
        ) from None
    if values.ndim != 2 or len(values) != len(CHANNEL_NAMES) or values.shape[1] < 2:
        raise ValueError(
            f"{path} must hold statistics of {len(CHANNEL_NAMES)} channels, mean first and "
            f"deviation last, got shape {values.shape}"
        )
    return tuple(values[:, 0].tolist()), tuple(values[:, -1].tolist())


def _shape_of(path: Path) -> tuple[int, int, int]:
    """Channels, latitudes and longitudes of a file, of which no value is read."""
    try:
        with _h5py().File(path, "r") as file:
            num_channels, nlat, nlon = file["climate/data"].shape
    except _DAMAGE as error:
        raise ValueError(
            f"{path} must hold climate/data (channels, latitudes, longitudes), got "
            f"{str(error).splitlines()[0]}"
        ) from None
    return num_channels, nlat, nlon


@lru_cache(maxsize=2)
def _averaging(grid: Equiangular, target: Sampling) -> csr_matrix:
    """Matrix (target, grid) of the shares of cells of the grid in target cells: rows sum to 1."""
    return csr_matrix(transfer_matrix(grid, target, "conservative"), dtype=np.float32)


def _h5py() -> Any:
    """The package h5py, or how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            "climate maps in HDF5 files need h5py, which is not installed; "
            "pip install 'deepsphere-torch[climate]'"
        ) from error
    return h5py
