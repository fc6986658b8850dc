"""Draws docs/figures/overview.png, the picture of the README: python docs/figures/overview.py"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import deepsphere as ds
from deepsphere.data import load_digits, stereographic_signals
from deepsphere.geometry import rotation_zyz
from deepsphere.plotting import View, draw_map

FRONT = View("orthographic", center=(0.0, 10.0))

sampling = ds.Healpix(nside=32)
points = torch.tensor(sampling.points, dtype=torch.float32)
digits = load_digits(seed=0).train
image = torch.tensor(digits.images[list(digits.labels).index(3)])[None]


def on_sphere(rotation: np.ndarray) -> np.ndarray:
    """The digit under a rotation, at the points of the sampling."""
    turned = torch.tensor(rotation, dtype=torch.float32)[None]
    return stereographic_signals(image, points, turned, cap_deg=55.0)[0, :, 0].numpy()


graph = ds.build_graph(sampling, num_neighbors=20)
middle = 5000
band = ds.graph.gaussian_band(0.06 * graph.lambda_max, 0.03 * graph.lambda_max)
ripple = ds.graph.localize(graph, band, middle)
near = (float(np.degrees(sampling.lon[middle])), float(np.degrees(sampling.lat[middle])))

scattered = ds.Fibonacci(4000).subset(
    ds.geometry.angular_distance(ds.Fibonacci(4000).points, np.array([1.0, 0.0, 0.3])) > 0.5
)

figure = Figure(figsize=(12, 3.3), layout="constrained")
panels = figure.subplots(1, 4)
draw_map(panels[0], on_sphere(rotation_zyz(0.0, 1.4, 1.57)), sampling, FRONT, title="a digit")
draw_map(
    panels[1], on_sphere(rotation_zyz(0.4, 1.7, 2.4)), sampling, FRONT, title="the same, rotated"
)
draw_map(
    panels[2], ripple, sampling, View("orthographic", center=near), cmap="cividis", title="a filter"
)
draw_map(
    panels[3],
    np.sin(5 * scattered.lon) * np.cos(scattered.lat) ** 5,
    scattered,
    FRONT,
    title="any points, any part",
)
figure.savefig(Path(__file__).with_suffix(".png"), dpi=110)
