"""Forecasts from a start: by hand, from a checkpoint, over land, into files that are killed."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import torch
import xarray as xr

import deepsphere as ds
from deepsphere.data.climatology import climatology
from deepsphere.data.field_files import open_series
from deepsphere.data.field_series import FieldSeries, array_series
from deepsphere.data.known_fields import ComputedFields, position_fields
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import WeatherUNet
from deepsphere.sampling import Equiangular, Healpix
from deepsphere.tasks import Classification, Forecasting
from deepsphere.training import Metadata, read_metadata, save, seeded
from deepsphere.training.forecast_data import ForecastData
from deepsphere.training.forecast_evaluation import evaluate_forecasts
from deepsphere.training.forecast_module import ForecastModule
from deepsphere.training.forecaster import Forecaster, forecaster_of, open_forecaster
from deepsphere.training.rollout import rollout, rollouts
from deepsphere.training.rollout_files import rollout_progress, write_rollout, write_rollouts

SAMPLING = Healpix(2)
START = "2000-01-06"


def make_series(number: int = 40, sampling: Any = SAMPLING, **options: Any) -> FieldSeries:
    plan = WeatherPlan(max_degree=4, **options)
    series = simulated_weather(plan, sampling, num_times=number).in_memory()
    return replace(
        series,
        static=position_fields(sampling),
        static_names=("sin_lat",),
        boundary=ComputedFields(("insolation",), sampling),
    )


def make_module(
    series: FieldSeries, *, anomalies: bool = False, missing: Any = "raise", **options: Any
) -> ForecastModule:
    """Random weights that change something."""
    task = Forecasting.of_series(series, **({"input_lags": (-1, 0)} | options))
    usual = climatology(series, kind="month") if anomalies else None
    data = ForecastData(series, task=task, climatology=usual)
    pyramid = build_pyramid(series.sampling, num_levels=2, num_neighbors=8)
    with seeded(0):
        model = WeatherUNet(
            pyramid,
            in_channels=task.num_model_inputs,
            out_channels=task.num_model_outputs,
            channels=(4, 6),
            residual_scale=0.2,
            missing=missing,
        )
    module = ForecastModule(model, data)
    metadata = replace(
        module.metadata, normalization=data.normalization, projection=data.projection
    )
    module.metadata = metadata
    return module


@pytest.fixture(scope="module")
def series() -> FieldSeries:
    return make_series()


@pytest.fixture(scope="module")
def module(series: FieldSeries) -> ForecastModule:
    return make_module(series)


@pytest.fixture
def checkpoint(module: ForecastModule, tmp_path: Path) -> Path:
    save(tmp_path / "weather.ckpt", module)
    return tmp_path / "weather.ckpt"


def fields_of(forecasts: Any) -> np.ndarray:
    return np.stack([forecast.fields for forecast in forecasts])


# forecasts


@pytest.mark.parametrize("anomalies", [False, True])
def test_rollout_is_the_model_called_again_and_again(anomalies):
    series = make_series()
    module = make_module(series, anomalies=anomalies)
    model, preparation = module.model.eval(), module.preparation
    start = series.axis.index_of(START)
    mean, deviation = (
        np.array(n) for n in (preparation.scaling.mean, preparation.scaling.deviation)
    )

    def usual(time: Any) -> np.ndarray:
        if not anomalies:
            return np.zeros((48, 2))
        return preparation.climatology.at(np.array([time]))[0].astype(np.float64)

    def scaled(field: np.ndarray, time: Any) -> np.ndarray:
        return ((field.astype(np.float64) - usual(time) - mean) / deviation).astype(np.float32)

    window = [scaled(series.read([i])[0], series.times[i]) for i in (start - 1, start)]
    forecasts = list(rollout(module, series, start=START, num_steps=4))
    for step, (time, fields) in enumerate(forecasts):
        assert time == series.times[start + step + 1]
        sun = preparation.prepare_boundary(
            series.boundary, series.times[[start + step, start + step + 1]]
        )
        inputs = np.concatenate([preparation.static, sun[0], sun[1], *window], axis=-1)
        with torch.no_grad():
            output = model(torch.from_numpy(inputs)).numpy().astype(np.float64)
        expected = output * deviation + mean + usual(time)
        np.testing.assert_allclose(fields, expected, rtol=1e-5)
        window = [window[1], scaled(fields, time)]


def test_checkpoint_and_its_metadata_are_enough(series, module, checkpoint):
    expected = fields_of(rollout(module, series, start=START, num_steps=3))
    bare = replace(series, static=None, static_names=(), boundary=None)
    for options in (
        {"forecaster": checkpoint},
        {"forecaster": str(checkpoint)},
        {"forecaster": open_forecaster(checkpoint)},
        {"forecaster": ds.load(checkpoint), "metadata": read_metadata(checkpoint)},
    ):
        found = rollout(**options, series=bare, start=START, num_steps=3)
        assert np.array_equal(fields_of(found), expected)


def test_forecasts_together_are_those_one_by_one(series, module):
    starts = series.times[[5, 9, 20]]
    together = list(rollouts(module, series, starts=starts, num_steps=3))
    for place, start in enumerate(starts):
        alone = list(rollout(module, series, start=start, num_steps=3))
        for step in range(3):
            assert together[step].times[place] == alone[step].time
            np.testing.assert_allclose(together[step].fields[place], alone[step].fields, rtol=1e-5)


def test_rollout_goes_on_beyond_the_series_and_is_made_as_it_is_asked_for(series, module):
    forecasts = rollout(module, series, start=series.times[-1], num_steps=10**9)
    first, second = next(forecasts), next(forecasts)
    step = np.timedelta64(6, "h")
    assert [first.time, second.time] == [series.times[-1] + step, series.times[-1] + 2 * step]


def test_mode_of_the_model_is_put_back(series, module):
    module.model.train()
    forecasts = rollout(module, series, start=START, num_steps=2)
    next(forecasts)
    assert module.model.training
    state = {key: value.clone() for key, value in module.model.state_dict().items()}
    next(forecasts)
    assert all(torch.equal(value, state[key]) for key, value in module.model.state_dict().items())


def test_direct_forecast_of_several_steps_is_one_step_only(series):
    module = make_module(series, step=3)
    (forecast,) = rollout(module, series, start=START, num_steps=1)
    assert forecast.time == series.times[series.axis.index_of(START) + 3]
    with pytest.raises(ValueError, match="to forecast more than one step of 3"):
        list(rollout(module, series, start=START, num_steps=2))


@pytest.mark.parametrize("missing", ["raise", "renormalize"])
def test_garbage_on_land_is_ignored(missing):
    series = make_series(land_fraction=0.3)
    land = np.isnan(series.read([0])[0, :, 0])
    module = make_module(series, missing=missing)
    expected = fields_of(rollout(module, series, start=START, num_steps=3))
    assert np.array_equal(np.isnan(expected).any(axis=(0, 2)), land)
    values = series.read(range(len(series)))
    values[:, land] = 1e30
    garbage = replace(series, source=array_series(values, series.times, SAMPLING).source)
    found = fields_of(rollout(module, garbage, start=START, num_steps=3))
    assert np.array_equal(found, expected, equal_nan=True)


def test_network_of_the_sea_takes_series_of_the_globe():
    series = make_series(land_fraction=0.3)
    sea = ~np.isnan(series.read([0])[0, :, 0])
    part = series.subset(sea)
    module = make_module(part)
    found = fields_of(rollout(module, series, start=START, num_steps=2))
    assert np.array_equal(found, fields_of(rollout(module, part, start=START, num_steps=2)))


def test_evaluation_compares_with_persistence_and_climatology(series, module):
    usual = climatology(series, kind="month")
    found = evaluate_forecasts(module, series, climatology=usual, num_steps=2, batch_size=7)
    assert list(found) == ["network", "persistence", "anomaly_persistence", "climatology"]
    starts = range(1, 38)
    assert all(scores.num_starts.tolist() == [37, 37] for scores in found.values())
    fields = series.read(range(40)).astype(np.float64)
    errors = np.stack([fields[s + 2] - fields[s] for s in starts])
    expected = np.sqrt((errors**2).mean(axis=(0, 1)))  # all cells are of one area
    np.testing.assert_allclose(found["persistence"].rmse[1, 0], expected, rtol=1e-6)
    forecasts = rollouts(module, series, starts=series.times[1:38], num_steps=2)
    errors = list(forecasts)[1].fields - fields[3:]
    np.testing.assert_allclose(
        found["network"].rmse[1, 0], np.sqrt((errors**2).mean(axis=(0, 1))), rtol=1e-5
    )
    some = evaluate_forecasts(
        module, series, climatology=usual, num_steps=2, starts=["2000-01-03", "2000-01-04"]
    )
    assert some["network"].num_starts.tolist() == [2, 2]
    other = climatology(series.select(["height"]), kind="month")
    with pytest.raises(ValueError, match="climatology must be of 48 vertices and 2 channels, as"):
        evaluate_forecasts(module, series, climatology=other, num_steps=2)


# files


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class StoppedError(Exception):
    """What interrupts a forecast."""


def stop_after(number: int) -> Callable[[], None]:
    """A callback that lets so many steps pass."""
    calls = iter(range(number))

    def advanced() -> None:
        if next(calls, None) is None:
            raise StoppedError

    return advanced


def grid_series(tmp_path: Path) -> FieldSeries:
    """A series from a file on a latitude-longitude grid from south to north, from −180 degrees."""
    grid = Equiangular(6, 12)
    weather = simulated_weather(WeatherPlan(max_degree=4, land_fraction=0.2), grid, num_times=30)
    values = weather.read(range(30)).reshape(30, 6, 12, 2)[:, ::-1]
    lat = np.rad2deg(grid.lat.reshape(6, 12)[::-1, 0])
    lon = np.rad2deg(grid.lon.reshape(6, 12)[0])
    data = xr.Dataset(
        {
            "temperature": (("time", "lat", "lon"), values[..., 0], {"units": "K", "note": "2 m"}),
            "height": (("time", "lat", "lon"), values[..., 1], {"units": "m"}),
        },
        {
            "time": weather.times.astype("datetime64[ns]"),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )
    data = data.assign_coords(lon=((data.lon + 180) % 360) - 180).sortby("lon")
    data.to_netcdf(tmp_path / "weather.nc")
    return open_series(tmp_path / "weather.nc")


def test_written_forecast_looks_like_the_file_of_the_series(tmp_path):
    series = grid_series(tmp_path)
    module = make_module(series)
    path = write_rollout(module, series, tmp_path / "f.zarr", start=START, num_steps=5)
    forecasts = list(rollout(module, series, start=START, num_steps=5))
    data, source = xr.open_zarr(path), xr.open_dataset(tmp_path / "weather.nc")
    assert data.temperature.dims == ("time", "lat", "lon")
    assert data.temperature.dtype == np.float32
    assert data.temperature.attrs == {"units": "K", "note": "2 m"}
    for name in ("lat", "lon"):
        xr.testing.assert_identical(data[name].drop_vars("start"), source[name])
    assert list(data.time.values) == [forecast.time for forecast in forecasts]
    assert data.attrs["forecast_step"] == "6 hours"
    again = open_series(path, variables=["temperature", "height"])
    assert np.array_equal(again.read(range(5)), fields_of(forecasts), equal_nan=True)
    chunks = [p.name for p in (path / "height").iterdir() if not p.name.startswith(".")]
    assert sorted(chunks) == [f"{step}.0.0" for step in range(5)]
    assert rollout_progress(path) == (5, 5)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_coordinates_of_zarr_stores_of_any_format_are_written(tmp_path, zarr_format):
    weather = make_series(30)
    names = {"grid_name": "healpix", "level": 1, "indexing_scheme": "nested"}
    data = xr.Dataset(
        {"height": (("time", "cells"), weather.read(range(30))[..., 1])},
        {
            "time": weather.times.astype("datetime64[ns]"),
            "cell_ids": ("cells", np.arange(48), names),
        },
    )
    data.to_zarr(tmp_path / "in.zarr", zarr_format=zarr_format, consolidated=False)
    series = open_series(tmp_path / "in.zarr")
    path = write_rollout(
        make_module(series), series, tmp_path / "out.zarr", start=START, num_steps=2
    )
    found = xr.open_zarr(path).cell_ids
    assert found.attrs == names
    assert found.values.tolist() == list(range(48))


def test_forecast_from_other_fields_is_another_one(series, module, tmp_path):
    path = write_rollout(module, series, tmp_path / "f.zarr", start=START, num_steps=2)
    before = digests(path)
    values = series.read(range(40))
    values[20] += 1.0
    other = replace(series, source=array_series(values, series.times, SAMPLING).source)
    with pytest.raises(FileExistsError, match=r"got another one \(from other fields\)"):
        write_rollout(module, other, path, start=START, num_steps=2)
    # what comes after the start does not matter
    values = series.read(range(40))
    values[21:] = 0.0
    later = replace(series, source=array_series(values, series.times, SAMPLING).source)
    write_rollout(module, later, path, start=START, num_steps=2)
    assert digests(path) == before


def test_forecast_on_the_grid_of_another_file_is_another_one(tmp_path):
    series = grid_series(tmp_path)
    module = make_module(series)
    path = write_rollout(module, series, tmp_path / "f.zarr", start=START, num_steps=2)
    upside_down = open_series(xr.open_dataset(tmp_path / "weather.nc").sortby("lat", False))
    assert upside_down.sampling == series.sampling
    with pytest.raises(FileExistsError, match=r"got another one \(with other coordinates\)"):
        write_rollout(module, upside_down, path, start=START, num_steps=2)


def test_forecast_that_cannot_be_made_leaves_nothing(series, module, tmp_path):
    path = tmp_path / "f.zarr"
    with pytest.raises(ValueError, match="got none before 2000-01-01"):
        write_rollout(module, series, path, start="2000-01-01", num_steps=2)
    known = ComputedFields(("insolation",), SAMPLING)
    ice = array_series(known.at(series.times), series.times, SAMPLING, channel_names=("ice",))
    given = replace(series, boundary=ice)
    with pytest.raises(ValueError, match=r"times must be among those of ice, .* take a longer"):
        write_rollout(make_module(given), given, path, start=series.times[-2], num_steps=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_forecast_that_was_interrupted_ends_with_the_same_bytes(tmp_path, number):
    series = grid_series(tmp_path)
    module = make_module(series)
    options: dict[str, Any] = {"start": START, "num_steps": 5}
    whole = write_rollout(module, series, tmp_path / "whole.zarr", **options)
    part = tmp_path / "part.zarr"
    with pytest.raises(StoppedError):
        write_rollout(module, series, part, **options, advanced=stop_after(number))
    assert rollout_progress(part) == (number + 1, 5)
    assert np.isnan(xr.open_zarr(part).height[number + 1 :]).all()
    # what a process that was killed in the middle of writing leaves
    (part / "height" / "3.0.1234.partial").write_bytes(b"half")
    (part / ".rollout-1234.json").write_text("half")
    calls = []
    write_rollout(module, series, part, **options, advanced=lambda: calls.append(1))
    assert len(calls) == 5
    assert digests(part) == digests(whole)
    before = digests(part)
    write_rollout(module, series, part, **options)
    assert digests(part) == before


@pytest.mark.parametrize("number", [1, 6, 9])
def test_forecasts_from_many_starts_go_on_where_they_were(series, module, tmp_path, number):
    options: dict[str, Any] = {"starts": series.times[3:10], "num_steps": 3, "batch_size": 3}
    whole = write_rollouts(module, series, tmp_path / "whole.zarr", **options)
    part = tmp_path / "part.zarr"
    with pytest.raises(StoppedError):
        write_rollouts(module, series, part, **options, advanced=stop_after(number))
    assert 0 < rollout_progress(part)[0] < 21
    write_rollouts(module, series, part, **options)
    assert digests(part) == digests(whole)
    data = xr.open_zarr(whole)
    assert data.height.dims == ("start", "step", "cell")
    expected = list(rollouts(module, series, starts=series.times[3:6], num_steps=3))
    for step in range(3):
        assert np.array_equal(data.height[:3, step], expected[step].fields[..., 1])
        assert np.array_equal(data.time[:3, step], expected[step].times)
    np.testing.assert_allclose(data.lat, np.rad2deg(SAMPLING.lat))


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_rollout import START, make_series
from deepsphere.training.rollout_files import write_rollout
write_rollout({checkpoint!r}, make_series(), Path({path!r}), start=START, num_steps=40,
              advanced=lambda: print("step", flush=True))
"""


