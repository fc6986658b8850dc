"""The choices that a recipe offers are those of the library: neither more nor fewer."""

from typing import get_args

import pytest

from deepsphere.data.axis_symmetries import AxisMotions
from deepsphere.data.station_objectives import ObjectiveKind, Variables
from deepsphere.experiments.climate_config import ClimateNetwork, ClimateTraining
from deepsphere.experiments.config import GraphSection, Section
from deepsphere.experiments.digits_config import ModelSection, RivalSection, TrainingSection
from deepsphere.experiments.networks_config import NetworkTraining
from deepsphere.experiments.stations_config import (
    FeatureName,
    FillingName,
    ObjectiveSection,
    ReferenceName,
)
from deepsphere.graph.sphere_graph import Weights
from deepsphere.layers.blocks import ActivationName, ConvName
from deepsphere.layers.normalization import NormalizationName
from deepsphere.layers.pooling import PoolName
from deepsphere.layers.statistics import ReadoutName
from deepsphere.models.rivals.cnn2d import GridPooling, LatitudePadding
from deepsphere.tasks.valid_vertices import Averaging
from deepsphere.training.event_data import Frames
from deepsphere.training.optimization import OptimizerName, Schedule
from deepsphere.training.station_features import StationFeature
from deepsphere.training.station_preparation import Filling, Reference

# the published quirk of an icosahedral model, and a schedule with numbers of its own
LEFT_OUT = {"keep_first", "step"}


@pytest.mark.parametrize(
    ("section", "field", "choices"),
    [
        (GraphSection, "weights", Weights),
        (ModelSection, "pooling", PoolName),
        (ModelSection, "readout", ReadoutName),
        (ModelSection, "conv", ConvName),
        (ModelSection, "normalization", NormalizationName),
        (ModelSection, "activation", ActivationName),
        (RivalSection, "pooling", GridPooling),
        (RivalSection, "latitude_padding", LatitudePadding),
        (RivalSection, "readout", ReadoutName),
        (TrainingSection, "schedule", Schedule),
        (ClimateTraining, "averaging", Averaging),
        (ClimateTraining, "symmetries", AxisMotions),
        (ClimateNetwork, "frames", Frames),
        (NetworkTraining, "optimizer", OptimizerName),
        (ObjectiveSection, "kind", ObjectiveKind),
        (ObjectiveSection, "variables", Variables),
    ],
)
def test_recipe_offers_what_the_library_has(section: type[Section], field: str, choices: object):
    offered = get_args(section.model_fields[field].annotation)
    assert set(offered) == set(get_args(choices)) - LEFT_OUT


@pytest.mark.parametrize(
    ("offered", "choices"),
    [(FeatureName, StationFeature), (FillingName, Filling), (ReferenceName, Reference)],
)
def test_recipe_of_stations_offers_what_the_library_has(offered: object, choices: object):
    assert set(get_args(offered)) == set(get_args(choices))
