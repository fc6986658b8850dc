"""What the interactive globe must hold."""

import json
from importlib import import_module

import numpy as np
import pytest

from deepsphere.graph import build_graph
from deepsphere.plotting import globe
from deepsphere.sampling import Healpix, Icosahedral, Scattered

SAMPLING = Icosahedral(subdivisions=4)


def triangles_of(mesh):
    return np.stack([mesh.i, mesh.j, mesh.k], axis=1)


def test_mesh_is_the_colored_triangulation():
    signal = np.asarray(SAMPLING.points[:, 2])
    mesh = globe(signal, SAMPLING).data[0]
    np.testing.assert_allclose(np.stack([mesh.x, mesh.y, mesh.z], 1), SAMPLING.points, atol=1e-7)
    np.testing.assert_allclose(mesh.intensity, signal, rtol=1e-4, atol=1e-12)
    # a triangulation of the sphere: Euler's formula, every vertex used
    triangles = triangles_of(mesh)
    assert len(triangles) == 2 * SAMPLING.num_vertices - 4
    assert np.unique(triangles).size == SAMPLING.num_vertices


def test_colors_are_those_of_the_scale():
    mesh = globe(np.asarray(SAMPLING.lat), SAMPLING).data[0]
    assert (mesh.lighting.ambient, mesh.lighting.diffuse, mesh.lighting.specular) == (1, 0, 0)


def test_hover_tells_longitude_and_latitude():
    mesh = globe(np.asarray(SAMPLING.lat), SAMPLING).data[0]
    lon, lat = np.radians(np.asarray(mesh.customdata)).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    np.testing.assert_allclose(points, SAMPLING.points, atol=1e-6)
    assert "%{customdata[0]" in mesh.hovertemplate
    assert "%{intensity" in mesh.hovertemplate


def test_list_switches_between_signals_on_one_scale():
    signals = {"x": SAMPLING.points[:, 0], "twice": 2 * SAMPLING.points[:, 1]}
    figure = globe({name: np.asarray(signal) for name, signal in signals.items()}, SAMPLING)
    (menu,) = figure.layout.updatemenus
    for button, signal in zip(menu.buttons, signals.values(), strict=True):
        update, traces = button.args
        np.testing.assert_allclose(update["intensity"][0], signal, rtol=1e-4, atol=1e-12)
        assert list(traces) == [0]
        assert set(update) == {"intensity"}
    assert figure.data[0].cmin == min(signals["twice"])
    assert figure.data[0].cmax == max(signals["twice"])


@pytest.mark.parametrize("center", [(30.0, 20.0), (-90.0, 90.0), (0.0, -90.0)])
def test_center_faces_the_reader_and_there_is_a_way_up(center):
    eye = globe(np.asarray(SAMPLING.lat), SAMPLING, center=center).layout.scene.camera.eye
    eye = np.array([eye.x, eye.y, eye.z]) / np.linalg.norm([eye.x, eye.y, eye.z])
    lon, lat = np.radians(center)
    wanted = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    assert eye @ wanted > np.cos(np.radians(1.1))
    assert np.hypot(eye[0], eye[1]) > 0.01


def test_single_signal_has_no_list():
    assert not globe(np.asarray(SAMPLING.lat), SAMPLING).layout.updatemenus


def test_triangles_with_a_blank_corner_are_left_out():
    full = np.asarray(SAMPLING.lat)
    holed = np.where(full > 0.2, full, np.nan)
    figure = globe({"full": full, "holed": holed}, SAMPLING)
    update = figure.layout.updatemenus[0].buttons[1].args[0]
    corners = np.stack([update[name][0] for name in "ijk"], axis=1)
    expected = ~np.isnan(holed)[triangles_of(figure.data[0])].any(axis=1)
    assert len(corners) == expected.sum() > 0
    assert not np.isnan(holed)[corners].any()


def test_subset_is_blank_outside():
    subset = SAMPLING.subset(SAMPLING.lat > 0)
    mesh = globe(np.ones(subset.num_vertices), subset).data[0]
    shown = np.unique(triangles_of(mesh))
    assert set(shown) <= set(subset.indices.tolist())


def test_scattered_points_are_dots():
    stations = Scattered(np.array([0.0, 90.0, 20.0]), np.array([0.0, 0.0, 80.0]))
    dots = globe(np.array([1.0, 2.0, np.nan]), stations).data[0]
    assert dots.type == "scatter3d"
    assert list(dots.marker.color)[:2] == [1.0, 2.0]
    assert [x is None for x in dots.x] == [False, False, True]  # blank: not drawn


