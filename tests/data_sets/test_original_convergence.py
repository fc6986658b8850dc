"""Preparing maps as for the published experiment."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data import original_convergence
from deepsphere.data.healpix_fits import UNSEEN
from deepsphere.data.map_sets import open_maps, split_maps
from deepsphere.data.original_convergence import prepare_map, prepare_original
from deepsphere.sampling import Healpix

healpy = pytest.importorskip("healpy")
pytest.importorskip("h5py")


def wave(index: int) -> np.ndarray:
    """A map at nside 32, RING."""
    direction = np.random.default_rng(index).normal(size=3) * 4
    return 3.0 + np.sin(Healpix(32, ordering="ring").points @ direction)


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "source"
    (folder / "training").mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        healpy.write_map(folder / "training" / "kappa_0p31_1.fits", wave(0).astype(np.float32))
    np.savez(folder / "training" / "kappa_0p26_1.npz", wave(1))
    nested = Healpix(32, ordering="ring").reorder(wave(2)[:, None], "nested")[:, 0]
    np.savez(folder / "kappa_0p26_2.npz", map=nested, ordering="nested")
    np.save(folder / "kappa_omega_m_0p31_s_8_0p82.npy", wave(3))
    return folder


def naive(index: int, nside: int, beam_arcmin: float) -> np.ndarray:
    """The steps of the publication by healpy, in RING order."""
    values = wave(index) - wave(index).mean()
    values = healpy.ud_grade(values, nside)
    values = healpy.smoothing(values, sigma=beam_arcmin / 60 * np.pi / 180)
    return healpy.reorder(values, r2n=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_maps_are_prepared_as_published(source, tmp_path):
    count = []
    folder = prepare_original(
        source, tmp_path / "out", nside=16, beam_arcmin=200, advance=lambda: count.append(1)
    )
    maps = open_maps(folder)
    assert len(count) == len(maps) == 4
    assert maps.class_names == ("0p26", "0p31")
    assert maps.names == (
        "kappa_0p26_2.npz",
        "kappa_omega_m_0p31_s_8_0p82.npy",
        "training/kappa_0p26_1.npz",
        "training/kappa_0p31_1.fits",
    )
    assert maps.labels.tolist() == [0, 1, 0, 1]
    assert maps.parameters is not None
    assert maps.parameters.tolist() == [[0.26, 0.91], [0.31, 0.82], [0.26, 0.91], [0.31, 0.82]]
    for position, index in enumerate([2, 3, 1, 0]):
        expected = naive(index, 16, 200.0)
        np.testing.assert_allclose(maps.read(position)[:, 0], expected, atol=1e-6)
        assert maps.read(position).dtype == np.float32
    assert len(split_maps(maps, validation_fraction=0, test_fraction=0.5).train) == 2


def test_a_beam_damps_a_degree_by_its_gaussian():
    degree = 7
    values = healpy.alm2map(
        np.eye(1, healpy.Alm.getsize(degree), healpy.Alm.getidx(degree, degree, 3))[0] + 0j, 32
    )
    nested = Healpix(32, ordering="ring").reorder(values[:, None], "nested")
    spread = np.deg2rad(300 / 60)
    damped = prepare_map(nested, nside=32, beam_arcmin=300)
    expected = nested * np.exp(-0.5 * degree * (degree + 1) * spread**2)
    np.testing.assert_allclose(damped, expected, atol=2e-4 * np.abs(nested).max())


def test_an_interrupted_preparation_continues_to_the_same_bytes(source, tmp_path, monkeypatch):
    whole = contents(prepare_original(source, tmp_path / "whole", nside=8))
    write = original_convergence.write_map_file
    count = []

    def write_two(path, *rest, **options):
        count.append(path)
        if len(count) == 3:
            path.with_name(f".{path.stem}-12345678.h5").write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, *rest, **options)

    monkeypatch.setattr(original_convergence, "write_map_file", write_two)
    with pytest.raises(KeyboardInterrupt):
        prepare_original(source, tmp_path / "out", nside=8)
    left = contents(tmp_path / "out")
    assert len(left) == 3
    assert left.items() <= whole.items()
    with pytest.raises(ValueError, match=r"must hold all 4 prepared maps, got 2 .map-00002.h5"):
        open_maps(tmp_path / "out")
    monkeypatch.setattr(original_convergence, "write_map_file", write)
    prepare_original(source, tmp_path / "out", nside=8)
    assert contents(tmp_path / "out") == whole


def test_other_settings_are_refused_or_replace(source, tmp_path):
    folder = prepare_original(source, tmp_path / "out", nside=8)
    with pytest.raises(FileExistsError, match="hold the same maps with the same settings, got oth"):
        prepare_original(source, folder, nside=4)
    prepare_original(source, folder, nside=4, overwrite=True)
    assert open_maps(folder).nside == 4
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"got other files \(notes.txt\)"):
        prepare_original(source, tmp_path / "full", nside=4, overwrite=True)


def test_a_source_that_changed_is_prepared_again(source, tmp_path):
    folder = prepare_original(source, tmp_path / "out", nside=8, beam_arcmin=0)
    before = open_maps(folder).read(1)
    np.save(source / "kappa_omega_m_0p31_s_8_0p82.npy", 2 * wave(3))
    prepare_original(source, folder, nside=8, beam_arcmin=0)
    np.testing.assert_allclose(open_maps(folder).read(1), 2 * before, atol=1e-6)


def nan_map(folder: Path) -> None:
    values = wave(0)
    values[3] = np.nan
    np.save(folder / "kappa_0p26_9.npy", values)


def unseen_map(folder: Path) -> None:
    values = wave(0)
    values[3] = UNSEEN
    np.savez(folder / "kappa_0p26_9.npz", values)


def nested_map(folder: Path) -> None:
    nested = Healpix(32, ordering="ring").reorder(wave(2)[:, None], "nested")[:, 0]
    np.save(folder / "kappa_0p26_9.npy", nested)


def cut_map(folder: Path) -> None:
    np.savez(folder / "kappa_0p26_9.npz", wave(0))
    path = folder / "kappa_0p26_9.npz"
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nan_map, "kappa_0p26_9.npy must be finite everywhere, got 1 pixels"),
        (unseen_map, "kappa_0p26_9.npz must be finite everywhere, got 1 pixels"),
        (nested_map, "kappa_0p26_9.npy must be in RING order .* much smoother in NESTED"),
        (cut_map, "kappa_0p26_9.npz must be a complete file of numpy .* download it again"),
        (
            lambda folder: np.save(folder / "kappa_0p26_9.npy", np.zeros(100)),
            "kappa_0p26_9.npy must have 12 nside² pixels",
        ),
        (
            lambda folder: np.savez(folder / "a_0p26.npz", wave(0), wave(1)),
            "must hold one array of pixels, got 2 of them",
        ),
        (
            lambda folder: np.savez(folder / "a_0p26.npz", wave(0), ordering="spiral"),
            "must say ring or nested as ordering, got 'spiral'",
        ),
        (
            lambda folder: np.save(folder / "kappa.npy", wave(0)),
            "kappa.npy must have one of 0p26, 0p31 in its name, got none or both",
        ),
        (
            lambda folder: np.save(folder / "a_0p26.npy", np.zeros(48)),
            r"nside must be at most that of the maps \(2\), got 8",
        ),
    ],
)
def test_maps_that_cannot_be_used_are_named(source, tmp_path, make, message):
    make(source)
    with pytest.raises(ValueError, match=message):
        prepare_original(source, tmp_path / "out", nside=8)


def test_requests_that_make_no_sense_are_rejected(source, tmp_path):
    with pytest.raises(ValueError, match="nside must have 12 nside² pixels"):
        prepare_original(source, tmp_path / "out", nside=12)
    with pytest.raises(ValueError, match="beam_arcmin must be from 0 to 600 arc minutes, got -3"):
        prepare_original(source, tmp_path / "out", beam_arcmin=-3)
    with pytest.raises(ValueError, match="num_workers must not be negative, got -1"):
        prepare_original(source, tmp_path / "out", num_workers=-1)
    with pytest.raises(FileNotFoundError, match="source must be a folder of maps"):
        prepare_original(tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="source must hold files that end in one of"):
        prepare_original(tmp_path / "empty", tmp_path / "out")


def test_descriptions_that_are_damaged_or_later_are_named(source, tmp_path):
    folder = prepare_original(source, tmp_path / "out", nside=8)
    manifest = json.loads((folder / "prepared.json").read_text())
    (folder / "prepared.json").write_text("{")
    with pytest.raises(ValueError, match=r"prepared.json must be the description of prepared maps"):
        open_maps(folder)
    (folder / "prepared.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(ValueError, match=r"prepared.json must be of format 1, got 2"):
        open_maps(folder)


def test_without_healpy_the_way_to_install_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "healpy", None)
    with pytest.raises(ImportError, match=r"needs healpy, .*pip install 'deepsphere-torch\[cosmo"):
        prepare_map(np.zeros((48, 1)), nside=2, beam_arcmin=3)
