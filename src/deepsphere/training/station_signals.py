"""Signals and targets of some days of station records, as a network sees them."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.station_objectives import DayWindows, StationObjective, day_windows, seasons
from deepsphere.data.station_records import StationRecords
from deepsphere.training.station_features import (
    measured_names,
    names_of_others,
    season_features,
    season_names,
)
from deepsphere.training.station_neighbors import OthersTold
from deepsphere.training.station_preparation import StationPreparation, measured_features


class StationBatch(NamedTuple):
    """Some samples of stations.

    Attributes
    ----------
    signals
        What a network sees; NaN at vertices that are missing.
    references
        What is added to the outputs of a network at vertices, in the units of the targets.
    targets
        Differences from the references in the units of the targets, (batch, stations, targets),
        NaN where nothing was observed; or the targets of whole signals, (batch, targets).
    """

    signals: Float[np.ndarray, "batch stations channels"]
    references: Float[np.ndarray, "batch stations targets"]
    targets: Float[np.ndarray, "batch ..."]


class StationSignals:
    """Makes signals, references and targets of station records, batch by batch.

    Samples are counted through the windows and, where variables are separate, through the variables
    of each window.

    Parameters
    ----------
    records
        With the variables of the objective; those of its inputs suffice to predict.
    objective
        What is predicted from what.
    preparation
        How values become signals.
    known
        Stations whose values may be seen; None for all.
    forecasts
        Whether windows whose day to predict is not in the records are taken too.

    Attributes
    ----------
    windows
        Days that are known and predicted.
    """

    windows: DayWindows

    def __init__(
        self,
        records: StationRecords,
        objective: StationObjective,
        preparation: StationPreparation,
        *,
        known: Bool[np.ndarray, "stations"] | None = None,
        forecasts: bool = False,
    ) -> None:
        self.records = records
        self.objective = objective
        self.preparation = preparation
        windows = day_windows(records.axis, objective)
        self.windows = windows if forecasts else windows.take(windows.targets >= 0)
        self._scaled = preparation.scale(records.select(objective.inputs).values)
        self._known = None if known is None or known.all() else known
        found = [name for name in objective.targets if name in records.channel_names]
        self._targets = None
        if not objective.is_global and len(found) == len(objective.targets):
            self._targets = records.select(objective.targets).values
        self._static = preparation.static(records.sampling, records.elevation_m)
        self._seasons = season_features(self.windows.times, season_names(preparation.features))
        self._neighbors = preparation.neighbors(records.sampling, records.elevation_m, usable=known)
        usual = preparation.climatology
        self._climatology = None if usual is None else usual.on(records.sampling)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.windows) * self.num_separate

    @property
    def num_separate(self) -> int:
        """Samples of each window."""
        return len(self.objective.inputs) if self.objective.variables == "separate" else 1

    @property
    def counted(self) -> Int[np.ndarray, "samples"]:
        """Samples that something can be learned from: with an input and a target observed."""
        seen: Any = ~np.isnan(self._scaled)
        if self._known is not None:
            seen &= self._known[:, None]
        windows, separate = self.windows, self.num_separate > 1
        some: Any = seen.any(axis=1)  # days, variables
        inputs = some[windows.inputs].any(axis=1)
        if self._targets is None:
            targets = np.ones((len(windows), 1), bool)
        else:
            there: Any = (~np.isnan(self._targets)).any(axis=1)
            targets = there[windows.targets] & (windows.targets >= 0)[:, None]
        if separate:
            return np.flatnonzero((inputs & targets).ravel())
        return np.flatnonzero(inputs.any(axis=1) & targets.any(axis=1))

    def observed(self, samples: Int[np.ndarray, "batch"]) -> Bool[np.ndarray, "batch stations"]:
        """Which stations report a target on the day that is predicted, of those that may be seen.

        Parameters
        ----------
        samples
            Numbers.

        Returns
        -------
        Bool[np.ndarray, "batch stations"]
        """
        assert self._targets is not None, "asked where stations are hidden alone"
        days = self.windows.targets[samples // self.num_separate]
        found: Any = (~np.isnan(self._targets[days])).any(axis=-1)
        return found if self._known is None else found & self._known

    def batch(
        self,
        samples: Int[np.ndarray, "batch"],
        *,
        hidden: Bool[np.ndarray, "batch stations"] | None = None,
    ) -> StationBatch:
        """Signals, references and targets of some samples.

        Parameters
        ----------
        samples
            Numbers.
        hidden
            Stations of which nothing is seen; in "imputation" they alone have targets.

        Returns
        -------
        StationBatch
        """
        window, variable = np.divmod(samples, self.num_separate)
        history = self._scaled[self.windows.inputs[window]]
        if self.num_separate > 1:
            history = np.take_along_axis(history, variable[:, None, None, None], axis=-1)
        if self._known is not None:
            history[:, :, ~self._known] = np.nan
        if hidden is not None:
            history = np.where(hidden[:, None, :, None], np.float32(np.nan), history)
        is_seen: Any = ~np.isnan(history)
        history = fill_gaps(history)
        told = self._told(history)
        usual = self._usual(window, variable)
        signals = self._signals(history, is_seen, told, usual, window)
        references = self._references(history, told)
        return StationBatch(
            signals, references, self._differences(references, window, variable, hidden)
        )

    def _told(self, history: np.ndarray) -> OthersTold | None:
        """What other stations tell, as far as it is needed."""
        preparation = self.preparation
        if names_of_others(preparation.features):
            return self._neighbors.ask(history, everybody=True)
        if preparation.filling == "interpolated" or preparation.reference != "none":
            return self._neighbors.ask(history)
        if preparation.filling == "masked" and history.shape[-1] > 1:
            # stations that report some variable take the others from their neighbors
            reports: Any = (~np.isnan(history[:, -1])).any(axis=-1)
            return self._neighbors.ask(history, asked=reports)
        return None

    def _signals(
        self,
        history: np.ndarray,
        is_seen: np.ndarray,
        told: OthersTold | None,
        usual: np.ndarray | None,
        window: np.ndarray,
    ) -> Float[np.ndarray, "batch stations channels"]:
        """Values and features side by side."""
        preparation = self.preparation
        is_silent: Any = np.isnan(history[:, -1])  # batch, stations, variables
        filled = history
        if preparation.filling != "usual":
            filled = _or_told(history, told)
        filled = np.where(np.isnan(filled), np.float32(0), filled)
        if preparation.filling == "masked":
            filled[np.broadcast_to(is_silent.all(axis=-1)[:, None], filled.shape[:3])] = np.nan
        batch, days, stations, variables = history.shape
        columns = [filled.transpose(0, 2, 3, 1).reshape(batch, stations, variables * days)]
        others = self._measured(history, told, usual)
        static, season = iter(self._static.T), iter(self._seasons[window].T)
        for name in preparation.features:
            if name in others:
                column = others[name]
            elif name == "climatology" and usual is not None:
                column = usual
            elif name == "observed":
                column = is_seen.mean(axis=1, dtype=np.float32)
            elif name in ("sin_year", "cos_year"):
                column = next(season)[:, None, None]
            else:
                column = next(static)[None, :, None]
            columns.append(np.broadcast_to(column, (batch, stations, column.shape[-1])))
        return np.concatenate(columns, axis=-1, dtype=np.float32)

    def _measured(
        self, history: np.ndarray, told: OthersTold | None, usual: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """The features that are measured, standardized; 0 where nothing is known."""
        preparation = self.preparation
        names, scaling = measured_names(preparation.features), preparation.measured_scaling
        found = measured_features(history, told, elevation=self._neighbors.elevation, usual=usual)
        scaled = {
            name: (found[name] - mean) / deviation
            for name, mean, deviation in zip(names, scaling.mean, scaling.deviation, strict=True)
        }
        return {name: np.where(np.isnan(x), np.float32(0), x) for name, x in scaled.items()}

    def _usual(self, window: np.ndarray, variable: np.ndarray) -> np.ndarray | None:
        """The climatology of the days that are predicted, scaled as the values are."""
        if self._climatology is None:
            return None
        usual = self.preparation.scale(self._climatology.at(self.windows.times[window]))
        if self.num_separate > 1:
            usual = np.take_along_axis(usual, variable[:, None, None], axis=-1)
        return usual

    def _references(
        self, history: np.ndarray, told: OthersTold | None
    ) -> Float[np.ndarray, "batch stations targets"]:
        """What the network learns the difference from, in the units of the targets."""
        objective, scaling = self.objective, self.preparation.scaling
        batch, _, stations, _ = history.shape
        number = 1 if self.num_separate > 1 else len(objective.targets)
        if self.preparation.reference == "none":
            return np.zeros((batch, stations, number), np.float32)
        last = _or_told(history, told)[:, -1]
        last = np.where(np.isnan(last), np.float32(0), last)
        if self.num_separate > 1:
            return (last * scaling.deviation[0] + scaling.mean[0]).astype(np.float32)
        chosen = [objective.inputs.index(name) for name in objective.targets]
        mean, deviation = np.array(scaling.mean)[chosen], np.array(scaling.deviation)[chosen]
        return (last[..., chosen] * deviation + mean).astype(np.float32)

    def _differences(
        self,
        references: np.ndarray,
        window: np.ndarray,
        variable: np.ndarray,
        hidden: np.ndarray | None,
    ) -> Float[np.ndarray, "batch ..."]:
        """The targets relative to the references; NaN where there is none."""
        if self.objective.is_global:
            return seasons(self.windows.times[window]).astype(np.float32)[:, None]
        if self._targets is None:
            return np.full_like(references, np.nan)
        days = self.windows.targets[window]
        values = self._targets[days]
        if self.num_separate > 1:
            values = np.take_along_axis(values, variable[:, None, None], axis=-1)
        values = np.where((days >= 0)[:, None, None], values - references, np.float32(np.nan))
        if self.objective.kind == "imputation":
            shown = np.ones(values.shape[:2], bool) if hidden is None else ~hidden
            values[shown] = np.nan
        return values


def _or_told(history: np.ndarray, told: OthersTold | None) -> np.ndarray:
    """Values of silent stations from what others tell; NaN where they tell nothing."""
    return history if told is None else np.where(np.isnan(history), told.values, history)


def fill_gaps(
    history: Float[np.ndarray, "batch days stations variables"],
) -> Float[np.ndarray, "batch days stations variables"]:
    """Histories in which a gap has the last value before it, or else the next one after it.

    Parameters
    ----------
    history
        The earliest day first; NaN in gaps.

    Returns
    -------
    Float[np.ndarray, "batch days stations variables"]
        NaN only where all days are.

    Examples
    --------
    >>> gaps = np.array([np.nan, 1.0, np.nan, 2.0, np.nan])
    >>> fill_gaps(gaps.reshape(1, 5, 1, 1)).ravel()
    array([1., 1., 1., 2., 2.])
    """
    filled = history.copy()
    for days in (range(1, history.shape[1]), range(history.shape[1] - 2, -1, -1)):
        step = days.step
        for day in days:
            gaps = np.isnan(filled[:, day])
            filled[:, day][gaps] = filled[:, day - step][gaps]
    return filled
