"""Nearest neighbors of HEALPix pixels by arithmetic: those of the tree, ties and turns included."""

import healpix
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepsphere.graph import healpix_neighbors, neighbors
from deepsphere.graph.healpix_neighbors import healpix_nearest_neighbors
from deepsphere.graph.neighbors import TIE_TOLERANCE, nearest_neighbors, neighbor_distances
from deepsphere.native import why_absent
from deepsphere.sampling import Healpix

needs_kernels = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

# chord lengths of up to 2 from points with rounding errors
ROUNDING = 1e-14


def graph_of(sampling: Healpix, num_neighbors: int, **options) -> csr_matrix:
    found = healpix_nearest_neighbors(
        sampling, num_neighbors, tie_tolerance=TIE_TOLERANCE, **options
    )
    assert found is not None
    return found


def assert_same_graph(found: csr_matrix, expected: csr_matrix) -> None:
    expected = expected.sorted_indices()
    assert found.shape == expected.shape
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, rtol=0, atol=ROUNDING)


SPHERES = [Healpix(nside=nside) for nside in (1, 2, 4, 8, 16)]
SPHERES += [Healpix(nside=nside, ordering="ring") for nside in (1, 2, 3, 5, 12)]


# all numbers of neighbors that there can be, up to all other vertices on small spheres
CASES = [
    (sampling, num_neighbors)
    for sampling in SPHERES
    for last in [sampling.num_vertices - 1]
    for num_neighbors in sorted({1, 2, 3, 7, 8, 20, 21, 40, 100, last - 1, last})
    if num_neighbors <= min(last, 800)
]


@needs_kernels
@pytest.mark.parametrize(("sampling", "num_neighbors"), CASES, ids=repr)
def test_neighbors_are_those_of_the_tree(sampling, num_neighbors):
    expected = nearest_neighbors(sampling.points, num_neighbors)
    assert_same_graph(graph_of(sampling, num_neighbors), expected)


@needs_kernels
@pytest.mark.slow
@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("num_neighbors", [8, 20, 40])
@pytest.mark.parametrize("nside", [64, 128])
def test_neighbors_are_those_of_the_tree_on_large_spheres(nside, num_neighbors, ordering):
    sampling = Healpix(nside, ordering=ordering)
    expected = nearest_neighbors(sampling.points, num_neighbors)
    assert_same_graph(graph_of(sampling, num_neighbors), expected)


