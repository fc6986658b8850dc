"""Data sets, images put on the sphere, files of signals, records of stations."""

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
from deepsphere.data.ghcn import open_ghcn
from deepsphere.data.ghcn_download import download_ghcn
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
from deepsphere.data.simulated_stations import SimulatedStationsPlan, simulated_stations
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.data.station_baselines import station_climatology
from deepsphere.data.station_imputers import imputation_baselines
from deepsphere.data.station_interpolation import inverse_distance, nearest_station
from deepsphere.data.station_objectives import (
    StationObjective,
    day_of_year,
    imputation,
    next_day,
    same_day,
)
from deepsphere.data.station_recognition import holds_stations
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.data.station_rules import complete_stations, filled_stations
from deepsphere.data.station_splits import split_records
from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_writers import write_stations
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
    "SimulatedStationsPlan",
    "SimulationPlan",
    "StationObjective",
    "StationRecords",
    "WeatherPlan",
    "array_events",
    "array_maps",
    "array_series",
    "check_finite",
    "climatology",
    "complete_stations",
    "day_of_year",
    "download_ghcn",
    "draw_cosmologies",
    "epoch_rotations",
    "evaluation_rotations",
    "event_map",
    "filled_stations",
    "frame_windows",
    "holds_stations",
    "imputation",
    "imputation_baselines",
    "inverse_distance",
    "load_digits",
    "load_mnist",
    "make_procedural_shapes",
    "mesh_signals",
    "nearest_station",
    "next_day",
    "open_climate_folder",
    "open_climate_hdf5",
    "open_ghcn",
    "open_maps",
    "open_series",
    "open_shapes",
    "project_shapes",
    "read_mesh",
    "read_packed_meshes",
    "read_shape_folder",
    "read_shrec17",
    "read_signals",
    "read_stations",
    "require_writable",
    "rotate_maps",
    "same_day",
    "simulate_maps",
    "simulated_events",
    "simulated_stations",
    "simulated_weather",
    "split_events",
    "split_maps",
    "split_records",
    "split_series",
    "split_shapes",
    "station_climatology",
    "station_records",
    "stereographic_signals",
    "stratified_choice",
    "write_atomically",
    "write_dataset",
    "write_packed_meshes",
    "write_predictions",
    "write_stations",
]
