"""Values of silent stations from those that report: nearest, inverse distance, smooth on a graph.

An interpolation takes the values of all stations and which of them are observed, and returns values
at all stations: at those that are observed their own, elsewhere what their neighbors tell, and NaN
on a day on which all are silent. What stands where nothing is observed is not read. Kriging is in
`station_kriging.py`, the effect of elevation in `station_elevation.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components

from deepsphere.data.nearest_observed import NearestObserved
from deepsphere.graph import SphereGraph, interpolate
from deepsphere.sampling import Sampling

Weighing = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Distances, in radian, are told apart from zero down to here: 6 nm on the Earth.
_SMALLEST_DISTANCE = 1e-15


@runtime_checkable
class StationInterpolation(Protocol):
    """Values at all stations from those of some: what the functions of this file return."""

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations.

        Parameters
        ----------
        values
            One quantity at the stations, day by day; anything where it is not observed.
        observed
            Where it is. Values that are NaN are never observed.

        Returns
        -------
        Float[np.ndarray, "*batch stations"]
            The values themselves where they are observed; NaN on days without any. Of the type of
            `values`.
        """
        ...


@dataclass(frozen=True, eq=False)
class LocalInterpolation:
    """Weighted means of the nearest stations that are observed, however far they are.

    Parameters
    ----------
    sampling
        The stations.
    num_neighbors
        How many of them, or all if there are fewer; at least 1.
    weigh
        Weights (pairs, neighbors) from the silent stations (pairs,), their neighbors (pairs,
        neighbors) and the distances to them in radian, infinite where there is no neighbor. Rows
        are divided by their sums.

    Raises
    ------
    ValueError
        If the number is below 1.
    """

    sampling: Sampling
    num_neighbors: int
    weigh: Weighing

    def __post_init__(self) -> None:
        """Check the number."""
        if self.num_neighbors < 1:
            raise ValueError(f"num_neighbors must be at least 1, got {self.num_neighbors}")

    @cached_property
    def _nearest(self) -> NearestObserved:
        """Who the neighbors are."""
        return NearestObserved(self.sampling, self.num_neighbors)

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        days, known = observed_days(values, observed, num_stations=self.sampling.num_vertices)
        filled = np.where(known, days, np.nan)
        for day, station, neighbors, distances in self._nearest.chunks(known):
            weights = self.weigh(station, neighbors, distances)
            weights = weights / weights.sum(axis=1, keepdims=True)
            near = np.where(np.isfinite(distances), days[day[:, None], neighbors], 0.0)
            filled[day, station] = (weights * near).sum(axis=1)
        return filled.reshape(values.shape).astype(values.dtype)


def nearest_station(sampling: Sampling) -> LocalInterpolation:
    """Interpolation by the value of the nearest station that is observed.

    Parameters
    ----------
    sampling
        The stations.

    Returns
    -------
    LocalInterpolation

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> values = np.array([1.0, np.nan, 4.0])
    >>> nearest_station(Scattered([0, 1, 3], [0, 0, 0]))(values, ~np.isnan(values))
    array([1., 1., 4.])
    """
    return LocalInterpolation(sampling, 1, _equal_weights)


def inverse_distance(
    sampling: Sampling, *, power: float = 2.0, num_neighbors: int = 8
) -> LocalInterpolation:
    """Interpolation by means of the nearest stations, weighted by distance to the power −p.

    Parameters
    ----------
    sampling
        The stations. Distances are great-circle distances.
    power
        The p, at least 0.
    num_neighbors
        How many stations that are observed, or all if there are fewer.

    Returns
    -------
    LocalInterpolation

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> values = np.array([1.0, np.nan, 4.0])
    >>> inverse_distance(Scattered([0, 1, 3], [0, 0, 0]))(values, ~np.isnan(values))
    array([1. , 1.6, 4. ])

    References
    ----------
    Shepard, 1968, A two-dimensional interpolation function for irregularly-spaced data.
    """
    if not 0 <= power < np.inf:
        raise ValueError(f"power must be at least 0 and finite, got {power}; 2 is usual")
    return LocalInterpolation(sampling, num_neighbors, partial(_inverse_weights, power=power))


