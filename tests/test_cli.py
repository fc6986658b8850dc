"""The command: what it answers, and that a mistake of the user is one line and status 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from deepsphere import native
from deepsphere.cli import _show_warning, main
from deepsphere.cli.options import parse_changes
from deepsphere.graph import build_graph
from deepsphere.models import FCN
from deepsphere.sampling import Healpix
from deepsphere.training import Metadata, save

MINI = """
experiment = "digits"
title = "mini"
[data]
num_train = 60
num_test = 20
test_rotations = 1
[graph]
sampling = "healpix:4"
num_neighbors = 8
[model]
channels = [2, 3]
kernel_size = 2
[training]
epochs = 2
"""
DIGIT_NAMES = tuple("0123456789")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A classifier of digits on HEALPix, nside 4, in NESTED order, that has learned nothing."""
    pyramid = build_graph(Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    model = FCN(pyramid, in_channels=1, out_channels=10, channels=(2, 3), kernel_size=2)
    path = tmp_path / "model.ckpt"
    save(path, model, metadata=Metadata(class_names=DIGIT_NAMES))
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The file of a recipe that takes a second."""
    path = tmp_path / "mini.toml"
    path.write_text(MINI, encoding="utf-8")
    return path


def write_signals(path: Path, *shape: int) -> Path:
    np.save(path, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    return path


def error_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The single line on the standard error of a call that must fail as a user's mistake."""
    status = main([str(word) for word in words])
    output, errors = capsys.readouterr()
    assert status == 2, errors
    lines = errors.strip().splitlines()
    assert len(lines) == 1, errors
    assert lines[0].startswith("error: ")
    assert "Traceback" not in output + errors
    return lines[0]


# what it answers


def test_help_names_every_command(capsys):
    assert main([]) == 0
    output = capsys.readouterr().out
    for word in (
        "demo",
        "reproduce",
        "equivariance",
        "train",
        "evaluate",
        "predict",
        "plot",
        "project",
        "retrieve",
        "list",
        "info",
    ):
        assert word in output


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("deepsphere 0.")


def test_list_shows_what_can_be_named(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for name in ("healpix", "icosahedral", "fcn", "shrec17", "mnist-full"):
        assert name in output


def test_info_counts_vertices_and_edges(capsys):
    assert main(["info", "healpix:2", "--num-neighbors", "8"]) == 0
    output = capsys.readouterr().out
    graph = build_graph(Healpix(nside=2), num_neighbors=8)
    assert "48" in output
    assert f"{graph.num_edges}; " in output
    assert f"{graph.lambda_max:.6g}" in output


def test_info_says_that_there_is_no_coarser_level(capsys):
    assert main(["info", "healpix:1"]) == 0
    assert "none: nside must be a power of two" in capsys.readouterr().out


def test_doctor_shows_versions_and_extras(capsys):
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert torch.__version__ in output
    assert "cosmology" in output


def test_doctor_tells_the_state_of_the_compiled_kernels(capsys, monkeypatch):
    native.library._load.cache_clear()
    assert main(["doctor"]) == 0
    described = native.describe_kernels()
    output = " ".join(capsys.readouterr().out.split())
    assert "compiled kernels state " in output
    assert described.get("instruction set", "none: ") in output
    monkeypatch.setenv("DEEPSPHERE_LIBRARY", "off")
    native.library._load.cache_clear()
    assert main(["doctor"]) == 0
    native.library._load.cache_clear()
    assert "none: switched off by DEEPSPHERE_LIBRARY=off" in " ".join(
        capsys.readouterr().out.split()
    )


def test_predict_maps_a_file_to_a_file(checkpoint, tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 3, 192, 1)
    target = tmp_path / "predictions.npz"
    assert main(["predict", str(checkpoint), str(source), str(target)]) == 0
    written = np.load(target)
    assert written["predictions"].shape == (3, 10)
    assert list(written["class_names"]) == list(DIGIT_NAMES)


def test_predict_converts_the_ordering_that_it_is_told(checkpoint, tmp_path, capsys):
    signals = np.random.default_rng(0).normal(size=(2, 192, 1)).astype(np.float32)
    np.save(tmp_path / "nested.npy", signals)
    np.save(tmp_path / "ring.npy", Healpix(nside=4).reorder(signals, to="ring"))
    predictions = {}
    for ordering in ("nested", "ring"):
        source, target = tmp_path / f"{ordering}.npy", tmp_path / f"out-{ordering}.npy"
        words = ["predict", str(checkpoint), str(source), str(target), "--ordering", ordering]
        assert main(words) == 0
        predictions[ordering] = np.load(target)
    np.testing.assert_allclose(predictions["ring"], predictions["nested"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_plot_draws_a_map_or_a_globe(suffix, tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 1, 48, 2)
    target = tmp_path / f"picture{suffix}"
    words = ["plot", str(source), str(target), "--sampling", "healpix:2", "--channel", "1"]
    assert main(words) == 0
    assert target.stat().st_size > 5000


def test_train_evaluate_and_resume(recipe, tmp_path, capsys):
    output = tmp_path / "trained"
    words = ["train", "digits", "--recipe", str(recipe), "--output", str(output)]
    words += ["--accelerator", "cpu"]
    assert main(words) == 0
    assert "next:  deepsphere evaluate" in capsys.readouterr().out
    assert "got" in error_of(capsys, *words)  # not twice into the same folder
    assert main([*words, "--resume"]) == 0  # there is nothing left to do
    capsys.readouterr()
    scores = tmp_path / "scores"
    words = ["evaluate", str(output / "model.ckpt"), "--output", str(scores)]
    assert main(words) == 0
    assert "accuracy R/R" in capsys.readouterr().out
    raw = json.loads((scores / "results.json").read_text())
    assert raw["command"] == f"deepsphere evaluate {output / 'model.ckpt'} --output {scores}"
    assert "output must not hold results" in error_of(capsys, *words)


def test_changes_are_values_of_toml():
    assert parse_changes(["a.b=[1, 2]", "c=x:1"]) == {"a.b": [1, 2], "c": "x:1"}
    with pytest.raises(ValueError, match="--set must be KEY=VALUE, got 'a'"):
        parse_changes(["a"])


# mistakes of the user


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'; see  deepsphere --help"),
        (["demo", "--quik"], "No such option: --quik"),
        (["reproduce"], "NAME"),
        (["reproduce", "digit"], "'digit', did you mean digits?; recipes: "),
        (
            ["train", "blocks"],
            "experiment must be one of digits, shapes, cosmology, climate, weather, stations, got",
        ),
        (["train", "digits", "--epochs", "0"], "--epochs"),
        (["train", "digits", "--precision", "8"], "--precision"),
        (["train", "digits", "--devices", "x"], "devices must be auto, a number of them"),
        (["train", "digits", "--seed", "-1"], "--seed"),
        (
            ["train", "digits", "--set", "training.epoch=3"],
            "unknown key training.epoch, did you mean training.epochs?",
        ),
        (["train", "digits", "--sampling", "healpx:8"], "kind of a sampling must be one of"),
        (
            ["train", "digits", "--sampling", "healpix:3"],
            "nside must be a power of two",
        ),
        (["train", "digits", "--sampling", "healpix:1"], "num_neighbors must be"),
        (["info", "healpix:0"], "nside must be"),
        (["reproduce", "mnist"], "data must be a folder with the four MNIST files, got none"),
        (["reproduce", "mnist", "--data", "nowhere"], "got nowhere, which does not exist"),
        (["evaluate", "nothing.ckpt"], "got nothing.ckpt, which is not a file"),
        (["plot", "nothing.npy", "a.png"], "got nothing.npy, which is not there"),
    ],
)
def test_bad_words_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = error_of(capsys, *words)
    assert " ".join(message.split()) in line


def test_recipe_with_a_typo_is_one_line(recipe, capsys, tmp_path):
    recipe.write_text(MINI.replace("epochs", "epoch"))
    line = error_of(capsys, "reproduce", recipe, "--output", tmp_path / "a")
    assert "mini.toml: unknown key training.epoch, did you mean training.epochs?" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 48, 1)), "signals must have 192 vertices"),
        (np.zeros((2, 192, 3)), "signals must have 1 channels"),
        (np.full((1, 192, 1), np.nan), "must be finite, got 192 NaN and 0 infinite of 192 values"),
        (np.full((1, 192, 1), np.inf), "must be finite, got 0 NaN and 192 infinite of 192 values"),
    ],
)
def test_bad_signals_are_one_line(content, message, checkpoint, tmp_path, capsys):
    source = tmp_path / "signals.npy"
    np.save(source, content.astype(np.float32))
    target = tmp_path / "a.npz"
    assert message in error_of(capsys, "predict", checkpoint, source, target)
    assert not target.exists()


