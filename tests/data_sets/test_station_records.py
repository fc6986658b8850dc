"""Laws of records: each place and time once, what was measured untouched, the past first."""

import numpy as np
import pytest

from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.data.station_rules import complete_stations, filled_stations
from deepsphere.data.station_splits import split_records
from deepsphere.graph import build_graph, interpolate
from deepsphere.sampling import Healpix, Scattered


def days(number, start="2020-01-01"):
    return np.datetime64(start) + np.arange(number)


def made(num_times=30, num_stations=12, channels=("tmax", "tmin"), gaps=0.3, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.normal(10, 5, (num_times, num_stations, len(channels))).astype(np.float32)
    values[generator.random(values.shape) < gaps] = np.nan
    return station_records(
        generator.uniform(-180, 180, num_stations),
        generator.uniform(-80, 80, num_stations),
        values,
        days(num_times),
        ids=[f"s{index}" for index in range(num_stations)],
        elevation_m=generator.uniform(0, 3000, num_stations),
        channel_names=channels,
        units=["°C"] * len(channels),
    )


def same(first, second):
    assert first.sampling == second.sampling
    assert first.ids == second.ids
    assert first.names == second.names
    assert first.channel_names == second.channel_names
    assert first.units == second.units
    np.testing.assert_array_equal(first.times, second.times)
    np.testing.assert_array_equal(first.elevation_m, second.elevation_m)
    np.testing.assert_array_equal(first.values, second.values)


# places


@pytest.mark.parametrize("lon", [(180.0, -180.0), (0.0, 360.0), (359.5, -0.5), (10.0, 10.0)])
def test_stations_at_the_same_place_become_one_with_the_mean_of_what_they_report(lon):
    values = np.array([[1.0, 5.0, 0.0], [np.nan, 5.0, 0.0], [1.0, np.nan, 0.0], [np.nan] * 3])
    records = station_records(
        [lon[0], lon[1], 50.0],
        [10.0, 10.0, 0.0],
        values,
        days(4),
        ids=["a", "b", "c"],
        names=["A", "B", "C"],
        elevation_m=[np.nan, 7.0, 8.0],
    )
    assert records.ids == ("a", "c")
    assert records.names == ("A", "C")
    np.testing.assert_array_equal(records.elevation_m, [7.0, 8.0])
    np.testing.assert_array_equal(records.column("value")[:, 0], [3.0, 5.0, 1.0, np.nan])
    assert any("b into a" in note for note in records.notes)


def test_all_stations_at_a_pole_are_at_one_place_whatever_their_longitude():
    records = station_records(
        [0.0, 90.0, 5.0, 17.0], [90.0, 90.0, 0.0, -90.0], np.arange(8.0).reshape(2, 4), days(2)
    )
    assert records.num_stations == 3
    np.testing.assert_array_equal(records.column("value")[0], [0.5, 2.0, 3.0])


def test_a_chain_of_stations_at_one_place_is_merged_once():
    lon = [20.0, 30.0, 20.0, 20.0, 30.0]
    values = np.arange(10.0).reshape(2, 5)
    records = station_records(lon, [0.0] * 5, values, days(2))
    np.testing.assert_array_equal(records.lon_deg, [20.0, 30.0])
    np.testing.assert_allclose(records.column("value")[0], [(0 + 2 + 3) / 3, (1 + 4) / 2])


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(np.nan, 10.0), (10.0, np.nan), (10.0, 90.5), (10.0, -999.0), (361.0, 0.0), (np.inf, 0.0)],
)
def test_a_station_without_a_position_is_dropped_and_told(lon, lat):
    records = station_records(
        [8.5, lon, 6.1], [47.0, lat, 46.0], np.arange(6.0).reshape(2, 3), days(2), ids="abc"
    )
    assert records.ids == ("a", "c")
    np.testing.assert_array_equal(records.column("value"), [[0.0, 2.0], [3.0, 5.0]])
    assert records.notes == ("1 of 3 stations dropped, which have no position: b",)


def test_one_station_at_zero_is_a_buoy_and_several_have_no_position():
    values = np.zeros((2, 3))
    assert station_records([0, 1, 2], [0, 0, 0], values, days(2)).num_stations == 3
    assert station_records([0, 0, 2], [0, 0, 0], values, days(2)).num_stations == 1


def test_no_station_with_a_position_is_rejected():
    with pytest.raises(ValueError, match="lon_deg and lat_deg must be known for a station, got 2"):
        station_records([np.nan, 0.0], [0.0, np.nan], np.zeros((2, 2)), days(2))


