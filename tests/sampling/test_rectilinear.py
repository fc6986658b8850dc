"""The grid of any latitudes and longitudes, against the equiangular one and by areas."""

import numpy as np
import pytest

from deepsphere.graph import build_graph
from deepsphere.graph.neighbors import grid_edges, is_grid, neighbor_distances, ring_sizes
from deepsphere.sampling import Equiangular, Rectilinear, Scattered, sampling_from_spec

UNEVEN_LAT = [-90, -50, -48, -20, -1, 2, 30, 33, 60, 80]
UNEVEN_LON = [180, 150, 100, 40, 10, -20, -40, -100, -170]


@pytest.mark.parametrize("poles", [0, 1, 2, "south"])
def test_even_grid_has_the_points_and_areas_of_the_equiangular_one(poles):
    grid = Equiangular(9, 14, poles)
    same = Rectilinear(90 - np.rad2deg(grid.colatitudes), np.arange(14) * 360 / 14)
    np.testing.assert_allclose(same.points, grid.points, atol=1e-15)
    np.testing.assert_allclose(same.areas, grid.areas, rtol=1e-12)
    assert same.has_even_meridians
    assert ring_sizes(same) == ring_sizes(grid)
    assert {tuple(sorted(edge)) for edge in grid_edges(same).tolist()} == {
        tuple(sorted(edge)) for edge in grid_edges(grid).tolist()
    }
    assert is_grid(same)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("turn", [1, -1])
def test_areas_are_those_of_cells_halfway_to_the_neighbors(sign, turn):
    grid = Rectilinear(np.array(UNEVEN_LAT)[::sign], np.array(UNEVEN_LON)[::turn])
    lat, lon = np.rad2deg(grid.lat), np.rad2deg(grid.lon)
    parallels = np.sort(UNEVEN_LAT)
    meridians = np.sort(np.mod(UNEVEN_LON, 360))
    for vertex, area in enumerate(grid.areas):
        below = parallels[parallels < lat[vertex] - 1e-9]
        above = parallels[parallels > lat[vertex] + 1e-9]
        south = (below[-1] + lat[vertex]) / 2 if len(below) else -90
        north = (above[0] + lat[vertex]) / 2 if len(above) else 90
        width = 360.0
        if lat[vertex] > -89:
            away = np.sort(np.mod(meridians - lon[vertex] + 1e-9, 360))
            width = (away[1] + 360 - away[-1]) / 2
        zone = np.sin(np.deg2rad(north)) - np.sin(np.deg2rad(south))
        assert area == pytest.approx(zone * np.deg2rad(width), rel=1e-9)
    assert abs(grid.areas.sum() - 4 * np.pi) < 1e-12


def test_vertices_are_in_the_order_that_is_given():
    lat, lon = [-60, 10, 50], [20, 200, 300]
    grid = Rectilinear(lat, lon)
    np.testing.assert_allclose(np.rad2deg(grid.lat), np.repeat(lat, 3), atol=1e-12)
    np.testing.assert_allclose(np.rad2deg(grid.lon), np.tile(lon, 3), atol=1e-12)
    west = Rectilinear(lat[::-1], lon[::-1])
    np.testing.assert_allclose(west.points[::-1], grid.points, atol=1e-15)
    np.testing.assert_allclose(west.areas[::-1], grid.areas, rtol=1e-14)


def test_pole_is_one_point_on_the_axis():
    grid = Rectilinear([90, 0, -90 + 1e-9], [10, 130, 250])
    assert grid.num_vertices == 5
    np.testing.assert_array_equal(np.abs(grid.points[[0, -1]]), [[0, 0, 1]] * 2)
    assert grid.points[0, 2] == 1
    assert grid.points[-1, 2] == -1


@pytest.mark.parametrize(
    "grid",
    [
        Rectilinear(UNEVEN_LAT, UNEVEN_LON),
        Rectilinear(UNEVEN_LAT[::-1], UNEVEN_LON[::-1]),
        Rectilinear(np.arange(-80, 81, 20), np.arange(0.5, 360, 40)),
        Rectilinear(np.arange(90, -91, -18), np.arange(24) * 15),
        Rectilinear([80, 41, 0, -20, -77, -90], np.arange(24) * 15),
    ],
    ids=repr,
)
def test_membership_carries_the_area_of_every_cell(grid):
    membership = grid.membership()
    np.testing.assert_allclose(membership @ grid.areas, grid.coarsen().areas, rtol=1e-12)
    np.testing.assert_allclose(membership.sum(axis=0), 1, rtol=1e-14)


def test_coarse_cells_of_an_even_grid_are_unions_of_four():
    grid = Rectilinear([82, 60, 38, 3, -20, -70], [0, 10, 40, 90, 200, 220, 280, 300])
    even = Rectilinear(np.arange(-82.5, 90, 15), np.arange(5, 360, 10))
    np.testing.assert_allclose(even.membership().data, 1, rtol=1e-12)
    assert (np.diff(even.membership().indptr) == 4).all()
    assert grid.coarsen().lat_deg.tolist() == [71, 20.5, -45]
    assert grid.coarsen().lon_deg.tolist() == [5, 65, 210, 290]


