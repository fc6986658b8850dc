"""The digits experiment on a mini recipe: records, rows, resumption, and what is never lost."""

import json
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch

from deepsphere.data import Digits, ImageSplit
from deepsphere.experiments import digits as digits_module
from deepsphere.experiments import digits_report as report_module
from deepsphere.experiments.digits import (
    check_claims,
    experiment_fingerprint,
    result_rows,
    run_digits,
    run_keys,
)
from deepsphere.experiments.digits_config import DataSection, DigitsRecipe
from deepsphere.experiments.digits_data import digest_of_images, load_images
from deepsphere.experiments.digits_record import RunKey, RunRecord, Score
from deepsphere.experiments.digits_report import _errors_by_step
from deepsphere.experiments.digits_run import (
    build_domain,
    build_network,
    run_network,
    sampling_of,
    train_network,
)
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.results import read_results
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.training_record import read_record
from deepsphere.experiments.training_run import check_machine
from deepsphere.training import load, read_metadata, save

CPU = RunOptions(accelerator="cpu")


def record_with(unrotated: float, rotated: float, change: float, seconds: float = 1.0) -> RunRecord:
    return RunRecord(
        fingerprint="f",
        num_parameters=7,
        seconds_training=seconds,
        seconds_scoring=0.0,
        history=[{"epoch": 0, "train_loss": 1.0}],
        unrotated=Score(accuracy=unrotated, confusion=[[1, 0], [0, 1]]),
        rotated=Score(accuracy=rotated, confusion=[[1, 0], [0, 1]]),
        change=change,
    )


def test_rows_read_each_protocol_off_its_training():
    recipe = DigitsRecipe(experiment="digits", title="a", seeds=(0, 1))
    records = {
        RunKey(0, "deepsphere", False): record_with(90.0, 80.0, 0.1),
        RunKey(1, "deepsphere", False): record_with(94.0, 84.0, 0.3),
        RunKey(0, "deepsphere", True): record_with(10.0, 70.0, 0.5),
        RunKey(1, "deepsphere", True): record_with(20.0, 72.0, 0.7),
        RunKey(0, "cnn2d", False): record_with(60.0, 50.0, 1.0),
        RunKey(1, "cnn2d", False): record_with(60.0, 50.0, 1.0),
        RunKey(0, "cnn2d", True): record_with(60.0, 40.0, 1.0),
        RunKey(1, "cnn2d", True): record_with(60.0, 40.0, 1.0),
    }
    rows = {row.name: row for row in result_rows(recipe, records)}
    expected = {
        "DeepSphere, accuracy NR/NR": 92.0,
        "DeepSphere, accuracy R/R": 71.0,
        "DeepSphere, accuracy NR/R": 82.0,
        "DeepSphere, change after NR": 0.2,
        "DeepSphere, change after R": 0.6,
        "DeepSphere, parameters": 7.0,
        "2D CNN, accuracy R/R": 40.0,
    }
    for name, value in expected.items():
        assert rows[name].measured == pytest.approx(value)
    assert rows["DeepSphere, accuracy NR/NR"].spread == pytest.approx(8**0.5)
    assert rows["DeepSphere, accuracy NR/NR"].seconds == 2.0
    assert rows["DeepSphere, parameters"].seconds == 0.0


def test_claim_about_nothing_is_rejected(mini: Path):
    claims = [{"name": "DeepSphere, accuracy", "required": 1.0}]
    recipe = read_recipe(mini, overrides={"claims": claims})
    with pytest.raises(ValueError, match="claims must be about a measured row, got 'DeepSphere, a"):
        check_claims(recipe)


def test_claims_of_the_recipes_are_about_rows():
    for name in ("digits", "mnist", "mnist-full"):
        check_claims(read_recipe(name))


def test_every_seed_trains_both_networks_without_and_with_rotations():
    recipe = DigitsRecipe(experiment="digits", title="a", seeds=(3, 5))
    keys = run_keys(recipe)
    assert len(set(keys)) == len(keys) == 8
    assert len({key.folder for key in keys}) == 8
    assert [key.seed for key in keys] == [3] * 4 + [5] * 4


