"""Transfer between any two samplings."""

import itertools

import jaxtyping
import numpy as np
import pytest

from deepsphere.geometry import random_rotations, triangle_areas, voronoi_areas
from deepsphere.graph.cell_overlap import overlap_areas
from deepsphere.graph.transfer import TRANSFERS, transfer_matrix
from deepsphere.sampling import (
    Equiangular,
    Fibonacci,
    Healpix,
    Icosahedral,
    RandomUniform,
    Scattered,
)

WHOLE = [
    Healpix(nside=4),
    Equiangular(nlat=8, nlon=16, poles=2),
    Icosahedral(subdivisions=4),
    Fibonacci(100),
    RandomUniform(50, seed=1),
    Healpix(nside=1),
]
PAIRS = list(itertools.permutations(WHOLE, 2))


def pair_name(value):
    return repr(value).split("(")[0]


def cap(radius: float, num: int) -> Scattered:
    """Random points in a cap around the north pole, angles in degrees."""
    generator = np.random.default_rng(3)
    return Scattered(generator.uniform(0, 360, num), 90 - generator.uniform(0, radius, num))


@pytest.mark.parametrize("method", TRANSFERS)
@pytest.mark.parametrize(("source", "target"), PAIRS, ids=pair_name)
def test_rows_are_nonnegative_and_sum_to_one(source, target, method):
    matrix = transfer_matrix(source, target, method)
    assert matrix.shape == (target.num_vertices, source.num_vertices)
    assert matrix.data.min() > 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", TRANSFERS)
@pytest.mark.parametrize("sampling", WHOLE, ids=pair_name)
def test_transfer_to_itself_is_the_identity(sampling, method):
    matrix = transfer_matrix(sampling, sampling, method)
    np.testing.assert_allclose(matrix.toarray(), np.eye(sampling.num_vertices), atol=1e-9)


def test_nearest_takes_the_nearest():
    source, target = Fibonacci(60), Healpix(nside=4)
    distance = np.linalg.norm(target.points[:, None] - source.points, axis=2)
    matrix = transfer_matrix(source, target, "nearest")
    np.testing.assert_array_equal(matrix.indices, distance.argmin(axis=1))


def test_barycentric_is_exact_where_points_coincide():
    source, target = Icosahedral(subdivisions=8), Icosahedral(subdivisions=4)
    matrix = transfer_matrix(source, target, "barycentric").toarray()
    np.testing.assert_array_equal(matrix, np.eye(target.num_vertices, source.num_vertices))


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=pair_name)
def test_barycentric_lies_below_each_target(source, target):
    """The weighted corners lie on the ray through the target vertex, in a triangle of neighbors."""
    matrix = transfer_matrix(source, target, "barycentric")
    inside = matrix @ source.points
    length = np.linalg.norm(inside, axis=1, keepdims=True)
    np.testing.assert_allclose(inside / length, target.points, atol=1e-9)
    assert np.diff(matrix.indptr).max() <= 3


@pytest.mark.parametrize("source", WHOLE, ids=pair_name)
def test_barycentric_takes_a_delaunay_triangle(source):
    """No source vertex is nearer to the center of the circle through the corners."""
    matrix = transfer_matrix(source, Fibonacci(500), "barycentric")
    for row in range(500):
        corners = source.points[matrix[[row]].indices]
        if len(corners) == 3:
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            side = (source.points - corners[0]) @ (normal * np.sign(normal @ corners[0]))
            assert side.max() < 1e-12


def test_barycentric_finds_triangles_away_from_their_corners():
    """Points in a long thin gap: the nearest vertices are no corners of the triangle around it."""
    lon = np.concatenate([np.linspace(0, 90, 40), np.linspace(0, 90, 40), [200, 300]])
    lat = np.concatenate([np.full(40, 2.0), np.full(40, -2.0), [85, -85]])
    source, target = Scattered(lon, lat), Fibonacci(2000)
    matrix = transfer_matrix(source, target, "barycentric")
    inside = matrix @ source.points
    inside /= np.linalg.norm(inside, axis=1, keepdims=True)
    np.testing.assert_allclose(inside, target.points, atol=1e-8)


def test_barycentric_interpolates_to_second_order():
    error = []
    for nside in (8, 16):
        source, target = Healpix(nside=nside), Fibonacci(3000)
        x, y, z = target.points.T
        u, v, w = source.points.T
        matrix = transfer_matrix(source, target, "barycentric")
        error.append(np.abs(matrix @ (u * v + w**2) - (x * y + z**2)).max())
    assert error[1] < 0.35 * error[0]


def test_barycentric_beyond_a_border_is_the_nearest():
    source, target = cap(40, 80), Healpix(nside=4)
    matrix = transfer_matrix(source, target, "barycentric")
    nearest = transfer_matrix(source, target, "nearest")
    south = target.points[:, 2] < 0
    assert abs(matrix[south] - nearest[south]).max() == 0
    near_pole = target.points[:, 2] > np.cos(np.deg2rad(20))
    inside = matrix[near_pole] @ source.points
    inside /= np.linalg.norm(inside, axis=1, keepdims=True)
    np.testing.assert_allclose(inside, target.points[near_pole], atol=1e-9)


