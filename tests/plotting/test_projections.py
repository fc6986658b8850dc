"""Laws of map projections: inverse of each other, true areas, nothing outside of the map."""

import numpy as np
import pytest

from deepsphere.plotting import View
from deepsphere.plotting.projections import graticule_lines
from deepsphere.sampling import Fibonacci

PROJECTIONS = ["mollweide", "orthographic", "equirectangular"]
VIEWS = [
    View(projection, center=center, east=east)
    for projection in PROJECTIONS
    for center, east in [((0.0, 0.0), "right"), ((130.0, -40.0), "left"), ((10.0, 90.0), "right")]
]


def unchecked_view(**fields):
    """Run the checks of a view on values that its annotations forbid."""
    view = object.__new__(View)
    for name, value in fields.items():
        object.__setattr__(view, name, value)
    View.__post_init__(view)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_unproject_inverts_project(view):
    points = np.asarray(Fibonacci(500).points)
    points = points[view.faces_viewer(points)]
    np.testing.assert_allclose(view.unproject(view.project(points)), points, atol=1e-7)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_center_is_projected_to_origin(view):
    lon, lat = np.radians(view.center)
    center = np.array([[np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]])
    np.testing.assert_allclose(view.project(center), 0, atol=1e-12)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_points_fall_inside_of_outline(view):
    x, y = view.project(np.asarray(Fibonacci(2000).points)).T
    if view.projection == "equirectangular":
        assert (np.abs(x) <= 2).all()
        assert (np.abs(y) <= 1).all()
    else:
        assert ((x / view.half_width) ** 2 + y**2 <= 1 + 1e-12).all()


def test_mollweide_keeps_areas():
    # the strip 0 <= lat <= 30° holds a quarter of the sphere, and so of the ellipse of area 2 π
    edge = View("mollweide").project(np.array([[np.cos(np.pi / 6), 0, 0.5]]))[0, 1]
    area = 2 * (edge * np.sqrt(1 - edge**2) + np.arcsin(edge))  # ∫ 2 · 2 sqrt(1 - y²) dy
    assert area == pytest.approx(2 * np.pi / 4, rel=1e-12)


def test_mollweide_solves_its_equation_near_the_poles():
    lat = np.pi / 2 - np.logspace(-8, 0, 50)
    points = np.stack([np.cos(lat), np.zeros_like(lat), np.sin(lat)], axis=1)
    theta = np.arcsin(View("mollweide").project(points)[:, 1])
    np.testing.assert_allclose(2 * theta + np.sin(2 * theta), np.pi * np.sin(lat), atol=1e-12)


def test_east_is_on_the_chosen_side():
    east = np.array([[np.cos(0.3), np.sin(0.3), 0.0]])
    for projection in PROJECTIONS:
        assert View(projection).project(east)[0, 0] > 0
        assert View(projection, east="left").project(east)[0, 0] < 0


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_outside_of_map_is_nan(projection):
    assert np.isnan(View(projection).unproject(np.array([[2.1, 0.0], [0.0, 1.1]]))).all()


def test_orthographic_shows_the_half_that_faces_the_viewer():
    view = View("orthographic", center=(90.0, 0.0))
    points = np.asarray(Fibonacci(100).points)
    points = points[np.abs(points[:, 1]) > 1e-9]
    np.testing.assert_array_equal(view.faces_viewer(points), points[:, 1] > 0)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_graticule_does_not_jump_across_the_map(view):
    for line in graticule_lines(view):
        assert np.abs(np.diff(line, axis=0)).max() < 0.5


def test_unknown_projection_is_rejected():
    with pytest.raises(ValueError, match="projection must be one of mollweide"):
        unchecked_view(projection="mercator", center=(0.0, 0.0), east="right")


def test_unknown_side_of_east_is_rejected():
    with pytest.raises(ValueError, match="east must be 'right' or 'left', got 'up'"):
        unchecked_view(projection="mollweide", center=(0.0, 0.0), east="up")


@pytest.mark.parametrize("center", [(0.0, 91.0), (float("nan"), 0.0)])
def test_center_off_the_sphere_is_rejected(center):
    with pytest.raises(ValueError, match="center must be \\(longitude, latitude\\)"):
        View(center=center)


def test_graticule_without_spacing_is_rejected():
    with pytest.raises(ValueError, match="spacing_deg must be positive, got 0"):
        graticule_lines(View(), spacing_deg=0.0)
