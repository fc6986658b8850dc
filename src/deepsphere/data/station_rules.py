"""The two rules for stations with gaps: only complete ones, or more of them with gaps filled in."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool
from scipy.sparse.csgraph import connected_components

from deepsphere.data.station_records import StationRecords
from deepsphere.graph import SphereGraph, build_graph, interpolate

# Of the graph if none is given: that of the published experiment.
_NUM_NEIGHBORS = 10


def complete_stations(
    records: StationRecords, *, fraction: float = 1.0, channels: Sequence[str] | None = None
) -> StationRecords:
    """The stations that report at enough of the times: all of them, or a share.

    Parameters
    ----------
    records
        The records.
    fraction
        Of the times at which each channel must have a value, at least; in (0, 1]. 1: no value is
        missing.
    channels
        Which must; by default all.

    Returns
    -------
    StationRecords
        With all channels and all times, and a note where stations were left out.

    Raises
    ------
    ValueError
        If the fraction is out of range, or no station is left.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]")
    >>> values = np.ones((4, 3))
    >>> values[0, 1], values[:3, 2] = np.nan, np.nan
    >>> records = station_records([0, 10, 20], [0, 0, 0], values, days, ids=["a", "b", "c"])
    >>> complete_stations(records).ids, complete_stations(records, fraction=0.75).ids
    (('a',), ('a', 'b'))

    References
    ----------
    Defferrard et al., 2020, DeepSphere: a graph-based spherical CNN, section 4 (GHCN-Daily).
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction}")
    shares = records.select(channels or records.channel_names).observed.mean(axis=0).min(axis=1)
    kept = shares >= fraction
    if kept.all():
        return records
    if not kept.any():
        raise ValueError(
            f"fraction must leave a station, got {fraction:g} where the best station reports at "
            f"{shares.max():.3g} of the times; choose a smaller one, fewer channels or fewer times"
        )
    return records.take(kept).with_notes(
        f"{np.count_nonzero(~kept)} of {len(kept)} stations left out, which report at "
        f"{'some times only' if fraction == 1 else f'less than {fraction:.4g} of the times'}"
    )


def filled_stations(records: StationRecords, *, graph: SphereGraph | None = None) -> StationRecords:
    """The records with each gap filled from what the other stations report at the same time.

    Measured values are kept; the others are those with the least Dirichlet energy on the graph
    (`deepsphere.graph.interpolate`). Where no station of a component of the graph reports, its
    gaps stay, and so does a day on which all are silent. No other time is looked at.

    Parameters
    ----------
    records
        The records; for the second rule of the paper, those of
        `complete_stations(records, fraction=0.75)`.
    graph
        On the places; by default that of the 10 nearest neighbors with Gaussian weights.

    Returns
    -------
    StationRecords
        With a note of how much was filled.

    Raises
    ------
    ValueError
        If the graph is on other places.

    Examples
    --------
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-01-03", dtype="datetime64[D]")
    >>> values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    >>> records = station_records([0, 1, 2], [0, 0, 0], values, days)
    >>> filled_stations(records).column("value").round(3).tolist()
    [[1.0, 2.0, 3.0], [nan, nan, nan]]

    References
    ----------
    Defferrard et al., 2020, DeepSphere: a graph-based spherical CNN, section 4 (GHCN-Daily).
    """
    observed = records.observed
    if observed.all():
        return records
    if graph is None:
        neighbors = min(_NUM_NEIGHBORS, records.num_stations - 1)
        if neighbors < 1:
            return records
        graph = build_graph(
            records.sampling, num_neighbors=neighbors, weights="gaussian", disconnected="allow"
        )
    if graph.sampling != records.sampling:
        raise ValueError(
            f"graph must be on the places of the records, {records.sampling!r}, got one on "
            f"{graph.sampling!r}; build it of records.sampling"
        )
    labels = connected_components(graph.adjacency, directed=False)[1]
    values = records.values.copy()
    for channel in range(records.num_channels):
        present = observed[..., channel]
        patterns, inverse = np.unique(present, axis=0, return_inverse=True)
        for number, known in enumerate(patterns):
            if known.all() or not known.any():
                continue
            times = np.flatnonzero(inverse.reshape(-1) == number)
            values[times, :, channel] = _filled(graph, values[times, :, channel], known, labels)
    filled = np.isnan(records.values) & ~np.isnan(values)
    note = (
        f"{filled.mean():.1%} of the values filled in from other stations at the same time; "
        f"{np.isnan(values).mean():.1%} are still missing"
    )
    return replace(records, values=values, notes=(*records.notes, note))


def _filled(
    graph: SphereGraph,
    values: np.ndarray,
    known: Bool[np.ndarray, "stations"],
    labels: np.ndarray,
) -> np.ndarray:
    """Values (times, stations) filled where a station of the component reports."""
    silent = ~np.isin(labels, np.unique(labels[known]))
    # a silent component has no edge to another: zeros there change nothing elsewhere
    given = np.where(silent, 0.0, values)[..., None]
    filled = interpolate(graph, given.astype(np.float64), known | silent)[..., 0]
    return np.where(known, values, np.where(silent, np.nan, filled)).astype(np.float32)
