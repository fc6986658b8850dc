"""Files of predictions, written in one piece."""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from deepsphere.data.files import file_suffix, require_writable, write_atomically


@dataclass(frozen=True)
class _Names:
    """What the outputs are called."""

    classes: tuple[str, ...] | None
    outputs: tuple[str, ...] | None
    units: tuple[str, ...] | None


def write_predictions(
    path: str | os.PathLike[str],
    predictions: Num[np.ndarray, "..."],
    *,
    class_names: tuple[str, ...] | None = None,
    output_names: tuple[str, ...] | None = None,
    output_units: tuple[str, ...] | None = None,
    overwrite: bool = False,
) -> None:
    """Write what a model predicted, in one piece or not at all.

    ====  ==========================================================================================
    .npz  The array under `predictions`; with class names also `labels` (index of the largest
          output) and `class_names`; with names of quantities `output_names` and `output_units`.
    .npy  The array alone.
    .csv  A row for each signal, or for each vertex where there is one prediction per vertex of a
          single signal; a column for each output, and with class names a column `label` in front.
          A unit follows its name, as in `depth [km]`.
    ====  ==========================================================================================

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    predictions
        Shape (signals, outputs) or (signals, vertices, outputs).
    class_names
        Names of the outputs of a classifier.
    output_names
        Names of the outputs of a regression: the `column_names` of a
        :class:`deepsphere.tasks.Regression`.
    output_units
        The unit of each, "" for a pure number: its `column_units`.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is false.
    ValueError
        If the suffix is unknown, the shape is another one, a CSV file would need three axes, there
        is not one name or unit per output, or the outputs are named both as classes and not.

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
    _check_names(_Names(class_names, output_names, output_units), predictions.shape[-1])
    if file_suffix(path) == ".csv" and predictions.ndim == 3 and len(predictions) != 1:
        raise ValueError(
            "predictions per vertex must be of a single signal to be written as CSV, got "
            f"{len(predictions)} signals; write .npz or .npy"
        )
    require_writable(path, overwrite=overwrite)
    with write_atomically(path, overwrite=overwrite) as temporary:
        writer(temporary, predictions, _Names(class_names, output_names, output_units))


def _check_names(names: _Names, num_outputs: int) -> None:
    """Raise unless there is a name for each output, or none."""
    for argument, given in (
        ("class_names", names.classes),
        ("output_names", names.outputs),
        ("output_units", names.units),
    ):
        if given is not None and len(given) != num_outputs:
            raise ValueError(
                f"{argument} must be as many as the outputs ({num_outputs}), got {len(given)}"
            )
    if names.classes is not None and names.outputs is not None:
        raise ValueError(
            "class_names and output_names must not both be given, got "
            f"{', '.join(names.classes)} and {', '.join(names.outputs)}; the outputs are of "
            "classes, or they are quantities"
        )
    if names.units is not None and names.outputs is None:
        raise ValueError(
            f"output_units must come with output_names, got {', '.join(map(repr, names.units))} "
            "alone; name the quantities"
        )


def _write_npz(path: Path, predictions: np.ndarray, names: _Names) -> None:
    """Predictions, labels and names."""
    content: dict[str, Any] = {"predictions": predictions}
    if names.classes is not None:
        content["labels"] = predictions.argmax(axis=-1)
        content["class_names"] = np.array(names.classes)
    if names.outputs is not None:
        content["output_names"] = np.array(names.outputs)
    if names.units is not None:
        content["output_units"] = np.array(names.units)
    np.savez_compressed(path, **content)


def _write_npy(path: Path, predictions: np.ndarray, names: _Names) -> None:
    """The array alone; it has no place for the names."""
    np.save(path, predictions, allow_pickle=False)


def _write_csv(path: Path, predictions: np.ndarray, names: _Names) -> None:
    """One row for each signal or vertex."""
    rows = predictions[0] if predictions.ndim == 3 else predictions
    columns = names.classes or names.outputs or tuple(f"output_{i}" for i in range(rows.shape[1]))
    if names.units is not None:
        pairs = zip(columns, names.units, strict=True)
        columns = tuple(f"{name} [{unit}]" if unit else name for name, unit in pairs)
    index_name = "vertex" if predictions.ndim == 3 else "signal"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([index_name, *(["label"] if names.classes else []), *columns])
        for index, row in enumerate(rows):
            label = [names.classes[int(row.argmax())]] if names.classes else []
            writer.writerow([index, *label, *row.tolist()])


_WRITERS: dict[str, Callable[[Path, np.ndarray, _Names], None]] = {
    ".npz": _write_npz,
    ".npy": _write_npy,
    ".csv": _write_csv,
}
