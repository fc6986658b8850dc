r"""Kriging with a drift: from all stations that report, or the nearest, each as if it did not.

Values are taken to be :math:`\beta_0 + \beta_1 \sin\varphi + \beta_2 \sin^2\varphi + \beta_3 z`
plus something whose covariance decays as :math:`e^{-d/L}` with the distance d, L = 4,000 km, with
z the elevation. Nothing is fitted to past days: one day tells all. Kriging without a drift, for a
covariance that is fitted to them, is in `station_kriging.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.nearest_observed import NearestObserved
from deepsphere.data.station_interpolation import observed_days
from deepsphere.sampling import Sampling

# Great-circle distance, in radian, over which two stations become strangers: 4,000 km, so large
# that over the distances of neighbors the variogram is a straight line.
_SCALE = 4000 / 6371
# Variance of what a station has alone, in units of what neighbors share.
_NUGGET = 0.01
# Variance of the coefficients of the drift in the same units: large, so that they are nearly free
# where many stations report, yet two or three do not make up a drift that grows beyond all measure.
_DRIFT_VARIANCE = 3.0
# One inverse of as many stations, and a matrix of their pairs in memory.
MOST_STATIONS = 2000
# Small systems that are solved together: few enough for the cache.
_AT_ONCE = 2**9


@dataclass(frozen=True, eq=False)
class DriftKriging:
    """Values from all stations that report, under a drift with latitude and elevation.

    Parameters
    ----------
    sampling
        The stations, at most 2,000.
    elevation
        z of each, finite, in units in which it varies by about one.
    usable
        Stations that may ever be looked at; None for all.

    Raises
    ------
    ValueError
        If there are too many stations, or not as many elevations, or one is not finite.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> kriging = DriftKriging(Scattered([0, 10, 20], [0, 0, 0]), np.zeros(3))
    >>> values = np.array([1.0, np.nan, 3.0])
    >>> kriging(values, ~np.isnan(values)).round(2)
    array([1., 2., 3.])

    References
    ----------
    Cressie, 1993, Statistics for spatial data, section 3.4 (universal kriging). Dubrule, 1983,
    Cross validation of kriging in a unique neighborhood.
    """

    sampling: Sampling
    elevation: Float[np.ndarray, "stations"]
    usable: Bool[np.ndarray, "stations"] | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        number = self.sampling.num_vertices
        if number > MOST_STATIONS:
            raise ValueError(
                f"sampling must have at most {MOST_STATIONS} stations for kriging from all of them,"
                f" got {number}; krige from the nearest (LocalDriftKriging)"
            )
        _check_elevation(self.elevation, number)

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        return _with_own(values, observed, self.of_others(values, observed))

    def of_others(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """What the others tell of each station, whether it reports or not.

        Parameters
        ----------
        values, observed
            As of a `StationInterpolation`.

        Returns
        -------
        Float[np.ndarray, "*batch stations"]
            NaN on days without any other station.
        """
        days, known = observed_days(values, observed, num_stations=self.sampling.num_vertices)
        if self.usable is not None:
            known = known & self.usable
        told = np.full(days.shape, np.nan)
        for day, mask in enumerate(known):
            if mask.any():
                told[day] = self._of_day(days[day], mask)
        return told.reshape(values.shape).astype(values.dtype)

    def _of_day(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """What the others tell on one day."""
        covariance, precision, places = self._matrices
        shown = mask[places]
        seen, silent = np.flatnonzero(shown), np.flatnonzero(~shown)
        center = values[mask].mean()
        # beside the values, ones: they tell what another center would
        right = np.stack([values[places[seen]] - center, np.ones(len(seen))], axis=1)
        # the precision of those that report, by Schur's complement of the silent ones
        cross = precision[np.ix_(silent, seen)]
        reduced = np.linalg.solve(precision[np.ix_(silent, silent)], cross)
        dual = precision[np.ix_(seen, seen)] @ right - cross.T @ (reduced @ right)
        own = precision[seen, seen] - np.einsum("ij,ij->j", cross, reduced)
        told = covariance[:, places[seen]] @ dual[:, 0] + center
        # of those that report, the center is that of the others
        moved = right[:, 0] / max(len(seen) - 1, 1)
        told[places[seen]] = values[places[seen]] - (dual[:, 0] + moved * dual[:, 1]) / own
        if len(seen) == 1:
            told[places[seen]] = np.nan
        return told

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Covariance of all pairs, the precision of those that are usable, and which they are."""
        points = self.sampling.points
        number = len(points)
        usable = np.ones(number, bool) if self.usable is None else self.usable
        drift = _drift(points, self.elevation)
        covariance = _decayed(points @ points.T) + drift @ drift.T
        places = np.flatnonzero(usable)
        matrix = covariance[np.ix_(places, places)] + _NUGGET * np.eye(len(places))
        return covariance, np.linalg.inv(matrix), places


