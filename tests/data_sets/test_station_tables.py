"""Tables of any form hold the same records; what they write reads back as it was."""

import gzip
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from deepsphere.data.station_records import station_records
from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_texts import StationFileError
from deepsphere.data.station_writers import station_table, write_stations

DAYS = np.datetime64("2019-12-30") + np.arange(5)


def made(num_stations=4, channels=("tmax", "prcp"), units=("°C", "mm"), times=DAYS, seed=0):
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


def long_table(records, headers=None, time="%Y-%m-%d"):
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


def station_list(records):
    return pd.DataFrame(
        {"id": records.ids, "lat": records.lat_deg, "lon": records.lon_deg, "name": records.names}
    )


def agree(found, expected, *, beside=True):
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.sampling.points, expected.sampling.points, atol=1e-12)
    np.testing.assert_array_equal(found.times, expected.times)
    assert found.channel_names == expected.channel_names
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6, atol=1e-5)
    if beside:
        assert found.names == expected.names
        np.testing.assert_array_equal(found.elevation_m, expected.elevation_m)


def identical(found, expected, *, notes=True):
    assert found.sampling == expected.sampling
    for name in ("ids", "names", "channel_names", "units", *(["notes"] if notes else [])):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.elevation_m, expected.elevation_m)
    assert found.values.tobytes() == expected.values.tobytes() or np.array_equal(
        found.values, expected.values, equal_nan=True
    )


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
def test_columns_are_recognised_whatever_their_names(headers):
    records = made()
    agree(read_stations(long_table(records, headers)), records)


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y-%m-%dT00:00:00Z"])
def test_dates_are_recognised_where_they_are_beyond_doubt(written):
    records = made()
    agree(read_stations(long_table(records, time=written)), records)
    table = long_table(records, time=written)
    if written == "%Y%m%d":
        agree(read_stations(table.astype({"date": int})), records)
        agree(read_stations(table.astype({"date": float})), records)


def test_dates_of_every_kind_of_column():
    records = made()
    table = long_table(records)
    stamps = pd.to_datetime(table["date"])
    for column in (
        stamps,
        stamps.dt.date,
        stamps.dt.tz_localize("Australia/Sydney"),
        stamps.dt.to_period("D"),
        stamps.astype("datetime64[s]"),
    ):
        agree(read_stations(table.assign(date=column)), records)


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"])
def test_dates_that_could_be_two_need_a_format(written):
    records = made(times=np.datetime64("2020-03-01") + np.arange(5))
    table = long_table(records, time=written)
    with pytest.raises(ValueError, match=r"time must be a date such as .* time_format='%d/%m/%Y'"):
        read_stations(table)
    agree(read_stations(table, time_format=written), records)


def test_hours_may_be_digits_and_seconds_since_1970_are_not():
    table = pd.DataFrame({"id": "a", "date": [2022013100, 2022013101], "lat": 1.0, "lon": 2.0})
    records = read_stations(table.assign(tmax=1.0))
    assert str(records.times[1]) == "2022-01-31T01:00:00"
    table["date"] = [1512010203, 1512010303]  # in 2017
    with pytest.raises(ValueError, match=r"time must be a date such as .* got '1512010203'"):
        read_stations(table.assign(tmax=1.0))


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%Y", "%m-%d-%Y"])
def test_dates_are_read_where_a_day_is_beyond_twelve(written):
    records = made()  # with 30 and 31 December
    agree(read_stations(long_table(records, time=written)), records)


def test_days_before_months_and_after_them_in_one_table_are_rejected():
    table = long_table(made(), time="%d/%m/%Y")
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


def test_a_date_that_is_none_is_named():
    table = long_table(made(), time="%Y%m%d")
    table.loc[3, "date"] = "20191331"
    with pytest.raises(ValueError, match="20191331"):
        read_stations(table)


@pytest.mark.parametrize("names", [("year", "month", "day"), ("YEAR", "MO", "DY")])
def test_year_month_and_day_are_a_date(names):
    records = made()
    table = long_table(records)
    stamps = pd.to_datetime(table["date"])
    parts = dict(zip(names, (stamps.dt.year, stamps.dt.month, stamps.dt.day), strict=True))
    agree(read_stations(table.drop(columns="date").assign(**parts)), records)
    wrong = {**parts, names[1]: 13}
    with pytest.raises(ValueError, match="must be dates"):
        read_stations(table.drop(columns="date").assign(**wrong))


def test_an_index_of_station_and_date_is_read():
    records = made()
    table = long_table(records).set_index(["id", "date"])
    before = table.copy(deep=True)
    agree(read_stations(table), records)
    pd.testing.assert_frame_equal(table, before)
    dated = long_table(records).assign(date=lambda one: pd.to_datetime(one["date"]))
    agree(read_stations(dated.set_index("date")), records)
    agree(read_stations(dated.set_index(dated["date"].rename(None)).drop(columns="date")), records)
    agree(read_stations(dated.set_index("date", drop=False)), records)


