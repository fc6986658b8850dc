"""Where a map lies: each source reads the pixels it is asked for, in NESTED order."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import healpix
import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.healpix_fits import UNSEEN, Ordering, read_healpix_fits
from deepsphere.data.map_files import DATASET, read_map_file, values_digest
from deepsphere.sampling import Healpix, Subset, sampling_from_spec

# Pairs of neighboring pixels that are compared to find the ordering of a map.
_NUM_PAIRS = 20000
_SMALLEST_TESTED_NSIDE = 16
# A map is taken to be in the other order if neighbors differ by less than this there, relative to
# the order that was assumed (white noise: 1), and by so many standard errors.
_MUCH_SMOOTHER = 0.85
_SIGNIFICANT = 6.0
# Pixels that follow each other in NESTED order are nearer than those on a ring, by less than this.
_RATIO_OF_DISTANCES = 2.0


@runtime_checkable
class MapSource(Protocol):
    """One map."""

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels, float32, in NESTED order."""
        ...

    def digest(self) -> str:
        """Of the values and nothing else."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayMap:
    """A map in memory.

    Parameters
    ----------
    values
        float32, NESTED.
    """

    values: Float[np.ndarray, "pixels channels"]

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels."""
        return self.values[start:stop]

    def digest(self) -> str:
        """Of the values."""
        return values_digest(self.values)


@dataclass(frozen=True)
class StoredMap:
    """A map in a file of the library, of which only the pixels that are asked for are read.

    Parameters
    ----------
    path
        See :func:`~deepsphere.data.map_files.write_map_file`.
    settings
        What the map must have been made from; None for anything.
    """

    path: Path
    settings: str | None = None

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels."""
        return read_map_file(self.path, start, stop, settings=self.settings)

    def digest(self) -> str:
        """The one in the file, which was checked."""
        import h5py

        read_map_file(self.path, 0, 1, settings=self.settings)
        with h5py.File(self.path, "r") as file:
            return str(file[DATASET].attrs["sha256"])


@dataclass(frozen=True)
class FitsMap:
    """A map in a FITS file, which is read whole; each process keeps the last two.

    Parameters
    ----------
    path
        The file: a whole map or a part of one, pixels of which may be missing (NaN, UNSEEN).
    """

    path: Path

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels; NaN where they are missing."""
        return read_fits_map(self.path)[start:stop]

    def digest(self) -> str:
        """Of the values."""
        return values_digest(read_fits_map(self.path))