def test_ring_signals_for_a_nested_model_are_one_line(checkpoint, tmp_path, capsys):
    source, target = tmp_path / "signals.npz", tmp_path / "a.npz"
    np.savez(source, signals=np.zeros((1, 192, 1), np.float32), ordering="ring")
    words = ["predict", checkpoint, source, target]
    line = error_of(capsys, *words)
    assert "must be in NESTED order" in line
    assert "got RING" in line
    assert "--reorder" in line
    line = error_of(capsys, *words, "--ordering", "nested")
    assert "ordering must be the one that" in line
    assert main([*map(str, words), "--reorder"]) == 0


def test_damaged_checkpoint_is_one_line(checkpoint, tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 1, 192, 1)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    line = error_of(capsys, "predict", checkpoint, source, tmp_path / "a.npz")
    assert "must be a complete checkpoint, got 1000 bytes" in line


def test_checkpoint_of_another_version_is_one_line(checkpoint, tmp_path, capsys):
    content = torch.load(checkpoint, weights_only=True)
    content["deepsphere"]["format"] = 99
    torch.save(content, checkpoint)
    assert "format 99" in error_of(capsys, "evaluate", checkpoint)


def test_checkpoint_of_another_task_is_one_line(checkpoint, tmp_path, capsys):
    content = torch.load(checkpoint, weights_only=True)
    content["deepsphere"]["class_names"] = ["sea", "land"]
    torch.save(content, checkpoint)
    line = error_of(capsys, "evaluate", checkpoint)
    assert "checkpoint must hold a classifier of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, got one of" in line


