"""Simulated station records: seasons, travelling weather, elevation, rain, snow and gaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.calendars import year_fractions
from deepsphere.data.simulated_places import Places, simulated_places
from deepsphere.data.simulated_weather import WeatherPlan, travelling_waves
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.data.time_axis import TimeAxis
from deepsphere.sampling import Scattered

_CHANNELS = ("tmax", "tmin", "tavg", "prcp", "snow", "snwd")
_UNITS = ("°C", "°C", "°C", "mm", "mm", "mm")

# Degrees Celsius at sea level on the equator, and how much colder it is at the poles.
_EQUATOR_C, _TO_POLE_C = 27.0, 45.0
# Half the difference of summer and winter at the poles, on the ocean, and what land adds.
_SEASON_C, _LAND_SEASON_C = 6.0, 20.0
# Share of a year by which the seasons lag behind the sun, on land and, in addition, at sea.
_LAG, _OCEAN_LAG = 0.07, 0.09
# Deviation of the weather in the tropics, and how much larger it is at high latitudes.
_WEATHER_C, _POLAR_WEATHER_C = 1.2, 3.8
_LAPSE_C_PER_M = -0.0065
# What a station has alone: from day to day, and always.
_NOISE_C, _OFFSET_C = 0.7, 0.5
# Half the difference of the highest and lowest temperature of a clear day, on the sea and on land.
_RANGE_C, _LAND_RANGE_C = 2.5, 5.0
# Days of rain of a place on average: waves above this many deviations bring it.
_RAIN_THRESHOLD = 0.7
_RAIN_MM = 6.0
# Degrees by which days of snow melt it, in mm of depth for each and day.
_MELT_MM = 12.0
_SNOW_PER_RAIN = 10.0
# Weather of a day is 10° to the east a day later, but for the longest waves.
_WAVES = {"max_degree": 24, "wind_deg": 10.0, "planetary_deg": 10.0, "memory": 6.0}
# Share of the stations without a gap, and of those that are silent throughout.
_WITHOUT_GAP, _SILENT = 0.4, 0.005
_MEAN_GAP_DAYS = 12.0
_UNKNOWN_ELEVATION = 0.02


@dataclass(frozen=True, kw_only=True)
class SimulatedStationsPlan:
    """What decides every value of simulated station records.

    The climate is that of the latitude, with seasons that are opposite on the hemispheres and
    larger and earlier inside continents. Weather travels to the east, 10° a day, so that tomorrow's
    was upstream today; it fades, so that a quarter of it cannot be foreseen. It is colder on
    mountains by 6.5 °C per km, where stations differ by hundreds of meters from their neighbors.
    Rain and snow fall on the rear of warm waves, in a rainy season of each place. Nothing is made
    for a method: neighbors tell of the weather that comes, and elevation of the temperature, as
    they do in the world.

    Parameters
    ----------
    num_stations
        How many, at least 8; see `simulated_places`.
    num_days
        How many, at least 1.
    start
        The first day, as "2010-01-01".
    missing
        Share of the values that are missing, in [0, 0.5]. Two in five stations have no gap, others
        begin late, end early or stop for weeks, and one in 200 is silent throughout; no station is
        with 0.
    outliers
        Share of the temperatures that are wrong by tens of degrees, as a few that pass the checks
        of the services are; in [0, 1].
    seed
        Of everything.

    Raises
    ------
    ValueError
        If a number is out of its range, or the start is no date.
    """

    num_stations: int = 500
    num_days: int = 1461
    start: str = "2010-01-01"
    missing: float = 0.05
    outliers: float = 1e-5
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name, least in (("num_stations", 8), ("num_days", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name, most in (("missing", 0.5), ("outliers", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(
                    f"{name} must be between 0 and {most:g}, got {getattr(self, name)}"
                )
        try:
            np.datetime64(self.start, "D")
        except ValueError as error:
            raise ValueError(
                f"start must be a date such as '2010-01-01', got {self.start!r}"
            ) from error

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, from which the plan is made again."""
        return dict(vars(self))


def simulated_stations(plan: SimulatedStationsPlan | None = None) -> StationRecords:
    """Station records that a plan describes, in the units of GHCN-Daily.

    Parameters
    ----------
    plan
        What is simulated; the usual one if not given.

    Returns
    -------
    StationRecords
        Of tmax, tmin, tavg (°C), prcp, snow, snwd (mm).

    Examples
    --------
    >>> records = simulated_stations(SimulatedStationsPlan(num_stations=20, num_days=30))
    >>> records.num_stations, len(records), records.channel_names[:3]
    (20, 30, ('tmax', 'tmin', 'tavg'))
    """
    plan = SimulatedStationsPlan() if plan is None else plan
    places = simulated_places(plan.num_stations, seed=plan.seed)
    times = np.datetime64(plan.start, "D") + np.arange(plan.num_days)
    axis = TimeAxis(times.astype("datetime64[s]"))
    generator = np.random.default_rng((plan.seed, 12))
    sampling = Scattered(places.lon_deg, places.lat_deg)
    waves = travelling_waves(
        WeatherPlan(seed=plan.seed, **_WAVES), sampling, np.arange(plan.num_days)
    )
    year = year_fractions(axis.times)
    values = np.empty((plan.num_days, plan.num_stations, len(_CHANNELS)), np.float32)
    clouds = _clouds(waves, places, year, generator)
    mean = _mean_temperature(waves[..., 0], places, year, generator)
    half = (_RANGE_C + _LAND_RANGE_C * places.continentality) * (1.3 - np.clip(clouds, 0, 1))
    half = half * np.exp(0.15 * generator.standard_normal(half.shape))
    values[..., 0], values[..., 1], values[..., 2] = mean + half, mean - half, mean
    values[..., 3:] = _precipitation(clouds, mean, generator)
    values = np.round(values, 1)
    wrong = generator.random(values[..., :3].shape) < plan.outliers
    errors = generator.choice([-40.0, -20.0, 20.0, 40.0], size=wrong.shape)
    values[..., :3] += np.where(wrong, errors, 0.0).astype(np.float32)
    present = _present(plan, generator)
    # a station that reports does not always measure everything
    partly = generator.random(values.shape) < 0.2 * plan.missing
    values[~present] = np.nan
    has_gap = ~np.all(present, axis=0)
    values[partly & has_gap[:, None]] = np.nan
    elevation = places.elevation_m.copy()
    elevation[generator.random(plan.num_stations) < _UNKNOWN_ELEVATION] = np.nan
    return station_records(
        places.lon_deg,
        places.lat_deg,
        values,
        times,
        ids=[f"SIM{index:08d}" for index in range(plan.num_stations)],
        elevation_m=elevation,
        channel_names=_CHANNELS,
        units=_UNITS,
        notes=(f"simulated, not measured: {plan}",),
    )


