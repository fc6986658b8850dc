"""Candidate neighbors: which are kept, in what order, and how far apart."""

import numpy as np
import pytest

from deepsphere.geometry import spherical_delaunay
from deepsphere.graph.stencils import (
    circumradii,
    nearest_stencils,
    resolved_rows,
    ring_stencils,
    thinned_stencils,
    vertex_spacing,
)
from deepsphere.sampling import Equiangular, Healpix, Icosahedral, RandomUniform, Scattered

SAMPLING = RandomUniform(300, seed=4)
POINTS = SAMPLING.points
EVERY = np.arange(300)


def chords(points: np.ndarray = POINTS) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def assert_no_center_no_repeats(stencils: np.ndarray, centers: np.ndarray = EVERY):
    """Also that what is missing is missing at the end."""
    for center, row in zip(centers, stencils, strict=True):
        kept = row[row >= 0]
        assert center not in kept
        assert len(np.unique(kept)) == len(kept)
        assert (row[len(kept) :] == -1).all()


# --- nearest ---


@pytest.mark.parametrize("number", [1, 8, 299])
def test_nearest_are_the_nearest_others_in_order(number):
    stencils = nearest_stencils(POINTS, number)
    assert stencils.shape == (300, number)
    assert_no_center_no_repeats(stencils)
    expected = np.argsort(chords(), axis=1)[:, 1 : number + 1]
    assert np.array_equal(stencils, expected)


def test_nearest_of_points_that_rounding_confuses_leave_out_the_center():
    """Points nearer than the rounding of the tree: the center is not the first that it finds."""
    cluster = np.repeat(np.array([[0.0, 0.6, 0.8]]), 6, axis=0)
    stencils = nearest_stencils(np.concatenate([cluster, POINTS]), 3)
    assert_no_center_no_repeats(stencils, np.arange(306))
    assert set(stencils[:6].ravel()) <= set(range(6))


# --- thinned ---


def test_thinned_keep_their_distance_from_center_and_each_other():
    separation = np.linspace(0.05, 0.3, 300)
    stencils = thinned_stencils(
        POINTS, nearest_stencils(POINTS, 100), EVERY, separation, 12, relax=False
    )
    assert_no_center_no_repeats(stencils)
    apart = chords()
    for center, row in enumerate(stencils):
        kept = np.append(row[row >= 0], center)
        least = (apart[np.ix_(kept, kept)] + 9 * np.eye(len(kept))).min()
        assert least >= separation[center] * (1 - 1e-12)


def test_thinned_are_a_greedy_walk_from_the_nearest():
    candidates, apart = nearest_stencils(POINTS, 60), chords()
    stencils = thinned_stencils(POINTS, candidates, EVERY, np.full(300, 0.2), 7, relax=False)
    for center in EVERY:
        kept: list[int] = []
        for candidate in candidates[center]:
            if len(kept) < 7 and (apart[candidate, [center, *kept]] >= 0.2).all():
                kept.append(candidate)
        assert stencils[center].tolist() == kept + [-1] * (7 - len(kept))
        assert (np.diff(apart[center, kept]) >= 0).all()


def test_thinned_without_separation_are_the_nearest():
    candidates = nearest_stencils(POINTS, 20)
    stencils = thinned_stencils(POINTS, candidates, EVERY, np.zeros(300), 9)
    assert np.array_equal(stencils, candidates[:, :9])


def test_thinned_shrink_the_separation_where_too_few_are_found():
    """Each walk leaves the ones before it in place, and keeps the distance that it asks for."""
    candidates, apart = nearest_stencils(POINTS, 30), chords()
    strict = thinned_stencils(POINTS, candidates, EVERY, np.full(300, 0.3), 15, relax=False)
    relaxed = thinned_stencils(POINTS, candidates, EVERY, np.full(300, 0.3), 15)
    assert_no_center_no_repeats(relaxed)
    assert (strict < 0).any()
    assert (relaxed >= 0).all()
    found = strict >= 0
    assert np.array_equal(relaxed[found], strict[found])
    for center, row in enumerate(relaxed):
        number = found[center].sum()
        for place in range(number, 15):
            before = [center, *row[:place]]
            later = [center, *row[number:place]]
            gaps = 0.3 * 0.7 ** np.arange(1, 12)
            least = apart[row[place], before].min()
            assert least >= gaps[-1] or len(later) > 1


