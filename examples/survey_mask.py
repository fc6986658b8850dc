"""A part of the sky: a survey mask with a hole, its graph, its pyramid, and a prediction."""

import numpy as np
import torch

import deepsphere as ds

sky = ds.Healpix(nside=32)
galaxy = np.abs(np.degrees(sky.lat)) < 20
star = ds.geometry.angular_distance(sky.points, np.array([0.0, 0.6, 0.8])) < np.radians(6)
survey = sky.subset(~galaxy & ~star & (sky.lat > 0))
print(f"{survey} keeps {survey.num_vertices} of {sky.num_vertices} pixels")

graph = ds.build_graph(survey, num_neighbors=20)  # no edge across the hole
pyramid = graph.pyramid(num_levels=3)
network = ds.models.FCN(pyramid, in_channels=1, out_channels=2, channels=(8, 16, 16), kernel_size=5)
maps = torch.randn(3, survey.num_vertices, 1)
print(f"class scores of three maps:\n{network(maps).detach().numpy().round(3)}")

whole = survey.embed(maps[0].numpy())  # back on the sphere, NaN outside of the survey
figure = ds.plotting.plot_map(whole[:, 0], sky, title="the survey")
figure.savefig("survey.png", dpi=80)
