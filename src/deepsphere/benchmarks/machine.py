"""What decides how fast a benchmark runs, beyond what the machine is called."""

import os
from pathlib import Path

from deepsphere.experiments.machine import describe_machine, describe_versions, installed_version

PEERS = ("torch_geometric", "torch_harmonics", "threadpoolctl", "triton")
"""Packages that only benchmarks use, by the names on the package index."""


def describe_benchmark_machine() -> dict[str, str | int | float]:
    """The machine with its caches, and the two settings that change times most.

    Returns
    -------
    dict
        As `describe_machine`, with ``cache L1`` and so on (of one core, as the system tells),
        ``huge pages`` of the system and the ``OMP_WAIT_POLICY`` of the threads.
    """
    machine = describe_machine()
    machine |= _caches(Path("/sys/devices/system/cpu/cpu0/cache"))
    pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if pages.is_file():
        chosen = pages.read_text().partition("[")[2].partition("]")[0]
        machine["huge pages"] = chosen or "unknown"
    machine["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "not set")
    return machine


def describe_benchmark_versions() -> dict[str, str]:
    """The versions of this package, of those that it needs, and of the peers that are there.

    Returns
    -------
    dict of str
    """
    versions = describe_versions()
    for name in PEERS:
        version = installed_version(name)
        if version is not None:
            versions[name] = version
    return versions


def load_average() -> float | None:
    """Processes that wanted to run in the last minute, where the system tells.

    Returns
    -------
    float or None
    """
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _caches(folder: Path) -> dict[str, str]:
    """Sizes of the data caches of a core, as Linux lists them."""
    sizes = {}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            sizes[f"cache L{level}"] = size
    return sizes
