"""What pictures of graphs must show."""

import dataclasses

import numpy as np
import pytest
from scipy.sparse import csr_matrix, tril

from deepsphere.graph import build_graph
from deepsphere.plotting import plot_graph
from deepsphere.plotting.graphs import front_edges
from deepsphere.plotting.projections import View
from deepsphere.sampling import Healpix, Icosahedral

GRAPH = build_graph(Healpix(nside=4), num_neighbors=8)


def edges_of(figure):
    (edges,) = (c for c in figure.axes[0].collections if c.get_label() == "edges")
    return edges


def test_segments_are_the_edges_in_front():
    lon, lat = np.radians([50.0, 20.0])
    toward = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    front = GRAPH.sampling.points @ toward > 0
    dense = GRAPH.adjacency.toarray()
    expected = sum(
        front[i] and front[j]
        for i in range(GRAPH.num_vertices)
        for j in range(i)
        if dense[i, j] != 0
    )
    segments = edges_of(plot_graph(GRAPH, center=(50.0, 20.0))).get_segments()
    assert len(segments) == expected > 100


def test_segments_end_at_vertices():
    segments = np.array(edges_of(plot_graph(GRAPH, center=(0.0, 0.0))).get_segments())
    positions = np.asarray(GRAPH.sampling.points)[:, 1:]
    distance = np.linalg.norm(segments.reshape(-1, 1, 2) - positions[None], axis=2).min(axis=1)
    assert distance.max() < 1e-12


def test_heavy_edges_are_drawn_last_and_least_transparent():
    alpha = edges_of(plot_graph(GRAPH)).get_colors()[:, 3]
    assert (np.diff(alpha) >= 0).all()
    assert alpha[-1] > alpha[0]


def test_edges_of_highlighted_vertex_stand_out():
    vertex = int(np.argmax(GRAPH.sampling.points[:, 0]))
    edges = edges_of(plot_graph(GRAPH, highlight=vertex, center=(0.0, 0.0)))
    strong = (np.array(edges.get_linewidths()) == 1.8).sum()
    assert strong == (GRAPH.adjacency[[vertex]] != 0).sum()


def test_many_edges_are_stored_as_an_image_in_vector_files():
    few = plot_graph(build_graph(Icosahedral(subdivisions=1), num_neighbors=5))
    many = plot_graph(build_graph(Healpix(nside=16), num_neighbors=8, weights="gaussian"))
    assert not edges_of(few).get_rasterized()
    assert edges_of(many).get_rasterized()


def test_vertices_and_color_bar_can_be_left_out():
    full = plot_graph(GRAPH)
    bare = plot_graph(GRAPH, vertices=False, colorbar=False)
    assert (len(full.axes), len(bare.axes)) == (2, 1)
    assert len(full.axes[0].collections) == len(bare.axes[0].collections) + 1


def test_highlight_that_is_no_vertex_is_rejected():
    with pytest.raises(ValueError, match="highlight must be a vertex, from 0 to 191, got 192"):
        plot_graph(GRAPH, highlight=192)


def test_unknown_color_map_is_rejected():
    with pytest.raises(ValueError, match="cmap must name a matplotlib colour map, got 'grue'"):
        plot_graph(GRAPH, cmap="grue")


def test_an_edge_in_one_direction_is_drawn_like_one_in_both():
    symmetric = build_graph(Icosahedral(subdivisions=2), num_neighbors=5, weights="gaussian")
    one_way = dataclasses.replace(
        symmetric, adjacency=csr_matrix(tril(symmetric.adjacency)), vertex_mass=None
    )
    view = View("mollweide")
    for drawn, expected in zip(
        front_edges(one_way, view), front_edges(symmetric, view), strict=True
    ):
        assert np.array_equal(drawn, expected)
    assert one_way.num_edges == symmetric.num_edges
