"""The experiment on blocks on a mini recipe: what a block changes, rows, resumption, report."""

import json
from pathlib import Path

import pytest

from deepsphere.experiments import blocks as blocks_module
from deepsphere.experiments.blocks import (
    BlockRecords,
    build_levels,
    check_run,
    experiment_fingerprint,
    maps_fingerprint,
    points_behind_best,
    result_rows,
)
from deepsphere.experiments.blocks_config import BlocksRecipe, MapsTraining
from deepsphere.experiments.blocks_unet import MapsRecord
from deepsphere.experiments.digits_record import RunRecord, Score
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.results import mean_and_error
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.training_record import read_record

CPU = RunOptions(accelerator="cpu")
MINI = {
    "experiment": "blocks",
    "title": "mini",
    "seeds": [0, 1],
    "graph": {"sampling": "healpix:4", "num_neighbors": 8, "weights": "gaussian"},
    "data": {"num_train": 60, "num_test": 20, "test_rotations": 1},
    "model": {"channels": [2, 3], "kernel_size": 2},
    "training": {"epochs": 1},
    "blocks": [{"name": "plain"}, {"name": "Mean pooling!", "pooling": "mean", "kernel_size": 3}],
    "maps": {"max_degree": 2, "num_train": 10, "num_scored": 4},
    "unet": {"channels": [2, 3], "stem_channels": 2, "kernel_size": 2},
    "maps_training": {"epochs": 1},
    "unet_blocks": [{"name": "plain", "num_neighbors": 12}],
}


def mini(**changes: object) -> BlocksRecipe:
    return BlocksRecipe.model_validate({**MINI, **changes})


def record_with(accuracy: float) -> RunRecord:
    return RunRecord(
        fingerprint="f",
        num_parameters=7,
        seconds_training=2.0,
        seconds_scoring=1.0,
        history=[{"epoch": 0}],
        unrotated=Score(accuracy=accuracy, confusion=[[1]]),
        rotated=Score(accuracy=accuracy - 10, confusion=[[1]]),
        change=0.5,
    )


def maps_record(**changes: object) -> MapsRecord:
    values: dict[str, object] = {
        "fingerprint": "f",
        "num_parameters": 9,
        "seconds_training": 4.0,
        "history": [],
        "unrotated": 90.0,
        "rotated": 80.0,
        "change": 0.2,
    }
    return MapsRecord.model_validate({**values, **changes})


def test_block_changes_what_it_names_and_nothing_else():
    recipe = mini()
    plain, pooled = (recipe.digits_recipe(block) for block in recipe.blocks)
    assert plain.model == recipe.model
    assert plain.graph == recipe.graph
    changed = {"pooling": "mean", "kernel_size": 3}
    assert pooled.model.model_dump() == {**recipe.model.model_dump(), **changed}
    assert recipe.graph_of(recipe.unet_blocks[0]).num_neighbors == 12
    assert recipe.unet_of(recipe.unet_blocks[0]) == recipe.unet


def test_unet_works_on_the_graph_of_its_block():
    recipe = mini()
    pyramid = build_levels(recipe, recipe.unet_blocks[0])
    assert [graph.num_vertices for graph in pyramid.graphs] == [192, 48]
    assert pyramid.graphs[0].options.num_neighbors == 12


@pytest.mark.parametrize("names", [("k = 8", "K: 8"), ("?", "plain")])
def test_blocks_without_a_name_of_their_own_are_rejected(names: tuple[str, str]):
    with pytest.raises(ValueError, match="blocks must differ in the letters and numbers"):
        mini(blocks=[{"name": name} for name in names])


def test_repeated_seeds_are_rejected():
    with pytest.raises(ValueError, match=r"seeds must differ, got \[3, 3\]; name each one once"):
        mini(seeds=[3, 3])


def test_impossible_digits_are_rejected_when_read():
    with pytest.raises(ValueError, match=r"data\.validation_fraction must be positive"):
        mini(data={"scored_on": "validation"})


def test_early_stopping_of_the_maps_is_rejected():
    with pytest.raises(ValueError, match="early_stopping must be left out, got 3"):
        MapsTraining(early_stopping=3)


def test_claim_about_nothing_is_rejected():
    recipe = mini(claims=[{"name": "digits, plain, speed", "required": 1.0}])
    with pytest.raises(ValueError, match="claims must be about a measured row, got 'digits, plain"):
        check_run(recipe, CPU, None)


def test_claims_of_the_recipe_are_about_rows():
    check_run(read_recipe("blocks", recipe_type=BlocksRecipe), CPU, None)


def test_fingerprint_of_the_folder_lets_blocks_be_added_and_that_of_a_run_does_not():
    recipe = mini()
    more = mini(blocks=[*MINI["blocks"], {"name": "third"}], seeds=[0])
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(more, None)
    other = mini(training={"epochs": 2})
    assert experiment_fingerprint(recipe, None) != experiment_fingerprint(other, None)
    deeper = mini(unet_blocks=[{"name": "plain", "num_neighbors": 12, "kernel_size": 4}])
    prints = [maps_fingerprint(each, each.unet_blocks[0]) for each in (recipe, more, deeper)]
    assert prints[0] == prints[1] != prints[2]


