"""Maps of events: each class outlined in its colour, labels solid and predictions dashed."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from deepsphere.plotting import View
from deepsphere.plotting.events import EVENT_COLORS, plot_events
from deepsphere.sampling import Icosahedral

SAMPLING = Icosahedral(subdivisions=16)
NAMES = ("background", "cyclone", "river")
CYCLONE, RIVER = np.array([[0.6, 0.64, 0.48], [-0.64, 0.6, -0.48]])


def labels_around(cyclone_radius, river_radius):
    labels = np.zeros(SAMPLING.num_vertices, np.int64)
    labels[SAMPLING.points @ CYCLONE > np.cos(cyclone_radius)] = 1
    labels[SAMPLING.points @ RIVER > np.cos(river_radius)] = 2
    return labels


def drawn(axes, label):
    return [item for item in axes.collections if item.get_label() == label]


def test_outlines_surround_the_events_in_their_colors():
    signal = np.asarray(SAMPLING.lat)
    figure = plot_events(
        signal, labels_around(0.3, 0.5), SAMPLING, NAMES,
        predicted=labels_around(0.2, 0.4), center=(0, 0), num_rows=40,
    )  # fmt: skip
    view = View("equirectangular")
    for kind, radii in (("labels", (0.3, 0.5)), ("predictions", (0.2, 0.4))):
        pairs = drawn(figure.axes[0], kind)
        assert len(pairs) == 2
        for lines, color, axis, radius in zip(
            pairs, EVENT_COLORS, (CYCLONE, RIVER), radii, strict=False
        ):
            assert tuple(lines.get_color()[0]) == to_rgba(color)
            places = np.concatenate([path.vertices for path in lines.get_paths()])
            angles = np.arccos(view.unproject(places * (1 - 1e-9)) @ axis)
            assert np.abs(angles - radius).max() < 0.08
            is_dashed = lines.get_linestyle()[0][1] is not None
            assert is_dashed == (kind == "predictions")


def test_legend_names_classes_and_kinds_of_lines():
    labels = labels_around(0.3, 0.5)
    figure = plot_events(
        labels.astype(float), labels, SAMPLING, NAMES, predicted=labels, num_rows=20
    )
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["cyclone", "river", "labels", "predictions"]


def test_background_is_the_class_that_is_not_outlined():
    labels = labels_around(0.3, 0.5)
    figure = plot_events(labels.astype(float), labels, SAMPLING, NAMES, background=2, num_rows=20)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["background", "cyclone"]


def test_unlabelled_vertices_are_neither_inside_nor_outside():
    labels = labels_around(0.4, 0.5)
    near = SAMPLING.points @ CYCLONE
    labels[(near <= np.cos(0.4)) & (near > np.cos(0.8))] = -1
    figure = plot_events(np.asarray(SAMPLING.lat), labels, SAMPLING, NAMES, num_rows=20)
    cyclone, river = drawn(figure.axes[0], "labels")
    assert not cyclone.get_paths()
    assert river.get_paths()


def test_zoom_shows_its_place_undistorted():
    lon, lat = np.degrees(np.arctan2(CYCLONE[1], CYCLONE[0])), np.degrees(np.arcsin(CYCLONE[2]))
    figure = plot_events(
        np.asarray(SAMPLING.lat), labels_around(0.3, 0.5), SAMPLING, NAMES,
        zooms=[(lon, lat)], zoom_width_deg=60, num_rows=60,
    )  # fmt: skip
    _, inset, _ = figure.axes
    assert inset.get_title() == "a   29°N 47°E"
    np.testing.assert_allclose(inset.get_xlim(), (-0.5, 0.5))
    cyclone, _ = drawn(inset, "labels")
    radius = np.hypot(*np.concatenate([path.vertices for path in cyclone.get_paths()]).T)
    assert np.abs(radius - np.sin(0.3)).max() < 0.08
    shown = inset.images[0].get_array()
    rows, columns = shown.shape
    assert rows == columns == 60
    assert abs(shown[30, 30] - np.radians(lat)) < 0.06


def test_frame_of_zoom_marks_the_map():
    labels = labels_around(0.3, 0.5)
    signal = np.asarray(SAMPLING.lat)
    plain = plot_events(signal, labels, SAMPLING, NAMES, num_rows=20)
    # a part at the seam and one over a pole are cut there
    zoomed = plot_events(signal, labels, SAMPLING, NAMES, zooms=[(0, 0), (0, 85)], num_rows=20)
    added = len(zoomed.axes[0].collections) - len(plain.axes[0].collections)
    assert added == 2
    assert len(zoomed.axes) == len(plain.axes) + 2


@pytest.mark.parametrize("name", ["labels", "predicted"])
def test_classes_of_another_sampling_are_rejected(name):
    classes = {"labels": labels_around(0.3, 0.5), name: np.zeros(5, np.int64)}
    with pytest.raises(ValueError, match=rf"{name} must have shape \(vertices,\) = \(2562,\)"):
        plot_events(np.asarray(SAMPLING.lat), sampling=SAMPLING, class_names=NAMES, **classes)


@pytest.mark.parametrize("number", [-2, 3])
def test_classes_without_name_are_rejected(number):
    labels = labels_around(0.3, 0.5)
    labels[0] = number
    with pytest.raises(ValueError, match="labels must be classes from 0 to 2, or -1 for none"):
        plot_events(np.asarray(SAMPLING.lat), labels, SAMPLING, NAMES)


@pytest.mark.parametrize("width", [0, 121])
def test_zoom_of_impossible_width_is_rejected(width):
    with pytest.raises(ValueError, match=f"zoom_width_deg must be .*, got {width}"):
        plot_events(
            np.asarray(SAMPLING.lat), labels_around(0.3, 0.5), SAMPLING, NAMES, zoom_width_deg=width
        )


def test_too_many_zooms_are_rejected():
    with pytest.raises(ValueError, match="zooms must be at most 26, got 27"):
        plot_events(
            np.asarray(SAMPLING.lat), labels_around(0.3, 0.5), SAMPLING, NAMES, zooms=[(0, 0)] * 27
        )
