"""From the values of stations to what a network sees and back, measured on the training alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.calendars import year_fractions
from deepsphere.data.drift_kriging import drift_kriging
from deepsphere.data.station_elevation import known_elevations
from deepsphere.data.station_objectives import StationObjective
from deepsphere.data.station_records import StationRecords
from deepsphere.sampling import Sampling
from deepsphere.training.channel_scaling import ChannelScaling
from deepsphere.training.station_climatology import StationClimatology, fit_climatology
from deepsphere.training.station_features import (
    Features,
    check_features,
    check_fitting_features,
    default_features,
    measured_names,
    needs_climatology,
    static_features,
    static_names,
)
from deepsphere.training.station_neighbors import OthersTold, StationNeighbors

KIND = "stations"

Reference = Literal["none", "last", "interpolated", "kriging"]
Filling = Literal["masked", "interpolated", "usual"]

# A quantity whose deviation is a smaller part of its largest value is constant but for rounding.
_SMALLEST_DEVIATION = 1e-6
# Squares of larger ones are infinite in single precision; such are marks of missing values.
_LARGEST_VALUE = 1e15
# Share of a year without a day, beyond which nothing is said of its seasons.
_LARGEST_STEP = 0.1
# Days that are measured on, evenly chosen.
_NUM_MEASURED = 64


@dataclass(frozen=True)
class StationPreparation:
    """How values of stations become signals, and outputs of a network become values.

    Values are standardized: one mean and deviation for all stations of the training. Beside them a
    network sees features, standardized too:

    =====================  ========================================================================
    x, y, z                where the station is, on the unit sphere
    sin_lat, ... cos_lon   the same by latitude and longitude, which jumps at a pole
    elevation              of the station; that of the mean station where it is not known
    sin_year, cos_year     of the season on the day that is predicted
    climatology            what is usual at the station on the day that is predicted
    departure              how far the last value is from that; 0 where the station is silent
    observed               share of the days that are known on which a variable was observed
    residual               how far the last value is from what the nearest other stations tell, as
                           mean weighted by distance; 0 where the station is silent
    spread                 standard deviation of what they tell
    distance               logarithm of the distance to the nearest of them
    elevation_difference   from their mean elevation
    =====================  ========================================================================

    "climatology", "departure", "observed", "residual" and "spread" have a channel for each
    variable. Within the history of "next_day" a gap takes the last value before it, or the next one
    after it. What a network sees of a station that is silent throughout, is a matter of `filling`:

    ============  =================================================================================
    masked        nothing: all its channels are NaN, for a network with ``missing="renormalize"``
    interpolated  the mean of the nearest stations that are not silent, weighted by distance; or
                  the kriging, where that is the reference
    usual         the mean of the training
    ============  =================================================================================

    A network learns the difference of its targets from a reference:

    ============  =================================================================================
    none          nothing is taken off
    last          the last value seen of the station; interpolated where it is silent
    interpolated  what the nearest other stations of the day tell, for "imputation"
    kriging       what others tell by `drift_kriging`, which is better: all, or the nearest of many
    ============  =================================================================================

    Parameters
    ----------
    scaling
        Of the inputs.
    features
        What a network sees beside the values, in the order of its channels.
    feature_scaling
        Of the features that do not change in time, in their order.
    measured_scaling
        Of "departure" and the features that other stations tell, in their order.
    climatology
        Of the inputs; None where no feature needs it.
    reference, filling
        See above.
    num_neighbors, power
        Of the interpolation, see `inverse_distance`.
    hidden_fraction
        Of "imputation": between which shares of the stations of a day are hidden in a sample.

    Raises
    ------
    ValueError
        If a word is unknown or a number out of its range.
    """

    scaling: ChannelScaling
    features: Features
    feature_scaling: ChannelScaling
    measured_scaling: ChannelScaling
    climatology: StationClimatology | None = None
    reference: Reference = "none"
    filling: Filling = "masked"
    num_neighbors: int = 8
    power: float = 2.0
    hidden_fraction: tuple[float, float] = (0.2, 0.2)

    def __post_init__(self) -> None:
        """Check words and numbers."""
        check_features(self.features)
        for name, words in (("reference", Reference), ("filling", Filling)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(words))}, got "
                    f"{getattr(self, name)!r}"
                )
        low, high = self.hidden_fraction
        if not 0 < low <= high < 1:
            raise ValueError(
                "hidden_fraction must be two shares between 0 and 1, the smaller first, got "
                f"{self.hidden_fraction}"
            )

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint."""
        return {
            "scaling": self.scaling.values,
            "features": list(self.features),
            "feature_scaling": self.feature_scaling.values,
            "measured_scaling": self.measured_scaling.values,
            "climatology": None if self.climatology is None else self.climatology.values,
            "reference": self.reference,
            "filling": self.filling,
            "num_neighbors": self.num_neighbors,
            "power": self.power,
            "hidden_fraction": list(self.hidden_fraction),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "StationPreparation":
        """The preparation that `values` describes.

        Parameters
        ----------
        values
            Plain values.

        Returns
        -------
        StationPreparation
        """
        low, high = values["hidden_fraction"]
        usual = values["climatology"]
        return cls(
            scaling=ChannelScaling.from_values(values["scaling"]),
            features=tuple(values["features"]),
            feature_scaling=ChannelScaling.from_values(values["feature_scaling"]),
            measured_scaling=ChannelScaling.from_values(values["measured_scaling"]),
            climatology=None if usual is None else StationClimatology.from_values(usual),
            reference=values["reference"],
            filling=values["filling"],
            num_neighbors=int(values["num_neighbors"]),
            power=float(values["power"]),
            hidden_fraction=(float(low), float(high)),
        )

    def scale(
        self, values: Float[np.ndarray, "times stations variables"]
    ) -> Float[np.ndarray, "times stations variables"]:
        """Values of the inputs as a network sees them.

        Parameters
        ----------
        values
            In their units; NaN is missing.

        Returns
        -------
        Float[np.ndarray, "times stations variables"]
            float32.
        """
        mean = np.array(self.scaling.mean, np.float32)
        deviation = np.array(self.scaling.deviation, np.float32)
        return (values.astype(np.float32) - mean) / deviation

    def static(
        self, sampling: Sampling, elevation_m: Float[np.ndarray, "stations"]
    ) -> Float[np.ndarray, "stations features"]:
        """The features of stations that do not change in time, standardized.

        Parameters
        ----------
        sampling
            Where they are.
        elevation_m
            NaN where it is not known.

        Returns
        -------
        Float[np.ndarray, "stations features"]
            float32, those of `static_names` in this order.
        """
        raw = static_features(sampling, elevation_m, static_names(self.features))
        scaled = (raw - self.feature_scaling.mean) / self.feature_scaling.deviation
        return np.where(np.isnan(scaled), 0.0, scaled).astype(np.float32)

    def neighbors(
        self,
        sampling: Sampling,
        elevation_m: Float[np.ndarray, "stations"],
        *,
        usable: Bool[np.ndarray, "stations"] | None = None,
    ) -> StationNeighbors:
        """What asks the other stations.

        Parameters
        ----------
        sampling
            Where they are.
        elevation_m
            NaN where it is not known.
        usable
            Stations that may ever be looked at; None for all.

        Returns
        -------
        StationNeighbors
            With standardized elevations, of the kriging in km; none where they are no feature.
        """
        names = static_names(self.features)
        elevation, height = np.zeros((2, sampling.num_vertices), np.float32)
        if "elevation" in names:
            elevation = self.static(sampling, elevation_m)[:, names.index("elevation")]
            height = known_elevations(elevation_m, sampling) / 1000
        kriging = None
        if self.reference == "kriging":
            kriging = drift_kriging(sampling, height, usable)
        return StationNeighbors(sampling, elevation, self.num_neighbors, self.power, kriging)


def measure_stations(
    records: StationRecords,
    objective: StationObjective,
    *,
    known: Bool[np.ndarray, "stations"] | None = None,
    features: Features | None = None,
    reference: Reference | None = None,
    filling: Filling | None = None,
    num_neighbors: int = 8,
    power: float = 2.0,
    hidden_fraction: tuple[float, float] = (0.2, 0.2),
) -> StationPreparation:
    """The preparation whose scaling is that of the training.

    Parameters
    ----------
    records
        Of the training alone.
    objective
        What is learned.
    known
        Stations that may be measured on; None for all.
    features
        None: those of `default_features`, without seasons where the training is less than a year.
    reference
        None: "last" for "next_day"; "kriging" for "imputation"; else "none".
    filling
        None: "interpolated" for "imputation", else "masked".
    num_neighbors, power, hidden_fraction
        As in `StationPreparation`.

    Returns
    -------
    StationPreparation

    Raises
    ------
    ValueError
        If a variable has no value or one beyond all measure, features tell what is to be learned,
        or the reference does not fit the objective.
    """
    chosen = records.select(objective.inputs)
    is_known = np.ones(records.num_stations, bool) if known is None else known
    fallback: dict[str, tuple[Reference, Filling]] = {
        "next_day": ("last", "masked"),
        "imputation": ("kriging", "interpolated"),
    }
    usual_reference, usual_filling = fallback.get(objective.kind, ("none", "masked"))
    if features is None:
        features = default_features(objective, whole_year=_spans_year(records))
    reference = usual_reference if reference is None else reference
    filling = usual_filling if filling is None else filling
    _check_fit(objective, features=features, reference=reference, filling=filling)
    raw = static_features(records.sampling, records.elevation_m, static_names(features))
    usual = fit_climatology(chosen, known=is_known) if needs_climatology(features) else None
    preparation = StationPreparation(
        scaling=_measured(chosen, is_known, shared=objective.variables == "separate"),
        features=features,
        feature_scaling=_moments(list(raw[is_known].T)),
        measured_scaling=ChannelScaling((), ()),
        climatology=usual,
        reference=reference,
        filling=filling,
        num_neighbors=num_neighbors,
        power=power,
        hidden_fraction=hidden_fraction,
    )
    return replace(preparation, measured_scaling=_measured_scaling(chosen, is_known, preparation))


def preparation_notes(
    records: StationRecords, objective: StationObjective, preparation: StationPreparation
) -> list[str]:
    """What was made of what is not known of stations and seasons.

    Parameters
    ----------
    records
        Of the training.
    objective
        What is learned.
    preparation
        As it was measured.

    Returns
    -------
    list of str
    """
    notes = []
    number = int(np.isnan(records.elevation_m).sum())
    if "elevation" in preparation.features and number:
        notes.append(
            f"{number} of {records.num_stations} stations of unknown elevation take that of the "
            "mean station"
        )
    usual = default_features(objective, whole_year=False)
    if not _spans_year(records) and preparation.features == usual != default_features(objective):
        notes.append("no features of the season, since the training is shorter than a year")
    return notes


def _spans_year(records: StationRecords) -> bool:
    """Whether there is a time of the training in every part of the year."""
    fractions = np.sort(year_fractions(records.times))
    steps = np.diff(np.concatenate([fractions, fractions[:1] + 1]))
    return bool(steps.max() < _LARGEST_STEP)


def _check_fit(
    objective: StationObjective,
    *,
    features: Features,
    reference: Reference,
    filling: Filling,
) -> None:
    """Raise unless features, reference and filling make sense for an objective."""
    check_fitting_features(features, objective)
    fitting = {"next_day": ("none", "last"), "imputation": ("none", "interpolated", "kriging")}
    words = fitting.get(objective.kind, ("none",))
    if reference not in words:
        raise ValueError(
            f"reference must be one of {', '.join(words)} for {objective.kind}, got {reference!r}"
        )


def _measured(records: StationRecords, known: np.ndarray, *, shared: bool) -> ChannelScaling:
    """Mean and deviation of each variable over days and known stations."""
    columns = []
    for index, name in enumerate(records.channel_names):
        column = records.values[:, known, index]
        column = column[~np.isnan(column)]
        if not len(column):
            raise ValueError(
                f"records must have values of {name} to learn from, got none in the training; "
                "leave the variable out, or take other days"
            )
        largest = float(np.abs(column).max())
        if largest > _LARGEST_VALUE:
            raise ValueError(
                f"records must have values of {name} up to {_LARGEST_VALUE:g} to learn from, got "
                f"{largest:g}; mark what is missing by NaN"
            )
        columns.append(column)
    if shared:
        columns = [np.concatenate(columns)] * len(columns)
    return _moments(columns)


def _measured_scaling(
    records: StationRecords, known: np.ndarray, preparation: StationPreparation
) -> ChannelScaling:
    """Moments of some features at stations that report, on some of the days."""
    names = measured_names(preparation.features)
    if not names:
        return ChannelScaling((), ())
    days = np.unique(np.linspace(0, len(records) - 1, _NUM_MEASURED).round().astype(int))
    history = preparation.scale(records.values[days])[:, None]
    history[:, :, ~known] = np.nan
    neighbors = preparation.neighbors(records.sampling, records.elevation_m, usable=known)
    reports = np.asarray((~np.isnan(history[:, -1])).any(axis=-1))
    told = neighbors.ask(history, everybody=True, asked=reports)
    usual = None
    if preparation.climatology is not None:
        usual = preparation.scale(preparation.climatology.at(records.times[days]))
    found = measured_features(history, told, elevation=neighbors.elevation, usual=usual)
    moments = _moments([found[name].ravel() for name in names])
    # differences keep their zero: it says that a station is as its neighbors are, or as usual
    mean = [
        center if name in ("spread", "distance") else 0.0
        for name, center in zip(names, moments.mean, strict=True)
    ]
    return ChannelScaling(tuple(mean), moments.deviation)


def measured_features(
    history: Float[np.ndarray, "batch days stations variables"],
    told: OthersTold | None,
    *,
    elevation: Float[np.ndarray, "stations"],
    usual: Float[np.ndarray, "batch stations variables"] | None,
) -> dict[str, Float[np.ndarray, "batch stations channels"]]:
    """Features whose mean and deviation are measured, not yet standardized.

    Parameters
    ----------
    history
        Scaled, without gaps.
    told
        What others tell of it; None where nobody was asked.
    elevation
        Of the stations.
    usual
        The climatology of the day that is predicted, scaled; None where there is none.

    Returns
    -------
    dict
        By name, those that there are; NaN where nobody was asked, or nobody reports.
    """
    found = {}
    if usual is not None:
        found["departure"] = history[:, -1] - usual
    if told is not None:
        found["residual"] = history[:, -1] - told.values[:, -1]
        found["spread"] = told.spread
        found["distance"] = told.log_distance[..., None]
        found["elevation_difference"] = (elevation - told.elevation)[..., None]
    return found


def _moments(columns: list[np.ndarray]) -> ChannelScaling:
    """Mean and deviation of what is there of each; 0 and 1 of nothing, 1 where it is constant."""
    mean, deviation = [], []
    for column in columns:
        there = column[~np.isnan(column)]
        center = float(there.mean(dtype=np.float64)) if len(there) else 0.0
        spread = (
            float(np.sqrt(np.square(there - center).mean(dtype=np.float64))) if len(there) else 0.0
        )
        largest = float(np.abs(there).max()) if len(there) else 0.0
        mean.append(center)
        deviation.append(spread if spread > _SMALLEST_DEVIATION * largest else 1.0)
    return ChannelScaling(tuple(mean), tuple(deviation))
