"""The experiment on 3D shapes on a tiny recipe: resumption, rows, costs, report."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data import make_procedural_shapes, project_shapes
from deepsphere.data.shape_sources import MeshArrays
from deepsphere.data.shapes import Shape, ShapeSet
from deepsphere.experiments import shapes as shapes_module
from deepsphere.experiments import shapes_report
from deepsphere.experiments.network_costs import NetworkCosts, TableCosts
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.shapes import (
    check_run,
    experiment_fingerprint,
    run_keys,
)
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    ShapesRecipe,
    perturbations_of,
)
from deepsphere.experiments.shapes_costs import measure_shapes_costs
from deepsphere.experiments.shapes_record import ShapesKey, ShapesRecord, ShapesScore
from deepsphere.experiments.shapes_rows import ShapesMeasured, result_notes, result_rows, row_names
from deepsphere.experiments.shapes_run import build_domain, build_network, change_between_views
from deepsphere.experiments.shapes_scores import rank_outputs, score_outputs
from deepsphere.experiments.training_record import training_fingerprint
from deepsphere.models import num_parameters
from deepsphere.sampling import Healpix
from deepsphere.training import ShapeOutputs, read_metadata

CPU = RunOptions(accelerator="cpu")
OURS: dict[str, Any] = {
    "name": "DeepSphere",
    "sampling": "healpix:4",
    "graph": {"weights": "gaussian", "num_neighbors": 8, "num_levels": 2},
    "config": {"channels": [4, 8], "kernel_size": 2},
    "protocols": ["so3/so3", "z/so3"],
}
RIVAL: dict[str, Any] = {
    "name": "2D CNN",
    "model": "cnn2d",
    "sampling": "equiangular:8x16",
    "config": {"channels": [4, 8]},
    "training": {"learning_rate": 0.01},
}
MINI: dict[str, Any] = {
    "experiment": "shapes",
    "title": "mini",
    "seeds": [0],
    "data": {
        "num_per_class": 3,
        "validation_fraction": 0.34,
        "test_fraction": 0.34,
        "num_views": 2,
    },
    "training": {"epochs": 1, "num_threads": 1},
    "networks": [OURS, RIVAL],
}


def mini(**changes: object) -> ShapesRecipe:
    return ShapesRecipe.model_validate({**MINI, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment, with its report."""
    output = tmp_path_factory.mktemp("shapes") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes_report, "_NUM_PICTURES", 1)  # each takes seconds
        reproduce(mini(), output, command="c", options=CPU)
    return output


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished experiment that may be changed; no report from now on."""
    monkeypatch.setattr(shapes_report, "write_report", lambda output, *_, **__: output / "none")
    reproduce(mini(), tmp_path / "out", command="c", options=CPU)
    return tmp_path / "out"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of trainings that are run from now on."""
    names: list[str] = []
    run_network = shapes_module.run_network

    def note(recipe: ShapesRecipe, key: ShapesKey, *arguments: Any, **options: Any) -> ShapesRecord:
        names.append(key.folder)
        return run_network(recipe, key, *arguments, **options)

    monkeypatch.setattr(shapes_module, "run_network", note)
    return names


def measures(output: Path) -> dict[str, float]:
    raw = json.loads((output / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["measured"] for row in raw["rows"]}


# what is run


def test_trainings_are_one_for_each_network_and_way_of_turning_in_training():
    keys = run_keys(mini(seeds=[0, 5]))
    assert [key.folder for key in keys] == [
        f"{name}-seed{seed}"
        for seed in (0, 5)
        for name in ("deepsphere-so3", "deepsphere-z", "2d-cnn-so3")
    ]
    assert keys[1].title == "DeepSphere, z, seed 0"


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("x/x", ("translation", "translation")),
        ("z/z", ("z", "z")),
        ("z/so3", ("z", "so3")),
        ("so3/so3", ("so3", "so3")),
    ],
)
def test_protocol_says_how_shapes_are_moved(protocol, expected):
    assert perturbations_of(protocol) == expected


