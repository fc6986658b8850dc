"""Hovmöller diagrams: equal to a naive loop, on any sampling."""

import numpy as np
import pytest

from deepsphere.plotting.hovmoller import hovmoller, plot_forecast_hovmoller, plot_hovmoller
from deepsphere.sampling import (
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    Scattered,
)

SAMPLINGS = [
    Healpix(nside=8),
    Icosahedral(subdivisions=8),
    Equiangular(nlat=16, nlon=30),
    GaussLegendre(nlat=12),
    Fibonacci(700),
    Healpix(nside=8).subset(np.arange(300)),
]
IDS = [type(sampling).__name__ for sampling in SAMPLINGS]


def random_fields(sampling, num_times=3, share_missing=0.2):
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(num_times, sampling.num_vertices))
    fields[rng.random(fields.shape) < share_missing] = np.nan
    return fields


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=IDS)
def test_means_along_longitude_equal_a_naive_loop(sampling):
    fields = random_fields(sampling)
    num_bins, band = 9, (-30, 40)
    middles, means = hovmoller(fields, sampling, band_deg=band, num_bins=num_bins)
    np.testing.assert_allclose(middles, np.arange(9) * 40)
    for time in range(len(fields)):
        for index, middle in enumerate(middles):
            total = weight = 0.0
            for lon, lat, area, value in zip(
                np.degrees(sampling.lon), np.degrees(sampling.lat), sampling.areas, fields[time],
                strict=True,
            ):  # fmt: skip
                offset = (lon - middle + 20 + 1e-5) % 360
                if offset < 40 and band[0] - 1e-6 <= lat <= band[1] + 1e-6 and np.isfinite(value):
                    total, weight = total + area * value, weight + area
            expected = total / weight if weight else np.nan
            np.testing.assert_allclose(means[time, index], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=IDS)
def test_means_along_latitude_equal_a_naive_loop(sampling):
    fields = random_fields(sampling)
    middles, means = hovmoller(fields, sampling, along="latitude", num_bins=6)
    np.testing.assert_allclose(middles, [-75, -45, -15, 15, 45, 75])
    lat, areas = np.degrees(sampling.lat), np.asarray(sampling.areas)
    for index, middle in enumerate(middles):
        north = middle + 15 if middle < 75 else 91  # the pole belongs to the last bin
        within = (lat + 1e-5 >= middle - 15) & (lat + 1e-5 < north)
        for time in range(len(fields)):
            chosen = within & np.isfinite(fields[time])
            if chosen.any():
                expected = np.average(fields[time, chosen], weights=areas[chosen])
                assert means[time, index] == pytest.approx(expected, rel=1e-9)
            else:
                assert np.isnan(means[time, index])


def test_columns_and_rings_of_a_grid_are_its_bins():
    grid = Equiangular(nlat=8, nlon=12)
    values = np.arange(96.0).reshape(1, 8, 12)
    lon, means = hovmoller(values.reshape(1, -1), grid, band_deg=(-90, 90))
    np.testing.assert_allclose(lon, np.arange(12) * 30)
    weights = np.asarray(grid.areas).reshape(8, 12)
    np.testing.assert_allclose(means[0], np.average(values[0], axis=0, weights=weights))
    lat, means = hovmoller(values.reshape(1, -1), grid, along="latitude")
    np.testing.assert_allclose(lat, np.arange(-78.75, 90, 22.5))
    np.testing.assert_allclose(means[0], values[0].mean(axis=1)[::-1])


def test_columns_of_a_grid_that_begins_off_zero_are_its_bins():
    lon, lat = np.meshgrid(np.arange(7.5, 360, 15), np.arange(-85, 90, 10))
    grid = Scattered(lon.ravel(), lat.ravel())
    middles, means = hovmoller(grid.lon[None], grid, band_deg=(-90, 90))
    np.testing.assert_allclose(middles, np.arange(7.5, 360, 15))
    np.testing.assert_allclose(means[0], np.radians(middles))


@pytest.mark.parametrize("sampling", SAMPLINGS[:5], ids=IDS[:5])
@pytest.mark.parametrize("along", ["longitude", "latitude"])
def test_no_default_bin_of_the_sphere_is_empty_and_constants_stay(sampling, along):
    ones = np.ones((2, sampling.num_vertices))
    _, means = hovmoller(ones, sampling, along=along, band_deg=(-90, 90))
    np.testing.assert_allclose(means, 1.0, rtol=1e-12)
    assert means.shape[1] >= 5


