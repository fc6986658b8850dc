"""The weather experiment on tiny recipes: parts, forecasts without a network, rows, checkpoints."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries, array_series
from deepsphere.experiments import weather as weather_module
from deepsphere.experiments import weather_report
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.run import reproduce
from deepsphere.experiments.trainable import experiment_of_metadata
from deepsphere.experiments.training_request import TrainingRequest
from deepsphere.experiments.weather import (
    check_run,
    experiment_fingerprint,
    network_fingerprint,
    run_keys,
)
from deepsphere.experiments.weather_config import BASELINES, WeatherRecipe
from deepsphere.experiments.weather_data import (
    WeatherParts,
    climatology_of,
    digest_of_fields,
    observed_vertices,
    open_fields,
    open_parts,
    windows_of,
)
from deepsphere.experiments.weather_rows import FieldNames, _known, row_names
from deepsphere.experiments.weather_run import build_domain, build_network
from deepsphere.experiments.weather_scores import (
    fit_fading,
    lead_scores,
    score_baselines,
    scored_starts,
)
from deepsphere.experiments.weather_single import (
    _training_of,
    evaluate_one,
    train_one,
    train_request,
)
from deepsphere.sampling import Healpix, Subset
from deepsphere.tasks import Forecasting
from deepsphere.training import Metadata, read_metadata

CPU = RunOptions(accelerator="cpu")
GRAPH: dict[str, Any] = {
    "name": "graph",
    "graph": {"weights": "gaussian", "num_neighbors": 8, "num_levels": 2},
    "config": {"channels": [4, 4], "kernel_size": 2, "residual_scale": 0.1},
}
ALONE: dict[str, Any] = {
    "name": "alone",
    "graph": {"weights": "gaussian", "num_neighbors": 8, "num_levels": 1},
    "config": {"channels": [4], "kernel_size": 1, "residual_scale": 0.1},
}
MINI: dict[str, Any] = {
    "experiment": "weather",
    "title": "mini",
    "simulation": {"sampling": "healpix:4", "num_times": 60, "max_degree": 4, "num_channels": 1},
    "data": {"leads": [1, 3], "climatology": "mean"},
    "training": {"epochs": 1, "input_lags": [-1, 0], "num_iterations": 2, "num_threads": 1},
    "networks": [GRAPH, ALONE],
    "comparisons": [
        {"network": "graph", "rival": "alone"},
        {"network": "graph", "rival": "climatology"},
    ],
}


def mini(**changes: Any) -> WeatherRecipe:
    return WeatherRecipe.model_validate({**MINI, **changes})


def changed(section: str, **values: Any) -> WeatherRecipe:
    return mini(**{section: {**MINI[section], **values}})


def measures(output: Path) -> dict[str, float]:
    raw = json.loads((output / "results.json").read_text(encoding="utf-8"))
    return {row["name"]: row["measured"] for row in raw["rows"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment on a sphere with land, with its report."""
    output = tmp_path_factory.mktemp("weather") / "out"
    recipe = mini(
        simulation={**MINI["simulation"], "land_fraction": 0.3},
        data={**MINI["data"], "vertices": "observed", "forecast": "anomalies"},
    )
    reproduce(recipe, output, command="c", options=CPU)
    return output


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the folders of trainings that are run from now on; no report is written."""
    names: list[str] = []
    run_network = weather_module.run_network

    def note(recipe: WeatherRecipe, key: Any, *arguments: Any, **options: Any):
        names.append(key.folder)
        return run_network(recipe, key, *arguments, **options)

    monkeypatch.setattr(weather_module, "run_network", note)
    monkeypatch.setattr(weather_report, "write_report", lambda output, *_, **__: output / "none")
    return names


# parts


def test_every_network_is_trained_from_every_seed():
    keys = run_keys(mini(seeds=[0, 7]))
    assert [key.folder for key in keys] == [
        "graph-seed0",
        "alone-seed0",
        "graph-seed7",
        "alone-seed7",
    ]
    assert keys[-1].title == "alone, seed 7"


def test_what_is_scored_is_never_learned_from():
    for learned_until in ("validation", "test"):
        for scored_on in ("validation", "test"):
            recipe = changed("data", learned_until=learned_until, scored_on=scored_on)
            parts = open_parts(recipe, data=None)
            assert parts.learned_until <= parts.scored[0]
            assert (parts.validation_start, parts.test_start) == (42, 51)
            assert parts.scored == ((51, 60) if scored_on == "test" else (42, 51))
            windows = windows_of(recipe, parts, recipe.training, seed=0)
            last = windows.windows["train"].target_indices([len(windows.windows["train"]) - 1])
            assert last.max() == parts.learned_until - 1
            assert ("validation" in windows.windows) == (parts.learned_until == 42)


def test_all_of_the_scored_times_are_forecast_at_every_lead():
    recipe = mini()
    parts = open_parts(recipe, data=None)
    assert scored_starts(recipe, parts).tolist() == list(range(48, 59))
    scores = score_baselines(recipe, parts)
    assert scores["persistence"].num_starts.tolist() == [9, 9, 9]


def test_parts_begin_at_the_dates_that_are_given():
    recipe = changed("data", validation_start="2000-01-08", test_start="2000-01-12T06")
    parts = open_parts(recipe, data=None)
    assert parts.series.times[parts.validation_start] == np.datetime64("2000-01-08T00", "s")
    assert parts.series.times[parts.test_start] == np.datetime64("2000-01-12T06", "s")
    assert "9 times" not in parts.notes[0]
    assert parts.notes[0].startswith("28 times to learn from (2000-01-01 to 2000-01-07T18:00), ")


def test_series_is_cut_before_it_is_split():
    recipe = changed("data", start="2000-01-03", stop="2000-01-09")
    series = open_fields(recipe, None)
    assert len(series) == 24
    assert series.times[0] == np.datetime64("2000-01-03", "s")


def test_computed_fields_are_seen_beside():
    recipe = changed("data", positions=["sin_lat", "cos_lon"], calendar=["cos_year"])
    series = open_fields(recipe, None)
    assert series.static_names == ("sin_lat", "cos_lon")
    assert series.static is not None
    np.testing.assert_allclose(series.static[:, 0], np.sin(series.sampling.lat), atol=1e-6)
    assert series.boundary is not None
    assert series.boundary.channel_names == ("cos_year",)


def test_land_is_left_out_where_only_observed_vertices_are_asked_for():
    recipe = mini(
        simulation={**MINI["simulation"], "land_fraction": 0.3},
        data={**MINI["data"], "vertices": "observed"},
    )
    whole = open_parts(
        recipe.model_copy(update={"data": recipe.data.model_copy(update={"vertices": "all"})}),
        data=None,
    )
    parts = open_parts(recipe, data=None)
    sampling = parts.series.sampling
    assert isinstance(sampling, Subset)
    assert not np.isnan(parts.series.read([0, 59])).any()
    assert np.isnan(whole.series.read([0])).any()
    # the simulated land is known in both
    for of in (whole, parts):
        assert of.sea is not None
        np.testing.assert_array_equal(of.sea, ~np.isnan(whole.series.read([0])[0, :, 0]))
        assert of.whole_sampling == Healpix(4)


def test_mean_climatology_is_the_mean_of_all_times():
    times = np.datetime64("2001-01-20") + np.arange(30) * np.timedelta64(1, "D")
    values = np.random.default_rng(0).normal(size=(30, 12, 2)).astype(np.float32)
    values[3, 5, 1] = np.nan
    series = array_series(values, times, Healpix(1))
    section = changed("data", climatology="mean").data
    usual = climatology_of(series, section)
    np.testing.assert_allclose(
        usual.at(np.array(["2005-07-01"], "datetime64[s]"))[0],
        np.nanmean(values, axis=0),
        atol=1e-5,
    )


# forecasts without a network


def naive_rmse(errors: np.ndarray, areas: np.ndarray) -> float:
    return float(np.sqrt((errors**2 * areas).sum() / (len(errors) * areas.sum())))


def test_forecasts_without_a_network_are_those_of_their_definitions():
    times = np.arange("2000-01", "2008-01", dtype="datetime64[M]")
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(96, 48))
    state = np.zeros(48)
    fields = []
    for month in range(96):
        state = 0.8 * state + noise[month]
        fields.append(state + 5 * np.cos(2 * np.pi * month / 12))
    values = np.array(fields, np.float32)
    series = array_series(values[:, :, None], times, Healpix(2))
    recipe = changed(
        "data",
        climatology="month",
        leads=[1, 2],
        validation_start="2004",
        test_start="2006",
        learned_until="test",
    )
    usual = climatology_of(series.take(range(72)), recipe.data)
    parts = WeatherParts(series, 48, 72, 72, (72, 96), usual)
    scores = score_baselines(recipe, parts)
    assert tuple(scores) == BASELINES
    month = np.arange(96) % 12
    means = np.stack([values[:72][month[:72] == m].mean(axis=0) for m in range(12)])
    anomalies = values - means[month]
    areas = series.sampling.areas
    for lead in (1, 2):
        target = np.arange(72, 96)
        before = anomalies[target - lead]
        pairs = anomalies[: 72 - lead], anomalies[lead:72]
        slope = (pairs[0] * pairs[1]).sum(axis=0) / (pairs[0] ** 2).sum(axis=0)
        expected = {
            "climatology": anomalies[target],
            "persistence": values[target] - values[target - lead],
            "anomaly persistence": anomalies[target] - before,
            "damped persistence": anomalies[target] - slope * before,
        }
        for name, errors in expected.items():
            found = scores[name].rmse[lead - 1, 0, 0]
            assert found == pytest.approx(naive_rmse(errors, areas), rel=1e-3), name
    # the last squares of an anomaly whose successor is not known do not count in the slope
    assert scores["damped persistence"].rmse[0, 0, 0] < scores["persistence"].rmse[0, 0, 0]


def test_fading_is_fitted_across_gaps_to_the_times_that_are_known():
    times = np.arange("2000-01", "2002-01", dtype="datetime64[M]")
    values = np.cumsum(np.random.default_rng(2).normal(size=(24, 12, 1)), axis=0)
    kept = np.setdiff1d(np.arange(24), [5, 11])
    usual = Climatology("month", np.zeros((1, 12, 1), np.float32), np.zeros(12, int))
    found = fit_fading(array_series(values[kept], times[kept], Healpix(1)), usual, num_steps=2)
    for lead in (1, 2):
        pairs = [(t, t + lead) for t in kept if t + lead in kept]
        now, later = (np.array([values[pair[i]] for pair in pairs]) for i in (0, 1))
        expected = (now * later).sum(axis=0) / (now**2).sum(axis=0)
        np.testing.assert_allclose(found[lead - 1], expected, rtol=1e-4)


# errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"leads": [3, 1]}}, r"must increase, got \[3, 1\]"),
        ({"data": {"bands_deg": {"a": [10.0, -10.0]}}}, "must increase"),
        ({"data": {"test_fraction": 1.0}}, "less than 1"),
        ({"data": {"calendar": ["sin_year"], "boundary": ["tisr"]}}, "calendar must be left out"),
        ({"data": {"positions": ["sin_lat", "sin_lat"]}}, "positions must differ in name"),
        ({"training": {"input_lags": [0, 1]}}, "less than or equal to 0"),
        ({"networks": [{**GRAPH, "graph": None}]}, "graph must be given, got none"),
        ({"networks": [{**GRAPH, "name": "persistence"}]}, "got 'persistence' twice"),
        ({"comparisons": [{"network": "nobody", "rival": "alone"}]}, "must be of graph, alone"),
        ({"comparisons": [{"network": "graph", "rival": "nobody"}]}, "must be with graph, alone"),
        (
            {"data": {"learned_until": "test"}, "training": {"initial_iterations": 1}},
            "initial_iterations must be left out",
        ),
    ],
)
def test_recipes_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mini(**changes)


def test_claims_must_be_about_rows():
    claim = {"name": "graph, RMSE, 2 years", "required": 1.0}
    with pytest.raises(ValueError, match="claims must be about a measured row"):
        check_run(mini(claims=[claim]), CPU, None)
    good = {"name": "graph over alone, RMSE, 18 hours", "required": 1.0, "better": "lower"}
    check_run(mini(claims=[good]), CPU, None)


def test_missing_file_and_too_few_times_are_refused():
    with pytest.raises(ValueError, match=r"must name the file of this recipe.*over there"):
        open_parts(mini(needs_data="It is over there."), data=None)
    with pytest.raises(ValueError, match="must name the file of this recipe"):
        digest_of_fields(mini(needs_data="It is over there."), None)
    with pytest.raises(ValueError, match="fields of at least two times, got 1"):
        open_fields(changed("simulation", num_times=1), None)
    with pytest.raises(ValueError, match="for training, validation and test, got 2"):
        open_parts(changed("simulation", num_times=2), data=None)
    with pytest.raises(ValueError, match=r"3, of which 2 before .* --set data.validation_fr.*=0.3"):
        open_parts(
            mini(
                simulation={**MINI["simulation"], "num_times": 3},
                data={**MINI["data"], "test_fraction": 0.3},
            ),
            data=None,
        )
    with pytest.raises(ValueError, match="got 4, of which 2 before the test and 4 for validation"):
        open_parts(
            mini(
                simulation={**MINI["simulation"], "num_times": 4},
                data={**MINI["data"], "test_fraction": 0.5, "validation_fraction": 0.9},
            ),
            data=None,
        )


def test_months_that_were_not_learned_are_refused():
    recipe = mini(
        simulation={**MINI["simulation"], "num_times": 300},
        data={**MINI["data"], "climatology": "month"},
    )
    with pytest.raises(ValueError, match="got none of month 3; name a longer file, or --set data"):
        open_parts(recipe, data=None)


def test_series_without_an_observed_vertex_is_refused():
    values = np.zeros((2, 12, 1))
    values[0, :6] = np.nan
    values[1, 6:] = np.nan
    series = array_series(values, np.array(["2000-01", "2000-02"], "datetime64[M]"), Healpix(1))
    with pytest.raises(ValueError, match="must hold values at some vertex at all times"):
        observed_vertices(series)
    np.testing.assert_array_equal(observed_vertices(series.take([0])), np.arange(12) >= 6)


def test_unknown_arguments_of_a_network_are_named():
    network = mini(networks=[{**GRAPH, "config": {"colour": 3}}], comparisons=[]).networks[0]
    with pytest.raises(ValueError, match=r"networks.config of 'graph' must hold arguments"):
        build_network(network, build_domain(network, Healpix(4)), Forecasting(("t",)))


def test_leads_that_nothing_was_observed_at_cannot_be_compared():
    with pytest.raises(ValueError, match="must hold observed fields at all leads"):
        _known([1.0, None])


# what is measured


def test_experiment_writes_all_rows_and_a_report(finished):
    names = FieldNames.of(open_fields(mini(), None))
    found = measures(finished)
    assert list(found) == [name for name, _ in row_names(mini(), names)]
    for lead in ("6 hours", "18 hours"):
        ratio = found[f"graph, RMSE, {lead}"] / found[f"alone, RMSE, {lead}"]
        assert found[f"graph over alone, RMSE, {lead}"] == pytest.approx(ratio)
    page = (finished / "report.html").read_text(encoding="utf-8")
    for words in ("The table", "Skill over lead time", "By latitude", "A forecast", "Training"):
        assert words in page
    figures = {path.name for path in (finished / "figures").iterdir()}
    assert {
        "skill-temperature.png",
        "errors-temperature.png",
        "hovmoller.png",
        "forecast.gif",
        "training.png",
    } <= figures


def test_finished_trainings_are_kept_and_new_ones_added(tmp_path, trained):
    output = tmp_path / "out"
    reproduce(mini(), output, command="c", options=CPU)
    assert trained == ["graph-seed0", "alone-seed0"]
    first = measures(output)
    reproduce(mini(seeds=[0, 1], title="more"), output, command="c", options=CPU)
    assert trained[2:] == ["graph-seed1", "alone-seed1"]
    assert measures(output)["persistence, RMSE, 6 hours"] == first["persistence, RMSE, 6 hours"]
    record = json.loads((output / "runs" / trained[0] / "run.json").read_text())
    assert record["scores"]["rmse"]["temperature"][0][0] == first["graph, RMSE, 6 hours"]


def test_interrupted_training_goes_on_to_the_same_numbers(tmp_path, trained):
    recipe = mini(networks=[GRAPH], comparisons=[])
    reproduce(recipe, tmp_path / "whole", command="c", options=CPU)
    reproduce(recipe, tmp_path / "broken", command="c", options=CPU)
    (tmp_path / "broken" / "runs" / "graph-seed0" / "run.json").unlink()
    reproduce(recipe, tmp_path / "broken", command="c", options=CPU)
    assert trained == ["graph-seed0"] * 3
    assert measures(tmp_path / "broken") == measures(tmp_path / "whole")


def test_iterations_are_added_by_a_schedule(tmp_path):
    recipe = mini(
        training={
            **MINI["training"],
            "epochs": 3,
            "initial_iterations": 1,
            "iteration_patience": 1,
            "learning_rate": 1e-9,
        },
        networks=[ALONE],
        comparisons=[],
    )
    summary = train_one(recipe, run_keys(recipe)[0], tmp_path / "out", options=CPU)
    assert summary.num_epochs == 3


def test_fingerprints_change_with_what_decides_and_with_nothing_else():
    recipe = mini()
    network = recipe.networks[0]
    same = mini(title="other", seeds=[5], networks=[ALONE], comparisons=[])
    assert experiment_fingerprint(recipe, None) == experiment_fingerprint(same, None)
    for other in (changed("simulation", seed=1), changed("data", scored_on="validation")):
        assert experiment_fingerprint(recipe, None) != experiment_fingerprint(other, None)
    longer = changed("training", epochs=2)
    assert network_fingerprint(recipe, network, "d") != network_fingerprint(longer, network, "d")
    threads = changed("training", num_threads=2)
    assert network_fingerprint(recipe, network, "d") == network_fingerprint(threads, network, "d")
    # another network with longer memory decides from where all of them are scored
    other = mini(networks=[GRAPH, {**ALONE, "training": {"input_lags": [-2, -1, 0]}}])
    assert network_fingerprint(recipe, network, "d") != network_fingerprint(other, network, "d")


# one network


def test_checkpoint_alone_gives_the_scores_of_its_training(tmp_path, trained):
    recipe = mini(networks=[GRAPH], comparisons=[])
    reproduce(recipe, tmp_path / "out", command="c", options=CPU)
    checkpoint = tmp_path / "out" / "runs" / "graph-seed0" / "model.ckpt"
    assert experiment_of_metadata(read_metadata(checkpoint)) == "weather"
    results = evaluate_one(checkpoint, command="c", output=tmp_path / "scores")
    found = {row.name: row.measured for row in results.rows}
    for name, value in measures(tmp_path / "out").items():
        alone = name.replace("graph,", "network,").replace("network, parameters", "parameters")
        assert found[alone] == pytest.approx(value, rel=1e-6), name
    assert (tmp_path / "scores" / "results.json").exists()
    with pytest.raises(FileExistsError, match="must not hold results"):
        evaluate_one(checkpoint, command="c", output=tmp_path / "scores")


def test_request_trains_the_network_that_is_named(tmp_path):
    path = tmp_path / "mini.toml"
    path.write_text(
        'experiment = "weather"\ntitle = "t"\n'
        '[simulation]\nsampling = "healpix:2"\nnum_times = 40\n'
        '[data]\nclimatology = "mean"\n[training]\nepochs = 2\n'
        '[[networks]]\nname = "A"\ngraph = { num_neighbors = 8, num_levels = 1 }\n'
        "config = { channels = [2] }\n"
        '[[networks]]\nname = "B"\ngraph = { num_neighbors = 8, num_levels = 1 }\n'
        "config = { channels = [3] }\ntraining = { epochs = 3 }\n"
    )
    request = TrainingRequest(recipe=str(path), network="b", epochs=1, seed=3)
    summary = train_request(request, tmp_path / "o", resume=False, overwrite=False, options=CPU)
    training = read_metadata(summary.checkpoint).training or {}
    assert (training["network"]["name"], training["seed"], summary.num_epochs) == ("B", 3, 1)
    assert "to learn from" in summary.notes[0]
    with pytest.raises(ValueError, match="rotate must be left out for weather"):
        train_request(
            TrainingRequest(rotate=True),
            tmp_path / "p",
            resume=False,
            overwrite=False,
            options=CPU,
        )


def test_checkpoint_that_does_not_say_its_fields_is_refused():
    with pytest.raises(ValueError, match="must say what fields it was trained on"):
        _training_of(Metadata())


def test_scores_without_a_value_are_none():
    series: FieldSeries = open_fields(mini(), None)
    parts = open_parts(mini(), data=None)
    scores = lead_scores(score_baselines(mini(), parts)["climatology"])
    assert scores.acc[series.channel_names[0]][0] == [None, None, None]
    assert scores.bands[0] == "globe"
