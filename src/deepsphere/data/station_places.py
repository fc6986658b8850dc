"""Each place once, each time once: what is done with stations before they are records."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from deepsphere.data.calendars import Times, as_times, format_time, later, to_seconds
from deepsphere.data.time_axis import TimeAxis
from deepsphere.geometry import lonlat_to_points
from deepsphere.sampling.scattered import MIN_SEPARATION

# Times without a most frequent step that all others are multiples of are put on the largest step
# that they have in common, if that is not too fine and not too many times would be missing.
_FINEST_COMMON_STEP = 3600
_MOST_POSITIONS = 1_000_000

_NUM_SHOWN = 5
_MANY = 8  # places, which are not all at sea by chance


def station_axis(times: Times | Sequence[Any]) -> TimeAxis:
    """Increasing times on their most frequent step, or on that which they have in common.

    Parameters
    ----------
    times
        Increasing.

    Returns
    -------
    TimeAxis

    Raises
    ------
    ValueError
        If they do not increase, or have less than an hour in common.

    Examples
    --------
    >>> days = np.array(["2020-01-01", "2020-01-03", "2020-01-05", "2020-01-06"], "datetime64[D]")
    >>> axis = station_axis(days)
    >>> str(axis.step), axis.positions.tolist()
    ('1 day', [0, 2, 4, 5])
    """
    try:
        return TimeAxis(times)
    except ValueError:
        checked, calendar = as_times(times)
        seconds = to_seconds(checked, calendar)
        differences = np.diff(seconds)
        if (differences <= 0).any():
            raise
        step = math.gcd(*differences.tolist())
        number = int(seconds[-1] - seconds[0]) // step + 1
        if step < _FINEST_COMMON_STEP or number > _MOST_POSITIONS:
            raise
        whole = [later(checked[0], step * index) for index in range(number)]
        return TimeAxis(np.array(whole, checked.dtype)).take((seconds - seconds[0]) // step)


def merge_times(
    times: Times | Sequence[Any], values: Float[np.ndarray, "_ stations channels"]
) -> tuple[TimeAxis, Float[np.ndarray, "_ stations channels"], list[str]]:
    """Each time once, in order, with the mean of what was measured.

    Parameters
    ----------
    times
        In any order, some maybe several times.
    values
        At each of them.

    Returns
    -------
    axis, values, notes
        In order, and what was done.

    Raises
    ------
    ValueError
        If the number of times is not that of the values, or a time is not known.
    """
    checked, calendar = as_times(times)
    if len(checked) != len(values):
        raise ValueError(f"times must be one for each of {len(values)} values, got {len(checked)}")
    seconds, first, inverse = np.unique(
        to_seconds(checked, calendar), return_index=True, return_inverse=True
    )
    axis = station_axis(checked[first])
    if len(seconds) == len(checked):
        in_order = (np.diff(first) > 0).all()
        return axis, values if in_order else values[first], []
    merged = _group_means(values, inverse, first)
    repeated = np.flatnonzero(np.bincount(inverse) > 1)
    note = (
        f"{len(checked) - len(seconds)} of {len(checked)} times are there several times, and were "
        f"averaged; the first is {format_time(axis.times[repeated[0]])}"
    )
    return axis, merged, [note]


def without_positions(
    lon_deg: Float[np.ndarray, "stations"],
    lat_deg: Float[np.ndarray, "stations"],
    ids: Sequence[str],
) -> tuple[Int[np.ndarray, "kept"], list[str]]:
    """Stations that have a position.

    Parameters
    ----------
    lon_deg, lat_deg
        Anything.
    ids
        Of the stations.

    Returns
    -------
    kept, notes
        Indices, and which were dropped.

    Raises
    ------
    ValueError
        If there is none, or longitudes and latitudes seem to be swapped.
    """
    known = np.isfinite(lon_deg) & np.isfinite(lat_deg)
    beyond = known & (np.abs(lat_deg) > 90)
    if (
        2 * np.count_nonzero(beyond) > np.count_nonzero(known)
        and (np.abs(lon_deg[beyond]) <= 90).all()
    ):
        raise ValueError(
            "lat_deg must be between -90 and 90, got "
            f"{lat_deg[beyond][0]:g} for station {ids[int(np.flatnonzero(beyond)[0])]} and others, "
            "with longitudes that could be latitudes; swap them"
        )
    placed = known & (np.abs(lat_deg) <= 90) & (lon_deg >= -180) & (lon_deg <= 360)
    at_zero = placed & (lon_deg == 0) & (lat_deg == 0)
    if np.count_nonzero(at_zero) > 1:  # what some lists write where they know nothing
        placed &= ~at_zero
    kept = np.flatnonzero(placed)
    if not len(kept):
        shown = f", as {lon_deg[0]:g} and {lat_deg[0]:g} of {ids[0]}" if len(ids) else ""
        raise ValueError(
            f"lon_deg and lat_deg must be known for a station, got {len(ids)} stations without a "
            f"position{shown} (not a number, or out of range); give them in degree"
        )
    notes = _doubt(lon_deg[kept], lat_deg[kept])
    if len(kept) == len(ids):
        return kept, notes
    dropped = [str(ids[int(index)]) for index in np.flatnonzero(~placed)]
    return kept, [
        f"{len(dropped)} of {len(ids)} stations dropped, which have no position: {some(dropped)}",
        *notes,
    ]


def _doubt(
    lon_deg: Float[np.ndarray, "stations"], lat_deg: Float[np.ndarray, "stations"]
) -> list[str]:
    """What to say of many places which are all in the Gulf of Guinea, as angles in radian are."""
    is_radian = (np.abs(lat_deg) <= np.pi / 2).all() and (np.abs(lon_deg) <= 2 * np.pi).all()
    if len(lon_deg) < _MANY or not is_radian:
        return []
    return [
        f"all {len(lon_deg)} positions are close to 0° N 0° E, as if they were in radian; they are "
        "read in degree"
    ]


def merge_places(
    lon_deg: Float[np.ndarray, "stations"],
    lat_deg: Float[np.ndarray, "stations"],
    values: Float[np.ndarray, "times stations channels"],
    elevation_m: Float[np.ndarray, "stations"],
    ids: Sequence[str],
) -> tuple[
    Int[np.ndarray, "places"],
    Float[np.ndarray, "times places channels"],
    Float[np.ndarray, "places"],
    list[str],
]:
    """Each place once, with the mean of what the stations there report.

    Parameters
    ----------
    lon_deg, lat_deg
        Of the stations, valid.
    values
        What they report.
    elevation_m
        Of the stations.
    ids
        Of the stations.

    Returns
    -------
    first, values, elevation_m, notes
        Index of the first station at each place, in increasing order; what is known there, and
        which were merged.
    """
    points = lonlat_to_points(np.deg2rad(lon_deg), np.deg2rad(lat_deg))
    pairs = KDTree(points).query_pairs(MIN_SEPARATION, output_type="ndarray")
    number = len(lon_deg)
    if not len(pairs):
        return np.arange(number), values, elevation_m, []
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (number, number))
    _, labels = connected_components(links, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    first, inverse = first[order], np.argsort(order)[inverse]
    merged = np.moveaxis(_group_means(np.moveaxis(values, 1, 0), inverse, first), 0, 1)
    heights = elevation_m[first]
    for index in np.flatnonzero(~np.isnan(elevation_m))[::-1]:
        if np.isnan(elevation_m[first[inverse[index]]]):
            heights[inverse[index]] = elevation_m[index]
    gone = np.setdiff1d(np.arange(number), first)
    told = [f"{ids[index]} into {ids[int(first[inverse[index]])]}" for index in gone.tolist()]
    note = (
        f"{len(gone)} station{'' if len(gone) == 1 else 's'} merged with another at the same "
        f"place, with the mean of what they report: {some(told)}"
    )
    return first, np.ascontiguousarray(merged), heights, [note]


def _group_means(
    values: Float[np.ndarray, "rows *rest"],
    inverse: Int[np.ndarray, "rows"],
    first: Int[np.ndarray, "groups"],
) -> Float[np.ndarray, "groups *rest"]:
    """Means over the rows of each group that are not NaN; the values of a single one untouched."""
    means = values[first]
    for group in np.flatnonzero(np.bincount(inverse) > 1):
        rows = values[inverse == group]
        present = ~np.isnan(rows)
        total = np.where(present, rows, 0).sum(axis=0, dtype=np.float64)
        count = present.sum(axis=0)
        means[group] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means


def some(texts: Sequence[object]) -> str:
    """The first of many texts, and how many more there are.

    Parameters
    ----------
    texts
        At least one.

    Returns
    -------
    str

    Examples
    --------
    >>> some(["a", "b"]), some(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    shown = ", ".join(map(str, texts[:_NUM_SHOWN]))
    return f"{shown} and {len(texts) - _NUM_SHOWN} more" if len(texts) > _NUM_SHOWN else shown
