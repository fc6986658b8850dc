"""The harmonic transform of maps on the grid of Kostelec and Rockmore, fast and differentiable."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from deepsphere.harmonics import real_harmonics
from deepsphere.models.rivals.rounded_arrays import RoundedArrays
from deepsphere.sampling.checks import as_integer


def quadrature_weights(bandwidth: int) -> Float[np.ndarray, "rings"]:
    r"""The weights of the rings of the SOFT grid, exact below degree 2 bandwidth.

    .. math:: \int_{-1}^1 p(z) \, dz = \sum_j w_j \, p(\cos\theta_j),\quad
              w_j = \frac{2}{b} \sin\theta_j \sum_{k=0}^{b-1}
              \frac{\sin((2k + 1) \theta_j)}{2k + 1}

    for polynomials p of degree below 2b, on the 2b colatitudes
    :math:`\theta_j = \pi (j + 1/2) / (2b)`. They sum to 2; with 2b longitudes, a point of ring j
    has the area :math:`w_j \pi / b`.

    Parameters
    ----------
    bandwidth : int
        b, half the number of rings, at least 1.

    Returns
    -------
    Weights (2 bandwidth,), float64, from north to south.

    Raises
    ------
    ValueError
        If the bandwidth is not a positive integer.

    Examples
    --------
    >>> quadrature_weights(2).round(4).tolist()
    [0.2643, 0.7357, 0.7357, 0.2643]

    References
    ----------
    Driscoll and Healy (1994), Computing Fourier transforms and convolutions on the 2-sphere;
    Kostelec and Rockmore (2008), FFTs on the rotation group, whose grid lies half a step lower.
    """
    bandwidth = as_integer("bandwidth", bandwidth, at_least=1)
    colatitudes = ring_colatitudes(bandwidth)
    odd = 2 * np.arange(bandwidth) + 1
    sums = (np.sin(np.outer(colatitudes, odd)) / odd).sum(1)
    return 2 / bandwidth * np.sin(colatitudes) * sums


def ring_colatitudes(bandwidth: int) -> Float[np.ndarray, "rings"]:
    """The colatitudes of the rings of the SOFT grid, π (j + 1/2) / (2 bandwidth).

    Parameters
    ----------
    bandwidth : int

    Returns
    -------
    Colatitudes (2 bandwidth,) in radian, from north to south.
    """
    return (np.arange(2 * bandwidth) + 0.5) * (np.pi / (2 * bandwidth))


def legendre_functions(
    bandwidth: int, max_degree: int
) -> Float[np.ndarray, "orders degrees rings"]:
    """The normalized associated Legendre functions on the rings of the SOFT grid.

    P_lm(cos θ) of the harmonics P_l|m|(cos θ) exp(i m lon), which are orthonormal on the sphere,
    without the Condon-Shortley phase: from `deepsphere.harmonics.real_harmonics` on the meridian
    of longitude 0. Zero where the degree is below the order.

    Parameters
    ----------
    bandwidth : int
    max_degree : int

    Returns
    -------
    Values (max_degree + 1 orders, max_degree + 1 degrees, 2 bandwidth rings), float64.
    """
    colatitudes = ring_colatitudes(bandwidth)
    meridian = np.stack([np.sin(colatitudes), 0 * colatitudes, np.cos(colatitudes)], axis=-1)
    values = real_harmonics(meridian, max_degree)
    order, degree = np.triu_indices(max_degree + 1)
    functions = np.zeros((max_degree + 1, max_degree + 1, 2 * bandwidth))
    scale = np.where(order > 0, np.sqrt(0.5), 1.0)  # the real harmonics hold √2 where m > 0
    functions[order, degree] = scale[:, None] * values[:, degree**2 + degree + order].T
    return functions


class SphereTransform(nn.Module):
    r"""The harmonic coefficients of real maps on the SOFT grid, and the maps of coefficients.

    .. math:: a_{lm} = \int f \bar Y_{lm} = \frac{\pi}{b} \sum_{jk} w_j f_{jk}
              P_{lm}(\cos\theta_j) e^{-i m \lambda_k}, \quad
              f = \sum_{l \le L} \sum_{|m| \le l} a_{lm} Y_{lm},

    with :math:`Y_{lm} = P_{l|m|}(\cos\theta) e^{i m \lambda}`, orthonormal on the sphere, without
    the Condon-Shortley phase. Maps are real, so :math:`a_{l,-m} = \bar a_{lm}`, and only orders
    m ≥ 0 are kept. In terms of the real harmonics of `deepsphere.harmonics`, whose coefficients
    are called r, :math:`a_{l0} = r_{l0}` and :math:`a_{lm} = (r_{lm} - i r_{l,-m}) / \sqrt 2`.

    Analysis is exact for maps without degrees above ``2 bandwidth - 1 - max_degree``, synthesis
    always. The sums over longitudes and over rings are products with dense matrices, batched
    over the rings and over the orders: up to bandwidth 64 that is as fast as a fast Fourier
    transform, whose results would have to be transposed.

    Parameters
    ----------
    bandwidth : int
        b, half the number of rings and of meridians of the grid, at least 1.
    max_degree : int, optional
        Largest degree L of the coefficients; if not given the largest there can be, b - 1.

    Raises
    ------
    ValueError
        If a number is out of range, or (by the methods) a shape does not fit.

    Examples
    --------
    >>> transform = SphereTransform(4)
    >>> north = torch.cos(torch.linspace(0, torch.pi, 17)[1::2])[:, None].expand(8, 8)
    >>> coefficients = transform.analyze(north)  # z = √(4π/3) Y_10
    >>> coefficients.shape, round(coefficients[1, 0].real.item() ** 2 * 3 / torch.pi, 4)
    (torch.Size([4, 4]), 4.0)

    References
    ----------
    Driscoll and Healy (1994), Computing Fourier transforms and convolutions on the 2-sphere;
    Kostelec and Rockmore (2008), FFTs on the rotation group.
    """

    def __init__(self, bandwidth: int, *, max_degree: int | None = None) -> None:
        super().__init__()
        self.bandwidth = as_integer("bandwidth", bandwidth, at_least=1)
        largest = self.bandwidth - 1
        self.max_degree = as_integer(
            "max_degree",
            largest if max_degree is None else max_degree,
            at_least=0,
            at_most=largest,
        )
        self.fixed = RoundedArrays(partial(_matrices, self.bandwidth, self.max_degree))

    def analyze(
        self, maps: Float[Tensor, "*batch rings meridians"]
    ) -> Complex[Tensor, "*batch degrees orders"]:
        """The coefficients of maps.

        Parameters
        ----------
        maps : Tensor, shape (*batch, 2 bandwidth, 2 bandwidth)
            From north to south, longitudes π k / bandwidth.

        Returns
        -------
        Tensor, shape (*batch, max_degree + 1, max_degree + 1), complex
            That of degree l and order m ≥ 0 at [l, m]; zero where m > l.
        """
        size = 2 * self.bandwidth
        if tuple(maps.shape[-2:]) != (size, size):
            raise ValueError(
                f"maps must have shape (*batch, {size} rings, {size} meridians), got "
                f"{tuple(maps.shape)}; sample them on the grid of bandwidth {self.bandwidth}"
            )
        batch = maps.shape[:-2]
        columns = maps.reshape(batch.numel(), size, size).permute(2, 1, 0).contiguous()
        real = self.analyze_columns(columns)
        # for m > 0 a real harmonic is √2 times the real or imaginary part of the complex one
        real = real * _wave_scale(real, 0.5**0.5)
        coefficients = torch.complex(real[0::2], -real[1::2]).permute(2, 1, 0)
        return coefficients.reshape(*batch, *coefficients.shape[1:])

    def synthesize(
        self, coefficients: Complex[Tensor, "*batch degrees orders"]
    ) -> Float[Tensor, "*batch rings meridians"]:
        """The maps of coefficients.

        Parameters
        ----------
        coefficients : Tensor, shape (*batch, max_degree + 1, max_degree + 1), complex
            As made by `analyze`. What stands where m > l, and the imaginary part of order 0,
            have no harmonic and are ignored.

        Returns
        -------
        Tensor, shape (*batch, 2 bandwidth, 2 bandwidth)
        """
        size = self.max_degree + 1
        if tuple(coefficients.shape[-2:]) != (size, size):
            raise ValueError(
                f"coefficients must have shape (*batch, {size} degrees, {size} orders), got "
                f"{tuple(coefficients.shape)}; max_degree is {self.max_degree}"
            )
        batch = coefficients.shape[:-2]
        flat = coefficients.reshape(batch.numel(), size, size).permute(2, 1, 0)
        real = torch.stack([flat.real, -flat.imag], dim=1).flatten(0, 1)
        columns = self.synthesize_columns(real * _wave_scale(real, 2**0.5))
        return columns.permute(2, 1, 0).reshape(*batch, *columns.shape[:2])

    def analyze_columns(
        self, columns: Float[Tensor, "meridians rings columns"]
    ) -> Float[Tensor, "waves degrees columns"]:
        """The coefficients of the real harmonics, of maps that lie in the last axis.

        Two products of matrices without any reordering in between: the layout for networks.

        Parameters
        ----------
        columns : Tensor, shape (2 bandwidth, 2 bandwidth, columns)
            Contiguous, longitude first.

        Returns
        -------
        Tensor, shape (2 (max_degree + 1), max_degree + 1, columns)
            That of degree l with the cosine of m times the longitude, which is order m of
            `real_harmonics`, at [2 m, l]; with the sine, order −m, at [2 m + 1, l]; zero where
            there is none.
        """
        return analyze_columns(columns, self.fixed["waves"], self.fixed["weighted_legendre"])

    def synthesize_columns(
        self, coefficients: Float[Tensor, "waves degrees columns"]
    ) -> Float[Tensor, "meridians rings columns"]:
        """The maps, in the last axis, of coefficients of the real harmonics.

        Parameters
        ----------
        coefficients : Tensor, shape (2 (max_degree + 1), max_degree + 1, columns)
            As made by `analyze_columns`; the last axis contiguous, the others in any order.

        Returns
        -------
        Tensor, shape (2 bandwidth, 2 bandwidth, columns)
            Longitude first.
        """
        series = torch.bmm(self.fixed["legendre"].mT, coefficients)
        columns = torch.mm(self.fixed["waves"].mT, series.flatten(1))
        return columns.view(len(columns), *series.shape[1:])

    def extra_repr(self) -> str:
        """The sizes, in a network's printout."""
        return f"bandwidth={self.bandwidth}, max_degree={self.max_degree}"


