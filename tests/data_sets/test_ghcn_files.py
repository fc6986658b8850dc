"""The files of GHCN-Daily: tables, fixed columns, station list and inventory."""

import csv
import gzip
import io

import numpy as np
import pytest

from deepsphere.data.ghcn_dly import read_ghcn_dly
from deepsphere.data.ghcn_elements import check_elements, element_unit
from deepsphere.data.ghcn_stations import read_ghcn_inventory, read_ghcn_stations
from deepsphere.data.ghcn_tables import check_table, looks_like_table, read_ghcn_year
from deepsphere.data.ghcn_values import MISSING, DailyValues, day_of_year

HEADER = "ID,DATE,ELEMENT,DATA_VALUE,M_FLAG,Q_FLAG,S_FLAG,OBS_TIME"
IDS = ("SZ000006717", "USW00014837", "ASN00066062")


def draw_rows(year: int, seed: int = 0, num: int = 600) -> list[str]:
    """Lines as NOAA has them, by day; some with a quality flag."""
    generator = np.random.default_rng(seed)
    days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]")
    keys = [(d, s, e) for d in days for s in IDS for e in ("TMAX", "PRCP", "SNOW", "WT01")]
    chosen = sorted(generator.choice(len(keys), num, replace=False))
    rows = []
    for index in chosen:
        day, station, element = keys[index]
        value = 1 if element == "WT01" else int(generator.integers(-300, 900))
        flag = generator.choice(["", "", "", "D", "X"])
        date = str(day).replace("-", "")
        rows.append(f"{station},{date},{element},{value},,{flag},E,0700")
    return rows


def as_dict(values: DailyValues) -> dict[tuple[str, str, str], int]:
    """Every value by station, element and date."""
    found = {}
    for row, column in np.argwhere(values.values != MISSING):
        date = np.datetime64(f"{values.years[row]}-01-01") + column
        station = values.stations[values.station_indices[row]]
        element = values.elements[values.element_indices[row]]
        found[station, element, str(date)] = int(values.values[row, column])
    return found


def read_naively(rows: list[str]) -> dict[tuple[str, str, str], int]:
    found = {}
    for station, date, element, value, _, flag, *_ in csv.reader(io.StringIO("\n".join(rows))):
        if not flag.strip():
            found[station, element, f"{date[:4]}-{date[4:6]}-{date[6:]}"] = int(value)
    return found


def month_line(station: str, month: str, element: str, days: dict[int, tuple[str, str]]) -> str:
    """A line of a .dly: for some days a value, and its three flags."""
    cells = (days.get(day, ("-9999", "   ")) for day in range(1, 32))
    return f"{station}{month}{element}" + "".join(f"{v:>5}{flags}" for v, flags in cells)


def write_gzip(path, rows: list[str]):
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


@pytest.mark.parametrize("year", [2012, 2013])
@pytest.mark.parametrize("header", [[], [HEADER], [HEADER.replace("_", " ").replace("M F", "M-F")]])
def test_table_reads_as_a_naive_reader_does(tmp_path, year, header):
    rows = draw_rows(year)
    path = write_gzip(tmp_path / f"{year}.csv.gz", [*header, *rows])
    values = read_ghcn_year(path)
    assert as_dict(values) == read_naively(rows)
    flags = [row.split(",")[5] for row in rows]
    assert values.counts == {f"flag {f}": flags.count(f) for f in "DX"}


def test_table_in_many_blocks_is_the_same_as_in_one(tmp_path, monkeypatch):
    path = write_gzip(tmp_path / "2013.csv.gz", draw_rows(2013))
    whole = read_ghcn_year(path)
    monkeypatch.setattr("deepsphere.data.ghcn_tables._BLOCK", 500)
    told = []
    blocks = read_ghcn_year(path, progress=lambda *words: told.append(words))
    assert as_dict(blocks) == as_dict(whole)
    assert blocks.counts == whole.counts
    assert len(told) > 10
    assert told[-1] == ("2013.csv.gz", path.stat().st_size, path.stat().st_size)


def test_rows_of_a_large_file_are_not_lost_when_memory_grows(tmp_path):
    names = [f"US{number:09d}" for number in range(3000)]
    path = tmp_path / "2013.csv"
    path.write_text("\n".join(f"{n},20130301,TMAX,{i},,,E," for i, n in enumerate(names)))
    values = read_ghcn_year(path)
    assert as_dict(values) == {(n, "TMAX", "2013-03-01"): i for i, n in enumerate(names)}


def test_only_wanted_elements_are_kept_and_their_flags_counted(tmp_path):
    rows = draw_rows(2013)
    values = read_ghcn_year(write_gzip(tmp_path / "2013.csv.gz", rows), elements=["snow"])
    snow = [row for row in rows if ",SNOW," in row]
    assert as_dict(values) == read_naively(snow)
    assert sum(values.counts.values()) == len(snow) - len(read_naively(snow))


