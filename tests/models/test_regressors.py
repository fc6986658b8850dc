"""The regressors: per map and per vertex."""

import pytest
import torch

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.layers import LaplacianOperator
from deepsphere.models import FCN, DenseRegressor, Regressor
from deepsphere.sampling import Fibonacci, Healpix


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