def analyze_columns(
    columns: Float[Tensor, "meridians rings columns"],
    waves: Float[Tensor, "waves meridians"],
    legendre: Float[Tensor, "waves degrees rings"],
) -> Float[Tensor, "waves degrees columns"]:
    """The sums over longitudes, then over rings, of maps that lie in the last axis.

    Parameters
    ----------
    columns : Tensor, shape (meridians, rings, columns)
        Contiguous.
    waves, legendre : Tensor
        What to multiply with, weights included.

    Returns
    -------
    Tensor, shape (waves, degrees, columns)
    """
    series = torch.mm(waves, columns.flatten(1))
    return torch.bmm(legendre, series.view(len(waves), *columns.shape[1:]))


def real_waves(
    longitudes: Float[np.ndarray, "meridians"], max_order: int
) -> Float[np.ndarray, "waves meridians"]:
    """√2 cos(m lon), in row 2 m, and √2 sin(m lon), in row 2 m + 1; for order 0 they are 1 and 0.

    Parameters
    ----------
    longitudes : ndarray, shape (meridians,)
        In radian.
    max_order : int

    Returns
    -------
    Values (2 (max_order + 1), meridians).
    """
    angles = np.outer(np.arange(max_order + 1), longitudes)
    waves = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    waves[0] = [np.ones_like(longitudes), np.zeros_like(longitudes)]
    return waves.reshape(-1, len(longitudes))


def _matrices(bandwidth: int, max_degree: int) -> dict[str, np.ndarray]:
    """What a transform multiplies with; the Legendre functions for each cosine and each sine."""
    longitudes = np.arange(2 * bandwidth) * (np.pi / bandwidth)
    legendre = legendre_functions(bandwidth, max_degree).repeat(2, axis=0)
    areas = quadrature_weights(bandwidth) * (np.pi / bandwidth)
    return {
        "waves": real_waves(longitudes, max_degree),
        "legendre": legendre,
        "weighted_legendre": legendre * areas,
    }


def _wave_scale(coefficients: Tensor, scale: float) -> Float[Tensor, "waves 1 1"]:
    """1 for order 0 and the scale for all others."""
    factors = coefficients.new_full((len(coefficients), 1, 1), scale)
    factors[:2] = 1
    return factors
