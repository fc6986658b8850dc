"""Files of predictions, written in one piece."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from deepsphere.data.files import file_suffix, require_writable, write_atomically


def write_predictions(
    path: str | os.PathLike[str],
    predictions: Num[np.ndarray, "..."],
    *,
    class_names: tuple[str, ...] | None = None,
    overwrite: bool = False,
) -> None:
    """Write what a model predicted, in one piece or not at all.

    ====  ==========================================================================================
    .npz  The array under `predictions`; with class names also `labels` (index of the largest
          output) and `class_names`.
    .npy  The array alone.
    .csv  A row for each signal, or for each vertex where there is one prediction per vertex of a
          single signal; a column for each output, and with class names a column `label` in front.
    ====  ==========================================================================================

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    predictions
        Shape (signals, outputs) or (signals, vertices, outputs).
    class_names
        Names of the outputs of a classifier.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is false.
    ValueError
        If the suffix is unknown, the shape is another one, a CSV file would need three axes, or
        there is not one name per output.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "predictions.csv"
    >>> write_predictions(path, np.array([[0.25, 2.5]]), class_names=("sea", "land"))
    >>> path.read_text().split()
    ['signal,label,sea,land', '0,land,0.25,2.5']
    """
    path = Path(path)
    writer = _WRITERS.get(file_suffix(path))
    if writer is None:
        raise ValueError(f"path must end in one of {', '.join(_WRITERS)}, got {path}; rename it")
    if predictions.ndim not in (2, 3):
        raise ValueError(
            "predictions must have shape (signals, outputs) or (signals, vertices, outputs), "
            f"got {predictions.shape}"
        )
    if class_names is not None and len(class_names) != predictions.shape[-1]:
        raise ValueError(
            "class_names must be as many as the outputs "
            f"({predictions.shape[-1]}), got {len(class_names)}"
        )
    if file_suffix(path) == ".csv" and predictions.ndim == 3 and len(predictions) != 1:
        raise ValueError(
            "predictions per vertex must be of a single signal to be written as CSV, got "
            f"{len(predictions)} signals; write .npz or .npy"
        )
    require_writable(path, overwrite=overwrite)
    with write_atomically(path, overwrite=overwrite) as temporary:
        writer(temporary, predictions, class_names)


def _write_npz(path: Path, predictions: np.ndarray, class_names: tuple[str, ...] | None) -> None:
    """Predictions, labels and class names."""
    content: dict[str, Any] = {"predictions": predictions}
    if class_names is not None:
        content["labels"] = predictions.argmax(axis=-1)
        content["class_names"] = np.array(class_names)
    np.savez_compressed(path, **content)


def _write_npy(path: Path, predictions: np.ndarray, class_names: tuple[str, ...] | None) -> None:
    """The array alone; it has no place for the names."""
    np.save(path, predictions, allow_pickle=False)


def _write_csv(path: Path, predictions: np.ndarray, class_names: tuple[str, ...] | None) -> None:
    """One row for each signal or vertex."""
    rows = predictions[0] if predictions.ndim == 3 else predictions
    names = class_names or tuple(f"output_{i}" for i in range(rows.shape[1]))
    index_name = "vertex" if predictions.ndim == 3 else "signal"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([index_name, *(["label"] if class_names else []), *names])
        for index, row in enumerate(rows):
            label = [class_names[int(row.argmax())]] if class_names else []
            writer.writerow([index, *label, *row.tolist()])


_WRITERS: dict[str, Callable[[Path, np.ndarray, tuple[str, ...] | None], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".csv": _write_csv,
}
