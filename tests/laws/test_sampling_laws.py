"""What holds for every sampling. A new one is added to EXAMPLES, in several sizes and options."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepsphere.sampling import (
    SAMPLINGS,
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Rectilinear,
    Sampling,
    Scattered,
    Subset,
    sampling_from_spec,
)


def stations(num: int) -> Scattered:
    """Points of one hemisphere, unevenly."""
    rng = np.random.default_rng(num)
    return Scattered(rng.uniform(-120, 40, num), rng.normal(45, 10, num))


EXAMPLES: dict[str, list[Sampling]] = {
    "cubed_sphere": [
        CubedSphere(1),
        CubedSphere(6),
        CubedSphere(16, "equidistant"),
        CubedSphere(7, "equidistant"),
    ],
    "equiangular": [
        Equiangular(1),
        Equiangular(16),
        Equiangular(9, 10),
        Equiangular(12, 24, 1),
        Equiangular(2, 7, 1),
        Equiangular(13, 24, 2),
        Equiangular(10, 11, 2),
        Equiangular.driscoll_healy(6, poles=1),
        Equiangular.soft(8),
        Equiangular.clenshaw_curtis(8),
        Equiangular.mcewen_wiaux(8),
    ],
    "fibonacci": [Fibonacci(1), Fibonacci(3), Fibonacci(17), Fibonacci(1000)],
    "gauss_legendre": [
        GaussLegendre(1),
        GaussLegendre(8),
        GaussLegendre(9, 12),
        GaussLegendre(2, "octahedral"),
        GaussLegendre(16, "octahedral"),
    ],
    "healpix": [
        Healpix(1),
        Healpix(8),
        Healpix(4, ordering="ring"),
        Healpix(5, ordering="ring"),
    ],
    "icosahedral": [
        Icosahedral(1),
        Icosahedral(8),
        Icosahedral(1, dual=True),
        Icosahedral(4, dual=True),
    ],
    "random_uniform": [RandomUniform(1), RandomUniform(5, seed=2), RandomUniform(500, seed=1)],
    "rectilinear": [
        Rectilinear([10], [0, 100, 250]),
        Rectilinear([-90, -50, -20, 2, 30, 60, 80], [180, 150, 100, 40, 10, -20, -40, -100]),
        Rectilinear(np.arange(82.5, -90, -15), np.arange(7.5, 360, 15)),
        Rectilinear(np.arange(-90, 91, 9), np.arange(-180, 180, 10)),
    ],
    "scattered": [
        Scattered([3.0], [4.0]),
        Scattered([0, 120, 240], [0, 0, 0]),
        Scattered([0, 90, 180, -90, 0, 0], [0, 0, 0, 0, 90, -90]),
        stations(16),
        stations(200),
    ],
    "subset": [
        Healpix(8).subset(Healpix(8).lat > 0.4),
        Healpix(4, ordering="ring").subset(np.arange(30, 77)),
        Icosahedral(4).subset(np.array([100, 3, 5, 42])),
        Equiangular(8, 16, 2).subset(np.arange(40)),
        stations(64).subset(np.arange(0, 64, 3)),
    ],
}

ALL = [sampling for examples in EXAMPLES.values() for sampling in examples]
WHOLE = [sampling for sampling in ALL if not isinstance(sampling, Subset)]

AREA_TOLERANCE = 1e-10


def has_coarser(sampling: Sampling) -> bool:
    try:
        sampling.coarsen()
    except ValueError:
        return False
    return True


COARSENABLE = [sampling for sampling in ALL if has_coarser(sampling)]


def every(samplings: list[Sampling]):
    return pytest.mark.parametrize("sampling", samplings, ids=repr)


def test_every_registered_sampling_has_examples():
    assert set(EXAMPLES) == set(SAMPLINGS)
    for kind, examples in EXAMPLES.items():
        assert SAMPLINGS[kind].kind == kind
        assert all(type(sampling) is SAMPLINGS[kind] for sampling in examples)


def test_every_kind_has_a_coarser_level():
    assert {sampling.kind for sampling in COARSENABLE} == set(SAMPLINGS)


@every(ALL)
def test_points_are_unit_vectors(sampling):
    assert sampling.points.shape == (sampling.num_vertices, 3)
    assert sampling.points.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(sampling.points, axis=1), 1, atol=1e-14)


@every(ALL)
def test_points_are_distinct(sampling):
    assert len(KDTree(sampling.points).query_pairs(1e-9)) == 0


@every(ALL)
def test_angles_are_those_of_the_points(sampling):
    lon, lat = sampling.lon, sampling.lat
    assert ((lon >= 0) & (lon < 2 * np.pi)).all()
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    np.testing.assert_allclose(points, sampling.points, atol=1e-15)


@every(WHOLE)
def test_areas_sum_to_four_pi(sampling):
    assert sampling.areas.shape == (sampling.num_vertices,)
    assert sampling.areas.dtype == np.float64
    assert (sampling.areas > 0).all()
    assert abs(sampling.areas.sum() - 4 * np.pi) < AREA_TOLERANCE


@every([sampling for sampling in WHOLE if sampling.num_vertices > 500])
def test_areas_integrate_low_degrees(sampling):
    # the mean of x is 0 and that of x x' is the identity over 3; a cell has a width of √(4π/n)
    weights = sampling.areas / (4 * np.pi)
    error = 8 / sampling.num_vertices if sampling.kind != "random_uniform" else 0.05
    np.testing.assert_allclose(weights @ sampling.points, 0, atol=error)
    second = sampling.points.T @ (weights[:, None] * sampling.points)
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=error)


@every([sampling for sampling in WHOLE if sampling.quasi_uniform and sampling.num_vertices > 100])
def test_quasi_uniform_samplings_have_similar_cells(sampling):
    # 5.2 is the ratio of the equidistant cubed sphere, (1 + 1 + 1)^(3/2)
    assert sampling.areas.max() < 5.2 * sampling.areas.min()
    nearest = KDTree(sampling.points).query(sampling.points, k=2)[0][:, 1]
    assert nearest.max() < 3 * nearest.min()


def test_quasi_uniform_kinds():
    kinds = {kind for kind, sampling in SAMPLINGS.items() if sampling.quasi_uniform}
    assert kinds == {"healpix", "icosahedral", "cubed_sphere", "fibonacci"}


@every(ALL)
def test_arrays_are_read_only(sampling):
    for array in (sampling.points, sampling.areas):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


@every(ALL)
def test_samplings_are_frozen(sampling):
    with pytest.raises(AttributeError):
        sampling.num_vertices = 5


@every(ALL)
def test_spec_round_trip(sampling):
    assert sampling.spec.isprintable()
    assert sampling.spec.startswith(f"{sampling.kind}:")
    copy = sampling_from_spec(sampling.spec)
    assert type(copy) is type(sampling)
    assert copy == sampling
    assert hash(copy) == hash(sampling)
    assert copy.spec == sampling.spec
    # computed anew, not taken from the cache of its equal
    assert copy._compute_points().tobytes() == sampling.points.tobytes()
    assert copy._compute_areas().tobytes() == sampling.areas.tobytes()


@every(ALL)
def test_samplings_survive_pickling(sampling):
    copy = pickle.loads(pickle.dumps(sampling))
    assert copy == sampling
    assert hash(copy) == hash(sampling)


def test_different_samplings_are_not_equal():
    for one, other in pairwise(ALL):
        assert one != other
    assert len(set(ALL)) == len(ALL)
    assert Healpix(4) != "healpix:nside=4,ordering=nested"


@every(ALL)
def test_repr_is_short_and_names_the_sampling(sampling):
    assert repr(sampling).startswith(f"{type(sampling).__name__}(")
    assert len(repr(sampling)) < 100


@every([sampling for sampling in COARSENABLE if not isinstance(sampling, Subset)])
def test_coarser_level_has_about_a_quarter_of_the_vertices(sampling):
    coarse = sampling.coarsen()
    assert coarse.num_vertices < sampling.num_vertices
    if sampling.num_vertices > 100:
        assert 0.15 < coarse.num_vertices / sampling.num_vertices < 0.4


@every(COARSENABLE)
def test_membership_shares_every_vertex_among_coarse_ones(sampling):
    membership = sampling.membership()
    assert membership.shape == (sampling.coarsen().num_vertices, sampling.num_vertices)
    assert membership.format == "csr"
    assert membership.dtype == np.float64
    assert (membership.data > 0).all()
    np.testing.assert_allclose(membership.sum(axis=0), 1, rtol=1e-14)
    assert (np.diff(membership.indptr) > 0).all()
    assert membership.has_canonical_format


@every([sampling for sampling in COARSENABLE if sampling.num_vertices > 100])
def test_members_are_near_their_coarse_vertex(sampling):
    membership, coarse = sampling.membership().tocoo(), sampling.coarsen()
    to_owner = np.linalg.norm(
        coarse.points[membership.row] - sampling.points[membership.col], axis=1
    )
    to_nearest, _ = KDTree(coarse.points).query(sampling.points[membership.col])
    # no farther than the nearest coarse vertex by more than the width of a coarse cell, which on a
    # grid is the step along its longest circle
    width = np.sqrt(sampling.coarsen().areas.max()) * 1.5
    assert (to_owner < to_nearest + width).all()


@every([sampling for sampling in ALL if not has_coarser(sampling)])
def test_coarsening_is_refused_with_a_reason(sampling):
    with pytest.raises(ValueError, match=r"must .*coarsened, got .*; "):
        sampling.coarsen()
    with pytest.raises(ValueError, match=r"must .*coarsened, got .*; "):
        sampling.membership()


@every(COARSENABLE)
def test_levels_end(sampling):
    for _ in range(12):
        if not has_coarser(sampling):
            break
        sampling = sampling.coarsen()
        assert abs(sampling.areas.sum()) <= 4 * np.pi + AREA_TOLERANCE
    assert sampling.num_vertices <= 60


@every(ALL)
def test_subset_keeps_points_and_areas(sampling):
    kept = np.arange(0, sampling.num_vertices, 2)
    subset = sampling.subset(kept)
    np.testing.assert_array_equal(subset.points, sampling.points[kept])
    np.testing.assert_array_equal(subset.areas, sampling.areas[kept])
    mask = np.zeros(sampling.num_vertices, bool)
    mask[kept] = True
    assert sampling.subset(mask) == subset
    assert subset.num_vertices == len(kept)


@every(COARSENABLE)
def test_subset_has_the_levels_of_the_whole(sampling):
    kept = np.arange(sampling.num_vertices // 3, sampling.num_vertices)
    subset = sampling.subset(kept)
    membership = subset.membership()
    columns = sampling.membership()[:, kept]
    if isinstance(sampling, Subset):
        assert subset.base == sampling.base
    else:
        assert subset.coarsen().base == sampling.coarsen()
        assert (columns[subset.coarsen().indices] != membership).nnz == 0
    np.testing.assert_allclose(membership.sum(axis=0), 1, rtol=1e-14)
    assert (np.diff(membership.indptr) > 0).all()
