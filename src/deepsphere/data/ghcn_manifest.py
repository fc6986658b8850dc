"""What was fetched into a folder: names, sizes and digests, to notice a file that has changed."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from deepsphere.data.files import write_atomically
from deepsphere.data.ghcn_transfer import Fetched

MANIFEST = "ghcn-downloads.json"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


@dataclass(frozen=True)
class Manifest:
    """The files of a folder that were fetched, or found intact.

    Attributes
    ----------
    path
        Where it is kept.
    files
        By their names.
    """

    path: Path
    files: Mapping[str, Fetched]

    def with_file(self, name: str, fetched: Fetched) -> "Manifest":
        """The manifest with one more file, written to the disk.

        Parameters
        ----------
        name
            Of the file.
        fetched
            What is known of it.

        Returns
        -------
        Manifest
        """
        manifest = replace(self, files={**self.files, name: fetched})
        files = {name: asdict(manifest.files[name]) for name in sorted(manifest.files)}
        with write_atomically(self.path, overwrite=True) as temporary:
            temporary.write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
        return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Parameters
    ----------
    folder
        Where `ghcn-downloads.json` may be.

    Returns
    -------
    Manifest
        Empty where there is none, or a damaged one: the files are checked anew then.

    Examples
    --------
    >>> read_manifest(Path("no such folder")).files
    {}
    """
    path = folder / MANIFEST
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return Manifest(path, {name: Fetched(**values) for name, values in files.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Manifest(path, {})


def read_checksums(path: str | os.PathLike[str]) -> dict[str, str]:
    """SHA-256 of files by their names, as `sha256sum` writes them, or from a `ghcn-downloads.json`.

    Parameters
    ----------
    path
        A file with lines of a digest, two spaces and a name; or a manifest.

    Returns
    -------
    dict
        Names without folders.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "SHA256SUMS"
    >>> _ = path.write_text("0" * 64 + "  by_year/2014.csv.gz")
    >>> list(read_checksums(path))
    ['2014.csv.gz']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a file with digests, got nothing there")
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.lstrip().startswith("{"):
        manifest = _checksums_of_json(text)
        if manifest:
            return manifest
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [_LINE.fullmatch(line) for line in lines]
    wrong = [line for line, match in zip(lines, found, strict=True) if match is None]
    if wrong or not found:
        raise ValueError(
            f"{path} must have lines of a SHA-256, two spaces and a name, got "
            f"{repr(wrong[0][:60]) if wrong else 'none'}; write it with  sha256sum"
        )
    return {Path(match[2]).name: match[1].lower() for match in found if match is not None}


def check_digest(name: str, digest: str) -> str:
    """A digest in lower case.

    Parameters
    ----------
    name
        Of the file.
    digest
        Hexadecimal.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> check_digest("2014.csv.gz", "A" * 64) == "a" * 64
    True
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(
            f"checksums must be SHA-256 of 64 hexadecimal digits, got {digest!r} for {name}"
        )
    return digest.lower()


def _checksums_of_json(text: str) -> dict[str, str]:
    """The digests of a manifest; none if it is something else."""
    try:
        files = json.loads(text)["files"]
        return {name: str(values["sha256"]).lower() for name, values in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
