"""From physical fields to what a network sees and back, with all that a forecast needs beside."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.calendars import Times
from deepsphere.data.climatology import Climatology
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.field_sources import KnownFields
from deepsphere.data.known_fields import ComputedFields
from deepsphere.data.time_axis import TimeStep
from deepsphere.sampling.encoding import decode_array, encode_array
from deepsphere.training.channel_scaling import ChannelScaling

KIND = "forecast"
# A channel whose deviation is a smaller part of its largest value is constant but for rounding.
_SMALLEST_DEVIATION = 1e-6
_READ_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class FieldPreparation:
    """How fields become inputs and outputs become fields; measured on the training alone.

    Fields are taken relative to the climatology where there is one, and divided by the standard
    deviation of each channel over the training and the valid vertices, weighted by area. Static
    and boundary fields are standardized too.

    Parameters
    ----------
    scaling
        Of the fields, or of their anomalies.
    step
        Regular step of the series it was measured on.
    climatology
        What is usual; None where fields are taken as they are.
    static
        Static fields, standardized; None where there are none.
    boundary_scaling
        Of the boundary fields; None where there are none.
    boundary_computed
        Names of the boundary fields where all of them are computed (`ComputedFields`), so that a
        forecast needs no file of them; else None.
    valid
        Where there are fields: False where a channel is missing at all times of the training.
        None for everywhere.
    """

    scaling: ChannelScaling
    step: TimeStep
    climatology: Climatology | None = None
    static: Float[np.ndarray, "vertices static"] | None = None
    boundary_scaling: ChannelScaling | None = None
    boundary_computed: tuple[str, ...] | None = None
    valid: Bool[np.ndarray, "vertices channels"] | None = None

    def prepare(
        self, values: Float[np.ndarray, "times vertices channels"], times: Times
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields as a network sees them.

        Parameters
        ----------
        values
            In their units; NaN is missing.
        times
            Of each.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
            float32; NaN where a value is missing or not valid.
        """
        exact = values.astype(np.float64)
        if self.climatology is not None:
            exact -= self.climatology.at(times)
        scaled = (exact - self.scaling.mean) / self.scaling.deviation
        return self._only_valid(scaled).astype(np.float32)

    def restore(
        self, scaled: Float[np.ndarray, "times vertices channels"], times: Times
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields in their units.

        Parameters
        ----------
        scaled
            What a network made.
        times
            Of each.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
            float32; NaN where there is no field.
        """
        exact = scaled.astype(np.float64) * self.scaling.deviation + self.scaling.mean
        if self.climatology is not None:
            exact += self.climatology.at(times)
        return self._only_valid(exact).astype(np.float32)

    def prepare_boundary(
        self, boundary: KnownFields, times: Times
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Boundary fields as a network sees them.

        Parameters
        ----------
        boundary
            Where they come from.
        times
            Of each.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
            float32; zero, which is the mean, where a value is missing.
        """
        scaling = self.boundary_scaling
        assert scaling is not None, "measured where there are boundary fields"
        exact = (boundary.at(times).astype(np.float64) - scaling.mean) / scaling.deviation
        return np.where(np.isnan(exact), 0.0, exact).astype(np.float32)

    def _only_valid(self, values: np.ndarray) -> np.ndarray:
        """NaN outside of where there are fields, whatever stood there."""
        return values if self.valid is None else np.where(self.valid, values, np.nan)

    @property
    def normalization(self) -> dict[str, Any]:
        """How fields are scaled, as plain values, for the metadata of a checkpoint."""
        boundary = self.boundary_scaling
        return {
            **self.scaling.values,
            "kind": KIND,
            "climatology": None if self.climatology is None else self.climatology.values,
            "boundary": None if boundary is None else boundary.values,
        }

    @property
    def projection(self) -> dict[str, Any]:
        """What a network sees beside, as plain values; arrays as compressed text."""
        valid = self.valid
        return {
            "kind": KIND,
            "step": self.step.values,
            "static": None if self.static is None else encode_array(self.static.ravel()),
            "boundary_computed": self.boundary_computed and list(self.boundary_computed),
            "valid": None if valid is None else encode_array(np.packbits(valid.ravel())),
        }

    @classmethod
    def from_metadata(
        cls, normalization: dict[str, Any] | None, projection: dict[str, Any] | None, *, shape: Any
    ) -> "FieldPreparation":
        """The preparation that the metadata of a checkpoint describe.

        Parameters
        ----------
        normalization, projection
            Of the metadata.
        shape
            Numbers of vertices, channels and static fields.

        Returns
        -------
        FieldPreparation

        Raises
        ------
        ValueError
            If they are not those of a forecast.
        """
        normalization, projection = normalization or {}, projection or {}
        if normalization.get("kind") != KIND or projection.get("kind") != KIND:
            raise ValueError(
                "metadata must be those of a forecast, got the normalization "
                f"{normalization.get('kind')!r}; take a checkpoint that ForecastModule was "
                "trained to"
            )
        num_vertices, num_channels, num_static = shape
        static, valid = projection["static"], projection["valid"]
        usual, boundary = normalization["climatology"], normalization["boundary"]
        computed = projection["boundary_computed"]
        num_values = num_vertices * num_channels
        return cls(
            scaling=ChannelScaling.from_values(normalization | {"kind": "channels"}),
            step=TimeStep(**projection["step"]),
            climatology=None if usual is None else Climatology.from_values(usual),
            static=None
            if static is None
            else decode_array(static, np.float32).reshape(num_vertices, num_static),
            boundary_scaling=None if boundary is None else ChannelScaling.from_values(boundary),
            boundary_computed=None if computed is None else tuple(computed),
            valid=None
            if valid is None
            else np.unpackbits(decode_array(valid, np.uint8), count=num_values)
            .astype(bool)
            .reshape(num_vertices, num_channels),
        )


def measure_preparation(
    series: FieldSeries, *, climatology: Climatology | None = None
) -> FieldPreparation:
    """Preparation whose numbers are those of a series: of the training, and of nothing else.

    Parameters
    ----------
    series
        At least two times; read once.
    climatology
        Of the same series, to learn anomalies; None to learn fields as they are.

    Returns
    -------
    FieldPreparation
        Channels that are constant are only shifted. Constant parts of the anomalies stay.

    Raises
    ------
    ValueError
        If a channel has no value, or the step is not known.
    """
    if series.step is None:
        raise ValueError("series must have at least two times to learn from, got 1")
    areas = series.sampling.areas
    moments = _Moments(areas, series.num_channels)
    valid = np.zeros((series.sampling.num_vertices, series.num_channels), bool)
    for indices, values in _parts(series):
        valid |= (~np.isnan(values)).any(axis=0)
        if climatology is not None:
            values = values - climatology.at(series.times[indices])
        moments.add(values)
    if not valid.any(axis=0).all():
        lost = series.channel_names[int(np.argmin(valid.any(axis=0)))]
        raise ValueError(f"fields must have values to learn from, got {lost} missing everywhere")
    preparation = FieldPreparation(
        scaling=moments.scaling(),
        step=series.step,
        climatology=climatology,
        static=_standardized(series.static, areas),
        valid=None if valid.all() else valid,
    )
    boundary = series.boundary
    if boundary is None:
        return preparation
    known = _Moments(areas, len(boundary.channel_names))
    for indices, _ in _index_parts(series):
        known.add(boundary.at(series.times[indices]))
    computed = boundary.channel_names if isinstance(boundary, ComputedFields) else None
    return replace(preparation, boundary_scaling=known.scaling(), boundary_computed=computed)


class _Moments:
    """Area-weighted mean and deviation of channels, of what is not missing."""

    def __init__(self, areas: np.ndarray, num_channels: int) -> None:
        self.areas = areas
        self.weight = np.zeros(num_channels)
        self.first = np.zeros(num_channels)
        self.second = np.zeros(num_channels)
        self.origin: np.ndarray | None = None
        self.largest = np.zeros(num_channels)

    def add(self, values: np.ndarray) -> None:
        """Take some fields into account."""
        is_there = ~np.isnan(values)
        exact = np.where(is_there, values, 0.0).astype(np.float64)
        weights = self.areas[:, None] * is_there
        if self.origin is None and is_there.any(axis=(0, 1)).all():
            # near the mean, so that nothing cancels however far it is from zero
            self.origin = (weights * exact).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))
        origin = np.zeros(len(self.weight)) if self.origin is None else self.origin
        if self.origin is None:
            self.origin = origin
        differences = exact - origin
        self.weight += weights.sum(axis=(0, 1))
        self.first += (weights * differences).sum(axis=(0, 1))
        self.second += (weights * differences**2).sum(axis=(0, 1))
        self.largest = np.maximum(self.largest, np.abs(exact).max(axis=(0, 1)))

    def scaling(self) -> ChannelScaling:
        """Mean and deviation; the deviation of a constant channel is 1."""
        weight = np.maximum(self.weight, np.finfo(float).tiny)
        first = self.first / weight
        deviation = np.sqrt(np.maximum(0.0, self.second / weight - first**2))
        deviation = np.where(deviation <= _SMALLEST_DEVIATION * self.largest, 1.0, deviation)
        mean = first + (0.0 if self.origin is None else self.origin)
        return ChannelScaling(tuple(mean.tolist()), tuple(deviation.tolist()))


def _standardized(static: np.ndarray | None, areas: np.ndarray) -> np.ndarray | None:
    """Static fields with mean 0 and deviation 1 over the sphere."""
    if static is None:
        return None
    moments = _Moments(areas, static.shape[1])
    moments.add(static[None])
    scaling = moments.scaling()
    return ((static - scaling.mean) / scaling.deviation).astype(np.float32)


def _index_parts(series: FieldSeries) -> Iterator[tuple[np.ndarray, None]]:
    """The indices of a series, some at a time."""
    for start in range(0, len(series), _READ_AT_ONCE):
        yield np.arange(start, min(start + _READ_AT_ONCE, len(series))), None


def _parts(series: FieldSeries) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The fields of a series, some at a time."""
    for indices, _ in _index_parts(series):
        yield indices, series.read(indices)
