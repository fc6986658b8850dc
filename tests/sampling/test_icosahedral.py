from pathlib import Path

import numpy as np
import pytest

from deepsphere.geometry import triangle_areas
from deepsphere.sampling import Icosahedral
from deepsphere.sampling.icosahedral import icosahedral_mesh

ORACLE = np.load(Path(__file__).parent.parent / "data" / "icosphere_oracle.npz")


def test_vertices_and_faces_are_in_the_order_of_ugscnn():
    mesh = icosahedral_mesh(3)
    np.testing.assert_allclose(mesh.vertices, ORACLE["vertices"], atol=1e-14)
    np.testing.assert_array_equal(mesh.faces, ORACLE["faces"])


def test_coarse_vertices_are_the_first_of_the_fine():
    fine, coarse = Icosahedral(8).points, Icosahedral(4).points
    assert (fine[: len(coarse)] == coarse).all()


def test_new_vertices_are_middles_of_their_parents():
    vertices, _, parents = icosahedral_mesh(2)
    middles = vertices[parents].sum(axis=1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    np.testing.assert_allclose(vertices[42:], middles, atol=1e-15)


def test_children_of_a_face_tile_it():
    vertices, faces, _ = icosahedral_mesh(3)
    _, coarse, _ = icosahedral_mesh(2)

    def areas(faces):
        return triangle_areas(*(vertices[faces[:, corner]] for corner in range(3)))

    np.testing.assert_allclose(areas(faces).reshape(-1, 4).sum(axis=1), areas(coarse), rtol=1e-13)
    # the corner children keep their corner, and the middle one touches the three
    np.testing.assert_array_equal(faces[0::4, 0], coarse[:, 0])
    np.testing.assert_array_equal(faces[1::4, 1], coarse[:, 1])
    np.testing.assert_array_equal(faces[2::4, 2], coarse[:, 2])
    assert (areas(faces) > 0).all()


def test_vertex_eleven_is_the_north_pole():
    np.testing.assert_allclose(Icosahedral(2).points[11], [0, 0, 1], atol=1e-15)


def test_icosahedron_has_equal_distances():
    cosines = np.sort(Icosahedral(1).points @ Icosahedral(1).points.T, axis=1)
    np.testing.assert_allclose(cosines[:, 6:11], 1 / np.sqrt(5), atol=1e-15)


@pytest.mark.parametrize("subdivisions", [1, 2, 8])
def test_number_of_vertices(subdivisions):
    assert len(Icosahedral(subdivisions).points) == 10 * subdivisions**2 + 2
    assert len(Icosahedral(subdivisions, dual=True).points) == 20 * subdivisions**2


def test_dual_points_lie_in_their_faces():
    points, (vertices, faces, _) = Icosahedral(4, dual=True).points, icosahedral_mesh(2)
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    for first, second in ((a, b), (b, c), (c, a)):
        assert (np.sum(points * np.cross(first, second), axis=1) > 0).all()


def test_membership_of_the_vertices():
    membership = Icosahedral(2).membership().toarray()
    np.testing.assert_array_equal(membership[:, :12], np.eye(12))
    assert (np.sort(membership[:, 12:], axis=0)[-2:] == 0.5).all()
    # a vertex of the icosahedron has five edges
    np.testing.assert_array_equal(membership.sum(axis=1), np.full(12, 1 + 5 / 2))


def test_membership_of_the_dual_keeps_areas():
    sampling = Icosahedral(4, dual=True)
    areas = sampling.membership() @ sampling.areas
    np.testing.assert_allclose(areas, sampling.coarsen().areas, rtol=1e-12)


def test_level_is_a_synonym():
    assert Icosahedral(level=3) == Icosahedral(8)
    assert Icosahedral(8).level == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "must be given exactly once.*got subdivisions=None, level=None"),
        ({"subdivisions": 2, "level": 1}, "must be given exactly once.*subdivisions=2, level=1"),
        ({"subdivisions": 0}, "subdivisions must be between 1 and 1024, got 0"),
        ({"subdivisions": 6}, "subdivisions must be a power of two, got 6; use subdivisions=4"),
        ({"level": 11}, "level must be between 0 and 10, got 11"),
    ],
)
def test_invalid_sizes_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Icosahedral(**arguments)


def test_dual_that_is_no_truth_value_is_rejected(born_unchecked):
    with pytest.raises(ValueError, match="dual must be True or False, got 'yes'"):
        born_unchecked(Icosahedral, 2, dual="yes")


def test_icosahedron_is_not_coarsened():
    with pytest.raises(ValueError, match="must be at least 2 to be coarsened, got 1"):
        Icosahedral(1).coarsen()


def test_repr_is_the_constructor():
    assert repr(Icosahedral(4)) == "Icosahedral(subdivisions=4, dual=False)"
