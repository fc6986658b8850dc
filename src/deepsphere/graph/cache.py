"""Weights that took long to compute, kept on disk.

One file per graph, in a folder of the user. A file that is damaged or was made by another version
of the solvers is computed again and replaced; one that cannot be written is not: the cache never
decides whether a graph can be built.
"""

import hashlib
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from scipy.sparse import csr_matrix

from deepsphere.sampling import Sampling, Scattered

# Of the files; counted up when their layout changes.
FORMAT_VERSION = 1
# Up to this many vertices the weights are computed in about the time that reading a file takes.
MIN_CACHED_VERTICES = 2000
# Folder of the cache, or "" or "off" for none.
ENVIRONMENT_VARIABLE = "DEEPSPHERE_CACHE"

# The files whose text decides what the solvers return; a change of any makes other weights.
_SOLVER_FILES = (
    "optimal_rows",
    "optimal_symmetric",
    "nonnegative",
    "notice",
    "stencils",
    "symmetry",
    "zonal",
    "weights",
    "neighbors",
    "healpix_neighbors",
)
# The same for the overlaps of cells.
_OVERLAP_FILES = (
    "cell_overlap",
    "cell_borders",
    "face_paths",
    "pixel_overlap",
    "rectangle_overlap",
)
_ARRAYS = ("data", "indices", "indptr", "shape")
# What reading a file that is cut, overwritten or not ours can raise.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class CacheInfo(NamedTuple):
    """Where the cache is, and how much it holds.

    Attributes
    ----------
    directory
        The folder; None where the cache is off.
    num_files
        Number of graphs.
    num_bytes
        Their size on disk. Nothing is removed but by `clear_cache`.
    """

    directory: Path | None
    num_files: int
    num_bytes: int


def cache_info() -> CacheInfo:
    """Where the weights of graphs are kept on disk, and how much there is.

    The folder is the one that the system has for caches, or the value of the environment variable
    DEEPSPHERE_CACHE; empty or "off" means no cache.

    Returns
    -------
    CacheInfo

    Examples
    --------
    >>> cache_info().num_bytes >= 0
    True
    """
    directory = _directory()
    sizes = []
    for path in _files(directory):
        with suppress(OSError):  # another process removed it
            sizes.append(path.stat().st_size)
    return CacheInfo(directory, len(sizes), sum(sizes))


def clear_cache() -> int:
    """Remove all graphs from the cache on disk.

    Returns
    -------
    int
        The number of files removed.

    Raises
    ------
    PermissionError
        If a file must not be removed.
    """
    paths = _files(_directory())
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def cached_matrix(
    solver: str,
    sampling: Sampling,
    options: Mapping[str, str | int | None],
    build: Callable[[], csr_matrix],
) -> csr_matrix:
    """A matrix that belongs to a sampling, from the cache on disk or else computed and put there.

    Both ways give the same bits, columns in order. Small samplings are not cached. Files are
    written aside and moved to their place at once, so that several processes may share a folder.

    Parameters
    ----------
    solver
        Name of the computation.
    sampling
        The larger one, where there are several.
    options
        All else that the result depends on, as plain values.
    build
        Computes the matrix.

    Returns
    -------
    csr_matrix

    Warns
    -----
    UserWarning
        Where a file is damaged or of another version (it is replaced), and once for a folder that
        cannot be written.

    Examples
    --------
    >>> from scipy.sparse import identity
    >>> from deepsphere.sampling import Healpix
    >>> cached_matrix("example", Healpix(nside=1), {}, lambda: csr_matrix(identity(12))).nnz
    12
    """
    directory = _directory()
    if directory is None or sampling.num_vertices <= MIN_CACHED_VERTICES:
        return _canonical(build())
    content = {"solver": solver, "sampling": sampling_identity(sampling), **options}
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    path = directory / f"{solver}-{name[:32]}.npz"
    # the name tells whose weights these are, the key inside also which version computed them
    key = f"{FORMAT_VERSION} {solver_version(solver)} {name}"
    found = _read(path, key)
    if found is not None:
        return found
    matrix = _canonical(build())
    _write(path, key, matrix)
    return matrix