def test_existing_files_are_kept(checkpoint, tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 1, 192, 1)
    predictions, picture = tmp_path / "a.npz", tmp_path / "a.png"
    for target, words in (
        (predictions, ["predict", checkpoint, source, predictions]),
        (picture, ["plot", source, picture, "--sampling", "healpix:4"]),
    ):
        target.write_text("mine")
        assert "must not exist yet" in error_of(capsys, *words)
        assert target.read_text() == "mine"
        assert main([*map(str, words), "--overwrite"]) == 0
        assert target.read_bytes() != b"mine"


def test_folder_of_something_else_is_kept(recipe, tmp_path, capsys):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    for words in (["reproduce", recipe], ["train", "digits", "--recipe", recipe]):
        line = error_of(capsys, *words, "--accelerator", "cpu", "--output", folder)
        assert "output must be new" in line
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_failed_check_does_not_remove_a_trained_model(recipe, tmp_path, capsys):
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "model.ckpt").write_text("mine")
    words = ["train", "digits", "--recipe", recipe, "--output", folder, "--overwrite"]
    error_of(capsys, *words, "--accelerator", "abacus")
    assert (folder / "model.ckpt").read_text() == "mine"


def test_resume_needs_something_to_resume(recipe, tmp_path, capsys):
    words = ["train", "digits", "--recipe", recipe, "--output", tmp_path / "a", "--resume"]
    assert "resume must find last.ckpt in the output folder" in error_of(capsys, *words)
    line = error_of(capsys, *words, "--overwrite")
    assert "resume and overwrite must not both be given" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "sampling must be given, got none"),
        (["--sampling", "healpix:4"], "sampling must have the 48 vertices of"),
        (["--sampling", "healpix:2", "--index", "1"], "index must be between 0 and 0, got 1"),
        (["--sampling", "healpix:2", "--channel", "2"], "channel must be between 0 and 1, got 2"),
        (["--sampling", "fibonacci:48", "--ordering", "ring"], "only HEALPix has orderings"),
    ],
)
def test_bad_plots_are_one_line(words, message, tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 1, 48, 2)
    assert message in error_of(capsys, "plot", source, tmp_path / "a.png", *words)


