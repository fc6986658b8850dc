"""Checkpoints that rebuild their model on their own.

A checkpoint is a file of Lightning whose entry `deepsphere` holds, as plain values, what the model
is (the specification of its samplings, graphs and layers) and what its inputs and outputs mean.
It is read by torch alone, with `weights_only=True`: opening one runs no code of its author.
"""

import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepsphere.data.files import write_atomically
from deepsphere.data.healpix_fits import Ordering
from deepsphere.models import model_from_spec
from deepsphere.models.field_description import FieldDescription, description_of
from deepsphere.sampling import Healpix, Sampling, Subset
from deepsphere.version import __version__

FORMAT = 1
ENTRY = "deepsphere"
PREFIX = "model."  # where SphereModule keeps the model
_BROKEN = (RuntimeError, EOFError, OSError, ValueError, LookupError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Metadata:
    """What the inputs and outputs of a model mean, and where its weights come from.

    Parameters
    ----------
    class_names
        Names of the outputs of a classifier.
    ordering
        Order of the HEALPix pixels the model was trained on, None for other samplings.
    normalization
        How signals were normalized before the model: names and numbers.
    projection
        How images were put on the sphere: names and numbers, as `cap_deg` and `fit`.
    task
        Specification of the task, see `deepsphere.tasks`.
    training
        How it was trained: names and numbers.
    fields
        Names and units of channels and outputs, see `deepsphere.models.field_description`.
    format
        Version of the format of the file.
    version
        Version of the package that wrote it.

    Examples
    --------
    >>> Metadata(class_names=("sea", "land")).class_names
    ('sea', 'land')
    """

    class_names: tuple[str, ...] | None = None
    ordering: str | None = None
    normalization: dict[str, Any] | None = None
    projection: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None
    format: int = FORMAT
    version: str = __version__


def checkpoint_entry(model: nn.Module, metadata: Metadata | None = None) -> dict[str, Any]:
    """Plain values that a checkpoint holds beside the weights, so that it can be rebuilt.

    Parameters
    ----------
    model
        The model; the ordering of its sampling, and the names and units of its
        `field_description`, are filled in where `metadata` has none.
    metadata
        What is known beside the model.

    Returns
    -------
    dict
        For the entry `deepsphere` of the checkpoint.

    Raises
    ------
    TypeError
        If the model has no `spec`, or a value is not plain.
    """
    spec = getattr(model, "spec", None)
    if spec is None:
        raise TypeError(
            f"model must have a spec that rebuilds it, got {type(model).__name__}; "
            "save models of deepsphere.models, or give yours a property spec"
        )
    metadata = metadata or Metadata()
    if metadata.ordering is None:
        metadata = replace(metadata, ordering=sampling_ordering(model_sampling(model)))
    if metadata.fields is None:
        metadata = replace(metadata, fields=description_of(model).values or None)
    entry = {"model": as_plain(spec, name="model.spec")}
    return entry | as_plain(asdict(metadata), name="metadata")


def model_sampling(model: Any) -> Sampling | None:
    """Sampling of the signals that a model takes, None where it does not say.

    Parameters
    ----------
    model
        A model with a pyramid, or with a sampling.

    Returns
    -------
    Sampling or None
        That of the finest level.
    """
    if hasattr(model, "pyramid"):
        return model.pyramid.graphs[0].sampling
    return getattr(model, "sampling", None)


def sampling_ordering(sampling: Sampling | None) -> Ordering | None:
    """Order of the HEALPix pixels of a sampling or of the whole of a subset.

    Parameters
    ----------
    sampling
        Any sampling.

    Returns
    -------
    "nested", "ring" or None
        None for all but HEALPix.

    Examples
    --------
    >>> sampling_ordering(Healpix(2, ordering="ring"))
    'ring'
    """
    whole = sampling.base if isinstance(sampling, Subset) else sampling
    return whole.ordering if isinstance(whole, Healpix) else None


def as_plain(value: Any, *, name: str) -> Any:
    """The value with mappings as dict, sequences as list, and nothing but plain values inside.

    Parameters
    ----------
    value
        None, bool, int, float, str, a mapping from strings, or a list or tuple of such.
    name
        What to call it in the message.

    Returns
    -------
    Any
        What `torch.load(weights_only=True)` accepts.

    Raises
    ------
    TypeError
        If anything else is inside.

    Examples
    --------
    >>> as_plain({"channels": (16, 32)}, name="config")
    {'channels': [16, 32]}
    """
    if isinstance(value, Mapping):
        return {str(key): as_plain(item, name=f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item, name=name) for item in value]
    # NumPy's float64 is a float and its str_ a str: the exact types are what pickle sees
    for plain in (bool, int, float, str):
        if isinstance(value, plain):
            return plain(value)
    if value is None:
        return None
    raise TypeError(
        f"{name} must be made of numbers, strings, lists and dicts, "
        f"got {type(value).__name__}; convert it before it is saved"
    )


def save(
    path: str | os.PathLike[str],
    model: nn.Module,
    *,
    metadata: Metadata | None = None,
    overwrite: bool = False,
) -> None:
    """Write a model with all that is needed to rebuild it.

    Parameters
    ----------
    path
        The file; by custom it ends in `.ckpt`.
    model
        A model of `deepsphere.models`, or a `SphereModule` around one, whose metadata are taken
        when none are given.
    metadata
        What the inputs and outputs mean.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is false.
    TypeError
        If the model has no `spec`, or a value of it or of `metadata` is not plain.
    """
    # a SphereModule is told from a model without importing Lightning
    inner = model if hasattr(model, "spec") else getattr(model, "model", model)
    if metadata is None:
        metadata = getattr(model, "metadata", None)
    content = {
        ENTRY: checkpoint_entry(inner, metadata),
        "state_dict": {
            PREFIX + name: tensor.detach().cpu() for name, tensor in inner.state_dict().items()
        },
        # what Lightning expects of a checkpoint, so that it may be given to its tools
        "pytorch-lightning_version": "2.4.0",
        "epoch": 0,
        "global_step": 0,
    }
    with write_atomically(path, overwrite=overwrite) as temporary:
        torch.save(content, temporary)


def load(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> nn.Module:
    """Model of a checkpoint, with its weights, in evaluation mode.

    The samplings, graphs and layers are built anew from the specification in the file; Lightning
    is not needed. What the file knows of the inputs and outputs is its `field_description`, by
    which `model.predict` takes fields with coordinates.

    Parameters
    ----------
    path
        A checkpoint written by training or by `deepsphere.training.save`.
    device
        Where the model is put.

    Returns
    -------
    torch.nn.Module
        Maps (*batch, vertices, channels) to what it was trained to predict.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is truncated, not a checkpoint of this package, of another format version, or if
        its model cannot be rebuilt or does not take its weights.
    """
    path = Path(path)
    content = _read(path)
    try:
        model = model_from_spec(content[ENTRY]["model"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} must describe a model that can be rebuilt, got an error: {_one_line(error)}; "
            f"it was written by deepsphere {content[ENTRY].get('version')}, this is {__version__}"
        ) from error
    weights = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in content["state_dict"].items()
        if name.startswith(PREFIX)
    }
    _load_weights(path, model, weights)
    entry: Any = model
    entry.field_description = _description(_metadata(content[ENTRY]))
    return model.to(device).eval()


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """What the inputs and outputs of the model in a checkpoint mean; the model is not built.

    Parameters
    ----------
    path
        A checkpoint.

    Returns
    -------
    Metadata
        As it was saved.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load`, as far as the reading goes.
    """
    return _metadata(_read(Path(path))[ENTRY])


def _metadata(entry: Mapping[str, Any]) -> Metadata:
    """The metadata in the entry of a checkpoint."""
    known = {field.name: entry[field.name] for field in fields(Metadata) if field.name in entry}
    if known.get("class_names") is not None:
        known["class_names"] = tuple(known["class_names"])
    return Metadata(**known)


def _description(metadata: Metadata) -> FieldDescription:
    """What a checkpoint knows of the inputs and outputs of its model."""
    from deepsphere.tasks import Regression, Segmentation, task_from_spec

    known: dict[str, Any] = {}
    scaling = metadata.normalization or {}
    if scaling.get("kind") == "channels":
        known = {name: tuple(scaling[name]) for name in ("mean", "deviation")}
    elif scaling:
        known["needs"] = str(scaling.get("kind"))
    if metadata.class_names is not None:
        known["output_names"] = metadata.class_names
    task = None if metadata.task is None else task_from_spec(metadata.task)
    if isinstance(task, Segmentation):
        known["interpret"] = task.probabilities
    elif isinstance(task, Regression):
        known |= {
            "output_names": task.column_names,
            "output_units": task.column_units,
            "interpret": partial(_quantities, task),
        }
        # names that were made up say less than those of the fields
        if task.names is None:
            known.pop("output_names")
    return FieldDescription.from_values(metadata.fields, **known)


def _quantities(task: Any, outputs: np.ndarray) -> np.ndarray:
    """Outputs of a regression in their units."""
    return np.stack(list(task.quantities(outputs).values()), axis=-1)


def read_spec(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Specification of the model in a checkpoint, as `model.spec` in plain values.

    Parameters
    ----------
    path
        A checkpoint.

    Returns
    -------
    dict
        For `deepsphere.models.model_from_spec`.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load`, as far as the reading goes.
    """
    return _read(Path(path))[ENTRY]["model"]


def _read(path: Path) -> dict[str, Any]:
    """Content of the file, after the checks that do not need the model."""
    if not path.is_file():
        raise FileNotFoundError(f"path must name a checkpoint, got {path}, which is not a file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        # torch does not compare the checksums, and a changed bit in a weight shows nowhere else
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} must be a checkpoint of plain values and tensors, got a file that is not one "
            "or that holds other Python objects, which are not loaded for your safety"
        ) from error
    except _BROKEN as error:
        raise ValueError(
            f"{path} must be a complete checkpoint, got {path.stat().st_size} bytes that torch "
            "cannot read; the file is truncated or not a checkpoint, copy it again"
        ) from error
    if damaged is not None:
        raise ValueError(
            f"{path} must be an undamaged checkpoint, got a wrong checksum of its part {damaged}; "
            "copy it again"
        )
    is_ours = isinstance(content, dict) and isinstance(content.get(ENTRY), dict)
    if not is_ours or not isinstance(content.get("state_dict"), dict):
        raise ValueError(
            f"{path} must be a checkpoint of deepsphere, got one without the entry {ENTRY!r}; "
            "save it with deepsphere.training.save"
        )
    written = content[ENTRY].get("format")
    if written != FORMAT:
        raise ValueError(
            f"{path} must be of format {FORMAT}, which this version ({__version__}) reads, got "
            f"format {written}; upgrade with pip install --upgrade deepsphere-torch, or train anew"
        )
    return content


def _load_weights(path: Path, model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give the model its weights, or say which do not fit."""
    own = model.state_dict()
    missing = sorted(own.keys() - weights.keys())
    unexpected = sorted(weights.keys() - own.keys())
    if missing or unexpected:
        raise ValueError(
            f"{path} must hold the weights of its model, got {_count(missing, 'missing')} and "
            f"{_count(unexpected, 'unexpected')}; the file was changed or written by another code"
        )
    for name, tensor in weights.items():
        if tensor.shape != own[name].shape:
            raise ValueError(
                f"{path} must hold weights of the shapes of its model, got {name} of shape "
                f"{tuple(tensor.shape)} in place of {tuple(own[name].shape)}"
            )
    model.load_state_dict(weights)


def _count(names: list[str], what: str) -> str:
    """Number of names, with the first of them."""
    return f"{len(names)} {what}" + (
        f" ({names[0]}{', ...' if names[1:] else ''})" if names else ""
    )


def _one_line(error: Exception) -> str:
    """First line of the message of an error."""
    if isinstance(error, KeyError):  # whose message is the key alone
        return f"the entry {error} is missing"
    return (str(error).splitlines() or [type(error).__name__])[0]
