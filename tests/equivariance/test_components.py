"""Where the error of networks comes from, for networks where that is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepsphere.equivariance import measure_equivariance, rotation_error_budget
from deepsphere.geometry import random_rotations
from deepsphere.graph import build_graph
from deepsphere.models import CNN, FCN, UNet
from deepsphere.sampling import Healpix

SAMPLING = Healpix(nside=8)


class Tilt(nn.Module):
    """Multiplies by 1 + a z, or a coordinate other than z."""

    def __init__(self, slope: float, *, dim: int = 2) -> None:
        super().__init__()
        factor = torch.tensor(1 + slope * SAMPLING.points[:, dim : dim + 1])
        self.register_buffer("factor", factor)

    def forward(self, signals: Tensor) -> Tensor:
        return signals * self.factor


def pyramid(num_levels: int = 2):
    graph = build_graph(SAMPLING, num_neighbors=8, weights="gaussian")
    return graph.pyramid(num_levels=num_levels)


def classifier(**options) -> FCN:
    torch.manual_seed(0)
    sizes = {"in_channels": 1, "out_channels": 3, "channels": (4, 6), "kernel_size": 3}
    return FCN(pyramid(), **sizes, **options)


def test_only_layer_that_does_not_commute_gets_the_whole_share():
    model = nn.Sequential(nn.Linear(1, 3), Tilt(0.5), nn.Linear(3, 2)).double()
    budget = rotation_error_budget(model, SAMPLING, num_signals=8, num_rotations=16)  # l <= 8
    before, tilt, after = budget.layers
    assert before.added < 1e-10
    assert after.added < 1e-10
    assert tilt.share == pytest.approx(1, abs=1e-9)
    assert budget.largest is tilt
    # mean square of z less the rotated z is 2/3 (1 - cos), cos of the angle between both axes
    rotations = random_rotations(16, seed=np.random.default_rng([0, 1]))
    squared = 0.25 * 2 / 3 * (1 - rotations[:, 2, 2].mean()) / (1 + 0.25 / 3)
    assert tilt.added == pytest.approx(np.sqrt(squared), rel=0.05)  # 8 signals
    assert tilt.accumulated == pytest.approx(tilt.added, rel=1e-9)  # its output is resolved
    assert after.accumulated == pytest.approx(budget.error)


def test_error_is_that_of_the_measurement_with_the_same_seed():
    model = classifier().double()
    options = {"num_signals": 3, "num_rotations": 2, "seed": 5}
    for reference in ("size", "spread"):
        measured = measure_equivariance(model, SAMPLING, relative_to=reference, **options)
        budget = rotation_error_budget(model, SAMPLING, relative_to=reference, **options)
        assert budget.error == pytest.approx(measured.error, rel=1e-9)
        assert budget.relative_to == reference


class Branches(nn.Module):
    """A sum of two layers on the same signal, after a third, and a fourth beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = Tilt(0.3), Tilt(1.0, dim=0), nn.ReLU()
        self.last = nn.Linear(1, 1).double()

    def forward(self, signals: Tensor) -> Tensor:
        signals = self.first(signals)
        joined = self.left(signals) + self.right(signals)
        return signals + self.last(joined)


def test_contributions_of_a_network_with_branches_sum_to_the_difference():
    model = Branches()
    budget = rotation_error_budget(model, SAMPLING)
    measured = measure_equivariance(model, SAMPLING, num_signals=4, num_rotations=4)
    assert [layer.name for layer in budget.layers] == ["first", "left", "right", "last", "output"]
    assert sum(layer.share for layer in budget.layers) == pytest.approx(1)
    assert sum(each.share for each in budget.components) == pytest.approx(1)
    # all but the linear layer are nonlinearities here: together they are the whole difference
    (first, *_) = budget.components
    assert (first.component, first.num_layers) == ("nonlinearity", 3)
    whole = np.sqrt(measured.error**2 - measured.unresolved**2)
    rest = {layer.name: layer.at_output for layer in budget.layers}
    assert rest["last"] < 1e-9
    assert abs(first.at_output - whole) <= rest["output"] + 1e-9


def test_layers_are_told_apart_by_what_they_do():
    budget = rotation_error_budget(classifier(last_upsampled=True), SAMPLING)
    assert [layer.component for layer in budget.layers] == [
        "filter",
        "normalization",
        "nonlinearity",
        "pooling",
        "filter",
        "normalization",
        "upsampling",
        "nonlinearity",
        "readout",
        "readout",
        "dense layer",
    ]
    assert {each.component: each.num_layers for each in budget.components}["readout"] == 2
    shares = [each.share for each in budget.components]
    assert shares == sorted(shares, reverse=True)


