"""Fields with missing values on another sampling."""

import jaxtyping
import numpy as np
import pytest

from deepsphere.graph.regridding import apply_weights, regrid
from deepsphere.graph.transfer import TRANSFERS, transfer_matrix
from deepsphere.sampling import Equiangular, Fibonacci, Healpix

SOURCE, TARGET = Equiangular(6, 10), Healpix(2)


def field(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("method", TRANSFERS)
def test_complete_field_is_the_product(method):
    values = field(3, 4, 60, 2)
    matrix = transfer_matrix(SOURCE, TARGET, method).toarray()
    expected = np.einsum("ts,absc->abtc", matrix, values)
    np.testing.assert_allclose(regrid(values, SOURCE, TARGET, method=method), expected, atol=1e-14)


@pytest.mark.parametrize("method", TRANSFERS)
@pytest.mark.parametrize("min_valid", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("same", [True, False], ids=["same mask", "several masks"])
def test_missing_values_are_left_out_and_the_rest_renormalised(method, min_valid, same):
    """Written naively, vertex by vertex."""
    values = field(2, 60, 1)
    is_missing = np.random.default_rng(1).random((1 if same else 2, 60, 1)) < 0.4
    values[np.broadcast_to(is_missing, values.shape)] = np.nan
    matrix = transfer_matrix(SOURCE, TARGET, method).toarray()
    result = regrid(values, SOURCE, TARGET, method=method, min_valid=min_valid)
    for index, vertex in np.ndindex(2, 48):
        weights = np.where(np.isnan(values[index, :, 0]), 0, matrix[vertex])
        if weights.sum() < min_valid - 1e-9:
            assert np.isnan(result[index, vertex, 0])
        else:
            expected = weights @ np.nan_to_num(values[index, :, 0]) / weights.sum()
            assert result[index, vertex, 0] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(result).any() == (min_valid > 0.1 or method != "conservative")


def test_constants_stay_constant_around_holes():
    values = np.full(60, 7.0)
    values[13:31] = np.nan
    result = regrid(values, SOURCE, TARGET, min_valid=0.1)
    np.testing.assert_allclose(result[~np.isnan(result)], 7.0, atol=1e-13)
    assert np.isnan(result).any()


@pytest.mark.parametrize("method", TRANSFERS)
def test_subset_is_a_field_with_missing_values(method):
    keep = np.arange(20, 45)
    values = field(60)
    beside = np.full(60, np.nan)
    beside[keep] = values[keep]
    expected = regrid(beside, SOURCE, TARGET, method=method)
    result = regrid(values[keep], SOURCE.subset(keep), TARGET, method=method)
    np.testing.assert_allclose(result, expected, atol=1e-14)
    assert np.isnan(result).any()


def test_blocks_change_nothing(monkeypatch):
    values = field(7, 60, 3)
    values[2, 5:9, 1] = np.nan
    expected = regrid(values, SOURCE, TARGET)
    monkeypatch.setattr("deepsphere.graph.regridding._VALUES_PER_BLOCK", 200)
    np.testing.assert_array_equal(regrid(values, SOURCE, TARGET), expected)


def test_types_and_arguments_are_kept():
    values = field(60).astype(np.float32)
    values[3] = np.nan
    before = values.copy()
    assert regrid(values, SOURCE, TARGET).dtype == np.float32
    assert regrid(np.arange(60), SOURCE, TARGET).dtype == np.float64
    np.testing.assert_array_equal(values, before)
    assert regrid(np.zeros((0, 60, 2)), SOURCE, TARGET).shape == (0, 48, 2)


def test_wrong_values_are_rejected(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"min_valid must be above 0 and at most 1, got 0"):
        regrid(np.zeros(60), SOURCE, TARGET, min_valid=0)
    with pytest.raises(ValueError, match=r"60 vertices, channels\) of the source, got \(5, 60\)"):
        regrid(np.zeros((5, 60)), SOURCE, TARGET)
    with pytest.raises(ValueError, match="values must be real numbers, got complex128"):
        regrid(np.zeros(60, complex), SOURCE, TARGET)
    with pytest.raises(ValueError, match="method must be one of nearest"):
        regrid(np.zeros(60), SOURCE, TARGET, method="spline")


def test_weights_may_be_applied_again():
    weights = transfer_matrix(Fibonacci(30), TARGET, "nearest")
    values = field(30)
    np.testing.assert_array_equal(
        apply_weights(values, weights), regrid(values, Fibonacci(30), TARGET, method="nearest")
    )


def test_vertices_that_nothing_reaches_are_missing_however_little_is_asked_for():
    source, target = Healpix(4).subset(np.arange(20)), Healpix(2)
    result = regrid(np.ones(20), source, target, min_valid=1e-12)
    np.testing.assert_array_equal(np.isnan(result), np.arange(48) >= 5)
