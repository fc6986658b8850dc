"""Coastlines: a mask on one sampling, drawn over signals on another."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from deepsphere.plotting import View, draw_map, globe, plot_map, plot_maps
from deepsphere.plotting.coastlines import LAND, Coastlines, curves_of, draw_coastlines
from deepsphere.sampling import Equiangular, Healpix, Icosahedral

FINE, COARSE = Equiangular(nlat=24), Healpix(nside=4)
COASTLINES = Coastlines(np.asarray(FINE.lat < 0.5), FINE)


def lines_of(axes):
    return [item for item in axes.collections if item.get_label() == "coastlines"]


@pytest.mark.parametrize("projection", ["mollweide", "orthographic", "equirectangular"])
def test_coastline_of_parallel_is_drawn_on_it(projection):
    figure = plot_map(COARSE.lat, COARSE, projection=projection, coastlines=COASTLINES, num_rows=40)
    (lines,) = lines_of(figure.axes[0])
    view = View(projection)
    places = np.concatenate([path.vertices for path in lines.get_paths()])
    latitude = np.arcsin(view.unproject(places * (1 - 1e-9))[:, 2])
    assert np.abs(latitude - 0.5).max() < np.pi / 24


def test_each_map_of_a_grid_has_coastlines():
    signals = {"a": np.asarray(COARSE.lat), "b": np.asarray(COARSE.lon)}
    figure = plot_maps(signals, COARSE, coastlines=COASTLINES, num_rows=30, colorbar=False)
    assert [len(lines_of(axes)) for axes in figure.axes] == [1, 1]


def test_precomputed_curves_are_drawn_alike():
    maps = [
        plot_map(COARSE.lat, COARSE, coastlines=given, num_rows=30)
        for given in (COASTLINES, COASTLINES.lines)
    ]
    first, second = (
        [path.vertices for path in lines_of(figure.axes[0])[0].get_paths()] for figure in maps
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_fill_covers_the_land_and_nothing_else():
    view = View("equirectangular")
    axes = Figure().subplots()
    draw_coastlines(axes, Coastlines(COASTLINES.valid, FINE, fill=LAND), view, num_rows=48)
    shades = axes.images[0].get_array()
    lat = np.radians((np.arange(48) + 0.5) / 48 * 180 - 90)
    rings = np.unique(np.asarray(FINE.lat).round(9))
    land = rings[np.abs(lat[:, None] - rings).argmin(axis=1)] >= 0.5
    np.testing.assert_array_equal(shades[..., 3] == 1, np.repeat(land[:, None], 96, axis=1))
    np.testing.assert_allclose(shades[-1, 0], to_rgba(LAND))


def test_fill_of_a_window_covers_the_same_land():
    view = View("equirectangular")
    axes = Figure().subplots()
    filled = Coastlines(COASTLINES.valid, FINE, fill=LAND)
    draw_map(
        axes, COARSE.lat, COARSE, view, coastlines=filled, num_rows=20, window=(0.0, 1.0, 0.0, 1.0)
    )
    land, signal = axes.images
    assert tuple(land.get_extent()) == tuple(signal.get_extent()) == (0.0, 1.0, 0.0, 1.0)
    assert signal.get_array().shape == (20, 20)
    assert axes.get_xlim() == (0.0, 1.0)


def test_window_shows_a_part_of_the_map():
    sampling = Icosahedral(subdivisions=4)
    axes = Figure().subplots(1, 2)
    view = View("equirectangular")
    whole = draw_map(axes[0], sampling.lat, sampling, view, num_rows=80).get_array()
    part = draw_map(
        axes[1], sampling.lat, sampling, view, num_rows=20, window=(0.0, 0.5, 0.5, 1.0)
    ).get_array()
    np.testing.assert_array_equal(part, whole[60:, 80:100])


def test_globe_has_coastlines_just_above_its_surface():
    figure = globe(np.asarray(COARSE.lat), COARSE, coastlines=COASTLINES)
    (trace,) = [trace for trace in figure.data if trace.name == "coastlines"]
    path = np.stack([trace.x, trace.y, trace.z], axis=1)
    path = path[np.isfinite(path).all(axis=1)]
    radius = np.linalg.norm(path, axis=1)
    assert radius.min() > 1
    assert radius.max() < 1.02
    assert len(path) == sum(map(len, COASTLINES.lines))


def test_globe_without_land_has_no_coastlines():
    figure = globe(
        np.asarray(COARSE.lat), COARSE, coastlines=Coastlines(np.ones(192, bool), COARSE)
    )
    assert "coastlines" not in [trace.name for trace in figure.data]


@pytest.mark.parametrize("valid", [np.ones(5, bool), np.ones(192)])
def test_mask_that_does_not_fit_is_rejected(valid, unchecked):
    with pytest.raises(ValueError, match="valid must hold 192 booleans"):
        Coastlines(valid, COARSE)


@pytest.mark.parametrize("name", ["color", "fill"])
def test_unknown_color_is_rejected(name):
    with pytest.raises(ValueError, match=f"{name} must be a colour of matplotlib, got 'grue'"):
        Coastlines(np.ones(192, bool), COARSE, **{name: "grue"})


@pytest.mark.parametrize("curve", [np.ones((4, 3)), np.ones((4, 2))])
def test_curves_off_the_sphere_are_rejected(curve, unchecked):
    with pytest.raises(ValueError, match=r"coastlines must be Coastlines.* as curve 1"):
        curves_of([np.eye(3), curve])


def test_empty_window_is_rejected():
    with pytest.raises(ValueError, match=r"window must be \(left, right, bottom, top\)"):
        draw_map(Figure().subplots(), COARSE.lat, COARSE, View(), window=(1.0, 0.0, 0.0, 1.0))
