"""The 2D CNN on a block of HEALPix pixels: its image, its padding, its heads."""

import healpix
import jaxtyping
import numpy as np
import pytest
import torch
from torch.nn import functional

from deepsphere.models import PlanarCNN
from deepsphere.models.rivals import block_image, block_vertices
from deepsphere.models.rivals.planar_cnn import SameConv2d
from deepsphere.sampling import Equiangular, Fibonacci, Healpix

NSIDE, WIDTH = 16, 8
BLOCKS = [np.arange(first, first + WIDTH**2) for first in (0, 192, 5 * 256 + 64, 47 * 64)]


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _bits_apart(index: int) -> tuple[int, int]:
    """The row and the column whose bits the index holds in turns."""
    row = column = 0
    for place in range(20):
        column += (index >> 2 * place & 1) << place
        row += (index >> 2 * place + 1 & 1) << place
    return row, column


@pytest.mark.parametrize("width", [1, 2, 8, 32])
def test_image_takes_the_bits_of_the_index_apart(width):
    image = block_image(width)
    assert image.shape == (width, width)
    for row in range(width):
        for column in range(width):
            assert _bits_apart(int(image[row, column])) == (row, column)


@pytest.mark.parametrize("width", [0, 3, 12])
def test_image_of_a_width_that_is_no_power_of_two_is_rejected(width):
    with pytest.raises(ValueError, match=f"width must be a power of two, got {width}"):
        block_image(width)


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("pixels", BLOCKS, ids=lambda pixels: str(pixels[0]))
def test_image_is_a_grid_of_diamonds_on_the_map_of_healpix(ordering, pixels):
    # on the HEALPix projection pixels are equal squares that stand on a corner: a step along the
    # row goes to the north-east, a step along the column to the north-west
    if ordering == "ring":
        pixels = np.random.default_rng(0).permutation(healpix.nest2ring(NSIDE, pixels))
    sampling = Healpix(NSIDE, ordering=ordering).subset(pixels)
    image = block_vertices(sampling)
    x, y = _healpix_projection(sampling.lon[image], np.sin(sampling.lat[image]))
    step = np.pi / 4 / NSIDE
    rows, columns = np.indices((WIDTH, WIDTH))
    np.testing.assert_allclose(x, x[0, 0] + (columns - rows) * step, atol=1e-12)
    np.testing.assert_allclose(y, y[0, 0] + (columns + rows) * step, atol=1e-12)


