"""Files of fields: netCDF and Zarr, packed, with missing values, odd times, or damaged."""

import shutil
import zipfile

import numpy as np
import pytest

from deepsphere.fields import from_xarray, is_dataset_path, open_dataset

xr = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")

LAT, LON = np.array([-67.5, -22.5, 22.5, 67.5]), np.arange(8) * 45.0


def sst(times=("2001-01-01", "2001-02-01", "2001-03-01")):
    values = np.random.default_rng(0).normal(15, 5, (len(times), 4, 8)).round(2)
    values[:, 1, :3] = np.nan
    return xr.Dataset(
        {"sst": (("time", "lat", "lon"), values, {"units": "degC"})},
        {"time": np.array(times, "datetime64[ns]"), "lat": LAT, "lon": LON},
        attrs={"title": "sea"},
    )


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".zarr.zip", ".nc4"])
def test_written_and_opened_is_the_same(tmp_path, suffix):
    path = tmp_path / f"sst{suffix}"
    if suffix == ".zarr":
        sst().to_zarr(path, consolidated=False)
    elif suffix == ".zarr.zip":
        sst().to_zarr(tmp_path / "sst.zarr", consolidated=False)
        shutil.make_archive(str(path.with_suffix("")), "zip", tmp_path / "sst.zarr")
    else:
        sst().to_netcdf(path)
    opened = open_dataset(path)
    xr.testing.assert_equal(opened, sst())
    assert np.isnan(from_xarray(opened).signals).sum() == 9


def test_folder_of_zarr_needs_no_suffix(tmp_path):
    sst().to_zarr(tmp_path / "store", consolidated=False)
    xr.testing.assert_equal(open_dataset(tmp_path / "store"), sst())


def test_packed_values_are_unpacked_and_missing_ones_missing(tmp_path):
    packing = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -9999}
    sst().to_netcdf(tmp_path / "sst.nc", encoding={"sst": packing})
    opened = open_dataset(tmp_path / "sst.nc")
    np.testing.assert_allclose(opened.sst, sst().sst, atol=1e-9)
    fields = from_xarray(opened)
    back = fields.restore(fields.signals)
    assert back.sst.encoding["_FillValue"] == -9999
    back.to_netcdf(tmp_path / "again.nc")
    again = xr.open_dataset(tmp_path / "again.nc", mask_and_scale=False)
    raw = xr.open_dataset(tmp_path / "sst.nc", mask_and_scale=False)
    assert again.sst.identical(raw.sst)


def test_several_files_are_joined_in_time(tmp_path):
    whole = sst()
    whole.isel(time=slice(2)).to_netcdf(tmp_path / "b.nc")
    whole.isel(time=slice(2, 3)).to_netcdf(tmp_path / "a.nc")
    for paths in ([tmp_path / "a.nc", tmp_path / "b.nc"], str(tmp_path / "*.nc")):
        opened = open_dataset(paths)
        xr.testing.assert_equal(opened.load(), whole)


def test_files_that_do_not_join_are_named(tmp_path):
    sst().to_netcdf(tmp_path / "a.nc")
    sst().isel(lat=slice(2)).rename(lat="y").to_netcdf(tmp_path / "b.nc")
    with pytest.raises(ValueError, match=r"the 2 files must join along their coordinates, got"):
        open_dataset([tmp_path / "a.nc", tmp_path / "b.nc"])


def raw_times(tmp_path, values, units, calendar="standard"):
    """A file whose times are these numbers."""
    data = sst().assign_coords(time=("time", np.array(values), {"units": units}))
    if calendar:
        data.time.attrs["calendar"] = calendar
    path = tmp_path / f"{units.split()[0]}.nc"
    data.to_netcdf(path)
    return path


def test_months_since_a_date_are_dates(tmp_path):
    opened = open_dataset(raw_times(tmp_path, [0, 1, 14], "months since 1999-12-15 00:00:00"))
    expected = np.array(["1999-12-15", "2000-01-15", "2001-02-15"], "datetime64[s]")
    np.testing.assert_array_equal(opened.time, expected)
    opened = open_dataset(raw_times(tmp_path, [0, 1, 2], "years since 2000-1-1", None))
    expected = np.array(["2000-01-01", "2001-01-01", "2002-01-01"], "datetime64[s]")
    np.testing.assert_array_equal(opened.time, expected)


def test_last_day_stands_for_one_that_a_month_lacks(tmp_path):
    opened = open_dataset(raw_times(tmp_path, [0, 1, 2], "months since 2001-01-31"))
    expected = np.array(["2001-01-31", "2001-02-28", "2001-03-31"], "datetime64[s]")
    np.testing.assert_array_equal(opened.time, expected)