@dataclass(frozen=True, eq=False)
class MaskedMap:
    """A map of which only some pixels count; the others are zero.

    Parameters
    ----------
    source
        The map.
    mask
        Which pixels count, NESTED.
    name
        Of the map, for errors.
    """

    source: MapSource
    mask: Bool[np.ndarray, "whole"]
    name: str

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels, those outside of the mask zero."""
        values = np.where(self.mask[start:stop, None], self.source.read(start, stop), np.float32(0))
        check_map(values, name=self.name)
        return values

    def digest(self) -> str:
        """Of the map and the mask."""
        mask = hashlib.sha256(np.packbits(self.mask).tobytes()).hexdigest()
        return hashlib.sha256(f"{self.source.digest()} {mask}".encode()).hexdigest()


@dataclass(frozen=True)
class CoarseMap:
    """Means over the pixels of a finer map.

    Parameters
    ----------
    source
        The finer map.
    num_children
        Pixels of it in each pixel, a power of four.
    """

    source: MapSource
    num_children: int

    def read(self, start: int, stop: int) -> Float[np.ndarray, "pixels channels"]:
        """Some pixels."""
        fine = self.source.read(start * self.num_children, stop * self.num_children)
        groups = fine.reshape(stop - start, self.num_children, fine.shape[-1])
        return groups.mean(axis=1, dtype=np.float64).astype(np.float32)

    def digest(self) -> str:
        """Of the finer map and the number of pixels."""
        return hashlib.sha256(f"{self.source.digest()} {self.num_children}".encode()).hexdigest()


def read_fits_map(path: Path) -> Float[np.ndarray, "pixels channels"]:
    """A map of a FITS file on the whole sphere; the last two are kept.

    Parameters
    ----------
    path
        The file, of either ordering, which it must name.

    Returns
    -------
    Float[np.ndarray, "pixels channels"]
        float32, NESTED, read-only; NaN where pixels are missing.

    Raises
    ------
    ImportError
        If astropy is not installed.
    ValueError
        If the file is damaged, or it is much smoother in the other ordering.
    """
    return _read_fits_map(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=2)
def _read_fits_map(path: Path, modified: int) -> np.ndarray:
    """A map of a file that was last changed at this time."""
    found = read_healpix_fits(path)
    sampling = sampling_from_spec(found.sampling)
    signals = found.signals
    if isinstance(sampling, Subset):
        signals = sampling.embed(signals)
    seen = np.where(is_seen(signals), signals, 0.0)
    check_ordering(seen, assumed=found.ordering, name=str(path))
    values = to_nested(signals, found.ordering, name=str(path))
    values.flags.writeable = False
    return values


def to_nested(
    values: Float[np.ndarray, "pixels channels"], ordering: Ordering, *, name: str
) -> Float[np.ndarray, "pixels channels"]:
    """A map in NESTED order and float32.

    Parameters
    ----------
    values
        The map.
    ordering
        That it is in.
    name
        Of the map, for the message.

    Returns
    -------
    Float[np.ndarray, "pixels channels"]
        A copy.

    Raises
    ------
    ValueError
        If its number of pixels is not 12 nside² of a power of two.

    Examples
    --------
    >>> to_nested(np.arange(48.0)[:, None], "ring", name="example")[:4, 0].tolist()
    [13.0, 5.0, 4.0, 0.0]
    """
    nside = map_nside(len(values), name=name)
    values = values.astype(np.float32)
    return (
        Healpix(nside, ordering="ring").reorder(values, "nested") if ordering == "ring" else values
    )


def map_nside(num_pixels: int, *, name: str) -> int:
    """Resolution of a map of so many pixels.

    Parameters
    ----------
    num_pixels
        Of the whole sphere.
    name
        Of the map, for the message.

    Returns
    -------
    int
        A power of two.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> map_nside(3072, name="example")
    16
    """
    nside = round((num_pixels / 12) ** 0.5)
    if num_pixels < 12 or 12 * nside**2 != num_pixels or nside & (nside - 1):
        raise ValueError(
            f"{name} must have 12 nside² pixels with nside a power of two, got {num_pixels}; "
            "it is no map of the whole sphere, or cut"
        )
    return nside


def is_seen(values: Float[np.ndarray, "pixels channels"]) -> Bool[np.ndarray, "pixels channels"]:
    """Where a map has a value: neither NaN nor infinite nor UNSEEN.

    Parameters
    ----------
    values
        The map.

    Returns
    -------
    Bool[np.ndarray, "pixels channels"]

    Examples
    --------
    >>> is_seen(np.array([[1.0], [np.nan], [-1.6375e30]])).ravel().tolist()
    [True, False, False]
    """
    # −1.6375e30 and what rounding makes of it; no map has such values
    return np.abs(values) < abs(UNSEEN) * 0.999


def check_map(values: Float[np.ndarray, "pixels channels"], *, name: str) -> None:
    """Raise unless all pixels of a map are numbers.

    Parameters
    ----------
    values
        The map.
    name
        Of the map, for the message.

    Raises
    ------
    ValueError
        If a pixel is NaN, infinite, or UNSEEN (−1.6375e30).

    Examples
    --------
    >>> check_map(np.zeros((12, 1)), name="example")
    """
    bad = ~is_seen(values)
    num_bad = int(bad.any(axis=-1).sum())
    if num_bad:
        first = int(bad.any(axis=-1).argmax())
        raise ValueError(
            f"{name} must be finite everywhere, got {num_bad} pixels that are NaN, infinite or "
            f"UNSEEN (first: pixel {first}, NESTED); give a mask of those that count"
        )


def check_ordering(
    values: Float[np.ndarray, "pixels channels"], *, assumed: Ordering, name: str
) -> None:
    """Raise if a map is much smoother in the other order than in the one it is said to be in.

    Compared are the mean differences of neighboring pixels, at places where neighbors are far apart
    in memory. Of a map that is white noise nobody can tell.

    Parameters
    ----------
    values
        The map, as it lies in memory.
    assumed
        Its ordering.
    name
        Of the map, for the message.

    Raises
    ------
    ValueError
        If it is.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> height = Healpix(16).points[:, 2:]
    >>> check_ordering(height, assumed="nested", name="height")
    >>> check_ordering(height, assumed="ring", name="height")
    Traceback (most recent call last):
    ...
    ValueError: height must be in RING order as it is said to be, got a map that is much smoother
    in NESTED order; ...
    """
    nside = map_nside(len(values), name=name)
    if nside < _SMALLEST_TESTED_NSIDE:
        return
    other: Ordering = "ring" if assumed == "nested" else "nested"
    across, along = _distant_neighbors(nside)
    as_assumed, as_other = (_differences(values, across, ordering) for ordering in (assumed, other))
    difference = float(as_assumed.mean() - as_other.mean())
    error = math.sqrt((as_assumed.var() + as_other.var()) / across.shape[1])
    is_smoother = as_other.mean() < _MUCH_SMOOTHER * as_assumed.mean()
    # what varies from ring to ring only is smooth in NESTED order too, but not along the rings
    ratio_along = _RATIO_OF_DISTANCES * _differences(values, along, assumed).mean()
    is_zonal = _differences(values, along, other).mean() > ratio_along
    if is_smoother and not is_zonal and difference > _SIGNIFICANT * error:
        raise ValueError(
            f"{name} must be in {assumed.upper()} order as it is said to be, got a map that is "
            f"much smoother in {other.upper()} order; say so (ordering={other!r}, or the keyword "
            "ORDERING of a FITS file), or reorder it"
        )


def _differences(values: np.ndarray, pairs: np.ndarray, ordering: Ordering) -> np.ndarray:
    """Differences of pairs of NESTED pixels, the mean over channels, of a map in some ordering."""
    nside = round((len(values) / 12) ** 0.5)
    first, second = healpix.nest2ring(nside, pairs) if ordering == "ring" else pairs
    return np.abs(values[first] - values[second], dtype=np.float64).mean(axis=-1)


@lru_cache(maxsize=4)
def _distant_neighbors(nside: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pixels (2, pairs), NESTED, that touch each other across the middle of a face.

    First those on neighboring rings, which share an edge; then those on a ring.
    """
    generator = np.random.default_rng(0)
    # the two halves of a face: there the indices of neighbors differ by nside²/6 or more
    x = np.full(_NUM_PAIRS, nside // 2 - 1)
    y = generator.integers(1, nside, _NUM_PAIRS)
    base = generator.integers(0, 12, _NUM_PAIRS) * nside**2
    is_swapped = generator.random(_NUM_PAIRS) < 0.5

    def pixel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        low, high = np.where(is_swapped, y, x), np.where(is_swapped, x, y)
        return base + _interleave(low) + 2 * _interleave(high)

    across = np.stack([pixel(x, y), pixel(x + 1, y)])
    along = np.stack([pixel(x, y), pixel(x + 1, y - 1)])
    return np.unique(across, axis=1), np.unique(along, axis=1)


def _interleave(coordinate: np.ndarray) -> np.ndarray:
    """Numbers with a zero put before each of their bits."""
    spread = np.zeros_like(coordinate)
    for bit in range(16):
        spread |= (coordinate >> bit & 1) << 2 * bit
    return spread
