"""Records of stations, and tables of them, that the tests of several forms of files share."""

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_records import station_records

DAYS = np.datetime64("2019-12-30") + np.arange(5)


def _made_records(
    num_stations=4, channels=("tmax", "prcp"), units=("°C", "mm"), times=DAYS, seed=0
):
    """Records with gaps and a silent day, to the digits that a table would have."""
    generator = np.random.default_rng(seed)
    values = generator.normal(10, 9, (len(times), num_stations, len(channels))).round(1)
    values[generator.random(values.shape) < 0.2] = np.nan
    values[2] = np.nan
    return station_records(
        generator.uniform(-180, 180, num_stations).round(4),
        generator.uniform(-90, 90, num_stations).round(4),
        values,
        times,
        ids=[f"00{index}" for index in range(num_stations)],
        names=[f"Place, {index}" for index in range(num_stations)],
        elevation_m=[float(index) if index else np.nan for index in range(num_stations)],
        channel_names=channels,
        units=units,
    )


def _long_table(records, headers=None, time="%Y-%m-%d"):
    """A row for each station and time, written naively."""
    rows = []
    for index, when in enumerate(records.times):
        for station, key in enumerate(records.ids):
            rows.append(
                {
                    "id": key,
                    "date": pd.Timestamp(when).strftime(time),
                    "lat": records.lat_deg[station],
                    "lon": (records.lon_deg[station] + 180) % 360 - 180,
                    "name": records.names[station],
                    "elev_m": records.elevation_m[station],
                    **{
                        name: records.values[index, station, channel].astype(float)
                        for channel, name in enumerate(records.channel_names)
                    },
                }
            )
    return pd.DataFrame(rows).rename(columns=headers or {})


def _station_list(records):
    return pd.DataFrame(
        {"id": records.ids, "lat": records.lat_deg, "lon": records.lon_deg, "name": records.names}
    )


def _assert_same(found, expected, *, beside=True):
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.sampling.points, expected.sampling.points, atol=1e-12)
    np.testing.assert_array_equal(found.times, expected.times)
    assert found.channel_names == expected.channel_names
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6, atol=1e-5)
    if beside:
        assert found.names == expected.names
        np.testing.assert_array_equal(found.elevation_m, expected.elevation_m)


def _assert_identical(found, expected, *, notes=True):
    assert found.sampling == expected.sampling
    for name in ("ids", "names", "channel_names", "units", *(["notes"] if notes else [])):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.elevation_m, expected.elevation_m)
    assert found.values.tobytes() == expected.values.tobytes() or np.array_equal(
        found.values, expected.values, equal_nan=True
    )


@pytest.fixture(scope="session")
def made_records():
    """Makes records with gaps and a silent day."""
    return _made_records


@pytest.fixture(scope="session")
def long_table():
    """Writes records as a table with a row for each station and time."""
    return _long_table


@pytest.fixture(scope="session")
def station_list():
    """Writes where the stations of records are."""
    return _station_list


@pytest.fixture(scope="session")
def assert_same():
    """Compares records whose numbers went through other units or texts."""
    return _assert_same


@pytest.fixture(scope="session")
def assert_identical():
    """Compares records to the bit."""
    return _assert_identical