def test_published_size_of_the_networks():
    recipe = read_recipe("digits")
    sizes = {}
    for network in ("deepsphere", "cnn2d"):
        model = build_network(recipe, build_domain(recipe, network), num_classes=10)
        sizes[network] = sum(parameter.numel() for parameter in model.parameters())
        assert sampling_of(model).num_vertices in (768, recipe.rival.nlat * recipe.rival.nlon)
    assert sizes["deepsphere"] <= 40_000
    assert 0.8 < sizes["cnn2d"] / sizes["deepsphere"] < 1.25


def test_images_keep_the_proportions_of_their_classes():
    digits = load_images(DataSection(num_train=200, num_test=100), None)
    assert np.bincount(digits.train.labels).min() >= 19
    assert np.bincount(digits.test.labels).max() <= 11


@pytest.mark.parametrize(
    ("section", "folder", "message"),
    [
        (DataSection(source="mnist"), None, "data must be a folder with the four MNIST files"),
        (DataSection(), Path("."), "data must be left out for the digits of scikit-learn, got ."),
        (DataSection(num_train=1258), None, "data.num_train must be at most 1257, the images tha"),
    ],
)
def test_data_that_do_not_fit_the_recipe_are_rejected(section, folder, message):
    with pytest.raises(ValueError, match=message):
        load_images(section, folder)


def test_digest_sees_images_and_labels():
    images, labels = np.zeros((2, 3, 3)), np.array([0, 1])
    split = ImageSplit(images, labels, ("a", "b"))
    other = ImageSplit(images, labels[::-1].copy(), ("a", "b"))
    assert digest_of_images(Digits(split, split, "x")) != digest_of_images(
        Digits(split, other, "x")
    )


def test_devices_are_checked():
    with pytest.raises(ValueError, match="devices must be auto, a number of them as 2, or their"):
        RunOptions(devices="-1")


def test_devices_tell_a_number_from_an_index():
    assert RunOptions(devices="2").devices_for_lightning == 2
    assert RunOptions(devices="1,").devices_for_lightning == [1]
    assert RunOptions(devices="auto").devices_for_lightning == "auto"


def test_accelerator_that_is_not_there_is_rejected():
    with pytest.raises(ValueError, match=r"accelerator, devices and precision must be those of .*"):
        check_machine(RunOptions(accelerator="abacus"))


def test_record_of_another_recipe_or_half_written_is_no_record(tmp_path: Path):
    path = tmp_path / "run.json"
    assert read_record(path, "f", RunRecord) is None
    record_with(1.0, 1.0, 1.0).write(path)
    assert read_record(path, "f", RunRecord) == record_with(1.0, 1.0, 1.0)
    assert read_record(path, "g", RunRecord) is None
    path.write_text(path.read_text()[:50])
    assert read_record(path, "f", RunRecord) is None


def test_runs_are_the_same_again_and_only_missing_ones_are_run(mini: Path, tmp_path: Path):
    recipe = read_recipe(mini)
    fingerprint = experiment_fingerprint(recipe, None)
    output = tmp_path / "a"
    arguments = {"fingerprint": fingerprint, "data": None, "options": CPU}
    first = run_digits(recipe, output, **arguments)
    assert list(first) == run_keys(recipe)
    key = RunKey(0, "deepsphere", True)
    folder = output / "runs" / key.folder
    (folder / "run.json").unlink()
    (folder / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes()[:100])
    kept = output / "runs" / RunKey(0, "cnn2d", False).folder / "run.json"
    before = kept.stat().st_mtime_ns
    second = run_digits(recipe, output, **arguments)
    assert kept.stat().st_mtime_ns == before
    for one, other in zip(first.values(), second.values(), strict=True):
        assert (one.unrotated, one.rotated, one.change) == (
            other.unrotated,
            other.rotated,
            other.change,
        )
    metadata = read_metadata(folder / "model.ckpt")
    assert metadata.training["rotated"] is True
    assert metadata.projection["cap_deg"] == 90.0
    assert load(folder / "model.ckpt").spec["model"] == "fcn"


