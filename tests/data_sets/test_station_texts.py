"""Text files of tables: descriptions before them, rows that are cut, other bytes."""

import gzip

import numpy as np
import pytest

from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_texts import StationFileError, find_header

TABLE = "id,date,lat,lon,tmax_c\na,2020-01-01,10,20,1.5\nb,2020-01-01,11,21,-2.5\n"


def check(path):
    records = read_stations(path)
    assert records.ids == ("a", "b")
    np.testing.assert_array_equal(records.column("tmax"), [[1.5, -2.5]])
    np.testing.assert_array_equal(records.lat_deg, [10, 11])


@pytest.mark.parametrize(
    "text",
    [
        "My weather stations\n\n" + TABLE,
        "sep=;\n" + TABLE.replace(",", ";"),
        "% made by hand\n# in 2020\n" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("5\n", "5,\n"),  # lines end with a separator, the header does not
        TABLE.replace("\na", "\n1,a").replace("\nb", "\n2,b"),  # names of rows, of R
        TABLE.replace(",", " | "),
        TABLE.replace(".", ",").replace("a,", "a;").replace(",", ";").replace("1;5", "1,5")
        .replace("2;5", "2,5"),
    ],
)  # fmt: skip
def test_what_programs_write_around_a_table_is_no_matter(text, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    check(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_are_told_by_the_first_bytes(encoding, tmp_path):
    text = TABLE.replace("id,", "id,name,").replace("a,2", "a,Zürich,2").replace("b,2", "b,Orly,2")
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    check(tmp_path / "a.csv")
    assert read_stations(tmp_path / "a.csv").names == ("Zürich", "Orly")


def test_packed_tables_are_known_by_their_bytes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(TABLE.encode()))
    check(path)
    (tmp_path / "b.csv.gz").write_text(TABLE)
    with pytest.raises(StationFileError, match=r"b.csv.gz must be a complete file, .* by gzip"):
        read_stations(tmp_path / "b.csv.gz")


@pytest.mark.parametrize("cut", range(30, len(TABLE) - 8, 5))
def test_a_table_that_ends_within_a_row_is_told(cut, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(TABLE[:cut])
    if TABLE[:cut].splitlines()[-1].count(",") < 4:
        with pytest.raises(ValueError, match=r"ends within a row|must be a date|must have"):
            read_stations(path)
    else:  # whole as far as it goes
        assert read_stations(path).ids == ("a",)


def test_a_table_without_a_last_line_end_is_whole(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE.rstrip())
    check(tmp_path / "a.csv")
    rows = TABLE.replace("tmax_c", "tmax_c,remark").replace("5\n", '5,"windy,\nwet"\n').rstrip()
    (tmp_path / "b.csv").write_text(rows)
    check(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold a table, got an empty file"),
        (b"# nothing\n\n", "must hold a table, got an empty file"),
        (b"PK\x03\x04 an archive", "must be a text file, got bytes that are no text"),
        (b"a\x00b,c\n", "must be a text file, got bytes that are no text"),
        (b"a,2020-01-01,10,20,1\n", "must name its columns in the first line, got 'a 2020-01-01"),
        (b"2020 01 01 00   -42\n2020 01 01 06   -42\n", "must name its columns in the first line"),
        (TABLE.replace("5\n", "5,1,2\n").encode(), "got 7 values below 5 headers; name each"),
    ],
)
def test_files_that_are_no_tables_are_told(content, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(StationFileError, match=message):
        read_stations(tmp_path / "a.csv")


def test_header_of_a_packed_table(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(("of 2020\n" + TABLE).encode()))
    header = find_header(tmp_path / "a.csv.gz")
    assert (header.words[:2], header.skipped, header.packing) == (["id", "date"], 1, "gzip")