def test_a_table_is_not_modified():
    table = long_table(made())
    table.loc[1, "tmax"] = -9999
    before = table.copy(deep=True)
    read_stations(table)
    pd.testing.assert_frame_equal(table, before)


def test_rows_in_any_order_are_the_same_but_for_the_order_of_stations():
    records = made()
    table = long_table(records).sample(frac=1, random_state=1)
    found = read_stations(table)
    order = [found.ids.index(key) for key in records.ids]
    agree(found.take(order), records)


def test_missing_rows_are_missing_values_and_missing_days_are_gaps():
    records = made(times=DAYS[[0, 1, 3, 4]])
    table = long_table(records)
    silent = np.isnan(records.values).all(axis=2).reshape(-1)
    kept = read_stations(table[~silent | (table["date"] == "2020-01-02")])
    agree(kept.take([kept.ids.index(key) for key in records.ids]), records)
    assert kept.axis.gaps == ((1, 1),)


def test_repeated_rows_are_averaged_and_told():
    records = made(channels=("tmax",), units=("°C",))
    table = long_table(records)
    extra = table.iloc[[0, 5]].assign(tmax=[100.0, np.nan])
    found = read_stations(pd.concat([table, extra, extra.iloc[:0]], ignore_index=True))
    first = records.values[0, 0, 0]
    expected = 100.0 if np.isnan(first) else (first + 100) / 2
    np.testing.assert_allclose(found.values[0, 0, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(found.values[1:], records.values[1:])
    assert "2 rows repeat a station and a time, and were averaged" in found.notes


def test_rows_without_station_or_date_are_dropped_and_told():
    table = long_table(made())
    broken = pd.concat([table, table.iloc[:2].assign(id=None), table.iloc[2:3].assign(date=None)])
    found = read_stations(broken)
    agree(found, made())
    assert found.notes == ("3 of 23 rows dropped, without a station or a date",)
    with pytest.raises(ValueError, match="table must have a row with a station and a date"):
        read_stations(table.assign(id=None))


def test_a_station_without_a_position_in_some_rows_has_that_of_the_others():
    table = long_table(made())
    table.loc[table.index % 3 == 0, ["lat", "lon"]] = np.nan
    agree(read_stations(table), made())
    table.loc[table["id"] == "001", "lat"] = np.nan
    assert read_stations(table).ids == ("000", "002", "003")


def test_a_station_that_moved_is_where_it_was_last_and_this_is_told():
    records = made()
    table = long_table(records)
    earlier = (table["id"] == "002") & (table["date"] < "2020-01-01")
    table.loc[earlier, "lat"] -= 0.5
    for shuffled in (table, table.sort_values(["id", "date"]), table.iloc[::-1]):
        found = read_stations(shuffled)
        where = dict(zip(found.ids, found.lat_deg, strict=True))
        assert where["002"] == records.lat_deg[2]
        assert "1 station moved, by up to 55.6 km; the latest position counts: 002" in found.notes


def test_moves_across_the_date_line_are_no_moves():
    table = long_table(made())
    table["lon"] = [180.0, 10.0, 20.0, 30.0] * 3 + [-180.0, 10.0, 20.0, 30.0] * 2
    assert not read_stations(table).notes


def test_stations_without_ids_are_told_by_name_and_place():
    records = made()
    table = long_table(records)
    assert read_stations(table.drop(columns="id")).ids == records.names
    assert read_stations(table.drop(columns=["id", "name"])).ids == ("0", "1", "2", "3")
    twice = table.drop(columns="id").assign(name="Springfield")
    ids = read_stations(twice).ids
    assert ids == ("Springfield", "Springfield (2)", "Springfield (3)", "Springfield (4)")


def test_numbers_as_identifiers_are_whole_and_texts_keep_their_zeros(tmp_path):
    table = long_table(made())
    assert read_stations(table.assign(id=[7, 12, 3, 100] * 5)).ids == ("7", "12", "3", "100")
    assert read_stations(table.assign(id=[7.0, 12, 3, 100] * 5)).ids == ("7", "12", "3", "100")
    table.to_csv(tmp_path / "a.csv", index=False)
    assert read_stations(tmp_path / "a.csv").ids == ("000", "001", "002", "003")
    table.assign(id=["NA", "nan", "1e5", "-"] * 5).to_csv(tmp_path / "b.csv", index=False)
    assert read_stations(tmp_path / "b.csv").ids == ("NA", "nan", "1e5", "-")


def test_a_row_for_each_variable_is_read():
    records = made()
    table = long_table(records).melt(
        id_vars=["id", "date", "lat", "lon", "name", "elev_m"],
        var_name="element",
    )
    agree(read_stations(table), records)
    found = read_stations(pd.concat([table, table.iloc[:1].assign(value=50.0)]))
    assert "1 rows repeat a station and a time" in found.notes[0]


def test_channels_are_chosen_by_name_or_header():
    records = made()
    table = long_table(records, {"tmax": "Max Temp"})
    assert read_stations(table, channels=["prcp", "tmax"]).channel_names == ("prcp", "tmax")
    agree(read_stations(table, channels=["Max Temp"]), records.select(["tmax"]))
    with pytest.raises(ValueError, match="channels must be among tmax, prcp, got 'snow'"):
        read_stations(table, channels=["snow"])


def test_roles_are_named_where_headers_say_nothing():
    records = made()
    table = long_table(records, {"id": "a", "date": "b", "lon": "c", "lat": "d"})
    roles = {"station": "a", "time": "b", "lon": "c", "lat": "d"}
    agree(read_stations(table, columns=roles), records)
    with pytest.raises(ValueError, match="columns must name roles of station, name, time"):
        read_stations(table, columns={"place": "a"})
    with pytest.raises(ValueError, match=r"columns must be among .* got 'x' for lon"):
        read_stations(table, columns={"lon": "x"})


def test_what_is_beside_the_measurements_is_no_channel():
    table = long_table(made()).assign(
        year=2020, TMAX_ATTRIBUTES=",,S", state=3, country_code=7, flag=1, remark="fine"
    )
    found = read_stations(table)
    assert found.channel_names == ("tmax", "prcp")
    assert found.notes == ("columns left out, which hold texts: remark",)


def test_a_list_of_stations_beside_a_long_table(tmp_path):
    records = made()
    table = long_table(records).drop(columns=["lat", "lon", "name", "elev_m"])
    agree(read_stations(table, stations=station_list(records)), records, beside=False)
    station_list(records).to_csv(tmp_path / "list.csv", index=False)
    table.to_csv(tmp_path / "values.csv", index=False)
    found = read_stations(tmp_path / "values.csv", stations=tmp_path / "list.csv")
    agree(found, records, beside=False)
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


def test_tables_that_do_not_say_when_or_what_are_rejected():
    table = long_table(made())
    with pytest.raises(ValueError, match="table must say when"):
        read_stations(table.drop(columns="date"))
    with pytest.raises(ValueError, match="table must have a column of numbers"):
        read_stations(table.drop(columns=["tmax", "prcp"]))
    with pytest.raises(ValueError, match="table must have rows"):
        read_stations(table.iloc[:0])
    with pytest.raises(ValueError, match="table must have different headers, got 'lat' twice"):
        read_stations(table.rename(columns={"lon": "lat"}))
    agree(read_stations(table.drop(columns="date"), times=table["date"].tolist()), made())
    with pytest.raises(ValueError, match="times must be one for each of 20 rows, got 1"):
        read_stations(table.drop(columns="date"), times=["2020-01-01"])


# a column for each station, or for each date


def test_a_column_for_each_station_is_read():
    records = made(channels=("tavg",), units=("°C",))
    wide = pd.DataFrame(records.column("tavg"), columns=list(records.ids))
    dated = wide.assign(date=pd.Series(records.times).dt.strftime("%Y-%m-%d"))
    listed = station_list(records)
    for table in (dated, wide.set_index(pd.DatetimeIndex(records.times))):
        found = read_stations(table, stations=listed, variable="tavg_c")
        agree(found, records, beside=False)
        assert found.units == ("°C",)
    by_name = dated.rename(columns=dict(zip(records.ids, records.names, strict=True)))
    found = read_stations(by_name, stations=listed, variable="tavg")
    assert found.ids == records.names
    np.testing.assert_array_equal(found.values, records.values)
    with pytest.raises(ValueError, match="table must say where the stations are"):
        read_stations(dated)


def test_columns_called_by_numbers_are_stations():
    records = made(channels=("tavg",), units=("°C",))
    wide = pd.DataFrame(records.column("tavg"), columns=[10, 20, 30, 40])
    listed = station_list(records).assign(id=[10, 20, 30, 40])
    wide = wide.set_index(pd.DatetimeIndex(records.times))
    found = read_stations(wide, stations=listed, variable="tavg")
    assert found.ids == ("10", "20", "30", "40")
    np.testing.assert_array_equal(found.values, records.values)


@pytest.mark.parametrize("order", [["tmax", "station"], ["station", "tmax"]])
def test_columns_by_station_and_variable_are_read(order):
    records = made()
    pairs = [(key, name) for key in records.ids for name in records.channel_names]
    columns = pd.MultiIndex.from_tuples(
        pairs if order[0] == "station" else [p[::-1] for p in pairs]
    )
    values = records.values.reshape(len(records), -1)
    table = pd.DataFrame(values, pd.DatetimeIndex(records.times), columns)
    agree(read_stations(table, stations=station_list(records)), records, beside=False)
    with pytest.raises(ValueError, match="table must say where the stations are"):
        read_stations(table)


def test_a_column_for_each_date_is_read():
    records = made(channels=("tavg",), units=("°C",))
    headers = [str(day) for day in DAYS]
    table = station_list(records).join(pd.DataFrame(records.column("tavg").T, columns=headers))
    found = read_stations(table, variable="tavg")
    agree(found, records, beside=False)
    with pytest.raises(ValueError, match="must have one row for each station, got 8 rows of 4"):
        read_stations(pd.concat([table, table]))


# files


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".npz", ".nc", ".zarr"])
def test_what_is_written_reads_back_to_the_bit(suffix, tmp_path):
    generator = np.random.default_rng(3)
    # numbers of all sizes, and channels and units that nothing would be recognised of
    values = generator.integers(0, 2**32, (5, 4, 4), np.uint32).view(np.float32)
    values[~np.isfinite(values)] = np.nan
    values[2], values[0, 0, 0] = np.nan, -9999.0
    records = station_records(
        generator.uniform(-180, 180, 4),
        generator.uniform(-90, 90, 4),
        values,
        DAYS,
        ids=["007", "NA", "nan", "x,y"],
        names=["", 'Say "so"', "Zürich", "東京"],
        elevation_m=[np.nan, -430.5, 0.1, 8848.86],
        channel_names=["rain", "TMAX (F)", "value", "lon"],
        units=["", "°C", "m/s", "days"],
        notes=["something was done", "and more"],
    )
    path = tmp_path / f"a{suffix}"
    write_stations(path, records)
    identical(read_stations(path), records, notes="csv" not in suffix)
    with pytest.raises(FileExistsError):
        write_stations(path, records)
    write_stations(path, records.take([2, 0]), overwrite=True)
    identical(read_stations(path), records.take([2, 0]), notes="csv" not in suffix)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".nc"])
