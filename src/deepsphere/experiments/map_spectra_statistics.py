"""Spectra and moments of many maps, class by class, with what their scatter allows to say."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

# Percentiles between which two of three maps lie.
_BAND = (16, 84)


def degree_bins(
    lowest: int, highest: int, *, width: int = 10, relative_width: float | int = 0.05
) -> Int[np.ndarray, "edges"]:
    """First degrees of consecutive bins, and the degree after the last bin.

    A bin from degree l on has max(width, relative_width · l) degrees. What is left of the last one
    is a bin if it is at least half of one, else it belongs to the bin before.

    Parameters
    ----------
    lowest, highest
        The first and the last degree, both inside.
    width
        Degrees in a bin, at least 1.
    relative_width
        The same as a part of its first degree, not negative.

    Returns
    -------
    Int[np.ndarray, "edges"]
        Increasing, one more than there are bins.

    Raises
    ------
    ValueError
        If the last degree is below the first.

    Examples
    --------
    >>> degree_bins(20, 64).tolist()
    [20, 30, 40, 50, 60, 65]
    >>> degree_bins(20, 63).tolist()
    [20, 30, 40, 50, 64]
    """
    if highest < lowest:
        raise ValueError(f"highest must be at least lowest ({lowest}), got {highest}")
    edges = [lowest]
    size = width
    while edges[-1] <= highest:
        size = max(width, round(relative_width * edges[-1]))
        edges.append(min(edges[-1] + size, highest + 1))
    if len(edges) > 2 and 2 * (edges[-1] - edges[-2]) < size:
        del edges[-2]
    return np.array(edges)


def band_powers(
    spectra: Float[np.ndarray, "*batch degrees"], edges: Int[np.ndarray, "edges"]
) -> Float[np.ndarray, "*batch bins"]:
    """Means of C_l over bins of degrees, each degree counted 2l + 1 times.

    Parameters
    ----------
    spectra
        C_l from degree 0 on.
    edges
        See `degree_bins`; the last is at most the number of degrees.

    Returns
    -------
    Float[np.ndarray, "*batch bins"]

    Examples
    --------
    >>> band_powers(np.ones(40), np.array([2, 10, 40])).tolist()
    [1.0, 1.0]
    """
    weights = 2 * np.arange(spectra.shape[-1]) + 1
    starts = edges[:-1]
    weighted = (spectra * weights)[..., : edges[-1]]
    return np.add.reduceat(weighted, starts, axis=-1) / np.add.reduceat(
        weights[: edges[-1]], starts
    )


@dataclass(frozen=True, eq=False)
class MapStatistics:
    """What is kept of one map, or with one more axis in front, of many.

    Parameters
    ----------
    spectra
        C_l of all pairs of channels: (0, 0), (0, 1), …, (1, 1), ….
    moments
        Mean, and second and third central moment, of the pixels of each channel.
    counts
        Pixels of the first channel between edges that are the same for all maps.
    """

    spectra: Float[np.ndarray, "*maps pairs degrees"]
    moments: Float[np.ndarray, "*maps channels 3"]
    counts: Int[np.ndarray, "*maps pixel_bins"]


@dataclass(frozen=True, eq=False)
class Scattered:
    """A mean over maps, and the standard error that their scatter gives it.

    Parameters
    ----------
    mean, error
        Of one shape.
    """

    mean: Float[np.ndarray, "..."]
    error: Float[np.ndarray, "..."]

    @classmethod
    def of_maps(cls, values: Float[np.ndarray, "maps *shape"]) -> "Scattered":
        """Mean and standard error over the first axis, of length 2 at least."""
        error = values.std(axis=0, ddof=1) / len(values) ** 0.5
        return cls(values.mean(axis=0), error)

    def __truediv__(self, known: Float[np.ndarray, "..."]) -> "Scattered":
        """Mean and error in units of something known."""
        return Scattered(self.mean / known, self.error / np.abs(known))

    def __sub__(self, known: Float[np.ndarray, "..."]) -> "Scattered":
        """The mean less something known."""
        return Scattered(self.mean - known, self.error)

    def largest(self) -> tuple[float, float, tuple[int, ...]]:
        """The mean of largest magnitude, its error, and where it is."""
        place = np.unravel_index(np.abs(self.mean).argmax(), self.mean.shape)
        where = tuple(int(index) for index in place)
        return float(self.mean[where]), float(self.error[where]), where

    def reduced_chi_square(self) -> float:
        """Mean of the squares in units of the error: 1 where nothing but scatter is seen."""
        return float(np.mean((self.mean / self.error) ** 2))


def auto_powers(
    powers: Float[np.ndarray, "*batch pairs bins"], num_channels: int
) -> Float[np.ndarray, "*batch pairs bins"]:
    """For each pair of channels, the geometric mean of the powers of both: its scale.

    Parameters
    ----------
    powers
        Of the pairs (0, 0), (0, 1), …, (1, 1), ….
    num_channels
        How many channels make these pairs.

    Returns
    -------
    Float[np.ndarray, "*batch pairs bins"]

    Examples
    --------
    >>> auto_powers(np.array([[4.0], [0.5], [9.0]]), 2).ravel().tolist()
    [4.0, 6.0, 9.0]
    """
    first, second = np.triu_indices(num_channels)
    autos = np.flatnonzero(first == second)
    return np.sqrt(powers[..., autos[first], :] * powers[..., autos[second], :])


def difference_of_classes(powers: Scattered, scale: Float[np.ndarray, "pairs bins"]) -> Scattered:
    """The largest difference between two classes, bin by bin.

    Parameters
    ----------
    powers
        Of shape (classes, pairs, bins), two classes at least.
    scale
        In units of what.

    Returns
    -------
    Scattered
        Of shape (pairs, bins). Of two classes that of the first less that of the second, of more
        the largest less the smallest.
    """
    if len(powers.mean) == 2:
        high, low = np.zeros(scale.shape, np.int64), np.ones(scale.shape, np.int64)
    else:
        high, low = powers.mean.argmax(axis=0), powers.mean.argmin(axis=0)

    def taken(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, classes[None], axis=0)[0]

    difference = taken(powers.mean, high) - taken(powers.mean, low)
    error = np.hypot(taken(powers.error, high), taken(powers.error, low))
    return Scattered(difference, error) / scale


def scatter_band(
    values: Float[np.ndarray, "maps *shape"],
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """The 16th and 84th percentile over the maps.

    Parameters
    ----------
    values
        One for each map.

    Returns
    -------
    low, high : ndarray
    """
    low, high = np.percentile(values, _BAND, axis=0)
    return low, high


def pooled_moments(moments: Float[np.ndarray, "maps channels 3"]) -> Scattered:
    """Mean, standard deviation and skewness of the pixels of all maps together.

    Errors are those of the jackknife: what they scatter by if one map after the other is left out.

    Parameters
    ----------
    moments
        Mean, and second and third central moment, of each map; two maps at least.

    Returns
    -------
    Scattered
        Of shape (channels, 3).

    References
    ----------
    Efron, "The jackknife, the bootstrap and other resampling plans", SIAM (1982), chapter 3.
    """
    num = len(moments)
    others = ~np.eye(num, dtype=bool)
    left_out = np.array([_pooled(moments[kept]) for kept in others])
    spread = np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0)
    return Scattered(_pooled(moments), np.sqrt((num - 1) / num * spread))


def central_moments(signal: Float[np.ndarray, "vertices channels"]) -> np.ndarray:
    """Mean, and second and third central moment, of each channel.

    Parameters
    ----------
    signal
        One map.

    Returns
    -------
    ndarray
        float64, of shape (channels, 3).

    Examples
    --------
    >>> central_moments(np.array([[0.0], [0.0], [3.0]])).tolist()
    [[1.0, 2.0, 2.0]]
    """
    values = signal.astype(np.float64)
    mean = values.mean(axis=0)
    centered = values - mean
    return np.stack([mean, (centered**2).mean(axis=0), (centered**3).mean(axis=0)], axis=-1)


def lognormal_density(
    values: Float[np.ndarray, "values"], *, variance: float, shift: float
) -> Float[np.ndarray, "values"]:
    """Density of a lognormal variable of zero mean, λ (exp(g − s²/2) − 1), g normal of variance s².

    Parameters
    ----------
    values
        Where.
    variance
        σ² of the variable, positive; s² = ln(1 + σ² / λ²).
    shift
        λ, positive; there is nothing below −λ.

    Returns
    -------
    Float[np.ndarray, "values"]

    Examples
    --------
    >>> lognormal_density(np.array([-2.0, 0.0]), variance=1.0, shift=1.0).round(3).tolist()
    [0.0, 0.439]
    """
    spread = np.log1p(variance / shift**2)
    inside = values > -shift
    above = values[inside] + shift
    exponent = (np.log(above / shift) + spread / 2) ** 2 / (2 * spread)
    density = np.zeros(len(values))
    density[inside] = np.exp(-exponent) / (above * np.sqrt(2 * np.pi * spread))
    return density


def _pooled(moments: Float[np.ndarray, "maps channels 3"]) -> np.ndarray:
    """Mean, standard deviation and skewness of all pixels, from the moments of the maps."""
    means, second, third = np.moveaxis(moments, -1, 0)
    mean = means.mean(axis=0)
    off = means - mean
    variance = (second + off**2).mean(axis=0)
    skewed = (third + 3 * second * off + off**3).mean(axis=0)
    return np.stack([mean, np.sqrt(variance), skewed / variance**1.5], axis=-1)
