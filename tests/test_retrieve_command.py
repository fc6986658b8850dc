"""The commands `train shapes`, `evaluate` of shapes and `retrieve`, on procedural shapes."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from deepsphere.cli import main
from deepsphere.data import make_procedural_shapes
from deepsphere.experiments import shapes_single
from deepsphere.experiments.shape_retrieval import search_shapes
from deepsphere.experiments.shapes_model import open_part, open_shapes_model
from deepsphere.graph import build_graph
from deepsphere.models import FCN, UNet
from deepsphere.sampling import Healpix
from deepsphere.tasks import rank_by_class, rank_by_descriptor, read_ranked_lists, score_shapes
from deepsphere.training import Metadata, load, read_metadata, read_spec, save

RECIPE = """
experiment = "shapes"
title = "tiny"
[data]
num_per_class = 4
num_views = 2
test_views = 2
validation_fraction = 0.25
test_fraction = 0.5
[training]
epochs = 2
batch_size = 16
num_threads = 1
[[networks]]
name = "DeepSphere, k = 8"
sampling = "healpix:4"
graph = { num_neighbors = 8, weights = "gaussian", num_levels = 2 }
config = { channels = [4, 8], kernel_size = 2 }
[[networks]]
name = "2D CNN"
model = "cnn2d"
sampling = "equiangular:8x16"
config = { channels = [4, 8] }
training = { epochs = 1 }
"""
CLASSES = make_procedural_shapes(num_per_class=1, seed=0).classes


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(recipe: Path) -> Path:
    """The folder of a training."""
    folder = recipe.parent / "trained"
    words = ["train", "shapes", "--recipe", recipe, "--output", folder, "--accelerator", "cpu"]
    assert main([str(word) for word in words]) == 0
    return folder


@pytest.fixture
def error_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The single line on the standard error of a call that must fail as a user's mistake."""

    def call(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line]
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return call