def _mean_temperature(
    weather: Float[np.ndarray, "days stations"],
    places: Places,
    year: Float[np.ndarray, "days"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "days stations"]:
    """Mean temperature of each day."""
    height = np.sin(np.deg2rad(places.lat_deg))
    offset = _OFFSET_C * generator.standard_normal(len(height))
    usual = _EQUATOR_C - _TO_POLE_C * height**2 + _LAPSE_C_PER_M * places.elevation_m + offset
    amplitude = (_SEASON_C + _LAND_SEASON_C * places.continentality) * height
    lag = _LAG + _OCEAN_LAG * (1 - places.continentality)
    season = -amplitude * np.cos(2 * np.pi * (year[:, None] - lag))
    deviation = _WEATHER_C + _POLAR_WEATHER_C * np.abs(height)
    noise = _NOISE_C * generator.standard_normal(weather.shape)
    return usual + season + deviation * weather + noise


def _clouds(
    waves: Float[np.ndarray, "days stations 2"],
    places: Places,
    year: Float[np.ndarray, "days"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "days stations"]:
    """How cloudy a day is, in deviations above the threshold of rain; noisy."""
    # in the tropics the rain follows the sun; elsewhere it falls in winter, mostly
    sun = np.cos(2 * np.pi * (year[:, None] - 0.55)) * np.sin(np.deg2rad(places.lat_deg))
    is_tropical = np.exp(-((places.lat_deg / 25.0) ** 2))
    season = sun * (2.5 * is_tropical - 0.6 * (1 - is_tropical))
    dry = 0.5 * np.cos(3 * np.deg2rad(places.lat_deg)) * places.continentality
    noise = 0.5 * generator.standard_normal(waves.shape[:2])
    return waves[..., 1] + season - dry + noise - _RAIN_THRESHOLD


def _precipitation(
    clouds: Float[np.ndarray, "days stations"],
    mean_c: Float[np.ndarray, "days stations"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "days stations 3"]:
    """Rain with melted snow, snow that fell and snow that lies, in mm."""
    amount = generator.gamma(1.5, 1 / 1.5, size=clouds.shape)
    fallen = _RAIN_MM * np.maximum(clouds, 0.0) ** 1.3 * amount
    fallen = np.where(fallen < 0.1, 0.0, fallen)
    snow = np.where(mean_c < 1.0, _SNOW_PER_RAIN * fallen, 0.0)
    depth = np.empty_like(snow)
    lying = np.zeros(snow.shape[1])
    for day, (fresh, warm) in enumerate(zip(snow, mean_c, strict=True)):
        # it settles by a tenth a day
        lying = np.maximum(0.9 * lying + fresh - _MELT_MM * np.maximum(warm, 0.0), 0.0)
        depth[day] = lying
    return np.stack([fallen, np.round(snow), np.round(depth)], axis=-1)


def _present(
    plan: SimulatedStationsPlan, generator: np.random.Generator
) -> Bool[np.ndarray, "days stations"]:
    """On which days stations report at all."""
    num_days, number = plan.num_days, plan.num_stations
    present = np.ones((num_days, number), bool)
    kinds = generator.random(number)
    draws = generator.random((number, 3))
    if plan.missing == 0:
        return present
    share = plan.missing / (1 - _WITHOUT_GAP)
    for station in np.flatnonzero(kinds >= _WITHOUT_GAP):
        # half of what is missing lies at the beginning or the end, half in pieces between
        silent = min(1.0, share * -np.log(1 - draws[station, 0]))
        edge = int(0.5 * silent * num_days)
        first = 0 if draws[station, 1] < 0.5 else num_days - edge
        present[first : first + edge, station] = False
        num_gaps = generator.poisson(0.5 * silent * num_days / _MEAN_GAP_DAYS)
        starts = generator.integers(num_days, size=num_gaps)
        lengths = generator.geometric(1 / _MEAN_GAP_DAYS, size=num_gaps)
        for start, length in zip(starts, lengths, strict=True):
            present[start : start + length, station] = False
    present[:, kinds > 1 - _SILENT] = False
    return present