def test_swapped_longitudes_and_latitudes_are_rejected():
    with pytest.raises(ValueError, match=r"lat_deg must be between -90 and 90, got 151.*swap them"):
        station_records([-33.9, -37.8], [151.2, 145.0], np.zeros((2, 2)), days(2))


def test_longitudes_and_values_are_kept_to_the_bit():
    records = made()
    again = station_records(
        records.lon_deg,
        records.lat_deg,
        records.values,
        records.times,
        ids=records.ids,
        elevation_m=records.elevation_m,
        channel_names=records.channel_names,
        units=records.units,
    )
    same(records, again)
    assert not again.notes


# times


def test_times_are_sorted_with_their_values():
    order = [2, 0, 3, 1]
    values = np.arange(8.0).reshape(4, 2)
    records = station_records([0, 10], [0, 0], values[order], days(4)[order])
    np.testing.assert_array_equal(records.times, days(4))
    np.testing.assert_array_equal(records.column("value"), values)


def test_a_time_that_is_there_twice_is_averaged_over_what_reports():
    values = np.array([[1.0, np.nan], [4.0, 6.0], [3.0, 8.0]])
    records = station_records([0, 10], [0, 0], values, days(2)[[0, 1, 0]])
    np.testing.assert_array_equal(records.column("value"), [[2.0, 8.0], [4.0, 6.0]])
    assert "1 of 3 times are there several times" in records.notes[0]


def test_a_day_on_which_all_are_silent_stays_a_time():
    values = np.ones((3, 2))
    values[1] = np.nan
    records = station_records([0, 10], [0, 0], values, days(3))
    assert len(records) == 3
    assert np.isnan(records.values[1]).all()


def test_missing_days_are_gaps_whatever_the_most_frequent_difference():
    chosen = days(60)[[0, 2, 4, 6, 9, 59]]
    records = station_records([0, 10], [0, 0], np.zeros((6, 2)), chosen)
    assert str(records.axis.step) == "1 day"
    np.testing.assert_array_equal(records.axis.positions, [0, 2, 4, 6, 9, 59])


def test_times_without_a_common_step_are_rejected():
    times = np.array(["2020-01-01T00:00", "2020-01-01T01:00", "2020-01-01T01:07"], "datetime64[s]")
    with pytest.raises(ValueError, match="times must be on a regular step"):
        station_records([0, 10], [0, 0], np.zeros((3, 2)), times)


def test_number_of_times_is_checked(unchecked):
    with pytest.raises(ValueError, match="times must be one for each of 3 values, got 2"):
        station_records([0, 10], [0, 0], np.zeros((3, 2)), days(2))


# what does not fit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["a", "a"]}, "ids must be different and not empty, got 'a'"),
        ({"ids": ["a", ""]}, "ids must be different and not empty, got ''"),
        ({"ids": ["a"]}, "ids must be one for each of 2 stations, got 1"),
        ({"names": ["a"]}, "names must be one for each of 2 stations, got 1"),
        ({"elevation_m": [1.0]}, "elevation_m must be one for each of 2 stations, got 1"),
        ({"channel_names": ["a", "b"]}, "units must be one for each of 2 channels, got 1"),
        ({"channel_names": [""]}, "channel_names must be different and not empty"),
        ({"units": ["", ""]}, "units must be one for each of 1 channels, got 2"),
    ],
)
def test_what_does_not_fit_the_stations_is_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        station_records([0, 10], [0, 0], np.zeros((3, 2)), days(3), **options)


def test_shape_of_values_is_checked(unchecked):
    with pytest.raises(ValueError, match=r"values must have shape \(times, stations, channels\)"):
        station_records([0, 10], [0, 0], np.zeros((3, 3)), days(3))


def test_infinite_values_are_rejected_with_the_station_and_day():
    values = np.zeros((3, 2))
    values[1, 1] = np.inf
    with pytest.raises(ValueError, match="got an infinite value of station b at 2020-01-02"):
        station_records([0, 10], [0, 0], values, days(3), ids="ab")
    values[1, 1] = 1e300
    with pytest.raises(ValueError, match="infinite"):
        station_records([0, 10], [0, 0], values, days(3), ids="ab")


def test_parts_of_records_are_checked(unchecked):
    records = made()
    parts = {name: getattr(records, name) for name in records.__dataclass_fields__}
    with pytest.raises(ValueError, match="elevation_m must be one for each of 12 places, got 3"):
        StationRecords(**{**parts, "elevation_m": np.zeros(3)})
    with pytest.raises(ValueError, match="values must be float32 of shape"):
        StationRecords(**{**parts, "values": records.values.astype(np.float64)})