def test_other_calendars_are_dates_of_them(tmp_path):
    pytest.importorskip("cftime")
    opened = open_dataset(raw_times(tmp_path, [58, 59, 60], "days since 2001-01-01", "360_day"))
    times = from_xarray(opened).times
    assert times.dtype == object
    assert [str(time)[:10] for time in times] == ["2001-02-29", "2001-02-30", "2001-03-01"]


@pytest.mark.parametrize(
    "units", ["months since the flood", "days since 0000-00-00", "months since 2000-13-01"]
)
def test_times_that_mean_nothing_stay_numbers(tmp_path, units):
    path = raw_times(tmp_path, [0, 1, 2], units)
    with pytest.warns(UserWarning, match=r"times of .*\.nc stay numbers"):
        opened = open_dataset(path)
    np.testing.assert_array_equal(opened.time, [0, 1, 2])


def test_damaged_and_other_files_are_named(tmp_path):
    sst().to_netcdf(tmp_path / "whole.nc")
    content = (tmp_path / "whole.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(content[: len(content) // 3])
    with pytest.raises(ValueError, match=r"half\.nc must be a complete netCDF file or Zarr store"):
        open_dataset(tmp_path / "half.nc")
    (tmp_path / "text.nc").write_text("no field")
    with pytest.raises(ValueError, match=r"text\.nc must be a complete netCDF file or Zarr store"):
        open_dataset(tmp_path / "text.nc")
    (tmp_path / "x.grib2").write_bytes(b"GRIB")
    with pytest.raises(ValueError, match=r"must be netCDF or Zarr, got GRIB; convert it"):
        open_dataset(tmp_path / "x.grib2")
    with pytest.raises(ValueError, match=r"got a folder without Zarr metadata .*\*\.nc"):
        open_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must name a file of fields, got .*none\.nc"):
        open_dataset(tmp_path / "none.nc")
    with pytest.raises(FileNotFoundError, match=r"must match files of fields, got .*none"):
        open_dataset(str(tmp_path / "none*.nc"))
    with pytest.raises(ValueError, match=r"at least one file of fields, got an empty list"):
        open_dataset([])


@pytest.mark.parametrize("unlimited", [None, ["time"]])
@pytest.mark.parametrize("layout", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_classic_file_that_is_cut_is_not_read_as_zeros(tmp_path, layout, unlimited):
    sst().to_netcdf(tmp_path / "whole.nc", format=layout, unlimited_dims=unlimited)
    xr.testing.assert_equal(open_dataset(tmp_path / "whole.nc"), sst())
    content = (tmp_path / "whole.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(content[: 3 * len(content) // 4])
    with pytest.raises(
        ValueError, match=r"cut\.nc must be a complete .*shorter than its header says"
    ):
        open_dataset(tmp_path / "cut.nc")


def test_damaged_chunk_and_archives_are_named(tmp_path):
    sst().to_zarr(tmp_path / "sst.zarr", zarr_format=2, consolidated=True)
    (tmp_path / "sst.zarr" / "sst" / "0.0.0").write_bytes(b"broken")
    with pytest.raises(
        ValueError, match=r"variable sst must be readable, got .*damaged or incompl"
    ):
        _ = from_xarray(open_dataset(tmp_path / "sst.zarr")).signals
    (tmp_path / "half.zarr.zip").write_bytes(b"PK12")
    with pytest.raises(ValueError, match=r"half\.zarr\.zip must be a complete netCDF file or Zarr"):
        open_dataset(tmp_path / "half.zarr.zip")
    with zipfile.ZipFile(tmp_path / "download.zip", "w") as archive:
        archive.writestr("data_stream-oper.nc", b"CDF")
    with pytest.raises(ValueError, match=r"got an archive of data_stream-oper\.nc; unpack it"):
        open_dataset(tmp_path / "download.zip")


def test_grid_in_a_file_of_its_own_is_joined(tmp_path):
    data = sst().isel(time=0, drop=True).stack(cell=("lat", "lon")).reset_index("cell")
    data[["sst"]].drop_vars(["lat", "lon"]).to_netcdf(tmp_path / "fields.nc")
    data[["lat", "lon"]].reset_coords().to_netcdf(tmp_path / "grid.nc")
    pytest.importorskip("dask")
    joined = from_xarray(open_dataset([tmp_path / "fields.nc", tmp_path / "grid.nc"]))
    assert joined.channel_names == ("sst",)
    np.testing.assert_array_equal(joined.signals[:, 0], data["sst"].values)


def test_names_of_files_tell_the_format():
    names = ["a.nc", "A.NC4", "b.zarr", "b.zarr/", "c.zarr.zip", "d.npz", "e.zip"]
    assert [is_dataset_path(name) for name in names] == [True] * 5 + [False] * 2
