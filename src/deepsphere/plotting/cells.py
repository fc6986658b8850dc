"""Which vertex every place of the sphere shows: the link between signals and pictures."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial import KDTree

from deepsphere.plotting.projections import View, Window
from deepsphere.sampling import Sampling, Scattered, Subset

MAX_SPACINGS = 1.5
"""Reach of a scattered point, in mean distances to its four nearest points."""


def checked_signal(signal: Shaped[np.ndarray, "..."], sampling: Sampling) -> Float[np.ndarray, "n"]:
    """The signal as float64, after a check that it belongs to the sampling.

    Parameters
    ----------
    signal
        Real values, shape (vertices,); NaN marks a vertex without value.
    sampling
        The sampling that the values belong to.

    Returns
    -------
    Float[np.ndarray, "n"]
        A float64 copy, shape (vertices,).

    Raises
    ------
    ValueError
        If the shape is not (vertices,), or a value is complex or infinite.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> checked_signal(np.arange(12), Healpix(nside=1)).dtype
    dtype('float64')
    """
    if signal.shape != (sampling.num_vertices,):
        raise ValueError(
            f"signal must have shape (vertices,) = ({sampling.num_vertices},) to be drawn on "
            f"{sampling!r}, got {signal.shape}; select one channel of one sample, or "
            "pass the sampling that the signal belongs to"
        )
    if np.iscomplexobj(signal):
        raise ValueError(
            f"signal must be real, got dtype {signal.dtype}; draw its absolute value or a part"
        )
    values = signal.astype(np.float64)
    if np.isinf(values).any():
        raise ValueError(
            f"signal must be finite or NaN (blank), got {int(np.isinf(values).sum())} infinite "
            "values; replace them with NaN to leave their vertices blank"
        )
    return values


def color_limits(
    values: Float[np.ndarray, "..."], vmin: float | int | None, vmax: float | int | None
) -> tuple[float, float]:
    """The ends of the colour scale: those given, else the extremes of the finite values.

    Raises
    ------
    ValueError
        If ``vmin`` exceeds ``vmax``.
    """
    finite = values[np.isfinite(values)]
    low = float(finite.min(initial=np.inf) if vmin is None else vmin)
    high = float(finite.max(initial=-np.inf) if vmax is None else vmax)
    if vmin is not None and vmax is not None and vmin > vmax:
        raise ValueError(f"vmin must not exceed vmax, got {vmin} > {vmax}; exchange them")
    if not np.isfinite([low, high]).all():  # nothing finite to draw
        given = low if np.isfinite(low) else high
        return (given, given + 1) if np.isfinite(given) else (0.0, 1.0)
    # a constant signal still needs a scale with two ends
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def symmetric_limit(values: Shaped[np.ndarray, "..."], percentile: float | int = 99.0) -> float:
    """The upper end of a colour scale about zero, which a few outliers do not stretch.

    Parameters
    ----------
    values
        Differences or anomalies; NaN is left out.
    percentile
        Of their absolute values.

    Returns
    -------
    float
        Positive; 1 where there is nothing to show.

    Examples
    --------
    >>> symmetric_limit(np.array([-2.0, 1.0, np.nan]), percentile=100)
    2.0
    """
    finite = np.abs(values[np.isfinite(values)])
    if finite.size == 0:
        return 1.0
    return float(np.percentile(finite, percentile)) or float(finite.max()) or 1.0


def nearest_vertices(
    sampling: Sampling,
    points: Float[np.ndarray, "n 3"],
    *,
    max_distance_deg: float | int | None = None,
) -> Int[np.ndarray, "n"]:
    """The vertex in whose cell each point lies, -1 where there is none.

    The cell of a vertex is its Voronoi cell. A subset shows exactly the cells that it keeps, and
    the cells of scattered points end at 1.5 times their mean distance to the four nearest points
    (at most two radii of a disc of area ``4 π / vertices``), so that regions without data stay
    blank.

    Parameters
    ----------
    sampling
        Any sampling.
    points
        Unit vectors, shape (n, 3); rows with NaN belong to no vertex.
    max_distance_deg
        Largest distance from a vertex, degrees; None for the rule above.

    Returns
    -------
    Int[np.ndarray, "n"]
        Indices of vertices or -1, shape (n,).

    Raises
    ------
    ValueError
        If ``max_distance_deg`` is not positive.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> sampling = Icosahedral(subdivisions=1)
    >>> nearest_vertices(sampling, sampling.points[[3, 7]])
    array([3, 7])
    """
    if max_distance_deg is not None and not max_distance_deg > 0:
        raise ValueError(
            f"max_distance_deg must be positive, got {max_distance_deg}; use None for no limit of "
            "your own"
        )
    if isinstance(sampling, Subset):
        in_base = nearest_vertices(sampling.base, points, max_distance_deg=max_distance_deg)
        # the last entry is what index -1 picks
        position = np.full(sampling.base.num_vertices + 1, -1)
        position[sampling.indices] = np.arange(sampling.num_vertices)
        return position[in_base]
    known = np.isfinite(points).all(axis=1)
    tree = KDTree(sampling.points, balanced_tree=False, compact_nodes=False)
    distance, vertex = map(np.atleast_1d, tree.query(points[known]))
    if max_distance_deg is not None:
        vertex[distance > 2 * np.sin(np.radians(min(max_distance_deg, 180.0)) / 2)] = -1
    elif isinstance(sampling, Scattered):
        vertex[distance > scattered_reach(sampling)[vertex]] = -1
    nearest = np.full(len(points), -1)
    nearest[known] = vertex
    return nearest


@lru_cache(maxsize=8)
def scattered_reach(sampling: Scattered) -> Float[np.ndarray, "n"]:
    """How far each scattered point speaks for its surroundings.

    Parameters
    ----------
    sampling
        Scattered points.

    Returns
    -------
    Float[np.ndarray, "n"]
        Read-only lengths of chords, shape (vertices,).

    Examples
    --------
    >>> scattered_reach(Scattered(np.array([0.0, 60.0]), np.array([0.0, 0.0]))).round(6)
    array([1.5, 1.5])
    """
    tree = KDTree(sampling.points)
    distance, _ = tree.query(tree.data, k=min(5, tree.n))
    own = (
        MAX_SPACINGS * np.reshape(distance, (tree.n, -1))[:, 1:].mean(axis=1) if tree.n > 1 else 2.0
    )
    reach = np.minimum(own, 4 / np.sqrt(tree.n)) * np.ones(tree.n)
    reach.flags.writeable = False
    return reach


@lru_cache(maxsize=32)
def raster_vertices(
    sampling: Sampling,
    view: View,
    num_rows: int,
    max_distance_deg: float | int | None = None,
    window: Window | None = None,
) -> Int[np.ndarray, "rows columns"]:
    """The vertex that each pixel of a map shows, first row at the bottom, -1 for blank pixels.

    Parameters
    ----------
    sampling
        Any sampling.
    view
        The map.
    num_rows
        Height of the image in pixels; pixels are square.
    max_distance_deg
        See :func:`nearest_vertices`.
    window
        The part of the map that the image shows; None for all of it.

    Returns
    -------
    Int[np.ndarray, "rows columns"]
        Read-only indices of vertices or -1, shape (num_rows, columns).
    """
    left, right, bottom, top = window or view.window
    num_columns = max(round(num_rows * (right - left) / (top - bottom)), 1)
    x = left + (np.arange(num_columns) + 0.5) / num_columns * (right - left)
    y = bottom + (np.arange(num_rows) + 0.5) / num_rows * (top - bottom)
    positions = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    vertex = position_vertices(
        sampling, view, positions, (top - bottom) / num_rows, max_distance_deg
    ).reshape(num_rows, num_columns)
    vertex.flags.writeable = False
    return vertex


def position_vertices(
    sampling: Sampling,
    view: View,
    positions: Float[np.ndarray, "n 2"],
    pixel_size: float | int,
    max_distance_deg: float | int | None = None,
) -> Int[np.ndarray, "n"]:
    """The vertex that each position of a map shows, -1 where there is none.

    Parameters
    ----------
    sampling
        Any sampling.
    view
        The map.
    positions
        Map coordinates, shape (n, 2).
    pixel_size
        Of the image, in map coordinates: a pixel so near to the border shows what the border shows,
        so that an image can be trimmed to it.
    max_distance_deg
        See :func:`nearest_vertices`.

    Returns
    -------
    Int[np.ndarray, "n"]
        Indices of vertices or -1, shape (n,).

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> position_vertices(Healpix(nside=1), View(), np.array([[0.0, 0.0], [3.0, 0.0]]), 0.1)
    array([ 4, -1])
    """
    if view.projection != "equirectangular":
        # a rim one pixel wide takes the colour of the border, which the clip path then trims
        radius = np.hypot(positions[:, 0] / view.half_width, positions[:, 1] / view.half_height)
        rim = (radius >= 1) & (radius < 1 + 2 * pixel_size / view.half_height)
        scale = np.where(rim, (1 - 1e-9) / np.maximum(radius, 1.0), 1.0)
        positions = positions * scale[:, None]
    else:
        rim = (np.abs(positions) > (2, 1)) & (np.abs(positions) < (2 + pixel_size, 1 + pixel_size))
        positions = np.where(rim, np.clip(positions, (-2, -1), (2, 1)), positions)
    return nearest_vertices(sampling, view.unproject(positions), max_distance_deg=max_distance_deg)
