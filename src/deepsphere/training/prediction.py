"""Predictions of a trained model for signals in memory, with every input checked."""

from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from deepsphere.data.healpix_fits import Ordering
from deepsphere.data.readers import check_finite
from deepsphere.sampling import (
    Healpix,
    Sampling,
    nested_to_ring,
    ring_to_nested,
    sampling_from_spec,
)
from deepsphere.training.checkpoint import model_sampling, sampling_ordering

Mismatch = Literal["raise", "reorder"]


def predict(
    model: nn.Module,
    signals: Float[np.ndarray, "signals vertices channels"],
    *,
    batch_size: int = 64,
    ordering: Ordering | None = None,
    sampling: str | None = None,
    mismatch: Mismatch = "raise",
    progress: bool = False,
) -> Float[np.ndarray, "signals ..."]:
    """Outputs of a model for each signal, in evaluation mode and without gradients.

    Parameters
    ----------
    model
        A model of `deepsphere.models`; its mode is put back afterwards.
    signals
        Shape (signals, vertices, channels), finite.
    batch_size
        How many signals are in memory of the device at a time.
    ordering
        Order of the HEALPix pixels of the signals; None when it is known to be the model's.
    sampling
        Specification of the sampling of the signals, where it is known: it must be the model's.
    mismatch
        What to do when the signals are in RING order and the model in NESTED, or the reverse:
        "raise", or "reorder" the signals (and predictions for each vertex back).
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Float[np.ndarray, "signals ..."]
        Shape (signals, outputs) or (signals, vertices, outputs), float32.

    Raises
    ------
    TypeError
        If the signals are not an array.
    ValueError
        If the shape, the ordering or the sampling is not the model's, or a value of the signals or
        of the predictions is not finite.

    Examples
    --------
    >>> predict(nn.Flatten(), np.ones((2, 3, 1), np.float32))
    array([[1., 1., 1.], [1., 1., 1.]], dtype=float32)
    """
    if not isinstance(signals, np.ndarray):
        raise TypeError(
            f"signals must be a NumPy array, got {type(signals).__name__}; "
            "call the model itself with tensors"
        )
    if mismatch not in get_args(Mismatch):
        raise ValueError(
            f"mismatch must be one of {', '.join(get_args(Mismatch))}, got {mismatch!r}"
        )
    if ordering not in (None, *get_args(Ordering)):
        raise ValueError(
            f"ordering must be one of {', '.join(get_args(Ordering))}, got {ordering!r}"
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if sampling is not None:
        given = sampling_from_spec(sampling)
        ordering = ordering or sampling_ordering(given)
        _check_sampling(model_sampling(model), given)
    _check_shape(model, signals)
    check_finite(signals)
    order = _reordering(model, ordering, mismatch)
    if order is None:
        return _run(model, signals, batch_size=batch_size, progress=progress)
    outputs = _run(model, signals[:, order], batch_size=batch_size, progress=progress)
    if outputs.ndim == 3:  # a prediction for each vertex: back into the order it came in
        outputs = outputs[:, np.argsort(order)]
    return outputs


def _run(model: nn.Module, signals: np.ndarray, *, batch_size: int, progress: bool) -> np.ndarray:
    """Outputs, batch by batch, on the device and in the dtype of the model."""
    parameter = next(model.parameters(), torch.zeros(0))
    starts = range(0, len(signals), batch_size)
    batches = starts
    if progress:
        from deepsphere.training.progress import track

        batches = track(starts, "predicting", total=len(starts))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            outputs = [
                model(torch.tensor(signals[start : start + batch_size]).to(parameter))
                for start in batches
            ]
    finally:
        model.train(was_training)
    predictions = torch.cat(outputs).float().cpu().numpy()
    num_bad = int((~np.isfinite(predictions)).sum())
    if num_bad:
        raise ValueError(
            f"predictions must be finite, got {num_bad} of {predictions.size} that are not, from "
            f"signals up to {np.abs(signals).max():.3g}; scale the signals as those of the "
            "training, or train anew if the weights are not finite"
        )
    return predictions


def _check_shape(model: Any, signals: np.ndarray) -> None:
    """Raise unless vertices and channels are the model's."""
    if signals.ndim != 3 or 0 in signals.shape:
        raise ValueError(
            "signals must have shape (signals, vertices, channels) and not be empty, "
            f"got {signals.shape}"
        )
    sampling = model_sampling(model)
    if sampling is None:
        return
    if signals.shape[1] != sampling.num_vertices:
        raise ValueError(
            f"signals must have {sampling.num_vertices} vertices, those of the model's "
            f"{_shorten(sampling.spec)}, got {signals.shape[1]} (shape {signals.shape}); "
            "transfer them to that sampling"
        )
    num_channels = model.spec["config"]["in_channels"]
    if signals.shape[2] != num_channels:
        raise ValueError(
            f"signals must have {num_channels} channels, as the model was trained with, "
            f"got {signals.shape[2]} (shape {signals.shape})"
        )


def _check_sampling(own: Sampling | None, given: Sampling) -> None:
    """Raise unless the sampling is the model's, up to the order of HEALPix pixels."""
    if isinstance(given, Healpix) and isinstance(own, Healpix) and given.nside == own.nside:
        return
    if own is not None and given != own:
        raise ValueError(
            f"signals must be on the sampling of the model, {_shorten(own.spec)}, "
            f"got {_shorten(given.spec)}; transfer them to that sampling"
        )


def _reordering(
    model: Any, ordering: Ordering | None, mismatch: Mismatch
) -> Int[np.ndarray, "vertices"] | None:
    """Indices that bring signals into the order of the model, None where they are in it."""
    sampling = model_sampling(model)
    own = sampling_ordering(sampling)
    if ordering is None or ordering == own:
        return None
    if own is None:
        raise ValueError(
            f"ordering must be None for a model that is not on HEALPix, got {ordering!r}"
        )
    if not isinstance(sampling, Healpix):
        raise ValueError(
            f"signals must be in {own.upper()} order, in which the subset of the model was chosen, "
            f"got {ordering.upper()}; take its pixels from a full map in {own.upper()} order"
        )
    if mismatch == "raise":
        raise ValueError(
            f"signals must be in {own.upper()} order, in which the model was trained, got "
            f'{ordering.upper()}; reorder them, or ask for it: mismatch="reorder", --reorder'
        )
    return (nested_to_ring if own == "nested" else ring_to_nested)(sampling.nside)


def _shorten(spec: str) -> str:
    """Specification that fits in a message: those of scattered points hold all of them."""
    return spec if len(spec) <= 60 else spec[:57] + "..."