def test_validation_images_are_scored_instead_of_test_images(mini: Path, tmp_path: Path):
    changes = {"data.scored_on": "validation", "data.validation_fraction": 0.5}
    recipe = read_recipe(mini, overrides=changes)
    record = run_network(
        recipe,
        RunKey(0, "deepsphere", rotated=False),
        load_images(recipe.data, None),
        domain=build_domain(recipe, "deepsphere"),
        folder=tmp_path,
        fingerprint="f",
        options=CPU,
    )
    assert np.sum(record.unrotated.confusion) == 30  # half of the training images, not 20
    assert "val_loss" in record.history[-1]


@pytest.mark.slow
def test_reproduce_writes_results_figures_and_report(mini: Path, tmp_path: Path, monkeypatch):
    recipe = read_recipe(mini)
    output = tmp_path / "a"

    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    # interrupted after the trainings, nothing looks finished
    monkeypatch.setattr(report_module, "write_report", stop)
    with pytest.raises(KeyboardInterrupt):
        reproduce(recipe, output, command="deepsphere", options=CPU)
    assert not (output / "results.json").exists()
    monkeypatch.undo()
    # continued, nothing is trained again
    monkeypatch.setattr(digits_module, "run_network", stop)
    outcome = reproduce(recipe, output, command="deepsphere", options=CPU)
    assert read_results(output / "results.json") == outcome.results
    row = next(row for row in outcome.results.rows if row.name == "DeepSphere, parameters")
    assert row.ok is True
    page = (output / "report.html").read_text(encoding="utf-8")
    for heading in ("Results", "Confusion matrices", "Learned filters", "Rotation error per layer"):
        assert heading in page
    assert 'src="http' not in page
    pictures = {path.name for path in (output / "figures").iterdir()}
    assert {"accuracy.png", "digits.png", "graph.png", "rotation-error.png"} <= pictures
    raw = json.loads((output / "results.json").read_text())
    assert raw["recipe"]["graph"]["sampling"] == "healpix:4"
    monkeypatch.undo()
    changed = read_recipe(mini, overrides={"training.epochs": 2})
    with pytest.raises(FileExistsError, match="output must hold the same recipe and data"):
        reproduce(changed, output, command="deepsphere", options=CPU)


def test_report_names_each_layer_of_a_network_once(tmp_path: Path):
    changes = {"graph.sampling": "healpix:4", "graph.num_neighbors": 8, "model.channels": [2, 3, 4]}
    recipe = read_recipe("digits", overrides=changes)
    digits = load_images(DataSection(num_train=60, num_test=20), None)
    names = {}
    for network in ("deepsphere", "cnn2d"):
        key = RunKey(0, network, rotated=False)
        model = build_network(recipe, build_domain(recipe, network), num_classes=10)
        (tmp_path / "runs" / key.folder).mkdir(parents=True)
        save(tmp_path / "runs" / key.folder / "model.ckpt", model)
        names[network] = [name for name, _ in _errors_by_step(tmp_path, recipe, digits, key)]
    assert names["deepsphere"] == [
        *("conv 1", "norm 1", "gelu 1", "pool 1"),
        *("conv 2", "norm 2", "gelu 2", "pool 2"),
        *("conv 3", "norm 3", "upsample 1", "gelu 3"),
        *("mean", "max", "logits"),
    ]
    assert names["cnn2d"] == ["logits"]


@pytest.mark.parametrize("num_threads", [None, 2])
def test_threads_of_the_recipe_are_used_and_put_back(mini: Path, tmp_path: Path, num_threads):
    before = torch.get_num_threads()
    seen = []

    class Watch(lightning.Callback):
        def on_train_start(self, trainer: object, pl_module: object) -> None:
            seen.append(torch.get_num_threads())

    changes = {} if num_threads is None else {"training.num_threads": num_threads}
    recipe = read_recipe(mini, overrides=changes)
    train_network(
        recipe,
        RunKey(0, "deepsphere", rotated=False),
        load_images(recipe.data, None),
        domain=build_domain(recipe, "deepsphere"),
        folder=tmp_path,
        options=CPU,
        callbacks=[Watch()],
    )
    assert seen == [num_threads or before]
    assert torch.get_num_threads() == before


def test_threads_are_put_back_after_a_failure():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), cpu_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_no_threads_are_rejected():
    rule = "num_threads must be at least 1, got 0; use None for any"
    with pytest.raises(ValueError, match=rule), cpu_threads(0):
        pass
