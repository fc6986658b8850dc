r"""Means over the valid vertices, weighted by area: the one home of what losses and scores count.

Where nothing is valid there is nothing to count: such a part contributes neither value nor weight
to a mean over more, and no gradient. What stands at vertices that are not valid, be it NaN, is
never looked at.
"""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from deepsphere.graph.edge_weights import relative_areas
from deepsphere.ops.backends import HALF_TYPES
from deepsphere.sampling import sampling_from_spec

DifferenceName = Literal["l2", "l1"]
Averaging = Literal["vertices", "weights"]


def weighted_sums(
    values: Float[Tensor, "*batch vertices channels"],
    *,
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "..."] | None = None,
) -> tuple[Float[Tensor, "*batch channels"], Float[Tensor, "*batch channels"]]:
    r"""The sums :math:`\sum_i a_i m_i x_i` and :math:`\sum_i a_i m_i` over the vertices.

    Their sums over several batches, one divided by the other, are the exact mean over all.

    Parameters
    ----------
    values : Tensor, shape (*batch, vertices, channels)
        x; anything where it is not valid.
    areas : Tensor, shape (vertices,), optional
        a, nonnegative, in any unit; None: ones.
    valid : Tensor of bool, optional
        m, True where a value counts: for all channels alike, of a shape that broadcasts to
        (*batch, vertices) and has fewer axes than the values; or for each channel, with as many
        axes as the values. None: everywhere.

    Returns
    -------
    tuple of Tensor
        Both (*batch, channels), in the type of the values, at least float32. No gradient reaches a
        value that is not valid.

    Raises
    ------
    ValueError
        If there are not as many areas as vertices, or the mask does not fit the values.

    Examples
    --------
    >>> values = torch.tensor([[1.0], [float("nan")], [4.0]])
    >>> total, weight = weighted_sums(
    ...     values, areas=torch.tensor([1.0, 1.0, 2.0]), valid=torch.tensor([True, False, True])
    ... )
    >>> (total / weight).item()
    3.0
    """
    dtype = torch.promote_types(values.dtype, torch.float32)
    weights = _weights(values, areas=areas, dtype=dtype)
    if valid is not None:
        mask = channel_mask(values, valid)
        values = torch.where(mask, values, 0)
        weights = torch.where(mask, weights, 0)
    total = (weights * values.to(dtype)).sum(dim=-2)
    return total, weights.expand(values.shape).sum(dim=-2)


def weighted_mean(
    values: Float[Tensor, "*batch vertices channels"],
    *,
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, "*batch channels"]:
    r"""The mean over the valid vertices, :math:`\sum_i a_i m_i x_i / \sum_i a_i m_i`: for scores.

    Where no vertex is valid there is no mean: it is NaN there, which `torch.nanmean` leaves out,
    and its gradient is zero. For a loss see `batch_mean`.

    Parameters
    ----------
    values, areas, valid
        As of `weighted_sums`.

    Returns
    -------
    Tensor, shape (*batch, channels)
        In the type of the values, at least float32.

    Raises
    ------
    ValueError
        As `weighted_sums`.

    Examples
    --------
    >>> values = torch.tensor([[[1.0], [5.0]], [[2.0], [6.0]]])
    >>> valid = torch.tensor([[True, True], [False, True]])
    >>> weighted_mean(values, areas=torch.tensor([3.0, 1.0]), valid=valid)
    tensor([[2.],
            [6.]])
    >>> weighted_mean(values, valid=torch.tensor([False, False])).isnan().all().item()
    True
    """
    total, weight = weighted_sums(values, areas=areas, valid=valid)
    counted = weight > 0
    mean = total / torch.where(counted, weight, 1)
    return torch.where(counted, mean, torch.nan)


