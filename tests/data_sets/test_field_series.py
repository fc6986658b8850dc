"""Series of fields, windows of them, their parts, and series in files."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from deepsphere.data.field_files import open_series
from deepsphere.data.field_series import FieldSeries, array_series
from deepsphere.data.known_fields import ComputedFields
from deepsphere.data.series_splits import split_series
from deepsphere.data.windows import Windows
from deepsphere.sampling import Healpix, Subset

SAMPLING = Healpix(1)


def hourly(number: int, *, missing: tuple[int, ...] = ()) -> np.ndarray:
    times = np.datetime64("2020-01-01", "s") + np.arange(number) * np.timedelta64(6, "h")
    return np.delete(times, missing)


def make_series(number: int = 20, *, missing: tuple[int, ...] = (), **options) -> FieldSeries:
    """Fields whose values say which time they are of."""
    values = np.arange(number, dtype=np.float32)[:, None, None] + np.zeros((12, 2), np.float32)
    values[..., 1] += 100
    return array_series(
        np.delete(values, missing, axis=0),
        hourly(number, missing=missing),
        SAMPLING,
        channel_names=("a", "b"),
        units=("K", "m"),
        **options,
    )


def dataset(number: int = 6, *, descending: bool = False) -> xr.Dataset:
    generator = np.random.default_rng(0)
    lat = np.array([-60.0, -20.0, 20.0, 60.0])
    values = generator.normal(size=(number, 4, 8)).astype(np.float32)
    data = xr.Dataset(
        {
            "t": (("time", "lat", "lon"), values, {"units": "K", "long_name": "temperature"}),
            "sun": (("time", "lat", "lon"), values + 5),
            "oro": (("lat", "lon"), values[0]),
        },
        {"time": hourly(number).astype("datetime64[ns]"), "lat": lat, "lon": np.arange(8) * 45.0},
    )
    return data.isel(lat=slice(None, None, -1)) if descending else data


# series


def test_series_reads_what_is_asked_for():
    series = make_series()
    assert series.read([3, 3, 0])[:, 0, 0].tolist() == [3, 3, 0]
    assert series.between("2020-01-02", "2020-01-03").read([0, 3])[:, 0, 0].tolist() == [4, 7]
    assert series.take([2, 5]).read([1])[0, 0, 0] == 5
    assert series.select(["b"]).read([1])[0, 0].tolist() == [101]
    assert series.select(["b"]).units == ("m",)
    assert series.at(hourly(20)[[4, 2]])[:, 0, 0].tolist() == [4, 2]
    assert series.read([]).shape == (0, 12, 2)
    assert (len(series), series.num_channels, series.num_bytes) == (20, 2, 4 * 20 * 24)


def test_mapped_array_is_read_in_parts_and_kept_when_asked(tmp_path):
    np.save(tmp_path / "values.npy", np.arange(240.0).reshape(20, 12, 1))
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    series = array_series(mapped, hourly(20), SAMPLING)
    kept = series.take(range(4, 9)).in_memory()
    assert not isinstance(kept.source.values, np.memmap)
    assert np.array_equal(kept.read([0, 4]), mapped[[4, 8]])
    assert kept.in_memory() is kept


def test_subset_takes_static_and_boundary_along():
    static = np.arange(12.0)[:, None]
    boundary = ComputedFields(("cos_local_time",), SAMPLING)
    series = make_series(static=static, static_names=("oro",), boundary=boundary)
    part = series.subset(np.array([7, 2]))
    assert part.sampling == Subset(SAMPLING, np.array([7, 2]))
    assert part.static[:, 0].tolist() == [7, 2]
    assert part.read([0]).shape == (1, 2, 2)
    whole = boundary.at(series.times[:3])
    np.testing.assert_allclose(part.boundary.at(series.times[:3]), whole[:, [7, 2]], atol=1e-6)


def test_times_without_values_become_gaps():
    values = np.zeros((6, 12, 2), np.float32)
    values[2, :, 1] = np.nan
    values[4, 3:, 0] = np.nan
    series = array_series(values, hourly(6), SAMPLING).without_empty()
    assert series.axis.gaps == ((1, 1),)
    assert series.notes == (
        "1 of 6 times left out, at which a channel has no value; the first is 2020-01-01T12:00",
    )
    full = make_series()
    assert full.without_empty() is full


def test_series_that_do_not_fit_are_rejected(unchecked):
    values = np.zeros((4, 12, 2), np.float32)
    with pytest.raises(ValueError, match=r"values must have shape \(times, 12 vertices, channels"):
        array_series(values[:, :5], hourly(4), SAMPLING)
    with pytest.raises(ValueError, match="times must be one for each of 4 fields, got 3"):
        array_series(values, hourly(3), SAMPLING)
    with pytest.raises(
        ValueError, match=r"channel_names must be different and not empty, got \('a"
    ):
        array_series(values, hourly(4), SAMPLING, channel_names=("a", "a"))
    with pytest.raises(ValueError, match="units must be one for each of 2 channels, got 1"):
        array_series(values, hourly(4), SAMPLING, units=("K",))
    with pytest.raises(ValueError, match=r"static must have shape \(12 vertices, 1 fields\), got"):
        array_series(values, hourly(4), SAMPLING, static=np.zeros((11, 1)))
    static = np.zeros((12, 1))
    static[3] = np.nan
    with pytest.raises(ValueError, match="static must be finite, got 1 values that are not"):
        array_series(values, hourly(4), SAMPLING, static=static)
    with pytest.raises(ValueError, match="static_names must come with static fields"):
        array_series(values, hourly(4), SAMPLING, static_names=("oro",))
    boundary = ComputedFields(("sin_year",), Healpix(2))
    with pytest.raises(ValueError, match="boundary must be sampled as the series is"):
        array_series(values, hourly(4), SAMPLING, boundary=boundary)
    with pytest.raises(ValueError, match="a channel of field_0, field_1 that is missing at all"):
        array_series(values * np.nan, hourly(4), SAMPLING).without_empty()


def test_reading_what_is_not_there_is_rejected(unchecked):
    series = make_series()
    with pytest.raises(ValueError, match="indices must be between 0 and 19, got 20"):
        series.read([0, 20])
    with pytest.raises(
        ValueError, match=r"times must be among those of a, b, .* got 2020-01-01T01"
    ):
        series.at(np.array(["2020-01-01T01"], "datetime64[s]"))
    with pytest.raises(ValueError, match="start and stop must leave a time of 2020-01-01 to"):
        series.between("2021")
    with pytest.raises(ValueError, match="names must be among a, b, got 'c'"):
        series.select(["c"])
    values = np.zeros((2, 12, 1), np.float32)
    values[1, 3] = np.inf
    with pytest.raises(ValueError, match="finite or NaN, got an infinite field_0 at 2020-01-01T06"):
        array_series(values, hourly(2), SAMPLING).read([1])
    broken = replace(series, source=make_series(5).source, sampling=Healpix(2))
    with pytest.raises(ValueError, match=r"source must give fields of shape \(1, 48, 2\), got"):
        broken.read([0])


# windows


@pytest.mark.parametrize("missing", [(), (4,), (0, 9, 10), (3, 7, 11, 12)])
@pytest.mark.parametrize(
    ("lags", "step", "number"), [((-2, -1, 0), 1, 3), ((-2, 0), 2, 2), ((0,), 3, 1)]
)
def test_windows_are_all_in_which_nothing_is_missing(missing, lags, step, number):
    series = make_series(missing=missing)
    there = set(range(20)) - set(missing)
    leads = [step * k for k in range(1, number + 1)]
    # positions are counted from the first time that is there
    first, last = min(there), max(there)
    whole = [s for s in range(first, last + 1) if s + lags[0] >= first and s + leads[-1] <= last]
    complete = [s for s in whole if all(s + o in there for o in (*lags, *leads))]
    windows = Windows(series, input_lags=lags, step=step, num_iterations=number)
    assert len(windows) == len(complete)
    assert windows.num_left_out == len(whole) - len(complete)
    everything = np.arange(len(windows))
    inputs = series.read(windows.input_indices(everything).ravel())[:, 0, 0]
    targets = series.read(windows.target_indices(everything).ravel())[:, 0, 0]
    assert inputs.reshape(-1, len(lags)).tolist() == [[s + o for o in lags] for s in complete]
    assert targets.reshape(-1, number).tolist() == [[s + o for o in leads] for s in complete]


def test_no_target_is_at_or_before_an_input():
    windows = Windows(make_series(missing=(5,)), input_lags=(-3, 0), num_iterations=4)
    everything = np.arange(len(windows))
    inputs, targets = windows.input_indices(everything), windows.target_indices(everything)
    times = windows.series.times
    assert (times[targets].min(axis=1) > times[inputs].max(axis=1)).all()


def test_windows_left_out_are_noted():
    windows = Windows(make_series(missing=(5, 6)), input_lags=(-1, 0))
    assert windows.notes == (
        "4 of 18 windows left out, which span a gap: 1 in the times, the first of 2 after "
        "2020-01-02",
    )
    assert Windows(make_series(), input_lags=(0,)).notes == ()


def test_series_without_a_window_is_rejected_with_the_reason():
    with pytest.raises(
        ValueError, match="must hold 6 times in a row for a window, got 4 times over"
    ):
        Windows(make_series(4), num_iterations=3)
    every_other = make_series(missing=tuple(range(3, 20, 3)))
    with pytest.raises(ValueError, match=r"gaps, the first of 1 missing after 2020-01-01T12:00"):
        Windows(every_other, num_iterations=1)


def test_windows_out_of_range_are_rejected():
    for lags in ((), (-1,), (0, -1), (-1, 0, 1)):
        with pytest.raises(ValueError, match="input_lags must increase to 0"):
            Windows(make_series(), input_lags=lags)
    with pytest.raises(ValueError, match="step must be at least 1, got 0"):
        Windows(make_series(), step=0)
    with pytest.raises(ValueError, match="num_iterations must be at least 1, got 0"):
        Windows(make_series(), num_iterations=0)


# parts


@pytest.mark.parametrize(("lags", "step"), [((-2, -1, 0), 1), ((-2, 0), 2), ((0,), 3)])
def test_targets_of_the_parts_are_different_times_and_begin_where_they_should(lags, step):
    series = make_series(40)
    history = step - lags[0]
    parts = split_series(
        series, validation_start="2020-01-05", test_start="2020-01-08", history=history
    )
    targets = []
    for part in parts:
        windows = Windows(part, input_lags=lags, step=step, num_iterations=2)
        indices = windows.target_indices(np.arange(len(windows)))
        targets.append({int(i) for i in part.read(indices.ravel())[:, 0, 0]})
    train, validation, test = targets
    assert not train & validation
    assert not validation & test
    assert (max(train), min(validation)) == (15, 16)
    assert (max(validation), min(test), max(test)) == (27, 28, 39)


def test_parts_that_are_empty_are_rejected():
    series = make_series()
    assert split_series(series, test_start="2020-01-03").validation is None
    with pytest.raises(ValueError, match="test_start must lie after 2020-01-01 and not after"):
        split_series(series, test_start="2021")
    with pytest.raises(ValueError, match="validation_start must be before test_start, got"):
        split_series(series, validation_start="2020-01-03", test_start="2020-01-02")
    with pytest.raises(ValueError, match="history must not be negative, got -1"):
        split_series(series, test_start="2020-01-03", history=-1)


# files


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_series_of_a_file_is_that_of_its_arrays(tmp_path, kind):
    data = dataset(descending=True)
    path = tmp_path / f"fields.{kind}"
    if kind == "nc":
        data.to_netcdf(path, encoding={"t": {"chunksizes": (4, 4, 8)}})
    else:
        data.chunk(time=4).to_zarr(path, zarr_format=2)
    series = open_series(path, variables="t", static=["oro"], boundary=["sun"])
    assert (series.channel_names, series.units) == (("t",), ("K",))
    assert series.source.chunk_length == 4
    expected = np.stack([series.layout.flatten(data["t"][i]) for i in range(6)])
    copy = pickle.loads(pickle.dumps(series))
    for one in (series, copy):
        assert np.array_equal(one.read([5, 0, 3])[..., 0], expected[[5, 0, 3]])
    assert np.array_equal(series.static[:, 0], expected[0])
    assert np.array_equal(series.boundary.at(series.times[1:2])[..., 0], expected[1:2] + 5)
    # the north comes first on the sampling, whatever the order of the file
    assert np.array_equal(expected[0][:8], data["t"][0].sortby("lat").values[-1])


def test_chunks_are_read_once_and_forgotten_when_they_are_many(monkeypatch):
    series = open_series(dataset())
    source = replace(series.source, chunk_length=2)
    read = []
    fields = type(source.fields)
    original = fields.read
    monkeypatch.setattr(
        fields, "read", lambda self, indices: read.append(len(indices)) or original(self, indices)
    )
    whole = source.read(np.array([0, 1, 1, 5, 0]))
    assert read == [2, 2]
    assert np.array_equal(whole[[0, 2, 3]], series.source.read(np.array([0, 1, 5])))
    monkeypatch.setattr("deepsphere.data.field_files._BYTES_OF_CHUNKS", 0)
    read.clear()
    source.read(np.array([2, 3, 2]))
    source.read(np.array([2]))
    source.read(np.array([4]))
    assert len(source._kept) == 1
    assert read == [2, 2]


def test_levels_become_channels_and_gaps_are_noted():
    data = dataset().rename(sun="z")
    levels = xr.concat([data["z"], data["z"] + 1], "level").assign_coords(level=[500, 850])
    data = xr.Dataset({"z": levels}).isel(time=[0, 1, 3, 4, 5])
    series = open_series(data, channel_dims="level")
    assert series.channel_names == ("z_500", "z_850")
    np.testing.assert_allclose(np.diff(series.read([2])[0], axis=-1), 1, atol=1e-5)
    assert series.notes == ("1 time missing after 2020-01-01T06:00",)
    with pytest.raises(ValueError, match="no dimension but time and those of the grid, got level"):
        open_series(data)


def test_missing_values_are_nan_and_series_of_arrays_are_taken():
    data = dataset()["t"].where(dataset()["oro"] > 0)
    series = open_series(data)
    assert np.isnan(series.read([0])).mean() == pytest.approx(float(data[0].isnull().mean()))


def test_files_that_are_no_series_are_rejected(tmp_path):
    data = dataset()
    with pytest.raises(ValueError, match="data must have a dimension of dates to be a series, got"):
        open_series(data.isel(time=0, drop=True))
    with pytest.raises(ValueError, match=r"static and boundary must be among .*, got 'land'"):
        open_series(data, static=["land"])
    with pytest.raises(ValueError, match="must change in the course of time, got 'oro'"):
        open_series(data, variables=["t", "oro"])
    with pytest.raises(
        ValueError, match="data must have a variable on the grid with the dimension"
    ):
        open_series(data, boundary=["t", "sun"])
    with pytest.raises(FileNotFoundError, match="path must name a file of fields"):
        open_series(Path(tmp_path / "none.nc"))
    levels = xr.concat([data["oro"], data["oro"]], "level")
    with pytest.raises(
        ValueError, match="static must be fields on the grid alone, got 'levels' on"
    ):
        open_series(data.assign(levels=levels), variables="t", static=["levels"])
