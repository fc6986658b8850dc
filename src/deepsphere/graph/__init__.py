"""Graphs of samplings: neighbors, weights, Laplacians, spectra, filters and pyramids."""

from deepsphere.graph.cache import CacheInfo, cache_info, clear_cache
from deepsphere.graph.coarsening import Pyramid, build_pyramid, pyramid_from_spec
from deepsphere.graph.filtering import (
    chebyshev_coefficients,
    filter_bank,
    filter_bank_adjoint,
    filter_signal,
    localize,
)
from deepsphere.graph.interpolation import interpolate
from deepsphere.graph.low_pass import (
    gaussian_pooling_matrix,
    low_pass_pooling_matrix,
    low_pass_power,
    smoothing_matrix,
)
from deepsphere.graph.options import GraphOptions
from deepsphere.graph.pooling_matrices import (
    adjoint_unpooling_matrix,
    area_unpooling_matrix,
    keep_first_matrix,
    mean_pooling_matrix,
    subsampling_matrix,
    unpooling_matrix,
)
from deepsphere.graph.regridding import regrid
from deepsphere.graph.retargeting import pyramid_on_sampling
from deepsphere.graph.smoothness import (
    differential_operator,
    dirichlet_energy,
    stiffness_matrix,
    total_variation,
)
from deepsphere.graph.spectral_functions import (
    gaussian_band,
    heat,
    ideal_low_pass,
    itersine,
    mexican_hat,
    tikhonov,
)
from deepsphere.graph.spectrum import (
    fourier_basis,
    graph_fourier_transform,
    inverse_graph_fourier_transform,
    largest_eigenvalue,
    largest_real_part,
)
from deepsphere.graph.sphere_graph import SphereGraph, build_graph, graph_from_spec
from deepsphere.graph.stability import chebyshev_norms, operator_chebyshev_norms
from deepsphere.graph.stencils import resolved_rows
from deepsphere.graph.transfer import transfer_matrix
from deepsphere.graph.weights import kernel_width_from_scale

__all__ = [
    "CacheInfo",
    "GraphOptions",
    "Pyramid",
    "SphereGraph",
    "adjoint_unpooling_matrix",
    "area_unpooling_matrix",
    "build_graph",
    "build_pyramid",
    "cache_info",
    "chebyshev_coefficients",
    "chebyshev_norms",
    "clear_cache",
    "differential_operator",
    "dirichlet_energy",
    "filter_bank",
    "filter_bank_adjoint",
    "filter_signal",
    "fourier_basis",
    "gaussian_band",
    "gaussian_pooling_matrix",
    "graph_fourier_transform",
    "graph_from_spec",
    "heat",
    "ideal_low_pass",
    "interpolate",
    "inverse_graph_fourier_transform",
    "itersine",
    "keep_first_matrix",
    "kernel_width_from_scale",
    "largest_eigenvalue",
    "largest_real_part",
    "localize",
    "low_pass_pooling_matrix",
    "low_pass_power",
    "mean_pooling_matrix",
    "mexican_hat",
    "operator_chebyshev_norms",
    "pyramid_from_spec",
    "pyramid_on_sampling",
    "regrid",
    "resolved_rows",
    "smoothing_matrix",
    "stiffness_matrix",
    "subsampling_matrix",
    "tikhonov",
    "total_variation",
    "transfer_matrix",
    "unpooling_matrix",
]
