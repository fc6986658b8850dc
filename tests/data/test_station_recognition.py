"""Which files are those of stations."""

import gzip

import numpy as np
import pytest

from deepsphere.data.station_recognition import holds_stations

LONG = "station,date,lat,lon,tmax_f\n1,2020-01-01,47,8,40\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", LONG, True),
        ("a.csv", "id;year;month;day;latitude;longitude;rain\n1;2020;1;2;3;4;5\n", True),
        ("a.txt", "# of 2020\n" + LONG.replace(",", "\t"), True),
        ("a.csv", "city,date,tmax\nBern,2020-01-01,3\n", True),  # whose list is missing
        ("a.csv", "lon,lat\n8,47\n", False),  # points alone
        ("a.csv", "temperature,pressure\n1,2\n", False),  # signals
        ("a.csv", "1,2,3\n4,5,6\n", False),
        ("a.csv", "", False),
        ("a.npy", LONG, False),
        ("a.npz", LONG, False),  # no archive
        ("SZ000006717.dly", "", True),
    ],
)
def test_tables_that_say_where_and_when_are_of_stations(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert holds_stations(tmp_path / name) is expected


def test_packed_tables_are_seen(tmp_path):
    path = tmp_path / "stations.csv.gz"
    path.write_bytes(gzip.compress(LONG.encode()))
    assert holds_stations(path)
    path.write_bytes(path.read_bytes()[:12])
    assert holds_stations(path)  # no other reader would say that it is cut


def test_folders_of_tables_are_seen(tmp_path):
    (tmp_path / "a.csv").write_text("station,date,tmax\n1,2020-01-01,4\n")
    assert not holds_stations(tmp_path)
    (tmp_path / "stations.csv").write_text("station,lat,lon\n1,47,8\n")
    assert holds_stations(tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("lat", "lon", "dates", "tmax_c"), True), (("lat", "lon", "tmax_c"), False), (("x",), False)],
)
def test_arrays_are_known_by_their_names(tmp_path, names, expected):
    np.savez(tmp_path / "a.npz", **{name: np.zeros(2) for name in names})
    assert holds_stations(tmp_path / "a.npz") is expected


def test_what_is_not_there_is_not_of_stations(tmp_path):
    assert not holds_stations(tmp_path / "none.csv")
    assert not holds_stations(tmp_path)