def test_inputs_are_not_modified_and_a_masked_array_is_read():
    lon, lat, values = np.array([180.0, -180.0]), np.array([1.0, 1.0]), np.ones((3, 2))
    before = lon.copy(), lat.copy(), values.copy()
    station_records(lon, lat, values, days(3))
    for one, other in zip((lon, lat, values), before, strict=True):
        np.testing.assert_array_equal(one, other)
    masked = np.ma.masked_equal(np.array([[1.0, -9.0]]), -9.0)
    column = station_records([0, 1], [0, 0], masked, days(1)).column("value")
    np.testing.assert_array_equal(column, [[1.0, np.nan]])


# parts


def test_take_select_and_between_agree_with_indexing():
    records = made()
    chosen = [7, 2, 5]
    part = records.take(chosen).select(["tmin"]).between("2020-01-05", "2020-01-12")
    np.testing.assert_array_equal(part.values, records.values[4:11, chosen][..., [1]])
    np.testing.assert_array_equal(part.lon_deg, records.lon_deg[chosen])
    np.testing.assert_array_equal(part.elevation_m, records.elevation_m[chosen])
    assert part.ids == ("s7", "s2", "s5")
    np.testing.assert_array_equal(part.times, records.times[4:11])
    np.testing.assert_array_equal(part.at(["2020-01-06"]), part.values[1:2])
    mask = np.arange(12) % 3 == 0
    same(records.take(mask), records.take(np.flatnonzero(mask)))


def test_unknown_channels_and_stations_are_rejected():
    records = made()
    for call in (records.select, records.column):
        name = ["snow"] if call == records.select else "snow"
        with pytest.raises(ValueError, match="channels must be among tmax, tmin, got 'snow'"):
            call(name)
    with pytest.raises(ValueError, match="channels must be among tmax, tmin, got none"):
        records.select([])
    with pytest.raises(ValueError, match="stations must be at least one index from 0 to 11"):
        records.take([12])
    with pytest.raises(ValueError, match="stations must be at least one index from 0 to 11"):
        records.take(np.zeros(12, bool))
    with pytest.raises(ValueError, match="a mask of 12 stations, got a mask of shape"):
        records.take(np.ones(3, bool))


def test_series_holds_the_same_values_on_the_same_places():
    records = made()
    series = records.series()
    assert series.sampling == records.sampling
    np.testing.assert_array_equal(series.read(range(30)), records.values)
    np.testing.assert_array_equal(series.times, records.times)
    assert (series.channel_names, series.units) == (records.channel_names, records.units)


def test_with_values_keeps_places_and_takes_new_times():
    records = made()
    again = records.with_values(
        records.values[5:, :, :1] + 1, channel_names=["x"], units=[""], times=records.times[5:]
    )
    assert again.sampling == records.sampling
    assert again.channel_names == ("x",)
    np.testing.assert_array_equal(again.times, records.times[5:])
    later = records.with_values(records.values[:1], times=days(1, "2031-05-05"))
    np.testing.assert_array_equal(later.times, days(1, "2031-05-05"))


def test_representation_says_how_much_of_what():
    assert repr(made()) == (
        "StationRecords(12 stations, 30 times from 2020-01-01 to 2020-01-30, tmax in °C, "
        "tmin in °C)"
    )


# rules of the paper


@pytest.mark.parametrize("fraction", [0.2, 0.6, 0.75])
def test_complete_stations_are_those_that_report_often_enough(fraction):
    records = made(num_stations=40, gaps=0.0)
    silent = np.linspace(0, 30, 40).astype(int)
    for station, number in enumerate(silent):
        records.values[:number, station, station % 2] = np.nan
    kept = complete_stations(records, fraction=fraction)
    naive = [
        name
        for index, name in enumerate(records.ids)
        if min(
            sum(not np.isnan(value) for value in records.values[:, index, channel]) / 30
            for channel in range(2)
        )
        >= fraction
    ]
    assert kept.ids == tuple(naive)
    assert 0 < len(naive) < 40
    assert "stations left out, which report at " in kept.notes[-1]


def test_complete_records_have_no_gap_and_only_named_channels_count():
    records = made(gaps=0.0)
    records.values[3, 4, 0] = np.nan
    records.values[3, 5, 1] = np.nan
    assert not np.isnan(complete_stations(records).values).any()
    assert complete_stations(records).num_stations == 10
    assert complete_stations(records, channels=["tmin"]).num_stations == 11
    assert complete_stations(records, channels=["tmin"]).channel_names == ("tmax", "tmin")


