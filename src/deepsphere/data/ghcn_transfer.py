"""Fetching a file over HTTP so that what has arrived is never fetched twice.

Bytes go to a file beside the target whose name ends in `.part`, with a note from which version of
the file they are. After an interruption, the server is asked for the rest, and only if it still
has that version. The target exists as soon as it is whole and checked.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from deepsphere.data.ghcn_packed import Progress
from deepsphere.version import __version__

_CHUNK = 1 << 18
# Statuses after which to ask again is of use.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_ABSENT = {404, 410}
# What a server says when it does not have the version of which a part is here.
_CHANGED = {412, 416}
_LONGEST_WAIT = 60.0
_VERSION = ("etag", "last_modified")


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Parameters
    ----------
    num_attempts
        Failures in a row, without a byte between them, after which to give up.
    wait_seconds
        Before the second attempt; twice as long before each further one, up to a minute.
    timeout_seconds
        Without a byte, after which an attempt has failed.

    Raises
    ------
    ValueError
        If there is no attempt, or a time is negative.

    Examples
    --------
    >>> Patience(num_attempts=2).wait_seconds
    1.0
    """

    num_attempts: int = 6
    wait_seconds: float = 1.0
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.num_attempts < 1 or self.wait_seconds < 0 or self.timeout_seconds <= 0:
            raise ValueError(
                "num_attempts must be at least 1, wait_seconds not negative and timeout_seconds "
                f"positive, got {self.num_attempts}, {self.wait_seconds} and "
                f"{self.timeout_seconds}"
            )


@dataclass(frozen=True)
class Fetched:
    """A file that has been fetched.

    Attributes
    ----------
    url
        Where from.
    num_bytes
        Its size.
    sha256
        Its digest, hexadecimal.
    etag, last_modified
        What the server calls this version; "" where it does not say.
    """

    url: str
    num_bytes: int
    sha256: str
    etag: str = ""
    last_modified: str = ""


