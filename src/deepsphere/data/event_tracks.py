"""Where and when simulated events are: cyclones, rivers, and what resembles them."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import root_scalar

from deepsphere.data.event_plan import EventPlan

EARTH_RADIUS_KM = 6371.0

CYCLONE, CLUSTER, COLD_LOW, SURGE = range(4)
"""Kinds of vortices: a cluster is as warm, moist and windy as a cyclone, but does not rotate; cold
lows rotate outside the tropics; surges are wind alone."""

# Events grow and fade for a fifth of their lives each; they are labelled while they have more than
# half of their strength, which is four fifths of the time.
_VORTEX_HOURS, _FILAMENT_HOURS = 192.0, 96.0
_RAMP, _LABELLED_LIFE = 0.2, 0.5
_LABELLED_SHARE = 1.0 - _RAMP

# Of what is labelled, both ends of uniform distributions.
_CORE_RADIUS_KM = (300.0, 500.0)
_RIVER_LENGTH_KM = (2300.0, 5500.0)
_RIVER_HALF_WIDTH_KM = (220.0, 330.0)
SMALLEST_RIVER_KM = 2000.0
"""Shorter filaments are no rivers."""
_PLUME_LENGTH_KM = (150.0, 900.0)
_PLUME_HALF_WIDTH_KM = (200.0, 320.0)
_TAPER = 0.55  # width of the ends of filaments relative to that of the middle
_NUM_NODES = 48

# How many live at a time, on average, of those that do not follow from the frequencies.
_NUM_LIVING = {CLUSTER: 4.0, COLD_LOW: 4.0, SURGE: 5.0}
_NUM_LIVING_PLUMES = 60.0

# Where cyclones are born: hemisphere, degrees west to east, degrees from the equator, weight.
_BASINS = (
    (1, (110, 175), (8, 26), 0.32),
    (1, (235, 265), (9, 20), 0.17),
    (1, (280, 330), (9, 28), 0.13),
    (1, (60, 95), (7, 20), 0.06),
    (-1, (45, 100), (7, 22), 0.18),
    (-1, (110, 190), (8, 22), 0.14),
)
# How much more likely an event is in its season than on average.
_SEASONALITY = 0.5

_RADIANS_PER_HOUR = 3.6 / EARTH_RADIUS_KM  # of something that moves at 1 m/s
_RIVER_TURN = 12 * _RADIANS_PER_HOUR  # eastward, about the axis

# What numbers of a stream of random numbers are for.
_VORTICES, _FILAMENTS = 0x7C01, 0x7C02


class Vortices(NamedTuple):
    """Round events.

    Attributes
    ----------
    kind
        CYCLONE, CLUSTER, COLD_LOW or SURGE.
    lonlat
        Radians (events, 2).
    radius_km
        Of the core.
    strength
        1 is an ordinary one.
    heading
        Of winds that do not rotate, radians from east towards north.
    is_labelled
        Whether the core is a tropical cyclone.
    """

    kind: np.ndarray
    lonlat: np.ndarray
    radius_km: np.ndarray
    strength: np.ndarray
    heading: np.ndarray
    is_labelled: np.ndarray


class Filaments(NamedTuple):
    """Bands of moisture.

    Attributes
    ----------
    nodes
        Unit vectors (filaments, nodes, 3) along the middle line, poleward.
    half_width_km
        (filaments, nodes): where anomalies have fallen to one half.
    length_km
        Of the middle lines.
    strength
        1 is an ordinary one.
    is_labelled
        Whether it is an atmospheric river.
    """

    nodes: np.ndarray
    half_width_km: np.ndarray
    length_km: np.ndarray
    strength: np.ndarray
    is_labelled: np.ndarray


@dataclass(frozen=True, eq=False)
class RunEvents:
    """All events that live during a run.

    Parameters
    ----------
    born_vortices, born_filaments
        As they are at full strength: vortices at their birth, filaments in the middle of life.
    drift
        Of the vortices in longitude and latitude, radians in an hour.
    vortex_birth, filament_birth
        Hours since the begin of the run.

    Examples
    --------
    >>> events = run_events(EventPlan(sampling="icosahedral:4", num_maps=8), 1)
    >>> bool(events.filaments(0.0).is_labelled.any())
    True
    """

    born_vortices: Vortices
    drift: np.ndarray
    vortex_birth: np.ndarray
    born_filaments: Filaments
    filament_birth: np.ndarray

    def vortices(self, hours: float) -> Vortices:
        """Round events that live at a time.

        Parameters
        ----------
        hours
            Since the begin of the run.

        Returns
        -------
        Vortices
        """
        age = hours - self.vortex_birth
        life = _life(age / _VORTEX_HOURS)
        now = self.born_vortices._replace(
            lonlat=self.born_vortices.lonlat + self.drift * age[:, None],
            strength=self.born_vortices.strength * life,
            is_labelled=self.born_vortices.is_labelled & (life >= _LABELLED_LIFE),
        )
        return Vortices(*(values[life > 0] for values in now))

    def filaments(self, hours: float) -> Filaments:
        """Bands of moisture that live at a time.

        Parameters
        ----------
        hours
            Since the begin of the run.

        Returns
        -------
        Filaments
        """
        age = hours - self.filament_birth
        life = _life(age / _FILAMENT_HOURS)
        turn = _RIVER_TURN * (age - _FILAMENT_HOURS / 2)[:, None]
        x, y, z = np.moveaxis(self.born_filaments.nodes, 2, 0)
        turned = (np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y, z)
        now = self.born_filaments._replace(
            nodes=np.stack(turned, axis=2),
            strength=self.born_filaments.strength * life,
            is_labelled=self.born_filaments.is_labelled & (life >= _LABELLED_LIFE),
        )
        return Filaments(*(values[life > 0] for values in now))


@lru_cache(maxsize=8)
def run_events(plan: EventPlan, run: int) -> RunEvents:
    """All events that live during a run of a plan.

    Parameters
    ----------
    plan
        The plan.
    run
        Its number.

    Returns
    -------
    RunEvents
    """
    season = season_of(plan, run)
    generator = np.random.default_rng([plan.seed, run, _VORTICES])
    vortices, drift, birth = _draw_vortices(generator, plan, season)
    generator = np.random.default_rng([plan.seed, run, _FILAMENTS])
    num_rivers, num_plumes = (
        _num_born(generator, living, _FILAMENT_HOURS, plan)
        for living in (_num_living_rivers(plan.frequencies[1]), _NUM_LIVING_PLUMES)
    )
    rivers = _draw_filaments(generator, num_rivers, season)
    plumes = _shorten(generator, _draw_filaments(generator, num_plumes, season))
    filaments = Filaments(*(np.concatenate(pair) for pair in zip(rivers, plumes, strict=True)))
    filament_birth = generator.uniform(-_FILAMENT_HOURS, plan.run_hours, len(filaments.strength))
    return RunEvents(vortices, drift, birth, filaments, filament_birth)


def season_of(plan: EventPlan, run: int) -> float:
    """Season of the northern hemisphere, 1 in the middle of July and −1 in that of January.

    Parameters
    ----------
    plan
        The plan.
    run
        Its number.

    Returns
    -------
    float
    """
    day = plan.date_of(run * plan.steps_per_run).timetuple().tm_yday
    return -math.cos(2 * math.pi * (day - 15) / 365.25)


def _life(share: Float[np.ndarray, "events"]) -> Float[np.ndarray, "events"]:
    """Strength relative to the largest, at a share of a life; 0 before birth and after death."""
    return np.clip(np.minimum(share, 1 - share) / _RAMP, 0.0, 1.0)


def _num_born(generator: np.random.Generator, living: float, hours: float, plan: EventPlan) -> int:
    """Number of events that live at some time of a run, of which so many live at a time."""
    return int(generator.poisson(living * (hours + plan.run_hours) / hours))


def _uniform(
    generator: np.random.Generator, bounds: tuple[float, float], num: int
) -> Float[np.ndarray, "events"]:
    """Uniform numbers."""
    return generator.uniform(bounds[0], bounds[1], num)


def _draw_vortices(
    generator: np.random.Generator, plan: EventPlan, season: float
) -> tuple[Vortices, np.ndarray, np.ndarray]:
    """Round events of a run, their drift and their hours of birth."""
    living = {CYCLONE: _num_living_cyclones(plan.frequencies[0]), **_NUM_LIVING}
    nums = [_num_born(generator, living[kind], _VORTEX_HOURS, plan) for kind in living]
    kind = np.repeat(list(living), nums)
    num = len(kind)
    is_warm = kind <= CLUSTER
    lonlat = np.where(
        is_warm[:, None],
        _tropical_places(generator, num, season),
        _places_outside(generator, num, kind == SURGE),
    )
    equatorward = np.abs(lonlat[:, 1]) < math.radians(20)
    # with the trades towards the west, then poleward and with the westerlies
    eastward = np.where(is_warm, np.where(equatorward, -4.5, 2.0), 9.0)
    poleward = np.where(is_warm, 1.5, 0.5) * np.sign(lonlat[:, 1])
    speed = np.stack([eastward / np.cos(lonlat[:, 1]), poleward], axis=1)
    radius = _uniform(generator, _CORE_RADIUS_KM, num)
    vortices = Vortices(
        kind=kind,
        lonlat=lonlat,
        radius_km=np.where(kind == COLD_LOW, 2.2, 1.0) * radius,
        strength=np.clip(generator.lognormal(0.0, 0.35, num), 0.45, 2.2),
        heading=generator.normal(math.pi, 0.6, num) + math.pi * (generator.random(num) < 0.4),
        is_labelled=kind == CYCLONE,
    )
    birth = generator.uniform(-_VORTEX_HOURS, plan.run_hours, num)
    return vortices, speed * _RADIANS_PER_HOUR, birth


def _tropical_places(
    generator: np.random.Generator, num: int, season: float
) -> Float[np.ndarray, "events 2"]:
    """Longitudes and latitudes in the basins where cyclones are born, rather in their season."""
    weights = np.array([one[3] * (1 + _SEASONALITY * season * one[0]) for one in _BASINS])
    chosen = generator.choice(len(_BASINS), size=num, p=weights / weights.sum())
    side = np.array([one[0] for one in _BASINS])[chosen]
    lon, lat = (np.array([one[part] for one in _BASINS])[chosen] for part in (1, 2))
    shares = generator.random((2, num))
    lon = lon[:, 0] + (lon[:, 1] - lon[:, 0]) * shares[0]
    lat = side * (lat[:, 0] + (lat[:, 1] - lat[:, 0]) * shares[1])
    return np.radians(np.stack([lon, lat], axis=1))


def _places_outside(
    generator: np.random.Generator, num: int, anywhere: Bool[np.ndarray, "events"]
) -> Float[np.ndarray, "events 2"]:
    """Longitudes and latitudes between 38 and 65 degrees, of some between 5 and 65."""
    lowest = np.where(anywhere, 5.0, 38.0)
    lat = lowest + (65.0 - lowest) * generator.random(num)
    lat *= np.where(generator.random(num) < 0.5, -1, 1)
    return np.stack([generator.uniform(0, 2 * math.pi, num), np.radians(lat)], axis=1)


def _draw_filaments(generator: np.random.Generator, num: int, season: float) -> Filaments:
    """Rivers at full strength: curved lines from the subtropics poleward and eastward."""
    north = generator.random(num) < 0.5 - 0.3 * _SEASONALITY * season  # rather in winter
    lon = generator.uniform(0, 2 * math.pi, num)
    lat = np.radians(_uniform(generator, (14.0, 26.0), num))
    length = _uniform(generator, _RIVER_LENGTH_KM, num)
    heading = np.radians(_uniform(generator, (15.0, 60.0), num))  # from east towards north
    bend = np.radians(_uniform(generator, (-45.0, 45.0), num))
    step = length / (_NUM_NODES - 1) / EARTH_RADIUS_KM
    point = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    ahead = _direction(point, heading)
    nodes = [point]
    turn = bend / (_NUM_NODES - 1)
    for _ in range(_NUM_NODES - 1):
        cosine, sine = np.cos(step)[:, None], np.sin(step)[:, None]
        point, ahead = cosine * point + sine * ahead, cosine * ahead - sine * point
        left = np.cross(point, ahead)
        ahead = np.cos(turn)[:, None] * ahead + np.sin(turn)[:, None] * left
        nodes.append(point)
    lines = np.stack(nodes, axis=1)
    lines[..., 2] *= np.where(north, 1.0, -1.0)[:, None]  # the mirrored weather of the south
    along = np.sin(np.linspace(0, math.pi, _NUM_NODES))
    width = _uniform(generator, _RIVER_HALF_WIDTH_KM, num)[:, None]
    return Filaments(
        nodes=lines,
        half_width_km=width * (_TAPER + (1 - _TAPER) * along),
        length_km=length,
        strength=np.clip(generator.lognormal(-0.05, 0.3, num), 0.5, 2.0),
        is_labelled=length >= SMALLEST_RIVER_KM,
    )


def _shorten(generator: np.random.Generator, rivers: Filaments) -> Filaments:
    """Short pieces of rivers, wider than those: plumes and blobs."""
    num = len(rivers.strength)
    length = _uniform(generator, _PLUME_LENGTH_KM, num)
    share = length / rivers.length_km
    first = (1 - share) * generator.random(num)
    # places along the line, each between two nodes
    places = (first[:, None] + share[:, None] * np.linspace(0, 1, _NUM_NODES)) * (_NUM_NODES - 1)
    before = np.minimum(places.astype(int), _NUM_NODES - 2)
    rest = (places - before)[..., None]
    rows = np.arange(num)[:, None]
    nodes = (1 - rest) * rivers.nodes[rows, before] + rest * rivers.nodes[rows, before + 1]
    nodes /= np.linalg.norm(nodes, axis=2, keepdims=True)
    width = _uniform(generator, _PLUME_HALF_WIDTH_KM, num)[:, None]
    along = np.sin(np.linspace(0, math.pi, _NUM_NODES))
    return Filaments(
        nodes=nodes,
        half_width_km=width * (_TAPER + (1 - _TAPER) * along),
        length_km=length,
        strength=rivers.strength,
        is_labelled=length >= SMALLEST_RIVER_KM,
    )


def _direction(
    points: Float[np.ndarray, "points 3"], heading: Float[np.ndarray, "points"]
) -> Float[np.ndarray, "points 3"]:
    """Tangents at points towards a heading from east to north."""
    east, north = local_axes(points)
    return np.cos(heading)[:, None] * east + np.sin(heading)[:, None] * north


def local_axes(
    points: Float[np.ndarray, "points 3"],
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]:
    """Unit vectors to the east and north of points; at the poles those of longitude 0.

    Parameters
    ----------
    points
        Unit vectors.

    Returns
    -------
    east, north
        Unit vectors (points, 3).

    Examples
    --------
    >>> east, north = local_axes(np.array([[1.0, 0.0, 0.0]]))
    >>> (east + 0.0).tolist(), (north + 0.0).tolist()
    ([[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    """
    x, y, z = points.T
    horizontal = np.hypot(x, y)
    is_pole = horizontal == 0
    safe = np.where(is_pole, 1.0, horizontal)
    cosine, sine = np.where(is_pole, 1.0, x / safe), np.where(is_pole, 0.0, y / safe)
    east = np.stack([-sine, cosine, np.zeros_like(z)], axis=1)
    return east, np.stack([-z * cosine, -z * sine, horizontal], axis=1)


def _num_living_cyclones(frequency: float) -> float:
    """How many cyclones live at a time so that their cores take a share of the sphere."""
    lowest, highest = np.array(_CORE_RADIUS_KM) / EARTH_RADIUS_KM
    # the mean of (1 − cos r) / 2 over radii
    area = 0.5 * (1 - (math.sin(highest) - math.sin(lowest)) / (highest - lowest))
    # cyclones drift apart from each other too rarely together for overlaps to matter
    return frequency / (area * _LABELLED_SHARE)


@lru_cache(maxsize=16)
def _num_living_rivers(frequency: float) -> float:
    """How many rivers live at a time so that they take a share of the sphere.

    Rivers are independent of each other: where they cover a share ρ counted one by one, they cover
    1 − exp(−ρ) together. The cover depends on latitude, and is measured on many rivers.
    """
    if frequency == 0:
        return 0.0
    rivers = _draw_filaments(np.random.default_rng(0), 4000, 0.0)
    half = rivers.half_width_km / EARTH_RADIUS_KM
    step = rivers.length_km[:, None] / EARTH_RADIUS_KM / (_NUM_NODES - 1)
    area = 2 * np.sin(half) * step
    area[:, [0, -1]] = area[:, [0, -1]] / 2 + math.pi / 2 * half[:, [0, -1]] ** 2
    edges = np.linspace(-1, 1, 41)  # of belts of the same area, in z
    belt_area = 4 * math.pi / (len(edges) - 1)
    cover, _ = np.histogram(rivers.nodes[..., 2], edges, weights=area)
    cover /= len(half) * belt_area / _LABELLED_SHARE

    def excess(living: float) -> float:
        """Share of the sphere that rivers cover, less what is wanted."""
        return float(np.mean(-np.expm1(-living * cover))) - frequency

    return float(root_scalar(excess, bracket=(0.0, 1000.0)).root)
