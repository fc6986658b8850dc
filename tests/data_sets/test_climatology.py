"""What is usual at a time of the year, and fields that follow from the time."""

import cftime
import numpy as np
import pytest

from deepsphere.data.climatology import Climatology, climatology
from deepsphere.data.field_series import array_series
from deepsphere.data.known_fields import ComputedFields, JoinedFields, position_fields
from deepsphere.sampling import Equiangular, Healpix
from deepsphere.tasks.forecast_scores import reference_forecasts

SAMPLING = Healpix(1)


def fields_at(times: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(times), 12, 2)).astype(np.float32)


def test_climatology_of_months_is_the_mean_of_each_month():
    months = np.arange("2010-03", "2014-02", dtype="datetime64[M]")
    values = fields_at(months)
    values[5, 3, 0] = np.nan
    values[[1, 13, 25, 37], 7, 1] = np.nan  # every April
    usual = climatology(array_series(values, months, SAMPLING))
    assert usual.kind == "month"
    number = np.array([(3 + index - 1) % 12 for index in range(len(months))])
    for month in range(12):
        with np.errstate(invalid="ignore"):
            chosen = values[number == month].astype(np.float64)
            counts = (~np.isnan(chosen)).sum(axis=0)
            expected = np.nansum(chosen, axis=0) / np.where(counts, counts, np.nan)
        found = usual.at(months[number == month][:1])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(usual.at(np.array(["2000-04"], "datetime64[M]"))[0, 7, 1])


