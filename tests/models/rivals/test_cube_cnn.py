"""The 2D CNN on the faces of a cube: what its faces see of each other."""

import numpy as np
import pytest
import torch

from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.models import CubeCNN, cnn2d_shapes, cube_shapes, num_parameters
from deepsphere.models.rivals.cube_cnn import FaceConv, cube_padding_matrix
from deepsphere.sampling import CubedSphere, Healpix

SIZES = {"in_channels": 2, "out_channels": 3, "channels": (4, 5)}


def _rotations(sampling):
    """The vertex to which each of the 24 rotations of the cube takes each vertex."""
    kept = []
    for moved in vertex_permutations(sampling):
        matrix = np.linalg.lstsq(sampling.points, sampling.points[moved], rcond=None)[0]
        if np.linalg.det(matrix) > 0:
            kept.append(moved)
    assert len(kept) == 24
    return kept


def _turned(signals, moved):
    turned = torch.empty_like(signals)
    turned[..., moved, :] = signals
    return turned


def _make_symmetric(model):
    """Replace each filter by its mean over quarter turns."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                turns = [module.weight.rot90(turn, dims=(-2, -1)) for turn in range(4)]
                module.weight.copy_(sum(turns) / 4)


def _padded(sampling, margin):
    """The padding as (6, rows, columns, cells)."""
    width = sampling.subdivisions + 2 * margin
    matrix = cube_padding_matrix(sampling.subdivisions, margin).toarray()
    return matrix.reshape(6, width, width, -1)


@pytest.mark.parametrize("spacing", ["equiangular", "equidistant"])
@pytest.mark.parametrize("subdivisions", [2, 3, 6])
def test_cell_across_an_edge_is_the_nearest_of_another_face(subdivisions, spacing):
    sampling = CubedSphere(subdivisions, spacing)
    padded = _padded(sampling, 1)
    inside = np.arange(sampling.num_vertices).reshape(6, subdivisions, subdivisions)
    cosines = sampling.points @ sampling.points.T
    for face in range(6):
        others = np.setdiff1d(np.arange(sampling.num_vertices), inside[face])
        beyond_and_border = [
            (padded[face, 0, 1:-1], inside[face, 0]),
            (padded[face, -1, 1:-1], inside[face, -1]),
            (padded[face, 1:-1, 0], inside[face, :, 0]),
            (padded[face, 1:-1, -1], inside[face, :, -1]),
        ]
        for beyond, border in beyond_and_border:
            assert np.array_equal(beyond.max(axis=1), np.ones(subdivisions))
            # a cell at a corner is as near to one of the third face
            nearest = cosines[border][:, others].max(axis=1)
            found = cosines[border, beyond.argmax(axis=1)]
            np.testing.assert_allclose(found, nearest, rtol=1e-12)
            if subdivisions > 2:
                middle = slice(1, -1)
                expected = others[cosines[border][:, others].argmax(axis=1)]
                assert np.array_equal(beyond.argmax(axis=1)[middle], expected[middle])


@pytest.mark.parametrize(("subdivisions", "margin"), [(4, 1), (4, 3), (1, 1), (2, 2)])
def test_faces_are_inside_and_corners_are_means_of_two_cells(subdivisions, margin):
    sampling = CubedSphere(subdivisions)
    padded = _padded(sampling, margin)
    inside = padded[:, margin:-margin, margin:-margin]
    assert np.array_equal(inside.reshape(sampling.num_vertices, -1), np.eye(6 * subdivisions**2))
    np.testing.assert_array_equal(padded.sum(axis=-1), 1)
    assert set(np.unique(padded)) <= {0, 0.5, 1}
    # nothing but the squares at the corners is a mean
    is_mean = (padded == 0.5).any(axis=-1)
    is_mean[:, :margin, :margin] = is_mean[:, :margin, -margin:] = False
    is_mean[:, -margin:, :margin] = is_mean[:, -margin:, -margin:] = False
    assert not is_mean.any()


def test_corner_is_the_mean_of_the_two_other_cells_that_meet_there():
    sampling = CubedSphere(5)
    padded = _padded(sampling, 1)
    own = np.arange(sampling.num_vertices).reshape(6, 5, 5)
    for face in range(6):
        for row, column in [(0, 0), (0, -1), (-1, 0), (-1, -1)]:
            corner = sampling.points[own[face, row, column]]
            three = np.argsort(-(sampling.points @ np.sign(corner)))[:3]
            expected = np.setdiff1d(three, own[face, row, column])
            assert np.array_equal(np.flatnonzero(padded[face, row, column]), expected)


@pytest.mark.parametrize("subdivisions", [4, 7, 16])
def test_cells_across_edges_continue_the_grid_but_for_a_shift_along_the_edge(subdivisions):
    sampling = CubedSphere(subdivisions)
    width = subdivisions + 2
    padded = cube_padding_matrix(subdivisions, 1) @ sampling.points
    x, y, z = padded.reshape(6, width, width, 3)[1].transpose(2, 0, 1)
    # angles from the center of the face at longitude 0, in cells
    cell = np.pi / 2 / subdivisions
    row, column = np.arctan2(-z, x) / cell, np.arctan2(y, x) / cell
    grid = np.arange(width) - (width - 1) / 2
    # across an edge they are exact, along it off by up to half a cell at its ends
    inner = slice(1, -1)
    for end in (0, -1):
        np.testing.assert_allclose(row[end, inner], grid[end], rtol=1e-12)
        np.testing.assert_allclose(column[inner, end], grid[end], rtol=1e-12)
        for along in (column[end, inner], row[inner, end]):
            shift = along - grid[inner]
            assert np.all(shift * grid[inner] >= -1e-9)
            assert np.abs(shift).max() == pytest.approx(0.5)
            np.testing.assert_allclose(shift, -shift[::-1], atol=1e-9)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_convolution_with_symmetric_filters_commutes_with_the_rotations_of_the_cube(kernel_size):
    sampling = CubedSphere(4)
    conv = FaceConv(2, 3, subdivisions=4, kernel_size=kernel_size).double()
    _make_symmetric(conv)
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(96, 2, generator=generator, dtype=torch.float64)

    def convolved(signals):
        return conv(signals.reshape(6, 4, 4, 2).movedim(-1, 1)).movedim(1, -1).reshape(96, 3)

    for moved in _rotations(sampling):
        torch.testing.assert_close(
            convolved(_turned(signals, moved)), _turned(convolved(signals), moved)
        )


def test_quarter_turns_permute_the_faces_around_the_equator_whatever_the_filters():
    conv = FaceConv(1, 3, subdivisions=4, kernel_size=3).double()
    sampling = CubedSphere(4)
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(96, 1, generator=generator, dtype=torch.float64)
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = (sampling.points @ (sampling.points @ quarter.T).T).argmax(axis=0)
    sides = [conv(each.reshape(6, 1, 4, 4))[1:5] for each in (signals, _turned(signals, moved))]
    torch.testing.assert_close(sides[1], sides[0].roll(1, dims=0))


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_network_with_symmetric_filters_is_invariant_to_the_rotations_of_the_cube(pooling):
    sampling = CubedSphere(8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CubeCNN(sampling, **SIZES, pooling=pooling).double().eval()
        signals = torch.randn(2, 384, 2, dtype=torch.float64)
    expected = model(signals)
    rotations = _rotations(sampling)
    # asymmetric filters see the difference
    changes = [(model(_turned(signals, moved)) - expected).abs().max() for moved in rotations]
    assert max(changes) > 1e-3
    _make_symmetric(model)
    expected = model(signals)
    for moved in rotations:
        torch.testing.assert_close(model(_turned(signals, moved)), expected)


def test_statistics_are_weighted_by_the_areas_of_the_pooled_cells():
    sampling = CubedSphere(8, "equidistant")
    model = CubeCNN(sampling, **SIZES, readout="mean").double()
    areas = (sampling.membership() @ sampling.areas) / (4 * np.pi)
    weights = model.head.readout.weights.weights
    torch.testing.assert_close(weights, torch.from_numpy(areas))


def test_preset_has_the_size_of_the_image_network():
    model = cube_shapes()
    assert num_parameters(model) == num_parameters(cnn2d_shapes()) == 188_119
    assert model.sampling.num_vertices == 13_824
    assert cube_shapes(CubedSphere(16), out_channels=7).head.dense.out_features == 7


def test_edges_that_cannot_be_halved_are_rejected():
    with pytest.raises(ValueError, match="subdivisions must be even to be coarsened, got 3"):
        CubeCNN(CubedSphere(6), **(SIZES | {"channels": (4, 4, 4)}))


def test_even_filters_are_rejected():
    with pytest.raises(ValueError, match="kernel_size must be odd, got 2; an even filter"):
        CubeCNN(CubedSphere(4), **SIZES, kernel_size=2)


@pytest.mark.usefixtures("unchecked")
def test_other_samplings_and_poolings_are_rejected():
    with pytest.raises(ValueError, match="sampling must be a cubed sphere for cube_cnn, got 'heal"):
        CubeCNN(Healpix(nside=2), **SIZES)
    with pytest.raises(ValueError, match="for cube_cnn, got 48; use cubed_sphere:16, for example"):
        CubeCNN(48, **SIZES)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="pooling must be one of mean, max, got 'area'"):
        CubeCNN(CubedSphere(4), **SIZES, pooling="area")
