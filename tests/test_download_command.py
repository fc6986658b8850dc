"""The command `download`, from a folder that is served on this machine."""

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsphere.cli import main
from deepsphere.cli.stations import parse_years
from deepsphere.data.ghcn import open_ghcn

STATION = "SZ000006717  45.8700    7.1700 2472.0    COL DU GRAND ST-BERNARD"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def source(tmp_path) -> Path:
    source = tmp_path / "noaa"
    (source / "by_year").mkdir(parents=True)
    (source / "readme.txt").write_text("README FILE")
    (source / "ghcnd-stations.txt").write_text(STATION)
    (source / "ghcnd-inventory.txt").write_text("SZ000006717  45.8700    7.1700 TMAX 2010 2014")
    for year in (2010, 2011):
        row = f"SZ000006717,{year}0101,TMAX,-31,,,E,\n"
        (source / "by_year" / f"{year}.csv.gz").write_bytes(gzip.compress(row.encode()))
    return source


@pytest.fixture
def url(source) -> Iterator[str]:
    handler = functools.partial(Handler, directory=str(source))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(folder: Path, url: str, *words: object) -> int:
    return main(["download", "ghcn", str(folder), "--url", url, *(str(word) for word in words)])


def test_download_brings_what_is_missing(source, url, tmp_path, capsys):
    folder = tmp_path / "ghcn"
    assert run(folder, url, "--years", "2010") == 0
    assert capsys.readouterr().out == f"ghcn: 4 files fetched\nthey are in {folder}\n"
    assert run(folder, url, "--years", "2010:2011") == 0
    out = capsys.readouterr().out
    assert out.startswith("ghcn: 1 files fetched, 4 were there and intact\n")
    records = open_ghcn(folder)
    assert [str(day)[:10] for day in records.times[[0, -1]]] == ["2010-01-01", "2011-01-01"]
    (folder / "2011.csv.gz").write_bytes(b"\x1f\x8b")
    assert run(folder, url, "--years", "2010:2011") == 0
    assert "2011.csv.gz had changed on the disk, and was fetched again" in capsys.readouterr().out
    assert run(folder, url, "--years", "2010,2011", "--overwrite") == 0
    assert "5 files fetched\n" in capsys.readouterr().out


def test_download_compares_checksums(source, url, tmp_path, capsys):
    assert run(tmp_path / "one", url, "--years", "2010") == 0
    sums = tmp_path / "one" / "ghcn-downloads.json"
    assert run(tmp_path / "two", url, "--years", "2010", "--checksums", sums) == 0
    table = source / "by_year" / "2010.csv.gz"
    table.write_bytes(gzip.compress(b"SZ000006717,20100101,TMAX,-32,,,E,\n"))
    capsys.readouterr()
    assert run(tmp_path / "three", url, "--years", "2010", "--checksums", sums) == 2
    assert "2010.csv.gz from" in capsys.readouterr().err
    assert not (tmp_path / "three" / "2010.csv.gz").exists()


def test_mistakes_are_one_line(url, tmp_path, capsys):
    for words, message in (
        (["--years", "2009"], "must be a file of the server, got 404"),
        (["--years", "20"], "--years must be like 2010:2014 or 2010,2012, got '20'"),
        (["--years", "1700"], "years must be at least one from 1750"),
        (["--years", "2010", "--checksums", tmp_path / "none"], "must be a file with digests"),
        ([], "--years"),
    ):
        assert run(tmp_path / "ghcn", url, *words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("text", ["", "2010-2014", "2010:", "2010:2011:2012", "20x0", "10:14"])
def test_years_that_are_none_are_rejected(text):
    with pytest.raises(ValueError, match="--years must be like 2010:2014 or 2010,2012, got"):
        parse_years(text)


def test_years_in_the_wrong_order_are_rejected():
    with pytest.raises(ValueError, match="got 2014:2010; write 2010:2014"):
        parse_years("2014:2010")
