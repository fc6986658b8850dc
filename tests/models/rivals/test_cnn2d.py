"""The 2D CNN on the latitude-longitude image."""

import jaxtyping
import numpy as np
import pytest
import torch

from deepsphere.models import CNN2d, cnn2d_shapes, num_parameters, shrec17
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


@pytest.mark.parametrize("padding", ["zeros", "reflect", "pole"])
def test_grid_convolution_matches_a_loop_over_the_grid(padding):
    conv = GridConv(2, 3, kernel_size=3, latitude_padding=padding)
    images = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(3, 5, 6)
    for row, column, up, right in np.ndindex(5, 6, 3, 3):
        source, turn = row + up - 1, 0
        if padding == "reflect":
            source = {-1: 1, 5: 3}.get(source, source)
        if padding == "pole" and source in (-1, 5):
            source, turn = {-1: 0, 5: 4}[source], 3
        if 0 <= source < 5:
            value = images[:, source, (column + right - 1 + turn) % 6]
            expected[:, row, column] += conv.conv.weight[:, :, up, right] @ value
    torch.testing.assert_close(conv(images[None])[0], expected)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize(
    "sampling", [*GRIDS, Equiangular(nlat=8, nlon=16, poles="south")], ids=lambda grid: grid.spec
)
def test_what_lies_beyond_the_poles_is_there_on_the_sphere(sampling, kernel_size):
    # a filter that takes the value at its north-west, or south-east, corner
    margin = kernel_size // 2
    pole_rows = (int(sampling.poles in (1, 2)), int(sampling.poles in (2, "south")))
    conv = GridConv(
        1, 2, kernel_size=kernel_size, latitude_padding="pole", pole_rows=pole_rows
    ).double()
    conv.conv.weight.data.zero_()
    conv.conv.weight.data[0, 0, 0, 0] = conv.conv.weight.data[1, 0, -1, -1] = 1.0
    step = np.diff(sampling.colatitudes)[0]
    lon = 2 * np.pi * np.arange(sampling.nlon) / sampling.nlon
    assert sampling.nlon % 2 == 0

    def function(shift):
        # a colatitude below 0 is one above it on the meridian opposite
        colatitude = sampling.colatitudes[:, None] + shift * step
        longitude = lon + shift * 2 * np.pi / sampling.nlon
        x = np.sin(colatitude) * np.cos(longitude)
        y = np.sin(colatitude) * np.sin(longitude)
        z = np.cos(colatitude) + 0 * longitude
        return torch.from_numpy(np.exp(x - 2 * y * z) + y)

    expected = torch.stack([function(-margin), function(margin)])
    found = conv(function(0)[None, None])[0]
    # with the north pole only, the row beyond the last is the south pole, which is not sampled
    rows = slice(None, -margin if sampling.poles == 1 else None)
    torch.testing.assert_close(found[:, rows], expected[:, rows])


def test_pole_stays_alone_in_its_row_only_where_it_is_pooled_alone():
    model = CNN2d(Equiangular(nlat=7, nlon=32, poles=2), **SIZES, latitude_padding="pole")
    convolutions = [layer for layer in model.layers if isinstance(layer, GridConv)]
    # rows 7, 4, 2: the south pole is the seventh row, then pooled alone, then with another
    assert [conv.pole_rows for conv in convolutions] == [(1, 1), (0, 1), (0, 0)]


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
        ({"latitude_padding": "wrap"}, "must be one of zeros, reflect, pole, got 'wrap'"),
    ],
)
def test_unknown_names_are_rejected(options, message):
    with pytest.raises(ValueError, match=message):
        CNN2d(GRIDS[0], **SIZES, **options)


def test_meridians_without_an_opposite_are_rejected():
    with pytest.raises(ValueError, match=r"meridians must be even on every .*, got 3; use"):
        CNN2d(Equiangular(nlat=8, nlon=12), **SIZES, latitude_padding="pole")


@pytest.mark.parametrize(
    ("padding", "nlon", "largest"), [("pole", 16, 5), ("reflect", 16, 3), ("zeros", 8, 5)]
)
def test_filters_wider_than_the_last_image_are_rejected(padding, nlon, largest):
    # poolings leave 2 rows, and 4 or 2 columns
    message = f"kernel_size must be at most {largest} on a level of 2 x {nlon // 4} points with"
    options = SIZES | {"latitude_padding": padding}
    with pytest.raises(ValueError, match=message):
        CNN2d(Equiangular(nlat=8, nlon=nlon), **options, kernel_size=largest + 2)
    model = CNN2d(Equiangular(nlat=8, nlon=nlon), **options, kernel_size=largest)
    assert model(_signals(model.sampling, 1)).shape == (1, 3)


def test_preset_is_as_large_as_the_classifier_of_shapes():
    model = cnn2d_shapes()
    assert model.sampling == Equiangular(nlat=128, nlon=128)
    assert num_parameters(model) == 188_119
    assert abs(num_parameters(model) / num_parameters(shrec17()) - 1) < 0.01
    smaller = cnn2d_shapes(Equiangular.soft(16), in_channels=2, out_channels=7)
    assert smaller(_signals(smaller.sampling, 1)).shape == (1, 7)
