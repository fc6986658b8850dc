"""Where the fields of a series lie: what can be read time by time, and what is known ahead."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.calendars import Times
from deepsphere.sampling import Sampling


@runtime_checkable
class FieldSource(Protocol):
    """Where the fields of a series lie; it may be sent to another process."""

    def read(
        self, indices: Int[np.ndarray, "times"]
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields of some times, float32, NaN where they are missing."""
        ...


@runtime_checkable
class KnownFields(Protocol):
    """Fields that are known in advance, as insolation is: they force a forecast at each step.

    A `FieldSeries` is one, for its times; `deepsphere.data.known_fields.ComputedFields` for any.
    """

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel."""
        ...

    @property
    def sampling(self) -> Sampling:
        """Where they are sampled."""
        ...

    def at(self, times: Times) -> Float[np.ndarray, "times vertices channels"]:
        """The fields at some times."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayFields:
    """Fields in memory, or in an array that is mapped into it.

    Parameters
    ----------
    values
        Floating point; NaN is missing.
    """

    values: Float[np.ndarray, "times vertices channels"]

    def read(
        self, indices: Int[np.ndarray, "times"]
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields of some times."""
        return np.asarray(self.values[indices], np.float32)


@dataclass(frozen=True, eq=False)
class ChosenFields:
    """Some vertices and channels of other fields.

    Parameters
    ----------
    source
        The whole.
    vertices, channels
        Indices; None for all.
    """

    source: FieldSource
    vertices: Int[np.ndarray, "chosen"] | None = None
    channels: Int[np.ndarray, "kept"] | None = None

    def read(
        self, indices: Int[np.ndarray, "times"]
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields of some times."""
        values = self.source.read(indices)
        if self.vertices is not None:
            values = values[:, self.vertices]
        return values if self.channels is None else values[:, :, self.channels]
