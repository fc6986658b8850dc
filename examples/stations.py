"""Any list of points: a network on scattered stations, pooled on subsets of them."""

import numpy as np
import torch

import deepsphere as ds

random = np.random.default_rng(0)
lon_deg = random.uniform(-180, 180, 600)
lat_deg = np.degrees(np.arcsin(random.uniform(-0.7, 0.95, 600)))  # no station in the far south

stations = ds.Scattered(lon_deg, lat_deg)
graph = ds.build_graph(stations)  # weights found for each station among points around it
pyramid = graph.pyramid(num_levels=3)
print(f"{graph}\nlevels: {[level.num_vertices for level in pyramid.graphs]} stations")

network = ds.models.UNet(
    pyramid, in_channels=2, out_channels=1, channels=(8, 16, 16), kernel_size=3
)
today = torch.randn(4, stations.num_vertices, 2)  # 4 days, 2 measurements a station
tomorrow = network(today)
print(f"{tuple(today.shape)} -> {tuple(tomorrow.shape)}")

figure = ds.plotting.plot_map(tomorrow[0, :, 0].detach().numpy(), stations, title="tomorrow")
figure.savefig("stations.png", dpi=80)
