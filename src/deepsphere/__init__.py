"""Deep learning on the sphere by graph convolution, on any sampling.

Names are imported when they are first used, so that importing the package costs nothing.

>>> import deepsphere as ds
>>> sampling = ds.Healpix(nside=4)
>>> graph = ds.build_graph(sampling, num_neighbors=8)
>>> conv = ds.layers.ChebConv(graph, in_channels=1, out_channels=2, kernel_size=3)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepsphere.version import __version__

# editors and type checkers read these; a test holds them, the table and the list together
if TYPE_CHECKING:
    from deepsphere import (
        data,
        equivariance,
        experiments,
        fields,
        geometry,
        graph,
        harmonics,
        layers,
        models,
        ops,
        sampling,
        tasks,
        training,
    )
    from deepsphere import plotting as plotting
    from deepsphere.data.station_tables import read_stations
    from deepsphere.equivariance import (
        assert_equivariant,
        equivariance_error,
        measure_equivariance,
        tune_kernel_width,
    )
    from deepsphere.fields import from_xarray, sampling_from_dataset
    from deepsphere.graph import (
        Pyramid,
        SphereGraph,
        build_graph,
        build_pyramid,
        regrid,
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
        Rectilinear,
        Sampling,
        Scattered,
        Subset,
        sampling_from_spec,
    )
    from deepsphere.training.checkpoint import load

_MODULES = {
    "CubedSphere": "deepsphere.sampling",
    "Equiangular": "deepsphere.sampling",
    "Fibonacci": "deepsphere.sampling",
    "GaussLegendre": "deepsphere.sampling",
    "Healpix": "deepsphere.sampling",
    "Icosahedral": "deepsphere.sampling",
    "Pyramid": "deepsphere.graph",
    "RandomUniform": "deepsphere.sampling",
    "Rectilinear": "deepsphere.sampling",
    "Sampling": "deepsphere.sampling",
    "Scattered": "deepsphere.sampling",
    "SphereGraph": "deepsphere.graph",
    "Subset": "deepsphere.sampling",
    "assert_equivariant": "deepsphere.equivariance",
    "build_graph": "deepsphere.graph",
    "build_pyramid": "deepsphere.graph",
    "data": "deepsphere.data",
    "equivariance": "deepsphere.equivariance",
    "equivariance_error": "deepsphere.equivariance",
    "experiments": "deepsphere.experiments",
    "fields": "deepsphere.fields",
    "from_xarray": "deepsphere.fields",
    "geometry": "deepsphere.geometry",
    "graph": "deepsphere.graph",
    "harmonics": "deepsphere.harmonics",
    "layers": "deepsphere.layers",
    "load": "deepsphere.training.checkpoint",
    "measure_equivariance": "deepsphere.equivariance",
    "models": "deepsphere.models",
    "ops": "deepsphere.ops",
    "plotting": "deepsphere.plotting",
    "read_stations": "deepsphere.data.station_tables",
    "regrid": "deepsphere.graph",
    "sampling": "deepsphere.sampling",
    "sampling_from_dataset": "deepsphere.fields",
    "sampling_from_spec": "deepsphere.sampling",
    "tasks": "deepsphere.tasks",
    "training": "deepsphere.training",
    "transfer_matrix": "deepsphere.graph",
    "tune_kernel_width": "deepsphere.equivariance",
}
"""The module in which each public name lives; a module lives in itself."""

# without plotting, which needs an extra: `from deepsphere import *` works in every installation
__all__ = [
    "CubedSphere",
    "Equiangular",
    "Fibonacci",
    "GaussLegendre",
    "Healpix",
    "Icosahedral",
    "Pyramid",
    "RandomUniform",
    "Rectilinear",
    "Sampling",
    "Scattered",
    "SphereGraph",
    "Subset",
    "__version__",
    "assert_equivariant",
    "build_graph",
    "build_pyramid",
    "data",
    "equivariance",
    "equivariance_error",
    "experiments",
    "fields",
    "from_xarray",
    "geometry",
    "graph",
    "harmonics",
    "layers",
    "load",
    "measure_equivariance",
    "models",
    "ops",
    "read_stations",
    "regrid",
    "sampling",
    "sampling_from_dataset",
    "sampling_from_spec",
    "tasks",
    "training",
    "transfer_matrix",
    "tune_kernel_width",
]


def __getattr__(name: str) -> Any:
    """A public name, when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(_MODULES[name])
    return module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
