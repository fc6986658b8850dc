import numpy as np
import pytest

from deepsphere.sampling import CubedSphere


@pytest.mark.parametrize("spacing", ["equiangular", "equidistant"])
def test_faces_are_in_order(spacing):
    centers = CubedSphere(1, spacing).points
    expected = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, -1]]
    np.testing.assert_allclose(centers, expected, atol=1e-15)


@pytest.mark.parametrize("spacing", ["equiangular", "equidistant"])
def test_rows_run_south_and_columns_east_around_the_equator(spacing):
    sampling = CubedSphere(4, spacing)
    lon, lat = sampling.lon.reshape(6, 4, 4), sampling.lat.reshape(6, 4, 4)
    for face in range(1, 5):
        assert (np.diff(lat[face], axis=0) < 0).all()
        assert (np.mod(np.diff(lon[face], axis=1), 2 * np.pi) < np.pi / 2).all()


def test_polar_faces_continue_that_of_longitude_zero():
    points = CubedSphere(16).points.reshape(6, 16, 16, 3)
    step = np.pi / 2 / 16
    for north, south in ((points[0, -1], points[1, 0]), (points[1, -1], points[5, 0])):
        assert (np.linalg.norm(north - south, axis=1) < 1.01 * step).all()


def test_equiangular_cells_have_equal_angles():
    middle = CubedSphere(5).points.reshape(6, 5, 5, 3)[1, 2]
    angles = np.rad2deg(np.arctan2(middle[:, 1], middle[:, 0]))
    np.testing.assert_allclose(angles, [-36, -18, 0, 18, 36], atol=1e-12)


def test_equidistant_cells_have_equal_distances_on_the_cube():
    middle = CubedSphere(5, "equidistant").points.reshape(6, 5, 5, 3)[1, 2]
    np.testing.assert_allclose(middle[:, 1] / middle[:, 0], [-0.8, -0.4, 0, 0.4, 0.8], atol=1e-15)


@pytest.mark.parametrize("spacing", ["equiangular", "equidistant"])
def test_areas_are_exact(spacing):
    # solid angle of the rectangle of the cube from its center to (x, y): atan(x y / sqrt(1+x²+y²))
    borders = np.linspace(-1, 1, 7)
    if spacing == "equiangular":
        borders = np.tan(np.pi / 4 * borders)
    x, y = np.meshgrid(borders, borders)
    corner = np.arctan(x * y / np.sqrt(1 + x**2 + y**2))
    cells = np.diff(np.diff(corner, axis=0), axis=1)
    np.testing.assert_allclose(CubedSphere(6, spacing).areas, np.tile(cells.ravel(), 6), rtol=1e-12)


@pytest.mark.parametrize("spacing", ["equiangular", "equidistant"])
def test_cells_tile_their_parents(spacing):
    sampling = CubedSphere(8, spacing)
    membership = sampling.membership()
    assert (membership.sum(axis=1) == 4).all()
    areas = membership @ sampling.areas
    np.testing.assert_allclose(areas, sampling.coarsen().areas, rtol=1e-12)


def test_odd_number_of_cells_is_not_coarsened():
    with pytest.raises(ValueError, match="subdivisions must be even to be coarsened, got 3; use"):
        CubedSphere(3).coarsen()


def test_no_cells_are_rejected():
    with pytest.raises(ValueError, match="subdivisions must be at least 1, got 0"):
        CubedSphere(0)


def test_unknown_spacing_is_rejected(born_unchecked):
    with pytest.raises(ValueError, match="must be 'equiangular' or 'equidistant', got 'conformal'"):
        born_unchecked(CubedSphere, 4, "conformal")
