"""Blocks: a graph convolution with what follows it, and two of them beside a shortcut."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.layers.conv import BernsteinConv, ChebConv, MonomialConv
from deepsphere.layers.normalization import NormalizationName, make_normalization
from deepsphere.layers.operator import LaplacianOperator, as_operator

ConvName = Literal["chebyshev", "monomial", "bernstein"]
ActivationName = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "none"]
ShortcutName = Literal["identity", "linear"]

_CONVOLUTIONS: dict[str, type[ChebConv]] = {
    "chebyshev": ChebConv,
    "monomial": MonomialConv,
    "bernstein": BernsteinConv,
}
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


class ConvBlock(nn.Module):
    r"""A graph convolution, then normalization, bias and activation, in that order.

    .. math:: y = \sigma(\mathrm{norm}(g_W(L)\, x) + b)

    The convolution itself has no bias, as the normalization would remove it. With `affine=False`
    and `bias=True` this is the block of the DeepSphere papers; by default the normalization
    learns the shift along with a scale. Only without any normalization is `bias` a plain bias.

    Parameters
    ----------
    graph : SphereGraph or LaplacianOperator
        An operator lets several blocks share the memory of one graph.
    in_channels, out_channels : int, at least 1
    kernel_size : int, at least 1
        Number of coefficients of the filter; its reach is one hop less.
    conv : "chebyshev", "monomial" or "bernstein"
        Basis of the filter.
    normalization : "batch", "layer", "group" or "none"
    affine : bool
        Learn a scale and a shift per channel in the normalization.
    bias : bool
        Learn one number per channel, added after the normalization; zero at first.
    activation : "relu", "leaky_relu", "elu", "gelu", "silu", "tanh" or "none"

    Raises
    ------
    ValueError
        If a name is not one of these or a size is below one.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> block = ConvBlock(graph, in_channels=2, out_channels=5, kernel_size=3)
    >>> block(torch.zeros(4, 48, 2)).shape
    torch.Size([4, 48, 5])

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        graph: SphereGraph | LaplacianOperator,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
    ) -> None:
        super().__init__()
        self.conv = make_conv(
            conv,
            graph,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            bias=False,
        )
        self.norm = make_normalization(normalization, out_channels, affine=affine)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.activation = make_activation(activation)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The signals after the block."""
        signals = self.norm(self.conv(signals))
        if self.bias is not None:
            signals = signals + self.bias
        return self.activation(signals)


class ResidualBlock(nn.Module):
    r"""Two blocks beside a shortcut, added before the last activation.

    .. math:: y = \sigma(\mathrm{norm}(g_2\, \sigma(\mathrm{norm}(g_1 x))) + \alpha\, S x)

    Parameters
    ----------
    graph : SphereGraph or LaplacianOperator
    in_channels, out_channels : int, at least 1
    kernel_size : int, at least 1
        Of both convolutions.
    shortcut : "identity" or "linear"
        The S of the formula: the signal itself, which needs as many channels in as out, or a
        learned matrix from `in_channels` to `out_channels`, the same at every vertex.
    alpha : float
        Weight of the shortcut.
    conv, normalization, affine, bias, activation
        As in `ConvBlock`, for both.

    Raises
    ------
    ValueError
        If a name is not one of these, a size is below one, or the shortcut is "identity" and the
        numbers of channels differ.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> block = ResidualBlock(graph, in_channels=5, out_channels=5, kernel_size=3)
    >>> block(torch.zeros(4, 48, 5)).shape
    torch.Size([4, 48, 5])

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016, section 3.2.
    """

    def __init__(
        self,
        graph: SphereGraph | LaplacianOperator,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        shortcut: ShortcutName = "identity",
        alpha: float = 1.0,
        conv: ConvName = "chebyshev",
        normalization: NormalizationName = "batch",
        affine: bool = True,
        bias: bool = False,
        activation: ActivationName = "relu",
    ) -> None:
        super().__init__()
        operator = as_operator(graph)
        self.alpha = alpha
        self.shortcut = _make_shortcut(shortcut, in_channels, out_channels)
        self.first = ConvBlock(
            operator,
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation=activation,
        )
        self.second = ConvBlock(
            operator,
            in_channels=out_channels,
            out_channels=out_channels,
            kernel_size=kernel_size,
            conv=conv,
            normalization=normalization,
            affine=affine,
            bias=bias,
            activation="none",
        )
        self.activation = make_activation(activation)

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch vertices out_channels"]:
        """The signals after the block."""
        residual = self.second(self.first(signals))
        return self.activation(residual + self.alpha * self.shortcut(signals))


def make_conv(
    name: ConvName,
    graph: SphereGraph | LaplacianOperator,
    *,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    bias: bool = True,
) -> ChebConv:
    """The graph convolution in the basis of that name.

    Parameters
    ----------
    name : "chebyshev", "monomial" or "bernstein"
    graph : SphereGraph or LaplacianOperator
    in_channels, out_channels, kernel_size : int, at least 1
    bias : bool

    Returns
    -------
    ChebConv, MonomialConv or BernsteinConv

    Raises
    ------
    ValueError
        If the name is not one of these.

    Examples
    --------
    >>> import deepsphere as ds
    >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    >>> make_conv("bernstein", graph, in_channels=1, out_channels=2, kernel_size=3).weight.shape
    torch.Size([3, 1, 2])
    """
    if name not in _CONVOLUTIONS:
        raise ValueError(f"conv must be one of {', '.join(get_args(ConvName))}, got {name!r}")
    return _CONVOLUTIONS[name](
        graph,
        in_channels=in_channels,
        out_channels=out_channels,
        kernel_size=kernel_size,
        bias=bias,
    )


def make_activation(name: ActivationName) -> nn.Module:
    """The activation of that name.

    Parameters
    ----------
    name : "relu", "leaky_relu", "elu", "gelu", "silu", "tanh" or "none"

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If the name is not one of these.

    Examples
    --------
    >>> make_activation("relu")
    ReLU()
    """
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"activation must be one of {', '.join(get_args(ActivationName))}, got {name!r}"
        )
    return _ACTIVATIONS[name]()


def _make_shortcut(name: ShortcutName, in_channels: int, out_channels: int) -> nn.Module:
    """The shortcut of a residual block."""
    if name == "linear":
        return nn.Linear(in_channels, out_channels, bias=False)
    if name != "identity":
        raise ValueError(
            f"shortcut must be one of {', '.join(get_args(ShortcutName))}, got {name!r}"
        )
    if in_channels != out_channels:
        raise ValueError(
            "in_channels must equal out_channels with an identity shortcut, got "
            f'{in_channels} and {out_channels}; use shortcut="linear"'
        )
    return nn.Identity()
