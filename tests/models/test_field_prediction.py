"""Predictions for data with coordinates: where they lie, what they are called, what is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import deepsphere as ds
from deepsphere.models.batches import run_in_batches
from deepsphere.models.field_description import FieldDescription
from deepsphere.models.field_prediction import predict_fields
from deepsphere.sampling import Equiangular, Healpix

xr = pytest.importorskip("xarray")

LAT, LON = np.arange(-78.75, 90, 22.5), np.arange(16) * 22.5
GRID = Equiangular(8, 16)


def dense(sampling=GRID, *, inputs=2, outputs=1, **options):
    torch.manual_seed(0)
    pyramid = ds.build_pyramid(sampling, num_levels=1, num_neighbors=8, weights="gaussian")
    return ds.models.DenseRegressor(
        pyramid, in_channels=inputs, out_channels=outputs, channels=(4,), **options
    ).eval()


def weather(names=("t2m", "msl")):
    rng = np.random.default_rng(2)
    return xr.Dataset(
        {
            name: (
                ("time", "lat", "lon"),
                rng.normal(size=(3, 8, 16)).astype(np.float32),
                {"long_name": name, "units": "K"},
            )
            for name in names
        },
        {"time": [0, 1, 2], "lat": ("lat", LAT, {"units": "degrees_north"}), "lon": LON, "run": 7},
        attrs={"title": "weather"},
    )


def on_vertices(data):
    """Signals (time, vertices, channels), rows from the north."""
    arrays = [data[name].transpose("time", "lat", "lon").values for name in data.data_vars]
    return np.stack(arrays, axis=-1)[:, ::-1].reshape(3, 128, -1)


def direct(model, signals):
    with torch.inference_mode():
        return model(torch.tensor(signals)).numpy()


def test_predictions_lie_where_the_data_do():
    model, data = dense(), weather()
    predicted = model.predict(data)
    assert list(predicted.data_vars) == ["output_0"]
    assert predicted.output_0.dims == ("time", "lat", "lon")
    xr.testing.assert_identical(predicted.drop_vars("output_0"), data.drop_vars(["t2m", "msl"]))
    values = predicted.output_0.values[:, ::-1].reshape(3, 128, 1)
    np.testing.assert_allclose(values, direct(model, on_vertices(data)), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.sortby("lat", ascending=False),
        lambda data: data.assign_coords(lon=(data.lon + 180) % 360 - 180).sortby("lon"),
        lambda data: data.transpose("lon", "time", "lat"),
        lambda data: data[["msl", "t2m"]],
        lambda data: data.assign(extra=data.t2m * 3),
    ],
)
def test_predictions_follow_the_data_however_they_are_sorted(change):
    model, data = dense(), weather()
    model.field_description = FieldDescription(channel_names=("t2m", "msl"))
    expected, changed = model.predict(data), change(data)
    predicted = model.predict(changed)
    assert predicted.output_0.dims == changed.t2m.dims
    for name in ("lat", "lon"):
        np.testing.assert_array_equal(predicted[name], changed[name])
    back = predicted.assign_coords(lon=predicted.lon % 360).sortby(["lat", "lon"])
    xr.testing.assert_allclose(
        back.output_0.transpose("time", "lat", "lon"), expected.output_0, atol=1e-5
    )


def test_a_single_variable_keeps_name_attributes_and_type():
    model = dense(inputs=1)
    data = weather().t2m.astype(np.float64)
    data.encoding = {"dtype": np.dtype("int16"), "scale_factor": 0.01, "zlib": True}
    predicted = model.predict(data)
    assert isinstance(predicted, xr.DataArray)
    assert predicted.name == "t2m"
    assert predicted.attrs == data.attrs
    assert predicted.dtype == np.float64
    assert predicted.coords.equals(data.coords)
    # predictions are not cut to hundredths when they are written
    assert predicted.encoding == {"zlib": True}
    single = model.predict(data.isel(time=1))
    np.testing.assert_allclose(single, predicted.isel(time=1), atol=1e-6)


def test_description_scales_names_and_gives_units():
    model, data = dense(outputs=2), weather()
    model.field_description = FieldDescription(
        channel_names=("t2m", "msl"),
        mean=(1.0, -2.0),
        deviation=(0.5, 4.0),
        output_names=("msl", "rain"),
        output_units=("Pa", "mm"),
        interpret=lambda outputs: 10 * outputs,
    )
    predicted = model.predict(data)
    scaled = (on_vertices(data) - [1, -2]) / [0.5, 4]
    expected = 10 * direct(model, scaled.astype(np.float32))
    assert list(predicted.data_vars) == ["msl", "rain"]
    assert predicted.rain.attrs == {"units": "mm"}
    assert predicted.msl.attrs["long_name"] == "msl"
    found = np.stack([predicted.msl, predicted.rain], axis=-1)[:, ::-1].reshape(3, 128, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    array = model.predict(data.to_array())
    assert array.dims[-1] == "channel"
    assert array.channel.values.tolist() == ["msl", "rain"]
    np.testing.assert_allclose(array.sel(channel="rain"), predicted.rain, atol=1e-5)
    np.testing.assert_allclose(model.predict(on_vertices(data)), expected, rtol=1e-5, atol=1e-5)


def test_outputs_for_each_field_have_its_time():
    pyramid = ds.build_pyramid(GRID, num_levels=1, num_neighbors=8, weights="gaussian")
    model = ds.models.Regressor(pyramid, in_channels=2, out_channels=2, channels=(4,)).eval()
    predicted = model.predict(weather())
    assert predicted.output_1.dims == ("time",)
    np.testing.assert_allclose(
        predicted.output_1, direct(model, on_vertices(weather()))[:, 1], atol=1e-6
    )
    assert model.predict(weather().to_array()).dims == ("time", "channel")


def test_levels_are_matched_by_name():
    model = dense(inputs=2)
    model.field_description = FieldDescription(channel_names=("t_500", "t_850"))
    values = xr.concat([weather().t2m, weather().msl], dim="level").assign_coords(level=[850, 500])
    predicted = model.predict(values.to_dataset(name="t"), channel_dims="level")
    swapped = on_vertices(weather())[..., ::-1]
    np.testing.assert_allclose(
        predicted.output_0.values[:, ::-1].reshape(3, 128, 1),
        direct(model, swapped.copy()),
        atol=1e-6,
    )


def test_a_part_of_the_file_is_enough_and_the_rest_stays_missing():
    sea = np.arange(128) % 5 > 0
    model = dense(GRID.subset(sea), inputs=1)
    data = weather().t2m
    land = xr.DataArray(~sea.reshape(8, 16)[::-1], dims=("lat", "lon"))
    predicted = model.predict(data.where(~land))
    np.testing.assert_array_equal(predicted.isnull(), land.broadcast_like(data))
    expected = direct(model, on_vertices(weather()[["t2m"]])[:, sea])
    np.testing.assert_allclose(
        predicted.values[:, ::-1].reshape(3, 128)[:, sea], expected[..., 0], atol=1e-6
    )


def test_missing_values_are_taken_where_the_network_takes_them():
    model = dense(inputs=1, missing="renormalize")
    data = weather().t2m
    data[:, 2, 3] = np.nan
    kept, filled = model.predict(data), model.predict(data, at_missing="fill")
    assert int(kept.isnull().sum()) == 3
    assert int(filled.isnull().sum()) == 0
    with pytest.raises(ValueError, match=r"no missing values for this network, got some at 1 of"):
        dense(inputs=1).predict(data)


def test_other_grids_are_refused_or_adapted_to():
    model = dense(inputs=1)
    data = weather().t2m.assign_coords(lat=LAT + 1.0)
    with pytest.raises(
        ValueError, match=r"must be on the grid of the network, got .*; regrid the data .*adapt"
    ):
        model.predict(data)
    adapted = model.predict(data, grid="adapt")
    assert adapted.coords.equals(data.coords)
    assert np.isfinite(adapted).all()
    healpix = xr.DataArray(
        np.ones(48, np.float32),
        {"cell_ids": ("cells", np.arange(48), {"grid_name": "healpix", "level": 1, "nest": True})},
        dims="cells",
    )
    assert model.predict(healpix, grid="adapt").shape == (48,)


def test_order_of_healpix_pixels_is_that_of_the_file():
    model = dense(Healpix(2), inputs=1)
    values = np.random.default_rng(0).normal(size=48).astype(np.float32)
    ring = xr.DataArray(
        Healpix(2).reorder(values, "ring", axis=0),
        {
            "cell_ids": (
                "cells",
                np.arange(48),
                {"grid_name": "healpix", "level": 1, "indexing_scheme": "ring"},
            )
        },
        dims="cells",
    )
    expected = direct(model, values[:, None])[:, 0]
    np.testing.assert_allclose(
        Healpix(2, ordering="ring").reorder(model.predict(ring).values, "nested", axis=0),
        expected,
        atol=1e-6,
    )


def test_batches_do_not_change_predictions_nor_the_mode():
    model, data = dense().train(), weather()
    one, all_together = model.predict(data, batch_size=1), model.predict(data)
    xr.testing.assert_allclose(one, all_together, atol=1e-6)
    assert model.training
    steps = []
    run_in_batches(
        nn.Flatten(), np.zeros((5, 1)), batch_size=2, follow=lambda r: steps.append(r) or r
    )
    assert steps == [range(0, 5, 2)]


def test_checkpoint_keeps_what_channels_mean(tmp_path):
    from deepsphere.tasks import Regression
    from deepsphere.training.checkpoint import Metadata, load, read_metadata, save

    model = dense()
    task = Regression(1, names=("rain",), units=("mm",), offset=(1.0,), scale=(2.0,))
    metadata = Metadata(
        task=task.spec,
        normalization={"kind": "channels", "mean": [0.5, 0.0], "deviation": [2.0, 1.0]},
        fields={"channel_names": ["t2m", "msl"], "channel_units": ["K", "Pa"]},
    )
    save(tmp_path / "model.ckpt", model, metadata=metadata)
    loaded = load(tmp_path / "model.ckpt")
    description = loaded.field_description
    assert description.channel_names == ("t2m", "msl")
    assert description.deviation == (2.0, 1.0)
    assert description.output_names == ("rain",)
    data = weather()
    with pytest.warns(UserWarning, match=r"channel msl is in K, in the training in Pa"):
        predicted = loaded.predict(data)
    scaled = ((on_vertices(data) - [0.5, 0]) / [2, 1]).astype(np.float32)
    np.testing.assert_allclose(
        predicted.rain.values[:, ::-1].reshape(3, 128, 1),
        1 + 2 * direct(model, scaled),
        rtol=1e-5,
        atol=1e-5,
    )
    assert predicted.rain.attrs == {"units": "mm"}
    # names of a network that was loaded are written again
    save(tmp_path / "again.ckpt", loaded)
    assert read_metadata(tmp_path / "again.ckpt").fields["channel_names"] == ["t2m", "msl"]
    assert copy.deepcopy(loaded).field_description.values == description.values
    moved = loaded.to_sampling(Healpix(2))
    assert moved.field_description is description


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("t2m", "q"), r"must have the channels of the network, t2m, q, got t2m, msl; q not among"),
        (None, r"data must have 1 channels, as the network, got 2 \(t2m, msl\); choose variables"),
    ],
)
def test_other_channels_are_refused(names, message):
    model = dense(inputs=2 if names else 1)
    model.field_description = FieldDescription(channel_names=names)
    with pytest.raises(ValueError, match=message):
        model.predict(weather())


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"must have the shape \(\*batch, 128 vertices, channels\)"
    ):
        dense().predict(np.zeros((3, 8, 16)))
    with pytest.raises(ValueError, match=r"must have 2 channels, as the network, got 3"):
        dense().predict(np.zeros((128, 3)))


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_named():
    for options, message in (
        ({"grid": "guess"}, r"grid must be one of raise, adapt, got 'guess'"),
        ({"at_missing": "zero"}, r"at_missing must be one of keep, fill, got 'zero'"),
        ({"batch_size": 0}, r"batch_size must be at least 1, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            dense().predict(weather(), **options)
    with pytest.raises(TypeError, match=r"must be an xarray Dataset or DataArray or a NumPy array"):
        predict_fields(dense(), torch.zeros(128, 2))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channel_names": ("a", "b"), "mean": (1.0,), "deviation": (1.0,)}, r"one value for each"),
        ({"output_names": ("a", "b"), "output_units": ("m",)}, r"one value for each channel, got"),
        ({"mean": (1.0,)}, r"mean and deviation must be given together"),
        ({"mean": (1.0,), "deviation": (0.0,)}, r"deviation must be positive, got \(0\.0,\)"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        FieldDescription(**values)


def test_networks_that_need_more_than_fields_are_refused():
    model = dense()
    model.field_description = FieldDescription(needs="forecast")
    with pytest.raises(
        ValueError, match=r"must take fields alone .*prepared as 'forecast'; a fore"
    ):
        model.predict(weather())


def test_segmentation_gives_a_probability_of_each_class(tmp_path):
    from deepsphere.tasks import Segmentation
    from deepsphere.training.checkpoint import Metadata, load, save

    task = Segmentation(("background", "cyclone"))
    metadata = Metadata(task=task.spec, class_names=task.class_names)
    save(tmp_path / "model.ckpt", dense(outputs=2), metadata=metadata)
    predicted = load(tmp_path / "model.ckpt").predict(weather())
    assert list(predicted.data_vars) == ["background", "cyclone"]
    np.testing.assert_allclose(predicted.background + predicted.cyclone, 1, atol=1e-6)


def test_every_registered_model_predicts():
    for model in ds.models.MODELS.values():
        assert callable(getattr(model, "predict", None)), model


def test_static_inputs_are_predicted_at_all_times():
    data = weather().assign(msl=weather()["msl"].isel(time=0, drop=True))
    model = dense(outputs=2)
    predicted = model.predict(data)
    assert predicted["msl"].dims == ("time", "lat", "lon")
    rows = np.broadcast_to(data["msl"].values, (3, 8, 16))
    signals = np.stack([data["t2m"].values, rows], axis=-1)[:, ::-1].reshape(3, 128, 2)
    wanted = direct(model, signals)[..., 1].reshape(3, 8, 16)[:, ::-1]
    np.testing.assert_allclose(predicted["msl"], wanted, atol=1e-6)


def test_data_without_a_field_is_refused():
    with pytest.raises(ValueError, match=r"must have a field to predict from, got none in Fields"):
        dense().predict(weather().isel(time=slice(0, 0)))
    with pytest.raises(ValueError, match=r"must have a field to predict from, got the shape \(0"):
        dense().predict(np.zeros((0, 128, 2), np.float32))


def test_network_of_sequences_takes_arrays_with_frames():
    torch.manual_seed(0)
    pyramid = ds.build_pyramid(ds.Icosahedral(4), num_levels=2, num_neighbors=6, weights="gaussian")
    model = ds.models.RecurrentUNet(
        pyramid, in_channels=2, out_channels=3, channels=(4, 6), stem_channels=3
    ).eval()
    signals = np.random.default_rng(1).normal(size=(2, 3, 4, 162, 2)).astype(np.float32)
    predicted = model.predict(signals, batch_size=4)
    assert predicted.shape == (2, 3, 162, 3)
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(predicted[place], direct(model, signals[place]), atol=1e-5)
    with pytest.raises(ValueError, match=r"network of sequences, got Dataset for RecurrentUNet"):
        model.predict(weather())
    with pytest.raises(
        ValueError, match=r"\(\*batch, frames, vertices, channels\).*signals\[None\]"
    ):
        model.predict(signals[0, 0, 0])
