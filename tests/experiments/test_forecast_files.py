"""Files of one's own: learned from by name and level, forecast with their coordinates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from deepsphere.cli.weather import forecast
from deepsphere.experiments import forecast_files
from deepsphere.experiments.forecast_files import forecast_file
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.weather import run_keys
from deepsphere.experiments.weather_config import WeatherRecipe
from deepsphere.experiments.weather_data import digest_of_fields, open_parts
from deepsphere.experiments.weather_single import evaluate_one, train_one
from deepsphere.models import FCN
from deepsphere.training import Metadata, save

xr = pytest.importorskip("xarray")
pytest.importorskip("zarr")
pytest.importorskip("dask")
pytest.importorskip("netCDF4")

CPU = RunOptions(accelerator="cpu")
LAT = np.linspace(60, -60, 5)  # from the north, and without the poles, as many files are
LON = np.arange(-180.0, 180.0, 45.0)
NUM_TIMES = 48
MISSING = 20


def recipe_of(**data: Any) -> WeatherRecipe:
    return WeatherRecipe.model_validate(
        {
            "experiment": "weather",
            "title": "a file",
            "data": {"climatology": "mean", "leads": [1, 2], **data},
            "training": {
                "epochs": 1,
                "input_lags": [-1, 0],
                "num_iterations": 1,
                "num_threads": 1,
            },
            "networks": [
                {
                    "name": "graph",
                    "graph": {"weights": "gaussian", "num_neighbors": 6, "num_levels": 1},
                    "config": {"channels": [3], "kernel_size": 2, "residual_scale": 0.1},
                }
            ],
        }
    )


@pytest.fixture(scope="module")
def weather_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Geopotential and temperature on three levels and a sea-surface temperature with land."""
    times = np.datetime64("2019-01-01", "ns") + np.arange(NUM_TIMES) * np.timedelta64(6, "h")
    generator = np.random.default_rng(0)
    shape = (NUM_TIMES, 3, len(LAT), len(LON))
    sst = 290 + generator.normal(size=(NUM_TIMES, len(LAT), len(LON)))
    sst[:, :2, :3] = np.nan
    dims = ("time", "level", "latitude", "longitude")
    dataset = xr.Dataset(
        {
            "z": (dims, 5e4 + 1e3 * generator.normal(size=shape), {"units": "m**2 s**-2"}),
            "t": (dims, 280 + 10 * generator.normal(size=shape), {"units": "K"}),
            "sst": (("time", "latitude", "longitude"), sst, {"units": "K", "long_name": "sea"}),
            "orography": (("latitude", "longitude"), generator.random((len(LAT), len(LON)))),
        },
        {
            "time": times,
            "level": [300, 500, 850],
            "latitude": ("latitude", LAT, {"units": "degrees_north"}),
            "longitude": ("longitude", LON, {"units": "degrees_east"}),
        },
    ).isel(time=np.setdiff1d(np.arange(NUM_TIMES), [MISSING]))
    path = tmp_path_factory.mktemp("files") / "weather.nc"
    dataset.to_netcdf(path)
    return path


