"""What is usual at each station at each time of the year, as a few harmonics.

So few numbers that a checkpoint holds them and other stations take them from their neighbors: this
is a feature of networks. The baseline, where neither matters, has a mean for each date: it is
`deepsphere.data.station_baselines.station_climatology`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import KDTree

from deepsphere.data.calendars import Times, year_fractions
from deepsphere.data.station_records import StationRecords
from deepsphere.sampling import Sampling, sampling_from_spec
from deepsphere.sampling.encoding import decode_array, encode_array

NUM_HARMONICS = 2
# Days that speak for the mean of all stations, and for no seasons, before any is observed: a
# station that reports for less than a year so has seasons that do not run wild outside of it.
_PRIOR_DAYS = (0.1, 5.0)
_NUM_NEIGHBORS = 8
# Chords; closer stations are at the same place.
_SAME_PLACE = 1e-9


@dataclass(frozen=True, eq=False)
class StationClimatology:
    """The smooth seasons of variables at stations: a mean, and harmonics of the year.

    `fit_climatology` makes it. At stations that it does not know, it is the mean of that of the
    nearest ones that it knows, weighted by inverse squared distance.

    Parameters
    ----------
    sampling
        The stations.
    coefficients
        Of 1, and of cos and sin of once, twice, ... the angle of the year, in the units of the
        variables.
    """

    sampling: Sampling
    coefficients: Float[np.ndarray, "stations variables coefficients"]

    def at(self, times: Times) -> Float[np.ndarray, "times stations variables"]:
        """What is usual at some times.

        Parameters
        ----------
        times
            datetime64 or cftime.

        Returns
        -------
        Float[np.ndarray, "times stations variables"]
            float32.
        """
        return np.einsum("tc,nvc->tnv", _basis(times).astype(np.float32), self.coefficients)

    def on(self, sampling: Sampling) -> "StationClimatology":
        """The climatology of other stations.

        Parameters
        ----------
        sampling
            Where they are.

        Returns
        -------
        StationClimatology
            Its own at places that it knows.
        """
        if sampling == self.sampling:
            return self
        found = _of_nearest(sampling.points, self.sampling.points, self.coefficients)
        return StationClimatology(sampling, found)

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint; the arrays as compressed text."""
        return {
            "sampling": self.sampling.spec,
            "shape": list(self.coefficients.shape),
            "coefficients": encode_array(self.coefficients.ravel()),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "StationClimatology":
        """The climatology that `values` describes.

        Parameters
        ----------
        values
            Plain values.

        Returns
        -------
        StationClimatology
        """
        flat = decode_array(values["coefficients"], np.float32)
        return cls(sampling_from_spec(values["sampling"]), flat.reshape(values["shape"]))


def fit_climatology(
    records: StationRecords, *, known: Bool[np.ndarray, "stations"] | None = None
) -> StationClimatology:
    """The climatology of records, by least squares with a weak prior of no seasons.

    Parameters
    ----------
    records
        Of the training alone.
    known
        Stations that may be looked at; None for all. The others, and those that never report, take
        that of their neighbors.

    Returns
    -------
    StationClimatology

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2019-01-01", "2021-01-01", dtype="datetime64[D]")
    >>> seasons = -np.cos(2 * np.pi * year_fractions(days))
    >>> records = station_records([8.5, 20.0], [47.4, -30.0], 10 + seasons[:, None] * [8, -4], days)
    >>> fit_climatology(records).at(days[[0, 182]])[..., 0].round(0)
    array([[ 2., 14.],
           [18.,  6.]], dtype=float32)
    """
    basis = _basis(records.times)
    size = basis.shape[1]
    products = np.einsum("tc,td->tcd", basis, basis).reshape(len(basis), -1)
    prior = np.diag([_PRIOR_DAYS[0]] + [_PRIOR_DAYS[1]] * (size - 1))
    shape = (records.num_stations, records.num_channels, size)
    coefficients = np.zeros(shape, np.float32)
    for index in range(records.num_channels):
        column = records.values[..., index].astype(np.float64)
        observed = ~np.isnan(column)
        if known is not None:
            observed = observed & known
        center = float(column[observed].mean()) if observed.any() else 0.0
        matrices = (observed.T.astype(np.float64) @ products).reshape(-1, size, size) + prior
        sums = np.where(observed, column - center, 0.0).T @ basis
        found = np.linalg.solve(matrices, sums[..., None])[..., 0]
        found[:, 0] += center
        reports = observed.any(axis=0)
        if reports.any() and not reports.all():
            points = records.sampling.points
            found[~reports] = _of_nearest(points[~reports], points[reports], found[reports])
        coefficients[:, index] = found
    return StationClimatology(records.sampling, coefficients)


def _basis(times: Times) -> Float[np.ndarray, "times coefficients"]:
    """1, and cos and sin of multiples of the angle of the year."""
    angle = 2 * np.pi * year_fractions(times)
    columns = [np.ones_like(angle)]
    for number in range(1, NUM_HARMONICS + 1):
        columns += [np.cos(number * angle), np.sin(number * angle)]
    return np.stack(columns, axis=1)


def _of_nearest(points: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at points from those at known ones; the same at the same place."""
    number = min(_NUM_NEIGHBORS, len(known))
    nearest: Any = range(1, number + 1)  # a list, so that there is an axis of neighbors
    distances, index = KDTree(known).query(points, k=nearest)
    same = distances < _SAME_PLACE
    weights = np.where(same.any(axis=1, keepdims=True), same, 1 / np.maximum(distances, 1e-30) ** 2)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.einsum("pn,pn...->p...", weights, values[index]).astype(values.dtype)
