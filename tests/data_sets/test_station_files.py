"""What is written reads back as it was; files that are damaged or none are told."""

import gzip
import sys

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_records import station_records
from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_texts import StationFileError
from deepsphere.data.station_writers import station_table, write_stations

DAYS = np.datetime64("2019-12-30") + np.arange(5)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".npz", ".nc", ".zarr"])
def test_what_is_written_reads_back_to_the_bit(assert_identical, suffix, tmp_path):
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
    assert_identical(read_stations(path), records, notes="csv" not in suffix)
    with pytest.raises(FileExistsError):
        write_stations(path, records)
    write_stations(path, records.take([2, 0]), overwrite=True)
    assert_identical(read_stations(path), records.take([2, 0]), notes="csv" not in suffix)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".nc"])
def test_hours_and_silent_days_read_back(made_records, assert_identical, suffix, tmp_path):
    records = made_records(
        times=np.datetime64("2020-01-01T05") + np.arange(5) * np.timedelta64(6, "h")
    )
    write_stations(tmp_path / f"a{suffix}", records)
    assert_identical(read_stations(tmp_path / f"a{suffix}"), records)


def test_the_same_records_are_the_same_bytes(made_records, tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_stations(tmp_path / name, made_records())
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_table_of_records_is_a_row_for_each_time_and_station(made_records, assert_identical):
    records = made_records()
    table = station_table(records)
    assert len(table) == len(records) * records.num_stations
    np.testing.assert_array_equal(table["tmax (°C)"], records.column("tmax").reshape(-1))
    np.testing.assert_array_equal(table["station"].astype(str), records.ids * len(records))
    assert_identical(read_stations(table), records)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_comments_and_decimal_commas(
    made_records, long_table, assert_same, separator, tmp_path
):
    records = made_records()
    text = long_table(records).to_csv(
        sep=separator, index=False, decimal="," if separator == ";" else "."
    )
    (tmp_path / "a.txt").write_text("# made by hand\n# twice\n" + text, encoding="utf-8-sig")
    assert_same(read_stations(tmp_path / "a.txt"), records)


def test_other_encodings_are_read(made_records, long_table, tmp_path):
    table = long_table(made_records()).assign(name="Zürich")
    table.to_csv(tmp_path / "a.csv", index=False, encoding="latin-1")
    assert read_stations(tmp_path / "a.csv").names == ("Zürich",) * 4


def test_a_folder_of_tables_is_one(made_records, long_table, assert_same, tmp_path):
    records = made_records()
    table = long_table(records)
    for key, part in table.groupby("id"):
        part.to_csv(tmp_path / f"{key}.csv", index=False)
    assert_same(read_stations(tmp_path), records)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold tables"):
        read_stations(tmp_path / "empty")


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet", ".npz", ".nc"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_error_that_names_it(made_records, suffix, share, tmp_path):
    path = tmp_path / f"a{suffix}"
    write_stations(path, made_records(num_stations=50))
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


def test_sources_that_are_none_are_rejected(made_records, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must be a file or folder of stations"):
        read_stations(tmp_path / "nothing.csv")
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"must be a table .* got .xlsx; rename or convert it"):
        read_stations(tmp_path / "a.xlsx")
    with pytest.raises(TypeError, match=r"source must be a path, a DataFrame, .* got int"):
        read_stations(3)
    with pytest.raises(ValueError, match=r"path must end in one of .csv"):
        write_stations(tmp_path / "a.xlsx", made_records())
    with pytest.raises(ValueError, match=r"channel_names must not be .* got 'time'"):
        write_stations(tmp_path / "a.csv", made_records(channels=("time", "x")))


def test_records_pass_through(made_records):
    records = made_records()
    assert read_stations(records) is records
    assert read_stations(records, channels=["prcp"]).channel_names == ("prcp",)


def test_ghcn_is_read_by_its_own_reader(made_records, long_table, assert_same, tmp_path):
    line = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD"
    (tmp_path / "ghcnd-stations.txt").write_text(line)
    rows = "SZ000006717,20140101,TMAX,-31,,,E,\nSZ000006717,20140102,TAVG,12,,,S,\n"
    (tmp_path / "2014.csv").write_text(rows)
    np.testing.assert_array_equal(read_stations(tmp_path).column("tmax"), np.float32([[-3.1]]))
    found = read_stations(tmp_path, channels=["tavg"])
    np.testing.assert_array_equal(found.column("tavg"), np.float32([[1.2]]))
    table = long_table(made_records())
    (tmp_path / "tables").mkdir()
    table.to_csv(tmp_path / "tables" / "2014.csv", index=False)
    assert_same(read_stations(tmp_path / "tables" / "2014.csv"), made_records())
    assert_same(read_stations(tmp_path / "tables"), made_records())


def test_libraries_that_are_missing_are_named(
    made_records, assert_identical, monkeypatch, tmp_path
):
    records = made_records()
    write_stations(tmp_path / "a.parquet", records)
    write_stations(tmp_path / "a.csv", records)
    write_stations(tmp_path / "a.npz", records)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"parquet files need pyarrow.*deepsphere-torch\[stat"):
        read_stations(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"stations need pandas.*deepsphere-torch\[stations\]"):
        read_stations(tmp_path / "a.csv")
    assert_identical(read_stations(tmp_path / "a.npz"), records)


def test_channels_of_written_files_are_chosen_and_converted(
    made_records, assert_identical, tmp_path
):
    records = made_records()
    write_stations(tmp_path / "a.parquet", records)
    found = read_stations(tmp_path / "a.parquet", channels=["prcp"])
    assert_identical(found, records.select(["prcp"]))
    warmer = read_stations(tmp_path / "a.parquet", units={"tmax": "K"})
    np.testing.assert_allclose(warmer.column("tmax"), records.column("tmax") - 273.15, rtol=1e-5)


def test_an_archive_that_is_none_is_told(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(StationFileError, match=r"a.npz must be a complete archive of arrays"):
        read_stations(tmp_path / "a.npz")


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


def test_a_folder_may_hold_the_list_and_other_files(
    made_records, long_table, station_list, assert_same, tmp_path
):
    records = made_records()
    long_table(records).drop(columns=["lat", "lon", "name", "elev_m"]).to_csv(tmp_path / "a.csv")
    station_list(records).to_csv(tmp_path / "my-stations.csv", index=False)
    (tmp_path / "readme.txt").write_text("Of my garden.\nWith love.\n")
    assert_same(read_stations(tmp_path), records, beside=False)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="that say when, got a folder without; name one of its"):
        read_stations(tmp_path / "b")
