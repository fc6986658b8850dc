"""The command `project`: from files of meshes to files that other commands read."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from deepsphere.cli import main
from deepsphere.data import read_signals
from deepsphere.data.mesh_cleaning import normalize_mesh, scale_mesh
from deepsphere.data.mesh_signals import CHANNELS, mesh_signals
from deepsphere.data.meshes import read_mesh
from deepsphere.sampling import Healpix, sampling_from_spec


@pytest.fixture
def meshes(tmp_path) -> list[Path]:
    solids = {"box.off": trimesh.creation.box(), "cone.ply": trimesh.creation.cone(1, 2)}
    for name, mesh in solids.items():
        mesh.export(tmp_path / name)
    return [tmp_path / name for name in solids]


def run(*words: object) -> int:
    return main(["project", *(str(word) for word in words)])


def test_signals_of_several_meshes_are_written_and_read_again(meshes, tmp_path, capsys):
    target = tmp_path / "signals.npz"
    assert run(*meshes, "--sampling", "healpix:nside=4,ordering=ring", "--output", target) == 0
    file = read_signals(target)
    assert file.signals.shape == (2, 192, 6)
    assert file.ordering == "ring"
    assert file.sampling is not None
    points = sampling_from_spec(file.sampling).points
    mesh = scale_mesh(normalize_mesh(read_mesh(meshes[1])), radius=0.99)
    expected = mesh_signals(mesh, points).values
    assert (np.abs(file.signals[1] - expected) < 1e-5).mean() > 0.99
    with np.load(target) as content:
        assert content["channels"].tolist() == list(CHANNELS)
        assert content["meshes"].tolist() == [str(path) for path in meshes]
    said = capsys.readouterr().out
    assert "2 of 2 shapes projected" in said
    assert f"written to {target}" in said
    assert main(["plot", str(target), str(tmp_path / "map.png"), "--channel", "1"]) == 0


def test_views_are_turned_by_the_seed(meshes, tmp_path):
    def signals(name, *words):
        assert run(meshes[0], "--sampling", "fibonacci:50", "-o", tmp_path / name, *words) == 0
        return read_signals(tmp_path / name).signals

    first = signals("a.npy", "--rotate", 3, "--views", 2)
    again = signals("b.npy", "--rotate", 3, "--views", 2)
    other = signals("c.npy", "--rotate", 4)
    assert first.shape == (2, 50, 6)
    assert np.array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 0.01
    assert np.abs(first[0] - other[0]).max() > 0.01


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture_is_drawn_of_the_pose_that_was_cast(suffix, meshes, tmp_path, monkeypatch):
    from deepsphere.plotting import meshes as pictures

    drawn = []
    plot = pictures.plot_mesh_signals

    def keep(mesh, values, sampling, **options):
        drawn.append((mesh, values, sampling))
        return plot(mesh, values, sampling, num_rows=40, **options)

    monkeypatch.setattr(pictures, "plot_mesh_signals", keep)
    picture = tmp_path / f"box{suffix}"
    words = ("--sampling", "healpix:4", "--rotate", 1, "--picture", picture)
    assert run(meshes[0], "-o", tmp_path / "box.npz", *words) == 0
    assert picture.stat().st_size > 10_000
    ((mesh, values, sampling),) = drawn
    expected = mesh_signals(mesh, Healpix(nside=4).points).values
    assert (np.abs(values - expected) < 1e-5).mean() > 0.99
    assert sampling == Healpix(nside=4)


def test_broken_file_among_others_is_skipped_and_named(meshes, tmp_path, capsys):
    broken = tmp_path / "empty.obj"
    broken.write_text("")
    target = tmp_path / "signals.npy"
    assert run(*meshes, broken, "--sampling", "healpix:2", "-o", target) == 0
    assert read_signals(target).signals.shape == (2, 48, 6)
    said = capsys.readouterr()
    assert said.err == (
        f"skipped: {broken} must hold a mesh, got an empty file; download or export it again\n"
    )
    assert "2 of 3 shapes projected" in said.out
    assert "1 shape skipped" in said.out


MISTAKES = {
    "empty file": (("empty.obj", "-o", "s.npz"), "got an empty file"),
    "no file": (("none.obj", "-o", "s.npz"), "No such file"),
    "no mesh": (("s.glb", "-o", "s.npz"), "must end in one of .obj, .off, .ply, .stl"),
    "no output": (("box.off",), "Missing option '--output'"),
    "suffix": (("box.off", "-o", "s.txt"), "output must end in one of .npz, .npy, got s.txt"),
    "picture": (
        ("box.off", "-o", "s.npz", "--picture", "s.gif"),
        "picture must end in one of .png, .svg, .pdf, got s.gif",
    ),
    "views": (("box.off", "-o", "s.npz", "--views", "2"), "views must be 1 unless meshes are rot"),
    "twice": (("box.off", "box.off", "-o", "s.npz"), "must be named once, got box.off twice"),
    "sampling": (("box.off", "-o", "s.npz", "--sampling", "cube:3"), "kind of a sampling must be"),
    "there": (("box.off", "-o", "there.npz"), "there.npz must not exist yet"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_one_line_and_writes_nothing(mistake, meshes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.obj").write_text("")
    (tmp_path / "there.npz").write_text("keep")
    words, reason = MISTAKES[mistake]
    assert run(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert reason in line
    assert not (tmp_path / "s.npz").exists()
    assert (tmp_path / "there.npz").read_text() == "keep"