def write_meshes(folder: Path, *, num_per_class: int = 1, seed: int = 5) -> list[Path]:
    """Meshes of some classes, beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shape in make_procedural_shapes(num_per_class=num_per_class, seed=seed).shapes:
        paths.append(folder / f"{shape.name}.off")
        shape.read().export(paths[-1])
    return paths


# training


def test_train_shapes_says_what_to_type_next(recipe, tmp_path, capsys):
    output = tmp_path / "out"
    words = ["train", "shapes", "--recipe", recipe, "--output", output, "--accelerator", "cpu"]
    words += ["--network", "2d-cnn", "--sampling", "equiangular:12x24", "--perturbation", "z"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "train: 12 of 12 shapes projected" in said
    assert "validation: 12 of 12 shapes projected" in said
    # its own number of epochs comes before that of the others
    assert "parameters trained for 1 epochs" in said
    assert f"next:  deepsphere retrieve {output / 'model.ckpt'}" in said
    assert read_spec(output / "model.ckpt")["model"] == "cnn2d"
    training = read_metadata(output / "model.ckpt").training or {}
    assert training["perturbation"] == "z"
    assert training["network"] == {"name": "2D CNN"}
    assert open_shapes_model(output / "model.ckpt").sampling.num_vertices == 12 * 24
    assert main([*map(str, words), "--epochs", "3", "--overwrite"]) == 0
    assert "trained for 3 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "perturbation"),
    [([], "so3"), (["--rotate"], "so3"), (["--no-rotate"], "translation")],
)
def test_rotate_is_short_for_a_perturbation(words, perturbation, recipe, tmp_path):
    output = tmp_path / "out"
    command = ["train", "shapes", "--recipe", recipe, "--output", output, "--accelerator", "cpu"]
    assert main([str(word) for word in [*command, "--epochs", 1, *words]]) == 0
    assert (read_metadata(output / "model.ckpt").training or {})["perturbation"] == perturbation


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "fcn"], "network must be one of 'deepsphere-k-8', '2d-cnn', got 'fcn'"),
        (["--sampling", "healpx:4"], "kind of a sampling must be one of"),
        (["--sampling", "healpix:1"], "num_levels must be at most 1"),
        (["--perturbation", "x"], "--perturbation"),
        (
            ["--perturbation", "z", "--no-rotate"],
            "perturbation and rotate must not both be given, got z and --no-rotate",
        ),
        (["--data", "nowhere"], "nowhere does not exist; give a folder"),
        (["--resume"], "resume must find last.ckpt"),
        (["--recipe", "digits"], "experiment must be shapes here, got 'digits'"),
        (["--set", "data.num_view=2"], "unknown key data.num_view, did you mean data.num_views?"),
    ],
)
def test_bad_words_of_a_training_are_one_line(words, message, recipe, tmp_path, error_of):
    output = tmp_path / "out"
    line = error_of("train", "shapes", "--recipe", recipe, "--output", output, *words)
    assert message in line
    assert not output.exists()


def test_words_of_shapes_are_refused_for_digits(error_of):
    line = error_of("train", "digits", "--perturbation", "z")
    assert "perturbation must be left out for digits, got z; images are classified" in line
    line = error_of("train", "digits", "--network", "esteves")
    assert "network must be one of deepsphere, cnn2d, got 'esteves'" in line


def test_training_is_not_replaced_but_gone_on_with(recipe, trained, error_of):
    words = ["train", "shapes", "--recipe", recipe, "--output", trained, "--accelerator", "cpu"]
    assert "output must be new or empty" in error_of(*words)
    before = load(trained / "model.ckpt").state_dict()
    assert main([str(word) for word in [*words, "--resume"]]) == 0  # nothing is left to do
    after = load(trained / "model.ckpt").state_dict()
    assert all(torch.equal(after[name], values) for name, values in before.items())
    assert "must not both be given" in error_of(*words, "--resume", "--overwrite")


# evaluation


def test_evaluate_scores_the_test_shapes(trained, tmp_path, capsys):
    output = tmp_path / "scores"
    words = ["evaluate", str(trained / "model.ckpt"), "--output", str(output)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "24 of 24 shapes projected" in said
    raw = json.loads((output / "results.json").read_text())
    rows = {row["name"]: row["measured"] for row in raw["rows"]}
    model = open_shapes_model(trained / "model.ckpt")
    shapes, _ = open_part(model, None, "test")
    outputs = model.describe(model.project(shapes))
    right = outputs.logits.argmax(dim=-1).numpy() == shapes.labels[:, None]
    assert rows["accuracy, so3"] == pytest.approx(100 * right.mean())
    assert rows["parameters"] == sum(p.numel() for p in model.model.parameters())
    assert (output / "figures" / "confusion.png").stat().st_size > 1000
    assert main(words) == 2  # results are not replaced
    assert "output must not hold results" in capsys.readouterr().err


def test_every_checkpoint_of_a_training_knows_its_split(trained):
    parts = [
        open_part(open_shapes_model(trained / name), None, "test")[0]
        for name in ("model.ckpt", "best.ckpt", "last.ckpt")
    ]
    names = [[shape.name for shape in part.shapes] for part in parts]
    assert len(names[0]) == 24
    assert names[0] == names[1] == names[2]


def test_evaluate_refuses_other_shapes(trained, tmp_path, error_of):
    for name in ("one", "two"):
        write_meshes(tmp_path / "data" / name)
    line = error_of("evaluate", trained / "model.ckpt", "--data", tmp_path / "data")
    assert "data must hold shapes of the 12 classes of the checkpoint (box, " in line
    assert "got 2 of data (one, two)" in line
    write_meshes(tmp_path / "flat")
    # a folder without classes has none to be tested on
    line = error_of("evaluate", trained / "model.ckpt", "--data", tmp_path / "flat")
    assert "split must be all for a folder without a sub-folder for each class, got test" in line


# retrieval


@pytest.mark.parametrize("by", ["class", "descriptor"])
def test_lists_and_scores_are_those_of_the_outputs(by, trained, tmp_path, capsys):
    output = tmp_path / "found"
    words = ["retrieve", trained / "model.ckpt", "--by", by, "--output", output]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert f"lists:   {output / 'lists' / 'test_perturbed'}" in said
    model = open_shapes_model(trained / "model.ckpt")
    shapes, _ = open_part(model, None, "test")
    outputs = model.describe(model.project(shapes))
    if by == "class":
        expected = rank_by_class(outputs.logits.double().softmax(dim=-1).mean(dim=1).numpy())
    else:
        expected = rank_by_descriptor(outputs.descriptors.double().mean(dim=1).numpy())
    names = [shape.name for shape in shapes.shapes]
    written = read_ranked_lists(output / "lists" / "test_perturbed", names)
    assert np.array_equal(written.items, expected.items)
    raw = json.loads((output / "results.json").read_text())
    rows = {row["name"]: row["measured"] for row in raw["rows"]}
    scores = score_shapes(expected, shapes)
    for average, values in (("micro", scores.micro), ("macro", scores.macro)):
        for name, value in values.items():
            assert rows[f"{name}, {average}"] == pytest.approx(100 * value)
    assert raw["command"].startswith(f"deepsphere retrieve {trained / 'model.ckpt'} --by {by}")


def test_split_perturbation_and_views_are_those_asked_for(trained, tmp_path, capsys):
    output = tmp_path / "found"
    words = ["retrieve", trained / "model.ckpt", "--split", "validation", "--views", 3]
    words += ["--perturbation", "translation", "--output", output]
    assert main([str(word) for word in words]) == 0
    assert "12 shapes of procedural (validation, translation, views: 3)" in capsys.readouterr().out
    assert len(list((output / "lists" / "val_normal").iterdir())) == 12


def test_skipped_shapes_count_as_missing(trained, tmp_path, capsys):
    for label, name in enumerate(CLASSES):
        write_meshes(tmp_path / "all", num_per_class=2, seed=label)
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            source = tmp_path / "all" / f"{name}_000{number}.off"
            source.rename(tmp_path / "data" / name / source.name)
    broken = tmp_path / "data" / CLASSES[0] / f"{CLASSES[0]}_0000.off"
    words = ["retrieve", trained / "model.ckpt", "--data", tmp_path / "data", "--split", "all"]
    words = [str(word) for word in [*words, "--by", "descriptor", "--output"]]
    assert main([*words, str(tmp_path / "whole")]) == 0
    broken.write_text("no mesh at all")
    capsys.readouterr()
    assert main([*words, str(tmp_path / "part")]) == 0
    assert "skipped: " in (said := capsys.readouterr()).err
    assert "23 of 24 shapes projected" in said.out
    recalls = []
    for folder in ("whole", "part"):
        raw = json.loads((tmp_path / folder / "results.json").read_text())
        rows = {row["name"]: row["measured"] for row in raw["rows"]}
        recalls.append(rows["R@N, micro"])
    # every list holds every shape; of the 23 queries one finds one shape of two
    assert recalls == [pytest.approx(100), pytest.approx(100 * (22 + 0.5) / 23)]
    assert not (tmp_path / "part" / "lists" / "all_perturbed" / broken.name).exists()


def test_shapes_of_other_classes_are_ranked_by_descriptor(trained, tmp_path, capsys, error_of):
    for seed, name in enumerate(("left", "right")):
        write_meshes(tmp_path / "data" / name, seed=seed)
    words = ["retrieve", trained / "model.ckpt", "--data", tmp_path / "data", "--split", "all"]
    line = error_of(*words)
    assert "data must hold shapes of the 12 classes" in line
    assert "--by descriptor" in line
    assert main([str(word) for word in [*words, "--by", "descriptor"]]) == 0
    said = capsys.readouterr().out
    assert "mAP, micro" in said
    assert "accuracy" not in said


def test_folder_of_meshes_is_searched_with_a_mesh(trained, tmp_path, capsys):
    meshes = write_meshes(tmp_path / "flat")
    query = tmp_path / "turned.ply"
    mesh = trimesh.load(meshes[3], process=False)
    mesh.apply_scale(7.0)
    mesh.export(query)
    bad = tmp_path / "bad.obj"
    bad.write_text("nothing")
    words = ["retrieve", trained / "model.ckpt", "--data", tmp_path / "flat", "--query", query]
    words += ["--query", bad, "--top", 3, "--perturbation", "none"]
    words += ["--output", tmp_path / "out", "--picture", tmp_path / "out.png"]
    assert main([str(word) for word in words]) == 0
    said, errors = capsys.readouterr()
    assert f"skipped: {bad}" in errors
    assert f"{query}: " in said
    with (tmp_path / "out" / "nearest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    # the same mesh in another size and another file
    assert rows[0]["shape"] == meshes[3].name
    assert float(rows[0]["distance"]) < 1e-3
    assert {row["known"] for row in rows} == {"no"}
    distances = [float(row["distance"]) for row in rows]
    assert distances == sorted(distances)
    assert (tmp_path / "out.png").stat().st_size > 10_000
    assert main([str(word) for word in words]) == 2
    assert "must not exist yet" in capsys.readouterr().err


def test_search_by_class_finds_shapes_of_the_predicted_class(trained, tmp_path, capsys):
    (query, *_) = write_meshes(tmp_path / "flat")
    words = ["retrieve", trained / "model.ckpt", "--query", query, "--by", "class", "--top", 50]
    assert main([str(word) for word in [*words, "--output", tmp_path / "out"]]) == 0
    model = open_shapes_model(trained / "model.ckpt")
    shapes, _ = open_part(model, None, "all")
    mean = model.describe(model.project(shapes)).logits.double().softmax(dim=-1).mean(dim=1)
    predicted = capsys.readouterr().out.split(f"{query}: ")[1].split(" (")[0]
    label = CLASSES.index(predicted)
    members = [i for i in range(len(shapes)) if int(mean[i].argmax()) == label]
    members.sort(key=lambda i: -float(mean[i, label]))
    with (tmp_path / "out" / "nearest.csv").open(newline="") as file:
        found = [row["shape"] for row in csv.DictReader(file)]
    assert found == [shapes.shapes[i].name for i in members]


def test_lists_of_unknown_classes_have_no_scores(trained, tmp_path, capsys, error_of):
    write_meshes(tmp_path / "flat")
    words = ["retrieve", trained / "model.ckpt", "--data", tmp_path / "flat"]
    line = error_of(*words)
    assert "output must be given where classes are unknown, as those of 12 of 12 shapes" in line
    assert main([str(word) for word in [*words, "--output", tmp_path / "out"]]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "No scores: 12 of 12 shapes are of unknown class." in said
    assert len(list((tmp_path / "out" / "lists" / "all_perturbed").iterdir())) == 12
    assert json.loads((tmp_path / "out" / "results.json").read_text())["rows"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--picture", "a.png"], "picture must come with a mesh to search for, got a.png alone"),
        (["--query", "a.txt"], ".off"),
        (["--query", "a.off", "--query", "a.off"], "query must name each mesh once, got a.off"),
        (["--query", "a.off", "--picture", "a.gif"], "picture must end in one of .png, .svg, .pdf"),
        (["--query", "a.off", "--top", "0"], "--top"),
        (["--split", "half"], "--split"),
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--perturbation", "none", "--views", "2"], "views must be 1 unless shapes are moved"),
        (["--set", "a=1"], "No such option"),
    ],
)
def test_bad_words_of_a_retrieval_are_one_line(words, message, trained, tmp_path, error_of):
    assert message in error_of("retrieve", trained / "model.ckpt", *words)


def test_split_without_shapes_is_refused(recipe, tmp_path, error_of):
    output = tmp_path / "out"
    words = ["train", "shapes", "--recipe", recipe, "--output", output, "--accelerator", "cpu"]
    words += ["--set", "data.validation_fraction=0", "--epochs", 1]
    assert main([str(word) for word in words]) == 0
    line = error_of("retrieve", output / "model.ckpt", "--split", "validation")
    assert "got validation, which is empty; choose train or test" in line


def make_digits_model() -> FCN:
    pyramid = build_graph(Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    return FCN(pyramid, in_channels=1, out_channels=10, channels=(2, 3), kernel_size=2)


def test_checkpoint_of_digits_is_refused(tmp_path, error_of):
    path = tmp_path / "model.ckpt"
    save(path, make_digits_model(), metadata=Metadata(class_names=tuple("0123456789")))
    line = error_of("retrieve", path)
    assert "checkpoint must hold a classifier of shapes, got one of 0, 1, 2, 3, ..." in line
    assert "train one with deepsphere train shapes" in line


def test_model_without_descriptors_is_refused(tmp_path, error_of):
    pyramid = build_graph(Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    model = UNet(pyramid, in_channels=6, out_channels=2, channels=(2, 3), kernel_size=2)
    path = tmp_path / "model.ckpt"
    scaling = {"kind": "channels", "mean": [0.0] * 6, "deviation": [1.0] * 6}
    metadata = Metadata(class_names=("a", "b"), projection={"kind": "rays"}, normalization=scaling)
    save(path, model, metadata=metadata)
    line = error_of("retrieve", path)
    assert "checkpoint must hold a classifier with descriptors, got UNet" in line


def test_impossible_arguments_of_functions_are_refused(trained, unchecked):
    with pytest.raises(ValueError, match="top must be at least 1, got 0"):
        search_shapes(trained / "model.ckpt", [Path("a.off")], num_nearest=0)
    wrong: Any = "half"
    with pytest.raises(ValueError, match="split must be one of train, validation, test, all, got"):
        open_part(open_shapes_model(trained / "model.ckpt"), None, wrong)


def test_evaluation_needs_known_classes(trained, monkeypatch, error_of):
    """As of the test shapes of SHREC'17, whose labels are not with them."""
    model = open_shapes_model(trained / "model.ckpt")
    shapes, _ = open_part(model, None, "test")
    unknown = replace(shapes, shapes=tuple(replace(shape, label=None) for shape in shapes.shapes))
    monkeypatch.setattr(shapes_single, "open_part", lambda *arguments: (unknown, "test"))
    line = error_of("evaluate", trained / "model.ckpt")
    assert "data must hold test shapes of known class, got 24 of 24 without one" in line