def test_dense_points_are_a_surface_that_coastlines_lie_on():
    nodes = Icosahedral(subdivisions=16)  # as of a model that gives longitudes and latitudes
    scattered = Scattered(np.degrees(nodes.lon), np.degrees(nodes.lat))
    values = np.asarray(nodes.points[:, 0])
    mesh = globe(values, scattered).data[0]
    assert mesh.type == "mesh3d"
    points = np.stack([mesh.x, mesh.y, mesh.z], axis=1)
    # the value of the nearest node, which is within a spacing
    spacing = np.sqrt(4 * np.pi / nodes.num_vertices)
    assert np.abs(np.asarray(mesh.intensity) - points[:, 0]).max() < spacing
    # as many, where a continent has none: dots
    kept = nodes.points @ [0.6, 0, 0.8] < 0.9
    ocean = Scattered(np.degrees(nodes.lon)[kept], np.degrees(nodes.lat)[kept])
    assert globe(values[kept], ocean).data[0].type == "scatter3d"


def test_button_shows_edges_of_the_graph():
    graph = build_graph(Healpix(nside=2), num_neighbors=8)
    figure = globe(np.asarray(SAMPLING.lat), SAMPLING, graph=graph)
    (menu,) = figure.layout.updatemenus
    ((_, (trace,)), (shown, _)) = menu.buttons[0].args, menu.buttons[0].args
    edges = figure.data[trace]
    assert shown == {"visible": True}
    assert edges.visible is False
    # after each edge there is a gap
    assert np.isnan(edges.x).sum() == graph.num_edges
    assert np.isnan(edges.x).sum() == graph.num_edges


def test_large_sampling_is_thinned_with_a_warning():
    sampling = Healpix(nside=64)
    with pytest.warns(UserWarning, match="nearest to 15000 points of the 49152 vertices"):
        mesh = globe(np.asarray(sampling.points[:, 2]), sampling).data[0]
    # the nearest vertex is less than one cell away
    np.testing.assert_allclose(mesh.intensity, mesh.z, atol=0.02)
    assert len(mesh.x) == 15000


def test_globe_is_valid_json_without_nan():
    signal = np.where(SAMPLING.lat > 0, 1.0, np.nan)
    text = globe({"a": signal, "b": -signal}, SAMPLING).to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_globe_without_signals_is_rejected():
    with pytest.raises(ValueError, match="signals must hold at least one signal"):
        globe({}, SAMPLING)


def test_unknown_color_map_is_rejected():
    with pytest.raises(ValueError, match="cmap must name a matplotlib colour map, got 'grue'"):
        globe(np.asarray(SAMPLING.lat), SAMPLING, cmap="grue")


def test_graph_with_too_many_edges_is_rejected(monkeypatch):
    # the package has a function of the same name as this module
    module = import_module("deepsphere.plotting.globe")
    monkeypatch.setattr(module, "MAX_EDGES", 100)
    graph = build_graph(Healpix(nside=4), num_neighbors=8, weights="gaussian")
    with pytest.raises(ValueError, match=r"graph must have at most 100 edges.*got 7"):
        globe(np.asarray(SAMPLING.lat), SAMPLING, graph=graph)


def test_long_edges_stay_above_the_surface():
    ends = Scattered([0.0, 90.0, 170.0, 45.0], [0.0, 0.0, 5.0, 80.0])  # of up to 170°
    graph = build_graph(ends, num_neighbors=3, weights="gaussian")
    (edges,) = (trace for trace in globe(ends.lat, ends, graph=graph).data if trace.name == "edges")
    path = np.stack([edges.x, edges.y, edges.z], axis=1)
    middles = (path[1:] + path[:-1]) / 2
    middles = middles[np.isfinite(middles).all(axis=1)]
    assert len(middles) > 6 * 4
    assert np.linalg.norm(middles, axis=1).min() > 1


def test_signal_of_another_sampling_is_rejected():
    with pytest.raises(ValueError, match="signal must have shape"):
        globe(np.zeros(3), SAMPLING)


def test_edge_between_the_poles_is_drawn():
    ends = Scattered([0.0, 0.0, 90.0, 180.0], [90.0, -90.0, 3.0, -5.0])
    graph = build_graph(ends, num_neighbors=3, weights="gaussian")
    (edges,) = (trace for trace in globe(ends.lat, ends, graph=graph).data if trace.name == "edges")
    assert np.isnan(edges.x).sum() == graph.num_edges == 6
