"""All interpolations that predict silent stations, fitted to the same days."""

import numpy as np

from deepsphere.data.station_elevation import (
    ElevationInterpolation,
    fit_lapse_rate,
    known_elevations,
)
from deepsphere.data.station_interpolation import (
    GraphInterpolation,
    StationInterpolation,
    inverse_distance,
    nearest_station,
)
from deepsphere.data.station_kriging import Kriging, fit_covariance, local_kriging
from deepsphere.data.station_records import StationRecords
from deepsphere.graph import SphereGraph, build_graph

# More stations than that take too long to krige all together.
_MOST_FOR_KRIGING = 1000
_GRAPH_NEIGHBORS = 5


def imputation_baselines(
    train: StationRecords, channel: str, *, graph: SphereGraph | None = None
) -> dict[str, StationInterpolation]:
    """Interpolations of one quantity, by name, with all that they know from the training days.

    ================  =============================================================================
    nearest           the nearest station that is observed
    inverse_distance  the eight nearest, by the inverse square of their distance
    graph             as smooth on a graph as the observed allow
    kriging           the best linear interpolation, for a covariance fitted to the training days
    ================  =============================================================================

    and, where elevations are known and make a difference, each as `..._elevation`, of what is left
    without the lapse rate of the training days.

    Parameters
    ----------
    train
        The days that are learned from, and no others; all stations, with NaN throughout at those
        that are hidden, so that nothing is learned from them.
    channel
        Name of the quantity.
    graph
        On the stations; by default of the five nearest neighbors, with Gaussian weights.

    Returns
    -------
    dict[str, StationInterpolation]
        Without kriging where no two stations within reach were observed on one day.

    Raises
    ------
    ValueError
        If there is no such channel, or a single station.

    Examples
    --------
    >>> from deepsphere.data.simulated_stations import SimulatedStationsPlan, simulated_stations
    >>> records = simulated_stations(SimulatedStationsPlan(num_stations=60, num_days=40))
    >>> ", ".join(list(imputation_baselines(records, "tavg"))[:4])
    'nearest, inverse_distance, graph, kriging'
    """
    values, sampling = train.column(channel).astype(np.float64), train.sampling
    if train.num_stations < 2:
        raise ValueError("train must have at least 2 stations to interpolate between, got 1")
    if graph is None:
        number = min(_GRAPH_NEIGHBORS, train.num_stations - 1)
        graph = build_graph(
            sampling, num_neighbors=number, weights="gaussian", disconnected="allow"
        )
    found: dict[str, StationInterpolation] = {
        "nearest": nearest_station(sampling),
        "inverse_distance": inverse_distance(sampling),
        "graph": GraphInterpolation(graph),
        **_kriging(train, values),
    }
    rate = fit_lapse_rate(sampling, values, train.elevation_m)
    if rate == 0:
        return found
    elevation = known_elevations(train.elevation_m, sampling)
    # the covariance of what is left is another one
    level = {**found, **_kriging(train, values - rate * elevation)}
    for name, interpolation in level.items():
        found[f"{name}_elevation"] = ElevationInterpolation(interpolation, elevation, rate)
    return found


def _kriging(train: StationRecords, values: np.ndarray) -> dict[str, StationInterpolation]:
    """Kriging by name, of all stations or of the near ones; nothing if it cannot be fitted."""
    try:
        covariance = fit_covariance(train.sampling, values)
    except ValueError:
        return {}
    if train.num_stations > _MOST_FOR_KRIGING:
        return {"kriging": local_kriging(train.sampling, covariance)}
    return {"kriging": Kriging(train.sampling, covariance)}
