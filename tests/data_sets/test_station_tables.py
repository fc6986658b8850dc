"""Tables of any form hold the same records."""

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_records import station_records
from deepsphere.data.station_tables import read_stations

DAYS = np.datetime64("2019-12-30") + np.arange(5)


# a row for each station and time


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"id": "STATION", "date": "DATE", "lat": "LATITUDE", "lon": "LONGITUDE", "tmax": "TMAX"},
        {"id": "staid", "date": "time", "lat": "Lat", "lon": "lng", "elev_m": "ALTITUDE"},
        {"id": "wmo", "date": "day", "lat": "lat_deg", "lon": "Longitude (deg)", "prcp": "Rain"},
        {"id": "Station ID", "date": "Date", "lat": "latitude [°N]", "lon": "long"},
    ],
)
def test_columns_are_recognised_whatever_their_names(
    made_records, long_table, assert_same, headers
):
    records = made_records()
    assert_same(read_stations(long_table(records, headers)), records)


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%dT00:00:00Z"])
def test_dates_are_recognised_where_they_are_beyond_doubt(
    made_records, long_table, assert_same, written
):
    records = made_records()
    assert_same(read_stations(long_table(records, time=written)), records)
    table = long_table(records, time=written)
    if written == "%Y%m%d":
        assert_same(read_stations(table.astype({"date": int})), records)
        assert_same(read_stations(table.astype({"date": float})), records)


def test_dates_of_every_kind_of_column(made_records, long_table, assert_same):
    records = made_records()
    table = long_table(records)
    stamps = pd.to_datetime(table["date"])
    for column in (
        stamps,
        stamps.dt.date,
        stamps.dt.tz_localize("Australia/Sydney"),
        stamps.dt.to_period("D"),
        stamps.astype("datetime64[s]"),
    ):
        assert_same(read_stations(table.assign(date=column)), records)


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"])
def test_dates_that_could_be_two_need_a_format(made_records, long_table, assert_same, written):
    records = made_records(times=np.datetime64("2020-03-01") + np.arange(5))
    table = long_table(records, time=written)
    with pytest.raises(ValueError, match=r"time must be a date such as .* time_format='%d/%m/%Y'"):
        read_stations(table)
    assert_same(read_stations(table, time_format=written), records)


def test_hours_may_be_digits_and_seconds_since_1970_are_not():
    table = pd.DataFrame({"id": "a", "date": [2022013100, 2022013101], "lat": 1.0, "lon": 2.0})
    records = read_stations(table.assign(tmax=1.0))
    assert str(records.times[1]) == "2022-01-31T01:00:00"
    table["date"] = [1512010203, 1512010303]  # in 2017
    with pytest.raises(ValueError, match=r"time must be a date such as .* got '1512010203'"):
        read_stations(table.assign(tmax=1.0))


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%m-%d-%Y"])
def test_dates_are_read_where_a_day_is_beyond_twelve(
    made_records, long_table, assert_same, written
):
    records = made_records()  # with 30 and 31 December
    assert_same(read_stations(long_table(records, time=written)), records)


def test_days_before_months_and_after_them_in_one_table_are_rejected(made_records, long_table):
    table = long_table(made_records(), time="%d/%m/%Y")
    table.loc[0, "date"] = "12/30/2019"
    with pytest.raises(ValueError, match="time must be a date such as"):
        read_stations(table)


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ({"hour": [0, 6, 18]}, ["00:00", "06:00", "18:00"]),
        ({"hour": [0, 630, 1300]}, ["00:00", "06:30", "13:00"]),
        ({"hour": ["0:00", "6:30", "13:00:00"]}, ["00:00", "06:30", "13:00"]),
    ],
)
def test_the_time_of_the_day_may_stand_beside_the_day(clock, expected):
    table = pd.DataFrame({"id": "a", "date": "2020-01-31", "lat": 1.0, "lon": 2.0}, range(3))
    table = table.assign(tmax=[1, 2, 3])
    expected = [f"2020-01-31T{each}" for each in expected]
    records = read_stations(table.assign(**clock))
    assert records.times.tolist() == np.array(expected, "datetime64[s]").tolist()
    np.testing.assert_array_equal(records.column("tmax")[:, 0], [1, 2, 3])
    parts = table.assign(year=2020, month=1, day=31, **clock).drop(columns="date")
    assert read_stations(parts).times.tolist() == records.times.tolist()
    two = table.assign(Time=expected).assign(Time=lambda each: each["Time"].str[11:])
    assert read_stations(two).times.tolist() == records.times.tolist()


