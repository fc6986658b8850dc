"""From files of signals to files of predictions."""

import warnings
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
    write_predictions,
)
from deepsphere.data.readers import Ordering
from deepsphere.experiments.signal_selection import (
    MASK_THRESHOLD,
    choose_channels,
    read_mask,
    sampling_of_file,
)
from deepsphere.sampling import Sampling

PatchesName = Literal["each", "mean"]

# How many times the spread of the training, or how many of its deviations away, is far.
_FAR = 20.0


@dataclass(frozen=True)
class PredictionSummary:
    """What was read, and where the predictions are.

    Parameters
    ----------
    num_signals, num_vertices, num_channels
        Shape of the signals that were read, with the channels that were chosen.
    path
        The file that was written.
    num_used
        Number of vertices that were neither masked nor missing.
    """

    num_signals: int
    num_vertices: int
    num_channels: int
    path: Path
    num_used: int


def predict_file(
    checkpoint: Path,
    source: Path,
    target: Path,
    *,
    ordering: Ordering | None = None,
    reorder: bool = False,
    sampling: str | None = None,
    channels: str | None = None,
    mask: Path | None = None,
    mask_column: str | None = None,
    mask_threshold: float = MASK_THRESHOLD,
    adapt: bool = False,
    patches: PatchesName | None = None,
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
    sampling
        Where the signals are, for files that do not say.
    channels
        Names or indices between commas of the channels to take, in their order; None: all.
    mask
        File of a mask of the signals, see `read_mask`: only what it keeps is used. For a network
        with ``missing="renormalize"`` the rest is missing.
    mask_column, mask_threshold
        Which channel of it, and above which value vertices are kept.
    adapt
        Whether to build the graphs of the network anew for what there is: another resolution, the
        whole sphere for a network trained on a part, the vertices that are not masked and, in all
        signals, not missing.
    patches
        For a network trained on a patch and maps of the whole sphere: "each" writes a row for each
        of the patches (``12 order²`` for each map), "mean" the mean of its outputs over them.
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
        If `checkpoint`, `source` or `mask` is not there.
    FileExistsError
        If `target` is there and may not be replaced.
    ValueError
        If `target` is one of the other files, one of them is damaged, the signals are not those
        that the model takes, or `ordering` is not the one that the file says.

    Warns
    -----
    UserWarning
        If the scaled signals are spread very differently from those of the training.
    """
    from deepsphere.training import load, predict, read_metadata
    from deepsphere.training.placement import check_values, takes_missing
    from deepsphere.training.prediction import predict_patches

    require_writable(target, overwrite=overwrite)
    check_not_a_source(target, {"INPUT": source, "CHECKPOINT": checkpoint, "MASK": mask})
    _check_ways(adapt=adapt, patches=patches, mask=mask)
    metadata = read_metadata(checkpoint)
    file = choose_channels(read_signals(source, missing="keep"), channels, source)
    where = sampling_of_file(file, source, spec=sampling, ordering=ordering)
    model = load(checkpoint)
    _check_channels(model, file, source)
    signals = file.signals
    if mask is not None:
        where = where or _guess(model, file, ordering or file.ordering)
        kept = read_mask(mask, where, column=mask_column, threshold=mask_threshold)
        if adapt or takes_missing(model):
            signals = np.where(kept[:, None], signals, np.nan)
        else:
            signals, where = signals[:, kept], where.subset(kept)
    if not adapt:
        check_values(model, signals, name=str(source))
    scaled = _normalized(signals, metadata.normalization)
    _warn_of_other_scale(scaled, signals, metadata.normalization)
    found: dict[str, Any] = {
        "batch_size": batch_size,
        "ordering": None if where is not None else ordering or file.ordering,
        "sampling": where,
        "mismatch": "reorder" if reorder or ordering is not None else "raise",
        "progress": progress,
    }
    if patches is not None:
        outputs = predict_patches(model, scaled, **found)
        outputs = (
            outputs.mean(axis=1) if patches == "mean" else outputs.reshape(-1, *outputs.shape[2:])
        )
    else:
        if adapt:
            found["mismatch"] = "adapt"
        outputs = predict(model, scaled, **found)
    _write(target, outputs, metadata, overwrite=overwrite)
    num_used = int((~np.isnan(signals).any(axis=(0, 2))).sum())
    return PredictionSummary(*file.signals.shape, path=target, num_used=num_used)


def _write(path: Path, outputs: np.ndarray, metadata: Any, *, overwrite: bool) -> None:
    """Write outputs, those of a regression in their units, of a segmentation as probabilities."""
    from deepsphere.tasks import Regression, Segmentation, task_from_spec

    task = None if metadata.task is None else task_from_spec(metadata.task)
    names: dict[str, Any] = {"class_names": metadata.class_names}
    if isinstance(task, Segmentation):
        outputs = task.probabilities(outputs)
    elif isinstance(task, Regression):
        outputs = np.stack(list(task.quantities(outputs).values()), axis=-1)
        names = {"output_names": task.column_names, "output_units": task.column_units}
    write_predictions(path, outputs, **names, overwrite=overwrite)


def _check_ways(*, adapt: bool, patches: PatchesName | None, mask: Path | None) -> None:
    """Refuse options that ask for two things at once."""
    if patches not in (None, *get_args(PatchesName)):
        raise ValueError(
            f"patches must be one of {', '.join(get_args(PatchesName))}, got {patches!r}"
        )
    if patches is not None and (adapt or mask is not None):
        raise ValueError(
            f"patches={patches!r} must come without adapt and mask, which make other graphs than "
            "those of the patches, got both; choose one"
        )


def _check_channels(model: Any, file: SignalFile, source: Path) -> None:
    """Raise unless the file has the channels of the model, with their names at hand."""
    expected, got = model.spec["config"]["in_channels"], file.signals.shape[2]
    if got != expected:
        names = f" ({', '.join(file.channel_names)})" if file.channel_names else ""
        raise ValueError(
            f"signals must have {expected} channels, as the model was trained with, got {got}"
            f"{names} in {source}; choose with --channels"
        )


def _guess(model: Any, file: SignalFile, ordering: Ordering | None) -> Sampling:
    """Where signals are that nothing is said of, for a mask to be on the same."""
    from deepsphere.training.checkpoint import model_sampling
    from deepsphere.training.placement import guess_sampling

    own = model_sampling(model)
    assert own is not None  # every registered model has a pyramid or a sampling
    return guess_sampling(own, file.signals.shape[1], ordering)


def _normalized(
    signals: Float[np.ndarray, "signals vertices channels"], normalization: dict[str, Any] | None
) -> Float[np.ndarray, "signals vertices channels"]:
    """The signals, scaled as those of the training were; as they are if they were not scaled."""
    from deepsphere.training import ChannelScaling

    if normalization is None:
        return signals
    return ChannelScaling.from_values(normalization).apply(torch.from_numpy(signals)).numpy()


def _warn_of_other_scale(
    scaled: Float[np.ndarray, "signals vertices channels"],
    signals: Float[np.ndarray, "signals vertices channels"],
    normalization: dict[str, Any] | None,
) -> None:
    """Say where signals are so far from those of the training that they must be in other units."""
    if normalization is None or np.isnan(signals).all(axis=(0, 1)).any():
        return
    spread, center = np.nanstd(scaled, axis=(0, 1)), np.abs(np.nanmean(scaled, axis=(0, 1)))
    far = (spread > _FAR) | (spread < 1 / _FAR) | (center > _FAR)
    for channel in np.flatnonzero(far):
        mean, deviation = normalization["mean"][channel], normalization["deviation"][channel]
        values = signals[..., channel]
        warnings.warn(
            f"channel {channel} of the signals has mean {np.nanmean(values):.3g} and standard "
            f"deviation {np.nanstd(values):.3g}, in the training {mean:.3g} and {deviation:.3g}: a "
            "network says nothing of signals that are so different; are the units the same, and "
            "the quantity?",
            UserWarning,
            stacklevel=3,
        )


def check_not_a_source(target: Path, sources: dict[str, Path | None]) -> None:
    """Refuse to replace what is read, whatever may be overwritten.

    Parameters
    ----------
    target
        What will be written.
    sources
        What is read, by the name that the user knows it by.

    Raises
    ------
    ValueError
        If the target is one of them.

    Examples
    --------
    >>> check_not_a_source(Path("out.nc"), {"INPUT": Path("in.nc")})
    """
    for name, source in sources.items():
        if source is not None and target.exists() and source.exists() and target.samefile(source):
            raise ValueError(
                f"OUTPUT must be another file than {name}, got {target} for both; "
                "choose another name"
            )
