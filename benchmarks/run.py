"""Run a benchmark suite, print its tables, and write the numbers with machine and versions.

python benchmarks/run.py filter [--quick] [--threads 2] [--output FILE.json]
"""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy
import scipy
import torch

import deepsphere
import filter as filter_suite
from deepsphere.data.files import write_atomically


def run_filter(quick: bool, num_threads: int) -> list[dict[str, Any]]:
    """Times and memory of the graph filter, printed as they come."""
    rows: list[dict[str, Any]] = []
    for case in filter_suite.QUICK_CASES if quick else filter_suite.CASES:
        print(f"\n{case.title}, float32, {num_threads} threads")
        for row in filter_suite.measure_times(case, num_repeats=3 if quick else 9):
            rows.append(row)
            print(
                f"  {row['pass']:<19} {row['variant']:<11} {row['median_ms']:9.2f} ms "
                f"[{row['quartiles_ms'][0]:.2f}, {row['quartiles_ms'][1]:.2f}]   "
                f"{row['ratio_to_eager']:.2f}x"
            )
        memory = {
            variant: filter_suite.measure_memory(case, variant, num_threads)
            for variant in filter_suite.VARIANTS
        }
        for variant, megabytes in memory.items():
            share = megabytes / memory["eager"]
            rows.append(
                {
                    "case": case.title,
                    "pass": "extra memory, forward + backward",
                    "variant": variant,
                    "megabytes": megabytes,
                    "share_of_eager": share,
                }
            )
            print(f"  extra memory        {variant:<11} {megabytes:9.1f} MB   {share:.2f} of eager")
    return rows


SUITES = {"filter": run_filter}


def main() -> None:
    """Parse the words and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch (default 2)")
    parser.add_argument("--output", type=Path, help="where to write the numbers as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = SUITES[arguments.suite](arguments.quick, arguments.threads)
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
