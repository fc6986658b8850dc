"""Files of points: longitudes and latitudes in degrees, read into a sampling."""

import csv
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
from jaxtyping import Float

from deepsphere.data.files import file_suffix
from deepsphere.sampling import Sampling, Scattered, sampling_from_spec

_LONGITUDE = ("lon", "lon_deg", "longitude", "lng", "long")
_LATITUDE = ("lat", "lat_deg", "latitude")
_SUFFIXES = (".csv", ".npz", ".npy")


@dataclass(frozen=True)
class NamedSampling:
    """A sampling with what to call it.

    Parameters
    ----------
    name
        Specification, or name of the file.
    sampling
        The vertices.
    num_repeated
        Points of the file that were left out because an earlier one is the same.
    """

    name: str
    sampling: Sampling
    num_repeated: int = 0


def read_sampling(spec_or_path: str) -> NamedSampling:
    """The sampling of a specification, or of the points in a file.

    ====  ==========================================================================================
    .csv  A line for each point, longitude and latitude in degrees. A first line that is not numeric
          names the columns: lon or longitude, lat or latitude, among any others. Without it there
          are two columns, longitude first.
    .npz  Arrays lon and lat (or longitude and latitude) of one number for each point.
    .npy  An array (points, 2), longitude first.
    ====  ==========================================================================================

    Parameters
    ----------
    spec_or_path
        E.g. ``"healpix:32"`` or ``"stations.csv"``.

    Returns
    -------
    NamedSampling

    Raises
    ------
    FileNotFoundError
        If it looks like a file that is not there.
    ValueError
        If it is neither a specification nor such a file, or the points are not valid.

    Examples
    --------
    >>> read_sampling("healpix:4").sampling.num_vertices
    192
    """
    path = Path(spec_or_path).expanduser()
    suffix = file_suffix(path)
    if suffix not in _SUFFIXES:
        if path.is_file():
            raise ValueError(
                f"a file of points must end in one of {', '.join(_SUFFIXES)}, got {path}; "
                "convert it to one of them"
            )
        return NamedSampling(spec_or_path, sampling_from_spec(spec_or_path))
    if not path.is_file():
        raise FileNotFoundError(f"sampling must be a specification or a file, got {path}, no file")
    reader = {".csv": _read_csv, ".npz": _read_npz, ".npy": _read_npy}[suffix]
    lonlat = reader(path)
    if not np.isfinite(lonlat).all():
        raise ValueError(
            f"{path} must hold finite degrees, got {int((~np.isfinite(lonlat)).any(axis=1).sum())} "
            "points that are not; leave them out"
        )
    first = np.sort(np.unique(lonlat, axis=0, return_index=True)[1])
    sampling = Scattered(lonlat[first, 0], lonlat[first, 1])
    return NamedSampling(path.name, sampling, len(lonlat) - len(first))


def _read_csv(path: Path) -> Float[np.ndarray, "points 2"]:
    """Two columns of a text file."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = [(number, row) for number, row in enumerate(csv.reader(stream), 1) if any(row)]
    if not lines:
        raise ValueError(f"{path} must hold a line for each point, got no line")
    columns = (0, 1)
    heads = [word.strip().lower() for word in lines[0][1]]
    if not all(_is_number(word) for word in heads[:2]):
        lon, lat = _column(path, heads, _LONGITUDE), _column(path, heads, _LATITUDE)
        columns, lines = (heads.index(lon), heads.index(lat)), lines[1:]
    points = np.empty((len(lines), 2))
    for index, (number, row) in enumerate(lines):
        words = [row[column] if column < len(row) else "" for column in columns]
        if not all(_is_number(word) for word in words):
            raise ValueError(
                f"{path} must hold a longitude and a latitude in every line, got "
                f"{','.join(row)[:60]!r} in line {number}"
            )
        points[index] = [float(word) for word in words]
    return points


def _read_npz(path: Path) -> Float[np.ndarray, "points 2"]:
    """Two arrays of an archive."""
    try:
        # NumPy would take another format for pickled objects
        with path.open("rb") as stream, ZipFile(stream):
            pass
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = {name.lower(): name for name in archive.files}
            lon, lat = (
                np.asarray(archive[names[_column(path, list(names), wanted)]])
                for wanted in (_LONGITUDE, _LATITUDE)
            )
    except BadZipFile as error:
        raise ValueError(f"{path} must be a NumPy archive, got another format") from error
    if lon.ndim != 1 or lon.shape != lat.shape or not _is_real(lon) or not _is_real(lat):
        raise ValueError(
            f"{path} must hold lon and lat of one real number for each point, got shapes "
            f"{lon.shape} and {lat.shape} of {lon.dtype} and {lat.dtype}"
        )
    return np.column_stack([lon, lat]).astype(np.float64)


def _read_npy(path: Path) -> Float[np.ndarray, "points 2"]:
    """Two columns of an array."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} must be a NumPy array file, got another format") from error
    if array.ndim != 2 or array.shape[1] != 2 or not _is_real(array):
        raise ValueError(
            f"{path} must hold real numbers (points, 2), longitude first, got shape {array.shape} "
            f"of {array.dtype}"
        )
    return array.astype(np.float64)


def _column(path: Path, names: list[str], wanted: tuple[str, ...]) -> str:
    """The first of the names that is wanted."""
    for name in wanted:
        if name in names:
            return name
    raise ValueError(
        f"{path} must name a column {wanted[0]} or {wanted[2]}, got "
        f"{', '.join(names)[:200] or 'nothing'}; rename it"
    )


def _is_number(word: str) -> bool:
    """Whether a word is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_real(array: np.ndarray) -> bool:
    """Whether an array holds integers or floating-point numbers."""
    return np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