def test_a_date_that_is_none_is_named(made_records, long_table):
    table = long_table(made_records(), time="%Y%m%d")
    table.loc[3, "date"] = "20191331"
    with pytest.raises(ValueError, match="20191331"):
        read_stations(table)


@pytest.mark.parametrize("names", [("year", "month", "day"), ("YEAR", "MO", "DY")])
def test_year_month_and_day_are_a_date(made_records, long_table, assert_same, names):
    records = made_records()
    table = long_table(records)
    stamps = pd.to_datetime(table["date"])
    parts = dict(zip(names, (stamps.dt.year, stamps.dt.month, stamps.dt.day), strict=True))
    assert_same(read_stations(table.drop(columns="date").assign(**parts)), records)
    wrong = {**parts, names[1]: 13}
    with pytest.raises(ValueError, match="must be dates"):
        read_stations(table.drop(columns="date").assign(**wrong))


def test_an_index_of_station_and_date_is_read(made_records, long_table, assert_same):
    records = made_records()
    table = long_table(records).set_index(["id", "date"])
    before = table.copy(deep=True)
    assert_same(read_stations(table), records)
    pd.testing.assert_frame_equal(table, before)
    dated = long_table(records).assign(date=lambda one: pd.to_datetime(one["date"]))
    assert_same(read_stations(dated.set_index("date")), records)
    assert_same(
        read_stations(dated.set_index(dated["date"].rename(None)).drop(columns="date")), records
    )
    assert_same(read_stations(dated.set_index("date", drop=False)), records)


def test_a_table_is_not_modified(made_records, long_table):
    table = long_table(made_records())
    table.loc[1, "tmax"] = -9999
    before = table.copy(deep=True)
    read_stations(table)
    pd.testing.assert_frame_equal(table, before)


def test_rows_in_any_order_are_the_same_but_for_the_order_of_stations(
    made_records, long_table, assert_same
):
    records = made_records()
    table = long_table(records).sample(frac=1, random_state=1)
    found = read_stations(table)
    order = [found.ids.index(key) for key in records.ids]
    assert_same(found.take(order), records)


def test_missing_rows_are_missing_values_and_missing_days_are_gaps(
    made_records, long_table, assert_same
):
    records = made_records(times=DAYS[[0, 1, 3, 4]])
    table = long_table(records)
    silent = np.isnan(records.values).all(axis=2).reshape(-1)
    kept = read_stations(table[~silent | (table["date"] == "2020-01-02")])
    assert_same(kept.take([kept.ids.index(key) for key in records.ids]), records)
    assert kept.axis.gaps == ((1, 1),)


