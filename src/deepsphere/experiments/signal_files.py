"""From files of signals to files of predictions and pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float

from deepsphere.data import (
    SignalFile,
    read_signals,
    require_writable,
    write_atomically,
    write_predictions,
)
from deepsphere.data.readers import Ordering
from deepsphere.sampling import Healpix, Sampling, sampling_from_spec

PictureSuffix = Literal[".png", ".svg", ".pdf", ".html"]
ProjectionName = Literal["mollweide", "orthographic"]


@dataclass(frozen=True)
class PredictionSummary:
    """What was read, and where the predictions are.

    Parameters
    ----------
    num_signals, num_vertices, num_channels
        Shape of the signals that were read.
    path
        The file that was written.
    """

    num_signals: int
    num_vertices: int
    num_channels: int
    path: Path


def predict_file(
    checkpoint: Path,
    source: Path,
    target: Path,
    *,
    ordering: Ordering | None = None,
    reorder: bool = False,
    batch_size: int = 64,
    overwrite: bool = False,
    progress: bool = False,
) -> PredictionSummary:
    """Map a file of signals to a file of predictions, by the model of a checkpoint.

    Parameters
    ----------
    checkpoint
        Written by training; the model is rebuilt from it alone.
    source
        Signals, see `deepsphere.data.read_signals`.
    target
        Predictions, see `deepsphere.data.write_predictions`.
    ordering
        Order of the HEALPix pixels in `source`; None takes what the file says, or else that of
        the model. Where given, the signals are converted to the order of the model.
    reorder
        Whether to convert signals whose file says that their order is not the model's; otherwise
        that is an error.
    batch_size
        Signals in memory at a time.
    overwrite
        Whether to replace `target`.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    PredictionSummary

    Raises
    ------
    FileNotFoundError
        If `checkpoint` or `source` is not there.
    FileExistsError
        If `target` is there and may not be replaced.
    ValueError
        If `target` is one of the other files, one of them is damaged, the signals are not those
        that the model takes, or `ordering` is not the one that the file says.
    """
    from deepsphere.training import load, predict, read_metadata

    require_writable(target, overwrite=overwrite)
    _check_not_a_source(target, {"INPUT": source, "CHECKPOINT": checkpoint})
    metadata = read_metadata(checkpoint)
    file = read_signals(source)
    if ordering is not None and file.ordering not in (None, ordering):
        raise ValueError(
            f"ordering must be the one that {source} says, {file.ordering}, got {ordering}; "
            "leave the option out and pass --reorder"
        )
    predictions = predict(
        load(checkpoint),
        _normalized(file.signals, metadata.normalization),
        batch_size=batch_size,
        ordering=ordering or file.ordering,
        sampling=file.sampling,
        mismatch="reorder" if reorder or ordering is not None else "raise",
        progress=progress,
    )
    write_predictions(target, predictions, class_names=metadata.class_names, overwrite=overwrite)
    return PredictionSummary(*file.signals.shape, path=target)


def _normalized(
    signals: Float[np.ndarray, "signals vertices channels"], normalization: dict[str, Any] | None
) -> Float[np.ndarray, "signals vertices channels"]:
    """The signals, scaled as those of the training were; as they are if they were not scaled."""
    from deepsphere.training import ChannelScaling

    if normalization is None:
        return signals
    scaling = ChannelScaling.from_values(normalization)
    if signals.shape[-1] != len(scaling.mean):
        return signals  # the model has its own error for that
    return scaling.apply(torch.from_numpy(signals)).numpy()


def plot_file(
    source: Path,
    target: Path,
    *,
    sampling: str | None = None,
    index: int = 0,
    channel: int = 0,
    projection: ProjectionName = "mollweide",
    ordering: Ordering | None = None,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw one signal of a file as a map, or as a globe that can be turned.

    Parameters
    ----------
    source
        Signals, see `deepsphere.data.read_signals`. NaN stays blank.
    target
        ``.png``, ``.svg`` or ``.pdf`` for a map, ``.html`` for a globe.
    sampling
        Where the signals lie, e.g. ``"healpix:32"``; None takes what the file says.
    index, channel
        Which signal, and which of its channels.
    projection
        Of the map.
    ordering
        Order of the HEALPix pixels; None takes what the file or the sampling says.
    title
        Above the picture.
    overwrite
        Whether to replace `target`.

    Raises
    ------
    FileNotFoundError
        If `source` is not there.
    FileExistsError
        If `target` is there and may not be replaced.
    ValueError
        If the suffix is unknown, the sampling is not known or does not fit, or there is no such
        signal or channel.
    """
    suffixes = get_args(PictureSuffix)
    if target.suffix.lower() not in suffixes:
        raise ValueError(
            f"output must end in one of {', '.join(suffixes)}, got {target.name}; rename it"
        )
    require_writable(target, overwrite=overwrite)
    file = read_signals(source, missing="keep")
    where = _sampling_of(file, source, sampling, ordering)
    signal = _choose(file.signals, index, channel)
    with write_atomically(target, overwrite=overwrite) as temporary:
        _draw(temporary, signal, where, projection, title)


def _check_not_a_source(target: Path, sources: dict[str, Path]) -> None:
    """Refuse to replace what is read, whatever may be overwritten."""
    for name, source in sources.items():
        if target.exists() and source.exists() and target.samefile(source):
            raise ValueError(
                f"OUTPUT must be another file than {name}, got {target} for both; "
                "choose another name"
            )


def _sampling_of(
    file: SignalFile, source: Path, spec: str | None, ordering: Ordering | None
) -> Sampling:
    """The sampling of the signals, as said by the caller or by the file."""
    spec = spec or file.sampling
    if spec is None:
        raise ValueError(
            f"sampling must be given, got none: {source} does not say on which one its "
            f"{file.signals.shape[1]} vertices lie; e.g. --sampling healpix:32"
        )
    where = sampling_from_spec(spec)
    ordering = ordering or file.ordering
    if ordering is not None:
        if not isinstance(where, Healpix):
            raise ValueError(
                f"ordering must not be given for {spec}, got {ordering}; only HEALPix has orderings"
            )
        where = Healpix(nside=where.nside, ordering=ordering)
    if where.num_vertices != file.signals.shape[1]:
        raise ValueError(
            f"sampling must have the {file.signals.shape[1]} vertices of {source}, got "
            f"{where.num_vertices} of {spec}; name the sampling of the file"
        )
    return where


def _choose(
    signals: Float[np.ndarray, "signals vertices channels"], index: int, channel: int
) -> Float[np.ndarray, " vertices"]:
    """One channel of one signal."""
    for name, value, size in (
        ("index", index, signals.shape[0]),
        ("channel", channel, signals.shape[2]),
    ):
        if not 0 <= value < size:
            raise ValueError(f"{name} must be between 0 and {size - 1}, got {value}")
    return signals[index, :, channel]


def _draw(
    path: Path,
    signal: Float[np.ndarray, " vertices"],
    sampling: Sampling,
    projection: ProjectionName,
    title: str,
) -> None:
    """Write the picture in the format of the suffix."""
    from deepsphere.plotting import globe, plot_map

    if path.suffix.lower() == ".html":
        figure = globe(signal, sampling, title=title)
        # the script goes into the file, so that it can be looked at without a network
        figure.write_html(path, include_plotlyjs=True)
        return
    picture = plot_map(signal, sampling, projection=projection, title=title)
    picture.savefig(path, dpi=200)
