"""Fields as signals: channels, times, missing values, and the way back."""

import numpy as np
import pytest

from deepsphere.fields import from_xarray, layout_of_dataset
from deepsphere.sampling import Equiangular

xr = pytest.importorskip("xarray")

LAT, LON = np.array([-67.5, -22.5, 22.5, 67.5]), np.arange(8) * 45.0
TIMES = np.array(["2001-01-01", "2001-01-02", "2001-01-05"], "datetime64[ns]")


def weather():
    """Variables of several kinds, and what is no field beside them."""
    rng = np.random.default_rng(1)
    coords = {"time": TIMES, "level": [850, 500], "lat": LAT, "lon": LON, "run": 3}
    return xr.Dataset(
        {
            "z": (("level", "time", "lat", "lon"), rng.normal(size=(2, 3, 4, 8)), {"units": "m"}),
            "t2m": (
                ("time", "lon", "lat"),
                rng.normal(size=(3, 8, 4)).astype(np.float32),
                {"units": "K"},
            ),
            "orography": (("lat", "lon"), rng.integers(0, 99, (4, 8)).astype(np.int16)),
            "time_bnds": (("time", "two"), np.zeros((3, 2))),
            "crs": ((), 7),
        },
        coords,
        attrs={"title": "weather"},
    )


def test_places_of_levels_become_channels_and_come_back():
    data = weather()
    fields = from_xarray(data, channel_dims="level")
    assert fields.channel_names == ("z_850", "z_500", "t2m", "orography")
    assert fields.units == ("m", "m", "K", "")
    assert fields.batch_dims == ("time",)
    assert fields.signals.shape == (3, 32, 4)
    assert fields.signals.dtype == np.float64
    # vertices run from north to south
    z = data.z.transpose("time", "lat", "lon", "level").values[:, ::-1].reshape(3, 32, 2)
    np.testing.assert_array_equal(fields.signals[..., :2], z)
    t2m = data.t2m.transpose("time", "lat", "lon").values[:, ::-1].reshape(3, 32)
    np.testing.assert_array_equal(fields.signals[..., 2], t2m)
    np.testing.assert_array_equal(
        fields.signals[..., 3], np.tile(data.orography.values[::-1].ravel(), (3, 1))
    )
    assert fields.restore(fields.signals).identical(data)
    np.testing.assert_array_equal(fields.times, TIMES)


def test_levels_are_before_the_vertices_unless_they_are_channels():
    fields = from_xarray(weather(), variables=["z"])
    assert fields.batch_dims == ("time", "level")
    assert fields.signals.shape == (3, 2, 32, 1)
    assert fields.batch_shape == (3, 2)
    back = fields.restore(fields.signals)
    assert set(back.data_vars) == {"z", "crs", "time_bnds"}
    assert back.z.identical(weather().z)
    assert "time: 3, level: 2" in repr(fields)


def test_static_fields_are_repeated_along_time_and_restored_once():
    fields = from_xarray(weather(), variables=("t2m", "orography"))
    assert fields.signals.shape == (3, 32, 2)
    assert fields.signals.dtype == np.float32
    assert fields.restore(fields.signals).orography.identical(weather().orography)


def test_parts_are_those_of_the_whole():
    fields = from_xarray(weather(), variables="t2m")
    np.testing.assert_array_equal(fields.read(slice(1, 3)), fields.signals[1:])
    np.testing.assert_array_equal(fields.read([2, 0]), fields.signals[[2, 0]])
    with pytest.raises(ValueError, match=r"must have a dimension before the vertices"):
        from_xarray(weather(), variables="orography").read([0])


def test_array_comes_back_with_its_name_or_without():
    array = weather().t2m
    for name in ("t2m", None, "lat"):
        given = array.rename(name) if name != "lat" else array.rename("time")
        fields = from_xarray(given)
        assert fields.restore(fields.signals).identical(given)


def test_missing_values_stay_and_name_the_valid_vertices():
    data = weather()[["t2m"]]
    data.t2m[0, 2, 1] = np.nan
    data.t2m[:, 5, 3] = np.nan
    fields = from_xarray(data)
    # vertex = (row from the north) * 8 + column
    missing = np.zeros((3, 32), bool)
    missing[0, 2 * 8 + 2] = True
    missing[:, 5] = True
    np.testing.assert_array_equal(fields.valid, ~missing)
    np.testing.assert_array_equal(fields.always_valid, ~missing.any(axis=0))
    there = fields.dropna()
    assert there.sampling == Equiangular(4, 8).subset(~missing.any(axis=0))
    assert np.isfinite(there.signals).all()
    back = there.restore(there.signals)
    xr.testing.assert_identical(back, data.where(back.t2m.notnull()))
    assert int(back.t2m.isnull().sum()) == 6
    assert from_xarray(weather()[["t2m"]]).dropna().sampling == Equiangular(4, 8)


def test_fields_that_are_never_whole_are_refused():
    data = weather()[["t2m"]] * np.nan
    with pytest.raises(ValueError, match=r"must have a vertex at which nothing is missing, got no"):
        from_xarray(data).dropna()


def test_integers_come_back_as_integers_where_they_are():
    fields = from_xarray(weather(), variables="orography")
    assert fields.signals.dtype == np.float32
    assert fields.restore(fields.signals).orography.dtype == np.int16
    assert fields.restore(fields.signals + np.float32(0.5)).orography.dtype == np.float32
    mask = (weather().orography > 50).rename("mask")
    kept = from_xarray(mask)
    assert kept.restore(kept.signals).identical(mask)


