"""What the nearest other stations of a day tell of a station."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.drift_kriging import DriftKriging, LocalDriftKriging
from deepsphere.data.nearest_observed import NearestObserved
from deepsphere.data.station_interpolation import Weighing, inverse_distance
from deepsphere.sampling import Sampling

# Distances, in radian, are told apart from zero down to here: 6 m on the Earth.
_SMALLEST_DISTANCE = 1e-6


@dataclass(frozen=True, eq=False)
class OthersTold:
    """What other stations tell, sample by sample.

    Attributes
    ----------
    values
        Their mean, weighted by distance, or what kriging makes of them; NaN where nobody was asked
        or nobody reports.
    spread
        How far they lie apart on the last day, as a standard deviation with the same weights; NaN
        as above.
    log_distance
        Logarithm of the distance to the nearest of them in radian; NaN as above.
    elevation
        Their mean elevation with the same weights; NaN as above.
    """

    values: Float[np.ndarray, "batch days stations variables"]
    spread: Float[np.ndarray, "batch stations variables"]
    log_distance: Float[np.ndarray, "batch stations"]
    elevation: Float[np.ndarray, "batch stations"]


@dataclass(frozen=True, eq=False)
class StationNeighbors:
    """Asks the nearest other stations that report, weighted by distance as `inverse_distance`.

    Parameters
    ----------
    sampling
        The stations.
    elevation
        Of each, in any unit, finite.
    num_neighbors, power
        As of `inverse_distance`.
    kriging
        What makes values of those of all stations, in place of the nearest; None for none.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> neighbors = StationNeighbors(Scattered([0, 1, 3], [0, 0, 0]), np.zeros(3))
    >>> history = np.array([1.0, np.nan, 4.0]).reshape(1, 1, 3, 1)
    >>> told = neighbors.ask(history, everybody=True)
    >>> told.values.ravel()
    array([4. , 1.6, 1. ])
    """

    sampling: Sampling
    elevation: Float[np.ndarray, "stations"]
    num_neighbors: int = 8
    power: float = 2.0
    kriging: DriftKriging | LocalDriftKriging | None = None

    @cached_property
    def _nearest(self) -> NearestObserved:
        """Finds them."""
        return NearestObserved(self.sampling, self.num_neighbors)

    @cached_property
    def _weigh(self) -> Weighing:
        """Weights of neighbors, up to a factor."""
        return inverse_distance(self.sampling, power=self.power).weigh

    def ask(
        self,
        history: Float[np.ndarray, "batch days stations variables"],
        *,
        everybody: bool = False,
        asked: Bool[np.ndarray, "batch stations"] | None = None,
    ) -> OthersTold:
        """What others tell of the stations that are silent, or of all.

        Parameters
        ----------
        history
            Without gaps: a station has values on all days, or on none, of each variable.
        everybody
            Whether stations that report are asked about too.
        asked
            Which stations are asked about, where not all that are silent.

        Returns
        -------
        OthersTold
            Distance and elevation are those of the stations that report the first variable.
        """
        told = OthersTold(
            values=np.full_like(history, np.nan),
            spread=np.full_like(history[:, -1], np.nan),
            log_distance=np.full_like(history[:, -1, :, 0], np.nan),
            elevation=np.full_like(history[:, -1, :, 0], np.nan),
        )
        for variable in range(history.shape[-1]):
            observed = ~np.isnan(history[:, -1, :, variable])
            wanted = np.ones_like(observed) if everybody else ~observed
            wanted = wanted if asked is None else wanted & asked
            for sample, station, near, distance in self._nearest.chunks(observed, asked=wanted):
                there = np.isfinite(distance)
                some = there.any(axis=1)
                sample, station, near = sample[some], station[some], near[some]
                distance, there = distance[some], there[some]
                weights = self._weigh(station, near, distance)
                weights /= weights.sum(axis=1, keepdims=True)
                values = history[sample[:, None], :, near, variable]  # pairs, neighbors, days
                values = np.where(there[..., None], values, 0.0)
                means = np.einsum("pn,pnd->pd", weights, values)
                told.values[sample, :, station, variable] = means
                squares = np.square(values[..., -1] - means[:, -1:])
                told.spread[sample, station, variable] = np.sqrt((weights * squares).sum(axis=1))
                if variable == 0:
                    nearest = np.maximum(distance[:, 0], _SMALLEST_DISTANCE)
                    told.log_distance[sample, station] = np.log(nearest)
                    elevation = (weights * self.elevation[near]).sum(axis=1)
                    told.elevation[sample, station] = elevation
            if self.kriging is not None:
                days = history[..., variable]
                told.values[..., variable] = self.kriging.of_others(days, ~np.isnan(days))
        return told
