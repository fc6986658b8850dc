"""Models from specifications: what a broken one says."""

import pytest
import torch

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import FCN, CNN2d, model_from_spec, num_parameters
from deepsphere.sampling import Equiangular, Healpix


@pytest.fixture(scope="module")
def spec():
    pyramid = build_pyramid(Healpix(nside=2), num_levels=2, num_neighbors=8)
    return FCN(pyramid, in_channels=1, out_channels=3, channels=(4, 6)).spec


def test_specification_names_every_argument(spec):
    assert spec["model"] == "fcn"
    assert spec["config"]["channels"] == [4, 6]
    assert spec["config"]["pooling"] == "low_pass"
    assert "pyramid" not in spec["config"]
    assert "self" not in spec["config"]


def test_running_averages_are_not_parameters():
    assert num_parameters(torch.nn.BatchNorm1d(3)) == 6


@pytest.mark.parametrize("key", ["model", "pyramid", "config"])
def test_missing_part_is_named(spec, key):
    broken = {name: part for name, part in spec.items() if name != key}
    with pytest.raises(ValueError, match=f"spec must have the key '{key}', got '"):
        model_from_spec(broken)


def test_empty_specification_is_rejected():
    with pytest.raises(ValueError, match="spec must have the key 'model', got none"):
        model_from_spec({})


def test_unknown_model_is_rejected(spec):
    with pytest.raises(ValueError, match=r"model must be one of fcn, .*, got 'transformer'"):
        model_from_spec(spec | {"model": "transformer"})


def test_unknown_argument_names_the_nearest_one(spec):
    config = spec["config"] | {"kernelsize": 3}
    with pytest.raises(ValueError, match=r"got 'kernelsize'; did you mean 'kernel_size'\?"):
        model_from_spec(spec | {"config": config})


def test_argument_near_to_none_lists_all(spec):
    config = spec["config"] | {"zzz": 3}
    with pytest.raises(ValueError, match="of FCN, got 'zzz'; in_channels, out_channels, channels"):
        model_from_spec(spec | {"config": config})


def test_missing_arguments_are_named(spec):
    with pytest.raises(ValueError, match="must hold in_channels and out_channels for FCN, got cha"):
        model_from_spec(spec | {"config": {"channels": [4, 6]}})


def test_rival_on_something_else_than_a_grid_is_rejected():
    spec = CNN2d(Equiangular(nlat=8), in_channels=1, out_channels=3).spec
    with pytest.raises(ValueError, match="sampling must be a latitude-longitude grid for cnn2d"):
        model_from_spec(spec | {"sampling": Healpix(nside=2).spec})
