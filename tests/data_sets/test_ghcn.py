"""Opening folders of GHCN-Daily, and the cache of what was read."""

import gzip
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data import ghcn_cache
from deepsphere.data.ghcn import is_ghcn, open_ghcn
from deepsphere.data.ghcn_cache import clear_ghcn_cache, ghcn_cache_folder

STATIONS = {
    "SZ000006717": (45.87, 7.17, 2472.0, "COL DU GRAND ST-BERNARD"),
    "AYM00089009": (-90.0, 0.0, 2835.0, "AMUNDSEN-SCOTT"),
    "FJM00091680": (-17.75, 180.0, -999.9, "DATE LINE"),
    "USW00014837": (43.14, -89.345, 264.0, "MADISON"),
    "USC00000001": (10.0, 10.0, 1.0, "SILENT"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ghcn"


def write_stations(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{i} {lat:8.4f} {lon:9.4f} {elevation:6.1f}    {name:<30}"
        for i, (lat, lon, elevation, name) in STATIONS.items()
    ]
    (folder / "ghcnd-stations.txt").write_text("\n".join(lines))


def write_year(folder: Path, year: int, rows: list[tuple]) -> Path:
    """Rows of station, month and day, element, value and maybe a quality flag."""
    path = folder / f"{year}.csv.gz"
    lines = [
        f"{station},{year}{date},{element},{value},,{''.join(flag)},E,"
        for station, date, element, value, *flag in rows
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two years: one station is complete in TMAX, one lacks a day, one has a flagged value."""
    folder = tmp_path / "ghcn"
    write_stations(folder)
    write_year(
        folder,
        2011,
        [
            ("SZ000006717", "1230", "TMAX", -31),
            ("SZ000006717", "1231", "TMAX", -20),
            ("AYM00089009", "1230", "TMAX", -300),
            ("AYM00089009", "1231", "TMAX", -310, "I"),
            ("USW00014837", "1230", "TMAX", 5),
            ("USW00014837", "1231", "PRCP", 254),
            ("NOTLISTED00", "1231", "TMAX", 1),
        ],
    )
    write_year(
        folder,
        2012,
        [
            ("SZ000006717", "0101", "TMAX", 7),
            ("AYM00089009", "0101", "TMAX", -290),
            ("FJM00091680", "0103", "TMAX", 305),
            ("SZ000006717", "0103", "TMAX", 15),
            ("SZ000006717", "0103", "SNOW", 12),
        ],
    )
    return folder


def test_folder_becomes_records(folder):
    records = open_ghcn(folder)
    assert records.ids == ("SZ000006717", "AYM00089009", "FJM00091680", "USW00014837")
    assert records.names[0] == "COL DU GRAND ST-BERNARD"
    assert records.channel_names == ("prcp", "tmax", "snow")
    assert records.units == ("mm", "°C", "mm")
    np.testing.assert_array_equal(records.elevation_m, [2472.0, 2835.0, np.nan, 264.0])
    np.testing.assert_allclose(records.lat_deg, [45.87, -90.0, -17.75, 43.14])
    np.testing.assert_allclose(records.lon_deg[[0, 2, 3]], [7.17, 180.0, 360 - 89.345])
    days = np.arange("2011-12-30", "2012-01-04", dtype="datetime64[D]")
    np.testing.assert_array_equal(records.times.astype("datetime64[D]"), days)
    nan = np.nan
    expected = [
        [-3.1, -30.0, nan, 0.5],
        [-2.0, nan, nan, nan],
        [0.7, -29.0, nan, nan],
        [nan, nan, nan, nan],  # all are silent: a day like any other
        [1.5, nan, 30.5, nan],
    ]
    np.testing.assert_array_equal(records.column("tmax"), np.array(expected, np.float32))
    assert records.column("prcp")[1, 3] == np.float32(25.4)
    assert records.column("snow")[4, 0] == 12
    assert records.notes == (
        "GHCN-Daily, from 2011.csv.gz, 2012.csv.gz",
        "1 values left out, which have a quality flag: I 1",
        "1 stations left out, which have values and are not in ghcnd-stations.txt: NOTLISTED00",
        "1 of 5 stations of the list report none of the elements",
        "TMIN, SNWD left out, which no station reports",
    )


def test_one_year_has_its_days_only(folder):
    records = open_ghcn(folder, years=2012)
    assert str(records.times[0]) == "2012-01-01T00:00:00"
    assert len(records) == 3


def test_years_apart_leave_a_gap(folder):
    write_year(folder, 2015, [("SZ000006717", "0101", "TMAX", 1)])
    records = open_ghcn(folder, years=[2012, 2015], elements=["TMAX"])
    first, second = (np.datetime64(f"{year}-01-01") for year in (2013, 2015))
    assert not ((records.times >= first) & (records.times < second)).any()
    assert str(records.axis.step) == "1 day"
    assert len(records) == 367


@pytest.mark.parametrize(("fraction", "ids"), [(0.8, 1), (0.6, 1), (0.4, 2), (0.2, 4)])
def test_stations_that_report_too_little_are_left_out(folder, fraction, ids):
    records = open_ghcn(folder, elements=["TMAX"], min_fraction=fraction)
    reported = records.observed.mean(axis=0)[:, 0]
    assert records.num_stations == ids
    assert (reported >= fraction).all()
    whole = open_ghcn(folder, elements=["TMAX"])
    assert np.count_nonzero(whole.observed.mean(axis=0)[:, 0] >= fraction) == ids


def test_complete_records_have_no_gap(folder):
    write_year(folder, 2012, [(s, "0101", "TMAX", 1) for s in ("SZ000006717", "AYM00089009")])
    records = open_ghcn(folder, elements=["TMAX"], min_fraction=1.0)
    assert records.ids == ("SZ000006717",)
    assert records.observed.all()
    assert "fewer than 1 of the 3 days" in records.notes[-1]


def test_weather_types_are_one_or_zero_where_the_station_observes_them(tmp_path):
    folder = tmp_path / "ghcn"
    write_stations(folder)
    rows = [("SZ000006717", f"010{day}", "TMAX", day) for day in (1, 2, 4)]
    rows += [("SZ000006717", "0102", "WT01", 1), ("USW00014837", "0101", "TMAX", 3)]
    write_year(folder, 2013, rows)
    records = open_ghcn(folder, elements=["TMAX", "WT**"])
    assert records.channel_names == ("tmax", "wt01")
    nan = np.nan
    np.testing.assert_array_equal(
        records.column("wt01"), [[0, nan], [1, nan], [nan, nan], [0, nan]]
    )
    np.testing.assert_array_equal(
        open_ghcn(folder, elements=["TMAX", "WT**"], min_fraction=0.7).ids, ["SZ000006717"]
    )


def test_values_of_another_year_than_the_name_says_are_left_out(folder):
    (folder / "2012.csv.gz").rename(folder / "2013.csv.gz")
    with pytest.raises(ValueError, match="elements must be among those"):
        open_ghcn(folder, years=2013)
    records = open_ghcn(folder)
    assert records.times[-1] == np.datetime64("2011-12-31")
    assert "5 values left out, which are not of the year of their file" in records.notes


def month_line(station: str, month: str, element: str, values: list[int]) -> str:
    cells = [*values, *[-9999] * (31 - len(values))]
    return f"{station}{month}{element}" + "".join(f"{value:>5}  E" for value in cells)


def test_dly_and_tables_give_the_same_records(tmp_path):
    values = {"SZ000006717": [1, 2, -9999, 4], "USW00014837": [5, -9999, 7, 8]}
    folders = [tmp_path / name for name in ("dly", "year", "station")]
    for folder in folders:
        write_stations(folder)
    rows = [
        (station, f"010{day}", "TMAX", value)
        for station, numbers in values.items()
        for day, value in enumerate(numbers, start=1)
    ]
    write_year(folders[1], 2013, rows)
    (folders[0] / "ghcnd_all").mkdir()
    for station, numbers in values.items():
        line = month_line(station, "201301", "TMAX", numbers)
        (folders[0] / "ghcnd_all" / f"{station}.dly").write_text(line)
        path = write_year(folders[2], 2013, [row for row in rows if row[0] == station])
        path.rename(folders[2] / f"{station}.csv.gz")
    told = []
    opened = [open_ghcn(folder, progress=lambda *words: told.append(words)) for folder in folders]
    for records in opened[1:]:
        assert records.ids == opened[0].ids
        np.testing.assert_array_equal(records.times, opened[0].times)
        np.testing.assert_array_equal(records.values, opened[0].values)
    assert ("files of stations", 2, 2) in told
    assert any(name == "2013.csv.gz" for name, *_ in told)


ACCESS = """\
"STATION","DATE","LATITUDE","LONGITUDE","ELEVATION","NAME","PRCP","PRCP_ATTRIBUTES","TMAX","TMAX_ATTRIBUTES"
"SZ000006717","2013-01-01","45.87","7.17","2472.0","COL, SZ","  254",",,E","  -31",",,E"
"SZ000006717","2013-01-02","45.87","7.17","2472.0","COL, SZ","    0","T,,E","  999",",X,E"
"SZ000006717","2013-02-29","45.87","7.17","2472.0","COL, SZ","    1",",,E",,
"SZ000006717","2013-01-04","45.87","7.17","2472.0","COL, SZ",,,"   12",",,E"
"""


@pytest.mark.parametrize("name", ["SZ000006717.csv", "renamed.csv"])
def test_files_of_access_tell_where_their_stations_are(tmp_path, name):
    path = tmp_path / name
    path.write_text(ACCESS)
    assert is_ghcn(path)
    records = open_ghcn(path)
    assert (records.ids, records.names) == (("SZ000006717",), ("COL, SZ",))
    assert (records.lat_deg[0], records.elevation_m[0]) == (pytest.approx(45.87), 2472.0)
    nan = np.nan
    np.testing.assert_array_equal(records.column("prcp")[:, 0], np.float32([25.4, 0, nan, nan]))
    np.testing.assert_array_equal(records.column("tmax")[:, 0], np.float32([-3.1, nan, nan, 1.2]))
    assert "1 values left out, which have a quality flag: X 1" in records.notes
    assert "1 values with a day that does not exist" in records.notes


def test_exports_in_other_units_are_not_taken_for_files_of_access(tmp_path):
    path = tmp_path / "export.csv"
    for numbers in (('"  254"', '"25.4"'), ('"  254"', '"254"'), ("SZ000006717", "01001099999")):
        path.write_text(ACCESS.replace(*numbers))
        assert not is_ghcn(path)


def test_single_files_find_the_station_list_beside_or_above(folder):
    (folder / "by_year").mkdir()
    (folder / "2012.csv.gz").rename(folder / "by_year" / "2012.csv.gz")
    assert len(open_ghcn(folder / "2011.csv.gz")) == 2
    assert len(open_ghcn(folder / "by_year" / "2012.csv.gz")) == 3
    assert len(open_ghcn(folder)) == 5


def test_station_list_may_lie_elsewhere(folder, tmp_path):
    whole = open_ghcn(folder)
    elsewhere = tmp_path / "lists" / "stations.txt"
    elsewhere.parent.mkdir()
    (folder / "ghcnd-stations.txt").rename(elsewhere)
    assert open_ghcn(folder, stations=elsewhere).ids == whole.ids


def test_tables_need_pyarrow_and_fixed_columns_do_not(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(ghcn_cache, "find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"pip install 'deepsphere-torch\[stations\]'"):
        open_ghcn(folder)
    path = folder / "SZ000006717.dly"
    path.write_text(month_line("SZ000006717", "201301", "TMAX", [15]))
    assert open_ghcn(path).values.item() == 1.5


def test_ghcn_is_told_from_other_files(folder, tmp_path):
    assert is_ghcn(folder)
    assert is_ghcn(folder / "2011.csv.gz")
    other = tmp_path / "2011.csv"
    other.write_text("lat,lon,tmax\n1,2,3\n")
    assert not is_ghcn(other)
    assert not is_ghcn(tmp_path / "cache")
    assert not is_ghcn(tmp_path)
    assert not is_ghcn(folder / "ghcnd-stations.txt")


def test_what_is_not_there_is_said_with_how_to_get_it(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="got nothing there; fetch them with"):
        open_ghcn(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"\(2011, 2012\), got 2013; fetch it .* --years 2013"):
        open_ghcn(folder, years=range(2011, 2014))
    with pytest.raises(ValueError, match=r"2011\.csv\.gz holds \(2011\), got 2012"):
        open_ghcn(folder / "2011.csv.gz", years=2012)
    with pytest.raises(ValueError, match="years must be at least one, got none"):
        open_ghcn(folder, years=[])
    with pytest.raises(ValueError, match=r"elements must be among those .* got TOBS"):
        open_ghcn(folder, elements=["TOBS"])
    with pytest.raises(ValueError, match="min_fraction must be between 0 and 1, got 75"):
        open_ghcn(folder, min_fraction=75.0)
    with pytest.raises(ValueError, match=r"min_fraction must leave a station, got 0\.9 .* 5 days"):
        open_ghcn(folder, elements=["TMAX"], min_fraction=0.9)
    (folder / "ghcnd-stations.txt").rename(folder / "stations")
    with pytest.raises(FileNotFoundError, match=r"must hold ghcnd-stations\.txt, which tells"):
        open_ghcn(folder)
    empty = tmp_path / "empty"
    write_stations(empty)
    with pytest.raises(FileNotFoundError, match="must hold files of GHCN-Daily such as"):
        open_ghcn(empty)
    (empty / "SZ000006717.dly").write_text(month_line("SZ000006717", "201301", "TMAX", [1]))
    with pytest.raises(ValueError, match="that the files of stations hold, got 2014"):
        open_ghcn(empty, years=[2013, 2014])


def test_cut_file_in_a_folder_is_one_error(folder, cache):
    path = folder / "2012.csv.gz"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"2012\.csv\.gz must be a whole gzip file"):
        open_ghcn(folder)
    assert not list(cache.glob("2012*"))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a file of NOAA was read")


def test_second_opening_reads_the_cache_and_gives_the_same(folder, cache, monkeypatch):
    first = open_ghcn(folder)
    assert len(list(cache.glob("*.parquet"))) == 2
    monkeypatch.setattr("deepsphere.data.ghcn.add_table", refuse)
    second = open_ghcn(folder)
    np.testing.assert_array_equal(first.values, second.values)
    assert (first.ids, first.notes, first.units) == (second.ids, second.notes, second.units)


@pytest.mark.parametrize("change", ["elements", "content", "time"])
def test_cache_is_not_used_for_anything_else(folder, monkeypatch, change):
    open_ghcn(folder, years=2012)
    path = folder / "2012.csv.gz"
    elements = ["TMAX"] if change == "elements" else ["PRCP", "TMIN", "TMAX", "SNOW", "SNWD"]
    if change == "content":
        status = path.stat()
        path.write_bytes(path.read_bytes()[:-8] + bytes(8))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if change == "time":
        os.utime(path, ns=(0, 0))
    monkeypatch.setattr("deepsphere.data.ghcn.add_table", refuse)
    with pytest.raises(AssertionError, match="was read"):
        open_ghcn(folder, years=2012, elements=elements)


def test_damaged_cache_is_made_again(folder, cache):
    first = open_ghcn(folder, years=2012)
    (path,) = cache.glob("*.parquet")
    whole = path.read_bytes()
    damaged = [whole[: len(whole) // 2], b"", b"something else"]
    damaged += [
        whole[:start] + bytes(byte ^ 255 for byte in whole[start : start + 8]) + whole[start + 8 :]
        for start in (2, 100, len(whole) - 12)
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=r"the cached values .* are damaged"):
            again = open_ghcn(folder, years=2012)
        np.testing.assert_array_equal(first.values, again.values)
        assert path.read_bytes() == whole


def test_no_damage_of_the_cache_changes_what_is_read(folder, cache):
    first = open_ghcn(folder, years=2012)
    (path,) = cache.glob("*.parquet")
    whole = path.read_bytes()
    for start in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:start] + bytes([whole[start] ^ 4]) + whole[start + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = open_ghcn(folder, years=2012)
        np.testing.assert_array_equal(first.values, again.values)
        assert (first.ids, first.notes) == (again.ids, again.notes)


def test_large_values_survive_the_cache(tmp_path):
    folder = tmp_path / "ghcn"
    write_stations(folder)
    write_year(folder, 2013, [("SZ000006717", "0101", "WDMV", 99999)])
    for _ in range(2):
        assert open_ghcn(folder, elements=["WDMV"]).values.item() == 99999


def test_cache_can_be_cleared_and_switched_off(folder, cache, monkeypatch):
    open_ghcn(folder)
    assert ghcn_cache_folder() == cache
    assert clear_ghcn_cache() == 2
    assert clear_ghcn_cache() == 0
    monkeypatch.setenv("DEEPSPHERE_CACHE", "off")
    assert ghcn_cache_folder() is None
    assert open_ghcn(folder).num_stations == 4
    assert clear_ghcn_cache() == 0
    assert not list(cache.glob("*"))


def test_cache_that_cannot_be_written_is_said_once(folder, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("DEEPSPHERE_CACHE", str(blocked))
    ghcn_cache._warn_unwritable.cache_clear()
    with pytest.warns(UserWarning, match="values of GHCN-Daily cannot be cached in") as told:
        assert open_ghcn(folder).num_stations == 4
    assert len(told) == 1
