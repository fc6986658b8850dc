"""From a table of weather stations to tomorrow's temperature, and to a map of the errors."""

import numpy as np

import deepsphere as ds
from deepsphere.data import SimulatedStationsPlan, next_day, simulated_stations, write_stations
from deepsphere.training import Optimization, StationData, fit, station_predictor_of

# Any table does: a row for each station and day, with its position. This one is made up.
plan = SimulatedStationsPlan(num_stations=80, num_days=730)
made_up = simulated_stations(plan).select(["tavg"])
write_stations("made-up-stations.csv", made_up, overwrite=True)

records = ds.read_stations("made-up-stations.csv")
data = StationData.of_records(records, next_day("tavg"), num_neighbors=20, weights="gaussian")
result = fit(
    data.module(optimization=Optimization(learning_rate=1e-2)), data, max_epochs=8, progress=False
)
print(records)
print(f"learned from {len(data.train)} days; loss {result.history[-1]['train_loss']:.3f}")

predicted = station_predictor_of(result.module).predict(data.test)
known = data.test.axis.indices_of(predicted.times) >= 0  # all but the day after the last
observed = data.test.at(predicted.times[known])
scores = ds.tasks.station_scores(predicted.values[known, :, 0], observed[..., 0])
changes = np.diff(data.test.values, axis=0)  # what is expected of the day before
print(
    f"mean squared error: {scores.mse:.2f} K², of yesterday's temperature "
    f"{np.nanmean(changes**2):.2f} K²"
)

graph = ds.build_graph(records.sampling, num_neighbors=20, weights="gaussian")
figure = ds.plotting.plot_stations(
    np.sqrt(scores.mse_map), records.sampling, graph=graph, unit="error [K]"
)
figure.savefig("stations.png", dpi=100)