def test_wave_moves_as_far_as_it_should():
    sampling = Healpix(nside=16)
    fields = np.stack([np.cos(sampling.lon - 0.5 * step) for step in range(4)])
    lon, means = hovmoller(fields, sampling, band_deg=(-20, 20))
    crests = np.degrees(np.angle((means * np.exp(1j * np.radians(lon))).sum(axis=1)))
    np.testing.assert_allclose(np.diff(crests), np.degrees(0.5), atol=0.5)


def test_diagram_shows_the_means_and_leaves_missing_ones_gray():
    sampling = Equiangular(nlat=8, nlon=12)
    fields = np.tile(np.degrees(sampling.lon), (4, 1))
    fields[:, np.degrees(sampling.lon) > 300] = np.nan
    figure = plot_hovmoller(fields, sampling, band_deg=(-40, 40), times=[0, 6, 12, 18])
    shown = figure.axes[0].collections[0].get_array()
    assert shown.shape == (4, 12)
    np.testing.assert_allclose(shown[0, :11], np.arange(11) * 30)
    assert shown.mask[:, 11].all()
    assert figure.axes[0].yaxis_inverted()


def test_diagram_of_forecast_compares_where_both_are_valid():
    sampling = Equiangular(nlat=8, nlon=12)
    truth = np.tile(np.asarray(sampling.lat), (3, 1))
    forecast = truth + 2.0
    forecast[:, np.asarray(sampling.lat) > 0] = np.nan
    figure = plot_forecast_hovmoller(truth, forecast, sampling, band_deg=(-90, 90), unit="K")
    images = [axes.collections[0] for axes in figure.axes[:3]]
    np.testing.assert_allclose(images[2].get_array(), 2.0, rtol=1e-12)
    assert images[0].get_clim() == images[1].get_clim()
    low, high = images[2].get_clim()
    assert low == -high


def test_time_runs_to_the_right_along_latitude():
    sampling = Fibonacci(400)
    fields = np.arange(5.0)[:, None] * np.ones(400)
    figure = plot_hovmoller(fields, sampling, along="latitude")
    shown = figure.axes[0].collections[0].get_array()
    np.testing.assert_allclose(shown[0], np.arange(5.0))


@pytest.mark.parametrize("shape", [(3, 5), (0, 12)])
def test_fields_of_another_shape_are_rejected(shape):
    with pytest.raises(ValueError, match=r"fields must have shape \(times, vertices\) with 12"):
        hovmoller(np.zeros(shape), Healpix(nside=1))


def test_unknown_direction_is_rejected(unchecked):
    with pytest.raises(ValueError, match="along must be 'longitude' or 'latitude', got 'time'"):
        hovmoller(np.zeros((1, 12)), Healpix(nside=1), along="time")


def test_no_bins_are_rejected():
    with pytest.raises(ValueError, match="num_bins must be at least 1, got 0"):
        hovmoller(np.zeros((1, 12)), Healpix(nside=1), num_bins=0)


def test_band_without_vertices_is_rejected():
    with pytest.raises(ValueError, match=r"band_deg must be .*, got \(50, 40\)"):
        hovmoller(np.zeros((1, 12)), Healpix(nside=1), band_deg=(50, 40))


def test_no_fields_are_rejected():
    with pytest.raises(ValueError, match="fields must hold at least one field"):
        plot_hovmoller({}, Healpix(nside=1))


def test_unknown_color_map_is_rejected():
    with pytest.raises(ValueError, match="cmap must name a matplotlib colour map, got 'grue'"):
        plot_hovmoller(np.zeros((1, 12)), Healpix(nside=1), cmap="grue")


def test_forecast_of_another_shape_is_rejected(unchecked):
    with pytest.raises(ValueError, match="truth and forecast must have the same shape"):
        plot_forecast_hovmoller(np.zeros((2, 12)), np.zeros((1, 12)), Healpix(nside=1))


def test_scale_of_difference_must_be_positive():
    with pytest.raises(ValueError, match="max_difference must be positive, got 0"):
        plot_forecast_hovmoller(
            np.zeros((1, 12)), np.zeros((1, 12)), Healpix(nside=1), max_difference=0
        )