@pytest.mark.slow
def test_forecast_that_was_killed_ends_with_the_same_bytes(series, checkpoint, tmp_path):
    path = tmp_path / "part.zarr"
    code = KILLED.format(
        tests=str(Path(__file__).parent), checkpoint=str(checkpoint), path=str(path)
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline() == "step\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 4 <= rollout_progress(path)[0] < 40
    options: dict[str, Any] = {"start": START, "num_steps": 40}
    write_rollout(checkpoint, series, path, **options)
    whole = write_rollout(checkpoint, series, tmp_path / "whole.zarr", **options)
    assert digests(path) == digests(whole)


@pytest.mark.parametrize("calendar", ["noleap", "360_day"])
def test_months_of_model_calendars_are_forecast_and_written(tmp_path, calendar):
    times = [cftime.datetime(2000 + n // 12, n % 12 + 1, 1, calendar=calendar) for n in range(24)]
    values = np.random.default_rng(0).normal(size=(24, 48, 1)).astype(np.float32)
    series = array_series(values, np.array(times), SAMPLING, channel_names=("sst",))
    module = make_module(series, anomalies=True)
    path = write_rollout(module, series, tmp_path / "f.zarr", start="2001-11", num_steps=3)
    expected = [
        cftime.datetime(*date, 1, calendar=calendar) for date in ((2001, 12), (2002, 1), (2002, 2))
    ]
    assert list(xr.open_zarr(path).time.values) == expected
    assert xr.open_zarr(path).attrs["forecast_step"] == "1 month"


def test_store_of_another_forecast_is_kept_unless_it_shall_go(series, module, tmp_path):
    path = write_rollout(module, series, tmp_path / "f.zarr", start=START, num_steps=2)
    with pytest.raises(FileExistsError, match=r"got another one \(of another number of steps\)"):
        write_rollout(module, series, path, start=START, num_steps=3)
    other = make_module(series, input_lags=(0,))
    with pytest.raises(FileExistsError, match=r"got another one \(of another network\)"):
        write_rollout(other, series, path, start=START, num_steps=2)
    write_rollout(other, series, path, start=START, num_steps=2, overwrite=True)
    (tmp_path / "thesis").mkdir()
    with pytest.raises(FileExistsError, match="must be new or hold the same forecast, got somethi"):
        write_rollout(module, series, tmp_path / "thesis", start=START, num_steps=2, overwrite=True)
    with pytest.raises(ValueError, match="must be a store of write_rollout, got one without"):
        rollout_progress(tmp_path / "thesis")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        write_rollouts(module, series, path, starts=[START], num_steps=2, batch_size=0)


def test_missing_library_is_named(series, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"pip install 'deepsphere-torch\[climate\]'"):
        write_rollout(module, series, tmp_path / "f.zarr", start=START, num_steps=2)


# what is refused


def test_series_that_do_not_fit_are_rejected(series, module):
    def run(changed: FieldSeries, **options: Any) -> None:
        list(rollout(module, changed, **({"start": START, "num_steps": 1} | options)))

    with pytest.raises(ValueError, match="series must be sampled as the network is, on Healpix"):
        run(make_series(sampling=Healpix(1)))
    with pytest.raises(ValueError, match="series must have the channels temperature, height, got"):
        run(series.select(["height"]))
    with pytest.raises(ValueError, match="temperature must be in 'K', got 'degC'; convert it"):
        run(replace(series, units=("degC", "m")))
    daily = array_series(
        series.read(range(10)),
        np.arange("2000-01-01", "2000-01-11", dtype="datetime64[D]"),
        SAMPLING,
        channel_names=series.channel_names,
    )
    with pytest.raises(ValueError, match="have the step of the training, 6 hours, got 1 day"):
        run(daily)
    with pytest.raises(ValueError, match="time must be one of 2000-01-01 to"):
        run(series, start="1999")
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        run(series, num_steps=0)
    with pytest.raises(
        ValueError, match="field 1 steps before each start, got none before 2000-01-01"
    ):
        run(series, start="2000-01-01")
    with pytest.raises(
        ValueError, match="field 1 steps before each start, got none before 2000-01-06"
    ):
        run(series.take([*range(19), *range(20, 40)]))
    with pytest.raises(ValueError, match="starts must be at least one, got none"):
        list(rollouts(module, series, starts=[], num_steps=1))
    values = series.read(range(40))
    values[20, :, 1] = np.nan
    cloudy = replace(series, source=array_series(values, series.times, SAMPLING).source)
    with pytest.raises(ValueError, match="must have values, got no height at 2000-01-06"):
        run(cloudy)


def test_forecast_that_blows_up_is_an_error(series):
    module = make_module(series)
    with torch.no_grad():
        module.model.memory.fill_(1e30)
    with pytest.raises(ValueError, match=r"forecasts must stay finite, got .* steps ahead; train"):
        list(rollout(module, series, start=START, num_steps=9))


def test_boundary_that_cannot_be_computed_must_be_given(series):
    known = ComputedFields(("insolation",), SAMPLING)
    ice = array_series(known.at(series.times), series.times, SAMPLING, channel_names=("ice",))
    given = replace(series, boundary=ice)
    module = make_module(given)
    assert len(list(rollout(module, given, start=START, num_steps=2))) == 2
    with pytest.raises(ValueError, match="series must have the boundary fields ice, got none"):
        list(rollout(module, replace(given, boundary=None), start=START, num_steps=2))
    with pytest.raises(ValueError, match=r"times must be among those of ice, .* take a longer"):
        list(rollout(module, given, start=series.times[-1], num_steps=2))


def test_networks_that_do_not_forecast_are_rejected(module, checkpoint):
    with pytest.raises(ValueError, match="metadata must be those of a network that forecasts, got"):
        forecaster_of(module.model)
    other = Metadata(task=Classification(("a", "b")).spec)
    with pytest.raises(ValueError, match="got 'classification'; take"):
        forecaster_of(module.model, other)
    found = open_forecaster(checkpoint)
    unlike = Forecasting(("a",), static_names=("sin_lat",))
    with pytest.raises(ValueError, match="scaling must be of 1 channels, got 2"):
        Forecaster(found.model, unlike, found.preparation, SAMPLING)
    with pytest.raises(ValueError, match="static must hold no fields, got 1"):
        Forecaster(found.model, Forecasting(("a", "b")), found.preparation, SAMPLING)
    nameless = torch.nn.Linear(6, 2)
    with pytest.raises(ValueError, match="model must say its sampling, got Linear"):
        forecaster_of(nameless, read_metadata(checkpoint))
