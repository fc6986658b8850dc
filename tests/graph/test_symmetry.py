"""Permutations of vertices form a group of isometries of the sampling."""

import numpy as np
import pytest

from deepsphere.graph import symmetry
from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Sampling,
    Scattered,
)

# distances after a permutation, of points of size one
ROUNDING = 1e-9

GROUPS = [
    (Healpix(nside=1), 16),
    (Healpix(nside=4), 16),
    (Healpix(nside=4, ordering="ring"), 16),
    (Icosahedral(1), 120),
    (Icosahedral(2), 120),
    (CubedSphere(1), 48),
    (CubedSphere(3), 48),
    (CubedSphere(4), 48),
    (Equiangular(nlat=5), 40),
    (Equiangular(nlat=4, nlon=7), 28),
    (Equiangular(nlat=6, poles=2), 48),
    (Equiangular(nlat=4, poles=1), 16),
    (Equiangular(nlat=4, poles="south"), 16),
    (GaussLegendre(nlat=5), 40),
    (GaussLegendre(nlat=5, nlon=9), 36),
    (GaussLegendre(nlat=4, nlon="octahedral"), 16),
]


@pytest.fixture(params=GROUPS, ids=lambda pair: repr(pair[0]))
def group(request: pytest.FixtureRequest) -> tuple[Sampling, np.ndarray, int]:
    sampling, number = request.param
    return sampling, vertex_permutations(sampling), number


def test_group_has_all_the_symmetries_named(group):
    sampling, permutations, number = group
    assert permutations.shape == (number, sampling.num_vertices)
    assert permutations.dtype == np.int32
    assert np.array_equal(permutations[0], np.arange(sampling.num_vertices))


def test_elements_are_permutations_that_keep_distances_and_areas(group):
    sampling, permutations, _ = group
    products = sampling.points @ sampling.points.T
    for element in permutations:
        assert np.array_equal(np.sort(element), np.arange(sampling.num_vertices))
        assert np.abs(products[element][:, element] - products).max() < ROUNDING
        np.testing.assert_allclose(sampling.areas[element], sampling.areas, rtol=1e-7)


def test_group_is_closed_and_holds_inverses(group):
    permutations = group[1]
    known = {element.tobytes() for element in permutations}
    for element in permutations:
        assert np.argsort(element).astype(np.int32).tobytes() in known
        assert {element[other].tobytes() for other in permutations} <= known


def test_elements_are_distinct_on_samplings_with_enough_vertices(group):
    sampling, permutations, number = group
    if sampling.num_vertices > 12:
        assert len(np.unique(permutations, axis=0)) == number


@pytest.mark.parametrize(
    "sampling",
    [
        Fibonacci(20),
        RandomUniform(20),
        RandomUniform(1),
        Scattered([0, 90, 180, 270], [0, 0, 0, 0]),
        Healpix(nside=2).subset(np.arange(7)),
    ],
    ids=repr,
)
def test_other_samplings_have_the_identity_alone(sampling):
    assert np.array_equal(vertex_permutations(sampling), [np.arange(sampling.num_vertices)])


@pytest.mark.parametrize(
    ("limit", "number"), [(80, 80), (79, 40), (20, 20), (19, 16), (8, 8), (4, 4), (3, 1)]
)
def test_groups_of_large_grids_are_cut_to_subgroups_that_fit(monkeypatch, limit, number):
    sampling = Equiangular(nlat=10)
    monkeypatch.setattr(symmetry, "_MAX_ENTRIES", limit * sampling.num_vertices)
    permutations = vertex_permutations(sampling)
    assert len(permutations) == number
    known = {element.tobytes() for element in permutations}
    for element in permutations:
        assert {element[other].tobytes() for other in permutations} <= known


def test_groups_that_do_not_fit_are_left_out(monkeypatch):
    monkeypatch.setattr(symmetry, "_MAX_ENTRIES", 15 * 48)
    assert len(vertex_permutations(Healpix(nside=2))) == 1


def test_points_that_lack_a_symmetry_get_the_identity(monkeypatch):
    """A matrix that takes some vertex to no vertex is never used."""
    tilt = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    monkeypatch.setattr(symmetry, "_generators", lambda *_: [tilt])
    assert len(vertex_permutations(Healpix(nside=2))) == 1
    assert len(vertex_permutations(CubedSphere(2))) == 4
