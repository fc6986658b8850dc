"""Pictures of meshes: what is where, and what hides what."""

import numpy as np
import pytest
import trimesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from deepsphere.data.mesh_signals import CHANNELS, mesh_signals
from deepsphere.plotting.meshes import _INSIDE, _SURFACE, draw_mesh, plot_mesh_signals
from deepsphere.sampling import Healpix

SAMPLING = Healpix(nside=4)


def picture_of(mesh: trimesh.Trimesh, **options) -> np.ndarray:
    """Pixels (rows, columns, 4), row 0 below."""
    axes = Figure().subplots()
    draw_mesh(axes, mesh, num_rows=60, **options)
    return np.asarray(axes.images[0].get_array())


def is_of(colors: np.ndarray, paint: str) -> np.ndarray:
    """Whether colours are a paint in some light."""
    ratios = colors[..., :3] / np.array(to_rgb(paint))
    return np.ptp(ratios, axis=-1) < 1e-6


def figure_of(mesh: trimesh.Trimesh) -> Figure:
    values = mesh_signals(mesh, SAMPLING.points).values
    return plot_mesh_signals(mesh, values, SAMPLING, title="a mesh", num_rows=40)


def test_ball_covers_its_disc():
    picture = picture_of(trimesh.creation.icosphere(subdivisions=4, radius=0.5))
    assert picture[..., 3].mean() == pytest.approx(np.pi * 0.5**2 / 4, rel=0.02)
    assert picture[30, 30, 3] == 1
    assert picture[0, 0, 3] == 0


@pytest.mark.parametrize(
    ("direction", "row", "column"), [((0, 1, 0), 30, 51), ((0, 0, 1), 51, 30), ((0, -1, 0), 30, 8)]
)
def test_east_is_right_and_north_is_up(direction, row, column):
    ball = trimesh.creation.icosphere(radius=0.2).apply_translation(0.7 * np.array(direction))
    picture = picture_of(ball, viewpoint=(0.0, 0.0))
    assert picture[row, column, 3] == 1
    assert picture[..., 3].mean() == pytest.approx(np.pi * 0.2**2 / 4, rel=0.1)


def test_viewpoint_is_where_the_viewer_stands():
    ball = trimesh.creation.icosphere(radius=0.2).apply_translation([0, 0.7, 0])
    assert picture_of(ball, viewpoint=(90.0, 0.0))[30, 30, 3] == 1
    assert picture_of(ball, viewpoint=(0.0, 0.0))[30, 30, 3] == 0


def test_front_hides_back_and_the_inside_has_its_own_colour():
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.8)
    closed = picture_of(ball, viewpoint=(0.0, 0.0))[30, 30]
    keep = ball.triangles_center[:, 0] < 0
    half = trimesh.Trimesh(ball.vertices, ball.faces[keep], process=False)
    opened = picture_of(half, viewpoint=(0.0, 0.0))[30, 30]
    assert is_of(closed, _SURFACE)
    assert is_of(opened, _INSIDE)
    assert not is_of(opened, _SURFACE)


def test_figure_shows_the_mesh_six_named_maps_and_three_scales():
    figure = figure_of(trimesh.creation.box(extents=(0.5, 0.6, 0.7)))
    assert len(figure.axes) == 10
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert sorted(titles) == sorted(CHANNELS)


def test_rays_that_miss_are_blank():
    ring = trimesh.creation.torus(0.7, 0.2)
    maps = {axes.get_title(): axes.images[0] for axes in figure_of(ring).axes if axes.get_title()}
    blank = {name: np.ma.getmaskarray(image.get_array()) for name, image in maps.items()}
    around = blank["hull distance"]  # outside of the oval
    assert blank["distance"].sum() > 1.5 * around.sum()
    assert np.array_equal(blank["distance"], blank["sine"])


def test_cosines_have_two_colours_where_many_are_negative():
    def ends(mesh):
        (image,) = (a.images[0] for a in figure_of(mesh).axes if a.get_title() == "cosine")
        return image.get_clim()

    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.6)
    assert ends(ball) == (0, 1)
    keep = ball.triangles_center[:, 2] < 0
    assert ends(trimesh.Trimesh(ball.vertices, ball.faces[keep], process=False)) == (-1, 1)


def test_values_of_another_sampling_are_rejected():
    with pytest.raises(ValueError, match=r"values must have shape \(192, 6\), that of the samplin"):
        plot_mesh_signals(trimesh.creation.box(), np.zeros((12, 6), np.float32), SAMPLING)
