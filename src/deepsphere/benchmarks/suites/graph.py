"""Building a graph: the nearest neighbors of HEALPix."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.benchmarks.peak import measure_neighbor_memory
from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.experiments.timing import Times
from deepsphere.graph.neighbors import neighbor_distances
from deepsphere.sampling import Healpix

TITLE = "The search for the nearest neighbors of HEALPix pixels"

SEARCH = "search"
MEMORY = "peak memory of the process"
SCIPY_TREE = "SciPy k-d tree"
SKLEARN = "scikit-learn"

# Distances of the k-th neighbor that differ by less are the same (chord lengths).
AGREEMENT = 1e-9
_NUM_COMPARED = 5000


@dataclass(frozen=True)
class NeighborCase:
    """The nearest neighbors of one resolution.

    Parameters
    ----------
    nside, num_neighbors
        Of the graph.
    with_scipy, with_sklearn
        Whether the peer's search ends within minutes and in memory.
    most_seconds, most_gigabytes
        What ours may take, if anything is required.
    """

    nside: int
    num_neighbors: int = 20
    with_scipy: bool = True
    with_sklearn: bool = True
    most_seconds: float | None = None
    most_gigabytes: float | None = None

    @property
    def title(self) -> str:
        """The case in one line."""
        return f"nside {self.nside} ({12 * self.nside**2:,} vertices), k = {self.num_neighbors}"


CASES = (
    NeighborCase(32),
    NeighborCase(64),
    NeighborCase(128),
    NeighborCase(256),
    NeighborCase(512, with_sklearn=False),
    NeighborCase(1024, with_scipy=False, with_sklearn=False, most_seconds=30.0, most_gigabytes=4.0),
)
QUICK_CASES = (NeighborCase(8, num_neighbors=8),)


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
        yield from measure_search(case, setting)


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
    required = []
    for case in CASES:
        if case.most_seconds is not None:
            bound = 1e3 * case.most_seconds
            required.append(Requirement(case=case.title, work=SEARCH, at_most=bound))
        if case.most_gigabytes is not None:
            bound = case.most_gigabytes
            required.append(Requirement(case=case.title, work=MEMORY, at_most=bound))
    return required


def measure_search(case: NeighborCase, setting: Setting) -> Iterator[Measurement]:
    """Times of the searches, whether they find as near neighbors, and the memory of ours.

    A search is repeated as long as it takes less than the time of the run.

    Parameters
    ----------
    case
        Which graph.
    setting
        How.

    Yields
    ------
    Measurement
    """
    sampling = Healpix(nside=case.nside)
    k = case.num_neighbors
    reasons = {
        OURS: None,
        SCIPY_TREE: _why_not(setting, case.with_scipy),
        SKLEARN: _why_not(setting, case.with_sklearn, package="sklearn"),
    }
    able = {name: _SEARCHES[name] for name, reason in reasons.items() if reason is None}
    for search in able.values():
        search(Healpix(nside=2), 8)  # loads what it needs
    times: dict[str, list[float]] = {name: [] for name in able}
    start, expected, errors = time.perf_counter(), np.empty(0), {}
    while not times[OURS] or (
        len(times[OURS]) < setting.min_repeats and time.perf_counter() - start < setting.seconds
    ):
        for name, search in able.items():
            begin = time.perf_counter()
            found = search(sampling, k)
            times[name].append(1e3 * (time.perf_counter() - begin))
            if name not in errors:
                far = _compared_distances(found, k)
                expected = far if not expected.size else expected
                errors[name] = float(np.abs(far - expected).max())
            del found
    for name, reason in reasons.items():
        error = errors.get(name)
        agrees = error is not None and error < AGREEMENT
        measured = Times(tuple(times[name])) if agrees else None
        if error is not None and not agrees:
            reason = f"disagrees with {OURS}: distances differ by {error:.2g}"
        yield Measurement(
            case=case.title,
            work=SEARCH,
            variant=name,
            unit="ms",
            median=measured.median if measured else None,
            quartiles=measured.quartiles if measured else None,
            num_repeats=len(times[name]) if measured else 0,
            error=error,
            disagrees=error is not None and not agrees,
            note=reason or "",
            num_vertices=sampling.num_vertices,
        )
    yield Measurement(
        case=case.title,
        work=MEMORY,
        variant=OURS,
        unit="GB",
        median=measure_neighbor_memory(case.nside, k, setting) / 1e3,
        num_repeats=1,
        note="interpreter and libraries included",
        num_vertices=sampling.num_vertices,
    )


def _why_not(setting: Setting, is_feasible: bool, *, package: str | None = None) -> str | None:
    """Why a peer is not measured."""
    if not setting.with_peers:
        return "peers were not asked for; pass --peers"
    if package is not None and find_spec(package) is None:
        return f"{package} is not installed; pip install scikit-learn"
    return None if is_feasible else "left out: minutes"


def _tree_distances(sampling: Healpix, num_neighbors: int) -> np.ndarray:
    """Distances (vertices, k) by SciPy, with the threads of the run."""
    points = sampling.points
    tree = KDTree(points, balanced_tree=False, compact_nodes=False)
    return tree.query(points, k=num_neighbors + 1, workers=torch.get_num_threads())[0][:, 1:]


def _sklearn_graph(sampling: Healpix, num_neighbors: int) -> csr_matrix:
    """The graph of scikit-learn, in one direction."""
    from sklearn.neighbors import kneighbors_graph

    threads = torch.get_num_threads()
    graph = kneighbors_graph(sampling.points, num_neighbors, mode="distance", n_jobs=threads)
    return csr_matrix(graph)


def _our_distances(sampling: Healpix, num_neighbors: int) -> csr_matrix:
    """The graph of this library, in both directions."""
    return neighbor_distances(sampling, num_neighbors=num_neighbors)


_SEARCHES: dict[str, Callable[[Healpix, int], object]] = {
    OURS: _our_distances,
    SCIPY_TREE: _tree_distances,
    SKLEARN: _sklearn_graph,
}


def _compared_distances(found: object, num_neighbors: int) -> np.ndarray:
    """The k shortest distances of some vertices, in order."""
    if isinstance(found, np.ndarray):
        drawn = _drawn(len(found))
        return np.sort(found[drawn], axis=1)
    assert isinstance(found, csr_matrix)
    drawn = _drawn(len(found.indptr) - 1)
    rows = (found.data[found.indptr[i] : found.indptr[i + 1]] for i in drawn)
    return np.stack([np.sort(row)[:num_neighbors] for row in rows])


def _drawn(num_vertices: int) -> np.ndarray:
    """Vertices whose neighbors are compared: all, or as many as are quick."""
    return np.unique(np.linspace(0, num_vertices - 1, _NUM_COMPARED).astype(int))
