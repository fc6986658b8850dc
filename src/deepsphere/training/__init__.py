"""Training on Lightning, checkpoints, predictions and scores.

Checkpoints and predictions need torch alone. What needs Lightning is imported when it is first
asked for, since that takes seconds and the extra `train`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepsphere.training.channel_scaling import ChannelScaling
from deepsphere.training.checkpoint import Metadata, load, read_metadata, read_spec, save
from deepsphere.training.evaluation import ClassifierScores, evaluate_classifier
from deepsphere.training.forecaster import Forecaster, forecaster_of, open_forecaster
from deepsphere.training.optimization import Optimization
from deepsphere.training.prediction import predict, predict_patches
from deepsphere.training.rollout import rollout, rollouts
from deepsphere.training.rollout_files import write_rollout, write_rollouts
from deepsphere.training.seeding import seeded
from deepsphere.training.shape_outputs import ShapeOutputs, compute_outputs
from deepsphere.training.station_predictor import (
    StationPredictor,
    open_station_predictor,
    station_predictor_of,
)

if TYPE_CHECKING:
    from deepsphere.training.data_module import SphericalImages
    from deepsphere.training.event_data import SphericalEvents
    from deepsphere.training.fitting import FitResult, fit
    from deepsphere.training.forecast_data import ForecastData
    from deepsphere.training.forecast_evaluation import evaluate_forecasts
    from deepsphere.training.forecast_module import ForecastModule
    from deepsphere.training.iteration_schedule import IterationSchedule
    from deepsphere.training.map_data import SphericalMaps
    from deepsphere.training.map_noise import MapNoise
    from deepsphere.training.module import SphereModule
    from deepsphere.training.shape_data import SphericalShapes
    from deepsphere.training.station_data import StationData

_LAZY = {
    "IterationSchedule": "iteration_schedule",
    "evaluate_forecasts": "forecast_evaluation",
    "SphericalEvents": "event_data",
    "ForecastData": "forecast_data",
    "ForecastModule": "forecast_module",
    "SphericalImages": "data_module",
    "SphericalMaps": "map_data",
    "MapNoise": "map_noise",
    "SphericalShapes": "shape_data",
    "StationData": "station_data",
    "FitResult": "fitting",
    "fit": "fitting",
    "SphereModule": "module",
}


def __getattr__(name: str) -> Any:
    """What needs Lightning, when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_LAZY[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("deepsphere"):
            raise
        raise ImportError(
            f"deepsphere.training.{name} needs {error.name}, which is not installed; "
            "pip install 'deepsphere-torch[train]'"
        ) from error
    return getattr(module, name)


__all__ = [
    "ChannelScaling",
    "ClassifierScores",
    "FitResult",
    "ForecastData",
    "ForecastModule",
    "Forecaster",
    "IterationSchedule",
    "MapNoise",
    "Metadata",
    "Optimization",
    "ShapeOutputs",
    "SphereModule",
    "SphericalEvents",
    "SphericalImages",
    "SphericalMaps",
    "SphericalShapes",
    "StationData",
    "StationPredictor",
    "compute_outputs",
    "evaluate_classifier",
    "evaluate_forecasts",
    "fit",
    "forecaster_of",
    "load",
    "open_forecaster",
    "open_station_predictor",
    "predict",
    "predict_patches",
    "read_metadata",
    "read_spec",
    "rollout",
    "rollouts",
    "save",
    "seeded",
    "station_predictor_of",
    "write_rollout",
    "write_rollouts",
]
