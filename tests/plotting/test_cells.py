"""Which vertex a place shows, and which signals can be drawn."""

import numpy as np
import pytest

from deepsphere.plotting import View, nearest_vertices
from deepsphere.plotting.cells import checked_signal, color_limits, raster_vertices
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Scattered

PLACES = np.asarray(Fibonacci(777).points)


@pytest.mark.parametrize(
    "sampling", [Healpix(nside=4), Equiangular(nlat=8), Icosahedral(subdivisions=2)], ids=str
)
def test_nearest_vertex_has_largest_scalar_product(sampling):
    products = PLACES @ sampling.points.T
    chosen = np.take_along_axis(products, nearest_vertices(sampling, PLACES)[:, None], axis=1)
    np.testing.assert_allclose(chosen[:, 0], products.max(axis=1), atol=1e-15)


def test_subset_shows_exactly_its_cells():
    sampling = Healpix(nside=4)
    subset = sampling.subset(sampling.lat > 0.3)
    whole, part = nearest_vertices(sampling, PLACES), nearest_vertices(subset, PLACES)
    inside = np.isin(whole, subset.indices)
    np.testing.assert_array_equal(part >= 0, inside)
    np.testing.assert_array_equal(subset.indices[part[inside]], whole[inside])


def test_scattered_points_leave_regions_without_data_blank():
    rng = np.random.default_rng(0)
    north = np.degrees(np.arcsin(rng.uniform(0.0, 1.0, 300)))
    sampling = Scattered(rng.uniform(-180, 180, 300), north)
    nearest = nearest_vertices(sampling, PLACES)
    assert (nearest[PLACES[:, 2] < -0.4] == -1).all()
    assert (nearest[PLACES[:, 2] > 0.1] >= 0).mean() > 0.85


def test_single_scattered_point_is_shown():
    sampling = Scattered(np.array([20.0]), np.array([10.0]))
    assert nearest_vertices(sampling, np.asarray(sampling.points)).tolist() == [0]


def test_limit_cuts_cells_at_that_distance():
    sampling = Icosahedral(subdivisions=1)
    nearest = nearest_vertices(sampling, PLACES, max_distance_deg=20.0)
    angle = np.degrees(np.arccos((PLACES @ sampling.points.T).max(axis=1)))
    np.testing.assert_array_equal(nearest >= 0, angle <= 20.0)


def test_places_without_direction_belong_to_no_vertex():
    assert nearest_vertices(Healpix(nside=1), np.full((2, 3), np.nan)).tolist() == [-1, -1]


def test_limit_that_is_not_positive_is_rejected():
    with pytest.raises(ValueError, match="max_distance_deg must be positive, got 0"):
        nearest_vertices(Healpix(nside=1), PLACES, max_distance_deg=0.0)


def test_raster_covers_the_ellipse_and_nothing_else():
    vertex = raster_vertices(Healpix(nside=2), View("mollweide"), 200)
    assert vertex.shape == (200, 400)
    # the ellipse fills π / 4 of its box; the rim for the clip path adds about a pixel
    assert (vertex >= 0).mean() == pytest.approx(np.pi / 4, abs=0.03)
    assert not vertex.flags.writeable


def test_signal_becomes_a_float_copy():
    signal = np.arange(12)
    values = checked_signal(signal, Healpix(nside=1))
    values[0] = 7
    assert values.dtype == np.float64
    assert signal[0] == 0


@pytest.mark.parametrize("shape", [(11,), (12, 1)])
def test_signal_of_another_shape_is_rejected(shape):
    message = r"signal must have shape \(vertices,\) = \(12,\).*Healpix\(nside=1.*got \(1"
    with pytest.raises(ValueError, match=message):
        checked_signal(np.zeros(shape), Healpix(nside=1))


def test_complex_signal_is_rejected():
    with pytest.raises(ValueError, match="signal must be real, got dtype complex128"):
        checked_signal(np.zeros(12, dtype=complex), Healpix(nside=1))


def test_infinite_signal_is_rejected():
    signal = np.zeros(12)
    signal[3] = np.inf
    with pytest.raises(ValueError, match=r"finite or NaN \(blank\), got 1 infinite"):
        checked_signal(signal, Healpix(nside=1))


@pytest.mark.parametrize(
    ("values", "given", "expected"),
    [
        ([1.0, np.nan, 3.0], (None, None), (1.0, 3.0)),
        ([1.0, 3.0], (0.0, 2.0), (0.0, 2.0)),
        ([2.0, 2.0], (None, None), (1.5, 2.5)),
        ([np.nan], (None, None), (0.0, 1.0)),
        ([np.nan], (None, 4.0), (4.0, 5.0)),
    ],
)
def test_color_limits(values, given, expected):
    assert color_limits(np.array(values), *given) == expected


def test_color_limits_in_reverse_are_rejected():
    with pytest.raises(ValueError, match=r"vmin must not exceed vmax, got 2\.0 > 1\.0"):
        color_limits(np.zeros(3), 2.0, 1.0)
