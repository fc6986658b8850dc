"""Fields that are computed: positions on the sphere, the time of the year, the sun."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.calendars import Times, calendar_fields, year_fractions
from deepsphere.data.field_sources import KnownFields
from deepsphere.sampling import Sampling

PositionField = Literal["sin_lat", "cos_lat", "sin_lon", "cos_lon"]
TimeField = Literal[
    "sin_year", "cos_year", "sin_local_time", "cos_local_time", "insolation", "daily_insolation"
]

SOLAR_CONSTANT = 1361.0  # W/m² at the mean distance of the sun (Kopp and Lean, 2011)


@dataclass(frozen=True, eq=False)
class ComputedFields:
    """Fields that follow from the time and the position alone, at any time.

    ===================  =========================================================================
    sin_year, cos_year   of 2π times the share of the year that has passed: the season
    sin_local_time, ...  of the solar time at each longitude
    insolation           solar radiation at the top of the atmosphere at that moment, in W/m²
    daily_insolation     its mean over the day, which has no local time: for steps of days, months
    ===================  =========================================================================

    Parameters
    ----------
    names
        Of the fields, in the order of the channels.
    sampling
        Where they are computed.

    Raises
    ------
    ValueError
        If there is no such field, or one is named twice.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> fields = ComputedFields(("daily_insolation",), Equiangular(5, 8, poles=2))
    >>> solstice = np.array(["2021-12-21"], "datetime64[s]")
    >>> fields.at(solstice)[0, [0, -1], 0].round(-1)  # the poles
    array([  0., 560.], dtype=float32)
    """

    names: tuple[TimeField, ...]
    sampling: Sampling

    def __post_init__(self) -> None:
        """Check the names."""
        check_time_fields(self.names)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel."""
        return self.names

    def at(self, times: Times) -> Float[np.ndarray, "times vertices channels"]:
        """The fields at some times.

        Parameters
        ----------
        times
            datetime64 or cftime.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
            float32.
        """
        shape = (len(times), self.sampling.num_vertices)
        columns = [np.broadcast_to(self._field(name, times), shape) for name in self.names]
        return np.stack(columns, axis=-1).astype(np.float32)

    def subset(
        self, selection: Bool[np.ndarray, "vertices"] | Int[np.ndarray, "kept"]
    ) -> "ComputedFields":
        """The same fields at some of the vertices.

        Parameters
        ----------
        selection
            A mask, or indices.

        Returns
        -------
        ComputedFields
        """
        return ComputedFields(self.names, self.sampling.subset(selection))

    def _field(self, name: TimeField, times: Times) -> np.ndarray:
        """One of the fields, (times, vertices) or (times, 1)."""
        angle = 2 * np.pi * year_fractions(times)[:, None]
        lon, lat = self.sampling.lon[None], self.sampling.lat[None]
        if name in ("sin_year", "cos_year"):
            return np.sin(angle) if name == "sin_year" else np.cos(angle)
        clock = calendar_fields(times)[:, 3, None] / 86400
        hour_angle = 2 * np.pi * (clock - 0.5) + lon
        if name in ("sin_local_time", "cos_local_time"):
            function = np.sin if name == "sin_local_time" else np.cos
            return function(hour_angle + np.pi)
        declination, distance = _sun(angle)
        flux = SOLAR_CONSTANT / distance**2
        vertical = np.sin(lat) * np.sin(declination)
        horizontal = np.cos(lat) * np.cos(declination)
        if name == "insolation":
            return flux * np.maximum(0, vertical + horizontal * np.cos(hour_angle))
        # Berger (1978): the mean over the day, of which the sun is up for two sunset hour angles
        sunset = np.arccos(np.clip(-vertical / np.maximum(horizontal, 1e-12), -1, 1))
        return flux / np.pi * (sunset * vertical + horizontal * np.sin(sunset))


@dataclass(frozen=True, eq=False)
class JoinedFields:
    """Fields known in advance of several kinds, as channels side by side.

    Parameters
    ----------
    parts
        At least one; all on one sampling, with different names.

    Raises
    ------
    ValueError
        If they do not fit together.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> parts = [ComputedFields((name,), Healpix(1)) for name in ("sin_year", "cos_year")]
    >>> JoinedFields(parts).channel_names
    ('sin_year', 'cos_year')
    """

    parts: Sequence[KnownFields]

    def __post_init__(self) -> None:
        """Check what belongs together."""
        names = self.channel_names
        if not self.parts or len(set(names)) < len(names):
            raise ValueError(f"parts must have channels with different names, got {names}")
        if any(part.sampling != self.sampling for part in self.parts):
            raise ValueError("parts must be on one sampling, got several; regrid them")

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Name of each channel."""
        return tuple(name for part in self.parts for name in part.channel_names)

    @property
    def sampling(self) -> Sampling:
        """Where the fields are sampled."""
        return self.parts[0].sampling

    def at(self, times: Times) -> Float[np.ndarray, "times vertices channels"]:
        """The fields at some times.

        Parameters
        ----------
        times
            datetime64 or cftime.

        Returns
        -------
        Float[np.ndarray, "times vertices channels"]
        """
        return np.concatenate([part.at(times) for part in self.parts], axis=-1)

    def subset(
        self, selection: Bool[np.ndarray, "vertices"] | Int[np.ndarray, "kept"]
    ) -> "JoinedFields":
        """The same fields at some of the vertices.

        Parameters
        ----------
        selection
            A mask, or indices.

        Returns
        -------
        JoinedFields
        """
        parts: list[Any] = list(self.parts)
        return JoinedFields([part.subset(selection) for part in parts])


def position_fields(
    sampling: Sampling, names: Sequence[PositionField] = ("sin_lat",)
) -> Float[np.ndarray, "vertices fields"]:
    """Static fields that say where a vertex is.

    Parameters
    ----------
    sampling
        The vertices.
    names
        "sin_lat", "cos_lat", "sin_lon" or "cos_lon".

    Returns
    -------
    Float[np.ndarray, "vertices fields"]
        float32.

    Raises
    ------
    ValueError
        If there is no such field.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> position_fields(Equiangular(3, 4, poles=2))[[0, 1, -1], 0].round(6).tolist()
    [1.0, 0.0, -1.0]
    """
    unknown = [name for name in names if name not in get_args(PositionField)]
    if unknown or not names:
        raise ValueError(
            f"names must be of {', '.join(get_args(PositionField))}, got "
            f"{unknown[0] if unknown else 'none'!r}"
        )
    angles = {"lat": sampling.lat, "lon": sampling.lon}
    functions = {"sin": np.sin, "cos": np.cos}
    columns = [functions[name[:3]](angles[name[4:]]) for name in names]
    return np.stack(columns, axis=-1).astype(np.float32)


def check_time_fields(names: Sequence[str]) -> None:
    """Raise unless all names are of fields that can be computed, each once.

    Parameters
    ----------
    names
        At least one.

    Raises
    ------
    ValueError
        If they are not.
    """
    unknown = [name for name in names if name not in get_args(TimeField)]
    if unknown or not names or len(set(names)) < len(names):
        raise ValueError(
            f"names must be different ones of {', '.join(get_args(TimeField))}, got {tuple(names)}"
        )


def _sun(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Declination of the sun and its distance in astronomical units, by Spencer (1971)."""
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    inverse_square = (
        1.00011
        + 0.034221 * np.cos(angle)
        + 0.00128 * np.sin(angle)
        + 0.000719 * np.cos(2 * angle)
        + 0.000077 * np.sin(2 * angle)
    )
    return declination, inverse_square**-0.5