def _healpix_projection(lon: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calabretta and Roukema (2007), section 3: the plane on which pixels are squares."""
    is_polar = np.abs(height) > 2 / 3
    sigma = 2 - np.sqrt(3 * (1 - np.abs(height)))
    meridian = np.pi / 4 + np.pi / 2 * np.floor(lon / (np.pi / 2))
    x = np.where(is_polar, lon - (sigma - 1) * (lon - meridian), lon)
    y = np.where(is_polar, np.pi / 4 * sigma * np.sign(height), 3 * np.pi / 8 * height)
    return x, y


@pytest.mark.parametrize("pixels", BLOCKS, ids=lambda pixels: str(pixels[0]))
def test_neighbors_in_the_image_are_neighbors_on_the_sphere(pixels):
    sampling = Healpix(NSIDE).subset(pixels)
    points = sampling.points[block_vertices(sampling)]
    pixel_width = np.sqrt(4 * np.pi / (12 * NSIDE**2))
    # no pixel across an edge is farther than √2 widths, which are the diagonals of a square
    for steps in (np.diff(points, axis=0), np.diff(points, axis=1)):
        assert np.linalg.norm(steps, axis=-1).max() < np.sqrt(2) * pixel_width


@pytest.mark.parametrize("width", [1, 2, 4, 5, 7, 8])
@pytest.mark.parametrize(("kernel_size", "stride"), [(5, 2), (3, 2), (5, 1), (1, 2)])
def test_padding_is_the_one_called_same(width, kernel_size, stride):
    # output i sees the inputs stride·i - before + (0 ... kernel_size - 1), zero outside
    conv = SameConv2d(2, 3, kernel_size=kernel_size, stride=stride, bias=True).double()
    images = torch.randn(1, 2, width, width, generator=torch.Generator().manual_seed(0)).double()
    out_width = -(-width // stride)
    before = max((out_width - 1) * stride + kernel_size - width, 0) // 2
    expected = torch.zeros(1, 3, out_width, out_width, dtype=torch.float64)
    for i in range(out_width):
        for j in range(out_width):
            expected[0, :, i, j] = conv.conv.bias
            for a in range(kernel_size):
                for b in range(kernel_size):
                    row, column = stride * i - before + a, stride * j - before + b
                    if 0 <= row < width and 0 <= column < width:
                        expected[0, :, i, j] += (
                            conv.conv.weight[:, :, a, b] @ images[0, :, row, column]
                        )
    torch.testing.assert_close(conv(images), expected)


@pytest.mark.parametrize("head", ["dense", "mean"])
def test_network_is_its_convolutions_on_the_gathered_image(head):
    order = np.random.default_rng(1).permutation(WIDTH**2)
    sampling = Healpix(NSIDE).subset(BLOCKS[1][order])
    model = PlanarCNN(sampling, in_channels=2, out_channels=3, channels=(4, 5), head=head).eval()
    generator = torch.Generator().manual_seed(2)
    for layer in model.layers:
        layer.norm.running_mean.normal_(generator=generator)
        torch.nn.init.normal_(layer.bias, generator=generator)
    signals = torch.randn(3, WIDTH**2, 2, generator=generator)
    vertex_of = {int(pixel): vertex for vertex, pixel in enumerate(sampling.indices)}
    images = torch.zeros(3, 2, WIDTH, WIDTH)
    for pixel in BLOCKS[1]:
        row, column = _bits_apart(int(pixel) % WIDTH**2)
        images[:, :, row, column] = signals[:, vertex_of[int(pixel)]]
    for layer in model.layers:
        # even widths: one row of zeros before, two after
        images = functional.conv2d(
            functional.pad(images, (1, 2, 1, 2)), layer.conv.conv.weight, stride=2
        )
        shift = (layer.bias - layer.norm.running_mean / (1 + 1e-5) ** 0.5)[:, None, None]
        images = (images / (1 + 1e-5) ** 0.5 + shift).clamp(min=0)
    assert images.shape == (3, 5, 2, 2)
    if head == "dense":
        expected = images.flatten(1) @ model.head.dense.weight.T + model.head.dense.bias
    else:
        last = model.head.conv.conv
        expected = functional.conv2d(images, last.weight, last.bias, padding=2).mean(dim=(2, 3))
    torch.testing.assert_close(model(signals), expected)


def test_vertices_may_come_in_any_order():
    pixels = BLOCKS[0]
    order = np.random.default_rng(0).permutation(len(pixels))
    kwargs = {"in_channels": 1, "out_channels": 2, "channels": (4,)}
    model = PlanarCNN(Healpix(NSIDE).subset(pixels), **kwargs).eval()
    other = PlanarCNN(Healpix(NSIDE).subset(pixels[order]), **kwargs).eval()
    other.load_state_dict(model.state_dict())
    signals = torch.randn(2, len(pixels), 1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(other(signals[:, order]), model(signals))


def test_four_blocks_that_make_one_are_one():
    parts = np.concatenate([np.arange(k * 16, k * 16 + 16) for k in (6, 4, 7, 5)])
    whole = np.arange(64, 128)
    sampling = Healpix(NSIDE).subset(parts)
    image = sampling.indices[block_vertices(sampling)]
    np.testing.assert_array_equal(image, whole[block_image(8)])


@pytest.mark.parametrize(
    "pixels",
    [
        np.arange(32),  # a rectangle of two blocks
        np.arange(16, 16 + 64),  # as many pixels as a block, but of two
        np.arange(144),  # a square number, not one of a block
        np.arange(4 * NSIDE**2),  # four base pixels
        np.setdiff1d(np.arange(65), [3]),  # a hole
    ],
    ids=["rectangle", "shifted", "not-a-power", "base-pixels", "hole"],
)
def test_part_that_is_no_block_is_rejected(pixels):
    message = f"must hold the pixels of one block for planar_cnn, .* got {len(pixels)} pixels from"
    with pytest.raises(ValueError, match=message):
        block_vertices(Healpix(NSIDE).subset(pixels))


@pytest.mark.usefixtures("unchecked")
def test_whole_sphere_and_other_samplings_are_rejected():
    with pytest.raises(ValueError, match="sampling must be a part of a HEALPix sphere for planar"):
        PlanarCNN(Healpix(NSIDE), in_channels=1, out_channels=2)
    with pytest.raises(ValueError, match=r"for planar_cnn, got one of Equiangular\("):
        block_vertices(Equiangular(nlat=8).subset(np.arange(64)))
    with pytest.raises(ValueError, match=r"for planar_cnn, got one of Fibonacci\("):
        block_vertices(Fibonacci(100).subset(np.arange(64)))


def test_ring_order_needs_a_power_of_two():
    with pytest.raises(ValueError, match="nside must be a power of two in the nested ordering"):
        block_vertices(Healpix(6, ordering="ring").subset(np.arange(4)))


def test_image_narrower_than_the_strides_is_rejected():
    sampling = Healpix(NSIDE).subset(np.arange(256))
    with pytest.raises(ValueError, match=r"at least 32 pixels wide for 5 convolutions .*got 16"):
        PlanarCNN(sampling, in_channels=1, out_channels=2)


def test_image_may_shrink_to_one_pixel():
    sampling = Healpix(32).subset(np.arange(1024))
    model = PlanarCNN(sampling, in_channels=1, out_channels=2)
    assert model.head.dense.in_features == 16
    assert model(torch.randn(3, 1024, 1)).isfinite().all()


def test_even_kernel_size_is_rejected():
    sampling = Healpix(NSIDE).subset(np.arange(64))
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        PlanarCNN(sampling, in_channels=1, out_channels=2, channels=(4,), kernel_size=4)


@pytest.mark.usefixtures("unchecked")
def test_unknown_head_is_rejected():
    sampling = Healpix(NSIDE).subset(np.arange(64))
    with pytest.raises(ValueError, match="head must be one of dense, mean, got 'max'"):
        PlanarCNN(sampling, in_channels=1, out_channels=2, channels=(4,), head="max")
