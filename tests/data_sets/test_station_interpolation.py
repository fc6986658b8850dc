"""Silent stations from those that report: laws, and a naive formula."""

import pickle

import numpy as np
import pytest

from deepsphere.data.nearest_observed import NearestObserved
from deepsphere.data.station_interpolation import (
    GraphInterpolation,
    inverse_distance,
    nearest_station,
    observed_days,
    same_masks,
)
from deepsphere.geometry import angular_distance
from deepsphere.graph import build_graph
from deepsphere.sampling import RandomUniform, Scattered

STATIONS = RandomUniform(60, seed=3)
GRAPH = build_graph(STATIONS, num_neighbors=5, weights="gaussian")
METHODS = {
    "nearest": nearest_station(STATIONS),
    "inverse_distance": inverse_distance(STATIONS, power=1.5, num_neighbors=6),
    "graph": GraphInterpolation(GRAPH),
}
EVERY = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def days_with_gaps(num_days: int = 6, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(num_days, 60))
    observed = generator.random((num_days, 60)) > share
    return np.where(observed, values, np.nan), observed


def naive(sampling, values, observed, *, power: float, num_neighbors: int) -> np.ndarray:
    """Shepard's formula, station by station."""
    filled = values.copy()
    for day, silent in np.argwhere(~observed):
        known = np.flatnonzero(observed[day])
        if not len(known):
            filled[day, silent] = np.nan
            continue
        far = angular_distance(sampling.points[silent], sampling.points[known])
        near = np.argsort(far)[:num_neighbors]
        weights = far[near] ** -power
        filled[day, silent] = (weights * values[day, known[near]]).sum() / weights.sum()
    return filled


@pytest.mark.parametrize(("power", "num_neighbors"), [(0.0, 1), (2.0, 4), (1.5, 60)])
@pytest.mark.parametrize("share", [0.2, 0.97])
def test_inverse_distance_is_the_formula_however_few_report(power, num_neighbors, share):
    values, observed = days_with_gaps(share=share)
    found = inverse_distance(STATIONS, power=power, num_neighbors=num_neighbors)(values, observed)
    expected = naive(STATIONS, values, observed, power=power, num_neighbors=num_neighbors)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_nearest_station_is_the_nearest_that_reports():
    values, observed = days_with_gaps(share=0.9)
    expected = naive(STATIONS, values, observed, power=0.0, num_neighbors=1)
    assert np.array_equal(METHODS["nearest"](values, observed), expected, equal_nan=True)


@EVERY
def test_observed_values_stay_and_others_lie_between_them(method):
    values, observed = days_with_gaps()
    found = method(values, observed)
    assert np.array_equal(found[observed], values[observed])
    low, high = np.nanmin(values, axis=1)[:, None], np.nanmax(values, axis=1)[:, None]
    # conjugate gradients solve to 1e-10
    assert ((found >= low - 1e-8) & (found <= high + 1e-8)).all()


@EVERY
def test_constants_stay_constants_and_units_do_not_matter(method):
    values, observed = days_with_gaps()
    np.testing.assert_allclose(method(0 * values + 7, observed), 7, rtol=1e-9)
    scaled = method(32 + 1.8 * values, observed)
    np.testing.assert_allclose(scaled, 32 + 1.8 * method(values, observed), atol=1e-7)


@EVERY
def test_what_stands_at_silent_stations_is_not_read(method):
    values, observed = days_with_gaps()
    found = method(values, observed)
    for garbage in (np.inf, 1e30):
        assert np.array_equal(method(np.where(observed, values, garbage), observed), found)


@EVERY
def test_days_are_interpolated_one_by_one_in_any_batch(method):
    values, observed = days_with_gaps()
    found = method(values, observed)
    by_two = method(values.reshape(2, 3, 60), observed.reshape(2, 3, 60))
    np.testing.assert_allclose(by_two.reshape(6, 60), found, atol=1e-9)
    np.testing.assert_allclose(method(values[4], observed[4]), found[4], atol=1e-9)


@EVERY
def test_a_day_on_which_all_are_silent_stays_silent(method):
    values, observed = days_with_gaps()
    values[2], observed[2] = np.nan, False
    found = method(values, observed)
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, axis=0)).all()


@EVERY
def test_one_station_that_reports_speaks_for_all(method):
    values = np.full((1, 60), np.nan)
    values[0, 17] = 5.0
    np.testing.assert_allclose(method(values, ~np.isnan(values)), 5.0, rtol=1e-9)


@EVERY
def test_type_of_values_is_kept_and_methods_are_picklable(method):
    values, observed = days_with_gaps()
    found = method(values.astype(np.float32), observed)
    assert found.dtype == np.float32
    again = pickle.loads(pickle.dumps(method))(values.astype(np.float32), observed)
    assert np.array_equal(again, found)


@EVERY
def test_no_days_are_no_days(method):
    assert method(np.empty((0, 60)), np.empty((0, 60), bool)).shape == (0, 60)


def test_values_that_are_missing_are_not_observed():
    values, observed = days_with_gaps()
    everything = np.ones_like(observed)
    method = METHODS["inverse_distance"]
    assert np.array_equal(method(values, everything), method(values, observed))


