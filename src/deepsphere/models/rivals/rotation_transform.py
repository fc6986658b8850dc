"""The Fourier transform of real functions of rotations on the grid of Kostelec and Rockmore."""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn

from deepsphere.models.rivals.rounded_arrays import RoundedArrays
from deepsphere.models.rivals.sphere_transform import quadrature_weights, ring_colatitudes
from deepsphere.models.rivals.wigner import wigner_d
from deepsphere.sampling.checks import as_integer


class Synthesis(NamedTuple):
    """What leads from rows of coefficients, by order, to samples; see `RotationTransform`."""

    gather: Int[Tensor, "coefficients"]
    scatter: Int[Tensor, "rows"]
    beta: Float[Tensor, "all_waves beta degrees"]
    alpha: Float[Tensor, "series waves"]
    gamma: Float[Tensor, "gamma parts"]


class Analysis(NamedTuple):
    """What leads from samples to rows of coefficients, by degree; see `RotationTransform`."""

    gamma: Float[Tensor, "parts gamma"]
    alpha: Float[Tensor, "waves series"]
    beta: Float[Tensor, "all_waves degrees beta"]
    gather: Int[Tensor, "rows"]


class RotationTransform(nn.Module):
    r"""The Fourier coefficients of real functions of rotations, and the functions of coefficients.

    .. math:: f(R) = \sum_{l < L} \sum_{mn} F^l_{mn} \overline{D^l_{mn}(R)}, \quad
              F^l_{mn} = \frac{2 l + 1}{8 \pi^2} \int f D^l_{mn},
              \quad \overline{D^l_{mn}} = e^{i m \alpha} d^l_{mn}(\beta) e^{i n \gamma},

    for rotations :math:`R = Z(\alpha) Y(\beta) Z(\gamma)` on the grid of 2b angles
    :math:`\beta_j = \pi (j + 1/2) / (2b)`, :math:`\alpha_k, \gamma_k = \pi k / b`. So
    :math:`\frac{1}{8\pi^2} \int f^2 = \sum |F^l_{mn}|^2 / (2l + 1)`, and a function of the
    direction :math:`R e_z` alone has the coefficients n = 0. Functions are real:
    :math:`F^l_{-m,-n} = (-1)^{m - n} \overline{F^l_{mn}}`, and only m ≥ 0 is kept.

    Analysis is exact for functions without degrees above ``2 bandwidth - num_degrees``.

    The sums over α and over γ are products with dense matrices: for the sizes of networks that is
    faster than fast Fourier transforms, which neither leave out the orders that are not needed
    nor read the axes in the order in which they lie. The methods `analyze_columns` and others
    take the functions (maps times channels) in the last axis and do not transpose. In them,

    - *samples* are (2b γ, 2b α, 2b β, columns),
    - *series* in γ are (L orders n, 2, 2b α, 2b β, columns): real and imaginary part of the
      factor g_n of exp(i n γ), n ≥ 0,
    - *waves* are (L orders n, 4 L, 2b β, columns), the second axis (2 signs of n, L orders m ≥ 0,
      2 parts): the factor of exp(i (m α ± n γ)),
    - *coefficients* are (L orders n, 4 L, L degrees, columns), zero below the orders.

    Products of coefficients take them without the zeros, in *rows*: by degree for a product
    from the right, where those of degree l are (l + 1 orders n, 2 signs, l + 1 orders m, 2 parts);
    by order for a product that acts on each n, where those of n are (2 signs, slots, 2 parts), a
    slot for each (l, m) with l ≥ n and as many for each n as there are for n = 0: the slots
    that are left over hold anything.

    Parameters
    ----------
    bandwidth : int
        b, half the number of angles of each kind, at least 1.
    num_degrees : int, optional
        L, at most the bandwidth, which it is if not given.

    Raises
    ------
    ValueError
        If a number is out of range, or (by the methods) a shape does not fit.

    Examples
    --------
    >>> transform = RotationTransform(4)
    >>> coefficients = transform.analyze(torch.ones(8, 8, 8))
    >>> coefficients.shape, round(coefficients[0, 0, 3].real.item(), 5)
    (torch.Size([4, 4, 7]), 1.0)

    References
    ----------
    Kostelec and Rockmore (2008), FFTs on the rotation group; Cohen, Geiger, Köhler and Welling
    (2018), Spherical CNNs, section 4.
    """

    coefficient_of_degree_row: Tensor
    coefficient_of_order_row: Tensor
    order_row_of_coefficient: Tensor

    def __init__(self, bandwidth: int, *, num_degrees: int | None = None) -> None:
        super().__init__()
        self.bandwidth = as_integer("bandwidth", bandwidth, at_least=1)
        self.num_degrees = as_integer(
            "num_degrees",
            self.bandwidth if num_degrees is None else num_degrees,
            at_least=1,
            at_most=self.bandwidth,
        )
        for name, rows in row_places(self.num_degrees).items():
            self.register_buffer(name, torch.as_tensor(rows), persistent=False)
        self.matrices = RoundedArrays(partial(_matrices, self.bandwidth, self.num_degrees))

    @property
    def synthesis(self) -> Synthesis:
        """What leads from rows of coefficients, by order, to samples."""
        return Synthesis(
            self.order_row_of_coefficient,
            self.coefficient_of_order_row,
            self.matrices["beta_synthesis"],
            self.matrices["alpha_synthesis"],
            self.matrices["gamma_synthesis"],
        )

    @property
    def analysis(self) -> Analysis:
        """What leads from samples to rows of coefficients, by degree."""
        return Analysis(
            self.matrices["gamma_analysis"],
            self.matrices["alpha_analysis"],
            self.matrices["beta_analysis"],
            self.coefficient_of_degree_row,
        )

    def analyze(
        self, samples: Float[Tensor, "*batch beta alpha gamma"]
    ) -> Complex[Tensor, "*batch degrees rows columns"]:
        """The coefficients of functions.

        Parameters
        ----------
        samples : Tensor, shape (*batch, 2 bandwidth β, 2 bandwidth α, 2 bandwidth γ)

        Returns
        -------
        Tensor, shape (*batch, num_degrees, num_degrees, 2 num_degrees - 1), complex
            That of degree l, order m ≥ 0 and order n at [l, m, num_degrees - 1 + n]; zero where
            m > l or abs(n) > l.
        """
        size = 2 * self.bandwidth
        if tuple(samples.shape[-3:]) != (size, size, size):
            raise ValueError(
                f"samples must have shape (*batch, {size} β, {size} α, {size} γ), got "
                f"{tuple(samples.shape)}; sample them on the grid of bandwidth {self.bandwidth}"
            )
        batch = samples.shape[:-3]
        columns = samples.reshape(batch.numel(), size, size, size).permute(3, 2, 1, 0)
        num = self.num_degrees
        parts = self.analyze_columns(columns).view(num, 2, num, 2, num, batch.numel())
        values = torch.complex(parts[:, :, :, 0], parts[:, :, :, 1]).permute(4, 3, 2, 1, 0)
        both = torch.cat([values[..., 1, 1:].flip(-1), values[..., 0, :]], dim=-1)
        return both.reshape(*batch, *both.shape[1:])

    def synthesize(
        self, coefficients: Complex[Tensor, "*batch degrees rows columns"]
    ) -> Float[Tensor, "*batch beta alpha gamma"]:
        """The functions of coefficients.

        Parameters
        ----------
        coefficients : Tensor, shape (*batch, num_degrees, num_degrees, 2 num_degrees - 1)
            As made by `analyze`. What stands where an order is above the degree is ignored, and
            of m = 0 what stands at n < 0, where the coefficients follow from those at n > 0.

        Returns
        -------
        Tensor, shape (*batch, 2 bandwidth β, 2 bandwidth α, 2 bandwidth γ)
        """
        num = self.num_degrees
        if tuple(coefficients.shape[-3:]) != (num, num, 2 * num - 1):
            raise ValueError(
                f"coefficients must have shape (*batch, {num} degrees, {num} orders m, "
                f"{2 * num - 1} orders n), got {tuple(coefficients.shape)}; num_degrees is {num}"
            )
        batch = coefficients.shape[:-3]
        flat = coefficients.reshape(batch.numel(), *coefficients.shape[-3:])
        signs = torch.stack([flat[..., num - 1 :], flat[..., :num].flip(-1)], dim=-2)
        parts = torch.view_as_real(signs).permute(4, 3, 2, 5, 1, 0)
        columns = self.synthesize_columns(parts.reshape(num, 4 * num, num, batch.numel()))
        return columns.permute(3, 2, 1, 0).reshape(*batch, *columns.shape[2::-1])

    def analyze_columns(
        self, samples: Float[Tensor, "gamma alpha beta columns"]
    ) -> Float[Tensor, "orders waves degrees columns"]:
        """The coefficients of functions in the last axis, from samples; see the class."""
        num, size = self.num_degrees, 2 * self.bandwidth
        series = self.matrices["gamma_analysis"] @ samples.flatten(1)
        series = series.view(num, 2 * size, size * samples.shape[-1])
        waves = torch.bmm(self.matrices["alpha_analysis"].expand(num, -1, -1), series)
        return self.analyze_waves(waves.view(num, 4 * num, *samples.shape[2:]))

    def synthesize_columns(
        self, coefficients: Float[Tensor, "orders waves degrees columns"]
    ) -> Float[Tensor, "gamma alpha beta columns"]:
        """The samples of functions in the last axis, from coefficients; see the class."""
        series = self.synthesize_series(self.synthesize_waves(coefficients))
        samples = self.matrices["gamma_synthesis"] @ series.flatten(0, 1).flatten(1)
        return samples.view(len(samples), *series.shape[2:])

    def analyze_waves(
        self, waves: Float[Tensor, "orders waves beta columns"]
    ) -> Float[Tensor, "orders waves degrees columns"]:
        """The coefficients of waves, by the quadrature over β."""
        coefficients = torch.bmm(self.matrices["beta_analysis"], waves.flatten(0, 1))
        return coefficients.view(*waves.shape[:2], self.num_degrees, waves.shape[-1])

    def synthesize_waves(
        self, coefficients: Float[Tensor, "orders waves degrees columns"]
    ) -> Float[Tensor, "orders waves beta columns"]:
        """The waves of coefficients."""
        waves = torch.bmm(self.matrices["beta_synthesis"], coefficients.flatten(0, 1))
        return waves.view(*coefficients.shape[:2], 2 * self.bandwidth, coefficients.shape[-1])

    def synthesize_series(
        self, waves: Float[Tensor, "orders waves beta columns"]
    ) -> Float[Tensor, "orders 2 alpha beta columns"]:
        """The series in γ of waves."""
        num, size = self.num_degrees, 2 * self.bandwidth
        series = torch.bmm(self.matrices["alpha_synthesis"].expand(num, -1, -1), waves.flatten(2))
        return series.view(num, 2, size, *waves.shape[2:])

    def coefficients_of_rows(
        self, rows: Float[Tensor, "rows maps channels"]
    ) -> Float[Tensor, "orders waves degrees columns"]:
        """The coefficients of rows by order, which may hold anything in left-over slots."""
        num = self.num_degrees
        coefficients = rows.index_select(0, self.order_row_of_coefficient).flatten(1)
        return coefficients.view(num, 4 * num, num, coefficients.shape[-1])

    def extra_repr(self) -> str:
        """The sizes, in a network's printout."""
        return f"bandwidth={self.bandwidth}, num_degrees={self.num_degrees}"


