"""Attacks on what learns from stations: to the bit, it knows neither the future nor who is hidden.

Days are replaced by nothing, by numbers beyond all measure, by noise and by more than was there;
and values are shuffled, after which nothing honest is left to be learned.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data.station_objectives import (
    StationObjective,
    day_of_year,
    imputation,
    next_day,
    same_day,
    seasons,
)
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.training import (
    Optimization,
    SphereModule,
    StationData,
    fit,
    open_station_predictor,
    station_predictor_of,
)
from deepsphere.training.station_shrinkage import shrink_correction

NUM = 24
OBJECTIVES = {
    "next day": next_day("tmin", history=3),
    "one of both": StationObjective("next_day", ("tmin", "tmax"), ("tmax",), 2),
    "separate": next_day("tmin", "tmax", history=3, variables="separate"),
    "same day": same_day("tmin", targets=("tmax",)),
    "season": day_of_year("tmin", "tmax"),
    "imputation": imputation("tmin"),
    "imputation of both": imputation("tmin", "tmax"),
}
each_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())


def made_records(num_days: int = 420, num_stations: int = NUM) -> StationRecords:
    """Weather that neighbors share and that lasts for days, above seasons; a tenth is missing."""
    generator = np.random.default_rng(7)
    lon, lat = generator.uniform(-20, 40, num_stations), generator.uniform(30, 65, num_stations)
    distance = np.hypot(np.subtract.outer(lon, lon) / 8, np.subtract.outer(lat, lat) / 5)
    shared = np.exp(-(distance**2))
    weather = generator.normal(size=(num_days, num_stations))
    for day in range(1, num_days):
        weather[day] += 0.7 * weather[day - 1]
    season = np.cos(2 * np.pi * np.arange(num_days) / 365.25)[:, None]
    tmin = 8 - 9 * season - 0.4 * (lat - 45) + 3 * weather @ (shared / shared.sum(axis=0))
    tmax = tmin + 7 + generator.normal(size=tmin.shape)
    values = np.stack([tmin, tmax], axis=-1)
    values[generator.random(values.shape) < 0.1] = np.nan
    return station_records(
        lon,
        lat,
        values,
        np.datetime64("2018-06-01") + np.arange(num_days),
        elevation_m=generator.uniform(0, 1500, num_stations),
        channel_names=["tmin", "tmax"],
        units=["°C", "°C"],
    )


RECORDS = made_records()
WEEKS = RECORDS.take_times(np.arange(24))


def changed(records: StationRecords, where: Any, kind: str) -> StationRecords:
    """The records with something else at some days or stations."""
    generator = np.random.default_rng(5)
    noise = generator.normal(500, 300, records.values.shape)
    noise[generator.random(noise.shape) < 0.5] = np.nan
    others = {"nothing": np.nan, "huge": 3e30, "noise": noise}[kind]
    values = records.values.copy()
    values[where] = np.broadcast_to(others, values.shape)[where]
    return records.with_values(values)


each_change = pytest.mark.parametrize("kind", ["nothing", "huge", "noise"])


def made_data(
    objective: StationObjective, records: StationRecords = RECORDS, **options: Any
) -> StationData:
    """Data with a small graph."""
    return StationData.of_records(records, objective, num_neighbors=5, batch_size=32, **options)


def trained(data: StationData, epochs: int = 1, **options: Any) -> SphereModule:
    """A small network after some epochs."""
    optimization = Optimization(learning_rate=1e-2)
    given = {"kernel_size": 2, "channels": (8,), "optimization": optimization}
    module = data.module(**(given | options))
    fit(module, data, max_epochs=epochs, accelerator="cpu", progress=False)
    return module


def weights_of(module: SphereModule) -> list[bytes]:
    """All weights and averages, to the bit."""
    return [tensor.numpy().tobytes() for tensor in module.state_dict().values()]


def predicted(module: SphereModule, records: StationRecords, **options: Any) -> Any:
    """Times and predictions of any objective."""
    predictor = station_predictor_of(module)
    if predictor.objective.is_global:
        return predictor.predict_signals(records, **options)
    found = predictor.predict(records, **options)
    return found.times, found.values


# the future


@each_objective
def test_a_prediction_is_to_the_bit_that_of_its_own_days(objective: StationObjective) -> None:
    data = made_data(objective)
    module = trained(data)
    times, values = predicted(module, WEEKS)
    day = 16
    first = day + 1 - objective.lead
    told = times <= WEEKS.times[day]
    assert 0 < told.sum() < len(told)
    # nothing, and everything, makes layers take other paths on masks
    for kind in ("nothing", "huge", "noise"):
        found = predicted(module, changed(WEEKS, slice(first, None), kind))[1]
        np.testing.assert_array_equal(values[told], found[told])
    alone = predicted(module, WEEKS.take_times(np.arange(first)))
    np.testing.assert_array_equal(alone[0], times[told])
    np.testing.assert_array_equal(alone[1], values[told])


@each_objective
def test_weights_do_not_depend_on_what_comes_after_the_training(
    objective: StationObjective,
) -> None:
    data = made_data(objective)
    expected = weights_of(trained(data))
    other = made_data(objective, changed(RECORDS, slice(len(data.train), None), "noise"))
    module = trained(other)
    assert weights_of(module) == expected
    assert module.metadata.normalization == data.normalization
    assert other.task == data.task


# who is hidden


@each_change
@pytest.mark.parametrize("names", [("tmin",), ("tmin", "tmax")])
def test_hidden_stations_change_neither_weights_nor_predictions(
    names: tuple[str, ...], kind: str
) -> None:
    results = []
    data = made_data(imputation(*names))
    assert data.hidden is not None
    hidden = data.hidden
    where = np.broadcast_to(hidden[:, None], RECORDS.values.shape)
    for records in (RECORDS, changed(RECORDS, where, kind)):
        data = made_data(imputation(*names), records)
        np.testing.assert_array_equal(data.hidden, hidden)
        module = trained(data)
        share = shrink_correction(module, data)
        values = predicted(module, records.take_times(np.arange(24)), hidden=hidden)[1]
        results.append((weights_of(module), share, values[:, hidden].tobytes()))
    assert results[0] == results[1]


def test_what_shrinks_corrections_is_not_the_test() -> None:
    results = []
    for start in (None, len(RECORDS) - 63):
        records = RECORDS if start is None else changed(RECORDS, slice(start, None), "noise")
        data = made_data(imputation("tmin"), records)
        assert data.test is not None
        assert len(data.test) == 63
        module = trained(data)
        results.append((shrink_correction(module, data), weights_of(module)))
    assert results[0] == results[1]


# chance


def skill(objective: StationObjective, records: StationRecords) -> float:
    """One minus the squared error in the test, by that of the mean of the training."""
    data = made_data(objective, records)
    assert data.test is not None
    options: dict[str, Any] = {"batch_size": 64}
    if objective.kind == "imputation":
        options["hidden"] = data.hidden
    times, values = predicted(trained(data, 5, channels=(8, 8)), data.test, **options)
    if objective.is_global:
        truth, mean = seasons(times)[:, None], seasons(data.train.times).mean()
    else:
        there = np.isin(times, data.test.times)
        values, chosen = values[there], data.test.select(objective.targets)
        truth = chosen.at(times[there])
        mean = np.nanmean(data.train.select(objective.targets).values, axis=(0, 1))
    if data.hidden is not None:
        truth, values = truth[:, data.hidden], values[:, data.hidden]
    seen = ~np.isnan(truth)
    return float(1 - np.square(values - truth)[seen].mean() / np.square(truth - mean)[seen].mean())


@each_objective
@pytest.mark.parametrize("way", ["all", pytest.param("observed", marks=pytest.mark.slow)])
def test_nothing_is_learned_from_shuffled_values(objective: StationObjective, way: str) -> None:
    generator = np.random.default_rng(0)
    values = RECORDS.values.copy()
    for channel in range(2):
        column = values[..., channel]
        # gaps move too, or stay where they are
        there = np.ones(column.shape, bool) if way == "all" else ~np.isnan(column)
        column[there] = generator.permutation(column[there])
    assert skill(objective, RECORDS.with_values(values)) < 0.02


@pytest.mark.parametrize("name", ["next day", "same day", "imputation"])
def test_values_as_they_are_teach_something(name: str) -> None:
    assert skill(OBJECTIVES[name], RECORDS) > 0.5


# other files


def test_predictions_follow_the_stations_not_the_rows() -> None:
    module = trained(made_data(next_day("tmin")))
    order = np.random.default_rng(1).permutation(NUM)
    found = predicted(module, WEEKS)[1]
    np.testing.assert_allclose(predicted(module, WEEKS.take(order))[1], found[:, order], atol=1e-4)
    # and the variables by their names
    others = np.random.default_rng(2).normal(size=(*WEEKS.values.shape[:2], 1))
    more = WEEKS.with_values(
        np.concatenate([others, WEEKS.values[..., ::-1]], axis=-1),
        channel_names=["prcp", "tmax", "tmin"],
        units=["mm", "°C", "°C"],
    )
    np.testing.assert_array_equal(predicted(module, more)[1], found)


@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("name", ["next day", "imputation"])
# of a few vertices, fewer change the largest eigenvalue a lot
@pytest.mark.filterwarnings("ignore:the largest eigenvalue on Scattered:UserWarning")
def test_fewer_stations_than_neighbors_are_predicted(name: str, number: int) -> None:
    module = trained(made_data(OBJECTIVES[name]))
    found = predicted(module, WEEKS.take(np.arange(number)))[1]
    assert found.shape[1] == number
    assert np.isfinite(found).all()


def test_one_station_alone_and_batches_of_none_are_refused() -> None:
    predictor = station_predictor_of(made_data(next_day("tmin")).module(kernel_size=1))
    with pytest.raises(ValueError, match="records must be of at least 2 stations to join in a gra"):
        predictor.predict(WEEKS.take([3]))
    with pytest.raises(ValueError, match="train must be of at least 2 stations to join in a graph"):
        made_data(next_day("tmin"), RECORDS.take([3]))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        predictor.predict(WEEKS, batch_size=0)


def test_values_that_cannot_be_in_the_unit_of_the_training_are_refused() -> None:
    predictor = station_predictor_of(made_data(next_day("tmin")).module(kernel_size=1))
    plain = replace(WEEKS, units=("", ""))
    np.testing.assert_array_equal(predictor.predict(plain).values, predictor.predict(WEEKS).values)
    kelvin = plain.with_values(plain.values + np.float32(273.15))
    with pytest.raises(ValueError, match="tmin must be in '°C', as in the training with a mean of"):
        predictor.predict(kelvin)
    # what says its unit is believed
    assert np.isfinite(predictor.predict(replace(kelvin, units=("°C", "°C"))).values).all()
    silent = changed(plain, slice(None), "nothing")
    assert np.isfinite(predictor.predict(silent).values).all()


def test_what_cannot_be_learned_from_is_refused() -> None:
    outlier = changed(RECORDS, (5, 3, 0), "huge")
    with pytest.raises(ValueError, match=r"records must have values of tmin up to 1e\+15 to learn"):
        made_data(next_day("tmin"), outlier)
    mixed = replace(RECORDS, units=("°C", "mm"))
    with pytest.raises(
        ValueError, match="variables must be together where their units differ, got "
    ):
        made_data(OBJECTIVES["separate"], mixed)


def test_few_reports_do_not_make_up_a_drift() -> None:
    data = made_data(imputation("tmin"))
    generator = np.random.default_rng(3)
    values = WEEKS.values.copy()
    for day in values:
        day[generator.permutation(NUM)[3:]] = np.nan
    found = predicted(data.module(kernel_size=1), WEEKS.with_values(values))[1]
    reports = ~np.isnan(values[..., 0])
    low, high = np.nanmin(values[..., 0]), np.nanmax(values[..., 0])
    assert reports.sum(axis=1).max() == 3
    assert low - 15 < found.min()
    assert found.max() < high + 15


# networks


@pytest.mark.parametrize(
    "name",
    ["same day", *(pytest.param(n, marks=pytest.mark.slow) for n in ("separate", "imputation"))],
)
# of a few vertices, fewer change the largest eigenvalue a lot
@pytest.mark.filterwarnings("ignore:the largest eigenvalue on Scattered:UserWarning")
def test_unet_on_a_pyramid_of_stations(name: str, tmp_path: Path) -> None:
    objective = OBJECTIVES[name]
    data = made_data(objective)
    module = data.module(model="unet", kernel_size=2, channels=(4, 8))
    result = fit(
        module, data, max_epochs=1, accelerator="cpu", progress=False, output=tmp_path / "run"
    )
    assert np.isfinite(result.history[-1]["val_loss"])
    assert result.last is not None
    expected = predicted(module, WEEKS)[1]
    opened = open_station_predictor(result.last)
    np.testing.assert_array_equal(opened.predict(WEEKS).values, expected)
    assert np.isfinite(expected).all()
    # silent stations are masked: nothing that is not seen matters
    silent = changed(WEEKS, (slice(None), 4), "nothing")
    assert np.isfinite(opened.predict(silent).values).all()
    fewer = WEEKS.take(np.arange(NUM - 3))
    found = opened.predict(fewer)
    assert found.sampling == fewer.sampling
    assert np.isfinite(found.values).all()


def test_unet_has_as_many_levels_as_stations_allow() -> None:
    network: Any = made_data(next_day("tmin")).network(model="unet", kernel_size=1)
    assert [graph.num_vertices for graph in network.pyramid.graphs] == [NUM, NUM // 4]
    few = made_data(next_day("tmin"), RECORDS.take(np.arange(8)))
    with pytest.raises(
        ValueError, match="model must be 'ghcn' for stations too few to be coarsened"
    ):
        few.network(model="unet")


@pytest.mark.slow
def test_checkpoint_predicts_without_what_trains_and_reads(tmp_path: Path) -> None:
    data = made_data(next_day("tmin"))
    module = data.module(kernel_size=2, channels=(8,))
    result = fit(module, data, max_epochs=1, accelerator="cpu", progress=False, output=tmp_path)
    np.savez(
        tmp_path / "records.npz",
        lon=WEEKS.lon_deg,
        lat=WEEKS.lat_deg,
        elevation=WEEKS.elevation_m,
        values=WEEKS.values,
        times=WEEKS.times,
    )
    program = f"""
import sys
for name in ("lightning", "pandas", "pyarrow", "pooch", "requests", "xarray", "sklearn"):
    sys.modules[name] = None
import numpy as np
from deepsphere.data.station_records import station_records
from deepsphere.training import open_station_predictor
with np.load({str(tmp_path / "records.npz")!r}) as file:
    records = station_records(
        file["lon"], file["lat"], file["values"], file["times"], elevation_m=file["elevation"],
        channel_names=["tmin", "tmax"], units=["°C", "°C"],
    )
predictor = open_station_predictor({str(result.last)!r})
np.save({str(tmp_path / "found.npy")!r}, predictor.predict(records).values)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, predicted(module, WEEKS)[1], atol=1e-4)


def test_state_after_predicting_is_that_before() -> None:
    data = made_data(next_day("tmin"))
    module = data.module(kernel_size=2)
    before = weights_of(module)
    assert module.training
    station_predictor_of(module).predict(WEEKS)
    assert module.training
    assert all(child.training for child in module.model.modules())
    assert weights_of(module) == before
    assert torch.is_grad_enabled()
