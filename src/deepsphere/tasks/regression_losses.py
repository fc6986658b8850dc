"""Losses of regression."""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepsphere.tasks.valid_vertices import batch_mean

LossName = Literal["l2", "l1", "gaussian"]

# Beyond a standard deviation of e^±10 (of standardized targets) a log-variance is cut off: its
# exponential would overrun half precision, and nothing is predicted that well.
LARGEST_LOG_VARIANCE = 20.0


def check_loss(name: str) -> None:
    """Raise if there is no loss of that name.

    Parameters
    ----------
    name

    Raises
    ------
    ValueError
        If it is none of "l2", "l1" and "gaussian".

    Examples
    --------
    >>> check_loss("l1")
    """
    if name not in get_args(LossName):
        raise ValueError(f"loss must be one of {', '.join(get_args(LossName))}, got {name!r}")


def gaussian_nll(
    means: Float[Tensor, "*batch outputs"],
    log_variances: Float[Tensor, "*batch outputs"],
    targets: Float[Tensor, "*batch outputs"],
    *,
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "*batch outputs"] | None = None,
) -> Float[Tensor, ""]:
    r"""Mean negative log-likelihood of targets under Gaussian distributions, in nats.

    .. math:: \tfrac12 \big(s + (t - \mu)^2 e^{-s} + \ln 2\pi\big)

    It is least where the mean is that of the targets and the variance that of their residuals, in
    every region of inputs that a network can tell from others.

    Parameters
    ----------
    means, log_variances
        μ and s; s counts as ±20 beyond that.
    targets
        t, of the same shape.
    areas
        Of the vertices, by which they weigh; None: all weigh the same.
    valid
        Which targets count; None: all.

    Returns
    -------
    Float[Tensor, ""]
        The mean over everything that counts; 0, with zero gradients, where nothing does.

    Examples
    --------
    >>> zero = torch.zeros(1, 1)
    >>> round(gaussian_nll(zero, zero, zero).item(), 4)  # ln √(2 pi)
    0.9189
    """
    if valid is not None:  # a gradient through NaN would be NaN even where it does not count
        means, log_variances, targets = (
            torch.where(valid, values, 0) for values in (means, log_variances, targets)
        )
    bounded = log_variances.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
    squares = (targets - means).square() * torch.exp(-bounded)
    mean = batch_mean(bounded + squares, areas=areas, valid=valid)
    loss = 0.5 * (mean + math.log(2 * math.pi))
    return loss if valid is None else torch.where(valid.any(), loss, 0)