def test_layers_of_a_network_with_skips_and_dense_output():
    torch.manual_seed(0)
    model = UNet(
        pyramid(), in_channels=2, out_channels=1, stem_channels=2, channels=(3, 4), kernel_size=3
    )
    budget = rotation_error_budget(model, SAMPLING)
    measured = measure_equivariance(model, SAMPLING, num_signals=4, num_rotations=4)
    assert budget.error == pytest.approx(measured.error, rel=1e-4)
    assert sum(layer.share for layer in budget.layers) == pytest.approx(1)
    kinds = [layer.component for layer in budget.layers]
    assert kinds.count("pooling") == kinds.count("upsampling") == 1
    assert "other" not in kinds


def test_flattening_breaks_invariance():
    torch.manual_seed(0)
    model = CNN(pyramid(), in_channels=1, out_channels=3, channels=(4, 6), kernel_size=3)
    budget = rotation_error_budget(model, SAMPLING, inputs=3)
    assert budget.error > 0.5
    assert budget.components[0].component in ("dense layer", "readout")
    assert budget.components[0].share > 0.9
    assert "not invariant" in budget.advice


def test_mean_pooling_adds_more_than_a_low_pass():
    plain, smooth = (
        rotation_error_budget(classifier(pooling=pooling), SAMPLING, inputs=(1, 12))
        for pooling in ("mean", "low_pass")
    )
    pools = [
        next(layer for layer in budget.layers if layer.component == "pooling")
        for budget in (plain, smooth)
    ]
    assert pools[1].added < pools[0].added / 2


def test_first_layer_adds_all_that_it_has_accumulated():
    first, second = rotation_error_budget(nn.Sequential(nn.ReLU(), nn.ReLU()), SAMPLING).layers
    assert first.added == pytest.approx(first.accumulated, rel=1e-6)
    assert first.added > 0.1
    assert second.added < 0.9 * first.added  # it cuts only what the fit has below zero


def test_activation_in_place_has_the_same_budget():
    def contributions(*, inplace: bool):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(inplace=inplace), Tilt(0.5)).double()
        return rotation_error_budget(model, SAMPLING).layers

    assert contributions(inplace=True) == contributions(inplace=False)


def test_layer_that_runs_twice_contributes_twice():
    tilt = Tilt(0.5)
    budget = rotation_error_budget(nn.Sequential(tilt, tilt).double(), SAMPLING)
    assert [layer.name for layer in budget.layers] == ["0", "0"]
    assert sum(layer.share for layer in budget.layers) == pytest.approx(1)
    assert budget.layers[0].added == pytest.approx(budget.layers[1].added, rel=0.2)


def test_network_without_error_has_no_shares():
    class Half(nn.Module):
        def forward(self, signals: Tensor) -> Tensor:
            return signals.mean(dim=(1, 2))[:, None] * 0

    budget = rotation_error_budget(Half(), SAMPLING)
    assert budget.error == 0
    assert [layer.share for layer in budget.layers] == [0]


def test_mode_is_restored_and_the_network_keeps_no_hooks():
    model = classifier()
    rotation_error_budget(model, SAMPLING, num_signals=2, num_rotations=1)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_table_has_a_row_for_each_layer_and_component():
    budget = rotation_error_budget(classifier(), SAMPLING)
    text = str(budget)
    for layer in budget.layers:
        assert sum(line.startswith(layer.name) for line in text.splitlines()) == 1
    for each in budget.components:
        assert any(line.startswith(each.component) for line in text.splitlines())
    assert text.endswith(f"error of the output: {budget.error:.4f}, relative to its size")
    assert budget.advice.startswith(
        f"largest contribution to the output: {budget.components[0].component}"
    )


def test_network_without_layers_on_known_samplings_is_rejected():
    class Sum(nn.Module):
        def forward(self, signals: Tensor) -> Tensor:
            return signals.sum()

    with pytest.raises(ValueError, match="must have a layer that returns features or a map"):
        rotation_error_budget(Sum(), SAMPLING)


@pytest.mark.usefixtures("unchecked")
def test_unknown_reference_is_rejected():
    with pytest.raises(ValueError, match="relative_to must be one of size, spread, got 'norm'"):
        rotation_error_budget(nn.ReLU(), SAMPLING, relative_to="norm")
