"""Simulated stations: a function of their plan, with the traits that the plan promises."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree
from sklearn.linear_model import Ridge

from deepsphere.data.simulated_places import simulated_places
from deepsphere.data.simulated_stations import SimulatedStationsPlan, simulated_stations
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather, travelling_waves
from deepsphere.data.station_baselines import fit_anomaly_ridge, station_climatology
from deepsphere.data.station_elevation import fit_lapse_rate
from deepsphere.sampling import Healpix

SMALL = SimulatedStationsPlan(num_stations=40, num_days=30)
PLAN = SimulatedStationsPlan(num_stations=250, num_days=731, outliers=0.0)
RECORDS = simulated_stations(PLAN)


def test_records_are_a_function_of_the_plan():
    one, two = simulated_stations(SMALL), simulated_stations(SimulatedStationsPlan(**SMALL.values))
    assert np.array_equal(one.values, two.values, equal_nan=True)
    assert one.sampling == two.sampling
    assert np.array_equal(one.elevation_m, two.elevation_m, equal_nan=True)
    other = simulated_stations(replace(SMALL, seed=1))
    assert one.sampling != other.sampling
    assert str(SMALL) in one.notes[0]


def test_start_is_the_first_day_and_days_follow_each_other():
    records = simulated_stations(replace(SMALL, start="2016-02-25"))
    expected = np.datetime64("2016-02-25") + np.arange(30)
    assert np.array_equal(records.times.astype("datetime64[D]"), expected)


def test_places_are_different_and_include_poles_and_date_line():
    for number in (8, 9, 50, 1000):
        for seed in range(3):
            places = simulated_places(number, seed=seed)
            assert places.lat_deg[-4:-2].tolist() == [90.0, -90.0]
            assert (places.lon_deg == 180).sum() >= 2
            assert len(np.unique(np.stack([places.lon_deg, places.lat_deg]), axis=1).T) == number
            assert ((places.lon_deg >= -180) & (places.lon_deg <= 180)).all()
            assert (places.elevation_m > 0).all()
            assert ((places.continentality >= 0) & (places.continentality <= 1)).all()


def test_places_are_crowded_and_lonely():
    points = RECORDS.sampling.points
    nearest = KDTree(points).query(points, k=2)[0][:, 1]
    # of as many points spread at random, the mean distance is 1/(2 √density)
    usual = 0.5 * np.sqrt(4 * np.pi / len(points))
    assert np.median(nearest) < 0.5 * usual
    assert nearest.max() > 2 * usual


def test_seasons_are_opposite_on_the_hemispheres():
    mean = RECORDS.column("tavg")
    month = (RECORDS.times.astype("datetime64[M]").astype(int)) % 12
    complete = ~np.isnan(mean).any(axis=0)
    change = mean[month == 6].mean(axis=0) - mean[month == 0].mean(axis=0)
    north, south = complete & (RECORDS.lat_deg > 40), complete & (RECORDS.lat_deg < -35)
    assert north.sum() > 5
    assert south.sum() > 1
    assert (change[north] > 3).all()
    assert (change[south] < -3).all()


def test_temperature_falls_with_elevation():
    rate = fit_lapse_rate(RECORDS.sampling, RECORDS.column("tavg"), RECORDS.elevation_m)
    # stations differ by half a degree for reasons of their own
    assert rate == pytest.approx(-0.0065, abs=1e-3)


def test_variables_fit_each_other():
    tmax, tmin, tavg, rain, snow, depth = np.moveaxis(RECORDS.values, -1, 0)
    for low, high in ((tmin, tavg), (tavg, tmax)):
        both = np.isfinite(low) & np.isfinite(high)
        assert (low[both] <= high[both]).all()
    assert 0.1 < np.nanmean(rain > 0) < 0.5
    assert all(np.nanmin(fallen) == 0 for fallen in (rain, snow, depth))
    both = np.isfinite(snow) & np.isfinite(tavg)
    assert (tavg[both & (snow > 0)] <= 1.0).all()
    assert np.nanmax(depth) > 100


def test_rain_has_seasons():
    rain, lat_deg = RECORDS.column("prcp"), RECORDS.lat_deg
    tropics = (
        (np.abs(lat_deg) < 20) & (np.abs(lat_deg) > 5) & (np.isfinite(rain).mean(axis=0) > 0.9)
    )
    month = (RECORDS.times.astype("datetime64[M]").astype(int)) % 12
    by_month = np.stack([np.nanmean(rain[month == each][:, tropics], axis=0) for each in range(12)])
    assert np.median(by_month.max(axis=0) / by_month.mean(axis=0)) > 1.5


def test_share_of_missing_values_is_about_the_one_of_the_plan():
    is_missing = np.isnan(RECORDS.values)
    assert 0.02 < is_missing.mean() < 0.1
    complete = ~is_missing.any(axis=(0, 2))
    assert 0.3 < complete.mean() < 0.6
    silent = np.isnan(simulated_stations(replace(PLAN, num_stations=900, num_days=3)).values)
    assert 1 <= silent.all(axis=(0, 2)).sum() < 60
    assert not np.isnan(simulated_stations(replace(SMALL, missing=0.0)).values).any()


def test_outliers_are_as_many_as_asked_for():
    clean = simulated_stations(replace(PLAN, num_days=60, outliers=0.0)).column("tavg")
    dirty = simulated_stations(replace(PLAN, num_days=60, outliers=0.01)).column("tavg")
    wrong = np.abs(dirty - clean) > 10
    assert np.nansum(wrong) / np.isfinite(clean).sum() == pytest.approx(0.01, abs=0.003)
    same = np.isfinite(clean) & ~wrong
    np.testing.assert_allclose(dirty[same], clean[same])


def anomalies() -> tuple[np.ndarray, np.ndarray]:
    """Anomalies of 500 days and of the 231 that follow, 0 where missing."""
    records = RECORDS.select(("tavg",))
    usual = station_climatology(records.take_times(np.arange(500)))
    found = (records.values - usual.at(records.times))[..., 0]
    return found[:500], found[500:]


def test_weather_of_tomorrow_was_in_the_west():
    found, _ = anomalies()
    turn = np.deg2rad(10)
    points, hits = RECORDS.sampling.points, {}
    for name, angle in (("west", -turn), ("east", turn)):
        rotation = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        distance, other = KDTree(points).query(points @ rotation.T)
        near = np.flatnonzero((distance < 0.08) & (np.abs(RECORDS.lat_deg) < 60))
        today, tomorrow = found[:-1, other[near]], found[1:, near]
        both = np.isfinite(today) & np.isfinite(tomorrow)
        hits[name] = np.corrcoef(today[both], tomorrow[both])[0, 1]
        assert len(near) > 10
    assert hits["west"] > hits["east"] + 0.3


def test_neighbors_tell_more_of_tomorrow_than_a_station_itself():
    train, test = anomalies()
    records = RECORDS.select(("tavg",))
    first, last = records.take_times(np.arange(500)), records.take_times(np.arange(500, 731))
    usual = station_climatology(first)
    alone = fit_anomaly_ridge(first, usual).predict(last)[..., 0] - usual.at(last.times)[..., 0]
    near = KDTree(RECORDS.sampling.points).query(RECORDS.sampling.points, k=16)[1]
    errors = []
    for station in range(0, 250, 5):
        inputs, later = (np.nan_to_num(part[:-1, near[station]]) for part in (train, test))
        known, seen = np.isfinite(train[1:, station]), np.isfinite(test[1:, station])
        if known.sum() < 200 or not seen.any():
            continue
        fit = Ridge(alpha=100.0).fit(inputs[known], train[1:, station][known])
        joint = (fit.predict(later[seen]) - test[1:, station][seen]) ** 2
        own = (alone[1:, station][seen] - test[1:, station][seen]) ** 2
        errors.append((joint.mean(), own.mean()))
    joint, own = np.mean(errors, axis=0)
    assert joint < 0.85 * own


def test_waves_are_the_weather_without_its_climate():
    plans = [WeatherPlan(max_degree=5, seed=seed) for seed in (0, 1)]
    fields, waves = (
        np.stack(parts)
        for parts in zip(
            *(
                (
                    simulated_weather(plan, Healpix(2), num_times=6).read(range(6)),
                    travelling_waves(plan, Healpix(2), np.arange(6)),
                )
                for plan in plans
            ),
            strict=True,
        )
    )
    # the climate of both is the same; 5 K and 80 m are the deviations
    difference = (fields[1] - fields[0]) / np.array([5.0, 80.0])
    np.testing.assert_allclose(difference, waves[1] - waves[0], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("num_stations", 7, "num_stations must be at least 8, got 7"),
        ("num_days", 0, "num_days must be at least 1, got 0"),
        ("seed", -1, "seed must be at least 0, got -1"),
        ("missing", 0.6, "missing must be between 0 and 0.5, got 0.6"),
        ("outliers", -0.1, "outliers must be between 0 and 1, got -0.1"),
        ("start", "spring", "start must be a date such as '2010-01-01', got 'spring'"),
    ],
)
def test_plan_out_of_range_is_rejected(name, value, rule):
    with pytest.raises(ValueError, match=rule):
        SimulatedStationsPlan(**{name: value})


def test_few_places_are_rejected():
    with pytest.raises(ValueError, match="num_stations must be at least 8, got 5"):
        simulated_places(5)
