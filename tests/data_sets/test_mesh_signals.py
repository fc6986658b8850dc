"""Rays at meshes whose signals are known by a formula, and the laws of rotation."""

import sys

import numpy as np
import pytest
import trimesh

from deepsphere.data.mesh_cleaning import normalize_mesh, scale_mesh
from deepsphere.data.mesh_signals import (
    CHANNELS,
    MeshScene,
    Pose,
    check_rotation,
    embree_scene,
    mesh_signals,
)
from deepsphere.data.meshes import MeshError
from deepsphere.data.view_poses import check_perturbation, draw_pose
from deepsphere.geometry import random_rotations, rotation_zyz
from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral

FLOAT32_ROUNDING = 2e-7  # of values up to 2 that are stored in float32
EMBREE_ROUNDING = 1e-5  # a triangle chosen in float32: a neighbour's plane, next to their edge
SAMPLINGS = [
    Healpix(nside=8),
    Healpix(nside=4, ordering="ring"),
    Equiangular(nlat=16, nlon=32),
    Icosahedral(subdivisions=8),
    Fibonacci(500),
]
# no plane of symmetry is near a vertex of a sampling
(TILT,) = random_rotations(1, seed=3)


def make(vertices, faces) -> trimesh.Trimesh:
    return trimesh.Trimesh(np.array(vertices, float), np.array(faces), process=False)


def turned(mesh: trimesh.Trimesh, rotation: np.ndarray, shift=(0, 0, 0)) -> trimesh.Trimesh:
    return make((mesh.vertices + shift) @ rotation.T, mesh.faces)


