"""Fetching GHCN-Daily from servers of all kinds, that cut connections and change their files."""

import gzip
import hashlib
import http.server
import json
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data import ghcn_transfer
from deepsphere.data.ghcn import open_ghcn
from deepsphere.data.ghcn_download import check_years, download_ghcn
from deepsphere.data.ghcn_manifest import MANIFEST, read_checksums, read_manifest
from deepsphere.data.ghcn_transfer import Patience, fetch_file

QUICK = Patience(num_attempts=3, wait_seconds=0.0, timeout_seconds=5.0)


def year_file(year: int, num: int = 4000) -> bytes:
    """A table that does not compress well, so that it can be cut into parts."""
    values = np.random.default_rng(year).integers(-300, 400, num)
    days = np.arange(f"{year}-01-01", f"{year}-03-01", dtype="datetime64[D]")
    names = [f"US{number:09d}" for number in range(-(-num // len(days)))]
    keys = [(name, str(day).replace("-", "")) for name in names for day in days]
    rows = [
        f"{name},{day},TMAX,{value},,,E,"
        for (name, day), value in zip(keys, values.tolist(), strict=False)
    ]
    return gzip.compress("\n".join(rows).encode(), mtime=0)


STATIONS = "\n".join(
    f"US{i:09d} {i / 2 - 40:8.4f} {i:9.4f}    1.0    {i:<30}" for i in range(70)
).encode()


class Server(http.server.ThreadingHTTPServer):
    """A server whose manners can be changed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {
            "/daily/readme.txt": b"README FILE",
            "/daily/ghcnd-stations.txt": STATIONS,
            "/daily/ghcnd-inventory.txt": b"US000000000  17.1167  -61.7833 TMAX 2010 2014\n",
            "/daily/by_year/2013.csv.gz": year_file(2013),
            "/daily/by_year/2014.csv.gz": year_file(2014),
        }
        self.requests: list[tuple[str, str, int]] = []  # path, Range, status
        self.knows_ranges = True
        self.tag: Callable[[bytes], dict[str, str]] = strong_tag
        self.tells_length = True
        self.cut_after: list[int] = []  # bytes after which connections end, one by one
        self.statuses: list[int] = []  # instead of files, one by one
        self.on_request: Callable[[], None] = lambda: None
        self.lies_about_ranges = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/daily/"

    def of(self, name: str) -> list[tuple[str, int]]:
        """Range and status of the requests of a file."""
        return [(asked, status) for path, asked, status in self.requests if path.endswith(name)]

    def handle_error(self, *_: object) -> None:
        """Connections that the other side closes are expected."""


def strong_tag(content: bytes) -> dict[str, str]:
    return {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}


def weak_tag(content: bytes) -> dict[str, str]:
    return {"ETag": f'W/"{len(content)}"'}


def date_only(content: bytes) -> dict[str, str]:
    second = hashlib.md5(content).digest()[0] % 60
    return {"Last-Modified": f"Sat, 01 Mar 2025 10:00:{second:02d} GMT"}


def no_tag(_: bytes) -> dict[str, str]:
    return {}


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def do_GET(self) -> None:
        server = self.server
        server.on_request()
        content = server.files.get(self.path)
        asked = self.headers.get("Range", "")
        status = 404 if content is None else 200
        is_big = self.path.endswith(".gz")
        if server.statuses and is_big:
            status = server.statuses.pop(0)
        headers: dict[str, str] = {}
        body = content if status == 200 and content is not None else b"no"
        if status == 200 and content is not None:
            headers |= server.tag(content)
            validator = self.headers.get("If-Range", "")
            if asked and server.knows_ranges and validator in headers.values():
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    status, body = 416, b""
                    headers["Content-Range"] = f"bytes */{len(content)}"
                else:
                    start = 0 if server.lies_about_ranges else start
                    status, body = 206, content[start:]
                    end = len(content) - 1
                    headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        server.requests.append((self.path, asked, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if server.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if is_big and server.cut_after and status in (200, 206):
            body = body[: server.cut_after.pop(0)]
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def download(server: Server, folder: Path, **options):
    options = {"years": [2013], "url": server.url, "patience": QUICK, **options}
    return download_ghcn(folder, **options)


def test_download_brings_the_files_as_they_are(server, tmp_path):
    told = []
    done = download(
        server, tmp_path / "a" / "b", years=[2014, 2013], progress=lambda *w: told.append(w)
    )
    folder = tmp_path / "a" / "b"
    assert done.fetched == (
        "readme.txt",
        "ghcnd-stations.txt",
        "ghcnd-inventory.txt",
        "2013.csv.gz",
        "2014.csv.gz",
    )
    assert (done.kept, done.notes) == ((), ())
    for path, content in server.files.items():
        assert (folder / Path(path).name).read_bytes() == content
    assert {path.name for path in folder.iterdir()} == {*done.fetched, MANIFEST}
    size = len(server.files["/daily/by_year/2014.csv.gz"])
    assert told[-1] == ("2014.csv.gz", size, size)
    content = json.loads((folder / MANIFEST).read_text())["files"]["2014.csv.gz"]
    assert content["sha256"] == hashlib.sha256((folder / "2014.csv.gz").read_bytes()).hexdigest()
    assert content["url"].endswith("/daily/by_year/2014.csv.gz")
    assert open_ghcn(folder, years=[2013, 2014], elements=["TMAX"]).num_stations == 68


def test_file_that_is_announced_as_packed_stays_packed(server, tmp_path):
    server.tag = lambda content: strong_tag(content) | {"Content-Encoding": "gzip"}
    download(server, tmp_path)
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_stopped_call_is_continued_by_the_next(server, tmp_path, monkeypatch):
    monkeypatch.setattr(ghcn_transfer, "_CHUNK", 1000)

    def stop(name: str, num_done: int, _: int) -> None:
        if name == "2013.csv.gz" and num_done >= 4000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server, tmp_path, progress=stop)
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200), ("bytes=4000-", 206)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_silent_server_is_asked_again(server, tmp_path):
    waits, asked = [0.5], []

    def wait() -> None:
        asked.append(1)
        threading.Event().wait(waits.pop() if waits else 0)

    server.on_request = wait
    download(server, tmp_path, patience=Patience(3, wait_seconds=0.0, timeout_seconds=0.2))
    assert len(asked) == 5  # of four files


def test_second_call_asks_for_what_is_missing_only(server, tmp_path):
    download(server, tmp_path)
    server.requests.clear()
    done = download(server, tmp_path, years=[2013, 2014])
    assert [path for path, *_ in server.requests] == ["/daily/by_year/2014.csv.gz"]
    assert done.fetched == ("2014.csv.gz",)
    assert len(done.kept) == 4
    assert done.notes == ()


@pytest.mark.parametrize("tag", [strong_tag, date_only])
def test_cut_connection_is_continued_where_it_was(server, tmp_path, tag):
    server.tag = tag
    server.cut_after = [5000, 0, 3000, 100]
    download(server, tmp_path)
    content = server.files["/daily/by_year/2013.csv.gz"]
    assert (tmp_path / "2013.csv.gz").read_bytes() == content
    assert server.of("2013.csv.gz") == [
        ("", 200),
        ("bytes=5000-", 206),
        ("bytes=5000-", 206),
        ("bytes=8000-", 206),
        ("bytes=8100-", 206),
    ]
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("tag", [weak_tag, no_tag])
def test_parts_of_unnamed_versions_are_not_put_together(server, tmp_path, tag):
    server.tag = tag
    server.cut_after = [5000]
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200), ("", 200)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_server_without_ranges_is_asked_from_the_start(server, tmp_path):
    server.knows_ranges = False
    server.cut_after = [5000]
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200), ("bytes=5000-", 200)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_server_that_tells_no_length(server, tmp_path):
    server.tells_length = False
    server.cut_after = [5000]  # only the end of the gzip file tells that it is cut
    with pytest.raises(ValueError, match=r"2013\.csv\.gz from http.* must be intact, got"):
        download(server, tmp_path)
    download(server, tmp_path)
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_interrupted_call_is_continued_by_the_next(server, tmp_path):
    server.cut_after = [5000, 0, 0, 0]
    with pytest.raises(
        ConnectionError, match=r"3 attempts .* the 5000 bytes .* kept; run the same"
    ):
        download(server, tmp_path)
    assert not (tmp_path / "2013.csv.gz").exists()
    server.cut_after, server.requests = [], []
    done = download(server, tmp_path)
    assert server.requests == [("/daily/by_year/2013.csv.gz", "bytes=5000-", 206)]
    assert done.fetched == ("2013.csv.gz",)
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


@pytest.mark.parametrize("tag", [strong_tag, date_only])
def test_file_that_changes_meanwhile_begins_anew(server, tmp_path, tag):
    server.tag = tag
    server.cut_after = [5000, 0, 0]
    with pytest.raises(ConnectionError):
        download(server, tmp_path)
    server.cut_after = []
    server.files["/daily/by_year/2013.csv.gz"] = year_file(2014)
    download(server, tmp_path)
    assert server.of("2013.csv.gz")[-1] == ("bytes=5000-", 200)
    assert (tmp_path / "2013.csv.gz").read_bytes() == year_file(2014)


@pytest.mark.parametrize("status", [412, 416])
def test_refused_part_begins_anew(server, tmp_path, status):
    server.cut_after = [5000]
    server.statuses = [200, status]
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200), ("bytes=5000-", status), ("", 200)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_whole_part_is_not_fetched_again(server, tmp_path):
    server.cut_after = [5000, 0, 0]
    with pytest.raises(ConnectionError):
        download(server, tmp_path)
    content = server.files["/daily/by_year/2013.csv.gz"]
    (tmp_path / "2013.csv.gz.part").write_bytes(content)
    download(server, tmp_path)
    assert server.of("2013.csv.gz")[-1] == (f"bytes={len(content)}-", 416)
    assert (tmp_path / "2013.csv.gz").read_bytes() == content


def test_part_that_was_not_asked_for_is_not_used(server, tmp_path):
    server.cut_after = [5000]
    server.lies_about_ranges = True
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200), ("bytes=5000-", 206), ("", 200)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


def test_damaged_part_is_noticed_and_fetched_anew(server, tmp_path):
    server.cut_after = [5000, 0, 0]
    with pytest.raises(ConnectionError):
        download(server, tmp_path)
    server.cut_after = []
    (tmp_path / "2013.csv.gz.part").write_bytes(bytes(5000))
    download(server, tmp_path)
    assert server.of("2013.csv.gz")[-2:] == [("bytes=5000-", 206), ("", 200)]
    assert (tmp_path / "2013.csv.gz").read_bytes() == server.files["/daily/by_year/2013.csv.gz"]


@pytest.mark.parametrize(
    "note", ["", "[]", '{"url": "elsewhere", "etag": "", "last_modified": ""}']
)
def test_part_of_something_else_is_not_used(server, tmp_path, note):
    (tmp_path / "2013.csv.gz.part").write_bytes(bytes(5000))
    (tmp_path / "2013.csv.gz.part.json").write_text(note)
    download(server, tmp_path)
    assert server.of("2013.csv.gz") == [("", 200)]


def test_passing_failures_are_waited_for(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(ghcn_transfer.time, "sleep", waited.append)
    server.statuses = [503, 429, 200]
    download(server, tmp_path, patience=Patience(num_attempts=3, wait_seconds=2.0))
    assert waited == [2.0, 4.0]
    assert (tmp_path / "2013.csv.gz").exists()


def test_lasting_failures_are_said(server, tmp_path):
    server.statuses = [500] * 3
    with pytest.raises(ConnectionError, match=r"3 attempts .it answered 500 Internal Server Error"):
        download(server, tmp_path)
    server.statuses = [403]
    with pytest.raises(ConnectionError, match="must be a file that may be fetched, got 403"):
        download(server, tmp_path)


def test_year_that_the_server_lacks_is_said(server, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"by_year/2012\.csv\.gz .* 404 .* choose years"):
        download(server, tmp_path, years=[2012, 2013])
    assert (tmp_path / "ghcnd-stations.txt").exists()


def test_server_without_readme_and_inventory_will_do(server, tmp_path):
    del server.files["/daily/readme.txt"], server.files["/daily/ghcnd-inventory.txt"]
    done = download(server, tmp_path)
    assert done.fetched == ("ghcnd-stations.txt", "2013.csv.gz")
    assert done.notes[0] == "the server has no readme.txt, which is not needed"


def test_no_network_is_said(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match=r"could not be fetched in 3 attempts .*refused"):
        download_ghcn(tmp_path, 2013, url=f"http://127.0.0.1:{port}/", patience=QUICK)


def test_page_of_the_web_is_not_taken_for_a_table(server, tmp_path):
    server.files["/daily/by_year/2013.csv.gz"] = b"<html>please log in</html>"
    with pytest.raises(ValueError, match=r"must be intact, got something else .*please log in"):
        download(server, tmp_path)
    assert not (tmp_path / "2013.csv.gz").exists()
    server.files["/daily/readme.txt"] = b"<html>please log in</html>"
    with pytest.raises(ValueError, match=r"readme\.txt .* must be a text"):
        download(server, tmp_path / "other")


def test_full_disk_is_said_before_and_during(server, tmp_path, monkeypatch):
    size = len(server.files["/daily/by_year/2013.csv.gz"])
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ghcn_transfer.shutil, "disk_usage", lambda _: usage._replace(free=size - 1))
        with pytest.raises(OSError, match=rf"no space for the {size} bytes of 2013\.csv\.gz"):
            download(server, tmp_path)

    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def seek(self, place: int) -> None:
            self.file.seek(place)

        def write(self, _: bytes) -> None:
            raise OSError(28, "No space left on device")

    opened = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda path, mode="r", **o: (
                Full(opened(path, mode, **o))
                if path.suffix == ".part" and mode in ("wb", "r+b")
                else opened(path, mode, **o)
            ),
        )
        with pytest.raises(OSError, match=r"no space for .* make room and run the same again"):
            download(server, tmp_path)
    assert download(server, tmp_path).fetched == ("2013.csv.gz",)


def test_file_that_changed_on_the_disk_is_fetched_again(server, tmp_path):
    download(server, tmp_path)
    path = tmp_path / "2013.csv.gz"
    whole = path.read_bytes()
    for content in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:], year_file(2014)):
        path.write_bytes(content)
        done = download(server, tmp_path)
        assert done.fetched == ("2013.csv.gz",)
        assert done.notes == ("2013.csv.gz had changed on the disk, and was fetched again",)
        assert path.read_bytes() == whole
    (tmp_path / "ghcnd-stations.txt").unlink()
    assert download(server, tmp_path).fetched == ("ghcnd-stations.txt",)


@pytest.mark.parametrize("subfolder", [".", "by_year"])
def test_files_of_unknown_origin_are_checked(server, tmp_path, subfolder):
    (tmp_path / subfolder).mkdir(exist_ok=True)
    path = tmp_path / subfolder / "2013.csv.gz"
    path.write_bytes(year_file(2013))
    (tmp_path / subfolder / "2014.csv.gz").write_bytes(year_file(2014)[:-5])
    done = download(server, tmp_path, years=[2013, 2014])
    assert server.of("2013.csv.gz") == []
    assert done.notes == (
        "2013.csv.gz was there already, and is intact",
        "2014.csv.gz was there already, but damaged, and was fetched again",
    )
    assert (tmp_path / subfolder / "2014.csv.gz").read_bytes() == year_file(2014)
    assert download(server, tmp_path, years=[2013, 2014]).notes == ()


def test_damaged_manifest_is_written_anew(server, tmp_path):
    download(server, tmp_path)
    for content in ("{", "[]", '{"files": {"2013.csv.gz": {"size": 1}}}'):
        (tmp_path / MANIFEST).write_text(content)
        assert read_manifest(tmp_path).files == {}
        done = download(server, tmp_path)
        assert done.fetched == ()
        assert set(read_manifest(tmp_path).files) == {*done.kept}


def test_overwrite_fetches_all_again_and_keeps_the_old_until_then(server, tmp_path):
    download(server, tmp_path)
    server.files["/daily/by_year/2013.csv.gz"] = year_file(2014)
    server.statuses = [500] * 3
    with pytest.raises(ConnectionError):
        download(server, tmp_path, overwrite=True)
    assert (tmp_path / "2013.csv.gz").read_bytes() == year_file(2013)
    assert len(download(server, tmp_path, overwrite=True).fetched) == 4
    assert (tmp_path / "2013.csv.gz").read_bytes() == year_file(2014)


def test_given_checksums_are_compared(server, tmp_path):
    right = hashlib.sha256(year_file(2013)).hexdigest()
    download(server, tmp_path, checksums={"2013.csv.gz": right.upper()})
    with pytest.raises(ValueError, match=rf"must have the SHA-256 {'0' * 64}, got {right}; it has"):
        download(server, tmp_path, checksums={"2013.csv.gz": "0" * 64})
    assert (tmp_path / "2013.csv.gz").read_bytes() == year_file(2013)
    server.files["/daily/by_year/2013.csv.gz"] = year_file(2014)
    other = hashlib.sha256(year_file(2014)).hexdigest()
    done = download(server, tmp_path, checksums={"2013.csv.gz": other})
    assert done.notes == (
        "2013.csv.gz was not the file of the given SHA-256, and was fetched again",
    )
    with pytest.raises(ValueError, match="checksums must be SHA-256 of 64 hexadecimal digits"):
        download(server, tmp_path, checksums={"2013.csv.gz": "abc"})


def test_checksums_are_read_from_lists_and_manifests(server, tmp_path):
    download(server, tmp_path)
    digest = hashlib.sha256(year_file(2013)).hexdigest()
    assert read_checksums(tmp_path / MANIFEST)["2013.csv.gz"] == digest
    path = tmp_path / "sums"
    path.write_text(f"{digest}  by_year/2013.csv.gz\n{'A' * 64} *x y.txt\n")
    assert read_checksums(path) == {"2013.csv.gz": digest, "x y.txt": "a" * 64}
    for content in ("", "{}", "abc  2013.csv.gz"):
        path.write_text(content)
        with pytest.raises(ValueError, match="must have lines of a SHA-256, two spaces and a name"):
            read_checksums(path)
    with pytest.raises(FileNotFoundError, match="must be a file with digests, got nothing there"):
        read_checksums(tmp_path / "nothing")


def test_this_year_is_kept_with_a_word_about_it(server, tmp_path):
    year = int(str(np.datetime64("now", "Y")))
    server.files[f"/daily/by_year/{year}.csv.gz"] = year_file(year)
    assert download(server, tmp_path, years=year).notes == ()
    assert (
        "ends where it was fetched, and is kept" in download(server, tmp_path, years=year).notes[0]
    )


def test_download_without_requests_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ImportError, match=r"pip install 'deepsphere-torch\[stations\]'"):
        download_ghcn(tmp_path, 2013)


def test_wrong_arguments_are_rejected(tmp_path, unchecked):
    for years in ([], [1600], [2013, 3000]):
        with pytest.raises(ValueError, match="years must be at least one from 1750 to"):
            check_years(years)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folder must be a folder, got the file"):
        download_ghcn(tmp_path / "file", 2013)
    with pytest.raises(ValueError, match=r"url must be an address such as https://"):
        fetch_file("ftp://somewhere/file", tmp_path / "target")
    for values in ({"num_attempts": 0}, {"wait_seconds": -1.0}, {"timeout_seconds": 0.0}):
        with pytest.raises(ValueError, match="num_attempts must be at least 1"):
            Patience(**values)