def test_channels_are_selected_by_name():
    fields = from_xarray(weather(), channel_dims="level")
    some = fields.select(["t2m", "z_500"])
    np.testing.assert_array_equal(some.signals, fields.signals[..., [2, 1]])
    with pytest.raises(ValueError, match=r"must have all places of their channel dimensions"):
        some.restore(some.signals)
    with pytest.raises(ValueError, match=r"channels must be among z_850, .*, got q_700"):
        fields.select(["q_700"])


@pytest.mark.parametrize("value", [-9999.0, 1e20, -9.96921e36])
def test_numbers_that_look_missing_are_told(value):
    data = weather()[["t2m"]]
    data.t2m[0, :2, 0] = value
    with pytest.warns(UserWarning, match=r"variable t2m has 2 values such as .* look like missing"):
        assert from_xarray(data).signals.size == 96


def test_depths_that_pass_a_fill_number_are_not_told():
    data = xr.Dataset(
        {"depth": (("lat", "lon"), np.linspace(-9999, 5000, 32).reshape(4, 8))},
        {"lat": LAT, "lon": LON},
    )
    assert from_xarray(data).signals.min() == -9999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": "t3m"}, r"variables must be among z, t2m, .*, got t3m"),
        ({"variables": []}, r"variables must be among .*, got none"),
        ({"variables": "time_bnds"}, r"variable time_bnds must be numbers on the dimensions lat, "),
        ({"channel_dims": "depth"}, r"channel_dims must be dimensions of the variables.*'depth'"),
        ({"channel_dims": "lat"}, r"channel_dims must be dimensions of the variables.*'lat'"),
    ],
)
def test_wrong_choices_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        from_xarray(weather(), **options)


def test_data_without_a_field_is_refused():
    with pytest.raises(ValueError, match=r"must have a variable on the dimensions lat, lon of the"):
        from_xarray(weather()[["crs", "time_bnds", "orography"]].drop_vars("orography"))


def test_layout_writes_new_fields():
    layout = layout_of_dataset(weather())
    values = np.arange(64.0).reshape(2, 32)
    steps = layout.restore(values, batch={"step": [1, 2]}, name="t", attrs={"units": "K"})
    assert steps.dims == ("step", "lat", "lon")
    assert steps.attrs == {"units": "K"}
    np.testing.assert_array_equal(steps.values[:, ::-1].reshape(2, 32), values)
    np.testing.assert_array_equal(steps.lat, LAT)
    named = layout.restore(
        np.zeros((3, 32)), like=weather().t2m.transpose("time", "lat", "lon"), name="new", attrs={}
    )
    assert named.name == "new"
    assert named.attrs == {}


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros(31), {}, r"values must have the shape \(\.\.\., 32 vertices\), got \(31,\)"),
        (np.zeros((2, 32)), {}, r"must have the dimensions \{\} before the vertices"),
        (
            np.zeros((2, 32)),
            {"like": weather().t2m},
            r"must have the dimensions \{'time': 3\} before the vertices, got the shape \(2, 32\)",
        ),
    ],
)
def test_layout_refuses_other_shapes(values, options, message):
    with pytest.raises(ValueError, match=message):
        layout_of_dataset(weather()).restore(values, **options)


def test_layout_refuses_another_grid():
    layout = layout_of_dataset(weather())
    with pytest.raises(ValueError, match=r"array must have the dimensions .*'lon': 8.*got"):
        layout.flatten(weather().t2m.isel(lon=slice(4)))
    with pytest.raises(ValueError, match=r"every vertex must be a cell of the grid, got 1 without"):
        type(layout)(Equiangular(4, 8), ("x",), (31,), np.arange(31))


def test_fields_refuse_signals_of_another_shape():
    fields = from_xarray(weather(), variables="t2m")
    with pytest.raises(ValueError, match=r"signals must have the shape \(3, 32, 1\) of the fields"):
        fields.restore(fields.signals[:2])


def test_areas_of_cells_are_no_channel_unless_asked_for_or_alone():
    place = {"lat": ("ncol", [10.0, -20, 30, 70]), "lon": ("ncol", [0.0, 90, 180, 270])}
    area = ("ncol", np.ones(4), {"units": "steradian"})
    data = xr.Dataset({"T": ("ncol", np.arange(4.0)), "area": area}, place)
    assert from_xarray(data).channel_names == ("T",)
    assert from_xarray(data, variables=["area", "T"]).channel_names == ("area", "T")
    assert from_xarray(data[["area"]]).channel_names == ("area",)
    for name, others in (
        ("areaCell", {}),
        ("a", {"standard_name": "cell_area"}),
        ("b", {}),
    ):
        named = data[["T"]].assign({name: ("ncol", np.ones(4), others)})
        named["T"].attrs["cell_measures"] = "area: b"
        assert from_xarray(named).channel_names == ("T",)


def test_no_times_are_no_signals():
    data = xr.DataArray(
        np.zeros((0, 2, 4)),
        {"lat": [-45.0, 45.0], "lon": [0.0, 90, 180, 270]},
        ("time", "lat", "lon"),
    )
    fields = from_xarray(data)
    assert fields.signals.shape == (0, 8, 1)
    assert fields.restore(fields.signals).identical(data)


def test_half_precision_is_read_without_a_word():
    data = xr.DataArray(
        np.ones((2, 4), np.float16),
        {"lat": [-45.0, 45.0], "lon": [0.0, 90, 180, 270]},
        ("lat", "lon"),
    )
    np.testing.assert_array_equal(from_xarray(data).signals, np.ones((8, 1)))
