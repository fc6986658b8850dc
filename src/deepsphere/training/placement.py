"""Which vertex of the signals is which of a network, and the network on what there is of them."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from torch import nn

from deepsphere.data.healpix_fits import Ordering
from deepsphere.data.readers import check_finite
from deepsphere.models.retargeting import to_sampling
from deepsphere.sampling import (
    Healpix,
    Sampling,
    Subset,
    nested_to_ring,
    ring_to_nested,
)
from deepsphere.training.checkpoint import model_sampling, sampling_ordering

Mismatch = Literal["raise", "reorder", "adapt"]


@dataclass(frozen=True, eq=False)
class Placement:
    """A network, and which vertices of the signals it takes, in its order.

    Parameters
    ----------
    model
        The network, on the sampling of what it takes.
    order
        Vertices of the signals; None: all, as they are.
    num_given
        Number of vertices of the signals.
    """

    model: nn.Module
    order: Int[np.ndarray, "vertices"] | None
    num_given: int

    def arrange(
        self, signals: Float[np.ndarray, "signals given channels"]
    ) -> Float[np.ndarray, "signals vertices channels"]:
        """What the network takes of the signals."""
        return signals if self.order is None else signals[:, self.order]

    def restore(
        self, outputs: Float[np.ndarray, "signals ..."]
    ) -> Float[np.ndarray, "signals ..."]:
        """The outputs; those for each vertex in the order of the signals, NaN where none is."""
        if self.order is None or outputs.ndim != 3:
            return outputs
        restored = np.full(
            (len(outputs), self.num_given, outputs.shape[2]), np.nan, dtype=outputs.dtype
        )
        restored[:, self.order] = outputs
        return restored


def place_signals(
    model: nn.Module,
    signals: Float[np.ndarray, "signals vertices channels"],
    *,
    sampling: Sampling | None,
    ordering: Ordering | None,
    mismatch: Mismatch,
) -> Placement:
    """How signals come to a network, or the network to them.

    Parameters
    ----------
    model
        The network.
    signals
        Shape (signals, vertices, channels). NaN is what was not observed: missing values for a
        network that takes them (``missing="renormalize"``), to be left out where another is
        adapted, and an error elsewhere.
    sampling
        Of the signals, None if it is not known.
    ordering
        Order of the HEALPix pixels of the signals, None when it is known to be the model's, or by
        their sampling.
    mismatch
        As in `predict`.

    Returns
    -------
    Placement

    Raises
    ------
    ValueError
        If the signals do not fit.
    """
    own = model_sampling(model)
    if mismatch == "adapt" and own is not None:
        _check_channels(model, signals)
        given = sampling or guess_sampling(own, signals.shape[1], ordering)
        _check_size(given, signals)
        return _adapted(model, own, given, signals)
    if sampling is not None:
        ordering = ordering or sampling_ordering(sampling)
        _check_size(sampling, signals)
        order = _matching(own, sampling, mismatch)
        if own is not None:
            _check_channels(model, signals)
        check_values(model, signals)
        return Placement(model, order, signals.shape[1])
    if own is not None:
        _check_vertices(own, signals)
        _check_channels(model, signals)
    check_values(model, signals)
    return Placement(model, _reordering(own, ordering, mismatch), signals.shape[1])


def guess_sampling(own: Sampling, num_vertices: int, ordering: Ordering | None) -> Sampling:
    """The sampling of signals that nothing is said of: the model's, or a HEALPix sphere.

    Parameters
    ----------
    own
        Sampling of the model.
    num_vertices
        Of the signals.
    ordering
        Of HEALPix pixels, None: that of the model.

    Returns
    -------
    Sampling

    Raises
    ------
    ValueError
        If there is none with so many vertices.
    """
    model_ordering = sampling_ordering(own)
    if num_vertices == own.num_vertices and ordering in (None, model_ordering):
        return own
    nside = math.isqrt(num_vertices // 12)
    if model_ordering is not None and num_vertices == 12 * nside**2 and nside > 0:
        return Healpix(nside, ordering=ordering or model_ordering)
    raise ValueError(
        f"sampling must be given for signals of {num_vertices} vertices, got none: they are not "
        "those of the model, nor a HEALPix sphere; name it, e.g. --sampling fibonacci:"
        f"{num_vertices}"
    )


def name_of(sampling: Sampling) -> str:
    """What to call a sampling in a message: the specification of some holds all of their points."""
    return sampling.spec if len(sampling.spec) <= 60 else repr(sampling)


def takes_missing(model: nn.Module) -> bool:
    """Whether NaN are missing values to a network, built with ``missing="renormalize"``.

    Parameters
    ----------
    model

    Returns
    -------
    bool

    Examples
    --------
    >>> takes_missing(nn.Identity())
    False
    """
    return getattr(model, "missing", "raise") == "renormalize"


def check_values(
    model: nn.Module,
    signals: Float[np.ndarray, "signals vertices channels"],
    *,
    name: str = "signals",
) -> None:
    """Raise unless all values are finite, but for NaN where the network takes them.

    Parameters
    ----------
    model
    signals
        Shape (signals, vertices, channels).
    name
        What to call the signals in the message.

    Raises
    ------
    ValueError
        If a value is infinite, or NaN for a network that takes none.

    Examples
    --------
    >>> check_values(nn.Identity(), np.zeros((1, 12, 1)))
    """
    if takes_missing(model):
        signals = np.nan_to_num(signals, nan=0.0, posinf=np.inf, neginf=-np.inf)
    check_finite(signals, name=name)


def _adapted(model: nn.Module, own: Sampling, given: Sampling, signals: np.ndarray) -> Placement:
    """The network on the vertices that were observed in all signals."""
    check_finite(np.nan_to_num(signals, nan=0.0, posinf=np.inf, neginf=-np.inf))
    kept = np.arange(signals.shape[1])
    if not takes_missing(model):
        kept = np.flatnonzero(~np.isnan(signals).any(axis=(0, 2)))
    if len(kept) == 0:
        raise ValueError(
            "signals must have a vertex that was observed in all of them, got none without NaN; "
            "leave out the mask, or the signals or channels that are empty"
        )
    seen = given if len(kept) == given.num_vertices else given.subset(kept)
    order = _permutation(own, seen)
    if order is not None:
        return Placement(model, kept[order], signals.shape[1])
    target, order = _canonical(seen, sampling_ordering(own) or "nested")
    moved = to_sampling(model, target, disconnected="allow")
    return Placement(moved, kept[order], signals.shape[1])


def _canonical(sampling: Sampling, ordering: Ordering) -> tuple[Sampling, np.ndarray]:
    """The same pixels in increasing order of an ordering, and where they were."""
    whole, pixels = _whole_and_pixels(sampling)
    if not isinstance(whole, Healpix):
        return sampling, np.arange(sampling.num_vertices)
    if whole.ordering != ordering:
        pixels = _other_numbers(whole)[pixels]
        whole = Healpix(whole.nside, ordering=ordering)
    order = np.argsort(pixels)
    if len(pixels) == whole.num_vertices:
        return whole, order
    return whole.subset(pixels[order]), order


def _permutation(own: Sampling, given: Sampling) -> np.ndarray | None:
    """The vertices of the given sampling in the order of another one; None if they differ."""
    if given == own:
        return np.arange(own.num_vertices)
    wholes = [_whole_and_pixels(sampling)[0] for sampling in (own, given)]
    if not all(isinstance(whole, Healpix) for whole in wholes):
        return None
    (ours, our_order), (theirs, their_order) = (
        _canonical(sampling, wholes[0].ordering) for sampling in (own, given)
    )
    if ours != theirs:
        return None
    places = np.empty(len(our_order), dtype=np.int64)
    places[our_order] = their_order
    return places


def _whole_and_pixels(sampling: Sampling) -> tuple[Any, np.ndarray]:
    """The whole of a subset, and the indices in it."""
    if isinstance(sampling, Subset):
        return sampling.base, sampling.indices
    return sampling, np.arange(sampling.num_vertices)


def _other_numbers(whole: Healpix) -> np.ndarray:
    """The number in the other ordering of each pixel."""
    # `ring_to_nested` holds the NESTED number of each pixel in RING order
    is_ring = whole.ordering == "ring"
    return (ring_to_nested if is_ring else nested_to_ring)(whole.nside)


def _matching(
    own: Sampling | None, given: Sampling, mismatch: Mismatch
) -> Int[np.ndarray, "vertices"] | None:
    """Indices that bring signals on a sampling into the order of the model."""
    if own is None or given == own:
        return None
    order = _permutation(own, given)
    if order is None:
        raise ValueError(
            f"signals must be on the sampling of the model, {name_of(own)}, "
            f"got {name_of(given)}; transfer them to that sampling, or ask for the network on "
            'theirs: mismatch="adapt", --adapt' + _hint_of_patches(own, given)
        )
    if mismatch == "raise" and sampling_ordering(own) != sampling_ordering(given):
        _refuse_ordering(sampling_ordering(own), sampling_ordering(given))
    return order


def _hint_of_patches(own: Sampling, given: Sampling) -> str:
    """What else can be done for a network on a patch and a map of the whole sphere."""
    whole, _ = _whole_and_pixels(own)
    if isinstance(own, Subset) and isinstance(given, Healpix) and whole.nside == given.nside:
        return ", or on each patch: --patches each"
    return ""


def _check_size(sampling: Sampling, signals: np.ndarray) -> None:
    """Raise unless the signals have the vertices of the sampling that they are said to be on."""
    if sampling.num_vertices != signals.shape[1]:
        raise ValueError(
            f"signals must have the {sampling.num_vertices} vertices of their sampling, "
            f"{name_of(sampling)}, got {signals.shape[1]} (shape {signals.shape}); name the "
            "right one"
        )


def _check_vertices(own: Sampling, signals: np.ndarray) -> None:
    """Raise unless the number of vertices is the model's."""
    if signals.shape[1] != own.num_vertices:
        raise ValueError(
            f"signals must have {own.num_vertices} vertices, those of the model's "
            f"{name_of(own)}, got {signals.shape[1]} (shape {signals.shape}); "
            "transfer them to that sampling, or ask for the network on theirs: "
            'mismatch="adapt", --adapt'
        )


