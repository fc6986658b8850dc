"""Grids of files as they are written, and which sampling they are found to be."""

import numpy as np
import pytest
from scipy.special import roots_legendre

from deepsphere.fields import from_xarray, layout_of_dataset, sampling_from_dataset
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    GaussLegendre,
    Healpix,
    Rectilinear,
    Scattered,
    Subset,
)

xr = pytest.importorskip("xarray")

NORTH = {"standard_name": "latitude", "units": "degrees_north"}
EAST = {"standard_name": "longitude", "units": "degrees_east"}


def grid(lat, lon, *, lat_name="lat", lon_name="lon", dims=None, lat_attrs=None, lon_attrs=None):
    """A field (time, lat, lon) that is a smooth function of the place."""
    lat, lon = np.asarray(lat), np.asarray(lon)
    array = xr.DataArray(
        np.stack([field(lat[:, None], lon), 2 * field(lat[:, None], lon)]),
        dims=("time", lat_name, lon_name),
        coords={
            "time": np.array(["2001-01-01", "2001-01-02"], "datetime64[ns]"),
            lat_name: (lat_name, lat, lat_attrs or {}),
            lon_name: (lon_name, lon, lon_attrs or {}),
        },
        name="t2m",
        attrs={"units": "K", "long_name": "temperature"},
    )
    return array if dims is None else array.transpose(*dims)


def field(lat_deg, lon_deg):
    lat, lon = (np.deg2rad(np.asarray(angle, np.float64)) for angle in (lat_deg, lon_deg))
    value = np.sin(lat) + np.cos(lat) * np.cos(lon - 0.3) + np.cos(lat) ** 2 * np.sin(2 * lon)
    return value.astype(np.float32)


def expected(sampling):
    """The same function at the vertices."""
    return field(np.rad2deg(sampling.lat), np.rad2deg(sampling.lon))


EVEN = np.arange(0.0, 360, 15)
HALF = np.arange(7.5, 360, 15)
CENTERED = np.arange(-180.0, 180, 15)
CELLS = np.arange(-82.5, 90, 15)
WITH_POLES = np.arange(-90.0, 91, 15)
GAUSS = np.rad2deg(np.arcsin(roots_legendre(12)[0]))
UNEVEN = np.array([-80.0, -60, -45, -20, -5, 4, 17, 40, 66, 85])

