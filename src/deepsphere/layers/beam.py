"""Smoothing by the beam of a telescope, as a filter of a graph."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.graph.beam_filter import (
    LARGEST_ERROR,
    beam_errors,
    degree_curve,
    filter_order,
    fit_matrix,
    vertex_distance,
)
from deepsphere.graph.sphere_graph import SphereGraph, build_graph
from deepsphere.graph.stability import chebyshev_norm
from deepsphere.layers.operator import LaplacianOperator, as_operator
from deepsphere.ops import chebyshev_filter
from deepsphere.ops.backends import BackendName, check_backend_name, filter_type, is_autocast
from deepsphere.sampling import Sampling

ARCMIN_PER_RADIAN = 60 * 180 / math.pi
# of a Gaussian: full width at half maximum over standard deviation
FWHM_PER_SIGMA = math.sqrt(8 * math.log(2))
# Trained widths stay below this multiple of the first, for which the polynomial is made.
_LARGEST_GROWTH = 2.0
# Some that they may reach, at which it is tested.
_REACHED = _LARGEST_GROWTH * np.arange(1, 9) / 8
# Polynomials of lower orders are stable on every graph.
_SHORT_ORDER = 9
# A narrower beam, as part of the distance of vertices, changes no signal that these can hold by
# more than about .5 %: it is a wrong unit.
_SMALLEST_PART = 0.1


class BeamSmoothing(nn.Module):
    r"""Smoothing of each channel by a Gaussian beam, without a transform to harmonics.

    .. math:: b_l = e^{-l (l + 1) \sigma^2 / 2}

    as one polynomial of the graph's Laplacian. Its eigenvalues are not l (l + 1) but bend away
    from it, at half of the degrees that the vertices can hold by a third; the beam is a function
    of the degree that each eigenvalue stands for
    (:func:`deepsphere.graph.beam_filter.degree_curve`). The polynomial is as short as the
    tolerance allows.

    Constants are kept. On a part of a sphere nothing comes from beyond its border: within a width
    of it, the beam is folded back.

    How far this is from the same beam by harmonics (healpy), at nside 64, for a signal with equal
    power at all degrees up to 1.5 or 2 nside: root mean square error relative to the smoothed
    signal, in percent, for full widths of 1, 2, 3, 5 and 10 pixel widths.

    ===============  =========================  =========================
    graph            up to 1.5 nside            up to 2 nside
    ===============  =========================  =========================
    optimal k = 8    .22, .62, .77, .36, .23    .79, 1.8, 1.4, .39, .25
    optimal k = 20   .03, .08, .10, .08, .08    .08, .17, .16, .11, .08
    optimal k = 40   .02, .05, .06, .07, .08    .17, .34, .18, .09, .10
    Gaussian k = 8   .53, 1.7, 2.6, 2.9, 2.6    .98, 2.6, 3.1, 3.0, 2.9
    Gaussian k = 20  .13, .41, .63, .75, .73    .26, .67, .76, .77, .76
    cotangent        .39, 1.2, 1.6, .84, .21    1.3, 3.0, 2.6, .90, .26
    perraudin        2.0, 6.4, 10, refused
    ===============  =========================  =========================

    Parameters
    ----------
    graph : SphereGraph, LaplacianOperator or Sampling
        With a Laplacian that keeps constants ("combinatorial") and acts alike everywhere; of a
        sampling, the graph that `build_graph` makes by default.
    fwhm_arcmin : float or sequence of float
        Full width at half maximum of the beam, √(8 ln 2) σ: one for all channels, or one for each.
        A width of 0 leaves a channel as it is.
    sigma_arcmin : float or sequence of float
        Standard deviation σ, given instead.
    tolerance : float
        Largest error of the polynomial, between 0 and 1.
    trainable : bool
        Learn the widths: they start from those given and stay between zero and twice that.
    backend : "auto", "cpp", "csr", "triton" or "reference"
        Implementation of the filter.

    Attributes
    ----------
    kernel_size : int
        Number of coefficients of the polynomial.
    estimated_error : float
        Root mean square error of the worst channel relative to the smoothed signal, for a white
        signal: to first order, from what the Laplacian does to harmonics.
    growth : Parameter, shape (widths,), or None
        What is learned of trainable widths: they are 2 sigmoid(growth) times those given.

    Raises
    ------
    TypeError
        If the graph is none of these.
    ValueError
        If not exactly one of both widths is given, one is negative, not finite, far narrower than
        the distance of vertices or too wide for a polynomial, the tolerance is out of range, the
        graph has a "normalized" Laplacian, would err by more than 10 % or amplify rounding errors,
        or (by `forward`) the signal has other vertices or channels.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=8), num_neighbors=20)
    >>> smooth = BeamSmoothing(graph, fwhm_arcmin=(900.0, 1800.0))
    >>> smooth(torch.zeros(5, 768, 2)).shape
    torch.Size([5, 768, 2])

    References
    ----------
    Seljak and Zaldarriaga (1996), A line-of-sight integration approach to cosmic microwave
    background anisotropies, section 2 (the beam).
    """

    first_sigma: Tensor
    squared_degrees: Tensor
    transform: Tensor
    first_coefficients: Tensor
    growth: nn.Parameter | None

    def __init__(
        self,
        graph: SphereGraph | LaplacianOperator | Sampling,
        *,
        fwhm_arcmin: float | Sequence[float] | None = None,
        sigma_arcmin: float | Sequence[float] | None = None,
        tolerance: float = 1e-4,
        trainable: bool = False,
        backend: BackendName = "auto",
    ) -> None:
        super().__init__()
        if not 0 < tolerance < 1:
            raise ValueError(
                f"tolerance must be between 0 and 1, got {tolerance}; it is the largest error of "
                "the polynomial"
            )
        check_backend_name(backend)
        self.backend: BackendName = backend
        self.operator = as_operator(build_graph(graph) if isinstance(graph, Sampling) else graph)
        self.is_shared, self._first_sigma = _sigma_in_radians(
            self.operator.graph, fwhm_arcmin, sigma_arcmin
        )
        curve = degree_curve(self.operator.graph)
        reached = _REACHED if trainable else np.ones(1)
        sigma = np.unique(np.outer(self._first_sigma, reached))
        self.estimated_error = _check_error(beam_errors(curve, sigma), sigma)
        order = filter_order(curve, sigma, tolerance=tolerance)
        self.kernel_size = order + 1
        self._squared_degrees, self._transform = curve.squared_degrees, fit_matrix(curve, order)
        transfer = np.exp(-0.5 * np.outer(self._squared_degrees, self._first_sigma**2))
        self._first_coefficients = self._transform @ transfer
        _check_stable(self.operator.graph, self._first_coefficients)
        self.growth = nn.Parameter(torch.zeros(len(self._first_sigma))) if trainable else None
        self._register(torch.device("cpu"))

    @property
    def sigma_arcmin(self) -> Float[Tensor, "widths"]:
        """Standard deviation of the beams as they are now, one or as many as channels."""
        return self._sigma() * ARCMIN_PER_RADIAN

    @property
    def fwhm_arcmin(self) -> Float[Tensor, "widths"]:
        """Full width at half maximum of the beams as they are now."""
        return self.sigma_arcmin * FWHM_PER_SIGMA

    def coefficients(self) -> Float[Tensor, "kernel_size widths"]:
        """Of the Chebyshev polynomials of the rescaled Laplacian, for each width."""
        if self.growth is None:
            return self.first_coefficients
        transfer = torch.exp(-0.5 * self.squared_degrees[:, None] * self._sigma().square())
        return self.transform @ transfer

    def forward(
        self, signal: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The smoothed signal.

        Parameters
        ----------
        signal : Tensor, shape (*batch, vertices, channels)

        Returns
        -------
        Tensor, shape (*batch, vertices, channels)
        """
        self._check(signal)
        operator, device = self.operator.arrays(), signal.device.type
        dtype = filter_type(signal, operator)
        num_vertices, num_channels = signal.shape[-2:]
        flat = signal.to(dtype).reshape(math.prod(signal.shape[:-2]), num_vertices, num_channels)
        with torch.autocast(device, enabled=False) if is_autocast(device) else nullcontext():
            one_each = self.coefficients().expand(-1, num_channels)
            # no channel sees another
            weight = torch.diag_embed(one_each.to(dtype))
            smooth = chebyshev_filter(flat, weight, operator, backend=self.backend)
        return smooth.reshape(signal.shape)

    def extra_repr(self) -> str:
        """The widths, in a network's printout."""
        widths = ", ".join(f"{width:.4g}" for width in self.fwhm_arcmin.tolist())
        return f"fwhm_arcmin=({widths}), kernel_size={self.kernel_size}"

    def _sigma(self) -> Tensor:
        """Standard deviations in radians."""
        if self.growth is None:
            return self.first_sigma
        growth = _LARGEST_GROWTH * torch.sigmoid(self.growth.to(self.first_sigma.dtype))
        return self.first_sigma * growth

    def _check(self, signal: Tensor) -> None:
        """Raise if a signal is not on the graph, or has not as many channels as there are beams."""
        num_vertices = self.operator.num_vertices
        if signal.ndim < 2 or signal.shape[-2] != num_vertices:
            raise ValueError(
                f"signal must have shape (*batch, {num_vertices} vertices, channels), got "
                f"{tuple(signal.shape)}; channels come last (see layers.ChannelsFirst)"
            )
        if not self.is_shared and signal.shape[-1] != len(self._first_sigma):
            raise ValueError(
                f"signal must have {len(self._first_sigma)} channels, one for each beam, got "
                f"{signal.shape[-1]}; give one number for a beam that all channels share"
            )

    def _register(self, device: torch.device) -> None:
        """Register what coefficients are made of as unsaved buffers.

        In 64 bits where there are any: coefficients of long polynomials cancel each other.
        """
        dtype = torch.float32 if device.type == "mps" else torch.float64
        for name, array in {
            "first_sigma": self._first_sigma,
            "squared_degrees": self._squared_degrees,
            "transform": self._transform,
            "first_coefficients": self._first_coefficients,
        }.items():
            tensor = torch.tensor(array, dtype=dtype, device=device)
            self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "BeamSmoothing":
        """Follow ``.to()`` to another device; the type of the buffers stays."""
        before = self.transform.dtype
        super()._apply(fn, recurse)
        if self.transform.dtype != before:
            self._register(self.transform.device)
        return self


