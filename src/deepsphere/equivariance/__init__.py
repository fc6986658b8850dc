"""How far any map on signals is from commuting with rotations."""

from deepsphere.equivariance.components import (
    ComponentContribution,
    LayerContribution,
    RotationErrorBudget,
    rotation_error_budget,
)
from deepsphere.equivariance.exact import default_max_degree, equivariance_error
from deepsphere.equivariance.kernel_width import tune_kernel_width
from deepsphere.equivariance.measurement import EquivarianceMeasurement
from deepsphere.equivariance.per_layer import LayerError, layer_rotation_errors
from deepsphere.equivariance.sampled import assert_equivariant, measure_equivariance

__all__ = [
    "ComponentContribution",
    "EquivarianceMeasurement",
    "LayerContribution",
    "LayerError",
    "RotationErrorBudget",
    "assert_equivariant",
    "default_max_degree",
    "equivariance_error",
    "layer_rotation_errors",
    "measure_equivariance",
    "rotation_error_budget",
    "tune_kernel_width",
]