def test_hours_and_silent_days_read_back(suffix, tmp_path):
    records = made(times=np.datetime64("2020-01-01T05") + np.arange(5) * np.timedelta64(6, "h"))
    write_stations(tmp_path / f"a{suffix}", records)
    identical(read_stations(tmp_path / f"a{suffix}"), records)


def test_the_same_records_are_the_same_bytes(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_stations(tmp_path / name, made())
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_table_of_records_is_a_row_for_each_time_and_station():
    records = made()
    table = station_table(records)
    assert len(table) == len(records) * records.num_stations
    np.testing.assert_array_equal(table["tmax (°C)"], records.column("tmax").reshape(-1))
    np.testing.assert_array_equal(table["station"].astype(str), records.ids * len(records))
    identical(read_stations(table), records)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_comments_and_decimal_commas(separator, tmp_path):
    records = made()
    text = long_table(records).to_csv(
        sep=separator, index=False, decimal="," if separator == ";" else "."
    )
    (tmp_path / "a.txt").write_text("# made by hand\n# twice\n" + text, encoding="utf-8-sig")
    agree(read_stations(tmp_path / "a.txt"), records)


def test_other_encodings_are_read(tmp_path):
    table = long_table(made()).assign(name="Zürich")
    table.to_csv(tmp_path / "a.csv", index=False, encoding="latin-1")
    assert read_stations(tmp_path / "a.csv").names == ("Zürich",) * 4


def test_a_folder_of_tables_is_one(tmp_path):
    records = made()
    table = long_table(records)
    for key, part in table.groupby("id"):
        part.to_csv(tmp_path / f"{key}.csv", index=False)
    agree(read_stations(tmp_path), records)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold tables"):
        read_stations(tmp_path / "empty")


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".npz", ".nc"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_error_that_names_it(suffix, share, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_stations(path, made(num_stations=50))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=rf"a\{suffix}"):
        read_stations(path)


def test_damaged_and_empty_files_are_told(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"")[:-4])
    with pytest.raises(StationFileError, match=r"a.csv.gz must be a complete file, got a damaged"):
        read_stations(path)
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(StationFileError, match=r"b.csv must hold a table, got an empty file"):
        read_stations(tmp_path / "b.csv")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(StationFileError, match=r"c.parquet must be a complete file"):
        read_stations(tmp_path / "c.parquet")


