"""The regressors: per map and per vertex."""

import numpy as np
import pytest
import torch

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.layers import LaplacianOperator
from deepsphere.models import FCN, DenseRegressor, Regressor, model_from_spec
from deepsphere.sampling import Fibonacci, Healpix, Scattered


def test_regressor_is_the_dense_classifier_under_another_name():
    pyramid = build_pyramid(Healpix(nside=4), num_levels=2, num_neighbors=8)
    sizes = {"in_channels": 2, "out_channels": 3, "channels": (4, 6), "kernel_size": 3}
    regressor, classifier = Regressor(pyramid, **sizes), FCN(pyramid, **sizes)
    regressor.load_state_dict(classifier.state_dict())
    signals = torch.randn(5, 192, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(regressor(signals), classifier(signals))


def test_regressor_without_pooling_stays_on_the_only_level():
    pyramid = build_pyramid(Fibonacci(100), num_levels=1, num_neighbors=5)
    model = Regressor(pyramid, in_channels=2, out_channels=1, channels=(4, 6, 8))
    assert model.trunk(torch.zeros(5, 100, 2)).shape == (5, 100, 8)


@pytest.fixture(scope="module")
def stations():
    return build_pyramid(Fibonacci(100), num_levels=1, num_neighbors=5)


def test_dense_regressor_ends_with_a_linear_convolution(stations):
    torch.manual_seed(0)
    model = DenseRegressor(stations, in_channels=2, out_channels=1, channels=(4, 6)).eval()
    signals = torch.randn(5, 100, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(signals), model.head(model.blocks(signals)))
    assert (model(signals) < 0).any()
    assert sum(isinstance(module, LaplacianOperator) for module in model.modules()) == 1


@pytest.mark.parametrize(("kernel_size", "hops"), [(1, 0), (2, 3)])
def test_dense_regressor_sees_as_far_as_its_filters_reach(stations, kernel_size, hops):
    # three convolutions of kernel_size - 1 hops each
    model = DenseRegressor(
        stations,
        in_channels=1,
        out_channels=1,
        channels=(4, 4),
        kernel_size=kernel_size,
        activation="silu",  # a rectifier would cut some of the paths
    ).eval()
    signals = torch.randn(100, 1, generator=torch.Generator().manual_seed(0), requires_grad=True)
    model(signals)[0, 0].backward()
    adjacency = stations.graphs[0].adjacency
    reach = {0}
    for _ in range(hops):
        reach |= {int(j) for i in reach for j in adjacency[i].indices}
    assert set(torch.nonzero(signals.grad[:, 0]).flatten().tolist()) == reach


@pytest.mark.parametrize("vertex_weights", ["areas", "equal"])
def test_mean_of_the_readout_weighs_vertices_as_asked(vertex_weights):
    crowded = Scattered(
        [*np.linspace(0, 9, 20), 90, 180, 270], [*np.linspace(0, 5, 20), 40, 0, -40]
    )
    pyramid = build_pyramid(crowded, num_levels=1, num_neighbors=4, weights="gaussian")
    model = Regressor(
        pyramid,
        in_channels=2,
        out_channels=3,
        channels=(4,),
        readout="mean",
        vertex_weights=vertex_weights,
        missing="renormalize",
    ).eval()
    signals = torch.randn(5, 23, 2, generator=torch.Generator().manual_seed(0))
    areas = np.asarray(crowded.areas) / np.sum(crowded.areas)
    weights = torch.tensor(areas if vertex_weights == "areas" else np.full(23, 1 / 23)).float()
    mean = torch.einsum("bvc,v->bc", model.trunk(signals), weights)
    torch.testing.assert_close(model(signals), model.head.dense(mean))
    assert model_from_spec(model.spec).config["vertex_weights"] == vertex_weights


def test_other_weights_of_vertices_are_rejected(stations, unchecked):
    with pytest.raises(ValueError, match="vertex_weights must be 'areas' or 'equal', got 'none'"):
        Regressor(stations, in_channels=1, out_channels=1, vertex_weights="none")
