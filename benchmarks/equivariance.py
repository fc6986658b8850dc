"""Rotation errors and building times of the default graphs beside what they have to reach.

Errors are exact and unsquared; a number in parentheses is the bound. Building times are of one run
without a cache, neighbor search included.
"""

import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import deepsphere as ds
from deepsphere.graph import SphereGraph, chebyshev_norms
from deepsphere.graph.stencils import resolved_rows


@dataclass(frozen=True)
class Case:
    """A graph, and the largest errors that it may have."""

    title: str
    sampling: Callable[[], ds.Sampling]
    options: dict[str, Any] = field(default_factory=dict)
    bounds: dict[int, float] = field(default_factory=dict)
    norm: float = 1.5
    seconds: float | None = None
    # graphs of Gaussian weights that must be worse: neighbors, up to which degree
    worse: dict[int, int] = field(default_factory=dict)
    interior: bool = False
    resolved: bool = False
    range_over_diagonal: float | None = None


def _healpix(nside: int) -> Callable[[], ds.Sampling]:
    return lambda: ds.Healpix(nside)


def _cap(nside: int, share: float) -> ds.Sampling:
    sampling = ds.Healpix(nside)
    return sampling.subset(np.flatnonzero(sampling.points[:, 2] > 1 - 2 * share))


QUICK_CASES = [
    Case("HEALPix 32, k = 20", _healpix(32), {"num_neighbors": 20}, worse={20: 95, 40: 40}),
    Case("random, 3,000 points", lambda: ds.RandomUniform(3000, seed=0), norm=7.0),
]
CASES = [
    Case(
        "HEALPix 64, k = 20",
        _healpix(64),
        {"num_neighbors": 20},
        {10: 0.0009, 40: 0.0012, 80: 0.0026, 120: 0.0032, 160: 0.0125, 191: 0.035},
        seconds=5,
        worse={20: 191, 40: 80},
    ),
    Case(
        "HEALPix 64, k = 8, low",
        _healpix(64),
        {"num_neighbors": 8, "emphasis": "low"},
        {10: 0.0035, 40: 0.0075},
    ),
    Case(
        "HEALPix 64, k = 8, no_worse",
        _healpix(64),
        {"num_neighbors": 8, "emphasis": "no_worse"},
        {10: 0.170 / 3},
        worse={8: 191},
    ),
    Case("HEALPix 64, k = 12", _healpix(64), {"num_neighbors": 12}, worse={12: 191}),
    Case(
        "HEALPix 128, k = 20",
        _healpix(128),
        {"num_neighbors": 20},
        {10: 0.0010, 120: 0.0020, 240: 0.0033},
        seconds=25,
    ),
    Case("HEALPix 256, k = 20", _healpix(256), {"num_neighbors": 20}, {10: 0.0010}, seconds=120),
    Case(
        "icosahedral, 10,242 vertices, k = 8",
        lambda: ds.Icosahedral(subdivisions=32),
        {"num_neighbors": 8, "emphasis": "balanced"},
        {10: 0.007},
    ),
    Case(
        "equiangular 64 × 64, 8 grid neighbors",
        lambda: ds.Equiangular(nlat=64, nlon=64),
        {"num_neighbors": 8, "neighborhood": "grid"},
        {10: 0.030},
        norm=9.0,
    ),
    Case("equiangular 64 × 64", lambda: ds.Equiangular(nlat=64, nlon=64), norm=9.0),
    Case(
        "Fibonacci 3,000, k = 20", lambda: ds.Fibonacci(3000), {"num_neighbors": 20}, {10: 0.0015}
    ),
    Case(
        "HEALPix 32, cap of 35 %, k = 20, interior",
        lambda: _cap(32, 0.35),
        {"num_neighbors": 20},
        {10: 0.002},
        interior=True,
    ),
    Case(
        "random, 3,000 points",
        lambda: ds.RandomUniform(3000, seed=0),
        bounds={1: 0.02, 5: 0.02, 10: 0.045},
        norm=7.0,
        worse={20: 10},
    ),
    Case(
        "random, 10,000 points",
        lambda: ds.RandomUniform(10_000, seed=0),
        bounds={1: 0.02, 2: 0.02, 5: 0.02, 10: 0.02},
        norm=7.0,
    ),
    Case(
        "equiangular 64 × 128 with both poles",
        lambda: ds.Equiangular(nlat=64, nlon=128, poles=2),
        bounds={10: 0.004, 20: 0.016},
        norm=9.0,
        range_over_diagonal=2.0,
    ),
]
HUGE_CASES = [Case("HEALPix 1024, k = 20", _healpix(1024), {"num_neighbors": 20})]


