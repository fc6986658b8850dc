"""The stations experiment on tiny recipes: parts, simpler answers, rows, leaks, checkpoints."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsphere.data.station_objectives import seasons
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.experiments import stations as stations_module
from deepsphere.experiments import stations_report
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.reading import read_recipe
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.stations import (
    check_run,
    experiment_fingerprint,
    key_fingerprint,
    run_keys,
)
from deepsphere.experiments.stations_config import BASELINES, StationsRecipe
from deepsphere.experiments.stations_data import (
    ObjectiveParts,
    graph_options,
    hidden_stations,
    objective_parts,
    open_parts,
)
from deepsphere.experiments.stations_record import StationKey
from deepsphere.experiments.stations_records import (
    digest_of_records,
    named_variable,
    open_records,
    shuffled_records,
    variables_of,
)
from deepsphere.experiments.stations_rows import row_names
from deepsphere.experiments.stations_run import build_module, data_of, training_of
from deepsphere.experiments.stations_scores import (
    baselines_of,
    predict_scored,
    score,
    scored_targets,
)
from deepsphere.experiments.stations_single import (
    _training_of,
    evaluate_one,
    train_one,
    train_request,
)
from deepsphere.experiments.trainable import experiment_of_metadata
from deepsphere.experiments.training_request import TrainingRequest
from deepsphere.training import Metadata, load, read_metadata
from deepsphere.training.station_predictor import station_predictor_of

CPU = RunOptions(accelerator="cpu")
GRAPH = {"weights": "gaussian", "num_neighbors": 5}
WIDE: dict[str, Any] = {
    "name": "P = 1",
    "graph": GRAPH,
    "config": {"kernel_size": 2},
}
ALONE: dict[str, Any] = {
    "name": "P = 0",
    "graph": GRAPH,
    "config": {"kernel_size": 1},
}
DAY: dict[str, Any] = {"name": "next day", "kind": "next_day", "history": 3}
HIDDEN: dict[str, Any] = {"name": "hidden stations", "kind": "imputation"}
SEASON: dict[str, Any] = {"name": "season", "kind": "day_of_year"}
OTHER: dict[str, Any] = {
    "name": "maximum",
    "kind": "same_day",
    "inputs": ["tmin"],
    "targets": ["tmax"],
}
MINI: dict[str, Any] = {
    "experiment": "stations",
    "title": "mini",
    "simulation": {"num_stations": 20, "num_days": 100},
    "training": {"epochs": 1, "batch_size": 64, "num_threads": 1},
    "objectives": [DAY, HIDDEN],
    "networks": [WIDE, ALONE],
    "comparisons": [
        {"network": "P = 1", "rival": "P = 0"},
        {"network": "P = 1", "rival": "nearest"},
    ],
}


def mini(**changes: Any) -> StationsRecipe:
    return StationsRecipe.model_validate({**MINI, **changes})


def measures(output: Path) -> dict[str, float]:
    raw = json.loads((output / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["measured"] for row in raw["rows"]}


def first_parts(recipe: StationsRecipe) -> ObjectiveParts:
    return objective_parts(recipe, recipe.objectives[0], open_records(recipe, None))


def fresh_predictor(recipe: StationsRecipe, parts: ObjectiveParts):
    key = StationKey(parts.section, recipe.networks[0], 0)
    data = data_of(recipe, parts, key)
    return station_predictor_of(
        build_module(training_of(recipe, key, parts), key, data, metadata=Metadata())
    )


def some_records(num_days: int = 40, **channels: np.ndarray) -> StationRecords:
    """Records of ten stations that are complete unless values are given."""
    generator = np.random.default_rng(0)
    days = np.datetime64("2001-01-01") + np.arange(num_days)
    names = tuple(channels) or ("tavg",)
    given = channels or {"tavg": generator.normal(size=(num_days, 10))}
    values = np.stack([given[name] for name in names], axis=-1)
    return station_records(
        np.arange(10.0) * 3, np.arange(10.0) ** 1.5, values, days, channel_names=names
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment with all kinds of objectives, with its report."""
    output = tmp_path_factory.mktemp("stations") / "out"
    recipe = mini(
        simulation={"num_stations": 12, "num_days": 540},
        objectives=[DAY, HIDDEN, SEASON, OTHER],
        networks=[WIDE],
        comparisons=[{"network": "P = 1", "rival": "nearest"}],
    )
    reproduce(recipe, output, command="c", options=CPU)
    return output


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of trainings that are run from now on; no report is written."""
    names: list[str] = []
    run_network = stations_module.run_network

    def note(recipe: StationsRecipe, key: Any, *arguments: Any, **options: Any):
        names.append(key.folder)
        return run_network(recipe, key, *arguments, **options)

    monkeypatch.setattr(stations_module, "run_network", note)
    monkeypatch.setattr(stations_report, "write_report", lambda output, *_, **__: output / "none")
    return names


# parts


def test_every_network_learns_every_objective_from_every_seed():
    recipe = mini(seeds=[0, 7])
    keys = run_keys(recipe, open_parts(recipe, data=None))
    assert [key.folder for key in keys[:4]] == [
        "next-day-p-1-seed0",
        "next-day-p-0-seed0",
        "hidden-stations-p-1-seed0",
        "hidden-stations-p-0-seed0",
    ]
    assert keys[-1].title == "hidden stations, P = 0, seed 7"


@pytest.mark.parametrize("scored_on", ["validation", "test"])
def test_what_is_scored_is_never_learned_from(scored_on):
    recipe = mini(data={"scored_on": scored_on})
    parts = first_parts(recipe)
    train = parts.splits.train
    targets = scored_targets(parts)
    assert len(train) == 70
    first = 85 if scored_on == "test" else 70
    days = np.datetime64("2010-01-01") + np.arange(first, first + 15)
    np.testing.assert_array_equal(targets.times, days.astype("datetime64[s]"))
    assert train.times[-1] < targets.times[0]


def test_parts_begin_at_the_dates_that_are_given():
    recipe = mini(data={"validation_start": "2010-02-10", "test_start": "2010-03-01"})
    parts = first_parts(recipe)
    assert parts.splits.train.times[-1] == np.datetime64("2010-02-09", "s")
    assert scored_targets(parts).times[0] == np.datetime64("2010-03-01", "s")
    assert "learned from 40 days from 2010-01-01 to 2010-02-09" in parts.note


def test_without_validation_the_test_follows_what_is_learned():
    recipe = mini(data={"validation_fraction": 0.0, "test_fraction": 0.3})
    parts = first_parts(recipe)
    assert parts.splits.validation is None
    assert len(parts.splits.train) == 70
    assert len(scored_targets(parts).times) == 30
    data = data_of(recipe, parts, StationKey(parts.section, recipe.networks[0], 0))
    assert data.validation is None


def test_records_are_cut_before_they_are_split():
    recipe = mini(data={"start": "2010-01-11", "most_days": 50, "most_stations": 12})
    records = open_records(recipe, None)
    assert (len(records), records.num_stations) == (50, 12)
    assert records.times[-1] == np.datetime64("2010-04-10", "s")
    whole = open_records(mini(data={"stop": "2010-02-01"}), None)
    assert len(whole) == 31
    assert set(records.ids) <= set(whole.ids)


def test_temperature_is_what_a_file_has():
    section = mini().data
    values = np.ones((40, 10))
    both = some_records(tmin=values, tmax=values)
    assert named_variable("temperature", both, section) == "tmax"
    assert named_variable("temperature", some_records(tavg=values), section) == "tavg"
    assert named_variable("temperature", some_records(tmin=values), section) == "tmin"
    assert named_variable("temperature", some_records(temperature=values), section) == "temperature"
    chosen = mini(data={"temperature": "tmin"}).data
    assert named_variable("temperature", both, chosen) == "tmin"
    assert named_variable("prcp", both, section) == "prcp"


def test_rules_choose_the_stations():
    values = np.random.default_rng(3).normal(size=(40, 10)).astype(np.float32)
    values[3, 0] = np.nan  # a gap of one day
    values[:, 1] = np.nan  # never reports
    values[:30, 2] = np.nan  # reports at a quarter of the days
    records = some_records(tavg=values)
    found = {}
    for rule in ("all", "complete", "filled"):
        recipe = mini(data={"rule": rule})
        found[rule] = objective_parts(recipe, recipe.objectives[0], records)
    assert [parts.scored.num_stations for parts in found.values()] == [9, 7, 8]
    assert np.isnan(found["all"].splits.train.values).any()
    assert not np.isnan(found["filled"].splits.train.values).any()
    # what is filled is not scored
    values[:, 1:3], values[38] = 0.0, np.nan
    recipe = mini(data={"rule": "filled", "min_fraction": 0.5})
    parts = objective_parts(recipe, recipe.objectives[0], some_records(tavg=values))
    targets = scored_targets(parts)
    assert np.isnan(targets.values[targets.times == records.times[38]]).all()


def test_hidden_stations_are_not_filled_into_others():
    recipe = mini(data={"rule": "filled"}, objectives=[HIDDEN])
    parts = objective_parts(recipe, recipe.objectives[0], open_records(recipe, None))
    assert np.isnan(parts.splits.train.values).any()


def test_graph_has_no_more_neighbors_than_there_are_stations():
    network = mini().networks[0]
    assert graph_options(network, 4)["num_neighbors"] == 3
    assert graph_options(network, 40) == {**GRAPH, "disconnected": "allow"}


def test_a_fifth_of_the_stations_is_hidden_and_always_the_same():
    section = mini().data
    hidden = hidden_stations(50, section)
    assert hidden.sum() == 10
    np.testing.assert_array_equal(hidden, hidden_stations(50, section))
    assert (hidden != hidden_stations(50, mini(data={"hidden_seed": 1}).data)).any()
    with pytest.raises(ValueError, match=r"must hide some of 2 stations and not all, got 0\.2"):
        hidden_stations(2, section)


# objectives that records do not allow


def test_objectives_without_their_variables_are_left_out_with_a_note(tmp_path):
    path = tmp_path / "tavg.npz"
    records = some_records()
    np.savez(
        path,
        lat=records.lat_deg,
        lon=records.lon_deg,
        dates=np.datetime_as_string(records.times, unit="D"),
        tavg_c=records.column("tavg"),
    )
    recipe = mini(objectives=[DAY, OTHER, SEASON])
    parts = open_parts(recipe, data=path)
    assert list(parts.objectives) == ["next day"]
    assert any("maximum is left out: data must hold measurements of tmin" in n for n in parts.notes)
    assert any("season is left out: data must hold a year" in note for note in parts.notes)
    needed = mini(objectives=[DAY, {**OTHER, "optional": False}])
    with pytest.raises(ValueError, match="data must hold measurements of tmin, got tavg"):
        open_parts(needed, data=path)
    with pytest.raises(ValueError, match="must allow one of the objectives of the recipe, got no"):
        open_parts(mini(objectives=[SEASON]), data=path)
    recipe = mini(objectives=[{**OTHER, "inputs": ["prcp"], "targets": ["snow"]}])
    with pytest.raises(ValueError, match="must hold one of prcp, snow, got tavg; say which is a t"):
        open_parts(recipe, data=path)


def test_too_few_days_are_refused():
    recipe = mini(objectives=[{**DAY, "history": 9}])
    with pytest.raises(ValueError, match="10 days in a row in every part, got 8 days"):
        objective_parts(recipe, recipe.objectives[0], some_records(12))


def test_silent_records_are_refused(monkeypatch):
    silent = some_records(tavg=np.full((40, 10), np.nan))
    monkeypatch.setattr("deepsphere.experiments.stations_records._read", lambda data, state: silent)
    with pytest.raises(ValueError, match="must hold measurements of tavg, got none in these days"):
        open_records(mini(), Path("/"))


def test_only_some_objectives_are_run_where_they_are_named():
    recipe = mini(objectives=[DAY, HIDDEN, SEASON], only="imputation")
    assert [objective.name for objective in recipe.chosen] == ["hidden stations"]
    assert [of.name for of in mini(only=["next-day"]).chosen] == ["next day"]
    assert variables_of(recipe, open_records(recipe, None)) == ("tavg",)
    with pytest.raises(ValueError, match="only must be some of 'next-day', 'hidden-stations', g"):
        mini(only=["rain"])


def test_recipe_about_a_file_needs_it():
    recipe = mini(needs_data="It is over there.")
    with pytest.raises(ValueError, match=r"must name the records of this recipe.*over there"):
        check_run(recipe, CPU, None)
    with pytest.raises(ValueError, match="must name the records of this recipe"):
        digest_of_records(recipe, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": [{**OTHER, "targets": []}]}, "targets must be other variables"),
        ({"objectives": [{**OTHER, "targets": ["tmin"]}]}, "targets must be other variables"),
        ({"objectives": [{**SEASON, "targets": ["tmin"]}]}, "targets must be left out for day_of"),
        ({"objectives": [DAY, DAY]}, "objectives must differ in name, got 'next-day' twice"),
        ({"networks": [{**WIDE, "graph": None}]}, "graph must be given, got none"),
        ({"networks": [{**WIDE, "name": "kriging"}]}, "got 'kriging' twice"),
        ({"comparisons": [{"network": "P = 9", "rival": "P = 0"}]}, "must be of P = 1, P = 0"),
        ({"comparisons": [{"network": "P = 1", "rival": "P = 9"}]}, "must be with P = 1, P = 0"),
        ({"training": {"features": ["elevation", "elevation"]}}, "features must differ in name"),
        ({"objectives": [{**DAY, "training": {"epoch": 3}}]}, "Extra inputs"),
        (
            {"data": {"scored_on": "validation", "validation_fraction": 0.0}},
            "scored_on must be 'test' without a validation",
        ),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mini(**changes)


def test_unknown_arguments_of_a_network_are_named():
    recipe = mini(networks=[{**WIDE, "config": {"colour": 3}}], comparisons=[])
    with pytest.raises(
        ValueError, match=r"networks.config of 'P = 1', and obj.* must hold arguments"
    ):
        fresh_predictor(recipe, first_parts(recipe))


def test_objective_decides_about_what_a_network_leaves_open():
    recipe = mini(objectives=[{**DAY, "config": {"channels": [3, 4], "kernel_size": 9}}])
    network = fresh_predictor(recipe, first_parts(recipe)).model
    assert tuple(network.config["channels"]) == (3, 4)
    assert network.config["kernel_size"] == 2


def test_values_of_a_training_are_those_of_recipe_then_objective_then_network():
    recipe = mini(
        training={"epochs": 1, "batch_size": 2, "loss": "l1"},
        objectives=[{**DAY, "training": {"epochs": 5, "batch_size": 3}}],
        networks=[{**WIDE, "training": {"batch_size": 4}}, ALONE],
    )
    training = recipe.of(recipe.objectives[0]).training_of(recipe.networks[0])
    assert (training.epochs, training.batch_size, training.loss) == (5, 4, "l1")


def test_few_days_are_seen_in_more_epochs():
    recipe = mini(training={**MINI["training"], "least_steps": 7})
    parts = first_parts(recipe)  # 67 windows, so 2 batches
    key = StationKey(parts.section, recipe.networks[0], 0)
    assert training_of(recipe, key, parts).epochs == 4
    enough = mini(training={**MINI["training"], "least_steps": 7, "epochs": 5})
    assert training_of(enough, key, parts).epochs == 5
    assert training_of(enough, key, parts).batch_size == 64
    # where more epochs are not allowed, smaller batches make the steps
    for most in (1, 2, 3):
        bounded = mini(training={**MINI["training"], "least_steps": 7, "most_epochs": most})
        training = training_of(bounded, key, parts)
        assert training.epochs <= most
        data = data_of(bounded, parts, key)
        assert len(data.train_dataloader()) * training.epochs >= 7
        assert training.epochs * np.ceil(67 / training.batch_size) >= 7


# answers without a network


def naive_mse(predicted: np.ndarray, observed: np.ndarray) -> float:
    return float(np.nanmean((predicted - observed) ** 2))


def test_baselines_of_the_next_day_are_those_of_their_definitions():
    recipe = mini(objectives=[{**DAY, "history": 1}])
    records = some_records()
    parts = objective_parts(recipe, recipe.objectives[0], records)
    answers = baselines_of(recipe, parts)
    assert set(answers) == set(BASELINES["next_day"])
    values = records.column("tavg").astype(np.float64)
    found = score(answers["persistence"](), parts)
    assert found["mse"] == pytest.approx(naive_mse(values[33:39], values[34:40]), rel=1e-5)
    slopes = [np.polyfit(values[:27, k], values[1:28, k], 1) for k in range(10)]
    fitted = np.stack([np.polyval(slope, values[33:39, k]) for k, slope in enumerate(slopes)], 1)
    # the penalty shrinks slopes of noise; without it they are these
    assert found["mse"] > score(answers["ridge"](), parts)["mse"]
    assert score(answers["ridge"](), parts)["mse"] < 1.2 * naive_mse(fitted, values[34:40])


def test_ridge_of_the_same_day_is_a_line_at_each_station():
    generator = np.random.default_rng(5)
    low = generator.normal(size=(40, 10))
    slope, shift = generator.normal(size=(2, 10))
    recipe = mini(objectives=[OTHER])
    records = some_records(tmin=low, tmax=slope * low + shift)
    parts = objective_parts(recipe, recipe.objectives[0], records)
    found = baselines_of(recipe, parts)["ridge"]()
    np.testing.assert_allclose(found, records.values[34:, :, 1:], atol=1e-3)


def test_season_is_told_by_all_stations_together():
    recipe = mini(simulation={"num_stations": 12, "num_days": 2000}, objectives=[SEASON])
    parts = first_parts(recipe)
    targets = scored_targets(parts)
    np.testing.assert_allclose(targets.values[:, 0, 0], seasons(targets.times))
    assert score(baselines_of(recipe, parts)["linear"](), parts)["r2"] > 0.5


def test_nearest_station_stands_for_the_hidden_ones():
    recipe = mini(objectives=[HIDDEN])
    parts = first_parts(recipe)
    assert parts.hidden is not None
    targets = scored_targets(parts)
    assert np.isnan(targets.values[:, ~parts.hidden]).all()
    values = parts.scored.values[targets.rows, :, 0]
    points = parts.scored.sampling.points
    expected = np.full(values.shape, np.nan)
    for day, row in enumerate(values):
        shown = np.flatnonzero(~parts.hidden & ~np.isnan(row))
        nearest = shown[np.argmax(points @ points[shown].T, axis=1)]
        expected[day] = row[nearest]
    found = baselines_of(recipe, parts)["nearest"]()[..., 0]
    np.testing.assert_allclose(found[:, parts.hidden], expected[:, parts.hidden])


def test_kriging_with_lapse_rate_needs_an_elevation(tmp_path):
    recipe = mini(objectives=[HIDDEN], data={"rule": "complete"})
    records = some_records()
    parts = objective_parts(recipe, recipe.objectives[0], records)
    assert set(BASELINES["imputation"]) - set(baselines_of(recipe, parts)) == {
        "kriging with lapse rate"
    }
    known = replace(records, elevation_m=np.arange(10.0))
    parts = objective_parts(recipe, recipe.objectives[0], known)
    assert set(BASELINES["imputation"]) == set(baselines_of(recipe, parts))


@pytest.mark.parametrize("section", [DAY, HIDDEN])
def test_a_day_on_which_all_are_silent_is_told_about_and_not_scored(section):
    recipe = mini(objectives=[section])
    records = open_records(recipe, None)
    values = records.values.copy()
    values[[20, 90, 93]] = np.nan
    parts = objective_parts(recipe, recipe.objectives[0], replace(records, values=values))
    targets = scored_targets(parts)
    silent = np.isin(targets.times, records.times[[90, 93]])
    assert silent.sum() == 2
    assert np.isnan(targets.values[silent]).all()
    told = {name: answer() for name, answer in baselines_of(recipe, parts).items()}
    told["network"] = predict_scored(fresh_predictor(recipe, parts), parts)
    for name, values in told.items():
        found = score(values, parts)["mse"]
        assert found == pytest.approx(naive_mse(values, targets.values), rel=1e-4), name


# leaks


@pytest.mark.parametrize("method", ["network", *BASELINES["next_day"]])
def test_next_day_never_reads_the_day_that_it_tells_or_a_later_one(method):
    recipe = mini(objectives=[DAY])
    parts = first_parts(recipe)
    rows = scored_targets(parts).rows
    day = rows[6]
    changed = parts.scored.values.copy()
    changed[day:] = 99.0
    other = replace(parts, scored=replace(parts.scored, values=changed))
    predictor = fresh_predictor(recipe, parts)
    told, told_of_other = (
        predict_scored(predictor, of) if method == "network" else baselines_of(recipe, of)[method]()
        for of in (parts, other)
    )
    np.testing.assert_allclose(told[:7], told_of_other[:7], rtol=1e-5)
    if method != "climatology":
        assert np.abs(told[7:] - told_of_other[7:]).max() > 1


@pytest.mark.parametrize("method", ["network", *BASELINES["imputation"]])
def test_hidden_stations_are_never_read(method):
    recipe = mini(objectives=[HIDDEN])
    parts = first_parts(recipe)
    assert parts.hidden is not None

    def scrambled(records: StationRecords) -> StationRecords:
        values = records.values.copy()
        values[:, parts.hidden] = np.where(np.isnan(values[:, parts.hidden]), np.nan, 77.0)
        return replace(records, values=values)

    splits = type(parts.splits)(*(scrambled(part) for part in parts.splits if part is not None))
    other = replace(parts, splits=splits, scored=scrambled(parts.scored))
    told, told_of_other = (
        predict_scored(fresh_predictor(recipe, of), of)
        if method == "network"
        else baselines_of(recipe, of)[method]()
        for of in (parts, other)
    )
    np.testing.assert_allclose(
        told[:, parts.hidden], told_of_other[:, parts.hidden], rtol=1e-4, atol=1e-4
    )


def test_what_comes_after_the_training_decides_nothing_in_it():
    recipe = mini(objectives=[DAY])
    records = open_records(recipe, None)
    values = records.values.copy()
    values[70:] = np.where(np.isnan(values[70:]), np.nan, -50.0)
    later = objective_parts(recipe, recipe.objectives[0], replace(records, values=values))
    parts = objective_parts(recipe, recipe.objectives[0], records)
    key = StationKey(parts.section, recipe.networks[0], 0)
    data, data_of_later = (data_of(recipe, of, key) for of in (parts, later))
    assert data.preparation.values == data_of_later.preparation.values
    assert data.task == data_of_later.task


def test_shuffling_keeps_what_was_measured_when_and_by_whom():
    records = open_records(mini(), None)
    shuffled = shuffled_records(records, [70, 15, 15])
    np.testing.assert_array_equal(np.isnan(shuffled.values), np.isnan(records.values))
    for part in (slice(0, 70), slice(70, 85), slice(85, 100)):
        before, after = (np.sort(of.values[part].ravel()) for of in (records, shuffled))
        np.testing.assert_array_equal(before, after)
    assert np.nanmean(np.abs(shuffled.values - records.values)) > 1


def test_scores_of_shuffled_targets_are_those_of_chance(tmp_path, trained):
    recipe = mini(
        data={"targets": "shuffled"},
        simulation={"num_stations": 12, "num_days": 540},
        objectives=[DAY, HIDDEN, SEASON],
        networks=[WIDE],
        comparisons=[],
    )
    outcome = reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    found = measures(tmp_path / "out")
    scores = {name: value for name, value in found.items() if name.endswith(", R²")}
    assert len(scores) == 14
    assert max(scores.values()) < 0.05, scores
    assert any("all values are shuffled" in note for note in outcome.results.notes)


# what is measured


def test_claims_must_be_about_rows():
    claim = {"name": "next day, P = 1, RMSE", "required": 1.0}
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=[claim]), CPU, None)
    good = {"name": "next day, P = 1 over P = 0, MSE", "required": 1.0, "better": "lower"}
    check_run(mini(claims=[good]), CPU, None)


@pytest.mark.parametrize("name", ["ghcn", "ghcn-original", "stations-graphs"])
def test_claims_of_recipes_are_about_rows(name):
    for quick in (False, True):
        check_run(read_recipe(name, quick=quick), CPU, Path("folder"))


def test_experiment_writes_all_rows_and_a_report(finished):
    recipe = mini(
        objectives=[DAY, HIDDEN, SEASON, OTHER],
        networks=[WIDE],
        comparisons=[{"network": "P = 1", "rival": "nearest"}],
    )
    found = measures(finished)
    assert list(found) == row_names(recipe)
    ratio = found["hidden stations, P = 1, MAE"] / found["hidden stations, nearest, MAE"]
    assert found["hidden stations, P = 1 over nearest, MAE"] == pytest.approx(ratio)
    page = (finished / "report.html").read_text(encoding="utf-8")
    for words in ("Next day", "Hidden stations", "Season", "The stations", "Training"):
        assert words in page
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert {
        "stations.png",
        "next-day-errors.png",
        "hidden-stations-errors.png",
        "season-seasons.png",
        "season-training.png",
    } <= figures


def test_units_are_those_of_the_targets(finished):
    raw = json.loads((finished / "results.json").read_text(encoding="utf-8"))
    units = {row["name"]: row["unit"] for row in raw["rows"]}
    assert units["next day, P = 1, MSE"] == "°C²"
    assert units["maximum, P = 1, MAE"] == "°C"
    assert units["season, P = 1, MAE"] == ""
    assert units["next day, P = 1, MRE"] == "%"


def test_finished_trainings_are_kept_and_new_ones_added(tmp_path, trained):
    output = tmp_path / "out"
    reproduce(mini(networks=[ALONE], comparisons=[]), output, command="c", options=CPU)
    assert trained == ["next-day-p-0-seed0", "hidden-stations-p-0-seed0"]
    first = measures(output)
    baselines = (output / "runs" / "next-day-baselines.json").stat().st_mtime_ns
    more = mini(networks=[ALONE], comparisons=[], seeds=[0, 1], title="more", only="next-day")
    reproduce(more, output, command="c", options=CPU)
    assert trained[2:] == ["next-day-p-0-seed1"]
    assert (output / "runs" / "next-day-baselines.json").stat().st_mtime_ns == baselines
    record = json.loads((output / "runs" / trained[0] / "run.json").read_text())
    assert record["scores"]["mse"] == first["next day, P = 0, MSE"]


def test_interrupted_training_goes_on_to_the_same_numbers(tmp_path, trained):
    recipe = mini(networks=[WIDE], comparisons=[], objectives=[HIDDEN])
    for folder in ("whole", "broken"):
        reproduce(recipe, tmp_path / folder, command="c", options=CPU)
    (tmp_path / "broken" / "runs" / "hidden-stations-p-1-seed0" / "run.json").unlink()
    reproduce(recipe, tmp_path / "broken", command="c", options=CPU)
    assert trained == ["hidden-stations-p-1-seed0"] * 3
    assert measures(tmp_path / "broken") == measures(tmp_path / "whole")


def test_fingerprints_change_with_what_decides_and_with_nothing_else():
    recipe = mini()
    same = mini(title="other", seeds=[5], networks=[ALONE], comparisons=[], objectives=[DAY])
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(same, None)
    for section, values in (("simulation", {"seed": 1}), ("data", {"targets": "shuffled"})):
        other = mini(**{section: {**MINI.get(section, {}), **values}})
        assert experiment_fingerprint(recipe, None) != experiment_fingerprint(other, None)

    def of(recipe: StationsRecipe) -> str:
        key = StationKey(recipe.objectives[0], recipe.networks[0], 0)
        return key_fingerprint(recipe, key, first_parts(recipe), "d")

    assert of(recipe) == of(mini(networks=[WIDE], comparisons=[]))
    assert of(recipe) != of(mini(training={**MINI["training"], "epochs": 2}))
    # what bounds the epochs decides where they follow from the number of steps
    steps = {**MINI["training"], "least_steps": 50}
    assert of(mini(training=steps)) != of(mini(training={**steps, "most_epochs": 9}))
    assert of(recipe) == of(mini(training={**MINI["training"], "most_epochs": 9}))
    assert of(recipe) != of(mini(objectives=[{**DAY, "history": 4}]))
    assert of(recipe) != of(mini(objectives=[{**DAY, "training": {"epochs": 2}}]))


def test_digest_is_that_of_the_values(tmp_path):
    path = tmp_path / "table.csv"
    records = some_records()
    digests = []
    for shift in (0.0, 0.0, 0.125):
        lines = ["lon,lat,date,tavg"] + [
            f"{lon},{lat},{str(time)[:10]},{value + shift:.4f}"
            for time, row in zip(records.times, records.column("tavg"), strict=True)
            for lon, lat, value in zip(records.lon_deg, records.lat_deg, row, strict=True)
        ]
        path.write_text("\n".join(lines), encoding="utf-8")
        digests.append(digest_of_records(mini(), path))
    assert digests[0] == digests[1] != digests[2]


# one network


def test_checkpoint_alone_gives_the_scores_of_its_training(tmp_path, trained):
    recipe = mini(networks=[WIDE], comparisons=[])
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    whole = measures(tmp_path / "out")
    for name in ("next day", "hidden stations"):
        slug = name.replace(" ", "-")
        checkpoint = tmp_path / "out" / "runs" / f"{slug}-p-1-seed0" / "model.ckpt"
        assert experiment_of_metadata(read_metadata(checkpoint)) == "stations"
        results = evaluate_one(checkpoint, command="c", output=tmp_path / slug)
        found = {row.name: row.measured for row in results.rows}
        for row, value in whole.items():
            objective, method, measure = (*row.split(", "), "")[:3]
            if objective == name and measure != "parameters":
                alone = f"{'network' if method == 'P = 1' else method}, {measure}"
                assert found[alone] == pytest.approx(value, rel=1e-6), row
        assert (tmp_path / slug / "results.json").exists()
        with pytest.raises(FileExistsError, match="must not hold results"):
            evaluate_one(checkpoint, command="c", output=tmp_path / slug)


def test_filters_are_taken_to_other_stations(tmp_path):
    recipe = mini(objectives=[DAY])
    parts = open_parts(recipe, data=None)
    summary = train_one(recipe, run_keys(recipe, parts)[0], tmp_path / "out", options=CPU)
    other = tmp_path / "other.npz"
    records = some_records()
    np.savez(
        other,
        lat=records.lat_deg,
        lon=records.lon_deg,
        dates=np.datetime_as_string(records.times, unit="D"),
        tavg_c=records.column("tavg"),
    )
    results = evaluate_one(summary.checkpoint, command="c", data=other)
    assert any("not the stations of the training" in note for note in results.notes)
    assert {row.name for row in results.rows} >= {"network, MSE", "persistence, MSE"}
    # trained on a file, there is nothing to simulate
    key = run_keys(recipe, open_parts(recipe, data=other))[0]
    summary = train_one(recipe, key, tmp_path / "file", data=other, options=CPU)
    with pytest.raises(ValueError, match=r"must name the records that the network was .* --data"):
        evaluate_one(summary.checkpoint, command="c")


def test_request_trains_the_network_and_objective_that_are_named(tmp_path):
    request = TrainingRequest(
        overrides={
            "simulation.num_stations": 16,
            "simulation.num_days": 60,
            "only": "imputation",
        },
        network="p-0",
        epochs=1,
        seed=3,
    )
    summary = train_request(request, tmp_path / "o", resume=False, overwrite=False, options=CPU)
    training = read_metadata(summary.checkpoint).training or {}
    assert (training["network"]["name"], training["seed"], summary.num_epochs) == ("P = 0", 3, 1)
    assert training["objective"]["kind"] == "imputation"
    assert "3 of them hidden" in summary.notes[0]
    with pytest.raises(ValueError, match="sampling must be left out for ghcn"):
        train_request(
            TrainingRequest(sampling="healpix:4"),
            tmp_path / "p",
            resume=False,
            overwrite=False,
            options=CPU,
        )


def test_checkpoint_that_does_not_say_its_stations_is_refused():
    with pytest.raises(ValueError, match="must say what stations it was trained on"):
        _training_of(Metadata())


def test_objective_may_have_a_graph_of_its_own():
    own = {**HIDDEN, "graph": {"weights": "gaussian", "num_neighbors": 3}}
    recipe = mini(objectives=[own, DAY])
    records = open_records(recipe, None)
    graphs = []
    for section in recipe.objectives:
        parts = objective_parts(recipe, section, records)
        data = data_of(recipe, parts, StationKey(section, recipe.networks[0], 0))
        graphs.append(data.network(kernel_size=2).pyramid.graphs[0].options.num_neighbors)
    assert graphs == [3, 5]


def test_corrections_that_are_shrunken_are_no_worse_on_the_validation(tmp_path):
    errors = {}
    for corrections in ("learned", "shrunken"):
        hidden = {**HIDDEN, "training": {"corrections": corrections, "epochs": 2}}
        recipe = mini(objectives=[hidden])
        parts = first_parts(recipe)
        key = StationKey(parts.section, recipe.networks[0], 0)
        folder = tmp_path / corrections
        train_one(recipe, key, folder, options=CPU, overwrite=False)
        module = load(folder / "model.ckpt")
        data = data_of(recipe, parts, key)
        task = data.regression(loss="l2")
        losses = [task.loss(module(x), y).item() for x, y in data.val_dataloader()]
        errors[corrections] = np.mean(losses)
    assert errors["shrunken"] <= errors["learned"]


def test_variable_that_a_part_lacks_leaves_its_objective_out():
    generator = np.random.default_rng(0)
    early = generator.normal(size=(40, 10))
    early[25:] = np.nan  # nothing in the validation and the test
    records = some_records(tmin=early, tmax=generator.normal(size=(40, 10)))
    recipe = mini(objectives=[OTHER])
    with pytest.raises(
        ValueError, match="data must hold tmin in every part, got 6 days from 2001-"
    ):
        objective_parts(recipe, recipe.objectives[0], records)
