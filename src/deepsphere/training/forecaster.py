"""A network that forecasts, with all that it needs to begin from physical fields."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deepsphere.data.calendars import Times
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.field_sources import KnownFields
from deepsphere.data.known_fields import ComputedFields
from deepsphere.sampling import Sampling, Subset
from deepsphere.tasks.forecasting import Forecasting
from deepsphere.training.checkpoint import Metadata, load, model_sampling, read_metadata
from deepsphere.training.field_preparation import FieldPreparation

Starts = Times | Sequence[Any]
"""Times, or texts, that forecasts begin from."""


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A network, its task and how fields are prepared for it.

    `open_forecaster` makes one of a checkpoint, `forecaster_of` of a loaded model and its
    metadata, or of a module in training.

    Parameters
    ----------
    model
        The network.
    task
        What it forecasts, from which lags.
    preparation
        How fields are scaled, and what it sees beside them.
    sampling
        Where it forecasts.

    Raises
    ------
    ValueError
        If static fields or scaling do not fit the task.
    """

    model: nn.Module
    task: Forecasting
    preparation: FieldPreparation
    sampling: Sampling

    def __post_init__(self) -> None:
        """Check what belongs together."""
        static = self.preparation.static
        found = 0 if static is None else static.shape[1]
        if found != len(self.task.static_names):
            raise ValueError(
                f"static must hold {', '.join(self.task.static_names) or 'no fields'}, got {found}"
            )
        if len(self.preparation.scaling.mean) != len(self.task.channel_names):
            raise ValueError(
                f"scaling must be of {len(self.task.channel_names)} channels, got "
                f"{len(self.preparation.scaling.mean)}"
            )

    def fitting(self, series: FieldSeries) -> FieldSeries:
        """The channels and vertices of a series that the network forecasts.

        Parameters
        ----------
        series
            On the sampling of the network, or on the whole of which that is a part; with the
            channels of the task among its own, and the step of the training.

        Returns
        -------
        FieldSeries
            With the boundary fields of the task.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        own = self.sampling
        if series.sampling != own and isinstance(own, Subset):
            series = _part_of(series, own)
        if series.sampling != own:
            raise ValueError(
                f"series must be sampled as the network is, on {own!r}, got {series.sampling!r}; "
                "regrid it"
            )
        missing = [name for name in self.task.channel_names if name not in series.channel_names]
        if missing:
            raise ValueError(
                f"series must have the channels {', '.join(self.task.channel_names)}, got "
                f"{', '.join(series.channel_names)}"
            )
        chosen = series.select(self.task.channel_names)
        if chosen.step is not None and chosen.step != self.preparation.step:
            raise ValueError(
                f"series must have the step of the training, {self.preparation.step}, got "
                f"{chosen.step}"
            )
        for name, unit, trained in zip(
            chosen.channel_names, chosen.units, self.task.units or chosen.units, strict=True
        ):
            if unit and trained and unit != trained:
                raise ValueError(f"{name} must be in {trained!r}, got {unit!r}; convert it")
        return chosen

    def boundary(self, series: FieldSeries) -> KnownFields | None:
        """Where the boundary fields come from: the series, or computing.

        Parameters
        ----------
        series
            As of `fitting`.

        Returns
        -------
        KnownFields or None
            None where the network sees none.

        Raises
        ------
        ValueError
            If the series does not have them and they cannot be computed.
        """
        names = self.task.boundary_names
        if not names:
            return None
        if self.preparation.boundary_computed is not None:
            chosen: Any = self.preparation.boundary_computed
            return ComputedFields(chosen, self.sampling)
        found = series.boundary
        if found is None or found.channel_names != names:
            there = "none" if found is None else ", ".join(found.channel_names)
            raise ValueError(
                f"series must have the boundary fields {', '.join(names)}, got {there}; give them "
                "as the boundary of the series"
            )
        return found

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        parameter = next(self.model.parameters(), None)
        return torch.device("cpu") if parameter is None else parameter.device

    def constants(self) -> dict[str, Tensor | None]:
        """Static fields and valid vertices, for `Forecasting.unroll`, on the device."""
        found = {"static": self.preparation.static, "valid": self.preparation.valid}
        return {
            name: None if array is None else torch.from_numpy(np.array(array)).to(self.device)
            for name, array in found.items()
        }

    def digest(self) -> str:
        """Digest of the weights and of everything that a forecast depends on beside its series.

        Returns
        -------
        str
            Hexadecimal SHA-256.
        """
        digest = hashlib.sha256()
        described = (
            getattr(self.model, "spec", None),
            self.task.spec,
            self.preparation.normalization,
            self.preparation.projection,
        )
        digest.update(repr(described).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
        return digest.hexdigest()


def _part_of(series: FieldSeries, part: Subset) -> FieldSeries:
    """The series at the vertices of a part of its sampling; the same if it is none."""
    whole = series.sampling
    if part.base == whole:
        return series.subset(part.indices)
    # a grid without its poles is a part itself
    if isinstance(whole, Subset) and part.base == whole.base:
        places = np.searchsorted(whole.indices, part.indices)
        inside = places < len(whole.indices)
        if inside.all() and (whole.indices[places] == part.indices).all():
            return series.subset(places)
    return series


def open_forecaster(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> Forecaster:
    """Forecaster of a checkpoint.

    Parameters
    ----------
    path
        A checkpoint that `ForecastModule` was trained to.
    device
        Where the network is put.

    Returns
    -------
    Forecaster

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it cannot be read, or is not one of a forecast.
    """
    return forecaster_of(load(path, device=device), read_metadata(path))


def forecaster_of(model: nn.Module, metadata: Metadata | None = None) -> Forecaster:
    """Forecaster of a model with the metadata of its checkpoint, or of a module in training.

    Parameters
    ----------
    model
        As `deepsphere.load` gives it; or a `ForecastModule`, which needs no metadata.
    metadata
        As `read_metadata` gives them.

    Returns
    -------
    Forecaster

    Raises
    ------
    ValueError
        If there are no metadata, or they are not those of a forecast.
    """
    inner: Any = model
    # a module in training is told from a model without importing Lightning
    preparation = getattr(model, "preparation", None)
    if preparation is not None:
        sampling = model_sampling(inner.model)
        assert sampling is not None, "checked by the module"
        return Forecaster(inner.model, inner.task, preparation, sampling)
    if metadata is None or (metadata.task or {}).get("task") != "forecasting":
        found = None if metadata is None else (metadata.task or {}).get("task")
        raise ValueError(
            f"metadata must be those of a network that forecasts, got {found!r}; take "
            "read_metadata(path) of a checkpoint that ForecastModule was trained to"
        )
    task = Forecasting.from_spec(metadata.task or {})
    sampling = model_sampling(model)
    if sampling is None:
        raise ValueError(f"model must say its sampling, got {type(model).__name__}")
    shape = (sampling.num_vertices, len(task.channel_names), len(task.static_names))
    preparation = FieldPreparation.from_metadata(
        metadata.normalization, metadata.projection, shape=shape
    )
    return Forecaster(model, task, preparation, sampling)


def as_starts(series: FieldSeries, starts: Starts) -> np.ndarray:
    """Indices in a series of the times that forecasts begin from.

    Parameters
    ----------
    series
        Where they are.
    starts
        Times or texts, at least one.

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If there is none, or one is not a time of the series.
    """
    found = [series.axis.index_of(start) for start in starts]
    if not found:
        raise ValueError("starts must be at least one, got none")
    return np.array(found, np.int64)