@lru_cache(maxsize=8)
def solver_version(solver: str) -> str:
    """Digest of the code that computes: nobody has to remember to count a version up."""
    digest = hashlib.sha256()
    for name in _OVERLAP_FILES if solver == "overlap" else _SOLVER_FILES:
        path = Path(__file__).with_name(f"{name}.py")
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def cache_folder(subject: str) -> Path | None:
    """Folder of the user for what took long to compute about a subject.

    The subfolder of that name in what the environment variable DEEPSPHERE_CACHE names, or else in
    the folder that the system has for caches.

    Parameters
    ----------
    subject
        "shapes", "spectra", "ghcn".

    Returns
    -------
    Path or None
        None where the variable is empty or "off".

    Examples
    --------
    >>> folder = cache_folder("shapes")
    >>> folder is None or folder.name == "shapes"
    True
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen is None:
        return Path(platformdirs.user_cache_dir("deepsphere", appauthor=False)) / subject
    return None if chosen.strip().lower() in ("", "off") else Path(chosen).expanduser() / subject


def _directory() -> Path | None:
    """Folder of the cache; None where it is off."""
    folder = cache_folder("graphs")
    # a folder that is named holds the graphs itself
    return folder.parent if folder is not None and ENVIRONMENT_VARIABLE in os.environ else folder


def _files(directory: Path | None) -> list[Path]:
    """The files of the cache, with those that an interrupted process left."""
    if directory is None or not directory.is_dir():
        return []
    return sorted([*directory.glob("*-*.npz"), *directory.glob("*-*.npz.part")])


def sampling_identity(sampling: Sampling) -> str:
    """What the points follow from: a formula's numbers, or the points themselves.

    Parameters
    ----------
    sampling
        Any.

    Returns
    -------
    str

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling_identity(Healpix(nside=2))
    'healpix:nside=2,ordering=nested'
    """
    if isinstance(sampling, Scattered):
        points = np.ascontiguousarray(sampling.points, dtype="<f8")
        return f"{sampling.kind}:{hashlib.sha256(points.tobytes()).hexdigest()}"
    return sampling.spec


def _canonical(matrix: csr_matrix) -> csr_matrix:
    """The matrix with sorted columns, each once."""
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Digest of the types, shapes and bytes of arrays."""
    digest = hashlib.blake2b(digest_size=32)
    for name in _ARRAYS:
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(path: Path, key: str) -> csr_matrix | None:
    """The matrix in a file; None, with a warning, if that is not what it should be."""
    try:
        # opened here: numpy leaves a file open that is no archive
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            stored = str(file["key"])
            arrays = {name: file[name] for name in _ARRAYS} if stored == key else {}
            intact = stored == key and str(file["checksum"]) == _checksum(arrays)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # what cannot be written either is said there
    except _DAMAGE as error:
        _warn(f"the cached graph {path} is damaged ({type(error).__name__}); it is built again")
        return None
    if stored != key:
        _warn(f"the cached graph {path} is of another version; it is built again")
        return None
    if not intact:
        _warn(f"the cached graph {path} is damaged (its checksum differs); it is built again")
        return None
    data, indices, indptr, shape = (arrays[name] for name in _ARRAYS)
    matrix = csr_matrix((data, indices, indptr), shape=tuple(shape.tolist()))
    matrix.has_canonical_format = True
    return matrix


def _write(path: Path, key: str, matrix: csr_matrix) -> None:
    """Put a matrix in a file that is complete as soon as it exists."""
    arrays = {
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "shape": np.array(matrix.shape, dtype=np.int64),
    }
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f"{path.stem}-", suffix=".npz.part", delete=False
        ) as file:
            aside = Path(file.name)
            np.savez(file, key=np.array(key), checksum=np.array(_checksum(arrays)), **arrays)
        aside.replace(path)
    except OSError as error:
        if aside is not None:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        _warn_unwritable(path.parent, error.strerror or type(error).__name__)


@lru_cache(maxsize=64)
def _warn_unwritable(directory: Path, reason: str) -> None:
    """Say once per folder that nothing is kept in it."""
    _warn(
        f"graphs cannot be cached in {directory} ({reason}) and will be built each time; "
        f"set {ENVIRONMENT_VARIABLE} to a folder that can be written, or to 'off'"
    )


def _warn(message: str) -> None:
    """Warn at the line that asked for the graph, as far as that can be told."""
    warnings.warn(message, UserWarning, stacklevel=7)
