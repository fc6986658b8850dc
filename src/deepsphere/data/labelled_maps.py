"""A set of labelled maps of the whole sphere, which are read when they are asked for."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.map_sources import ArrayMap, MapSource

Name = TypeVar("Name", bound=str)

# Sets of maps that take less are read once and kept.
_BYTES_IN_MEMORY = 2**32


@dataclass(frozen=True, eq=False)
class MapSet:
    """Labelled maps of one resolution, which are read when they are asked for.

    Parameters
    ----------
    sources
        The maps.
    nside
        Their resolution, a power of two.
    num_channels
        Of each map.
    labels
        Class of each map.
    class_names
        Name of each class.
    names
        Name of each map.
    parameters
        Numbers to be predicted, a row for each map; None where they are unknown.
    parameter_names
        Name of each of these numbers.
    notes
        What a reader of results on these maps must know.

    Raises
    ------
    ValueError
        If there is no map, or labels, names or parameters do not belong to the maps.

    Examples
    --------
    >>> from deepsphere.data.map_sets import array_maps
    >>> maps = array_maps(np.zeros((3, 48)), np.array([0, 1, 1]), class_names=("a", "b"))
    >>> len(maps), maps.nside, maps.read(2, 4, 8).shape
    (3, 2, (4, 1))
    """

    sources: tuple[MapSource, ...]
    nside: int
    num_channels: int
    labels: Int[np.ndarray, "maps"]
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    parameters: Float[np.ndarray, "maps parameters"] | None = None
    parameter_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that all belongs together."""
        num = len(self.sources)
        if not num:
            raise ValueError("maps must be at least one, got none")
        for name in ("labels", "names", "parameters"):
            values = getattr(self, name)
            if values is not None and len(values) != num:
                raise ValueError(f"{name} must be one for each of {num} maps, got {len(values)}")
        outside = (self.labels < 0) | (self.labels >= len(self.class_names))
        if outside.any():
            raise ValueError(
                f"labels must be in [0, {len(self.class_names)}), the number of classes, got "
                f"{self.labels[outside.argmax()]} for map {self.names[outside.argmax()]}"
            )
        if self.parameters is not None:
            if self.parameters.shape[1] != len(self.parameter_names):
                raise ValueError(
                    f"parameter_names must be one for each of {self.parameters.shape[1]} "
                    f"parameters, got {len(self.parameter_names)}"
                )
            if not np.isfinite(self.parameters).all():
                raise ValueError("parameters must be finite, got NaN or infinite values")

    def __len__(self) -> int:
        """Number of maps."""
        return len(self.sources)

    @property
    def num_pixels(self) -> int:
        """Pixels of each map."""
        return 12 * self.nside**2

    def read(
        self, index: int, start: int = 0, stop: int | None = None
    ) -> Float[np.ndarray, "pixels channels"]:
        """Pixels of a map, and from an HDF5 file no others.

        Parameters
        ----------
        index
            Of the map.
        start, stop
            First pixel and the one after the last, in NESTED order; None for the end.

        Returns
        -------
        Float[np.ndarray, "pixels channels"]
            float32, NESTED. Not to be written to.

        Raises
        ------
        ValueError
            If the pixels are out of range, the file is damaged, or a pixel of it is not finite.
        """
        last = self.num_pixels if stop is None else stop
        if not 0 <= start < last <= self.num_pixels:
            raise ValueError(
                f"start and stop must be increasing and within {self.num_pixels} pixels, got "
                f"{start} and {stop}"
            )
        return self.sources[index].read(start, last)

    def take(self, indices: Sequence[int] | Int[np.ndarray, "chosen"]) -> "MapSet":
        """The maps with these indices, in that order, with all classes.

        Parameters
        ----------
        indices
            At least one.

        Returns
        -------
        MapSet
        """
        chosen = np.asarray(indices, np.int64)
        return replace(
            self,
            sources=tuple(self.sources[index] for index in chosen),
            labels=self.labels[chosen],
            names=tuple(self.names[index] for index in chosen),
            parameters=None if self.parameters is None else self.parameters[chosen],
        )

    def in_memory(self) -> "MapSet":
        """The same maps, read once and kept: 4 bytes for each pixel and channel.

        Returns
        -------
        MapSet
        """
        sources = tuple(
            one if isinstance(one, ArrayMap) else ArrayMap(one.read(0, self.num_pixels).copy())
            for one in self.sources
        )
        return replace(self, sources=sources)

    @property
    def num_bytes(self) -> int:
        """Memory that the maps take as float32."""
        return 4 * len(self) * self.num_pixels * self.num_channels

    def digest(self) -> str:
        """Digest of the values of all maps, their labels, classes and parameters.

        Returns
        -------
        str
            Hexadecimal SHA-256; that of the same maps read from elsewhere is the same.
        """
        digest = hashlib.sha256(repr((self.nside, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        if self.parameters is not None:
            digest.update(repr(self.parameter_names).encode())
            digest.update(np.ascontiguousarray(self.parameters, "<f8").data)
        for source in self.sources:
            digest.update(source.digest().encode())
        return digest.hexdigest()


def keep_small(sets: Mapping[Name, MapSet]) -> dict[Name, MapSet]:
    """Sets of maps, read once and kept in memory where they take less than 4 GiB together.

    Parameters
    ----------
    sets
        By name.

    Returns
    -------
    dict of MapSet
        Those that are in memory already are the same.

    Examples
    --------
    >>> keep_small({})
    {}
    """
    if sum(maps.num_bytes for maps in sets.values()) > _BYTES_IN_MEMORY:
        return dict(sets)
    return {name: maps.in_memory() for name, maps in sets.items()}