def _sigma_in_radians(
    graph: SphereGraph,
    fwhm_arcmin: float | Sequence[float] | None,
    sigma_arcmin: float | Sequence[float] | None,
) -> tuple[bool, Float[np.ndarray, "widths"]]:
    """Whether all channels share one beam, and the standard deviations, checked."""
    given = {"fwhm_arcmin": fwhm_arcmin, "sigma_arcmin": sigma_arcmin}
    present = {name: value for name, value in given.items() if value is not None}
    if len(present) != 1:
        raise ValueError(
            "the width must be given exactly once, as fwhm_arcmin or as sigma_arcmin, got "
            f"{', '.join(f'{name}={value}' for name, value in present.items()) or 'neither'}"
        )
    ((name, value),) = present.items()
    widths = np.asarray(value, np.float64)
    is_shared, widths = widths.ndim == 0, np.atleast_1d(widths)
    if widths.ndim != 1 or not len(widths) or not np.isfinite(widths).all() or (widths < 0).any():
        raise ValueError(
            f"{name} must be one number or one for each channel, finite and not negative, got "
            f"{value}"
        )
    per_sigma = FWHM_PER_SIGMA if name == "fwhm_arcmin" else 1.0
    sigma = widths / per_sigma / ARCMIN_PER_RADIAN
    smallest = _SMALLEST_PART * vertex_distance(graph) / FWHM_PER_SIGMA
    narrow = (sigma > 0) & (sigma < smallest)
    if narrow.any():
        raise ValueError(
            f"{name} must be 0 or at least {smallest * per_sigma * ARCMIN_PER_RADIAN:.3g}, a tenth "
            f"of the distance of vertices, got {widths[narrow][0]:g}; on vertices so far apart "
            "this beam changes nothing (widths are in arcminutes): give 0 for no smoothing"
        )
    return is_shared, sigma