def test_table_of_a_station_spans_years(tmp_path):
    rows = [*draw_rows(2011), *draw_rows(2012, seed=1)]
    assert as_dict(read_ghcn_year(write_gzip(tmp_path / "a.csv.gz", rows))) == read_naively(rows)


def test_columns_are_found_by_their_headings(tmp_path):
    path = tmp_path / "2013.csv"
    path.write_text("DATE,ELEMENT,ID,VALUE\n2013-01-05,TMAX,SZ000006717,12\n")
    assert as_dict(read_ghcn_year(path)) == {("SZ000006717", "TMAX", "2013-01-05"): 12}


def test_nonsense_is_left_out_and_counted(tmp_path):
    good = "SZ000006717,20130301,TMAX,5,,,E,"
    path = tmp_path / "2013.csv"
    rows = [
        good,
        "SZ000006717,20130229,TMAX,7,,,E,",  # no such day
        "SZ000006717,20131301,TMAX,7,,,E,",  # no such month
        "SZ000006717,20130302,TMAX,warm,,,E,",
        "SZ000006717,20130303,TMAX,1.5,,,E,",
        "SZ000006717,20130304,TMAX,,,,E,",
        "SZ000006717,20130305,TMAX,99999999999,,,E,",
        "SZ000006717,2013030x,TMAX,7,,,E,",
        "SZ000006717,20130306,TMAX",
        "SZ000006717,20130307,TMAX,-9999,,,E,",  # NOAA's way of saying that there is none
        "SZ000006717,20130308,TMAX, -12,, ,E,",  # a blank flag is none
        "",
    ]
    path.write_text("\n".join(rows))
    values = read_ghcn_year(path)
    assert as_dict(values) == {
        ("SZ000006717", "TMAX", "2013-03-01"): 5,
        ("SZ000006717", "TMAX", "2013-03-08"): -12,
    }
    assert values.counts == {"dates": 2, "values": 5, "rows": 1}


@pytest.mark.parametrize("block", [1 << 24, 40])
def test_of_repeated_values_the_last_counts(tmp_path, monkeypatch, block):
    monkeypatch.setattr("deepsphere.data.ghcn_tables._BLOCK", block)
    path = tmp_path / "2013.csv"
    path.write_text("\n".join(f"SZ000006717,20130301,TMAX,{v},,,E," for v in (5, 6, 7)))
    values = read_ghcn_year(path)
    assert as_dict(values) == {("SZ000006717", "TMAX", "2013-03-01"): 7}
    assert values.counts == {"repeated": 2}


def test_large_values_are_kept_in_full(tmp_path):
    path = tmp_path / "2013.csv"
    path.write_text("SZ000006717,20130301,WDMV,99999,,,E,")
    assert as_dict(read_ghcn_year(path))["SZ000006717", "WDMV", "2013-03-01"] == 99999


def test_cut_or_damaged_gzip_is_one_error_that_says_what_to_do(tmp_path):
    path = write_gzip(tmp_path / "2013.csv.gz", draw_rows(2013))
    content = path.read_bytes()
    for length in (5, 30, len(content) // 2, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"2013\.csv\.gz must be .*download it again"):
            read_ghcn_year(path)
        with pytest.raises(ValueError, match="truncated one; download it again"):
            check_table(path)
    for place in (len(content) // 2, len(content) - 6):  # in the middle, and in the checksum
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        with pytest.raises(ValueError, match=r"2013\.csv\.gz must be .*download it again"):
            read_ghcn_year(path)


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html><html>Not found</html>", b"\x00\x01\x02", b"lat,lon,tmax\n1,2,3\n", b"a,b\n"],
)
def test_something_else_is_rejected(tmp_path, content):
    path = tmp_path / "2013.csv"
    path.write_bytes(content)
    assert not looks_like_table(path)
    with pytest.raises(ValueError, match="must be a table of GHCN-Daily with the columns"):
        read_ghcn_year(path)


def test_stray_quote_costs_no_more_than_its_line(tmp_path):
    rows = [f"SZ000006717,201303{day:02d},TMAX,{day},,,E," for day in range(1, 29)]
    path = tmp_path / "2013.csv"
    path.write_text("\n".join([*rows[:5], rows[5].replace("TMAX", '"TMAX'), *rows[6:]]))
    assert as_dict(read_ghcn_year(path, elements=["TMAX"])) == read_naively(rows[:5] + rows[6:])


def test_quoted_table_is_read(tmp_path):
    rows = draw_rows(2013)
    path = tmp_path / "2013.csv"
    quoted = [",".join(f'"{word}"' for word in row.split(",")) for row in [HEADER, *rows]]
    path.write_text("\n".join(quoted))
    assert as_dict(read_ghcn_year(path)) == read_naively(rows)
    path.write_text("\n".join(quoted[1:]))
    assert as_dict(read_ghcn_year(path)) == read_naively(rows)


def test_table_that_cannot_be_cut_into_columns_is_rejected(tmp_path):
    path = tmp_path / "2013.csv"
    row = '"SZ000006717","20130301","TMAX",5,,,"E",\n'
    path.write_text(row + row.replace('"E"', '"E') + row.replace('"', "") * 100_000)
    with pytest.raises(ValueError, match=r"2013\.csv must be a table .* download it again"):
        read_ghcn_year(path)


@pytest.mark.parametrize("content", [b"", gzip.compress(b""), b"\n"])
def test_empty_table_is_rejected(tmp_path, content):
    path = tmp_path / "2013.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must hold values of GHCN-Daily, got an empty file"):
        read_ghcn_year(path)


