"""Kriging: the textbook's equations, unbiasedness, and the covariance that data have."""

import numpy as np
import pytest

from deepsphere.data.station_kriging import (
    ExponentialCovariance,
    Kriging,
    fit_covariance,
    local_kriging,
)
from deepsphere.sampling import RandomUniform, Scattered

STATIONS = RandomUniform(50, seed=1)
COVARIANCE = ExponentialCovariance(4.0, 0.6, 0.5)
METHODS = {
    "all": Kriging(STATIONS, COVARIANCE),
    "near": local_kriging(STATIONS, COVARIANCE, num_neighbors=49),
}
EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def drawn(
    num_days: int, *, covariance: ExponentialCovariance = COVARIANCE, mean: float = 0.0
) -> np.ndarray:
    """Days of a Gaussian field of the covariance."""
    generator = np.random.default_rng(2)
    matrix = covariance(chords()) + covariance.nugget * np.eye(50)
    return mean + generator.normal(size=(num_days, 50)) @ np.linalg.cholesky(matrix).T


def chords() -> np.ndarray:
    return np.linalg.norm(STATIONS.points[:, None] - STATIONS.points, axis=-1)


def some_silent(num_days: int) -> np.ndarray:
    return np.random.default_rng(5).random((num_days, 50)) > 0.3


@EVERY
def test_weights_solve_the_equations_of_ordinary_kriging(method):
    values, observed = drawn(4), some_silent(4)
    found = method(values, observed)
    shared = COVARIANCE(chords())
    for day in range(4):
        known = np.flatnonzero(observed[day])
        size = len(known)
        system = np.block(
            [
                [shared[np.ix_(known, known)] + 0.5 * np.eye(size), np.ones((size, 1))],
                [np.ones((1, size)), np.zeros((1, 1))],
            ]
        )
        for silent in np.flatnonzero(~observed[day]):
            weights = np.linalg.solve(system, np.append(shared[silent, known], 1.0))[:size]
            expected = weights @ values[day, known]
            # the jitter is 1e-10 of the sill
            assert found[day, silent] == pytest.approx(expected, abs=1e-7)


@EVERY
def test_kriging_is_linear_and_keeps_constants_and_observations(method):
    values, observed = drawn(3), some_silent(3)
    found = method(values, observed)
    assert np.array_equal(found[observed], values[observed])
    np.testing.assert_allclose(method(0 * values + 280, observed), 280, rtol=1e-9)
    both = method(2 * values - 3 * values[::-1] + 1, observed)
    expected = 2 * found - 3 * method(values[::-1], observed) + 1
    np.testing.assert_allclose(both, expected, atol=1e-8)


@EVERY
def test_kriging_of_silent_days_and_of_one_voice(method):
    values, observed = drawn(3), some_silent(3)
    observed[1], observed[2] = False, np.arange(50) == 7
    found = method(np.where(observed, values, np.nan), observed)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2], values[2, 7], rtol=1e-9)
    garbage = method(np.where(observed, values, 1e30), observed)
    assert np.array_equal(garbage, found, equal_nan=True)


def test_a_station_between_two_is_their_mean_without_a_nugget():
    stations = Scattered([0, 1, 2], [0, 0, 0])
    covariance = ExponentialCovariance(1.0, 20.0)
    values = np.array([2.0, np.nan, 6.0])
    for method in (Kriging(stations, covariance), local_kriging(stations, covariance)):
        assert method(values, ~np.isnan(values))[1] == pytest.approx(4.0)


def test_stations_at_nearly_the_same_place_can_be_solved():
    stations = Scattered([10, 10 + 1e-6, 12, 14], [0, 0, 0, 0])
    covariance = ExponentialCovariance(1.0, 0.5)
    values = np.array([1.0, 1.0, np.nan, 3.0])
    for method in (Kriging(stations, covariance), local_kriging(stations, covariance)):
        assert method(values, ~np.isnan(values))[2] == pytest.approx(2.0, abs=0.01)


def test_kriging_has_less_error_than_any_other_weights():
    """It is the best linear one: on fields of its covariance, another covariance does worse."""
    values, observed = drawn(400), np.ones((400, 50), bool)
    observed[:, ::4] = False
    errors = {
        scale: np.mean(
            (Kriging(STATIONS, ExponentialCovariance(4.0, scale, 0.5))(values, observed) - values)[
                :, ::4
            ]
            ** 2
        )
        for scale in (0.1, 0.6, 4.0)
    }
    assert min(errors, key=lambda scale: errors[scale]) == 0.6


def test_fit_finds_the_covariance_of_simulated_fields():
    values = drawn(4000, mean=15.0)
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    found = fit_covariance(STATIONS, values, reach=np.pi)
    assert found.sill == pytest.approx(4.0, rel=0.15)
    assert found.scale == pytest.approx(0.6, rel=0.2)
    assert found.nugget == pytest.approx(0.5, abs=0.25)


def test_fit_does_not_depend_on_the_unit():
    values = drawn(50)
    one, two = (fit_covariance(STATIONS, scale * values, reach=2.0) for scale in (1.0, 10.0))
    assert two.sill == pytest.approx(100 * one.sill, rel=1e-3)
    assert two.scale == pytest.approx(one.scale, rel=1e-3)


def test_fit_looks_at_stations_that_report_however_many_are_silent():
    stations = RandomUniform(4000, seed=2)
    values = np.full((40, 4000), np.nan)
    generator = np.random.default_rng(0)
    reporting = generator.permutation(4000)[1500:1550]
    values[:, reporting] = generator.normal(size=(40, 50))
    found = fit_covariance(stations, values, reach=np.pi)
    assert found.nugget + found.sill == pytest.approx(1.0, abs=0.1)


def test_values_that_do_not_vary_can_be_kriged():
    found = fit_covariance(STATIONS, np.full((5, 50), 3.0))
    values, observed = np.full((2, 50), 3.0), some_silent(2)
    np.testing.assert_allclose(Kriging(STATIONS, found)(values, observed), 3.0, rtol=1e-9)


def test_fit_without_pairs_is_rejected():
    values = np.full((5, 50), np.nan)
    values[:, 3] = 1.0
    with pytest.raises(ValueError, match="values must hold two stations within reach on one day"):
        fit_covariance(STATIONS, values)


def test_covariance_out_of_range_is_rejected():
    for name in ("sill", "scale"):
        numbers = {"sill": 1.0, "scale": 1.0} | {name: 0.0}
        with pytest.raises(ValueError, match=f"{name} must be positive and finite, got 0"):
            ExponentialCovariance(**numbers)
    with pytest.raises(ValueError, match="nugget must be at least 0 and finite, got -1"):
        ExponentialCovariance(1.0, 1.0, -1.0)
