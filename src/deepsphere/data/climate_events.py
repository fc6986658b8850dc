"""Simulated extreme events: cyclones and rivers in weather, and what only resembles them."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.climate_channels import CHANNEL_NAMES, CHANNELS, CLASS_NAMES
from deepsphere.data.event_background import Ground, background, ground_at
from deepsphere.data.event_plan import EventPlan
from deepsphere.data.event_sets import EventSet
from deepsphere.data.event_tracks import (
    CLUSTER,
    COLD_LOW,
    CYCLONE,
    EARTH_RADIUS_KM,
    SURGE,
    Filaments,
    Vortices,
    local_axes,
    run_events,
)
from deepsphere.sampling import sampling_from_spec

# Winds of a vortex are strongest at this share of the radius of the core.
_STRONGEST = 0.6
_PEAK_WIND = {CYCLONE: 20.0, CLUSTER: 20.0, COLD_LOW: 15.0, SURGE: 20.0}  # m/s
_REACH = 4.0  # of what an event does, in radii or half widths

# Mean and deviation of what is made, by channel, which are taken to the published ones. What cannot
# be negative is multiplied only.
_MADE = {
    "TMQ": (24.157, 16.1777),
    "U850": (1.55304, 9.36515),
    "V850": (0.0114982, 6.78839),
    "UBOT": (1.11648, 6.90417),
    "VBOT": (0.0087837, 5.17227),
    "QREFHT": (0.0100283, 0.00631024),
    "PS": (98442.2, 6278.35),
    "PSL": (100041, 2526.51),
    "T200": (215.519, 8.39011),
    "T500": (256.773, 13.2321),
    "PRECT": (1.98775e-08, 7.98961e-08),
    "TS": (285.819, 18.4769),
    "TREFHT": (285.053, 18.547),
    "Z1000": (161.197, 368.591),
    "Z200": (11903.8, 593.865),
    "ZBOT": (62.745, 4.07066),
}
_NOT_NEGATIVE = ("TMQ", "QREFHT", "PRECT")
_MEAN = np.array([channel.mean for channel in CHANNELS])
_CENTER = np.array([_MADE[name][0] for name in CHANNEL_NAMES])
_STRETCH = np.array(
    [
        channel.mean / _MADE[channel.name][0]
        if channel.name in _NOT_NEGATIVE
        else channel.deviation / _MADE[channel.name][1]
        for channel in CHANNELS
    ]
)

Fields = dict[str, np.ndarray]


def event_map(
    plan: EventPlan, index: int
) -> tuple[Float[np.ndarray, "vertices channels"], Int[np.ndarray, "vertices"]]:
    """A map of a plan, a function of the two alone.

    Parameters
    ----------
    plan
        The plan.
    index
        Of the map, from 0.

    Returns
    -------
    signals : Float[np.ndarray, "vertices channels"]
        The channels of `CHANNELS` in their units, float32.
    labels : Int[np.ndarray, "vertices"]
        Number of the class in `CLASS_NAMES`, int8.

    Raises
    ------
    IndexError
        If there is no such map.

    Examples
    --------
    >>> plan = EventPlan(sampling="icosahedral:4", num_maps=2)
    >>> signals, labels = event_map(plan, 1)
    >>> signals.shape, labels.shape
    ((162, 16), (162,))
    """
    run, hours = plan.time_of(index)
    place = _place(plan.sampling)
    fields = background(place.points, place.ground, plan, run=run, hours=hours)
    events = run_events(plan, run)
    labels = np.zeros(len(place.points), np.int8)
    # in this order, so that a cyclone within a river is one
    _add_filaments(fields, labels, place, events.filaments(hours))
    _add_vortices(fields, labels, place, events.vortices(hours))
    signals = np.stack([fields[name] for name in CHANNEL_NAMES], axis=1)
    return ((signals - _CENTER) * _STRETCH + _MEAN).astype(np.float32), labels


class _Place(NamedTuple):
    """Points of a sampling, unit vectors to the east and north, and what does not change."""

    points: np.ndarray
    east: np.ndarray
    north: np.ndarray
    ground: Ground


@lru_cache(maxsize=4)
def _place(spec: str) -> _Place:
    """What maps on a sampling have in common."""
    points = sampling_from_spec(spec).points
    return _Place(points, *local_axes(points), ground_at(points))


def _near(points: np.ndarray, center: np.ndarray, radius_km: float) -> np.ndarray:
    """Indices of the points that are near to a center."""
    cosine = np.einsum("pc,c->p", points, center)
    return np.flatnonzero(cosine > math.cos(min(radius_km / EARTH_RADIUS_KM, math.pi)))


def _add_vortices(fields: Fields, labels: np.ndarray, place: _Place, events: Vortices) -> None:
    """Add round events to fields, and the cores of cyclones to labels."""
    lon, lat = events.lonlat.T
    centers = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    for center, radius, kind, strength, heading, is_labelled in zip(
        centers,
        events.radius_km,
        events.kind.tolist(),
        events.strength,
        events.heading,
        events.is_labelled,
        strict=True,
    ):
        near = _near(place.points, center, _REACH * radius)
        if not len(near):
            continue
        around, east, north = place.points[near], place.east[near], place.north[near]
        cosine = np.einsum("pc,c->p", around, center)
        distance = EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1, 1)) / radius
        if kind in (CYCLONE, COLD_LOW):
            # against the clock in the north, with it in the south, and a little inward
            turning = np.cross(center, around) * np.sign(center[2])
            direction = turning + 0.25 * (center - cosine[:, None] * around)
            direction /= np.maximum(np.linalg.norm(direction, axis=1), 1e-12)[:, None]
        else:
            direction = np.cos(heading) * east + np.sin(heading) * north
        share = distance / _STRONGEST
        speed = 2 * share / (1 + share**2) * np.exp(-((distance / 3.0) ** 2))
        wind = _PEAK_WIND[kind] * strength * speed[:, None] * direction
        changes = _wind_changes(wind, east, north, near_ground=0.8)
        if kind in (CYCLONE, CLUSTER):
            changes |= _warm_core(distance, strength)
        elif kind == COLD_LOW:
            changes |= _cold_core(distance, strength)
        for name, change in changes.items():
            fields[name][near] += change
        if is_labelled:
            labels[near[distance <= 1]] = 1


def _wind_changes(
    wind: np.ndarray, east: np.ndarray, north: np.ndarray, *, near_ground: float
) -> Fields:
    """Changes of the winds at both levels by tangent vectors."""
    zonal, meridional = np.einsum("pc,pc->p", wind, east), np.einsum("pc,pc->p", wind, north)
    return {
        "U850": zonal,
        "V850": meridional,
        "UBOT": near_ground * zonal,
        "VBOT": near_ground * meridional,
    }


def _warm_core(distance: np.ndarray, strength: float) -> Fields:
    """Changes by a warm core, low pressure and moist ascent, by distance in radii of the core."""
    core, wide = np.exp(-(distance**2)), np.exp(-((distance / 1.5) ** 2))
    pressure = -900 * strength * wide
    return {
        "PSL": pressure,
        "PS": pressure,
        "Z1000": 0.083 * pressure,
        "T200": 3.2 * strength * core,
        "T500": 2.4 * strength * core,
        "Z200": 40 * strength * wide,
        "TMQ": 9 * strength * wide,
        "QREFHT": 0.001 * strength * wide,
        "PRECT": 4e-7 * strength * core,
        "TS": -0.8 * strength * core,
        "TREFHT": -0.5 * strength * core,
    }


def _cold_core(distance: np.ndarray, strength: float) -> Fields:
    """Changes by a low outside of the tropics: cold aloft, with a low tropopause."""
    core = np.exp(-(distance**2))
    pressure = -1500 * strength * core
    return {
        "PSL": pressure,
        "PS": pressure,
        "Z1000": 0.083 * pressure,
        "T500": -4.5 * strength * core,
        "T200": 4.0 * strength * core,
        "Z200": -150 * strength * core,
        "TMQ": 3.0 * strength * core,
        "PRECT": 1.5e-7 * strength * core,
        "TREFHT": -2.0 * strength * core,
    }


def _add_filaments(fields: Fields, labels: np.ndarray, place: _Place, events: Filaments) -> None:
    """Add bands of moisture to fields, and those that are rivers to labels."""
    for nodes, half_width, length, strength, is_labelled in zip(*events, strict=True):
        reach = length / 2 + 2.5 * half_width.max()
        near = _near(place.points, nodes[len(nodes) // 2], 1.1 * reach)
        if not len(near):
            continue
        cosine = np.einsum("pc,nc->pn", place.points[near], nodes)
        distances = np.sqrt(np.maximum(2 - 2 * cosine, 0)) * EARTH_RADIUS_KM / half_width
        closest = distances.argmin(axis=1)
        distance = distances[np.arange(len(near)), closest]
        band = strength * np.exp(-math.log(2) * distance**2)
        along = np.gradient(nodes, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        wind = 9.0 * band[:, None] * along[closest]
        changes = {
            "TMQ": 10.0 * band,
            "QREFHT": 0.0014 * band,
            "PRECT": 1.0e-7 * band**2,
            "T500": 1.0 * band,
            "TREFHT": 1.0 * band,
            **_wind_changes(wind, place.east[near], place.north[near], near_ground=0.7),
        }
        for name, change in changes.items():
            fields[name][near] += change
        if is_labelled:
            labels[near[distance <= 1]] = 2


@dataclass(frozen=True)
class SimulatedMap:
    """A map of a plan, made whenever it is asked for.

    Parameters
    ----------
    plan, index
        See `event_map`.
    """

    plan: EventPlan
    index: int

    def read(self) -> tuple[Float[np.ndarray, "vertices channels"], Int[np.ndarray, "vertices"]]:
        """Signals and labels.

        Returns
        -------
        signals, labels
            See `event_map`.
        """
        return event_map(self.plan, self.index)

    def digest(self) -> str:
        """What decides the map.

        Returns
        -------
        str
        """
        return f"{self.plan.digest()}-{self.index}"


def simulated_events(plan: EventPlan) -> EventSet:
    """The maps of a plan, made when they are asked for.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    EventSet
        With a note that says that they are simulated.

    Examples
    --------
    >>> events = simulated_events(EventPlan(sampling="icosahedral:2", num_maps=5))
    >>> events.names[4]
    'data-1996-01-01-00-2'
    """
    indices = range(plan.num_maps)
    dates = [plan.date_of(index) for index in indices]
    runs = [plan.member_of(index) for index in indices]
    return EventSet(
        sources=tuple(SimulatedMap(plan, index) for index in indices),
        sampling=plan.grid,
        channel_names=CHANNEL_NAMES,
        class_names=CLASS_NAMES,
        dates=np.array(dates, "datetime64[h]"),
        runs=np.array(runs, np.int64),
        names=tuple(
            f"data-{date:%Y-%m-%d}-{date.hour:02d}-{run}"
            for date, run in zip(dates, runs, strict=True)
        ),
        notes=("simulated events: not a climate model, not the published data",),
    )
