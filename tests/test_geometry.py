import numpy as np
import pytest

from deepsphere.geometry import (
    angular_distance,
    farthest_points,
    lonlat_to_points,
    points_to_lonlat,
    random_rotations,
    rotation_zyz,
    spherical_delaunay,
    stereographic,
    triangle_areas,
    triangle_circumcenters,
    voronoi_areas,
)

SPHERE = 4 * np.pi

# Sums of a few thousand areas, each computed to a few units of rounding.
AREA_TOLERANCE = 1e-12

OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])


def random_points(num: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((num, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def cap_points(num: int, radius: float, seed: int = 0) -> np.ndarray:
    """Points within an angle of a random direction."""
    rng = np.random.default_rng(seed)
    lat = np.pi / 2 - radius * np.sqrt(rng.uniform(size=num))
    points = lonlat_to_points(rng.uniform(0, 2 * np.pi, num), lat)
    return points @ random_rotations(1, seed=rng)[0].T


def grid_points(nlat: int) -> np.ndarray:
    lat = np.pi / 2 - (np.arange(nlat) + 0.5) * np.pi / nlat
    lon = np.arange(2 * nlat) * np.pi / nlat
    return lonlat_to_points(*(a.ravel() for a in np.meshgrid(lon, lat))).reshape(-1, 3)


def dense_cluster() -> np.ndarray:
    """Points whose height above their neighbors, 1e-15, is lost in the hull, among others."""
    steps = 1.1e-7 * np.arange(-5, 6)
    lon, lat = (a.ravel() for a in np.meshgrid(1 + steps, 0.5 + steps))
    return np.concatenate([random_points(20), lonlat_to_points(lon, lat)])


# --- angles


def test_lonlat_round_trip():
    points = random_points(1000)
    assert np.abs(lonlat_to_points(*points_to_lonlat(points)) - points).max() < 1e-15


def test_lonlat_axes():
    points = lonlat_to_points(np.deg2rad([0, 90, 180, 0]), np.deg2rad([0, 0, 0, 90]))
    expected = [[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(points, expected, atol=1e-15)


def test_lonlat_broadcasts_and_keeps_shape():
    assert lonlat_to_points(np.zeros((4, 1)), np.zeros(5)).shape == (4, 5, 3)
    assert lonlat_to_points(1.0, 0.5).shape == (3,)


def test_longitude_is_below_a_full_turn():
    lon, lat = points_to_lonlat(np.array([[1.0, -1e-300, 0.0], [1.0, -0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert (lon >= 0).all()
    assert (lon < 2 * np.pi).all()
    assert lat[2] == np.pi / 2


def test_latitude_is_accurate_near_the_pole():
    lat = points_to_lonlat(np.array([[1e-9, 0.0, 1.0]]))[1]
    assert np.pi / 2 - lat[0] == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 1.0, np.pi - 1e-9, np.pi])
def test_angular_distance_is_accurate_at_all_scales(angle):
    a, b = np.array([1.0, 0, 0]), np.array([np.cos(angle), np.sin(angle), 0])
    assert float(angular_distance(a, b)) == pytest.approx(angle, rel=1e-7, abs=1e-15)


def test_angular_distance_broadcasts():
    points = random_points(7)
    table = angular_distance(points[:, None], points[None])
    assert table.shape == (7, 7)
    np.testing.assert_allclose(np.cos(table), points @ points.T, atol=1e-15)


# --- rotations


def test_random_rotations_are_rotations():
    R = random_rotations(100, seed=1)
    np.testing.assert_allclose(
        R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (100, 1, 1)), atol=1e-14
    )
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-14)


def test_random_rotations_are_haar():
    # moments of the trace, the character of degree 1: E χ = 0, E χ² = 1 (Schur); E χ³ = 1, χ⁴ = 3
    trace = np.trace(random_rotations(200_000, seed=2), axis1=1, axis2=2)
    moments = [np.mean(trace**power) for power in (1, 2, 3, 4)]
    # six standard deviations of the mean of the fourth power, which is at most √(E χ⁸ / n)
    np.testing.assert_allclose(moments, [0, 1, 1, 3], atol=6 * np.sqrt(91 / 200_000))


def test_random_rotations_are_determined_by_seed():
    assert (random_rotations(3, seed=5) == random_rotations(3, seed=5)).all()
    assert not (random_rotations(3, seed=5) == random_rotations(3, seed=6)).any()
    generator = np.random.default_rng(5)
    first, second = random_rotations(3, seed=generator), random_rotations(3, seed=generator)
    assert (first == random_rotations(3, seed=5)).all()
    assert not (first == second).any()


def test_random_rotations_may_be_none():
    assert random_rotations(0, seed=0).shape == (0, 3, 3)


def test_negative_number_of_rotations_is_rejected():
    with pytest.raises(ValueError, match="num must not be negative, got -1"):
        random_rotations(-1, seed=0)


def test_rotation_zyz_takes_north_to_colatitude_and_longitude():
    alpha, beta, gamma = 0.3, 1.1, -2.0
    north = rotation_zyz(alpha, beta, gamma) @ [0, 0, 1]
    np.testing.assert_allclose(north, lonlat_to_points(alpha, np.pi / 2 - beta), atol=1e-15)


def test_rotation_zyz_about_z_is_active():
    np.testing.assert_allclose(rotation_zyz(0.2, 0.0, 0.3) @ [1, 0, 0], lonlat_to_points(0.5, 0.0))


# --- triangles


def test_triangle_area_of_an_octant():
    assert float(triangle_areas(*np.eye(3))) == pytest.approx(SPHERE / 8, rel=1e-15)
    assert float(triangle_areas(*np.eye(3)[::-1])) == pytest.approx(-SPHERE / 8, rel=1e-15)


def test_triangle_area_is_the_angular_excess():
    a, b, c = random_points(3, seed=3)

    def angle(at, to, other):
        return angular_distance(
            *(np.cross(at, p) / np.linalg.norm(np.cross(at, p)) for p in (to, other))
        )

    excess = angle(a, b, c) + angle(b, c, a) + angle(c, a, b) - np.pi
    assert abs(float(triangle_areas(a, b, c))) == pytest.approx(float(excess), rel=1e-13)


def test_area_of_a_tiny_triangle_is_flat():
    size = 1e-7
    corners = np.array([[1, 0, 0], [1, size, 0], [1, 0, size]])
    corners = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    assert float(triangle_areas(*corners)) == pytest.approx(size**2 / 2, rel=1e-8)


@pytest.mark.parametrize("size", [1e-1, 1e-4, 1e-7])
def test_area_of_a_long_triangle_is_accurate(size):
    # from the south pole to two points near the north pole, at longitudes 0.3 and 0.8: a lune of
    # angle 0.5, less the right triangle at the north pole
    near = lonlat_to_points(np.array([0.3, 0.8]), np.full(2, np.pi / 2 - size))
    north, south = np.array([0.0, 0, 1]), np.array([0.0, 0, -1])
    cap = 2 * np.arctan(
        np.tan(size / 2) ** 2 * np.sin(0.5) / (1 + np.tan(size / 2) ** 2 * np.cos(0.5))
    )
    assert float(triangle_areas(north, *near)) == pytest.approx(cap, rel=1e-8)
    expected = pytest.approx(2 * 0.5 - cap, rel=1e-8)  # the rounding of the points, 1e-16 / size
    for turn in range(3):
        corners = np.roll([south, near[1], near[0]], turn, axis=0)
        assert float(triangle_areas(*corners)) == expected
        assert -float(triangle_areas(*corners[::-1])) == expected


@pytest.mark.parametrize("num", [4, 5, 17, 300])
def test_delaunay_circles_are_empty(num):
    points = random_points(num, seed=num)
    triangles = spherical_delaunay(points)
    assert triangles.shape == (2 * num - 4, 3)
    center = triangle_circumcenters(points, triangles)
    radius = np.sum(center * points[triangles[:, 0]], axis=1)
    # no point is nearer to the center of a circle than the corners of its triangle
    assert ((center @ points.T) <= radius[:, None] + 1e-12).all()
    np.testing.assert_allclose(np.sum(center * points[triangles[:, 2]], axis=1), radius, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(center, axis=1), 1)


@pytest.mark.parametrize("points", [random_points(200), grid_points(8), OCTAHEDRON], ids=len)
def test_delaunay_covers_the_sphere_once(points):
    triangles = spherical_delaunay(points)
    areas = triangle_areas(*(points[triangles[:, corner]] for corner in range(3)))
    assert areas.sum() == pytest.approx(SPHERE, rel=AREA_TOLERANCE)
    # a closed and oriented surface: every directed edge once, and once in the other direction
    edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    assert len({tuple(edge) for edge in edges.tolist()}) == len(edges)
    assert {tuple(edge) for edge in edges.tolist()} == {tuple(e[::-1]) for e in edges.tolist()}


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.eye(3), "at least 4 points that do not lie in one plane, got 3 points; add points"),
        (lonlat_to_points(np.arange(6.0), 0.4), "got 6 points in one plane"),
    ],
)
def test_points_in_one_plane_cannot_be_triangulated(points, message):
    with pytest.raises(ValueError, match=message):
        spherical_delaunay(points)


def test_points_that_nearly_coincide_cannot_be_triangulated():
    points = np.concatenate([random_points(20), np.eye(3)[:1], lonlat_to_points(1e-9, np.zeros(1))])
    message = "at least 1e-07 radian apart.* got points 20 and 21 at 1e-09 radian; drop one of them"
    with pytest.raises(ValueError, match=message):
        spherical_delaunay(points)


def test_dense_cluster_cannot_be_triangulated():
    with pytest.raises(ValueError, match=r"farther in a dense cluster.* at [\d.]*e-0[78] radian"):
        spherical_delaunay(dense_cluster())


def test_points_that_are_not_finite_cannot_be_triangulated():
    points = random_points(10)
    points[3] = np.nan
    with pytest.raises(ValueError, match="points must be finite, got nan at point 3"):
        spherical_delaunay(points)


# --- Voronoi areas


@pytest.mark.parametrize(
    "points",
    [
        random_points(4),
        random_points(1000),
        cap_points(50, 1.5),
        cap_points(5, 1.0),
        cap_points(50, 1e-5),
        cap_points(200, 0.3),
        cap_points(100, 1e-3),
        dense_cluster(),
        grid_points(4),
        grid_points(32),
        OCTAHEDRON,
        np.eye(3),
        np.eye(3)[:2],
        np.eye(3)[:1],
        np.array([[0.0, 0, 1], [0, 0, -1]]),
        lonlat_to_points(np.linspace(0, 4, 9), np.full(9, 0.3)),
    ],
    ids=lambda points: f"{len(points)}",
)
def test_voronoi_areas_sum_to_four_pi(points):
    areas = voronoi_areas(points)
    assert areas.shape == (len(points),)
    assert (areas > 0).all()
    assert abs(areas.sum() - SPHERE) < AREA_TOLERANCE * SPHERE


@pytest.mark.parametrize("points", [random_points(40), cap_points(40, 0.8)], ids=["sphere", "cap"])
def test_voronoi_areas_count_the_nearest(points):
    everywhere = random_points(200_000, seed=9)
    nearest = np.argmax(everywhere @ points.T, axis=1)
    share = np.bincount(nearest, minlength=len(points)) / len(everywhere)
    deviation = np.sqrt(share.clip(1e-4) / len(everywhere))
    assert (np.abs(voronoi_areas(points) / SPHERE - share) < 5 * deviation).all()


def test_voronoi_areas_turn_with_the_points():
    points = random_points(100)
    R = random_rotations(1, seed=0)[0]
    np.testing.assert_allclose(voronoi_areas(points @ R.T), voronoi_areas(points), rtol=1e-11)


def test_voronoi_areas_of_a_circle_are_lunes():
    # at longitudes 0, 1 and 3 on any parallel: half gaps (2π − 3 + 1)/2, (1 + 2)/2, (2 + 2π − 3)/2
    gaps = np.array([1, 2, 2 * np.pi - 3])
    for lat in (0.0, 0.7):
        points = lonlat_to_points(np.array([0.0, 1, 3]), np.full(3, lat))
        np.testing.assert_allclose(voronoi_areas(points), gaps + np.roll(gaps, 1), rtol=1e-12)


def test_voronoi_areas_accept_a_triangulation():
    points = random_points(50)
    triangles = spherical_delaunay(points)
    assert (voronoi_areas(points, triangles) == voronoi_areas(points)).all()


def test_triangles_that_are_not_closed_are_rejected():
    points = random_points(20)
    with pytest.raises(ValueError, match="triangles must form a closed surface"):
        voronoi_areas(points, spherical_delaunay(points)[1:])


def test_close_points_share_a_cell():
    points = random_points(30)
    twin = points[4] + [0, 0, 1e-9]
    both = np.concatenate([points, twin[None] / np.linalg.norm(twin)])
    areas, alone = voronoi_areas(both), voronoi_areas(points)
    assert areas[4] == areas[30] == pytest.approx(alone[4] / 2)
    assert areas.sum() == pytest.approx(SPHERE, rel=AREA_TOLERANCE)


def test_close_points_of_few_cells_share_lunes():
    three = np.eye(3)
    twin = three[0] + [0, 1e-9, 0]
    areas = voronoi_areas(np.concatenate([three, twin[None] / np.linalg.norm(twin)]))
    np.testing.assert_allclose(areas, SPHERE / 3 * np.array([0.5, 1, 1, 0.5]), rtol=1e-12)


# --- farthest points


def test_farthest_points_are_greedy():
    points = random_points(60)
    chosen = farthest_points(points, 20, start=7)
    assert chosen[0] == 7
    for count in range(1, 20):
        distance = angular_distance(points[:, None], points[chosen[:count]][None]).min(axis=1)
        assert distance[chosen[count]] == pytest.approx(distance.max(), rel=1e-12)


def test_farthest_points_can_be_all():
    points = np.concatenate([random_points(20), OCTAHEDRON])
    assert sorted(farthest_points(points, 26)) == list(range(26))


def test_farthest_points_are_a_prefix_of_more():
    points = random_points(100)
    assert (farthest_points(points, 30)[:10] == farthest_points(points, 10)).all()


@pytest.mark.parametrize("num", [0, 7])
def test_number_of_farthest_points_out_of_range_is_rejected(num):
    with pytest.raises(ValueError, match=rf"between 1 and the number of points \(6\), got {num}"):
        farthest_points(OCTAHEDRON, num)


def test_start_out_of_range_is_rejected():
    with pytest.raises(ValueError, match="start must be the index of one of 6 points, got 6"):
        farthest_points(OCTAHEDRON, 2, start=6)


# --- stereographic projection


def test_stereographic_radius_is_the_tangent_of_half_the_colatitude():
    colatitude = np.linspace(0, 3, 7)
    plane = stereographic(lonlat_to_points(0.4, np.pi / 2 - colatitude))
    np.testing.assert_allclose(np.hypot(*plane.T), np.tan(colatitude / 2), atol=1e-14)
    np.testing.assert_allclose(np.arctan2(*plane[1:].T[::-1]), 0.4)


def test_stereographic_south_pole_is_at_infinity():
    assert np.isinf(stereographic(np.array([[0.0, 0.0, -1.0]]))).all()
