"""The rotation error of layers whose error is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepsphere.equivariance import layer_rotation_errors
from deepsphere.geometry import random_rotations
from deepsphere.harmonics import real_harmonics
from deepsphere.sampling import Healpix

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
    assert [error.name for error in errors] == ["0", "1", "output"]
    assert [error.invariant for error in errors] == [False, True, True]
    assert errors[0].error < 1e-5
    assert errors[1].error < 0.02  # quadrature error of the equal-weight mean at degree 6


def test_position_dependent_scaling_has_the_error_of_the_formula():
    height = torch.tensor(SAMPLING.points[:, 2:], dtype=torch.float32)
    (error, output) = errors_of(nn.Sequential(Scale(height)))
    assert error.error == output.error
    signal_at = band_limited_signal(6)
    difference = norm = 0.0
    for rotation in ROTATIONS:
        # (R F(x))(p) = h(R^T p) x(R^T p) and F(R x)(p) = h(p) x(R^T p)
        rotated_height = torch.as_tensor(SAMPLING.points @ rotation[:, 2:], dtype=torch.float32)
        rotated = signal_at(rotation)
        difference += float(((height - rotated_height) * rotated).square().sum())
        norm += float((rotated_height * rotated).square().sum())
    assert error.error == pytest.approx((difference / norm) ** 0.5, rel=1e-4)


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