def test_experiment_writes_rows_and_a_report_with_the_table(finished):
    found = measures(finished)
    assert list(found) == [name for name, _ in row_names(mini())]
    for name in ("DeepSphere, F1 SO3/SO3", "DeepSphere, mAP z/SO3", "2D CNN, accuracy SO3/SO3"):
        assert 0 <= found[name] <= 100
    difference = found["DeepSphere, F1 SO3/SO3"] - found["2D CNN, F1 SO3/SO3"]
    assert found["F1 SO3/SO3, best graph network less best rival"] == pytest.approx(difference)
    lost = found["DeepSphere, F1 SO3/SO3"] - found["DeepSphere, F1 z/SO3"]
    assert found["DeepSphere, F1 SO3/SO3 less z/SO3"] == pytest.approx(lost)
    report = (finished / "report.html").read_text(encoding="utf-8")
    rows = re.findall(r"<tr>(.*?)</tr>", report, flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]
    table = [row for row in cells if row[:1] in (["network"], ["DeepSphere"], ["2D CNN"])]
    assert [row[1].lower() for row in table[1:4]] == ["so3/so3", "z/so3", "so3/so3"]
    assert "F1 [%]" in table[0]
    assert list((finished / "figures").glob("signals-*"))


def test_record_and_checkpoint_hold_what_happened(finished):
    folder = finished / "runs" / "deepsphere-z-seed0"
    raw = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert raw["scores"].keys() == {"so3"}
    assert raw["projection"].keys() == {"train", "validation", "test, so3"}
    confusion = np.array(raw["scores"]["so3"]["confusion"])
    assert confusion.sum() == 12 * 2  # shapes, views
    assert raw["scores"]["so3"]["accuracy"] == pytest.approx(
        100 * np.trace(confusion) / confusion.sum()
    )
    training = read_metadata(folder / "model.ckpt").training or {}
    assert training["perturbation"] == "z"
    assert training["recipe"]["data"]["num_per_class"] == 3


def test_second_run_trains_nothing(output, trained):
    before = measures(output)
    outcome = reproduce(mini(), output, command="c", options=CPU)
    assert trained == []
    assert {row.name: row.measured for row in outcome.results.rows} == before


def test_changed_network_is_the_only_one_that_is_trained_again(output, trained):
    before = measures(output)
    changed = {**RIVAL, "config": {"channels": [4, 6]}}
    reproduce(mini(networks=[OURS, changed]), output, command="c", options=CPU)
    assert trained == ["2d-cnn-so3-seed0"]
    after = measures(output)
    assert after["DeepSphere, F1 SO3/SO3"] == before["DeepSphere, F1 SO3/SO3"]
    assert after["2D CNN, rotation error of the logits after so3"] != pytest.approx(
        before["2D CNN, rotation error of the logits after so3"], rel=1e-6
    )


def test_changed_training_of_a_network_begins_anew(output, trained):
    changed = {**RIVAL, "training": {"learning_rate": 0.02, "epochs": 2}}
    reproduce(mini(networks=[OURS, changed]), output, command="c", options=CPU)
    assert trained == ["2d-cnn-so3-seed0"]
    raw = json.loads((output / "runs" / "2d-cnn-so3-seed0" / "run.json").read_text())
    assert len(raw["history"]) == 2


