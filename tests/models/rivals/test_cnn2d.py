"""The 2D CNN on the latitude-longitude image."""

import jaxtyping
import numpy as np
import pytest
import torch

from deepsphere.models import CNN2d
from deepsphere.models.rivals.cnn2d import GridConv
from deepsphere.sampling import Equiangular

SIZES = {"in_channels": 2, "out_channels": 3, "channels": (4, 6, 5)}
GRIDS = [
    Equiangular(nlat=8),
    Equiangular(nlat=7, nlon=12),
    Equiangular(nlat=8, poles=1),
    Equiangular(nlat=9, nlon=16, poles=2),
]


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _signals(sampling, *batch):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*batch, sampling.num_vertices, 2, generator=generator)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_grid_convolution_matches_a_loop_over_the_grid(padding):
    conv = GridConv(2, 3, kernel_size=3, latitude_padding=padding)
    images = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(3, 5, 6)
    for row, column, up, right in np.ndindex(5, 6, 3, 3):
        source = row + up - 1
        if padding == "reflect":
            source = {-1: 1, 5: 3}.get(source, source)
        if 0 <= source < 5:
            value = images[:, source, (column + right - 1) % 6]
            expected[:, row, column] += conv.conv.weight[:, :, up, right] @ value
    torch.testing.assert_close(conv(images[None])[0], expected)


def test_turns_about_the_poles_by_the_width_of_the_last_cells_change_nothing():
    sampling = Equiangular(nlat=8)
    model = CNN2d(sampling, **SIZES).eval()
    signals = _signals(sampling, 5)
    # two poolings: columns come back to themselves in steps of 4
    turned = sampling.from_grid(sampling.to_grid(signals).roll(4, dims=2))
    torch.testing.assert_close(model(turned), model(signals))


@pytest.mark.parametrize("sampling", GRIDS, ids=lambda sampling: sampling.spec)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_statistics_are_weighted_by_the_areas_of_the_pooled_cells(sampling, pooling):
    model = CNN2d(sampling, **SIZES, pooling=pooling, readout="mean")
    weights = model.head.readout.weights.weights
    rows, columns = (-(-size // 4) for size in sampling.to_grid(_signals(sampling)).shape[:2])
    assert weights.shape == (rows * columns,)
    # the first pooled row is what lies north of the fifth row of the grid
    vertices = sampling.to_grid(np.arange(sampling.num_vertices)[:, None])[..., 0]
    north = sampling.areas[np.unique(vertices[:4])].sum() / sampling.areas.sum()
    assert weights[:columns].sum().item() == pytest.approx(north)
    assert model(_signals(sampling, 2)).shape == (2, 3)


def test_even_filters_are_rejected():
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4; an even filter"):
        CNN2d(GRIDS[0], **SIZES, kernel_size=4)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "low_pass"}, "pooling must be one of mean, max, got 'low_pass'"),
        ({"latitude_padding": "wrap"}, "must be one of zeros, reflect, got 'wrap'"),
    ],
)
def test_unknown_names_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        CNN2d(GRIDS[0], **SIZES, **options)
