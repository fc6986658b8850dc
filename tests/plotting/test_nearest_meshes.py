"""Pictures of meshes beside what was found for them."""

import numpy as np
import pytest
import trimesh

from deepsphere.plotting.nearest_meshes import MOST_COLUMNS, MeshPicture, plot_nearest_meshes


def picture(title: str, extents: tuple[float, float, float] = (1, 1, 1)) -> MeshPicture:
    return MeshPicture(trimesh.creation.box(extents=extents), title)


def test_every_mesh_has_its_place_and_title():
    rows = [[picture("a"), picture("b, 0.1"), picture("c, 0.2")], [picture("d"), picture("e, 0")]]
    figure = plot_nearest_meshes(rows, num_rows=20)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b, 0.1", "c, 0.2", "d", "e, 0"]
    # in a row, and the queries below each other
    places = [axes.get_subplotspec() for axes in figure.axes]
    cells = [(place.rowspan.start, place.colspan.start) for place in places if place is not None]
    assert cells == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_meshes_are_drawn_as_they_are():
    flat, tall = picture("flat", (1, 1, 0.1)), picture("tall", (0.2, 0.2, 1))
    figure = plot_nearest_meshes([[flat, tall, flat]], num_rows=30)
    images = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    assert np.array_equal(images[0], images[2])
    assert not np.array_equal(images[0], images[1])


def test_no_more_are_drawn_than_can_be_told_apart():
    rows = [[picture(str(number)) for number in range(12)]]
    assert len(plot_nearest_meshes(rows, num_rows=10).axes) == MOST_COLUMNS


@pytest.mark.parametrize("rows", [[], [[]]])
def test_rows_without_a_query_are_rejected(rows):
    with pytest.raises(ValueError, match="rows must hold at least one, each with a query"):
        plot_nearest_meshes(rows)