@pytest.mark.parametrize("damage", ["", "{", '{"fingerprint": "x"}'])
def test_damaged_record_is_made_again(damage, output, trained):
    before = measures(output)
    (output / "runs" / "deepsphere-so3-seed0" / "run.json").write_text(damage)
    reproduce(mini(), output, command="c", options=CPU)
    assert trained == ["deepsphere-so3-seed0"]
    after = measures(output)
    for name, value in before.items():
        assert after[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_protocol_that_is_added_is_scored(output, trained):
    more = {**RIVAL, "protocols": ["so3/so3", "z/z"]}
    reproduce(mini(networks=[OURS, more]), output, command="c", options=CPU)
    assert trained == ["2d-cnn-z-seed0"]
    assert "2D CNN, F1 z/z" in measures(output)


def test_broken_meshes_end_neither_training_nor_report(tmp_path, monkeypatch):
    """Of three broken meshes, wherever the draw puts them, all parts have some left."""
    for shape in make_procedural_shapes(num_per_class=6, seed=0).shapes[:12]:
        path = tmp_path / "meshes" / shape.name.split("_")[0] / f"{shape.name}.off"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape.read().export(path)
    recipe = mini(data={"test_fraction": 0.5, "validation_fraction": 0.2}, networks=[RIVAL])
    test = shapes_module.open_splits(recipe.data, tmp_path / "meshes").test
    middle = tmp_path / "meshes" / test.shapes[(len(test) - 1) // 2].name
    middle.write_text("no mesh")
    monkeypatch.setattr(shapes_report, "_NUM_PICTURES", 1)  # of the one in the middle
    outcome = reproduce(
        recipe, tmp_path / "out", command="c", data=tmp_path / "meshes", options=CPU
    )
    notes = " ".join(outcome.results.notes)
    assert f"{len(test) - 1} of {len(test)} shapes projected" in notes
    assert "1 shape skipped" in notes
    assert outcome.report_path.is_file()


# what must be equal for a training to be kept


def test_fingerprint_of_a_training_is_of_all_that_decides_it():
    recipe = mini()
    first, second = recipe.networks

    def fingerprint(**changes: Any) -> str:
        network = NetworkSection.model_validate({**RIVAL, **changes})
        return training_fingerprint(mini(networks=[OURS, {**RIVAL, **changes}]), network, "data")

    same = training_fingerprint(recipe, second, "data")
    assert training_fingerprint(recipe, first, "data") != same
    assert training_fingerprint(recipe, second, "other data") != same
    assert fingerprint(name="another name", protocols=["z/z"]) == same
    assert fingerprint(training={"learning_rate": 0.01, "num_threads": 2}) == same
    assert fingerprint(training={"learning_rate": 0.02}) != same
    assert fingerprint(sampling="equiangular:16x32") != same
    assert fingerprint(config={"channels": [4, 9]}) != same


def test_fingerprint_of_the_experiment_is_of_its_data(tmp_path):
    shapes = make_procedural_shapes(num_per_class=4, seed=0).shapes[:8]
    paths = [tmp_path / "meshes" / s.name.split("_")[0] / f"{s.name}.off" for s in shapes]
    for shape, path in zip(shapes, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        shape.read().export(path)
    folder = tmp_path / "meshes"
    recipe = mini(data={"test_fraction": 0.25})
    before = experiment_fingerprint(recipe, folder)
    assert experiment_fingerprint(mini(data={"test_fraction": 0.25}, seeds=[3]), folder) == before
    more = mini(data={"test_fraction": 0.25}, networks=[OURS])
    assert experiment_fingerprint(more, folder) == before
    other = mini(data={"test_fraction": 0.25, "num_views": 3})
    assert experiment_fingerprint(other, folder) != before
    paths[0].write_text(paths[0].read_text() + "\n")
    assert experiment_fingerprint(recipe, folder) != before


def test_data_without_shapes_to_score_are_rejected(tmp_path):
    with pytest.raises(ValueError, match=r"test shapes of known class, got 0 .*=validation"):
        experiment_fingerprint(mini(data={"test_fraction": 0.0}), None)
    section = {"validation_fraction": 0.0, "scored_on": "validation"}
    with pytest.raises(ValueError, match=r"validation shapes of known class.*scored_on=test"):
        experiment_fingerprint(mini(data=section), None)


# what is rejected


def test_claim_about_nothing_is_rejected():
    claims = [{"name": "DeepSphere, F1 SO3", "required": 80.0}]
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=claims), CPU, None)
    # costs are not measured without their section
    claims = [{"name": "DeepSphere, parameters", "required": 1e6}]
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=claims), CPU, None)
    check_run(mini(claims=claims, costs={}), CPU, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": []}, "at least 1 item"),
        ({"networks": [OURS, OURS]}, "networks must differ in name, got 'DeepSphere' twice"),
        ({"seeds": [1, 1]}, "seeds must differ in name, got '1' twice"),
        ({"networks": [{**RIVAL, "graph": {}}]}, "graph must be left out for cnn2d"),
        ({"networks": [{**OURS, "protocols": ["z/z", "z/z"]}]}, "protocols must differ"),
        ({"networks": [{**OURS, "protocols": ["so3/z"]}]}, "'z/so3'"),
        ({"networks": [{**OURS, "sampling": "healpix:3"}]}, "nside must be a power of two"),
        ({"networks": [{**OURS, "training": {"epoch": 3}}]}, "epoch"),
        ({"networks": [{**OURS, "training": {"epochs": 0}}]}, "greater than or equal to 1"),
        ({"descriptors": {}}, "descriptors"),
        ({"data": {"num_views": 0}}, "greater than or equal to 1"),
        ({"data": {"scored_on": "train"}}, "'validation'"),
        ({"training": {"optimizer": "lion"}}, "'sgd'"),
    ],
)
def test_impossible_recipes_are_rejected(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        mini(**changes)


def test_arguments_that_a_model_does_not_have_are_rejected():
    network = NetworkSection.model_validate({**RIVAL, "config": {"chanels": [4]}})
    with pytest.raises(ValueError, match=r"networks\.config of '2D CNN' must hold arguments"):
        build_network(network, build_domain(network), num_classes=3)


# rows


def score_with(f1: float, **changes: Any) -> ShapesScore:
    averages = {
        "micro": {"P@N": 1.0, "R@N": 2.0, "F1@N": 3.0, "mAP": f1 - 10, "NDCG": f1 - 20},
        "macro": {"P@N": 1.0, "R@N": 2.0, "F1@N": 3.0, "mAP": f1 - 30, "NDCG": f1 - 40},
    }
    values: dict[str, Any] = {
        "accuracy": f1 + 1,
        "weighted_f1": f1,
        "macro_f1": f1 - 5,
        "retrieval": averages,
        "by_descriptor": averages,
        "confusion": [[1]],
    }
    return ShapesScore(**(values | changes))


def record_with(**scores: ShapesScore) -> ShapesRecord:
    return ShapesRecord(
        fingerprint="f",
        num_parameters=7,
        seconds_training=2.0,
        seconds_scoring=1.0,
        history=[{"epoch": 0}],
        change=0.5,
        descriptor_change=0.25,
        scores=scores,
        projection={"train": "all fine", "test, so3": "11 of 12 shapes; 1 shape skipped (a: b)"},
    )


def made() -> tuple[ShapesRecipe, ShapesMeasured]:
    """A recipe of two seeds, with what it could have measured."""
    recipe = mini(seeds=[0, 1], costs={"batch_sizes": [1, 4]})
    first, second = recipe.networks
    records = {}
    for seed in (0, 1):
        records |= {
            ShapesKey(first, "so3", seed): record_with(so3=score_with(80.0 + 2 * seed)),
            ShapesKey(first, "z", seed): record_with(so3=score_with(77.0 + 2 * seed)),
            ShapesKey(second, "so3", seed): record_with(so3=score_with(75.0)),
        }

    def costs(factor: float, parameters: int) -> NetworkCosts:
        works = ["inference, B 1", "inference, B 4", "training step, B 4"]
        times = dict.fromkeys(works, (1.0 * factor, 2.0 * factor, 4.0 * factor))
        return NetworkCosts(
            num_parameters=parameters, milliseconds=times, step_megabytes=10 * factor
        )

    found = {"DeepSphere": costs(1.0, 100), "2D CNN": costs(3.0, 200)}
    return recipe, ShapesMeasured(records, TableCosts(fingerprint="f", networks=found), ("A note",))


def test_rows_are_means_over_the_seeds():
    recipe, measured = made()
    rows = {row.name: row for row in result_rows(recipe, measured)}
    assert list(rows) == [name for name, _ in row_names(recipe)]
    expected = {
        "DeepSphere, F1 SO3/SO3": 81.0,
        "DeepSphere, accuracy SO3/SO3": 82.0,
        "DeepSphere, mAP SO3/SO3": 71.0,
        "DeepSphere, NDCG SO3/SO3": 61.0,
        "DeepSphere, macro mAP SO3/SO3": 51.0,
        "DeepSphere, F1 z/SO3": 78.0,
        "2D CNN, F1 SO3/SO3": 75.0,
        "DeepSphere, rotation error of the descriptor after so3": 0.25,
        "DeepSphere, rotation error of the logits after z": 0.5,
        "DeepSphere, parameters": 100.0,
        "2D CNN, inference, B 1": 6.0,
        "2D CNN, training step, B 4": 6.0,
        "2D CNN, memory of a training step": 30.0,
        "2D CNN over DeepSphere, inference, B 4": 3.0,
        "F1 SO3/SO3, best graph network less best rival": 6.0,
        "DeepSphere, F1 SO3/SO3 less z/SO3": 3.0,
    }
    for name, value in expected.items():
        assert rows[name].measured == pytest.approx(value), name
    assert rows["DeepSphere, F1 SO3/SO3"].spread == pytest.approx(np.std([80, 82], ddof=1))
    assert rows["DeepSphere, F1 SO3/SO3"].unit == "%"
    assert rows["DeepSphere, F1 SO3/SO3"].seconds == pytest.approx(6.0)
    assert rows["2D CNN, inference, B 1"].unit == "ms"


def test_rivals_alone_are_compared_with_nobody():
    first = {**RIVAL, "name": "one", "protocols": ["z/z"]}
    names = [name for name, _ in row_names(mini(networks=[first, {**RIVAL, "name": "two"}]))]
    assert not any("best rival" in name for name in names)
    # a protocol of rivals only is not compared either
    names = [name for name, _ in row_names(mini(networks=[first, OURS]))]
    assert not any("best rival" in name for name in names)
    recipe = mini(networks=[first])
    record = record_with(z=score_with(50.0))
    records = {ShapesKey(recipe.networks[0], "z", 0): record}
    rows = result_rows(recipe, ShapesMeasured(records, None, ()))
    assert rows[0].name == "one, F1 z/z"
    assert rows[0].measured == 50.0


def test_claims_are_judged_by_the_rows():
    recipe, measured = made()
    claims = [
        {"name": "2D CNN over DeepSphere, inference, B 4", "required": 2.0},
        {"name": "DeepSphere, F1 SO3/SO3 less z/SO3", "required": 2.0, "better": "lower"},
    ]
    claimed = mini(seeds=[0, 1], costs={"batch_sizes": [1, 4]}, claims=claims)
    del recipe
    verdicts = {row.name: row.ok for row in result_rows(claimed, measured)}
    assert [verdicts[str(claim["name"])] for claim in claims] == [True, False]


def test_skipped_shapes_are_noted():
    recipe, measured = made()
    notes = result_notes(recipe, measured)
    assert notes[0] == "A note"
    assert any("1 shape skipped (a: b) (test, so3, healpix:4)" in note for note in notes)
    assert not any("all fine" in note for note in notes)


# scores


def test_change_is_relative_to_the_first_view():
    outputs = torch.tensor([[[3.0, 4.0], [3.0, 9.0]], [[1.0, 0.0], [1.0, 2.0]]])
    assert change_between_views(outputs) == pytest.approx((5 / 5 + 2 / 1) / 2)


def test_skipped_shapes_are_missing_in_the_lists():
    """Four shapes of two classes, of which the second cannot be read."""
    solids = [shape.source for shape in make_procedural_shapes(num_per_class=4, seed=0).shapes]
    flawed = MeshArrays(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    sources = [solids[0], flawed, solids[1], solids[2]]
    shapes = ShapeSet(
        "four",
        ("one", "two"),
        tuple(Shape(f"s{i}", i // 2, source) for i, source in enumerate(sources)),
    )
    projected = project_shapes(shapes, Healpix(2), num_workers=0)
    assert [shape.name for shape in projected.shapes.shapes] == ["s0", "s2", "s3"]
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 2.0]], [[0.0, 1.0]]])
    outputs = ShapeOutputs(logits, descriptors=logits)
    lists = rank_outputs(outputs, projected, shapes, by="class")
    assert lists.num_shapes == 4
    assert lists.queries.tolist() == [0, 2, 3]
    assert lists.items.tolist() == [[0, -1], [2, 3], [2, 3]]
    score = score_outputs(outputs, projected, shapes)
    assert score.accuracy == 100
    assert score.confusion == [[1, 0], [0, 2]]
    # s0 finds one of the two shapes of its class, the others all
    assert score.retrieval["micro"]["R@N"] == pytest.approx(100 * (0.5 + 1 + 1) / 3)
    assert score.retrieval["macro"]["R@N"] == pytest.approx(100 * (0.5 + 1) / 2)
    assert score.by_descriptor["micro"]["R@N"] == pytest.approx(100 * (0.5 + 1 + 1) / 3)