def test_thinned_of_some_centers_are_those_of_all():
    candidates, centers = nearest_stencils(POINTS, 60), np.array([17, 3, 250])
    whole = thinned_stencils(POINTS, candidates, EVERY, np.full(300, 0.2), 7)
    part = thinned_stencils(POINTS, candidates[centers], centers, np.full(3, 0.2), 7)
    assert np.array_equal(part, whole[centers])


def test_thinned_go_on_from_those_that_are_kept_already():
    candidates = nearest_stencils(POINTS, 60)
    gap = np.full(300, 0.15)
    first = thinned_stencils(POINTS, candidates, EVERY, gap, 5, relax=False)
    both = thinned_stencils(POINTS, candidates, EVERY, gap, 9, start=first, relax=False)
    whole = thinned_stencils(POINTS, candidates, EVERY, gap, 9, relax=False)
    assert np.array_equal(both, whole)
    assert (first[:, 0] >= 0).all()
    cut = thinned_stencils(POINTS, candidates, EVERY, gap, 3, start=first, relax=False)
    assert np.array_equal(cut, first[:, :3])


def test_thinned_skip_missing_candidates_and_modify_nothing():
    candidates = nearest_stencils(POINTS, 6)
    candidates[:, 4:] = -1
    before, separation = candidates.copy(), np.full(300, 1e-3)
    stencils = thinned_stencils(POINTS, candidates, EVERY, separation, 6)
    assert np.array_equal(stencils, candidates)
    assert np.array_equal(candidates, before)
    assert (separation == 1e-3).all()


# --- rings ---


@pytest.mark.parametrize("rings", [1, 2, 3])
def test_rings_are_the_vertices_within_some_edges_nearest_first(rings):
    triangles, apart = spherical_delaunay(POINTS), chords()
    joined = np.eye(300, dtype=bool)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        joined[triangles[:, one], triangles[:, other]] = True
        joined[triangles[:, other], triangles[:, one]] = True
    within = np.linalg.matrix_power(joined.astype(float), rings) > 0
    stencils = ring_stencils(POINTS, rings)
    assert_no_center_no_repeats(stencils)
    for center, row in enumerate(stencils):
        kept = row[row >= 0]
        assert set(kept) == set(np.flatnonzero(within[center])) - {center}
        assert (np.diff(apart[center, kept]) >= 0).all()


# --- spacing ---


def test_circles_of_the_largest_radius_are_empty_and_pass_through_the_vertex():
    triangles, apart = spherical_delaunay(POINTS), chords()
    radii = circumradii(POINTS, triangles)
    corners = POINTS[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centers = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    distance = np.arccos(np.clip(centers @ POINTS.T, -1, 1))
    np.testing.assert_allclose(distance.min(axis=1), distance[np.arange(596), triangles[:, 0]])
    for vertex in EVERY:
        around = (triangles == vertex).any(axis=1)
        assert radii[vertex] == pytest.approx(distance[around, vertex].max(), rel=1e-7)
    assert (2 * np.sin(radii) >= np.sort(apart, axis=1)[:, 1] * 0.5).all()


def test_spacing_of_vertices_around_a_hole_is_that_of_the_hole():
    """Points within 30° of the north pole leave a circle of 150° around the south pole."""
    points = RandomUniform(1000, seed=1).points
    points = points[points[:, 2] > np.cos(np.radians(30))]
    lon, lat = np.arctan2(points[:, 1], points[:, 0]), np.arcsin(points[:, 2])
    spacing = vertex_spacing(Scattered(np.degrees(lon), np.degrees(lat))) / np.sqrt(2)
    assert np.radians(145) < spacing.max() < np.radians(165)
    assert np.median(spacing) < np.radians(10)


def test_spacing_of_a_square_lattice_is_the_distance_of_its_neighbors():
    sampling = Equiangular(nlat=90)
    equator = np.abs(sampling.lat) < np.radians(3)
    np.testing.assert_allclose(vertex_spacing(sampling)[equator], np.pi / 90, rtol=0.01)


def test_rows_are_resolved_where_a_wave_has_six_vertices():
    spacing = vertex_spacing(SAMPLING)
    for degree in (1, 4.5, 20):
        assert np.array_equal(resolved_rows(SAMPLING, degree), degree * spacing <= 1)
    assert resolved_rows(SAMPLING, 0).all()
    assert resolved_rows(Icosahedral(8), 4).all()
    assert not resolved_rows(Healpix(nside=2), 12).any()