def test_fraction_that_leaves_no_station_is_rejected():
    records = made(gaps=0.0)
    records.values[:3] = np.nan
    with pytest.raises(ValueError, match=r"fraction must leave a station, got 1 where .* 0.9 of"):
        complete_stations(records)
    with pytest.raises(ValueError, match="fraction must be above 0 and at most 1, got 0"):
        complete_stations(records, fraction=0.0)


def test_filling_keeps_what_was_measured_and_agrees_with_the_interpolation_of_each_day():
    records = made(num_stations=30, num_times=5)
    graph = build_graph(records.sampling, num_neighbors=6, weights="gaussian")
    filled = filled_stations(records, graph=graph)
    known = records.observed
    np.testing.assert_array_equal(filled.values[known], records.values[known])
    for time in range(5):
        for channel in range(2):
            present = known[time, :, channel]
            expected = interpolate(
                graph, records.values[time, :, channel : channel + 1].astype(float), present
            )
            np.testing.assert_allclose(
                filled.values[time, :, channel], expected[:, 0], rtol=1e-5, atol=1e-5
            )
    assert "0.0% are still missing" in filled.notes[-1]


def test_filling_never_looks_at_another_day():
    records = made(num_stations=30)
    other = records.with_values(records.values.copy())
    other.values[11:] += 100
    np.testing.assert_array_equal(
        filled_stations(records).values[:11], filled_stations(other).values[:11]
    )


def test_a_silent_day_and_a_silent_component_stay_missing():
    lon = np.r_[np.arange(6.0), 180 + np.arange(6.0)]
    values = np.tile(np.arange(12.0), (3, 1))
    values[0, 2] = np.nan
    values[1, 6:] = np.nan
    values[2] = np.nan
    records = station_records(lon, np.zeros(12), values, days(3))
    graph = build_graph(records.sampling, num_neighbors=2, weights="gaussian", disconnected="allow")
    filled = filled_stations(records, graph=graph).column("value")
    assert 1 < filled[0, 2] < 3
    np.testing.assert_array_equal(filled[1, :6], values[1, :6])
    assert np.isnan(filled[1, 6:]).all()
    assert np.isnan(filled[2]).all()


def test_complete_records_and_single_stations_need_no_graph():
    records = made(gaps=0.0)
    assert filled_stations(records) is records
    single = station_records([0], [0], np.array([[1.0], [np.nan]]), days(2))
    assert filled_stations(single) is single


def test_graph_of_other_places_is_rejected():
    with pytest.raises(ValueError, match="graph must be on the places of the records"):
        filled_stations(made(), graph=build_graph(Healpix(4)))


# splits


def test_parts_in_time_are_all_times_once_in_order():
    records = made(num_times=47)
    parts = split_records(records)
    np.testing.assert_array_equal(np.concatenate([part.times for part in parts]), records.times)
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), records.values)
    assert [len(part) for part in parts] == [33, 7, 7]


def test_starts_and_fractions_are_taken_as_given():
    records = made(num_times=40)
    train, validation, test = split_records(
        records, validation_start="2020-01-11", test_start="2020-01-21"
    )
    assert [len(part) for part in (train, validation, test)] == [10, 10, 20]
    train, validation, test = split_records(records, validation_fraction=0.0, test_fraction=0.25)
    assert (len(train), validation, len(test)) == (30, None, 10)
    assert split_records(records, validation_fraction=0.0, test_fraction=0.0).test is None


def test_history_is_added_before_parts_but_never_behind_them():
    records = made(num_times=40)
    plain = split_records(records)
    parts = split_records(records, history=5)
    same(parts.train, plain.train)
    for part, bare in zip(parts[1:], plain[1:], strict=True):
        np.testing.assert_array_equal(part.times[5:], bare.times)
    assert parts.validation.times[-1] < plain.test.times[0]


def test_wrong_fractions_are_rejected():
    for fractions in ((-0.1, 0.1), (0.5, 0.5)):
        with pytest.raises(ValueError, match="validation_fraction and test_fraction must not be"):
            split_records(made(), validation_fraction=fractions[0], test_fraction=fractions[1])


def test_starts_in_the_wrong_order_and_too_few_times_are_rejected():
    with pytest.raises(ValueError, match="validation_start must be before test_start"):
        split_records(made(), validation_start="2020-01-21", test_start="2020-01-11")
    with pytest.raises(ValueError, match="a time for each of 3 parts, got 2; give more times"):
        split_records(made(num_times=2))


def test_ids_may_be_of_a_subset_in_any_order():
    records = made().take([3, 1])
    assert isinstance(records.sampling, Scattered)
    assert records.ids == ("s3", "s1")
