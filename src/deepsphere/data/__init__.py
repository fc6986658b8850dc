"""Data sets, images put on the sphere, and files of signals."""

from collections.abc import Callable

from deepsphere.data.climate_events import event_map, simulated_events
from deepsphere.data.climate_folders import open_climate_folder
from deepsphere.data.climate_hdf5 import open_climate_hdf5
from deepsphere.data.climatology import climatology
from deepsphere.data.cosmologies import Cosmology, draw_cosmologies
from deepsphere.data.dataset_files import write_dataset
from deepsphere.data.digits import load_digits, load_mnist
from deepsphere.data.event_plan import EventPlan
from deepsphere.data.event_sets import EventSplits, frame_windows, split_events
from deepsphere.data.field_files import open_series
from deepsphere.data.field_series import FieldSeries, array_series
from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.images import Digits, ImageSplit, stratified_choice
from deepsphere.data.known_fields import ComputedFields
from deepsphere.data.labelled_events import EventSet, array_events
from deepsphere.data.map_rotations import rotate_maps
from deepsphere.data.map_sets import MapSet, MapSplits, array_maps, open_maps, split_maps
from deepsphere.data.mesh_projection import ProjectedShapes, ProjectionReport, project_shapes
from deepsphere.data.mesh_signals import CHANNELS, MeshSignals, mesh_signals
from deepsphere.data.meshes import MeshError, read_mesh
from deepsphere.data.packed_meshes import read_packed_meshes, write_packed_meshes
from deepsphere.data.procedural_shapes import make_procedural_shapes
from deepsphere.data.readers import SignalFile, check_finite, read_signals
from deepsphere.data.series_splits import split_series
from deepsphere.data.shape_files import open_shapes, read_shape_folder
from deepsphere.data.shape_sources import MeshArrays, MeshFile
from deepsphere.data.shapes import Shape, ShapeSet, ShapeSplits, split_shapes
from deepsphere.data.shrec17 import read_shrec17
from deepsphere.data.simulated_maps import simulate_maps
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.data.transforms import (
    epoch_rotations,
    evaluation_rotations,
    stereographic_signals,
)
from deepsphere.data.writers import write_predictions

DATASETS: dict[str, Callable[..., Digits]] = {
    "digits": load_digits,
    "mnist": load_mnist,
}

__all__ = [
    "CHANNELS",
    "DATASETS",
    "ComputedFields",
    "Cosmology",
    "Digits",
    "EventPlan",
    "EventSet",
    "EventSplits",
    "FieldSeries",
    "ImageSplit",
    "MapSet",
    "MapSplits",
    "MeshArrays",
    "MeshError",
    "MeshFile",
    "MeshSignals",
    "ProjectedShapes",
    "ProjectionReport",
    "Shape",
    "ShapeSet",
    "ShapeSplits",
    "SignalFile",
    "SimulationPlan",
    "WeatherPlan",
    "array_events",
    "array_maps",
    "array_series",
    "check_finite",
    "climatology",
    "draw_cosmologies",
    "epoch_rotations",
    "evaluation_rotations",
    "event_map",
    "frame_windows",
    "load_digits",
    "load_mnist",
    "make_procedural_shapes",
    "mesh_signals",
    "open_climate_folder",
    "open_climate_hdf5",
    "open_maps",
    "open_series",
    "open_shapes",
    "project_shapes",
    "read_mesh",
    "read_packed_meshes",
    "read_shape_folder",
    "read_shrec17",
    "read_signals",
    "require_writable",
    "rotate_maps",
    "simulate_maps",
    "simulated_events",
    "simulated_weather",
    "split_events",
    "split_maps",
    "split_series",
    "split_shapes",
    "stereographic_signals",
    "stratified_choice",
    "write_atomically",
    "write_dataset",
    "write_packed_meshes",
    "write_predictions",
]
