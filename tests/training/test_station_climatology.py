"""What is usual at stations: least squares, of the training alone, and of neighbors elsewhere."""

import numpy as np

from deepsphere.data.calendars import year_fractions
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.training.station_climatology import StationClimatology, fit_climatology

DAYS = np.arange("2018-01-01", "2021-01-01", dtype="datetime64[D]")
LON, LAT = [0.0, 179.99, -179.99, 20.0, 100.0], [90.0, 10.0, 10.0, -40.0, 0.0]


def made_records(seed: int = 0) -> StationRecords:
    """Seasons with gaps; one station never reports."""
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * year_fractions(DAYS)
    values = 15 - 10 * np.cos(angle)[:, None] * [1.0, 0.5, 0.6, -1.0, 0.0]
    values += generator.normal(size=values.shape)
    values[generator.random(values.shape) < 0.3] = np.nan
    values[:, 2] = np.nan
    return station_records(LON, LAT, values, DAYS, channel_names=["tavg"])


def test_climatology_is_a_penalized_least_squares_fit() -> None:
    records = made_records()
    found = fit_climatology(records).coefficients[:, 0]
    angle = 2 * np.pi * year_fractions(DAYS)
    columns = [np.ones(len(DAYS))]
    for number in (1, 2):
        columns += [np.cos(number * angle), np.sin(number * angle)]
    basis = np.stack(columns, axis=1)
    column = records.column("tavg").astype(np.float64)
    center = np.nanmean(column)
    for station in (0, 1, 3, 4):
        there = ~np.isnan(column[:, station])
        # the prior as observations of zero: a tenth of a day of no deviation, five of no season
        rows = np.vstack([basis[there], np.sqrt(np.diag([0.1, 5, 5, 5, 5]))])
        right = np.concatenate([column[there, station] - center, np.zeros(5)])
        expected = np.linalg.lstsq(rows, right, rcond=None)[0] + [center, 0, 0, 0, 0]
        np.testing.assert_allclose(found[station], expected, rtol=1e-4, atol=1e-4)


def test_stations_that_are_not_known_take_that_of_neighbors() -> None:
    records = made_records()
    usual = fit_climatology(records)
    # 2 km across the date line lies the only station near
    np.testing.assert_allclose(usual.coefficients[2], usual.coefficients[1], atol=1e-2)
    known = np.array([True, False, True, True, True])
    hidden = fit_climatology(records, known=known)
    np.testing.assert_array_equal(hidden.coefficients[[0, 3, 4]][..., 1:].shape, (3, 1, 4))
    changed = records.with_values(
        np.where(known[:, None], records.values, np.float32(1000)), times=records.times
    )
    np.testing.assert_array_equal(
        fit_climatology(changed, known=known).coefficients, hidden.coefficients
    )


def test_climatology_goes_to_other_stations_and_to_plain_values() -> None:
    records = made_records()
    usual = fit_climatology(records)
    moved = usual.on(
        station_records([20.0, 20.5], [-40.0, -40.0], np.ones((1, 2)), DAYS[:1]).sampling
    )
    np.testing.assert_array_equal(moved.coefficients[0], usual.coefficients[3])
    np.testing.assert_allclose(moved.coefficients[1], usual.coefficients[3], atol=0.2)
    again = StationClimatology.from_values(usual.values)
    np.testing.assert_array_equal(again.at(DAYS[:9]), usual.at(DAYS[:9]))


def test_seasons_stay_small_where_they_are_not_observed() -> None:
    records = made_records().take_times(np.arange(20))
    usual = fit_climatology(records).at(DAYS[:365])
    measured = records.values[~np.isnan(records.values)]
    assert usual.max() < measured.max() + 3 * measured.std()
    assert usual.min() > measured.min() - 3 * measured.std()