@dataclass(frozen=True, eq=False)
class GraphInterpolation:
    """Values that are as smooth on a graph as those that are observed allow.

    See `deepsphere.graph.interpolate`. A component of the graph in which nothing is observed takes
    the mean of what is observed on that day elsewhere. Days that are observed at the same stations
    are solved together; other masks one by one, a few milliseconds each for a thousand stations.
    Of graphs, that of five neighbors with Gaussian weights predicts well; the weights
    "optimal_rows", made for operators, do not.

    Parameters
    ----------
    graph
        On the stations.
    strength
        Of the smoothing, at least 0, which keeps what is observed for the others as it is.

    Raises
    ------
    ValueError
        If the strength is negative.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Scattered
    >>> stations = Scattered([0, 1, 2, 1, 1], [0, 0, 0, 1, -1])
    >>> values = np.array([2.0, np.nan, 2.0, 2.0, 2.0])
    >>> graph = build_graph(stations, num_neighbors=2, weights="gaussian")
    >>> GraphInterpolation(graph)(values, ~np.isnan(values)).round(6)
    array([2., 2., 2., 2., 2.])
    """

    graph: SphereGraph
    strength: float = 0.0

    def __post_init__(self) -> None:
        """Check the number."""
        if not self.strength >= 0:
            raise ValueError(f"strength must be at least 0, got {self.strength}")

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        days, known = observed_days(values, observed, num_stations=self.graph.num_vertices)
        filled = np.where(known, days, np.nan)
        num_components, component = connected_components(self.graph.adjacency, directed=False)
        for mask, chosen in same_masks(known):
            if mask.all() or not mask.any():
                continue
            means = filled[chosen][:, mask].mean(axis=1, keepdims=True)
            is_dark = np.bincount(component[mask], minlength=num_components)[component] == 0
            # where nothing is observed the mean is, so that the others are not asked about it
            given = np.where(is_dark, means, filled[chosen])
            smooth = interpolate(self.graph, given.T, mask | is_dark, strength=self.strength)
            filled[chosen] = np.where(mask, filled[chosen], smooth.T)
        return filled.reshape(values.shape).astype(values.dtype)


def observed_days(
    values: Float[np.ndarray, "*batch stations"],
    observed: Bool[np.ndarray, "*batch stations"],
    *,
    num_stations: int,
) -> tuple[Float[np.ndarray, "days stations"], Bool[np.ndarray, "days stations"]]:
    """Values as float64 in one list of days, and which of them are observed.

    Parameters
    ----------
    values, observed
        As of a `StationInterpolation`.
    num_stations
        How many there must be.

    Returns
    -------
    values, observed
        Values that are NaN are not observed.

    Raises
    ------
    ValueError
        If the shapes differ, the number of stations is another, or an observed value is infinite.

    Examples
    --------
    >>> days, known = observed_days(np.array([1.0, np.nan]), np.array([True, True]), num_stations=2)
    >>> known
    array([[ True, False]])
    """
    if values.shape != observed.shape:
        raise ValueError(
            f"values and observed must have one shape, got {values.shape} and {observed.shape}"
        )
    if not values.ndim or values.shape[-1] != num_stations:
        raise ValueError(
            f"values must have shape (*batch, {num_stations} stations), got {values.shape}"
        )
    days = np.asarray(values, np.float64).reshape(-1, num_stations)
    known = observed.reshape(-1, num_stations) & ~np.isnan(days)
    if np.isinf(days[known]).any():
        raise ValueError("values must be finite where they are observed, got an infinite one")
    return days, known


def same_masks(
    known: Bool[np.ndarray, "days stations"],
) -> list[tuple[Bool[np.ndarray, "stations"], Int[np.ndarray, "chosen"]]]:
    """The different masks of stations, each with the days on which it is that.

    Parameters
    ----------
    known
        Which stations are observed on which day.

    Returns
    -------
    list
        Every day is in one of them.

    Examples
    --------
    >>> [days.tolist() for _, days in same_masks(np.array([[True], [False], [True]]))]
    [[1], [0, 2]]
    """
    if not len(known):
        return []
    packed = np.packbits(known, axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(inverse.reshape(-1)))[:-1])
    return [(known[index], days) for index, days in zip(first, parts, strict=True)]


def _equal_weights(
    stations: np.ndarray, neighbors: np.ndarray, distances: np.ndarray
) -> np.ndarray:
    """The same weight for every neighbor."""
    return np.isfinite(distances).astype(np.float64)


def _inverse_weights(
    stations: np.ndarray, neighbors: np.ndarray, distances: np.ndarray, *, power: float
) -> np.ndarray:
    """Distances to the power −p, those of the nearest being 1: however near, nothing overflows."""
    distances = np.maximum(distances, _SMALLEST_DISTANCE)
    ratio = distances[:, :1] / distances
    return np.where(np.isfinite(distances), ratio**power, 0.0)
