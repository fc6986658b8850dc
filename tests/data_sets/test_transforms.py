"""The stereographic image on the sphere, against formulas written naively."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor

from deepsphere.data import epoch_rotations, evaluation_rotations, stereographic_signals
from deepsphere.data.transforms import Fit
from deepsphere.geometry import random_rotations
from deepsphere.sampling import Healpix

POINTS = torch.tensor(Healpix(4).points)


def point_at(u: float, v: float, cap_deg: float) -> Tensor:
    """Point of the sphere whose projection lies at (u, v) of the image square [-1, 1]²."""
    r = math.hypot(u, v) * math.tan(math.radians(cap_deg) / 2)
    colatitude, lon = 2 * math.atan(r), math.atan2(v, u)
    sin = math.sin(colatitude)
    point = [sin * math.cos(lon), sin * math.sin(lon), math.cos(colatitude)]
    return torch.tensor([point], dtype=torch.float64)


def bilinear(image: np.ndarray, u: float, v: float) -> float:
    """Bilinear value at (u, v), u to the right and v up, zero outside, by its definition."""
    height, width = image.shape
    column, row = (u + 1) / 2 * width - 0.5, (1 - v) / 2 * height - 0.5
    total = 0.0
    for i in range(height):
        for j in range(width):
            total += image[i, j] * max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j))
    return total


@pytest.mark.parametrize("cap_deg", [40.0, 90.0, 150.0])
def test_signals_equal_the_naive_projection(cap_deg: float) -> None:
    image = np.random.default_rng(0).random((5, 7))
    rotation = random_rotations(1, seed=1)
    signals = stereographic_signals(
        torch.tensor(image)[None], POINTS, torch.tensor(rotation), cap_deg=cap_deg
    )
    for point, value in zip(POINTS.numpy(), signals[0, :, 0].tolist(), strict=True):
        x, y, z = rotation[0].T @ point
        r = math.tan(math.acos(z) / 2) / math.tan(math.radians(cap_deg) / 2)
        lon = math.atan2(y, x)
        expected = bilinear(image, r * math.cos(lon), r * math.sin(lon))
        assert value == pytest.approx(expected, abs=1e-10)


def test_pixel_centers_have_the_values_of_the_pixels() -> None:
    image = torch.arange(12.0, dtype=torch.float64).reshape(1, 3, 4)
    for i in range(3):
        for j in range(4):
            point = point_at((2 * j + 1) / 4 - 1, 1 - (2 * i + 1) / 3, 90)
            value = stereographic_signals(image, point)
            assert value.item() == pytest.approx(image[0, i, j].item(), abs=1e-12)


def test_digit_is_upright_from_above_the_north_pole() -> None:
    """The top row of the image lies towards +y, its right column towards +x."""
    image = torch.zeros(1, 8, 8, dtype=torch.float64)
    image[0, 0, :] = 1
    tilt = 0.8  # radians of colatitude, inside of the image at every side
    north_y = torch.tensor([[0, math.sin(tilt + 0.7), math.cos(tilt + 0.7)]]).double()
    assert stereographic_signals(image, north_y).item() > 0.5
    assert stereographic_signals(image, north_y * torch.tensor([1, -1, 1])).item() == 0
    image = image.transpose(1, 2).flip(2)
    north_x = north_y[:, [1, 0, 2]]
    assert stereographic_signals(image, north_x).item() > 0.5
    assert stereographic_signals(image, north_x * torch.tensor([-1, 1, 1])).item() == 0


@pytest.mark.parametrize(
    ("fit", "u", "v"), [("edges", 1.0, 0.0), ("corners", math.sqrt(0.5), math.sqrt(0.5))]
)
def test_fit_puts_edges_or_corners_on_the_boundary_of_the_cap(fit: Fit, u: float, v: float) -> None:
    """In units of the radius of the cap, (u, v) is where the image has its edge or corner."""
    image = torch.ones(1, 100, 100, dtype=torch.float64)
    inside, outside = 0.98, 1.02  # a pixel is .02 wide
    for cap_deg in (60.0, 90.0):
        values = [
            stereographic_signals(image, point_at(a * u, a * v, cap_deg), cap_deg=cap_deg, fit=fit)
            for a in (inside, outside)
        ]
        assert values[0].item() == pytest.approx(1)
        assert values[1].item() == pytest.approx(0)


def test_rotation_acts_as_on_functions() -> None:
    """(R f)(R x) = f(x): rotated points see in the rotated image what they saw before."""
    images = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    rotations = torch.tensor(random_rotations(3, seed=2))
    still = stereographic_signals(images, POINTS)
    for image, rotation, signal in zip(images, rotations, still, strict=True):
        turned = stereographic_signals(image[None], POINTS @ rotation.T, rotation[None])
        assert torch.allclose(turned[0], signal, atol=1e-10)


def test_south_pole_and_its_surroundings_are_outside() -> None:
    image = torch.ones(1, 8, 8)
    south = torch.tensor([[0, 0, -1], [1e-4, 0, -1], [1e-9, 1e-9, -1]])
    assert stereographic_signals(image, south).abs().max() == 0
    assert stereographic_signals(image.double(), south.double()).abs().max() == 0


def test_images_and_points_are_left_alone() -> None:
    images, points = torch.rand(2, 8, 8), POINTS.clone()
    copies = images.clone(), points.clone()
    stereographic_signals(images, points, torch.eye(3).expand(2, 3, 3))
    assert torch.equal(images, copies[0])
    assert torch.equal(points, copies[1])


@pytest.mark.parametrize("cap_deg", [0.0, 180.0, -10.0])
def test_impossible_cap_is_rejected(cap_deg: float) -> None:
    with pytest.raises(ValueError, match=rf"cap_deg must be between 0 and 180.*got {cap_deg}"):
        stereographic_signals(torch.ones(1, 8, 8), POINTS, cap_deg=cap_deg)


def test_unknown_fit_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="fit must be one of edges, corners, got 'sides'"):
        stereographic_signals(torch.ones(1, 8, 8), POINTS, fit="sides")


def test_epoch_rotations_do_not_depend_on_how_often_they_are_drawn() -> None:
    rotations = [epoch_rotations(6, seed=3, epoch=epoch) for epoch in (0, 1, 2)]
    again = epoch_rotations(6, seed=3, epoch=2)
    assert np.array_equal(rotations[2], again)
    assert not np.allclose(rotations[0], rotations[1])
    assert not np.allclose(rotations[0], epoch_rotations(6, seed=4, epoch=0))


def test_rotations_are_rotations() -> None:
    for rotations in (
        epoch_rotations(20, seed=0, epoch=0),
        evaluation_rotations(7, per_image=3).reshape(-1, 3, 3),
    ):
        identity = np.einsum("nij,nkj->nik", rotations, rotations)
        assert np.allclose(identity, np.eye(3), atol=1e-12)
        assert np.allclose(np.linalg.det(rotations), 1)


def test_evaluation_rotations_are_not_those_of_an_epoch() -> None:
    fixed = evaluation_rotations(4, per_image=1)[:, 0]
    assert not any(
        np.allclose(fixed, epoch_rotations(4, seed=0, epoch=epoch)) for epoch in range(5)
    )
