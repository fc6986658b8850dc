"""Signals of which not every vertex is known, and the masks that travel with them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MissingName = Literal["raise", "renormalize"]


class MaskedSignals(NamedTuple):
    """Signals with the vertices where they are valid.

    Layers on them are run by `deepsphere.layers.masked.run_layer`. Wherever every vertex is valid a
    plain tensor stands instead (`settled`), on which layers run as they always do.

    Attributes
    ----------
    values : Tensor, shape (*batch, vertices, channels)
        Zero at vertices that are not valid.
    valid : Tensor of bool, shape (*batch, vertices)
    """

    values: Float[Tensor, "*batch vertices channels"]
    valid: Bool[Tensor, "*batch vertices"]


Signals: TypeAlias = Float[Tensor, "..."] | MaskedSignals
"""What travels through a network: a plain tensor where every vertex is valid, masked elsewhere."""


def observed_signals(
    signals: Float[Tensor, "*batch vertices channels"],
    mask: Bool[Tensor, "..."] | None = None,
    *,
    missing: MissingName = "renormalize",
) -> Signals:
    """What a network receives: signals without what is missing in them.

    A vertex is valid where the mask says so and none of its channels is NaN. Nothing else that
    stands at other vertices is looked at, and no gradient reaches it.

    Parameters
    ----------
    signals : Tensor, shape (*batch, vertices, channels)
    mask : Tensor of bool, optional
        Of a shape that broadcasts to (*batch, vertices): the same for all signals, or one each;
        True is valid. None: everywhere but at NaN.
    missing : "raise" or "renormalize"
        With "raise" the signals are returned as they are, and a mask is refused.

    Returns
    -------
    Tensor or MaskedSignals
        The signals themselves where nothing is missing.

    Raises
    ------
    ValueError
        If there is a mask that is not taken, or one of another shape.

    Examples
    --------
    >>> signals = observed_signals(torch.tensor([[1.0], [float("nan")], [3.0]]))
    >>> signals.values.ravel(), signals.valid
    (tensor([1., 0., 3.]), tensor([ True, False,  True]))
    """
    if missing == "raise":
        if mask is not None:
            raise ValueError(
                f"mask must be None in a network with missing='raise', got {tuple(mask.shape)}; "
                "build it with missing='renormalize'"
            )
        return signals
    valid = ~signals.isnan().any(dim=-1)
    if mask is not None:
        _check_mask(mask, valid)
        valid = valid & mask.to(valid.device)
    return signals if _is_full(valid) else MaskedSignals(_cleared(signals, valid), valid)


def settled(
    values: Float[Tensor, "*batch vertices channels"], valid: Bool[Tensor, "*batch vertices"]
) -> Signals:
    """Signals with their mask: a plain tensor where all is valid, else zero where it is not.

    Parameters
    ----------
    values : Tensor, shape (*batch, vertices, channels)
    valid : Tensor of bool, shape (*batch, vertices)

    Returns
    -------
    Tensor or MaskedSignals

    Examples
    --------
    >>> settled(torch.ones(3, 1), torch.tensor([True, True, True])).ravel()
    tensor([1., 1., 1.])
    """
    return values if _is_full(valid) else MaskedSignals(_cleared(values, valid), valid)


def values_of(signals: Signals) -> Float[Tensor, "*batch vertices channels"]:
    """The values alone: zero where nothing is known.

    Parameters
    ----------
    signals : Tensor or MaskedSignals

    Returns
    -------
    Tensor, shape (*batch, vertices, channels)

    Examples
    --------
    >>> values_of(torch.ones(3, 1)).shape
    torch.Size([3, 1])
    """
    return signals if isinstance(signals, Tensor) else signals.values


def valid_of(signals: Signals) -> Bool[Tensor, "*batch vertices"]:
    """The mask alone.

    Parameters
    ----------
    signals : Tensor or MaskedSignals

    Returns
    -------
    Tensor of bool, shape (*batch, vertices)

    Examples
    --------
    >>> valid_of(torch.ones(3, 1))
    tensor([True, True, True])
    """
    if isinstance(signals, Tensor):
        return torch.ones(signals.shape[:-1], dtype=torch.bool, device=signals.device)
    return signals.valid


def concatenate(parts: Sequence[Signals]) -> Signals:
    """Signals side by side on the channel axis.

    A vertex is valid where any of them is; the channels of the others are zero there.

    Parameters
    ----------
    parts : sequence of Tensor or MaskedSignals

    Returns
    -------
    Tensor or MaskedSignals

    Examples
    --------
    >>> concatenate([torch.zeros(3, 1), torch.zeros(3, 4)]).shape
    torch.Size([3, 5])
    """
    values = torch.cat([values_of(part) for part in parts], dim=-1)
    if all(isinstance(part, Tensor) for part in parts):
        return values
    return settled(values, _any_valid(parts))


def add(first: Signals, second: Signals, *, weight: float = 1.0) -> Signals:
    """The sum of the first signals and so many times the second.

    A vertex is valid where either is; the other counts as zero there.

    Parameters
    ----------
    first, second : Tensor or MaskedSignals
        Of one shape.
    weight : float
        Of the second.

    Returns
    -------
    Tensor or MaskedSignals

    Examples
    --------
    >>> add(torch.ones(3, 1), torch.ones(3, 1), weight=0.5).ravel()
    tensor([1.5000, 1.5000, 1.5000])
    """
    values = values_of(first) + weight * values_of(second)
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return values
    return settled(values, _any_valid((first, second)))


def check_missing(missing: str) -> None:
    """Refuse an unknown way to take missing values.

    Parameters
    ----------
    missing : str

    Raises
    ------
    ValueError
        If it is neither "raise" nor "renormalize".

    Examples
    --------
    >>> check_missing("renormalize")
    """
    if missing not in get_args(MissingName):
        raise ValueError(
            f"missing must be one of {', '.join(get_args(MissingName))}, got {missing!r}"
        )


def _check_mask(mask: Tensor, valid: Tensor) -> None:
    """Refuse a mask that does not fit the signals."""
    fits = 1 <= mask.ndim <= valid.ndim and mask.shape[-1] == valid.shape[-1]
    pairs = zip(reversed(mask.shape), reversed(valid.shape), strict=False)
    if mask.dtype != torch.bool or not fits or any(m not in (1, v) for m, v in pairs):
        raise ValueError(
            f"mask must be bool and broadcast to (*batch, vertices), {tuple(valid.shape)}, got "
            f"{tuple(mask.shape)} of {mask.dtype}; it is True at valid vertices"
        )


def _is_full(valid: Tensor) -> bool:
    return bool(valid.all())


def _cleared(values: Tensor, valid: Tensor) -> Tensor:
    """Zero where not valid, whatever stood there; no gradient either."""
    return torch.where(valid.unsqueeze(-1), values, 0)


def _any_valid(parts: Sequence[Signals]) -> Tensor:
    """The vertices where any of several signals is valid."""
    return torch.stack([valid_of(part) for part in parts]).any(dim=0)
