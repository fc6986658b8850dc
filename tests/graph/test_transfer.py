"""Transfer between any two samplings."""

import itertools

import jaxtyping
import numpy as np
import pytest

from deepsphere.graph import notice
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
def test_conservative_keeps_the_global_mean(source, target):
    matrix = transfer_matrix(source, target, "conservative")
    np.testing.assert_allclose(target.areas @ matrix, source.areas, rtol=1e-12)


def test_conservative_weights_are_shares_of_the_target_cell():
    source, target = Equiangular(nlat=4, nlon=5), Fibonacci(20)
    shares = overlap_areas(source, target).toarray() / target.areas[:, None]
    matrix = transfer_matrix(source, target, "conservative")
    np.testing.assert_allclose(matrix.toarray(), shares, atol=1e-14)


@pytest.mark.parametrize("method", TRANSFERS)
def test_subset_takes_the_part_that_it_reaches(method):
    base, target = Healpix(nside=4), Fibonacci(60)
    keep = np.flatnonzero(base.points[:, 2] > 0.1)
    whole = transfer_matrix(base, target, method).toarray()[:, keep]
    matrix = transfer_matrix(base.subset(keep), target, method).toarray()
    reached = whole.sum(axis=1)
    inside = reached > 0
    np.testing.assert_allclose(matrix[inside], whole[inside] / reached[inside, None], atol=1e-12)
    np.testing.assert_array_equal(matrix[~inside], 0)
    assert 0 < inside.sum() < 60


def test_conservative_keeps_the_mean_over_the_common_part():
    source = Healpix(nside=4).subset(np.arange(70))
    target = Fibonacci(80).subset(np.arange(5, 60))
    common = overlap_areas(source, target)
    field = np.random.default_rng(0).standard_normal(70)
    moved = transfer_matrix(source, target, "conservative") @ field
    by_target, by_source = (np.asarray(common.sum(axis=axis)).ravel() for axis in (1, 0))
    assert by_target @ moved == pytest.approx(by_source @ field, abs=1e-12)


@pytest.mark.parametrize("method", TRANSFERS)
def test_transfer_to_a_subset_is_its_rows(method):
    source, base = Fibonacci(60), Healpix(nside=4)
    keep = np.array([3, 100, 7])
    whole = transfer_matrix(source, base, method).toarray()
    part = transfer_matrix(source, base.subset(keep), method).toarray()
    np.testing.assert_allclose(part, whole[keep], atol=1e-15)


def test_conservative_round_trip_of_a_smooth_field_converges():
    """To first order: halving the cells halves the error."""
    errors = []
    for size in (8, 16, 32):
        source, target = Equiangular(size, 2 * size), Healpix(nside=size // 2)
        field = source.points[:, 0] * source.points[:, 1] + source.points[:, 2]
        forth = transfer_matrix(source, target, "conservative")
        back = transfer_matrix(target, source, "conservative")
        errors.append(
            np.sqrt(np.average((back @ (forth @ field) - field) ** 2, weights=source.areas))
        )
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]


def test_overlaps_of_large_samplings_are_kept_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path))
    source, target = Equiangular(20, 110), Healpix(nside=2)
    first = transfer_matrix(source, target, "conservative")
    (kept,) = tmp_path.glob("overlap-*.npz")
    before = kept.stat().st_mtime_ns
    second = transfer_matrix(source, target, "conservative")
    assert kept.stat().st_mtime_ns == before
    assert (first != second).nnz == 0
    transfer_matrix(target, source, "conservative")
    assert len(list(tmp_path.iterdir())) == 2


def test_long_overlaps_are_announced(caplog, monkeypatch):
    monkeypatch.setattr(notice, "PATIENCE", 0.0)
    transfer_matrix(Fibonacci(33), Healpix(nside=1), "conservative")
    (record,) = caplog.records
    message = record.getMessage()
    assert "overlaps of the cells of Fibonacci(num_vertices=33) and Healpix(nside=1" in message
    assert "method='barycentric' needs no solving" in message


def test_unknown_method_is_rejected(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="one of nearest, barycentric, conservative, got 'cubic'"):
        transfer_matrix(Healpix(nside=1), Healpix(nside=1), "cubic")


@pytest.mark.parametrize("method", ["barycentric", "conservative"])
def test_three_points_are_rejected(method):
    source = Scattered(np.array([0.0, 90.0, 180.0]), np.array([0.0, 10.0, 20.0]))
    with pytest.raises(ValueError, match="at least 4 points"):
        transfer_matrix(source, Healpix(nside=1), method)
