"""The cosmology experiment on tiny recipes: settings, resumption, rows, baselines, report."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data.map_sets import array_maps
from deepsphere.data.simulation_plan import plan_shifts
from deepsphere.experiments import cosmology as cosmology_module
from deepsphere.experiments import cosmology_report
from deepsphere.experiments.cosmology import (
    check_run,
    experiment_fingerprint,
    run_keys,
)
from deepsphere.experiments.cosmology_baselines import BaselineRun, run_baseline
from deepsphere.experiments.cosmology_config import CosmologyNetwork, CosmologyRecipe
from deepsphere.experiments.cosmology_data import (
    MapParts,
    batch_size_at,
    check_target,
    open_map_splits,
    patches_of,
    plan_of,
    settings_of,
    split_universes,
)
from deepsphere.experiments.cosmology_record import CosmologyKey, CosmologyRecord, Setting
from deepsphere.experiments.cosmology_rows import CosmologyMeasured, result_rows, row_names
from deepsphere.experiments.cosmology_run import build_domain, build_network, score_network
from deepsphere.experiments.cosmology_scores import score_classes, score_parameters
from deepsphere.experiments.cosmology_single import evaluate_one, train_one, train_request
from deepsphere.experiments.network_costs import NetworkCosts, TableCosts
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.trainable import experiment_of_metadata
from deepsphere.experiments.training_record import training_fingerprint
from deepsphere.experiments.training_request import TrainingRequest
from deepsphere.sampling import ring_to_nested
from deepsphere.sampling.healpix_patches import patch_sampling
from deepsphere.tasks import Classification, Regression
from deepsphere.training import load, read_metadata

CPU = RunOptions(accelerator="cpu")
FCN: dict[str, Any] = {
    "name": "FCN",
    "graph": {"weights": "gaussian", "num_neighbors": 8, "num_levels": 3},
    "config": {"channels": [4, 4], "kernel_size": 3, "pooling": "max", "last_upsampled": False},
}
PLANAR: dict[str, Any] = {
    "name": "2D",
    "model": "planar_cnn",
    "config": {"channels": [4, 4]},
    "training": {"learning_rate": 0.01},
}
MINI: dict[str, Any] = {
    "experiment": "cosmology",
    "title": "mini",
    "simulation": {"nside": 16, "num_maps": 4, "contrast": 4.0},
    "data": {"noises": [0.5], "validation_fraction": 0.25, "test_fraction": 0.25},
    "training": {"epochs": 1, "num_threads": 1},
    "networks": [FCN, PLANAR],
    "baselines": [
        {"name": "spectrum", "feature": "spectrum"},
        {"name": "histogram", "feature": "histogram", "num_bins": 8},
    ],
    "comparisons": [{"network": "FCN", "rival": "2D"}, {"network": "2D", "rival": "histogram"}],
}
HERE = "1/12 of the sphere, noise 0.5"


def mini(**changes: Any) -> CosmologyRecipe:
    return CosmologyRecipe.model_validate({**MINI, **changes})


def changed(section: str, **values: Any) -> CosmologyRecipe:
    return mini(**{section: {**MINI[section], **values}})


def parts_of(*, num_maps: int = 4, parameters: bool = False, nside: int = 8) -> MapParts:
    """Maps of two classes that differ in their variance."""
    generator = np.random.default_rng(0)

    def some(num: int):
        labels = np.repeat([0, 1], num)
        maps = generator.normal(size=(2 * num, 12 * nside**2)) * (1 + labels[:, None])
        values = np.stack([0.2 + 0.1 * labels, 0.8 + 0.1 * labels], axis=1)
        return array_maps(
            maps.astype(np.float32),
            labels,
            class_names=("low", "high"),
            parameters=values if parameters else None,
        )

    return MapParts(some(num_maps), some(num_maps), some(num_maps))


class Oracle(torch.nn.Module):
    """Knows that the classes differ in variance."""

    def __init__(self) -> None:
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.tensor(0.95))

    def forward(self, signals: torch.Tensor) -> torch.Tensor:
        deviation = signals.std(dim=(1, 2)) - self.threshold
        return torch.stack([-deviation, deviation], dim=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment, with its report."""
    output = tmp_path_factory.mktemp("cosmology") / "out"
    recipe = mini(costs={"batch_sizes": [1, 2], "min_repeats": 1, "seconds": 0.0})
    reproduce(recipe, output, command="c", options=CPU)
    return output


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of trainings that are run from now on; no report is written."""
    names: list[str] = []
    run_network = cosmology_module.run_network

    def note(recipe: CosmologyRecipe, key: CosmologyKey, *arguments: Any, **options: Any):
        names.append(key.folder)
        return run_network(recipe, key, *arguments, **options)

    monkeypatch.setattr(cosmology_module, "run_network", note)
    monkeypatch.setattr(cosmology_report, "write_report", lambda output, *_, **__: output / "none")
    return names


def measures(output: Path) -> dict[str, float]:
    raw = json.loads((output / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["measured"] for row in raw["rows"]}


# what is run


def test_every_network_is_trained_in_every_setting_from_every_seed():
    recipe = changed("data", orders=[1, 2], noises=[0.0, 3.5]).model_copy(update={"seeds": (0, 7)})
    assert settings_of(recipe) == [
        Setting(1, 0.0),
        Setting(1, 3.5),
        Setting(2, 0.0),
        Setting(2, 3.5),
    ]
    keys = run_keys(recipe)
    assert len({key.folder for key in keys}) == len(keys) == 2 * 4 * 2
    assert keys[1].folder == "2d-order1-noise0-seed0"
    assert keys[-1].title == "2D, 1/48 of the sphere, noise 3.5, seed 7"


def test_batches_of_all_orders_cover_as_much_of_the_sky():
    for order in (1, 2, 4):
        assert batch_size_at(12, order) / (12 * order**2) == 1
    assert batch_size_at(24, 0) == 2


def test_plan_is_that_of_the_recipe():
    plan = plan_of(
        mini(
            simulation={
                "nside": 16,
                "num_maps": 4,
                "cosmologies": [[0.3, 0.8]],
                "redshifts": [0.5, 1.0],
                "seed": 9,
            }
        ).simulation
    )
    assert (plan.nside, plan.num_maps, plan.scale, plan.seed) == (16, 4, "zoom", 9)
    assert plan.redshifts == (0.5, 1.0)
    assert [(of.omega_m, of.sigma_8) for of in plan.cosmologies] == [(0.3, 0.8)]


def test_shifts_that_are_named_count_beside_a_contrast():
    shifts = plan_shifts(plan_of(changed("simulation", shifts=[0.05, 0.02]).simulation))
    assert shifts.ravel().tolist() == [0.05, 0.02]
    stretched = plan_shifts(plan_of(mini().simulation)).ravel()
    assert stretched[0] / stretched[1] == pytest.approx(4)


def test_prior_draws_different_universes_within_its_ranges():
    section = changed(
        "simulation", prior=[[0.2, 0.3], [0.7, 0.9]], num_cosmologies=5, contrast=None
    ).simulation
    universes = plan_of(section).cosmologies
    assert len(set(universes)) == 5
    assert all(0.2 <= of.omega_m <= 0.3 and 0.7 <= of.sigma_8 <= 0.9 for of in universes)


def test_training_maps_are_split_by_map_and_may_be_fewer(tmp_path):
    parts = open_map_splits(
        changed("data", num_train=1), tmp_path, data=None, announce=lambda what: None
    )
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [2, 2, 2]
    assert sorted(parts.train.labels) == [0, 1]
    names = [set(part.names) for part in (parts.train, parts.validation, parts.test)]
    assert len(set.union(*names)) == 6


def test_parameters_are_tested_on_universes_that_were_not_learned():
    labels = np.repeat(np.arange(10), 3)
    maps = array_maps(
        np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32),
        labels,
        class_names=tuple(map(str, range(10))),
    )
    parts = split_universes(maps, validation_fraction=0.1, test_fraction=0.3, seed=0)
    assert parts.validation is not None
    assert parts.test is not None
    found = [set(part.labels) for part in parts if part is not None]
    assert [len(of) for of in found] == [6, 1, 3]
    assert set.union(*found) == set(range(10))
    assert [len(part) for part in parts if part is not None] == [18, 3, 9]
    again = split_universes(maps, validation_fraction=0.1, test_fraction=0.3, seed=0)
    assert list(again.train.names) == list(parts.train.names)
    with pytest.raises(ValueError, match="must hold more than 10 universes, got 10"):
        split_universes(maps, validation_fraction=0.5, test_fraction=0.5, seed=0)


# errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"orders": [3]}}, "power of two, got 3"),
        ({"data": {"noises": [-1.0]}}, "greater than or equal to 0"),
        ({"data": {"test_fraction": 0.0}}, "greater than 0"),
        ({"data": {"noises": [1.0, 1.0]}}, "data.noises must differ in name"),
        ({"simulation": {"nside": 48}}, "power of two, got 48"),
        ({"networks": [{**FCN, "graph": None}]}, "graph must be given for fcn and cnn"),
        ({"networks": [{**PLANAR, "graph": FCN["graph"]}]}, "leave it out"),
        ({"baselines": [{"name": "FCN", "feature": "spectrum"}]}, "got 'FCN' twice"),
        ({"comparisons": [{"network": "FCN", "rival": "nobody"}]}, "got 'nobody'"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mini(**changes)


def test_claims_must_be_about_rows():
    claim = {"name": "FCN, accuracy, elsewhere", "required": 90.0}
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=[claim]), CPU, None)
    good = {"name": f"FCN less 2D, accuracy, {HERE}", "required": 0.0}
    check_run(mini(claims=[good]), CPU, None)


def test_maps_must_tell_what_is_to_be_learned():
    parameters = changed("data", target="parameters")
    with pytest.raises(ValueError, match="must hold the cosmological parameters of every map"):
        check_target(parameters, parts_of().train)
    check_target(parameters, parts_of(parameters=True).train)
    one = array_maps(np.zeros((2, 12), np.float32), np.zeros(2, int), class_names=("only",))
    with pytest.raises(ValueError, match="must hold maps of two classes or more, got 1"):
        check_target(mini(), one)


def test_too_few_maps_for_three_parts_are_refused(tmp_path):
    maps = np.random.default_rng(0).normal(size=(2, 3072)).astype(np.float32)
    np.savez(tmp_path / "maps.npz", maps=maps, labels=np.array([0, 1]), ordering="nested")
    with pytest.raises(ValueError, match="map"):
        open_map_splits(mini(), tmp_path, data=tmp_path / "maps.npz", announce=lambda what: None)


def test_unknown_arguments_of_a_network_are_named():
    network = CosmologyNetwork.model_validate({**PLANAR, "config": {"colour": 3}})
    with pytest.raises(ValueError, match=r"networks.config of '2D' must hold arguments"):
        build_network(
            network, build_domain(network, patch_sampling(16, 1)), in_channels=1, num_outputs=2
        )


# what is measured


def test_experiment_writes_all_rows_and_a_report(finished):
    recipe = mini(costs={"batch_sizes": [1, 2]})
    found = measures(finished)
    assert list(found) == [name for name, _ in row_names(recipe)]
    ahead = found[f"FCN, accuracy, {HERE}"] - found[f"2D, accuracy, {HERE}"]
    assert found[f"FCN less 2D, accuracy, {HERE}"] == pytest.approx(ahead)
    assert found["FCN, memory of a training step"] > 0
    page = (finished / "report.html").read_text(encoding="utf-8")
    for words in ("The table", "What it costs", "What the networks see", "not a physical sky"):
        assert words in page
    figures = {path.stem for path in (finished / "figures").iterdir()}
    assert {"maps", "patch", "histograms", "training", "accuracy-and-cost"} <= figures


def test_finished_trainings_are_kept_and_new_ones_added(tmp_path, trained):
    output = tmp_path / "out"
    reproduce(mini(baselines=[], comparisons=[]), output, command="c", options=CPU)
    assert len(trained) == 2
    first = measures(output)
    more = mini(baselines=[], comparisons=[], seeds=[0, 1], title="more")
    reproduce(more, output, command="c", options=CPU)
    assert trained[2:] == ["fcn-order1-noise0.5-seed1", "2d-order1-noise0.5-seed1"]
    record = json.loads((output / "runs" / trained[0] / "run.json").read_text())
    assert record["scores"]["accuracy"] == first[f"FCN, accuracy, {HERE}"]


def test_interrupted_simulation_and_training_go_on_to_the_same_numbers(tmp_path, trained):
    recipe = mini(baselines=[], comparisons=[], networks=[FCN])
    reproduce(recipe, tmp_path / "whole", command="c", options=CPU)
    reproduce(recipe, tmp_path / "broken", command="c", options=CPU)
    run = tmp_path / "broken" / "runs" / trained[0]
    (run / "run.json").unlink()
    next((tmp_path / "broken" / "maps").glob("*.h5")).unlink()
    reproduce(recipe, tmp_path / "broken", command="c", options=CPU)
    assert trained[2:] == [trained[0]]
    assert measures(tmp_path / "broken") == measures(tmp_path / "whole")


def test_fingerprints_change_with_what_decides_and_with_nothing_else():
    recipe = mini()
    network = recipe.networks[0]
    same = mini(title="other", seeds=[5]).model_copy()
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(same, None)
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(
        changed("data", noises=[1.0]), None
    )
    for other in (
        changed("simulation", seed=1),
        changed("data", noise_seed=1),
        changed("data", split_seed=1),
    ):
        assert experiment_fingerprint(recipe, None) != experiment_fingerprint(other, None)
    longer = changed("training", epochs=2)
    assert training_fingerprint(recipe, network, "d") != training_fingerprint(longer, network, "d")
    threads = changed("training", num_threads=2)
    assert training_fingerprint(recipe, network, "d") == training_fingerprint(threads, network, "d")


def test_parameters_are_learned_with_every_loss(tmp_path):
    recipe = mini(
        simulation={
            "nside": 16,
            "num_maps": 1,
            "prior": [[0.2, 0.4], [0.7, 0.9]],
            "num_cosmologies": 8,
        },
        data={**MINI["data"], "target": "parameters"},
        networks=[
            FCN,
            {**FCN, "name": "median", "training": {"loss": "l1"}},
            {**FCN, "name": "sure", "training": {"loss": "gaussian"}},
        ],
        comparisons=[],
    )
    parts = parts_of(parameters=True, nside=16)
    found = {}
    for network in recipe.networks:
        key = CosmologyKey(network, Setting(1, 0.5), 0)
        found[network.name] = cosmology_module.run_network(
            recipe, key, parts, folder=tmp_path / network.name, fingerprint="f", options=CPU
        )
    assert found["sure"].num_parameters == found["FCN"].num_parameters + 2 * (8 + 1)
    assert {"χ² omega_m", "RMSE sigma_8"} <= set(found["sure"].scores)
    assert "χ² omega_m" not in found["median"].scores
    assert all(record.confusion is None for record in found.values())
    baseline = run_baseline(
        BaselineRun(recipe, recipe.baselines[1], Setting(1, 0.5)),
        parts,
        path=tmp_path / "b.json",
        fingerprint="f",
    )
    # the variance of the pixels tells the two values apart
    assert baseline.scores["R² omega_m"] > 0.8


def test_linear_models_find_what_their_features_tell(tmp_path):
    parts = parts_of()
    scores = {}
    for baseline in mini().baselines:
        run = BaselineRun(mini(), baseline, Setting(1, 0.0))
        record = run_baseline(run, parts, path=tmp_path / "b.json", fingerprint="f")
        scores[baseline.name] = record.scores
        assert np.sum(record.confusion) == 8 * 12
    # classes differ in variance, which both features see
    assert scores["histogram"]["accuracy"] > 90
    assert scores["spectrum"]["accuracy"] > 90


def test_scores_of_a_network_are_those_of_its_outputs():
    parts = parts_of()
    recipe = changed("data", noises=[0.0])
    data = patches_of(recipe, parts, Setting(1, 0.0), recipe.training, seed=0)

    scores, confusion = score_network(
        Oracle(), Classification(("low", "high")), data, "test", order=1
    )
    assert scores == {"accuracy": 100.0, "accuracy of whole maps": 100.0}
    assert confusion == [[48, 0], [0, 48]]


def test_map_accuracy_is_that_of_the_mean_of_logits():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(24, 3)), np.repeat([0, 1, 2, 1, 0, 2], 4)
    scores, confusion = score_classes(logits, labels, num_patches=4)
    by_hand = [logits[4 * i : 4 * i + 4].sum(axis=0).argmax() == labels[4 * i] for i in range(6)]
    assert scores["accuracy of whole maps"] == pytest.approx(100 * np.mean(by_hand))
    assert scores["accuracy"] == pytest.approx(100 * np.trace(confusion) / 24)
    assert np.sum(confusion, axis=1).tolist() == [8, 8, 8]


def test_parameter_scores_are_their_definitions():
    generator = np.random.default_rng(0)
    true, predicted = generator.normal(size=(2, 50, 2))
    deviations = generator.uniform(0.5, 2, size=(50, 2))
    scores = score_parameters(predicted, true, names=("a", "b"), deviations=deviations)
    residual = (predicted - true)[:, 1]
    assert scores["RMSE b"] == pytest.approx(np.sqrt(np.mean(residual**2)))
    assert scores["MAE b"] == pytest.approx(np.mean(np.abs(residual)))
    assert scores["R² b"] == pytest.approx(
        1 - np.sum(residual**2) / np.sum((true[:, 1] - true[:, 1].mean()) ** 2)
    )
    assert scores["χ² b"] == pytest.approx(np.mean((residual / deviations[:, 1]) ** 2))


def test_rows_compare_seed_by_seed_and_say_how_far_from_chance():
    recipe = mini(seeds=[0, 1], costs={"batch_sizes": [4]})

    def record(accuracy: float) -> CosmologyRecord:
        return CosmologyRecord(
            fingerprint="f",
            num_parameters=3,
            seconds_training=1.0,
            history=[],
            seconds_scoring=0.0,
            scores={"accuracy": accuracy, "accuracy of whole maps": 100.0},
        )

    accuracies = {("FCN", 0): 80.0, ("FCN", 1): 90.0, ("2D", 0): 60.0, ("2D", 1): 50.0}
    records = {key: record(accuracies[key.network.name, key.seed]) for key in run_keys(recipe)}
    times = {"inference, B 4": 2.0, "training step, B 4": 6.0}

    def costs(factor: float) -> NetworkCosts:
        found = {work: (0.0, factor * time, 99.0) for work, time in times.items()}
        return NetworkCosts(num_parameters=7, milliseconds=found, step_megabytes=1.0)

    measured = CosmologyMeasured(
        records=records,
        baselines={f"spectrum, {HERE}": record(47.0), f"histogram, {HERE}": record(70.0)},
        costs=TableCosts(fingerprint="f", networks={"FCN": costs(1.0), "2D": costs(4.0)}),
        class_names=("a", "b"),
        num_maps=(2, 2, 2),
    )
    rows: Mapping[str, Any] = {row.name: row for row in result_rows(recipe, measured)}
    assert rows[f"FCN less 2D, accuracy, {HERE}"].measured == 30.0
    assert rows[f"FCN less 2D, accuracy, {HERE}"].spread == pytest.approx(np.std([20, 40], ddof=1))
    assert rows[f"2D less histogram, accuracy, {HERE}"].measured == -15.0
    assert rows[f"spectrum, distance from chance, {HERE}"].measured == 3.0
    assert rows[f"best fully convolutional network, accuracy, {HERE}"].measured == 85.0
    assert rows["FCN over 2D, inference, B 4"].measured == 0.25
    assert "2D over histogram, inference, B 4" not in rows


def test_linear_models_take_few_patches_of_every_class(tmp_path):
    parts = parts_of(num_maps=6)
    baseline = {"name": "few", "feature": "histogram", "most_patches": 48}
    for order, num_scored in ((1, 48), (4, 2 * 192)):
        recipe = mini(baselines=[baseline], comparisons=[])
        run = BaselineRun(recipe, recipe.baselines[0], Setting(order, 0.0))
        record = run_baseline(run, parts, path=tmp_path / "b.json", fingerprint="f")
        assert np.sum(record.confusion, axis=1).tolist() == [num_scored / 2] * 2


# masks


def masked_maps(folder: Path) -> Path:
    """Maps in RING order, UNSEEN outside of a mask with an island; the mask lies beside them."""
    generator = np.random.default_rng(0)
    mask = np.zeros(768, bool)
    mask[:256], mask[500] = True, True
    ring = mask[ring_to_nested(8)]
    labels = np.repeat([0, 1], 8)
    maps = generator.normal(size=(16, 768)) * (1 + labels[:, None])
    maps[:, ~ring] = -1.6375e30
    np.savez(folder / "maps.npz", maps=maps, labels=labels, ordering="ring")
    np.savez(folder / "mask.npz", signals=ring.astype(float)[:, None], ordering="ring")
    return folder / "maps.npz"


def test_surveys_are_learned_on_the_graph_of_their_mask(tmp_path, trained):
    data = masked_maps(tmp_path)
    network = {**FCN, "graph": {**FCN["graph"], "num_levels": 2, "disconnected": "allow"}}
    recipe = mini(
        networks=[network],
        comparisons=[],
        costs={"batch_sizes": [2], "min_repeats": 1, "seconds": 0.0},
        data={
            "orders": [0],
            "mask": str(tmp_path / "mask.npz"),
            "noises": [0.0],
            "validation_fraction": 0.25,
            "test_fraction": 0.25,
        },
    )
    reproduce(recipe, tmp_path / "out", command="c", data=data, options=CPU)
    found = measures(tmp_path / "out")
    assert found["histogram, accuracy, whole maps, noise 0"] == 100.0
    model = load(tmp_path / "out" / "runs" / trained[0] / "model.ckpt")
    assert model.pyramid.graphs[0].num_vertices == 257
    results = evaluate_one(
        tmp_path / "out" / "runs" / trained[0] / "model.ckpt", command="c", data=data
    )
    assert results.rows[0].measured == found["FCN, accuracy, whole maps, noise 0"]
    # another mask is another experiment
    fingerprint = experiment_fingerprint(recipe, data)
    with np.load(tmp_path / "mask.npz") as old:
        kept = old["signals"].copy()
    kept[np.flatnonzero(kept)[0]] = 0
    np.savez(tmp_path / "mask.npz", signals=kept, ordering="ring")
    assert experiment_fingerprint(recipe, data) != fingerprint


def test_masks_go_with_whole_maps_only():
    with pytest.raises(ValueError, match=r"orders must be \[0\] with a mask, got \[1\]"):
        changed("data", mask="mask.fits")


# one network alone


def test_network_trained_alone_is_scored_as_in_the_experiment(tmp_path, finished):
    recipe = mini()
    key = run_keys(recipe)[0]
    summary = train_one(recipe, key, tmp_path / "one", options=CPU)
    assert summary.num_epochs == 1
    assert any("not a physical sky" in note for note in summary.notes)
    metadata = read_metadata(summary.checkpoint)
    assert experiment_of_metadata(metadata) == "cosmology"
    results = evaluate_one(summary.checkpoint, command="c", output=tmp_path / "scores")
    found = {row.name: row.measured for row in results.rows}
    assert found[f"accuracy, {HERE}"] == measures(finished)[f"FCN, accuracy, {HERE}"]
    assert (tmp_path / "scores" / "figures" / "confusion.png").is_file()
    # a checkpoint of the experiment finds the maps of the experiment
    within = finished / "runs" / key.folder / "model.ckpt"
    again = evaluate_one(within, command="c")
    assert {row.name: row.measured for row in again.rows} == found
    assert not (within.parent / "maps").exists()


def test_evaluation_refuses_other_maps(tmp_path, finished):
    checkpoint = finished / "runs" / run_keys(mini())[0].folder / "model.ckpt"
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 4)
    for nside, message in (
        (8, "must hold maps at nside 16"),
        (16, "must hold maps of the classes"),
    ):
        maps = generator.normal(size=(8, 12 * nside**2)).astype(np.float32)
        path = tmp_path / f"maps{nside}.npz"
        np.savez(path, maps=maps, labels=labels, ordering="nested")
        with pytest.raises(ValueError, match=message):
            evaluate_one(checkpoint, command="c", data=path)


@pytest.mark.parametrize(
    ("request_changes", "message"),
    [
        ({"rotate": True}, "rotate must be left out for cosmology, got True"),
        ({"sampling": "healpix:8"}, "sampling must be left out"),
        ({"perturbation": "so3"}, "perturbation must be left out"),
        ({"network": "resnet"}, "network must be one of"),
    ],
)
def test_training_alone_refuses_what_it_does_not_know(tmp_path, request_changes, message):
    with pytest.raises(ValueError, match=message):
        train_request(
            TrainingRequest(**request_changes),
            tmp_path,
            resume=False,
            overwrite=False,
            options=CPU,
        )


def test_task_of_parameters_is_in_their_units(tmp_path):
    recipe = changed("data", target="parameters").model_copy(
        update={"networks": mini().networks[:1]}
    )
    parts = parts_of(parameters=True, nside=16)
    key = CosmologyKey(recipe.networks[0], Setting(1, 0.5), 0)
    cosmology_module.run_network(recipe, key, parts, folder=tmp_path, fingerprint="f", options=CPU)
    task = read_metadata(tmp_path / "model.ckpt").task
    assert task is not None
    assert Regression(2).spec["task"] == task["task"]
    assert task["offset"] == pytest.approx([0.25, 0.85])
    assert task["scale"] == pytest.approx([0.05, 0.05])
