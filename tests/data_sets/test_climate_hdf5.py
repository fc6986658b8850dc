"""Full-resolution climate files, small ones that these tests write."""

import sys
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.climate_hdf5 import (
    open_climate_hdf5,
    read_climate_hdf5,
    read_climate_statistics,
)
from deepsphere.data.worker_processes import call_in_processes
from deepsphere.sampling import Equiangular, Icosahedral

h5py = pytest.importorskip("h5py")

NLAT, NLON = 12, 18
KEYS = [f"data-1996-06-01-{hour:02d}-1" for hour in range(4)]


def write_map(path: Path, seed: int, *, nlat: int = NLAT) -> tuple[np.ndarray, np.ndarray]:
    """A file as of the data set: data and labels from south to north."""
    generator = np.random.default_rng(seed)
    data = generator.normal(size=(16, nlat, NLON)).astype(np.float32)
    labels = generator.integers(0, 3, (nlat, NLON))
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["climate/data"], file["climate/labels"] = data, labels
    return data, labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Maps in folders of the splits, and statistics."""
    for seed, (key, split) in enumerate(
        zip(KEYS, ("train", "train", "validation", "test"), strict=True)
    ):
        write_map(tmp_path / split / f"{key}.h5", seed)
    with h5py.File(tmp_path / "stats.h5", "w") as file:
        file["climate/stats"] = np.arange(64.0).reshape(16, 4)
    return tmp_path


def test_maps_run_from_north_to_south(folder: Path) -> None:
    train, validation, test = open_climate_hdf5(folder)
    assert validation is not None
    assert test is not None
    assert (train.names, validation.names, test.names) == (
        tuple(KEYS[:2]),
        (KEYS[2],),
        (KEYS[3],),
    )
    assert train.sampling == Equiangular(NLAT, NLON)
    with h5py.File(folder / "test" / f"{KEYS[3]}.h5") as file:
        data, labels = file["climate/data"][...], file["climate/labels"][...]
    signals, numbers = test.read(0)
    image = signals.reshape(NLAT, NLON, 16)
    # the first ring of the sampling is the last row of the file
    assert test.sampling.lat[0] > 0
    np.testing.assert_array_equal(image[0, :, 3], data[3, -1])
    np.testing.assert_array_equal(image[-1, 5], data[:, 0, 5])
    np.testing.assert_array_equal(numbers.reshape(NLAT, NLON)[2], labels[-3])


def test_lists_come_before_folders(folder: Path) -> None:
    (folder / "train.txt").write_text(f"{KEYS[3]}.h5")
    train, validation, _ = open_climate_hdf5(folder)
    assert train.names == (KEYS[3],)
    assert validation is None


@pytest.mark.parametrize("target", [Equiangular(6, 9), Equiangular(4, 6), Icosahedral(2)])
def test_averages_keep_the_global_mean(folder: Path, target: Equiangular | Icosahedral) -> None:
    fine, coarse = read_climate_hdf5(folder), read_climate_hdf5(folder, target=target)
    assert coarse.sampling == target
    means = [
        (events.read(1)[0] * events.sampling.areas[:, None]).sum(axis=0)
        for events in (fine, coarse)
    ]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-4, atol=1e-4)


def test_average_of_labels_is_the_class_that_covers_most(tmp_path: Path) -> None:
    labels = np.zeros((NLAT, NLON), np.int64)
    labels[:6] = 2  # the south
    labels[:, :1] = 1  # a third of a cell of three columns, which is centered on it
    with h5py.File(tmp_path / f"{KEYS[0]}.h5", "w") as file:
        file["climate/data"], file["climate/labels"] = np.zeros((16, NLAT, NLON)), labels
    found = read_climate_hdf5(tmp_path, target=Equiangular(6, 6)).read(0)[1].reshape(6, 6)
    np.testing.assert_array_equal(found, [[0] * 6] * 3 + [[2] * 6] * 3)


def test_maps_are_read_in_other_processes(folder: Path) -> None:
    events = read_climate_hdf5(folder)
    elsewhere = dict(call_in_processes(events.read, [(0,), (1,)], num_workers=2))
    for index in range(2):
        np.testing.assert_array_equal(elsewhere[index][0], events.read(index)[0])


def test_statistics_are_the_first_and_the_last_column(folder: Path) -> None:
    mean, deviation = read_climate_statistics(folder)
    assert (mean[:2], deviation[:2]) == ((0.0, 4.0), (3.0, 7.0))
    with h5py.File(folder / "other.h5", "w") as file:
        file["climate/stats"] = np.zeros((3, 4))
    with pytest.raises(
        ValueError, match=r"must hold statistics of 16 channels.*got shape \(3, 4\)"
    ):
        read_climate_statistics(folder / "other.h5")
    with pytest.raises(ValueError, match="must hold climate/stats"):
        read_climate_statistics(folder / "nothing.h5")


def test_damaged_files_are_named(folder: Path) -> None:
    events = read_climate_hdf5(folder)
    path = folder / "train" / f"{KEYS[1]}.h5"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=f"{KEYS[1]}.h5 must be a complete file of climate/data"):
        events.read(1)
    write_map(path, 0, nlat=10)
    with pytest.raises(ValueError, match=r"must hold data \(channels, 12, 18\)"):
        events.read(1)


def test_first_file_that_is_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{KEYS[0]}.h5"
    with h5py.File(path, "w") as file:
        file["climate/data"] = np.zeros((15, 4, 6))
    with pytest.raises(ValueError, match="must hold 16 channels, got 15"):
        read_climate_hdf5(tmp_path)
    with h5py.File(path, "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(ValueError, match="must hold climate/data"):
        read_climate_hdf5(tmp_path)


def test_folder_without_splits_is_rejected(tmp_path: Path) -> None:
    write_map(tmp_path / f"{KEYS[0]}.h5", 0)
    with pytest.raises(ValueError, match="must hold lists of the splits"):
        open_climate_hdf5(tmp_path)


def test_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'deepsphere-torch\[climate\]'"):
        read_climate_hdf5(folder)