def _matrices(bandwidth: int, num_degrees: int) -> dict[str, np.ndarray]:
    """The matrices of the sums over γ, α and β, and of the degrees."""
    angles = np.arange(2 * bandwidth) * (np.pi / bandwidth)
    weights = quadrature_weights(bandwidth) / 2  # of sin(β) dβ / 2
    functions = wigner_functions(ring_colatitudes(bandwidth), num_degrees)
    multiplicities = 2 * np.arange(num_degrees)[:, None] + 1
    return {
        "gamma_synthesis": real_series(angles, num_degrees).T,
        "gamma_analysis": real_series(angles, num_degrees, dual=True) / len(angles),
        "alpha_synthesis": complex_series(angles, num_degrees).T,
        "alpha_analysis": complex_series(angles, num_degrees, dual=True) / len(angles),
        "beta_synthesis": functions.transpose(0, 2, 1),
        "beta_analysis": functions * multiplicities * weights,
    }


def real_series(
    angles: Float[np.ndarray, "angles"], num_orders: int, *, dual: bool = False
) -> Float[np.ndarray, "parts angles"]:
    """What real and imaginary part of g_n, n ≥ 0, contribute to Σ g_n exp(i n γ), g_-n = conj g_n.

    Parameters
    ----------
    angles : ndarray, shape (angles,)
    num_orders : int
    dual : bool
        The cosines and sines whose sums against samples, divided by the number of equally spaced
        angles, are the parts of g_n.

    Returns
    -------
    Values (2 num_orders, angles); order 0 has no imaginary part.
    """
    phases = np.outer(np.arange(num_orders), angles)
    parts = np.stack([np.cos(phases), -np.sin(phases)], axis=1)
    if not dual:
        parts[1:] *= 2
    return parts.reshape(2 * num_orders, -1)


