"""Losses of regression."""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

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

    Returns
    -------
    Float[Tensor, ""]
        The mean over everything.

    Examples
    --------
    >>> zero = torch.zeros(1, 1)
    >>> round(gaussian_nll(zero, zero, zero).item(), 4)  # ln √(2 pi)
    0.9189
    """
    bounded = log_variances.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
    squares = (targets - means).square() * torch.exp(-bounded)
    return 0.5 * ((bounded + squares).mean() + math.log(2 * math.pi))