def test_anomalies_have_no_mean_in_any_month():
    months = np.arange("2010-01", "2014-01", dtype="datetime64[M]")
    values = fields_at(months)
    series = array_series(values, months, SAMPLING)
    anomalies = climatology(series).anomalies(values, series.times)
    np.testing.assert_allclose(anomalies.reshape(4, 12, 12, 2).mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("days", [0, 3])
def test_climatology_of_days_and_hours_is_a_mean_over_the_dates_nearby(days):
    times = np.arange("2001-12-20", "2004-01-12", np.timedelta64(12, "h"), "datetime64[h]")
    values = fields_at(times)
    usual = climatology(array_series(values, times, SAMPLING), smoothing_days=days)
    assert (usual.kind, usual.num_hours) == ("day", 2)
    for text in ("2003-01-02T12", "2003-06-15T00", "2003-12-30T12"):
        wanted = np.datetime64(text)
        # no leap year between: dates are counted by days of a year of 365
        day_of_year = (times - times.astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
        own = (wanted - wanted.astype("datetime64[Y]")).astype("timedelta64[D]").astype(int)
        distance = np.abs(day_of_year - own)
        near = np.minimum(distance, 365 - distance) <= days
        near &= (times - times.astype("datetime64[D]")).astype(int) == int(text[-2:])
        expected = values[near].mean(axis=0, dtype=np.float64)
        found = usual.at(np.array([wanted], "datetime64[s]"))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_leap_day_that_was_not_seen_is_as_the_day_before():
    days = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    usual = climatology(array_series(fields_at(days), days, SAMPLING))
    leap, before = usual.at(np.array(["2004-02-29", "2004-02-28"], "datetime64[s]"))
    assert np.array_equal(leap, before)


def test_climatology_of_another_calendar_has_its_days():
    times = np.array(
        [cftime.Datetime360Day(2000 + n // 360, n % 360 // 30 + 1, n % 30 + 1) for n in range(720)]
    )
    values = fields_at(times)
    usual = climatology(array_series(values, times, SAMPLING))
    expected = values.reshape(2, 360, 12, 2).mean(axis=0)
    np.testing.assert_allclose(usual.at(times[:360]), expected, atol=1e-6)
    assert usual.at(np.array([cftime.Datetime360Day(2010, 2, 30)])).shape == (1, 12, 2)


def test_climatology_survives_as_plain_values():
    months = np.arange("2010-01", "2012-01", dtype="datetime64[M]")
    usual = climatology(array_series(fields_at(months), months, SAMPLING))
    again = Climatology.from_values(usual.values)
    assert np.array_equal(again.at(months), usual.at(months))


def test_climatology_of_a_part_of_the_year_is_rejected_elsewhere():
    months = np.arange("2010-01", "2010-07", dtype="datetime64[M]")
    usual = climatology(array_series(fields_at(months), months, SAMPLING))
    with pytest.raises(ValueError, match="got 2010-08-01, for which the climatology has none"):
        usual.at(np.array(["2010-08-01"], "datetime64[s]"))


def test_climatologies_out_of_range_are_rejected(unchecked):
    months = np.arange("2010-01", "2010-07", dtype="datetime64[M]")
    series = array_series(fields_at(months), months, SAMPLING)
    with pytest.raises(ValueError, match="kind must be one of month, day, got 'week'"):
        climatology(series, kind="week")
    with pytest.raises(ValueError, match="smoothing_days must be between 0 and 182, got 400"):
        climatology(series, smoothing_days=400)
    means = np.zeros((2, 12, 1))
    with pytest.raises(ValueError, match="bins must be 12 for 'month', got"):
        Climatology("month", means, np.zeros(5, int))
    with pytest.raises(ValueError, match="bins must be below the number of means, 2, got 2"):
        Climatology("month", means, np.full(12, 2))


def test_anomaly_persistence_keeps_the_anomaly_and_persistence_the_field():
    months = np.arange("2010-01", "2014-01", dtype="datetime64[M]")
    values = fields_at(months)
    series = array_series(values, months, SAMPLING)
    usual = climatology(series)
    starts = np.array([3, 20])
    options = {"starts": starts, "num_steps": 2, "step": 3, "climatology": usual}
    raw = list(reference_forecasts("persistence", series, **options))
    anomaly = list(reference_forecasts("anomaly_persistence", series, **options))
    mean = list(reference_forecasts("climatology", series, **options))
    for number in (1, 2):
        ahead = series.times[starts + 3 * number]
        for found in (raw, anomaly, mean):
            assert found[number - 1][0] == number
            assert np.array_equal(found[number - 1][1], ahead)
        assert np.array_equal(raw[number - 1][2], values[starts])
        expected = values[starts] - usual.at(series.times[starts]) + usual.at(ahead)
        np.testing.assert_allclose(anomaly[number - 1][2], expected, atol=1e-6)
        assert np.array_equal(mean[number - 1][2], usual.at(ahead))
    with pytest.raises(ValueError, match="climatology must be given for 'climatology', got none"):
        list(reference_forecasts("climatology", series, starts=starts, num_steps=1))


def test_reference_that_does_not_exist_is_rejected(unchecked):
    months = np.arange("2010-01", "2011-01", dtype="datetime64[M]")
    series = array_series(fields_at(months), months, SAMPLING)
    with pytest.raises(ValueError, match="kind must be one of persistence, anomaly_persistence"):
        list(reference_forecasts("luck", series, starts=np.array([0]), num_steps=1))


# fields that are computed


def test_daily_insolation_is_the_mean_of_the_insolation_of_the_day():
    sampling = Equiangular(13, 8, poles=2)
    for day in ("2021-03-21", "2021-06-21", "2021-10-05"):
        minutes = np.datetime64(day, "s") + np.arange(0, 1440, 10) * np.timedelta64(60, "s")
        now = ComputedFields(("insolation",), sampling).at(minutes)[..., 0]
        noon = np.array([np.datetime64(f"{day}T12", "s")])
        mean = ComputedFields(("daily_insolation",), sampling).at(noon)[0, :, 0]
        # the declination moves by up to .2 degrees from midnight to noon
        np.testing.assert_allclose(now.mean(axis=0), mean, rtol=0.02, atol=3.0)


def test_sun_is_highest_where_it_is_noon():
    sampling = Equiangular(9, 24, poles=2)
    time = np.array(["2021-03-20T06:00"], "datetime64[s]")
    values = ComputedFields(("insolation", "cos_local_time"), sampling).at(time)[0]
    highest = int(values[:, 0].argmax())
    assert abs(np.rad2deg(sampling.lon[highest]) - 90) < 10
    assert abs(np.rad2deg(sampling.lat[highest])) < 12
    # local time is counted from midnight
    assert values[highest, 1] < -0.95


def test_season_goes_around_once_a_year():
    times = np.array(["2021-01-01", "2021-04-02T06:00", "2021-07-02T12:00"], "datetime64[s]")
    values = ComputedFields(("sin_year", "cos_year"), SAMPLING).at(times)
    np.testing.assert_allclose(values[:, 0], [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    assert np.ptp(values, axis=1).max() == 0


def test_joined_fields_stand_side_by_side():
    parts = [ComputedFields((name,), SAMPLING) for name in ("sin_local_time", "cos_year")]
    joined = JoinedFields(parts)
    times = np.array(["2021-04-01T09:00"], "datetime64[s]")
    both = ComputedFields(("sin_local_time", "cos_year"), SAMPLING).at(times)
    assert np.array_equal(joined.at(times), both)
    np.testing.assert_allclose(joined.subset(np.array([5])).at(times), both[:, [5]], atol=1e-6)


def test_positions_are_coordinates():
    x, y, z = SAMPLING.points.T
    found = position_fields(SAMPLING, ("sin_lat", "cos_lat", "sin_lon", "cos_lon"))
    np.testing.assert_allclose(found[:, 0], z, atol=1e-6)
    np.testing.assert_allclose(found[:, 1] * found[:, 3], x, atol=1e-6)
    np.testing.assert_allclose(found[:, 1] * found[:, 2], y, atol=1e-6)


def test_fields_that_are_not_known_are_rejected(unchecked):
    with pytest.raises(ValueError, match=r"names must be of sin_lat, .*, got 'lat'"):
        position_fields(SAMPLING, ("lat",))
    with pytest.raises(
        ValueError, match=r"names must be different ones of sin_year, .*\('moon',\)"
    ):
        ComputedFields(("moon",), SAMPLING)
    year = ComputedFields(("sin_year",), SAMPLING)
    with pytest.raises(ValueError, match="parts must have channels with different names, got"):
        JoinedFields([year, year])
    with pytest.raises(ValueError, match="parts must be on one sampling, got several"):
        JoinedFields([year, ComputedFields(("cos_year",), Healpix(2))])
