"""Laws of outlines: they separate what is inside from what is outside, and nothing else."""

from importlib import import_module

import numpy as np
import pytest

from deepsphere.geometry import spherical_delaunay
from deepsphere.plotting import View
from deepsphere.plotting.outlines import outlines
from deepsphere.plotting.projections import cut_line
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Scattered

# the package may offer a function of the same name
module = import_module("deepsphere.plotting.outlines")

_LATTICE = np.stack([Fibonacci(2500).lon, Fibonacci(2500).lat])[:, 2:-2]
SAMPLINGS = [
    Healpix(nside=16),
    Icosahedral(subdivisions=16),
    Equiangular(nlat=32),
    Equiangular(nlat=33, nlon=48, poles=2),
    Fibonacci(2000),
    Scattered(
        *np.clip(
            np.random.default_rng(0).normal(np.degrees(_LATTICE), 0.5), [[0], [-90]], [[360], [90]]
        )
    ),
]
AXIS = np.array([0.48, 0.6, 0.64])
VIEWS = [
    View(projection, center=center, east=east)
    for projection in ("mollweide", "orthographic", "equirectangular")
    for center, east in (((0, 0), "right"), ((130.0, -40.0), "left"), ((10, 90), "right"))
]


def is_closed(curve):
    return np.array_equal(curve[0], curve[-1])


def crossings_of_arc(curve, start, end):
    """Number of times that a closed curve crosses the shorter great-circle arc between points."""
    normal = np.cross(start, end)
    a, b = curve[:-1], curve[1:]
    side_a, side_b = a @ normal, b @ normal
    switches = (side_a > 0) != (side_b > 0)
    meeting = a + (side_a / (side_a - side_b + 1e-300))[:, None] * (b - a)
    # between start and end: to the left of the one and to the right of the other
    after = meeting @ np.cross(normal, start) > 0
    before = meeting @ np.cross(end, normal) > 0
    return int((switches & after & before).sum())


def mixed_edges(sampling, inside):
    triangles = spherical_delaunay(np.asarray(sampling.points))
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    return pairs[inside[pairs[:, 0]] != inside[pairs[:, 1]]]


@pytest.mark.parametrize("smoothing", [0, 1, 3])
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda s: type(s).__name__)
def test_outline_of_cap_is_one_closed_circle_within_a_cell(sampling, smoothing):
    inside = sampling.points @ AXIS > np.cos(0.7)
    curves = [c for c in outlines(inside, sampling, smoothing=smoothing) if len(c) > 40]
    assert len(curves) == 1
    (circle,) = curves
    assert is_closed(circle)
    np.testing.assert_allclose(np.linalg.norm(circle, axis=1), 1, rtol=1e-12)
    triangles = spherical_delaunay(np.asarray(sampling.points))
    edges = np.linalg.norm(
        sampling.points[triangles] - sampling.points[np.roll(triangles, 1, axis=1)], axis=2
    )
    # a crossing lies on an edge between a point inside and one outside of the circle
    touched = inside[triangles].any(axis=1) & ~inside[triangles].all(axis=1)
    assert np.abs(np.arccos(circle @ AXIS) - 0.7).max() < edges[touched].max()
    # all the way around
    frame = np.linalg.svd(AXIS[None])[2][1:]
    bearing = np.sort(np.arctan2(*(frame @ circle.T)))
    assert np.diff(bearing, append=bearing[0] + 2 * np.pi).max() < 0.3


@pytest.mark.parametrize("smoothing", [0, 1, 2])
@pytest.mark.parametrize("sampling", SAMPLINGS[:5], ids=lambda s: type(s).__name__)
def test_outlines_cross_the_edges_between_inside_and_outside_and_no_other(sampling, smoothing):
    rng = np.random.default_rng(1)
    inside = np.sin(4 * sampling.points @ rng.normal(size=3)) + sampling.points[:, 2] ** 2 > 0.4
    curves = outlines(inside, sampling, smoothing=smoothing)
    assert all(is_closed(curve) for curve in curves)
    points = np.asarray(sampling.points)
    for a, b in mixed_edges(sampling, inside)[::17]:
        assert sum(crossings_of_arc(c, points[a], points[b]) for c in curves) % 2 == 1
    pairs = spherical_delaunay(points)[::29, :2]
    for a, b in pairs[inside[pairs[:, 0]] == inside[pairs[:, 1]]]:
        assert sum(crossings_of_arc(c, points[a], points[b]) for c in curves) % 2 == 0


