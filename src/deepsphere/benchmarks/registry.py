"""The suites by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deepsphere.benchmarks.record import Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.suites import (
    block,
    filter,
    graph,
    memory,
    network,
    regridding,
    scaling,
    stations,
)


@dataclass(frozen=True)
class Suite:
    """What a run asks of a suite; it knows nothing else of it.

    Parameters
    ----------
    title
        What it measures, in a line.
    run
        Its numbers, as they come.
    requirements
        What they have to reach.
    """

    title: str
    run: Callable[[Setting], Iterator[Measurement]]
    requirements: Callable[[Setting], list[Requirement]]


SUITES: dict[str, Suite] = {
    "filter": Suite(filter.TITLE, filter.run, filter.requirements),
    "block": Suite(block.TITLE, block.run, block.requirements),
    "network": Suite(network.TITLE, network.run, network.requirements),
    "graph": Suite(graph.TITLE, graph.run, graph.requirements),
    "scaling": Suite(scaling.TITLE, scaling.run, scaling.requirements),
    "regridding": Suite(regridding.TITLE, regridding.run, regridding.requirements),
    "stations": Suite(stations.TITLE, stations.run, stations.requirements),
    "memory": Suite(memory.TITLE, memory.run, memory.requirements),
}
"""All suites, in the order of the report."""