def stations_case(file: Path) -> Case:
    """The graph of weather stations, from a file of NumPy arrays ``lon`` and ``lat`` in degree."""

    def sampling() -> ds.Sampling:
        with np.load(file, allow_pickle=True) as arrays:
            places = np.stack([arrays["lon"], arrays["lat"]], axis=1).astype(float)
        places = np.unique(places[np.isfinite(places).all(axis=1)], axis=0)
        return ds.Scattered(places[:, 0], places[:, 1])

    bounds = {1: 0.04, 5: 0.10, 20: 0.10}
    return Case("weather stations, resolved rows", sampling, {}, bounds, norm=13.0, resolved=True)


def measure(case: Case) -> Iterator[dict[str, Any]]:
    """The numbers of one case, each with its bound and whether it holds."""
    sampling = case.sampling()
    start = time.perf_counter()
    graph = ds.build_graph(sampling, **case.options)
    seconds = time.perf_counter() - start
    yield _row("building, s", seconds, case.seconds)
    rows = _interior(graph) if case.interior else None
    for degree, bound in case.bounds.items():
        counted, name = rows, f"error at degree {degree}"
        if case.resolved:
            counted = np.flatnonzero(resolved_rows(sampling, degree))
            area = sampling.areas[counted].sum() / sampling.areas.sum()
            name += (
                f" ({len(counted) / graph.num_vertices:.1%} of the rows, {area:.1%} of the area)"
            )
        yield _row(name, ds.equivariance_error(graph, degrees=degree, rows=counted)[0], bound)
    for neighbors, last in case.worse.items():
        gaussian = ds.build_graph(
            sampling, num_neighbors=neighbors, weights="gaussian", disconnected="allow"
        )
        degrees = np.arange(1, last + 1)
        ratio = ds.equivariance_error(graph, degrees=degrees) / ds.equivariance_error(
            gaussian, degrees=degrees
        )
        name = f"largest ratio to Gaussian k = {neighbors}, degrees 1 to {last}"
        yield _row(name, ratio.max(), 1.0)
    yield _row("largest norm of T_k, k ≤ 8", chebyshev_norms(graph).max(), case.norm)
    spread = graph.lambda_max / np.median(graph.laplacian.diagonal())
    yield _row("largest eigenvalue over median diagonal", spread, case.range_over_diagonal)
    yield _row("neighbors of a row", graph.adjacency.nnz / graph.num_vertices, None)


def measure_huge(case: Case) -> Iterator[dict[str, Any]]:
    """Time, memory and some errors of a graph that fills the machine."""
    sampling = case.sampling()
    start = time.perf_counter()
    graph = ds.build_graph(sampling, **case.options)
    yield _row("building, s", time.perf_counter() - start, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    yield _row("peak memory, GB", peak, None)
    drawn = np.random.default_rng(0).choice(graph.num_vertices, 500_000, replace=False)
    degrees = [10, 100, 1000, 2000, 3000]
    errors = ds.equivariance_error(graph, degrees=degrees, rows=drawn)
    for degree, error in zip(degrees, errors, strict=True):
        yield _row(f"error at degree {degree} (500,000 rows)", error, None)


def measure_meter(nside: int, bound: float) -> dict[str, Any]:
    """How long the exact meter takes for all degrees of HEALPix, k = 20."""
    graph = ds.build_graph(ds.Healpix(nside), num_neighbors=20, weights="gaussian")
    start = time.perf_counter()
    ds.equivariance_error(graph)
    return _row(f"meter, all degrees, nside {nside}, s", time.perf_counter() - start, bound)


def _row(name: str, value: float, bound: float | None) -> dict[str, Any]:
    met = None if bound is None else bool(value <= bound)
    return {"name": name, "value": float(value), "bound": bound, "met": met}


def _interior(graph: SphereGraph) -> np.ndarray:
    """Vertices of a part of the sphere whose neighbors on the whole sphere are all in it."""
    subset = graph.sampling
    whole = ds.build_graph(subset.base, num_neighbors=graph.options.num_neighbors)
    all_neighbors = np.diff(whole.adjacency.indptr)[subset.indices]
    return np.flatnonzero(np.diff(graph.adjacency.indptr) == all_neighbors)
