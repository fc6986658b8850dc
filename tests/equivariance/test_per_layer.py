"""The rotation error of layers whose error is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepsphere.equivariance import layer_rotation_errors
from deepsphere.geometry import random_rotations
from deepsphere.graph import build_graph
from deepsphere.harmonics import real_harmonics
from deepsphere.models import FCN, CNN2d
from deepsphere.sampling import Equiangular, Healpix

SAMPLING = Healpix(nside=8)
ROTATIONS = random_rotations(2, seed=0)


def band_limited_signal(max_degree: int):
    """Items that are known at any point, so rotated exactly."""
    coefficients = np.random.default_rng(3).standard_normal(((max_degree + 1) ** 2, 4))

    def signal_at(rotation):
        points = SAMPLING.points if rotation is None else SAMPLING.points @ rotation
        values = real_harmonics(points, max_degree) @ coefficients
        return torch.as_tensor(values.T[:, :, None], dtype=torch.float32)

    return signal_at


class Scale(nn.Module):
    """Multiplies by a fixed factor: a constant is equivariant, a function of position is not."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, signal: Tensor) -> Tensor:
        return signal * self.factor


class Mean(nn.Module):
    """The invariant readout of an equal-area sampling."""

    def forward(self, signal: Tensor) -> Tensor:
        return signal.mean(dim=-2)


def errors_of(model: nn.Module):
    return layer_rotation_errors(
        model, band_limited_signal(6), samplings=[SAMPLING], rotations=ROTATIONS
    )


def test_pointwise_scaling_is_equivariant_and_mean_invariant():
    errors = errors_of(nn.Sequential(Scale(torch.tensor(2.0)), Mean()))
    assert [error.name for error in errors] == ["0", "1"]
    assert [error.invariant for error in errors] == [False, True]
    assert errors[0].error < 1e-5
    assert errors[1].error < 0.02  # quadrature error of the equal-weight mean at degree 6


def test_position_dependent_scaling_has_the_error_of_the_formula():
    height = torch.tensor(SAMPLING.points[:, 2:], dtype=torch.float32)
    (error,) = errors_of(nn.Sequential(Scale(height)))
    signal_at = band_limited_signal(6)
    difference = norm = 0.0
    for rotation in ROTATIONS:
        # (R F(x))(p) = h(R^T p) x(R^T p) and F(R x)(p) = h(p) x(R^T p)
        rotated_height = torch.as_tensor(SAMPLING.points @ rotation[:, 2:], dtype=torch.float32)
        rotated = signal_at(rotation)
        difference += float(((height - rotated_height) * rotated).square().sum())
        norm += float((height * signal_at(None)).square().sum())
    assert error.error == pytest.approx((difference / norm) ** 0.5, rel=1e-4)


def test_layers_of_a_classifier_are_listed_once_in_the_order_in_which_they_run():
    pyramid = build_graph(SAMPLING, num_neighbors=8).pyramid(num_levels=2)
    model = FCN(
        pyramid,
        in_channels=1,
        out_channels=3,
        channels=(4, 5),
        kernel_size=3,
        readout="mean_logsumexp",
        activation="relu",
        last_upsampled=False,
        dropout=0.5,
    )
    errors = layer_rotation_errors(
        model, band_limited_signal(6), samplings=pyramid.samplings, rotations=ROTATIONS
    )
    assert [(error.name, error.kind) for error in errors] == [
        ("trunk.layers.0.conv", "ChebConv"),
        ("trunk.layers.0.norm", "BatchNorm"),
        ("trunk.layers.0.activation", "ReLU"),
        ("trunk.layers.1.operation", "Resample"),
        ("trunk.layers.2.conv", "ChebConv"),
        ("trunk.layers.2.norm", "BatchNorm"),
        ("trunk.layers.2.activation", "ReLU"),
        ("head.readout.statistics.0", "Mean"),
        ("head.readout.statistics.1", "LogSumExp"),
        ("head.dense", "Linear"),
    ]
    assert [error.invariant for error in errors] == [False] * 7 + [True] * 3


def test_statistics_and_upsampled_activation_have_the_error_of_the_formula():
    pyramid = build_graph(SAMPLING, num_neighbors=8).pyramid(num_levels=2)
    model = FCN(
        pyramid,
        in_channels=1,
        out_channels=3,
        channels=(4, 5),
        kernel_size=3,
        readout="mean_max",
        activation="relu",
        last_upsampled=True,
    ).eval()
    signal_at = band_limited_signal(6)
    errors = layer_rotation_errors(
        model, signal_at, samplings=pyramid.samplings, rotations=ROTATIONS
    )
    assert [error.kind for error in errors[-6:]] == [
        "BatchNorm",
        "Resample",
        "ReLU",
        "Mean",
        "Max",
        "Linear",
    ]
    with torch.no_grad():
        features = model.trunk(signal_at(None)).amax(dim=1)
        rotated = torch.stack([model.trunk(signal_at(r)).amax(dim=1) for r in ROTATIONS])
    expected = (rotated - features).norm() / features.expand_as(rotated).norm()
    assert errors[-2].error == pytest.approx(float(expected), rel=1e-4)


def test_of_a_network_on_images_what_has_no_vertices_is_measured():
    grid = Equiangular(nlat=8)
    model = CNN2d(grid, in_channels=1, out_channels=3, channels=(4, 5), readout="mean_max")

    def signal_at(rotation):
        points = grid.points if rotation is None else grid.points @ rotation
        return torch.as_tensor(real_harmonics(points, 2).T[:, :, None], dtype=torch.float32)

    errors = layer_rotation_errors(model, signal_at, samplings=[grid], rotations=ROTATIONS)
    assert [error.kind for error in errors] == ["Mean", "Max", "Linear"]


def test_what_a_model_does_after_its_last_layer_comes_last():
    class Halved(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input) / 2

    errors = errors_of(Halved(nn.ReLU(), Mean()))
    assert [(error.name, error.kind) for error in errors] == [
        ("0", "ReLU"),
        ("1", "Mean"),
        ("output", "Halved"),
    ]
    assert errors[1].error == pytest.approx(errors[2].error)


def test_layer_that_runs_twice_is_listed_twice():
    triple = Scale(torch.tensor(3.0))
    errors = errors_of(nn.Sequential(triple, triple, Mean()))
    assert [error.name for error in errors] == ["0", "0", "2"]


def test_mode_of_the_network_is_restored():
    model = nn.Sequential(nn.BatchNorm1d(SAMPLING.num_vertices), Mean())
    model[0].eval()
    errors_of(model)
    assert model.training
    assert not model[0].training


def test_no_rotation_is_rejected():
    with pytest.raises(ValueError, match="at least one rotation"):
        layer_rotation_errors(
            Mean(), band_limited_signal(1), samplings=[SAMPLING], rotations=ROTATIONS[:0]
        )
