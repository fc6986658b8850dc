"""Correlations of maps and of functions of rotations with filters on a ring."""

import math
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from deepsphere.harmonics import real_harmonics
from deepsphere.models.rivals.rotation_transform import (
    RotationTransform,
    real_series,
    row_places,
    wigner_functions,
)
from deepsphere.models.rivals.rounded_arrays import RoundedArrays
from deepsphere.models.rivals.sphere_transform import quadrature_weights, ring_colatitudes
from deepsphere.models.rivals.wigner import wigner_d

QUARTER_TURN = np.array([np.pi / 2])


class RingFilters(nn.Module):
    r"""Filters that consist of points on a ring.

    .. math:: w_n = \frac{1}{\sqrt{2 b \, c}} \sum_{k < 2b} \psi_k e^{i n \pi k / b}, \quad n \ge 0

    for each pair of channels, c of them before: all that a correlation knows of the filter ψ.
    Values are drawn uniformly between -1 and 1.

    Parameters
    ----------
    in_channels, out_channels : int
    bandwidth : int
        b, half the number of points.
    num_orders : int
        Number of orders n.

    Examples
    --------
    >>> RingFilters(6, 100, bandwidth=64, num_orders=16)().shape
    torch.Size([16, 2, 6, 100])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, bandwidth: int, num_orders: int
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, 2 * bandwidth))
        nn.init.uniform_(self.weight, -1, 1)
        scale = 1 / math.sqrt(2 * bandwidth * in_channels)
        self.matrices = RoundedArrays(partial(_ring_matrices, bandwidth, num_orders, scale))

    def forward(self) -> Float[Tensor, "orders 2 in_channels out_channels"]:
        """Real and imaginary part of w."""
        parts = self.matrices["phases"] @ self.weight.flatten(0, 1).mT
        return parts.view(-1, 2, *self.weight.shape[:2])


class SphereConvolution(nn.Module):
    r"""The correlation of maps with filters on the equator, which makes functions of rotations.

    .. math:: h(R) = \sum_i \sum_{k < 2b} \psi_{ik} \, f_i(R x_k) / \sqrt{2 b \, c},
              \quad x_k = (\cos(\pi k / b), \sin(\pi k / b), 0),

    where f are the c channels of maps on the grid of bandwidth b, without the degrees that are
    not kept: :math:`\int \psi(R^{-1} x) f(x) dx` with a filter of 2b points. In coefficients, as
    defined by `RotationTransform`,

    .. math:: H^l_{mn} = \sum_i w_{in} \, d^l_{n0}(\pi / 2) \, f^l_{im},

    so that a filter acts on each order n alone, whatever m and l. The map that is seen from the
    first point of the ring, :math:`f(R x_0)`, is therefore synthesized before the filters act,
    when there are few channels; `series` makes it and `filters` makes what follows.

    Parameters
    ----------
    in_channels, out_channels : int
    bandwidth_in : int
        b, of the grid of the maps.
    bandwidth_out : int
        Number of degrees kept.

    References
    ----------
    Cohen, Geiger, Köhler and Welling (2018), Spherical CNNs, section 3 and its code, whose
    filters on the equator these are.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, bandwidth_in: int, bandwidth_out: int
    ) -> None:
        super().__init__()
        self.bandwidth_in, self.num_degrees = bandwidth_in, bandwidth_out
        self.filters = RingFilters(
            in_channels, out_channels, bandwidth=bandwidth_in, num_orders=bandwidth_out
        )
        self.matrices = RoundedArrays(partial(_lift_matrices, bandwidth_in, bandwidth_out))

    def series(
        self, images: Float[Tensor, "maps rings meridians channels"], transform: RotationTransform
    ) -> Float[Tensor, "orders alpha beta maps parts"]:
        """The series in γ of f(R x_0): for each order n the real parts, then the imaginary ones.

        Parameters
        ----------
        images : Tensor, shape (maps, 2 bandwidth_in, 2 bandwidth_in, in_channels)
        transform
            Of the grid of rotations, of as many degrees as are kept.
        """
        maps, rings, _, channels = images.shape
        num = self.num_degrees
        columns = images.permute(1, 2, 0, 3).reshape(rings, rings, maps * channels)
        waves = torch.bmm(self.matrices["alpha_analysis"].expand(rings, -1, -1), columns)
        coefficients = torch.bmm(self.matrices["beta_analysis"], waves.transpose(0, 1))
        # the same for each n and its sign: (orders n, 2 signs) and (orders m, 2 parts)
        everywhere = coefficients.expand(2 * num, -1, -1, -1).flatten(0, 1)
        waves = torch.bmm(self.matrices["beta_synthesis"], everywhere)
        series = transform.synthesize_series(waves.view(num, 4 * num, 2 * num, maps * channels))
        parts_last = series.view(*series.shape[:4], maps, channels).movedim(1, -2)
        return parts_last.reshape(*parts_last.shape[:4], 2 * channels)


