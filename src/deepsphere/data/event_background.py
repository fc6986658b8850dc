"""The weather in which simulated events happen: a climate of latitudes and smooth random waves."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from deepsphere.data.event_plan import EventPlan
from deepsphere.data.event_tracks import season_of
from deepsphere.harmonics import real_harmonics

_MAX_DEGREE = 24
# Waves: their lowest degree, and how fast their power falls with the degree.
_WAVES = {
    "low": (4, 3.0),
    "high": (3, 3.0),
    "moisture": (2, 2.4),
    "warmth": (1, 2.8),
    "planetary": (1, 3.0),
    "rain": (5, 1.2),
    "eastward": (2, 2.6),
    "northward": (2, 2.6),
}
_BAND = 0x7C03
# Above this many numbers harmonics are computed anew for parts of the points.
_LARGEST_BASIS = 40_000_000
_PART = 20_000
_ROUNDING = 2.0**20  # so that sums in another order give the same bytes

_DRIFT = 0.006  # of the waves, radians of longitude in an hour
_MEMORY_HOURS = 60.0  # of waves of degree 8; smaller ones change sooner

_HEAVIEST_RAIN = 5.0e-6  # m/s, outside of events

# Mountains: longitude, latitude, radius in degrees, height in km.
_MOUNTAINS = (
    (88, 34, 12, 4.6),
    (70, -84, 17, 2.9),
    (318, 73, 9, 2.6),
    (250, 41, 9, 1.9),
    (290, -24, 6, 3.2),
    (285, -8, 4, 2.4),
    (38, 5, 8, 1.5),
    (25, -26, 7, 1.1),
    (55, 32, 8, 1.3),
    (100, 50, 11, 1.2),
    (128, 64, 10, 0.8),
    (235, 62, 7, 1.1),
)


class Waves(NamedTuple):
    """Random waves at points, of about unit variance, and the gradient of the low ones.

    Attributes
    ----------
    low, high, moisture, warmth, planetary, rain, eastward, northward
        Waves (points,).
    low_lon, low_lat
        Derivative of the low waves in longitude, and in latitude times the cosine of latitude.
    """

    low: np.ndarray
    high: np.ndarray
    moisture: np.ndarray
    warmth: np.ndarray
    planetary: np.ndarray
    rain: np.ndarray
    eastward: np.ndarray
    northward: np.ndarray
    low_lon: np.ndarray
    low_lat: np.ndarray


@dataclass(frozen=True, eq=False)
class Ground:
    """What does not change at points.

    Parameters
    ----------
    sine, cosine
        Of latitude.
    height_km
        Of the ground.

    Examples
    --------
    >>> float(ground_at(np.array([[0.0, 0.0, -1.0]])).height_km[0]) > 2
    True
    """

    sine: np.ndarray
    cosine: np.ndarray
    height_km: np.ndarray


def ground_at(points: Float[np.ndarray, "points 3"]) -> Ground:
    """What does not change at points.

    Parameters
    ----------
    points
        Unit vectors.

    Returns
    -------
    Ground
    """
    height = np.zeros(len(points))
    for lon, lat, radius, peak in np.radians(_MOUNTAINS):
        center = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        # twice one less the cosine of the distance is about its square
        distance = 2 * (1 - np.einsum("pc,c->p", points, center)) / radius**2
        height += np.degrees(peak) * np.exp(-(distance**1.5))
    return Ground(points[:, 2], np.hypot(points[:, 0], points[:, 1]), height)


def background(
    points: Float[np.ndarray, "points 3"],
    ground: Ground,
    plan: EventPlan,
    *,
    run: int,
    hours: float,
) -> dict[str, Float[np.ndarray, "points"]]:
    """Values of all channels where there is no event.

    Winds are those of the pressure as far as it is geostrophic, and others. Pressure at sea level
    and the height of 1000 hPa are extrapolated below the ground, which is why they vary most over
    mountains. Air is moist where it is warm.

    Parameters
    ----------
    points
        Unit vectors.
    ground
        That of the points.
    plan, run, hours
        The run of a plan, and hours since its begin.

    Returns
    -------
    dict of Float[np.ndarray, "points"]
        By the name of the channel, in its unit.
    """
    waves = waves_at(points, plan, run=run, hours=hours)
    tilt = 0.12 * season_of(plan, run)  # of the thermal equator
    sine, height = ground.sine, ground.height_km
    cosine = np.maximum(ground.cosine, 0.12)
    shifted = np.clip(sine * math.cos(tilt) - ground.cosine * math.sin(tilt), -1, 1)
    latitude = np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    stormy = 0.3 + 0.7 * np.exp(-(((np.abs(latitude) - 50) / 22) ** 2))

    # 1 / f, smooth through the equator
    inverse = sine / (sine**2 + 0.15)
    westerly = 10 * np.exp(-(((np.abs(latitude) - 45) / 14) ** 2))
    easterly = 7 * np.exp(-((latitude / 17) ** 2)) + 3 * np.exp(
        -(((np.abs(latitude) - 75) / 9) ** 2)
    )
    u850 = westerly - easterly - 1.3 * stormy * inverse * waves.low_lat / cosine
    v850 = 1.3 * stormy * inverse * waves.low_lon / cosine
    u850 = u850 + 4.5 * waves.eastward
    v850 = v850 + 4.0 * waves.northward

    surface = 304.5 - 58 * np.abs(shifted) ** 2.3 + (2 + 2 * sine**2) * waves.warmth
    surface = surface - 5.5 * height
    near = surface - 0.8 + 0.6 * waves.moisture
    # Clausius and Clapeyron, less in hot air, which is drier
    warm = near - 288.0
    wet = np.exp(0.062 * np.minimum(warm, 6 + 0.3 * (warm - 6)) - 0.12 * height)
    humidity = 0.0095 * wet * np.exp(0.12 * waves.moisture)
    water = 22.0 * wet**0.92 * np.exp(0.28 * waves.moisture)
    belt = np.exp(-(((latitude - 57 * tilt) / 9) ** 2)) + 0.35 * stormy
    rain = 2.5e-8 * belt * np.exp(2.1 * waves.rain + 0.9 * waves.moisture - 2.2)
    rain = _HEAVIEST_RAIN * -np.expm1(-rain / _HEAVIEST_RAIN)

    low = 1000 * stormy * waves.low - 900 * waves.planetary
    subtropical = 700 * np.exp(-(((np.abs(latitude) - 31) / 11) ** 2))
    sea_level = 101000 + subtropical - 3500 * sine**4 + low
    ground_pressure = sea_level * np.exp(-height / 7.6)
    below = -height * (2500.0 - 2500.0 * waves.warmth)  # what the extrapolation makes of it
    z1000 = 0.083 * (sea_level - 100000) + height * (700.0 + 100.0 * waves.warmth)
    upper = 0.7 * waves.low + 0.7 * waves.high
    t500 = (
        270
        - 42 * np.abs(shifted) ** 2.2
        + 2.3 * stormy * upper
        + 3.0 * waves.warmth
        + 1.5 * waves.planetary
    )
    t200 = (
        223.5
        - 24.0 * np.abs(shifted) ** 2
        - 2.6 * stormy * upper
        + 3.0 * waves.warmth
        + 2.5 * waves.planetary
    )
    z200 = 12520 - 1950 * np.abs(shifted) ** 2.2 + 130 * stormy * upper
    return {
        "TMQ": water,
        "U850": u850,
        "V850": v850,
        "UBOT": 0.72 * u850 - 0.16 * v850 * np.sign(sine),
        "VBOT": 0.72 * v850 + 0.16 * u850 * np.sign(sine),
        "QREFHT": humidity,
        "PS": ground_pressure,
        "PSL": sea_level + below,
        "T200": t200,
        "T500": t500,
        "PRECT": rain,
        "TS": surface,
        "TREFHT": near,
        "Z1000": z1000,
        "Z200": z200,
        "ZBOT": 63.4 + 0.22 * warm,
    }


def waves_at(
    points: Float[np.ndarray, "points 3"], plan: EventPlan, *, run: int, hours: float
) -> Waves:
    """Random waves at points and a time: functions of them that no sampling changes.

    Their coefficients are Gaussian, of a spectrum that falls with the degree. They drift eastward
    and are forgotten slowly.

    Parameters
    ----------
    points
        Unit vectors.
    plan, run, hours
        The run of a plan, and hours since its begin.

    Returns
    -------
    Waves
    """
    coefficients = _coefficients(plan, run, hours)
    num = coefficients.shape[0]
    if len(points) * num <= _LARGEST_BASIS:
        values = _basis(points.tobytes(), num) @ coefficients
    else:
        parts = range(0, len(points), _PART)
        degree = math.isqrt(num) - 1
        values = np.concatenate(
            [real_harmonics(points[one : one + _PART], degree) @ coefficients for one in parts]
        )
    return Waves(*(np.round(values * _ROUNDING) / _ROUNDING).T)


@lru_cache(maxsize=2)
def _basis(points: bytes, num: int) -> Float[np.ndarray, "points harmonics"]:
    """Harmonics at points, kept for the next maps."""
    return real_harmonics(np.frombuffer(points).reshape(-1, 3), math.isqrt(num) - 1)


def _coefficients(plan: EventPlan, run: int, hours: float) -> Float[np.ndarray, "harmonics waves"]:
    """Coefficients of the waves and of the derivatives of the low ones, degrees to one more."""
    degree, order = _degrees_and_orders(_MAX_DEGREE + 1)
    num = (_MAX_DEGREE + 1) ** 2
    draws = np.random.default_rng([plan.seed, run, _BAND]).normal(size=(2, len(_WAVES), num))
    # two frozen worlds that take turns, the sooner the smaller the waves
    angle = hours / _MEMORY_HOURS * np.sqrt(np.maximum(degree[:num], 1) / 8)
    mixed = np.cos(angle) * draws[0] + np.sin(angle) * draws[1]
    coefficients = np.zeros((len(degree), len(_WAVES) + 2))
    for column, (lowest, fall) in enumerate(_WAVES.values()):
        power = np.where(degree[:num] >= lowest, np.maximum(degree[:num], 1.0) ** -fall, 0.0)
        # of unit variance on the sphere: the power of a degree is shared by its orders
        power = power / (2 * degree[:num] + 1) * (4 * math.pi / _sum_by_degree(power, degree[:num]))
        coefficients[:num, column] = np.sqrt(power) * mixed[column]
    opposite = degree**2 + degree - order
    phase = np.abs(order) * _DRIFT * hours
    sine = np.where(order < 0, 1.0, -1.0) * np.sin(phase)
    # cos m(λ − δ) and sin m(λ − δ) in those of mλ
    coefficients = np.cos(phase)[:, None] * coefficients + sine[:, None] * coefficients[opposite]
    low = coefficients[:, 0]
    coefficients[:, -2] = order * low[opposite]
    coefficients[:, -1] = _along_meridian(low, degree, order)
    return coefficients


def _sum_by_degree(power: Float[np.ndarray, "harmonics"], degree: np.ndarray) -> float:
    """Sum over degrees of a power that all orders of a degree have."""
    return float(np.sum(power / (2 * degree + 1)))


def _degrees_and_orders(max_degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Degree and order of each harmonic."""
    index = np.arange((max_degree + 1) ** 2)
    degree = np.sqrt(index).astype(int)
    return degree, index - degree**2 - degree


