"""Blocks: a graph convolution with what follows it, and two of them beside a shortcut."""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.graph.sphere_graph import SphereGraph
from deepsphere.layers.conv import BernsteinConv, ChebConv, MonomialConv
from deepsphere.layers.fusion import Parts, has_hooks, run_fused, run_separately, why_separate
from deepsphere.layers.normalization import BatchNorm, NormalizationName, make_normalization
from deepsphere.layers.operator import LaplacianOperator, as_operator
from deepsphere.layers.pooling import Pool

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
    r"""A graph convolution, then normalization, bias, activation and pooling, in that order.

    .. math:: y = \mathrm{pool}(\sigma(\mathrm{norm}(g_W(L)\, x) + b))

    The convolution itself has no bias, as the normalization would remove it. With `affine=False`
    and `bias=True` this is the block of the DeepSphere papers; by default the normalization
    learns the shift along with a scale. Only without any normalization is `bias` a plain bias.

    Batch normalization (or none), activation ("relu", "gelu" or "none") and a pooling over
    consecutive vertices are fused with the convolution, with the same numbers up to rounding: by
    `eval()` without gradients into one pass over the signal, in training into two. `explain` says
    whether they are. Parts with hooks run one after the other.

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
    pool : Pool, optional
        Applied last.

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
    >>> pool = ds.layers.Pool(graph.pyramid(num_levels=2), level=0, method="max")
    >>> block = ConvBlock(graph, in_channels=2, out_channels=5, kernel_size=3, pool=pool)
    >>> block(torch.zeros(4, 48, 2)).shape
    torch.Size([4, 12, 5])

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
        pool: Pool | None = None,
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
        self.pool = pool

    def forward(
        self, signals: Float[Tensor, "*batch vertices in_channels"]
    ) -> Float[Tensor, "*batch out_vertices out_channels"]:
        """The signals after the block."""
        return self.run(signals, self.pool)

    def explain(self, signals: Float[Tensor, "*batch vertices in_channels"]) -> str:
        """Whether the block would be fused for these signals in its present mode, in words.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)

        Returns
        -------
        str
            Begins with "fused" or "separate".

        Examples
        --------
        >>> import torch, deepsphere as ds
        >>> graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
        >>> block = ConvBlock(graph, in_channels=1, out_channels=2, kernel_size=2, activation="elu")
        >>> block.explain(torch.zeros(48, 1))
        "separate: its activation is not 'relu', 'gelu' or 'none'"
        """
        reason = why_separate(self._parts(self.pool), signals)
        if reason is not None:
            return f"separate: {reason}"
        if isinstance(self.norm, BatchNorm) and self.norm.takes_statistics:
            return "fused: statistics from the filter, then one pass for everything else"
        return "fused: everything in the tiles of the filter"

    def run(
        self, signals: Float[Tensor, "*batch vertices in_channels"], pool: Pool | None
    ) -> Float[Tensor, "*batch out_vertices out_channels"]:
        """The signals after the block and a pooling, whichever it has itself; see `BlockSequence`.

        Parameters
        ----------
        signals : Tensor, shape (*batch, vertices, in_channels)
        pool : Pool or None

        Returns
        -------
        Tensor, shape (*batch, out_vertices, out_channels)
        """
        parts = self._parts(pool)
        if why_separate(parts, signals) is None:
            return run_fused(parts, signals)
        return run_separately(parts, signals)

    def _parts(self, pool: Pool | None) -> Parts:
        # not `self.conv` ...: five searches of attributes that torch makes slow
        parts: dict[str, Any] = self._modules
        return Parts(parts["conv"], parts["norm"], self.bias, parts["activation"], pool)


class BlockSequence(nn.Sequential):
    """Layers one after the other, where a block and the pooling after it are computed together.

    Names, states and numbers (up to rounding) are those of ``torch.nn.Sequential``.

    Examples
    --------
    >>> import torch, deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8).pyramid(num_levels=2)
    >>> layers = BlockSequence(
    ...     ConvBlock(pyramid.graphs[0], in_channels=2, out_channels=5, kernel_size=3),
    ...     ds.layers.Pool(pyramid, level=0, method="max"),
    ... )
    >>> layers(torch.zeros(4, 48, 2)).shape
    torch.Size([4, 12, 5])
    """

    def forward(self, input: Tensor) -> Tensor:
        """The signals after all layers."""
        signals = input  # which is what torch calls it
        waiting: ConvBlock | None = None
        for layer in self:
            if waiting is not None:
                if type(layer) is Pool:
                    signals, waiting = waiting.run(signals, layer), None
                    continue
                signals, waiting = waiting(signals), None
            if type(layer) is ConvBlock and layer.pool is None and not has_hooks(layer):
                waiting = layer
            else:
                signals = layer(signals)
        return signals if waiting is None else waiting(signals)


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
