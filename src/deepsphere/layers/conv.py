"""Graph convolutions: polynomials of the Laplacian, in three bases of the same space."""

import math
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.graph.stability import chebyshev_norm
from deepsphere.layers.operator import LaplacianOperator, as_operator
from deepsphere.ops import chebyshev_filter
from deepsphere.ops.backends import (
    HALF_TYPES,
    BackendName,
    check_backend_name,
    filter_type,
    is_autocast,
)
from deepsphere.ops.polynomials import bernstein_in_chebyshev, monomials_in_chebyshev

# Chebyshev polynomials of every default graph stay near one up to this order.
_ALWAYS_STABLE_ORDER = 8
# A polynomial that can amplify a signal more than this drowns those of low order.
_LARGEST_NORM = 20.0


class ChebConv(nn.Module):
    r"""Convolution on the sphere by Chebyshev polynomials of a graph Laplacian.

    .. math:: y = \sum_{k=0}^{K-1} T_k(2 L / \lambda_{max} - I)\, x\, W_k + b

    with :math:`K` = `kernel_size`. Every vertex reaches ``kernel_size - 1`` hops; the filter is
    isotropic and commutes with rotations as well as the graph does.

    Parameters
    ----------
    graph : SphereGraph or LaplacianOperator
        An operator lets several layers share the memory of one graph.
    in_channels, out_channels : int, at least 1
    kernel_size : int, at least 1
        Number of coefficients per pair of channels; 1 mixes channels and looks at no neighbor.
    bias : bool
    backend : "auto", "cpp", "csr", "triton" or "reference"
        Implementation of the filter; :func:`deepsphere.ops.explain` tells which one "auto" is.

    Attributes
    ----------
    weight : Parameter, shape (kernel_size, in_channels, out_channels)
        Drawn from a normal distribution of variance
        ``2 / (in_channels (kernel_size + 1/2))``, which keeps the variance of a signal through
        a rectifier when the basis signals are orthogonal.
    bias : Parameter, shape (out_channels,), or None
        Zero at first.

    Raises
    ------
    ValueError
        If a size is below one or not an integer, or there is no backend of that name.

    Warns
    -----
    UserWarning
        If the polynomial of the highest order, above 8, can amplify a signal more than 20 times
        (:func:`deepsphere.graph.chebyshev_norms`), which a Laplacian that is self-adjoint never
        does.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=4), num_neighbors=8)
    >>> conv = ds.layers.ChebConv(graph, in_channels=2, out_channels=3, kernel_size=4)
    >>> conv(torch.zeros(5, 192, 2)).shape
    torch.Size([5, 192, 3])

    References
    ----------
    Defferrard, Bresson, Vandergheynst (2016), equation 4; Defferrard et al. (2020), DeepSphere: a
    graph-based spherical CNN, section 2.
    """

    bias: nn.Parameter | None
    to_chebyshev: Tensor | None

    def __init__(
        self,
        graph: SphereGraph | LaplacianOperator,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        bias: bool = True,
        backend: BackendName = "auto",
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "kernel_size": kernel_size,
        }
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {size!r}")
        check_backend_name(backend)
        self.operator = as_operator(graph)
        _check_stable(self.operator.graph, kernel_size)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.backend: BackendName = backend
        self.weight = nn.Parameter(torch.empty(kernel_size, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        basis = self._basis_in_chebyshev(kernel_size)
        self.register_buffer(
            "to_chebyshev", None if basis is None else torch.from_numpy(basis), persistent=False
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight again and set the bias to zero."""
        nn.init.normal_(
            self.weight, std=math.sqrt(2 / (self.in_channels * (self.kernel_size + 0.5)))
        )
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def chebyshev_weight(self) -> Float[Tensor, "kernel_size in_channels out_channels"]:
        """The coefficients of the filter in the Chebyshev basis, whatever basis is learned."""
        if self.to_chebyshev is None:
            return self.weight
        matrix = self.to_chebyshev.to(self.weight.dtype)
        return torch.einsum("kj,jio->kio", matrix, self.weight)

    def forward(
        self, signal: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The convolved signal.

        Parameters
        ----------
        signal : Tensor, shape (*batch, vertices, in_channels)

        Returns
        -------
        Tensor, shape (*batch, vertices, out_channels)

        Raises
        ------
        TypeError
            If the signal is not a tensor, or complex.
        ValueError
            If the last two dimensions are not (vertices, in_channels).
        """
        expected = (self.operator.num_vertices, self.in_channels)
        if not isinstance(signal, Tensor) or signal.is_complex():
            received = signal.dtype if isinstance(signal, Tensor) else type(signal).__name__
            raise TypeError(
                f"signal must be a torch tensor of real numbers, got {received}; "
                "torch.from_numpy makes one of an array, torch.view_as_real of complex values"
            )
        if tuple(signal.shape[-2:]) != expected:
            raise ValueError(
                f"signal must have shape (*batch, {expected[0]} vertices, {expected[1]} channels), "
                f"got {tuple(signal.shape)}; channels come last (see layers.ChannelsFirst)"
            )
        operator, device = self.operator.arrays(), signal.device.type
        dtype = filter_type(signal, operator)
        flat = signal.to(dtype).reshape(math.prod(signal.shape[:-2]), *expected)
        # the filter chooses its type by itself: autocast would undo that in the change of basis
        with torch.autocast(device, enabled=False) if is_autocast(device) else nullcontext():
            weight = self.chebyshev_weight().to(dtype)
            out = chebyshev_filter(flat, weight, operator, backend=self.backend)
        if self.bias is not None:
            # some backends return views, which must not be changed in place under autograd
            out = out + self.bias if torch.is_grad_enabled() else out.add_(self.bias)
        if self.weight.dtype in HALF_TYPES:
            out = out.to(self.weight.dtype)
        return out.view(*signal.shape[:-1], self.out_channels)

    @staticmethod
    def _basis_in_chebyshev(kernel_size: int) -> np.ndarray | None:
        """Column j holds the Chebyshev coefficients of basis polynomial j; None: they are it."""
        return None

    def extra_repr(self) -> str:
        """The sizes, in a network's printout."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"bias={self.bias is not None}"
        )


def _check_stable(graph: SphereGraph, kernel_size: int) -> None:
    """Warn of a polynomial that amplifies some signals beyond use."""
    order = kernel_size - 1
    if order <= _ALWAYS_STABLE_ORDER or graph.vertex_mass is not None:
        return
    norm = chebyshev_norm(graph, order)
    if norm > _LARGEST_NORM:
        warnings.warn(
            f"kernel_size={kernel_size} is unstable on this graph: its polynomial of order {order} "
            f"amplifies some signals {norm:.3g} times, more than {_LARGEST_NORM:g}; use a smaller "
            "kernel_size, or build the graph with weights='optimal_symmetric' (never more than "
            "once) or with more num_neighbors",
            UserWarning,
            stacklevel=3,
        )


class MonomialConv(ChebConv):
    r"""Convolution on the sphere by powers of a graph Laplacian.

    .. math:: y = \sum_{k=0}^{K-1} (2 L / \lambda_{max} - I)^k\, x\, W_k + b

    The same space of filters as :class:`ChebConv` in another basis, evaluated by the same kernel.
    Parameters, attributes, shapes and errors are those of :class:`ChebConv`.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> MonomialConv(graph, in_channels=1, out_channels=2, kernel_size=3)(torch.zeros(48, 1)).shape
    torch.Size([48, 2])
    """

    @staticmethod
    def _basis_in_chebyshev(kernel_size: int) -> np.ndarray:
        """Column j holds the Chebyshev coefficients of basis polynomial j."""
        return monomials_in_chebyshev(kernel_size)


class BernsteinConv(ChebConv):
    r"""Convolution on the sphere by Bernstein polynomials of a graph Laplacian.

    .. math:: y = \sum_{k=0}^{P} \binom{P}{k} s^k (1 - s)^{P-k}\, x\, W_k + b,
              \quad s = L / \lambda_{max},\; P = K - 1

    The spectrum of :math:`s` is [0, 1], as the basis requires; the weight :math:`W_k` is about the
    response of the filter at the eigenvalue :math:`k \lambda_{max} / P`, so positive weights give
    positive responses. Parameters, attributes, shapes and errors are those of :class:`ChebConv`.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> conv = BernsteinConv(graph, in_channels=1, out_channels=1, kernel_size=3, bias=False)
    >>> _ = torch.nn.init.ones_(conv.weight)
    >>> bool(torch.allclose(conv(torch.ones(48, 1)), torch.ones(48, 1)))  # they sum to one
    True

    References
    ----------
    He, Wei, Huang, Xu (2021), BernNet, equation 3 (there on the spectrum [0, 2]).
    """

    @staticmethod
    def _basis_in_chebyshev(kernel_size: int) -> np.ndarray:
        """Column j holds the Chebyshev coefficients of basis polynomial j."""
        return bernstein_in_chebyshev(kernel_size)