def complex_series(
    angles: Float[np.ndarray, "angles"], num_orders: int, *, dual: bool = False
) -> Float[np.ndarray, "waves points"]:
    """What the waves of exp(i (m α ± n γ)) contribute to the parts of g_n(α), for any n ≥ 0.

    With u_m,±n the waves, g_n = u_0n + Σ_{m > 0} (u_m,n exp(i m α) + conj(u_m,-n exp(i m α))).

    Parameters
    ----------
    angles : ndarray, shape (angles,)
    num_orders : int
    dual : bool
        The values whose sums against g_n, divided by the number of equally spaced angles, are
        the parts of the waves.

    Returns
    -------
    Values (4 num_orders waves, 2 angles): (2 signs, num_orders m, 2 parts) by (2 parts, angles).
    """
    phases = np.outer(np.arange(num_orders), angles)
    cos, sin = np.cos(phases), np.sin(phases)
    of_sign = np.array([[[cos, sin], [-sin, cos]], [[cos, -sin], [-sin, -cos]]])
    if not dual:
        of_sign[1, :, :, 0] = 0  # of order m = 0 one wave makes g_n
    # (sign, part of the wave, part of g, order, angle)
    return of_sign.transpose(0, 3, 1, 2, 4).reshape(4 * num_orders, -1)


