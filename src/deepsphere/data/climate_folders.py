"""The original climate data set on the icosahedral sampling: one archive of arrays for each map."""

import io
import os
import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.climate_channels import CHANNEL_NAMES, CLASS_NAMES
from deepsphere.data.climate_files import (
    check_numbers,
    climate_dates,
    find_files,
    listed_files,
    read_split_lists,
)
from deepsphere.data.event_sets import UNLABELLED, EventSet, EventSplits
from deepsphere.geometry import points_to_lonlat
from deepsphere.sampling import Icosahedral, Sampling, Scattered

_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
_TOLERANCE = 1e-5  # of vertices in single precision
_MESH_ENTRIES = ("V", "vertices", "points")


@dataclass(frozen=True)
class ArchiveMap:
    """A map in an ``.npz`` file of its own, read whenever it is asked for.

    Parameters
    ----------
    path
        The file: ``data`` (channels, vertices) and ``labels``, (classes, vertices) with a single 1
        for each vertex, or (vertices,) with the number of the class.
    """

    path: Path

    def read(self) -> tuple[Float[np.ndarray, "vertices channels"], Int[np.ndarray, "vertices"]]:
        """Signals and labels.

        Returns
        -------
        signals, labels
            Float32; int8, −1 where no class is marked.

        Raises
        ------
        ValueError
            If the file is missing, cut, damaged, or not of this kind.
        """
        try:
            # from memory: of a damaged archive, numpy would leave the file open
            content = io.BytesIO(self.path.read_bytes())
            with np.load(content, allow_pickle=False) as archive:
                data, labels = archive["data"], archive["labels"]
        except _DAMAGE as error:
            reason = str(error).splitlines() or [type(error).__name__]
            raise ValueError(
                f"{self.path} must be a complete archive of data and labels, got a damaged one "
                f"({reason[0]}); unpack it again"
            ) from None
        check_numbers(self.path, data=data, labels=labels)
        num = data.shape[-1] if data.ndim else 0
        marks = (len(CLASS_NAMES), num)
        if data.ndim != 2 or labels.shape not in (marks, marks[1:]):
            raise ValueError(
                f"{self.path} must hold data (channels, vertices) and labels ({marks[0]} classes, "
                f"vertices), got shapes {data.shape} and {labels.shape}"
            )
        try:
            numbers = class_numbers(labels)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        return np.ascontiguousarray(data.T, np.float32), numbers

    def digest(self) -> str:
        """Name and size of the file.

        Returns
        -------
        str
        """
        return f"{self.path.name}-{self.path.stat().st_size}"


def class_numbers(labels: np.ndarray) -> Int[np.ndarray, "vertices"]:
    """Number of the class of each vertex.

    Parameters
    ----------
    labels
        Marks (classes, vertices), or the numbers themselves.

    Returns
    -------
    Int[np.ndarray, "vertices"]
        int8, −1 where no class is marked, and for NaN and 255; at most 127.

    Raises
    ------
    ValueError
        If two classes are marked at a vertex, or a number is not an integer.

    Examples
    --------
    >>> class_numbers(np.array([[1, 0, 0], [0, 0, 1]])).tolist()
    [0, -1, 1]
    """
    if labels.ndim == 1:
        numbers = (
            np.where(np.isnan(labels), UNLABELLED, labels) if labels.dtype.kind == "f" else labels
        )
        if (numbers != np.rint(numbers)).any():
            place = int(np.flatnonzero(numbers != np.rint(numbers))[0])
            raise ValueError(
                f"labels must be the numbers of classes, got {numbers[place]:g} at vertex {place}"
            )
        # 255 is -1 of bytes without a sign; what is too large stays so, and is not taken modulo 256
        numbers = numbers.astype(np.int64)
        return np.clip(np.where(numbers == 255, UNLABELLED, numbers), -128, 127).astype(np.int8)
    marked = labels > 0.5
    counts = marked.sum(axis=0)
    if counts.max() > 1:
        raise ValueError(
            f"labels must mark one class at each vertex, got {int(counts.max())} at vertex "
            f"{int(counts.argmax())}"
        )
    return np.where(counts == 1, marked.argmax(axis=0), UNLABELLED).astype(np.int8)


def read_climate_folder(
    path: str | os.PathLike[str], *, mesh: str | os.PathLike[str] | None = None
) -> EventSet:
    """All maps of a folder of the original data set (``climate_sphere_l5``), by date and run.

    Files are named ``data-YYYY-MM-DD-HH-R-mesh.npz``, of hour (or step of the day) HH and run R,
    and hold ``data`` (16, vertices) and ``labels`` (3, vertices), one-hot. Their vertices are those
    of the icosphere of UGSCNN, in its order: that of :class:`~deepsphere.Icosahedral`, which makes
    the same corners, halves edges the same way and appends new vertices in the same order, with
    vertex 11 at the north pole and longitude 0 along x. Files of the level are not read before a
    map is asked for, but for the first.

    Parameters
    ----------
    path
        The folder, or one above.
    mesh
        File of the vertices, if they are to be taken from there: ``icosphere_5.pkl`` of UGSCNN, of
        which nothing but arrays is read, or an ``.npy`` or ``.npz`` file. They are the icosahedral
        sampling if they agree with it to 1e-5, and scattered points if not.

    Returns
    -------
    EventSet

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If the first file, or the mesh, is damaged, or they do not belong together.
    """
    folder = Path(path)
    files = find_files(folder, ".npz")
    keys = list(files)
    signals, _ = ArchiveMap(files[keys[0]]).read()
    if signals.shape[1] != len(CHANNEL_NAMES):
        raise ValueError(
            f"{files[keys[0]]} must hold {len(CHANNEL_NAMES)} channels, got {signals.shape[1]}"
        )
    sampling = _sampling_of(len(signals), None if mesh is None else read_mesh_points(mesh))
    dates, runs = climate_dates(keys)
    return EventSet(
        sources=tuple(ArchiveMap(files[key]) for key in keys),
        sampling=sampling,
        channel_names=CHANNEL_NAMES,
        class_names=CLASS_NAMES,
        dates=dates,
        runs=runs,
        names=tuple(keys),
    )


