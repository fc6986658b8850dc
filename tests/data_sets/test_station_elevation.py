"""The effect of elevation, and all interpolations together."""

import numpy as np
import pytest

from deepsphere.data.simulated_stations import SimulatedStationsPlan, simulated_stations
from deepsphere.data.station_elevation import (
    ElevationInterpolation,
    fit_lapse_rate,
    known_elevations,
)
from deepsphere.data.station_imputers import imputation_baselines
from deepsphere.data.station_interpolation import inverse_distance
from deepsphere.data.station_records import StationRecords
from deepsphere.sampling import Scattered

GENERATOR = np.random.default_rng(0)
# within 300 km of each other
STATIONS = Scattered(GENERATOR.uniform(0, 2, 80), GENERATOR.uniform(45, 47, 80))
ELEVATION = GENERATOR.uniform(0, 2000, 80)


def weather(num_days: int, rate: float) -> np.ndarray:
    days = np.random.default_rng(1).normal(15, 8, size=(num_days, 1))
    return days + 3 * STATIONS.points[:, 1] + rate * ELEVATION


def test_values_that_depend_on_elevation_alone_are_met():
    values = 20 - 0.0065 * ELEVATION[None] + np.array([[0.0], [5.0]])
    observed = np.random.default_rng(2).random((2, 80)) > 0.5
    method = ElevationInterpolation(inverse_distance(STATIONS), ELEVATION, -0.0065)
    np.testing.assert_allclose(
        method(np.where(observed, values, np.nan), observed), values, rtol=1e-12
    )


def test_rate_of_zero_changes_nothing():
    values, observed = weather(3, -0.006), np.random.default_rng(2).random((3, 80)) > 0.5
    plain = inverse_distance(STATIONS)
    found = ElevationInterpolation(plain, ELEVATION, 0.0)(values, observed)
    assert np.array_equal(found, plain(values, observed))


def test_observations_stay_to_the_last_bit():
    values, observed = weather(3, -0.006).astype(np.float32), np.ones((3, 80), bool)
    method = ElevationInterpolation(inverse_distance(STATIONS), ELEVATION, -0.0065)
    assert np.array_equal(method(values, observed), values)


def test_lapse_rate_is_found_in_spite_of_outliers_and_gaps():
    values = weather(20, -0.0065)
    generator = np.random.default_rng(3)
    values += 0.3 * generator.normal(size=values.shape)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[generator.random(values.shape) < 0.03] += 60
    elevation = np.where(np.arange(80) < 8, np.nan, ELEVATION)
    assert fit_lapse_rate(STATIONS, values, elevation) == pytest.approx(-0.0065, abs=3e-4)


def test_lapse_rate_minimises_the_sum_of_absolute_errors():
    """With pairs at one distance, against a search over all slopes of pairs."""
    lon_deg = np.repeat(20.0 * np.arange(13), 2) + np.tile([0.0, 0.1], 13)
    stations = Scattered(lon_deg, np.zeros(26))
    generator = np.random.default_rng(4)
    elevation, values = generator.uniform(0, 1000, 26), generator.normal(size=(1, 26))
    rise, step = elevation[1::2] - elevation[::2], values[0, 1::2] - values[0, ::2]
    useful = np.abs(rise) >= 30
    rise, step = rise[useful], step[useful]
    slopes = step / rise
    sums = np.abs(step - slopes[:, None] * rise).sum(axis=1)
    assert fit_lapse_rate(stations, values, elevation) == pytest.approx(slopes[sums.argmin()])


def test_no_rate_without_mountains_neighbors_or_values():
    values = weather(5, -0.0065)
    assert fit_lapse_rate(STATIONS, values, np.full(80, 100.0)) == 0
    assert fit_lapse_rate(STATIONS, values, np.full(80, np.nan)) == 0
    assert fit_lapse_rate(STATIONS, np.full((5, 80), np.nan), ELEVATION) == 0
    far = Scattered(np.arange(80) * 4.0, np.zeros(80))
    assert fit_lapse_rate(far, values, ELEVATION) == 0
    assert fit_lapse_rate(Scattered([0], [0]), values[:, :1], ELEVATION[:1]) == 0


def test_unknown_elevations_are_those_of_the_nearest_station():
    stations = Scattered([0, 1, 3, 4], [0, 0, 0, 0])
    found = known_elevations(np.array([5.0, np.nan, np.nan, 9.0]), stations)
    assert found.tolist() == [5.0, 5.0, 9.0, 9.0]
    assert known_elevations(np.full(4, np.nan), stations).tolist() == [0.0] * 4


def test_numbers_that_do_not_fit_are_rejected(unchecked):
    method = inverse_distance(STATIONS)
    with pytest.raises(ValueError, match="elevation_m must be finite, got 1 that are not"):
        ElevationInterpolation(method, np.where(np.arange(80) == 3, np.nan, 1.0), -0.0065)
    with pytest.raises(ValueError, match="rate_per_m must be finite, got nan"):
        ElevationInterpolation(method, ELEVATION, np.nan)
    with pytest.raises(ValueError, match="must be of 80 stations, got shapes"):
        fit_lapse_rate(STATIONS, np.zeros((2, 3)), ELEVATION)


@pytest.fixture(scope="module")
def hidden_stations() -> tuple[StationRecords, np.ndarray]:
    plan = SimulatedStationsPlan(num_stations=200, num_days=120, missing=0.02)
    hidden = np.random.default_rng(0).random(200) < 0.2
    return simulated_stations(plan).select(("tavg",)), hidden


def errors_of(method, records: StationRecords, hidden: np.ndarray) -> float:
    values = records.column("tavg")
    observed = ~np.isnan(values) & ~hidden
    return float(np.nanmean(np.abs(method(values, observed) - values)[:, hidden]))


def test_what_is_known_of_space_and_elevation_helps(hidden_stations):
    records, hidden = hidden_stations
    days = records.take_times(np.arange(80))
    train = days.with_values(np.where(hidden[:, None], np.nan, days.values))
    later = records.take_times(np.arange(80, 120))
    errors = {
        name: errors_of(method, later, hidden)
        for name, method in imputation_baselines(train, "tavg").items()
    }
    assert set(errors) == {
        f"{name}{suffix}"
        for name in ("nearest", "inverse_distance", "graph", "kriging")
        for suffix in ("", "_elevation")
    }
    assert errors["inverse_distance"] < errors["nearest"]
    assert errors["kriging"] < errors["inverse_distance"]
    for name in ("nearest", "inverse_distance", "graph", "kriging"):
        assert errors[f"{name}_elevation"] < errors[name]


def test_records_without_elevation_have_no_variants(hidden_stations):
    records, _ = hidden_stations
    flat = StationRecords(
        records.sampling,
        records.ids,
        records.names,
        np.full(200, np.nan),
        records.axis,
        records.channel_names,
        records.units,
        records.values,
    )
    assert list(imputation_baselines(flat, "tavg")) == [
        "nearest",
        "inverse_distance",
        "graph",
        "kriging",
    ]


def test_a_single_station_is_rejected(hidden_stations):
    records, _ = hidden_stations
    with pytest.raises(ValueError, match="train must have at least 2 stations"):
        imputation_baselines(records.take([0]), "tavg")


def test_kriging_is_left_out_where_it_cannot_be_fitted(hidden_stations):
    records, _ = hidden_stations
    silent = records.with_values(np.full_like(records.values, np.nan))
    assert "kriging" not in imputation_baselines(silent, "tavg")