def test_absent_table_is_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a file, got nothing there"):
        read_ghcn_year(tmp_path / "2013.csv")


def test_table_that_was_unpacked_on_the_way_is_read(tmp_path):
    path = tmp_path / "2013.csv.gz"
    path.write_text("\n".join(draw_rows(2013)))
    assert as_dict(read_ghcn_year(path)) == read_naively(draw_rows(2013))


def test_dly_has_the_values_of_the_table(tmp_path):
    path = tmp_path / "SZ000006717.dly"
    lines = [
        month_line("SZ000006717", "201202", "TMAX", {1: ("-31", "  E"), 29: ("12", "  E")}),
        month_line("SZ000006717", "201202", "PRCP", {2: ("0", "T E"), 3: ("99", " XE")}),
        month_line("SZ000006717", "201302", "TMAX", {28: ("7", "  E"), 29: ("8", "  E")}),
    ]
    path.write_text("\n".join(lines) + "\n")
    values = read_ghcn_dly(path)
    assert as_dict(values) == {
        ("SZ000006717", "TMAX", "2012-02-01"): -31,
        ("SZ000006717", "TMAX", "2012-02-29"): 12,
        ("SZ000006717", "PRCP", "2012-02-02"): 0,
        ("SZ000006717", "TMAX", "2013-02-28"): 7,
    }
    assert values.counts == {"flag X": 1, "dates": 1}
    assert as_dict(read_ghcn_dly(path, elements=["PRCP"])).keys() == {
        ("SZ000006717", "PRCP", "2012-02-02")
    }


def test_dly_without_trailing_spaces_and_with_nonsense(tmp_path):
    path = tmp_path / "SZ000006717.dly"
    whole = month_line("SZ000006717", "201202", "TMAX", {1: ("x", "   "), 2: ("3", "   ")})
    path.write_text(f"{whole.rstrip()[:45]}\r\nSZ0000067172012xxTMAX    3\n{whole.rstrip()}\n")
    values = read_ghcn_dly(path)
    assert as_dict(values) == {("SZ000006717", "TMAX", "2012-02-02"): 3}
    assert values.counts["rows"] == 1
    assert values.counts["values"] >= 1


@pytest.mark.parametrize("cut", [30, 100, 264])
def test_dly_that_is_cut_in_its_last_line_is_rejected(tmp_path, cut):
    path = tmp_path / "SZ000006717.dly"
    whole = month_line("SZ000006717", "201202", "TMAX", {2: ("31", "   ")})
    path.write_text(f"{whole}\n{whole[:cut]}")
    with pytest.raises(ValueError, match=f"must end with a whole month, got {cut} of 266"):
        read_ghcn_dly(path)


@pytest.mark.parametrize("cut", [18, 25, 29, 34])
def test_numbers_of_a_station_list_that_is_cut_are_not_known(tmp_path, cut):
    path = tmp_path / "ghcnd-stations.txt"
    lines = STATION_LINES.splitlines()
    path.write_text("\n".join([lines[0], lines[1][:cut]]))
    stations = read_ghcn_stations(path)
    assert np.isnan(stations.elevation_m[1])
    assert np.isnan(stations.lon_deg[1]) == (cut < 30)


@pytest.mark.parametrize(("content", "message"), [("\n", "got an empty file"), ("x", "be a .dly")])
def test_wrong_dly_is_rejected(tmp_path, content, message):
    path = tmp_path / "SZ000006717.dly"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_ghcn_dly(path)