GRIDS = {
    "cells": (CELLS, EVEN, Equiangular(12, 24)),
    "cells from the north": (CELLS[::-1], EVEN, Equiangular(12, 24)),
    "poles": (WITH_POLES, EVEN, Equiangular(13, 24, 2)),
    "poles from -180": (WITH_POLES[::-1], CENTERED, Equiangular(13, 24, 2)),
    "westward": (WITH_POLES, EVEN[::-1], Equiangular(13, 24, 2)),
    "north pole": (np.arange(90.0, -90, -15), EVEN, Equiangular(12, 24, 1)),
    "south pole": (
        90 - np.rad2deg(Equiangular(12, 24, "south").colatitudes),
        EVEN,
        Equiangular(12, 24, "south"),
    ),
    "without poles": (
        WITH_POLES[1:-1],
        EVEN,
        Equiangular(13, 24, 2).subset(np.arange(1, 1 + 11 * 24)),
    ),
    "without Antarctica": (CELLS[3:], EVEN, Equiangular(12, 24).subset(np.arange(9 * 24))),
    "gaussian": (GAUSS, EVEN, GaussLegendre(12, 24)),
    "gaussian of three decimals": (GAUSS[::-1].round(3), CENTERED, GaussLegendre(12, 24)),
    "half a cell": (CELLS, HALF, Rectilinear(CELLS[::-1], HALF)),
    "half a cell from -180": (CELLS, CENTERED + 7.5, Rectilinear(CELLS[::-1], HALF)),
    "gaussian, half a cell": (GAUSS, HALF, Rectilinear(GAUSS[::-1], HALF)),
    "uneven": (UNEVEN, EVEN, Rectilinear(UNEVEN[::-1], EVEN)),
    "third of a degree": (
        np.float32(np.arange(90, -91, -20 / 3)),
        np.float32(np.arange(54) * 20 / 3),
        Equiangular(28, 54, 2),
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_latitude_longitude_grid_is_recognised_and_read_in_place(name):
    lat, lon, sampling = GRIDS[name]
    data = grid(lat, lon)
    fields = from_xarray(data)
    assert type(fields.sampling) is type(sampling)
    if isinstance(sampling, Rectilinear):
        np.testing.assert_allclose(fields.sampling.points, sampling.points, atol=1e-12)
    else:
        assert fields.sampling == sampling
    assert fields.signals.shape == (2, sampling.num_vertices, 1)
    # a hundredth of a step is the tolerance of the recognition
    np.testing.assert_allclose(fields.signals[0, :, 0], expected(sampling), atol=2e-4)
    assert abs(fields.sampling.areas.sum() - 4 * np.pi) < 1e-10 or isinstance(sampling, Subset)


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("dims", [None, ("lon", "time", "lat"), ("lat", "lon", "time")])
def test_restoring_what_was_read_gives_the_same_bits(name, dims):
    lat, lon, _ = GRIDS[name]
    data = grid(lat, lon, dims=dims, lat_attrs=NORTH, lon_attrs=EAST)
    data.encoding = {"_FillValue": np.float32(-1e20), "zlib": True}
    fields = from_xarray(data)
    back = fields.restore(fields.signals)
    # at a pole the row has one value up to rounding, of which the mean is written
    if (np.abs(lat) == 90).any():
        xr.testing.assert_allclose(back, data, rtol=1e-6, atol=1e-6)
        data, back = (array.isel(lat=np.abs(lat) < 90) for array in (data, back))
    assert back.identical(data)
    assert back.dtype == data.dtype
    assert from_xarray(data).restore(from_xarray(data).signals).encoding == data.encoding


def test_equal_values_around_a_pole_come_back_exactly():
    data = grid(WITH_POLES, EVEN)
    data[:, [0, -1]] = np.float32([0.1, 0.7])[:, None, None]
    fields = from_xarray(data)
    assert fields.restore(fields.signals).identical(data)


def test_pole_is_the_mean_of_what_is_not_missing():
    data = grid(WITH_POLES, EVEN)
    data[:, -1, :6] = np.nan
    data[0, 0] = np.nan
    signals = from_xarray(data).signals
    np.testing.assert_allclose(signals[1, 0, 0], data.values[1, -1, 6:].mean(dtype=np.float64))
    assert np.isnan(signals[0, -1, 0])
    assert not np.isnan(signals[1, -1, 0])


@pytest.mark.parametrize("start", [0.0, -180.0, 20.0])
def test_repeated_meridian_is_read_once_and_written_back(start):
    lon = start + np.arange(25) * 15.0
    data = grid(WITH_POLES[1:-1], lon)
    fields = from_xarray(data)
    assert fields.sampling.num_vertices == 11 * 24
    assert "cyclic" in fields.notes[0]
    back = fields.restore(fields.signals)
    # the last column is written as the first, which it is up to rounding of the function
    np.testing.assert_array_equal(back.values[..., -1], data.values[..., 0])
    assert back.isel(lon=slice(-1)).identical(data.isel(lon=slice(-1)))


def test_columns_that_overlap_out_of_step_are_refused():
    with pytest.raises(ValueError, match=r"longitudes must go around the circle once"):
        sampling_from_dataset(grid(CELLS, np.arange(26) * 15.0 * 24.5 / 25))


def test_missing_columns_are_filled_in():
    lon = np.delete(EVEN, [5, 6, 7])
    data = grid(CELLS, lon)
    fields = from_xarray(data)
    assert fields.sampling.base.num_vertices == 12 * 24
    np.testing.assert_allclose(fields.sampling.base.areas, Equiangular(12, 24).areas, rtol=1e-9)
    assert fields.restore(fields.signals).identical(data)


REGIONS = {
    "Europe": (np.arange(35.0, 70, 1.5), np.arange(-10.0, 40, 2)),
    "across the date line": (np.arange(10.0, -30, -2), np.arange(160.0, 200, 2)),
    "cap": (np.arange(60.0, 91, 2), np.arange(0.0, 360, 10)),
    "band": (np.arange(-20.0, 21, 2), np.arange(0.0, 360, 10)),
    "uneven": (np.array([1.0, 2, 4, 7]), np.array([3.0, 5, 6, 9, 12])),
    "one column": (np.array([10.0, 12, 14]), np.array([3.0])),
    "one row": (np.array([10.0]), np.array([3.0, 5, 7])),
    "fine": (np.arange(45, 47, 0.01), np.arange(5, 8, 0.01)),
}


@pytest.mark.parametrize("name", REGIONS)
def test_region_is_part_of_a_whole_that_is_not_much_larger(name):
    lat, lon = REGIONS[name]
    data = grid(lat, lon)
    fields = from_xarray(data)
    sampling = fields.sampling
    assert isinstance(sampling, Subset)
    assert isinstance(sampling.base, Rectilinear)
    assert (
        fields.restore(fields.signals)
        .isel(lat=np.abs(lat) < 90)
        .identical(data.isel(lat=np.abs(lat) < 90))
    )
    np.testing.assert_allclose(fields.signals[0, :, 0], expected(sampling), atol=1e-6)
    guards = 80  # rows and columns around: twice as often two and then a geometric series
    assert sampling.base.num_vertices <= (len(lat) + guards) * (len(lon) + guards)
    assert abs(sampling.base.areas.sum() - 4 * np.pi) < 1e-10


def test_cells_at_the_border_of_a_region_are_as_large_as_inside():
    lat, lon = np.arange(-10.0, 11, 2), np.arange(0.0, 41, 2)
    areas = sampling_from_dataset(grid(lat, lon)).areas.reshape(11, 21)
    edges = np.deg2rad(np.append(lat - 1, 11.0))
    rows = np.diff(np.sin(edges))[::-1] * np.deg2rad(2)
    np.testing.assert_allclose(areas, np.repeat(rows[:, None], 21, axis=1), rtol=1e-12)


def test_single_point_is_refused():
    with pytest.raises(ValueError, match=r"several latitudes or longitudes, got a single point"):
        sampling_from_dataset(grid([3.0], [4.0]))


@pytest.mark.parametrize(
    "names",
    [("latitude", "longitude"), ("nav_lat", "nav_lon"), ("y", "x"), ("LAT", "LON")],
)
def test_coordinates_are_known_by_their_names(names):
    data = grid(CELLS, EVEN, lat_name=names[0], lon_name=names[1])
    assert sampling_from_dataset(data) == Equiangular(12, 24)


@pytest.mark.parametrize(
    ("lat_attrs", "lon_attrs"),
    [
        ({"standard_name": "latitude"}, {"standard_name": "longitude"}),
        ({"units": "degrees_north"}, {"units": "degree_east"}),
        ({"axis": "Y", "units": "degrees"}, {"axis": "X", "units": "degrees"}),
    ],
)
def test_coordinates_are_known_by_their_attributes(lat_attrs, lon_attrs):
    data = grid(CELLS, EVEN, lat_name="j", lon_name="i", lat_attrs=lat_attrs, lon_attrs=lon_attrs)
    assert sampling_from_dataset(data) == Equiangular(12, 24)
    # attributes go before names, even where the names say the contrary
    data = data.rename(j="lon", i="lat")
    assert sampling_from_dataset(data) == Equiangular(12, 24)


def test_projected_axes_are_not_angles():
    data = grid(CELLS, EVEN, lat_name="y", lon_name="x", lat_attrs={"units": "m"})
    with pytest.raises(ValueError, match=r"must have coordinates of the sphere.*y\(y\), units 'm'"):
        sampling_from_dataset(data)


def test_latitudes_on_two_dimensions_go_before_those_of_a_turned_pole():
    rlat, rlon = np.linspace(-5, 5, 6), np.linspace(-6, 6, 7)
    lat = 50 + rlat[:, None] + 0.1 * rlon
    lon = 10 + 1.5 * rlon + 0.05 * rlat[:, None]
    data = xr.Dataset(
        {"t": (("rlat", "rlon"), field(lat, lon))},
        {
            "rlat": ("rlat", rlat, {"standard_name": "grid_latitude", "units": "degrees"}),
            "rlon": ("rlon", rlon, {"standard_name": "grid_longitude", "units": "degrees"}),
            "lat": (("rlat", "rlon"), lat),
            "lon": (("rlat", "rlon"), lon),
        },
    )
    fields = from_xarray(data)
    assert isinstance(fields.sampling, Subset)
    assert isinstance(fields.sampling.base, Scattered)
    assert fields.sampling.num_vertices == 42
    np.testing.assert_allclose(fields.signals[:, 0], expected(fields.sampling), atol=1e-6)
    assert fields.restore(fields.signals).identical(data)
    turned = data.transpose("rlon", "rlat")
    assert from_xarray(turned).restore(from_xarray(turned).signals).identical(turned)


def test_numbers_of_rows_do_not_stand_before_latitudes():
    lat = 40 + np.arange(5.0)[:, None] + 0.1 * np.arange(6)
    lon = 5 + np.arange(6.0) + 0.2 * np.arange(5)[:, None]
    data = xr.Dataset(
        {"t": (("y", "x"), field(lat, lon))},
        {"y": range(5), "x": range(6), "lat": (("y", "x"), lat), "lon": (("y", "x"), lon)},
    )
    fields = from_xarray(data)
    np.testing.assert_allclose(fields.signals[:, 0], expected(fields.sampling), atol=1e-6)


def test_axes_repeated_on_two_dimensions_are_a_grid():
    lon, lat = np.meshgrid(EVEN, CELLS)
    data = xr.Dataset(
        {"t": (("y", "x"), field(lat, lon))},
        {"lat": (("y", "x"), lat, NORTH), "lon": (("y", "x"), lon, EAST)},
    )
    assert sampling_from_dataset(data) == Equiangular(12, 24)
    turned = xr.Dataset(
        {"t": (("x", "y"), field(lat, lon).T)},
        {"lat": (("x", "y"), lat.T, NORTH), "lon": (("x", "y"), lon.T, EAST)},
    )
    fields = from_xarray(turned)
    np.testing.assert_array_equal(fields.signals, from_xarray(data).signals)
    assert fields.restore(fields.signals).identical(turned)


def test_grid_repeated_for_every_time_is_read_once():
    lat = 40 + np.arange(5.0)[:, None] + 0.1 * np.arange(6)
    lon = 5 + np.arange(6.0) + 0.2 * np.arange(5)[:, None]
    data = xr.Dataset(
        {"T2": (("Time", "south_north", "west_east"), np.zeros((2, 5, 6), np.float32))},
        {
            "XLAT": (("Time", "south_north", "west_east"), np.stack([lat, lat])),
            "XLONG": (("Time", "south_north", "west_east"), np.stack([lon, lon])),
        },
    )
    assert from_xarray(data).signals.shape == (2, 30, 1)


def test_halo_of_a_tripolar_grid_is_read_once_and_written_back():
    lat = np.repeat(np.arange(10.0, 15)[:, None], 6, axis=1) + 0.1 * np.arange(6)
    lon = np.tile(np.arange(6.0), (5, 1))
    lat[:, -1], lon[:, -1] = lat[:, 0], lon[:, 0]
    data = xr.Dataset(
        {"tos": (("y", "x"), field(lat, lon))},
        {"nav_lat": (("y", "x"), lat), "nav_lon": (("y", "x"), lon)},
    )
    fields = from_xarray(data)
    assert fields.sampling.num_vertices == 25
    assert fields.notes[0].startswith("5 cells at the border repeat others")
    np.testing.assert_allclose(fields.signals[:, 0], expected(fields.sampling), atol=1e-6)
    assert fields.restore(fields.signals).identical(data)


def test_repeated_points_inside_of_a_curvilinear_grid_are_named():
    lat = np.repeat(np.arange(10.0, 17)[:, None], 7, axis=1) + 0.1 * np.arange(7)
    lon = np.tile(np.arange(7.0), (7, 1))
    lat[3, 2:5], lon[3, 2:5] = 0, 0
    data = xr.Dataset(coords={"nav_lat": (("y", "x"), lat), "nav_lon": (("y", "x"), lon)})
    with pytest.raises(ValueError, match=r"nav_lat and nav_lon on y × x: points must be distinct"):
        sampling_from_dataset(data)


def test_points_that_move_in_time_are_named():
    lat = 40 + np.arange(5.0)[:, None] + 0.1 * np.arange(6)
    lon = 5 + np.arange(6.0) + 0.2 * np.arange(5)[:, None]
    dims = ("Time", "south_north", "west_east")
    data = xr.Dataset(
        coords={"XLAT": (dims, np.stack([lat, lat + 1])), "XLONG": (dims, np.stack([lon, lon]))}
    )
    with pytest.raises(ValueError, match=r"XLAT must be the same at all times, got one that moves"):
        sampling_from_dataset(data)


def test_places_repeated_for_every_time_are_coordinates_of_the_grid():
    lat = 40 + np.arange(5.0)[:, None] + 0.1 * np.arange(6)
    lon = 5 + np.arange(6.0) + 0.2 * np.arange(5)[:, None]
    dims = ("Time", "south_north", "west_east")
    data = xr.Dataset(
        coords={"XLAT": (dims, np.stack([lat, lat])), "XLONG": (dims, np.stack([lon, lon]))}
    )
    layout = layout_of_dataset(data)
    again = layout.restore(np.zeros(30), name="t")
    np.testing.assert_array_equal(again["XLAT"], lat)
    assert sampling_from_dataset(again) == layout.sampling


def test_tiles_of_a_cubed_sphere_are_points():
    sampling = CubedSphere(4)
    lat, lon = (np.rad2deg(angle).reshape(6, 4, 4) for angle in (sampling.lat, sampling.lon))
    dims = ("nf", "Ydim", "Xdim")
    data = xr.Dataset(
        {"T": (("time", *dims), np.stack([field(lat, lon)] * 2))},
        {"lats": (dims, lat, NORTH), "lons": (dims[::-1], lon.transpose(2, 1, 0), EAST)},
    )
    fields = from_xarray(data)
    assert fields.signals.shape == (2, 96, 1)
    np.testing.assert_allclose(fields.sampling.points, sampling.points, atol=1e-12)
    np.testing.assert_allclose(fields.signals[0, :, 0], expected(sampling), atol=1e-6)
    assert fields.restore(fields.signals).identical(data)


def test_axes_stacked_to_one_dimension_come_back():
    data = grid(CELLS, EVEN).to_dataset().stack(cell=("lat", "lon"))
    fields = from_xarray(data)
    np.testing.assert_allclose(fields.signals[0, :, 0], expected(fields.sampling), atol=1e-6)
    assert fields.restore(fields.signals).identical(data)


@pytest.mark.parametrize(
    "lon",
    [
        np.r_[-180.0:-165:3, 165:180:3],
        np.r_[0.0:15:3, 345:360:3],
        np.r_[15.0:-1:-3, 357:345:-3],
        np.array([10.0, 300, 310]),
    ],
    ids=["date line", "Greenwich", "westward", "gap beyond half of the circle"],
)
def test_region_with_a_gap_in_its_longitudes_is_one_region(lon):
    data = grid(np.arange(-9.0, 10, 3), lon)
    fields = from_xarray(data)
    np.testing.assert_allclose(fields.signals[0, :, 0], expected(fields.sampling), atol=1e-6)
    assert fields.restore(fields.signals).identical(data)
    if len(lon) > 3:
        # all columns are as wide as their step
        box = 2 * np.sin(np.deg2rad(10.5)) * np.deg2rad(3) * len(lon)
        np.testing.assert_allclose(fields.sampling.areas.sum(), box, rtol=1e-12)


def test_grid_file_of_icon_is_recognised():
    lat, lon = points()
    radian = {"units": "radian"}
    data = xr.Dataset(
        {
            "clat": ("cell", np.deg2rad(lat), {**radian, "standard_name": "grid_latitude"}),
            "clon": ("cell", np.deg2rad(lon), {**radian, "standard_name": "grid_longitude"}),
            "cell_area": ("cell", np.full(40, 0.3)),
            "vlat": ("vertex", np.zeros(7), radian),
            "vlon": ("vertex", np.zeros(7), radian),
        }
    )
    fields = from_xarray(data)
    np.testing.assert_allclose(fields.sampling.lat_deg, lat, atol=1e-12)
    assert fields.channel_names == ("cell_area",)


def test_icon_without_its_grid_says_where_it_is():
    data = xr.Dataset(
        {"t": ("cell", np.zeros(40), {"CDI_grid_type": "unstructured"})},
        attrs={"grid_file_uri": "icon_grid_0013.nc"},
    )
    with pytest.raises(
        ValueError, match=r"in the file of the grid \(icon_grid_0013\.nc\): open bo"
    ):
        sampling_from_dataset(data)
    with pytest.raises(ValueError, match=r"make them coordinates of it: data\.set_coords"):
        sampling_from_dataset(xr.DataArray(np.zeros(40), dims="ncol", name="T"))


def test_coordinates_without_values_are_named():
    with pytest.raises(ValueError, match=r"coordinate lat must have values, got the sizes .*: 0"):
        sampling_from_dataset(grid(CELLS, EVEN).isel(lat=slice(0, 0)))


def points(num=40):
    generator = np.random.default_rng(3)
    return np.rad2deg(np.arcsin(generator.uniform(-1, 1, num))), generator.uniform(0, 360, num)


def unstructured(dim, lat_name, lon_name, *, radians=False, attrs=({}, {}), as_coords=True):
    lat, lon = points()
    convert = np.deg2rad if radians else np.asarray
    angles = {
        lat_name: (dim, convert(lat), attrs[0]),
        lon_name: (dim, convert(lon), attrs[1]),
    }
    values = {"ta": (("time", dim), np.stack([field(lat, lon)] * 2))}
    return xr.Dataset(values, angles) if as_coords else xr.Dataset({**values, **angles})


RADIAN = ({"units": "radian"}, {"units": "radian"})
UNSTRUCTURED = {
    "CAM-SE": unstructured("ncol", "lat", "lon", attrs=(NORTH, EAST), as_coords=False),
    "ICON": unstructured("cell", "clat", "clon", radians=True, attrs=RADIAN),
    "ICON without coordinates": unstructured(
        "ncells", "clat", "clon", radians=True, attrs=RADIAN, as_coords=False
    ),
    "MPAS": unstructured("nCells", "latCell", "lonCell", radians=True, as_coords=False),
    "FESOM": unstructured("nod2", "lat", "lon"),
    "reduced Gaussian": unstructured("values", "latitude", "longitude", attrs=(NORTH, EAST)),
    "stations": unstructured("station", "latitude", "longitude"),
}


@pytest.mark.parametrize("name", UNSTRUCTURED)
def test_unstructured_grid_is_recognised_and_comes_back(name):
    data = UNSTRUCTURED[name]
    fields = from_xarray(data)
    lat, lon = points()
    assert isinstance(fields.sampling, Scattered)
    np.testing.assert_allclose(fields.sampling.lat_deg, lat, atol=1e-12)
    np.testing.assert_allclose(fields.sampling.lon_deg, lon, atol=1e-11)
    assert fields.channel_names == ("ta",)
    assert fields.restore(fields.signals).identical(data)


def test_variables_of_another_mesh_are_asked_to_be_chosen():
    data = UNSTRUCTURED["ICON"].assign(
        vn=("edge", np.zeros(60)),
        elat=("edge", np.linspace(-1, 1, 60), {"units": "radian", "standard_name": "latitude"}),
        elon=("edge", np.linspace(0, 6, 60), {"units": "radian", "standard_name": "longitude"}),
    )
    with pytest.raises(ValueError, match=r"must lie on one grid, got .*choose by variables="):
        from_xarray(data)
    assert from_xarray(data, variables="ta").sampling.num_vertices == 40
    assert from_xarray(data, variables="vn").sampling.num_vertices == 60


def test_borders_of_cells_are_not_the_cells():
    data = grid(CELLS, EVEN, lat_attrs={**NORTH, "bounds": "lat_edges"}, lon_attrs=EAST)
    data = data.to_dataset().assign(
        lat_edges=(("lat", "two"), np.stack([CELLS - 7.5, CELLS + 7.5], axis=1), NORTH),
        lon_bnds=(("lon", "two"), np.stack([EVEN - 7.5, EVEN + 7.5], axis=1), EAST),
    )
    fields = from_xarray(data)
    assert fields.sampling == Equiangular(12, 24)
    assert fields.channel_names == ("t2m",)
    back = fields.restore(fields.signals)
    assert back.identical(data)


@pytest.mark.parametrize(
    "sampling",
    [Healpix(4), Healpix(4, ordering="ring"), GaussLegendre(16, "octahedral")],
    ids=repr,
)
def test_points_of_a_known_sampling_are_that_sampling(sampling):
    lat, lon = np.rad2deg(sampling.lat), np.rad2deg(sampling.lon)
    data = xr.Dataset(coords={"lat": ("cell", np.float32(lat)), "lon": ("cell", np.float32(lon))})
    assert sampling_from_dataset(data) == sampling
    shuffled = data.isel(cell=np.roll(np.arange(len(lat)), 1))
    assert isinstance(sampling_from_dataset(shuffled), Scattered)


def test_times_are_not_places():
    lat, lon = points()
    data = xr.Dataset(
        {"buoy": ("time", lat)},
        {
            "time": np.arange(40).astype("datetime64[D]").astype("datetime64[ns]"),
            "lat": ("time", lat),
            "lon": ("time", lon),
        },
    )
    with pytest.raises(ValueError, match=r"must lie on places, got the times time: a trajectory"):
        sampling_from_dataset(data)


def test_data_without_coordinates_says_what_was_seen():
    data = xr.DataArray(np.zeros((89, 180)), dims=("lat", "lon"), name="sst")
    with pytest.raises(
        ValueError,
        match=r"must have coordinates of the sphere.*dimensions lat: 89, lon: 180, the coordinates "
        r"none, and the variables sst; add them, as in data\.assign_coords",
    ):
        sampling_from_dataset(data)
    with pytest.raises(TypeError, match=r"must be an xarray Dataset or DataArray, got ndarray"):
        layout_of_dataset(np.zeros(3))


@pytest.mark.usefixtures("unchecked")
def test_data_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"must be an xarray Dataset or DataArray, got list"):
        sampling_from_dataset([1, 2])


def broken(lat=None, lon=None, **attrs):
    return grid(CELLS if lat is None else lat, EVEN if lon is None else lon, lat_attrs=attrs)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (broken(lat=np.append(CELLS[:-1], np.nan)), r"coordinate lat must be finite, got nan at"),
        (broken(lat=CELLS * 2), r"coordinate lat must be a latitude between -90 and 90 degrees"),
        (broken(units="radian"), r"says 'radian', but the values seem to be degrees"),
        (
            broken(lat=np.deg2rad(CELLS), lon=np.deg2rad(EVEN)),
            r"must be in degrees unless.*look like radians; set data\['lat'\]\.attrs\['units'\]",
        ),
        (
            broken(lat=np.deg2rad(WITH_POLES), lon=np.deg2rad(EVEN), units="degrees_north"),
            r"look like radians",
        ),
        (broken(lat=CELLS[[0, 1, 1, 2]]), r"latitudes must be distinct, got -67\.5 twice"),
        (broken(lat=CELLS[[0, 2, 1, 3]]), r"latitudes must increase or decrease.*sort them"),
        (broken(lon=EVEN[[0, 1, 1, 2]]), r"longitudes must be distinct, got 15 twice"),
        (broken(lon=EVEN[[0, 2, 1, 3]]), r"longitudes must increase or decrease"),
        (broken(lon=np.append(EVEN[:-1], 1e20)), r"coordinate lon must be longitudes within two"),
    ],
)
def test_wrong_coordinates_are_named(data, message):
    with pytest.raises(ValueError, match=message):
        sampling_from_dataset(data)


def test_radians_are_read_where_units_say_so():
    data = grid(
        np.deg2rad(CELLS),
        np.deg2rad(EVEN),
        lat_attrs={"units": "radians"},
        lon_attrs={"units": "radians"},
    )
    assert sampling_from_dataset(data) == Equiangular(12, 24)


def test_single_precision_beyond_the_pole_is_the_pole():
    lat = np.float32(np.deg2rad(WITH_POLES))
    data = grid(lat, EVEN, lat_attrs={"units": "rad"}, lon_attrs=EAST)
    assert sampling_from_dataset(data) == Equiangular(13, 24, 2)
