"""What maps of signals must show."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from deepsphere.plotting import View, draw_map, plot_map, plot_maps
from deepsphere.sampling import Equiangular, Healpix, Scattered

SAMPLING = Healpix(nside=4)


def image_of(figure):
    return figure.axes[0].images[0].get_array()


@pytest.mark.parametrize("projection", ["mollweide", "orthographic", "equirectangular"])
def test_map_of_sign_of_latitude_is_antisymmetric(projection):
    # an even number of rows, so that no pixel lies on the equator
    sampling = Equiangular(nlat=16)
    figure = plot_map(np.sign(sampling.lat), sampling, projection=projection, num_rows=100)
    image = image_of(figure)
    np.testing.assert_array_equal(image.mask, image.mask[::-1])
    np.testing.assert_array_equal(image.filled(0), -image.filled(0)[::-1])
    assert image[-10].mean() == 1  # the first row is at the bottom: north is up


def test_pixel_shows_value_of_its_vertex():
    signal = np.arange(SAMPLING.num_vertices)
    image = image_of(plot_map(signal, SAMPLING, projection="orthographic", num_rows=101))
    center = int(np.argmax(SAMPLING.points[:, 0]))
    tied = np.flatnonzero(SAMPLING.points[:, 0] > SAMPLING.points[center, 0] - 1e-12)
    assert image[50, 50] in tied


def test_nan_is_blank():
    signal = np.where(SAMPLING.lat > 0, 1.0, np.nan)
    image = image_of(plot_map(signal, SAMPLING, projection="equirectangular", num_rows=60))
    assert image.mask[:15].all()
    assert not image.mask[-15:].any()


def test_signal_of_nan_alone_is_drawn_blank():
    image = image_of(plot_map(np.full(SAMPLING.num_vertices, np.nan), SAMPLING, num_rows=30))
    assert image.mask.all()


def test_outside_of_subset_is_blank():
    subset = SAMPLING.subset(SAMPLING.lat > 0.5)
    figure = plot_map(np.ones(subset.num_vertices), subset, projection="equirectangular")
    image = image_of(figure)
    # half of the solid angle above latitude 0.5 is a strip of rows
    assert image.mask[: image.shape[0] // 2].all()
    assert not image.mask[-100:].any()


def test_dots_are_drawn_for_vertices_in_front_with_a_value():
    stations = Scattered(np.array([0.0, 20.0, 180.0, -30.0]), np.array([0.0, 40.0, 0.0, 10.0]))
    signal = np.array([1.0, 2.0, 3.0, np.nan])
    figure = plot_map(signal, stations, projection="orthographic", mark="dots")
    dots = figure.axes[0].collections[-1]
    np.testing.assert_array_equal(dots.get_array(), [1.0, 2.0])


def test_color_bar_is_labelled_and_can_be_left_out():
    signal = np.asarray(SAMPLING.lat)
    with_bar = plot_map(signal, SAMPLING, unit="rad", num_rows=30)
    assert with_bar.axes[1].get_xlabel() == "rad"
    assert len(plot_map(signal, SAMPLING, colorbar=False, num_rows=30).axes) == 1


def test_map_can_be_saved_without_display(tmp_path):
    figure = plot_map(np.asarray(SAMPLING.lat), SAMPLING, title="latitude", num_rows=60)
    for name in ("map.png", "map.svg", "map.pdf"):
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000


def test_plotting_does_not_load_pyplot():
    code = (
        "import sys, deepsphere.plotting as plotting, deepsphere.sampling as sampling;"
        "s = sampling.Healpix(nside=1); plotting.plot_map(s.lat, s, num_rows=20);"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_signal_is_not_changed():
    signal = np.asarray(SAMPLING.lat).copy()
    plot_map(signal, SAMPLING, num_rows=20)
    np.testing.assert_array_equal(signal, SAMPLING.lat)


def test_grid_shares_one_color_scale():
    signals = {"low": np.zeros(SAMPLING.num_vertices), "high": np.full(SAMPLING.num_vertices, 9.0)}
    figure = plot_maps(signals, SAMPLING, num_rows=20)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["low", "high"]
    assert {axes.images[0].get_clim() for axes in figure.axes[:2]} == {(0.0, 9.0)}
    assert len(figure.axes) == 3


def test_grid_takes_one_sampling_per_signal_and_leaves_no_empty_axes():
    samplings = [Healpix(nside=n) for n in (1, 2, 4)]
    signals = {str(s.num_vertices): np.asarray(s.lat) for s in samplings}
    figure = plot_maps(signals, samplings, num_columns=2, colorbar=False, num_rows=20)
    assert len(figure.axes) == 3


def test_grid_with_another_number_of_samplings_is_rejected():
    with pytest.raises(ValueError, match="one for each of the 1 signals, got 2"):
        plot_maps({"a": np.zeros(12)}, [Healpix(nside=1), Healpix(nside=1)])


def test_grid_without_signals_is_rejected():
    with pytest.raises(ValueError, match="signals must hold at least one signal"):
        plot_maps({}, SAMPLING)


def test_unknown_mark_is_rejected():
    with pytest.raises(ValueError, match="mark must be 'cells' or 'dots', got 'stars'"):
        # the annotation forbids it too, when it is checked
        draw_map.__wrapped__(
            Figure().subplots(), np.zeros(12), Healpix(nside=1), View(), mark="stars"
        )


def test_unknown_color_map_is_rejected():
    with pytest.raises(ValueError, match="cmap must name a matplotlib colour map, got 'grue'"):
        plot_map(np.zeros(12), Healpix(nside=1), cmap="grue")


def test_signal_of_another_sampling_is_rejected():
    with pytest.raises(ValueError, match=r"signal must have shape \(vertices,\) = \(192,\)"):
        plot_map(np.zeros(12), SAMPLING)
