"""Edge weights and kernel widths, against their formulas and the published table."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepsphere.graph import weights as weights_module
from deepsphere.graph.weights import (
    HEALPIX_KERNEL_SCALES,
    gaussian_weights,
    gaussian_weights_in_place,
    inverse_distance_weights,
    kernel_width_from_scale,
    mean_distance_kernel_width,
    tuned_kernel_width,
    unit_weights,
)
from deepsphere.sampling import Fibonacci, Healpix, Icosahedral

DISTANCES = csr_matrix([[0, 0.1, 0.3], [0.1, 0, 0.2], [0.3, 0.2, 0]])

# t as printed beside the widths of the published table, for the two most used numbers of neighbors
PUBLISHED_WIDTHS = {
    8: {32: 2.254e-4, 64: 5.439e-5, 128: 1.360e-5, 256: 3.399e-6, 512: 8.554e-7, 1024: 2.138e-7},
    20: {32: 3.659e-4, 64: 8.822e-5, 128: 2.206e-5, 256: 5.514e-6, 512: 1.386e-6, 1024: 3.464e-7},
    40: {32: 6.494e-4, 64: 1.645e-4, 128: 4.049e-5, 256: 1.111e-5, 512: 2.778e-6, 1024: 6.946e-7},
    60: {32: 9.648e-4, 64: 2.327e-4, 128: 5.813e-5, 256: 1.455e-5, 512: 3.637e-6, 1024: 9.092e-7},
}


def test_gaussian_weights_are_the_formula():
    weights = gaussian_weights(DISTANCES, 0.01).toarray()
    assert weights[0, 1] == pytest.approx(np.exp(-(0.1**2) / 0.04))
    assert weights[0, 2] == pytest.approx(np.exp(-(0.3**2) / 0.04))
    assert np.diag(weights).max() == 0


def test_gaussian_weights_that_underflow_are_no_edges():
    weights = gaussian_weights(DISTANCES, 2e-5)
    assert weights.nnz == 4  # exp(-0.09 / 8e-5) is below the smallest double
    assert weights.data.min() > 0


def test_gaussian_weights_in_place_are_the_same_in_the_memory_of_the_distances(monkeypatch):
    monkeypatch.setattr(weights_module, "_CHUNK", 2)
    distances = DISTANCES.copy()
    memory = distances.data
    weights = gaussian_weights_in_place(distances, 0.01)
    assert np.array_equal(weights.toarray(), gaussian_weights(DISTANCES, 0.01).toarray())
    assert np.shares_memory(weights.data, memory)


def test_inverse_distance_weights_are_the_formula():
    assert inverse_distance_weights(DISTANCES)[0, 2] == pytest.approx(1 / 0.3)


def test_unit_weights_are_ones_on_the_same_edges():
    weights = unit_weights(DISTANCES)
    assert np.array_equal(weights.toarray(), 1 - np.eye(3))


def test_weights_leave_distances_alone():
    before = DISTANCES.toarray()
    gaussian_weights(DISTANCES, 1e-5)
    inverse_distance_weights(DISTANCES)
    unit_weights(DISTANCES)
    assert np.array_equal(DISTANCES.toarray(), before)


@pytest.mark.parametrize("num_neighbors", PUBLISHED_WIDTHS)
def test_tuned_width_is_published_on_healpix(num_neighbors):
    for nside, width in PUBLISHED_WIDTHS[num_neighbors].items():
        tuned = tuned_kernel_width(Healpix(nside=nside), num_neighbors)
        assert tuned == pytest.approx(width, rel=5e-4)  # four digits are printed


@pytest.mark.parametrize("num_neighbors", HEALPIX_KERNEL_SCALES)
def test_tuned_width_scales_with_area_beyond_the_table(num_neighbors):
    coarse, coarsest = (tuned_kernel_width(Healpix(nside=n), num_neighbors) for n in (32, 8))
    assert coarsest == pytest.approx(16 * coarse)
    fine, finest = (tuned_kernel_width(Healpix(nside=n), num_neighbors) for n in (1024, 2048))
    assert finest == pytest.approx(fine / 4)


@pytest.mark.parametrize(
    ("sampling", "num_neighbors"),
    [(Healpix(nside=64), 12), (Healpix(nside=48, ordering="ring"), 20), (Fibonacci(1000), 20)],
)
def test_tuned_width_elsewhere_follows_the_rule(sampling, num_neighbors):
    expected = (1.6 + 0.14 * num_neighbors) / sampling.num_vertices
    assert tuned_kernel_width(sampling, num_neighbors) == pytest.approx(expected)


def test_rule_is_near_the_published_widths():
    for num_neighbors, tolerance in [(8, 0.05), (20, 0.05), (40, 0.12), (60, 0.19)]:
        published = tuned_kernel_width(Healpix(nside=32), num_neighbors)
        rule = (1.6 + 0.14 * num_neighbors) / 12288
        assert published == pytest.approx(rule, rel=tolerance)


def test_tuned_width_does_not_depend_on_ordering():
    widths = {tuned_kernel_width(Healpix(32, ordering=o), 20) for o in ("ring", "nested")}
    assert len(widths) == 1
    assert tuned_kernel_width(Icosahedral(4), 6) == pytest.approx((1.6 + 0.84) / 162)


def test_mean_distance_width_is_where_the_mean_has_weight_one_half():
    width = mean_distance_kernel_width(DISTANCES)
    assert np.exp(-(0.2**2) / (4 * width)) == pytest.approx(0.5)


def test_kernel_width_from_scale_is_where_the_weight_is_one_half():
    assert np.exp(-(0.3**2) / (4 * kernel_width_from_scale(0.3))) == pytest.approx(0.5)