def wigner_functions(
    angles: Float[np.ndarray, "angles"], num_degrees: int
) -> Float[np.ndarray, "waves degrees angles"]:
    """The functions d^l_{m,±n}(β), for each wave (n ≥ 0, 2 signs, m ≥ 0, 2 parts).

    Parameters
    ----------
    angles : ndarray, shape (angles,)
    num_degrees : int

    Returns
    -------
    Values (4 num_degrees² waves, num_degrees, angles), zero where an order is above the degree;
    the two parts have the same.
    """
    functions = np.zeros((num_degrees, 2, num_degrees, num_degrees, len(angles)))
    for degree, matrices in enumerate(wigner_d(angles, num_degrees)):
        rows = matrices[:, degree:]  # (angle, m ≥ 0, n)
        orders = slice(0, degree + 1)
        functions[orders, 0, orders, degree] = rows[:, :, degree:].transpose(2, 1, 0)
        functions[orders, 1, orders, degree] = rows[:, :, degree::-1].transpose(2, 1, 0)
    both = np.repeat(functions, 2, axis=2)
    return both.reshape(-1, num_degrees, len(angles))


def row_places(num_degrees: int) -> dict[str, Int[np.ndarray, "places"]]:
    """Where coefficients stand in rows and rows in coefficients; see `RotationTransform`.

    Parameters
    ----------
    num_degrees : int

    Returns
    -------
    dict
        The place in the coefficients of each row by degree and of each by order (of left-over
        slots some place that is always zero), and the row by order of each coefficient (of those
        that are always zero any row).
    """
    num = num_degrees
    place = np.arange(4 * num**3).reshape(num, 2, num, 2, num)  # (n, sign, m, part, degree)
    by_degree = [place[: degree + 1, :, : degree + 1, :, degree].ravel() for degree in range(num)]
    degree, order = np.tril_indices(num)
    by_order = np.full((num, 2, len(degree), 2), place[-1, 0, 0, 0, 0])
    for n in range(num):
        slots = np.flatnonzero(degree >= n)
        by_order[n, :, : len(slots)] = place[n][:, order[slots], :, degree[slots]].swapaxes(0, 1)
    row_of = np.zeros(place.size, dtype=np.int64)
    row_of[by_order.ravel()[::-1]] = np.arange(by_order.size)[::-1]
    return {
        "coefficient_of_degree_row": np.concatenate(by_degree),
        "coefficient_of_order_row": by_order.ravel(),
        "order_row_of_coefficient": row_of,
    }