def test_repeated_rows_are_averaged_and_told(made_records, long_table):
    records = made_records(channels=("tmax",), units=("°C",))
    table = long_table(records)
    extra = table.iloc[[0, 5]].assign(tmax=[100.0, np.nan])
    found = read_stations(pd.concat([table, extra, extra.iloc[:0]], ignore_index=True))
    first = records.values[0, 0, 0]
    expected = 100.0 if np.isnan(first) else (first + 100) / 2
    np.testing.assert_allclose(found.values[0, 0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(found.values[1:], records.values[1:])
    assert "2 rows repeat a station and a time, and were averaged" in found.notes


def test_rows_without_station_or_date_are_dropped_and_told(made_records, long_table, assert_same):
    table = long_table(made_records())
    broken = pd.concat([table, table.iloc[:2].assign(id=None), table.iloc[2:3].assign(date=None)])
    found = read_stations(broken)
    assert_same(found, made_records())
    assert found.notes == ("3 of 23 rows dropped, without a station or a date",)
    with pytest.raises(ValueError, match="table must have a row with a station and a date"):
        read_stations(table.assign(id=None))


def test_a_station_without_a_position_in_some_rows_has_that_of_the_others(
    made_records, long_table, assert_same
):
    table = long_table(made_records())
    table.loc[table.index % 3 == 0, ["lat", "lon"]] = np.nan
    assert_same(read_stations(table), made_records())
    table.loc[table["id"] == "001", "lat"] = np.nan
    assert read_stations(table).ids == ("000", "002", "003")


def test_a_station_that_moved_is_where_it_was_last_and_this_is_told(made_records, long_table):
    records = made_records()
    table = long_table(records)
    earlier = (table["id"] == "002") & (table["date"] < "2020-01-01")
    table.loc[earlier, "lat"] -= 0.5
    for shuffled in (table, table.sort_values(["id", "date"]), table.iloc[::-1]):
        found = read_stations(shuffled)
        where = dict(zip(found.ids, found.lat_deg, strict=True))
        assert where["002"] == records.lat_deg[2]
        assert "1 station moved, by up to 55.6 km; the latest position counts: 002" in found.notes


def test_moves_across_the_date_line_are_no_moves(made_records, long_table):
    table = long_table(made_records())
    table["lon"] = [180.0, 10.0, 20.0, 30.0] * 3 + [-180.0, 10.0, 20.0, 30.0] * 2
    assert not read_stations(table).notes


def test_stations_without_ids_are_told_by_name_and_place(made_records, long_table):
    records = made_records()
    table = long_table(records)
    assert read_stations(table.drop(columns="id")).ids == records.names
    assert read_stations(table.drop(columns=["id", "name"])).ids == ("0", "1", "2", "3")
    twice = table.drop(columns="id").assign(name="Springfield")
    ids = read_stations(twice).ids
    assert ids == ("Springfield", "Springfield (2)", "Springfield (3)", "Springfield (4)")


def test_numbers_as_identifiers_are_whole_and_texts_keep_their_zeros(
    made_records, long_table, tmp_path
):
    table = long_table(made_records())
    assert read_stations(table.assign(id=[7, 12, 3, 100] * 5)).ids == ("7", "12", "3", "100")
    assert read_stations(table.assign(id=[7.0, 12, 3, 100] * 5)).ids == ("7", "12", "3", "100")
    table.to_csv(tmp_path / "a.csv", index=False)
    assert read_stations(tmp_path / "a.csv").ids == ("000", "001", "002", "003")
    table.assign(id=["NA", "nan", "1e5", "-"] * 5).to_csv(tmp_path / "b.csv", index=False)
    assert read_stations(tmp_path / "b.csv").ids == ("NA", "nan", "1e5", "-")


def test_a_row_for_each_variable_is_read(made_records, long_table, assert_same):
    records = made_records()
    table = long_table(records).melt(
        id_vars=["id", "date", "lat", "lon", "name", "elev_m"],
        var_name="element",
    )
    assert_same(read_stations(table), records)
    found = read_stations(pd.concat([table, table.iloc[:1].assign(value=50.0)]))
    assert "1 rows repeat a station and a time" in found.notes[0]


def test_channels_are_chosen_by_name_or_header(made_records, long_table, assert_same):
    records = made_records()
    table = long_table(records, {"tmax": "Max Temp"})
    assert read_stations(table, channels=["prcp", "tmax"]).channel_names == ("prcp", "tmax")
    assert_same(read_stations(table, channels=["Max Temp"]), records.select(["tmax"]))
    with pytest.raises(ValueError, match="channels must be among tmax, prcp, got 'snow'"):
        read_stations(table, channels=["snow"])


def test_roles_are_named_where_headers_say_nothing(made_records, long_table, assert_same):
    records = made_records()
    table = long_table(records, {"id": "a", "date": "b", "lon": "c", "lat": "d"})
    roles = {"station": "a", "time": "b", "lon": "c", "lat": "d"}
    assert_same(read_stations(table, columns=roles), records)
    with pytest.raises(ValueError, match="columns must name roles of station, name, time"):
        read_stations(table, columns={"place": "a"})
    with pytest.raises(ValueError, match=r"columns must be among .* got 'x' for lon"):
        read_stations(table, columns={"lon": "x"})


def test_what_is_beside_the_measurements_is_no_channel(made_records, long_table):
    table = long_table(made_records()).assign(
        year=2020, TMAX_ATTRIBUTES=",,S", state=3, country_code=7, flag=1, remark="fine"
    )
    found = read_stations(table)
    assert found.channel_names == ("tmax", "prcp")
    assert found.notes == ("columns left out, which hold texts: remark",)


def test_a_list_of_stations_beside_a_long_table(
    made_records, long_table, station_list, assert_same, tmp_path
):
    records = made_records()
    table = long_table(records).drop(columns=["lat", "lon", "name", "elev_m"])
    assert_same(read_stations(table, stations=station_list(records)), records, beside=False)
    station_list(records).to_csv(tmp_path / "list.csv", index=False)
    table.to_csv(tmp_path / "values.csv", index=False)
    found = read_stations(tmp_path / "values.csv", stations=tmp_path / "list.csv")
    assert_same(found, records, beside=False)
    assert found.names == records.names
    with pytest.raises(ValueError, match="table must say where the stations are"):
        read_stations(table)
    short = read_stations(table, stations=station_list(records)[1:])
    assert short.ids == records.ids[1:]
    assert "1 of 4 stations are not in the list: 000" in short.notes
    with pytest.raises(ValueError, match="stations must list those of the table"):
        read_stations(table, stations=station_list(records).assign(id=list("abcd")))
    with pytest.raises(ValueError, match="stations must be a list with columns of ids"):
        read_stations(table, stations=station_list(records).drop(columns="lat"))


def test_tables_that_do_not_say_when_or_what_are_rejected(made_records, long_table, assert_same):
    table = long_table(made_records())
    with pytest.raises(ValueError, match="table must say when"):
        read_stations(table.drop(columns="date"))
    with pytest.raises(ValueError, match="table must have a column of numbers"):
        read_stations(table.drop(columns=["tmax", "prcp"]))
    with pytest.raises(ValueError, match="table must have rows"):
        read_stations(table.iloc[:0])
    with pytest.raises(ValueError, match="table must have different headers, got 'lat' twice"):
        read_stations(table.rename(columns={"lon": "lat"}))
    assert_same(
        read_stations(table.drop(columns="date"), times=table["date"].tolist()), made_records()
    )
    with pytest.raises(ValueError, match="times must be one for each of 20 rows, got 1"):
        read_stations(table.drop(columns="date"), times=["2020-01-01"])


def test_years_months_and_days_of_the_year_are_times(made_records, long_table, assert_same):
    table = long_table(made_records())
    stamps = pd.to_datetime(table["date"])
    bare = table.drop(columns="date")
    assert_same(
        read_stations(bare.assign(Year=stamps.dt.year, DOY=stamps.dt.day_of_year)), made_records()
    )
    for year, doy in ((2019, 366), (2020, 0)):
        with pytest.raises(ValueError, match=f"must be dates, got {year}, 1 and {doy}"):
            read_stations(bare.assign(year=year, doy=doy))
    monthly = read_stations(table.iloc[:4].drop(columns="date").assign(year=2020, month=[7] * 4))
    assert str(monthly.times[0]) == "2020-07-01T00:00:00"
    yearly = bare.assign(year=np.repeat(range(2000, 2005), 4))
    assert [str(time)[:4] for time in read_stations(yearly).times] == [
        "2000", "2001", "2002", "2003", "2004"
    ]  # fmt: skip


def test_a_column_that_is_called_value_is_a_channel(made_records, long_table, assert_same):
    records = made_records(channels=("value",), units=("",))
    assert_same(read_stations(long_table(records)), records)


def test_a_station_at_two_places_at_once_is_no_station(made_records, long_table):
    table = long_table(made_records()).assign(id=["north", "north", "south", "south"] * 5)
    with pytest.raises(ValueError, match="station must tell stations apart, got 'north' at the"):
        read_stations(table)


def test_infinite_values_of_a_table_are_rejected(made_records, long_table):
    table = long_table(made_records())
    table.loc[3, "tmax"] = np.inf
    with pytest.raises(ValueError, match="got an infinite tmax of station 003 at 2019-12-30"):
        read_stations(table)


@pytest.mark.parametrize("seed", range(3))
def test_the_forms_of_a_table_hold_the_same_records(
    made_records, long_table, station_list, assert_same, seed
):
    records = made_records(num_stations=7, channels=("tavg",), units=("°C",), seed=seed)
    long = long_table(records)
    stacked = long.melt(
        id_vars=["id", "date", "lat", "lon", "name", "elev_m"],
        value_vars="tavg",
        var_name="variable",
    )
    wide = long.pivot(index="date", columns="id", values="tavg")
    by_date = wide.T.reset_index().merge(station_list(records))
    for found in (
        read_stations(long),
        read_stations(stacked),
        read_stations(wide, stations=station_list(records), variable="tavg"),
        read_stations(by_date, variable="tavg"),
    ):
        assert_same(found, records, beside=False)


def test_zones_of_arrow_are_left_out_as_others(made_records, long_table, assert_same):
    table = long_table(made_records())
    stamps = pd.to_datetime(table["date"]).dt.tz_localize("Europe/Berlin")
    stamps = stamps.astype("timestamp[ns, tz=Europe/Berlin][pyarrow]")
    assert_same(read_stations(table.assign(date=stamps)), made_records())
    assert_same(read_stations(table.convert_dtypes(dtype_backend="pyarrow")), made_records())
    assert_same(read_stations(table.assign(beside=[[1]] * len(table))), made_records())


def test_names_of_stations_are_enough_beside_a_list(made_records, long_table, station_list):
    records = made_records(channels=("tmax",), units=("",))
    table = long_table(records).drop(columns=["id", "lat", "lon", "elev_m"])
    stations = station_list(records).drop(columns="id").rename(columns={"name": "Location"})
    found = read_stations(table, stations=stations)
    assert found.ids == records.names
    np.testing.assert_array_equal(found.values, records.values)


def test_a_station_at_a_pole_does_not_move(made_records, long_table):
    table = long_table(made_records(num_stations=1))
    table = table.assign(lat=90.0, lon=np.linspace(-180, 180, len(table)))
    assert not any("moved" in note for note in read_stations(table).notes)


def test_positions_in_radian_are_doubted():
    angles = np.linspace(-1, 1, 9)
    days = np.datetime64("2020-01-01") + np.arange(2)
    note = station_records(3 * angles, angles, np.zeros((2, 9)), days).notes[0]
    assert note.startswith("all 9 positions are close to 0° N 0° E, as if they were in radian")
    assert not station_records(3 * angles + 20, angles, np.zeros((2, 9)), days).notes


def test_columns_of_texts_alone_are_named(made_records, long_table):
    table = long_table(made_records(channels=("tmax",), units=("",))).assign(tmax="1,013")
    with pytest.raises(ValueError, match="got only texts in tmax; write what was measured as"):
        read_stations(table)


# a column for each station, or for each date


def test_a_column_for_each_station_is_read(made_records, station_list, assert_same):
    records = made_records(channels=("tavg",), units=("°C",))
    wide = pd.DataFrame(records.column("tavg"), columns=list(records.ids))
    dated = wide.assign(date=pd.Series(records.times).dt.strftime("%Y-%m-%d"))
    listed = station_list(records)
    for table in (dated, wide.set_index(pd.DatetimeIndex(records.times))):
        found = read_stations(table, stations=listed, variable="tavg_c")
        assert_same(found, records, beside=False)
        assert found.units == ("°C",)
    by_name = dated.rename(columns=dict(zip(records.ids, records.names, strict=True)))
    found = read_stations(by_name, stations=listed, variable="tavg")
    assert found.ids == records.names
    np.testing.assert_array_equal(found.values, records.values)
    with pytest.raises(ValueError, match="table must say where the stations are"):
        read_stations(dated)


def test_columns_called_by_numbers_are_stations(made_records, station_list):
    records = made_records(channels=("tavg",), units=("°C",))
    wide = pd.DataFrame(records.column("tavg"), columns=[10, 20, 30, 40])
    listed = station_list(records).assign(id=[10, 20, 30, 40])
    wide = wide.set_index(pd.DatetimeIndex(records.times))
    found = read_stations(wide, stations=listed, variable="tavg")
    assert found.ids == ("10", "20", "30", "40")
    np.testing.assert_array_equal(found.values, records.values)


@pytest.mark.parametrize("order", [["tmax", "station"], ["station", "tmax"]])
def test_columns_by_station_and_variable_are_read(made_records, station_list, assert_same, order):
    records = made_records()
    pairs = [(key, name) for key in records.ids for name in records.channel_names]
    columns = pd.MultiIndex.from_tuples(
        pairs if order[0] == "station" else [p[::-1] for p in pairs]
    )
    values = records.values.reshape(len(records), -1)
    table = pd.DataFrame(values, pd.DatetimeIndex(records.times), columns)
    assert_same(read_stations(table, stations=station_list(records)), records, beside=False)
    with pytest.raises(ValueError, match="table must say where the stations are"):
        read_stations(table)


def test_a_column_for_each_date_is_read(made_records, station_list, assert_same):
    records = made_records(channels=("tavg",), units=("°C",))
    headers = [str(day) for day in DAYS]
    table = station_list(records).join(pd.DataFrame(records.column("tavg").T, columns=headers))
    found = read_stations(table, variable="tavg")
    assert_same(found, records, beside=False)
    with pytest.raises(ValueError, match="must have one row for each station, got 8 rows of 4"):
        read_stations(pd.concat([table, table]))
