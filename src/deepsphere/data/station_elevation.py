"""Temperature falls with elevation: interpolation of what stations would measure at sea level."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.nearest_observed import NearestObserved
from deepsphere.data.station_interpolation import (
    StationInterpolation,
    observed_days,
)
from deepsphere.sampling import Sampling

_NUM_NEIGHBORS = 8
# Neighbors farther away than 300 km differ by climate more than by elevation.
_REACH = 300 / 6371
# Pairs that differ by less say nothing about the effect of elevation.
_LEAST_DIFFERENCE_M = 30.0
# Pairs that a rate needs; with fewer there is none, which is 0.
_LEAST_PAIRS = 10
_MOST_DAYS = 400


@dataclass(frozen=True, eq=False)
class ElevationInterpolation:
    """Interpolation of values less a rate times the elevation, which is added afterwards.

    Parameters
    ----------
    interpolation
        Of what is left.
    elevation_m
        Of the stations, in meters; for those that are unknown see `known_elevations`.
    rate_per_m
        Units of the values per meter; that of temperature is about −0.0065 °C/m. See
        `fit_lapse_rate`.

    Raises
    ------
    ValueError
        If an elevation or the rate is not finite.

    Examples
    --------
    >>> from deepsphere.data.station_interpolation import nearest_station
    >>> from deepsphere.sampling import Scattered
    >>> nearest = nearest_station(Scattered([0, 1], [0, 0]))
    >>> upward = ElevationInterpolation(nearest, np.array([0.0, 1000.0]), -0.0065)
    >>> upward(np.array([20.0, np.nan]), np.array([True, False]))
    array([20. , 13.5])
    """

    interpolation: StationInterpolation
    elevation_m: Float[np.ndarray, "stations"]
    rate_per_m: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        unknown = np.count_nonzero(~np.isfinite(self.elevation_m))
        if unknown:
            raise ValueError(
                f"elevation_m must be finite, got {unknown} that are not; complete them by "
                "known_elevations"
            )
        if not np.isfinite(self.rate_per_m):
            raise ValueError(f"rate_per_m must be finite, got {self.rate_per_m}")

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        days, known = observed_days(values, observed, num_stations=len(self.elevation_m))
        effect = self.rate_per_m * self.elevation_m
        completed = self.interpolation(days - effect, known) + effect
        return np.where(known, days, completed).reshape(values.shape).astype(values.dtype)


def known_elevations(
    elevation_m: Float[np.ndarray, "stations"], sampling: Sampling
) -> Float[np.ndarray, "stations"]:
    """Elevations, those that are unknown taken from the nearest station at which they are known.

    Parameters
    ----------
    elevation_m
        Of the stations; NaN where unknown.
    sampling
        The stations.

    Returns
    -------
    Float[np.ndarray, "stations"]
        Zeros if none is known.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> known_elevations(np.array([400.0, np.nan, 10.0]), Scattered([8, 9, 2], [47, 47, 50]))
    array([400., 400.,  10.])
    """
    elevations = np.asarray(elevation_m, np.float64)
    known = np.isfinite(elevations)
    if not known.any():
        return np.zeros(len(elevations))
    completed = np.where(known, elevations, 0.0)
    for _, station, neighbors, _ in NearestObserved(sampling, 1).chunks(known[None]):
        completed[station] = elevations[neighbors[:, 0]]
    return completed


def fit_lapse_rate(
    sampling: Sampling,
    values: Float[np.ndarray, "days stations"],
    elevation_m: Float[np.ndarray, "stations"],
) -> float:
    """How much a quantity changes with elevation, from neighbors on the same day.

    The rate r that makes the sum of |v − w − r (z − y)| over neighbors with values v and w and
    elevations z and y least: a weighted median of slopes, which outliers do not move. Pairs weigh
    less the farther apart they are.

    Parameters
    ----------
    sampling
        The stations.
    values
        On the days that are learned from, and no others; NaN where missing.
    elevation_m
        Of the stations in meters; those that are unknown do not count.

    Returns
    -------
    float
        In units of the values per meter; 0 where fewer than ten pairs of neighbors within 300 km
        differ by 30 m or more.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> elevation = np.arange(12) * 100.0
    >>> values = 15 - 0.0065 * elevation[None]
    >>> round(fit_lapse_rate(Scattered(np.arange(12) / 10, np.zeros(12)), values, elevation), 6)
    -0.0065
    """
    num_stations = sampling.num_vertices
    if values.shape[1] != num_stations or elevation_m.shape != (num_stations,):
        raise ValueError(
            f"values and elevation_m must be of {num_stations} stations, got shapes "
            f"{values.shape} and {elevation_m.shape}"
        )
    first, second, arcs = _neighbor_pairs(sampling)
    rise = elevation_m[first] - elevation_m[second]
    useful = np.abs(rise) >= _LEAST_DIFFERENCE_M  # False for NaN
    if np.count_nonzero(useful) < _LEAST_PAIRS:
        return 0.0
    first, second, arcs, rise = first[useful], second[useful], arcs[useful], rise[useful]
    days = np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_DAYS)).astype(np.int64))
    chosen = np.asarray(values[days], np.float64)
    slopes = ((chosen[:, first] - chosen[:, second]) / rise).ravel()
    # the noise of a difference grows with the distance, not below that of the instruments
    weights = np.tile(np.abs(rise) / np.sqrt(arcs + _REACH / 10), len(days))
    known = np.isfinite(slopes)
    if not known.any():
        return 0.0
    return _weighted_median(slopes[known], weights[known])


def _neighbor_pairs(sampling: Sampling) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of near neighbors, each once, and how far apart they are."""
    num_stations = sampling.num_vertices
    if num_stations < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    width = min(_NUM_NEIGHBORS, num_stations - 1)
    neighbors, arcs = NearestObserved(sampling, width).of_all()
    rows = np.repeat(np.arange(num_stations), width)
    columns, arcs = neighbors.ravel(), arcs.ravel()
    near = arcs <= _REACH
    low, high = np.minimum(rows, columns)[near], np.maximum(rows, columns)[near]
    _, once = np.unique(low * num_stations + high, return_index=True)
    return low[once], high[once], arcs[near][once]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below and above which half of the weight lies."""
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, passed[-1] / 2)])
