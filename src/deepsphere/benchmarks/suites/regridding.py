"""Building the operators that carry fields from one sampling to another."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.experiments.timing import Times
from deepsphere.graph.cell_overlap import computed_overlap_areas
from deepsphere.graph.transfer import transfer_matrix
from deepsphere.sampling import Healpix, Sampling, sampling_from_spec

TITLE = "Building the operators of regridding"

CONSERVATIVE = "conservative"
BARYCENTRIC = "barycentric"
HEALPY = "healpy"

# Sums of overlaps that differ from the areas by less are those areas, over the area of a cell.
AGREEMENT = 1e-10


@dataclass(frozen=True)
class RegriddingCase:
    """A pair of samplings.

    Parameters
    ----------
    source, target
        Specifications.
    most_seconds
        What the conservative operator may take, if anything is required.
    """

    source: str
    target: str
    most_seconds: float | None = None

    @property
    def title(self) -> str:
        """The case in one line."""
        return f"{self.source} -> {self.target}"


CASES = (
    RegriddingCase("equiangular:90x180", "healpix:64", most_seconds=20.0),
    RegriddingCase("equiangular:90x180", "icosahedral:64"),
    RegriddingCase("healpix:64", "icosahedral:64"),
    RegriddingCase("fibonacci:40000", "icosahedral:64"),
    RegriddingCase("equiangular:720x1440", "healpix:256"),
)
QUICK_CASES = (RegriddingCase("equiangular:4x8", "healpix:2"),)


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
        yield from measure_regridding(case, setting)


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
        Requirement(case=case.title, work=CONSERVATIVE, at_most=1e3 * case.most_seconds)
        for case in CASES
        if case.most_seconds is not None
    ]


def measure_regridding(case: RegriddingCase, setting: Setting) -> Iterator[Measurement]:
    """Times of building, without the cache on disk, and how far overlaps are from the areas.

    Parameters
    ----------
    case
        Which samplings.
    setting
        How.

    Yields
    ------
    Measurement
    """
    source, target = sampling_from_spec(case.source), sampling_from_spec(case.target)
    # what both need is not part of the time
    _ = source.points, target.points, source.areas, target.areas
    times = _timed(lambda: computed_overlap_areas(source, target), setting)
    error = _error(source, target)
    agrees = error < AGREEMENT
    yield _measurement(case, CONSERVATIVE, OURS, times if agrees else None, target, error=error)
    times = _timed(lambda: transfer_matrix(source, target, "barycentric"), setting)
    yield _measurement(case, BARYCENTRIC, OURS, times, target)
    if isinstance(source, Healpix):
        reason = _why_not(setting)
        times = None if reason else _timed(lambda: _healpy_weights(source, target), setting)
        note = reason or "bilinear weights of four pixels"
        yield _measurement(case, BARYCENTRIC, HEALPY, times, target, note=note)


def _timed(build: Callable[[], object], setting: Setting) -> Times:
    """Times of building, again as long as it takes less than the time of the run."""
    times: list[float] = []
    start = time.perf_counter()
    while not times or (
        len(times) < setting.min_repeats and time.perf_counter() - start < setting.seconds
    ):
        begin = time.perf_counter()
        build()
        times.append(1e3 * (time.perf_counter() - begin))
    return Times(tuple(times))


def _error(source: Sampling, target: Sampling) -> float:
    """Largest difference of sums of overlaps to areas, over the areas."""
    areas = computed_overlap_areas(source, target)
    by_target, by_source = (np.asarray(areas.sum(axis=axis)).ravel() for axis in (1, 0))
    differences = (by_target / target.areas - 1, by_source / source.areas - 1)
    return float(max(np.abs(difference).max() for difference in differences))


def _why_not(setting: Setting) -> str | None:
    """Why the peer is not measured."""
    if not setting.with_peers:
        return "peers were not asked for; pass --peers"
    return None if find_spec(HEALPY) else "healpy is not installed; pip install healpy"


def _healpy_weights(source: Healpix, target: Sampling) -> object:
    """The interpolation of healpy."""
    import healpy

    nest = source.ordering == "nested"
    return healpy.get_interp_weights(source.nside, np.pi / 2 - target.lat, target.lon, nest=nest)


def _measurement(
    case: RegriddingCase,
    work: str,
    variant: str,
    times: Times | None,
    target: Sampling,
    *,
    error: float | None = None,
    note: str = "",
) -> Measurement:
    """A number, or why there is none."""
    return Measurement(
        case=case.title,
        work=work,
        variant=variant,
        unit="ms",
        median=times.median if times else None,
        quartiles=times.quartiles if times else None,
        num_repeats=len(times.milliseconds) if times else 0,
        error=error,
        disagrees=error is not None and times is None,
        note=note,
        num_vertices=target.num_vertices,
    )