def batch_mean(
    values: Float[Tensor, "*batch vertices channels"],
    *,
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    r"""One mean over samples, valid vertices and channels: for losses.

    .. math:: \sum_{bic} a_i m_{bic} x_{bic} \Big/ \sum_{bic} a_i m_{bic}

    Every valid unit of area weighs the same, in whichever sample it is; a sample without valid
    vertices contributes nothing. Where nothing is valid in the whole batch the mean is 0 and so
    are all gradients: a step of plain gradient descent then changes nothing. Where all is valid and
    areas are not given it is ``values.mean()`` to the last bit.

    Parameters
    ----------
    values, areas, valid
        As of `weighted_sums`.

    Returns
    -------
    Tensor, shape ()

    Raises
    ------
    ValueError
        As `weighted_sums`.

    Examples
    --------
    >>> values = torch.tensor([[[1.0], [5.0]], [[2.0], [float("nan")]]])
    >>> batch_mean(values, valid=~values.isnan()).item()  # (1 + 5 + 2) / 3
    2.6666667461395264
    >>> batch_mean(values, valid=torch.zeros(2, 2, dtype=torch.bool)).item()
    0.0
    """
    if areas is None and values.numel():
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        if valid is None:
            return values.mean()
        mask = channel_mask(values, valid)
        count = mask.expand(values.shape).sum().to(values.dtype)
        # a factor that is one, rather than a look whether all is valid, which waits for the device
        inverse_share = torch.full_like(count, values.numel()) / count.clamp(min=1)
        return torch.where(mask, values, 0).mean() * inverse_share
    total, weight = weighted_sums(values, areas=areas, valid=valid)
    return _ratio_or_zero(total.sum(), weight.sum())


def difference_loss(
    outputs: Float[Tensor, "*batch vertices channels"],
    targets: Float[Tensor, "*batch vertices channels"],
    *,
    loss: DifferenceName = "l2",
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    r"""Mean squared or absolute difference over the valid vertices.

    A target that is NaN was not observed and does not count, whatever the mask says; an output that
    is NaN where a target counts makes the loss NaN, as it should.

    Parameters
    ----------
    outputs, targets : Tensor, shape (*batch, vertices, channels)
    loss : "l2" or "l1"
        Of the differences: the squares or the absolute values.
    areas, valid
        As of `weighted_sums`.

    Returns
    -------
    Tensor, shape ()
        As of `batch_mean`: 0, with zero gradients, where nothing counts.

    Raises
    ------
    ValueError
        If there is no such loss, or as `weighted_sums`.

    Examples
    --------
    >>> targets = torch.tensor([[1.0], [float("nan")], [3.0]])
    >>> difference_loss(torch.zeros(3, 1), targets).item()
    5.0
    >>> difference_loss(torch.zeros(3, 1), targets, loss="l1").item()
    2.0
    """
    if loss not in get_args(DifferenceName):
        raise ValueError(f"loss must be one of {', '.join(get_args(DifferenceName))}, got {loss!r}")
    mask = ~targets.isnan()
    if valid is not None:
        mask = mask & channel_mask(targets, valid)
    # zeros before the square: a gradient through NaN would be NaN even where it does not count
    differences = torch.where(mask, outputs - targets, 0)
    if differences.dtype in HALF_TYPES:  # whose squares may overrun
        differences = differences.float()
    values = differences.square() if loss == "l2" else differences.abs()
    return batch_mean(values, areas=areas, valid=mask)


def cross_entropy_loss(
    logits: Float[Tensor, "*batch vertices classes"],
    labels: Int[Tensor, "*batch vertices"],
    *,
    class_weights: Float[Tensor, "classes"] | None = None,
    averaging: Averaging = "weights",
    areas: Float[Tensor, "vertices"] | None = None,
    valid: Bool[Tensor, "..."] | None = None,
) -> Float[Tensor, ""]:
    r"""Mean cross-entropy over the valid vertices, in nats.

    With the weight w of each class and l the negative logarithm of the probability of the label y,

    ==============  ==========================================================================
    ``"weights"``   :math:`\sum a m w_y l / \sum a m w_y`, as torch's cross-entropy averages
    ``"vertices"``  :math:`\sum a m w_y l / \sum a m`
    ==============  ==========================================================================

    Parameters
    ----------
    logits : Tensor, shape (*batch, vertices, classes)
    labels : Tensor of integers, shape (*batch, vertices)
        From 0; a negative one was not observed and does not count.
    class_weights : Tensor, shape (classes,), optional
        w, nonnegative; None: ones, and both averages are the same.
    averaging : "weights" or "vertices"
        What a mean is divided by.
    areas : Tensor, shape (vertices,), optional
        a; None: ones.
    valid : Tensor of bool, optional
        m, of a shape that broadcasts to (*batch, vertices).

    Returns
    -------
    Tensor, shape ()
        0, with zero gradients, where nothing counts.

    Raises
    ------
    ValueError
        If there is no such averaging, or as `weighted_sums`.

    Examples
    --------
    >>> logits, labels = torch.zeros(5, 3), torch.tensor([0, 1, 2, -1, -1])
    >>> round(cross_entropy_loss(logits, labels).item(), 4)  # ln 3
    1.0986
    >>> weights = torch.tensor([1.0, 2.0, 3.0])
    >>> loss = cross_entropy_loss(logits, labels, class_weights=weights, averaging="vertices")
    >>> round(loss.item(), 4)  # 2 ln 3
    2.1972
    """
    if averaging not in get_args(Averaging):
        raise ValueError(
            f"averaging must be one of {', '.join(get_args(Averaging))}, got {averaging!r}"
        )
    counts = (labels >= 0).unsqueeze(-1)
    if valid is not None:
        counts = counts & channel_mask(logits[..., :1], valid)
    labels = labels.clamp(min=0).unsqueeze(-1).long()
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # zeros before the logarithm: see `difference_loss`
    logarithms = torch.log_softmax(torch.where(counts, logits, 0), dim=-1)
    losses = -logarithms.gather(-1, labels)
    if class_weights is None:
        return batch_mean(losses, areas=areas, valid=counts)
    weights = class_weights.to(losses.dtype)[labels]
    total, _ = weighted_sums(weights * losses, areas=areas, valid=counts)
    if averaging == "vertices":
        weights = torch.ones_like(weights)
    weight, _ = weighted_sums(weights, areas=areas, valid=counts)
    return _ratio_or_zero(total.sum(), weight.sum())


def areas_like(
    values: Float[Tensor, "*batch vertices channels"], spec: str | None
) -> Float[Tensor, "vertices"] | None:
    """By what vertices weigh, in the type of values, at least float32, and where they are.

    Parameters
    ----------
    values
        Shape (*batch, vertices, channels).
    spec
        Specification of the sampling by whose areas they weigh; None: all weigh the same.

    Returns
    -------
    Float[Tensor, "vertices"] or None
        Areas, in the whole sampling of mean one; None where all weigh the same.

    Raises
    ------
    ValueError
        If there is no such sampling.

    Examples
    --------
    >>> areas_like(torch.zeros(12, 1), "healpix:1").mean().item()
    1.0
    >>> areas_like(torch.zeros(12, 1), None) is None
    True
    """
    if spec is None:
        return None
    dtype = torch.promote_types(values.dtype, torch.float32)
    return torch.from_numpy(_areas_of(spec)).to(values.device, dtype, copy=True)


def channel_mask(
    values: Float[Tensor, "*batch vertices channels"], valid: Bool[Tensor, "..."]
) -> Bool[Tensor, "..."]:
    """A mask of vertices or of values, so that it broadcasts to the values.

    Parameters
    ----------
    values : Tensor, shape (*batch, vertices, channels)
    valid : Tensor of bool
        As of `weighted_sums`.

    Returns
    -------
    Tensor of bool
        With as many axes as the values.

    Raises
    ------
    ValueError
        If it does not fit the values.

    Examples
    --------
    >>> channel_mask(torch.zeros(5, 12, 2), torch.ones(12, dtype=torch.bool)).shape
    torch.Size([1, 12, 1])
    """
    mask = valid
    if mask.ndim < values.ndim:
        mask = mask.unsqueeze(-1)
    mask = mask[(None,) * (values.ndim - mask.ndim)]
    sizes = zip(mask.shape, values.shape, strict=False)
    if valid.ndim not in range(1, values.ndim + 1) or any(m not in (1, v) for m, v in sizes):
        raise ValueError(
            "valid must broadcast to (*batch, vertices) or be of the shape of the values, "
            f"{tuple(values.shape)}, got {tuple(valid.shape)}; it is True where a value counts"
        )
    return mask


def _weights(values: Tensor, *, areas: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weights of the vertices (vertices, 1)."""
    num_vertices = values.shape[-2]
    if areas is None:
        return values.new_ones(num_vertices, 1, dtype=dtype)
    if areas.shape != (num_vertices,):
        raise ValueError(
            f"areas must be one per vertex ({num_vertices}), got shape {tuple(areas.shape)}; they "
            "are those of the sampling, torch.tensor(sampling.areas)"
        )
    return areas.to(values.device, dtype).unsqueeze(-1)


def _ratio_or_zero(total: Tensor, weight: Tensor) -> Tensor:
    """The ratio, or zero where nothing was counted, for which the gradients are zero too."""
    return total / torch.where(weight > 0, weight, 1)


@lru_cache(maxsize=4)
def _areas_of(spec: str) -> np.ndarray:
    """Those of a sampling, remembered."""
    return relative_areas(sampling_from_spec(spec))