def test_barycentric_in_a_flat_triangulation_keeps_constants():
    """Four points so near to a plane through the center that no triangle can be told from it."""
    source = Scattered(np.array([0.0, 90.0, 180.0, 270.0]), np.array([0.0, 0.0, 0.0, 1e-9]))
    matrix = transfer_matrix(source, Healpix(nside=1), "barycentric")
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)
    assert matrix.data.min() > 0


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=pair_name)
def test_overlaps_sum_to_the_cells(source, target):
    areas = overlap_areas(source, target).toarray()
    np.testing.assert_allclose(areas.sum(axis=1), voronoi_areas(target.points), atol=1e-12)
    np.testing.assert_allclose(areas.sum(axis=0), voronoi_areas(source.points), atol=1e-12)


@pytest.mark.parametrize(("source", "target"), PAIRS[:6], ids=pair_name)
def test_overlap_keeps_the_integral(source, target):
    x = np.random.default_rng(0).standard_normal(source.num_vertices)
    moved = transfer_matrix(source, target, "overlap") @ x
    before = voronoi_areas(source.points) @ x
    assert voronoi_areas(target.points) @ moved == pytest.approx(before, abs=1e-9)


def counted_overlaps(source, target):
    """Areas of many small cells, added up; a border crosses about sqrt(200000) of them."""
    dense = Fibonacci(200_000).points
    nearest_source = (dense @ source.points.T).argmax(axis=1)
    nearest_target = (dense @ target.points.T).argmax(axis=1)
    counted = np.zeros((target.num_vertices, source.num_vertices))
    np.add.at(counted, (nearest_target, nearest_source), 4 * np.pi / len(dense))
    return counted


def test_overlap_agrees_with_counting():
    """Many points, each counted for the pair of cells that it falls in."""
    source, target = RandomUniform(12, seed=0), Fibonacci(9)
    counted = counted_overlaps(source, target)
    np.testing.assert_allclose(overlap_areas(source, target).toarray(), counted, atol=2e-3)


def test_overlap_of_octants():
    octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    lon = np.rad2deg(np.arctan2(octahedron[:, 1], octahedron[:, 0]))
    source = Scattered(lon, np.rad2deg(np.arcsin(octahedron[:, 2])))
    turned = octahedron @ np.array([[1, 1, 0], [-1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    lon = np.rad2deg(np.arctan2(turned[:, 1], turned[:, 0]))
    target = Scattered(lon, np.rad2deg(np.arcsin(turned[:, 2])))
    areas = overlap_areas(source, target).toarray()
    # a face of the cube and the same turned by 45 degrees about its center share an octagon
    corner = np.array([1.0, np.tan(np.pi / 8), 1.0]) / np.linalg.norm([1, np.tan(np.pi / 8), 1])
    corner_next = corner * [1, -1, 1]
    octagon = 8 * triangle_areas(np.array([0, 0, 1.0]), corner_next, corner)
    assert areas[2, 2] == pytest.approx(octagon, abs=1e-12)
    assert areas[5, 5] == pytest.approx(octagon, abs=1e-12)


def test_overlap_of_cells_beyond_a_hemisphere():
    """Points in a cap: the outer cells reach around the sphere."""
    source, target = cap(20, 12), Healpix(nside=2)
    for one, other in ((source, target), (target, source), (source, cap(50, 7))):
        areas = overlap_areas(one, other).toarray()
        np.testing.assert_allclose(areas.sum(axis=1), voronoi_areas(other.points), atol=1e-9)
        np.testing.assert_allclose(areas.sum(axis=0), voronoi_areas(one.points), atol=1e-9)
        np.testing.assert_allclose(areas, counted_overlaps(one, other), atol=3e-3)


def test_overlap_does_not_depend_on_the_orientation():
    rotation = random_rotations(1, seed=0)[0]
    source, target = Fibonacci(40), Healpix(nside=2)

    def turned(sampling):
        points = sampling.points @ rotation.T
        lon = np.rad2deg(np.arctan2(points[:, 1], points[:, 0])) % 360
        return Scattered(lon, np.rad2deg(np.arcsin(points[:, 2])))

    expected = overlap_areas(source, target).toarray()
    result = overlap_areas(turned(source), turned(target)).toarray()
    np.testing.assert_allclose(result, expected, atol=1e-10)


def test_overlap_of_a_subset_takes_the_covered_part():
    base, target = Healpix(nside=4), Fibonacci(60)
    keep = np.flatnonzero(base.points[:, 2] > 0.1)
    whole = overlap_areas(base, target).toarray()[:, keep]
    matrix = transfer_matrix(base.subset(keep), target, "overlap").toarray()
    covered = whole.sum(axis=1)
    inside = covered > 1e-12
    np.testing.assert_allclose(matrix[inside], whole[inside] / covered[inside, None], atol=1e-12)
    nearest = transfer_matrix(base.subset(keep), target, "nearest").toarray()
    np.testing.assert_array_equal(matrix[~inside], nearest[~inside])
    assert 0 < inside.sum() < 60


def test_overlap_to_a_subset_is_its_rows():
    source, base = Fibonacci(60), Healpix(nside=4)
    keep = np.array([3, 100, 7])
    whole = transfer_matrix(source, base, "overlap").toarray()
    part = transfer_matrix(source, base.subset(keep), "overlap").toarray()
    np.testing.assert_allclose(part, whole[keep], atol=1e-15)


def test_unknown_method_is_rejected(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="one of nearest, barycentric, overlap, got 'cubic'"):
        transfer_matrix(Healpix(nside=1), Healpix(nside=1), "cubic")


@pytest.mark.parametrize("method", ["barycentric", "overlap"])
def test_three_points_are_rejected(method):
    source = Scattered(np.array([0.0, 90.0, 180.0]), np.array([0.0, 10.0, 20.0]))
    with pytest.raises(ValueError, match="at least 4 points"):
        transfer_matrix(source, Healpix(nside=1), method)
