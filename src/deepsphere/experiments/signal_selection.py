"""Which channels and vertices of a file of signals are to be predicted from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from deepsphere.data import SignalFile
from deepsphere.data.readers import Ordering, read_flags
from deepsphere.sampling import Healpix, Sampling, Subset, sampling_from_spec

MASK_THRESHOLD = 0.5


def choose_channels(file: SignalFile, channels: str | None, source: Path) -> SignalFile:
    """The signals with some of their channels, in the order in which they are named.

    Parameters
    ----------
    file
        Signals of any number of channels.
    channels
        Names or indices between commas; None: all.
    source
        The file, for the message.

    Returns
    -------
    SignalFile

    Raises
    ------
    ValueError
        If there is no such channel.

    Examples
    --------
    >>> file = SignalFile(np.array([[[7.0, 8.0]]]), channel_names=("I_STOKES", "Q_STOKES"))
    >>> choose_channels(file, "q_stokes", Path("map.fits")).signals
    array([[[8.]]])
    """
    if channels is None:
        return file
    names = file.channel_names or ()
    chosen = [
        _channel(word.strip(), names, file.signals.shape[2], source) for word in channels.split(",")
    ]
    return replace(
        file,
        signals=np.ascontiguousarray(file.signals[..., chosen]),
        channel_names=tuple(names[index] for index in chosen) if names else None,
    )


def _channel(word: str, names: Sequence[str], num_channels: int, source: Path) -> int:
    """The index of a channel from its name or its index."""
    for index, name in enumerate(names):
        if name.lower() == word.lower():
            return index
    if word.isdigit() and int(word) < num_channels:
        return int(word)
    listed = f"{', '.join(names)} or " if names else ""
    raise ValueError(
        f"channels must be among {listed}0 to {num_channels - 1}, which {source} holds, got "
        f"{word!r}; name some between commas"
    )


def sampling_of_file(
    file: SignalFile, source: Path, *, spec: str | None, ordering: Ordering | None
) -> Sampling | None:
    """Where the signals of a file are, as the caller or the file says; None where neither does.

    Parameters
    ----------
    file
        The signals.
    source
        The file, for the message.
    spec
        Specification that the caller gives.
    ordering
        Of HEALPix pixels, as the caller says.

    Returns
    -------
    Sampling or None

    Raises
    ------
    ValueError
        If the caller and the file say different things, or an ordering is given for another
        sampling than HEALPix.
    """
    if ordering is not None and file.ordering not in (None, ordering):
        raise ValueError(
            f"ordering must be the one that {source} says, {file.ordering}, got {ordering}; "
            "leave the option out and pass --reorder"
        )
    text = spec or file.sampling
    if text is None:
        return None
    where = sampling_from_spec(text)
    ordering = ordering or file.ordering
    if isinstance(where, Healpix) and ordering is not None:
        where = Healpix(where.nside, ordering=ordering)
    if where.num_vertices != file.signals.shape[1]:
        raise ValueError(
            f"sampling must have the {file.signals.shape[1]} vertices of {source}, got "
            f"{where.num_vertices} of {text[:60]}; name the sampling of the file"
        )
    return where


def read_mask(
    path: Path, sampling: Sampling, *, column: str | None = None, threshold: float = MASK_THRESHOLD
) -> Bool[np.ndarray, "vertices"]:
    """Which vertices of a sampling a file keeps: those whose value is above a threshold.

    Parameters
    ----------
    path
        A file of signals or booleans: one value for each vertex, or for each HEALPix pixel of the
        same nside, in either order if the file says which.
    sampling
        Where the signals are.
    column
        Name or index of the channel of the mask; None: the first.
    threshold
        0.5 for zeros and ones; higher where weights should be nearly whole.

    Returns
    -------
    Bool[np.ndarray, "vertices"]
        A missing value is not kept.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds several masks, weights that are not from 0 to 1, another sampling, or
        keeps nothing.
    """
    file = choose_channels(read_flags(path), column or "0", path)
    if len(file.signals) != 1 or file.signals.shape[2] != 1:
        raise ValueError(f"{path} must hold one mask, got {file.signals.shape[:3:2]}; split it")
    values = np.nan_to_num(file.signals[0, :, 0], nan=0.0)
    if values.min() < 0 or values.max() > 1:
        raise ValueError(
            f"{path} must hold weights from 0 (left out) to 1, got values from {values.min():.4g} "
            f"to {values.max():.4g}; name another column with --mask-column"
        )
    kept = _on_sampling(values > threshold, file, path, sampling)
    if not kept.any():
        raise ValueError(
            f"{path} must keep a vertex of the signals, got none above {threshold}; lower "
            "--mask-threshold"
        )
    return kept


def _on_sampling(
    kept: Bool[np.ndarray, "pixels"], file: SignalFile, path: Path, sampling: Sampling
) -> Bool[np.ndarray, "vertices"]:
    """A mask for the vertices of a sampling."""
    own = sampling_of_file(file, path, spec=None, ordering=None)
    whole = sampling.base if isinstance(sampling, Subset) else sampling
    if isinstance(own, Subset):  # what a partial map does not list is left out
        kept, own = own.embed(kept[:, None].astype(np.float32), fill=0.0)[:, 0] > 0, own.base
    if own is None and file.ordering is not None and isinstance(whole, Healpix):
        own = Healpix(whole.nside, ordering=file.ordering)
    if len(kept) == whole.num_vertices and (own is None or _are_same(own, whole)):
        if isinstance(own, Healpix) and isinstance(whole, Healpix):
            kept = own.reorder(kept, whole.ordering, axis=0)
        return kept[sampling.indices] if isinstance(sampling, Subset) else kept
    if len(kept) == sampling.num_vertices and own is None:
        return kept
    expected, got = f"{whole.num_vertices} vertices of {whole.spec[:60]}", f"{len(kept)}"
    if isinstance(whole, Healpix) and isinstance(own, Healpix):
        expected, got = f"nside {whole.nside}", f"nside {own.nside}"
    raise ValueError(
        f"{path} must hold a mask for the {expected} of the signals, got one for {got}; resample "
        "it, for example with healpy.ud_grade"
    )


def _are_same(one: Sampling, other: Sampling) -> bool:
    """Whether two samplings are equal up to the order of HEALPix pixels."""
    if isinstance(one, Healpix) and isinstance(other, Healpix):
        return one.nside == other.nside
    return one == other
