"""Places of made-up stations: crowded on continents, few on islands, at the poles and between."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from deepsphere.geometry import lonlat_to_points, points_to_lonlat
from deepsphere.harmonics import real_harmonics

# Of the continents and of the mountains on them.
_LAND_DEGREE = 6
_RELIEF_DEGREE = 24
_LAND_FRACTION = 0.3
# Of what is not at the poles or on the date line: the rest lies on islands.
_IN_CLUSTERS = 0.75
_ON_LAND = 0.22
_STATIONS_PER_CLUSTER = 20
# Radii of regions with many stations, in radian: 130 to 1,000 km.
_CLUSTER_RADII = (0.02, 0.16)
_RELIEF_M = 700.0
# Heights of valleys and peaks around the smooth relief, as a share of it, and at least in meters.
_ROUGHNESS = (0.35, 40.0)
_DECIMALS = 4


@dataclass(frozen=True, eq=False)
class Places:
    """Where made-up stations are.

    Parameters
    ----------
    lon_deg, lat_deg
        Of each station, to four decimals as NOAA gives them.
    elevation_m
        Above the sea.
    continentality
        From 0 on the ocean to 1 inside a continent.
    """

    lon_deg: Float[np.ndarray, "stations"]
    lat_deg: Float[np.ndarray, "stations"]
    elevation_m: Float[np.ndarray, "stations"]
    continentality: Float[np.ndarray, "stations"]


def simulated_places(num_stations: int, *, seed: int = 0) -> Places:
    """Stations spread as unevenly as those of the world.

    Three quarters are in clusters on continents, the others all over these, and one in thirty on
    islands; the last four are at the poles and on the date line.

    Parameters
    ----------
    num_stations
        How many, at least 8.
    seed
        Of the continents and of the stations.

    Returns
    -------
    Places

    Raises
    ------
    ValueError
        If there are fewer than 8.

    Examples
    --------
    >>> places = simulated_places(100)
    >>> places.lat_deg[-4:].tolist(), places.lon_deg[-2:].tolist()
    ([90.0, -90.0, 52.0, -17.0], [180.0, 180.0])
    """
    if num_stations < 8:
        raise ValueError(f"num_stations must be at least 8, got {num_stations}")
    generator = np.random.default_rng((seed, 11))
    world = _World(seed)
    wanted = num_stations - 4
    # more than are wanted, as some are at the same place to four decimals
    points = world.stations(wanted + wanted // 10 + 8, generator)
    lon, lat = (np.round(np.rad2deg(angle), _DECIMALS) for angle in points_to_lonlat(points))
    lon = np.where(lon >= 180, lon - 360, lon)
    _, first = np.unique(np.stack([lon, lat], axis=1), axis=0, return_index=True)
    # kept in the order in which they were drawn, which mixes clusters, land and islands
    kept = np.sort(first)[:wanted]
    lon = np.concatenate([lon[kept], [0.0, 0.0, 180.0, 180.0]])
    lat = np.concatenate([lat[kept], [90.0, -90.0, 52.0, -17.0]])
    points = lonlat_to_points(np.deg2rad(lon), np.deg2rad(lat))
    elevation = world.relief_m(points)
    share, least = _ROUGHNESS
    roughness = (share * elevation + least) * generator.standard_normal(num_stations)
    elevation = np.where(elevation > 0, np.maximum(elevation + roughness, 1.0), 5.0)
    return Places(lon, lat, np.round(elevation, 1), world.continentality(points))


class _World:
    """Continents and mountains: functions of the place."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng((seed, 10))
        self.land = _red_coefficients(_LAND_DEGREE, generator)
        self.relief = _red_coefficients(_RELIEF_DEGREE, generator)
        sample = generator.standard_normal((4000, 3))
        self.sample = sample / np.linalg.norm(sample, axis=1, keepdims=True)
        heights = real_harmonics(self.sample, _LAND_DEGREE)[:, 1:] @ self.land
        self.shore = np.quantile(heights, 1 - _LAND_FRACTION)
        self.spread = heights.std()

    def height(self, points: np.ndarray) -> np.ndarray:
        """Above the shore, in deviations of the continents; negative on the ocean."""
        land = real_harmonics(points, _LAND_DEGREE)[:, 1:] @ self.land
        return (land - self.shore) / self.spread

    def continentality(self, points: np.ndarray) -> np.ndarray:
        """From 0 on the ocean to 1 inside a continent."""
        return 1 / (1 + np.exp(-4 * self.height(points)))

    def relief_m(self, points: np.ndarray) -> np.ndarray:
        """Smooth elevation; 0 on the ocean."""
        mountains = real_harmonics(points, _RELIEF_DEGREE)[:, 1:] @ self.relief
        inland = np.clip(2 * self.height(points), 0.0, 1.0)
        return _RELIEF_M * inland * np.maximum(mountains + 0.5, 0.05)

    def stations(self, number: int, generator: np.random.Generator) -> np.ndarray:
        """Unit vectors in clusters, on land and on islands, mixed."""
        num_clustered = round(_IN_CLUSTERS * number)
        num_land = round(_ON_LAND * number)
        num_clusters = max(1, number // _STATIONS_PER_CLUSTER)
        land = self.sample[self.height(self.sample) > 0]
        centers = land[generator.integers(len(land), size=num_clusters)]
        radii = np.exp(generator.uniform(*np.log(_CLUSTER_RADII), size=num_clusters))
        # some regions have many times the stations of others
        shares = generator.dirichlet(np.full(num_clusters, 0.7))
        own = generator.choice(num_clusters, size=4 * num_clustered, p=shares)
        steps = radii[own, None] * generator.standard_normal((len(own), 3))
        clustered = _unit(centers[own] + steps)
        clustered = clustered[self.height(clustered) > 0][:num_clustered]
        everywhere = _unit(generator.standard_normal((40 * number, 3)))
        is_land = self.height(everywhere) > 0
        others = number - len(clustered)
        on_land = everywhere[is_land][: max(num_land, others - 2 * (number - num_land))]
        islands = everywhere[~is_land][: max(0, others - len(on_land))]
        points = np.concatenate([clustered, on_land, islands])
        return points[generator.permutation(len(points))]


def _red_coefficients(max_degree: int, generator: np.random.Generator) -> np.ndarray:
    """Coefficients of a random field of unit variance, without the constant one."""
    degrees = np.sqrt(np.arange(1, (max_degree + 1) ** 2)).astype(np.int64)
    amplitude = 1.0 / degrees
    drawn = amplitude * generator.standard_normal(len(degrees))
    return drawn * np.sqrt(4 * np.pi / (amplitude**2).sum())


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
