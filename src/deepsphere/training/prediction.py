"""Predictions of a trained model for signals in memory, with every input checked."""

from collections.abc import Iterable
from typing import get_args

import numpy as np
from jaxtyping import Float
from torch import nn

from deepsphere.data.healpix_fits import Ordering
from deepsphere.models.batches import run_in_batches
from deepsphere.sampling import Healpix, Sampling, Subset, sampling_from_spec
from deepsphere.training.checkpoint import model_sampling, sampling_ordering
from deepsphere.training.placement import Mismatch, guess_sampling, name_of, place_signals


def predict(
    model: nn.Module,
    signals: Float[np.ndarray, "signals vertices channels"],
    *,
    batch_size: int = 64,
    ordering: Ordering | None = None,
    sampling: str | Sampling | None = None,
    mismatch: Mismatch = "raise",
    progress: bool = False,
) -> Float[np.ndarray, "signals ..."]:
    """Outputs of a model for each signal, in evaluation mode and without gradients.

    Parameters
    ----------
    model
        A model of `deepsphere.models`; its mode is put back afterwards.
    signals
        Shape (signals, vertices, channels), finite, but that NaN is what was not observed for a
        network with ``missing="renormalize"``, or with "adapt".
    batch_size
        How many signals are in memory of the device at a time.
    ordering
        Order of the HEALPix pixels of the signals; None when it is known to be the model's.
    sampling
        The sampling of the signals or its specification, where it is known. HEALPix pixels that
        are those of the model, in whatever order they are listed, are taken in its order.
    mismatch
        What to do when the signals are in RING order and the model in NESTED, or the reverse:
        "raise", or "reorder" the signals (and predictions for each vertex back). "adapt" takes
        them as they are: on another resolution, on the whole sphere for a network trained on a
        part of it, without the vertices where any of them is NaN if the network does not take
        missing values. Its graphs are built anew for what is left
        (`deepsphere.models.retargeting.to_sampling`).
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Float[np.ndarray, "signals ..."]
        Shape (signals, outputs) or (signals, vertices, outputs), float32; NaN at vertices that
        were left out.

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
    _check_axes(signals)
    where = sampling_from_spec(sampling) if isinstance(sampling, str) else sampling
    placement = place_signals(model, signals, sampling=where, ordering=ordering, mismatch=mismatch)
    outputs = _run(
        placement.model, placement.arrange(signals), batch_size=batch_size, progress=progress
    )
    return placement.restore(outputs)


def predict_patches(
    model: nn.Module,
    signals: Float[np.ndarray, "signals vertices channels"],
    *,
    batch_size: int = 64,
    ordering: Ordering | None = None,
    sampling: str | Sampling | None = None,
    mismatch: Mismatch = "raise",
    progress: bool = False,
) -> Float[np.ndarray, "signals patches ..."]:
    """Outputs of a model that was trained on patches for each patch of maps of the whole sphere.

    Parameters
    ----------
    model
        A model on one of the ``12 order²`` equal blocks of the NESTED pixels of HEALPix.
    signals
        Maps of the whole sphere with the nside of the model, (signals, vertices, channels), finite.
    batch_size
        How many patches are in memory of the device at a time.
    ordering, sampling
        Of the signals, as in `predict`.
    mismatch
        "raise", or "reorder" maps in RING order.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Float[np.ndarray, "signals patches ..."]
        Shape (signals, 12 order², outputs) or (signals, 12 order², vertices, outputs), float32.

    Raises
    ------
    ValueError
        If the model is not on such a block, the maps are not whole, or as in `predict`.

    Examples
    --------
    >>> import deepsphere as ds
    >>> block = ds.Healpix(nside=4).subset(np.arange(16))
    >>> pyramid = ds.build_pyramid(block, num_levels=2, num_neighbors=8)
    >>> model = ds.models.FCN(pyramid, in_channels=1, out_channels=2, channels=(4, 8))
    >>> predict_patches(model, np.zeros((1, 192, 1))).shape
    (1, 12, 2)
    """
    _check_axes(signals)
    own = model_sampling(model)
    size = _block_size(own)
    assert isinstance(own, Subset)  # which has a block
    assert isinstance(own.base, Healpix)
    whole = own.base
    where = sampling_from_spec(sampling) if isinstance(sampling, str) else sampling
    if where is None:
        where = guess_sampling(own, signals.shape[1], ordering)
    if not isinstance(where, Healpix) or where.num_vertices != whole.num_vertices:
        raise ValueError(
            f"signals must be on the whole sphere that the patch of the model is of, {whole.spec}, "
            f"got {name_of(where)}; ask for the network on what there is: "
            'mismatch="adapt", --adapt'
        )
    if sampling_ordering(where) != whole.ordering:
        if mismatch == "raise":
            raise ValueError(
                f"signals must be in {whole.ordering.upper()} order, in which the model was "
                f"trained, got {str(sampling_ordering(where)).upper()}; reorder them, or ask for "
                'it: mismatch="reorder", --reorder'
            )
        signals = where.reorder(signals, whole.ordering)
    patches = signals.reshape(len(signals) * (whole.num_vertices // size), size, -1)
    # of the vertices of a block in the order in which the model holds them
    patches = patches[:, own.indices % size]
    outputs = predict(model, patches, batch_size=batch_size, progress=progress)
    return outputs.reshape(len(signals), -1, *outputs.shape[1:])


def _block_size(own: Sampling | None) -> int:
    """The number of vertices of the model, which must be those of a block of NESTED pixels."""
    base = own.base if isinstance(own, Subset) else None
    if isinstance(own, Subset) and isinstance(base, Healpix) and base.ordering == "nested":
        size, first = own.num_vertices, int(own.indices.min())
        order_squared = base.nside**2 / size
        is_equal = order_squared == round(order_squared**0.5) ** 2 and base.num_vertices % size == 0
        if is_equal and first % size == 0 and int(own.indices.max()) == first + size - 1:
            return size
    raise ValueError(
        "model must be on one of 12 order² equal blocks of NESTED pixels to be applied to patches, "
        f"got {name_of(own) if own else 'no sampling'}; ask for the network on the whole map: "
        'mismatch="adapt", --adapt'
    )


def _check_axes(signals: np.ndarray) -> None:
    """Raise unless the signals have three axes with something in them."""
    if signals.ndim != 3 or 0 in signals.shape:
        raise ValueError(
            "signals must have shape (signals, vertices, channels) and not be empty, "
            f"got {signals.shape}"
        )


def _with_bar(starts: range) -> Iterable[int]:
    """The starts of batches behind a progress bar."""
    from deepsphere.training.progress import track

    return track(starts, "predicting", total=len(starts))


def _run(model: nn.Module, signals: np.ndarray, *, batch_size: int, progress: bool) -> np.ndarray:
    """Outputs, batch by batch, on the device and in the dtype of the model."""
    follow = _with_bar if progress else iter
    predictions = run_in_batches(model, signals, batch_size=batch_size, follow=follow)
    num_bad = int((~np.isfinite(predictions)).sum())
    if num_bad:
        raise ValueError(
            f"predictions must be finite, got {num_bad} of {predictions.size} that are not, from "
            f"signals up to {np.nanmax(np.abs(signals)):.3g}; scale the signals as those of the "
            "training, or train anew if the weights are not finite"
        )
    return predictions