class RotationConvolution(nn.Module):
    r"""The correlation of functions of rotations with filters on a ring of rotations.

    .. math:: h(R) = \sum_i \sum_{k < 2b} \psi_{ik} \, f_i(R R_k) / \sqrt{2 b \, c}, \quad
              R_k = Z(\pi k / b) Y(\pi / 2),

    where f are the c channels of functions, without the degrees that are not kept:
    :math:`\int \psi(R^{-1} Q) f(Q) dQ` with a filter of 2b rotations. In coefficients, as
    defined by `RotationTransform`,

    .. math:: H^l_{mn} = \sum_i w_{in} \sum_p F^l_{imp} \, d^l_{np}(\pi / 2).

    The product of the blocks of f and of the filter, which is what is done for filters of any
    shape, falls into a turn that is the same for all channels, and a product of channels for each
    order n: fewer operations by the size of a block.

    Parameters
    ----------
    in_channels, out_channels : int
    bandwidth_in : int
        b, of the grid of the functions.
    bandwidth_out : int
        Number of degrees kept.

    References
    ----------
    Cohen, Geiger, Köhler and Welling (2018), Spherical CNNs, section 3 and its code, whose
    filters with β = π/2 and γ = 0 these are.
    """

    row_of_order_row: Tensor
    crossed_row_of_order_row: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, *, bandwidth_in: int, bandwidth_out: int
    ) -> None:
        super().__init__()
        self.num_degrees = bandwidth_out
        self.filters = RingFilters(
            in_channels, out_channels, bandwidth=bandwidth_in, num_orders=bandwidth_out
        )
        self.matrices = RoundedArrays(partial(_turn_matrices, bandwidth_out))
        straight, crossed = _order_rows(bandwidth_out)
        self.register_buffer("row_of_order_row", torch.as_tensor(straight), persistent=False)
        self.register_buffer("crossed_row_of_order_row", torch.as_tensor(crossed), persistent=False)

    def forward(
        self, rows: Float[Tensor, "rows maps in_channels"]
    ) -> Float[Tensor, "rows_out maps out_channels"]:
        """The coefficients of the correlation, by order, of coefficients by degree.

        Parameters
        ----------
        rows : Tensor, shape (rows by degree, maps, in_channels)

        Returns
        -------
        Tensor, shape (rows by order, maps, out_channels)
        """
        num, (_, maps, channels) = self.num_degrees, rows.shape
        blocks = rows.split([4 * (degree + 1) ** 2 for degree in range(num)])
        turned = torch.cat([self._turned(degree, block) for degree, block in enumerate(blocks)])
        # real and imaginary part times w, and i times each, whose product is with the imaginary w
        straight = turned.index_select(0, self.row_of_order_row)
        crossed = turned.index_select(0, self.crossed_row_of_order_row)
        waves = (num, 2, len(straight) // (4 * num), 2, maps, channels)
        crossed = crossed.view(waves) * self.matrices["signs"]
        filters = self.filters()
        products = torch.bmm(straight.view(waves).flatten(1, 4), filters[:, 0])
        products = torch.baddbmm(products, crossed.flatten(1, 4), filters[:, 1])
        return products.view(len(straight), maps, products.shape[-1])

    def _turned(self, degree: int, block: Tensor) -> Tensor:
        """The coefficients of one degree of f(R Y(π/2))."""
        matrix = self.matrices[f"turn_{degree}"]
        return (matrix @ block.unflatten(0, (len(matrix), -1)).flatten(1)).view(block.shape)


class RowMoments(nn.Module):
    """Mean and variance over maps and grid of functions given by their coefficients.

    Over the points of the grid, all of the same weight, as batch normalization takes them; by
    the orthogonality of the waves of α and γ on the grid, without the samples.

    Parameters
    ----------
    bandwidth : int
        Of the grid; the functions have as many degrees.
    """

    def __init__(self, bandwidth: int) -> None:
        super().__init__()
        self.bandwidth = bandwidth
        self.matrices = RoundedArrays(partial(_moment_matrices, bandwidth))

    def forward(
        self, rows: Float[Tensor, "rows maps channels"]
    ) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
        """Mean and variance of each channel, from coefficients by order."""
        _, maps, channels = rows.shape
        by_part = rows.view(2 * self.bandwidth, -1, 2 * maps * channels)
        power = torch.bmm(self.matrices["gram"], by_part) * by_part
        means = torch.einsum(
            "r,rbc->bc", self.matrices["mean"], by_part[0].view(-1, 2, maps, channels)[:, 0]
        )
        variance = power.sum((0, 1)).view(-1, maps, channels).sum((0, 1)) / maps
        return means.mean(0), variance + means.var(0, correction=0)


def series_moments(
    series: Float[Tensor, "orders alpha beta maps parts"],
    filters: Float[Tensor, "2 orders parts channels"],
) -> tuple[Float[Tensor, "channels"], Float[Tensor, "channels"]]:
    """Mean and variance over maps and grid of filtered series, from the series alone.

    The variance is a quadratic form of each filter: for each order n, in the second moments of
    the channels before the filter.

    Parameters
    ----------
    series, filters
        As for `relu_of_filtered_series`.

    Returns
    -------
    Mean and variance (channels,) of each channel.
    """
    rows = series.flatten(1, 3)
    mean = rows[0].mean(0)
    rows = torch.cat([(rows[:1] - mean) * math.sqrt(0.5), rows[1:]])
    gram = torch.bmm(rows.mT, rows) * (2 / rows.shape[1])
    power = (gram @ filters * filters).sum(2)
    return mean @ filters[0, 0], power[0].sum(0) + power[1, 1:].sum(0)


def crossed_filters(
    filters: Float[Tensor, "orders 2 in_channels out_channels"],
) -> Float[Tensor, "2 orders parts out_channels"]:
    """Filters as matrices: from real and imaginary parts to the real, and to the imaginary part."""
    real, imaginary = filters.unbind(1)
    to_real = torch.cat([real, -imaginary], dim=1)
    to_imaginary = torch.cat([imaginary, real], dim=1)
    return torch.stack([to_real, to_imaginary])


def _ring_matrices(bandwidth: int, num_orders: int, scale: float) -> dict[str, np.ndarray]:
    """Cosines and sines that make w of the points of a ring."""
    angles = np.arange(2 * bandwidth) * (np.pi / bandwidth)
    phases = np.outer(np.arange(num_orders), angles)
    parts = np.stack([np.cos(phases), np.sin(phases)], axis=1)
    return {"phases": scale * parts.reshape(2 * num_orders, -1)}


def _lift_matrices(bandwidth: int, num_degrees: int) -> dict[str, np.ndarray]:
    """The harmonic analysis of maps, and the synthesis of f(R x_0) on the grid of rotations."""
    num = num_degrees
    angles = np.arange(2 * bandwidth) * (np.pi / bandwidth)
    weights = quadrature_weights(bandwidth) / 2  # of sin(β) dβ / 2
    functions = wigner_functions(ring_colatitudes(num), num).reshape(num, 2, 2 * num, num, -1)
    turn = _zonal_functions(num, QUARTER_TURN)[:, :, 0]  # d_n0(π/2)
    turn = np.stack([turn, (-1.0) ** np.arange(num)[:, None] * turn], axis=1)
    synthesis = functions * turn[:, :, None, :, None]
    multiplicities = 2 * np.arange(num)[:, None] + 1
    analysis = _zonal_functions(num, ring_colatitudes(bandwidth)) * multiplicities * weights
    return {
        "alpha_analysis": real_series(angles, num, dual=True) / len(angles),
        "beta_analysis": np.repeat(analysis, 2, axis=0),
        "beta_synthesis": synthesis.reshape(4 * num**2, num, -1).transpose(0, 2, 1),
    }


def _zonal_functions(
    num_degrees: int, colatitudes: Float[np.ndarray, "angles"]
) -> Float[np.ndarray, "orders degrees angles"]:
    """The functions d^l_m0(β), m ≥ 0, zero where the order is above the degree."""
    meridian = np.stack([np.sin(colatitudes), 0 * colatitudes, np.cos(colatitudes)], axis=-1)
    harmonics = real_harmonics(meridian, num_degrees - 1)
    order, degree = np.triu_indices(num_degrees)
    # the harmonics are orthonormal, real, and without the phase of Condon and Shortley
    scale = (-1.0) ** order * np.sqrt(2 * np.pi * (1 + (order == 0)) / (2 * degree + 1))
    functions = np.zeros((num_degrees, num_degrees, len(colatitudes)))
    functions[order, degree] = scale[:, None] * harmonics[:, degree**2 + degree + order].T
    return functions


def _turn_matrices(num_degrees: int) -> dict[str, np.ndarray]:
    """The matrices d^l_np(π/2) of rows by degree, and the signs of i times a row."""
    matrices = {"signs": np.array([[-1.0, 1.0], [1.0, -1.0]]).reshape(1, 2, 1, 2, 1, 1)}
    for degree, (matrix,) in enumerate(wigner_d(QUARTER_TURN, num_degrees)):
        orders = np.arange(degree + 1)
        signed = degree + np.stack([orders, -orders], axis=1).ravel()
        turn = matrix[np.ix_(signed, signed)]
        turn[:, 1] = 0  # order 0 stands twice
        matrices[f"turn_{degree}"] = turn
    return matrices


def _order_rows(num_degrees: int) -> tuple[Int[np.ndarray, "rows"], Int[np.ndarray, "rows"]]:
    """The row by degree of each row by order, and that of the other part of the same wave."""
    places = row_places(num_degrees)
    row_of = np.zeros(4 * num_degrees**3, dtype=np.int64)
    by_degree = places["coefficient_of_degree_row"]
    row_of[by_degree] = np.arange(len(by_degree))
    rows = row_of[places["coefficient_of_order_row"]]
    return rows, rows.reshape(-1, 2)[:, ::-1].ravel()


def _moment_matrices(num_degrees: int) -> dict[str, np.ndarray]:
    """Means and quadratic forms of rows by order that give the moments over the grid."""
    num = num_degrees
    angles = ring_colatitudes(num)
    functions = wigner_functions(angles, num).reshape(num, 2, num, 2, num, -1)[:, :, :, 0]
    mean = functions[0, 0, 0].mean(-1)
    # of a wave and its conjugate, of which one is kept; of order m = 0 both are, of n = 0 twice
    weights = np.full((num, 2, num), 2.0)
    weights[0, :, 0] = 1
    weights[0, 1] = weights[:, 1, 0] = 0
    degree, order = np.tril_indices(num)
    gram = np.zeros((num, 2, len(degree), len(degree)))
    for n in range(num):
        slots = np.flatnonzero(degree >= n)
        same = order[slots, None] == order[slots]
        for sign in range(2):
            values = functions[n, sign, order[slots], degree[slots]]
            if n == 0:
                values = values - np.where(
                    order[slots, None] == 0, values.mean(1, keepdims=True), 0
                )
            form = values @ values.T / len(angles) * weights[n, sign, order[slots]][:, None]
            gram[n, sign, : len(slots), : len(slots)] = form * same
    return {
        "gram": gram.reshape(2 * num, len(degree), len(degree)),
        "mean": np.where(order == 0, mean[degree], 0.0),
    }
