"""Simulated weather: waves that travel, fade and are stirred, with seasons, on any sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.calendars import Times, year_fractions
from deepsphere.data.field_series import FieldSeries
from deepsphere.data.time_axis import TimeAxis
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Sampling

_LAND_DEGREE = 4
_MEAN = (280.0, 5500.0)
_SEASON = (20.0, 60.0)
_GRADIENT = (-40.0, -300.0)
_DEVIATION = (5.0, 80.0)


@dataclass(frozen=True)
class WeatherPlan:
    """Simulated weather, of which every field is a function of these numbers and its time.

    Every harmonic of a field is a wave: it travels around the axis as a wave of Rossby and Haurwitz
    does, with the wind less what the curvature of the sphere takes from long waves, fades, and is
    driven by noise. So what comes next at a place was upstream of it before: neighbors tell more
    than the place itself. A second field follows the first with a delay of a quarter of a wave,
    as pressure and temperature do. On top lies what is known in advance: a gradient from the
    equator to the poles, and seasons that are opposite on the hemispheres.

    Parameters
    ----------
    max_degree
        Of the harmonics, at least 1.
    wind_deg
        Degrees by which the shortest waves travel to the east in a step.
    planetary_deg
        Degrees in a step that waves of degree l travel less, times 2 / (l (l + 1)).
    memory
        Steps after which a wave has faded to 1/e, positive.
    num_channels
        1 or 2.
    land_fraction
        Share of the sphere where everything is missing, in [0, 1).
    seed
        Of the noise and of the land.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> series = simulated_weather(WeatherPlan(), Healpix(4), num_times=8)
    >>> len(series), str(series.step), series.channel_names
    (8, '6 hours', ('temperature', 'height'))

    References
    ----------
    Haurwitz (1940), The motion of atmospheric disturbances on the spherical earth, equation 14.
    """

    max_degree: int = 10
    wind_deg: float = 15.0
    planetary_deg: float = 30.0
    memory: float = 20.0
    num_channels: int = 2
    land_fraction: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.max_degree < 1:
            raise ValueError(f"max_degree must be at least 1, got {self.max_degree}")
        if not self.memory > 0:
            raise ValueError(f"memory must be positive, got {self.memory}")
        if self.num_channels not in (1, 2):
            raise ValueError(f"num_channels must be 1 or 2, got {self.num_channels}")
        if not 0 <= self.land_fraction < 1:
            raise ValueError(f"land_fraction must be in [0, 1), got {self.land_fraction}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


def simulated_weather(
    plan: WeatherPlan,
    sampling: Sampling,
    *,
    num_times: int | None = None,
    times: Times | Sequence[Any] | None = None,
    step_hours: int = 6,
) -> FieldSeries:
    """Series of simulated weather.

    Parameters
    ----------
    plan
        What is simulated.
    sampling
        Where.
    num_times
        How many times from 1 January 2000 on, `step_hours` apart; instead of `times`.
    times
        The times, of any calendar; where some are missing, the weather went on without being seen.
    step_hours
        Between times, where their number is given.

    Returns
    -------
    FieldSeries
        Of "temperature" (K) and, with two channels, "height" (m). With land, a static field "land"
        says where it is.

    Raises
    ------
    ValueError
        If neither or both of `num_times` and `times` are given, or a number is below 1.
    """
    if (num_times is None) == (times is None):
        raise ValueError("times must be given, or num_times, got neither or both")
    if times is None:
        if num_times is None or num_times < 1 or step_hours < 1:
            raise ValueError(
                f"num_times and step_hours must be at least 1, got {num_times} and {step_hours}"
            )
        hours = np.arange(num_times) * np.timedelta64(step_hours, "h")
        times = np.datetime64("2000-01-01", "s") + hours
    axis = TimeAxis(times)
    names, units = ("temperature", "height"), ("K", "m")
    land = _land(plan, sampling) if plan.land_fraction else None
    return FieldSeries(
        source=SimulatedFields(plan, sampling, axis),
        frames=np.arange(len(axis)),
        axis=axis,
        sampling=sampling,
        channel_names=names[: plan.num_channels],
        units=units[: plan.num_channels],
        static=None if land is None else land[:, None].astype(np.float32),
        static_names=() if land is None else ("land",),
    )


@dataclass(frozen=True, eq=False)
class SimulatedFields:
    """Source of simulated fields, which are computed when they are asked for.

    Parameters
    ----------
    plan
        What is simulated.
    sampling
        Where.
    axis
        When.
    """

    plan: WeatherPlan
    sampling: Sampling
    axis: TimeAxis

    def read(
        self, indices: Int[np.ndarray, "times"]
    ) -> Float[np.ndarray, "times vertices channels"]:
        """Fields of some times."""
        plan, lat = self.plan, self.sampling.lat
        waves = _wave_coefficients(plan, int(self.axis.positions[-1]) + 1)
        harmonics = _harmonics(self.sampling, plan.max_degree)
        chosen = waves[self.axis.positions[indices]]
        season = -np.cos(2 * np.pi * year_fractions(self.axis.times[indices]))
        fields = []
        for channel in range(plan.num_channels):
            usual = _MEAN[channel] + _GRADIENT[channel] * np.sin(lat) ** 2
            seasonal = _SEASON[channel] * season[:, None] * np.sin(lat)
            weather = _DEVIATION[channel] * (chosen[:, channel] @ harmonics.T)
            fields.append(usual + seasonal + weather)
        values = np.stack(fields, axis=-1).astype(np.float32)
        if plan.land_fraction:
            values[:, _land(plan, self.sampling)] = np.nan
        return values


def travelling_waves(
    plan: WeatherPlan, sampling: Sampling, positions: Int[np.ndarray, "times"]
) -> Float[np.ndarray, "times vertices 2"]:
    """The waves of simulated weather alone: without a climate, and of unit variance.

    Parameters
    ----------
    plan
        What is simulated; its land is not looked at.
    sampling
        Where.
    positions
        Steps since the weather began, from 0, the last of them the largest.

    Returns
    -------
    Float[np.ndarray, "times vertices 2"]
        A field and the one that follows it a quarter of a wave behind.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> travelling_waves(WeatherPlan(), Healpix(4), np.arange(8)).shape
    (8, 192, 2)
    """
    waves = _wave_coefficients(plan, int(positions[-1]) + 1)[positions]
    return np.stack(
        [waves[:, channel] @ _harmonics(sampling, plan.max_degree).T for channel in range(2)],
        axis=-1,
    )


@lru_cache(maxsize=4)
def _harmonics(sampling: Sampling, max_degree: int) -> np.ndarray:
    """Harmonics at the vertices, without the constant one."""
    return real_harmonics(sampling.points, max_degree)[:, 1:]


@lru_cache(maxsize=4)
def _wave_coefficients(plan: WeatherPlan, num_steps: int) -> np.ndarray:
    """Coefficients of the waves, (steps, channels, harmonics), with unit variance of each field."""
    degrees, orders = _degrees_and_orders(plan.max_degree)
    # of the power of a harmonic: red, as that of weather is
    power = 1.0 / (degrees * (degrees + 1.0))
    # the variance at a point is that of all coefficients over 4π
    amplitude = np.sqrt(4 * np.pi * power / power.sum())
    turn = np.deg2rad(plan.wind_deg - plan.planetary_deg * 2 / (degrees * (degrees + 1.0)))
    # the coefficients of orders m and −m belong to cos(m lon) and sin(m lon): a rotation by an
    # angle turns them into each other
    angle = np.abs(orders) * turn
    partner = _partner(degrees, orders)
    sign = np.where(orders >= 0, -1.0, 1.0)
    fading = np.exp(-1.0 / plan.memory)
    stirring = np.sqrt(1 - fading**2)
    generator = np.random.default_rng(plan.seed)
    state = amplitude * generator.standard_normal(len(degrees))
    waves = np.empty((num_steps, 2, len(degrees)))
    for index in range(num_steps):
        waves[index, 0] = state
        # a quarter of a wave behind
        waves[index, 1] = -sign * state[partner]
        moved = np.cos(angle) * state + sign * np.sin(angle) * state[partner]
        noise = amplitude * generator.standard_normal(len(degrees))
        state = fading * moved + stirring * noise
    return waves


def _degrees_and_orders(max_degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Degree and order of each harmonic, without the constant one."""
    indices = np.arange(1, (max_degree + 1) ** 2)
    degrees = np.sqrt(indices).astype(np.int64)
    return degrees, indices - degrees * (degrees + 1)


def _partner(degrees: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Index of the harmonic of the same degree and the opposite order."""
    return degrees**2 + degrees - orders - 1


def _land(plan: WeatherPlan, sampling: Sampling) -> np.ndarray:
    """Where there is land: continents that cover the share of the sphere that they should."""
    generator = np.random.default_rng((plan.seed, 1))
    degrees, _ = _degrees_and_orders(_LAND_DEGREE)
    coefficients = generator.standard_normal(len(degrees)) / degrees
    heights = _harmonics(sampling, _LAND_DEGREE) @ coefficients
    order = np.argsort(-heights)
    covered = np.cumsum(sampling.areas[order]) / sampling.areas.sum()
    land = np.zeros(sampling.num_vertices, bool)
    land[order[covered <= plan.land_fraction]] = True
    return land
