"""Classical statistics of maps, for classifiers that are not networks."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from deepsphere.sampling import Healpix, Sampling, Subset, nested_to_ring

# Quantiles of the noisy pixels between which the bins of a histogram lie: what is farther out
# counts in the last bins.
_RANGE = (1e-4, 1 - 1e-4)


@dataclass(frozen=True)
class HistogramFeatures:
    """The histogram of the pixels of a patch, channel by channel.

    Parameters
    ----------
    edges
        Of the inner bins, shape (channels, bins - 1), increasing; the outer bins are open.

    Examples
    --------
    >>> features = HistogramFeatures(np.array([[0.0]]))
    >>> features(np.array([[-1.0], [2.0], [3.0]]))
    array([1., 2.])
    """

    edges: Float[np.ndarray, "channels edges"]

    @classmethod
    def fitted_to(
        cls, signals: Iterable[Float[np.ndarray, "vertices channels"]], *, num_bins: int
    ) -> "HistogramFeatures":
        """Bins of equal width over the range of some signals.

        Parameters
        ----------
        signals
            At least one, as noisy as those to come.
        num_bins
            At least 2.

        Returns
        -------
        HistogramFeatures

        Raises
        ------
        ValueError
            If there are fewer bins.
        """
        if num_bins < 2:
            raise ValueError(f"num_bins must be at least 2, got {num_bins}")
        pixels = np.concatenate(list(signals))
        low, high = np.quantile(pixels, _RANGE, axis=0)
        inner = np.linspace(0, 1, num_bins + 1)[1:-1]
        return cls(low[:, None] + (high - low)[:, None] * inner)

    def __call__(
        self, signal: Float[np.ndarray, "vertices channels"]
    ) -> Float[np.ndarray, "features"]:
        """Number of pixels in every bin, one channel after the other."""
        num_bins = self.edges.shape[1] + 1
        counts = [
            np.bincount(np.searchsorted(edges, pixels, side="right"), minlength=num_bins)
            for edges, pixels in zip(self.edges, signal.T, strict=True)
        ]
        return np.concatenate(counts).astype(np.float64)


@dataclass(frozen=True, eq=False)
class SpectrumFeatures:
    """The angular power spectrum of a patch of a HEALPix map, auto and cross.

    Pixels outside of the patch are taken to be zero, so that the spectrum is that of the map times
    the window of the patch (a pseudo-spectrum). Each C_l is multiplied by l (l + 1).

    Parameters
    ----------
    nside
        Of the whole map.
    pixels
        Those of the patch, in RING order, one for each vertex.
    max_degree
        Largest degree.

    References
    ----------
    Hivon et al., "MASTER of the cosmic microwave background anisotropy power spectrum", ApJ 567
    (2002), section 2.
    """

    nside: int
    pixels: Int[np.ndarray, "vertices"]
    max_degree: int

    @classmethod
    def on_sampling(cls, sampling: Sampling) -> "SpectrumFeatures":
        """The features of signals on a HEALPix sampling or a part of one.

        Parameters
        ----------
        sampling
            A `Healpix`, or a `Subset` of one.

        Returns
        -------
        SpectrumFeatures
            Up to degree 2 nside, beyond which pixels do not tell harmonics apart.

        Raises
        ------
        ValueError
            If it is another sampling.
        """
        base = sampling.base if isinstance(sampling, Subset) else sampling
        if not isinstance(base, Healpix):
            raise ValueError(
                f"sampling must be HEALPix or a part of it, got {type(sampling).__name__}; "
                "its power spectrum needs another transform"
            )
        kept = np.arange(base.num_vertices)
        if isinstance(sampling, Subset):
            kept = np.asarray(sampling.indices)
        if base.ordering == "nested":
            kept = nested_to_ring(base.nside)[kept]
        return cls(base.nside, kept, 2 * base.nside)

    def __call__(
        self, signal: Float[np.ndarray, "vertices channels"]
    ) -> Float[np.ndarray, "features"]:
        """l (l + 1) C_l of every pair of channels, one pair after the other.

        Raises
        ------
        ImportError
            If healpy is not installed.
        """
        try:
            import healpy
        except ImportError as error:
            raise ImportError(
                "power spectra of maps need healpy, which is not installed; "
                "pip install 'deepsphere-torch[cosmology]'"
            ) from error
        num_channels = signal.shape[1]
        whole = np.zeros((num_channels, 12 * self.nside**2))
        whole[:, self.pixels] = signal.T
        coefficients = [
            healpy.map2alm(channel, lmax=self.max_degree, iter=0, pol=False) for channel in whole
        ]
        degrees = np.arange(self.max_degree + 1)
        spectra = [
            degrees * (degrees + 1) * healpy.alm2cl(coefficients[first], coefficients[second])
            for first in range(num_channels)
            for second in range(first, num_channels)
        ]
        return np.concatenate(spectra)