def test_picture_of_unknown_kind_is_one_line(tmp_path, capsys):
    source = write_signals(tmp_path / "signals.npy", 1, 48, 2)
    line = error_of(capsys, "plot", source, tmp_path / "a.bmp", "--sampling", "healpix:2")
    assert "output must end in one of .png, .svg, .pdf, .gif, .mp4, .html, got a.bmp" in line


# how it ends


def test_debug_shows_where_it_was_raised(tmp_path):
    with pytest.raises(FileNotFoundError, match="recipe must be a name"):
        main(["reproduce", "digit", "--debug"])


def test_fault_of_ours_is_not_hidden(monkeypatch):
    from deepsphere.experiments import catalog

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(catalog, "describe_sampling", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["info", "healpix:1"])


@pytest.mark.parametrize("as_lightning_does", [False, True])
def test_interruption_is_status_130(monkeypatch, capsys, as_lightning_does):
    from deepsphere.experiments import catalog

    def interrupt(*arguments: object, **options: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            if as_lightning_does:
                sys.exit(1)
            raise

    monkeypatch.setattr(catalog, "describe_sampling", interrupt)
    assert main(["info", "healpix:1"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_missing_extra_is_one_line():
    """In a process of its own, in which typer cannot be imported."""
    program = (
        "import sys; sys.modules['typer'] = None\n"
        "from deepsphere.cli import main; sys.exit(main(['demo']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr == (
        "error: the command needs the package typer, which is not installed; install it with "
        'pip install "deepsphere-torch[train,plot]"\n'
    )


def test_warning_is_one_line(capsys):
    _show_warning(UserWarning("the file is old;\n   it is made again"), UserWarning, "a.py", 1)
    assert capsys.readouterr().err == "warning: the file is old; it is made again\n"


def test_reproduce_measures_a_graph_experiment(tmp_path, capsys):
    recipe = tmp_path / "widths.toml"
    recipe.write_text(
        'experiment = "kernel-widths"\ntitle = "mini"\nsamplings = ["healpix:2"]\n'
        'num_neighbors = [8]\nobjectives = ["log"]\n',
        encoding="utf-8",
    )
    assert main(["reproduce", str(recipe), "--output", str(tmp_path / "out")]) == 0
    assert "healpix:2, deviation of the rule" in " ".join(capsys.readouterr().out.split())
    for name in ("results.json", "numbers.json", "report.html", "figures/kernel-widths.png"):
        assert (tmp_path / "out" / name).is_file()
    error = error_of(capsys, "reproduce", recipe, "--data", tmp_path, "--output", tmp_path / "b")
    assert "data must not be given for kernel-widths" in error
    assert not (tmp_path / "b").exists()
    error = error_of(capsys, "train", "digits", "--recipe", recipe)
    assert "experiment must be digits here, got 'kernel-widths'" in error


def test_help_does_not_wait_for_torch():
    """Nothing that takes seconds is imported before a command is chosen."""
    program = (
        "import sys\n"
        "from deepsphere.cli import main\n"
        "main(['--help'])\n"
        "sys.exit(int(bool({'torch', 'numpy', 'lightning', 'matplotlib'} & set(sys.modules))))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("before", "after"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_user_says_otherwise(before, after):
    """Set in the process of the command alone, and before torch reads it."""
    program = (
        "import os, sys\n"
        "from deepsphere.cli import main\n"
        "sys.argv = ['deepsphere', '--version']\n"
        "main()\n"
        "assert 'torch' not in sys.modules\n"
        "print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    if before is not None:
        environment["OMP_WAIT_POLICY"] = before
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert result.stdout.splitlines()[-1] == after