def lumpy() -> trimesh.Trimesh:
    """A closed shape without symmetry that is not convex."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    x, y, z = mesh.vertices.T
    radii = 0.6 + 0.15 * np.sin(3 * x + 1) + 0.1 * np.cos(5 * y) + 0.1 * x * z
    return make(mesh.vertices * radii[:, None], mesh.faces)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda sampling: sampling.kind)
def test_ball_is_at_the_same_distance_everywhere(sampling):
    radius = 0.6
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    found = mesh_signals(mesh, sampling.points)
    # corners are on the ball, and faces as deep in it as the lowest of their planes
    depth = np.einsum("fc,fc->f", mesh.face_normals, mesh.triangles[:, 0]).min()
    tilt = np.arccos(depth / radius)  # of a face's plane at its corners
    for first in (0, 3):
        distance, cosine, sine = found.values[:, first : first + 3].T
        assert (distance >= 1 - radius - FLOAT32_ROUNDING).all()
        assert (distance <= 1 - depth + FLOAT32_ROUNDING).all()
        assert (cosine >= np.cos(tilt) - FLOAT32_ROUNDING).all()
        assert (sine <= np.sin(tilt) + FLOAT32_ROUNDING).all()
    assert (found.num_missing, found.num_missing_hull, found.hull_failed) == (0, 0, False)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda sampling: sampling.kind)
def test_cube_is_where_its_formula_says(sampling):
    half = 0.4
    mesh = turned(trimesh.creation.box(extents=3 * (2 * half,)), TILT)
    found = mesh_signals(mesh, sampling.points)
    inside = np.abs(sampling.points @ TILT)  # in the frame of the cube
    cosine = inside.max(axis=1)
    expected = np.stack([1 - half / cosine, cosine, np.sqrt(1 - cosine**2)], axis=1)
    assert found.values.dtype == np.float32
    assert np.allclose(found.values, np.tile(expected, 2), rtol=0, atol=EMBREE_ROUNDING)


def test_shifted_ball_is_where_its_formula_says():
    radius, center = 0.3, np.array([0.2, -0.3, 0.35])
    mesh = trimesh.creation.icosphere(subdivisions=5, radius=radius).apply_translation(center)
    points = Healpix(nside=16).points
    found = mesh_signals(mesh, points)
    along = points @ center
    discriminant = along**2 - center @ center + radius**2
    hit = along + np.sqrt(np.maximum(discriminant, 0))  # coordinate of the first hit on the line
    clear = np.abs(discriminant) > 0.02  # of the outline, where facets decide
    is_hit = clear & (discriminant > 0)
    is_missing = clear & (discriminant < 0)
    assert is_hit.sum() > 100
    assert is_missing.sum() > 100
    normals = (hit[:, None] * points - center) / radius
    cosine = np.einsum("pc,pc->p", normals, points)
    assert np.allclose(found.values[is_hit, 0], 1 - hit[is_hit], atol=2e-3)
    assert np.allclose(found.values[is_hit, 1], cosine[is_hit], atol=0.05)
    assert (found.values[is_missing] == 0).all()
    assert is_missing.sum() <= found.num_missing <= (~is_hit).sum()
    # a ray that begins on the far side passes the centre and comes from below
    assert found.values[is_hit, 0].max() > 1


def test_sine_and_cosine_are_those_of_one_angle():
    values = mesh_signals(lumpy(), Healpix(nside=8).points).values
    assert np.allclose(values[:, 1] ** 2 + values[:, 2] ** 2, 1, atol=4 * FLOAT32_ROUNDING)
    assert np.allclose(values[:, 4] ** 2 + values[:, 5] ** 2, 1, atol=4 * FLOAT32_ROUNDING)
    assert (values[:, [2, 5]] >= 0).all()


def test_closed_mesh_shows_its_outside_and_no_gap():
    mesh = turned(lumpy(), TILT)
    found = mesh_signals(mesh, Healpix(nside=32).points)
    assert found.num_missing == 0
    assert (found.values[:, 1] > 0).all()


def test_rays_exactly_at_edges_and_corners_hit():
    """Axes, diagonals and corners of an octahedron and of a cube."""
    signs = np.array(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1])).reshape(3, -1).T.astype(float)
    points = signs[np.abs(signs).sum(axis=1) > 0]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    cube = mesh_signals(trimesh.creation.box(extents=(1, 1, 1)), points)
    assert (cube.num_missing, cube.num_missing_hull) == (0, 0)
    expected = 1 - 0.5 / np.abs(points).max(axis=1)
    assert np.allclose(cube.values[:, 0], expected, atol=EMBREE_ROUNDING)
    octahedron = trimesh.convex.convex_hull(np.concatenate([np.eye(3), -np.eye(3)]))
    found = mesh_signals(octahedron, points)
    assert (found.num_missing, found.num_missing_hull) == (0, 0)
    # its corners touch the sphere on which rays begin
    expected = 1 - 1 / np.abs(points).sum(axis=1)
    assert np.allclose(found.values[:, 0], expected, atol=EMBREE_ROUNDING)


def test_hull_of_a_convex_mesh_is_the_mesh():
    mesh = turned(trimesh.creation.box(extents=(0.4, 0.6, 0.9)), TILT)
    values = mesh_signals(mesh, Healpix(nside=8).points).values
    assert np.allclose(values[:, :3], values[:, 3:], atol=EMBREE_ROUNDING)


def test_hull_is_in_front_of_the_mesh():
    values = mesh_signals(lumpy(), Healpix(nside=8).points).values
    assert (values[:, 3] <= values[:, 0] + EMBREE_ROUNDING).all()
    assert (values[:, 0] - values[:, 3]).max() > 0.01


def test_hull_agrees_with_that_of_trimesh():
    mesh = lumpy()
    points = Healpix(nside=8).points
    found = mesh_signals(mesh, points).values[:, 3:]
    error = np.abs(found - mesh_signals(mesh.convex_hull, points).values[:, :3])
    assert error[:, 0].max() < EMBREE_ROUNDING
    assert (error < EMBREE_ROUNDING).mean() > 0.99  # beside an edge either face is right


@pytest.mark.parametrize("seed", range(3))
def test_rotating_the_mesh_is_rotating_the_points(seed):
    (rotation,) = random_rotations(1, seed=seed)
    mesh, points = lumpy(), Healpix(nside=16).points
    by_option = mesh_signals(mesh, points, rotation=rotation).values
    by_mesh = mesh_signals(turned(mesh, rotation), points).values
    by_points = mesh_signals(mesh, points @ rotation).values  # R⁻¹ g
    assert np.array_equal(by_option, by_points)
    assert np.abs(by_option - by_mesh)[:, 0].max() < EMBREE_ROUNDING
    # beside an edge float32 may choose the other face: a few angles of all
    is_close = np.abs(by_option - by_mesh) < EMBREE_ROUNDING
    assert is_close.mean() > 0.999


def test_symmetry_of_the_sampling_permutes_the_values():
    sampling = Healpix(nside=8)
    quarter = rotation_zyz(np.pi / 2, 0.0, 0.0)
    mesh = turned(lumpy(), TILT)
    before = mesh_signals(mesh, sampling.points).values
    after = mesh_signals(mesh, sampling.points, rotation=quarter).values
    moved = np.round(sampling.points @ quarter, 9)  # R⁻¹ g, again a point of the sampling
    order = np.lexsort(np.round(sampling.points, 9).T)[np.argsort(np.lexsort(moved.T))]
    assert np.abs(sampling.points[order] - moved).max() < 1e-8
    assert np.allclose(after, before[order], atol=EMBREE_ROUNDING)


def test_ray_through_a_hole_sees_the_far_wall_from_inside():
    radius = 0.5
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    has_hole = mesh.triangles_center[:, 2] > 0.8 * radius
    mesh = make(mesh.vertices, mesh.faces[~has_hole])
    points = np.array([[0, 0, 1.0], [0, 0, -1.0], [1.0, 0, 0]])
    found = mesh_signals(mesh, points)
    assert found.num_missing == 0
    assert np.allclose(found.values[:, 0], [1 + radius, 1 - radius, 1 - radius], atol=2e-3)
    assert np.allclose(found.values[:, 1], [-1, 1, 1], atol=2e-3)
    hull = [[1 - 0.8 * radius, 1], [1 - radius, 1], [1 - radius, 1]]
    assert np.allclose(found.values[:, 3:5], hull, atol=0.02)


@pytest.mark.parametrize(("missing", "distance"), [("zero", 0.0), ("far", 1.0)])
def test_ray_that_misses_has_the_documented_values(missing, distance):
    tube = trimesh.creation.annulus(r_min=0.3, r_max=0.4, height=1.0)
    points = np.array([[0, 0, 1.0], [0, 0, -1.0], [1.0, 0, 0]])
    found = mesh_signals(tube, points, missing=missing)
    assert found.num_missing == 2
    assert found.num_missing_hull == 0
    assert found.values[:2, :3].tolist() == 2 * [[distance, 0, 0]]
    assert np.allclose(found.values[:2, 3:], [0.5, 1, 0], atol=EMBREE_ROUNDING)
    assert np.isclose(found.values[2, 0], 0.6, atol=0.01)


@pytest.mark.parametrize("faces", [[[0, 1, 2]], [[0, 1, 2], [0, 2, 3]]])
def test_flat_mesh_stands_for_its_hull(faces):
    vertices = np.array([[-0.5, -0.5, 0.2], [0.5, -0.5, 0.2], [0.5, 0.5, 0.2], [-0.5, 0.5, 0.2]])
    mesh = turned(make(vertices, faces), TILT)
    found = mesh_signals(mesh, Healpix(nside=8).points)
    assert found.hull_failed
    assert found.num_missing == found.num_missing_hull > 0
    assert np.array_equal(found.values[:, :3], found.values[:, 3:])
    # a ray hits the plane z = 0.2 from above after 1 − 0.2 / z, or from below
    z = (Healpix(nside=8).points @ TILT)[:, 2]
    is_hit = found.values[:, 0] > 0
    assert is_hit.sum() == 768 - found.num_missing
    assert np.allclose(found.values[is_hit, 0], 1 - 0.2 / z[is_hit], atol=EMBREE_ROUNDING)
    assert np.allclose(found.values[is_hit, 1], z[is_hit], atol=FLOAT32_ROUNDING)


def test_grazing_rays_stay_within_their_faces():
    """A needle-like fan seen edge-on: whatever rounding does, a hit is between the corners."""
    vertices = np.array([[0.9, 0, 1e-9], [-0.9, 0, -1e-9], [0, 0.9, 0], [0, -0.9, 0]])
    mesh = make(vertices, [[0, 2, 1], [0, 1, 3]])
    angle = np.linspace(0, 2 * np.pi, 721)
    points = np.stack([np.cos(angle), np.sin(angle), 1e-9 * np.sin(7 * angle)], axis=1)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    found = mesh_signals(mesh, points)
    assert np.isfinite(found.values).all()
    assert (found.values[:, 0] >= 0).all()
    assert (found.values[:, 0] <= 1.9 + EMBREE_ROUNDING).all()


def test_scene_serves_every_pose_as_a_mesh_that_was_moved():
    mesh, points = scale_mesh(lumpy()), Healpix(nside=8).points
    scene = MeshScene(mesh)
    (rotation,) = random_rotations(1, seed=8)
    shift = np.array([0.05, -0.02, 0.07])
    pose = Pose(rotation, shift, scene.fitting_scale(shift))
    moved = scale_mesh(turned(mesh, rotation, shift), radius=0.99)
    expected = mesh_signals(moved, points).values
    is_close = np.abs(scene.look(points, pose).values - expected) < EMBREE_ROUNDING
    assert is_close[:, 0].all()
    assert is_close.mean() > 0.999


def test_degenerate_faces_change_nothing():
    mesh = lumpy()
    points = Fibonacci(300).points
    faces = np.concatenate([[[0, 0, 1], [2, 2, 2]], mesh.faces])
    found = mesh_signals(make(mesh.vertices, faces), points)
    assert np.array_equal(found.values, mesh_signals(mesh, points).values)


def test_inputs_are_not_modified():
    mesh, points = lumpy(), np.array(Healpix(nside=4).points)
    vertices, faces, before = mesh.vertices.copy(), mesh.faces.copy(), points.copy()
    mesh_signals(mesh, points, rotation=TILT)
    assert np.array_equal(mesh.vertices, vertices)
    assert np.array_equal(mesh.faces, faces)
    assert np.array_equal(points, before)


def test_channels_are_named_in_their_order():
    assert CHANNELS[:3] == ("distance", "cosine", "sine")
    assert CHANNELS[3:] == tuple(f"hull {name}" for name in CHANNELS[:3])


def test_mesh_that_sticks_out_of_the_sphere_is_rejected():
    with pytest.raises(MeshError, match="within the unit sphere, got a vertex at distance 2; cent"):
        mesh_signals(trimesh.creation.icosphere(radius=2), Fibonacci(20).points)


def test_mesh_without_area_is_rejected():
    line = make([[0, 0, 0], [0.1, 0.1, 0.1], [0.2, 0.2, 0.2]], [[0, 1, 2]])
    with pytest.raises(MeshError, match="must have a face with an area, got 1 without"):
        mesh_signals(line, Fibonacci(20).points)


def test_mesh_that_is_not_finite_is_rejected():
    mesh = make([[0, 0, 0], [np.nan, 0.1, 0.1], [0, 0.2, 0.2]], [[0, 1, 2]])
    with pytest.raises(MeshError, match="mesh must have finite vertices"):
        mesh_signals(mesh, Fibonacci(20).points)


def test_points_off_the_sphere_are_rejected():
    for points in (2 * Fibonacci(20).points, np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match=r"unit vectors of shape \(vertices, 3\), got shape"):
            mesh_signals(lumpy(), points)


@pytest.mark.parametrize("matrix", [2 * np.eye(3), -np.eye(3), np.ones((3, 3))])
def test_matrix_that_is_no_rotation_is_rejected(matrix):
    with pytest.raises(ValueError, match="must be an orthogonal 3 x 3 matrix of determinant 1"):
        check_rotation(matrix)
    with pytest.raises(ValueError, match="rotation must be"):
        mesh_signals(lumpy(), Fibonacci(20).points, rotation=matrix)


@pytest.mark.usefixtures("unchecked")
def test_unknown_choice_is_rejected():
    with pytest.raises(ValueError, match="missing must be one of zero, far, got 'nan'"):
        mesh_signals(lumpy(), Fibonacci(20).points, missing="nan")
    with pytest.raises(ValueError, match="must be one of none, translation, z, so3, got 'xyz'"):
        check_perturbation("xyz", max_translation=0.1, seed=0)


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(ImportError, match=r"embreex.*pip install 'deepsphere-torch\[shapes\]'"):
        embree_scene(np.zeros((1, 3, 3)))


def test_poses_are_drawn_from_the_distributions_that_are_named():
    scene = MeshScene(scale_mesh(lumpy()))
    num = 400
    poses = [
        draw_pose(scene, identity="mesh", perturbation="so3", seed=0, view=view)
        for view in range(num)
    ]
    lengths = np.array([np.linalg.norm(pose.translation) for pose in poses])
    assert lengths.max() <= 0.1
    # five standard errors of the mean of each variable
    assert abs(lengths.mean() - 0.05) < 5 * 0.1 / np.sqrt(12 * num)
    directions = np.array([pose.translation / np.linalg.norm(pose.translation) for pose in poses])
    rotations = np.array([pose.rotation for pose in poses])
    assert np.abs(directions.mean(axis=0)).max() < 5 / np.sqrt(3 * num)
    assert np.abs(rotations.mean(axis=0)).max() < 5 / np.sqrt(3 * num)
    for pose in poses[:5]:
        moved = pose.scale * np.linalg.norm(scene._vertices + pose.translation, axis=1).max()
        assert np.isclose(moved, 0.99)


def test_perturbations_share_what_they_have_in_common():
    scene = MeshScene(scale_mesh(lumpy()))

    def draw(perturbation, **options):
        options = {"identity": "mesh", "seed": 4, "view": 2, **options}
        return draw_pose(scene, perturbation=perturbation, **options)

    shift, about_z, free = draw("translation"), draw("z"), draw("so3")
    assert np.array_equal(shift.translation, free.translation)
    assert np.array_equal(shift.translation, about_z.translation)
    assert np.array_equal(shift.rotation, np.eye(3))
    assert np.allclose(about_z.rotation @ [0, 0, 1], [0, 0, 1])
    assert not np.allclose(about_z.rotation, np.eye(3))
    assert np.allclose(free.rotation @ free.rotation.T, np.eye(3))
    for other in (draw("so3", view=3), draw("so3", seed=5), draw("so3", identity="other")):
        assert not np.allclose(free.rotation, other.rotation)
    assert not draw("so3", max_translation=0).translation.any()
    none = draw("none")
    assert not none.translation.any()
    assert np.array_equal(none.rotation, np.eye(3))
    assert np.isclose(none.scale, scene.fitting_scale(np.zeros(3)))


def test_numbers_out_of_range_are_rejected():
    with pytest.raises(ValueError, match=r"max_translation must be in \[0, 1\)"):
        check_perturbation("so3", max_translation=1.0, seed=0)
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        check_perturbation("so3", max_translation=0.1, seed=-1)


def test_rotated_mesh_gives_the_same_signals_up_to_the_sampling():
    """Files of a mesh in two orientations, through all steps."""
    (rotation,) = random_rotations(1, seed=5)
    mesh = lumpy().apply_translation([1, 2, 3])
    points = Healpix(nside=8).points
    upright = MeshScene(normalize_mesh(mesh))
    tilted = MeshScene(normalize_mesh(turned(mesh, rotation)))
    expected = upright.look(points, Pose(rotation, np.zeros(3), 0.99)).values
    found = tilted.look(points, Pose(np.eye(3), np.zeros(3), 0.99)).values
    assert np.abs(found - expected)[:, 0].max() < EMBREE_ROUNDING
    assert (np.abs(found - expected) < EMBREE_ROUNDING).mean() > 0.999
