"""The nearest stations that report on a day, for those that do not."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from deepsphere.sampling import Sampling

# Candidates of a station: so many times the neighbors that are wanted, and some more. Where too few
# of them report, all stations of the day are asked.
_CANDIDATES_PER_NEIGHBOR = 3
_MORE_CANDIDATES = 16
# Candidates looked at in one piece: bounds the memory to about 200 MB.
_AT_ONCE = 2**22

Chunk = tuple[
    Int[np.ndarray, "pairs"],
    Int[np.ndarray, "pairs"],
    Int[np.ndarray, "pairs neighbors"],
    Float[np.ndarray, "pairs neighbors"],
]


@dataclass(frozen=True, eq=False)
class NearestObserved:
    """For every silent station of a day the nearest ones that are observed, exactly.

    Parameters
    ----------
    sampling
        The stations.
    num_neighbors
        How many of them, at least 1.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> nearest = NearestObserved(Scattered([0, 1, 3], [0, 0, 0]), 1)
    >>> [(d, s, n, x)] = nearest.chunks(np.array([[True, False, True]]))
    >>> d.tolist(), s.tolist(), n.tolist(), np.rad2deg(x).round(6).tolist()
    ([0], [1], [[0]], [[1.0]])
    """

    sampling: Sampling
    num_neighbors: int

    @cached_property
    def _candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """The nearest other stations of each, the nearest first, and their distances."""
        points = self.sampling.points
        wanted = _CANDIDATES_PER_NEIGHBOR * self.num_neighbors + _MORE_CANDIDATES
        width = min(wanted, len(points) - 1)
        found, index = _query(points, points, width + 1)
        # a station is usually its own nearest, but not always the first of those close by
        own = index == np.arange(len(points))[:, None]
        own[~own.any(axis=1), -1] = True
        shape = (len(points), width)
        return index[~own].reshape(shape), _arcs(found[~own].reshape(shape))

    def of_all(
        self,
    ) -> tuple[Int[np.ndarray, "stations neighbors"], Float[np.ndarray, "stations neighbors"]]:
        """The nearest other stations of each, observed or not, and how far they are in radian.

        Returns
        -------
        neighbors, distances
            At most so many as there are other stations, the nearest first.
        """
        candidates, distances = self._candidates
        return candidates[:, : self.num_neighbors], distances[:, : self.num_neighbors]

    def chunks(
        self,
        observed: Bool[np.ndarray, "days stations"],
        *,
        asked: Bool[np.ndarray, "days stations"] | None = None,
    ) -> Iterator[Chunk]:
        """The neighbors of all silent stations of days on which something is observed.

        Parameters
        ----------
        observed
            Which stations are, day by day.
        asked
            Of which stations the neighbors are wanted, in place of the silent ones. A station that
            is observed is not its own neighbor.

        Yields
        ------
        days, stations, neighbors, distances
            Pairs of a day and a station, the indices of its neighbors (0 where there are too few),
            the nearest first, and the great-circle distances to them in radian (infinite there).
        """
        wanted = ~observed if asked is None else asked
        days, stations = np.nonzero(wanted & observed.any(axis=1, keepdims=True))
        if not len(days):
            return
        most = self._candidates[0].shape[1]
        # where most report, few candidates do
        fewer = min(2 * self.num_neighbors, most)
        size = max(1, _AT_ONCE // max(1, most))
        for start in range(0, len(days), size):
            day, station = days[start : start + size], stations[start : start + size]
            neighbors, distance = self._among(observed, day, station, width=fewer)
            lacking = np.isinf(distance).any(axis=1) & (fewer < most)
            if lacking.any():
                neighbors[lacking], distance[lacking] = self._among(
                    observed, day[lacking], station[lacking], width=most
                )
            lacking = np.isinf(distance).any(axis=1) & (most + 1 < observed.shape[1])
            if lacking.any():
                self._ask_all(
                    observed, day[lacking], station[lacking], neighbors, distance, lacking
                )
            yield day, station, neighbors, distance

    def _among(
        self, observed: np.ndarray, days: np.ndarray, stations: np.ndarray, *, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Neighbors and distances among so many candidates of each station."""
        near, far = (part[:, :width][stations] for part in self._candidates)
        seen = observed.ravel()[days[:, None] * observed.shape[1] + near]
        order = np.argsort(~seen, axis=1, kind="stable")[:, : self.num_neighbors]
        there = np.take_along_axis(seen, order, axis=1)
        neighbors = np.where(there, np.take_along_axis(near, order, axis=1), 0)
        return neighbors, np.where(there, np.take_along_axis(far, order, axis=1), np.inf)

    def _ask_all(
        self,
        observed: np.ndarray,
        days: np.ndarray,
        stations: np.ndarray,
        neighbors: np.ndarray,
        distances: np.ndarray,
        rows: np.ndarray,
    ) -> None:
        """Write into some rows the neighbors among all stations of the day."""
        points, row_of = self.sampling.points, np.flatnonzero(rows)
        for day in np.unique(days):
            chosen = days == day
            known = np.flatnonzero(observed[day])
            width = min(self.num_neighbors + 1, len(known))
            found, index = _query(points[known], points[stations[chosen]], width)
            near = known[index]
            own = near == stations[chosen, None]
            # the station itself goes to the end; the others stay in their order
            order = np.argsort(own, axis=1, kind="stable")[:, : self.num_neighbors]
            far = np.where(own, np.inf, _arcs(found))
            target, width = row_of[chosen], order.shape[1]
            distances[target, :width] = far = np.take_along_axis(far, order, axis=1)
            neighbors[target, :width] = np.where(
                np.isfinite(far), np.take_along_axis(near, order, axis=1), 0
            )


def _query(points: np.ndarray, asking: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Chords to the nearest points, and their indices, (asking, number)."""
    found = KDTree(points).query(asking, k=number)
    # for one neighbor, scipy leaves out the axis
    chords, indices = (np.asarray(part).reshape(len(asking), number) for part in found)
    return chords, indices


def _arcs(chords: np.ndarray) -> np.ndarray:
    """Great-circle distances, in radian, of chords."""
    return 2 * np.arcsin(np.minimum(chords / 2, 1.0))