@pytest.fixture(scope="module")
def sea_model(weather_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the sea alone, with a calendar that needs no file."""
    recipe = recipe_of(
        variables=["sst"], vertices="observed", calendar=["cos_local_time"], forecast="anomalies"
    )
    output = tmp_path_factory.mktemp("sea") / "out"
    return train_one(recipe, run_keys(recipe)[0], output, data=weather_file, options=CPU).checkpoint


def files_of(store: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file()
    }


# learning from files


def test_notes_of_a_training_say_everything_once(weather_file, tmp_path):
    recipe = recipe_of(variables=["sst"], validation_start="2019-01-09")
    key = run_keys(recipe)[0]
    notes = train_one(recipe, key, tmp_path / "o", data=weather_file, options=CPU).notes
    assert notes[1:] == (
        "1 time missing after 2019-01-05T18:00",
        "train: 3 of 30 windows left out, which span a gap: 1 in the times, the first of 1 after "
        "2019-01-05T18:00",
    )


def test_network_of_a_file_is_not_scored_without_one(sea_model):
    with pytest.raises(ValueError, match=r"file of the fields .* sst, got none; pass --data FILE"):
        evaluate_one(sea_model, command="c")


def test_variables_are_selected_by_name_and_level(weather_file):
    recipe = recipe_of(
        variables=["z", "t"],
        channel_dims=["level"],
        channels=["z_500", "t_850"],
        static=["orography"],
    )
    parts = open_parts(recipe, data=weather_file)
    assert parts.series.channel_names == ("z_500", "t_850")
    assert parts.series.static_names == ("orography", "sin_lat", "cos_lat")
    fields = parts.series.layout.restore(parts.series.read([0])[0, :, 1])
    with xr.open_dataset(weather_file) as data:
        np.testing.assert_allclose(
            fields.values, data.t.isel(time=0).sel(level=850).values, rtol=1e-6
        )


def test_missing_time_is_said_and_no_window_spans_it(weather_file):
    parts = open_parts(recipe_of(variables=["sst"]), data=weather_file)
    assert any("1 time missing" in note for note in parts.notes)
    assert len(parts.series) == NUM_TIMES - 1


def test_digest_is_that_of_the_content(weather_file, tmp_path):
    recipe = recipe_of(variables=["sst"])
    copy = tmp_path / "other-name.nc"
    copy.write_bytes(weather_file.read_bytes())
    assert digest_of_fields(recipe, copy) == digest_of_fields(recipe, weather_file)
    with xr.open_dataset(weather_file) as data:
        changed = data.load().copy(deep=True)
    changed["sst"][0, -1, -1] += 1.0
    changed.to_netcdf(tmp_path / "changed.nc")
    assert digest_of_fields(recipe, tmp_path / "changed.nc") != digest_of_fields(recipe, copy)


def test_network_of_the_sea_is_scored_on_the_file(sea_model, weather_file):
    results = evaluate_one(sea_model, command="c", data=weather_file)
    rows = {row.name: row.measured for row in results.rows}
    assert np.isfinite(rows["network, RMSE, 6 hours"])
    assert rows["network, RMSE, 6 hours"] > 0


# forecasting from files


def test_forecast_has_the_coordinates_of_the_file_and_no_field_on_land(
    sea_model, weather_file, tmp_path
):
    store = tmp_path / "forecast.zarr"
    summary = forecast_file(
        sea_model, weather_file, store, start="2019-01-09T06", num_steps=3, progress=False
    )
    assert (summary.num_steps, summary.num_before, summary.step) == (3, 0, "6 hours")
    with xr.open_zarr(store) as made, xr.open_dataset(weather_file) as source:
        np.testing.assert_array_equal(made.latitude.values, LAT)
        np.testing.assert_array_equal(made.longitude.values, LON)
        assert made.latitude.attrs == source.latitude.attrs
        assert made.sst.attrs["long_name"] == "sea"
        assert made.sst.dims == ("time", "latitude", "longitude")
        first = np.datetime64("2019-01-09T12", "ns")
        np.testing.assert_array_equal(
            made.time.values, first + np.arange(3) * np.timedelta64(6, "h")
        )
        land = np.isnan(source.sst.values[0])
        np.testing.assert_array_equal(np.isnan(made.sst.values), np.stack([land] * 3))


def test_killed_forecast_is_gone_on_with_to_the_same_bytes(
    sea_model, weather_file, tmp_path, monkeypatch
):
    whole, broken = tmp_path / "whole.zarr", tmp_path / "broken.zarr"
    forecast_file(sea_model, weather_file, whole, num_steps=4)

    class Killed(BaseException):
        """As a signal."""

    write_rollout = forecast_files.write_rollout

    def write_two(*arguments: Any, **options: Any):
        calls = []

        def advanced() -> None:
            calls.append(1)
            if len(calls) == 2:
                raise Killed

        return write_rollout(*arguments, **{**options, "advanced": advanced})

    monkeypatch.setattr(forecast_files, "write_rollout", write_two)
    with pytest.raises(Killed):
        forecast_file(sea_model, weather_file, broken, num_steps=4)
    monkeypatch.undo()
    assert files_of(broken) != files_of(whole)
    summary = forecast_file(sea_model, weather_file, broken, num_steps=4, resume=True)
    assert summary.num_before == 2
    assert files_of(broken) == files_of(whole)


def test_channels_of_levels_are_forecast_from_a_file(weather_file, tmp_path):
    recipe = recipe_of(variables=["t"], channel_dims=["level"], channels=["t_850"])
    checkpoint = train_one(
        recipe, run_keys(recipe)[0], tmp_path / "out", data=weather_file, options=CPU
    ).checkpoint
    store = tmp_path / "t850.zarr"
    summary = forecast_file(checkpoint, weather_file, store, num_steps=1)
    assert summary.channels == ("t_850",)
    with xr.open_zarr(store) as made:
        assert np.isfinite(made["t_850"].values).all()


def test_command_says_what_it_did(sea_model, weather_file, tmp_path):
    app = Typer()
    app.command()(forecast)
    store = tmp_path / "f.zarr"
    words = [str(sea_model), str(weather_file), str(store), "--steps", "2"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "sst forecast from 2019-01-12T18:00: 2 steps of 6 hours" in result.output
    result = CliRunner().invoke(app, [*words, "--resume"])
    assert "2 of them made before" in result.output


# errors


def test_forecasts_that_cannot_be_made_are_refused(sea_model, weather_file, tmp_path):
    with pytest.raises(ValueError, match="OUTPUT must be a Zarr store"):
        forecast_file(sea_model, weather_file, tmp_path / "f.nc", num_steps=1)
    with pytest.raises(ValueError, match="must not both be given"):
        forecast_file(
            sea_model,
            weather_file,
            tmp_path / "f.zarr",
            num_steps=1,
            resume=True,
            overwrite=True,
        )
    with pytest.raises(FileNotFoundError, match="--resume must find a forecast"):
        forecast_file(sea_model, weather_file, tmp_path / "f.zarr", num_steps=1, resume=True)
    with pytest.raises(ValueError, match="field 1 steps before each start"):
        forecast_file(sea_model, weather_file, tmp_path / "g.zarr", start="2019-01-01", num_steps=1)
    from deepsphere.graph import build_graph
    from deepsphere.sampling import Healpix

    pyramid = build_graph(Healpix(2), num_neighbors=8).pyramid(num_levels=1)
    save(
        tmp_path / "digits.ckpt",
        FCN(pyramid, in_channels=1, out_channels=2, channels=(2,), kernel_size=2),
        metadata=Metadata(class_names=("a", "b")),
    )
    with pytest.raises(ValueError, match="network that forecasts"):
        forecast_file(tmp_path / "digits.ckpt", weather_file, tmp_path / "h.zarr", num_steps=1)
