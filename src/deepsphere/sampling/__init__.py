"""Samplings of the sphere: frozen values that know their points, areas and coarser levels."""

from deepsphere.sampling.cubed_sphere import CubedSphere
from deepsphere.sampling.equiangular import Equiangular
from deepsphere.sampling.fibonacci import Fibonacci
from deepsphere.sampling.gauss_legendre import GaussLegendre
from deepsphere.sampling.healpix import Healpix, nested_to_ring, ring_to_nested
from deepsphere.sampling.icosahedral import Icosahedral
from deepsphere.sampling.protocol import Sampling, nearest_membership
from deepsphere.sampling.rectilinear import Rectilinear
from deepsphere.sampling.scattered import RandomUniform, Scattered
from deepsphere.sampling.spec import sampling_from_spec
from deepsphere.sampling.subset import Subset

SAMPLINGS: dict[str, type[Sampling]] = {
    "cubed_sphere": CubedSphere,
    "equiangular": Equiangular,
    "fibonacci": Fibonacci,
    "gauss_legendre": GaussLegendre,
    "healpix": Healpix,
    "icosahedral": Icosahedral,
    "random_uniform": RandomUniform,
    "rectilinear": Rectilinear,
    "scattered": Scattered,
    "subset": Subset,
}
"""The samplings by the word for them in specifications."""

__all__ = [
    "SAMPLINGS",
    "CubedSphere",
    "Equiangular",
    "Fibonacci",
    "GaussLegendre",
    "Healpix",
    "Icosahedral",
    "RandomUniform",
    "Rectilinear",
    "Sampling",
    "Scattered",
    "Subset",
    "nearest_membership",
    "nested_to_ring",
    "ring_to_nested",
    "sampling_from_spec",
]
