"""A network that learned from stations, with all that it needs to predict from their records."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from deepsphere.data.calendars import Times
from deepsphere.data.station_objectives import StationObjective
from deepsphere.data.station_records import StationRecords
from deepsphere.data.windows import check_positive
from deepsphere.sampling import Sampling
from deepsphere.tasks import Regression, task_from_spec
from deepsphere.training.checkpoint import Metadata, load, model_sampling, read_metadata
from deepsphere.training.station_parts import check_given, check_records
from deepsphere.training.station_preparation import KIND, StationPreparation
from deepsphere.training.station_signals import StationSignals


@dataclass(frozen=True, eq=False)
class StationPredictor:
    """A network, what it learned from stations, and how their values become signals.

    `open_station_predictor` makes one of a checkpoint, `station_predictor_of` of a module in
    training, or of a loaded model and its metadata.

    Parameters
    ----------
    model
        The network.
    task
        What its outputs mean.
    objective
        What it predicts from what.
    preparation
        How values become signals.
    sampling
        The stations it was trained on.
    units
        Of the variables it was trained on, by name.
    """

    model: nn.Module
    task: Regression
    objective: StationObjective
    preparation: StationPreparation
    sampling: Sampling
    units: dict[str, str]

    def to_sampling(self, sampling: Sampling) -> "StationPredictor":
        """The predictor for other stations: the same filters on another graph.

        Parameters
        ----------
        sampling
            Where they are.

        Returns
        -------
        StationPredictor
            The same one for the stations of the training.
        """
        if sampling == self.sampling:
            return self
        network: Any = self.model
        moved = network.to_sampling(sampling, disconnected="allow")
        return replace(self, model=moved, sampling=sampling)

    def predict(
        self,
        records: StationRecords,
        *,
        hidden: Bool[np.ndarray, "stations"] | None = None,
        batch_size: int = 1,
        advance: Callable[[int], object] | None = None,
    ) -> StationRecords:
        """Predictions at stations, in the units of the variables.

        Parameters
        ----------
        records
            Of any stations, with the variables that the network knows from: where stations are
            not those of the training, the graph is built anew (`to_sampling`).
        hidden
            For "imputation": stations whose values are not looked at.
        batch_size
            Samples in memory of the device at a time. With 1, a prediction is to the last bit that
            of its own days, whatever else is in the records; with more, to rounding. More are
            faster on a GPU, or for few stations.
        advance
            Is told how many of the `num_samples` are done after each batch.

        Returns
        -------
        StationRecords
            Of the targets, on all days that are predicted; "next_day" ends with the day after the
            last of the records. For "imputation" the values that are known stay as they are.

        Raises
        ------
        TypeError
            If the records are no StationRecords.
        ValueError
            If the network predicts one number for all stations, the records do not fit, no day
            follows enough others, or the batch size is not positive.
        """
        if self.objective.is_global:
            raise ValueError(
                "objective must be one with targets at stations, got day_of_year; use "
                "predict_signals"
            )
        signals = self._signals(records, hidden)
        outputs, references = self._outputs(signals, hidden, batch_size, advance)
        columns = self.task.quantities(outputs.astype(np.float64))
        for index, name in enumerate(self.task.quantity_names):
            columns[name] = columns[name] + references[..., index]
        values = np.stack(list(columns.values()), axis=-1)
        names, units = self._columns(len(columns))
        if signals.num_separate > 1:
            parts = values.reshape(-1, signals.num_separate, *values.shape[1:])
            values = np.concatenate(list(parts.swapaxes(0, 1)), axis=-1)
        values = values.astype(np.float32)
        if self.objective.kind == "imputation":
            values = self._with_known(values, records, names, hidden)
        return records.with_values(
            values, channel_names=names, units=units, times=signals.windows.times
        )

    def predict_signals(
        self,
        records: StationRecords,
        *,
        batch_size: int = 1,
        advance: Callable[[int], object] | None = None,
    ) -> tuple[Times, Float[np.ndarray, "times outputs"]]:
        """Predictions of a network that has one for all stations together.

        Parameters
        ----------
        records, batch_size, advance
            As of `predict`.

        Returns
        -------
        times, values
            Of the days that are predicted; float32.

        Raises
        ------
        TypeError
            If the records are no StationRecords.
        ValueError
            If the network predicts at stations, or the records do not fit.
        """
        if not self.objective.is_global:
            raise ValueError(
                f"objective must be one of all stations together, got {self.objective.kind}; use "
                "predict"
            )
        signals = self._signals(records, None)
        outputs, _ = self._outputs(signals, None, batch_size, advance)
        values = np.stack(list(self.task.quantities(outputs).values()), axis=-1)
        return signals.windows.times, values.astype(np.float32)

    def num_samples(self, records: StationRecords) -> int:
        """How many samples the predictions of some records take.

        Parameters
        ----------
        records
            As of `predict`.

        Returns
        -------
        int
        """
        return len(self._signals(records, None))

    def _signals(
        self, records: StationRecords, hidden: Bool[np.ndarray, "stations"] | None
    ) -> StationSignals:
        """The signals of records that fit."""
        check_given(records, self.objective)
        if hidden is not None and self.objective.kind != "imputation":
            raise ValueError(
                f"hidden must be None but for imputation, got a mask for {self.objective.kind}"
            )
        if hidden is not None and len(hidden) != records.num_stations:
            raise ValueError(
                f"hidden must be a mask of {records.num_stations} stations, got {len(hidden)}"
            )
        chosen = check_records(
            records, self.objective, units=self.units, scaling=self.preparation.scaling
        )
        return StationSignals(
            chosen,
            self.objective,
            self.preparation,
            known=None if hidden is None else ~hidden,
            forecasts=True,
        )

    def _outputs(
        self,
        signals: StationSignals,
        hidden: Bool[np.ndarray, "stations"] | None,
        batch_size: int,
        advance: Callable[[int], object] | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the network makes of all samples, and the references of its outputs."""
        check_positive("batch_size", batch_size)
        model = self.to_sampling(signals.records.sampling).model
        parameter = next(model.parameters(), torch.zeros(0))
        was_training = model.training
        model.eval()
        outputs, references = [], []
        try:
            with torch.inference_mode():
                for start in range(0, len(signals), batch_size):
                    batch = signals.batch(np.arange(start, min(start + batch_size, len(signals))))
                    found = model(torch.from_numpy(batch.signals).to(parameter))
                    outputs.append(found.float().cpu().numpy())
                    references.append(batch.references)
                    if advance is not None:
                        advance(len(found))
        finally:
            model.train(was_training)
        return np.concatenate(outputs), np.concatenate(references)

    def _columns(self, number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names and units of the predictions, of which there are so many for each variable."""
        targets = self.objective.targets
        if number == len(self.task.quantity_names) and self.objective.variables == "together":
            names = targets
        elif self.objective.variables == "together":
            names = tuple(f"{name}{end}" for name in targets for end in ("", "_std"))
        else:
            ends = ("",) if number == 1 else ("", "_std")
            names = tuple(f"{name}{end}" for name in targets for end in ends)
        return names, tuple(self.units.get(name.removesuffix("_std"), "") for name in names)

    def _with_known(
        self,
        values: np.ndarray,
        records: StationRecords,
        names: tuple[str, ...],
        hidden: np.ndarray | None,
    ) -> np.ndarray:
        """Predictions where nothing is known, elsewhere what is; without an error there."""
        for name in self.objective.targets:
            known = records.column(name)
            shown = ~np.isnan(known)
            if hidden is not None:
                shown &= ~hidden
            column = names.index(name)
            values[..., column] = np.where(shown, known, values[..., column])
            if f"{name}_std" in names:
                values[..., names.index(f"{name}_std")][shown] = 0.0
        return values


def open_station_predictor(
    path: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> StationPredictor:
    """Predictor of a checkpoint.

    Parameters
    ----------
    path
        A checkpoint of a network that was trained on `StationData`.
    device
        Where the network is put.

    Returns
    -------
    StationPredictor

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it cannot be read, or is not one of stations.
    """
    return station_predictor_of(load(path, device=device), read_metadata(path))


def station_predictor_of(model: nn.Module, metadata: Metadata | None = None) -> StationPredictor:
    """Predictor of a module in training, or of a model with the metadata of its checkpoint.

    Parameters
    ----------
    model
        As `StationData.module` gives it, which needs no metadata; or as `deepsphere.load` does.
    metadata
        As `read_metadata` gives them.

    Returns
    -------
    StationPredictor

    Raises
    ------
    ValueError
        If there are no metadata, or they are not those of stations.
    """
    inner: Any = model
    if metadata is None:
        # a module in training is told from a model without importing Lightning
        metadata = getattr(model, "metadata", None)
        inner = getattr(model, "model", model)
    if not is_of_stations(metadata):
        found = None if metadata is None else (metadata.projection or {}).get("kind")
        raise ValueError(
            f"metadata must be those of a network that learned from stations, got {found!r}; take "
            "read_metadata(path) of a checkpoint that was trained on StationData"
        )
    known: Any = metadata
    task: Any = task_from_spec(known.task)
    sampling = model_sampling(inner)
    if sampling is None:
        raise ValueError(f"model must say its sampling, got {type(inner).__name__}")
    return StationPredictor(
        model=inner,
        task=task,
        objective=StationObjective.from_values(known.projection["objective"]),
        preparation=StationPreparation.from_values(known.normalization),
        sampling=sampling,
        units=dict(known.projection["variables"]),
    )


def is_of_stations(metadata: Metadata | None) -> bool:
    """Whether metadata are those of a network that learned from `StationData`.

    Parameters
    ----------
    metadata
        Of a checkpoint.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_of_stations(Metadata())
    False
    """
    return metadata is not None and (metadata.projection or {}).get("kind") == KIND
