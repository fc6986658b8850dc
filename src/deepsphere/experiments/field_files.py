"""From files of fields to files of predictions with the same coordinates."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepsphere.data.dataset_files import write_dataset
from deepsphere.data.files import require_writable
from deepsphere.fields import from_xarray, is_dataset_path, open_dataset


@dataclass(frozen=True)
class FieldPredictionSummary:
    """What was read, and what was written.

    Parameters
    ----------
    shape
        Sizes of the dimensions of the fields by their names.
    sampling
        What the grid of the file is.
    names
        Variables that were written.
    path
        Where.
    """

    shape: dict[str, int]
    sampling: str
    names: tuple[str, ...]
    path: Path


def predict_fields_file(
    checkpoint: Path,
    source: Path,
    target: Path,
    *,
    variables: str | None = None,
    adapt: bool = False,
    batch_size: int = 16,
    overwrite: bool = False,
) -> FieldPredictionSummary:
    """Map a file of fields to a file of predictions, by the model of a checkpoint.

    Parameters
    ----------
    checkpoint
        Written by training; the model is rebuilt from it alone.
    source
        netCDF or Zarr.
    target
        netCDF or Zarr, with the coordinates and attributes of the source.
    variables
        Names between commas; None: those that the model knows, or all.
    adapt
        Whether to build the graphs of the network anew where the grid is another one than its own.
    batch_size
        Fields in memory of the device at a time.
    overwrite
        Whether to replace `target`.

    Returns
    -------
    FieldPredictionSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ImportError, ValueError
        If a file is not there, or may not be replaced; if the grid is not recognised, or not that
        of the model.
    """
    from deepsphere.training import load

    for path in (source, target):
        if not is_dataset_path(path):
            raise ValueError(
                f"INPUT and OUTPUT must both be .nc or .zarr to keep coordinates, got {path}; "
                "name the predictions .nc, or write .npz"
            )
    if not target.is_dir():
        require_writable(target, overwrite=overwrite)
    data: Any = open_dataset(source)
    if variables is not None:
        data = from_xarray(data, variables=[word.strip() for word in variables.split(",")]).dataset
    model: Any = load(checkpoint)
    predicted = model.predict(data, batch_size=batch_size, grid="adapt" if adapt else "raise")
    names = tuple(
        str(name) for name in predicted.data_vars if np.issubdtype(predicted[name].dtype, np.number)
    )
    write_dataset(target, predicted, overwrite=overwrite)
    sampling = repr(from_xarray(data).sampling)
    data.close()
    return FieldPredictionSummary(
        {str(dim): size for dim, size in data.sizes.items()}, sampling, names, target
    )