def test_sources_that_are_none_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be a file or folder of stations"):
        read_stations(tmp_path / "nothing.csv")
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"must be a table .* got .xlsx; rename or convert it"):
        read_stations(tmp_path / "a.xlsx")
    with pytest.raises(TypeError, match=r"source must be a path, a DataFrame, .* got int"):
        read_stations(3)
    with pytest.raises(ValueError, match=r"path must end in one of .csv"):
        write_stations(tmp_path / "a.xlsx", made())
    with pytest.raises(ValueError, match=r"channel_names must not be .* got 'time'"):
        write_stations(tmp_path / "a.csv", made(channels=("time", "x")))


def test_records_pass_through():
    records = made()
    assert read_stations(records) is records
    assert read_stations(records, channels=["prcp"]).channel_names == ("prcp",)


# arrays


def test_arrays_by_name_are_read(tmp_path):
    records = made()
    arrays = {
        "tmax_f": records.column("tmax") * 1.8 + 32,
        "prec": records.column("prcp").T,
        "dates": DAYS,
        "lat": records.lat_deg.astype(np.float64),
        "lon": records.lon_deg,
        "city": np.array(records.names),
        "wmo": np.array(["1", "1", "2", "3"]),
        "usaf": np.array(records.ids),
        "alt_m": records.elevation_m,
    }
    found = read_stations(arrays)
    agree(found, records)
    assert found.units == ("°C", "")
    np.savez(tmp_path / "a.npz", **arrays)
    agree(read_stations(tmp_path / "a.npz"), records)
    with pytest.raises(ValueError, match=r"arrays must say when, .* times=np.arange"):
        read_stations({name: each for name, each in arrays.items() if name != "dates"})
    with pytest.raises(ValueError, match=r"arrays must say where the stations are, .*without lon"):
        read_stations({name: each for name, each in arrays.items() if name != "lon"})
    with pytest.raises(ValueError, match=r"extra must have shape \(times, stations\) \(5, 4\)"):
        read_stations({**arrays, "extra": np.zeros((2, 4))})
    with pytest.raises(ValueError, match="arrays must hold one of shape"):
        read_stations({name: arrays[name] for name in ("dates", "lat", "lon")})


