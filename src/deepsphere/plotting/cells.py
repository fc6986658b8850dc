"""Which vertex every place of the sphere shows: the link between signals and pictures."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial import KDTree

from deepsphere.plotting.projections import View
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
    low = vmin if vmin is not None else float(finite.min(initial=np.inf))
    high = vmax if vmax is not None else float(finite.max(initial=-np.inf))
    if vmin is not None and vmax is not None and vmin > vmax:
        raise ValueError(f"vmin must not exceed vmax, got {vmin} > {vmax}; exchange them")
    if not np.isfinite([low, high]).all():  # nothing finite to draw
        given = low if np.isfinite(low) else high
        return (float(given), float(given) + 1) if np.isfinite(given) else (0.0, 1.0)
    # a constant signal still needs a scale with two ends
    return (low, high) if high > low else (low - 0.5, low + 0.5)


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
        vertex[distance > _reach(tree)[vertex]] = -1
    nearest = np.full(len(points), -1)
    nearest[known] = vertex
    return nearest


def _reach(tree: KDTree) -> Float[np.ndarray, "n"]:
    """How far (chord) each scattered point speaks for its surroundings."""
    distance, _ = tree.query(tree.data, k=min(5, tree.n))
    own = (
        MAX_SPACINGS * np.reshape(distance, (tree.n, -1))[:, 1:].mean(axis=1) if tree.n > 1 else 2.0
    )
    return np.minimum(own, 4 / np.sqrt(tree.n)) * np.ones(tree.n)


@lru_cache(maxsize=32)
def raster_vertices(
    sampling: Sampling, view: View, num_rows: int, max_distance_deg: float | int | None = None
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

    Returns
    -------
    Int[np.ndarray, "rows columns"]
        Read-only indices of vertices or -1, shape (num_rows, columns).
    """
    num_columns = round(num_rows * view.half_width / view.half_height)
    x = ((np.arange(num_columns) + 0.5) / num_columns * 2 - 1) * view.half_width
    y = ((np.arange(num_rows) + 0.5) / num_rows * 2 - 1) * view.half_height
    positions = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    if view.projection != "equirectangular":
        # a rim one pixel wide takes the colour of the border, which the clip path then trims
        radius = np.hypot(positions[:, 0] / view.half_width, positions[:, 1] / view.half_height)
        rim = (radius >= 1) & (radius < 1 + 4 / num_rows)
        positions[rim] *= (1 - 1e-9) / radius[rim, None]
    vertex = nearest_vertices(
        sampling, view.unproject(positions), max_distance_deg=max_distance_deg
    ).reshape(num_rows, num_columns)
    vertex.flags.writeable = False
    return vertex
