"""The rotation error of the rivals' filters and networks by the meter, beside DeepSphere's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from deepsphere.equivariance import measure_equivariance
from deepsphere.graph import build_graph
from deepsphere.layers import ChebConv
from deepsphere.models import FCN, UGSCNN, CNN2d, CubeCNN
from deepsphere.models.rivals.cnn2d import GridConv
from deepsphere.models.rivals.cube_cnn import FaceConv
from deepsphere.models.rivals.ugscnn import MeshConv
from deepsphere.sampling import CubedSphere, Equiangular, Healpix, Icosahedral, Sampling

# of 400 to 800 vertices each
GRID = Equiangular(nlat=16)
CUBE = CubedSphere(8)
MESH = Icosahedral(level=3)
PIXELS = Healpix(nside=8)
WIDTHS = {"in_channels": 2, "out_channels": 4}
NETWORK = {"in_channels": 2, "out_channels": 3, "channels": (6, 8)}
Map = Callable[[np.ndarray], np.ndarray] | torch.nn.Module


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _error(function: Map, sampling: Sampling, **options) -> float:
    """Of functions of degrees 1 to 4, which all of these samplings resolve well."""
    sizes = {"num_signals": 4, "num_rotations": 4, "num_channels": 2}
    return measure_equivariance(function, sampling, inputs=(1, 4), **sizes, **options).error


def _on_grid(conv: GridConv) -> Map:
    def apply(signals: np.ndarray) -> np.ndarray:
        images = GRID.to_grid(torch.from_numpy(signals)).movedim(-1, 1)
        return GRID.from_grid(conv(images).movedim(1, -1)).detach().numpy()

    return apply


def _on_cube(conv: FaceConv) -> Map:
    def apply(signals: np.ndarray) -> np.ndarray:
        faces = torch.from_numpy(signals).reshape(-1, 8, 8, signals.shape[-1]).movedim(-1, 1)
        convolved = conv(faces).movedim(1, -1)
        return convolved.reshape(len(signals), CUBE.num_vertices, -1).detach().numpy()

    return apply


def _on_graph(sampling: Sampling, **options) -> Map:
    return ChebConv(build_graph(sampling, **options), **WIDTHS, kernel_size=4).double()


@pytest.mark.parametrize("padding", ["zeros", "reflect", "pole"])
def test_filter_on_the_image_does_not_commute_with_rotations(padding):
    conv = GridConv(2, 4, kernel_size=3, latitude_padding=padding).double()
    assert _error(_on_grid(conv), GRID) > 0.5


def test_filter_on_the_faces_of_a_cube_does_not_commute_with_rotations():
    conv = FaceConv(2, 4, subdivisions=8, kernel_size=3).double()
    assert _error(_on_cube(conv), CUBE) > 0.5


def test_of_the_mesh_convolution_only_identity_and_laplacian_commute_with_rotations():
    conv = MeshConv(MESH, **WIDTHS).double()
    assert _error(conv, MESH) > 0.5
    with torch.no_grad():
        conv.weight[1:3] = 0
    # as good as finite elements are, which is better than distances to the nearest neighbors
    finite_elements = _error(conv, MESH)
    assert finite_elements < 0.01
    assert finite_elements < _error(_on_graph(MESH, num_neighbors=6, weights="gaussian"), MESH)


def test_graph_filters_commute_better_the_more_neighbors_they_have():
    few = _error(_on_graph(PIXELS, num_neighbors=8, weights="gaussian"), PIXELS)
    many = _error(_on_graph(PIXELS, num_neighbors=20, weights="optimal"), PIXELS)
    assert many < 0.2 * few < 0.02


def test_classifiers_of_the_rivals_are_not_invariant_and_that_of_deepsphere_is():
    graph = build_graph(PIXELS, num_neighbors=20)
    ours = FCN(graph.pyramid(num_levels=2), **NETWORK).double()
    assert _error(ours, PIXELS, relative_to="spread") < 0.1
    for rival in (CNN2d(GRID, **NETWORK), CubeCNN(CUBE, **NETWORK), UGSCNN(MESH, **NETWORK)):
        assert _error(rival.double(), rival.sampling, relative_to="spread") > 0.5