def test_points_behind_the_best_are_counted_among_blocks_of_one_kernel_size():
    recipe = mini(
        blocks=[{"name": "a"}, {"name": "b"}, {"name": "c", "kernel_size": 5}],
    )
    accuracies = {"a": [90.0, 94.0], "b": [95.0, 91.0], "c": [99.0, 99.0]}
    records = BlockRecords(
        digits={name: [record_with(value) for value in of] for name, of in accuracies.items()}
    )
    behind = [points_behind_best(recipe, records, block) for block in recipe.blocks]
    # b is best on average; seed by seed it need not be
    assert behind == [[5.0, -3.0], [0.0, 0.0], [0.0, 0.0]]


def test_rows_are_means_over_the_seeds():
    recipe = mini(
        claims=[{"name": "maps, plain, rotation error", "required": 0.3, "better": "lower"}]
    )
    records = BlockRecords(
        digits={
            "plain": [record_with(90.0), record_with(92.0)],
            "Mean pooling!": [record_with(70.0), record_with(70.0)],
        },
        maps={"plain": [maps_record(change=0.2), maps_record(change=0.3)]},
    )
    rows = {row.name: row for row in result_rows(recipe, records)}
    assert rows["digits, plain, accuracy NR/NR"].measured == pytest.approx(91.0)
    assert rows["digits, plain, accuracy NR/R"].measured == pytest.approx(81.0)
    assert rows["digits, plain, accuracy NR/NR"].seconds == pytest.approx(6.0)
    assert rows["digits, Mean pooling!, change"].measured == pytest.approx(0.5)
    assert rows["maps, plain, rotation error"].measured == pytest.approx(0.25)
    assert rows["maps, plain, rotation error"].ok
    assert rows["maps, plain, explained NR/R"].measured == pytest.approx(80.0)
    # the time of a run is counted once
    assert sum(row.seconds for row in rows.values()) == pytest.approx(6.0 + 6.0 + 8.0)


def test_record_of_the_maps_survives_and_a_foreign_one_is_not_read(tmp_path: Path):
    path = tmp_path / "run.json"
    record = maps_record()
    record.write(path)
    assert read_record(path, "f", MapsRecord) == record
    assert read_record(path, "g", MapsRecord) is None
    path.write_text("{", encoding="utf-8")
    assert read_record(path, "f", MapsRecord) is None
    assert read_record(tmp_path / "none.json", "f", MapsRecord) is None


@pytest.mark.parametrize(
    ("values", "unit", "words"),
    [
        ([97.0, 98.0], "%", "97.5 ± 0.5"),
        ([22122.0, 22122.0], "", "22,122"),
        ([0.25], "", "0.250"),
        ([22100.0, 22123.0], "", "22,111.5 ± 11.5"),
        ([0.33821, 0.33821 + 0.0012], "", "0.3388 ± 0.0006"),
        ([97.12, 97.16], "%", "97.14 ± 0.02"),
        ([0.5, 0.5 + 1e-12], "", "0.500"),
        ([2e-9, 4e-9], "", "3e-09 ± 1e-09"),
    ],
)
def test_mean_is_written_with_its_standard_error(values: list[float], unit: str, words: str):
    assert mean_and_error(values, unit) == words


def test_mean_has_the_digits_that_are_asked_for():
    assert mean_and_error([1.1304], digits=3) == "1.13"
    assert mean_and_error([0.26], digits=3) == "0.260"
    assert mean_and_error([-0.0123456], digits=3) == "-0.0123"
    assert mean_and_error([0.0], digits=3) == "0.000"


def test_finished_runs_are_kept_and_added_blocks_are_run(tmp_path: Path, monkeypatch):
    output = tmp_path / "out"
    first = reproduce(mini(seeds=[0]), output, command="c", options=CPU)
    names = [row.name for row in first.results.rows]
    assert len(names) == len(set(names)) == 2 * 5 + 4
    measured = {row.name: row.measured for row in first.results.rows}
    assert -1000 < measured["maps, plain, explained NR/NR"] <= 100
    report = first.report_path.read_text(encoding="utf-8")
    assert "Mean pooling!" in report
    assert (output / "figures" / "blocks-digits.png").is_file()
    assert (output / "figures" / "blocks-maps.png").is_file()

    trained: list[str] = []
    run_network, run_unet = blocks_module.run_network, blocks_module.run_unet

    def note_network(recipe, *arguments, **options):
        trained.append(recipe.title)
        return run_network(recipe, *arguments, **options)

    def note_unet(recipe, block, *arguments, **options):
        trained.append(block.name)
        return run_unet(recipe, block, *arguments, **options)

    monkeypatch.setattr(blocks_module, "run_network", note_network)
    monkeypatch.setattr(blocks_module, "run_unet", note_unet)
    more = [*MINI["blocks"], {"name": "subsampled", "pooling": "subsample"}]
    second = reproduce(mini(seeds=[0], blocks=more), output, command="c", options=CPU)
    assert trained == ["subsampled"]
    again = {row.name: row.measured for row in second.results.rows}
    for name, value in measured.items():
        if not name.endswith("behind the best"):
            assert again[name] == value
    assert json.loads((output / "results.json").read_text())["recipe"]["blocks"][2]["name"]


def test_dense_task_can_be_left_out(tmp_path: Path):
    recipe = mini(seeds=[0], blocks=[{"name": "plain"}], unet_blocks=[])
    outcome = reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    assert all(row.name.startswith("digits") for row in outcome.results.rows)
    assert not (tmp_path / "out" / "figures" / "blocks-maps.png").exists()