def _check_channels(model: Any, signals: np.ndarray) -> None:
    """Raise unless the number of channels is the model's."""
    num_channels = model.spec["config"]["in_channels"]
    if signals.shape[2] != num_channels:
        raise ValueError(
            f"signals must have {num_channels} channels, as the model was trained with, "
            f"got {signals.shape[2]} (shape {signals.shape}); choose some with --channels"
        )


def _reordering(
    own: Sampling | None, ordering: Ordering | None, mismatch: Mismatch
) -> Int[np.ndarray, "vertices"] | None:
    """Indices that bring signals into the order of the model, None where they are in it."""
    model_ordering = sampling_ordering(own)
    if ordering is None or ordering == model_ordering:
        return None
    if model_ordering is None:
        raise ValueError(
            f"ordering must be None for a model that is not on HEALPix, got {ordering!r}"
        )
    if not isinstance(own, Healpix):
        raise ValueError(
            f"signals must be in {model_ordering.upper()} order, in which the subset of the model "
            f"was chosen, got {ordering.upper()}; take its pixels from a full map in "
            f"{model_ordering.upper()} order, or say which they are: --sampling"
        )
    if mismatch == "raise":
        _refuse_ordering(model_ordering, ordering)
    return (nested_to_ring if model_ordering == "nested" else ring_to_nested)(own.nside)


def _refuse_ordering(own: Ordering | None, given: Ordering | None) -> None:
    """Raise since the signals are in the other order."""
    raise ValueError(
        f"signals must be in {str(own).upper()} order, in which the model was trained, got "
        f'{str(given).upper()}; reorder them, or ask for it: mismatch="reorder", --reorder'
    )
