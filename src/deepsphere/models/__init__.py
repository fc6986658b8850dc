"""Complete networks, named as in their papers, built from a pyramid and plain values."""

from deepsphere.models.classifier import CNN, FCN
from deepsphere.models.climate_unet import ClimateUNet
from deepsphere.models.dense_regressor import DenseRegressor
from deepsphere.models.presets import (
    PRESETS,
    climate,
    climate_jiang,
    cosmology,
    ghcn,
    shrec17,
)
from deepsphere.models.registry import MODELS, Model, model_from_spec, num_parameters
from deepsphere.models.regressor import Regressor
from deepsphere.models.rivals import CNN2d
from deepsphere.models.unet import UNet

__all__ = [
    "CNN",
    "FCN",
    "MODELS",
    "PRESETS",
    "CNN2d",
    "ClimateUNet",
    "DenseRegressor",
    "Model",
    "Regressor",
    "UNet",
    "climate",
    "climate_jiang",
    "cosmology",
    "ghcn",
    "model_from_spec",
    "num_parameters",
    "shrec17",
]
