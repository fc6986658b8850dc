"""The command that measures time and memory: `benchmark`."""

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import Overwrite

if TYPE_CHECKING:
    from deepsphere.benchmarks.record import Measurement, Record


class SuiteName(str, Enum):
    """What can be measured."""

    filter = "filter"
    block = "block"
    network = "network"
    graph = "graph"
    scaling = "scaling"
    regridding = "regridding"
    stations = "stations"
    memory = "memory"
    all = "all"


class DeviceName(str, Enum):
    """Where tensors live."""

    cpu = "cpu"
    cuda = "cuda"


def benchmark(
    suite: Annotated[
        SuiteName | None,
        typer.Argument(
            metavar="SUITE",
            help="filter (one layer), block, network (SHREC'17), graph (neighbors), scaling (cost "
            "against size), regridding, stations, memory, or all.",
            show_default=False,
        ),
    ] = None,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Other libraries too; one that is not installed is named."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small cases: shows that it runs, claims nothing.")
    ] = False,
    threads: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Threads of every library.")
    ] = 2,
    device: Annotated[DeviceName, typer.Option(help="Where.")] = DeviceName.cpu,
    seconds: Annotated[
        float,
        typer.Option(
            min=0, metavar="NUMBER", help="Repeat a case so long, five times if that is longer."
        ),
    ] = 15.0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|FILE",
            help="Folder for numbers (.json), report.html, tables.md and figures; or a file .json.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Measure nothing; draw the pages of the numbers in a folder again."
        ),
    ] = None,
) -> None:
    """Measure time and memory of graph convolutions, beside other libraries.

    Example:  [b]deepsphere benchmark filter --peers --output runs/benchmarks[/b]
    """
    if (suite is None) == (report is None):
        received = "neither" if suite is None else "both"
        raise ValueError(
            f"benchmark must be told a SUITE or --report, got {received}; "
            "e.g.  deepsphere benchmark filter"
        )
    if suite is None:
        from deepsphere.benchmarks.report import write_report

        assert report is not None
        _say_written(write_report(report))
        return
    from deepsphere.benchmarks.registry import SUITES
    from deepsphere.benchmarks.run import run_benchmarks, temporary_graphs
    from deepsphere.benchmarks.setting import Setting
    from deepsphere.benchmarks.tables import verdict_line

    with temporary_graphs() as folder:
        setting = Setting(
            folder=Path(folder),
            device=device.value,
            num_threads=threads,
            with_peers=peers,
            quick=quick,
            seconds=min(seconds, 0.2) if quick else seconds,
        )
        records, written = run_benchmarks(
            list(SUITES) if suite is SuiteName.all else [suite.value],
            setting,
            output,
            command=_command(suite.value, peers, quick, threads, device.value, seconds),
            overwrite=overwrite,
            begin=lambda name: _say(f"\n{SUITES[name].title}"),
            announce=_Announcer(),
        )
    for record in records:
        case = ""
        for verdict in record.verdicts():
            if verdict.requirement.case != case:
                case = verdict.requirement.case
                _say(f"\n{case}")
            _say(verdict_line(verdict))
    _say_written(written)
    _raise_disagreements(records)


class _Announcer:
    """Prints numbers as they come, below the title of their case."""

    def __init__(self) -> None:
        self._case = ""

    def __call__(self, found: "Measurement") -> None:
        from deepsphere.benchmarks.tables import measurement_line

        if found.case != self._case:
            self._case = found.case
            _say(f"\n{found.case}")
        _say(measurement_line(found))


def _raise_disagreements(records: "list[Record]") -> None:
    """End as with a mistake if a variant computed something else."""
    wrong = [found for record in records for found in record.measurements if found.disagrees]
    if wrong:
        names = ", ".join(dict.fromkeys(found.variant for found in wrong))
        raise ValueError(
            f"variants must agree within 1e-4, got other numbers from {names} in {len(wrong)} "
            "measurements; the lines above say by how much"
        )


def _command(
    suite: str, peers: bool, quick: bool, threads: int, device: str, seconds: float
) -> str:
    """What has to be typed to do it again."""
    words = ["deepsphere", "benchmark", suite]
    words += ["--peers"] if peers else []
    words += ["--quick"] if quick else []
    words += ["--threads", str(threads)] if threads != 2 else []
    words += ["--device", device] if device != "cpu" else []
    words += ["--seconds", f"{seconds:g}"] if seconds != 15 and not quick else []
    return shlex.join(words)


def _say_written(paths: list[Path]) -> None:
    """Where the results are."""
    if paths:
        _say("\n" + "\n".join(f"written to {path}" for path in paths))


def _say(text: str) -> None:
    """Write lines that can be copied: no wrapping, no colours; and at once, as it takes long."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
    sys.stdout.flush()
