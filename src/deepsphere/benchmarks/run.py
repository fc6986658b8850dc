"""Running suites: threads, graphs, machine, and the files that keep what was found."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from deepsphere.benchmarks.machine import (
    describe_benchmark_machine,
    describe_benchmark_versions,
    load_average,
)
from deepsphere.benchmarks.record import CaseLoad, Measurement, Record, write_record
from deepsphere.benchmarks.registry import SUITES
from deepsphere.benchmarks.report import TABLES_FILE, write_report
from deepsphere.benchmarks.setting import Setting, limited_threads
from deepsphere.data.files import require_writable
from deepsphere.experiments.output import REPORT_FILE


def run_suite(
    name: str,
    setting: Setting,
    *,
    command: str,
    announce: Callable[[Measurement], None] | None = None,
) -> Record:
    """The record of a suite.

    Parameters
    ----------
    name
        Key of `SUITES`.
    setting
        How it is measured.
    command
        What a reader has to type to do it again.
    announce
        Called with each number when it is there.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        If there is no such suite.
    """
    if name not in SUITES:
        raise ValueError(f"suite must be one of {', '.join(SUITES)}, got {name!r}")
    suite = SUITES[name]
    measurements: list[Measurement] = []
    loads: dict[str, CaseLoad] = {}
    with limited_threads(setting.num_threads):
        last = load_average()
        for found in suite.run(setting):
            measurements.append(found)
            now = load_average()
            before = loads[found.case].before if found.case in loads else last
            loads[found.case] = CaseLoad(case=found.case, before=before, after=now)
            last = now
            if announce is not None:
                announce(found)
        machine = describe_benchmark_machine()
    plain = asdict(replace(setting, folder=Path()))
    del plain["folder"]
    return Record(
        suite=name,
        title=suite.title,
        command=command,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        quick=setting.quick,
        setting=plain,
        measurements=measurements,
        # small cases are measured to see that everything runs
        requirements=[] if setting.quick else suite.requirements(setting),
        loads=list(loads.values()),
        machine=machine,
        versions=describe_benchmark_versions(),
    )


def output_files(names: Sequence[str], output: Path) -> list[Path]:
    """Where the numbers of suites will be written.

    Parameters
    ----------
    names
        Keys of `SUITES`.
    output
        A folder, or a file ``.json`` for a single suite.

    Returns
    -------
    list of Path
        One per suite.

    Raises
    ------
    ValueError
        If a file is named for several suites.

    Examples
    --------
    >>> [str(path) for path in output_files(["filter", "graph"], Path("runs"))]
    ['runs/filter.json', 'runs/graph.json']
    """
    if output.suffix != ".json":
        return [output / f"{name}.json" for name in names]
    if len(names) > 1:
        raise ValueError(
            f"output must be a folder for {len(names)} suites, got the file {output}; "
            f"use {output.with_suffix('')}"
        )
    return [output]


def check_output(names: Sequence[str], output: Path, *, overwrite: bool) -> None:
    """Raise, before anything is measured, unless the results may be written.

    Parameters
    ----------
    names
        Keys of `SUITES`.
    output
        See `output_files`.
    overwrite
        Whether files that are there may be replaced.

    Raises
    ------
    FileExistsError
        If numbers of such a suite are there, or pages that are not of benchmarks.
    """
    for path in output_files(names, output):
        require_writable(path, overwrite=overwrite)
    is_ours = any((output / f"{name}.json").is_file() for name in SUITES)
    if output.suffix != ".json" and not is_ours:
        for name in (REPORT_FILE, TABLES_FILE):
            require_writable(output / name, overwrite=overwrite)


def run_benchmarks(
    names: Sequence[str],
    setting: Setting,
    output: Path | None,
    *,
    command: str,
    overwrite: bool = False,
    begin: Callable[[str], None] | None = None,
    announce: Callable[[Measurement], None] | None = None,
) -> tuple[list[Record], list[Path]]:
    """Run suites, write the numbers of each when it is over, and draw the report in a folder.

    Parameters
    ----------
    names
        Keys of `SUITES`.
    setting
        How they are measured.
    output
        A folder, a file ``.json`` for a single suite, or None to write nothing.
    command
        What a reader has to type to do it again.
    overwrite
        Whether files that are there may be replaced.
    begin
        Called with the name of each suite that begins.
    announce
        Called with each number when it is there.

    Returns
    -------
    tuple
        Records, and the files that were written.
    """
    if output is not None:
        check_output(names, output, overwrite=overwrite)
    records, written = [], []
    for name in names:
        if begin is not None:
            begin(name)
        records.append(run_suite(name, setting, command=command, announce=announce))
        if output is not None:
            (path,) = output_files([name], output)
            write_record(path, records[-1], overwrite=overwrite)
            written.append(path)
    if output is not None and output.suffix != ".json":
        written += write_report(output)
    return records, written


def temporary_graphs() -> tempfile.TemporaryDirectory[str]:
    """A folder for the graphs of a run, removed after it.

    Returns
    -------
    TemporaryDirectory
    """
    return tempfile.TemporaryDirectory(prefix="deepsphere-benchmark-")