# costs


@pytest.mark.slow
def test_costs_are_measured(tmp_path):
    """Memory in a process of its own for each network."""
    recipe = mini(costs={"batch_sizes": [1, 64], "min_repeats": 1, "seconds": 0.0})
    assert recipe.costs is not None
    said: list[str] = []
    costs = measure_shapes_costs(
        recipe, recipe.costs, num_classes=5, fingerprint="f", announce=said.append
    )
    assert costs.networks.keys() == {"DeepSphere", "2D CNN"}
    assert any("weighing 2D CNN" in what for what in said)
    for network in recipe.networks:
        found = costs.networks[network.name]
        model = build_network(network, build_domain(network), num_classes=5)
        assert found.num_parameters == num_parameters(model)
        assert list(found.milliseconds) == [
            "inference, B 1",
            "inference, B 64",
            "training step, B 64",
        ]
        for low, middle, high in found.milliseconds.values():
            assert 0 < low <= middle <= high
        # at least what the first layer makes of the batch
        sampling = 192 if network.name == "DeepSphere" else 128
        assert found.step_megabytes > 64 * sampling * 4 * 4 / 2**20


@pytest.mark.slow
def test_measured_costs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes_report, "write_report", lambda output, *_, **__: output / "none")
    recipe = mini(networks=[RIVAL], costs={"batch_sizes": [1], "min_repeats": 1, "seconds": 0.0})
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    before = measures(tmp_path / "out")
    assert before["2D CNN, parameters"] > 0

    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(shapes_module, "measure_shapes_costs", fail)
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    assert measures(tmp_path / "out") == before
