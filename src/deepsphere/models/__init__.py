"""Complete networks, named as in their papers, built from a pyramid and plain values."""

from deepsphere.models.classifier import CNN, FCN
from deepsphere.models.climate_unet import ClimateUNet
from deepsphere.models.dense_regressor import DenseRegressor
from deepsphere.models.field_description import FieldDescription
from deepsphere.models.heads import Classifier
from deepsphere.models.presets import (
    PRESETS,
    climate,
    climate_jiang,
    cosmology,
    ghcn,
    planar_cosmology,
    shrec17,
)
from deepsphere.models.recurrent_unet import RecurrentUNet
from deepsphere.models.registry import (
    MODELS,
    SAMPLING_KINDS,
    Model,
    model_from_spec,
    num_parameters,
)
from deepsphere.models.regressor import Regressor
from deepsphere.models.retargeting import to_sampling
from deepsphere.models.rivals import (
    UGSCNN,
    CNN2d,
    Cohen,
    CubeCNN,
    Esteves,
    PlanarCNN,
    cnn2d_shapes,
    cohen_full,
    cohen_simplified,
    cube_shapes,
    esteves,
    ugscnn_mnist,
    ugscnn_modelnet40,
)
from deepsphere.models.unet import UNet
from deepsphere.models.weather_unet import WeatherUNet

__all__ = [
    "CNN",
    "FCN",
    "MODELS",
    "PRESETS",
    "SAMPLING_KINDS",
    "UGSCNN",
    "CNN2d",
    "Classifier",
    "ClimateUNet",
    "Cohen",
    "CubeCNN",
    "DenseRegressor",
    "Esteves",
    "FieldDescription",
    "Model",
    "PlanarCNN",
    "RecurrentUNet",
    "Regressor",
    "UNet",
    "WeatherUNet",
    "climate",
    "climate_jiang",
    "cnn2d_shapes",
    "cohen_full",
    "cohen_simplified",
    "cosmology",
    "cube_shapes",
    "esteves",
    "ghcn",
    "model_from_spec",
    "num_parameters",
    "planar_cosmology",
    "shrec17",
    "to_sampling",
    "ugscnn_mnist",
    "ugscnn_modelnet40",
]
