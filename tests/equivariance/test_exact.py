"""The exact rotation error against Monte-Carlo, closed forms and invariances."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix, identity
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from deepsphere.equivariance import equivariance_error
from deepsphere.equivariance.exact import default_max_degree
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.graph.zonal import symbol_and_gain
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import (
    Equiangular,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
)

# rounding of E, which is a difference of numbers of size 2, and of its square root
ROUNDING = 1e-13
ROUNDING_OF_ROOT = np.sqrt(ROUNDING)


def graph(nside: int = 4) -> SphereGraph:
    return build_graph(Healpix(nside=nside), weights="gaussian", num_neighbors=8)


# products of harmonics up to degree 7 are integrated exactly
GRID = GaussLegendre(nlat=8)
HARMONICS = real_harmonics(GRID.points, 7)
ANALYSIS = (HARMONICS * GRID.areas[:, None]).T


def degree_block(degree: int) -> slice:
    return slice(degree**2, (degree + 1) ** 2)


# --- what it is ---


def test_error_is_that_of_random_rotations_of_random_signals():
    """Mean of ‖R A f - A R f‖² over that of ‖A f‖², R by evaluation at rotated points.

    A is a graph Laplacian followed by the projection on degrees up to 7, on a grid that integrates
    their products exactly: both rotations are exact.
    """
    laplacian = build_graph(GRID, weights="gaussian", num_neighbors=8).laplacian
    operator = HARMONICS @ ANALYSIS @ laplacian.toarray()
    degrees = [1, 2, 4, 6]
    exact = equivariance_error(operator, GRID, degrees, squared=True)
    rng, share = np.random.default_rng(1994), GRID.areas / GRID.areas.sum()
    num_rotations, num_signals = 400, 4
    for degree, expected in zip(degrees, exact, strict=True):
        differences, norms = np.empty((2, num_rotations))
        for draw in range(num_rotations):
            turn = Rotation.random(random_state=rng).as_matrix()
            coefficients = np.zeros((64, num_signals))
            coefficients[degree_block(degree)] = rng.standard_normal((2 * degree + 1, num_signals))
            turned_back = real_harmonics(GRID.points @ turn, 7)  # (R f)(x) = f(R⁻¹ x)
            image = ANALYSIS @ (operator @ (HARMONICS @ coefficients))
            difference = turned_back @ image - operator @ (turned_back @ coefficients)
            differences[draw] = (share @ difference**2).sum()
            norms[draw] = (share @ (HARMONICS @ image) ** 2).sum()
        ratio = differences.mean() / norms.mean()
        deviation = (differences - ratio * norms).std() / norms.mean() / np.sqrt(num_rotations)
        assert deviation < 0.1 * ratio  # the comparison would see an error of a third
        assert abs(ratio - expected) < 4 * deviation


def test_error_is_twice_the_least_relative_distance_to_a_multiple_of_the_identity():
    laplacian = graph().laplacian
    harmonics = real_harmonics(graph().sampling.points, 5)
    for degree, expected in zip((2, 5), equivariance_error(graph(), None, [2, 5]), strict=True):
        signals = harmonics[:, degree_block(degree)]
        images = laplacian @ signals
        # HEALPix pixels have equal areas; at low degrees their squares integrate to 1 within 1 %
        multiple = (images * signals).sum() / (signals**2).sum()
        distance = ((images - multiple * signals) ** 2).sum() / (images**2).sum()
        assert expected == pytest.approx(np.sqrt(2 * distance), rel=1e-3)


@pytest.mark.parametrize("degree", [0, 1, 5])
def test_error_of_a_number_for_each_degree_is_zero(degree):
    number = np.repeat(np.random.default_rng(0).uniform(1, 3, 8), 2 * np.arange(8) + 1)
    operator = HARMONICS @ (number[:, None] * ANALYSIS)
    assert equivariance_error(operator, GRID, degree)[0] < ROUNDING_OF_ROOT


def test_error_of_a_map_between_degrees_is_the_square_root_of_two():
    block = np.zeros((64, 64))
    block[degree_block(3), degree_block(2)] = np.random.default_rng(0).standard_normal((7, 5))
    operator = HARMONICS @ block @ ANALYSIS
    assert equivariance_error(operator, GRID, 2)[0] == pytest.approx(np.sqrt(2), rel=1e-12)
    assert equivariance_error(operator, GRID, 2, squared=True)[0] == pytest.approx(2, rel=1e-12)


def test_error_of_order_by_order_multiples_is_that_of_their_spread():
    """On one degree A Y_m = a_m Y_m: E = 2 (1 - mean(a)² / mean(a²))."""
    values = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    block = np.zeros(64)
    block[degree_block(2)] = values
    operator = HARMONICS @ (block[:, None] * ANALYSIS)
    expected = 2 * (1 - values.mean() ** 2 / (values**2).mean())
    assert equivariance_error(operator, GRID, 2, squared=True)[0] == pytest.approx(expected)


def test_error_of_the_identity_is_zero_at_every_degree_and_sampling():
    for sampling in (Healpix(nside=2), RandomUniform(40), Equiangular(nlat=5, poles=2)):
        operator = 7 * identity(sampling.num_vertices, format="csr")
        assert equivariance_error(operator, sampling).max() < ROUNDING_OF_ROOT


def test_degrees_that_the_operator_takes_to_zero_have_no_error():
    errors = equivariance_error(graph(), degrees=[0, 1, 3])
    assert np.isnan(errors[0])
    assert (errors[1:] > 0).all()
    assert np.isnan(equivariance_error(csr_matrix((48, 48)), Healpix(nside=2))).all()


# --- what it does not depend on ---


@pytest.mark.parametrize("factor", [-3.0, 1e-120, 1e120])
def test_scale_does_not_matter(factor):
    expected = equivariance_error(graph())
    scaled = equivariance_error(factor * graph().laplacian, graph().sampling)
    np.testing.assert_allclose(scaled, expected, rtol=1e-9)


def test_forms_of_the_operator_do_not_matter():
    laplacian, sampling = graph().laplacian, graph().sampling
    expected = equivariance_error(graph(), degrees=[1, 5])
    for operator in (laplacian, laplacian.tocoo(), csr_array(laplacian), laplacian.toarray()):
        assert np.array_equal(equivariance_error(operator, sampling, [1, 5]), expected)
    single = equivariance_error(laplacian.astype(np.float32), sampling, [1, 5])
    np.testing.assert_allclose(single, expected, rtol=1e-4)


def test_ordering_of_pixels_does_not_matter():
    nested = graph().laplacian
    _, order = KDTree(Healpix(nside=4).points).query(Healpix(nside=4, ordering="ring").points)
    ring = csr_matrix(nested[order][:, order])
    expected = equivariance_error(nested, Healpix(nside=4))
    got = equivariance_error(ring, Healpix(nside=4, ordering="ring"))
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_set_of_degrees_does_not_matter():
    every = equivariance_error(graph())
    assert len(every) == 11
    some = equivariance_error(graph(), degrees=np.array([9, 2]))
    np.testing.assert_allclose(some, every[[8, 1]], rtol=1e-9)
    assert equivariance_error(graph(), degrees=4)[0] == pytest.approx(every[3], rel=1e-9)
    np.testing.assert_allclose(equivariance_error(graph(), squared=True), every**2, rtol=1e-12)


def test_symmetric_rows_have_the_error_of_all():
    """One pixel of each orbit of the group of HEALPix, with the size of its orbit, is enough."""
    sampling = graph().sampling
    first = vertex_permutations(sampling).min(axis=0)
    rows, size = np.unique(first, return_counts=True)
    weights = np.zeros(192)
    weights[rows] = size
    symbol, gain = symbol_and_gain(graph().laplacian, sampling.points, 11, areas=weights, rows=rows)
    expected = equivariance_error(graph(), squared=True)
    np.testing.assert_allclose(2 * (1 - symbol**2 / gain)[1:], expected, rtol=1e-9)


# --- rows ---


def test_rows_are_indices_or_a_mask():
    rows = np.flatnonzero(np.abs(graph().sampling.points[:, 2]) < 0.5)
    mask = np.isin(np.arange(192), rows)
    expected = equivariance_error(graph(), degrees=[3, 4], rows=rows)
    assert np.array_equal(equivariance_error(graph(), degrees=[3, 4], rows=mask), expected)
    shuffled = np.random.default_rng(0).permutation(rows)
    got = equivariance_error(graph(), degrees=[3, 4], rows=shuffled)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert np.abs(expected / equivariance_error(graph(), degrees=[3, 4]) - 1).max() > 0.01


def test_rows_that_are_right_have_no_error():
    """Half of the rows of the identity are spoiled; the others are measured alone."""
    spoiled = identity(192, format="lil")
    spoiled[:96, 100] = 5.0
    operator = csr_matrix(spoiled)
    sampling = Healpix(nside=4)
    assert equivariance_error(operator, sampling).min() > 0.5
    good = equivariance_error(operator, sampling, rows=np.arange(96, 192))
    assert good.max() < ROUNDING_OF_ROOT


def test_subset_is_measured_on_its_own_rows_up_to_the_degree_of_its_base():
    base = Healpix(nside=8)
    kept = np.flatnonzero(base.points[:, 2] > 0.3)
    part = build_graph(base.subset(kept), weights="gaussian", num_neighbors=8)
    whole = build_graph(base, weights="gaussian", num_neighbors=8)
    inside = np.flatnonzero(base.points[kept, 2] > 0.7)
    errors = equivariance_error(part, rows=inside)
    assert len(errors) == default_max_degree(base) == 23
    expected = equivariance_error(whole, rows=kept[inside])
    np.testing.assert_allclose(errors, expected, rtol=1e-9)


# --- default degrees ---


@pytest.mark.parametrize(
    ("sampling", "degree"),
    [
        (Healpix(nside=16), 47),
        (Healpix(nside=16).subset(np.array([0, 5])).subset(np.array([1])), 47),
        (Icosahedral(8), 21),
        (RandomUniform(100).subset(np.array([3])), 8),
        (RandomUniform(1), 1),
    ],
    ids=repr,
)
def test_default_largest_degree_is_that_of_the_whole_sphere(sampling, degree):
    assert default_max_degree(sampling) == degree


# --- errors ---


def test_operator_that_is_no_matrix_is_rejected(unchecked):
    message = "laplacian_or_graph must be a graph or a matrix, got a value of function; use measure"
    with pytest.raises(TypeError, match=message):
        equivariance_error(lambda x: x, Healpix(nside=2))


def test_matrix_without_sampling_is_rejected():
    message = "sampling must be given with a matrix, got None; pass the sampling of its vertices"
    with pytest.raises(TypeError, match=message):
        equivariance_error(np.eye(3))


@pytest.mark.parametrize("shape", [(48, 47), (12, 12), (12, 48)])
def test_matrix_of_another_shape_is_rejected(shape):
    message = rf"must have the shape \(48, 48\) of the sampling's vertices, got \({shape[0]}, "
    with pytest.raises(ValueError, match="laplacian_or_graph " + message):
        equivariance_error(csr_matrix(shape), Healpix(nside=2))


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (np.inf, "inf"), (1j, "complex")])
def test_matrix_that_is_not_finite_and_real_is_rejected(value, what):
    operator = csr_matrix(np.eye(48) * (1 + 0 * value) + np.diag([value] + [0] * 47))
    with pytest.raises(ValueError, match=f"must hold finite real numbers, got .*{what}.*; use an"):
        equivariance_error(operator, Healpix(nside=2))


@pytest.mark.parametrize("degrees", [[], [1, -1], [1.0, 2.0], [[1]], [True], -3])
def test_degrees_that_are_none_are_rejected(unchecked, degrees):
    message = r"degrees must be nonnegative integers, at least one, got .*; leave them out for 1 to"
    with pytest.raises(ValueError, match=message + " 11"):
        equivariance_error(graph(), degrees=degrees)


@pytest.mark.parametrize(
    "rows",
    [np.array([-1]), np.array([192]), np.array([0.5]), np.array([[1]]), np.ones(7, dtype=bool)],
    ids=["negative", "too large", "no integers", "two axes", "mask of others"],
)
def test_rows_that_are_no_vertices_are_rejected(unchecked, rows):
    message = "rows must be indices of vertices, from 0 to 191, or a mask of all of them, got .*;"
    with pytest.raises(ValueError, match=message + " leave them out"):
        equivariance_error(graph(), rows=rows)


@pytest.mark.parametrize("rows", [np.zeros(192, dtype=bool), np.array([], dtype=int), []])
def test_no_rows_are_rejected(unchecked, rows):
    with pytest.raises(ValueError, match="rows must hold at least one row of positive area, got 0"):
        equivariance_error(graph(), rows=rows)
