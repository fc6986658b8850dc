"""Deep learning on the sphere by graph convolution, on any sampling.

>>> import deepsphere as ds
>>> sampling = ds.Healpix(nside=4)
>>> graph = ds.build_graph(sampling, num_neighbors=8)
>>> conv = ds.layers.ChebConv(graph, in_channels=1, out_channels=2, kernel_size=3)
"""

import importlib
from types import ModuleType

from deepsphere import (
    equivariance,
    geometry,
    graph,
    harmonics,
    layers,
    models,
    ops,
    sampling,
)
from deepsphere.graph import (
    Pyramid,
    SphereGraph,
    build_graph,
    build_pyramid,
    transfer_matrix,
)
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    RandomUniform,
    Sampling,
    Scattered,
    Subset,
    sampling_from_spec,
)
from deepsphere.training.checkpoint import load
from deepsphere.version import __version__

# Rooms whose libraries are extras, or slow to load: opened when they are first named.
_LAZY = ("data", "experiments", "plotting", "tasks", "training")

__all__ = [
    "CubedSphere",
    "Equiangular",
    "Fibonacci",
    "GaussLegendre",
    "Healpix",
    "Icosahedral",
    "Pyramid",
    "RandomUniform",
    "Sampling",
    "Scattered",
    "SphereGraph",
    "Subset",
    "__version__",
    "build_graph",
    "build_pyramid",
    "equivariance",
    "geometry",
    "graph",
    "harmonics",
    "layers",
    "load",
    "models",
    "ops",
    "sampling",
    "sampling_from_spec",
    "transfer_matrix",
]


def __getattr__(name: str) -> ModuleType:
    """A room of the package that is loaded on first use."""
    if name in _LAZY:
        return importlib.import_module(f"deepsphere.{name}")
    raise AttributeError(f"module 'deepsphere' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])
