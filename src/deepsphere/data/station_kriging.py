"""Kriging: the best linear interpolation for a covariance that is measured on past days."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import lu_factor, lu_solve
from scipy.optimize import least_squares

from deepsphere.data.station_interpolation import (
    LocalInterpolation,
    observed_days,
    same_masks,
)
from deepsphere.sampling import Sampling

# Relative variance that is added on the diagonal: stations at the same place stay solvable.
_JITTER = 1e-10
_NUM_BINS = 24
_LARGEST_SCALE = 20.0
# Pairs of stations from which a variogram is measured, and days; more do not change it.
_MOST_STATIONS = 1500
_MOST_DAYS = 400
# Great-circle distance, in radian, up to which it is measured if not said otherwise: 2,500 km.
# Beyond, the climate differs and the differences are not those of the weather.
_REACH = 2500 / 6371


@dataclass(frozen=True)
class ExponentialCovariance:
    r"""Covariance of values at two stations, decaying with the distance between them.

    .. math:: C(d) = \text{sill} \, e^{-d / \text{scale}} + \text{nugget} \, [d = 0]

    with the chord d of the unit sphere, for which it is positive definite.

    Parameters
    ----------
    sill
        Variance of what neighbors share, positive.
    scale
        Chord over which it decays to 1/e, positive.
    nugget
        Variance of what a station has alone, at least 0.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> ExponentialCovariance(4.0, 0.1, 1.0)(np.array([0.0, 0.1])).round(3)
    array([4.   , 1.472])

    References
    ----------
    Gneiting, 2013, Strictly and non-strictly positive definite functions on spheres.
    """

    sill: float
    scale: float
    nugget: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("sill", "scale"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ValueError(f"{name} must be positive and finite, got {value}")
        if not 0 <= self.nugget < np.inf:
            raise ValueError(f"nugget must be at least 0 and finite, got {self.nugget}")

    def __call__(self, chords: Float[np.ndarray, "*pairs"]) -> Float[np.ndarray, "*pairs"]:
        """What two stations share, without the nugget."""
        return self.sill * np.exp(-chords / self.scale)


def fit_covariance(
    sampling: Sampling,
    values: Float[np.ndarray, "days stations"],
    *,
    reach: float = _REACH,
) -> ExponentialCovariance:
    """The covariance whose variogram is that of the values, by weighted least squares.

    The variogram is half the mean square of the difference of two stations on the same day, in
    bins of their distance; a bin weighs as its number of pairs over the square of the variogram.

    Parameters
    ----------
    sampling
        The stations.
    values
        One quantity on the days that are learned from, and no others; NaN where missing.
    reach
        Great-circle distance in radian up to which pairs count.

    Returns
    -------
    ExponentialCovariance

    Raises
    ------
    ValueError
        If no two stations within reach were ever observed on the same day.

    Examples
    --------
    >>> from deepsphere.sampling import RandomUniform
    >>> stations = RandomUniform(60)
    >>> waves = np.sin(3 * stations.points @ np.random.default_rng(0).normal(size=(3, 50)))
    >>> bool(fit_covariance(stations, waves.T).scale > 0.1)
    True

    References
    ----------
    Cressie, 1985, Fitting variogram models by weighted least squares.
    """
    chords, halves, counts = _variogram(sampling, values, reach)
    if not len(chords):
        raise ValueError(
            "values must hold two stations within reach on one day, got none; give more days, or "
            "a larger reach"
        )
    level = float(np.average(halves, weights=counts))
    if level == 0:
        # values that do not vary: any weights that sum to 1 meet them
        return ExponentialCovariance(1.0, _LARGEST_SCALE)

    def residuals(logs: np.ndarray) -> np.ndarray:
        sill, scale, nugget = np.exp(logs)
        model = nugget + sill * (1 - np.exp(-chords / scale))
        return np.sqrt(counts / counts.sum()) * (halves / model - 1)

    # at the largest scale the variogram is a straight line over the whole sphere
    least = np.log([1e-3 * level, 1e-4, 1e-6 * level])
    most = np.log([1e4 * level, _LARGEST_SCALE, 10 * level])
    start = np.log([level, 0.3 * chords.max() + 1e-3, 0.1 * level])
    found = least_squares(
        residuals, np.clip(start, least + 1e-6, most - 1e-6), bounds=(least, most)
    )
    sill, scale, nugget = np.exp(found.x).tolist()
    return ExponentialCovariance(sill, scale, nugget)


def local_kriging(
    sampling: Sampling, covariance: ExponentialCovariance, *, num_neighbors: int = 16
) -> LocalInterpolation:
    """Ordinary kriging from the nearest stations that are observed.

    The weights that sum to 1 and have the least expected squared error. For any number of stations.

    Parameters
    ----------
    sampling
        The stations.
    covariance
        Of the quantity, see `fit_covariance`.
    num_neighbors
        How many of them, or all if there are fewer.

    Returns
    -------
    LocalInterpolation

    Raises
    ------
    ValueError
        If the number is below 1.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> values = np.array([1.0, np.nan, 3.0])
    >>> kriging = local_kriging(Scattered([0, 1, 2], [0, 0, 0]), ExponentialCovariance(1.0, 0.1))
    >>> kriging(values, ~np.isnan(values)).round(6)
    array([1., 2., 3.])

    References
    ----------
    Cressie, 1993, Statistics for spatial data, section 3.2.
    """
    weigh = partial(_kriging_weights, points=sampling.points, covariance=covariance)
    return LocalInterpolation(sampling, num_neighbors, weigh)


@dataclass(frozen=True)
class Kriging:
    """Ordinary kriging from all stations that are observed, for up to a few thousand of them.

    Days that are observed at the same stations share one system of equations; each other mask
    takes one, of a time that grows with the third power of the number of stations. For many, see
    `local_kriging`.

    Parameters
    ----------
    sampling
        The stations.
    covariance
        Of the quantity, see `fit_covariance`.

    Examples
    --------
    >>> from deepsphere.sampling import Scattered
    >>> values = np.array([1.0, np.nan, 3.0])
    >>> kriging = Kriging(Scattered([0, 1, 2], [0, 0, 0]), ExponentialCovariance(1.0, 0.1))
    >>> kriging(values, ~np.isnan(values)).round(6)
    array([1., 2., 3.])
    """

    sampling: Sampling
    covariance: ExponentialCovariance

    def __call__(
        self,
        values: Float[np.ndarray, "*batch stations"],
        observed: Bool[np.ndarray, "*batch stations"],
    ) -> Float[np.ndarray, "*batch stations"]:
        """Values at all stations, see `StationInterpolation`."""
        days, known = observed_days(values, observed, num_stations=self.sampling.num_vertices)
        filled = np.where(known, days, np.nan)
        shared = self.covariance(_chords(self.sampling.points, self.sampling.points))
        own = self.covariance.nugget + _JITTER * self.covariance.sill
        for mask, chosen in same_masks(known):
            if mask.all() or not mask.any():
                continue
            size = np.count_nonzero(mask)
            system = np.ones((size + 1, size + 1))
            system[:size, :size] = shared[np.ix_(mask, mask)]
            system[range(size), range(size)] += own
            system[size, size] = 0
            right = np.vstack([filled[chosen][:, mask].T, np.zeros(len(chosen))])
            # of the dual form: one solution per day, whatever the number of silent stations
            duals = lu_solve(lu_factor(system), right)
            at_silent = shared[np.ix_(~mask, mask)] @ duals[:size] + duals[size]
            filled[np.ix_(chosen, ~mask)] = at_silent.T
        return filled.reshape(values.shape).astype(values.dtype)


def _kriging_weights(
    stations: np.ndarray,
    neighbors: np.ndarray,
    distances: np.ndarray,
    *,
    points: np.ndarray,
    covariance: ExponentialCovariance,
) -> np.ndarray:
    """Weights of ordinary kriging, one small system per pair of a day and a station."""
    num_pairs, width = neighbors.shape
    there = np.isfinite(distances)
    near = points[neighbors]
    system = np.zeros((num_pairs, width + 1, width + 1))
    both = there[:, :, None] & there[:, None, :]
    shared = covariance(_chords(near, near))
    system[:, :width, :width] = np.where(both, shared, 0.0) / covariance.sill
    diagonal = np.arange(width)
    # where there is no neighbor, an equation of its own gives the weight 0
    system[:, diagonal, diagonal] += np.where(
        there, covariance.nugget / covariance.sill + _JITTER, 1.0
    )
    system[:, :width, width] = system[:, width, :width] = there
    right = np.ones((num_pairs, width + 1, 1))
    to_station = covariance(2 * np.sin(np.where(there, distances, 0.0) / 2)) / covariance.sill
    right[:, :width, 0] = np.where(there, to_station, 0.0)
    return np.linalg.solve(system, right)[:, :width, 0]


def _chords(
    first: Float[np.ndarray, "*batch n 3"], second: Float[np.ndarray, "*batch m 3"]
) -> Float[np.ndarray, "*batch n m"]:
    """Chords between all pairs of points, exactly 0 for one and itself."""
    difference = first[..., :, None, :] - second[..., None, :, :]
    return np.sqrt(np.einsum("...d,...d->...", difference, difference))


def _variogram(
    sampling: Sampling, values: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean chord, half mean squared difference and number of pairs of each bin of distance."""
    generator = np.random.default_rng(0)
    num_days = len(values)
    stations = np.flatnonzero(np.isfinite(values).any(axis=0))
    if len(stations) > _MOST_STATIONS:
        stations = np.sort(generator.permutation(stations)[:_MOST_STATIONS])
    days = np.unique(np.linspace(0, num_days - 1, min(num_days, _MOST_DAYS)).astype(np.int64))
    chosen = np.asarray(values[np.ix_(days, stations)], np.float64)
    points = sampling.points[stations]
    known = np.isfinite(chosen).astype(np.float64)
    centred = np.where(known > 0, chosen - np.nanmean(chosen), 0.0) if known.any() else chosen * 0
    # of the sums over days of (x − y)² only products of matrices are needed
    squares = (centred**2).T @ known
    sums = squares + squares.T - 2 * centred.T @ centred
    counts = known.T @ known
    first, second = np.triu_indices(len(stations), 1)
    chords = np.sqrt(np.maximum(2 - 2 * points @ points.T, 0.0))[first, second]
    near = (chords <= 2 * np.sin(min(reach, np.pi) / 2)) & (counts[first, second] > 0)
    chords, sums, counts = chords[near], sums[first, second][near], counts[first, second][near]
    order = np.argsort(chords)
    bins = np.array_split(order, min(_NUM_BINS, max(1, len(order))))
    bins = [index for index in bins if len(index)]
    weight = np.array([counts[index].sum() for index in bins])
    half = np.array([sums[index].sum() / 2 for index in bins])
    middle = np.array([(chords[index] * counts[index]).sum() for index in bins])
    return middle / weight, np.maximum(half / weight, 0.0), weight
