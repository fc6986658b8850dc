"""Folders of simulated maps: whole, resumed, repaired, refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data import simulated_maps
from deepsphere.data.lognormal_maps import lognormal_map, target_spectra
from deepsphere.data.map_files import MapFileError, read_map_file, write_map_file
from deepsphere.data.map_folders import only_writer
from deepsphere.data.map_sets import open_maps
from deepsphere.data.simulated_maps import (
    map_path,
    plan_indices,
    read_manifest,
    read_plan,
    simulate_maps,
)
from deepsphere.data.simulation_plan import SimulationPlan

pytest.importorskip("glass")
h5py = pytest.importorskip("h5py")

PLAN = SimulationPlan(nside=16, num_maps=3, scale="zoom", contrast=2.0, seed=5)


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file, hidden ones too."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return simulate_maps(PLAN, tmp_path_factory.mktemp("maps") / "finished", num_workers=0)


@pytest.fixture
def expected(finished) -> dict[str, str]:
    return contents(finished)


@pytest.fixture
def folder(finished, tmp_path) -> Path:
    """A copy that may be damaged."""
    target = tmp_path / "copy"
    target.mkdir()
    for path in finished.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_maps_are_those_of_the_plan(finished):
    maps = open_maps(finished)
    assert len(maps) == 6
    assert maps.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert maps.parameters is not None
    assert maps.parameters[[0, 3]].tolist() == [[0.31, 0.82], [0.26, 0.91]]
    assert maps.notes == PLAN.notes
    for position, (i, j) in enumerate(sorted(plan_indices(PLAN))):
        expected = lognormal_map(PLAN, cosmology_index=i, map_index=j)
        assert np.array_equal(maps.read(position), expected)
        assert np.array_equal(maps.read(position, 100, 200), expected[100:200])


def test_files_hold_all_that_they_were_made_from(finished):
    manifest = read_manifest(finished)
    assert read_plan(finished) == PLAN
    assert set(manifest["versions"]) == {"deepsphere", "camb", "glass", "healpy", "numpy"}
    with np.load(finished / "spectra.npz") as file:
        assert np.array_equal(file["target"][0], target_spectra(PLAN))
        assert file["gaussian"].shape == (2, 1, 1, 48)
        assert file["shifts"].tolist() == manifest["shifts"]
    with h5py.File(map_path(finished, 1, 2), "r") as file:
        values = file["maps"][()]
        assert values.dtype == np.float32
        assert file["maps"].attrs["ordering"] == "nested"
        assert file["maps"].attrs["sha256"] == hashlib.sha256(values.tobytes()).hexdigest()
        assert (file.attrs["omega_m"], file.attrs["sigma_8"]) == (0.26, 0.91)
        settings = json.loads(file.attrs["settings"])
        assert (settings["cosmology_index"], settings["map_index"]) == (1, 2)
        assert settings["plan"]["seed"] == 5
        assert json.loads(file.attrs["versions"]) == manifest["versions"]


@pytest.mark.slow
def test_processes_write_the_same_bytes(expected, tmp_path):
    count = []
    folder = simulate_maps(PLAN, tmp_path / "maps", num_workers=2, advance=lambda: count.append(1))
    assert contents(folder) == expected
    assert len(count) == 6


def test_a_folder_that_is_finished_is_left_alone(folder, expected, monkeypatch):
    monkeypatch.setattr(simulated_maps, "draw_map", None)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    simulate_maps(PLAN, folder, num_workers=0)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    assert contents(folder) == expected


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def damage_by_emptying(path: Path) -> None:
    path.write_bytes(b"")


def damage_by_a_flipped_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2000] ^= 1
    path.write_bytes(bytes(content))


def damage_by_other_content(path: Path) -> None:
    path.write_text("these are not the maps you are looking for\n" * 100)


def damage_by_another_map(path: Path) -> None:
    path.write_bytes(map_path(path.parent, 0, 0).read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_by_cutting, "must be a complete map file, got a damaged one"),
        (damage_by_emptying, "must be a complete map file, got a damaged one"),
        (damage_by_a_flipped_bit, "must be a complete map file, got a damaged one .its content"),
        (damage_by_other_content, "must be a complete map file, got a damaged one"),
        (damage_by_another_map, "must be a map of this folder, got one that was made otherwise"),
    ],
)
def test_damage_is_found_and_mended(folder, expected, damage, message):
    path = map_path(folder, 1, 1)
    damage(path)
    maps = open_maps(folder)
    with pytest.raises(MapFileError, match=rf"{path.name} {message}.*again, which replaces it"):
        maps.read(4, 0, 10)
    with pytest.raises(MapFileError, match=path.name):
        maps.digest()
    simulate_maps(PLAN, folder, num_workers=0)
    assert contents(folder) == expected
    maps.read(4)


def test_missing_maps_are_named_and_added(folder, expected):
    maps = open_maps(folder)
    map_path(folder, 0, 1).unlink()
    with pytest.raises(ValueError, match=r"all 6 maps of its plan, got 5 \(map-000-00001.h5 is m"
                       ):  # fmt: skip
        open_maps(folder)
    with pytest.raises(MapFileError, match=r"map-000-00001.h5 must be there, got no such file"):
        maps.read(1)
    simulate_maps(PLAN, folder, num_workers=0)
    assert contents(folder) == expected


def test_lost_spectra_and_remains_are_mended(folder, expected):
    (folder / "spectra.npz").unlink()
    (folder / ".map-000-00001-1a2b3c4d.h5").write_bytes(b"half of it")
    simulate_maps(PLAN, folder, num_workers=0)
    assert contents(folder) == expected


def test_a_call_that_was_killed_before_its_manifest_is_continued(tmp_path, expected):
    folder = tmp_path / "maps"
    folder.mkdir()
    (folder / "spectra.npz").write_bytes(b"old")
    (folder / ".simulation-12345678.json").write_text("{")
    simulate_maps(PLAN, folder, num_workers=0)
    assert contents(folder) == expected


def test_an_error_midway_leaves_whole_maps_only(tmp_path, monkeypatch, expected):
    write = simulated_maps.write_map_file
    count = []

    def write_three(path, *rest, **options):
        if len(count) == 3:
            path.with_name(f".{path.stem}-12345678.h5").write_bytes(b"half")
            raise KeyboardInterrupt
        count.append(path)
        write(path, *rest, **options)

    monkeypatch.setattr(simulated_maps, "write_map_file", write_three)
    with pytest.raises(KeyboardInterrupt):
        simulate_maps(PLAN, tmp_path / "maps", num_workers=0)
    left = contents(tmp_path / "maps")
    assert len(left) == 5
    assert left.items() <= expected.items()
    monkeypatch.setattr(simulated_maps, "write_map_file", write)
    simulate_maps(PLAN, tmp_path / "maps", num_workers=0)
    assert contents(tmp_path / "maps") == expected


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_simulation_continues_to_the_same_bytes(tmp_path, num_workers, stop):
    plan = "SimulationPlan(nside=64, num_maps=30, scale='zoom')"
    code = (
        "from deepsphere.data.simulated_maps import simulate_maps\n"
        "from deepsphere.data.simulation_plan import SimulationPlan\n"
        f"simulate_maps({plan}, {str(tmp_path / 'killed')!r}, num_workers={num_workers})\n"
    )
    whole = simulate_maps(
        SimulationPlan(nside=64, num_maps=30, scale="zoom"), tmp_path / "whole", num_workers=0
    )
    folder = tmp_path / "killed"
    for target in (1, 31):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if folder.exists() and sum(1 for _ in folder.glob("map-*.h5")) >= target:
                os.kill(process.pid, stop)
                break
            time.sleep(0.002)
        process.wait()
        if stop == signal.SIGINT:
            assert not list(folder.glob(".*"))
    time.sleep(1)  # workers that lost their master end after the map that they are at
    simulate_maps(SimulationPlan(nside=64, num_maps=30, scale="zoom"), folder, num_workers=0)
    assert contents(folder) == contents(whole)


def test_more_maps_are_added_and_fewer_refused(folder, expected):
    simulate_maps(replace(PLAN, num_maps=4), folder, num_workers=0)
    more = contents(folder)
    assert len(more) == len(expected) + 2
    for name, digest in expected.items():
        assert name == "simulation.json" or more[name] == digest
    with pytest.raises(FileExistsError, match=r"num_maps 4, more than 3\); choose another folder"):
        simulate_maps(PLAN, folder, num_workers=0)


def test_every_flipped_bit_is_found(tmp_path):
    path = tmp_path / "map.h5"
    write_map_file(path, np.ones((12, 1), np.float32), settings="{}", attributes={"seed": 3})
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        other = tmp_path / f"map-{position}.h5"
        other.write_bytes(bytes(changed))
        with pytest.raises(MapFileError, match="does not fit its SHA-256"):
            read_map_file(other)
        other.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 6}, "seed 5 instead of 6"),
        ({"nside": 32}, "nside 16 instead of 32"),
        ({"contrast": None}, "contrast 2.0 instead of None"),
    ],
)
def test_maps_of_another_plan_are_refused_or_replaced(folder, change, message, tmp_path):
    other = replace(PLAN, **change)
    with pytest.raises(FileExistsError, match=rf"hold maps of the same plan.*{message}.*--overwr"):
        simulate_maps(other, folder, num_workers=0)
    simulate_maps(other, folder, num_workers=0, overwrite=True)
    assert contents(folder) == contents(simulate_maps(other, tmp_path / "new", num_workers=0))


def test_overwriting_the_same_plan_keeps_its_maps(folder, expected, monkeypatch):
    monkeypatch.setattr(simulated_maps, "draw_map", None)
    simulate_maps(PLAN, folder, num_workers=0, overwrite=True)
    assert contents(folder) == expected


def test_folders_of_other_files_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match=r"got other files \(thesis.tex\)"):
            simulate_maps(PLAN, tmp_path, num_workers=0, overwrite=overwrite)
    with pytest.raises(FileExistsError, match="folder must name a folder, got the file"):
        simulate_maps(PLAN, tmp_path / "thesis.tex", num_workers=0)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_folder_has_one_writer(folder):
    pytest.importorskip("fcntl")
    with (
        only_writer(folder),
        pytest.raises(FileExistsError, match="must not be written to by another process"),
    ):
        simulate_maps(PLAN, folder, num_workers=0)
    simulate_maps(PLAN, folder, num_workers=0)


def test_manifests_that_are_damaged_or_later_are_named(folder):
    manifest = json.loads((folder / "simulation.json").read_text())
    (folder / "simulation.json").write_text(json.dumps(manifest)[:50])
    with pytest.raises(ValueError, match=r"simulation.json must be the description of a simula"):
        open_maps(folder)
    with pytest.raises(FileExistsError, match="must be the description of a simulation"):
        simulate_maps(PLAN, folder, num_workers=0)
    (folder / "simulation.json").write_text(json.dumps({**manifest, "format": 9}))
    with pytest.raises(ValueError, match=r"must be of format 1, got 9; .* another version"):
        open_maps(folder)


def test_own_spectra_are_solved_for_each_class(tmp_path):
    plan = SimulationPlan(nside=16, num_maps=1, spectra="own")
    folder = simulate_maps(plan, tmp_path / "maps", num_workers=0)
    with np.load(folder / "spectra.npz") as file:
        for index in range(2):
            expected = target_spectra(plan, cosmology_index=index)
            assert np.array_equal(file["target"][index], expected)
    expected = lognormal_map(plan, cosmology_index=1, map_index=0)
    assert np.array_equal(open_maps(folder).read(1), expected)


def test_negative_numbers_of_workers_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="num_workers must not be negative, got -1"):
        simulate_maps(PLAN, tmp_path / "maps", num_workers=-1)


def test_map_files_are_the_same_bytes_at_any_time(tmp_path):
    values = np.arange(24, dtype=np.float32).reshape(12, 2)
    for name in ("a.h5", "b.h5"):
        write_map_file(tmp_path / name, values, settings="{}", attributes={"seed": 3})
        time.sleep(1.1 if name == "a.h5" else 0)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert np.array_equal(read_map_file(tmp_path / "a.h5", 2, 5), values[2:5])
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_map_file(tmp_path / "a.h5", values, settings="{}")


def test_without_h5py_the_way_to_install_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"need h5py, .*pip install 'deepsphere-torch\[cosmology"):
        write_map_file(tmp_path / "a.h5", np.zeros((12, 1), np.float32), settings="{}")