def test_normals_of_months_are_read_with_the_months_that_are_given():
    months = np.arange("2001-01", "2002-01", dtype="datetime64[M]")
    arrays = {"temp_c": np.arange(36.0).reshape(3, 12), "lat": np.arange(3), "lon": np.arange(3)}
    found = read_stations(arrays, times=months)
    assert str(found.axis.step) == "1 month"
    np.testing.assert_array_equal(found.column("tavg"), arrays["temp_c"].T)


# data sets


def dataset(records, **coords):
    return xr.Dataset(
        {
            "tmax": (
                ("station", "time"),
                records.column("tmax").T.astype(np.float64) + 273.15,
                {"units": "K"},
            )
        },
        {
            "time": records.times.astype("datetime64[ns]"),
            "station": list(records.ids),
            "lat": ("station", records.lat_deg),
            "lon": ("station", records.lon_deg),
            **coords,
        },
    )


def test_data_sets_with_times_and_stations_are_read(tmp_path):
    records = made().select(["tmax"])
    data = dataset(records)
    for source in (data, data["tmax"], data.transpose("time", "station")):
        found = read_stations(source)
        agree(found, records, beside=False)
        assert found.units == ("°C",)
    data.to_netcdf(tmp_path / "a.nc")
    agree(read_stations(tmp_path / "a.nc"), records, beside=False)


def test_coordinates_of_data_sets_are_told_by_attributes():
    records = made().select(["tmax"])
    data = dataset(
        records, height=("station", np.array([1.0, 2.0, 3.0, 4.0]) / 0.3048, {"units": "ft"})
    )
    data = data.assign_coords(
        lat=np.deg2rad(data["lat"]).assign_attrs(units="radian", standard_name="latitude"),
        lon=np.deg2rad(data["lon"]).assign_attrs(units="radian", standard_name="longitude"),
    ).rename(lat="phi", lon="lambda")
    found = read_stations(data)
    agree(found, records, beside=False)
    np.testing.assert_allclose(found.elevation_m, [1, 2, 3, 4])


def test_a_data_set_with_a_row_for_each_measurement_is_a_table():
    records = made()
    table = long_table(records).assign(date=lambda one: pd.to_datetime(one["date"]))
    data = xr.Dataset.from_dataframe(table.rename_axis("obs"))
    agree(read_stations(data), records)


def test_a_single_station_is_a_data_set_too():
    records = made().select(["tmax"]).take([1])
    found = read_stations(dataset(made().select(["tmax"])).isel(station=1))
    np.testing.assert_allclose(found.values, records.values, atol=1e-4)


