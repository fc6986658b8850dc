"""The network of Esteves et al.: exact where it is linear, of the published size, trainable."""

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import deepsphere as ds
from deepsphere import harmonics
from deepsphere.models.registry import num_parameters
from deepsphere.models.rivals.esteves import MAPS_AT_ONCE, Esteves, esteves
from deepsphere.models.rivals.sphere_transform import quadrature_weights
from deepsphere.sampling import Equiangular, Healpix

SIZES: dict[str, Any] = {
    "in_channels": 2,
    "out_channels": 3,
    "channels": (4, 4, 6, 6),
    "pool_layers": (1, 2),
}
LINEAR: dict[str, Any] = {"pooling": "spectral", "normalization": "none", "activation": "none"}
SOFT8 = Equiangular.soft(8)


def _model(sampling=SOFT8, seed=0, **options: Any) -> Esteves:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Esteves(sampling, **(SIZES | options))


def _signals(*batch, sampling=SOFT8, channels=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*batch, sampling.num_vertices, channels, generator=generator)


def _on_arrays(function, dtype):
    return lambda signals: function(torch.from_numpy(signals).to(dtype)).detach().numpy()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str
)
def test_linear_part_commutes_with_rotations(dtype, tolerance):
    model = _model(**LINEAR).to(dtype).eval()
    out = model.out_sampling

    def on_the_input_grid(signals):
        # the meter fits outputs up to the degree of the inputs: evaluate the coarse map there
        features = _on_arrays(model.feature_map, dtype)(signals)
        coefficients = harmonics.analyze(features, out.points, None, model.out_bandwidth - 1)
        return harmonics.synthesize(coefficients, SOFT8.points)

    measured = ds.measure_equivariance(
        on_the_input_grid,
        SOFT8,
        inputs=(0, 7),
        max_degree=7,
        num_channels=2,
        num_signals=3,
        num_rotations=3,
    )
    assert measured.error < tolerance
    scores = ds.measure_equivariance(
        _on_arrays(model, dtype),
        SOFT8,
        inputs=(0, 7),
        num_channels=2,
        num_signals=3,
        num_rotations=3,
    )
    assert scores.error < tolerance


def test_whole_network_is_nearly_invariant():
    # what is left is made by the rectifier, whose output has degrees beyond the grid's
    signals = {"inputs": (0, 4), "num_channels": 2, "num_signals": 3, "num_rotations": 3}
    model = _model(pooling="spectral").eval()
    assert 1e-6 < ds.measure_equivariance(model, SOFT8, **signals).error < 0.1


def test_turning_by_a_cell_of_the_last_grid_changes_nothing():
    model = _model().eval()
    signals = _signals(3)
    turned = SOFT8.from_grid(SOFT8.to_grid(signals).roll(4, dims=2))
    torch.testing.assert_close(model(turned), model(signals), atol=1e-5, rtol=1e-5)


def test_descriptor_is_made_of_the_integral_of_the_feature_map():
    model = _model().double().eval()
    signals = _signals(2).double()
    maps = model.feature_map(signals)
    assert maps.shape == (2, model.out_sampling.num_vertices, 12)
    weights = torch.from_numpy(quadrature_weights(2) / 2)
    average = torch.einsum("brkc,r->bc", maps.view(2, 4, 4, 12), weights) / 4
    expected = functional.prelu(model.dense(average), model.activation.weight)
    torch.testing.assert_close(model.describe(signals), expected)


def test_counts_are_those_of_the_paper():
    published = 500_000
    assert num_parameters(esteves()) == 497_911
    paper = esteves(Equiangular.soft(32), in_channels=2)
    assert num_parameters(paper) == 497_399
    assert abs(num_parameters(paper) / published - 1) < 0.01
    assert num_parameters(esteves(bandwidth=64)) == 628_983
    assert num_parameters(esteves(pooling="spectral")) == 399_607


def test_default_branches_are_distances_and_angles():
    rows = [
        [model.layers[0].first.shape[1], model.layers[0].second.shape[1]]
        for model in (_model(in_channels=number) for number in (1, 2, 3, 6))
    ]
    assert rows == [[1, 1], [1, 1], [1, 2], [2, 4]]


@pytest.mark.parametrize(("channels", "branch"), [((0, 3), 0), ((1, 2, 4, 5), 1)])
def test_each_branch_sees_its_channels_only(channels, branch):
    model = _model(in_channels=6, channels=(4,), pool_layers=()).eval()
    signals = _signals(2, channels=6)
    other = signals.clone()
    other[..., list(channels)] += torch.randn(SOFT8.num_vertices, len(channels))
    changed = (model.feature_map(other) - model.feature_map(signals)).abs().amax(dim=(0, 1)) > 0.1
    assert changed.view(2, 4).all(dim=1).tolist() == [branch == 0, branch == 1]
    assert changed.view(2, 4).any(dim=1).tolist() == [branch == 0, branch == 1]