def test_checkpoint_of_other_shapes_asks_for_its_data(tmp_path, error_of):
    path, names = tmp_path / "model.ckpt", tuple("abcdefghij")
    scaling = {"kind": "channels", "mean": [0.0], "deviation": [1.0]}
    metadata = Metadata(class_names=names, projection={"kind": "rays"}, normalization=scaling)
    save(path, make_digits_model(), metadata=metadata)
    line = error_of("retrieve", path)
    assert "data must be given for a classifier of a, b, c, d, ..., got none" in line
    assert open_shapes_model(path).notes[0].startswith("The checkpoint does not say how its data")


def test_predictions_of_projected_meshes_are_those_of_the_model(trained, tmp_path):
    """`project`, then `predict`: signals are scaled as in training."""
    (mesh, *_) = write_meshes(tmp_path / "flat")
    signals, target = tmp_path / "signals.npz", tmp_path / "predictions.npz"
    sampling = "healpix:4"
    assert main(["project", str(mesh), "--sampling", sampling, "--output", str(signals)]) == 0
    assert main(["predict", str(trained / "model.ckpt"), str(signals), str(target)]) == 0
    model = open_shapes_model(trained / "model.ckpt")
    shapes, _ = open_part(model, mesh.parent, "all")
    expected = model.describe(model.project(shapes, perturbation="none")).logits[0]
    with np.load(target) as content:
        np.testing.assert_allclose(content["predictions"], expected.numpy(), rtol=1e-4, atol=1e-4)