def _along_meridian(
    coefficients: Float[np.ndarray, "harmonics"], degree: np.ndarray, order: np.ndarray
) -> Float[np.ndarray, "harmonics"]:
    """Coefficients of the derivative in latitude times the cosine of latitude.

    (1 − z²) dY_lm/dz = (l + 1) ε_lm Y_(l−1)m − l ε_(l+1)m Y_(l+1)m with
    ε_lm = √((l² − m²) / (4 l² − 1)); the highest degree must be empty.
    """
    found = np.zeros_like(coefficients)
    inside = np.flatnonzero(degree < degree.max())
    epsilon_above = _epsilon(degree[inside] + 1.0, order[inside])
    above = (degree[inside] + 1) ** 2 + degree[inside] + 1 + order[inside]
    found[above] -= degree[inside] * epsilon_above * coefficients[inside]
    lower = inside[np.abs(order[inside]) < degree[inside]]
    epsilon = _epsilon(degree[lower], order[lower])
    below = (degree[lower] - 1) ** 2 + degree[lower] - 1 + order[lower]
    found[below] += (degree[lower] + 1) * epsilon * coefficients[lower]
    return found


def _epsilon(degree: np.ndarray, order: np.ndarray) -> np.ndarray:
    """√((l² − m²) / (4 l² − 1))."""
    return np.sqrt((degree**2 - order**2) / (4.0 * degree**2 - 1))