def test_stations_that_nearly_coincide_do_not_overflow():
    stations = Scattered([10.0, 10.0 + 1e-6, 20.0], [0.0, 0.0, 0.0])
    values = np.array([3.0, np.nan, 50.0])
    for power in (1.0, 2.0, 200.0):
        found = inverse_distance(stations, power=power)(values, ~np.isnan(values))
        assert found[1] == pytest.approx(3.0, abs=1e-4)


def test_poles_and_date_line_are_places_like_others():
    # the pole lies between stations half a turn apart, and 179.5° E beside 179.5° W
    stations = Scattered([0.0, 0.0, 180.0, 179.5, -179.5, 170.0], [90.0, 89.0, 89.0, 0.0, 0.0, 0.0])
    values = np.array([np.nan, 1.0, 3.0, np.nan, 8.0, 0.0])
    found = inverse_distance(stations, num_neighbors=2)(values, ~np.isnan(values))
    assert found[0] == pytest.approx(2.0)
    weights = np.array([1.0, 1 / 9.5**2])
    assert found[3] == pytest.approx((weights * [8.0, 0.0]).sum() / weights.sum())


def test_symmetric_neighbors_weigh_alike():
    stations = Scattered([0, 1, 0, -1, 0], [0, 0, 1, 0, -1])
    values = np.array([np.nan, 1.0, 2.0, 3.0, 6.0])
    graph = build_graph(stations, num_neighbors=2, weights="gaussian")
    for method in (inverse_distance(stations, num_neighbors=4), GraphInterpolation(graph)):
        assert method(values, ~np.isnan(values))[0] == pytest.approx(3.0)


def test_part_of_a_graph_in_which_all_are_silent_takes_the_mean_of_the_day():
    stations = Scattered([0, 1, 2, 100, 101, 102], [0, 0, 1, 0, 0, 1])
    graph = build_graph(stations, num_neighbors=1, weights="gaussian", disconnected="allow")
    values = np.array([2.0, 4.0, np.nan, np.nan, np.nan, np.nan])
    for strength in (0.0, 1.0):
        found = GraphInterpolation(graph, strength)(values, ~np.isnan(values))
        np.testing.assert_allclose(found[3:], 3.0, rtol=1e-6)


def test_smoothing_on_a_graph_solves_its_equations():
    values, observed = days_with_gaps(num_days=1)
    found = GraphInterpolation(GRAPH)(values, observed)[0]
    # harmonic where nothing is observed
    residual = (GRAPH.laplacian @ found)[~observed[0]]
    np.testing.assert_allclose(residual, 0, atol=1e-7 * abs(GRAPH.laplacian).max())


def test_neighbors_are_those_of_a_sort_by_distance():
    _, observed = days_with_gaps(share=0.85)
    far = angular_distance(STATIONS.points[:, None], STATIONS.points)
    seen = 0
    for days, stations, neighbors, distances in NearestObserved(STATIONS, 4).chunks(observed):
        for day, station, near, arcs in zip(days, stations, neighbors, distances, strict=True):
            known = np.flatnonzero(observed[day])
            expected = known[np.argsort(far[station, known])[:4]]
            number = len(expected)
            assert np.array_equal(near[:number], expected)
            np.testing.assert_allclose(arcs[:number], far[station, expected], rtol=1e-6)
            assert np.isinf(arcs[number:]).all()
            seen += 1
    assert seen == np.count_nonzero(~observed[observed.any(axis=1)])


def test_neighbors_of_all_are_the_nearest_others():
    neighbors, distances = NearestObserved(STATIONS, 3).of_all()
    far = angular_distance(STATIONS.points[:, None], STATIONS.points)
    np.fill_diagonal(far, np.inf)
    assert np.array_equal(neighbors, np.argsort(far, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(far, axis=1)[:, :3], rtol=1e-6)


def test_every_day_has_one_mask():
    known = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1], [1, 1, 1]], bool)
    masks = same_masks(known)
    assert len(masks) == 3
    assert sorted(np.concatenate([days for _, days in masks]).tolist()) == [0, 1, 2, 3]
    for mask, days in masks:
        assert (known[days] == mask).all()


def test_shapes_that_do_not_fit_are_rejected(unchecked):
    with pytest.raises(ValueError, match=r"values and observed must have one shape, got \(3,\)"):
        observed_days(np.zeros(3), np.ones((1, 3), bool), num_stations=3)
    with pytest.raises(ValueError, match=r"must have shape \(\*batch, 4 stations\), got \(3,\)"):
        observed_days(np.zeros(3), np.ones(3, bool), num_stations=4)


def test_infinite_observations_are_rejected():
    with pytest.raises(ValueError, match="values must be finite where they are observed"):
        observed_days(np.array([np.inf]), np.ones(1, bool), num_stations=1)


def test_numbers_out_of_range_are_rejected():
    with pytest.raises(ValueError, match="num_neighbors must be at least 1, got 0"):
        inverse_distance(STATIONS, num_neighbors=0)
    for power in (-1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="power must be at least 0 and finite"):
            inverse_distance(STATIONS, power=power)
    with pytest.raises(ValueError, match="strength must be at least 0, got -1"):
        GraphInterpolation(GRAPH, -1.0)
