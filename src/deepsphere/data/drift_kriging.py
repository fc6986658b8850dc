"""Kriging with a drift: from all stations that report, each also as if it did not."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.station_interpolation import observed_days
from deepsphere.sampling import Sampling

# Great-circle distance, in radian, over which two stations become strangers: 4,000 km, so large
# that over the distances of neighbors the variogram is a straight line.
_SCALE = 4000 / 6371
# Variance of what a station has alone, in units of what neighbors share.
_NUGGET = 0.01
# Variance of the coefficients of the drift in the same units: so large that they are free.
_DRIFT_VARIANCE = 100.0
# One inverse of as many stations, and a matrix of their pairs in memory.
MOST_STATIONS = 2000


@dataclass(frozen=True, eq=False)
class DriftKriging:
    r"""Values from all stations that report, under a drift with latitude and elevation.

    Values are taken to be :math:`\beta_0 + \beta_1 \sin\varphi + \beta_2 \sin^2\varphi + \beta_3 z`
    plus something whose covariance decays as :math:`e^{-d/L}` with the distance d, L = 4,000 km.
    Nothing is fitted to past days: one day tells all.

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
        If there are too many stations, or not as many elevations.

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
                f" got {number}; interpolate from the nearest (inverse_distance, local_kriging)"
            )
        if len(self.elevation) != number:
            raise ValueError(
                f"elevation must be one for each of {number} stations, got {len(self.elevation)}"
            )

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        told = self.of_others(values, observed)
        known = observed & ~np.isnan(values)
        return np.where(known, values, told).astype(values.dtype)

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
        right = values[places[seen]] - center
        # the precision of those that report, by Schur's complement of the silent ones
        cross = precision[np.ix_(silent, seen)]
        reduced = np.linalg.solve(precision[np.ix_(silent, silent)], cross)
        dual = precision[np.ix_(seen, seen)] @ right - cross.T @ (reduced @ right)
        own = precision[seen, seen] - np.einsum("ij,ij->j", cross, reduced)
        told = covariance[:, places[seen]] @ dual + center
        told[places[seen]] = values[places[seen]] - dual / own
        if len(seen) == 1:
            told[places[seen]] = np.nan
        return told

    @cached_property
    def _matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Covariance of all pairs, the precision of those that are usable, and which they are."""
        points = self.sampling.points
        number = len(points)
        usable = np.ones(number, bool) if self.usable is None else self.usable
        sine = points[:, 2]
        drift = np.stack([np.ones(number), sine, sine**2, self.elevation], axis=1)
        angles = np.arccos(np.clip(points @ points.T, -1, 1))
        covariance = np.exp(-angles / _SCALE) + _DRIFT_VARIANCE * drift @ drift.T
        places = np.flatnonzero(usable)
        matrix = covariance[np.ix_(places, places)] + _NUGGET * np.eye(len(places))
        return covariance, np.linalg.inv(matrix), places