class _TryAgainError(Exception):
    """An attempt failed for a reason that may pass."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Part:
    """What has arrived, and of which version of the file it is."""

    path: Path
    note: Path

    @property
    def size(self) -> int:
        """Number of bytes that are here."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def version(self, url: str) -> dict[str, str]:
        """What the server called the version of which the bytes are; empty if that is not known."""
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
            return {name: str(known[name]) for name in _VERSION} if known["url"] == url else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def discard(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def fetch_file(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch a file, going on where an earlier call was interrupted.

    Parameters
    ----------
    url
        http or https.
    target
        The file, which is replaced if it exists, at once and only by one that is whole.
    sha256
        Digest that it must have.
    check
        Raises ValueError for a file that is not what it should be.
    patience
        How long to try.
    progress
        Is told the name, the bytes that are here, and how many there will be (0: not known).

    Returns
    -------
    Fetched

    Raises
    ------
    FileNotFoundError
        If the server has no such file.
    ConnectionError
        If it cannot be reached or refuses; what has arrived is kept.
    OSError
        If the disk is full; what has arrived is kept.
    ValueError
        If the file is not what it should be.

    Examples
    --------
    >>> fetch_file("an address", Path("file"))
    Traceback (most recent call last):
    ...
    ValueError: url must be an address such as https://..., got 'an address' (...)
    """
    patience = patience or Patience()
    part = _Part(
        target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    for is_last in (False, True):
        had_part = part.size > 0
        version = _complete(url, part, target, patience, progress)
        digest = file_sha256(part.path)
        wrong = _wrong(part.path, digest, sha256, check)
        if wrong is None:
            break
        part.discard()
        # what was put together of parts may not fit; what came in one piece is what there is
        if is_last or not had_part:
            raise ValueError(f"{target.name} from {url} {wrong}")
    fetched = Fetched(url, part.size, digest, **version)
    os.replace(part.path, target)
    part.discard()
    return fetched


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    str
        Hexadecimal.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> file_sha256(path)[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _wrong(
    path: Path, digest: str, wanted: str | None, check: Callable[[Path], object] | None
) -> str | None:
    """What is wrong with a file, if anything is."""
    if wanted is not None and digest != wanted.lower():
        return (
            f"must have the SHA-256 {wanted}, got {digest}; it has changed at its source, or the "
            "digest is of another file: leave the digest out to take what there is"
        )
    try:
        if check is not None:
            check(path)
    except ValueError as error:
        return f"must be intact, got something else ({error})"
    return None


def _complete(
    url: str, part: _Part, target: Path, patience: Patience, progress: Progress | None
) -> dict[str, str]:
    """Bring what is missing, in as many attempts as it takes; the version that is here then."""
    requests = _requests()
    failures = 0
    with requests.Session() as session:
        while True:
            before = part.size
            try:
                return _attempt(session, url, part, target, patience, progress)
            except _TryAgainError as error:
                failures = 1 if part.size > before else failures + 1
                if failures >= patience.num_attempts:
                    kept = f"; the {part.size} bytes that have arrived are kept" * (part.size > 0)
                    raise ConnectionError(
                        f"{url} could not be fetched in {failures} attempts ({error}){kept}; run "
                        "the same again when the network and the server are well"
                    ) from error
                wait = patience.wait_seconds * 2 ** (failures - 1)
                time.sleep(min(wait if error.wait is None else error.wait, _LONGEST_WAIT))


def _attempt(
    session: Any,
    url: str,
    part: _Part,
    target: Path,
    patience: Patience,
    progress: Progress | None,
) -> dict[str, str]:
    """Ask once for what is missing; the version that is here when all of it has arrived."""
    known = part.version(url)
    validator = _validator(known)
    # without a name for the version, nobody can tell whether the rest belongs to it
    start = part.size if validator else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": f"deepsphere/{__version__}"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    with _get(session, url, headers, patience) as response:
        version = {
            "etag": response.headers.get("ETag", ""),
            "last_modified": response.headers.get("Last-Modified", ""),
        }
        total = _size(response)
        if response.status_code == 206:
            begins = _range_start(response)
            if begins != start or (version["etag"] and version["etag"] != known.get("etag")):
                part.discard()
                raise _TryAgainError("it sent another part than it was asked for", wait=0.0)
        elif response.status_code in _CHANGED:
            if response.status_code == 416 and total == start > 0:
                return known
            part.discard()
            raise _TryAgainError("it has another version than before", wait=0.0)
        elif response.status_code == 200:
            start = 0
        else:
            _refused(url, response)
        part.note.write_text(json.dumps({"url": url, **version}), encoding="utf-8")
        _check_space(target, total - start)
        _write(part, start, _chunks(response), target, progress, total)
        if total and part.size != total:
            raise _TryAgainError(f"the connection ended after {part.size} of {total} bytes")
        return version


def _get(session: Any, url: str, headers: dict[str, str], patience: Patience) -> Any:
    """The answer of a server, of which nothing but the headers is here yet."""
    requests = _requests()
    try:
        return session.get(url, headers=headers, stream=True, timeout=patience.timeout_seconds)
    except requests.RequestException as error:
        if isinstance(error, ValueError):  # an address that is none
            raise ValueError(
                f"url must be an address such as https://..., got {url!r} ({error})"
            ) from error
        raise _TryAgainError(_reason(error)) from error


def _chunks(response: Any) -> Iterator[bytes]:
    """The bytes as they lie on the server: a gzip file is not to be unpacked on the way."""
    from urllib3.exceptions import HTTPError

    try:
        yield from response.raw.stream(_CHUNK, decode_content=False)
    except (HTTPError, OSError) as error:
        raise _TryAgainError(_reason(error)) from error


def _write(
    part: _Part,
    start: int,
    chunks: Iterator[bytes],
    target: Path,
    progress: Progress | None,
    total: int,
) -> None:
    """Put bytes behind those that are here."""
    with part.path.open("r+b" if start else "wb") as file:
        file.seek(start)
        done = start
        for chunk in chunks:
            try:
                file.write(chunk)
                file.flush()
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    _no_space(target, total - done)
                raise
            done += len(chunk)
            if progress is not None:
                progress(target.name, done, total)


def _check_space(target: Path, needed: int) -> None:
    """Raise before a byte is fetched that would have no place."""
    if needed > shutil.disk_usage(target.parent).free:
        _no_space(target, needed)


def _no_space(target: Path, needed: int) -> NoReturn:
    """Raise that the disk is full."""
    raise OSError(
        errno.ENOSPC,
        f"no space for the {max(needed, 0)} bytes of {target.name} that are missing; make room "
        "and run the same again, which goes on with what has arrived",
        str(target.parent),
    )


def _refused(url: str, response: Any) -> NoReturn:
    """Raise for an answer without a file."""
    status = f"{response.status_code} {response.reason}".strip()
    if response.status_code in _ABSENT:
        raise FileNotFoundError(f"{url} must be a file of the server, got {status}")
    if response.status_code in _PASSING:
        wait = response.headers.get("Retry-After", "")
        raise _TryAgainError(f"it answered {status}", float(wait) if wait.isdigit() else None)
    raise ConnectionError(f"{url} must be a file that may be fetched, got {status}")


def _validator(version: dict[str, str]) -> str:
    """The name of a version by which bytes may be put together; "" where there is none."""
    etag = version.get("etag", "")
    # weak tags are the same for files that differ in their bytes
    return etag if etag and not etag.startswith("W/") else version.get("last_modified", "")


def _size(response: Any) -> int:
    """Size of the whole file; 0 where the server does not tell."""
    of_range = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    if of_range:
        return int(of_range[1])
    length = response.headers.get("Content-Length", "")
    return int(length) if response.status_code == 200 and length.isdigit() else 0


def _range_start(response: Any) -> int:
    """First byte of a part; −1 where the server does not tell."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _reason(error: BaseException) -> str:
    """The innermost cause of an error, in one line."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return " ".join(str(error).split()) or type(error).__name__


def _requests() -> Any:
    """The package requests."""
    try:
        import requests
    except ImportError as error:
        raise ImportError(
            "downloads need requests; install it with  pip install 'deepsphere-torch[stations]'"
        ) from error
    return requests
