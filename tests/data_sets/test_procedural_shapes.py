"""Procedural solids: closed, oriented, of the right topology and volume, and reproducible."""

import pickle

import numpy as np
import pytest

from deepsphere.data.procedural_shapes import (
    FAMILIES,
    ProceduralSource,
    _cells,
    _revolve,
    _tube,
    make_procedural_shapes,
)

EULER = dict.fromkeys(FAMILIES, 2) | {"torus": 0}


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Sum of the signed volumes of the tetrahedra from the origin to each face."""
    return float(np.linalg.det(vertices[faces]).sum() / 6)


def directed_edges(faces: np.ndarray) -> list[tuple[int, int]]:
    return [(int(face[i]), int(face[(i + 1) % 3])) for face in faces for i in range(3)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("index", range(4))
def test_solid_is_closed_oriented_outward_and_of_its_topology(family: str, index: int) -> None:
    vertices, faces = ProceduralSource(family, seed=0, index=index).solid()
    edges = directed_edges(faces)
    assert len(set(edges)) == len(edges)  # once in each direction
    assert set(edges) == {(b, a) for a, b in edges}
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    assert len(vertices) - len(edges) // 2 + len(faces) == EULER[family]
    assert len(np.unique(vertices.round(12), axis=0)) == len(vertices)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(normals, axis=1).min() > 1e-8
    volume = signed_volume(vertices, faces)
    assert 0 < volume < np.ptp(vertices, axis=0).prod()
    # the volume of a closed surface does not depend on the origin
    assert signed_volume(vertices + np.array([3, -2, 5]), faces) == pytest.approx(volume)


def test_primitives_have_their_volumes() -> None:
    angle = np.pi / 32  # of half a side of the polygons in place of circles
    polygon = np.sin(2 * angle) / (2 * angle)  # their area, as a share of that of the circle
    cylinder = signed_volume(*_revolve([0, 0.5, 0.5, 0], [0, 0, 2, 2]))
    assert cylinder == pytest.approx(np.pi * 0.25 * 2 * polygon)
    cup = signed_volume(*_revolve([0, 0.5, 0.5, 0.4, 0.4, 0], [0, 0, 2, 2, 0.1, 0.1]))
    assert cup == pytest.approx(cylinder - np.pi * 0.16 * 1.9 * polygon)
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    torus = signed_volume(*_tube(circle, 0.3, num_around=400, is_loop=True))
    assert torus == pytest.approx(2 * np.pi**2 * 0.3**2, rel=1e-3)  # Pappus


@pytest.mark.parametrize("seed", range(5))
def test_union_of_cells_has_their_volume_and_closed_surface(seed: int) -> None:
    random = np.random.default_rng(seed)
    is_solid = random.random((3, 4, 2)) < 0.6
    edges = [np.cumsum(random.uniform(0.1, 1, size + 1)).tolist() for size in is_solid.shape]
    sides = [np.diff(edge) for edge in edges]
    expected = np.einsum("i,j,k,ijk->", *sides, is_solid.astype(float))
    vertices, faces = _cells(is_solid, *edges)
    assert signed_volume(vertices, faces) == pytest.approx(expected)
    directions = directed_edges(faces)
    assert sorted(directions) == sorted((b, a) for a, b in directions)


def test_solids_are_functions_of_family_seed_and_index() -> None:
    reference = make_procedural_shapes(num_per_class=3, seed=5)
    few = make_procedural_shapes(num_per_class=2, seed=5)
    digests = {shape.name: shape.digest() for shape in reference.shapes}
    assert len(set(digests.values())) == len(reference)
    assert all(shape.digest() == digests[shape.name] for shape in few.shapes)
    other = make_procedural_shapes(num_per_class=1, seed=6)
    assert not {shape.digest() for shape in other.shapes} & set(digests.values())


def test_set_is_ordered_by_class_and_small() -> None:
    shapes = make_procedural_shapes(num_per_class=50)
    assert len(shapes.classes) == 12
    assert shapes.class_counts.tolist() == [50] * 12
    assert (np.diff(shapes.labels) >= 0).all()
    assert len(pickle.dumps(shapes)) < 100 * len(shapes)


def test_families_differ_and_members_vary() -> None:
    # Moments that neither a shift nor a rotation nor a scale changes: the nearest solid in these
    # few numbers is of the same family for most, but not for all of them.
    features, labels = [], []
    for shape in make_procedural_shapes(num_per_class=20, seed=1).shapes:
        mesh = shape.source.solid()  # pyright: ignore[reportAttributeAccessIssue]
        corners = mesh[0][mesh[1]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
        areas = np.linalg.norm(normals, axis=1)
        center = (areas[:, None] * corners.mean(axis=1)).sum(axis=0) / areas.sum()
        distance = np.linalg.norm(corners.mean(axis=1) - center, axis=1)
        distance = distance / np.sqrt((areas * distance**2).sum() / areas.sum())
        moments = [(areas * distance**p).sum() / areas.sum() for p in (-1, 1, 4)]
        compact = signed_volume(*mesh) / areas.sum() ** 1.5
        features.append([*moments, 20 * compact])
        labels.append(shape.label)
    table = np.array(features)
    squared = ((table[:, None] - table[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(squared, np.inf)
    share = (np.array(labels)[squared.argmin(axis=1)] == labels).mean()
    assert 3 / 12 < share < 1


def test_wrong_arguments_are_rejected() -> None:
    with pytest.raises(ValueError, match="num_per_class must be 1 or more, got 0"):
        make_procedural_shapes(num_per_class=0)
    with pytest.raises(ValueError, match="seed and index must be 0 or more, got seed=-1"):
        make_procedural_shapes(num_per_class=1, seed=-1)
    with pytest.raises(ValueError, match=r"family must be one of box, .*got 'teapot'"):
        ProceduralSource("teapot", seed=0, index=0)
