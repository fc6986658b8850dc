"""Maps of stations: which part of the Earth they show, and what is drawn of each station."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from deepsphere.graph import build_graph
from deepsphere.plotting import View
from deepsphere.plotting.stations import (
    draw_edges,
    plot_station_maps,
    plot_stations,
    station_view,
)
from deepsphere.sampling import Fibonacci, Scattered


def a_region(lon, lat, number=40, spread=6.0, seed=0):
    generator = np.random.default_rng(seed)
    east, north = generator.uniform(-spread, spread, (2, number))
    if abs(lat) > 90 - spread:  # around the pole
        return Scattered(180 + 30 * east, np.sign(lat) * (90 - np.abs(north)))
    return Scattered((lon + east + 180) % 360 - 180, lat + north)


def collection(figure: Figure, label: str):
    return [one for one in figure.axes[0].collections if one.get_label() == label]


@pytest.mark.parametrize(("lon", "lat"), [(10, 47), (179, -20), (-100, 40), (0, 88), (30, -89)])
def test_stations_of_a_region_fill_the_map_of_it(lon, lat):
    stations = a_region(lon, lat)
    view, window = station_view(stations)
    assert view.projection == "orthographic"
    assert window is not None
    positions = view.project(stations.points)
    left, right, bottom, top = window
    assert ((positions > [left, bottom]) & (positions < [right, top])).all()
    # what is free is a margin on each side
    sides = np.ptp(positions, axis=0)
    assert (right - left) / sides[0] < 1.2 or (top - bottom) / sides[1] < 1.2
    assert view.faces_viewer(stations.points).all()


def test_stations_of_the_world_are_on_a_map_of_it():
    assert station_view(Fibonacci(60)) == (View("mollweide"), None)
    two = Scattered([0.0, 180.0], [0.0, 0.0])  # whose middle is nowhere
    assert station_view(two) == (View("mollweide"), None)


def test_one_far_island_does_not_make_a_region_the_world():
    stations = a_region(10, 47, number=400)
    more = Scattered(np.append(stations.lon_deg, 150.0), np.append(stations.lat_deg, -40.0))
    assert station_view(more)[0].projection == "orthographic"


@pytest.mark.parametrize("number", [1, 2])
def test_a_few_stations_have_room_around_them(number):
    _, window = station_view(Scattered([8.0, 8.1][:number], [47.0, 47.0][:number]))
    assert window is not None
    left, right, bottom, top = window
    assert right - left >= 0.019
    assert top - bottom >= (right - left) / 3.01


def test_each_station_is_a_dot_or_a_ring():
    stations = a_region(10, 47)
    values = np.arange(40.0)
    values[:7] = np.nan
    hidden = np.arange(40) % 5 == 0
    figure = plot_stations(values, stations, marked=hidden, unit="°C", title="a day")
    (silent,), (marked,) = collection(figure, "silent"), collection(figure, "marked")
    assert len(silent.get_offsets()) == 7
    assert len(marked.get_offsets()) == 8
    dots = [one for one in figure.axes[0].collections if one.get_array() is not None]
    np.testing.assert_array_equal(dots[0].get_array(), values[7:])
    assert figure.axes[0].get_title() == "a day"


def test_a_day_on_which_all_are_silent_is_drawn():
    stations = a_region(10, 47)
    figure = plot_stations(np.full(40, np.nan), stations)
    assert len(collection(figure, "silent")[0].get_offsets()) == 40


def test_edges_join_their_stations_across_the_border_of_the_map():
    stations = a_region(180, 10, number=30)
    graph = build_graph(stations, num_neighbors=4, weights="gaussian", disconnected="allow")
    whole = View("mollweide")
    lines = draw_edges(Figure().subplots(), graph, whole)
    segments = lines.get_segments()
    # no line crosses the map from one border to the other
    assert max(np.ptp(np.asarray(one)[:, 0]) for one in segments) < 0.3
    assert len(segments) > graph.num_edges
    around = View("mollweide", center=(180.0, 0.0))
    assert len(draw_edges(Figure().subplots(), graph, around).get_segments()) == graph.num_edges


def test_maps_share_one_scale():
    stations = a_region(10, 47)
    first, second = np.linspace(0, 1, 40), np.linspace(-3, 2, 40)
    figure = plot_station_maps({"P = 0": first, "P = 4": second}, stations, title="errors")
    limits = [
        one.get_clim()
        for axes in figure.axes[:2]
        for one in axes.collections
        if one.get_array() is not None
    ]
    assert limits == [(-3.0, 2.0), (-3.0, 2.0)]
    assert figure.get_suptitle() == "errors"


def test_a_graph_of_other_stations_is_rejected():
    stations = a_region(10, 47)
    other = build_graph(Fibonacci(50), num_neighbors=5, weights="gaussian")
    with pytest.raises(ValueError, match=r"graph must be of these 40 stations, got one of 50"):
        plot_stations(np.zeros(40), stations, graph=other)


def test_marks_of_another_number_are_rejected():
    with pytest.raises(ValueError, match=r"marked must hold 40 booleans.*\(3,\)"):
        plot_stations(np.zeros(40), a_region(10, 47), marked=np.ones(3, bool))


def test_no_map_is_rejected():
    with pytest.raises(ValueError, match="values must hold at least one map, got none"):
        plot_station_maps({}, a_region(10, 47))
