"""Points as unit vectors: angles, distances, projection, well-spread choices."""

import heapq

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.spatial import KDTree


def lonlat_to_points(
    lon: float | Real[np.ndarray, "..."], lat: float | Real[np.ndarray, "..."]
) -> Float[np.ndarray, "*shape 3"]:
    """Unit vectors of longitudes and latitudes.

    (cos lat cos lon, cos lat sin lon, sin lat): the z axis is the north pole, the x axis is where
    longitude and latitude are zero.

    Parameters
    ----------
    lon, lat
        Longitude and latitude in radian, of shapes that broadcast; any real longitude.

    Returns
    -------
    Unit vectors of shape (*shape, 3).

    Examples
    --------
    >>> lonlat_to_points(np.pi / 2, 0.0).round(12).tolist()
    [0.0, 1.0, 0.0]
    """
    lon, lat = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    cos_lat = np.cos(lat)
    return np.stack([cos_lat * np.cos(lon), cos_lat * np.sin(lon), np.sin(lat)], axis=-1)


def points_to_lonlat(
    points: Float[np.ndarray, "*shape 3"],
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Longitude in [0, 2π) and latitude in [−π/2, π/2] of points, in radian.

    Parameters
    ----------
    points
        Vectors of shape (*shape, 3) and any positive length.

    Returns
    -------
    The longitudes and the latitudes, each of shape (*shape,). The longitude of a pole is that of
    its tiny horizontal component, 0 where there is none.

    Examples
    --------
    >>> lon, lat = points_to_lonlat(np.array([[0.0, -1.0, 0.0]]))
    >>> np.rad2deg(lon).tolist(), lat.tolist()
    ([270.0], [0.0])
    """
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    lon = np.mod(np.arctan2(y, x), 2 * np.pi)
    # the modulo of a tiny negative angle rounds up to a full turn
    lon = np.where(lon >= 2 * np.pi, 0.0, lon)
    return lon, np.asarray(np.arctan2(z, np.hypot(x, y)))


def angular_distance(
    a: Float[np.ndarray, "*#shape 3"], b: Float[np.ndarray, "*#shape 3"]
) -> Float[np.ndarray, "*shape"]:
    """Angles between unit vectors, in radian.

    atan2(|a × b|, a · b), accurate for near and for antipodal points alike.

    Parameters
    ----------
    a, b
        Unit vectors, of shapes that broadcast.

    Returns
    -------
    Distances in [0, π].

    Examples
    --------
    >>> float(angular_distance(np.array([1.0, 0, 0]), np.array([1.0, 1e-9, 0])))
    1e-09
    """
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.arctan2(cross, np.sum(np.multiply(a, b), axis=-1)))


def stereographic(points: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape 2"]:
    """Stereographic projection of points from the south pole to the plane of the equator.

    (x, y) / (1 + z): the north pole is the origin, the equator the unit circle, and the south pole
    is at infinity. It keeps angles and circles.

    Parameters
    ----------
    points
        Unit vectors.

    Returns
    -------
    Coordinates in the plane, infinite for the south pole.

    Examples
    --------
    >>> stereographic(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    height = 1 + points[..., 2:]
    south = height <= 0
    plane = points[..., :2] / np.where(south, 1.0, height)
    return np.where(south, np.inf, plane)


def farthest_points(
    points: Float[np.ndarray, "vertices 3"], num: int, *, start: int = 0
) -> Int[np.ndarray, "num"]:
    """Indices of points chosen greedily, each the farthest from all chosen before.

    The first num of them are well spread for every num, and cover the set with a radius of at most
    twice the smallest possible.

    Parameters
    ----------
    points
        Unit vectors.
    num
        How many to choose, from 1 to the number of points.
    start
        The index of the first.

    Returns
    -------
    Distinct indices, in the order of choice.

    Raises
    ------
    ValueError
        If num or start is out of range.

    Examples
    --------
    >>> farthest_points(np.concatenate([np.eye(3), -np.eye(3)]), 2).tolist()
    [0, 3]

    References
    ----------
    Gonzalez (1985), Clustering to minimize the maximum intercluster distance.
    """
    if not 1 <= num <= len(points):
        raise ValueError(
            f"num must be between 1 and the number of points ({len(points)}), got {num}"
        )
    if not 0 <= start < len(points):
        raise ValueError(f"start must be the index of one of {len(points)} points, got {start}")
    tree = KDTree(points)
    gap = np.sum((points - points[start]) ** 2, axis=1)  # squared, to the nearest chosen point
    gap[start] = -1.0
    # Gaps only shrink: the largest key of the heap that is not out of date is the largest gap.
    heap = [(-value, index) for index, value in enumerate(gap.tolist())]
    heapq.heapify(heap)
    chosen = [start]
    while len(chosen) < num:
        key, index = heap[0]
        value = float(gap[index])
        if -key > value:
            heapq.heapreplace(heap, (-value, index))
            continue
        chosen.append(index)
        # farther points have a nearer one chosen already
        near = tree.query_ball_point(points[index], np.sqrt(value) * (1 + 1e-9))
        gap[near] = np.minimum(gap[near], np.sum((points[near] - points[index]) ** 2, axis=1))
        gap[index] = -1.0
    return np.array(chosen)