def _check_stable(graph: SphereGraph, coefficients: Float[np.ndarray, "size widths"]) -> None:
    """Raise if the polynomial amplifies signals that the Laplacian is not self-adjoint for."""
    order = len(coefficients) - 1
    if graph.vertex_mass is not None or order < _SHORT_ORDER:
        return
    last = np.abs(coefficients[-(len(coefficients) // 4) :]).max()
    gain = float(last * chebyshev_norm(graph, order))
    if gain > 1:
        raise ValueError(
            f"graph must be one on which a polynomial of order {order} is stable, got one on which "
            f"it amplifies some signals about {gain:.2g} times; build the graph with "
            "weights='optimal_symmetric', or allow a larger tolerance"
        )


def _check_error(errors: Float[np.ndarray, "widths"], sigma: Float[np.ndarray, "widths"]) -> float:
    """The largest error, if the graph can be asked for these beams."""
    worst = int(errors.argmax())
    if errors[worst] > LARGEST_ERROR:
        width = sigma[worst] * FWHM_PER_SIGMA * ARCMIN_PER_RADIAN
        raise ValueError(
            f"graph must be one that smooths with an error below {100 * LARGEST_ERROR:g} %, got "
            f"about {100 * errors[worst]:.2g} % for a full width of {width:.4g} arcminutes: its "
            "Laplacian does not act alike everywhere; build one with optimal weights"
        )
    return float(errors[worst])
