"""Arrays by name and data sets of xarray hold the same records as tables."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_writers import write_stations

DAYS = np.datetime64("2019-12-30") + np.arange(5)


# arrays


def test_arrays_by_name_are_read(made_records, assert_same, tmp_path):
    records = made_records()
    arrays = {
        "tmax_f": records.column("tmax") * 1.8 + 32,
        "prec": records.column("prcp").T,
        "dates": DAYS,
        "lat": records.lat_deg.astype(np.float64),
        "lon": records.lon_deg,
        "city": np.array(records.names),
        "wmo": np.array(["1", "1", "2", "3"]),
        "usaf": np.array(records.ids),
        "alt_m": records.elevation_m,
    }
    found = read_stations(arrays)
    assert_same(found, records)
    assert found.units == ("°C", "")
    np.savez(tmp_path / "a.npz", **arrays)
    assert_same(read_stations(tmp_path / "a.npz"), records)
    with pytest.raises(ValueError, match=r"arrays must say when, .* times=np.arange"):
        read_stations({name: each for name, each in arrays.items() if name != "dates"})
    with pytest.raises(ValueError, match=r"arrays must say where the stations are, .*without lon"):
        read_stations({name: each for name, each in arrays.items() if name != "lon"})
    with pytest.raises(ValueError, match=r"extra must have shape \(times, stations\) \(5, 4\)"):
        read_stations({**arrays, "extra": np.zeros((2, 4))})
    with pytest.raises(ValueError, match="arrays must hold one of shape"):
        read_stations({name: arrays[name] for name in ("dates", "lat", "lon")})


def test_normals_of_months_are_read_with_the_months_that_are_given():
    months = np.arange("2001-01", "2002-01", dtype="datetime64[M]")
    arrays = {"temp_c": np.arange(36.0).reshape(3, 12), "lat": np.arange(3), "lon": np.arange(3)}
    found = read_stations(arrays, times=months)
    assert str(found.axis.step) == "1 month"
    np.testing.assert_array_equal(found.column("tavg"), arrays["temp_c"].T)


def test_names_in_the_plural_and_layers_of_arrays_are_read(made_records, assert_same):
    records = made_records()
    arrays = {
        "lons": records.lon_deg,
        "lats": records.lat_deg,
        "times": DAYS,
        "ids": np.array(records.ids),
        "names": np.array(records.names),
        "elevations": records.elevation_m,
        "data": records.values,
        "channel_names": np.array(["TMAX", "PRCP"]),
    }
    assert_same(read_stations(arrays), records)
    del arrays["channel_names"]
    assert read_stations(arrays).channel_names == ("data_0", "data_1")


def test_arrays_of_objects_are_rejected(tmp_path):
    np.savez(tmp_path / "a.npz", lat=[1.0], lon=[2.0], dates=np.array(["2020-01-01"], object))
    with pytest.raises(ValueError, match="got one of Python objects; write texts as arrays"):
        read_stations(tmp_path / "a.npz")


def arrays(**more):
    return {
        "lat": [47.0, 46.0],
        "lon": [8.0, 7.0],
        "dates": np.array(["2020-01-01", "2020-01-02", "2020-01-03"]),
        "tavg_c": np.arange(6.0).reshape(3, 2),
        **more,
    }


def test_arrays_of_other_kinds_hold_the_same():
    expected = read_stations(arrays()).values
    hidden = np.eye(3, 2, dtype=bool)
    masked = read_stations(arrays(tavg_c=np.ma.masked_array(np.arange(6).reshape(3, 2), hidden)))
    np.testing.assert_array_equal(masked.observed[..., 0], ~hidden)
    for same in (
        {"tavg_c": np.arange(6).reshape(3, 2).astype(str)},
        {"dates": np.array([b"2020-01-01", b"2020-01-02", b"2020-01-03"])},
        {"lat": np.array([[47.0], [46.0]])},
        {"tavg_qc": np.ones((3, 2), int)},
    ):
        records = read_stations(arrays(**same))
        assert records.channel_names == ("tavg",)
        np.testing.assert_array_equal(records.values, expected)


def test_times_of_arrays_that_are_not_known_are_dropped_and_told():
    dates = np.array(["2020-01-01", "NaT", "2020-01-03"], "datetime64[D]")
    records = read_stations(arrays(dates=dates))
    np.testing.assert_array_equal(records.column("tavg"), [[0, 1], [4, 5]])
    assert records.notes == ("1 of 3 times dropped, not known",)


# data sets


def dataset(records, **coords):
    return xr.Dataset(
        {
            "tmax": (
                ("station", "time"),
                records.column("tmax").T.astype(np.float64) + 273.15,
                {"units": "K"},
            )
        },
        {
            "time": records.times.astype("datetime64[ns]"),
            "station": list(records.ids),
            "lat": ("station", records.lat_deg),
            "lon": ("station", records.lon_deg),
            **coords,
        },
    )


def test_data_sets_with_times_and_stations_are_read(made_records, assert_same, tmp_path):
    records = made_records().select(["tmax"])
    data = dataset(records)
    for source in (data, data["tmax"], data.transpose("time", "station")):
        found = read_stations(source)
        assert_same(found, records, beside=False)
        assert found.units == ("°C",)
    data.to_netcdf(tmp_path / "a.nc")
    assert_same(read_stations(tmp_path / "a.nc"), records, beside=False)


def test_coordinates_of_data_sets_are_told_by_attributes(made_records, assert_same):
    records = made_records().select(["tmax"])
    data = dataset(
        records, height=("station", np.array([1.0, 2.0, 3.0, 4.0]) / 0.3048, {"units": "ft"})
    )
    data = data.assign_coords(
        lat=np.deg2rad(data["lat"]).assign_attrs(units="radian", standard_name="latitude"),
        lon=np.deg2rad(data["lon"]).assign_attrs(units="radian", standard_name="longitude"),
    ).rename(lat="phi", lon="lambda")
    found = read_stations(data)
    assert_same(found, records, beside=False)
    np.testing.assert_allclose(found.elevation_m, [1, 2, 3, 4])


def test_a_data_set_with_a_row_for_each_measurement_is_a_table(
    made_records, long_table, assert_same
):
    records = made_records()
    table = long_table(records).assign(date=lambda one: pd.to_datetime(one["date"]))
    data = xr.Dataset.from_dataframe(table.rename_axis("obs"))
    assert_same(read_stations(data), records)


def test_a_single_station_is_a_data_set_too(made_records):
    records = made_records().select(["tmax"]).take([1])
    found = read_stations(dataset(made_records().select(["tmax"])).isel(station=1))
    np.testing.assert_allclose(found.values, records.values, atol=1e-4)


def test_other_calendars_are_kept_in_data_sets_and_refused_elsewhere(made_records, tmp_path):
    days = xr.date_range("2001-02-27", periods=4, calendar="360_day", use_cftime=True)
    records = made_records(times=np.asarray(days))
    write_stations(tmp_path / "a.nc", records)
    found = read_stations(tmp_path / "a.nc")
    assert found.axis.calendar == "360_day"
    np.testing.assert_array_equal(found.values, records.values)
    with pytest.raises(ValueError, match=r"path must end in .nc or .zarr for times of"):
        write_stations(tmp_path / "a.csv", records)


def test_data_sets_on_grids_or_without_times_are_rejected(made_records, assert_same):
    records = made_records().select(["tmax"])
    grid = xr.Dataset({"t": (("lat", "lon"), np.zeros((2, 3)))}, {"lat": [0, 1], "lon": [0, 1, 2]})
    with pytest.raises(ValueError, match="fields on a grid are read by open_series"):
        read_stations(grid)
    with pytest.raises(ValueError, match=r"data must say where the stations are, .* without lon"):
        read_stations(dataset(records).drop_vars("lon"))
    with pytest.raises(ValueError, match="data must have times along one dimension"):
        read_stations(dataset(records).drop_vars("time"))
    given = read_stations(dataset(records).drop_vars("time"), times=DAYS)
    assert_same(given, records, beside=False)
    with pytest.raises(ValueError, match="times must be one for each place along a dimension"):
        read_stations(dataset(records).drop_vars("time"), times=DAYS[:3])
    with pytest.raises(ValueError, match="data must have a variable along time and station"):
        read_stations(dataset(records).drop_vars("tmax"))


def rows_of(records):
    """A data set with a row for each measurement, and the stations beside it."""
    number = len(records) * records.num_stations
    return xr.Dataset(
        {
            "tmax": ("row", records.column("tmax").T.reshape(-1) * 1.8 + 32, {"units": "degF"}),
            "time": ("row", np.tile(records.times.astype("datetime64[ns]"), records.num_stations)),
            "lon": ("station", records.lon_deg),
            "lat": ("station", records.lat_deg),
            "station_id": ("station", list(records.ids)),
        }
    ), np.repeat(np.arange(records.num_stations), len(records))[:number]


def test_ragged_arrays_of_the_conventions_are_read(made_records, assert_same):
    records = made_records(channels=("tmax",), units=("°C",))
    data, stations = rows_of(records)
    indexed = data.assign(where=("row", stations, {"instance_dimension": "station"}))
    counts = np.full(records.num_stations, len(records))
    counted = data.assign(rows=("station", counts, {"sample_dimension": "row"}))
    for each in (indexed, counted):
        found = read_stations(each)
        assert_same(found, records, beside=False)
        assert found.units == ("°C",)


def test_data_sets_with_one_height_and_undecoded_times_are_read(made_records):
    records = made_records(channels=("tmax",), units=("°C",))
    data = xr.Dataset(
        {"tmax": (("height", "time", "station"), records.values[None, ..., 0], {"units": "degC"})},
        {
            "time": ("time", np.arange(len(records)), {"units": "days since 2019-12-30"}),
            "lon": ("station", records.lon_deg),
            "lat": ("station", records.lat_deg),
            "elevation": ("station", [0.1, 0.2, 0.3, 0.4], {"units": "km"}),
        },
    )
    found = read_stations(data)
    np.testing.assert_array_equal(found.values, records.values)
    np.testing.assert_array_equal(found.times, records.times)
    np.testing.assert_allclose(found.elevation_m, [100, 200, 300, 400])
    several = xr.concat([data, data], "height")
    with pytest.raises(ValueError, match="choose one place along the others, as by isel"):
        read_stations(several)
