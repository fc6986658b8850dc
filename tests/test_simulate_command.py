"""The commands `simulate` and `prepare`: from words to folders of maps."""

import numpy as np
import pytest

from deepsphere.cli import main
from deepsphere.data.cosmologies import Cosmology, draw_cosmologies
from deepsphere.data.map_sets import open_maps
from deepsphere.data.simulated_maps import read_plan
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.experiments.map_simulation import mean_spectrum, simulate_folder
from deepsphere.sampling import Healpix

pytest.importorskip("glass")
healpy = pytest.importorskip("healpy")


def run(*words: object) -> int:
    return main(["simulate", "cosmology", *(str(word) for word in words)])


def test_maps_and_picture_are_written_and_described(tmp_path, capsys):
    out, picture = tmp_path / "maps", tmp_path / "maps.png"
    words = ["--nside", 16, "--num-maps", 2, "--zoom", "--contrast", 3, "--seed", 4]
    assert run(*words, "--out", out, "--picture", picture) == 0
    plan = SimulationPlan(nside=16, num_maps=2, scale="zoom", contrast=3.0, seed=4)
    assert read_plan(out) == plan
    assert len(open_maps(out)) == 4
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "4 maps of 2 classes, 0." in said
    assert "note: zoomed 64 times: not a physical sky" in said
    assert "note: shifts stretched to a ratio of 3: not physical" in said
    assert f"written to {out} and {picture}" in said
    # the same words again: all is there
    assert run(*words, "--out", out) == 0
    assert run(*words, "--out", out, "--picture", picture) == 2
    assert "must not exist yet" in capsys.readouterr().err
    assert run(*words, "--out", out, "--seed", 5) == 2
    assert "seed 4 instead of 5); choose another folder" in capsys.readouterr().err
    assert run(*words, "--out", out, "--seed", 5, "--overwrite") == 0
    assert read_plan(out).seed == 5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--scale", "zoom"], {"scale": "zoom"}),
        (["--shifts", "0.04,0.02"], {"shifts": (0.04, 0.02)}),
        (["--spectra", "own", "--beam-arcmin", "0"], {"spectra": "own", "beam_arcmin": 0.0}),
        (
            ["--cosmology", "0.3:0.8", "--cosmology", "0.2:1", "--redshift", "0.5", "--redshift=1"],
            {
                "cosmologies": (Cosmology(0.3, 0.8), Cosmology(0.2, 1.0)),
                "redshifts": (0.5, 1.0),
            },
        ),
        (
            ["--prior", "0.2:0.4,0.7:0.9", "--num-cosmologies", "3", "--seed", "2"],
            {
                "cosmologies": draw_cosmologies(3, omega_m=(0.2, 0.4), sigma_8=(0.7, 0.9), seed=2),
                "spectra": "own",
                "seed": 2,
            },
        ),
    ],
)
def test_words_make_the_plan(words, expected, tmp_path, monkeypatch):
    plans = []

    def pretend(plan, folder, **options):
        plans.append((plan, folder))
        return simulate_folder(SimulationPlan(nside=8, num_maps=1), folder)

    monkeypatch.setattr("deepsphere.experiments.map_simulation.simulate_folder", pretend)
    assert run("--nside", 32, "--num-maps", 5, "-o", tmp_path / "maps", *words) == 0
    assert plans == [(SimulationPlan(nside=32, num_maps=5, **expected), tmp_path / "maps")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nside", 20], "nside must be a power of two from 2 to 8192, got 20"),
        (["--nside", 8, "--cosmology", "0.3"], "--cosmology must be OMEGA_M:SIGMA_8, got '0.3'"),
        (["--nside", 8, "--cosmology", "a:b"], "--cosmology must be numbers with ':' between"),
        (
            ["--nside", 8, "--shifts", "a"],
            "--shifts must be numbers with ',' between them, got 'a'",
        ),
        (
            ["--nside", 8, "--prior", "0.2:0.4"],
            "--prior must be two ranges, of omega_m and sigma_8",
        ),
        (["--nside", 8, "--num-cosmologies", 3], "--num-cosmologies must come with --prior"),
        (
            ["--nside", 8, "--prior", "0.2:0.4,0.7:0.9", "--cosmology", "0.3:0.8"],
            "--prior must come without --cosmology",
        ),
        (["--nside", 8, "--picture", "maps.gif"], "picture must end in one of .png, .svg, .pdf"),
    ],
)
def test_words_that_make_no_sense_are_one_line(words, message, tmp_path, capsys):
    assert run("--out", tmp_path / "maps", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "maps").exists()


def test_published_maps_are_prepared(tmp_path, capsys):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    points = Healpix(16, ordering="ring").points
    for word in ("0p26", "0p31"):
        np.save(source / f"kappa_{word}.npy", points[:, 2])
    words = ["prepare", "cosmology", str(source), "--out", str(out), "--nside", "8"]
    assert main(words) == 0
    assert "2 maps prepared" in capsys.readouterr().out
    assert open_maps(out).class_names == ("0p26", "0p31")
    assert main([*words, "--beam-arcmin", "9"]) == 2
    assert "must be empty or hold the same maps" in capsys.readouterr().err


def test_measured_spectrum_is_the_mean(tmp_path):
    plan = SimulationPlan(nside=8, num_maps=2)
    simulate_folder(plan, tmp_path / "maps")
    maps = open_maps(tmp_path / "maps")
    ring = Healpix(8)
    expected = sum(
        healpy.anafast(ring.reorder(maps.read(index).astype(np.float64), "ring")[:, 0]) / 2
        for index in (0, 1)
    )
    np.testing.assert_allclose(mean_spectrum(maps, np.array([0, 1])), expected, rtol=1e-12)
