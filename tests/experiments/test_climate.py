"""The climate experiment on tiny recipes: frames, losses, resumption, rows, report, checkpoints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data.climate_channels import CHANNEL_NAMES, CLASS_NAMES, CLASS_WEIGHTS
from deepsphere.data.event_sets import array_events
from deepsphere.experiments import climate as climate_module
from deepsphere.experiments import climate_costs, climate_report
from deepsphere.experiments.climate import (
    check_run,
    experiment_fingerprint,
    run_keys,
)
from deepsphere.experiments.climate_config import ClimateNetwork, ClimateRecipe
from deepsphere.experiments.climate_costs import TimedMaps, _weigh
from deepsphere.experiments.climate_data import (
    EventParts,
    digest_of_maps,
    keep_parts,
    maps_of,
    open_event_folder,
    open_parts,
    plan_of,
)
from deepsphere.experiments.climate_record import ClimateRecord
from deepsphere.experiments.climate_rows import (
    ClimateMeasured,
    result_notes,
    result_rows,
    row_names,
)
from deepsphere.experiments.climate_run import build_domain, build_network, task_of
from deepsphere.experiments.climate_scores import score_maps, score_names
from deepsphere.experiments.climate_single import (
    _first_network,
    evaluate_one,
    train_one,
    train_request,
)
from deepsphere.experiments.networks_config import CostsSection
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.signal_files import predict_file
from deepsphere.experiments.trainable import experiment_of_metadata
from deepsphere.experiments.training_record import training_fingerprint
from deepsphere.experiments.training_request import TrainingRequest
from deepsphere.sampling import Icosahedral
from deepsphere.tasks import Segmentation, segmentation_scores
from deepsphere.training import Metadata, load, read_metadata, save

CPU = RunOptions(accelerator="cpu")
UNET: dict[str, Any] = {
    "name": "U-Net",
    "graph": {"weights": "gaussian", "num_neighbors": 6, "num_levels": 2},
    "config": {"channels": [4, 4], "stem_channels": 3, "kernel_size": 2},
}
VERTEX: dict[str, Any] = {
    "name": "vertex",
    "model": "dense_regressor",
    "graph": {"weights": "gaussian", "num_neighbors": 6, "num_levels": 1},
    "config": {"channels": [4], "kernel_size": 1},
}
WEIGHTED = {**UNET, "name": "U-Net, weighted", "training": {"class_weights": "balanced"}}
STACKED = {**UNET, "name": "stacked", "frames": "stacked"}
SEQUENCE = {**UNET, "name": "recurrent", "model": "recurrent_unet", "frames": "sequence"}
MINI: dict[str, Any] = {
    "experiment": "climate",
    "title": "mini",
    "simulation": {
        "sampling": "icosahedral:4",
        "num_train": 8,
        "num_validation": 4,
        "num_test": 8,
        "frequencies": [0.03, 0.05],
    },
    "training": {"epochs": 1, "batch_size": 4, "num_threads": 1},
    "networks": [UNET, WEIGHTED, VERTEX],
    "comparisons": [{"network": "U-Net", "rival": "vertex"}],
}
TEMPORAL: dict[str, Any] = {
    "networks": [UNET, STACKED, SEQUENCE],
    "data": {"num_frames": 2},
    "comparisons": [],
}


def mini(**changes: Any) -> ClimateRecipe:
    return ClimateRecipe.model_validate({**MINI, **changes})


def changed(section: str, **values: Any) -> ClimateRecipe:
    return mini(**{section: {**MINI.get(section, {}), **values}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment, with its report; memory is not measured."""
    output = tmp_path_factory.mktemp("climate") / "out"
    recipe = mini(
        costs={"batch_sizes": [1, 2], "min_repeats": 1, "seconds": 0.0},
        reference={"somebody": {"mAP [%]": 50.0}},
        reference_source="A paper.",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(climate_costs, "_weigh", lambda *_: 1.0)
        reproduce(recipe, output, command="c", options=CPU)
    return output


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of trainings that are run from now on; no report is written."""
    names: list[str] = []
    run_network = climate_module.run_network

    def note(recipe: ClimateRecipe, key: Any, *arguments: Any, **options: Any):
        names.append(key.folder)
        return run_network(recipe, key, *arguments, **options)

    monkeypatch.setattr(climate_module, "run_network", note)
    monkeypatch.setattr(climate_report, "write_report", lambda output, *_, **__: output / "none")
    return names


def measures(output: Path) -> dict[str, float]:
    raw = json.loads((output / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["measured"] for row in raw["rows"]}


def write_originals(folder: Path, *, level: int = 1, num: int = 12) -> Path:
    """A folder like that of the original data, with its lists."""
    generator = np.random.default_rng(0)
    vertices = Icosahedral(level=level).num_vertices
    names = [f"data-2000-01-01-{hour:02d}-1-mesh.npz" for hour in range(num)]
    for name in names:
        labels = np.eye(3)[generator.choice(3, size=vertices)].T
        data = generator.normal(size=(16, vertices)) + 3 * labels[1]
        np.savez(folder / name, data=data.astype(np.float32), labels=labels)
    for list_name, chosen in (("train", names[:6]), ("val", names[6:9]), ("test", names[9:])):
        (folder / f"{list_name}.txt").write_text("\n".join(chosen) + "\n")
    return folder


# what is run


def test_every_network_is_trained_from_every_seed():
    keys = run_keys(mini(seeds=[0, 7]))
    assert [key.folder for key in keys[:3]] == [
        "u-net-seed0",
        "u-net-weighted-seed0",
        "vertex-seed0",
    ]
    assert keys[-1].title == "vertex, seed 7"


def test_runs_are_whole_and_in_one_part_only():
    recipe = changed("simulation", num_train=5, num_validation=3, num_test=6)
    assert plan_of(recipe.simulation).num_maps == (2 + 1 + 2) * 4
    parts = open_parts(recipe, data=None)
    assert parts.num_maps == (5, 3, 6)
    times = [
        {(run, date) for run, date in zip(part.runs, part.dates, strict=True)}
        for part in (parts.train, parts.validation, parts.test)
    ]
    days = [{(run, date.astype("datetime64[D]")) for run, date in of} for of in times]
    assert not days[0] & days[1] | days[0] & days[2] | days[1] & days[2]
    kept = keep_parts(parts, lambda what: None)
    np.testing.assert_array_equal(kept.test.read(2)[0], parts.test.read(2)[0])


@pytest.mark.parametrize("shift", [0, 1])
def test_all_networks_learn_the_labels_of_the_same_maps(shift):
    recipe = mini(**{**TEMPORAL, "data": {"num_frames": 2, "shift": shift}})
    parts = open_parts(recipe, data=None)
    found = []
    for network in recipe.networks:
        data = maps_of(recipe, parts, network, recipe.training, seed=0)
        batches = list(data.split_signals("test"))
        found.append(
            (np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches]))
        )
    (single, labels), (stacked, of_stacked), (sequence, of_sequence) = found
    np.testing.assert_array_equal(labels, of_stacked)
    np.testing.assert_array_equal(labels, of_sequence)
    # two runs of four maps, whose first one has no frame before it and last ones no labels after
    assert len(labels) == 2 * (3 - shift)
    np.testing.assert_allclose(sequence[:, -1], stacked[..., 16:])
    np.testing.assert_allclose(sequence[:, 0], stacked[..., :16])
    spread = single.std(axis=(0, 1)) / stacked[..., 16:].std(axis=(0, 1))
    np.testing.assert_allclose(
        single / spread,
        stacked[..., 16:] - (stacked[..., 16:] - single / spread).mean(axis=(0, 1)),
        atol=1e-3,
    )


def test_losses_are_weighted_as_asked():
    recipe = mini()
    data = maps_of(
        recipe, open_parts(recipe, data=None), recipe.networks[0], recipe.training, seed=0
    )
    assert task_of(recipe.training, data) == Segmentation(CLASS_NAMES)
    published = changed("training", class_weights="published", averaging="weights").training
    assert task_of(published, data).class_weights == CLASS_WEIGHTS
    balanced = task_of(changed("training", class_weights="balanced").training, data)
    counts = data.train.class_counts().sum(axis=0)
    assert np.ptp(np.array(balanced.class_weights) * counts) < 1e-6 * counts.sum()
    weighted_by_area = task_of(changed("training", area_weighted=True).training, data)
    assert weighted_by_area.sampling == data.sampling.spec


def test_published_weights_and_scaling_are_of_the_published_classes_and_channels():
    signals, labels = np.random.default_rng(0).normal(size=(2, 12, 2)), np.zeros((2, 12), int)
    events = array_events(
        signals,
        labels,
        sampling=Icosahedral(level=0),
        channel_names=("a", "b"),
        class_names=("background", "storm"),
    )
    recipe = changed("training", class_weights="published")
    parts = EventParts(events, events, events)
    data = maps_of(recipe, parts, recipe.networks[0], recipe.training, seed=0)
    with pytest.raises(ValueError, match="must not be 'published' for the classes background, sto"):
        task_of(recipe.training, data)
    scaled = changed("data", scaling="published")
    with pytest.raises(ValueError, match=r"data.scaling must not be 'published' for the chan"):
        maps_of(scaled, parts, recipe.networks[0], recipe.training, seed=0)


# errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": [{**UNET, "graph": None}]}, "graph must be given, got none"),
        ({"networks": [{**UNET, "frames": "sequence"}]}, "for recurrent_unet and for no other mod"),
        ({"networks": [STACKED]}, "data.num_frames must be 2 or more for 'stacked'"),
        ({"networks": [UNET, UNET]}, "got 'U-Net' twice"),
        ({"comparisons": [{"network": "U-Net", "rival": "nobody"}]}, "got 'nobody'"),
        ({"simulation": {"frequencies": [0.1, 0.0]}}, "less than or equal to 0.05"),
        ({"simulation": {"sampling": "nothing:3"}}, "nothing"),
        ({"training": {"averaging": "mean"}}, "'vertices' or 'weights'"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mini(**changes)


def test_claims_must_be_about_rows():
    claim = {"name": "U-Net, accuracy", "required": 90.0}
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=[claim]), CPU, None)
    check_run(mini(claims=[{"name": "U-Net less vertex, mean AP", "required": 0.0}]), CPU, None)


def test_recipe_of_the_original_maps_needs_them(tmp_path):
    with pytest.raises(ValueError, match="data must name the folder of the original maps"):
        check_run(mini(needs_data=True), CPU, None)
    with pytest.raises(ValueError, match="data must name the folder of the original maps"):
        digest_of_maps(mini(needs_data=True), None)
    check_run(mini(needs_data=True), CPU, tmp_path)


def test_folders_without_maps_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="data must name a folder of maps, got"):
        open_event_folder(tmp_path / "nowhere")
    folder = write_originals(tmp_path)
    (folder / "val.txt").unlink()
    with pytest.raises(ValueError, match="data must hold maps for validation and test, got"):
        open_parts(mini(), data=folder)


def test_unknown_arguments_of_a_network_are_named():
    network = ClimateNetwork.model_validate({**UNET, "config": {"colour": 3}})
    with pytest.raises(ValueError, match=r"networks.config of 'U-Net' must hold arguments of unet"):
        build_network(network, build_domain(network, Icosahedral(4)), in_channels=1, num_outputs=2)


# what is measured


def test_experiment_writes_all_rows_and_a_report(finished):
    recipe = mini(costs={"batch_sizes": [1, 2]})
    found = measures(finished)
    assert list(found) == [name for name, _ in row_names(recipe)]
    ahead = found["U-Net, mean AP"] - found["vertex, mean AP"]
    assert found["U-Net less vertex, mean AP"] == pytest.approx(ahead)
    recalls = [found[f"U-Net, accuracy of {name}"] for name in CLASS_NAMES]
    assert found["U-Net, mean accuracy"] == pytest.approx(np.mean(recalls))
    assert found["U-Net, memory of a training step"] > 0
    page = (finished / "report.html").read_text(encoding="utf-8")
    for words in ("The table", "Precision and recall", "An example", "What it costs", "Training"):
        assert words in page
    assert "Published, measured on the original data. A paper. Not to be compared" in page
    figures = {path.stem for path in (finished / "figures").iterdir()}
    assert {"confusion", "precision-recall", "example", "training"} <= figures


def test_scores_are_those_of_the_model_on_all_test_maps(finished):
    recipe = mini()
    key = run_keys(recipe)[0]
    model = load(finished / "runs" / key.folder / "model.ckpt")
    parts = open_parts(recipe, data=None)
    mean, deviation = (
        np.array(read_metadata(finished / "runs" / key.folder / "model.ckpt").normalization[name])
        for name in ("mean", "deviation")
    )
    signals, labels = zip(*(parts.test.read(i) for i in range(len(parts.test))), strict=True)
    scaled = ((np.stack(signals) - mean) / deviation).astype(np.float32)
    with torch.inference_mode():
        logits = model(torch.from_numpy(scaled)).numpy()
    scores = segmentation_scores(logits, np.stack(labels))
    found = measures(finished)
    assert found["U-Net, mean AP"] == pytest.approx(100 * scores.mean_average_precision(), rel=1e-4)
    assert found["U-Net, mean accuracy"] == pytest.approx(100 * scores.accuracy, rel=1e-4)


def test_finished_trainings_are_kept_and_interrupted_ones_go_on(tmp_path, trained):
    recipe = mini(networks=[UNET], comparisons=[], training={**MINI["training"], "epochs": 2})
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    first = measures(tmp_path / "out")
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    assert trained == ["u-net-seed0"]
    (tmp_path / "out" / "runs" / "u-net-seed0" / "run.json").unlink()
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    assert trained == ["u-net-seed0"] * 2
    assert measures(tmp_path / "out") == first


def test_fingerprints_change_with_what_decides_and_with_nothing_else():
    recipe = mini()
    network = recipe.networks[0]
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(
        mini(title="other", seeds=[5]), None
    )
    for other in (changed("simulation", seed=1), changed("data", scored_on="validation")):
        assert experiment_fingerprint(recipe, None) != experiment_fingerprint(other, None)
    for values, is_same in (({"epochs": 2}, False), ({"num_threads": 2}, True)):
        other = training_fingerprint(changed("training", **values), network, "d")
        assert (other == training_fingerprint(recipe, network, "d")) is is_same


def test_frames_are_learned_stacked_and_one_after_the_other(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(climate_costs, "_weigh", lambda *_: 1.0)
    recipe = mini(**TEMPORAL, costs={"batch_sizes": [2], "min_repeats": 1, "seconds": 0.0})
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    found = measures(tmp_path / "out")
    assert list(found) == [name for name, _ in row_names(recipe)]
    for folder, frames in zip(trained, ("single", "stacked", "sequence"), strict=True):
        checkpoint = tmp_path / "out" / "runs" / folder / "model.ckpt"
        results = evaluate_one(checkpoint, command="c")
        again = {row.name: row.measured for row in results.rows}
        name = read_metadata(checkpoint).training["network"]["name"]
        assert again["mean AP"] == pytest.approx(found[f"{name}, mean AP"], rel=1e-9), frames


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own():
    recipe = mini(**TEMPORAL)
    section = CostsSection(batch_sizes=(2,), min_repeats=1, seconds=0.0)
    maps = TimedMaps("icosahedral:4", 16, 3)
    sizes = [_weigh(recipe, section, maps, network.name) for network in recipe.networks]
    assert min(sizes) > 0
    assert sizes[2] > sizes[0]  # all frames are kept for the backward pass


@pytest.mark.parametrize("needs_data", [True, False])
def test_original_maps_are_learned_where_they_are_named(tmp_path, trained, needs_data):
    (tmp_path / "maps").mkdir()
    folder = write_originals(tmp_path / "maps")
    recipe = mini(
        networks=[{**UNET, "training": {"class_weights": "published"}}],
        comparisons=[],
        needs_data=needs_data,
    )
    reproduce(recipe, tmp_path / "out", command="c", data=folder, options=CPU)
    found = measures(tmp_path / "out")
    checkpoint = tmp_path / "out" / "runs" / trained[0] / "model.ckpt"
    results = evaluate_one(checkpoint, command="c", data=folder, output=tmp_path / "scores")
    assert {row.name: row.measured for row in results.rows}["mean AP"] == pytest.approx(
        found["U-Net, mean AP"]
    )
    with pytest.raises(ValueError, match="data must name the folder of the original maps"):
        evaluate_one(checkpoint, command="c")


def test_rows_compare_seed_by_seed():
    recipe = mini(seeds=[0, 1])

    def record(value: float, uncertainty: float) -> ClimateRecord:
        return ClimateRecord(
            fingerprint="f",
            num_parameters=3,
            seconds_training=1.0,
            seconds_scoring=0.5,
            history=[],
            scores=dict.fromkeys(score_names(CLASS_NAMES), value),
            uncertainty=uncertainty,
            confusion=[[1]],
            curves={},
        )

    values = {("U-Net", 0): 80.0, ("U-Net", 1): 90.0, ("vertex", 0): 60.0, ("vertex", 1): 50.0}
    records = {
        key: record(values.get((key.network.name, key.seed), 0.0), 0.25 * key.seed)
        for key in run_keys(recipe)
    }
    measured = ClimateMeasured(records, None, CLASS_NAMES, (8, 4, 8), ("simulated",))
    rows = {row.name: row for row in result_rows(recipe, measured)}
    ahead = rows["U-Net less vertex, mean AP"]
    assert (ahead.measured, ahead.spread) == (30.0, pytest.approx(np.std([20, 40], ddof=1)))
    assert rows["U-Net, accuracy of background"].seconds == 3.0
    first, second, last = result_notes(recipe, measured)
    assert first.startswith("8 maps for training, 4 for validation and 8 for the test; scored on")
    assert second.endswith("the exact ones are within 0.25 % of them")
    assert last == "simulated"


def test_large_test_sets_are_scored_by_counts_with_bounds():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (6, 50), generator=generator)
    logits = torch.randn(6, 50, 3, generator=generator) + torch.eye(3)[labels]
    task = Segmentation(CLASS_NAMES)

    def tested(most_exact: int):
        batches = zip(logits.split(2), labels.split(2), strict=True)
        return score_maps(batches, task, num_vertices=300, most_exact=most_exact)

    exact, counted = tested(300), tested(299)
    assert exact.uncertainty == 0
    assert 0 < counted.uncertainty < 10
    assert list(exact.scores) == score_names(CLASS_NAMES)
    for name, value in exact.scores.items():
        slack = counted.uncertainty if "AP" in name else 1e-9
        assert counted.scores[name] == pytest.approx(value, abs=slack)
    assert exact.confusion == counted.confusion
    assert set(exact.curves) == set(CLASS_NAMES[1:])


def test_what_is_scored_holds_every_class():
    task = Segmentation(CLASS_NAMES)
    batch = (torch.zeros(1, 4, 3), torch.tensor([[0, 2, 2, -1]]))
    with pytest.raises(ValueError, match="got no tropical cyclone in 3 vertices; score on more"):
        score_maps([batch], task, num_vertices=4, most_exact=9)
    with pytest.raises(ValueError, match="must hold maps to be scored on, got none"):
        score_maps([], task, num_vertices=0, most_exact=9)


# one network alone


def test_network_trained_alone_is_scored_as_in_the_experiment(tmp_path, finished):
    summary = train_one(mini(), run_keys(mini())[0], tmp_path / "one", options=CPU)
    assert any("simulated" in note for note in summary.notes)
    metadata = read_metadata(summary.checkpoint)
    assert experiment_of_metadata(metadata) == "climate"
    assert metadata.class_names == CLASS_NAMES
    results = evaluate_one(summary.checkpoint, command="c", output=tmp_path / "scores")
    found = {row.name: row.measured for row in results.rows}
    assert found["mean AP"] == pytest.approx(measures(finished)["U-Net, mean AP"])
    assert (tmp_path / "scores" / "figures" / "confusion.png").is_file()


def test_probabilities_of_every_vertex_are_predicted(tmp_path, finished):
    checkpoint = finished / "runs" / "u-net-seed0" / "model.ckpt"
    parts = open_parts(mini(), data=None)
    signals = np.stack([parts.test.read(i)[0] for i in range(2)])
    np.savez(tmp_path / "maps.npz", signals=signals, sampling="icosahedral:4")
    predict_file(checkpoint, tmp_path / "maps.npz", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        shares, labels = found["predictions"], found["labels"]
        assert tuple(found["class_names"]) == CLASS_NAMES
    assert shares.shape == (2, 162, 3)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-5)
    assert (labels == shares.argmax(axis=-1)).all()


def test_network_is_chosen_by_name_and_is_a_u_net_by_default(tmp_path):
    path = tmp_path / "trial.toml"
    text = """
experiment = "climate"
title = "trial"
[simulation]
sampling = "icosahedral:2"
num_train = 4
num_validation = 4
num_test = 4
[training]
epochs = 1
num_threads = 1
[[networks]]
name = "alone"
model = "dense_regressor"
graph = { weights = "gaussian", num_levels = 1 }
config = { channels = [2], kernel_size = 1 }
[[networks]]
name = "a net"
graph = { weights = "gaussian", num_levels = 2 }
config = { channels = [2, 2], stem_channels = 2, kernel_size = 2 }
"""
    path.write_text(text)
    request = TrainingRequest(recipe=str(path))
    options = {"resume": False, "overwrite": False, "options": CPU}
    summary = train_request(request, tmp_path / "one", **options)
    assert read_metadata(summary.checkpoint).training["network"]["name"] == "a net"
    other = TrainingRequest(recipe=str(path), network="alone", sampling="icosahedral:4", epochs=2)
    summary = train_request(other, tmp_path / "two", **options)
    assert summary.num_epochs == 2
    assert load(summary.checkpoint).pyramid.graphs[0].num_vertices == 162
    own = path.with_name("own.toml")
    own.write_text(text + "training = { epochs = 3 }\n")
    for asked, found in ((None, 3), (1, 1)):
        request = TrainingRequest(recipe=str(own), network="a-net", epochs=asked)
        summary = train_request(request, tmp_path / f"own-{found}", **options)
        assert summary.num_epochs == found
    for unknown, message in (
        ({"rotate": True}, "rotate must be left out for climate, got True; maps are moved by --se"),
        ({"sampling": "icosahedral:4", "data": tmp_path}, "sampling must be left out with --data"),
    ):
        with pytest.raises(ValueError, match=message):
            train_request(TrainingRequest(**unknown), tmp_path / "none", **options)


@pytest.mark.parametrize(
    ("sampling", "name"),
    [
        (None, "Jiang-like, weighted"),
        ("icosahedral:32", "Jiang-like, weighted"),
        ("icosahedral:16", "U-Net, weighted"),
        ("healpix:32", "U-Net, weighted"),
        ("cubed_sphere:16", "U-Net, weighted"),
        ("equiangular:64x128", "U-Net, weighted"),
    ],
)
def test_network_is_one_that_the_sampling_will_do_for(sampling, name):
    overrides = {} if sampling is None else {"simulation.sampling": sampling}
    recipe = read_recipe("climate", overrides=overrides, recipe_type=ClimateRecipe)
    assert _first_network(recipe, chosen=sampling is not None).name == name


def test_sampling_that_is_too_coarse_is_refused():
    overrides = {"simulation.sampling": "healpix:8"}
    recipe = read_recipe("climate", overrides=overrides, recipe_type=ClimateRecipe)
    with pytest.raises(ValueError, match=r"must have 5 levels .* got healpix:8, which has 4; take"):
        _first_network(recipe, chosen=True)


def test_checkpoints_of_others_are_refused(tmp_path, finished):
    checkpoint = finished / "runs" / "u-net-seed0" / "model.ckpt"
    model, metadata = load(checkpoint), read_metadata(checkpoint)
    save(tmp_path / "plain.ckpt", model, metadata=Metadata(task=metadata.task))
    with pytest.raises(ValueError, match="checkpoint must say what maps it was trained on"):
        evaluate_one(tmp_path / "plain.ckpt", command="c")
    other = Metadata(task={"task": "regression", "num_outputs": 3}, training=metadata.training)
    save(tmp_path / "other.ckpt", model, metadata=other)
    with pytest.raises(ValueError, match="must be of a network that segments, got one with the ta"):
        evaluate_one(tmp_path / "other.ckpt", command="c")
    with pytest.raises(ValueError, match="data must hold maps on Icosahedral"):
        evaluate_one(checkpoint, command="c", data=write_originals(tmp_path, level=1))


def test_maps_of_other_classes_are_refused(tmp_path, finished):
    checkpoint = finished / "runs" / "u-net-seed0" / "model.ckpt"
    model, metadata = load(checkpoint), read_metadata(checkpoint)
    projection = {**metadata.projection, "channel_names": [*CHANNEL_NAMES[:-1], "DUST"]}
    changed_names = Metadata(
        **{
            name: getattr(metadata, name)
            for name in ("task", "training", "normalization", "class_names")
        },
        projection=projection,
    )
    save(tmp_path / "other.ckpt", model, metadata=changed_names)
    with pytest.raises(
        ValueError, match=r"data must hold maps with the channels TMQ, .*, DUST, got"
    ):
        evaluate_one(tmp_path / "other.ckpt", command="c")


# the recipes


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "name",
    ["climate", "climate-full-resolution", "climate-large", "climate-original", "climate-temporal"],
)
def test_networks_of_the_recipes_are_those_of_the_library(name, quick):
    recipe = read_recipe(name, quick=quick, recipe_type=ClimateRecipe)
    check_run(recipe, CPU, Path())
    for network in recipe.networks:
        assert network.graph is not None
        # sizes do not depend on the resolution, but for the number of levels
        options = {"weights": "gaussian", "num_neighbors": 6}
        graph = network.graph.model_copy(update=options)
        domain = build_domain(
            network.model_copy(update={"graph": graph}), Icosahedral(2 ** (graph.num_levels - 1))
        )
        if network.name.startswith(("52M", "flattened")):
            continue
        model = build_network(network, domain, in_channels=16, num_outputs=3)
        expected = {"13M": 12_926_432, "Jiang-like": 547_584}.get(network.name.split(",")[0])
        if expected is not None:
            assert sum(parameter.numel() for parameter in model.parameters()) == expected