def naive_graph(points: np.ndarray, num_neighbors: int) -> np.ndarray:
    """Which vertices are joined, by all distances."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    cutoffs = np.sort(distances, axis=1)[:, num_neighbors] * (1 + TIE_TOLERANCE)
    joined = (distances <= cutoffs[:, None]) | (distances <= cutoffs[None])
    np.fill_diagonal(joined, False)
    return joined


@needs_kernels
@pytest.mark.parametrize("num_neighbors", [1, 6, 20])
@pytest.mark.parametrize("sampling", [Healpix(4), Healpix(6, ordering="ring")], ids=repr)
def test_neighbors_match_exhaustive_search_ties_kept(sampling, num_neighbors):
    found = graph_of(sampling, num_neighbors)
    expected = naive_graph(sampling.points, num_neighbors)
    assert np.array_equal(found.toarray() > 0, expected)
    assert expected.sum(axis=1).max() > num_neighbors  # there are ties, and union adds some


SUBSETS = {
    "random, shuffled": lambda n: np.random.default_rng(0).permutation(n)[: n // 3],
    "one vertex": lambda n: np.array([n // 2]),
    "far apart": lambda n: np.array([0, n // 2, n - 1]),
    "block": lambda n: np.arange(n // 4, n // 2),
    "all but one": lambda n: np.delete(np.arange(n), n // 3),
    "all, backwards": lambda n: np.arange(n)[::-1],
}


@needs_kernels
@pytest.mark.parametrize("choose", SUBSETS.values(), ids=SUBSETS.keys())
@pytest.mark.parametrize("num_neighbors", [3, 20, 150])
@pytest.mark.parametrize("sampling", [Healpix(8), Healpix(7, ordering="ring")], ids=repr)
def test_subset_is_the_whole_restricted(sampling, num_neighbors, choose):
    kept = choose(sampling.num_vertices)
    whole = graph_of(sampling, num_neighbors)[kept][:, kept].sorted_indices()
    part = graph_of(sampling, num_neighbors, kept=kept)
    assert np.array_equal(part.indptr, whole.indptr)
    assert np.array_equal(part.indices, whole.indices)
    assert np.array_equal(part.data, whole.data)


def turned(pixels: np.ndarray, nside: int, turn: str) -> np.ndarray:
    """Where a symmetry of the sphere of pixels takes each, in RING order, by angles."""
    theta, phi = healpix.pix2ang(nside, pixels)
    if turn == "quarter":
        phi = (phi + np.pi / 2) % (2 * np.pi)
    elif turn == "upside down":
        theta = np.pi - theta
    else:
        phi = (2 * np.pi - phi) % (2 * np.pi)
    return healpix.ang2pix(nside, theta, phi)


@needs_kernels
@pytest.mark.parametrize("turn", ["quarter", "upside down", "mirror at longitude 0"])
@pytest.mark.parametrize("nside", [2, 3, 16])
def test_graph_has_the_symmetries_of_the_pixels_to_the_last_bit(nside, turn):
    sampling = Healpix(nside, ordering="ring")
    graph = graph_of(sampling, 20)
    image = turned(np.arange(sampling.num_vertices), nside, turn)
    assert (graph != graph[image][:, image]).nnz == 0


@needs_kernels
def test_graph_is_symmetric_to_the_last_bit_with_sorted_columns():
    graph = graph_of(Healpix(nside=16), 20)
    assert (graph != graph.T).nnz == 0
    assert all((np.diff(row.indices) > 0).all() for row in graph)
    assert graph.indices.dtype == graph.indptr.dtype == np.int32


@needs_kernels
def test_threads_change_nothing(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = graph_of(Healpix(nside=32), 20)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    three = graph_of(Healpix(nside=32), 20)
    assert (one != three).nnz == 0


@needs_kernels
def test_few_pixels_of_a_sphere_too_large_to_hold():
    """A disk of the largest sphere: 805 million pixels, whose points alone would take 19 GB."""
    sampling = Healpix(nside=8192)
    kept = 8192**2 * 3 + np.arange(4096)  # a square of 64 by 64 at the corner of a face
    graph = graph_of(sampling, 8, kept=kept)
    part = sampling.subset(kept)
    expected = nearest_neighbors(part.points, 8)
    # away from the border of the square its neighbors are those of the whole
    x, y = ((np.arange(4096)[:, None] >> np.arange(0, 12, 2) + axis) & 1 for axis in (0, 1))
    x, y = (bits @ 2 ** np.arange(6) for bits in (x, y))
    inner = np.flatnonzero((np.minimum(x, y) >= 4) & (np.maximum(x, y) < 60))
    assert abs(graph[inner] - expected[inner]).max() < ROUNDING
    assert graph.nnz <= expected.nnz


@needs_kernels
@pytest.mark.parametrize("ordering", ["nested", "ring"])
def test_graph_of_a_sampling_takes_the_arithmetic(monkeypatch, ordering):
    def refuse(*_, **__):
        raise AssertionError("the tree was asked")

    monkeypatch.setattr(neighbors, "nearest_neighbors", refuse)
    sampling = Healpix(nside=4, ordering=ordering)
    whole = neighbor_distances(sampling, num_neighbors=8)
    kept = sampling.points[:, 2] > 0
    part = neighbor_distances(sampling.subset(kept), num_neighbors=8)
    assert (part != whole[kept][:, kept]).nnz == 0


def test_without_kernels_the_tree_serves(monkeypatch):
    monkeypatch.setattr(healpix_neighbors, "_library", lambda: None)
    sampling = Healpix(nside=4)
    assert healpix_nearest_neighbors(sampling, 8, tie_tolerance=TIE_TOLERANCE) is None
    expected = nearest_neighbors(sampling.points, 8)
    assert (neighbor_distances(sampling, num_neighbors=8) != expected).nnz == 0


@pytest.mark.parametrize("num_neighbors", [0, 12])
def test_number_of_neighbors_out_of_range_is_rejected(num_neighbors):
    with pytest.raises(ValueError, match=r"num_neighbors must be from 1 to 11, .* got "):
        healpix_nearest_neighbors(Healpix(nside=1), num_neighbors, tie_tolerance=TIE_TOLERANCE)


@needs_kernels
@pytest.mark.parametrize("function", ["open", "count", "fill"])
def test_memory_that_does_not_suffice_is_an_error(monkeypatch, function):
    library = healpix_neighbors._library()

    class Exhausted:
        def __getattr__(self, name):
            if name == f"ds_healpix_neighbors_{function}":
                return lambda *_: None if function == "open" else 1
            return getattr(library, name)

    monkeypatch.setattr(healpix_neighbors, "_library", Exhausted)
    with pytest.raises(MemoryError, match="not enough memory for the neighbors of 48 pixels"):
        healpix_nearest_neighbors(Healpix(nside=2), 8, tie_tolerance=TIE_TOLERANCE)