@pytest.mark.parametrize("sampling", SAMPLINGS[:5], ids=lambda s: type(s).__name__)
def test_unsmoothed_outline_joins_the_middles_of_all_mixed_edges(sampling):
    inside = sampling.lat > 0.3 * np.sin(3 * sampling.lon)
    points = np.asarray(sampling.points)
    middles = points[mixed_edges(sampling, inside)].sum(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    corners = np.concatenate([curve[:-1] for curve in outlines(inside, sampling, smoothing=0)])
    assert len(corners) == len(middles)
    np.testing.assert_allclose(
        corners[np.lexsort(corners.round(9).T)], middles[np.lexsort(middles.round(9).T)], atol=1e-8
    )


def test_region_lies_on_the_left():
    sampling = Fibonacci(2000)
    (circle,) = outlines(sampling.points @ AXIS > 0.8, sampling)
    turning = np.cross(circle[:-1], circle[1:]).sum(axis=0)
    assert turning @ AXIS > 0
    (circle,) = outlines(sampling.points @ AXIS < 0.8, sampling)
    assert np.cross(circle[:-1], circle[1:]).sum(axis=0) @ AXIS < 0


@pytest.mark.parametrize("value", [True, False])
def test_full_and_empty_regions_have_no_outline(value):
    assert outlines(np.full(192, value), Healpix(nside=4)) == []


def test_island_of_one_vertex_is_kept_by_smoothing():
    sampling = Healpix(nside=8)
    inside = np.arange(768) == 300
    (ring,) = outlines(inside, sampling, smoothing=3)
    center = ring[:-1].mean(axis=0)
    assert center @ sampling.points[300] / np.linalg.norm(center) > np.cos(0.03)


def test_outline_of_subset_ends_at_its_border():
    sampling = Fibonacci(3000)
    strip = sampling.subset(np.abs(sampling.lat) < 0.5)
    curves = outlines(np.asarray(strip.points[:, 0] > 0), strip)
    # the meridians 90°E and 90°W, and not the border of the strip
    assert len(curves) == 2
    for curve in curves:
        assert not is_closed(curve)
        assert np.abs(curve[:, 0]).max() < 0.1
        assert 0.35 < np.abs(curve[:, 2]).max() < 0.5


def test_nothing_is_outlined_where_nothing_is_known():
    sampling = Fibonacci(3000)
    inside = np.asarray(sampling.lat > 0)
    known = np.asarray(sampling.points[:, 0] > 0)
    (curve,) = outlines(inside, sampling, known=known)
    assert not is_closed(curve)
    assert curve[:, 0].min() > 0


def test_outline_does_not_bridge_holes_between_scattered_points():
    rng = np.random.default_rng(0)
    lon = np.concatenate([rng.uniform(0, 20, 300), rng.uniform(160, 180, 300)])
    stations = Scattered(lon, rng.uniform(-10, 10, 600))
    assert outlines(np.arange(600) < 300, stations) == []


def test_outline_on_grid_of_scattered_points_reaches_the_poles():
    lon, lat = np.meshgrid(np.arange(0.5, 360, 2), np.arange(89.0, -90, -2))
    grid = Scattered(lon.ravel(), lat.ravel())
    curves = outlines(np.asarray(grid.points[:, 0] > 0), grid)
    assert max(np.abs(curve[:, 2]).max() for curve in curves) > np.sin(np.radians(85))


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_cut_pieces_end_on_the_border_and_never_jump(view):
    sampling = Fibonacci(1500)
    for radius in (0.3, 0.9, 1.5):
        for axis in np.asarray(Fibonacci(12).points):
            (circle,) = outlines(sampling.points @ axis > np.cos(radius), sampling)
            pieces = cut_line(view, circle)
            for piece in pieces:
                assert np.abs(np.diff(piece, axis=0)).max() < 0.5
                for end in piece[[0, -1]]:
                    if view.projection == "orthographic" and len(pieces) == 1:
                        closed = np.allclose(piece[0], piece[-1])
                        assert closed or np.hypot(*end) > 1 - 1e-9
            shown = view.faces_viewer(circle)
            if view.projection == "orthographic":
                assert bool(pieces) == bool(shown.any())
            else:
                length = sum(len(piece) for piece in pieces)
                assert length >= len(circle)


def test_cut_at_the_seam_leaves_no_gap():
    # the equator of a map whose seam is at 90°E: from border to border
    angle = np.linspace(0, 2 * np.pi, 20)
    equator = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    for projection in ("mollweide", "equirectangular"):
        pieces = cut_line(View(projection, center=(-90, 0)), equator)
        ends = np.sort(np.concatenate([piece[[0, -1], 0] for piece in pieces]))
        np.testing.assert_allclose(ends[[0, -1]], [-2, 2], atol=1e-9)
        np.testing.assert_allclose(sum(np.ptp(piece[:, 0]) for piece in pieces), 4, atol=1e-6)


def test_cut_at_the_limb_is_exact():
    angle = np.linspace(0.1, 2 * np.pi + 0.1, 9)
    meridian = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    pieces = cut_line(View("orthographic"), meridian)
    heights = np.concatenate(pieces)[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], [-1, 1], atol=1e-12)


def test_mask_of_another_sampling_is_rejected(unchecked):
    with pytest.raises(ValueError, match=r"inside must have shape \(vertices,\) = \(12,\)"):
        outlines(np.ones(5, bool), Healpix(nside=1))
    with pytest.raises(ValueError, match=r"known must have shape \(vertices,\) = \(12,\)"):
        outlines(np.ones(12, bool), Healpix(nside=1), known=np.ones(5, bool))


def test_negative_smoothing_is_rejected():
    with pytest.raises(ValueError, match="smoothing must be at least 0, got -1"):
        outlines(np.ones(12, bool), Healpix(nside=1), smoothing=-1)


def test_step_of_cut_that_is_not_positive_is_rejected():
    with pytest.raises(ValueError, match="max_step_deg must be positive, got 0"):
        cut_line(View(), np.eye(3), max_step_deg=0)


@pytest.mark.parametrize("sampling", SAMPLINGS[:5], ids=lambda s: type(s).__name__)
def test_large_samplings_are_thinned_without_changing_the_outline(sampling, monkeypatch):
    inside = np.asarray(np.sin(2 * sampling.lon) * np.cos(sampling.lat) > 0.3)
    whole = outlines(inside, sampling)
    monkeypatch.setattr(module, "_LARGE", 100)
    thinned = outlines(inside, sampling)
    # four points on one circle may be joined by either diagonal, which moves a curve by a bit
    spacing = np.sqrt(4 * np.pi / sampling.num_vertices)
    first, second = np.concatenate(whole), np.concatenate(thinned)
    assert len(whole) == len(thinned)
    assert np.linalg.norm(first[:, None] - second, axis=2).min(axis=1).max() < 0.6 * spacing
    assert np.linalg.norm(second[:, None] - first, axis=2).min(axis=1).max() < 0.6 * spacing