def open_climate_folder(
    path: str | os.PathLike[str], *, mesh: str | os.PathLike[str] | None = None
) -> EventSplits:
    """The published splits of the original data set, from its lists of names.

    Parameters
    ----------
    path
        Folder of the maps, with ``train.txt``, ``val.txt`` and ``test.txt`` in it, beside it or
        in a folder of it.
    mesh
        See `read_climate_folder`.

    Returns
    -------
    EventSplits
        Maps in the order of the lists.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If there is no list for the training, a list does not fit the files, or a file is damaged.
    """
    return split_by_lists(read_climate_folder(path, mesh=mesh), Path(path))


def split_by_lists(events: EventSet, folder: Path) -> EventSplits:
    """Splits of the maps of a folder, by its lists of names.

    Parameters
    ----------
    events
        All maps.
    folder
        Where they are.

    Returns
    -------
    EventSplits

    Raises
    ------
    ValueError
        If there is no list for the training, or a list names a map that is not there.
    """
    lists = read_split_lists(folder)
    if "train" not in lists:
        raise ValueError(
            f"{folder} must hold lists of the splits, train.txt, val.txt and test.txt, got none "
            "for the training; put them there, or split all maps with split_events"
        )
    index = {name: number for number, name in enumerate(events.names)}
    files = dict.fromkeys(events.names, folder)
    parts = {
        split: events.take(
            [index[key] for key in listed_files(files, keys, split=split, folder=folder)]
        )
        for split, keys in lists.items()
    }
    return EventSplits(parts["train"], parts.get("validation"), parts.get("test"))


def read_mesh_points(path: str | os.PathLike[str]) -> Float[np.ndarray, "vertices 3"]:
    """Vertices of a mesh in a file.

    Parameters
    ----------
    path
        A pickle with an entry ``V`` as ``icosphere_5.pkl``, of which only arrays are understood, an
        ``.npz`` file with ``V``, ``vertices`` or ``points``, or an ``.npy`` file.

    Returns
    -------
    Float[np.ndarray, "vertices 3"]
        Unit vectors, float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, holds no such array, or more than arrays.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"mesh must name a file, got {path}")
    try:
        if path.suffix in (".npz", ".npy"):
            content: Any = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
        else:
            content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        if not isinstance(content, np.ndarray):
            content = next(content[name] for name in _MESH_ENTRIES if name in content)
        points = np.array(content, np.float64)
    except (*_DAMAGE, pickle.UnpicklingError, AttributeError, TypeError, StopIteration) as error:
        raise ValueError(
            f"{path} must hold the vertices of a mesh as V, got a file that does not "
            f"({str(error) or type(error).__name__})"
        ) from None
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ValueError(f"{path} must hold vertices (vertices, 3), got shape {points.shape}")
    length = np.linalg.norm(points, axis=1, keepdims=True)
    if not (length > 0).all():
        raise ValueError(f"{path} must hold vertices of a sphere, got one at its center")
    return points / length


class _Unread:
    """What stands for an object that is not an array."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Forget."""


class _ArraysOnly(pickle.Unpickler):
    """Reader of pickles that makes arrays and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle may ask for.

        Parameters
        ----------
        module, name
            Of what is asked for.

        Returns
        -------
        Any

        Raises
        ------
        pickle.UnpicklingError
            If it is more than arrays and sparse matrices, which are passed over.
        """
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "scalar", "_frombuffer"):
            core: Any = np.zeros(0).__reduce__()[0]
            return core if name == "_reconstruct" else _Unread
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module.startswith("scipy.sparse"):
            return _Unread
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding="latin1": text.encode(encoding)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, more than arrays")


def _sampling_of(num: int, points: np.ndarray | None) -> Sampling:
    """The sampling of so many vertices, which are those of a mesh if there is one."""
    level = next((level for level in range(11) if 10 * 4**level + 2 == num), None)
    if points is None:
        if level is None:
            raise ValueError(
                f"maps must have the 10 * 4^level + 2 vertices of an icosahedral sampling, got "
                f"{num}; give the mesh of the vertices"
            )
        return Icosahedral(level=level)
    if len(points) != num:
        raise ValueError(f"mesh must have the {num} vertices of the maps, got {len(points)}")
    if level is not None:
        icosahedral = Icosahedral(level=level)
        if np.abs(points - icosahedral.points).max() < _TOLERANCE:
            return icosahedral
    lon, lat = points_to_lonlat(points)
    return Scattered(np.degrees(lon), np.degrees(lat))