def test_other_calendars_are_kept_in_data_sets_and_refused_elsewhere(tmp_path):
    days = xr.date_range("2001-02-27", periods=4, calendar="360_day", use_cftime=True)
    records = made(times=np.asarray(days))
    write_stations(tmp_path / "a.nc", records)
    found = read_stations(tmp_path / "a.nc")
    assert found.axis.calendar == "360_day"
    np.testing.assert_array_equal(found.values, records.values)
    with pytest.raises(ValueError, match=r"path must end in .nc or .zarr for times of"):
        write_stations(tmp_path / "a.csv", records)


def test_data_sets_on_grids_or_without_times_are_rejected():
    records = made().select(["tmax"])
    grid = xr.Dataset({"t": (("lat", "lon"), np.zeros((2, 3)))}, {"lat": [0, 1], "lon": [0, 1, 2]})
    with pytest.raises(ValueError, match="fields on a grid are read by open_series"):
        read_stations(grid)
    with pytest.raises(ValueError, match=r"data must say where the stations are, .* without lon"):
        read_stations(dataset(records).drop_vars("lon"))
    with pytest.raises(ValueError, match="data must have times along one dimension"):
        read_stations(dataset(records).drop_vars("time"))
    given = read_stations(dataset(records).drop_vars("time"), times=DAYS)
    agree(given, records, beside=False)
    with pytest.raises(ValueError, match="times must be one for each place along a dimension"):
        read_stations(dataset(records).drop_vars("time"), times=DAYS[:3])
    with pytest.raises(ValueError, match="data must have a variable along time and station"):
        read_stations(dataset(records).drop_vars("tmax"))


def test_years_months_and_days_of_the_year_are_times():
    table = long_table(made())
    stamps = pd.to_datetime(table["date"])
    bare = table.drop(columns="date")
    agree(read_stations(bare.assign(Year=stamps.dt.year, DOY=stamps.dt.day_of_year)), made())
    for year, doy in ((2019, 366), (2020, 0)):
        with pytest.raises(ValueError, match=f"must be dates, got {year}, 1 and {doy}"):
            read_stations(bare.assign(year=year, doy=doy))
    monthly = read_stations(table.iloc[:4].drop(columns="date").assign(year=2020, month=[7] * 4))
    assert str(monthly.times[0]) == "2020-07-01T00:00:00"
    yearly = bare.assign(year=np.repeat(range(2000, 2005), 4))
    assert [str(time)[:4] for time in read_stations(yearly).times] == [
        "2000", "2001", "2002", "2003", "2004"
    ]  # fmt: skip


def test_a_column_that_is_called_value_is_a_channel():
    records = made(channels=("value",), units=("",))
    agree(read_stations(long_table(records)), records)


def test_names_in_the_plural_and_layers_of_arrays_are_read():
    records = made()
    arrays = {
        "lons": records.lon_deg,
        "lats": records.lat_deg,
        "times": DAYS,
        "ids": np.array(records.ids),
        "names": np.array(records.names),
        "elevations": records.elevation_m,
        "data": records.values,
        "channel_names": np.array(["TMAX", "PRCP"]),
    }
    agree(read_stations(arrays), records)
    del arrays["channel_names"]
    assert read_stations(arrays).channel_names == ("data_0", "data_1")


def test_arrays_of_objects_are_rejected(tmp_path):
    np.savez(tmp_path / "a.npz", lat=[1.0], lon=[2.0], dates=np.array(["2020-01-01"], object))
    with pytest.raises(ValueError, match="got one of Python objects; write texts as arrays"):
        read_stations(tmp_path / "a.npz")


def test_a_station_at_two_places_at_once_is_no_station():
    table = long_table(made()).assign(id=["north", "north", "south", "south"] * 5)
    with pytest.raises(ValueError, match="station must tell stations apart, got 'north' at the"):
        read_stations(table)


def test_infinite_values_of_a_table_are_rejected():
    table = long_table(made())
    table.loc[3, "tmax"] = np.inf
    with pytest.raises(ValueError, match="got an infinite tmax of station 003 at 2019-12-30"):
        read_stations(table)


def test_ghcn_is_read_by_its_own_reader(tmp_path):
    line = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD"
    (tmp_path / "ghcnd-stations.txt").write_text(line)
    rows = "SZ000006717,20140101,TMAX,-31,,,E,\nSZ000006717,20140102,TAVG,12,,,S,\n"
    (tmp_path / "2014.csv").write_text(rows)
    np.testing.assert_array_equal(read_stations(tmp_path).column("tmax"), np.float32([[-3.1]]))
    found = read_stations(tmp_path, channels=["tavg"])
    np.testing.assert_array_equal(found.column("tavg"), np.float32([[1.2]]))
    table = long_table(made())
    (tmp_path / "tables").mkdir()
    table.to_csv(tmp_path / "tables" / "2014.csv", index=False)
    agree(read_stations(tmp_path / "tables" / "2014.csv"), made())
    agree(read_stations(tmp_path / "tables"), made())


