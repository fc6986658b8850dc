"""Run a suite on graphs, print its tables, and write the numbers with machine and versions.

Time and memory of layers and networks are measured by `deepsphere benchmark`.

python benchmarks/run.py border | carry [--quick]
python benchmarks/run.py equivariance [--quick] [--huge] [--stations FILE.npz] [--output FILE.json]
"""

import argparse
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch

import deepsphere
import equivariance as equivariance_suite
import open_questions
from deepsphere.data.files import write_atomically


def run_equivariance(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Errors, norms and building times of the default graphs, printed as they come."""
    # graphs are built anew, or building times would be those of reading files
    os.environ["DEEPSPHERE_CACHE"] = "off"
    suite = equivariance_suite
    cases = list(suite.QUICK_CASES if arguments.quick else suite.CASES)
    if arguments.stations is not None:
        cases.append(suite.stations_case(arguments.stations))
    rows: list[dict[str, Any]] = []
    for case in cases:
        print(f"\n{case.title}", flush=True)
        rows += _print_numbers(case.title, suite.measure(case))
    meters = [(32, 1.0)] if arguments.quick else [(32, 1.0), (256, 60.0)]
    print("\nthe meter")
    rows += _print_numbers("meter", (suite.measure_meter(nside, most) for nside, most in meters))
    if arguments.huge:
        for case in suite.HUGE_CASES:
            print(f"\n{case.title}", flush=True)
            rows += _print_numbers(case.title, suite.measure_huge(case))
    return rows


def _print_numbers(title: str, numbers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers of a case as they come, with their bounds."""
    rows = []
    for row in numbers:
        bound = "" if row["bound"] is None else f"(≤ {row['bound']:.4g})"
        verdict = {None: "", True: "met", False: "MISSED"}[row["met"]]
        print(f"  {row['name']:<62} {row['value']:9.4g} {bound:<12} {verdict}", flush=True)
        rows.append({"case": title, **row})
    return rows


def run_border(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Errors of several rows at the border of a cap."""
    return _print_errors(open_questions.border_rows(16 if arguments.quick else 32))


def run_carry(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Errors of weights that were carried from one resolution to the next."""
    return _print_errors(open_questions.carried_weights(16 if arguments.quick else 64))


def _print_errors(numbers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line of errors by degree for each title."""
    rows = []
    for row in numbers:
        if not rows:
            print(f"{'degree':<36}" + "".join(f"{degree:9d}" for degree in row["degrees"]))
        errors = "".join(f"{error:9.4f}" for error in row["errors"])
        print(f"{row['title']:<36}{errors}   {row['note']}", flush=True)
        rows.append(row)
    return rows


SUITES = {
    "equivariance": run_equivariance,
    "border": run_border,
    "carry": run_carry,
}


def main() -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument("--huge", action="store_true", help="equivariance: nside 1024 too")
    parser.add_argument("--stations", type=Path, help="equivariance: arrays lon and lat in degree")
    parser.add_argument("--output", type=Path, help="where to write the numbers as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = SUITES[arguments.suite](arguments)
    if arguments.output is not None:
        report = {
            "suite": arguments.suite,
            "threads": arguments.threads,
            "machine": {"processor": platform.processor(), "cores": os.cpu_count()},
            "versions": {
                "python": platform.python_version(),
                **{m.__name__: m.__version__ for m in (torch, numpy, scipy, deepsphere)},
            },
            "rows": rows,
        }
        with write_atomically(arguments.output, overwrite=True) as path:
            path.write_text(json.dumps(report, indent=2))
        print(f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()