def test_poles_stay_when_coarsened():
    grid = Rectilinear(np.linspace(90, -90, 13), np.arange(24) * 15)
    assert grid.coarsen().lat_deg.tolist() == np.linspace(90, -90, 7).tolist()
    north = Rectilinear(np.arange(90, -90, -15), np.arange(24) * 15)
    assert north.coarsen().lat_deg.tolist() == list(range(90, -90, -30))
    south = Rectilinear(np.arange(75, -91, -15), np.arange(24) * 15)
    assert south.coarsen().lat_deg.tolist() == list(range(60, -91, -30))


def test_cells_have_the_areas():
    for lat, lon in ((UNEVEN_LAT, UNEVEN_LON), (UNEVEN_LAT[::-1], UNEVEN_LON[::-1])):
        grid = Rectilinear(lat, lon)
        cells = grid.cells()
        areas = (np.sin(cells.north) - np.sin(cells.south)) * cells.width
        np.testing.assert_allclose(areas, grid.areas, rtol=1e-12)
        east = np.mod(grid.lon - cells.west, 2 * np.pi)
        assert ((east < cells.width) | (np.abs(grid.lat) > 1.57)).all()
        assert ((cells.south <= grid.lat) & (grid.lat <= cells.north)).all()


def test_nearest_neighbors_are_joined_along_and_across_rings():
    grid = Rectilinear(UNEVEN_LAT, UNEVEN_LON)
    distances = neighbor_distances(grid, neighborhood="grid")
    chords = np.linalg.norm(grid.points[:, None] - grid.points, axis=2)
    rows, columns = distances.nonzero()
    np.testing.assert_allclose(distances.data, chords[rows, columns], rtol=1e-12)
    # the pole with the ring beside it
    assert distances.getnnz(axis=1)[0] == len(UNEVEN_LON)
    assert build_graph(grid, num_neighbors=8).num_vertices == grid.num_vertices


@pytest.mark.parametrize("poles", [0, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_optimal_weights_are_those_of_the_equiangular_grid(poles, sign):
    grid = Equiangular(9, 16, poles)
    lat = 90 - np.rad2deg(grid.colatitudes)
    turned = Rectilinear(lat[::sign], (np.arange(16) * 22.5 + 11.25)[::sign])
    weights, expected = (build_graph(sampling).adjacency for sampling in (turned, grid))
    np.testing.assert_allclose(
        np.sort(weights.toarray().ravel()), np.sort(expected.toarray().ravel()), atol=1e-9
    )
    degrees = np.asarray(weights.sum(axis=1)).ravel()
    np.testing.assert_allclose(degrees[::sign], np.asarray(expected.sum(axis=1)).ravel())


def test_specification_is_rebuilt_bit_for_bit():
    grid = Rectilinear(np.float32(np.linspace(-87.1, 87.3, 9)), np.float32(np.arange(7) * 51.3))
    copy = sampling_from_spec(grid.spec)
    assert copy == grid
    assert copy.lat_deg.tobytes() == grid.lat_deg.tobytes()
    assert copy.lon_deg.tobytes() == grid.lon_deg.tobytes()
    assert grid != Scattered([0.0], [0.0])
    assert not grid.has_even_meridians


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        ([0, 95], [0, 90, 180], r"lat_deg must be between -90 and 90, got 95 at 1"),
        ([0, 10, 5], [0, 90, 180], r"lat_deg must all increase or all decrease, got 10 then 5 at"),
        ([0, 0], [0, 90, 180], r"lat_deg must all increase or all decrease"),
        ([90], [0, 90, 180], r"lat_deg must have a latitude that is not a pole"),
        ([0, np.nan], [0, 90, 180], r"lat_deg must be finite, got nan at 1"),
        (["north"], [0, 90, 180], r"lat_deg must be numbers in degrees"),
        ([], [0, 90, 180], r"lat_deg must be a list of at least 1 angles, got the shape \(0,\)"),
        ([0], [0, 90], r"lon_deg must be a list of at least 3 angles"),
        ([0], [0, 90, 90], r"lon_deg must be distinct, got 90 and 90"),
        ([0], [0, 90, 180, 360], r"lon_deg must be distinct.*repeats the first"),
        ([0], [0, 90, 180, 450], r"lon_deg must go once around the circle"),
        ([0], [0, 180, 90, 270], r"lon_deg must go once around the circle, .*sort the columns"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_angles_are_named(born_unchecked, lat, lon, message):
    with pytest.raises(ValueError, match=message):
        born_unchecked(Rectilinear, lat, lon)


def test_coarsest_grids_say_so():
    with pytest.raises(ValueError, match=r"at least 4 latitudes and 6 longitudes.*got 3 and 8"):
        Rectilinear([0, 10, 20], np.arange(8) * 45).coarsen()
    with pytest.raises(ValueError, match=r"at least 5 latitudes"):
        Rectilinear([-90, 0, 10, 90], np.arange(8) * 45).coarsen()