def test_libraries_that_are_missing_are_named(monkeypatch, tmp_path):
    records = made()
    write_stations(tmp_path / "a.parquet", records)
    write_stations(tmp_path / "a.csv", records)
    write_stations(tmp_path / "a.npz", records)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"parquet files need pyarrow.*deepsphere-torch\[stat"):
        read_stations(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"stations need pandas.*deepsphere-torch\[stations\]"):
        read_stations(tmp_path / "a.csv")
    identical(read_stations(tmp_path / "a.npz"), records)


def test_channels_of_written_files_are_chosen_and_converted(tmp_path):
    records = made()
    write_stations(tmp_path / "a.parquet", records)
    found = read_stations(tmp_path / "a.parquet", channels=["prcp"])
    identical(found, records.select(["prcp"]))
    warmer = read_stations(tmp_path / "a.parquet", units={"tmax": "K"})
    np.testing.assert_allclose(warmer.column("tmax"), records.column("tmax") - 273.15, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_forms_of_a_table_hold_the_same_records(seed):
    records = made(num_stations=7, channels=("tavg",), units=("°C",), seed=seed)
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
        agree(found, records, beside=False)


def arrays(**more):
    return {
        "lat": [47.0, 46.0],
        "lon": [8.0, 7.0],
        "dates": np.array(["2020-01-01", "2020-01-02", "2020-01-03"]),
        "tavg_c": np.arange(6.0).reshape(3, 2),
        **more,
    }


def test_arrays_of_other_kinds_hold_the_same():
    expected = read_stations(arrays()).values
    hidden = np.eye(3, 2, dtype=bool)
    masked = read_stations(arrays(tavg_c=np.ma.masked_array(np.arange(6).reshape(3, 2), hidden)))
    np.testing.assert_array_equal(masked.observed[..., 0], ~hidden)
    for same in (
        {"tavg_c": np.arange(6).reshape(3, 2).astype(str)},
        {"dates": np.array([b"2020-01-01", b"2020-01-02", b"2020-01-03"])},
        {"lat": np.array([[47.0], [46.0]])},
        {"tavg_qc": np.ones((3, 2), int)},
    ):
        records = read_stations(arrays(**same))
        assert records.channel_names == ("tavg",)
        np.testing.assert_array_equal(records.values, expected)


def test_times_of_arrays_that_are_not_known_are_dropped_and_told():
    dates = np.array(["2020-01-01", "NaT", "2020-01-03"], "datetime64[D]")
    records = read_stations(arrays(dates=dates))
    np.testing.assert_array_equal(records.column("tavg"), [[0, 1], [4, 5]])
    assert records.notes == ("1 of 3 times dropped, not known",)


def test_an_archive_that_is_none_is_told(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(StationFileError, match=r"a.npz must be a complete archive of arrays"):
        read_stations(tmp_path / "a.npz")


def test_zones_of_arrow_are_left_out_as_others():
    table = long_table(made())
    stamps = pd.to_datetime(table["date"]).dt.tz_localize("Europe/Berlin")
    stamps = stamps.astype("timestamp[ns, tz=Europe/Berlin][pyarrow]")
    agree(read_stations(table.assign(date=stamps)), made())
    agree(read_stations(table.convert_dtypes(dtype_backend="pyarrow")), made())
    agree(read_stations(table.assign(beside=[[1]] * len(table))), made())


def test_names_of_stations_are_enough_beside_a_list():
    records = made(channels=("tmax",), units=("",))
    table = long_table(records).drop(columns=["id", "lat", "lon", "elev_m"])
    stations = station_list(records).drop(columns="id").rename(columns={"name": "Location"})
    found = read_stations(table, stations=stations)
    assert found.ids == records.names
    np.testing.assert_array_equal(found.values, records.values)


def test_a_station_at_a_pole_does_not_move():
    table = long_table(made(num_stations=1))
    table = table.assign(lat=90.0, lon=np.linspace(-180, 180, len(table)))
    assert not any("moved" in note for note in read_stations(table).notes)


def test_positions_in_radian_are_doubted():
    angles = np.linspace(-1, 1, 9)
    days = np.datetime64("2020-01-01") + np.arange(2)
    note = station_records(3 * angles, angles, np.zeros((2, 9)), days).notes[0]
    assert note.startswith("all 9 positions are close to 0° N 0° E, as if they were in radian")
    assert not station_records(3 * angles + 20, angles, np.zeros((2, 9)), days).notes


def rows_of(records):
    """A data set with a row for each measurement, and the stations beside it."""
    number = len(records) * records.num_stations
    return xr.Dataset(
        {
            "tmax": ("row", records.column("tmax").T.reshape(-1) * 1.8 + 32, {"units": "degF"}),
            "time": ("row", np.tile(records.times.astype("datetime64[ns]"), records.num_stations)),
            "lon": ("station", records.lon_deg),
            "lat": ("station", records.lat_deg),
            "station_id": ("station", list(records.ids)),
        }
    ), np.repeat(np.arange(records.num_stations), len(records))[:number]


def test_ragged_arrays_of_the_conventions_are_read():
    records = made(channels=("tmax",), units=("°C",))
    data, stations = rows_of(records)
    indexed = data.assign(where=("row", stations, {"instance_dimension": "station"}))
    counts = np.full(records.num_stations, len(records))
    counted = data.assign(rows=("station", counts, {"sample_dimension": "row"}))
    for each in (indexed, counted):
        found = read_stations(each)
        agree(found, records, beside=False)
        assert found.units == ("°C",)


def test_data_sets_with_one_height_and_undecoded_times_are_read():
    records = made(channels=("tmax",), units=("°C",))
    data = xr.Dataset(
        {"tmax": (("height", "time", "station"), records.values[None, ..., 0], {"units": "degC"})},
        {
            "time": ("time", np.arange(len(records)), {"units": "days since 2019-12-30"}),
            "lon": ("station", records.lon_deg),
            "lat": ("station", records.lat_deg),
            "elevation": ("station", [0.1, 0.2, 0.3, 0.4], {"units": "km"}),
        },
    )
    found = read_stations(data)
    np.testing.assert_array_equal(found.values, records.values)
    np.testing.assert_array_equal(found.times, records.times)
    np.testing.assert_allclose(found.elevation_m, [100, 200, 300, 400])
    several = xr.concat([data, data], "height")
    with pytest.raises(ValueError, match="choose one place along the others, as by isel"):
        read_stations(several)


def ghcn_folder(path, *, lists=True, rows=("SZ000006717,20140101,TMAX,-31,,,E,",)):
    path.mkdir()
    if lists:
        line = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD\n"
        (path / "ghcnd-stations.txt").write_text(line)
    (path / "2014.csv").write_text("\n".join(rows) + "\n")
    return path


def test_the_list_of_ghcn_may_be_given(tmp_path):
    folder = ghcn_folder(tmp_path / "a", lists=False)
    elsewhere = ghcn_folder(tmp_path / "b") / "ghcnd-stations.txt"
    table = pd.DataFrame({"id": ["SZ000006717"], "lat": [45.87], "lon": [7.17], "elev": [2472.0]})
    table.to_csv(tmp_path / "list.csv", index=False)
    for stations in (elsewhere, elsewhere.parent, table, tmp_path / "list.csv"):
        records = read_stations(folder, stations=stations)
        assert (records.lat_deg.tolist(), records.elevation_m.tolist()) == ([45.87], [2472.0])
        np.testing.assert_allclose(records.column("tmax"), [[-3.1]], atol=1e-6)


def test_what_ghcn_says_itself_must_not_be_given(tmp_path):
    folder = ghcn_folder(tmp_path / "a")
    with pytest.raises(ValueError, match="units must be left out for GHCN-Daily, whose format"):
        read_stations(folder, units={"tmax": "F"})
    with pytest.raises(ValueError, match="time_format must be left out for GHCN-Daily"):
        read_stations(folder, time_format="%Y")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "SZ000006717,20140101,TMAX,-31,,X,E,",
            "1 values left out, which have a quality flag: X 1",
        ),
        ("SZ000006717,20150101,TMAX,-31,,,E,", "1 values left out, which are not of the year of"),
        ("SZ000006717,20140101,TMAX,-3.1,,,E,", "1 values that are not whole numbers"),
    ],
)
def test_a_table_of_ghcn_without_values_says_why(row, reason, tmp_path):
    with pytest.raises(ValueError, match=f"elements must be among those .*{reason}"):
        read_stations(ghcn_folder(tmp_path / "a", rows=(row,)))


def test_a_folder_may_hold_the_list_and_other_files(tmp_path):
    records = made()
    long_table(records).drop(columns=["lat", "lon", "name", "elev_m"]).to_csv(tmp_path / "a.csv")
    station_list(records).to_csv(tmp_path / "my-stations.csv", index=False)
    (tmp_path / "readme.txt").write_text("Of my garden.\nWith love.\n")
    agree(read_stations(tmp_path), records, beside=False)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="that say when, got a folder without; name one of its"):
        read_stations(tmp_path / "b")


def test_columns_of_texts_alone_are_named():
    table = long_table(made(channels=("tmax",), units=("",))).assign(tmax="1,013")
    with pytest.raises(ValueError, match="got only texts in tmax; write what was measured as"):
        read_stations(table)
