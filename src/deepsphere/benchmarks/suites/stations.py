"""Graphs of unevenly spread stations, and a training step of the published network on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.data.simulated_places import simulated_places
from deepsphere.experiments.timing import Times, interleave
from deepsphere.graph.optimal_rows import nonnegative_rows
from deepsphere.graph.sphere_graph import SphereGraph, build_graph
from deepsphere.models.dense_regressor import DenseRegressor
from deepsphere.sampling import Scattered

TITLE = "Graphs of stations, and the network of GHCN on them"

BUILDING = "graph with weights"
TRAINING_STEP = "training step"
MASKED_STEP = "training step, a fifth of the values missing"

_NUM_NEIGHBORS = 20
_HISTORY = 5
_MISSING_SHARE = 0.2


@dataclass(frozen=True)
class StationsCase:
    """Stations of the world, made up, and the weights between them.

    Parameters
    ----------
    num_stations
        How many.
    weights
        Of the edges.
    batch
        Days in a training step.
    """

    num_stations: int
    weights: Literal["gaussian", "optimal_rows"]
    batch: int

    @property
    def title(self) -> str:
        """The case in one line."""
        return (
            f"{self.num_stations:,} stations, {self.weights}, k = {_NUM_NEIGHBORS}; "
            f"5-50-100-100-1, kernel_size 5, batch {self.batch}"
        )


CASES = (
    StationsCase(13_297, "gaussian", batch=64),
    StationsCase(13_297, "optimal_rows", batch=64),
)
QUICK_CASES = (StationsCase(200, "gaussian", batch=2), StationsCase(200, "optimal_rows", batch=2))

# Seconds that nothing may take longer than.
MOST_SECONDS = {BUILDING: 20.0, TRAINING_STEP: 6.0}


def run(setting: Setting) -> Iterator[Measurement]:
    """All numbers of the suite.

    Parameters
    ----------
    setting
        How they are measured.

    Yields
    ------
    Measurement
    """
    for case in QUICK_CASES if setting.quick else CASES:
        yield from measure_stations(case, setting)


def requirements(setting: Setting) -> list[Requirement]:
    """What the numbers have to reach.

    Parameters
    ----------
    setting
        Of the run, which is not a quick one.

    Returns
    -------
    list of Requirement
    """
    return [
        Requirement(case=case.title, work=work, at_most=1e3 * seconds)
        for case in CASES
        for work, seconds in MOST_SECONDS.items()
    ]


def measure_stations(case: StationsCase, setting: Setting) -> Iterator[Measurement]:
    """Times of building a graph, without the cache on disk, and of training steps.

    Parameters
    ----------
    case
        Which stations.
    setting
        How.

    Yields
    ------
    Measurement
    """
    places = simulated_places(case.num_stations)
    sampling = Scattered(places.lon_deg, places.lat_deg)
    graph = build_graph(
        sampling, num_neighbors=_NUM_NEIGHBORS, weights=case.weights, disconnected="allow"
    )
    yield _timed(case, BUILDING, lambda: _build_anew(case, graph), setting)
    random = torch.Generator().manual_seed(0)
    signals = torch.randn(case.batch, case.num_stations, _HISTORY, generator=random)
    holes = torch.rand(signals.shape[:2], generator=random) < _MISSING_SHARE
    with_holes = signals.masked_fill(holes.unsqueeze(-1), torch.nan)
    for work, inputs in ((TRAINING_STEP, signals), (MASKED_STEP, with_holes)):
        network = make_network(graph).to(setting.device)
        step = partial(_step, network, inputs.to(setting.device))
        yield _timed(case, work, step, setting)


def make_network(graph: SphereGraph) -> DenseRegressor:
    """The published network, GC50-GC100-GC100-GC1, as it takes missing values.

    Parameters
    ----------
    graph
        Of the stations.

    Returns
    -------
    DenseRegressor
    """
    torch.manual_seed(0)
    return DenseRegressor(
        graph.pyramid(num_levels=1),
        in_channels=_HISTORY,
        out_channels=1,
        channels=(50, 100, 100),
        kernel_size=5,
        affine=False,
        bias=True,
        head_bias=False,
        missing="renormalize",
    )


def _build_anew(case: StationsCase, graph: SphereGraph) -> None:
    """The weights from nothing but coordinates: no matrix on disk, no area of the sampling."""
    sampling = Scattered(np.rad2deg(graph.sampling.lon), np.rad2deg(graph.sampling.lat))
    if case.weights == "optimal_rows":
        nonnegative_rows(sampling, num_neighbors=_NUM_NEIGHBORS)
    else:
        build_graph(
            sampling, num_neighbors=_NUM_NEIGHBORS, weights="gaussian", disconnected="allow"
        )


def _step(network: nn.Module, inputs: Tensor) -> None:
    """Forward and backward, as far as an optimizer does nothing that depends on the graph."""
    network.zero_grad()
    network(inputs).square().mean().backward()


def _timed(
    case: StationsCase, work: str, call: Callable[[], object], setting: Setting
) -> Measurement:
    """The times of a call that takes seconds."""
    times: Times = interleave({OURS: call}, setting)[OURS]
    return Measurement(
        case=case.title,
        work=work,
        variant=OURS,
        unit="ms",
        median=times.median,
        quartiles=times.quartiles,
        num_repeats=len(times.milliseconds),
        num_vertices=case.num_stations,
    )
