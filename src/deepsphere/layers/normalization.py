"""Normalization of signals: over batch and vertices, over groups of channels, over channels."""

import math
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

NormalizationName = Literal["batch", "layer", "group", "none"]

NUM_GROUPS = 8
"""Largest number of groups that `make_normalization` asks for; fewer where it does not divide."""


class BatchNorm(nn.Module):
    r"""Signals whose channels have mean 0 and variance 1 over the batch and the vertices.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with one :math:`\mu, \sigma^2` per channel: those of the batch while training, running
    averages after `eval()`. Every vertex counts as one more sample, so the layer commutes with
    every permutation of the vertices.

    Parameters
    ----------
    channels : int
        Number of channels, at least 1.
    affine : bool
        Learn the scale γ and the shift β, one each per channel.
    momentum : float
        Share of the batch in the running averages, in (0, 1]; it is 1 minus what TensorFlow
        calls momentum.
    eps : float
        Added to the variance.

    Raises
    ------
    ValueError
        By `forward`, if the number of channels is another one.

    Examples
    --------
    >>> import torch
    >>> x = 3 + torch.randn(16, 12, 2, generator=torch.Generator().manual_seed(0))
    >>> BatchNorm(2)(x).mean(dim=(0, 1)).abs().max().item() < 1e-5
    True

    References
    ----------
    Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", 2015.
    """

    def __init__(
        self, channels: int, affine: bool = True, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.BatchNorm1d(channels, affine=affine, momentum=momentum, eps=eps)

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The normalized signals."""
        _check_channels(signals, self.channels)
        return self.norm(signals.flatten(0, -2)).reshape(signals.shape)

    @property
    def is_plain(self) -> bool:
        """Whether the layer inside is torch's own, not a synchronized or a replaced one."""
        norm = self._modules["norm"]
        return type(norm) is nn.BatchNorm1d and norm.momentum is not None

    @property
    def takes_statistics(self) -> bool:
        """Whether signals are normalized by their own statistics, not by running averages."""
        norm = self._modules["norm"]
        return norm is not None and (norm.training or norm._buffers["running_mean"] is None)

    @torch.no_grad()
    def record(
        self,
        mean: Float[Tensor, " channels"],
        variance: Float[Tensor, " channels"],
        num_values: int,
    ) -> None:
        """Move the running averages as `forward` does, by statistics that were found elsewhere.

        Parameters
        ----------
        mean, variance : Tensor, shape (channels,)
            The variance with `num_values` as divisor.
        num_values : int
            Values per channel, at least 2.
        """
        norm: Any = self.norm
        if not norm.training or not norm.track_running_stats:
            return
        unbiased = variance * (num_values / (num_values - 1))
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)
        norm.num_batches_tracked.add_(1)

    def fixed_map(self) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
        """Scale and shift per channel that the running averages amount to.

        Returns
        -------
        tuple of Tensor
            Both of shape (channels,).
        """
        norm: Any = self._modules["norm"]
        buffers = norm._buffers
        # not kept: parameters can change without a trace, and this takes a few microseconds
        scale = torch.rsqrt(buffers["running_var"] + norm.eps)
        gamma, beta = norm._parameters["weight"], norm._parameters["bias"]
        if gamma is not None:
            scale = scale * gamma
        if beta is None:
            return scale, -buffers["running_mean"] * scale
        return scale, torch.addcmul(beta, buffers["running_mean"], scale, value=-1)


class LayerNorm(nn.Module):
    r"""Signals whose values at each vertex have mean 0 and variance 1 over the channels.

    Parameters
    ----------
    channels : int
        Number of channels, at least 1.
    affine : bool
        Learn a scale and a shift, one each per channel.
    eps : float
        Added to the variance.

    Raises
    ------
    ValueError
        By `forward`, if the number of channels is another one.

    Examples
    --------
    >>> import torch
    >>> LayerNorm(2)(torch.tensor([[[1.0, 3.0], [0.0, 8.0]]])).detach().round()
    tensor([[[-1.,  1.],
             [-1.,  1.]]])

    References
    ----------
    Ba, Kiros and Hinton, "Layer normalization", 2016.
    """

    def __init__(self, channels: int, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine, eps=eps)

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The normalized signals."""
        _check_channels(signals, self.channels)
        return self.norm(signals)


class GroupNorm(nn.Module):
    r"""Signals whose groups of channels have mean 0 and variance 1 over the vertices, per sample.

    The average is over the vertices *and* the channels of a group; it involves a single sample,
    so that training and evaluation are the same function.

    Parameters
    ----------
    num_groups : int
        Number of groups, a divisor of `channels`; with `num_groups=channels` this is instance
        normalization.
    channels : int
        Number of channels.
    affine : bool
        Learn a scale and a shift, one each per channel.
    eps : float
        Added to the variance.

    Raises
    ------
    ValueError
        If `num_groups` does not divide `channels`; by `forward`, if the number of channels is
        another one.

    Examples
    --------
    >>> import torch
    >>> GroupNorm(2, 4)(torch.randn(3, 12, 4)).shape
    torch.Size([3, 12, 4])

    References
    ----------
    Wu and He, "Group normalization", 2018.
    """

    def __init__(
        self, num_groups: int, channels: int, affine: bool = True, eps: float = 1e-5
    ) -> None:
        super().__init__()
        if num_groups < 1 or channels % num_groups:
            raise ValueError(
                f"num_groups must divide the number of channels ({channels}), got {num_groups}; "
                "use 1 to normalize over all channels"
            )
        self.channels = channels
        self.norm = nn.GroupNorm(num_groups, channels, affine=affine, eps=eps)

    def forward(
        self, signals: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The normalized signals."""
        _check_channels(signals, self.channels)
        flat = signals.reshape(math.prod(signals.shape[:-2]), *signals.shape[-2:])
        return self.norm(flat.transpose(-1, -2)).transpose(-1, -2).reshape(signals.shape)


def make_normalization(name: NormalizationName, channels: int, affine: bool = True) -> nn.Module:
    """The normalization layer of that name.

    Parameters
    ----------
    name : str
        "batch" (`BatchNorm`), "layer" (`LayerNorm`), "group" (`GroupNorm` with the largest
        number of groups up to 8 that divides the channels) or "none".
    channels : int
        Number of channels of the signals.
    affine : bool
        Learn a scale and a shift per channel.

    Returns
    -------
    nn.Module
        A layer from (*batch, vertices, channels) to the same shape.

    Raises
    ------
    ValueError
        If the name is not one of these.

    Examples
    --------
    >>> sum(p.numel() for p in make_normalization("batch", 16).parameters())
    32
    >>> make_normalization("none", 16)
    Identity()
    """
    if name == "batch":
        return BatchNorm(channels, affine=affine)
    if name == "layer":
        return LayerNorm(channels, affine=affine)
    if name == "group":
        groups = max(n for n in range(1, NUM_GROUPS + 1) if channels % n == 0)
        return GroupNorm(groups, channels, affine=affine)
    if name == "none":
        return nn.Identity()
    raise ValueError(
        f"normalization must be one of {', '.join(get_args(NormalizationName))}, got {name!r}"
    )


def _check_channels(signals: Tensor, channels: int) -> None:
    """Raise if the last axis is not the channels that the layer was built for."""
    if signals.shape[-1] != channels:
        raise ValueError(
            f"signals must have {channels} channels on their last axis, got shape "
            f"{tuple(signals.shape)}; the layout is (*batch, vertices, channels)"
        )