@dataclass(frozen=True, eq=False)
class LocalDriftKriging:
    """As `DriftKriging`, from the nearest stations that report: for any number of stations.

    One small system of equations for each station and day, about 15 µs each, in pieces that bound
    the memory.

    Parameters
    ----------
    sampling
        The stations.
    elevation
        Of each, finite, in units in which it varies by about one.
    usable
        Stations that may ever be looked at; None for all.
    num_neighbors
        From how many stations, or all if there are fewer; at least 1.

    Raises
    ------
    ValueError
        If a number is out of its range, or there are not as many elevations as stations, or one is
        not finite.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> kriging = LocalDriftKriging(Scattered([0, 10, 20], [0, 0, 0]), np.zeros(3))
    >>> values = np.array([1.0, np.nan, 3.0])
    >>> kriging(values, ~np.isnan(values)).round(2)
    array([1., 2., 3.])

    References
    ----------
    Cressie, 1993, Statistics for spatial data, section 3.4 (universal kriging).
    """

    sampling: Sampling
    elevation: Float[np.ndarray, "stations"]
    usable: Bool[np.ndarray, "stations"] | None = None
    num_neighbors: int = 24

    def __post_init__(self) -> None:
        """Check numbers and sizes."""
        if self.num_neighbors < 1:
            raise ValueError(f"num_neighbors must be at least 1, got {self.num_neighbors}")
        _check_elevation(self.elevation, self.sampling.num_vertices)

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        known = observed & ~np.isnan(values)
        return _with_own(values, observed, self.of_others(values, observed, asked=~known))

    def of_others(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
        *,
        asked: Bool[np.ndarray, "*batch stations"] | None = None,
    ) -> Float[np.ndarray, "*batch stations"]:
        """What the others tell of each station, whether it reports or not.

        Parameters
        ----------
        values, observed
            As of a `StationInterpolation`.
        asked
            Which stations are asked about; None for all.

        Returns
        -------
        Float[np.ndarray, "*batch stations"]
            NaN on days without any other station, and where nobody was asked.
        """
        days, known = observed_days(values, observed, num_stations=self.sampling.num_vertices)
        if self.usable is not None:
            known = known & self.usable
        wanted = np.ones_like(known) if asked is None else asked.reshape(known.shape)
        told = np.full(days.shape, np.nan)
        for day, station, near, distance in self._nearest.chunks(known, asked=wanted):
            for start in range(0, len(day), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                there = np.isfinite(distance[part])
                seen = np.where(there, days[day[part, None], near[part]], 0.0)
                told[day[part], station[part]] = self._of_pairs(
                    station[part], near[part], there, seen
                )
        return told.reshape(values.shape).astype(values.dtype)

    @cached_property
    def _nearest(self) -> NearestObserved:
        """Finds the neighbors."""
        return NearestObserved(self.sampling, self.num_neighbors)

    @cached_property
    def _drift(self) -> np.ndarray:
        """Columns of the drift."""
        return _drift(self.sampling.points, self.elevation)

    def _of_pairs(
        self, station: np.ndarray, near: np.ndarray, there: np.ndarray, seen: np.ndarray
    ) -> np.ndarray:
        """What neighbors (pairs, neighbors) tell of stations (pairs,); NaN where none is there."""
        points, drift = self.sampling.points[near], self._drift[near]
        system = _decayed(points @ points.transpose(0, 2, 1)) + drift @ drift.transpose(0, 2, 1)
        system *= there[:, :, None] & there[:, None, :]
        diagonal = np.arange(near.shape[1])
        # where there is no neighbor, an equation of its own gives the weight 0
        system[:, diagonal, diagonal] += np.where(there, _NUGGET, 1.0)
        cosine = np.einsum("pnx,px->pn", points, self.sampling.points[station])
        right = _decayed(cosine) + np.einsum("pnx,px->pn", drift, self._drift[station])
        weights = np.linalg.solve(system, np.where(there, right, 0.0)[..., None])[..., 0]
        number = there.sum(axis=1)
        center = np.where(number > 0, seen.sum(axis=1) / np.maximum(number, 1), np.nan)
        return center + (weights * (seen - center[:, None])).sum(axis=1)


def drift_kriging(
    sampling: Sampling,
    elevation: Float[np.ndarray, "stations"],
    usable: Bool[np.ndarray, "stations"] | None = None,
) -> DriftKriging | LocalDriftKriging:
    """Kriging with a drift from all stations, or from the nearest of more than 2,000.

    Parameters
    ----------
    sampling, elevation, usable
        As of `DriftKriging`, of any number of stations.

    Returns
    -------
    DriftKriging or LocalDriftKriging

    Raises
    ------
    ValueError
        If there are not as many elevations as stations, or one is not finite.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci
    >>> [type(drift_kriging(Fibonacci(n), np.zeros(n))).__name__ for n in (2000, 2001)]
    ['DriftKriging', 'LocalDriftKriging']
    """
    kind = DriftKriging if sampling.num_vertices <= MOST_STATIONS else LocalDriftKriging
    return kind(sampling, elevation, usable)


def _check_elevation(elevation: np.ndarray, number: int) -> None:
    """Raise unless there is a finite one for each station."""
    if len(elevation) != number:
        raise ValueError(
            f"elevation must be one for each of {number} stations, got {len(elevation)}"
        )
    unknown = int((~np.isfinite(elevation)).sum())
    if unknown:
        raise ValueError(
            f"elevation must be finite, got {unknown} that are not; known_elevations fills them"
        )


def _with_own(values: np.ndarray, observed: np.ndarray, told: np.ndarray) -> np.ndarray:
    """What is told, but the values themselves where they are observed."""
    return np.where(observed & ~np.isnan(values), values, told).astype(values.dtype)


def _decayed(cosine: np.ndarray) -> np.ndarray:
    """What two stations share beside the drift, from the cosine of the angle between them."""
    return np.exp(-np.arccos(np.clip(cosine, -1.0, 1.0)) / _SCALE)


def _drift(points: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Columns of the drift, times the deviation of their coefficients."""
    sine, level = points[:, 2], np.ones(len(points))
    columns = np.stack([level, sine, sine**2, elevation], axis=1)
    return columns * np.sqrt(_DRIFT_VARIANCE)