def test_only_the_first_branch_is_given_the_other_one():
    model = _model()
    joined = [layer.first.shape[1] for layer in model.layers]
    alone = [layer.second.shape[1] for layer in model.layers]
    assert joined == [1, 8, 8, 6]
    assert alone == [1, 4, 4, 6]
    filters = model.layers[3].filters()
    assert not filters[:, :6, 6:].any()
    assert not filters[:, 6:, :6].any()
    filters = model.layers[1].filters()
    assert filters[:, :, :4].all()
    assert not filters[:, :4, 4:].any()


@pytest.mark.parametrize("pooling", ["weighted_average", "spectral"])
def test_maps_on_a_finer_grid_are_used_up_to_the_bandwidth(pooling):
    fine, coarse = Equiangular.soft(16), SOFT8
    coefficients = np.random.default_rng(0).normal(size=(3, 256, 2))
    signals = torch.from_numpy(harmonics.synthesize(coefficients, fine.points))
    low = torch.from_numpy(harmonics.synthesize(coefficients[:, :64], coarse.points))
    models = [_model(fine, bandwidth=8, pooling=pooling), _model(coarse, pooling=pooling)]
    outputs = [model.double().eval()(x) for model, x in zip(models, (signals, low), strict=True)]
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("pooling", ["weighted_average", "spectral"])
def test_gradient_reaches_every_parameter(pooling):
    model = _model(pooling=pooling)
    outputs = model(_signals(4))
    (outputs * torch.randn(outputs.shape)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if name.endswith(("first", "second")):
            assert parameter.grad.any(dim=-1).all(), name
        else:
            assert parameter.grad.any(), name


def test_eight_examples_are_overfitted():
    model = _model()
    signals, targets = _signals(8), torch.arange(8) % 3
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(signals), targets)
        if loss.item() < 0.05:
            break
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_many_maps_in_evaluation_are_those_one_by_one():
    model = _model().eval()
    signals = _signals(2, MAPS_AT_ONCE)
    one_by_one = torch.stack([torch.stack([model(x) for x in row]) for row in signals])
    torch.testing.assert_close(model(signals), one_by_one, atol=1e-5, rtol=1e-5)
    assert torch.equal(model.classify(model.describe(signals)), model(signals))


@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_axes_are_kept(batch, training):
    model = _model().train(training)
    assert model(_signals(*batch)).shape == (*batch, 3)
    assert model.describe(_signals(*batch)).shape == (*batch, 64)
    assert model.feature_map(_signals(*batch)).shape == (*batch, 16, 12)


def test_model_is_rebuilt_from_its_specification_and_state():
    model = _model(distance_channels=(1,), angle_channels=(0,))
    model(_signals(4))
    spec = json.loads(json.dumps(model.spec))
    assert spec["model"] == "esteves"
    rebuilt = Esteves(ds.sampling.sampling_from_spec(spec["sampling"]), **spec["config"])
    assert rebuilt.spec == model.spec
    rebuilt.load_state_dict(model.state_dict())
    signals = _signals(2)
    expected = model.eval()(signals)
    assert torch.equal(rebuilt.eval()(signals), expected)
    assert torch.equal(copy.deepcopy(model)(signals), expected)
    assert torch.equal(pickle.loads(pickle.dumps(model))(signals), expected)
    assert not any("fixed" in key for key in model.state_dict())


def test_double_precision_agrees_with_single():
    model = _model().eval()
    exact = copy.deepcopy(model).double()(_signals(2).double())
    torch.testing.assert_close(model(_signals(2)).double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Healpix(4), "sampling must be a latitude-longitude grid for esteves, got 'healpix"),
        (Equiangular(8), r"sampling must be a SOFT grid .* use Equiangular.soft\(4\)"),
        (Equiangular(8, 8, 1), "without poles for esteves, got 'equiangular"),
        (Equiangular(9, 9), r"use Equiangular.soft\(4\)"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_other_samplings_are_rejected(sampling, message):
    with pytest.raises(ValueError, match=message):
        Esteves(sampling, **SIZES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "pooling must be one of weighted_average, spectral, got 'max'"),
        ({"normalization": "layer"}, "normalization must be one of batch, none, got 'layer'"),
        ({"activation": "relu"}, "activation must be one of prelu, none, got 'relu'"),
        ({"bandwidth": 9}, "bandwidth must be between 2 and 8, got 9"),
        ({"bandwidth": 6}, "bandwidth must be a multiple of 4, at least 8, to be halved at 2"),
        ({"num_anchors": 0}, "num_anchors must be at least 1, got 0"),
        ({"channels": ()}, "channels must name at least one layer, got none"),
        ({"pool_layers": (3,)}, r"first and the last of 4 \(1 to 2\), got \[3\]"),
        ({"pool_layers": (1, 1)}, "pool_layers must be different layers"),
        ({"distance_channels": (2,)}, r"distance_channels must be .* from 0 to 1, got \[2\]"),
        ({"angle_channels": ()}, r"angle_channels must be different channels, at least one"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_impossible_arguments_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        Esteves(SOFT8, **(SIZES | options))


def test_other_signals_are_rejected():
    with pytest.raises(ValueError, match=r"shape \(\*batch, 256 vertices, 2 channels\), got"):
        _model()(torch.zeros(3, 256, 6))
