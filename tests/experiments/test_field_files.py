"""Files of fields through the commands: predictions that keep coordinates, and pictures."""

import numpy as np
import pytest
import torch

import deepsphere as ds
from deepsphere.data import read_signals
from deepsphere.data.dataset_files import write_dataset
from deepsphere.experiments.field_files import predict_fields_file
from deepsphere.fields import open_dataset
from deepsphere.sampling import Equiangular, sampling_from_spec
from deepsphere.training.checkpoint import Metadata, save

xr = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")

LAT, LON = np.arange(-78.75, 90, 22.5), np.arange(16) * 22.5
TIMES = np.array(["2001-01-01", "2001-02-01", "2001-03-01"], "datetime64[ns]")


def weather():
    rng = np.random.default_rng(2)
    return xr.Dataset(
        {
            name: (
                ("time", "lat", "lon"),
                rng.normal(size=(3, 8, 16)).astype(np.float32),
                {"units": "K"},
            )
            for name in ("t2m", "sst")
        },
        {"time": TIMES, "lat": ("lat", LAT, {"units": "degrees_north"}), "lon": LON},
    )


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    options = {"num_levels": 1, "num_neighbors": 8, "weights": "gaussian"}
    pyramid = ds.build_pyramid(Equiangular(8, 16), **options)
    model = ds.models.DenseRegressor(pyramid, in_channels=1, out_channels=1, channels=(4,))
    save(
        tmp_path / "model.ckpt",
        model,
        metadata=Metadata(fields={"channel_names": ["sst"], "output_names": ["sst"]}),
    )
    return tmp_path / "model.ckpt"


@pytest.mark.parametrize(("given", "made"), [(".nc", ".zarr"), (".zarr.zip", ".nc")])
def test_predictions_of_a_file_keep_its_coordinates(tmp_path, checkpoint, given, made):
    source, target = tmp_path / f"in{given}", tmp_path / f"out{made}"
    write_dataset(source, weather())
    summary = predict_fields_file(checkpoint, source, target)
    assert summary.names == ("sst",)
    assert summary.shape == {"time": 3, "lat": 8, "lon": 16}
    written = open_dataset(target)
    assert list(written.data_vars) == ["sst"]
    for name in ("time", "lat", "lon"):
        np.testing.assert_array_equal(written[name], weather()[name])
    assert written.sst.attrs == {"units": "K"}
    model = ds.load(checkpoint)
    np.testing.assert_allclose(written.sst, model.predict(weather()).sst, atol=1e-6)
    with pytest.raises(FileExistsError, match=r"must not exist yet"):
        predict_fields_file(checkpoint, source, target)
    predict_fields_file(checkpoint, source, target, overwrite=True, variables="sst")


def test_other_formats_have_no_coordinates(tmp_path, checkpoint):
    with pytest.raises(ValueError, match=r"must both be \.nc or \.zarr to keep coordinates, got"):
        predict_fields_file(checkpoint, tmp_path / "in.npy", tmp_path / "out.nc")
    with pytest.raises(ValueError, match=r"path must end in \.nc or \.zarr, got .*out\.txt"):
        write_dataset(tmp_path / "out.txt", weather())


def test_fields_are_signals_where_signals_are_read(tmp_path):
    write_dataset(tmp_path / "in.nc", weather())
    file = read_signals(tmp_path / "in.nc")
    assert file.signals.shape == (3, 128, 2)
    assert file.channel_names == ("t2m", "sst")
    assert sampling_from_spec(file.sampling) == Equiangular(8, 16)
    np.testing.assert_array_equal(file.signals[1, :, 1], weather().sst.values[1, ::-1].reshape(128))
    missing = weather()
    missing.t2m[0, 0, 0] = np.nan
    write_dataset(tmp_path / "missing.zarr", missing.t2m)
    with pytest.raises(ValueError, match=r"must be finite, got 1 NaN"):
        read_signals(tmp_path / "missing.zarr")
    assert np.isnan(read_signals(tmp_path / "missing.zarr", missing="keep").signals).sum() == 1


def test_pixels_are_said_to_be_in_their_order(tmp_path):
    attrs = {"grid_name": "healpix", "level": 1, "indexing_scheme": "ring"}
    data = xr.Dataset({"t": ("cells", np.arange(48.0))}, {"cell_ids": ("cells", range(48), attrs)})
    write_dataset(tmp_path / "in.zarr", data)
    file = read_signals(tmp_path / "in.zarr")
    assert file.ordering == "ring"
    assert file.sampling == "healpix:nside=2,ordering=ring"


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_two_numbers_for_missing_values_do_not_stop_writing(tmp_path, suffix):
    data = weather()
    data.sst.encoding = {"_FillValue": np.float32(np.nan), "missing_value": np.float32(-9.97e36)}
    write_dataset(tmp_path / f"out{suffix}", data)
    xr.testing.assert_equal(open_dataset(tmp_path / f"out{suffix}").load(), weather())
    assert "missing_value" in data.sst.encoding


def test_store_is_replaced_as_a_whole(tmp_path):
    write_dataset(tmp_path / "out.zarr", weather())
    with pytest.raises(FileExistsError, match=r"must not exist yet, got an existing store"):
        write_dataset(tmp_path / "out.zarr", weather())
    write_dataset(tmp_path / "out.zarr", weather()[["sst"]], overwrite=True)
    assert list(open_dataset(tmp_path / "out.zarr").data_vars) == ["sst"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


def test_commands_predict_and_draw_fields(tmp_path, checkpoint, capsys):
    pytest.importorskip("matplotlib")
    from deepsphere.cli import main

    write_dataset(tmp_path / "in.nc", weather())
    files = [str(tmp_path / name) for name in ("model.ckpt", "in.nc", "out.nc")]
    assert main(["predict", *files]) == 0
    assert "sst predicted for time 3, lat 8, lon 16, on Equiangular" in capsys.readouterr().out
    assert main(["plot", files[2], str(tmp_path / "map.png"), "--channel", "sst"]) == 0
    assert main(["predict", *files, "--overwrite", "--sampling", "healpix:2"]) != 0
    assert "--sampling must not be given with an OUTPUT that keeps" in capsys.readouterr().err
    # without coordinates in the output, a file of fields is one of signals
    files[2] = str(tmp_path / "out.npz")
    assert main(["predict", *files, "--channels", "sst"]) == 0
    assert np.load(files[2])["predictions"].shape == (3, 128, 1)
