"""Nearest neighbors of HEALPix pixels by arithmetic on their rings, in compiled code."""

import ctypes
from functools import cache

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_matrix

from deepsphere.native import load_library, num_threads
from deepsphere.sampling import Healpix


def healpix_nearest_neighbors(
    sampling: Healpix,
    num_neighbors: int,
    *,
    tie_tolerance: float,
    kept: Int[np.ndarray, "kept"] | None = None,
) -> csr_matrix | None:
    """Chord distances of the k-nearest-neighbor graph of HEALPix pixels, symmetrised by union.

    The graph of `nearest_neighbors` on the points of the sampling, found without them: all pixels
    within a distance follow from the heights of the rings and the number of pixels on each. It is
    the same, bit by bit, for pixels that a quarter turn or the mirror at the equator exchanges.
    The memory needed is little more than that of the result.

    Parameters
    ----------
    sampling
        Of any nside, in either ordering.
    num_neighbors
        k, 1 to vertices - 1.
    tie_tolerance
        Vertices farther than the k-th by at most this part of its distance are neighbors too.
    kept
        Distinct indices; restrict the graph of all pixels to these, at a cost proportional to them.

    Returns
    -------
    csr_matrix or None
        Symmetric, (vertices, vertices) or (kept, kept), columns increasing; None without compiled
        kernels.

    Raises
    ------
    ValueError
        If num_neighbors is out of range.
    MemoryError
        If the graph does not fit in memory.

    Examples
    --------
    >>> graph = healpix_nearest_neighbors(Healpix(nside=1), 1, tie_tolerance=1e-7)
    >>> None if graph is None else graph.getnnz(axis=1).tolist()
    [2, 2, 2, 2, 4, 4, 4, 4, 2, 2, 2, 2]

    References
    ----------
    Gorski et al., 2005, HEALPix, section 5 (heights and longitudes of the pixels).
    """
    if not 1 <= num_neighbors < sampling.num_vertices:
        raise ValueError(
            f"num_neighbors must be from 1 to {sampling.num_vertices - 1}, one less than the "
            f"number of vertices, got {num_neighbors}; use a larger nside or fewer neighbors"
        )
    library = _library()
    if library is None:
        return None
    rows = None if kept is None else np.ascontiguousarray(kept, dtype=np.int64)
    size = sampling.num_vertices if rows is None else len(rows)
    graph = library.ds_healpix_neighbors_open(
        sampling.nside,
        sampling.ordering == "nested",
        num_neighbors,
        tie_tolerance,
        None if rows is None else rows.ctypes.data,
        size,
        num_threads(),
    )
    if not graph:
        raise MemoryError(f"not enough memory for the neighbors of {size} pixels")
    try:
        offsets = np.empty(size + 1, dtype=np.int64)
        _check(library.ds_healpix_neighbors_count(graph, offsets.ctypes.data), size)
        num_entries = int(offsets[-1])
        # SciPy wants the same type for columns and offsets
        index = np.int32 if num_entries <= np.iinfo(np.int32).max else np.int64
        columns = np.empty(num_entries, dtype=index)
        distances = np.empty(num_entries)
        failed = library.ds_healpix_neighbors_fill(
            graph,
            offsets.ctypes.data,
            columns.ctypes.data,
            columns.itemsize,
            distances.ctypes.data,
        )
        _check(failed, size)
    finally:
        library.ds_healpix_neighbors_close(graph)
    offsets = offsets.astype(index, copy=False)
    matrix = csr_matrix((distances, columns, offsets), shape=(size, size), copy=False)
    matrix.has_sorted_indices = True
    matrix.has_canonical_format = True
    return matrix


def _check(failed: int, size: int) -> None:
    """Raise what the library reports."""
    if failed:
        raise MemoryError(f"not enough memory for the neighbors of {size} pixels")


@cache
def _library() -> ctypes.CDLL | None:
    """The library with the types of the functions used here."""
    library = load_library()
    if library is None:
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.ds_healpix_neighbors_open.restype = pointer
    library.ds_healpix_neighbors_open.argtypes = [
        integer,
        integer,
        integer,
        ctypes.c_double,
        pointer,
        ctypes.c_int64,
        integer,
    ]
    library.ds_healpix_neighbors_count.argtypes = [pointer, pointer]
    library.ds_healpix_neighbors_fill.argtypes = [pointer, pointer, pointer, integer, pointer]
    library.ds_healpix_neighbors_close.restype = None
    library.ds_healpix_neighbors_close.argtypes = [pointer]
    return library
