"""Points that leave a part of the sphere empty: where their cells end."""

import numpy as np
import pytest

from deepsphere.geometry import lonlat_to_points
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    Scattered,
    Subset,
)
from deepsphere.sampling.scattered_regions import halo_of_points, next_rows, scattered_part


def patch(step):
    """Curvilinear points on latitudes 30 to 50 across the meridian 0, and the area of their box."""
    count = round(20 / step)
    lat = 30 + step * (np.arange(count) + 0.5)
    lon = -10 + step * (np.arange(count) + 0.5)
    box = np.deg2rad(20) * (np.sin(np.deg2rad(50)) - np.sin(np.deg2rad(30)))
    return *np.meshgrid(np.mod(lon, 360), lat), box


@pytest.mark.parametrize(
    "sampling",
    [
        CubedSphere(8),
        Equiangular(18, 36),
        Fibonacci(500),
        GaussLegendre(16, "octahedral"),
        Healpix(8),
        Icosahedral(8),
    ],
    ids=repr,
)
def test_points_on_all_of_the_sphere_are_all_of_a_sampling(sampling):
    lon, lat = np.rad2deg(sampling.lon), np.rad2deg(sampling.lat)
    assert scattered_part(lon, lat) == Scattered(lon, lat)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("num", [5, 30, 400])
def test_random_points_on_all_of_the_sphere_have_no_hole(seed, num):
    generator = np.random.default_rng(seed)
    lon, lat = generator.uniform(0, 360, num), np.rad2deg(np.arcsin(generator.uniform(-1, 1, num)))
    assert isinstance(scattered_part(lon, lat), Scattered)


def test_area_of_a_region_is_that_of_its_box():
    for step, tolerance in ((2.0, 1e-4), (0.5, 1e-5)):
        lon, lat, box = patch(step)
        region = scattered_part(lon.ravel(), lat.ravel(), around=next_rows(lon, lat))
        assert isinstance(region, Subset)
        np.testing.assert_allclose(region.areas.sum(), box, rtol=tolerance)
        np.testing.assert_allclose(np.rad2deg(region.lat), lat.ravel(), atol=1e-9)
        np.testing.assert_allclose(
            region.points, lonlat_to_points(np.deg2rad(lon), np.deg2rad(lat)).reshape(-1, 3)
        )
        # the cells of the box, but for those at its border
        cells = np.deg2rad(step) * np.diff(
            np.sin(np.deg2rad(np.append(lat[:, 0] - step / 2, lat[-1, 0] + step / 2)))
        )
        inner = region.areas.reshape(lat.shape)[1:-1, 1:-1]
        np.testing.assert_allclose(inner, np.tile(cells[1:-1, None], inner.shape[1]), rtol=1e-3)


def test_cells_at_an_unknown_border_are_of_the_size_of_the_others():
    lon, lat, box = patch(1.0)
    region = scattered_part(lon.ravel(), lat.ravel())
    assert region.areas.max() < 6 * np.median(region.areas)
    assert box < region.areas.sum() < 1.25 * box


def test_land_of_an_ocean_mesh_is_no_cell_of_it():
    mesh = Fibonacci(4000)
    lon, lat = np.rad2deg(mesh.lon), np.rad2deg(mesh.lat)
    land = (np.abs(lat) < 30) & (lon > 100) & (lon < 160)
    ocean = scattered_part(lon[~land], lat[~land])
    area = mesh.areas[~land].sum()
    assert isinstance(ocean, Subset)
    assert area < ocean.areas.sum() < area + 0.25 * (4 * np.pi - area)
    assert ocean.areas.max() < 5 * mesh.areas.max()


def test_few_points_are_no_region():
    assert isinstance(scattered_part(np.arange(6.0), np.arange(6.0)), Scattered)


def test_next_rows_go_on_as_the_grid_does():
    lon, lat = np.meshgrid(np.arange(5) * 2.0 + 350, [-1.0, 0.0, 1.0])
    rows, step = next_rows(lon, lat)
    # along the equator: one step to the west, and one to the east
    for lon_deg in (348, 360):
        point = lonlat_to_points(np.deg2rad(lon_deg), np.array(0.0))
        assert np.linalg.norm(rows - point, axis=1).min() < 1e-12
    assert len(rows) == len(step) == 2 * 5 + 2 * 3 + 4
    np.testing.assert_allclose(step[[11, 14]], 2 * np.sin(np.deg2rad(1)))


def test_halo_is_of_the_cells_inside():
    lon, lat = np.meshgrid([350.0, 0, 10, 20, 30, 40, 350, 0], [10.0, 20, 30])
    lon[:, 0], lon[:, -1] = 40, 10  # the first repeats the last but two, the last the third
    vertex, copied, notes = halo_of_points(lon, lat)
    flat = vertex.ravel()
    assert copied.sum() == 6
    assert notes[0].startswith("6 cells at the border repeat others")
    points = np.stack([lon.ravel(), lat.ravel()], axis=1)
    kept = points[~copied.ravel()]
    np.testing.assert_array_equal(kept[flat], points)
    vertex, copied, notes = halo_of_points(lon[:, 1:-1], lat[:, 1:-1])
    assert not copied.any()
    assert notes == ()
    np.testing.assert_array_equal(vertex.ravel(), np.arange(18))


def test_levels_of_a_region_are_quarters_of_it():
    lon, lat, box = patch(1.0)
    level = scattered_part(lon.ravel(), lat.ravel(), around=next_rows(lon, lat))
    for num in (100, 25):
        coarse, membership = level.coarsen(), level.membership()
        assert coarse.num_vertices == num
        assert membership.shape == (num, level.num_vertices)
        np.testing.assert_array_equal(membership.sum(axis=0), 1)
        # every point belongs to the nearest one that is kept, and those are among the points
        distance = np.linalg.norm(level.points[:, None] - coarse.points[None], axis=-1)
        np.testing.assert_allclose(
            (membership.T.toarray() * distance).sum(axis=1), distance.min(axis=1)
        )
        assert (distance.min(axis=0) < 1e-12).all()
        assert coarse.areas.sum() < 2.5 * box
        level = coarse
    with pytest.raises(ValueError, match=r"at least 16 vertices to be coarsened, got 6"):
        level.coarsen().coarsen()
