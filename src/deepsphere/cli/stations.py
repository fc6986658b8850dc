"""The command for files of weather stations: `download`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from deepsphere.cli.options import Overwrite, say

_MEGABYTE = 1e6


class DownloadName(str, Enum):
    """What can be fetched."""

    ghcn = "ghcn"


def download(
    name: Annotated[
        DownloadName,
        typer.Argument(
            metavar="NAME",
            help="ghcn: GHCN-Daily, the daily records of 100,000 weather stations that NOAA "
            "collects.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Where the files go. Files that are there and intact are kept.",
            show_default=False,
        ),
    ],
    years: Annotated[
        str,
        typer.Option(
            metavar="YEARS",
            help="First and last (2010:2014, both included), or a list (2010,2012). A year takes "
            "100 to 200 MB.",
            show_default=False,
        ),
    ],
    checksums: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="SHA-256 that the files must have, as [b]sha256sum[/b] writes them, or the "
            "ghcn-downloads.json of another folder.",
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A mirror of NOAA's folder ghcn/daily."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fetch measurements of weather stations; the same command goes on with what is missing.

    Each file is checked before it takes its place. A file that has changed on the disk since, by
    its SHA-256 in ghcn-downloads.json, is fetched again.

    Example:  [b]deepsphere download ghcn ghcn --years 2010:2014[/b]
    """
    from deepsphere.data.ghcn_download import NOAA, download_ghcn
    from deepsphere.data.ghcn_manifest import read_checksums

    chosen = parse_years(years)
    digests = None if checksums is None else read_checksums(checksums)
    with _shown_progress() as progress:
        done = download_ghcn(
            folder,
            chosen,
            url=NOAA if url is None else url,
            checksums=digests,
            overwrite=overwrite,
            progress=progress,
        )
    for note in done.notes:
        say(note)
    kept = f", {len(done.kept)} were there and intact" if done.kept else ""
    say(f"{name.value}: {len(done.fetched)} files fetched{kept}\nthey are in {done.folder}")


def parse_years(text: str) -> list[int]:
    """Years from words like ``2010:2014`` (both included), ``2010,2012`` or ``2014``.

    Parameters
    ----------
    text
        What was typed.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> parse_years("2010:2012"), parse_years("2014,1990:1991")
    ([2010, 2011, 2012], [2014, 1990, 1991])
    """
    years: list[int] = []
    for word in text.split(","):
        ends = [end.strip() for end in word.split(":")]
        if not all(len(end) == 4 and end.isdecimal() for end in ends) or len(ends) > 2:
            raise ValueError(f"--years must be like 2010:2014 or 2010,2012, got {text!r}")
        first, last = int(ends[0]), int(ends[-1])
        if first > last:
            raise ValueError(
                f"--years must begin before they end, got {word.strip()}; write {last}:{first}"
            )
        years.extend(range(first, last + 1))
    return years


@contextmanager
def _shown_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the terminal for each file, in megabytes."""
    from deepsphere.training.progress import open_bar

    with open_bar(shown=True) as bar:
        tasks = {}

        def show(name: str, num_done: int, num_bytes: int) -> None:
            if name not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[name] = bar.add_task(f"{name} (MB)", total=None)
            total = round(num_bytes / _MEGABYTE) if num_bytes else None
            bar.update(tasks[name], completed=round(num_done / _MEGABYTE), total=total)

        yield show