STATION_LINES = """\
ACW00011604  17.1167  -61.7833   10.1    ST JOHNS COOLIDGE FLD
CA001010066  48.8667 -123.2833    4.0 BC ACTIVE PASS
USC00999999  40.0000  -80.0000 -999.9 PA NOWHERE                        GSN     72405
AYM00089009 -90.0000    0.0000 2835.0    AMUNDSEN-SCOTT                 GSN     89009
"""


def test_station_list_is_read_by_columns(tmp_path):
    path = tmp_path / "ghcnd-stations.txt"
    path.write_text(STATION_LINES)
    stations = read_ghcn_stations(tmp_path)
    assert stations.ids == ("ACW00011604", "CA001010066", "USC00999999", "AYM00089009")
    np.testing.assert_array_equal(stations.lat_deg, [17.1167, 48.8667, 40.0, -90.0])
    np.testing.assert_array_equal(stations.lon_deg, [-61.7833, -123.2833, -80.0, 0.0])
    np.testing.assert_array_equal(stations.elevation_m, [10.1, 4.0, np.nan, 2835.0])
    assert stations.names[2:] == ("NOWHERE", "AMUNDSEN-SCOTT")
    assert stations.states == ("", "BC", "PA", "")
    assert len(stations) == 4
    assert stations.notes == ()


def test_station_list_with_repeated_lines_and_without_coordinates(tmp_path):
    path = tmp_path / "ghcnd-stations.txt"
    lines = [*STATION_LINES.splitlines(), STATION_LINES.splitlines()[0], "CA001010067  ?"]
    path.write_bytes("\n".join(lines).encode() + " É".encode("latin-1"))
    stations = read_ghcn_stations(path)
    assert len(stations) == 5
    assert np.isnan(stations.lat_deg[-1])
    assert stations.notes == (
        "ghcnd-stations.txt lists stations again in 1 lines: the first counts",
        "ghcnd-stations.txt has 1 stations without coordinates",
    )


@pytest.mark.parametrize("read", [read_ghcn_stations, read_ghcn_inventory])
def test_wrong_lists_are_rejected(tmp_path, read):
    path = tmp_path / "list.txt"
    with pytest.raises(FileNotFoundError, match="must be a file, got nothing there; fetch it with"):
        read(path)
    path.write_text(" \n")
    with pytest.raises(ValueError, match="got an empty file; download"):
        read(path)
    path.write_text("<html>\n")
    with pytest.raises(ValueError, match=r"got '<html>' in line 1; download .* again"):
        read(path)


def test_inventory_is_read_by_columns(tmp_path):
    path = tmp_path / "ghcnd-inventory.txt"
    path.write_text(
        "ACW00011604  17.1167  -61.7833 TMAX 1949 1949\n"
        "ACW00011604  17.1167  -61.7833 PRCP 1950 2001\n"
        "ACW00011604  17.1167  -61.7833 SNOW ???? 2001\n"
    )
    inventory = read_ghcn_inventory(tmp_path)
    assert inventory.ids == ("ACW00011604", "ACW00011604")
    assert inventory.elements == ("TMAX", "PRCP")
    assert inventory.first_years.tolist() == [1949, 1950]
    assert inventory.last_years.tolist() == [1949, 2001]
    path.write_text("ACW00011604  17.1167  -61.7833 TMAX none none\n")
    with pytest.raises(ValueError, match="got lines without years"):
        read_ghcn_inventory(path)


def test_day_of_year_is_that_of_numpy():
    days = np.arange("1896-01-01", "1905-01-01", dtype="datetime64[D]")
    years = days.astype("datetime64[Y]")
    months = days.astype("datetime64[M]")
    found = day_of_year(
        years.astype(int) + 1970,
        months.astype(int) % 12 + 1,
        (days - months).astype(int) + 1,
    )
    np.testing.assert_array_equal(found, (days - years).astype(int))


@pytest.mark.parametrize(
    "date", [(2013, 2, 29), (1900, 2, 29), (2013, 0, 1), (2013, 4, 31), (0, 1, 1)]
)
def test_dates_that_do_not_exist_have_no_day(date):
    assert day_of_year(*(np.array([part]) for part in date)) == -1


def test_elements_have_the_units_of_the_readme():
    assert element_unit("PRCP") == ("mm", 10)
    assert element_unit("SNWD") == ("mm", 1)
    assert element_unit("TAVG") == ("°C", 10)
    assert element_unit("SN32") == ("°C", 10)
    assert element_unit("AWND") == ("m/s", 10)
    assert len(check_elements(["WT**", "TMAX"])) == 23


@pytest.mark.parametrize("elements", [[], ["TEMPERATURE"], ["TMAX", "9ABC"]])
def test_wrong_elements_are_rejected(elements):
    with pytest.raises(ValueError, match="elements must be codes of GHCN-Daily of four characters"):
        check_elements(elements)
